//! What the line from a publisher carries, estimated here for publishers that take nothing but
//! REMB (draft-alvestrand-rmcat-remb-03).
//!
//! This follows the receiver side of draft-ietf-rmcat-gcc-02 in a simple form. Delay is that of
//! abs-send-time, or of RTP timestamps where the extension is missing, above the least of the last
//! looks: a standing queue, not single packets (section 5.3 filters a gradient instead). The rate
//! control is that of sections 5.5 and 6: on over-use 0.85 of what arrives, hold while the queue
//! drains, else up by 8 % a second, never beyond 1.5 times what arrives; above 10 % loss half of
//! the loss is taken off. Until the first over-use the configured limit stands, as in libwebrtc's
//! `RemoteBitrateEstimatorAbsSendTime`.

use super::floor::Floor;
use super::policy::EstimatorState;

/// Estimates for one transport.
#[derive(Debug, Default)]
pub(crate) struct ReceiveRate {
    bytes: u64,
    since_us: Option<u64>,
    started_us: Option<u64>,
    received_bps: u64,
    /// The same of the look before: an outage within one look says nothing about the line's rate.
    received_before_bps: u64,
    sent: Option<(u32, i64)>,
    least_us: Option<i64>,
    delays: Floor,
    queue_us: i64,
    state: EstimatorState,
    /// `None`: never over-used yet.
    bps: Option<u64>,
}

/// A queue of this much that grows is over-use.
const GROWING_US: i64 = 25_000;
/// A queue of this much is over-use in any case.
const LONG_US: i64 = 100_000;
/// A queue of less has drained.
const DRAINED_US: i64 = 10_000;
/// Time of packets before anything is believed.
const START_US: u64 = 1_000_000;
/// The least rate ever told.
const LEAST_BPS: u64 = 30_000;
/// The share above which loss lowers the estimate.
const MUCH_LOSS: f64 = 0.10;

impl ReceiveRate {
    /// A packet of the transport came; `sent` is its abs-send-time (24 bits, 6.18 seconds).
    #[inline]
    pub(crate) fn on_packet(&mut self, sent: Option<u32>, now_us: u64, bytes: usize) {
        self.bytes += bytes as u64;
        self.since_us.get_or_insert(now_us);
        self.started_us.get_or_insert(now_us);
        let Some(sent) = sent else { return };
        let sent_us = match self.sent {
            Some((last, last_us)) => {
                // The difference modulo 64 seconds, signed.
                let step = i64::from((sent.wrapping_sub(last) << 8).cast_signed() >> 8);
                last_us + step * 1_000_000 / (1 << 18)
            }
            None => 0,
        };
        self.sent = Some((sent, sent_us));
        let delay = now_us as i64 - sent_us;
        self.least_us = Some(self.least_us.map_or(delay, |least| least.min(delay)));
    }

    /// A look: `loss` before repair and, where the packets have no send time, the queue by their
    /// timestamps. Gives whether the estimate fell by so much that it should be told at once.
    pub(crate) fn update(
        &mut self,
        now_us: u64,
        loss: f64,
        queue_by_timestamps_us: Option<u64>,
        limit: u64,
    ) -> bool {
        let elapsed_us = now_us.saturating_sub(self.since_us.unwrap_or(now_us));
        if elapsed_us < 100_000 {
            return false;
        }
        self.received_before_bps = self.received_bps;
        self.received_bps = self.bytes * 8 * 1_000_000 / elapsed_us;
        self.bytes = 0;
        self.since_us = Some(now_us);
        let before_us = self.queue_us;
        let measured = match self.least_us.take() {
            Some(least) => Some(self.delays.above(least)),
            None => queue_by_timestamps_us.map(|us| us as i64),
        };
        if let Some(queue_us) = measured {
            self.queue_us = queue_us;
        }
        self.state = self.next_state(now_us, loss, before_us);
        let before = self.bps.unwrap_or(limit).min(limit);
        let next = self.next_rate(elapsed_us, loss, limit);
        if self.state == EstimatorState::Overusing || self.bps.is_some() {
            self.bps = Some(next);
        }
        next * 100 < before * 97
    }

    fn next_state(&self, now_us: u64, loss: f64, before_us: i64) -> EstimatorState {
        let queue = self.queue_us;
        let growing = queue > GROWING_US && queue > before_us + 2_000;
        if growing || queue > LONG_US && queue >= before_us || loss > MUCH_LOSS {
            return EstimatorState::Overusing;
        }
        let started = self.started_us.unwrap_or(now_us);
        let busy = matches!(
            self.state,
            EstimatorState::Overusing | EstimatorState::Draining
        );
        if busy && queue > DRAINED_US {
            EstimatorState::Draining
        } else if now_us.saturating_sub(started) < START_US {
            EstimatorState::Starting
        } else {
            EstimatorState::Steady
        }
    }

    fn next_rate(&self, elapsed_us: u64, loss: f64, limit: u64) -> u64 {
        let bps = self.bps.unwrap_or(limit).min(limit);
        let received = self.received_bps.max(self.received_before_bps) as f64;
        let least = LEAST_BPS.min(limit);
        let next = match self.state {
            EstimatorState::Overusing if loss > MUCH_LOSS && self.queue_us <= GROWING_US => {
                bps as f64 * (1.0 - 0.5 * loss)
            }
            EstimatorState::Overusing => (0.85 * received).min(bps as f64),
            EstimatorState::Draining | EstimatorState::Starting => bps as f64,
            EstimatorState::Steady => {
                let seconds = (elapsed_us as f64 / 1e6).min(1.0);
                let raised = bps as f64 * (1.0 + 0.08 * seconds);
                // It may stay above, but does not rise further.
                raised.min((1.5 * received + 10_000.0).max(bps as f64))
            }
        };
        (next as u64).clamp(least, limit)
    }

    /// What the line carries, at most `limit`, and what that rests on.
    pub(crate) fn estimate(&self, limit: u64) -> (u64, EstimatorState) {
        (self.bps.unwrap_or(limit).min(limit), self.state)
    }

    /// The delay above the least of the last while.
    pub(crate) fn queue_us(&self) -> u64 {
        self.queue_us.max(0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A publisher at a rate of our choice behind a line that queues what is too much.
    #[derive(Default)]
    struct Line {
        rate: ReceiveRate,
        now_us: u64,
        free_us: u64,
    }

    impl Line {
        /// A second of packets of 1,200 bytes, then looks each 250 ms.
        fn second(&mut self, sent_bps: u64, capacity_bps: u64, limit: u64) {
            let step = 1_200 * 8 * 1_000_000 / sent_bps;
            let end = self.now_us + 1_000_000;
            let mut look = self.now_us + 250_000;
            while self.now_us < end {
                self.now_us += step;
                self.free_us = self.free_us.max(self.now_us) + 1_200 * 8 * 1_000_000 / capacity_bps;
                let sent = (self.now_us as u128 * (1 << 18) / 1_000_000) as u32 & 0x00ff_ffff;
                self.rate
                    .on_packet(Some(sent), self.free_us + 20_000, 1_200);
                if self.now_us >= look {
                    self.rate.update(self.free_us + 20_000, 0.0, None, limit);
                    look += 250_000;
                }
            }
        }
    }

    #[test]
    fn a_line_that_carries_all_is_not_limited() {
        let mut line = Line::default();
        for _ in 0..70 {
            line.second(1_000_000, 5_000_000, 8_000_000);
        }
        assert_eq!(
            line.rate.estimate(8_000_000),
            (8_000_000, EstimatorState::Steady),
            "also beyond the 64 seconds after which the send time begins anew"
        );
    }

    #[test]
    fn a_publisher_that_obeys_settles_below_what_the_line_carries() {
        let mut line = Line::default();
        let mut sent = 1_500_000;
        let mut told = vec![];
        for _ in 0..40 {
            line.second(sent, 800_000, 8_000_000);
            let (bps, _) = line.rate.estimate(8_000_000);
            sent = bps.min(1_500_000);
            told.push(bps);
        }
        let late = &told[10..];
        let mean = late.iter().sum::<u64>() / late.len() as u64;
        assert!((560_000..=840_000).contains(&mean), "{told:?}");
        assert!(
            late.iter().all(|bps| (400_000..=1_000_000).contains(bps)),
            "{told:?}"
        );
    }

    #[test]
    fn much_loss_lowers_and_little_does_not() {
        for (loss, wanted) in [(0.10, 1_000_000), (0.20, 900_000)] {
            let mut rate = ReceiveRate::default();
            rate.on_packet(Some(0), 0, 60_000);
            rate.update(500_000, loss, None, 1_000_000);
            assert_eq!(rate.estimate(1_000_000).0, wanted, "{loss}");
        }
    }

    #[test]
    fn without_send_times_the_queue_by_timestamps_counts() {
        let mut rate = ReceiveRate::default();
        rate.on_packet(None, 0, 50_000);
        assert!(!rate.update(1_000_000, 0.0, Some(0), 1_000_000));
        rate.on_packet(None, 1_100_000, 50_000);
        assert!(rate.update(2_000_000, 0.0, Some(150_000), 1_000_000));
        assert_eq!(
            rate.estimate(1_000_000),
            (340_000, EstimatorState::Overusing)
        );
        rate.on_packet(None, 2_100_000, 50_000);
        rate.update(3_000_000, 0.0, Some(60_000), 1_000_000);
        assert_eq!(rate.estimate(1_000_000).1, EstimatorState::Draining);
    }
}
