//! CMAF: the header of a track, and chunks of its samples (ISO/IEC 23000-19).

use bytes::Bytes;
use mp4_atom::{
    Audio, Av01, Av1c, Avc1, Avcc, AvccExt, Codec, Dinf, Dops, Dref, DrefEntry, Encode, Esds, Ftyp,
    Hdlr, Hvc1, HvcCArray, Hvcc, Mdhd, Mdia, Mfhd, Minf, Moof, Moov, Mp4a, Mvex, Mvhd, Opus, Smhd,
    Stbl, Stsd, Tfdt, Tfhd, Tkhd, Traf, Trak, Trex, Trun, TrunEntry, Url, Visual, Vmhd,
    esds::{DecoderConfig, DecoderSpecific, EsDescriptor, SLConfig},
};
use roomtone_frames::{AacFormat, Av1Format, Format, H264Format, HevcFormat, OpusFormat};
use thiserror::Error;

use crate::protection::{Protection, Runs, append_to_track, auxiliary};

const TRACK: u32 = 1;
/// Not a point to begin at, depends on others; and the opposite (ISO/IEC 14496-12 section 8.8.3.1).
const DEPENDENT_SAMPLE: u32 = 0x0101_0000;
const INDEPENDENT_SAMPLE: u32 = 0x0200_0000;

/// Why a box could not be written.
#[derive(Debug, Error)]
pub enum BoxError {
    /// A value does not fit its field.
    #[error("a box cannot hold what it should: {0}")]
    Value(#[from] mp4_atom::Error),
    /// There is no box for the codec, or no player that would read it.
    #[error("HLS does not carry {0}")]
    Codec(&'static str),
    /// Samples of the codec are not encrypted one by one here.
    #[error("{0} is not encrypted by SAMPLE-AES here: choose AES-128")]
    Unprotectable(&'static str),
    /// The cipher refused; it says no more.
    #[error("what should be encrypted could not be")]
    Encryption,
}

impl From<aws_lc_rs::error::Unspecified> for BoxError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Encryption
    }
}

/// Whether tracks of a format can be packaged.
pub fn carries(format: &Format) -> bool {
    !matches!(format, Format::Carried(_))
}

/// One sample of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    /// In ticks of the track.
    pub duration: u32,
    /// How much later than its decoding it is shown, in ticks.
    pub composition_offset: i64,
    /// Whether decoding may begin here.
    pub keyframe: bool,
    /// As the track's format has it.
    pub data: Bytes,
    /// Which of it is encrypted, where the sample is.
    pub runs: Runs,
}

/// Write the header of a track with one format and no samples; of samples that are encrypted, where a protection is given.
pub(crate) fn init_segment(
    format: &Format,
    timescale: u32,
    protection: Option<&Protection>,
) -> Result<Bytes, BoxError> {
    let ftyp = Ftyp {
        major_brand: b"iso6".into(),
        minor_version: 0,
        compatible_brands: vec![b"iso6".into(), b"cmfc".into(), b"mp41".into()],
    };
    let moov = Moov {
        mvhd: Mvhd {
            timescale,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: 2,
            ..Mvhd::default()
        },
        mvex: Some(Mvex {
            mehd: None,
            trex: vec![Trex {
                track_id: TRACK,
                default_sample_description_index: 1,
                ..Trex::default()
            }],
        }),
        trak: vec![track(format, timescale)?],
        ..Moov::default()
    };
    let mut out = Vec::new();
    ftyp.encode(&mut out)?;
    moov.encode(&mut out)?;
    if let Some(protection) = protection {
        protection.mark(&mut out);
    }
    Ok(out.into())
}

fn track(format: &Format, timescale: u32) -> Result<Trak, BoxError> {
    let (width, height) = format.size().unwrap_or_default();
    let video = format.is_video();
    Ok(Trak {
        tkhd: Tkhd {
            track_id: TRACK,
            enabled: true,
            in_movie: true,
            volume: u8::from(!video).into(),
            width: (width as u16).into(),
            height: (height as u16).into(),
            ..Tkhd::default()
        },
        mdia: Mdia {
            mdhd: Mdhd {
                timescale,
                language: "und".to_owned(),
                ..Mdhd::default()
            },
            hdlr: Hdlr {
                handler: if video { b"vide" } else { b"soun" }.into(),
                name: "roomtone".to_owned(),
            },
            minf: Minf {
                vmhd: video.then(Vmhd::default),
                smhd: (!video).then(Smhd::default),
                dinf: Dinf {
                    dref: Dref {
                        entries: vec![DrefEntry::Url(Url::default())],
                    },
                },
                stbl: Stbl {
                    stsd: Stsd {
                        codecs: vec![sample_entry(format)?],
                    },
                    ..Stbl::default()
                },
                ..Minf::default()
            },
        },
        ..Trak::default()
    })
}

fn sample_entry(format: &Format) -> Result<Codec, BoxError> {
    Ok(match format {
        Format::H264(h264) => Codec::Avc1(avc1(h264)?),
        Format::Hevc(hevc) => Codec::Hvc1(hvc1(hevc)),
        Format::Av1(av1) => Codec::Av01(av01(av1)),
        Format::Aac(aac) => Codec::Mp4a(mp4a(aac)),
        Format::Opus(opus) => Codec::Opus(opus_entry(*opus)),
        Format::Carried(carried) => return Err(BoxError::Codec(carried.codec.name())),
    })
}

fn avc1(h264: &H264Format) -> Result<Avc1, BoxError> {
    let first = h264.pps.first().map_or(&[][..], |pps| pps);
    let mut avcc = Avcc::new(&h264.sps, first)?;
    avcc.picture_parameter_sets = h264.pps.iter().map(|pps| pps.to_vec()).collect();
    // Profiles that may have other samples than 4:2:0 in eight bits say so (ISO/IEC 14496-15 section 5.3.3.1).
    if matches!(avcc.avc_profile_indication, 100 | 110 | 122 | 144 | 244) {
        avcc.ext = Some(AvccExt {
            chroma_format: h264.chroma_format,
            bit_depth_luma: h264.luma_bits,
            bit_depth_chroma: h264.chroma_bits,
            ..AvccExt::default()
        });
    }
    Ok(Avc1 {
        visual: picture(h264.width, h264.height),
        avcc,
        ..Avc1::default()
    })
}

fn picture(width: u32, height: u32) -> Visual {
    Visual {
        data_reference_index: 1,
        width: width as u16,
        height: height as u16,
        ..Visual::default()
    }
}

/// ISO/IEC 14496-15 section 8.3.3.1: all sets are here and none is in a sample, which the name `hvc1` says.
fn hvc1(hevc: &HevcFormat) -> Hvc1 {
    const VPS: u8 = 32;
    let sps = std::slice::from_ref(&hevc.sps);
    let array = |(nal_unit_type, sets): (u8, &[Bytes])| HvcCArray {
        completeness: true,
        nal_unit_type,
        nalus: sets.iter().map(|set| set.to_vec()).collect(),
    };
    let profile = &hevc.profile;
    let hvcc = Hvcc {
        general_profile_space: profile.space,
        general_tier_flag: profile.high_tier,
        general_profile_idc: profile.idc,
        general_profile_compatibility_flags: profile.compatibility.to_be_bytes(),
        general_constraint_indicator_flags: profile.constraints,
        general_level_idc: profile.level,
        chroma_format_idc: hevc.chroma_format,
        bit_depth_luma_minus8: hevc.luma_bits - 8,
        bit_depth_chroma_minus8: hevc.chroma_bits - 8,
        num_temporal_layers: hevc.temporal_layers,
        temporal_id_nested: hevc.temporal_id_nested,
        length_size_minus_one: 3,
        arrays: [(VPS, &hevc.vps[..]), (VPS + 1, sps), (VPS + 2, &hevc.pps)]
            .map(array)
            .into(),
        ..Hvcc::new()
    };
    Hvc1 {
        visual: picture(hevc.width, hevc.height),
        hvcc,
        ..Hvc1::default()
    }
}

/// AV1 in ISO base media sections 2.2 and 2.3.
fn av01(av1: &Av1Format) -> Av01 {
    let colour = &av1.colour;
    let (chroma_subsampling_x, chroma_subsampling_y) = colour.subsampling;
    let av1c = Av1c {
        seq_profile: av1.profile,
        seq_level_idx_0: av1.level,
        seq_tier_0: av1.high_tier,
        high_bitdepth: av1.bits > 8,
        twelve_bit: av1.bits == 12,
        monochrome: colour.monochrome,
        chroma_subsampling_x,
        chroma_subsampling_y,
        chroma_sample_position: colour.sample_position,
        initial_presentation_delay: None,
        config_obus: av1.sequence_header.to_vec(),
    };
    Av01 {
        visual: picture(av1.width, av1.height),
        av1c,
        ..Av01::default()
    }
}

fn mp4a(aac: &AacFormat) -> Mp4a {
    let dec_config = DecoderConfig {
        object_type_indication: 0x40,
        stream_type: 5,
        dec_specific: Some(DecoderSpecific {
            raw: aac.config.to_vec(),
            ..DecoderSpecific::default()
        }),
        ..DecoderConfig::default()
    };
    let es_desc = EsDescriptor {
        es_id: 1,
        dec_config,
        sl_config: SLConfig {},
        ..EsDescriptor::default()
    };
    // Rates above 65,535 Hz do not fit and are zero here; the configuration has them.
    let rate = u16::try_from(aac.sample_rate).unwrap_or(0);
    Mp4a {
        audio: sound(aac.channels, rate),
        esds: Esds { es_desc },
        btrt: None,
        taic: None,
    }
}

fn opus_entry(opus: OpusFormat) -> Opus {
    let dops = Dops {
        output_channel_count: opus.channels,
        pre_skip: opus.pre_skip,
        input_sample_rate: 48_000,
        output_gain: 0,
        channel_mapping: None,
    };
    Opus {
        audio: sound(opus.channels, 48_000),
        dops,
        btrt: None,
    }
}

fn sound(channels: u8, rate: u16) -> Audio {
    Audio {
        data_reference_index: 1,
        channel_count: channels.into(),
        sample_size: 16,
        sample_rate: rate.into(),
    }
}

/// Write one chunk, `moof` and `mdat`, that begins at `decode_time` ticks. `sequence` rises from chunk to chunk; with
/// `protected` the samples are encrypted, and their runs are told.
pub(crate) fn chunk(
    sequence: u32,
    decode_time: u64,
    samples: &[Sample],
    protected: bool,
) -> Result<Bytes, BoxError> {
    let mut moof = Moof {
        mfhd: Mfhd {
            sequence_number: sequence,
        },
        traf: vec![Traf {
            tfhd: Tfhd {
                track_id: TRACK,
                default_base_is_moof: true,
                ..Tfhd::default()
            },
            tfdt: Some(Tfdt {
                base_media_decode_time: decode_time,
            }),
            trun: vec![Trun {
                data_offset: Some(0),
                samples: entries(samples).into(),
            }],
            ..Traf::default()
        }],
    };
    let size: usize = samples.iter().map(|sample| sample.data.len()).sum();
    let mut out = Vec::with_capacity(size + 128 + samples.len() * 16);
    moof.encode(&mut out)?;
    let boxes = if protected {
        let runs: Vec<Runs> = samples.iter().map(|sample| sample.runs.clone()).collect();
        auxiliary(&runs, out.len())
    } else {
        Vec::new()
    };
    // The samples begin behind the `moof` and the eight bytes of the `mdat`'s header; its size is known only now.
    moof.traf[0].trun[0].data_offset = Some((out.len() + boxes.len()) as i32 + 8);
    out.clear();
    moof.encode(&mut out)?;
    append_to_track(&mut out, &boxes);
    out.extend((size as u32 + 8).to_be_bytes());
    out.extend(b"mdat");
    for sample in samples {
        out.extend(&sample.data);
    }
    Ok(out.into())
}

fn entries(samples: &[Sample]) -> Vec<TrunEntry> {
    let reordered = samples.iter().any(|sample| sample.composition_offset != 0);
    samples
        .iter()
        .map(|sample| TrunEntry {
            duration: Some(sample.duration),
            size: Some(sample.data.len() as u32),
            flags: Some(if sample.keyframe {
                INDEPENDENT_SAMPLE
            } else {
                DEPENDENT_SAMPLE
            }),
            cts: reordered.then_some(sample.composition_offset),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use mp4_atom::{Any, Buf, Decode};
    use roomtone_frames::{CarriedCodec, CarriedFormat, annexb, av1, h264, hevc};

    use super::*;

    fn samples() -> Vec<Sample> {
        (0..3)
            .map(|number| Sample {
                duration: 3000,
                composition_offset: 0,
                keyframe: number == 0,
                data: Bytes::from(vec![number; 10 + usize::from(number)]),
                runs: Runs::new(),
            })
            .collect()
    }

    fn boxes(mut bytes: &[u8]) -> Vec<Any> {
        let mut out = Vec::new();
        while bytes.has_remaining() {
            out.push(Any::decode(&mut bytes).unwrap());
        }
        out
    }

    #[test]
    fn a_chunk_has_its_samples_where_it_says() {
        let chunk = chunk(7, 90_000, &samples(), false).unwrap();
        let [Any::Moof(moof), Any::Mdat(mdat)] = &boxes(&chunk)[..] else {
            panic!("moof and mdat")
        };
        assert_eq!(moof.mfhd.sequence_number, 7);
        let traf = &moof.traf[0];
        assert_eq!(traf.tfdt.as_ref().unwrap().base_media_decode_time, 90_000);
        assert!(traf.tfhd.default_base_is_moof);
        let offset = traf.trun[0].data_offset.unwrap() as usize;
        assert_eq!(&chunk[offset..], &mdat.data[..]);
        let entries: Vec<TrunEntry> = traf.trun[0].samples.iter().collect();
        assert_eq!(
            entries.iter().map(|entry| entry.size.unwrap()).sum::<u32>() as usize,
            mdat.data.len()
        );
        assert_eq!(entries[0].flags, Some(INDEPENDENT_SAMPLE));
        assert_eq!(entries[1].flags, Some(DEPENDENT_SAMPLE));
    }

    /// The body of a box, wherever it is.
    fn body(bytes: &[u8], name: [u8; 4]) -> &[u8] {
        let at = bytes.windows(4).position(|four| four == name).unwrap();
        let size = u32::from_be_bytes(bytes[at - 4..at].try_into().unwrap()) as usize;
        &bytes[at + 4..at - 4 + size]
    }

    /// FFmpeg's own copies of the same streams into MP4; `tools/frame_vectors.py` makes both.
    #[test]
    fn configurations_are_those_that_ffmpeg_writes() {
        let h264 = include_bytes!("../../frames/tests/vectors/h264.h264");
        let mut sets = h264::ParameterSets::default();
        for nal in annexb::split(h264) {
            sets.take(nal);
        }
        let init = init_segment(&Format::H264(sets.format().unwrap()), 90_000, None).unwrap();
        let theirs = include_bytes!("../../frames/tests/vectors/h264.h264.mp4box");
        assert_eq!(body(&init, *b"avcC"), theirs);

        let hevc = include_bytes!("../../frames/tests/vectors/hevc.hevc");
        let mut sets = hevc::ParameterSets::default();
        for nal in annexb::split(hevc) {
            sets.take(nal);
        }
        let init = init_segment(&Format::Hevc(sets.format().unwrap()), 90_000, None).unwrap();
        let theirs = include_bytes!("../../frames/tests/vectors/hevc.hevc.mp4box");
        assert_eq!(body(&init, *b"hvcC"), theirs);

        let av1 = include_bytes!("../../frames/tests/vectors/av1.obu");
        let header = av1::split(av1).nth(1).unwrap();
        let format = Format::Av1(av1::read_sequence_header(&header).unwrap());
        let init = init_segment(&format, 90_000, None).unwrap();
        let theirs = include_bytes!("../../frames/tests/vectors/av1.obu.mp4box");
        assert_eq!(body(&init, *b"av1C"), theirs);
    }

    #[test]
    fn what_no_player_reads_is_refused_by_name() {
        let vp8 = Format::Carried(CarriedFormat {
            codec: CarriedCodec::Vp8,
            clock_rate: 90_000,
            channels: 0,
        });
        assert!(!carries(&vp8));
        let refused = init_segment(&vp8, 90_000, None).unwrap_err();
        assert_eq!(refused.to_string(), "HLS does not carry VP8");
    }

    #[test]
    fn a_header_has_one_track_of_the_format_and_no_samples() {
        let opus = Format::Opus(OpusFormat {
            channels: 2,
            pre_skip: 312,
        });
        let init = init_segment(&opus, 48_000, None).unwrap();
        let [Any::Ftyp(_), Any::Moov(moov)] = &boxes(&init)[..] else {
            panic!("ftyp and moov")
        };
        let stbl = &moov.trak[0].mdia.minf.stbl;
        assert!(
            matches!(&stbl.stsd.codecs[..], [Codec::Opus(entry)] if entry.dops.pre_skip == 312)
        );
        assert_eq!(moov.trak[0].mdia.mdhd.timescale, 48_000);
        assert!(stbl.stts.entries.is_empty());
    }
}
