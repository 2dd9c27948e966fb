//! Numbers nobody can guess, out of one secret given at construction.

use crate::seq::Seq;
use aws_lc_rs::hmac;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What cookies and numbers are hashed apart by.
const COOKIE: &[u8] = b"cookie";
const NUMBER: &[u8] = b"number";

/// A keyed source of numbers, and of cookies that are recognised again without being kept.
pub(crate) struct Source {
    key: hmac::Key,
    drawn: u64,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source(redacted)")
    }
}

fn first_word(tag: &hmac::Tag) -> u32 {
    crate::packet::word(tag.as_ref(), 0)
}

impl Source {
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
            drawn: 0,
        }
    }

    pub(crate) fn number(&mut self) -> u32 {
        self.drawn += 1;
        let mut context = hmac::Context::with_key(&self.key);
        context.update(NUMBER);
        context.update(&self.drawn.to_be_bytes());
        first_word(&context.sign())
    }

    /// A socket's number: 30 bits, since the bit above them marks groups in libsrt, and never zero.
    pub(crate) fn socket(&mut self) -> u32 {
        (self.number() & 0x3fff_ffff).max(1)
    }

    pub(crate) fn seq(&mut self) -> Seq {
        Seq::new(self.number())
    }

    /// The cookie of an address in a minute.
    pub(crate) fn cookie(&self, address: SocketAddr, minute: i64) -> u32 {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(COOKIE);
        match address.ip() {
            IpAddr::V4(ip) => context.update(&ip.octets()),
            IpAddr::V6(ip) => context.update(&ip.octets()),
        }
        context.update(&address.port().to_be_bytes());
        context.update(&minute.to_be_bytes());
        first_word(&context.sign())
    }
}
