//! Who stays where it is gets a socket of its own on the port; nobody notices but the kernel.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use roomtone_engine::values::{Event, Latching};
use support::{Harness, PlainOptions, config, number, receive_rtp, rtp, socket};

const SSRC: u32 = 0x1A_7E57;
/// As many packets as a lane takes to be opened, and more.
const SECOND: u16 = 60;

/// A transport that gives back what it hears.
struct Echo {
    harness: Harness,
    transport: u64,
    at: SocketAddr,
    sequence: u16,
}

impl Echo {
    fn new(latching: Latching, dscp: Option<u8>) -> Self {
        let mut harness = Harness::new(config(1));
        let router = harness.router(None);
        let (transport, at, _) = harness.plain(PlainOptions {
            latching,
            dscp,
            ..PlainOptions::on(router)
        });
        let producer = harness.produce_opus(transport, Some(SSRC));
        harness.consume_opus(transport, Some(producer), None);
        Self {
            harness,
            transport,
            at,
            sequence: 0,
        }
    }

    fn say(&mut self, from: &UdpSocket, payload: &[u8]) {
        let time = 960 * u32::from(self.sequence);
        let packet = rtp(111, self.sequence, time, SSRC, payload);
        from.send_to(&packet, self.at).unwrap();
        self.sequence += 1;
    }

    /// A first packet, by which the peer is learnt; it may come back or not.
    fn meet(&mut self, peer: &UdpSocket) {
        self.say(peer, b"first");
        let of = self.transport;
        self.harness.event(|event| match event {
            Event::RemoteLearnt { transport, .. } if *transport == of => Some(()),
            _ => None,
        });
    }

    /// Each packet comes back.
    fn talk(&mut self, peer: &UdpSocket, packets: u16) {
        for _ in 0..packets {
            let payload = self.sequence.to_be_bytes();
            self.say(peer, &payload);
            while receive_rtp(peer).payload != payload {}
        }
    }

    fn strays(&mut self, expected: u64) {
        let deadline = Instant::now() + support::PATIENCE;
        let of = self.transport;
        while number(&self.harness.stats(of)[0].clone(), "packetsFromStrays") < expected {
            assert!(Instant::now() < deadline, "strays are not counted");
        }
    }
}

#[test]
fn a_peer_that_stays_gets_a_lane_and_goes_on_as_before() {
    for latching in [Latching::Once, Latching::Rebind] {
        let mut echo = Echo::new(latching, Some(46));
        let (peer, _) = socket();
        echo.meet(&peer);
        echo.talk(&peer, 10);
        assert_eq!(echo.harness.counter("lanes_opened"), 0);
        echo.talk(&peer, 2 * SECOND);
        assert_eq!(echo.harness.counter("lanes_opened"), 1);
        assert_eq!(echo.harness.counter("lanes_refused"), 0);
        let packets = u64::from(echo.sequence);
        assert_eq!(echo.harness.counter("rtp_received"), packets);
        assert_eq!(echo.harness.counter("send_errors"), 0);
        // Others are not heard, and are counted.
        let (stray, _) = socket();
        for _ in 0..3 {
            let forged = rtp(111, echo.sequence, 0, SSRC, b"forged");
            stray.send_to(&forged, echo.at).unwrap();
        }
        echo.strays(3);
        echo.talk(&peer, 3);
    }
}

#[test]
fn a_peer_with_a_lane_is_followed_when_it_moves() {
    let mut echo = Echo::new(Latching::Rebind, None);
    let (before, _) = socket();
    echo.meet(&before);
    echo.talk(&before, SECOND);
    assert_eq!(echo.harness.counter("lanes_opened"), 1);
    let (after, _) = socket();
    after
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let deadline = Instant::now() + support::PATIENCE;
    let mut space = [0; 2048];
    loop {
        assert!(Instant::now() < deadline, "the peer is not followed");
        echo.say(&after, b"here");
        if after.recv(&mut space).is_ok() {
            break;
        }
    }
    after.set_read_timeout(Some(support::PATIENCE)).unwrap();
    assert_eq!(echo.harness.counter("plain_rebinds"), 1);
    // Where it was is a stranger's place now.
    let strays = echo.harness.counter("dropped_wrong_source");
    echo.say(&before, b"old");
    echo.strays(strays + 1);
    for _ in 0..SECOND {
        echo.say(&after, b"there");
    }
    let mut there = 0;
    while there < SECOND {
        there += u16::from(receive_rtp(&after).payload == b"there");
    }
    assert_eq!(echo.harness.counter("lanes_opened"), 2);
}

#[test]
fn a_peer_that_is_moved_by_command_is_spoken_to_where_it_is() {
    let mut echo = Echo::new(Latching::Fixed, None);
    let (one, one_at) = socket();
    let (two, two_at) = socket();
    for (peer, at) in [(&one, one_at), (&two, two_at), (&one, one_at)] {
        echo.harness.connect_plain(echo.transport, at);
        echo.talk(peer, SECOND);
    }
    assert_eq!(echo.harness.counter("lanes_opened"), 3);
}
