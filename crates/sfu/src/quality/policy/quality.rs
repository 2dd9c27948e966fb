//! Whatever helps a stream with a low score, by what is wrong with it.

use super::congestion::confidence;
use super::loss::taken;
use super::{LineView, Proposal, StreamView};
use crate::QualityConfig;
use crate::quality::{Degradation, FeedbackAction, FeedbackPriority};

/// A stream that falls below the floor is helped by a keyframe where packets are missing or nothing
/// can be decoded, by a lower bitrate where the line is too narrow.
pub(super) fn propose(
    view: &StreamView,
    line: &LineView,
    config: &QualityConfig,
) -> Option<Proposal> {
    let quality = view.quality?;
    let score = quality.score.get();
    if score >= config.score_floor {
        return None;
    }
    let reason = quality.degradation?;
    let priority = if score < config.score_floor / 3.0 {
        FeedbackPriority::High
    } else if score < config.score_floor * 2.0 / 3.0 {
        FeedbackPriority::Normal
    } else {
        FeedbackPriority::Low
    };
    let keyframe = || taken(FeedbackAction::Pli, view.takes_pli, view.takes_fir);
    let (action, encoding) = match reason {
        // A keyframe mends nothing where all was repaired: it would only add to the load.
        Degradation::Loss if view.lost == 0 => return None,
        Degradation::Loss | Degradation::Corruption => (keyframe()?, Some(view.encoding)),
        Degradation::Jitter | Degradation::Bandwidth => {
            let (bps, state) = line.estimate?;
            let confidence = confidence(state);
            (FeedbackAction::Remb { bps, confidence }, None)
        }
    };
    Some(Proposal {
        action,
        encoding,
        reason,
        priority,
    })
}
