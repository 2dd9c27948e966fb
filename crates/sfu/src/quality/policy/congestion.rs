//! A bitrate for publishers that take one.

use super::{LineView, Proposal};
use crate::quality::{CongestionState, Degradation, FeedbackAction, FeedbackPriority};

/// What the estimate of a line rests on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum EstimatorState {
    /// Too little came so far; the configured limit stands.
    #[default]
    Starting,
    /// Queues build up or much is lost; the estimate goes down.
    Overusing,
    /// Queues drain; the estimate waits.
    Draining,
    /// What is sent gets through in time.
    Steady,
}

/// How sure an estimate is in that state, in per cent: surest when the line is quiet, least when
/// nothing is known of it yet. While it is overused what gets through is known well, but not yet
/// how much of it is other traffic's doing.
pub(crate) fn confidence(state: EstimatorState) -> u8 {
    match state {
        EstimatorState::Starting => 60,
        EstimatorState::Overusing => 70,
        EstimatorState::Draining => 80,
        EstimatorState::Steady => 90,
    }
}

/// What the state of the line asks for. A quiet line needs no word outside of the reports.
pub(super) fn propose(line: &LineView) -> Option<Proposal> {
    let (bps, state) = line.estimate?;
    let priority = match line.congestion {
        CongestionState::None => return None,
        CongestionState::Light => FeedbackPriority::Low,
        CongestionState::Moderate => FeedbackPriority::Normal,
        CongestionState::Severe => FeedbackPriority::High,
        CongestionState::Critical => FeedbackPriority::Critical,
    };
    Some(Proposal {
        action: FeedbackAction::Remb {
            bps,
            confidence: confidence(state),
        },
        encoding: None,
        reason: line.degradation.unwrap_or(Degradation::Bandwidth),
        priority,
    })
}
