//! What a probe shows: the rate it was sent at and the rate it arrived at.
//!
//! Follows libwebrtc's `probe_bitrate_estimator.cc`.

use crate::Probe;

/// Probes whose packets may be on their way at a time; one more takes the oldest one's place.
const SLOTS: usize = 4;
/// Share of packets and bytes that must arrive.
const MIN_SHARE: f64 = 0.8;
/// Arriving this much faster than sent is not believed.
const MAX_RATIO: f64 = 2.0;
/// Arriving this much slower than sent shows the link's capacity, of which a part is taken.
const SATURATED: f64 = 0.9;
const TARGET_SHARE: f64 = 0.95;
/// Longer ones are no probes.
const MAX_SPAN_US: i64 = 1_000_000;

/// What a probe showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shown {
    /// Of which probe.
    pub(super) id: u32,
    pub(super) bps: f64,
    /// It arrived slower than it was sent.
    pub(super) is_saturated: bool,
}

impl Shown {
    /// Whether it is of a later probe, or shows more of the same.
    pub(super) fn is_better(&self, other: &Self) -> bool {
        self.id != other.id || self.bps > other.bps
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Cluster {
    id: u32,
    min_packets: u16,
    packets: u16,
    min_bytes: u32,
    bytes: u32,
    first_sent_us: i64,
    last_sent_us: i64,
    last_sent_bytes: u16,
    first_arrival_bytes: u16,
    first_arrival_us: i64,
    last_arrival_us: i64,
}

/// The probes under way.
#[derive(Debug, Default)]
pub(super) struct ProbeResults {
    clusters: [Cluster; SLOTS],
}

impl ProbeResults {
    /// A probe is given out.
    pub(super) fn open(&mut self, probe: Probe) {
        self.clusters[probe.id as usize % SLOTS] = Cluster {
            id: probe.id,
            min_packets: probe.min_packets,
            min_bytes: probe.min_bytes,
            ..Cluster::default()
        };
    }

    /// The slot plus one of a probe under way, to be remembered with its packets; zero for none.
    pub(super) fn slot(&self, id: u32) -> u8 {
        let slot = id as usize % SLOTS;
        if self.clusters[slot].id == id && self.clusters[slot].min_packets > 0 {
            slot as u8 + 1
        } else {
            0
        }
    }

    /// A packet of a probe arrived: the rate it shows by now, if any.
    pub(super) fn push(
        &mut self,
        slot: u8,
        sent_us: i64,
        arrival_us: i64,
        bytes: u16,
    ) -> Option<Shown> {
        let cluster = self.clusters.get_mut(usize::from(slot.wrapping_sub(1)))?;
        if cluster.min_packets == 0 {
            return None;
        }
        cluster.take(sent_us, arrival_us, bytes);
        cluster.rate()
    }
}

impl Cluster {
    fn take(&mut self, sent_us: i64, arrival_us: i64, bytes: u16) {
        if self.packets == 0 {
            (self.first_sent_us, self.last_sent_us) = (sent_us, sent_us);
            (self.first_arrival_us, self.last_arrival_us) = (arrival_us, arrival_us);
            self.last_sent_bytes = bytes;
            self.first_arrival_bytes = bytes;
        }
        self.first_sent_us = self.first_sent_us.min(sent_us);
        if sent_us >= self.last_sent_us {
            self.last_sent_us = sent_us;
            self.last_sent_bytes = bytes;
            // One that was overtaken was late by itself; the line was not so slow.
            self.last_arrival_us = self.last_arrival_us.max(arrival_us);
        }
        if arrival_us < self.first_arrival_us {
            self.first_arrival_us = arrival_us;
            self.first_arrival_bytes = bytes;
        }
        self.bytes = self.bytes.saturating_add(u32::from(bytes));
        self.packets = self.packets.saturating_add(1);
    }

    fn rate(&self) -> Option<Shown> {
        if f64::from(self.packets) < MIN_SHARE * f64::from(self.min_packets)
            || f64::from(self.bytes) < MIN_SHARE * f64::from(self.min_bytes)
        {
            return None;
        }
        let sent_span = self.last_sent_us - self.first_sent_us;
        let arrival_span = self.last_arrival_us - self.first_arrival_us;
        if sent_span <= 0
            || arrival_span <= 0
            || sent_span > MAX_SPAN_US
            || arrival_span > MAX_SPAN_US
        {
            return None;
        }
        // The last packet sent and the first to arrive lie outside the span that counts.
        let sent = f64::from(self.bytes - u32::from(self.last_sent_bytes));
        let arrived = f64::from(self.bytes - u32::from(self.first_arrival_bytes));
        let sent_bps = sent * 8e6 / sent_span as f64;
        let arrived_bps = arrived * 8e6 / arrival_span as f64;
        if arrived_bps > MAX_RATIO * sent_bps {
            return None;
        }
        let is_saturated = arrived_bps < SATURATED * sent_bps;
        Some(Shown {
            id: self.id,
            bps: if is_saturated {
                TARGET_SHARE * arrived_bps
            } else {
                sent_bps.min(arrived_bps)
            },
            is_saturated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten packets sent a millisecond apart and arriving two apart; the one at `late` so much later.
    fn result(late: Option<(i64, i64)>) -> Option<Shown> {
        let mut results = ProbeResults::default();
        results.open(Probe {
            id: 1,
            bps: 9_600_000,
            min_bytes: 12_000,
            min_packets: 5,
        });
        let slot = results.slot(1);
        let arrival = |at: i64| {
            let held = late.filter(|(which, _)| *which == at);
            (2_000 * at + held.map_or(0, |(_, us)| us), at)
        };
        let mut packets: Vec<_> = (0..10).map(arrival).collect();
        packets.sort_unstable();
        let mut shown = None;
        for (arrival_us, at) in packets {
            shown = results.push(slot, 1_000 * at, arrival_us, 1_200).or(shown);
        }
        shown
    }

    #[test]
    fn a_packet_that_was_overtaken_does_not_make_the_line_slow() {
        let on_time = result(None).unwrap();
        assert!(on_time.is_saturated);
        assert_eq!(result(Some((5, 20_000))), Some(on_time));
    }
}
