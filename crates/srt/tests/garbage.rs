//! Whatever datagrams come, nothing breaks, nothing grows past its limit, and nobody gets in without a cookie.

mod sim;

use proptest::prelude::*;
use roomtone_netem::LinkConfig;
use roomtone_srt::{Acceptance, ConnectionConfig, DialConfig, MAX_DATAGRAM, Passphrase};
use sim::{World, address, payload};
use std::time::Duration;

const WINDOW: u32 = 64;

fn connected(encrypted: bool) -> (World, [u8; 4]) {
    let passphrase =
        encrypted.then(|| Passphrase::new("a phrase of some length").expect("long enough"));
    let connection = ConnectionConfig {
        receive_window: WINDOW,
        send_window: WINDOW,
        ..ConnectionConfig::default()
    };
    let dial = DialConfig {
        passphrase: passphrase.clone(),
        connection,
        ..DialConfig::default()
    };
    let acceptance = Acceptance {
        passphrase,
        config: connection,
    };
    let mut world = World::new(dial, acceptance, &LinkConfig::default(), 1);
    world.connect();
    // The number of the listener's socket stands in what the dialer sends.
    let made = world.elapsed();
    world
        .dialer
        .send(&payload(0, made), world.now)
        .expect("room");
    let mut out = [0; MAX_DATAGRAM];
    let len = world
        .dialer
        .poll_transmit(world.now, &mut out)
        .expect("a packet");
    world
        .listener
        .handle_datagram(address(5000), &mut out[..len].to_vec(), world.now);
    (world, out[12..16].try_into().expect("four bytes"))
}

/// A datagram for the connection whose first sixteen bytes are drawn from what is near to sense.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![
        Just([0x80, 0]),
        Just([0x80, 1]),
        Just([0x80, 2]),
        Just([0x80, 3]),
        Just([0x80, 5]),
        Just([0x80, 6]),
        Just([0x80, 7]),
        Just([0xff, 0xff]),
        any::<[u8; 2]>(),
    ];
    let tail = prop_oneof![Just([0_u8, 3]), Just([0, 4]), any::<[u8; 2]>()];
    (
        kind,
        tail,
        any::<[u8; 8]>(),
        prop::collection::vec(any::<u8>(), 0..80),
    )
        .prop_map(|(kind, tail, rest, body)| {
            let mut out = kind.to_vec();
            out.extend_from_slice(&tail);
            out.extend_from_slice(&rest);
            out.extend_from_slice(&[0; 4]);
            out.extend_from_slice(&body);
            out
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn an_open_connection_takes_whatever_comes(
        encrypted: bool,
        datagrams in prop::collection::vec((datagram(), 0..40_u64), 1..60),
    ) {
        let (mut world, socket) = connected(encrypted);
        let mut out = [0; MAX_DATAGRAM];
        for (mut datagram, wait) in datagrams {
            datagram[12..16].copy_from_slice(&socket);
            world.now += Duration::from_millis(wait);
            world.listener.handle_datagram(address(5000), &mut datagram, world.now);
            // The same from somebody else is not taken.
            world.listener.handle_datagram(address(5001), &mut datagram, world.now);
            world.listener.handle_timeout(world.now);
            while world.listener.poll_message(world.now).is_some() {}
            let mut sent = 0;
            while world.listener.poll_transmit(world.now, &mut out).is_some() {
                sent += 1;
            }
            prop_assert!(sent < 200, "{} answers to one datagram", sent);
            while world.listener.poll_event().is_some() {}
            if let Some(Ok(connection)) = world.accepted
                && let Some(stats) = world.listener.connection_stats(connection)
            {
                prop_assert!(stats.waiting + stats.missing <= WINDOW as usize);
                let _ = world.listener.send(connection, &[1; 100], world.now);
            }
        }
    }

    #[test]
    fn without_a_cookie_nobody_gets_in(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..20),
    ) {
        let (mut world, _) = connected(false);
        for (at, mut datagram) in datagrams.into_iter().enumerate() {
            if datagram.len() >= 16 && at % 2 == 0 {
                // A handshake.
                datagram[..4].copy_from_slice(&[0x80, 0, 0, 0]);
                datagram[12..16].copy_from_slice(&[0; 4]);
            }
            world.listener.handle_datagram(address(6000), &mut datagram, world.now);
            prop_assert!(world.listener.poll_request().is_none());
            prop_assert_eq!(world.listener.connections(), 1);
        }
    }
}
