//! Timed metadata in front of the fragments of its time: ID3 in event messages (AOM, "Carriage of ID3 Timed Metadata in the
//! Common Media Application Format"; the box: ISO/IEC 23009-1 section 5.10.3.3).

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

/// Tags that wait for a fragment; more and the oldest go, counted.
const MAX_WAITING: usize = 64;
/// Bytes of a tag; a larger one is refused.
const MAX_BYTES: usize = 64 << 10;
/// With the zero at its end.
const SCHEME: &[u8] = b"https://aomedia.org/emsg/ID3\0";
/// Nobody says how long it applies.
const UNKNOWN_DURATION: u32 = u32::MAX;

/// What became of tags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TagFigures {
    /// Those that stand in a part.
    pub listed: u64,
    /// Those that there was no place for.
    pub dropped: u64,
}

/// Tags of a rendition.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    waiting: VecDeque<(i64, Bytes)>,
    pub figures: TagFigures,
    next_id: u32,
}

impl Tags {
    /// Take a tag that applies at this time, in microseconds of the program.
    pub(crate) fn push(&mut self, at_us: i64, data: Bytes) {
        if data.len() > MAX_BYTES || at_us < 0 {
            self.figures.dropped += 1;
            return;
        }
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
            self.figures.dropped += 1;
        }
        let place = self.waiting.partition_point(|(at, _)| *at <= at_us);
        self.waiting.insert(place, (at_us, data));
    }

    /// Boxes of all that apply before this time, at a rate of ticks a second; those that came late are among them.
    pub(crate) fn take_before(&mut self, until_us: i64, rate: u32) -> BytesMut {
        let mut out = BytesMut::new();
        while let Some((at_us, data)) = self.waiting.pop_front_if(|(at, _)| *at < until_us) {
            let at = i128::from(at_us) * i128::from(rate) / 1_000_000;
            self.write(&mut out, at as u64, rate, &data);
        }
        out
    }

    fn write(&mut self, out: &mut BytesMut, at: u64, rate: u32, data: &[u8]) {
        /// Of the box up to its texts.
        const FIXED: usize = 32;
        out.put_u32((FIXED + SCHEME.len() + 1 + data.len()) as u32);
        out.put_slice(b"emsg");
        out.put_u32(1 << 24); // version 1, no flags
        out.put_u32(rate);
        out.put_u64(at);
        out.put_u32(UNKNOWN_DURATION);
        out.put_u32(self.next_id);
        out.put_slice(SCHEME);
        out.put_u8(0); // no value
        out.put_slice(data);
        self.next_id = self.next_id.wrapping_add(1);
        self.figures.listed += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_box_with_its_time_and_nothing_else() {
        let mut tags = Tags::default();
        tags.push(2_000_000, Bytes::from_static(b"ID3 two"));
        tags.push(1_500_000, Bytes::from_static(b"ID3 one"));
        let boxes = tags.take_before(2_000_000, 90_000);
        let texts = b"https://aomedia.org/emsg/ID3\0\0";
        let mut expected = (32 + texts.len() as u32 + 7).to_be_bytes().to_vec();
        expected.extend(b"emsg\x01\0\0\0");
        expected.extend(90_000_u32.to_be_bytes());
        expected.extend(135_000_u64.to_be_bytes());
        expected.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        expected.extend(texts);
        expected.extend(b"ID3 one");
        assert_eq!(boxes, expected);
        assert!(tags.take_before(2_000_000, 90_000).is_empty());
        let boxes = tags.take_before(2_000_001, 90_000);
        assert!(boxes.ends_with(b"ID3 two"));
        assert_eq!(tags.figures.listed, 2);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut tags = Tags::default();
        for at in 0..=MAX_WAITING as i64 {
            tags.push(at, Bytes::from_static(b"ID3"));
        }
        tags.push(0, vec![0; MAX_BYTES + 1].into());
        tags.push(-1, Bytes::from_static(b"ID3"));
        assert_eq!((tags.waiting.len(), tags.figures.dropped), (MAX_WAITING, 3));
    }
}
