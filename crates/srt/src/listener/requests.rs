//! Handshakes at a listener: cookies, requests and the decisions on them.

use super::{Acceptance, Answer, ConnectionId, Entry, Listener, MAX_ANSWERS, Request, RequestId};
use crate::connection::Connection;
use crate::handshake::{BODY_LEN, Extensions, Handshake, MAGIC, Phase};
use crate::negotiation::{MTU, admit, encryption, respond};
use crate::packet::{ControlHeader, ControlType};
use crate::reject::RejectReason;
use crate::time::Micros;
use std::net::SocketAddr;
use std::time::Instant;

/// How long a request waits for a decision: callers give up after three seconds.
const DECIDED_WITHIN: Micros = 3_000_000;
const MINUTE: Micros = 60_000_000;

/// A request that waits for a decision.
pub(super) struct Pending {
    id: RequestId,
    from: SocketAddr,
    handshake: Handshake,
    extensions: Extensions,
    timestamp: u32,
    came: Micros,
    told: bool,
}

impl Pending {
    pub(super) fn id(&self) -> RequestId {
        self.id
    }

    pub(super) fn expires_at(&self) -> Micros {
        self.came + DECIDED_WITHIN
    }
}

impl Listener {
    pub(super) fn handle_handshake(
        &mut self,
        from: SocketAddr,
        header: ControlHeader,
        handshake: &Handshake,
        body: &[u8],
        now: Micros,
    ) {
        match handshake.phase {
            Phase::Induction => self.induce(from, handshake, now),
            Phase::Conclusion => self.conclude(from, header, handshake, body, now),
            // The rest belongs to rendezvous, or is a refusal of what was never asked.
            _ => self.stats.malformed += 1,
        }
    }

    /// Answers an induction with a cookie; nothing is kept.
    fn induce(&mut self, from: SocketAddr, handshake: &Handshake, now: Micros) {
        let answer = Handshake {
            version: 5,
            encryption: 0,
            extension: MAGIC,
            phase: Phase::Induction,
            socket: self.socket,
            cookie: self.source.cookie(from, now / MINUTE),
            address: from.ip(),
            ..*handshake
        };
        let body = answer.write(&Extensions::default());
        self.answer(from, handshake.socket, 0, body);
    }

    fn conclude(
        &mut self,
        from: SocketAddr,
        header: ControlHeader,
        handshake: &Handshake,
        body: &[u8],
        now: Micros,
    ) {
        let minute = now / MINUTE;
        let known = [minute, minute - 1].map(|minute| self.source.cookie(from, minute));
        if !known.contains(&handshake.cookie) {
            self.stats.bad_cookies += 1;
            return;
        }
        let peer = (from, handshake.socket);
        if let Some(&at) = self.by_peer.get(&peer) {
            self.stats.repeated += 1;
            let entry = &self.entries[at];
            let (start, body) = (entry.connection.start(), entry.answer.clone());
            self.answer(from, handshake.socket, start, body);
            return;
        }
        if self.pending.iter().any(|pending| pending.is_of(peer)) {
            self.stats.repeated += 1;
            return;
        }
        if handshake.version != 5 {
            self.stats.too_old += 1;
            self.refuse(from, handshake, RejectReason::Version);
            // Callers of version 4 know no refusal, but they know goodbye.
            self.push_answer(Answer {
                to: from,
                kind: ControlType::Shutdown,
                destination: handshake.socket,
                start: 0,
                body: Vec::new(),
            });
            return;
        }
        let parsed = Extensions::parse(&body[BODY_LEN..]);
        let admitted = parsed.and_then(|found| admit(handshake, &found).map(|()| found));
        let extensions = match admitted {
            Ok(extensions) => extensions,
            Err(reason) => return self.refuse(from, handshake, reason),
        };
        if self.closing {
            return self.refuse(from, handshake, RejectReason::Close);
        }
        if self.entries.len() >= self.config.max_connections {
            self.stats.overload += 1;
            return self.refuse(from, handshake, RejectReason::Overload);
        }
        if self.pending.len() >= self.config.max_requests {
            self.stats.backlog += 1;
            return self.refuse(from, handshake, RejectReason::Backlog);
        }
        self.next_request += 1;
        self.pending.push_back(Pending {
            id: RequestId(self.next_request),
            from,
            handshake: *handshake,
            extensions,
            timestamp: header.timestamp,
            came: now,
            told: false,
        });
    }

    /// The next request that waits for a decision.
    pub fn poll_request(&mut self) -> Option<Request> {
        let pending = self.pending.iter_mut().find(|pending| !pending.told)?;
        pending.told = true;
        Some(Request {
            id: pending.id,
            remote: pending.from,
            stream_id: pending.extensions.stream_id.clone().unwrap_or_default(),
            encryption: encryption(&pending.extensions),
            peer_version: pending
                .extensions
                .request
                .map_or(0, |extension| extension.version),
        })
    }

    fn take(&mut self, request: RequestId) -> Option<Pending> {
        let at = self
            .pending
            .iter()
            .position(|pending| pending.id == request)?;
        self.pending.remove(at)
    }

    /// Accepts a request. Where the passphrase is not the caller's, or the two cannot agree otherwise, the caller is
    /// refused and the reason returned; [`RejectReason::Timeout`] where the request is no longer there.
    pub fn accept(
        &mut self,
        request: RequestId,
        acceptance: Acceptance,
        now: Instant,
    ) -> Result<ConnectionId, RejectReason> {
        let now = self.clock.micros(now);
        let pending = self.take(request).ok_or(RejectReason::Timeout)?;
        let opened = self.open(&pending, acceptance, now);
        if let Err(reason) = opened {
            self.refuse(pending.from, &pending.handshake, reason);
        }
        opened
    }

    fn open(
        &mut self,
        pending: &Pending,
        acceptance: Acceptance,
        now: Micros,
    ) -> Result<ConnectionId, RejectReason> {
        let Acceptance { passphrase, config } = acceptance;
        let (from, handshake) = (pending.from, &pending.handshake);
        if self.entries.len() >= self.config.max_connections {
            self.stats.overload += 1;
            return Err(RejectReason::Overload);
        }
        // libsrt's callers expect both directions to begin with the same number.
        let first_out = handshake.first;
        let (agreed, extensions) = respond(
            handshake,
            &pending.extensions,
            &config,
            passphrase,
            first_out,
            pending.timestamp,
        )?;
        let mut socket = self.source.socket();
        while socket == self.socket || self.by_socket.contains_key(&socket) {
            socket = self.source.socket();
        }
        let answer = Handshake {
            version: 5,
            encryption: 0,
            extension: 0,
            first: first_out,
            mtu: agreed.peer_mtu,
            window: config.window(),
            phase: Phase::Conclusion,
            socket,
            cookie: handshake.cookie,
            address: from.ip(),
        };
        let body = answer.write(&extensions);
        // The peer's clock is read by the time at which its request came, not by that of the decision.
        let connection = Connection::new(agreed, config, now, pending.came, now);
        let id = ConnectionId(socket);
        let at = self.entries.insert(Entry {
            connection,
            peer: from,
            peer_socket: handshake.socket,
            id,
            answer: body.clone(),
            may_send: false,
            may_deliver: false,
        });
        if self.deadlines.len() <= at {
            self.deadlines.resize(at + 1, Micros::MAX);
        }
        self.by_socket.insert(socket, at);
        self.by_peer.insert((from, handshake.socket), at);
        self.stats.accepted += 1;
        self.answer(from, handshake.socket, now, body);
        self.wake(at);
        Ok(id)
    }

    /// Refuses a request; whether it was still there.
    pub fn reject(&mut self, request: RequestId, reason: RejectReason) -> bool {
        let Some(pending) = self.take(request) else {
            return false;
        };
        self.refuse(pending.from, &pending.handshake, reason);
        true
    }

    /// Requests on which nobody decided in time.
    pub(super) fn expire_requests(&mut self, now: Micros) {
        while self
            .pending
            .front()
            .is_some_and(|pending| pending.expires_at() <= now)
        {
            let Some(pending) = self.pending.pop_front() else {
                return;
            };
            self.stats.undecided += 1;
            self.refuse(pending.from, &pending.handshake, RejectReason::Timeout);
        }
    }

    fn refuse(&mut self, to: SocketAddr, handshake: &Handshake, reason: RejectReason) {
        self.stats.rejected += 1;
        let answer = Handshake {
            version: 5,
            encryption: 0,
            extension: 0,
            mtu: MTU,
            phase: Phase::Rejected(reason),
            address: to.ip(),
            ..*handshake
        };
        let body = answer.write(&Extensions::default());
        self.answer(to, handshake.socket, 0, body);
    }

    fn answer(&mut self, to: SocketAddr, destination: u32, start: Micros, body: Vec<u8>) {
        self.push_answer(Answer {
            to,
            kind: ControlType::Handshake,
            destination,
            start,
            body,
        });
    }

    fn push_answer(&mut self, answer: Answer) {
        if self.answers.len() < MAX_ANSWERS {
            self.answers.push_back(answer);
        } else {
            self.stats.answers_dropped += 1;
        }
    }
}

impl Pending {
    fn is_of(&self, (from, socket): (SocketAddr, u32)) -> bool {
        self.from == from && self.handshake.socket == socket
    }
}
