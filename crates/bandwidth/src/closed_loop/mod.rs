//! A small closed loop in virtual time: sources that follow their estimate, a pacer, one link
//! that they share, feedback each 50 to 100 ms.

mod cubic;
mod flow;
mod rows;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use roomtone_netem::{Link, LinkConfig, Random};

use self::cubic::Cubic;
use self::flow::{Flow, Source};
use crate::{ArrivalModel, BandwidthEstimator, FeedbackEntry};

/// Virtual time moves in steps of this.
const STEP: Duration = Duration::from_micros(500);

/// What is looked at every 100 ms.
#[derive(Debug, Clone)]
struct Sample {
    at: f64,
    queue_ms: f64,
    estimates: Vec<f64>,
    /// Bytes that came through in all.
    delivered: Vec<u64>,
    sent: u64,
    dropped: u64,
}

struct World {
    base: Instant,
    now: Instant,
    link: Link,
    random: Random,
    flows: Vec<Flow>,
    cubic: Option<Cubic>,
    /// Feedback on its way back.
    returning: VecDeque<(Instant, usize, Vec<FeedbackEntry>)>,
    back: Duration,
    samples: Vec<Sample>,
    step: u64,
}

/// A link of section 5: drop-tail by time.
fn line(rate_bps: u64, delay_ms: u64, queue_ms: u64) -> LinkConfig {
    LinkConfig {
        rate_bps: Some(rate_bps),
        delay: Duration::from_millis(delay_ms),
        queue_bytes: 1 << 24,
        queue_delay: Some(Duration::from_millis(queue_ms)),
        ..LinkConfig::default()
    }
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "any instant to count from")]
    fn new(config: LinkConfig, seed: u64) -> Self {
        let base = Instant::now();
        let back = config.delay;
        Self {
            base,
            now: base,
            link: Link::new(config, seed).unwrap(),
            random: Random::new(seed ^ 0x5eed),
            flows: Vec::new(),
            cubic: None,
            returning: VecDeque::new(),
            back,
            samples: Vec::new(),
            step: 0,
        }
    }

    fn with_flow(mut self, source: Source, model: ArrivalModel) -> Self {
        let offset = self.random.next_u64() % 33_000;
        self.flows.push(Flow::new(
            source,
            model,
            self.now + Duration::from_micros(offset),
        ));
        self
    }

    fn set(&mut self, config: LinkConfig) {
        self.link.set_config(self.now, config).unwrap();
    }

    fn seconds(&self) -> f64 {
        (self.now - self.base).as_secs_f64()
    }

    fn run_until(&mut self, seconds: f64) {
        let end = self.base + Duration::from_secs_f64(seconds);
        while self.now < end {
            self.step();
        }
    }

    fn step(&mut self) {
        self.now += STEP;
        let now = self.now;
        while self.returning.front().is_some_and(|(at, ..)| *at <= now) {
            let (_, index, entries) = self.returning.pop_front().unwrap();
            self.flows[index].estimator.on_feedback(&entries, now);
        }
        for (index, flow) in self.flows.iter_mut().enumerate() {
            flow.step(now, |data| self.link.send(now, stamp(index as u8, data)));
        }
        if let Some(cubic) = self.cubic.as_mut() {
            cubic.step(now, |data| self.link.send(now, stamp(0xff, data)));
        }
        while let Some(data) = self.link.poll(now) {
            if data[0] == 0xff {
                let cubic = self.cubic.as_mut().unwrap();
                cubic.arrived(&data, now + self.back);
            } else {
                self.flows[usize::from(data[0])].arrived(&data, now - self.base);
            }
        }
        for index in 0..self.flows.len() {
            let gap = 50 + self.random.next_u64() % 50;
            if let Some(entries) = self.flows[index].feedback(now, Duration::from_millis(gap)) {
                self.returning.push_back((now + self.back, index, entries));
            }
        }
        self.step += 1;
        if self.step.is_multiple_of(200) {
            self.sample();
        }
    }

    fn sample(&mut self) {
        let rate = self.link.config().rate_bps.unwrap_or(u64::MAX).max(1);
        let counters = self.link.counters();
        let sample = Sample {
            at: self.seconds(),
            queue_ms: self.link.queued_bytes() as f64 * 8e3 / rate as f64,
            estimates: self
                .flows
                .iter()
                .map(|flow| flow.estimator.estimate().bps as f64)
                .collect(),
            delivered: self.flows.iter().map(|flow| flow.delivered).collect(),
            sent: counters.sent,
            dropped: counters.queue_dropped,
        };
        self.samples.push(sample);
    }

    fn between(&self, from: f64, to: f64) -> impl Iterator<Item = &Sample> {
        self.samples
            .iter()
            .filter(move |sample| sample.at > from && sample.at <= to + 1e-9)
    }

    /// The mean of the first flow's estimate.
    fn mean_estimate(&self, from: f64, to: f64) -> f64 {
        let values: Vec<f64> = self
            .between(from, to)
            .map(|sample| sample.estimates[0])
            .collect();
        values.iter().sum::<f64>() / values.len() as f64
    }

    fn queue_p95_ms(&self, from: f64, to: f64) -> f64 {
        let mut values: Vec<f64> = self.between(from, to).map(|s| s.queue_ms).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() * 95 / 100]
    }

    /// The share that the full queue dropped.
    fn dropped(&self, from: f64, to: f64) -> f64 {
        let first = self.between(from, to).next().unwrap();
        let last = self.between(from, to).last().unwrap();
        (last.dropped - first.dropped) as f64 / (last.sent - first.sent).max(1) as f64
    }

    /// Bits per second that came through of each flow.
    fn rates(&self, from: f64, to: f64) -> Vec<f64> {
        let first = self.between(from, to).next().unwrap();
        let last = self.between(from, to).last().unwrap();
        let seconds = last.at - first.at;
        let pairs = first.delivered.iter().zip(&last.delivered);
        pairs
            .map(|(before, after)| (after - before) as f64 * 8.0 / seconds)
            .collect()
    }
}

/// Puts the flow's number in front.
fn stamp(index: u8, mut data: Vec<u8>) -> Vec<u8> {
    data[0] = index;
    data
}

/// Jain's index of fairness.
fn jain(rates: &[f64]) -> f64 {
    let sum: f64 = rates.iter().sum();
    let squares: f64 = rates.iter().map(|rate| rate * rate).sum();
    sum * sum / (rates.len() as f64 * squares)
}
