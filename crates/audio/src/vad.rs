//! Whether somebody speaks.

use crate::level_dbov;

/// A frame this far above the noise is speech, in decibels.
const ABOVE_NOISE_DB: f64 = 9.0;

/// Quieter than this is never speech, in dBov.
const QUIETEST_DBOV: f64 = -60.0;

/// Louder than this always is: a tone or music never lets the noise be heard, in dBov.
const ALWAYS_DBOV: f64 = -35.0;

/// Speech lasts this long beyond its last loud frame, so that word ends are not cut, in
/// milliseconds.
const HANGOVER_MS: u32 = 300;

/// How fast the noise is believed to rise, in decibels a second; it falls at once.
const NOISE_RISES_DB_A_SECOND: f64 = 3.0;

/// Listens for speech by its level above the noise under it. Inputs: frames. Output: whether each
/// belongs to speech, and its level.
#[derive(Clone, Debug)]
pub struct VoiceDetector {
    rate_hz: u32,
    noise_dbov: f64,
    level_dbov: f64,
    /// Milliseconds for which speech still lasts.
    left_ms: u32,
}

impl VoiceDetector {
    /// Listens to frames at `rate_hz`.
    pub const fn new(rate_hz: u32) -> Self {
        Self {
            rate_hz,
            noise_dbov: QUIETEST_DBOV,
            level_dbov: -127.0,
            left_ms: 0,
        }
    }

    /// Listens to one frame: whether it belongs to speech.
    pub fn handle(&mut self, pcm: &[i16]) -> bool {
        let level = level_dbov(pcm);
        let length_ms = (pcm.len() as u32 * 1000) / self.rate_hz;
        self.level_dbov = level;
        if level < self.noise_dbov {
            // Half way each frame: one quiet frame is no new noise floor.
            // Below what can matter it is not followed: noise behind silence would be speech for long.
            self.noise_dbov =
                f64::midpoint(self.noise_dbov, level).max(QUIETEST_DBOV - ABOVE_NOISE_DB);
        } else {
            self.noise_dbov += NOISE_RISES_DB_A_SECOND * f64::from(length_ms) / 1000.0;
            self.noise_dbov = self.noise_dbov.min(level);
        }
        let threshold = (self.noise_dbov + ABOVE_NOISE_DB).clamp(QUIETEST_DBOV, ALWAYS_DBOV);
        if level >= threshold {
            self.left_ms = HANGOVER_MS;
        } else {
            self.left_ms = self.left_ms.saturating_sub(length_ms);
        }
        self.left_ms > 0
    }

    /// Whether the last frame belonged to speech.
    pub const fn is_speech(&self) -> bool {
        self.left_ms > 0
    }

    /// Whether the last frame was loud enough to be speech by itself, and not by what came before it.
    pub const fn is_loud(&self) -> bool {
        self.left_ms == HANGOVER_MS
    }

    /// The last frame's level as RFC 6464 sends it: 0 is the loudest, 127 silence.
    pub fn level(&self) -> u8 {
        (-self.level_dbov).round().clamp(0.0, 127.0) as u8
    }

    /// The level of the noise, in dBov.
    pub const fn noise_dbov(&self) -> f64 {
        self.noise_dbov
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Noise;

    fn noise(seed: &mut Noise, peak: f64) -> Vec<i16> {
        (0..160).map(|_| (seed.next() * peak) as i16).collect()
    }

    #[test]
    fn speech_above_noise_is_found_and_lasts_a_little() {
        let mut seed = Noise::new(3);
        let mut detector = VoiceDetector::new(8_000);
        // Noise at -45 dBov, then words 20 dB above it.
        for _ in 0..500 {
            detector.handle(&noise(&mut seed, 320.0));
        }
        let heard = (0..250).filter(|_| detector.handle(&noise(&mut seed, 320.0)));
        assert_eq!(heard.count(), 0, "noise is no speech");
        for _ in 0..10 {
            assert!(detector.handle(&noise(&mut seed, 3_200.0)));
        }
        let lasts = (0..100).filter(|_| detector.handle(&noise(&mut seed, 320.0)));
        assert_eq!(lasts.count() as u32, HANGOVER_MS / 20 - 1);
    }

    #[test]
    fn noise_that_begins_after_nothing_at_all_is_soon_no_speech() {
        let mut seed = Noise::new(4);
        let mut detector = VoiceDetector::new(8_000);
        for _ in 0..500 {
            detector.handle(&[0; 160]);
        }
        // At -45 dBov: above -60, so that it is speech until the floor has risen to it.
        let speech = (0..1_000).filter(|_| detector.handle(&noise(&mut seed, 320.0)));
        assert!((100..350).contains(&speech.count()));
    }

    #[test]
    fn silence_is_no_speech_and_a_loud_tone_always_is() {
        let mut detector = VoiceDetector::new(8_000);
        assert!((0..100).all(|_| !detector.handle(&[0; 160])));
        assert_eq!(detector.level(), 127);
        let tone: Vec<i16> = (0..160)
            .map(|n| if n / 10 % 2 == 0 { 8_000 } else { -8_000 })
            .collect();
        assert!((0..3_000).all(|_| detector.handle(&tone)), "for a minute");
        assert_eq!(detector.level(), 12);
    }
}
