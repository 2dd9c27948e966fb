//! What encoders send beside their media: it is placed with the media of its time, also behind an encoder that came anew.

use bytes::Bytes;
use roomtone_hls::MediaAnswer;

use super::rates::{TRACK, run, track};
use super::{Studio, segments};
use crate::live::{Beside, Line, Tag};

fn say(studio: &mut Studio, at_us: i64, text: &str) {
    studio.program.handle_beside(Beside::Line(Line {
        at_us,
        language: Some("en".to_owned()),
        text: text.to_owned(),
    }));
}

fn tag(studio: &mut Studio, at_us: i64, data: &'static [u8]) {
    studio.program.handle_beside(Beside::Tag(Tag {
        at_us,
        data: Bytes::from_static(data),
    }));
}

/// All whole segments of a track that can be had, and when each begins, in microseconds behind the first.
pub(super) fn media(studio: &Studio, name: &str) -> Vec<(i64, Vec<u8>)> {
    let list = studio.list(name);
    let uris = list.lines().filter(|line| line.starts_with("r-s"));
    let channel = studio.program.channel.as_ref().unwrap();
    let mut begins = 0.0;
    let mut found = Vec::new();
    for (uri, lasts) in uris.zip(segments(&list)) {
        // What is lost cannot be had.
        if let MediaAnswer::Ready(bodies) = channel.with(|packager| packager.media(name, uri)) {
            found.push(((begins * 1e3_f64).round() as i64 * 1_000, bodies.concat()));
        }
        begins += lasts;
    }
    found
}

/// In which segments something stands.
fn places(studio: &Studio, name: &str, what: &str) -> Vec<i64> {
    let all = media(studio, name).into_iter();
    let holds = |body: &[u8]| body.windows(what.len()).any(|some| some == what.as_bytes());
    all.filter(|(_, body)| holds(body))
        .map(|(begins, _)| begins)
        .collect()
}

#[test]
fn lines_and_tags_stand_with_the_sound_of_their_time() {
    let mut studio = Studio::new();
    let now = studio.begun;
    studio.program.add_track(track(), now);
    // Before anybody knows where the times of the source are in the program.
    say(&mut studio, 1_000_000, "early");
    tag(&mut studio, 1_000_000, b"ID3 early");
    run(&mut studio, 48_000, 6_000);
    say(&mut studio, 5_500_000, "first");
    tag(&mut studio, 5_500_000, b"ID3 first");
    run_on(&mut studio);
    let begins = places(&studio, "text1", "first")[0];
    assert_eq!(places(&studio, "text1", "early"), [0]);
    assert_eq!(places(&studio, "audio", "ID3 early"), [0]);
    assert_eq!(places(&studio, "audio", "ID3 first"), [begins]);
    assert!((3_500_000..=5_500_000).contains(&begins), "{begins}");
}

#[test]
fn lines_of_an_encoder_that_came_anew_stand_behind_those_before() {
    let mut studio = Studio::new();
    let now = studio.begun;
    studio.program.add_track(track(), now);
    run(&mut studio, 48_000, 5_000);
    say(&mut studio, 5_000_000, "of the first");
    studio.program.remove_track(TRACK);
    let now = studio.now();
    studio.program.add_track(track(), now);
    run(&mut studio, 48_000, 3_000);
    say(&mut studio, 3_000_000, "of the second");
    run_on(&mut studio);
    let of = |what: &str| places(&studio, "text1", what)[0];
    assert!(of("of the second") > of("of the first"));
    let begins = places(&studio, "text1", "of the second")[0];
    // Eight seconds of sound were before it; the list of text began with the first line.
    assert!((2_500_000..=8_100_000).contains(&begins), "{begins}");
}

/// Time goes on without an encoder until all it sent is in whole segments.
fn run_on(studio: &mut Studio) {
    studio.run(9_000);
}
