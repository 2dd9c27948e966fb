//! Session ciphers with their keys expanded once: AES-GCM, and stream ciphers signed with HMAC-SHA1.

use crate::key::SessionMaterial;
use crate::signed::SignedCipher;
use crate::{Profile, SrtpError};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Length of the GCM tag in every profile (RFC 7714 section 13).
const GCM_TAG: usize = 16;
/// The RTCP index word's top bit: the packet is encrypted (RFC 3711 section 3.4).
pub(crate) const RTCP_ENCRYPTED: u32 = 1 << 31;

/// Where a packet stands: what makes its nonce unique.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub(crate) ssrc: u32,
    /// 48 bits for RTP, 31 for RTCP.
    pub(crate) index: u64,
}

/// The session keys for RTP or for RTCP, ready to use.
pub(crate) enum SessionCipher {
    /// A stream cipher, and HMAC-SHA1 over what it made.
    Signed(Box<SignedCipher>),
    /// AES-GCM.
    Gcm(GcmCipher),
}

pub(crate) struct GcmCipher {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl SessionCipher {
    pub(crate) fn new(
        profile: Profile,
        material: &SessionMaterial,
        tag_len: usize,
    ) -> Result<Self, SrtpError> {
        if profile.is_aead() {
            let algorithm = if profile.key_len() == 32 {
                &AES_256_GCM
            } else {
                &AES_128_GCM
            };
            let key =
                UnboundKey::new(algorithm, &material.cipher).map_err(|_| SrtpError::Cipher)?;
            let mut salt = [0; 12];
            salt.copy_from_slice(&material.salt);
            return Ok(Self::Gcm(GcmCipher {
                key: LessSafeKey::new(key),
                salt,
            }));
        }
        let signed = SignedCipher::new(profile, material, tag_len)?;
        Ok(Self::Signed(Box::new(signed)))
    }
}

impl GcmCipher {
    /// RFC 7714 section 8.1: two zero bytes, SSRC, roll-over counter, sequence number; the RTCP
    /// nonce of section 9.1 is the same with the index as a 48-bit number. Both added to the salt.
    fn nonce(&self, at: Position) -> Nonce {
        let mut nonce = self.salt;
        for (byte, ssrc) in nonce[2..6].iter_mut().zip(at.ssrc.to_be_bytes()) {
            *byte ^= ssrc;
        }
        for (byte, index) in nonce[6..12].iter_mut().zip(&at.index.to_be_bytes()[2..]) {
            *byte ^= index;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts `data` in place and writes the tag to `tag`, which has exactly its length.
    pub(crate) fn seal(
        &self,
        at: Position,
        aad: &[u8],
        data: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), SrtpError> {
        let computed = self
            .key
            .seal_in_place_separate_tag(self.nonce(at), Aad::from(aad), data)
            .map_err(|_| SrtpError::Cipher)?;
        tag.copy_from_slice(computed.as_ref());
        Ok(())
    }

    /// Decrypts `data`, ciphertext and tag, in place. A forged packet is left wiped, but with a
    /// `scratch` buffer to work in it is left as it was.
    pub(crate) fn open(
        &self,
        at: Position,
        aad: &[u8],
        data: &mut [u8],
        scratch: Option<&mut Vec<u8>>,
    ) -> Result<(), SrtpError> {
        let Some(scratch) = scratch else {
            let opened = self.key.open_in_place(self.nonce(at), Aad::from(aad), data);
            return opened.map(|_| ()).map_err(|_| SrtpError::Forged);
        };
        let (ciphertext, tag) = data.split_at_mut(data.len() - GCM_TAG);
        scratch.clear();
        scratch.resize(ciphertext.len(), 0);
        self.key
            .open_separate_gather(self.nonce(at), Aad::from(aad), ciphertext, tag, scratch)
            .map_err(|_| SrtpError::Forged)?;
        ciphertext.copy_from_slice(scratch);
        Ok(())
    }

    /// Checks the tag of a packet that is authenticated but not encrypted.
    pub(crate) fn verify(&self, at: Position, aad: &[u8], tag: &[u8]) -> Result<(), SrtpError> {
        self.key
            .open_separate_gather(self.nonce(at), Aad::from(aad), &[], tag, &mut [])
            .map_err(|_| SrtpError::Forged)
    }

    pub(crate) const fn tag_len() -> usize {
        GCM_TAG
    }
}

/// The RTP and RTCP ciphers of one master key.
pub(crate) struct SessionKeys {
    pub(crate) rtp: SessionCipher,
    pub(crate) rtcp: SessionCipher,
}

impl SessionKeys {
    pub(crate) fn derive(profile: Profile, master: &crate::MasterKey) -> Result<Self, SrtpError> {
        use crate::key::{RTCP_LABELS, RTP_LABELS};
        let rtp = master.session(profile, RTP_LABELS)?;
        let rtcp = master.session(profile, RTCP_LABELS)?;
        Ok(Self {
            rtp: SessionCipher::new(profile, &rtp, profile.rtp_tag_len())?,
            rtcp: SessionCipher::new(profile, &rtcp, profile.rtcp_tag_len())?,
        })
    }
}
