//! AAC (RFC 3640) in mode AAC-hbr: whole frames behind their sizes, or one frame over several packets.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

use crate::AccessUnit;
use crate::depacketize::{Dropped, Payload};

/// Sizes have 13 bits (section 3.3.6).
const MAX_FRAME_BYTES: usize = (1 << 13) - 1;
/// Packets hold no more frames than sizes fit into an Ethernet frame.
const MAX_FRAMES: usize = 750;

/// Frames of one AAC source.
///
/// Inputs: [`handle_payload`](Self::handle_payload), in order of sequence numbers. Outputs: [`poll_unit`](Self::poll_unit), times in ticks of the RTP
/// clock. Interleaved frames, which nobody sends live, are refused and counted.
#[derive(Debug)]
pub struct AacDepacketizer {
    frame_ticks: i64,
    expected: Option<u64>,
    /// A frame of which parts have come: its timestamp, and its size.
    fragment: Option<(i64, usize, BytesMut)>,
    ready: VecDeque<AccessUnit>,
    dropped: Dropped,
}

impl AacDepacketizer {
    /// Frames last so many ticks of the RTP clock: 1024, or 2048 where the clock runs at twice the rate of the coded core.
    pub fn new(frame_ticks: u32) -> Self {
        Self {
            frame_ticks: frame_ticks.into(),
            expected: None,
            fragment: None,
            ready: VecDeque::new(),
            dropped: Dropped::default(),
        }
    }

    /// Take one packet.
    pub fn handle_payload(&mut self, payload: Payload<'_>) {
        let gap = self
            .expected
            .is_some_and(|expected| expected != payload.sequence);
        self.expected = Some(payload.sequence + 1);
        let is_other = self
            .fragment
            .as_ref()
            .is_some_and(|(timestamp, ..)| *timestamp != payload.timestamp);
        if (gap || is_other) && self.fragment.take().is_some() {
            self.dropped.incomplete += 1;
        }
        if payload.bytes.is_empty() {
            return;
        }
        if self.take(&payload).is_none() {
            self.fragment = None;
            self.dropped.malformed += 1;
        }
    }

    /// Give the next frame.
    pub fn poll_unit(&mut self) -> Option<AccessUnit> {
        self.ready.pop_front()
    }

    /// What could not be given; packets that cannot be read count once.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Section 3.2.1: the length of all headers in bits, the headers, the frames.
    fn take(&mut self, payload: &Payload<'_>) -> Option<()> {
        let (bits, rest) = payload.bytes.split_first_chunk::<2>()?;
        let bits = usize::from(u16::from_be_bytes(*bits));
        if bits == 0 || bits % 16 != 0 || bits / 16 > MAX_FRAMES {
            return None;
        }
        let (headers, mut data) = rest.split_at_checked(bits / 8)?;
        let mut headers = headers
            .chunks_exact(2)
            .map(|two| usize::from(u16::from_be_bytes([two[0], two[1]])));
        if bits == 16 {
            let header = headers.next()?;
            return self.take_only(header >> 3, payload.timestamp, data);
        }
        // A frame cut short takes none of the whole ones before it along.
        let mut timestamp = payload.timestamp;
        for header in headers {
            if header & 7 != 0 {
                return None; // interleaved
            }
            let (frame, behind) = data.split_at_checked(header >> 3)?;
            self.push(timestamp, Bytes::copy_from_slice(frame));
            (data, timestamp) = (behind, timestamp + self.frame_ticks);
        }
        Some(())
    }

    /// One frame, or a part of one.
    fn take_only(&mut self, size: usize, timestamp: i64, data: &[u8]) -> Option<()> {
        if let Some((_, whole, frame)) = &mut self.fragment {
            if *whole != size || frame.len() + data.len() > size {
                return None;
            }
            frame.put_slice(data);
            if frame.len() == size {
                let frame = self.fragment.take()?.2;
                self.push(timestamp, frame.freeze());
            }
        } else if data.len() == size {
            self.push(timestamp, Bytes::copy_from_slice(data));
        } else if data.len() < size && size <= MAX_FRAME_BYTES {
            self.fragment = Some((timestamp, size, BytesMut::from(data)));
        } else {
            return None;
        }
        Some(())
    }

    fn push(&mut self, timestamp: i64, data: Bytes) {
        if data.is_empty() {
            return;
        }
        self.ready.push_back(AccessUnit {
            dts: timestamp,
            pts: timestamp,
            keyframe: true,
            data,
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload(sequence: u64, timestamp: i64, bytes: &[u8]) -> Payload<'_> {
        Payload {
            sequence,
            timestamp,
            marker: true,
            bytes,
        }
    }

    fn frames(depacketizer: &mut AacDepacketizer) -> Vec<(i64, Vec<u8>)> {
        std::iter::from_fn(|| depacketizer.poll_unit())
            .map(|unit| (unit.pts, unit.data.to_vec()))
            .collect()
    }

    #[test]
    fn several_frames_of_a_packet_follow_on_each_other() {
        let mut depacketizer = AacDepacketizer::new(1024);
        let bytes = [0, 32, 0, 2 << 3, 0, 3 << 3, 1, 2, 3, 4, 5];
        depacketizer.handle_payload(payload(0, 5000, &bytes));
        let expected = [(5000, vec![1, 2]), (6024, vec![3, 4, 5])];
        assert_eq!(frames(&mut depacketizer), expected);
    }

    #[test]
    fn a_frame_over_two_packets_is_one_and_half_of_one_is_dropped() {
        let mut depacketizer = AacDepacketizer::new(1024);
        depacketizer.handle_payload(payload(0, 0, &[0, 16, 0, 4 << 3, 1, 2]));
        depacketizer.handle_payload(payload(1, 0, &[0, 16, 0, 4 << 3, 3, 4]));
        assert_eq!(frames(&mut depacketizer), [(0, vec![1, 2, 3, 4])]);
        depacketizer.handle_payload(payload(2, 1024, &[0, 16, 0, 4 << 3, 1, 2]));
        depacketizer.handle_payload(payload(4, 2048, &[0, 16, 0, 1 << 3, 9]));
        assert_eq!(frames(&mut depacketizer), [(2048, vec![9])]);
        assert_eq!(depacketizer.dropped().incomplete, 1);
    }

    #[test]
    fn what_is_no_packet_of_this_mode_is_counted() {
        let mut depacketizer = AacDepacketizer::new(1024);
        for bytes in [
            &[0][..],
            &[0, 15, 0, 8],
            &[0, 32, 0, 8, 0, 9, 1, 2],
            &[0, 16, 0, 8, 1, 2],
        ] {
            depacketizer.handle_payload(payload(0, 0, bytes));
            depacketizer.expected = None;
        }
        assert_eq!(depacketizer.dropped().malformed, 4);
        depacketizer.handle_payload(payload(0, 0, &[]));
        assert_eq!(depacketizer.dropped().total(), 4, "padding is nothing");
    }

    proptest! {
        #[test]
        fn no_payload_upsets_it(
            payloads in prop::collection::vec((0u64..3, 0i64..3, prop::collection::vec(any::<u8>(), 0..40)), 0..60)
        ) {
            let mut depacketizer = AacDepacketizer::new(1024);
            let (mut sequence, mut timestamp) = (0, 0);
            for (gap, step, bytes) in &payloads {
                sequence += 1 + gap / 2;
                timestamp += step * 1024;
                depacketizer.handle_payload(payload(sequence, timestamp, bytes));
                while let Some(unit) = depacketizer.poll_unit() {
                    prop_assert!(!unit.data.is_empty() && unit.data.len() <= MAX_FRAME_BYTES);
                }
            }
        }
    }
}
