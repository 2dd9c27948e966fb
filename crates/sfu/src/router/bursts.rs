//! A packet's way out: what waits for its burst, which transport is next, which packet is next.
//!
//! A frame goes to one subscriber at a time, whole, and with it everything else that subscriber
//! waits for: so the driver gets runs of packets to one address, as segmentation offload wants them.
//! Within a burst packets of one length come together as far as the order within a stream allows,
//! the longest first; audio and then RTCP, being short, end it.

use std::time::Instant;

use roomtone_rtp::MediaKind;

use super::{Router, Written};
use crate::consumer::{Chosen, Consumer, News, Stamps};
use crate::producer::Stream;
use crate::transport::{Even, Ready, Slot};
use crate::{SentKind, SentPacket, TransportId};
use slab::Slab;

/// Transports looked at ahead of their bursts.
const AHEAD: usize = 8;
/// Consumers of each that are looked at.
const READ_AHEAD: usize = 8;
/// The cipher's tag and the headers of UDP and IPv4.
const WIRE_OVERHEAD: u16 = 16 + 8 + 20;
/// What audio may come later than expected and still be waited for.
const AUDIO_JITTER_US: u64 = 500;
/// Listeners that are looked at for whether they have anything else.
const FEW: usize = 2;
/// Frames of one peer that wait for audio; further ones do not wait.
const MOST_HELD: usize = 16;

impl Router {
    /// A packet was appended: it leaves with its frame, or after the burst delay. A frame waits for
    /// audio that is about to come.
    #[inline]
    pub(super) fn await_burst(&mut self, at: u32, complete: bool, now_us: u64) {
        let stream = &self.streams[at as usize];
        let producer = &self.producers[stream.producer as usize];
        let (video, transport) = (producer.kind == MediaKind::Video, producer.transport);
        let delay = self.config.burst_delay.as_micros() as u64;
        let deadline = stream.pending_until.unwrap_or(now_us + delay);
        if !video && !stream.listeners.is_empty() {
            let rhythm = &mut self.transports[transport as usize].audio_rhythm;
            rhythm.on_packet(now_us);
        }
        let alone = self.company.is_alone(at, now_us) || (!video && self.goes_alone(at));
        let stream = &self.streams[at as usize];
        let holds = complete && !stream.held && self.is_audio_near(transport, deadline, now_us);
        if (complete && !holds) || (alone && !video) {
            self.release(at);
            self.release_audio();
        } else {
            self.hold(at, deadline, video);
        }
        if holds {
            self.streams[at as usize].held = true;
            self.transports[transport as usize].held.push(at);
        }
        if !video {
            self.release_held(transport);
        }
    }

    /// Whether all who listen to a stream listen to nothing else, as in a call of two: nothing could go
    /// along with it, whatever else comes.
    #[inline]
    fn goes_alone(&self, at: u32) -> bool {
        let listeners = &self.streams[at as usize].listeners;
        listeners.len() <= FEW
            && listeners.iter().all(|listener| {
                let transport = self.consumers[*listener as usize].transport;
                self.transports[transport as usize].consumers.len() == 1
            })
    }

    fn hold(&mut self, at: u32, deadline: u64, video: bool) {
        let stream = &mut self.streams[at as usize];
        if stream.pending_until.is_none() {
            stream.pending_until = Some(deadline);
            self.pending.push_back((deadline, at));
            if !video {
                self.wake_listeners(at, false);
            }
        }
    }

    /// Whether audio of the peer is expected before the deadline.
    #[inline]
    fn is_audio_near(&self, transport: u32, deadline: u64, now_us: u64) -> bool {
        let transport = &self.transports[transport as usize];
        let next = transport.audio_rhythm.next(now_us);
        self.config.hold_for_audio
            && transport.held.len() < MOST_HELD
            && next.is_some_and(|next| next + AUDIO_JITTER_US <= deadline)
    }

    /// Audio has come: the frames that waited for it leave with it.
    #[inline]
    fn release_held(&mut self, transport: u32) {
        while let Some(at) = self.transports[transport as usize].held.pop() {
            // Its time may have come before, and the stream may be gone.
            if self
                .streams
                .get(at as usize)
                .is_some_and(|stream| stream.held)
            {
                self.release(at);
            }
        }
    }

    /// A burst leaves: audio that waits goes along, rather than wake everybody again for itself.
    fn release_audio(&mut self) {
        for index in 0..self.pending.len() {
            let (deadline, at) = self.pending[index];
            let stream = &self.streams[at as usize];
            let video = self.producers[stream.producer as usize].kind == MediaKind::Video;
            if !video && stream.pending_until == Some(deadline) {
                self.release(at);
            }
        }
    }

    /// Lets the consumers of a stream read all of it.
    #[inline]
    fn release(&mut self, at: u32) {
        let stream = &mut self.streams[at as usize];
        stream.pending_until = None;
        stream.held = false;
        stream.released = stream.history.head();
        self.wake_listeners(at, true);
    }

    /// Releases what has waited long enough.
    pub(super) fn release_due(&mut self, now_us: u64) {
        while let Some((deadline, at)) = self.pending.front().copied() {
            // Left over from a burst that was complete before its time.
            let stale = self.streams[at as usize].pending_until != Some(deadline);
            if !stale && deadline > now_us {
                return;
            }
            self.pending.pop_front();
            if !stale {
                self.release(at);
                self.release_audio();
            }
        }
    }

    /// Enters the consumers of a stream into the lists of their transports; with `queue` the
    /// transports become ready to be written.
    #[inline]
    fn wake_listeners(&mut self, at: u32, queue: bool) {
        let listeners = std::mem::take(&mut self.streams[at as usize].listeners);
        for listener in &listeners {
            let consumer = &mut self.consumers[*listener as usize];
            let transport = &mut self.transports[consumer.transport as usize];
            if consumer.paused || !transport.writable {
                continue;
            }
            if !consumer.dirty {
                if queue && !consumer.has_work(&self.streams) {
                    continue;
                }
                consumer.dirty = true;
                transport
                    .ready
                    .push(*listener, consumer.kind == MediaKind::Video);
            }
            if queue && !transport.queued {
                transport.queued = true;
                self.queue.push_back(consumer.transport);
            }
        }
        self.streams[at as usize].listeners = listeners;
    }

    /// Enters a consumer that has retransmissions to send.
    pub(super) fn wake_consumer(&mut self, index: u32) {
        let consumer = &mut self.consumers[index as usize];
        let at = consumer.transport;
        if !consumer.dirty {
            consumer.dirty = true;
            let video = consumer.kind == MediaKind::Video;
            self.transports[at as usize].ready.push(index, video);
        }
        self.queue_transport(at);
    }

    /// The next transport that has something to send now. Write its packets with
    /// [`Self::write_packet`] until there are none.
    pub fn poll_burst(&mut self, now: Instant) -> Option<TransportId> {
        let now_us = self.clock.micros(now);
        self.release_due(now_us);
        if !self.queue.is_empty() {
            self.run_patient_timers(now, now_us);
        }
        self.look_ahead();
        let at = self.queue.pop_front()?;
        let transport = &mut self.transports[at as usize];
        transport.queued = false;
        transport.stats.bursts += 1;
        transport.ready.run_len = 0;
        if transport.pacer.is_on() {
            transport.pacer.refill(now_us);
            let (spreads, probes) = (transport.pacer.is_spreading(), transport.pacer.is_probing());
            if transport.pacer.has_held_back() {
                self.drop_old(at, now_us);
            }
            if spreads {
                self.spread(at);
            }
            if probes {
                self.count_others(at);
            }
        }
        let transport = &self.transports[at as usize];
        let id = transport.id;
        self.recent = (id, at);
        Some(id)
    }

    /// The transports that come next in [`Self::poll_burst`], so that the driver can fetch what it
    /// keeps for them.
    pub fn upcoming(&self) -> impl Iterator<Item = TransportId> + '_ {
        let ids = self.queue.iter().filter_map(|at| {
            let transport = self.transports.get(*at as usize)?;
            Some(transport.id)
        });
        ids.take(AHEAD)
    }

    /// Reads what the next bursts need of several transports at once. Each transport's state was
    /// last used a frame ago and has left the caches: read together, the waits for memory overlap.
    fn look_ahead(&mut self) {
        if self.warm > 0 {
            self.warm -= 1;
            return;
        }
        let ahead = self.queue.len().min(AHEAD);
        self.warm = ahead.saturating_sub(1);
        let next = || {
            let slots = self.queue.iter().take(ahead);
            slots.filter_map(|at| self.transports.get(*at as usize))
        };
        let mut read = 0_u64;
        for transport in next() {
            read ^= transport.touch();
        }
        for transport in next() {
            for listed in transport.ready.consumers().take(READ_AHEAD) {
                let consumer = self.consumers.get(listed as usize);
                read ^= consumer.map_or(0, Consumer::touch);
            }
        }
        std::hint::black_box(read);
    }

    /// Writes the next packet for a transport to the front of `out`; `None`: there is no more for
    /// now. `out` should have room for a whole packet of the network; what does not fit is dropped
    /// and counted.
    #[inline]
    pub fn write_packet(
        &mut self,
        id: TransportId,
        now: Instant,
        out: &mut [u8],
    ) -> Option<Written> {
        let at = self.transport_at(id)?;
        if !self.transports[at as usize].writable {
            return None;
        }
        while let Some((consumer, chosen)) = self.next_chosen(at) {
            if let Some(len) = self.write_chosen(at, consumer, &chosen, now, out) {
                return Some(Written { len, rtcp: false });
            }
        }
        if self.transports[at as usize].has_rtcp()
            && let Some(len) = self.write_rtcp(at, now, out)
        {
            return Some(Written { len, rtcp: true });
        }
        if self.transports[at as usize].pacer.wants_padding() {
            if let Some(len) = self.write_padding(at, now, out) {
                return Some(Written { len, rtcp: false });
            }
            self.transports[at as usize].pacer.cancel_probe();
        }
        self.finish_burst(at);
        None
    }

    /// Takes the next packet of a transport: video, then audio.
    #[inline]
    fn next_chosen(&mut self, at: u32) -> Option<(u32, Chosen)> {
        let Self {
            transports,
            consumers,
            streams,
            ..
        } = self;
        let transport = &mut transports[at as usize];
        if !transport.pacer.is_open() {
            return self.next_audio(at);
        }
        let ready = &mut transport.ready;
        let mut news = Vec::new();
        let repairs = transport.pacer.lets_repairs_first();
        let mut taken = next_video(ready, consumers, streams, &mut news, repairs);
        if taken.is_none() && !repairs {
            taken = next_video(ready, consumers, streams, &mut news, true);
        }
        for (index, news) in news {
            self.on_news(index, news);
        }
        if taken.is_some() {
            return taken;
        }
        self.next_audio(at)
    }

    fn next_audio(&mut self, at: u32) -> Option<(u32, Chosen)> {
        loop {
            let index = *self.transports[at as usize].ready.audio.first()?;
            let consumer = &mut self.consumers[index as usize];
            let chosen = consumer.next(&self.streams, true);
            let told = consumer.news.take();
            if chosen.is_none() {
                consumer.dirty = false;
                self.transports[at as usize].ready.audio.remove(0);
            }
            if let Some(told) = told {
                self.on_news(index, told);
            }
            if let Some(chosen) = chosen {
                return Some((index, chosen));
            }
        }
    }

    #[inline]
    fn write_chosen(
        &mut self,
        at: u32,
        index: u32,
        chosen: &Chosen,
        now: Instant,
        out: &mut [u8],
    ) -> Option<usize> {
        let consumer = &mut self.consumers[index as usize];
        let stream = self.streams.get(chosen.stream as usize)?;
        let entry = stream.history.get(chosen.position)?;
        let transport = &mut self.transports[at as usize];
        if consumer.header.has_send_time() && self.send_time.0 != Some(now) {
            self.send_time = (Some(now), self.clock.abs_send_time(now));
        }
        let stamps = Stamps {
            sequence: transport.next_sequence,
            send_time: self.send_time.1,
            frame_shift: 0,
        };
        let Some(mut sent) = consumer.write(&stream.history, entry, chosen, stamps, out) else {
            consumer.counters.packets_oversized += 1;
            return None;
        };
        if self.config.even_out > 0 && consumer.kind == MediaKind::Video && !chosen.resend {
            let even = longest(&mut transport.ready.even, consumer, stream, chosen.position);
            sent.len = consumer.even_out(out, sent.len, even, self.config.even_out);
        }
        if !consumer.reported {
            // The first sender report goes with the first packet, so that tracks can be aligned.
            consumer.reported = true;
            transport.report.consumers.push(index);
        }
        if consumer.has_transport_sequence() {
            transport.next_sequence = transport.next_sequence.wrapping_add(1);
            let bytes = wire_bytes(sent.len);
            // Before it is spent: the packet that completes a probe belongs to it.
            let probe = transport.pacer.probe();
            transport.pacer.spend(bytes);
            if chosen.resend {
                transport.pacer.spend_repair(bytes);
            }
            if transport.tracks_packets {
                let kind = if chosen.resend {
                    SentKind::Repair
                } else if consumer.kind == MediaKind::Video {
                    SentKind::Video
                } else {
                    SentKind::Audio
                };
                let packet = SentPacket {
                    sequence: stamps.sequence,
                    bytes,
                    kind,
                    probe,
                };
                transport.estimator.on_sent(packet, now);
            }
        } else if transport.pacer.is_spreading() {
            transport.pacer.spend(wire_bytes(sent.len));
        }
        transport.stats.rtp_packets_sent += 1;
        transport.stats.rtp_bytes_sent += sent.len as u64;
        self.packets_out += 1;
        Some(sent.len)
    }
}

/// What a packet takes of the line.
#[inline]
pub(super) fn wire_bytes(len: usize) -> u16 {
    len as u16 + WIRE_OVERHEAD
}

/// The longest packet of a frame from a position on, worked out once for a burst.
fn longest(even: &mut Even, consumer: &Consumer, stream: &Stream, position: u64) -> usize {
    let frame = |at: u64| {
        let entry = stream.history.get(at).filter(|_| at < stream.released)?;
        Some((entry.facts.frame, entry))
    };
    let Some((number, _)) = frame(position) else {
        return 0;
    };
    if (even.serial, even.frame) != (stream.serial, number) || even.len == 0 {
        let rest = (position..).map_while(frame);
        let same = rest.take_while(|(other, _)| *other == number);
        *even = Even {
            serial: stream.serial,
            frame: number,
            len: same
                .map(|(_, entry)| consumer.predict(entry))
                .max()
                .unwrap_or(0),
        };
    }
    even.len
}

/// Takes the next video packet: one as long as the last if there is one, else the longest. `news`
/// gets the consumers that have something to tell, and what.
#[inline]
fn next_video(
    ready: &mut Ready,
    consumers: &mut Slab<Consumer>,
    streams: &Slab<Stream>,
    news: &mut Vec<(u32, News)>,
    repairs: bool,
) -> Option<(u32, Chosen)> {
    if ready.video.len() == 1 {
        // One track of video: its own order is the only one there is.
        let slot = &mut ready.video[0];
        let consumer = &mut consumers[slot.consumer as usize];
        let chosen = slot.next.take();
        let chosen = chosen.or_else(|| consumer.next(streams, repairs));
        if consumer.news.is_some() {
            news.extend(consumer.news.take().map(|told| (slot.consumer, told)));
        }
        if chosen.is_none() && (repairs || !consumer.has_repairs()) {
            consumer.dirty = false;
            ready.video.clear();
            return None;
        }
        return chosen.map(|chosen| (slot.consumer, chosen));
    }
    let at = (ready.at as usize).min(ready.video.len().checked_sub(1)?);
    fill(&mut ready.video[at], consumers, streams, news, repairs);
    if ready.video[at].next.is_some() && ready.video[at].len == ready.run_len {
        return take(ready, at);
    }
    ready
        .video
        .retain_mut(|slot| fill(slot, consumers, streams, news, repairs));
    let at = next_slot(&ready.video, ready.run_len)?;
    ready.at = at as u32;
    ready.run_len = ready.video[at].len;
    take(ready, at)
}

/// The slot to be served: what was missed comes before what is new, then one as long as the last,
/// then the longest.
fn next_slot(slots: &[Slot], run_len: u32) -> Option<usize> {
    let filled = || {
        let slots = slots.iter().enumerate();
        slots.filter_map(|(at, slot)| slot.next.map(|next| (at, slot.len, next.resend)))
    };
    let repair = filled().find(|(_, _, resend)| *resend);
    repair
        .or_else(|| filled().find(|(_, len, _)| *len == run_len))
        .or_else(|| filled().rev().max_by_key(|(_, len, _)| *len))
        .map(|(at, _, _)| at)
}

fn take(ready: &mut Ready, at: usize) -> Option<(u32, Chosen)> {
    let slot = &mut ready.video[at];
    slot.next.take().map(|chosen| (slot.consumer, chosen))
}

/// Looks up what a slot's consumer sends next; says whether it stays in the list.
fn fill(
    slot: &mut Slot,
    consumers: &mut Slab<Consumer>,
    streams: &Slab<Stream>,
    news: &mut Vec<(u32, News)>,
    repairs: bool,
) -> bool {
    if slot.next.is_some() {
        return true;
    }
    let consumer = &mut consumers[slot.consumer as usize];
    slot.next = consumer.next(streams, repairs);
    if consumer.news.is_some() {
        news.extend(consumer.news.take().map(|told| (slot.consumer, told)));
    }
    let entry = slot.next.as_ref().and_then(|next| {
        streams
            .get(next.stream as usize)?
            .history
            .get(next.position)
    });
    slot.len = entry.map_or(0, |entry| consumer.predict(entry) as u32);
    consumer.dirty = slot.next.is_some() || (!repairs && consumer.has_repairs());
    consumer.dirty
}
