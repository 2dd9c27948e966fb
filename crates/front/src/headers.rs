//! Headers that end at a proxy, sizes, and request ids.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::HeaderMap;
use hyper::header::{
    CONNECTION, EXPECT, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Names the bind a request came in by; only the front door writes it.
pub(crate) const BIND: HeaderName = HeaderName::from_static("x-front-bind");

const LONGEST_REQUEST_ID: usize = 64;

/// Removes what concerns one hop only (RFC 9110 section 7.6.1), and what `Connection` names.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = connection_tokens(headers)
        .filter_map(|token| token.parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        CONNECTION,
        EXPECT,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "http2-settings"] {
        headers.remove(name);
    }
}

/// The tokens of all `Connection` headers.
pub(crate) fn connection_tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// Bytes of all names and values.
pub(crate) fn total_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}

/// Hands out request ids: a random part for the process, a number for the request. Not secret.
#[derive(Debug)]
pub(crate) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        // The standard library seeds its hashers from the operating system.
        Self {
            process: RandomState::new().hash_one(0_u8),
            next: AtomicU64::new(1),
        }
    }

    /// The id a trusted proxy gave, or a new one.
    pub(crate) fn id_for(&self, headers: &HeaderMap, by_proxy: bool) -> HeaderValue {
        match headers.get(REQUEST_ID) {
            Some(given) if by_proxy && is_request_id(given.as_bytes()) => given.clone(),
            _ => self.next(),
        }
    }

    fn next(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        HeaderValue::try_from(format!("{:016x}-{number:x}", self.process))
            .expect("hexadecimal digits are a header value")
    }
}

fn is_request_id(text: &[u8]) -> bool {
    (1..=LONGEST_REQUEST_ID).contains(&text.len())
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_one_hop_is_removed() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("proxy-connection", "keep-alive"),
            ("content-type", "application/sdp"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.len(), 1);
        assert!(headers.contains_key("content-type"));
    }

    #[test]
    fn ids_of_strangers_are_replaced() {
        let ids = RequestIds::new();
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("abc-1"));
        assert_eq!(ids.id_for(&headers, true), "abc-1");
        assert_ne!(ids.id_for(&headers, false), "abc-1");
        headers.insert(REQUEST_ID, HeaderValue::from_static("a b"));
        assert_ne!(ids.id_for(&headers, true), "a b");
    }

    #[test]
    fn ids_differ() {
        let ids = RequestIds::new();
        assert_ne!(ids.next(), ids.next());
    }
}
