//! Media in: one producer with its encodings, each one received stream.

mod correction;
mod facts;
mod figures;
mod frames;
mod keyframe;
mod links;
mod nack;
mod numbering;
mod rates;
mod reception;
mod recovery;
mod requests;
mod stream;

use roomtone_rtp::extensions::{ExtensionValue, VideoLayersAllocation};
use roomtone_rtp::{Codec, ExtensionKind, ExtensionMap, MediaKind};

use crate::allocation::{Offer, Wants};
use crate::quality::gauge::Gauge;
use crate::quality::policy::limits::ProducerLimit;
use crate::{CodecParams, FeedbackKinds, ProducerId, ProducerParams, ProducerStats, SfuError};

pub(crate) use correction::{base, set_base};
pub(crate) use frames::{Frame, Frames, MAX_SPATIAL, WINDOW};
pub(crate) use keyframe::Wish;
pub(crate) use rates::LayerCost;
pub(crate) use stream::{Arrival, PublisherReport, Stored, Stream};
#[cfg(test)]
pub(crate) use {
    facts::{read_described, read_payload},
    frames::Place,
};

/// What a payload type of a producer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Media: index into the codecs.
    Media(u8),
    /// Retransmissions of the media payload type.
    Rtx(u8),
}

/// One producer.
#[derive(Debug)]
pub(crate) struct Producer {
    pub(crate) id: ProducerId,
    pub(crate) transport: u32,
    pub(crate) kind: MediaKind,
    pub(crate) mid: Option<String>,
    pub(crate) paused: bool,
    pub(crate) codecs: Vec<CodecParams>,
    pub(crate) extensions: ExtensionMap,
    /// Indices of its streams, by encoding.
    pub(crate) streams: Vec<u32>,
    /// Indices of its consumers.
    pub(crate) consumers: Vec<u32>,
    pub(crate) dropped_paused: u64,
    /// Whether its publisher is given transport-wide feedback.
    pub(crate) transport_feedback: bool,
    /// The id of the extension in which the publisher tells its layers.
    pub(crate) layers_extension: Option<u8>,
    /// The id of the extension that names its section, where it has a name.
    pub(crate) mid_extension: Option<u8>,
    pub(crate) offer: Offer,
    pub(crate) wants: Wants,
    /// Whether its publisher is told a bitrate by REMB, for want of anything better.
    pub(crate) wants_remb: bool,
    /// How good what arrives is, by its worst stream.
    pub(crate) gauge: Gauge,
    pub(crate) limit: ProducerLimit,
    formats: Vec<(u8, Format)>,
}

impl Producer {
    pub(crate) fn new(
        id: ProducerId,
        transport: u32,
        params: &ProducerParams,
        now_us: u64,
    ) -> Result<Self, SfuError> {
        if params.codecs.is_empty() || params.encodings.is_empty() {
            return Err(SfuError::Empty);
        }
        let mut formats = Vec::new();
        for (at, codec) in params.codecs.iter().enumerate() {
            if codec.payload_type > 127 || codec.rtx_payload_type.is_some_and(|rtx| rtx > 127) {
                return Err(SfuError::Range("payload type"));
            }
            if codec.codec.kind().is_some_and(|kind| kind != params.kind) {
                return Err(SfuError::CodecKind);
            }
            if codec.clock_rate == 0 {
                return Err(SfuError::Range("clock rate"));
            }
            formats.push((codec.payload_type, Format::Media(at as u8)));
            if let Some(rtx) = codec.rtx_payload_type {
                formats.push((rtx, Format::Rtx(codec.payload_type)));
            }
        }
        let extensions = ExtensionMap::from_pairs(params.extensions.iter().copied())
            .map_err(|_| SfuError::Range("extension id"))?;
        let has_sequence = extensions
            .negotiated_id(ExtensionKind::TransportSequence)
            .is_some();
        let takes = |kind: fn(&FeedbackKinds) -> bool| {
            let mut codecs = params.codecs.iter();
            codecs.any(|codec| kind(&codec.feedback))
        };
        let transport_feedback = has_sequence && takes(|kinds| kinds.transport_cc);
        Ok(Self {
            id,
            transport,
            layers_extension: extensions.negotiated_id(ExtensionKind::VideoLayersAllocation),
            mid_extension: params
                .mid
                .as_ref()
                .and_then(|_| extensions.negotiated_id(ExtensionKind::Mid)),
            offer: Offer::new(
                params.kind != MediaKind::Video,
                params.encodings.len(),
                now_us,
            ),
            wants: Wants::new(params.encodings.len()),
            transport_feedback,
            wants_remb: !transport_feedback && takes(|kinds| kinds.remb),
            gauge: Gauge::default(),
            limit: ProducerLimit::default(),
            kind: params.kind,
            mid: params.mid.clone(),
            paused: params.paused,
            codecs: params.codecs.clone(),
            extensions,
            streams: Vec::new(),
            consumers: Vec::new(),
            dropped_paused: 0,
            formats,
        })
    }

    /// What a payload type means here.
    #[inline]
    pub(crate) fn format(&self, payload_type: u8) -> Option<Format> {
        self.formats
            .iter()
            .find(|(found, _)| *found == payload_type)
            .map(|(_, format)| *format)
    }

    /// The codec of a media payload type.
    #[inline]
    pub(crate) fn codec(&self, payload_type: u8) -> Option<&CodecParams> {
        match self.format(payload_type)? {
            Format::Media(at) => self.codecs.get(usize::from(at)),
            Format::Rtx(_) => None,
        }
    }

    /// The publisher tells what layers it makes; what cannot be read is passed over.
    #[cold]
    pub(crate) fn on_layers_told(&mut self, encoding: u8, value: &[u8]) {
        if let Ok(told) = VideoLayersAllocation::decode(value) {
            self.offer.on_told(encoding, &told);
        }
    }

    /// The id of an extension this producer's packets may carry.
    pub(crate) fn extension_id(&self, kind: ExtensionKind) -> Option<u8> {
        self.extensions.negotiated_id(kind)
    }

    /// Which keyframe requests its publisher takes: PLI, FIR.
    pub(crate) fn keyframe_requests(&self) -> (bool, bool) {
        let feedback = || self.codecs.iter().map(|codec| codec.feedback);
        (
            feedback().any(|kinds| kinds.pli),
            feedback().any(|kinds| kinds.fir),
        )
    }

    /// Whether its video may carry correction (RFC 5109) or be wrapped for it.
    pub(crate) fn wraps_video(&self) -> bool {
        self.kind == MediaKind::Video && self.codecs.iter().any(|codec| is_wrapping(codec.codec))
    }

    /// Whether a payload type is a wrapping of media packets, or correction.
    pub(crate) fn is_wrapping(&self, payload_type: u8) -> bool {
        self.codec(payload_type)
            .is_some_and(|codec| is_wrapping(codec.codec))
    }

    /// Whether its packets are the same for who names them alike: one encoding, no extensions.
    pub(crate) fn is_bare(&self) -> bool {
        self.streams.len() == 1 && self.extensions.negotiated().next().is_none()
    }

    /// Whether a payload type is correction in a stream of its own (RFC 8627).
    pub(crate) fn is_repair(&self, payload_type: u8) -> bool {
        let codec = self.codec(payload_type).map(|codec| codec.codec);
        matches!(codec, Some(Codec::Flexfec | Codec::Flexfec03))
    }

    /// Whether its packets say how loud they are.
    pub(crate) fn has_level(&self) -> bool {
        self.kind == MediaKind::Audio && self.extension_id(ExtensionKind::AudioLevel).is_some()
    }

    pub(crate) fn stats(&self, streams: &slab::Slab<Stream>, wanted_by: usize) -> ProducerStats {
        ProducerStats {
            id: self.id,
            kind: self.kind,
            streams: self
                .streams
                .iter()
                .map(|at| streams[*at as usize].stats())
                .collect(),
            dropped_paused: self.dropped_paused,
            wanted_by,
            quality: self.gauge.quality(),
        }
    }
}

fn is_wrapping(codec: Codec) -> bool {
    matches!(codec, Codec::Red | Codec::Ulpfec)
}
