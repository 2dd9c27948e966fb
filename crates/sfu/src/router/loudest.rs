//! Forwarding only the audio of those who speak, in routers with many producers.
//!
//! Who speaks is decided a packet and a stream at a time; consumers of a withheld stream cost
//! nothing. They go on where they were: their numbering has no hole, only time has passed.

use std::time::Instant;

use roomtone_rtp::MediaKind;

use super::Router;
use crate::transport::Route;
use crate::{ConsumerId, ProducerId, RouterEvent, SfuError};

impl Router {
    /// Forwards only the audio of so many producers: those who speak, by the levels in their
    /// packets (RFC 6464). `None` forwards all. Producers without levels are always forwarded and
    /// take no place; so are those a consumer is pinned to, for that consumer.
    ///
    /// For two or three windows of the speaker observer up to twice as many may be forwarded: who
    /// begins to speak is let in at once, and who has to go is found afterwards.
    pub fn set_audio_top_n(&mut self, places: Option<u8>, now: Instant) {
        let now_us = self.clock.micros(now);
        self.config.audio_top_n = places;
        let mut ranked: Vec<(bool, u8, ProducerId)> = Vec::new();
        for (_, producer) in &self.producers {
            let has_place = producer
                .streams
                .iter()
                .any(|at| self.streams[*at as usize].withheld_from.is_none());
            if producer.has_level() && !producer.paused && has_place {
                let level = self.speakers.level_of(producer.id);
                ranked.push((level.is_none(), level.unwrap_or_default(), producer.id));
            }
        }
        ranked.sort_unstable();
        let ranked: Vec<ProducerId> = ranked.into_iter().map(|(_, _, id)| id).collect();
        self.loudest.set_places(places, &ranked, now_us);
        let members = self.loudest.members();
        for at in self.ranked_producers() {
            let forwarded = places.is_none() || members.contains(&self.producers[at as usize].id);
            for stream in self.producers[at as usize].streams.clone() {
                if forwarded {
                    self.let_in(stream, now_us);
                } else {
                    self.withhold(stream);
                }
            }
        }
        if places.is_some() {
            self.emit_forwarded();
        }
    }

    /// Whether a consumer gets its producer's audio also while that is withheld from others.
    pub fn set_audio_pinned(&mut self, id: ConsumerId, pinned: bool) -> Result<(), SfuError> {
        let index = self.consumer_of(id)?;
        let consumer = &mut self.consumers[index as usize];
        if consumer.kind != MediaKind::Audio {
            return Err(SfuError::Kind);
        }
        if consumer.verbatim || consumer.pinned == pinned {
            return Ok(());
        }
        consumer.pinned = pinned;
        let taps = consumer.current.iter().chain(&consumer.target);
        let streams: Vec<u32> = taps.map(|tap| tap.stream).collect();
        for at in streams {
            self.note_exempt(at);
            let stream = &self.streams[at as usize];
            if pinned && stream.withheld_from.is_some() {
                let head = stream.history.head();
                self.consumers[index as usize].skip_to(at, head);
            }
        }
        Ok(())
    }

    fn ranked_producers(&self) -> Vec<u32> {
        let ranked = self.producers.iter().filter(|(_, one)| one.has_level());
        ranked.map(|(at, _)| at as u32).collect()
    }

    /// Whether a packet just stored is forwarded to all listeners of its stream.
    #[inline]
    pub(super) fn lets_through(&mut self, route: Route, level: Option<u8>, now_us: u64) -> bool {
        if self.streams[route.stream as usize].withheld_from.is_none() {
            return true;
        }
        let loud = level.is_some_and(|level| level < self.config.audio_level.threshold);
        let producer = self.producers[route.producer as usize].id;
        if self.loudest.admit(producer, loud, now_us) {
            self.let_in(route.stream, now_us);
            self.emit_forwarded();
            return true;
        }
        self.audio_packets_withheld += 1;
        self.wake_exempt(route.stream);
        false
    }

    fn wake_exempt(&mut self, at: u32) {
        let exempt = std::mem::take(&mut self.streams[at as usize].exempt);
        for index in &exempt {
            let consumer = &self.consumers[*index as usize];
            let writable = self.transports[consumer.transport as usize].writable;
            if !consumer.paused && writable {
                self.wake_consumer(*index);
            }
        }
        self.streams[at as usize].exempt = exempt;
    }

    /// Forwards a stream from now on, and what came right before.
    fn let_in(&mut self, at: u32, now_us: u64) {
        let stream = &mut self.streams[at as usize];
        let Some(from) = stream.withheld_from.take() else {
            return;
        };
        stream.exempt.clear();
        let preroll = self.config.audio_preroll.as_micros() as u64;
        let history = &stream.history;
        let mut position = history.head();
        while position > from.max(history.tail())
            && history
                .get(position - 1)
                .is_some_and(|entry| now_us.saturating_sub(entry.arrival_us) <= preroll)
        {
            position -= 1;
        }
        for listener in stream.listeners.clone() {
            let consumer = &mut self.consumers[listener as usize];
            if !consumer.pinned {
                consumer.skip_to(at, position);
            }
        }
    }

    /// Forwards a stream no more, but to those pinned to it.
    fn withhold(&mut self, at: u32) {
        let stream = &mut self.streams[at as usize];
        if stream.withheld_from.is_none() {
            stream.withheld_from = Some(stream.history.head());
            self.note_exempt(at);
        }
    }

    /// The listeners of a stream, or who is pinned, have changed.
    pub(super) fn note_exempt(&mut self, at: u32) {
        let stream = &mut self.streams[at as usize];
        if stream.withheld_from.is_none() {
            return;
        }
        let pinned = |index: &u32| self.consumers[*index as usize].pinned;
        stream.exempt = stream.listeners.iter().copied().filter(pinned).collect();
    }

    /// A producer goes, or is paused: its place is free, and it has to be let in again.
    pub(super) fn leave_place(&mut self, at: u32) {
        if !self.loudest.is_limiting() {
            return;
        }
        let producer = &self.producers[at as usize];
        if !producer.has_level() {
            return;
        }
        let (id, streams) = (producer.id, producer.streams.clone());
        for stream in streams {
            self.withhold(stream);
        }
        if self.loudest.remove(id) {
            self.emit_forwarded();
        }
    }

    /// A window of the speaker observer is over.
    pub(super) fn rank_forwarded(&mut self, now_us: u64) {
        let window = self.config.audio_level.interval.as_micros() as u64;
        let speakers = &self.speakers;
        let gone = self
            .loudest
            .rank(now_us, window, |producer| speakers.level_of(producer));
        for id in &gone {
            if let Some(at) = self.producer_ids.get(id) {
                for stream in self.producers[*at as usize].streams.clone() {
                    self.withhold(stream);
                }
            }
        }
        if !gone.is_empty() {
            self.emit_forwarded();
        }
    }

    fn emit_forwarded(&mut self) {
        let producers = self.loudest.members();
        self.emit(RouterEvent::AudioForwarded { producers });
    }
}
