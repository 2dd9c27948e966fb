//! A consumer's own numbering: continuous across pauses, other sources and other layers.
//!
//! The numbering is a list of segments. In one segment the publisher's numbers are shifted by a
//! fixed amount; a pause, a switch or a dropped layer begins a new one. Old segments are kept for
//! a while: they tell which packet a NACK means.

use std::collections::VecDeque;

use crate::history::Entry;

/// A stretch of unbroken forwarding from one stream.
#[derive(Debug, Clone, Copy)]
struct Segment {
    stream: u32,
    /// The stream's serial number; its index may be used again.
    serial: u32,
    /// First number of the stream in this segment, and what it became.
    source: u64,
    out: u64,
    timestamp_offset: u32,
    pictures: PictureShift,
}

/// What is added to the running numbers of pictures and frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PictureShift {
    /// Modulo 2^15, or 2^7 where the payload has only seven bits.
    pub(crate) picture_id: u16,
    pub(crate) tl0: u8,
    /// Of the frame number of the dependency descriptor.
    pub(crate) frame: u16,
}

/// What a packet becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Its sequence number without wraps.
    pub(crate) seq: u64,
    pub(crate) timestamp: u32,
    pub(crate) pictures: PictureShift,
}

/// A packet that a sequence number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) stream: u32,
    pub(crate) serial: u32,
    pub(crate) source: u64,
    pub(crate) timestamp_offset: u32,
    pub(crate) pictures: PictureShift,
}

/// The numbering of one consumer. What each packet reads lies together, behind the rest: see [`super::Consumer`].
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Rewriting {
    /// The segments before the present one, oldest first.
    older: VecDeque<Segment>,
    /// So many of these are kept.
    most_older: usize,
    /// What numbers below stood for is forgotten.
    remembered_from: u64,
    /// The present segment.
    segment: Option<Segment>,
    /// The number the next packet gets, and the highest source number seen in the present segment.
    next_out: u64,
    highest_source: u64,
    last_arrival_us: u64,
    last_timestamp: u32,
    /// What timestamps are still off by.
    pub(crate) slew: i32,
    last_picture_id: u16,
    last_frame: u16,
    last_tl0: u8,
    sent: bool,
}

impl Rewriting {
    /// Where lies what each packet reads.
    #[cfg(test)]
    pub(super) const HOT: (usize, usize) = (std::mem::offset_of!(Self, segment), size_of::<Self>());

    /// A numbering that begins at `first`.
    pub(crate) fn new(first: u16, limit: usize) -> Self {
        Self {
            older: VecDeque::new(),
            most_older: limit.saturating_sub(1),
            remembered_from: 0,
            segment: None,
            next_out: 0x1_0000 + u64::from(first),
            highest_source: 0,
            last_arrival_us: 0,
            last_timestamp: 0,
            slew: 0,
            last_picture_id: 0,
            last_frame: 0,
            last_tl0: 0,
            sent: false,
        }
    }

    /// Begins a segment at this packet. `timestamp_offset` is what its timestamps are shifted by.
    pub(crate) fn begin(&mut self, stream: u32, serial: u32, entry: &Entry, timestamp_offset: u32) {
        let picture = &entry.facts.picture;
        let mut pictures = PictureShift::default();
        if self.sent {
            if picture.picture_id_at != 0 {
                pictures.picture_id =
                    (self.last_picture_id + 1).wrapping_sub(picture.picture_id) & 0x7fff;
            }
            if picture.tl0_at != 0 {
                pictures.tl0 = self.last_tl0.wrapping_add(1).wrapping_sub(picture.tl0);
            }
            if picture.described {
                let number = entry.facts.frame as u16;
                pictures.frame = self.last_frame.wrapping_add(1).wrapping_sub(number);
            }
        }
        self.highest_source = entry.seq;
        self.push(Segment {
            stream,
            serial,
            source: entry.seq,
            out: self.next_out,
            timestamp_offset,
            pictures,
        });
    }

    /// See [`super::Consumer::touch`].
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        u64::from(self.segment.is_some()) ^ u64::from(self.last_timestamp)
    }

    fn push(&mut self, segment: Segment) {
        let Some(before) = self.segment.replace(segment) else {
            return;
        };
        if self.older.len() >= self.most_older {
            self.older.pop_front();
        }
        if self.most_older > 0 {
            self.older.push_back(before);
        }
    }

    /// All segments, newest first.
    fn newest_first(&self) -> impl Iterator<Item = &Segment> {
        self.segment.iter().chain(self.older.iter().rev())
    }

    /// The shift that makes this packet's timestamp follow the last one by the time between their
    /// arrivals.
    pub(crate) fn offset_by_arrival(&self, entry: &Entry, clock_rate: u32) -> u32 {
        if !self.sent {
            return 0;
        }
        let elapsed_us = entry.arrival_us.saturating_sub(self.last_arrival_us);
        let elapsed = (u128::from(elapsed_us) * u128::from(clock_rate) / 1_000_000) as u32;
        self.last_timestamp
            .wrapping_add(elapsed.max(1))
            .wrapping_sub(entry.timestamp)
    }

    /// Takes care that a shift leads forward: the packet's timestamp must be newer than the last.
    pub(crate) fn forward(&self, entry: &Entry, offset: u32) -> u32 {
        let timestamp = entry.timestamp.wrapping_add(offset);
        let step = timestamp.wrapping_sub(self.last_timestamp).cast_signed();
        if self.sent && step <= 0 {
            return self
                .last_timestamp
                .wrapping_add(1)
                .wrapping_sub(entry.timestamp);
        }
        offset
    }

    /// Where a picture begins: brings timestamps nearer to where they should be, by `most` at most.
    pub(crate) fn correct(&mut self, entry: &Entry, most: i32) {
        if self.is_late(entry) {
            return;
        }
        let Some(segment) = self.segment.as_mut() else {
            return;
        };
        let timestamp = entry.timestamp.wrapping_add(segment.timestamp_offset);
        let ahead = timestamp.wrapping_sub(self.last_timestamp).cast_signed();
        let step = self.slew.clamp(-most, most);
        // Another layer of the same picture keeps its time, and time does not turn back.
        if ahead <= 0 || ahead.saturating_add(step) <= 0 {
            return;
        }
        self.slew -= step;
        let next = Segment {
            source: entry.seq,
            out: segment.out + (entry.seq - segment.source),
            timestamp_offset: segment.timestamp_offset.wrapping_add_signed(step),
            ..*segment
        };
        if segment.source == entry.seq {
            *segment = next;
        } else {
            self.push(next);
        }
    }

    /// What a packet of the current segment's stream becomes; `None`: it has no place (it is from
    /// before the segment, or its number was given away).
    #[inline]
    pub(crate) fn map(&mut self, entry: &Entry) -> Option<Numbers> {
        let segment = self.segment.as_ref()?;
        if entry.seq < segment.source {
            return self.map_late(entry);
        }
        let seq = segment.out + (entry.seq - segment.source);
        let numbers = Numbers {
            seq,
            timestamp: entry.timestamp.wrapping_add(segment.timestamp_offset),
            pictures: segment.pictures,
        };
        if seq >= self.next_out {
            self.next_out = seq + 1;
            self.highest_source = entry.seq;
            self.last_timestamp = numbers.timestamp;
            self.last_arrival_us = entry.arrival_us;
            self.note_pictures(entry, numbers.pictures);
        }
        self.sent = true;
        Some(numbers)
    }

    #[inline]
    fn note_pictures(&mut self, entry: &Entry, shift: PictureShift) {
        let picture = &entry.facts.picture;
        if picture.picture_id_at != 0 {
            self.last_picture_id = picture.picture_id.wrapping_add(shift.picture_id) & 0x7fff;
        }
        if picture.tl0_at != 0 {
            self.last_tl0 = picture.tl0.wrapping_add(shift.tl0);
        }
        if picture.described {
            self.last_frame = (entry.facts.frame as u16).wrapping_add(shift.frame);
        }
    }

    fn map_late(&self, entry: &Entry) -> Option<Numbers> {
        let last = self.segment.as_ref()?;
        let mut end = last.out;
        for segment in self.older.iter().rev() {
            if segment.serial != last.serial {
                return None;
            }
            if entry.seq >= segment.source {
                let seq = segment.out + (entry.seq - segment.source);
                return (seq < end).then(|| Numbers {
                    seq,
                    timestamp: entry.timestamp.wrapping_add(segment.timestamp_offset),
                    pictures: segment.pictures,
                });
            }
            end = segment.out;
        }
        None
    }

    /// Whether a packet has its number, if any, among those given out already.
    pub(crate) fn is_late(&self, entry: &Entry) -> bool {
        self.segment.as_ref().is_some_and(|segment| {
            // The first number of a segment is still free while nothing of it is out.
            let first = entry.seq == segment.source && self.next_out == segment.out;
            entry.seq < segment.source || (entry.seq <= self.highest_source && !first)
        })
    }

    /// Leaves a packet out and closes up behind it. A late one leaves its hole: newer numbers are
    /// out already.
    pub(crate) fn leave_out(&mut self, entry: &Entry) {
        if self.is_late(entry) {
            return;
        }
        let Some(segment) = self.segment.as_mut() else {
            return;
        };
        let picture = &entry.facts.picture;
        let lost_picture =
            u16::from(entry.facts.start_of_frame && picture.closes && picture.picture_id_at != 0);
        let out = segment.out + (entry.seq - segment.source);
        let next = Segment {
            source: entry.seq + 1,
            out,
            pictures: PictureShift {
                picture_id: segment.pictures.picture_id.wrapping_sub(lost_picture) & 0x7fff,
                ..segment.pictures
            },
            ..*segment
        };
        // Numbers kept for what is missing before it are not for others, whoever comes next.
        self.next_out = self.next_out.max(out);
        self.highest_source = entry.seq;
        if segment.source == entry.seq {
            *segment = next;
        } else {
            self.push(next);
        }
    }

    /// Forgets what the numbers given out so far stand for.
    pub(crate) fn forget(&mut self) {
        self.remembered_from = self.next_out;
    }

    /// The packet that a sequence number stands for, while it is remembered.
    pub(crate) fn origin(&self, sequence: u16) -> Option<Origin> {
        let last = self.next_out.checked_sub(1).filter(|_| self.sent)?;
        let seq = last - u64::from((last as u16).wrapping_sub(sequence));
        if seq < self.remembered_from {
            return None;
        }
        let segment = self.newest_first().find(|segment| segment.out <= seq)?;
        Some(Origin {
            stream: segment.stream,
            serial: segment.serial,
            source: segment.source + (seq - segment.out),
            timestamp_offset: segment.timestamp_offset,
            pictures: segment.pictures,
        })
    }

    /// Whether everything from `first` to this packet has kept its distance and its time.
    pub(crate) fn carries(&self, first: u64, entry: &Entry) -> bool {
        self.segment.as_ref().is_some_and(|segment| {
            segment.source <= first && first <= entry.seq && segment.timestamp_offset == 0
        })
    }

    /// The first number of the stretch a packet belongs to: what lies before was not sent, or in
    /// another place.
    pub(crate) fn first_of(&self, entry: &Entry) -> u64 {
        let found = self
            .newest_first()
            .find(|segment| segment.source <= entry.seq);
        found.map_or(entry.seq, |segment| segment.source)
    }

    /// The shift of timestamps now; `None` before the first packet.
    pub(crate) fn timestamp_offset(&self) -> Option<u32> {
        self.segment
            .as_ref()
            .map(|segment| segment.timestamp_offset)
    }

    /// The timestamp sent last.
    pub(crate) fn last_timestamp(&self) -> u32 {
        self.last_timestamp
    }

    /// The serial number of the stream in the current segment.
    pub(crate) fn serial(&self) -> Option<u32> {
        self.segment.as_ref().map(|segment| segment.serial)
    }

    /// Whether anything was sent.
    pub(crate) fn has_sent(&self) -> bool {
        self.sent
    }

    /// The newest sequence number sent.
    pub(crate) fn last_sequence(&self) -> Option<u16> {
        self.sent.then(|| (self.next_out - 1) as u16)
    }

    /// Segments remembered.
    pub(crate) fn segments(&self) -> usize {
        self.older.len() + usize::from(self.segment.is_some())
    }
}

#[cfg(test)]
mod tests;
