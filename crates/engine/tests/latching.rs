//! Whose packets a plain transport takes: nobody but its peer is heard, however hard one tries.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use roomtone_engine::values::{Command, Event, Latching, SrtpKeys};
use roomtone_srtp::{MasterKey, Profile, Sealer};
use support::{Harness, PlainOptions, config, number, parts, receive_rtp, rtp, socket};

const SSRC: u32 = 0x0051_DE5E;

/// A transport that learns, and a sink for what it takes in.
struct Scene {
    harness: Harness,
    transport: u64,
    at: SocketAddr,
    sink: UdpSocket,
}

impl Scene {
    fn new(latching: Latching, srtp: Option<SrtpKeys>, ssrc: Option<u32>) -> Self {
        let mut harness = Harness::new(config(1));
        let router = harness.router(None);
        let (transport, at, _) = harness.plain(PlainOptions {
            latching,
            srtp,
            ..PlainOptions::on(router)
        });
        let producer = harness.produce_opus(transport, ssrc);
        let (sink, sink_at) = socket();
        let (outbound, _, _) = harness.plain(PlainOptions::on(router));
        harness.connect_plain(outbound, sink_at);
        harness.consume_opus(outbound, Some(producer), None);
        Self {
            harness,
            transport,
            at,
            sink,
        }
    }

    fn heard(&self) -> Vec<u8> {
        receive_rtp(&self.sink).payload
    }

    fn learnt(&mut self) -> SocketAddr {
        let transport = self.transport;
        self.harness
            .event(|event| match event {
                Event::RemoteLearnt {
                    transport: of,
                    remote,
                } if *of == transport => Some(remote.clone()),
                _ => None,
            })
            .parse()
            .unwrap()
    }

    fn strays(&mut self, expected: u64) {
        let deadline = Instant::now() + support::PATIENCE;
        loop {
            let strays = number(
                &self.harness.stats(self.transport)[0].clone(),
                "packetsFromStrays",
            );
            if strays == expected {
                return;
            }
            assert!(strays < expected && Instant::now() < deadline, "{strays}");
        }
    }
}

#[test]
fn a_flood_of_strays_neither_takes_the_place_of_the_peer_nor_is_heard() {
    let mut scene = Scene::new(Latching::Once, None, Some(SSRC));
    let (peer, peer_at) = socket();
    let (stray, _) = socket();
    // Before the peer: wrong streams, reports and a goodbye for the peer's own stream.
    let bye = [&[0x81, 203, 0, 1][..], &SSRC.to_be_bytes()].concat();
    for sequence in 0..200 {
        let wrong = rtp(111, sequence, 0, SSRC + 1, b"wrong stream");
        stray.send_to(&wrong, scene.at).unwrap();
        stray.send_to(&bye, scene.at).unwrap();
    }
    peer.send_to(&rtp(111, 10, 0, SSRC, b"first"), scene.at)
        .unwrap();
    assert_eq!(scene.learnt(), peer_at);
    assert_eq!(scene.heard(), b"first");
    // After it: the very stream, ahead of the peer, from many ports.
    for _ in 0..20 {
        let (other, _) = socket();
        for sequence in 11..61 {
            other
                .send_to(&rtp(111, sequence, 960, SSRC, b"stolen"), scene.at)
                .unwrap();
        }
    }
    stray.send_to(&bye, scene.at).unwrap();
    peer.send_to(&rtp(111, 11, 960, SSRC, b"second"), scene.at)
        .unwrap();
    assert_eq!(scene.heard(), b"second");
    // 200 packets and goodbyes before, 1000 packets and one goodbye after.
    scene.strays(1401);
}

#[test]
fn under_srtp_only_who_has_the_key_is_taken_for_the_peer() {
    let profile = Profile::Aes256CmSha1_80;
    let keys = |fill| SrtpKeys {
        suite: profile.sdes_name().into(),
        key: vec![fill; 46],
    };
    let mut scene = Scene::new(Latching::Once, Some(keys(1)), None);
    scene.harness.done(Command::ConnectPlainTransport {
        transport: scene.transport,
        ip: "127.0.0.1".into(),
        port: 0,
        rtcp_port: None,
        srtp: Some(keys(2)),
        local_srtp: None,
        dtls: None,
    });
    let (peer, peer_at) = socket();
    let (stray, _) = socket();
    let send = |socket: &UdpSocket, fill, sequence, payload: &[u8]| {
        let master = MasterKey::from_concatenated(profile, &[fill; 46]).unwrap();
        let mut sealer = Sealer::new(profile, &master).unwrap();
        let mut packet = rtp(111, sequence, 0, SSRC, payload);
        let len = packet.len();
        packet.resize(len + 64, 0);
        let len = sealer.seal_rtp(&mut packet, len).unwrap();
        socket.send_to(&packet[..len], scene.at).unwrap();
    };
    stray
        .send_to(
            &rtp(111, 1, 0, SSRC, b"in clear, and long enough"),
            scene.at,
        )
        .unwrap();
    send(&stray, 9, 2, b"another key");
    send(&peer, 2, 3, b"genuine");
    assert_eq!(scene.learnt(), peer_at);
    assert_eq!(scene.heard(), b"genuine");
    assert_eq!(scene.harness.counter("dropped_srtp"), 2);
}

#[test]
fn a_peer_behind_a_nat_that_rebinds_is_followed_and_answered_where_it_is() {
    let mut scene = Scene::new(Latching::Rebind, None, None);
    let (before, before_at) = socket();
    before
        .send_to(&rtp(111, 65_535, 0, SSRC, b"before"), scene.at)
        .unwrap();
    assert_eq!(scene.learnt(), before_at);
    assert_eq!(scene.heard(), b"before");
    let (after, after_at) = socket();
    let (stray, _) = socket();
    scene
        .sink
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let deadline = Instant::now() + support::PATIENCE;
    let mut buffer = [0; 2048];
    // The peer goes on from its new port, and so does somebody else with another stream, until the old port has been
    // silent for long enough.
    for sequence in 0.. {
        assert!(Instant::now() < deadline, "the peer is not followed");
        let theirs = rtp(111, sequence, 960, SSRC + 1, b"another");
        stray.send_to(&theirs, scene.at).unwrap();
        let packet = rtp(111, sequence, 960, SSRC, b"after");
        after.send_to(&packet, scene.at).unwrap();
        if let Ok(len) = scene.sink.recv(&mut buffer)
            && !support::is_rtcp(&buffer[..len])
        {
            assert_eq!(parts(&buffer[..len]).payload, b"after");
            break;
        }
    }
    assert_eq!(scene.learnt(), after_at);
    assert_eq!(scene.harness.counter("plain_rebinds"), 1);
    // What goes back goes there.
    let producer = scene.harness.produce_opus(scene.transport, Some(SSRC + 7));
    let consumer = scene
        .harness
        .consume_opus(scene.transport, Some(producer), None);
    after
        .send_to(&rtp(111, 1, 0, SSRC + 7, b"echo"), scene.at)
        .unwrap();
    let echo = loop {
        let (len, _) = after.recv_from(&mut buffer).unwrap();
        if !support::is_rtcp(&buffer[..len]) {
            break parts(&buffer[..len]);
        }
    };
    assert_eq!((echo.ssrc, &echo.payload[..]), (consumer.1, &b"echo"[..]));
    // The old address is a stranger now.
    let strays = scene.harness.counter("dropped_wrong_source");
    before
        .send_to(&rtp(111, 2, 960, SSRC, b"old"), scene.at)
        .unwrap();
    scene.strays(strays + 1);
}
