//! An estimator that tells what it thinks.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use roomtone_bandwidth::{
    BandwidthEstimator, Company, Estimate, EstimatorCounters, EstimatorDetails, FeedbackEntry,
    GccConfig, GccEstimator, LineBelief, Probe, ReportedLoss, SentPacket, Sighting,
};

/// What was thought, and when; and the probes that were given out.
#[derive(Debug, Default)]
pub struct Thoughts {
    pub details: Vec<(Duration, EstimatorDetails)>,
    pub probes: Vec<(Duration, Probe)>,
}

/// The estimator and where it tells.
#[derive(Debug)]
pub struct Traced {
    inner: GccEstimator,
    base: Instant,
    thoughts: Arc<Mutex<Thoughts>>,
}

impl Traced {
    pub fn new(config: GccConfig, base: Instant) -> (Self, Arc<Mutex<Thoughts>>) {
        let thoughts = Arc::new(Mutex::new(Thoughts::default()));
        let traced = Self {
            inner: GccEstimator::new(config),
            base,
            thoughts: thoughts.clone(),
        };
        (traced, thoughts)
    }

    fn note(&self, now: Instant) {
        let at = now.saturating_duration_since(self.base);
        let details = self.inner.details();
        self.thoughts.lock().unwrap().details.push((at, details));
    }
}

impl BandwidthEstimator for Traced {
    fn tracks_packets(&self) -> bool {
        true
    }
    fn on_sent(&mut self, packet: SentPacket, now: Instant) {
        self.inner.on_sent(packet, now);
    }
    fn on_feedback(&mut self, entries: &[FeedbackEntry], now: Instant) {
        self.inner.on_feedback(entries, now);
        self.note(now);
    }
    fn on_report(&mut self, report: ReportedLoss, now: Instant) {
        self.inner.on_report(report, now);
    }
    fn on_remb(&mut self, bps: u64, now: Instant) {
        self.inner.on_remb(bps, now);
    }
    fn set_wanted(&mut self, bps: u64, now: Instant) {
        self.inner.set_wanted(bps, now);
    }
    fn poll_probe(&mut self, now: Instant) -> Option<Probe> {
        let probe = self.inner.poll_probe(now)?;
        let at = now.saturating_duration_since(self.base);
        self.thoughts.lock().unwrap().probes.push((at, probe));
        Some(probe)
    }
    fn sighting(&self) -> Option<Sighting> {
        BandwidthEstimator::sighting(&self.inner)
    }
    fn begin_line(&mut self, bps: f64, now: Instant) {
        BandwidthEstimator::begin_line(&mut self.inner, bps, now);
    }
    fn belief(&self) -> Option<LineBelief> {
        self.inner.belief()
    }
    fn follow(&mut self, belief: &LineBelief, now: Instant) {
        self.inner.follow(belief, now);
    }
    fn is_accompanied(&self) -> bool {
        self.inner.is_accompanied()
    }
    fn set_company(&mut self, company: Option<Company>, now: Instant) {
        self.inner.set_company(company, now);
    }
    fn sent_bytes(&self) -> u64 {
        self.inner.sent_bytes()
    }
    fn note_others_sent(&mut self, bytes: u64) {
        self.inner.note_others_sent(bytes);
    }
    fn estimate(&self) -> Estimate {
        self.inner.estimate()
    }
    fn next_timeout(&self) -> Option<Instant> {
        self.inner.next_timeout()
    }
    fn handle_timeout(&mut self, now: Instant) {
        self.inner.handle_timeout(now);
        self.note(now);
    }
    fn counters(&self) -> EstimatorCounters {
        self.inner.counters()
    }
    fn details(&self) -> EstimatorDetails {
        self.inner.details()
    }
}
