//! Opus (RFC 6716) by libopus.

mod sys;

use super::{Bandwidth, CodecError, Decode, Encode, Encoded, EncoderSetting, MAX_FRAME_MS};
use opusic_sys as c;
use sys::{RawDecoder, RawEncoder};

/// The most that an encoder may make of one frame, in bytes (RFC 6716 section 3.2.1: 1275 a frame,
/// of which a long packet has several).
const MAX_PAYLOAD: usize = 1_500;

/// Payloads of up to this length say only that the silence goes on (libopus: need not be sent).
const SILENCE_LEN: usize = 2;

/// Decodes Opus to mono at 8, 16, 24 or 48 kHz.
#[derive(Debug)]
pub struct OpusDecoder {
    raw: RawDecoder,
    rate_hz: u32,
}

impl OpusDecoder {
    /// A decoder that gives samples at `rate_hz`.
    pub fn new(rate_hz: u32) -> Result<Self, CodecError> {
        let raw = RawDecoder::new(rate_hz)?;
        Ok(Self { raw, rate_hz })
    }
}

impl Decode for OpusDecoder {
    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn samples_in(&self, payload: &[u8]) -> Result<usize, CodecError> {
        // Without a byte there is no table of contents; libopus would read that as loss.
        if payload.is_empty() {
            return Err(CodecError::BadPayload);
        }
        let samples = sys::samples_in(payload, self.rate_hz).map_err(|_| CodecError::BadPayload)?;
        // A packet may say that it has no frames at all.
        if samples == 0 || samples > (MAX_FRAME_MS * self.rate_hz / 1000) as usize {
            return Err(CodecError::BadPayload);
        }
        Ok(samples)
    }

    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError> {
        let needed = self.samples_in(payload)?;
        let out = out
            .get_mut(..needed)
            .ok_or(CodecError::BufferTooSmall { needed })?;
        self.raw.decode(Some(payload), out, false)
    }

    fn conceal(&mut self, out: &mut [i16]) -> Option<Result<usize, CodecError>> {
        Some(self.raw.decode(None, out, false))
    }

    fn carries_previous(&self, payload: &[u8]) -> bool {
        sys::has_fec(payload)
    }

    fn recover(&mut self, next: &[u8], out: &mut [i16]) -> Option<Result<usize, CodecError>> {
        self.carries_previous(next)
            .then(|| self.raw.decode(Some(next), out, true))
    }
}

/// The most complexity that is spent at a sampling rate. At 8 kHz there is what G.711 has left of a
/// voice: above 1, where a second and third guess at each sample begin, a frame costs twice as much
/// and the band stays as narrow.
const fn most_effort(rate_hz: u32) -> u8 {
    if rate_hz <= 8_000 { 1 } else { 10 }
}

/// Encodes mono at 8, 16, 24 or 48 kHz into Opus, tuned for voice.
#[derive(Debug)]
pub struct OpusEncoder {
    raw: RawEncoder,
    rate_hz: u32,
}

impl OpusEncoder {
    /// An encoder of samples at `rate_hz`: complexity 5 or [`most_effort`], variable rate, neither
    /// FEC nor DTX.
    pub fn new(rate_hz: u32) -> Result<Self, CodecError> {
        let mut raw = RawEncoder::new(rate_hz)?;
        let effort = i32::from(most_effort(rate_hz).min(5));
        raw.set(c::OPUS_SET_COMPLEXITY_REQUEST, effort)?;
        Ok(Self { raw, rate_hz })
    }
}

impl Encode for OpusEncoder {
    fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    fn accepts(&self, samples: usize) -> bool {
        // 2.5, 5, 10, 20, 40, 60, 80, 100 or 120 ms, in steps of 2.5 ms.
        let step = self.rate_hz as usize / 400;
        samples.is_multiple_of(step)
            && matches!(samples / step, 1 | 2 | 4 | 8 | 16 | 24 | 32 | 40 | 48)
    }

    fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) -> Result<Encoded, CodecError> {
        if !self.accepts(pcm.len()) {
            return Err(CodecError::FrameLength { samples: pcm.len() });
        }
        let before = out.len();
        out.resize(before + MAX_PAYLOAD, 0);
        let answer = self.raw.encode(pcm, &mut out[before..]);
        let len = *answer.as_ref().unwrap_or(&0);
        if len <= SILENCE_LEN {
            out.truncate(before);
            return answer.map(|_| Encoded::Nothing);
        }
        out.truncate(before + len);
        Ok(Encoded::Payload(len))
    }

    fn set(&mut self, setting: EncoderSetting) -> Result<(), CodecError> {
        let (request, value) = match setting {
            EncoderSetting::Complexity(effort) => {
                if effort > 10 {
                    return Err(CodecError::SettingOutOfRange);
                }
                let effort = effort.min(most_effort(self.rate_hz));
                (c::OPUS_SET_COMPLEXITY_REQUEST, i32::from(effort))
            }
            EncoderSetting::BitrateBps(rate) => (
                c::OPUS_SET_BITRATE_REQUEST,
                i32::try_from(rate)
                    .ok()
                    .filter(|rate| (6_000..=510_000).contains(rate))
                    .ok_or(CodecError::SettingOutOfRange)?,
            ),
            EncoderSetting::MaxBandwidth(width) => (
                c::OPUS_SET_MAX_BANDWIDTH_REQUEST,
                match width {
                    Bandwidth::Narrow => c::OPUS_BANDWIDTH_NARROWBAND,
                    Bandwidth::Medium => c::OPUS_BANDWIDTH_MEDIUMBAND,
                    Bandwidth::Wide => c::OPUS_BANDWIDTH_WIDEBAND,
                    Bandwidth::SuperWide => c::OPUS_BANDWIDTH_SUPERWIDEBAND,
                    Bandwidth::Full => c::OPUS_BANDWIDTH_FULLBAND,
                },
            ),
            EncoderSetting::Fec(on) => (c::OPUS_SET_INBAND_FEC_REQUEST, i32::from(on)),
            EncoderSetting::ExpectedLossPercent(percent) => {
                (c::OPUS_SET_PACKET_LOSS_PERC_REQUEST, i32::from(percent))
            }
            EncoderSetting::Dtx(on) => (c::OPUS_SET_DTX_REQUEST, i32::from(on)),
        };
        self.raw.set(request, value)
    }

    fn reset(&mut self) {
        self.raw.reset();
    }
}
