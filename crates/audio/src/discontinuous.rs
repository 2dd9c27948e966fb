//! Silence that is not sent but described (RFC 3389).

use crate::noise::Autocorrelation;
use crate::{NoiseDescription, VoiceDetector};

/// Reflection coefficients of a description: as many as give the tilt of a room's noise, and one peak.
const ORDER: usize = 4;

/// The noise is described anew at least this often, in milliseconds: it may have changed slowly, the
/// description may have been lost, and a way through a NAT has to be kept open.
const REPEAT_MS: u32 = 1_000;

/// It is described sooner when its level has changed by this much, in decibels, but not more often
/// than in so many milliseconds.
const CHANGE_DB: u8 = 4;
const LEAST_MS: u32 = 200;

/// What is to be sent of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// The frame: somebody speaks.
    Sound,
    /// A description of the noise in its place.
    Noise,
    /// Nothing: the noise goes on as it was described.
    Nothing,
}

/// Decides which frames are sent. Inputs: frames of what would be sent. Output: what is to be sent
/// of each. Order: that of the sound.
///
/// Speech is found by [`VoiceDetector`], whose hangover keeps the ends of words. Noise is measured in
/// frames that are not loud, the hangover's among them, so that its first description is true.
#[derive(Clone, Debug)]
pub struct DiscontinuousSender {
    rate_hz: u32,
    voice: VoiceDetector,
    noise: Autocorrelation<{ ORDER + 1 }>,
    /// Level of the last description; none while somebody speaks.
    described: Option<u8>,
    since_ms: u32,
}

impl DiscontinuousSender {
    /// Decides on frames at `rate_hz`.
    pub const fn new(rate_hz: u32) -> Self {
        Self {
            rate_hz,
            voice: VoiceDetector::new(rate_hz),
            noise: Autocorrelation::new(),
            described: None,
            since_ms: 0,
        }
    }

    /// Decides on one frame; for [`Sending::Noise`] the payload is written to `payload`, which is
    /// cleared. Only at 8 kHz it has a spectrum: at other rates receivers differ in whose it is.
    pub fn handle(&mut self, pcm: &[i16], payload: &mut Vec<u8>) -> Sending {
        payload.clear();
        let is_speech = self.voice.handle(pcm);
        if !self.voice.is_loud() {
            self.noise.add(pcm);
        }
        if is_speech {
            self.described = None;
            return Sending::Sound;
        }
        let length_ms = pcm.len() as u32 * 1000 / self.rate_hz;
        self.since_ms = self.since_ms.saturating_add(length_ms);
        let description = self.noise.description();
        let level = description.level;
        let is_due = self.described.is_none_or(|before| {
            let changed = before.abs_diff(level) >= CHANGE_DB && self.since_ms >= LEAST_MS;
            changed || self.since_ms >= REPEAT_MS
        });
        if !is_due {
            return Sending::Nothing;
        }
        (self.described, self.since_ms) = (Some(level), 0);
        self.write(&description, payload);
        Sending::Noise
    }

    fn write(&self, description: &NoiseDescription, payload: &mut Vec<u8>) {
        let bytes = description.to_bytes();
        let len = if self.rate_hz == 8_000 {
            bytes.len()
        } else {
            1
        };
        payload.extend_from_slice(&bytes[..len]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ComfortNoise, Goertzel, Noise, level_dbov};

    fn white(seed: &mut Noise, peak: f64, len: usize) -> Vec<i16> {
        (0..len).map(|_| (seed.next() * peak) as i16).collect()
    }

    /// What is sent of these frames, and the payloads of noise.
    fn send(frames: &[Vec<i16>], rate_hz: u32) -> (Vec<Sending>, Vec<Vec<u8>>) {
        let (mut sender, mut payload) = (DiscontinuousSender::new(rate_hz), Vec::new());
        let (mut sent, mut noises) = (Vec::new(), Vec::new());
        for frame in frames {
            let what = sender.handle(frame, &mut payload);
            assert_eq!(what == Sending::Noise, !payload.is_empty());
            sent.push(what);
            if what == Sending::Noise {
                noises.push(payload.clone());
            }
        }
        (sent, noises)
    }

    fn count(sent: &[Sending], what: Sending) -> usize {
        sent.iter().filter(|one| **one == what).count()
    }

    #[test]
    fn words_are_sent_whole_and_silence_is_described_once_a_second() {
        let mut seed = Noise::new(7);
        let loud: Vec<i16> = (0..160)
            .map(|n| if n % 20 < 10 { 8_000 } else { -8_000 })
            .collect();
        let mut frames = vec![loud; 50];
        frames.extend((0..250).map(|_| white(&mut seed, 100.0, 160)));
        let (sent, noises) = send(&frames, 8_000);
        // 300 ms of hangover: the last loud frame and fourteen behind it.
        assert_eq!(sent.iter().position(|one| *one != Sending::Sound), Some(64));
        assert_eq!(sent[64], Sending::Noise, "a description comes first");
        assert_eq!(count(&sent[64..], Sending::Sound), 0);
        assert!((5..=6).contains(&noises.len()), "{} in 4.7 s", noises.len());
        // A peak of 100 is 57.7 in the mean, 55.1 dB below 32,768.
        assert!(
            noises.iter().all(|noise| noise[0].abs_diff(55) <= 1),
            "{noises:?}"
        );
    }

    #[test]
    fn what_is_described_sounds_like_what_was_there() {
        let mut seed = Noise::new(11);
        let mut last = 0.0;
        let mut dull = |len: usize| -> Vec<i16> {
            let mut next = || {
                last = 0.9 * last + 20.0 * seed.next();
                last as i16
            };
            (0..len).map(|_| next()).collect()
        };
        let frames: Vec<Vec<i16>> = (0..100).map(|_| dull(160)).collect();
        let (_, noises) = send(&frames, 8_000);
        let mut sounding = ComfortNoise::new(3);
        sounding.describe(&NoiseDescription::parse(noises.last().unwrap()).unwrap());
        let mut heard = vec![0; 16_000];
        heard.chunks_mut(160).for_each(|frame| sounding.fill(frame));
        let was: Vec<i16> = frames.concat();
        assert!((level_dbov(&heard[320..]) - level_dbov(&was)).abs() < 1.5);
        let band = |pcm: &[i16], from_hz: u32| -> f64 {
            let power = |n| {
                Goertzel::new(8_000, f64::from(from_hz + n))
                    .amplitude(pcm)
                    .powi(2)
            };
            (0..100).map(power).sum()
        };
        for pcm in [&heard[..], &was[..]] {
            assert!(
                band(pcm, 200) > 20.0 * band(pcm, 3_500),
                "low frequencies are louder"
            );
        }
    }

    #[test]
    fn louder_noise_is_told_before_its_second_is_over_and_not_with_each_frame() {
        let mut seed = Noise::new(5);
        let mut frames: Vec<Vec<i16>> = (0..50).map(|_| white(&mut seed, 30.0, 160)).collect();
        frames.extend((0..25).map(|_| white(&mut seed, 60.0, 160)));
        let (sent, noises) = send(&frames, 8_000);
        assert_eq!(count(&sent, Sending::Sound), 0, "it is no speech: {sent:?}");
        assert!((2..=4).contains(&noises.len()), "{noises:?}");
        assert!(noises[0][0] - noises.last().unwrap()[0] >= 4, "{noises:?}");
    }

    #[test]
    fn nothing_at_all_is_described_as_silence_and_wide_sound_by_its_level_alone() {
        let (sent, noises) = send(&vec![vec![0; 160]; 20], 8_000);
        assert_eq!(
            (sent[0], count(&sent, Sending::Nothing)),
            (Sending::Noise, 19)
        );
        assert_eq!(noises[0][0], 127);
        let mut seed = Noise::new(9);
        let frames: Vec<Vec<i16>> = (0..20).map(|_| white(&mut seed, 100.0, 320)).collect();
        let (_, noises) = send(&frames, 16_000);
        assert_eq!(noises[0].len(), 1);
    }
}
