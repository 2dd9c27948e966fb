//! What a decoder must be told before the first unit.

use bytes::Bytes;

/// How the units of a track are coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// AVC video.
    H264(H264Format),
    /// AAC sound.
    Aac(AacFormat),
    /// Opus sound.
    Opus(OpusFormat),
}

/// AVC video by its parameter sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct H264Format {
    /// Sequence parameter set, a NAL unit without start code.
    pub sps: Bytes,
    /// Picture parameter sets, by their ids.
    pub pps: Vec<Bytes>,
    /// Pixels across, cropped.
    pub width: u32,
    /// Pixels down, cropped.
    pub height: u32,
    /// `chroma_format_idc`: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma sample.
    pub luma_bits: u8,
    /// Bits of a chroma sample.
    pub chroma_bits: u8,
}

/// AAC sound by its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AacFormat {
    /// `AudioSpecificConfig` (ISO/IEC 14496-3 section 1.6.2.1).
    pub config: Bytes,
    /// Samples a second of the coded core; also the clock of the track.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u8,
}

impl AacFormat {
    /// Which kind of AAC it is: 2 is low complexity (ISO/IEC 14496-3 table 1.17).
    pub fn object_type(&self) -> u8 {
        let byte = |at: usize| self.config.get(at).copied().unwrap_or(0);
        match byte(0) >> 3 {
            31 => 32 + ((byte(0) & 7) << 3 | byte(1) >> 5),
            kind => kind,
        }
    }
}

/// Opus sound, mono or stereo (channel mapping family 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpusFormat {
    /// 1 or 2.
    pub channels: u8,
    /// Samples at 48 kHz that a decoder throws away at the start (RFC 7845 section 4.2).
    pub pre_skip: u16,
}

impl Format {
    /// Ticks a second in which the times of its units are given.
    pub fn clock_rate(&self) -> u32 {
        match self {
            Self::H264(_) => 90_000,
            Self::Aac(aac) => aac.sample_rate,
            Self::Opus(_) => 48_000,
        }
    }

    /// Whether it is pictures.
    pub fn is_video(&self) -> bool {
        matches!(self, Self::H264(_))
    }

    /// The name for a `CODECS` attribute (RFC 6381).
    pub fn codec_string(&self) -> String {
        match self {
            Self::H264(h264) => {
                let byte = |at: usize| h264.sps.get(at).copied().unwrap_or(0);
                format!("avc1.{:02x}{:02x}{:02x}", byte(1), byte(2), byte(3))
            }
            Self::Aac(aac) => format!("mp4a.40.{}", aac.object_type()),
            Self::Opus(_) => "opus".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_named_as_browsers_ask() {
        let h264 = H264Format {
            sps: Bytes::from_static(&[0x67, 0x64, 0x00, 0x1f]),
            pps: vec![],
            width: 1280,
            height: 720,
            chroma_format: 1,
            luma_bits: 8,
            chroma_bits: 8,
        };
        assert_eq!(Format::H264(h264).codec_string(), "avc1.64001f");
        let aac = AacFormat {
            config: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
        };
        assert_eq!(Format::Aac(aac).codec_string(), "mp4a.40.2");
        assert_eq!(
            Format::Opus(OpusFormat {
                channels: 2,
                pre_skip: 0
            })
            .codec_string(),
            "opus"
        );
    }

    #[test]
    fn an_escaped_object_type_of_aac_is_read_over_two_bytes() {
        // 31, then 10 in six bits: 42 is xHE-AAC.
        let aac = AacFormat {
            config: Bytes::from_static(&[0xf9, 0x40]),
            sample_rate: 48_000,
            channels: 2,
        };
        assert_eq!(aac.object_type(), 42);
    }
}
