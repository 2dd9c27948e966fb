//! Sources that follow their estimates share a line: nothing but what is believed decides what they send.

mod closed_loop;

use closed_loop::ClosedLoop;
use closed_loop::flow::Source;
use closed_loop::table::{Figure, VARIANTS, even, scenarios, worst};
use roomtone_bandwidth::{GccConfig, GccEstimator};

/// More than any line here carries.
const ENOUGH: u64 = 5_000_000;
const SEEDS: u64 = 3;

#[test]
fn encoders_that_follow_their_estimates_share_a_line_evenly() {
    let rows = scenarios();
    for row in rows
        .iter()
        .filter(|row| row.flows > 1 && !row.strangers && row.script.is_empty())
    {
        for (one_way_ms, queue_ms) in VARIANTS {
            let row = row.over(one_way_ms, queue_ms);
            let runs = (1..=SEEDS).map(|seed| {
                let estimator =
                    &mut |_| Box::new(GccEstimator::new(GccConfig::default())) as Box<_>;
                let outcome = ClosedLoop::play(&row, &Source::Follows(ENOUGH), estimator, seed);
                even(&row, &outcome)
            });
            let figures = worst(runs);
            assert!(
                figures.iter().all(Figure::holds),
                "{} over {one_way_ms} ms, queue {queue_ms} ms: {figures:?}",
                row.name
            );
        }
    }
}
