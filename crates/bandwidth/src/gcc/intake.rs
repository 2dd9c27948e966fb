//! What feedback says: looked up among what was sent, and measured.
//!
//! The order of work is that of `OnTransportPacketsFeedback` in libwebrtc's
//! `goog_cc_network_control.cc` (revision 0467d2b9); feedback itself is that of
//! draft-holmer-rmcat-transport-wide-cc-extensions-01.

use super::control::{MAX_CHANCE, PROBE_QUEUE_US};
use super::probe_results::Shown;
use super::sent_log::Lookup;
use super::standing::Queue;
use super::{Arrived, GccEstimator};
use crate::FeedbackEntry;

impl GccEstimator {
    /// Looks up what feedback names; fills `arrivals`.
    pub(super) fn collect(&mut self, entries: &[FeedbackEntry], now_us: i64) {
        self.arrivals.clear();
        for entry in entries {
            match self
                .log
                .look_up(entry.sequence, entry.arrival_us.is_some(), now_us)
            {
                Lookup::NeverSent | Lookup::Forgotten => self.counters.bogus += 1,
                Lookup::Repeated => self.counters.repeated += 1,
                Lookup::Lost {
                    bytes,
                    sent_us,
                    probe,
                } => {
                    self.counters.lost += 1;
                    if probe != 0 {
                        self.results.lose(probe, sent_us, bytes);
                    }
                    if sent_us > self.silent_until_us {
                        self.loss.window.push(sent_us, bytes, true);
                    }
                }
                Lookup::Arrived {
                    sent_us,
                    bytes,
                    probe,
                    was_lost,
                    ..
                } => {
                    if was_lost {
                        self.counters.lost -= 1;
                        self.loss.window.take_back(bytes);
                    } else {
                        self.loss.window.push(sent_us, bytes, false);
                    }
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

    pub(super) fn measure_round_trip(&mut self, now_us: i64) {
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
    pub(super) fn measure(&mut self, now_us: i64) -> Option<Shown> {
        let is_limited = self.limit.since_us().is_some();
        if self.was_limited && !is_limited {
            self.acknowledged.expect_change();
        }
        self.was_limited = is_limited;
        // A source that has little to send fills no queue: where one has, what arrives is what the line carries.
        let is_limited = is_limited && self.queue.delay_us() <= PROBE_QUEUE_US;
        let chance = self.loss.inherent().min(MAX_CHANCE);
        let mut shown = None;
        for index in 0..self.arrivals.len() {
            let packet = self.arrivals[index];
            if packet.probe != 0 {
                let rate = self.results.push(
                    packet.probe,
                    packet.sent_us,
                    packet.arrival_us,
                    packet.bytes,
                    chance,
                );
                // The last packets may have been held up: the best that was seen counts.
                let before = shown.filter(|old: &Shown| rate.is_none_or(|new| !new.is_better(old)));
                shown = before.or(rate);
            }
            let is_sound = self
                .delay
                .push(packet.sent_us, packet.arrival_us, packet.bytes, now_us);
            if !is_sound {
                self.queue = Queue::default();
                self.acknowledged.reset_window();
            }
            self.acknowledged
                .push(packet.arrival_us, packet.bytes, is_limited);
        }
        self.counters.probes_measured += u64::from(shown.is_some());
        shown
    }
}
