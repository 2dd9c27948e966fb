//! Digits as tones.

use super::Digit;
use crate::oscillator::Oscillator;

/// Rise and fall at the ends, so that a digit does not click.
const RAMP_MS: u32 = 2;

/// Peak amplitude of each of the two tones: -10 dBov together, which no line clips.
const AMPLITUDE: f64 = 7_300.0;

/// Sounds one digit for a while.
#[derive(Clone, Debug)]
pub struct Generator {
    oscillators: [Oscillator; 2],
    ramp: u32,
    made: u32,
    length: u32,
}

impl Generator {
    /// `digit` for `duration_ms`, at `rate_hz`.
    pub fn new(digit: Digit, rate_hz: u32, duration_ms: u32) -> Self {
        Self {
            oscillators: digit
                .tones_hz()
                .map(|tone_hz| Oscillator::new(rate_hz, tone_hz)),
            ramp: rate_hz * RAMP_MS / 1000,
            made: 0,
            length: rate_hz / 1000 * duration_ms,
        }
    }

    /// Whether the digit has sounded to its end.
    pub const fn is_done(&self) -> bool {
        self.made >= self.length
    }

    /// Writes the digit over `out`, with silence after its end; gives the samples that are its.
    pub fn fill(&mut self, out: &mut [i16]) -> usize {
        let mut written = 0;
        for out in out {
            if self.is_done() {
                *out = 0;
                continue;
            }
            let from_end = self.made.min(self.length - 1 - self.made);
            let share = (f64::from(from_end) / f64::from(self.ramp.max(1))).min(1.0);
            let sum: f64 = self.oscillators.iter_mut().map(Oscillator::next).sum();
            *out = (AMPLITUDE * share * sum).round() as i16;
            self.made += 1;
            written += 1;
        }
        written
    }
}
