//! Windows that are longer than memory: what leaves it, where it is found, and what is dropped before its time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "other tests use more of it")]
mod reader;
#[allow(dead_code, reason = "other tests use more of it")]
mod source;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use flate2::read::GzDecoder;
use reader::{Rules, length, ready};
use roomtone_hls::{
    Cue, DateRange, Directives, Discard, EncryptionConfig, EncryptionMethod, MediaAnswer, Packager,
    PackagerConfig, PlaylistAnswer, Stored,
};
use source::{RUN, Source, config, sound, video};

const MINUTE_US: u64 = 60_000_000;

/// What others have in files.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>);

impl Disk {
    fn discard(&self) -> Discard {
        let disk = self.clone();
        Arc::new(move |path: &Path, bytes| {
            let removed = disk.0.lock().unwrap().remove(path);
            assert_eq!(removed.map(|file| file.len() as u64), Some(bytes));
        })
    }

    /// Take all that leaves memory.
    fn serve(&self, packager: &mut Packager, keep_us: u64) {
        while let Some(leaving) = packager.next_leaving(keep_us) {
            let path = PathBuf::from(format!("{}/{}", leaving.track, leaving.name));
            let bytes = leaving.bodies.concat();
            assert_eq!(bytes.len() as u64, leaving.bytes);
            // It is in memory until it is somewhere else.
            let name = ["video", "audio"][leaving.track];
            assert_eq!(
                packager.media(name, &leaving.name),
                MediaAnswer::Ready(leaving.bodies)
            );
            assert!(self.0.lock().unwrap().insert(path.clone(), bytes).is_none());
            let stored = Stored::new(path, leaving.bytes, self.discard());
            packager.handle_left(leaving.track, leaving.segment, Some(stored));
        }
    }

    fn bytes(&self) -> u64 {
        self.0
            .lock()
            .unwrap()
            .values()
            .map(|file| file.len() as u64)
            .sum()
    }
}

/// Ten minutes, of which little is in memory.
fn ten_minutes() -> Source {
    let config = PackagerConfig {
        window_us: 10 * MINUTE_US,
        ..config()
    };
    Source::new(config, vec![video(), sound()])
}

/// Play, and hold the lists of each second against the rules.
fn play(source: &mut Source, disk: &Disk, rules: &mut [Rules; 2], seconds: u32) {
    for _ in 0..seconds {
        source.play(1.0, |packager| disk.serve(packager, MINUTE_US));
        rules[0].look(&mut source.packager, "video");
        rules[1].look(&mut source.packager, "audio");
    }
}

fn is_compressed_to_the_byte(packager: &mut Packager) {
    for skip in [true, false] {
        let directives = Directives { wanted: None, skip };
        let PlaylistAnswer::Ready(list) = packager.playlist("video", directives) else {
            panic!("no list");
        };
        let mut read = Vec::new();
        GzDecoder::new(&list.gzip()[..])
            .read_to_end(&mut read)
            .unwrap();
        assert_eq!(read, list.text);
    }
}

#[test]
fn what_has_left_memory_is_listed_and_found_byte_for_byte() {
    let mut source = ten_minutes();
    let (disk, mut rules) = (Disk::default(), <[Rules; 2]>::default());
    // Written down while it is in memory.
    let mut first = BTreeMap::new();
    play(&mut source, &disk, &mut rules, 50);
    for segment in &rules[0].last().segments[..10] {
        let MediaAnswer::Ready(bodies) = source.packager.media("video", &segment.uri) else {
            panic!("{} is not in memory", segment.uri);
        };
        first.insert(segment.uri.clone(), bodies.concat());
    }
    play(&mut source, &disk, &mut rules, 650);
    let held = source.packager.holding();
    assert_eq!((held.stored, held.leaving), (disk.bytes(), 0));
    // A minute of both, and the segment that is just being made.
    assert!(
        held.memory < 66 * (30 * 4_000 + 8_000 + 50 * 160 + 20_000),
        "{held:?}"
    );
    let media = rules[0].last();
    is_compressed_to_the_byte(&mut source.packager);
    let listed: f64 = media.segments.iter().map(length).sum();
    assert!((600.0..610.0).contains(&listed), "{listed}");
    let mut found = 0;
    for segment in media.segments.iter().filter(|one| !one.uri.is_empty()) {
        match source.packager.media("video", &segment.uri) {
            MediaAnswer::Stored(stored) => {
                let file = disk.0.lock().unwrap()[stored.path()].clone();
                assert_eq!(file[4..8], *b"moof");
                found += 1;
            }
            MediaAnswer::Ready(_) => {}
            other => panic!("{}: {other:?}", segment.uri),
        }
    }
    assert!(found > 120, "{found}");
    // Those of the beginning are listed no more, but can be fetched for as long as who saw them listed may ask.
    for (uri, bytes) in &first {
        let MediaAnswer::Stored(stored) = source.packager.media("video", uri) else {
            panic!("{uri} is not stored");
        };
        assert_eq!(disk.0.lock().unwrap()[stored.path()], *bytes);
    }
    // Their parts are not: nobody has seen them listed for long.
    assert_eq!(
        source.packager.media("video", &format!("{RUN}-p0.m4s")),
        MediaAnswer::Unknown
    );
}

#[test]
fn files_go_with_their_segments_and_with_the_stream() {
    let mut source = ten_minutes();
    let (disk, mut rules) = (Disk::default(), <[Rules; 2]>::default());
    play(&mut source, &disk, &mut rules, 1_300);
    let files = disk.0.lock().unwrap().len();
    play(&mut source, &disk, &mut rules, 200);
    // As many come as go.
    assert!(disk.0.lock().unwrap().len().abs_diff(files) < 4);
    let oldest = format!("{RUN}-s0.m4s");
    assert_eq!(
        source.packager.media("video", &oldest),
        MediaAnswer::Unknown
    );
    // Who is just reading one has it to its end.
    let uri = rules[0].last().segments[0].uri.clone();
    let MediaAnswer::Stored(stored) = source.packager.media("video", &uri) else {
        panic!("{uri} is not stored");
    };
    drop(source);
    assert_eq!(disk.0.lock().unwrap().len(), 1);
    drop(stored);
    assert_eq!(disk.0.lock().unwrap().len(), 0);
}

#[test]
fn what_could_not_be_stored_stays_and_is_the_next_to_leave() {
    let mut source = ten_minutes();
    source.play(200.0, |_| {});
    let packager = &mut source.packager;
    let leaving = packager.next_leaving(MINUTE_US).unwrap();
    assert_eq!(packager.holding().leaving, leaving.bytes);
    packager.handle_left(leaving.track, leaving.segment, None);
    let holding = packager.holding();
    assert_eq!((holding.leaving, holding.stored), (0, 0));
    let again = packager.next_leaving(MINUTE_US).unwrap();
    assert_eq!(
        (again.track, again.segment),
        (leaving.track, leaving.segment)
    );
    let name = again.name.clone();
    assert_eq!(
        packager.media("video", &name),
        MediaAnswer::Ready(again.bodies)
    );
}

#[test]
fn segments_dropped_before_their_time_shorten_the_list_and_it_stays_legal() {
    let mut source = ten_minutes();
    let (disk, mut rules) = (Disk::default(), <[Rules; 2]>::default());
    play(&mut source, &disk, &mut rules, 300);
    let mut dropped = 0;
    for _ in 0..40 {
        assert!(source.packager.forget_oldest());
        dropped += 1;
        play(&mut source, &disk, &mut rules, 1);
    }
    assert_eq!(source.packager.forgotten, dropped);
    // Both lists begin at about the same time.
    let firsts = rules.each_ref().map(|one| one.last().segments[0].number);
    assert!(
        firsts[0].abs_diff(firsts[1]) <= 1 && firsts[0] >= 19,
        "{firsts:?}"
    );
    assert_eq!(source.packager.holding().stored, disk.bytes());
    while source.packager.forget_oldest() {}
    source.packager.forget_oldest();
    play(&mut source, &disk, &mut rules, 1);
    for rules in &rules {
        let listed: f64 = rules.last().segments.iter().map(length).sum();
        assert!((12.0..20.0).contains(&listed), "{listed}");
    }
    assert_eq!(disk.bytes(), 0);
    // What was being stored when it was dropped is thrown away.
    let mut source = ten_minutes();
    source.play(200.0, |_| {});
    let leaving = source.packager.next_leaving(MINUTE_US).unwrap();
    assert!(source.packager.forget_oldest());
    disk.0
        .lock()
        .unwrap()
        .insert("late".into(), leaving.bodies.concat());
    let late = Stored::new("late".into(), leaving.bytes, disk.discard());
    source
        .packager
        .handle_left(leaving.track, leaving.segment, Some(late));
    assert_eq!((disk.bytes(), source.packager.holding().stored), (0, 0));
}

#[test]
fn encrypted_segments_are_stored_as_they_are_sent() {
    for method in [EncryptionMethod::Aes128, EncryptionMethod::SampleAes] {
        let mut source = ten_minutes();
        let encryption = EncryptionConfig {
            method,
            secret: [7; 32],
            segments_per_key: 3,
        };
        assert!(source.packager.encrypt(&encryption).unwrap());
        let (disk, mut rules) = (Disk::default(), <[Rules; 2]>::default());
        // Each that leaves is compared with what was sent.
        play(&mut source, &disk, &mut rules, 700);
        assert!(disk.bytes() > 0);
        // Keys and headers of all that is listed are there.
        let media = ready(&mut source.packager, "video", "").unwrap();
        for segment in media.segments.iter().filter(|one| !one.uri.is_empty()) {
            let key = segment.key.as_ref().unwrap();
            assert!(matches!(
                source.packager.media("video", key),
                MediaAnswer::Key(_)
            ));
            let map = source.packager.media("video", &segment.map);
            assert!(matches!(map, MediaAnswer::Ready(_)), "{}", segment.map);
        }
    }
}

#[test]
fn deltas_of_long_lists_leave_out_all_that_may_be() {
    let mut source = ten_minutes();
    source.play(700.0, |_| {});
    let whole = ready(&mut source.packager, "video", "").unwrap();
    let delta = ready(&mut source.packager, "video", "_HLS_skip=YES").unwrap();
    assert_eq!(
        delta.skipped as usize + delta.segments.len(),
        whole.segments.len()
    );
    assert_eq!(whole.segments[delta.skipped as usize..], delta.segments[..]);
    let kept: f64 = delta.segments.iter().map(length).sum();
    assert!((24.0..30.0).contains(&kept), "{kept}");
    assert!(delta.text.len() < 8_000, "{}", delta.text.len());
}

#[test]
fn spans_of_time_are_told_of_in_all_lists_and_deltas_while_they_are_in_the_window() {
    let mut source = Source::new(config(), vec![video(), sound()]);
    let out = DateRange {
        id: "splice-7".to_owned(),
        start_us: 50_000_000,
        end_us: None,
        planned_us: Some(30_000_000),
        cue: Cue::Out,
        data: vec![0xfc, 0x30, 0x0a].into(),
    };
    source.play(40.0, |_| {});
    source.packager.handle_date_range(out.clone());
    let told = "#EXT-X-DATERANGE:ID=\"splice-7\",START-DATE=\"2026-01-01T00:00:50.000Z\",\
                PLANNED-DURATION=30.000,SCTE35-OUT=0xFC300A";
    for query in ["", "_HLS_skip=YES"] {
        for name in ["video", "audio"] {
            let media = ready(&mut source.packager, name, query).unwrap();
            assert_eq!(media.ranges, [told]);
        }
    }
    source.play(40.0, |_| {});
    source.packager.handle_date_range(DateRange {
        end_us: Some(80_500_000),
        planned_us: None,
        cue: Cue::In,
        ..out
    });
    let media = ready(&mut source.packager, "video", "").unwrap();
    let back = "#EXT-X-DATERANGE:ID=\"splice-7\",START-DATE=\"2026-01-01T00:00:50.000Z\",\
                END-DATE=\"2026-01-01T00:01:20.500Z\",SCTE35-IN=0xFC300A";
    assert_eq!(media.ranges, [told, back]);
    // A window and a bit later the list begins behind it.
    source.play(110.0, |_| {});
    assert_eq!(
        ready(&mut source.packager, "video", "")
            .unwrap()
            .ranges
            .len(),
        2
    );
    source.play(20.0, |_| {});
    assert_eq!(
        ready(&mut source.packager, "video", "").unwrap().ranges,
        [""; 0]
    );
}
