//! One connection once its handshake is done: data, acknowledgements, loss reports, keys.

mod control;
mod output;
mod timers;

use crate::cipher::TAG_LEN;
use crate::config::ConnectionConfig;
use crate::crypto::Crypto;
use crate::keys::{CipherMode, KeyLength};
use crate::losses::Range;
use crate::pacing::Pacing;
use crate::packet::{DataHeader, HEADER_LEN, Header, KeyFlag, MAX_PAYLOAD};
use crate::receiving::{Arrival, ReceiveBuffer};
use crate::rtt::{AckHistory, Rtt};
use crate::sending::SendBuffer;
use crate::seq::{MESSAGE_MASK, Seq};
use crate::stats::Stats;
use crate::time::{Micros, micros};
use crate::tsbpd::TimeBase;
use std::collections::VecDeque;
use std::time::Duration;
use thiserror::Error;

/// Control packets that may wait to be sent; beyond, they are dropped and counted.
const MAX_CONTROL: usize = 64;
/// Ranges that may wait for an immediate loss report; the periodic one has the others.
const MAX_FRESH: usize = 32;
/// Time between full acknowledgements, and before the first.
const ACK_EVERY: Micros = 10_000;
/// Headers of IPv4 and UDP, which count to a frame.
const IP_UDP: usize = 28;
/// Packets between light acknowledgements.
const LIGHT_ACK_EVERY: u32 = 64;
/// Least time between periodic loss reports.
const REPORT_EVERY: Micros = 20_000;

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// It was closed here.
    Local,
    /// The peer said goodbye.
    Peer,
    /// The peer has been silent for too long.
    Idle,
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// The connection has ended.
    #[error("the connection has ended")]
    Closed,
    /// There is no such connection.
    #[error("no such connection")]
    Unknown,
    /// Nothing to send.
    #[error("an empty message")]
    Empty,
    /// Longer than one packet holds.
    #[error("a message longer than the {0} bytes of a packet")]
    Long(usize),
    /// As much waits as may wait.
    #[error("the send window is full")]
    Full,
    /// The crypto library failed.
    #[error("encryption failed")]
    Crypto,
}

/// What was received, in order and at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The payload of one packet.
    pub payload: &'a [u8],
    /// Packets lost right before it: given up here or by the sender.
    pub lost_before: u32,
}

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Encryption {
    /// How payloads are encrypted.
    pub mode: CipherMode,
    /// The length of the keys.
    pub length: KeyLength,
}

/// What both sides agreed on in the handshake.
pub(crate) struct Agreed {
    pub(crate) peer_socket: u32,
    /// The first packet that this side sends.
    pub(crate) first_out: Seq,
    /// The first that the peer sends.
    pub(crate) first_in: Seq,
    /// Packets in flight that the peer allows.
    pub(crate) peer_window: u32,
    /// The largest frame that the peer takes.
    pub(crate) peer_mtu: u32,
    pub(crate) latency_ms: u16,
    pub(crate) peer_latency_ms: u16,
    /// The peer stamps packets with the time of their origin: they are delivered by it.
    pub(crate) timed: bool,
    /// The peer gives up what is too late.
    pub(crate) peer_drops: bool,
    /// The time stamp of the peer's handshake.
    pub(crate) timestamp: u32,
    pub(crate) crypto: Option<Crypto>,
}

/// A control packet that waits to be sent.
enum Control {
    AckAck(u32),
    DropRequest(Range),
    KeyAnswer(Vec<u8>),
}

pub(crate) struct Connection {
    peer_socket: u32,
    /// When this side's clock showed zero.
    start: Micros,
    config: ConnectionConfig,
    crypto: Option<Crypto>,
    closed: Option<CloseReason>,
    shutdown_due: bool,

    receiving: ReceiveBuffer,
    time: Option<TimeBase>,
    latency: Micros,
    ack_history: AckHistory,
    /// The last acknowledgement that the peer is known to have.
    confirmed: Option<Seq>,
    ack_at: Option<Micros>,
    ack_due: bool,
    light_ack_due: bool,
    unacknowledged: u32,
    fresh: Vec<Range>,
    report_at: Option<Micros>,
    report_due: bool,
    rate_began: Micros,
    rate_packets: u32,
    rate_bytes: u64,
    packet_rate: u32,
    byte_rate: u32,

    sending: SendBuffer,
    pacing: Pacing,
    /// Room that is said to be here at most, whatever there is.
    space_limit: Option<usize>,
    peer_space: usize,
    peer_latency: Micros,
    /// The largest payload that the peer takes.
    largest: usize,
    /// How old a packet may become before it is given up; none where it may not.
    too_old: Option<Micros>,
    message: u32,
    probe_at: Option<Micros>,
    probe_after: Micros,

    rtt: Rtt,
    control: VecDeque<Control>,
    last_received: Micros,
    last_sent: Micros,
    stats: Stats,
}

impl Connection {
    /// A connection whose handshake is done. Its own clock began at `start`; the peer's handshake came at `came`.
    pub(crate) fn new(
        agreed: Agreed,
        config: ConnectionConfig,
        start: Micros,
        came: Micros,
        now: Micros,
    ) -> Self {
        let latency = Micros::from(agreed.latency_ms) * 1000;
        let peer_latency = Micros::from(agreed.peer_latency_ms) * 1000;
        Self {
            peer_socket: agreed.peer_socket,
            start,
            config,
            crypto: agreed.crypto,
            closed: None,
            shutdown_due: false,
            receiving: ReceiveBuffer::new(agreed.first_in, config.window() as usize),
            time: agreed
                .timed
                .then(|| TimeBase::new(agreed.timestamp, came, latency)),
            latency,
            ack_history: AckHistory::default(),
            confirmed: None,
            ack_at: None,
            ack_due: false,
            light_ack_due: false,
            unacknowledged: 0,
            fresh: Vec::with_capacity(MAX_FRESH),
            report_at: None,
            report_due: false,
            rate_began: now,
            rate_packets: 0,
            rate_bytes: 0,
            packet_rate: 0,
            byte_rate: 0,
            sending: SendBuffer::new(
                agreed.first_out,
                config.send_window.clamp(1, crate::config::MAX_WINDOW) as usize,
            ),
            pacing: Pacing::new(config.bandwidth, now),
            space_limit: None,
            peer_space: agreed.peer_window as usize,
            peer_latency,
            largest: (agreed.peer_mtu as usize).saturating_sub(IP_UDP + HEADER_LEN),
            too_old: agreed
                .peer_drops
                .then(|| (peer_latency * 5 / 4).max(1_000_000) + 2 * ACK_EVERY),
            message: 1,
            probe_at: None,
            probe_after: 0,
            rtt: Rtt::default(),
            control: VecDeque::new(),
            last_received: now,
            last_sent: now,
            stats: Stats::default(),
        }
    }

    pub(crate) fn encryption(&self) -> Option<Encryption> {
        self.crypto.as_ref().map(|crypto| Encryption {
            mode: crypto.mode(),
            length: crypto.length(),
        })
    }

    pub(crate) fn start(&self) -> Micros {
        self.start
    }

    pub(crate) fn last_received(&self) -> Micros {
        self.last_received
    }

    /// How long the oldest packet has waited that the peer has not acknowledged.
    pub(crate) fn backlog(&self, now: Micros) -> Micros {
        self.sending.oldest().map_or(0, |oldest| now - oldest)
    }

    /// This side's time stamp.
    fn timestamp(&self, now: Micros) -> u32 {
        (now - self.start) as u32
    }

    /// Takes a packet in. It is decrypted in place.
    pub(crate) fn handle_packet(&mut self, header: Header, packet: &mut [u8], now: Micros) {
        if self.closed.is_some() {
            return;
        }
        self.last_received = now;
        match header {
            Header::Data(header) => self.handle_data(header, packet, now),
            Header::Control(header) => self.handle_control(header, &packet[HEADER_LEN..], now),
        }
    }

    fn handle_data(&mut self, header: DataHeader, packet: &mut [u8], now: Micros) {
        if header.retransmitted {
            self.stats.retransmissions_received += 1;
        }
        let mut len = packet.len() - HEADER_LEN;
        if self.receiving.wants(header.seq) {
            let Some(opened) = self.open(header.key, packet) else {
                // Not taken for what it says to be: the sender's own may still come.
                self.stats.undecryptable += 1;
                return;
            };
            len = opened;
        }
        let payload = &packet[HEADER_LEN..HEADER_LEN + len];
        let (due, corrected) = match &mut self.time {
            Some(time) => time.delivery(header.timestamp, now),
            None => (now, false),
        };
        self.stats.clocks_corrected += u64::from(corrected);
        let arrival = self.receiving.insert(header.seq, due, payload);
        match arrival {
            Arrival::Duplicate => self.stats.duplicates += 1,
            Arrival::Late => self.stats.late += 1,
            Arrival::Beyond => self.stats.beyond += 1,
            Arrival::New(_) | Arrival::Recovered | Arrival::Restarted { .. } => {
                self.stats.received += 1;
                self.stats.received_bytes += len as u64;
                self.rate_packets += 1;
                self.rate_bytes += len as u64;
                self.note_unacknowledged(now);
            }
        }
        match arrival {
            Arrival::Recovered => self.stats.recovered += 1,
            Arrival::Restarted { skipped } => {
                self.stats.lost += u64::from(skipped);
                self.stats.dropped += u64::from(skipped);
            }
            Arrival::New(Some(range)) => {
                self.stats.lost += (range.1.since(range.0) + 1) as u64;
                if self.fresh.len() < MAX_FRESH {
                    self.fresh.push(range);
                }
                let interval = self.report_interval();
                self.report_at.get_or_insert(now + interval);
            }
            _ => {}
        }
    }

    /// Decrypts a payload in place; gives its length, none where it cannot be read.
    fn open(&self, flag: Option<KeyFlag>, packet: &mut [u8]) -> Option<usize> {
        match (&self.crypto, flag?) {
            (None, KeyFlag::Clear) => Some(packet.len() - HEADER_LEN),
            // Clear packets on an encrypted connection would be anybody's.
            (None, _) | (Some(_), KeyFlag::Clear) => None,
            (Some(crypto), flag) => crypto.open(flag, packet).ok(),
        }
    }

    fn note_unacknowledged(&mut self, now: Micros) {
        let at = now + ACK_EVERY;
        self.ack_at = Some(self.ack_at.map_or(at, |known| known.min(at)));
        self.unacknowledged += 1;
        if self.unacknowledged >= LIGHT_ACK_EVERY {
            self.unacknowledged = 0;
            self.light_ack_due = true;
        }
    }

    fn report_interval(&self) -> Micros {
        (self.rtt.with_margin() / 2).max(REPORT_EVERY)
    }

    /// The longest message.
    pub(crate) fn max_payload(&self) -> usize {
        let largest = self.largest.min(MAX_PAYLOAD);
        match &self.crypto {
            Some(crypto) if crypto.mode() == CipherMode::Gcm => largest.saturating_sub(TAG_LEN),
            _ => largest,
        }
    }

    /// Gives a message of one packet to be sent.
    pub(crate) fn send(&mut self, payload: &[u8], now: Micros) -> Result<(), SendError> {
        if self.closed.is_some() {
            return Err(SendError::Closed);
        }
        if payload.is_empty() {
            return Err(SendError::Empty);
        }
        let longest = self.max_payload();
        if payload.len() > longest {
            return Err(SendError::Long(longest));
        }
        self.drop_too_old(now);
        if self.sending.is_full() {
            self.stats.send_refused += 1;
            return Err(SendError::Full);
        }
        let mut packet = self.sending.take_spare();
        packet.resize(HEADER_LEN, 0);
        packet.extend_from_slice(payload);
        let header = DataHeader {
            seq: self.sending.next(),
            first: true,
            last: true,
            key: Some(self.crypto.as_ref().map_or(KeyFlag::Clear, Crypto::flag)),
            retransmitted: false,
            message: self.message,
            timestamp: self.timestamp(now),
            destination: self.peer_socket,
        };
        header.write(&mut packet);
        if let Some(crypto) = &mut self.crypto {
            crypto
                .seal(&mut packet, now)
                .map_err(|_| SendError::Crypto)?;
        }
        self.message = (self.message % MESSAGE_MASK) + 1;
        self.pacing.note_input(packet.len(), now);
        self.sending.push(packet, now);
        Ok(())
    }

    /// Delivers the next message if it is due; [`Connection::message`] has it then.
    pub(crate) fn advance(&mut self, now: Micros) -> Option<u32> {
        // Nothing that is missing comes any more once the peer is gone.
        let skips = self.config.too_late_drop || self.closed.is_some();
        let delivery = self.receiving.advance(now, skips)?;
        self.stats.delivered += 1;
        if delivery.skipped > 0 {
            self.stats.dropped += u64::from(delivery.skipped);
            self.ack_due = true;
            self.note_unacknowledged(now);
        }
        Some(delivery.lost)
    }

    /// The message that was delivered last.
    pub(crate) fn message(&self) -> &[u8] {
        self.receiving.message()
    }

    /// Ends the connection and says so to the peer. What waits is forgotten.
    pub(crate) fn close(&mut self) {
        if self.closed.is_none() {
            self.closed = Some(CloseReason::Local);
            self.shutdown_due = true;
            self.receiving.clear();
        }
    }

    /// Why the connection ended, once everything that was received has been delivered.
    pub(crate) fn ended(&self) -> Option<CloseReason> {
        self.closed
            .filter(|_| !self.shutdown_due && self.receiving.waiting() == 0)
    }

    pub(crate) fn stats(&self) -> Stats {
        let duration = |at: Micros| Duration::from_micros(at as u64);
        Stats {
            waiting: self.receiving.waiting(),
            missing: self.receiving.losses().count(),
            unacknowledged: self.sending.len(),
            rtt: duration(self.rtt.smoothed),
            rtt_variance: duration(self.rtt.variance),
            drift_us: self.time.map_or(0, |time| time.drift()),
            latency: duration(self.latency),
            peer_latency: duration(self.peer_latency),
            ..self.stats
        }
    }

    fn idle_timeout(&self) -> Micros {
        micros(self.config.idle_timeout)
    }
}
