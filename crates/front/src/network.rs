//! An address range, `10.0.0.0/8` or a single address.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A range of IP addresses in CIDR notation (RFC 4632; RFC 4291 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix_len: u8,
}

/// Text that is no address range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address or a network such as 10.0.0.0/8")]
pub struct NetworkError(String);

impl Network {
    /// Whether `address` lies in this network; IPv4-mapped IPv6 addresses count as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                same_prefix(&own.octets(), &other.octets(), self.prefix_len)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                same_prefix(&own.octets(), &other.octets(), self.prefix_len)
            }
            _ => false,
        }
    }
}

fn same_prefix(a: &[u8], b: &[u8], bits: u8) -> bool {
    let whole = usize::from(bits / 8);
    let rest = bits % 8;
    a[..whole] == b[..whole] && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0)
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let bad = || NetworkError(text.to_owned());
        let (address, prefix_len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len.parse::<u8>().map_err(|_| bad())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix_len = prefix_len.unwrap_or(longest);
        if prefix_len > longest {
            return Err(bad());
        }
        Ok(Self {
            address,
            prefix_len,
        })
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_that_ends_inside_a_byte_is_compared_bit_by_bit() {
        assert!(network("10.128.0.0/9").contains(address("10.255.1.1")));
        assert!(!network("10.128.0.0/9").contains(address("10.127.1.1")));
    }

    #[test]
    fn a_single_address_contains_only_itself() {
        assert!(network("192.0.2.1").contains(address("192.0.2.1")));
        assert!(!network("192.0.2.1").contains(address("192.0.2.2")));
        assert!(network("::1").contains(address("::1")));
    }

    #[test]
    fn mapped_addresses_count_as_ipv4() {
        assert!(network("127.0.0.0/8").contains(address("::ffff:127.0.0.1")));
        assert!(!network("::/0").contains(address("::ffff:127.0.0.1")));
    }

    #[test]
    fn the_empty_prefix_contains_its_whole_family() {
        assert!(network("0.0.0.0/0").contains(address("203.0.113.9")));
        assert!(!network("0.0.0.0/0").contains(address("2001:db8::1")));
    }

    #[test]
    fn text_that_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "host/8",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
