//! What a decoder must be told before the first unit.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::NalCodec;
use crate::h264::read_sps;

/// How the units of a track are coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// AVC video.
    H264(H264Format),
    /// HEVC video.
    Hevc(HevcFormat),
    /// AV1 video.
    Av1(Av1Format),
    /// AAC sound.
    Aac(AacFormat),
    /// Opus sound.
    Opus(OpusFormat),
    /// What is carried by its name and not looked into.
    Carried(CarriedFormat),
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

impl H264Format {
    /// Pictures a second as the parameter set says; none where it does not.
    pub fn frame_rate(&self) -> Option<FrameRate> {
        let timing = read_sps(&self.sps)?.vui_parameters?.timing_info?;
        // A tick is a field (section E.2.1).
        FrameRate::new(timing.time_scale, timing.num_units_in_tick.checked_mul(2)?)
    }

    /// How many pictures may come before one that is shown earlier; none where the parameter set does not say.
    pub fn max_reorder(&self) -> Option<u32> {
        const BASELINE: u8 = 66;
        let sps = read_sps(&self.sps)?;
        if sps.profile_idc == BASELINE.into() {
            return Some(0);
        }
        Some(
            sps.vui_parameters?
                .bitstream_restrictions?
                .max_num_reorder_frames,
        )
    }
}

/// How often pictures come: `time_scale` a second, divided by `ticks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRate {
    /// Ticks a second.
    pub time_scale: u32,
    /// Ticks a picture.
    pub ticks: u32,
}

impl FrameRate {
    /// None where it says nothing, or what no camera does: over 1,000 pictures a second.
    pub fn new(time_scale: u32, ticks: u32) -> Option<Self> {
        (ticks > 0 && time_scale > 0 && time_scale / ticks <= 1000)
            .then_some(Self { time_scale, ticks })
    }

    /// Pictures a second.
    pub fn per_second(self) -> f64 {
        f64::from(self.time_scale) / f64::from(self.ticks)
    }
}

/// HEVC video by its parameter sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HevcFormat {
    /// Video parameter sets, NAL units without start codes, by their ids.
    pub vps: Vec<Bytes>,
    /// Sequence parameter set.
    pub sps: Bytes,
    /// Picture parameter sets, by their ids.
    pub pps: Vec<Bytes>,
    /// Profile, tier and level.
    pub profile: HevcProfile,
    /// 1 to 7.
    pub temporal_layers: u8,
    /// Whether a decoder may go up a temporal layer at any picture of it.
    pub temporal_id_nested: bool,
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
    /// How many pictures may come before one that is shown earlier.
    pub max_reorder: u8,
    /// As the parameter set says, where it does.
    pub frame_rate: Option<FrameRate>,
}

/// What a decoder of HEVC must be able to do (ITU-T H.265 section 7.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HevcProfile {
    /// `general_profile_space`.
    pub space: u8,
    /// `general_tier_flag`.
    pub high_tier: bool,
    /// `general_profile_idc`: 1 is Main, 2 Main 10.
    pub idc: u8,
    /// `general_profile_compatibility_flag`, the first in the highest bit.
    pub compatibility: u32,
    /// The 48 bits behind.
    pub constraints: [u8; 6],
    /// `general_level_idc`: thirty times the level.
    pub level: u8,
}

/// AV1 video by its sequence header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Av1Format {
    /// The OBU, with its size in it.
    pub sequence_header: Bytes,
    /// `seq_profile`: 0 is Main.
    pub profile: u8,
    /// `seq_level_idx` of the first operating point.
    pub level: u8,
    /// `seq_tier` of the first operating point.
    pub high_tier: bool,
    /// Pixels across, at most.
    pub width: u32,
    /// Pixels down, at most.
    pub height: u32,
    /// Bits of a sample: 8, 10 or 12.
    pub bits: u8,
    /// How samples are to be understood.
    pub colour: Av1Colour,
    /// Where pictures come evenly and the header says so.
    pub frame_rate: Option<FrameRate>,
}

/// The colours of AV1 (AV1 specification section 6.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Av1Colour {
    /// Whether there is no chroma.
    pub monochrome: bool,
    /// Whether chroma has half the samples across, and down.
    pub subsampling: (bool, bool),
    /// `chroma_sample_position`.
    pub sample_position: u8,
    /// `color_primaries`: 1 is BT.709, 2 not said.
    pub primaries: u8,
    /// `transfer_characteristics`.
    pub transfer: u8,
    /// `matrix_coefficients`.
    pub matrix: u8,
    /// `color_range`.
    pub full_range: bool,
}

/// A codec that is passed on, or only named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarriedFormat {
    /// Which.
    pub codec: CarriedCodec,
    /// Ticks a second of the track.
    pub clock_rate: u32,
    /// Channels of sound; 0 for video, and where nobody has said.
    pub channels: u8,
}

/// Codecs whose units nobody here looks into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CarriedCodec {
    /// VP8 video.
    Vp8,
    /// VP9 video.
    Vp9,
    /// MPEG-1 or MPEG-2 sound, layer III and below.
    Mp3,
    /// Dolby Digital.
    Ac3,
    /// Dolby Digital Plus.
    Eac3,
    /// G.711, mu-law.
    Pcmu,
    /// G.711, A-law.
    Pcma,
}

impl CarriedCodec {
    /// The name by which people know it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Mp3 => "MP3",
            Self::Ac3 => "AC-3",
            Self::Eac3 => "E-AC-3",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The name for a `CODECS` attribute; those of the telephone have none, and are named as in SDP.
    fn codec_string(self) -> &'static str {
        match self {
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::Mp3 => "mp4a.40.34",
            Self::Ac3 => "ac-3",
            Self::Eac3 => "ec-3",
            Self::Pcmu => "pcmu",
            Self::Pcma => "pcma",
        }
    }

    fn is_video(self) -> bool {
        matches!(self, Self::Vp8 | Self::Vp9)
    }
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
            Self::H264(_) | Self::Hevc(_) | Self::Av1(_) => 90_000,
            Self::Aac(aac) => aac.sample_rate,
            Self::Opus(_) => 48_000,
            Self::Carried(carried) => carried.clock_rate,
        }
    }

    /// Whether it is pictures.
    pub fn is_video(&self) -> bool {
        match self {
            Self::H264(_) | Self::Hevc(_) | Self::Av1(_) => true,
            Self::Aac(_) | Self::Opus(_) => false,
            Self::Carried(carried) => carried.codec.is_video(),
        }
    }

    /// The name by which people know the codec.
    pub fn name(&self) -> &'static str {
        match self {
            Self::H264(_) => "H.264",
            Self::Hevc(_) => "HEVC",
            Self::Av1(_) => "AV1",
            Self::Aac(_) => "AAC",
            Self::Opus(_) => "Opus",
            Self::Carried(carried) => carried.codec.name(),
        }
    }

    /// Pixels across and down; none for sound, and where nobody looks.
    pub fn size(&self) -> Option<(u32, u32)> {
        match self {
            Self::H264(h264) => Some((h264.width, h264.height)),
            Self::Hevc(hevc) => Some((hevc.width, hevc.height)),
            Self::Av1(av1) => Some((av1.width, av1.height)),
            Self::Aac(_) | Self::Opus(_) | Self::Carried(_) => None,
        }
    }

    /// Pictures a second as the stream itself says, where it does.
    pub fn frame_rate(&self) -> Option<FrameRate> {
        match self {
            Self::H264(h264) => h264.frame_rate(),
            Self::Hevc(hevc) => hevc.frame_rate,
            Self::Av1(av1) => av1.frame_rate,
            Self::Aac(_) | Self::Opus(_) | Self::Carried(_) => None,
        }
    }

    /// How many pictures may come before one that is shown earlier; none where the stream does not say.
    pub fn max_reorder(&self) -> Option<u32> {
        match self {
            Self::H264(h264) => h264.max_reorder(),
            Self::Hevc(hevc) => Some(hevc.max_reorder.into()),
            Self::Av1(_) | Self::Aac(_) | Self::Opus(_) | Self::Carried(_) => Some(0),
        }
    }

    /// Channels of sound; none for pictures.
    pub fn channels(&self) -> Option<u8> {
        match self {
            Self::Aac(aac) => Some(aac.channels),
            Self::Opus(opus) => Some(opus.channels),
            Self::Carried(carried) if !self.is_video() => Some(carried.channels),
            Self::H264(_) | Self::Hevc(_) | Self::Av1(_) | Self::Carried(_) => None,
        }
    }

    /// Which codec of NAL units it is, if one.
    pub fn nal_codec(&self) -> Option<NalCodec> {
        match self {
            Self::H264(_) => Some(NalCodec::H264),
            Self::Hevc(_) => Some(NalCodec::Hevc),
            Self::Av1(_) | Self::Aac(_) | Self::Opus(_) | Self::Carried(_) => None,
        }
    }

    /// The parameter sets, in the order in which they go before a keyframe.
    pub fn parameter_sets(&self) -> Vec<&Bytes> {
        match self {
            Self::H264(h264) => std::iter::once(&h264.sps).chain(&h264.pps).collect(),
            Self::Hevc(hevc) => {
                let first = hevc.vps.iter().chain(std::iter::once(&hevc.sps));
                first.chain(&hevc.pps).collect()
            }
            Self::Av1(_) | Self::Aac(_) | Self::Opus(_) | Self::Carried(_) => Vec::new(),
        }
    }

    /// The name for a `CODECS` attribute (RFC 6381; ISO/IEC 14496-15 annex E; AV1 in ISO base media section 5).
    pub fn codec_string(&self) -> String {
        match self {
            Self::H264(h264) => {
                let byte = |at: usize| h264.sps.get(at).copied().unwrap_or(0);
                format!("avc1.{:02x}{:02x}{:02x}", byte(1), byte(2), byte(3))
            }
            Self::Hevc(hevc) => format!("hvc1.{}", hevc.profile.codec_string()),
            Self::Av1(av1) => av1.codec_string(),
            Self::Aac(aac) => format!("mp4a.40.{}", aac.object_type()),
            Self::Opus(_) => "opus".to_owned(),
            Self::Carried(carried) => carried.codec.codec_string().to_owned(),
        }
    }
}

impl HevcProfile {
    fn codec_string(&self) -> String {
        let space = ["", "A", "B", "C"][usize::from(self.space & 3)];
        let tier = if self.high_tier { 'H' } else { 'L' };
        // The first flag is the lowest bit here; zeros at the end of the constraints are left out.
        let compatibility = self.compatibility.reverse_bits();
        let mut out = format!("{space}{}.{compatibility:X}.{tier}{}", self.idc, self.level);
        let used = self.constraints.iter().rposition(|&byte| byte != 0);
        for byte in &self.constraints[..used.map_or(0, |last| last + 1)] {
            // Writing to a string does not fail.
            let _ = write!(out, ".{byte:X}");
        }
        out
    }
}

impl Av1Format {
    /// The short form where colours are the usual: 4:2:0, BT.709, narrow.
    fn codec_string(&self) -> String {
        let tier = if self.high_tier { 'H' } else { 'M' };
        let mut out = format!(
            "av01.{}.{:02}{tier}.{:02}",
            self.profile, self.level, self.bits
        );
        let colour = &self.colour;
        let usual = Av1Colour {
            monochrome: false,
            subsampling: (true, true),
            sample_position: 0,
            primaries: 1,
            transfer: 1,
            matrix: 1,
            full_range: false,
        };
        if *colour != usual {
            let (x, y) = colour.subsampling;
            let position = if x && y { colour.sample_position } else { 0 };
            let _ = write!(
                out,
                ".{}.{}{}{position}.{:02}.{:02}.{:02}.{}",
                u8::from(colour.monochrome),
                u8::from(x),
                u8::from(y),
                colour.primaries,
                colour.transfer,
                colour.matrix,
                u8::from(colour.full_range)
            );
        }
        out
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
