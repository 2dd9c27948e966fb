//! Plain transports over real sockets: what comes in is what goes out.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::SocketAddr;

use roomtone_engine::values::{Command, ErrorCode, Event, Latching, SrtpKeys, StatValue};
use roomtone_srtp::{MasterKey, Opener, Profile, Sealer};
use support::{
    Harness, PlainOptions, config, consume_opus, is_rtcp, number, receive_rtp, rtp, socket,
    socket_on,
};

#[test]
fn a_packet_comes_out_with_its_payload_and_the_consumers_header() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let (source, source_at) = socket();
    let (sink, sink_at) = socket();
    let (inbound, inbound_at, _) = harness.plain(PlainOptions::on(router));
    harness.connect_plain(inbound, source_at);
    let producer = harness.produce_opus(inbound, Some(0x1111));
    let (outbound, _, _) = harness.plain(PlainOptions::on(router));
    harness.connect_plain(outbound, sink_at);
    let (_, ssrc) = harness.consume_opus(outbound, Some(producer), Some(0x2222));
    assert_eq!(ssrc, 0x2222);

    let mut first = None;
    for (index, sequence) in [65_534_u16, 65_535, 0, 1].into_iter().enumerate() {
        let payload = vec![index as u8; 50 + index];
        source
            .send_to(
                &rtp(111, sequence, 960 * index as u32, 0x1111, &payload),
                inbound_at,
            )
            .unwrap();
        let out = receive_rtp(&sink);
        let (sequence_base, timestamp_base) = *first.get_or_insert((out.sequence, out.timestamp));
        assert_eq!(out.payload, payload);
        assert_eq!((out.payload_type, out.ssrc), (100, 0x2222));
        assert_eq!(out.sequence, sequence_base.wrapping_add(index as u16));
        assert_eq!(
            out.timestamp,
            timestamp_base.wrapping_add(960 * index as u32)
        );
    }
}

#[test]
fn one_packet_reaches_every_subscriber() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let (source, source_at) = socket();
    let (inbound, inbound_at, _) = harness.plain(PlainOptions::on(router));
    harness.connect_plain(inbound, source_at);
    let producer = harness.produce_opus(inbound, Some(5));
    let sinks: Vec<_> = (0..20)
        .map(|_| {
            let (sink, sink_at) = socket();
            let (outbound, _, _) = harness.plain(PlainOptions::on(router));
            harness.connect_plain(outbound, sink_at);
            harness.consume_opus(outbound, Some(producer), None);
            sink
        })
        .collect();
    source
        .send_to(&rtp(111, 1, 0, 5, b"to all"), inbound_at)
        .unwrap();
    for sink in &sinks {
        assert_eq!(receive_rtp(sink).payload, b"to all");
    }
}

#[test]
fn an_address_is_learnt_from_the_first_valid_packet_and_kept() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let options = PlainOptions {
        latching: Latching::Once,
        ..PlainOptions::on(router)
    };
    let (inbound, inbound_at, _) = harness.plain(options);
    harness.produce_opus(inbound, Some(9));
    let (source, source_at) = socket();
    let (stranger, _) = socket();
    stranger.send_to(b"not RTP at all", inbound_at).unwrap();
    source
        .send_to(&rtp(111, 1, 0, 9, b"x"), inbound_at)
        .unwrap();
    let learnt = harness.event(|event| match event {
        Event::RemoteLearnt { transport, remote } if *transport == inbound => Some(remote.clone()),
        _ => None,
    });
    assert_eq!(learnt.parse::<SocketAddr>().unwrap(), source_at);
    stranger
        .send_to(&rtp(111, 2, 0, 9, b"x"), inbound_at)
        .unwrap();
    source
        .send_to(&rtp(111, 3, 0, 9, b"x"), inbound_at)
        .unwrap();
    wait_for(&mut harness, "rtp_received", 2);
    assert_eq!(harness.counter("dropped_wrong_source"), 1);
    assert_eq!(harness.counter("dropped_not_media"), 1);
}

/// Waits until a counter has a value. Each turn is a round trip through the shard, which takes datagrams in between.
fn wait_for(harness: &mut Harness, name: &str, value: u64) {
    let deadline = std::time::Instant::now() + support::PATIENCE;
    while harness.counter(name) < value {
        assert!(
            std::time::Instant::now() < deadline,
            "{name} did not reach {value}"
        );
    }
}

fn keys(fill: u8) -> SrtpKeys {
    SrtpKeys {
        suite: "AEAD_AES_128_GCM".into(),
        key: vec![fill; 28],
    }
}

#[test]
fn keys_given_by_hand_protect_both_ways() {
    let profile = Profile::AeadAes128Gcm;
    let master = |fill: u8| MasterKey::from_concatenated(profile, &[fill; 28]).unwrap();
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let (peer, peer_at) = socket();
    let options = PlainOptions {
        srtp: Some(keys(1)),
        ..PlainOptions::on(router)
    };
    let (transport, at, _) = harness.plain(options);
    harness.done(Command::ConnectPlainTransport {
        transport,
        ip: peer_at.ip().to_string(),
        port: peer_at.port(),
        rtcp_port: None,
        srtp: Some(keys(2)),
        local_srtp: None,
        dtls: None,
    });
    let producer = harness.produce_opus(transport, Some(3));
    let (sink, sink_at) = socket();
    let (plain, _, _) = harness.plain(PlainOptions::on(router));
    harness.connect_plain(plain, sink_at);
    harness.consume_opus(plain, Some(producer), None);
    let (back, back_at) = socket();
    let (inbound, inbound_at, _) = harness.plain(PlainOptions::on(router));
    harness.connect_plain(inbound, back_at);
    let answer = harness.produce_opus(inbound, Some(4));
    harness.consume_opus(transport, Some(answer), Some(77));

    let mut sealer = Sealer::new(profile, &master(2)).unwrap();
    let mut packet = rtp(111, 1, 0, 3, b"secret");
    peer.send_to(&packet, at).unwrap();
    let plain_len = packet.len();
    packet.resize(plain_len + 32, 0);
    let len = sealer.seal_rtp(&mut packet, plain_len).unwrap();
    peer.send_to(&packet[..len], at).unwrap();
    assert_eq!(receive_rtp(&sink).payload, b"secret");
    assert_eq!(
        harness.counter("dropped_srtp"),
        1,
        "the packet in clear must not pass"
    );

    back.send_to(&rtp(111, 1, 0, 4, b"answer"), inbound_at)
        .unwrap();
    let mut opener = Opener::new(profile, &master(1)).unwrap();
    let mut buffer = [0; 2048];
    let opened = loop {
        let (len, _) = peer.recv_from(&mut buffer).unwrap();
        if !is_rtcp(&buffer[..len]) {
            let len = opener.open_rtp(&mut buffer[..len]).unwrap();
            break support::parts(&buffer[..len]);
        }
    };
    assert_eq!(
        (opened.payload.as_slice(), opened.ssrc),
        (&b"answer"[..], 77)
    );
}

#[test]
fn without_rtcp_mux_reports_travel_on_the_second_port() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let (source, source_at) = socket();
    let (source_rtcp, source_rtcp_at) = socket();
    let options = PlainOptions {
        rtcp_mux: false,
        ..PlainOptions::on(router)
    };
    let (inbound, inbound_at, inbound_rtcp_at) = harness.plain(options);
    assert_ne!(inbound_at, inbound_rtcp_at);
    harness.done(Command::ConnectPlainTransport {
        transport: inbound,
        ip: source_at.ip().to_string(),
        port: source_at.port(),
        rtcp_port: Some(source_rtcp_at.port()),
        srtp: None,
        local_srtp: None,
        dtls: None,
    });
    harness.produce_opus(inbound, Some(6));
    for sequence in 0..5 {
        source
            .send_to(&rtp(111, sequence, 0, 6, b"x"), inbound_at)
            .unwrap();
    }
    let mut buffer = [0; 2048];
    let (len, from) = source_rtcp
        .recv_from(&mut buffer)
        .expect("a receiver report");
    assert!(is_rtcp(&buffer[..len]));
    assert_eq!(from, inbound_rtcp_at);
}

#[test]
fn it_works_over_ipv6() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let (source, source_at) = socket_on("[::1]:0");
    let (sink, sink_at) = socket_on("[::1]:0");
    let on = |router| PlainOptions {
        ip: "::1".into(),
        ..PlainOptions::on(router)
    };
    let (inbound, inbound_at, _) = harness.plain(on(router));
    harness.connect_plain(inbound, source_at);
    let producer = harness.produce_opus(inbound, Some(8));
    let (outbound, _, _) = harness.plain(on(router));
    harness.connect_plain(outbound, sink_at);
    harness.consume_opus(outbound, Some(producer), None);
    source
        .send_to(&rtp(111, 1, 0, 8, b"six"), inbound_at)
        .unwrap();
    assert_eq!(receive_rtp(&sink).payload, b"six");
}

#[test]
fn wrong_parameters_are_refused_and_leave_nothing() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let open = |listen_ip: &str, srtp| Command::OpenPlainTransport {
        router,
        listen_ip: listen_ip.into(),
        rtcp_mux: true,
        latching: Latching::Fixed,
        rebind_silence_ms: 1000,
        secure: false,
        dtls: false,
        dscp: None,
        extended_reports: false,
        srtp,
        cname: String::new(),
    };
    assert_eq!(harness.refused(open("localhost", None)), ErrorCode::Invalid);
    assert_eq!(
        harness.refused(open("192.0.2.77", None)),
        ErrorCode::Invalid
    );
    let short = SrtpKeys {
        key: vec![1],
        ..keys(1)
    };
    assert_eq!(
        harness.refused(open("127.0.0.1", Some(short))),
        ErrorCode::Invalid
    );
    let unknown = SrtpKeys {
        suite: "ROT13".into(),
        ..keys(1)
    };
    assert_eq!(
        harness.refused(open("127.0.0.1", Some(unknown))),
        ErrorCode::Unsupported
    );
    assert_eq!(harness.counter("transports"), 0);

    let (transport, _, _) = harness.plain(PlainOptions::on(router));
    let connect = |ip: &str, port, srtp| Command::ConnectPlainTransport {
        transport,
        ip: ip.into(),
        port,
        rtcp_port: None,
        srtp,
        local_srtp: None,
        dtls: None,
    };
    assert_eq!(
        harness.refused(connect("nowhere", 1, None)),
        ErrorCode::Invalid
    );
    assert_eq!(harness.refused(connect("::1", 1, None)), ErrorCode::Invalid);
    assert_eq!(
        harness.refused(connect("127.0.0.1", 0, None)),
        ErrorCode::Invalid
    );
    assert_eq!(
        harness.refused(connect("127.0.0.1", 1, Some(keys(1)))),
        ErrorCode::Invalid
    );
    assert_eq!(
        harness.refused(Command::RestartIce {
            transport,
            ice_ufrag: None,
            ice_pwd: None
        }),
        ErrorCode::Invalid
    );
    assert_eq!(
        harness.refused(consume_opus(transport, Some(12_800), None)),
        ErrorCode::NotFound
    );
    assert_eq!(
        harness.refused(Command::CloseTransport { transport: router }),
        ErrorCode::NotFound
    );
    assert_eq!(
        harness.refused(Command::CloseRouter {
            router: u64::MAX,
            quietly: false
        }),
        ErrorCode::NotFound
    );
}

/// The blocks of an extended report (RFC 3611 section 3) in a compound: type and contents.
fn extended_blocks(compound: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut blocks = vec![];
    let mut rest = compound;
    while rest.len() >= 4 {
        let len = 4 * (usize::from(u16::from_be_bytes([rest[2], rest[3]])) + 1);
        let (packet, behind) = rest.split_at(len);
        if packet[1] == 207 {
            let mut inner = &packet[8..];
            while inner.len() >= 4 {
                let len = 4 * (usize::from(u16::from_be_bytes([inner[2], inner[3]])) + 1);
                blocks.push((inner[0], inner[4..len].to_vec()));
                inner = &inner[len..];
            }
        }
        rest = behind;
    }
    blocks
}

#[test]
fn extended_reports_tell_quality_and_answer_reference_times_where_asked_for() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let (peer, peer_at) = socket();
    let options = PlainOptions {
        extended_reports: true,
        ..PlainOptions::on(router)
    };
    let (transport, at, _) = harness.plain(options);
    harness.connect_plain(transport, peer_at);
    let producer = harness.produce_opus(transport, Some(6));
    let (consumer, ssrc) = harness.consume_opus(transport, Some(producer), None);
    let mut sequence = 0;
    let mut say = || {
        // A fifth is missing, in the middle of others.
        for _ in 0..50 {
            sequence += 1;
            if sequence % 5 != 0 {
                let packet = rtp(111, sequence, 960 * u32::from(sequence), 6, b"x");
                peer.send_to(&packet, at).unwrap();
            }
        }
    };
    let next_report = |say: &mut dyn FnMut()| loop {
        let mut buffer = [0; 2048];
        let (len, _) = peer.recv_from(&mut buffer).expect("a report in time");
        if is_rtcp(&buffer[..len]) {
            let blocks = extended_blocks(&buffer[..len]);
            if !blocks.is_empty() {
                say();
                return (u32::from_be_bytes(buffer[4..8].try_into().unwrap()), blocks);
            }
        }
    };
    say();
    // The second and third have bursts, which are followed from the first report on.
    let _ = next_report(&mut say);
    let _ = next_report(&mut say);
    let (_, blocks) = next_report(&mut say);
    assert_eq!(blocks[0].0, 4, "a reference time comes first");
    let metrics = &blocks.iter().find(|block| block.0 == 7).unwrap().1;
    assert_eq!(metrics[..4], 6_u32.to_be_bytes());
    let (loss, discard, burst_density, gmin) = (metrics[4], metrics[5], metrics[6], metrics[19]);
    assert!((40..=60).contains(&loss), "{loss}/256 of a fifth");
    assert_eq!((discard, gmin), (0, 16));
    assert!((40..=75).contains(&burst_density), "{burst_density}");
    // What the far end says of us, its reference time, and an answer to ours.
    let reference = &blocks[0].1;
    let ours = {
        let mut buffer = [0; 2048];
        loop {
            let (len, _) = peer.recv_from(&mut buffer).unwrap();
            if let Some(at) = buffer[..len].windows(2).position(|w| w == [0x80, 207]) {
                break buffer[at + 4..at + 8].to_vec();
            }
        }
    };
    let mut report = vec![0x80, 201, 0, 1, 0, 0, 0, 6];
    report.extend([0x80, 207, 0, 17, 0, 0, 0, 6]);
    report.extend([4, 0, 0, 2]);
    report.extend([0xb7, 0x10, 0x80, 0x00, 0xb7, 0x05, 0x20, 0x00]);
    report.extend([5, 0, 0, 3]);
    report.extend(&ours);
    report.extend(&reference[2..6]);
    report.extend([0, 0, 0, 0]);
    report.extend([7, 0, 0, 8]);
    report.extend(ssrc.to_be_bytes());
    let mut metrics = [0_u8; 28];
    (metrics[0], metrics[16], metrics[18], metrics[19]) = (64, 80, 127, 38);
    report.extend(metrics);
    peer.send_to(&report, at).unwrap();
    let deadline = std::time::Instant::now() + support::PATIENCE;
    loop {
        let reports = harness.stats(consumer);
        let remote = &reports[1];
        if remote.contains_key("voipLossRate") {
            let close = |name: &str, wanted: f64| match remote[name] {
                StatValue::Float(found) => assert!((found - wanted).abs() < 0.01, "{name} {found}"),
                ref other => panic!("{name} is {other:?}"),
            };
            close("voipLossRate", 0.25);
            close("voipMosConversational", 3.8);
            assert_eq!(remote["voipRFactor"], StatValue::Unsigned(80));
            assert_eq!(remote["voipMosListening"], StatValue::None);
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{remote:?}");
    }
    let own = &harness.stats(transport)[0];
    assert!(number(own, "extendedReportsSent") > 0);
    assert_eq!(number(own, "extendedReportsReceived"), 1);
    assert!(matches!(own["extendedRoundTripTime"], StatValue::Float(trip) if trip >= 0.0));
    // The next report answers the reference time: its middle, and how long ago it came.
    let answer = loop {
        let (_, blocks) = next_report(&mut say);
        if let Some((_, answer)) = blocks.into_iter().find(|block| block.0 == 5) {
            break answer;
        }
    };
    assert_eq!(answer[..4], 6_u32.to_be_bytes());
    assert_eq!(answer[4..8], [0x80, 0x00, 0xb7, 0x05]);
}
