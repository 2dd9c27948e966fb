//! AV1 (the Alliance's RTP payload format, version 1.0): OBUs without sizes, several in a packet or one over several.

use bytes::{Buf, BytesMut};

use crate::av1::{Obu, ObuKind, read_leb128, read_sequence_header};
use crate::depacketize::assembly::{Assembly, Picture};
use crate::depacketize::{Dropped, MAX_UNIT_BYTES, Payload};
use crate::{AccessUnit, Av1Format};

/// What a header and a size may add to an OBU.
const OVERHEAD: usize = 10;

/// Units of one AV1 source: temporal units.
///
/// Inputs: [`handle_payload`](Self::handle_payload), in order of sequence numbers. Outputs: [`poll_unit`](Self::poll_unit). Limits:
/// [`MAX_UNIT_BYTES`] a unit.
#[derive(Debug, Default)]
pub struct Av1Depacketizer {
    format: Option<Av1Format>,
    assembly: Assembly,
    /// What there is of an OBU that goes on in the next packet.
    fragment: Option<BytesMut>,
}

impl Av1Depacketizer {
    /// Take one packet.
    pub fn handle_payload(&mut self, payload: Payload<'_>) {
        if !self.assembly.is_of(payload.timestamp) && self.fragment.take().is_some() {
            self.assembly.spoil(Picture::Incomplete);
        }
        if !self.assembly.begin(&payload) {
            self.fragment = None;
        }
        if let Some((&header, elements)) = payload.bytes.split_first() {
            self.take(header, elements);
        }
        if payload.marker {
            if self.fragment.take().is_some() {
                self.assembly.spoil(Picture::Incomplete);
            }
            self.assembly.finish();
        }
    }

    /// Give the next whole unit.
    pub fn poll_unit(&mut self) -> Option<AccessUnit> {
        self.assembly.poll_unit()
    }

    /// What a decoder must be told; none before a sequence header has come.
    pub fn format(&self) -> Option<&Av1Format> {
        self.format.as_ref()
    }

    /// Whether a keyframe should be asked for.
    pub fn wants_keyframe(&self) -> bool {
        self.assembly.wants_keyframe()
    }

    /// What could not be given.
    pub fn dropped(&self) -> Dropped {
        self.assembly.dropped()
    }

    /// Section 4.4: whether the first element goes on from the packet before (Z), the last goes on in the next (Y), and
    /// how many there are (W), in which case the last has no length.
    fn take(&mut self, header: u8, mut elements: &[u8]) {
        let (continues, goes_on) = (header & 0x80 != 0, header & 0x40 != 0);
        let count = header >> 4 & 3;
        if continues != self.fragment.is_some() {
            self.fragment = None;
            self.assembly.spoil(Picture::Incomplete);
        }
        let mut number = 0;
        while elements.has_remaining() {
            number += 1;
            let (element, rest) = if number == count {
                (elements, &[][..])
            } else {
                let split = read_leb128(elements).and_then(|(length, behind)| {
                    behind.split_at_checked(usize::try_from(length).ok()?)
                });
                let Some(split) = split else {
                    self.fragment = None;
                    return self.assembly.spoil(Picture::Malformed);
                };
                split
            };
            elements = rest;
            let is_last = elements.is_empty();
            self.take_element(element, number == 1 && continues, is_last && goes_on);
        }
    }

    fn take_element(&mut self, element: &[u8], continues: bool, goes_on: bool) {
        let whole = match self.fragment.take() {
            Some(mut fragment) if continues => {
                if fragment.len() + element.len() > MAX_UNIT_BYTES {
                    return self.assembly.spoil(Picture::TooLarge);
                }
                fragment.extend_from_slice(element);
                fragment
            }
            // Its beginning was lost.
            _ if continues => return,
            _ if goes_on => BytesMut::from(element),
            _ => return self.take_obu(element),
        };
        if goes_on {
            self.fragment = Some(whole);
        } else {
            self.take_obu(&whole);
        }
    }

    fn take_obu(&mut self, bytes: &[u8]) {
        let Some(obu) = Obu::parse(bytes) else {
            return self.assembly.spoil(Picture::Malformed);
        };
        let contents = self.assembly.contents();
        match obu.kind() {
            ObuKind::TemporalDelimiter | ObuKind::Dispensable => return,
            ObuKind::SequenceHeader => match read_sequence_header(&obu) {
                Some(format) => {
                    contents.has_sets = true;
                    self.format = Some(format);
                }
                None => return self.assembly.spoil(Picture::Malformed),
            },
            ObuKind::Frame => {
                let begins = !contents.has_frame && contents.has_sets;
                contents.keyframe |= begins && obu.is_key_frame();
                contents.has_frame = true;
            }
            ObuKind::Other => {}
        }
        let bytes = obu.payload.len() + OVERHEAD;
        self.assembly.append(bytes, |data| obu.write(data));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::av1;

    /// The sequence header of `tests/vectors/av1.obu`, without its size.
    fn sequence_header() -> Vec<u8> {
        let stream = include_bytes!("../../tests/vectors/av1.obu");
        let obu = av1::split(stream).nth(1).unwrap();
        [&[0x08][..], obu.payload].concat()
    }

    fn payload(sequence: u64, timestamp: i64, marker: bool, bytes: &[u8]) -> Payload<'_> {
        Payload {
            sequence,
            timestamp,
            marker,
            bytes,
        }
    }

    /// A sequence header with its length, and a key frame without.
    fn key_packet() -> Vec<u8> {
        let header = sequence_header();
        let length = [header.len() as u8];
        [&[0x28][..], &length, &header, &[0x30, 0x10, 1, 2]].concat()
    }

    #[test]
    fn elements_become_obus_with_sizes() {
        let mut depacketizer = Av1Depacketizer::default();
        depacketizer.handle_payload(payload(0, 0, true, &key_packet()));
        let unit = depacketizer.poll_unit().unwrap();
        assert!(unit.keyframe);
        let kinds: Vec<_> = av1::split(&unit.data).map(|obu| obu.kind()).collect();
        assert_eq!(kinds, [ObuKind::SequenceHeader, ObuKind::Frame]);
        assert_eq!(depacketizer.format().unwrap().width, 160);
        let read = av1::read(&unit.data).unwrap();
        assert!(read.keyframe);
        assert_eq!(read.data, unit.data);
    }

    #[test]
    fn an_obu_over_three_packets_is_one() {
        let mut depacketizer = Av1Depacketizer::default();
        depacketizer.handle_payload(payload(0, 0, true, &key_packet()));
        depacketizer.poll_unit().unwrap();
        depacketizer.handle_payload(payload(1, 3000, false, &[0x50, 0x30, 0x20, 1]));
        depacketizer.handle_payload(payload(2, 3000, false, &[0xd0, 2, 3]));
        depacketizer.handle_payload(payload(3, 3000, true, &[0x90, 4]));
        let unit = depacketizer.poll_unit().unwrap();
        assert_eq!(&unit.data[..], [0x32, 5, 0x20, 1, 2, 3, 4]);
        assert!(!unit.keyframe);
    }

    #[test]
    fn a_hole_in_an_obu_drops_all_up_to_the_next_key_frame() {
        let mut depacketizer = Av1Depacketizer::default();
        depacketizer.handle_payload(payload(0, 0, true, &key_packet()));
        depacketizer.poll_unit().unwrap();
        depacketizer.handle_payload(payload(1, 3000, false, &[0x50, 0x30, 0x20, 1]));
        depacketizer.handle_payload(payload(3, 3000, true, &[0x90, 4]));
        depacketizer.handle_payload(payload(4, 6000, true, &[0x10, 0x30, 0x20]));
        assert_eq!(depacketizer.poll_unit(), None);
        depacketizer.handle_payload(payload(5, 9000, true, &key_packet()));
        assert_eq!(depacketizer.poll_unit().unwrap().pts, 9000);
        let dropped = depacketizer.dropped();
        assert_eq!((dropped.incomplete, dropped.undecodable), (1, 1));
    }

    #[test]
    fn an_obu_without_end_drops_its_unit() {
        for marker in [false, true] {
            let mut depacketizer = Av1Depacketizer::default();
            depacketizer.handle_payload(payload(0, 0, true, &key_packet()));
            depacketizer.poll_unit().unwrap();
            depacketizer.handle_payload(payload(1, 3000, marker, &[0x50, 0x30, 0x20, 1]));
            depacketizer.handle_payload(payload(2, 6000, true, &[0x10, 0x30, 0x20]));
            assert_eq!(depacketizer.poll_unit(), None);
            assert_eq!(depacketizer.dropped().incomplete, 1);
        }
    }

    proptest! {
        #[test]
        fn no_payload_upsets_it_and_every_unit_can_be_read(
            payloads in prop::collection::vec((0u64..3, 0i64..3, any::<bool>(), prop::collection::vec(any::<u8>(), 0..20)), 0..60)
        ) {
            let mut depacketizer = Av1Depacketizer::default();
            depacketizer.handle_payload(payload(0, 0, true, &key_packet()));
            let (mut sequence, mut timestamp) = (0, 0);
            for (gap, step, marker, bytes) in &payloads {
                sequence += 1 + gap / 2;
                timestamp += step * 1000;
                depacketizer.handle_payload(payload(sequence, timestamp, *marker, bytes));
                while let Some(unit) = depacketizer.poll_unit() {
                    let read = av1::read(&unit.data).unwrap();
                    prop_assert_eq!(read.data, unit.data);
                    prop_assert_eq!(read.keyframe, unit.keyframe);
                }
            }
        }
    }
}
