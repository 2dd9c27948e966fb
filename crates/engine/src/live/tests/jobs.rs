//! Tracks that are coded anew, by a process that is made up: what it is sent, it sends back as its own.

use std::time::{Duration, Instant};

use super::super::program::{Program, Told};
use super::super::transcoding::Job;
use super::source::{self, Camera, Microphone};
use super::{Studio, discontinuities, values};
use crate::counters::LiveCounters;
use crate::values::PackagerWarning;

pub(super) const JOB: u64 = 77;

/// Takes messages of units and makes them its output's.
#[derive(Default)]
pub(super) struct Echo {
    hangs: bool,
    held: Vec<u8>,
    kinds: Vec<u8>,
    /// Makes a picture each 25th of a second instead, by what it is told of the time.
    paces: bool,
    /// When its next is to be shown, in ticks of 90 kHz.
    next: Option<i64>,
}

const FRAME: i64 = 3_600;

impl Echo {
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let mut out = Vec::new();
        while let Some(length) = self.held.first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            if self.held.len() < 4 + length {
                break;
            }
            let message: Vec<u8> = self.held.drain(..4 + length).skip(4).collect();
            self.kinds.push(message[0]);
            if self.paces && message[0] == 6 {
                let now = i64::from_be_bytes(message[1..9].try_into().unwrap());
                out.extend(self.pictures(now));
            }
            if message[0] == 2 && !self.paces {
                out.extend_from_slice(&(length as u32 + 1).to_be_bytes());
                out.extend_from_slice(&[18, 0]);
                out.extend_from_slice(&message[1..]);
            }
        }
        out
    }
}

impl Echo {
    /// What is due by now.
    fn pictures(&mut self, now: i64) -> Vec<u8> {
        let mut out = Vec::new();
        let mut next = self.next.unwrap_or(now / FRAME * FRAME);
        while next + FRAME <= now {
            let mut body = vec![18, 0, 1];
            body.extend_from_slice(&next.to_be_bytes());
            body.extend_from_slice(&next.to_be_bytes());
            body.extend(source::small_keyframe());
            out.extend_from_slice(&(body.len() as u32).to_be_bytes());
            out.extend(body);
            next += FRAME;
        }
        self.next = Some(next);
        out
    }
}

fn hello() -> Vec<u8> {
    let mut out = vec![0, 0, 0, 8, 16, 0, 1, 4];
    out.extend_from_slice(b"v360");
    out.extend_from_slice(&[0, 0, 0, 8, 17, 0, 1, 0, 1, 0x5f, 0x90, 0]);
    out
}

/// What the live thread does for a job in each turn.
pub(super) fn turn(program: &mut Program, process: Option<&mut Echo>, now: Instant) {
    program.feed_job(JOB, &LiveCounters::default(), now);
    let Some(process) = process.filter(|process| !process.hangs) else {
        return;
    };
    let mut made = Vec::new();
    while let Some(bytes) = program.take_for_job(JOB) {
        made.extend(process.take(&bytes));
    }
    program.handle_made(JOB, &made, now).unwrap();
}

fn with_job(keep: bool) -> Studio {
    let mut studio = Studio::with_both();
    let now = studio.now();
    studio.program.add_job(Job::new(JOB, true, keep, now));
    studio
}

fn connect(studio: &mut Studio) {
    let now = studio.now();
    studio.program.job_connected(JOB);
    studio.program.handle_made(JOB, &hello(), now).unwrap();
    studio.process = Some(Echo::default());
}

#[test]
fn what_is_made_is_listed_beside_its_source_with_the_same_cuts() {
    let mut studio = with_job(true);
    studio.run(3_000);
    assert_eq!(studio.started_at(), None, "the process is waited for");
    connect(&mut studio);
    studio.run(20_000);
    let lists = ["video", "v360"].map(|name| studio.list(name));
    let lengths = lists.each_ref().map(|list| values(list, "#EXTINF:"));
    assert!(lengths[0].len() >= 4, "{}", lists[0]);
    assert_eq!(lengths[0][..4], lengths[1][..4]);
    assert!(!lists[1].contains("GAP"), "{}", lists[1]);
}

#[test]
fn a_source_that_is_only_made_anew_is_in_no_list() {
    let mut studio = with_job(false);
    connect(&mut studio);
    studio.run(12_000);
    assert!(values(&studio.list("v360"), "#EXTINF:").len() >= 2);
    let channel = studio.program.channel.clone().unwrap();
    let master = channel.with(roomtone_hls::Packager::master).unwrap();
    let master = String::from_utf8(master.text.to_vec()).unwrap();
    assert!(!master.contains("video/index.m3u8"), "{master}");
}

#[test]
fn a_process_that_does_not_come_is_not_waited_for_without_end() {
    let mut studio = with_job(true);
    studio.run(26_000);
    assert!(studio.started_at().is_some_and(|ms| ms > 20_000));
    assert!(studio.list("video").contains("#EXTINF"));
}

#[test]
fn a_process_that_dies_is_told_of_and_the_next_begins_at_a_keyframe() {
    let mut studio = with_job(true);
    connect(&mut studio);
    studio.run(12_000);
    let now = studio.now();
    studio.process = None;
    studio.program.job_lost(JOB, now);
    studio.run(4_000);
    assert!(studio.warnings().contains(&PackagerWarning::TranscoderLost));
    // Looked for now: old segments are listed without their parts.
    let made = studio.list("v360");
    assert!(made.contains("GAP=YES"), "{made}");
    connect(&mut studio);
    studio.run(14_000);
    let kinds = &studio.process.as_ref().unwrap().kinds;
    assert_eq!(kinds[0], 1, "a format comes first");
    assert!(kinds.contains(&2));
    let (source, made) = (studio.list("video"), studio.list("v360"));
    assert!(!source.contains("GAP"), "{source}");
    for list in [&source, &made] {
        assert!(list.contains("#EXT-X-DISCONTINUITY\n"), "{list}");
    }
    assert!(
        made.rsplit("#EXT-X-DISCONTINUITY\n")
            .next()
            .unwrap()
            .contains("#EXTINF")
    );
}

#[test]
fn a_process_that_takes_nothing_loses_all_up_to_a_keyframe_and_is_told() {
    let mut studio = with_job(true);
    connect(&mut studio);
    studio.run(6_000);
    studio.process.as_mut().unwrap().hangs = true;
    studio.run(60_000);
    assert!(studio.warnings().contains(&PackagerWarning::TranscoderSlow));
    let process = studio.process.as_mut().unwrap();
    process.hangs = false;
    process.kinds.clear();
    studio.run(5_000);
    let kinds = &studio.process.as_ref().unwrap().kinds;
    assert!(kinds.contains(&4), "{kinds:?}");
    assert!(!studio.list("video").contains("GAP"));
}

#[test]
fn what_cannot_be_read_is_told_of() {
    let mut studio = with_job(true);
    let now = studio.now() + Duration::from_millis(1);
    studio.program.job_connected(JOB);
    assert_eq!(studio.program.handle_made(JOB, &[0xff; 8], now), None);
    studio.run(100);
    assert!(
        studio
            .warnings()
            .contains(&PackagerWarning::TranscoderMalformed)
    );
}

#[test]
fn pictures_made_at_a_pace_of_their_own_need_no_source_and_go_on_without_a_break_when_it_comes() {
    let mut studio = Studio::new();
    let now = studio.now();
    studio.program.add_track(source::audio_track(), now);
    studio.microphone = Some(Microphone::new());
    studio.program.add_job(Job::paced(JOB, now));
    connect(&mut studio);
    studio.process.as_mut().unwrap().paces = true;
    studio.run(10_000);
    assert!(studio.started_at().is_some(), "{:?}", studio.told);
    let no_sources = |studio: &Studio| !studio.process.as_ref().unwrap().kinds.contains(&2);
    assert!(no_sources(&studio));

    // One comes, another takes its place, and that goes.
    let now = studio.now();
    assert!(studio.program.add_track(source::video_track(true), now));
    studio.camera = Some(Camera::new());
    studio.run(6_000);
    assert!(!no_sources(&studio));
    let mut others = source::video_track(true);
    others.ssrc = 21;
    let mut camera = Camera::every(1_000);
    camera.ssrc = 21;
    studio.others = Some((camera, Microphone::new()));
    studio.program.stand_by(others);
    studio.run(3_000);
    let switched = |(_, told): &(u64, Told)| matches!(told, Told::Switched(..));
    assert!(studio.told.iter().any(switched), "{:?}", studio.told);
    let kinds = &studio.process.as_ref().unwrap().kinds;
    assert!(kinds.contains(&3), "it is told that another source goes on");
    studio.program.remove_track(10);
    (studio.camera, studio.others) = (None, None);
    studio.run(9_000);

    for track in ["v360", "audio"] {
        let list = studio.list(track);
        assert!(values(&list, "#EXTINF:").len() >= 3, "{list}");
        assert_eq!(discontinuities(&list), 0, "{list}");
        assert!(!list.contains("GAP"), "{list}");
    }
    assert!(!studio.warnings().contains(&PackagerWarning::UnitsLate));
}

#[test]
fn a_source_is_taken_after_the_beginning_only_where_nothing_of_it_is_listed() {
    let mut studio = Studio::new();
    let now = studio.now();
    studio.program.add_track(source::audio_track(), now);
    studio.microphone = Some(Microphone::new());
    studio.run(8_000);
    let now = studio.now();
    assert!(!studio.program.add_track(source::video_track(true), now));
}
