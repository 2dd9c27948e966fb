//! What the line to a peer carries: bandwidth estimators without I/O.
//!
//! One trait, [`BandwidthEstimator`], chosen per transport: it is told what leaves and what the
//! peer reports back, and says what it believes, at what rate to pace, and when to probe for more.
//! It reads no clock and draws no randomness.
#![forbid(unsafe_code)]

mod estimator;
mod receiver_reports;

pub use estimator::{
    BandwidthEstimator, Estimate, FeedbackEntry, LineState, Probe, ReportedLoss, SentKind,
    SentPacket,
};
pub use receiver_reports::ReceiverReportEstimator;
