//! Makes quiet voices louder and loud ones quieter.

use crate::{Gain, VoiceDetector, level_dbov};

/// What AGC aims at, and how far it goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgcConfig {
    /// The level that speech shall have, in dBov.
    pub target_dbov: f64,
    /// The most it amplifies, in decibels.
    pub most_db: f64,
    /// The most it attenuates, in decibels.
    pub least_db: f64,
}

impl Default for AgcConfig {
    fn default() -> Self {
        Self {
            target_dbov: -20.0,
            most_db: 20.0,
            least_db: -15.0,
        }
    }
}

/// Decibels a second that the gain rises: slow, or pauses between words would breathe.
const RISES_DB_A_SECOND: f64 = 6.0;

/// Decibels a second that it falls: fast, for loud sounds hurt.
const FALLS_DB_A_SECOND: f64 = 40.0;

/// A frame's peak, after gain, stays below this; what is louder would be cut.
const HEADROOM: f64 = 30_000.0;

/// Automatic gain. Inputs: frames, changed in place. Between words the gain stays, so noise is not
/// pulled up.
#[derive(Clone, Debug)]
pub struct Agc {
    config: AgcConfig,
    rate_hz: u32,
    voice: VoiceDetector,
    gain: Gain,
    gain_db: f64,
    /// The level of speech, smoothed over about a second, in dBov.
    speech_dbov: Option<f64>,
}

impl Agc {
    /// Works on frames at `rate_hz`.
    pub fn new(rate_hz: u32, config: AgcConfig) -> Self {
        Self {
            config,
            rate_hz,
            voice: VoiceDetector::new(rate_hz),
            gain: Gain::new(0.0),
            gain_db: 0.0,
            speech_dbov: None,
        }
    }

    /// The gain now, in decibels.
    pub const fn gain_db(&self) -> f64 {
        self.gain_db
    }

    /// Works on one frame in place.
    pub fn process(&mut self, pcm: &mut [i16]) {
        let seconds = pcm.len() as f64 / f64::from(self.rate_hz);
        self.voice.handle(pcm);
        let level = level_dbov(pcm);
        // The hangover's quiet frames are no measure of speech.
        if self.voice.is_speech() && level > self.voice.noise_dbov() + 3.0 && level > -60.0 {
            let before = self.speech_dbov.unwrap_or(level);
            let smoothed = before + (level - before) * seconds.min(1.0);
            self.speech_dbov = Some(smoothed.max(level - 15.0));
            let wanted = (self.config.target_dbov - smoothed)
                .clamp(self.config.least_db, self.config.most_db);
            let change = wanted - self.gain_db;
            self.gain_db += change.clamp(-FALLS_DB_A_SECOND * seconds, RISES_DB_A_SECOND * seconds);
        }
        let peak = pcm.iter().map(|sample| sample.unsigned_abs()).max();
        if let Some(peak) = peak.filter(|&peak| peak > 0) {
            self.gain_db = self
                .gain_db
                .min(20.0 * (HEADROOM / f64::from(peak)).log10());
        }
        self.gain.set(self.gain_db as f32);
        self.gain.apply(pcm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Noise;

    /// Syllables of noise with pauses: half a second of each.
    fn speak(seed: &mut Noise, peak: f64, frame: usize) -> Vec<i16> {
        let loud = if (frame / 25).is_multiple_of(2) {
            peak
        } else {
            20.0
        };
        (0..160).map(|_| (seed.next() * loud) as i16).collect()
    }

    fn level_after(peak: f64, seconds: usize) -> f64 {
        let mut seed = Noise::new(11);
        let mut agc = Agc::new(8_000, AgcConfig::default());
        let mut level = -127.0_f64;
        for frame in 0..seconds * 50 {
            let mut pcm = speak(&mut seed, peak, frame);
            agc.process(&mut pcm);
            if (frame / 25).is_multiple_of(2) {
                level = level_dbov(&pcm);
            }
        }
        level
    }

    #[test]
    fn quiet_and_loud_voices_come_to_the_same_level() {
        for peak in [1_200.0, 4_000.0, 20_000.0] {
            let level = level_after(peak, 20);
            assert!((level + 20.0).abs() < 3.0, "{level} dBov of peak {peak}");
        }
    }

    #[test]
    fn noise_between_words_is_not_pulled_up() {
        let mut seed = Noise::new(2);
        let mut agc = Agc::new(8_000, AgcConfig::default());
        for frame in 0..500 {
            agc.process(&mut speak(&mut seed, 2_000.0, frame));
        }
        let gain = agc.gain_db();
        for _ in 0..500 {
            let mut pcm: Vec<i16> = (0..160).map(|_| (seed.next() * 20.0) as i16).collect();
            agc.process(&mut pcm);
        }
        assert!(
            (agc.gain_db() - gain).abs() < 0.1,
            "{gain}, then {}",
            agc.gain_db()
        );
    }

    #[test]
    fn a_shout_after_whispers_is_not_cut() {
        let mut seed = Noise::new(9);
        let mut agc = Agc::new(8_000, AgcConfig::default());
        for frame in 0..1_000 {
            agc.process(&mut speak(&mut seed, 1_000.0, frame));
        }
        assert!(agc.gain_db() > 10.0);
        let mut shout: Vec<i16> = (0..160).map(|_| (seed.next() * 25_000.0) as i16).collect();
        agc.process(&mut shout);
        let mut shout: Vec<i16> = (0..160).map(|_| (seed.next() * 25_000.0) as i16).collect();
        agc.process(&mut shout);
        assert!(shout.iter().all(|sample| sample.unsigned_abs() < 32_000));
    }
}
