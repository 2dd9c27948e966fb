//! A line between two peers and what happens to it.

use std::time::Duration;

use roomtone_netem::LinkConfig;

/// Bytes of a drop-tail queue that is bounded by time alone.
const NO_BYTE_LIMIT: usize = 1 << 30;

/// What the line is: the way down is shaped, the way up only takes its time.
#[derive(Clone, Debug)]
pub struct Line {
    pub bps: u64,
    pub one_way_ms: u64,
    pub queue_ms: u64,
    pub loss: f64,
    pub jitter_ms: u64,
    pub reorder: f64,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            bps: 2_500_000,
            one_way_ms: 25,
            queue_ms: 200,
            loss: 0.0,
            jitter_ms: 0,
            reorder: 0.0,
        }
    }
}

impl Line {
    /// The shaped way. With `flowing` false it stands still: its queue keeps what it holds at the
    /// full rate and drops the rest.
    pub fn down(&self, flowing: bool) -> LinkConfig {
        let queue = Duration::from_millis(self.queue_ms);
        let queue_bytes = (self.bps * self.queue_ms / 8_000) as usize;
        LinkConfig {
            rate_bps: Some(if flowing { self.bps } else { 0 }),
            delay: self.one_way(),
            jitter: Duration::from_millis(self.jitter_ms),
            loss: self.loss,
            reorder: self.reorder,
            reorder_delay: Duration::from_millis(20),
            queue_bytes: if flowing { NO_BYTE_LIMIT } else { queue_bytes },
            queue_delay: flowing.then_some(queue),
            ..LinkConfig::default()
        }
    }

    /// The way back.
    pub fn up(&self, flowing: bool) -> LinkConfig {
        LinkConfig {
            rate_bps: Some(if flowing { 100_000_000 } else { 0 }),
            delay: self.one_way(),
            ..LinkConfig::default()
        }
    }

    pub fn one_way(&self) -> Duration {
        Duration::from_millis(self.one_way_ms)
    }
}

/// What happens to a line at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// The way down has another rate.
    Rate(u64),
    /// Nothing goes through, either way.
    Still,
    /// It goes on.
    Flow,
}

/// A line's day: when what happens, in order.
pub type Script = Vec<(Duration, Change)>;

/// The rate at a time of the script; nothing flows during an outage.
pub fn rate_at(line: &Line, script: &Script, at: Duration) -> u64 {
    let (mut rate, mut flowing) = (line.bps, true);
    for (when, change) in script {
        if *when > at {
            break;
        }
        match change {
            Change::Rate(bps) => rate = *bps,
            Change::Still => flowing = false,
            Change::Flow => flowing = true,
        }
    }
    if flowing { rate } else { 0 }
}

/// From one rate to another in equal steps, one each half second.
pub fn ramp(from: (f64, u64), to: (f64, u64)) -> Script {
    let steps = ((to.0 - from.0) * 2.0).round().max(1.0) as i64;
    (0..=steps)
        .map(|step| {
            let at = from.0 + step as f64 / 2.0;
            let bps = from.1 as i64 + (to.1 as i64 - from.1 as i64) * step / steps;
            (Duration::from_secs_f64(at), Change::Rate(bps as u64))
        })
        .collect()
}
