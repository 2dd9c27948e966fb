//! What is looked for while a program runs: keyframes that do not come, sources that are silent.

use std::time::{Duration, Instant};

use super::program::Told;
use super::track::Track;
use crate::values::PackagerWarning;

/// Before the first playlist a second keyframe is wanted soon: the first group says how long segments are.
const FIRST_GROUP: Duration = Duration::from_secs(2);
/// A segment is to end at the next keyframe when it is so long.
const SEGMENT_US: u64 = 3_400_000;
/// One keyframe is enough for so long.
const KEYFRAMES_APART: Duration = Duration::from_millis(1_500);
/// Between two requests for one.
const REQUESTS_APART: Duration = Duration::from_millis(500);
/// Groups of pictures above this make segments that begin without a keyframe, or long ones.
const LONGEST_GROUP: Duration = Duration::from_millis(4_500);
/// So long a source may take to send its first keyframe.
const FIRST_KEYFRAME: Duration = Duration::from_secs(5);
/// A source that sends nothing for so long is told of.
const SILENCE: Duration = Duration::from_secs(3);
/// Between two warnings of one sort.
const WARNINGS_APART: Duration = Duration::from_secs(30);

/// Remembers what was told.
#[derive(Default)]
pub(super) struct Watch {
    /// By track, and sort.
    warned: Vec<(u64, PackagerWarning, Instant)>,
}

impl Watch {
    /// Look at all tracks; `open_us` is how long the open segment is, none before the first playlist.
    pub(super) fn look(
        &mut self,
        tracks: &mut [Track],
        open_us: Option<u64>,
        now: Instant,
        asked: &mut Vec<u32>,
        told: &mut Vec<Told>,
    ) {
        for track in tracks {
            if wants_keyframe(track, open_us, now) {
                track.last_asked = Some(now);
                track.figures.keyframes_asked += 1;
                asked.push(track.ssrc);
            }
            for warning in warnings(track, now).into_iter().flatten() {
                if self.may_warn(track.id, warning, now) {
                    told.push(Told::Warned(Some(track.name.clone()), warning));
                }
            }
        }
    }

    /// Whether a warning of a track, 0 for none, is to be told again.
    pub(super) fn may_warn(&mut self, track: u64, warning: PackagerWarning, now: Instant) -> bool {
        let same = |one: &&mut (u64, PackagerWarning, Instant)| (one.0, one.1) == (track, warning);
        match self.warned.iter_mut().find(same) {
            Some((.., at)) if *at + WARNINGS_APART > now => false,
            Some((.., at)) => {
                *at = now;
                true
            }
            None => {
                // As many as there are tracks and sorts of warnings.
                self.warned.push((track, warning, now));
                true
            }
        }
    }
}

fn is_within(at: Option<Instant>, span: Duration, now: Instant) -> bool {
    at.is_some_and(|at| at + span > now)
}

/// Whether the source of a track is to make a keyframe now.
pub(super) fn wants_keyframe(track: &Track, open_us: Option<u64>, now: Instant) -> bool {
    if !track.is_video() || track.vacant || is_within(track.last_asked, REQUESTS_APART, now) {
        return false;
    }
    if track.last_packet.is_some() && !track.flows(now) {
        return false;
    }
    if track.wants_keyframe() {
        return true;
    }
    // Who has a rhythm of its own keeps it.
    track.makes_keyframes
        && !track.paced
        && match open_us {
            None => !is_within(track.last_keyframe, FIRST_GROUP, now),
            Some(open_us) => {
                open_us >= SEGMENT_US && !is_within(track.last_keyframe, KEYFRAMES_APART, now)
            }
        }
}

fn warnings(track: &Track, now: Instant) -> [Option<PackagerWarning>; 3] {
    let flows = track.flows(now);
    let begun = track
        .first_packet
        .is_some_and(|at| at + FIRST_KEYFRAME <= now);
    let is_silent = track.last_packet.is_some() && !is_within(track.last_packet, SILENCE, now);
    let too_long = track
        .last_keyframe
        .is_some_and(|at| at + LONGEST_GROUP <= now && !track.paced);
    let video = track.is_video() && flows;
    [
        (video && track.last_keyframe.is_none() && begun).then_some(PackagerWarning::NoKeyframe),
        (video && too_long).then_some(PackagerWarning::GopTooLong),
        (is_silent && !track.vacant).then_some(PackagerWarning::NoMedia),
    ]
}
