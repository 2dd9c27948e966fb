//! Whose a queue is, told step by step.

use super::*;

const SECOND_US: i64 = 1_000_000;

/// A queue that is told of every 100 ms.
struct Told {
    queue: Queue,
    now_us: i64,
}

impl Told {
    /// A tenth of a second with a queue, what arrives, and the rate that is used, if it says anything.
    fn tenth(&mut self, delay_ms: i64, arriving_bps: f64, used_bps: Option<f64>) -> Standing {
        self.now_us += SECOND_US / 10;
        self.queue.push(delay_ms * 1_000, self.now_us);
        let line = if delay_ms > 0 {
            LineState::Overused
        } else {
            LineState::Normal
        };
        let sight = Sight {
            line,
            round_trip_us: 50_000,
            chance_us: 0,
            drain_us: DRAIN_US,
            used_bps,
            overflows: false,
            arriving_bps: Some(arriving_bps),
        };
        self.queue.step(sight, self.now_us)
    }

    /// A queue that was someone else's and became this sender's own when more was sent, and is drained.
    fn parted() -> Self {
        let mut told = Self {
            queue: Queue::default(),
            now_us: 0,
        };
        told.tenth(0, 5e5, Some(1e6));
        for _ in 0..15 {
            told.tenth(80, 5e5, Some(1e6));
        }
        assert_eq!(told.queue.state(), Standing::Foreign);
        told.tenth(0, 5e5, Some(1e6));
        assert_eq!(told.tenth(80, 1.5e6, Some(1.5e6)), Standing::Draining);
        assert_eq!(told.tenth(0, 5e5, None), Standing::Clear);
        told
    }
}

#[test]
fn who_was_met_lately_is_known_again_by_a_queue_that_nothing_more_was_sent_into() {
    let mut told = Told::parted();
    assert_eq!(told.tenth(80, 5e5, None), Standing::Foreign);
}

#[test]
fn a_queue_that_more_was_sent_into_is_drained_though_somebody_was_met_lately() {
    let mut told = Told::parted();
    assert_eq!(told.tenth(80, 7e5, None), Standing::Draining);
}

#[test]
fn who_was_met_long_ago_is_a_stranger_again() {
    let mut told = Told::parted();
    told.now_us += REUNION_US;
    told.tenth(0, 5e5, None);
    assert_eq!(told.tenth(80, 5e5, None), Standing::Draining);
}
