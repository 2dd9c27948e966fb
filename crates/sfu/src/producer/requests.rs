//! What a received stream asks its publisher for: missing packets and keyframes.

use super::stream::Stream;
use crate::{NackConfig, RouterConfig};

impl Stream {
    /// Collects the received numbers to ask the publisher for.
    pub(crate) fn collect_nacks(
        &mut self,
        now_us: u64,
        retry_us: u64,
        config: &RouterConfig,
    ) -> Vec<u16> {
        let mut due = Vec::new();
        let nack_config = self.nack_config(config);
        self.counters.packets_given_up +=
            self.nacks
                .collect_due(now_us, retry_us, nack_config, &mut due);
        if !due.is_empty() {
            self.counters.nack_count += 1;
            self.counters.nacked_packets += due.len() as u64;
        }
        due
    }

    /// When it asks for missing packets.
    pub(crate) fn nack_config<'a>(&self, config: &'a RouterConfig) -> &'a NackConfig {
        if self.audio {
            &config.audio_nack
        } else {
            &config.nack
        }
    }

    /// A keyframe came: what was lost before it does no harm any more.
    pub(crate) fn on_keyframe(&mut self) {
        self.keyframes.on_keyframe();
        let counts = self.loss_counts();
        self.watch.on_keyframe(counts);
    }

    /// When a request is due next.
    pub(crate) fn next_repair(&self) -> Option<u64> {
        match (self.nacks.next_due(), self.keyframes.next_due()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}
