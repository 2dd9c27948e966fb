//! Whole streams in virtual time, read by a reader that knows the rules.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::float_cmp, reason = "durations are read as they were written")]

mod encrypted;
mod reader;
mod source;
mod subtitles;

use reader::{Rules, fetch, length, ready};
use roomtone_hls::{DirectiveError, Directives, MediaAnswer, Packager, PlaylistAnswer};
use source::{RUN, Source, VIDEO, config, h264, sound, video};

/// Play, and hold every state of both playlists against the rules.
fn play(source: &mut Source, rules: &mut [Rules; 2], seconds: f64) {
    source.play(seconds, |packager| look(packager, rules));
}

fn look(packager: &mut Packager, rules: &mut [Rules; 2]) {
    rules[0].look(packager, "video");
    rules[1].look(packager, "audio");
}

fn both() -> Source {
    Source::new(config(), vec![video(), sound()])
}

#[test]
fn three_minutes_keep_every_rule_and_the_window_slides() {
    let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
    play(&mut source, &mut rules, 180.0);
    assert!(rules[0].checked > 500 && rules[1].checked > 500);
    let media = rules[0].last();
    assert_eq!((media.target, media.part_target), (4.0, 0.334));
    assert!(media.first > 10);
    let listed: f64 = media.segments.iter().map(length).sum();
    assert!((120.0..130.0).contains(&listed), "{listed}");
    assert_eq!(source.packager.late(), 0);
}

#[test]
fn segments_of_reordered_pictures_are_dated_by_when_their_first_is_shown() {
    let at = |shown_after| {
        let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
        source.shown_after = shown_after;
        play(&mut source, &mut rules, 30.0);
        let dates = |rules: &Rules| rules.last().segments[2].date_time.clone();
        (dates(&rules[0]), dates(&rules[1]))
    };
    let (plain, reordered) = (at(0), at(9_000));
    assert_eq!(
        (plain.0.as_str(), reordered.0.as_str()),
        ("2026-01-01T00:00:08.033Z", "2026-01-01T00:00:08.133Z")
    );
    assert_eq!(plain.1, reordered.1);
}

#[test]
fn segments_begin_with_keyframes_and_say_so() {
    let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
    play(&mut source, &mut rules, 30.0);
    let media = rules[0].last();
    for segment in media.segments.iter().rev().take(3) {
        assert!(segment.parts[0].independent, "{}", media.text);
    }
    assert!(
        media
            .segments
            .iter()
            .filter(|one| one.duration > 0.0)
            .all(|one| (one.duration - 4.0).abs() < 1e-6)
    );
}

#[test]
fn times_that_waver_keep_the_rules_too() {
    let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
    source.intervals = vec![2880, 3060, 2970, 3150, 2940];
    play(&mut source, &mut rules, 60.0);
    assert!(rules[0].checked > 100);
}

#[test]
fn a_group_longer_than_the_target_is_cut_without_a_keyframe() {
    let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
    source.play(8.0, |packager| look(packager, &mut rules));
    source.group = 900;
    play(&mut source, &mut rules, 40.0);
    assert!(source.packager.forced_cuts >= 5);
    let media = rules[0].last();
    assert!(
        media
            .segments
            .iter()
            .any(|one| !one.parts.is_empty() && !one.parts[0].independent),
        "{}",
        media.text
    );
}

#[test]
fn a_keyframe_just_behind_the_target_is_waited_for() {
    let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
    // Four groups are a little longer than four seconds, by the clock that drifts.
    (source.group, source.intervals) = (30, vec![3_005]);
    play(&mut source, &mut rules, 60.0);
    assert_eq!(source.packager.forced_cuts, 0);
    let media = rules[0].last();
    assert_eq!(media.target, 4.0);
    let begun = media.segments.iter().filter(|one| !one.parts.is_empty());
    assert!(begun.clone().count() > 2);
    for segment in begun {
        assert!(segment.parts[0].independent, "{}", media.text);
    }
}

#[test]
fn a_long_first_group_makes_a_longer_target() {
    let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
    source.group = 150;
    play(&mut source, &mut rules, 60.0);
    assert_eq!(rules[0].last().target, 6.0);
    assert_eq!(source.packager.forced_cuts, 0);
}

#[test]
fn a_frozen_source_yields_gaps_on_time_and_comes_back_at_a_keyframe() {
    let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
    play(&mut source, &mut rules, 20.0);
    source.freeze(6.5, |packager| look(packager, &mut rules));
    source.begin_group();
    play(&mut source, &mut rules, 12.0);
    let media = rules[0].last();
    let gaps: Vec<_> = media.segments.iter().filter(|one| one.gap).collect();
    assert!(gaps.len() >= 2, "{}", media.text);
    let lost: f64 = gaps.iter().map(|one| one.duration).sum();
    assert!((6.0..7.2).contains(&lost), "{lost}: {}", media.text);
    let back = media
        .segments
        .iter()
        .find(|one| one.number > gaps.last().unwrap().number)
        .unwrap();
    assert!(back.parts[0].independent, "{}", media.text);
    for uri in gaps.iter().map(|one| &one.uri) {
        assert_eq!(source.packager.media("video", uri), MediaAnswer::Unknown);
    }
}

#[test]
fn a_source_that_stops_and_catches_up_keeps_every_rule() {
    for (stopped_ms, group) in [(500, 60), (900, 60), (900, 150), (1_500, 150), (6_000, 90)] {
        for after_ms in (0..4_000).step_by(930) {
            let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
            source.group = group;
            play(&mut source, &mut rules, 12.0 + f64::from(after_ms) / 1e3);
            source.stall(f64::from(stopped_ms) / 1e3, |packager| {
                look(packager, &mut rules);
            });
            play(&mut source, &mut rules, 15.0);
        }
    }
}

#[test]
fn a_source_that_stood_still_is_told_to_be_late_for_good_when_it_has_been_for_two_seconds() {
    let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
    play(&mut source, &mut rules, 12.0);
    let lateness = |source: &mut Source| {
        let tracks = [VIDEO, 1];
        tracks.map(|track| source.packager.take_lateness(track, source.now))
    };
    source.stall(1.5, |packager| look(packager, &mut rules));
    play(&mut source, &mut rules, 4.0);
    assert_eq!(lateness(&mut source), [None; 2], "it has caught up");
    source.stand_still(1.5, |packager| look(packager, &mut rules));
    play(&mut source, &mut rules, 1.9);
    assert_eq!(lateness(&mut source), [None; 2], "too soon to say");
    play(&mut source, &mut rules, 0.2);
    for late in lateness(&mut source) {
        // But for two parts that are waited for and up to one that is lost as a whole, and one more of room.
        let late = late.unwrap().as_secs_f64();
        assert!((1.1..1.6).contains(&late), "{late}");
    }
    assert_eq!(lateness(&mut source), [None; 2], "once");
}

#[test]
fn sound_that_is_lost_makes_no_segment_longer() {
    for lost in [20, 45, 100, 400] {
        for after_ms in (0..4_000).step_by(570) {
            let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
            play(&mut source, &mut rules, 8.0 + f64::from(after_ms) / 1e3);
            source.lose_sound(lost);
            play(&mut source, &mut rules, 18.0);
            let [video, audio] = rules.map(|one| one.last().clone());
            let pairs = video.segments.iter().zip(&audio.segments);
            // The open one is not as far in both.
            for (one, other) in pairs.take(video.segments.len() - 1) {
                assert!((length(one) - length(other)).abs() < 0.05, "{}", audio.text);
            }
        }
    }
}

#[test]
fn renditions_stay_aligned_in_number_and_time() {
    let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
    play(&mut source, &mut rules, 60.0);
    let (pictures, sounds) = (rules[0].last(), rules[1].last());
    assert_eq!(pictures.first, sounds.first);
    for (picture, sound) in pictures.segments.iter().zip(&sounds.segments).skip(1) {
        // At most one frame of sound of 20 ms apart.
        let second = |text: &str| text[17..23].parse::<f64>().unwrap();
        let apart = (second(&picture.date_time) - second(&sound.date_time)).abs();
        assert!(
            !(0.021..59.9).contains(&apart),
            "{} and {}",
            picture.date_time,
            sound.date_time
        );
    }
}

#[test]
fn each_playlist_reports_the_other_as_it_is() {
    let mut source = both();
    source.play(10.0, |packager| {
        let (Some(pictures), Some(sounds)) =
            (ready(packager, "video", ""), ready(packager, "audio", ""))
        else {
            return;
        };
        let last = pictures.segments.last().unwrap();
        let parts = last.parts.len() as u64 - 1;
        assert_eq!(
            sounds.reports,
            [("../video/index.m3u8".to_owned(), last.number, parts)]
        );
        assert_eq!(pictures.reports.len(), 1);
    });
}

#[test]
fn a_delta_joined_with_what_came_before_is_the_whole() {
    let mut source = both();
    source.play(100.0, |_| {});
    let before = ready(&mut source.packager, "video", "").unwrap();
    source.play(1.0, |_| {});
    let delta = ready(&mut source.packager, "video", "_HLS_skip=YES").unwrap();
    let whole = ready(&mut source.packager, "video", "").unwrap();
    assert!(delta.skipped > 10, "{}", delta.text);
    assert_eq!(whole.skipped, 0);
    let known: Vec<_> = before
        .segments
        .iter()
        .filter(|one| one.number < delta.first + delta.skipped)
        .collect();
    assert_eq!(
        known.len() as u64,
        delta.skipped + delta.first - before.first
    );
    assert_eq!(whole.segments[delta.skipped as usize..], delta.segments[..]);
    // Nothing nearer to the end than the boundary was left out.
    let kept: f64 = delta.segments.iter().map(length).sum();
    assert!(kept >= delta.skip_until.unwrap(), "{kept}");
}

#[test]
fn a_delta_with_nothing_to_skip_is_the_whole() {
    let mut source = both();
    source.play(10.0, |_| {});
    let delta = ready(&mut source.packager, "video", "_HLS_skip=YES").unwrap();
    assert_eq!(
        delta.text,
        ready(&mut source.packager, "video", "").unwrap().text
    );
}

#[test]
fn a_blocked_request_is_answered_when_its_part_is_there_and_not_before() {
    let mut source = both();
    source.play(10.0, |_| {});
    let media = ready(&mut source.packager, "video", "").unwrap();
    let open = media.segments.last().unwrap();
    let query = format!("_HLS_msn={}&_HLS_part={}", open.number, open.parts.len());
    let hinted = media.hints[0].clone();
    assert_eq!(source.packager.media("video", &hinted), MediaAnswer::Wait);
    let mut waited = 0;
    while ready(&mut source.packager, "video", &query).is_none() {
        assert_eq!(source.packager.media("video", &hinted), MediaAnswer::Wait);
        source.step();
        waited += 1;
    }
    assert!((1..=11).contains(&waited), "{waited}");
    let answer = ready(&mut source.packager, "video", &query).unwrap();
    assert!(answer.text.contains(&hinted));
    assert!(fetch(&source.packager, "video", &hinted).is_some());
}

#[test]
fn a_whole_segment_is_waited_for_and_a_part_behind_its_last_is_the_first_of_the_next() {
    let mut source = both();
    source.play(10.0, |_| {});
    let open = ready(&mut source.packager, "video", "")
        .unwrap()
        .segments
        .last()
        .unwrap()
        .number;
    let query = format!("_HLS_msn={open}");
    while ready(&mut source.packager, "video", &query).is_none() {
        source.step();
    }
    let media = ready(&mut source.packager, "video", &query).unwrap();
    let done = media
        .segments
        .iter()
        .find(|one| one.number == open)
        .unwrap();
    assert!(!done.uri.is_empty());
    let beyond = format!("_HLS_msn={open}&_HLS_part={}", done.parts.len());
    let mut there = ready(&mut source.packager, "video", &beyond);
    while there.is_none() {
        source.step();
        there = ready(&mut source.packager, "video", &beyond);
    }
    assert_eq!(there.unwrap().segments.last().unwrap().number, open + 1);
}

#[test]
fn what_lies_too_far_ahead_is_refused() {
    let mut source = both();
    source.play(10.0, |_| {});
    let media = ready(&mut source.packager, "video", "").unwrap();
    let open = media.segments.last().unwrap();
    let ask = |packager: &mut Packager, query: String| {
        packager.playlist("video", Directives::parse(&query).unwrap())
    };
    let refused = PlaylistAnswer::Refused(DirectiveError::TooFar);
    let (number, parts) = (open.number, open.parts.len());
    assert_eq!(
        ask(&mut source.packager, format!("_HLS_msn={}", number + 3)),
        refused
    );
    assert_eq!(
        ask(&mut source.packager, format!("_HLS_msn={}", number + 2)),
        PlaylistAnswer::Wait
    );
    assert_eq!(
        ask(
            &mut source.packager,
            format!("_HLS_msn={number}&_HLS_part={}", parts + 9)
        ),
        refused
    );
    assert_eq!(
        ask(
            &mut source.packager,
            format!("_HLS_msn={number}&_HLS_part={}", parts + 8)
        ),
        PlaylistAnswer::Wait
    );
    assert!(matches!(
        ask(&mut source.packager, "_HLS_msn=0&_HLS_part=99".to_owned()),
        PlaylistAnswer::Ready(_)
    ));
}

#[test]
fn the_end_releases_whoever_waits() {
    let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
    play(&mut source, &mut rules, 10.0);
    let open = rules[0].last().segments.last().unwrap().number;
    let query = format!("_HLS_msn={}", open + 1);
    assert!(ready(&mut source.packager, "video", &query).is_none());
    source.packager.end(source.now).unwrap();
    let media = ready(&mut source.packager, "video", &query).unwrap();
    assert!(media.ended && media.hints.is_empty());
    assert_eq!(source.packager.next_timeout(), None);
    look(&mut source.packager, &mut rules);
}

#[test]
fn another_format_comes_behind_a_discontinuity_with_a_header_of_its_own() {
    let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
    play(&mut source, &mut rules, 10.0);
    source.packager.handle_format(source::VIDEO, h264(640));
    source.begin_group();
    play(&mut source, &mut rules, 10.0);
    let media = rules[0].last();
    let changed: Vec<_> = media
        .segments
        .iter()
        .filter(|one| one.discontinuity)
        .collect();
    assert_eq!(changed.len(), 1, "{}", media.text);
    assert_ne!(changed[0].map, media.segments[0].map);
    assert!(changed[0].parts[0].independent);
    // Sound goes on as it was, but players find by the count of discontinuities what belongs together.
    let sound = rules[1].last();
    let parted: Vec<_> = sound
        .segments
        .iter()
        .filter(|one| one.discontinuity)
        .collect();
    assert_eq!(parted.len(), 1, "{}", sound.text);
    assert_eq!(parted[0].number, changed[0].number);
    assert_eq!(parted[0].map, sound.segments[0].map);
    // Long after, the count tells of it.
    play(&mut source, &mut rules, 150.0);
    assert_eq!(rules[0].last().discontinuity_sequence, 1);
    assert_eq!(rules[1].last().discontinuity_sequence, 1);
}

#[test]
fn what_left_the_list_can_still_be_fetched_for_a_window() {
    let mut source = both();
    source.play(20.0, |_| {});
    let first = ready(&mut source.packager, "video", "").unwrap().segments[0]
        .uri
        .clone();
    source.play(200.0, |_| {});
    assert!(
        !ready(&mut source.packager, "video", "")
            .unwrap()
            .text
            .contains(&format!("\n{first}\n"))
    );
    assert!(fetch(&source.packager, "video", &first).is_some());
    source.play(100.0, |_| {});
    assert_eq!(source.packager.media("video", &first), MediaAnswer::Unknown);
}

#[test]
fn sound_alone_is_a_stream() {
    let mut source = Source::new(config(), vec![sound()]);
    let mut rules = Rules::default();
    source.play(60.0, |packager| rules.look(packager, "audio"));
    assert!(rules.checked > 100);
    let master = source.packager.master().unwrap();
    let text = std::str::from_utf8(&master.text).unwrap();
    assert!(text.contains("CODECS=\"opus\"\naudio/index.m3u8"), "{text}");
}

#[test]
fn the_master_says_what_a_player_must_know() {
    let mut source = both();
    assert!(source.packager.master().is_none());
    source.play(60.0, |_| {});
    let master = source.packager.master().unwrap();
    let text = std::str::from_utf8(&master.text).unwrap();
    assert!(
        text.contains("RESOLUTION=1280x720,FRAME-RATE=30.000,AUDIO=\"audio\"\nvideo/index.m3u8"),
        "{text}"
    );
    assert!(text.contains("CODECS=\"avc1.4d401f,opus\""), "{text}");
    let bandwidth: f64 = text
        .split("STREAM-INF:BANDWIDTH=")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    // Per four seconds: two keyframes, 118 others, 200 frames of sound, and what the boxes add.
    let peak = 8.0 * (2.0 * 20_000.0 + 118.0 * 4_000.0 + 200.0 * 160.0) / 4.0;
    assert!(
        (peak..2.0 * peak).contains(&bandwidth),
        "{bandwidth} for {peak}"
    );
}

#[test]
fn all_who_ask_get_the_same_bytes_and_gzip_of_them() {
    use std::io::Read as _;
    let mut source = both();
    source.play(10.0, |_| {});
    let ask = |packager: &mut Packager| packager.playlist("video", Directives::default());
    let (PlaylistAnswer::Ready(one), PlaylistAnswer::Ready(two)) =
        (ask(&mut source.packager), ask(&mut source.packager))
    else {
        panic!("ready")
    };
    assert!(std::sync::Arc::ptr_eq(&one, &two));
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&one.gzip()[..])
        .read_to_end(&mut text)
        .unwrap();
    assert_eq!(text, one.text);
}

#[test]
fn names_that_are_none_of_ours_are_unknown() {
    let mut source = both();
    source.play(10.0, |_| {});
    for file in [
        "",
        "x",
        "r1",
        "r1-",
        "r1-s.m4s",
        "r1-s-1.m4s",
        "r1-q1.m4s",
        "r2-s1.m4s",
        "r1-s1.mp4",
        "r1-i9.mp4",
        "r1-p999999.m4s",
        "r1-s99999999999999999999.m4s",
    ] {
        assert_eq!(
            source.packager.media("video", file),
            MediaAnswer::Unknown,
            "{file}"
        );
    }
    assert_eq!(
        source.packager.media("other", &format!("{RUN}-s1.m4s")),
        MediaAnswer::Unknown
    );
    assert_eq!(
        source.packager.playlist("other", Directives::default()),
        PlaylistAnswer::Unknown
    );
}

#[test]
fn a_clock_that_jumps_for_hours_is_a_discontinuity_and_not_ten_thousand_gaps() {
    let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
    play(&mut source, &mut rules, 20.0);
    source.jump(3 * 3600);
    source.begin_group();
    play(&mut source, &mut rules, 20.0);
    for rules in &rules {
        let media = rules.last();
        let jumped: Vec<_> = media
            .segments
            .iter()
            .filter(|one| one.discontinuity)
            .collect();
        assert_eq!(jumped.len(), 1, "{}", media.text);
        assert!(!media.segments.iter().any(|one| one.gap), "{}", media.text);
        assert!(media.segments.len() < 20, "{}", media.text);
    }
    assert_eq!(
        rules[0].last().segments.last().map(|one| one.number),
        rules[1].last().segments.last().map(|one| one.number)
    );
}

#[test]
fn headers_that_nothing_needs_any_more_are_forgotten() {
    let mut source = both();
    source.play(10.0, |_| {});
    for round in 0..40 {
        source
            .packager
            .handle_format(source::VIDEO, h264(640 + 16 * (round % 2)));
        source.begin_group();
        source.play(12.0, |_| {});
    }
    let media = ready(&mut source.packager, "video", "").unwrap();
    assert!(fetch(&source.packager, "video", &media.segments[0].map).is_some());
    assert_eq!(
        source.packager.media("video", "r1-i0.mp4"),
        MediaAnswer::Unknown
    );
}

#[test]
fn what_has_no_place_is_counted() {
    let mut source = both();
    source.play(10.0, |_| {});
    let unit = |dts| roomtone_frames::AccessUnit {
        dts,
        pts: dts,
        keyframe: true,
        data: vec![0].into(),
    };
    let now = source.now;
    source.packager.handle_unit(7, unit(0), now).unwrap();
    source.packager.handle_unit(0, unit(i64::MAX), now).unwrap();
    source.packager.handle_unit(0, unit(-1), now).unwrap();
    source.packager.handle_format(7, h264(640));
    assert_eq!(source.packager.refused, 4);
    source.packager.handle_unit(0, unit(0), now).unwrap();
    assert_eq!((source.packager.refused, source.packager.late()), (4, 1));
}
