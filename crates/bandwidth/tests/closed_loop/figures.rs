//! What is measured of a flow, and the figures made of it.

use std::time::Duration;

/// The state of a flow, noted each [`Sample::EVERY`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub at: Duration,
    /// What the line carries.
    pub line_bps: u64,
    /// What the sender believes.
    pub estimate_bps: u64,
    /// What left, on the wire, since the last sample.
    pub sent_bps: u64,
    /// What arrived.
    pub received_bps: u64,
    /// Encoding and temporal layer last decoded, counted from one; none: 0.
    pub layer: u8,
}

impl Sample {
    pub const EVERY: Duration = Duration::from_millis(100);
}

/// A packet's way.
#[derive(Clone, Copy, Debug)]
pub struct Journey {
    /// When it left.
    pub sent: Duration,
    /// Time on the way above the line's own delay; `None`: it was lost.
    pub queued: Option<Duration>,
}

/// All that was noted of a flow.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub samples: Vec<Sample>,
    pub journeys: Vec<Journey>,
    /// When pictures were shown.
    pub shown: Vec<Duration>,
}

impl Record {
    fn journeys_in(&self, from: f64, to: f64) -> impl Iterator<Item = &Journey> {
        let (from, to) = (seconds(from), seconds(to));
        let (begin, end) = (
            self.journeys.partition_point(|way| way.sent < from),
            self.journeys.partition_point(|way| way.sent < to),
        );
        self.journeys[begin..end.max(begin)].iter()
    }

    pub fn samples_in(&self, from: f64, to: f64) -> impl Iterator<Item = &Sample> {
        let (from, to) = (seconds(from), seconds(to));
        self.samples
            .iter()
            .filter(move |sample| sample.at >= from && sample.at < to)
    }

    /// The 95th percentile of the queueing delay in milliseconds.
    pub fn queue_p95_ms(&self, from: f64, to: f64) -> f64 {
        let queued = self.journeys_in(from, to).filter_map(|way| way.queued);
        percentile(queued.map(|wait| wait.as_secs_f64() * 1e3), 0.95)
    }

    /// The share of packets lost.
    pub fn loss(&self, from: f64, to: f64) -> f64 {
        let (mut sent, mut lost) = (0_u32, 0_u32);
        for way in self.journeys_in(from, to) {
            sent += 1;
            lost += u32::from(way.queued.is_none());
        }
        f64::from(lost) / f64::from(sent.max(1))
    }

    /// Seconds after `from` until the estimate is at least `share` of `of`; `None`: not before `to`.
    pub fn time_to(&self, share: f64, of: u64, from: f64, to: f64) -> Option<f64> {
        let wanted = of as f64 * share;
        let reached = |sample: &&Sample| sample.estimate_bps as f64 >= wanted;
        let first = self.samples_in(from, to).find(reached)?;
        Some(first.at.as_secs_f64() - from)
    }

    /// Seconds after `from` until a whole second passes with the 95th percentile of queueing under
    /// 100 ms, less than 2 % lost, and something arriving.
    pub fn time_out_of_overload(&self, from: f64, to: f64) -> Option<f64> {
        let steps = ((to - from - 1.0) * 10.0) as u32;
        (0..=steps)
            .map(|step| f64::from(step) / 10.0)
            .find(|after| {
                let (begin, end) = (from + after, from + after + 1.0);
                self.journeys_in(begin, end).next().is_some()
                    && self.loss(begin, end) < 0.02
                    && self.queue_p95_ms(begin, end) < 100.0
            })
    }

    /// The estimate over what the line carries at the time: a percentile of the samples.
    pub fn estimate_share(&self, from: f64, to: f64, at: f64) -> f64 {
        let flowing = self.samples_in(from, to).filter(|s| s.line_bps > 0);
        percentile(
            flowing.map(|s| s.estimate_bps as f64 / s.line_bps as f64),
            at,
        )
    }

    /// How far the estimate is from the line on average, of the line: |ln(estimate / line)|, so
    /// that half and double count the same.
    pub fn distance(&self, from: f64, to: f64) -> f64 {
        let flowing = self.samples_in(from, to).filter(|s| s.line_bps > 0);
        mean(flowing.map(|s| {
            (s.estimate_bps.max(1) as f64 / s.line_bps as f64)
                .ln()
                .abs()
        }))
    }

    /// Mean of what arrived, in bits per second.
    pub fn received_bps(&self, from: f64, to: f64) -> f64 {
        mean(self.samples_in(from, to).map(|s| s.received_bps as f64))
    }

    /// Mean of what left, in bits per second.
    pub fn sent_bps(&self, from: f64, to: f64) -> f64 {
        mean(self.samples_in(from, to).map(|s| s.sent_bps as f64))
    }

    /// The share of the time in which `layer` was shown.
    pub fn share_of_layer(&self, layer: u8, from: f64, to: f64) -> f64 {
        mean(
            self.samples_in(from, to)
                .map(|s| f64::from(u8::from(s.layer == layer))),
        )
    }

    /// Changes of the layer shown.
    pub fn layer_changes(&self, from: f64, to: f64) -> usize {
        let layers: Vec<_> = self.samples_in(from, to).map(|s| s.layer).collect();
        layers.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    /// The longest time without a new picture, in seconds.
    pub fn longest_freeze(&self, from: f64, to: f64) -> f64 {
        self.gaps(from, to).fold(0.0, f64::max)
    }

    /// Freezes as W3C webrtc-stats counts them: a picture that stays for longer than three times
    /// the mean and 150 ms more than it.
    pub fn freezes(&self, from: f64, to: f64) -> usize {
        let usual = mean(self.gaps(from, to));
        let limit = (3.0 * usual).max(usual + 0.15);
        self.gaps(from, to).filter(|gap| *gap > limit).count()
    }

    /// Pictures a second.
    pub fn fps(&self, from: f64, to: f64) -> f64 {
        let (begin, end) = (seconds(from), seconds(to));
        let count = self.shown.iter().filter(|at| **at >= begin && **at < end);
        count.count() as f64 / (to - from)
    }

    fn gaps(&self, from: f64, to: f64) -> impl Iterator<Item = f64> {
        let within = self.shown.iter().map(Duration::as_secs_f64);
        let within = within.filter(move |at| *at > from && *at < to);
        let mut last = from;
        within.chain([to]).map(move |at| {
            let gap = at - last;
            last = at;
            gap
        })
    }
}

pub fn seconds(value: f64) -> Duration {
    Duration::from_secs_f64(value.max(0.0))
}

pub fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    sum / f64::from(count.max(1))
}

/// The value that `share` of all are at most; 0 of none.
pub fn percentile(values: impl Iterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    if values.is_empty() {
        return 0.0;
    }
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * share).ceil() as usize;
    values[at.clamp(1, values.len()) - 1]
}

/// Jain's index of fairness: 1 where all have the same, 1/n where one has all.
pub fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    if squares == 0.0 {
        return 1.0;
    }
    sum * sum / (shares.len() as f64 * squares)
}
