//! What is remembered of a transport's line between two looks.

use std::time::Duration;

use super::Degradation;
use super::congestion::{Congestion, Signs};
use super::floor::Floor;
use super::gauge::Gauge;
use super::policy::{EstimatorState, LineView};
use super::receive_rate::ReceiveRate;
use super::watch::Seen;

/// One transport between two looks.
#[derive(Debug, Default)]
pub(crate) struct LineWatch {
    pub(crate) gauge: Gauge,
    pub(crate) up: Congestion,
    pub(crate) down: Congestion,
    /// Of publishers that take nothing but REMB.
    pub(crate) rate: Option<Box<ReceiveRate>>,
    /// The bitrate the peer was told last, and how sure it was.
    pub(crate) told: Option<(u64, u8)>,
    /// When it was last told one outside of the reports.
    pub(crate) acted_us: Option<u64>,
    pub(crate) armed: Option<u64>,
    /// The estimate fell by so much that the peer should know at once.
    pub(crate) falls: bool,
    pub(crate) queue_up_us: Option<u64>,
    /// Raw loss of the last full window.
    pub(crate) loss_up: f64,
    round_trips: Floor,
    heard: u64,
    silent: bool,
    heard_us: Option<u64>,
    /// Packets transport feedback called missing, and their runs, all told.
    missing: u64,
    runs: u64,
    mark: (u64, u64),
}

impl LineWatch {
    /// Takes what the streams of the peer showed in a window; says whether the state changed.
    pub(crate) fn close_up(&mut self, seen: &[Seen]) -> bool {
        let expected: u64 = seen.iter().map(|seen| seen.expected).sum();
        let missed: u64 = seen.iter().map(|seen| seen.missed).sum();
        // A queue on the line delays all streams; what delays only one is its encoder.
        self.queue_up_us = seen.iter().filter_map(|seen| seen.queue_us).min();
        let by_send_time = self.rate.as_ref().map_or(0, |rate| rate.queue_us());
        let queue_us = self.queue_up_us.unwrap_or(0).max(by_send_time);
        self.loss_up = if expected == 0 {
            0.0
        } else {
            missed as f64 / expected as f64
        };
        let overused = self
            .rate
            .as_ref()
            .is_some_and(|rate| rate.estimate(u64::MAX).1 == EstimatorState::Overusing);
        self.up.update(&Signs {
            queue_ms: queue_us as f64 / 1_000.0,
            loss: self.loss_up,
            overused,
        })
    }

    /// A packet of a publisher that takes nothing but REMB came.
    #[inline]
    pub(crate) fn on_packet(&mut self, sent: Option<u32>, now_us: u64, bytes: usize) {
        let rate = self.rate.get_or_insert_default();
        rate.on_packet(sent, now_us, bytes);
    }

    /// Looks at the line from the peer, which may send `limit` at most.
    pub(crate) fn look(&mut self, now_us: u64, limit: u64) -> LineView {
        let (loss, queue_us) = (self.loss_up, self.queue_up_us);
        let mut view = LineView {
            congestion: self.up.state(),
            ..LineView::default()
        };
        if let Some(rate) = &mut self.rate {
            self.falls = rate.update(now_us, loss, queue_us, limit);
            view.estimate = Some(rate.estimate(limit));
        }
        if loss > 0.10 {
            view.degradation = Some(Degradation::Loss);
        }
        view
    }

    /// Takes what the peer reported of what it gets; says whether the state changed.
    pub(crate) fn close_down(
        &mut self,
        round_trip: Option<Duration>,
        loss: f64,
        overused: bool,
    ) -> bool {
        let queue_us = round_trip.map_or(0, |trip| self.round_trips.above(trip.as_micros() as i64));
        self.down.update(&Signs {
            queue_ms: queue_us as f64 / 1_000.0,
            loss,
            overused,
        })
    }

    /// Notes how many packets were ever heard of the peer.
    pub(crate) fn hear(&mut self, heard: u64, now_us: u64) {
        self.silent = heard == self.heard;
        self.heard = heard;
        if !self.silent {
            self.heard_us = Some(now_us);
        }
    }

    /// Whether nothing came in the last window.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// For how long nothing has come; who was never heard is still connecting.
    pub(crate) fn silence_us(&self, now_us: u64) -> u64 {
        now_us.saturating_sub(self.heard_us.unwrap_or(now_us))
    }

    /// Transport feedback told of so many missing packets in so many runs.
    pub(crate) fn on_missing(&mut self, missing: u64, runs: u64) {
        self.missing += missing;
        self.runs += runs;
    }

    /// Missing packets and their runs since the last call.
    pub(crate) fn take_runs(&mut self) -> (u64, u64) {
        let before = std::mem::replace(&mut self.mark, (self.missing, self.runs));
        (self.missing - before.0, self.runs - before.1)
    }
}
