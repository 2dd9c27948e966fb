//! VP8 (RFC 7741): one frame a picture, cut anywhere, each piece behind a descriptor.

use bytes::BufMut;

use crate::depacketize::assembly::{Assembly, Picture};
use crate::depacketize::{Dropped, Payload};
use crate::{AccessUnit, CarriedCodec, CarriedFormat};

/// Units of one VP8 source: frames.
///
/// Inputs: [`handle_payload`](Self::handle_payload), in order of sequence numbers. Outputs: [`poll_unit`](Self::poll_unit). Limits:
/// [`MAX_UNIT_BYTES`](crate::depacketize::MAX_UNIT_BYTES) a unit.
#[derive(Debug, Default)]
pub struct Vp8Depacketizer {
    assembly: Assembly,
}

impl Vp8Depacketizer {
    /// What its units are: nobody looks further into them.
    pub const FORMAT: CarriedFormat = CarriedFormat {
        codec: CarriedCodec::Vp8,
        clock_rate: 90_000,
        channels: 0,
    };

    /// Take one packet.
    pub fn handle_payload(&mut self, payload: Payload<'_>) {
        self.assembly.begin(&payload);
        if !payload.bytes.is_empty() {
            match descriptor_bytes(payload.bytes) {
                Some(length) if length < payload.bytes.len() => {
                    let first = payload.bytes[0];
                    self.take(&payload.bytes[length..], first & 0x10 != 0, first & 7);
                }
                _ => self.assembly.spoil(Picture::Malformed),
            }
        }
        if payload.marker {
            self.assembly.finish();
        }
    }

    /// Give the next whole unit.
    pub fn poll_unit(&mut self) -> Option<AccessUnit> {
        self.assembly.poll_unit()
    }

    /// Whether a keyframe should be asked for.
    pub fn wants_keyframe(&self) -> bool {
        self.assembly.wants_keyframe()
    }

    /// What could not be given.
    pub fn dropped(&self) -> Dropped {
        self.assembly.dropped()
    }

    fn take(&mut self, bytes: &[u8], starts_partition: bool, partition: u8) {
        let contents = self.assembly.contents();
        if contents.has_frame {
            if starts_partition && partition == 0 {
                // Another frame of the same time: the one before has no end.
                return self.assembly.spoil(Picture::Malformed);
            }
        } else if starts_partition && partition == 0 {
            contents.has_frame = true;
            // The lowest bit of the frame tag (RFC 6386 section 9.1).
            contents.keyframe = bytes[0] & 1 == 0;
            contents.has_sets = true;
        } else {
            return self.assembly.spoil(Picture::Incomplete);
        }
        self.assembly
            .append(bytes.len(), |data| data.put_slice(bytes));
    }
}

/// How long the descriptor is (RFC 7741 section 4.2); none where it is cut.
fn descriptor_bytes(payload: &[u8]) -> Option<usize> {
    const EXTENDED: u8 = 0x80;
    if payload.first()? & EXTENDED == 0 {
        return Some(1);
    }
    let extension = *payload.get(1)?;
    let mut length = 2;
    if extension & 0x80 != 0 {
        length += if payload.get(2)? & 0x80 != 0 { 2 } else { 1 };
    }
    length += usize::from(extension & 0x40 != 0);
    length += usize::from(extension & 0x30 != 0);
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(sequence: u64, timestamp: i64, marker: bool, bytes: &[u8]) -> Payload<'_> {
        Payload {
            sequence,
            timestamp,
            marker,
            bytes,
        }
    }

    #[test]
    fn a_frame_is_put_together_behind_its_descriptors() {
        let mut vp8 = Vp8Depacketizer::default();
        // With a picture id of 15 bits, an index and a layer; then the shortest.
        let first = [&[0x90, 0xe0, 0x81, 0x02, 0x07, 0x20], &b"\x10key"[..]].concat();
        vp8.handle_payload(payload(1, 0, false, &first));
        vp8.handle_payload(payload(2, 0, true, b"\x00frame"));
        vp8.handle_payload(payload(3, 3000, true, b"\x10\x11delta"));
        let units: Vec<_> = std::iter::from_fn(|| vp8.poll_unit()).collect();
        let seen = units
            .iter()
            .map(|unit| (unit.pts, unit.keyframe, &unit.data[..]));
        let expected: [(i64, bool, &[u8]); 2] =
            [(0, true, b"\x10keyframe"), (3000, false, b"\x11delta")];
        assert!(seen.eq(expected), "{units:?}");
    }

    #[test]
    fn behind_a_hole_a_keyframe_is_waited_for() {
        let mut vp8 = Vp8Depacketizer::default();
        vp8.handle_payload(payload(1, 0, true, b"\x10\x10key"));
        vp8.handle_payload(payload(3, 3000, true, b"\x10\x11delta"));
        vp8.handle_payload(payload(4, 6000, true, b"\x10\x11delta"));
        assert!(vp8.wants_keyframe());
        vp8.handle_payload(payload(5, 9000, true, b"\x10\x10key"));
        let times: Vec<_> = std::iter::from_fn(|| vp8.poll_unit())
            .map(|unit| unit.pts)
            .collect();
        assert_eq!(times, [0, 9000]);
        assert_eq!(vp8.dropped().total(), 2);
    }

    #[test]
    fn a_descriptor_without_a_frame_is_malformed() {
        let mut vp8 = Vp8Depacketizer::default();
        vp8.handle_payload(payload(1, 0, true, b"\x90"));
        vp8.handle_payload(payload(2, 0, true, b"\x10"));
        assert_eq!(vp8.poll_unit(), None);
    }
}
