//! One SSRC used twice on a transport (RFC 3550 section 8.2): by both its ends, or by two streams of the peer.
//!
//! Numbers that were told to somebody stay: the SSRCs of consumers stand in signalling. Nobody is told the SSRC
//! of our own feedback, so this one moves.

use roomtone_rtp::RtpPacket;

use super::Router;
use crate::RtpDrop;
use crate::producer::Producer;
use crate::transport::{Message, Route, Transport};

/// Our feedback moves away from the peer's SSRCs once in so many report intervals. What comes with the new
/// SSRC meanwhile is our own, come back.
const CONFLICT_INTERVALS: u64 = 10;

/// A stream that had packets of its own so lately keeps its SSRC when another stream sends with it.
const HOLD_US: u64 = 1_000_000;

impl Transport {
    /// Whether an SSRC is in use on this transport, by whichever end.
    pub(super) fn uses(&self, ssrc: u32) -> bool {
        ssrc == self.local_ssrc
            || self.own_ssrcs.contains_key(&ssrc)
            || self.routes.contains_key(&ssrc)
    }

    /// An SSRC of ours that neither end has used.
    pub(super) fn draw_ssrc(&mut self, other: Option<u32>) -> u32 {
        loop {
            let ssrc = self.drawn.draw();
            // Some take 0 for "none".
            if ssrc != 0 && Some(ssrc) != other && !self.uses(ssrc) {
                return ssrc;
            }
        }
    }
}

impl Router {
    /// A packet of an SSRC that is no stream's yet. One of ours is refused, where the peer is not known to reflect: whoever
    /// chose the same sees it in our packets and can choose again, and what is no choice but our own packet come back
    /// belongs nowhere.
    #[cold]
    pub(super) fn refuse_ours(&mut self, at: u32, ssrc: u32, now_us: u64) -> Result<(), RtpDrop> {
        let transport = &mut self.transports[at as usize];
        let refused = if ssrc == transport.local_ssrc {
            !self.move_local_ssrc(at, now_us)
        } else if transport.own_ssrcs.contains_key(&ssrc) {
            transport.stats.ssrc_collisions += u64::from(transport.reflections);
            !transport.reflections
        } else {
            false
        };
        if refused {
            return Err(RtpDrop::SsrcInUse);
        }
        Ok(())
    }

    /// The peer sends with the SSRC of our feedback, which moves away.
    /// `false`: it did so a moment ago, and this is our own packet.
    pub(super) fn move_local_ssrc(&mut self, at: u32, now_us: u64) -> bool {
        let interval_us = self.config.report_interval.as_micros() as u64;
        let transport = &mut self.transports[at as usize];
        let until = now_us + CONFLICT_INTERVALS * interval_us;
        let before = transport.conflict_until_us.replace(until);
        if before.is_some_and(|before| now_us < before) {
            return false;
        }
        self.leave_local_ssrc(at);
        true
    }

    /// Our feedback takes another SSRC, and says goodbye for the old one.
    pub(super) fn leave_local_ssrc(&mut self, at: u32) {
        let transport = &mut self.transports[at as usize];
        let old = transport.local_ssrc;
        transport.local_ssrc = transport.draw_ssrc(Some(old));
        transport.stats.ssrc_collisions += 1;
        if transport.writable {
            self.send_message(at, Message::Goodbye { ssrcs: vec![old] });
        }
    }

    /// RTCP whose sender has an SSRC of ours is our own, come back, but for the first that has that of our feedback.
    #[inline]
    pub(super) fn is_our_rtcp(&mut self, at: u32, data: &[u8], now_us: u64) -> bool {
        let Some(sender) = data.get(4..8).and_then(|ssrc| ssrc.try_into().ok()) else {
            return false;
        };
        let ssrc = u32::from_be_bytes(sender);
        let transport = &self.transports[at as usize];
        if ssrc == transport.local_ssrc {
            return !self.move_local_ssrc(at, now_us);
        }
        transport.own_ssrcs.contains_key(&ssrc)
    }

    /// A packet of a known SSRC names another section than the one it was known in. The stream has moved there (RFC 8843
    /// section 9.2), unless it was heard of just now: then two of them have one SSRC, and the first keeps it.
    #[cold]
    pub(super) fn settle_section(
        &mut self,
        at: u32,
        route: Route,
        packet: &RtpPacket<'_>,
        now_us: u64,
    ) -> Result<Route, RtpDrop> {
        let found = self.find_route(at, packet, now_us)?;
        let stream = &self.streams[route.stream as usize];
        if stream.has_received() && now_us < stream.last_arrival_us + HOLD_US {
            return Err(RtpDrop::SsrcInUse);
        }
        let ssrc = packet.ssrc();
        self.transports[at as usize].routes.remove(&ssrc);
        let stream = &mut self.streams[route.stream as usize];
        if route.rtx {
            stream.rtx_ssrc = None;
        } else {
            stream.ssrc = None;
        }
        Ok(self.bind_route(at, ssrc, found, now_us))
    }
}

/// Whether a packet names a section, and not this producer's.
#[inline]
pub(super) fn is_of_another(producer: &Producer, packet: &RtpPacket<'_>) -> bool {
    let said = producer.mid_extension.and_then(|id| packet.extension(id));
    said.is_some_and(|said| producer.mid.as_deref().map(str::as_bytes) != Some(said))
}
