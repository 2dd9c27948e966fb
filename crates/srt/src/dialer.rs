//! One connection that is opened from here: as a caller, or by a rendezvous.

mod caller;
mod rendezvous;

use crate::config::ConnectionConfig;
use crate::connection::{Agreed, CloseReason, Connection, Encryption, Message, SendError};
use crate::crypto::Crypto;
use crate::handshake::{BODY_LEN, Extensions, Handshake, Phase};
use crate::keys::{CipherMode, KeyLength, Passphrase};
use crate::negotiation::{MTU, own_extension};
use crate::packet::{ControlHeader, ControlType, HEADER_LEN, Header, MAX_DATAGRAM};
use crate::reject::RejectReason;
use crate::seq::Seq;
use crate::source::Source;
use crate::stats::Stats;
use crate::stream_id::MAX_STREAM_ID;
use crate::time::{Clock, Micros, micros};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Time after which a handshake that was not answered is sent again.
const AGAIN: Micros = 250_000;
/// Handshakes that may wait to be sent beside the one that is repeated.
const MAX_ANSWERS: usize = 8;

/// What is asked of the other side.
#[derive(Clone, Debug)]
pub struct DialConfig {
    /// What this side wishes for.
    pub connection: ConnectionConfig,
    /// Which stream, for what and by whom; empty for none. A rendezvous has none.
    pub stream_id: String,
    /// The passphrase; without one nothing is encrypted.
    pub passphrase: Option<Passphrase>,
    /// The length of the keys; none takes what the listener advertises, or else AES-128.
    pub key_length: Option<KeyLength>,
    /// How payloads are encrypted.
    pub mode: CipherMode,
    /// How long the other side may take to answer.
    pub timeout: Duration,
}

impl Default for DialConfig {
    fn default() -> Self {
        Self {
            connection: ConnectionConfig::default(),
            stream_id: String::new(),
            passphrase: None,
            key_length: None,
            mode: CipherMode::Ctr,
            timeout: Duration::from_secs(3),
        }
    }
}

/// Why a connection cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DialError {
    /// A stream id that no handshake carries.
    #[error("a stream id of more than {MAX_STREAM_ID} bytes")]
    LongStreamId,
    /// A rendezvous has no listener that could tell streams apart.
    #[error("a rendezvous carries no stream id")]
    StreamIdInRendezvous,
}

/// What happened to a dialer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialEvent {
    /// The connection is open.
    Connected {
        /// How it is encrypted.
        encryption: Option<Encryption>,
    },
    /// It was never opened: refused there, or here.
    Refused(RejectReason),
    /// It ended; everything that was received has been delivered.
    Closed(CloseReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A caller that has no cookie yet.
    Inducing,
    /// A caller that waits for the answer to its conclusion.
    Concluding,
    /// A rendezvous that has heard nothing.
    Waving,
    /// A rendezvous that knows who asks and who answers.
    Attention {
        initiator: bool,
    },
    /// A rendezvous that has answered and waits to hear that it was heard.
    Initiated,
    Open {
        initiator: bool,
    },
    Over,
}

struct Answer {
    kind: ControlType,
    destination: u32,
    body: Vec<u8>,
}

/// One connection that is opened from here.
///
/// Inputs: [`handle_datagram`](Self::handle_datagram) with what came from the remote address,
/// [`handle_timeout`](Self::handle_timeout), messages.
/// Outputs: `poll_*`, each until it gives none, then [`next_timeout`](Self::next_timeout).
/// Order: messages may be given once [`DialEvent::Connected`] was polled.
/// Limits: those of [`ConnectionConfig`].
pub struct Dialer {
    config: DialConfig,
    clock: Clock,
    remote: SocketAddr,
    socket: u32,
    first_out: Seq,
    /// Of a rendezvous: decides who asks.
    cookie: u32,
    stage: Stage,
    /// The handshake that is sent until it is answered.
    offer: Vec<u8>,
    offered_to: u32,
    again_at: Micros,
    gives_up_at: Micros,
    keys: Option<(Crypto, Vec<u8>)>,
    answers: VecDeque<Answer>,
    connection: Option<Connection>,
    event: VecDeque<DialEvent>,
    malformed: u64,
}

impl Dialer {
    /// A caller of the listener at `remote`; `secret` are 32 bytes of a cryptographic source.
    pub fn call(
        remote: SocketAddr,
        config: DialConfig,
        secret: &[u8; 32],
        now: Instant,
    ) -> Result<Self, DialError> {
        if config.stream_id.len() > MAX_STREAM_ID {
            return Err(DialError::LongStreamId);
        }
        let mut dialer = Self::new(remote, config, secret, now, Stage::Inducing);
        dialer.offer = dialer.induction();
        Ok(dialer)
    }

    /// One side of a rendezvous with `remote`, which does the same; `secret` as for a caller.
    pub fn rendezvous(
        remote: SocketAddr,
        config: DialConfig,
        secret: &[u8; 32],
        now: Instant,
    ) -> Result<Self, DialError> {
        if !config.stream_id.is_empty() {
            return Err(DialError::StreamIdInRendezvous);
        }
        let mut dialer = Self::new(remote, config, secret, now, Stage::Waving);
        dialer.offer = dialer.wave();
        Ok(dialer)
    }

    fn new(
        remote: SocketAddr,
        config: DialConfig,
        secret: &[u8; 32],
        now: Instant,
        stage: Stage,
    ) -> Self {
        let mut source = Source::new(secret);
        Self {
            clock: Clock::new(now),
            remote,
            socket: source.socket(),
            first_out: source.seq(),
            cookie: source.number(),
            stage,
            offer: Vec::new(),
            offered_to: 0,
            again_at: 0,
            gives_up_at: micros(config.timeout),
            config,
            keys: None,
            answers: VecDeque::new(),
            connection: None,
            event: VecDeque::new(),
            malformed: 0,
        }
    }

    /// A handshake of this side.
    fn handshake(&self, phase: Phase, cookie: u32) -> Handshake {
        let length = self.config.key_length.unwrap_or(KeyLength::Aes128);
        let encrypted = self.config.passphrase.is_some();
        Handshake {
            version: 5,
            encryption: if encrypted { length.advertised() } else { 0 },
            extension: 0,
            first: self.first_out,
            mtu: MTU,
            window: self.config.connection.window(),
            phase,
            socket: self.socket,
            cookie,
            address: self.remote.ip(),
        }
    }

    /// The conclusion of the side that asks; its keys are made once.
    fn request(&mut self, cookie: u32, advertised: u16) -> Result<Vec<u8>, RejectReason> {
        if self.config.key_length.is_none() {
            self.config.key_length = KeyLength::from_bytes(usize::from(advertised) * 8);
        }
        if let (Some(passphrase), None) = (&self.config.passphrase, &self.keys) {
            let length = self.config.key_length.unwrap_or(KeyLength::Aes128);
            let refresh = self.config.connection.key_refresh;
            let keys = Crypto::initiate(passphrase.clone(), self.config.mode, length, refresh);
            self.keys = Some(keys.map_err(|_| RejectReason::Internal)?);
        }
        let extensions = Extensions {
            request: Some(own_extension(&self.config.connection)),
            km_request: self.keys.as_ref().map(|(_, message)| message.clone()),
            stream_id: (!self.config.stream_id.is_empty()).then(|| self.config.stream_id.clone()),
            ..Extensions::default()
        };
        Ok(self.handshake(Phase::Conclusion, cookie).write(&extensions))
    }

    /// What is sent from now on until it is answered.
    fn offer(&mut self, body: Vec<u8>, to: u32, stage: Stage, now: Micros) {
        self.offer = body;
        self.offered_to = to;
        self.stage = stage;
        self.again_at = now;
    }

    fn answer(&mut self, kind: ControlType, destination: u32, body: Vec<u8>) {
        if self.answers.len() < MAX_ANSWERS {
            self.answers.push_back(Answer {
                kind,
                destination,
                body,
            });
        }
    }

    fn fail(&mut self, reason: RejectReason) {
        self.stage = Stage::Over;
        self.connection = None;
        self.event.push_back(DialEvent::Refused(reason));
    }

    /// Both sides agree.
    fn connect(&mut self, agreed: Agreed, now: Micros) {
        let connection = Connection::new(agreed, self.config.connection, 0, now, now);
        self.connection = Some(connection);
    }

    fn opened(&mut self, initiator: bool) {
        self.stage = Stage::Open { initiator };
        let encryption = self.connection.as_ref().and_then(Connection::encryption);
        self.event.push_back(DialEvent::Connected { encryption });
    }

    /// Takes a datagram from the remote address in; its payload is decrypted in place.
    pub fn handle_datagram(&mut self, datagram: &mut [u8], now: Instant) {
        let now = self.clock.micros(now);
        let Ok(header) = Header::parse(datagram) else {
            self.malformed += 1;
            return;
        };
        let destination = match header {
            Header::Data(header) => header.destination,
            Header::Control(header) => header.destination,
        };
        if let Header::Control(control) = header
            && control.kind == ControlType::Handshake
            && (destination == 0 || destination == self.socket)
        {
            self.handle_handshake(control.timestamp, &datagram[HEADER_LEN..], now);
            return;
        }
        if destination != self.socket {
            self.malformed += 1;
            return;
        }
        if self.stage == Stage::Initiated {
            // Whoever sends data has heard the answer.
            self.opened(false);
        }
        if let Some(connection) = &mut self.connection {
            connection.handle_packet(header, datagram, now);
        }
    }

    fn handle_handshake(&mut self, timestamp: u32, body: &[u8], now: Micros) {
        let Ok(handshake) = Handshake::parse(body) else {
            self.malformed += 1;
            return;
        };
        let rest = &body[BODY_LEN..];
        if let (Phase::Rejected(reason), false) = (handshake.phase, self.is_done()) {
            self.fail(reason);
            return;
        }
        match self.stage {
            Stage::Inducing => self.handle_induction(&handshake, now),
            Stage::Concluding => self.handle_conclusion(&handshake, rest, timestamp, now),
            Stage::Waving | Stage::Attention { .. } | Stage::Initiated => {
                self.handle_rendezvous(&handshake, rest, timestamp, now);
            }
            Stage::Open { initiator } => self.handle_repeated(&handshake, initiator),
            Stage::Over => {}
        }
    }

    /// Only what a rendezvous offers goes to a socket that is known.
    fn is_caller(&self) -> bool {
        self.offered_to == 0
    }

    fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Open { .. } | Stage::Over)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.micros(now);
        if !self.is_done() && now >= self.gives_up_at {
            self.fail(RejectReason::Timeout);
        }
        if let (Stage::Open { .. }, Some(connection)) = (self.stage, &mut self.connection) {
            connection.handle_timeout(now);
        }
        self.settle();
    }

    /// Notes that the connection has ended.
    fn settle(&mut self) {
        let ended = self.connection.as_ref().and_then(Connection::ended);
        if let (Some(reason), Stage::Open { .. }) = (ended, self.stage) {
            self.stage = Stage::Over;
            self.event.push_back(DialEvent::Closed(reason));
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest, once everything has been polled.
    pub fn next_timeout(&self) -> Option<Instant> {
        let next = match self.stage {
            Stage::Over => None,
            Stage::Open { .. } => self.connection.as_ref().and_then(Connection::deadline),
            _ => Some(self.again_at.min(self.gives_up_at)),
        };
        next.map(|at| self.clock.instant(at))
    }

    /// Writes the next datagram to be sent into `out`, which holds [`MAX_DATAGRAM`] bytes; gives its length.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let now = self.clock.micros(now);
        if out.len() < MAX_DATAGRAM {
            return None;
        }
        let control = |kind, destination| ControlHeader {
            kind,
            subtype: 0,
            info: 0,
            timestamp: now as u32,
            destination,
        };
        if let Some(answer) = self.answers.pop_front() {
            return Some(control(answer.kind, answer.destination).write(&answer.body, out));
        }
        if !self.is_done() {
            if self.again_at > now {
                return None;
            }
            self.again_at = now + AGAIN;
            let header = control(ControlType::Handshake, self.offered_to);
            return Some(header.write(&self.offer, out));
        }
        let len = self.connection.as_mut()?.poll_transmit(now, out);
        self.settle();
        len
    }

    /// The next message that is due.
    pub fn poll_message(&mut self, now: Instant) -> Option<Message<'_>> {
        let now = self.clock.micros(now);
        let Some(lost_before) = self.connection.as_mut()?.advance(now) else {
            self.settle();
            return None;
        };
        let payload = self.connection.as_ref()?.message();
        Some(Message {
            payload,
            lost_before,
        })
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<DialEvent> {
        self.event.pop_front()
    }

    /// Gives a message of one packet to be sent.
    pub fn send(&mut self, payload: &[u8], now: Instant) -> Result<(), SendError> {
        let now = self.clock.micros(now);
        match (self.stage, &mut self.connection) {
            (Stage::Open { .. }, Some(connection)) => connection.send(payload, now),
            _ => Err(SendError::Closed),
        }
    }

    /// Advertise a flow window of so many packets at most, or again what there is room for; as of
    /// [`Listener::limit_window`](crate::Listener::limit_window). False where the connection is not open.
    pub fn limit_window(&mut self, packets: Option<u32>) -> bool {
        match (self.stage, &mut self.connection) {
            (Stage::Open { .. }, Some(connection)) => {
                connection.limit_space(packets);
                true
            }
            _ => false,
        }
    }

    /// Ends the connection. What waits is forgotten.
    pub fn close(&mut self) {
        match (self.stage, &mut self.connection) {
            (Stage::Open { .. }, Some(connection)) => connection.close(),
            (Stage::Over, _) => {}
            _ => {
                self.stage = Stage::Over;
                self.event.push_back(DialEvent::Closed(CloseReason::Local));
            }
        }
    }

    /// What the connection has done; none before it is agreed.
    pub fn stats(&self) -> Option<Stats> {
        self.connection.as_ref().map(Connection::stats)
    }

    /// Datagrams that made no sense, or were for another socket.
    pub const fn malformed(&self) -> u64 {
        self.malformed
    }
}
