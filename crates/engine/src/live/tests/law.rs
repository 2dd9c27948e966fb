//! G.711 of an encoder, which no list can have: pictures go on without it, and what is made of it is listed.

use bytes::Bytes;
use roomtone_frames::{AccessUnit, CarriedCodec, CarriedFormat, Format, OpusFormat};

use super::super::coding::{G711_RATE, INGEST_RATE};
use super::super::track::NewTrack;
use super::super::transcoding::Job;
use super::source::{Camera, TICK_MS, video_track};
use super::{Studio, jobs, values};
use crate::values::PackagerWarning;

const TRACK: u64 = 20;

fn track() -> NewTrack {
    NewTrack::whole(0, TRACK, false)
}

fn law() -> Format {
    Format::Carried(CarriedFormat {
        codec: CarriedCodec::Pcma,
        clock_rate: G711_RATE,
        channels: 1,
    })
}

fn opus() -> Format {
    Format::Opus(OpusFormat {
        channels: 1,
        pre_skip: 0,
    })
}

/// A camera, and sound that comes as whole units.
fn studio() -> Studio {
    let mut studio = Studio::new();
    let now = studio.begun;
    studio.program.add_track(video_track(true), now);
    studio.program.add_track(track(), now);
    studio.camera = Some(Camera::new());
    studio
}

/// Time goes on, with a unit of sound each 20 ms; the first tells how it is coded.
fn run(studio: &mut Studio, format: &Format, ms: u64) {
    let mut news = Some(format.clone());
    for _ in 0..ms / TICK_MS {
        let at = (studio.ms * u64::from(INGEST_RATE) / 1_000) as i64;
        let unit = AccessUnit {
            dts: at,
            pts: at,
            keyframe: true,
            data: Bytes::from_static(&[0xfc, 1, 2, 3]),
        };
        let found = (unit, news.take(), studio.now());
        studio.program.handle_unit(TRACK, found);
        studio.run(TICK_MS);
    }
}

fn master(studio: &Studio) -> String {
    let channel = studio.program.channel.clone().unwrap();
    let master = channel.with(roomtone_hls::Packager::master).unwrap();
    String::from_utf8(master.text.to_vec()).unwrap()
}

#[test]
fn pictures_begin_without_it_and_who_watches_the_stream_is_told() {
    let mut studio = studio();
    run(&mut studio, &law(), 8_000);
    assert!(studio.started_at().is_some_and(|ms| ms < 8_000));
    assert!(!master(&studio).contains("audio"), "{}", master(&studio));
    assert_eq!(studio.warnings(), [PackagerWarning::NotListed]);
    // Nothing of it waits for anybody.
    let most = studio
        .program
        .queues()
        .iter()
        .map(|one| one.fill.units)
        .max();
    assert!(most < Some(80), "{most:?}");
}

#[test]
fn what_is_made_of_it_is_listed() {
    let mut studio = studio();
    let now = studio.now();
    studio
        .program
        .add_job(Job::new(jobs::JOB, false, true, now));
    studio.program.job_connected(jobs::JOB);
    // One output that is no video, "aac", at 8 kHz with its configuration.
    let mut hello = vec![0, 0, 0, 7, 16, 0, 0, 3];
    hello.extend_from_slice(b"aac");
    hello.extend_from_slice(&[0, 0, 0, 10, 17, 0, 4, 0, 0, 0x1f, 0x40, 1, 0x15, 0x88]);
    studio.program.handle_made(jobs::JOB, &hello, now).unwrap();
    studio.process = Some(jobs::Echo::default());
    run(&mut studio, &law(), 12_000);
    assert!(
        master(&studio).contains("aac/index.m3u8"),
        "{}",
        master(&studio)
    );
    assert!(!master(&studio).contains("audio/index.m3u8"));
    assert!(values(&studio.list("aac"), "#EXTINF:").len() >= 2);
    assert!(!studio.warnings().contains(&PackagerWarning::NotListed));
}

#[test]
fn a_publisher_that_sends_it_in_the_place_of_another_codec_ends_nothing() {
    let mut studio = studio();
    run(&mut studio, &opus(), 8_000);
    assert!(master(&studio).contains("audio/index.m3u8"));
    studio.program.remove_track(TRACK);
    let now = studio.now();
    studio.program.add_track(track(), now);
    run(&mut studio, &law(), 6_000);
    assert_eq!(studio.warnings(), [PackagerWarning::NotListed]);
    let pictures = values(&studio.list("video"), "#EXTINF:").len();
    run(&mut studio, &opus(), 10_000);
    let after = studio.list("audio");
    let (_, last) = after.rsplit_once("#EXTINF").unwrap();
    assert!(!last.contains("GAP"), "{after}");
    assert!(values(&studio.list("video"), "#EXTINF:").len() > pictures);
}
