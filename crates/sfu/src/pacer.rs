//! When packets of one transport may leave, so that a line is not flooded by a keyframe at once.
//!
//! A budget of bytes fills at the pacing rate and holds at most one burst. What is sent is taken
//! off, audio too, although audio never waits; while the budget is used up, pictures stay where they
//! are: in the history of their stream. So nothing is queued here, and what grows old is dropped by
//! moving a consumer's cursor.

use std::time::Duration;

use crate::Probe;

/// What leaves at once: long enough to fill one send with packets, short enough for any queue.
const BURST: Duration = Duration::from_millis(5);
/// The same while a probe runs: its rate must be seen in the distances of its packets.
const PROBE_BURST: Duration = Duration::from_millis(2);
/// Of what may leave, repairs get at most one part in so many while pictures wait behind them.
const REPAIR_SHARE: u64 = 2;
/// So much of their share is saved up.
const REPAIR_BURST: Duration = Duration::from_millis(20);
/// What lies ready for a peer that can ask for nothing again leaves over this time: less than pictures may wait, and long
/// enough that a short queue on the way takes a keyframe.
const SPREAD_MS: u64 = 200;
/// Bytes that a packet may take of the line.
const FULL_PACKET: u64 = 1_200;
/// Whoever has to wait waits for so long.
const LEAST_WAIT_US: u64 = 500;
/// A probe that was not finished by then is given up: there was nothing to send it with.
const PROBE_PATIENCE_US: u64 = 200_000;

/// A probe on its way.
#[derive(Debug, Clone, Copy)]
struct Run {
    probe: Probe,
    bytes: u32,
    packets: u16,
    since_us: u64,
}

/// The budget of one transport. The probe comes behind what every packet reads.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Pacer {
    /// Bits per second; 0: everything leaves at once.
    rate_bps: u64,
    /// Bytes that may leave at once whatever the rate.
    picture: i64,
    /// Bytes that may leave; below zero more has left than was due.
    credit: i64,
    /// What repairs may still take before new pictures have their turn.
    repair_credit: i64,
    filled_us: u64,
    /// Whether pictures were left behind by the last burst.
    held_back: bool,
    /// Whether what lies ready sets the rate.
    spreads: bool,
    run: Option<Run>,
    /// When the transport is to be written again.
    pub(crate) armed: Option<u64>,
}

impl Pacer {
    /// Changes the rate; `None`: everything leaves at once. `picture`: bytes that may leave at once
    /// all the same, for the line has room for them.
    pub(crate) fn set_rate(&mut self, bps: Option<u64>, picture: u32) {
        let begins = !self.is_on();
        self.spreads = false;
        self.rate_bps = bps.unwrap_or(0);
        self.picture = i64::from(picture);
        if begins {
            self.credit = self.burst().max(1);
        }
    }

    /// From now on what lies ready sets the rate, until [`Self::set_rate`] does: see [`Self::spread`]. `least_bps` counts
    /// until the next burst.
    pub(crate) fn begin_spreading(&mut self, least_bps: u64, picture: u32) {
        if self.spreads {
            self.picture = i64::from(picture);
        } else {
            self.set_rate(Some(least_bps), picture);
            self.spreads = true;
        }
    }

    /// Whether it does.
    #[inline]
    pub(crate) fn is_spreading(&self) -> bool {
        self.spreads
    }

    /// So many packets lie ready: all of them are to leave within [`SPREAD_MS`], and none of those that waited more
    /// slowly because they have become fewer.
    pub(crate) fn spread(&mut self, packets: u64, least_bps: u64) {
        let bps = (packets * FULL_PACKET * 8_000 / SPREAD_MS).max(least_bps);
        let before = if self.held_back { self.rate_bps } else { 0 };
        self.rate_bps = bps.max(before);
    }

    /// Whether anything can ever have to wait.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.rate_bps != 0 || self.run.is_some()
    }

    /// Begins a probe; one that was under way is given up.
    pub(crate) fn start_probe(&mut self, probe: Probe, now_us: u64) {
        self.run = Some(Run {
            probe,
            bytes: 0,
            packets: 0,
            since_us: now_us,
        });
        self.filled_us = now_us;
        self.credit = self.burst();
    }

    /// The probe that what is sent now belongs to.
    #[inline]
    pub(crate) fn probe(&self) -> Option<u32> {
        self.run.map(|run| run.probe.id)
    }

    fn rate(&self) -> u64 {
        self.run
            .map_or(self.rate_bps, |run| run.probe.bps.max(self.rate_bps))
    }

    /// Bytes of one burst.
    fn burst(&self) -> i64 {
        let (time, least) = if self.run.is_some() {
            (PROBE_BURST, 0)
        } else {
            (BURST, self.picture)
        };
        least.max((self.rate() * time.as_micros() as u64 / 8_000_000) as i64)
    }

    /// Fills the budget up to now.
    pub(crate) fn refill(&mut self, now_us: u64) {
        let elapsed = now_us.saturating_sub(self.filled_us).min(10_000_000);
        self.filled_us = now_us;
        if self
            .run
            .is_some_and(|run| now_us.saturating_sub(run.since_us) > PROBE_PATIENCE_US)
        {
            self.run = None;
        }
        let filled = self.credit + (self.rate() * elapsed / 8_000_000) as i64;
        self.credit = filled.min(self.burst().max(1));
        let share = self.rate() / REPAIR_SHARE;
        let repairs = self.repair_credit + (share * elapsed / 8_000_000) as i64;
        let most = (share * REPAIR_BURST.as_micros() as u64 / 8_000_000) as i64;
        self.repair_credit = repairs.min(most.max(1));
    }

    /// Whether pictures may leave.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.credit > 0 || !self.is_on()
    }

    /// Whether repairs may leave before new pictures.
    #[inline]
    pub(crate) fn lets_repairs_first(&self) -> bool {
        self.repair_credit > 0 || !self.is_on()
    }

    /// A repair left; [`Self::spend`] is told too.
    #[inline]
    pub(crate) fn spend_repair(&mut self, bytes: u16) {
        self.repair_credit -= i64::from(bytes);
    }

    /// Notes whether pictures are left behind by a burst.
    pub(crate) fn hold_back(&mut self, pictures: bool) {
        self.held_back = pictures;
    }

    /// Whether pictures were left behind by the last burst.
    pub(crate) fn has_held_back(&self) -> bool {
        self.held_back
    }

    /// Whether padding is wanted, once there is nothing better to send.
    pub(crate) fn wants_padding(&self) -> bool {
        self.run.is_some() && self.credit > 0
    }

    /// A packet left.
    #[inline]
    pub(crate) fn spend(&mut self, bytes: u16) {
        self.credit -= i64::from(bytes);
        if let Some(run) = &mut self.run {
            run.bytes += u32::from(bytes);
            run.packets = run.packets.saturating_add(1);
            if run.bytes >= run.probe.min_bytes && run.packets >= run.probe.min_packets {
                self.run = None;
            }
        }
    }

    /// When a whole burst may leave again.
    pub(crate) fn next_burst(&self) -> u64 {
        let missing = (self.burst().max(1) - self.credit).max(0) as u64;
        let wait = (missing * 8_000_000).div_ceil(self.rate().max(1));
        self.filled_us + wait.max(LEAST_WAIT_US)
    }

    /// Gives the probe up: there is nothing to feed it with.
    pub(crate) fn cancel_probe(&mut self) {
        self.run = None;
    }

    /// Whether a probe is under way.
    pub(crate) fn is_probing(&self) -> bool {
        self.run.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: u16 = 1_200;

    fn send_all(pacer: &mut Pacer, now_us: u64) -> u32 {
        pacer.refill(now_us);
        let mut sent = 0;
        while pacer.is_open() && sent < 10_000 {
            pacer.spend(PACKET);
            sent += 1;
        }
        sent
    }

    #[test]
    fn without_a_rate_everything_leaves_at_once() {
        let mut pacer = Pacer::default();
        assert_eq!(send_all(&mut pacer, 0), 10_000);
        assert!(!pacer.is_on());
    }

    #[test]
    fn bursts_keep_the_rate_and_leave_every_five_milliseconds() {
        let mut pacer = Pacer::default();
        pacer.set_rate(Some(9_600_000), 0);
        let (mut now, mut sent, mut bursts) = (1_000_000, 0, 0);
        while now < 2_000_000 {
            let burst = send_all(&mut pacer, now);
            assert!(burst <= 6, "{burst} packets at once");
            sent += burst;
            bursts += 1;
            now = pacer.next_burst();
        }
        // 9.6 Mbit/s are 1,000 packets of 1,200 bytes a second.
        assert!((990..=1_010).contains(&sent), "{sent}");
        assert!((195..=210).contains(&bursts), "{bursts}");
    }

    #[test]
    fn a_rate_below_a_packet_a_burst_still_sends() {
        let mut pacer = Pacer::default();
        pacer.set_rate(Some(96_000), 0);
        let (mut now, mut sent) = (0, 0);
        while now < 10_000_000 {
            sent += send_all(&mut pacer, now);
            now = pacer.next_burst();
        }
        assert!((99..=102).contains(&sent), "{sent}");
    }

    #[test]
    fn a_picture_that_the_line_has_space_for_leaves_whole_and_then_the_rate_counts() {
        let mut pacer = Pacer::default();
        pacer.set_rate(Some(9_600_000), 24_000);
        assert_eq!(send_all(&mut pacer, 0), 20);
        let next = pacer.next_burst();
        assert!((19_000..=21_000).contains(&next), "{next}");
        assert_eq!(send_all(&mut pacer, next), 20);
    }

    #[test]
    fn a_long_silence_saves_up_one_burst_only() {
        let mut pacer = Pacer::default();
        pacer.set_rate(Some(9_600_000), 0);
        send_all(&mut pacer, 0);
        assert!(send_all(&mut pacer, 60_000_000) <= 6);
    }

    #[test]
    fn a_probe_runs_at_its_rate_to_its_end_and_asks_for_padding() {
        let mut pacer = Pacer::default();
        pacer.set_rate(Some(1_000_000), 0);
        let probe = Probe {
            id: 7,
            bps: 6_000_000,
            min_bytes: 11_250,
            min_packets: 5,
        };
        pacer.start_probe(probe, 500_000);
        let (mut now, mut bytes) = (500_000, 0);
        while pacer.is_probing() {
            pacer.refill(now);
            while pacer.wants_padding() {
                assert_eq!(pacer.probe(), Some(7));
                pacer.spend(250);
                bytes += 250;
            }
            if pacer.is_probing() {
                now = pacer.next_burst();
            }
        }
        assert_eq!(bytes, 11_250);
        // 15 ms at 6 Mbit/s, the first burst at once.
        let took = now - 500_000;
        assert!((12_000..=15_000).contains(&took), "{took}");
        assert!(!pacer.wants_padding());
    }

    #[test]
    fn a_probe_that_nothing_feeds_is_given_up() {
        let mut pacer = Pacer::default();
        let probe = Probe {
            id: 1,
            bps: 1_000_000,
            min_bytes: 2_000,
            min_packets: 5,
        };
        pacer.start_probe(probe, 0);
        pacer.refill(100_000);
        assert!(pacer.is_probing());
        pacer.refill(200_001);
        assert!(!pacer.is_probing() && !pacer.is_on());
    }
}
