//! G.722 at 64 kbit/s (ITU-T Recommendation G.722, sections 5 and 6; mode 1).
//!
//! A quadrature mirror filter splits 16 kHz into two bands of 8 kHz, each coded as the quantised
//! difference to what an adaptive predictor expected. Variables and blocks carry the
//! Recommendation's names where it helps to find them; both ends compute the same integers.

use super::{CodecError, Decode, Encode, Encoded, EncoderSetting, MAX_FRAME_MS};

/// The sampling rate, in hertz. The RTP clock is 8 kHz all the same (RFC 3551 section 4.5.2).
const RATE_HZ: u32 = 16_000;

/// One byte carries two samples.
const MAX_BYTES: usize = (MAX_FRAME_MS * RATE_HZ / 1000 / 2) as usize;

/// Table 11: one half of the symmetric mirror filter, every other coefficient.
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// Table 16: decision levels of the lower band's 60-level quantiser, without the first.
const Q6: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023,
    1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];

/// Table 15: output values of the lower band's quantiser at six bits.
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232,
    -9360, -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776,
    -2400, -2032, -1688, -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280,
    11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776,
    2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];

/// Table 15: the same at the four bits that the predictor works with.
const QM4: [i32; 16] = [
    0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584,
    1200, 0,
];

/// Tables 13 and 14 in one: what four bits of the lower band do to the scale factor.
const WL: [i32; 16] = [
    -60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60,
];

/// Table 19: output values of the higher band's quantiser.
const QM2: [i32; 4] = [-7408, -1616, 7408, 1616];

/// Tables 13 and 14 in one: what two bits of the higher band do to the scale factor.
const WH: [i32; 4] = [798, -214, 798, -214];

/// The decision level of the higher band's quantiser.
const Q2: i32 = 564;

/// Table 12: powers of two in steps of a thirty-second, 2^(11 + n/32).
const ILB: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
    2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

#[inline]
fn saturate(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

/// What differs between the two bands' scale factors.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// The shift at which the scale factor is one.
    unity_shift: i32,
    /// The greatest logarithm of the factor.
    most: i32,
    /// The factor at the start.
    first: i32,
}

const LOW: Scale = Scale {
    unity_shift: 8,
    most: 18_432,
    first: 32,
};
const HIGH: Scale = Scale {
    unity_shift: 10,
    most: 22_528,
    first: 8,
};

/// The adaptive predictor and scale factor of one band.
#[derive(Clone, Debug)]
struct Band {
    scale: Scale,
    /// Logarithm of the scale factor, NB.
    log_factor: i32,
    /// The scale factor, DET.
    factor: i32,
    /// What is expected next, S, and the share of the zeros in it, SZ.
    expected: i32,
    expected_by_zeros: i32,
    /// Coefficients of the two poles, A, and six zeros, B.
    poles: [i32; 2],
    zeros: [i32; 6],
    /// The last quantised differences, D, newest first.
    differences: [i32; 6],
    /// The last reconstructed values, R, and their parts without poles, P.
    reconstructed: [i32; 2],
    partial: [i32; 2],
}

impl Band {
    const fn new(scale: Scale) -> Self {
        Self {
            scale,
            log_factor: 0,
            factor: scale.first,
            expected: 0,
            expected_by_zeros: 0,
            poles: [0; 2],
            zeros: [0; 6],
            differences: [0; 6],
            reconstructed: [0; 2],
            partial: [0; 2],
        }
    }

    /// Blocks LOGSCL, SCALEL and their likes of the higher band.
    fn adapt_scale(&mut self, step: i32) {
        self.log_factor = (((self.log_factor * 127) >> 7) + step).clamp(0, self.scale.most);
        let fraction = ILB[(self.log_factor >> 6 & 31) as usize];
        let shift = self.scale.unity_shift - (self.log_factor >> 11);
        self.factor = if shift < 0 {
            fraction << -shift
        } else {
            fraction >> shift
        } << 2;
    }

    /// Block 4: takes in a quantised difference and expects the next value.
    fn predict(&mut self, difference: i32) {
        let partial = saturate(self.expected_by_zeros + difference);
        let reconstructed = saturate(self.expected + difference);
        self.adapt_poles(partial);
        self.adapt_zeros(difference);

        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        self.reconstructed = [reconstructed, self.reconstructed[0]];
        self.partial = [partial, self.partial[0]];

        let term = |coefficient: i32, value: i32| (coefficient * saturate(2 * value)) >> 15;
        let by_poles: i32 = (0..2)
            .map(|n| term(self.poles[n], self.reconstructed[n]))
            .sum();
        let by_zeros: i32 = (0..6)
            .map(|n| term(self.zeros[n], self.differences[n]))
            .sum();
        self.expected_by_zeros = saturate(by_zeros);
        self.expected = saturate(saturate(by_poles) + self.expected_by_zeros);
    }

    /// Blocks UPPOL2 and UPPOL1.
    fn adapt_poles(&mut self, partial: i32) {
        let same_sign = |other: i32| (partial ^ other) >= 0;
        let [first, second] = self.poles;
        let turned = saturate(first << 2);
        let turned = if same_sign(self.partial[0]) {
            -turned
        } else {
            turned
        };
        let push = if same_sign(self.partial[1]) {
            128
        } else {
            -128
        };
        let second =
            ((turned.min(32_767) >> 7) + push + ((second * 32_512) >> 15)).clamp(-12_288, 12_288);
        let push = if same_sign(self.partial[0]) {
            192
        } else {
            -192
        };
        let bound = saturate(15_360 - second);
        let first = saturate(push + ((first * 32_640) >> 15)).clamp(-bound, bound);
        self.poles = [first, second];
    }

    /// Block UPZERO.
    fn adapt_zeros(&mut self, difference: i32) {
        let push = if difference == 0 { 0 } else { 128 };
        for (zero, &old) in self.zeros.iter_mut().zip(&self.differences) {
            let signed = if (difference ^ old) >= 0 { push } else { -push };
            *zero = saturate(signed + ((*zero * 32_640) >> 15));
        }
    }

    /// Blocks INVQAL to FILTEZ of the lower band, for its six bits.
    fn take_low(&mut self, code: i32) {
        let coarse = (code >> 2) as usize;
        let difference = (self.factor * QM4[coarse]) >> 15;
        self.adapt_scale(WL[coarse]);
        self.predict(difference);
    }

    /// Blocks INVQAH to FILTEZ of the higher band, for its two bits; gives the difference.
    fn take_high(&mut self, code: i32) -> i32 {
        let difference = (self.factor * QM2[code as usize]) >> 15;
        self.adapt_scale(WH[code as usize]);
        self.predict(difference);
        difference
    }

    /// Blocks SUBTRA and QUANTL: the six bits for a value of the lower band.
    fn quantise_low(&self, value: i32) -> i32 {
        let difference = saturate(value - self.expected);
        // The ones' complement of what is negative.
        let magnitude = difference ^ (difference >> 31);
        let level = Q6
            .iter()
            .position(|&level| magnitude < (level * self.factor) >> 12)
            .unwrap_or(Q6.len()) as i32;
        match (difference < 0, level) {
            (false, _) => 61 - level,
            (true, 0 | 1) => 63 - level,
            (true, _) => 33 - level,
        }
    }

    /// Blocks SUBTRA and QUANTH: the two bits for a value of the higher band.
    fn quantise_high(&self, value: i32) -> i32 {
        let difference = saturate(value - self.expected);
        let magnitude = difference ^ (difference >> 31);
        let outer = magnitude >= (Q2 * self.factor) >> 12;
        match (difference < 0, outer) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        }
    }
}

/// The mirror filter's two delay lines, oldest first.
#[derive(Clone, Debug, Default)]
struct Mirror {
    even: [i32; 12],
    odd: [i32; 12],
}

impl Mirror {
    /// Takes one value into each line and gives what each half of the filter makes of it.
    fn filter(&mut self, even: i32, odd: i32) -> (i32, i32) {
        self.even.copy_within(1.., 0);
        self.even[11] = even;
        self.odd.copy_within(1.., 0);
        self.odd[11] = odd;
        let even = (0..12).map(|n| self.even[n] * QMF[n]).sum();
        let odd = (0..12).map(|n| self.odd[n] * QMF[11 - n]).sum();
        (even, odd)
    }
}

/// Decodes G.722.
#[derive(Clone, Debug)]
pub struct G722Decoder {
    low: Band,
    high: Band,
    mirror: Mirror,
}

impl G722Decoder {
    /// A decoder at the start of a stream.
    pub fn new() -> Self {
        Self {
            low: Band::new(LOW),
            high: Band::new(HIGH),
            mirror: Mirror::default(),
        }
    }

    /// Two samples from one byte.
    fn decode_byte(&mut self, byte: u8) -> [i16; 2] {
        let (low_code, high_code) = (i32::from(byte & 0x3f), i32::from(byte >> 6));
        let limit = |value: i32| value.clamp(-16_384, 16_383);
        let difference = (self.low.factor * QM6[low_code as usize]) >> 15;
        let low = limit(self.low.expected + difference);
        self.low.take_low(low_code);
        let expected = self.high.expected;
        let high = limit(expected + self.high.take_high(high_code));
        let (even, odd) = self.mirror.filter(low + high, low - high);
        [saturate(odd >> 11) as i16, saturate(even >> 11) as i16]
    }
}

impl Default for G722Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decode for G722Decoder {
    fn rate_hz(&self) -> u32 {
        RATE_HZ
    }

    fn samples_in(&self, payload: &[u8]) -> Result<usize, CodecError> {
        if payload.is_empty() || payload.len() > MAX_BYTES {
            return Err(CodecError::BadPayload);
        }
        Ok(2 * payload.len())
    }

    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError> {
        let needed = self.samples_in(payload)?;
        let out = out
            .get_mut(..needed)
            .ok_or(CodecError::BufferTooSmall { needed })?;
        for (pair, &byte) in out.chunks_exact_mut(2).zip(payload) {
            pair.copy_from_slice(&self.decode_byte(byte));
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

/// Encodes G.722.
#[derive(Clone, Debug)]
pub struct G722Encoder {
    low: Band,
    high: Band,
    mirror: Mirror,
}

impl G722Encoder {
    /// An encoder at the start of a stream.
    pub fn new() -> Self {
        Self {
            low: Band::new(LOW),
            high: Band::new(HIGH),
            mirror: Mirror::default(),
        }
    }

    /// One byte from two samples.
    fn encode_pair(&mut self, first: i16, second: i16) -> u8 {
        let (even, odd) = self.mirror.filter(first.into(), second.into());
        let low = self.low.quantise_low((odd + even) >> 14);
        self.low.take_low(low);
        let high = self.high.quantise_high((odd - even) >> 14);
        self.high.take_high(high);
        (high << 6 | low) as u8
    }
}

impl Default for G722Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encode for G722Encoder {
    fn rate_hz(&self) -> u32 {
        RATE_HZ
    }

    fn accepts(&self, samples: usize) -> bool {
        samples.is_multiple_of(2) && (1..=MAX_BYTES).contains(&(samples / 2))
    }

    fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) -> Result<Encoded, CodecError> {
        let samples = pcm.len();
        if !self.accepts(samples) {
            return Err(CodecError::FrameLength { samples });
        }
        out.extend(
            pcm.chunks_exact(2)
                .map(|pair| self.encode_pair(pair[0], pair[1])),
        );
        Ok(Encoded::Payload(samples / 2))
    }

    fn set(&mut self, _setting: EncoderSetting) -> Result<(), CodecError> {
        Err(CodecError::NoSuchSetting)
    }

    fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(bytes: &[u8]) -> Vec<i16> {
        bytes
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
            .collect()
    }

    fn first_difference<T: PartialEq>(ours: &[T], theirs: &[T]) -> Option<usize> {
        assert_eq!(ours.len(), theirs.len());
        (0..ours.len()).find(|&at| ours[at] != theirs[at])
    }

    #[test]
    fn speech_like_sound_encodes_and_decodes_bit_by_bit_as_ffmpeg_does_it() {
        // How these were made: tests/vectors/audio/README.md.
        let pcm = samples(include_bytes!(
            "../../../../tests/vectors/audio/sweep-16k.s16"
        ));
        let coded = include_bytes!("../../../../tests/vectors/audio/sweep.g722");
        let decoded = samples(include_bytes!(
            "../../../../tests/vectors/audio/sweep-g722-decoded.s16"
        ));
        let mut encoder = G722Encoder::new();
        let mut payload = Vec::new();
        for frame in pcm.chunks_exact(320) {
            encoder.encode(frame, &mut payload).unwrap();
        }
        assert_eq!(first_difference(&payload, coded), None);
        let mut decoder = G722Decoder::new();
        let mut out = vec![0; decoded.len()];
        for (frame, out) in coded.chunks_exact(160).zip(out.chunks_exact_mut(320)) {
            assert_eq!(decoder.decode(frame, out), Ok(320));
        }
        assert_eq!(first_difference(&out, &decoded), None);
    }

    #[test]
    fn noise_at_full_scale_decodes_as_ffmpeg_does_it() {
        let coded = include_bytes!("../../../../tests/vectors/audio/noise.g722");
        let decoded = samples(include_bytes!(
            "../../../../tests/vectors/audio/noise-g722-decoded.s16"
        ));
        let mut decoder = G722Decoder::new();
        let mut out = vec![0; decoded.len()];
        for (frame, out) in coded.chunks_exact(160).zip(out.chunks_exact_mut(320)) {
            assert_eq!(decoder.decode(frame, out), Ok(320));
        }
        assert_eq!(first_difference(&out, &decoded), None);
    }

    #[test]
    fn an_odd_number_of_samples_is_no_frame() {
        let answer = G722Encoder::new().encode(&[0; 161], &mut Vec::new());
        assert_eq!(answer, Err(CodecError::FrameLength { samples: 161 }));
    }
}
