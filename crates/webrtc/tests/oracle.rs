//! str0m as the peer: ICE, DTLS, SRTP and data channels with somebody else's state machines.

#[path = "support/oracle.rs"]
mod oracle;
mod support;

use std::time::Duration;

use oracle::{SHAPES, Shape, TO_PEER, connect};
use roomtone_webrtc::{ChannelParameters, FiveTuple, Protocol, Reliability, TransportEvent};
use str0m::channel::ChannelConfig;
use support::Weather;

#[test]
fn media_goes_both_ways_in_every_role() {
    for shape in SHAPES {
        let mut world = connect(shape, 1, Weather::default());
        for sequence in 0..50_u16 {
            let mut plain = support::rtp(sequence, TO_PEER);
            plain[1] = 111;
            let (tuple, data) = support::sealed(&mut world.a, &plain, false);
            world.inject(
                1,
                FiveTuple {
                    local: tuple.remote,
                    remote: tuple.local,
                    ..tuple
                },
                &data,
            );
            let now = world.now;
            world
                .b
                .send_rtp(u64::from(sequence), &[sequence as u8; 40], now);
            world.run_for(Duration::from_millis(20));
        }
        // A report is due every five seconds.
        world.run_for(Duration::from_secs(6));
        let expected: Vec<(u16, Vec<u8>)> = (0..50)
            .map(|sequence| (sequence, vec![sequence as u8; 100]))
            .collect();
        assert_eq!(world.b.received, expected, "{shape:?}");
        let payloads: Vec<&[u8]> = world
            .a
            .rtp
            .iter()
            .map(|packet| &packet[packet.len() - 40..])
            .collect();
        let expected: Vec<Vec<u8>> = (0..50).map(|sequence| vec![sequence; 40]).collect();
        assert_eq!(payloads, expected, "{shape:?}");
        assert!(!world.a.rtcp.is_empty(), "str0m's reports open too");
        assert_eq!(world.a.transport.stats().counters.srtp_dropped, 0);
    }
}

#[test]
fn messages_are_echoed_on_a_channel_of_ours() {
    let bad = Weather {
        loss: 50,
        duplicate: 20,
        jitter: Duration::from_millis(30),
    };
    for (index, shape) in SHAPES.into_iter().enumerate() {
        let mut world = connect(shape, 10 + index as u64, bad);
        let now = world.now;
        let mut parameters = ChannelParameters::reliable("chat");
        parameters.protocol = "proto".to_owned();
        let up = world.run_until(Duration::from_secs(20), |world| {
            world.a.events.contains(&TransportEvent::SctpConnected)
        });
        assert!(up, "{shape:?}: {:?}", world.a.events);
        let id = world
            .a
            .transport
            .open_channel(parameters, now)
            .expect("it opens");
        assert_eq!(
            id.0.is_multiple_of(2),
            shape.active,
            "the DTLS client opens even streams"
        );
        let big = vec![0xab; 60_000];
        let sent: [(bool, &[u8]); 5] = [
            (false, b"first"),
            (true, b"second"),
            (true, &big),
            (true, b""),
            (false, "größer".as_bytes()),
        ];
        for (binary, data) in sent {
            let now = world.now;
            world
                .a
                .transport
                .send_message(id, binary, data, now)
                .expect("room");
        }
        let done = world.run_until(Duration::from_mins(1), |world| {
            messages(&world.a.events).len() == sent.len() - 1
        });
        let echoed: Vec<usize> = messages(&world.a.events)
            .iter()
            .map(|(_, data)| data.len())
            .collect();
        let got: Vec<usize> = world
            .b
            .messages
            .iter()
            .map(|(_, data)| data.len())
            .collect();
        assert!(done, "{shape:?}: str0m got {got:?}, echoed {echoed:?}");
        let sent: Vec<(bool, Vec<u8>)> = sent.map(|(binary, data)| (binary, data.to_vec())).into();
        assert_eq!(world.b.messages, sent, "what str0m got");
        let echoed: Vec<_> = sent
            .into_iter()
            .filter(|(_, data)| !data.is_empty())
            .collect();
        assert_eq!(messages(&world.a.events), echoed, "the echo");
        assert_eq!(
            world
                .b
                .channels
                .iter()
                .map(|(_, label)| label.as_str())
                .collect::<Vec<_>>(),
            ["chat"]
        );

        let now = world.now;
        world.a.transport.close_channel(id, now).expect("open");
        let closed = world.run_until(Duration::from_secs(20), |world| {
            world
                .a
                .events
                .contains(&TransportEvent::ChannelClosed { id })
                && world.b.closed_channels == 1
        });
        assert!(
            closed,
            "{shape:?}: {:?} {}",
            world.a.events.last(),
            world.b.closed_channels
        );
    }
}

#[test]
fn the_peer_opens_an_unordered_channel() {
    for shape in SHAPES {
        let mut world = connect(shape, 20, Weather::default());
        let config = ChannelConfig {
            label: "pings".to_owned(),
            ordered: false,
            reliability: str0m::channel::Reliability::MaxRetransmits { retransmits: 3 },
            protocol: "p".to_owned(),
            ..ChannelConfig::default()
        };
        let peer_id = world.b.rtc.direct_api().create_data_channel(config);
        world.b.drain();
        let opened = world.run_until(Duration::from_secs(10), |world| {
            inbound_channel(&world.a.events).is_some()
        });
        assert!(opened, "{shape:?} {:?}", world.a.events);
        let (id, parameters) = inbound_channel(&world.a.events).expect("opened");
        assert_eq!(
            (parameters.label.as_str(), parameters.protocol.as_str()),
            ("pings", "p")
        );
        assert!(!parameters.ordered);
        assert_eq!(parameters.reliability, Reliability::MaxRetransmits(3));
        let acknowledged = world.run_until(Duration::from_secs(10), |world| {
            !world.b.channels.is_empty()
        });
        assert!(acknowledged, "{shape:?}");
        let wrote = world
            .b
            .rtc
            .channel(peer_id)
            .expect("open")
            .write(true, b"ping")
            .expect("room");
        assert!(wrote);
        world.b.drain();
        world.run_for(Duration::from_secs(1));
        assert_eq!(messages(&world.a.events), vec![(true, b"ping".to_vec())]);
        let now = world.now;
        world
            .a
            .transport
            .send_message(id, true, b"pong", now)
            .expect("room");
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.b.messages, vec![(true, b"pong".to_vec())]);
        world.b.rtc.direct_api().close_data_channel(peer_id);
        world.b.drain();
        world.run_for(Duration::from_secs(3));
        assert!(
            world
                .a
                .events
                .contains(&TransportEvent::ChannelClosed { id }),
            "{shape:?}"
        );
        assert_eq!(world.a.transport.stats().channels, 0);
    }
}

/// The distinct numbers that begin these messages.
fn numbers(messages: &[(bool, Vec<u8>)]) -> Vec<u32> {
    let number =
        |(_, data): &(bool, Vec<u8>)| u32::from_be_bytes(data[..4].try_into().expect("four bytes"));
    let mut numbers: Vec<u32> = messages.iter().map(number).collect();
    numbers.sort_unstable();
    let all = numbers.len();
    numbers.dedup();
    assert_eq!(numbers.len(), all, "nothing arrives twice");
    numbers
}

#[test]
fn what_is_sent_once_is_partly_lost_either_way_and_the_channel_goes_on() {
    const MESSAGES: u32 = 300;
    for (shape, seed) in SHAPES.into_iter().zip(50..) {
        let mut world = connect(shape, seed, Weather::default());
        world.b.echo = false;
        let up = world.run_until(Duration::from_secs(20), |world| {
            world.a.events.contains(&TransportEvent::SctpConnected)
        });
        assert!(up, "{shape:?}");
        let now = world.now;
        let once = ChannelParameters {
            ordered: false,
            reliability: Reliability::MaxRetransmits(0),
            ..ChannelParameters::reliable("once")
        };
        let ours = world.a.transport.open_channel(once, now).expect("it opens");
        let theirs = world.b.rtc.direct_api().create_data_channel(ChannelConfig {
            label: "theirs".to_owned(),
            ordered: false,
            reliability: str0m::channel::Reliability::MaxRetransmits { retransmits: 0 },
            ..ChannelConfig::default()
        });
        world.b.drain();
        let opened = world.run_until(Duration::from_secs(10), |world| {
            world.b.channels.len() == 2 && inbound_channel(&world.a.events).is_some()
        });
        assert!(opened, "{shape:?}: {:?}", world.b.channels);
        let send = |world: &mut support::World<support::Ours, oracle::Peer>, number: u32| {
            let (message, now) = (number.to_be_bytes().repeat(20), world.now);
            let sent = world.a.transport.send_message(ours, true, &message, now);
            sent.expect("room");
            let mut channel = world.b.rtc.channel(theirs).expect("open");
            assert!(channel.write(true, &message).expect("str0m goes on"));
            support::Endpoint::timeout(&mut world.b, now);
            world.run_for(Duration::from_millis(20));
        };
        world.weather = Weather {
            loss: 200,
            ..Weather::default()
        };
        for number in 0..MESSAGES {
            send(&mut world, number);
        }
        world.weather = Weather::default();
        world.run_for(Duration::from_secs(10));
        send(&mut world, MESSAGES);
        world.run_for(Duration::from_secs(1));
        let arrived = [
            numbers(&world.b.messages),
            numbers(&messages(&world.a.events)),
        ];
        for numbers in &arrived {
            let share = numbers.len();
            assert!(
                (200..=275).contains(&share),
                "{shape:?}: {share} of {MESSAGES} at 20 % loss"
            );
            assert_eq!(numbers.last(), Some(&MESSAGES), "{shape:?}: it goes on");
        }
        let stats = world.a.transport.channel_stats(ours).expect("a channel");
        let missing = u64::from(MESSAGES) + 1 - arrived[0].len() as u64;
        assert!(
            stats.counters.messages_expired >= missing,
            "{shape:?}: {missing} missing, {stats:?}"
        );
        assert_eq!(stats.buffered_amount, 0);
    }
}

#[test]
fn tcp_alone_and_ipv6_alone_are_enough() {
    for lite in [true, false] {
        for (protocol, v6) in [
            (Protocol::Tcp, false),
            (Protocol::Udp, true),
            (Protocol::Tcp, true),
        ] {
            let shape = Shape {
                protocol,
                v6,
                ..Shape::udp(lite, false)
            };
            let mut world = connect(shape, 40, Weather::default());
            let selected = world.a.transport.selected().expect("writable");
            assert_eq!(
                (selected.protocol, selected.local.is_ipv6()),
                (protocol, v6)
            );
            let now = world.now;
            world.b.send_rtp(1, &[9; 40], now);
            world.run_for(Duration::from_secs(1));
            assert_eq!(world.a.rtp.len(), 1, "{shape:?}");
        }
    }
}

#[test]
fn both_survive_minutes_of_nothing() {
    for shape in SHAPES {
        let mut world = connect(shape, 30, Weather::default());
        world.run_for(Duration::from_mins(5));
        assert!(
            world.a.transport.is_writable(),
            "{shape:?}: {:?}",
            world.a.closed()
        );
    }
}

fn messages(events: &[TransportEvent]) -> Vec<(bool, Vec<u8>)> {
    let messages = events.iter().filter_map(|event| match event {
        TransportEvent::ChannelMessage { binary, data, .. } => Some((*binary, data.clone())),
        _ => None,
    });
    messages.collect()
}

fn inbound_channel(
    events: &[TransportEvent],
) -> Option<(roomtone_webrtc::ChannelId, ChannelParameters)> {
    events.iter().find_map(|event| match event {
        TransportEvent::ChannelOpened {
            id,
            inbound: true,
            parameters,
        } => Some((*id, parameters.clone())),
        _ => None,
    })
}
