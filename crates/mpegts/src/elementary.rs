//! What is made of the PES packets of a stream.

use bytes::Bytes;
use roomtone_frames::depacketize::opus_samples;
use roomtone_frames::{AacFormat, AccessUnit, CarriedFormat, Format, OpusFormat};

use crate::carried;
use crate::clock::to_rate;
use crate::codec::Codec;
use crate::event::{DropReason, Event, TrackId};
use crate::framing::{Found, Framer, Measure};
use crate::latm::{Latm, LatmError};
use crate::queue::Queue;
use crate::video::{Times, Video};
use crate::{adts, opus};

/// Tags longer than this are no tags.
const MAX_TAG_BYTES: usize = 1 << 20;

/// What is made of them, by codec.
#[derive(Debug)]
pub(crate) enum Elementary {
    Video(Box<Video>),
    Adts(Sound),
    Latm(Sound, Latm),
    Opus(Sound, u8),
    Id3(Tags),
    Carried(Sound, Codec),
    /// It comes in sections.
    Nothing,
}

/// Tags of timed metadata.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    framer: Framer,
    /// The time of the packet in which the last one began.
    begun: Option<i64>,
}

/// Frames of sound, and where they are in time.
#[derive(Debug, Default)]
pub(crate) struct Sound {
    framer: Framer,
    clock: SampleClock,
}

/// Frames follow each other by their samples, from the last time that a packet said.
#[derive(Debug, Default)]
struct SampleClock {
    format: Option<Format>,
    next: Option<i64>,
}

impl Elementary {
    pub(crate) fn new(codec: Codec) -> Self {
        match codec {
            Codec::Video(codec) => Self::Video(Box::new(Video::new(codec))),
            Codec::AacAdts => Self::Adts(Sound::default()),
            Codec::AacLatm => Self::Latm(Sound::default(), Latm::default()),
            Codec::Opus { channels } => Self::Opus(Sound::default(), channels),
            Codec::Id3 => Self::Id3(Tags::default()),
            Codec::MpegAudio | Codec::Ac3 | Codec::Eac3 => Self::Carried(Sound::default(), codec),
            Codec::Scte35 => Self::Nothing,
        }
    }

    /// A packet has begun with these bytes.
    pub(crate) fn handle_begin(&mut self, bytes: &[u8], track: TrackId, queue: &mut Queue) {
        if let Self::Video(video) = self {
            video.handle_begin(bytes, track, queue);
        }
    }

    /// A packet is whole: its payload is `bytes` from `from` on. The buffer may be exchanged for another.
    pub(crate) fn handle_packet(
        &mut self,
        bytes: &mut Vec<u8>,
        from: usize,
        times: Option<Times>,
        limit: usize,
        (track, queue): (TrackId, &mut Queue),
    ) {
        let pts = times.map(|times| times.pts);
        match self {
            Self::Video(video) => video.handle_packet(bytes, from, times, limit, (track, queue)),
            Self::Adts(sound) => sound.handle_adts(&bytes[from..], pts, track, queue),
            Self::Latm(sound, latm) => sound.handle_latm(latm, &bytes[from..], pts, track, queue),
            Self::Opus(sound, channels) => {
                sound.handle_opus(*channels, &bytes[from..], pts, track, queue);
            }
            Self::Id3(tags) => tags.handle(&bytes[from..], pts, track, queue),
            Self::Carried(sound, codec) => {
                sound.handle_carried(*codec, &bytes[from..], pts, track, queue);
            }
            Self::Nothing => {}
        }
    }

    /// Something is missing between the last packet and the next.
    pub(crate) fn drop_unit(&mut self, reason: DropReason, track: TrackId, queue: &mut Queue) {
        match self {
            Self::Video(video) => return video.drop_unit(reason, track, queue),
            Self::Adts(sound)
            | Self::Latm(sound, _)
            | Self::Opus(sound, _)
            | Self::Carried(sound, _) => sound.lose(),
            Self::Id3(tags) => {
                tags.framer.lose();
            }
            Self::Nothing => {}
        }
        queue.drop_unit(track, reason);
    }

    /// What was held was whole: the next packet is far away, or there is none.
    pub(crate) fn finish(&mut self, track: TrackId, queue: &mut Queue) {
        let cut_short = match self {
            Self::Video(video) => {
                video.finish(track, queue);
                false
            }
            Self::Adts(sound)
            | Self::Latm(sound, _)
            | Self::Opus(sound, _)
            | Self::Carried(sound, _) => {
                sound.clock.next = None;
                sound.framer.lose()
            }
            Self::Id3(tags) => tags.framer.lose(),
            Self::Nothing => false,
        };
        if cut_short {
            queue.drop_unit(track, DropReason::Incomplete);
        }
    }

    /// Bytes held.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Video(video) => video.len(),
            Self::Adts(sound)
            | Self::Latm(sound, _)
            | Self::Opus(sound, _)
            | Self::Carried(sound, _) => sound.framer.len(),
            Self::Id3(tags) => tags.framer.len(),
            Self::Nothing => 0,
        }
    }
}

impl Sound {
    fn lose(&mut self) {
        self.framer.lose();
        self.clock.next = None;
    }

    fn handle_adts(&mut self, bytes: &[u8], pts: Option<i64>, track: TrackId, queue: &mut Queue) {
        let clock = &mut self.clock;
        self.framer
            .push(bytes, pts, adts::measure, |found| match found {
                Found::Garbage => queue.drop_unit(track, DropReason::Malformed),
                Found::Frame(frame, pts) => match adts::read(frame) {
                    None => clock.skip(DropReason::Unsupported, track, queue),
                    Some((format, data)) => {
                        clock.set_aac(format, track, queue);
                        clock.give(data, adts::FRAME_SAMPLES, pts, track, queue);
                    }
                },
            });
    }

    fn handle_latm(
        &mut self,
        latm: &mut Latm,
        bytes: &[u8],
        pts: Option<i64>,
        track: TrackId,
        queue: &mut Queue,
    ) {
        let clock = &mut self.clock;
        self.framer.push(bytes, pts, crate::latm::measure, |found| {
            let Found::Frame(element, mut pts) = found else {
                return queue.drop_unit(track, DropReason::Malformed);
            };
            match latm.read(element) {
                Ok(element) => {
                    clock.set_aac(element.format, track, queue);
                    for frame in element.frames {
                        clock.give(&frame, element.frame_samples, pts.take(), track, queue);
                    }
                }
                Err(why) => clock.skip(why.into(), track, queue),
            }
        });
    }

    fn handle_carried(
        &mut self,
        codec: Codec,
        bytes: &[u8],
        pts: Option<i64>,
        track: TrackId,
        queue: &mut Queue,
    ) {
        let measure = |bytes: &[u8]| carried::measure(codec, bytes);
        let clock = &mut self.clock;
        self.framer.push(bytes, pts, measure, |found| {
            let Found::Frame(frame, pts) = found else {
                return queue.drop_unit(track, DropReason::Malformed);
            };
            match carried::read(codec, frame) {
                None => clock.skip(DropReason::Malformed, track, queue),
                // Without the frame that it adds to it is of no use, and that one is whole without it.
                Some(header) if header.dependent => queue.drop_unit(track, DropReason::Unsupported),
                Some(header) => {
                    clock.set_carried(header.format, track, queue);
                    clock.give(frame, header.samples, pts, track, queue);
                }
            }
        });
    }

    fn handle_opus(
        &mut self,
        channels: u8,
        bytes: &[u8],
        pts: Option<i64>,
        track: TrackId,
        queue: &mut Queue,
    ) {
        let clock = &mut self.clock;
        self.framer.push(bytes, pts, opus::measure, |found| {
            let Found::Frame(unit, pts) = found else {
                return queue.drop_unit(track, DropReason::Malformed);
            };
            let read = opus::read(unit).and_then(|control| {
                let data = &unit[control.header_bytes..];
                Some((control, data, opus_samples(data)?))
            });
            let Some((control, data, samples)) = read else {
                return clock.skip(DropReason::Malformed, track, queue);
            };
            if clock.format.is_none() {
                let format = OpusFormat {
                    channels,
                    pre_skip: control.start_trim,
                };
                clock.set(Format::Opus(format), track, queue);
            }
            clock.give(data, i64::from(samples), pts, track, queue);
        });
    }
}

impl SampleClock {
    fn set_carried(&mut self, format: CarriedFormat, track: TrackId, queue: &mut Queue) {
        if self.format != Some(Format::Carried(format)) {
            self.set(Format::Carried(format), track, queue);
        }
    }

    fn set_aac(&mut self, format: AacFormat, track: TrackId, queue: &mut Queue) {
        if !matches!(&self.format, Some(Format::Aac(is)) if *is == format) {
            self.set(Format::Aac(format), track, queue);
        }
    }

    fn set(&mut self, format: Format, track: TrackId, queue: &mut Queue) {
        if self.format.as_ref().map(Format::clock_rate) != Some(format.clock_rate()) {
            self.next = None;
        }
        self.format = Some(format.clone());
        queue.tell(Event::Format { track, format });
    }

    /// A frame is not given, and nobody knows how long it is.
    fn skip(&mut self, why: DropReason, track: TrackId, queue: &mut Queue) {
        self.next = None;
        queue.drop_unit(track, why);
    }

    fn give(
        &mut self,
        data: &[u8],
        samples: i64,
        pts: Option<i64>,
        track: TrackId,
        queue: &mut Queue,
    ) {
        let rate = self.format.as_ref().map_or(0, Format::clock_rate);
        let Some(time) = pts.map(|pts| to_rate(pts, rate)).or(self.next) else {
            return queue.drop_unit(track, DropReason::Untimed);
        };
        self.next = Some(time + samples);
        let unit = AccessUnit {
            dts: time,
            pts: time,
            keyframe: true,
            data: Bytes::copy_from_slice(data),
        };
        queue.give(Event::Unit { track, unit });
    }
}

impl From<LatmError> for DropReason {
    fn from(why: LatmError) -> Self {
        match why {
            LatmError::Malformed => Self::Malformed,
            LatmError::Unsupported => Self::Unsupported,
            LatmError::Unconfigured => Self::Undecodable,
        }
    }
}

impl Tags {
    /// All tags that begin in a packet have its time.
    fn handle(&mut self, bytes: &[u8], pts: Option<i64>, track: TrackId, queue: &mut Queue) {
        let mut its = if self.framer.len() == 0 {
            pts
        } else {
            self.begun
        };
        self.begun = pts;
        self.framer.push(bytes, pts, measure_tag, |found| {
            let data = match found {
                Found::Frame(tag, _) => Bytes::copy_from_slice(tag),
                Found::Garbage => return queue.drop_unit(track, DropReason::Malformed),
            };
            let pts = std::mem::replace(&mut its, pts);
            queue.give_timed(Event::Id3 { track, pts, data });
        });
    }
}

/// A tag is its header of ten bytes, what seven bits of four bytes count, and a footer where a flag says so (ID3v2.4.0
/// sections 3.1 and 3.4).
fn measure_tag(bytes: &[u8]) -> Measure {
    if bytes.iter().zip(b"ID3").any(|(is, should)| is != should) {
        return Measure::Bad;
    }
    let Some(head) = bytes.first_chunk::<10>() else {
        return Measure::More;
    };
    let size = head[6..]
        .iter()
        .fold(0, |size, &byte| size << 7 | usize::from(byte & 0x7f));
    let whole = 10 + size + if head[5] & 0x10 != 0 { 10 } else { 0 };
    if whole > MAX_TAG_BYTES {
        Measure::Bad
    } else {
        Measure::Bytes(whole)
    }
}
