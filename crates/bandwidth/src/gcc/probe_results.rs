//! What a probe shows: the rate it was sent at and the rate it arrived at.
//!
//! Follows libwebrtc's `probe_bitrate_estimator.cc` (revision 0467d2b9), which takes a packet that was lost for one that was
//! never sent. A probe is half a dozen packets, so that one of them lost by chance would make the line a
//! sixth slower than it is; here it has taken its time on the line like the others, as long as chance explains
//! that it was lost.

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
/// The same where what others sent meanwhile is known: then it is the line that was measured.
const WHOLE_SHARE: f64 = 0.98;
/// A chance below this explains nothing; what is lost is explained up to so many times what chance takes on
/// average, and one packet more.
const MIN_CHANCE: f64 = 0.01;
const CHANCES: f64 = 3.0;
/// Lost packets of one probe that are remembered; more are not by chance.
const MAX_LOST: usize = 16;
/// Times of sending that are remembered with what others had been sent by then; of a probe with more of them others
/// are counted by their mean.
const MAX_MARKS: usize = 40;
/// Longer ones are no probes.
const MAX_SPAN_US: i64 = 1_000_000;

/// What a probe showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shown {
    /// Of which probe.
    pub(super) id: u32,
    pub(super) bps: f64,
    /// At what rate it was sent.
    pub(super) sent_bps: f64,
    /// It arrived slower than it was sent.
    pub(super) is_saturated: bool,
    /// What others sent meanwhile is in it: it is of the line.
    pub(super) is_whole: bool,
}

impl Shown {
    /// Whether it is of a later probe, or shows more of the same.
    pub(super) fn is_better(&self, other: &Self) -> bool {
        self.id != other.id || self.bps > other.bps
    }
}

#[derive(Debug, Clone, Copy)]
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
    /// When packets were sent that were lost, and their bytes.
    lost: [(i64, u16); MAX_LOST],
    lost_count: usize,
    /// When packets were sent, and what others had been sent by then; both wrap.
    marks: Marks,
    mark_count: usize,
}

/// Microseconds and bytes.
type Marks = [(u32, u32); MAX_MARKS];

impl Default for Cluster {
    fn default() -> Self {
        Self {
            id: 0,
            min_packets: 0,
            packets: 0,
            min_bytes: 0,
            bytes: 0,
            first_sent_us: 0,
            last_sent_us: 0,
            last_sent_bytes: 0,
            first_arrival_bytes: 0,
            first_arrival_us: 0,
            last_arrival_us: 0,
            lost: [(0, 0); MAX_LOST],
            lost_count: 0,
            marks: [(0, 0); MAX_MARKS],
            mark_count: 0,
        }
    }
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

    /// A packet of a probe leaves, and others who share the line had been sent so much before it.
    pub(super) fn mark(&mut self, slot: u8, sent_us: i64, others: u64) {
        let Some(cluster) = self.clusters.get_mut(usize::from(slot.wrapping_sub(1))) else {
            return;
        };
        let marked = cluster.mark_count.min(MAX_MARKS);
        let mut before = cluster.marks[..marked].iter().rev();
        if before.next().is_some_and(|(at, _)| *at == sent_us as u32) {
            return;
        }
        if let Some(place) = cluster.marks.get_mut(marked) {
            *place = (sent_us as u32, others as u32);
        }
        cluster.mark_count += 1;
    }

    /// A packet of a probe was lost.
    pub(super) fn lose(&mut self, slot: u8, sent_us: i64, bytes: u16) {
        let Some(cluster) = self.clusters.get_mut(usize::from(slot.wrapping_sub(1))) else {
            return;
        };
        if let Some(place) = cluster.lost.get_mut(cluster.lost_count) {
            *place = (sent_us, bytes);
        }
        cluster.lost_count += 1;
    }

    /// A packet of a probe arrived: the rate it shows by now, if any. `chance` is the share that the line loses
    /// by itself.
    pub(super) fn push(
        &mut self,
        slot: u8,
        sent_us: i64,
        arrival_us: i64,
        bytes: u16,
        chance: f64,
    ) -> Option<Shown> {
        let cluster = self.clusters.get_mut(usize::from(slot.wrapping_sub(1)))?;
        if cluster.min_packets == 0 {
            return None;
        }
        cluster.take(sent_us, arrival_us, bytes);
        cluster.rate(chance)
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
        // Late, not lost.
        let told = self.lost_count.min(MAX_LOST);
        let found = self.lost[..told]
            .iter()
            .position(|lost| *lost == (sent_us, bytes));
        if let Some(found) = found {
            self.lost.copy_within(found + 1..told, found);
            self.lost_count -= 1;
        }
    }

    /// Bytes that were lost by chance between the first packet that arrived and the last.
    fn lost_by_chance(&self, chance: f64) -> u32 {
        if chance < MIN_CHANCE || self.lost_count > MAX_LOST {
            return 0;
        }
        let within = self.lost[..self.lost_count]
            .iter()
            .filter(|(sent_us, _)| (self.first_sent_us..self.last_sent_us).contains(sent_us));
        let sent = f64::from(self.packets) + self.lost_count as f64;
        let explained = 1 + (CHANCES * chance * sent) as usize;
        within
            .take(explained)
            .map(|(_, bytes)| u32::from(*bytes))
            .sum()
    }

    /// Bytes sent for others between the first packet and the last, if that is known.
    fn others(&self) -> Option<u32> {
        let marks = self.marks.get(..self.mark_count)?;
        let at = |sent_us: i64| marks.iter().find(|(at, _)| *at == sent_us as u32);
        let ((_, first), (_, last)) = (at(self.first_sent_us)?, at(self.last_sent_us)?);
        Some(last.wrapping_sub(*first))
    }

    fn rate(&self, chance: f64) -> Option<Shown> {
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
        let bytes = self.bytes + self.lost_by_chance(chance);
        let sent = f64::from(bytes - u32::from(self.last_sent_bytes));
        let arrived = f64::from(bytes - u32::from(self.first_arrival_bytes));
        let sent_bps = sent * 8e6 / sent_span as f64;
        let arrived_bps = arrived * 8e6 / arrival_span as f64;
        if arrived_bps > MAX_RATIO * sent_bps {
            return None;
        }
        // Who sends to all of them has the packets of others between these in the same order as the line.
        let others = self.others();
        let between = others.map_or(0.0, f64::from) * 8e6;
        let whole = |own: f64, span: i64| own + between / span as f64;
        let (sent_bps, arrived_bps) =
            (whole(sent_bps, sent_span), whole(arrived_bps, arrival_span));
        let is_saturated = arrived_bps < SATURATED * sent_bps;
        let share = if others.is_some() {
            WHOLE_SHARE
        } else {
            TARGET_SHARE
        };
        Some(Shown {
            is_whole: others.is_some(),
            id: self.id,
            bps: if is_saturated {
                share * arrived_bps
            } else {
                sent_bps.min(arrived_bps)
            },
            sent_bps,
            is_saturated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ten_packets() -> (ProbeResults, u8) {
        let mut results = ProbeResults::default();
        results.open(Probe {
            id: 1,
            bps: 9_600_000,
            min_bytes: 12_000,
            min_packets: 5,
        });
        let slot = results.slot(1);
        (results, slot)
    }

    /// Ten packets sent a millisecond apart and arriving two apart; the one at `late` so much later.
    fn result(late: Option<(i64, i64)>) -> Option<Shown> {
        let (mut results, slot) = ten_packets();
        let arrival = |at: i64| {
            let held = late.filter(|(which, _)| *which == at);
            (2_000 * at + held.map_or(0, |(_, us)| us), at)
        };
        let mut packets: Vec<_> = (0..10).map(arrival).collect();
        packets.sort_unstable();
        let mut shown = None;
        for (arrival_us, at) in packets {
            shown = results
                .push(slot, 1_000 * at, arrival_us, 1_200, 0.0)
                .or(shown);
        }
        shown
    }

    /// The same with packets lost on a line that loses so many by chance.
    fn result_of_loss(lost: &[i64], chance: f64) -> f64 {
        let (mut results, slot) = ten_packets();
        for at in lost {
            results.lose(slot, 1_000 * at, 1_200);
        }
        let mut shown = None;
        for at in (0..10).filter(|at| !lost.contains(at)) {
            let rate = results.push(slot, 1_000 * at, 2_000 * at, 1_200, chance);
            shown = rate.or(shown);
        }
        shown.unwrap().bps
    }

    #[test]
    fn a_packet_lost_by_chance_has_taken_its_time_on_the_line() {
        let whole = result(None).unwrap().bps;
        assert!((result_of_loss(&[4], 0.05) - whole).abs() < 1.0);
        assert!((result_of_loss(&[4, 6], 0.05) - whole).abs() < 1.0);
        assert!(
            (result_of_loss(&[9], 0.05) - whole).abs() < 1.0,
            "what was lost at the end has no time to count"
        );
    }

    #[test]
    fn what_others_were_sent_between_a_probes_packets_has_passed_with_them() {
        let shown = |packets: i64, times: i64| {
            let (mut results, slot) = ten_packets();
            let mut shown = None;
            for at in 0..packets {
                // A picture of 2,400 bytes for others before the fifth packet.
                results.mark(slot, times * at, 70_000 + if at < 4 { 0 } else { 2_400 });
                let rate = results.push(slot, times * at, 2 * times * at, 1_200, 0.0);
                shown = rate.or(shown);
            }
            shown.unwrap()
        };
        let (alone, beside) = (result(None).unwrap(), shown(10, 1_000));
        assert!(!alone.is_whole && beside.is_whole);
        // Eleven packets in 18 ms, where nine were counted.
        let carried = 11.0 * 1_200.0 * 8.0 / 0.018;
        assert!(
            (beside.bps - WHOLE_SHARE * carried).abs() < 1.0,
            "{beside:?}"
        );
        assert!((beside.sent_bps - 2.0 * carried).abs() < 1.0, "{beside:?}");
        // Of more times than are remembered it is not known.
        assert!(!shown(MAX_MARKS as i64 + 1, 1_000).is_whole);
    }

    #[test]
    fn what_chance_does_not_explain_was_not_carried() {
        let whole = result(None).unwrap().bps;
        assert!(result_of_loss(&[4], 0.0) < 0.9 * whole);
        assert!(result_of_loss(&[4, 6], 0.02) < 0.9 * whole);
    }

    #[test]
    fn a_packet_that_was_overtaken_does_not_make_the_line_slow() {
        let on_time = result(None).unwrap();
        assert!(on_time.is_saturated);
        assert_eq!(result(Some((5, 20_000))), Some(on_time));
    }
}
