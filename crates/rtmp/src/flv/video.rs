use bytes::Bytes;

use super::{Codec, TagError, Unsupported, packet, read_extended};
use crate::wire::Cursor;

/// The body of a video tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoTag {
    /// How it is coded.
    pub codec: Codec,
    /// Whether the encoder says that decoding may begin here.
    pub keyframe: bool,
    /// A part of a millisecond to add to the timestamp, in nanoseconds.
    pub nanoseconds: u32,
    pub(crate) part: VideoPart,
}

/// What a video tag holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VideoPart {
    /// What a decoder must be told first.
    Config(Bytes),
    /// A picture, and by how many milliseconds it is shown later than decoded.
    Frame { offset: i32, data: Bytes },
    /// The stream ends.
    End,
    /// Colours and such, or a seek.
    Other,
}

/// Types of frames (annex E.4.3.1).
const KEYFRAME: u8 = 1;
const GENERATED_KEYFRAME: u8 = 4;
const COMMAND: u8 = 5;
/// Packet types of video alone.
const CODED_FRAMES_X: u8 = 3;
const METADATA: u8 = 4;
const MULTITRACK: u8 = 6;

impl VideoTag {
    /// Take a body apart; none where it holds nothing at all, which some encoders send.
    pub fn read(body: &Bytes) -> Result<Option<Self>, TagError> {
        let mut rest = Cursor(body);
        let Some(first) = rest.u8() else {
            return Ok(None);
        };
        if first & 0x80 != 0 {
            return read_enhanced(body, first, rest).map(Some);
        }
        let frame = first >> 4;
        let codec = match first & 0x0f {
            7 => Codec::Avc,
            // Not in any text of Adobe's, but sent by many cameras.
            12 => Codec::Hevc,
            other => return Err(Unsupported::Video(other).into()),
        };
        let part = if frame == COMMAND {
            VideoPart::Other
        } else {
            let packet = rest.u8().ok_or(TagError::Malformed)?;
            let offset = signed(rest.u24().ok_or(TagError::Malformed)?);
            let data = body.slice_ref(rest.0);
            match packet {
                packet::SEQUENCE_START => VideoPart::Config(data),
                packet::CODED_FRAMES => VideoPart::Frame { offset, data },
                packet::SEQUENCE_END => VideoPart::End,
                _ => return Err(TagError::Malformed),
            }
        };
        Ok(Some(Self {
            codec,
            keyframe: is_keyframe(frame),
            nanoseconds: 0,
            part,
        }))
    }
}

fn read_enhanced(body: &Bytes, first: u8, rest: Cursor<'_>) -> Result<VideoTag, TagError> {
    let frame = first >> 4 & 7;
    let mut extended = read_extended(first, MULTITRACK, rest)?;
    if !extended.codec.is_video() {
        return Err(Unsupported::FourCc(extended.codec.fourcc().unwrap_or_default()).into());
    }
    let part = match extended.packet {
        _ if frame == COMMAND && extended.packet != METADATA => VideoPart::Other,
        packet::SEQUENCE_START => VideoPart::Config(body.slice_ref(extended.rest.0)),
        packet::CODED_FRAMES => {
            let offset = match extended.codec {
                Codec::Avc | Codec::Hevc => signed(extended.rest.u24().ok_or(TagError::Malformed)?),
                _ => 0,
            };
            VideoPart::Frame {
                offset,
                data: body.slice_ref(extended.rest.0),
            }
        }
        CODED_FRAMES_X => VideoPart::Frame {
            offset: 0,
            data: body.slice_ref(extended.rest.0),
        },
        packet::SEQUENCE_END => VideoPart::End,
        METADATA => VideoPart::Other,
        _ => return Err(TagError::Malformed),
    };
    Ok(VideoTag {
        codec: extended.codec,
        keyframe: is_keyframe(frame),
        nanoseconds: extended.nanoseconds,
        part,
    })
}

fn is_keyframe(frame: u8) -> bool {
    matches!(frame, KEYFRAME | GENERATED_KEYFRAME)
}

/// 24 bits with a sign.
fn signed(number: u32) -> i32 {
    (number << 8) as i32 >> 8
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    fn read(bytes: &'static [u8]) -> Result<Option<VideoTag>, TagError> {
        VideoTag::read(&Bytes::from_static(bytes))
    }

    fn frame(bytes: &'static [u8]) -> (Codec, bool, i32, Vec<u8>) {
        let tag = read(bytes).unwrap().unwrap();
        match tag.part {
            VideoPart::Frame { offset, data } => (tag.codec, tag.keyframe, offset, data.to_vec()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pictures_are_read_in_the_old_form_and_in_the_enhanced_one() {
        assert_eq!(
            frame(&hex!("17 01 000050 aabb")),
            (Codec::Avc, true, 80, vec![0xaa, 0xbb])
        );
        assert_eq!(
            frame(&hex!("27 01 ffffff aa")),
            (Codec::Avc, false, -1, vec![0xaa])
        );
        assert_eq!(
            frame(&hex!("91 68766331 000028 aa")),
            (Codec::Hevc, true, 40, vec![0xaa])
        );
        assert_eq!(
            frame(&hex!("a3 68766331 aa")),
            (Codec::Hevc, false, 0, vec![0xaa])
        );
        // AV1 has no offset in any packet.
        assert_eq!(
            frame(&hex!("91 61763031 aabbcc")),
            (Codec::Av1, true, 0, vec![0xaa, 0xbb, 0xcc])
        );
    }

    #[test]
    fn a_part_of_a_millisecond_is_read_from_an_extra_header() {
        let tag = read(&hex!("97 02 07a120 01 61763031 aa")).unwrap().unwrap();
        assert_eq!((tag.codec, tag.nanoseconds), (Codec::Av1, 500_000));
    }

    #[test]
    fn the_first_track_alone_is_taken_and_another_is_refused() {
        assert_eq!(
            frame(&hex!("96 01 61763031 00 aa")),
            (Codec::Av1, true, 0, vec![0xaa])
        );
        for other in [
            &hex!("96 01 61763031 01 aa")[..],
            &hex!("96 11 61763031 00 000001 aa"),
        ] {
            let refused = VideoTag::read(&Bytes::copy_from_slice(other));
            assert_eq!(refused, Err(Unsupported::Multitrack.into()));
        }
    }

    #[test]
    fn codecs_nobody_takes_are_named() {
        assert_eq!(read(&hex!("14 00")), Err(Unsupported::Video(4).into()));
        assert_eq!(
            read(&hex!("91 76766331 aa")),
            Err(Unsupported::FourCc(*b"vvc1").into())
        );
        assert_eq!(
            Unsupported::FourCc(*b"vvc1").to_string(),
            "the codec vvc1 is not taken"
        );
    }

    #[test]
    fn an_empty_body_is_nothing_and_a_short_one_is_malformed() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&hex!("17 01 00")), Err(TagError::Malformed));
        assert_eq!(read(&hex!("91 6876")), Err(TagError::Malformed));
    }
}
