//! Noise from a seed, and the comfort noise of RFC 3389 made of it.

/// White noise, evenly spread from -1 to 1 (xorshift, Marsaglia 2003).
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    state: u32,
}

impl Noise {
    /// Noise that follows from `seed` alone.
    pub const fn new(seed: u32) -> Self {
        // Zero would stay zero.
        Self { state: seed | 1 }
    }

    /// The next value.
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        f64::from(self.state.cast_signed()) / f64::from(i32::MAX)
    }
}

/// Reflection coefficients of a description, at most (RFC 3389 leaves it open; 12 describe
/// anything at 8 kHz).
pub const MAX_ORDER: usize = 12;

/// One step of a coefficient's code (RFC 3389 section 3.2). The sign is that of predictors which
/// are subtracted, as FFmpeg and WebRTC have it: noise of low frequencies begins below 127.
const STEP: f64 = -258.0 / 32_768.0;

/// What silence sounds like: a level and a spectrum (RFC 3389 section 3).
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseDescription {
    /// Level below overload, 0 to 127 dB.
    pub level: u8,
    /// Reflection coefficients, each inside -1 to 1, positive where neighbouring samples are alike;
    /// none is white noise.
    pub reflection: Vec<f64>,
}

impl NoiseDescription {
    /// Reads a payload; `None` where it is empty. Coefficients beyond [`MAX_ORDER`] are left out.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let (&level, coefficients) = payload.split_first()?;
        Some(Self {
            level: level & 0x7f,
            reflection: coefficients
                .iter()
                .take(MAX_ORDER)
                .map(|&code| STEP * (f64::from(code) - 127.0))
                // The outermost codes stand for one and more, which would ring for ever.
                .map(|value| value.clamp(-0.99, 0.99))
                .collect(),
        })
    }

    /// The payload's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let code = |value: f64| (value / STEP + 127.0).round().clamp(0.0, 254.0);
        let coefficients = self.reflection.iter().take(MAX_ORDER);
        std::iter::once(self.level & 0x7f)
            .chain(coefficients.map(|&value| code(value) as u8))
            .collect()
    }

    /// What these samples sound like, to `order` coefficients.
    pub fn of(pcm: &[i16], order: usize) -> Self {
        let level = (-crate::level_dbov(pcm)).round().clamp(0.0, 127.0) as u8;
        let order = order.min(MAX_ORDER).min(pcm.len().saturating_sub(1));
        let correlations: Vec<f64> = (0..=order).map(|lag| correlation(pcm, lag)).collect();
        Self {
            level,
            reflection: reflection_of(&correlations),
        }
    }
}

/// How much a frame counts in what is measured over several.
const NEW_SHARE: f64 = 0.1;

/// Power and autocorrelations of noise over some frames, up to `LAGS - 1` samples apart.
#[derive(Clone, Debug)]
pub(crate) struct Autocorrelation<const LAGS: usize> {
    /// Means over samples; none before the first frame.
    mean: Option<[f64; LAGS]>,
}

impl<const LAGS: usize> Autocorrelation<LAGS> {
    pub(crate) const fn new() -> Self {
        Self { mean: None }
    }

    /// Takes a frame into account; the more that have come since, the less an old one counts.
    pub(crate) fn add(&mut self, pcm: &[i16]) {
        if pcm.is_empty() {
            return;
        }
        let len = pcm.len() as f64;
        let frame = std::array::from_fn(|lag| correlation(pcm, lag) / len);
        let Some(mean) = &mut self.mean else {
            self.mean = Some(frame);
            return;
        };
        for (mean, frame) in mean.iter_mut().zip(frame) {
            *mean += NEW_SHARE * (frame - *mean);
        }
    }

    /// What they sound like; silence before the first frame.
    pub(crate) fn description(&self) -> NoiseDescription {
        let mean = self.mean.unwrap_or([0.0; LAGS]);
        let level = mean[0].max(0.0).sqrt() / 32_768.0;
        NoiseDescription {
            level: (-20.0 * level.max(1e-9).log10()).round().clamp(0.0, 127.0) as u8,
            reflection: reflection_of(&mean),
        }
    }
}

/// Sum of the products of samples that are `lag` apart.
fn correlation(pcm: &[i16], lag: usize) -> f64 {
    let shifted = pcm.iter().skip(lag);
    pcm.iter()
        .zip(shifted)
        .map(|(&a, &b)| f64::from(a) * f64::from(b))
        .sum()
}

/// Levinson's recursion: reflection coefficients from autocorrelations.
fn reflection_of(correlations: &[f64]) -> Vec<f64> {
    let mut error = correlations[0] * 1.000_1 + 1e-9;
    let mut predictor = [0.0; MAX_ORDER];
    let mut reflection = Vec::with_capacity(correlations.len());
    for order in 1..correlations.len() {
        let rest: f64 = (1..order)
            .map(|at| predictor[at - 1] * correlations[order - at])
            .sum();
        let k = ((correlations[order] - rest) / error).clamp(-0.99, 0.99);
        let before = predictor;
        for at in 1..order {
            predictor[at - 1] = before[at - 1] - k * before[order - 1 - at];
        }
        predictor[order - 1] = k;
        error *= 1.0 - k * k;
        reflection.push(k);
    }
    reflection
}

/// Sounds like a description. Changes of it are faded in over a frame.
#[derive(Clone, Debug)]
pub struct ComfortNoise {
    noise: Noise,
    reflection: [f64; MAX_ORDER],
    /// The lattice's delayed values.
    backward: [f64; MAX_ORDER + 1],
    gain: f64,
    target: f64,
}

impl ComfortNoise {
    /// Silence until it is described; the noise follows from `seed`.
    pub const fn new(seed: u32) -> Self {
        Self {
            noise: Noise::new(seed),
            reflection: [0.0; MAX_ORDER],
            backward: [0.0; MAX_ORDER + 1],
            gain: 0.0,
            target: 0.0,
        }
    }

    /// Sounds like `description` from now on.
    pub fn describe(&mut self, description: &NoiseDescription) {
        self.reflection = [0.0; MAX_ORDER];
        let mut left = 1.0;
        for (to, &k) in self.reflection.iter_mut().zip(&description.reflection) {
            *to = k.clamp(-0.99, 0.99);
            left *= 1.0 - *to * *to;
        }
        // White noise spread evenly has a third of its peak's power; the lattice adds 1/left.
        let wanted = 32_768.0 * 10_f64.powf(-f64::from(description.level) / 20.0);
        self.target = wanted * (3.0 * left).sqrt();
    }

    /// Writes noise over `out`.
    pub fn fill(&mut self, out: &mut [i16]) {
        let step = (self.target - self.gain) / out.len().max(1) as f64;
        for out in out {
            self.gain += step;
            let mut forward = self.noise.next() * self.gain;
            for at in (0..MAX_ORDER).rev() {
                let k = self.reflection[at];
                forward += k * self.backward[at];
                self.backward[at + 1] = self.backward[at] - k * forward;
            }
            self.backward[0] = forward;
            *out = forward.clamp(-32_768.0, 32_767.0) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Goertzel, level_dbov};

    fn sounding(description: &NoiseDescription) -> Vec<i16> {
        let mut noise = ComfortNoise::new(5);
        noise.describe(description);
        let mut pcm = vec![0; 16_000];
        for frame in pcm.chunks_mut(160) {
            noise.fill(frame);
        }
        pcm
    }

    #[test]
    fn the_layout_is_that_of_rfc_3389() {
        let description = NoiseDescription::parse(&[0xc0, 127, 0, 255]).unwrap();
        assert_eq!(description.level, 0x40, "the top bit is not of the level");
        let expected = [0.0, 0.99, -0.99];
        for (value, expected) in description.reflection.iter().zip(expected) {
            assert!((value - expected).abs() < 0.001, "{value}");
        }
        assert_eq!(NoiseDescription::parse(&[]), None);
        assert_eq!(
            NoiseDescription::parse(&[60; 200])
                .unwrap()
                .reflection
                .len(),
            MAX_ORDER
        );
    }

    #[test]
    fn noise_has_the_level_and_the_spectrum_described() {
        for level in [30, 50, 70] {
            let white = NoiseDescription {
                level,
                reflection: vec![],
            };
            let heard = -level_dbov(&sounding(&white)[320..]);
            assert!((heard - f64::from(level)).abs() < 1.0, "{heard} of {level}");
            let dull = NoiseDescription {
                level,
                reflection: vec![0.9],
            };
            let heard = -level_dbov(&sounding(&dull)[320..]);
            assert!((heard - f64::from(level)).abs() < 1.5, "{heard} of {level}");
        }
        let dull = sounding(&NoiseDescription {
            level: 30,
            reflection: vec![0.9],
        });
        let around = |from_hz: u32| -> f64 {
            (0..100)
                .map(|n| {
                    Goertzel::new(8_000, f64::from(from_hz + n))
                        .amplitude(&dull)
                        .powi(2)
                })
                .sum()
        };
        assert!(around(200) > 50.0 * around(3_500));
    }

    #[test]
    fn a_description_of_noise_comes_back_from_its_sound() {
        let described = NoiseDescription {
            level: 45,
            reflection: vec![0.7, -0.3, 0.1],
        };
        let again = NoiseDescription::of(&sounding(&described)[320..], 3);
        let crossed = NoiseDescription::parse(&again.to_bytes()).unwrap();
        assert!(crossed.level.abs_diff(45) <= 1);
        for (got, meant) in crossed.reflection.iter().zip(&described.reflection) {
            assert!((got - meant).abs() < 0.06, "{:?}", crossed.reflection);
        }
    }

    #[test]
    fn dull_noise_has_the_sign_that_ffmpeg_gives_it() {
        // FFmpeg 9's `comfortnoise` makes 21 6a 78 80 82 of such noise (PyAV 18.1); it smooths the
        // spectrum before, so only the sign can agree.
        let mut noise = Noise::new(1);
        let mut last = 0.0;
        let pcm: Vec<i16> = (0..640)
            .map(|_| {
                last = 0.8 * last + 500.0 * noise.next();
                last as i16
            })
            .collect();
        assert!(
            NoiseDescription::of(&pcm, 4).to_bytes()[1] < 0x6a,
            "below 127"
        );
    }

    #[test]
    fn silence_is_described_as_silence() {
        let description = NoiseDescription::of(&[0; 160], 4);
        assert_eq!(description.level, 127);
        assert!(
            sounding(&description)
                .iter()
                .all(|&sample| sample.abs() <= 1)
        );
        assert_eq!(NoiseDescription::of(&[], 4).level, 127);
    }
}
