//! HEVC (RFC 7798): single NAL unit packets, aggregation packets and fragmentation units, sent in decoding order over one
//! stream, which is the mode without decoding order numbers.

use crate::depacketize::assembly::{Assembly, Picture};
use crate::depacketize::{Dropped, Payload};
use crate::hevc::{ParameterSets, layer};
use crate::{AccessUnit, HevcFormat, NalCodec, NalKind};

pub(crate) const AGGREGATION: u8 = 48;
pub(crate) const FRAGMENTATION: u8 = 49;
/// Leading pictures that may be decoded only where the pictures before their keyframe were (RASL_N, RASL_R).
const SKIPPED_LEADING: [u8; 2] = [8, 9];

/// Units of one HEVC source; enhancement layers are left out.
///
/// Inputs: [`handle_payload`](Self::handle_payload), in order of sequence numbers. Outputs: [`poll_unit`](Self::poll_unit). `pts` is the
/// timestamp; `dts` is the same, as RTC sources do not reorder. Limits: [`MAX_UNIT_BYTES`](crate::depacketize::MAX_UNIT_BYTES) a unit.
#[derive(Debug, Default)]
pub struct HevcDepacketizer {
    sets: ParameterSets,
    assembly: Assembly,
    /// The fragments that come are of an enhancement layer.
    skips_fragments: bool,
}

impl HevcDepacketizer {
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
    pub fn format(&self) -> Option<HevcFormat> {
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
        match bytes.first().map(|first| first >> 1 & 0x3f) {
            Some(0..AGGREGATION) => self.append(bytes),
            Some(AGGREGATION) => self.take_aggregate(bytes),
            Some(FRAGMENTATION) => self.take_fragment(bytes),
            // Empty payloads are padding; PACI packets were not agreed on.
            None => {}
            Some(_) => self.assembly.spoil(Picture::Malformed),
        }
    }

    /// Section 4.4.2.
    fn take_aggregate(&mut self, bytes: &[u8]) {
        let mut rest = bytes.get(2..).unwrap_or_default();
        while let Some((length, behind)) = rest.split_first_chunk::<2>() {
            let length = u16::from_be_bytes(*length) as usize;
            let nal = behind.get(..length).filter(|nal| NalCodec::Hevc.has(nal));
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

    /// Section 4.4.3: the type of the NAL unit is in the fragment header, all else in the payload header.
    fn take_fragment(&mut self, bytes: &[u8]) {
        let [first, second, header, data @ ..] = bytes else {
            return self.assembly.spoil(Picture::Malformed);
        };
        let (starts, ends) = (header & 0x80 != 0, header & 0x40 != 0);
        if starts {
            let nal_header = [first & 0x81 | (header & 0x3f) << 1, *second];
            if !NalCodec::Hevc.has(&nal_header) {
                return self.assembly.spoil(Picture::Malformed);
            }
            self.assembly.close_fragment();
            self.skips_fragments = layer(&nal_header) != Some(0);
            if !self.skips_fragments {
                self.note(&nal_header);
                self.assembly.begin_fragment(&nal_header);
            }
        }
        if self.skips_fragments {
            return;
        }
        let whole = self.assembly.add_fragment(data, ends, NalCodec::Hevc);
        if let Some(nal) = whole {
            self.sets.take(&nal);
        }
    }

    fn append(&mut self, nal: &[u8]) {
        self.assembly.close_fragment();
        match NalCodec::Hevc.kind(nal) {
            None => self.assembly.spoil(Picture::Malformed),
            _ if layer(nal) != Some(0) => {}
            Some(NalKind::Vps | NalKind::Sps | NalKind::Pps) => {
                self.sets.take(nal);
            }
            Some(NalKind::Delimiter) => {}
            Some(_) => {
                self.note(nal);
                self.assembly.append_nal(nal);
            }
        }
    }

    fn note(&mut self, nal: &[u8]) {
        let contents = self.assembly.contents();
        if let Some(kind) = NalCodec::Hevc.kind(nal) {
            contents.keyframe |= kind == NalKind::Idr;
            contents.has_frame |= kind.is_slice();
            contents.is_leading |= SKIPPED_LEADING.contains(&(nal[0] >> 1 & 0x3f));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nal::split_lengths;

    const IDR: [u8; 4] = [19 << 1, 1, 0x80, 7];

    fn payload(sequence: u64, timestamp: i64, bytes: &[u8]) -> Payload<'_> {
        Payload {
            sequence,
            timestamp,
            marker: true,
            bytes,
        }
    }

    fn units(depacketizer: &mut HevcDepacketizer) -> Vec<(i64, bool)> {
        std::iter::from_fn(|| depacketizer.poll_unit())
            .map(|unit| (unit.pts, unit.keyframe))
            .collect()
    }

    #[test]
    fn fragments_are_put_together_behind_one_header() {
        let mut depacketizer = HevcDepacketizer::default();
        for (number, (header, data)) in [(0x93, 1), (0x13, 2), (0x53, 3)].into_iter().enumerate() {
            let mut packet = payload(number as u64, 0, &[98, 1, header, data])
                .bytes
                .to_vec();
            packet[0] = FRAGMENTATION << 1;
            depacketizer.handle_payload(Payload {
                marker: number == 2,
                ..payload(number as u64, 0, &packet)
            });
        }
        let unit = depacketizer.poll_unit().unwrap();
        assert!(unit.keyframe);
        let nals: Vec<_> = split_lengths(&unit.data).collect();
        assert_eq!(nals, [&[19 << 1, 1, 1, 2, 3][..]]);
    }

    #[test]
    fn leading_pictures_are_left_out_where_decoding_begins_and_only_there() {
        let mut depacketizer = HevcDepacketizer::default();
        let (clean, leading, trailing) = ([21 << 1, 1, 0x80], [9 << 1, 1, 0x80], [1 << 1, 1, 0x80]);
        let pictures = [&clean, &leading, &trailing, &clean, &leading];
        for (number, picture) in (0..).zip(pictures) {
            depacketizer.handle_payload(payload(number, number as i64, picture));
        }
        let given = units(&mut depacketizer);
        assert_eq!(given, [(0, true), (2, false), (3, true), (4, false)]);
        assert_eq!(depacketizer.dropped().undecodable, 1);
    }

    #[test]
    fn enhancement_layers_are_left_out() {
        let mut depacketizer = HevcDepacketizer::default();
        depacketizer.handle_payload(payload(0, 0, &IDR));
        depacketizer.handle_payload(payload(1, 3000, &[1 << 1, 1 << 3 | 1, 0x80]));
        depacketizer.handle_payload(payload(2, 6000, &[98, 1 << 3 | 1, 0x81, 5]));
        assert_eq!(units(&mut depacketizer), [(0, true)]);
        assert_eq!(depacketizer.dropped(), Dropped::default());
    }

    #[test]
    fn a_hole_drops_all_up_to_the_next_keyframe() {
        let mut depacketizer = HevcDepacketizer::default();
        let slice = [1 << 1, 1, 0x80];
        depacketizer.handle_payload(payload(0, 0, &IDR));
        depacketizer.handle_payload(payload(2, 6000, &slice));
        assert!(depacketizer.wants_keyframe());
        depacketizer.handle_payload(payload(3, 9000, &slice));
        depacketizer.handle_payload(payload(4, 12_000, &IDR));
        assert_eq!(units(&mut depacketizer), [(0, true), (12_000, true)]);
        let dropped = depacketizer.dropped();
        assert_eq!((dropped.incomplete, dropped.undecodable), (1, 1));
    }

    proptest! {
        #[test]
        fn no_payload_upsets_it_and_every_unit_can_be_taken_apart(
            payloads in prop::collection::vec((0u64..3, 0i64..3, any::<bool>(), prop::collection::vec(any::<u8>(), 0..20)), 0..60)
        ) {
            let mut depacketizer = HevcDepacketizer::default();
            let (mut sequence, mut timestamp) = (0, 0);
            for (gap, step, marker, bytes) in &payloads {
                sequence += 1 + gap / 2;
                timestamp += step * 1000;
                depacketizer.handle_payload(Payload { marker: *marker, ..payload(sequence, timestamp, bytes) });
                while let Some(unit) = depacketizer.poll_unit() {
                    let length: usize = split_lengths(&unit.data).map(|nal| nal.len() + 4).sum();
                    prop_assert_eq!(length, unit.data.len());
                }
            }
        }
    }
}
