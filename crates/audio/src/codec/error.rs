//! What can be wrong with a frame, a payload or a setting.

use thiserror::Error;

/// What can be wrong with a frame, a payload or a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CodecError {
    /// The codec does not work at this sampling rate.
    #[error("the codec does not work at {rate_hz} Hz")]
    UnsupportedRate {
        /// The rate asked for.
        rate_hz: u32,
    },
    /// No frame of the codec has this many samples.
    #[error("no frame of the codec has {samples} samples")]
    FrameLength {
        /// The samples given.
        samples: usize,
    },
    /// The payload is not one of the codec, or longer than any frame may be.
    #[error("the payload is none of the codec")]
    BadPayload,
    /// The decoded samples do not fit the buffer.
    #[error("the buffer holds fewer than the {needed} samples of the frame")]
    BufferTooSmall {
        /// Samples that the frame has.
        needed: usize,
    },
    /// The codec has no setting of this kind.
    #[error("the codec has no such setting")]
    NoSuchSetting,
    /// The value of a setting is outside its range.
    #[error("the value is outside the range of the setting")]
    SettingOutOfRange,
    /// The codec library failed; the number is its own.
    #[error("the codec library failed with {0}")]
    Library(i32),
}
