//! ICE candidates and credentials as values.

use std::fmt;
use std::net::SocketAddr;

use crate::address::Protocol;
use crate::random::Random;

/// How a candidate's address was learnt (RFC 8445 section 5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CandidateKind {
    /// An address of the host itself.
    Host,
    /// Seen by a STUN server.
    ServerReflexive,
    /// Seen by the peer in a check.
    PeerReflexive,
    /// Lent by a TURN server.
    Relayed,
}

impl CandidateKind {
    /// The recommended type preference of RFC 8445 section 5.1.2.2.
    pub fn type_preference(self) -> u32 {
        match self {
            Self::Host => 126,
            Self::PeerReflexive => 110,
            Self::ServerReflexive => 100,
            Self::Relayed => 0,
        }
    }
}

/// Who opens the connection of a TCP candidate (RFC 6544 section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TcpType {
    /// This side connects.
    Active,
    /// This side listens.
    Passive,
    /// Both connect at once.
    SimultaneousOpen,
}

/// One candidate, local or remote. Component is always 1: RTP and RTCP share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Groups candidates of one kind and base.
    pub foundation: String,
    /// UDP or TCP.
    pub protocol: Protocol,
    /// The priority written into SDP.
    pub priority: u32,
    /// The address the other side sends to.
    pub address: SocketAddr,
    /// How the address was learnt.
    pub kind: CandidateKind,
    /// The related address, where the kind has one.
    pub related: Option<SocketAddr>,
    /// Who connects, for TCP.
    pub tcp_type: Option<TcpType>,
    /// For a local candidate whose `address` is not the socket's (a configured public address): the socket's own address.
    pub base: Option<SocketAddr>,
}

impl Candidate {
    /// A local host candidate. `local_preference` ranks several addresses: larger is better.
    pub fn host(protocol: Protocol, address: SocketAddr, local_preference: u16) -> Self {
        let tcp_type = (protocol == Protocol::Tcp).then_some(TcpType::Passive);
        Self {
            foundation: foundation(protocol, address),
            protocol,
            priority: priority(CandidateKind::Host, protocol, local_preference),
            address,
            kind: CandidateKind::Host,
            related: None,
            tcp_type,
            base: None,
        }
    }

    /// A host candidate under a configured public address whose socket is bound to `base`.
    pub fn public(
        protocol: Protocol,
        address: SocketAddr,
        base: SocketAddr,
        local_preference: u16,
    ) -> Self {
        Self {
            base: Some(base),
            ..Self::host(protocol, address, local_preference)
        }
    }

    /// The address of the socket behind a local candidate.
    pub fn socket_address(&self) -> SocketAddr {
        self.base.unwrap_or(self.address)
    }
}

/// RFC 8445 section 5.1.2.1; TCP ranks below UDP of the same kind.
fn priority(kind: CandidateKind, protocol: Protocol, local_preference: u16) -> u32 {
    let preference = match protocol {
        Protocol::Udp => kind.type_preference(),
        Protocol::Tcp => kind.type_preference().saturating_sub(36),
    };
    (preference << 24) | (u32::from(local_preference) << 8) | 255
}

/// Equal for candidates of one protocol and IP address (RFC 8445 section 5.1.1.3).
fn foundation(protocol: Protocol, address: SocketAddr) -> String {
    let mut hash: u32 = 0x811c_9dc5;
    let text = format!("{protocol}{}", address.ip());
    for byte in text.bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    hash.to_string()
}

/// A username fragment and password (RFC 8445 section 5.3). `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// The username fragment.
    pub ufrag: String,
    /// The password.
    pub pwd: String,
}

impl IceCredentials {
    /// Fresh credentials: 48 bits of fragment and 144 bits of password, above the floors of RFC 8445.
    pub fn generate(random: &mut dyn Random) -> Self {
        Self {
            ufrag: ice_chars(random, 8),
            pwd: ice_chars(random, 24),
        }
    }
}

fn ice_chars(random: &mut dyn Random, length: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte & 63)]))
        .collect()
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceCredentials")
            .field("ufrag", &self.ufrag)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn a_host_candidate_outranks_its_tcp_twin() {
        let address: SocketAddr = "192.0.2.1:40000".parse().unwrap();
        let udp = Candidate::host(Protocol::Udp, address, 65_535);
        let tcp = Candidate::host(Protocol::Tcp, address, 65_535);
        assert_eq!(udp.priority, 2_130_706_431);
        assert!(udp.priority > tcp.priority);
        assert_ne!(udp.foundation, tcp.foundation);
        assert_eq!(tcp.tcp_type, Some(TcpType::Passive));
    }

    #[test]
    fn credentials_are_long_enough_and_hidden() {
        let credentials = IceCredentials::generate(&mut SeededRandom::new(1));
        assert!(credentials.ufrag.len() >= 4 && credentials.pwd.len() >= 22);
        assert!(!format!("{credentials:?}").contains(&credentials.pwd));
    }
}
