//! What a packet says of the frame it belongs to, by its payload descriptor or by a header
//! extension that says the same.

use roomtone_rtp::descriptors::dependency_descriptor::{
    Dependencies, Descriptor, Indication, Structure,
};
use roomtone_rtp::descriptors::{ByteField, PayloadInfo, PictureId, describe, vp8, vp9};
use roomtone_rtp::extensions::FrameMarking;
use roomtone_rtp::{Codec, MediaKind};

use crate::history::{Facts, PictureAt};

/// How frames are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    /// By the frame number of the dependency descriptor.
    Frame(u16),
    /// By picture id, of 15 bits or 7, and spatial layer.
    Picture { id: u16, wide: bool },
    /// By timestamp and spatial layer.
    Timestamp,
}

/// What frames a frame refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// To anything of its own and lower temporal layers; with `sync` to the lowest only.
    Layers {
        sync: bool,
        inter_layer: bool,
        tl0: Option<u8>,
    },
    /// To pictures so many back, and to the next lower spatial layer (VP9).
    Pictures {
        /// `None`: the picture group tells.
        references: Option<vp9::References>,
        inter_picture: bool,
        inter_layer: bool,
        tl0: Option<u8>,
    },
    /// As the dependency descriptor says.
    Described(Dependencies),
}

/// What one packet says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// The frame is predicted from no other.
    pub(crate) keyframe: bool,
    /// A consumer may start here.
    pub(crate) entry_point: bool,
    pub(crate) start: bool,
    pub(crate) end: bool,
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    /// No other frame refers to it.
    pub(crate) discardable: bool,
    /// Who is shown a higher spatial layer does not need it.
    pub(crate) leaf: bool,
    pub(crate) number: Number,
    pub(crate) links: Links,
    pub(crate) picture: PictureAt,
    /// The layers of the stream as VP9 tells them.
    pub(crate) structure: Option<vp9::ScalabilityStructure>,
}

impl Reading {
    /// A packet of a codec of which nothing is known: any packet may be the first.
    fn opaque(marker: bool) -> Self {
        Self {
            keyframe: true,
            entry_point: true,
            start: true,
            end: marker,
            spatial: 0,
            temporal: 0,
            discardable: false,
            leaf: true,
            number: Number::Timestamp,
            links: Links::Layers {
                sync: true,
                inter_layer: false,
                tl0: None,
            },
            picture: PictureAt::default(),
            structure: None,
        }
    }

    fn of(info: &PayloadInfo, number: Number, links: Links, picture: PictureAt) -> Self {
        Self {
            keyframe: info.keyframe,
            entry_point: info.is_entry_point() && info.spatial == 0,
            start: info.start_of_frame,
            end: info.end_of_frame,
            spatial: info.spatial,
            temporal: info.temporal,
            discardable: info.discardable,
            leaf: info.spatial_leaf,
            number,
            links,
            picture,
            structure: None,
        }
    }

    /// The facts a history keeps of the packet.
    pub(crate) fn facts(&self, frame: u32, marker: bool) -> Facts {
        Facts {
            entry_point: self.entry_point,
            start_of_frame: self.start,
            end_of_frame: marker,
            end_of_layer: self.end,
            spatial: self.spatial,
            temporal: self.temporal,
            frame,
            picture: self.picture,
        }
    }
}

/// Reads a video packet by its payload; `None`: the descriptor is broken.
#[inline]
pub(crate) fn read_payload(codec: Codec, payload: &[u8], marker: bool) -> Option<Reading> {
    match codec {
        Codec::Vp8 => read_vp8(payload, marker),
        Codec::Vp9 => read_vp9(payload, marker),
        Codec::Av1 | Codec::H264 | Codec::H265 => {
            let info = describe(codec, payload, marker).ok()?;
            let links = Links::Layers {
                sync: false,
                inter_layer: info.inter_layer,
                tl0: None,
            };
            Some(Reading::of(
                &info,
                Number::Timestamp,
                links,
                PictureAt::default(),
            ))
        }
        _ => Some(Reading::opaque(marker)),
    }
}

#[inline]
fn read_vp8(payload: &[u8], marker: bool) -> Option<Reading> {
    let descriptor = vp8::Descriptor::parse(payload).ok()?;
    let info = descriptor.info(payload, marker);
    let links = Links::Layers {
        sync: info.temporal_switch,
        inter_layer: false,
        tl0: info.tl0_pic_idx,
    };
    let picture = picture(descriptor.picture_id, descriptor.tl0_pic_idx, true);
    Some(Reading::of(
        &info,
        number(descriptor.picture_id),
        links,
        picture,
    ))
}

fn read_vp9(payload: &[u8], marker: bool) -> Option<Reading> {
    let descriptor = vp9::Descriptor::parse(payload).ok()?;
    let mut info = descriptor.info(marker);
    info.end_of_frame |= marker;
    let links = Links::Pictures {
        references: descriptor.flexible.then_some(descriptor.references),
        inter_picture: info.inter_picture,
        inter_layer: info.inter_layer,
        tl0: info.tl0_pic_idx,
    };
    let picture = picture(descriptor.picture_id, descriptor.tl0_pic_idx, false);
    Some(Reading {
        structure: descriptor.structure,
        ..Reading::of(&info, number(descriptor.picture_id), links, picture)
    })
}

fn number(id: Option<PictureId>) -> Number {
    id.map_or(Number::Timestamp, |id| Number::Picture {
        id: id.value,
        wide: id.wide,
    })
}

/// Reads a packet by its dependency descriptor. The payload may be encrypted and is not looked at,
/// but for the running numbers of VP8 and VP9, which stand before what is encrypted.
pub(crate) fn read_described(
    descriptor: &Descriptor,
    structure: &Structure,
    codec: Codec,
    payload: &[u8],
    marker: bool,
) -> Reading {
    let info = descriptor.info(structure, marker);
    let picture = match codec {
        Codec::Vp8 => vp8::Descriptor::parse(payload)
            .map(|read| picture(read.picture_id, read.tl0_pic_idx, true)),
        Codec::Vp9 => vp9::Descriptor::parse(payload)
            .map(|read| picture(read.picture_id, read.tl0_pic_idx, false)),
        _ => Ok(PictureAt::default()),
    };
    let picture = PictureAt {
        described: true,
        ..picture.unwrap_or_default()
    };
    let own = descriptor.dependencies;
    // A frame that no target needs, because they are all switched off, is no leaf.
    let leaf = info.spatial_leaf
        && (0..usize::from(structure.decode_targets()))
            .any(|target| own.indications.get(target) != Indication::NotPresent);
    let keyframe = own.references.as_slice().is_empty();
    Reading {
        keyframe,
        entry_point: descriptor.attaches_structure && descriptor.start_of_frame && keyframe,
        leaf,
        number: Number::Frame(descriptor.frame_number),
        links: Links::Described(own),
        ..Reading::of(&info, Number::Timestamp, Links::Described(own), picture)
    }
}

/// Reads a packet by its frame marking (RFC 9626), where the payload cannot be read.
pub(crate) fn read_marked(marking: &FrameMarking, marker: bool) -> Reading {
    let keyframe = marking.independent;
    Reading {
        keyframe,
        entry_point: keyframe && marking.start,
        start: marking.start,
        end: marking.end,
        spatial: 0,
        temporal: marking.temporal,
        discardable: marking.discardable,
        leaf: true,
        number: Number::Timestamp,
        links: Links::Layers {
            sync: marking.base_layer_sync,
            inter_layer: false,
            tl0: marking.tl0_picture,
        },
        picture: PictureAt::default(),
        structure: None,
    }
    .ending(marker)
}

impl Reading {
    fn ending(self, marker: bool) -> Self {
        Self {
            end: self.end || marker,
            ..self
        }
    }
}

/// The facts of a packet that is a frame by itself.
pub(crate) fn whole_frame() -> Facts {
    Facts {
        entry_point: true,
        start_of_frame: true,
        end_of_frame: true,
        end_of_layer: true,
        ..Facts::default()
    }
}

/// Whether a kind of media has frames that depend on each other.
#[inline]
pub(crate) fn has_frames(kind: MediaKind) -> bool {
    kind == MediaKind::Video
}

fn picture(id: Option<PictureId>, tl0: Option<ByteField>, closes: bool) -> PictureAt {
    let mut at = PictureAt {
        closes,
        ..PictureAt::default()
    };
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
        let facts = read_payload(Codec::Vp8, &payload, false)
            .unwrap()
            .facts(7, false);
        assert!(facts.entry_point && !facts.end_of_frame && !facts.end_of_layer);
        assert_eq!(facts.frame, 7);
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
        let reading = read_payload(Codec::Other, &[1, 2, 3], false).unwrap();
        assert!(reading.entry_point && !reading.end);
        assert!(read_payload(Codec::Vp8, &[], false).is_none());
    }
}
