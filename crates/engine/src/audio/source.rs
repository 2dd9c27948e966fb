//! What a mixer plays of its own: tones and clips.

use roomtone_audio::codec::RATES_HZ;
use roomtone_audio::tones::{Progress, Tone, ToneSpec, national};

use crate::values::{MixerSource, ToneKind};

/// Bytes of one clip: five minutes at 48 kHz.
const MAX_CLIP: usize = 48_000 * 2 * 300;

/// Tones are made at this rate.
const TONE_RATE_HZ: u32 = 8_000;

/// What is played, sample by sample.
pub(super) enum Source {
    Tone(Box<Tone>),
    Clip {
        samples: Vec<i16>,
        rate_hz: u32,
        at: usize,
        repeat: bool,
    },
}

/// Whether a source can be played, or why not.
pub(crate) fn check(source: &MixerSource) -> Result<(), String> {
    match source {
        MixerSource::Tone { country, tone } => spec(country, *tone)
            .map(|_| ())
            .ok_or_else(|| format!("the tones of {country:?} are not known")),
        MixerSource::Clip {
            rate_hz, samples, ..
        } => {
            if !RATES_HZ.contains(rate_hz) {
                return Err(format!(
                    "a clip of {rate_hz} Hz is not played: it is one of {RATES_HZ:?}"
                ));
            }
            if samples.is_empty() || samples.len() % 2 != 0 || samples.len() > MAX_CLIP {
                return Err(format!("a clip is 2 to {MAX_CLIP} bytes, two a sample"));
            }
            Ok(())
        }
    }
}

fn spec(country: &str, tone: ToneKind) -> Option<ToneSpec> {
    let progress = match tone {
        ToneKind::Ringback => Progress::Ringback,
        ToneKind::Busy => Progress::Busy,
        ToneKind::Congestion => Progress::Congestion,
    };
    national(country, progress)
}

impl Source {
    /// None for what [`check`] refuses.
    pub(super) fn new(source: &MixerSource) -> Option<Self> {
        Some(match source {
            MixerSource::Tone { country, tone } => {
                Self::Tone(Box::new(Tone::new(spec(country, *tone)?, TONE_RATE_HZ)))
            }
            MixerSource::Clip {
                rate_hz,
                samples,
                repeat,
            } => Self::Clip {
                samples: samples
                    .chunks_exact(2)
                    .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
                    .collect(),
                rate_hz: *rate_hz,
                at: 0,
                repeat: *repeat,
            },
        })
    }

    pub(super) fn rate_hz(&self) -> u32 {
        match self {
            Self::Tone(_) => TONE_RATE_HZ,
            Self::Clip { rate_hz, .. } => *rate_hz,
        }
    }

    /// Fills `out`, with silence behind the end; whether there is more.
    pub(super) fn fill(&mut self, out: &mut [i16]) -> bool {
        let (samples, at, repeat) = match self {
            Self::Tone(tone) => {
                tone.fill(out);
                return true;
            }
            Self::Clip {
                samples,
                at,
                repeat,
                ..
            } => (samples, at, *repeat),
        };
        for out in out {
            if *at == samples.len() && repeat {
                *at = 0;
            }
            *out = samples.get(*at).copied().unwrap_or(0);
            *at = (*at + 1).min(samples.len());
        }
        repeat || *at < samples.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(samples: &[i16], repeat: bool) -> MixerSource {
        MixerSource::Clip {
            rate_hz: 8_000,
            samples: samples.iter().flat_map(|s| s.to_le_bytes()).collect(),
            repeat,
        }
    }

    #[test]
    fn a_clip_ends_in_silence_and_says_so_unless_it_repeats() {
        let mut out = [9; 4];
        let mut once = Source::new(&clip(&[1, -2, 3], false)).unwrap();
        assert!(!once.fill(&mut out));
        assert_eq!(out, [1, -2, 3, 0]);
        let mut again = Source::new(&clip(&[1, -2, 3], true)).unwrap();
        assert!(again.fill(&mut out));
        assert_eq!(out, [1, -2, 3, 1]);
    }

    #[test]
    fn what_cannot_be_played_is_refused_with_the_reason() {
        let tone = |country: &str| MixerSource::Tone {
            country: country.into(),
            tone: ToneKind::Busy,
        };
        assert_eq!(check(&tone("DE")), Ok(()));
        assert!(check(&tone("XX")).is_err());
        assert!(check(&clip(&[], false)).is_err());
        let odd = MixerSource::Clip {
            rate_hz: 44_100,
            samples: vec![0; 4],
            repeat: false,
        };
        assert!(check(&odd).unwrap_err().contains("44100"));
    }
}
