//! Who speaks: the audio levels of RFC 6464, looked at window by window.
//!
//! A window counts as speech where enough of its packets are louder than a threshold; its level is
//! that of a high percentile, so that one click is no speech. Levels are smoothed over windows and
//! a speaker is held for a while after the last word.

use crate::{ActiveSpeaker, AudioLevelConfig, ProducerId};

/// Silence, and the smallest level there is (RFC 6464 section 3).
const SILENCE: u8 = 127;

/// One audio producer under observation.
#[derive(Debug)]
struct Observed {
    producer: ProducerId,
    /// Packets of this window by level.
    levels: [u16; 128],
    packets: u32,
    /// Smoothed level in sixteenths; 0 is loud.
    smoothed_q4: u16,
    spoke_us: Option<u64>,
    /// Its level at the end of the last window, where it was a speaker.
    level: Option<u8>,
    /// Whether it is named as a speaker.
    named: bool,
}

/// Observes all audio producers of a router.
#[derive(Debug, Default)]
pub(crate) struct SpeakerObserver {
    observed: Vec<Observed>,
    last: Vec<ActiveSpeaker>,
    pub(crate) armed: Option<u64>,
}

impl SpeakerObserver {
    /// A packet carried a level. Who is not to be named is only compared.
    pub(crate) fn on_level(&mut self, producer: ProducerId, level: u8, named: bool) {
        let at = match self
            .observed
            .binary_search_by_key(&producer, |observed| observed.producer)
        {
            Ok(at) => at,
            Err(at) => {
                let fresh = Observed {
                    producer,
                    levels: [0; 128],
                    packets: 0,
                    smoothed_q4: u16::from(SILENCE) << 4,
                    spoke_us: None,
                    level: None,
                    named,
                };
                self.observed.insert(at, fresh);
                at
            }
        };
        let observed = &mut self.observed[at];
        let count = &mut observed.levels[usize::from(level & 0x7f)];
        *count = count.saturating_add(1);
        observed.packets = observed.packets.saturating_add(1);
    }

    /// Who spoke in the last window.
    pub(crate) fn current(&self) -> &[ActiveSpeaker] {
        &self.last
    }

    /// The smoothed level of a producer that speaks; 0 is the loudest.
    pub(crate) fn level_of(&self, producer: ProducerId) -> Option<u8> {
        let at = self
            .observed
            .binary_search_by_key(&producer, |observed| observed.producer);
        self.observed.get(at.ok()?)?.level
    }

    /// A producer is gone or paused.
    pub(crate) fn remove(&mut self, producer: ProducerId) {
        self.observed
            .retain(|observed| observed.producer != producer);
    }

    /// Whether another look is due after the next interval.
    pub(crate) fn is_observing(&self) -> bool {
        !self.observed.is_empty()
    }

    /// Closes a window; gives the speakers if they or their levels have changed.
    pub(crate) fn close_window(
        &mut self,
        now_us: u64,
        config: &AudioLevelConfig,
    ) -> Option<Vec<ActiveSpeaker>> {
        let mut speakers = Vec::new();
        for observed in &mut self.observed {
            observed.level = observed.close(now_us, config);
            if let Some(level) = observed.level.filter(|_| observed.named) {
                speakers.push(ActiveSpeaker {
                    producer: observed.producer,
                    level,
                });
            }
        }
        speakers.sort_by_key(|speaker| (speaker.level, speaker.producer));
        speakers.truncate(config.max_entries);
        // Producers that fell silent for good (DTX, gone) need no place.
        self.observed.retain(|observed| {
            observed.spoke_us.is_some() || observed.smoothed_q4 >> 4 < u16::from(SILENCE)
        });
        if speakers == self.last {
            return None;
        }
        self.last.clone_from(&speakers);
        Some(speakers)
    }
}

impl Observed {
    /// The smoothed level, where it is a speaker.
    fn close(&mut self, now_us: u64, config: &AudioLevelConfig) -> Option<u8> {
        let loud: u32 = self.levels[..usize::from(config.threshold.min(SILENCE))]
            .iter()
            .map(|count| u32::from(*count))
            .sum();
        let speech =
            self.packets > 0 && loud * 100 >= self.packets * u32::from(config.min_percentile);
        let level = if speech && loud > 0 {
            self.percentile(loud)
        } else {
            SILENCE
        };
        let weight = u32::from(config.smoothing.clamp(1, 100));
        let smoothed =
            (u32::from(self.smoothed_q4) * (100 - weight) + (u32::from(level) << 4) * weight + 50)
                / 100;
        self.smoothed_q4 = smoothed as u16;
        if level < SILENCE {
            self.spoke_us = Some(now_us);
        }
        self.levels = [0; 128];
        self.packets = 0;
        let hold = config.hold.as_micros() as u64;
        let held = self.spoke_us.is_some_and(|spoke| now_us - spoke <= hold);
        if !held {
            self.spoke_us = None;
        }
        held.then_some((self.smoothed_q4 >> 4) as u8)
    }

    /// The level that half of the loud packets reach.
    fn percentile(&self, loud: u32) -> u8 {
        let mut seen = 0;
        for (level, count) in self.levels.iter().enumerate() {
            seen += u32::from(*count);
            if seen * 2 >= loud {
                return level as u8;
            }
        }
        SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ProducerId = ProducerId(1);
    const B: ProducerId = ProducerId(2);

    fn window(observer: &mut SpeakerObserver, levels: &[(ProducerId, u8)]) {
        for (producer, level) in levels {
            observer.on_level(*producer, *level, true);
        }
    }

    fn config() -> AudioLevelConfig {
        AudioLevelConfig {
            smoothing: 100,
            ..AudioLevelConfig::default()
        }
    }

    #[test]
    fn the_loudest_comes_first_and_noise_is_nobody() {
        let mut observer = SpeakerObserver::default();
        window(
            &mut observer,
            &[(A, 40), (A, 41), (B, 20), (B, 22), (ProducerId(3), 90)],
        );
        let speakers = observer.close_window(0, &config()).unwrap();
        assert_eq!(
            speakers,
            [
                ActiveSpeaker {
                    producer: B,
                    level: 20
                },
                ActiveSpeaker {
                    producer: A,
                    level: 40
                }
            ]
        );
    }

    #[test]
    fn one_click_is_no_speech() {
        let mut observer = SpeakerObserver::default();
        let mut levels = vec![(A, 100); 14];
        levels.push((A, 5));
        window(&mut observer, &levels);
        assert_eq!(observer.close_window(0, &config()), None);
    }

    #[test]
    fn a_speaker_is_held_over_a_pause_and_then_let_go() {
        let mut observer = SpeakerObserver::default();
        window(&mut observer, &[(A, 30)]);
        assert_eq!(
            observer
                .close_window(0, &config())
                .map(|speakers| speakers.len()),
            Some(1)
        );
        assert_eq!(
            observer
                .close_window(300_000, &config())
                .map(|list| list[0].level),
            Some(127)
        );
        assert_eq!(
            observer.close_window(900_000, &config()),
            None,
            "nothing new"
        );
        assert_eq!(observer.close_window(1_200_000, &config()), Some(vec![]));
        assert!(!observer.is_observing());
    }

    #[test]
    fn levels_are_smoothed() {
        let mut observer = SpeakerObserver::default();
        let config = AudioLevelConfig {
            smoothing: 50,
            ..AudioLevelConfig::default()
        };
        window(&mut observer, &[(A, 27)]);
        assert_eq!(observer.close_window(0, &config).unwrap()[0].level, 77);
        window(&mut observer, &[(A, 27)]);
        assert_eq!(observer.close_window(1, &config).unwrap()[0].level, 52);
    }
    #[test]
    fn who_is_not_named_is_compared_all_the_same() {
        let mut observer = SpeakerObserver::default();
        observer.on_level(A, 20, true);
        observer.on_level(B, 10, false);
        let speakers = observer.close_window(0, &config()).unwrap();
        assert_eq!(speakers.len(), 1);
        assert_eq!(speakers[0].producer, A);
        assert_eq!(observer.level_of(B), Some(10));
        observer.close_window(2_000_000, &config());
        assert_eq!(observer.level_of(B), None, "silent now");
    }
}
