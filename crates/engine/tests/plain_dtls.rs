//! DTLS-SRTP on plain transports: a peer on a real socket shakes hands, and media goes under the keys of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use roomtone_engine::values::{
    CloseReason, Command, CommandResult, DtlsParameters, DtlsState, ErrorCode, Event, Fingerprint,
    Latching,
};
use roomtone_srtp::{Opener, Sealer};
use roomtone_webrtc::{Certificate, DtlsRole, DtlsSrtp, DtlsSrtpEvent, is_dtls};
use support::{Harness, PATIENCE, PlainOptions, config, is_rtcp, parts, receive_rtp, rtp, socket};

/// A transport of the engine with DTLS.
struct Offered {
    transport: u64,
    at: SocketAddr,
    rtcp_at: SocketAddr,
    fingerprint: roomtone_webrtc::Fingerprint,
}

fn open(harness: &mut Harness, router: u64, latching: Latching, rtcp_mux: bool) -> Offered {
    let opened = harness.call(Command::OpenPlainTransport {
        router,
        listen_ip: "127.0.0.1".into(),
        rtcp_mux,
        latching,
        rebind_silence_ms: 1000,
        srtp: None,
        secure: false,
        dtls: true,
        dscp: None,
        extended_reports: false,
        cname: "test".into(),
    });
    let CommandResult::PlainTransportOpened {
        transport,
        port,
        rtcp_port,
        fingerprints,
        ..
    } = opened
    else {
        panic!("{opened:?}")
    };
    let told = &fingerprints[0];
    Offered {
        transport,
        at: SocketAddr::from(([127, 0, 0, 1], port)),
        rtcp_at: SocketAddr::from(([127, 0, 0, 1], rtcp_port)),
        fingerprint: roomtone_webrtc::Fingerprint::parse(&told.algorithm, &told.value).unwrap(),
    }
}

fn connect(
    transport: u64,
    to: Option<SocketAddr>,
    rtcp_port: Option<u16>,
    role: roomtone_engine::values::DtlsRole,
    peer: &Certificate,
) -> Command {
    Command::ConnectPlainTransport {
        transport,
        ip: "127.0.0.1".into(),
        port: to.map_or(0, |to| to.port()),
        rtcp_port,
        srtp: None,
        local_srtp: None,
        dtls: Some(DtlsParameters {
            role,
            fingerprints: vec![Fingerprint {
                algorithm: peer.fingerprint().hash().name().into(),
                value: peer.fingerprint().hex(),
            }],
        }),
    }
}

const ACTIVE: roomtone_engine::values::DtlsRole = roomtone_engine::values::DtlsRole::Active;
const PASSIVE: roomtone_engine::values::DtlsRole = roomtone_engine::values::DtlsRole::Passive;

/// Rounds of at most 20 ms: plenty for who will agree, and for who will not.
const ROUNDS: usize = 1000;
const ROUNDS_IN_VAIN: usize = 30;

/// Shakes hands on a socket; the keys, or why there are none.
fn shake(
    socket: &UdpSocket,
    to: SocketAddr,
    certificate: &Certificate,
    role: DtlsRole,
    theirs: &roomtone_webrtc::Fingerprint,
) -> Result<(Sealer, Opener), String> {
    shake_for(ROUNDS, socket, to, certificate, role, theirs)
}

fn shake_for(
    rounds: usize,
    socket: &UdpSocket,
    to: SocketAddr,
    certificate: &Certificate,
    role: DtlsRole,
    theirs: &roomtone_webrtc::Fingerprint,
) -> Result<(Sealer, Opener), String> {
    let mut dtls = DtlsSrtp::new(certificate, role, vec![theirs.clone()], Instant::now());
    let mut buffer = [0; 2048];
    socket
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let mut keys = None;
    let mut after = 0;
    for _ in 0..rounds {
        while let Some(datagram) = dtls.poll_transmit() {
            socket.send_to(&datagram, to).unwrap();
        }
        match dtls.poll_event() {
            Some(DtlsSrtpEvent::Ready { sealer, opener }) => keys = Some((*sealer, *opener)),
            Some(DtlsSrtpEvent::Ended { reason, .. }) => return Err(reason.to_string()),
            None => {}
        }
        // The last flight may have to be repeated for the engine.
        after += i32::from(keys.is_some());
        if after > 5 {
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            return Ok(keys.unwrap());
        }
        if let Ok((len, _)) = socket.recv_from(&mut buffer)
            && is_dtls(&buffer[..len])
        {
            dtls.handle_datagram(&buffer[..len], Instant::now());
        }
        dtls.handle_timeout(Instant::now());
    }
    Err("no hands are shaken".into())
}

fn send(socket: &UdpSocket, to: SocketAddr, sealer: &mut Sealer, packet: &[u8]) {
    let mut sealed = packet.to_vec();
    sealed.resize(packet.len() + 64, 0);
    let len = sealer.seal_rtp(&mut sealed, packet.len()).unwrap();
    socket.send_to(&sealed[..len], to).unwrap();
}

/// The next RTP packet of a socket, opened.
fn receive(socket: &UdpSocket, opener: &mut Opener) -> support::Parts {
    let mut buffer = [0; 2048];
    loop {
        let (len, _) = socket.recv_from(&mut buffer).expect("a packet in time");
        if !is_dtls(&buffer[..len]) && !is_rtcp(&buffer[..len]) {
            let len = opener.open_rtp(&mut buffer[..len]).unwrap();
            return parts(&buffer[..len]);
        }
    }
}

fn connected(harness: &mut Harness, transport: u64) -> Option<String> {
    harness.event(|event| match event {
        Event::DtlsStateChanged {
            transport: of,
            state: DtlsState::Connected,
            srtp_profile,
        } if *of == transport => Some(srtp_profile.clone()),
        _ => None,
    })
}

/// What comes on `inbound` leaves it again, and what the peer hears is what it said.
fn echo(harness: &mut Harness, offered: &Offered, socket: &UdpSocket, keys: &mut (Sealer, Opener)) {
    let producer = harness.produce_opus(offered.transport, Some(77));
    let (_, ssrc) = harness.consume_opus(offered.transport, Some(producer), None);
    send(
        socket,
        offered.at,
        &mut keys.0,
        &rtp(111, 1, 0, 77, b"secret"),
    );
    let heard = receive(socket, &mut keys.1);
    assert_eq!((heard.ssrc, &heard.payload[..]), (ssrc, &b"secret"[..]));
}

#[test]
fn who_has_the_certificate_is_the_peer_and_strays_that_came_first_are_not() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let (mine, other) = (
        Certificate::generate().unwrap(),
        Certificate::generate().unwrap(),
    );
    let offered = open(&mut harness, router, Latching::Once, true);
    harness.done(connect(offered.transport, None, None, PASSIVE, &mine));
    let (stray, _) = socket();
    stray
        .send_to(&rtp(111, 1, 0, 77, b"in clear"), offered.at)
        .unwrap();
    let refused = shake_for(
        ROUNDS_IN_VAIN,
        &stray,
        offered.at,
        &other,
        DtlsRole::Active,
        &offered.fingerprint,
    );
    // It may believe to have keys: only the server knows that they are of no use.
    if let Ok((mut sealer, _)) = refused {
        send(
            &stray,
            offered.at,
            &mut sealer,
            &rtp(111, 1, 0, 77, b"stray"),
        );
    }
    let (peer, peer_at) = socket();
    let mut keys = shake(
        &peer,
        offered.at,
        &mine,
        DtlsRole::Active,
        &offered.fingerprint,
    )
    .unwrap();
    let learnt = harness.event(|event| match event {
        Event::RemoteLearnt { remote, .. } => Some(remote.clone()),
        _ => None,
    });
    assert_eq!(learnt, peer_at.to_string());
    let profile = connected(&mut harness, offered.transport);
    assert_eq!(profile.as_deref(), Some("AEAD_AES_256_GCM"));
    echo(&mut harness, &offered, &peer, &mut keys);
}

#[test]
fn as_the_client_it_shakes_hands_on_both_ports_and_each_has_its_own_keys() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let mine = Certificate::generate().unwrap();
    let offered = open(&mut harness, router, Latching::Fixed, false);
    let (peer, peer_at) = socket();
    let (reports, reports_at) = socket();
    harness.done(connect(
        offered.transport,
        Some(peer_at),
        Some(reports_at.port()),
        ACTIVE,
        &mine,
    ));
    let theirs = &offered.fingerprint;
    let mut keys = shake(&peer, offered.at, &mine, DtlsRole::Passive, theirs).unwrap();
    let (_, mut open_reports) =
        shake(&reports, offered.rtcp_at, &mine, DtlsRole::Passive, theirs).unwrap();
    connected(&mut harness, offered.transport);
    echo(&mut harness, &offered, &peer, &mut keys);
    let mut buffer = [0; 2048];
    loop {
        let (len, _) = reports.recv_from(&mut buffer).expect("a report in time");
        if is_rtcp(&buffer[..len]) {
            let mut copy = buffer;
            assert!(keys.1.open_rtcp(&mut copy[..len]).is_err());
            open_reports.open_rtcp(&mut buffer[..len]).unwrap();
            break;
        }
    }
}

#[test]
fn a_handshake_that_begins_before_the_peer_is_named_is_not_lost() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let mine = Certificate::generate().unwrap();
    let offered = open(&mut harness, router, Latching::Once, true);
    let (peer, _) = socket();
    let mut early = DtlsSrtp::new(
        &mine,
        DtlsRole::Active,
        vec![offered.fingerprint.clone()],
        Instant::now(),
    );
    let hello = early.poll_transmit().unwrap();
    peer.send_to(&hello, offered.at).unwrap();
    // The answer to this comes behind the datagram.
    harness.stats(offered.transport);
    harness.done(connect(offered.transport, None, None, PASSIVE, &mine));
    let mut buffer = [0; 2048];
    let (len, from) = peer.recv_from(&mut buffer).expect("an answer in time");
    assert!(is_dtls(&buffer[..len]));
    assert_eq!(from, offered.at);
}

#[test]
fn another_certificate_at_the_address_that_was_told_ends_the_transport() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let (mine, other) = (
        Certificate::generate().unwrap(),
        Certificate::generate().unwrap(),
    );
    let offered = open(&mut harness, router, Latching::Fixed, true);
    let (peer, peer_at) = socket();
    harness.done(connect(
        offered.transport,
        Some(peer_at),
        None,
        PASSIVE,
        &mine,
    ));
    let _ = shake_for(
        ROUNDS_IN_VAIN,
        &peer,
        offered.at,
        &other,
        DtlsRole::Active,
        &offered.fingerprint,
    );
    let reason = harness.event(|event| match event {
        Event::TransportClosed {
            transport, reason, ..
        } if *transport == offered.transport => Some(*reason),
        _ => None,
    });
    assert_eq!(reason, CloseReason::FingerprintMismatch);
}

#[test]
fn a_peer_that_never_shakes_hands_is_given_up() {
    let mut harness = Harness::new(roomtone_engine::values::EngineConfig {
        ice_timeout_ms: 200,
        ..config(1)
    });
    let router = harness.router(None);
    let mine = Certificate::generate().unwrap();
    let offered = open(&mut harness, router, Latching::Once, true);
    harness.done(connect(offered.transport, None, None, PASSIVE, &mine));
    let reason = harness.event(|event| match event {
        Event::TransportClosed { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(reason, CloseReason::DtlsFailed);
    assert_eq!(harness.counter("transports"), 0);
}

#[test]
fn the_end_of_a_transport_is_told_to_its_peer_and_nothing_in_clear_passes() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let mine = Certificate::generate().unwrap();
    let offered = open(&mut harness, router, Latching::Fixed, true);
    let (peer, peer_at) = socket();
    harness.done(connect(
        offered.transport,
        Some(peer_at),
        None,
        PASSIVE,
        &mine,
    ));
    let theirs = &offered.fingerprint;
    let mut keys = shake(&peer, offered.at, &mine, DtlsRole::Active, theirs).unwrap();
    connected(&mut harness, offered.transport);
    let producer = harness.produce_opus(offered.transport, Some(77));
    let (sink, sink_at) = socket();
    let (plain, _, _) = harness.plain(PlainOptions::on(router));
    harness.connect_plain(plain, sink_at);
    harness.consume_opus(plain, Some(producer), None);
    peer.send_to(&rtp(111, 1, 0, 77, b"in clear"), offered.at)
        .unwrap();
    send(
        &peer,
        offered.at,
        &mut keys.0,
        &rtp(111, 2, 0, 77, b"sealed"),
    );
    assert_eq!(receive_rtp(&sink).payload, b"sealed");
    harness.done(Command::CloseTransport {
        transport: offered.transport,
    });
    let mut buffer = [0; 2048];
    loop {
        let (len, _) = peer.recv_from(&mut buffer).expect("an alert in time");
        // An alert record (RFC 5246 section 6.2.1).
        if buffer[..len].first() == Some(&21) {
            break;
        }
    }
}

#[test]
fn a_handshake_without_what_it_needs_is_refused() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let mine = Certificate::generate().unwrap();
    let offered = open(&mut harness, router, Latching::Once, true);
    let refused = harness.refused(connect(offered.transport, None, None, ACTIVE, &mine));
    assert_eq!(refused, ErrorCode::Invalid);
    let (plain, _, _) = harness.plain(PlainOptions::on(router));
    let to = Some(SocketAddr::from(([127, 0, 0, 1], 9)));
    let refused = harness.refused(connect(plain, to, None, PASSIVE, &mine));
    assert_eq!(refused, ErrorCode::Invalid);
}
