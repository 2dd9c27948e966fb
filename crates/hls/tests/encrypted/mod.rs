//! What is encrypted is packaged by the same rules.

use roomtone_hls::{EncryptionConfig, EncryptionMethod, MediaAnswer, SECRET_BYTES};

use super::reader::{Rules, fetch};
use super::source::{self, RUN, h264};
use super::{both, play};

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
