//! The VP8 payload descriptor (RFC 7741 section 4.2).

use super::{ByteField, Cursor, DescriptorError, PayloadInfo, PictureId};

/// A VP8 payload descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// N: no other frame refers to this one.
    pub non_reference: bool,
    /// S: the packet begins a partition.
    pub start_of_partition: bool,
    /// PID: index of the partition.
    pub partition: u8,
    /// I: running number of the picture.
    pub picture_id: Option<PictureId>,
    /// L: running number of the lowest temporal layer's pictures.
    pub tl0_pic_idx: Option<ByteField>,
    /// T: temporal layer, and Y: whether it refers to the lowest layer only, so that it is a
    /// place to switch up.
    pub temporal: Option<TemporalLayer>,
    /// K: running number of keyframes, and where its byte stands; its value is the low 5 bits.
    pub key_index: Option<ByteField>,
    /// Length of the descriptor: where the VP8 payload begins.
    pub len: usize,
}

/// The temporal layer of a VP8 frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemporalLayer {
    /// TID, 0 to 3.
    pub id: u8,
    /// Y: the frame refers to frames of the lowest layer only.
    pub layer_sync: bool,
}

impl Descriptor {
    /// Reads the descriptor at the head of an RTP payload.
    pub fn parse(payload: &[u8]) -> Result<Self, DescriptorError> {
        let mut cursor = Cursor::new(payload);
        let first = cursor.u8()?;
        let mut descriptor = Self {
            non_reference: first & 0x20 != 0,
            start_of_partition: first & 0x10 != 0,
            partition: first & 0x07,
            picture_id: None,
            tl0_pic_idx: None,
            temporal: None,
            key_index: None,
            len: 1,
        };
        if first & 0x80 != 0 {
            descriptor.read_extension(&mut cursor)?;
            descriptor.len = cursor.position();
        }
        Ok(descriptor)
    }

    fn read_extension(&mut self, cursor: &mut Cursor<'_>) -> Result<(), DescriptorError> {
        let present = cursor.u8()?;
        if present & 0x80 != 0 {
            self.picture_id = Some(PictureId::read(cursor)?);
        }
        if present & 0x40 != 0 {
            self.tl0_pic_idx = Some(ByteField::read(cursor)?);
        }
        if present & 0x30 != 0 {
            let field = ByteField::read(cursor)?;
            if present & 0x20 != 0 {
                let (id, layer_sync) = (field.value >> 6, field.value & 0x20 != 0);
                self.temporal = Some(TemporalLayer { id, layer_sync });
            }
            if present & 0x10 != 0 {
                self.key_index = Some(ByteField {
                    value: field.value & 0x1f,
                    ..field
                });
            }
        }
        Ok(())
    }

    /// Whether the packet is the first one of its frame.
    pub const fn starts_frame(&self) -> bool {
        self.start_of_partition && self.partition == 0
    }

    /// What the descriptor and the payload header behind it say for forwarding.
    pub fn info(&self, payload: &[u8], marker: bool) -> PayloadInfo {
        let frame = payload.get(self.len..).unwrap_or_default();
        let keyframe = self.starts_frame() && is_keyframe(frame);
        PayloadInfo {
            keyframe,
            start_of_frame: self.starts_frame(),
            end_of_frame: marker,
            end_of_picture: marker,
            spatial: 0,
            temporal: self.temporal.map_or(0, |layer| layer.id),
            discardable: self.non_reference,
            temporal_switch: self.temporal.is_some_and(|layer| layer.layer_sync),
            inter_picture: !keyframe,
            inter_layer: false,
            spatial_leaf: true,
            configuration: keyframe,
            picture_id: self.picture_id.map(|id| id.value),
            tl0_pic_idx: self.tl0_pic_idx.map(|field| field.value),
            resolution: if keyframe { resolution(frame) } else { None },
        }
    }
}

/// The P bit of the frame tag, inverted (RFC 6386 section 9.1).
fn is_keyframe(frame: &[u8]) -> bool {
    frame.first().is_some_and(|tag| tag & 0x01 == 0)
}

/// The size in a keyframe's header: three bytes of tag, a start code, then 14 bits each.
fn resolution(frame: &[u8]) -> Option<(u16, u16)> {
    let header = frame.get(3..10)?;
    if header[..3] != [0x9d, 0x01, 0x2a] {
        return None;
    }
    let size = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]) & 0x3fff;
    Some((size(3), size(5)))
}

#[cfg(test)]
mod tests {
    use super::Descriptor;
    use crate::descriptors::{DescriptorError, PayloadInfo};

    fn info(payload: &[u8], marker: bool) -> PayloadInfo {
        Descriptor::parse(payload).unwrap().info(payload, marker)
    }

    #[test]
    fn a_keyframe_shows_itself_and_its_size() {
        // The frame header of a 640x480 keyframe.
        let payload = [
            0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01,
        ];
        let info = info(&payload, false);
        assert!(info.keyframe && info.start_of_frame && info.is_entry_point());
        assert!(!info.end_of_frame);
        assert_eq!(info.resolution, Some((640, 480)));
    }

    #[test]
    fn only_the_first_partition_starts_a_frame() {
        assert!(!info(&[0x11, 0x00], false).start_of_frame);
        assert!(!info(&[0x11, 0x00], false).keyframe);
        assert!(!info(&[0x00, 0x00], true).keyframe);
        assert!(info(&[0x10, 0x01], true).end_of_frame);
    }

    #[test]
    fn all_extension_fields_are_found_where_they_stand() {
        let payload = [0xb0, 0xf0, 0x92, 0x34, 0x77, 0b1010_0101, 0x01];
        let descriptor = Descriptor::parse(&payload).unwrap();
        let picture_id = descriptor.picture_id.unwrap();
        assert_eq!(
            (picture_id.value, picture_id.wide, picture_id.offset),
            (0x1234, true, 2)
        );
        let tl0 = descriptor.tl0_pic_idx.unwrap();
        assert_eq!((tl0.value, tl0.offset), (0x77, 4));
        let key_index = descriptor.key_index.unwrap();
        assert_eq!((key_index.value, key_index.offset), (5, 5));
        assert_eq!(descriptor.len, 6);
        let info = info(&payload, false);
        assert_eq!(
            (info.temporal, info.temporal_switch, info.discardable),
            (2, true, true)
        );
    }

    #[test]
    fn picture_id_and_tl0_are_rewritten_in_place() {
        let mut payload = [0x90, 0xc0, 0x92, 0x34, 0x77, 0x01];
        let descriptor = Descriptor::parse(&payload).unwrap();
        assert!(
            descriptor
                .picture_id
                .unwrap()
                .overwrite(&mut payload, 0x7fff)
        );
        assert!(descriptor.tl0_pic_idx.unwrap().overwrite(&mut payload, 9));
        assert_eq!(payload, [0x90, 0xc0, 0xff, 0xff, 0x09, 0x01]);
        let mut short = [0x90, 0x80, 0x12, 0x01];
        let id = Descriptor::parse(&short).unwrap().picture_id.unwrap();
        assert_eq!((id.value, id.modulus()), (0x12, 128));
        assert!(id.overwrite(&mut short, 0x1ff));
        assert_eq!(short[2], 0x7f);
        assert!(!id.overwrite(&mut [0; 2], 1));
    }

    #[test]
    fn a_descriptor_cut_anywhere_is_truncated() {
        let payload = [0x90, 0xf0, 0x92, 0x34, 0x77, 0x25];
        for len in 0..payload.len() {
            assert_eq!(
                Descriptor::parse(&payload[..len]),
                Err(DescriptorError::Truncated)
            );
        }
        assert!(Descriptor::parse(&payload).is_ok());
    }
}
