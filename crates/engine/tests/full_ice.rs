//! A transport in the full role, whose peer's candidates come one by one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use roomtone_engine::values::{
    Candidate, Command, CommandResult, DtlsRole, Fingerprint, IceMode, StatValue,
};
use support::{Harness, config, number};

fn ice_report(harness: &mut Harness, id: u64) -> String {
    match &harness.stats(id)[0]["iceReport"] {
        StatValue::Text(report) => report.clone(),
        other => panic!("{other:?}"),
    }
}

fn candidate(port: u16) -> Candidate {
    Candidate {
        foundation: "1".into(),
        component: 1,
        protocol: "udp".into(),
        priority: 2_130_706_431,
        ip: "127.0.0.1".into(),
        port,
        kind: "host".into(),
        tcp_type: None,
    }
}

fn add(harness: &mut Harness, transport: u64, candidates: Vec<Candidate>, complete: bool) {
    harness.done(Command::AddRemoteCandidates {
        transport,
        candidates,
        complete,
    });
}

#[test]
fn each_late_candidate_is_tried_and_the_last_is_known_to_be_the_last() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let opened = harness.call(Command::OpenWebRtcTransport {
        router,
        ice_mode: IceMode::Full,
        sctp: false,
        max_message_size: 1,
        cname: String::new(),
        mixed_extensions: false,
        answer_timeout_ms: None,
        arrival_model: None,
    });
    let CommandResult::WebRtcTransportOpened { transport, .. } = opened else {
        panic!("{opened:?}")
    };
    harness.done(Command::ConnectWebRtcTransport {
        transport,
        dtls_role: DtlsRole::Passive,
        fingerprints: vec![Fingerprint {
            algorithm: "sha-256".into(),
            value: vec!["0A"; 32].join(":"),
        }],
        ice_ufrag: Some("peer".into()),
        ice_pwd: Some("p".repeat(24)),
        ice_lite: false,
        candidates: vec![],
    });
    assert!(ice_report(&mut harness, transport).contains("0 remote candidates (0 connect to us):"));
    // Sockets that take what comes and say nothing.
    let (first, first_at) = support::socket();
    let (second, second_at) = support::socket();
    for (socket, at) in [(first, first_at), (second, second_at)] {
        add(&mut harness, transport, vec![candidate(at.port())], false);
        let mut buffer = [0; 1500];
        let (len, _) = socket.recv_from(&mut buffer).expect("a check");
        assert!(len > 20 && buffer[0] == 0 && buffer[1] == 1, "STUN");
    }
    let report = ice_report(&mut harness, transport);
    assert!(
        report.contains("2 remote candidates (0 connect to us):"),
        "{report}"
    );
    assert!(number(&harness.stats(transport)[0], "stunRequestsSent") >= 2);
    add(&mut harness, transport, vec![], true);
    let report = ice_report(&mut harness, transport);
    assert!(
        report.contains("(0 connect to us, no more come):"),
        "{report}"
    );
}
