//! Tracks of a program that another process codes anew: units with their places on the timeline go out to it, and what it
//! makes of them comes back as tracks of the same program, by the same times.
//!
//! A job has one source, the first track of its kind. Its process may come, go and come again; until it has said what it
//! makes, and each of that has come, the program does not begin, for as long as `PATIENCE`. Nothing here waits for it: it has a
//! bounded queue, and where that is full it loses all up to the next keyframe, and is told.

mod feeding;
mod link;
mod maker;
mod opening;
mod queue;

use std::time::{Duration, Instant};

use bytes::BytesMut;
use roomtone_frames::exchange::{self, ExchangeError, Reader, Said};
use roomtone_frames::{AccessUnit, Format};

pub(super) use link::Link;
pub(crate) use maker::Maker;
pub(super) use maker::Making;
use queue::{Lost, Queue};
pub(super) use queue::{MAX_BYTES as QUEUE_BYTES, MAX_UNITS as QUEUE_UNITS};

use super::pressing::{QueueId, Queued};

/// A process that starts, and its encoders, are waited for before the program begins.
const PATIENCE: Duration = Duration::from_secs(20);
/// Who makes pictures at a pace of their own is told so often where the program is.
const TIMES_APART: Duration = Duration::from_millis(500);

/// What a job has done so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Figures {
    pub(super) sent: u64,
    pub(super) skipped: u64,
    /// Groups of pictures of which it lost something or all.
    pub(super) groups: u64,
    pub(super) made: u64,
    pub(super) lost: u64,
}

/// A track that is coded anew.
pub(super) struct Job {
    pub(super) id: u64,
    /// The kind of its source.
    pub(super) is_video: bool,
    /// Whether the source is in the lists too.
    pub(super) keeps_source: bool,
    /// Whether its process makes pictures at a pace of its own, also where nothing comes of the source.
    pub(super) paces: bool,
    /// When it was told last where the program is.
    told_time: Option<Instant>,
    pub(super) opened: Instant,
    queue: Queue,
    reader: Reader,
    /// Numbers of outputs, and the tracks that they are; none where there was no place for it.
    outputs: Vec<(u8, Option<u64>)>,
    /// Formats that go with the next units of outputs, by their numbers; as many as there are outputs.
    formats: Vec<(u8, Format)>,
    pub(super) declared: bool,
    pub(super) connected: bool,
    /// As the source is coded, and whether the process has to be told.
    format: Option<Format>,
    is_news: bool,
    waits_for_keyframe: bool,
    /// It waits since the process did not keep up, and not since it has just come.
    is_behind: bool,
    /// What follows does not go on from what was sent.
    breaks: bool,
    /// Left out since the last unit that was sent.
    skipped: u32,
    pub(super) figures: Figures,
}

impl Job {
    pub(super) fn new(id: u64, is_video: bool, keeps_source: bool, now: Instant) -> Self {
        Self {
            id,
            is_video,
            keeps_source,
            paces: false,
            told_time: None,
            opened: now,
            queue: Queue::default(),
            reader: Reader::default(),
            outputs: Vec::new(),
            formats: Vec::new(),
            declared: false,
            connected: false,
            format: None,
            is_news: false,
            waits_for_keyframe: true,
            is_behind: false,
            breaks: false,
            skipped: 0,
            figures: Figures::default(),
        }
    }

    /// One of pictures that are made at a pace of their own, of sources that come and go and are in no list.
    pub(super) fn paced(id: u64, now: Instant) -> Self {
        Self {
            paces: true,
            ..Self::new(id, true, false, now)
        }
    }

    /// How full its queue is; one whose process is not there yet slows nobody.
    pub(super) fn queued(&self, id: QueueId) -> Queued {
        Queued {
            id,
            fill: self.queue.fill(),
            units_dropped: self.figures.skipped,
            groups_dropped: self.figures.groups,
            slows: self.connected && !self.keeps_source,
        }
    }

    /// Take a unit of the source; true where the process does not keep up.
    fn offer(&mut self, unit: &AccessUnit, format: Option<&Format>, breaks: bool) -> bool {
        if let Some(format) = format
            && self.format.as_ref() != Some(format)
        {
            self.format = Some(format.clone());
            self.is_news = true;
        }
        self.breaks |= breaks;
        let Some(format) = self.format.as_ref() else {
            return false;
        };
        if self.waits_for_keyframe && !unit.keyframe {
            self.figures.skipped += 1;
            self.skipped = self.skipped.saturating_add(self.is_behind.into());
            return false;
        }
        (self.waits_for_keyframe, self.is_behind) = (false, false);
        let mut out = BytesMut::new();
        if std::mem::take(&mut self.breaks) {
            exchange::write_break(&mut out);
        }
        let skipped = std::mem::take(&mut self.skipped);
        if skipped > 0 {
            exchange::write_skipped(skipped, &mut out);
        }
        if std::mem::take(&mut self.is_news) {
            exchange::write_format(format, &mut out);
        }
        exchange::write_unit(format, unit, &mut out);
        self.figures.sent += 1;
        if self.queue.push(out.freeze(), unit.keyframe) {
            return false;
        }
        let lost = self.queue.clear();
        self.start_over();
        self.is_behind = true;
        self.skip(lost);
        self.connected
    }

    /// Whether its process is to be told where the program is.
    fn is_time_due(&self, now: Instant) -> bool {
        let told = self.told_time.is_some_and(|at| at + TIMES_APART > now);
        self.paces && self.connected && !told
    }

    fn tell_time(&mut self, ticks: i64, now: Instant) {
        self.told_time = Some(now);
        let mut out = BytesMut::new();
        exchange::write_time(ticks, &mut out);
        // One that is behind is told again.
        self.queue.push(out.freeze(), false);
    }

    /// Have the process make a keyframe of the next picture.
    fn ask_keyframe(&mut self) {
        let mut out = BytesMut::new();
        exchange::write_keyframe(&mut out);
        // A full queue is emptied, and begins with a keyframe then.
        self.queue.push(out.freeze(), false);
    }

    fn skip(&mut self, lost: Lost) {
        self.skipped = self.skipped.saturating_add(lost.units as u32);
        self.figures.skipped += lost.units as u64;
        self.figures.groups += self.groups_of(lost);
    }

    /// Sound has none.
    fn groups_of(&self, lost: Lost) -> u64 {
        if self.is_video { lost.groups } else { 0 }
    }

    /// The next unit that is sent is one at which decoding can begin, with its format before it.
    fn start_over(&mut self) {
        self.waits_for_keyframe = true;
        self.is_news = self.format.is_some();
    }

    /// A process has connected. With `fresh` it is given all that waits, otherwise what follows the newest keyframe.
    fn connect(&mut self, fresh: bool) {
        (self.connected, self.told_time) = (true, None);
        self.reader = Reader::default();
        self.formats.clear();
        (self.skipped, self.is_behind) = (0, false);
        if !fresh {
            let lost = self.queue.keep_newest_group();
            self.figures.skipped += lost.units as u64;
            self.figures.groups += self.groups_of(lost);
        }
        if self.queue.is_empty() {
            self.start_over();
        } else if let Some(format) = &self.format {
            let mut out = BytesMut::new();
            exchange::write_format(format, &mut out);
            self.queue.push_front(out.freeze());
        }
    }

    /// It is gone.
    fn disconnect(&mut self) {
        self.connected = false;
        self.figures.lost += 1;
        let lost = self.queue.clear();
        self.start_over();
        self.skip(lost);
    }

    /// From its next unit on an output is coded so.
    fn put_format(&mut self, number: u8, format: Format) {
        self.formats.retain(|(of, _)| *of != number);
        self.formats.push((number, format));
    }

    fn take_format(&mut self, number: u8) -> Option<Format> {
        let at = self.formats.iter().position(|(of, _)| *of == number)?;
        Some(self.formats.swap_remove(at).1)
    }

    /// Take what it sent.
    fn handle_bytes(&mut self, bytes: &[u8]) -> Result<Vec<Said>, ExchangeError> {
        self.reader.handle_bytes(bytes);
        let mut said = Vec::new();
        while let Some(one) = self.reader.poll()? {
            said.push(one);
        }
        Ok(said)
    }
}
