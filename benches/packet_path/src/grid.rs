//! A grid of pictures: everybody publishes three encodings, everybody watches nine others.

use std::time::{Duration, Instant};

use roomtone_rtp::{Codec, ExtensionKind, MediaKind};
use roomtone_sfu::{
    CodecParams, ConsumerId, ConsumerParams, EncodingParams, FeedbackKinds, ProducerId,
    ProducerParams, Router, RouterConfig, TransportId, TransportParams, WallClock,
};

use crate::feedback::Feedback;
use crate::traffic::Traffic;
use crate::{Failure, counted};

const PAYLOAD_TYPE: u8 = 96;
const SEQUENCE: u8 = 2;
const TILES: u64 = 9;
/// Packets of a frame, by encoding: 0.25, 0.5 and 1.5 Mbit/s at 1,100 B and 30 fps.
const PACKETS: [u16; 3] = [1, 2, 6];

/// The router with its peers.
pub(crate) struct Grid {
    router: Router,
    peers: u64,
    /// Of each encoding of each peer.
    sequences: Vec<[u16; PACKETS.len()]>,
    feedback: Feedback,
}

impl Grid {
    pub(crate) fn new(peers: u64, now: Instant) -> Result<Self, Failure> {
        let config = RouterConfig::default();
        let mut router = Router::new(config, WallClock { at: now, ntp: 0 }, 1);
        for n in 0..peers {
            router.open_transport(TransportId(n), TransportParams::default(), now)?;
            router.set_writable(TransportId(n), true, now)?;
            router.produce(TransportId(n), ProducerId(n), publication(n), now)?;
        }
        for n in 0..peers {
            for tile in 1..=TILES.min(peers - 1) {
                let producer = ProducerId((n + tile) % peers);
                let id = ConsumerId(n * TILES + tile);
                router.consume(TransportId(n), id, subscription(producer, tile), now)?;
            }
        }
        Ok(Self {
            router,
            peers,
            sequences: vec![[0; PACKETS.len()]; peers as usize],
            feedback: Feedback::new(peers as usize, SEQUENCE, now),
        })
    }
}

fn feedback_kinds() -> FeedbackKinds {
    FeedbackKinds {
        nack: true,
        pli: true,
        transport_cc: true,
        ..FeedbackKinds::default()
    }
}

fn ssrc(peer: u64, encoding: usize) -> u32 {
    (peer * 10) as u32 + encoding as u32 + 1
}

fn publication(peer: u64) -> ProducerParams {
    ProducerParams {
        kind: MediaKind::Video,
        mid: Some("0".into()),
        codecs: vec![CodecParams {
            payload_type: PAYLOAD_TYPE,
            codec: Codec::Vp8,
            clock_rate: 90_000,
            channels: 0,
            rtx_payload_type: None,
            feedback: feedback_kinds(),
        }],
        encodings: (0..PACKETS.len())
            .map(|encoding| EncodingParams {
                ssrc: Some(ssrc(peer, encoding)),
                ..EncodingParams::default()
            })
            .collect(),
        extensions: vec![
            (1, ExtensionKind::Mid),
            (SEQUENCE, ExtensionKind::TransportSequence),
        ],
        paused: false,
    }
}

fn subscription(producer: ProducerId, tile: u64) -> ConsumerParams {
    ConsumerParams {
        producer: Some(producer),
        kind: MediaKind::Video,
        mid: Some(tile.to_string()),
        payload_types: vec![(PAYLOAD_TYPE, 100)],
        rtx_payload_types: vec![(100, 101)],
        extensions: vec![
            (1, ExtensionKind::Mid),
            (SEQUENCE, ExtensionKind::TransportSequence),
        ],
        ssrc: None,
        rtx_ssrc: None,
        paused: false,
        feedback: feedback_kinds(),
        redundancy: None,
        verbatim: false,
    }
}

impl Traffic for Grid {
    fn router(&mut self) -> &mut Router {
        &mut self.router
    }

    fn transports(&self) -> u64 {
        self.peers
    }

    fn every(&self) -> Duration {
        Duration::from_micros(33_333)
    }

    fn publish(&mut self, frame: u32, now: Instant) -> Result<(), Failure> {
        // A keyframe each second serves those who wait for another encoding.
        let inter = u8::from(!frame.is_multiple_of(30));
        for peer in 0..self.peers {
            for (encoding, packets) in PACKETS.into_iter().enumerate() {
                for n in 0..packets {
                    let sequence = &mut self.sequences[peer as usize][encoding];
                    *sequence = sequence.wrapping_add(1);
                    let marker = n + 1 == packets;
                    let mut packet = vec![0x90, (u8::from(marker) << 7) | PAYLOAD_TYPE];
                    packet.extend(sequence.to_be_bytes());
                    packet.extend((frame * 3_000).to_be_bytes());
                    packet.extend(ssrc(peer, encoding).to_be_bytes());
                    packet.extend([0xbe, 0xde, 0, 1, 0x10, b'0', 0, 0]);
                    // Payload descriptor (RFC 7741 4.2), then the head of a keyframe (RFC 6386 9.1).
                    let first = if n == 0 { 0x10 } else { 0 };
                    packet.extend([first, inter, 0, 0, 0x9d, 0x01, 0x2a, 0, 0, 0, 0]);
                    packet.resize(1_100, 0x55);
                    counted::rtp(&mut self.router, TransportId(peer), &packet, now)?;
                }
            }
        }
        Ok(())
    }

    fn report(&mut self, frame: u32, now: Instant) -> Result<(), Failure> {
        // 66 and 100 ms, in turn.
        if [0, 2].contains(&(frame % 5)) {
            self.feedback
                .tell(&mut self.router, |index| TransportId(index as u64), now)?;
        }
        Ok(())
    }

    fn note(&mut self, to: TransportId, header: &mut [u8], now: Instant) {
        self.feedback.note(to.0 as usize, header, now);
    }
}
