//! Master keys and the derivation of session keys (RFC 3711 section 4.3).

use crate::keystream::Keystream;
use crate::{Profile, SrtpError};
use std::fmt;
use zeroize::Zeroizing;

/// Label of the first of the three RTP session keys: cipher, authentication, salt.
pub(crate) const RTP_LABELS: u8 = 0;
/// Label of the first of the three RTCP session keys.
pub(crate) const RTCP_LABELS: u8 = 3;
/// Length of the HMAC-SHA1 session key (RFC 3711 section 5.2).
const AUTH_KEY_LEN: usize = 20;

/// A master key with its salt. Wiped from memory when dropped, never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    key: Zeroizing<Vec<u8>>,
    salt: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(redacted)")
    }
}

impl MasterKey {
    /// A master key of its two parts; lengths are checked where it is used.
    pub fn new(key: Vec<u8>, salt: Vec<u8>) -> Self {
        Self {
            key: Zeroizing::new(key),
            salt: Zeroizing::new(salt),
        }
    }

    /// Splits key and salt written one after the other, as SDP security descriptions carry them
    /// after base64 (RFC 4568 section 6.1).
    pub fn from_concatenated(profile: Profile, bytes: &[u8]) -> Result<Self, SrtpError> {
        check_len(bytes, profile.key_len() + profile.salt_len())?;
        let (key, salt) = bytes.split_at(profile.key_len());
        Ok(Self::new(key.to_vec(), salt.to_vec()))
    }

    /// The three session keys whose labels begin at `first_label`.
    pub(crate) fn session(
        &self,
        profile: Profile,
        first_label: u8,
    ) -> Result<SessionMaterial, SrtpError> {
        check_len(&self.key, profile.key_len())?;
        check_len(&self.salt, profile.salt_len())?;
        let keystream = Keystream::new(&self.key)?;
        let derive = |label: u8, len: usize| {
            // A salt of 96 bits stands left-aligned in the 112 (RFC 7714 section 11).
            let mut iv = [0; 16];
            iv[..self.salt.len()].copy_from_slice(&self.salt);
            iv[7] ^= label;
            let mut out = Zeroizing::new(vec![0; len]);
            keystream.apply(iv, &mut out)?;
            Ok::<_, SrtpError>(out)
        };
        Ok(SessionMaterial {
            cipher: derive(first_label, profile.key_len())?,
            auth: derive(first_label + 1, AUTH_KEY_LEN)?,
            salt: derive(first_label + 2, profile.salt_len())?,
        })
    }
}

/// Session keys of one direction and kind.
pub(crate) struct SessionMaterial {
    pub(crate) cipher: Zeroizing<Vec<u8>>,
    pub(crate) auth: Zeroizing<Vec<u8>>,
    pub(crate) salt: Zeroizing<Vec<u8>>,
}

fn check_len(bytes: &[u8], need: usize) -> Result<(), SrtpError> {
    if bytes.len() == need {
        Ok(())
    } else {
        Err(SrtpError::KeyLength {
            len: bytes.len(),
            need,
        })
    }
}

/// Splits the keying material that a DTLS handshake exported into the client's write key and the
/// server's (RFC 5764 section 4.2).
pub fn dtls_keys(
    profile: Profile,
    keying_material: &[u8],
) -> Result<(MasterKey, MasterKey), SrtpError> {
    check_len(keying_material, profile.keying_material_len())?;
    let (keys, salts) = keying_material.split_at(2 * profile.key_len());
    let (client_key, server_key) = keys.split_at(profile.key_len());
    let (client_salt, server_salt) = salts.split_at(profile.salt_len());
    Ok((
        MasterKey::new(client_key.to_vec(), client_salt.to_vec()),
        MasterKey::new(server_key.to_vec(), server_salt.to_vec()),
    ))
}

#[cfg(test)]
mod tests {
    use super::{MasterKey, RTP_LABELS, dtls_keys};
    use crate::{Profile, SrtpError};
    use hex_literal::hex;

    /// RFC 3711 appendix B.3.
    #[test]
    fn derives_the_session_keys_of_rfc_3711() {
        let master = MasterKey::new(
            hex!("E1F97A0D3E018BE0D64FA32C06DE4139").to_vec(),
            hex!("0EC675AD498AFEEBB6960B3AABE6").to_vec(),
        );
        let session = master
            .session(Profile::Aes128CmSha1_80, RTP_LABELS)
            .unwrap();
        assert_eq!(session.cipher[..], hex!("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(session.salt[..], hex!("30CBBC08863D8C85D49DB34A9AE1"));
        // The first 20 of the 94 bytes listed.
        assert_eq!(
            session.auth[..],
            hex!("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")
        );
    }

    /// RFC 6188 section 7.2 (AES-256).
    #[test]
    fn derives_the_session_keys_of_rfc_6188() {
        let master = MasterKey::new(
            hex!("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6").to_vec(),
            hex!("3b04803de51ee7c96423ab5b78d2").to_vec(),
        );
        let session = master
            .session(Profile::Aes256CmSha1_80, RTP_LABELS)
            .unwrap();
        assert_eq!(
            session.cipher[..],
            hex!("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4")
        );
        assert_eq!(session.salt[..], hex!("fa31791685ca444a9e07c6c64e93"));
        assert_eq!(
            session.auth[..],
            hex!("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05")
        );
    }

    /// RFC 6188 section 7.4 (AES-192).
    #[test]
    fn derives_the_192_bit_session_keys_of_rfc_6188() {
        let master = MasterKey::new(
            hex!("73edc66c4fa15776fb57f9505c17136550ffda71f3e8e5f1").to_vec(),
            hex!("c8522f3acd4ce86d5add78edbb11").to_vec(),
        );
        let session = master
            .session(Profile::Aes192CmSha1_80, RTP_LABELS)
            .unwrap();
        assert_eq!(
            session.cipher[..],
            hex!("31874736a8f1143870c26e4857d8a5b2c4a354407faadabb")
        );
        assert_eq!(session.salt[..], hex!("2372b82d639b6d8503a47adc0a6c"));
        assert_eq!(
            session.auth[..],
            hex!("355b10973cd95b9eacf4061c7e1a7151e7cfbfcb")
        );
    }

    #[test]
    fn dtls_material_is_keys_then_salts() {
        let material: Vec<u8> = (0..56).collect();
        let (client, server) = dtls_keys(Profile::AeadAes128Gcm, &material).unwrap();
        assert_eq!(
            client,
            MasterKey::new((0..16).collect(), (32..44).collect())
        );
        assert_eq!(
            server,
            MasterKey::new((16..32).collect(), (44..56).collect())
        );
        assert_eq!(
            dtls_keys(Profile::AeadAes128Gcm, &material[1..]),
            Err(SrtpError::KeyLength { len: 55, need: 56 })
        );
    }

    #[test]
    fn a_key_is_not_shown() {
        let shown = format!("{:?}", MasterKey::new(vec![0xab; 16], vec![0xcd; 14]));
        assert_eq!(shown, "MasterKey(redacted)");
    }
}
