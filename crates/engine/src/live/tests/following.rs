//! Streams of encoders that show others.

use std::time::Duration;

use bytes::Bytes;
use roomtone_frames::{AccessUnit, Format, H264Format};

use super::beside::media;
use super::{Studio, discontinuities, values};
use crate::live::coding::{Found, INGEST_RATE};
use crate::live::program::Told;
use crate::live::track::NewTrack;
use crate::live::{Beside, Tag};

const OWN: u64 = 30;
const OTHER: u64 = 77;
const FRAME_MS: u64 = 40;

fn h264(width: u32) -> Format {
    Format::H264(H264Format {
        sps: Bytes::from_static(&[0x67, 0x4d, 0x40, 0x1f, 0xd9]),
        pps: vec![Bytes::from_static(&[0x68, 0xeb])],
        width,
        height: width * 9 / 16,
        chroma_format: 1,
        luma_bits: 8,
        chroma_bits: 8,
    })
}

/// An encoder of pictures, which says once how they are coded.
struct Encoder {
    format: Option<Format>,
    /// Milliseconds between keyframes, and when the first came.
    group_ms: u64,
    begun_ms: u64,
    /// Its clock shows this at its beginning.
    clock_ms: u64,
}

impl Encoder {
    fn new(width: u32, group_ms: u64, clock_ms: u64, begun_ms: u64) -> Self {
        Self {
            format: Some(h264(width)),
            group_ms,
            begun_ms,
            clock_ms,
        }
    }

    fn next(&mut self, studio: &Studio) -> Found {
        let at_ms = studio.ms - self.begun_ms;
        let ticks = ((self.clock_ms + at_ms) * u64::from(INGEST_RATE) / 1000) as i64;
        let unit = AccessUnit {
            dts: ticks,
            pts: ticks,
            keyframe: at_ms.is_multiple_of(self.group_ms),
            data: Bytes::from_static(&[0, 0, 0, 2, 0x41, 0]),
        };
        (unit, self.format.take(), studio.now())
    }
}

fn studio() -> Studio {
    let mut studio = Studio::new();
    let track = NewTrack::whole(0, OWN, true);
    let now = studio.now();
    studio.program.add_track(track, now);
    studio
}

/// Both encoders send, as long as they are there.
fn run(studio: &mut Studio, own: Option<&mut Encoder>, other: Option<&mut Encoder>, ms: u64) {
    let until = studio.ms + ms;
    let (mut own, mut other) = (own, other);
    while studio.ms < until {
        studio.ms += FRAME_MS;
        if let Some(own) = &mut own {
            let found = own.next(studio);
            studio.program.handle_unit(OWN, found);
        }
        if let Some(other) = &mut other {
            let found = other.next(studio);
            studio.program.handle_followed(OTHER, true, found);
        }
        let now = studio.now();
        studio.program.handle_timeout(now, |_| true).unwrap();
        let told = studio.program.drain_told().map(|told| (studio.ms, told));
        studio.told.extend(told);
    }
}

fn switched_at(studio: &Studio) -> Vec<u64> {
    let told = studio.told.iter();
    told.filter(|(_, told)| matches!(told, Told::Switched(OWN, _)))
        .map(|(ms, _)| *ms)
        .collect()
}

#[test]
fn another_encoder_is_listed_from_its_next_keyframe_on_and_the_own_one_again() {
    let mut studio = studio();
    let mut own = Encoder::new(1280, 1_000, 0, studio.ms + FRAME_MS);
    run(&mut studio, Some(&mut own), None, 10_000);
    // Long before it was asked for it said how it is coded.
    let mut other = Encoder::new(640, 4_000, 900_000, studio.ms + FRAME_MS);
    let formats = [h264(640)];
    run(&mut studio, Some(&mut own), Some(&mut other), 1_000);
    assert!(!studio.program.follows(OTHER));
    let begun_ms = other.begun_ms;
    studio.program.follow(Some(OTHER), &formats);
    assert!(studio.program.follows(OTHER) && studio.program.shows_own());
    run(&mut studio, Some(&mut own), Some(&mut other), 8_000);
    assert_eq!(switched_at(&studio), [begun_ms + 4_000]);
    assert!(!studio.program.shows_own());
    // Its own encoder goes, and nobody sees it.
    studio.program.remove_track(OWN);
    run(&mut studio, None, Some(&mut other), 4_000);
    let list = studio.list("video");
    assert!(!list.contains("GAP"), "{list}");
    assert_eq!(discontinuities(&list), 1, "{list}");
    assert_eq!(values(&list, "#EXT-X-MAP").len(), 2, "{list}");
    let formats = studio.program.own_formats().to_vec();
    studio.program.follow(None, &formats);
    run(&mut studio, Some(&mut own), Some(&mut other), 4_000);
    let list = studio.list("video");
    assert!(studio.program.shows_own() && !studio.program.follows(OTHER));
    assert_eq!(switched_at(&studio).len(), 2);
    assert!(!list.contains("GAP"), "{list}");
    assert_eq!(discontinuities(&list), 2, "{list}");
    assert_eq!(values(&list, "#EXT-X-MAP").len(), 3, "{list}");
}

#[test]
fn what_comes_beside_the_pictures_of_another_is_listed_with_them() {
    let mut studio = studio();
    let mut own = Encoder::new(1280, 1_000, 0, studio.ms + FRAME_MS);
    run(&mut studio, Some(&mut own), None, 10_000);
    let mut other = Encoder::new(640, 1_000, 900_000, studio.ms + FRAME_MS);
    run(&mut studio, Some(&mut own), Some(&mut other), 1_000);
    let tag = |studio: &mut Studio, of: Option<u64>, at_ms: i64, data: &'static [u8]| {
        let what = Beside::Tag(Tag {
            at_us: at_ms * 1_000,
            data: Bytes::from_static(data),
        });
        match of {
            Some(packager) => studio.program.handle_followed_beside(packager, &what),
            None => studio.program.handle_beside(what),
        }
    };
    tag(&mut studio, Some(OTHER), 901_000, b"ID3 before it is shown");
    studio.program.follow(Some(OTHER), &[h264(640)]);
    run(&mut studio, Some(&mut own), Some(&mut other), 4_000);
    assert!(!studio.program.shows_own());
    tag(&mut studio, Some(OTHER), 905_100, b"ID3 of the other");
    run(&mut studio, Some(&mut own), Some(&mut other), 6_000);
    let all: Vec<u8> = media(&studio, "video")
        .into_iter()
        .flat_map(|(_, body)| body)
        .collect();
    let holds = |what: &[u8]| all.windows(what.len()).any(|some| some == what);
    assert!(holds(b"ID3 of the other"));
    assert!(!holds(b"ID3 before it is shown"));
}

#[test]
fn who_is_followed_no_more_before_a_keyframe_came_is_never_listed() {
    let mut studio = studio();
    let mut own = Encoder::new(1280, 1_000, 0, studio.ms + FRAME_MS);
    run(&mut studio, Some(&mut own), None, 10_000);
    let mut other = Encoder::new(640, 60_000, 0, studio.ms + FRAME_MS);
    run(&mut studio, Some(&mut own), Some(&mut other), 1_000);
    studio.program.follow(Some(OTHER), &[h264(640)]);
    run(&mut studio, Some(&mut own), Some(&mut other), 4_000);
    studio.program.follow(None, &[]);
    assert!(!studio.program.follows(OTHER));
    run(&mut studio, Some(&mut own), Some(&mut other), 60_000);
    assert!(switched_at(&studio).is_empty());
    assert_eq!(discontinuities(&studio.list("video")), 0);
    assert_eq!(
        studio.now() - studio.begun,
        Duration::from_millis(studio.ms)
    );
}

#[test]
fn an_own_encoder_that_goes_while_another_is_awaited_leaves_its_place_to_that() {
    let mut studio = studio();
    let mut own = Encoder::new(1280, 1_000, 0, studio.ms + FRAME_MS);
    run(&mut studio, Some(&mut own), None, 10_000);
    let mut other = Encoder::new(640, 4_000, 900_000, studio.ms + FRAME_MS);
    run(&mut studio, Some(&mut own), Some(&mut other), 1_000);
    studio.program.follow(Some(OTHER), &[h264(640)]);
    run(&mut studio, Some(&mut own), Some(&mut other), 1_000);
    studio.program.remove_track(OWN);
    run(&mut studio, None, Some(&mut other), 6_000);
    assert_eq!(switched_at(&studio), [other.begun_ms + 4_000]);
    assert!(!studio.program.shows_own());
}

#[test]
fn another_encoder_that_begins_anew_is_told_from_what_it_sent_before() {
    let mut studio = studio();
    let mut own = Encoder::new(1280, 1_000, 0, studio.ms + FRAME_MS);
    run(&mut studio, Some(&mut own), None, 10_000);
    let mut other = Encoder::new(640, 1_000, 900_000, studio.ms + FRAME_MS);
    run(&mut studio, Some(&mut own), Some(&mut other), 1_000);
    studio.program.follow(Some(OTHER), &[h264(640)]);
    run(&mut studio, Some(&mut own), Some(&mut other), 4_000);
    assert_eq!(discontinuities(&studio.list("video")), 1);
    // Its clock shows what that of the one before would by chance.
    let clock_ms = other.clock_ms + studio.ms + FRAME_MS - other.begun_ms;
    let mut anew = Encoder::new(640, 1_000, clock_ms, studio.ms + FRAME_MS);
    studio.program.renew_followed(OTHER);
    run(&mut studio, Some(&mut own), Some(&mut anew), 4_000);
    let list = studio.list("video");
    assert_eq!(discontinuities(&list), 2, "{list}");
    assert!(!list.contains("GAP"), "{list}");
    // Something of it was lost on its way.
    studio.program.break_followed(OTHER, true);
    run(&mut studio, Some(&mut own), Some(&mut anew), 4_000);
    assert_eq!(discontinuities(&studio.list("video")), 3);
    // Of whom nothing is listed nothing is told.
    studio.program.renew_followed(OTHER + 1);
    run(&mut studio, Some(&mut own), Some(&mut anew), 4_000);
    assert_eq!(discontinuities(&studio.list("video")), 3);
}
