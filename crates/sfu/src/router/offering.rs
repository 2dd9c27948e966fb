//! What producers have to offer and what anyone wants of it, which their publishers are told.

use std::time::Instant;

use roomtone_rtp::MediaKind;

use super::Router;
use crate::allocation::{ALL_TEMPORAL, Gate, Want, Window};
use crate::consumer::Tap;
use crate::producer::{LayerCost, Stream};
use crate::{ConsumerId, RouterEvent, SfuError};

impl Router {
    /// Fixes which encodings a verbatim consumer forwards: those that anyone wants at the far end of
    /// its pipe ([`RouterEvent::EncodingsWanted`] there). What is wanted again begins with a keyframe,
    /// and with the number after the last one sent.
    pub fn set_wanted_encodings(
        &mut self,
        id: ConsumerId,
        wanted: &[Option<u8>],
        now: Instant,
    ) -> Result<(), SfuError> {
        let index = self.consumer_of(id)?;
        if !self.consumers[index as usize].verbatim {
            return Err(SfuError::Verbatim);
        }
        let now_us = self.clock.micros(now);
        for at in 0..self.consumers[index as usize].taps.len() {
            let wanted = wanted.get(at).copied().flatten().is_some();
            let tap = self.consumers[index as usize].taps[at];
            let stream = tap.stream;
            match (wanted, tap.cursor == Tap::OFF) {
                (true, true) => {
                    let head = self.streams[stream as usize].history.head();
                    self.consumers[index as usize].resume_tap(at, head);
                    self.streams[stream as usize].listeners.push(index);
                    self.note_exempt(stream);
                    self.wish_keyframe(stream, now_us);
                }
                (false, false) => {
                    self.consumers[index as usize].stop_tap(at);
                    self.unlisten(stream, index);
                }
                _ => {}
            }
        }
        self.note_want(index, now_us);
        Ok(())
    }

    /// What a consumer wants of its producer.
    pub(super) fn want(&self, index: u32) -> Option<Want> {
        let consumer = &self.consumers[index as usize];
        let producer = &self.producers[consumer.producer? as usize];
        if consumer.verbatim {
            let taps = consumer.taps.iter().filter(|tap| tap.cursor != Tap::OFF);
            let highest = taps
                .map(|tap| self.streams[tap.stream as usize].encoding)
                .max();
            return highest.map(|highest| (highest, ALL_TEMPORAL));
        }
        let allotment = &consumer.allotment;
        if allotment.paused_by_command {
            return None;
        }
        let temporal = consumer.preferred_temporal.unwrap_or(ALL_TEMPORAL);
        if allotment.gate == Gate::Starved {
            // So that it has something to begin with.
            return Some((0, temporal));
        }
        let most = consumer.preferred_spatial.unwrap_or(u8::MAX);
        let most = if producer.streams.len() > 1 { most } else { 0 };
        Some(match allotment.target {
            Some(target) => (most.min(target.encoding), temporal.min(target.temporal)),
            None => (most, temporal),
        })
    }

    /// A consumer may want more than before: its publisher is told at once.
    pub(super) fn note_want(&mut self, index: u32, now_us: u64) {
        let consumer = &self.consumers[index as usize];
        let (Some(producer), Some(want)) = (consumer.producer, self.want(index)) else {
            return;
        };
        let found = &mut self.producers[producer as usize];
        if found.kind != MediaKind::Video {
            return;
        }
        let unwanted: Vec<_> = (0..found.streams.len())
            .filter(|encoding| found.wants.is_unwanted(*encoding))
            .collect();
        if found.wants.want(want) {
            for encoding in unwanted {
                found.offer.expect(encoding, now_us);
            }
            self.tell_wants(producer);
        }
    }

    fn tell_wants(&mut self, at: u32) {
        let producer = &self.producers[at as usize];
        let event = RouterEvent::EncodingsWanted {
            producer: producer.id,
            wanted: producer.wants.told().to_vec(),
        };
        self.emit(event);
    }

    /// A window of a producer is over: what it offers, and what anyone wants of it.
    pub(super) fn review_offer(&mut self, at: u32, now_us: u64) {
        let config = &self.config.allocation;
        let (start_us, hold_us) = (
            config.start_time.as_micros() as u64,
            config.unwanted_hold.as_micros() as u64,
        );
        let interval_us = config.interval.as_micros() as u64;
        let producer = &self.producers[at as usize];
        if producer.kind == MediaKind::Video {
            let wants: Vec<_> = producer
                .consumers
                .iter()
                .filter_map(|index| self.want(*index))
                .collect();
            let wants = wants.into_iter();
            let producer = &mut self.producers[at as usize];
            if producer.wants.review(wants, now_us, hold_us) {
                self.tell_wants(at);
            }
        }
        let producer = &self.producers[at as usize];
        let streams = producer
            .streams
            .iter()
            .map(|at| &self.streams[*at as usize]);
        let costs: Vec<Vec<_>> = streams
            .clone()
            .map(|stream| stream.layer_rates(now_us).collect())
            .collect();
        let windows: Vec<_> = streams
            .zip(&costs)
            .map(|(stream, costs)| window(stream, costs))
            .collect();
        let producer = &mut self.producers[at as usize];
        for encoding in 0..producer.streams.len() {
            // What was switched off can be had again.
            if producer.wants.is_unwanted(encoding) {
                producer.offer.expect(encoding, now_us);
            }
        }
        if producer.offer.close_window(&windows, now_us, start_us) {
            for consumer in 0..self.producers[at as usize].consumers.len() {
                let index = self.producers[at as usize].consumers[consumer];
                let transport = self.consumers[index as usize].transport;
                let last_us = self.transports[transport as usize].tally.last_us;
                let soon = now_us + self.config.allocation.gather.as_micros() as u64;
                self.allocate_at(transport, soon.max(last_us + interval_us));
            }
        }
    }

    /// An encoding of a producer has begun to flow.
    pub(super) fn on_encoding(&mut self, at: u32, encoding: u8, now_us: u64) {
        let start_us = self.config.allocation.start_time.as_micros() as u64;
        let offer = &mut self.producers[at as usize].offer;
        offer.set_active(encoding, true, now_us);
        offer.refresh(now_us, start_us);
        self.allocate_consumers_of(at, now_us);
    }
}

/// What the last window of a stream showed.
fn window<'a>(stream: &Stream, layers: &'a [LayerCost]) -> Window<'a> {
    Window {
        active: stream.active,
        packets: stream.received(),
        bitrate: stream.bitrate(),
        layers,
    }
}
