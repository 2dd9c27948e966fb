//! Several who share a line: one rate for all of it, of which each has a part.
//!
//! Each of them measures the line with its own packets, and counts what arrives at the others to what arrives at itself:
//! then all that is said about one sender on a line is true of them together. Who has heard something changes the rate
//! as if it were alone, and the others take it over with all that was learned (RFC 8699 section 5.3 keeps the sum alone;
//! there each flow has a congestion control of its own that goes on from its part).

use std::time::Instant;

use super::GccEstimator;
use super::probe_results::Shown;
use super::rate_control::RateControl;
use super::standing::{DRAIN_US, STANDING_US};
use crate::Probe;
use crate::neighbours::{Company, Sighting};

/// What others send is an average, and the best of several probes is what met little of it: so much is believed of one
/// that filled the line.
const TRUSTED: f64 = 0.95;
/// A queue that others see less than this share of is none of the line.
const SEEN_SHARE: f64 = 0.5;

/// Others are told of no more than this times the estimate: arrivals are what a peer says.
const CLAIMED: f64 = 2.0;

/// What is believed of a line, as it is passed on to others who share it.
#[derive(Debug, Clone)]
pub struct LineBelief {
    rate: RateControl,
    base: Option<Instant>,
    /// Until when a probe's queue may be heard of, and how long it is.
    probing_until_us: i64,
    probing_length_us: i64,
}

impl LineBelief {
    /// What the line carries, in bits per second.
    pub fn bps(&self) -> f64 {
        self.rate.bps()
    }
}

impl GccEstimator {
    /// What arrives, here and at those who share the line.
    pub(super) fn arriving_bps(&self) -> Option<f64> {
        let own = self.acknowledged.bps()?;
        Some(own + self.others_bps())
    }

    pub(super) fn others_bps(&self) -> f64 {
        self.company.map_or(0.0, |company| company.others_bps)
    }

    /// What there is to send over the line in all.
    pub(super) fn wanted_by_all(&self) -> f64 {
        let others = self
            .company
            .map_or(0.0, |company| company.others_wanted_bps);
        self.wanted_bps + others
    }

    /// Whether one of those who share the line sees no such queue: then it is none of the line's.
    pub(super) fn is_unseen(&self, queue_us: i64) -> bool {
        let least = (SEEN_SHARE * queue_us as f64) as i64;
        self.company
            .is_some_and(|company| company.least_queue_us < least)
    }

    /// A queue above this is drained where there is over-use. Those who share a line and use most of it make one for a
    /// moment with each probe and each keyframe; drained, all of them would lose their layer for it.
    pub(super) fn drained_above_us(&self) -> i64 {
        if self.company.is_some() {
            STANDING_US
        } else {
            DRAIN_US
        }
    }

    pub(super) fn part(&self) -> f64 {
        self.company.map_or(1.0, |company| company.part)
    }

    pub(super) fn may_probe(&self) -> bool {
        self.company.is_none_or(|company| company.may_probe)
    }

    /// A probe of the whole line, less what others send.
    pub(super) fn own_probe(&self, probe: Probe) -> Probe {
        let Some(company) = self.company else {
            return probe;
        };
        let least = self.estimate_bps().min(probe.bps as f64);
        let bps = (probe.bps as f64 - company.others_bps).max(least);
        let share = bps / probe.bps.max(1) as f64;
        Probe {
            bps: bps as u64,
            min_bytes: (f64::from(probe.min_bytes) * share) as u32,
            ..probe
        }
    }

    /// What a probe shows of the whole line: where it is full, each has as much of it as of what is sent.
    pub(super) fn of_the_line(&self, shown: Shown) -> Shown {
        if shown.is_whole {
            return shown;
        }
        let others = self.others_bps() / shown.sent_bps.max(1.0);
        let trusted = if self.company.is_some() && shown.is_saturated {
            TRUSTED
        } else {
            1.0
        };
        Shown {
            bps: shown.bps * (1.0 + others) * trusted,
            ..shown
        }
    }

    pub(super) fn sighting(&self) -> Option<Sighting> {
        self.last_heard_us?;
        let most_bps = CLAIMED * self.estimate_bps();
        Some(Sighting {
            queue_us: self.queue.delay_us(),
            arriving_bps: self.acknowledged.bps().unwrap_or(0.0).min(most_bps),
            wanted_bps: self.wanted_bps,
        })
    }

    pub(super) fn belief_now(&self) -> LineBelief {
        LineBelief {
            rate: self.rate.clone(),
            base: self.base,
            probing_until_us: self.probing_until_us,
            probing_length_us: self.probing_length_us,
        }
    }

    /// From now on the rate is that of another set of senders: what was learned about the one before is no more true.
    pub(super) fn begin_line(&mut self, bps: f64, now_us: i64) {
        self.rate.rebase(bps, now_us);
        self.loss.forget();
        self.probes.rebase(self.rate.bps());
    }

    pub(super) fn take_over(&mut self, belief: &LineBelief, now_us: i64) {
        let shift_us = match (belief.base, self.base) {
            (Some(theirs), Some(own)) => match theirs.checked_duration_since(own) {
                Some(later) => later.as_micros() as i64,
                None => -(own.duration_since(theirs).as_micros() as i64),
            },
            _ => return,
        };
        self.rate.follow(&belief.rate, shift_us);
        let until_us = belief.probing_until_us + shift_us;
        if until_us > self.probing_until_us {
            self.probing_until_us = until_us;
            self.probing_length_us = belief.probing_length_us;
        }
        self.inform_probes(now_us);
    }

    pub(super) fn meet(&mut self, company: Option<Company>, now_us: i64) {
        self.company = company;
        if company.is_none() {
            self.others_sent_bytes = None;
        }
        self.probes.know_wanted(self.wanted_by_all());
        self.inform_probes(now_us);
    }
}
