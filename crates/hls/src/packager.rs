//! Units of several tracks in, playlists and media out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use roomtone_frames::{AccessUnit, Format};

use crate::beside::Beside;
use crate::boxes::BoxError;
use crate::cadence::Cadence;
use crate::date_ranges::{DateRange, DateRanges};
use crate::encryption::{Encryption, EncryptionConfig};
use crate::gathering::Gathering;
use crate::lateness::Lateness;
use crate::list::List;
use crate::master::master_playlist;
use crate::playlist::Playlist;
use crate::rendition::Rendition;
use crate::stored::{Holding, Leaving, Stored};

/// Times above this, three years of 90 kHz, cannot be told in microseconds.
const MAX_TICKS: i64 = 1 << 43;
/// Nothing is late before two parts might have come: networks waver.
const AS_IT_CAME: u32 = 2;
/// Who hands over seconds at a time is waited for so long at most.
const LONGEST_WAIT_US: u64 = 5_000_000;
/// What is coded in this place is so much later, where the processor is not free.
const CODED_HERE: u32 = 6;

/// How a program is packaged; fixed for its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackagerConfig {
    /// Goes before the names of all media, so that caches never mix two lives of a stream; `[A-Za-z0-9]+`.
    pub run: String,
    /// How long parts are wished to be; none: 333 ms.
    pub part_us: Option<u64>,
    /// How much is listed.
    pub window_us: u64,
    /// Wall clock at the zero of the program's time, in microseconds since 1970.
    pub zero_us: i64,
}

/// What of a track is in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The track's.
    pub name: String,
    /// How much is listed.
    pub listed_ms: u64,
    /// Whole segments that are listed.
    pub segments: u64,
    /// Of all that can be fetched, wherever it is.
    pub bytes: u64,
    /// Of those, in files.
    pub stored: u64,
    /// Units that came too late to have a place.
    pub late: u64,
    /// Of its whole segments.
    pub mean_bps: u64,
}

/// One track of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Its folder: `[a-z0-9]+`.
    pub name: String,
    /// How it is coded.
    pub format: Format,
}

/// Packages one program.
///
/// Inputs: [`handle_unit`](Self::handle_unit), [`handle_format`](Self::handle_format), [`handle_timeout`](Self::handle_timeout), [`end`](Self::end).
/// Outputs: [`master`](Self::master), [`playlist`](Self::playlist), [`media`](Self::media); what waits is asked for again when [`version`](Self::version) has
/// risen. Order: units of a track by decode time; tracks among each other in any order, as near as they arrive. Limits:
/// the window, and what is kept behind it for those who saw it listed; units that come too late are counted.
pub struct Packager {
    pub(crate) config: PackagerConfig,
    pub(crate) gathering: Option<Gathering>,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) renditions: Vec<Rendition>,
    /// Lines of text and tags that go with them.
    pub(crate) beside: Beside,
    pub(crate) lead: usize,
    /// The last whole group of pictures.
    pub(crate) group_us: Option<u64>,
    pub(crate) last_keyframe: Option<i64>,
    /// The leading rendition's next unit comes from another encoder.
    pub(crate) breaks: bool,
    /// Tracks that are coded in this place.
    patient: Vec<usize>,
    pub(crate) ranges: DateRanges,
    pub(crate) version: u64,
    pub(crate) cache: Vec<Cached>,
    master: Option<(u64, Arc<Playlist>)>,
    pub(crate) encryption: Option<Encryption>,
    /// Segments that had to begin without a keyframe.
    pub forced_cuts: u64,
    /// Cuts that a rendition too far behind did not follow.
    pub lost_boundaries: u64,
    /// Units and formats of tracks that there are not, units with impossible times, and units that nothing could begin
    /// with before the first playlist.
    pub refused: u64,
    /// Segments dropped before their time.
    pub forgotten: u64,
}

/// Where a segment of the leading rendition began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Boundary {
    /// When it is decoded, in microseconds of the program.
    pub at_us: i64,
    /// When it is shown: other pictures are cut at the same one, which those without reordering decode later.
    pub shown_us: i64,
    /// Decoding may begin there.
    pub independent: bool,
    pub discontinuity: bool,
}

/// What the packager remembers of a track beside its rendition.
pub(crate) struct Lane {
    /// Where the leading rendition was cut and this one not yet, in microseconds of the program.
    pub boundaries: std::collections::VecDeque<Boundary>,
    /// Its next cut is a discontinuity, as another rendition had one.
    pub owes_discontinuity: bool,
    /// How its next unit is coded, where that is otherwise than those before.
    pub format: Option<Format>,
    /// Cuts made before the leading rendition made them.
    pub ahead: u32,
    pub waits_for_keyframe: bool,
    /// So many parts may be late.
    pub patience: u32,
    /// When something was listed last.
    pub listed_at: Instant,
    pub lateness: Lateness,
}

/// What a track's playlist lists so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    parts: u64,
    segments: u64,
    ended: bool,
}

/// The whole playlist and the delta of one version.
#[derive(Default, Clone)]
pub(crate) struct Cached {
    pub version: u64,
    pub whole: Option<Arc<Playlist>>,
    pub delta: Option<Arc<Playlist>>,
}

impl Packager {
    /// A packager of these tracks; the first of video leads, or the first at all.
    pub fn new(config: PackagerConfig, tracks: Vec<Track>) -> Self {
        let lead = tracks
            .iter()
            .position(|track| track.format.is_video())
            .unwrap_or(0);
        Self {
            config,
            gathering: Some(Gathering::new(tracks, lead)),
            lanes: Vec::new(),
            renditions: Vec::new(),
            beside: Beside::default(),
            lead,
            group_us: None,
            last_keyframe: None,
            breaks: false,
            patient: Vec::new(),
            ranges: DateRanges::default(),
            version: 1,
            cache: Vec::new(),
            master: None,
            encryption: None,
            forced_cuts: 0,
            lost_boundaries: 0,
            refused: 0,
            forgotten: 0,
        }
    }

    /// Encrypt all media with keys that stand in each playlist by their names and are then among the
    /// [`media`](Self::media): whoever may fetch them may decrypt. For a program that has not begun; false otherwise.
    pub fn encrypt(&mut self, config: &EncryptionConfig) -> Result<bool, BoxError> {
        if self.gathering.is_none() {
            return Ok(false);
        }
        self.encryption = Some(Encryption::new(config, &self.config.run)?);
        Ok(true)
    }

    /// From the next segment on that no track has begun encrypt by this, or nothing any more; what is listed stays as it is.
    /// An error where a track cannot be encrypted so: all goes on as before then.
    pub fn change_encryption(&mut self, config: Option<&EncryptionConfig>) -> Result<(), BoxError> {
        let encryption = config
            .map(|config| Encryption::new(config, &self.config.run))
            .transpose()?;
        for rendition in &self.renditions {
            rendition.allows(encryption.as_ref())?;
        }
        let begun = self.renditions.iter().map(|one| one.open.number);
        let next = begun.max().map_or(0, |newest| newest + 1);
        for rendition in &mut self.renditions {
            rendition.ciphers.change(next, encryption.clone());
        }
        for text in &mut self.beside.subtitles {
            text.change_encryption(next, encryption.clone());
        }
        self.encryption = encryption;
        Ok(())
    }

    /// A track is coded in this place: it is waited for longer than one that only passes. For a program that has not begun.
    pub fn be_patient_with(&mut self, track: usize) {
        self.patient.push(track);
    }

    /// Rises with every change that a waiting request may wait for.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The place of a track in the list given at the beginning, by its name, or of subtitles behind them; none before the
    /// first playlist.
    pub fn track(&self, name: &str) -> Option<usize> {
        self.lists().position(|one| one.name == name)
    }

    /// What each track shows, as far as anybody waits for it; nothing before the first playlist.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let of = |one: &List| Shown {
            parts: one.next_part(),
            segments: one.open.number,
            ended: one.ended,
        };
        self.lists().map(of).collect()
    }

    /// Units that came too late to have a place.
    pub fn late(&self) -> u64 {
        self.renditions.iter().map(|one| one.late).sum()
    }

    /// By how much a track is to be placed later to be listed again, where nothing has come of it for seconds but what came
    /// too late, or some of it does again and again. Told once: then it is looked at anew.
    pub fn take_lateness(&mut self, track: usize, now: Instant) -> Option<Duration> {
        let rendition = self.renditions.get(track)?;
        let lane = self.lanes.get_mut(track)?;
        let remedy = lane.lateness.take(now)?;
        let part_us = rendition.cadence.part_target_us;
        let longer = remedy.waited_us.div_ceil(part_us) as u32;
        let most = (LONGEST_WAIT_US / part_us) as u32;
        lane.patience = lane.patience.max(most.min(lane.patience + longer));
        Some(Duration::from_micros(remedy.by_us + part_us))
    }

    /// The two durations that never change; none before they are decided.
    pub fn cadence(&self) -> Option<Cadence> {
        self.renditions.first().map(|one| one.cadence)
    }

    /// What all its media takes.
    pub fn holding(&self) -> Holding {
        let all = self.lists().map(List::holding);
        all.fold(Holding::default(), |sum, one| sum + one)
    }

    /// Take the next segment out that is to leave memory: it ended more than `keep_us` ago, and nobody asks for its parts
    /// any more. It is in memory until [`handle_left`](Self::handle_left) says where it is then.
    pub fn next_leaving(&mut self, keep_us: u64) -> Option<Leaving> {
        let run = self.config.run.clone();
        let mut all = self.lists_mut().enumerate();
        all.find_map(|(track, one)| one.next_leaving(track, &run, keep_us))
    }

    /// A segment that was leaving is stored there; none: it could not be, stays in memory and is the next to leave.
    pub fn handle_left(&mut self, track: usize, segment: u64, stored: Option<Stored>) {
        if let Some(list) = self.lists_mut().nth(track) {
            list.handle_left(segment, stored);
        }
    }

    /// Drop the oldest segment there is before its time: there is no room for it. False where lists would be shorter than
    /// three target durations.
    pub fn forget_oldest(&mut self) -> bool {
        let all = self.lists_mut();
        let may = all.filter_map(|one| Some((one.oldest_us()?, one)));
        let oldest = may.min_by_key(|(begins, _)| *begins);
        let done = oldest.is_some_and(|(_, one)| one.forget_oldest());
        if done {
            self.forgotten += 1;
            self.version += 1;
        }
        done
    }

    /// The last keyframe as a file of one picture, not encrypted whatever the program is; none where there is no video, or
    /// no keyframe yet.
    pub fn keyframe(&self) -> Result<Option<Bytes>, BoxError> {
        match self.renditions.get(self.lead) {
            Some(rendition) if rendition.format.is_video() => rendition.keyframe(),
            _ => Ok(None),
        }
    }

    /// What each track holds.
    pub fn held(&self) -> Vec<Held> {
        let late = |place: usize| self.renditions.get(place).map_or(0, |one| one.late);
        self.lists()
            .enumerate()
            .map(|(place, one)| {
                let listed = one.window.listed();
                let holding = one.holding();
                Held {
                    name: one.name.clone(),
                    listed_ms: one.us((listed + one.open.duration()) as i64) as u64 / 1000,
                    segments: one.window.segments.len() as u64,
                    bytes: holding.memory + holding.stored,
                    stored: holding.stored,
                    late: late(place),
                    mean_bps: one.mean_bps(),
                }
            })
            .collect()
    }

    /// How long the leading rendition's open segment is, in microseconds; 0 before the first playlist.
    pub fn open_us(&self) -> u64 {
        self.renditions.get(self.lead).map_or(0, |rendition| {
            let ticks = rendition.open_until(rendition.end());
            rendition.us(ticks as i64) as u64
        })
    }

    /// Take a unit of a track, by its place in the list given at the beginning.
    pub fn handle_unit(
        &mut self,
        track: usize,
        unit: AccessUnit,
        now: Instant,
    ) -> Result<(), BoxError> {
        if !(0..MAX_TICKS).contains(&unit.dts) || !(0..MAX_TICKS).contains(&unit.pts) {
            self.refused += 1;
            return Ok(());
        }
        let Some(gathering) = &mut self.gathering else {
            self.take(track, unit, now)?;
            return self.follow_with_text();
        };
        let enough = gathering.take(track, unit);
        self.refused += std::mem::take(&mut gathering.refused);
        if !enough {
            return Ok(());
        }
        match self.gathering.take() {
            Some(gathered) => self.begin(gathered, now),
            None => Ok(()),
        }
    }

    /// From its next unit on a track is coded otherwise.
    pub fn handle_format(&mut self, track: usize, format: Format) {
        match (&mut self.gathering, self.renditions.get_mut(track)) {
            (Some(gathering), _) => gathering.change_format(track, format),
            (None, Some(rendition)) => {
                self.lanes[track].format = Some(format).filter(|new| *new != rendition.format);
            }
            (None, None) => self.refused += 1,
        }
    }

    /// The track's next unit comes from another encoder. Told in the lists at once where the track leads them, and at the
    /// next cut where it is another of pictures; sound beside pictures goes on without, as its units depend on none before
    /// them.
    pub fn handle_discontinuity(&mut self, track: usize) {
        if track == self.lead {
            self.breaks |= !self.renditions.is_empty();
        } else if let Some(one) = self.renditions.get(track)
            && one.format.is_video()
        {
            self.lanes[self.lead].owes_discontinuity = true;
            self.lanes[track].waits_for_keyframe = true;
        }
    }

    /// Tell of a span of time in all lists, as long as something of it is in them.
    pub fn handle_date_range(&mut self, range: DateRange) {
        let lead = self.renditions.get(self.lead);
        let listed_us = lead.map_or(i64::MIN, |one| one.us(one.first_listed().start));
        self.ranges.push(range, listed_us);
        self.version += 1;
    }

    /// Spans of time that are not told of any more since there are too many.
    pub fn ranges_dropped(&self) -> u64 {
        self.ranges.dropped
    }

    /// List what is lost where nothing has come in time.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), BoxError> {
        for track in 0..self.renditions.len() {
            while !self.renditions[track].ended && self.deadline(track) <= now {
                self.lose_a_part(track)?;
            }
        }
        self.follow_with_text()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn next_timeout(&self) -> Option<Instant> {
        (0..self.renditions.len())
            .filter(|&track| !self.renditions[track].ended)
            .map(|track| self.deadline(track))
            .min()
    }

    /// The program is over; nobody waits any more.
    pub fn end(&mut self, now: Instant) -> Result<(), BoxError> {
        if let Some(gathered) = self.gathering.take() {
            self.begin(gathered, now)?;
        }
        for rendition in &mut self.renditions {
            rendition.finish()?;
        }
        self.follow_with_text()?;
        self.version += 1;
        Ok(())
    }

    /// The multivariant playlist; none before there is anything to play.
    pub fn master(&mut self) -> Option<Arc<Playlist>> {
        if self.renditions.is_empty() {
            return None;
        }
        if self
            .master
            .as_ref()
            .is_none_or(|(version, _)| *version != self.version)
        {
            let tag = format!("{}-m{}", self.config.run, self.version);
            let playlist = Playlist::new(
                master_playlist(&self.renditions, &self.beside.subtitles),
                Vec::new(),
                tag,
            );
            self.master = Some((self.version, Arc::new(playlist)));
        }
        self.master
            .as_ref()
            .map(|(_, playlist)| Arc::clone(playlist))
    }

    fn begin(&mut self, gathered: Gathering, now: Instant) -> Result<(), BoxError> {
        let begun = gathered.finish(self.config.part_us);
        self.group_us = begun.group_us;
        for (at, track) in begun.tracks.into_iter().enumerate() {
            // Each begins with its own first unit, to the tick; one that has not come, where the leading one does.
            let first = begun
                .units
                .iter()
                .find(|(of, _)| *of == at)
                .map(|(_, unit)| unit.dts);
            let start =
                first.unwrap_or(begun.start_us * i64::from(track.format.clock_rate()) / 1_000_000);
            let window = self.config.window_us;
            let encryption = self.encryption.clone();
            self.renditions.push(Rendition::new(
                track.name,
                track.format,
                begun.cadence,
                window,
                start,
                encryption,
            )?);
            self.lanes.push(Lane {
                boundaries: std::collections::VecDeque::new(),
                owes_discontinuity: false,
                format: None,
                ahead: 0,
                waits_for_keyframe: false,
                patience: if self.patient.contains(&at) {
                    CODED_HERE
                } else {
                    AS_IT_CAME
                },
                listed_at: now,
                lateness: Lateness::default(),
            });
            self.cache.push(Cached::default());
        }
        self.place_early();
        for (track, unit) in begun.units {
            self.take(track, unit, now)?;
            self.follow_with_text()?;
        }
        Ok(())
    }

    fn take(&mut self, track: usize, mut unit: AccessUnit, now: Instant) -> Result<(), BoxError> {
        let (Some(lane), Some(rendition)) =
            (self.lanes.get_mut(track), self.renditions.get_mut(track))
        else {
            self.refused += 1;
            return Ok(());
        };
        let format = lane.format.as_ref().unwrap_or(&rendition.format);
        unit.dts = rendition.own_ticks(unit.dts, format);
        unit.pts = rendition.own_ticks(unit.pts, format);
        lane.lateness
            .note(rendition.us(rendition.end() - unit.dts), now);
        if lane.waits_for_keyframe && !unit.keyframe {
            rendition.late += 1;
            return Ok(());
        }
        lane.waits_for_keyframe = false;
        let parts = rendition.next_part();
        if track == self.lead {
            self.take_leading(unit)?;
        } else {
            if let Some(format) = self.lanes[track].format.take() {
                self.change_format(track, format)?;
            }
            self.bridge_behind(track, unit.dts)?;
            let cut = self.follows_a_cut(track, &unit);
            self.renditions[track].push(unit, cut)?;
            if cut {
                self.pay_discontinuity(track);
            }
        }
        if self.renditions[track].next_part() != parts {
            self.lanes[track].listed_at = now;
            self.version += 1;
            self.write_rows(track);
        }
        Ok(())
    }

    fn deadline(&self, track: usize) -> Instant {
        let part = self.renditions[track].cadence.part_target_us;
        let lane = &self.lanes[track];
        lane.listed_at + Duration::from_micros(part) * lane.patience
    }
}
