//! Keyframes for what is lost for good.

use super::{Proposal, StreamView};
use crate::QualityConfig;
use crate::quality::{Degradation, FeedbackAction, FeedbackPriority};

/// What loss after repair asks for: PLI from the lower bound on, FIR from the upper one on or where
/// an earlier request stayed unanswered.
pub(super) fn propose(view: &StreamView, config: &QualityConfig) -> Option<Proposal> {
    let loss = view.loss(config).unwrap_or(0.0);
    let (action, priority) = if view.unanswered || loss >= config.fir_loss {
        (FeedbackAction::Fir, FeedbackPriority::Critical)
    } else if loss >= config.pli_loss {
        (FeedbackAction::Pli, FeedbackPriority::Normal)
    } else {
        return None;
    };
    Some(Proposal {
        action: taken(action, view.takes_pli, view.takes_fir)?,
        encoding: Some(view.encoding),
        reason: Degradation::Loss,
        priority,
    })
}

/// The request the publisher takes that is nearest to the one wanted.
pub(crate) fn taken(
    wanted: FeedbackAction,
    takes_pli: bool,
    takes_fir: bool,
) -> Option<FeedbackAction> {
    match (wanted, takes_pli, takes_fir) {
        (_, false, false) => None,
        (FeedbackAction::Fir, _, true) | (_, false, true) => Some(FeedbackAction::Fir),
        _ => Some(FeedbackAction::Pli),
    }
}
