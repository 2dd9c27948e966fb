//! How loud samples are, and making them louder or quieter.

use crate::rms;

/// The level of samples against full scale, in decibels (dBov as RFC 6464 has it): 0 is the
/// loudest, -127 is silence.
pub fn level_dbov(pcm: &[i16]) -> f64 {
    let level = rms(pcm) / 32_768.0;
    (20.0 * level.max(1e-9).log10()).max(-127.0)
}

/// A factor on samples that moves to where it is set over one block, so that it does not click.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gain {
    now: f32,
    target: f32,
}

impl Gain {
    /// A gain of `db` decibels.
    pub fn new(db: f32) -> Self {
        let factor = factor_of(db);
        Self {
            now: factor,
            target: factor,
        }
    }

    /// Moves to `db` decibels over the next block.
    pub fn set(&mut self, db: f32) {
        self.target = factor_of(db);
    }

    /// Where it is set to, in decibels.
    pub fn db(&self) -> f32 {
        20.0 * self.target.max(1e-6).log10()
    }

    /// Applies it in place; what would be louder than full scale is cut there.
    pub fn apply(&mut self, pcm: &mut [i16]) {
        if (self.now - 1.0).abs() < 1e-4 && (self.target - 1.0).abs() < 1e-4 {
            return;
        }
        let step = (self.target - self.now) / pcm.len().max(1) as f32;
        for sample in pcm {
            self.now += step;
            let value = f32::from(*sample) * self.now;
            *sample = value.round().clamp(-32_768.0, 32_767.0) as i16;
        }
        self.now = self.target;
    }
}

fn factor_of(db: f32) -> f32 {
    10_f32.powf(db.clamp(-120.0, 40.0) / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_scale_is_nought_and_silence_the_least() {
        assert!(level_dbov(&[-32_768; 100]).abs() < 0.001);
        assert!((level_dbov(&[3_277; 100]) + 20.0).abs() < 0.01);
        assert!((level_dbov(&[0; 100]) + 127.0).abs() < 0.001);
        assert!((level_dbov(&[]) + 127.0).abs() < 0.001);
    }

    #[test]
    fn gain_moves_without_a_step_and_cuts_at_full_scale() {
        let mut gain = Gain::new(0.0);
        let mut pcm = [10_000; 160];
        gain.apply(&mut pcm);
        assert_eq!(pcm, [10_000; 160]);
        gain.set(6.0);
        gain.apply(&mut pcm);
        let steps = pcm.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(steps.into_iter().all(|step| (0..100).contains(&step)));
        let mut pcm = [10_000, 30_000, -30_000];
        gain.apply(&mut pcm);
        assert_eq!(pcm, [19_953, 32_767, -32_768]);
        assert!((gain.db() - 6.0).abs() < 0.01);
    }
}
