//! What holds for any tracks and any budget.

use proptest::collection::vec;
use proptest::prelude::*;

use super::models::{Model, run, simulcast};
use super::{Budget, Decision};

/// A video track of up to four encodings, by rising cost.
fn video() -> impl Strategy<Value = Model> {
    (vec(20_u64..1_500, 1..5), 0_u8..3, any::<bool>(), 0_u32..3).prop_map(
        |(mut steps, priority, speaker, size)| {
            for at in 1..steps.len() {
                steps[at] += steps[at - 1];
            }
            let mut model = simulcast(&steps);
            model.priority = priority;
            model.speaker = speaker;
            // Sizes that rank, and limit nothing.
            model.layers.iter_mut().for_each(|layer| layer.size = None);
            model.limits.shown.max_width = Some(320 << size);
            model
        },
    )
}

fn audio() -> impl Strategy<Value = Model> {
    (10_u64..100).prop_map(|rate| {
        let mut model = simulcast(&[rate]);
        model.audio = true;
        model
    })
}

fn tracks() -> impl Strategy<Value = Vec<Model>> {
    (vec(audio(), 0..3), vec(video(), 1..7)).prop_map(|(mut audio, video)| {
        audio.extend(video);
        audio
    })
}

/// The step each video track is on, counted from 1; 0: paused.
fn levels(models: &[Model], budget: u64) -> (Vec<usize>, u64) {
    let given = run(models, Budget::Bps(budget), 0);
    let level = |(model, memory): (&Model, &super::Memory)| match memory.decision {
        _ if model.audio => None,
        Decision::Layer(target) => Some(usize::from(target.encoding) + 1),
        _ => Some(0),
    };
    let levels = models.iter().zip(&given.memories).filter_map(level);
    (levels.collect(), given.used_bps)
}

/// What more of the budget buys comes in this order: who is fed, by rank; then the steps, by rank,
/// among equals step by step.
fn order(models: &[Model], levels: &[usize]) -> Vec<bool> {
    let video: Vec<_> = models.iter().filter(|model| !model.audio).collect();
    let mut ranked: Vec<_> = (0..video.len()).collect();
    ranked.sort_by_key(|at| (std::cmp::Reverse(video[*at].track().rank), *at));
    let mut order: Vec<bool> = ranked.iter().map(|at| levels[*at] > 0).collect();
    for equals in ranked.chunk_by(|a, b| video[*a].track().rank == video[*b].track().rank) {
        for level in 2..=4 {
            order.extend(equals.iter().map(|at| levels[*at] >= level));
        }
    }
    order
}

proptest! {
    #[test]
    fn never_over_budget_but_for_audio(models in tracks(), budget in 0_u64..8_000_000) {
        let audio: u64 = models.iter().filter(|m| m.audio).map(|m| m.layers[0].bps).sum();
        let (levels, used) = levels(&models, budget);
        prop_assert!(used <= budget.max(audio));
        if used > budget {
            prop_assert!(levels.iter().all(|level| *level == 0));
        }
    }

    #[test]
    fn more_budget_gives_more_in_the_order_of_rank(
        models in tracks(),
        budget in 0_u64..8_000_000,
        more in 0_u64..2_000_000,
    ) {
        let (less, _) = levels(&models, budget);
        let (more, _) = levels(&models, budget + more);
        prop_assert!(order(&models, &less) <= order(&models, &more), "{less:?} {more:?}");
    }

    #[test]
    fn one_track_alone_only_rises_with_the_budget(
        model in video(),
        budget in 0_u64..8_000_000,
        more in 0_u64..2_000_000,
    ) {
        let models = [model];
        prop_assert!(levels(&models, budget).0 <= levels(&models, budget + more).0);
    }

    #[test]
    fn nobody_is_improved_below_a_paused_track(models in tracks(), budget in 0_u64..8_000_000) {
        let (levels, _) = levels(&models, budget);
        let video: Vec<_> = models.iter().filter(|model| !model.audio).collect();
        for (paused, _) in levels.iter().enumerate().filter(|(_, level)| **level == 0) {
            for (other, level) in levels.iter().enumerate() {
                let below = video[other].track().rank < video[paused].track().rank;
                prop_assert!(!below || *level <= 1, "{levels:?}");
            }
        }
    }

    #[test]
    fn the_same_again_changes_nothing(
        mut models in tracks(),
        budgets in vec(0_u64..8_000_000, 1..6),
    ) {
        for (second, budget) in budgets.iter().enumerate() {
            let now_us = second as u64 * 1_000_000;
            let first = run(&models, Budget::Bps(*budget), now_us);
            for (model, memory) in models.iter_mut().zip(&first.memories) {
                model.memory = *memory;
            }
            // Nor does any budget from what is used up to what was said to be needed.
            let next = first.next_bps.map_or(u64::MAX, |next| next - 1);
            for other in [*budget, first.used_bps.max(1), next] {
                let again = run(&models, Budget::Bps(other.max(first.used_bps)), now_us);
                prop_assert_eq!(again.used_bps, first.used_bps);
                for (one, other) in first.memories.iter().zip(&again.memories) {
                    prop_assert_eq!(one.decision, other.decision);
                }
            }
        }
    }

    #[test]
    fn a_budget_that_swings_by_a_twentieth_changes_layers_at_most_once(
        model in video(),
        step in any::<prop::sample::Index>(),
        period in 1_usize..20,
        start in 0_u64..8_000_000,
    ) {
        let changes = swing(vec![model], step, period, start);
        prop_assert!(changes.len() <= 1, "{changes:?}");
    }

    #[test]
    fn many_tracks_come_to_rest_under_a_swinging_budget(
        models in tracks(),
        step in any::<prop::sample::Index>(),
        period in 1_usize..20,
        start in 0_u64..8_000_000,
    ) {
        // What one track has to give up may go to others, each of them once or twice.
        let most = models.len() * 2;
        let changes = swing(models, step, period, start);
        prop_assert!(changes.len() <= most, "{changes:?}");
        prop_assert!(changes.iter().all(|turn| *turn < 300), "{changes:?}");
    }
}

/// Goes to a start, then rests at one of the sums at which something changes, then swings around
/// it, for two minutes of five looks a second. Gives the looks at which layers changed.
fn swing(
    mut models: Vec<Model>,
    step: prop::sample::Index,
    period: usize,
    start: u64,
) -> Vec<usize> {
    let mut now_us = 0;
    let mut decide = |budget: u64| {
        let given = run(&models, Budget::Bps(budget), now_us);
        now_us += 200_000;
        for (model, memory) in models.iter_mut().zip(&given.memories) {
            model.memory = *memory;
        }
        let decisions: Vec<_> = given
            .memories
            .iter()
            .map(|memory| memory.decision)
            .collect();
        (decisions, given)
    };
    let (_, given) = decide(start);
    let sums = [
        given.used_bps,
        given.wanted_bps,
        given.next_bps.unwrap_or(start),
    ];
    let around = sums[step.index(sums.len())];
    let mut last = vec![];
    for _ in 0..100 {
        last = decide(around).0;
    }
    let mut changes = vec![];
    for turn in 0..600 {
        let high = (turn / period).is_multiple_of(2);
        let (decisions, _) = decide(around * if high { 105 } else { 95 } / 100);
        if decisions != last {
            changes.push(turn);
        }
        last = decisions;
    }
    changes
}
