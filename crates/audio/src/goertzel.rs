//! How much of one frequency is in a block of samples.

use std::f64::consts::TAU;

/// Looks for one frequency (Goertzel 1958): a resonator of two additions and a multiplication a
/// sample, where a transform would look for all.
#[derive(Clone, Copy, Debug)]
pub struct Goertzel {
    coefficient: f64,
}

impl Goertzel {
    /// Looks for `tone_hz` in samples at `rate_hz`.
    pub fn new(rate_hz: u32, tone_hz: f64) -> Self {
        Self {
            coefficient: 2.0 * (TAU * tone_hz / f64::from(rate_hz)).cos(),
        }
    }

    /// The peak amplitude of the tone, in sample units, if the block held only that.
    pub fn amplitude(self, pcm: &[i16]) -> f64 {
        self.amplitude_of(pcm.iter().map(|&sample| f64::from(sample)))
    }

    /// The same through a Hann window: what lies at least two bins (`2 * rate / samples`) away
    /// does not show. Loud neighbours are told apart from the tone by this.
    pub fn windowed_amplitude(self, pcm: &[i16]) -> f64 {
        let step = TAU / pcm.len() as f64;
        // The window's mean is a half.
        2.0 * self.amplitude_of(
            pcm.iter().enumerate().map(|(n, &sample)| {
                f64::from(sample) * (0.5 - 0.5 * (step * (n as f64 + 0.5)).cos())
            }),
        )
    }

    fn amplitude_of(self, samples: impl Iterator<Item = f64>) -> f64 {
        let (mut last, mut before, mut count) = (0.0_f64, 0.0_f64, 0_u32);
        for sample in samples {
            (last, before) = (sample + self.coefficient * last - before, last);
            count += 1;
        }
        if count == 0 {
            return 0.0;
        }
        let power = last * last + before * before - self.coefficient * last * before;
        2.0 * power.max(0.0).sqrt() / f64::from(count)
    }
}

/// The root of the mean square of samples, in sample units; 0 for none.
pub fn rms(pcm: &[i16]) -> f64 {
    if pcm.is_empty() {
        return 0.0;
    }
    let sum: f64 = pcm
        .iter()
        .map(|&sample| f64::from(sample) * f64::from(sample))
        .sum();
    (sum / pcm.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(rate_hz: u32, tone_hz: f64, amplitude: f64, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|n| {
                (amplitude * (TAU * tone_hz * n as f64 / f64::from(rate_hz)).sin()).round() as i16
            })
            .collect()
    }

    #[test]
    fn a_tone_is_found_at_its_amplitude_and_not_beside_it() {
        let pcm = sine(8_000, 440.0, 10_000.0, 8_000);
        let found = Goertzel::new(8_000, 440.0).amplitude(&pcm);
        assert!((found - 10_000.0).abs() < 5.0, "{found}");
        for beside in [100.0, 430.0, 450.0, 880.0, 3_900.0] {
            let found = Goertzel::new(8_000, beside).windowed_amplitude(&pcm);
            assert!(found < 5.0, "{found} at {beside}");
        }
    }

    #[test]
    fn the_mean_square_of_a_sine_is_half_its_amplitudes() {
        let level = rms(&sine(8_000, 1_000.0, 10_000.0, 800));
        assert!((level - 10_000.0 / 2_f64.sqrt()).abs() < 1.0, "{level}");
        assert!(rms(&[]).abs() < f64::EPSILON);
        assert!(Goertzel::new(8_000, 440.0).amplitude(&[]).abs() < f64::EPSILON);
    }
}
