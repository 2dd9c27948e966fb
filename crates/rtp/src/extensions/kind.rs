//! The header extensions this server knows, by the URIs they are negotiated with.

/// A header extension with a codec in this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExtensionKind {
    /// Media identification (RFC 8843 section 15).
    Mid,
    /// RTP stream id (RFC 8852 section 3.1).
    Rid,
    /// Repaired RTP stream id (RFC 8852 section 3.2).
    RepairedRid,
    /// Client-to-mixer audio level (RFC 6464).
    AudioLevel,
    /// Mixer-to-client audio levels (RFC 6465).
    MixerLevels,
    /// Coordination of video orientation (3GPP TS 26.114 section 7.4.5).
    VideoOrientation,
    /// Transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportSequence,
    /// Absolute send time.
    AbsSendTime,
    /// Absolute capture time.
    AbsCaptureTime,
    /// Playout delay limits.
    PlayoutDelay,
    /// Frame marking (RFC 9626).
    FrameMarking,
    /// Dependency descriptor (AV1 RTP specification, appendix A).
    DependencyDescriptor,
    /// Video layers allocation.
    VideoLayersAllocation,
}

impl ExtensionKind {
    /// How many kinds there are.
    pub const COUNT: usize = 13;

    /// All kinds, in the order of their declaration.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::AudioLevel,
        Self::MixerLevels,
        Self::VideoOrientation,
        Self::TransportSequence,
        Self::AbsSendTime,
        Self::AbsCaptureTime,
        Self::PlayoutDelay,
        Self::FrameMarking,
        Self::DependencyDescriptor,
        Self::VideoLayersAllocation,
    ];

    /// The URI that names the extension in SDP.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::MixerLevels => "urn:ietf:params:rtp-hdrext:csrc-audio-level",
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::TransportSequence => {
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            }
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::FrameMarking => "urn:ietf:params:rtp-hdrext:framemarking",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
            Self::VideoLayersAllocation => {
                "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"
            }
        }
    }

    /// The kind that a URI names. URIs are compared as they stand (RFC 8285 section 5), but for
    /// the name frame marking had as a draft.
    pub fn from_uri(uri: &str) -> Option<Self> {
        if uri == "http://tools.ietf.org/html/draft-ietf-avtext-framemarking-07" {
            return Some(Self::FrameMarking);
        }
        Self::ALL.into_iter().find(|kind| kind.uri() == uri)
    }

    /// Who comes first when a packet has no place for all extensions; higher goes first.
    ///
    /// What routes a packet comes before what decodes it, that before what paces it, and
    /// that before what only informs.
    pub const fn default_priority(self) -> u8 {
        match self {
            Self::Mid => 130,
            Self::Rid => 129,
            Self::RepairedRid => 128,
            Self::DependencyDescriptor => 110,
            Self::FrameMarking => 100,
            Self::VideoOrientation => 95,
            Self::TransportSequence => 90,
            Self::AbsSendTime => 80,
            Self::AudioLevel => 70,
            Self::MixerLevels => 60,
            Self::PlayoutDelay => 50,
            Self::AbsCaptureTime => 40,
            Self::VideoLayersAllocation => 30,
        }
    }

    #[inline]
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}
