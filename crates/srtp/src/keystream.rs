//! Key streams of AES: counter mode and f8 mode, with their keys expanded once.

use crate::SrtpError;
use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;

/// Bytes of a block of AES, whatever the length of its key.
pub(crate) const BLOCK: usize = 16;
/// What a salt shorter than the key is filled up with (RFC 3711 section 4.1.2.1).
const F8_FILL: u8 = 0x55;

/// AES in counter mode.
pub(crate) struct Keystream(EncryptingKey);

impl Keystream {
    /// Takes a key of 128, 192 or 256 bits.
    pub(crate) fn new(key: &[u8]) -> Result<Self, SrtpError> {
        let algorithm = match key.len() {
            24 => &AES_192,
            32 => &AES_256,
            _ => &AES_128,
        };
        let bad_length = |_| SrtpError::KeyLength {
            len: key.len(),
            need: 16,
        };
        let unbound = UnboundCipherKey::new(algorithm, key).map_err(bad_length)?;
        Ok(Self(EncryptingKey::ctr(unbound).map_err(bad_length)?))
    }

    /// Adds the keystream that begins at `iv` to `data`.
    pub(crate) fn apply(&self, iv: [u8; BLOCK], data: &mut [u8]) -> Result<(), SrtpError> {
        let context = EncryptionContext::Iv128(FixedLength::from(iv));
        self.0
            .less_safe_encrypt(data, context)
            .map(|_| ())
            .map_err(|_| SrtpError::Cipher)
    }

    /// Encrypts one block: the first one of the keystream is just that.
    fn block(&self, block: u128) -> Result<u128, SrtpError> {
        let mut stream = [0; BLOCK];
        self.apply(block.to_be_bytes(), &mut stream)?;
        Ok(u128::from_be_bytes(stream))
    }
}

/// AES in f8 mode (RFC 3711 section 4.1.2): each block of the keystream is made of the one before. It costs a call of the
/// cipher a block, where counter mode encrypts many at once.
pub(crate) struct F8 {
    stream: Keystream,
    /// The cipher of the key with the salt added, which the vector of a packet goes through first. Once a packet.
    masked: Box<Keystream>,
}

impl F8 {
    /// Takes a session key and a session salt that is no longer.
    pub(crate) fn new(key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        let mask = salt.iter().copied().chain(std::iter::repeat(F8_FILL));
        let masked: Vec<u8> = key.iter().zip(mask).map(|(key, mask)| key ^ mask).collect();
        let masked = zeroize::Zeroizing::new(masked);
        Ok(Self {
            stream: Keystream::new(key)?,
            masked: Box::new(Keystream::new(&masked)?),
        })
    }

    /// Adds the keystream of the packet with `iv` to `data`.
    pub(crate) fn apply(&self, iv: [u8; BLOCK], data: &mut [u8]) -> Result<(), SrtpError> {
        let iv = self.masked.block(u128::from_be_bytes(iv))?;
        let mut stream = 0;
        for (count, block) in (0_u128..).zip(data.chunks_mut(BLOCK)) {
            stream = self.stream.block(iv ^ count ^ stream)?;
            for (byte, key) in block.iter_mut().zip(stream.to_be_bytes()) {
                *byte ^= key;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{F8, Keystream};
    use crate::SrtpError;
    use hex_literal::hex;

    /// Looks at the keystream blocks 0, 1, 2 and 0xFEFF to 0xFF01 of RFC 3711 B.2 and RFC 6188 7.1 and 7.3.
    fn check_blocks(key: &[u8], first: [u8; 48], last: [u8; 48]) {
        let keystream = Keystream::new(key).unwrap();
        let salt = hex!("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000");
        let mut whole = vec![0; (0xff01 + 1) * 16];
        keystream.apply(salt, &mut whole).unwrap();
        assert_eq!(whole[..48], first);
        assert_eq!(whole[0xfeff * 16..], last);
    }

    #[test]
    fn aes_128_counter_mode_of_rfc_3711_b_2() {
        check_blocks(
            &hex!("2B7E151628AED2A6ABF7158809CF4F3C"),
            hex!(
                "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB"
                "41E95B3BB0A2E8DD477901E4FCA894C0"
            ),
            hex!(
                "EC8CDF7398607CB0F2D21675EA9EA1E4362B7C3C6773516318A077D7FC5073AE"
                "6A2CC3787889374FBEB4C81B17BA6C44"
            ),
        );
    }

    #[test]
    fn aes_256_counter_mode_of_rfc_6188_7_1() {
        check_blocks(
            &hex!("57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98"),
            hex!(
                "92bdd28a93c3f52511c677d08b5515a49da71b2378a854f67050756ded165bac"
                "63c4868b7096d88421b563b8c94c9a31"
            ),
            hex!(
                "cea518c90fd91ced9cbb18c078a547113dbc4814f4da5f00a08772b63c6a046d"
                "6eb246913062a16891433e97dd01a57f"
            ),
        );
    }

    #[test]
    fn aes_192_counter_mode_of_rfc_6188_7_3() {
        check_blocks(
            &hex!("eab234764e517b2d3d160d587d8c86219740f65f99b6bcf7"),
            hex!(
                "35096cba4610028dc1b57503804ce37c5de986291dcce161d5165ec4568f5c9a"
                "474a40c77894bc17180202272a4c264d"
            ),
            hex!(
                "d108d1a31a00bad6367ec23eb044b415c8f57129fdeb970b59f917b257662d4c"
                "a5dab625811034e8cebdfeb6dc158dd3"
            ),
        );
    }

    #[test]
    fn f8_mode_of_rfc_3711_b_1() {
        let key = hex!("234829008467be186c3de14aae72d62c");
        let f8 = F8::new(&key, &hex!("32f2870d")).unwrap();
        let iv = hex!("006e5cba50681de55c621599d462564a");
        let plain = *b"pseudorandomness is the next best thing";
        let sealed =
            hex!("019ce7a26e7854014a6366aa95d4eefd1ad4172a14f9faf455b7f1d4b62bd08f562c0eef7c4802");
        let mut data = plain;
        f8.apply(iv, &mut data).unwrap();
        assert_eq!(data, sealed);
        f8.apply(iv, &mut data).unwrap();
        assert_eq!(data, plain);
    }

    #[test]
    fn keys_of_other_lengths_are_refused() {
        for len in [0, 15, 17, 23, 33] {
            let refused = Keystream::new(&vec![0; len]).err();
            assert_eq!(refused, Some(SrtpError::KeyLength { len, need: 16 }));
        }
    }
}
