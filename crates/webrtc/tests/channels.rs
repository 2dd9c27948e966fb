//! Data channels between two of our transports: kinds, bounds and ends.

mod support;

use std::time::Duration;

use roomtone_webrtc::{
    ChannelError, ChannelId, ChannelParameters, CloseReason, Reliability, TransportError,
    TransportEvent,
};
use support::{Ours, Pair, Weather, World, both_writable};

fn connect(pair: Pair, seed: u64) -> World<Ours, Ours> {
    let mut world = pair.connect(seed);
    let up = world.run_until(Duration::from_secs(10), |world| {
        both_writable(world)
            && [&world.a, &world.b]
                .iter()
                .all(|side| side.events.contains(&TransportEvent::SctpConnected))
    });
    assert!(up, "{:?} {:?}", world.a.events, world.b.events);
    world
}

fn open(world: &mut World<Ours, Ours>, parameters: ChannelParameters) -> ChannelId {
    let now = world.now;
    let id = world
        .a
        .transport
        .open_channel(parameters, now)
        .expect("it opens");
    let opened = world.run_until(Duration::from_secs(10), |world| {
        is_open(&world.a.events, id, false) && is_open(&world.b.events, id, true)
    });
    assert!(opened, "{:?} {:?}", world.a.events, world.b.events);
    id
}

fn is_open(events: &[TransportEvent], channel: ChannelId, by_peer: bool) -> bool {
    events.iter().any(|event| match event {
        TransportEvent::ChannelOpened { id, inbound, .. } => *id == channel && *inbound == by_peer,
        _ => false,
    })
}

fn messages(side: &Ours) -> Vec<Vec<u8>> {
    let messages = side.events.iter().filter_map(|event| match event {
        TransportEvent::ChannelMessage { data, .. } => Some(data.clone()),
        _ => None,
    });
    messages.collect()
}

const BAD: Weather = Weather {
    loss: 100,
    duplicate: 50,
    jitter: Duration::from_millis(40),
};

#[test]
fn a_reliable_channel_delivers_all_in_order_over_a_bad_network() {
    for seed in 1..=5 {
        let mut world = connect(Pair::lite(seed).with_channels(), seed);
        let id = open(&mut world, ChannelParameters::reliable("log"));
        world.weather = BAD;
        let sent: Vec<Vec<u8>> = (0..200_u32)
            .map(|index| index.to_be_bytes().repeat(50))
            .collect();
        for message in &sent {
            let now = world.now;
            world
                .a
                .transport
                .send_message(id, true, message, now)
                .expect("room");
        }
        let done = world.run_until(Duration::from_mins(2), |world| {
            messages(&world.b).len() == sent.len()
        });
        assert!(done, "seed {seed}: {} arrived", messages(&world.b).len());
        assert_eq!(messages(&world.b), sent, "seed {seed}");
    }
}

#[test]
fn an_unreliable_channel_gives_up_and_goes_on() {
    let mut world = connect(Pair::lite(9).with_channels(), 9);
    let parameters = ChannelParameters {
        ordered: false,
        reliability: Reliability::MaxRetransmits(0),
        ..ChannelParameters::reliable("pings")
    };
    let id = open(&mut world, parameters);
    world.weather = Weather {
        loss: 300,
        ..Weather::default()
    };
    for index in 0..200_u32 {
        let now = world.now;
        world
            .a
            .transport
            .send_message(id, true, &index.to_be_bytes(), now)
            .expect("room");
        world.run_for(Duration::from_millis(20));
    }
    world.weather = Weather::default();
    world.run_for(Duration::from_secs(10));
    let arrived = messages(&world.b).len();
    assert!(
        (80..200).contains(&arrived),
        "{arrived} of 200 arrived at 30 % loss"
    );
    // What was given up does not stand in the way of what follows.
    let now = world.now;
    world
        .a
        .transport
        .send_message(id, true, b"last", now)
        .expect("room");
    world.run_for(Duration::from_secs(5));
    assert_eq!(
        messages(&world.b).last().map(Vec::as_slice),
        Some(&b"last"[..])
    );
}

#[test]
fn a_negotiated_channel_needs_no_opening_message() {
    let mut world = connect(Pair::full(2).with_channels(), 2);
    let parameters = ChannelParameters {
        negotiated: Some(77),
        ..ChannelParameters::reliable("agreed")
    };
    let now = world.now;
    let a = world
        .a
        .transport
        .open_channel(parameters.clone(), now)
        .expect("it opens");
    let b = world
        .b
        .transport
        .open_channel(parameters.clone(), now)
        .expect("it opens");
    assert_eq!((a, b), (ChannelId(77), ChannelId(77)));
    let again = world.a.transport.open_channel(parameters, now);
    assert!(matches!(
        again,
        Err(TransportError::Channel(ChannelError::InUse))
    ));
    world
        .b
        .transport
        .send_message(b, false, b"hello", now)
        .expect("room");
    world.run_for(Duration::from_secs(1));
    assert_eq!(messages(&world.a), vec![b"hello".to_vec()]);
}

#[test]
fn the_send_buffer_is_bounded_and_says_so() {
    let mut pair = Pair::lite(3).with_channels();
    pair.server.limits.channel_send_bytes = 100_000;
    pair.server.max_message_size = 50_000;
    let mut world = connect(pair, 3);
    let id = open(&mut world, ChannelParameters::reliable("x"));
    let now = world.now;
    let too_large = world
        .a
        .transport
        .send_message(id, true, &vec![0; 50_001], now);
    assert!(matches!(
        too_large,
        Err(TransportError::Channel(ChannelError::MessageTooLarge))
    ));
    let mut refused = None;
    for _ in 0..20 {
        if let Err(error) = world
            .a
            .transport
            .send_message(id, true, &vec![0; 20_000], now)
        {
            refused = Some(error);
            break;
        }
    }
    assert!(
        matches!(
            refused,
            Some(TransportError::Channel(ChannelError::BufferFull))
        ),
        "{refused:?}"
    );
    assert!(world.a.transport.buffered_amount(id) <= 120_000);
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.a.transport.buffered_amount(id), 0);
    assert!(
        world
            .a
            .events
            .contains(&TransportEvent::ChannelBufferedLow { id })
    );
}

#[test]
fn a_negotiated_channel_opened_before_the_handshake_gets_the_first_message() {
    let mut pair = Pair::lite(12).with_channels();
    pair.server.limits.channels = 2;
    let mut world = pair.connect(12);
    let now = world.now;
    let agreed = |stream| ChannelParameters {
        negotiated: Some(stream),
        ..ChannelParameters::reliable("agreed")
    };
    for stream in [3, 5] {
        for transport in [&mut world.a.transport, &mut world.b.transport] {
            let id = transport.open_channel(agreed(stream), now);
            assert_eq!(id.expect("it waits"), ChannelId(stream));
        }
    }
    let again = world.a.transport.open_channel(agreed(3), now);
    assert!(matches!(
        again,
        Err(TransportError::Channel(ChannelError::InUse))
    ));
    let third = world.a.transport.open_channel(agreed(7), now);
    assert!(matches!(
        third,
        Err(TransportError::Channel(ChannelError::TooMany))
    ));
    world
        .a
        .transport
        .close_channel(ChannelId(5), now)
        .expect("it waited");
    assert!(world.run_until(Duration::from_secs(10), |world| {
        is_open(&world.a.events, ChannelId(3), false)
            && is_open(&world.b.events, ChannelId(3), false)
    }));
    assert!(!is_open(&world.a.events, ChannelId(5), false));
    let now = world.now;
    world
        .b
        .transport
        .send_message(ChannelId(3), true, b"first", now)
        .expect("room");
    world.run_for(Duration::from_secs(1));
    assert_eq!(messages(&world.a), vec![b"first".to_vec()]);
}

#[test]
fn the_number_of_channels_and_the_length_of_a_label_are_bounded() {
    let mut pair = Pair::lite(4).with_channels();
    pair.server.limits.channels = 3;
    pair.server.limits.channel_label_bytes = 10;
    let mut world = connect(pair, 4);
    let now = world.now;
    // The peer has no such bound.
    for _ in 0..5 {
        world
            .b
            .transport
            .open_channel(ChannelParameters::reliable("ok"), now)
            .expect("it opens");
    }
    world
        .b
        .transport
        .open_channel(ChannelParameters::reliable("far too long"), now)
        .expect("it opens");
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.a.transport.stats().channels, 3);
    assert_eq!(world.a.transport.stats().counters.channels_refused, 3);
    assert_eq!(world.b.transport.stats().channels, 3);
    let now = world.now;
    let refused = world
        .a
        .transport
        .open_channel(ChannelParameters::reliable("ok"), now);
    assert!(matches!(
        refused,
        Err(TransportError::Channel(ChannelError::TooMany))
    ));
}

#[test]
fn messages_wait_in_the_receive_window_while_nobody_takes_events() {
    let mut pair = Pair::lite(5).with_channels();
    pair.client.limits.events = 8;
    pair.client.limits.channel_receive_bytes = 50_000;
    let mut world = connect(pair, 5);
    let id = open(&mut world, ChannelParameters::reliable("flood"));
    // Take datagrams at side 1 without taking its events.
    world.b.hold_events = true;
    for _ in 0..300 {
        let now = world.now;
        let _ = world.a.transport.send_message(id, true, &[7; 1000], now);
        world.run_for(Duration::from_millis(20));
    }
    let received = world.b.transport.stats().counters.messages_received;
    assert!(received <= 8, "{received} messages went past the limit");
    assert!(
        world.a.transport.buffered_amount(id) > 100_000,
        "the window closed"
    );
    world.b.hold_events = false;
    world.b.drain_events();
    let sent = world.a.transport.stats().counters.messages_sent;
    let done = world.run_until(Duration::from_mins(2), |world| {
        world.b.drain_events();
        messages(&world.b).len() as u64 == sent
    });
    assert!(done, "{} of {sent}", messages(&world.b).len());
}

#[test]
fn a_closed_channel_is_closed_on_both_sides_and_its_stream_is_free() {
    let mut world = connect(Pair::full(6).with_channels(), 6);
    for _ in 0..10 {
        let id = open(&mut world, ChannelParameters::reliable("again"));
        assert_eq!(id, ChannelId(1), "the first odd stream is free each time");
        let now = world.now;
        world.a.transport.close_channel(id, now).expect("open");
        let refused = world.a.transport.send_message(id, true, b"late", now);
        assert!(matches!(
            refused,
            Err(TransportError::Channel(ChannelError::Closed))
        ));
        world.run_for(Duration::from_secs(3));
        for side in [&mut world.a, &mut world.b] {
            assert!(side.events.contains(&TransportEvent::ChannelClosed { id }));
            side.events.clear();
        }
    }
}

#[test]
fn commands_without_an_association_are_refused() {
    let mut world = Pair::lite(7).connect(7);
    let now = world.now;
    let refused = world
        .a
        .transport
        .open_channel(ChannelParameters::reliable("x"), now);
    assert!(matches!(refused, Err(TransportError::NoSctp)));
    let mut world = Pair::lite(8).with_channels().connect(8);
    let now = world.now;
    let refused = world
        .a
        .transport
        .open_channel(ChannelParameters::reliable("x"), now);
    assert!(matches!(refused, Err(TransportError::NotConnected)));
    let mut world = connect(Pair::lite(8).with_channels(), 8);
    let now = world.now;
    let refused = world
        .a
        .transport
        .send_message(ChannelId(4), true, b"x", now);
    assert!(matches!(
        refused,
        Err(TransportError::Channel(ChannelError::Unknown))
    ));
    world.a.transport.close(now);
    world.run_for(Duration::from_secs(1));
    assert_eq!(
        world.b.closed().map(|(reason, _)| reason),
        Some(CloseReason::PeerClosed)
    );
}
