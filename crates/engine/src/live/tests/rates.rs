//! Sound that comes at another rate than before: lists go on at the pace of the clock.

use bytes::Bytes;
use roomtone_frames::{AacFormat, AccessUnit, Format};

use super::super::coding::INGEST_RATE;
use super::super::track::NewTrack;
use super::source::TICK_MS;
use super::{Studio, discontinuities, segments};
use crate::values::PackagerWarning;

pub(super) const TRACK: u64 = 30;
const FRAME: u64 = 1024;

pub(super) fn track() -> NewTrack {
    NewTrack::whole(0, TRACK, false)
}

/// AAC-LC in stereo.
fn aac(sample_rate: u32) -> Format {
    let config: &[u8] = match sample_rate {
        48_000 => &[0x11, 0x90],
        _ => &[0x12, 0x10],
    };
    Format::Aac(AacFormat {
        config: Bytes::from_static(config),
        sample_rate,
        channels: 2,
    })
}

/// An encoder that sends frames of sound for so long, its timestamps from zero on.
pub(super) fn run(studio: &mut Studio, sample_rate: u32, ms: u64) {
    let mut news = Some(aac(sample_rate));
    let mut frames = 0;
    for past in (0..ms).step_by(TICK_MS as usize) {
        while frames * FRAME * 1_000 <= past * u64::from(sample_rate) {
            let at = frames * FRAME * u64::from(INGEST_RATE) / u64::from(sample_rate);
            let unit = AccessUnit {
                dts: at as i64,
                pts: at as i64,
                keyframe: true,
                data: Bytes::from_static(&[0x21, 1, 2, 3]),
            };
            let found = (unit, news.take(), studio.now());
            studio.program.handle_unit(TRACK, found);
            frames += 1;
        }
        studio.run(TICK_MS);
    }
}

/// An encoder that hands over so much at once, over and over.
fn burst(studio: &mut Studio, times: u64, each_ms: u64) {
    let mut news = Some(aac(48_000));
    let mut frames = 0;
    for time in 1..=times {
        studio.run(each_ms);
        while frames * FRAME * 1_000 < time * each_ms * 48_000 {
            let at = (frames * FRAME * u64::from(INGEST_RATE) / 48_000) as i64;
            let unit = AccessUnit {
                dts: at,
                pts: at,
                keyframe: true,
                data: Bytes::from_static(&[0x21, 1, 2, 3]),
            };
            let found = (unit, news.take(), studio.now());
            studio.program.handle_unit(TRACK, found);
            frames += 1;
        }
    }
}

#[test]
fn an_encoder_that_hands_over_seconds_at_a_time_is_waited_for_before_long() {
    for each_ms in [1_500, 2_500] {
        let mut studio = Studio::new();
        let now = studio.begun;
        studio.program.add_track(track(), now);
        burst(&mut studio, 24, each_ms);
        let list = studio.list("audio");
        assert!(studio.warnings().contains(&PackagerWarning::UnitsLate));
        // What came late at first is no more in the list, and nothing has since.
        let whole: f64 = segments(&list).iter().sum();
        assert!(whole > 20.0, "{whole}: {list}");
        assert!(!list.contains("GAP"), "{list}");
    }
}

#[test]
fn an_encoder_with_another_rate_goes_on_where_the_one_before_ended() {
    for rates in [[48_000, 44_100], [44_100, 48_000]] {
        let mut studio = Studio::new();
        let now = studio.begun;
        studio.program.add_track(track(), now);
        run(&mut studio, rates[0], 12_000);
        studio.program.remove_track(TRACK);
        let now = studio.now();
        studio.program.add_track(track(), now);
        run(&mut studio, rates[1], 12_000);
        let list = studio.list("audio");
        assert_eq!(discontinuities(&list), 1, "{rates:?} {list}");
        // Some milliseconds may be missing between the two.
        assert!(list.matches("GAP=YES").count() <= 1, "{rates:?} {list}");
        assert_eq!(list.matches("#EXT-X-MAP").count(), 2, "{list}");
        let listed: f64 = segments(&list).iter().sum();
        assert!((18.0..24.0).contains(&listed), "{listed}: {list}");
        // The first may come before the last of the other encoder has been played.
        let channel = studio.program.channel.as_ref().unwrap();
        assert!(channel.with(|packager| packager.late()) <= 1, "{rates:?}");
    }
}
