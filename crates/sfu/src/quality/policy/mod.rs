//! What a publisher is told about what arrives from it.
//!
//! Four strategies look at the same figures: [`loss`], [`congestion`], [`quality`], and their
//! combination, which takes the most urgent actions of all. They are pure: what was measured goes
//! in, proposals come out. [`limits`] keeps proposals from becoming a storm.

mod congestion;
pub(crate) mod limits;
mod loss;
mod quality;

use super::{Degradation, FeedbackAction, FeedbackPriority, FeedbackStrategy, Quality};
use crate::QualityConfig;

pub(crate) use congestion::{EstimatorState, confidence};
pub(crate) use loss::taken;

/// What one stream looks like since the last action or the last window.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct StreamView {
    pub(crate) encoding: u8,
    /// Packets whose fate is known.
    pub(crate) expected: u64,
    /// Of those, missing for good: NACK, RTX and FEC have had their chance.
    pub(crate) lost: u64,
    /// A keyframe request is unanswered beyond its time.
    pub(crate) unanswered: bool,
    pub(crate) quality: Option<Quality>,
    /// Whether the publisher takes these at all.
    pub(crate) takes_pli: bool,
    pub(crate) takes_fir: bool,
}

impl StreamView {
    /// Share lost after repair; `None`: too few packets to say.
    fn loss(&self, config: &QualityConfig) -> Option<f64> {
        let enough = self.expected >= u64::from(config.min_packets.max(1));
        enough.then(|| self.lost as f64 / self.expected as f64)
    }
}

/// What the line from the publisher looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct LineView {
    pub(crate) congestion: super::CongestionState,
    /// What the receiving side believes the line carries, where the publisher takes REMB.
    pub(crate) estimate: Option<(u64, EstimatorState)>,
    pub(crate) degradation: Option<Degradation>,
}

/// An action that a strategy thinks worth taking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Proposal {
    pub(crate) action: FeedbackAction,
    /// The encoding it is about; `None`: the whole line.
    pub(crate) encoding: Option<u8>,
    pub(crate) reason: Degradation,
    pub(crate) priority: FeedbackPriority,
}

impl Proposal {
    /// Whether both do the same to the same; then one is enough.
    fn covers(&self, other: &Self) -> bool {
        let remb = |action| matches!(action, FeedbackAction::Remb { .. });
        self.encoding == other.encoding && remb(self.action) == remb(other.action)
    }

    /// What goes first among equals: the surest and strongest.
    fn weight(&self) -> u8 {
        match self.action {
            FeedbackAction::Fir => 100,
            FeedbackAction::Remb { confidence, .. } => confidence,
            FeedbackAction::Pli => 50,
        }
    }
}

/// Actions of one look.
pub(crate) const MAX_ACTIONS: usize = 3;

/// The actions for one producer now, the most urgent first, at most [`MAX_ACTIONS`].
pub(crate) fn decide(
    streams: &[StreamView],
    line: &LineView,
    config: &QualityConfig,
) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    let acts = |strategy| config.acts(strategy);
    if acts(FeedbackStrategy::Loss) {
        proposals.extend(
            streams
                .iter()
                .filter_map(|view| loss::propose(view, config)),
        );
    }
    if acts(FeedbackStrategy::Congestion) {
        proposals.extend(congestion::propose(line));
    }
    if acts(FeedbackStrategy::Quality) {
        let of = |view| quality::propose(view, line, config);
        proposals.extend(streams.iter().filter_map(of));
    }
    rank(proposals)
}

/// The most urgent first; of those that do the same only the first.
fn rank(mut proposals: Vec<Proposal>) -> Vec<Proposal> {
    proposals.sort_by_key(|proposal| {
        let urgency = (proposal.priority, proposal.weight());
        std::cmp::Reverse(urgency)
    });
    let mut ranked: Vec<Proposal> = Vec::new();
    for proposal in proposals {
        if ranked.len() < MAX_ACTIONS && !ranked.iter().any(|taken| taken.covers(&proposal)) {
            ranked.push(proposal);
        }
    }
    ranked
}

#[cfg(test)]
mod tests;
