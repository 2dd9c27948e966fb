//! One sender with its pacer, and the receiver that writes its feedback.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::{
    ArrivalModel, BandwidthEstimator, FeedbackEntry, GccConfig, GccEstimator, Probe, SentKind,
    SentPacket,
};

const PACKET: usize = 1200;
const FRAME: Duration = Duration::from_micros(33_333);

/// What there is to send.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// As much as the estimate allows, up to this.
    UpTo(f64),
    /// The highest of 150, 500 and 1,700 kbit/s that fits 90 % of the estimate.
    Layers,
}

impl Source {
    fn wanted(self) -> f64 {
        match self {
            Self::UpTo(bps) => bps,
            Self::Layers => 1_700_000.0,
        }
    }

    fn rate(self, estimate: f64) -> f64 {
        match self {
            Self::UpTo(bps) => (estimate * 0.95).min(bps),
            Self::Layers => [1_700_000.0, 500_000.0]
                .into_iter()
                .find(|bps| *bps <= estimate * 0.9)
                .unwrap_or(150_000.0),
        }
    }
}

pub(super) struct Flow {
    pub(super) estimator: GccEstimator,
    source: Source,
    pub(super) media_bps: f64,
    next_frame: Instant,
    frames: u64,
    /// Bytes of packets that wait for the pacer.
    waiting: VecDeque<usize>,
    budget: f64,
    last_step: Option<Instant>,
    probe: Option<Running>,
    next_sequence: u64,
    // The receiver.
    received: BTreeMap<u64, i64>,
    base_sequence: u64,
    next_feedback: Option<Instant>,
    pub(super) delivered: u64,
}

struct Running {
    probe: Probe,
    bytes: u32,
    packets: u16,
}

impl Flow {
    pub(super) fn new(source: Source, arrival_model: ArrivalModel, start: Instant) -> Self {
        let config = GccConfig {
            arrival_model,
            ..GccConfig::default()
        };
        Self {
            estimator: GccEstimator::new(config),
            source,
            media_bps: 0.0,
            next_frame: start,
            frames: 0,
            waiting: VecDeque::new(),
            budget: 0.0,
            last_step: None,
            probe: None,
            next_sequence: 0,
            received: BTreeMap::new(),
            base_sequence: 0,
            next_feedback: None,
            delivered: 0,
        }
    }

    pub(super) fn step(&mut self, now: Instant, mut send: impl FnMut(Vec<u8>)) {
        if now < self.next_frame {
            if self.frames == 0 {
                return;
            }
        } else {
            self.make_frame(now);
        }
        if self
            .estimator
            .next_timeout()
            .is_some_and(|timeout| timeout <= now)
        {
            self.estimator.handle_timeout(now);
        }
        if self.probe.is_none()
            && let Some(probe) = self.estimator.poll_probe(now)
        {
            self.probe = Some(Running {
                probe,
                bytes: 0,
                packets: 0,
            });
            self.budget = self.budget.max(0.0);
        }
        let pacing = self.estimator.estimate().pacing_bps.unwrap();
        let rate = self
            .probe
            .as_ref()
            .map_or(pacing, |running| running.probe.bps);
        let gone = self
            .last_step
            .replace(now)
            .map_or(0.0, |last| (now - last).as_secs_f64());
        self.budget = (self.budget + rate as f64 * gone / 8.0).min(rate as f64 * 0.005 / 8.0);
        while self.budget > 0.0 {
            let (bytes, kind) = match self.waiting.pop_front() {
                Some(bytes) => (bytes, SentKind::Video),
                None if self.probe.is_some() => (PACKET, SentKind::Padding),
                None => break,
            };
            self.budget -= bytes as f64;
            send(self.leave(bytes, kind, now));
        }
    }

    fn make_frame(&mut self, now: Instant) {
        self.next_frame += FRAME;
        self.estimator.set_wanted(self.source.wanted() as u64, now);
        let estimate = self.estimator.estimate().bps as f64;
        self.media_bps = self.source.rate(estimate);
        let mut bytes = (self.media_bps / 30.0 / 8.0) as usize;
        // What a forwarder's pacer drops by age.
        let waiting: usize = self.waiting.iter().sum();
        self.frames += 1;
        if waiting as f64 * 8.0 > self.media_bps * 0.5 {
            return;
        }
        while bytes > 0 {
            let packet = bytes.min(PACKET);
            self.waiting.push_back(packet.max(60));
            bytes -= packet;
        }
    }

    fn leave(&mut self, bytes: usize, kind: SentKind, now: Instant) -> Vec<u8> {
        let probe = self.probe.as_mut().map(|running| {
            running.bytes += bytes as u32;
            running.packets += 1;
            running.probe.id
        });
        if self.probe.as_ref().is_some_and(|running| {
            running.bytes >= running.probe.min_bytes && running.packets >= running.probe.min_packets
        }) {
            self.probe = None;
        }
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.estimator.on_sent(
            SentPacket {
                sequence: sequence as u16,
                bytes: bytes as u16,
                kind,
                probe,
            },
            now,
        );
        let mut data = vec![0; bytes];
        data[1..9].copy_from_slice(&sequence.to_le_bytes());
        data
    }

    pub(super) fn arrived(&mut self, data: &[u8], at: Duration) {
        let sequence = u64::from_le_bytes(data[1..9].try_into().unwrap());
        self.delivered += data.len() as u64;
        // The peer's clock: another zero, steps of 250 us.
        let arrival = (at.as_micros() as i64 / 250) * 250 + 77_000_000_000;
        if self.received.insert(sequence, arrival).is_none() {
            self.base_sequence = self.base_sequence.min(sequence);
        }
        while self.received.len() > 2000 {
            self.received.pop_first();
        }
    }

    pub(super) fn feedback(&mut self, now: Instant, gap: Duration) -> Option<Vec<FeedbackEntry>> {
        let last = *self.received.last_key_value()?.0;
        if last < self.base_sequence || self.next_feedback.is_some_and(|at| now < at) {
            return None;
        }
        self.next_feedback = Some(now + gap);
        let entries = (self.base_sequence..=last)
            .map(|sequence| FeedbackEntry {
                sequence: sequence as u16,
                arrival_us: self.received.get(&sequence).copied(),
            })
            .collect();
        self.base_sequence = last + 1;
        Some(entries)
    }
}
