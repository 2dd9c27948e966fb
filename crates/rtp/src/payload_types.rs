//! Payload formats by the names that SDP has for them. Which payload type stands for which is negotiated
//! (static types included: a description without names means those of RFC 3551) and comes with each producer.

use std::fmt;

/// What sort of media a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// Anything else.
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
