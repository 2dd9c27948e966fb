//! Keys of a stream on their way: passphrases, key wrap and the keying material message
//! (draft-sharabayko-srt sections 3.2.2 and 6.1.4; RFC 3394; RFC 8018).

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext,
    UnboundCipherKey,
};
use aws_lc_rs::{constant_time, pbkdf2};
use std::fmt;
use std::num::NonZeroU32;
use thiserror::Error;
use zeroize::Zeroizing;

/// Shortest and longest passphrase (libsrt's SRTO_PASSPHRASE).
pub const PASSPHRASE_LEN: std::ops::RangeInclusive<usize> = 10..=80;
/// Rounds of PBKDF2, of HMAC-SHA1 (draft section 6.1.5).
const ROUNDS: u32 = 2048;
/// Bytes at the end of the salt that PBKDF2 takes.
const DERIVATION_SALT: usize = 8;
/// Length of a salt.
pub(crate) const SALT_LEN: usize = 16;
/// What key wrap checks itself by (RFC 3394 section 2.2.3.1).
const WRAP_CHECK: [u8; 8] = [0xa6; 8];
/// Where the salt stands in a message.
const SALT_AT: usize = 16;

/// Lengths of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyLength {
    /// 16 bytes.
    Aes128,
    /// 24 bytes.
    Aes192,
    /// 32 bytes.
    Aes256,
}

impl KeyLength {
    /// The length in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    pub(crate) fn from_bytes(bytes: usize) -> Option<Self> {
        [Self::Aes128, Self::Aes192, Self::Aes256]
            .into_iter()
            .find(|length| length.bytes() == bytes)
    }

    /// The length as a handshake advertises it.
    pub(crate) const fn advertised(self) -> u16 {
        (self.bytes() / 8) as u16
    }
}

/// How payloads are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CipherMode {
    /// Counter mode: what all peers have. Nothing is authenticated.
    Ctr,
    /// Galois counter mode, with a tag of 16 bytes.
    Gcm,
}

/// A passphrase that two sides share. Wiped from memory when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<String>);

/// A passphrase of the wrong length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a passphrase has 10 to 80 bytes, not {0}")]
pub struct PassphraseLength(pub usize);

impl Passphrase {
    /// A passphrase of 10 to 80 bytes.
    pub fn new(text: &str) -> Result<Self, PassphraseLength> {
        if PASSPHRASE_LEN.contains(&text.len()) {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(PassphraseLength(text.len()))
        }
    }

    /// The key that wraps a stream's keys: costs a millisecond or so.
    pub(crate) fn wrapping_key(&self, salt: &[u8; SALT_LEN], length: KeyLength) -> Secret {
        let mut key = Zeroizing::new(vec![0; length.bytes()]);
        let rounds = NonZeroU32::new(ROUNDS).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA1,
            rounds,
            &salt[SALT_LEN - DERIVATION_SALT..],
            self.0.as_bytes(),
            &mut key,
        );
        Secret(key)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(redacted)")
    }
}

/// Key bytes. Wiped from memory when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) Zeroizing<Vec<u8>>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// What is wrong with keying material.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum KeyError {
    #[error("malformed keying material")]
    Malformed,
    #[error("a cipher that is not supported")]
    Cipher,
    #[error("the keys were wrapped with another passphrase")]
    WrongPassphrase,
    #[error("the crypto library failed")]
    Library,
}

/// The unbound key of AES of any of its lengths.
pub(crate) fn aes(key: &[u8]) -> Result<UnboundCipherKey, KeyError> {
    let algorithm = match key.len() {
        16 => &AES_128,
        24 => &AES_192,
        32 => &AES_256,
        _ => return Err(KeyError::Malformed),
    };
    UnboundCipherKey::new(algorithm, key).map_err(|_| KeyError::Library)
}

/// Wraps keys (RFC 3394 section 2.2.1).
fn wrap(key: &Secret, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
    let cipher = EncryptingKey::ecb(aes(&key.0)?).map_err(|_| KeyError::Library)?;
    let mut out = WRAP_CHECK.to_vec();
    out.extend_from_slice(plain);
    let blocks = plain.len() / 8;
    for round in 0..6 {
        for block in 1..=blocks {
            let mut pair = Zeroizing::new([0; 16]);
            pair[..8].copy_from_slice(&out[..8]);
            pair[8..].copy_from_slice(&out[block * 8..block * 8 + 8]);
            cipher
                .less_safe_encrypt(&mut pair[..], EncryptionContext::None)
                .map_err(|_| KeyError::Library)?;
            let step = (blocks * round + block) as u64;
            for (byte, counter) in pair[..8].iter_mut().zip(step.to_be_bytes()) {
                *byte ^= counter;
            }
            out[..8].copy_from_slice(&pair[..8]);
            out[block * 8..block * 8 + 8].copy_from_slice(&pair[8..]);
        }
    }
    Ok(out)
}

/// Unwraps keys (RFC 3394 section 2.2.2).
fn unwrap(key: &Secret, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    if wrapped.len() < 16 || !wrapped.len().is_multiple_of(8) {
        return Err(KeyError::Malformed);
    }
    let cipher = DecryptingKey::ecb(aes(&key.0)?).map_err(|_| KeyError::Library)?;
    let mut out = Zeroizing::new(wrapped.to_vec());
    let blocks = wrapped.len() / 8 - 1;
    for round in (0..6).rev() {
        for block in (1..=blocks).rev() {
            let mut pair = Zeroizing::new([0; 16]);
            pair[..8].copy_from_slice(&out[..8]);
            pair[8..].copy_from_slice(&out[block * 8..block * 8 + 8]);
            let step = (blocks * round + block) as u64;
            for (byte, counter) in pair[..8].iter_mut().zip(step.to_be_bytes()) {
                *byte ^= counter;
            }
            cipher
                .decrypt(&mut pair[..], DecryptionContext::None)
                .map_err(|_| KeyError::Library)?;
            out[..8].copy_from_slice(&pair[..8]);
            out[block * 8..block * 8 + 8].copy_from_slice(&pair[8..]);
        }
    }
    if constant_time::verify_slices_are_equal(&out[..8], &WRAP_CHECK).is_err() {
        return Err(KeyError::WrongPassphrase);
    }
    out.drain(..8);
    Ok(out)
}

/// What a keying material message says before its keys are unwrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHeader {
    pub(crate) mode: CipherMode,
    pub(crate) length: KeyLength,
    pub(crate) salt: [u8; SALT_LEN],
    pub(crate) has_even: bool,
    pub(crate) has_odd: bool,
}

/// The keys of a stream: one or two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamKeys {
    pub(crate) even: Option<Secret>,
    pub(crate) odd: Option<Secret>,
}

impl KeyHeader {
    /// Reads a message up to its wrapped keys.
    pub(crate) fn parse(message: &[u8]) -> Result<Self, KeyError> {
        // Version 1, type 2, the vendor's sign; one or two keys.
        let &[0x12, 0x20, 0x29, which, _, _, _, _, cipher, auth, ..] = message else {
            return Err(KeyError::Malformed);
        };
        let (Some(&salt_words), Some(&key_words)) = (message.get(14), message.get(15)) else {
            return Err(KeyError::Malformed);
        };
        let (has_even, has_odd) = (which & 1 != 0, which & 2 != 0);
        let mode = match (cipher, auth) {
            (2, 0) => CipherMode::Ctr,
            (4, 1) => CipherMode::Gcm,
            _ => return Err(KeyError::Cipher),
        };
        let length =
            KeyLength::from_bytes(usize::from(key_words) * 4).ok_or(KeyError::Malformed)?;
        let count = usize::from(has_even) + usize::from(has_odd);
        let whole = SALT_AT + SALT_LEN + 8 + count * length.bytes();
        if usize::from(salt_words) * 4 != SALT_LEN || count == 0 || message.len() != whole {
            return Err(KeyError::Malformed);
        }
        let mut salt = [0; SALT_LEN];
        salt.copy_from_slice(&message[SALT_AT..SALT_AT + SALT_LEN]);
        Ok(Self {
            mode,
            length,
            salt,
            has_even,
            has_odd,
        })
    }

    /// The keys of a message whose header this is.
    pub(crate) fn unwrap(&self, message: &[u8], key: &Secret) -> Result<StreamKeys, KeyError> {
        let plain = unwrap(key, &message[SALT_AT + SALT_LEN..])?;
        let mut keys = plain
            .chunks_exact(self.length.bytes())
            .map(|key| Secret(Zeroizing::new(key.to_vec())));
        let even = if self.has_even { keys.next() } else { None };
        let odd = if self.has_odd { keys.next() } else { None };
        Ok(StreamKeys { even, odd })
    }

    /// The message that carries `keys`, of which there must be one at least.
    pub(crate) fn message(
        mode: CipherMode,
        salt: &[u8; SALT_LEN],
        keys: &StreamKeys,
        wrapping: &Secret,
    ) -> Result<Vec<u8>, KeyError> {
        let mut plain = Zeroizing::new(Vec::new());
        for key in [&keys.even, &keys.odd].into_iter().flatten() {
            plain.extend_from_slice(&key.0);
        }
        let which = u8::from(keys.even.is_some()) | u8::from(keys.odd.is_some()) << 1;
        let (cipher, auth) = match mode {
            CipherMode::Ctr => (2, 0),
            CipherMode::Gcm => (4, 1),
        };
        let words = (wrapping.0.len() / 4) as u8;
        let mut out = vec![
            0x12, 0x20, 0x29, which, 0, 0, 0, 0, cipher, auth, 2, 0, 0, 0,
        ];
        out.extend_from_slice(&[(SALT_LEN / 4) as u8, words]);
        out.extend_from_slice(salt);
        out.extend_from_slice(&wrap(wrapping, &plain)?);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    fn secret(bytes: &[u8]) -> Secret {
        Secret(Zeroizing::new(bytes.to_vec()))
    }

    /// RFC 3394 sections 4.1, 4.2, 4.3, 4.4 and 4.6.
    #[test]
    fn keys_are_wrapped_as_the_vectors_of_rfc_3394_have_it() {
        let kek = hex!("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F");
        let data = hex!("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F");
        let vectors: [(usize, usize, &[u8]); 5] = [
            (
                16,
                16,
                &hex!("1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"),
            ),
            (
                24,
                16,
                &hex!("96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"),
            ),
            (
                32,
                16,
                &hex!("64E8C3F9CE0F5BA263E9777905818A2A93C8191E7D6E8AE7"),
            ),
            (
                24,
                24,
                &hex!("031D33264E15D33268F24EC260743EDCE1C6C7DDEE725A936BA814915C6762D2"),
            ),
            (
                32,
                32,
                &hex!(
                    "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"
                ),
            ),
        ];
        for (kek_len, data_len, wrapped) in vectors {
            let key = secret(&kek[..kek_len]);
            // The vector of 24 bytes takes the first 24 of the longer one's.
            let plain = &data[..data_len];
            assert_eq!(wrap(&key, plain).unwrap(), wrapped);
            assert_eq!(unwrap(&key, wrapped).unwrap()[..], *plain);
            let mut forged = wrapped.to_vec();
            forged[3] ^= 1;
            assert_eq!(unwrap(&key, &forged), Err(KeyError::WrongPassphrase));
        }
    }

    #[test]
    fn keying_material_comes_back_out_of_its_message() {
        let phrase = Passphrase::new("a phrase of some length").unwrap();
        let salt = [7; SALT_LEN];
        for (length, mode) in [
            (KeyLength::Aes128, CipherMode::Ctr),
            (KeyLength::Aes192, CipherMode::Gcm),
            (KeyLength::Aes256, CipherMode::Ctr),
        ] {
            let wrapping = phrase.wrapping_key(&salt, length);
            let keys = StreamKeys {
                even: Some(secret(&vec![1; length.bytes()])),
                odd: Some(secret(&vec![2; length.bytes()])),
            };
            let message = KeyHeader::message(mode, &salt, &keys, &wrapping).unwrap();
            let header = KeyHeader::parse(&message).unwrap();
            assert_eq!((header.mode, header.length), (mode, length));
            assert_eq!(header.unwrap(&message, &wrapping).unwrap(), keys);
            let other = Passphrase::new("another phrase").unwrap();
            assert_eq!(
                header.unwrap(&message, &other.wrapping_key(&salt, length)),
                Err(KeyError::WrongPassphrase)
            );
            assert_eq!(
                KeyHeader::parse(&message[..message.len() - 1]),
                Err(KeyError::Malformed)
            );
        }
    }

    /// Made with OpenSSL and Python's hashlib from the draft's formulas.
    #[test]
    fn a_message_is_the_one_that_openssl_makes() {
        let phrase = Passphrase::new("a phrase of some length").unwrap();
        let salt = hex!("202122232425262728292a2b2c2d2e2f");
        let wrapping = phrase.wrapping_key(&salt, KeyLength::Aes128);
        assert_eq!(wrapping.0[..], hex!("507cc3eb1e15bac0038e616a002cd485"));
        let keys = StreamKeys {
            even: Some(secret(&(0..16).collect::<Vec<u8>>())),
            odd: None,
        };
        let message = KeyHeader::message(CipherMode::Ctr, &salt, &keys, &wrapping).unwrap();
        let expected = hex!(
            "12202901000000000200020000000404202122232425262728292a2b2c2d2e2f"
            "dd86fc5025a2a72c85c3ab7077d026b03a32647d134fd463"
        );
        assert_eq!(message, expected);
    }

    #[test]
    fn a_passphrase_has_its_bounds_and_is_not_shown() {
        assert_eq!(Passphrase::new("short"), Err(PassphraseLength(5)));
        assert_eq!(Passphrase::new(&"x".repeat(81)), Err(PassphraseLength(81)));
        let phrase = Passphrase::new("0123456789").unwrap();
        assert_eq!(format!("{phrase:?}"), "Passphrase(redacted)");
    }
}
