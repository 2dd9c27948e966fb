//! What a media playlist lists, whatever it is made of: segments in a window, and the one being made.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::cadence::Cadence;
use crate::ciphers::Ciphers;
use crate::encryption::Encryption;
use crate::packager::Packager;
use crate::segment::{Part, Segment};
use crate::window::Window;

/// What its media is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    /// Samples of one track in fragments of MP4.
    Samples,
    /// Cues in documents of WebVTT.
    Text,
}

impl Medium {
    /// What names of its segments and parts end with.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Samples => "m4s",
            Self::Text => "vtt",
        }
    }

    /// So many digits of a second its durations have. Where its parts do not add up to its segment to a microsecond,
    /// hls.js (1.7.4) waits for the rest of a segment of text for ever.
    pub(crate) fn digits(self) -> usize {
        match self {
            Self::Samples => 5,
            Self::Text => 8,
        }
    }

    /// What has this extension.
    pub(crate) fn of(extension: &str) -> Option<Self> {
        let all = [Self::Samples, Self::Text];
        all.into_iter().find(|one| one.extension() == extension)
    }
}

/// Segments as they are listed.
pub(crate) struct List {
    /// Its folder below the presentation.
    pub name: String,
    pub medium: Medium,
    /// Ticks a second of all times, for good.
    pub rate: u32,
    pub cadence: Cadence,
    /// By what its segments are encrypted, if by anything.
    pub ciphers: Ciphers,
    /// Complete segments.
    pub window: Window,
    /// The one being made.
    pub open: Segment,
    pub ended: bool,
    /// The most bits a second of any complete segment.
    pub peak_bps: u64,
    /// Where the next part begins, in ticks.
    pub part_start: i64,
    /// Headers that a segment may still need, by number; none of what needs none.
    pub maps: BTreeMap<u32, Bytes>,
    /// How much is listed, in ticks.
    listed: u64,
    next_part: u64,
    total: (u64, u64),
}

impl List {
    /// An empty one at a rate, whose media begins at `start` ticks; `window_us` is how much is listed.
    pub(crate) fn new(
        name: String,
        medium: Medium,
        (rate, start): (u32, i64),
        cadence: Cadence,
        window_us: u64,
        encryption: Option<Encryption>,
    ) -> Self {
        Self {
            name,
            medium,
            rate,
            cadence,
            ciphers: Ciphers::new(encryption),
            window: Window::default(),
            open: Segment::new(0, start, 0, false),
            ended: false,
            peak_bps: 0,
            part_start: start,
            maps: BTreeMap::new(),
            listed: window_us * u64::from(rate) / 1_000_000,
            next_part: 0,
            total: (0, 0),
        }
    }

    /// Begin in the midst of another list's life, with its open segment: numbers are the same in both. What was listed is not
    /// any more.
    pub(crate) fn begin_beside(&mut self, lead: &Self) {
        let open = &lead.open;
        self.open = Segment::new(open.number, open.start, 0, open.discontinuity);
        self.open.shown_after = open.shown_after;
        let first = open.parts.first();
        self.next_part = first.map_or(lead.next_part, |part| part.number);
        self.part_start = open.start;
        self.window = Window::default();
        let before = lead.window.segments.iter().filter(|one| one.discontinuity);
        self.window.discontinuity_sequence =
            lead.window.discontinuity_sequence + before.count() as u64;
    }

    /// Ticks from microseconds.
    pub(crate) fn ticks(&self, us: u64) -> u64 {
        us * u64::from(self.rate) / 1_000_000
    }

    /// Seconds from ticks.
    pub(crate) fn seconds(&self, ticks: u64) -> f64 {
        ticks as f64 / f64::from(self.rate)
    }

    /// Microseconds from ticks.
    pub(crate) fn us(&self, ticks: i64) -> i64 {
        ticks * 1_000_000 / i64::from(self.rate)
    }

    /// How long the open segment would be if it ended at `at`.
    pub(crate) fn open_until(&self, at: i64) -> u64 {
        (at - self.open.start).max(0) as u64
    }

    /// List a part of so many ticks: its bytes, and those before they were encrypted; none: it is lost.
    pub(crate) fn push(
        &mut self,
        duration: u64,
        independent: bool,
        body: Option<Bytes>,
        clear: Option<Bytes>,
    ) {
        self.open.push(Part {
            number: self.next_part,
            duration,
            independent,
            body,
            clear,
        });
        self.next_part += 1;
        self.part_start += duration as i64;
    }

    /// Begin the next segment; the one that was open, whose parts are all listed.
    pub(crate) fn turn_over(&mut self) -> Segment {
        let mut next = Segment::new(self.open.number + 1, self.part_start, self.open.map, false);
        // One that begins with a gap goes on as the one before.
        next.shown_after = self.open.shown_after;
        next.listed_before = self.open.listed_to();
        std::mem::replace(&mut self.open, next)
    }

    /// A segment is complete, and listed as such.
    pub(crate) fn complete(&mut self, done: Segment) {
        let (bytes, ticks) = (done.bytes(), done.duration());
        self.total = (self.total.0 + bytes, self.total.1 + ticks);
        self.peak_bps = self.peak_bps.max(bits_a_second(&done, self.rate));
        self.window.push(done);
        self.slide();
    }

    /// A header by its number.
    pub(crate) fn map(&self, number: u32) -> Option<&Bytes> {
        self.maps.get(&number)
    }

    pub(crate) fn add_map(&mut self, header: Bytes) -> u32 {
        let number = self.maps.last_key_value().map_or(0, |(last, _)| last + 1);
        self.maps.insert(number, header);
        number
    }

    /// All segments that can be fetched, the open one last.
    pub(crate) fn fetchable(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.window.fetchable().chain(std::iter::once(&self.open))
    }

    /// A key that something that can be fetched is encrypted by.
    pub(crate) fn key(&self, number: u64) -> Option<Bytes> {
        let oldest = self.fetchable().next()?.number;
        self.ciphers.key(number, oldest, self.open.number)
    }

    /// The first segment that is listed.
    pub(crate) fn first_listed(&self) -> &Segment {
        self.window.segments.front().unwrap_or(&self.open)
    }

    /// The number that the next part will have.
    pub(crate) fn next_part(&self) -> u64 {
        self.next_part
    }

    /// Mean bits a second of all complete segments.
    pub(crate) fn mean_bps(&self) -> u64 {
        let (bytes, ticks) = self.total;
        bytes * 8 * u64::from(self.rate) / ticks.max(1)
    }

    /// What a player needs to keep up: the dearest segment and a tenth more, or what there is of the first.
    pub(crate) fn bandwidth(&self) -> u64 {
        let open = bits_a_second(&self.open, self.rate);
        let peak = if self.peak_bps == 0 {
            open
        } else {
            self.peak_bps
        };
        peak.max(1) * 11 / 10
    }

    /// How much is listed, in microseconds.
    pub(crate) fn window_us(&self) -> u64 {
        self.us(self.listed as i64) as u64
    }

    /// The same in ticks.
    pub(crate) fn window_ticks(&self) -> u64 {
        self.listed
    }

    /// Headers of segments that are gone are needed no more, nor what these were encrypted by.
    pub(crate) fn forget_maps(&mut self) {
        let first = self.fetchable().next();
        let (oldest, number) = first.map_or((0, 0), |first| (first.map, first.number));
        self.ciphers.forget_before(number);
        if self
            .maps
            .first_key_value()
            .is_some_and(|(first, _)| *first < oldest)
        {
            self.maps = self.maps.split_off(&oldest);
        }
    }
}

impl Packager {
    /// All lists: those of tracks, and of subtitles.
    pub(crate) fn lists(&self) -> impl Iterator<Item = &List> {
        let tracks = self.renditions.iter().map(|one| &one.list);
        tracks.chain(self.beside.subtitles.iter().map(|one| &one.list))
    }

    pub(crate) fn lists_mut(&mut self) -> impl Iterator<Item = &mut List> {
        let tracks = self.renditions.iter_mut().map(|one| &mut one.list);
        tracks.chain(self.beside.subtitles.iter_mut().map(|one| &mut one.list))
    }

    /// A list by its place.
    pub(crate) fn list(&self, at: usize) -> &List {
        match self.renditions.get(at) {
            Some(one) => &one.list,
            None => &self.beside.subtitles[at - self.renditions.len()].list,
        }
    }

    pub(crate) fn list_mut(&mut self, at: usize) -> &mut List {
        let tracks = self.renditions.len();
        match self.renditions.get_mut(at) {
            Some(one) => &mut one.list,
            None => &mut self.beside.subtitles[at - tracks].list,
        }
    }
}

fn bits_a_second(segment: &Segment, clock_rate: u32) -> u64 {
    segment.bytes() * 8 * u64::from(clock_rate) / segment.duration().max(1)
}
