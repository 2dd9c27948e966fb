//! The lite responder (RFC 8445 section 2.5): answers checks, follows the peer's nomination.
//!
//! Inputs: authentic checks, refused ones, authenticated packets, time. Outputs: responses, validated and selected
//! pairs, retired credentials. Order: the response to a check precedes what follows from it. Limits: pairs, two sets
//! of credentials.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::log::PairLog;
use super::{IceOutput, is_silent, selected_deadline, selected_state};
use crate::address::FiveTuple;
use crate::candidate::{Candidate, IceCredentials};
use crate::config::{RemoteParameters, TransportConfig};
use crate::error::TransportError;
use crate::event::IceState;
use crate::stats::TransportCounters;
use crate::stun::{BINDING, IntegrityKey, StunClass, StunError, StunMessage, StunWriter};

/// Credentials the peer may use: the current ones and, during a restart, the next.
#[derive(Debug)]
struct CredentialSet {
    local: IceCredentials,
    key: IntegrityKey,
    remote: Option<IceCredentials>,
    /// Counts restarts; a nomination of a later generation beats one of an earlier.
    generation: u32,
}

/// An address pair from which an authentic check came.
#[derive(Debug)]
struct LitePair {
    tuple: FiveTuple,
    priority: u32,
    /// Whether its last check carried USE-CANDIDATE.
    nominating: bool,
    generation: u32,
    heard: Instant,
}

pub(crate) struct LiteAgent {
    sets: Vec<CredentialSet>,
    pairs: Vec<LitePair>,
    /// Index into `pairs`.
    selected: Option<usize>,
    output: VecDeque<IceOutput>,
    log: PairLog,
    pair_limit: usize,
    candidate_limit: usize,
    remote_candidates: usize,
    consent: Duration,
}

impl LiteAgent {
    pub(crate) fn new(config: &TransportConfig) -> Self {
        let set = CredentialSet {
            key: IntegrityKey::new(&config.local.pwd),
            local: config.local.clone(),
            remote: None,
            generation: 0,
        };
        Self {
            sets: vec![set],
            pairs: Vec::new(),
            selected: None,
            output: VecDeque::new(),
            log: PairLog::new(config.limits.pairs),
            pair_limit: config.limits.pairs.max(1),
            candidate_limit: config.limits.remote_candidates,
            remote_candidates: 0,
            consent: config.consent_timeout,
        }
    }

    pub(super) fn connect(&mut self, remote: &RemoteParameters) -> Result<(), TransportError> {
        if remote.ice_lite {
            return Err(TransportError::BothIceLite);
        }
        if let Some(credentials) = &remote.ice {
            self.set_remote(credentials.clone());
        }
        self.remote_candidates = remote.candidates.len().min(self.candidate_limit);
        Ok(())
    }

    /// A lite agent sends no checks, so it only counts candidates for the report.
    pub(super) fn add_remote_candidate(
        &mut self,
        _candidate: &Candidate,
    ) -> Result<(), TransportError> {
        if self.remote_candidates >= self.candidate_limit {
            return Err(TransportError::TooManyCandidates);
        }
        self.remote_candidates += 1;
        Ok(())
    }

    pub(super) fn set_remote(&mut self, remote: IceCredentials) {
        if let Some(newest) = self.sets.last_mut() {
            newest.remote = Some(remote);
        }
    }

    pub(super) fn restart(&mut self, new: IceCredentials) {
        let generation = self.sets.last().map_or(0, |set| set.generation + 1);
        // A restart on top of one that never completed: that one's credentials were never used.
        while self.sets.len() > 1 {
            if let Some(unused) = self.sets.pop() {
                self.output
                    .push_back(IceOutput::Retired(unused.local.ufrag));
            }
        }
        self.sets.push(CredentialSet {
            key: IntegrityKey::new(&new.pwd),
            local: new,
            remote: None,
            generation,
        });
    }

    pub(super) fn handle_stun(
        &mut self,
        tuple: FiveTuple,
        message: &StunMessage<'_>,
        now: Instant,
        counters: &mut TransportCounters,
    ) -> Result<(), TransportError> {
        match message.class {
            StunClass::Request => {}
            // A keepalive (RFC 8445 section 11): unauthenticated, proves nothing, wants nothing.
            StunClass::Indication => return Ok(()),
            StunClass::Success | StunClass::Error => {
                return Err(StunError::UnexpectedResponse.into());
            }
        }
        match self.check(message) {
            Ok(set) => {
                let generation = self.sets[set].generation;
                let response = StunWriter::binding(StunClass::Success, &message.transaction)
                    .mapped_address(tuple.remote)
                    .integrity(&self.sets[set].key)
                    .finish();
                self.output.push_back(IceOutput::Transmit(tuple, response));
                counters.stun_requests += 1;
                self.on_check(tuple, message, generation, now, counters);
                Ok(())
            }
            Err(refusal) => {
                self.log.refused(tuple);
                self.refuse(tuple, message, refusal, counters);
                Err(refusal.error.into())
            }
        }
    }

    /// Finds the credentials of a request and authenticates it.
    fn check(&self, message: &StunMessage<'_>) -> Result<usize, Refusal> {
        if message.method != BINDING {
            return Err(Refusal {
                code: 400,
                set: None,
                error: StunError::Method,
            });
        }
        // RFC 8489 section 9.1.3: 400 for missing, 401 for wrong credentials, both without integrity.
        let (Some((ours, theirs)), true) = (message.split_username(), message.has_integrity())
        else {
            return Err(Refusal {
                code: 400,
                set: None,
                error: StunError::MissingCredentials,
            });
        };
        let unknown = Refusal {
            code: 401,
            set: None,
            error: StunError::UnknownUser,
        };
        let index = self
            .sets
            .iter()
            .position(|set| set.local.ufrag == ours)
            .ok_or(unknown)?;
        let set = &self.sets[index];
        if set
            .remote
            .as_ref()
            .is_some_and(|remote| remote.ufrag != theirs)
        {
            return Err(unknown);
        }
        if !message.verify_integrity(&set.key) {
            return Err(Refusal {
                code: 401,
                set: None,
                error: StunError::Integrity,
            });
        }
        if !message.unknown_attributes().is_empty() {
            return Err(Refusal {
                code: 420,
                set: Some(index),
                error: StunError::UnknownAttribute,
            });
        }
        // A lite agent is always controlled, whatever the tie-breaker says: the peer has to switch (RFC 8445 section 7.3.1.1).
        if message.controlled.is_some() {
            return Err(Refusal {
                code: 487,
                set: Some(index),
                error: StunError::RoleConflict,
            });
        }
        Ok(index)
    }

    fn refuse(
        &mut self,
        tuple: FiveTuple,
        message: &StunMessage<'_>,
        refusal: Refusal,
        counters: &mut TransportCounters,
    ) {
        let mut writer =
            StunWriter::binding(StunClass::Error, &message.transaction).error_code(refusal.code);
        if refusal.code == 420 {
            writer = writer.unknown_attributes(message.unknown_attributes());
        }
        if let Some(set) = refusal.set {
            writer = writer.integrity(&self.sets[set].key);
        }
        let response = writer.finish();
        // An unauthenticated source may be forged: never send it more than it sent.
        if refusal.set.is_some() || response.len() <= message.wire_len() {
            counters.stun_errors_sent += 1;
            self.output.push_back(IceOutput::Transmit(tuple, response));
        }
    }

    fn on_check(
        &mut self,
        tuple: FiveTuple,
        message: &StunMessage<'_>,
        generation: u32,
        now: Instant,
        counters: &mut TransportCounters,
    ) {
        self.log.asked(tuple);
        let index = self.pair_index(tuple, now, counters);
        let pair = &mut self.pairs[index];
        let freshly_nominated =
            message.use_candidate && (!pair.nominating || generation > pair.generation);
        pair.priority = message.priority.unwrap_or(pair.priority);
        pair.nominating = message.use_candidate;
        pair.generation = pair.generation.max(generation);
        pair.heard = now;
        if self.should_select(index, freshly_nominated, now) {
            self.select(index, now, counters);
        }
    }

    /// The pair's place in the list, made if new. When full, the pair unheard for longest is forgotten.
    fn pair_index(
        &mut self,
        tuple: FiveTuple,
        now: Instant,
        counters: &mut TransportCounters,
    ) -> usize {
        if let Some(index) = self.pairs.iter().position(|pair| pair.tuple == tuple) {
            return index;
        }
        let pair = LitePair {
            tuple,
            priority: 0,
            nominating: false,
            generation: 0,
            heard: now,
        };
        self.output.push_back(IceOutput::Validated(tuple));
        if self.pairs.len() < self.pair_limit {
            self.pairs.push(pair);
            return self.pairs.len() - 1;
        }
        counters.pairs_evicted += 1;
        let candidates = self
            .pairs
            .iter()
            .enumerate()
            .filter(|(index, _)| Some(*index) != self.selected);
        let oldest = candidates
            .min_by_key(|(_, pair)| pair.heard)
            .map_or(0, |(index, _)| index);
        if self.selected == Some(oldest) {
            // A limit of one: the newcomer replaces the selected pair only by being nominated.
            self.selected = None;
        }
        self.pairs[oldest] = pair;
        oldest
    }

    /// The peer's newest choice wins. Where it nominates several pairs in each check (aggressive nomination,
    /// RFC 5245 section 8.1.1.2) no choice is new after the first round and the highest priority wins. A silent
    /// selected pair gives way to any live one.
    fn should_select(&self, index: usize, freshly_nominated: bool, now: Instant) -> bool {
        let pair = &self.pairs[index];
        let Some(current) = self.selected else {
            return pair.nominating;
        };
        let selected = &self.pairs[current];
        if current == index {
            // The same addresses nominated under new credentials: the restart is complete.
            return pair.nominating
                && self
                    .sets
                    .first()
                    .is_some_and(|set| set.generation < pair.generation);
        }
        if pair.generation < selected.generation {
            return false;
        }
        let silent = is_silent(selected.heard, self.consent, now);
        silent || (pair.nominating && (freshly_nominated || pair.priority > selected.priority))
    }

    fn select(&mut self, index: usize, now: Instant, counters: &mut TransportCounters) {
        let pair = &self.pairs[index];
        let (tuple, generation, nominating) = (pair.tuple, pair.generation, pair.nominating);
        if self.selected != Some(index) {
            if let Some(left) = self.selected.and_then(|current| self.pairs.get(current))
                && is_silent(left.heard, self.consent, now)
            {
                self.log.left_silent(left.tuple);
            }
            counters.pair_changes += u64::from(self.selected.is_some());
            self.selected = Some(index);
            self.output.push_back(IceOutput::Selected(tuple));
        }
        while nominating
            && self
                .sets
                .first()
                .is_some_and(|set| set.generation < generation)
        {
            let old = self.sets.remove(0);
            self.output.push_back(IceOutput::Retired(old.local.ufrag));
        }
    }

    pub(super) fn on_authenticated(&mut self, tuple: FiveTuple, now: Instant) {
        if let Some(pair) = self.selected.and_then(|index| self.pairs.get_mut(index))
            && pair.tuple == tuple
        {
            pair.heard = now;
        } else if let Some(pair) = self.pairs.iter_mut().find(|pair| pair.tuple == tuple) {
            pair.heard = now;
        }
    }

    pub(super) fn is_validated(&self, tuple: FiveTuple) -> bool {
        self.pairs.iter().any(|pair| pair.tuple == tuple)
    }

    pub(super) fn selected(&self) -> Option<FiveTuple> {
        self.selected.map(|index| self.pairs[index].tuple)
    }

    /// When any pair was heard last.
    fn heard(&self) -> Option<Instant> {
        self.pairs.iter().map(|pair| pair.heard).max()
    }

    /// When silence changes the state, seen from `now`.
    pub(super) fn next_timeout(&self, now: Instant) -> Option<Instant> {
        self.selected?;
        Some(selected_deadline(self.heard()?, self.consent, now))
    }

    pub(super) fn state(&self, now: Instant) -> IceState {
        match (self.selected, self.heard()) {
            (Some(_), Some(heard)) => selected_state(heard, self.consent, now),
            (_, Some(_)) => IceState::Checking,
            (_, None) => IceState::New,
        }
    }

    pub(super) fn output(&mut self) -> &mut VecDeque<IceOutput> {
        &mut self.output
    }

    pub(super) fn local_ufrag(&self) -> &str {
        self.sets.last().map_or("", |set| &set.local.ufrag)
    }

    pub(super) fn report(&self) -> String {
        let mut text = format!("ICE lite, {} remote candidates: ", self.remote_candidates);
        self.log.write(&mut text, self.selected());
        text
    }
}

/// How a request is turned down.
#[derive(Debug, Clone, Copy)]
struct Refusal {
    code: u16,
    /// Whose key signs the response; none before authentication.
    set: Option<usize>,
    error: StunError,
}
