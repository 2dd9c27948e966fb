//! str0m as the other side, in virtual time.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::VecDeque;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use roomtone_webrtc::{
    DtlsRole, Fingerprint, FiveTuple, IceCredentials, Protocol, RemoteParameters, SeededRandom,
    Transport, TransportConfig,
};
use str0m::channel::ChannelId;
use str0m::media::{KeyframeRequestKind, MediaKind};
use str0m::net::{Protocol as PeerProtocol, Receive};
use str0m::rtp::{RawPacket, RtpWrite, Ssrc};
use str0m::stats::MediaEgressStats;
use str0m::{Candidate, Event, Input, Output, Rtc};

use crate::support::{
    self, Endpoint, Ours, Weather, World, certificate, client_address, credentials, server_address,
};

pub(crate) const FROM_PEER: u32 = 0x0101;
pub(crate) const TO_PEER: u32 = 0x0202;

/// str0m, and what it reported.
pub(crate) struct Peer {
    pub(crate) rtc: Rtc,
    outbox: VecDeque<(FiveTuple, Vec<u8>)>,
    next: Instant,
    pub(crate) received: Vec<(u16, Vec<u8>)>,
    pub(crate) messages: Vec<(bool, Vec<u8>)>,
    pub(crate) channels: Vec<(ChannelId, String)>,
    pub(crate) closed_channels: usize,
    pub(crate) connected: bool,
    pub(crate) echo: bool,
    /// RTP and RTCP in the clear, where the configuration wants it.
    pub(crate) raw: Vec<(Instant, RawPacket)>,
    pub(crate) keyframe_requests: Vec<KeyframeRequestKind>,
    pub(crate) sending: Vec<MediaEgressStats>,
    now: Instant,
}

impl Peer {
    pub(crate) fn drain(&mut self) {
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
            Event::RawPacket(packet) => self.raw.push((self.now, *packet)),
            Event::KeyframeRequest(request) => self.keyframe_requests.push(request.kind),
            Event::MediaEgressStats(stats) => self.sending.push(stats),
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

    pub(crate) fn send_rtp(&mut self, sequence: u64, payload: &[u8], now: Instant) {
        let timestamp = sequence as u32 * 960;
        let write = RtpWrite::new(111.into(), sequence.into(), timestamp, now, payload);
        self.write_rtp(FROM_PEER, write, now);
    }

    pub(crate) fn write_rtp(&mut self, ssrc: u32, write: RtpWrite, now: Instant) {
        self.now = now;
        let mut api = self.rtc.direct_api();
        api.stream_tx(&Ssrc::from(ssrc))
            .expect("declared")
            .write_rtp(write);
        self.rtc
            .handle_input(Input::Timeout(now))
            .expect("str0m goes on");
        self.drain();
    }
}

impl Endpoint for Peer {
    fn receive(&mut self, tuple: FiveTuple, data: &mut [u8], now: Instant) {
        self.now = now;
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
        self.now = now;
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
pub(crate) struct Shape {
    pub(crate) lite: bool,
    pub(crate) active: bool,
    pub(crate) protocol: Protocol,
    pub(crate) v6: bool,
}

impl Shape {
    pub(crate) const fn udp(lite: bool, active: bool) -> Self {
        Self {
            lite,
            active,
            protocol: Protocol::Udp,
            v6: false,
        }
    }

    pub(crate) fn ours(self) -> SocketAddr {
        if self.v6 {
            SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 40_000))
        } else {
            server_address()
        }
    }

    pub(crate) fn theirs(self) -> SocketAddr {
        if self.v6 {
            SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 7, 0, 0, 0, 0, 9), 50_000))
        } else {
            client_address()
        }
    }
}

pub(crate) const SHAPES: [Shape; 4] = [
    Shape::udp(true, false),
    Shape::udp(true, true),
    Shape::udp(false, false),
    Shape::udp(false, true),
];

/// Our transport as side 0 and str0m, with audio each way, as side 1.
fn world(shape: Shape, seed: u64) -> World<Ours, Peer> {
    let now = support::epoch();
    let rtc = Rtc::builder().set_rtp_mode(true).build(now);
    let (transport, mut peer) = pair(shape, seed, now, rtc);
    let mut api = peer.rtc.direct_api();
    let mid = "aud".into();
    api.declare_media(mid, MediaKind::Audio);
    api.declare_stream_tx(FROM_PEER.into(), None, mid, None);
    api.expect_stream_rx(TO_PEER.into(), None, mid, None);
    peer.timeout(now);
    World::new(Ours::new(transport), peer, shape.theirs(), now, seed)
}

/// A transport of ours and str0m, each of which knows the other.
pub(crate) fn pair(shape: Shape, seed: u64, now: Instant, mut rtc: Rtc) -> (Transport, Peer) {
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
    let peer = Peer {
        rtc,
        outbox: VecDeque::new(),
        next: now,
        received: Vec::new(),
        messages: Vec::new(),
        channels: Vec::new(),
        closed_channels: 0,
        connected: false,
        echo: true,
        raw: Vec::new(),
        keyframe_requests: Vec::new(),
        sending: Vec::new(),
        now,
    };
    (transport, peer)
}

pub(crate) fn connect(shape: Shape, seed: u64, weather: Weather) -> World<Ours, Peer> {
    let mut world = world(shape, seed);
    world.weather = weather;
    let done = world.run_until(Duration::from_secs(30), |world| {
        world.a.transport.is_writable() && world.b.connected
    });
    assert!(done, "{shape:?} seed {seed}: {:?}", world.a.events);
    world
}
