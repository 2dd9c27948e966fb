//! A queue that stands: the trend of delay is flat on a full queue as on an empty one.
//!
//! Not part of libwebrtc, which waits until loss has brought the rate down and leaves the queue
//! full. Here the rate goes under what arrives until the queue is gone. A queue that stays is
//! someone else's: then delay says nothing about this sender's rate, and only loss lowers it
//! (as Copa's competitive mode, Arun and Balakrishnan, NSDI 2018, section 4).

use crate::LineState;

/// The smallest delay ever seen rises by this a second, so that drifting clocks and new paths are
/// learned.
const BASE_DRIFT_US: f64 = 500.0;
/// With over-use, a queue above this is drained.
pub(super) const DRAIN_US: i64 = 50_000;
/// Without, one above this that stands for so long.
pub(super) const STANDING_US: i64 = 110_000;
const STANDING_TIME_US: i64 = 700_000;
/// A queue above this, for which nobody gives way, is over-use after so long, though it has no trend: the others on
/// the line have given way for it.
const KEPT_US: i64 = 30_000;
const KEPT_TIME_US: i64 = 300_000;
/// Drained to this share, or this, is drained.
const DRAINED_SHARE: f64 = 0.2;
const DRAINED_US: i64 = 15_000;
/// Draining that has not halved the queue by its time has failed.
const FAILED_SHARE: f64 = 0.5;
const DRAIN_SLACK_US: i64 = 500_000;
/// A queue that builds up again while the rate is less than this times what it was without one
/// is not of the sender's making; so often within a time, and it is someone else's.
const OWN_GROWTH: f64 = 1.05;
const SUSPICIONS: u8 = 3;
const SUSPICION_US: i64 = 15_000_000;
/// Who gave way to a queue of its own beside someone else meets that one again within this time: a queue that comes
/// back while no more arrives than before it, give or take so much, is theirs at once.
const REUNION_US: i64 = 30_000_000;
const REUNION_GROWTH: f64 = 1.1;
/// A line that was someone else's and has had no queue for so long is not any more.
const QUIET_US: i64 = 8_000_000;
/// How long a failed drain is believed; a delay that is steady is looked at sooner.
const RETRY_US: i64 = 60_000_000;
const STEADY_US: i64 = 20_000_000;
/// Growth by this share of the time gone, looked at so often, is growth; so much less is shrinking.
const GROWING: f64 = 0.03;
const MARK_US: i64 = 150_000;
/// So long, and one and a half round trips, a drain is young.
const YOUNG_US: i64 = 600_000;
/// A delay that never fell below this share of the peak is a longer path.
const STEADY_SHARE: f64 = 0.85;
/// So often a drain's rate follows what arrives down.
const CORRECTIONS: u8 = 3;
/// No queue is longer.
const MAX_DELAY_US: i64 = 60_000_000;
/// What the peak loses a second.
const PEAK_DECAY: f64 = 0.02;
/// A queue of this share of the peak is full.
const FULL_SHARE: f64 = 0.7;

/// What is done about the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Standing {
    /// There is none to speak of.
    #[default]
    Clear,
    /// The rate is kept under what arrives, since then.
    Draining,
    /// It is not this sender's.
    Foreign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    None,
    Own,
    Foreign,
}

/// The queue's delay and what was tried.
#[derive(Debug, Default)]
pub(super) struct Queue {
    base_us: Option<f64>,
    last_us: i64,
    delay_us: i64,
    peak_us: f64,
    high_since_us: Option<i64>,
    state: Standing,
    since_us: i64,
    start_us: i64,
    /// The rate when there was no queue, and when that was; none once one built up again.
    empty: Option<(f64, i64)>,
    /// What arrived when there was none.
    empty_arriving: f64,
    /// When it gave way to a queue of its own beside someone else.
    parted_us: Option<i64>,
    suspicions: u8,
    suspicion_us: i64,
    /// The delay some time ago, and when.
    mark: (i64, i64),
    is_growing: bool,
    is_shrinking: bool,
    /// Since when it is kept.
    kept_since_us: Option<i64>,
    /// When the drain began.
    begun_us: i64,
    /// The smallest delay since then.
    low_us: i64,
    /// Times its rate was lowered since more left than arrived.
    corrections: u8,
    /// The drain looks whether the queue is still someone else's.
    is_retry: bool,
}

/// What is known when the queue is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    pub(super) line: LineState,
    pub(super) round_trip_us: i64,
    /// What of the delay may be chance.
    pub(super) chance_us: i64,
    /// A longer one is drained where there is over-use.
    pub(super) drain_us: i64,
    /// The rate that is used, or none where it says nothing: probes, or a limited source.
    pub(super) used_bps: Option<f64>,
    /// Clearly more is sent than arrives: a queue that stands is this sender's own.
    pub(super) overflows: bool,
    /// What arrives.
    pub(super) arriving_bps: Option<f64>,
}

impl Queue {
    /// The smallest delay of a feedback packet's arrivals, on whatever scale.
    pub(super) fn push(&mut self, smallest_us: i64, now_us: i64) {
        let seconds = (now_us - self.last_us).clamp(0, 10_000_000) as f64 / 1e6;
        self.last_us = now_us;
        let delay = smallest_us as f64;
        let base = self
            .base_us
            .map_or(delay, |base| (base + BASE_DRIFT_US * seconds).min(delay));
        self.base_us = Some(base);
        self.delay_us = ((delay - base) as i64).min(MAX_DELAY_US);
        self.low_us = self.low_us.min(self.delay_us);
        let (then_us, at_us) = self.mark;
        if now_us - at_us >= MARK_US {
            let change = (self.delay_us - then_us) as f64 / (now_us - at_us) as f64;
            self.is_growing = change > GROWING;
            self.is_shrinking = change < -GROWING;
            self.mark = (self.delay_us, now_us);
        }
        self.peak_us = (self.peak_us * (1.0 - PEAK_DECAY * seconds)).max(self.delay_us as f64);
    }

    /// Watches for a queue that neither grows nor shrinks; `spared_us` of it is chance, or a probe's.
    pub(super) fn watch_kept(&mut self, spared_us: i64, now_us: i64) {
        if self.delay_us > KEPT_US + spared_us && !self.is_shrinking {
            self.kept_since_us.get_or_insert(now_us);
        } else {
            self.kept_since_us = None;
        }
    }

    /// Whether a queue is kept for so long that it is over-use.
    pub(super) fn is_kept(&self) -> bool {
        self.kept_since_us
            .is_some_and(|since| self.last_us - since >= KEPT_TIME_US)
    }

    /// What is to be done.
    pub(super) fn step(&mut self, sight: Sight, now_us: i64) -> Standing {
        if self.delay_us > STANDING_US {
            self.high_since_us.get_or_insert(now_us);
        } else {
            self.high_since_us = None;
        }
        let cause = self.cause(sight, now_us);
        match self.state {
            Standing::Clear => self.watch(sight, now_us),
            Standing::Draining => {
                self.start_us = self.start_us.max(self.delay_us);
                let time = 4 * self.start_us + 2 * sight.round_trip_us + DRAIN_SLACK_US;
                if self.is_drained() {
                    self.enter(Standing::Clear, now_us);
                } else if now_us - self.since_us > time {
                    let has_failed = self.delay_us as f64 > FAILED_SHARE * self.start_us as f64;
                    // What was thought to arrive when the drain began was from before a fall: it was no drain.
                    let next = if has_failed && !sight.overflows {
                        Standing::Foreign
                    } else {
                        Standing::Draining
                    };
                    self.enter(next, now_us);
                }
            }
            Standing::Foreign => {
                let is_quiet = self
                    .empty
                    .is_some_and(|(_, since)| now_us - since > QUIET_US);
                let is_retried = now_us - self.since_us > RETRY_US;
                let is_old = now_us - self.since_us > STEADY_US;
                if is_quiet {
                    self.enter(Standing::Clear, now_us);
                } else if is_old && self.low_us as f64 > STEADY_SHARE * self.peak_us {
                    // No queue stands so still: the path became longer.
                    self.base_us = self.base_us.map(|base| base + self.low_us as f64);
                    self.enter(Standing::Clear, now_us);
                    (self.delay_us, self.peak_us) = (0, 0.0);
                } else if cause == Cause::Own || is_retried {
                    self.enter(Standing::Draining, now_us);
                    self.is_retry = is_retried;
                    self.parted_us = (!is_retried).then_some(now_us);
                }
            }
        }
        self.state
    }

    fn watch(&mut self, sight: Sight, now_us: i64) {
        let is_standing = self
            .high_since_us
            .is_some_and(|since| now_us - since > STANDING_TIME_US);
        let is_rising =
            sight.line == LineState::Overused && self.delay_us > sight.drain_us + sight.chance_us;
        let is_theirs = self.suspicions >= SUSPICIONS || self.is_reunion(sight, now_us);
        if is_theirs && (is_standing || is_rising) {
            self.enter(Standing::Foreign, now_us);
        } else if is_standing || is_rising {
            self.enter(Standing::Draining, now_us);
        }
    }

    /// Whether who was met lately is back.
    fn is_reunion(&self, sight: Sight, now_us: i64) -> bool {
        let is_recent = self.parted_us.is_some_and(|at| now_us - at < REUNION_US);
        let most = REUNION_GROWTH * self.empty_arriving;
        is_recent && sight.arriving_bps.is_some_and(|bps| bps < most)
    }

    /// Where there was no queue and now is one: whose it is.
    fn cause(&mut self, sight: Sight, now_us: i64) -> Cause {
        if self.is_drained() {
            self.empty_arriving = sight.arriving_bps.unwrap_or(0.0);
            if let Some(bps) = sight.used_bps {
                let since = self.empty.map_or(now_us, |(_, since)| since);
                self.empty = Some((bps, since));
            }
            return Cause::None;
        }
        if self.delay_us < sight.drain_us + sight.chance_us {
            return Cause::None;
        }
        let (Some((before, _)), Some(bps)) = (self.empty.take(), sight.used_bps) else {
            return Cause::None;
        };
        if bps > before * OWN_GROWTH {
            self.suspicions = 0;
            return Cause::Own;
        }
        if now_us - self.suspicion_us > SUSPICION_US {
            self.suspicions = 0;
        }
        if self.suspicions == 0 {
            self.suspicion_us = now_us;
        }
        self.suspicions = self.suspicions.saturating_add(1);
        Cause::Foreign
    }

    fn is_drained(&self) -> bool {
        self.delay_us < DRAINED_US || (self.delay_us as f64) < DRAINED_SHARE * self.peak_us
    }

    fn enter(&mut self, state: Standing, now_us: i64) {
        self.state = state;
        self.since_us = now_us;
        self.begun_us = now_us;
        self.low_us = self.delay_us;
        self.start_us = self.delay_us;
        self.high_since_us = None;
        self.suspicions = 0;
        self.corrections = 0;
        if state != Standing::Foreign {
            self.is_retry = false;
        }
    }

    /// Whether the last drain only looked whether the queue was still someone else's.
    pub(super) fn was_retry(&self) -> bool {
        self.is_retry
    }

    pub(super) fn state(&self) -> Standing {
        self.state
    }

    /// Whether the queue is about as long as it gets.
    pub(super) fn is_full(&self) -> bool {
        self.delay_us as f64 > FULL_SHARE * self.peak_us
    }

    /// Whether the queue became longer lately, or is full, though the drain is young: what arrives had not
    /// yet told the line's rate. Later, growth is not of this sender's making.
    pub(super) fn needs_less(&self, lost: bool, round_trip_us: i64, now_us: i64) -> bool {
        (self.is_growing || (lost && self.is_full()))
            && now_us - self.begun_us < YOUNG_US + 3 * round_trip_us / 2
    }

    /// Whether a drain that sends more than arrives may be lowered: what arrived when it began was from before a fall.
    /// Only so often, or a flow that takes all would be given all.
    pub(super) fn may_correct(&self, round_trip_us: i64, now_us: i64) -> bool {
        let is_young = now_us - self.begun_us < YOUNG_US + 3 * round_trip_us / 2;
        !is_young && self.corrections < CORRECTIONS
    }

    /// The rate was lowered once more: the drain has its time from now.
    pub(super) fn restart_drain(&mut self, corrected: bool, now_us: i64) {
        self.corrections += u8::from(corrected);
        self.since_us = now_us;
        self.start_us = self.delay_us;
    }

    /// The queue's delay.
    pub(super) fn delay_us(&self) -> i64 {
        self.delay_us
    }
}

#[cfg(test)]
mod tests;
