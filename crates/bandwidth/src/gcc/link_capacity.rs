//! What the line carried when queues built up.
//!
//! Follows libwebrtc's `link_capacity_estimator.cc`.

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
