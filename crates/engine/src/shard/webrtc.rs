//! Commands about WebRTC transports, and what these transports tell.

use std::time::Duration;

use roomtone_sfu::TransportParams;
use roomtone_webrtc::{
    DtlsRole, IceCredentials, IceMode, IceState, RemoteParameters, SystemRandom, Transport,
    TransportConfig, TransportEvent, is_stun,
};
use rustc_hash::FxHashMap;

use super::commands::{Answered, DONE};
use super::objects::{Carrier, Peer, TimerKey};
use super::translate::{
    self, close_reason, credentials, dtls_state, heard, ice_event, told, usable_fingerprints,
};
use super::{Panicked, Shard, guard};
use crate::failure::Failure;
use crate::ids;
use crate::values::{self, Command, CommandResult, ErrorCode, Event};

/// Candidates in one command.
const MAX_CANDIDATES: usize = 64;

/// Whether a datagram is a STUN error response (RFC 8489 section 5: both class bits are set).
fn is_refusal(datagram: &[u8]) -> bool {
    is_stun(datagram) && datagram[0] & 0x01 != 0 && datagram[1] & 0x10 != 0
}

impl Shard {
    pub(super) fn open_webrtc(&mut self, command: Command) -> Answered {
        let Command::OpenWebRtcTransport {
            router,
            ice_mode,
            sctp,
            max_message_size,
            cname,
            mixed_extensions,
            answer_timeout_ms,
            arrival_model,
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
        let deadline = self.now + answer_timeout_ms.map_or(give_up, Duration::from_millis);
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
            mixed_extensions,
            arrival_model: arrival_model.map(translate::arrival_model),
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

    /// Credentials whose user fragment names this shard and nobody else here.
    fn fresh_credentials(&self) -> IceCredentials {
        loop {
            let mut credentials = IceCredentials::generate(&mut SystemRandom);
            credentials
                .ufrag
                .insert_str(0, &ids::shard_prefix(self.index));
            if !self.ufrags.contains_key(&credentials.ufrag) {
                return credentials;
            }
        }
    }

    fn told_candidates(&self) -> Vec<values::Candidate> {
        self.candidates.iter().map(told).collect()
    }

    /// The WebRTC peer of that id.
    pub(super) fn peer(&mut self, id: u64) -> Result<(usize, &mut Peer), Failure> {
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
        complete: bool,
    ) -> Answered {
        let now = self.now;
        let (slot, peer) = self.peer(transport)?;
        for candidate in candidates.iter().filter_map(heard) {
            peer.transport.add_remote_candidate(&candidate, now)?;
        }
        if complete {
            peer.transport.end_of_candidates(now)?;
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

    /// Takes events and datagrams of a transport that was touched, and arms its timer.
    pub(super) fn settle_transport(&mut self, slot: usize) {
        let entry = &mut self.transports[slot];
        entry.dirty = false;
        if let Carrier::Plain(_) = &entry.carrier {
            return self.settle_plain(slot);
        }
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
                    // Answers to our own checks carry no name: only the address tells whose they are. A refusal is
                    // sent to anybody who forges a check, and teaches nothing.
                    let known = self.addresses.contains_key(&(protocol, remote));
                    if !known && !is_refusal(&buffer[..transmit.len]) {
                        self.learn_address(slot, protocol, remote);
                    }
                    self.dial_for_check(slot, transmit.tuple, &buffer[..transmit.len]);
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
                    self.tell_site(slot, tuple.remote.ip());
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
