//! Building STUN messages.

use std::net::{IpAddr, SocketAddr};

use super::{
    BINDING, FINGERPRINT_XOR, HEADER_LEN, IntegrityKey, MAGIC_COOKIE, StunClass, attribute, crc,
};

/// Appends attributes to a message and closes it with integrity and fingerprint.
#[derive(Debug)]
pub struct StunWriter {
    bytes: Vec<u8>,
}

impl StunWriter {
    /// A binding message of that class.
    pub fn binding(class: StunClass, transaction: &[u8; 12]) -> Self {
        let class_bits = match class {
            StunClass::Request => 0x0000,
            StunClass::Indication => 0x0010,
            StunClass::Success => 0x0100,
            StunClass::Error => 0x0110,
        };
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&(BINDING | class_bits).to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&MAGIC_COOKIE);
        bytes.extend_from_slice(transaction);
        Self { bytes }
    }

    /// Appends any attribute, padded to four bytes.
    #[must_use]
    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.extend_from_slice(&kind.to_be_bytes());
        self.bytes
            .extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// USERNAME.
    #[must_use]
    pub fn username(self, username: &str) -> Self {
        self.attribute(attribute::USERNAME, username.as_bytes())
    }

    /// PRIORITY.
    #[must_use]
    pub fn priority(self, priority: u32) -> Self {
        self.attribute(attribute::PRIORITY, &priority.to_be_bytes())
    }

    /// USE-CANDIDATE.
    #[must_use]
    pub fn use_candidate(self) -> Self {
        self.attribute(attribute::USE_CANDIDATE, &[])
    }

    /// ICE-CONTROLLING.
    #[must_use]
    pub fn controlling(self, tie_breaker: u64) -> Self {
        self.attribute(attribute::ICE_CONTROLLING, &tie_breaker.to_be_bytes())
    }

    /// ICE-CONTROLLED.
    #[must_use]
    pub fn controlled(self, tie_breaker: u64) -> Self {
        self.attribute(attribute::ICE_CONTROLLED, &tie_breaker.to_be_bytes())
    }

    /// XOR-MAPPED-ADDRESS (RFC 8489 section 14.2).
    #[must_use]
    pub fn mapped_address(self, address: SocketAddr) -> Self {
        let port = (address.port() ^ 0x2112).to_be_bytes();
        let mut value = [0; 20];
        let (family, length) = match address.ip() {
            IpAddr::V4(ip) => {
                value[4..8].copy_from_slice(&ip.octets());
                (1, 8)
            }
            IpAddr::V6(ip) => {
                value[4..20].copy_from_slice(&ip.octets());
                (2, 20)
            }
        };
        value[1] = family;
        value[2..4].copy_from_slice(&port);
        // The key is the cookie and the transaction: bytes 4 to 19 of the header.
        for (byte, key) in value[4..length].iter_mut().zip(&self.bytes[4..HEADER_LEN]) {
            *byte ^= key;
        }
        self.attribute(attribute::XOR_MAPPED_ADDRESS, &value[..length])
    }

    /// ERROR-CODE without a phrase: the number says it and the answer stays smaller than the question.
    #[must_use]
    pub fn error_code(self, code: u16) -> Self {
        self.attribute(
            attribute::ERROR_CODE,
            &[0, 0, (code / 100) as u8, (code % 100) as u8],
        )
    }

    /// UNKNOWN-ATTRIBUTES.
    #[must_use]
    pub fn unknown_attributes(self, kinds: &[u16]) -> Self {
        let value: Vec<u8> = kinds.iter().flat_map(|kind| kind.to_be_bytes()).collect();
        self.attribute(attribute::UNKNOWN_ATTRIBUTES, &value)
    }

    /// MESSAGE-INTEGRITY over all so far.
    #[must_use]
    pub fn integrity(self, key: &IntegrityKey) -> Self {
        let tag = key.tag(&self.bytes);
        self.attribute(attribute::MESSAGE_INTEGRITY, tag.as_ref())
    }

    /// FINGERPRINT, the last attribute, and the finished message.
    pub fn finish(mut self) -> Vec<u8> {
        let length = (self.bytes.len() - HEADER_LEN + 8) as u16;
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
        let value = crc::crc32(&self.bytes) ^ FINGERPRINT_XOR;
        self.attribute(attribute::FINGERPRINT, &value.to_be_bytes())
            .bytes
    }
}
