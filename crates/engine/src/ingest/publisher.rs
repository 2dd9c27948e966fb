//! One publisher: what it sends, as units of the tracks of a stream.

use std::sync::Arc;
use std::time::Instant;

use roomtone_frames::{AccessUnit, Format};

use super::asking::Wish;
use super::connection::Line;
use super::pacing::{Pacer, Turn};
use crate::feed::{self, Outlet, SourceClock};
use crate::live::{Beside, Board, Found, INGEST_RATE, LiveHandle, Run};
use crate::values::{IngestPace, Report};

/// What a publisher sends, however it came.
#[derive(Debug)]
pub(super) enum Sent {
    /// It has a track of this key: of video, or of sound.
    Track(u32, bool),
    TrackGone(u32),
    Format(u32, Format),
    Unit(u32, AccessUnit),
    /// What follows of a track does not go on from what came before.
    Break(u32),
    /// It has a track that cannot be carried, of this codec.
    Refused(u32, String),
    /// Something beside its media.
    Beside(Beside),
    /// Something of it was not whole.
    Dropped,
    /// Nothing of it can be read.
    Unreadable(&'static str),
}

/// A track of the publisher that the stream carries.
struct Carried {
    /// As its source numbers it.
    key: u32,
    /// Id of the track in the packager.
    track: u64,
    is_video: bool,
    /// Newest format, and whether it has not gone with a unit yet.
    format: Option<Format>,
    is_news: bool,
    /// Something was dropped: nothing can be decoded before a keyframe.
    waits_for_keyframe: bool,
    /// Its next unit does not go on from those before.
    breaks: bool,
    /// Its way to routers.
    outlet: Arc<Outlet>,
}

/// What a publisher has done so far.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Figures {
    pub(super) bytes: u64,
    pub(super) units: u64,
    pub(super) keyframes: u64,
    /// Units that found no place on their way, or came before their format.
    pub(super) dropped: u64,
    /// Groups of pictures of which something or all found no place.
    pub(super) groups_dropped: u64,
    /// Units of tracks that the stream does not carry.
    pub(super) left_out: u64,
    /// Cues for splicing, repeated ones too.
    pub(super) cues: u64,
    /// Lines of text.
    pub(super) lines: u64,
    /// Timed metadata.
    pub(super) tags: u64,
}

/// What found no place on its way to the live thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) units: u64,
    /// Groups of pictures of which something was among it.
    pub(super) groups: u64,
}

/// Somebody who publishes.
pub(super) struct Publisher {
    pub(super) id: u64,
    pub(super) wish: Wish,
    pub(super) line: Line,
    pub(super) packager: u64,
    board: Arc<Board>,
    pacer: Pacer,
    /// Of a unit that has begun to come, where that is known.
    pub(super) begun_bytes: u64,
    pub(super) last_heard: Instant,
    pub(super) figures: Figures,
    /// What the source cannot have carried, said once each.
    refused: Vec<u32>,
    tracks: Vec<Carried>,
    gathered: Vec<(u64, Found)>,
    /// Tracks of which what is gathered follows on a break.
    breaks: Vec<u64>,
    beside: Vec<Beside>,
    pub(super) clock: SourceClock,
    found_out: Vec<(Arc<Outlet>, feed::Found)>,
}

impl Publisher {
    pub(super) fn new(
        id: u64,
        wish: Wish,
        line: Line,
        (packager, board): (u64, Arc<Board>),
        clock: SourceClock,
        now: Instant,
    ) -> Self {
        Self {
            id,
            wish,
            line,
            packager,
            board,
            pacer: Pacer::default(),
            begun_bytes: 0,
            last_heard: now,
            figures: Figures::default(),
            refused: Vec::new(),
            tracks: Vec::new(),
            gathered: Vec::new(),
            breaks: Vec::new(),
            beside: Vec::new(),
            clock,
            found_out: Vec::new(),
        }
    }

    /// Whether its source's track is carried, or was refused already.
    pub(super) fn knows(&self, key: u32) -> bool {
        self.refused.contains(&key) || self.tracks.iter().any(|one| one.key == key)
    }

    /// Carry a track of its source as this one of the stream.
    pub(super) fn carry(&mut self, key: u32, track: u64, outlet: Arc<Outlet>) {
        let is_video = outlet.is_video;
        self.tracks.push(Carried {
            key,
            track,
            is_video,
            outlet,
            format: None,
            is_news: false,
            waits_for_keyframe: is_video,
            breaks: false,
        });
    }

    /// The stream has no place for this track.
    pub(super) fn refuse(&mut self, key: u32) {
        self.refused.push(key);
    }

    /// The source has this track no more; its place in the stream, and its outlet.
    pub(super) fn remove(&mut self, key: u32) -> Option<(u64, Arc<Outlet>)> {
        let at = self.tracks.iter().position(|one| one.key == key)?;
        let track = self.tracks.swap_remove(at);
        Some((track.track, track.outlet))
    }

    /// What has been found out about tracks since last asked.
    pub(super) fn take_found_out(&mut self) -> Vec<(Arc<Outlet>, feed::Found)> {
        std::mem::take(&mut self.found_out)
    }

    pub(super) fn handle_format(&mut self, key: u32, format: Format) {
        if let Some(track) = self.tracks.iter_mut().find(|one| one.key == key)
            && track.format.as_ref() != Some(&format)
        {
            track.outlet.set_format(&format);
            track.format = Some(format);
            track.is_news = true;
        }
    }

    /// What follows of a track does not go on from what came before, which has been [handed over](Self::flush).
    pub(super) fn handle_break(&mut self, key: u32) {
        if let Some(track) = self.tracks.iter_mut().find(|one| one.key == key) {
            track.breaks = true;
        }
    }

    /// Take a unit, its times in ticks of its format.
    pub(super) fn handle_unit(&mut self, key: u32, mut unit: AccessUnit, now: Instant) {
        let Some(track) = self.tracks.iter_mut().find(|one| one.key == key) else {
            self.figures.left_out += 1;
            return;
        };
        let Some(format) = &track.format else {
            self.figures.dropped += 1;
            return;
        };
        if track.waits_for_keyframe && !unit.keyframe {
            self.figures.dropped += 1;
            return;
        }
        track.waits_for_keyframe = false;
        if std::mem::take(&mut track.breaks) {
            self.breaks.push(track.track);
        }
        self.figures.units += 1;
        self.figures.keyframes += u64::from(unit.keyframe && track.is_video);
        let rate = format.clock_rate();
        (unit.dts, unit.pts) = (
            in_ingest_ticks(unit.dts, rate),
            in_ingest_ticks(unit.pts, rate),
        );
        if let Some(found) = track.outlet.send(&unit, now) {
            self.found_out.push((track.outlet.clone(), found));
        }
        let news = std::mem::take(&mut track.is_news).then(|| format.clone());
        self.gathered.push((track.track, (unit, news, now)));
    }

    /// Take what comes beside its media.
    pub(super) fn handle_beside(&mut self, what: Beside) {
        *match what {
            Beside::Cue(_) => &mut self.figures.cues,
            Beside::Line(_) => &mut self.figures.lines,
            Beside::Tag(_) => &mut self.figures.tags,
        } += 1;
        self.beside.push(what);
    }

    /// What has come since last asked.
    fn take_run(&mut self) -> Option<Run> {
        let is_any = !self.gathered.is_empty() || !self.beside.is_empty();
        is_any.then(|| Run {
            packager: self.packager,
            breaks: std::mem::take(&mut self.breaks),
            units: std::mem::take(&mut self.gathered),
            beside: std::mem::take(&mut self.beside),
        })
    }

    /// Hand what has come since last asked to the live thread; units that found no place there.
    pub(super) fn flush(&mut self, live: &LiveHandle) -> Dropped {
        let Some(run) = self.take_run() else {
            return Dropped::default();
        };
        match live.run(run, &self.board.way_in) {
            Ok(()) => Dropped::default(),
            Err(run) => self.lost(&run),
        }
    }

    /// Look whether it is to be slowed down, or no more; none where that is as before.
    pub(super) fn pace(&mut self, live: &LiveHandle, now: Instant) -> Option<IngestPace> {
        if !self.wish.protocol.can_be_slowed() {
            return None;
        }
        let permille = live.way_in_permille(&self.board.way_in, self.begun_bytes);
        self.pacer.note(permille, now)
    }

    /// How much of its connection is taken at a time.
    pub(super) fn turn(&self) -> Turn {
        self.pacer.turn()
    }

    pub(super) fn is_slowed(&self) -> bool {
        self.pacer.is_slowed()
    }

    /// A run found no place: its tracks go on at their next keyframes, with their formats.
    fn lost(&mut self, run: &Run) -> Dropped {
        self.figures.dropped += (run.units.len() + run.beside.len()) as u64;
        let is_video = |of: u64| {
            self.tracks
                .iter()
                .any(|one| one.track == of && one.is_video)
        };
        let begun = run
            .units
            .iter()
            .filter(|(of, (unit, ..))| is_video(*of) && unit.keyframe);
        // The rest of a group whose beginning went through is one too.
        let rest = run.units.iter().find(|(of, _)| is_video(*of));
        let rest = rest.is_some_and(|(_, (unit, ..))| !unit.keyframe);
        let dropped = Dropped {
            units: run.units.len() as u64,
            groups: begun.count() as u64 + u64::from(rest),
        };
        self.figures.groups_dropped += dropped.groups;
        self.board.way_in.lose(dropped.units, dropped.groups);
        for track in &mut self.tracks {
            if run.units.iter().any(|(of, _)| *of == track.track) {
                track.waits_for_keyframe = track.is_video;
                track.is_news = true;
                track.breaks |= run.breaks.contains(&track.track);
            }
        }
        dropped
    }

    pub(super) fn report(&self) -> Report {
        let mut report = Report::new();
        report.insert("id".into(), format!("ingest-{}", self.id).into());
        report.insert("type".into(), "ingest".into());
        report.insert("ingest".into(), self.id.to_string().into());
        report.insert("packager".into(), self.packager.to_string().into());
        report.insert("name".into(), self.wish.name.clone().into());
        report.insert("protocol".into(), self.wish.protocol.name().into());
        report.insert("remote".into(), self.wish.remote.to_string().into());
        report.insert("bytes".into(), self.figures.bytes.into());
        report.insert("units".into(), self.figures.units.into());
        report.insert("keyframes".into(), self.figures.keyframes.into());
        report.insert("units_dropped".into(), self.figures.dropped.into());
        report.insert("groups_dropped".into(), self.figures.groups_dropped.into());
        report.insert("slowed".into(), self.is_slowed().into());
        report.insert("units_left_out".into(), self.figures.left_out.into());
        report.insert("cues".into(), self.figures.cues.into());
        report.insert("text_lines".into(), self.figures.lines.into());
        report.insert("tags".into(), self.figures.tags.into());
        report
    }
}

/// One clock for all tracks of a source; every rate in use divides it or is rounded to a hundredth of a microsecond.
fn in_ingest_ticks(ticks: i64, rate: u32) -> i64 {
    let ticks = i128::from(ticks) * i128::from(INGEST_RATE) / i128::from(rate.max(1));
    ticks as i64
}

#[cfg(test)]
mod tests;
