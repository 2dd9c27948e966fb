//! Stream ciphers with HMAC-SHA1: AES in counter mode (RFC 3711, RFC 6188) and in f8 mode (RFC 3711).

use crate::cipher::Position;
use crate::key::SessionMaterial;
use crate::keystream::{BLOCK, F8, Keystream};
use crate::{Profile, SrtpError};
use aws_lc_rs::{constant_time, hmac};

/// Length of an HMAC-SHA1 before it is shortened to a tag.
const SHA1_LEN: usize = 20;
/// Fixed part of an RTP header: what the vector of f8 mode is made of, the first byte apart.
const RTP_FIXED: usize = 12;

/// The session keys of a profile that is not AEAD, for RTP or for RTCP.
pub(crate) struct SignedCipher {
    stream: StreamCipher,
    auth: hmac::Key,
    tag_len: usize,
}

enum StreamCipher {
    Counter {
        keystream: Keystream,
        salt: [u8; 14],
    },
    F8(F8),
}

impl SignedCipher {
    pub(crate) fn new(
        profile: Profile,
        material: &SessionMaterial,
        tag_len: usize,
    ) -> Result<Self, SrtpError> {
        let stream = if profile == Profile::Aes128F8Sha1_80 {
            StreamCipher::F8(F8::new(&material.cipher, &material.salt)?)
        } else {
            let mut salt = [0; 14];
            salt.copy_from_slice(&material.salt);
            StreamCipher::Counter {
                keystream: Keystream::new(&material.cipher)?,
                salt,
            }
        };
        Ok(Self {
            stream,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &material.auth),
            tag_len,
        })
    }

    pub(crate) const fn tag_len(&self) -> usize {
        self.tag_len
    }

    /// Encrypts or decrypts what stands behind the `header` of an RTP packet; in either mode they are one.
    pub(crate) fn crypt_rtp(
        &self,
        at: Position,
        header: &[u8],
        data: &mut [u8],
    ) -> Result<(), SrtpError> {
        match &self.stream {
            StreamCipher::Counter { keystream, salt } => {
                keystream.apply(counter_block(salt, at), data)
            }
            StreamCipher::F8(f8) => {
                // Section 4.1.2.2: a zero byte, the header without its first byte, the roll-over counter.
                let mut iv = [0; BLOCK];
                iv[1..RTP_FIXED].copy_from_slice(&header[1..RTP_FIXED]);
                iv[RTP_FIXED..].copy_from_slice(&((at.index >> 16) as u32).to_be_bytes());
                f8.apply(iv, data)
            }
        }
    }

    /// Encrypts or decrypts what stands behind the `header` of an RTCP compound, its first 8 bytes, with the index `word` as
    /// it is sent.
    pub(crate) fn crypt_rtcp(
        &self,
        at: Position,
        word: [u8; 4],
        header: &[u8],
        data: &mut [u8],
    ) -> Result<(), SrtpError> {
        match &self.stream {
            StreamCipher::Counter { keystream, salt } => {
                keystream.apply(counter_block(salt, at), data)
            }
            StreamCipher::F8(f8) => {
                // Section 4.1.2.3: four zero bytes, the index word, the header.
                let mut iv = [0; BLOCK];
                iv[4..8].copy_from_slice(&word);
                iv[8..].copy_from_slice(header);
                f8.apply(iv, data)
            }
        }
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

/// The counter block: salt, SSRC and index added (RFC 3711 section 4.1.1).
fn counter_block(salt: &[u8; 14], at: Position) -> [u8; BLOCK] {
    let mut iv = [0; BLOCK];
    iv[..14].copy_from_slice(salt);
    for (byte, ssrc) in iv[4..8].iter_mut().zip(at.ssrc.to_be_bytes()) {
        *byte ^= ssrc;
    }
    for (byte, index) in iv[8..14].iter_mut().zip(&at.index.to_be_bytes()[2..]) {
        *byte ^= index;
    }
    iv
}

#[cfg(test)]
mod tests {
    use super::SignedCipher;
    use crate::cipher::Position;
    use crate::key::SessionMaterial;
    use crate::{Profile, SrtpError};
    use hex_literal::hex;
    use zeroize::Zeroizing;

    /// The keys of RFC 3711 B.1, whose salt is shorter than that of the suite.
    fn f8() -> SignedCipher {
        let material = SessionMaterial {
            cipher: Zeroizing::new(hex!("234829008467be186c3de14aae72d62c").to_vec()),
            auth: Zeroizing::new(vec![7; 20]),
            salt: Zeroizing::new(hex!("32f2870d").to_vec()),
        };
        SignedCipher::new(Profile::Aes128F8Sha1_80, &material, 10).unwrap()
    }

    #[test]
    fn the_packet_of_rfc_3711_b_1_is_sealed_from_its_header_and_roll_over_counter() {
        let header = hex!("806e5cba50681de55c621599");
        let at = Position {
            ssrc: 0x5c62_1599,
            index: 0xd462_564a_5cba,
        };
        let mut data = *b"pseudorandomness is the next best thing";
        f8().crypt_rtp(at, &header, &mut data).unwrap();
        let sealed =
            hex!("019ce7a26e7854014a6366aa95d4eefd1ad4172a14f9faf455b7f1d4b62bd08f562c0eef7c4802");
        assert_eq!(data, sealed);
        // Sources and extensions behind the fixed header are none of the vector.
        let longer = [&header[..], &[1; 24]].concat();
        f8().crypt_rtp(at, &longer, &mut data).unwrap();
        assert_eq!(&data[..12], b"pseudorandom");
    }

    #[test]
    fn all_that_the_vector_of_rtcp_names_changes_what_is_sealed() {
        let sealed = |word: [u8; 4], header: [u8; 8]| {
            let at = Position { ssrc: 0, index: 0 };
            let mut data = [0; 40];
            f8().crypt_rtcp(at, word, &header, &mut data).unwrap();
            data
        };
        let (word, header) = (hex!("80000001"), hex!("81c8000d4d617273"));
        let once = sealed(word, header);
        assert_eq!(once, sealed(word, header));
        for byte in 0..4 {
            let mut other = word;
            other[byte] ^= 1;
            assert_ne!(once, sealed(other, header), "byte {byte} of the index");
        }
        for byte in 0..8 {
            let mut other = header;
            other[byte] ^= 1;
            assert_ne!(once, sealed(word, other), "byte {byte} of the header");
        }
    }

    #[test]
    fn a_tag_is_of_what_was_sealed_and_what_is_behind_it() {
        let cipher = f8();
        let mut buf = [1; 30];
        cipher.sign(&mut buf, 20, b"0000");
        let (data, tag) = buf.split_at(20);
        assert_eq!(cipher.verify(data, b"0000", tag), Ok(()));
        assert_eq!(cipher.verify(data, b"0001", tag), Err(SrtpError::Forged));
    }
}
