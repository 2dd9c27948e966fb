//! H.264 packetisation (RFC 6184): single NAL units, STAP-A, FU-A; layers of RFC 6190.

use super::{Cursor, DescriptorError, PayloadInfo};

const SLICE: u8 = 1;
const IDR: u8 = 5;
const SEI: u8 = 6;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;
const PREFIX: u8 = 14;
const SUBSET_SPS: u8 = 15;
const LAYER_SLICE: u8 = 20;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// How a packet carries its NAL units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packetization {
    /// One NAL unit.
    Single,
    /// Several NAL units (STAP-A).
    Aggregate,
    /// A piece of one NAL unit (FU-A).
    Fragment {
        /// S: the first piece.
        start: bool,
        /// E: the last piece.
        end: bool,
    },
}

/// What the NAL units of a packet say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// How they are carried.
    pub packetization: Packetization,
    /// Slices of an IDR picture are among them.
    pub idr: bool,
    /// A sequence parameter set is among them.
    pub sequence_parameters: bool,
    /// A picture parameter set is among them.
    pub picture_parameters: bool,
    /// The first unit begins a picture, or may stand before its first slice.
    pub starts_picture: bool,
    /// `nal_ref_idc` of all slices is zero: no picture refers to this one.
    pub non_reference: bool,
    /// Temporal layer, where a prefix or layer NAL unit says it (RFC 6190).
    pub temporal: u8,
    /// Spatial layer (`dependency_id`), likewise.
    pub spatial: u8,
    slices: bool,
}

impl Contents {
    /// Reads the head of an RTP payload.
    pub fn parse(payload: &[u8]) -> Result<Self, DescriptorError> {
        let mut cursor = Cursor::new(payload);
        let header = cursor.u8()?;
        let mut contents = Self {
            packetization: Packetization::Single,
            idr: false,
            sequence_parameters: false,
            picture_parameters: false,
            starts_picture: false,
            non_reference: false,
            temporal: 0,
            spatial: 0,
            slices: false,
        };
        match header & 0x1f {
            1..=23 => contents.read_unit(payload, true)?,
            STAP_A => {
                contents.packetization = Packetization::Aggregate;
                contents.read_aggregate(cursor)?;
            }
            FU_A => contents.read_fragment(header, cursor)?,
            // STAP-B, MTAP and FU-B belong to the interleaved mode, which WebRTC excludes
            // (RFC 7742 section 6.2).
            _ => return Err(DescriptorError::Invalid("H.264 NAL unit type")),
        }
        Ok(contents)
    }

    fn read_aggregate(&mut self, mut cursor: Cursor<'_>) -> Result<(), DescriptorError> {
        let mut first = true;
        while first || !cursor.rest().is_empty() {
            let len = usize::from(cursor.u16()?);
            self.read_unit(cursor.take(len)?, first)?;
            first = false;
        }
        Ok(())
    }

    fn read_fragment(
        &mut self,
        indicator: u8,
        mut cursor: Cursor<'_>,
    ) -> Result<(), DescriptorError> {
        let header = cursor.u8()?;
        let (start, end) = (header & 0x80 != 0, header & 0x40 != 0);
        self.packetization = Packetization::Fragment { start, end };
        self.read_kind(indicator & 0x60 | header & 0x1f, cursor.rest(), start);
        Ok(())
    }

    fn read_unit(&mut self, unit: &[u8], first: bool) -> Result<(), DescriptorError> {
        let header = *unit.first().ok_or(DescriptorError::Truncated)?;
        self.read_kind(header, &unit[1..], first);
        Ok(())
    }

    /// `first`: the unit's beginning is in this packet and it is the packet's first.
    fn read_kind(&mut self, header: u8, body: &[u8], first: bool) {
        let kind = header & 0x1f;
        match kind {
            SLICE..=IDR => {
                let reference = header & 0x60 != 0;
                self.non_reference = !reference && (self.non_reference || !self.slices);
                self.slices = true;
                self.idr |= kind == IDR;
                self.starts_picture |= first && is_first_slice(body);
            }
            PREFIX | LAYER_SLICE => self.read_layers(body),
            SPS | SUBSET_SPS => self.sequence_parameters = true,
            PPS => self.picture_parameters = true,
            _ => {}
        }
        self.starts_picture |= first && matches!(kind, SEI..=DELIMITER | PREFIX | SUBSET_SPS);
    }

    /// The three bytes of a prefix or layer slice (RFC 6190 section 1.1.3), unless they are
    /// those of multi-view coding.
    fn read_layers(&mut self, body: &[u8]) {
        if let [flags, layer, temporal, ..] = body
            && flags & 0x80 != 0
        {
            self.idr |= flags & 0x40 != 0;
            self.spatial = layer >> 4 & 0x07;
            self.temporal = temporal >> 5;
        }
    }

    /// What the packet says for forwarding.
    pub const fn info(&self, marker: bool) -> PayloadInfo {
        let keyframe = self.idr || self.sequence_parameters;
        PayloadInfo {
            keyframe,
            start_of_frame: self.starts_picture,
            end_of_frame: marker,
            end_of_picture: marker,
            spatial: self.spatial,
            temporal: self.temporal,
            discardable: self.non_reference,
            temporal_switch: keyframe,
            inter_picture: !keyframe,
            inter_layer: self.spatial > 0,
            spatial_leaf: self.spatial > 0,
            configuration: self.sequence_parameters || self.picture_parameters,
            picture_id: None,
            tl0_pic_idx: None,
            resolution: None,
        }
    }
}

/// `first_mb_in_slice` is an Exp-Golomb number; zero is a single one bit.
fn is_first_slice(body: &[u8]) -> bool {
    body.first().is_some_and(|byte| byte & 0x80 != 0)
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
        let stap = [
            0x78, 0, 3, 0x67, 0x42, 0x00, 0, 2, 0x68, 0xce, 0, 3, 0x65, 0x88, 0x84,
        ];
        let contents = parse(&stap);
        assert_eq!(contents.packetization, Packetization::Aggregate);
        assert!(contents.sequence_parameters && contents.picture_parameters && contents.idr);
        let info = contents.info(false);
        assert!(info.is_entry_point() && info.configuration && !info.end_of_frame);
    }

    #[test]
    fn fragments_of_an_idr_slice_are_keyframe_and_only_the_first_starts() {
        let first = parse(&[0x7c, 0x85, 0x88]);
        assert!(first.info(false).is_entry_point());
        let middle = parse(&[0x7c, 0x05, 0x88]);
        assert_eq!(
            middle.packetization,
            Packetization::Fragment {
                start: false,
                end: false
            }
        );
        assert!(middle.info(false).keyframe && !middle.info(false).start_of_frame);
        assert!(parse(&[0x7c, 0x45, 0x88]).info(true).end_of_frame);
    }

    #[test]
    fn later_slices_of_a_picture_do_not_start_it() {
        assert!(parse(&[0x41, 0x9a]).info(false).start_of_frame);
        assert!(!parse(&[0x41, 0x5a]).info(false).start_of_frame);
        assert!(parse(&[0x09, 0xf0]).info(false).start_of_frame);
    }

    #[test]
    fn slices_without_reference_are_discardable() {
        assert!(parse(&[0x01, 0x9a]).info(true).discardable);
        assert!(!parse(&[0x41, 0x9a]).info(true).discardable);
        // Parameter sets with nal_ref_idc zero do not make a packet discardable.
        assert!(!parse(&[0x06, 0x01]).info(true).discardable);
        let mixed = [0x78, 0, 2, 0x01, 0x9a, 0, 2, 0x41, 0x5a];
        assert!(!parse(&mixed).info(true).discardable);
        let reversed = [0x78, 0, 2, 0x41, 0x9a, 0, 2, 0x01, 0x5a];
        assert!(!parse(&reversed).info(true).discardable);
    }

    #[test]
    fn layers_come_from_the_prefix_unit() {
        let info = parse(&[0x78, 0, 4, 0x6e, 0x80, 0x10, 0x40, 0, 2, 0x41, 0x9a]).info(false);
        assert_eq!((info.spatial, info.temporal), (1, 2));
    }

    #[test]
    fn broken_units_are_refused() {
        assert_eq!(Contents::parse(&[0x78]), Err(DescriptorError::Truncated));
        assert_eq!(
            Contents::parse(&[0x78, 0, 4, 0x67]),
            Err(DescriptorError::Truncated)
        );
        assert_eq!(
            Contents::parse(&[0x78, 0, 0]),
            Err(DescriptorError::Truncated)
        );
        assert_eq!(Contents::parse(&[0x7c]), Err(DescriptorError::Truncated));
        assert!(matches!(
            Contents::parse(&[0x60]),
            Err(DescriptorError::Invalid(_))
        ));
        assert!(matches!(
            Contents::parse(&[0x7a, 0]),
            Err(DescriptorError::Invalid(_))
        ));
    }
}
