//! Who the client is, where proxies stand between it and us.
//!
//! `Forwarded` (RFC 7239) and `X-Forwarded-*` of strangers are dropped; those of trusted proxies are read. The
//! application always gets exactly one value of each, so first-entry and last-entry readings agree.

mod rfc7239;

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::{HOST, HeaderName, HeaderValue};

use crate::network::Network;

/// The scheme a client used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What is believed about the origin of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    pub(crate) scheme: Scheme,
    pub(crate) host: Option<HeaderValue>,
    /// Whether the peer itself is a trusted proxy.
    pub(crate) by_proxy: bool,
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Finds the client: the peer, or what the nearest trusted proxies say. `headers` carry `Host`.
pub(crate) fn resolve(
    headers: &HeaderMap,
    peer: IpAddr,
    scheme: Scheme,
    trusted: &[Network],
) -> Client {
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    let peer = peer.to_canonical();
    let mut client = Client {
        address: peer,
        scheme,
        host: headers.get(HOST).cloned(),
        by_proxy: is_trusted(peer),
    };
    if !client.by_proxy {
        return client;
    }
    let claims = Claims::read(headers);
    // Each proxy appends whom it heard from, so belief goes from the right up to the first stranger.
    for entry in claims.addresses.iter().rev() {
        match parse_address(entry) {
            Some(address) if is_trusted(client.address) => client.address = address,
            _ => break,
        }
    }
    match claims.proto {
        Some(proto) if proto.eq_ignore_ascii_case("https") => client.scheme = Scheme::Https,
        Some(proto) if proto.eq_ignore_ascii_case("http") => client.scheme = Scheme::Http,
        _ => {}
    }
    client.host = claims
        .host
        .and_then(|host| host.parse().ok())
        .or(client.host);
    client
}

/// What proxies say, nearest last; scheme and host are the nearest's.
struct Claims {
    addresses: Vec<String>,
    proto: Option<String>,
    host: Option<String>,
}

impl Claims {
    /// `X-Forwarded-*`, which most proxies write, else `Forwarded`; never a mixture.
    fn read(headers: &HeaderMap) -> Self {
        let last = |name| entries(headers, name).last().map(|&text| text.to_owned());
        if headers.contains_key(FORWARDED_FOR) || headers.contains_key(FORWARDED_PROTO) {
            let addresses = entries(headers, &FORWARDED_FOR);
            return Self {
                addresses: addresses.into_iter().map(str::to_owned).collect(),
                proto: last(&FORWARDED_PROTO),
                host: last(&FORWARDED_HOST),
            };
        }
        let elements = rfc7239::elements(headers);
        let nearest = elements.last().cloned().unwrap_or_default();
        Self {
            // An element without `for` is unknown, which ends the walk.
            addresses: elements
                .into_iter()
                .map(|one| one.from.unwrap_or_default())
                .collect(),
            proto: nearest.proto,
            host: nearest.host,
        }
    }
}

/// Replaces all forwarding headers by our own.
pub(crate) fn rewrite(headers: &mut HeaderMap, client: &Client) {
    strip(headers);
    let address = HeaderValue::try_from(client.address.to_string());
    headers.insert(FORWARDED_FOR, address.expect("an address is ASCII"));
    headers.insert(
        FORWARDED_PROTO,
        HeaderValue::from_static(client.scheme.as_str()),
    );
    if let Some(host) = &client.host {
        headers.insert(FORWARDED_HOST, host.clone());
    }
}

fn strip(headers: &mut HeaderMap) {
    let claims: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_claim(name.as_str()))
        .cloned()
        .collect();
    for name in claims {
        headers.remove(name);
    }
}

fn is_claim(name: &str) -> bool {
    name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-forwarded" | "x-real-ip")
}

fn entries<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .collect()
}

/// An address as proxies write it: bare, with a port, or an IPv6 address in brackets.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()))
        .ok()
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    fn resolved(pairs: &[(&'static str, &'static str)], peer: &str, trusted: &[&str]) -> Client {
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        resolve(
            &headers(pairs),
            peer.parse().unwrap(),
            Scheme::Http,
            &trusted,
        )
    }

    #[test]
    fn a_stranger_is_not_believed() {
        let claims = [
            ("host", "here"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
        ];
        let client = resolved(&claims, "192.0.2.7", &["10.0.0.0/8"]);
        assert_eq!(client.address, "192.0.2.7".parse::<IpAddr>().unwrap());
        assert_eq!(client.scheme, Scheme::Http);
        assert_eq!(client.host.unwrap(), "here");
    }

    #[test]
    fn a_trusted_proxy_is_believed() {
        let claims = [
            ("host", "inner"),
            ("x-forwarded-for", "198.51.100.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "example.org"),
        ];
        let client = resolved(&claims, "10.0.0.2", &["10.0.0.0/8"]);
        assert_eq!(client.address, "198.51.100.9".parse::<IpAddr>().unwrap());
        assert_eq!(client.scheme, Scheme::Https);
        assert_eq!(client.host.unwrap(), "example.org");
    }

    #[test]
    fn the_standard_header_of_a_trusted_proxy_is_read_too() {
        let claims = [(
            "forwarded",
            "for=6.6.6.6, for=\"[2001:db8::9]:80\";proto=https;host=example.org",
        )];
        let client = resolved(&claims, "10.0.0.2", &["10.0.0.0/8"]);
        assert_eq!(client.address, "2001:db8::9".parse::<IpAddr>().unwrap());
        assert_eq!(client.scheme, Scheme::Https);
        assert_eq!(client.host.unwrap(), "example.org");
    }

    #[test]
    fn belief_ends_at_the_first_stranger_from_the_right() {
        let claims = [
            ("x-forwarded-for", "6.6.6.6, 198.51.100.9"),
            ("x-forwarded-for", "10.0.0.3"),
        ];
        let client = resolved(&claims, "10.0.0.2", &["10.0.0.0/8"]);
        assert_eq!(client.address, "198.51.100.9".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn an_entry_that_is_no_address_ends_the_walk() {
        let claims = [("x-forwarded-for", "198.51.100.9, unknown")];
        let client = resolved(&claims, "10.0.0.2", &["10.0.0.0/8"]);
        assert_eq!(client.address, "10.0.0.2".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn addresses_may_carry_ports_and_brackets() {
        for (text, address) in [
            ("192.0.2.1:99", "192.0.2.1"),
            ("[2001:db8::1]:99", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(
                parse_address(text),
                Some(address.parse().unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn only_our_own_values_remain() {
        let mut map = headers(&[
            ("host", "here"),
            ("forwarded", "for=1.2.3.4"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-prefix", "/evil"),
            ("x-real-ip", "1.2.3.4"),
        ]);
        let client = resolve(&map, "192.0.2.7".parse().unwrap(), Scheme::Https, &[]);
        rewrite(&mut map, &client);
        assert_eq!(map["x-forwarded-for"], "192.0.2.7");
        assert_eq!(map["x-forwarded-proto"], "https");
        assert_eq!(map["x-forwarded-host"], "here");
        assert_eq!(map.len(), 4);
    }
}
