//! Units to tags: for players, and for other servers.

use bytes::{BufMut, Bytes, BytesMut};
use roomtone_frames::{
    AacFormat, AccessUnit, Av1Format, CarriedCodec, Format, H264Format, HevcFormat, OpusFormat,
};

use crate::{Codec, Media};

/// Packet types (Enhanced RTMP v2; the first two are those of AVC and AAC too).
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;

/// Writes the tags of one track.
#[derive(Debug, Clone)]
pub struct TagWriter {
    format: Format,
    codec: Codec,
}

impl TagWriter {
    /// For units of this format.
    pub fn new(format: Format) -> Self {
        let codec = match &format {
            Format::H264(_) => Codec::Avc,
            Format::Hevc(_) => Codec::Hevc,
            Format::Av1(_) => Codec::Av1,
            Format::Aac(_) => Codec::Aac,
            Format::Opus(_) => Codec::Opus,
            Format::Carried(carried) => match carried.codec {
                CarriedCodec::Vp8 => Codec::Vp8,
                CarriedCodec::Vp9 => Codec::Vp9,
                CarriedCodec::Mp3 => Codec::Mp3,
                CarriedCodec::Ac3 => Codec::Ac3,
                CarriedCodec::Eac3 => Codec::Eac3,
                CarriedCodec::Pcmu => Codec::Pcmu,
                CarriedCodec::Pcma => Codec::Pcma,
            },
        };
        Self { format, codec }
    }

    /// Which kind of tag its units are.
    pub fn media(&self) -> Media {
        if self.format.is_video() {
            Media::Video
        } else {
            Media::Audio
        }
    }

    /// What goes before the first unit, and to who joins later; none where nothing has to.
    pub fn header(&self) -> Option<Bytes> {
        let mut out = BytesMut::new();
        match &self.format {
            Format::H264(h264) => {
                out.put_slice(&[0x17, SEQUENCE_START, 0, 0, 0]);
                put_avc_record(h264, &mut out);
            }
            Format::Hevc(hevc) => {
                self.put_extended(0x90 | SEQUENCE_START, &mut out);
                put_hevc_record(hevc, &mut out);
            }
            Format::Av1(av1) => {
                self.put_extended(0x90 | SEQUENCE_START, &mut out);
                put_av1_record(av1, &mut out);
            }
            Format::Aac(AacFormat { config, .. }) => {
                out.put_slice(&[0xaf, SEQUENCE_START]);
                out.put_slice(config);
            }
            Format::Opus(opus) => {
                self.put_extended(0x90 | SEQUENCE_START, &mut out);
                put_opus_header(*opus, &mut out);
            }
            Format::Carried(_) => return None,
        }
        Some(out.freeze())
    }

    /// The time of a unit's tag: milliseconds, modulo 2^32.
    pub fn timestamp(&self, unit: &AccessUnit) -> u32 {
        self.milliseconds(unit.dts) as u32
    }

    /// The body of a unit's tag.
    pub fn unit(&self, unit: &AccessUnit) -> Bytes {
        let mut out = BytesMut::with_capacity(unit.data.len() + 8);
        // The difference of both as they will be read, not the rounded difference.
        let offset = self.milliseconds(unit.pts) - self.milliseconds(unit.dts);
        let frame = if unit.keyframe { 0x10 } else { 0x20 };
        match self.codec {
            Codec::Avc => {
                out.put_slice(&[frame | 7, CODED_FRAMES]);
                out.put_int(offset, 3);
            }
            Codec::Hevc => {
                self.put_extended(0x80 | frame | CODED_FRAMES, &mut out);
                out.put_int(offset, 3);
            }
            Codec::Av1 | Codec::Vp8 | Codec::Vp9 => {
                self.put_extended(0x80 | frame | CODED_FRAMES, &mut out);
            }
            Codec::Aac => out.put_slice(&[0xaf, CODED_FRAMES]),
            // 44 kHz, 16 bits and stereo stand for whatever the frames say.
            Codec::Mp3 => out.put_u8(0x2f),
            Codec::Pcma => out.put_u8(0x72),
            Codec::Pcmu => out.put_u8(0x82),
            Codec::Opus | Codec::Ac3 | Codec::Eac3 => {
                self.put_extended(0x90 | CODED_FRAMES, &mut out);
            }
        }
        out.put_slice(&unit.data);
        out.freeze()
    }

    fn put_extended(&self, first: u8, out: &mut BytesMut) {
        out.put_u8(first);
        out.put_slice(&self.codec.fourcc().unwrap_or_default());
    }

    fn milliseconds(&self, ticks: i64) -> i64 {
        let rate = i128::from(self.format.clock_rate().max(1));
        (i128::from(ticks) * 1000 + rate / 2).div_euclid(rate) as i64
    }
}

/// ISO/IEC 14496-15 section 5.3.3.1.
fn put_avc_record(h264: &H264Format, out: &mut BytesMut) {
    let byte = |at: usize| h264.sps.get(at).copied().unwrap_or(0);
    let profile = byte(1);
    out.put_slice(&[1, profile, byte(2), byte(3), 0xff, 0xe1]);
    put_set(&h264.sps, out);
    out.put_u8(h264.pps.len() as u8);
    for pps in &h264.pps {
        put_set(pps, out);
    }
    if !matches!(profile, 66 | 77 | 88) {
        out.put_u8(0xfc | h264.chroma_format);
        out.put_u8(0xf8 | h264.luma_bits.saturating_sub(8));
        out.put_u8(0xf8 | h264.chroma_bits.saturating_sub(8));
        out.put_u8(0);
    }
}

/// ISO/IEC 14496-15 section 8.3.3.1.
fn put_hevc_record(hevc: &HevcFormat, out: &mut BytesMut) {
    let profile = &hevc.profile;
    out.put_u8(1);
    out.put_u8(profile.space << 6 | u8::from(profile.high_tier) << 5 | profile.idc);
    out.put_u32(profile.compatibility);
    out.put_slice(&profile.constraints);
    out.put_u8(profile.level);
    // No segmentation and no parallelism are said.
    out.put_slice(&[0xf0, 0, 0xfc]);
    out.put_u8(0xfc | hevc.chroma_format);
    out.put_u8(0xf8 | hevc.luma_bits.saturating_sub(8));
    out.put_u8(0xf8 | hevc.chroma_bits.saturating_sub(8));
    // No average of pictures a second.
    out.put_u16(0);
    out.put_u8(hevc.temporal_layers << 3 | u8::from(hevc.temporal_id_nested) << 2 | 3);
    let sps = std::slice::from_ref(&hevc.sps);
    let arrays = [(32, &hevc.vps[..]), (33, sps), (34, &hevc.pps)];
    out.put_u8(arrays.len() as u8);
    for (kind, sets) in arrays {
        out.put_u8(0x80 | kind);
        out.put_u16(sets.len() as u16);
        for set in sets {
            put_set(set, out);
        }
    }
}

fn put_set(set: &Bytes, out: &mut BytesMut) {
    out.put_u16(set.len() as u16);
    out.put_slice(set);
}

/// AV1 in ISO base media section 2.3.3.
fn put_av1_record(av1: &Av1Format, out: &mut BytesMut) {
    let colour = &av1.colour;
    let (across, down) = colour.subsampling;
    out.put_u8(0x81);
    out.put_u8(av1.profile << 5 | av1.level & 0x1f);
    out.put_u8(
        u8::from(av1.high_tier) << 7
            | u8::from(av1.bits > 8) << 6
            | u8::from(av1.bits == 12) << 5
            | u8::from(colour.monochrome) << 4
            | u8::from(across) << 3
            | u8::from(down) << 2
            | colour.sample_position & 3,
    );
    out.put_u8(0);
    out.put_slice(&av1.sequence_header);
}

/// RFC 7845 section 5.1; the rate of the source is not known, and 48 kHz is what a decoder gives.
fn put_opus_header(opus: OpusFormat, out: &mut BytesMut) {
    out.put_slice(b"OpusHead\x01");
    out.put_u8(opus.channels);
    out.put_u16_le(opus.pre_skip);
    out.put_u32_le(48_000);
    out.put_slice(&[0, 0, 0]);
}
