//! A camera in AV1 L3T3, 1 Mbit/s, and a viewer whose line collapses from 2.5 to 0.3 Mbit/s, as in the test with
//! browsers: what is shown goes on with a keyframe of the lowest layer, before what was lost could be sent again.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod lines;

use std::time::Duration;

use lines::World;
use lines::closed_loop::line::{Change, Line};
use lines::viewer::Feedback;

const FALL_S: f64 = 12.0;
const END_S: f64 = 18.0;
const SEEDS: u64 = 10;

fn fallen(bps: u64, seed: u64) -> World {
    let script = vec![(Duration::from_secs_f64(FALL_S), Change::Rate(bps))];
    let mut world = World::layered(Line::default(), script, seed);
    world.watch(Feedback::TransportWide);
    world.run(FALL_S);
    let screen = world.viewers[0].screen.as_ref().unwrap();
    assert_eq!(screen.spatial, Some(2), "the best before the fall");
    world
}

#[test]
fn after_a_collapse_a_picture_is_shown_soon_and_keyframes_are_few() {
    let mut freezes = vec![];
    for seed in 1..=SEEDS {
        let mut world = fallen(300_000, seed);
        let before = world.publisher.keyframes;
        world.run(END_S);
        let viewer = &world.viewers[0];
        let screen = viewer.screen.as_ref().unwrap();
        let keyframes = world.publisher.keyframes - before;
        let freeze = viewer.record.longest_freeze(FALL_S - 1.0, END_S);
        freezes.push(freeze);
        assert!(freeze < 0.7, "seed {seed}: {freeze} s");
        let later = viewer.record.longest_freeze(FALL_S + 2.0, END_S);
        assert!(later < 0.2, "seed {seed}: {later} s");
        assert!((1..=2).contains(&keyframes), "seed {seed}: {keyframes}");
        assert_eq!(viewer.plis, 0, "seed {seed}: it need not ask");
        assert_eq!(screen.spatial, Some(0), "seed {seed}");
    }
    let mean = freezes.iter().sum::<f64>() / freezes.len() as f64;
    assert!(mean < 0.5, "{mean} s of {freezes:?}");
}

#[test]
fn where_a_lower_layer_is_wanted_on_a_wide_line_no_keyframe_is_asked_for() {
    let mut world = fallen(2_400_000, 1);
    let before = world.publisher.keyframes;
    let consumer = world.viewers[0].consumer;
    let now = world.now;
    world
        .router
        .set_preferred_layers(consumer, Some(0), None, now)
        .unwrap();
    world.run(END_S);
    let viewer = &world.viewers[0];
    assert_eq!(viewer.screen.as_ref().unwrap().spatial, Some(0));
    assert_eq!(world.publisher.keyframes, before);
    assert!(viewer.record.longest_freeze(FALL_S - 1.0, END_S) < 0.1);
}
