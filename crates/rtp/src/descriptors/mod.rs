//! Payload descriptors: what a codec's payload header says about the frame it carries.
//!
//! Each codec has a file with its full descriptor; [`describe`] reduces any of them to the
//! [`PayloadInfo`] that forwarding needs. Only the first bytes of a payload are read and nothing
//! is allocated. The [dependency descriptor](dependency_descriptor) says the same and more in a
//! header extension, for every codec and for payloads that cannot be read.

pub mod av1;
pub mod dependency_descriptor;
pub mod h264;
pub mod h265;
pub mod vp8;
pub mod vp9;

use crate::{Codec, MediaKind};
use thiserror::Error;

/// Why a payload or a descriptor could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DescriptorError {
    /// It ends before its fields do.
    #[error("descriptor ends early")]
    Truncated,
    /// A reserved or contradictory value.
    #[error("{0}")]
    Invalid(&'static str),
    /// More elements than are kept.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// The descriptor refers to a template structure that has not come yet.
    #[error("no template structure yet")]
    NoStructure,
    /// No descriptor is known for this codec.
    #[error("no payload descriptor for {0:?}")]
    Unsupported(Codec),
    /// The output buffer is too small.
    #[error("no room to write the descriptor")]
    NoSpace,
}

/// What forwarding needs to know of one packet's payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayloadInfo {
    /// The packet shows that it belongs to a picture from which decoding can start. The first
    /// packet of such a picture always shows it; later ones may not (VP8). For H.264 and H.265
    /// its parameter sets count as part of it.
    pub keyframe: bool,
    /// The packet begins a frame (of one spatial layer). H.264 and H.265 have no such flag: true
    /// for what may stand before a picture's first slice, and for that slice, so a picture with
    /// its parameter sets in packets of their own shows several.
    pub start_of_frame: bool,
    /// The packet ends a frame (of one spatial layer); the marker where the codec has no flag.
    pub end_of_frame: bool,
    /// The packet ends a picture with all its spatial layers: the marker.
    pub end_of_picture: bool,
    /// Spatial layer, zero the lowest.
    pub spatial: u8,
    /// Temporal layer, zero the lowest.
    pub temporal: u8,
    /// No other frame of this stream's same or lower layers refers to this one.
    pub discardable: bool,
    /// From this frame on the temporal layer it belongs to can be forwarded to a receiver who
    /// had only lower ones.
    pub temporal_switch: bool,
    /// The frame is predicted from earlier pictures. False also opens a way up in spatial
    /// layers. True where the payload does not say.
    pub inter_picture: bool,
    /// The frame is predicted from a lower spatial layer of the same picture.
    pub inter_layer: bool,
    /// Higher spatial layers of the same picture do not refer to this frame.
    pub spatial_leaf: bool,
    /// The packet carries what a decoder must have first: parameter sets, sequence header,
    /// scalability structure.
    pub configuration: bool,
    /// Running number of the picture, 7 or 15 bits (VP8, VP9).
    pub picture_id: Option<u16>,
    /// Running number of the lowest temporal layer's pictures (VP8, VP9).
    pub tl0_pic_idx: Option<u8>,
    /// Width and height, where the packet's first bytes tell them (VP8 keyframes, VP9
    /// scalability structure: its largest).
    pub resolution: Option<(u16, u16)>,
}

impl PayloadInfo {
    /// Whether a receiver who has nothing yet can begin with this packet.
    pub const fn is_entry_point(&self) -> bool {
        self.keyframe && self.start_of_frame && !self.inter_layer
    }

    /// What is known of a packet that is a whole frame in itself, as audio packets are.
    pub const fn whole_frame() -> Self {
        Self {
            keyframe: true,
            start_of_frame: true,
            end_of_frame: true,
            end_of_picture: true,
            spatial: 0,
            temporal: 0,
            discardable: false,
            temporal_switch: false,
            inter_picture: false,
            inter_layer: false,
            spatial_leaf: true,
            configuration: false,
            picture_id: None,
            tl0_pic_idx: None,
            resolution: None,
        }
    }
}

/// Describes the payload of one packet. Audio packets are whole frames by themselves; a video
/// codec without a reader here, and what is no medium (RTX, FEC), is
/// [`DescriptorError::Unsupported`].
pub fn describe(
    codec: Codec,
    payload: &[u8],
    marker: bool,
) -> Result<PayloadInfo, DescriptorError> {
    match codec {
        Codec::Vp8 => vp8::Descriptor::parse(payload).map(|d| d.info(payload, marker)),
        Codec::Vp9 => vp9::Descriptor::parse(payload).map(|d| d.info(marker)),
        Codec::Av1 => av1::Aggregation::parse(payload).map(|a| a.info(marker)),
        Codec::H264 => h264::Contents::parse(payload).map(|c| c.info(marker)),
        Codec::H265 => h265::Contents::parse(payload).map(|c| c.info(marker)),
        other if other.kind() == Some(MediaKind::Audio) => Ok(PayloadInfo::whole_frame()),
        other => Err(DescriptorError::Unsupported(other)),
    }
}

/// A reader of bytes that ends in [`DescriptorError::Truncated`].
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DescriptorError> {
        let byte = *self.bytes.get(self.at).ok_or(DescriptorError::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DescriptorError> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], DescriptorError> {
        let end = self.at.checked_add(len).ok_or(DescriptorError::Truncated)?;
        let taken = self
            .bytes
            .get(self.at..end)
            .ok_or(DescriptorError::Truncated)?;
        self.at = end;
        Ok(taken)
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }
}

/// Where a 7- or 15-bit picture ID stands in a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureId {
    /// The number itself.
    pub value: u16,
    /// 15 bits in two bytes instead of 7 in one.
    pub wide: bool,
    /// Byte offset in the payload.
    pub offset: usize,
}

impl PictureId {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DescriptorError> {
        let offset = cursor.position();
        let first = cursor.u8()?;
        let wide = first & 0x80 != 0;
        let mut value = u16::from(first & 0x7f);
        if wide {
            value = value << 8 | u16::from(cursor.u8()?);
        }
        Ok(Self {
            value,
            wide,
            offset,
        })
    }

    /// The number of values it counts through before it wraps.
    pub const fn modulus(&self) -> u32 {
        if self.wide { 1 << 15 } else { 1 << 7 }
    }

    /// Writes another number over it, shortened to the bits there are. False when `payload` is
    /// not the one it was read from.
    #[must_use]
    pub fn overwrite(&self, payload: &mut [u8], value: u16) -> bool {
        if self.wide {
            let Some(bytes) = payload.get_mut(self.offset..self.offset + 2) else {
                return false;
            };
            bytes.copy_from_slice(&(value | 0x8000).to_be_bytes());
        } else {
            let Some(byte) = payload.get_mut(self.offset) else {
                return false;
            };
            *byte = (value & 0x7f) as u8;
        }
        true
    }
}

/// A one-byte field and where it stands in a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteField {
    /// Its value.
    pub value: u8,
    /// Byte offset in the payload.
    pub offset: usize,
}

impl ByteField {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, DescriptorError> {
        let offset = cursor.position();
        Ok(Self {
            value: cursor.u8()?,
            offset,
        })
    }

    /// Writes another value over it. False when `payload` is not the one it was read from.
    #[must_use]
    pub fn overwrite(&self, payload: &mut [u8], value: u8) -> bool {
        payload
            .get_mut(self.offset)
            .map(|byte| *byte = value)
            .is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{DescriptorError, PayloadInfo, describe};
    use crate::Codec;
    use proptest::prelude::*;

    const VIDEO: [Codec; 5] = [Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H264, Codec::H265];

    #[test]
    fn audio_is_whole_frames_and_repair_is_not_described() {
        assert_eq!(
            describe(Codec::Opus, &[], false),
            Ok(PayloadInfo::whole_frame())
        );
        assert_eq!(
            describe(Codec::Rtx, &[1, 2], true),
            Err(DescriptorError::Unsupported(Codec::Rtx))
        );
    }

    #[test]
    fn an_empty_video_payload_is_refused() {
        for codec in VIDEO {
            assert_eq!(
                describe(codec, &[], true),
                Err(DescriptorError::Truncated),
                "{codec:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_description_or_an_error(
            payload in prop::collection::vec(any::<u8>(), 0..80),
            marker: bool,
        ) {
            for codec in VIDEO {
                if let Ok(info) = describe(codec, &payload, marker) {
                    prop_assert_eq!(info.end_of_picture, marker);
                    prop_assert!(info.end_of_frame || !marker || codec == Codec::Vp9);
                }
            }
        }
    }
}
