//! Sound made up where packets are missing.
//!
//! The last period of what was heard is repeated (after G.711 Appendix I): a loss of 60 ms is
//! bridged at full level, then it fades. Codecs that conceal for themselves are preferred while they
//! do.

use crate::codec::Decode;
use crate::rms;

/// Sound that is remembered to repeat from, in microseconds.
const HISTORY_US: u64 = 45_000;

/// The shortest and longest period repeated, and what is compared to find it.
const SHORTEST_US: u64 = 2_500;
const LONGEST_US: u64 = 15_000;
const WINDOW_US: u64 = 20_000;

/// A loss up to this long stays at full level; then it fades over as long again.
const FULL_US: u64 = 60_000;
const FADE_US: u64 = 60_000;

/// A codec's own concealment shall not be below this share of the level before, or ours is taken:
/// libopus drops tones to a third at once.
const LOUD_ENOUGH: f64 = 0.8;

/// Made-up and real sound are faded into one another over this.
const JOIN_US: u64 = 4_000;

/// Remembers what was heard and goes on from it.
#[derive(Clone, Debug)]
pub struct Concealer {
    rate_hz: u32,
    history: Vec<i16>,
    /// The period being repeated, where something is made up.
    period: Vec<i16>,
    /// Samples made up so far, and before them by the codec.
    made: usize,
    by_codec: usize,
    /// Level before the loss, where the codec has begun to conceal it.
    level: f64,
}

impl Concealer {
    /// For sound at `rate_hz`.
    pub fn new(rate_hz: u32) -> Self {
        let mut new = Self {
            rate_hz,
            history: Vec::new(),
            period: Vec::new(),
            made: 0,
            by_codec: 0,
            level: 0.0,
        };
        new.history = vec![0; new.samples(HISTORY_US)];
        new
    }

    const fn samples(&self, us: u64) -> usize {
        (self.rate_hz as u64 * us / 1_000_000) as usize
    }

    /// Real sound has come; behind made-up sound its start is faded into.
    pub fn heard(&mut self, pcm: &mut [i16]) {
        if self.made > 0 {
            let mut made_up = vec![0; self.samples(JOIN_US).min(pcm.len())];
            self.fill(&mut made_up);
            let len = made_up.len() as i32;
            for (at, (&from, to)) in made_up.iter().zip(pcm.iter_mut()).enumerate() {
                let share = at as i32;
                *to = ((i32::from(from) * (len - share) + i32::from(*to) * share) / len) as i16;
            }
            self.made = 0;
        }
        self.by_codec = 0;
        self.remember(pcm);
    }

    /// Writes made-up sound over `out`: the decoder's if it has any that is loud enough, or ours. The
    /// decoder learns of the loss either way.
    pub fn bridge(&mut self, decoder: &mut dyn Decode, out: &mut [i16]) {
        // Opus makes up multiples of 2.5 ms.
        let step = self.rate_hz as usize / 400;
        let by_codec = if out.len().is_multiple_of(step) {
            matches!(decoder.conceal(out), Some(Ok(_)))
        } else {
            false
        };
        if by_codec && !self.is_concealing() {
            if self.by_codec == 0 {
                let recent = self.history.len() - self.samples(WINDOW_US);
                self.level = rms(&self.history[recent..]);
            }
            let may_fade = self.by_codec >= self.samples(FULL_US);
            if may_fade || rms(out) >= LOUD_ENOUGH * self.level {
                self.by_codec += out.len();
                self.remember(out);
                return;
            }
        }
        self.conceal(out);
    }

    /// Writes made-up sound over `out`.
    pub fn conceal(&mut self, out: &mut [i16]) {
        if self.made == 0 {
            self.period = self.last_period();
        }
        self.fill(out);
        self.remember(out);
    }

    /// Whether the last sound was made up.
    pub const fn is_concealing(&self) -> bool {
        self.made > 0
    }

    /// Forgets what was heard, as after silence.
    pub fn reset(&mut self) {
        self.history.fill(0);
        self.made = 0;
        self.by_codec = 0;
    }

    fn remember(&mut self, pcm: &[i16]) {
        let size = self.history.len();
        let pcm = &pcm[pcm.len().saturating_sub(size)..];
        self.history.drain(..pcm.len());
        self.history.extend_from_slice(pcm);
    }

    fn fill(&mut self, out: &mut [i16]) {
        let (full, fade) = (self.samples(FULL_US), self.samples(FADE_US));
        let len = self.period.len().max(1);
        for out in out {
            let sample = self.period.get(self.made % len).copied().unwrap_or(0);
            let faded = (self.by_codec + self.made).saturating_sub(full).min(fade);
            *out = (i64::from(sample) * (fade - faded) as i64 / fade.max(1) as i64) as i16;
            self.made += 1;
        }
    }

    /// The last period of what was heard, its end made to meet its start.
    fn last_period(&self) -> Vec<i16> {
        let (window, end) = (self.samples(WINDOW_US), self.history.len());
        let likeness = |lag: usize| {
            let recent = &self.history[end - window..];
            let earlier = &self.history[end - window - lag..end - lag];
            let (mut cross, mut power) = (0_i64, 1_i64);
            for (&a, &b) in recent.iter().zip(earlier) {
                cross += i64::from(a) * i64::from(b);
                power += i64::from(b) * i64::from(b);
            }
            cross as f64 / (power as f64).sqrt()
        };
        let best_of = |lags: &mut dyn Iterator<Item = usize>| {
            lags.map(|lag| (lag, likeness(lag)))
                .max_by(|one, other| one.1.total_cmp(&other.1))
                .map_or(1, |(lag, _)| lag)
        };
        let (low, high) = (self.samples(SHORTEST_US), self.samples(LONGEST_US));
        let step = (self.rate_hz as usize / 8_000).max(1);
        let around = best_of(&mut (low..=high).step_by(step));
        let lag = best_of(&mut (around.saturating_sub(step).max(low)..=(around + step).min(high)));
        let mut period = self.history[end - lag..].to_vec();
        // The last quarter fades into what stood before the period: the next turn follows smoothly.
        let quarter = lag / 4;
        for at in 0..quarter {
            let (to, share) = (self.history[end - lag - quarter + at], at as i32);
            let sample = &mut period[lag - quarter + at];
            let mixed = i32::from(*sample) * (quarter as i32 - share) + i32::from(to) * share;
            *sample = (mixed / quarter as i32) as i16;
        }
        period
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Goertzel, rms};
    use std::f64::consts::TAU;

    fn sine(rate_hz: u32, tone_hz: f64, from: usize, count: usize) -> Vec<i16> {
        (from..from + count)
            .map(|n| (10_000.0 * (TAU * tone_hz * n as f64 / f64::from(rate_hz)).sin()) as i16)
            .collect()
    }

    #[test]
    fn sixty_milliseconds_go_on_at_full_level_and_then_fade_to_nothing() {
        for rate_hz in [8_000, 16_000, 48_000] {
            let frame = rate_hz as usize / 50;
            for tone_hz in [110.0, 250.0, 440.0, 1_000.0] {
                let mut concealer = Concealer::new(rate_hz);
                for at in 0..10 {
                    concealer.heard(&mut sine(rate_hz, tone_hz, at * frame, frame));
                }
                let mut lost = vec![0; 3 * frame];
                concealer.conceal(&mut lost);
                let level = Goertzel::new(rate_hz, tone_hz).amplitude(&lost);
                assert!(level > 8_000.0, "{tone_hz} at {rate_hz}: {level}");
                assert!(concealer.is_concealing());
                let mut longer = vec![0; 3 * frame];
                concealer.conceal(&mut longer);
                assert!(rms(&longer[2 * frame..]) < 0.35 * rms(&lost));
                concealer.conceal(&mut longer);
                assert!(longer.iter().all(|&sample| sample == 0));
            }
        }
    }

    #[test]
    fn real_sound_is_faded_into_without_a_jump() {
        let mut concealer = Concealer::new(8_000);
        for at in 0..10 {
            concealer.heard(&mut sine(8_000, 200.0, at * 160, 160));
        }
        let mut pcm = vec![0; 160];
        concealer.conceal(&mut pcm);
        let mut next = sine(8_000, 200.0, 20, 160);
        concealer.heard(&mut next);
        pcm.extend(next);
        // A sine of 200 Hz rises by at most 1,571 a sample.
        for pair in pcm.windows(2) {
            assert!((pair[1] - pair[0]).abs() < 2_500, "{pair:?}");
        }
        assert!(!concealer.is_concealing());
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        let mut pcm = [1; 160];
        let mut concealer = Concealer::new(8_000);
        concealer.conceal(&mut pcm);
        assert_eq!(pcm, [0; 160]);
        concealer.heard(&mut [9_000; 160]);
        concealer.reset();
        concealer.conceal(&mut pcm);
        assert_eq!(pcm, [0; 160]);
    }
}
