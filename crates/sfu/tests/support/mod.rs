//! A router in virtual time with one or more publishers and subscribers.
#![allow(dead_code, unreachable_pub)] // Each suite uses its part.
#![allow(clippy::unwrap_used)] // What fails here fails the test.

use std::time::{Duration, Instant};

use roomtone_rtp::{Codec, ExtensionKind, MediaKind, RtpPacket};
use roomtone_sfu::*;

pub const PUBLISHER: TransportId = TransportId(1);
pub const SUBSCRIBER: TransportId = TransportId(2);
pub const VIDEO: ProducerId = ProducerId(10);
pub const AUDIO: ProducerId = ProducerId(11);
pub const VIDEO_OUT: ConsumerId = ConsumerId(20);
pub const AUDIO_OUT: ConsumerId = ConsumerId(21);
pub const VP8: u8 = 96;
pub const VP8_RTX: u8 = 97;
pub const OPUS: u8 = 111;
pub const OUT_VP8: u8 = 100;
pub const OUT_RTX: u8 = 101;
pub const OUT_OPUS: u8 = 109;

/// Lines that are neither estimated nor paced: for suites about other things.
pub fn unestimated() -> BandwidthConfig {
    BandwidthConfig {
        transport_feedback: false,
        ..BandwidthConfig::default()
    }
}

/// A packet the router has written.
#[derive(Debug, Clone)]
pub struct Out {
    pub transport: TransportId,
    pub at: Instant,
    pub rtcp: bool,
    pub bytes: Vec<u8>,
}

impl Out {
    pub fn rtp(&self) -> RtpPacket<'_> {
        RtpPacket::parse(&self.bytes).expect("the router writes RTP")
    }
}

pub struct Rig {
    pub router: Router,
    pub base: Instant,
    pub now: Instant,
    pub sent: Vec<Out>,
    pub events: Vec<RouterEvent>,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(RouterConfig {
            bandwidth: unestimated(),
            ..RouterConfig::default()
        })
    }

    pub fn with(config: RouterConfig) -> Self {
        #[expect(clippy::disallowed_methods, reason = "any instant to count from")]
        let base = Instant::now();
        let clock = WallClock {
            at: base,
            ntp: 3_900_000_000 << 32,
        };
        let mut rig = Self {
            router: Router::new(config, clock, 7),
            base,
            now: base,
            sent: vec![],
            events: vec![],
        };
        for id in [PUBLISHER, SUBSCRIBER] {
            rig.open(id);
        }
        rig
    }

    pub fn open(&mut self, id: TransportId) {
        let params = TransportParams {
            rtcp_cname: "cname".into(),
            reduced_size: true,
            ..TransportParams::default()
        };
        self.router.open_transport(id, params, self.now).unwrap();
        self.router.set_writable(id, true, self.now).unwrap();
    }

    /// A video track forwarded to the subscriber.
    pub fn video() -> Self {
        let mut rig = Self::new();
        rig.produce_video(VIDEO, &[Some(1_000)]);
        rig.consume_video(VIDEO_OUT, Some(VIDEO));
        rig
    }

    pub fn produce_video(&mut self, id: ProducerId, ssrcs: &[Option<u32>]) {
        self.router
            .produce(PUBLISHER, id, video_params(ssrcs), self.now)
            .unwrap();
    }

    pub fn consume_video(
        &mut self,
        id: ConsumerId,
        producer: Option<ProducerId>,
    ) -> ConsumerDescription {
        let described = self
            .router
            .consume(SUBSCRIBER, id, out_params(producer), self.now)
            .unwrap();
        self.drain();
        described
    }

    pub fn audio(&mut self) -> ConsumerDescription {
        self.router
            .produce(PUBLISHER, AUDIO, audio_params(), self.now)
            .unwrap();
        let params = ConsumerParams {
            kind: MediaKind::Audio,
            payload_types: vec![(OPUS, OUT_OPUS)],
            rtx_payload_types: vec![],
            mid: Some("1".into()),
            ..out_params(Some(AUDIO))
        };
        self.router
            .consume(SUBSCRIBER, AUDIO_OUT, params, self.now)
            .unwrap()
    }

    pub fn rtp(&mut self, packet: &[u8]) -> Result<(), RtpDrop> {
        let result = self.router.handle_rtp(PUBLISHER, packet, self.now);
        self.drain();
        result
    }

    pub fn rtcp(&mut self, transport: TransportId, packet: &[u8]) {
        self.router
            .handle_rtcp(transport, packet, self.now)
            .unwrap();
        self.drain();
    }

    /// Lets time pass, timer by timer.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(next) = self.router.next_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.router.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
        self.router.handle_timeout(self.now);
        self.drain();
    }

    pub fn pass_ms(&mut self, ms: u64) {
        self.pass(Duration::from_millis(ms));
    }

    pub fn drain(&mut self) {
        let mut out = [0; 1_600];
        while let Some(transport) = self.router.poll_burst(self.now) {
            while let Some(written) = self.router.write_packet(transport, self.now, &mut out) {
                let bytes = out[..written.len].to_vec();
                self.sent.push(Out {
                    transport,
                    at: self.now,
                    rtcp: written.rtcp,
                    bytes,
                });
            }
        }
        self.events
            .extend(std::iter::from_fn(|| self.router.poll_event()));
    }

    /// Takes the media sent so far.
    pub fn media(&mut self) -> Vec<Out> {
        let (media, rest) = std::mem::take(&mut self.sent)
            .into_iter()
            .partition(|out| !out.rtcp);
        self.sent = rest;
        media
    }

    /// Takes the RTCP sent to a transport so far.
    pub fn control(&mut self, transport: TransportId) -> Vec<Vec<u8>> {
        let (control, rest): (Vec<_>, _) = std::mem::take(&mut self.sent)
            .into_iter()
            .partition(|out| out.rtcp && out.transport == transport);
        self.sent = rest;
        control.into_iter().map(|out| out.bytes).collect()
    }
}

pub fn video_params(ssrcs: &[Option<u32>]) -> ProducerParams {
    ProducerParams {
        kind: MediaKind::Video,
        mid: Some("0".into()),
        codecs: vec![CodecParams {
            payload_type: VP8,
            codec: Codec::Vp8,
            clock_rate: 90_000,
            channels: 0,
            rtx_payload_type: Some(VP8_RTX),
            feedback: FeedbackKinds {
                nack: true,
                pli: true,
                fir: true,
                transport_cc: true,
                remb: true,
            },
        }],
        encodings: ssrcs
            .iter()
            .map(|ssrc| EncodingParams {
                ssrc: *ssrc,
                rid: None,
                rtx_ssrc: ssrc.map(|ssrc| ssrc + 1),
            })
            .collect(),
        extensions: vec![
            (1, ExtensionKind::Mid),
            (2, ExtensionKind::Rid),
            (3, ExtensionKind::RepairedRid),
            (4, ExtensionKind::TransportSequence),
            (5, ExtensionKind::VideoOrientation),
            (6, ExtensionKind::AbsSendTime),
        ],
        paused: false,
    }
}

pub fn audio_params() -> ProducerParams {
    ProducerParams {
        kind: MediaKind::Audio,
        mid: Some("1".into()),
        codecs: vec![CodecParams {
            payload_type: OPUS,
            codec: Codec::Opus,
            clock_rate: 48_000,
            channels: 2,
            rtx_payload_type: None,
            feedback: FeedbackKinds::default(),
        }],
        encodings: vec![EncodingParams {
            ssrc: Some(5_000),
            ..EncodingParams::default()
        }],
        extensions: vec![(1, ExtensionKind::Mid), (7, ExtensionKind::AudioLevel)],
        paused: false,
    }
}

pub fn out_params(producer: Option<ProducerId>) -> ConsumerParams {
    ConsumerParams {
        producer,
        kind: MediaKind::Video,
        mid: Some("0".into()),
        payload_types: vec![(VP8, OUT_VP8)],
        rtx_payload_types: vec![(OUT_VP8, OUT_RTX)],
        extensions: vec![
            (11, ExtensionKind::Mid),
            (12, ExtensionKind::TransportSequence),
            (13, ExtensionKind::VideoOrientation),
            (14, ExtensionKind::AudioLevel),
        ],
        ssrc: None,
        rtx_ssrc: None,
        paused: false,
        feedback: FeedbackKinds {
            nack: true,
            pli: true,
            fir: true,
            transport_cc: true,
            remb: true,
        },
        redundancy: None,
        verbatim: false,
    }
}

/// A packet as a publisher sends it.
#[derive(Debug, Clone)]
pub struct Packet {
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub marker: bool,
    pub extensions: Vec<(u8, Vec<u8>)>,
    pub payload: Vec<u8>,
    pub padding: u8,
}

impl Packet {
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0x80, (u8::from(self.marker) << 7) | self.payload_type];
        out.extend(self.sequence.to_be_bytes());
        out.extend(self.timestamp.to_be_bytes());
        out.extend(self.ssrc.to_be_bytes());
        if !self.extensions.is_empty() {
            out[0] |= 0x10;
            let mut block = vec![];
            for (id, value) in &self.extensions {
                block.push((id << 4) | (value.len() as u8 - 1));
                block.extend(value);
            }
            block.resize(block.len().next_multiple_of(4), 0);
            out.extend([0xbe, 0xde, 0, (block.len() / 4) as u8]);
            out.extend(block);
        }
        out.extend(&self.payload);
        if self.padding > 0 {
            out[0] |= 0x20;
            out.resize(out.len() + usize::from(self.padding), 0);
            *out.last_mut().unwrap() = self.padding;
        }
        out
    }
}

/// A VP8 packet with `len` bytes of payload.
pub fn vp8(
    sequence: u16,
    timestamp: u32,
    first: bool,
    key: bool,
    marker: bool,
    len: usize,
) -> Packet {
    let mut payload = vec![
        if first { 0x10 } else { 0x00 },
        u8::from(!key),
        0,
        0,
        0x9d,
        0x01,
        0x2a,
    ];
    payload.extend([0x80, 0x02, 0xe0, 0x01]);
    payload.extend((payload.len()..len).map(|at| (at as u8) ^ (sequence as u8)));
    Packet {
        payload_type: VP8,
        sequence,
        timestamp,
        ssrc: 1_000,
        marker,
        extensions: vec![],
        payload,
        padding: 0,
    }
}

/// A whole keyframe in one packet.
pub fn key(sequence: u16, timestamp: u32) -> Packet {
    vp8(sequence, timestamp, true, true, true, 200)
}

/// A whole frame that is no keyframe in one packet.
pub fn delta(sequence: u16, timestamp: u32) -> Packet {
    vp8(sequence, timestamp, true, false, true, 100)
}

pub fn opus(sequence: u16, timestamp: u32, level: u8) -> Packet {
    Packet {
        payload_type: OPUS,
        sequence,
        timestamp,
        ssrc: 5_000,
        marker: false,
        extensions: vec![(7, vec![level])],
        payload: vec![sequence as u8; 80],
        padding: 0,
    }
}

/// The retransmission of a packet.
pub fn rtx(original: &Packet, sequence: u16) -> Packet {
    let mut payload = original.sequence.to_be_bytes().to_vec();
    payload.extend(&original.payload);
    Packet {
        payload_type: VP8_RTX,
        sequence,
        ssrc: original.ssrc + 1,
        payload,
        ..original.clone()
    }
}
