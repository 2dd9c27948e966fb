//! Connectivity: the two halves of ICE (RFC 8445) behind one face.

mod full;
mod lite;
mod log;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub(crate) use full::FullAgent;
pub(crate) use lite::LiteAgent;

use crate::address::FiveTuple;
use crate::candidate::{Candidate, IceCredentials};
use crate::config::RemoteParameters;
use crate::error::TransportError;
use crate::event::IceState;
use crate::stats::TransportCounters;
use crate::stun::StunMessage;

/// A selected pair silent for this long is reported as disconnected; browsers check every 2.5 s.
const DISCONNECTED_AFTER: Duration = Duration::from_secs(10);

/// What an agent asks for.
#[derive(Debug)]
pub(crate) enum IceOutput {
    /// Send this.
    Transmit(FiveTuple, Vec<u8>),
    /// A check from there was authentic.
    Validated(FiveTuple),
    /// Send media there from now on.
    Selected(FiveTuple),
    /// These local credentials are no longer accepted.
    Retired(String),
}

/// Either half.
pub(crate) enum Ice {
    Lite(LiteAgent),
    Full(Box<FullAgent>),
}

impl Ice {
    pub(crate) fn connect(
        &mut self,
        remote: &RemoteParameters,
        now: Instant,
    ) -> Result<(), TransportError> {
        match self {
            Self::Lite(agent) => agent.connect(remote),
            Self::Full(agent) => agent.connect(remote, now),
        }
    }

    pub(crate) fn add_remote_candidate(
        &mut self,
        candidate: &Candidate,
        now: Instant,
    ) -> Result<(), TransportError> {
        match self {
            Self::Lite(agent) => agent.add_remote_candidate(candidate),
            Self::Full(agent) => agent.add_remote_candidate(candidate, now),
        }
    }

    pub(crate) fn add_local_candidate(
        &mut self,
        candidate: Candidate,
        now: Instant,
    ) -> Result<(), TransportError> {
        match self {
            // It sends no checks: where they come from, the owner's socket knows.
            Self::Lite(_) => Ok(()),
            Self::Full(agent) => agent.add_local_candidate(candidate, now),
        }
    }

    pub(crate) fn end_of_candidates(&mut self) {
        match self {
            Self::Lite(_) => {}
            Self::Full(agent) => agent.end_of_candidates(),
        }
    }

    pub(crate) fn restart(&mut self, new: IceCredentials) {
        match self {
            Self::Lite(agent) => agent.restart(new),
            Self::Full(agent) => agent.restart(new),
        }
    }

    pub(crate) fn set_remote(&mut self, remote: IceCredentials, now: Instant) {
        match self {
            Self::Lite(agent) => agent.set_remote(remote),
            Self::Full(agent) => agent.set_remote(remote, now),
        }
    }

    /// Takes a STUN message that parsed.
    pub(crate) fn handle_stun(
        &mut self,
        tuple: FiveTuple,
        message: &StunMessage<'_>,
        datagram: &[u8],
        now: Instant,
        counters: &mut TransportCounters,
    ) -> Result<(), TransportError> {
        match self {
            Self::Lite(agent) => agent.handle_stun(tuple, message, now, counters),
            Self::Full(agent) => agent.handle_stun(tuple, message, datagram, now, counters),
        }
    }

    /// An authenticated packet came from there: the peer is alive.
    pub(crate) fn on_authenticated(&mut self, tuple: FiveTuple, now: Instant) {
        match self {
            Self::Lite(agent) => agent.on_authenticated(tuple, now),
            Self::Full(agent) => agent.on_authenticated(tuple, now),
        }
    }

    /// Whether a check validated this address.
    pub(crate) fn is_validated(&self, tuple: FiveTuple) -> bool {
        match self {
            Self::Lite(agent) => agent.is_validated(tuple),
            Self::Full(agent) => agent.is_validated(tuple),
        }
    }

    pub(crate) fn selected(&self) -> Option<FiveTuple> {
        match self {
            Self::Lite(agent) => agent.selected(),
            Self::Full(agent) => agent.selected(),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, counters: &mut TransportCounters) {
        match self {
            // Silence is judged by `state`; a lite agent has no timers of its own.
            Self::Lite(_) => {}
            Self::Full(agent) => agent.handle_timeout(now, counters),
        }
    }

    /// The next moment, after `now`, at which time alone changes something.
    pub(crate) fn next_timeout(&self, now: Instant) -> Option<Instant> {
        match self {
            Self::Lite(agent) => agent.next_timeout(now),
            Self::Full(agent) => agent.next_timeout(now),
        }
    }

    /// State at `now`: consent runs out without any input.
    pub(crate) fn state(&self, now: Instant) -> IceState {
        match self {
            Self::Lite(agent) => agent.state(now),
            Self::Full(agent) => agent.state(now),
        }
    }

    pub(crate) fn output(&mut self) -> &mut VecDeque<IceOutput> {
        match self {
            Self::Lite(agent) => agent.output(),
            Self::Full(agent) => agent.output(),
        }
    }

    pub(crate) fn local_ufrag(&self) -> &str {
        match self {
            Self::Lite(agent) => agent.local_ufrag(),
            Self::Full(agent) => agent.local_ufrag(),
        }
    }

    pub(crate) fn report(&self) -> String {
        match self {
            Self::Lite(agent) => agent.report(),
            Self::Full(agent) => agent.report(),
        }
    }
}

/// State of an agent that has, or had, a selected pair heard last at `heard`.
fn selected_state(heard: Instant, consent: Duration, now: Instant) -> IceState {
    let silence = now.saturating_duration_since(heard);
    if silence >= consent {
        IceState::Failed
    } else if silence >= disconnected_after(consent) {
        IceState::Disconnected
    } else {
        IceState::Connected
    }
}

/// The next moment at which [`selected_state`] changes by itself.
fn selected_deadline(heard: Instant, consent: Duration, now: Instant) -> Instant {
    let disconnected = heard + disconnected_after(consent);
    if now < disconnected {
        disconnected
    } else {
        heard + consent
    }
}

/// Whether a pair heard last at `heard` gives way to any live one.
fn is_silent(heard: Instant, consent: Duration, now: Instant) -> bool {
    now.saturating_duration_since(heard) >= disconnected_after(consent)
}

fn disconnected_after(consent: Duration) -> Duration {
    DISCONNECTED_AFTER.min(consent / 2)
}
