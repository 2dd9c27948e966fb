//! H.264 (RFC 6184): single NAL unit packets, STAP-A and FU-A, which is the non-interleaved mode.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

use crate::depacketize::{Dropped, MAX_UNIT_BYTES, Payload};
use crate::h264::ParameterSets;
use crate::{AccessUnit, H264Format, NalCodec, NalKind};

const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Units of one H.264 source.
///
/// Inputs: [`handle_payload`](Self::handle_payload), in order of sequence numbers. Outputs: [`poll_unit`](Self::poll_unit). `pts` is the
/// timestamp; `dts` is the same, as RTC sources do not reorder. Limits: [`MAX_UNIT_BYTES`] a unit.
#[derive(Debug, Default)]
pub struct H264Depacketizer {
    sets: ParameterSets,
    expected: Option<u64>,
    timestamp: Option<i64>,
    /// NAL units of the picture so far, each behind its length.
    picture: BytesMut,
    keyframe: bool,
    has_slice: bool,
    /// Where the length of a fragmented unit stands.
    fragment_at: Option<usize>,
    state: Picture,
    /// Whether a picture was lost that others may refer to.
    waits_for_keyframe: Waiting,
    ready: VecDeque<AccessUnit>,
    dropped: Dropped,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Picture {
    #[default]
    Whole,
    Incomplete,
    Malformed,
    TooLarge,
}

/// Nothing can be decoded before the first keyframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waiting(bool);

impl Default for Waiting {
    fn default() -> Self {
        Self(true)
    }
}

impl H264Depacketizer {
    /// Take one packet.
    pub fn handle_payload(&mut self, payload: Payload<'_>) {
        let gap = self
            .expected
            .is_some_and(|expected| expected != payload.sequence);
        self.expected = Some(payload.sequence + 1);
        if gap {
            // Nobody knows to which picture the missing one belonged: to the one under way, or to the one that now begins.
            self.spoil(Picture::Incomplete);
        }
        if self
            .timestamp
            .is_some_and(|timestamp| timestamp != payload.timestamp)
        {
            self.finish();
            if gap {
                self.spoil(Picture::Incomplete);
            }
        }
        self.timestamp = Some(payload.timestamp);
        self.take(payload.bytes);
        if payload.marker {
            self.finish();
        }
    }

    /// Give the next whole unit.
    pub fn poll_unit(&mut self) -> Option<AccessUnit> {
        self.ready.pop_front()
    }

    /// What a decoder must be told; none before the parameter sets have come.
    pub fn format(&self) -> Option<H264Format> {
        self.sets.format()
    }

    /// Whether a keyframe should be asked for.
    pub fn wants_keyframe(&self) -> bool {
        self.waits_for_keyframe.0
    }

    /// What could not be given.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    fn take(&mut self, bytes: &[u8]) {
        match bytes.first().map(|first| first & 0x1f) {
            Some(1..STAP_A) => self.append(bytes),
            Some(STAP_A) => self.take_aggregate(&bytes[1..]),
            Some(FU_A) => self.take_fragment(bytes),
            // Empty payloads are padding; the interleaved kinds were not agreed on (section 5.2).
            None => {}
            Some(_) => self.spoil(Picture::Malformed),
        }
    }

    fn take_aggregate(&mut self, mut rest: &[u8]) {
        while let Some((length, behind)) = rest.split_first_chunk::<2>() {
            let length = u16::from_be_bytes(*length) as usize;
            let Some(nal) = behind.get(..length).filter(|nal| !nal.is_empty()) else {
                return self.spoil(Picture::Malformed);
            };
            self.append(nal);
            rest = &behind[length..];
        }
        if !rest.is_empty() {
            self.spoil(Picture::Malformed);
        }
    }

    /// Section 5.8: the header is spread over the indicator and the fragment header.
    fn take_fragment(&mut self, bytes: &[u8]) {
        let [indicator, header, data @ ..] = bytes else {
            return self.spoil(Picture::Malformed);
        };
        let (starts, ends) = (header & 0x80 != 0, header & 0x40 != 0);
        if starts {
            let nal_header = indicator & 0xe0 | header & 0x1f;
            self.note(&[nal_header]);
            self.fragment_at = Some(self.picture.len());
            self.picture.put_u32(0);
            self.picture.put_u8(nal_header);
        }
        let Some(at) = self.fragment_at else {
            return self.spoil(Picture::Incomplete);
        };
        if self.fits(data.len()) {
            self.picture.put_slice(data);
        }
        if ends {
            let length = (self.picture.len() - at - 4) as u32;
            self.picture[at..at + 4].copy_from_slice(&length.to_be_bytes());
            self.fragment_at = None;
        }
    }

    fn append(&mut self, nal: &[u8]) {
        if self.fragment_at.take().is_some() {
            self.spoil(Picture::Incomplete);
        }
        match NalCodec::H264.kind(nal) {
            Some(NalKind::Sps | NalKind::Pps) => {
                self.sets.take(nal);
            }
            None | Some(NalKind::Delimiter) => {}
            Some(_) if !self.fits(nal.len()) => {}
            Some(_) => {
                self.note(nal);
                self.picture.put_u32(nal.len() as u32);
                self.picture.put_slice(nal);
            }
        }
    }

    fn note(&mut self, nal: &[u8]) {
        match NalCodec::H264.kind(nal) {
            Some(NalKind::Idr) => (self.keyframe, self.has_slice) = (true, true),
            Some(NalKind::Slice) => self.has_slice = true,
            _ => {}
        }
    }

    fn fits(&mut self, more: usize) -> bool {
        let fits = self.picture.len() + more <= MAX_UNIT_BYTES;
        if !fits {
            self.spoil(Picture::TooLarge);
        }
        fits
    }

    /// The first reason stays.
    fn spoil(&mut self, why: Picture) {
        if self.state == Picture::Whole {
            self.state = why;
        }
    }

    fn finish(&mut self) {
        if self.fragment_at.take().is_some() {
            self.spoil(Picture::Incomplete);
        }
        let data: Bytes = self.picture.split().freeze();
        let (keyframe, has_slice) = (
            std::mem::take(&mut self.keyframe),
            std::mem::take(&mut self.has_slice),
        );
        let state = std::mem::take(&mut self.state);
        let Some(timestamp) = self.timestamp.take() else {
            return;
        };
        match state {
            Picture::Whole if !has_slice => return, // parameter sets alone
            Picture::Whole if keyframe || !self.waits_for_keyframe.0 => {
                self.waits_for_keyframe = Waiting(false);
                self.ready.push_back(AccessUnit {
                    dts: timestamp,
                    pts: timestamp,
                    keyframe,
                    data,
                });
                return;
            }
            Picture::Whole => self.dropped.undecodable += 1,
            Picture::Incomplete => self.dropped.incomplete += 1,
            Picture::Malformed => self.dropped.malformed += 1,
            Picture::TooLarge => self.dropped.too_large += 1,
        }
        self.waits_for_keyframe = Waiting(true);
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;
    use crate::nal::split_lengths;

    const SPS: [u8; 24] = hex!("674d401fd9005005ba10000003001000000303c8f1832480");
    const PPS: [u8; 5] = hex!("68ebc3cb20");

    fn payload(sequence: u64, timestamp: i64, marker: bool, bytes: &[u8]) -> Payload<'_> {
        Payload {
            sequence,
            timestamp,
            marker,
            bytes,
        }
    }

    fn stap(nals: &[&[u8]]) -> Vec<u8> {
        let mut out = vec![0x78];
        for nal in nals {
            out.extend((nal.len() as u16).to_be_bytes());
            out.extend(*nal);
        }
        out
    }

    fn begun() -> H264Depacketizer {
        let mut depacketizer = H264Depacketizer::default();
        depacketizer.handle_payload(payload(0, 0, false, &stap(&[&SPS, &PPS])));
        depacketizer.handle_payload(payload(1, 0, true, &[0x65, 1, 2, 3]));
        depacketizer
    }

    #[test]
    fn sets_of_an_aggregate_give_the_format_and_stay_out_of_the_unit() {
        let mut depacketizer = begun();
        let unit = depacketizer.poll_unit().unwrap();
        assert!(unit.keyframe);
        assert_eq!(
            split_lengths(&unit.data).collect::<Vec<_>>(),
            [&[0x65, 1, 2, 3][..]]
        );
        assert_eq!(depacketizer.format().unwrap().width, 1280);
    }

    #[test]
    fn fragments_are_put_together_behind_one_header() {
        let mut depacketizer = begun();
        depacketizer.poll_unit().unwrap();
        depacketizer.handle_payload(payload(2, 3000, false, &[0x5c, 0x81, 10, 11]));
        depacketizer.handle_payload(payload(3, 3000, false, &[0x5c, 0x01, 12]));
        depacketizer.handle_payload(payload(4, 3000, true, &[0x5c, 0x41, 13]));
        let unit = depacketizer.poll_unit().unwrap();
        assert_eq!((unit.keyframe, unit.pts), (false, 3000));
        assert_eq!(
            split_lengths(&unit.data).collect::<Vec<_>>(),
            [&[0x41, 10, 11, 12, 13][..]]
        );
    }

    #[test]
    fn a_hole_drops_its_picture_and_all_up_to_the_next_keyframe() {
        let mut depacketizer = begun();
        depacketizer.poll_unit().unwrap();
        depacketizer.handle_payload(payload(2, 3000, false, &[0x5c, 0x81, 10]));
        depacketizer.handle_payload(payload(4, 3000, true, &[0x5c, 0x41, 13]));
        assert!(depacketizer.wants_keyframe());
        depacketizer.handle_payload(payload(5, 6000, true, &[0x41, 1]));
        assert_eq!(depacketizer.poll_unit(), None);
        depacketizer.handle_payload(payload(6, 9000, true, &[0x65, 1]));
        assert_eq!(depacketizer.poll_unit().unwrap().pts, 9000);
        let dropped = Dropped {
            incomplete: 1,
            undecodable: 1,
            ..Dropped::default()
        };
        assert_eq!(depacketizer.dropped(), dropped);
    }

    #[test]
    fn a_lost_marker_does_not_join_two_pictures_and_both_are_doubted() {
        let mut depacketizer = begun();
        depacketizer.poll_unit().unwrap();
        depacketizer.handle_payload(payload(2, 3000, false, &[0x41, 1]));
        depacketizer.handle_payload(payload(4, 6000, true, &[0x41, 2]));
        assert_eq!(depacketizer.poll_unit(), None);
        assert_eq!(depacketizer.dropped().incomplete, 2);
    }

    #[test]
    fn a_picture_without_marker_ends_where_the_next_begins() {
        let mut depacketizer = begun();
        depacketizer.poll_unit().unwrap();
        depacketizer.handle_payload(payload(2, 3000, false, &[0x41, 1]));
        depacketizer.handle_payload(payload(3, 6000, true, &[0x41, 2]));
        assert_eq!(depacketizer.poll_unit().unwrap().pts, 3000);
        assert_eq!(depacketizer.poll_unit().unwrap().pts, 6000);
    }

    proptest! {
        #[test]
        fn no_payload_upsets_it_and_every_unit_can_be_taken_apart(
            payloads in prop::collection::vec((0u64..3, 0i64..3, any::<bool>(), prop::collection::vec(any::<u8>(), 0..20)), 0..60)
        ) {
            let mut depacketizer = H264Depacketizer::default();
            let (mut sequence, mut timestamp) = (0, 0);
            for (gap, step, marker, bytes) in &payloads {
                sequence += 1 + gap / 2;
                timestamp += step * 1000;
                depacketizer.handle_payload(payload(sequence, timestamp, *marker, bytes));
                while let Some(unit) = depacketizer.poll_unit() {
                    let length: usize = split_lengths(&unit.data).map(|nal| nal.len() + 4).sum();
                    prop_assert_eq!(length, unit.data.len());
                }
            }
        }
    }
}
