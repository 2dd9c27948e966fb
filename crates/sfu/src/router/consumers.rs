//! Commands about consumers.

use std::time::Instant;

use roomtone_rtp::MediaKind;

use super::Router;
use crate::allocation::Gate;
use crate::consumer::{Consumer, Draws, Tap};
use crate::transport::Message;
use crate::{
    ConsumerDescription, ConsumerEncoding, ConsumerId, ConsumerParams, ProducerId, SfuError,
    TransportId,
};

impl Router {
    /// Opens a consumer on a transport.
    #[allow(clippy::needless_pass_by_value)] // A description is given away whole.
    pub fn consume(
        &mut self,
        transport: TransportId,
        id: ConsumerId,
        params: ConsumerParams,
        now: Instant,
    ) -> Result<ConsumerDescription, SfuError> {
        let at = self.transport_of(transport)?;
        if self.consumer_ids.contains_key(&id) {
            return Err(SfuError::Duplicate);
        }
        if self.transports[at as usize].consumers.len()
            >= self.config.limits.consumers_per_transport
        {
            return Err(SfuError::Limit("consumers on a transport"));
        }
        let source = params
            .producer
            .map(|producer| self.producer_of(producer))
            .transpose()?;
        if source.is_some_and(|source| self.producers[source as usize].kind != params.kind) {
            return Err(SfuError::Kind);
        }
        if params.verbatim && source.is_none() {
            return Err(SfuError::Verbatim);
        }
        let draws = self.draw(at, &params)?;
        let mixed = self.transports[at as usize].mixed_extensions;
        let consumer = Consumer::new(id, at, &params, mixed, draws, &self.config.limits)?;
        let index = self.consumers.insert(consumer) as u32;
        self.consumer_ids.insert(id, index);
        self.transports[at as usize].consumers.push(index);
        self.choose_estimator(at, index, now);
        if let Some(source) = source {
            self.attach(index, source, now);
        }
        self.own_ssrcs(index);
        Ok(self.describe(index))
    }

    /// SSRCs and first numbers of a new consumer.
    fn draw(&mut self, at: u32, params: &ConsumerParams) -> Result<Draws, SfuError> {
        let transport = &mut self.transports[at as usize];
        for ssrc in [params.ssrc, params.rtx_ssrc].into_iter().flatten() {
            // One that was drawn before may belong to a stream that is gone: see `DrawnSsrcs`.
            if transport.uses(ssrc) || transport.drawn.contains(ssrc) {
                transport.stats.ssrc_collisions += 1;
                return Err(SfuError::DuplicateSsrc(ssrc));
            }
        }
        if params.ssrc.is_some() && params.ssrc == params.rtx_ssrc {
            return Err(SfuError::DuplicateSsrc(params.ssrc.unwrap_or_default()));
        }
        let mut draw = |other| transport.draw_ssrc(other);
        let ssrc = params.ssrc.unwrap_or_else(|| draw(params.rtx_ssrc));
        let rtx_ssrc = params.rtx_ssrc.unwrap_or_else(|| draw(Some(ssrc)));
        let random = &mut self.random;
        let (sequence, rtx_sequence) = (random.next() as u16, random.next() as u16 & 0x7fff);
        Ok(Draws {
            ssrc,
            rtx_ssrc,
            sequence,
            rtx_sequence,
        })
    }

    fn own_ssrcs(&mut self, index: u32) {
        let consumer = &self.consumers[index as usize];
        let own = &mut self.transports[consumer.transport as usize].own_ssrcs;
        for ssrc in consumer.ssrcs() {
            own.insert(ssrc, index);
        }
    }

    fn describe(&self, index: u32) -> ConsumerDescription {
        let consumer = &self.consumers[index as usize];
        let encodings: Vec<_> = if consumer.verbatim {
            let rid = |tap: &Tap| self.streams[tap.stream as usize].rid().map(Into::into);
            consumer
                .taps
                .iter()
                .map(|tap| ConsumerEncoding {
                    ssrc: tap.ssrc,
                    rid: rid(tap),
                })
                .collect()
        } else {
            vec![ConsumerEncoding {
                ssrc: consumer.ssrc,
                rid: None,
            }]
        };
        ConsumerDescription {
            ssrc: encodings.first().map_or(consumer.ssrc, |first| first.ssrc),
            rtx_ssrc: consumer.rtx.as_ref().map(|rtx| rtx.ssrc),
            cname: self.transports[consumer.transport as usize].cname.clone(),
            encodings,
        }
    }

    /// Gives a consumer its source.
    fn attach(&mut self, index: u32, producer: u32, now: Instant) {
        self.producers[producer as usize].consumers.push(index);
        self.consumers[index as usize].producer = Some(producer);
        self.settle_correction(index, producer);
        self.await_allocation(index, now);
        if !self.consumers[index as usize].verbatim {
            self.choose_layers(index, now);
            return;
        }
        // A pipe's far end decides for itself: it gets everything.
        let transport = self.consumers[index as usize].transport as usize;
        let mut first = Some(self.consumers[index as usize].ssrc);
        for stream in self.producers[producer as usize].streams.clone() {
            let taken = &self.transports[transport];
            let ssrc = first
                .take()
                .unwrap_or_else(|| self.random.ssrc(|ssrc| taken.uses(ssrc)));
            self.transports[transport].own_ssrcs.insert(ssrc, index);
            let tap = Tap::live(stream, &self.streams[stream as usize], ssrc);
            self.consumers[index as usize].taps.push(tap);
            self.streams[stream as usize].listeners.push(index);
            self.note_exempt(stream);
        }
        self.wish_keyframes_of(index, now);
    }

    /// Video that is wrapped for error correction goes as it is to who can use the correction; others
    /// get it unwrapped, and no correction.
    fn settle_correction(&mut self, index: u32, at: u32) {
        let producer = &self.producers[at as usize];
        if !producer.wraps_video() {
            return;
        }
        let consumer = &mut self.consumers[index as usize];
        let same = consumer.payload_types.iter().all(|(from, to)| from == to);
        if !(consumer.verbatim || same && producer.is_bare() && consumer.header.is_bare()) {
            consumer
                .payload_types
                .retain(|(from, _)| !producer.is_wrapping(*from));
        }
        self.weigh_correction(at);
    }

    /// Whether anybody can use a producer's error correction.
    fn weigh_correction(&mut self, at: u32) {
        let producer = &self.producers[at as usize];
        if !producer.wraps_video() {
            return;
        }
        let wants = |index: &u32| {
            let consumer = &self.consumers[*index as usize];
            let mut types = consumer.payload_types.iter();
            consumer.verbatim || types.any(|(from, _)| producer.is_wrapping(*from))
        };
        let wanted = producer.consumers.iter().any(wants);
        for stream in producer.streams.clone() {
            self.streams[stream as usize].forwards_correction = wanted;
        }
    }

    /// Takes a consumer's source away.
    pub(super) fn detach_consumer(&mut self, index: u32, now: Instant) {
        self.set_gate(index, Gate::Open);
        let consumer = &mut self.consumers[index as usize];
        let Some(at) = consumer.producer else {
            return;
        };
        consumer.detach();
        consumer.news = None;
        let transport = consumer.transport;
        self.allocate_soon(transport, self.clock.micros(now));
        let consumer = &mut self.consumers[index as usize];
        if consumer.dirty {
            consumer.dirty = false;
            self.transports[consumer.transport as usize]
                .ready
                .remove(index);
        }
        let producer = &mut self.producers[at as usize];
        producer.consumers.retain(|other| *other != index);
        for stream in &producer.streams {
            let stream = &mut self.streams[*stream as usize];
            stream.listeners.retain(|other| *other != index);
            stream.exempt.retain(|other| *other != index);
        }
        self.weigh_correction(at);
    }

    /// Gives a consumer another source, or none. Its numbering goes on; video waits for a keyframe.
    pub fn switch_source(
        &mut self,
        id: ConsumerId,
        producer: Option<ProducerId>,
        payload_types: Vec<(u8, u8)>,
        now: Instant,
    ) -> Result<(), SfuError> {
        let index = self.consumer_of(id)?;
        let source = producer
            .map(|producer| self.producer_of(producer))
            .transpose()?;
        let consumer = &self.consumers[index as usize];
        if consumer.verbatim {
            return Err(SfuError::Verbatim);
        }
        if source.is_some_and(|source| self.producers[source as usize].kind != consumer.kind) {
            return Err(SfuError::Kind);
        }
        if payload_types
            .iter()
            .any(|(from, to)| *from > 127 || *to > 127)
        {
            return Err(SfuError::Range("payload type"));
        }
        self.detach_consumer(index, now);
        let consumer = &mut self.consumers[index as usize];
        if consumer.kind == MediaKind::Audio {
            // Under other payload types a packet may take another shape, and a number that was sent
            // must not stand for other bytes.
            consumer.rewriting.forget();
        }
        consumer.payload_types = payload_types.into();
        if let Some(source) = source {
            self.attach(index, source, now);
        }
        Ok(())
    }

    /// Sends nothing to a consumer until it is resumed.
    pub fn pause_consumer(&mut self, id: ConsumerId, now: Instant) -> Result<(), SfuError> {
        let index = self.consumer_of(id)?;
        let consumer = &mut self.consumers[index as usize];
        consumer.allotment.paused_by_command = true;
        let transport = consumer.transport;
        self.set_gate(index, Gate::Open);
        self.consumers[index as usize].allotment.forget();
        self.allocate_soon(transport, self.clock.micros(now));
        Ok(())
    }

    /// Sends to a consumer again, from the live end; video begins with a keyframe.
    pub fn resume_consumer(&mut self, id: ConsumerId, now: Instant) -> Result<(), SfuError> {
        let index = self.consumer_of(id)?;
        let consumer = &mut self.consumers[index as usize];
        if consumer.allotment.paused_by_command {
            consumer.allotment.paused_by_command = false;
            self.set_gate(index, Gate::Open);
            self.await_allocation(index, now);
            self.restart_consumer(index, now);
        }
        Ok(())
    }

    /// Closes a consumer; the peer is told by BYE.
    pub fn close_consumer(&mut self, id: ConsumerId, now: Instant) -> Result<(), SfuError> {
        let index = self.consumer_of(id)?;
        let consumer = &self.consumers[index as usize];
        let (transport, ssrcs) = (consumer.transport, consumer.ssrcs().collect());
        let sent = consumer.counters.packets_sent > 0;
        self.remove_consumer(index, now);
        if sent && self.transports[transport as usize].writable {
            self.send_message(transport, Message::Goodbye { ssrcs });
        }
        Ok(())
    }

    pub(super) fn remove_consumer(&mut self, index: u32, now: Instant) {
        self.detach_consumer(index, now);
        let consumer = self.consumers.remove(index as usize);
        self.consumer_ids.remove(&consumer.id);
        let transport = &mut self.transports[consumer.transport as usize];
        transport.consumers.retain(|other| *other != index);
        transport.own_ssrcs.retain(|_, owner| *owner != index);
        transport.report.consumers.retain(|other| *other != index);
        transport.ready.remove(index);
    }

    /// Begins a consumer anew at the live end, asking for a keyframe.
    pub(super) fn restart_consumer(&mut self, index: u32, now: Instant) {
        let consumer = &mut self.consumers[index as usize];
        consumer.restart(&self.streams);
        consumer.reported = false;
        if consumer.verbatim {
            self.wish_keyframes_of(index, now);
        } else {
            self.choose_layers(index, now);
        }
    }

    /// Asks for a keyframe of what a consumer forwards.
    pub fn request_consumer_keyframe(
        &mut self,
        id: ConsumerId,
        now: Instant,
    ) -> Result<(), SfuError> {
        let index = self.consumer_of(id)?;
        self.wish_keyframes_of(index, now);
        Ok(())
    }

    /// Wishes for keyframes of all streams a consumer reads, where it can send them.
    pub(super) fn wish_keyframes_of(&mut self, index: u32, now: Instant) {
        let consumer = &self.consumers[index as usize];
        let writable = self.transports[consumer.transport as usize].writable;
        if consumer.kind != MediaKind::Video || consumer.paused || !writable {
            return;
        }
        let taps = consumer
            .current
            .iter()
            .chain(&consumer.target)
            .chain(&consumer.taps)
            .filter(|tap| tap.cursor != Tap::OFF);
        let streams: Vec<u32> = taps.map(|tap| tap.stream).collect();
        let now_us = self.clock.micros(now);
        for stream in streams {
            self.wish_keyframe(stream, now_us);
        }
    }
}
