//! How a consumer walks the histories it reads: what it sends next.

use roomtone_rtp::MediaKind;
use slab::Slab;

use super::rewriting::Numbers;
use super::{Consumer, Resend};
use crate::audio::{Shape, shape_of};
use crate::history::Entry;
use crate::producer::{Stream, base};
use crate::selection::Fate;

/// A place in the history of one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tap {
    pub(crate) stream: u32,
    /// The position of the next packet to look at.
    pub(crate) cursor: u64,
    /// A position that was sent out of turn, to be passed over.
    pub(crate) sent_early: Option<u64>,
    /// The SSRC that a verbatim consumer sends this stream with.
    pub(crate) ssrc: u32,
}

impl Tap {
    /// The cursor of a tap that is not read: beyond everything.
    pub(crate) const OFF: u64 = u64::MAX;

    /// A tap at the live end of a stream.
    pub(crate) fn live(at: u32, stream: &Stream, ssrc: u32) -> Self {
        Self {
            stream: at,
            cursor: stream.history.head(),
            sent_early: None,
            ssrc,
        }
    }
}

/// A packet to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chosen {
    pub(crate) stream: u32,
    pub(crate) position: u64,
    pub(crate) numbers: Numbers,
    pub(crate) payload_type: u8,
    pub(crate) shape: Shape,
    pub(crate) ssrc: u32,
    pub(crate) marker: bool,
    pub(crate) resend: bool,
}

/// How far a consumer may read: video to the end of what was released as whole frames, audio to
/// the end, so that it rides along with any burst, unless it is withheld from this consumer.
#[inline]
pub(super) fn limit(kind: MediaKind, pinned: bool, stream: &Stream) -> u64 {
    if kind == MediaKind::Video {
        return stream.released;
    }
    match stream.withheld_from {
        Some(from) if !pinned => from,
        _ => stream.history.head(),
    }
}

impl Consumer {
    /// Whether there may be something to send.
    #[inline]
    pub(crate) fn has_work(&self, streams: &Slab<Stream>) -> bool {
        if self
            .resends
            .as_ref()
            .is_some_and(|resends| !resends.is_empty())
        {
            return true;
        }
        let unread = |tap: &Tap| {
            streams
                .get(tap.stream as usize)
                .is_some_and(|stream| tap.cursor < limit(self.kind, self.pinned, stream))
        };
        if self.verbatim {
            return self.taps.iter().any(unread);
        }
        self.current.as_ref().is_some_and(unread) || self.target.as_ref().is_some_and(unread)
    }

    /// The next packet to send; retransmissions first, where it is their turn.
    #[inline]
    pub(crate) fn next(&mut self, streams: &Slab<Stream>, repairs: bool) -> Option<Chosen> {
        if self.longing.is_some() && !self.paused {
            self.renew(streams);
        }
        if self.hushed_until_us > 0 {
            if self.is_hushed(streams) {
                return None;
            }
            self.hushed_until_us = 0;
        }
        if repairs
            && self.resends.is_some()
            && let Some(chosen) = self.next_resend(streams)
        {
            return Some(chosen);
        }
        if self.paused {
            return None;
        }
        if self.verbatim {
            return self.next_verbatim(streams);
        }
        if self.target.is_some() && self.leaves_backlog(streams) {
            self.leave_backlog(streams);
        }
        loop {
            if let Some(chosen) = self.next_of_current(streams) {
                return Some(chosen);
            }
            if !self.switch_to_target(streams) {
                return None;
            }
        }
    }

    /// Whether retransmissions wait.
    #[inline]
    pub(crate) fn has_repairs(&self) -> bool {
        self.resends
            .as_ref()
            .is_some_and(|resends| !resends.is_empty())
    }

    /// Packets that lie ready and are unread.
    pub(crate) fn unread(&self, streams: &Slab<Stream>) -> u64 {
        let taps = self.current.iter().chain(&self.target);
        let unread = taps.map(|tap| {
            let stream = streams.get(tap.stream as usize);
            stream.map_or(0, |stream| stream.released.saturating_sub(tap.cursor))
        });
        unread.max().unwrap_or(0)
    }

    /// Whether what is still unread of the current stream is not to be sent before the change to its
    /// target: so where it changes to a lower encoding, between two frames. What is unread is what
    /// the line did not carry.
    fn leaves_backlog(&self, streams: &Slab<Stream>) -> bool {
        let (Some(current), Some(target)) = (self.current, self.target) else {
            return false;
        };
        let (Some(from), Some(to)) = (
            streams.get(current.stream as usize),
            streams.get(target.stream as usize),
        ) else {
            return false;
        };
        let next = from.history.get(current.cursor);
        from.producer == to.producer
            && to.encoding < from.encoding
            && next.is_none_or(|entry| entry.facts.frame != self.selector.frame())
    }

    /// Goes over to the target, if it has an entry point; what was missed of the current stream is
    /// not sent again.
    fn leave_backlog(&mut self, streams: &Slab<Stream>) {
        let left = self
            .current
            .and_then(|tap| streams.get(tap.stream as usize));
        let left = left.map(|stream| stream.serial);
        if !self.switch_to_target(streams) {
            return;
        }
        self.abandoned = left;
        let current = self.current.map(|tap| tap.stream);
        if let Some(resends) = &mut self.resends {
            resends.retain(|resend| Some(resend.stream) == current);
        }
    }

    /// Leaves out what has waited since before `since_us`: new pictures since they came, repairs since they were
    /// asked for. (A repair that was lost is asked for again after two ways and more: by the age of the packet it
    /// would be left out on each long line, and a keyframe sent instead, which is lost in part as well.) Gives how many
    /// frames.
    pub(crate) fn drop_older_than(&mut self, since_us: u64, streams: &Slab<Stream>) -> u32 {
        if let Some(mut resends) = self.resends.take() {
            let mut missed = false;
            resends.retain(|resend| {
                let stream = streams.get(resend.stream as usize);
                let entry = stream.and_then(|stream| stream.history.get(resend.position));
                let keep = entry.is_some() && resend.asked_us >= since_us;
                missed |= !keep && self.is_needed(resend, entry, streams);
                keep
            });
            self.resends = Some(resends);
            if missed {
                // What hangs on it cannot be shown, and the viewer would notice only by and by.
                self.long_for_keyframe();
                if !self.renew(streams) {
                    self.news.get_or_insert_default().wish = true;
                }
            }
        }
        self.drop_frames_older_than(since_us, streams)
    }

    /// Whether a packet that was sent must arrive for what comes later, in the temporal layers
    /// forwarded now. A spatial layer that was left counts too: receivers show a picture when its
    /// last layer has come (libwebrtc's `frame_buffer.cc`), so without that the lower ones are not
    /// decoded either, and with them all that refers to them. What a keyframe has followed is needed
    /// by nobody.
    fn is_needed(&self, resend: &Resend, entry: Option<&Entry>, streams: &Slab<Stream>) -> bool {
        let current = self.current.is_some_and(|tap| tap.stream == resend.stream)
            && resend.position >= self.entered;
        let stream = streams.get(resend.stream as usize);
        let frames = stream.map(|stream| &stream.frames);
        let Some((entry, frames)) = entry.zip(frames) else {
            return current;
        };
        let shown = self.selector.current();
        current
            && frames.get(entry.facts.frame).is_none_or(|frame| {
                frame.temporal <= shown.temporal && (frame.temporal == 0 || !frame.discardable)
            })
    }

    fn next_resend(&mut self, streams: &Slab<Stream>) -> Option<Chosen> {
        while let Some(resend) = self.resends.as_mut()?.pop() {
            let entry = streams
                .get(resend.stream as usize)
                .filter(|stream| stream.serial == resend.serial)
                .and_then(|stream| stream.history.get(resend.position));
            let Some(entry) = entry else {
                self.counters.nack_misses += 1;
                continue;
            };
            let shaped = if self.verbatim {
                Some((entry.payload_type, Shape::Whole))
            } else {
                self.shape_again(entry)
            };
            let Some((payload_type, shape)) = shaped else {
                self.counters.nack_unanswerable += 1;
                continue;
            };
            let numbers = Numbers {
                seq: u64::from(resend.sequence),
                timestamp: entry.timestamp.wrapping_add(resend.timestamp_offset),
                pictures: resend.pictures,
            };
            let (mut shape, mut marker) = (shape, entry.marker);
            // Fates are remembered of the stream it forwards.
            if self.kind == MediaKind::Video
                && !self.verbatim
                && self.rewriting.serial() == Some(resend.serial)
            {
                let frame = entry.facts.frame;
                match self.selector.fate(frame) {
                    // It has just come, and takes its turn.
                    Fate::Open => continue,
                    Fate::LeftOut => (shape, marker) = (Shape::Nothing, false),
                    Fate::Forwarded | Fate::Forgotten => {
                        marker |= entry.facts.end_of_layer && self.selector.is_marked(frame);
                    }
                }
            }
            return Some(Chosen {
                marker,
                stream: resend.stream,
                position: resend.position,
                numbers,
                payload_type,
                shape,
                ssrc: resend.ssrc,
                resend: true,
            });
        }
        None
    }

    /// The payload type and shape of a packet that is sent again. One with redundancy made for it
    /// goes again without, and only as a retransmission with a number of its own: its old number
    /// must never stand for other bytes (RFC 3711 section 9.1).
    fn shape_again(&self, entry: &Entry) -> Option<(u8, Shape)> {
        let shaped = shape_of(entry, &self.payload_types, self.redundancy)?;
        let Shape::Redundant(asked) = shaped.1 else {
            return Some(shaped);
        };
        let mut pairs = self.rtx.as_ref()?.payload_types.iter();
        pairs.find(|(media, _)| *media == asked.protects)?;
        shape_of(entry, &self.payload_types, None).map(|(payload_type, shape)| match shape {
            Shape::Renamed(_) => (asked.protects, Shape::Primary),
            shape => (payload_type, shape),
        })
    }

    #[inline]
    fn next_of_current(&mut self, streams: &Slab<Stream>) -> Option<Chosen> {
        let mut tap = self.current?;
        let stream = streams.get(tap.stream as usize)?;
        let limit = limit(self.kind, self.pinned, stream);
        let mut chosen = None;
        while tap.cursor < limit && chosen.is_none() {
            let Some(entry) = stream.history.get(tap.cursor) else {
                self.counters.overruns += stream.history.tail() - tap.cursor;
                tap.cursor = stream.history.tail();
                continue;
            };
            let position = tap.cursor;
            tap.cursor += 1;
            if tap.sent_early == Some(position) {
                tap.sent_early = None;
                continue;
            }
            chosen = self.consider(&mut tap, stream, entry, position, streams);
            self.counters.packets_skipped += u64::from(chosen.is_none());
        }
        self.current = Some(tap);
        chosen
    }

    /// Decides about one packet of the current stream.
    #[inline]
    fn consider(
        &mut self,
        tap: &mut Tap,
        stream: &Stream,
        entry: &Entry,
        position: u64,
        streams: &Slab<Stream>,
    ) -> Option<Chosen> {
        let shaped = shape_of(entry, &self.payload_types, self.redundancy);
        let Some((payload_type, shape)) = shaped else {
            self.rewriting.leave_out(entry);
            return None;
        };
        if self.waiting {
            if !entry.facts.entry_point {
                return None;
            }
            self.begin(tap, stream, entry, position, streams);
        }
        if shape == Shape::Correction {
            return self.consider_correction(tap.stream, entry, position, payload_type);
        }
        let mut marker = entry.marker;
        if self.kind == MediaKind::Video {
            let frame = entry.facts.frame;
            if frame != self.selector.frame() {
                if !self.selector.follow(&stream.frames, frame) {
                    self.decide(stream, entry);
                }
                if entry.facts.entry_point && self.selector.verdict().forward {
                    self.entered = position;
                }
                if self.rewriting.slew != 0 && self.selector.verdict().forward {
                    self.correct(stream, entry);
                }
            }
            let verdict = self.selector.verdict();
            if !verdict.forward {
                return self.leave_out(tap.stream, position, entry, payload_type);
            }
            marker |= verdict.marks && entry.facts.end_of_layer;
        }
        let numbers = self.rewriting.map(entry)?;
        Some(Chosen {
            stream: tap.stream,
            position,
            numbers,
            payload_type,
            shape,
            ssrc: self.ssrc,
            marker,
            resend: false,
        })
    }

    /// Leaves a packet out. Where numbers behind it are out already, the one kept for it is filled:
    /// the viewer waits for it.
    fn leave_out(
        &mut self,
        stream: u32,
        position: u64,
        entry: &Entry,
        payload_type: u8,
    ) -> Option<Chosen> {
        if !self.rewriting.is_late(entry) {
            self.rewriting.leave_out(entry);
            return None;
        }
        let numbers = self.rewriting.map(entry)?;
        Some(Chosen {
            stream,
            position,
            numbers,
            payload_type,
            shape: Shape::Nothing,
            ssrc: self.ssrc,
            marker: false,
            resend: false,
        })
    }

    /// Correction is of use only where all that it protects goes out as it came.
    fn consider_correction(
        &mut self,
        stream: u32,
        entry: &Entry,
        position: u64,
        payload_type: u8,
    ) -> Option<Chosen> {
        let base = base(entry.media()).unwrap_or_default();
        let first = entry.seq - u64::from((entry.seq as u16).wrapping_sub(base));
        if !self.rewriting.carries(first, entry) {
            return self.leave_out(stream, position, entry, payload_type);
        }
        Some(Chosen {
            stream,
            position,
            numbers: self.rewriting.map(entry)?,
            payload_type,
            shape: Shape::Correction,
            ssrc: self.ssrc,
            marker: entry.marker,
            resend: false,
        })
    }

    /// Decides about the frame of a packet.
    #[inline(never)]
    fn decide(&mut self, stream: &Stream, entry: &Entry) {
        let (frame, now_us) = (entry.facts.frame, entry.arrival_us);
        self.selector.decide(&stream.frames, frame, now_us);
        let (wish, moved) = (self.selector.take_wish(), self.selector.take_move());
        if wish || moved {
            let news = self.news.get_or_insert_default();
            news.wish |= wish;
            news.moved |= moved;
        }
    }

    /// Leaves out what is older than `arrival_us`, frame by frame; gives how many. A frame under way
    /// is finished. What refers to frames left out is not forwarded either.
    fn drop_frames_older_than(&mut self, arrival_us: u64, streams: &Slab<Stream>) -> u32 {
        let Some(tap) = self.current.filter(|_| !self.waiting) else {
            return 0;
        };
        let Some(stream) = streams.get(tap.stream as usize) else {
            return 0;
        };
        if self.kind != MediaKind::Video {
            return 0;
        }
        let under_way = self.selector.frame();
        let from = tap.cursor.max(stream.history.tail());
        let old = (from..stream.released)
            .map_while(|position| stream.history.get(position))
            .take_while(|entry| entry.arrival_us < arrival_us);
        let mut dropped = 0;
        for entry in old {
            let frame = entry.facts.frame;
            dropped += u32::from(frame != under_way && self.selector.leave_out(frame));
        }
        dropped
    }

    /// Begins forwarding at an entry point.
    #[cold]
    fn begin(
        &mut self,
        tap: &mut Tap,
        stream: &Stream,
        entry: &Entry,
        position: u64,
        streams: &Slab<Stream>,
    ) {
        let exact = self.timestamp_offset(stream, entry, streams);
        let offset = self.rewriting.forward(entry, exact);
        // A picture taken before the last one sent is shown right after it; time is made good.
        self.rewriting.slew += exact.wrapping_sub(offset).cast_signed();
        self.rewriting
            .begin(tap.stream, stream.serial, entry, offset);
        self.selector.begin(entry.facts.frame);
        self.waiting = false;
        // An entry point that came late (repaired): what belongs behind it has passed already.
        let mut first = position;
        let mut seq = entry.seq + 1;
        while let Some(passed) = stream.history.find(seq) {
            first = first.min(passed);
            seq += 1;
        }
        if first < position {
            tap.cursor = first;
            tap.sent_early = Some(position);
        }
    }

    /// Leaves the current stream for the target, if the target has an entry point.
    fn switch_to_target(&mut self, streams: &Slab<Stream>) -> bool {
        let Some(mut tap) = self.target else {
            return false;
        };
        let Some(stream) = streams.get(tap.stream as usize) else {
            return false;
        };
        let limit = limit(self.kind, self.pinned, stream);
        tap.cursor = tap.cursor.max(stream.history.tail());
        while tap.cursor < limit {
            let found = stream
                .history
                .get(tap.cursor)
                .is_some_and(|entry| entry.facts.entry_point);
            if found {
                self.news.get_or_insert_default().left = self.current.map(|left| left.stream);
                self.current = Some(tap);
                self.target = None;
                self.waiting = true;
                self.abandoned = None;
                self.longing = None;
                self.entered = 0;
                return true;
            }
            tap.cursor += 1;
        }
        self.target = Some(tap);
        false
    }
}
