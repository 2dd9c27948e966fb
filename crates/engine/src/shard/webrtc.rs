//! Commands about WebRTC transports and their data channels, and what these transports tell.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use roomtone_sfu::TransportParams;
use roomtone_webrtc::{
    Candidate, CandidateKind, ChannelError, ChannelId, ChannelParameters, DtlsRole, Fingerprint,
    IceCredentials, IceMode, IceState, Protocol, Reliability, RemoteParameters, SystemRandom,
    TcpType, Transport, TransportConfig, TransportError, TransportEvent,
};
use rustc_hash::FxHashMap;

use super::commands::{Answered, DONE};
use super::objects::{Carrier, Object, Peer, TimerKey};
use super::{Panicked, Shard, guard};
use crate::failure::Failure;
use crate::ids;
use crate::values::{self, CloseReason, Command, CommandResult, DtlsState, ErrorCode, Event};

/// Candidates in one command.
const MAX_CANDIDATES: usize = 64;

impl Shard {
    pub(super) fn open_webrtc(&mut self, command: Command) -> Answered {
        let Command::OpenWebRtcTransport {
            router,
            ice_mode,
            sctp,
            max_message_size,
            cname,
        } = command
        else {
            return Err(Failure::invalid("not an open WebRTC transport command"));
        };
        let router = self.router(router)?;
        if self.candidates.is_empty() {
            return Err(Failure::wrong_state(
                "the engine listens on no address for WebRTC",
            ));
        }
        self.admit_transport()?;
        let credentials = self.fresh_credentials();
        let give_up = Duration::from_millis(self.shared.config.ice_timeout_ms);
        let config = TransportConfig {
            ice_mode: match ice_mode {
                values::IceMode::Lite => IceMode::Lite,
                values::IceMode::Full => IceMode::Full,
            },
            sctp,
            max_message_size: max_message_size as usize,
            connect_timeout: give_up,
            ..TransportConfig::lite(
                credentials.clone(),
                self.candidates.clone(),
                self.shared.certificate.clone(),
            )
        };
        let transport = Transport::new(config, self.now, Box::new(SystemRandom));
        let deadline = self.now + give_up;
        let carrier = Carrier::WebRtc(Box::new(Peer {
            transport,
            sctp,
            addresses: Vec::new(),
            ufrags: vec![credentials.ufrag.clone()],
            connections: Vec::new(),
            channels: FxHashMap::default(),
            give_up: Some(deadline),
            selected: None,
        }));
        let id = ids::allocate(self.index);
        let params = TransportParams {
            rtcp_cname: cname,
            reduced_size: true,
            ..TransportParams::default()
        };
        let slot = self
            .insert_transport(id, router, carrier, params)
            .inspect_err(|_| self.retract_transport())?;
        self.ufrags.insert(credentials.ufrag.clone(), slot);
        self.touch_transport(slot);
        let fingerprint = self.shared.certificate.fingerprint();
        Ok(Some(CommandResult::WebRtcTransportOpened {
            transport: id,
            ice_ufrag: credentials.ufrag,
            ice_pwd: credentials.pwd,
            candidates: self.told_candidates(),
            fingerprints: vec![values::Fingerprint {
                algorithm: fingerprint.hash().name().to_owned(),
                value: fingerprint.hex(),
            }],
        }))
    }

    /// Credentials whose user fragment names nobody else here.
    fn fresh_credentials(&self) -> IceCredentials {
        loop {
            let credentials = IceCredentials::generate(&mut SystemRandom);
            if !self.ufrags.contains_key(&credentials.ufrag) {
                return credentials;
            }
        }
    }

    fn told_candidates(&self) -> Vec<values::Candidate> {
        self.candidates.iter().map(told).collect()
    }

    /// The WebRTC peer of that id.
    fn peer(&mut self, id: u64) -> Result<(usize, &mut Peer), Failure> {
        let slot = self.transport(id)?;
        match &mut self.transports[slot].carrier {
            Carrier::WebRtc(peer) => Ok((slot, peer)),
            _ => Err(Failure::invalid("not a WebRTC transport")),
        }
    }

    pub(super) fn connect_webrtc(&mut self, command: Command) -> Answered {
        let Command::ConnectWebRtcTransport {
            transport,
            dtls_role,
            fingerprints,
            ice_ufrag,
            ice_pwd,
            ice_lite,
            candidates,
        } = command
        else {
            return Err(Failure::invalid("not a connect WebRTC transport command"));
        };
        if candidates.len() > MAX_CANDIDATES {
            return Err(Failure::new(
                ErrorCode::Limit,
                format!("more than {MAX_CANDIDATES} candidates"),
            ));
        }
        let now = self.now;
        let (slot, peer) = self.peer(transport)?;
        let remote = RemoteParameters {
            ice: credentials(ice_ufrag, ice_pwd)?,
            ice_lite,
            candidates: candidates.iter().filter_map(heard).collect(),
            dtls_role: match dtls_role {
                values::DtlsRole::Active => DtlsRole::Active,
                values::DtlsRole::Passive => DtlsRole::Passive,
            },
            fingerprints: usable_fingerprints(&fingerprints)?,
        };
        peer.transport.connect(remote, now)?;
        peer.give_up = None;
        self.touch_transport(slot);
        DONE
    }

    pub(super) fn add_candidates(
        &mut self,
        transport: u64,
        candidates: &[values::Candidate],
    ) -> Answered {
        let now = self.now;
        let (slot, peer) = self.peer(transport)?;
        for candidate in candidates.iter().filter_map(heard) {
            peer.transport.add_remote_candidate(&candidate, now)?;
        }
        self.touch_transport(slot);
        DONE
    }

    pub(super) fn restart_ice(
        &mut self,
        transport: u64,
        ufrag: Option<String>,
        pwd: Option<String>,
    ) -> Answered {
        let remote = credentials(ufrag, pwd)?;
        let fresh = self.fresh_credentials();
        let now = self.now;
        let (slot, peer) = self.peer(transport)?;
        peer.transport.restart_ice(fresh.clone(), now)?;
        if let Some(remote) = remote {
            peer.transport.set_remote_ice(remote, now)?;
        }
        peer.ufrags.push(fresh.ufrag.clone());
        self.ufrags.insert(fresh.ufrag.clone(), slot);
        self.touch_transport(slot);
        let candidates = self.told_candidates();
        Ok(Some(CommandResult::IceRestarted {
            ice_ufrag: fresh.ufrag,
            ice_pwd: fresh.pwd,
            candidates,
        }))
    }

    pub(super) fn open_channel(&mut self, command: Command) -> Answered {
        let Command::OpenChannel {
            transport,
            label,
            protocol,
            ordered,
            max_retransmits,
            max_lifetime_ms,
        } = command
        else {
            return Err(Failure::invalid("not an open channel command"));
        };
        let reliability = match (max_retransmits, max_lifetime_ms) {
            (None, None) => Reliability::Reliable,
            (Some(count), None) => Reliability::MaxRetransmits(count),
            (None, Some(ms)) => Reliability::MaxLifetimeMs(ms),
            (Some(_), Some(_)) => {
                return Err(Failure::invalid("max_retransmits excludes max_lifetime_ms"));
            }
        };
        let (now, id) = (self.now, ids::allocate(self.index));
        let (slot, peer) = self.peer(transport)?;
        if !peer.sctp {
            return Err(Failure::wrong_state(
                "the transport was opened without data channels",
            ));
        }
        let parameters = ChannelParameters {
            label,
            protocol,
            ordered,
            reliability,
            negotiated: None,
        };
        let stream = peer.transport.open_channel(parameters, now)?;
        peer.channels.insert(stream, id);
        self.insert_object(id, Object::Channel(slot, stream, false));
        self.touch_transport(slot);
        Ok(Some(CommandResult::ChannelOpening { channel: id }))
    }

    fn channel(&mut self, id: u64) -> Result<(usize, ChannelId, bool, &mut Peer), Failure> {
        let Some(Object::Channel(slot, stream, open)) = self.objects.get(&id) else {
            return Err(Failure::not_found("data channel", id));
        };
        let (slot, stream, open) = (*slot, *stream, *open);
        match &mut self.transports[slot].carrier {
            Carrier::WebRtc(peer) => Ok((slot, stream, open, peer)),
            _ => Err(Failure::not_found("data channel", id)),
        }
    }

    pub(super) fn send_message(&mut self, id: u64, data: &[u8], text: bool) -> Answered {
        let now = self.now;
        let (slot, stream, open, peer) = self.channel(id)?;
        if !open {
            return Err(Failure::wrong_state("the channel is not open"));
        }
        peer.transport.send_message(stream, !text, data, now)?;
        self.touch_transport(slot);
        DONE
    }

    pub(super) fn close_channel(&mut self, id: u64) -> Answered {
        self.channel(id)?;
        self.close_channel_of(id);
        DONE
    }

    /// Closes a channel and tells; nothing happens when it is gone.
    pub(super) fn close_channel_of(&mut self, id: u64) {
        let now = self.now;
        let Ok((slot, stream, _, peer)) = self.channel(id) else {
            return;
        };
        // A channel of an association that is gone is closed already.
        let _ = peer.transport.close_channel(stream, now);
        peer.channels.remove(&stream);
        self.remove_object(id);
        self.events.push(Event::ChannelClosed { channel: id });
        self.touch_transport(slot);
    }

    /// Takes events and datagrams of a transport that was touched, and arms its timer.
    pub(super) fn settle_transport(&mut self, slot: usize) {
        let entry = &mut self.transports[slot];
        entry.dirty = false;
        loop {
            let Some(Carrier::WebRtc(peer)) = self
                .transports
                .get_mut(slot)
                .map(|entry| &mut entry.carrier)
            else {
                return;
            };
            match guard(|| peer.transport.poll_event()) {
                Ok(Some(event)) => self.on_transport_event(slot, event),
                Ok(None) => break,
                Err(Panicked) => return self.transport_panicked(slot),
            }
        }
        if !self.send_own_datagrams(slot) {
            return;
        }
        self.update_writable(slot);
        let entry = &mut self.transports[slot];
        let Carrier::WebRtc(peer) = &entry.carrier else {
            return;
        };
        let deadline = [peer.transport.next_timeout(), peer.give_up]
            .into_iter()
            .flatten()
            .min();
        self.timers
            .arm(TimerKey::Transport(slot), &mut entry.armed, deadline);
    }

    /// Whether the transport is still there.
    fn send_own_datagrams(&mut self, slot: usize) -> bool {
        let mut buffer = std::mem::take(&mut self.transmit);
        let fine = loop {
            let Some(Carrier::WebRtc(peer)) = self
                .transports
                .get_mut(slot)
                .map(|entry| &mut entry.carrier)
            else {
                break false;
            };
            match guard(|| peer.transport.poll_transmit(&mut buffer)) {
                Ok(Some(transmit)) => {
                    let (protocol, remote) = (transmit.tuple.protocol, transmit.tuple.remote);
                    // Answers to our own checks carry no name: only the address tells whose they are.
                    if !self.addresses.contains_key(&(protocol, remote)) {
                        self.learn_address(slot, protocol, remote);
                    }
                    self.send_own(transmit.tuple, &buffer[..transmit.len]);
                }
                Ok(None) => break true,
                Err(Panicked) => {
                    self.transport_panicked(slot);
                    break false;
                }
            }
        };
        self.transmit = buffer;
        fine
    }

    fn on_transport_event(&mut self, slot: usize, event: TransportEvent) {
        let entry = &mut self.transports[slot];
        let id = entry.id;
        let Carrier::WebRtc(peer) = &mut entry.carrier else {
            return;
        };
        match event {
            TransportEvent::IceState(state) => {
                let pair = peer.selected.filter(|_| state == IceState::Connected);
                self.events.push(ice_event(id, state, pair));
            }
            TransportEvent::DtlsState(state) => {
                let connected = state == roomtone_webrtc::DtlsState::Connected;
                let profile = peer.transport.srtp_profile().filter(|_| connected);
                self.events.push(Event::DtlsStateChanged {
                    transport: id,
                    state: dtls_state(state),
                    srtp_profile: profile.map(|p| p.sdes_name().to_owned()),
                });
            }
            TransportEvent::Selected(tuple) => {
                let news = peer.selected.replace(tuple) != Some(tuple);
                self.learn_address(slot, tuple.protocol, tuple.remote);
                if news {
                    self.events
                        .push(ice_event(id, IceState::Connected, Some(tuple)));
                }
            }
            TransportEvent::Validated(tuple) => {
                self.learn_address(slot, tuple.protocol, tuple.remote);
            }
            TransportEvent::CredentialsRetired { ufrag } => {
                peer.ufrags.retain(|other| *other != ufrag);
                self.ufrags.remove(&ufrag);
            }
            TransportEvent::SrtpReady(_)
            | TransportEvent::SctpConnected
            | TransportEvent::ChannelBufferedLow { .. } => {}
            TransportEvent::SctpClosed { .. } => {
                let channels: Vec<u64> = peer.channels.values().copied().collect();
                for channel in channels {
                    self.close_channel_of(channel);
                }
            }
            TransportEvent::ChannelOpened {
                id: stream,
                parameters,
                ..
            } => {
                self.on_channel_opened(slot, stream, parameters);
            }
            TransportEvent::ChannelMessage {
                id: stream,
                binary,
                data,
            } => {
                if let Some(channel) = peer.channels.get(&stream).copied() {
                    self.events.push(Event::ChannelMessage {
                        channel,
                        data,
                        text: !binary,
                    });
                }
            }
            TransportEvent::ChannelClosed { id: stream } => {
                if let Some(channel) = peer.channels.remove(&stream) {
                    self.remove_object(channel);
                    self.events.push(Event::ChannelClosed { channel });
                }
            }
            TransportEvent::Closed { reason, detail } => {
                self.close_transport(slot, close_reason(reason), detail);
            }
        }
    }

    fn on_channel_opened(&mut self, slot: usize, stream: ChannelId, parameters: ChannelParameters) {
        let transport = self.transports[slot].id;
        let Carrier::WebRtc(peer) = &mut self.transports[slot].carrier else {
            return;
        };
        let channel = *peer
            .channels
            .entry(stream)
            .or_insert_with(|| ids::allocate(self.index));
        if self.objects.contains_key(&channel) {
            self.remove_object(channel);
        }
        self.insert_object(channel, Object::Channel(slot, stream, true));
        let (label, protocol) = (parameters.label, parameters.protocol);
        self.events.push(Event::ChannelOpened {
            transport,
            channel,
            label,
            protocol,
        });
    }

    /// Ends DTLS in order and sends what is left to send.
    pub(super) fn say_goodbye(&mut self, peer: &mut Peer) {
        let now = self.now;
        let mut buffer = std::mem::take(&mut self.transmit);
        let _ = guard(|| {
            peer.transport.close(now);
            while let Some(transmit) = peer.transport.poll_transmit(&mut buffer) {
                self.send_own(transmit.tuple, &buffer[..transmit.len]);
            }
        });
        self.transmit = buffer;
    }

    /// Takes a peer that is gone out of all tables.
    pub(super) fn forget_peer(&mut self, slot: usize, peer: &Peer) {
        for ufrag in &peer.ufrags {
            self.ufrags.remove(ufrag);
        }
        for address in &peer.addresses {
            if self.addresses.get(address) == Some(&slot) {
                self.addresses.remove(address);
            }
        }
        for channel in peer.channels.values() {
            self.remove_object(*channel);
        }
        for connection in &peer.connections {
            self.close_connection(*connection);
        }
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        let code = match &error {
            TransportError::Closed
            | TransportError::AlreadyConnected
            | TransportError::NotConnected
            | TransportError::NoKeys
            | TransportError::NoSctp
            | TransportError::BothIceLite => ErrorCode::WrongState,
            TransportError::TooManyCandidates => ErrorCode::Limit,
            TransportError::Channel(error) => match error {
                ChannelError::BufferFull => ErrorCode::QueueFull,
                ChannelError::TooMany => ErrorCode::Limit,
                ChannelError::LabelTooLong | ChannelError::MessageTooLarge => ErrorCode::Invalid,
                ChannelError::Unknown | ChannelError::InUse | ChannelError::Closed => {
                    ErrorCode::WrongState
                }
            },
            _ => ErrorCode::Invalid,
        };
        Self::new(code, error.to_string())
    }
}

fn credentials(
    ufrag: Option<String>,
    pwd: Option<String>,
) -> Result<Option<IceCredentials>, Failure> {
    match (ufrag, pwd) {
        (Some(ufrag), Some(pwd)) => Ok(Some(IceCredentials { ufrag, pwd })),
        (None, None) => Ok(None),
        _ => Err(Failure::invalid(
            "ICE user fragment and password come together",
        )),
    }
}

/// Hash functions nobody here knows are left out; one that is known must remain (RFC 8122 section 5).
fn usable_fingerprints(fingerprints: &[values::Fingerprint]) -> Result<Vec<Fingerprint>, Failure> {
    if fingerprints.is_empty() {
        return Err(Failure::invalid("no fingerprint"));
    }
    let mut usable = Vec::new();
    let mut wrong = None;
    for fingerprint in fingerprints {
        match Fingerprint::parse(&fingerprint.algorithm, &fingerprint.value) {
            Ok(parsed) => usable.push(parsed),
            Err(error) => wrong = Some(error),
        }
    }
    match wrong {
        Some(error) if usable.is_empty() => {
            Err(Failure::invalid(format!("no usable fingerprint: {error}")))
        }
        _ => Ok(usable),
    }
}

/// A candidate as signalling has it.
fn told(candidate: &Candidate) -> values::Candidate {
    let kind = match candidate.kind {
        CandidateKind::Host => "host",
        CandidateKind::ServerReflexive => "srflx",
        CandidateKind::PeerReflexive => "prflx",
        CandidateKind::Relayed => "relay",
    };
    values::Candidate {
        foundation: candidate.foundation.clone(),
        component: 1,
        protocol: candidate.protocol.to_string(),
        priority: candidate.priority,
        ip: candidate.address.ip().to_string(),
        port: candidate.address.port(),
        kind: kind.to_owned(),
        tcp_type: candidate.tcp_type.map(|tcp_type| {
            match tcp_type {
                TcpType::Active => "active",
                TcpType::Passive => "passive",
                TcpType::SimultaneousOpen => "so",
            }
            .to_owned()
        }),
    }
}

/// A candidate of the peer; `None` for those we cannot use: names instead of addresses (mDNS), other components,
/// other protocols. The peer's checks reach us without them.
fn heard(candidate: &values::Candidate) -> Option<Candidate> {
    let ip: IpAddr = candidate.ip.parse().ok()?;
    let protocol = match candidate.protocol.to_ascii_lowercase().as_str() {
        "udp" => Protocol::Udp,
        "tcp" => Protocol::Tcp,
        _ => return None,
    };
    let kind = match candidate.kind.as_str() {
        "host" => CandidateKind::Host,
        "srflx" => CandidateKind::ServerReflexive,
        "prflx" => CandidateKind::PeerReflexive,
        "relay" => CandidateKind::Relayed,
        _ => return None,
    };
    let tcp_type = match candidate.tcp_type.as_deref() {
        Some("active") => Some(TcpType::Active),
        Some("passive") => Some(TcpType::Passive),
        Some("so") => Some(TcpType::SimultaneousOpen),
        _ => None,
    };
    (candidate.component == 1).then(|| Candidate {
        foundation: candidate.foundation.clone(),
        protocol,
        priority: candidate.priority,
        address: SocketAddr::new(ip, candidate.port),
        kind,
        related: None,
        tcp_type,
        base: None,
    })
}

fn ice_event(transport: u64, state: IceState, pair: Option<roomtone_webrtc::FiveTuple>) -> Event {
    let state = match state {
        IceState::New => values::IceState::New,
        IceState::Checking => values::IceState::Checking,
        IceState::Connected => values::IceState::Connected,
        IceState::Disconnected => values::IceState::Disconnected,
        IceState::Failed => values::IceState::Failed,
        IceState::Closed => values::IceState::Closed,
    };
    Event::IceStateChanged {
        transport,
        state,
        protocol: pair.map(|tuple| tuple.protocol.to_string()),
        local: pair.map(|tuple| tuple.local.to_string()),
        remote: pair.map(|tuple| tuple.remote.to_string()),
    }
}

fn dtls_state(state: roomtone_webrtc::DtlsState) -> DtlsState {
    match state {
        roomtone_webrtc::DtlsState::New => DtlsState::New,
        roomtone_webrtc::DtlsState::Connecting => DtlsState::Connecting,
        roomtone_webrtc::DtlsState::Connected => DtlsState::Connected,
        roomtone_webrtc::DtlsState::Failed => DtlsState::Failed,
        roomtone_webrtc::DtlsState::Closed => DtlsState::Closed,
    }
}

fn close_reason(reason: roomtone_webrtc::CloseReason) -> CloseReason {
    use roomtone_webrtc::CloseReason as Reason;
    match reason {
        Reason::Local => CloseReason::Requested,
        Reason::PeerClosed => CloseReason::DtlsClosed,
        Reason::IceTimeout => CloseReason::IceTimeout,
        Reason::ConsentExpired => CloseReason::ConsentExpired,
        Reason::DtlsTimeout | Reason::DtlsFailed | Reason::DtlsNoSrtpProfile => {
            CloseReason::DtlsFailed
        }
        Reason::DtlsRsaUnsupported => CloseReason::DtlsRsaUnsupported,
        Reason::DtlsFingerprintMismatch => CloseReason::FingerprintMismatch,
    }
}
