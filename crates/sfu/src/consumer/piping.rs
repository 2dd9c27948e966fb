//! How a verbatim consumer reads: every stream of its producer as it came, but what nobody wants at
//! the far end of its pipe.
//!
//! A stream that was left out for a while goes on with a keyframe, and with the number after the
//! last one sent: nothing was lost on the pipe, so the far end must find no gap.

use roomtone_rtp::MediaKind;
use slab::Slab;

use super::reading::limit;
use super::rewriting::{Numbers, PictureShift};
use super::{Chosen, Consumer, Tap};
use crate::audio::Shape;
use crate::history::Entry;
use crate::producer::Stream;

/// Numbers of a stream on the pipe.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Piped {
    /// The number after the highest one sent.
    next: Option<u64>,
    /// What is taken off the stream's numbers.
    skipped: u64,
    /// Numbers of the stream below were left out, or sent before that.
    floor: u64,
    /// The stream goes on with its next keyframe.
    waits: bool,
}

impl Piped {
    /// The number that an entry is sent with; `None`: it is left out.
    fn number(&mut self, entry: &Entry) -> Option<u64> {
        if self.waits {
            if !entry.facts.entry_point {
                return None;
            }
            self.waits = false;
            self.floor = entry.seq;
            // The stream's numbers rise, and nothing is sent with a higher one than its own.
            self.skipped = self.next.map_or(0, |next| entry.seq.saturating_sub(next));
        } else if entry.seq < self.floor {
            return None;
        }
        let number = entry.seq - self.skipped;
        self.next = Some(self.next.map_or(number + 1, |next| next.max(number + 1)));
        Some(number)
    }

    /// The stream's number that a number on the pipe stands for, while that is known.
    fn origin(&self, sequence: u16) -> Option<u64> {
        let next = self.next?;
        let step = i64::from(sequence.wrapping_sub(next as u16).cast_signed());
        let number = next.checked_add_signed(step)?;
        Some(number + self.skipped).filter(|number| *number >= self.floor)
    }
}

impl Consumer {
    /// Leaves the stream of a tap out from now on.
    pub(crate) fn stop_tap(&mut self, at: usize) {
        self.taps[at].cursor = Tap::OFF;
    }

    /// Goes on with the stream of a tap from `head`, with its next keyframe.
    pub(crate) fn resume_tap(&mut self, at: usize, head: u64) {
        self.taps[at].cursor = head;
        self.piped.resize_with(self.taps.len(), Piped::default);
        self.piped[at].waits = self.kind == MediaKind::Video;
    }

    /// The number in its stream, by tap, that a number sent with an SSRC stands for, while that is known.
    pub(crate) fn origin_verbatim(&self, ssrc: u32, sequence: u16) -> Option<(Tap, u64)> {
        let at = self.taps.iter().position(|tap| tap.ssrc == ssrc)?;
        Some((self.taps[at], self.piped.get(at)?.origin(sequence)?))
    }

    pub(super) fn next_verbatim(&mut self, streams: &Slab<Stream>) -> Option<Chosen> {
        self.piped.resize_with(self.taps.len(), Piped::default);
        for (tap, piped) in self.taps.iter_mut().zip(&mut self.piped) {
            let Some(stream) = streams.get(tap.stream as usize) else {
                continue;
            };
            let limit = limit(self.kind, self.pinned, stream);
            while tap.cursor < limit {
                let Some(entry) = stream.history.get(tap.cursor) else {
                    self.counters.overruns += stream.history.tail() - tap.cursor;
                    tap.cursor = stream.history.tail();
                    continue;
                };
                let position = tap.cursor;
                tap.cursor += 1;
                let Some(seq) = piped.number(entry) else {
                    self.counters.packets_skipped += 1;
                    continue;
                };
                let numbers = Numbers {
                    seq,
                    timestamp: entry.timestamp,
                    pictures: PictureShift::default(),
                };
                return Some(Chosen {
                    stream: tap.stream,
                    position,
                    numbers,
                    payload_type: entry.payload_type,
                    shape: Shape::Whole,
                    ssrc: tap.ssrc,
                    marker: entry.marker,
                    resend: false,
                });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64, entry_point: bool) -> Entry {
        let mut entry = Entry::empty();
        entry.seq = seq;
        entry.facts.entry_point = entry_point;
        entry
    }

    #[test]
    fn a_stream_that_was_left_out_goes_on_with_a_keyframe_and_without_a_gap() {
        let mut piped = Piped::default();
        assert_eq!(piped.number(&entry(70_000, false)), Some(70_000));
        assert_eq!(piped.number(&entry(70_001, false)), Some(70_001));
        assert_eq!(
            piped.number(&entry(70_003, false)),
            Some(70_003),
            "what was lost on the way here stays a gap"
        );
        piped.waits = true;
        assert_eq!(piped.number(&entry(90_000, false)), None);
        assert_eq!(piped.number(&entry(90_001, true)), Some(70_004));
        assert_eq!(piped.number(&entry(90_002, false)), Some(70_005));
        assert_eq!(piped.number(&entry(90_000, false)), None, "from before it");
    }

    #[test]
    fn a_number_is_found_again_by_what_it_was_sent_with() {
        let mut piped = Piped::default();
        assert_eq!(piped.origin(1), None, "nothing was sent");
        for seq in 65_530..65_540 {
            piped.number(&entry(seq, false));
        }
        assert_eq!(piped.origin(65_535), Some(65_535));
        assert_eq!(piped.origin(2), Some(65_538), "past the wrap");
        piped.waits = true;
        piped.number(&entry(80_000, true));
        assert_eq!(piped.origin(65_540_u32 as u16), Some(80_000));
        assert_eq!(piped.origin(65_539_u32 as u16), None, "not known any more");
    }

    #[test]
    fn a_stream_of_which_nothing_was_sent_keeps_its_numbers() {
        let mut piped = Piped {
            waits: true,
            ..Piped::default()
        };
        assert_eq!(piped.number(&entry(500, true)), Some(500));
    }
}
