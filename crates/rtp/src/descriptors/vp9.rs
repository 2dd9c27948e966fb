//! The VP9 payload descriptor (RFC 9628 section 4.2), flexible and not.

use super::{ByteField, Cursor, DescriptorError, PayloadInfo, PictureId};

/// Reference indices one picture may have.
const MAX_REFERENCES: usize = 3;
/// Spatial layers a scalability structure may have.
pub const MAX_SPATIAL_LAYERS: usize = 8;

/// A VP9 payload descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// I: running number of the picture.
    pub picture_id: Option<PictureId>,
    /// P: the frame is predicted from earlier pictures.
    pub inter_picture: bool,
    /// L: the layer indices.
    pub layers: Option<LayerIndices>,
    /// F: flexible mode, references are listed with each picture.
    pub flexible: bool,
    /// B: the packet begins a frame of one layer.
    pub start_of_frame: bool,
    /// E: the packet ends a frame of one layer.
    pub end_of_frame: bool,
    /// Z: the frame is not a reference for higher spatial layers.
    pub spatial_leaf: bool,
    /// Running number of the lowest temporal layer's pictures (not in flexible mode).
    pub tl0_pic_idx: Option<ByteField>,
    /// P_DIFF: how many pictures back each reference lies (flexible mode).
    pub references: References,
    /// V: the scalability structure.
    pub structure: Option<ScalabilityStructure>,
    /// Length of the descriptor: where the VP9 payload begins.
    pub len: usize,
}

/// The layer indices of a VP9 frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerIndices {
    /// TID: temporal layer.
    pub temporal: u8,
    /// U: a place to switch up to this temporal layer.
    pub switching_up: bool,
    /// SID: spatial layer.
    pub spatial: u8,
    /// D: predicted from the next lower spatial layer of the same picture.
    pub inter_layer: bool,
}

/// Distances to reference pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct References {
    distances: [u8; MAX_REFERENCES],
    len: u8,
}

impl References {
    /// The distances, 1 to 127 pictures back.
    pub fn distances(&self) -> &[u8] {
        &self.distances[..usize::from(self.len)]
    }
}

/// What a scalability structure says of the layers. Its picture group is checked, and read by
/// [`ScalabilityStructure::group`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalabilityStructure {
    /// Number of spatial layers.
    pub spatial_layers: u8,
    /// Width and height of each layer, where given.
    pub resolutions: Option<[(u16, u16); MAX_SPATIAL_LAYERS]>,
    /// Pictures in the picture group, zero when there is none.
    pub group_len: u8,
    /// Byte offset of the picture group in the payload.
    pub group_offset: usize,
}

/// One picture of a picture group (not in flexible mode).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupPicture {
    /// TID: temporal layer.
    pub temporal: u8,
    /// U: a place to switch up to this temporal layer.
    pub switching_up: bool,
    /// How many pictures back each reference lies.
    pub references: References,
}

impl Descriptor {
    /// Reads the descriptor at the head of an RTP payload.
    pub fn parse(payload: &[u8]) -> Result<Self, DescriptorError> {
        let mut cursor = Cursor::new(payload);
        let first = cursor.u8()?;
        let flag = |bit: u8| first & bit != 0;
        let mut descriptor = Self {
            picture_id: None,
            inter_picture: flag(0x40),
            layers: None,
            flexible: flag(0x10),
            start_of_frame: flag(0x08),
            end_of_frame: flag(0x04),
            spatial_leaf: flag(0x01),
            tl0_pic_idx: None,
            references: References::default(),
            structure: None,
            len: 1,
        };
        if flag(0x80) {
            descriptor.picture_id = Some(PictureId::read(&mut cursor)?);
        } else if descriptor.flexible {
            return Err(DescriptorError::Invalid(
                "VP9 flexible mode without a picture ID",
            ));
        }
        if flag(0x20) {
            descriptor.layers = Some(LayerIndices::read(&mut cursor)?);
            if !descriptor.flexible {
                descriptor.tl0_pic_idx = Some(ByteField::read(&mut cursor)?);
            }
        }
        if descriptor.flexible && descriptor.inter_picture {
            descriptor.references = References::read(&mut cursor)?;
        }
        if flag(0x02) {
            descriptor.structure = Some(ScalabilityStructure::read(&mut cursor)?);
        }
        descriptor.len = cursor.position();
        Ok(descriptor)
    }

    /// What the descriptor says for forwarding.
    pub fn info(&self, marker: bool) -> PayloadInfo {
        let spatial = self.layers.map_or(0, |layers| layers.spatial);
        let inter_layer = self.layers.is_some_and(|layers| layers.inter_layer);
        PayloadInfo {
            keyframe: !self.inter_picture,
            start_of_frame: self.start_of_frame,
            end_of_frame: self.end_of_frame,
            end_of_picture: marker,
            spatial,
            temporal: self.layers.map_or(0, |layers| layers.temporal),
            discardable: false,
            temporal_switch: self.layers.is_some_and(|layers| layers.switching_up),
            inter_picture: self.inter_picture,
            inter_layer,
            spatial_leaf: self.spatial_leaf,
            configuration: self.structure.is_some(),
            picture_id: self.picture_id.map(|id| id.value),
            tl0_pic_idx: self.tl0_pic_idx.map(|field| field.value),
            resolution: self.structure.and_then(|structure| structure.largest()),
        }
    }
}

impl LayerIndices {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DescriptorError> {
        let byte = cursor.u8()?;
        Ok(Self {
            temporal: byte >> 5,
            switching_up: byte & 0x10 != 0,
            spatial: byte >> 1 & 0x07,
            inter_layer: byte & 0x01 != 0,
        })
    }
}

impl References {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DescriptorError> {
        let mut references = Self::default();
        loop {
            let byte = cursor.u8()?;
            let slot = references.distances.get_mut(usize::from(references.len));
            *slot.ok_or(DescriptorError::TooMany("VP9 references"))? = byte >> 1;
            references.len += 1;
            if byte & 0x01 == 0 {
                return Ok(references);
            }
        }
    }
}

impl GroupPicture {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DescriptorError> {
        let head = cursor.u8()?;
        let mut references = References::default();
        for _ in 0..head >> 2 & 0x03 {
            let slot = references.distances.get_mut(usize::from(references.len));
            *slot.ok_or(DescriptorError::TooMany("VP9 references"))? = cursor.u8()?;
            references.len += 1;
        }
        Ok(Self {
            temporal: head >> 5,
            switching_up: head & 0x10 != 0,
            references,
        })
    }
}

impl ScalabilityStructure {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DescriptorError> {
        let head = cursor.u8()?;
        let mut structure = Self {
            spatial_layers: (head >> 5) + 1,
            resolutions: None,
            group_len: 0,
            group_offset: 0,
        };
        if head & 0x10 != 0 {
            let mut resolutions = [(0, 0); MAX_SPATIAL_LAYERS];
            for slot in resolutions
                .iter_mut()
                .take(usize::from(structure.spatial_layers))
            {
                *slot = (cursor.u16()?, cursor.u16()?);
            }
            structure.resolutions = Some(resolutions);
        }
        if head & 0x08 != 0 {
            structure.group_len = cursor.u8()?;
            structure.group_offset = cursor.position();
            for _ in 0..structure.group_len {
                let references = cursor.u8()? >> 2 & 0x03;
                cursor.take(usize::from(references))?;
            }
        }
        Ok(structure)
    }

    /// The pictures of the picture group, from the payload the structure was read from.
    pub fn group<'a>(&self, payload: &'a [u8]) -> impl Iterator<Item = GroupPicture> + use<'a> {
        let mut cursor = Cursor::new(payload.get(self.group_offset..).unwrap_or_default());
        (0..self.group_len).map_while(move |_| GroupPicture::read(&mut cursor).ok())
    }

    /// The size of the highest layer that has one.
    pub fn largest(&self) -> Option<(u16, u16)> {
        let resolutions = self.resolutions?;
        resolutions[..usize::from(self.spatial_layers)]
            .iter()
            .rev()
            .find(|size| size.0 > 0)
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::Descriptor;
    use crate::descriptors::DescriptorError;

    #[test]
    fn a_layered_keyframe_in_non_flexible_mode_is_read_in_full() {
        // I, L, B, V; 15-bit picture ID; layer byte; TL0PICIDX; two layers with sizes, a group
        // of two pictures with one reference each.
        let payload = [
            0xaa, 0x81, 0x02, 0x10, 0x42, 0x38, 0x01, 0x40, 0x00, 0xb4, 0x02, 0x80, 0x01, 0x68,
            0x02, 0x04, 0x02, 0x34, 0x01, 0xff,
        ];
        let descriptor = Descriptor::parse(&payload).unwrap();
        assert_eq!(descriptor.len, 19);
        let structure = descriptor.structure.unwrap();
        assert_eq!((structure.spatial_layers, structure.group_len), (2, 2));
        let group: Vec<_> = structure.group(&payload).collect();
        assert_eq!(group.len(), 2);
        assert_eq!((group[0].temporal, group[1].temporal), (0, 1));
        assert_eq!(group[0].references.distances(), [2]);
        assert_eq!(group[1].references.distances(), [1]);
        assert!(group[1].switching_up && !group[0].switching_up);
        let info = descriptor.info(false);
        assert!(info.keyframe && info.is_entry_point() && info.temporal_switch);
        assert_eq!(info.picture_id, Some(0x0102));
        assert_eq!(info.tl0_pic_idx, Some(0x42));
        assert_eq!(info.resolution, Some((640, 360)));
        assert_eq!(descriptor.tl0_pic_idx.unwrap().offset, 4);
        assert_eq!(descriptor.picture_id.unwrap().offset, 1);
    }

    #[test]
    fn flexible_mode_lists_references_and_has_no_tl0() {
        let payload = [0xf4, 0x05, 0b0100_0011, 0x03, 0x05, 0x08, 0x00];
        let descriptor = Descriptor::parse(&payload).unwrap();
        assert_eq!(descriptor.references.distances(), [1, 2, 4]);
        assert_eq!(descriptor.tl0_pic_idx, None);
        let info = descriptor.info(true);
        assert_eq!((info.temporal, info.spatial), (2, 1));
        assert!(info.inter_layer && info.end_of_frame && info.end_of_picture && !info.keyframe);
        assert!(!info.start_of_frame && !info.temporal_switch);
    }

    #[test]
    fn an_upper_layer_of_a_keyframe_is_no_entry_point() {
        let payload = [0xa8, 0x05, 0b0000_0011, 0x00, 0x00];
        let info = Descriptor::parse(&payload).unwrap().info(false);
        assert!(info.keyframe && info.inter_layer && !info.is_entry_point());
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(matches!(
            Descriptor::parse(&[0x10, 0x00]),
            Err(DescriptorError::Invalid(_))
        ));
        let four = [0xd0, 0x01, 0x03, 0x03, 0x03, 0x03, 0x02];
        assert_eq!(
            Descriptor::parse(&four),
            Err(DescriptorError::TooMany("VP9 references"))
        );
    }

    #[test]
    fn a_descriptor_cut_anywhere_is_truncated() {
        let payload = [
            0xaa, 0x81, 0x02, 0x10, 0x42, 0x18, 0x01, 0x40, 0x00, 0xb4, 0x01, 0x04, 0x02,
        ];
        for len in 0..payload.len() {
            assert_eq!(
                Descriptor::parse(&payload[..len]),
                Err(DescriptorError::Truncated)
            );
        }
        assert_eq!(Descriptor::parse(&payload).unwrap().len, payload.len());
    }
}
