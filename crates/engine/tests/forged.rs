//! Checks that prove nothing teach nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::UdpSocket;

use roomtone_webrtc::Protocol;
use roomtone_webrtc::stun::{IntegrityKey, StunClass, StunWriter};
use support::peer::{Peer, open};
use support::{Harness, config, socket};

/// More than the addresses the engine remembers of a peer.
const FORGERS: u8 = 40;

#[test]
fn forged_checks_teach_no_addresses_and_push_none_out() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let offered = open(&mut harness, router, false);
    let mut peer = Peer::connect(&mut harness, &offered, Protocol::Udp, true, false);
    peer.establish(&mut harness);
    let to = format!("127.0.0.1:{}", offered.candidates[0].port);
    let before = harness.counter("dropped_unknown_source");
    let forgers: Vec<UdpSocket> = (0..FORGERS).map(|_| socket().0).collect();
    for (transaction, forger) in (0..FORGERS).zip(&forgers) {
        let check = StunWriter::binding(StunClass::Request, &[transaction; 12])
            .username(&format!("{}:nobody", offered.ice.ufrag))
            .integrity(&IntegrityKey::new("not the password"))
            .finish();
        forger.send_to(&check, &to).unwrap();
        // It is answered, so that this shows more than silence would.
        let mut answer = [0; 512];
        let (len, _) = forger.recv_from(&mut answer).expect("a refusal");
        assert_eq!(answer[..2], [0x01, 0x11], "{:x?}", &answer[..len]);
        // What looks like media from there belongs to nobody.
        forger.send_to(&[0x80; 40], &to).unwrap();
    }
    let producer = harness.produce_opus(offered.id, Some(5));
    peer.send_rtp(&support::rtp(111, 1, 0, 5, b"still heard"));
    harness.event(|event| match event {
        roomtone_engine::values::Event::ProducerStarted {
            producer: started, ..
        } => (*started == producer).then_some(()),
        _ => None,
    });
    let unknown = harness.counter("dropped_unknown_source") - before;
    assert_eq!(unknown, u64::from(FORGERS));
}
