//! What the application gives to who may watch a stream: it opens this one stream until it expires, and says who that is.
//!
//! 28 bytes in base64url: a number that no other grant has, the second of the epoch at which it ends, and 16 bytes of
//! HMAC-SHA-256 over `roomtone live grant`, the stream's name, a zero, and these two. Whoever has the key can check it alone.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};

/// What a path has before a grant.
pub(super) const MARK: char = '~';
const PURPOSE: &[u8] = b"roomtone live grant";
const NUMBER: usize = 8;
const SIGNED: usize = NUMBER + 4;
const MAC: usize = 16;
const BYTES: usize = SIGNED + MAC;
const DIGITS: usize = (BYTES * 4).div_ceil(3);
const KEY_BYTES: usize = 32;

/// A grant that is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) number: u64,
    /// Seconds since the epoch.
    pub(crate) until: u32,
}

/// Why one is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GrantError {
    Foreign,
    Expired,
}

/// Checks grants.
pub(super) struct Grants {
    /// Without it none is good.
    key: Option<Key>,
}

impl Grants {
    /// With a key in hexadecimal digits; none where the text is empty.
    pub(super) fn new(key: &str) -> Result<Self, &'static str> {
        if key.is_empty() {
            return Ok(Self { key: None });
        }
        let digits = key.as_bytes();
        let bytes: Option<Vec<u8>> = digits
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some((nibble(*high)? << 4 | nibble(*low)?) as u8),
                _ => None,
            })
            .collect();
        match bytes {
            Some(bytes) if bytes.len() == KEY_BYTES && digits.len() == 2 * KEY_BYTES => Ok(Self {
                key: Some(Key::new(HMAC_SHA256, &bytes)),
            }),
            _ => Err("live.grant_key is not 64 hexadecimal digits"),
        }
    }

    /// The grant in a text, where it opens the stream of this name now.
    pub(super) fn check(&self, name: &str, text: &str, now_s: u64) -> Result<Grant, GrantError> {
        let bytes = decode(text).ok_or(GrantError::Foreign)?;
        let key = self.key.as_ref().ok_or(GrantError::Foreign)?;
        let (signed, mac) = bytes.split_at(SIGNED);
        let tag = sign(key, &[PURPOSE, name.as_bytes(), &[0], signed].concat());
        aws_lc_rs::constant_time::verify_slices_are_equal(&tag.as_ref()[..MAC], mac)
            .map_err(|_| GrantError::Foreign)?;
        let (number, until) = signed.split_at(NUMBER);
        let big_endian = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte))
        };
        let (number, until) = (big_endian(number), big_endian(until));
        if until <= now_s {
            return Err(GrantError::Expired);
        }
        Ok(Grant {
            number,
            until: until as u32,
        })
    }
}

fn nibble(digit: u8) -> Option<u32> {
    char::from(digit).to_digit(16)
}

/// Base64 with the alphabet of URLs and without padding (RFC 4648 section 5), of the one length there is.
fn decode(text: &str) -> Option<[u8; BYTES]> {
    if text.len() != DIGITS {
        return None;
    }
    let (mut out, mut at) = ([0; BYTES], 0);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in text.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out[at] = (held >> bits) as u8;
            at += 1;
        }
    }
    // What is left over is zero, so that a grant has one spelling.
    (held & ((1 << bits) - 1) == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by Python: `hmac.digest(bytes(range(32)), b"roomtone live grant" + b"tone\0" + struct.pack(">QI", 7, 2_000_000_000), "sha256")`.
    const GRANT: &str = "AAAAAAAAAAd3NZQAy_JxYSZ5SzBeQk_2q1bSUw";

    fn grants() -> Grants {
        Grants::new("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").unwrap()
    }

    #[test]
    fn a_grant_opens_its_stream_until_it_expires() {
        let good = Grant {
            number: 7,
            until: 2_000_000_000,
        };
        assert_eq!(grants().check("tone", GRANT, 1_999_999_999), Ok(good));
        assert_eq!(
            grants().check("tone", GRANT, 2_000_000_000),
            Err(GrantError::Expired)
        );
    }

    #[test]
    fn what_was_not_given_for_this_stream_opens_nothing() {
        let foreign = Err(GrantError::Foreign);
        assert_eq!(grants().check("tune", GRANT, 0), foreign);
        for at in 0..GRANT.len() {
            let mut changed = GRANT.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(grants().check("tone", &changed, 0), foreign, "{changed}");
        }
        for text in ["", "x", &GRANT[1..], "é"] {
            assert_eq!(grants().check("tone", text, 0), foreign, "{text}");
        }
        let keyless = Grants::new("").unwrap();
        assert_eq!(keyless.check("tone", GRANT, 0), foreign);
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        for key in ["0", "zz", &"0".repeat(63), &"+1".repeat(32)] {
            assert!(Grants::new(key).is_err(), "{key}");
        }
    }
}
