//! What is kept until the durations of segments and parts can be decided: the first group of pictures.

use roomtone_frames::{AccessUnit, Format};

use crate::cadence::{Cadence, Observed};
use crate::packager::Track;

/// No longer than this is waited for the end of the first group.
const PATIENCE_US: i64 = 10_000_000;
/// Frames of sound that tell how long they are, where there are no pictures.
const SOUND_FRAMES: usize = 16;
/// Units kept of all tracks: ten seconds of 120 pictures and of 400 frames of sound a second.
const MAX_UNITS: usize = 8192;

/// Units of all tracks since the first point at which the leading one can be decoded.
pub(crate) struct Gathering {
    tracks: Vec<Track>,
    lead: usize,
    units: Vec<(usize, AccessUnit)>,
    /// Times of the leading track's keyframes, or of its frames of sound; in microseconds.
    lead_times_us: Vec<i64>,
    keyframes_us: Vec<i64>,
    /// What could not be kept.
    pub refused: u64,
}

/// What is known when it is over.
pub(crate) struct Begun {
    pub tracks: Vec<Track>,
    pub cadence: Cadence,
    pub group_us: Option<u64>,
    /// Where all renditions begin.
    pub start_us: i64,
    pub units: Vec<(usize, AccessUnit)>,
}

impl Gathering {
    pub(crate) fn new(tracks: Vec<Track>, lead: usize) -> Self {
        Self {
            tracks,
            lead,
            units: Vec::new(),
            lead_times_us: Vec::new(),
            keyframes_us: Vec::new(),
            refused: 0,
        }
    }

    pub(crate) fn knows(&self, name: &str) -> bool {
        self.tracks.iter().any(|track| track.name == name)
    }

    pub(crate) fn change_format(&mut self, track: usize, format: Format) {
        match self.tracks.get_mut(track) {
            Some(track) => track.format = format,
            None => self.refused += 1,
        }
    }

    /// Take a unit; true when enough is known.
    pub(crate) fn take(&mut self, track: usize, unit: AccessUnit) -> bool {
        let Some(known) = self.tracks.get(track) else {
            self.refused += 1;
            return false;
        };
        let at = unit.dts * 1_000_000 / i64::from(known.format.clock_rate());
        let video = known.format.is_video();
        if track == self.lead {
            if self.lead_times_us.is_empty() && !unit.keyframe {
                self.refused += 1;
                return false;
            }
            self.lead_times_us.push(at);
            if unit.keyframe && video {
                self.keyframes_us.push(at);
            }
        }
        self.units.push((track, unit));
        let Some(&first) = self.lead_times_us.first() else {
            self.forget_the_oldest();
            return false;
        };
        if video || track != self.lead {
            self.keyframes_us.len() > 1 || at - first > PATIENCE_US || self.units.len() >= MAX_UNITS
        } else {
            self.lead_times_us.len() > SOUND_FRAMES
        }
    }

    /// Decide, and hand over what was kept; what lies before the leading track's first unit is left out.
    pub(crate) fn finish(self, part_us: Option<u64>) -> Begun {
        let times = &self.lead_times_us;
        let intervals_us = times
            .windows(2)
            .map(|two| (two[1] - two[0]).max(0) as u64)
            .filter(|&gap| gap > 0)
            .collect();
        let group_us = self
            .keyframes_us
            .get(1)
            .map(|second| (second - self.keyframes_us[0]) as u64);
        let observed = Observed {
            intervals_us,
            group_us,
        };
        let has_video = self.tracks.iter().any(|track| track.format.is_video());
        let mut cadence = Cadence::decide(&observed, part_us);
        if has_video && group_us.is_none() {
            // The first group had no end in all that time: the longest that is allowed.
            cadence.target_duration_s = 10;
        }
        let start_us = times.first().copied().unwrap_or(0);
        let clock = |track: usize| i64::from(self.tracks[track].format.clock_rate());
        let units = self
            .units
            .iter()
            .filter(|(track, unit)| unit.dts * 1_000_000 / clock(*track) >= start_us)
            .cloned()
            .collect();
        Begun {
            tracks: self.tracks,
            cadence,
            group_us,
            start_us,
            units,
        }
    }

    /// Before the leading track begins, only the newest of the others can ever be played.
    fn forget_the_oldest(&mut self) {
        if self.units.len() >= MAX_UNITS {
            self.refused += self.units.drain(..MAX_UNITS / 2).len() as u64;
        }
    }
}
