//! Who sends a stream, and when another goes on with it (RFC 3550 sections 8.2 and A.1).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use roomtone_rtp::RtpPacket;

use super::reception::Reception;

/// A sender of which nothing came for so long is given up for another.
const SILENT: Duration = Duration::from_secs(2);
/// From the same address so much less is enough: encoders begin anew with another SSRC. Who sends two at once is never
/// silent for so long.
const RESTARTED: Duration = Duration::from_millis(300);
/// Packets that are kept of one who may take over. So many and none of the one before are enough at once.
const MAX_KEPT: usize = 1_024;

/// A packet, and when it came.
pub(super) type Kept = (Vec<u8>, Instant);

/// Whose a packet is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// The sender's.
    Own,
    /// Of one who may take over: it is kept.
    Kept,
    /// Another goes on from here: with these, of which it is the last.
    TakesOver(Vec<Kept>),
    /// Nobody's.
    Stranger,
}

/// One who sends a stream.
#[derive(Debug)]
pub(super) struct Sender {
    from: SocketAddr,
    pub(super) ssrc: u32,
    last: Instant,
    /// Where its reports come from.
    rtcp: Option<SocketAddr>,
    pub(super) reception: Reception,
    gone: bool,
    rival: Option<Rival>,
}

/// One who may take over: another SSRC from the same address, or the same with other numbers.
#[derive(Debug)]
struct Rival {
    from: SocketAddr,
    ssrc: u32,
    /// The number that follows.
    next: u16,
    packets: Vec<Kept>,
}

impl Sender {
    /// The first packet of one.
    pub(super) fn new(
        from: SocketAddr,
        packet: &RtpPacket<'_>,
        clock_rate: u32,
        now: Instant,
    ) -> Self {
        let ssrc = packet.ssrc();
        Self {
            from,
            ssrc,
            last: now,
            rtcp: None,
            reception: Reception::new(ssrc, packet.sequence(), clock_rate),
            gone: false,
            rival: None,
        }
    }

    /// Whether another may take its place.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.gone || self.last + SILENT <= now
    }

    /// Whether it has said goodbye.
    pub(super) const fn is_gone(&self) -> bool {
        self.gone
    }

    /// Look whose a packet is. What was kept in vain is added to `refused`.
    pub(super) fn judge(
        &mut self,
        from: SocketAddr,
        packet: &RtpPacket<'_>,
        now: Instant,
        refused: &mut u64,
    ) -> Judged {
        let is_own = (from, packet.ssrc()) == (self.from, self.ssrc);
        if is_own && self.gone && self.last + SILENT > now {
            // What was on its way when it said goodbye is not a new beginning.
            return Judged::Stranger;
        }
        if is_own && !self.gone && !self.reception.is_far(packet.sequence()) {
            let rival = self.rival.take();
            *refused += rival.map_or(0, |rival| rival.packets.len() as u64);
            return Judged::Own;
        }
        let is_free = self.is_over(now) && from.ip() == self.from.ip();
        if from != self.from && !is_free {
            return Judged::Stranger;
        }
        let mut rival = self.rival_of(from, packet, refused);
        rival.next = packet.sequence().wrapping_add(1);
        rival.packets.push((packet.bytes().to_vec(), now));
        let count = rival.packets.len();
        // Two in a row with its own SSRC are no stray packet.
        let is_proven = count > 1 && (is_own || self.last + RESTARTED <= now);
        if is_free || is_proven || count >= MAX_KEPT {
            return Judged::TakesOver(rival.packets);
        }
        self.rival = Some(rival);
        Judged::Kept
    }

    /// The one that a packet is of, which is not the sender's: known, or new in the place of that.
    fn rival_of(&mut self, from: SocketAddr, packet: &RtpPacket<'_>, refused: &mut u64) -> Rival {
        let ssrc = packet.ssrc();
        if let Some(rival) = self.rival.take() {
            let follows = ssrc != self.ssrc || rival.next == packet.sequence();
            if (rival.from, rival.ssrc) == (from, ssrc) && follows {
                return rival;
            }
            *refused += rival.packets.len() as u64;
        }
        Rival {
            from,
            ssrc,
            next: 0,
            packets: Vec::new(),
        }
    }

    /// A packet of its own has come.
    pub(super) fn handle_packet(&mut self, packet: &RtpPacket<'_>, now: Instant) {
        self.last = now;
        self.reception
            .handle_packet(packet.sequence(), packet.timestamp(), now);
    }

    /// Whether reports with its SSRC from there are its own: from its own port or the one above (RFC 3550 section 11), or
    /// from where they came from first.
    fn is_reported_from(&self, from: SocketAddr) -> bool {
        let port = self.from.port();
        let beside = [Some(port), port.checked_add(1)].contains(&Some(from.port()));
        from.ip() == self.from.ip() && (beside || self.rtcp.is_none_or(|known| known == from))
    }

    /// A report of a sender with this SSRC, by its clock at `compact`; false where that is another of the same.
    pub(super) fn handle_report(&mut self, from: SocketAddr, compact: u32, now: Instant) -> bool {
        let is_own = self.is_reported_from(from);
        if is_own {
            self.rtcp = Some(from);
            self.reception.handle_report(compact, now);
        }
        is_own
    }

    /// One with this SSRC says goodbye; false where that is another of the same.
    pub(super) fn handle_goodbye(&mut self, from: SocketAddr) -> bool {
        let is_own = self.is_reported_from(from);
        self.gone |= is_own;
        is_own
    }

    /// Where reports about it go.
    pub(super) fn reports_go_to(&self) -> Option<SocketAddr> {
        self.rtcp.filter(|_| !self.gone)
    }
}
