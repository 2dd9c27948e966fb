//! Packets that go out.

use super::{ACK_EVERY, Connection, Control};
use crate::handshake::{KM_REQUEST, KM_RESPONSE};
use crate::losses::write_range;
use crate::packet::{ControlHeader, ControlType, HEADER_LEN, MAX_PAYLOAD, put};
use crate::time::Micros;

/// Length of a full acknowledgement.
const FULL_ACK: usize = 28;
/// Room below which libsrt's sender comes to a halt.
const LEAST_SPACE: usize = 2;
/// Over how long the rate of reception is measured.
const RATE_WINDOW: Micros = 500_000;
/// Retransmissions before the round trip is known.
const UNMEASURED: Micros = 10_000;

impl Connection {
    fn control(&self, kind: ControlType, info: u32, now: Micros) -> ControlHeader {
        ControlHeader {
            kind,
            subtype: 0,
            info,
            timestamp: self.timestamp(now),
            destination: self.peer_socket,
        }
    }

    /// Writes the next packet into `out`, which has room for a whole datagram; gives its length.
    pub(crate) fn poll_transmit(&mut self, now: Micros, out: &mut [u8]) -> Option<usize> {
        let len = self.next_packet(now, out)?;
        self.last_sent = now;
        self.stats.sent_bytes += len as u64;
        Some(len)
    }

    fn next_packet(&mut self, now: Micros, out: &mut [u8]) -> Option<usize> {
        if self.shutdown_due {
            self.shutdown_due = false;
            return Some(self.control(ControlType::Shutdown, 0, now).write(&[], out));
        }
        if self.closed.is_some() {
            return None;
        }
        self.write_keys(now, out)
            .or_else(|| self.write_queued(now, out))
            .or_else(|| self.write_ack(now, out))
            .or_else(|| self.write_report(now, out))
            .or_else(|| self.write_data(now, out))
            .or_else(|| self.write_keep_alive(now, out))
    }

    fn write_keys(&mut self, now: Micros, out: &mut [u8]) -> Option<usize> {
        let mut header = self.control(ControlType::User, 0, now);
        header.subtype = KM_REQUEST;
        let interval = (self.rtt.smoothed * 3 / 2).max(ACK_EVERY);
        let message = self.crypto.as_mut()?.poll_announcement(now, interval)?;
        Some(header.write(message, out))
    }

    fn write_queued(&mut self, now: Micros, out: &mut [u8]) -> Option<usize> {
        Some(match self.control.pop_front()? {
            Control::AckAck(number) => self
                .control(ControlType::AckAck, number, now)
                .write(&[], out),
            Control::DropRequest((first, last)) => {
                let mut body = [0; 8];
                put(&mut body, 0, first.value());
                put(&mut body, 4, last.value());
                self.control(ControlType::DropRequest, 0, now)
                    .write(&body, out)
            }
            Control::KeyAnswer(message) => {
                let mut header = self.control(ControlType::User, 0, now);
                header.subtype = KM_RESPONSE;
                header.write(&message, out)
            }
        })
    }

    fn write_ack(&mut self, now: Micros, out: &mut [u8]) -> Option<usize> {
        let seq = self.receiving.acknowledged();
        if !self.ack_due {
            if !std::mem::take(&mut self.light_ack_due) {
                return None;
            }
            let header = self.control(ControlType::Ack, 0, now);
            return Some(header.write(&seq.value().to_be_bytes(), out));
        }
        (self.ack_due, self.light_ack_due, self.unacknowledged) = (false, false, 0);
        self.measure_rate(now);
        let number = self.ack_history.note(seq, now);
        let mut body = [0; FULL_ACK];
        put(&mut body, 0, seq.value());
        put(&mut body, 4, self.rtt.smoothed as u32);
        put(&mut body, 8, self.rtt.variance as u32);
        let space = self.receiving.space();
        let space = self.space_limit.map_or(space, |limit| space.min(limit));
        put(&mut body, 12, space.max(LEAST_SPACE) as u32);
        put(&mut body, 16, self.packet_rate);
        // What the line could carry is not measured; what it carries is the least it can.
        put(&mut body, 20, self.packet_rate);
        put(&mut body, 24, self.byte_rate);
        self.stats.acks_sent += 1;
        // Again, unless the peer says that it has it.
        self.ack_at = Some(now + self.rtt.with_margin().max(ACK_EVERY));
        Some(
            self.control(ControlType::Ack, number, now)
                .write(&body, out),
        )
    }

    /// Say that there is room for so many packets at most, or for as many as there is; from the next moment on.
    pub(crate) fn limit_space(&mut self, packets: Option<u32>) {
        let limit = packets.map(|packets| packets as usize);
        if self.space_limit != limit && self.closed.is_none() {
            self.space_limit = limit;
            self.ack_due = true;
        }
    }

    fn measure_rate(&mut self, now: Micros) {
        let elapsed = now - self.rate_began;
        if elapsed >= RATE_WINDOW {
            let rate = |count: u64| u32::try_from(count * 1_000_000 / elapsed as u64);
            self.packet_rate = rate(u64::from(self.rate_packets)).unwrap_or(u32::MAX);
            self.byte_rate = rate(self.rate_bytes).unwrap_or(u32::MAX);
            (self.rate_began, self.rate_packets, self.rate_bytes) = (now, 0, 0);
        }
    }

    fn write_report(&mut self, now: Micros, out: &mut [u8]) -> Option<usize> {
        let all = std::mem::take(&mut self.report_due);
        if !all && self.fresh.is_empty() {
            return None;
        }
        let header = self.control(ControlType::LossReport, 0, now);
        let body = &mut out[HEADER_LEN..HEADER_LEN + MAX_PAYLOAD];
        let mut len = 0;
        let mut add = |range| {
            let added = write_range(range, &mut body[len..]);
            len += added;
            added > 0
        };
        if all {
            self.receiving.losses().iter().all(&mut add);
        } else {
            self.fresh.iter().copied().all(&mut add);
        }
        self.fresh.clear();
        if len == 0 {
            return None;
        }
        self.stats.reports_sent += 1;
        header.write_before(out);
        Some(HEADER_LEN + len)
    }

    fn write_data(&mut self, now: Micros, out: &mut [u8]) -> Option<usize> {
        if self.pacing.ready_at().is_some_and(|at| at > now) {
            return None;
        }
        let recent = if self.rtt.is_measured() {
            self.rtt.smoothed - self.rtt.variance
        } else {
            UNMEASURED
        };
        let len = if let Some(len) = self.sending.retransmit(now, recent, out) {
            self.stats.retransmitted += 1;
            len
        } else {
            if self.sending.in_flight() >= self.peer_space {
                return None;
            }
            let len = self.sending.send(out)?;
            self.stats.sent += 1;
            self.arm_probe(now);
            len
        };
        self.pacing.note_sent(len, now);
        Some(len)
    }

    fn write_keep_alive(&mut self, now: Micros, out: &mut [u8]) -> Option<usize> {
        if now < self.keep_alive_at() {
            return None;
        }
        Some(self.control(ControlType::KeepAlive, 0, now).write(&[], out))
    }
}
