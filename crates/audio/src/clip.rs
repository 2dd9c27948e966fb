//! Recorded sound to be played: WAV files, decoded once and shared by all who hear them.

use crate::Resampler;
use crate::codec::g711::{decode_a, decode_mu};
use crate::codec::{CodecError, RATES_HZ};
use std::sync::Arc;
use thiserror::Error;

/// The longest clip, in seconds: half an hour is 29 MB at 8 kHz.
pub const MAX_CLIP_SECONDS: usize = 1_800;

/// Format tags of RIFF WAVE (Microsoft's mmreg.h).
const PCM: u16 = 1;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
/// The true tag stands in the extension.
const EXTENSIBLE: u16 = 0xfffe;

/// Why a file is no clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ClipError {
    /// Not a WAV file, or one that ends inside its header.
    #[error("this is no WAV file")]
    NotWav,
    /// A coding other than 16-bit PCM, A-law and mu-law.
    #[error("format {tag} with {bits} bits is not supported: 16-bit PCM, A-law and mu-law are")]
    Format {
        /// The format tag.
        tag: u16,
        /// Bits of a sample.
        bits: u16,
    },
    /// No channel, or more than two.
    #[error("{channels} channels are not supported: one and two are")]
    Channels {
        /// Channels of the file.
        channels: u16,
    },
    /// A sampling rate that is none of ours.
    #[error("{rate_hz} Hz is not supported: 8, 16, 24 and 48 kHz are")]
    Rate {
        /// Rate of the file.
        rate_hz: u32,
    },
    /// Without a sample.
    #[error("the file has no sound")]
    Empty,
    /// Longer than [`MAX_CLIP_SECONDS`].
    #[error("the sound is longer than half an hour")]
    TooLong,
}

/// Sound, mono, shared by all who play it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    samples: Arc<[i16]>,
    rate_hz: u32,
}

impl Clip {
    /// Samples as they are, at one of [`RATES_HZ`].
    pub fn from_samples(pcm: &[i16], rate_hz: u32) -> Result<Self, ClipError> {
        if !RATES_HZ.contains(&rate_hz) {
            return Err(ClipError::Rate { rate_hz });
        }
        if pcm.is_empty() {
            return Err(ClipError::Empty);
        }
        if pcm.len() / rate_hz as usize >= MAX_CLIP_SECONDS {
            return Err(ClipError::TooLong);
        }
        Ok(Self {
            samples: pcm.into(),
            rate_hz,
        })
    }

    /// A WAV file. Of two channels the mean is taken; a file cut short is played as far as it goes.
    pub fn from_wav(file: &[u8]) -> Result<Self, ClipError> {
        let rest = file.strip_prefix(b"RIFF").ok_or(ClipError::NotWav)?;
        let mut rest = rest.get(4..).and_then(|rest| rest.strip_prefix(b"WAVE"));
        let mut format = None;
        while let Some((header, behind)) = rest.and_then(|rest| rest.split_first_chunk::<8>()) {
            let [name @ .., a, b, c, d] = *header;
            let len = u32::from_le_bytes([a, b, c, d]) as usize;
            let body = &behind[..len.min(behind.len())];
            match &name {
                b"fmt " => format = Some(Format::parse(body)?),
                b"data" => return format.ok_or(ClipError::NotWav)?.decode(body),
                _ => {}
            }
            // Chunks are padded to even lengths.
            rest = behind.get(len + len % 2..);
        }
        Err(ClipError::NotWav)
    }

    /// Sampling rate, in hertz.
    pub const fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// The samples.
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// The same at another rate; itself where that is its own.
    pub fn at_rate(&self, rate_hz: u32) -> Result<Self, CodecError> {
        let mut resampler = Resampler::new(self.rate_hz, rate_hz)?;
        if resampler.is_identity() {
            return Ok(self.clone());
        }
        let mut samples = Vec::new();
        resampler.process(&self.samples, &mut samples);
        Ok(Self {
            samples: samples.into(),
            rate_hz,
        })
    }
}

/// What a WAV file says of its samples.
#[derive(Clone, Copy, Debug)]
struct Format {
    tag: u16,
    channels: u16,
    rate_hz: u32,
}

impl Format {
    fn parse(body: &[u8]) -> Result<Self, ClipError> {
        let &[t0, t1, c0, c1, r0, r1, r2, r3, _, _, _, _, _, _, b0, b1] =
            body.first_chunk::<16>().ok_or(ClipError::NotWav)?;
        let mut tag = u16::from_le_bytes([t0, t1]);
        if tag == EXTENSIBLE {
            let inner = body.get(24..26).ok_or(ClipError::NotWav)?;
            tag = u16::from_le_bytes([inner[0], inner[1]]);
        }
        let channels = u16::from_le_bytes([c0, c1]);
        let rate_hz = u32::from_le_bytes([r0, r1, r2, r3]);
        let bits = u16::from_le_bytes([b0, b1]);
        if !matches!((tag, bits), (PCM, 16) | (A_LAW | MU_LAW, 8)) {
            return Err(ClipError::Format { tag, bits });
        }
        if !matches!(channels, 1 | 2) {
            return Err(ClipError::Channels { channels });
        }
        Ok(Self {
            tag,
            channels,
            rate_hz,
        })
    }

    fn decode(self, data: &[u8]) -> Result<Clip, ClipError> {
        let longest = self.rate_hz as usize * MAX_CLIP_SECONDS * 2 * usize::from(self.channels);
        if data.len() > longest {
            return Err(ClipError::TooLong);
        }
        let samples: Vec<i16> = match self.tag {
            A_LAW => data.iter().map(|&code| decode_a(code)).collect(),
            MU_LAW => data.iter().map(|&code| decode_mu(code)).collect(),
            _ => data
                .as_chunks::<2>()
                .0
                .iter()
                .map(|&pair| i16::from_le_bytes(pair))
                .collect(),
        };
        if self.channels == 1 {
            return Clip::from_samples(&samples, self.rate_hz);
        }
        let (pairs, _) = samples.as_chunks::<2>();
        let mean: Vec<i16> = pairs.iter().map(|&[l, r]| i16::midpoint(l, r)).collect();
        Clip::from_samples(&mean, self.rate_hz)
    }
}

/// Plays a clip once or again and again.
#[derive(Clone, Debug)]
pub struct ClipPlayer {
    clip: Clip,
    at: usize,
    repeats: bool,
}

impl ClipPlayer {
    /// From the start of `clip`; again from there at its end where it `repeats`.
    pub const fn new(clip: Clip, repeats: bool) -> Self {
        Self {
            clip,
            at: 0,
            repeats,
        }
    }

    /// Writes the next samples over `out`, with silence behind the end; gives how many are the
    /// clip's.
    pub fn fill(&mut self, out: &mut [i16]) -> usize {
        let mut written = 0;
        while written < out.len() {
            let left = &self.clip.samples[self.at..];
            if left.is_empty() {
                if !self.repeats {
                    break;
                }
                self.at = 0;
                continue;
            }
            let len = left.len().min(out.len() - written);
            out[written..][..len].copy_from_slice(&left[..len]);
            (self.at, written) = (self.at + len, written + len);
        }
        out[written..].fill(0);
        written
    }

    /// Whether there is nothing more to play.
    pub fn is_done(&self) -> bool {
        !self.repeats && self.at == self.clip.samples.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A WAV file with a chunk of an odd length before its data.
    fn wav(tag: u16, channels: u16, rate_hz: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut format = Vec::new();
        format.extend(tag.to_le_bytes());
        format.extend(channels.to_le_bytes());
        format.extend(rate_hz.to_le_bytes());
        format.extend([0; 6]);
        format.extend(bits.to_le_bytes());
        let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
        for (name, body) in [(b"fmt ", &format[..]), (b"LIST", b"odd"), (b"data", data)] {
            file.extend(name);
            file.extend((body.len() as u32).to_le_bytes());
            file.extend(body);
            file.extend(vec![0; body.len() % 2]);
        }
        file
    }

    #[test]
    fn files_of_each_coding_are_read() {
        let clip = Clip::from_wav(&wav(PCM, 1, 16_000, 16, &[1, 0, 0xff, 0xff])).unwrap();
        assert_eq!((clip.samples(), clip.rate_hz()), (&[1, -1][..], 16_000));
        let data = [100, 0, 200, 0, 0, 0x80, 0xff, 0x7f];
        let clip = Clip::from_wav(&wav(PCM, 2, 8_000, 16, &data)).unwrap();
        assert_eq!(clip.samples(), [150, 0]);
        let clip = Clip::from_wav(&wav(MU_LAW, 1, 8_000, 8, &[0x80, 0xff])).unwrap();
        assert_eq!(clip.samples(), [32_124, 0]);
        let clip = Clip::from_wav(&wav(A_LAW, 1, 8_000, 8, &[0xd5])).unwrap();
        assert_eq!(clip.samples(), [8]);
    }

    #[test]
    fn what_cannot_be_played_says_why() {
        let error = |file: &[u8]| Clip::from_wav(file).unwrap_err();
        assert_eq!(error(b"OggS"), ClipError::NotWav);
        assert_eq!(
            error(&wav(PCM, 1, 8_000, 16, &[0, 0])[..30]),
            ClipError::NotWav
        );
        let refused = ClipError::Format { tag: PCM, bits: 24 };
        assert_eq!(error(&wav(PCM, 1, 8_000, 24, &[0; 3])), refused);
        let refused = ClipError::Channels { channels: 6 };
        assert_eq!(error(&wav(PCM, 6, 8_000, 16, &[0; 12])), refused);
        let refused = ClipError::Rate { rate_hz: 44_100 };
        assert_eq!(error(&wav(PCM, 1, 44_100, 16, &[0; 2])), refused);
        assert_eq!(error(&wav(PCM, 1, 8_000, 16, &[])), ClipError::Empty);
        let long = vec![0; 8_000 * MAX_CLIP_SECONDS];
        assert_eq!(Clip::from_samples(&long, 8_000), Err(ClipError::TooLong));
    }

    #[test]
    fn a_clip_is_played_once_or_for_ever_and_at_any_rate() {
        let clip = Clip::from_samples(&[1, 2, 3], 8_000).unwrap();
        let mut out = [9; 5];
        let mut once = ClipPlayer::new(clip.clone(), false);
        assert_eq!((once.fill(&mut out), out), (3, [1, 2, 3, 0, 0]));
        assert!(once.is_done());
        let mut ever = ClipPlayer::new(clip.clone(), true);
        assert_eq!((ever.fill(&mut out), out), (5, [1, 2, 3, 1, 2]));
        assert!(!ever.is_done());
        assert_eq!(clip.at_rate(48_000).unwrap().samples().len(), 18);
        assert!(clip.at_rate(11_025).is_err());
    }
}
