//! What does not get through by UDP goes by TCP: from the start, or when the answers by UDP stop.

mod support;

use std::time::Duration;

use roomtone_webrtc::{CloseReason, IceState, Protocol, TransportEvent};
use support::{Ours, Pair, World, both_writable, exchange_media};

fn pair(lite: bool, seed: u64) -> Pair {
    let pair = if lite {
        Pair::lite(seed)
    } else {
        Pair::full(seed)
    };
    pair.with_tcp()
}

fn both_send_by(world: &World<Ours, Ours>, protocol: Protocol) -> bool {
    [&world.a, &world.b].into_iter().all(|side| {
        side.transport
            .selected()
            .is_some_and(|tuple| tuple.protocol == protocol)
    })
}

/// What the report of a side says of its one pair by that protocol.
fn told_of(side: &Ours, protocol: &str) -> String {
    let report = side.transport.ice_report();
    let start = report
        .find(&format!("{protocol} "))
        .unwrap_or_else(|| panic!("nothing of {protocol} in {report}"));
    let rest = &report[start..];
    rest.split("; ").next().unwrap_or(rest).to_owned()
}

#[test]
fn where_udp_never_answers_the_connection_is_by_tcp() {
    for lite in [true, false] {
        for seed in 1..=5 {
            let mut world = pair(lite, seed).connect(seed);
            world.udp_is_cut = true;
            let connected = world.run_until(Duration::from_secs(5), both_writable);
            assert!(
                connected,
                "lite {lite} seed {seed}: {}",
                world.b.transport.ice_report()
            );
            assert!(both_send_by(&world, Protocol::Tcp), "lite {lite}");
            exchange_media(&mut world, seed);
            // Who asked by UDP says that, and that nobody answered.
            let udp = told_of(&world.b, "udp");
            assert!(
                udp.contains("answered 0") && !udp.contains("sent 0 "),
                "{udp}"
            );
            let tcp = told_of(&world.b, "tcp");
            assert!(
                tcp.contains("selected") && !tcp.contains("answered 0"),
                "{tcp}"
            );
            // It is no passing state: ten minutes later it is as it was.
            world.run_for(Duration::from_mins(10));
            exchange_media(&mut world, seed + 1);
            assert!(both_send_by(&world, Protocol::Tcp), "lite {lite}");
        }
    }
}

#[test]
fn where_both_work_the_connection_is_by_udp() {
    for lite in [true, false] {
        let mut world = pair(lite, 6).connect(6);
        assert!(world.run_until(Duration::from_secs(5), both_writable));
        world.run_for(Duration::from_secs(5));
        assert!(both_send_by(&world, Protocol::Udp), "lite {lite}");
        exchange_media(&mut world, 6);
    }
}

#[test]
fn where_udp_stops_answering_media_goes_on_by_tcp() {
    for lite in [true, false] {
        for seed in 11..=15 {
            let mut world = pair(lite, seed).connect(seed);
            assert!(world.run_until(Duration::from_secs(5), both_writable));
            world.run_for(Duration::from_secs(seed));
            assert!(both_send_by(&world, Protocol::Udp), "lite {lite}");
            exchange_media(&mut world, seed);

            world.udp_is_cut = true;
            let cut = world.now;
            let moved = world.run_until(Duration::from_mins(1), |world| {
                both_send_by(world, Protocol::Tcp)
            });
            let after = world.now - cut;
            assert!(
                moved && after <= Duration::from_secs(15),
                "lite {lite} seed {seed}: {after:?}; {}; {}",
                world.a.transport.ice_report(),
                world.b.transport.ice_report()
            );
            exchange_media(&mut world, seed + 1);
            for side in [&world.a, &world.b] {
                let udp = told_of(side, "udp");
                assert!(
                    udp.contains("left when it fell silent"),
                    "lite {lite}: {udp}"
                );
                assert!(told_of(side, "tcp").contains("selected"));
                let stats = side.transport.stats();
                assert_eq!(stats.counters.pair_changes, 1, "lite {lite}");
                // The peer was heard all the time: it is connected by another way, not gone.
                assert_eq!(stats.ice_state, IceState::Connected);
                let lost = TransportEvent::IceState(IceState::Disconnected);
                assert!(!side.events.contains(&lost), "{:?}", side.events);
            }
            world.run_for(Duration::from_mins(10));
            exchange_media(&mut world, seed + 2);
        }
    }
}

#[test]
fn where_nothing_answers_the_end_says_what_was_tried() {
    for lite in [true, false] {
        let mut world = pair(lite, 21).connect(21);
        world.weather.loss = 1000;
        world.run_for(Duration::from_secs(31));
        let (reason, detail) = world.b.closed().expect("closed");
        assert_eq!(reason, CloseReason::IceTimeout, "{detail}");
        for protocol in ["udp", "tcp"] {
            let told = told_of(&world.b, protocol);
            assert!(
                told.contains("answered 0") && !told.contains("sent 0 "),
                "{told}"
            );
            assert!(detail.contains(&told), "{detail}");
        }
    }
}
