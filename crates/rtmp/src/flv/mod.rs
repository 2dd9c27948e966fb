//! Bodies of FLV tags, taken apart (FLV 10.1 annex E.4, Enhanced RTMP v2).

mod audio;
mod config;
mod video;

use thiserror::Error;

pub(crate) use audio::AudioPart;
pub use audio::AudioTag;
pub(crate) use config::{AacConfig, NalConfig, opus_format};
pub(crate) use video::VideoPart;
pub use video::VideoTag;

use crate::wire::Cursor;

/// How a track is coded, by what names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264.
    Avc,
    /// H.265.
    Hevc,
    /// AV1.
    Av1,
    /// VP9.
    Vp9,
    /// VP8.
    Vp8,
    /// AAC.
    Aac,
    /// Opus.
    Opus,
    /// AC-3.
    Ac3,
    /// Enhanced AC-3.
    Eac3,
    /// MPEG audio, layer 3.
    Mp3,
    /// G.711, A-law.
    Pcma,
    /// G.711, mu-law.
    Pcmu,
}

impl Codec {
    fn of_fourcc(fourcc: [u8; 4]) -> Option<Self> {
        Some(match &fourcc {
            b"avc1" => Self::Avc,
            b"hvc1" => Self::Hevc,
            b"av01" => Self::Av1,
            b"vp09" => Self::Vp9,
            b"vp08" => Self::Vp8,
            b"mp4a" => Self::Aac,
            b"Opus" => Self::Opus,
            b"ac-3" => Self::Ac3,
            b"ec-3" => Self::Eac3,
            b".mp3" => Self::Mp3,
            _ => return None,
        })
    }

    /// Its four characters; none for those that Enhanced RTMP does not know.
    pub fn fourcc(self) -> Option<[u8; 4]> {
        Some(*match self {
            Self::Avc => b"avc1",
            Self::Hevc => b"hvc1",
            Self::Av1 => b"av01",
            Self::Vp9 => b"vp09",
            Self::Vp8 => b"vp08",
            Self::Aac => b"mp4a",
            Self::Opus => b"Opus",
            Self::Ac3 => b"ac-3",
            Self::Eac3 => b"ec-3",
            Self::Mp3 => b".mp3",
            Self::Pcma | Self::Pcmu => return None,
        })
    }

    /// Whether it is pictures.
    pub fn is_video(self) -> bool {
        matches!(
            self,
            Self::Avc | Self::Hevc | Self::Av1 | Self::Vp9 | Self::Vp8
        )
    }
}

/// What is not taken, and would be lost without a word if it were only left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unsupported {
    /// A codec of video by its number.
    #[error("video of codec {0} is not taken; H.264, HEVC, AV1 and VP9 are")]
    Video(u8),
    /// A codec of sound by its number.
    #[error("sound of format {0} is not taken; AAC, Opus, AC-3, MP3 and G.711 are")]
    Audio(u8),
    /// A codec by its four characters.
    #[error("the codec {} is not taken", .0.escape_ascii())]
    FourCc([u8; 4]),
    /// Tracks beside the first.
    #[error("several tracks of one kind are not taken: send one of video and one of sound")]
    Multitrack,
    /// Sound in more channels than a decoder is told of.
    #[error("the channels of this sound cannot be told")]
    Channels,
}

/// Why a tag could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TagError {
    /// It ends before it should, or says what cannot be; the next may be good.
    #[error("a tag that cannot be read")]
    Malformed,
    /// Its kind is not taken; the next of its track is not either.
    #[error("{0}")]
    Unsupported(#[from] Unsupported),
}

/// Header fields that both kinds of extended tags have behind their first byte.
struct Extended<'a> {
    packet: u8,
    codec: Codec,
    nanoseconds: u32,
    rest: Cursor<'a>,
}

/// Packet types that are the same in both.
mod packet {
    pub(super) const SEQUENCE_START: u8 = 0;
    pub(super) const CODED_FRAMES: u8 = 1;
    pub(super) const SEQUENCE_END: u8 = 2;
    pub(super) const MOD_EX: u8 = 7;
}

/// Read modifiers, tracks and the codec (Enhanced RTMP v2, extended video and audio tag headers). `multitrack` is the number of the
/// packet type that means it.
fn read_extended(
    first: u8,
    multitrack: u8,
    mut rest: Cursor<'_>,
) -> Result<Extended<'_>, TagError> {
    let mut packet = first & 0x0f;
    let mut nanoseconds = 0;
    while packet == packet::MOD_EX {
        let mut size = usize::from(rest.u8().ok_or(TagError::Malformed)?) + 1;
        if size == 256 {
            size = usize::from(rest.u16().ok_or(TagError::Malformed)?) + 1;
        }
        let data = rest.take(size).ok_or(TagError::Malformed)?;
        let next = rest.u8().ok_or(TagError::Malformed)?;
        // Type 0: a part of a millisecond.
        if next >> 4 == 0 {
            nanoseconds = Cursor(data).u24().ok_or(TagError::Malformed)?;
        }
        packet = next & 0x0f;
    }
    if packet == multitrack {
        let kind = rest.u8().ok_or(TagError::Malformed)?;
        packet = kind & 0x0f;
        let codec = read_codec(&mut rest)?;
        // One track in its own message: the first is taken as if it were alone.
        if kind >> 4 != 0 || rest.u8().ok_or(TagError::Malformed)? != 0 {
            return Err(Unsupported::Multitrack.into());
        }
        return Ok(Extended {
            packet,
            codec,
            nanoseconds,
            rest,
        });
    }
    Ok(Extended {
        packet,
        codec: read_codec(&mut rest)?,
        nanoseconds,
        rest,
    })
}

fn read_codec(rest: &mut Cursor<'_>) -> Result<Codec, TagError> {
    let fourcc = rest.four().ok_or(TagError::Malformed)?;
    Codec::of_fourcc(fourcc).ok_or(TagError::Unsupported(Unsupported::FourCc(fourcc)))
}
