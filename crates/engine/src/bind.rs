//! Ports and sockets: what a shard listens on, what a plain transport gets, what peers are told.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use roomtone_webrtc::{Candidate, Protocol};
use socket2::{Domain, SockRef, Socket, Type};

use crate::sys::{enable_gro, interface_addresses};

/// Bytes the kernel may hold for one socket each way: a burst to some hundred peers.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
/// Bytes the kernel may hold for one plain transport's socket each way.
const PLAIN_SOCKET_BUFFER: usize = 512 * 1024;

/// Why sockets could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Every port of the range is taken.
    #[error("no port of {first} to {last} is free on {ips:?}")]
    NoPort {
        /// First of the range.
        first: u16,
        /// Last of the range.
        last: u16,
        /// Where it was tried.
        ips: Vec<IpAddr>,
    },
    /// The system refused for another reason than a taken port.
    #[error("cannot {what} on {at}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Where.
        at: String,
        /// What the system said.
        error: io::Error,
    },
}

/// The sockets of one shard on one address.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) ip: IpAddr,
    pub(crate) udp: Option<(UdpSocket, SocketAddr)>,
    /// What media leaves by, where it could be had; see [`sending_twin`].
    twin: Option<UdpSocket>,
    pub(crate) tcp: Option<(TcpListener, SocketAddr)>,
}

impl Listener {
    /// What media leaves by.
    pub(crate) fn sender(&self) -> Option<&UdpSocket> {
        let listening = self.udp.as_ref().map(|(socket, _)| socket);
        self.twin.as_ref().or(listening)
    }
}

/// The addresses to listen on: wildcards become the addresses this host has, loopback last. None given: all addresses,
/// loopback only where there is no other.
pub(crate) fn expand(listen_ips: &[IpAddr]) -> Result<Vec<IpAddr>, BindError> {
    let all = [
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    ];
    let wanted = if listen_ips.is_empty() {
        &all[..]
    } else {
        listen_ips
    };
    let mut found = Vec::new();
    for ip in wanted {
        if !ip.is_unspecified() {
            found.push(*ip);
            continue;
        }
        let here = interface_addresses().map_err(|error| BindError::System {
            what: "list the addresses",
            at: "this host".to_owned(),
            error,
        })?;
        // An address that cannot be bound now (tentative, of a vanished link) is not worth failing for here.
        found.extend(
            here.into_iter()
                .filter(|h| h.is_ipv4() == ip.is_ipv4() && UdpSocket::bind((*h, 0)).is_ok()),
        );
    }
    let mut unique = Vec::new();
    for ip in found {
        if !unique.contains(&ip) {
            unique.push(ip);
        }
    }
    // Asked for nothing in particular, loopback serves only a host that has nothing else.
    if listen_ips.is_empty() && unique.iter().any(|ip| !ip.is_loopback()) {
        unique.retain(|ip| !ip.is_loopback());
    }
    unique.sort_by_key(IpAddr::is_loopback);
    Ok(unique)
}

/// One port of the range on all addresses, UDP and TCP as wanted; a taken port leads to the next.
pub(crate) fn bind_shard(
    ips: &[IpAddr],
    (first, last): (u16, u16),
    udp: bool,
    tcp: bool,
) -> Result<Vec<Listener>, BindError> {
    for port in first..=last.max(first) {
        match ips
            .iter()
            .map(|ip| bind_listener(*ip, port, udp, tcp))
            .collect()
        {
            Err(BindError::System { error, .. })
                if error.kind() == io::ErrorKind::AddrInUse && port != 0 => {}
            done => return done,
        }
    }
    Err(BindError::NoPort {
        first,
        last,
        ips: ips.to_vec(),
    })
}

fn bind_listener(ip: IpAddr, port: u16, udp: bool, tcp: bool) -> Result<Listener, BindError> {
    let at = SocketAddr::new(ip, port);
    let failed = |what| {
        move |error| BindError::System {
            what,
            at: at.to_string(),
            error,
        }
    };
    let udp = udp
        .then(|| bind_udp(at, SOCKET_BUFFER))
        .transpose()
        .map_err(failed("open a UDP port"))?;
    if let Some((socket, _)) = &udp {
        // Kernels before 5.0 have no GRO for UDP; datagrams then come one by one.
        let _ = enable_gro(socket);
    }
    let tcp = tcp
        .then(|| bind_tcp(at))
        .transpose()
        .map_err(failed("listen for TCP"))?;
    // Without it media leaves by the socket it comes in by, which only costs more.
    let twin = udp
        .as_ref()
        .and_then(|(socket, local)| sending_twin(socket, *local).ok());
    Ok(Listener { ip, udp, twin, tcp })
}

fn bind_udp(at: SocketAddr, buffer: usize) -> io::Result<(UdpSocket, SocketAddr)> {
    let socket = Socket::new(
        Domain::for_address(at),
        Type::DGRAM.nonblocking().cloexec(),
        None,
    )?;
    socket.bind(&at.into())?;
    // The kernel cuts these to what the administrator allows; less is no error.
    socket.set_recv_buffer_size(buffer)?;
    socket.set_send_buffer_size(buffer)?;
    let socket = UdpSocket::from(socket);
    // Each call has four sockets: what is known is not asked for.
    let local = if at.port() == 0 {
        socket.local_addr()?
    } else {
        at
    };
    Ok((socket, local))
}

/// A second socket on the port of `first`, which only sends. Connected to itself, it takes no datagram of anybody else.
/// Nobody waits for it, so the kernel does not look with each datagram that left whom to tell that there is room again,
/// as it does for a socket in a poller.
fn sending_twin(first: &UdpSocket, local: SocketAddr) -> io::Result<UdpSocket> {
    twin(first, local, local, SOCKET_BUFFER)
}

/// A second socket on the port of `first`, a plain transport's, for what goes to `remote` and comes from there.
pub(crate) fn connected_twin(
    first: &UdpSocket,
    local: SocketAddr,
    remote: SocketAddr,
) -> io::Result<UdpSocket> {
    let twin = twin(first, local, remote, PLAIN_SOCKET_BUFFER)?;
    SockRef::from(&twin).set_recv_buffer_size(PLAIN_SOCKET_BUFFER)?;
    Ok(twin)
}

fn twin(
    first: &UdpSocket,
    local: SocketAddr,
    remote: SocketAddr,
    buffer: usize,
) -> io::Result<UdpSocket> {
    let twin = Socket::new(Domain::for_address(local), Type::DGRAM, None)?;
    twin.set_nonblocking(true)?;
    twin.set_send_buffer_size(buffer)?;
    let first = SockRef::from(first);
    // The port was taken alone, and only for this moment may another socket join.
    first.set_reuse_port(true)?;
    twin.set_reuse_port(true)?;
    let bound = twin
        .bind(&local.into())
        .and_then(|()| twin.connect(&remote.into()));
    first.set_reuse_port(false)?;
    twin.set_reuse_port(false)?;
    bound.map(|()| twin.into())
}

fn bind_tcp(at: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    let local = listener.local_addr()?;
    Ok((listener, local))
}

/// Marks what a socket sends with a code point (RFC 2474): the six upper bits of what was the type of service.
pub(crate) fn mark(socket: &UdpSocket, local: SocketAddr, dscp: u8) -> io::Result<()> {
    let class = u32::from(dscp) << 2;
    let options = SockRef::from(socket);
    if local.is_ipv4() {
        options.set_tos_v4(class)
    } else {
        options.set_tclass_v6(class)
    }
}

/// A socket of a plain transport.
pub(crate) type PlainSocket = (UdpSocket, SocketAddr);

/// Ports of plain transports: the next free one after the last given out, so that a port rests before it comes again.
#[derive(Debug)]
pub(crate) struct PlainPorts {
    first: u16,
    last: u16,
    next: u16,
}

impl PlainPorts {
    /// Shards begin at different places of the range, so that they seldom meet.
    pub(crate) fn new((first, last): (u16, u16), shard: usize, shards: usize) -> Self {
        let span = usize::from(last.saturating_sub(first)) + 1;
        let next = first + ((span / shards.max(1)) * shard) as u16 / 2 * 2;
        Self {
            first,
            last,
            next: next.clamp(first, last),
        }
    }

    /// One socket, or two on an even port and the one after it (RFC 3550 section 11).
    pub(crate) fn open(
        &mut self,
        ip: IpAddr,
        pair: bool,
    ) -> Result<(PlainSocket, Option<PlainSocket>), BindError> {
        if self.first == 0 {
            let chosen = |error| BindError::System {
                what: "open a UDP port",
                at: ip.to_string(),
                error,
            };
            let rtp = bind_udp(SocketAddr::new(ip, 0), PLAIN_SOCKET_BUFFER).map_err(chosen)?;
            let rtcp = pair
                .then(|| bind_udp(SocketAddr::new(ip, 0), PLAIN_SOCKET_BUFFER))
                .transpose();
            return Ok((rtp, rtcp.map_err(chosen)?));
        }
        let span = u32::from(self.last - self.first) + 1;
        for _ in 0..span {
            let port = self.advance();
            if pair && (!port.is_multiple_of(2) || port == self.last) {
                continue;
            }
            match Self::try_open(ip, port, pair) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => {
                    let at = SocketAddr::new(ip, port).to_string();
                    return Err(BindError::System {
                        what: "open a UDP port",
                        at,
                        error,
                    });
                }
                Ok(done) => {
                    if pair {
                        self.advance();
                    }
                    return Ok(done);
                }
            }
        }
        Err(BindError::NoPort {
            first: self.first,
            last: self.last,
            ips: vec![ip],
        })
    }

    fn try_open(
        ip: IpAddr,
        port: u16,
        pair: bool,
    ) -> io::Result<(PlainSocket, Option<PlainSocket>)> {
        let rtp = bind_udp(SocketAddr::new(ip, port), PLAIN_SOCKET_BUFFER)?;
        let rtcp = pair
            .then(|| bind_udp(SocketAddr::new(ip, port + 1), PLAIN_SOCKET_BUFFER))
            .transpose()?;
        Ok((rtp, rtcp))
    }

    fn advance(&mut self) -> u16 {
        let port = self.next;
        self.next = if port >= self.last {
            self.first
        } else {
            port + 1
        };
        port
    }
}

/// What peers are told of the listeners. A pair of `announced` replaces the listen address in it (a wildcard stands
/// for every address of its family that is not loopback); addresses without a pair are told as they are.
pub(crate) fn candidates(listeners: &[Listener], announced: &[(IpAddr, IpAddr)]) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    let mut preference = u16::MAX;
    for listener in listeners {
        let told: Vec<IpAddr> = announced
            .iter()
            .filter(|(from, _)| applies(*from, listener.ip))
            .map(|(_, to)| *to)
            .collect();
        let udp = listener
            .udp
            .as_ref()
            .map(|(_, local)| (Protocol::Udp, *local));
        let tcp = listener
            .tcp
            .as_ref()
            .map(|(_, local)| (Protocol::Tcp, *local));
        for (protocol, local) in udp.into_iter().chain(tcp) {
            if told.is_empty() {
                found.push(Candidate::host(protocol, local, preference));
            }
            for ip in &told {
                let address = SocketAddr::new(*ip, local.port());
                if !found
                    .iter()
                    .any(|c| c.protocol == protocol && c.address == address)
                {
                    found.push(Candidate::public(protocol, address, local, preference));
                }
            }
        }
        preference = preference.saturating_sub(1);
    }
    found
}

fn applies(from: IpAddr, listener: IpAddr) -> bool {
    let wildcard =
        from.is_unspecified() && from.is_ipv4() == listener.is_ipv4() && !listener.is_loopback();
    from == listener || wildcard
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn the_twin_sends_from_the_port_and_all_that_comes_goes_to_the_first() {
        for ip in [
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        ] {
            let listener = bind_listener(ip, 0, true, false).unwrap();
            let (first, local) = listener.udp.as_ref().unwrap();
            let twin = listener.twin.as_ref().unwrap();
            let peer = UdpSocket::bind((ip, 0)).unwrap();
            let wait = Some(std::time::Duration::from_secs(5));
            peer.set_read_timeout(wait).unwrap();
            first.set_nonblocking(false).unwrap();
            first.set_read_timeout(wait).unwrap();
            let mut space = [0; 8];
            for number in 0..20 {
                twin.send_to(&[number], peer.local_addr().unwrap()).unwrap();
                assert_eq!(peer.recv_from(&mut space).unwrap(), (1, *local));
                peer.send_to(&[number], *local).unwrap();
                assert_eq!(first.recv(&mut space).unwrap(), 1);
                assert_eq!(space[0], number);
            }
            let nothing = twin.recv(&mut space).map_err(|error| error.kind());
            assert_eq!(nothing, Err(io::ErrorKind::WouldBlock));
            let third = Socket::new(Domain::for_address(*local), Type::DGRAM, None).unwrap();
            third.set_reuse_port(true).unwrap();
            assert!(
                third.bind(&(*local).into()).is_err(),
                "the port is closed to others"
            );
        }
    }

    #[test]
    fn a_taken_port_leads_to_the_next_of_the_range() {
        let taken = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let range = (port, port.saturating_add(20));
        let listeners = bind_shard(&[LOOPBACK], range, true, true).unwrap();
        let (udp, tcp) = (
            listeners[0].udp.as_ref().unwrap().1.port(),
            listeners[0].tcp.as_ref().unwrap().1.port(),
        );
        assert_eq!(udp, tcp);
        assert!(udp > port && udp <= range.1);
    }

    #[test]
    fn a_range_that_is_taken_whole_is_an_error_that_names_it() {
        let taken = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = bind_shard(&[LOOPBACK], (port, port), true, false).unwrap_err();
        assert!(error.to_string().contains(&port.to_string()), "{error}");
    }

    #[test]
    fn wildcards_become_the_addresses_of_this_host_with_loopback_last() {
        let ips = expand(&["0.0.0.0".parse().unwrap()]).unwrap();
        assert_eq!(ips.last(), Some(&LOOPBACK));
        assert!(ips.iter().all(|ip| ip.is_ipv4() && !ip.is_unspecified()));
    }

    #[test]
    fn without_addresses_loopback_is_the_last_resort() {
        let ips = expand(&[]).unwrap();
        assert!(!ips.is_empty());
        assert!(ips.iter().all(IpAddr::is_loopback) || ips.iter().all(|ip| !ip.is_loopback()));
    }

    #[test]
    fn an_announced_address_replaces_the_one_listened_on() {
        let listeners = bind_shard(&[LOOPBACK], (0, 0), true, true).unwrap();
        let public: IpAddr = "203.0.113.7".parse().unwrap();
        let told = candidates(&listeners, &[(LOOPBACK, public)]);
        assert_eq!(told.len(), 2);
        assert!(
            told.iter()
                .all(|c| c.address.ip() == public && c.base.unwrap().ip() == LOOPBACK)
        );
        let both = candidates(&listeners, &[(LOOPBACK, public), (LOOPBACK, LOOPBACK)]);
        assert_eq!(both.len(), 4);
    }

    #[test]
    fn plain_pairs_have_an_even_port_and_the_next() {
        let mut ports = PlainPorts::new((41000, 41999), 0, 1);
        let (rtp, rtcp) = ports.open(LOOPBACK, true).unwrap();
        let (rtp, rtcp) = (rtp.1.port(), rtcp.unwrap().1.port());
        assert_eq!((rtp % 2, rtcp), (0, rtp + 1));
    }

    #[test]
    fn a_freed_plain_port_rests_before_it_comes_again() {
        let mut ports = PlainPorts::new((42000, 42999), 0, 1);
        let first = ports.open(LOOPBACK, false).unwrap().0.1.port();
        let second = ports.open(LOOPBACK, false).unwrap().0.1.port();
        assert!(second > first);
    }
}
