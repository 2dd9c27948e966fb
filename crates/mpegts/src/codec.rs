//! What the streams of a program are coded with, as its map says.

use roomtone_frames::NalCodec;

use crate::packet::Pid;
use crate::psi::{Descriptors, MapEntry, ProgramMap};

/// How a stream is coded that this crate takes apart or carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// H.264 or HEVC pictures.
    Video(NalCodec),
    /// AAC with a header before each frame (ISO/IEC 13818-7).
    AacAdts,
    /// AAC in a multiplex of its own (ISO/IEC 14496-3 section 1.7).
    AacLatm,
    /// Opus of one or two channels.
    Opus {
        /// 1 or 2.
        channels: u8,
    },
    /// MPEG audio of layers I to III; carried.
    MpegAudio,
    /// Dolby Digital; carried.
    Ac3,
    /// Dolby Digital Plus; carried.
    Eac3,
    /// Cues for splicing (SCTE 35).
    Scte35,
    /// Timed metadata (ID3).
    Id3,
}

impl Codec {
    /// Its name, as a person would say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Video(NalCodec::H264) => "H.264",
            Self::Video(NalCodec::Hevc) => "HEVC",
            Self::AacAdts => "AAC",
            Self::AacLatm => "AAC (LATM)",
            Self::Opus { .. } => "Opus",
            Self::MpegAudio => "MPEG audio",
            Self::Ac3 => "AC-3",
            Self::Eac3 => "E-AC-3",
            Self::Scte35 => "SCTE-35",
            Self::Id3 => "ID3",
        }
    }

    /// Whether it comes in sections, not in PES packets.
    pub(crate) fn is_sections(self) -> bool {
        self == Self::Scte35
    }
}

/// One stream of a program that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// Number of its program.
    pub program: u16,
    /// Where it is in the multiplex.
    pub pid: Pid,
    /// How it is coded.
    pub codec: Codec,
    /// Its language (ISO 639-2), where the map says one.
    pub language: Option<[u8; 3]>,
}

/// Why a stream of a program is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StreamRefusal {
    /// Neither taken apart nor carried.
    #[error("its codec is not supported")]
    UnknownCodec,
    /// Opus of more than two channels.
    #[error("Opus of more than two channels is not supported")]
    OpusChannels,
    /// It is already read for another program, or is where tables are.
    #[error("its PID is in use")]
    PidInUse,
    /// More than [`Limits`](crate::Limits) allow.
    #[error("there are too many streams")]
    TooMany,
}

/// What a type of stream is (H.222.0 table 2-34), for a sentence to somebody who sends it.
pub fn stream_type_name(stream_type: u8) -> &'static str {
    match stream_type {
        0x01 => "MPEG-1 video",
        0x02 => "MPEG-2 video",
        0x03 | 0x04 => "MPEG audio",
        0x05 => "private sections",
        0x06 => "private data (subtitles, teletext, or a codec that is registered)",
        0x0f => "AAC",
        0x10 => "MPEG-4 video",
        0x11 => "AAC (LATM)",
        0x15 => "timed metadata",
        0x1b => "H.264",
        0x1f => "H.264 in layers",
        0x20 | 0x23 => "H.264 in views",
        0x21 => "JPEG 2000",
        0x24 | 0x25 => "HEVC",
        0x2d | 0x2e => "MPEG-H sound",
        0x32 => "JPEG XS",
        0x33 => "VVC",
        0x42 => "AVS video",
        0x81 => "AC-3",
        0x82 | 0x85 | 0x8a => "DTS",
        0x83 => "TrueHD",
        0x86 => "SCTE-35",
        0x87 => "E-AC-3",
        0xea => "VC-1",
        0x80.. => "a private codec",
        _ => "an unknown codec",
    }
}

/// Tell by the type of the stream, and by descriptors where the type only says that it is private (tables 2-34 and 2-45;
/// ETSI EN 300 468 annex D; ETSI TS 102 366 annex A).
pub(crate) fn codec_of(map: &ProgramMap<'_>, entry: &MapEntry<'_>) -> Result<Codec, StreamRefusal> {
    let of = entry.descriptors;
    Ok(match entry.stream_type {
        0x03 | 0x04 => Codec::MpegAudio,
        0x0f => Codec::AacAdts,
        0x11 => Codec::AacLatm,
        0x1b => Codec::Video(NalCodec::H264),
        0x24 => Codec::Video(NalCodec::Hevc),
        0x81 => Codec::Ac3,
        0x87 => Codec::Eac3,
        // On Blu-ray discs it is sound. SCTE 35 asks for a registration of "CUEI", which not all write.
        0x86 if !map.descriptors.registers(*b"HDMV") => Codec::Scte35,
        0x15 if is_id3(of) => Codec::Id3,
        0x06 => private_codec(of)?,
        _ => return Err(StreamRefusal::UnknownCodec),
    })
}

fn private_codec(of: Descriptors<'_>) -> Result<Codec, StreamRefusal> {
    if of.registers(*b"Opus") {
        return opus(of);
    }
    let has = |tag| of.all(tag).next().is_some();
    if of.registers(*b"HEVC") {
        Ok(Codec::Video(NalCodec::Hevc))
    } else if of.registers(*b"AC-3") || has(Descriptors::DVB_AC3) {
        Ok(Codec::Ac3)
    } else if of.registers(*b"EAC3") || has(Descriptors::DVB_EAC3) {
        Ok(Codec::Eac3)
    } else if is_id3(of) {
        Ok(Codec::Id3)
    } else {
        Err(StreamRefusal::UnknownCodec)
    }
}

/// Opus says its channels in an extension descriptor of its own tag (draft "Opus in MPEG-TS", `channel_config_code`).
fn opus(of: Descriptors<'_>) -> Result<Codec, StreamRefusal> {
    let code = of.all(Descriptors::EXTENSION).find_map(|body| match body {
        [0x80, code, ..] => Some(*code),
        _ => None,
    });
    match code {
        // 0 is two channels that are no pair.
        Some(0 | 2) | None => Ok(Codec::Opus { channels: 2 }),
        Some(1) => Ok(Codec::Opus { channels: 1 }),
        Some(_) => Err(StreamRefusal::OpusChannels),
    }
}

/// The metadata descriptor names its format and who defined it: "ID3 " (timed metadata for HTTP live streaming).
fn is_id3(of: Descriptors<'_>) -> bool {
    of.registers(*b"ID3 ")
        || of
            .all(Descriptors::METADATA)
            .any(|body| body.windows(4).any(|four| four == b"ID3 "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stream_type: u8, descriptors: &[u8]) -> Result<Codec, StreamRefusal> {
        let map = ProgramMap {
            pcr_pid: Pid::NULL,
            descriptors: Descriptors(&[]),
            streams: vec![],
        };
        let entry = MapEntry {
            stream_type,
            pid: Pid::new(256),
            descriptors: Descriptors(descriptors),
        };
        codec_of(&map, &entry)
    }

    #[test]
    fn streams_are_told_apart_by_type_and_descriptors() {
        assert_eq!(told(0x1b, b""), Ok(Codec::Video(NalCodec::H264)));
        assert_eq!(
            told(6, b"\x05\x04Opus\x7f\x02\x80\x01"),
            Ok(Codec::Opus { channels: 1 })
        );
        assert_eq!(
            told(6, b"\x05\x04Opus\x7f\x02\x80\x06"),
            Err(StreamRefusal::OpusChannels)
        );
        assert_eq!(told(6, b"\x6a\x01\x00"), Ok(Codec::Ac3));
        assert_eq!(told(0x86, b"\x05\x04CUEI"), Ok(Codec::Scte35));
        assert_eq!(told(0x86, b""), Ok(Codec::Scte35), "not all register it");
        assert_eq!(
            told(0x15, b"\x26\x0d\xff\xffID3 \xffID3 \x00\x0f"),
            Ok(Codec::Id3)
        );
        assert_eq!(
            told(0x02, b""),
            Err(StreamRefusal::UnknownCodec),
            "MPEG-2 video"
        );
    }

    #[test]
    fn what_is_not_read_has_a_name_all_the_same() {
        assert_eq!(stream_type_name(2), "MPEG-2 video");
        assert_eq!(stream_type_name(0xf1), "a private codec");
        assert_eq!(stream_type_name(0x7f), "an unknown codec");
    }

    #[test]
    fn descriptors_cut_short_are_not_read() {
        assert_eq!(told(6, b"\x05\x09Opus"), Err(StreamRefusal::UnknownCodec));
    }
}
