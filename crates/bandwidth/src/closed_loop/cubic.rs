//! A flow that fills queues until they drop: RFC 9438's window without its finer points.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

const PACKET: usize = 1200;

pub(super) struct Cubic {
    window: f64,
    threshold: f64,
    peak: f64,
    epoch: Option<Instant>,
    next: u64,
    outstanding: BTreeSet<u64>,
    recovery_until: u64,
    returning: VecDeque<(Instant, u64)>,
    last_progress: Option<Instant>,
    pub(super) delivered: u64,
}

impl Cubic {
    pub(super) fn new() -> Self {
        Self {
            window: 10.0,
            threshold: f64::MAX,
            peak: 0.0,
            epoch: None,
            next: 0,
            outstanding: BTreeSet::new(),
            recovery_until: 0,
            returning: VecDeque::new(),
            last_progress: None,
            delivered: 0,
        }
    }

    pub(super) fn arrived(&mut self, data: &[u8], acknowledged_at: Instant) {
        let sequence = u64::from_le_bytes(data[1..9].try_into().unwrap());
        self.delivered += data.len() as u64;
        self.returning.push_back((acknowledged_at, sequence));
    }

    pub(super) fn step(&mut self, now: Instant, mut send: impl FnMut(Vec<u8>)) {
        while self.returning.front().is_some_and(|(at, _)| *at <= now) {
            let (_, sequence) = self.returning.pop_front().unwrap();
            self.acknowledge(sequence, now);
        }
        let last = *self.last_progress.get_or_insert(now);
        if (now - last).as_millis() > 1000 && !self.outstanding.is_empty() {
            self.outstanding.clear();
            self.window = 2.0;
            self.last_progress = Some(now);
        }
        while (self.outstanding.len() as f64) < self.window {
            let mut data = vec![0; PACKET];
            data[1..9].copy_from_slice(&self.next.to_le_bytes());
            self.outstanding.insert(self.next);
            self.next += 1;
            send(data);
        }
    }

    fn acknowledge(&mut self, sequence: u64, now: Instant) {
        self.last_progress = Some(now);
        if !self.outstanding.remove(&sequence) {
            return;
        }
        let mut is_lost = false;
        while let Some(&first) = self.outstanding.first()
            && first + 3 < sequence
        {
            self.outstanding.pop_first();
            is_lost |= first >= self.recovery_until;
        }
        if is_lost {
            self.peak = self.window;
            self.window = (self.window * 0.7).max(2.0);
            self.threshold = self.window;
            self.epoch = Some(now);
            self.recovery_until = self.next;
        } else if self.window < self.threshold {
            self.window += 1.0;
        } else {
            let epoch = *self.epoch.get_or_insert(now);
            let t = (now - epoch).as_secs_f64();
            let k = (self.peak * 0.3 / 0.4).cbrt();
            let target = 0.4 * (t - k).powi(3) + self.peak;
            if target > self.window {
                self.window += ((target - self.window) / self.window).min(0.5);
            } else {
                self.window += 0.01 / self.window;
            }
        }
    }
}
