//! Session ciphers with their keys expanded once: AES counter mode with HMAC-SHA1, and AES-GCM.

use crate::key::SessionMaterial;
use crate::{Profile, SrtpError};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::{constant_time, hmac, iv::FixedLength};

/// Length of the GCM tag in every profile (RFC 7714 section 13).
const GCM_TAG: usize = 16;
/// Length of an HMAC-SHA1 before it is shortened to a tag.
const SHA1_LEN: usize = 20;
/// The RTCP index word's top bit: the packet is encrypted (RFC 3711 section 3.4).
pub(crate) const RTCP_ENCRYPTED: u32 = 1 << 31;

/// AES in counter mode.
pub(crate) struct Keystream(EncryptingKey);

impl Keystream {
    pub(crate) fn new(key: &[u8]) -> Result<Self, SrtpError> {
        let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
        let bad_length = |_| SrtpError::KeyLength {
            len: key.len(),
            need: 16,
        };
        let unbound = UnboundCipherKey::new(algorithm, key).map_err(bad_length)?;
        Ok(Self(EncryptingKey::ctr(unbound).map_err(bad_length)?))
    }

    /// Adds the keystream that begins at `iv` to `data`.
    pub(crate) fn apply(&self, iv: [u8; 16], data: &mut [u8]) -> Result<(), SrtpError> {
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        self.0
            .less_safe_encrypt(data, context)
            .map(|_| ())
            .map_err(|_| SrtpError::Cipher)
    }
}

/// Where a packet stands: what makes its nonce unique.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub(crate) ssrc: u32,
    /// 48 bits for RTP, 31 for RTCP.
    pub(crate) index: u64,
}

/// The session keys for RTP or for RTCP, ready to use.
pub(crate) enum SessionCipher {
    /// AES-CM with HMAC-SHA1.
    Cm(Box<CmCipher>),
    /// AES-GCM.
    Gcm(GcmCipher),
}

pub(crate) struct CmCipher {
    keystream: Keystream,
    auth: hmac::Key,
    salt: [u8; 14],
    tag_len: usize,
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
        let mut salt = [0; 14];
        salt.copy_from_slice(&material.salt);
        Ok(Self::Cm(Box::new(CmCipher {
            keystream: Keystream::new(&material.cipher)?,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &material.auth),
            salt,
            tag_len,
        })))
    }
}

impl CmCipher {
    pub(crate) const fn tag_len(&self) -> usize {
        self.tag_len
    }

    /// The counter block: salt, SSRC and index added (RFC 3711 section 4.1.1).
    fn iv(&self, at: Position) -> [u8; 16] {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        for (byte, ssrc) in iv[4..8].iter_mut().zip(at.ssrc.to_be_bytes()) {
            *byte ^= ssrc;
        }
        for (byte, index) in iv[8..14].iter_mut().zip(&at.index.to_be_bytes()[2..]) {
            *byte ^= index;
        }
        iv
    }

    /// Encrypts or decrypts; in counter mode they are one.
    pub(crate) fn crypt(&self, at: Position, data: &mut [u8]) -> Result<(), SrtpError> {
        self.keystream.apply(self.iv(at), data)
    }

    /// Writes the tag over `buf[..len]` and a `trailer` behind it; `buf` has room for the tag.
    pub(crate) fn sign(&self, buf: &mut [u8], len: usize, trailer: &[u8]) {
        let tag = self.mac(&buf[..len], trailer);
        buf[len..len + self.tag_len].copy_from_slice(&tag.as_ref()[..self.tag_len]);
    }

    /// Compares `tag` in constant time.
    pub(crate) fn verify(&self, data: &[u8], trailer: &[u8], tag: &[u8]) -> Result<(), SrtpError> {
        let computed = self.mac(data, trailer);
        debug_assert!(tag.len() == self.tag_len && self.tag_len <= SHA1_LEN);
        constant_time::verify_slices_are_equal(&computed.as_ref()[..self.tag_len], tag)
            .map_err(|_| SrtpError::Forged)
    }

    fn mac(&self, data: &[u8], trailer: &[u8]) -> hmac::Tag {
        // The context is a copy of the precomputed one: two hash states, no allocation.
        let mut context = hmac::Context::with_key(&self.auth);
        context.update(data);
        context.update(trailer);
        context.sign()
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
