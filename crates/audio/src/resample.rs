//! Sampling rates into one another: integer ratios, polyphase.
//!
//! One windowed-sinc filter (Kaiser) is computed for each pair of rates and shared by all who use
//! it. Its stop band begins at the lower rate's Nyquist frequency, so nothing folds back; the price
//! is a pass band that ends at 83 % of it (3.3 kHz of 4). The delay is [`HALF_TAPS`] samples of the
//! lower rate: 3 ms at 8 kHz.

use crate::codec::{CodecError, RATES_HZ};
use std::f64::consts::PI;
use std::sync::OnceLock;
use wide::{i16x8, i32x4};

/// The filter's reach to either side, in samples of the lower rate.
pub const HALF_TAPS: usize = 24;

/// Attenuation that the window is designed for, in decibels; rounding coefficients to 16 bits
/// costs some of it.
const ATTENUATION_DB: f64 = 68.0;

/// The filter between two rates, cut into phases.
#[derive(Debug)]
struct Filter {
    /// Steps of the input, in units of `1 / up`, from one output to the next.
    down: usize,
    /// Phases: outputs for each `down` inputs.
    up: usize,
    /// Coefficients of each phase, oldest sample first.
    taps: usize,
    phases: Vec<i16>,
    /// Bits behind the point of a coefficient.
    shift: u32,
}

impl Filter {
    fn new(from_hz: u32, to_hz: u32) -> Self {
        let common = gcd(from_hz, to_hz);
        let (up, down) = ((to_hz / common) as usize, (from_hz / common) as usize);
        let taps = (2 * HALF_TAPS * up.max(down)).div_ceil(up);
        let len = taps * up;
        // In cycles a sample of the common rate `from_hz * up`.
        let nyquist = 0.5 / up.max(down) as f64;
        let width = (ATTENUATION_DB - 8.0) / (2.285 * len as f64) / (2.0 * PI);
        let cutoff = nyquist - width / 2.0;
        let beta = 0.1102 * (ATTENUATION_DB - 8.7);
        let centre = (len - 1) as f64 / 2.0;
        let tap = |at: usize| {
            let from_centre = at as f64 - centre;
            let window = bessel(beta * (1.0 - (from_centre / centre).powi(2)).max(0.0).sqrt());
            window * sinc(2.0 * cutoff * from_centre)
        };
        // Each phase passes a constant unchanged, or a constant would come out as a tone.
        let phases: Vec<Vec<f64>> = (0..up)
            .map(|phase| {
                let taps: Vec<f64> = (0..taps).rev().map(|at| tap(at * up + phase)).collect();
                let sum: f64 = taps.iter().sum();
                taps.into_iter().map(|tap| tap / sum).collect()
            })
            .collect();
        // The sum of products must fit 32 bits whatever the samples are.
        let most = phases
            .iter()
            .map(|taps| taps.iter().map(|tap| tap.abs()).sum::<f64>())
            .fold(0.0, f64::max);
        let shift = if most < 1.99 { 15 } else { 14 };
        let one = f64::from(1 << shift);
        Self {
            down,
            up,
            taps,
            phases: phases
                .iter()
                .flatten()
                .map(|tap| (tap * one).round() as i16)
                .collect(),
            shift,
        }
    }

    /// The filter between two of [`RATES_HZ`].
    fn shared(from_hz: u32, to_hz: u32) -> Result<&'static Self, CodecError> {
        const RATES: usize = RATES_HZ.len();
        static FILTERS: [OnceLock<Filter>; RATES * RATES] = [const { OnceLock::new() }; 16];
        let index = |rate_hz: u32| {
            let found = RATES_HZ.iter().position(|&known| known == rate_hz);
            found.ok_or(CodecError::UnsupportedRate { rate_hz })
        };
        let at = index(from_hz)? * RATES + index(to_hz)?;
        Ok(FILTERS[at].get_or_init(|| Self::new(from_hz, to_hz)))
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 {
        1.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

/// The modified Bessel function of order zero, by its series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..40 {
        term *= (x / (2.0 * f64::from(n))).powi(2);
        sum += term;
    }
    sum
}

/// Changes the sampling rate of one stream of samples. Inputs: blocks of any length. Outputs: what
/// they make, to the sample: a block at 48 kHz gives a sixth at 8 kHz. Equal rates pass through.
#[derive(Clone, Debug)]
pub struct Resampler {
    filter: Option<&'static Filter>,
    /// The last samples, and behind them the block at work.
    samples: Vec<i16>,
    /// Where the next output lies: samples from the block's start, and the filter's phase.
    next: usize,
    phase: usize,
}

impl Resampler {
    /// Between two of [`RATES_HZ`].
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, CodecError> {
        let filter = Filter::shared(from_hz, to_hz)?;
        let filter = (from_hz != to_hz).then_some(filter);
        Ok(Self {
            filter,
            samples: vec![0; filter.map_or(0, |filter| filter.taps - 1)],
            next: 0,
            phase: 0,
        })
    }

    /// Whether samples pass unchanged.
    pub const fn is_identity(&self) -> bool {
        self.filter.is_none()
    }

    /// Takes a block and appends what it makes to `out`.
    pub fn process(&mut self, pcm: &[i16], out: &mut Vec<i16>) {
        let Some(filter) = self.filter else {
            out.extend_from_slice(pcm);
            return;
        };
        let kept = self.samples.len();
        self.samples.extend_from_slice(pcm);
        let before = out.len();
        let left = (pcm.len() * filter.up).saturating_sub(self.next * filter.up + self.phase);
        out.resize(before + left.div_ceil(filter.down), 0);
        let out = &mut out[before..];
        // A length known to the compiler is a loop that is none: 48 is that of all rising rates.
        match filter.taps {
            48 => self.run::<48>(filter, out),
            72 => self.run::<72>(filter, out),
            96 => self.run::<96>(filter, out),
            144 => self.run::<144>(filter, out),
            _ => self.run::<288>(filter, out),
        }
        self.next -= pcm.len();
        self.samples.copy_within(pcm.len().., 0);
        self.samples.truncate(kept);
    }

    fn run<const TAPS: usize>(&mut self, filter: &Filter, out: &mut [i16]) {
        let (phases, _) = filter.phases.as_chunks::<TAPS>();
        let half = 1 << (filter.shift - 1);
        let (whole, part) = (filter.down / filter.up, filter.down % filter.up);
        for out in out {
            let Some(window) = self.samples[self.next..].first_chunk::<TAPS>() else {
                return;
            };
            let value = (dot(&phases[self.phase], window) + half) >> filter.shift;
            *out = value.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
            self.next += whole;
            self.phase += part;
            if self.phase >= filter.up {
                self.phase -= filter.up;
                self.next += 1;
            }
        }
    }

    /// Forgets what came before.
    pub fn reset(&mut self) {
        self.samples.fill(0);
        (self.next, self.phase) = (0, 0);
    }
}

/// The sum of products; the filter's shift keeps it inside 32 bits.
#[inline]
fn dot<const TAPS: usize>(taps: &[i16; TAPS], samples: &[i16; TAPS]) -> i32 {
    let (taps, _) = taps.as_chunks::<8>();
    let (samples, _) = samples.as_chunks::<8>();
    taps.iter()
        .zip(samples)
        .fold(i32x4::ZERO, |sum, (&taps, &samples)| {
            sum + i16x8::new(taps).dot(i16x8::new(samples))
        })
        .reduce_add()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Goertzel, rms};
    use proptest::prelude::*;
    use std::f64::consts::TAU;

    const AMPLITUDE: f64 = 16_000.0;

    fn sine(rate_hz: u32, tone_hz: f64) -> Vec<i16> {
        (0..rate_hz)
            .map(|n| {
                (AMPLITUDE * (TAU * tone_hz * f64::from(n) / f64::from(rate_hz)).sin()).round()
                    as i16
            })
            .collect()
    }

    fn resample(pcm: &[i16], from_hz: u32, to_hz: u32) -> Vec<i16> {
        let mut out = Vec::new();
        Resampler::new(from_hz, to_hz)
            .unwrap()
            .process(pcm, &mut out);
        out
    }

    fn db(ratio: f64) -> f64 {
        20.0 * ratio.max(1e-9).log10()
    }

    fn pairs() -> impl Iterator<Item = (u32, u32)> {
        RATES_HZ
            .into_iter()
            .flat_map(|from| RATES_HZ.into_iter().map(move |to| (from, to)))
            .filter(|(from, to)| from != to)
    }

    #[test]
    fn a_tone_in_the_pass_band_keeps_its_level_and_brings_nothing_with_it() {
        for (from, to) in pairs() {
            let lower = f64::from(from.min(to));
            for tone_hz in [100.0, 1_000.0, (lower * 0.41 / 10.0).round() * 10.0] {
                let out = resample(&sine(from, tone_hz), from, to);
                assert_eq!(out.len(), to as usize);
                let steady = &out[to as usize / 2..];
                let level = Goertzel::new(to, tone_hz).amplitude(steady);
                let change = db(level / AMPLITUDE);
                assert!(change.abs() < 0.1, "{from} to {to}, {tone_hz}: {change} dB");
                let rest = (rms(steady).powi(2) - level * level / 2.0).max(0.0).sqrt();
                let rest = db(rest / (AMPLITUDE / 2_f64.sqrt()));
                assert!(rest < -60.0, "{from} to {to}, {tone_hz}: {rest} dB beside");
            }
        }
    }

    #[test]
    fn a_tone_above_the_lower_rates_nyquist_frequency_is_gone() {
        for (from, to) in pairs().filter(|(from, to)| from > to) {
            let nyquist = f64::from(to) / 2.0;
            for tone_hz in [
                nyquist + 20.0,
                nyquist * 1.25,
                (nyquist * 1.9).min(f64::from(from) / 2.0 - 100.0),
            ] {
                let out = resample(&sine(from, tone_hz), from, to);
                let left = db(rms(&out[to as usize / 2..]) / (AMPLITUDE / 2_f64.sqrt()));
                assert!(left < -60.0, "{from} to {to}: {left} dB of {tone_hz} Hz");
            }
        }
    }

    #[test]
    fn the_delay_is_what_is_said() {
        for (from, to) in pairs() {
            let mut pcm = vec![0; from as usize / 10];
            pcm[from as usize / 100] = 32_000;
            let out = resample(&pcm, from, to);
            let peak = (0..out.len()).max_by_key(|&at| out[at]).unwrap();
            let delay = peak as f64 / f64::from(to) - 0.01;
            let said = HALF_TAPS as f64 / f64::from(from.min(to));
            assert!(
                (delay - said).abs() < 1.1 / f64::from(from.min(to)),
                "{from} to {to}: {delay} s, not {said}"
            );
        }
    }

    #[test]
    fn a_constant_stays_constant_and_full_scale_does_not_overflow() {
        for (from, to) in pairs() {
            let out = resample(&vec![20_000; 1_200], from, to);
            let steady = &out[out.len() * 3 / 4..];
            assert!(
                steady.iter().all(|&sample| (sample - 20_000).abs() <= 20),
                "{from} to {to}: {steady:?}"
            );
            // The worst that can come: each sample of full scale with the sign of its tap.
            let filter = Filter::shared(from, to).unwrap();
            assert!([48, 72, 96, 144, 288].contains(&filter.taps));
            for taps in filter.phases.chunks_exact(filter.taps) {
                let worst: i64 = taps.iter().map(|&tap| i64::from(tap).abs() << 15).sum();
                assert!(worst + (1 << 14) < i64::from(i32::MAX));
            }
        }
    }

    #[test]
    fn rates_that_are_none_of_ours_are_refused() {
        let refused = CodecError::UnsupportedRate { rate_hz: 44_100 };
        assert_eq!(Resampler::new(44_100, 8_000).err(), Some(refused));
        assert_eq!(Resampler::new(8_000, 44_100).err(), Some(refused));
        assert!(Resampler::new(8_000, 8_000).unwrap().is_identity());
    }

    proptest! {
        #[test]
        fn blocks_may_be_cut_anywhere(
            pcm in prop::collection::vec(any::<i16>(), 0..2_000),
            cuts in prop::collection::vec(0_usize..2_000, 0..6),
            pair in 0_usize..12,
        ) {
            let (from, to) = pairs().nth(pair).unwrap();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(pcm.len())).collect();
            cuts.sort_unstable();
            let mut resampler = Resampler::new(from, to).unwrap();
            let (mut out, mut start) = (Vec::new(), 0);
            for cut in cuts.into_iter().chain([pcm.len()]) {
                resampler.process(&pcm[start..cut], &mut out);
                start = cut;
            }
            prop_assert_eq!(out, resample(&pcm, from, to));
        }
    }
}
