//! Statistics and dumps of observers of audio levels and of data channels.

use roomtone_webrtc::{ChannelId, ChannelStats, Reliability};
use serde_json::{Value, json};

use super::Shard;
use super::objects::{Carrier, ObserverEntry};
use super::stats::report;
use crate::values::{Report, StatValue};

impl Shard {
    pub(super) fn observer_report(&self, id: u64, slot: usize, entry: &ObserverEntry) -> Report {
        let levels = &entry.levels;
        report! {
            "id": id.to_string(), "type": "observer", "router": self.routers[slot].id,
            "intervalMs": levels.interval.as_millis() as u64,
            "thresholdDbov": -i64::from(levels.threshold),
            "percentile": u64::from(levels.min_percentile),
            "smoothing": f64::from(levels.smoothing) / 100.0,
            "holdMs": levels.hold.as_millis() as u64,
            "maxEntries": levels.max_entries as u64,
            "reports": entry.reports, "speakers": entry.speakers, "dominant": entry.dominant,
        }
    }

    pub(super) fn channel_report(&self, id: u64, slot: usize, stream: ChannelId) -> Report {
        let entry = &self.transports[slot];
        let mut report = report! {
            "id": id.to_string(), "type": "data-channel", "transportId": entry.id.to_string(),
            "dataChannelIdentifier": u64::from(stream.0),
        };
        if let Some(stats) = self.channel_stats(slot, stream) {
            let (parameters, counters) = (stats.parameters, stats.counters);
            report.extend(report! {
                "label": parameters.label, "protocol": parameters.protocol, "ordered": parameters.ordered,
                "maxRetransmits": match parameters.reliability {
                    Reliability::MaxRetransmits(count) => Some(u64::from(count)),
                    _ => None,
                },
                "maxPacketLifeTime": match parameters.reliability {
                    Reliability::MaxLifetimeMs(ms) => Some(u64::from(ms)),
                    _ => None,
                },
                "state": stats.status.as_str(), "bufferedAmount": stats.buffered_amount,
                "messagesSent": counters.messages_sent, "bytesSent": counters.bytes_sent,
                "messagesReceived": counters.messages_received, "bytesReceived": counters.bytes_received,
                "messagesRefused": counters.messages_refused, "messagesExpired": counters.messages_expired,
            });
        }
        report
    }

    /// None where its association is gone, and the channel with it.
    fn channel_stats(&self, slot: usize, stream: ChannelId) -> Option<ChannelStats> {
        match &self.transports[slot].carrier {
            Carrier::WebRtc(peer) => peer.transport.channel_stats(stream),
            _ => None,
        }
    }

    pub(super) fn dump_observer(&self, id: u64, slot: usize, entry: &ObserverEntry) -> Value {
        json!({
            "id": id, "type": "observer", "router": self.routers[slot].id,
            "interval_ms": entry.levels.interval.as_millis() as u64,
            "max_entries": entry.levels.max_entries, "dominant": entry.dominant,
        })
    }

    pub(super) fn dump_channel(
        &self,
        id: u64,
        slot: usize,
        stream: ChannelId,
        open: bool,
    ) -> Value {
        let stats = self.channel_stats(slot, stream);
        let stats = stats.as_ref();
        json!({
            "id": id, "type": "data-channel", "transport": self.transports[slot].id,
            "stream": stream.0, "open": open,
            "label": stats.map(|stats| &stats.parameters.label),
            "protocol": stats.map(|stats| &stats.parameters.protocol),
            "buffered": stats.map(|stats| stats.buffered_amount),
        })
    }
}
