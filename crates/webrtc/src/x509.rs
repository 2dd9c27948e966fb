//! The subject's public key in a certificate (RFC 5280 section 4.1): which kind it is, and what checks signatures of two kinds.
//!
//! Nothing else of a peer's certificate matters: it is authenticated by its fingerprint.

/// Kinds of key that need telling apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PublicKey<'a> {
    /// rsaEncryption: the encoded modulus and exponent (RFC 8017 appendix A.1.1).
    Rsa(&'a [u8]),
    /// An EC key on secp224r1: the encoded point.
    P224(&'a [u8]),
    /// Any other.
    Other,
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BIT_STRING: u8 = 0x03;
const VERSION: u8 = 0xa0;

/// 1.2.840.113549.1.1.1
const OID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1
const OID_EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.3.132.0.33
const OID_P224: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x21];

/// The key of a certificate in DER; nothing when it does not parse.
pub(crate) fn public_key(certificate: &[u8]) -> Option<PublicKey<'_>> {
    let (certificate, _) = take(certificate, SEQUENCE)?;
    let (mut fields, _) = take(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = take(fields, VERSION)?.1;
    }
    // Serial number, signature algorithm, issuer, validity, subject.
    for _ in 0..5 {
        fields = take_any(fields)?.2;
    }
    let (info, _) = take(fields, SEQUENCE)?;
    let (algorithm, rest) = take(info, SEQUENCE)?;
    let (identifier, parameters) = take(algorithm, OBJECT_IDENTIFIER)?;
    if identifier == OID_RSA {
        return bits(rest).map(PublicKey::Rsa);
    }
    let curve = take(parameters, OBJECT_IDENTIFIER).map(|(curve, _)| curve);
    if identifier == OID_EC && curve == Some(OID_P224) {
        return bits(rest).map(PublicKey::P224);
    }
    Some(PublicKey::Other)
}

/// The bytes of a bit string; the first one counts unused bits, always none here.
fn bits(bytes: &[u8]) -> Option<&[u8]> {
    let (bits, _) = take(bytes, BIT_STRING)?;
    bits.split_first().map(|(_, key)| key)
}

/// The content of the element at the front, which must have that tag, and what follows it.
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = take_any(bytes)?;
    (found == tag).then_some((content, rest))
}

fn take_any(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, bytes) = bytes.split_first()?;
    let (&first, bytes) = bytes.split_first()?;
    let (length, bytes) = if first < 0x80 {
        (usize::from(first), bytes)
    } else {
        let count = usize::from(first & 0x7f);
        // No certificate in a handshake is longer than a 24-bit length says.
        if count == 0 || count > 3 || bytes.len() < count {
            return None;
        }
        let (digits, bytes) = bytes.split_at(count);
        (
            digits
                .iter()
                .fold(0, |sum, digit| sum << 8 | usize::from(*digit)),
            bytes,
        )
    };
    (length <= bytes.len()).then(|| {
        let (content, rest) = bytes.split_at(length);
        (tag, content, rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const P224: &[u8] = include_bytes!("../tests/vectors/p224_certificate.der");
    const RSA: &[u8] = include_bytes!("../tests/vectors/rsa_certificate.der");

    #[test]
    fn the_kinds_of_key_are_told_apart() {
        assert!(matches!(public_key(P224), Some(PublicKey::P224(point)) if point.len() == 57));
        // 2,048 bits and an exponent of three bytes, with their tags and lengths.
        assert!(matches!(public_key(RSA), Some(PublicKey::Rsa(key)) if key.len() == 270));
        let ours = crate::Certificate::generate().unwrap();
        assert_eq!(public_key(ours.der()), Some(PublicKey::Other));
    }

    #[test]
    fn truncated_and_damaged_certificates_are_never_a_panic() {
        for original in [P224, RSA] {
            for length in 0..original.len() {
                let _ = public_key(&original[..length]);
                let mut damaged = original.to_vec();
                for value in [0x00, 0x7f, 0x80, 0x83, 0xff] {
                    damaged[length] = value;
                    let _ = public_key(&damaged);
                }
            }
            assert_eq!(public_key(&original[..original.len() / 4]), None);
        }
    }
}
