//! The router with its publisher and subscribers, and the packets of a stream.

use std::time::{Duration, Instant};

use roomtone_rtp::{Codec, ExtensionKind, MediaKind};
use roomtone_sfu::{
    CodecParams, ConsumerId, ConsumerParams, EncodingParams, FeedbackKinds, ProducerId,
    ProducerParams, Router, RouterConfig, TransportId, TransportParams, WallClock,
};

const PUBLISHER: TransportId = TransportId(0);
const PAYLOAD_TYPE: u8 = 96;
const VIDEO_PACKETS: u16 = 5;

/// What is published.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// VP8, five packets of 1,100 B a frame, 30 frames a second.
    Video,
    /// Opus, one packet of 120 B every 20 ms.
    Audio,
}

impl Kind {
    pub(crate) fn every(self) -> Duration {
        match self {
            Self::Video => Duration::from_micros(33_333),
            Self::Audio => Duration::from_millis(20),
        }
    }

    pub(crate) fn frames_a_second(self) -> u32 {
        match self {
            Self::Video => 30,
            Self::Audio => 50,
        }
    }

    fn media(self) -> MediaKind {
        match self {
            Self::Video => MediaKind::Video,
            Self::Audio => MediaKind::Audio,
        }
    }

    fn codec(self, feedback: FeedbackKinds) -> CodecParams {
        let (codec, clock_rate, channels) = match self {
            Self::Video => (Codec::Vp8, 90_000, 0),
            Self::Audio => (Codec::Opus, 48_000, 2),
        };
        CodecParams {
            payload_type: PAYLOAD_TYPE,
            codec,
            clock_rate,
            channels,
            rtx_payload_type: None,
            feedback,
        }
    }
}

/// One publisher and its subscribers.
pub(crate) struct Scene {
    pub(crate) router: Router,
    kind: Kind,
    sequence: u16,
    /// SSRC of each subscriber's stream.
    streams: Vec<u32>,
}

impl Scene {
    pub(crate) fn new(
        kind: Kind,
        subscribers: u64,
        now: Instant,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let mut router = Router::new(RouterConfig::default(), WallClock { at: now, ntp: 0 }, 1);
        let video = kind == Kind::Video;
        let feedback = FeedbackKinds {
            nack: video,
            pli: video,
            transport_cc: true,
            ..FeedbackKinds::default()
        };
        let extensions = vec![
            (1, ExtensionKind::Mid),
            (2, ExtensionKind::TransportSequence),
        ];
        router.open_transport(PUBLISHER, TransportParams::default(), now)?;
        router.set_writable(PUBLISHER, true, now)?;
        let params = ProducerParams {
            kind: kind.media(),
            mid: Some("0".into()),
            codecs: vec![kind.codec(feedback)],
            encodings: vec![EncodingParams {
                ssrc: Some(1),
                ..EncodingParams::default()
            }],
            extensions: extensions.clone(),
            paused: false,
        };
        router.produce(PUBLISHER, ProducerId(0), params, now)?;
        let mut streams = Vec::new();
        for n in 1..=subscribers {
            let transport = TransportId(n);
            router.open_transport(transport, TransportParams::default(), now)?;
            router.set_writable(transport, true, now)?;
            let params = ConsumerParams {
                producer: Some(ProducerId(0)),
                kind: kind.media(),
                mid: Some("0".into()),
                payload_types: vec![(PAYLOAD_TYPE, 100)],
                rtx_payload_types: if video { vec![(100, 101)] } else { vec![] },
                extensions: extensions.clone(),
                ssrc: None,
                rtx_ssrc: None,
                paused: false,
                feedback,
                verbatim: false,
            };
            streams.push(router.consume(transport, ConsumerId(n), params, now)?.ssrc);
        }
        Ok(Self {
            router,
            kind,
            sequence: 0,
            streams,
        })
    }

    /// One frame arrives.
    pub(crate) fn publish(
        &mut self,
        frame: u32,
        now: Instant,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let packets = match self.kind {
            Kind::Video => VIDEO_PACKETS,
            Kind::Audio => 1,
        };
        for n in 0..packets {
            self.sequence = self.sequence.wrapping_add(1);
            let packet = match self.kind {
                Kind::Video => {
                    let first = if n == 0 { 0x10 } else { 0 };
                    let inter = u8::from(frame > 0);
                    let mut packet = self.header(frame * 3_000, n + 1 == packets);
                    // Payload descriptor (RFC 7741 4.2), then the head of a keyframe (RFC 6386 9.1).
                    packet.extend([first, inter, 0, 0, 0x9d, 0x01, 0x2a, 0, 0, 0, 0]);
                    packet.resize(1_100, 0x55);
                    packet
                }
                Kind::Audio => {
                    let mut packet = self.header(frame * 960, false);
                    packet.resize(120, 0x78);
                    packet
                }
            };
            self.router
                .handle_rtp(PUBLISHER, &packet, now)
                .map_err(|drop| format!("packet {} was dropped: {drop:?}", self.sequence))?;
        }
        Ok(())
    }

    /// Every subscriber says that all is well.
    pub(crate) fn report(&mut self, now: Instant) -> Result<(), Box<dyn std::error::Error>> {
        for (index, stream) in self.streams.iter().enumerate() {
            // Receiver report with one block (RFC 3550 6.4.2).
            let mut report = vec![0x81, 201, 0, 7];
            report.extend((index as u32 + 0x1000).to_be_bytes());
            report.extend(stream.to_be_bytes());
            report.extend([0; 4]);
            report.extend(u32::from(self.sequence).to_be_bytes());
            report.extend([0; 12]);
            self.router
                .handle_rtcp(TransportId(index as u64 + 1), &report, now)
                .map_err(|drop| format!("a report was dropped: {drop:?}"))?;
        }
        Ok(())
    }

    /// Fixed header with MID and transport sequence (RFC 8285 4.2).
    fn header(&self, timestamp: u32, marker: bool) -> Vec<u8> {
        let mut out = vec![0x90, (u8::from(marker) << 7) | PAYLOAD_TYPE];
        out.extend(self.sequence.to_be_bytes());
        out.extend(timestamp.to_be_bytes());
        out.extend(1_u32.to_be_bytes());
        out.extend([0xbe, 0xde, 0, 2, 0x10, b'0', 0x21]);
        out.extend(self.sequence.to_be_bytes());
        out.extend([0; 3]);
        out
    }
}
