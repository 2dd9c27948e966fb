//! H.264 (RFC 6184): single NAL unit packets, STAP-A and FU-A, which is the non-interleaved mode.

use crate::depacketize::assembly::{Assembly, Picture};
use crate::depacketize::{Dropped, Payload};
use crate::h264::ParameterSets;
use crate::{AccessUnit, H264Format, NalCodec, NalKind};

pub(crate) const STAP_A: u8 = 24;
pub(crate) const FU_A: u8 = 28;

/// Units of one H.264 source.
///
/// Inputs: [`handle_payload`](Self::handle_payload), in order of sequence numbers. Outputs: [`poll_unit`](Self::poll_unit). `pts` is the
/// timestamp; `dts` is the same, as RTC sources do not reorder. Limits: [`MAX_UNIT_BYTES`](crate::depacketize::MAX_UNIT_BYTES) a unit.
#[derive(Debug, Default)]
pub struct H264Depacketizer {
    sets: ParameterSets,
    assembly: Assembly,
}

impl H264Depacketizer {
    /// Take one packet.
    pub fn handle_payload(&mut self, payload: Payload<'_>) {
        self.assembly.begin(&payload);
        self.take(payload.bytes);
        if payload.marker {
            self.assembly.finish();
        }
    }

    /// Take a parameter set that a description of the stream gave.
    pub fn handle_parameter_set(&mut self, nal: &[u8]) {
        self.sets.take(nal);
    }

    /// Give the next whole unit.
    pub fn poll_unit(&mut self) -> Option<AccessUnit> {
        self.assembly.poll_unit()
    }

    /// What a decoder must be told; none before the parameter sets have come.
    pub fn format(&self) -> Option<H264Format> {
        self.sets.format()
    }

    /// Whether a keyframe should be asked for.
    pub fn wants_keyframe(&self) -> bool {
        self.assembly.wants_keyframe()
    }

    /// What could not be given.
    pub fn dropped(&self) -> Dropped {
        self.assembly.dropped()
    }

    fn take(&mut self, bytes: &[u8]) {
        match bytes.first().map(|first| first & 0x1f) {
            Some(1..STAP_A) => self.append(bytes),
            Some(STAP_A) => self.take_aggregate(&bytes[1..]),
            Some(FU_A) => self.take_fragment(bytes),
            // Empty payloads are padding; the interleaved kinds were not agreed on (section 5.2).
            None => {}
            Some(_) => self.assembly.spoil(Picture::Malformed),
        }
    }

    fn take_aggregate(&mut self, mut rest: &[u8]) {
        while let Some((length, behind)) = rest.split_first_chunk::<2>() {
            let length = u16::from_be_bytes(*length) as usize;
            let nal = behind.get(..length).filter(|nal| NalCodec::H264.has(nal));
            let Some(nal) = nal else {
                return self.assembly.spoil(Picture::Malformed);
            };
            self.append(nal);
            rest = &behind[length..];
        }
        if !rest.is_empty() {
            self.assembly.spoil(Picture::Malformed);
        }
    }

    /// Section 5.8: the header is spread over the indicator and the fragment header.
    fn take_fragment(&mut self, bytes: &[u8]) {
        let [indicator, header, data @ ..] = bytes else {
            return self.assembly.spoil(Picture::Malformed);
        };
        let (starts, ends) = (header & 0x80 != 0, header & 0x40 != 0);
        if starts {
            let nal_header = indicator & 0xe0 | header & 0x1f;
            if !NalCodec::H264.has(&[nal_header]) {
                return self.assembly.spoil(Picture::Malformed);
            }
            self.note(&[nal_header]);
            self.assembly.close_fragment();
            self.assembly.begin_fragment(&[nal_header]);
        }
        let whole = self.assembly.add_fragment(data, ends, NalCodec::H264);
        if let Some(nal) = whole {
            self.sets.take(&nal);
        }
    }

    fn append(&mut self, nal: &[u8]) {
        self.assembly.close_fragment();
        match NalCodec::H264.kind(nal) {
            Some(NalKind::Sps | NalKind::Pps) => {
                self.sets.take(nal);
            }
            None | Some(NalKind::Delimiter) => {}
            Some(_) => {
                self.note(nal);
                self.assembly.append_nal(nal);
            }
        }
    }

    fn note(&mut self, nal: &[u8]) {
        let contents = self.assembly.contents();
        if let Some(kind) = NalCodec::H264.kind(nal) {
            contents.keyframe |= kind == NalKind::Idr || NalCodec::H264.is_recovery_point(nal);
            contents.has_frame |= kind.is_slice();
        }
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
    fn a_set_in_fragments_is_a_set_all_the_same() {
        let mut depacketizer = H264Depacketizer::default();
        depacketizer.handle_payload(payload(0, 0, false, &stap(&[&SPS])));
        depacketizer.handle_payload(payload(1, 0, false, &[0x7c, 0x88, PPS[1], PPS[2]]));
        depacketizer.handle_payload(payload(2, 0, false, &[0x7c, 0x48, PPS[3], PPS[4]]));
        depacketizer.handle_payload(payload(3, 0, true, &[0x65, 1]));
        let unit = depacketizer.poll_unit().unwrap();
        assert_eq!(unit.data, [0, 0, 0, 2, 0x65, 1][..]);
        assert_eq!(depacketizer.format().unwrap().pps, [&PPS[..]]);
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
