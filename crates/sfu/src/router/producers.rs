//! Commands about producers.

use std::time::Instant;

use roomtone_rtp::MediaKind;

use super::Router;
use crate::producer::{Producer, Stream, Wish};
use crate::quality::policy::taken;
use crate::timers::Timer;
use crate::transport::{Message, Route};
use crate::{
    Degradation, FeedbackAction, FeedbackPriority, FeedbackStrategy, ProducerId, ProducerParams,
    RouterEvent, SfuError, TransportId,
};

impl Router {
    /// Opens a producer on a transport.
    #[allow(clippy::needless_pass_by_value)] // A description is given away whole.
    pub fn produce(
        &mut self,
        transport: TransportId,
        id: ProducerId,
        params: ProducerParams,
        now: Instant,
    ) -> Result<(), SfuError> {
        let at = self.transport_of(transport)?;
        if self.producer_ids.contains_key(&id) {
            return Err(SfuError::Duplicate);
        }
        let limits = &self.config.limits;
        if self.transports[at as usize].producers.len() >= limits.producers_per_transport {
            return Err(SfuError::Limit("producers on a transport"));
        }
        if params.encodings.len() > limits.encodings_per_producer {
            return Err(SfuError::Limit("encodings of a producer"));
        }
        self.check_ssrcs(at, &params)?;
        let producer = Producer::new(id, at, &params, self.clock.micros(now))?;
        let index = self.producers.insert(producer) as u32;
        self.producer_ids.insert(id, index);
        self.transports[at as usize].producers.push(index);
        self.open_streams(at, index, &params);
        Ok(())
    }

    /// Refuses SSRCs that are in use; that of our own feedback is given up for them.
    fn check_ssrcs(&mut self, at: u32, params: &ProducerParams) -> Result<(), SfuError> {
        let transport = &mut self.transports[at as usize];
        let mut seen = Vec::new();
        for ssrc in params
            .encodings
            .iter()
            .flat_map(|encoding| [encoding.ssrc, encoding.rtx_ssrc])
            .flatten()
        {
            if (transport.uses(ssrc) && ssrc != transport.local_ssrc) || seen.contains(&ssrc) {
                transport.stats.ssrc_collisions += 1;
                return Err(SfuError::DuplicateSsrc(ssrc));
            }
            seen.push(ssrc);
        }
        if seen.contains(&transport.local_ssrc) {
            self.leave_local_ssrc(at);
        }
        Ok(())
    }

    fn open_streams(&mut self, at: u32, producer: u32, params: &ProducerParams) {
        let capacity = match params.kind {
            MediaKind::Video => self.config.limits.video_history,
            _ => self.config.limits.audio_history,
        };
        let clock_rate = params
            .codecs
            .first()
            .map_or(90_000, |codec| codec.clock_rate);
        let nack = params.codecs.iter().any(|codec| codec.feedback.nack);
        for (encoding, described) in params.encodings.iter().enumerate() {
            self.next_serial = self.next_serial.wrapping_add(1);
            let mut stream = Stream::new(
                producer,
                encoding as u8,
                self.next_serial,
                described,
                clock_rate,
                capacity,
            );
            stream.nack_enabled = nack;
            stream.audio = params.kind == MediaKind::Audio;
            if self.loudest.is_limiting() && self.producers[producer as usize].has_level() {
                stream.withheld_from = Some(0);
            }
            let index = self.streams.insert(stream) as u32;
            self.producers[producer as usize].streams.push(index);
            let routes = &mut self.transports[at as usize].routes;
            for (ssrc, rtx) in [(described.ssrc, false), (described.rtx_ssrc, true)] {
                if let Some(ssrc) = ssrc {
                    routes.insert(
                        ssrc,
                        Route {
                            producer,
                            stream: index,
                            rtx,
                        },
                    );
                }
            }
        }
    }

    /// Drops a producer's packets until it is resumed.
    pub fn pause_producer(&mut self, id: ProducerId, now: Instant) -> Result<(), SfuError> {
        let at = self.producer_of(id)?;
        self.producers[at as usize].paused = true;
        self.allocate_consumers_of(at, self.clock.micros(now));
        self.speakers.remove(id);
        self.leave_place(at);
        Ok(())
    }

    /// Forwards a producer's packets again; its consumers begin with a keyframe.
    pub fn resume_producer(&mut self, id: ProducerId, now: Instant) -> Result<(), SfuError> {
        let at = self.producer_of(id)?;
        let producer = &mut self.producers[at as usize];
        if !producer.paused {
            return Ok(());
        }
        producer.paused = false;
        let consumers = producer.consumers.clone();
        for stream in producer.streams.clone() {
            self.streams[stream as usize].resume();
        }
        for consumer in consumers {
            self.restart_consumer(consumer, now);
        }
        self.allocate_consumers_of(at, self.clock.micros(now));
        Ok(())
    }

    /// Closes a producer. Its consumers stay, without a source.
    pub fn close_producer(&mut self, id: ProducerId, now: Instant) -> Result<(), SfuError> {
        let at = self.producer_of(id)?;
        self.remove_producer(at, now);
        Ok(())
    }

    pub(super) fn remove_producer(&mut self, at: u32, now: Instant) {
        self.allocate_consumers_of(at, self.clock.micros(now));
        let consumers = self.producers[at as usize].consumers.clone();
        let orphans = consumers
            .iter()
            .map(|consumer| self.consumers[*consumer as usize].id)
            .collect();
        for consumer in consumers {
            self.detach_consumer(consumer, now);
        }
        self.leave_place(at);
        let producer = self.producers.remove(at as usize);
        self.producer_ids.remove(&producer.id);
        self.speakers.remove(producer.id);
        for stream in &producer.streams {
            self.streams.remove(*stream as usize);
        }
        self.pending
            .retain(|(_, stream)| !producer.streams.contains(stream));
        let transport = &mut self.transports[producer.transport as usize];
        transport.producers.retain(|other| *other != at);
        transport.routes.retain(|_, route| route.producer != at);
        transport
            .report
            .streams
            .retain(|stream| !producer.streams.contains(stream));
        self.emit(RouterEvent::ProducerClosed {
            producer: producer.id,
            consumers: orphans,
        });
    }

    /// Asks a producer for a keyframe on all its active encodings.
    pub fn request_producer_keyframe(
        &mut self,
        id: ProducerId,
        now: Instant,
    ) -> Result<(), SfuError> {
        let at = self.producer_of(id)?;
        let streams = self.producers[at as usize].streams.clone();
        let now_us = self.clock.micros(now);
        for stream in streams {
            self.wish_keyframe(stream, now_us);
        }
        Ok(())
    }

    /// Somebody needs a keyframe of a stream.
    pub(super) fn wish_keyframe(&mut self, at: u32, now_us: u64) {
        let stream = &mut self.streams[at as usize];
        let producer = &self.producers[stream.producer as usize];
        if producer.kind != MediaKind::Video || producer.paused {
            return;
        }
        match stream.keyframes.wish(now_us, &self.config.keyframe) {
            Wish::Ask => self.send_keyframe_request(at),
            Wish::Merged => stream.counters_mut().keyframe_requests_merged += 1,
        }
        self.arm_repair(at);
    }

    /// Sends a keyframe request of the kind the publisher takes.
    pub(super) fn send_keyframe_request(&mut self, at: u32) {
        let stream = &mut self.streams[at as usize];
        let producer = &self.producers[stream.producer as usize];
        let Some(ssrc) = stream.ssrc else { return };
        if !self.transports[producer.transport as usize].writable {
            return;
        }
        let (takes_pli, takes_fir) = producer.keyframe_requests();
        let escalates = self.config.quality.acts(FeedbackStrategy::Loss);
        let policy = stream.keyframes.policy();
        let urgent = stream.keyframes.on_leaving() && escalates;
        let wanted = if urgent {
            FeedbackAction::Fir
        } else {
            FeedbackAction::Pli
        };
        let Some(action) = taken(wanted, takes_pli, takes_fir) else {
            return;
        };
        let number = stream.keyframes.fir_sequence();
        let counters = stream.counters_mut();
        let message = if action == FeedbackAction::Fir {
            counters.fir_count += 1;
            Message::Fir { ssrc, number }
        } else {
            counters.pli_count += 1;
            Message::Pli { ssrc }
        };
        let (id, transport, encoding) = (producer.id, producer.transport, stream.encoding);
        self.send_message(transport, message);
        self.emit(RouterEvent::KeyframeRequested {
            producer: id,
            encoding,
        });
        // What a consumer asks for is no act of the policy, but its repetition is.
        let acted = match policy {
            Some((reason, priority)) if !urgent => Some((reason, priority)),
            Some((reason, _)) => Some((reason, FeedbackPriority::Critical)),
            None => urgent.then_some((Degradation::Corruption, FeedbackPriority::Critical)),
        };
        if let Some((reason, priority)) = acted {
            self.emit(RouterEvent::FeedbackActed {
                producer: id,
                encoding: Some(encoding),
                action,
                reason,
                priority,
            });
        }
    }

    /// Arms the timer of a stream's requests.
    pub(super) fn arm_repair(&mut self, at: u32) {
        let stream = &mut self.streams[at as usize];
        if let Some(due) = stream.next_repair() {
            self.timers
                .arm(Timer::Repair(at), due, &mut stream.repair_armed);
        }
    }
}
