//! The full role: the crate `is` checks pairs; around it the bounds, a restart that keeps the old path, and the log.
//!
//! Inputs: STUN messages, candidates, credentials, authenticated packets, time. Outputs: checks and responses,
//! validated and selected pairs, retired credentials. Limits: addresses heard from, remote candidates, two agents (one
//! more during a restart).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use is::stun::{StunMessage as AgentMessage, StunPacket};
use is::{IceAgent, IceAgentEvent, IceConnectionState, IceCreds};

use super::log::PairLog;
use super::{IceOutput, is_silent, selected_deadline, selected_state};
use crate::address::{FiveTuple, Protocol};
use crate::candidate::{Candidate, CandidateKind, IceCredentials, TcpType};
use crate::config::{RemoteParameters, TransportConfig};
use crate::error::TransportError;
use crate::event::IceState;
use crate::random::Random;
use crate::stats::TransportCounters;
use crate::stun::{StunClass, StunError, StunMessage};

/// The agent's own idle wake-up; it gives no deadline before its first run.
const FIRST_RUN: Duration = Duration::ZERO;

/// One generation of credentials.
struct Generation {
    agent: IceAgent,
    ufrag: String,
    /// Whether the agent knows the peer and may run.
    running: bool,
    next: Option<Instant>,
}

/// A pair from which something authentic came.
#[derive(Debug, Clone, Copy)]
struct HeardPair {
    tuple: FiveTuple,
    at: Instant,
}

pub(crate) struct FullAgent {
    /// The one in use and, during a restart, the next.
    generations: Vec<Generation>,
    local_candidates: Vec<Candidate>,
    validated: Vec<HeardPair>,
    selected: Option<FiveTuple>,
    /// When the peer last answered or sent something authentic.
    heard: Option<Instant>,
    output: VecDeque<IceOutput>,
    log: PairLog,
    controlling: bool,
    tie_breaker: u64,
    address_limit: usize,
    candidate_limit: usize,
    remote_candidates: usize,
    active_ignored: usize,
    /// The peer has said that no more candidates come (RFC 8838 section 14).
    remote_complete: bool,
    consent: Duration,
}

impl FullAgent {
    pub(crate) fn new(config: &TransportConfig, random: &mut dyn Random) -> Self {
        let mut full = Self {
            generations: Vec::new(),
            local_candidates: config.candidates.clone(),
            validated: Vec::new(),
            selected: None,
            heard: None,
            output: VecDeque::new(),
            log: PairLog::new(config.limits.pairs),
            controlling: config.controlling,
            tie_breaker: random.next_u64(),
            address_limit: config.limits.pairs.max(1),
            candidate_limit: config.limits.remote_candidates,
            remote_candidates: 0,
            active_ignored: 0,
            remote_complete: false,
            consent: config.consent_timeout,
        };
        let first = full.generation(config.local.clone());
        full.generations.push(first);
        full
    }

    fn generation(&self, local: IceCredentials) -> Generation {
        let ufrag = local.ufrag.clone();
        let mut agent = IceAgent::new(IceCreds {
            ufrag: local.ufrag,
            pass: local.pwd,
        });
        agent.set_control_tie_breaker(self.tie_breaker);
        agent.set_controlling(self.controlling);
        agent.set_max_candidate_pairs(self.address_limit * 2);
        for candidate in &self.local_candidates {
            // Link-local IPv4 and unspecified addresses are refused by the agent: they cannot be offered either.
            if let Ok(host) = is::Candidate::host(
                candidate.socket_address(),
                agent_protocol(candidate.protocol),
            ) {
                agent.add_local_candidate(host);
            }
        }
        Generation {
            agent,
            ufrag,
            running: false,
            next: None,
        }
    }

    pub(super) fn connect(
        &mut self,
        remote: &RemoteParameters,
        now: Instant,
    ) -> Result<(), TransportError> {
        let credentials = remote
            .ice
            .clone()
            .ok_or(TransportError::MissingIceCredentials)?;
        // A full agent facing a lite one is controlling (RFC 8445 section 6.1.1).
        self.controlling |= remote.ice_lite;
        for generation in &mut self.generations {
            generation.agent.set_controlling(self.controlling);
        }
        self.set_remote(credentials, now);
        for candidate in &remote.candidates {
            // Beyond the limit they are only not tried; the count is in the report.
            let _ = self.add_remote_candidate(candidate, now);
        }
        Ok(())
    }

    pub(super) fn add_remote_candidate(
        &mut self,
        candidate: &Candidate,
        now: Instant,
    ) -> Result<(), TransportError> {
        if candidate.tcp_type == Some(TcpType::Active) {
            // That side connects to us, from a port it does not know yet, and is found by its check (RFC 6544 section 7.1).
            self.active_ignored += 1;
            return Ok(());
        }
        if self.remote_candidates >= self.candidate_limit {
            return Err(TransportError::TooManyCandidates);
        }
        self.remote_candidates += 1;
        let Some(generation) = self.generations.last_mut() else {
            return Ok(());
        };
        generation
            .agent
            .add_remote_candidate(agent_candidate(candidate));
        if generation.running {
            generation.next = Some(now + FIRST_RUN);
        }
        Ok(())
    }

    /// Takes a local candidate that was found late: it is paired with all remote ones.
    pub(super) fn add_local_candidate(
        &mut self,
        candidate: Candidate,
        now: Instant,
    ) -> Result<(), TransportError> {
        if self.local_candidates.len() >= self.candidate_limit {
            return Err(TransportError::TooManyCandidates);
        }
        let host = is::Candidate::host(
            candidate.socket_address(),
            agent_protocol(candidate.protocol),
        )
        .map_err(|_| TransportError::UnusableCandidate)?;
        for generation in &mut self.generations {
            generation.agent.add_local_candidate(host.clone());
            if generation.running {
                generation.next = Some(now + FIRST_RUN);
            }
        }
        self.local_candidates.push(candidate);
        Ok(())
    }

    /// No more remote candidates come: once all pairs have failed, that is final.
    pub(super) fn end_of_candidates(&mut self) {
        self.remote_complete = true;
    }

    pub(super) fn set_remote(&mut self, remote: IceCredentials, now: Instant) {
        let Some(generation) = self.generations.last_mut() else {
            return;
        };
        generation.agent.set_remote_credentials(IceCreds {
            ufrag: remote.ufrag,
            pass: remote.pwd,
        });
        generation.running = true;
        generation.next = Some(now + FIRST_RUN);
    }

    pub(super) fn restart(&mut self, new: IceCredentials) {
        while self.generations.len() > 1 {
            if let Some(unused) = self.generations.pop() {
                self.output.push_back(IceOutput::Retired(unused.ufrag));
            }
        }
        self.remote_candidates = 0;
        self.remote_complete = false;
        let next = self.generation(new);
        self.generations.push(next);
    }

    pub(super) fn handle_stun(
        &mut self,
        tuple: FiveTuple,
        message: &StunMessage<'_>,
        datagram: &[u8],
        now: Instant,
        counters: &mut TransportCounters,
    ) -> Result<(), TransportError> {
        if message.class == StunClass::Indication {
            return Ok(());
        }
        let index = self
            .generation_for(message)
            .inspect_err(|_| self.log.refused(tuple))?;
        let known = self.is_known(tuple);
        if message.class == StunClass::Request
            && !known
            && self.validated.len() >= self.address_limit
        {
            counters.pairs_evicted += 1;
            return Err(TransportError::UnvalidatedSource);
        }
        let parsed = AgentMessage::parse(datagram).map_err(|_| StunError::Attribute)?;
        let packet = StunPacket {
            proto: agent_protocol(tuple.protocol),
            source: tuple.remote,
            destination: self.socket_address(tuple),
            message: parsed,
        };
        if !self.generations[index].agent.handle_packet(now, packet) {
            self.log.refused(tuple);
            return Err(StunError::Integrity.into());
        }
        if message.class == StunClass::Request {
            counters.stun_requests += 1;
            self.log.asked(tuple);
        } else {
            counters.stun_responses += 1;
            self.log.answered(tuple, message.error_code);
        }
        self.note_heard(tuple, now);
        if !known && self.validated.len() < self.address_limit {
            self.validated.push(HeardPair { tuple, at: now });
            self.output.push_back(IceOutput::Validated(tuple));
        }
        self.run(now, counters);
        Ok(())
    }

    /// Which generation a message is for: requests name it, responses belong to whoever asked.
    fn generation_for(&self, message: &StunMessage<'_>) -> Result<usize, StunError> {
        if message.class != StunClass::Request {
            // The agent knows its transactions; with two agents both are asked by integrity, the newest first.
            return self.responder(message).ok_or(StunError::UnexpectedResponse);
        }
        let (ours, _) = message
            .split_username()
            .ok_or(StunError::MissingCredentials)?;
        if !message.has_integrity() {
            return Err(StunError::MissingCredentials);
        }
        if message.priority.is_none() {
            return Err(StunError::Attribute);
        }
        self.generations
            .iter()
            .position(|generation| generation.ufrag == ours)
            .ok_or(StunError::UnknownUser)
    }

    fn responder(&self, message: &StunMessage<'_>) -> Option<usize> {
        self.generations.iter().rposition(|generation| {
            let Some(remote) = generation.agent.remote_credentials() else {
                return false;
            };
            // A 400 or 401 response carries no integrity (RFC 8489 section 9.1.3); the agent drops those itself.
            !message.has_integrity()
                || message.verify_integrity(&crate::stun::IntegrityKey::new(&remote.pass))
        })
    }

    /// The agent knows its sockets by their candidates' addresses; one bound to the wildcard is found by its port.
    fn socket_address(&self, tuple: FiveTuple) -> SocketAddr {
        let same = |candidate: &&Candidate| candidate.protocol == tuple.protocol;
        let mut candidates = self
            .local_candidates
            .iter()
            .filter(same)
            .map(Candidate::socket_address);
        if candidates.clone().any(|address| address == tuple.local) {
            return tuple.local;
        }
        candidates
            .find(|address| {
                address.port() == tuple.local.port() && address.is_ipv4() == tuple.local.is_ipv4()
            })
            .unwrap_or(tuple.local)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, counters: &mut TransportCounters) {
        self.run(now, counters);
    }

    /// Lets the agents do what is due and takes what they put out.
    fn run(&mut self, now: Instant, counters: &mut TransportCounters) {
        let mut index = 0;
        while index < self.generations.len() {
            let generation = &mut self.generations[index];
            if generation.running && generation.next.is_none_or(|next| next <= now) {
                generation.agent.handle_timeout(now);
            }
            self.drain(index, counters);
            let promoted = self.take_events(index, counters);
            let index_now = if promoted { 0 } else { index };
            let generation = &mut self.generations[index_now];
            if generation.running {
                // Queued requests are answered one a call; the agent's own pace bounds the rest.
                generation.next = generation.agent.poll_timeout();
            }
            index = index_now + 1;
        }
        self.leave_silent(now, counters);
    }

    /// A selected pair that is silent gives way to the one heard last. The agent itself would try it for twenty seconds.
    fn leave_silent(&mut self, now: Instant, counters: &mut TransportCounters) {
        let Some(selected) = self.selected else {
            return;
        };
        let heard = |pair: &&HeardPair| !is_silent(pair.at, self.consent, now);
        let live = self.validated.iter().filter(heard);
        // A pair that never answered here is judged by the agent alone.
        if !self.is_known(selected) || live.clone().any(|pair| pair.tuple == selected) {
            return;
        }
        if let Some(latest) = live.max_by_key(|pair| pair.at).copied() {
            self.log.left_silent(selected);
            counters.pair_changes += 1;
            self.selected = Some(latest.tuple);
            self.output.push_back(IceOutput::Selected(latest.tuple));
        }
    }

    fn is_known(&self, tuple: FiveTuple) -> bool {
        self.validated.iter().any(|pair| pair.tuple == tuple)
    }

    fn note_heard(&mut self, tuple: FiveTuple, now: Instant) {
        self.heard = Some(now);
        if let Some(pair) = self.validated.iter_mut().find(|pair| pair.tuple == tuple) {
            pair.at = now;
        }
    }

    fn drain(&mut self, index: usize, counters: &mut TransportCounters) {
        while let Some(transmit) = self.generations[index].agent.poll_transmit() {
            let protocol = if transmit.proto == is::Protocol::Udp {
                Protocol::Udp
            } else {
                Protocol::Tcp
            };
            let tuple = FiveTuple {
                protocol,
                local: transmit.source,
                remote: transmit.destination,
            };
            let bytes: Vec<u8> = transmit.contents.into();
            // A request has both class bits clear (RFC 8489 section 5).
            if bytes.len() > 1 && bytes[0] & 1 == 0 && bytes[1] & 0x10 == 0 {
                counters.stun_requests_sent += 1;
                self.log.sent(tuple);
            }
            self.output.push_back(IceOutput::Transmit(tuple, bytes));
        }
    }

    /// Whether this generation took over, which makes it the first.
    fn take_events(&mut self, index: usize, counters: &mut TransportCounters) -> bool {
        let mut nominated = None;
        while let Some(event) = self.generations[index].agent.poll_event() {
            if let IceAgentEvent::NominatedSend {
                proto,
                source,
                destination,
            } = event
            {
                let protocol = if proto == is::Protocol::Udp {
                    Protocol::Udp
                } else {
                    Protocol::Tcp
                };
                nominated = Some(FiveTuple {
                    protocol,
                    local: source,
                    remote: destination,
                });
            }
        }
        let Some(tuple) = nominated else { return false };
        if self.selected != Some(tuple) {
            counters.pair_changes += u64::from(self.selected.is_some());
            self.selected = Some(tuple);
            self.output.push_back(IceOutput::Selected(tuple));
        }
        for old in self.generations.drain(..index) {
            self.output.push_back(IceOutput::Retired(old.ufrag));
        }
        index > 0
    }

    pub(super) fn on_authenticated(&mut self, tuple: FiveTuple, now: Instant) {
        if self.is_validated(tuple) {
            self.note_heard(tuple, now);
        }
    }

    pub(super) fn is_validated(&self, tuple: FiveTuple) -> bool {
        self.selected == Some(tuple) || self.is_known(tuple)
    }

    pub(super) fn selected(&self) -> Option<FiveTuple> {
        self.selected
    }

    pub(super) fn next_timeout(&self, now: Instant) -> Option<Instant> {
        let checks = self
            .generations
            .iter()
            .filter(|generation| generation.running)
            .filter_map(|one| one.next);
        let silence = self
            .selected
            .and(self.heard)
            .map(|heard| selected_deadline(heard, self.consent, now));
        checks.chain(silence).min()
    }

    pub(super) fn state(&self, now: Instant) -> IceState {
        if let (Some(_), Some(heard)) = (self.selected, self.heard) {
            return selected_state(heard, self.consent, now);
        }
        match self
            .generations
            .first()
            .map(|generation| (generation.running, generation.agent.state()))
        {
            // The agent gives up on pairs one by one. Where another candidate may come, the transport's deadline decides
            // when that is final.
            Some((true, IceConnectionState::Disconnected)) if self.remote_complete => {
                IceState::Failed
            }
            Some((true, IceConnectionState::Disconnected)) => IceState::Disconnected,
            Some((true, _)) => IceState::Checking,
            _ => IceState::New,
        }
    }

    pub(super) fn output(&mut self) -> &mut VecDeque<IceOutput> {
        &mut self.output
    }

    pub(super) fn local_ufrag(&self) -> &str {
        self.generations
            .last()
            .map_or("", |generation| &generation.ufrag)
    }

    pub(super) fn report(&self) -> String {
        let controlling = self
            .generations
            .last()
            .map_or(self.controlling, |one| one.agent.controlling());
        let role = if controlling {
            "controlling"
        } else {
            "controlled"
        };
        let mut text = format!(
            "ICE full, {role}, {} remote candidates ({} connect to us{}): ",
            self.remote_candidates + self.active_ignored,
            self.active_ignored,
            if self.remote_complete {
                ", no more come"
            } else {
                ""
            }
        );
        self.log.write(&mut text, self.selected);
        text
    }
}

fn agent_protocol(protocol: Protocol) -> is::Protocol {
    match protocol {
        Protocol::Udp => is::Protocol::Udp,
        Protocol::Tcp => is::Protocol::Tcp,
    }
}

fn agent_candidate(candidate: &Candidate) -> is::Candidate {
    let kind = match candidate.kind {
        CandidateKind::Host => is::CandidateKind::Host,
        CandidateKind::ServerReflexive => is::CandidateKind::ServerReflexive,
        CandidateKind::PeerReflexive => is::CandidateKind::PeerReflexive,
        CandidateKind::Relayed => is::CandidateKind::Relayed,
    };
    is::Candidate::from_parts(
        candidate.foundation.clone(),
        1,
        agent_protocol(candidate.protocol),
        candidate.priority,
        candidate.address,
        kind,
        candidate.related,
        None,
        None,
    )
}
