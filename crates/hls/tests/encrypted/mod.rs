//! What is encrypted is packaged by the same rules.

use bytes::Bytes;
use roomtone_frames::{Av1Colour, Av1Format, Format};
use roomtone_hls::{
    EncryptionConfig, EncryptionMethod, MediaAnswer, Packager, SECRET_BYTES, Track,
};

use super::reader::{Rules, fetch, ready};
use super::source::{self, RUN, Source, config, h264, sound};
use super::{both, play};

fn av1() -> Format {
    Format::Av1(Av1Format {
        sequence_header: Bytes::from_static(&[0x0a, 0x01, 0x00]),
        profile: 0,
        level: 5,
        high_tier: false,
        width: 1280,
        height: 720,
        bits: 8,
        colour: Av1Colour {
            monochrome: false,
            subsampling: (true, true),
            sample_position: 0,
            primaries: 2,
            transfer: 2,
            matrix: 2,
            full_range: false,
        },
        frame_rate: None,
    })
}

/// By whole segments.
fn encryption(segments_per_key: u64) -> EncryptionConfig {
    EncryptionConfig {
        method: EncryptionMethod::Aes128,
        secret: [3; SECRET_BYTES],
        segments_per_key,
    }
}

#[test]
fn keys_change_with_the_segments_and_old_ones_go_with_what_they_open() {
    for method in [EncryptionMethod::Aes128, EncryptionMethod::SampleAes] {
        let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
        let encryption = EncryptionConfig {
            method,
            ..encryption(3)
        };
        assert!(source.packager.encrypt(&encryption).unwrap());
        play(&mut source, &mut rules, 400.0);
        for (track, rules) in ["video", "audio"].into_iter().zip(&rules) {
            let media = rules.last();
            for segment in &media.segments {
                let key = format!("{RUN}-k{}.key", segment.number / 3);
                assert_eq!(segment.key.as_ref(), Some(&key), "{}", media.text);
            }
            let of = |number: u64| {
                source
                    .packager
                    .media(track, &format!("{RUN}-k{number}.key"))
            };
            let newest = media.segments.last().unwrap().number / 3;
            assert!(matches!(of(newest), MediaAnswer::Key(_)));
            assert_ne!(of(newest), of(newest - 1));
            assert_eq!(of(0), MediaAnswer::Unknown);
            assert_eq!(of(newest + 1), MediaAnswer::Unknown);
        }
    }
}

#[test]
fn what_is_encrypted_keeps_every_rule_and_each_part_is_decrypted_alone() {
    let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
    assert!(source.packager.encrypt(&encryption(0)).unwrap());
    play(&mut source, &mut rules, 60.0);
    assert!(
        !source.packager.encrypt(&encryption(0)).unwrap(),
        "too late"
    );
    source.packager.handle_format(source::VIDEO, h264(640));
    source.begin_group();
    play(&mut source, &mut rules, 20.0);
    for rules in &rules {
        let media = rules.last();
        let key = Some("r1-k0.key".to_owned());
        assert!(
            media.segments.iter().all(|one| one.key == key),
            "{}",
            media.text
        );
    }
    // The header is read without the key.
    let map = &rules[0].last().segments[0].map;
    let header = fetch(&source.packager, "video", map).unwrap();
    assert_eq!(header[4..8], *b"ftyp");
}

#[test]
fn the_last_keyframe_is_a_clear_file_of_one_picture() {
    let mut source = both();
    assert!(source.packager.encrypt(&encryption(0)).unwrap());
    assert_eq!(source.packager.keyframe().unwrap(), None);
    source.play(20.0, |_| {});
    let file = source.packager.keyframe().unwrap().unwrap();
    assert_eq!(file[4..8], *b"ftyp");
    assert_eq!(file.windows(4).filter(|four| four == b"moof").count(), 1);
    let held = source.packager.held();
    assert_eq!(held.len(), 2);
    assert!(
        held.iter()
            .all(|one| one.listed_ms > 15_000 && one.bytes > 0 && one.segments > 2)
    );
    let bytes: u64 = held.iter().map(|one| one.bytes).sum();
    assert_eq!(bytes, source.packager.holding().memory);
}

#[test]
fn what_is_not_encrypted_has_no_key() {
    let mut source = both();
    source.play(10.0, |_| {});
    let key = source.packager.media("video", "r1-k0.key");
    assert_eq!(key, MediaAnswer::Unknown);
}

#[test]
fn encryption_changes_with_a_segment_for_all_and_what_is_listed_stays() {
    let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
    let by_samples = EncryptionConfig {
        method: EncryptionMethod::SampleAes,
        ..encryption(0)
    };
    play(&mut source, &mut rules, 30.0);
    for wanted in [
        Some(encryption(2)),
        Some(by_samples),
        None,
        Some(encryption(1)),
    ] {
        source.packager.change_encryption(wanted.as_ref()).unwrap();
        play(&mut source, &mut rules, 22.0);
    }
    deltas_say_what_is_clear(&mut source.packager);
    let keys = |rules: &Rules| -> Vec<(u64, Option<String>)> {
        let segments = rules.last().segments.iter();
        segments.map(|one| (one.number, one.key.clone())).collect()
    };
    assert_eq!(keys(&rules[0]), keys(&rules[1]));
    let found = keys(&rules[0]);
    let of = |range: std::ops::Range<u64>| {
        let found = found.iter().filter(|(number, _)| range.contains(number));
        found.map(|(_, key)| key.as_deref()).collect::<Vec<_>>()
    };
    let key = |number: u64| format!("{RUN}-k{number}.key");
    let expected: Vec<String> = [0, 0, 1, 1, 2, 2].map(key).into();
    assert_eq!(of(0..8), [None; 8]);
    assert_eq!(
        of(8..13),
        expected[..5]
            .iter()
            .map(|key| Some(&key[..]))
            .collect::<Vec<_>>()
    );
    assert_eq!(of(13..19), [Some(&key(3)[..]); 6]);
    assert_eq!(of(19..24), [None; 5]);
    // No name is given twice: players keep keys by their names.
    assert_eq!(of(24..26), [Some(&key(4)[..]), Some(&key(5)[..])]);
    for rules in &rules {
        let media = rules.last();
        let breaks = media.segments.iter().filter(|one| one.discontinuity);
        let breaks: Vec<u64> = breaks.map(|one| one.number).collect();
        assert_eq!(breaks, [13, 19], "samples of another sort: {}", media.text);
    }
}

/// Who merges a delta behind segments that were encrypted must not take their key for what follows.
fn deltas_say_what_is_clear(packager: &mut Packager) {
    let whole = ready(packager, "video", "").unwrap();
    let delta = ready(packager, "video", "_HLS_skip=YES").unwrap();
    assert!(delta.skipped > 0);
    assert_eq!(delta.segments[0].key, None, "{}", delta.text);
    let behind = whole.segments.iter().skip(delta.skipped as usize);
    for (one, same) in delta.segments.iter().zip(behind) {
        assert_eq!((one.number, &one.key), (same.number, &same.key));
    }
    let before_map = delta.text.split("#EXT-X-MAP").next().unwrap();
    assert!(
        before_map.contains("#EXT-X-KEY:METHOD=NONE"),
        "{}",
        delta.text
    );
}

#[test]
fn a_change_that_a_track_cannot_have_changes_nothing() {
    let track = Track {
        name: "video".to_owned(),
        format: av1(),
    };
    let mut source = Source::new(config(), vec![track, sound()]);
    source.play(20.0, |_| {});
    let by_samples = EncryptionConfig {
        method: EncryptionMethod::SampleAes,
        ..encryption(0)
    };
    assert!(
        source
            .packager
            .change_encryption(Some(&by_samples))
            .is_err()
    );
    source.play(20.0, |_| {});
    for track in ["video", "audio"] {
        let media = ready(&mut source.packager, track, "").unwrap();
        assert!(media.segments.len() > 6);
        assert!(
            media.segments.iter().all(|one| one.key.is_none()),
            "{}",
            media.text
        );
    }
}

#[test]
fn what_is_changed_before_the_beginning_holds_from_the_first_segment() {
    let (mut source, mut rules) = (both(), <[Rules; 2]>::default());
    source
        .packager
        .change_encryption(Some(&encryption(0)))
        .unwrap();
    play(&mut source, &mut rules, 20.0);
    assert!(rules[0].last().segments.iter().all(|one| one.key.is_some()));
}
