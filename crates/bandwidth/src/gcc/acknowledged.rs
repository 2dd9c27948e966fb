//! The rate at which what was sent arrives.
//!
//! Follows libwebrtc's `bitrate_estimator.cc` (revision 0467d2b9): rates of short windows, joined by
//! how far each is to be believed. It is R_hat of section 5.5 of draft-ietf-rmcat-gcc-02.

/// The first window is longer, for a sound start.
const FIRST_WINDOW_US: i64 = 500_000;
const WINDOW_US: i64 = 150_000;
/// How far a window that differs from what is believed is doubted: less where there is plenty to
/// send, more while the source has little to send.
const DOUBT: f64 = 10.0;
const DOUBT_LIMITED: f64 = 20.0;
/// The variance of what is believed at first, what a window adds to it, and what an expected
/// change adds, in libwebrtc's units.
const FIRST_VARIANCE: f64 = 50.0;
const DRIFT: f64 = 5.0;
const CHANGE: f64 = 200.0;

/// The rate and how far it is believed.
#[derive(Debug)]
pub(super) struct AcknowledgedRate {
    bytes: f64,
    window_us: i64,
    last_us: Option<i64>,
    bps: Option<f64>,
    /// Of the last window.
    latest: f64,
    variance: f64,
}

impl Default for AcknowledgedRate {
    fn default() -> Self {
        Self {
            bytes: 0.0,
            window_us: 0,
            last_us: None,
            bps: None,
            latest: 0.0,
            variance: FIRST_VARIANCE,
        }
    }
}

impl AcknowledgedRate {
    /// Takes a packet in order of arrival. `is_limited`: the source has less to send than it may.
    pub(super) fn push(&mut self, arrival_us: i64, bytes: u16, is_limited: bool) {
        let window = if self.bps.is_some() {
            WINDOW_US
        } else {
            FIRST_WINDOW_US
        };
        if let Some(sample) = self.window(arrival_us, f64::from(bytes), window) {
            self.latest = sample;
            self.learn(sample, is_limited);
        }
    }

    /// The rate of a window that just ended.
    fn window(&mut self, arrival_us: i64, bytes: f64, window_us: i64) -> Option<f64> {
        if let Some(last) = self.last_us {
            let gone = arrival_us - last;
            if gone < 0 {
                self.bytes = 0.0;
                self.window_us = 0;
            } else {
                self.window_us += gone;
                if gone > window_us {
                    // Nothing came for so long that the window says nothing.
                    self.bytes = 0.0;
                    self.window_us %= window_us;
                }
            }
        }
        self.last_us = Some(arrival_us);
        let mut sample = None;
        if self.window_us >= window_us {
            sample = Some(self.bytes * 8.0 * 1e6 / window_us as f64);
            self.window_us -= window_us;
            self.bytes = 0.0;
        }
        self.bytes += bytes;
        sample
    }

    fn learn(&mut self, sample: f64, is_limited: bool) {
        let Some(bps) = self.bps else {
            self.bps = Some(sample);
            return;
        };
        let doubt = if is_limited && sample < bps {
            DOUBT_LIMITED
        } else {
            DOUBT
        };
        let uncertainty = doubt * (bps - sample).abs() / bps.max(1.0);
        let sample_variance = uncertainty * uncertainty;
        let own = self.variance + DRIFT;
        let learned = (sample_variance * bps + own * sample) / (sample_variance + own);
        self.bps = Some(learned.max(0.0));
        self.variance = sample_variance * own / (sample_variance + own);
    }

    /// Where the source paused and begins anew, the past says little.
    pub(super) fn expect_change(&mut self) {
        self.variance += CHANGE;
    }

    /// Bits per second; none before the first window.
    pub(super) fn bps(&self) -> Option<f64> {
        self.bps
    }

    /// The same where a queue has filled: the last window, if it has more, has seen what the line
    /// carries, and what is believed is still on its way there.
    pub(super) fn filled_bps(&self) -> Option<f64> {
        self.bps.map(|bps| bps.max(self.latest))
    }

    /// The peer's clock jumped.
    pub(super) fn reset_window(&mut self) {
        self.last_us = None;
        self.window_us = 0;
        self.bytes = 0.0;
    }
}
