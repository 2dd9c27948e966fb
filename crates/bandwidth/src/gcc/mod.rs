//! Google congestion control: the estimator for peers with transport-wide feedback.
//!
//! The parts follow draft-ietf-rmcat-gcc-02 and libwebrtc's `goog_cc`, each named in its file;
//! this file joins them as `goog_cc_network_control.cc` does.

mod acknowledged;
mod application_limit;
mod arrival;
mod delay;
mod detector;
mod kalman;
mod probe_results;
mod probes;
mod rate_control;
mod sent_log;
mod trendline;

use std::time::{Duration, Instant};

use self::acknowledged::AcknowledgedRate;
use self::application_limit::ApplicationLimit;
use self::delay::DelayDetector;
use self::probe_results::ProbeResults;
use self::probes::{Probes, Restraint};
use self::rate_control::RateControl;
use self::sent_log::{Lookup, SentLog};
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

/// Pacing runs this much faster than the estimate, so that a picture is not spread over its whole
/// interval (libwebrtc's `pacing_controller.h`).
const PACING_FACTOR: f64 = 2.5;
/// How often time is looked at.
const TICK_US: i64 = 250_000;
/// Feedback that is overdue by this lowers the estimate, by a share, at an interval.
const SILENCE_US: i64 = 1_000_000;
const SILENCE_SHARE: f64 = 0.8;
const SILENCE_INTERVAL_US: i64 = 500_000;
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

/// Google congestion control over transport-wide feedback.
#[derive(Debug)]
pub struct GccEstimator {
    config: GccConfig,
    base: Option<Instant>,
    log: SentLog,
    arrivals: Vec<Arrived>,
    acknowledged: AcknowledgedRate,
    delay: DelayDetector,
    rate: RateControl,
    limit: ApplicationLimit,
    probes: Probes,
    results: ProbeResults,
    remb_bps: Option<u64>,
    counters: EstimatorCounters,
    /// Bytes sent since the source's budget was looked at.
    unaccounted_bytes: u64,
    last_sent_us: Option<i64>,
    /// The first packet sent after the last feedback.
    unanswered_us: Option<i64>,
    last_heard_us: Option<i64>,
    last_backoff_us: i64,
    round_trip_us: Option<i64>,
    probing_until_us: i64,
    probing_bps: f64,
    was_limited: bool,
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
            rate: RateControl::new(start as f64, min as f64, max as f64),
            limit: ApplicationLimit::default(),
            probes: Probes::new(start as f64, max as f64),
            results: ProbeResults::default(),
            remb_bps: None,
            counters: EstimatorCounters::default(),
            unaccounted_bytes: 0,
            last_sent_us: None,
            unanswered_us: None,
            last_heard_us: None,
            last_backoff_us: 0,
            round_trip_us: None,
            probing_until_us: 0,
            probing_bps: 0.0,
            was_limited: false,
            now_us: 0,
        }
    }

    #[inline]
    fn micros(&mut self, now: Instant) -> i64 {
        let base = *self.base.get_or_insert(now);
        let gone = now.saturating_duration_since(base);
        gone.as_secs() as i64 * 1_000_000 + i64::from(gone.subsec_micros())
    }

    fn estimate_bps(&self) -> f64 {
        let remb = self.remb_bps.map_or(f64::MAX, |bps| bps as f64);
        self.rate
            .bps()
            .min(remb)
            .clamp(self.config.min_bps as f64, self.config.max_bps as f64)
    }

    /// Looks up what feedback names; fills `arrivals`.
    fn collect(&mut self, entries: &[FeedbackEntry], now_us: i64) {
        self.arrivals.clear();
        for entry in entries {
            match self
                .log
                .look_up(entry.sequence, entry.arrival_us.is_some(), now_us)
            {
                Lookup::NeverSent | Lookup::Forgotten => self.counters.bogus += 1,
                Lookup::Repeated => self.counters.repeated += 1,
                Lookup::Lost { .. } => self.counters.lost += 1,
                Lookup::Arrived {
                    sent_us,
                    bytes,
                    probe,
                    was_lost,
                    ..
                } => {
                    self.counters.lost -= u64::from(was_lost);
                    let Some(arrival_us) = entry.arrival_us else {
                        continue;
                    };
                    self.arrivals.push(Arrived {
                        sent_us,
                        // Far from the ends, so that differences cannot overflow.
                        arrival_us: arrival_us.clamp(i64::MIN / 4, i64::MAX / 4),
                        bytes,
                        probe,
                    });
                }
            }
        }
        if !self.arrivals.is_sorted_by_key(|packet| packet.arrival_us) {
            self.arrivals
                .sort_by_key(|packet| (packet.arrival_us, packet.sent_us));
        }
    }

    fn measure_round_trip(&mut self, now_us: i64) {
        let Some(latest) = self.arrivals.iter().map(|packet| packet.sent_us).max() else {
            return;
        };
        let sample = (now_us - latest).max(0);
        let smoothed = self
            .round_trip_us
            .map_or(sample, |before| (before * 7 + sample) / 8);
        self.round_trip_us = Some(smoothed);
        self.rate.set_round_trip(smoothed);
    }

    /// What arrived goes through all that measures; gives the rate that a probe showed.
    fn measure(&mut self, now_us: i64) -> Option<f64> {
        let is_limited = self.limit.since_us().is_some();
        if self.was_limited && !is_limited {
            self.acknowledged.expect_change();
        }
        self.was_limited = is_limited;
        let mut shown = None;
        for index in 0..self.arrivals.len() {
            let packet = self.arrivals[index];
            if packet.probe != 0 {
                let rate = self.results.push(
                    packet.probe,
                    packet.sent_us,
                    packet.arrival_us,
                    packet.bytes,
                );
                shown = rate.or(shown);
            }
            let is_sound = self
                .delay
                .push(packet.sent_us, packet.arrival_us, packet.bytes, now_us);
            if !is_sound {
                self.acknowledged.reset_window();
            }
            self.acknowledged
                .push(packet.arrival_us, packet.bytes, is_limited);
        }
        self.counters.probes_measured += u64::from(shown.is_some());
        shown
    }

    fn control(&mut self, before: LineState, shown: Option<f64>, now_us: i64) {
        let line = self.delay.state();
        let acknowledged = self.acknowledged.bps();
        match shown {
            Some(bps) if line != LineState::Overused => {
                // A probe that met a moment's queue does not unmake what is seen to arrive.
                let floor = acknowledged.unwrap_or(0.0).min(self.rate.bps());
                self.rate.set(bps.max(floor), now_us);
            }
            _ => self.rate.step(line, acknowledged, now_us),
        }
        self.inform_probes(now_us);
        if before == LineState::Overused && line != LineState::Overused {
            self.probes.recover(now_us);
        }
    }

    fn inform_probes(&mut self, now_us: i64) {
        let restraint = match self.delay.state() {
            LineState::Overused => Restraint::Forbidden,
            LineState::Underused => Restraint::Careful,
            LineState::Normal => Restraint::Free,
        };
        let bps = self.estimate_bps();
        self.probes.set_limited(self.limit.since_us());
        self.probes.set_estimate(bps, restraint, now_us);
    }

    fn account(&mut self, now_us: i64) {
        let bytes = std::mem::take(&mut self.unaccounted_bytes);
        let bps = self.estimate_bps();
        self.limit.push(bytes, bps, now_us);
    }

    /// A peer that was heard and is silent while packets leave: the line may be dead.
    fn mind_silence(&mut self, now_us: i64) {
        let (Some(asked), Some(_)) = (self.unanswered_us, self.last_heard_us) else {
            return;
        };
        let patience = SILENCE_US + self.round_trip_us.unwrap_or(0).min(2_000_000);
        if now_us - asked < patience || now_us - self.last_backoff_us < SILENCE_INTERVAL_US {
            return;
        }
        self.last_backoff_us = now_us;
        self.counters.timeouts += 1;
        self.rate.set(self.rate.bps() * SILENCE_SHARE, now_us);
        self.inform_probes(now_us);
    }
}

impl BandwidthEstimator for GccEstimator {
    fn tracks_packets(&self) -> bool {
        true
    }

    #[inline]
    fn on_sent(&mut self, packet: SentPacket, now: Instant) {
        let now_us = self.micros(now);
        let probe = packet.probe.map_or(0, |id| self.results.slot(id));
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
        self.account(now_us);
        self.collect(entries, now_us);
        if self.arrivals.is_empty() {
            return;
        }
        self.last_heard_us = Some(now_us);
        self.unanswered_us = None;
        self.measure_round_trip(now_us);
        let before = self.delay.state();
        let shown = self.measure(now_us);
        self.control(before, shown, now_us);
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
        self.probes.set_wanted(bps as f64, now_us);
    }

    fn poll_probe(&mut self, now: Instant) -> Option<Probe> {
        let now_us = self.micros(now);
        let probe = self.probes.poll(now_us)?;
        self.results.open(probe);
        let length_us = (f64::from(probe.min_bytes) * 8e6 / probe.bps.max(1) as f64) as i64;
        self.probing_bps = probe.bps as f64;
        self.probing_until_us = now_us + length_us + 50_000;
        Some(probe)
    }

    fn estimate(&self) -> Estimate {
        let bps = self.estimate_bps();
        let pacing = bps * PACING_FACTOR;
        Estimate {
            bps: bps as u64,
            pacing_bps: Some(pacing as u64),
            confirmed: self.last_heard_us.is_some(),
            state: self.delay.state(),
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
        self.account(now_us);
        self.mind_silence(now_us);
        self.probes.set_limited(self.limit.since_us());
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
            remb_bps: self.remb_bps,
            acknowledged_bps: self.acknowledged.bps().map(|bps| bps as u64),
            round_trip: self
                .round_trip_us
                .map(|us| Duration::from_micros(us.max(0) as u64)),
            is_application_limited: self.limit.since_us().is_some(),
            trend_ms,
            threshold_ms,
            memory: self.log.memory() + self.arrivals.capacity() * size_of::<Arrived>(),
            ..EstimatorDetails::default()
        }
    }
}
