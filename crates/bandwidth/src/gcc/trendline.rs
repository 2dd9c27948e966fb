//! Whether queueing delay rises: the slope of a line through the last groups' delays.
//!
//! Follows libwebrtc's `trendline_estimator.cc` (revision 0467d2b9); it stands where section 5.3 of
//! draft-ietf-rmcat-gcc-02 has a Kalman filter.

/// Groups the line goes through.
const WINDOW: usize = 20;
/// Weight of the past in the smoothed delay.
const SMOOTHING: f64 = 0.9;
/// The slope is multiplied by this before it is compared.
const GAIN: f64 = 4.0;
/// With more groups than this the value grows no further.
const MAX_GROUPS: u32 = 60;

/// The line.
#[derive(Debug, Default)]
pub(super) struct Trendline {
    points: [(f32, f32); WINDOW],
    len: u8,
    head: u8,
    groups: u32,
    first_arrival_us: Option<i64>,
    accumulated_ms: f64,
    smoothed_ms: f64,
    slope: f64,
}

impl Trendline {
    /// Takes the change of one group's delay, and gives the value that the detector compares.
    pub(super) fn push(&mut self, delay_change_ms: f64, arrival_us: i64) -> f64 {
        let first = *self.first_arrival_us.get_or_insert(arrival_us);
        self.groups = self.groups.saturating_add(1).min(1000);
        self.accumulated_ms += delay_change_ms;
        self.smoothed_ms = SMOOTHING * self.smoothed_ms + (1.0 - SMOOTHING) * self.accumulated_ms;
        if arrival_us - first > 4_000_000 {
            self.rebase(arrival_us);
        }
        let base = self.first_arrival_us.unwrap_or(arrival_us);
        let x = (arrival_us - base) as f64 / 1000.0;
        self.points[usize::from(self.head)] = (x as f32, self.smoothed_ms as f32);
        self.head = (self.head + 1) % WINDOW as u8;
        self.len = (self.len + 1).min(WINDOW as u8);
        if usize::from(self.len) == WINDOW
            && let Some(slope) = self.fit()
        {
            self.slope = slope;
        }
        f64::from(self.groups.min(MAX_GROUPS)) * self.slope * GAIN
    }

    /// Keeps the points' numbers small, so that they keep their precision.
    fn rebase(&mut self, arrival_us: i64) {
        let Some(first) = self.first_arrival_us.replace(arrival_us) else {
            return;
        };
        let shift_ms = ((arrival_us - first) as f64 / 1000.0) as f32;
        let level = self.smoothed_ms;
        for point in &mut self.points {
            point.0 -= shift_ms;
            point.1 -= level as f32;
        }
        self.accumulated_ms -= level;
        self.smoothed_ms = 0.0;
    }

    /// Least squares.
    fn fit(&self) -> Option<f64> {
        let points = &self.points[..usize::from(self.len)];
        let count = points.len() as f64;
        let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(x, y), point| {
            (x + f64::from(point.0), y + f64::from(point.1))
        });
        let (mean_x, mean_y) = (sum_x / count, sum_y / count);
        let (above, below) = points.iter().fold((0.0, 0.0), |(above, below), point| {
            let x = f64::from(point.0) - mean_x;
            let y = f64::from(point.1) - mean_y;
            (above + x * y, below + x * x)
        });
        (below > 0.0).then(|| above / below)
    }
}
