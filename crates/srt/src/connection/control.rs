//! Control packets that come in.

use super::{CloseReason, Connection, Control, MAX_CONTROL};
use crate::handshake::{KM_REQUEST, KM_RESPONSE};
use crate::keys::KeyError;
use crate::losses::read_ranges;
use crate::packet::{ControlHeader, ControlType, word};
use crate::sending::Reported;
use crate::seq::Seq;
use crate::time::Micros;

/// Length of an acknowledgement with the room that its sender has.
const WITH_SPACE: usize = 16;
/// States of keying material (draft-sharabayko-srt section 3.2.1.2).
const NO_SECRET: u32 = 3;
const BAD_SECRET: u32 = 4;
const BAD_CIPHER: u32 = 5;

impl Connection {
    pub(super) fn handle_control(&mut self, header: ControlHeader, body: &[u8], now: Micros) {
        match header.kind {
            ControlType::Ack => self.handle_ack(header.info, body, now),
            ControlType::AckAck => self.handle_ack_ack(header.info, header.timestamp, now),
            ControlType::LossReport => self.handle_report(body),
            ControlType::DropRequest if body.len() >= 8 => {
                let range = (Seq::new(word(body, 0)), Seq::new(word(body, 4)));
                let given_up = self.receiving.give_up(range);
                self.stats.dropped += u64::from(given_up);
                self.note_unacknowledged(now);
            }
            ControlType::Shutdown => self.closed = Some(CloseReason::Peer),
            ControlType::User => self.handle_keys(header.subtype, body, now),
            ControlType::DropRequest => self.stats.malformed += 1,
            // Repeated handshakes are the owner's; the others ask for nothing.
            ControlType::Handshake
            | ControlType::KeepAlive
            | ControlType::CongestionWarning
            | ControlType::PeerError => {}
        }
    }

    fn handle_ack(&mut self, number: u32, body: &[u8], now: Micros) {
        if body.len() < 4 {
            self.stats.malformed += 1;
            return;
        }
        self.stats.acks_received += 1;
        let before = self.sending.len();
        if !self.sending.acknowledge(Seq::new(word(body, 0))) {
            self.stats.malformed += 1;
            return;
        }
        if self.sending.len() < before {
            self.arm_probe(now);
        }
        if body.len() >= WITH_SPACE {
            self.rtt.hear(word(body, 4), word(body, 8));
            self.peer_space = word(body, 12) as usize;
        }
        // A number of zero marks the lighter kinds, which nobody answers.
        if number != 0 && body.len() >= WITH_SPACE {
            self.queue(Control::AckAck(number));
        }
    }

    fn handle_ack_ack(&mut self, number: u32, timestamp: u32, now: Micros) {
        let Some((seq, at)) = self.ack_history.answer(number) else {
            return;
        };
        self.rtt.update(now - at);
        let rtt = self.rtt.smoothed;
        if let Some(time) = &mut self.time {
            time.sample(timestamp, now, rtt);
        }
        if self.confirmed.is_none_or(|known| known.is_before(seq)) {
            self.confirmed = Some(seq);
        }
    }

    fn handle_report(&mut self, body: &[u8]) {
        self.stats.reports_received += 1;
        for range in read_ranges(body) {
            match self.sending.report(range) {
                Reported::Here => {}
                Reported::Gone(range) => self.queue(Control::DropRequest(range)),
                Reported::Nonsense => self.stats.malformed += 1,
            }
        }
    }

    fn handle_keys(&mut self, subtype: u16, body: &[u8], now: Micros) {
        let state = |state: u32| state.to_be_bytes().to_vec();
        match (subtype, &mut self.crypto) {
            (KM_REQUEST, None) => self.queue(Control::KeyAnswer(state(NO_SECRET))),
            (KM_REQUEST, Some(crypto)) => {
                let answer = match crypto.handle_announcement(body, now) {
                    Ok(()) => {
                        self.stats.keys_received += 1;
                        body.to_vec()
                    }
                    Err(error) => {
                        self.stats.malformed += 1;
                        match error {
                            KeyError::Cipher => state(BAD_CIPHER),
                            _ => state(BAD_SECRET),
                        }
                    }
                };
                self.queue(Control::KeyAnswer(answer));
            }
            (KM_RESPONSE, Some(crypto)) => {
                if crypto.handle_confirmation(body) {
                    self.stats.keys_sent += 1;
                } else {
                    self.stats.malformed += 1;
                }
            }
            _ => self.stats.malformed += 1,
        }
    }

    fn queue(&mut self, control: Control) {
        if self.control.len() < MAX_CONTROL {
            self.control.push_back(control);
        } else {
            self.stats.control_dropped += 1;
        }
    }
}
