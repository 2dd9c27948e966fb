//! How media is encrypted, and by which keys.
//!
//! Keys are derived from a secret, the name of the stream's life and the number of the key, so that whoever has the secret
//! can make them anew. By AES-128 (section 4.4.4.4) each segment, and each part of one, is encrypted as a whole with a
//! padding of its own; the vector is the number of the segment, for its parts as well. By SAMPLE-AES (`cbcs` of ISO/IEC
//! 23001-7) only samples are, and of pictures one block in ten. Headers are never.

use aws_lc_rs::cipher::{AES_128, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use bytes::Bytes;

/// Bytes of a key.
pub const KEY_BYTES: usize = 16;
/// Bytes of a secret that keys are derived from.
pub const SECRET_BYTES: usize = 32;

/// What is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionMethod {
    /// Whole segments and parts.
    Aes128,
    /// Samples, as `cbcs` has it.
    SampleAes,
}

/// How a program is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncryptionConfig {
    /// By what.
    pub method: EncryptionMethod,
    /// What keys are derived from.
    pub secret: [u8; SECRET_BYTES],
    /// A key is good for so many segments; 0: for all.
    pub segments_per_key: u64,
}

/// The keys of a rendition, and the one in use.
#[derive(Clone)]
pub(crate) struct Encryption {
    pub method: EncryptionMethod,
    secret: hmac::Key,
    run: String,
    segments_per_key: u64,
    /// The first segment that is encrypted so, and the number of its key.
    since: u64,
    first_key: u64,
    /// Which key the cipher has.
    number: u64,
    cipher: std::sync::Arc<PaddedBlockEncryptingKey>,
    /// Of all samples, by SAMPLE-AES.
    pub vector: [u8; KEY_BYTES],
}

impl Encryption {
    pub(crate) fn new(config: &EncryptionConfig, run: &str) -> Result<Self, Unspecified> {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &config.secret);
        let cipher = cipher(&derive(&secret, run, "key", 0))?;
        Ok(Self {
            method: config.method,
            vector: derive(&secret, run, "vector", 0),
            secret,
            run: run.to_owned(),
            segments_per_key: config.segments_per_key,
            since: 0,
            first_key: 0,
            number: 0,
            cipher: cipher.into(),
        })
    }

    /// The same from this segment on, which has this key: those before have others.
    pub(crate) fn beginning(mut self, segment: u64, first_key: u64) -> Result<Self, Unspecified> {
        let key = derive(&self.secret, &self.run, "key", first_key);
        (self.since, self.first_key, self.number) = (segment, first_key, first_key);
        self.cipher = cipher(&key)?.into();
        Ok(self)
    }

    /// The number of the key that a segment is encrypted by.
    pub(crate) fn key_of(&self, segment: u64) -> u64 {
        let later = segment.saturating_sub(self.since);
        self.first_key + later.checked_div(self.segments_per_key).unwrap_or(0)
    }

    /// What a player must be given to decrypt.
    pub(crate) fn key(&self, number: u64) -> Bytes {
        Bytes::copy_from_slice(&derive(&self.secret, &self.run, "key", number))
    }

    /// What names a key in headers.
    pub(crate) fn key_id(&self, number: u64) -> [u8; 16] {
        derive(&self.secret, &self.run, "id", number)
    }

    pub(crate) fn is_by_samples(&self) -> bool {
        self.method == EncryptionMethod::SampleAes
    }

    /// Encrypt what belongs to the segment of this number, as a whole.
    pub(crate) fn seal(&mut self, segment: u64, clear: &[&[u8]]) -> Result<Bytes, Unspecified> {
        let mut bytes = clear.concat();
        let vector = u128::from(segment).to_be_bytes();
        self.encrypt(segment, vector, &mut bytes)?;
        Ok(bytes.into())
    }

    /// Encrypt whole blocks that belong to the segment of this number, without a padding.
    pub(crate) fn blocks(&mut self, segment: u64, blocks: &mut Vec<u8>) -> Result<(), Unspecified> {
        let len = blocks.len();
        self.encrypt(segment, self.vector, blocks)?;
        // What follows is the padding, a block of its own.
        blocks.truncate(len);
        Ok(())
    }

    fn encrypt(
        &mut self,
        segment: u64,
        vector: [u8; KEY_BYTES],
        bytes: &mut Vec<u8>,
    ) -> Result<(), Unspecified> {
        let number = self.key_of(segment);
        if number != self.number {
            let key = derive(&self.secret, &self.run, "key", number);
            (self.cipher, self.number) = (cipher(&key)?.into(), number);
        }
        let vector = EncryptionContext::Iv128(FixedLength::from(vector));
        self.cipher.less_safe_encrypt(bytes, vector)?;
        Ok(())
    }
}

fn cipher(key: &[u8; KEY_BYTES]) -> Result<PaddedBlockEncryptingKey, Unspecified> {
    PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_128, key)?)
}

fn derive(secret: &hmac::Key, run: &str, what: &str, number: u64) -> [u8; 16] {
    let tag = hmac::sign(secret, format!("{what} {number} of {run}").as_bytes());
    let mut out = [0; 16];
    out.copy_from_slice(&tag.as_ref()[..16]);
    out
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    fn encryption(segments_per_key: u64) -> Encryption {
        let config = EncryptionConfig {
            method: EncryptionMethod::Aes128,
            secret: [0; SECRET_BYTES],
            segments_per_key,
        };
        Encryption::new(&config, "r1").unwrap()
    }

    /// `printf 'a part' | openssl enc -aes-128-cbc -K 000102030405060708090a0b0c0d0e0f -iv 00000000000000000000000000000007`
    #[test]
    fn what_is_sealed_is_what_openssl_makes_of_it() {
        let mut encryption = encryption(0);
        let key = hex!("000102030405060708090a0b0c0d0e0f");
        encryption.cipher = cipher(&key).unwrap().into();
        let sealed = encryption.seal(7, &[b"a ", b"part"]).unwrap();
        assert_eq!(sealed[..], hex!("f03feb410a37d4ebc89cd1c88b7947be"));
    }

    /// `printf 'key 0 of r1' | openssl dgst -sha256 -mac hmac -macopt hexkey:00...00` (32 bytes), its first half.
    #[test]
    fn keys_are_derived_from_the_secret_alone() {
        assert_eq!(
            encryption(0).key(0)[..],
            hex!("d116583f09804f97ddfbea0f207e96a4")
        );
    }

    #[test]
    fn what_begins_later_has_keys_of_its_own() {
        let mut later = encryption(2).beginning(5, 3).unwrap();
        assert_eq!([5, 6, 7].map(|number| later.key_of(number)), [3, 3, 4]);
        let sealed = later.seal(5, &[b"a part"]).unwrap();
        let mut same = encryption(1);
        assert_eq!(same.key(3), later.key(3));
        // By the third key of the same secret, which that one has for its third segment.
        same.encrypt(3, [0; KEY_BYTES], &mut Vec::new()).unwrap();
        let mut bytes = b"a part".to_vec();
        let vector = EncryptionContext::Iv128(FixedLength::from(5_u128.to_be_bytes()));
        same.cipher.less_safe_encrypt(&mut bytes, vector).unwrap();
        assert_eq!(sealed, bytes);
    }

    #[test]
    fn a_key_is_good_for_so_many_segments() {
        let mut encryption = encryption(3);
        assert_eq!(
            [0, 2, 3, 8].map(|number| encryption.key_of(number)),
            [0, 0, 1, 2]
        );
        let of = |encryption: &mut Encryption, segment| {
            let mut blocks = vec![1; 32];
            encryption.blocks(segment, &mut blocks).unwrap();
            assert_eq!(blocks.len(), 32);
            blocks
        };
        let first = of(&mut encryption, 2);
        assert_ne!(of(&mut encryption, 3), first);
        assert_eq!(of(&mut encryption, 0), first);
        assert_ne!(encryption.key_id(0), encryption.key_id(1));
    }
}
