//! Exact cases.

use super::models::{MODEL, Model, audio, kbps, run, simulcast, svc, words};
use super::{AllocationConfig, Budget, ConsumerLimits, Keep, Terms, allocate};

const SECOND: u64 = 1_000_000;

/// Its name, the tracks, the budget and what is given.
type Case = (&'static str, Vec<Model>, Budget, &'static str);

#[test]
fn what_each_line_carries() {
    let model = || simulcast(&MODEL);
    let fps = |most| ConsumerLimits {
        max_fps: Some(most),
        ..ConsumerLimits::default()
    };
    let rate = |kbps: u64| ConsumerLimits {
        max_bitrate: Some(kbps * 1_000),
        ..ConsumerLimits::default()
    };
    let unsized_model = || {
        let mut model = model();
        model.layers.iter_mut().for_each(|layer| layer.size = None);
        model.shown(100, 100)
    };
    let slow_screen = || {
        let mut model = simulcast(&[200, 800]);
        model
            .layers
            .iter_mut()
            .for_each(|layer| layer.fps = Some(5));
        model
    };
    let table: Vec<Case> = vec![
        ("nobody", vec![], kbps(1_000), ""),
        ("all of one track", vec![model()], kbps(2_500), "2"),
        (
            "no limit, no line too small",
            vec![model(), model()],
            Budget::Unlimited,
            "2 2",
        ),
        (
            "nothing known of the line",
            vec![model(), model()],
            Budget::Cheapest,
            "0 0",
        ),
        (
            "the top needs a tenth of headroom",
            vec![model()],
            kbps(1_888),
            "1",
        ),
        ("and is taken with it", vec![model()], kbps(1_889), "2"),
        (
            "what it had needs none",
            vec![model().was(2)],
            kbps(1_700),
            "2",
        ),
        (
            "a bit less and it steps down",
            vec![model().was(2)],
            kbps(1_699),
            "1",
        ),
        ("down by two at once", vec![model().was(2)], kbps(300), "0"),
        (
            "the cheapest needs no headroom",
            vec![model()],
            kbps(150),
            "0",
        ),
        ("less than the cheapest", vec![model()], kbps(149), "x"),
        (
            "paused, it comes back with headroom",
            vec![model().starved()],
            kbps(166),
            "x",
        ),
        ("that is here", vec![model().starved()], kbps(167), "0"),
        (
            "one size at a time",
            vec![model().starved()],
            kbps(2_500),
            "1",
        ),
        (
            "all the way up at once where there is plenty",
            vec![model().starved()],
            kbps(4_000),
            "2",
        ),
        ("audio first", vec![model(), audio(40)], kbps(189), "x 0"),
        (
            "audio and the cheapest",
            vec![model(), audio(40)],
            kbps(190),
            "0 0",
        ),
        (
            "audio beyond the line",
            vec![audio(40), audio(40), model()],
            kbps(50),
            "0 0 x",
        ),
        ("audio on no line", vec![audio(40)], kbps(0), "0"),
        (
            "cheapest for all before better for one",
            vec![model(), model()],
            kbps(600),
            "0 0",
        ),
        (
            "equals take turns",
            vec![model(), model()],
            kbps(1_200),
            "1 1",
        ),
        (
            "one of them first",
            vec![model(), model()],
            kbps(800),
            "1 0",
        ),
        (
            "who had it keeps it",
            vec![model(), model().was(1)],
            kbps(800),
            "0 1",
        ),
        (
            "equals do not swap",
            vec![model().was(1), model().was(2)],
            kbps(2_500),
            "1 2",
        ),
        (
            "but even out",
            vec![model().was(0), model().was(2)],
            kbps(2_000),
            "1 1",
        ),
        (
            "the higher priority to its top first",
            vec![model(), model().priority(1)],
            kbps(2_200),
            "0 2",
        ),
        (
            "what it leaves goes to the next",
            vec![model(), model().priority(1)],
            kbps(2_500),
            "1 2",
        ),
        (
            "the speaker before silent ones",
            vec![model(), model().speaks()],
            kbps(2_200),
            "0 2",
        ),
        (
            "priority before speech",
            vec![model().priority(1), model().speaks()],
            kbps(2_200),
            "2 0",
        ),
        (
            "the larger one first",
            vec![model().shown(640, 360), model().shown(1_280, 720)],
            kbps(2_200),
            "0 2",
        ),
        (
            "alike sizes take turns",
            vec![model().shown(1_280, 720), model().shown(1_270, 714)],
            kbps(1_200),
            "1 1",
        ),
        (
            "the lowest rank is paused first",
            vec![model(), model().priority(2), model().priority(1)],
            kbps(300),
            "x 0 0",
        ),
        (
            "the first of equals stays",
            vec![model(), model()],
            kbps(250),
            "0 x",
        ),
        (
            "of equals the one that was on",
            vec![model().starved(), model().was(0)],
            kbps(250),
            "x 0",
        ),
        (
            "a small one fits where a large one does not",
            vec![simulcast(&[400]).priority(1), model()],
            kbps(300),
            "x 0",
        ),
        (
            "and is not improved over it",
            vec![simulcast(&[900]).priority(1), model()],
            kbps(800),
            "x 0",
        ),
        (
            "a higher one is, over a paused one",
            vec![model().priority(1), simulcast(&[900])],
            kbps(1_000),
            "1 x",
        ),
        (
            "by command no higher",
            vec![model().spatial(1)],
            kbps(9_000),
            "1",
        ),
        (
            "nor when the lowest is too high",
            vec![model().spatial(0).absent(), model().spatial(0)],
            kbps(9_000),
            "- 0",
        ),
        (
            "a small window",
            vec![model().shown(320, 180)],
            kbps(9_000),
            "0",
        ),
        (
            "a window between two sizes is filled",
            vec![model().shown(400, 225)],
            kbps(9_000),
            "1",
        ),
        (
            "nearly filled will do",
            vec![model().shown(360, 200)],
            kbps(9_000),
            "0",
        ),
        (
            "a tall window is filled by its width",
            vec![model().shown(360, 640)],
            kbps(9_000),
            "0",
        ),
        (
            "no size known, no limit by it",
            vec![unsized_model()],
            kbps(9_000),
            "2",
        ),
        (
            "at most so many bits",
            vec![model().limit(rate(600))],
            kbps(9_000),
            "1",
        ),
        (
            "but the cheapest in any case",
            vec![model().limit(rate(10))],
            kbps(9_000),
            "0",
        ),
        (
            "paused by command takes nothing",
            vec![model().absent(), model()],
            kbps(1_900),
            "- 2",
        ),
        (
            "no layer yet",
            vec![Model::of(vec![]), model()],
            kbps(1_900),
            "- 2",
        ),
        (
            "a layer that costs more than a better one is none",
            vec![simulcast(&[150, 900, 700])],
            kbps(780),
            "2",
        ),
        (
            "a guess takes nothing away",
            vec![model().was(2), model()],
            Budget::AtLeast(100_000),
            "2 0",
        ),
        (
            "and lets up what fits it",
            vec![model().was(0)],
            Budget::AtLeast(700_000),
            "1",
        ),
        (
            "nothing known of the line, but it shall move",
            vec![svc(&[200, 600, 1_800])],
            Budget::Cheapest,
            "0.1",
        ),
        (
            "svc whole",
            vec![svc(&[200, 600, 1_800])],
            kbps(2_500),
            "2.2",
        ),
        (
            "svc at the least",
            vec![svc(&[200, 600, 1_800])],
            kbps(100),
            "0.0",
        ),
        (
            "svc below the top rate",
            vec![svc(&[200, 600, 1_800])],
            kbps(1_800),
            "2.1",
        ),
        (
            "few pictures of a larger size are no step",
            vec![svc(&[200, 600, 1_800])],
            kbps(1_050),
            "1.2",
        ),
        (
            "few pictures of the smallest are",
            vec![svc(&[200, 600, 1_800])],
            kbps(160),
            "0.0",
        ),
        (
            "temporal by command",
            vec![svc(&[200, 600, 1_800]).temporal(1)],
            kbps(9_000),
            "2.1",
        ),
        (
            "spatial by command",
            vec![svc(&[200, 600, 1_800]).spatial(1)],
            kbps(9_000),
            "1.2",
        ),
        (
            "pictures a second",
            vec![svc(&[200, 600, 1_800]).limit(fps(15))],
            kbps(9_000),
            "2.1",
        ),
        (
            "of rates between two the lower",
            vec![svc(&[200, 600, 1_800]).limit(fps(24))],
            kbps(9_000),
            "2.1",
        ),
        (
            "a slow screen may grow",
            vec![slow_screen()],
            kbps(9_000),
            "1",
        ),
        (
            "a rate limit spares one rate",
            vec![model().limit(fps(15))],
            kbps(9_000),
            "2",
        ),
        (
            "svc in a window",
            vec![svc(&[200, 600, 1_800]).shown(640, 360)],
            kbps(9_000),
            "1.2",
        ),
    ];
    for (name, models, budget, expected) in table {
        let given = run(&models, budget, SECOND);
        assert_eq!(words(&models, &given), expected, "{name}");
    }
}

/// Runs a line of budgets a second apart; gives what each led to.
fn follow(models: &mut [Model], budgets: &[u64]) -> Vec<String> {
    let mut given = vec![];
    for (second, budget) in budgets.iter().enumerate() {
        let allocation = run(models, kbps(*budget), second as u64 * SECOND);
        for (model, memory) in models.iter_mut().zip(&allocation.memories) {
            model.memory = *memory;
        }
        given.push(words(models, &allocation));
    }
    given
}

#[test]
fn down_at_once_and_up_after_the_cool_down() {
    let mut models = [simulcast(&MODEL)];
    let given = follow(&mut models, &[2_500, 600, 2_500, 2_500, 2_500]);
    assert_eq!(given, ["2", "1", "1", "2", "2"]);
}

#[test]
fn the_first_steps_up_do_not_wait() {
    let mut models = [simulcast(&MODEL)];
    let given = follow(&mut models, &[300, 700, 2_500]);
    assert_eq!(given, ["0", "1", "2"]);
}

#[test]
fn a_step_up_that_did_not_last_waits_longer_each_time() {
    let mut models = [simulcast(&MODEL)];
    // A line that always breaks down a second after the step up.
    let mut ups = vec![];
    let mut budget = 2_500;
    for second in 0..120 {
        let allocation = run(&models, kbps(budget), second * SECOND);
        models[0].memory = allocation.memories[0];
        let top = words(&models, &allocation) == "2";
        if top {
            ups.push(second);
        }
        budget = if top { 600 } else { 2_500 };
    }
    // Cool-downs of 2, 4, 8, 16, 32 and 32 s; the first step is the start, which is no relapse.
    assert_eq!(ups, [0, 3, 8, 17, 34, 67, 100]);
}

#[test]
fn what_is_below_the_step_that_did_not_last_waits_for_the_cool_down_alone() {
    let mut models = [simulcast(&MODEL)];
    // Up twice, and down at once: the best layer is held for four seconds.
    let given = follow(
        &mut models,
        &[
            2_500, 200, 200, 200, 2_500, 2_500, 200, 200, 2_500, 2_500, 2_500,
        ],
    );
    assert_eq!(given[4..7], ["1", "2", "0"], "it did not last");
    assert_eq!(given[7..], ["0", "1", "1", "2"]);
}

#[test]
fn pictures_grow_by_one_size_a_second() {
    let mut models = [simulcast(&MODEL)];
    models[0].memory = run(&models, kbps(200), 0).memories[0];
    for (half, expected) in ["1", "1", "2"].into_iter().enumerate() {
        let given = run(&models, kbps(2_500), (half as u64 + 2) * SECOND / 2);
        models[0].memory = given.memories[0];
        assert_eq!(words(&models, &given), expected);
    }
    let mut models = [simulcast(&MODEL)];
    models[0].memory = run(&models, kbps(100), 0).memories[0];
    assert_eq!(
        follow(&mut models, &[2_500, 2_500]),
        ["1", "2"],
        "after a pause too"
    );
}

#[test]
fn what_did_not_last_is_tried_at_once_where_there_is_plenty() {
    let mut models = [simulcast(&MODEL)];
    // Twice up and down at once, then a line of twice what the best layer needs.
    let given = follow(&mut models, &[2_500, 600, 600, 600, 2_500, 600, 600, 4_000]);
    assert_eq!(given[4..], ["2", "1", "1", "2"]);
}

#[test]
fn those_who_fell_together_do_not_rise_together() {
    let wake = |salt| {
        let mut model = simulcast(&MODEL);
        let mut last = None;
        for (second, budget) in [2_500, 600, 600, 600, 2_500, 600, 2_500, 2_500]
            .into_iter()
            .enumerate()
        {
            let terms = Terms {
                budget: kbps(budget),
                keep: Keep::Nobody,
                now_us: second as u64 * SECOND,
                is_contended: false,
                salt,
                is_led: false,
            };
            let given = allocate(&[model.track()], terms, &AllocationConfig::default());
            model.memory = given.memories[0];
            last = given.wake_us;
        }
        last.unwrap()
    };
    assert_eq!(wake(0), 9 * SECOND);
    let (one, other) = (wake(1), wake(2));
    assert_ne!(one, other);
    assert!((9 * SECOND..=11 * SECOND).contains(&one), "{one}");
    assert!((9 * SECOND..=11 * SECOND).contains(&other), "{other}");
}

#[test]
fn lifted_limits_are_no_relapse() {
    let mut models = [simulcast(&MODEL).spatial(0)];
    assert_eq!(follow(&mut models, &[4_000]), ["0"]);
    models[0].limits.spatial = None;
    assert_eq!(follow(&mut models, &[4_000]), ["2"]);
    models[0].limits.spatial = Some(1);
    assert_eq!(follow(&mut models, &[4_000]), ["1"]);
    models[0].limits.spatial = None;
    assert_eq!(follow(&mut models, &[4_000]), ["2"], "no cool-down");
}

#[test]
fn a_dropped_layer_steps_to_the_next_below() {
    let mut models = [simulcast(&MODEL)];
    assert_eq!(follow(&mut models, &[2_500]), ["2"]);
    let top = models[0].layers.pop().unwrap();
    assert_eq!(follow(&mut models, &[2_500]), ["1"]);
    models[0].layers.push(top);
    assert_eq!(follow(&mut models, &[2_500]), ["2"], "and back at once");
}

#[test]
fn the_first_can_be_kept_where_nothing_else_would_tell_of_a_better_line() {
    for (keep, expected) in [
        (Keep::Nobody, "x x"),
        (Keep::Cheapest, "x 0.0"),
        (Keep::Moving, "x 0.1"),
    ] {
        let track = || svc(&[200, 600, 1_800]);
        let models = [track(), track().priority(1)];
        let tracks: Vec<_> = models.iter().map(Model::track).collect();
        let terms = Terms {
            budget: kbps(10),
            keep,
            now_us: 0,
            is_contended: false,
            salt: 0,
            is_led: false,
        };
        let given = allocate(&tracks, terms, &AllocationConfig::default());
        assert_eq!(words(&models, &given), expected);
    }
}

#[test]
fn it_says_what_it_would_need_and_when() {
    let mut models = [simulcast(&MODEL), audio(40)];
    let given = run(&models, kbps(700), 0);
    assert_eq!((given.used_bps, given.wanted_bps), (540_000, 1_740_000));
    // 1,740 and a tenth of the whole.
    assert_eq!((given.next_bps, given.wake_us), (Some(1_933_334), None));
    models[0].memory = given.memories[0];
    let given = run(&models, kbps(300), SECOND);
    models[0].memory = given.memories[0];
    let given = run(&models, kbps(2_500), 2 * SECOND);
    assert_eq!(given.wake_us, Some(3 * SECOND), "the cool-down ends");
    let given = run(&models, kbps(2_500), 3 * SECOND);
    assert_eq!(
        (given.next_bps, given.wake_us),
        (Some(3_866_668), Some(4 * SECOND)),
        "one size a second, or twice the line"
    );
    models[0].memory = given.memories[0];
    let given = run(&models, kbps(2_500), 4 * SECOND);
    assert_eq!(
        (given.next_bps, given.wake_us),
        (None, None),
        "nothing is better"
    );
}
