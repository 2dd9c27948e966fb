//! What state a line is in, by the queue it builds up and what it loses.

use super::CongestionState;

/// What can be seen of a line in one window.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Signs {
    /// Delay beyond the least of the last while, in milliseconds.
    pub(crate) queue_ms: f64,
    /// Share lost before any repair, 0 to 1.
    pub(crate) loss: f64,
    /// A bandwidth estimator says so.
    pub(crate) overused: bool,
}

/// From which queue and from which loss on, for each state.
const BOUNDS: [(CongestionState, f64, f64); 4] = [
    (CongestionState::Critical, 500.0, 0.25),
    (CongestionState::Severe, 250.0, 0.15),
    (CongestionState::Moderate, 120.0, 0.10),
    (CongestionState::Light, 50.0, 0.05),
];

fn at_least(measured: f64, bound: impl Fn(&(CongestionState, f64, f64)) -> f64) -> CongestionState {
    BOUNDS
        .iter()
        .find(|row| measured >= bound(row))
        .map_or(CongestionState::None, |row| row.0)
}

/// The state that a window's signs speak for. A queue and loss together are worse than each alone:
/// the queue is full then.
pub(crate) fn classify(signs: &Signs) -> CongestionState {
    let queue = at_least(signs.queue_ms, |row| row.1);
    let loss = at_least(signs.loss, |row| row.2);
    let worse = queue.max(loss);
    if queue > CongestionState::None && loss > CongestionState::None {
        return step(worse, 1);
    }
    if signs.overused {
        return worse.max(CongestionState::Light);
    }
    worse
}

const ORDER: [CongestionState; 5] = [
    CongestionState::None,
    CongestionState::Light,
    CongestionState::Moderate,
    CongestionState::Severe,
    CongestionState::Critical,
];

fn step(state: CongestionState, by: isize) -> CongestionState {
    let at = (state as usize).saturating_add_signed(by);
    ORDER[at.min(ORDER.len() - 1)]
}

/// The state of one line over time: up at once, down by one step when two windows in a row were
/// better.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Congestion {
    state: CongestionState,
    better: u8,
}

impl Congestion {
    /// Windows that must be better in a row.
    const CALM: u8 = 2;

    /// Takes a window's signs; says whether the state changed.
    pub(crate) fn update(&mut self, signs: &Signs) -> bool {
        let seen = classify(signs);
        let before = self.state;
        if seen >= self.state {
            self.state = seen;
            self.better = 0;
        } else {
            self.better += 1;
            if self.better >= Self::CALM {
                self.better = 0;
                self.state = step(self.state, -1);
            }
        }
        self.state != before
    }

    /// Whether what is missing may be the line's doing.
    pub(crate) fn is_loaded(self) -> bool {
        self.state > CongestionState::None
    }

    pub(crate) fn state(self) -> CongestionState {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CongestionState::*;

    #[test]
    fn each_bound_of_the_table() {
        let table = [
            (0.0, 0.0, false, None),
            (49.9, 0.049, false, None),
            (0.0, 0.0, true, Light),
            (50.0, 0.0, false, Light),
            (0.0, 0.05, false, Light),
            (50.0, 0.05, false, Moderate),
            (119.9, 0.0, false, Light),
            (120.0, 0.0, true, Moderate),
            (0.0, 0.10, false, Moderate),
            (250.0, 0.0, false, Severe),
            (0.0, 0.15, false, Severe),
            (120.0, 0.06, false, Severe),
            (500.0, 0.0, false, Critical),
            (0.0, 0.25, false, Critical),
            (500.0, 0.5, true, Critical),
        ];
        for (queue_ms, loss, overused, wanted) in table {
            let signs = Signs {
                queue_ms,
                loss,
                overused,
            };
            assert_eq!(classify(&signs), wanted, "{signs:?}");
        }
    }

    #[test]
    fn it_goes_up_at_once_and_down_step_by_step() {
        let mut congestion = Congestion::default();
        let queue = |queue_ms| Signs {
            queue_ms,
            ..Signs::default()
        };
        assert!(!congestion.update(&queue(10.0)));
        assert!(congestion.update(&queue(300.0)));
        assert_eq!(congestion.state(), Severe);
        let states: Vec<_> = (0..7)
            .map(|_| {
                congestion.update(&queue(0.0));
                congestion.state()
            })
            .collect();
        assert_eq!(
            states,
            [Severe, Moderate, Moderate, Light, Light, None, None]
        );
        congestion.update(&queue(60.0));
        congestion.update(&queue(0.0));
        congestion.update(&queue(60.0));
        congestion.update(&queue(0.0));
        assert_eq!(congestion.state(), Light, "one good window is not enough");
    }
}
