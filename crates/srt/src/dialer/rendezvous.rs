//! A rendezvous: both sides ask, and cookies decide who is answered (draft-sharabayko-srt section 4.3.2).
//!
//! | stage | what comes | who asks | who answers |
//! |---|---|---|---|
//! | waving | a wave, or an empty conclusion | asks in a conclusion | sends an empty conclusion |
//! | waving, attention | a conclusion that asks | - | answers in a conclusion: initiated |
//! | attention | a conclusion that answers | agrees: open | - |
//! | initiated | agreement, or anything but handshakes | - | open |
//! | initiated, open | a conclusion that asks again | - | answers again |
//! | open | a conclusion that answers again | agrees again | - |

use super::{Dialer, Stage};
use crate::handshake::{Extensions, Handshake, Phase};
use crate::negotiation::respond;
use crate::packet::ControlType;
use crate::reject::RejectReason;
use crate::time::Micros;

impl Dialer {
    /// The wave.
    pub(super) fn wave(&self) -> Vec<u8> {
        self.handshake(Phase::WaveAHand, self.cookie)
            .write(&Extensions::default())
    }

    /// What says that an answer was heard.
    fn agreement(&self) -> Vec<u8> {
        self.handshake(Phase::Agreement, self.cookie)
            .write(&Extensions::default())
    }

    /// Who asks: the greater cookie, as signed numbers; none where they are equal.
    fn contest(&self, cookie: u32) -> Option<bool> {
        let (own, other) = (self.cookie as i32, cookie as i32);
        (own != other).then_some(own > other)
    }

    pub(super) fn handle_rendezvous(
        &mut self,
        handshake: &Handshake,
        rest: &[u8],
        timestamp: u32,
        now: Micros,
    ) {
        if handshake.version != 5 {
            return self.fail(RejectReason::Version);
        }
        match (handshake.phase, self.stage) {
            (Phase::WaveAHand, Stage::Waving) => self.attend(handshake, now),
            (Phase::Conclusion, Stage::Waving) => {
                self.attend(handshake, now);
                if let Stage::Attention { initiator } = self.stage {
                    self.attended(initiator, handshake, rest, timestamp, now);
                }
            }
            (Phase::Conclusion, Stage::Attention { initiator }) => {
                self.attended(initiator, handshake, rest, timestamp, now);
            }
            (Phase::Conclusion, Stage::Initiated) => self.again_at = now,
            (Phase::Agreement, Stage::Initiated) => self.opened(false),
            // The other side has not heard the conclusion yet: it comes again by itself.
            _ => {}
        }
    }

    /// Both cookies are known.
    fn attend(&mut self, handshake: &Handshake, now: Micros) {
        let Some(initiator) = self.contest(handshake.cookie) else {
            return self.fail(RejectReason::RendezvousCookie);
        };
        let body = if initiator {
            match self.request(self.cookie, handshake.encryption) {
                Ok(body) => body,
                Err(reason) => return self.fail(reason),
            }
        } else {
            self.handshake(Phase::Conclusion, self.cookie)
                .write(&Extensions::default())
        };
        self.offer(body, handshake.socket, Stage::Attention { initiator }, now);
    }

    fn attended(
        &mut self,
        initiator: bool,
        handshake: &Handshake,
        rest: &[u8],
        timestamp: u32,
        now: Micros,
    ) {
        let extensions = match Extensions::parse(rest) {
            Ok(extensions) => extensions,
            Err(reason) => return self.fail(reason),
        };
        if initiator {
            if extensions.response.is_some() && self.finish(handshake, rest, timestamp, now) {
                let body = self.agreement();
                self.answer(ControlType::Handshake, handshake.socket, body);
            }
            return;
        }
        if extensions.request.is_none() {
            return;
        }
        let answered = respond(
            handshake,
            &extensions,
            &self.config.connection,
            self.config.passphrase.clone(),
            self.first_out,
            timestamp,
        );
        match answered {
            Ok((agreed, extensions)) => {
                let body = self
                    .handshake(Phase::Conclusion, self.cookie)
                    .write(&extensions);
                self.connect(agreed, now);
                self.offer(body, handshake.socket, Stage::Initiated, now);
            }
            Err(reason) => {
                let body = self
                    .handshake(Phase::Rejected(reason), self.cookie)
                    .write(&Extensions::default());
                self.answer(ControlType::Handshake, handshake.socket, body);
                self.fail(reason);
            }
        }
    }

    /// A handshake on an open connection: the other side has not heard the last word.
    pub(super) fn handle_repeated(&mut self, handshake: &Handshake, initiator: bool) {
        // A caller knows a cookie that is not its own; only sides of a rendezvous have the last word.
        if handshake.phase != Phase::Conclusion || self.is_caller() {
            return;
        }
        let body = if initiator {
            self.agreement()
        } else {
            self.offer.clone()
        };
        self.answer(ControlType::Handshake, handshake.socket, body);
    }
}
