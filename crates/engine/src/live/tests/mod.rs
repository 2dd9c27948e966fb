//! A program in virtual time: packets of made-up sources in, what a reader of its lists would see out.

mod beside;
mod following;
mod jobs;
mod law;
mod rates;
mod source;

use std::time::{Duration, Instant};

use roomtone_hls::{Directives, PlaylistAnswer};
use roomtone_sfu::WallClock;

use super::program::{Program, ProgramConfig, Told};
use crate::values::PackagerWarning;
use source::{Camera, Microphone, TICK_MS};

/// Seconds since 1900 of 2026-01-01.
const NEW_YEAR: u64 = 3_976_214_400;

/// A program, its sources, and the time.
struct Studio {
    program: Program,
    begun: Instant,
    ms: u64,
    camera: Option<Camera>,
    microphone: Option<Microphone>,
    /// Others that send too.
    others: Option<(Camera, Microphone)>,
    /// Codes a track anew, while it is there.
    process: Option<jobs::Echo>,
    told: Vec<(u64, Told)>,
    /// When keyframes were asked for.
    asked: Vec<u64>,
}

impl Studio {
    fn new() -> Self {
        let begun = Instant::now();
        let config = ProgramConfig {
            run: "r".to_owned(),
            window_us: 20_000_000,
            part_us: None,
            encryption: None,
            clock: WallClock {
                at: begun,
                ntp: NEW_YEAR << 32,
            },
        };
        Self {
            program: Program::new(config, begun),
            begun,
            ms: 1_000,
            camera: None,
            microphone: None,
            others: None,
            process: None,
            told: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// One with a camera that makes keyframes when it is asked, and a microphone.
    fn with_both() -> Self {
        let mut studio = Self::new();
        let now = studio.begun;
        studio.program.add_track(source::video_track(true), now);
        studio.program.add_track(source::audio_track(), now);
        studio.camera = Some(Camera::new());
        studio.microphone = Some(Microphone::new());
        studio
    }

    fn now(&self) -> Instant {
        self.begun + Duration::from_millis(self.ms)
    }

    fn run(&mut self, ms: u64) {
        let until = self.ms + ms;
        while self.ms < until {
            self.ms += TICK_MS;
            let (now, ntp) = (self.now(), (NEW_YEAR << 32) + (self.ms << 32) / 1000);
            let sent = self
                .camera
                .iter_mut()
                .flat_map(|one| one.tick(self.ms, ntp));
            let heard = self
                .microphone
                .iter_mut()
                .flat_map(|one| one.tick(self.ms, ntp));
            let others = self.others.iter_mut().flat_map(|(camera, microphone)| {
                let sent = camera.tick(self.ms, ntp);
                sent.into_iter().chain(microphone.tick(self.ms, ntp))
            });
            for (rtcp, packet) in sent.chain(heard).chain(others) {
                self.program.handle_packet(&packet, rtcp, now);
            }
            jobs::turn(&mut self.program, self.process.as_mut(), now);
            self.program.handle_timeout(now, |_| true).unwrap();
            for ssrc in self.program.drain_asked() {
                self.asked.push(self.ms);
                let others = self.others.iter_mut().map(|(camera, _)| camera);
                let asked = self.camera.iter_mut().chain(others);
                let asked = asked.filter(|camera| camera.ssrc == ssrc);
                asked.for_each(Camera::ask);
            }
            let told = self.program.drain_told().map(|told| (self.ms, told));
            self.told.extend(told);
        }
    }

    /// Sources go, or others come: routers number what they send on.
    fn silence(&mut self, silent: bool) {
        self.camera.iter_mut().for_each(|one| one.silence(silent));
        self.microphone
            .iter_mut()
            .for_each(|one| one.silent = silent);
    }

    /// Sources, and their clocks, stand still or go on.
    fn stand(&mut self, stands: bool) {
        self.camera.iter_mut().for_each(|one| one.stands = stands);
        self.microphone
            .iter_mut()
            .for_each(|one| one.stands = stands);
    }

    fn list(&self, track: &str) -> String {
        let channel = self.program.channel.as_ref().expect("it has begun");
        channel.with(
            |packager| match packager.playlist(track, Directives::default()) {
                PlaylistAnswer::Ready(list) => String::from_utf8(list.text.to_vec()).unwrap(),
                other => panic!("{other:?}"),
            },
        )
    }

    fn warnings(&self) -> Vec<PackagerWarning> {
        let warned = self.told.iter().filter_map(|(_, told)| match told {
            Told::Warned(_, warning) => Some(*warning),
            _ => None,
        });
        warned.collect()
    }

    fn started_at(&self) -> Option<u64> {
        let mut started = self.told.iter();
        started.find_map(|(ms, told)| matches!(told, Told::Started(_)).then_some(*ms))
    }
}

fn values<'a>(list: &'a str, tag: &str) -> Vec<&'a str> {
    list.lines()
        .filter_map(|line| line.strip_prefix(tag))
        .collect()
}

fn discontinuities(list: &str) -> usize {
    let is_one = |line: &&str| *line == "#EXT-X-DISCONTINUITY";
    list.lines().filter(is_one).count()
}

/// Seconds of each segment.
fn segments(list: &str) -> Vec<f64> {
    let lengths = values(list, "#EXTINF:").into_iter();
    lengths
        .map(|length| length.trim_end_matches(',').parse().unwrap())
        .collect()
}

#[test]
fn pictures_and_sound_are_listed_in_segments_that_end_at_keyframes_asked_for() {
    let mut studio = Studio::with_both();
    studio.run(20_000);
    assert!(studio.started_at().unwrap() < 4_000, "{:?}", studio.told);
    let (video, audio) = (studio.list("video"), studio.list("audio"));
    let lengths = segments(&video);
    assert!(lengths.len() >= 4, "{video}");
    assert!(
        lengths.iter().all(|length| (3.0..=4.0).contains(length)),
        "{video}"
    );
    assert!(
        !video.contains("GAP") && !audio.contains("GAP"),
        "{video}{audio}"
    );
    // Sound is cut where pictures are, as soon as they tell, which is 80 ms after they were taken.
    let starts = |list| {
        let dates = values(list, "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:");
        let seconds = dates
            .iter()
            .map(|date| date.trim_end_matches('Z').parse::<f64>().unwrap());
        seconds.collect::<Vec<_>>()
    };
    let (pictures, sounds) = (starts(&video), starts(&audio));
    for (picture, sound) in pictures.iter().zip(&sounds) {
        assert!(
            (0.0..0.101).contains(&(sound - picture)),
            "{pictures:?} {sounds:?}"
        );
    }
    assert_eq!(studio.warnings(), []);
    let forced = studio
        .program
        .channel
        .as_ref()
        .unwrap()
        .with(|one| one.forced_cuts);
    assert_eq!(forced, 0);
}

#[test]
fn a_camera_with_its_own_rhythm_is_not_asked_and_long_groups_are_told_of() {
    let mut studio = Studio::new();
    let now = studio.begun;
    studio.program.add_track(source::video_track(false), now);
    studio.camera = Some(Camera::every(8_000));
    studio.run(30_000);
    // Before the first keyframe anybody is asked.
    assert!(
        studio.asked.iter().all(|&ms| ms < 1_100),
        "{:?}",
        studio.asked
    );
    assert_eq!(studio.warnings(), [PackagerWarning::GopTooLong]);
    assert!(values(&studio.list("video"), "#EXT-X-TARGETDURATION:") == ["9"]);
}

#[test]
fn a_camera_that_never_sends_a_keyframe_is_left_out_and_told_of() {
    let mut studio = Studio::with_both();
    studio.camera = Some(Camera::never());
    studio.run(12_000);
    let warnings = studio.warnings();
    assert!(
        warnings.contains(&PackagerWarning::NoKeyframe),
        "{warnings:?}"
    );
    assert!(
        warnings.contains(&PackagerWarning::TrackLeftOut),
        "{warnings:?}"
    );
    assert!(studio.list("audio").contains("#EXTINF"));
    let tracks = studio.told.iter().find_map(|(_, told)| match told {
        Told::Started(tracks) => Some(tracks.len()),
        _ => None,
    });
    assert_eq!(tracks, Some(1));
}

#[test]
fn packets_that_are_lost_cost_pictures_up_to_a_keyframe_that_is_asked_for_at_once() {
    let mut studio = Studio::with_both();
    studio.run(6_000);
    let asked = studio.asked.len();
    studio.camera.as_mut().unwrap().lose(1);
    studio.run(500);
    assert!(studio.asked.len() > asked);
    let track = &studio.program.tracks[0];
    assert_eq!(track.reorder.lost, 1);
    assert!(track.dropped() > 0);
    studio.run(3_500);
    assert!(!studio.program.tracks[0].wants_keyframe());
}

#[test]
fn a_source_that_comes_back_goes_on_behind_a_gap_and_a_discontinuity() {
    let mut studio = Studio::with_both();
    studio.run(10_000);
    studio.silence(true);
    studio.run(5_000);
    let list = studio.list("video");
    assert!(list.contains("GAP=YES"), "{list}");
    assert!(studio.warnings().contains(&PackagerWarning::NoMedia));
    let now = studio.now();
    assert!(studio.program.add_track(source::video_track(true), now));
    assert!(studio.program.add_track(source::audio_track(), now));
    studio.silence(false);
    studio.run(10_000);
    for track in ["video", "audio"] {
        let list = studio.list(track);
        assert_eq!(discontinuities(&list), 1, "{list}");
        let behind = list.rsplit("#EXT-X-DISCONTINUITY\n").next().unwrap();
        assert!(!behind.contains("GAP"), "{list}");
        assert!(segments(behind).len() >= 2, "{list}");
    }
}

/// Another camera and another microphone, whose pictures are small, send; they wait for the place of those that feed the
/// program.
fn with_others(mut camera: Camera, studio: &mut Studio) {
    let mut microphone = Microphone::new();
    (camera.ssrc, microphone.ssrc) = (21, 22);
    camera.turn();
    studio.others = Some((camera, microphone));
    studio.run(1_000);
    for (mut new, ssrc) in [
        (source::video_track(false), 21),
        (source::audio_track(), 22),
    ] {
        new.ssrc = ssrc;
        studio.program.stand_by(new);
    }
}

fn switched(studio: &Studio) -> Vec<(u64, u64, u32)> {
    let told = studio.told.iter().filter_map(|(ms, told)| match told {
        Told::Switched(track, ssrc) => Some((*ms, *track, *ssrc)),
        _ => None,
    });
    told.collect()
}

#[test]
fn another_camera_is_shown_from_its_next_keyframe_on_and_nothing_is_missing_before() {
    let mut studio = Studio::with_both();
    studio.run(10_000);
    with_others(Camera::every(6_000), &mut studio);
    studio.run(3_000);
    // What it showed first had come before it was asked for.
    assert!(switched(&studio).is_empty());
    assert_eq!(discontinuities(&studio.list("video")), 0);
    studio.run(8_000);
    let [(at, 10, 21), (_, 11, 22)] = switched(&studio)[..] else {
        panic!("{:?}", studio.told);
    };
    assert!((17_000..17_100).contains(&at), "{at}");
    for track in ["video", "audio"] {
        let list = studio.list(track);
        assert_eq!(discontinuities(&list), 1, "{list}");
        assert!(!list.contains("GAP"), "{list}");
    }
    assert_eq!(values(&studio.list("video"), "#EXT-X-MAP").len(), 2);
    // The one before may go on as it likes.
    let ignored = studio.program.ignored;
    studio.run(1_000);
    assert!(studio.program.ignored > ignored + 40);
}

#[test]
fn a_camera_that_makes_keyframes_is_asked_for_one_and_shown_at_once() {
    let mut studio = Studio::with_both();
    studio.run(10_000);
    with_others(Camera::new(), &mut studio);
    studio.run(4_000);
    let switched = switched(&studio);
    assert!(switched.iter().all(|(at, ..)| *at < 12_200), "{switched:?}");
    assert_eq!(switched.len(), 2);
    assert!(!studio.list("video").contains("GAP"));
}

#[test]
fn what_waits_and_is_taken_off_takes_no_place() {
    let mut studio = Studio::with_both();
    studio.run(10_000);
    with_others(Camera::every(2_000), &mut studio);
    for track in [source::video_track(true), source::audio_track()] {
        studio.program.remove_track(track.track);
        studio.program.add_track(track, studio.now());
    }
    studio.run(6_000);
    assert!(switched(&studio).is_empty());
    assert_eq!(values(&studio.list("video"), "#EXT-X-MAP").len(), 1);
}

#[test]
fn sources_that_stood_still_for_a_moment_are_listed_again_within_seconds() {
    let mut studio = Studio::with_both();
    studio.camera = Some(Camera::every(1_000));
    studio.run(10_000);
    studio.stand(true);
    studio.run(1_500);
    studio.stand(false);
    studio.run(4_000);
    assert!(studio.warnings().contains(&PackagerWarning::UnitsLate));
    studio.run(9_000);
    for track in ["video", "audio"] {
        let list = studio.list(track);
        assert_eq!(discontinuities(&list), 1, "{list}");
        let (before, behind) = list.split_once("#EXT-X-DISCONTINUITY\n").unwrap();
        assert!(!behind.contains("GAP"), "{list}");
        assert!(segments(behind).len() >= 2, "{list}");
        // Ten seconds, and so many without them.
        let until: f64 = segments(before).iter().sum();
        assert!((11.0..15.0).contains(&until), "{until}: {list}");
    }
}

#[test]
fn who_is_muted_is_silent_and_not_lost() {
    let mut studio = Studio::with_both();
    studio.run(8_000);
    studio.microphone.as_mut().unwrap().silent = true;
    studio.run(8_000);
    studio.microphone.as_mut().unwrap().silent = false;
    studio.run(8_000);
    let list = studio.list("audio");
    assert!(!list.contains("GAP"), "{list}");
    assert_eq!(discontinuities(&list), 0, "{list}");
    let silent = studio.program.tracks[1].silent_frames();
    assert!((395..=400).contains(&silent), "{silent} frames");
}

#[test]
fn another_size_of_picture_gets_a_header_of_its_own() {
    let mut studio = Studio::with_both();
    studio.run(8_000);
    studio.camera.as_mut().unwrap().turn();
    studio.run(8_000);
    for track in ["video", "audio"] {
        let list = studio.list(track);
        assert_eq!(discontinuities(&list), 1, "{list}");
    }
    assert_eq!(values(&studio.list("video"), "#EXT-X-MAP").len(), 2);
}

#[test]
fn the_end_is_listed_and_nothing_follows() {
    let mut studio = Studio::with_both();
    studio.run(6_000);
    let now = studio.now();
    studio.program.end(now).unwrap();
    for track in ["video", "audio"] {
        assert!(studio.list(track).contains("\n#EXT-X-ENDLIST\n"));
    }
}

#[test]
fn hours_hold_no_more_than_minutes() {
    let mut studio = Studio::with_both();
    studio.run(120_000);
    let held = |studio: &Studio| {
        let channel = studio.program.channel.as_ref().unwrap();
        channel.with(|packager| packager.holding().memory)
    };
    let before = held(&studio);
    studio.run(2 * 3_600_000);
    let after = held(&studio);
    assert!(after < before + before / 4, "{before} and {after} bytes");
    assert!(studio.program.tracks.iter().all(|track| !track.has_units()));
    assert_eq!(studio.warnings(), []);
    assert!(studio.told.len() <= 2, "{:?}", studio.told);
}
