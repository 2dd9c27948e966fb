//! Ports of datagrams: RTP with RTCP above it, or MPEG-TS.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, SockRef, Socket, Type};

use crate::sys::enable_gro;

/// Tries for a pair where any port will do.
const TRIES: usize = 32;
/// Strangers that are told of, a port; further ones are only counted.
const MAX_TOLD: usize = 64;

/// A port.
pub(in crate::ingest) struct Port {
    /// The listener, or the input whose own it is.
    pub(super) id: u64,
    pub(super) rtp: UdpSocket,
    /// None where no RTP comes.
    pub(super) rtcp: Option<UdpSocket>,
    /// Sources of which was told that nobody takes what they send.
    told: Vec<SocketAddr>,
}

impl Port {
    /// Listen at `address`, and above it where RTP is to come.
    pub(super) fn open(id: u64, address: SocketAddr, with_rtcp: bool) -> io::Result<Self> {
        let (rtp, rtcp) = if with_rtcp {
            pair(address)?
        } else {
            (bind(address)?, None)
        };
        Ok(Self {
            id,
            rtp,
            rtcp,
            told: Vec::new(),
        })
    }

    pub(super) fn number(&self) -> io::Result<u16> {
        Ok(self.rtp.local_addr()?.port())
    }

    /// Whether to tell of a source that nobody takes: once each, and of so many.
    pub(super) fn tells(&mut self, from: SocketAddr) -> bool {
        let tells = self.told.len() < MAX_TOLD && !self.told.contains(&from);
        if tells {
            self.told.push(from);
        }
        tells
    }

    /// There is another input: who was a stranger may be none any more.
    pub(super) fn forget_told(&mut self) {
        self.told.clear();
    }
}

/// RTP goes to an even port and RTCP to the one above (RFC 3550 section 11).
pub(in crate::ingest) fn pair(address: SocketAddr) -> io::Result<(UdpSocket, Option<UdpSocket>)> {
    let above = |rtp: &UdpSocket| {
        let port = rtp.local_addr()?.port().checked_add(1);
        let port = port.ok_or(io::ErrorKind::AddrNotAvailable)?;
        bind(SocketAddr::new(address.ip(), port))
    };
    if address.port() != 0 {
        let rtp = bind(address)?;
        let rtcp = above(&rtp)?;
        return Ok((rtp, Some(rtcp)));
    }
    // Kept until a pair is found, so that the kernel gives others.
    let mut odd = Vec::new();
    for _ in 0..TRIES {
        let rtp = bind(address)?;
        if rtp.local_addr()?.port() % 2 == 0
            && let Ok(rtcp) = above(&rtp)
        {
            return Ok((rtp, Some(rtcp)));
        }
        odd.push(rtp);
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// A group of multicast is joined; others of this machine may have joined it too.
fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_nonblocking(true)?;
    let is_group = address.ip().is_multicast();
    if is_group {
        socket.set_reuse_address(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    match address.ip() {
        IpAddr::V4(group) if is_group => {
            socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)?;
        }
        IpAddr::V6(group) if is_group => socket.join_multicast_v6(&group, 0)?,
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    let socket = UdpSocket::from(socket);
    // A burst of a picture. What cannot be had is done without.
    let _ = SockRef::from(&socket).set_recv_buffer_size(4 << 20);
    let _ = enable_gro(&socket);
    Ok(socket)
}

/// Where something comes from: an address, and a port if that was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remote {
    ip: IpAddr,
    port: Option<u16>,
}

impl Remote {
    /// Of `IP` or `IP:PORT`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            let port = Some(address.port());
            return Some(Self {
                ip: address.ip(),
                port,
            });
        }
        let ip = text.parse().ok()?;
        Some(Self { ip, port: None })
    }

    pub(super) fn is(self, from: SocketAddr) -> bool {
        let ip = match from.ip() {
            IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4),
            ip @ IpAddr::V4(_) => ip,
        };
        // RTCP comes from the port above.
        let is_port = |port: u16| port == from.port() || port.checked_add(1) == Some(from.port());
        self.ip == ip && self.port.is_none_or(is_port)
    }

    /// Whether something may come from both.
    pub(super) fn meets(self, other: Self) -> bool {
        let same = |(one, other): (u16, u16)| one == other;
        self.ip == other.ip && self.port.zip(other.port).is_none_or(same)
    }
}

/// Where ports are opened where nothing else is said.
pub(super) const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_an_even_port_and_the_one_above() {
        let port = Port::open(1, "127.0.0.1:0".parse().unwrap(), true).unwrap();
        let (rtp, rtcp) = (port.number().unwrap(), port.rtcp.unwrap());
        assert_eq!(rtp % 2, 0);
        assert_eq!(rtcp.local_addr().unwrap().port(), rtp + 1);
    }

    #[test]
    fn a_remote_without_a_port_is_all_of_its_address() {
        let one = Remote::parse("192.0.2.1").unwrap();
        let other = Remote::parse("192.0.2.1:5000").unwrap();
        let from = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert!(one.is(from("192.0.2.1:7")) && one.is(from("[::ffff:192.0.2.1]:7")));
        assert!(other.is(from("192.0.2.1:5000")) && other.is(from("192.0.2.1:5001")));
        assert!(!other.is(from("192.0.2.1:5002")) && !one.is(from("192.0.2.2:7")));
        assert!(one.meets(other) && !other.meets(Remote::parse("192.0.2.1:5002").unwrap()));
        assert_eq!(Remote::parse("example.org"), None);
    }
}
