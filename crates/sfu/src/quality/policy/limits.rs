//! No storms: requests for one stream keep their distance, which doubles while they do not help,
//! and a producer is told only so much in ten seconds.

use crate::QualityConfig;

/// Keyframe requests of the policy for one stream.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StreamLimit {
    last_us: Option<u64>,
    /// Doublings of the distance.
    doublings: u8,
}

impl StreamLimit {
    fn distance_us(&self, config: &QualityConfig) -> u64 {
        let least = config.min_action_interval.as_micros() as u64;
        let most = config.max_action_interval.as_micros() as u64;
        (least << self.doublings.min(16)).min(most.max(least))
    }

    /// Whether a request may go now.
    pub(crate) fn may(&self, now_us: u64, config: &QualityConfig) -> bool {
        let distance = self.distance_us(config);
        self.last_us
            .is_none_or(|last| now_us.saturating_sub(last) >= distance)
    }

    /// A request goes.
    pub(crate) fn count(&mut self, now_us: u64, config: &QualityConfig) {
        if let Some(last) = self.last_us {
            // Long enough without a request: this is a new trouble.
            let calm = now_us.saturating_sub(last) >= self.distance_us(config) * 4;
            self.doublings = if calm {
                0
            } else {
                (self.doublings + 1).min(16)
            };
        }
        self.last_us = Some(now_us);
    }
}

/// All actions of one producer: a bucket that fills again within ten seconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProducerLimit {
    /// Until when the actions so far count, each for its share of the ten seconds.
    used_until_us: u64,
}

impl ProducerLimit {
    const PERIOD_US: u64 = 10_000_000;

    /// What one action takes of the period.
    fn share_us(config: &QualityConfig) -> u64 {
        Self::PERIOD_US / u64::from(config.actions_per_10s.max(1))
    }

    /// Whether an action may be taken now.
    pub(crate) fn may(&self, now_us: u64, config: &QualityConfig) -> bool {
        let used = self.used_until_us.max(now_us);
        used + Self::share_us(config) <= now_us + Self::PERIOD_US
    }

    /// An action is taken.
    pub(crate) fn count(&mut self, now_us: u64, config: &QualityConfig) {
        self.used_until_us = self.used_until_us.max(now_us) + Self::share_us(config);
    }
}
