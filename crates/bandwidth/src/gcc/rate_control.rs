//! Up while nothing queues, down to what arrives when something does.
//!
//! Follows section 5.5 of draft-ietf-rmcat-gcc-02 with the constants of libwebrtc's
//! `aimd_rate_control.cc` (revision 0467d2b9).

use super::link_capacity::LinkCapacity;
use super::probe_results::Shown;
use super::proof::Proof;
use crate::LineState;

/// Share of the arriving rate that is kept when queues build up.
const BETA: f64 = 0.85;
/// While a queue drains; after it; and beside a flow that fills the queue.
const DRAIN: f64 = 0.75;
const RESUME: f64 = 0.9;
const COMPETING_BETA: f64 = 0.85;
/// Growth beside it, in packets a round trip, which is taken for one of these: CUBIC's growth hardly depends on it.
const COMPETING_PACKETS: f64 = 0.75;
const COMPETING_ROUND_TRIP_US: (i64, i64) = (200_000, 250_000);
/// Beside it the estimate grows no further than this times what arrives.
const COMPETING_UNTRIED: f64 = 4.0;
const RESTORED: f64 = 0.7;
/// Growth a second far from the link's capacity.
const GROWTH: f64 = 1.08;
/// Growth near it: a packet a response time, but not less than this a second.
const MIN_ADDITIVE_BPS: f64 = 4_000.0;
const PACKET_BITS: f64 = 1200.0 * 8.0;
/// The estimate grows no further than this times what arrives.
const ACKNOWLEDGED_FACTOR: f64 = 1.5;
const ACKNOWLEDGED_MARGIN: f64 = 10_000.0;
/// With less than this share of the estimate arriving it was not tried.
const TRIED: f64 = 0.9;
/// After a decrease growth is by small steps for so long.
const SETTLING_US: i64 = 4_000_000;
const SCATTER_US: i64 = 2_000_000;
/// Not after the first decreases: those find the line.
const STARTING_DECREASES: u32 = 2;
/// A queue within this time after a probe raised the rate says that it should not have.
const GAIN_US: i64 = 3_000_000;
const REFUTED: f64 = 0.85;
/// Growth by small steps is so much faster where the line carries more than it did.
const FORGOTTEN: f64 = 3.0;
/// The round trip assumed before one was measured.
const FIRST_ROUND_TRIP_US: i64 = 200_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Hold,
    Increase,
}

/// The delay-based estimate.
#[derive(Debug, Clone)]
pub(super) struct RateControl {
    bps: f64,
    min_bps: f64,
    max_bps: f64,
    phase: Phase,
    capacity: LinkCapacity,
    last_change_us: Option<i64>,
    last_decrease_us: Option<i64>,
    round_trip_us: i64,
    /// Decreases at different times.
    decreases: u32,
    /// The rate before a probe raised it, and when that was.
    gain: Option<(f64, i64)>,
    /// What arrived of the last probe, if it filled the line.
    filled: Option<f64>,
    proof: Proof,
}

impl RateControl {
    pub(super) fn new(start_bps: f64, min_bps: f64, max_bps: f64) -> Self {
        Self {
            bps: start_bps,
            min_bps,
            max_bps,
            phase: Phase::Hold,
            capacity: LinkCapacity::default(),
            last_change_us: None,
            last_decrease_us: None,
            round_trip_us: FIRST_ROUND_TRIP_US,
            decreases: 0,
            gain: None,
            filled: None,
            proof: Proof::default(),
        }
    }

    /// The rate is one of other senders from now on: what was learned of the line is not true of them.
    pub(super) fn rebase(&mut self, bps: f64, now_us: i64) {
        *self = Self {
            decreases: self.decreases,
            round_trip_us: self.round_trip_us,
            last_change_us: Some(now_us),
            last_decrease_us: self.last_decrease_us,
            ..Self::new(
                bps.clamp(self.min_bps, self.max_bps),
                self.min_bps,
                self.max_bps,
            )
        };
    }

    /// Takes over what another one believes, whose clock began so much later.
    pub(super) fn follow(&mut self, other: &Self, shift_us: i64) {
        let shift = |at: Option<i64>| at.map(|at| at + shift_us);
        let (min_bps, max_bps) = (self.min_bps, self.max_bps);
        *self = Self {
            bps: other.bps.clamp(min_bps, max_bps),
            min_bps,
            max_bps,
            last_change_us: shift(other.last_change_us),
            last_decrease_us: shift(other.last_decrease_us),
            round_trip_us: self.round_trip_us,
            gain: other.gain.map(|(bps, at)| (bps, at + shift_us)),
            ..other.clone()
        };
        self.proof.shift(shift_us);
    }

    pub(super) fn bps(&self) -> f64 {
        self.bps
    }

    /// Whether queues built up so shortly ago that others are likely to share the line: then what
    /// a short probe takes is not this sender's share.
    pub(super) fn is_settling(&self, now_us: i64) -> bool {
        self.decreases > STARTING_DECREASES
            && self
                .last_decrease_us
                .is_some_and(|last| now_us - last < SETTLING_US + self.scatter(last))
    }

    /// Whether queues built up so often that others are likely to share the line.
    pub(super) fn is_shared(&self) -> bool {
        self.decreases > STARTING_DECREASES
    }

    /// Different for flows that share a line, so that they do not all probe at once: a hash of
    /// the rate and the time.
    fn scatter(&self, last_us: i64) -> i64 {
        let mixed = (self.bps.to_bits() ^ last_us as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed >> 40) as i64 * SCATTER_US) >> 24
    }

    pub(super) fn set_round_trip(&mut self, us: i64) {
        self.round_trip_us = us.clamp(1_000, 10_000_000);
    }

    /// A probe shows a rate. Where queues built up before, others may share the line, and a short
    /// probe takes more than its share: one that filled the line is believed by half.
    pub(super) fn probed(&mut self, shown: Shown, now_us: i64) {
        let bps = self.proof.take(shown, self.bps, now_us);
        let is_saturated = shown.is_saturated;
        self.filled = is_saturated.then_some(bps);
        let is_known = self.capacity.kbps.is_some();
        let bps = if is_saturated && is_known && bps > self.bps {
            f64::midpoint(bps, self.bps)
        } else {
            bps
        };
        if self.decreases > STARTING_DECREASES && bps > self.bps {
            self.gain = Some((self.bps, now_us));
        }
        self.set(bps, now_us);
    }

    /// Whether a probe showed less than is believed, and no other one has agreed yet.
    pub(super) fn is_doubted(&self) -> bool {
        self.proof.is_doubted()
    }

    /// The most that a decrease leaves: what a probe just gained is given back first.
    fn ceiling(&self, now_us: i64) -> f64 {
        match self.gain {
            Some((before, at)) if now_us - at < GAIN_US => REFUTED * before,
            _ => f64::MAX,
        }
    }

    /// A back-off says what it is.
    pub(super) fn set(&mut self, bps: f64, now_us: i64) {
        if bps < self.bps {
            self.last_decrease_us = Some(now_us);
            self.proof.settle();
        }
        self.bps = bps.clamp(self.min_bps, self.max_bps);
        self.last_change_us = Some(now_us);
    }

    /// Whether over-use that lasts reduces the estimate again.
    pub(super) fn may_reduce(&self, now_us: i64, acknowledged: Option<f64>) -> bool {
        let pause = self.round_trip_us.clamp(10_000, 200_000);
        match self.last_decrease_us {
            Some(last) if now_us - last < pause => {
                acknowledged.is_some_and(|bps| bps < self.bps / 2.0)
            }
            _ => true,
        }
    }

    /// A queue is to be drained: under what arrives; whether that is a change.
    pub(super) fn drain(&mut self, acknowledged: Option<f64>, now_us: i64) -> bool {
        self.phase = Phase::Hold;
        let Some(arriving) = acknowledged.filter(|bps| DRAIN * bps < self.bps) else {
            return false;
        };
        if !self.may_reduce(now_us, acknowledged) {
            return false;
        }
        self.capacity.learn(arriving);
        self.count_decrease(now_us);
        self.set((DRAIN * arriving).min(self.ceiling(now_us)), now_us);
        true
    }

    /// The queue is gone: back to a little under what arrived.
    pub(super) fn resume(&mut self, acknowledged: Option<f64>, now_us: i64) {
        self.phase = Phase::Hold;
        let target = acknowledged
            .map_or(0.0, |bps| RESUME * bps)
            .min(self.ceiling(now_us));
        self.gain = None;
        if target > self.bps {
            self.bps = target.clamp(self.min_bps, self.max_bps);
            self.last_change_us = Some(now_us);
        }
    }

    /// A drain was in vain: a part of what it cost is taken back.
    pub(super) fn restore(&mut self, before_bps: f64, now_us: i64) {
        if RESTORED * before_bps > self.bps {
            self.bps = (RESTORED * before_bps).clamp(self.min_bps, self.max_bps);
            self.last_change_us = Some(now_us);
        }
    }

    /// Beside a flow that fills the queue: down when it drops, up otherwise.
    pub(super) fn compete(&mut self, is_dropping: bool, acknowledged: Option<f64>, now_us: i64) {
        let pause = self.round_trip_us.clamp(1_000_000, 2_000_000);
        self.capacity.forget();
        if !is_dropping {
            let last = self.last_change_us.unwrap_or(now_us);
            let before = self.bps;
            self.increase(acknowledged, now_us);
            let (least, most) = COMPETING_ROUND_TRIP_US;
            let round_trip = self.round_trip_us.clamp(least, most) as f64 / 1e6;
            let seconds = ((now_us - last) as f64 / 1e6).clamp(0.0, 1.0);
            let packets = COMPETING_PACKETS / (round_trip * round_trip) * seconds;
            let grown = before + packets * PACKET_BITS;
            // What is not used is not lost either, and says nothing.
            let most = acknowledged.map_or(f64::MAX, |bps| COMPETING_UNTRIED * bps);
            self.bps = before.max(self.bps.max(grown).min(most)).min(self.max_bps);
        } else if self
            .last_decrease_us
            .is_none_or(|last| now_us - last > pause)
        {
            self.set(COMPETING_BETA * self.bps, now_us);
        }
    }

    /// One step after feedback.
    pub(super) fn step(&mut self, line: LineState, acknowledged: Option<f64>, now_us: i64) {
        match line {
            LineState::Overused => {
                if self.may_reduce(now_us, acknowledged) {
                    self.decrease(acknowledged, now_us);
                }
                self.phase = Phase::Hold;
            }
            // Queues drain: wait until they have.
            LineState::Underused => self.phase = Phase::Hold,
            LineState::Normal => {
                if self.phase == Phase::Hold {
                    self.phase = Phase::Increase;
                    self.last_change_us = Some(now_us);
                } else {
                    self.increase(acknowledged, now_us);
                }
            }
        }
    }

    fn increase(&mut self, acknowledged: Option<f64>, now_us: i64) {
        if let (Some(bps), Some((_, high))) = (acknowledged, self.capacity.range_bps())
            && bps > high
        {
            // The link carries more than it did.
            self.capacity.forget();
        }
        let last = self.last_change_us.replace(now_us).unwrap_or(now_us);
        let seconds = ((now_us - last) as f64 / 1e6).clamp(0.0, 1.0);
        let grown = if self.capacity.kbps.is_some() {
            self.bps + self.additive_bps() * seconds
        } else if self.decreases > STARTING_DECREASES {
            self.bps + FORGOTTEN * self.additive_bps() * seconds
        } else {
            self.bps + (self.bps * (GROWTH.powf(seconds) - 1.0)).max(1000.0 * seconds)
        };
        // What was not tried is not claimed, once queues or a probe have shown the line's end.
        let seen = self.filled.or(self.capacity.kbps.map(|kbps| kbps * 1000.0));
        let untried =
            acknowledged.is_some_and(|bps| bps < TRIED * self.bps.max(seen.unwrap_or(0.0)));
        let grown = match seen {
            Some(seen) if untried => grown.min(self.bps.max(seen)),
            _ => grown,
        };
        let limit = acknowledged.map_or(f64::MAX, |bps| {
            ACKNOWLEDGED_FACTOR * bps + ACKNOWLEDGED_MARGIN
        });
        if grown < limit {
            self.bps = grown;
        } else if limit > self.bps {
            self.bps = limit;
        }
        self.bps = self.bps.clamp(self.min_bps, self.max_bps);
    }

    fn count_decrease(&mut self, now_us: i64) {
        let is_new = self
            .last_decrease_us
            .is_none_or(|last| now_us - last > 1_000_000);
        self.decreases = self.decreases.saturating_add(u32::from(is_new));
    }

    /// Growth a second near the capacity.
    fn additive_bps(&self) -> f64 {
        let frame_bits = self.bps / 30.0;
        let packets = (frame_bits / PACKET_BITS).ceil().max(1.0);
        let packet_bits = 2.0 * frame_bits / packets;
        let response = (self.round_trip_us + 100_000) as f64 / 1e6;
        (packet_bits / response).max(MIN_ADDITIVE_BPS)
    }

    /// Queues build up while so much arrives: what is kept of it.
    fn full(&mut self, arriving: f64) -> f64 {
        let mut target = arriving * BETA;
        if target > self.bps
            && let Some(kbps) = self.capacity.kbps
        {
            target = BETA * kbps * 1000.0;
        }
        if let Some((low, _)) = self.capacity.range_bps()
            && arriving < low
        {
            self.capacity.forget();
        }
        self.capacity.learn(arriving);
        target
    }

    fn decrease(&mut self, acknowledged: Option<f64>, now_us: i64) {
        let Some(arriving) = acknowledged else {
            // Nothing measured: half is a guess that ends a wrong start.
            self.bps = (self.bps / 2.0).max(self.min_bps);
            self.last_decrease_us = Some(now_us);
            self.last_change_us = Some(now_us);
            return;
        };
        let target = if arriving < TRIED * self.bps {
            // There was less to send: what arrives is not what the line carries. Where it is, the
            // queue grows, and is drained. (`alr_limited_backoff` of `delay_based_bwe.cc`.)
            BETA * self.bps
        } else {
            self.full(arriving)
        };
        let target = target.min(self.ceiling(now_us));
        self.count_decrease(now_us);
        self.proof.settle();
        if target < self.bps {
            self.bps = target.clamp(self.min_bps, self.max_bps);
        }
        self.last_decrease_us = Some(now_us);
        self.last_change_us = Some(now_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    /// Grows for some seconds while a share of the rate arrives.
    fn grow(
        rate: &mut RateControl,
        seconds: i64,
        arriving: impl Fn(f64) -> f64,
        now_us: i64,
    ) -> i64 {
        for tenth in 1..=seconds * 10 {
            let arrives = arriving(rate.bps());
            rate.step(
                LineState::Normal,
                Some(arrives),
                now_us + tenth * SECOND / 10,
            );
        }
        now_us + seconds * SECOND
    }

    #[test]
    fn near_the_capacity_that_queues_have_shown_growth_is_by_small_steps() {
        let mut fresh = RateControl::new(1_000_000.0, 50_000.0, 10_000_000.0);
        grow(&mut fresh, 5, |bps| bps, 0);
        // Eight per cent a second, but for the first step.
        assert!(
            (1_420_000.0..1_480_000.0).contains(&fresh.bps()),
            "{}",
            fresh.bps()
        );
        let mut full = RateControl::new(1_000_000.0, 50_000.0, 10_000_000.0);
        full.step(LineState::Overused, Some(1_000_000.0), 0);
        assert!((full.bps() - 850_000.0).abs() < 1.0, "{}", full.bps());
        grow(&mut full, 5, |bps| bps, 0);
        let growth = full.bps() - 850_000.0;
        // About 60 kbit/s a second, where eight per cent would have been 400 in all.
        assert!((250_000.0..330_000.0).contains(&growth), "{growth}");
    }

    #[test]
    fn a_line_that_carries_more_than_it_did_is_grown_into_as_before() {
        let mut rate = RateControl::new(1_000_000.0, 50_000.0, 10_000_000.0);
        rate.step(LineState::Overused, Some(1_000_000.0), 0);
        assert!(rate.capacity.kbps.is_some());
        let now = grow(&mut rate, 2, |bps| bps, 0);
        assert!(rate.capacity.kbps.is_some(), "within what is remembered");
        grow(&mut rate, 1, |_| 1_100_000.0, now);
        assert_eq!(rate.capacity.kbps, None);
    }

    #[test]
    fn a_line_that_carries_less_than_it_did_is_learned_anew() {
        let mut rate = RateControl::new(2_000_000.0, 50_000.0, 10_000_000.0);
        rate.step(LineState::Overused, Some(2_000_000.0), 0);
        let now = grow(&mut rate, 1, |bps| bps, 0);
        // So much less that it is no chance: the memory is of this line now, not between the two.
        rate.bps = 900_000.0;
        rate.step(LineState::Overused, Some(900_000.0), now + SECOND);
        assert_eq!(rate.capacity.kbps, Some(900.0));
    }
}
