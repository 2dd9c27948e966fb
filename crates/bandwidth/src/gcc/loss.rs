//! The rate that loss allows: random loss is told from what the sender inflicts on itself.
//!
//! Follows libwebrtc's `loss_based_bwe_v2.cc` (revision 068e6ba6), with its defaults.

use super::loss_window::{Channel, LossWindow};

/// Candidates beside what is believed: these times it, what arrives, and what delay says.
const STEPS: [f64; 3] = [1.02, 1.0, 0.95];
/// Observations before loss sets a limit.
const MIN_OBSERVATIONS: u32 = 3;
/// While loss limits, growth stays below this times what arrives; the second while a hold's rate
/// is near.
const RAMP_UP: f64 = 1.5;
const RAMP_UP_HELD: f64 = 1.2;
const HELD_SHARE: f64 = 1.3;
/// Growth within one window of time after loss.
const MAX_GROWTH: f64 = 1.3;
const GROWTH_WINDOW_US: i64 = 300_000;
/// After a decrease the rate is held, each time for twice as long.
const FIRST_HOLD_US: i64 = 300_000;
const MAX_HOLD_US: i64 = 60_000_000;
/// Above this average loss an upper bound holds at once.
const BOUND_OFFSET: f64 = 0.05;
const BOUND_BALANCE_BPS: f64 = 100_000.0;

/// Whether loss limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LossState {
    /// Delay alone does.
    Free,
    /// It does, less and less.
    Increasing,
    /// It does, and does not let go.
    Decreasing,
}

#[derive(Debug, Clone, Copy)]
struct Hold {
    until_us: i64,
    next_us: i64,
    bps: f64,
}

const NO_HOLD: Hold = Hold {
    until_us: i64::MIN,
    next_us: FIRST_HOLD_US,
    bps: f64::MAX,
};

/// The loss-based estimate.
#[derive(Debug)]
pub(super) struct LossControl {
    pub(super) window: LossWindow,
    best: Option<Channel>,
    state: LossState,
    result_bps: f64,
    hold: Hold,
    /// The most the rate may become in the current growth window, and when that began.
    growth: Option<(f64, i64)>,
    min_bps: f64,
    max_bps: f64,
}

/// What else is known when losses are judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) delay_bps: f64,
    pub(super) acknowledged: Option<f64>,
    pub(super) is_limited: bool,
}

impl LossControl {
    pub(super) fn new(min_bps: f64, max_bps: f64) -> Self {
        Self {
            window: LossWindow::default(),
            best: None,
            state: LossState::Free,
            result_bps: f64::MAX,
            hold: NO_HOLD,
            growth: None,
            min_bps,
            max_bps,
        }
    }

    /// The limit, if loss sets one.
    pub(super) fn limit(&self) -> Option<f64> {
        (self.state != LossState::Free && self.window.count >= MIN_OBSERVATIONS)
            .then_some(self.result_bps)
    }

    pub(super) fn state(&self) -> LossState {
        if self.window.count >= MIN_OBSERVATIONS {
            self.state
        } else {
            LossState::Free
        }
    }

    pub(super) fn inherent(&self) -> f64 {
        self.best.map_or(0.0, |best| best.inherent)
    }

    /// One step after feedback.
    pub(super) fn step(&mut self, known: Known) {
        if !self.window.close() {
            return;
        }
        let best = self.best.unwrap_or(Channel {
            bps: known.delay_bps,
            inherent: 0.01,
        });
        if self.window.is_clean() {
            // Most of the time: nothing to explain, and no limit. (libwebrtc lets a limit go as
            // more arrives, and pads for that; a source of steps would never have more to send.)
            self.state = LossState::Free;
            self.hold = NO_HOLD;
            let inherent = best.inherent * 0.5;
            self.best = Some(
                Channel {
                    bps: known.delay_bps,
                    inherent,
                }
                .feasible(),
            );
            self.result_bps = known.delay_bps;
            return;
        }
        let found = self.bound_growth(best, self.find(best, known), known);
        let floor = known.acknowledged.unwrap_or(0.0).max(self.min_bps);
        let by_loss = found.bps.min(self.upper_bound());
        let bounded = floor.max(by_loss.min(known.delay_bps));
        self.best = Some(Channel {
            bps: bounded.max(floor),
            // Bounded by loss, chance is judged anew. (libwebrtc judges it anew where delay bounds the rate
            // too; beside a source of steps delay often says what was believed, and every time chance
            // would be taken for congestion until it is learned again.)
            inherent: if by_loss < found.bps {
                0.0
            } else {
                found.inherent
            },
        });
        self.settle(bounded, floor, known);
    }

    /// The best of the candidates.
    fn find(&self, best: Channel, known: Known) -> Channel {
        let acknowledged = known.acknowledged.filter(|_| !known.is_limited);
        let above = Some(known.delay_bps).filter(|bps| *bps > best.bps);
        let most = best.bps.max(match (self.state, self.growth) {
            (LossState::Free, _) | (_, None) => self.max_bps,
            (_, Some((limit, _))) => limit,
        });
        let rates = STEPS
            .iter()
            .map(|step| step * best.bps)
            .chain(acknowledged)
            .chain(above);
        let mut winner = (best, f64::MIN);
        for rate in rates {
            let candidate = Channel {
                bps: rate.min(most),
                inherent: best.inherent,
            };
            let candidate = self.window.refine(candidate.feasible());
            let objective = self.window.objective(candidate);
            if objective > winner.1 {
                winner = (candidate, objective);
            }
        }
        winner.0
    }

    /// Keeps the rate from rising while more is lost than chance explains, and from rising fast
    /// while loss limits.
    fn bound_growth(&self, best: Channel, mut found: Channel, known: Known) -> Channel {
        if self.window.average > found.inherent && found.bps > best.bps {
            found.bps = best.bps;
        }
        if self.state == LossState::Free {
            return found;
        }
        if let (Some((limit, since)), Some(now)) = (self.growth, self.window.until_us)
            && since + GROWTH_WINDOW_US > now
        {
            found.bps = found.bps.min(limit);
        }
        let is_rising =
            found.bps > best.bps || (found.bps >= best.bps && self.state == LossState::Increasing);
        if let (true, Some(arriving)) = (is_rising, known.acknowledged) {
            let is_held = self.hold.bps < f64::MAX && arriving < HELD_SHARE * self.hold.bps;
            let factor = if is_held { RAMP_UP_HELD } else { RAMP_UP };
            found.bps = best.bps.max(found.bps.min(factor * arriving));
            if self.state == LossState::Decreasing && found.bps <= best.bps {
                // A token, so that the state changes.
                found.bps = best.bps + 1.0;
            }
        }
        found
    }

    fn upper_bound(&self) -> f64 {
        let above = self.window.average - BOUND_OFFSET;
        if above > 0.0 {
            BOUND_BALANCE_BPS / above
        } else {
            self.max_bps
        }
    }

    /// The state and the result that follow from the bounded rate.
    fn settle(&mut self, bounded: f64, floor: f64, known: Known) {
        let now = self.window.until_us.unwrap_or(0);
        let is_limiting = bounded < known.delay_bps && bounded < self.max_bps;
        if self.state == LossState::Decreasing && self.hold.until_us > now && is_limiting {
            self.hold.bps = self.hold.bps.max(floor);
            self.result_bps = self.hold.bps.min(bounded);
            return;
        }
        let is_rising = self.state != LossState::Free
            && (bounded > self.result_bps
                || (bounded >= self.result_bps && self.state == LossState::Increasing));
        if is_rising && is_limiting {
            self.state = LossState::Increasing;
        } else if is_limiting {
            if self.state != LossState::Decreasing {
                self.hold = Hold {
                    until_us: now + self.hold.next_us,
                    next_us: (self.hold.next_us * 2).min(MAX_HOLD_US),
                    bps: bounded,
                };
            }
            self.state = LossState::Decreasing;
        } else {
            self.hold = NO_HOLD;
            self.state = LossState::Free;
        }
        self.result_bps = bounded;
        if self.state != LossState::Free
            && self
                .growth
                .is_none_or(|(_, since)| since + GROWTH_WINDOW_US < now)
            && let Some(best) = self.best
        {
            self.growth = Some(((best.bps * MAX_GROWTH).max(5_000.0), now));
        }
    }

    /// A probe came through whole at this rate: what loss allowed before is overtaken.
    pub(super) fn learn(&mut self, bps: f64) {
        if self.state == LossState::Free || bps <= self.result_bps {
            return;
        }
        if self.window.is_clean() {
            return self.forget();
        }
        self.hold = NO_HOLD;
        self.growth = None;
        self.result_bps = bps;
        self.best = self.best.map(|best| Channel { bps, ..best });
    }

    /// What was lost has its explanation, and that is over.
    pub(super) fn forget(&mut self) {
        self.window.forget();
        *self = Self {
            window: std::mem::take(&mut self.window),
            ..Self::new(self.min_bps, self.max_bps)
        };
    }
}
