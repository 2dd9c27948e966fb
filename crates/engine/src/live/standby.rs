//! Streams that are to take the place of those that feed tracks: these go on until the others can be shown.
//!
//! Pictures can be from their next keyframe on, and sound changes with them. What is shown then begins behind a
//! discontinuity, as close behind what was shown before as it came.

use std::time::{Duration, Instant};

use roomtone_frames::{Format, Timeline};
use roomtone_rtp::RtpPacket;

use super::coding::Found;
use super::track::{NewTrack, Track};
use super::watch;

/// Sound of so long ago is not of the time of a keyframe that comes now.
const SOUND_KEPT: Duration = Duration::from_secs(1);
/// Who waits for longer is told of.
const LONG: Duration = Duration::from_secs(10);

/// One of a track, at most.
#[derive(Default)]
pub(super) struct Standbys {
    waiting: Vec<Track>,
    /// Something has waited without a break since then.
    since: Option<Instant>,
}

impl Standbys {
    /// Have a stream wait for the place of the track whose id it has; the one that waited before it does no more.
    pub(super) fn add(&mut self, new: NewTrack) {
        self.remove(new.track);
        self.waiting.extend(Track::new(new));
    }

    /// The same of a stream whose units come whole, and which is coded so until one of them says otherwise.
    pub(super) fn add_coded(&mut self, new: NewTrack, format: Option<Format>) {
        let track = Track::new(new);
        self.waiting.extend(track.map(|track| track.coded(format)));
    }

    /// Take a unit of a stream whose units come whole.
    pub(super) fn handle_unit(&mut self, id: u64, found: Found) {
        if let Some(track) = self.waiting.iter_mut().find(|track| track.id == id) {
            track.handle_unit(found);
        }
    }

    /// Nothing waits for the place of this track any more.
    pub(super) fn remove(&mut self, id: u64) {
        self.waiting.retain(|track| track.id != id);
    }

    /// Take a packet; false where it is of none of them.
    pub(super) fn handle_packet(&mut self, packet: &RtpPacket<'_>, now: Instant) -> bool {
        let track = self.of(packet.ssrc());
        track.map(|track| track.handle_rtp(packet, now)).is_some()
    }

    /// Take a sender report.
    pub(super) fn handle_report(
        &mut self,
        ssrc: u32,
        wall_us: i64,
        stamp: u32,
        timeline: &mut Timeline,
    ) {
        if let Some(track) = self.of(ssrc) {
            track.handle_report(wall_us, stamp, timeline);
        }
    }

    /// Ask for keyframes of those who make them, by their SSRCs.
    pub(super) fn ask(&mut self, asked: &mut Vec<u32>, now: Instant) {
        for track in self.waiting.iter_mut().filter(|track| !track.is_whole()) {
            track.handle_timeout(now);
            if watch::wants_keyframe(track, None, now) {
                track.last_asked = Some(now);
                asked.push(track.ssrc);
            }
        }
    }

    /// Whether something has waited for long.
    pub(super) fn is_overdue(&mut self, now: Instant) -> bool {
        if self.waiting.is_empty() {
            self.since = None;
            return false;
        }
        *self.since.get_or_insert(now) + LONG <= now
    }

    /// Let those go on in `tracks` that can be shown; the id and the SSRC of each.
    pub(super) fn promote(
        &mut self,
        tracks: &mut [Track],
        timeline: &mut Timeline,
        now: Instant,
    ) -> Vec<(u64, u32)> {
        let mut waiting = self.waiting.iter();
        let pictures = waiting.find(|track| track.is_video());
        let since = match pictures.map(Track::shown_from) {
            Some(None) => {
                self.forget_old(now);
                return Vec::new();
            }
            Some(since) => since,
            None if self.waiting.iter().all(Track::has_units) => None,
            None => return Vec::new(),
        };
        let (shows, mut done) = (since.is_some(), Vec::new());
        for next in self.waiting.drain(..) {
            let (id, ssrc) = (next.id, next.ssrc);
            if let Some(track) = tracks.iter_mut().find(|track| track.id == id) {
                let leads = next.is_video() || !shows;
                track.give_way_to(next, since, leads, timeline);
                done.push((id, ssrc));
            }
        }
        done
    }

    /// No keyframe has come: what lies before the next one is never shown.
    fn forget_old(&mut self, now: Instant) {
        for track in &mut self.waiting {
            let kept = if track.is_video() {
                Duration::ZERO
            } else {
                SOUND_KEPT
            };
            track.forget_older(kept, now);
        }
    }

    fn of(&mut self, ssrc: u32) -> Option<&mut Track> {
        self.waiting.iter_mut().find(|track| track.ssrc == ssrc)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use roomtone_frames::AccessUnit;

    use super::*;

    #[test]
    fn who_waits_for_long_is_told_of_and_who_comes_next_waits_anew() {
        let (begun, mut standbys) = (Instant::now(), Standbys::default());
        let at = |s: u64| begun + Duration::from_secs(s);
        assert!(!standbys.is_overdue(at(0)));
        standbys.add_coded(NewTrack::whole(0, 1, true), None);
        assert_eq!(
            [5, 14, 15].map(|s| standbys.is_overdue(at(s))),
            [false, false, true]
        );
        standbys.remove(1);
        assert!(!standbys.is_overdue(at(16)));
        standbys.add_coded(NewTrack::whole(0, 1, true), None);
        assert_eq!(
            [17, 26, 27].map(|s| standbys.is_overdue(at(s))),
            [false, false, true]
        );
    }

    fn found(keyframe: bool, arrival: Instant) -> Found {
        let unit = AccessUnit {
            dts: 0,
            pts: 0,
            keyframe,
            data: Bytes::from_static(&[1]),
        };
        (unit, None, arrival)
    }

    #[test]
    fn what_lies_before_a_keyframe_is_not_kept() {
        let (mut now, mut standbys) = (Instant::now(), Standbys::default());
        let mut timeline = Timeline::new(now);
        for (track, is_video) in [(1, true), (2, false)] {
            let new = NewTrack::whole(0, track, is_video);
            standbys.add_coded(new, None);
        }
        let units = |standbys: &Standbys| -> Vec<u64> {
            let waiting = standbys.waiting.iter();
            waiting.map(|track| track.queued().fill.units).collect()
        };
        for _ in 0..500 {
            now += Duration::from_millis(20);
            standbys.handle_unit(1, found(false, now));
            standbys.handle_unit(2, found(true, now));
            standbys.promote(&mut [], &mut timeline, now);
            let [pictures, sound] = units(&standbys)[..] else {
                panic!("{:?}", units(&standbys));
            };
            assert!(pictures == 0 && sound <= 50, "{pictures} {sound}");
        }
        assert_eq!(units(&standbys), [0, 50]);
        standbys.handle_unit(1, found(true, now));
        standbys.promote(&mut [], &mut timeline, now);
        assert!(standbys.waiting.is_empty());
    }
}
