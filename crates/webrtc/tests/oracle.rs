//! str0m as the peer: ICE, DTLS, SRTP and data channels with somebody else's state machines.

mod support;

use std::collections::VecDeque;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use roomtone_webrtc::{
    ChannelParameters, DtlsRole, Fingerprint, FiveTuple, IceCredentials, Protocol, Reliability,
    RemoteParameters, SeededRandom, Transport, TransportConfig, TransportEvent,
};
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::media::MediaKind;
use str0m::net::{Protocol as PeerProtocol, Receive};
use str0m::rtp::{RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc};
use support::{
    Endpoint, Ours, Weather, World, certificate, client_address, credentials, server_address,
};

const FROM_PEER: u32 = 0x0101;
const TO_PEER: u32 = 0x0202;

struct Peer {
    rtc: Rtc,
    outbox: VecDeque<(FiveTuple, Vec<u8>)>,
    next: Instant,
    received: Vec<(u16, Vec<u8>)>,
    messages: Vec<(bool, Vec<u8>)>,
    channels: Vec<(ChannelId, String)>,
    closed_channels: usize,
    connected: bool,
    echo: bool,
}

impl Peer {
    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output().expect("str0m goes on") {
                Output::Timeout(at) => {
                    self.next = at;
                    return;
                }
                Output::Transmit(transmit) => {
                    let protocol = if transmit.proto == PeerProtocol::Udp {
                        Protocol::Udp
                    } else {
                        Protocol::Tcp
                    };
                    let tuple = FiveTuple {
                        protocol,
                        local: transmit.source,
                        remote: transmit.destination,
                    };
                    self.outbox.push_back((tuple, transmit.contents.to_vec()));
                }
                Output::Event(event) => self.on_event(event),
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Connected => self.connected = true,
            Event::RtpPacket(packet) => {
                self.received
                    .push((packet.header.sequence_number, packet.payload.to_vec()));
            }
            Event::ChannelOpen(id, label) => self.channels.push((id, label)),
            Event::ChannelClose(_) => self.closed_channels += 1,
            Event::ChannelData(data) => {
                // str0m would write an empty message without RFC 8831's one byte, which is a
                // protocol violation in SCTP.
                if self.echo && !data.data.is_empty() {
                    let mut channel = self.rtc.channel(data.id).expect("the channel is open");
                    channel
                        .write(data.binary, &data.data)
                        .expect("room for an echo");
                }
                self.messages.push((data.binary, data.data));
            }
            _ => {}
        }
    }

    fn send_rtp(&mut self, sequence: u64, payload: &[u8], now: Instant) {
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx(&Ssrc::from(FROM_PEER)).expect("declared");
        let write = RtpWrite::new(
            111.into(),
            sequence.into(),
            sequence as u32 * 960,
            now,
            payload,
        );
        stream.write_rtp(write);
        self.rtc
            .handle_input(Input::Timeout(now))
            .expect("str0m goes on");
        self.drain();
    }
}

impl Endpoint for Peer {
    fn receive(&mut self, tuple: FiveTuple, data: &mut [u8], now: Instant) {
        let proto = if tuple.protocol == Protocol::Udp {
            PeerProtocol::Udp
        } else {
            PeerProtocol::Tcp
        };
        let receive = Receive::new(proto, tuple.remote, tuple.local, data).expect("str0m reads it");
        self.rtc
            .handle_input(Input::Receive(now, receive))
            .expect("str0m goes on");
        self.drain();
    }

    fn transmit(&mut self, _now: Instant) -> Option<(FiveTuple, Vec<u8>)> {
        self.outbox.pop_front()
    }

    fn timeout(&mut self, now: Instant) {
        self.rtc
            .handle_input(Input::Timeout(now))
            .expect("str0m goes on");
        self.drain();
    }

    fn next(&mut self) -> Option<Instant> {
        Some(self.next)
    }
}

/// Our halves of ICE and DTLS, and what carries it.
#[derive(Clone, Copy, Debug)]
struct Shape {
    lite: bool,
    active: bool,
    protocol: Protocol,
    v6: bool,
}

impl Shape {
    const fn udp(lite: bool, active: bool) -> Self {
        Self {
            lite,
            active,
            protocol: Protocol::Udp,
            v6: false,
        }
    }

    fn ours(self) -> SocketAddr {
        if self.v6 {
            SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 40_000))
        } else {
            server_address()
        }
    }

    fn theirs(self) -> SocketAddr {
        if self.v6 {
            SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, 9), 50_000))
        } else {
            client_address()
        }
    }
}

const SHAPES: [Shape; 4] = [
    Shape::udp(true, false),
    Shape::udp(true, true),
    Shape::udp(false, false),
    Shape::udp(false, true),
];

/// Our transport as side 0 and str0m as side 1.
fn world(shape: Shape, seed: u64) -> World<Ours, Peer> {
    let now = support::epoch();
    let candidates = vec![roomtone_webrtc::Candidate::host(
        shape.protocol,
        shape.ours(),
        1,
    )];
    let mut config = if shape.lite {
        TransportConfig::lite(credentials(seed), candidates, certificate())
    } else {
        TransportConfig::full(credentials(seed), candidates, certificate(), false)
    };
    config.sctp = true;

    let mut rtc = Rtc::builder().set_rtp_mode(true).build(now);
    let protocol = shape.protocol.to_string();
    let host = Candidate::host(shape.theirs(), protocol.as_str()).expect("a candidate");
    rtc.add_local_candidate(host);
    rtc.add_remote_candidate(
        Candidate::host(shape.ours(), protocol.as_str()).expect("a candidate"),
    );
    let mut api = rtc.direct_api();
    let theirs = api.local_ice_credentials();
    let fingerprint = api.local_dtls_fingerprint().to_string();
    let fingerprint = fingerprint
        .rsplit(' ')
        .next()
        .unwrap_or_default()
        .to_owned();
    api.set_remote_ice_credentials(str0m::IceCreds {
        ufrag: config.local.ufrag.clone(),
        pass: config.local.pwd.clone(),
    });
    let ours = format!("sha-256 {}", config.certificate.fingerprint_sha256());
    api.set_remote_fingerprint(ours.parse().expect("str0m reads our fingerprint"));
    api.set_ice_controlling(true);
    api.start_dtls(!shape.active).expect("DTLS starts");
    api.start_sctp(!shape.active);
    let mid = "aud".into();
    api.declare_media(mid, MediaKind::Audio);
    api.declare_stream_tx(FROM_PEER.into(), None, mid, None);
    api.expect_stream_rx(TO_PEER.into(), None, mid, None);

    let remote = RemoteParameters {
        ice: Some(IceCredentials {
            ufrag: theirs.ufrag,
            pwd: theirs.pass,
        }),
        ice_lite: false,
        candidates: vec![roomtone_webrtc::Candidate::host(
            shape.protocol,
            shape.theirs(),
            1,
        )],
        dtls_role: if shape.active {
            DtlsRole::Active
        } else {
            DtlsRole::Passive
        },
        fingerprints: vec![
            Fingerprint::parse("sha-256", &fingerprint).expect("we read str0m's fingerprint"),
        ],
    };
    let mut transport = Transport::new(config, now, Box::new(SeededRandom::new(seed)));
    transport.connect(remote, now).expect("it connects");
    let mut peer = Peer {
        rtc,
        outbox: VecDeque::new(),
        next: now,
        received: Vec::new(),
        messages: Vec::new(),
        channels: Vec::new(),
        closed_channels: 0,
        connected: false,
        echo: true,
    };
    peer.timeout(now);
    World::new(Ours::new(transport), peer, shape.theirs(), now, seed)
}

fn connect(shape: Shape, seed: u64, weather: Weather) -> World<Ours, Peer> {
    let mut world = world(shape, seed);
    world.weather = weather;
    let done = world.run_until(Duration::from_secs(30), |world| {
        world.a.transport.is_writable() && world.b.connected
    });
    assert!(done, "{shape:?} seed {seed}: {:?}", world.a.events);
    world
}

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
