//! How good things are, looked at once a report window and a few times a second where packets are
//! lost, and what publishers are told because of it.

use std::time::Instant;

use roomtone_rtp::{Codec, MediaKind};

use super::Router;
use crate::LineState;
use crate::allocation::{Gate, pictures_missed};
use crate::quality::video;
use crate::quality::viewer::Reported;
use crate::quality::watch::{Closing, Seen};
use crate::{Direction, Quality, QualitySubject, RouterEvent};

impl Router {
    /// A report window of a transport is over: scores, states, actions.
    pub(super) fn close_quality(&mut self, at: u32, now: Instant, now_us: u64) {
        let transport = &mut self.transports[at as usize];
        let stats = &transport.stats;
        let heard = stats.rtp_packets_received + stats.rtcp_packets_received;
        transport.line.hear(heard, now_us);
        self.close_up(at, now_us);
        self.close_down(at);
        self.close_connection(at, now_us);
        self.look(at, true, now);
    }

    /// What came from the peer.
    fn close_up(&mut self, at: u32, now_us: u64) {
        let mut seen = Vec::new();
        for n in 0..self.transports[at as usize].producers.len() {
            let index = self.transports[at as usize].producers[n];
            if let Some(quality) = self.close_producer_window(index, now_us, &mut seen) {
                let subject = QualitySubject::Producer(self.producers[index as usize].id);
                self.emit(RouterEvent::QualityChanged { subject, quality });
            }
        }
        let transport = &mut self.transports[at as usize];
        if !seen.is_empty() && transport.line.close_up(&seen) {
            let event = RouterEvent::CongestionChanged {
                transport: transport.id,
                direction: Direction::Up,
                state: transport.line.up.state(),
            };
            self.emit(event);
        }
    }

    /// Closes a producer's windows; gives its quality where that is worth telling.
    fn close_producer_window(
        &mut self,
        index: u32,
        now_us: u64,
        seen: &mut Vec<Seen>,
    ) -> Option<Quality> {
        let producer = &mut self.producers[index as usize];
        let transport = &self.transports[producer.transport as usize];
        let round_trip = transport.round_trip;
        let (loaded, silent) = (transport.line.up.is_loaded(), transport.line.is_silent());
        let mut worst: Option<crate::quality::gauge::Reading> = None;
        for stream in &producer.streams {
            let stream = &mut self.streams[*stream as usize];
            let counts = stream.loss_counts();
            if !stream.active || producer.paused {
                stream.watch.rest(now_us, counts);
                continue;
            }
            let codec = producer.codecs.iter();
            let codec = codec
                .clone()
                .find(|codec| codec.payload_type == stream.payload_type())
                .or(producer.codecs.first());
            let closing = Closing {
                kind: producer.kind,
                codec: codec.map_or(Codec::Other, |codec| codec.codec),
                now_us,
                counts,
                clock_rate: stream.clock_rate,
                jitter_ms: stream.jitter_ms(),
                bitrate: stream.bitrate(),
                round_trip_ms: round_trip.map_or(0.0, |trip| trip.as_secs_f64() * 1_000.0),
                descriptor_errors: stream.descriptor_errors(),
                loaded,
                silent,
            };
            let (shown, reading) = stream.watch.close(&closing);
            seen.push(shown);
            let Some(reading) = reading else { continue };
            stream.watch.gauge.update(reading);
            if worst.is_none_or(|worst| reading.score < worst.score) {
                worst = Some(reading);
            }
        }
        producer.gauge.update(worst?)
    }

    /// What the peer reported of what it gets.
    fn close_down(&mut self, at: u32) {
        let transport = &mut self.transports[at as usize];
        let count = transport.consumers.len();
        if count == 0 {
            return;
        }
        let estimate = transport.estimator.estimate();
        let overused = estimate.confirmed && estimate.state == LineState::Overused;
        let round_trip = transport.round_trip;
        let runs = transport.line.take_runs();
        let loaded = transport.line.down.is_loaded();
        let (mut sent, mut lost) = (0.0, 0.0);
        for n in 0..count {
            let index = self.transports[at as usize].consumers[n];
            if self.is_starved(index) {
                let consumer = &mut self.consumers[index as usize];
                let watch = consumer.watch.get_or_insert_default();
                if let Some(quality) = watch.gauge.update(video::STARVED) {
                    let subject = QualitySubject::Consumer(consumer.id);
                    self.emit(RouterEvent::QualityChanged { subject, quality });
                }
                continue;
            }
            let Some(reported) = self.reported(index, runs, loaded) else {
                continue;
            };
            let consumer = &mut self.consumers[index as usize];
            let watch = consumer.watch.get_or_insert_default();
            let packets = reported.sent.saturating_sub(watch.sent()) as f64;
            let Some(reading) = watch.close(&reported) else {
                continue;
            };
            sent += packets;
            lost += packets * reported.loss;
            if let Some(quality) = watch.gauge.update(reading) {
                let subject = QualitySubject::Consumer(consumer.id);
                self.emit(RouterEvent::QualityChanged { subject, quality });
            }
        }
        let loss = if sent > 0.0 { lost / sent } else { 0.0 };
        let transport = &mut self.transports[at as usize];
        if transport.line.close_down(round_trip, loss, overused) {
            let event = RouterEvent::CongestionChanged {
                transport: transport.id,
                direction: Direction::Down,
                state: transport.line.down.state(),
            };
            self.emit(event);
        }
    }

    /// What is known of one consumer; `None`: it gets nothing now, by command or for want of a
    /// source.
    fn reported(&self, index: u32, runs: (u64, u64), loaded: bool) -> Option<Reported> {
        let consumer = &self.consumers[index as usize];
        let producer = &self.producers[consumer.producer? as usize];
        let tap = consumer.current.or(consumer.taps.first().copied())?;
        let stream = &self.streams[tap.stream as usize];
        let transport = &self.transports[consumer.transport as usize];
        if consumer.paused || producer.paused || !stream.active || !transport.writable {
            return None;
        }
        let codec = producer
            .codec(stream.payload_type())
            .or(producer.codecs.first())?;
        let round_trip = consumer.remote.round_trip_time.or(transport.round_trip);
        let counters = &consumer.counters;
        Some(Reported {
            kind: consumer.kind,
            codec: codec.codec,
            reports: consumer.remote.reports_received,
            // The subscriber sees its publisher's holes and jitter too; they are not its line's.
            loss: (consumer.remote.fraction_lost - stream.watch.raw_loss()).max(0.0),
            jitter_ms: beyond(consumer.remote.jitter * 1_000.0, stream.jitter_ms()),
            round_trip_ms: round_trip.map_or(0.0, |trip| trip.as_secs_f64() * 1_000.0),
            sent: counters.packets_sent,
            sent_again: counters.retransmitted_packets_sent,
            complaints: counters.pli_count + counters.fir_count,
            waiting: consumer.waiting && !consumer.verbatim && consumer.kind == MediaKind::Video,
            layers_missed: self.layers_missed(index),
            runs,
            loaded,
        })
    }

    /// How many picture sizes a consumer is below the best that flows and was not refused.
    fn layers_missed(&self, index: u32) -> f64 {
        let consumer = &self.consumers[index as usize];
        let allotment = &consumer.allotment;
        let (Some(given), Some(producer)) = (allotment.target, consumer.producer) else {
            return 0.0;
        };
        let limits =
            allotment.track_limits(consumer.preferred_spatial, consumer.preferred_temporal);
        let layers = self.producers[producer as usize].offer.layers();
        pictures_missed(layers, &limits, given) as f64
    }

    /// Whether a consumer would be sent something if its line carried it.
    fn is_starved(&self, index: u32) -> bool {
        let consumer = &self.consumers[index as usize];
        let Some(producer) = consumer.producer else {
            return false;
        };
        let producer = &self.producers[producer as usize];
        let flows = |at: &u32| self.streams[*at as usize].active;
        consumer.allotment.gate == Gate::Starved
            && !consumer.allotment.paused_by_command
            && !producer.paused
            && producer.streams.iter().any(flows)
    }

    /// The connection as a whole: the worst of what it carries both ways.
    fn close_connection(&mut self, at: u32, now_us: u64) {
        let transport = &self.transports[at as usize];
        let producers = transport.producers.iter().filter_map(|at| {
            let producer = &self.producers[*at as usize];
            let flows = |at: &u32| self.streams[*at as usize].active;
            let flowing = !producer.paused && producer.streams.iter().any(flows);
            producer.gauge.quality().filter(|_| flowing)
        });
        let consumers = transport.consumers.iter().filter_map(|at| {
            let consumer = &self.consumers[*at as usize];
            let quality = consumer.watch.as_ref()?.gauge.quality()?;
            let wanted = !consumer.allotment.paused_by_command && consumer.producer.is_some();
            wanted.then_some(quality)
        });
        let worst = producers.chain(consumers).min_by_key(|one| one.score);
        let lost_after_us = self.config.quality.lost_after.as_micros() as u64;
        let transport = &mut self.transports[at as usize];
        let line = &mut transport.line;
        let lost = transport.writable && line.silence_us(now_us) >= lost_after_us;
        let told = if lost {
            line.gauge.lose()
        } else if let Some(worst) = worst {
            line.gauge.follow(worst)
        } else {
            // What ended badly is no reason to call the line bad for ever.
            line.gauge.rest()
        };
        if let Some(quality) = told {
            let subject = QualitySubject::Transport(transport.id);
            self.emit(RouterEvent::QualityChanged { subject, quality });
        }
    }
}

/// What a deviation has on top of that of its source; independent ones add up in squares.
fn beyond(whole: f64, source: f64) -> f64 {
    (whole * whole - source * source).max(0.0).sqrt()
}
