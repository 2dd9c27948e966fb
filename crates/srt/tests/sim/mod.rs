//! A dialer and a listener with a bad network between them, in virtual time.
#![allow(dead_code, reason = "each test uses its part")]

use roomtone_netem::{Link, LinkConfig};
use roomtone_srt::{
    Acceptance, ConnectionId, DialConfig, DialEvent, Dialer, Listener, ListenerConfig,
    ListenerEvent, MAX_DATAGRAM, RejectReason, Request, Stats,
};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A message that was delivered: its number, how long after it was given to be sent, and what was lost before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivered {
    pub(crate) number: u32,
    pub(crate) after: Duration,
    pub(crate) lost_before: u32,
}

/// Any instant to count from.
#[allow(clippy::disallowed_methods, reason = "any instant to count from")]
pub(crate) fn origin() -> Instant {
    Instant::now()
}

pub(crate) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

/// A payload of seven packets of MPEG-TS that says which it is and when it was made.
pub(crate) fn payload(number: u32, made: Duration) -> [u8; 1316] {
    let mut payload = [0x47; 1316];
    payload[..4].copy_from_slice(&number.to_be_bytes());
    payload[4..12].copy_from_slice(&(made.as_micros() as u64).to_be_bytes());
    payload
}

pub(crate) fn delivered(payload: &[u8], lost_before: u32, at: Duration) -> Delivered {
    assert_eq!(payload.len(), 1316);
    assert!(payload[12..].iter().all(|byte| *byte == 0x47));
    let number = u32::from_be_bytes(payload[..4].try_into().expect("four bytes"));
    let made = u64::from_be_bytes(payload[4..12].try_into().expect("eight bytes"));
    Delivered {
        number,
        after: at.saturating_sub(Duration::from_micros(made)),
        lost_before,
    }
}

pub(crate) struct World {
    began: Instant,
    pub(crate) now: Instant,
    pub(crate) dialer: Dialer,
    pub(crate) listener: Listener,
    pub(crate) up: Link,
    pub(crate) down: Link,
    pub(crate) decision: Result<Acceptance, RejectReason>,
    pub(crate) accepted: Option<Result<ConnectionId, RejectReason>>,
    pub(crate) requests: Vec<Request>,
    /// What the listener delivered, and the dialer.
    pub(crate) came_up: Vec<Delivered>,
    pub(crate) came_down: Vec<Delivered>,
    pub(crate) dial_events: Vec<DialEvent>,
    pub(crate) listen_events: Vec<ListenerEvent>,
}

impl World {
    pub(crate) fn new(
        dial: DialConfig,
        decision: Acceptance,
        link: &LinkConfig,
        seed: u64,
    ) -> Self {
        println!("seed {seed}");
        let now = origin();
        let link = |seed| Link::new(link.clone(), seed).expect("a link");
        Self {
            began: now,
            now,
            dialer: Dialer::call(address(8890), dial, &[1; 32], now).expect("a dialer"),
            listener: Listener::new(ListenerConfig::default(), &[2; 32], now),
            up: link(seed),
            down: link(seed + 1000),
            decision: Ok(decision),
            accepted: None,
            requests: Vec::new(),
            came_up: Vec::new(),
            came_down: Vec::new(),
            dial_events: Vec::new(),
            listen_events: Vec::new(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.began
    }

    /// Until the dialer says that it is connected.
    pub(crate) fn connect(&mut self) -> ConnectionId {
        let end = self.now + Duration::from_secs(5);
        while self.dial_events.is_empty() && self.now < end {
            self.run_until(self.now + Duration::from_millis(1));
        }
        assert!(
            matches!(self.dial_events.as_slice(), [DialEvent::Connected { .. }]),
            "{:?}",
            self.dial_events
        );
        self.accepted.expect("a decision").expect("a connection")
    }

    /// Lets time pass, with everything that happens in it.
    pub(crate) fn run_until(&mut self, end: Instant) {
        loop {
            self.exchange();
            // Whoever asks for what is past would keep a driver from ever sleeping.
            for asked in [self.dialer.next_timeout(), self.listener.next_timeout()] {
                assert!(asked.is_none_or(|at| at > self.now));
            }
            let next = [
                self.up.next_timeout(),
                self.down.next_timeout(),
                self.dialer.next_timeout(),
                self.listener.next_timeout(),
            ];
            let next = next.into_iter().flatten().min();
            match next.filter(|at| *at <= end) {
                Some(at) => self.now = at.max(self.now),
                None => break,
            }
        }
        self.now = self.now.max(end);
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    fn exchange(&mut self) {
        let (now, at) = (self.now, self.elapsed());
        while let Some(mut datagram) = self.up.poll(now) {
            self.listener
                .handle_datagram(address(5000), &mut datagram, now);
        }
        while let Some(mut datagram) = self.down.poll(now) {
            self.dialer.handle_datagram(&mut datagram, now);
        }
        self.listener.handle_timeout(now);
        self.dialer.handle_timeout(now);
        while let Some(request) = self.listener.poll_request() {
            match &self.decision {
                Ok(acceptance) => {
                    let accepted = self.listener.accept(request.id, acceptance.clone(), now);
                    self.accepted = Some(accepted);
                }
                Err(reason) => assert!(self.listener.reject(request.id, *reason)),
            }
            self.requests.push(request);
        }
        while let Some((_, message)) = self.listener.poll_message(now) {
            let message = delivered(message.payload, message.lost_before, at);
            self.came_up.push(message);
        }
        while let Some(message) = self.dialer.poll_message(now) {
            let message = delivered(message.payload, message.lost_before, at);
            self.came_down.push(message);
        }
        let mut out = [0; MAX_DATAGRAM];
        while let Some(transmit) = self.listener.poll_transmit(now, &mut out) {
            assert_eq!(transmit.to, address(5000));
            self.down.send(now, out[..transmit.len].to_vec());
        }
        while let Some(len) = self.dialer.poll_transmit(now, &mut out) {
            self.up.send(now, out[..len].to_vec());
        }
        while let Some(event) = self.dialer.poll_event() {
            self.dial_events.push(event);
        }
        while let Some(event) = self.listener.poll_event() {
            self.listen_events.push(event);
        }
    }

    /// The dialer sends `count` messages, one every `every`; then what is on its way arrives.
    pub(crate) fn publish(&mut self, count: u32, every: Duration) {
        let mut at = self.now;
        for number in 0..count {
            self.run_until(at);
            self.dialer
                .send(&payload(number, self.elapsed()), self.now)
                .expect("room to send");
            at += every;
        }
        self.run_for(Duration::from_secs(2));
    }

    /// The listener sends likewise.
    pub(crate) fn play(&mut self, connection: ConnectionId, count: u32, every: Duration) {
        let mut at = self.now;
        for number in 0..count {
            self.run_until(at);
            self.listener
                .send(connection, &payload(number, self.elapsed()), self.now)
                .expect("room to send");
            at += every;
        }
        self.run_for(Duration::from_secs(2));
    }

    pub(crate) fn received_stats(&self) -> Stats {
        let connection = self.accepted.expect("a decision").expect("a connection");
        self.listener
            .connection_stats(connection)
            .expect("still open")
    }
}

/// All messages from 0 to `count`, in order, none missing.
pub(crate) fn assert_whole(came: &[Delivered], count: u32) {
    let numbers: Vec<u32> = came.iter().map(|message| message.number).collect();
    assert_eq!(numbers, (0..count).collect::<Vec<_>>());
    assert!(came.iter().all(|message| message.lost_before == 0));
}
