//! The AV1 aggregation header and the OBUs behind it (AV1 RTP payload specification, section 4.4).

use super::{Cursor, DescriptorError, PayloadInfo};

/// OBU elements looked at in one packet; what follows them is not read.
const MAX_ELEMENTS: usize = 32;

const OBU_SEQUENCE_HEADER: u8 = 1;
const OBU_TEMPORAL_DELIMITER: u8 = 2;
const OBU_FRAME_HEADER: u8 = 3;
const OBU_FRAME: u8 = 6;

/// The kinds of frame of AV1 (`frame_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameType {
    /// A keyframe.
    Key,
    /// Predicted from others.
    Inter,
    /// Not predicted, but no place to start.
    IntraOnly,
    /// A place to switch between encodings.
    Switch,
}

/// What the aggregation header and the first OBUs of a packet say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregation {
    /// Z: the first element continues one of the packet before.
    pub continues: bool,
    /// Y: the last element goes on in the next packet.
    pub continued: bool,
    /// N: the packet is the first of a coded video sequence.
    pub new_sequence: bool,
    /// A sequence header is among the elements.
    pub sequence_header: bool,
    /// The packet begins with an OBU that may stand before a frame, or with its header.
    pub starts_frame: bool,
    /// Type of the first frame whose header is here; none also for a frame shown again.
    pub frame_type: Option<FrameType>,
    /// Spatial layer of the first OBU that names one.
    pub spatial: u8,
    /// Temporal layer of the first OBU that names one.
    pub temporal: u8,
}

impl Aggregation {
    /// Reads the head of an RTP payload.
    pub fn parse(payload: &[u8]) -> Result<Self, DescriptorError> {
        let mut cursor = Cursor::new(payload);
        let header = cursor.u8()?;
        let mut aggregation = Self {
            continues: header & 0x80 != 0,
            continued: header & 0x40 != 0,
            new_sequence: header & 0x08 != 0,
            sequence_header: false,
            starts_frame: false,
            frame_type: None,
            spatial: 0,
            temporal: 0,
        };
        if aggregation.continues && aggregation.new_sequence {
            return Err(DescriptorError::Invalid(
                "AV1 sequence begins with a continuation",
            ));
        }
        aggregation.read_elements(cursor, usize::from(header >> 4 & 0x03))?;
        Ok(aggregation)
    }

    /// `count` zero: every element has a length; else the last has none.
    fn read_elements(
        &mut self,
        mut cursor: Cursor<'_>,
        count: usize,
    ) -> Result<(), DescriptorError> {
        let limit = if count == 0 { MAX_ELEMENTS } else { count };
        let mut layers_known = false;
        for element in 0..limit {
            if element > 0 && count == 0 && cursor.rest().is_empty() {
                break;
            }
            let obu = if element + 1 == count {
                cursor.rest()
            } else {
                let len = leb128(&mut cursor)?;
                cursor.take(len)?
            };
            if element > 0 || !self.continues {
                self.read_obu(obu, element == 0, &mut layers_known)?;
            }
        }
        Ok(())
    }

    fn read_obu(
        &mut self,
        obu: &[u8],
        first: bool,
        layers_known: &mut bool,
    ) -> Result<(), DescriptorError> {
        let mut cursor = Cursor::new(obu);
        let header = cursor.u8()?;
        let kind = header >> 3 & 0x0f;
        if header & 0x04 != 0 {
            let layers = cursor.u8()?;
            if !*layers_known {
                self.temporal = layers >> 5;
                self.spatial = layers >> 3 & 0x03;
                *layers_known = true;
            }
        }
        if header & 0x02 != 0 {
            leb128(&mut cursor)?;
        }
        let may_start = matches!(
            kind,
            OBU_SEQUENCE_HEADER | OBU_TEMPORAL_DELIMITER | OBU_FRAME_HEADER | OBU_FRAME
        );
        self.starts_frame |= first && may_start;
        self.sequence_header |= kind == OBU_SEQUENCE_HEADER;
        if matches!(kind, OBU_FRAME_HEADER | OBU_FRAME) && self.frame_type.is_none() {
            self.frame_type = cursor.u8().ok().and_then(frame_type);
        }
        Ok(())
    }

    /// What the packet says for forwarding.
    pub const fn info(&self, marker: bool) -> PayloadInfo {
        let key = matches!(self.frame_type, Some(FrameType::Key));
        let switch = matches!(self.frame_type, Some(FrameType::Switch));
        PayloadInfo {
            // N tells the first packet; a sequence header comes with each keyframe.
            keyframe: self.new_sequence || (self.sequence_header && key),
            start_of_frame: self.starts_frame,
            end_of_frame: marker,
            end_of_picture: marker,
            spatial: self.spatial,
            temporal: self.temporal,
            discardable: false,
            temporal_switch: self.new_sequence || key || switch,
            inter_picture: !(self.new_sequence || key),
            // Only the dependency descriptor tells; above the lowest layer it must be assumed.
            inter_layer: self.spatial > 0,
            spatial_leaf: false,
            configuration: self.sequence_header,
            picture_id: None,
            tl0_pic_idx: None,
            resolution: None,
        }
    }
}

/// The frame header begins with `show_existing_frame` and `frame_type`. A sequence of still
/// pictures has neither, but is never sent as a stream.
const fn frame_type(byte: u8) -> Option<FrameType> {
    if byte & 0x80 != 0 {
        return None;
    }
    Some(match byte >> 5 & 0x03 {
        0 => FrameType::Key,
        1 => FrameType::Inter,
        2 => FrameType::IntraOnly,
        _ => FrameType::Switch,
    })
}

/// A length in groups of seven bits, lowest first.
fn leb128(cursor: &mut Cursor<'_>) -> Result<usize, DescriptorError> {
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        let byte = cursor.u8()?;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(DescriptorError::Invalid("AV1 length beyond any packet"))
}

#[cfg(test)]
mod tests {
    use super::{Aggregation, FrameType};
    use crate::descriptors::DescriptorError;

    #[test]
    fn a_new_sequence_is_an_entry_point() {
        // W=2, N=1: sequence header of three bytes, then a key frame to the end.
        let payload = [0x28, 0x03, 0x08, 0x00, 0x00, 0x30, 0x10, 0xaa];
        let aggregation = Aggregation::parse(&payload).unwrap();
        assert_eq!(aggregation.frame_type, Some(FrameType::Key));
        let info = aggregation.info(true);
        assert!(info.is_entry_point() && info.configuration && info.end_of_frame);
    }

    #[test]
    fn layers_are_those_of_the_first_extension() {
        let payload = [0x10, 0x34, 0b0100_1000, 0x30];
        let info = Aggregation::parse(&payload).unwrap().info(false);
        assert_eq!((info.temporal, info.spatial), (2, 1));
        assert!(!info.keyframe && info.start_of_frame && info.inter_picture);
    }

    #[test]
    fn continuations_are_not_taken_for_headers() {
        let payload = [0x90, 0x08, 0x10];
        let aggregation = Aggregation::parse(&payload).unwrap();
        assert!(aggregation.continues && !aggregation.starts_frame && !aggregation.sequence_header);
        assert_eq!(
            Aggregation::parse(&[0x18 | 0x80, 0x08])
                .map(|_| ())
                .unwrap_err(),
            DescriptorError::Invalid("AV1 sequence begins with a continuation")
        );
    }

    #[test]
    fn tile_groups_and_shown_again_frames_start_nothing_new() {
        assert!(
            !Aggregation::parse(&[0x10, 0x20, 0x00])
                .unwrap()
                .starts_frame
        );
        let again = Aggregation::parse(&[0x10, 0x18, 0x80]).unwrap();
        assert_eq!(again.frame_type, None);
        assert!(again.starts_frame && !again.info(true).keyframe);
    }

    #[test]
    fn with_lengths_for_all_any_number_of_elements_is_read() {
        let payload = [0x00, 0x02, 0x10, 0x00, 0x02, 0x08, 0x00, 0x02, 0x30, 0x60];
        let aggregation = Aggregation::parse(&payload).unwrap();
        assert!(aggregation.sequence_header && aggregation.starts_frame);
        assert_eq!(aggregation.frame_type, Some(FrameType::Switch));
    }

    #[test]
    fn lengths_beyond_the_packet_are_refused() {
        assert_eq!(Aggregation::parse(&[0x10]), Err(DescriptorError::Truncated));
        assert_eq!(
            Aggregation::parse(&[0x00, 0x05, 0x08]),
            Err(DescriptorError::Truncated)
        );
        let endless = [0x00, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(
            Aggregation::parse(&endless),
            Err(DescriptorError::Invalid(_))
        ));
    }
}
