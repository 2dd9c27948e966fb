//! RTP header extensions: the kinds this server knows, their negotiated ids, their values.

mod audio;
mod kind;
mod layers;
mod map;
mod timing;
mod video;

pub use audio::{AudioLevel, MAX_MIXER_LEVELS, MixerLevels};
pub use kind::ExtensionKind;
pub use layers::{LayerAllocation, LayerResolution, MAX_ALLOCATED_LAYERS, VideoLayersAllocation};
pub use map::{ExtensionDirection, ExtensionMap, ExtensionSettings, ExtensionValues, MapError};
pub use timing::{AbsCaptureTime, AbsSendTime, PlayoutDelay, TransportSequence};
pub use video::{DependencyDescriptorBytes, FrameMarking, VideoOrientation};

mod identity;
pub use identity::{Mid, RepairedRid, Rid};

/// What is wrong with the value of an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ExtensionError {
    /// The value has a length that its kind does not have.
    #[error("the {0:?} extension has a wrong length")]
    Length(ExtensionKind),
    /// A field of the value is outside its range.
    #[error("the {0:?} extension has a field out of range")]
    Value(ExtensionKind),
    /// The caller's buffer is too small.
    #[error("the output buffer is too small")]
    NoSpace,
}

/// A typed extension value: how it reads and writes the bytes of its element.
pub trait ExtensionValue<'a>: Sized {
    /// The kind whose value this is.
    const KIND: ExtensionKind;

    /// Reads the value of an element.
    fn decode(value: &'a [u8]) -> Result<Self, ExtensionError>;

    /// Writes the value to the start of `out` and gives its length.
    fn encode(&self, out: &mut [u8]) -> Result<usize, ExtensionError>;
}

/// The value as an array, where it has exactly that length.
#[inline]
fn exact<const N: usize>(kind: ExtensionKind, value: &[u8]) -> Result<[u8; N], ExtensionError> {
    value.try_into().map_err(|_| ExtensionError::Length(kind))
}

/// Copies an encoded value into the caller's buffer.
#[inline]
fn put(out: &mut [u8], value: &[u8]) -> Result<usize, ExtensionError> {
    out.get_mut(..value.len())
        .ok_or(ExtensionError::NoSpace)?
        .copy_from_slice(value);
    Ok(value.len())
}

#[cfg(test)]
mod tests;
