//! The SCTP association: the crate `dcsctp` moves messages, this makes channels of them.
//!
//! Inputs: packets, commands, time. Outputs: packets and events, in the order they came about. Limits: channels, label
//! length, bytes to send, bytes received; messages stay in SCTP's window while the owner's event queue is full.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use dcsctp::api::{
    DcSctpSocket, LifecycleId, Message, Options, PpId, SendError, SendOptions, SocketEvent,
    SocketTime, StreamId,
};

use super::dcep::{self, ControlMessage};
use super::{ChannelId, ChannelParameters, MTU, Reliability};
use crate::config::TransportConfig;
use crate::error::ChannelError;
use crate::event::TransportEvent;
use crate::stats::{ChannelCounters, ChannelStats, ChannelStatus, TransportCounters};

/// Payload protocol identifiers (RFC 8831 section 8).
mod ppid {
    pub(super) const CONTROL: u32 = 50;
    pub(super) const TEXT: u32 = 51;
    pub(super) const BINARY: u32 = 53;
    pub(super) const TEXT_EMPTY: u32 = 56;
    pub(super) const BINARY_EMPTY: u32 = 57;
}

/// The last stream a channel may use; 65535 is reserved (RFC 8832 section 6).
pub(crate) const LAST_STREAM: u16 = 65_534;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChannelState {
    /// We sent the opening message and wait for its acknowledgement, or for the association.
    Opening,
    Open,
    /// Being reset, each direction by itself (RFC 8831 section 6.7).
    Closing {
        ours: bool,
        theirs: bool,
    },
}

#[derive(Debug)]
struct Channel {
    parameters: ChannelParameters,
    state: ChannelState,
    counters: ChannelCounters,
}

impl Channel {
    fn new(parameters: ChannelParameters, state: ChannelState) -> Self {
        Self {
            parameters,
            state,
            counters: ChannelCounters::default(),
        }
    }
}

pub(crate) enum SctpOutput {
    Packet(Vec<u8>),
    Event(TransportEvent),
}

pub(crate) struct Association {
    socket: Box<dyn DcSctpSocket>,
    epoch: Instant,
    channels: BTreeMap<u16, Channel>,
    output: VecDeque<SctpOutput>,
    /// The DTLS client opens even streams (RFC 8832 section 6).
    even: bool,
    connected: bool,
    ended: bool,
    channel_limit: usize,
    label_limit: usize,
    max_message_size: usize,
    /// Messages that may be given up, so far: each is followed by a number of its own.
    followed: u64,
}

impl Association {
    /// Starts the association; both sides do, SCTP resolves the crossing.
    pub(crate) fn new(config: &TransportConfig, dtls_client: bool, now: Instant) -> Self {
        let limits = &config.limits;
        let options = Options {
            mtu: MTU,
            max_message_size: config.max_message_size,
            max_receiver_window_buffer_size: limits.channel_receive_bytes,
            max_send_buffer_size: limits.channel_send_bytes,
            per_stream_send_queue_limit: limits.channel_send_bytes,
            ..Options::default()
        };
        let mut socket = dcsctp::new_socket("", &options);
        socket.connect();
        Self {
            socket,
            epoch: now,
            channels: BTreeMap::new(),
            output: VecDeque::new(),
            even: dtls_client,
            connected: false,
            ended: false,
            channel_limit: limits.channels,
            label_limit: limits.channel_label_bytes.min(usize::from(u16::MAX)),
            max_message_size: config.max_message_size,
            followed: 0,
        }
    }

    fn advance(&mut self, now: Instant) {
        self.socket
            .advance_time(SocketTime::zero() + now.saturating_duration_since(self.epoch));
    }

    pub(crate) fn handle_packet(&mut self, packet: &[u8], now: Instant) {
        self.advance(now);
        self.socket.handle_input(packet);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let after: Duration = self.socket.poll_timeout() - SocketTime::zero();
        self.epoch.checked_add(after)
    }

    pub(crate) fn channel_count(&self) -> usize {
        self.channels
            .values()
            .filter(|channel| channel.state == ChannelState::Open)
            .count()
    }

    pub(crate) fn open(
        &mut self,
        parameters: ChannelParameters,
        now: Instant,
    ) -> Result<ChannelId, ChannelError> {
        self.advance(now);
        if self.ended {
            return Err(ChannelError::Closed);
        }
        if self.channels.len() >= self.channel_limit {
            return Err(ChannelError::TooMany);
        }
        if parameters.label.len() > self.label_limit || parameters.protocol.len() > self.label_limit
        {
            return Err(ChannelError::LabelTooLong);
        }
        let stream = match parameters.negotiated {
            Some(stream) if stream > LAST_STREAM || self.channels.contains_key(&stream) => {
                return Err(ChannelError::InUse);
            }
            Some(stream) => stream,
            None => self.free_stream().ok_or(ChannelError::TooMany)?,
        };
        let mut state = ChannelState::Opening;
        if parameters.negotiated.is_none() {
            self.send_control(stream, dcep::write_open(&parameters))?;
        } else if self.connected {
            state = ChannelState::Open;
            self.opened(stream, false, parameters.clone());
        }
        self.channels
            .insert(stream, Channel::new(parameters, state));
        Ok(ChannelId(stream))
    }

    fn free_stream(&self) -> Option<u16> {
        let first = u16::from(!self.even);
        (first..=LAST_STREAM)
            .step_by(2)
            .find(|stream| !self.channels.contains_key(stream))
    }

    fn opened(&mut self, stream: u16, inbound: bool, parameters: ChannelParameters) {
        let event = TransportEvent::ChannelOpened {
            id: ChannelId(stream),
            inbound,
            parameters,
        };
        self.output.push_back(SctpOutput::Event(event));
    }

    fn send_control(&mut self, stream: u16, payload: Vec<u8>) -> Result<(), ChannelError> {
        let message = Message::new(StreamId(stream), PpId(ppid::CONTROL), payload);
        self.socket
            .send(message, &SendOptions::default())
            .map_err(|error| send_error(&error))
    }

    pub(crate) fn send(
        &mut self,
        id: ChannelId,
        binary: bool,
        data: &[u8],
        now: Instant,
    ) -> Result<(), ChannelError> {
        self.advance(now);
        let sent = self.try_send(id, binary, data);
        let Some(channel) = self.channels.get_mut(&id.0) else {
            return sent;
        };
        match sent {
            Ok(()) => {
                channel.counters.messages_sent += 1;
                channel.counters.bytes_sent += data.len() as u64;
            }
            Err(error) => {
                channel.counters.messages_refused += u64::from(error.is_for_want_of_space());
            }
        }
        sent
    }

    fn try_send(&mut self, id: ChannelId, binary: bool, data: &[u8]) -> Result<(), ChannelError> {
        let channel = self.channels.get(&id.0).ok_or(ChannelError::Unknown)?;
        if data.len() > self.max_message_size {
            return Err(ChannelError::MessageTooLarge);
        }
        let mut options = SendOptions::default();
        match channel.state {
            // Messages stay in order behind the opening message until it is acknowledged (RFC 8832 section 6).
            ChannelState::Opening => {}
            ChannelState::Open => options.unordered = !channel.parameters.ordered,
            ChannelState::Closing { .. } => return Err(ChannelError::Closed),
        }
        match channel.parameters.reliability {
            Reliability::Reliable => {}
            Reliability::MaxRetransmits(count) => options.max_retransmissions = Some(count),
            Reliability::MaxLifetimeMs(lifetime) => {
                options.lifetime = Some(Duration::from_millis(u64::from(lifetime)));
            }
        }
        if channel.parameters.reliability != Reliability::Reliable {
            self.followed += 1;
            options.lifecycle_id = LifecycleId::new((self.followed << 16) | u64::from(id.0));
        }
        // SCTP has no empty messages: one byte and an identifier of its own stand for it.
        let (kind, payload) = match (binary, data.is_empty()) {
            (false, false) => (ppid::TEXT, data.to_vec()),
            (true, false) => (ppid::BINARY, data.to_vec()),
            (false, true) => (ppid::TEXT_EMPTY, vec![0]),
            (true, true) => (ppid::BINARY_EMPTY, vec![0]),
        };
        let message = Message::new(StreamId(id.0), PpId(kind), payload);
        self.socket
            .send(message, &options)
            .map_err(|error| send_error(&error))
    }

    pub(crate) fn buffered_amount(&self, id: ChannelId) -> usize {
        self.socket.buffered_amount(StreamId(id.0))
    }

    /// A snapshot of a channel.
    pub(crate) fn channel_stats(&self, id: ChannelId) -> Option<ChannelStats> {
        let channel = self.channels.get(&id.0)?;
        Some(ChannelStats {
            parameters: channel.parameters.clone(),
            status: match channel.state {
                ChannelState::Opening => ChannelStatus::Connecting,
                ChannelState::Open => ChannelStatus::Open,
                ChannelState::Closing { .. } => ChannelStatus::Closing,
            },
            buffered_amount: self.buffered_amount(id),
            counters: channel.counters,
        })
    }

    pub(crate) fn close(&mut self, id: ChannelId, now: Instant) -> Result<(), ChannelError> {
        self.advance(now);
        let channel = self.channels.get_mut(&id.0).ok_or(ChannelError::Unknown)?;
        if matches!(channel.state, ChannelState::Closing { .. }) {
            return Ok(());
        }
        channel.state = ChannelState::Closing {
            ours: false,
            theirs: false,
        };
        self.reset(id.0);
        Ok(())
    }

    fn reset(&mut self, stream: u16) {
        if self.socket.reset_streams(&[StreamId(stream)]).is_err() {
            // Not connected, or the peer cannot reset: nothing more will be said about this stream.
            self.forget(stream);
        }
    }

    fn forget(&mut self, stream: u16) {
        if self.channels.remove(&stream).is_some() {
            let event = TransportEvent::ChannelClosed {
                id: ChannelId(stream),
            };
            self.output.push_back(SctpOutput::Event(event));
        }
    }

    /// Ends the association at once: the peer is told, nothing is waited for.
    pub(crate) fn shut(&mut self) {
        self.ended = true;
        self.socket.close();
    }

    /// Takes what the socket put out. Messages are taken only while the owner has space for `space` more events.
    pub(crate) fn drain(&mut self, space: usize, counters: &mut TransportCounters) {
        while let Some(event) = self.socket.poll_event() {
            self.on_event(event, counters);
        }
        let mut taken = 0;
        while taken < space
            && let Some(message) = self.socket.get_next_message()
        {
            taken += 1;
            self.on_message(message, counters);
        }
        // A message may have been answered.
        while let Some(event) = self.socket.poll_event() {
            self.on_event(event, counters);
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<SctpOutput> {
        self.output.pop_front()
    }

    fn on_event(&mut self, event: SocketEvent, counters: &mut TransportCounters) {
        match event {
            SocketEvent::SendPacket(packet) => self.output.push_back(SctpOutput::Packet(packet)),
            SocketEvent::OnConnected() => self.on_connected(),
            SocketEvent::OnClosed() => {
                self.on_ended("the peer shut the association down".to_owned());
            }
            SocketEvent::OnAborted(kind, text) => self.on_ended(format!("{kind:?}: {text}")),
            SocketEvent::OnError(..) => counters.sctp_errors += 1,
            SocketEvent::OnBufferedAmountLow(StreamId(stream))
                if self.channels.contains_key(&stream) =>
            {
                let event = TransportEvent::ChannelBufferedLow {
                    id: ChannelId(stream),
                };
                self.output.push_back(SctpOutput::Event(event));
            }
            SocketEvent::OnIncomingStreamReset(streams) => {
                for StreamId(stream) in streams {
                    self.on_reset(stream, false);
                }
            }
            SocketEvent::OnStreamsResetPerformed(streams) => {
                for StreamId(stream) in streams {
                    self.on_reset(stream, true);
                }
            }
            SocketEvent::OnLifecycleMessageExpired(message)
            | SocketEvent::OnLifecycleMessageMaybeExpired(message) => {
                counters.messages_expired += 1;
                // The number ends in that of the stream.
                let channel = self.channels.get_mut(&(message.value() as u16));
                if let Some(channel) = channel {
                    channel.counters.messages_expired += 1;
                }
            }
            SocketEvent::OnStreamsResetFailed(streams) => {
                counters.sctp_errors += 1;
                for StreamId(stream) in streams {
                    self.forget(stream);
                }
            }
            _ => {}
        }
    }

    fn on_connected(&mut self) {
        self.connected = true;
        self.output
            .push_back(SctpOutput::Event(TransportEvent::SctpConnected));
        let mut waiting = Vec::new();
        for (stream, channel) in &mut self.channels {
            if channel.parameters.negotiated.is_some() && channel.state == ChannelState::Opening {
                channel.state = ChannelState::Open;
                waiting.push((*stream, channel.parameters.clone()));
            }
        }
        for (stream, parameters) in waiting {
            self.opened(stream, false, parameters);
        }
    }

    fn on_ended(&mut self, detail: String) {
        if self.ended {
            return;
        }
        self.ended = true;
        let streams: Vec<u16> = self.channels.keys().copied().collect();
        for stream in streams {
            self.forget(stream);
        }
        self.output
            .push_back(SctpOutput::Event(TransportEvent::SctpClosed { detail }));
    }

    /// One direction of a stream was reset; the channel is gone when both are.
    fn on_reset(&mut self, stream: u16, ours_now: bool) {
        let Some(channel) = self.channels.get_mut(&stream) else {
            return;
        };
        let (ours, theirs, begun) = match channel.state {
            ChannelState::Closing { ours, theirs } => (ours || ours_now, theirs || !ours_now, true),
            _ => (ours_now, !ours_now, false),
        };
        channel.state = ChannelState::Closing { ours, theirs };
        if ours && theirs {
            self.forget(stream);
        } else if !begun && !ours {
            self.reset(stream);
        }
    }

    fn on_message(&mut self, message: Message, counters: &mut TransportCounters) {
        let (StreamId(stream), PpId(kind)) = (message.stream_id, message.ppid);
        if kind == ppid::CONTROL {
            self.on_control(stream, &message.payload, counters);
            return;
        }
        let channel = self.channels.get_mut(&stream).filter(|channel| {
            channel.state != ChannelState::Opening || channel.parameters.negotiated.is_none()
        });
        let (binary, data) = match kind {
            ppid::TEXT => (false, message.payload),
            ppid::BINARY => (true, message.payload),
            ppid::TEXT_EMPTY => (false, Vec::new()),
            ppid::BINARY_EMPTY => (true, Vec::new()),
            // Fragments by identifier (52, 54) are long deprecated.
            _ => {
                counters.channels_refused += 1;
                return;
            }
        };
        let Some(channel) = channel else {
            counters.channels_refused += 1;
            return;
        };
        channel.counters.messages_received += 1;
        channel.counters.bytes_received += data.len() as u64;
        counters.messages_received += 1;
        let event = TransportEvent::ChannelMessage {
            id: ChannelId(stream),
            binary,
            data,
        };
        self.output.push_back(SctpOutput::Event(event));
    }

    fn on_control(&mut self, stream: u16, payload: &[u8], counters: &mut TransportCounters) {
        match dcep::parse(payload) {
            Some(ControlMessage::Ack) => {
                let opening = self
                    .channels
                    .get_mut(&stream)
                    .filter(|channel| channel.state == ChannelState::Opening);
                if let Some(channel) = opening {
                    channel.state = ChannelState::Open;
                    let parameters = channel.parameters.clone();
                    self.opened(stream, false, parameters);
                }
            }
            Some(ControlMessage::Open(parameters)) if self.accepts(stream, &parameters) => {
                // Without room for the acknowledgement the peer keeps its messages ordered, which is harmless.
                if self.send_control(stream, dcep::ACK.to_vec()).is_err() {
                    counters.sctp_errors += 1;
                }
                self.channels
                    .insert(stream, Channel::new(parameters.clone(), ChannelState::Open));
                self.opened(stream, true, parameters);
            }
            _ => {
                counters.channels_refused += 1;
                if !self.channels.contains_key(&stream)
                    && self.socket.reset_streams(&[StreamId(stream)]).is_err()
                {
                    counters.sctp_errors += 1;
                }
            }
        }
    }

    fn accepts(&self, stream: u16, parameters: &ChannelParameters) -> bool {
        stream <= LAST_STREAM
            && !self.channels.contains_key(&stream)
            && self.channels.len() < self.channel_limit
            && parameters.label.len() <= self.label_limit
            && parameters.protocol.len() <= self.label_limit
    }
}

fn send_error(error: &SendError) -> ChannelError {
    match error {
        SendError::MessageTooLarge { .. } => ChannelError::MessageTooLarge,
        SendError::ResourceExhaustion => ChannelError::BufferFull,
        SendError::ShuttingDown | SendError::EmptyPayload => ChannelError::Closed,
    }
}
