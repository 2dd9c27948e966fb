//! Extensions that say which stream a packet belongs to (RFC 8843, RFC 8852).

use super::{ExtensionError, ExtensionKind, ExtensionValue, put};

/// The longest value: what the two-byte form can carry.
const MAX_LEN: usize = 255;

/// A media identification tag: an SDP token (RFC 5888 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mid<'a>(pub &'a str);

/// The id of an RTP stream: letters and digits (RFC 8852 section 3; `-` and `_` as RFC 8851 has).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rid<'a>(pub &'a str);

/// The id of the RTP stream that this one repairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RepairedRid<'a>(pub &'a str);

/// RFC 4566's `token`.
fn is_token(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'~')
}

fn is_rid(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn text(
    kind: ExtensionKind,
    value: &[u8],
    allowed: fn(u8) -> bool,
) -> Result<&str, ExtensionError> {
    if value.is_empty() || value.len() > MAX_LEN {
        return Err(ExtensionError::Length(kind));
    }
    if !value.iter().all(|byte| allowed(*byte)) {
        return Err(ExtensionError::Value(kind));
    }
    std::str::from_utf8(value).map_err(|_| ExtensionError::Value(kind))
}

macro_rules! text_value {
    ($name:ident, $allowed:expr) => {
        impl<'a> ExtensionValue<'a> for $name<'a> {
            const KIND: ExtensionKind = ExtensionKind::$name;

            #[inline]
            fn decode(value: &'a [u8]) -> Result<Self, ExtensionError> {
                text(Self::KIND, value, $allowed).map(Self)
            }

            fn encode(&self, out: &mut [u8]) -> Result<usize, ExtensionError> {
                put(
                    out,
                    text(Self::KIND, self.0.as_bytes(), $allowed)?.as_bytes(),
                )
            }
        }
    };
}

text_value!(Mid, is_token);
text_value!(Rid, is_rid);
text_value!(RepairedRid, is_rid);
