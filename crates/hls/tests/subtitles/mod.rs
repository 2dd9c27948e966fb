//! Lines of text beside pictures and sound, as players find them.

use roomtone_hls::{
    EncryptionConfig, EncryptionMethod, MediaAnswer, Packager, PackagerConfig, TextCue, TextRefused,
};

use super::both;
use super::reader::{Media, Rules, clear, length, ready};
use super::source::{RUN, Source, config, sound, video};

const SECOND: i64 = 1_000_000;

fn say(source: &mut Source, at_s: f64, end_s: Option<f64>, text: &str) {
    say_in(source, None, at_s, end_s, text).unwrap();
}

fn say_in(
    source: &mut Source,
    language: Option<&str>,
    at_s: f64,
    end_s: Option<f64>,
    text: &str,
) -> Result<(), TextRefused> {
    let us = |s: f64| (s * SECOND as f64) as i64;
    source.packager.handle_text(TextCue {
        language: language.map(str::to_owned),
        start_us: us(at_s),
        end_us: end_s.map(us),
        text: text.to_owned(),
    })
}

fn master(packager: &mut Packager) -> String {
    let text = packager.master().unwrap().text.clone();
    String::from_utf8(text.to_vec()).unwrap()
}

/// Cues of what is listed under a name.
fn cues(packager: &Packager, segment: &super::reader::Segment, uri: &str) -> Vec<String> {
    let document = clear(packager, "text1", segment, uri);
    let document = String::from_utf8(document).unwrap();
    let cues = document.trim_end().split("\n\n").skip(1);
    cues.map(str::to_owned).collect()
}

/// Cues of all whole segments, one after the other.
fn in_segments(packager: &Packager, media: &Media) -> Vec<String> {
    let whole = media.segments.iter().filter(|one| !one.uri.is_empty());
    whole
        .flat_map(|one| cues(packager, one, &one.uri))
        .collect()
}

#[test]
fn text_is_listed_beside_pictures_part_by_part_and_keeps_every_rule() {
    let (mut source, mut rules) = (both(), <[Rules; 3]>::default());
    let look = |packager: &mut Packager, rules: &mut [Rules; 3]| {
        rules[0].look(packager, "video");
        rules[1].look(packager, "audio");
        if packager.track("text1").is_some() {
            rules[2].look(packager, "text1");
        }
    };
    say(&mut source, 1.0, None, "before the first list");
    for at in 0..60 {
        source.play(3.0, |packager| look(packager, &mut rules));
        say(
            &mut source,
            f64::from(3 * at) + 3.1,
            None,
            &format!("line {at}"),
        );
    }
    assert!(rules[2].checked > 500);
    let (pictures, text) = (rules[0].last(), rules[2].last());
    assert_eq!(
        (text.target, text.part_target),
        (pictures.target, pictures.part_target)
    );
    // Numbers, times and lengths are those of the pictures, which are told less exactly.
    let shape = |media: &Media| -> Vec<(u64, String, usize, i64)> {
        let segments = media.segments.iter();
        let shape = segments.map(|one| {
            (
                one.number,
                one.date_time.clone(),
                one.parts.len(),
                (length(one) * 1e3).round() as i64,
            )
        });
        shape.collect()
    };
    assert_eq!(shape(text), shape(pictures));
    assert!(text.first > 10);
    let reports: Vec<&str> = text.reports.iter().map(|one| &one.0[..]).collect();
    assert_eq!(reports, ["../video/index.m3u8", "../audio/index.m3u8"]);
    assert_eq!(pictures.reports.len(), 2);
    assert!(
        pictures.text.contains("URI=\"../text1/index.m3u8\""),
        "{}",
        pictures.text
    );
    // All that was said while the window lasted is there, in its order.
    let told = in_segments(&source.packager, text);
    let heard: Vec<u32> = told
        .iter()
        .filter_map(|cue| cue.rsplit_once("line ")?.1.parse().ok())
        .collect();
    let (first, last) = (heard[0], heard[heard.len() - 1]);
    let mut each = heard.clone();
    each.dedup();
    assert!(last - first > 35, "{heard:?}");
    assert_eq!(each, (first..=last).collect::<Vec<_>>());
    assert_eq!(source.packager.text_figures().late, 0);
}

#[test]
fn what_was_said_before_the_first_list_is_in_its_first_segment() {
    let mut source = both();
    say(&mut source, 1.0, Some(2.5), "early");
    source.play(12.0, |_| {});
    let media = ready(&mut source.packager, "text1", "").unwrap();
    let first = &media.segments[0];
    let told = ["00:00:01.000 --> 00:00:02.500\nearly"];
    assert_eq!(cues(&source.packager, first, &first.uri), told);
}

#[test]
fn parts_tell_of_what_is_shown_while_they_last() {
    let mut source = both();
    source.play(10.0, |_| {});
    say(&mut source, 10.2, None, "a line of a part");
    source.play(1.2, |_| {});
    let media = ready(&mut source.packager, "text1", "").unwrap();
    let open = media.segments.last().unwrap();
    assert!(
        open.uri.is_empty() && open.parts.len() > 3,
        "{}",
        media.text
    );
    let told: Vec<Vec<String>> = open
        .parts
        .iter()
        .map(|part| cues(&source.packager, open, &part.uri))
        .collect();
    let spans: Vec<&str> = told.iter().flatten().map(|cue| &cue[..29]).collect();
    assert!(spans.len() > 2);
    assert!(spans[0].starts_with("00:00:10.200 --> "), "{spans:?}");
    for two in spans.windows(2) {
        assert_eq!(two[0][17..], two[1][..12], "{spans:?}");
    }
}

#[test]
fn languages_are_renditions_that_variants_are_played_with() {
    let mut source = both();
    source.play(8.0, |_| {});
    assert!(!master(&mut source.packager).contains("SUBTITLES"));
    say_in(&mut source, Some("de"), 8.1, None, "guten Tag").unwrap();
    say_in(&mut source, Some("pt-BR"), 8.1, None, "bom dia").unwrap();
    say_in(&mut source, Some("de"), 9.1, None, "noch einmal").unwrap();
    say_in(&mut source, Some("\"no tag\n"), 9.1, None, "of no language").unwrap();
    let text = master(&mut source.packager);
    for (name, said) in [("text1", "de"), ("text2", "pt-BR")] {
        let line = format!(
            "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"subtitles\",NAME=\"{said}\",LANGUAGE=\"{said}\",DEFAULT=NO,\
             AUTOSELECT=YES,FORCED=NO,URI=\"{name}/index.m3u8\"\n"
        );
        assert!(text.contains(&line), "{text}");
    }
    assert!(text.contains("NAME=\"text3\",DEFAULT=NO"), "{text}");
    let variants = text
        .lines()
        .filter(|line| line.starts_with("#EXT-X-STREAM-INF"));
    for variant in variants {
        assert!(variant.ends_with(",SUBTITLES=\"subtitles\""), "{variant}");
    }
    source.play(8.0, |_| {});
    let media = ready(&mut source.packager, "text2", "").unwrap();
    assert!(media.segments.len() > 1);
    for tag in ["aa", "bb", "cc", "dd", "ee"] {
        say_in(&mut source, Some(tag), 17.0, None, "a fourth to eighth").unwrap();
    }
    assert_eq!(source.packager.text_figures().dropped, 0);
    let ninth = say_in(&mut source, Some("ff"), 17.0, None, "a ninth");
    assert_eq!(ninth, Err(TextRefused::TooManyLanguages));
    assert_eq!(source.packager.text_figures().dropped, 1);
    assert_eq!(source.packager.text_figures().lines, 10);
}

#[test]
fn text_of_sound_alone_goes_along_with_it() {
    let mut source = Source::new(config(), vec![sound()]);
    source.play(6.0, |_| {});
    say(&mut source, 6.1, None, "radio");
    source.play(8.0, |_| {});
    let media = ready(&mut source.packager, "text1", "").unwrap();
    let told = in_segments(&source.packager, &media);
    assert!(told.iter().any(|cue| cue.ends_with("radio")), "{told:?}");
    assert!(master(&mut source.packager).contains("SUBTITLES=\"subtitles\""));
}

#[test]
fn text_goes_on_while_pictures_are_lost_and_over_a_leap_of_their_clock() {
    let (mut source, mut rules) = (both(), Rules::default());
    source.play(9.0, |_| {});
    say(&mut source, 9.1, None, "first");
    let look = |packager: &mut Packager, rules: &mut Rules| rules.look(packager, "text1");
    source.play(4.0, |packager| look(packager, &mut rules));
    source.freeze(3.0, |packager| look(packager, &mut rules));
    source.play(9.0, |packager| look(packager, &mut rules));
    source.jump(400);
    source.play(2.0, |packager| look(packager, &mut rules));
    say(&mut source, 427.2, None, "behind the leap");
    source.play(12.0, |packager| look(packager, &mut rules));
    let (pictures, text) = (
        ready(&mut source.packager, "video", "").unwrap(),
        rules.last(),
    );
    let breaks = |media: &Media| -> Vec<u64> {
        let all = media.segments.iter().filter(|one| one.discontinuity);
        all.map(|one| one.number).collect()
    };
    assert_eq!(breaks(text).len(), 1);
    let since = text.first;
    let of_pictures: Vec<u64> = breaks(&pictures)
        .into_iter()
        .filter(|one| *one >= since)
        .collect();
    assert_eq!(breaks(text), of_pictures);
    let told = in_segments(&source.packager, text);
    let mut behind = told.iter().filter(|cue| cue.ends_with("behind the leap"));
    assert!(
        behind.next().unwrap().starts_with("00:07:07.200"),
        "{told:?}"
    );
}

#[test]
fn text_is_encrypted_as_a_whole_and_clear_beside_encrypted_samples() {
    for method in [EncryptionMethod::Aes128, EncryptionMethod::SampleAes] {
        let (mut source, mut rules) = (both(), Rules::default());
        let encryption = EncryptionConfig {
            method,
            secret: [7; 32],
            segments_per_key: 2,
        };
        source.packager.encrypt(&encryption).unwrap();
        source.play(5.0, |_| {});
        say(&mut source, 5.1, Some(9.0), "secret");
        source.play(30.0, |packager| rules.look(packager, "text1"));
        let media = rules.last();
        let keyed = media.segments.iter().filter(|one| one.key.is_some());
        match method {
            EncryptionMethod::Aes128 => assert_eq!(keyed.count(), media.segments.len()),
            EncryptionMethod::SampleAes => assert_eq!(keyed.count(), 0, "{}", media.text),
        }
        let told = in_segments(&source.packager, media);
        assert!(told[0].ends_with("secret"), "{told:?}");
    }
}

#[test]
fn names_of_text_are_no_names_of_pictures() {
    let mut source = Source::new(config(), vec![video()]);
    source.play(8.0, |_| {});
    say(&mut source, 8.1, None, "here");
    source.play(8.0, |_| {});
    let newest = ready(&mut source.packager, "text1", "").unwrap();
    let number = newest.segments[0].number;
    let of = |track: &str, kind: &str| {
        let file = format!("{RUN}-s{number}.{kind}");
        source.packager.media(track, &file)
    };
    assert!(matches!(of("text1", "vtt"), MediaAnswer::Ready(_)));
    assert!(matches!(of("video", "m4s"), MediaAnswer::Ready(_)));
    assert_eq!(of("text1", "m4s"), MediaAnswer::Unknown);
    assert_eq!(of("video", "vtt"), MediaAnswer::Unknown);
    let hint = format!("{}.m4s", newest.hints[0].trim_end_matches(".vtt"));
    assert_eq!(source.packager.media("text1", &hint), MediaAnswer::Unknown);
    assert_eq!(
        source.packager.media("text1", &newest.hints[0]),
        MediaAnswer::Wait
    );
}

#[test]
fn what_the_lists_hold_counts_text_too() {
    let mut source = both();
    source.play(8.0, |_| {});
    say(&mut source, 8.1, None, "counted");
    source.play(20.0, |_| {});
    let held = source.packager.held();
    assert_eq!(
        held.iter().map(|one| &one.name[..]).collect::<Vec<_>>(),
        ["video", "audio", "text1"]
    );
    let bytes: u64 = held.iter().map(|one| one.bytes).sum();
    assert_eq!(bytes, source.packager.holding().memory);
    source.packager.end(source.now).unwrap();
    let text = ready(&mut source.packager, "text1", "").unwrap();
    assert!(text.ended);
}

#[test]
fn text_begins_anew_where_more_is_lost_at_once_than_a_short_list_keeps() {
    let short = PackagerConfig {
        window_us: 0,
        ..config()
    };
    let (mut source, mut rules) = (Source::new(short, vec![video(), sound()]), Rules::default());
    source.play(9.0, |_| {});
    say(&mut source, 9.1, None, "before");
    source.play(3.0, |packager| rules.look(packager, "text1"));
    // All of it is told by one unit.
    source.jump(58);
    source.play(20.0, |_| {});
    let newest = |source: &mut Source, name: &str| {
        let media = ready(&mut source.packager, name, "").unwrap();
        media.segments.last().unwrap().number
    };
    assert_eq!(newest(&mut source, "text1"), newest(&mut source, "video"));
    let mut rules = Rules::default();
    source.play(20.0, |packager| rules.look(packager, "text1"));
    assert!(rules.checked > 50);
}
