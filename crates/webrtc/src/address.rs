//! Where a datagram came from and where it goes.

use std::fmt;
use std::net::SocketAddr;

/// What carries the datagrams of a pair. TCP framing (RFC 4571) is the engine's: a datagram is unframed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Plain UDP.
    Udp,
    /// TCP with RFC 4571 frames.
    Tcp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

/// Protocol, our address and the peer's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FiveTuple {
    /// UDP or TCP.
    pub protocol: Protocol,
    /// The address of our socket.
    pub local: SocketAddr,
    /// The address of the peer as we see it.
    pub remote: SocketAddr,
}

impl fmt::Display for FiveTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} <-> {}", self.protocol, self.local, self.remote)
    }
}

/// What a datagram is by its first bytes (RFC 7983 section 7; RTCP by RFC 5761 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatagramKind {
    /// STUN.
    Stun,
    /// A DTLS record.
    Dtls,
    /// RTP or SRTP.
    Rtp,
    /// RTCP or SRTCP.
    Rtcp,
    /// Anything else: ZRTP, TURN channel data, garbage.
    Other,
}

/// Tells STUN, DTLS, RTP and RTCP apart.
pub fn classify(data: &[u8]) -> DatagramKind {
    match data {
        [0..=3, ..] if is_stun(data) => DatagramKind::Stun,
        [20..=63, ..] if is_dtls(data) => DatagramKind::Dtls,
        [128..=191, 192..=223, ..] => DatagramKind::Rtcp,
        [128..=191, _, ..] => DatagramKind::Rtp,
        _ => DatagramKind::Other,
    }
}

/// Whether the datagram has the form of a STUN message: first byte, length and magic cookie.
pub fn is_stun(data: &[u8]) -> bool {
    data.len() >= 20 && data[0] <= 3 && data[4..8] == crate::stun::MAGIC_COOKIE
}

/// Whether the datagram has the form of a DTLS record.
pub fn is_dtls(data: &[u8]) -> bool {
    data.len() >= 13 && (20..=63).contains(&data[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide() {
        let mut stun = [0_u8; 20];
        stun[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
        assert_eq!(classify(&stun), DatagramKind::Stun);
        assert_eq!(classify(&stun[..19]), DatagramKind::Other);
        assert_eq!(classify(&[22; 13]), DatagramKind::Dtls);
        assert_eq!(classify(&[22; 12]), DatagramKind::Other);
        assert_eq!(classify(&[0x80, 96]), DatagramKind::Rtp);
        assert_eq!(classify(&[0x80, 200]), DatagramKind::Rtcp);
        assert_eq!(classify(&[0x80]), DatagramKind::Other);
        assert_eq!(classify(&[]), DatagramKind::Other);
    }
}
