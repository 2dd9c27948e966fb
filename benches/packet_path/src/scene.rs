//! One publisher and its subscribers.

use std::time::{Duration, Instant};

use roomtone_rtp::{Codec, ExtensionKind, MediaKind};
use roomtone_sfu::{
    CodecParams, ConsumerId, ConsumerParams, EncodingParams, FeedbackKinds, ProducerId,
    ProducerParams, Router, RouterConfig, TransportId, TransportParams, WallClock,
};

use crate::feedback::Feedback;
use crate::traffic::Traffic;
use crate::{Failure, counted};

const PUBLISHER: TransportId = TransportId(0);
const PAYLOAD_TYPE: u8 = 96;
const VIDEO_PACKETS: u16 = 5;
/// The id of the transport-wide sequence number.
const SEQUENCE: u8 = 2;
/// Frames between two feedback packets: 66 and 100 ms.
const FEEDBACK_FRAMES: [u32; 2] = [2, 3];

/// What is published.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// VP8, five packets of 1,100 B a frame, 30 frames a second.
    Video,
    /// The same, with an estimator for each subscriber.
    Adaptive,
    /// Opus, one packet of 120 B every 20 ms.
    Audio,
}

impl Kind {
    fn every(self) -> Duration {
        match self {
            Self::Video | Self::Adaptive => Duration::from_micros(33_333),
            Self::Audio => Duration::from_millis(20),
        }
    }

    fn frames_a_second(self) -> u32 {
        match self {
            Self::Video | Self::Adaptive => 30,
            Self::Audio => 50,
        }
    }

    fn media(self) -> MediaKind {
        match self {
            Self::Video | Self::Adaptive => MediaKind::Video,
            Self::Audio => MediaKind::Audio,
        }
    }

    fn codec(self, feedback: FeedbackKinds) -> CodecParams {
        let (codec, clock_rate, channels) = match self {
            Self::Video | Self::Adaptive => (Codec::Vp8, 90_000, 0),
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
    router: Router,
    kind: Kind,
    sequence: u16,
    feedback: Option<Feedback>,
    /// SSRC of each subscriber's stream.
    streams: Vec<u32>,
}

impl Scene {
    pub(crate) fn new(kind: Kind, subscribers: u64, now: Instant) -> Result<Self, Failure> {
        let mut router = Router::new(RouterConfig::default(), WallClock { at: now, ntp: 0 }, 1);
        let video = kind != Kind::Audio;
        let adaptive = kind == Kind::Adaptive;
        let feedback = FeedbackKinds {
            nack: video,
            pli: video,
            transport_cc: adaptive,
            ..FeedbackKinds::default()
        };
        let extensions = vec![
            (1, ExtensionKind::Mid),
            (SEQUENCE, ExtensionKind::TransportSequence),
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
                redundancy: None,
                verbatim: false,
            };
            streams.push(router.consume(transport, ConsumerId(n), params, now)?.ssrc);
        }
        Ok(Self {
            router,
            kind,
            sequence: 0,
            feedback: adaptive.then(|| Feedback::new(subscribers as usize, SEQUENCE, now)),
            streams,
        })
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

    /// Every subscriber says that all is well.
    fn say_all_is_well(&mut self, now: Instant) -> Result<(), Failure> {
        for (index, stream) in self.streams.iter().enumerate() {
            // Receiver report with one block (RFC 3550 6.4.2).
            let mut report = vec![0x81, 201, 0, 7];
            report.extend((index as u32 + 0x1000).to_be_bytes());
            report.extend(stream.to_be_bytes());
            report.extend([0; 4]);
            report.extend(u32::from(self.sequence).to_be_bytes());
            report.extend([0; 12]);
            counted::rtcp(
                &mut self.router,
                TransportId(index as u64 + 1),
                &report,
                now,
            )?;
        }
        Ok(())
    }
}

impl Traffic for Scene {
    fn router(&mut self) -> &mut Router {
        &mut self.router
    }

    fn transports(&self) -> u64 {
        self.streams.len() as u64 + 1
    }

    fn every(&self) -> Duration {
        self.kind.every()
    }

    fn publish(&mut self, frame: u32, now: Instant) -> Result<(), Failure> {
        let video = self.kind != Kind::Audio;
        let packets = if video { VIDEO_PACKETS } else { 1 };
        for n in 0..packets {
            self.sequence = self.sequence.wrapping_add(1);
            let packet = if video {
                let first = if n == 0 { 0x10 } else { 0 };
                // A keyframe each second serves those who wait for one.
                let inter = u8::from(!frame.is_multiple_of(30));
                let mut packet = self.header(frame * 3_000, n + 1 == packets);
                // Payload descriptor (RFC 7741 4.2), then the head of a keyframe (RFC 6386 9.1).
                packet.extend([first, inter, 0, 0, 0x9d, 0x01, 0x2a, 0, 0, 0, 0]);
                packet.resize(1_100, 0x55);
                packet
            } else {
                let mut packet = self.header(frame * 960, false);
                packet.resize(120, 0x78);
                packet
            };
            counted::rtp(&mut self.router, PUBLISHER, &packet, now)?;
        }
        Ok(())
    }

    fn report(&mut self, frame: u32, now: Instant) -> Result<(), Failure> {
        let second = self.kind.frames_a_second();
        if frame % second == second / 2 {
            self.say_all_is_well(now)?;
        }
        let due =
            [0, FEEDBACK_FRAMES[0]].contains(&(frame % (FEEDBACK_FRAMES[0] + FEEDBACK_FRAMES[1])));
        if let Some(feedback) = self.feedback.as_mut().filter(|_| due) {
            feedback.tell(&mut self.router, |index| TransportId(index as u64 + 1), now)?;
        }
        Ok(())
    }

    fn note(&mut self, to: TransportId, header: &mut [u8], now: Instant) {
        if let Some(feedback) = &mut self.feedback {
            feedback.note(to.0 as usize - 1, header, now);
        }
    }
}
