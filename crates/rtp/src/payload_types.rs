//! Payload types: the static table of RFC 3551 and what was negotiated on top of it.

use std::fmt;

/// What sort of media a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// Anything else (application data, or a payload type nothing is known about).
    Data,
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Data => "data",
        })
    }
}

macro_rules! codecs {
    ($($(#[$doc:meta])* $codec:ident = $name:literal, $kind:expr;)*) => {
        /// A payload format, named as SDP names it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Codec {
            $($(#[$doc])* $codec,)*
            /// A format this server does not know. It can be forwarded, not read.
            Other,
        }

        impl Codec {
            /// All codecs with a name: every variant but [`Codec::Other`].
            pub const NAMED: &'static [Self] = &[$(Self::$codec),*];

            /// The encoding name in SDP; empty for [`Codec::Other`].
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$codec => $name,)*
                    Self::Other => "",
                }
            }

            /// The kind of media the format always is; `None` where the media section decides
            /// (repair formats, and what is not known).
            pub const fn kind(self) -> Option<MediaKind> {
                match self {
                    $(Self::$codec => $kind,)*
                    Self::Other => None,
                }
            }
        }
    };
}

const AUDIO: Option<MediaKind> = Some(MediaKind::Audio);
const VIDEO: Option<MediaKind> = Some(MediaKind::Video);

codecs! {
    /// Opus (RFC 7587).
    Opus = "opus", AUDIO;
    /// VP8 (RFC 7741).
    Vp8 = "VP8", VIDEO;
    /// VP9 (RFC 9628).
    Vp9 = "VP9", VIDEO;
    /// AV1 (AV1 RTP specification).
    Av1 = "AV1", VIDEO;
    /// H.264 (RFC 6184).
    H264 = "H264", VIDEO;
    /// H.265 (RFC 7798).
    H265 = "H265", VIDEO;
    /// G.711 μ-law (RFC 3551).
    Pcmu = "PCMU", AUDIO;
    /// G.711 A-law (RFC 3551).
    Pcma = "PCMA", AUDIO;
    /// G.722 at 64 kbit/s (RFC 3551; its clock rate says 8000 by an old mistake).
    G722 = "G722", AUDIO;
    /// Uncompressed 16-bit audio (RFC 3551).
    L16 = "L16", AUDIO;
    /// DTMF digits and tones (RFC 4733).
    TelephoneEvent = "telephone-event", AUDIO;
    /// Retransmission (RFC 4588).
    Rtx = "rtx", None;
    /// Redundant payloads (RFC 2198).
    Red = "red", None;
    /// Generic FEC with uneven protection (RFC 5109).
    Ulpfec = "ulpfec", None;
    /// Flexible FEC (RFC 8627).
    Flexfec = "flexfec", None;
    /// Flexible FEC as Chromium sends it (draft-ietf-payload-flexible-fec-scheme-03).
    Flexfec03 = "flexfec-03", None;
    /// Comfort noise (RFC 3389).
    ComfortNoise = "CN", AUDIO;
    /// GSM full rate (RFC 3551).
    Gsm = "GSM", AUDIO;
    /// G.723.1 (RFC 3551).
    G723 = "G723", AUDIO;
    /// DVI4 (RFC 3551).
    Dvi4 = "DVI4", AUDIO;
    /// LPC (RFC 3551).
    Lpc = "LPC", AUDIO;
    /// QCELP (RFC 2658).
    Qcelp = "QCELP", AUDIO;
    /// MPEG audio (RFC 2250).
    Mpa = "MPA", AUDIO;
    /// G.728 (RFC 3551).
    G728 = "G728", AUDIO;
    /// G.729 (RFC 3551).
    G729 = "G729", AUDIO;
    /// CelB (RFC 2029).
    CelB = "CelB", VIDEO;
    /// JPEG (RFC 2435).
    Jpeg = "JPEG", VIDEO;
    /// nv.
    Nv = "nv", VIDEO;
    /// H.261 (RFC 4587).
    H261 = "H261", VIDEO;
    /// MPEG-1 and MPEG-2 video (RFC 2250).
    Mpv = "MPV", VIDEO;
    /// MPEG-2 transport streams (RFC 2250). Its static type is listed as "AV".
    Mp2t = "MP2T", VIDEO;
    /// H.263 (RFC 2190).
    H263 = "H263", VIDEO;
    /// AAC and other MPEG-4 streams (RFC 3640).
    Mpeg4Generic = "mpeg4-generic", None;
    /// AMR narrow band (RFC 4867).
    Amr = "AMR", AUDIO;
    /// AMR wide band (RFC 4867).
    AmrWb = "AMR-WB", AUDIO;
    /// iLBC (RFC 3952).
    Ilbc = "iLBC", AUDIO;
    /// Speex (RFC 5574).
    Speex = "speex", AUDIO;
}

impl Codec {
    /// The codec of an SDP encoding name, in whatever case; [`Codec::Other`] for unknown names.
    pub fn from_name(name: &str) -> Self {
        let found = Self::NAMED
            .iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name));
        found.copied().unwrap_or(Self::Other)
    }

    /// Whether payloads of this format repair or wrap those of another.
    pub const fn is_repair(self) -> bool {
        matches!(
            self,
            Self::Rtx | Self::Red | Self::Ulpfec | Self::Flexfec | Self::Flexfec03
        )
    }
}

/// What a payload type stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PayloadFormat {
    /// The format.
    pub codec: Codec,
    /// The kind of media.
    pub kind: MediaKind,
    /// Units of the RTP timestamp in a second.
    pub clock_rate: u32,
    /// Audio channels; 1 where the notion does not apply.
    pub channels: u8,
}

impl PayloadFormat {
    const fn audio(codec: Codec, clock_rate: u32, channels: u8) -> Self {
        Self {
            codec,
            kind: MediaKind::Audio,
            clock_rate,
            channels,
        }
    }

    const fn video(codec: Codec) -> Self {
        Self {
            codec,
            kind: MediaKind::Video,
            clock_rate: 90_000,
            channels: 1,
        }
    }

    /// What a payload type nothing is known about is taken for: data on a 90 kHz clock. It is
    /// forwarded as it stands and never read.
    pub const UNKNOWN: Self = Self {
        codec: Codec::Other,
        kind: MediaKind::Data,
        clock_rate: 90_000,
        channels: 1,
    };
}

/// The payload types that RFC 3551 section 6 assigns (tables 4 and 5).
pub const fn static_format(payload_type: u8) -> Option<PayloadFormat> {
    type F = PayloadFormat;
    Some(match payload_type {
        0 => F::audio(Codec::Pcmu, 8_000, 1),
        3 => F::audio(Codec::Gsm, 8_000, 1),
        4 => F::audio(Codec::G723, 8_000, 1),
        5 => F::audio(Codec::Dvi4, 8_000, 1),
        6 => F::audio(Codec::Dvi4, 16_000, 1),
        7 => F::audio(Codec::Lpc, 8_000, 1),
        8 => F::audio(Codec::Pcma, 8_000, 1),
        9 => F::audio(Codec::G722, 8_000, 1),
        10 => F::audio(Codec::L16, 44_100, 2),
        11 => F::audio(Codec::L16, 44_100, 1),
        12 => F::audio(Codec::Qcelp, 8_000, 1),
        13 => F::audio(Codec::ComfortNoise, 8_000, 1),
        14 => F::audio(Codec::Mpa, 90_000, 1),
        15 => F::audio(Codec::G728, 8_000, 1),
        16 => F::audio(Codec::Dvi4, 11_025, 1),
        17 => F::audio(Codec::Dvi4, 22_050, 1),
        18 => F::audio(Codec::G729, 8_000, 1),
        25 => F::video(Codec::CelB),
        26 => F::video(Codec::Jpeg),
        28 => F::video(Codec::Nv),
        31 => F::video(Codec::H261),
        32 => F::video(Codec::Mpv),
        33 => F::video(Codec::Mp2t),
        34 => F::video(Codec::H263),
        _ => return None,
    })
}

/// Why a payload type cannot be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PayloadTypeError {
    /// Payload types have seven bits.
    #[error("{0} is not a payload type")]
    OutOfRange(u8),
    /// 64-95 look like RTCP when both share a port (RFC 5761 section 4).
    #[error("payload type {0} cannot share a port with RTCP")]
    CollidesWithRtcp(u8),
    /// A clock rate of zero.
    #[error("payload type {0} has no clock rate")]
    ClockRate(u8),
}

/// The payload types of one stream or media section: negotiated ones first, then the static
/// ones, then a defined fallback.
#[derive(Debug, Clone)]
pub struct PayloadTypeRegistry {
    negotiated: [Option<PayloadFormat>; 128],
    fallback: PayloadFormat,
    rtcp_mux: bool,
}

impl Default for PayloadTypeRegistry {
    fn default() -> Self {
        Self {
            negotiated: [None; 128],
            fallback: PayloadFormat::UNKNOWN,
            rtcp_mux: true,
        }
    }
}

impl PayloadTypeRegistry {
    /// A registry with the static types only, for a port shared with RTCP.
    pub fn new() -> Self {
        Self::default()
    }

    /// A registry for RTP on a port of its own: all 128 types may be used.
    pub fn without_rtcp_mux() -> Self {
        Self {
            rtcp_mux: false,
            ..Self::default()
        }
    }

    /// Enters a negotiated format; it takes the place of a static or earlier one.
    pub fn insert(
        &mut self,
        payload_type: u8,
        format: PayloadFormat,
    ) -> Result<(), PayloadTypeError> {
        if payload_type > 127 {
            return Err(PayloadTypeError::OutOfRange(payload_type));
        }
        if self.rtcp_mux && (64..=95).contains(&payload_type) {
            return Err(PayloadTypeError::CollidesWithRtcp(payload_type));
        }
        if format.clock_rate == 0 {
            return Err(PayloadTypeError::ClockRate(payload_type));
        }
        self.negotiated[usize::from(payload_type)] = Some(format);
        Ok(())
    }

    /// Takes a negotiated format out again; says whether there was one.
    pub fn remove(&mut self, payload_type: u8) -> bool {
        let slot = self.negotiated.get_mut(usize::from(payload_type));
        slot.and_then(Option::take).is_some()
    }

    /// Sets what [`PayloadTypeRegistry::resolve`] gives for unknown types.
    pub fn set_fallback(&mut self, fallback: PayloadFormat) {
        self.fallback = fallback;
    }

    /// The negotiated or static format.
    #[inline]
    pub fn get(&self, payload_type: u8) -> Option<PayloadFormat> {
        let negotiated = self
            .negotiated
            .get(usize::from(payload_type))
            .copied()
            .flatten();
        negotiated.or_else(|| static_format(payload_type))
    }

    /// The negotiated or static format, or the fallback.
    #[inline]
    pub fn resolve(&self, payload_type: u8) -> PayloadFormat {
        self.get(payload_type).unwrap_or(self.fallback)
    }

    /// The first payload type of a codec at a clock rate: negotiated, else static.
    pub fn find(&self, codec: Codec, clock_rate: u32) -> Option<u8> {
        let matches =
            |format: PayloadFormat| format.codec == codec && format.clock_rate == clock_rate;
        let negotiated =
            (0..128_u8).find(|at| self.negotiated[usize::from(*at)].is_some_and(matches));
        negotiated.or_else(|| (0..128_u8).find(|at| self.get(*at).is_some_and(matches)))
    }

    /// A free dynamic type: 96-127 first, then 35-63 (RFC 3551 section 6 as amended in practice).
    pub fn free_dynamic(&self) -> Option<u8> {
        (96..128_u8)
            .chain(35..64)
            .find(|at| self.negotiated[usize::from(*at)].is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPUS: PayloadFormat = PayloadFormat {
        codec: Codec::Opus,
        kind: MediaKind::Audio,
        clock_rate: 48_000,
        channels: 2,
    };

    #[test]
    fn the_static_types_are_those_of_rfc_3551() {
        let assigned: Vec<u8> = (0..=255)
            .filter(|at| static_format(*at).is_some())
            .collect();
        let audio = [0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18];
        let video = [25, 26, 28, 31, 32, 33, 34];
        assert_eq!(assigned, [&audio[..], &video[..]].concat());
        for at in audio {
            assert_eq!(static_format(at).unwrap().kind, MediaKind::Audio, "{at}");
        }
        for at in video {
            let format = static_format(at).unwrap();
            assert_eq!(
                (format.kind, format.clock_rate),
                (MediaKind::Video, 90_000),
                "{at}"
            );
        }
        let rates =
            |at| static_format(at).map(|format| (format.codec, format.clock_rate, format.channels));
        assert_eq!(rates(0), Some((Codec::Pcmu, 8_000, 1)));
        assert_eq!(rates(9), Some((Codec::G722, 8_000, 1)));
        assert_eq!(rates(10), Some((Codec::L16, 44_100, 2)));
        assert_eq!(rates(14), Some((Codec::Mpa, 90_000, 1)));
        assert_eq!(rates(17), Some((Codec::Dvi4, 22_050, 1)));
    }

    #[test]
    fn names_are_found_in_any_case_and_unknown_ones_are_other() {
        for codec in Codec::NAMED {
            assert_eq!(Codec::from_name(codec.name()), *codec);
            assert_eq!(Codec::from_name(&codec.name().to_uppercase()), *codec);
        }
        assert_eq!(Codec::from_name("x-nobody"), Codec::Other);
        assert_eq!(Codec::from_name(""), Codec::Other);
        assert_eq!(Codec::Other.kind(), None);
    }

    #[test]
    fn a_negotiated_type_hides_a_static_one_until_it_is_removed() {
        let mut registry = PayloadTypeRegistry::new();
        registry.insert(0, OPUS).unwrap();
        assert_eq!(registry.get(0), Some(OPUS));
        assert!(registry.remove(0));
        assert!(!registry.remove(0));
        assert_eq!(registry.get(0).unwrap().codec, Codec::Pcmu);
    }

    #[test]
    fn an_unknown_type_is_data_unless_another_fallback_is_set() {
        let mut registry = PayloadTypeRegistry::new();
        assert_eq!(registry.get(111), None);
        assert_eq!(registry.resolve(111), PayloadFormat::UNKNOWN);
        assert_eq!(registry.resolve(111).kind, MediaKind::Data);
        registry.set_fallback(OPUS);
        assert_eq!(registry.resolve(111), OPUS);
        assert_eq!(registry.resolve(255), OPUS);
    }

    #[test]
    fn types_that_cannot_be_used_are_refused() {
        let mut registry = PayloadTypeRegistry::new();
        assert_eq!(
            registry.insert(128, OPUS),
            Err(PayloadTypeError::OutOfRange(128))
        );
        assert_eq!(
            registry.insert(72, OPUS),
            Err(PayloadTypeError::CollidesWithRtcp(72))
        );
        let stopped = PayloadFormat {
            clock_rate: 0,
            ..OPUS
        };
        assert_eq!(
            registry.insert(96, stopped),
            Err(PayloadTypeError::ClockRate(96))
        );
        assert_eq!(
            PayloadTypeRegistry::without_rtcp_mux().insert(72, OPUS),
            Ok(())
        );
    }

    #[test]
    fn a_codec_is_found_by_clock_rate_negotiated_types_first() {
        let mut registry = PayloadTypeRegistry::new();
        assert_eq!(registry.find(Codec::L16, 44_100), Some(10));
        assert_eq!(registry.find(Codec::Opus, 48_000), None);
        registry.insert(111, OPUS).unwrap();
        assert_eq!(registry.find(Codec::Opus, 48_000), Some(111));
        assert_eq!(registry.find(Codec::Opus, 8_000), None);
        registry.insert(100, static_format(0).unwrap()).unwrap();
        assert_eq!(registry.find(Codec::Pcmu, 8_000), Some(100));
    }

    #[test]
    fn dynamic_types_run_out_after_both_ranges() {
        let mut registry = PayloadTypeRegistry::new();
        let mut given = Vec::new();
        while let Some(at) = registry.free_dynamic() {
            registry.insert(at, OPUS).unwrap();
            given.push(at);
        }
        assert_eq!(given, (96..128).chain(35..64).collect::<Vec<_>>());
    }
}
