//! What the payload descriptor says, reduced to what forwarding needs.

use roomtone_rtp::descriptors::{ByteField, PayloadInfo, PictureId, describe, vp8, vp9};
use roomtone_rtp::{Codec, MediaKind};

use crate::history::{Facts, PictureAt};

/// Reads the facts of one packet; `None`: the descriptor is broken.
#[inline]
pub(crate) fn read_facts(
    kind: MediaKind,
    codec: Codec,
    payload: &[u8],
    marker: bool,
) -> Option<Facts> {
    if kind != MediaKind::Video {
        return Some(whole_frame());
    }
    let (info, picture) = match codec {
        Codec::Vp8 => {
            let descriptor = vp8::Descriptor::parse(payload).ok()?;
            let picture = picture(descriptor.picture_id, descriptor.tl0_pic_idx);
            (descriptor.info(payload, marker), picture)
        }
        Codec::Vp9 => {
            let descriptor = vp9::Descriptor::parse(payload).ok()?;
            let picture = picture(descriptor.picture_id, descriptor.tl0_pic_idx);
            (descriptor.info(marker), picture)
        }
        Codec::Av1 | Codec::H264 | Codec::H265 => {
            (describe(codec, payload, marker).ok()?, PictureAt::default())
        }
        // Nothing is known of its frames: any packet may be the first.
        _ => {
            return Some(Facts {
                end_of_frame: marker,
                ..whole_frame()
            });
        }
    };
    Some(facts(&info, picture, marker))
}

fn facts(info: &PayloadInfo, picture: PictureAt, marker: bool) -> Facts {
    Facts {
        entry_point: info.is_entry_point(),
        start_of_frame: info.start_of_frame,
        // A burst is a whole picture: all spatial layers of it.
        end_of_frame: marker,
        temporal: info.temporal,
        picture,
    }
}

/// The facts of a packet that is a frame by itself.
pub(crate) fn whole_frame() -> Facts {
    Facts {
        entry_point: true,
        start_of_frame: true,
        end_of_frame: true,
        temporal: 0,
        picture: PictureAt::default(),
    }
}

fn picture(id: Option<PictureId>, tl0: Option<ByteField>) -> PictureAt {
    let mut at = PictureAt::default();
    if let Some(id) = id {
        at.picture_id_at = id.offset as u8;
        at.long = id.wide;
        at.picture_id = id.value;
    }
    if let Some(tl0) = tl0 {
        at.tl0_at = tl0.offset as u8;
        at.tl0 = tl0.value;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vp8_keyframe_is_an_entry_point_and_shows_its_numbers() {
        let payload = [
            0x90, 0xc0, 0x92, 0x34, 0x77, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0, 0, 0, 0,
        ];
        let facts = read_facts(MediaKind::Video, Codec::Vp8, &payload, false).unwrap();
        assert!(facts.entry_point && !facts.end_of_frame);
        assert_eq!(
            (facts.picture.picture_id_at, facts.picture.picture_id),
            (2, 0x1234)
        );
        assert_eq!(
            (facts.picture.tl0_at, facts.picture.tl0, facts.picture.long),
            (4, 0x77, true)
        );
    }

    #[test]
    fn a_codec_without_a_reader_may_start_anywhere() {
        let facts = read_facts(MediaKind::Video, Codec::Other, &[1, 2, 3], false).unwrap();
        assert!(facts.entry_point && !facts.end_of_frame);
        assert!(read_facts(MediaKind::Video, Codec::Vp8, &[], false).is_none());
        assert!(read_facts(MediaKind::Audio, Codec::Opus, &[], false).is_some());
    }
}
