//! What the line to a peer carries: bandwidth estimators without I/O.
//!
//! One trait, [`BandwidthEstimator`], chosen per transport: it is told what leaves and what the
//! peer reports back, and says what it believes, at what rate to pace, and when to probe for more.
//! It reads no clock and draws no randomness.
#![forbid(unsafe_code)]

#[cfg(test)]
mod closed_loop;
mod estimator;
mod gcc;
mod neighbours;
mod receiver_reports;

pub use estimator::{
    BandwidthEstimator, Estimate, EstimatorCounters, EstimatorDetails, FeedbackEntry, LineState,
    Probe, ReportedLoss, SentKind, SentPacket,
};
pub use gcc::{ArrivalModel, GccConfig, GccEstimator, LineBelief};
pub use neighbours::{Company, Neighbours, Sighting};
pub use receiver_reports::ReceiverReportEstimator;
