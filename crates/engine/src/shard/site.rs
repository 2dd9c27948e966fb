//! Where peers are: those at one address may share the line behind it, which their router finds out.

use std::net::IpAddr;

use roomtone_sfu::TransportId;

use super::Shard;

impl Shard {
    /// Tells the router where a peer is.
    pub(super) fn tell_site(&mut self, slot: usize, remote: IpAddr) {
        let entry = &self.transports[slot];
        let (id, router) = (TransportId(entry.id), entry.router);
        let now = self.now;
        let _ = self.routers[router].router.set_site(id, site(remote), now);
    }
}

/// A number for an address, of IPv6 for its network: a line has 64 bits of addresses there (RFC 4291 section 2.5.4).
/// On this machine there is no line.
fn site(remote: IpAddr) -> Option<u128> {
    match remote.to_canonical() {
        at if at.is_loopback() => None,
        IpAddr::V4(at) => Some(u128::from(at.to_bits())),
        IpAddr::V6(at) => Some(at.to_bits() >> 64 << 64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<u128> {
        site(text.parse().unwrap())
    }

    #[test]
    fn peers_behind_one_address_or_in_one_network_are_at_one_site() {
        assert_eq!(of("192.0.2.7"), of("::ffff:192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
        assert_eq!(of("2001:db8:0:1::7"), of("2001:db8:0:1:ffff::8"));
        assert_ne!(of("2001:db8:0:1::7"), of("2001:db8:0:2::7"));
        assert_ne!(of("192.0.2.7"), None);
        assert_eq!(of("127.0.0.1").or(of("::1")), None);
    }
}
