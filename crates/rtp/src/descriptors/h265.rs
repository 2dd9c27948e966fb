//! H.265 packetisation (RFC 7798): single NAL units, AP, FU.
//!
//! Decoding order numbers (`sprop-max-don-diff` above zero) are not read: WebRTC does not use
//! them.

use super::{Cursor, DescriptorError, PayloadInfo};
use crate::descriptors::h264::Packetization;

const LAST_SLICE: u8 = 31;
const SUBLAYER_REFERENCES_END: u8 = 15;
const TEMPORAL_SWITCH: std::ops::RangeInclusive<u8> = 2..=5;
const IRAP: std::ops::RangeInclusive<u8> = 16..=23;
const PARAMETER_SETS: std::ops::RangeInclusive<u8> = 32..=34;
const DELIMITER: u8 = 35;
const PREFIX_SEI: u8 = 39;
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;
const PACI: u8 = 50;

/// What the NAL units of a packet say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// How they are carried.
    pub packetization: Packetization,
    /// Slices of a picture from which decoding can start (IDR, CRA, BLA) are among them.
    pub random_access: bool,
    /// Parameter sets (VPS, SPS, PPS) are among them.
    pub parameter_sets: bool,
    /// The first unit begins a picture, or may stand before its first slice.
    pub starts_picture: bool,
    /// No picture of the same temporal layer refers to this one.
    pub non_reference: bool,
    /// The picture is a place to switch up to its temporal layer (TSA, STSA).
    pub temporal_switch: bool,
    /// Temporal layer.
    pub temporal: u8,
    /// `nuh_layer_id`.
    pub spatial: u8,
}

/// The two bytes of a NAL unit header.
#[derive(Clone, Copy)]
struct UnitHeader {
    kind: u8,
    layer: u8,
    temporal: u8,
}

impl UnitHeader {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DescriptorError> {
        let bits = cursor.u16()?;
        let temporal = (bits as u8 & 0x07)
            .checked_sub(1)
            .ok_or(DescriptorError::Invalid("H.265 temporal ID zero"))?;
        Ok(Self {
            kind: (bits >> 9) as u8 & 0x3f,
            layer: (bits >> 3) as u8 & 0x3f,
            temporal,
        })
    }
}

impl Contents {
    /// Reads the head of an RTP payload.
    pub fn parse(payload: &[u8]) -> Result<Self, DescriptorError> {
        let mut cursor = Cursor::new(payload);
        let header = UnitHeader::read(&mut cursor)?;
        let mut contents = Self {
            packetization: Packetization::Single,
            random_access: false,
            parameter_sets: false,
            starts_picture: false,
            non_reference: false,
            temporal_switch: false,
            // An aggregate's header has the lowest of its units' layers (RFC 7798 4.4.2).
            temporal: header.temporal,
            spatial: header.layer,
        };
        match header.kind {
            AGGREGATION => contents.read_aggregate(cursor)?,
            FRAGMENTATION => contents.read_fragment(cursor)?,
            0..AGGREGATION => contents.read_kind(header.kind, cursor.rest(), true),
            PACI => return Err(DescriptorError::Invalid("H.265 PACI packet")),
            _ => return Err(DescriptorError::Invalid("H.265 NAL unit type")),
        }
        Ok(contents)
    }

    fn read_aggregate(&mut self, mut cursor: Cursor<'_>) -> Result<(), DescriptorError> {
        self.packetization = Packetization::Aggregate;
        let mut first = true;
        while first || !cursor.rest().is_empty() {
            let len = usize::from(cursor.u16()?);
            let mut unit = Cursor::new(cursor.take(len)?);
            let header = UnitHeader::read(&mut unit)?;
            self.read_kind(header.kind, unit.rest(), first);
            first = false;
        }
        Ok(())
    }

    fn read_fragment(&mut self, mut cursor: Cursor<'_>) -> Result<(), DescriptorError> {
        let header = cursor.u8()?;
        let (start, end) = (header & 0x80 != 0, header & 0x40 != 0);
        self.packetization = Packetization::Fragment { start, end };
        self.read_kind(header & 0x3f, cursor.rest(), start);
        Ok(())
    }

    /// `first`: the unit's beginning is in this packet and it is the packet's first.
    fn read_kind(&mut self, kind: u8, body: &[u8], first: bool) {
        if kind <= LAST_SLICE {
            // first_slice_segment_in_pic_flag is the first bit of the slice header.
            self.starts_picture |= first && body.first().is_some_and(|byte| byte & 0x80 != 0);
            self.random_access |= IRAP.contains(&kind);
            self.temporal_switch |= TEMPORAL_SWITCH.contains(&kind);
            self.non_reference |= kind < SUBLAYER_REFERENCES_END && kind.is_multiple_of(2);
        }
        self.parameter_sets |= PARAMETER_SETS.contains(&kind);
        let stands_before =
            PARAMETER_SETS.contains(&kind) || matches!(kind, DELIMITER | PREFIX_SEI);
        self.starts_picture |= first && stands_before;
    }

    /// What the packet says for forwarding.
    pub const fn info(&self, marker: bool) -> PayloadInfo {
        let keyframe = self.random_access || self.parameter_sets;
        PayloadInfo {
            keyframe,
            start_of_frame: self.starts_picture,
            end_of_frame: marker,
            end_of_picture: marker,
            spatial: self.spatial,
            temporal: self.temporal,
            discardable: self.non_reference,
            temporal_switch: keyframe || self.temporal_switch,
            inter_picture: !keyframe,
            inter_layer: self.spatial > 0,
            spatial_leaf: false,
            configuration: self.parameter_sets,
            picture_id: None,
            tl0_pic_idx: None,
            resolution: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Contents, Packetization};
    use crate::descriptors::DescriptorError;

    fn parse(payload: &[u8]) -> Contents {
        Contents::parse(payload).unwrap()
    }

    #[test]
    fn an_aggregate_with_parameter_sets_is_an_entry_point() {
        let ap = [
            0x60, 0x01, 0, 3, 0x40, 0x01, 0x0c, 0, 3, 0x42, 0x01, 0x01, 0, 3, 0x26, 0x01, 0x80,
        ];
        let contents = parse(&ap);
        assert_eq!(contents.packetization, Packetization::Aggregate);
        assert!(contents.parameter_sets && contents.random_access);
        assert!(contents.info(false).is_entry_point());
    }

    #[test]
    fn fragments_of_an_idr_slice_are_keyframe_and_only_the_first_starts() {
        assert!(
            parse(&[0x62, 0x01, 0x93, 0x80])
                .info(false)
                .is_entry_point()
        );
        let middle = parse(&[0x62, 0x01, 0x13, 0x80]).info(false);
        assert!(middle.keyframe && !middle.start_of_frame);
        assert_eq!(
            parse(&[0x62, 0x01, 0x53, 0x80]).packetization,
            Packetization::Fragment {
                start: false,
                end: true
            }
        );
    }

    #[test]
    fn temporal_layers_and_places_to_switch_are_told() {
        let tsa = parse(&[0x06, 0x03, 0x80]).info(true);
        assert_eq!(
            (tsa.temporal, tsa.temporal_switch, tsa.discardable),
            (2, true, false)
        );
        let trail_n = parse(&[0x00, 0x02, 0x80]).info(true);
        assert_eq!((trail_n.temporal, trail_n.discardable), (1, true));
        assert!(!parse(&[0x02, 0x02, 0x00]).info(true).start_of_frame);
        let layered = parse(&[0x02, 0x09, 0x80]).info(true);
        assert_eq!((layered.spatial, layered.inter_layer), (1, true));
    }

    #[test]
    fn broken_units_are_refused() {
        assert_eq!(Contents::parse(&[0x62]), Err(DescriptorError::Truncated));
        assert_eq!(
            Contents::parse(&[0x62, 0x01]),
            Err(DescriptorError::Truncated)
        );
        assert_eq!(
            Contents::parse(&[0x60, 0x01, 0, 9, 0x40]),
            Err(DescriptorError::Truncated)
        );
        assert!(matches!(
            Contents::parse(&[0x02, 0x00]),
            Err(DescriptorError::Invalid(_))
        ));
        assert!(matches!(
            Contents::parse(&[0x64, 0x01]),
            Err(DescriptorError::Invalid(_))
        ));
        assert!(matches!(
            Contents::parse(&[0x7e, 0x01]),
            Err(DescriptorError::Invalid(_))
        ));
    }
}
