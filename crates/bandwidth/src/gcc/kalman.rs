//! Whether queueing delay rises: a Kalman filter over the delay changes of groups.
//!
//! Follows section 5.3 of draft-ietf-rmcat-gcc-02, with the slope by size that libwebrtc's
//! `overuse_estimator.cc` (revision 0467d2b9) adds.

/// Noise of the state: of the slope (ms a byte) and of the offset (ms).
const PROCESS_NOISE: [f64; 2] = [1e-13, 1e-3];
/// With more groups than this the value grows no further.
const MAX_GROUPS: u32 = 60;
/// The slope at first: 512 kbit/s.
const FIRST_SLOPE: f64 = 8.0 / 512.0;

/// The filter.
#[derive(Debug)]
pub(super) struct Kalman {
    groups: u32,
    slope: f64,
    offset: f64,
    /// Covariance of the two.
    covariance: [[f64; 2]; 2],
    mean_noise: f64,
    noise_variance: f64,
    /// The shortest group spacing lately, which says how often this is asked.
    min_spacing_ms: f64,
}

impl Default for Kalman {
    fn default() -> Self {
        Self {
            groups: 0,
            slope: FIRST_SLOPE,
            offset: 0.0,
            covariance: [[100.0, 0.0], [0.0, 1e-1]],
            mean_noise: 0.0,
            noise_variance: 50.0,
            min_spacing_ms: 1000.0,
        }
    }
}

impl Kalman {
    /// Takes the change of one group's delay and size, and gives the value that the detector
    /// compares. `is_steady`: the detector found nothing.
    pub(super) fn push(
        &mut self,
        delay_change_ms: f64,
        bytes_change: f64,
        spacing_ms: f64,
        is_steady: bool,
    ) -> f64 {
        self.groups = self.groups.saturating_add(1).min(1000);
        self.min_spacing_ms = (self.min_spacing_ms * 1.05)
            .min(spacing_ms.max(1.0))
            .min(1000.0);
        let before = self.offset;
        self.predict(delay_change_ms, is_steady);
        let step = [bytes_change, 1.0];
        let p = self.covariance;
        let gain_by = [
            p[0][0] * step[0] + p[0][1] * step[1],
            p[1][0] * step[0] + p[1][1] * step[1],
        ];
        let residual = delay_change_ms - self.slope * bytes_change - self.offset;
        self.learn_noise(residual, is_steady);
        let total = self.noise_variance + step[0] * gain_by[0] + step[1] * gain_by[1];
        let gain = [gain_by[0] / total, gain_by[1] / total];
        let keep = [
            [1.0 - gain[0] * step[0], -gain[0] * step[1]],
            [-gain[1] * step[0], 1.0 - gain[1] * step[1]],
        ];
        let mut after = [[0.0; 2]; 2];
        for row in 0..2 {
            for column in 0..2 {
                after[row][column] = keep[row][0] * p[0][column] + keep[row][1] * p[1][column];
            }
        }
        self.covariance = after;
        self.slope += gain[0] * residual;
        self.offset = before + gain[1] * residual;
        if !self.is_sane() {
            *self = Self::default();
        }
        f64::from(self.groups.min(MAX_GROUPS)) * self.offset
    }

    fn predict(&mut self, _delay_change_ms: f64, is_steady: bool) {
        self.covariance[0][0] += PROCESS_NOISE[0];
        // After an over-use the offset is expected to move fast.
        self.covariance[1][1] += PROCESS_NOISE[1] * if is_steady { 1.0 } else { 10.0 };
    }

    /// The noise of the measure: slowly, outliers cut at three deviations, only while steady.
    fn learn_noise(&mut self, residual: f64, is_steady: bool) {
        if !is_steady {
            return;
        }
        let limit = 3.0 * self.noise_variance.sqrt();
        let residual = residual.clamp(-limit, limit);
        let alpha = if self.groups > 300 { 0.002 } else { 0.01 };
        let keep = (1.0_f64 - alpha).powf(self.min_spacing_ms * 30.0 / 1000.0);
        self.mean_noise = keep * self.mean_noise + (1.0 - keep) * residual;
        let spread = self.mean_noise - residual;
        self.noise_variance =
            (keep * self.noise_variance + (1.0 - keep) * spread * spread).max(1.0);
    }

    /// Whether the covariance is one: what rounding or wild input broke begins anew.
    fn is_sane(&self) -> bool {
        let p = self.covariance;
        let determinant = p[0][0] * p[1][1] - p[0][1] * p[1][0];
        p[0][0] >= 0.0
            && p[0][0] + p[1][1] >= 0.0
            && determinant > -1e-6
            && self.offset.is_finite()
            && self.slope.is_finite()
    }
}
