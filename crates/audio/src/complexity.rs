//! Less effort where time runs out.

use std::time::Duration;

/// Effort at the start, and the most: what libopus takes at 5 is what voice needs.
const MOST: u8 = 5;

/// One step down at most this often, while ticks take over half their time.
const STEP_DOWN_AFTER: Duration = Duration::from_secs(1);

/// One step up after so long without such a tick.
const STEP_UP_AFTER: Duration = Duration::from_secs(10);

/// The effort of all encoders of one audio thread. Inputs: how long each tick took. Output: the
/// effort, when it changes.
#[derive(Clone, Debug)]
pub struct ComplexityControl {
    complexity: u8,
    /// When it last went down or up, and when a tick last took over half its time.
    changed_at: Option<Duration>,
    busy_at: Option<Duration>,
}

impl Default for ComplexityControl {
    fn default() -> Self {
        Self::new()
    }
}

impl ComplexityControl {
    /// Full effort.
    pub const fn new() -> Self {
        Self {
            complexity: MOST,
            changed_at: None,
            busy_at: None,
        }
    }

    /// The effort now, 0 to 5.
    pub const fn complexity(&self) -> u8 {
        self.complexity
    }

    /// A tick of length `tick` took `used` and ended at `now` (since any start); gives the new
    /// effort where it changes.
    pub fn handle_tick(&mut self, used: Duration, tick: Duration, now: Duration) -> Option<u8> {
        let is_over = |since: Option<Duration>, wait: Duration| {
            since.is_none_or(|at| now.saturating_sub(at) >= wait)
        };
        let next = if used > tick / 2 {
            self.busy_at = Some(now);
            let may = is_over(self.changed_at, STEP_DOWN_AFTER);
            self.complexity.checked_sub(1).filter(|_| may)
        } else {
            let may =
                is_over(self.changed_at, STEP_UP_AFTER) && is_over(self.busy_at, STEP_UP_AFTER);
            (may && self.complexity < MOST).then_some(self.complexity + 1)
        }?;
        self.complexity = next;
        self.changed_at = Some(now);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(20);

    /// Runs a minute; gives when it changed and to what.
    fn run(control: &mut ComplexityControl, from_s: u64, used: Duration) -> Vec<(u64, u8)> {
        (0..3_000)
            .filter_map(|tick| {
                let now = Duration::from_secs(from_s) + tick * TICK;
                let changed = control.handle_tick(used, TICK, now)?;
                Some((now.as_secs(), changed))
            })
            .collect()
    }

    #[test]
    fn effort_falls_a_step_a_second_and_comes_back_after_ten_quiet_ones() {
        let mut control = ComplexityControl::new();
        assert_eq!(run(&mut control, 0, TICK / 4), []);
        let fallen = run(&mut control, 60, TICK * 3 / 4);
        assert_eq!(fallen, [(60, 4), (61, 3), (62, 2), (63, 1), (64, 0)]);
        let risen = run(&mut control, 120, TICK / 4);
        // The last busy tick was just before.
        assert_eq!(risen, [(129, 1), (139, 2), (149, 3), (159, 4), (169, 5)]);
    }

    #[test]
    fn one_busy_tick_in_ten_seconds_keeps_effort_from_rising() {
        let mut control = ComplexityControl::new();
        control.handle_tick(TICK, TICK, Duration::ZERO);
        for tick in 1..6_000 {
            let used = if tick % 400 == 0 {
                TICK * 6 / 10
            } else {
                TICK / 10
            };
            let changed = control.handle_tick(used, TICK, tick * TICK);
            assert!(changed.is_none_or(|to| to < 4), "{changed:?} at {tick}");
        }
    }
}
