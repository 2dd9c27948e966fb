use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use roomtone_frames::{
    AccessUnit, CarriedCodec, CarriedFormat, Format, NalCodec, NalKind, av1, h264, hevc,
};

use super::clock::ticks;
use super::{Output, TrackCounters};
use crate::flv::{NalConfig, VideoPart};
use crate::{Codec, Media, TagError, VideoTag};

/// Ticks a second.
const CLOCK: u32 = 90_000;

/// The pictures of one publisher.
#[derive(Debug, Default)]
pub(super) struct Video {
    codec: Option<Codec>,
    sets: Sets,
    length_size: usize,
    /// Of the codec now; none before it is known.
    format: Option<Format>,
    /// As it was last given.
    given: Option<Format>,
}

/// Parameter sets in force.
#[derive(Debug, Default)]
enum Sets {
    #[default]
    None,
    H264(h264::ParameterSets),
    Hevc(hevc::ParameterSets),
}

impl Sets {
    fn take(&mut self, nal: &[u8]) {
        match self {
            Self::None => {}
            Self::H264(sets) => drop(sets.take(nal)),
            Self::Hevc(sets) => drop(sets.take(nal)),
        }
    }

    fn format(&self) -> Option<Format> {
        match self {
            Self::None => None,
            Self::H264(sets) => sets.format().map(Format::H264),
            Self::Hevc(sets) => sets.format().map(Format::Hevc),
        }
    }
}

/// What a frame is made into.
struct Picture {
    keyframe: bool,
    data: Bytes,
}

impl Video {
    pub(super) fn handle(
        &mut self,
        milliseconds: i64,
        tag: VideoTag,
        counters: &mut TrackCounters,
        out: &mut VecDeque<Output>,
    ) -> Result<(), TagError> {
        if self.codec != Some(tag.codec) {
            *self = Self {
                codec: Some(tag.codec),
                given: self.given.take(),
                ..Self::default()
            };
        }
        match tag.part {
            VideoPart::Config(config) => self.configure(tag.codec, &config)?,
            VideoPart::Frame { offset, data } => {
                let Some(picture) = self.read(tag.codec, &data)? else {
                    counters.empty += 1;
                    return Ok(());
                };
                if self.format.is_none() {
                    counters.without_format += 1;
                    return Ok(());
                }
                self.give_format(out);
                let dts = ticks(milliseconds, tag.nanoseconds, CLOCK);
                out.push_back(Output::Unit(
                    Media::Video,
                    AccessUnit {
                        dts,
                        pts: dts + ticks(i64::from(offset), 0, CLOCK),
                        keyframe: tag.keyframe || picture.keyframe,
                        data: picture.data,
                    },
                ));
            }
            VideoPart::End => out.push_back(Output::End(Media::Video)),
            VideoPart::Other => {}
        }
        Ok(())
    }

    fn give_format(&mut self, out: &mut VecDeque<Output>) {
        if self.given != self.format
            && let Some(format) = &self.format
        {
            out.push_back(Output::Format(Media::Video, format.clone()));
            self.given.clone_from(&self.format);
        }
    }

    /// A configuration replaces the one before as a whole.
    fn configure(&mut self, codec: Codec, config: &Bytes) -> Result<(), TagError> {
        let (mut sets, record) = match codec {
            Codec::Avc => (
                Sets::H264(h264::ParameterSets::default()),
                NalConfig::read_avc(config),
            ),
            Codec::Hevc => (
                Sets::Hevc(hevc::ParameterSets::default()),
                NalConfig::read_hevc(config),
            ),
            Codec::Av1 => return self.configure_av1(config),
            // What is only carried needs nothing said.
            _ => return Ok(()),
        };
        let record = record.ok_or(TagError::Malformed)?;
        for set in &record.sets {
            sets.take(set);
        }
        self.length_size = record.length_size;
        self.format = sets.format();
        self.sets = sets;
        Ok(())
    }

    /// `AV1CodecConfigurationRecord` (AV1 in ISO base media section 2.3.3): four bytes, then OBUs. Without a sequence header among them it
    /// comes with the first keyframe.
    fn configure_av1(&mut self, config: &Bytes) -> Result<(), TagError> {
        let obus = config.get(4..).ok_or(TagError::Malformed)?;
        self.format = av1::split(obus)
            .find_map(|obu| av1::read_sequence_header(&obu))
            .map(Format::Av1);
        Ok(())
    }

    fn read(&mut self, codec: Codec, data: &Bytes) -> Result<Option<Picture>, TagError> {
        let carried = match codec {
            Codec::Avc => return self.read_nals(NalCodec::H264, data),
            Codec::Hevc => return self.read_nals(NalCodec::Hevc, data),
            Codec::Av1 => return self.read_av1(data),
            Codec::Vp8 => CarriedCodec::Vp8,
            _ => CarriedCodec::Vp9,
        };
        self.format = Some(Format::Carried(CarriedFormat {
            codec: carried,
            clock_rate: CLOCK,
            channels: 0,
        }));
        Ok((!data.is_empty()).then(|| Picture {
            keyframe: false,
            data: data.clone(),
        }))
    }

    /// NAL units behind their lengths. Parameter sets among them count from here on; delimiters are left out. None where there is
    /// no part of a picture.
    fn read_nals(&mut self, codec: NalCodec, data: &Bytes) -> Result<Option<Picture>, TagError> {
        if self.length_size == 0 {
            // Before any configuration nobody knows how long the lengths are; four is what all use.
            return Ok(Some(Picture {
                keyframe: false,
                data: data.clone(),
            }));
        }
        let mut kept: Vec<&[u8]> = vec![];
        let (mut keyframe, mut has_slice, mut has_sets, mut all) = (false, false, false, 0);
        let mut rest = &data[..];
        while !rest.is_empty() {
            let nal = take_nal(&mut rest, self.length_size).ok_or(TagError::Malformed)?;
            all += 1;
            match codec.kind(nal) {
                Some(kind) if kind.is_set() => {
                    self.sets.take(nal);
                    has_sets = true;
                }
                Some(NalKind::Delimiter) | None => {}
                Some(kind) => {
                    keyframe |= kind == NalKind::Idr;
                    has_slice |= kind.is_slice();
                    kept.push(nal);
                }
            }
        }
        if has_sets {
            self.format = self.sets.format();
        }
        if !has_slice {
            return Ok(None);
        }
        let data = if self.length_size == 4 && kept.len() == all {
            data.clone()
        } else {
            with_lengths(&kept)
        };
        Ok(Some(Picture { keyframe, data }))
    }

    fn read_av1(&mut self, data: &Bytes) -> Result<Option<Picture>, TagError> {
        let unit = av1::read(data).ok_or(TagError::Malformed)?;
        if let Some(format) = unit.format {
            self.format = Some(Format::Av1(format));
        }
        Ok(unit.has_frame.then_some(Picture {
            keyframe: unit.keyframe,
            data: unit.data,
        }))
    }
}

fn take_nal<'a>(rest: &mut &'a [u8], length_size: usize) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_at_checked(length_size)?;
    let length = length
        .iter()
        .fold(0usize, |sum, &byte| sum << 8 | usize::from(byte));
    let (nal, behind) = behind.split_at_checked(length)?;
    *rest = behind;
    Some(nal)
}

fn with_lengths(nals: &[&[u8]]) -> Bytes {
    let mut out = BytesMut::with_capacity(nals.iter().map(|nal| nal.len() + 4).sum());
    for nal in nals {
        out.put_u32(nal.len() as u32);
        out.put_slice(nal);
    }
    out.freeze()
}
