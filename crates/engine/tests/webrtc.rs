//! WebRTC transports over real sockets, with a peer of the full role.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Read;
use std::net::UdpSocket;

use roomtone_engine::values::{
    CloseReason, Command, CommandResult, EngineConfig, ErrorCode, Event, IceMode, IceState,
};
use roomtone_webrtc::{ChannelParameters, Protocol, TransportEvent};
use support::peer::{Peer, open, open_for};
use support::{Harness, PlainOptions, config, receive_rtp, rtp, socket};

fn closed_reason(harness: &mut Harness, id: u64) -> (CloseReason, String) {
    harness.event(|event| match event {
        Event::TransportClosed {
            transport,
            reason,
            detail,
        } if *transport == id => Some((*reason, detail.clone())),
        _ => None,
    })
}

/// One peer publishes, another watches.
fn forward_between(protocol: Protocol, active: bool, engine: EngineConfig) -> Harness {
    let mut harness = Harness::new(engine);
    let router = harness.router(None);
    let inbound = open(&mut harness, router, false);
    let mut publisher = Peer::connect(&mut harness, &inbound, protocol, active, false);
    publisher.establish(&mut harness);
    let outbound = open(&mut harness, router, false);
    let mut viewer = Peer::connect(&mut harness, &outbound, protocol, active, false);
    viewer.establish(&mut harness);
    let producer = harness.produce_opus(inbound.id, Some(0x1111));
    let (_, ssrc) = harness.consume_opus(outbound.id, Some(producer), None);
    for sequence in 0..50_u16 {
        let payload = vec![sequence as u8; 100 + usize::from(sequence % 3)];
        publisher.send_rtp(&rtp(
            111,
            sequence,
            u32::from(sequence) * 960,
            0x1111,
            &payload,
        ));
        let out = viewer.receive_rtp();
        assert_eq!(
            (out.payload, out.ssrc, out.payload_type),
            (payload, ssrc, 100)
        );
    }
    harness
}

#[test]
fn media_passes_between_two_peers_over_udp() {
    let mut harness = forward_between(Protocol::Udp, true, config(1));
    assert_eq!(harness.counter("rtp_received"), 50);
    assert_eq!(harness.counter("rtp_sent"), 50);
    assert_eq!(harness.counter("dropped_rtp"), 0);
}

#[test]
fn media_passes_when_the_engine_is_the_dtls_client() {
    forward_between(Protocol::Udp, false, config(1));
}

#[test]
fn media_passes_over_tcp_alone() {
    let mut harness = forward_between(
        Protocol::Tcp,
        true,
        EngineConfig {
            udp: false,
            ..config(1)
        },
    );
    assert_eq!(harness.counter("tcp_accepted"), 2);
}

#[test]
fn media_passes_over_ipv6() {
    forward_between(
        Protocol::Udp,
        true,
        EngineConfig {
            listen_ips: vec!["::1".into()],
            ..config(1)
        },
    );
}

#[test]
fn a_peer_sends_and_a_plain_port_receives() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let offered = open(&mut harness, router, false);
    let mut publisher = Peer::connect(&mut harness, &offered, Protocol::Udp, true, false);
    publisher.establish(&mut harness);
    let producer = harness.produce_opus(offered.id, None);
    let (sink, sink_at) = socket();
    let (plain, _, _) = harness.plain(PlainOptions::on(router));
    harness.connect_plain(plain, sink_at);
    harness.consume_opus(plain, Some(producer), None);
    publisher.send_rtp(&rtp(111, 7, 1, 42, b"from the browser"));
    assert_eq!(receive_rtp(&sink).payload, b"from the browser");
}

#[test]
fn states_are_told_with_the_pair_and_the_cipher() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let offered = open(&mut harness, router, false);
    let mut peer = Peer::connect(&mut harness, &offered, Protocol::Udp, true, false);
    peer.establish(&mut harness);
    let (state, local) = harness.event(|event| match event {
        Event::IceStateChanged {
            state,
            local: Some(local),
            ..
        } => Some((*state, local.clone())),
        _ => None,
    });
    assert_eq!(state, IceState::Connected);
    assert_eq!(local, format!("127.0.0.1:{}", offered.candidates[0].port));
    let profile = harness.event(|event| match event {
        Event::DtlsStateChanged {
            srtp_profile: Some(profile),
            ..
        } => Some(profile.clone()),
        _ => None,
    });
    assert!(profile.contains("GCM"), "{profile}");
}

#[test]
fn closing_by_command_tells_the_peer_and_frees_everything() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let offered = open(&mut harness, router, false);
    let mut peer = Peer::connect(&mut harness, &offered, Protocol::Udp, true, false);
    peer.establish(&mut harness);
    let producer = harness.produce_opus(offered.id, None);
    harness.done(Command::CloseTransport {
        transport: offered.id,
    });
    let reason = harness.event(|event| match event {
        Event::ProducerClosed {
            producer: closed,
            reason,
        } if *closed == producer => Some(*reason),
        _ => None,
    });
    assert_eq!(reason, CloseReason::ParentClosed);
    assert_eq!(
        closed_reason(&mut harness, offered.id).0,
        CloseReason::Requested
    );
    peer.run_until("the close_notify", |peer| peer.transport.is_closed());
    assert_eq!(
        harness.refused(Command::GetStats { id: offered.id }),
        ErrorCode::NotFound
    );
    assert_eq!(
        harness.refused(Command::GetStats { id: producer }),
        ErrorCode::NotFound
    );
    assert_eq!(harness.counter("transports"), 0);
}

#[test]
fn a_peer_that_closes_is_gone() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let offered = open(&mut harness, router, false);
    let mut peer = Peer::connect(&mut harness, &offered, Protocol::Udp, true, false);
    peer.establish(&mut harness);
    peer.transport.close(std::time::Instant::now());
    peer.run_until("the goodbye", |_| true);
    assert_eq!(
        closed_reason(&mut harness, offered.id).0,
        CloseReason::DtlsClosed
    );
    assert_eq!(harness.counter("transports"), 0);
}

#[test]
fn closing_the_engine_tells_the_peers() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let offered = open(&mut harness, router, false);
    let mut peer = Peer::connect(&mut harness, &offered, Protocol::Udp, true, false);
    peer.establish(&mut harness);
    harness.engine.close();
    peer.run_until("the close_notify", |peer| peer.transport.is_closed());
    assert_eq!(
        closed_reason(&mut harness, offered.id).0,
        CloseReason::EngineClosed
    );
}

#[test]
fn a_transport_nobody_connects_to_is_closed_in_time() {
    let mut harness = Harness::new(EngineConfig {
        ice_timeout_ms: 100,
        ..config(1)
    });
    let router = harness.router(None);
    let silent = open(&mut harness, router, false);
    let (reason, detail) = closed_reason(&mut harness, silent.id);
    assert_eq!(reason, CloseReason::IceTimeout);
    assert!(!detail.is_empty());
    // One whose answer takes its time, such as that of a phone that rings, outlives the others.
    let _patient = open_for(&mut harness, router, false, Some(60_000));
    let hasty = open_for(&mut harness, router, false, Some(10));
    assert_eq!(
        closed_reason(&mut harness, hasty.id).0,
        CloseReason::IceTimeout
    );
    let absent = open(&mut harness, router, false);
    let _never_run = Peer::connect(&mut harness, &absent, Protocol::Udp, true, false);
    let (reason, detail) = closed_reason(&mut harness, absent.id);
    assert_eq!(reason, CloseReason::IceTimeout);
    assert!(!detail.is_empty());
    assert_eq!(harness.counter("transports"), 1);
}

#[test]
fn garbage_changes_nothing() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let offered = open(&mut harness, router, false);
    let mut peer = Peer::connect(&mut harness, &offered, Protocol::Udp, true, false);
    peer.establish(&mut harness);
    let producer = harness.produce_opus(offered.id, Some(1));
    let (sink, sink_at) = socket();
    let (plain, _, _) = harness.plain(PlainOptions::on(router));
    harness.connect_plain(plain, sink_at);
    harness.consume_opus(plain, Some(producer), None);
    let at = format!("127.0.0.1:{}", offered.candidates[0].port);
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut state = 1_u32;
    for round in 0..5_000_u32 {
        let mut garbage = vec![0; (round % 200) as usize];
        for byte in &mut garbage {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (state >> 24) as u8;
        }
        stranger.send_to(&garbage, &at).unwrap();
        // The peer's own address carries garbage too, in the form of every protocol.
        if round % 10 == 0 && !garbage.is_empty() {
            garbage[0] = [0, 22, 128, 200][(round / 10 % 4) as usize];
            peer.write(&garbage);
        }
    }
    peer.send_rtp(&rtp(111, 1, 0, 1, b"still here"));
    assert_eq!(receive_rtp(&sink).payload, b"still here");
    assert!(harness.counter("dropped_unknown_source") > 0);
    assert!(harness.counter("dropped_transport") > 0);
    assert_eq!(harness.counter("transports"), 2);
    assert_eq!(harness.counter("peers_panicked"), 0);
}

#[test]
fn a_tcp_connection_that_is_no_peer_is_closed() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let offered = open(&mut harness, router, false);
    let tcp = offered
        .candidates
        .iter()
        .find(|c| c.protocol == "tcp")
        .unwrap();
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0, 4, 1, 2, 3, 4],
        &[0xff, 0xff, 0],
    ] {
        let mut stream = std::net::TcpStream::connect((tcp.ip.as_str(), tcp.port)).unwrap();
        stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
        std::io::Write::write_all(&mut stream, garbage).unwrap();
        let mut rest = Vec::new();
        // Closed in order or reset, as the kernel sees fit; not left open.
        let ended = stream.read_to_end(&mut rest);
        assert!(
            ended.is_ok() || ended.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
        );
        assert!(rest.is_empty());
    }
    assert_eq!(harness.counter("tcp_dropped"), 3);
    assert_eq!(harness.counter("tcp_connections"), 0);
}

#[test]
fn a_connection_from_a_shared_port_finds_the_shard_it_is_for() {
    let mut harness = Harness::new(config(3));
    let router = harness.router(Some(2));
    let offered = open(&mut harness, router, false);
    let shared = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = shared.local_addr().unwrap();
    let mut peer = Peer::connect_to(&mut harness, &offered, (Protocol::Tcp, at), true, false);
    assert!(harness.engine.adopt(shared.accept().unwrap().0));
    peer.establish(&mut harness);
    let (sink, sink_at) = socket();
    let (plain, _, _) = harness.plain(PlainOptions::on(router));
    harness.connect_plain(plain, sink_at);
    let producer = harness.produce_opus(offered.id, Some(3));
    harness.consume_opus(plain, Some(producer), None);
    peer.send_rtp(&rtp(111, 1, 0, 3, b"through the front door"));
    assert_eq!(receive_rtp(&sink).payload, b"through the front door");
    assert_eq!(harness.counter("tcp_moved"), 1);
    assert_eq!(harness.counter("tcp_connections"), 1);
}

#[test]
fn messages_pass_on_data_channels_both_ways() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let offered = open(&mut harness, router, true);
    let mut peer = Peer::connect(&mut harness, &offered, Protocol::Udp, true, true);
    peer.establish(&mut harness);
    peer.run_until("SCTP", |peer| {
        peer.events
            .iter()
            .any(|e| matches!(e, TransportEvent::SctpConnected))
    });
    let stream = peer
        .transport
        .open_channel(
            ChannelParameters::reliable("chat"),
            std::time::Instant::now(),
        )
        .unwrap();
    peer.run_until("the channel", |peer| {
        peer.events
            .iter()
            .any(|e| matches!(e, TransportEvent::ChannelOpened { .. }))
    });
    let (channel, label) = harness.event(|event| match event {
        Event::ChannelOpened { channel, label, .. } => Some((*channel, label.clone())),
        _ => None,
    });
    assert_eq!(label, "chat");
    peer.transport
        .send_message(stream, false, b"hello", std::time::Instant::now())
        .unwrap();
    peer.run_until("the sending", |_| true);
    let said = harness.event(|event| match event {
        Event::ChannelMessage {
            channel: from,
            data,
            text,
        } if *from == channel => Some((data.clone(), *text)),
        _ => None,
    });
    assert_eq!(said, (b"hello".to_vec(), true));
    harness.done(Command::SendMessage {
        channel,
        data: vec![1, 2, 3],
        text: false,
    });
    peer.run_until("the answer", |peer| {
        peer.events
            .iter()
            .any(|e| matches!(e, TransportEvent::ChannelMessage { data, .. } if data == &[1, 2, 3]))
    });
    harness.done(Command::CloseChannel { channel });
    harness.event(|event| {
        matches!(event, Event::ChannelClosed { channel: gone } if *gone == channel).then_some(())
    });
    assert_eq!(
        harness.refused(Command::SendMessage {
            channel,
            data: vec![1],
            text: false
        }),
        ErrorCode::NotFound
    );
}

#[test]
fn a_restart_gives_new_credentials_and_all_candidates() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let offered = open(&mut harness, router, false);
    let restarted = harness.call(Command::RestartIce {
        transport: offered.id,
        ice_ufrag: None,
        ice_pwd: None,
    });
    let CommandResult::IceRestarted {
        ice_ufrag,
        candidates,
        ..
    } = restarted
    else {
        panic!("{restarted:?}")
    };
    assert!(!ice_ufrag.is_empty());
    assert_eq!(candidates, offered.candidates);
}

#[test]
fn limits_hold_and_give_way_again() {
    let mut harness = Harness::new(EngineConfig {
        max_transports: 2,
        max_consumers_per_transport: 1,
        max_producers_per_transport: 1,
        ..config(1)
    });
    let router = harness.router(None);
    let first = open(&mut harness, router, false);
    let _second = open(&mut harness, router, false);
    let third = Command::OpenWebRtcTransport {
        router,
        ice_mode: IceMode::Lite,
        sctp: false,
        max_message_size: 1,
        cname: String::new(),
        mixed_extensions: false,
        answer_timeout_ms: None,
        arrival_model: None,
    };
    assert_eq!(harness.refused(third.clone()), ErrorCode::Limit);
    let producer = harness.produce_opus(first.id, None);
    harness.consume_opus(first.id, Some(producer), None);
    assert_eq!(
        harness.refused(support::consume_opus(first.id, Some(producer), None)),
        ErrorCode::Limit
    );
    harness.done(Command::CloseTransport {
        transport: first.id,
    });
    assert!(matches!(
        harness.call(third),
        CommandResult::WebRtcTransportOpened { .. }
    ));
}
