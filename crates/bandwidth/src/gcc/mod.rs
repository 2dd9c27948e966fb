//! Google congestion control: the estimator for peers with transport-wide feedback.
//!
//! The parts follow draft-ietf-rmcat-gcc-02 and libwebrtc's `goog_cc`, each named in its file;
//! this file joins them as `goog_cc_network_control.cc` does.

mod acknowledged;
mod application_limit;
mod arrival;
mod control;
mod delay;
mod detector;
mod intake;
mod kalman;
mod link_capacity;
mod loss;
mod loss_window;
mod probe_results;
mod probes;
mod proof;
mod rate_control;
mod sent_log;
mod standing;
#[cfg(test)]
mod tests;
mod together;
mod trendline;

use std::time::{Duration, Instant};

use self::acknowledged::AcknowledgedRate;
use self::application_limit::ApplicationLimit;
use self::delay::DelayDetector;
use self::loss::{LossControl, LossState};
use self::probe_results::ProbeResults;
use self::probes::Probes;
use self::rate_control::RateControl;
use self::sent_log::SentLog;
use self::standing::{Queue, Standing};
pub use self::together::LineBelief;
use crate::neighbours::{Company, Sighting};
use crate::{
    BandwidthEstimator, Estimate, EstimatorCounters, EstimatorDetails, FeedbackEntry, LineState,
    Probe, ReportedLoss, SentPacket,
};

/// How queueing delay is made out in arrival times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArrivalModel {
    /// The slope of a line through the last groups' delays, as libwebrtc does it today.
    #[default]
    Trendline,
    /// The Kalman filter of draft-ietf-rmcat-gcc-02.
    Kalman,
}

/// What a [`GccEstimator`] begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GccConfig {
    /// The estimate before anything is known.
    pub start_bps: u64,
    /// The estimate never goes below.
    pub min_bps: u64,
    /// The estimate never goes above.
    pub max_bps: u64,
    /// The arrival model.
    pub arrival_model: ArrivalModel,
}

impl GccConfig {
    /// The same with another arrival model, where one is given.
    #[must_use]
    pub fn with_model(self, model: Option<ArrivalModel>) -> Self {
        Self {
            arrival_model: model.unwrap_or(self.arrival_model),
            ..self
        }
    }
}

impl Default for GccConfig {
    fn default() -> Self {
        Self {
            start_bps: 300_000,
            min_bps: 30_000,
            max_bps: 100_000_000,
            arrival_model: ArrivalModel::default(),
        }
    }
}

/// Pacing runs this much faster than the estimate. libwebrtc's `pacing_controller.h` takes 2.5, for
/// its encoder follows the estimate and what waits is one picture. What waits here is a keyframe of
/// eight pictures at a change of layers: faster than the line it stands in the line's queue instead,
/// and looks like over-use.
const PACING_FACTOR: f64 = 1.1;
/// Those who share a line change to a layer together, with a keyframe for each.
const SHARED_PACING_FACTOR: f64 = 1.0;
/// How often time is looked at.
const TICK_US: i64 = 250_000;
/// Scratch memory kept between calls, in packets.
const KEPT_RESULTS: usize = 256;

/// A packet that arrived.
#[derive(Debug, Clone, Copy)]
struct Arrived {
    sent_us: i64,
    arrival_us: i64,
    bytes: u16,
    probe: u8,
}

/// Google congestion control over transport-wide feedback. What is noted of each packet sent comes first, in few
/// cache lines.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct GccEstimator {
    base: Option<Instant>,
    log: SentLog,
    /// Bytes sent since the source's budget was looked at.
    unaccounted_bytes: u64,
    last_sent_us: Option<i64>,
    /// The first packet sent after the last feedback.
    unanswered_us: Option<i64>,
    config: GccConfig,
    arrivals: Vec<Arrived>,
    acknowledged: AcknowledgedRate,
    delay: DelayDetector,
    queue: Queue,
    rate: RateControl,
    loss: LossControl,
    limit: ApplicationLimit,
    probes: Probes,
    results: ProbeResults,
    remb_bps: Option<u64>,
    counters: EstimatorCounters,
    /// Bytes sent that were accounted for.
    accounted_bytes: u64,
    /// Bytes sent for others who share the line, as it was told last.
    others_sent_bytes: Option<u64>,
    /// Bytes sent since the time beside it.
    sent_bytes: u64,
    sent_since_us: i64,
    /// What is sent, as a mean.
    sending_bps: f64,
    last_heard_us: Option<i64>,
    last_backoff_us: i64,
    /// Nothing was heard for long; losses of packets sent until then say nothing.
    is_silent: bool,
    silent_until_us: i64,
    round_trip_us: Option<i64>,
    probing_length_us: i64,
    probing_until_us: i64,
    probing_bps: f64,
    was_limited: bool,
    /// What arrived when the last drain began.
    before_drain_bps: f64,
    /// What filled the line when the last drain began, whatever the rate was.
    drain_began_bps: f64,
    /// Those who share the line, and whose rate is the same one.
    company: Option<Company>,
    /// What there is to send.
    wanted_bps: f64,
    /// Up to when what is sent was counted.
    counted_us: i64,
    now_us: i64,
}

impl GccEstimator {
    /// An estimator toward one peer.
    pub fn new(config: GccConfig) -> Self {
        let min = config.min_bps.max(1_000);
        let max = config.max_bps.max(min);
        let start = config.start_bps.clamp(min, max);
        let config = GccConfig {
            start_bps: start,
            min_bps: min,
            max_bps: max,
            ..config
        };
        Self {
            config,
            base: None,
            log: SentLog::default(),
            arrivals: Vec::new(),
            acknowledged: AcknowledgedRate::default(),
            delay: DelayDetector::new(config.arrival_model),
            queue: Queue::default(),
            rate: RateControl::new(start as f64, min as f64, max as f64),
            loss: LossControl::new(min as f64, max as f64),
            limit: ApplicationLimit::default(),
            probes: Probes::new(start as f64, max as f64),
            results: ProbeResults::default(),
            remb_bps: None,
            counters: EstimatorCounters::default(),
            unaccounted_bytes: 0,
            accounted_bytes: 0,
            others_sent_bytes: None,
            sent_bytes: 0,
            sent_since_us: 0,
            sending_bps: 0.0,
            last_sent_us: None,
            unanswered_us: None,
            last_heard_us: None,
            last_backoff_us: 0,
            is_silent: false,
            silent_until_us: -1,
            round_trip_us: None,
            probing_length_us: 0,
            probing_until_us: 0,
            probing_bps: 0.0,
            was_limited: false,
            before_drain_bps: 0.0,
            drain_began_bps: 0.0,
            company: None,
            wanted_bps: 0.0,
            counted_us: 0,
            now_us: 0,
        }
    }

    #[inline]
    fn micros(&mut self, now: Instant) -> i64 {
        let base = *self.base.get_or_insert(now);
        let gone = now.saturating_duration_since(base);
        gone.as_secs() as i64 * 1_000_000 + i64::from(gone.subsec_micros())
    }
}

impl BandwidthEstimator for GccEstimator {
    fn name(&self) -> &'static str {
        match self.delay.arrival_model() {
            ArrivalModel::Trendline => "gcc-trendline",
            ArrivalModel::Kalman => "gcc-kalman",
        }
    }

    fn tracks_packets(&self) -> bool {
        true
    }

    fn touch(&self) -> u64 {
        self.log.touch()
            ^ self.unaccounted_bytes
            ^ u64::from(self.unanswered_us.is_some())
            ^ u64::from(self.base.is_some())
    }

    #[inline]
    fn on_sent(&mut self, packet: SentPacket, now: Instant) {
        let now_us = self.micros(now);
        let probe = packet.probe.map_or(0, |id| self.results.slot(id));
        if probe != 0
            && let Some(others) = self.others_sent_bytes
        {
            self.results.mark(probe, now_us, others);
        }
        self.log.push(packet, probe, now_us);
        self.unaccounted_bytes += u64::from(packet.bytes);
        self.last_sent_us = Some(now_us);
        if self.unanswered_us.is_none() {
            self.unanswered_us = Some(now_us);
        }
    }

    fn on_feedback(&mut self, entries: &[FeedbackEntry], now: Instant) {
        let now_us = self.micros(now);
        self.now_us = now_us;
        self.counters.feedback += 1;
        self.count_sent(now_us);
        if std::mem::take(&mut self.is_silent) {
            // What was lost while nothing was heard has had its answer.
            self.silent_until_us = now_us;
        }
        let lost = self.counters.lost;
        self.collect(entries, now_us);
        let lost = self.counters.lost > lost;
        if self.arrivals.is_empty() {
            return;
        }
        self.last_heard_us = Some(now_us);
        self.unanswered_us = None;
        self.measure_round_trip(now_us);
        let before = self.line();
        let shown = self.measure(now_us);
        self.control(before, shown, lost, now_us);
        self.probes.tick(now_us);
        if self.arrivals.capacity() > KEPT_RESULTS {
            self.arrivals = Vec::new();
        }
    }

    fn on_report(&mut self, report: ReportedLoss, now: Instant) {
        let _ = (report, now);
    }

    fn on_remb(&mut self, bps: u64, now: Instant) {
        let now_us = self.micros(now);
        self.remb_bps = Some(bps);
        self.inform_probes(now_us);
    }

    fn set_wanted(&mut self, bps: u64, now: Instant) {
        let now_us = self.micros(now);
        self.wanted_bps = bps as f64;
        self.probes.set_wanted(self.wanted_by_all(), now_us);
    }

    fn poll_probe(&mut self, now: Instant) -> Option<Probe> {
        let now_us = self.micros(now);
        let probe = self.probes.poll(now_us)?;
        let probe = self.own_probe(probe);
        self.results.open(probe);
        let length_us = (f64::from(probe.min_bytes) * 8e6 / probe.bps.max(1) as f64) as i64;
        self.probing_bps = probe.bps as f64;
        self.probing_length_us = length_us;
        self.probing_until_us = now_us + length_us + 50_000;
        Some(probe)
    }

    fn sighting(&self) -> Option<Sighting> {
        GccEstimator::sighting(self)
    }

    fn begin_line(&mut self, bps: f64, now: Instant) {
        let now_us = self.micros(now);
        GccEstimator::begin_line(self, bps, now_us);
    }

    fn belief(&self) -> Option<LineBelief> {
        Some(self.belief_now())
    }

    fn follow(&mut self, belief: &LineBelief, now: Instant) {
        let now_us = self.micros(now);
        self.take_over(belief, now_us);
    }

    fn is_accompanied(&self) -> bool {
        self.company.is_some()
    }

    fn set_company(&mut self, company: Option<Company>, now: Instant) {
        let now_us = self.micros(now);
        self.meet(company, now_us);
    }

    fn sent_bytes(&self) -> u64 {
        self.accounted_bytes + self.unaccounted_bytes
    }

    fn note_others_sent(&mut self, bytes: u64) {
        self.others_sent_bytes = Some(bytes);
    }

    fn estimate(&self) -> Estimate {
        let bps = self.estimate_bps();
        let factor = if self.company.is_some() {
            SHARED_PACING_FACTOR
        } else {
            PACING_FACTOR
        };
        let pacing = bps * factor;
        Estimate {
            bps: bps as u64,
            pacing_bps: Some(pacing as u64),
            confirmed: self.last_heard_us.is_some(),
            at_least: false,
            state: match (self.line(), self.loss.state()) {
                (_, LossState::Decreasing) => LineState::Overused,
                (state, _) => state,
            },
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        let tick = self.last_heard_us.map(|_| self.now_us + TICK_US);
        let at_us = match (tick, self.probes.next_us()) {
            (Some(tick), Some(probe)) => tick.min(probe),
            (either, None) | (None, either) => either?,
        };
        self.base?
            .checked_add(Duration::from_micros(at_us.max(0) as u64))
    }

    fn handle_timeout(&mut self, now: Instant) {
        let now_us = self.micros(now);
        self.now_us = now_us;
        self.count_sent(now_us);
        self.mind_silence(now_us);
        self.probes.tick(now_us);
    }

    fn counters(&self) -> EstimatorCounters {
        EstimatorCounters {
            clock_jumps: self.delay.clock_jumps,
            unreported: self.log.overwritten,
            probes: self.probes.sent,
            overuses: self.delay.overuses(),
            ..self.counters
        }
    }

    fn details(&self) -> EstimatorDetails {
        let (trend_ms, threshold_ms) = self.delay.value_and_threshold();
        EstimatorDetails {
            delay_bps: self.rate.bps() as u64,
            loss_bps: self.loss_limit().map(|bps| bps as u64),
            inherent_loss: self.loss.inherent(),
            average_loss: self.loss.window.average,
            remb_bps: self.remb_bps,
            acknowledged_bps: self.acknowledged.bps().map(|bps| bps as u64),
            round_trip: self
                .round_trip_us
                .map(|us| Duration::from_micros(us.max(0) as u64)),
            is_application_limited: self.limit.since_us().is_some(),
            trend_ms,
            threshold_ms,
            queue_delay: Duration::from_micros(self.queue.delay_us().max(0) as u64),
            is_competing: self.queue.state() == Standing::Foreign,
            memory: self.log.memory() + self.arrivals.capacity() * size_of::<Arrived>(),
        }
    }
}
