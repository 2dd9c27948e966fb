//! How good it is what comes in and goes out, and what is done about it.
//!
//! Everything here is evaluated once a report window, or a few times a second where packets were
//! lost for good; never for each packet. [`policy`] decides what a publisher is told, [`emodel`]
//! and [`video`] turn measurements into scores, [`gauge`] smooths them and says when a change is
//! worth telling, [`congestion`] names the state of a line.

pub(crate) mod bursts;
mod congestion;
pub(crate) mod emodel;
mod floor;
pub(crate) mod gauge;
pub(crate) mod line;
pub(crate) mod policy;
pub(crate) mod receive_rate;
mod values;
pub(crate) mod video;
pub(crate) mod viewer;
pub(crate) mod watch;

pub use values::{
    CongestionState, Degradation, Direction, FeedbackAction, FeedbackPriority, FeedbackStrategy,
    Mos, Quality, QualityLevel, QualitySubject, Score, Trend,
};
