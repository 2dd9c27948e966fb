//! The way from nothing to media, over good and bad networks.

mod support;

use std::time::Duration;

use roomtone_webrtc::{CloseReason, DtlsState, IceState, TransportEvent};
use support::{Pair, Weather, both_writable, exchange_media};

const BAD: Weather = Weather {
    loss: 200,
    duplicate: 100,
    jitter: Duration::from_millis(60),
};

fn handshake_in_bad_weather(make: fn(u64) -> Pair) {
    for seed in 1..=20 {
        let mut world = make(seed).connect(seed);
        world.weather = BAD;
        let done = world.run_until(Duration::from_secs(30), both_writable);
        assert!(
            done,
            "seed {seed}: {:?} {:?}",
            world.a.events, world.b.events
        );
        exchange_media(&mut world, seed);
    }
}

#[test]
fn a_lite_server_and_a_full_client_meet_under_loss_reordering_and_duplication() {
    handshake_in_bad_weather(Pair::lite);
}

#[test]
fn the_lite_server_can_be_the_dtls_client() {
    handshake_in_bad_weather(|seed| Pair::lite(seed).server_active());
}

#[test]
fn two_full_transports_meet_under_loss_reordering_and_duplication() {
    handshake_in_bad_weather(Pair::full);
}

#[test]
fn two_full_transports_meet_with_the_dtls_roles_swapped() {
    handshake_in_bad_weather(|seed| Pair::full(seed).server_active());
}

#[test]
fn two_transports_prefer_gcm_and_meet_quickly_on_a_good_network() {
    let mut world = Pair::lite(7).connect(7);
    let start = world.now;
    assert!(world.run_until(Duration::from_secs(5), both_writable));
    assert!(
        world.now - start < Duration::from_millis(500),
        "took {:?}",
        world.now - start
    );
    assert_eq!(
        world.a.transport.srtp_profile(),
        Some(roomtone_srtp::Profile::AeadAes256Gcm)
    );
    assert_eq!(world.a.transport.rtp_overhead(), 16);
    assert!(
        world
            .a
            .events
            .contains(&TransportEvent::IceState(IceState::Connected))
    );
    assert!(
        world
            .a
            .events
            .contains(&TransportEvent::DtlsState(DtlsState::Connected))
    );
}

#[test]
fn a_close_reaches_the_peer_as_close_notify() {
    let mut world = Pair::lite(3).connect(3);
    assert!(world.run_until(Duration::from_secs(5), both_writable));
    let now = world.now;
    world.a.transport.close(now);
    world.run_for(Duration::from_secs(1));
    assert_eq!(
        world.a.closed().map(|(reason, _)| reason),
        Some(CloseReason::Local)
    );
    assert_eq!(
        world.b.closed().map(|(reason, _)| reason),
        Some(CloseReason::PeerClosed)
    );
    assert!(matches!(
        world.b.events.last(),
        Some(TransportEvent::Closed { .. })
    ));
    assert!(!world.b.transport.is_writable());
    assert_eq!(world.b.transport.next_timeout(), None);
}

#[test]
fn media_before_the_keys_is_counted_and_dropped() {
    let mut world = Pair::lite(4).connect(4);
    let tuple = roomtone_webrtc::FiveTuple {
        protocol: roomtone_webrtc::Protocol::Udp,
        local: support::server_address(),
        remote: support::client_address(),
    };
    world.inject(0, tuple, &support::rtp(1, 1));
    world.inject(0, tuple, &support::rtcp(1));
    world.run_for(Duration::from_millis(1));
    assert_eq!(world.a.transport.stats().counters.early_media_dropped, 2);
    assert!(world.a.rtp.is_empty());
}

#[test]
fn a_wrong_fingerprint_ends_the_transport() {
    let pair = Pair::lite(6);
    let mut told = support::remote(&pair.client, false, pair.server_role);
    told.fingerprints = vec![support::certificate().fingerprint().clone()];
    let mut world = pair.connect_told(6, told);
    world.run_for(Duration::from_secs(5));
    assert_eq!(
        world.a.closed().map(|(reason, _)| reason),
        Some(CloseReason::DtlsFingerprintMismatch)
    );
    assert!(!world.a.transport.is_writable());
}

#[test]
fn a_peer_that_never_comes_is_an_ice_timeout_with_reasons() {
    let mut world = Pair::lite(8).connect(8);
    world.weather.loss = 1000;
    world.run_for(Duration::from_secs(31));
    let (reason, detail) = world.a.closed().expect("the server gave up");
    assert_eq!(reason, CloseReason::IceTimeout);
    assert!(detail.contains("no pair was seen"), "{detail}");
    let (reason, detail) = world.b.closed().expect("the client gave up");
    assert_eq!(reason, CloseReason::IceTimeout);
    assert!(
        detail.contains("198.51.100.7:50000 <-> 192.0.2.1:40000"),
        "{detail}"
    );
    assert!(detail.contains("answered 0"), "{detail}");
}
