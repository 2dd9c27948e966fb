//! DTLS-SRTP on plain transports (RFC 5764 without ICE): who may shake hands, and what becomes of it.
//!
//! RTP and RTCP have an association each where they have a port each (RFC 5764 section 4). As long as the peer's address is not
//! known, several senders may try to shake hands at once: the one that has the signalled certificate is the peer, and its
//! address is taken.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Instant;

use roomtone_srtp::Sealer;
use roomtone_webrtc::{Certificate, DtlsRole, DtlsSrtp, DtlsSrtpEvent, DtlsState, Fingerprint};

use super::mail::send_alone;
use super::objects::{Carrier, Plain, TimerKey};
use super::translate::{close_reason, dtls_state, usable_fingerprints};
use super::{Panicked, Shard, guard};
use crate::counters::Counters;
use crate::failure::Failure;
use crate::values::{self, CloseReason, DtlsParameters, Event};

/// Senders that may try to shake hands with one port at once while the peer's address is not known; more are strays.
const HANDSHAKES: usize = 4;
/// Datagrams kept of a peer that begins before it was named; more are dropped, the peer repeats them.
const EARLY: usize = 4;

/// DTLS of one plain transport.
pub(crate) struct PlainDtls {
    certificate: Arc<Certificate>,
    /// Set once the peer is named.
    peer: Option<NamedPeer>,
    early: Vec<(SocketAddr, bool, Vec<u8>)>,
    rtp: Component,
    /// Of the RTCP port, where there is one.
    rtcp: Option<Component>,
    state: DtlsState,
    /// Why the last handshake failed.
    failure: Option<(CloseReason, String)>,
}

#[derive(Clone, PartialEq, Eq)]
struct NamedPeer {
    role: DtlsRole,
    fingerprints: Vec<Fingerprint>,
    /// When to give up.
    until: Instant,
}

/// The handshakes on one port; only the peer's once it is known.
#[derive(Default)]
struct Component {
    handshakes: Vec<(SocketAddr, DtlsSrtp)>,
    is_ready: bool,
}

impl PlainDtls {
    pub(super) fn new(certificate: Arc<Certificate>, pair: bool) -> Self {
        Self {
            certificate,
            peer: None,
            early: Vec::new(),
            rtp: Component::default(),
            rtcp: pair.then(Component::default),
            state: DtlsState::New,
            failure: None,
        }
    }

    /// Whether the peer was named.
    pub(super) fn is_named(&self) -> bool {
        self.peer.is_some()
    }

    pub(crate) fn state(&self) -> DtlsState {
        self.state
    }

    fn component(&mut self, on_rtcp_port: bool) -> &mut Component {
        match &mut self.rtcp {
            Some(rtcp) if on_rtcp_port => rtcp,
            _ => &mut self.rtp,
        }
    }

    fn is_ready(&self) -> bool {
        self.rtp.is_ready && self.rtcp.as_ref().is_none_or(|rtcp| rtcp.is_ready)
    }

    fn next_timeout(&self) -> Option<Instant> {
        let handshakes = self.handshakes().filter_map(DtlsSrtp::next_timeout);
        let give_up = self.peer.as_ref().filter(|_| !self.is_ready());
        handshakes.chain(give_up.map(|peer| peer.until)).min()
    }

    /// The peer is at another address now.
    pub(super) fn follow(&mut self, remote: SocketAddr) {
        if let [(at, _)] = &mut self.rtp.handshakes[..] {
            *at = remote;
        }
    }

    fn handshakes(&self) -> impl Iterator<Item = &DtlsSrtp> {
        let rtcp = self.rtcp.iter().flat_map(|one| &one.handshakes);
        self.rtp.handshakes.iter().chain(rtcp).map(|(_, dtls)| dtls)
    }

    fn each(&mut self) -> impl Iterator<Item = &mut DtlsSrtp> {
        let rtcp = self.rtcp.iter_mut().flat_map(|one| &mut one.handshakes);
        let all = self.rtp.handshakes.iter_mut().chain(rtcp);
        all.map(|(_, dtls)| dtls)
    }
}

impl Plain {
    /// Refuses what no handshake can come of, before anything has changed.
    pub(super) fn check_dtls(
        &self,
        parameters: Option<&DtlsParameters>,
        to: Option<SocketAddr>,
    ) -> Result<(), Failure> {
        let named = self.dtls.as_ref().is_some_and(|dtls| dtls.is_named());
        match parameters {
            None if named => Ok(()),
            None => Err(Failure::invalid("the peer's fingerprints are missing")),
            Some(parameters) => {
                usable_fingerprints(&parameters.fingerprints)?;
                if parameters.role == values::DtlsRole::Active && to.is_none() {
                    return Err(Failure::invalid(
                        "the DTLS client needs the address of its server",
                    ));
                }
                Ok(())
            }
        }
    }

    /// Names the peer; the same one again changes nothing. Another certificate or role begins anew, and until it is
    /// agreed on new keys nothing passes.
    pub(super) fn name_peer(
        &mut self,
        parameters: &DtlsParameters,
        now: Instant,
        until: Instant,
    ) -> Result<(), Failure> {
        let Some(dtls) = &mut self.dtls else {
            return Err(Failure::invalid("the transport was opened without DTLS"));
        };
        let fingerprints = usable_fingerprints(&parameters.fingerprints)?;
        let role = match parameters.role {
            values::DtlsRole::Active => DtlsRole::Active,
            values::DtlsRole::Passive => DtlsRole::Passive,
        };
        let is_same = dtls
            .peer
            .as_ref()
            .is_some_and(|peer| peer.role == role && peer.fingerprints == fingerprints);
        if !is_same {
            (self.sealer, self.opener, self.rtcp_keys) = (None, None, None);
            let early = std::mem::take(&mut dtls.early);
            **dtls = PlainDtls::new(dtls.certificate.clone(), dtls.rtcp.is_some());
            dtls.early = early;
            dtls.peer = Some(NamedPeer {
                role,
                fingerprints,
                until,
            });
        }
        self.begin(now);
        let early = self
            .dtls
            .as_mut()
            .map(|dtls| std::mem::take(&mut dtls.early));
        for (from, on_rtcp_port, datagram) in early.into_iter().flatten() {
            self.handle_dtls(from, on_rtcp_port, &datagram, now);
        }
        Ok(())
    }

    /// As the client, shakes hands with every port whose address is known and that has none yet.
    pub(super) fn begin(&mut self, now: Instant) {
        let addresses = [self.latch.remote(), self.latch.rtcp_remote()];
        let Some(dtls) = &mut self.dtls else { return };
        let Some(peer) = dtls.peer.clone() else {
            return;
        };
        if peer.role != DtlsRole::Active {
            return;
        }
        for (address, on_rtcp_port) in addresses.into_iter().zip([false, true]) {
            let (Some(address), true) = (address, !on_rtcp_port || dtls.rtcp.is_some()) else {
                continue;
            };
            let certificate = dtls.certificate.clone();
            let component = dtls.component(on_rtcp_port);
            if component.is_ready || component.handshakes.iter().any(|(at, _)| *at == address) {
                continue;
            }
            // Whoever was shaken hands with at another address was told to us wrongly.
            component.handshakes.clear();
            let begun = DtlsSrtp::new(&certificate, peer.role, peer.fingerprints.clone(), now);
            component.handshakes.push((address, begun));
        }
    }

    /// Takes a datagram of DTLS; whether it may be the peer's.
    pub(super) fn handle_dtls(
        &mut self,
        from: SocketAddr,
        on_rtcp_port: bool,
        datagram: &[u8],
        now: Instant,
    ) -> bool {
        let is_peer = self.latch.is_peer_or_unknown(from, on_rtcp_port);
        let Some(dtls) = &mut self.dtls else {
            return false;
        };
        let Some(peer) = dtls.peer.clone() else {
            let is_kept = is_peer && dtls.early.len() < EARLY;
            if is_kept {
                dtls.early.push((from, on_rtcp_port, datagram.to_vec()));
            }
            return is_kept;
        };
        let certificate = dtls.certificate.clone();
        let component = dtls.component(on_rtcp_port);
        let known = component.handshakes.iter_mut().find(|(at, _)| *at == from);
        if let Some((_, handshake)) = known {
            handshake.handle_datagram(datagram, now);
            return true;
        }
        let waits = peer.role != DtlsRole::Active && !component.is_ready;
        if !is_peer || !waits || component.handshakes.len() >= HANDSHAKES {
            return false;
        }
        let mut begun = DtlsSrtp::new(&certificate, peer.role, peer.fingerprints, now);
        begun.handle_datagram(datagram, now);
        component.handshakes.push((from, begun));
        true
    }

    /// Sends what the handshakes have to send and takes what came of them.
    fn settle_dtls(&mut self, counters: &Counters) -> Vec<Outcome> {
        let sockets = self.sockets();
        let mut outcomes = Vec::new();
        for on_rtcp_port in [false, true] {
            let Some(dtls) = &mut self.dtls else { break };
            if on_rtcp_port && dtls.rtcp.is_none() {
                continue;
            }
            let component = dtls.component(on_rtcp_port);
            let mut ready = None;
            let mut failed = Vec::new();
            for (at, handshake) in &mut component.handshakes {
                while let Some(datagram) = handshake.poll_transmit() {
                    send_alone(sockets[usize::from(on_rtcp_port)], *at, &datagram, counters);
                }
                while let Some(event) = handshake.poll_event() {
                    match event {
                        DtlsSrtpEvent::Ready { sealer, opener } => {
                            ready = Some((*at, sealer, opener));
                        }
                        DtlsSrtpEvent::Ended { reason, detail } => {
                            failed.push((*at, reason, detail));
                        }
                    }
                }
            }
            for (at, reason, detail) in failed {
                let was_peer = component.is_ready;
                component.handshakes.retain(|(other, _)| *other != at);
                outcomes.push(Outcome::Ended {
                    was_peer,
                    at,
                    reason: close_reason(reason),
                    detail,
                });
            }
            if let Some((at, sealer, opener)) = ready {
                component.is_ready = true;
                component.handshakes.retain(|(other, _)| *other == at);
                if on_rtcp_port {
                    self.latch.heard_rtcp(at);
                    self.rtcp_keys = Some((*sealer, *opener));
                } else {
                    let news = self.latch.remote() != Some(at);
                    (self.sealer, self.opener) = (Some(*sealer), Some(*opener));
                    if news {
                        self.latch.set_remote(at, None);
                        outcomes.push(Outcome::Learnt(at));
                    }
                }
            }
        }
        outcomes
    }

    /// Tells the peer that DTLS ends.
    pub(super) fn close_dtls(&mut self, now: Instant, counters: &Counters) {
        if let Some(dtls) = &mut self.dtls {
            dtls.each().for_each(|handshake| handshake.close(now));
        }
        self.settle_dtls(counters);
    }

    /// Of RTP and RTCP.
    fn sockets(&self) -> [RawFd; 2] {
        let rtp = self.rtp.as_raw_fd();
        let rtcp = self.rtcp.as_ref().map(|(socket, _)| socket.as_raw_fd());
        [rtp, rtcp.unwrap_or(rtp)]
    }
}

/// What handshakes came to.
enum Outcome {
    /// The peer is there.
    Learnt(SocketAddr),
    /// One is over.
    Ended {
        /// It had agreed on keys.
        was_peer: bool,
        at: SocketAddr,
        reason: CloseReason,
        detail: String,
    },
}

impl Shard {
    /// Takes what a plain transport's handshakes have come to, and arms its timer.
    pub(super) fn settle_plain(&mut self, slot: usize) {
        let counters = self.counters.clone();
        let Carrier::Plain(plain) = &mut self.transports[slot].carrier else {
            return;
        };
        if plain.dtls.is_none() {
            return;
        }
        let Ok(outcomes) = guard(|| plain.settle_dtls(&counters)) else {
            return self.transport_panicked(slot);
        };
        for outcome in outcomes {
            match outcome {
                Outcome::Learnt(at) => self.tell_learnt(slot, at),
                Outcome::Ended {
                    was_peer,
                    at,
                    reason,
                    detail,
                } => {
                    let Carrier::Plain(plain) = &mut self.transports[slot].carrier else {
                        return;
                    };
                    let told = plain
                        .latch
                        .remote()
                        .is_some_and(|known| known.ip() == at.ip());
                    if was_peer || told {
                        return self.end_dtls(slot, reason, detail);
                    }
                    // Somebody else tried; the peer may still come.
                    if let Some(dtls) = &mut plain.dtls {
                        dtls.failure = Some((reason, detail));
                    }
                }
            }
        }
        self.tell_dtls_state(slot);
        self.update_repeats(slot);
        self.update_writable(slot);
        let entry = &mut self.transports[slot];
        if let Carrier::Plain(plain) = &entry.carrier {
            let deadline = plain.dtls.as_ref().and_then(|dtls| dtls.next_timeout());
            self.timers
                .arm(TimerKey::Transport(slot), &mut entry.armed, deadline);
        }
    }

    fn tell_dtls_state(&mut self, slot: usize) {
        let entry = &mut self.transports[slot];
        let Carrier::Plain(plain) = &mut entry.carrier else {
            return;
        };
        let Some(dtls) = &mut plain.dtls else { return };
        let state = match &dtls.peer {
            None => DtlsState::New,
            Some(_) if dtls.is_ready() => DtlsState::Connected,
            Some(_) if dtls.handshakes().next().is_none() => DtlsState::New,
            Some(_) => DtlsState::Connecting,
        };
        if state == dtls.state {
            return;
        }
        dtls.state = state;
        let profile = plain.sealer.as_ref().map(Sealer::profile);
        self.events.push(Event::DtlsStateChanged {
            transport: entry.id,
            state: dtls_state(state),
            srtp_profile: profile
                .filter(|_| state == DtlsState::Connected)
                .map(|profile| profile.sdes_name().to_owned()),
        });
    }

    fn end_dtls(&mut self, slot: usize, reason: CloseReason, detail: String) {
        let state = match reason {
            CloseReason::DtlsClosed => values::DtlsState::Closed,
            _ => values::DtlsState::Failed,
        };
        self.events.push(Event::DtlsStateChanged {
            transport: self.transports[slot].id,
            state,
            srtp_profile: None,
        });
        self.close_transport(slot, reason, detail);
    }

    /// A timer of a plain transport's handshakes has fired.
    pub(super) fn on_plain_timer(&mut self, slot: usize) {
        let now = self.now;
        let Some(Carrier::Plain(plain)) = self
            .transports
            .get_mut(slot)
            .map(|entry| &mut entry.carrier)
        else {
            return;
        };
        let Some(dtls) = &mut plain.dtls else { return };
        let is_late = dtls.peer.as_ref().is_some_and(|peer| peer.until <= now);
        if is_late && !dtls.is_ready() {
            let (reason, detail) = dtls.failure.take().unwrap_or((
                CloseReason::DtlsFailed,
                "the peer shook no hands in time".to_owned(),
            ));
            return self.end_dtls(slot, reason, detail);
        }
        let run = guard(|| dtls.each().for_each(|one| one.handle_timeout(now)));
        if let Err(Panicked) = run {
            return self.transport_panicked(slot);
        }
        self.touch_transport(slot);
    }
}
