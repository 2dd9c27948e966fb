//! STUN (RFC 8489) as far as ICE needs it: binding requests, responses and errors, read without copying.

mod crc;
mod writer;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::{constant_time, hmac};

pub use writer::StunWriter;

/// Bytes 4 to 7 of each message.
pub const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// Length of the fixed header.
pub const HEADER_LEN: usize = 20;
/// The only method ICE uses.
pub const BINDING: u16 = 0x0001;
/// Longer messages are refused: a check is far below it.
pub const MAX_MESSAGE_LEN: usize = 1500;
/// Unknown comprehension-required attributes named in a 420 response; further ones are left out.
pub const MAX_UNKNOWN_ATTRIBUTES: usize = 4;

const INTEGRITY_LEN: usize = 20;
const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// Attribute types (RFC 8489 section 18.3, RFC 8445 section 20.1).
pub(crate) mod attribute {
    pub(crate) const USERNAME: u16 = 0x0006;
    pub(crate) const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub(crate) const ERROR_CODE: u16 = 0x0009;
    pub(crate) const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    pub(crate) const REALM: u16 = 0x0014;
    pub(crate) const NONCE: u16 = 0x0015;
    pub(crate) const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
    pub(crate) const PASSWORD_ALGORITHM: u16 = 0x001d;
    pub(crate) const USERHASH: u16 = 0x001e;
    pub(crate) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub(crate) const PRIORITY: u16 = 0x0024;
    pub(crate) const USE_CANDIDATE: u16 = 0x0025;
    pub(crate) const FINGERPRINT: u16 = 0x8028;
    pub(crate) const ICE_CONTROLLED: u16 = 0x8029;
    pub(crate) const ICE_CONTROLLING: u16 = 0x802a;
}

/// What is wrong with a STUN message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StunError {
    /// Shorter than its header or than it says, longer than allowed, or not a multiple of four.
    #[error("wrong length")]
    Length,
    /// No magic cookie or wrong first bits.
    #[error("not STUN")]
    NotStun,
    /// An attribute runs over the end or has the wrong size.
    #[error("malformed attribute")]
    Attribute,
    /// FINGERPRINT is wrong or not last.
    #[error("wrong fingerprint")]
    Fingerprint,
    /// USERNAME or MESSAGE-INTEGRITY is missing.
    #[error("no credentials in the message")]
    MissingCredentials,
    /// Nobody here has that username.
    #[error("unknown username")]
    UnknownUser,
    /// MESSAGE-INTEGRITY does not match.
    #[error("wrong message integrity")]
    Integrity,
    /// A response to nothing we asked.
    #[error("unexpected response")]
    UnexpectedResponse,
    /// A method other than Binding.
    #[error("unexpected method")]
    Method,
    /// Comprehension-required attributes we do not know.
    #[error("unknown comprehension-required attribute")]
    UnknownAttribute,
    /// The peer claims our role.
    #[error("role conflict")]
    RoleConflict,
}

/// Class of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StunClass {
    /// Wants a response.
    Request,
    /// Wants none.
    Indication,
    /// Success response.
    Success,
    /// Error response.
    Error,
}

/// A key for MESSAGE-INTEGRITY, expanded once.
#[derive(Clone)]
pub struct IntegrityKey(hmac::Key);

impl IntegrityKey {
    /// The short-term key of an ICE password (RFC 8489 section 9.1.1).
    pub fn new(password: &str) -> Self {
        Self(hmac::Key::new(
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            password.as_bytes(),
        ))
    }

    /// HMAC over a message up to its MESSAGE-INTEGRITY attribute, with the length field counting that attribute.
    fn tag(&self, before: &[u8]) -> hmac::Tag {
        let length = (before.len() - HEADER_LEN + 4 + INTEGRITY_LEN) as u16;
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&before[..2]);
        context.update(&length.to_be_bytes());
        context.update(&before[4..]);
        context.sign()
    }
}

impl std::fmt::Debug for IntegrityKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IntegrityKey(hidden)")
    }
}

/// A parsed message that borrows its datagram.
#[derive(Debug, Clone)]
pub struct StunMessage<'a> {
    bytes: &'a [u8],
    /// Request, indication or response.
    pub class: StunClass,
    /// Method; [`BINDING`] in ICE.
    pub method: u16,
    /// Ties a response to its request.
    pub transaction: [u8; 12],
    /// USERNAME, where it is UTF-8.
    pub username: Option<&'a str>,
    /// PRIORITY.
    pub priority: Option<u32>,
    /// USE-CANDIDATE is present.
    pub use_candidate: bool,
    /// ICE-CONTROLLING with its tie-breaker.
    pub controlling: Option<u64>,
    /// ICE-CONTROLLED with its tie-breaker.
    pub controlled: Option<u64>,
    /// XOR-MAPPED-ADDRESS.
    pub mapped_address: Option<SocketAddr>,
    /// The number in ERROR-CODE.
    pub error_code: Option<u16>,
    /// Whether FINGERPRINT is present (and then it is right).
    pub has_fingerprint: bool,
    integrity_at: Option<usize>,
    unknown: [u16; MAX_UNKNOWN_ATTRIBUTES],
    unknown_count: usize,
}

impl<'a> StunMessage<'a> {
    /// Parses one datagram. Attributes behind MESSAGE-INTEGRITY are ignored but for FINGERPRINT (RFC 8489 section 14.5).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, StunError> {
        if bytes.len() < HEADER_LEN || bytes.len() > MAX_MESSAGE_LEN {
            return Err(StunError::Length);
        }
        if bytes[0] & 0xc0 != 0 || bytes[4..8] != MAGIC_COOKIE {
            return Err(StunError::NotStun);
        }
        if HEADER_LEN + usize::from(read_u16(bytes, 2)) != bytes.len()
            || !bytes.len().is_multiple_of(4)
        {
            return Err(StunError::Length);
        }
        let (class, method) = split_type(read_u16(bytes, 0));
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&bytes[8..20]);
        let mut message = Self {
            bytes,
            class,
            method,
            transaction,
            username: None,
            priority: None,
            use_candidate: false,
            controlling: None,
            controlled: None,
            mapped_address: None,
            error_code: None,
            has_fingerprint: false,
            integrity_at: None,
            unknown: [0; MAX_UNKNOWN_ATTRIBUTES],
            unknown_count: 0,
        };
        message.parse_attributes()?;
        Ok(message)
    }

    fn parse_attributes(&mut self) -> Result<(), StunError> {
        let bytes = self.bytes;
        let mut at = HEADER_LEN;
        while at < bytes.len() {
            let (kind, value) = attribute_at(bytes, at)?;
            if self.has_fingerprint {
                return Err(StunError::Fingerprint);
            }
            if kind == attribute::FINGERPRINT {
                self.check_fingerprint(at, value)?;
            } else if self.integrity_at.is_none() {
                self.take_attribute(kind, value, at)?;
            }
            at += 4 + value.len().next_multiple_of(4);
        }
        Ok(())
    }

    fn take_attribute(&mut self, kind: u16, value: &'a [u8], at: usize) -> Result<(), StunError> {
        match kind {
            attribute::USERNAME => {
                self.username = Some(std::str::from_utf8(value).map_err(|_| StunError::Attribute)?);
            }
            attribute::MESSAGE_INTEGRITY => {
                if value.len() != INTEGRITY_LEN {
                    return Err(StunError::Attribute);
                }
                self.integrity_at = Some(at);
            }
            attribute::PRIORITY => self.priority = Some(u32::from_be_bytes(fixed(value)?)),
            attribute::USE_CANDIDATE => self.use_candidate = true,
            attribute::ICE_CONTROLLING => {
                self.controlling = Some(u64::from_be_bytes(fixed(value)?));
            }
            attribute::ICE_CONTROLLED => self.controlled = Some(u64::from_be_bytes(fixed(value)?)),
            attribute::XOR_MAPPED_ADDRESS => {
                self.mapped_address = Some(read_xor_address(value, &self.transaction)?);
            }
            attribute::ERROR_CODE => {
                let [_, _, class, number] = fixed(value.get(..4).ok_or(StunError::Attribute)?)?;
                self.error_code = Some(u16::from(class & 7) * 100 + u16::from(number));
            }
            attribute::UNKNOWN_ATTRIBUTES
            | attribute::REALM
            | attribute::NONCE
            | attribute::MESSAGE_INTEGRITY_SHA256
            | attribute::PASSWORD_ALGORITHM
            | attribute::USERHASH => {}
            required if required < 0x8000 => {
                if let Some(slot) = self.unknown.get_mut(self.unknown_count) {
                    *slot = required;
                    self.unknown_count += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn check_fingerprint(&mut self, at: usize, value: &[u8]) -> Result<(), StunError> {
        let expected = crc::crc32(&self.bytes[..at]) ^ FINGERPRINT_XOR;
        if fixed::<4>(value)? != expected.to_be_bytes() {
            return Err(StunError::Fingerprint);
        }
        self.has_fingerprint = true;
        Ok(())
    }

    /// Whether MESSAGE-INTEGRITY is there at all.
    pub fn has_integrity(&self) -> bool {
        self.integrity_at.is_some()
    }

    /// Checks MESSAGE-INTEGRITY in constant time.
    pub fn verify_integrity(&self, key: &IntegrityKey) -> bool {
        let Some(at) = self.integrity_at else {
            return false;
        };
        let tag = key.tag(&self.bytes[..at]);
        let value = &self.bytes[at + 4..at + 4 + INTEGRITY_LEN];
        constant_time::verify_slices_are_equal(tag.as_ref(), value).is_ok()
    }

    /// The two halves of USERNAME: the receiver's fragment, then the sender's.
    pub fn split_username(&self) -> Option<(&'a str, &'a str)> {
        self.username?.split_once(':')
    }

    /// Comprehension-required attributes we do not know, the first few.
    pub fn unknown_attributes(&self) -> &[u16] {
        &self.unknown[..self.unknown_count]
    }

    /// Length of the datagram.
    pub fn wire_len(&self) -> usize {
        self.bytes.len()
    }
}

/// The two halves of USERNAME in a binding request, found without checking anything else: (ours, theirs).
pub fn stun_username(data: &[u8]) -> Option<(&str, &str)> {
    if !crate::address::is_stun(data) || read_u16(data, 0) != BINDING {
        return None;
    }
    let mut at = HEADER_LEN;
    while at < data.len() {
        let (kind, value) = attribute_at(data, at).ok()?;
        if kind == attribute::USERNAME {
            return std::str::from_utf8(value).ok()?.split_once(':');
        }
        at += 4 + value.len().next_multiple_of(4);
    }
    None
}

fn split_type(field: u16) -> (StunClass, u16) {
    let class = match (field & 0x0100 != 0, field & 0x0010 != 0) {
        (false, false) => StunClass::Request,
        (false, true) => StunClass::Indication,
        (true, false) => StunClass::Success,
        (true, true) => StunClass::Error,
    };
    let method = (field & 0x000f) | ((field & 0x00e0) >> 1) | ((field & 0x3e00) >> 2);
    (class, method)
}

fn attribute_at(bytes: &[u8], at: usize) -> Result<(u16, &[u8]), StunError> {
    if at + 4 > bytes.len() {
        return Err(StunError::Attribute);
    }
    let length = usize::from(read_u16(bytes, at + 2));
    let value = bytes
        .get(at + 4..at + 4 + length)
        .ok_or(StunError::Attribute)?;
    Ok((read_u16(bytes, at), value))
}

fn read_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], StunError> {
    value.try_into().map_err(|_| StunError::Attribute)
}

/// RFC 8489 section 14.2.
fn read_xor_address(value: &[u8], transaction: &[u8; 12]) -> Result<SocketAddr, StunError> {
    let (family, port) = match value {
        [_, family, high, low, ..] => (*family, u16::from_be_bytes([*high, *low]) ^ 0x2112),
        _ => return Err(StunError::Attribute),
    };
    let ip = match family {
        1 => {
            let raw = u32::from_be_bytes(fixed(&value[4..])?) ^ u32::from_be_bytes(MAGIC_COOKIE);
            IpAddr::V4(Ipv4Addr::from(raw))
        }
        2 => {
            let mut raw: [u8; 16] = fixed(&value[4..])?;
            for (byte, key) in raw.iter_mut().zip(MAGIC_COOKIE.iter().chain(transaction)) {
                *byte ^= key;
            }
            IpAddr::V6(Ipv6Addr::from(raw))
        }
        _ => return Err(StunError::Attribute),
    };
    Ok(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests;
