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

/// The numbering of one consumer.
#[derive(Debug)]
pub(crate) struct Rewriting {
    segments: VecDeque<Segment>,
    limit: usize,
    /// The number the next packet gets, and the highest source number seen in the last segment.
    next_out: u64,
    highest_source: u64,
    last_timestamp: u32,
    last_arrival_us: u64,
    last_picture_id: u16,
    last_tl0: u8,
    last_frame: u16,
    /// What timestamps are still off by.
    pub(crate) slew: i32,
    sent: bool,
    /// What numbers below stood for is forgotten.
    remembered_from: u64,
}

impl Rewriting {
    /// A numbering that begins at `first`.
    pub(crate) fn new(first: u16, limit: usize) -> Self {
        Self {
            segments: VecDeque::new(),
            limit: limit.max(1),
            next_out: 0x1_0000 + u64::from(first),
            highest_source: 0,
            last_timestamp: 0,
            last_arrival_us: 0,
            last_picture_id: 0,
            last_tl0: 0,
            last_frame: 0,
            sent: false,
            slew: 0,
            remembered_from: 0,
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
        let segment = self.segments.back().map_or(0, |segment| segment.out);
        segment ^ self.next_out ^ self.last_arrival_us
    }

    fn push(&mut self, segment: Segment) {
        if self.segments.len() >= self.limit {
            self.segments.pop_front();
        }
        self.segments.push_back(segment);
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
        let Some(segment) = self.segments.back_mut() else {
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
        let segment = self.segments.back()?;
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
        let last = self.segments.back()?;
        let mut end = last.out;
        for segment in self.segments.iter().rev().skip(1) {
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
        self.segments.back().is_some_and(|segment| {
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
        let Some(segment) = self.segments.back_mut() else {
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
        let segment = self
            .segments
            .iter()
            .rev()
            .find(|segment| segment.out <= seq)?;
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
        self.segments.back().is_some_and(|segment| {
            segment.source <= first && first <= entry.seq && segment.timestamp_offset == 0
        })
    }

    /// The first number of the stretch a packet belongs to: what lies before was not sent, or in
    /// another place.
    pub(crate) fn first_of(&self, entry: &Entry) -> u64 {
        let found = self
            .segments
            .iter()
            .rev()
            .find(|segment| segment.source <= entry.seq);
        found.map_or(entry.seq, |segment| segment.source)
    }

    /// The shift of timestamps now; `None` before the first packet.
    pub(crate) fn timestamp_offset(&self) -> Option<u32> {
        self.segments.back().map(|segment| segment.timestamp_offset)
    }

    /// The timestamp sent last.
    pub(crate) fn last_timestamp(&self) -> u32 {
        self.last_timestamp
    }

    /// The serial number of the stream in the current segment.
    pub(crate) fn serial(&self) -> Option<u32> {
        self.segments.back().map(|segment| segment.serial)
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
        self.segments.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Facts, History, PictureAt};

    const START: u64 = 0x1_0000 + 1_000;

    struct Source(History);

    impl Source {
        fn new() -> Self {
            Self(History::new(64))
        }

        fn packet(&mut self, seq: u64, timestamp: u32, arrival_ms: u64) -> &Entry {
            self.picture(seq, timestamp, arrival_ms, None)
        }

        fn picture(
            &mut self,
            seq: u64,
            timestamp: u32,
            arrival_ms: u64,
            picture: Option<(u16, u8)>,
        ) -> &Entry {
            let position = self.0.append(seq, |entry| {
                entry.set_data(&[0x80; 12], b"x");
                entry.timestamp = timestamp;
                entry.arrival_us = arrival_ms * 1_000;
                entry.facts = Facts {
                    start_of_frame: true,
                    ..Facts::default()
                };
                if let Some((picture_id, tl0)) = picture {
                    entry.facts.picture = PictureAt {
                        picture_id_at: 2,
                        long: true,
                        tl0_at: 4,
                        picture_id,
                        tl0,
                        closes: true,
                        described: false,
                    };
                }
            });
            self.0.get(position).unwrap()
        }
    }

    fn rewriting() -> Rewriting {
        Rewriting::new(1_000, 32)
    }

    fn seq(rewriting: &mut Rewriting, entry: &Entry) -> Option<u64> {
        rewriting.map(entry).map(|numbers| numbers.seq - START)
    }

    #[test]
    fn one_segment_shifts_by_a_fixed_amount_and_keeps_holes() {
        let (mut source, mut rewriting) = (Source::new(), rewriting());
        let first = source.packet(500, 10, 0);
        rewriting.begin(0, 1, first, 0);
        assert_eq!(seq(&mut rewriting, first), Some(0));
        assert_eq!(seq(&mut rewriting, source.packet(501, 20, 1)), Some(1));
        assert_eq!(seq(&mut rewriting, source.packet(503, 40, 3)), Some(3));
        assert_eq!(
            seq(&mut rewriting, source.packet(502, 30, 4)),
            Some(2),
            "late into its hole"
        );
        assert_eq!(
            seq(&mut rewriting, source.packet(499, 0, 5)),
            None,
            "before the start"
        );
        assert_eq!(rewriting.last_sequence(), Some(1_003));
    }

    #[test]
    fn a_pause_closes_up_and_late_packets_of_both_sides_find_their_place() {
        let (mut source, mut rewriting) = (Source::new(), rewriting());
        let first = source.packet(500, 0, 0);
        rewriting.begin(0, 1, first, 0);
        rewriting.map(first);
        assert_eq!(seq(&mut rewriting, source.packet(503, 0, 1)), Some(3));
        let resumed = source.packet(600, 9_000, 100);
        rewriting.begin(0, 1, resumed, 0);
        assert_eq!(seq(&mut rewriting, resumed), Some(4));
        assert_eq!(
            seq(&mut rewriting, source.packet(502, 0, 101)),
            Some(2),
            "from before the pause"
        );
        assert_eq!(
            seq(&mut rewriting, source.packet(504, 0, 102)),
            None,
            "its number was given away"
        );
        assert_eq!(
            seq(&mut rewriting, source.packet(599, 0, 103)),
            None,
            "from the pause"
        );
        assert_eq!(seq(&mut rewriting, source.packet(602, 0, 104)), Some(6));
    }

    #[test]
    fn left_out_packets_close_up_and_merge_into_one_segment() {
        let (mut source, mut rewriting) = (Source::new(), rewriting());
        let first = source.packet(10, 0, 0);
        rewriting.begin(0, 1, first, 0);
        rewriting.map(first);
        for number in [11, 12] {
            rewriting.leave_out(source.packet(number, 0, 1));
        }
        assert_eq!(rewriting.segments(), 2);
        assert_eq!(seq(&mut rewriting, source.packet(13, 0, 2)), Some(1));
        rewriting.leave_out(source.packet(15, 0, 3));
        assert_eq!(
            seq(&mut rewriting, source.packet(16, 0, 4)),
            Some(3),
            "14 keeps its hole"
        );
        assert_eq!(seq(&mut rewriting, source.packet(14, 0, 5)), Some(2));
        assert_eq!(seq(&mut rewriting, source.packet(11, 0, 6)), None);
    }

    #[test]
    fn what_comes_late_behind_left_out_packets_moves_no_number() {
        let (mut source, mut rewriting) = (Source::new(), rewriting());
        let first = source.packet(10, 0, 0);
        rewriting.begin(0, 1, first, 0);
        rewriting.map(first);
        rewriting.leave_out(source.packet(11, 0, 1));
        assert_eq!(seq(&mut rewriting, source.packet(13, 0, 2)), Some(2));
        // Of the same frame as the one left out: its hole stays its own.
        let late = source.packet(12, 0, 3);
        assert!(rewriting.is_late(late));
        rewriting.leave_out(late);
        assert_eq!(seq(&mut rewriting, late), Some(1));
        assert_eq!(seq(&mut rewriting, source.packet(14, 0, 4)), Some(3));
    }

    #[test]
    fn a_number_kept_for_what_is_missing_is_given_to_no_other_source() {
        let (mut source, mut other, mut rewriting) = (Source::new(), Source::new(), rewriting());
        let first = source.packet(10, 0, 0);
        rewriting.begin(0, 1, first, 0);
        rewriting.map(first);
        rewriting.leave_out(source.packet(12, 0, 1));
        assert_eq!(seq(&mut rewriting, source.packet(11, 0, 2)), Some(1));
        let next = other.packet(500, 0, 3);
        rewriting.begin(1, 2, next, 0);
        assert_eq!(seq(&mut rewriting, next), Some(2));
    }

    #[test]
    fn another_source_continues_numbers_and_time() {
        let (mut old, mut new, mut rewriting) = (Source::new(), Source::new(), rewriting());
        let first = old.packet(10, 3_000, 0);
        rewriting.begin(0, 1, first, 0);
        assert_eq!(rewriting.map(first).unwrap().timestamp, 3_000);
        let other = new.packet(60_000, 77, 40);
        let offset = rewriting.offset_by_arrival(other, 90_000);
        rewriting.begin(1, 2, other, offset);
        let numbers = rewriting.map(other).unwrap();
        assert_eq!((numbers.seq - START, numbers.timestamp), (1, 3_000 + 3_600));
        let origin = rewriting.origin(1_001).unwrap();
        assert_eq!(
            (origin.stream, origin.serial, origin.source),
            (1, 2, 60_000)
        );
        let origin = rewriting.origin(1_000).unwrap();
        assert_eq!((origin.stream, origin.serial, origin.source), (0, 1, 10));
        assert_eq!(rewriting.origin(999), None, "never sent");
    }

    #[test]
    fn a_timestamp_never_steps_back() {
        let (mut source, mut rewriting) = (Source::new(), rewriting());
        let first = source.packet(1, 9_000, 0);
        rewriting.begin(0, 1, first, 0);
        rewriting.map(first);
        let mut other = Source::new();
        let entry = other.packet(1, 100, 0);
        // An alignment that would lead to 8,000.
        let offset = rewriting.forward(entry, 7_900);
        assert_eq!(entry.timestamp.wrapping_add(offset), 9_001);
        assert_eq!(rewriting.forward(entry, 9_900), 9_900);
    }

    #[test]
    fn picture_numbers_continue_over_a_switch_and_over_left_out_frames() {
        let (mut old, mut new, mut rewriting) = (Source::new(), Source::new(), rewriting());
        let first = old.picture(1, 0, 0, Some((0x7ffe, 255)));
        rewriting.begin(0, 1, first, 0);
        assert_eq!(
            rewriting.map(first).unwrap().pictures,
            PictureShift::default()
        );
        let second = old.picture(2, 10, 0, Some((0x7fff, 0)));
        rewriting.map(second);
        let other = new.picture(900, 0, 1, Some((300, 40)));
        rewriting.begin(1, 2, other, 0);
        let shift = rewriting.map(other).unwrap().pictures;
        assert_eq!(300_u16.wrapping_add(shift.picture_id) & 0x7fff, 0);
        assert_eq!(40_u8.wrapping_add(shift.tl0), 1);
        rewriting.leave_out(new.picture(901, 0, 2, Some((301, 40))));
        let third = new.picture(902, 0, 3, Some((302, 41)));
        let shift = rewriting.map(third).unwrap().pictures;
        assert_eq!(302_u16.wrapping_add(shift.picture_id) & 0x7fff, 1);
        assert_eq!(41_u8.wrapping_add(shift.tl0), 2);
    }

    #[test]
    fn the_memory_of_segments_is_bounded() {
        let mut source = Source::new();
        let mut rewriting = Rewriting::new(0, 4);
        for number in 0..20_u64 {
            let entry = source.packet(number * 10, 0, number);
            rewriting.begin(0, 1, entry, 0);
            rewriting.map(entry);
        }
        assert_eq!(rewriting.segments(), 4);
        assert_eq!(rewriting.origin(19).map(|origin| origin.source), Some(190));
        assert_eq!(rewriting.origin(15), None);
    }

    #[test]
    fn numbers_wrap_on_the_wire_only() {
        let mut source = Source::new();
        let mut rewriting = Rewriting::new(65_535, 4);
        let first = source.packet(1, 0, 0);
        rewriting.begin(0, 1, first, 0);
        assert_eq!(rewriting.map(first).unwrap().seq as u16, 65_535);
        assert_eq!(rewriting.map(source.packet(2, 0, 0)).unwrap().seq as u16, 0);
        assert_eq!(
            rewriting.origin(65_535).map(|origin| origin.source),
            Some(1)
        );
        assert_eq!(rewriting.origin(0).map(|origin| origin.source), Some(2));
    }
}
