//! What happens when nothing comes.

use super::{ACK_EVERY, CloseReason, Connection};
use crate::crypto::Crypto;
use crate::time::Micros;

/// Silence after which a sign of life is sent.
const KEEP_ALIVE_EVERY: Micros = 1_000_000;
/// Longest time between probes for a lost tail.
const LONGEST_PROBE: Micros = 1_000_000;
/// Messages that are due within this are delivered together: a wake-up costs more than they do.
const TOGETHER: Micros = 1_000;

impl Connection {
    pub(super) fn keep_alive_at(&self) -> Micros {
        self.last_sent + KEEP_ALIVE_EVERY
    }

    /// Something was sent or acknowledged: the tail of what is in flight may need a probe.
    pub(super) fn arm_probe(&mut self, now: Micros) {
        self.probe_after = self.rtt.with_margin() + 2 * ACK_EVERY;
        self.probe_at = (self.sending.in_flight() > 0).then_some(now + self.probe_after);
    }

    /// Gives up what the peer would not deliver any more.
    pub(super) fn drop_too_old(&mut self, now: Micros) {
        let Some(too_old) = self.too_old else {
            return;
        };
        let (dropped, unsent) = self.sending.drop_older(now - too_old);
        self.stats.send_dropped += u64::from(dropped);
        self.stats.never_sent += u64::from(unsent);
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Micros) {
        if self.closed.is_some() {
            return;
        }
        if now - self.last_received >= self.idle_timeout() {
            self.closed = Some(CloseReason::Idle);
            self.shutdown_due = true;
            return;
        }
        self.drop_too_old(now);
        if self.ack_at.is_some_and(|at| at <= now) {
            self.ack_at = None;
            // What the peer is known to have heard is not said again.
            self.ack_due = self.confirmed != Some(self.receiving.acknowledged());
        }
        if self.report_at.is_some_and(|at| at <= now) {
            let missing = !self.receiving.losses().is_empty();
            self.report_due = missing;
            self.report_at = missing.then(|| now + self.report_interval());
        }
        if self.probe_at.is_some_and(|at| at <= now) {
            self.sending.probe();
            self.probe_after = (self.probe_after * 2).min(LONGEST_PROBE);
            self.probe_at = (self.sending.in_flight() > 0).then_some(now + self.probe_after);
        }
    }

    /// When something is due next.
    pub(crate) fn deadline(&self) -> Option<Micros> {
        let skips = self.config.too_late_drop || self.closed.is_some();
        let delivery = self.receiving.next_due(skips).map(|due| due + TOGETHER);
        if self.closed.is_some() {
            return delivery;
        }
        let sendable = self.sending.has_losses()
            || self.sending.has_unsent() && self.sending.in_flight() < self.peer_space;
        let timers = [
            delivery,
            self.ack_at,
            self.report_at,
            self.probe_at,
            self.pacing.ready_at().filter(|_| sendable),
            self.crypto.as_ref().and_then(Crypto::announce_at),
            self.too_old
                .and_then(|too_old| Some(self.sending.oldest()? + too_old + 1)),
            Some(self.keep_alive_at()),
            Some(self.last_received + self.idle_timeout()),
        ];
        timers.into_iter().flatten().min()
    }
}
