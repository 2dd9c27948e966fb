//! Tags to units: the pictures and the sound of one publisher.

mod clock;
mod sound;
mod text;
mod video;

use std::collections::VecDeque;

use bytes::Bytes;
use roomtone_frames::{AccessUnit, Format};

use crate::flv::{AudioPart, VideoPart};
use crate::{AudioTag, Media, TagError, Value, VideoTag};
use clock::Unwrapped;
use sound::Sound;
pub use text::TextLine;
use video::Video;

/// What tags were made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// What a decoder must be told before the units that follow; again where it changes.
    Format(Media, Format),
    /// A unit; its times are on one zero for both tracks.
    Unit(Media, AccessUnit),
    /// The encoder says that this track ends.
    End(Media),
    /// A line of text.
    Text(TextLine),
}

/// What could not be given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrackCounters {
    /// Tags that could not be read.
    pub malformed: u64,
    /// Tags of a kind that is not taken.
    pub unsupported: u64,
    /// Units that came before what a decoder must be told.
    pub without_format: u64,
    /// Tags without a picture or sound in them: parameter sets alone, nothing at all.
    pub empty: u64,
    /// Times of sound that did not follow from the number of samples, so that the count began anew.
    pub sound_jumps: u64,
}

/// Makes units of the tags of one publisher.
///
/// Inputs: [`handle_tag`](Self::handle_tag), [`handle_data`](Self::handle_data). Outputs: [`poll_output`](Self::poll_output), at most a format and a unit for each tag. Video is on a clock
/// of 90 kHz, sound on that of its samples: times in milliseconds are made exact by counting them.
#[derive(Debug, Default)]
pub struct Tracks {
    times: Unwrapped,
    video: Video,
    sound: Sound,
    ready: VecDeque<Output>,
    counters: TrackCounters,
}

impl Tracks {
    /// Take the body of a tag. After an error of what is unsupported the publisher should be told; after one of what is malformed the
    /// next tag may be good.
    pub fn handle_tag(
        &mut self,
        media: Media,
        timestamp: u32,
        body: &Bytes,
    ) -> Result<(), TagError> {
        let outcome = match media {
            Media::Video => self.handle_video(timestamp, body),
            Media::Audio => self.handle_audio(timestamp, body),
        };
        match outcome {
            Ok(()) => {}
            Err(TagError::Malformed) => self.counters.malformed += 1,
            Err(TagError::Unsupported(_)) => self.counters.unsupported += 1,
        }
        outcome
    }

    /// Take values that came beside the media: lines of text are read, all others passed over.
    pub fn handle_data(
        &mut self,
        name: &str,
        timestamp: u32,
        values: &[Value],
    ) -> Result<(), TagError> {
        if name != text::NAME {
            return Ok(());
        }
        let Some((text, language)) = text::read(values) else {
            self.counters.malformed += 1;
            return Err(TagError::Malformed);
        };
        self.ready.push_back(Output::Text(TextLine {
            milliseconds: self.times.unwrap(timestamp),
            language,
            text,
        }));
        Ok(())
    }

    /// Give what is ready.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.ready.pop_front()
    }

    /// What could not be given.
    pub fn counters(&self) -> TrackCounters {
        self.counters
    }

    /// Only the times of frames count: configurations come with none, which is zero.
    fn milliseconds(&mut self, timestamp: u32, is_frame: bool) -> i64 {
        if is_frame {
            self.times.unwrap(timestamp)
        } else {
            0
        }
    }

    fn handle_video(&mut self, timestamp: u32, body: &Bytes) -> Result<(), TagError> {
        let Some(tag) = VideoTag::read(body)? else {
            self.counters.empty += 1;
            return Ok(());
        };
        let is_frame = matches!(tag.part, VideoPart::Frame { .. });
        let milliseconds = self.milliseconds(timestamp, is_frame);
        self.video
            .handle(milliseconds, tag, &mut self.counters, &mut self.ready)
    }

    fn handle_audio(&mut self, timestamp: u32, body: &Bytes) -> Result<(), TagError> {
        let Some(tag) = AudioTag::read(body)? else {
            self.counters.empty += 1;
            return Ok(());
        };
        let is_frame = matches!(tag.part, AudioPart::Frame(_));
        let milliseconds = self.milliseconds(timestamp, is_frame);
        self.sound
            .handle(milliseconds, tag, &mut self.counters, &mut self.ready)
    }
}

#[cfg(test)]
mod tests;
