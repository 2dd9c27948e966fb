//! Extensions about video frames.

use super::{ExtensionError, ExtensionKind, ExtensionValue, exact, put};

/// How a picture is to be turned for display (3GPP TS 26.114 section 7.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct VideoOrientation {
    /// Whether the camera looks away from its user.
    pub back_camera: bool,
    /// Whether the picture is mirrored.
    pub flip: bool,
    /// Quarter turns, 0-3, that the picture was turned counter-clockwise.
    pub quarter_turns: u8,
}

impl ExtensionValue<'_> for VideoOrientation {
    const KIND: ExtensionKind = ExtensionKind::VideoOrientation;

    fn decode(value: &[u8]) -> Result<Self, ExtensionError> {
        let [byte] = exact(Self::KIND, value)?;
        Ok(Self {
            back_camera: byte & 0x08 != 0,
            flip: byte & 0x04 != 0,
            quarter_turns: byte & 0x03,
        })
    }

    fn encode(&self, out: &mut [u8]) -> Result<usize, ExtensionError> {
        if self.quarter_turns > 3 {
            return Err(ExtensionError::Value(Self::KIND));
        }
        let flags = (u8::from(self.back_camera) << 3) | (u8::from(self.flip) << 2);
        put(out, &[flags | self.quarter_turns])
    }
}

/// What a forwarder needs to know of a frame whose payload it cannot read (RFC 9626 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FrameMarking {
    /// First packet of a frame.
    pub start: bool,
    /// Last packet of a frame.
    pub end: bool,
    /// The frame can be decoded without any other.
    pub independent: bool,
    /// The frame is used by no other.
    pub discardable: bool,
    /// The frame depends only on the base temporal layer (a switching point).
    pub base_layer_sync: bool,
    /// Temporal layer, 0-7.
    pub temporal: u8,
    /// Spatial or quality layer, as the payload format numbers them; absent in the short forms.
    pub layer: Option<u8>,
    /// Running number of base layer frames; only there where `layer` is.
    pub tl0_picture: Option<u8>,
}

impl ExtensionValue<'_> for FrameMarking {
    const KIND: ExtensionKind = ExtensionKind::FrameMarking;

    fn decode(value: &[u8]) -> Result<Self, ExtensionError> {
        let (byte, layer, tl0_picture) = match *value {
            [byte] => (byte, None, None),
            [byte, layer] => (byte, Some(layer), None),
            [byte, layer, tl0] => (byte, Some(layer), Some(tl0)),
            _ => return Err(ExtensionError::Length(Self::KIND)),
        };
        Ok(Self {
            start: byte & 0x80 != 0,
            end: byte & 0x40 != 0,
            independent: byte & 0x20 != 0,
            discardable: byte & 0x10 != 0,
            base_layer_sync: byte & 0x08 != 0,
            temporal: byte & 0x07,
            layer,
            tl0_picture,
        })
    }

    fn encode(&self, out: &mut [u8]) -> Result<usize, ExtensionError> {
        if self.temporal > 7 || (self.layer.is_none() && self.tl0_picture.is_some()) {
            return Err(ExtensionError::Value(Self::KIND));
        }
        let flags = [
            self.start,
            self.end,
            self.independent,
            self.discardable,
            self.base_layer_sync,
        ];
        let high = flags
            .iter()
            .fold(0, |bits, flag| (bits << 1) | u8::from(*flag));
        let bytes = [
            (high << 3) | self.temporal,
            self.layer.unwrap_or(0),
            self.tl0_picture.unwrap_or(0),
        ];
        let len = 1 + usize::from(self.layer.is_some()) + usize::from(self.tl0_picture.is_some());
        put(out, &bytes[..len])
    }
}

/// The bytes of a dependency descriptor. They are read in `descriptors`, which keeps the
/// template structure that most of them refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DependencyDescriptorBytes<'a>(pub &'a [u8]);

/// From the mandatory fields alone to what a two-byte element can carry.
const DESCRIPTOR_LENGTHS: std::ops::RangeInclusive<usize> = 3..=255;

impl DependencyDescriptorBytes<'_> {
    fn checked(self) -> Result<Self, ExtensionError> {
        let fits = DESCRIPTOR_LENGTHS.contains(&self.0.len());
        fits.then_some(self)
            .ok_or(ExtensionError::Length(ExtensionKind::DependencyDescriptor))
    }
}

impl<'a> ExtensionValue<'a> for DependencyDescriptorBytes<'a> {
    const KIND: ExtensionKind = ExtensionKind::DependencyDescriptor;

    #[inline]
    fn decode(value: &'a [u8]) -> Result<Self, ExtensionError> {
        Self(value).checked()
    }

    #[inline]
    fn encode(&self, out: &mut [u8]) -> Result<usize, ExtensionError> {
        put(out, self.checked()?.0)
    }
}
