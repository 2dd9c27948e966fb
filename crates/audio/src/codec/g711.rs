//! G.711: mu-law and A-law, computed rather than looked up.
//!
//! Encoding by arithmetic keeps the cache free for what is mixed (a table for 16-bit samples has
//! 64 kB). Negative samples are quantised on their ones' complement, as the ITU's own reference
//! (G.191) has it; a decoder cannot tell the difference from other choices at the boundaries.

use super::{CodecError, Decode, Encode, Encoded, EncoderSetting, MAX_FRAME_MS};

/// The sampling rate, in hertz.
pub const RATE_HZ: u32 = 8_000;

/// Samples, and bytes, of the longest frame.
const MAX_SAMPLES: usize = (MAX_FRAME_MS * RATE_HZ / 1000) as usize;

/// Which of the two laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// North America and Japan.
    Mu,
    /// Elsewhere.
    A,
}

impl Law {
    /// The code for silence.
    pub const fn silence(self) -> u8 {
        match self {
            Self::Mu => 0xff,
            Self::A => 0xd5,
        }
    }
}

/// One sample in mu-law. G.711 table 2: 14 bits, a bias of 33, eight segments of sixteen steps.
#[inline]
pub const fn encode_mu(sample: i16) -> u8 {
    let sample = sample as i32;
    let sign = sample >> 31;
    let magnitude = ((sample ^ sign) >> 2) + 33;
    let magnitude = if magnitude > 0x1fff {
        0x1fff
    } else {
        magnitude
    };
    // The bias makes bit 5 the lowest that can lead.
    let segment = 26 - magnitude.leading_zeros() as i32;
    let step = (magnitude >> (segment + 1)) & 0x0f;
    let code = (segment << 4) | step;
    (!code as u8 & 0x7f) | (!sign as u8 & 0x80)
}

/// One mu-law code as a sample.
#[inline]
pub const fn decode_mu(code: u8) -> i16 {
    let code = !code;
    let segment = (code >> 4) & 0x07;
    let magnitude = ((((code & 0x0f) as i32) << 3) + 0x84) << segment;
    let value = magnitude - 0x84;
    if code & 0x80 == 0 {
        value as i16
    } else {
        -value as i16
    }
}

/// One sample in A-law. G.711 table 1: 13 bits, even bits inverted.
#[inline]
pub const fn encode_a(sample: i16) -> u8 {
    let sample = sample as i32;
    let sign = sample >> 31;
    let magnitude = (sample ^ sign) >> 4;
    // The first two segments have one step size, and the first has no leading one.
    let segment = if magnitude > 0x0f {
        28 - magnitude.leading_zeros() as i32
    } else {
        0
    };
    let shift = if segment > 1 { segment - 1 } else { 0 };
    let step = (magnitude >> shift) & 0x0f;
    let code = ((segment << 4) | step) as u8;
    (code | (!sign as u8 & 0x80)) ^ 0x55
}

/// One A-law code as a sample.
#[inline]
pub const fn decode_a(code: u8) -> i16 {
    let code = code ^ 0x55;
    let segment = (code >> 4) & 0x07;
    let step = ((code & 0x0f) as i32) << 4;
    let magnitude = match segment {
        0 => step + 8,
        _ => (step + 0x108) << (segment - 1),
    };
    if code & 0x80 == 0 {
        -magnitude as i16
    } else {
        magnitude as i16
    }
}

const MU: [i16; 256] = table(Law::Mu);
const A: [i16; 256] = table(Law::A);

const fn table(law: Law) -> [i16; 256] {
    let mut samples = [0; 256];
    let mut code = 0;
    while code < 256 {
        samples[code] = match law {
            Law::Mu => decode_mu(code as u8),
            Law::A => decode_a(code as u8),
        };
        code += 1;
    }
    samples
}

/// Decodes one law.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    samples: &'static [i16; 256],
}

impl Decoder {
    /// A decoder for `law`.
    pub const fn new(law: Law) -> Self {
        Self {
            samples: match law {
                Law::Mu => &MU,
                Law::A => &A,
            },
        }
    }
}

impl Decode for Decoder {
    fn rate_hz(&self) -> u32 {
        RATE_HZ
    }

    fn samples_in(&self, payload: &[u8]) -> Result<usize, CodecError> {
        if payload.is_empty() || payload.len() > MAX_SAMPLES {
            return Err(CodecError::BadPayload);
        }
        Ok(payload.len())
    }

    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError> {
        let needed = self.samples_in(payload)?;
        let out = out
            .get_mut(..needed)
            .ok_or(CodecError::BufferTooSmall { needed })?;
        for (sample, &code) in out.iter_mut().zip(payload) {
            *sample = self.samples[usize::from(code)];
        }
        Ok(needed)
    }

    fn conceal(&mut self, _out: &mut [i16]) -> Option<Result<usize, CodecError>> {
        None
    }

    fn recover(&mut self, _next: &[u8], _out: &mut [i16]) -> Option<Result<usize, CodecError>> {
        None
    }
}

/// Encodes one law.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    law: Law,
}

impl Encoder {
    /// An encoder for `law`.
    pub const fn new(law: Law) -> Self {
        Self { law }
    }
}

impl Encode for Encoder {
    fn rate_hz(&self) -> u32 {
        RATE_HZ
    }

    fn accepts(&self, samples: usize) -> bool {
        (1..=MAX_SAMPLES).contains(&samples)
    }

    fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) -> Result<Encoded, CodecError> {
        if !self.accepts(pcm.len()) {
            return Err(CodecError::FrameLength { samples: pcm.len() });
        }
        match self.law {
            Law::Mu => out.extend(pcm.iter().map(|&sample| encode_mu(sample))),
            Law::A => out.extend(pcm.iter().map(|&sample| encode_a(sample))),
        }
        Ok(Encoded::Payload(pcm.len()))
    }

    fn set(&mut self, _setting: EncoderSetting) -> Result<(), CodecError> {
        Err(CodecError::NoSuchSetting)
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The samples of each code as FFmpeg decodes them: see tests/vectors/audio/README.md.
    fn vector(bytes: &[u8]) -> Vec<i16> {
        bytes
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect()
    }

    #[test]
    fn every_code_decodes_as_ffmpeg_decodes_it() {
        let mu = include_bytes!("../../../../tests/vectors/audio/pcmu-decoded.s16");
        let a = include_bytes!("../../../../tests/vectors/audio/pcma-decoded.s16");
        assert_eq!(MU.to_vec(), vector(mu));
        assert_eq!(A.to_vec(), vector(a));
    }

    #[test]
    fn values_of_the_tables_in_g_711() {
        // Tables 1a, 2a: the decoder's output values for the outermost and innermost codes.
        assert_eq!((decode_mu(0x80), decode_mu(0x00)), (32_124, -32_124));
        assert_eq!((decode_mu(0xff), decode_mu(0x7f)), (0, 0));
        assert_eq!((decode_a(0xaa), decode_a(0x2a)), (32_256, -32_256));
        assert_eq!((decode_a(0xd5), decode_a(0x55)), (8, -8));
        assert_eq!(decode_mu(Law::Mu.silence()), 0);
        assert_eq!(decode_a(Law::A.silence()), 8);
    }

    #[test]
    fn what_was_decoded_encodes_to_the_same_code() {
        for code in 0..=255 {
            assert_eq!(encode_a(decode_a(code)), code);
            // Mu-law has two zeros; the positive one is sent.
            let expected = if code == 0x7f { 0xff } else { code };
            assert_eq!(encode_mu(decode_mu(code)), expected);
        }
    }

    #[test]
    fn every_sample_is_coded_within_half_a_step_of_its_segment() {
        for sample in i16::MIN..=i16::MAX {
            let (mu, a) = (encode_mu(sample), encode_a(sample));
            let error = |value: i16| i32::from(sample).abs_diff(i32::from(value));
            // Samples are cut to 14 or 13 bits first. Beyond the last step there is only that.
            let segment = u32::from(!mu >> 4 & 7);
            let most = if sample.unsigned_abs() > 32_635 {
                644
            } else {
                (4 << segment) + 4
            };
            assert!(error(MU[usize::from(mu)]) <= most, "{sample}");
            let segment = u32::from((a ^ 0x55) >> 4 & 7);
            let most = (8 << segment.saturating_sub(1)) + 16;
            assert!(error(A[usize::from(a)]) <= most, "{sample}");
        }
    }

    #[test]
    fn a_payload_longer_than_any_frame_is_refused() {
        let mut out = [0; 2 * MAX_SAMPLES];
        let mut decoder = Decoder::new(Law::Mu);
        let answer = decoder.decode(&[0; MAX_SAMPLES + 1], &mut out);
        assert_eq!(answer, Err(CodecError::BadPayload));
        let answer = decoder.decode(&[0; 160], &mut out[..159]);
        assert_eq!(answer, Err(CodecError::BufferTooSmall { needed: 160 }));
    }
}
