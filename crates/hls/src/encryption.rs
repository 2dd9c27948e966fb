//! Whole resources encrypted by AES-128 (section 4.4.4.4): each segment, and each part of one, with a padding of its own.
//!
//! Whoever has the key can decrypt each alone: the vector is the number of the segment, for its parts as well. Headers are
//! not encrypted.

use aws_lc_rs::cipher::{AES_128, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::iv::FixedLength;
use bytes::Bytes;

/// Bytes of a key.
pub const KEY_BYTES: usize = 16;

/// The key of a program.
pub(crate) struct Encryption {
    key: Bytes,
    cipher: PaddedBlockEncryptingKey,
}

impl Encryption {
    pub(crate) fn new(key: [u8; KEY_BYTES]) -> Result<Self, Unspecified> {
        let unbound = UnboundCipherKey::new(&AES_128, &key)?;
        Ok(Self {
            key: Bytes::copy_from_slice(&key),
            cipher: PaddedBlockEncryptingKey::cbc_pkcs7(unbound)?,
        })
    }

    /// What a player must be given to decrypt.
    pub(crate) fn key(&self) -> &Bytes {
        &self.key
    }

    /// Encrypt what belongs to the segment of this number.
    pub(crate) fn seal(&self, segment: u64, clear: &[&[u8]]) -> Result<Bytes, Unspecified> {
        let mut bytes = clear.concat();
        let vector = EncryptionContext::Iv128(FixedLength::from(u128::from(segment).to_be_bytes()));
        self.cipher.less_safe_encrypt(&mut bytes, vector)?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    /// `printf 'a part' | openssl enc -aes-128-cbc -K 000102030405060708090a0b0c0d0e0f -iv 00000000000000000000000000000007`
    #[test]
    fn what_is_sealed_is_what_openssl_makes_of_it() {
        let key = hex!("000102030405060708090a0b0c0d0e0f");
        let encryption = Encryption::new(key).unwrap();
        let sealed = encryption.seal(7, &[b"a ", b"part"]).unwrap();
        assert_eq!(sealed[..], hex!("f03feb410a37d4ebc89cd1c88b7947be"));
    }
}
