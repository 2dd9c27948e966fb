//! What can only be seen from inside: a defect while serving one peer.

use std::net::UdpSocket;
use std::time::Duration;

use crate::Engine;
use crate::values::{
    CloseReason, CodecFeedback, CodecParameters, Command, CommandResult, EngineConfig, Event,
    Latching, Listing, MediaKind, Outbound, Request,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn call(engine: &Engine, command: Command) -> CommandResult {
    engine.submit(Request { id: 1, command }).unwrap();
    loop {
        assert!(engine.wait(PATIENCE), "no reply in time");
        for value in engine.drain(100) {
            if let Outbound::Reply { result, .. } = value {
                return result;
            }
        }
    }
}

fn open_plain(engine: &Engine, router: u64) -> (u64, u16) {
    let command = Command::OpenPlainTransport {
        router,
        listen_ip: "127.0.0.1".into(),
        rtcp_mux: true,
        latching: Latching::Once,
        rebind_silence_ms: 1000,
        secure: false,
        dtls: false,
        dscp: None,
        extended_reports: false,
        srtp: None,
        cname: String::new(),
    };
    match call(engine, command) {
        CommandResult::PlainTransportOpened {
            transport, port, ..
        } => (transport, port),
        other => panic!("{other:?}"),
    }
}

fn next_event(engine: &Engine) -> Event {
    loop {
        assert!(engine.wait(PATIENCE), "no event in time");
        for value in engine.drain(1) {
            if let Outbound::Event { event, .. } = value {
                return event;
            }
        }
    }
}

#[test]
fn a_panic_costs_one_peer_and_no_other() {
    let config = EngineConfig {
        listen_ips: vec!["127.0.0.1".into()],
        webrtc_ports: (0, 0),
        plain_ports: (0, 0),
        ..EngineConfig::default()
    };
    let engine = Engine::start(config).unwrap();
    let CommandResult::RouterOpened { router, .. } =
        call(&engine, Command::OpenRouter { shard: None })
    else {
        panic!("no router")
    };
    let (victim, victim_port) = open_plain(&engine, router);
    let (other, other_port) = open_plain(&engine, router);
    let produce = Command::Produce {
        transport: other,
        kind: MediaKind::Audio,
        codecs: vec![CodecParameters {
            payload_type: 111,
            name: "OPUS".into(),
            clock_rate: 48_000,
            channels: 2,
            rtx_payload_type: None,
            feedback: CodecFeedback::default(),
        }],
        encodings: vec![],
        mid: None,
        header_extensions: vec![],
        paused: false,
    };
    call(&engine, produce);
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let rtp = [0x80, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xaa];
    engine.inject_panic(victim);
    // A round trip, so that the injection is in place before the packet comes.
    call(&engine, Command::GetStats { id: victim });
    peer.send_to(&rtp, ("127.0.0.1", victim_port)).unwrap();
    let Event::TransportClosed {
        transport,
        reason,
        detail,
    } = next_event(&engine)
    else {
        panic!("another event")
    };
    assert_eq!((transport, reason), (victim, CloseReason::PeerPanicked));
    assert!(!detail.is_empty());
    peer.send_to(&rtp, ("127.0.0.1", other_port)).unwrap();
    let learnt = loop {
        if let Event::RemoteLearnt { transport, .. } = next_event(&engine) {
            break transport;
        }
    };
    assert_eq!(learnt, other);
    let panicked = engine
        .stats()
        .iter()
        .any(|r| r.get("peers_panicked") == Some(&1_u64.into()));
    assert!(panicked, "the counter says so");
}

#[test]
fn a_router_that_breaks_is_told_of_whether_anything_was_in_it_or_not() {
    let config = EngineConfig {
        listen_ips: vec!["127.0.0.1".into()],
        webrtc_ports: (0, 0),
        plain_ports: (0, 0),
        ..EngineConfig::default()
    };
    let engine = Engine::start(config).unwrap();
    let open = || match call(&engine, Command::OpenRouter { shard: None }) {
        CommandResult::RouterOpened { router, .. } => router,
        other => panic!("{other:?}"),
    };
    let (empty, full, other) = (open(), open(), open());
    let (held, _) = open_plain(&engine, full);
    let broken = |router| Event::RouterClosed {
        router,
        reason: CloseReason::RouterPanicked,
    };
    engine.inject_panic(empty);
    assert_eq!(next_event(&engine), broken(empty));
    engine.inject_panic(full);
    assert!(
        matches!(next_event(&engine), Event::TransportClosed { transport, .. } if transport == held)
    );
    assert_eq!(next_event(&engine), broken(full));
    let gone = call(&engine, Command::GetStats { id: empty });
    assert!(matches!(gone, CommandResult::Failed { .. }), "{gone:?}");
    open_plain(&engine, other);
}

#[test]
fn a_packager_that_breaks_costs_no_other_and_gives_its_name_back() {
    let config = EngineConfig {
        listen_ips: vec!["127.0.0.1".into()],
        webrtc_ports: (0, 0),
        ..EngineConfig::default()
    };
    let engine = Engine::start(config).unwrap();
    let CommandResult::RouterOpened { router, .. } =
        call(&engine, Command::OpenRouter { shard: None })
    else {
        panic!("no router")
    };
    let open = |name: &str| {
        let command = Command::OpenPackager {
            router,
            name: name.into(),
            listing: Listing {
                window_ms: 20_000,
                part_ms: None,
                encryption: None,
            },
        };
        match call(&engine, command) {
            CommandResult::PackagerOpened { packager } => packager,
            other => panic!("{other:?}"),
        }
    };
    let (victim, other) = (open("victim"), open("other"));
    engine.inject_live_panic(victim);
    let ended = |packager, reason| Event::PackagerEnded { packager, reason };
    assert_eq!(
        next_event(&engine),
        ended(victim, CloseReason::PeerPanicked)
    );
    let panicked = engine
        .stats()
        .iter()
        .any(|r| r.get("packagers_panicked") == Some(&1_u64.into()));
    assert!(panicked, "the counter says so");
    open("victim");
    // The reply is not waited for: with it the event would be drained.
    let command = Command::ClosePackager { packager: other };
    engine.submit(Request { id: 2, command }).unwrap();
    assert_eq!(next_event(&engine), ended(other, CloseReason::Requested));
}

#[test]
fn commands_after_closing_are_refused_and_the_last_events_can_be_read() {
    let config = EngineConfig {
        listen_ips: vec!["127.0.0.1".into()],
        webrtc_ports: (0, 0),
        plain_ports: (0, 0),
        ..EngineConfig::default()
    };
    let engine = Engine::start(config).unwrap();
    let CommandResult::RouterOpened { router, .. } =
        call(&engine, Command::OpenRouter { shard: None })
    else {
        panic!("no router")
    };
    let (transport, _) = open_plain(&engine, router);
    engine.close();
    let refused = engine.submit(Request {
        id: 2,
        command: Command::OpenRouter { shard: None },
    });
    assert_eq!(refused, Err(crate::SubmitError::Closed));
    let Event::TransportClosed {
        transport: closed,
        reason,
        ..
    } = next_event(&engine)
    else {
        panic!("another event")
    };
    assert_eq!((closed, reason), (transport, CloseReason::EngineClosed));
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let refused = |config: EngineConfig| Engine::start(config).unwrap_err().to_string();
    let base = || EngineConfig {
        listen_ips: vec!["127.0.0.1".into()],
        ..EngineConfig::default()
    };
    assert!(
        refused(EngineConfig {
            shards: 0,
            ..base()
        })
        .contains("shards")
    );
    assert!(
        refused(EngineConfig {
            shards: 257,
            ..base()
        })
        .contains("shards")
    );
    assert!(
        refused(EngineConfig {
            webrtc_ports: (5, 4),
            ..base()
        })
        .contains("webrtc_ports")
    );
    assert!(
        refused(EngineConfig {
            plain_ports: (0, 4),
            ..base()
        })
        .contains("plain_ports")
    );
    assert!(
        refused(EngineConfig {
            command_queue: 0,
            ..base()
        })
        .contains("command_queue")
    );
    assert!(
        refused(EngineConfig {
            listen_ips: vec!["here".into()],
            ..base()
        })
        .contains("listen_ips")
    );
    assert!(
        refused(EngineConfig {
            listen_ips: vec!["192.0.2.99".into()],
            ..base()
        })
        .contains("192.0.2.99")
    );
}

#[test]
fn routers_go_to_the_least_loaded_shard() {
    let config = EngineConfig {
        shards: 3,
        listen_ips: vec!["127.0.0.1".into()],
        webrtc_ports: (0, 0),
        ..EngineConfig::default()
    };
    let engine = Engine::start(config).unwrap();
    let mut shards: Vec<usize> = (0..3)
        .map(
            |_| match call(&engine, Command::OpenRouter { shard: None }) {
                CommandResult::RouterOpened { shard, .. } => shard,
                other => panic!("{other:?}"),
            },
        )
        .collect();
    shards.sort_unstable();
    assert_eq!(shards, [0, 1, 2]);
    let refused = call(&engine, Command::OpenRouter { shard: Some(3) });
    assert!(matches!(refused, CommandResult::Failed { .. }));
}
