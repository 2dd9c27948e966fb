//! A sender that follows its estimator, and the receiver that reports to it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use roomtone_bandwidth::{BandwidthEstimator, FeedbackEntry, Probe, SentKind, SentPacket};
use roomtone_netem::{Link, Random};

use super::figures::{Journey, Record};
use super::line::Line;
use super::tag::{Tag, earliest, micros, sending_time};

const FRAME: Duration = Duration::from_nanos(33_333_333);
/// Bytes of a full packet on the wire, and of one of padding.
const PACKET: usize = 1_200;
/// How long the receiver remembers arrivals for packets that come late.
const REMEMBERED: u64 = 1_000;

/// What there is to send.
#[derive(Clone, Debug)]
pub enum Source {
    /// An encoder that makes what it is told, up to a limit.
    Follows(u64),
    /// Layers of fixed rates: the best set that fits nine tenths of the estimate, at least the
    /// lowest.
    Layers(Vec<u64>),
}

impl Source {
    /// What is sent where the estimate is so much.
    pub fn rate(&self, estimate: u64) -> u64 {
        match self {
            Self::Follows(most) => estimate.min(*most),
            Self::Layers(rates) => {
                let fits = |rate: &&u64| **rate <= estimate / 10 * 9;
                let lowest = rates.first().copied().unwrap_or(0);
                rates.iter().rfind(fits).copied().unwrap_or(lowest)
            }
        }
    }

    /// What would be sent if the line carried everything.
    pub fn wanted(&self) -> u64 {
        match self {
            Self::Follows(most) => *most,
            Self::Layers(rates) => rates.last().copied().unwrap_or(0),
        }
    }
}

#[derive(Debug)]
struct Probing {
    probe: Probe,
    bytes: u32,
    packets: u16,
}

/// One flow, both ends of it.
pub struct Flow {
    id: u8,
    base: Instant,
    pub estimator: Box<dyn BandwidthEstimator>,
    source: Source,
    begins: Instant,
    next_frame: Instant,
    queue: VecDeque<usize>,
    probes: VecDeque<Probe>,
    probing: Option<Probing>,
    next_send: Instant,
    next_number: u64,
    estimator_due: Option<Instant>,
    random: Random,
    /// The receiver's.
    arrivals: BTreeMap<u64, i64>,
    window_start: u64,
    feedback_due: Option<Instant>,
    reports: BTreeMap<u64, Vec<FeedbackEntry>>,
    next_report: u64,
    pub up: Link,
    one_way: Duration,
    pub record: Record,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub padding_bytes: u64,
}

impl Flow {
    pub fn new(
        id: u8,
        estimator: Box<dyn BandwidthEstimator>,
        source: Source,
        line: &Line,
        base: Instant,
        seed: u64,
    ) -> Self {
        let mut random = Random::new(seed ^ (u64::from(id) << 32));
        let begins = base + FRAME.mul_f64(random.unit());
        Self {
            id,
            base,
            estimator,
            source,
            begins,
            next_frame: begins,
            queue: VecDeque::new(),
            probes: VecDeque::new(),
            probing: None,
            next_send: base,
            next_number: random.next_u64() % 60_000,
            estimator_due: None,
            arrivals: BTreeMap::new(),
            window_start: 0,
            feedback_due: None,
            reports: BTreeMap::new(),
            next_report: 0,
            up: Link::new(line.up(true), random.next_u64()).expect("the line's shares are shares"),
            one_way: line.one_way(),
            random,
            record: Record::default(),
            sent_bytes: 0,
            received_bytes: 0,
            padding_bytes: 0,
        }
    }

    /// Nothing is sent before this time.
    pub fn begin_at(&mut self, at: Instant) {
        self.begins = at;
        self.next_frame = at;
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        let waiting = self.probing.is_some() || !self.probes.is_empty() || !self.queue.is_empty();
        earliest([
            Some(self.next_frame),
            waiting.then_some(self.next_send),
            self.feedback_due,
            self.up.next_timeout(),
            self.estimator_due,
        ])
    }

    /// Does what is due; gives what leaves to `send`.
    pub fn handle(&mut self, now: Instant, mut send: impl FnMut(Vec<u8>)) {
        if now >= self.next_frame {
            self.estimator.set_wanted(self.source.wanted(), now);
            self.make_frame();
            self.next_frame += FRAME;
        }
        if self.feedback_due.is_some_and(|due| due <= now) {
            self.report(now);
        }
        while let Some(data) = self.up.poll(now) {
            let entries = self.reports.remove(&Tag::read(&data).number);
            self.estimator
                .on_feedback(&entries.unwrap_or_default(), now);
        }
        if self.estimator_due.is_some_and(|due| due <= now) {
            self.estimator.handle_timeout(now);
        }
        if now >= self.begins {
            self.probes
                .extend(std::iter::from_fn(|| self.estimator.poll_probe(now)));
        }
        let soon = now + Duration::from_millis(1);
        self.estimator_due = self.estimator.next_timeout().map(|due| due.max(soon));
        while now >= self.next_send {
            let Some(data) = self.next_packet(now) else {
                return;
            };
            send(data);
        }
    }

    fn make_frame(&mut self) {
        let rate = self.source.rate(self.estimator.estimate().bps);
        let mean = rate as f64 / 8.0 * FRAME.as_secs_f64();
        let mut bytes = (mean * (0.8 + 0.4 * self.random.unit())) as usize;
        while bytes > 0 {
            let packet = bytes.min(PACKET);
            self.queue.push_back(packet.max(100));
            bytes -= packet;
        }
    }

    fn next_packet(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.probing.is_none() {
            self.probing = self.probes.pop_front().map(|probe| Probing {
                probe,
                bytes: 0,
                packets: 0,
            });
        }
        let media = self.queue.pop_front();
        let probe = self.probing.as_ref().map(|probing| probing.probe);
        let (bytes, kind) = match (media, probe) {
            (Some(bytes), _) => (bytes, SentKind::Video),
            (None, Some(_)) => (PACKET, SentKind::Padding),
            (None, None) => return None,
        };
        let estimate = self.estimator.estimate();
        let rate = probe.map_or(estimate.pacing_bps, |probe| Some(probe.bps));
        let pause = rate.map_or(Duration::ZERO, |rate| sending_time(bytes, rate));
        self.next_send = self.next_send.max(now) + pause;
        if let Some(probing) = &mut self.probing {
            probing.bytes += bytes as u32;
            probing.packets += 1;
            let Probe {
                min_bytes,
                min_packets,
                ..
            } = probing.probe;
            if probing.bytes >= min_bytes && probing.packets >= min_packets {
                self.probing = None;
            }
        }
        let number = self.next_number;
        self.next_number += 1;
        let packet = SentPacket {
            sequence: number as u16,
            bytes: bytes as u16,
            kind,
            probe: probe.map(|probe| probe.id),
        };
        self.estimator.on_sent(packet, now);
        self.sent_bytes += bytes as u64;
        if kind == SentKind::Padding {
            self.padding_bytes += bytes as u64;
        }
        let tag = Tag {
            flow: self.id,
            number,
            sent_us: micros(self.base, now),
        };
        // Lost, until it arrives.
        self.record.journeys.push(Journey {
            sent: Duration::from_micros(tag.sent_us),
            queued: None,
        });
        Some(tag.datagram(bytes))
    }

    /// A packet arrives at the receiver.
    pub fn arrive(&mut self, tag: Tag, len: usize, now: Instant) {
        let arrival_us = micros(self.base, now);
        self.received_bytes += len as u64;
        let first = self.next_number - self.record.journeys.len() as u64;
        let way = &mut self.record.journeys[(tag.number - first) as usize];
        let taken = Duration::from_micros(arrival_us).saturating_sub(way.sent);
        way.queued = Some(taken.saturating_sub(self.one_way));
        if self.arrivals.is_empty() && self.next_report == 0 {
            self.window_start = tag.number;
        }
        // The wire counts in 250 us.
        self.arrivals
            .insert(tag.number, (arrival_us / 250 * 250) as i64);
        self.window_start = self.window_start.min(tag.number);
        if self.feedback_due.is_none() {
            self.feedback_due = Some(now + Duration::from_millis(20));
        }
    }

    /// Reports what came since the last report, and late ones with all that came after them.
    fn report(&mut self, now: Instant) {
        let wait = Duration::from_millis(50).mul_f64(1.0 + self.random.unit());
        self.feedback_due = Some(now + wait);
        let Some(newest) = self.arrivals.last_key_value().map(|(number, _)| *number) else {
            return;
        };
        if newest < self.window_start {
            return;
        }
        let entries = (self.window_start..=newest).map(|number| FeedbackEntry {
            sequence: number as u16,
            arrival_us: self.arrivals.get(&number).copied(),
        });
        self.reports.insert(self.next_report, entries.collect());
        self.window_start = newest + 1;
        self.arrivals = self.arrivals.split_off(&newest.saturating_sub(REMEMBERED));
        let tag = Tag {
            flow: self.id,
            number: self.next_report,
            sent_us: 0,
        };
        self.next_report += 1;
        self.up.send(now, tag.datagram(100));
    }
}
