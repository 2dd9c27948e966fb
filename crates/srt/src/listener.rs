//! A listener: many connections on one socket.

mod requests;

use crate::config::ConnectionConfig;
use crate::connection::{CloseReason, Connection, Encryption, Message, SendError};
use crate::handshake::Handshake;
use crate::keys::Passphrase;
use crate::packet::{ControlHeader, ControlType, HEADER_LEN, Header, MAX_DATAGRAM};
use crate::reject::RejectReason;
use crate::source::Source;
use crate::stats::{ListenerStats, Stats};
use crate::time::{Clock, Micros};
use requests::Pending;
use rustc_hash::FxHashMap;
use slab::Slab;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Answers to handshakes that may wait to be sent; beyond, they are dropped and counted.
pub const MAX_ANSWERS: usize = 256;
/// Events that may wait to be taken; beyond, they are forgotten and counted.
pub const MAX_EVENTS: usize = 4096;

/// What a listener keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Connections at a time; beyond, requests are refused as overload.
    pub max_connections: usize,
    /// Requests that may wait for a decision; beyond, they are refused as backlog.
    pub max_requests: usize,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_requests: 128,
        }
    }
}

/// A request that waits for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(u64);

/// A connection of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(u32);

/// Somebody wants to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// To decide by: [`Listener::accept`] or [`Listener::reject`].
    pub id: RequestId,
    /// Where it came from.
    pub remote: SocketAddr,
    /// The stream id as it stands; see [`StreamId::parse`](crate::StreamId::parse). Empty where there was none.
    pub stream_id: String,
    /// How the caller encrypts; none where it does not.
    pub encryption: Option<Encryption>,
    /// The caller's library: major, minor and patch in a byte each.
    pub peer_version: u32,
}

/// How a request is accepted.
#[derive(Clone, Debug, Default)]
pub struct Acceptance {
    /// The passphrase; with it, callers without or with another are refused, and without it those that have one.
    pub passphrase: Option<Passphrase>,
    /// What this side wishes for.
    pub config: ConnectionConfig,
}

/// What happened to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerEvent {
    /// It ended; everything that was received has been delivered.
    Closed {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
        /// What it had done.
        stats: Box<Stats>,
    },
}

/// A datagram to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// Bytes of the buffer that were written.
    pub len: usize,
}

struct Entry {
    connection: Connection,
    peer: SocketAddr,
    peer_socket: u32,
    id: ConnectionId,
    /// The body of the answer, for conclusions that come again.
    answer: Vec<u8>,
    may_send: bool,
    may_deliver: bool,
}

struct Answer {
    to: SocketAddr,
    kind: ControlType,
    destination: u32,
    /// When the clock began that its time stamp is of.
    start: Micros,
    body: Vec<u8>,
}

/// A listener: many connections on one socket.
///
/// Inputs: [`handle_datagram`](Self::handle_datagram), [`handle_timeout`](Self::handle_timeout), decisions and messages.
/// Outputs: `poll_*`, each until it gives none, then [`next_timeout`](Self::next_timeout).
/// Order: what comes in is to be followed by polling before the next time-out is asked for.
/// Limits: those of [`ListenerConfig`] and [`ConnectionConfig`], [`MAX_ANSWERS`], [`MAX_EVENTS`].
pub struct Listener {
    config: ListenerConfig,
    clock: Clock,
    source: Source,
    socket: u32,
    entries: Slab<Entry>,
    /// When each entry is due, side by side: they are looked through for every wake-up.
    deadlines: Vec<Micros>,
    by_socket: FxHashMap<u32, usize>,
    by_peer: FxHashMap<(SocketAddr, u32), usize>,
    pending: VecDeque<Pending>,
    next_request: u64,
    closing: bool,
    answers: VecDeque<Answer>,
    events: VecDeque<ListenerEvent>,
    /// Connections that may have something to send.
    sending: VecDeque<usize>,
    /// Connections that may have something to deliver.
    delivering: VecDeque<usize>,
    /// Room to work in: empty between calls.
    due: Vec<usize>,
    stats: ListenerStats,
}

impl Listener {
    /// A listener; `secret` are 32 bytes of a cryptographic source, out of which it makes cookies and numbers.
    pub fn new(config: ListenerConfig, secret: &[u8; 32], now: Instant) -> Self {
        let mut source = Source::new(secret);
        Self {
            config,
            clock: Clock::new(now),
            socket: source.socket(),
            source,
            entries: Slab::new(),
            deadlines: Vec::new(),
            by_socket: FxHashMap::default(),
            by_peer: FxHashMap::default(),
            pending: VecDeque::new(),
            next_request: 0,
            closing: false,
            answers: VecDeque::new(),
            events: VecDeque::new(),
            sending: VecDeque::new(),
            delivering: VecDeque::new(),
            due: Vec::new(),
            stats: ListenerStats::default(),
        }
    }

    /// Takes a datagram in; its payload is decrypted in place.
    pub fn handle_datagram(&mut self, from: SocketAddr, datagram: &mut [u8], now: Instant) {
        let now = self.clock.micros(now);
        let Ok(header) = Header::parse(datagram) else {
            self.stats.malformed += 1;
            return;
        };
        let destination = match header {
            Header::Data(header) => header.destination,
            Header::Control(header) => header.destination,
        };
        if destination == 0 {
            self.handle_request(from, header, &datagram[HEADER_LEN..], now);
            return;
        }
        let Some(&at) = self.by_socket.get(&destination) else {
            self.stats.unknown += 1;
            return;
        };
        let entry = &mut self.entries[at];
        if entry.peer != from {
            self.stats.strangers += 1;
            return;
        }
        entry.connection.handle_packet(header, datagram, now);
        self.wake(at);
    }

    fn handle_request(&mut self, from: SocketAddr, header: Header, body: &[u8], now: Micros) {
        let handshake = Handshake::parse(body);
        let (Header::Control(header), Ok(handshake)) = (header, handshake) else {
            self.stats.malformed += 1;
            return;
        };
        if header.kind != ControlType::Handshake {
            self.stats.malformed += 1;
            return;
        }
        self.handle_handshake(from, header, &handshake, body, now);
    }

    /// The connection is to be looked at for what to send and to deliver, and is due until it was.
    fn wake(&mut self, at: usize) {
        self.deadlines[at] = Micros::MIN;
        let entry = &mut self.entries[at];
        if !std::mem::replace(&mut entry.may_send, true) {
            self.sending.push_back(at);
        }
        if !std::mem::replace(&mut entry.may_deliver, true) {
            self.delivering.push_back(at);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.micros(now);
        self.expire_requests(now);
        let mut due = std::mem::take(&mut self.due);
        let expired = self.deadlines.iter().enumerate();
        due.extend(expired.filter(|(_, at)| **at <= now).map(|(at, _)| at));
        for at in due.drain(..) {
            self.entries[at].connection.handle_timeout(now);
            self.wake(at);
        }
        self.due = due;
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, once everything has been polled.
    pub fn next_timeout(&self) -> Option<Instant> {
        let requests = self.pending.front().map(Pending::expires_at);
        let next = self.deadlines.iter().copied().chain(requests).min()?;
        (next < Micros::MAX).then(|| self.clock.instant(next))
    }

    /// Writes the next datagram to be sent into `out`, which holds [`MAX_DATAGRAM`] bytes.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<Transmit> {
        let now = self.clock.micros(now);
        if out.len() < MAX_DATAGRAM {
            return None;
        }
        if let Some(answer) = self.answers.pop_front() {
            let header = ControlHeader {
                kind: answer.kind,
                subtype: 0,
                info: 0,
                timestamp: (now - answer.start) as u32,
                destination: answer.destination,
            };
            return Some(Transmit {
                to: answer.to,
                len: header.write(&answer.body, out),
            });
        }
        while let Some(&at) = self.sending.front() {
            if let Some(entry) = self.entries.get_mut(at) {
                if let Some(len) = entry.connection.poll_transmit(now, out) {
                    let to = entry.peer;
                    return Some(Transmit { to, len });
                }
                entry.may_send = false;
            }
            self.sending.pop_front();
            self.settle(at);
        }
        None
    }

    /// The next message that is due, of any connection.
    pub fn poll_message(&mut self, now: Instant) -> Option<(ConnectionId, Message<'_>)> {
        let now = self.clock.micros(now);
        let (at, lost_before) = loop {
            let &at = self.delivering.front()?;
            if let Some(entry) = self.entries.get_mut(at) {
                if let Some(lost) = entry.connection.advance(now) {
                    break (at, lost);
                }
                entry.may_deliver = false;
            }
            self.delivering.pop_front();
            self.settle(at);
        };
        if lost_before > 0 {
            self.wake(at);
        }
        let entry = &self.entries[at];
        let payload = entry.connection.message();
        Some((
            entry.id,
            Message {
                payload,
                lost_before,
            },
        ))
    }

    /// Nothing more is to be had of a connection for now: notes when it is due again, or that it ended.
    fn settle(&mut self, at: usize) {
        let Some(entry) = self.entries.get_mut(at) else {
            return;
        };
        self.deadlines[at] = entry.connection.deadline().unwrap_or(Micros::MAX);
        let Some(reason) = entry.connection.ended() else {
            return;
        };
        let entry = self.entries.remove(at);
        self.deadlines[at] = Micros::MAX;
        self.by_socket.remove(&entry.id.0);
        self.by_peer.remove(&(entry.peer, entry.peer_socket));
        if self.events.len() >= MAX_EVENTS {
            self.stats.events_dropped += 1;
            return;
        }
        self.events.push_back(ListenerEvent::Closed {
            connection: entry.id,
            reason,
            stats: Box::new(entry.connection.stats()),
        });
    }

    /// The next thing that happened to a connection.
    pub fn poll_event(&mut self) -> Option<ListenerEvent> {
        self.events.pop_front()
    }

    fn entry(&mut self, connection: ConnectionId) -> Option<(usize, &mut Entry)> {
        let &at = self.by_socket.get(&connection.0)?;
        Some((at, &mut self.entries[at]))
    }

    /// Gives a message of one packet to be sent.
    pub fn send(
        &mut self,
        connection: ConnectionId,
        payload: &[u8],
        now: Instant,
    ) -> Result<(), SendError> {
        let now = self.clock.micros(now);
        let (at, entry) = self.entry(connection).ok_or(SendError::Unknown)?;
        entry.connection.send(payload, now)?;
        self.wake(at);
        Ok(())
    }

    /// Ends a connection; whether there was one. What waits to be delivered is forgotten.
    pub fn close(&mut self, connection: ConnectionId) -> bool {
        let Some((at, entry)) = self.entry(connection) else {
            return false;
        };
        entry.connection.close();
        self.wake(at);
        true
    }

    /// Ends all connections and refuses requests, those that wait and those that come.
    pub fn close_all(&mut self) {
        self.closing = true;
        let open: Vec<usize> = self.entries.iter().map(|(at, _)| at).collect();
        for at in open {
            self.entries[at].connection.close();
            self.wake(at);
        }
        while let Some(pending) = self.pending.front() {
            let id = pending.id();
            self.reject(id, RejectReason::Close);
        }
    }

    /// What a connection has done; none where there is no such connection.
    pub fn connection_stats(&self, connection: ConnectionId) -> Option<Stats> {
        let at = self.by_socket.get(&connection.0)?;
        Some(self.entries[*at].connection.stats())
    }

    /// How a connection is encrypted; none where it is not, or there is none.
    pub fn encryption(&self, connection: ConnectionId) -> Option<Encryption> {
        let at = self.by_socket.get(&connection.0)?;
        self.entries[*at].connection.encryption()
    }

    /// How long a connection's peer has been silent; none where there is no such connection. A publisher that was
    /// killed says no goodbye.
    pub fn silence(&self, connection: ConnectionId, now: Instant) -> Option<Duration> {
        let at = self.by_socket.get(&connection.0)?;
        let silent = self.clock.micros(now) - self.entries[*at].connection.last_received();
        Some(Duration::from_micros(u64::try_from(silent).unwrap_or(0)))
    }

    /// How old the oldest packet is that a connection's peer has not acknowledged; zero where it has all. A peer that
    /// does not read, or a line that is too thin, makes it grow.
    pub fn backlog(&self, connection: ConnectionId, now: Instant) -> Option<Duration> {
        let at = self.by_socket.get(&connection.0)?;
        let age = self.entries[*at].connection.backlog(self.clock.micros(now));
        Some(Duration::from_micros(u64::try_from(age).unwrap_or(0)))
    }

    /// Advertise a flow window of so many packets at most to a connection's peer, or again what there is room for. A peer
    /// sends so much and waits for the next acknowledgement, 10 ms later; what becomes too old meanwhile it drops itself.
    /// False where there is no such connection.
    pub fn limit_window(&mut self, connection: ConnectionId, packets: Option<u32>) -> bool {
        let Some((at, entry)) = self.entry(connection) else {
            return false;
        };
        entry.connection.limit_space(packets);
        self.wake(at);
        true
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.entries.len()
    }

    /// What the listener has done, its connections aside.
    pub const fn stats(&self) -> ListenerStats {
        self.stats
    }
}
