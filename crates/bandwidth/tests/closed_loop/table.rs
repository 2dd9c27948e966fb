//! The table: which lines, what happens to them, and what must come of it.

use std::time::Duration;

use super::figures::{Record, jain, mean, percentile};
use super::line::{Change, Line, Script, ramp};

/// Megabits.
const M: u64 = 1_000_000;
const FULL: u64 = 2_500_000;
const LOW: u64 = 600_000;
/// What the model source's layers need, with headers.
const LAYERS: [u64; 3] = [160_000, 530_000, 1_780_000];

/// A figure and what it must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    pub name: &'static str,
    pub value: f64,
    pub bound: Bound,
}

/// What a figure must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// Shown, not judged: the highest of several runs.
    Noted,
    /// The same: the lowest.
    LeastNoted,
}

impl Figure {
    pub fn holds(&self) -> bool {
        match self.bound {
            Bound::AtMost(limit) => self.value <= limit,
            Bound::AtLeast(limit) => self.value >= limit,
            Bound::Noted | Bound::LeastNoted => true,
        }
    }

    /// The worse of two of the same name.
    pub fn worse(self, other: Self) -> Self {
        let value = match self.bound {
            Bound::AtLeast(_) | Bound::LeastNoted => self.value.min(other.value),
            _ => self.value.max(other.value),
        };
        Self { value, ..self }
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.holds() { "" } else { " !!" };
        match self.bound {
            Bound::AtMost(limit) => write!(f, "{} {:.2} (<= {limit}){mark}", self.name, self.value),
            Bound::AtLeast(limit) => {
                write!(f, "{} {:.2} (>= {limit}){mark}", self.name, self.value)
            }
            // Of several runs the highest, good or bad.
            Bound::Noted => write!(f, "{} up to {:.2}", self.name, self.value),
            Bound::LeastNoted => write!(f, "{} from {:.2}", self.name, self.value),
        }
    }
}

/// The worst figures of several runs of one scenario.
pub fn worst(runs: impl IntoIterator<Item = Vec<Figure>>) -> Vec<Figure> {
    let mut runs = runs.into_iter();
    let mut all = runs.next().unwrap_or_default();
    for run in runs {
        for (worst, other) in all.iter_mut().zip(run) {
            *worst = worst.worse(other);
        }
    }
    all
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub records: Vec<Record>,
    /// The bulk transfer, where there was one.
    pub transfer: Record,
}

/// A row.
#[derive(Clone)]
pub struct Scenario {
    pub name: &'static str,
    pub line: Line,
    pub script: Script,
    pub flows: usize,
    /// Nothing says that those who share the line may: their addresses differ.
    pub strangers: bool,
    pub transfer: bool,
    pub seconds: f64,
    pub judge: fn(&Scenario, &Outcome) -> Vec<Figure>,
}

impl Scenario {
    fn new(
        name: &'static str,
        seconds: f64,
        script: Script,
        judge: fn(&Scenario, &Outcome) -> Vec<Figure>,
    ) -> Self {
        Self {
            name,
            line: Line::default(),
            script,
            flows: 1,
            strangers: false,
            transfer: false,
            seconds,
            judge,
        }
    }

    /// The same with another delay and queue.
    pub fn over(&self, one_way_ms: u64, queue_ms: u64) -> Self {
        let line = Line {
            one_way_ms,
            queue_ms,
            ..self.line.clone()
        };
        Self {
            line,
            ..self.clone()
        }
    }

    /// Where the line falls or comes back: from when, and until when it stays so.
    pub fn falls(&self) -> Vec<(f64, f64)> {
        let mut falls = vec![];
        let mut rate = self.line.bps;
        for (index, (at, change)) in self.script.iter().enumerate() {
            let next = self.script.get(index + 1);
            let until = next.map_or(self.seconds, |(at, _)| at.as_secs_f64());
            let falls_here = match change {
                Change::Rate(bps) => {
                    let fell = *bps * 10 < rate * 9;
                    rate = *bps;
                    fell
                }
                Change::Still => false,
                Change::Flow => true,
            };
            if falls_here {
                // A ramp's next step is no end.
                falls.push((
                    at.as_secs_f64(),
                    until.max(at.as_secs_f64() + 10.0).min(self.seconds),
                ));
            }
        }
        falls
    }

    pub fn figures(&self, outcome: &Outcome) -> Vec<Figure> {
        (self.judge)(self, outcome)
    }
}

/// Delays and queues that every row is repeated with.
pub const VARIANTS: [(u64, u64); 5] = [(25, 200), (10, 200), (100, 200), (25, 100), (25, 500)];

/// All rows about one kind of peer: the one with transport-wide feedback.
pub fn scenarios() -> Vec<Scenario> {
    let s = Duration::from_secs;
    let still = |ms| {
        let from = s(20);
        vec![
            (from, Change::Still),
            (from + Duration::from_millis(ms), Change::Flow),
        ]
    };
    let steps = vec![(s(20), Change::Rate(LOW)), (s(40), Change::Rate(FULL))];
    let narrowed = vec![(s(20), Change::Rate(M)), (s(40), Change::Rate(FULL))];
    let mut valley = ramp((15.0, FULL), (30.0, LOW));
    valley.extend(ramp((40.0, LOW), (55.0, FULL)));
    let mut saw = vec![];
    for tooth in 0..3 {
        let from = 15.0 + 12.0 * f64::from(tooth);
        saw.extend(ramp((from, 4 * M / 5), (from + 12.0, FULL)));
    }
    let impaired = |name, change: fn(&mut Line), judge| {
        let mut scenario = Scenario::new(name, 40.0, vec![], judge);
        change(&mut scenario.line);
        scenario
    };
    vec![
        Scenario::new("start", 20.0, vec![], start),
        Scenario::new("steps 2.5, 0.6, 2.5", 60.0, steps, stepped),
        Scenario::new("ramp", 75.0, valley, ramped),
        Scenario::new("sawtooth", 65.0, saw, sawed),
        Scenario::new("outage 300 ms", 40.0, still(300), paused),
        Scenario::new("outage 3 s", 45.0, still(3_000), paused),
        impaired("loss 2 %", |line| line.loss = 0.02, unmoved_by_loss),
        impaired("loss 5 %", |line| line.loss = 0.05, unmoved_by_loss),
        impaired("jitter 30 ms", |line| line.jitter_ms = 30, unmoved),
        impaired("reordering 3 %", |line| line.reorder = 0.03, unmoved),
        Scenario {
            flows: 2,
            ..Scenario::new("two on one line", 45.0, vec![], shared)
        },
        Scenario {
            flows: 4,
            ..Scenario::new("four on one line", 45.0, vec![], shared)
        },
        Scenario {
            flows: 2,
            strangers: true,
            ..Scenario::new("two strangers", 45.0, vec![], apart)
        },
        Scenario {
            flows: 4,
            strangers: true,
            ..Scenario::new("four strangers", 45.0, vec![], apart)
        },
        Scenario {
            flows: 4,
            ..Scenario::new("four, 2.5, 1, 2.5", 60.0, narrowed, followed_together)
        },
        Scenario {
            transfer: true,
            ..Scenario::new("beside a transfer", 60.0, vec![], contended)
        },
    ]
}

/// What never comes, as a number.
const NEVER: f64 = 999.0;

pub fn at_most(name: &'static str, value: f64, limit: f64) -> Figure {
    Figure {
        name,
        value,
        bound: Bound::AtMost(limit),
    }
}

pub fn at_least(name: &'static str, value: f64, limit: f64) -> Figure {
    Figure {
        name,
        value,
        bound: Bound::AtLeast(limit),
    }
}

pub fn noted(name: &'static str, value: f64) -> Figure {
    Figure {
        name,
        value,
        bound: Bound::Noted,
    }
}

pub fn least_noted(name: &'static str, value: f64) -> Figure {
    Figure {
        name,
        value,
        bound: Bound::LeastNoted,
    }
}

fn start(row: &Scenario, outcome: &Outcome) -> Vec<Figure> {
    let record = &outcome.records[0];
    let to_rate = record.time_to(0.85, FULL, 0.0, row.seconds);
    vec![
        at_most("to 85 % s", to_rate.unwrap_or(NEVER), 5.0),
        at_most(
            "queue p95 ms",
            record.queue_p95_ms(8.0, row.seconds - 1.0),
            100.0,
        ),
        at_most("loss %", 100.0 * record.loss(8.0, row.seconds - 1.0), 2.0),
        noted(
            "estimate p10 %",
            100.0 * record.estimate_share(5.0, row.seconds, 0.1),
        ),
        noted("loss at start %", 100.0 * record.loss(0.0, 8.0)),
    ]
}

fn stepped(row: &Scenario, outcome: &Outcome) -> Vec<Figure> {
    let record = &outcome.records[0];
    let out = record.time_out_of_overload(20.0, 40.0);
    let back = record.time_to(0.85, FULL, 40.0, row.seconds);
    vec![
        at_most("out of overload s", out.unwrap_or(NEVER), 3.0),
        at_most("back to 85 % s", back.unwrap_or(NEVER), 10.0),
        noted("queue p95 low ms", record.queue_p95_ms(25.0, 39.0)),
        noted("loss low %", 100.0 * record.loss(25.0, 39.0)),
        noted(
            "estimate low p10 %",
            100.0 * record.estimate_share(25.0, 39.0, 0.1),
        ),
        noted(
            "queue p95 after ms",
            record.queue_p95_ms(42.0, row.seconds - 1.0),
        ),
    ]
}

fn ramped(row: &Scenario, outcome: &Outcome) -> Vec<Figure> {
    let record = &outcome.records[0];
    let out = record.time_out_of_overload(30.0, 40.0);
    let back = record.time_to(0.85, FULL, 55.0, row.seconds);
    vec![
        at_most("out of overload s", out.unwrap_or(NEVER), 3.0),
        at_most("back to 85 % s", back.unwrap_or(NEVER), 10.0),
        noted("queue p95 falling ms", record.queue_p95_ms(15.0, 30.0)),
        noted("loss falling %", 100.0 * record.loss(15.0, 30.0)),
    ]
}

fn sawed(row: &Scenario, outcome: &Outcome) -> Vec<Figure> {
    let record = &outcome.records[0];
    let teeth = (0..3).map(|tooth| 15.0 + 12.0 * f64::from(tooth));
    let out = teeth.map(|from| {
        record
            .time_out_of_overload(from, from + 11.0)
            .unwrap_or(NEVER)
    });
    let back = record.time_to(0.85, FULL, 51.0, row.seconds);
    vec![
        at_most("out of overload s", percentile(out, 1.0), 3.0),
        at_most("back to 85 % s", back.unwrap_or(NEVER), 10.0),
        noted("distance", record.distance(15.0, 51.0)),
    ]
}

fn paused(row: &Scenario, outcome: &Outcome) -> Vec<Figure> {
    let record = &outcome.records[0];
    let flows = row.script[1].0.as_secs_f64();
    let out = record.time_out_of_overload(flows, row.seconds);
    let back = record.time_to(0.85, FULL, flows + 0.5, row.seconds);
    vec![
        at_most("out of overload s", out.unwrap_or(NEVER), 3.0),
        at_most(
            "back to 85 % s",
            back.map_or(NEVER, |back| back + 0.5),
            10.0,
        ),
        noted(
            "estimate least %",
            100.0 * record.estimate_share(flows, row.seconds, 0.0),
        ),
    ]
}

fn unmoved_by_loss(row: &Scenario, outcome: &Outcome) -> Vec<Figure> {
    steady(row, outcome, 80.0)
}

fn unmoved(row: &Scenario, outcome: &Outcome) -> Vec<Figure> {
    steady(row, outcome, 75.0)
}

fn steady(row: &Scenario, outcome: &Outcome, share: f64) -> Vec<Figure> {
    let record = &outcome.records[0];
    let to_rate = record.time_to(0.85, FULL, 0.0, row.seconds);
    let least = 100.0 * record.estimate_share(10.0, row.seconds, 0.0);
    vec![
        at_least("estimate least %", least, share),
        noted(
            "estimate p10 %",
            100.0 * record.estimate_share(10.0, row.seconds, 0.1),
        ),
        noted("to 85 % s", to_rate.unwrap_or(NEVER)),
        noted("queue p95 ms", record.queue_p95_ms(10.0, row.seconds - 1.0)),
    ]
}

/// Jain's index over what arrives from 30 s on.
fn jain_of_rates(row: &Scenario, outcome: &Outcome) -> f64 {
    let rates = |record: &Record| record.received_bps(30.0, row.seconds);
    jain(&outcome.records.iter().map(rates).collect::<Vec<_>>())
}

/// Who shares a line, and sends what is believed.
pub fn even(row: &Scenario, outcome: &Outcome) -> Vec<Figure> {
    vec![at_least("Jain", jain_of_rates(row, outcome), 0.9)]
}

/// Who is known to share a line, and is given one of a few layers: none has less than an equal share carries, and
/// what is believed of the line, and what is forwarded, is alike.
fn shared(row: &Scenario, outcome: &Outcome) -> Vec<Figure> {
    let rates = |record: &Record| record.received_bps(30.0, row.seconds);
    let shares: Vec<f64> = outcome.records.iter().map(rates).collect();
    let believed = |record: &Record| {
        let samples = record.samples_in(30.0, row.seconds);
        mean(samples.map(|sample| sample.estimate_bps as f64))
    };
    let beliefs: Vec<f64> = outcome.records.iter().map(believed).collect();
    let share = FULL / row.flows as u64 / 10 * 9;
    let carried = LAYERS.iter().filter(|rate| **rate <= share).count();
    let has_it = |record: &Record| {
        let samples = record.samples_in(30.0, row.seconds);
        mean(samples.map(|sample| f64::from(u8::from(usize::from(sample.layer) >= carried))))
    };
    let least = outcome.records.iter().map(has_it).fold(1.0, f64::min);
    let queues = outcome.records.iter();
    let queues = queues.map(|record| record.queue_p95_ms(30.0, row.seconds - 1.0));
    vec![
        at_least("equal share's layer, % of the time", 100.0 * least, 90.0),
        at_least("Jain of estimates", jain(&beliefs), 0.9),
        at_least("Jain of rates", jain_of_rates(row, outcome), 0.9),
        noted(
            "line used %",
            100.0 * shares.iter().sum::<f64>() / FULL as f64,
        ),
        noted("queue p95 ms", percentile(queues, 1.0)),
    ]
}

/// The same where nothing tells who shares the line: shown, not judged, but what is believed by two.
fn apart(row: &Scenario, outcome: &Outcome) -> Vec<Figure> {
    let figures = shared(row, outcome).into_iter();
    let shown = figures.map(|figure| match figure.bound {
        Bound::AtLeast(_) if row.flows > 2 || !figure.name.contains("estimates") => {
            least_noted(figure.name, figure.value)
        }
        _ => figure,
    });
    shown.collect()
}

/// Several who share a line that becomes narrow, and wide again.
fn followed_together(row: &Scenario, outcome: &Outcome) -> Vec<Figure> {
    let records = || outcome.records.iter();
    let out = records().map(|record| record.time_out_of_overload(20.0, 40.0).unwrap_or(NEVER));
    let share = FULL / row.flows as u64;
    let back = records().map(|record| {
        let back = record.time_to(0.85, share, 40.0, row.seconds);
        back.unwrap_or(NEVER)
    });
    let queues = records().map(|record| record.queue_p95_ms(25.0, 39.0));
    vec![
        at_most("out of overload s", percentile(out, 1.0), 3.0),
        at_most("back to 85 % of a share s", percentile(back, 1.0), 10.0),
        noted("queue p95 low ms", percentile(queues, 1.0)),
    ]
}

fn contended(row: &Scenario, outcome: &Outcome) -> Vec<Figure> {
    let own = outcome.records[0].received_bps(20.0, row.seconds);
    let other = outcome.transfer.received_bps(20.0, row.seconds);
    let share = 100.0 * own / (own + other).max(1.0);
    vec![
        at_least("share %", share, 20.0),
        at_most("share at most %", share, 80.0),
        noted(
            "queue p95 ms",
            outcome.records[0].queue_p95_ms(20.0, row.seconds - 1.0),
        ),
    ]
}
