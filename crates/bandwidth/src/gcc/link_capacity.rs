//! What the line carried when queues built up.
//!
//! Follows libwebrtc's `link_capacity_estimator.cc` (revision 0467d2b9): the mean and deviation
//! that section 5.5 of draft-ietf-rmcat-gcc-02 keeps of the rate at over-use.

/// What the link carried when queues built up: mean and deviation.
#[derive(Debug, Clone)]
pub(super) struct LinkCapacity {
    pub(super) kbps: Option<f64>,
    deviation: f64,
}

impl Default for LinkCapacity {
    fn default() -> Self {
        Self {
            kbps: None,
            deviation: 0.4,
        }
    }
}

impl LinkCapacity {
    const WEIGHT: f64 = 0.05;

    /// Queues built up while so much arrived.
    pub(super) fn learn(&mut self, bps: f64) {
        let sample = bps / 1000.0;
        let kbps = self.kbps.map_or(sample, |kbps| {
            (1.0 - Self::WEIGHT) * kbps + Self::WEIGHT * sample
        });
        self.kbps = Some(kbps);
        let error = kbps - sample;
        let deviation =
            (1.0 - Self::WEIGHT) * self.deviation + Self::WEIGHT * error * error / kbps.max(1.0);
        self.deviation = deviation.clamp(0.4, 2.5);
    }

    fn spread(&self, kbps: f64) -> f64 {
        3.0 * (self.deviation * kbps).sqrt()
    }

    /// Where the capacity lies, give or take three deviations.
    pub(super) fn range_bps(&self) -> Option<(f64, f64)> {
        let kbps = self.kbps?;
        let spread = self.spread(kbps);
        Some(((kbps - spread).max(0.0) * 1000.0, (kbps + spread) * 1000.0))
    }

    pub(super) fn forget(&mut self) {
        self.kbps = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_the_mean_of_what_arrived_and_how_far_that_scatters() {
        let mut capacity = LinkCapacity::default();
        assert_eq!(capacity.range_bps(), None);
        capacity.learn(1_000_000.0);
        // One sample: three deviations of the least, sqrt(0.4 * 1000).
        assert_eq!(capacity.range_bps(), Some((940_000.0, 1_060_000.0)));
        for n in 0..200 {
            capacity.learn(if n % 2 == 0 { 900_000.0 } else { 1_100_000.0 });
        }
        let (low, high) = capacity.range_bps().unwrap();
        let middle = f64::midpoint(low, high);
        assert!((990_000.0..1_010_000.0).contains(&middle), "{middle}");
        // Wider now, but not without end: sqrt(2.5 * 1000).
        assert!(
            (280_000.0..302_000.0).contains(&(high - low)),
            "{low} {high}"
        );
    }

    #[test]
    fn a_new_capacity_is_learned_over_many_samples_or_by_forgetting() {
        let mut capacity = LinkCapacity::default();
        capacity.learn(1_000_000.0);
        capacity.learn(2_000_000.0);
        assert_eq!(capacity.kbps, Some(1_050.0));
        capacity.forget();
        assert_eq!(capacity.range_bps(), None);
        capacity.learn(2_000_000.0);
        assert_eq!(capacity.kbps, Some(2_000.0));
    }
}
