//! A caller's handshake: induction for a cookie, then the conclusion (draft-sharabayko-srt section 4.3.1).

use super::{Dialer, Stage};
use crate::handshake::{Extensions, Handshake, MAGIC, Phase};
use crate::negotiation::conclude;
use crate::packet::ControlType;
use crate::reject::RejectReason;
use crate::time::Micros;

impl Dialer {
    /// The first handshake says version 4, and what was a socket type in it.
    pub(super) fn induction(&self) -> Vec<u8> {
        let handshake = Handshake {
            version: 4,
            encryption: 0,
            extension: 2,
            ..self.handshake(Phase::Induction, 0)
        };
        handshake.write(&Extensions::default())
    }

    pub(super) fn handle_induction(&mut self, handshake: &Handshake, now: Micros) {
        if handshake.phase != Phase::Induction {
            self.malformed += 1;
            return;
        }
        if handshake.version != 5 {
            return self.fail(RejectReason::Version);
        }
        if handshake.extension != MAGIC {
            return self.fail(RejectReason::Rogue);
        }
        match self.request(handshake.cookie, handshake.encryption) {
            Ok(body) => self.offer(body, 0, Stage::Concluding, now),
            Err(reason) => self.fail(reason),
        }
    }

    pub(super) fn handle_conclusion(
        &mut self,
        handshake: &Handshake,
        rest: &[u8],
        timestamp: u32,
        now: Micros,
    ) {
        if handshake.phase != Phase::Conclusion {
            // An induction that was answered twice.
            return;
        }
        self.finish(handshake, rest, timestamp, now);
    }

    /// The side that asked takes the answer.
    pub(super) fn finish(
        &mut self,
        handshake: &Handshake,
        rest: &[u8],
        timestamp: u32,
        now: Micros,
    ) -> bool {
        let keys = self.keys.take();
        let config = &self.config.connection;
        let agreed = Extensions::parse(rest).and_then(|response| {
            conclude(
                handshake,
                &response,
                config,
                keys,
                self.first_out,
                timestamp,
            )
        });
        match agreed {
            Ok(agreed) => {
                self.connect(agreed, now);
                self.opened(true);
                true
            }
            Err(reason) => {
                // The other side believes to be connected.
                self.answer(ControlType::Shutdown, handshake.socket, Vec::new());
                self.fail(reason);
                false
            }
        }
    }
}
