//! The protection profiles and their lengths.

/// A protection profile: cipher, authentication and their lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// AES-128 counter mode, HMAC-SHA1 with an 80-bit tag (RFC 3711).
    Aes128CmSha1_80,
    /// AES-128 counter mode, HMAC-SHA1 with a 32-bit tag on RTP, 80 bits on RTCP (RFC 3711).
    Aes128CmSha1_32,
    /// AES-192 counter mode, HMAC-SHA1 with an 80-bit tag (RFC 6188).
    Aes192CmSha1_80,
    /// AES-192 counter mode, HMAC-SHA1 with a 32-bit tag on RTP, 80 bits on RTCP (RFC 6188).
    Aes192CmSha1_32,
    /// AES-256 counter mode, HMAC-SHA1 with an 80-bit tag (RFC 6188).
    Aes256CmSha1_80,
    /// AES-256 counter mode, HMAC-SHA1 with a 32-bit tag on RTP, 80 bits on RTCP (RFC 6188).
    Aes256CmSha1_32,
    /// AES-128 in f8 mode, HMAC-SHA1 with an 80-bit tag (RFC 3711, RFC 4568 section 6.2.3).
    Aes128F8Sha1_80,
    /// AES-128 in Galois/counter mode with a 128-bit tag (RFC 7714).
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode with a 128-bit tag (RFC 7714).
    AeadAes256Gcm,
}

impl Profile {
    /// Every profile, in order of preference: GCM costs a quarter of CM with HMAC-SHA1.
    pub const ALL: [Self; 9] = [
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
        Self::Aes128CmSha1_80,
        Self::Aes128CmSha1_32,
        Self::Aes192CmSha1_80,
        Self::Aes192CmSha1_32,
        Self::Aes256CmSha1_80,
        Self::Aes256CmSha1_32,
        Self::Aes128F8Sha1_80,
    ];

    /// Length of the master key and of the session encryption keys in bytes.
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80
            | Self::Aes128CmSha1_32
            | Self::Aes128F8Sha1_80
            | Self::AeadAes128Gcm => 16,
            Self::Aes192CmSha1_80 | Self::Aes192CmSha1_32 => 24,
            Self::Aes256CmSha1_80 | Self::Aes256CmSha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Length of the master salt and of the session salts in bytes.
    pub const fn salt_len(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// Bytes that [`crate::Sealer::seal_rtp`] adds to an RTP packet.
    pub const fn rtp_tag_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80
            | Self::Aes192CmSha1_80
            | Self::Aes256CmSha1_80
            | Self::Aes128F8Sha1_80 => 10,
            Self::Aes128CmSha1_32 | Self::Aes192CmSha1_32 | Self::Aes256CmSha1_32 => 4,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
        }
    }

    /// Length of the tag on an RTCP packet. The 32-bit profiles keep 80 bits there
    /// (RFC 4568 section 6.2, RFC 5764 section 4.1.2).
    pub const fn rtcp_tag_len(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }

    /// Bytes that [`crate::Sealer::seal_rtcp`] adds: the index word and the tag.
    pub const fn rtcp_overhead(self) -> usize {
        self.rtcp_tag_len() + 4
    }

    /// Bytes of keying material a DTLS handshake exports: two keys and two salts (RFC 5764 4.2).
    pub const fn keying_material_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }

    /// Whether the cipher authenticates by itself (GCM).
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::AeadAes128Gcm | Self::AeadAes256Gcm)
    }

    /// The profile of a DTLS-SRTP identifier (`use_srtp`, RFC 5764 and RFC 7714). f8 mode and
    /// counter mode with longer keys have none: they are for signalled keys only.
    pub const fn from_dtls_id(id: u16) -> Option<Self> {
        match id {
            0x0001 => Some(Self::Aes128CmSha1_80),
            0x0002 => Some(Self::Aes128CmSha1_32),
            0x0007 => Some(Self::AeadAes128Gcm),
            0x0008 => Some(Self::AeadAes256Gcm),
            _ => None,
        }
    }

    /// The DTLS-SRTP identifier, where one is registered.
    pub const fn dtls_id(self) -> Option<u16> {
        match self {
            Self::Aes128CmSha1_80 => Some(0x0001),
            Self::Aes128CmSha1_32 => Some(0x0002),
            Self::AeadAes128Gcm => Some(0x0007),
            Self::AeadAes256Gcm => Some(0x0008),
            Self::Aes192CmSha1_80
            | Self::Aes192CmSha1_32
            | Self::Aes256CmSha1_80
            | Self::Aes256CmSha1_32
            | Self::Aes128F8Sha1_80 => None,
        }
    }

    /// The crypto-suite name used in SDP security descriptions (RFC 4568, 6188, 7714).
    pub const fn sdes_name(self) -> &'static str {
        match self {
            Self::Aes128CmSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::Aes128CmSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::Aes192CmSha1_80 => "AES_192_CM_HMAC_SHA1_80",
            Self::Aes192CmSha1_32 => "AES_192_CM_HMAC_SHA1_32",
            Self::Aes256CmSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::Aes256CmSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::Aes128F8Sha1_80 => "F8_128_HMAC_SHA1_80",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// The profile of a crypto-suite name of SDP security descriptions. The spellings
    /// `AES_CM_192_…` and `AES_CM_256_…` are wrong but common, and accepted.
    pub fn from_sdes_name(name: &str) -> Option<Self> {
        match name {
            "AES_CM_192_HMAC_SHA1_80" => Some(Self::Aes192CmSha1_80),
            "AES_CM_192_HMAC_SHA1_32" => Some(Self::Aes192CmSha1_32),
            "AES_CM_256_HMAC_SHA1_80" => Some(Self::Aes256CmSha1_80),
            "AES_CM_256_HMAC_SHA1_32" => Some(Self::Aes256CmSha1_32),
            _ => Self::ALL
                .into_iter()
                .find(|profile| profile.sdes_name() == name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Profile;

    #[test]
    fn every_profile_is_found_again_by_its_names() {
        for profile in Profile::ALL {
            assert_eq!(Profile::from_sdes_name(profile.sdes_name()), Some(profile));
            if let Some(id) = profile.dtls_id() {
                assert_eq!(Profile::from_dtls_id(id), Some(profile));
            }
        }
        for wrong in ["AES_CM_192_HMAC_SHA1_80", "AES_CM_256_HMAC_SHA1_80"] {
            assert!(Profile::from_sdes_name(wrong).is_some(), "{wrong}");
        }
        assert_eq!(Profile::from_dtls_id(0x0003), None);
        assert_eq!(Profile::from_sdes_name("NULL"), None);
    }

    #[test]
    fn short_tags_shorten_rtp_only() {
        assert_eq!(Profile::Aes128CmSha1_32.rtp_tag_len(), 4);
        assert_eq!(Profile::Aes128CmSha1_32.rtcp_tag_len(), 10);
        assert_eq!(Profile::Aes128CmSha1_80.keying_material_len(), 60);
        assert_eq!(Profile::AeadAes128Gcm.keying_material_len(), 56);
    }
}
