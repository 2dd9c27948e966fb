//! One stream from one codec into another: one decoder, one encoder.

use crate::codec::{Codec, CodecError, Decode, Encode, Encoded, EncoderSetting, MAX_FRAME_SAMPLES};
use crate::{Concealer, Resampler};

/// What a transcoder is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TranscodeSpec {
    /// What comes in.
    pub from: Codec,
    /// What goes out.
    pub to: Codec,
    /// Length of a packet going out, in milliseconds.
    pub ptime_ms: u32,
}

/// What a transcoder has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TranscodeCounters {
    /// Payloads decoded.
    pub decoded: u64,
    /// Payloads that were none of the codec.
    pub undecodable: u64,
    /// Packets that were missing and bridged.
    pub concealed: u64,
    /// Frames recovered from the packet behind them.
    pub recovered: u64,
    /// Payloads made.
    pub encoded: u64,
    /// Frames in which the encoder had nothing to send.
    pub silent: u64,
    /// Payloads that came behind later ones, and were left out.
    pub late: u64,
    /// Gaps too long to bridge, or far backwards: the timestamp was moved instead.
    pub jumps: u64,
}

/// A payload made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transcoded<'a> {
    /// RTP timestamp on the outgoing codec's clock; it begins where the first incoming one stood.
    pub timestamp: u32,
    /// Whether silence went before: the marker bit (RFC 3551 section 4.1).
    pub marker: bool,
    /// The payload.
    pub payload: &'a [u8],
}

/// A gap up to this long is bridged by made-up sound; a longer one is silence that was not sent, or
/// an outage.
const BRIDGED_MS: u32 = 60;

/// A payload this far behind is late; further behind, the sender has begun anew.
const LATE_MS: u32 = 3_000;

/// Transcodes.
///
/// Inputs: payloads in order, with their timestamps; what is missing between them shows in those.
/// Outputs: payloads of the length asked for. Both sides work at the rate that needs the least:
/// Opus is decoded and encoded at the other side's, so most pairs need no resampling, and the
/// encoder codes no band that the other side has not. Limits: a gap makes at most 60 ms of sound.
pub struct Transcoder {
    spec: TranscodeSpec,
    decoder: Box<dyn Decode>,
    encoder: Box<dyn Encode>,
    resampler: Resampler,
    concealer: Concealer,
    scratch: Vec<i16>,
    /// Decoded, at the encoder's rate, and not yet encoded.
    pending: Vec<i16>,
    frame: usize,
    payload: Vec<u8>,
    /// Incoming timestamp at which the next payload is expected.
    expected: Option<u32>,
    timestamp: u32,
    marker: bool,
    counters: TranscodeCounters,
}

impl std::fmt::Debug for Transcoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transcoder")
            .field("spec", &self.spec)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

impl Transcoder {
    /// A transcoder, whose encoder gets `settings` where it has them.
    pub fn new(spec: TranscodeSpec, settings: &[EncoderSetting]) -> Result<Self, CodecError> {
        let TranscodeSpec { from, to, ptime_ms } = spec;
        let from_hz = from.rate_towards(to.full_rate_hz());
        let to_hz = to.rate_towards(from_hz);
        let mut encoder = to.encoder(to_hz)?;
        for &setting in settings {
            match encoder.set(setting) {
                // Settings are for those codecs that have them.
                Ok(()) | Err(CodecError::NoSuchSetting) => {}
                Err(error) => return Err(error),
            }
        }
        let frame = (to_hz / 1000 * ptime_ms) as usize;
        if !encoder.accepts(frame) {
            return Err(CodecError::FrameLength { samples: frame });
        }
        Ok(Self {
            spec,
            decoder: from.decoder(from_hz)?,
            encoder,
            resampler: Resampler::new(from_hz, to_hz)?,
            concealer: Concealer::new(from_hz),
            scratch: vec![0; MAX_FRAME_SAMPLES],
            pending: Vec::new(),
            frame,
            payload: Vec::new(),
            expected: None,
            timestamp: 0,
            marker: true,
            counters: TranscodeCounters::default(),
        })
    }

    /// What it has done.
    pub const fn counters(&self) -> TranscodeCounters {
        self.counters
    }

    /// Changes a setting of the encoder.
    pub fn set(&mut self, setting: EncoderSetting) -> Result<(), CodecError> {
        self.encoder.set(setting)
    }

    /// A payload came; what is complete goes to `give`. An error is the encoder's; a payload that
    /// cannot be decoded is counted, and bridged as a lost one by the next.
    pub fn handle(
        &mut self,
        payload: &[u8],
        timestamp: u32,
        mut give: impl FnMut(Transcoded<'_>),
    ) -> Result<(), CodecError> {
        let Ok(samples) = self.decoder.samples_in(payload) else {
            self.counters.undecodable += 1;
            return Ok(());
        };
        if self.is_late(timestamp) {
            self.counters.late += 1;
            return Ok(());
        }
        self.bridge(payload, samples, timestamp);
        match self.decoder.decode(payload, &mut self.scratch) {
            Ok(len) => {
                self.counters.decoded += 1;
                self.concealer.heard(&mut self.scratch[..len]);
                self.resampler
                    .process(&self.scratch[..len], &mut self.pending);
                self.expected = Some(timestamp.wrapping_add(self.ticks(len)));
            }
            Err(_) => self.counters.undecodable += 1,
        }
        self.encode(&mut give)
    }

    /// Samples of the decoder as ticks of the incoming clock.
    fn ticks(&self, samples: usize) -> u32 {
        let clock_hz = u64::from(self.spec.from.clock_hz());
        (samples as u64 * clock_hz / u64::from(self.decoder.rate_hz())) as u32
    }

    /// Ticks of the incoming clock as ticks of the outgoing one.
    fn ticks_out(&self, ticks: u32) -> u32 {
        let clock_hz = u64::from(self.spec.to.clock_hz());
        (u64::from(ticks) * clock_hz / u64::from(self.spec.from.clock_hz())) as u32
    }

    fn is_late(&self, timestamp: u32) -> bool {
        let most = self.spec.from.clock_hz() / 1000 * LATE_MS;
        self.expected
            .is_some_and(|expected| (1..most).contains(&expected.wrapping_sub(timestamp)))
    }

    /// Makes up what is missing before a payload, or moves the timestamp over it.
    fn bridge(&mut self, payload: &[u8], samples: usize, timestamp: u32) {
        let Some(expected) = self.expected else {
            self.timestamp = timestamp;
            return;
        };
        let gap = timestamp.wrapping_sub(expected).cast_signed();
        if gap == 0 {
            return;
        }
        let most = self.spec.from.clock_hz() / 1000 * BRIDGED_MS;
        let Some(gap) = u32::try_from(gap).ok().filter(|&gap| gap <= most) else {
            self.jump(gap);
            return;
        };
        let rate_hz = u64::from(self.decoder.rate_hz());
        let mut left = (u64::from(gap) * rate_hz / u64::from(self.spec.from.clock_hz())) as usize;
        while left > 0 {
            let step = samples.min(left);
            let out = &mut self.scratch[..step];
            let recovered = (left == samples).then(|| self.decoder.recover(payload, out));
            if let Some(Some(Ok(_))) = recovered {
                self.counters.recovered += 1;
                self.concealer.heard(&mut self.scratch[..step]);
            } else {
                self.counters.concealed += 1;
                self.concealer.bridge(self.decoder.as_mut(), out);
            }
            self.resampler
                .process(&self.scratch[..step], &mut self.pending);
            left -= step;
        }
    }

    /// Silence, an outage, or a sender that begins anew.
    fn jump(&mut self, gap: i32) {
        self.counters.jumps += 1;
        self.marker = true;
        self.concealer.reset();
        // What did not fill a packet is too little to be missed.
        self.pending.clear();
        if let Ok(gap) = u32::try_from(gap) {
            self.timestamp = self.timestamp.wrapping_add(self.ticks_out(gap));
        }
    }

    fn encode(&mut self, give: &mut impl FnMut(Transcoded<'_>)) -> Result<(), CodecError> {
        let step = self.spec.to.clock_hz() / 1000 * self.spec.ptime_ms;
        let whole = self.pending.len() / self.frame * self.frame;
        for pcm in self.pending[..whole].chunks_exact(self.frame) {
            self.payload.clear();
            match self.encoder.encode(pcm, &mut self.payload)? {
                Encoded::Payload(_) => {
                    self.counters.encoded += 1;
                    give(Transcoded {
                        timestamp: self.timestamp,
                        marker: std::mem::take(&mut self.marker),
                        payload: &self.payload,
                    });
                }
                Encoded::Nothing => {
                    self.counters.silent += 1;
                    self.marker = true;
                }
            }
            self.timestamp = self.timestamp.wrapping_add(step);
        }
        self.pending.drain(..whole);
        Ok(())
    }
}
