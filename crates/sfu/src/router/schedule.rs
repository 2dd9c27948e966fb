//! What happens when a deadline comes.

use std::time::{Duration, Instant};

use roomtone_rtp::Codec;

use super::Router;
use crate::timers::{Timer, disarm};
use crate::transport::Message;
use crate::{RouterEvent, StreamScore};

/// Numbers in one NACK packet: with the worst spacing they still fit a datagram.
const NACK_CHUNK: usize = 200;
/// What a publisher may take to answer a request, on top of the round trip.
const ANSWER_MARGIN: Duration = Duration::from_millis(10);

/// How much longer than others a stream may be silent whose last packet was comfort noise (RFC 3389 section 5: the next
/// comes when the noise changes).
const COMFORTED: u64 = 15;

impl Router {
    pub(super) fn run_timers(&mut self, now: Instant, now_us: u64) {
        while let Some((at_us, timer)) = self.timers.pop_due(now_us) {
            self.run_timer(timer, at_us, now, now_us);
        }
    }

    /// Does what is due and was waiting for packets that leave anyway.
    pub(super) fn run_patient_timers(&mut self, now: Instant, now_us: u64) {
        while let Some((at_us, timer)) = self.timers.pop_patient(now_us) {
            self.run_timer(timer, at_us, now, now_us);
        }
    }

    fn run_timer(&mut self, timer: Timer, at_us: u64, now: Instant, now_us: u64) {
        match timer {
            Timer::Report(at) => self.on_report_timer(at, at_us, now, now_us),
            Timer::Feedback(at) => self.on_feedback_timer(at, at_us),
            Timer::Estimator(at) => self.on_estimator_timer(at, at_us, now),
            Timer::Pace(at) => self.on_pace_timer(at, at_us),
            Timer::Repair(at) => self.on_repair_timer(at, at_us, now_us),
            Timer::Allocation(at) => self.on_allocation_timer(at, at_us, now),
            Timer::Look(at) => self.on_look_timer(at, at_us, now),
            Timer::Speakers => self.on_speakers_timer(at_us, now_us),
        }
    }

    fn on_report_timer(&mut self, at: u32, at_us: u64, now: Instant, now_us: u64) {
        let Some(transport) = self.transports.get_mut(at as usize) else {
            return;
        };
        if !disarm(&mut transport.report_armed, at_us) {
            return;
        }
        let next = transport.next_report(now_us, self.config.report_interval);
        let (timer, armed) = (Timer::Report(at), &mut transport.report_armed);
        if transport.producers.is_empty() {
            self.timers.arm_patient(timer, next, armed);
        } else {
            // What comes from a peer is measured by the interval.
            self.timers.arm(timer, next, armed);
        }
        let producers = transport.producers.clone();
        if transport.writable {
            transport.report.due =
                !(transport.producers.is_empty() && transport.consumers.is_empty());
            transport.report.consumers.clone_from(&transport.consumers);
            transport.report.streams.clear();
        }
        for producer in producers {
            self.close_windows(producer, now, now_us);
            let producer = &self.producers[producer as usize];
            let transport = &mut self.transports[at as usize];
            if transport.writable {
                transport.report.remb_due |= producer.wants_remb;
                let received = |stream: &&u32| self.streams[**stream as usize].has_received();
                transport
                    .report
                    .streams
                    .extend(producer.streams.iter().filter(received));
            }
        }
        self.close_quality(at, now, now_us);
        if self.transports[at as usize].has_rtcp() {
            self.queue_transport(at);
        }
    }

    /// A second of a producer is over: bitrates, scores, silence.
    fn close_windows(&mut self, at: u32, now: Instant, now_us: u64) {
        let timeout = self.config.encoding_timeout.as_micros() as u64;
        let (mut scored, mut silent) = (false, false);
        for index in self.producers[at as usize].streams.clone() {
            let stream = &mut self.streams[index as usize];
            let newest = self.producers[at as usize].codec(stream.payload_type());
            let has_said_so = newest.is_some_and(|codec| codec.codec == Codec::ComfortNoise);
            let timeout = if has_said_so {
                COMFORTED * timeout
            } else {
                timeout
            };
            if stream.active && now_us.saturating_sub(stream.last_arrival_us) >= timeout {
                stream.active = false;
                silent = true;
                let (producer, encoding) = (self.producers[at as usize].id, stream.encoding);
                self.emit(RouterEvent::ProducerSilent { producer, encoding });
            }
            scored |= self.streams[index as usize].close_window(now_us);
        }
        self.review_offer(at, now_us);
        if silent {
            self.choose_all(at, now);
        }
        if scored {
            let producer = &self.producers[at as usize];
            let score = |at: &u32| {
                let stream = &self.streams[*at as usize];
                StreamScore {
                    ssrc: stream.ssrc,
                    score: stream.score(),
                }
            };
            let scores = producer.streams.iter().map(score).collect();
            self.emit(RouterEvent::ProducerScore {
                producer: producer.id,
                scores,
            });
        }
    }

    fn on_feedback_timer(&mut self, at: u32, at_us: u64) {
        let Some(transport) = self.transports.get_mut(at as usize) else {
            return;
        };
        let Some(arrivals) = &mut transport.arrivals else {
            return;
        };
        if disarm(&mut arrivals.armed, at_us) && !arrivals.is_empty() {
            if transport.writable {
                transport.report.feedback_due = true;
                self.queue_transport(at);
            } else {
                arrivals.clear();
            }
        }
    }

    fn on_estimator_timer(&mut self, at: u32, at_us: u64, now: Instant) {
        let Some(transport) = self.transports.get_mut(at as usize) else {
            return;
        };
        if disarm(&mut transport.estimator_armed, at_us) {
            transport.estimator.handle_timeout(now);
            self.follow_estimator(at, now);
        }
    }

    pub(super) fn arm_estimator(&mut self, at: u32, now_us: u64) {
        let transport = &mut self.transports[at as usize];
        if let Some(next) = transport.estimator.next_timeout() {
            // At least a millisecond ahead: an estimator that asks for the past must not spin.
            let at_us = self.clock.micros(next).max(now_us + 1_000);
            self.timers
                .arm(Timer::Estimator(at), at_us, &mut transport.estimator_armed);
        }
    }

    /// Tells a changed estimate, where the change is worth it.
    pub(super) fn on_estimate(&mut self, at: u32) {
        let transport = &mut self.transports[at as usize];
        let bps = transport.estimator.estimate().bps;
        if bps.abs_diff(transport.last_estimate) * 20 < transport.last_estimate {
            return;
        }
        transport.last_estimate = bps;
        let transport = transport.id;
        self.emit(RouterEvent::EstimateChanged { transport, bps });
    }

    fn on_repair_timer(&mut self, at: u32, at_us: u64, now_us: u64) {
        let Some(stream) = self.streams.get_mut(at as usize) else {
            return;
        };
        if !disarm(&mut stream.repair_armed, at_us) {
            return;
        }
        let producer = &self.producers[stream.producer as usize];
        let transport = &self.transports[producer.transport as usize];
        let at_least = stream.nack_config(&self.config).retry_interval;
        // An answer needs the round trip and a little for the publisher's own pacing.
        let answer = transport
            .round_trip
            .map(|trip| trip + ANSWER_MARGIN)
            .unwrap_or_default();
        let retry_us = at_least.max(answer.min(Duration::from_secs(1))).as_micros() as u64;
        let given_up = stream.given_up();
        let sequences = stream.collect_nacks(now_us, retry_us, &self.config);
        let lost = stream.given_up() > given_up;
        let again = stream.keyframes.is_due(now_us, &self.config.keyframe);
        let (ssrc, transport) = (stream.ssrc, producer.transport);
        if let (false, Some(ssrc)) = (sequences.is_empty(), ssrc) {
            for part in sequences.chunks(NACK_CHUNK) {
                self.send_message(
                    transport,
                    Message::Nack {
                        ssrc,
                        sequences: part.to_vec(),
                    },
                );
            }
        }
        if again {
            self.send_keyframe_request(at);
        }
        if lost {
            self.arm_look(transport, now_us);
        }
        self.arm_repair(at);
    }

    fn on_speakers_timer(&mut self, at_us: u64, now_us: u64) {
        if !disarm(&mut self.speakers.armed, at_us) {
            return;
        }
        if let Some(speakers) = self.speakers.close_window(now_us, &self.config.audio_level) {
            self.emit(RouterEvent::ActiveSpeakers(speakers));
        }
        self.rank_speakers(now_us);
        self.rank_forwarded(now_us);
        if self.speakers.is_observing() {
            let due = now_us + self.config.audio_level.interval.as_micros() as u64;
            self.timers
                .arm(Timer::Speakers, due, &mut self.speakers.armed);
        }
    }
}
