//! When to probe, and how fast.
//!
//! Follows libwebrtc's `probe_controller.cc` (revision 0467d2b9): exponential probes at the start,
//! a step further while results are good, and one toward the old rate after a big drop. In place of
//! its probes for sources that are limited, probes go on while the line is wanted for more than
//! the estimate, limited or not: a forwarder's rate moves in steps of layers, and between two steps
//! nothing else shows what the line carries.

use std::collections::VecDeque;

use crate::Probe;

/// The first probes, of the rate at start.
const START_SCALES: [f64; 2] = [3.0, 6.0];
/// A step further, of what was found.
const STEP: f64 = 2.0;
/// A result above this share of the probe's rate is worth a step further.
const FURTHER_SHARE: f64 = 0.7;
/// Probes stay below this times what is wanted: pictures come in bursts.
const WANTED_SCALE: f64 = 2.0;
/// An estimate above this times what is wanted needs no probes.
const ENOUGH_SCALE: f64 = 1.5;
/// Results are waited for so long.
const WAIT_US: i64 = 1_000_000;
/// From the end of one probe to the next, while nothing says that they are in vain.
const INTERVAL_US: i64 = 2_000_000;
/// It doubles with each probe in vain up to this, which is how often libwebrtc probes for a source that
/// has less to send than it may: such a source needs no rule of its own.
const MAX_INTERVAL_US: i64 = 5_000_000;
/// A fall below this share is a big drop; the old rate is tried again within the time after it.
const DROP_SHARE: f64 = 0.66;
const DROP_MEMORY_US: i64 = 5_000_000;
const RECOVERY_SCALE: f64 = 0.85;
/// A probe's length.
const MIN_PACKETS: u16 = 5;
const MIN_SECONDS: f64 = 0.015;
/// It is longer where delay scatters, by so many times that, but not longer than this.
const SCATTERS: f64 = 10.0;
const MAX_SECONDS: f64 = 0.08;
/// Where others are likely to share the line it lasts for longer than they pause: between two pictures of
/// theirs it would find the line empty.
const SHARED_SECONDS: f64 = 0.04;
/// A gain below this was not worth the probe.
const WORTH: f64 = 1.1;
/// Probes given out at a time.
const MAX_PENDING: usize = 4;

/// Why probes hold back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restraint {
    /// They do not.
    Free,
    /// The estimate recovers from loss: small steps.
    Careful,
    /// The line is over-used or loses packets.
    Forbidden,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Nothing was probed yet.
    Fresh,
    /// Results are waited for; above the rate a further step follows.
    Waiting {
        further_above: f64,
    },
    Done,
}

/// The probe plan.
#[derive(Debug)]
pub(super) struct Probes {
    phase: Phase,
    pending: VecDeque<Probe>,
    next_id: u32,
    wanted: f64,
    max_bps: f64,
    estimate: f64,
    /// The estimate when the last round began.
    round_estimate: f64,
    round_us: i64,
    interval_us: i64,
    drop: Option<(f64, i64)>,
    restraint: Restraint,
    /// The last result is in doubt: another is to agree.
    doubtful: bool,
    /// How long a probe must be to be seen.
    seconds: f64,
    /// Probes given out.
    pub(super) sent: u64,
}

impl Probes {
    pub(super) fn new(start_bps: f64, max_bps: f64) -> Self {
        Self {
            phase: Phase::Fresh,
            pending: VecDeque::new(),
            next_id: 1,
            wanted: 0.0,
            max_bps,
            estimate: start_bps,
            round_estimate: start_bps,
            round_us: 0,
            interval_us: INTERVAL_US,
            drop: None,
            restraint: Restraint::Free,
            doubtful: false,
            seconds: MIN_SECONDS,
            sent: 0,
        }
    }

    /// The same, where it is no reason to try at once.
    pub(super) fn know_wanted(&mut self, bps: f64) {
        self.wanted = bps;
    }

    /// The estimate is one of other senders from now on: it has not fallen.
    pub(super) fn rebase(&mut self, bps: f64) {
        self.estimate = bps;
        self.drop = None;
    }

    /// What there is to send in all; more than before is tried for at once.
    pub(super) fn set_wanted(&mut self, bps: f64, now_us: i64) {
        let grew = bps > self.wanted * 1.05;
        self.wanted = bps;
        if grew && self.phase == Phase::Done && self.is_short() {
            self.interval_us = INTERVAL_US;
            if now_us - self.round_us >= INTERVAL_US / 2 {
                self.begin(now_us, &[bps.min(STEP * self.estimate)], true);
            }
        }
    }

    /// Whether more is wanted than the estimate.
    fn is_short(&self) -> bool {
        self.estimate < (ENOUGH_SCALE * self.wanted).min(0.98 * self.max_bps)
    }

    fn limit(&self) -> f64 {
        self.max_bps.min(WANTED_SCALE * self.wanted)
    }

    /// The estimate after feedback.
    pub(super) fn set_estimate(&mut self, bps: f64, restraint: Restraint, now_us: i64) {
        self.restraint = restraint;
        if bps < DROP_SHARE * self.estimate {
            self.drop = Some((self.estimate, now_us));
        }
        self.estimate = bps;
        if let Phase::Waiting { further_above } = self.phase
            && bps > further_above
        {
            self.phase = Phase::Done;
            if self.is_short() {
                self.begin(now_us, &[STEP * bps], true);
            }
        }
    }

    /// Whether the last result is in doubt.
    pub(super) fn set_doubtful(&mut self, doubtful: bool) {
        self.doubtful = doubtful;
    }

    /// How much delay scatters, and whether others are likely to share the line: in a probe not much longer than that, chance is all there is to see.
    pub(super) fn set_scatter(&mut self, scatter_us: f64, is_shared: bool) {
        let least = if is_shared {
            SHARED_SECONDS
        } else {
            MIN_SECONDS
        };
        self.seconds = (least + SCATTERS * scatter_us / 1e6).min(MAX_SECONDS);
    }

    /// Queues drained after over-use: if the rate fell far, the old one is tried.
    pub(super) fn recover(&mut self, now_us: i64) {
        let Some((before, at)) = self.drop else {
            return;
        };
        let target = RECOVERY_SCALE * before;
        if now_us - at < DROP_MEMORY_US
            && self.estimate < DROP_SHARE * before
            && target > self.estimate * 1.05
            && self.phase == Phase::Done
        {
            self.drop = None;
            self.begin(now_us, &[target], false);
        }
    }

    /// When [`Self::tick`] has something to do.
    pub(super) fn next_us(&self) -> Option<i64> {
        match self.phase {
            Phase::Fresh => None,
            Phase::Waiting { .. } => Some(self.round_us + WAIT_US),
            Phase::Done if self.doubtful => Some(self.round_us + WAIT_US),
            Phase::Done if !self.is_short() => None,
            Phase::Done => Some(self.round_us + self.interval_us),
        }
    }

    /// Time passed.
    pub(super) fn tick(&mut self, now_us: i64) {
        if self.next_us().is_none_or(|at| now_us < at) {
            return;
        }
        if let Phase::Waiting { .. } = self.phase {
            self.phase = Phase::Done;
            self.interval_us = if self.estimate > self.round_estimate * WORTH {
                INTERVAL_US
            } else {
                (self.interval_us * 2).min(MAX_INTERVAL_US)
            };
        } else if self.restraint == Restraint::Forbidden {
            // Not now: asked again soon.
            self.round_us = now_us - self.interval_us + INTERVAL_US / 4;
        } else {
            self.begin(now_us, &[STEP * self.estimate], true);
        }
    }

    fn begin(&mut self, now_us: i64, rates: &[f64], further: bool) {
        let limit = match self.restraint {
            Restraint::Free => self.limit(),
            Restraint::Careful => self.limit().min(1.5 * self.estimate),
            Restraint::Forbidden => return,
        };
        let mut last = None;
        for rate in rates {
            let rate = rate.min(limit);
            if last.is_some_and(|before| rate <= before) || rate <= 0.0 {
                break;
            }
            if self.pending.len() >= MAX_PENDING {
                self.pending.pop_front();
            }
            self.pending.push_back(Probe {
                id: self.next_id,
                bps: rate as u64,
                min_bytes: (rate * self.seconds / 8.0) as u32,
                min_packets: MIN_PACKETS,
            });
            self.next_id = self.next_id.wrapping_add(1).max(1);
            last = Some(rate);
        }
        let Some(rate) = last else { return };
        self.round_us = now_us;
        self.round_estimate = self.estimate;
        let further_above = if further && rate < self.limit() {
            FURTHER_SHARE * rate
        } else {
            f64::MAX
        };
        self.phase = Phase::Waiting { further_above };
    }

    /// The next probe to send.
    pub(super) fn poll(&mut self, now_us: i64) -> Option<Probe> {
        if self.phase == Phase::Fresh && self.wanted > 0.0 {
            let rates = START_SCALES.map(|scale| scale * self.estimate);
            self.begin(now_us, &rates, true);
        }
        let probe = self.pending.pop_front()?;
        self.sent += 1;
        Some(probe)
    }
}
