//! CMAF: the header of a track, and chunks of its samples (ISO/IEC 23000-19).

use bytes::Bytes;
use mp4_atom::{
    Audio, Avc1, Avcc, AvccExt, Codec, Dinf, Dops, Dref, DrefEntry, Encode, Esds, Ftyp, Hdlr, Mdhd,
    Mdia, Mfhd, Minf, Moof, Moov, Mp4a, Mvex, Mvhd, Opus, Smhd, Stbl, Stsd, Tfdt, Tfhd, Tkhd, Traf,
    Trak, Trex, Trun, TrunEntry, Url, Visual, Vmhd,
    esds::{DecoderConfig, DecoderSpecific, EsDescriptor, SLConfig},
};
use roomtone_frames::{AacFormat, Format, H264Format, OpusFormat};
use thiserror::Error;

const TRACK: u32 = 1;
/// Not a point to begin at, depends on others; and the opposite (ISO/IEC 14496-12 section 8.8.3.1).
const DEPENDENT_SAMPLE: u32 = 0x0101_0000;
const INDEPENDENT_SAMPLE: u32 = 0x0200_0000;

/// Why a box could not be written: a value does not fit its field.
#[derive(Debug, Error)]
#[error("a box cannot hold what it should: {0}")]
pub struct BoxError(#[from] mp4_atom::Error);

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
}

/// Write the header of a track with one format and no samples.
pub(crate) fn init_segment(format: &Format) -> Result<Bytes, BoxError> {
    let ftyp = Ftyp {
        major_brand: b"iso6".into(),
        minor_version: 0,
        compatible_brands: vec![b"iso6".into(), b"cmfc".into(), b"mp41".into()],
    };
    let moov = Moov {
        mvhd: Mvhd {
            timescale: format.clock_rate(),
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
        trak: vec![track(format)?],
        ..Moov::default()
    };
    let mut out = Vec::new();
    ftyp.encode(&mut out)?;
    moov.encode(&mut out)?;
    Ok(out.into())
}

fn track(format: &Format) -> Result<Trak, BoxError> {
    let (width, height) = match format {
        Format::H264(h264) => (h264.width as u16, h264.height as u16),
        Format::Aac(_) | Format::Opus(_) => (0, 0),
    };
    let video = format.is_video();
    Ok(Trak {
        tkhd: Tkhd {
            track_id: TRACK,
            enabled: true,
            in_movie: true,
            volume: u8::from(!video).into(),
            width: width.into(),
            height: height.into(),
            ..Tkhd::default()
        },
        mdia: Mdia {
            mdhd: Mdhd {
                timescale: format.clock_rate(),
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
        Format::Aac(aac) => Codec::Mp4a(mp4a(aac)),
        Format::Opus(opus) => Codec::Opus(opus_entry(*opus)),
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
    let visual = Visual {
        data_reference_index: 1,
        width: h264.width as u16,
        height: h264.height as u16,
        ..Visual::default()
    };
    Ok(Avc1 {
        visual,
        avcc,
        ..Avc1::default()
    })
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

/// Write one chunk, `moof` and `mdat`, that begins at `decode_time` ticks. `sequence` rises from chunk to chunk.
pub(crate) fn chunk(
    sequence: u32,
    decode_time: u64,
    samples: &[Sample],
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
    // The samples begin behind the `moof` and the eight bytes of the `mdat`'s header; its size is known only now.
    moof.traf[0].trun[0].data_offset = Some(out.len() as i32 + 8);
    out.clear();
    moof.encode(&mut out)?;
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

    use super::*;

    fn samples() -> Vec<Sample> {
        (0..3)
            .map(|number| Sample {
                duration: 3000,
                composition_offset: 0,
                keyframe: number == 0,
                data: Bytes::from(vec![number; 10 + usize::from(number)]),
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
        let chunk = chunk(7, 90_000, &samples()).unwrap();
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

    #[test]
    fn a_header_has_one_track_of_the_format_and_no_samples() {
        let opus = Format::Opus(OpusFormat {
            channels: 2,
            pre_skip: 312,
        });
        let init = init_segment(&opus).unwrap();
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
