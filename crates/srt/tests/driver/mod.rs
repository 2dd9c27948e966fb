//! A driver over a socket of the standard library: what an engine does with a listener, small.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a foreign peer needs a socket, and keeps real time"
)]

use roomtone_netem::{Link, LinkConfig};
use roomtone_srt::{
    Acceptance, ConnectionId, DialConfig, DialEvent, Dialer, Listener, ListenerConfig,
    ListenerEvent, MAX_DATAGRAM, RejectReason, Request,
};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// A bound against hangs only.
const PATIENCE: Duration = Duration::from_secs(40);
/// Between two questions whether it is done; also how often tests send.
const STEP: Duration = Duration::from_millis(2);

/// Questions after which what was acknowledged has been delivered too: libsrt holds it back for its latency, and says
/// nothing of what it wrote.
pub(crate) const SETTLED: u32 = 400;

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("bound").port()
}

/// What comes before `until`.
fn receive(socket: &UdpSocket, until: Instant, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    let wait = until
        .saturating_duration_since(now())
        .clamp(Duration::from_micros(1), STEP);
    socket.set_read_timeout(Some(wait)).expect("a time-out");
    match socket.recv_from(buffer) {
        Ok(received) => Some(received),
        Err(error) => {
            let expected = [
                ErrorKind::WouldBlock,
                ErrorKind::TimedOut,
                ErrorKind::ConnectionRefused,
            ];
            assert!(expected.contains(&error.kind()), "{error}");
            None
        }
    }
}

/// A dialer on a socket of this machine.
pub(crate) struct Called {
    socket: UdpSocket,
    peer: SocketAddr,
    pub(crate) dialer: Dialer,
    pub(crate) events: Vec<DialEvent>,
}

impl Called {
    pub(crate) fn call(port: u16, config: DialConfig) -> Self {
        let peer = SocketAddr::from(([127, 0, 0, 1], port));
        Self::over(
            Dialer::call(peer, config, &[9; 32], now()).expect("a dialer"),
            peer,
        )
    }

    pub(crate) fn rendezvous(port: u16, config: DialConfig) -> Self {
        let peer = SocketAddr::from(([127, 0, 0, 1], port));
        Self::over(
            Dialer::rendezvous(peer, config, &[9; 32], now()).expect("a dialer"),
            peer,
        )
    }

    fn over(dialer: Dialer, peer: SocketAddr) -> Self {
        Self {
            socket: UdpSocket::bind("127.0.0.1:0").expect("a port"),
            peer,
            dialer,
            events: Vec::new(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.socket.local_addr().expect("bound").port()
    }

    fn run(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let end = now() + PATIENCE;
        let mut buffer = [0; 2048];
        let mut asked = now();
        loop {
            if asked <= now() {
                asked = now() + STEP;
                if done(self) {
                    return;
                }
            }
            assert!(now() < end, "nothing came of it in 40 s: {:?}", self.events);
            if let Some((len, _)) = receive(&self.socket, asked, &mut buffer) {
                self.dialer.handle_datagram(&mut buffer[..len], now());
            }
            self.dialer.handle_timeout(now());
            while self.dialer.poll_message(now()).is_some() {}
            let mut out = [0; MAX_DATAGRAM];
            while let Some(len) = self.dialer.poll_transmit(now(), &mut out) {
                let _ = self.socket.send_to(&out[..len], self.peer);
            }
            self.events
                .extend(std::iter::from_fn(|| self.dialer.poll_event()));
        }
    }

    /// Connects, and sends `count` payloads until all of them have been delivered.
    pub(crate) fn send_all(&mut self, count: u32, payload: fn(u32) -> [u8; 1316]) {
        let (mut next, mut settled) = (0, 0);
        self.run(|called| {
            let Some(event) = called.events.first() else {
                return false;
            };
            assert!(matches!(event, DialEvent::Connected { .. }), "{event:?}");
            if next < count {
                called.dialer.send(&payload(next), now()).expect("room");
                next += 1;
                return false;
            }
            let stats = called.dialer.stats().expect("open");
            settled += u32::from(stats.unacknowledged == 0);
            settled >= SETTLED
        });
    }

    pub(crate) fn close(&mut self) {
        self.dialer.close();
        self.run(|called| called.events.len() > 1);
    }
}

/// A bad line before a listener, in real time.
struct Line {
    up: Link,
    down: Link,
    peer: Option<SocketAddr>,
}

/// A listener on a socket of this machine.
pub(crate) struct Served {
    socket: UdpSocket,
    line: Option<Line>,
    pub(crate) listener: Listener,
    /// Payloads as they were delivered.
    pub(crate) received: Vec<u8>,
    /// Packets given up.
    pub(crate) lost: u32,
    pub(crate) opened: Vec<ConnectionId>,
    pub(crate) requests: Vec<Request>,
    pub(crate) closed: Vec<ListenerEvent>,
}

pub(crate) fn now() -> Instant {
    Instant::now()
}

impl Served {
    pub(crate) fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        Self {
            socket,
            line: None,
            listener: Listener::new(ListenerConfig::default(), &[7; 32], now()),
            received: Vec::new(),
            lost: 0,
            opened: Vec::new(),
            requests: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// Puts a bad line before the listener, for one peer.
    pub(crate) fn over(mut self, config: &LinkConfig, seed: u64) -> Self {
        println!("seed {seed}");
        let link = |seed| Link::new(config.clone(), seed).expect("a link");
        self.line = Some(Line {
            up: link(seed),
            down: link(seed + 1),
            peer: None,
        });
        self
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    /// Serves until `done`, or for 40 s at most; asks every two milliseconds or so.
    pub(crate) fn serve(
        &mut self,
        decide: impl Fn(&Request) -> Result<Acceptance, RejectReason>,
        mut done: impl FnMut(&mut Self) -> bool,
    ) {
        let end = now() + PATIENCE;
        let mut buffer = [0; 2048];
        let mut asked = now();
        loop {
            if asked <= now() {
                asked = now() + STEP;
                if done(self) {
                    return;
                }
            }
            assert!(now() < end, "nothing came of it in 40 s");
            if let Some((len, from)) = receive(&self.socket, asked, &mut buffer) {
                self.take(from, &mut buffer[..len]);
            }
            self.carry();
            self.listener.handle_timeout(now());
            self.drain(&decide);
        }
    }

    fn take(&mut self, from: SocketAddr, datagram: &mut [u8]) {
        match &mut self.line {
            None => self.listener.handle_datagram(from, datagram, now()),
            Some(line) => {
                assert_eq!(*line.peer.get_or_insert(from), from);
                line.up.send(now(), datagram.to_vec());
            }
        }
    }

    /// What has come to the end of the line.
    fn carry(&mut self) {
        let Some(line) = &mut self.line else {
            return;
        };
        let Some(peer) = line.peer else {
            return;
        };
        while let Some(mut datagram) = line.up.poll(now()) {
            self.listener.handle_datagram(peer, &mut datagram, now());
        }
        while let Some(datagram) = line.down.poll(now()) {
            let _ = self.socket.send_to(&datagram, peer);
        }
    }

    /// Sends a plain datagram to a port of this machine.
    pub(crate) fn send_plain(&self, port: u16, payload: &[u8]) {
        let _ = self.socket.send_to(payload, ("127.0.0.1", port));
    }

    fn drain(&mut self, decide: &impl Fn(&Request) -> Result<Acceptance, RejectReason>) {
        while let Some(request) = self.listener.poll_request() {
            match decide(&request) {
                Ok(acceptance) => {
                    if let Ok(id) = self.listener.accept(request.id, acceptance, now()) {
                        self.opened.push(id);
                    }
                }
                Err(reason) => assert!(self.listener.reject(request.id, reason)),
            }
            self.requests.push(request);
        }
        while let Some((_, message)) = self.listener.poll_message(now()) {
            self.received.extend_from_slice(message.payload);
            self.lost += message.lost_before;
        }
        let mut out = [0; MAX_DATAGRAM];
        while let Some(transmit) = self.listener.poll_transmit(now(), &mut out) {
            let datagram = &out[..transmit.len];
            if let Some(line) = &mut self.line {
                line.down.send(now(), datagram.to_vec());
                continue;
            }
            // A peer that has gone refuses; its connection ends by silence.
            let _ = self.socket.send_to(datagram, transmit.to);
        }
        while let Some(event) = self.listener.poll_event() {
            self.closed.push(event);
        }
    }
}
