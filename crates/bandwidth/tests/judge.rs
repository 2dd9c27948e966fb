//! The judge itself: what the model lines and the model transfer do.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod closed_loop;

use closed_loop::ClosedLoop;
use closed_loop::figures::{jain, percentile};
use closed_loop::flow::Source;
use closed_loop::line::{Line, ramp};
use roomtone_bandwidth::{BandwidthEstimator, Estimate, LineState};

/// Believes one rate, whatever comes.
#[derive(Debug)]
struct Stubborn(u64);

impl BandwidthEstimator for Stubborn {
    fn estimate(&self) -> Estimate {
        Estimate {
            bps: self.0,
            pacing_bps: Some(self.0 * 5 / 2),
            confirmed: true,
            at_least: false,
            state: LineState::Normal,
        }
    }
}

#[test]
fn a_bulk_transfer_fills_the_line() {
    for one_way_ms in [10, 25, 100] {
        let line = Line {
            one_way_ms,
            ..Line::default()
        };
        let mut world = ClosedLoop::new(line, vec![], 1);
        world.add_transfer(2);
        world.run(30.0);
        let bps = world.outcome().transfer.received_bps(0.0, 30.0);
        assert!(bps > 0.9 * 2_500_000.0, "{one_way_ms} ms: {bps}");
    }
}

#[test]
fn what_is_sent_above_the_line_queues_and_is_lost_below_it_not() {
    let record = |bps| {
        let mut world = ClosedLoop::new(Line::default(), vec![], 3);
        world.add(Box::new(Stubborn(bps)), Source::Follows(9_000_000), 0.0, 4);
        world.run(10.0);
        world.flows.remove(0).record
    };
    let below = record(2_000_000);
    assert!(below.loss(1.0, 9.0) < 1e-9);
    assert!(
        below.queue_p95_ms(1.0, 9.0) < 30.0,
        "{}",
        below.queue_p95_ms(1.0, 9.0)
    );
    assert_eq!(below.time_out_of_overload(1.0, 9.0), Some(0.0));
    let above = record(5_000_000);
    assert!(
        (0.45..0.55).contains(&above.loss(1.0, 9.0)),
        "{}",
        above.loss(1.0, 9.0)
    );
    assert!((180.0..215.0).contains(&above.queue_p95_ms(1.0, 9.0)));
    assert_eq!(above.time_out_of_overload(1.0, 9.0), None);
    assert!((above.distance(1.0, 9.0) - 2_f64.ln()).abs() < 1e-6);
}

#[test]
fn a_line_that_stands_still_keeps_a_queue_and_goes_on() {
    use closed_loop::line::Change::{Flow, Still};
    let ms = std::time::Duration::from_millis;
    let script = vec![(ms(3_000), Still), (ms(3_300), Flow)];
    let mut world = ClosedLoop::new(Line::default(), script, 5);
    world.add(
        Box::new(Stubborn(2_000_000)),
        Source::Follows(9_000_000),
        0.0,
        6,
    );
    world.run(8.0);
    let record = &world.flows[0].record;
    let lost = record.loss(3.0, 3.3);
    assert!((0.05..0.5).contains(&lost), "a third does not fit: {lost}");
    assert!(record.loss(4.5, 7.5) < 1e-9);
    assert!(record.queue_p95_ms(3.0, 3.3) > 200.0);
}

#[test]
fn figures_are_what_they_say() {
    assert!((jain(&[1.0, 1.0, 1.0]) - 1.0).abs() < 1e-9);
    assert!((jain(&[1.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-9);
    assert!((percentile((1..=100).map(f64::from), 0.95) - 95.0).abs() < 1e-9);
    let script = ramp((1.0, 1_000_000), (3.0, 3_000_000));
    assert_eq!(script.len(), 5);
    assert_eq!(script[2].1, closed_loop::line::Change::Rate(2_000_000));
}
