//! One source in two sizes: they are cut at the same pictures.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use roomtone_frames::{AccessUnit, Format, H264Format};
use roomtone_hls::{Directives, Packager, PackagerConfig, PlaylistAnswer, Track};

fn track(name: &str, width: u32) -> Track {
    let format = H264Format {
        sps: Bytes::from_static(&[0x67, 0x4d, 0x40, 0x1f, 0xd9]),
        pps: vec![Bytes::from_static(&[0x68, 0xeb])],
        width,
        height: width * 9 / 16,
        chroma_format: 1,
        luma_bits: 8,
        chroma_bits: 8,
    };
    Track {
        name: name.to_owned(),
        format: Format::H264(format),
    }
}

/// Pictures of two renditions: those of the first are decoded two before they are shown, those of the second when they
/// are shown, and later by as much.
fn play_two(
    packager: &mut Packager,
    now: Instant,
    pictures: std::ops::Range<i64>,
    lost: std::ops::Range<i64>,
) {
    const TICKS: i64 = 3_600;
    for number in pictures {
        let now = now + Duration::from_millis(number as u64 * 40);
        let unit = |dts| AccessUnit {
            dts,
            pts: (number + 2) * TICKS,
            keyframe: number % 50 == 0,
            data: Bytes::from(vec![0; 100]),
        };
        packager.handle_unit(0, unit(number * TICKS), now).unwrap();
        if !lost.contains(&number) {
            packager
                .handle_unit(1, unit((number + 2) * TICKS), now)
                .unwrap();
        }
        packager.handle_timeout(now).unwrap();
    }
}

fn two_sizes() -> (Packager, Instant) {
    let config = PackagerConfig {
        run: "r1".to_owned(),
        part_us: None,
        window_us: 120_000_000,
        zero_us: 1_767_225_600_000_000,
    };
    let mut packager = Packager::new(config, vec![track("video", 1280), track("small", 640)]);
    packager.be_patient_with(1);
    #[allow(clippy::disallowed_methods, reason = "some moment to count from")]
    let begun = Instant::now();
    (packager, begun)
}

fn text(packager: &mut Packager, name: &str) -> String {
    match packager.playlist(name, Directives::default()) {
        PlaylistAnswer::Ready(list) => String::from_utf8(list.text.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn pictures_without_reordering_are_cut_at_the_same_ones_as_those_with() {
    let (mut packager, begun) = two_sizes();
    play_two(&mut packager, begun, 0..500, 0..0);
    let lists = ["video", "small"].map(|name| text(&mut packager, name));
    let lengths = lists.each_ref().map(|list| {
        let lengths = list.lines().filter(|line| line.starts_with("#EXTINF"));
        lengths.take(4).collect::<Vec<_>>()
    });
    assert_eq!(lengths[0].len(), 4, "{}", lists[0]);
    assert_eq!(lengths[0], lengths[1]);
    for list in &lists {
        let firsts = list
            .lines()
            .skip_while(|line| !line.starts_with("#EXT-X-PROGRAM"));
        let firsts = firsts
            .filter(|line| line.starts_with("#EXT-X-PART:"))
            .step_by(13);
        assert!(
            firsts.take(1).all(|part| part.contains("INDEPENDENT=YES")),
            "{list}"
        );
    }
}

#[test]
fn a_rendition_that_was_broken_off_goes_on_at_a_keyframe_and_all_have_a_discontinuity() {
    let (mut packager, begun) = two_sizes();
    play_two(&mut packager, begun, 0..220, 0..0);
    play_two(&mut packager, begun, 220..300, 220..300);
    assert!(text(&mut packager, "small").contains("GAP=YES"));
    assert!(!text(&mut packager, "video").contains("GAP=YES"));
    packager.handle_discontinuity(1);
    play_two(&mut packager, begun, 300..700, 0..0);
    let lists = ["video", "small"].map(|name| text(&mut packager, name));
    for list in &lists {
        let discontinuities = list.lines().filter(|line| *line == "#EXT-X-DISCONTINUITY");
        assert_eq!(discontinuities.count(), 1, "{list}");
    }
}
