use bytes::Bytes;

/// One coded picture, or one coded frame of sound, with its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// When it is to be decoded, in ticks of the track's clock ([`Format::clock_rate`](crate::Format::clock_rate)) since the zero of the program that
    /// it belongs to.
    pub dts: i64,
    /// When it is to be shown or heard, in the same ticks; differs from `dts` where pictures are reordered.
    pub pts: i64,
    /// Whether decoding may begin here; every unit of sound is such a point.
    pub keyframe: bool,
    /// Video: NAL units, each behind its length in four bytes, without parameter sets and delimiters
    /// (ISO/IEC 14496-15); of AV1 the OBUs of a temporal unit, each with its size, without delimiters, a keyframe with its
    /// sequence header. Sound: one raw frame, without ADTS or such.
    pub data: Bytes,
}
