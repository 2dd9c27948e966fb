//! What is kept of allocation for a consumer and for a transport.

use crate::Estimate;

use super::{Allocation, Budget, ConsumerLimits, LayerTarget, Memory, TrackLimits};

/// Whether the line lets a consumer send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Gate {
    #[default]
    Open,
    /// It has just come: what it may send is not decided yet.
    Undecided,
    /// The line does not carry it.
    Starved,
}

/// What a consumer is allotted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allotment {
    pub(crate) gate: Gate,
    /// The layer it may go up to; `None`: whatever is preferred.
    pub(crate) target: Option<LayerTarget>,
    /// The same as it was told: spatial and temporal layer.
    pub(crate) told: (Option<u8>, Option<u8>),
    pub(crate) priority: u8,
    pub(crate) limits: ConsumerLimits,
    pub(crate) memory: Memory,
    pub(crate) paused_by_command: bool,
}

impl Allotment {
    /// Forgets what was decided about another source.
    pub(crate) fn forget(&mut self) {
        self.target = None;
        self.memory = Memory::default();
    }

    pub(crate) fn track_limits(&self, spatial: Option<u8>, temporal: Option<u8>) -> TrackLimits {
        TrackLimits {
            spatial,
            temporal,
            shown: self.limits,
        }
    }
}

/// What a transport's line is divided by.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Whether its line is not to be spared.
    pub(crate) unlimited: bool,
    pub(crate) armed: Option<u64>,
    pub(crate) last_us: u64,
    /// When the first pictures may have left for it.
    pub(crate) sent_since_us: Option<u64>,
    /// When its peer's tracks were last those of a speaker.
    pub(crate) spoke_us: Option<u64>,
    pub(crate) used_bps: u64,
    pub(crate) wanted_bps: u64,
    pub(crate) runs: u64,
    /// Under this estimate less is to be given; above the other more can be.
    low_bps: u64,
    next_bps: Option<u64>,
    budget: Option<Budget>,
}

impl Tally {
    pub(crate) fn new(unlimited: bool) -> Self {
        Self {
            unlimited,
            ..Self::default()
        }
    }

    /// Notes an allocation.
    pub(crate) fn settle(&mut self, budget: Budget, given: &Allocation, now_us: u64) {
        self.last_us = now_us;
        self.runs += 1;
        self.used_bps = given.used_bps;
        self.wanted_bps = given.wanted_bps;
        self.next_bps = given.next_bps;
        // What does not fit though nothing more can be taken away is not looked at again and again.
        let fits = matches!(budget, Budget::Bps(bps) if given.used_bps <= bps);
        self.low_bps = if fits { given.used_bps } else { 0 };
        self.budget = Some(budget);
    }

    /// Whether an estimate would lead to something else.
    #[inline]
    pub(crate) fn is_moved_by(&self, estimate: &Estimate) -> bool {
        let as_before = match self.budget {
            Some(Budget::Bps(_)) => !estimate.at_least,
            Some(Budget::AtLeast(_)) => estimate.at_least,
            _ => false,
        };
        !as_before
            || estimate.bps < self.low_bps
            || self.next_bps.is_some_and(|next| estimate.bps >= next)
    }

    /// Whether somebody is not given the best there is.
    pub(crate) fn is_short(&self) -> bool {
        self.used_bps < self.wanted_bps
    }
}
