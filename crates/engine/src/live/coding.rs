//! What HLS can carry of what comes by RTP, and how each is put together.

use std::time::Instant;

use bytes::Bytes;
use roomtone_frames::depacketize::{
    AacDepacketizer, Av1Depacketizer, H264Depacketizer, HevcDepacketizer, OpusDepacketizer,
    Payload, Vp8Depacketizer, g711_units,
};
use roomtone_frames::timeline::Stamps;
use roomtone_frames::{AacFormat, AccessUnit, CarriedCodec, CarriedFormat, Format, OpusFormat};
use roomtone_rtp::Codec;

use super::silence::Silence;

/// What a payload type carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    H264,
    Hevc,
    Av1,
    /// Only for who codes it anew.
    Vp8,
    Opus {
        channels: u8,
    },
    /// As RFC 3640 packs it in its mode of high rates.
    Aac {
        config: AacConfig,
        clock_rate: u32,
        channels: u8,
    },
    /// Only for who codes it anew, and for routers.
    G711 {
        law: CarriedCodec,
        channels: u8,
    },
    /// Nothing has to be put together: units come whole, from an ingest.
    Whole {
        is_video: bool,
    },
    /// Units come whole and with times of the program, from a transcoder.
    Made {
        is_video: bool,
    },
}

/// `AudioSpecificConfig` of AAC (ISO/IEC 14496-3 section 1.6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AacConfig {
    bytes: [u8; Self::MOST_BYTES],
    len: usize,
}

impl AacConfig {
    /// More than that is said of no AAC that plays in browsers.
    const MOST_BYTES: usize = 16;

    /// None where it is too short to be one, or too long.
    pub(crate) fn new(config: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::MOST_BYTES];
        if config.len() < 2 {
            return None;
        }
        bytes.get_mut(..config.len())?.copy_from_slice(config);
        Some(Self {
            bytes,
            len: config.len(),
        })
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Ticks a second in which an ingest stamps all tracks of a source: rates of sound and 90 kHz divide it.
pub(crate) const INGEST_RATE: u32 = 70_560_000;
/// Samples of G.711 a second.
pub(crate) const G711_RATE: u32 = 8_000;
/// Sources of a timeline: what taps bring, and what an ingest brings.
const OF_TAPS: u32 = 0;
pub(super) const OF_INGEST: u32 = 1;

impl Coding {
    /// What a producer's codec is to a packager; none where it cannot be carried.
    pub(crate) fn of(codec: Codec, clock_rate: u32, channels: u8) -> Option<Self> {
        match (codec, clock_rate) {
            (Codec::H264, 90_000) => Some(Self::H264),
            (Codec::H265, 90_000) => Some(Self::Hevc),
            (Codec::Av1, 90_000) => Some(Self::Av1),
            (Codec::Vp8, 90_000) => Some(Self::Vp8),
            (Codec::Opus, 48_000) => Some(Self::Opus {
                channels: channels.clamp(1, 2),
            }),
            _ => None,
        }
    }

    /// Whether lists can have it as it is.
    pub(crate) fn is_carried(self) -> bool {
        !matches!(self, Self::Vp8 | Self::G711 { .. })
    }

    pub(super) fn is_video(self) -> bool {
        match self {
            Self::H264 | Self::Hevc | Self::Av1 | Self::Vp8 => true,
            Self::Opus { .. } | Self::Aac { .. } | Self::G711 { .. } => false,
            Self::Whole { is_video } | Self::Made { is_video } => is_video,
        }
    }

    pub(super) fn stamps(self) -> Stamps {
        if matches!(self, Self::Whole { .. } | Self::Made { .. }) {
            return Stamps {
                source: OF_INGEST,
                shared: true,
                rate: INGEST_RATE,
                bits: 48,
            };
        }
        Stamps {
            // The reports of all taps are written by the clock of this process.
            source: OF_TAPS,
            shared: false,
            rate: match self {
                Self::H264 | Self::Hevc | Self::Av1 | Self::Vp8 => 90_000,
                Self::Opus { .. } => 48_000,
                Self::Aac { clock_rate, .. } => clock_rate,
                Self::G711 { .. } => G711_RATE,
                Self::Whole { .. } | Self::Made { .. } => INGEST_RATE,
            },
            bits: 32,
        }
    }
}

/// Opus and its pauses.
pub(super) struct Sound {
    opus: OpusDepacketizer,
    format: OpusFormat,
    silence: Silence,
}

/// Puts together what comes with one payload type.
pub(super) enum Depacketizer {
    H264(Box<H264Depacketizer>),
    Hevc(Box<HevcDepacketizer>),
    Av1(Box<Av1Depacketizer>),
    Vp8(Box<Vp8Depacketizer>),
    Opus(Box<Sound>),
    Aac(Box<(AacDepacketizer, Format)>),
    /// Its format, and packets that were none.
    G711(CarriedFormat, u64),
    /// What comes is whole already.
    Whole,
}

/// A unit, its format where it may be another than before, and when it came.
pub(crate) type Found = (AccessUnit, Option<Format>, Instant);

impl Depacketizer {
    pub(super) fn new(coding: Coding) -> Self {
        match coding {
            Coding::H264 => Self::H264(Box::default()),
            Coding::Hevc => Self::Hevc(Box::default()),
            Coding::Av1 => Self::Av1(Box::default()),
            Coding::Vp8 => Self::Vp8(Box::default()),
            Coding::Opus { channels } => Self::Opus(Box::new(Sound {
                opus: OpusDepacketizer::default(),
                format: OpusFormat {
                    channels,
                    pre_skip: 0,
                },
                silence: Silence::default(),
            })),
            Coding::Aac {
                config,
                clock_rate,
                channels,
            } => {
                let format = AacFormat {
                    config: Bytes::copy_from_slice(config.bytes()),
                    sample_rate: clock_rate,
                    channels,
                };
                Self::Aac(Box::new((AacDepacketizer::new(1024), Format::Aac(format))))
            }
            Coding::G711 { law, channels } => {
                let format = CarriedFormat {
                    codec: law,
                    clock_rate: G711_RATE,
                    channels,
                };
                Self::G711(format, 0)
            }
            Coding::Whole { .. } | Coding::Made { .. } => Self::Whole,
        }
    }

    /// Take a parameter set that a description of the stream gave.
    pub(super) fn handle_parameter_set(&mut self, nal: &[u8]) {
        match self {
            Self::H264(h264) => h264.handle_parameter_set(nal),
            Self::Hevc(hevc) => hevc.handle_parameter_set(nal),
            _ => {}
        }
    }

    /// Take a packet; units that are whole by now are given to `found`.
    pub(super) fn handle_payload(
        &mut self,
        payload: Payload<'_>,
        arrival: Instant,
        mut found: impl FnMut(Found),
    ) {
        // Parameter sets only matter where decoding begins.
        match self {
            Self::H264(h264) => {
                h264.handle_payload(payload);
                while let Some(unit) = h264.poll_unit() {
                    let format = unit.keyframe.then(|| h264.format()).flatten();
                    found((unit, format.map(Format::H264), arrival));
                }
            }
            Self::Hevc(hevc) => {
                hevc.handle_payload(payload);
                while let Some(unit) = hevc.poll_unit() {
                    let format = unit.keyframe.then(|| hevc.format()).flatten();
                    found((unit, format.map(Format::Hevc), arrival));
                }
            }
            Self::Av1(av1) => {
                av1.handle_payload(payload);
                while let Some(unit) = av1.poll_unit() {
                    let format = unit.keyframe.then(|| av1.format().cloned()).flatten();
                    found((unit, format.map(Format::Av1), arrival));
                }
            }
            Self::Vp8(vp8) => {
                vp8.handle_payload(payload);
                while let Some(unit) = vp8.poll_unit() {
                    let format = Format::Carried(Vp8Depacketizer::FORMAT);
                    let format = unit.keyframe.then_some(format);
                    found((unit, format, arrival));
                }
            }
            Self::Opus(sound) => {
                let (sequence, timestamp) = (payload.sequence, payload.timestamp);
                let Some(frame) = sound.opus.handle_payload(payload) else {
                    return;
                };
                let silence = &mut sound.silence;
                let before = silence.handle_frame(sequence, timestamp, frame.samples, arrival);
                let Some(before) = before else {
                    return;
                };
                for unit in before.into_iter().chain([frame.unit]) {
                    found((unit, Some(Format::Opus(sound.format)), arrival));
                }
            }
            Self::Aac(aac) => {
                let (aac, format) = &mut **aac;
                aac.handle_payload(payload);
                while let Some(unit) = aac.poll_unit() {
                    found((unit, Some(format.clone()), arrival));
                }
            }
            Self::G711(format, malformed) => match g711_units(payload, format.channels) {
                Some(units) => {
                    for unit in units {
                        found((unit, Some(Format::Carried(*format)), arrival));
                    }
                }
                None => *malformed += 1,
            },
            Self::Whole => {}
        }
    }

    /// Sound that does not come while pictures do is silence.
    pub(super) fn fill_pause(&mut self, now: Instant, mut found: impl FnMut(Found)) {
        if let Self::Opus(sound) = self {
            for (unit, arrival) in sound.silence.handle_timeout(now) {
                found((unit, None, arrival));
            }
        }
    }

    /// Whether nothing can be shown before a keyframe comes.
    pub(super) fn wants_keyframe(&self) -> bool {
        match self {
            Self::H264(h264) => h264.wants_keyframe(),
            Self::Hevc(hevc) => hevc.wants_keyframe(),
            Self::Av1(av1) => av1.wants_keyframe(),
            Self::Vp8(vp8) => vp8.wants_keyframe(),
            Self::Opus(_) | Self::Aac(_) | Self::G711(..) | Self::Whole => false,
        }
    }

    /// Units that could not be put together.
    pub(super) fn dropped(&self) -> u64 {
        match self {
            Self::H264(h264) => h264.dropped().total(),
            Self::Hevc(hevc) => hevc.dropped().total(),
            Self::Av1(av1) => av1.dropped().total(),
            Self::Vp8(vp8) => vp8.dropped().total(),
            Self::Opus(sound) => sound.opus.malformed + sound.silence.late,
            Self::Aac(aac) => aac.0.dropped().total(),
            Self::G711(_, malformed) => *malformed,
            Self::Whole => 0,
        }
    }

    /// Frames of silence put where nothing came.
    pub(super) fn silent_frames(&self) -> u64 {
        match self {
            Self::Opus(sound) => sound.silence.frames,
            _ => 0,
        }
    }
}
