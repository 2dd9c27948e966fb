//! Candidates that come one by one, from either side, and the word that no more will come.

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use roomtone_webrtc::{
    Candidate, CloseReason, IceState, Protocol, SeededRandom, TcpType, Transport, TransportError,
    TransportEvent,
};
use support::{
    Ours, Pair, World, both_writable, client_address, credentials, exchange_media, remote,
    server_address, udp,
};

/// Two full agents that know nothing of each other's addresses yet.
fn strangers(seed: u64) -> World<Ours, Ours> {
    let now = support::epoch();
    let pair = Pair::full(seed);
    let mut to_server = remote(&pair.client, false, pair.server_role);
    let mut to_client = remote(&pair.server, false, pair.client_role);
    to_server.candidates.clear();
    to_client.candidates.clear();
    let random = |seed| Box::new(SeededRandom::new(seed));
    let mut server = Ours::new(Transport::new(pair.server, now, random(seed)));
    let mut client = Ours::new(Transport::new(pair.client, now, random(seed + 1)));
    server
        .transport
        .connect(to_server, now)
        .expect("it connects");
    client
        .transport
        .connect(to_client, now)
        .expect("it connects");
    World::new(server, client, client_address(), now, seed)
}

fn nowhere(last: u8) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, last], 9))
}

#[test]
fn nothing_is_tried_before_a_candidate_comes_and_the_first_good_one_connects() {
    for seed in 1..=5 {
        let mut world = strangers(seed);
        world.run_for(Duration::from_secs(3));
        for side in [&world.a, &world.b] {
            assert_eq!(side.transport.stats().counters.stun_requests_sent, 0);
            assert!(side.transport.ice_report().contains("no pair was seen"));
        }
        // Bad ones first, half a second apart, as a browser's come.
        for last in 1..=3 {
            let now = world.now;
            let added = world
                .b
                .transport
                .add_remote_candidate(&udp(nowhere(last)), now);
            added.expect("room");
            world.run_for(Duration::from_millis(500));
        }
        assert!(world.b.transport.stats().counters.stun_requests_sent >= 3);
        assert!(!both_writable(&mut world));
        // Only the server is named to the client: the client's own address the server learns by its check.
        let now = world.now;
        let added = world
            .b
            .transport
            .add_remote_candidate(&udp(server_address()), now);
        added.expect("room");
        let connected = world.run_until(Duration::from_secs(3), both_writable);
        assert!(connected, "seed {seed}: {}", world.b.transport.ice_report());
        exchange_media(&mut world, seed);
        let report = world.b.transport.ice_report();
        assert!(report.contains("4 remote candidates"), "{report}");
        for last in 1..=3 {
            let tried = format!("{}: checks sent", nowhere(last));
            assert!(report.contains(&tried), "{report}");
        }
    }
}

#[test]
fn each_side_may_be_the_one_that_hears_of_the_other_late() {
    for (seed, of_server) in [(1, true), (2, false)] {
        let mut world = strangers(seed);
        world.run_for(Duration::from_secs(20));
        let now = world.now;
        let added = if of_server {
            world
                .a
                .transport
                .add_remote_candidate(&udp(client_address()), now)
        } else {
            world
                .b
                .transport
                .add_remote_candidate(&udp(server_address()), now)
        };
        added.expect("room");
        assert!(world.run_until(Duration::from_secs(3), both_writable));
        exchange_media(&mut world, seed);
    }
}

#[test]
fn a_better_candidate_that_comes_late_takes_over_from_tcp() {
    let mut world = strangers(3);
    let tcp = Candidate::host(Protocol::Tcp, server_address(), 65_535);
    let own = Candidate {
        tcp_type: Some(TcpType::Active),
        ..Candidate::host(Protocol::Tcp, client_address(), 65_535)
    };
    let now = world.now;
    // Both sides find their TCP candidates late too.
    world
        .a
        .transport
        .add_local_candidate(tcp.clone(), now)
        .expect("room");
    world
        .b
        .transport
        .add_local_candidate(own, now)
        .expect("room");
    world
        .b
        .transport
        .add_remote_candidate(&tcp, now)
        .expect("room");
    assert!(world.run_until(Duration::from_secs(3), both_writable));
    let by = |world: &World<Ours, Ours>| {
        [&world.a, &world.b].map(|side| side.transport.selected().map(|tuple| tuple.protocol))
    };
    assert_eq!(by(&world), [Some(Protocol::Tcp); 2]);
    exchange_media(&mut world, 3);
    let now = world.now;
    world
        .b
        .transport
        .add_remote_candidate(&udp(server_address()), now)
        .expect("room");
    let moved = world.run_until(Duration::from_secs(5), |world| {
        by(world) == [Some(Protocol::Udp); 2]
    });
    assert!(
        moved,
        "{} {}",
        world.a.transport.ice_report(),
        world.b.transport.ice_report()
    );
    exchange_media(&mut world, 4);
}

#[test]
fn a_late_local_candidate_is_paired_with_what_is_known() {
    let now = support::epoch();
    let mut pair = Pair::full(4);
    pair.client.candidates.clear();
    let to_client = remote(&pair.server, false, pair.client_role);
    let mut to_server = remote(&pair.client, false, pair.server_role);
    to_server.candidates.clear();
    let random = |seed| Box::new(SeededRandom::new(seed));
    let mut server = Ours::new(Transport::new(pair.server, now, random(4)));
    let mut client = Ours::new(Transport::new(pair.client, now, random(5)));
    server
        .transport
        .connect(to_server, now)
        .expect("it connects");
    client
        .transport
        .connect(to_client, now)
        .expect("it connects");
    let mut world = World::new(server, client, client_address(), now, 4);
    world.run_for(Duration::from_secs(2));
    assert_eq!(
        world.b.transport.stats().counters.stun_requests_sent,
        0,
        "it has nowhere to send from"
    );
    let now = world.now;
    let unusable = world
        .b
        .transport
        .add_local_candidate(udp(SocketAddr::from(([0, 0, 0, 0], 1))), now);
    assert!(matches!(unusable, Err(TransportError::UnusableCandidate)));
    world
        .b
        .transport
        .add_local_candidate(udp(client_address()), now)
        .expect("room");
    assert!(world.run_until(Duration::from_secs(3), both_writable));
    exchange_media(&mut world, 4);
}

/// When, after its last candidate came, a transport whose peer is nowhere ends, and how.
fn end_of_the_lost(says_so: bool) -> (Duration, CloseReason, String) {
    let mut world = strangers(5);
    let begun = world.now;
    for last in 1..=2 {
        let now = world.now;
        let added = world
            .b
            .transport
            .add_remote_candidate(&udp(nowhere(last)), now);
        added.expect("room");
    }
    if says_so {
        let now = world.now;
        world.b.transport.end_of_candidates(now).expect("open");
    }
    assert!(world.run_until(Duration::from_mins(1), |world| world.b.closed().is_some()));
    let failed = TransportEvent::IceState(IceState::Failed);
    assert!(world.b.events.contains(&failed), "{:?}", world.b.events);
    let (reason, detail) = world.b.closed().expect("closed");
    (world.now - begun, reason, detail)
}

#[test]
fn who_hears_that_no_more_candidates_come_ends_when_all_have_failed() {
    let (after, reason, detail) = end_of_the_lost(true);
    assert!(after < Duration::from_secs(25), "{after:?}");
    assert_eq!(reason, CloseReason::IceTimeout);
    assert!(
        detail.starts_with("no pair is left to try; ICE full"),
        "{detail}"
    );
    assert!(detail.contains("no more come"), "{detail}");
    for last in 1..=2 {
        assert!(detail.contains(&nowhere(last).to_string()), "{detail}");
    }
    // Without that word another one may still come, until the time for all of it is over.
    let (after, reason, detail) = end_of_the_lost(false);
    assert_eq!(
        (after, reason),
        (Duration::from_secs(30), CloseReason::IceTimeout)
    );
    assert!(detail.starts_with("not connected in 30 s"), "{detail}");
}

#[test]
fn the_end_of_candidates_ends_nothing_while_something_may_work() {
    // Who has named no address at all may yet be heard.
    let mut world = strangers(6);
    for side in [&mut world.a, &mut world.b] {
        side.transport.end_of_candidates(world.now).expect("open");
    }
    world.run_for(Duration::from_secs(25));
    let now = world.now;
    let added = world
        .b
        .transport
        .add_remote_candidate(&udp(server_address()), now);
    added.expect("a candidate after the last is no harm");
    assert!(world.run_until(Duration::from_secs(3), both_writable));
    exchange_media(&mut world, 6);
    // A connected peer that goes silent has the time it always has, and the restart that follows may name others.
    let (server, client) = (credentials(60), credentials(61));
    let now = world.now;
    for (side, own, theirs) in [
        (&mut world.a, &server, &client),
        (&mut world.b, &client, &server),
    ] {
        side.transport.end_of_candidates(now).expect("open");
        side.transport.restart_ice(own.clone(), now).expect("open");
        side.transport
            .set_remote_ice(theirs.clone(), now)
            .expect("open");
    }
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.b.closed(), None);
    let now = world.now;
    let added = world
        .b
        .transport
        .add_remote_candidate(&udp(server_address()), now);
    added.expect("room");
    let used = world.run_until(Duration::from_secs(3), |world| {
        let retired =
            |event: &TransportEvent| matches!(event, TransportEvent::CredentialsRetired { .. });
        world.a.events.iter().any(retired) && world.b.events.iter().any(retired)
    });
    assert!(used, "{:?} {:?}", world.a.events, world.b.events);
    exchange_media(&mut world, 7);
}

#[test]
fn the_number_of_candidates_is_bounded_and_counted() {
    let mut world = strangers(7);
    let limit = roomtone_webrtc::TransportLimits::default().remote_candidates;
    let mut refused = 0;
    for index in 0..limit + 10 {
        let now = world.now;
        let address = SocketAddr::from(([203, 0, 113, 1], 1000 + index as u16));
        match world.b.transport.add_remote_candidate(&udp(address), now) {
            Ok(()) => {}
            Err(TransportError::TooManyCandidates) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(refused, 10);
    assert_eq!(
        world.b.transport.stats().counters.candidates_refused,
        refused
    );
}
