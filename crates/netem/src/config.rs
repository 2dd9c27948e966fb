//! What a link does to its datagrams.

use std::time::Duration;
use thiserror::Error;

/// What a link does to its datagrams. The default does nothing: everything arrives at once.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkConfig {
    /// Bits per second, counting datagrams as they are given. None is endlessly fast, zero lets
    /// nothing through until the rate changes.
    pub rate_bps: Option<u64>,
    /// Time on the way.
    pub delay: Duration,
    /// More time on the way, evenly drawn from zero up to this. It delays what follows too
    /// rather than changing the order.
    pub jitter: Duration,
    /// Share of datagrams lost, 0 to 1.
    pub loss: f64,
    /// Mean number of datagrams lost in a row; 1 loses each by itself (as independent draws up
    /// to what this mean allows), more makes bursts of the same overall share.
    pub loss_burst: f64,
    /// Share of datagrams that arrive twice, 0 to 1.
    pub duplicate: f64,
    /// Share of datagrams held back so that later ones overtake them, 0 to 1.
    pub reorder: f64,
    /// How long they are held back.
    pub reorder_delay: Duration,
    /// Bytes that may wait for a slow link; what comes when it is full is dropped.
    pub queue_bytes: usize,
    /// Time that a datagram may expect to wait for a slow link; above it, it is dropped.
    pub queue_delay: Option<Duration>,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            rate_bps: None,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            loss_burst: 1.0,
            duplicate: 0.0,
            reorder: 0.0,
            reorder_delay: Duration::from_millis(20),
            queue_bytes: 256 * 1024,
            queue_delay: None,
        }
    }
}

/// A setting that means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A share below zero, above one, or not a number.
    #[error("{0} must be between 0 and 1")]
    Share(&'static str),
    /// A mean burst length below one, or not a number.
    #[error("loss_burst must be at least 1")]
    Burst,
}

impl LinkConfig {
    /// Checks that shares are shares.
    pub fn check(&self) -> Result<(), ConfigError> {
        let shares = [
            ("loss", self.loss),
            ("duplicate", self.duplicate),
            ("reorder", self.reorder),
        ];
        for (name, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err(ConfigError::Share(name));
            }
        }
        if self.loss_burst >= 1.0 {
            Ok(())
        } else {
            Err(ConfigError::Burst)
        }
    }

    /// How long `len` bytes take to be sent; none when nothing goes through.
    pub(crate) fn sending_time(&self, len: usize) -> Option<Duration> {
        match self.rate_bps {
            None => Some(Duration::ZERO),
            Some(0) => None,
            Some(rate) => {
                let nanos = len as u128 * 8 * 1_000_000_000 / u128::from(rate);
                Some(Duration::from_nanos(
                    u64::try_from(nanos).unwrap_or(u64::MAX),
                ))
            }
        }
    }
}
