//! What a cipher that takes no number twice asks of the engine, on transports that live long.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::{SocketAddr, UdpSocket};

use roomtone_engine::values::{
    CodecFeedback, CodecParameters, Command, CommandResult, EncodingParameters, MediaKind, SrtpKeys,
};
use roomtone_srtp::{MasterKey, Profile, Sealer};
use support::{Harness, PlainOptions, config, number, rtp, socket};

/// More than the streams one sealer keeps.
const CYCLES: u16 = 10_000;
const _: () = assert!(CYCLES as usize > roomtone_srtp::SEALER_STREAMS);

/// A video source and a subscriber under AES-GCM.
struct Scene {
    harness: Harness,
    source: UdpSocket,
    source_at: SocketAddr,
    producer: u64,
    viewer: UdpSocket,
    viewer_at: SocketAddr,
    outbound: u64,
    sent: u16,
}

impl Scene {
    fn new() -> Self {
        let mut harness = Harness::new(config(1));
        let router = harness.router(None);
        let (source, from) = socket();
        let (inbound, source_at, _) = harness.plain(PlainOptions::on(router));
        harness.connect_plain(inbound, from);
        let produced = harness.call(Command::Produce {
            transport: inbound,
            kind: MediaKind::Video,
            codecs: vec![CodecParameters {
                feedback: CodecFeedback {
                    pli: true,
                    ..CodecFeedback::default()
                },
                ..support::codec(96, "VP8", 90_000, 1)
            }],
            encodings: vec![EncodingParameters {
                ssrc: Some(9),
                ..EncodingParameters::default()
            }],
            mid: None,
            header_extensions: vec![],
            paused: false,
        });
        let CommandResult::Produced { producer } = produced else {
            panic!("{produced:?}")
        };
        let keys = |fill| SrtpKeys {
            suite: "AEAD_AES_128_GCM".into(),
            key: vec![fill; 28],
        };
        let (viewer, to) = socket();
        let (outbound, viewer_at, _) = harness.plain(PlainOptions {
            srtp: Some(keys(1)),
            ..PlainOptions::on(router)
        });
        harness.done(Command::ConnectPlainTransport {
            transport: outbound,
            ip: to.ip().to_string(),
            port: to.port(),
            rtcp_port: None,
            srtp: Some(keys(2)),
            local_srtp: None,
            dtls: None,
        });
        Self {
            harness,
            source,
            source_at,
            producer,
            viewer,
            viewer_at,
            outbound,
            sent: 0,
        }
    }

    fn consume(&mut self) -> (u64, u32) {
        let consumed = self.harness.call(Command::Consume {
            transport: self.outbound,
            kind: MediaKind::Video,
            producer: Some(self.producer),
            mid: None,
            payload_types: vec![(96, 96)],
            rtx_payload_types: vec![],
            header_extensions: vec![],
            feedback: CodecFeedback {
                nack: true,
                pli: true,
                ..CodecFeedback::default()
            },
            redundancy: None,
            ssrc: None,
            rtx_ssrc: None,
            paused: false,
        });
        match consumed {
            CommandResult::Consumed { consumer, ssrc, .. } => (consumer, ssrc),
            other => panic!("{other:?}"),
        }
    }

    /// One VP8 keyframe of one packet (RFC 7741 section 4); gives the sequence number it was forwarded with.
    fn forward(&mut self, ssrc: u32) -> u16 {
        let timestamp = u32::from(self.sent) * 3_000;
        let mut packet = rtp(96 + 0x80, self.sent, timestamp, 9, &[0x10, 0, 0, 0]);
        packet.resize(100, 0x55);
        self.sent += 1;
        self.source.send_to(&packet, self.source_at).unwrap();
        let mut buffer = [0; 2048];
        loop {
            let (len, _) = self
                .viewer
                .recv_from(&mut buffer)
                .expect("a packet in time");
            let header = &buffer[..12];
            if !support::is_rtcp(&buffer[..len]) && header[8..12] == ssrc.to_be_bytes() {
                return u16::from_be_bytes([header[2], header[3]]);
            }
        }
    }
}

#[test]
fn consumers_come_and_go_on_one_transport_without_end() {
    let mut scene = Scene::new();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..CYCLES {
        let (consumer, ssrc) = scene.consume();
        assert!(seen.insert(ssrc), "an SSRC came back under the same key");
        scene.forward(ssrc);
        scene.harness.done(Command::CloseConsumer { consumer });
    }
    assert_eq!(scene.harness.counter("send_dropped_seal"), 0);
}

#[test]
fn a_lost_packet_without_rtx_is_answered_by_a_keyframe_under_gcm() {
    let mut scene = Scene::new();
    let (consumer, ssrc) = scene.consume();
    scene.forward(ssrc);
    let lost = scene.forward(ssrc);
    // A generic NACK of one packet (RFC 4585 section 6.2.1).
    let mut nack = vec![0x81, 205, 0, 3, 0, 0, 0, 1];
    nack.extend_from_slice(&ssrc.to_be_bytes());
    nack.extend_from_slice(&lost.to_be_bytes());
    nack.extend_from_slice(&[0, 0]);
    let profile = Profile::AeadAes128Gcm;
    let master = MasterKey::from_concatenated(profile, &[2; 28]).unwrap();
    let mut sealer = Sealer::new(profile, &master).unwrap();
    let len = nack.len();
    nack.resize(len + 64, 0);
    let len = sealer.seal_rtcp(&mut nack, len).unwrap();
    scene.viewer.send_to(&nack[..len], scene.viewer_at).unwrap();
    // A picture loss indication (RFC 4585 section 6.3.1) reaches the source.
    let mut buffer = [0; 2048];
    let asks = |bytes: &[u8]| bytes.windows(2).any(|pair| pair == [0x81, 206]);
    loop {
        let (len, _) = scene
            .source
            .recv_from(&mut buffer)
            .expect("a request in time");
        if asks(&buffer[..len]) {
            break;
        }
    }
    let reports = scene.harness.stats(consumer);
    let report = reports
        .iter()
        .find(|report| report.contains_key("nackUnanswerable"))
        .expect("the outbound report");
    assert_eq!(number(report, "nackUnanswerable"), 1);
    assert_eq!(scene.harness.counter("send_dropped_seal"), 0);
}
