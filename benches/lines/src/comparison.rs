//! Ours beside others' estimators on the same lines, with the same source: how close to the line,
//! and how fast out of overload.

use crate::arguments::Arguments;
use crate::lines::closed_loop::ClosedLoop;
use crate::lines::closed_loop::figures::{Record, mean};
use crate::lines::closed_loop::flow::Source;
use crate::lines::closed_loop::table::{Outcome, Scenario, scenarios};
use crate::{ENOUGH, ESTIMATORS, START_BPS, draw, whole_peer};

/// What is compared may differ by this much of itself before one counts as worse.
const EQUAL: f64 = 0.02;
/// Out of overload never.
const NEVER: f64 = 999.0;

/// Figures over all seeds.
#[derive(Clone, Copy)]
struct Standing {
    /// Mean of |ln(estimate / line)|.
    distance: f64,
    /// The worst time out of overload, where the row has one.
    out: f64,
    queue: f64,
    loss: f64,
    used: f64,
}

/// Prints all rows; gives how often ours is worse than another.
pub(crate) fn compare(arguments: &Arguments) -> usize {
    // 150, 500 and 1,700 kbit/s with headers.
    let layers = vec![160_000, 530_000, 1_780_000];
    let sources = [
        ("an encoder that follows them", Source::Follows(ENOUGH)),
        ("simulcast layers", Source::Layers(layers)),
    ];
    let worse = sources.map(|(name, source)| compare_with(arguments, name, &source));
    worse.iter().sum()
}

fn compare_with(arguments: &Arguments, source_name: &str, source: &Source) -> usize {
    let mut worse = 0;
    let seeds = arguments.seeds;
    println!("== estimators with {source_name}, mean of {seeds} seeds");
    println!("distance: mean of |ln(estimate/line)|; out: worst seconds out of overload");
    for row in scenarios()
        .iter()
        .filter(|row| row.name.contains(&arguments.rows))
    {
        let mut standings: Vec<(&str, Standing)> = ESTIMATORS
            .iter()
            .map(|(name, make)| {
                let standing = stand(row, arguments, (name, source_name), &mut |seed| {
                    ClosedLoop::play(row, source, &mut |at| make(at), seed)
                });
                (*name, standing)
            })
            .collect();
        if row.flows == 1 && !row.transfer {
            let standing = stand(row, arguments, ("str0m", source_name), &mut |seed| {
                whole_peer::play(row, source, START_BPS, seed)
            });
            standings.push(("str0m", standing));
        }
        worse += show(row, &standings);
    }
    println!("ours (trendline) is worse in {worse} comparisons\n");
    worse
}

fn stand(
    row: &Scenario,
    arguments: &Arguments,
    (name, source_name): (&str, &str),
    play: &mut dyn FnMut(u64) -> Outcome,
) -> Standing {
    let outcomes: Vec<Outcome> = (1..=arguments.seeds).map(&mut *play).collect();
    if let (Some(folder), Some(first)) = (&arguments.plots, outcomes.first()) {
        draw(folder, &format!("{name}, {source_name}"), row, first);
    }
    let over = |of: &dyn Fn(&Record) -> f64| {
        let records = outcomes.iter().flat_map(|outcome| &outcome.records);
        mean(records.map(of))
    };
    let end = row.seconds;
    let falls = row.falls();
    let out = outcomes.iter().flat_map(|outcome| {
        let record = &outcome.records[0];
        falls
            .iter()
            .map(|(from, to)| record.time_out_of_overload(*from, *to).unwrap_or(NEVER))
    });
    // Where several share a line, each has its part of it.
    let flows = row.flows as f64 + f64::from(u8::from(row.transfer));
    Standing {
        distance: if flows > 1.0 {
            f64::NAN
        } else {
            over(&|r| r.distance(5.0, end))
        },
        out: out.fold(0.0, f64::max),
        queue: over(&|r| r.queue_p95_ms(5.0, end - 1.0)),
        loss: 100.0 * over(&|r| r.loss(5.0, end - 1.0)),
        used: row.flows as f64 * over(&|r| r.received_bps(5.0, end)) / 1e6,
    }
}

fn show(row: &Scenario, standings: &[(&str, Standing)]) -> usize {
    println!("{}", row.name);
    let ours = standings[0].1;
    let mut worse = 0;
    for (index, (name, standing)) in standings.iter().enumerate() {
        let closer = standing.distance < ours.distance * (1.0 - EQUAL);
        let faster = standing.out + 0.1 < ours.out;
        let mut marks = String::new();
        // The first two are ours.
        if index >= 2 && closer {
            marks.push_str(" closer!");
            worse += 1;
        }
        if index >= 2 && faster {
            marks.push_str(" faster!");
            worse += 1;
        }
        let distance = if standing.distance.is_nan() {
            "-    ".into()
        } else {
            format!("{:.3}", standing.distance)
        };
        println!(
            "  {name:18} distance {distance} | out {:6.1} s | queue p95 {:5.0} ms | loss {:5.2} % | received {:.2} Mbit/s{marks}",
            standing.out, standing.queue, standing.loss, standing.used
        );
    }
    worse
}
