//! Programs of picture and sound in virtual time, with clocks that run as clocks do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use roomtone_frames::Timeline;
use roomtone_frames::timeline::{Discontinuity, Mended, Placed, Stamp, Stamps};

const HOUR_US: u64 = 3_600_000_000;
const LEAD_US: i64 = 10_000_000;

fn begun() -> Instant {
    #[allow(clippy::disallowed_methods, reason = "some moment to count from")]
    Instant::now()
}

/// As in RTP.
fn alone(rate: u32) -> Stamps {
    Stamps {
        source: 1,
        shared: false,
        rate,
        bits: 32,
    }
}

/// As in MPEG-TS.
fn shared() -> Stamps {
    Stamps {
        source: 1,
        shared: true,
        rate: 90_000,
        bits: 33,
    }
}

/// One track of a source in virtual time.
struct Voice {
    track: usize,
    stamps: Stamps,
    /// Ticks a second in which it leaves.
    rate: u32,
    /// Microseconds between units.
    every: u64,
    next: u64,
    /// How much faster its clock runs than ours.
    ppm: i64,
    /// Where its timestamps begin.
    start: u64,
    last: Option<Placed>,
    /// Where the newest unit was placed against the moment at which it was made, in microseconds.
    error: i64,
    discontinuities: Vec<Discontinuity>,
}

impl Voice {
    fn stamp(&self, at: u64) -> u64 {
        let source = at as i128 + at as i128 * i128::from(self.ppm) / 1_000_000;
        let ticks = source * i128::from(self.stamps.rate) / 1_000_000;
        self.start.wrapping_add(ticks as u64)
    }
}

struct Studio {
    begun: Instant,
    timeline: Timeline,
    voices: Vec<Voice>,
    noise: u64,
}

impl Studio {
    fn new(picture: Stamps, sound: Stamps, ppm: [i64; 2]) -> Self {
        let begun = begun();
        let mut timeline = Timeline::new(begun);
        let tracks = [
            (picture, 90_000, 40_000, u64::from(u32::MAX) - 200_000),
            (sound, 48_000, 20_000, 5_000_000),
        ];
        let voices = tracks
            .into_iter()
            .zip(ppm)
            .map(|((stamps, rate, every, start), ppm)| Voice {
                track: timeline.add_track(stamps, rate),
                stamps,
                rate,
                every,
                next: 0,
                ppm,
                start: if stamps.shared {
                    (1 << 33) - 900_000
                } else {
                    start
                },
                last: None,
                error: 0,
                discontinuities: Vec::new(),
            });
        Self {
            voices: voices.collect(),
            begun,
            timeline,
            noise: 88_172_645_463_325_252,
        }
    }

    /// Up to 30 ms on the way, most often a few.
    fn jitter(&mut self) -> u64 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        let share = self.noise % 1000;
        share * share * 30 / 1000
    }

    /// The next unit of either; when it was made.
    fn step(&mut self, reports: bool) -> u64 {
        let jitter = self.jitter();
        let voice = self
            .voices
            .iter_mut()
            .min_by_key(|voice| voice.next)
            .unwrap();
        let made = voice.next;
        voice.next += voice.every;
        if reports && made % 5_000_000 < voice.every {
            // A wall clock that is hours off ours, as it may be.
            let wall = made as i64 + 7_000_000_000;
            self.timeline
                .handle_report(voice.track, wall, voice.stamp(made));
        }
        let arrival = self.begun + Duration::from_micros(made + jitter);
        let stamp = Stamp::both(voice.stamp(made));
        let placed = self
            .timeline
            .handle_unit(voice.track, stamp, arrival)
            .unwrap();
        if let Some(last) = voice.last {
            assert!(placed.dts > last.dts, "{last:?} {placed:?}");
        }
        voice.discontinuities.extend(placed.discontinuity);
        voice.last = Some(placed);
        voice.error = placed.dts * 1_000_000 / i64::from(voice.rate) - LEAD_US - made as i64;
        made
    }

    /// So many microseconds pass in which nothing is made, and the clock of the source stands.
    fn stand_still(&mut self, us: u64) {
        for voice in &mut self.voices {
            let ticks = u64::from(voice.stamps.rate) * us / 1_000_000;
            voice.start = voice.start.wrapping_sub(ticks);
            voice.next += us;
        }
    }

    fn apart(&self) -> i64 {
        (self.voices[0].error - self.voices[1].error).abs()
    }
}

/// An hour with clocks of these errors: sound and picture stay together, and with the time of day, without a break.
fn an_hour(picture: Stamps, sound: Stamps, ppm: [i64; 2], reports: bool) {
    let mut studio = Studio::new(picture, sound, ppm);
    let (mut apart, mut off) = (0, 0);
    while studio.step(reports) < HOUR_US {
        if studio.voices.iter().all(|voice| voice.last.is_some()) {
            apart = apart.max(studio.apart());
            off = off.max(studio.voices[1].error.abs());
        }
    }
    assert!(apart < 40_000, "{apart} us apart");
    assert!(off < 60_000, "{off} us off");
    assert_eq!(studio.timeline.mended(), Mended::default());
}

#[test]
fn an_hour_of_a_fast_camera_with_reports_keeps_sound_and_picture_together() {
    an_hour(alone(90_000), alone(48_000), [100, 0], true);
    an_hour(alone(90_000), alone(48_000), [-100, 100], true);
}

#[test]
fn an_hour_of_a_fast_camera_without_reports_does_too() {
    an_hour(alone(90_000), alone(48_000), [100, 0], false);
    an_hour(alone(90_000), alone(48_000), [-100, 100], false);
}

#[test]
fn an_hour_of_one_fast_clock_does_too() {
    an_hour(shared(), shared(), [100, 100], false);
    an_hour(shared(), shared(), [-100, -100], false);
}

#[test]
fn the_drift_of_clocks_is_told() {
    for (stamps, ppm, reports) in [
        ([alone(90_000), alone(48_000)], [-100, 70], true),
        ([alone(90_000), alone(48_000)], [100, 0], false),
        ([shared(), shared()], [50, 50], false),
    ] {
        let mut studio = Studio::new(stamps[0], stamps[1], ppm);
        while studio.step(reports) < 15_000_000 {}
        assert_eq!(studio.timeline.alignment(0).unwrap().drift, None);
        while studio.step(reports) < 600_000_000 {}
        for (track, ppm) in ppm.into_iter().enumerate() {
            let alignment = studio.timeline.alignment(track).unwrap();
            let (told, over) = alignment.drift.unwrap();
            assert!((told - ppm as f64).abs() < 5.0, "{told} and not {ppm}");
            assert!(over > 500_000_000_000, "{over}");
            let error = alignment.error_ns.map(|error| error.abs() < 40_000_000);
            let is_known = reports || stamps[track].shared;
            assert_eq!(error, is_known.then_some(true), "{alignment:?}");
        }
    }
    assert_eq!(Timeline::new(begun()).alignment(0), None);
}

#[test]
fn sound_is_shifted_by_a_fiftieth_of_its_time_and_pictures_stay() {
    let mut studio = Studio::new(shared(), shared(), [0, 0]);
    while studio.step(false) < 5_000_000 {}
    let before = studio.voices[1].error - studio.voices[0].error;
    for (wanted, until) in [(200, 16_000_000), (-100, 32_000_000)] {
        studio.timeline.shift(1, wanted * 1_000_000);
        let mut last = studio.voices[1].last.unwrap().dts;
        while studio.step(false) < until {
            let dts = studio.voices[1].last.unwrap().dts;
            let step = (dts - last).abs();
            assert!(dts == last || (940..=980).contains(&step), "{step}");
            last = dts;
        }
        let moved = studio.voices[1].error - studio.voices[0].error - before;
        assert!((moved - wanted * 1000).abs() < 1_000, "{moved} us");
        assert_eq!(studio.timeline.alignment(0).unwrap().shift_ns, 0);
        let alignment = studio.timeline.alignment(1).unwrap();
        assert_eq!(alignment.shift_ns, wanted * 1_000_000);
        assert_eq!(alignment.error_ns, Some(0), "the shift is no error");
    }
    assert_eq!(studio.timeline.mended(), Mended::default());
}

#[test]
fn a_steady_source_keeps_its_steps_to_the_tick_over_the_wrap() {
    let mut timeline = Timeline::new(begun());
    let start = begun();
    let video = timeline.add_track(shared(), 90_000);
    let sound = timeline.add_track(shared(), 48_000);
    let first = (1_u64 << 33) - 30_000;
    for number in 0..100 {
        let arrival = start + Duration::from_millis(40 * number);
        let at = first + 3600 * number;
        let picture = timeline
            .handle_unit(video, Stamp::both(at), arrival)
            .unwrap();
        let frame = timeline
            .handle_unit(sound, Stamp::both(at), arrival)
            .unwrap();
        let zero = picture.dts - 3600 * number as i64;
        assert!((900_000..901_000).contains(&zero), "{zero}");
        assert_eq!(frame.dts, (zero * 8 + 7) / 15 + 1920 * number as i64);
        assert_eq!(picture.discontinuity, None);
    }
}

#[test]
fn a_source_that_begins_late_and_catches_up_keeps_its_steps() {
    let start = begun();
    let mut timeline = Timeline::new(start);
    let video = timeline.add_track(shared(), 90_000);
    let mut last = None;
    for number in 0..3_000_u64 {
        // The first second comes 600 ms late, as of an encoder that is slow to begin.
        let late = 600_u64.saturating_sub(number * 24);
        let arrival = start + Duration::from_millis(40 * number + late);
        let stamp = Stamp::both(3_600 * number);
        let placed = timeline.handle_unit(video, stamp, arrival).unwrap();
        if let Some(before) = last.replace(placed.dts) {
            let step = placed.dts - before;
            assert!((3_598..=3_602).contains(&step), "{number}: {step}");
        }
        assert_eq!(placed.discontinuity, None);
    }
}

#[test]
fn pictures_out_of_order_are_shown_when_they_say() {
    let start = begun();
    let mut timeline = Timeline::new(start);
    let video = timeline.add_track(shared(), 90_000);
    let wrap = 1_u64 << 33;
    for (number, shown) in [0_u64, 3, 1, 2].into_iter().enumerate() {
        let dts = wrap - 3000 + 3000 * number as u64;
        let stamp = Stamp {
            dts: dts % wrap,
            pts: (wrap + 3000 * shown) % wrap,
        };
        let placed = timeline.handle_unit(video, stamp, start).unwrap();
        assert_eq!(placed.dts, 900_000 + 3000 * number as i64);
        assert_eq!(placed.pts, 903_000 + 3000 * shown as i64);
    }
}

/// Play for so long, and leap: all timestamps of what comes behind are others, those of sound three frames later.
fn leap(by: u64) -> Studio {
    let mut studio = Studio::new(shared(), shared(), [0, 0]);
    while studio.step(false) < 20_000_000 {}
    studio.voices[0].start += by;
    for _ in 0..9 {
        studio.step(false);
    }
    studio.voices[1].start += by;
    while studio.step(false) < 40_000_000 {}
    studio
}

#[test]
fn a_leap_of_the_clock_is_one_discontinuity_of_each_track_and_keeps_them_together() {
    for by in [90_000 * 3600, (1 << 33) - 90_000 * 3600] {
        let studio = leap(by);
        for voice in &studio.voices {
            assert_eq!(voice.discontinuities, [Discontinuity::Jumped], "{by}");
            assert!(voice.error.abs() < 100_000, "{}", voice.error);
        }
        assert!(studio.apart() < 1_000, "{}", studio.apart());
        assert!(studio.timeline.mended().raised < 10);
    }
}

#[test]
fn another_encoder_goes_on_behind_the_first() {
    for (stamps, reports) in [(shared(), false), (alone(90_000), true)] {
        let mut studio = Studio::new(stamps, stamps, [0, 0]);
        while studio.step(reports) < 20_000_000 {}
        studio.timeline.restart(1);
        for voice in &mut studio.voices {
            voice.next += 7_000_000;
            voice.start = voice.start / 3 + 12_345;
        }
        while studio.step(reports) < 60_000_000 {}
        for voice in &studio.voices {
            assert_eq!(voice.discontinuities, [Discontinuity::Restarted]);
        }
        assert!(studio.apart() < 40_000, "{}", studio.apart());
        assert!(studio.voices[1].error.abs() < 60_000);
    }
}

/// What is left of a stream comes when its connection is found to be dead, seconds after all that came before.
#[test]
fn the_next_encoder_is_placed_when_it_comes_however_late_the_last_units_of_the_first_were() {
    for voices in [1, 2] {
        let mut studio = Studio::new(shared(), shared(), [0, 0]);
        studio.voices.truncate(voices);
        while studio.step(false) < 20_000_000 {}
        let last = &studio.voices[0];
        let stamp = Stamp::both(last.stamp(last.next));
        let arrival = studio.begun + Duration::from_micros(last.next + 4_500_000);
        let placed = studio.timeline.handle_unit(last.track, stamp, arrival);
        assert_eq!(placed.unwrap().discontinuity, None);
        studio.timeline.restart(1);
        for voice in &mut studio.voices {
            voice.next += 6_000_000;
            voice.start = 0;
        }
        while studio.step(false) < 40_000_000 {}
        for voice in &studio.voices {
            assert_eq!(voice.discontinuities, [Discontinuity::Restarted]);
            assert!(voice.error.abs() < 60_000, "{voices}: {}", voice.error);
        }
    }
}

/// What lies between the newest unit of a source and the first of another, in milliseconds, where the newest came so late
/// and the other comes with it.
fn hole_before_another(late_ms: u64, stamps: Stamps) -> i64 {
    let begun = begun();
    let mut timeline = Timeline::new(begun);
    let track = timeline.add_track(stamps, 90_000);
    let place = |timeline: &mut Timeline, ms: u64, at_ms: u64| {
        let stamp = Stamp {
            dts: ms * 90,
            pts: ms * 90,
        };
        let arrival = begun + Duration::from_millis(at_ms);
        timeline.handle_unit(track, stamp, arrival).unwrap().dts
    };
    for ms in (0..10_000).step_by(40) {
        place(&mut timeline, ms, ms + 20);
    }
    let now_ms = 10_000 + 20 + late_ms;
    let newest = place(&mut timeline, 10_000, now_ms);
    timeline.restart_track(track, Duration::from_millis(40), true);
    let first = place(&mut timeline, 900_000, now_ms);
    (first - newest) / 90
}

#[test]
fn another_source_goes_on_close_behind_one_that_was_late_for_a_moment() {
    for stamps in [alone(90_000), shared()] {
        for late_ms in [0, 40, 300, 480] {
            assert_eq!(hole_before_another(late_ms, stamps), 40, "{late_ms}");
        }
        // What is late by more says nothing of where the other lies.
        assert!((2_900..3_100).contains(&hole_before_another(3_000, stamps)));
    }
}

#[test]
fn what_is_said_to_be_one_clock_and_is_two_is_placed_later_each_by_itself() {
    let mut studio = Studio::new(shared(), shared(), [0, 0]);
    studio.voices[1].start = 77_000_000;
    while studio.step(false) < 20_000_000 {}
    studio.stand_still(60_000_000);
    while studio.step(false) < 100_000_000 {}
    for voice in &studio.voices {
        assert_eq!(voice.discontinuities, [Discontinuity::Late]);
        assert!(voice.error.abs() < 60_000, "{}", voice.error);
    }
}

#[test]
fn what_is_postponed_takes_along_what_is_tied_to_it_and_stays_there() {
    for (stamps, reports, tied) in [
        (shared(), false, true),
        (alone(90_000), true, true),
        (alone(90_000), false, false),
    ] {
        let mut studio = Studio::new(stamps, stamps, [0, 0]);
        while studio.step(reports) < 20_000_000 {}
        let track = studio.voices[0].track;
        studio.timeline.postpone(track, Duration::from_secs(1));
        while studio.step(reports) < 40_000_000 {}
        for (voice, moves) in studio.voices.iter().zip([true, tied]) {
            let wanted: &[_] = if moves { &[Discontinuity::Late] } else { &[] };
            assert_eq!(voice.discontinuities, wanted, "{stamps:?}");
            let error = voice.error - if moves { 1_000_000 } else { 0 };
            assert!(error.abs() < 60_000, "{stamps:?}: {error}");
        }
    }
}

#[test]
fn what_reports_say_is_later_is_postponed_to_where_they_say() {
    let mut studio = Studio::new(alone(90_000), alone(48_000), [0, 0]);
    while studio.step(true) < 20_000_000 {}
    studio.stand_still(1_500_000);
    while studio.step(true) < 27_000_000 {}
    let track = studio.voices[0].track;
    studio.timeline.postpone(track, Duration::from_secs(1));
    while studio.step(true) < 60_000_000 {}
    for voice in &studio.voices {
        assert_eq!(voice.discontinuities, [Discontinuity::Late]);
        assert!(voice.error.abs() < 60_000, "{}", voice.error);
    }
    assert!(studio.apart() < 40_000, "{}", studio.apart());
}

#[test]
fn a_source_that_stood_still_is_placed_later_at_once() {
    for stamps in [shared(), alone(90_000)] {
        let mut studio = Studio::new(stamps, stamps, [0, 0]);
        while studio.step(false) < 20_000_000 {}
        studio.stand_still(60_000_000);
        while studio.step(false) < 100_000_000 {}
        for voice in &studio.voices {
            assert_eq!(voice.discontinuities, [Discontinuity::Late]);
            assert!(voice.error.abs() < 60_000, "{}", voice.error);
        }
        assert!(studio.apart() < 40_000, "{}", studio.apart());
    }
}

#[test]
fn a_network_that_stood_still_and_delivers_all_at_once_is_no_discontinuity() {
    let start = begun();
    let mut timeline = Timeline::new(start);
    let video = timeline.add_track(shared(), 90_000);
    for number in 0..1000_u64 {
        let made = Duration::from_millis(40 * number);
        let stalled = (400..550).contains(&number);
        let arrival = if stalled {
            Duration::from_secs(22)
        } else {
            made
        };
        let placed = timeline
            .handle_unit(video, Stamp::both(3600 * number), start + arrival)
            .unwrap();
        assert_eq!(placed.discontinuity, None);
        assert_eq!(placed.dts, 900_000 + 3600 * number as i64);
    }
}

#[test]
fn a_report_that_contradicts_the_arrivals_is_refused_and_counted() {
    let mut studio = Studio::new(alone(90_000), alone(48_000), [0, 0]);
    while studio.step(true) < 12_000_000 {}
    let (track, at) = (studio.voices[0].track, studio.voices[0].stamp(12_000_000));
    studio.timeline.handle_report(track, 0, at);
    while studio.step(true) < 40_000_000 {}
    assert_eq!(studio.timeline.mended().refused_reports, 1);
    assert!(studio.apart() < 40_000);
    assert!(studio.voices[0].discontinuities.is_empty());
}

#[test]
fn a_track_that_there_is_not_has_no_place() {
    let mut timeline = Timeline::new(begun());
    assert_eq!(timeline.handle_unit(0, Stamp::both(0), begun()), None);
    timeline.handle_report(3, 0, 0);
}

#[derive(Debug, Clone)]
enum Event {
    Unit {
        track: usize,
        step: i64,
        shown: u64,
        ms: u64,
    },
    Report {
        track: usize,
        wall: i64,
        stamp: u64,
    },
    Restart,
    Postpone {
        track: usize,
        by: Duration,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let step = prop_oneof![6 => 0..6000_i64, 1 => -20_000..0_i64, 1 => any::<i64>()];
    let ms = prop_oneof![8 => 0..50_u64, 1 => 0..100_000_u64];
    prop_oneof![
        20 => (0..4_usize, step, 0..9000_u64, ms)
            .prop_map(|(track, step, shown, ms)| Event::Unit { track, step, shown, ms }),
        2 => (0..4_usize, any::<i64>(), any::<u64>())
            .prop_map(|(track, wall, stamp)| Event::Report { track, wall, stamp }),
        1 => Just(Event::Restart),
        1 => (0..4_usize, any::<u64>())
            .prop_map(|(track, ns)| Event::Postpone { track, by: Duration::from_nanos(ns) }),
    ]
}

proptest! {
    #[test]
    fn decode_times_rise_whatever_comes(events in prop::collection::vec(event(), 1..300)) {
        let start = begun();
        let mut timeline = Timeline::new(start);
        for (stamps, rate) in [(shared(), 90_000), (shared(), 48_000), (alone(90_000), 90_000), (alone(48_000), 48_000)] {
            timeline.add_track(stamps, rate);
        }
        let (mut stamps, mut last, mut now) = ([0_u64; 4], [i64::MIN; 4], start);
        for event in events {
            match event {
                Event::Unit { track, step, shown, ms } => {
                    now += Duration::from_millis(ms);
                    stamps[track] = stamps[track].wrapping_add_signed(step);
                    let dts = stamps[track];
                    let stamp = Stamp { dts, pts: dts.wrapping_add(shown) };
                    let placed = timeline.handle_unit(track, stamp, now).unwrap();
                    prop_assert!(placed.dts > last[track] && placed.dts >= 0);
                    last[track] = placed.dts;
                }
                Event::Report { track, wall, stamp } => timeline.handle_report(track, wall, stamp),
                Event::Restart => timeline.restart(1),
                Event::Postpone { track, by } => timeline.postpone(track, by),
            }
        }
    }
}
