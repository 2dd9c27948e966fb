//! A seeded bad network in virtual time, for tests and benches.
//!
//! A [`Link`] is one direction: datagrams go in by [`Link::send`] and come out by [`Link::poll`]
//! later, twice, out of order or never, as its [`LinkConfig`] and seed say. It reads no clock:
//! the caller's `now` is the time, so a minute of network takes as long as its packets do. The
//! same seed and calls always give the same result.
#![forbid(unsafe_code)]

mod config;
mod link;
mod random;

pub use config::{ConfigError, LinkConfig};
pub use link::{Link, LinkCounters, MAX_IN_FLIGHT};
pub use random::Random;
