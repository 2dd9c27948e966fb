//! From arrival times to over-use: groups, an arrival model, the detector.
//!
//! The chain of section 5 of draft-ietf-rmcat-gcc-02 (5.2 to 5.4), as libwebrtc's
//! `delay_based_bwe.cc` (revision 0467d2b9) strings it together. How far delay scatters is ours.

use super::ArrivalModel;
use super::arrival::{GroupDelta, InterArrival, Step};
use super::detector::Detector;
use super::kalman::Kalman;
use super::trendline::Trendline;
use crate::LineState;

/// What one group counts in the mean of how much delay scatters.
const SCATTER_WEIGHT: f64 = 1.0 / 32.0;
/// What a line without jitter shows: pictures of different sizes before each other.
const OWN_SCATTER_US: f64 = 4_000.0;

#[derive(Debug)]
enum Model {
    Trendline(Trendline),
    Kalman(Kalman),
}

/// What delay says.
#[derive(Debug)]
pub(super) struct DelayDetector {
    groups: InterArrival,
    model: Model,
    detector: Detector,
    value: f64,
    /// Whether there is a queue to speak of.
    pub(super) is_queue: bool,
    /// How much the delay of groups' first packets changes from one to the next, in microseconds.
    scatter_us: f64,
    /// Times that the peer's clock jumped.
    pub(super) clock_jumps: u64,
}

impl DelayDetector {
    pub(super) fn new(model: ArrivalModel) -> Self {
        Self {
            groups: InterArrival::default(),
            model: Model::new(model),
            detector: Detector::default(),
            value: 0.0,
            is_queue: false,
            scatter_us: 0.0,
            clock_jumps: 0,
        }
    }

    /// Takes a packet in order of arrival; false: the peer's clock jumped.
    pub(super) fn push(&mut self, sent_us: i64, arrival_us: i64, bytes: u16, now_us: i64) -> bool {
        match self.groups.push(sent_us, arrival_us, bytes, now_us) {
            Step::Same | Step::First => {}
            Step::Next(delta) => self.compare(delta, arrival_us),
            Step::Reset => {
                self.reset();
                self.clock_jumps += 1;
                return false;
            }
        }
        true
    }

    fn compare(&mut self, delta: GroupDelta, arrival_us: i64) {
        let change_ms = (delta.arrival_us - delta.sent_us) as f64 / 1000.0;
        let spacing_ms = delta.sent_us as f64 / 1000.0;
        if self.detector.state() == LineState::Normal {
            // A keyframe's queue is no chance, and rare.
            let most = 2.0 * self.scatter_us + OWN_SCATTER_US;
            let change = (delta.first_us.abs() as f64).min(most);
            self.scatter_us += SCATTER_WEIGHT * (change - self.scatter_us);
        }
        self.value = match &mut self.model {
            Model::Trendline(line) => line.push(change_ms, arrival_us),
            Model::Kalman(filter) => {
                let is_steady = self.detector.state() == LineState::Normal;
                filter.push(change_ms, delta.bytes as f64, spacing_ms, is_steady)
            }
        };
        self.detector
            .push(self.value, spacing_ms, arrival_us, self.is_queue);
    }

    /// Begins anew, as after a silence.
    pub(super) fn reset(&mut self) {
        self.groups.reset();
        self.model = Model::new(self.arrival_model());
        self.detector.reset();
        self.value = 0.0;
    }

    /// The model it was made with.
    pub(super) fn arrival_model(&self) -> ArrivalModel {
        match self.model {
            Model::Trendline(_) => ArrivalModel::Trendline,
            Model::Kalman(_) => ArrivalModel::Kalman,
        }
    }

    pub(super) fn state(&self) -> LineState {
        self.detector.state()
    }

    /// How much delay changes by chance from one group to the next, beyond what pictures of different
    /// sizes explain.
    pub(super) fn scatter_us(&self) -> f64 {
        (self.scatter_us - OWN_SCATTER_US).max(0.0)
    }

    pub(super) fn overuses(&self) -> u64 {
        self.detector.overuses
    }

    /// What was compared last, and with what.
    pub(super) fn value_and_threshold(&self) -> (f64, f64) {
        (self.value, self.detector.threshold())
    }
}

impl Model {
    fn new(model: ArrivalModel) -> Self {
        match model {
            ArrivalModel::Trendline => Self::Trendline(Trendline::default()),
            ArrivalModel::Kalman => Self::Kalman(Kalman::default()),
        }
    }
}
