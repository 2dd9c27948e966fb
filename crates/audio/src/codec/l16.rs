//! Linear samples in network byte order (RFC 3551 section 4.5.11), mono.

use super::{CodecError, Decode, Encode, Encoded, EncoderSetting, MAX_FRAME_MS, RATES_HZ};

fn check_rate(rate_hz: u32) -> Result<u32, CodecError> {
    if RATES_HZ.contains(&rate_hz) {
        Ok(rate_hz)
    } else {
        Err(CodecError::UnsupportedRate { rate_hz })
    }
}

const fn max_samples(rate_hz: u32) -> usize {
    (MAX_FRAME_MS * rate_hz / 1000) as usize
}

/// Decodes linear samples.
#[derive(Clone, Copy, Debug)]
pub struct L16Decoder {
    rate_hz: u32,
}

impl L16Decoder {
    /// A decoder for samples at `rate_hz`, one of [`RATES_HZ`].
    pub fn new(rate_hz: u32) -> Result<Self, CodecError> {
        check_rate(rate_hz).map(|rate_hz| Self { rate_hz })
    }
}

impl Decode for L16Decoder {
    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn samples_in(&self, payload: &[u8]) -> Result<usize, CodecError> {
        let samples = payload.len() / 2;
        if !payload.len().is_multiple_of(2) || samples == 0 || samples > max_samples(self.rate_hz) {
            return Err(CodecError::BadPayload);
        }
        Ok(samples)
    }

    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError> {
        let needed = self.samples_in(payload)?;
        let out = out
            .get_mut(..needed)
            .ok_or(CodecError::BufferTooSmall { needed })?;
        for (sample, pair) in out.iter_mut().zip(payload.chunks_exact(2)) {
            *sample = i16::from_be_bytes([pair[0], pair[1]]);
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

/// Encodes linear samples.
#[derive(Clone, Copy, Debug)]
pub struct L16Encoder {
    rate_hz: u32,
}

impl L16Encoder {
    /// An encoder for samples at `rate_hz`, one of [`RATES_HZ`].
    pub fn new(rate_hz: u32) -> Result<Self, CodecError> {
        check_rate(rate_hz).map(|rate_hz| Self { rate_hz })
    }
}

impl Encode for L16Encoder {
    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn accepts(&self, samples: usize) -> bool {
        (1..=max_samples(self.rate_hz)).contains(&samples)
    }

    fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) -> Result<Encoded, CodecError> {
        if !self.accepts(pcm.len()) {
            return Err(CodecError::FrameLength { samples: pcm.len() });
        }
        out.extend(pcm.iter().flat_map(|sample| sample.to_be_bytes()));
        Ok(Encoded::Payload(2 * pcm.len()))
    }

    fn set(&mut self, _setting: EncoderSetting) -> Result<(), CodecError> {
        Err(CodecError::NoSuchSetting)
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_cross_in_network_byte_order() {
        let mut payload = Vec::new();
        let mut encoder = L16Encoder::new(16_000).unwrap();
        let pcm = [1, -2, i16::MAX, i16::MIN];
        assert_eq!(encoder.encode(&pcm, &mut payload), Ok(Encoded::Payload(8)));
        assert_eq!(payload, [0, 1, 0xff, 0xfe, 0x7f, 0xff, 0x80, 0]);
        let mut out = [0; 4];
        let mut decoder = L16Decoder::new(16_000).unwrap();
        assert_eq!(decoder.decode(&payload, &mut out), Ok(4));
        assert_eq!(out, pcm);
    }

    #[test]
    fn half_a_sample_is_no_payload() {
        let mut decoder = L16Decoder::new(8_000).unwrap();
        let answer = decoder.decode(&[0; 3], &mut [0; 8]);
        assert_eq!(answer, Err(CodecError::BadPayload));
    }
}
