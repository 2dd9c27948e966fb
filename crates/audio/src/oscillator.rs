//! One sine.

use std::f64::consts::TAU;

/// One sine of amplitude 1, by rotation: two multiplications a sample instead of a function call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Oscillator {
    turn: (f64, f64),
    at: (f64, f64),
}

impl Oscillator {
    pub(crate) fn new(rate_hz: u32, tone_hz: f64) -> Self {
        let step = TAU * tone_hz / f64::from(rate_hz);
        Self {
            turn: (step.cos(), step.sin()),
            at: (1.0, 0.0),
        }
    }

    pub(crate) fn next(&mut self) -> f64 {
        let ((cos, sin), (x, y)) = (self.turn, self.at);
        self.at = (x * cos - y * sin, x * sin + y * cos);
        // The radius drifts by rounding; a step of Newton's method holds it.
        let hold = 1.5 - 0.5 * (self.at.0 * self.at.0 + self.at.1 * self.at.1);
        self.at = (self.at.0 * hold, self.at.1 * hold);
        y
    }
}
