//! The table of bad lines in its long form: each row over five kinds of line, ten seeds each, the
//! worst shown; others' estimators beside ours; a plot for each row.
//!
//! `roomtone-lines [--seeds N] [--rows WORD] [--what router|estimators] [--plots FOLDER]`
//! Exit status 1 where a figure misses its bound.

mod arguments;
mod comparison;
mod interceptor;
mod plot;
mod whole_peer;

#[path = "../../../crates/sfu/tests/lines/mod.rs"]
mod lines;

use std::path::Path;
use std::time::Instant;

use arguments::Arguments;
use lines::World;
use lines::closed_loop::ClosedLoop;
use lines::closed_loop::flow::Source;
use lines::closed_loop::line::Line;
use lines::closed_loop::table::{Figure, Outcome, Scenario, VARIANTS, even, scenarios, worst};
use lines::peers;
use lines::viewer::Feedback;
use roomtone_bandwidth::{ArrivalModel, BandwidthEstimator, GccConfig, GccEstimator};

/// More than any line here carries.
const ENOUGH: u64 = 5_000_000;
/// What estimators begin with.
const START_BPS: u64 = 300_000;

type Maker = fn(Instant) -> Box<dyn BandwidthEstimator>;

/// Ours first.
const ESTIMATORS: [(&str, Maker); 3] = [
    ("ours (trendline)", |_| ours(ArrivalModel::Trendline)),
    ("ours (Kalman)", |_| ours(ArrivalModel::Kalman)),
    ("rtc-interceptor", |_| {
        Box::new(interceptor::Interceptor::new(START_BPS))
    }),
];

fn ours(arrival_model: ArrivalModel) -> Box<dyn BandwidthEstimator> {
    Box::new(GccEstimator::new(GccConfig {
        start_bps: START_BPS,
        arrival_model,
        ..GccConfig::default()
    }))
}

fn main() {
    let arguments = Arguments::read();
    let mut missed = 0;
    if arguments.router {
        missed += table("router", &scenarios(), &arguments, &|row, seed| {
            let mut world = World::play(row, Feedback::TransportWide, seed);
            world.outcome()
        });
        let mut shared = scenarios();
        shared.retain(|row| row.flows > 1 && !row.strangers && row.script.is_empty());
        for row in &mut shared {
            row.judge = even;
        }
        let name = "encoders that follow their estimates";
        missed += table(name, &shared, &arguments, &|row, seed| {
            let (_, make) = ESTIMATORS[0];
            ClosedLoop::play(row, &Source::Follows(ENOUGH), &mut |at| make(at), seed)
        });
        missed += quiet(&arguments);
        println!("{missed} figures of the router outside their bounds\n");
    }
    if arguments.estimators {
        missed += comparison::compare(&arguments);
    }
    std::process::exit(i32::from(missed > 0));
}

/// Prints the rows; gives how many figures miss their bounds.
fn table(
    name: &str,
    rows: &[Scenario],
    arguments: &Arguments,
    play: &dyn Fn(&Scenario, u64) -> Outcome,
) -> usize {
    println!("== {name}: worst of {} seeds", arguments.seeds);
    let mut missed = 0;
    for row in rows {
        if !row.name.contains(&arguments.rows) {
            continue;
        }
        for (one_way_ms, queue_ms) in VARIANTS {
            let row = row.over(one_way_ms, queue_ms);
            let base = (one_way_ms, queue_ms) == VARIANTS[0];
            let runs = (0..arguments.seeds).map(|seed| {
                let outcome = play(&row, seed + 1);
                if let (0, true, Some(folder)) = (seed, base, &arguments.plots) {
                    draw(folder, name, &row, &outcome);
                }
                row.figures(&outcome)
            });
            let figures = worst(runs);
            missed += figures.iter().filter(|figure| !figure.holds()).count();
            show(row.name, &row.line, &figures);
        }
    }
    missed
}

/// The same for peers that report little or nothing, on narrow lines.
fn quiet(arguments: &Arguments) -> usize {
    let mut missed = 0;
    let rows = peers::QUIET.iter();
    for (name, feedback) in rows.filter(|(name, _)| name.contains(&arguments.rows)) {
        for over in VARIANTS {
            let line = peers::narrow(over);
            let runs = 1..=arguments.seeds;
            let figures = worst(runs.map(|seed| peers::on_a_narrow_line(&line, *feedback, seed)));
            missed += figures.iter().filter(|figure| !figure.holds()).count();
            show(name, &line, &figures);
        }
    }
    missed
}

fn show(name: &str, line: &Line, figures: &[Figure]) {
    let figures: Vec<String> = figures.iter().map(ToString::to_string).collect();
    println!(
        "{name:20} {:3} ms, queue {:3} ms | {}",
        line.one_way_ms,
        line.queue_ms,
        figures.join(" | ")
    );
}

fn draw(folder: &Path, name: &str, row: &Scenario, outcome: &Outcome) {
    for (index, record) in outcome.records.iter().enumerate() {
        let of = if outcome.records.len() > 1 {
            format!(" ({})", index + 1)
        } else {
            String::new()
        };
        let title = format!("{name}: {}{of}", row.name);
        let file: String = title
            .chars()
            .map(|letter| {
                if letter.is_ascii_alphanumeric() {
                    letter
                } else {
                    '-'
                }
            })
            .collect();
        let path = folder.join(format!("{file}.svg"));
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, plot::svg(&title, record, row.seconds)));
        if let Err(error) = written {
            eprintln!("{}: {error}", path.display());
        }
    }
}
