//! Codecs behind two traits: one frame in, one frame out, mono 16-bit samples.
//!
//! What a codec cannot do it says: a setting it lacks is an error, and a decoder without
//! concealment of its own answers `None`, so that the caller uses [`crate::Concealer`].

mod error;
pub mod g711;
mod g722;
mod l16;
mod opus;

pub use error::CodecError;
pub use g722::{G722Decoder, G722Encoder};
pub use l16::{L16Decoder, L16Encoder};
pub use opus::{OpusDecoder, OpusEncoder};

/// The longest frame any codec here takes, in milliseconds (RFC 6716 section 3.2.5).
pub const MAX_FRAME_MS: u32 = 120;

/// The highest sampling rate in use, in hertz.
pub const MAX_RATE_HZ: u32 = 48_000;

/// Samples of the longest frame at the highest rate.
pub const MAX_FRAME_SAMPLES: usize = (MAX_FRAME_MS * MAX_RATE_HZ / 1000) as usize;

/// Sampling rates that the audio engine works in, in hertz.
pub const RATES_HZ: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

/// A codec as an rtpmap names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// G.711 mu-law (RFC 3551 section 4.5.14).
    Pcmu,
    /// G.711 A-law (RFC 3551 section 4.5.14).
    Pcma,
    /// G.722 at 64 kbit/s (RFC 3551 section 4.5.2): sampled at 16 kHz, an RTP clock of 8 kHz.
    G722,
    /// Linear 16-bit samples, network byte order (RFC 3551 section 4.5.11), mono.
    L16 {
        /// Sampling rate and RTP clock, one of [`RATES_HZ`].
        rate_hz: u32,
    },
    /// Opus (RFC 6716, RFC 7587): an RTP clock of 48 kHz whatever it is coded at.
    Opus,
}

impl Codec {
    /// The codec an rtpmap describes; `None` where it is not one of ours or not with these
    /// parameters. `channels` is 1 where the rtpmap names none.
    pub fn from_rtpmap(name: &str, clock_hz: u32, channels: u8) -> Option<Self> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match (clock_hz, channels) {
            (8_000, 1) if is("PCMU") => Some(Self::Pcmu),
            (8_000, 1) if is("PCMA") => Some(Self::Pcma),
            (8_000, 1) if is("G722") => Some(Self::G722),
            // RFC 7587 section 7: always written as two channels.
            (48_000, 2) if is("opus") => Some(Self::Opus),
            (rate_hz, 1) if is("L16") && RATES_HZ.contains(&rate_hz) => Some(Self::L16 { rate_hz }),
            _ => None,
        }
    }

    /// The encoding name of the rtpmap.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::L16 { .. } => "L16",
            Self::Opus => "opus",
        }
    }

    /// What RTP timestamps count, in hertz.
    pub const fn clock_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            Self::L16 { rate_hz } => rate_hz,
            Self::Opus => 48_000,
        }
    }

    /// The highest sampling rate that makes sense for it, in hertz.
    pub const fn full_rate_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8_000,
            Self::G722 => 16_000,
            Self::L16 { rate_hz } => rate_hz,
            Self::Opus => 48_000,
        }
    }

    /// The rate to work at when the other side has `far_rate_hz`, in hertz: Opus is decoded and
    /// encoded at the far side's rate, which costs less than resampling; the others have one rate.
    pub fn rate_towards(self, far_rate_hz: u32) -> u32 {
        match self {
            Self::Opus => RATES_HZ
                .into_iter()
                .find(|&rate_hz| rate_hz >= far_rate_hz)
                .unwrap_or(MAX_RATE_HZ),
            _ => self.full_rate_hz(),
        }
    }

    /// The payload type that RFC 3551 assigns, where it does.
    pub const fn static_payload_type(self) -> Option<u8> {
        match self {
            Self::Pcmu => Some(0),
            Self::Pcma => Some(8),
            Self::G722 => Some(9),
            Self::L16 { .. } | Self::Opus => None,
        }
    }

    /// Whether frames can be decoded in any order and from any point without a trace of others:
    /// then listeners may be moved between encoders freely.
    pub const fn is_stateless(self) -> bool {
        matches!(self, Self::Pcmu | Self::Pcma | Self::L16 { .. })
    }

    /// A decoder that gives samples at `rate_hz`.
    pub fn decoder(self, rate_hz: u32) -> Result<Box<dyn Decode>, CodecError> {
        if !matches!(self, Self::Opus) && rate_hz != self.full_rate_hz() {
            return Err(CodecError::UnsupportedRate { rate_hz });
        }
        Ok(match self {
            Self::Pcmu => Box::new(g711::Decoder::new(g711::Law::Mu)),
            Self::Pcma => Box::new(g711::Decoder::new(g711::Law::A)),
            Self::G722 => Box::new(G722Decoder::new()),
            Self::L16 { rate_hz } => Box::new(L16Decoder::new(rate_hz)?),
            Self::Opus => Box::new(OpusDecoder::new(rate_hz)?),
        })
    }

    /// An encoder that takes samples at `rate_hz`.
    pub fn encoder(self, rate_hz: u32) -> Result<Box<dyn Encode>, CodecError> {
        if !matches!(self, Self::Opus) && rate_hz != self.full_rate_hz() {
            return Err(CodecError::UnsupportedRate { rate_hz });
        }
        Ok(match self {
            Self::Pcmu => Box::new(g711::Encoder::new(g711::Law::Mu)),
            Self::Pcma => Box::new(g711::Encoder::new(g711::Law::A)),
            Self::G722 => Box::new(G722Encoder::new()),
            Self::L16 { rate_hz } => Box::new(L16Encoder::new(rate_hz)?),
            Self::Opus => Box::new(OpusEncoder::new(rate_hz)?),
        })
    }
}

/// Turns payloads into mono samples. Inputs: payloads in order, or the news that one is lost.
/// Outputs: samples in the caller's buffer. Limits: a payload is at most [`MAX_FRAME_MS`] long.
pub trait Decode: Send {
    /// Sampling rate of what comes out, in hertz.
    fn rate_hz(&self) -> u32;

    /// Samples that `payload` will decode to.
    fn samples_in(&self, payload: &[u8]) -> Result<usize, CodecError>;

    /// Decodes one payload into the front of `out` and gives the number of samples.
    fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, CodecError>;

    /// Fills `out` in place of a lost frame of that length. `None` where the codec has no
    /// concealment of its own.
    fn conceal(&mut self, out: &mut [i16]) -> Option<Result<usize, CodecError>>;

    /// Whether a payload carries something of the frame before it.
    fn carries_previous(&self, _payload: &[u8]) -> bool {
        false
    }

    /// Fills `out` with the lost frame that stood before `next`, from what `next` carries of it
    /// (in-band FEC). `None` where it carries nothing. `next` itself is decoded afterwards.
    fn recover(&mut self, next: &[u8], out: &mut [i16]) -> Option<Result<usize, CodecError>>;
}

/// What has come of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// A payload of so many bytes, to be sent.
    Payload(usize),
    /// The encoder has nothing to send for this frame (discontinuous transmission); the timestamp
    /// moves on all the same.
    Nothing,
}

/// Audio bandwidth of an encoder (RFC 6716 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bandwidth {
    /// 4 kHz.
    Narrow,
    /// 6 kHz.
    Medium,
    /// 8 kHz.
    Wide,
    /// 12 kHz.
    SuperWide,
    /// 20 kHz.
    Full,
}

impl Bandwidth {
    /// The most that samples at `rate_hz` can fill.
    pub const fn of_rate(rate_hz: u32) -> Self {
        match rate_hz {
            0..=8_000 => Self::Narrow,
            8_001..=12_000 => Self::Medium,
            12_001..=16_000 => Self::Wide,
            16_001..=24_000 => Self::SuperWide,
            _ => Self::Full,
        }
    }
}

/// A setting of an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncoderSetting {
    /// Effort, 0 to 10.
    Complexity(u8),
    /// Target rate, in bits per second.
    BitrateBps(u32),
    /// The widest audio band to code.
    MaxBandwidth(Bandwidth),
    /// Whether packets carry a coarse copy of the frame before (in-band FEC).
    Fec(bool),
    /// Loss to be expected on the way, in percent; with FEC it decides how much is spent on it.
    ExpectedLossPercent(u8),
    /// Whether silence is sent as nothing (discontinuous transmission).
    Dtx(bool),
}

/// Turns frames of mono samples into payloads. Inputs: frames of one of the lengths it accepts.
/// Outputs: a payload at the end of the caller's buffer, or none in silence.
pub trait Encode: Send {
    /// Sampling rate of what goes in, in hertz.
    fn rate_hz(&self) -> u32;

    /// Whether a frame may have this many samples.
    fn accepts(&self, samples: usize) -> bool;

    /// Encodes one frame and appends its payload to `out`.
    fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) -> Result<Encoded, CodecError>;

    /// Changes a setting; [`CodecError::NoSuchSetting`] where the codec has none of the kind.
    fn set(&mut self, setting: EncoderSetting) -> Result<(), CodecError>;

    /// Forgets the past, as if new; settings stay.
    fn reset(&mut self);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rtpmap_names_a_codec_in_any_case_and_only_with_its_clock_and_channels() {
        assert_eq!(Codec::from_rtpmap("pcmu", 8_000, 1), Some(Codec::Pcmu));
        assert_eq!(Codec::from_rtpmap("OPUS", 48_000, 2), Some(Codec::Opus));
        assert_eq!(Codec::from_rtpmap("opus", 48_000, 1), None);
        assert_eq!(Codec::from_rtpmap("PCMA", 16_000, 1), None);
        assert_eq!(Codec::from_rtpmap("L16", 44_100, 1), None);
        assert_eq!(Codec::from_rtpmap("L16", 16_000, 2), None);
        for codec in [
            Codec::Pcmu,
            Codec::Pcma,
            Codec::G722,
            Codec::L16 { rate_hz: 16_000 },
        ] {
            assert_eq!(
                Codec::from_rtpmap(codec.name(), codec.clock_hz(), 1),
                Some(codec)
            );
        }
    }

    #[test]
    fn a_rate_that_a_codec_has_not_is_refused() {
        for codec in [Codec::Pcmu, Codec::G722, Codec::L16 { rate_hz: 16_000 }] {
            let refused = CodecError::UnsupportedRate { rate_hz: 48_000 };
            assert_eq!(codec.decoder(48_000).err(), Some(refused));
            assert_eq!(codec.encoder(48_000).err(), Some(refused));
        }
        let refused = CodecError::UnsupportedRate { rate_hz: 44_100 };
        assert_eq!(Codec::Opus.encoder(44_100).err(), Some(refused));
        assert_eq!(Codec::Opus.decoder(44_100).err(), Some(refused));
    }

    #[test]
    fn opus_works_at_the_rate_of_the_other_side() {
        assert_eq!(Codec::Opus.rate_towards(8_000), 8_000);
        assert_eq!(Codec::Opus.rate_towards(32_000), 48_000);
        assert_eq!(Codec::G722.rate_towards(8_000), 16_000);
    }

    #[test]
    fn codecs_without_settings_say_so() {
        for codec in [
            Codec::Pcmu,
            Codec::Pcma,
            Codec::G722,
            Codec::L16 { rate_hz: 8_000 },
        ] {
            let mut encoder = codec.encoder(codec.full_rate_hz()).unwrap();
            let answer = encoder.set(EncoderSetting::Complexity(3));
            assert_eq!(answer, Err(CodecError::NoSuchSetting));
        }
    }

    #[test]
    fn frames_that_fit_no_codec_are_refused_with_their_length() {
        for codec in [Codec::G722, Codec::Opus, Codec::Pcmu] {
            let rate_hz = codec.full_rate_hz();
            let mut encoder = codec.encoder(rate_hz).unwrap();
            for samples in [0, MAX_FRAME_SAMPLES + 1] {
                assert!(!encoder.accepts(samples));
                let answer = encoder.encode(&vec![0; samples], &mut Vec::new());
                assert_eq!(answer, Err(CodecError::FrameLength { samples }));
            }
        }
    }
}
