//! Estimators in a closed loop with a line, in virtual time: the sender sends what its estimator
//! believes, the line does what it does, the receiver reports, all without RTP.
#![allow(dead_code, unreachable_pub)] // Each suite uses its part.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use roomtone_bandwidth::BandwidthEstimator;
use roomtone_netem::Link;

pub mod cubic;
pub mod figures;
pub mod flow;
pub mod line;
pub mod table;
pub mod tag;

use cubic::{Cubic, SEGMENT};
use figures::{Record, Sample};
use flow::{Flow, Source};
use line::{Change, Line, Script, rate_at};
use table::{Outcome, Scenario};
use tag::{Tag, earliest, micros};

/// The flow that is a bulk transfer.
pub const TRANSFER: u8 = 255;

/// Some flows over one line.
pub struct ClosedLoop {
    base: Instant,
    now: Instant,
    line: Line,
    script: Script,
    due: VecDeque<(Duration, Change)>,
    down: Link,
    pub flows: Vec<Flow>,
    transfer: Option<(Cubic, Link)>,
    /// Bytes of the transfer since the last sample.
    transferred: u64,
    transfer_record: Record,
    next_sample: Duration,
    counted: Vec<(u64, u64)>,
}

impl ClosedLoop {
    pub fn new(line: Line, script: Script, seed: u64) -> Self {
        #[allow(clippy::disallowed_methods, reason = "any instant to count from")]
        let base = Instant::now();
        Self {
            base,
            now: base,
            down: Link::new(line.down(true), seed).expect("the line's shares are shares"),
            line,
            due: script.iter().copied().collect(),
            script,
            flows: vec![],
            transfer: None,
            transferred: 0,
            transfer_record: Record::default(),
            next_sample: Sample::EVERY,
            counted: vec![],
        }
    }

    /// Adds a flow that begins after a time.
    pub fn add(
        &mut self,
        estimator: Box<dyn BandwidthEstimator>,
        source: Source,
        after: f64,
        seed: u64,
    ) {
        let id = self.flows.len() as u8;
        let mut flow = Flow::new(id, estimator, source, &self.line, self.base, seed);
        if after > 0.0 {
            flow.begin_at(self.base + figures::seconds(after));
        }
        self.flows.push(flow);
        self.counted.push((0, 0));
    }

    /// Adds a bulk transfer.
    pub fn add_transfer(&mut self, seed: u64) {
        let up = Link::new(self.line.up(true), seed).expect("the line's shares are shares");
        self.transfer = Some((Cubic::new(self.now), up));
    }

    /// One run of a row, its flows led by estimators of one kind.
    pub fn play(
        row: &Scenario,
        source: &Source,
        estimator: &mut dyn FnMut(Instant) -> Box<dyn BandwidthEstimator>,
        seed: u64,
    ) -> Outcome {
        let mut world = Self::new(row.line.clone(), row.script.clone(), seed);
        for _ in 0..row.flows {
            let estimator = estimator(world.base);
            world.add(estimator, source.clone(), 0.0, seed);
        }
        if row.transfer {
            world.add_transfer(seed);
        }
        world.run(row.seconds);
        world.outcome()
    }

    /// What was noted.
    pub fn outcome(self) -> Outcome {
        Outcome {
            records: self.flows.into_iter().map(|flow| flow.record).collect(),
            transfer: self.transfer_record,
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, until: f64) {
        let end = self.base + figures::seconds(until);
        loop {
            self.step();
            let next = self.next().unwrap_or(end);
            if next > end {
                break;
            }
            // Whoever asks for the past is called again a little later, not forever now.
            self.now = next.max(self.now + Duration::from_micros(1));
        }
        self.now = end;
    }

    fn next(&self) -> Option<Instant> {
        let flows = self.flows.iter().filter_map(Flow::next_timeout).min();
        let transfer = self
            .transfer
            .as_ref()
            .and_then(|(cubic, up)| earliest([cubic.next_timeout(), up.next_timeout()]));
        earliest([
            flows,
            transfer,
            self.down.next_timeout(),
            self.due.front().map(|(at, _)| self.base + *at),
            Some(self.base + self.next_sample),
        ])
    }

    fn step(&mut self) {
        let now = self.now;
        while self
            .due
            .front()
            .is_some_and(|(at, _)| self.base + *at <= now)
        {
            let (_, change) = self.due.pop_front().expect("it was looked at");
            self.change(change);
        }
        while let Some(data) = self.down.poll(now) {
            self.deliver(&data);
        }
        for flow in &mut self.flows {
            flow.handle(now, |data| self.down.send(now, data));
        }
        self.pump_transfer();
        while self.base + self.next_sample <= now {
            self.sample();
        }
    }

    fn change(&mut self, change: Change) {
        if let Change::Rate(bps) = change {
            self.line.bps = bps;
        }
        let flowing = change != Change::Still;
        let fits = "the line's shares are shares";
        let (down, up) = (self.line.down(flowing), self.line.up(flowing));
        self.down.set_config(self.now, down).expect(fits);
        for flow in &mut self.flows {
            flow.up.set_config(self.now, up.clone()).expect(fits);
        }
        if let Some((_, link)) = &mut self.transfer {
            link.set_config(self.now, up).expect(fits);
        }
    }

    fn deliver(&mut self, data: &[u8]) {
        let tag = Tag::read(data);
        if let Some(flow) = self.flows.get_mut(tag.flow as usize) {
            flow.arrive(tag, data.len(), self.now);
        } else if let Some((_, up)) = &mut self.transfer {
            self.transferred += data.len() as u64;
            up.send(self.now, tag.datagram(60));
        }
    }

    fn pump_transfer(&mut self) {
        let Some((cubic, up)) = &mut self.transfer else {
            return;
        };
        while let Some(data) = up.poll(self.now) {
            cubic.acknowledge(Tag::read(&data).number, self.now);
        }
        cubic.handle_timeout(self.now);
        while let Some(number) = cubic.poll(self.now) {
            let tag = Tag {
                flow: TRANSFER,
                number,
                sent_us: micros(self.base, self.now),
            };
            self.down.send(self.now, tag.datagram(SEGMENT));
        }
    }

    fn sample(&mut self) {
        let at = self.next_sample;
        self.next_sample += Sample::EVERY;
        let line_bps = rate_at(&self.line, &self.script, at);
        let per_second = |bytes: u64| (bytes as f64 * 8.0 / Sample::EVERY.as_secs_f64()) as u64;
        self.transfer_record.samples.push(Sample {
            at,
            line_bps,
            received_bps: per_second(std::mem::take(&mut self.transferred)),
            ..Sample::default()
        });
        for (flow, counted) in self.flows.iter_mut().zip(&mut self.counted) {
            flow.record.samples.push(Sample {
                at,
                line_bps,
                estimate_bps: flow.estimator.estimate().bps,
                sent_bps: per_second(flow.sent_bytes - counted.0),
                received_bps: per_second(flow.received_bytes - counted.1),
                layer: 0,
            });
            *counted = (flow.sent_bytes, flow.received_bytes);
        }
    }
}
