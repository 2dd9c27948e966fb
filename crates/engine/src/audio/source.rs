//! What a mixer plays of its own: tones and clips.

use roomtone_audio::tones::{Progress, Tone, ToneSpec, national};
use roomtone_audio::{Clip, ClipPlayer};

use crate::values::{MixerSource, ToneKind};

/// Tones are made at this rate.
const TONE_RATE_HZ: u32 = 8_000;

/// What is played, sample by sample.
#[derive(Debug)]
pub(crate) enum Source {
    Tone(Box<Tone>),
    Clip { player: ClipPlayer, rate_hz: u32 },
}

impl Source {
    /// What a command asks for, or why it cannot be played.
    pub(crate) fn new(source: &MixerSource) -> Result<Self, String> {
        let clip = match source {
            MixerSource::Tone { country, tone } => {
                let spec = spec(country, *tone)
                    .ok_or_else(|| format!("the tones of {country:?} are not known"))?;
                return Ok(Self::Tone(Box::new(Tone::new(spec, TONE_RATE_HZ))));
            }
            MixerSource::Clip {
                rate_hz, samples, ..
            } => {
                if samples.len() % 2 != 0 {
                    return Err("a clip has two bytes a sample".to_owned());
                }
                let pcm: Vec<i16> = samples
                    .chunks_exact(2)
                    .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
                    .collect();
                Clip::from_samples(&pcm, *rate_hz)
            }
            MixerSource::Wav { file, .. } => Clip::from_wav(file),
        };
        let clip = clip.map_err(|error| error.to_string())?;
        let (MixerSource::Clip { repeat, .. } | MixerSource::Wav { repeat, .. }) = source else {
            return Err("not a clip".to_owned());
        };
        Ok(Self::Clip {
            rate_hz: clip.rate_hz(),
            player: ClipPlayer::new(clip, *repeat),
        })
    }

    pub(super) const fn rate_hz(&self) -> u32 {
        match self {
            Self::Tone(_) => TONE_RATE_HZ,
            Self::Clip { rate_hz, .. } => *rate_hz,
        }
    }

    /// Fills `out`, with silence behind the end; whether there is more.
    pub(super) fn fill(&mut self, out: &mut [i16]) -> bool {
        match self {
            Self::Tone(tone) => {
                tone.fill(out);
                true
            }
            Self::Clip { player, .. } => {
                player.fill(out);
                !player.is_done()
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(rate_hz: u32, samples: &[u8]) -> MixerSource {
        MixerSource::Clip {
            rate_hz,
            samples: samples.to_vec(),
            repeat: false,
        }
    }

    #[test]
    fn what_cannot_be_played_is_refused_with_the_reason() {
        let tone = |country: &str| MixerSource::Tone {
            country: country.into(),
            tone: ToneKind::Busy,
        };
        assert!(Source::new(&tone("DE")).is_ok());
        assert!(Source::new(&tone("XX")).unwrap_err().contains("XX"));
        assert!(Source::new(&clip(8_000, &[0; 4])).is_ok());
        assert!(Source::new(&clip(8_000, &[])).is_err());
        assert!(Source::new(&clip(8_000, &[0; 3])).is_err());
        assert!(
            Source::new(&clip(44_100, &[0; 4]))
                .unwrap_err()
                .contains("44100")
        );
        let file = MixerSource::Wav {
            file: b"RIFX".to_vec(),
            repeat: false,
        };
        assert!(Source::new(&file).unwrap_err().contains("WAV"));
    }
}
