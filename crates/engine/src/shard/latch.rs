//! Where the peer of a plain transport is, and whose packets are its.
//!
//! A stray sender may guess the port, the payload type and, before the peer is heard, come first; it cannot do more. An
//! address is taken once, from a packet that was let in by SRTP and that a producer knows. After that only the policy
//! moves it: a stream is followed through a rebinding of a NAT (RFC 4787 section 4.3) when it goes on with its own
//! SSRC and in sequence, and the address it came from has been silent.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::values::Latching;

/// Streams whose place is remembered; the one heard longest ago goes.
const STREAMS: usize = 8;
/// How far ahead a stream may be when it shows up elsewhere (MAX_DROPOUT of RFC 3550 appendix A.1).
const MOST_AHEAD: u16 = 3000;
/// How often one transport follows its peer; beyond it all else is a stray.
const MOST_REBINDS: u32 = 64;

/// Whose a packet may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The peer's.
    Peer,
    /// The peer's, if it proves valid: its address is not known yet, or no more.
    Candidate,
    /// Anybody's.
    Stray,
}

/// What identifies a packet in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    ssrc: u32,
    sequence: u16,
}

impl Place {
    pub(super) fn ssrc(self) -> u32 {
        self.ssrc
    }

    /// Of an RTP packet with a whole header.
    pub(super) fn of(packet: &[u8]) -> Option<Self> {
        let sequence = packet.get(2..4)?.try_into().ok()?;
        let ssrc = packet.get(8..12)?.try_into().ok()?;
        Some(Self {
            ssrc: u32::from_be_bytes(ssrc),
            sequence: u16::from_be_bytes(sequence),
        })
    }
}

/// The address of a plain transport's peer, and how it is found.
///
/// Inputs: `judge` before a packet is opened, then `heard` or `moved` once it is known to be valid. Limits: `STREAMS`,
/// `MOST_REBINDS`.
#[derive(Debug)]
pub(crate) struct Latch {
    policy: Latching,
    /// RTCP has a port of its own.
    pair: bool,
    silence: Duration,
    remote: Option<SocketAddr>,
    rtcp_remote: Option<SocketAddr>,
    /// Whether the RTCP address was seen or said, rather than derived from the RTP address.
    rtcp_certain: bool,
    heard_at: Option<Instant>,
    /// The newest packet of each stream, that heard last at the end.
    streams: Vec<Place>,
    pub(crate) strays: u64,
    pub(crate) rebinds: u32,
}

impl Latch {
    pub(super) fn new(policy: Latching, pair: bool, silence: Duration) -> Self {
        Self {
            policy,
            pair,
            silence,
            remote: None,
            rtcp_remote: None,
            rtcp_certain: false,
            heard_at: None,
            streams: Vec::new(),
            strays: 0,
            rebinds: 0,
        }
    }

    pub(crate) fn learns(&self) -> bool {
        self.policy != Latching::Fixed
    }

    pub(crate) fn policy(&self) -> Latching {
        self.policy
    }

    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    pub(crate) fn rtcp_remote(&self) -> Option<SocketAddr> {
        self.rtcp_remote
    }

    /// Whose an RTP packet is, as far as its header tells.
    pub(super) fn judge(&self, from: SocketAddr, place: Place, now: Instant) -> Source {
        match self.remote {
            Some(remote) if remote == from => Source::Peer,
            None if self.learns() => Source::Candidate,
            Some(_) if self.policy == Latching::Rebind && self.goes_on(place, now) => {
                Source::Candidate
            }
            _ => Source::Stray,
        }
    }

    fn goes_on(&self, place: Place, now: Instant) -> bool {
        let is_silent = self
            .heard_at
            .is_some_and(|at| now.saturating_duration_since(at) >= self.silence);
        let mut streams = self.streams.iter();
        is_silent
            && self.rebinds < MOST_REBINDS
            && streams.any(|known| {
                known.ssrc == place.ssrc
                    && (1..=MOST_AHEAD).contains(&place.sequence.wrapping_sub(known.sequence))
            })
    }

    /// Whose an RTCP packet is. Before the peer is known it may be anybody's: with a report, a stray shall not end
    /// the streams of the peer.
    pub(super) fn judge_rtcp(&self, from: SocketAddr, on_rtcp_port: bool) -> Source {
        let Some(peer) = self.remote else {
            return Source::Stray;
        };
        let at_rtcp = on_rtcp_port || Some(from) == self.rtcp_remote;
        let is_peer = match self.rtcp_remote {
            Some(expected) if at_rtcp && self.rtcp_certain => expected == from,
            _ if at_rtcp => peer.ip() == from.ip(),
            _ => peer == from,
        };
        if is_peer { Source::Peer } else { Source::Stray }
    }

    /// Whether a handshake with an address may be one with the peer.
    pub(super) fn is_peer_or_unknown(&self, from: SocketAddr, on_rtcp_port: bool) -> bool {
        match self.remote {
            None => self.learns(),
            Some(_) if on_rtcp_port => self.judge_rtcp(from, true) == Source::Peer,
            Some(remote) => remote == from,
        }
    }

    /// A valid RTP packet of the peer has come from where it is known to be.
    pub(super) fn heard(&mut self, place: Place, now: Instant) {
        if self.policy != Latching::Rebind {
            return;
        }
        self.heard_at = Some(now);
        if let Some(last) = self.streams.last_mut()
            && last.ssrc == place.ssrc
        {
            last.advance(place);
            return;
        }
        let known = self
            .streams
            .iter()
            .position(|known| known.ssrc == place.ssrc);
        let mut newest = match known {
            Some(at) => self.streams.remove(at),
            None => place,
        };
        newest.advance(place);
        if self.streams.len() >= STREAMS {
            self.streams.remove(0);
        }
        self.streams.push(newest);
    }

    /// A valid RTP packet has come from a candidate, which is the peer now.
    pub(super) fn moved(&mut self, from: SocketAddr, place: Place, now: Instant) {
        if self.remote.is_some() {
            self.rebinds += 1;
        }
        self.point_to(from, None);
        self.heard(place, now);
    }

    /// A valid RTCP packet of the peer has come on the port for RTCP.
    pub(super) fn heard_rtcp(&mut self, from: SocketAddr) {
        if !self.rtcp_certain {
            (self.rtcp_remote, self.rtcp_certain) = (Some(from), true);
        }
    }

    /// Says where the peer is.
    pub(super) fn set_remote(&mut self, remote: SocketAddr, rtcp_port: Option<u16>) {
        if self.remote != Some(remote) {
            // Who is told of another peer knows nothing of that one's streams.
            self.streams.clear();
            self.heard_at = None;
        }
        self.point_to(remote, rtcp_port);
    }

    /// Without a port for RTCP it is the next one, or the same with rtcp-mux.
    fn point_to(&mut self, remote: SocketAddr, rtcp_port: Option<u16>) {
        self.remote = Some(remote);
        let derived = if self.pair {
            remote.port().saturating_add(1)
        } else {
            remote.port()
        };
        self.rtcp_certain = rtcp_port.is_some() || !self.pair;
        self.rtcp_remote = Some(SocketAddr::new(remote.ip(), rtcp_port.unwrap_or(derived)));
    }
}

impl Place {
    /// Keeps the newer one of two of a stream.
    fn advance(&mut self, other: Self) {
        if other.sequence.wrapping_sub(self.sequence) < 0x8000 {
            self.sequence = other.sequence;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(1);

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn place(ssrc: u32, sequence: u16) -> Place {
        Place { ssrc, sequence }
    }

    fn latched(policy: Latching, now: Instant) -> Latch {
        let mut latch = Latch::new(policy, false, SILENCE);
        assert_eq!(latch.judge(at(1), place(7, 65_530), now), Source::Candidate);
        latch.moved(at(1), place(7, 65_530), now);
        latch
    }

    #[test]
    fn a_fixed_address_is_never_learnt() {
        let now = Instant::now();
        let mut latch = Latch::new(Latching::Fixed, false, SILENCE);
        assert_eq!(latch.judge(at(1), place(7, 1), now), Source::Stray);
        latch.set_remote(at(2), None);
        assert_eq!(latch.judge(at(1), place(7, 1), now), Source::Stray);
        assert_eq!(latch.judge(at(2), place(7, 1), now), Source::Peer);
    }

    #[test]
    fn an_address_that_was_taken_once_stays() {
        let now = Instant::now();
        let latch = latched(Latching::Once, now);
        let later = now + 10 * SILENCE;
        assert_eq!(latch.judge(at(2), place(7, 65_531), later), Source::Stray);
        assert_eq!(latch.judge(at(1), place(9, 4), later), Source::Peer);
    }

    #[test]
    fn a_stream_is_followed_once_its_old_address_is_silent() {
        let now = Instant::now();
        let mut latch = latched(Latching::Rebind, now);
        let next = place(7, 3);
        let early = now + SILENCE / 2;
        assert_eq!(latch.judge(at(2), next, early), Source::Stray);
        latch.heard(place(7, 65_535), early);
        assert_eq!(latch.judge(at(2), next, now + SILENCE), Source::Stray);
        let later = early + SILENCE;
        assert_eq!(latch.judge(at(2), next, later), Source::Candidate);
        latch.moved(at(2), next, later);
        assert_eq!((latch.remote(), latch.rebinds), (Some(at(2)), 1));
        assert_eq!(latch.rtcp_remote(), Some(at(2)));
        assert_eq!(latch.judge(at(1), place(7, 4), later), Source::Stray);
    }

    #[test]
    fn another_stream_or_another_place_in_it_is_not_followed() {
        let now = Instant::now();
        let latch = latched(Latching::Rebind, now);
        let later = now + 2 * SILENCE;
        for wrong in [
            place(8, 65_531),
            place(7, 65_530),
            place(7, 65_529),
            place(7, 65_530_u16.wrapping_add(MOST_AHEAD + 1)),
        ] {
            assert_eq!(latch.judge(at(2), wrong, later), Source::Stray, "{wrong:?}");
        }
    }

    #[test]
    fn following_has_an_end() {
        let mut now = Instant::now();
        let mut latch = latched(Latching::Rebind, now);
        for hop in 0..MOST_REBINDS as u16 {
            now += SILENCE;
            let next = place(7, 65_531_u16.wrapping_add(hop));
            assert_eq!(latch.judge(at(100 + hop), next, now), Source::Candidate);
            latch.moved(at(100 + hop), next, now);
        }
        now += SILENCE;
        let next = place(7, 65_531_u16.wrapping_add(MOST_REBINDS as u16));
        assert_eq!(latch.judge(at(9), next, now), Source::Stray);
    }

    #[test]
    fn several_streams_are_known_and_the_oldest_is_forgotten() {
        let now = Instant::now();
        let mut latch = latched(Latching::Rebind, now);
        for ssrc in 0..STREAMS as u32 {
            latch.heard(place(100 + ssrc, 5), now);
        }
        let later = now + SILENCE;
        assert_eq!(latch.judge(at(2), place(7, 65_531), later), Source::Stray);
        assert_eq!(latch.judge(at(2), place(100, 6), later), Source::Candidate);
    }

    #[test]
    fn reports_are_taken_from_the_peer_only() {
        let now = Instant::now();
        let mut latch = Latch::new(Latching::Once, true, SILENCE);
        assert_eq!(latch.judge_rtcp(at(2), true), Source::Stray);
        latch.moved(at(10), place(7, 1), now);
        assert_eq!(latch.judge_rtcp(at(77), true), Source::Peer);
        latch.heard_rtcp(at(77));
        assert_eq!(latch.judge_rtcp(at(78), true), Source::Stray);
        assert_eq!(latch.judge_rtcp(at(10), false), Source::Peer);
        assert_eq!(latch.judge_rtcp(at(11), false), Source::Stray);
    }
}
