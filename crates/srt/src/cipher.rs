//! Payloads encrypted in place: AES in counter mode and in Galois counter mode (draft-sharabayko-srt section 6).

use crate::keys::{CipherMode, KeyError, SALT_LEN, Secret, aes};
use crate::packet::{HEADER_LEN, unmark_retransmitted};
use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext};
use aws_lc_rs::iv::FixedLength;

/// Length of the tag behind a payload in Galois counter mode.
pub(crate) const TAG_LEN: usize = 16;
/// Bytes of the salt in a counter block; the last two count blocks.
const CTR_SALT: usize = 14;
/// Length of a nonce of Galois counter mode.
const NONCE_LEN: usize = 12;

/// One key of a stream, expanded once.
pub(crate) struct StreamCipher {
    key: Key,
    salt: [u8; SALT_LEN],
}

enum Key {
    Ctr(Box<EncryptingKey>),
    Gcm(Box<LessSafeKey>),
}

impl StreamCipher {
    pub(crate) fn new(
        mode: CipherMode,
        secret: &Secret,
        salt: [u8; SALT_LEN],
    ) -> Result<Self, KeyError> {
        let key = match mode {
            CipherMode::Ctr => {
                let key = EncryptingKey::ctr(aes(&secret.0)?).map_err(|_| KeyError::Library)?;
                Key::Ctr(Box::new(key))
            }
            CipherMode::Gcm => {
                let algorithm = match secret.0.len() {
                    16 => &AES_128_GCM,
                    24 => &AES_192_GCM,
                    32 => &AES_256_GCM,
                    _ => return Err(KeyError::Malformed),
                };
                let unbound =
                    UnboundKey::new(algorithm, &secret.0).map_err(|_| KeyError::Library)?;
                Key::Gcm(Box::new(LessSafeKey::new(unbound)))
            }
        };
        Ok(Self { key, salt })
    }

    /// Encrypts the payload of a packet whose header is complete, and puts a tag behind it where the mode has one.
    pub(crate) fn seal(&self, packet: &mut Vec<u8>) -> Result<(), KeyError> {
        let (header, payload) = packet.split_at_mut(HEADER_LEN);
        match &self.key {
            Key::Ctr(key) => apply(key, self.counter(header), payload),
            Key::Gcm(key) => {
                let tag = key
                    .seal_in_place_separate_tag(self.nonce(header), Aad::from(&header), payload)
                    .map_err(|_| KeyError::Library)?;
                packet.extend_from_slice(tag.as_ref());
                Ok(())
            }
        }
    }

    /// Decrypts the payload of a packet in place; gives its length. The header loses its mark of a retransmission.
    pub(crate) fn open(&self, packet: &mut [u8]) -> Result<usize, KeyError> {
        unmark_retransmitted(packet);
        let (header, payload) = packet.split_at_mut(HEADER_LEN);
        match &self.key {
            Key::Ctr(key) => apply(key, self.counter(header), payload).map(|()| payload.len()),
            Key::Gcm(key) => key
                .open_in_place(self.nonce(header), Aad::from(&header), payload)
                .map(|plain| plain.len())
                .map_err(|_| KeyError::Malformed),
        }
    }

    /// The first counter block of a packet: its sequence number and the salt.
    fn counter(&self, header: &[u8]) -> [u8; 16] {
        let mut block = [0; 16];
        block[..CTR_SALT].copy_from_slice(&self.salt[..CTR_SALT]);
        for (byte, seq) in block[10..CTR_SALT].iter_mut().zip(&header[..4]) {
            *byte ^= seq;
        }
        block
    }

    /// The nonce of a packet, as libsrt has it since 1.5.4.
    fn nonce(&self, header: &[u8]) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&self.salt[..NONCE_LEN]);
        for (byte, seq) in nonce[8..].iter_mut().zip(&header[..4]) {
            *byte ^= seq;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Adds the keystream that begins at `block`.
fn apply(key: &EncryptingKey, block: [u8; 16], data: &mut [u8]) -> Result<(), KeyError> {
    key.less_safe_encrypt(data, EncryptionContext::Iv128(FixedLength::from(block)))
        .map(|_| ())
        .map_err(|_| KeyError::Library)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::mark_retransmitted;
    use hex_literal::hex;
    use zeroize::Zeroizing;

    fn packet() -> Vec<u8> {
        let mut packet = vec![0, 1, 2, 2, 0xe8, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2];
        packet.extend_from_slice(&[0x47; 188]);
        packet
    }

    fn cipher(mode: CipherMode, length: usize) -> StreamCipher {
        let secret = Secret(Zeroizing::new(vec![3; length]));
        StreamCipher::new(mode, &secret, [5; SALT_LEN]).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_again_also_as_a_retransmission() {
        for (mode, tag) in [(CipherMode::Ctr, 0), (CipherMode::Gcm, TAG_LEN)] {
            for length in [16, 24, 32] {
                let cipher = cipher(mode, length);
                let mut sealed = packet();
                cipher.seal(&mut sealed).unwrap();
                assert_eq!(sealed.len(), packet().len() + tag);
                assert_ne!(sealed[HEADER_LEN..204], packet()[HEADER_LEN..]);
                mark_retransmitted(&mut sealed);
                assert_eq!(cipher.open(&mut sealed), Ok(188));
                assert_eq!(sealed[..204], packet());
            }
        }
    }

    /// Made with OpenSSL (by way of Python's cryptography) from the draft's formulas.
    #[test]
    fn ciphertexts_are_those_that_openssl_makes() {
        let secret = Secret(Zeroizing::new((0..16).collect()));
        let salt = hex!("202122232425262728292a2b2c2d2e2f");
        let mut plain = packet();
        plain.truncate(HEADER_LEN + 32);
        plain[3] = 3;
        for (mode, expected) in [
            (
                CipherMode::Ctr,
                hex!("7981e69753df036d0b0618ea056f952cd9c66e1f6a0a5c6816820c990332e8ca").to_vec(),
            ),
            (
                CipherMode::Gcm,
                hex!(
                    "7996dc578b063cd5ff8cb823796f6e218cdc96698a7ddb647172b5d30a10d421"
                    "412eb08f71369c6fb892678cd00a183c"
                )
                .to_vec(),
            ),
        ] {
            let cipher = StreamCipher::new(mode, &secret, salt).unwrap();
            let mut sealed = plain.clone();
            cipher.seal(&mut sealed).unwrap();
            assert_eq!(sealed[HEADER_LEN..], expected);
        }
    }

    #[test]
    fn a_changed_byte_is_found_where_there_is_a_tag() {
        for at in [3, 9, 20, 215] {
            let cipher = cipher(CipherMode::Gcm, 16);
            let mut sealed = packet();
            cipher.seal(&mut sealed).unwrap();
            sealed[at] ^= 1;
            assert_eq!(cipher.open(&mut sealed), Err(KeyError::Malformed));
        }
        assert!(
            cipher(CipherMode::Gcm, 16)
                .open(&mut packet()[..20])
                .is_err()
        );
    }
}
