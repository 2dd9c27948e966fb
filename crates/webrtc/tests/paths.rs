//! Paths that change under a running connection: rebinding, restarts, ends, roles.

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use roomtone_webrtc::stun::{IntegrityKey, StunClass, StunWriter};
use roomtone_webrtc::{
    CloseReason, FiveTuple, IceState, Protocol, SeededRandom, Transport, TransportEvent,
};
use support::{
    Pair, both_writable, client_address, credentials, exchange_media, server_address, udp,
};

fn retired(events: &[TransportEvent], ufrag: &str) -> bool {
    events.contains(&TransportEvent::CredentialsRetired {
        ufrag: ufrag.to_owned(),
    })
}

#[test]
fn a_peer_behind_a_rebinding_nat_is_followed() {
    for lite in [true, false] {
        let pair = if lite { Pair::lite(1) } else { Pair::full(1) };
        let mut world = pair.connect(1);
        assert!(world.run_until(Duration::from_secs(5), both_writable));
        exchange_media(&mut world, 1);
        let outer: SocketAddr = "203.0.113.44:1234".parse().expect("an address");
        world.nat = Some(outer);
        let moved = world.run_until(Duration::from_secs(25), |world| {
            world
                .a
                .transport
                .selected()
                .is_some_and(|tuple| tuple.remote == outer)
        });
        assert!(
            moved,
            "lite {lite}: {:?} {}",
            world.a.events,
            world.a.transport.ice_report()
        );
        assert_eq!(world.a.closed(), None);
        world.run_for(Duration::from_mins(1));
        assert!(world.b.closed().is_none(), "{:?}", world.b.closed());
        assert!(world.a.closed().is_none(), "{:?}", world.a.closed());
    }
}

#[test]
fn an_ice_restart_keeps_media_flowing_and_ends_on_the_new_credentials() {
    for lite in [true, false] {
        let pair = if lite { Pair::lite(2) } else { Pair::full(2) };
        let mut world = pair.connect(2);
        assert!(world.run_until(Duration::from_secs(5), both_writable));
        exchange_media(&mut world, 2);
        let (server, client) = (credentials(50), credentials(60));
        let (old_server, old_client) = (
            world.a.transport.local_ufrag().to_owned(),
            world.b.transport.local_ufrag().to_owned(),
        );
        let now = world.now;
        world
            .a
            .transport
            .restart_ice(server.clone(), now)
            .expect("open");
        world
            .b
            .transport
            .restart_ice(client.clone(), now)
            .expect("open");
        // Signalling takes its time; the old path carries media meanwhile.
        exchange_media(&mut world, 3);
        let now = world.now;
        world.a.transport.set_remote_ice(client, now).expect("open");
        world.b.transport.set_remote_ice(server, now).expect("open");
        world
            .a
            .transport
            .add_remote_candidate(&udp(client_address()), now)
            .expect("open");
        world
            .b
            .transport
            .add_remote_candidate(&udp(server_address()), now)
            .expect("open");
        let done = world.run_until(Duration::from_secs(10), |world| {
            retired(&world.a.events, &old_server) && retired(&world.b.events, &old_client)
        });
        assert!(
            done,
            "lite {lite}: {:?} {:?}",
            world.a.events, world.b.events
        );
        exchange_media(&mut world, 4);
        world.run_for(Duration::from_mins(1));
        assert!(world.a.transport.is_writable() && world.b.transport.is_writable());
    }
}

/// How long after everything is lost the server's transport says that it has ended, and why.
fn end_of_the_killed(lite: bool, alive: Duration) -> (Duration, CloseReason, String) {
    let pair = if lite { Pair::lite(3) } else { Pair::full(3) };
    let mut world = pair.connect(3);
    world.run_for(alive);
    let killed = world.now;
    world.weather.loss = 1000;
    let gone = world.run_until(Duration::from_mins(2), |world| world.a.closed().is_some());
    assert!(gone, "lite {lite}, alive {alive:?}: {:?}", world.a.events);
    let (reason, detail) = world.a.closed().expect("closed");
    (world.now - killed, reason, detail)
}

#[test]
fn a_peer_killed_hard_is_gone_within_thirty_seconds_whenever_it_is_killed() {
    for lite in [true, false] {
        // In every state of the handshake.
        for alive_ms in (0..300).step_by(10) {
            let alive = Duration::from_millis(alive_ms);
            let (after, reason, detail) = end_of_the_killed(lite, alive);
            assert!(
                after <= Duration::from_secs(30),
                "lite {lite}, alive {alive:?}: {after:?} {reason} {detail}"
            );
        }
        // Connected: what control has to do still fits into the thirty seconds.
        for alive in [1_000, 2_345, 61_007, 600_000].map(Duration::from_millis) {
            let (after, reason, detail) = end_of_the_killed(lite, alive);
            assert!(
                after <= Duration::from_secs(26),
                "lite {lite}, alive {alive:?}: {after:?} {detail}"
            );
            assert_eq!(reason, CloseReason::ConsentExpired, "{detail}");
            assert!(detail.contains("selected"), "{detail}");
        }
    }
}

#[test]
fn an_idle_connection_stays() {
    for lite in [true, false] {
        let pair = if lite { Pair::lite(4) } else { Pair::full(4) };
        let mut world = pair.connect(4);
        assert!(world.run_until(Duration::from_secs(5), both_writable));
        world.run_for(Duration::from_mins(10));
        assert!(
            both_writable(&mut world),
            "{:?} {:?}",
            world.a.closed(),
            world.b.closed()
        );
        assert_eq!(world.a.transport.stats().ice_state, IceState::Connected);
    }
}

#[test]
fn two_full_agents_that_both_want_to_control_settle_it() {
    for seed in 0..10 {
        let mut pair = Pair::full(seed);
        pair.server.controlling = true;
        let mut world = pair.connect(seed);
        assert!(
            world.run_until(Duration::from_secs(10), both_writable),
            "seed {seed}"
        );
        exchange_media(&mut world, seed);
    }
}

#[test]
fn a_trickled_candidate_is_enough_for_the_full_agent() {
    let pair = Pair::full(5);
    let mut to_server = support::remote(&pair.client, false, pair.server_role);
    to_server.candidates.clear();
    let mut world = pair.connect_told(5, to_server);
    // The client finds the server, whose answers need no candidate of it.
    assert!(world.run_until(Duration::from_secs(10), both_writable));
}

#[test]
fn the_full_agent_wants_credentials_and_everybody_a_fingerprint() {
    let now = support::epoch();
    let pair = Pair::full(6);
    let mut told = support::remote(&pair.client, false, pair.server_role);
    told.ice = None;
    let mut transport = Transport::new(pair.server.clone(), now, Box::new(SeededRandom::new(1)));
    assert!(transport.connect(told.clone(), now).is_err());
    told.ice = Some(credentials(9));
    told.fingerprints.clear();
    assert!(transport.connect(told, now).is_err());
    let lite = Pair::lite(6);
    let mut transport = Transport::new(lite.server.clone(), now, Box::new(SeededRandom::new(1)));
    assert!(
        transport
            .connect(support::remote(&lite.client, true, lite.server_role), now)
            .is_err()
    );
}

#[test]
fn the_full_agent_ignores_forged_messages() {
    let mut world = Pair::full(7).connect(7);
    assert!(world.run_until(Duration::from_secs(5), both_writable));
    let selected = world.b.transport.selected();
    let before = world.b.transport.stats().counters.stun_dropped;
    let attacker = FiveTuple {
        protocol: Protocol::Udp,
        local: client_address(),
        remote: "203.0.113.66:6666".parse().expect("an address"),
    };
    let username = format!(
        "{}:{}",
        world.b.transport.local_ufrag(),
        world.a.transport.local_ufrag()
    );
    for class in [StunClass::Request, StunClass::Success, StunClass::Error] {
        let forged = StunWriter::binding(class, &[7; 12])
            .username(&username)
            .priority(u32::MAX)
            .use_candidate()
            .controlling(u64::MAX)
            .integrity(&IntegrityKey::new("guess"))
            .finish();
        world.inject(1, attacker, &forged);
    }
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.b.transport.stats().counters.stun_dropped, before + 3);
    assert_eq!(world.b.transport.selected(), selected);
    assert!(!world.b.transport.ice_report().contains("6666: selected"));
}
