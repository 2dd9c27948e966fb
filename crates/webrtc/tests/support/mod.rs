//! Two endpoints, a seeded bad network between them, and virtual time.
#![allow(dead_code, reason = "each test file uses its part")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roomtone_netem::{Link, LinkConfig};
use roomtone_webrtc::{
    Candidate, Certificate, DtlsRole, FiveTuple, IceCredentials, MAX_TRANSMIT_LEN, Protocol,
    Received, RemoteParameters, SeededRandom, TcpType, Transport, TransportConfig, TransportEvent,
};

/// What the world drives.
pub(crate) trait Endpoint {
    /// Takes a datagram.
    fn receive(&mut self, tuple: FiveTuple, data: &mut [u8], now: Instant);
    /// Gives the next datagram.
    fn transmit(&mut self, now: Instant) -> Option<(FiveTuple, Vec<u8>)>;
    /// Runs timers.
    fn timeout(&mut self, now: Instant);
    /// When it wants to.
    fn next(&mut self) -> Option<Instant>;
}

/// One of our transports with all it reported.
pub(crate) struct Ours {
    pub(crate) transport: Transport,
    pub(crate) events: Vec<TransportEvent>,
    pub(crate) rtp: Vec<Vec<u8>>,
    pub(crate) rtcp: Vec<Vec<u8>>,
    pub(crate) errors: Vec<String>,
    /// Leave events in the transport.
    pub(crate) hold_events: bool,
}

impl Ours {
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            transport,
            events: Vec::new(),
            rtp: Vec::new(),
            rtcp: Vec::new(),
            errors: Vec::new(),
            hold_events: false,
        }
    }

    pub(crate) fn drain_events(&mut self) {
        if self.hold_events {
            return;
        }
        while let Some(event) = self.transport.poll_event() {
            self.events.push(event);
        }
    }

    pub(crate) fn closed(&self) -> Option<(roomtone_webrtc::CloseReason, String)> {
        self.events.iter().find_map(|event| match event {
            TransportEvent::Closed { reason, detail } => Some((*reason, detail.clone())),
            _ => None,
        })
    }

    pub(crate) fn selections(&self) -> Vec<FiveTuple> {
        let selected = self.events.iter().filter_map(|event| match event {
            TransportEvent::Selected(tuple) => Some(*tuple),
            _ => None,
        });
        selected.collect()
    }
}

impl Endpoint for Ours {
    fn receive(&mut self, tuple: FiveTuple, data: &mut [u8], now: Instant) {
        match self.transport.handle_datagram(tuple, data, now) {
            Ok(Received::Handled) => {}
            Ok(Received::Rtp(packet)) => self.rtp.push(packet.to_vec()),
            Ok(Received::Rtcp(packet)) => self.rtcp.push(packet.to_vec()),
            Err(error) => self.errors.push(error.to_string()),
        }
        self.drain_events();
    }

    fn transmit(&mut self, _now: Instant) -> Option<(FiveTuple, Vec<u8>)> {
        let mut buffer = [0; MAX_TRANSMIT_LEN];
        let sent = self.transport.poll_transmit(&mut buffer);
        self.drain_events();
        sent.map(|transmit| (transmit.tuple, buffer[..transmit.len].to_vec()))
    }

    fn timeout(&mut self, now: Instant) {
        self.transport.handle_timeout(now);
        self.drain_events();
    }

    fn next(&mut self) -> Option<Instant> {
        self.transport.next_timeout()
    }
}

/// What the network does to a datagram, in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Weather {
    pub(crate) loss: u64,
    pub(crate) duplicate: u64,
    /// Extra delay up to this; a quarter of the datagrams is overtaken by as much.
    pub(crate) jitter: Duration,
}

impl Weather {
    fn link(self) -> LinkConfig {
        LinkConfig {
            delay: DELAY,
            jitter: self.jitter,
            loss: self.loss as f64 / 1000.0,
            duplicate: self.duplicate as f64 / 1000.0,
            reorder: if self.jitter.is_zero() { 0.0 } else { 0.25 },
            reorder_delay: self.jitter,
            ..LinkConfig::default()
        }
    }
}

/// Side 0 and side 1 with the network between.
pub(crate) struct World<A, B> {
    pub(crate) a: A,
    pub(crate) b: B,
    pub(crate) now: Instant,
    pub(crate) weather: Weather,
    /// Datagrams from or to side 1 get this address instead of its own, as behind a NAT.
    pub(crate) nat: Option<SocketAddr>,
    /// Nothing passes by UDP, as behind many a firewall.
    pub(crate) udp_is_cut: bool,
    inner: SocketAddr,
    /// Towards side 0 and towards side 1.
    links: [Link; 2],
    applied: Weather,
    /// The address pair of each datagram a link carries, which begins with its place here.
    envelopes: Vec<FiveTuple>,
    injected: Vec<(usize, FiveTuple, Vec<u8>)>,
}

pub(crate) const DELAY: Duration = Duration::from_millis(20);

impl<A: Endpoint, B: Endpoint> World<A, B> {
    /// `inner` is the address of side 1.
    pub(crate) fn new(a: A, b: B, inner: SocketAddr, now: Instant, seed: u64) -> Self {
        let link = |seed| Link::new(Weather::default().link(), seed).expect("sane weather");
        Self {
            a,
            b,
            now,
            weather: Weather::default(),
            nat: None,
            udp_is_cut: false,
            inner,
            links: [link(seed), link(seed.wrapping_add(1_000_000))],
            applied: Weather::default(),
            envelopes: Vec::new(),
            injected: Vec::new(),
        }
    }

    fn launch(&mut self, to: usize, tuple: FiveTuple, data: &[u8]) {
        if self.applied != self.weather {
            self.applied = self.weather;
            for link in &mut self.links {
                link.set_config(self.now, self.weather.link())
                    .expect("sane weather");
            }
        }
        if self.udp_is_cut && tuple.protocol == Protocol::Udp {
            return;
        }
        let mut letter = (self.envelopes.len() as u64).to_be_bytes().to_vec();
        letter.extend_from_slice(data);
        self.envelopes.push(tuple);
        self.links[to].send(self.now, letter);
    }

    fn deliver(&mut self, to: usize, tuple: FiveTuple, mut data: Vec<u8>) {
        if to == 0 {
            self.a.receive(tuple, &mut data, self.now);
        } else {
            self.b.receive(tuple, &mut data, self.now);
        }
    }

    /// Puts a datagram on the wire as if side `to` were to receive it.
    pub(crate) fn inject(&mut self, to: usize, tuple: FiveTuple, data: &[u8]) {
        self.injected.push((to, tuple, data.to_vec()));
    }

    fn outer(&self, address: SocketAddr) -> SocketAddr {
        if address == self.inner {
            self.nat.unwrap_or(address)
        } else {
            address
        }
    }

    pub(crate) fn flush(&mut self) {
        while let Some((tuple, data)) = self.a.transmit(self.now) {
            // What goes to an address side 1 no longer has is lost.
            if tuple.remote == self.outer(self.inner) {
                let seen = FiveTuple {
                    protocol: tuple.protocol,
                    local: self.inner,
                    remote: tuple.local,
                };
                self.launch(1, seen, &data);
            }
        }
        while let Some((tuple, data)) = self.b.transmit(self.now) {
            let seen = FiveTuple {
                protocol: tuple.protocol,
                local: tuple.remote,
                remote: self.outer(tuple.local),
            };
            self.launch(0, seen, &data);
        }
    }

    /// Goes to the next thing that happens, no further than `limit`.
    pub(crate) fn step(&mut self, limit: Instant) {
        self.flush();
        let arrivals = self.links.iter().filter_map(Link::next_timeout);
        let timers = [self.a.next(), self.b.next()].into_iter().flatten();
        if self.injected.is_empty() {
            let next = arrivals.chain(timers).min().unwrap_or(limit);
            self.now = self.now.max(next).min(limit);
        }
        for (to, tuple, data) in std::mem::take(&mut self.injected) {
            self.deliver(to, tuple, data);
        }
        for to in 0..2 {
            while let Some(letter) = self.links[to].poll(self.now) {
                let (place, data) = letter
                    .split_first_chunk()
                    .expect("each letter has its place");
                let tuple = self.envelopes[u64::from_be_bytes(*place) as usize];
                self.deliver(to, tuple, data.to_vec());
            }
        }
        if self.a.next().is_some_and(|at| at <= self.now) {
            self.a.timeout(self.now);
        }
        if self.b.next().is_some_and(|at| at <= self.now) {
            self.b.timeout(self.now);
        }
        self.flush();
    }

    /// Runs until it is done or the time is over; whether it was done.
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> bool {
        let end = self.now + limit;
        let mut steps = 0;
        while self.now < end {
            if done(self) {
                return true;
            }
            self.step(end);
            steps += 1;
            assert!(steps < 200_000, "virtual time does not move on");
        }
        done(self)
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }
}

/// Where virtual time begins: an instant can only be had from the clock.
#[allow(
    clippy::disallowed_methods,
    reason = "read once, only moved by the world after that"
)]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}

pub(crate) fn server_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 40_000))
}

pub(crate) fn client_address() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], 50_000))
}

pub(crate) fn certificate() -> Arc<Certificate> {
    Arc::new(Certificate::generate().expect("the crypto library makes certificates"))
}

pub(crate) fn credentials(seed: u64) -> IceCredentials {
    IceCredentials::generate(&mut SeededRandom::new(seed))
}

pub(crate) fn udp(address: SocketAddr) -> Candidate {
    Candidate::host(Protocol::Udp, address, 65_535)
}

/// Settings for a pair of transports.
pub(crate) struct Pair {
    pub(crate) server: TransportConfig,
    pub(crate) client: TransportConfig,
    pub(crate) server_role: DtlsRole,
    pub(crate) client_role: DtlsRole,
}

impl Pair {
    /// A lite server and a full, controlling client.
    pub(crate) fn lite(seed: u64) -> Self {
        let server = TransportConfig::lite(
            credentials(seed),
            vec![udp(server_address())],
            certificate(),
        );
        let client = TransportConfig::full(
            credentials(seed + 1),
            vec![udp(client_address())],
            certificate(),
            true,
        );
        Self {
            server,
            client,
            server_role: DtlsRole::Passive,
            client_role: DtlsRole::Active,
        }
    }

    /// Two full transports.
    pub(crate) fn full(seed: u64) -> Self {
        let mut pair = Self::lite(seed);
        pair.server = TransportConfig::full(
            credentials(seed),
            vec![udp(server_address())],
            certificate(),
            false,
        );
        pair
    }

    /// Both sides have a TCP candidate beside that of UDP; the client's connects, as most do.
    pub(crate) fn with_tcp(mut self) -> Self {
        for (config, address) in [
            (&mut self.server, server_address()),
            (&mut self.client, client_address()),
        ] {
            let tcp = Candidate::host(Protocol::Tcp, address, 65_535);
            config.candidates.push(tcp);
        }
        self
    }

    pub(crate) fn server_active(mut self) -> Self {
        self.server_role = DtlsRole::Active;
        self.client_role = DtlsRole::Passive;
        self
    }

    pub(crate) fn with_channels(mut self) -> Self {
        self.server.sctp = true;
        self.client.sctp = true;
        self
    }

    /// Makes both and tells each about the other.
    pub(crate) fn connect(self, seed: u64) -> World<Ours, Ours> {
        let mut to_server = remote(&self.client, false, self.server_role);
        for candidate in &mut to_server.candidates {
            candidate.tcp_type = candidate.tcp_type.map(|_| TcpType::Active);
        }
        self.connect_told(seed, to_server)
    }

    /// The same with what the server hears of the client given.
    pub(crate) fn connect_told(self, seed: u64, to_server: RemoteParameters) -> World<Ours, Ours> {
        let now = epoch();
        let server_lite = self.server.ice_mode == roomtone_webrtc::IceMode::Lite;
        let to_client = remote(&self.server, server_lite, self.client_role);
        let random = |seed| Box::new(SeededRandom::new(seed));
        let mut server = Ours::new(Transport::new(self.server, now, random(seed)));
        let mut client = Ours::new(Transport::new(self.client, now, random(seed + 1)));
        server
            .transport
            .connect(to_server, now)
            .expect("the server connects");
        client
            .transport
            .connect(to_client, now)
            .expect("the client connects");
        World::new(server, client, client_address(), now, seed)
    }
}

/// What signalling would tell about a transport made of `config`.
pub(crate) fn remote(
    config: &TransportConfig,
    ice_lite: bool,
    dtls_role: DtlsRole,
) -> RemoteParameters {
    RemoteParameters {
        ice: Some(config.local.clone()),
        ice_lite,
        candidates: config.candidates.clone(),
        dtls_role,
        fingerprints: vec![config.certificate.fingerprint().clone()],
    }
}

pub(crate) fn both_writable(world: &mut World<Ours, Ours>) -> bool {
    world.a.transport.is_writable() && world.b.transport.is_writable()
}

/// A small RTP packet.
pub(crate) fn rtp(sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&(u32::from(sequence) * 3000).to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[sequence as u8; 100]);
    packet
}

/// A receiver report without blocks.
pub(crate) fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet
}

/// Seals a packet and says where it goes.
pub(crate) fn sealed(side: &mut Ours, plain: &[u8], is_rtcp: bool) -> (FiveTuple, Vec<u8>) {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + 64, 0);
    let len = if is_rtcp {
        side.transport.seal_rtcp(&mut buffer, plain.len())
    } else {
        side.transport.seal_rtp(&mut buffer, plain.len())
    };
    buffer.truncate(len.expect("a writable transport seals"));
    (
        side.transport
            .selected()
            .expect("a writable transport has a pair"),
        buffer,
    )
}

/// Sends media both ways over a calm network and checks that it arrives as it was.
pub(crate) fn exchange_media(world: &mut World<Ours, Ours>, seed: u64) {
    world.weather = Weather::default();
    world.a.rtp.clear();
    world.b.rtp.clear();
    world.a.rtcp.clear();
    for sequence in 0..20 {
        let (tuple, data) = sealed(&mut world.a, &rtp(sequence, seed as u32 + 1), false);
        world.inject(
            1,
            FiveTuple {
                local: tuple.remote,
                remote: tuple.local,
                ..tuple
            },
            &data,
        );
        let (tuple, data) = sealed(&mut world.b, &rtp(sequence, seed as u32 + 2), false);
        world.inject(
            0,
            FiveTuple {
                local: tuple.remote,
                remote: tuple.local,
                ..tuple
            },
            &data,
        );
    }
    let (tuple, data) = sealed(&mut world.b, &rtcp(seed as u32 + 2), true);
    world.inject(
        0,
        FiveTuple {
            local: tuple.remote,
            remote: tuple.local,
            ..tuple
        },
        &data,
    );
    world.run_for(Duration::from_millis(50));
    let expected: Vec<Vec<u8>> = (0..20)
        .map(|sequence| rtp(sequence, seed as u32 + 1))
        .collect();
    assert_eq!(world.b.rtp, expected, "server to client, seed {seed}");
    let expected: Vec<Vec<u8>> = (0..20)
        .map(|sequence| rtp(sequence, seed as u32 + 2))
        .collect();
    assert_eq!(world.a.rtp, expected, "client to server, seed {seed}");
    assert_eq!(world.a.rtcp, vec![rtcp(seed as u32 + 2)]);
}
