use bytes::Bytes;

use super::{Codec, TagError, Unsupported, packet, read_extended};
use crate::wire::Cursor;

/// The body of an audio tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioTag {
    /// How it is coded.
    pub codec: Codec,
    /// A part of a millisecond to add to the timestamp, in nanoseconds.
    pub nanoseconds: u32,
    pub(crate) part: AudioPart,
}

/// What an audio tag holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AudioPart {
    /// What a decoder must be told first.
    Config(Bytes),
    /// A frame of sound.
    Frame(Bytes),
    /// The stream ends.
    End,
    /// The order of channels and such.
    Other,
}

/// What in the place of a format says that four characters follow.
const EXTENDED: u8 = 9;
/// Packet types of sound alone.
const MULTICHANNEL: u8 = 4;
const MULTITRACK: u8 = 5;

impl AudioTag {
    /// Take a body apart; none where it holds nothing at all, which some encoders send.
    pub fn read(body: &Bytes) -> Result<Option<Self>, TagError> {
        let mut rest = Cursor(body);
        let Some(first) = rest.u8() else {
            return Ok(None);
        };
        let whole = |codec| {
            Ok(Some(Self {
                codec,
                nanoseconds: 0,
                part: AudioPart::Frame(body.slice(1..)),
            }))
        };
        match first >> 4 {
            2 | 14 => whole(Codec::Mp3),
            7 => whole(Codec::Pcma),
            8 => whole(Codec::Pcmu),
            EXTENDED => read_enhanced(body, first, rest).map(Some),
            10 => {
                // The rate and channels beside the format are always the same for AAC; its configuration counts.
                let packet = rest.u8().ok_or(TagError::Malformed)?;
                let data = body.slice_ref(rest.0);
                Ok(Some(Self {
                    codec: Codec::Aac,
                    nanoseconds: 0,
                    part: match packet {
                        packet::SEQUENCE_START => AudioPart::Config(data),
                        packet::CODED_FRAMES => AudioPart::Frame(data),
                        _ => return Err(TagError::Malformed),
                    },
                }))
            }
            other => Err(Unsupported::Audio(other).into()),
        }
    }
}

fn read_enhanced(body: &Bytes, first: u8, rest: Cursor<'_>) -> Result<AudioTag, TagError> {
    let extended = read_extended(first, MULTITRACK, rest)?;
    if extended.codec.is_video() {
        return Err(Unsupported::FourCc(extended.codec.fourcc().unwrap_or_default()).into());
    }
    let data = body.slice_ref(extended.rest.0);
    Ok(AudioTag {
        codec: extended.codec,
        nanoseconds: extended.nanoseconds,
        part: match extended.packet {
            packet::SEQUENCE_START => AudioPart::Config(data),
            packet::CODED_FRAMES => AudioPart::Frame(data),
            packet::SEQUENCE_END => AudioPart::End,
            MULTICHANNEL => AudioPart::Other,
            _ => return Err(TagError::Malformed),
        },
    })
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<AudioTag>, TagError> {
        AudioTag::read(&Bytes::copy_from_slice(bytes))
    }

    fn part(bytes: &[u8]) -> (Codec, AudioPart) {
        let tag = read(bytes).unwrap().unwrap();
        (tag.codec, tag.part)
    }

    #[test]
    fn sound_is_read_in_the_old_form_and_in_the_enhanced_one() {
        let bytes = |bytes: &'static [u8]| Bytes::from_static(bytes);
        assert_eq!(
            part(&hex!("af 00 1190")),
            (Codec::Aac, AudioPart::Config(bytes(&[0x11, 0x90])))
        );
        assert_eq!(
            part(&hex!("af 01 aa")),
            (Codec::Aac, AudioPart::Frame(bytes(&[0xaa])))
        );
        assert_eq!(
            part(&hex!("91 4f707573 bb")),
            (Codec::Opus, AudioPart::Frame(bytes(&[0xbb])))
        );
        assert_eq!(
            part(&hex!("91 61632d33 cc")),
            (Codec::Ac3, AudioPart::Frame(bytes(&[0xcc])))
        );
    }

    #[test]
    fn formats_and_tracks_nobody_takes_are_named() {
        assert_eq!(read(&hex!("b6 00")), Err(Unsupported::Audio(11).into()));
        assert_eq!(
            read(&hex!("95 01 4f707573 01 bb")),
            Err(Unsupported::Multitrack.into())
        );
        assert_eq!(
            read(&hex!("91 61763031 bb")),
            Err(Unsupported::FourCc(*b"av01").into())
        );
    }
}
