//! What happens when feedback has been taken in: what was measured is turned into a rate.

use super::GccEstimator;
use super::loss::{Known, LossState};
use super::probe_results::Shown;
use super::probes::Restraint;
use super::standing::{Sight, Standing};
use crate::LineState;

/// Feedback that is overdue by this lowers the estimate, by a share, at an interval.
const SILENCE_US: i64 = 1_000_000;
const SILENCE_SHARE: f64 = 0.8;
const SILENCE_INTERVAL_US: i64 = 500_000;
/// Loss up to this is borne beside a flow that fills queues (draft-ietf-rmcat-gcc-02 section 6).
const BORNE_LOSS: f64 = 0.1;
/// Over-use without so much of a queue is none, at the rate beside it: at a higher rate less, at a lower one more, each
/// to a limit, so that of those who share a line who has more gives way sooner (as the target delay of NADA does, RFC 8698
/// section 4.3, by the rate over its `RMAX`).
const MIN_QUEUE_US: i64 = 20_000;
const QUEUE_RATE_BPS: f64 = 1_000_000.0;
const QUEUE_SHARES: (f64, f64) = (0.75, 1.25);
/// After a probe its queue is heard of for so long, and a round trip.
const PROBE_ECHO_US: i64 = 200_000;
/// No probes into a queue longer than this.
pub(super) const PROBE_QUEUE_US: i64 = 50_000;
/// Delay that scatters makes no queue: so many times the scatter is taken for chance, but not more
/// than this.
const CHANCE_SCATTERS: f64 = 4.0;
const MAX_CHANCE_US: i64 = 40_000;
/// Of what is lost no more than this is taken for chance.
pub(super) const MAX_CHANCE: f64 = 0.1;
/// So much more sent than arrives is a step up, whose arrival is to be seen at once. What is sent is
/// looked at over this time.
const STEP_UP: f64 = 2.0;
const SENT_SPAN_US: i64 = 100_000;
/// What is sent is a mean over this time.
const SENDING_US: i64 = 500_000;

/// So much more than arrives does not pass.
const OVERFLOW: f64 = 1.05;
/// A packet more or less in half a second.
const UNSURE_BPS: f64 = 1_200.0 * 8.0 / 0.5;
/// A queue longer than this is to be gone in so many seconds.
const LONG_QUEUE_US: i64 = 300_000;
const DRAIN_S: f64 = 2.0;
/// What arrives has fallen when it is less than this share of what arrived before.
const FALLEN: f64 = 0.7;

impl GccEstimator {
    /// What delay says, but pictures of another size are no queue.
    pub(super) fn line(&self) -> LineState {
        // Nor is what a probe piles up for a moment, and should.
        let least_us = if self.is_probe_heard() {
            PROBE_QUEUE_US.max(self.probing_length_us)
        } else {
            let (least, most) = QUEUE_SHARES;
            let share = (QUEUE_RATE_BPS / self.rate.bps()).clamp(least, most);
            (MIN_QUEUE_US as f64 * share) as i64
        };
        match self.delay.state() {
            LineState::Overused if self.queue.delay_us() < least_us + self.chance_us() => {
                LineState::Normal
            }
            _ if self.is_unseen(least_us) => LineState::Normal,
            LineState::Normal if self.queue.is_kept() => LineState::Overused,
            state => state,
        }
    }

    /// Whether a probe's queue may still be heard of.
    fn is_probe_heard(&self) -> bool {
        let echo_us = PROBE_ECHO_US + self.round_trip_us.unwrap_or(0);
        self.now_us < self.probing_until_us + echo_us
    }

    /// What of a delay may be chance on this line.
    fn chance_us(&self) -> i64 {
        ((CHANCE_SCATTERS * self.delay.scatter_us()) as i64).min(MAX_CHANCE_US)
    }

    /// Whether a drain's rate does nothing for the queue, or too little for a long one: what arrived when it began was
    /// from before a fall.
    fn drains_too_little(&self) -> bool {
        let delay_us = self.queue.delay_us();
        let passing = if delay_us > LONG_QUEUE_US {
            1.0 - (delay_us as f64 / 1e6 / DRAIN_S).min(0.25)
        } else {
            OVERFLOW
        };
        // A source may have less to send than the rate allows: then what does not arrive was not sent.
        let sending = self.rate.bps().min(self.sending_bps + self.others_bps());
        let acknowledged = self.arriving_bps();
        acknowledged.is_some_and(|bps| {
            sending > passing * bps + UNSURE_BPS && bps < FALLEN * self.drain_began_bps
        })
    }

    pub(super) fn loss_limit(&self) -> Option<f64> {
        // Beside a flow that fills queues some loss is the rule, and answered by itself.
        let is_borne =
            self.queue.state() == Standing::Foreign && self.loss.window.average < BORNE_LOSS;
        self.loss.limit().filter(|_| !is_borne)
    }

    pub(super) fn estimate_bps(&self) -> f64 {
        let remb = self.remb_bps.map_or(f64::MAX, |bps| bps as f64);
        (self.part() * self.line_bps())
            .min(remb)
            .clamp(self.config.min_bps as f64, self.config.max_bps as f64)
    }

    /// What the line carries for all who are known to share it.
    fn line_bps(&self) -> f64 {
        let loss = self.loss_limit().unwrap_or(f64::MAX);
        self.rate.bps().min(loss)
    }

    /// What is used of the line, and what probes begin from.
    fn used_bps(&self) -> f64 {
        if self.company.is_some() {
            self.line_bps()
        } else {
            self.estimate_bps()
        }
    }

    pub(super) fn control(
        &mut self,
        before: LineState,
        shown: Option<Shown>,
        lost: bool,
        now_us: i64,
    ) {
        let was = self.queue.state();
        let smallest = self.arrivals.iter().map(|p| p.arrival_us - p.sent_us).min();
        if let Some(delay_us) = smallest {
            self.queue.push(delay_us, now_us);
            self.delay.is_queue = self.queue.delay_us() >= MIN_QUEUE_US;
            let probe_us = i64::from(self.is_probe_heard()) * PROBE_QUEUE_US;
            self.queue.watch_kept(self.chance_us() + probe_us, now_us);
        }
        let line = self.line();
        let is_telling = now_us > self.probing_until_us + 1_000_000 && !self.was_limited;
        let sight = Sight {
            line,
            round_trip_us: self.round_trip_us.unwrap_or(0),
            chance_us: self.chance_us(),
            drain_us: self.drained_above_us(),
            used_bps: is_telling.then_some(self.used_bps()),
            overflows: self.drains_too_little(),
            arriving_bps: self.arriving_bps(),
        };
        let standing = self.queue.step(sight, now_us);
        let acknowledged = self.arriving_bps();
        let shown = shown.map(|shown| self.of_the_line(shown));
        match shown {
            _ if standing == Standing::Draining => {
                let begins = was != Standing::Draining;
                if begins {
                    self.before_drain_bps = if self.queue.was_retry() {
                        self.rate.bps()
                    } else {
                        acknowledged.unwrap_or(0.0).min(self.rate.bps())
                    };
                    self.acknowledged.expect_change();
                    self.drain_began_bps = self.acknowledged.filled_bps().unwrap_or(0.0);
                }
                let acknowledged = if begins {
                    self.acknowledged.filled_bps()
                } else {
                    acknowledged
                };
                let round_trip_us = sight.round_trip_us;
                let corrects = sight.overflows && self.queue.may_correct(round_trip_us, now_us);
                let grows =
                    begins || corrects || self.queue.needs_less(lost, round_trip_us, now_us);
                if grows && self.rate.drain(acknowledged, now_us) {
                    self.queue.restart_drain(corrects, now_us);
                }
            }
            _ if was == Standing::Draining && standing == Standing::Clear => {
                self.rate.resume(acknowledged, now_us);
                self.loss.forget();
            }
            _ if was == Standing::Draining && standing == Standing::Foreign => {
                self.rate.restore(self.before_drain_bps, now_us);
            }
            _ if standing == Standing::Foreign => {
                let is_dropping = lost && self.queue.is_full();
                self.rate.compete(is_dropping, acknowledged, now_us);
            }
            Some(shown) if line != LineState::Overused => {
                // A probe that met a moment's queue does not unmake what is seen to arrive.
                let floor = acknowledged.unwrap_or(0.0).min(self.rate.bps());
                let shown = Shown {
                    bps: shown.bps.max(floor),
                    ..shown
                };
                self.rate.probed(shown, now_us);
                if !lost {
                    self.loss.learn(self.rate.bps());
                }
            }
            _ => {
                // What chance takes has filled the line too, and will be sent again.
                let chance = self.loss.inherent().min(MAX_CHANCE);
                let filled = acknowledged.map(|bps| bps / (1.0 - chance));
                self.rate.step(line, filled, now_us);
            }
        }
        self.loss.step(Known {
            delay_bps: self.rate.bps(),
            acknowledged,
            is_limited: self.limit.since_us().is_some(),
        });
        self.inform_probes(now_us);
        if before == LineState::Overused && line != LineState::Overused {
            self.probes.recover(now_us);
        }
    }

    pub(super) fn inform_probes(&mut self, now_us: i64) {
        let restraint = if self.queue.delay_us() > PROBE_QUEUE_US || self.rate.is_settling(now_us) {
            Restraint::Forbidden
        } else {
            match (self.line(), self.loss.state()) {
                (LineState::Overused, _) | (_, LossState::Decreasing) => Restraint::Forbidden,
                (_, LossState::Increasing) => Restraint::Careful,
                _ => Restraint::Free,
            }
        };
        let restraint = if self.may_probe() {
            restraint
        } else {
            Restraint::Forbidden
        };
        let bps = self.used_bps();
        self.probes.set_doubtful(self.rate.is_doubted());
        self.probes
            .set_scatter(self.delay.scatter_us(), self.rate.is_shared());
        self.probes.set_estimate(bps, restraint, now_us);
    }

    pub(super) fn count_sent(&mut self, now_us: i64) {
        let bytes = std::mem::take(&mut self.unaccounted_bytes);
        self.accounted_bytes += bytes;
        let seconds = (now_us - self.counted_us).max(0) as f64 / 1e6;
        self.counted_us = now_us;
        let others = (self.others_bps() / 8.0 * seconds) as u64;
        self.limit.push(bytes + others, self.used_bps(), now_us);
        self.mind_steps(bytes, now_us);
    }

    /// A layer more is sent at once: what arrived before says nothing any more.
    fn mind_steps(&mut self, bytes: u64, now_us: i64) {
        self.sent_bytes += bytes;
        let span_us = now_us - self.sent_since_us;
        if span_us < SENT_SPAN_US {
            return;
        }
        let sent_bps = self.sent_bytes as f64 * 8e6 / span_us as f64;
        (self.sent_bytes, self.sent_since_us) = (0, now_us);
        let weight = span_us.min(SENDING_US) as f64 / SENDING_US as f64;
        self.sending_bps += weight * (sent_bps - self.sending_bps);
        let has_stepped = |arriving| sent_bps > STEP_UP * arriving;
        if self.acknowledged.bps().is_some_and(has_stepped) {
            self.acknowledged.expect_change();
        }
    }

    /// A peer that was heard and is silent while packets leave: the line may be dead.
    pub(super) fn mind_silence(&mut self, now_us: i64) {
        let (Some(asked), Some(_)) = (self.unanswered_us, self.last_heard_us) else {
            return;
        };
        let patience = SILENCE_US + self.round_trip_us.unwrap_or(0).min(2_000_000);
        if now_us - asked < patience || now_us - self.last_backoff_us < SILENCE_INTERVAL_US {
            return;
        }
        self.last_backoff_us = now_us;
        self.is_silent = true;
        self.counters.timeouts += 1;
        self.rate.set(self.rate.bps() * SILENCE_SHARE, now_us);
        self.inform_probes(now_us);
    }
}
