use std::collections::VecDeque;

use bytes::Bytes;
use roomtone_frames::depacketize::opus_samples;
use roomtone_frames::{AccessUnit, CarriedCodec, CarriedFormat, Format, OpusFormat};

use super::clock::{SampleClock, ticks};
use super::{Output, TrackCounters};
use crate::flv::{AacConfig, AudioPart, opus_format};
use crate::{AudioTag, Codec, Media, TagError};

/// The sound of one publisher.
#[derive(Debug, Default)]
pub(super) struct Sound {
    codec: Option<Codec>,
    format: Option<Format>,
    /// Samples of a frame of AAC.
    frame: u32,
    given: Option<Format>,
    clock: SampleClock,
}

impl Sound {
    pub(super) fn handle(
        &mut self,
        milliseconds: i64,
        tag: AudioTag,
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
            AudioPart::Config(config) => self.configure(tag.codec, &config),
            AudioPart::Frame(data) => {
                if data.is_empty() {
                    counters.empty += 1;
                    return Ok(());
                }
                let samples = self.samples(tag.codec, &data)?;
                let Some(format) = self.format.clone() else {
                    counters.without_format += 1;
                    return Ok(());
                };
                let rate = format.clock_rate();
                if self.given.as_ref() != Some(&format) {
                    self.clock = SampleClock::default();
                    out.push_back(Output::Format(Media::Audio, format.clone()));
                    self.given = Some(format);
                }
                let said = ticks(milliseconds, tag.nanoseconds, rate);
                let (at, jumped) = match samples {
                    Some(samples) => self.clock.place(said, samples, rate),
                    None => (said, false),
                };
                counters.sound_jumps += u64::from(jumped);
                out.push_back(Output::Unit(
                    Media::Audio,
                    AccessUnit {
                        dts: at,
                        pts: at,
                        keyframe: true,
                        data,
                    },
                ));
                Ok(())
            }
            AudioPart::End => {
                out.push_back(Output::End(Media::Audio));
                Ok(())
            }
            AudioPart::Other => Ok(()),
        }
    }

    fn configure(&mut self, codec: Codec, config: &Bytes) -> Result<(), TagError> {
        match codec {
            Codec::Aac => {
                let read = AacConfig::read(config)?;
                self.frame = read.frame;
                self.format = Some(Format::Aac(read.format));
            }
            Codec::Opus => self.format = Some(Format::Opus(opus_format(config)?)),
            _ => {}
        }
        Ok(())
    }

    /// How long a frame sounds, in ticks of its clock, where it can be told; and the format of what needs no configuration.
    fn samples(&mut self, codec: Codec, data: &[u8]) -> Result<Option<u32>, TagError> {
        match codec {
            Codec::Aac => Ok(Some(self.frame)),
            Codec::Opus => {
                let samples = opus_samples(data).ok_or(TagError::Malformed)?;
                // The bit beside the configuration says stereo (RFC 6716 section 3.1).
                self.format.get_or_insert(Format::Opus(OpusFormat {
                    channels: if data[0] & 4 == 0 { 1 } else { 2 },
                    pre_skip: 0,
                }));
                Ok(Some(samples))
            }
            _ => {
                self.format = Some(Format::Carried(carried(codec)));
                let telephone = matches!(codec, Codec::Pcma | Codec::Pcmu);
                Ok(telephone.then_some(data.len() as u32))
            }
        }
    }
}

/// What is only carried is on a clock of 90 kHz, but for the telephone's.
fn carried(codec: Codec) -> CarriedFormat {
    let (codec, clock_rate, channels) = match codec {
        Codec::Ac3 => (CarriedCodec::Ac3, 90_000, 0),
        Codec::Eac3 => (CarriedCodec::Eac3, 90_000, 0),
        Codec::Pcma => (CarriedCodec::Pcma, 8_000, 1),
        Codec::Pcmu => (CarriedCodec::Pcmu, 8_000, 1),
        _ => (CarriedCodec::Mp3, 90_000, 0),
    };
    CarriedFormat {
        codec,
        clock_rate,
        channels,
    }
}
