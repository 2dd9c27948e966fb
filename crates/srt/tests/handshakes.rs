//! Handshakes that succeed, fail and are lost, in virtual time.

mod sim;

use roomtone_netem::{Link, LinkConfig};
use roomtone_srt::{
    Acceptance, CloseReason, ConnectionConfig, DialConfig, DialEvent, Dialer, Listener,
    ListenerConfig, ListenerEvent, MAX_DATAGRAM, Passphrase, RejectReason,
};
use sim::{World, address, assert_whole, delivered, origin, payload};
use std::time::Duration;

fn phrase(text: &str) -> Option<Passphrase> {
    let phrase = Passphrase::new(text);
    assert!(phrase.is_ok());
    phrase.ok()
}

fn dial(passphrase: Option<Passphrase>) -> DialConfig {
    DialConfig {
        stream_id: "#!::r=stage,m=publish".into(),
        passphrase,
        ..DialConfig::default()
    }
}

fn accept(passphrase: Option<Passphrase>) -> Acceptance {
    Acceptance {
        passphrase,
        ..Acceptance::default()
    }
}

fn world(dialed: Option<Passphrase>, accepted: Option<Passphrase>) -> World {
    World::new(dial(dialed), accept(accepted), &LinkConfig::default(), 1)
}

#[test]
fn the_stream_id_and_the_version_are_shown_before_the_decision() {
    let mut world = world(None, None);
    world.connect();
    let request = &world.requests[0];
    assert_eq!(request.stream_id, "#!::r=stage,m=publish");
    assert_eq!(request.remote, address(5000));
    assert_eq!(request.peer_version, 0x0001_0504);
}

#[test]
fn passphrases_must_be_the_same_or_none() {
    for (dialed, accepted, reason) in [
        (
            phrase("a first phrase"),
            phrase("a second phrase"),
            RejectReason::BadSecret,
        ),
        (None, phrase("a second phrase"), RejectReason::Unsecure),
        (phrase("a first phrase"), None, RejectReason::Unsecure),
    ] {
        let mut world = world(dialed, accepted);
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.dial_events, [DialEvent::Refused(reason)]);
        assert_eq!(world.accepted, Some(Err(reason)));
        assert_eq!(world.listener.connections(), 0);
        assert_eq!(world.listener.stats().rejected, 1);
    }
}

#[test]
fn a_refusal_carries_its_reason() {
    for reason in [
        RejectReason::Forbidden,
        RejectReason::NotFound,
        RejectReason::Conflict,
    ] {
        let mut world = world(None, None);
        world.decision = Err(reason);
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.dial_events, [DialEvent::Refused(reason)]);
    }
}

#[test]
fn lost_handshakes_are_sent_again_and_answered_again() {
    let line = LinkConfig {
        loss: 0.4,
        delay: Duration::from_millis(10),
        ..LinkConfig::default()
    };
    let mut repeated = 0;
    for seed in 1..30 {
        let mut config = dial(phrase("a first phrase"));
        config.timeout = Duration::from_secs(30);
        let mut world = World::new(config, accept(phrase("a first phrase")), &line, seed);
        let mut left = 3000;
        while world.dial_events.is_empty() && left > 0 {
            world.run_for(Duration::from_millis(10));
            left -= 1;
        }
        assert!(matches!(world.dial_events[0], DialEvent::Connected { .. }));
        repeated += world.listener.stats().repeated;
        assert_eq!(world.listener.stats().accepted, 1);
    }
    assert!(repeated > 5, "{repeated} answered again");
}

#[test]
fn nobody_there_is_a_timeout() {
    let line = LinkConfig {
        loss: 1.0,
        ..LinkConfig::default()
    };
    let mut world = World::new(dial(None), accept(None), &line, 1);
    world.run_for(Duration::from_millis(2990));
    assert_eq!(world.dial_events, []);
    world.run_for(Duration::from_millis(20));
    assert_eq!(
        world.dial_events,
        [DialEvent::Refused(RejectReason::Timeout)]
    );
}

#[test]
fn a_goodbye_ends_the_other_side_once_everything_is_delivered() {
    let mut world = world(None, None);
    world.connect();
    for number in 0..10 {
        let made = world.elapsed();
        world
            .dialer
            .send(&payload(number, made), world.now)
            .expect("room");
    }
    world.run_for(Duration::from_millis(20));
    world.dialer.close();
    world.run_for(Duration::from_millis(20));
    assert_eq!(
        world.dial_events.last(),
        Some(&DialEvent::Closed(CloseReason::Local))
    );
    assert_eq!(world.listen_events, []);
    world.run_for(Duration::from_millis(200));
    assert_whole(&world.came_up, 10);
    assert!(matches!(
        world.listen_events.as_slice(),
        [ListenerEvent::Closed {
            reason: CloseReason::Peer,
            ..
        }]
    ));
    assert_eq!(world.listener.connections(), 0);
}

#[test]
fn silence_ends_a_connection_and_signs_of_life_keep_it() {
    let mut world = world(None, None);
    world.connect();
    world.run_for(Duration::from_mins(1));
    assert_eq!(world.listener.connections(), 1);
    let dead = LinkConfig {
        loss: 1.0,
        ..LinkConfig::default()
    };
    world.up.set_config(world.now, dead).expect("a link");
    world.run_for(Duration::from_secs(3));
    let connection = world.accepted.expect("a decision").expect("a connection");
    let silence = world.listener.silence(connection, world.now);
    let silence = silence.expect("still open").as_secs_f64();
    assert!((3.0..=4.0).contains(&silence), "{silence} s");
    world.run_for(Duration::from_secs(4));
    assert!(matches!(
        world.listen_events.as_slice(),
        [ListenerEvent::Closed {
            reason: CloseReason::Idle,
            ..
        }]
    ));
    // It says so, in case it was heard after all.
    assert_eq!(
        world.dial_events.last(),
        Some(&DialEvent::Closed(CloseReason::Peer))
    );
}

/// What a listener answers to one datagram: the type of its first answer and the type field of the handshake.
fn answers(listener: &mut Listener, datagram: &[u8], at: Duration) -> Vec<(u16, u32)> {
    let now = origin() + at;
    let mut datagram = datagram.to_vec();
    listener.handle_datagram(address(6000), &mut datagram, now);
    let mut out = [0; MAX_DATAGRAM];
    let mut found = Vec::new();
    while let Some(transmit) = listener.poll_transmit(now, &mut out) {
        let kind = u16::from_be_bytes([out[0] & 0x7f, out[1]]);
        let phase = u32::from_be_bytes(out[36..40].try_into().expect("four bytes"));
        found.push((kind, if transmit.len >= 64 { phase } else { 0 }));
    }
    found
}

/// A handshake: version, type, cookie, and extensions behind it.
fn handshake(version: u32, phase: u32, cookie: u32, extensions: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    for word in [version, 0, 7, 1500, 8192, phase, 42, cookie, 0, 0, 0, 0] {
        out.extend_from_slice(&u32::to_be_bytes(word));
    }
    out.extend_from_slice(extensions);
    out
}

const CONCLUSION: u32 = 0xffff_ffff;

/// A listener, and the cookie that it gave.
fn induced() -> (Listener, u32) {
    let now = origin();
    let mut listener = Listener::new(ListenerConfig::default(), &[3; 32], now);
    let mut datagram = handshake(4, 1, 0, &[]);
    listener.handle_datagram(address(6000), &mut datagram, now);
    let mut out = [0; MAX_DATAGRAM];
    listener.poll_transmit(now, &mut out).expect("an answer");
    // Version 5 and the magic number.
    assert_eq!(out[16..24], [0, 0, 0, 5, 0, 0, 0x4a, 0x17]);
    let cookie = u32::from_be_bytes(out[44..48].try_into().expect("four bytes"));
    (listener, cookie)
}

#[test]
fn version_4_is_refused_in_words_that_it_understands() {
    let (mut listener, cookie) = induced();
    let found = answers(
        &mut listener,
        &handshake(4, CONCLUSION, cookie, &[]),
        Duration::ZERO,
    );
    // A refusal with 1000 + 8, and a goodbye.
    assert_eq!(found, [(0, 1008), (5, 0)]);
    assert_eq!(listener.stats().too_old, 1);
}

#[test]
fn a_cookie_that_was_not_given_is_not_answered() {
    let (mut listener, cookie) = induced();
    let wrong = handshake(5, CONCLUSION, cookie ^ 1, &[]);
    assert_eq!(answers(&mut listener, &wrong, Duration::ZERO), []);
    let right = handshake(5, CONCLUSION, cookie, &[]);
    assert_eq!(answers(&mut listener, &right, Duration::from_mins(3)), []);
    assert_eq!(listener.stats().bad_cookies, 2);
    assert!(listener.poll_request().is_none());
}

#[test]
fn what_is_not_supported_is_refused_with_its_code() {
    let hs = |version: [u8; 4], flags: u8| {
        let mut out = vec![0, 1, 0, 3];
        out.extend_from_slice(&version);
        out.extend_from_slice(&[0, 0, 0, flags, 0, 120, 0, 0]);
        out
    };
    let new = [0, 1, 5, 1];
    let with = |more: &[u8]| [hs(new, 0xbf), more.to_vec()].concat();
    for (extensions, code) in [
        (with(&[0, 6, 0, 1, b'e', b'l', b'i', b'f']), 1013),
        (with(&[0, 7, 0, 1, 0, b'c', b'e', b'f']), 1014),
        (with(&[0, 8, 0, 2, 0, 0, 0, 1, 1, 0, 0, 0]), 1015),
        (hs(new, 0xff), 1012),
        (hs([0, 1, 2, 0], 0xbf), 1008),
        (with(&[0, 5, 0, 9]), 1004),
        (Vec::new(), 1004),
        (with(&[0, 3, 0, 1, 0, 0, 0, 0]), 1011),
    ] {
        let (mut listener, cookie) = induced();
        let datagram = handshake(5, CONCLUSION, cookie, &extensions);
        let mut found = answers(&mut listener, &datagram, Duration::ZERO);
        if let Some(request) = listener.poll_request() {
            // Only of encryption does the driver know more than the listener.
            assert_eq!(code, 1011);
            let reason = listener.accept(request.id, accept(None), origin());
            assert_eq!(reason, Err(RejectReason::Unsecure));
            found = answers(&mut listener, &[], Duration::ZERO);
        }
        assert_eq!(found, [(0, code)], "{extensions:?}");
    }
}

#[test]
fn requests_and_connections_have_their_limits() {
    let now = origin();
    let config = ListenerConfig {
        max_connections: 1,
        max_requests: 1,
    };
    let mut listener = Listener::new(config, &[4; 32], now);
    let mut dialers: Vec<Dialer> = (0..3)
        .map(|n| Dialer::call(address(8890), dial(None), &[n; 32], now).expect("a dialer"))
        .collect();
    let mut out = [0; MAX_DATAGRAM];
    let mut exchange = |listener: &mut Listener, dialers: &mut [Dialer]| {
        for _ in 0..4 {
            for (port, dialer) in (7000..).zip(dialers.iter_mut()) {
                while let Some(len) = dialer.poll_transmit(now, &mut out) {
                    listener.handle_datagram(address(port), &mut out[..len], now);
                }
            }
            while let Some(transmit) = listener.poll_transmit(now, &mut out) {
                let at = usize::from(transmit.to.port() - 7000);
                dialers[at].handle_datagram(&mut out[..transmit.len], now);
            }
        }
    };
    exchange(&mut listener, &mut dialers[..2]);
    assert_eq!(
        dialers[1].poll_event(),
        Some(DialEvent::Refused(RejectReason::Backlog))
    );
    let request = listener.poll_request().expect("the first");
    listener
        .accept(request.id, accept(None), now)
        .expect("a connection");
    exchange(&mut listener, &mut dialers);
    assert!(matches!(
        dialers[0].poll_event(),
        Some(DialEvent::Connected { .. })
    ));
    assert_eq!(
        dialers[2].poll_event(),
        Some(DialEvent::Refused(RejectReason::Overload))
    );
    let stats = listener.stats();
    assert_eq!((stats.backlog, stats.overload, stats.accepted), (1, 1, 1));
}

#[test]
fn a_request_nobody_decides_on_is_refused_in_time() {
    let (mut listener, cookie) = induced();
    let now = origin();
    let datagram = handshake(
        5,
        CONCLUSION,
        cookie,
        &[0, 1, 0, 3, 0, 1, 5, 1, 0, 0, 0, 0xbf, 0, 0, 0, 0],
    );
    assert_eq!(answers(&mut listener, &datagram, Duration::ZERO), []);
    // Heard again while it waits.
    assert_eq!(answers(&mut listener, &datagram, Duration::ZERO), []);
    let request = listener.poll_request().expect("a request");
    assert!(listener.poll_request().is_none());
    listener.handle_timeout(now + Duration::from_secs(4));
    assert_eq!(
        answers(&mut listener, &[], Duration::from_secs(4)),
        [(0, 1016)]
    );
    assert_eq!(
        listener.accept(request.id, accept(None), now),
        Err(RejectReason::Timeout)
    );
}

#[test]
fn a_listener_that_goes_says_so_to_everybody() {
    let mut world = world(None, None);
    world.connect();
    world.listener.close_all();
    world.run_for(Duration::from_millis(10));
    assert_eq!(
        world.dial_events.last(),
        Some(&DialEvent::Closed(CloseReason::Peer))
    );
    assert_eq!(world.listener.connections(), 0);
    world.dial_events.clear();
    world.dialer = Dialer::call(address(8890), dial(None), &[5; 32], world.now).expect("a dialer");
    world.run_for(Duration::from_millis(600));
    assert_eq!(world.dial_events, [DialEvent::Refused(RejectReason::Close)]);
}

#[test]
fn two_sides_of_a_rendezvous_find_each_other() {
    let now = origin();
    let line = LinkConfig {
        loss: 0.2,
        delay: Duration::from_millis(15),
        ..LinkConfig::default()
    };
    for seed in 0..40_u8 {
        let config = || DialConfig {
            passphrase: phrase("a first phrase").filter(|_| seed % 2 == 0),
            timeout: Duration::from_secs(20),
            connection: ConnectionConfig {
                latency: Duration::from_millis(1500),
                ..ConnectionConfig::default()
            },
            ..DialConfig::default()
        };
        let side = |port, secret| {
            Dialer::rendezvous(address(port), config(), &[secret; 32], now).expect("a side")
        };
        let mut sides = [side(1, seed), side(2, seed + 100)];
        let mut links = [u64::from(seed), u64::from(seed) + 500]
            .map(|seed| Link::new(line.clone(), seed).expect("a link"));
        let (mut connected, mut came) = ([false; 2], [Vec::new(), Vec::new()]);
        let mut sent = 0;
        let mut out = [0; MAX_DATAGRAM];
        for step in 0..12_000_u32 {
            let elapsed = Duration::from_millis(u64::from(step));
            let now = now + elapsed;
            // The second side comes later.
            let awake = if step < 100 { 1 } else { 2 };
            for at in 0..awake {
                while let Some(mut datagram) = links[1 - at].poll(now) {
                    sides[at].handle_datagram(&mut datagram, now);
                }
                sides[at].handle_timeout(now);
                while let Some(event) = sides[at].poll_event() {
                    assert!(matches!(event, DialEvent::Connected { .. }), "{event:?}");
                    connected[at] = true;
                }
                while let Some(message) = sides[at].poll_message(now) {
                    came[at].push(delivered(message.payload, message.lost_before, elapsed));
                }
                while let Some(len) = sides[at].poll_transmit(now, &mut out) {
                    links[at].send(now, out[..len].to_vec());
                }
            }
            if connected == [true; 2] && sent < 100 {
                for side in &mut sides {
                    side.send(&payload(sent, elapsed), now).expect("room");
                }
                sent += 1;
            }
        }
        assert_eq!(connected, [true; 2], "seed {seed}");
        assert_whole(&came[0], 100);
        assert_whole(&came[1], 100);
    }
}
