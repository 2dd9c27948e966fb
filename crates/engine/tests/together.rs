//! Commands done together: what a later one needs of an earlier one, what fails, and a router that goes quietly.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::SocketAddr;

use roomtone_engine::values::{
    CloseReason, CodecParameters, Command, CommandResult, ErrorCode, Event, Latching, MediaKind,
};
use support::{Harness, codec, config, consume_opus, receive_rtp, rtp, socket};

/// Stands for what the command at a place opens.
fn opened(place: u64) -> u64 {
    (1 << 63) | place
}

fn plain(router: u64, ip: &str) -> Command {
    Command::OpenPlainTransport {
        router,
        listen_ip: ip.into(),
        rtcp_mux: true,
        latching: Latching::Fixed,
        rebind_silence_ms: 1000,
        srtp: None,
        secure: false,
        dtls: false,
        dscp: None,
        extended_reports: false,
        cname: "test".into(),
    }
}

fn connect(transport: u64, to: SocketAddr) -> Command {
    Command::ConnectPlainTransport {
        transport,
        ip: to.ip().to_string(),
        port: to.port(),
        rtcp_port: None,
        srtp: None,
        local_srtp: None,
        dtls: None,
    }
}

fn produce(transport: u64, codecs: Vec<CodecParameters>) -> Command {
    Command::Produce {
        transport,
        kind: MediaKind::Audio,
        codecs,
        encodings: vec![],
        mid: None,
        header_extensions: vec![],
        paused: false,
    }
}

fn opus() -> Vec<CodecParameters> {
    vec![codec(111, "OPUS", 48_000, 2)]
}

fn together(harness: &mut Harness, commands: Vec<Command>) -> Vec<CommandResult> {
    match harness.call(Command::DoTogether { commands }) {
        CommandResult::DoneTogether { results } => results,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bridge_is_opened_and_joined_by_two_messages_and_goes_without_a_word() {
    let mut harness = Harness::new(config(1));
    let opened_both = together(
        &mut harness,
        vec![
            Command::OpenRouter { shard: None },
            plain(opened(0), "127.0.0.1"),
            plain(opened(0), "127.0.0.1"),
        ],
    );
    let [
        CommandResult::RouterOpened { router, .. },
        CommandResult::PlainTransportOpened {
            transport: one,
            port,
            ..
        },
        CommandResult::PlainTransportOpened { transport: two, .. },
    ] = opened_both[..]
    else {
        panic!("{opened_both:?}")
    };
    let (source, source_at) = socket();
    let (sink, sink_at) = socket();
    let joined = together(
        &mut harness,
        vec![
            connect(one, source_at),
            connect(two, sink_at),
            produce(one, opus()),
            consume_opus(two, Some(opened(2)), None),
        ],
    );
    assert!(
        matches!(
            joined[..],
            [
                CommandResult::Done {},
                CommandResult::Done {},
                CommandResult::Produced { .. },
                CommandResult::Consumed { .. }
            ]
        ),
        "{joined:?}"
    );
    source
        .send_to(&rtp(111, 1, 0, 0x1111, b"across"), ("127.0.0.1", port))
        .unwrap();
    assert_eq!(receive_rtp(&sink).payload, b"across");
    harness.done(Command::CloseRouter {
        router,
        quietly: true,
    });
    for counter in ["routers", "transports", "producers", "consumers"] {
        assert_eq!(harness.counter(counter), 0, "{counter}");
    }
    let other = harness.router(None);
    harness.done(Command::CloseRouter {
        router: other,
        quietly: false,
    });
    let first = harness.event(|event| match event {
        Event::ProducerClosed { .. }
        | Event::ConsumerClosed { .. }
        | Event::TransportClosed { .. }
        | Event::RouterClosed { .. } => Some(event.clone()),
        _ => None,
    });
    let told = Event::RouterClosed {
        router: other,
        reason: CloseReason::Requested,
    };
    assert_eq!(first, told, "of the first nothing is told");
}

#[test]
fn the_first_that_fails_is_the_last_and_what_was_done_stays() {
    let mut harness = Harness::new(config(1));
    let results = together(
        &mut harness,
        vec![
            Command::OpenRouter { shard: None },
            plain(opened(0), "no address"),
            plain(opened(0), "127.0.0.1"),
        ],
    );
    let [
        CommandResult::RouterOpened { router, .. },
        CommandResult::Failed {
            code: ErrorCode::Invalid,
            ..
        },
    ] = results[..]
    else {
        panic!("{results:?}")
    };
    let transport = together(&mut harness, vec![plain(router, "127.0.0.1")]);
    let CommandResult::PlainTransportOpened { transport, .. } = transport[0] else {
        panic!("{transport:?}")
    };
    let results = together(
        &mut harness,
        vec![
            produce(transport, vec![]),
            consume_opus(transport, Some(opened(0)), None),
        ],
    );
    assert_eq!(results.len(), 1, "nothing follows a failure: {results:?}");
}

#[test]
fn what_stands_for_nothing_and_what_cannot_be_done_together_is_refused() {
    let mut harness = Harness::new(config(2));
    let router = harness.router(Some(1));
    assert_eq!(
        harness.refused(Command::DoTogether { commands: vec![] }),
        ErrorCode::Invalid
    );
    let many = vec![Command::OpenRouter { shard: None }; 65];
    assert_eq!(
        harness.refused(Command::DoTogether { commands: many }),
        ErrorCode::Limit
    );
    let refused = [
        (
            vec![plain(router, "127.0.0.1"), connect(opened(1), socket().1)],
            ErrorCode::Invalid,
        ),
        (
            vec![
                plain(router, "127.0.0.1"),
                plain(opened(u64::MAX), "127.0.0.1"),
            ],
            ErrorCode::Invalid,
        ),
        (
            vec![
                plain(router, "127.0.0.1"),
                Command::OpenRouter { shard: Some(0) },
            ],
            ErrorCode::Unsupported,
        ),
        (
            vec![plain(router, "127.0.0.1"), Command::GetStats { id: router }],
            ErrorCode::Unsupported,
        ),
        (
            vec![
                plain(router, "127.0.0.1"),
                Command::DoTogether { commands: vec![] },
            ],
            ErrorCode::Unsupported,
        ),
    ];
    for (commands, wanted) in refused {
        let results = together(&mut harness, commands.clone());
        let Some(CommandResult::Failed { code, .. }) = results.last() else {
            panic!("{commands:?} was done: {results:?}")
        };
        assert_eq!(*code, wanted, "{commands:?}");
    }
    assert_eq!(
        harness.counter("transports"),
        5,
        "those before the refused ones stay"
    );
}
