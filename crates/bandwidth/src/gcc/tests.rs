//! What the estimator does with reports, true and false.

use super::*;
use crate::{LineState, SentKind};

struct Peer {
    base: Instant,
    now_us: u64,
    sequence: u16,
    estimator: GccEstimator,
}

impl Peer {
    #[expect(clippy::disallowed_methods, reason = "any instant to count from")]
    fn new(config: GccConfig) -> Self {
        Self {
            base: Instant::now(),
            now_us: 0,
            sequence: 65_500,
            estimator: GccEstimator::new(config),
        }
    }

    fn now(&self) -> Instant {
        self.base + Duration::from_micros(self.now_us)
    }

    fn send(&mut self, probe: Option<u32>) -> u16 {
        let sequence = self.sequence;
        let packet = SentPacket {
            sequence,
            bytes: 1200,
            kind: SentKind::Video,
            probe,
        };
        let now = self.now();
        self.estimator.on_sent(packet, now);
        self.sequence = self.sequence.wrapping_add(1);
        sequence
    }

    fn hear(&mut self, entries: &[(u16, Option<i64>)]) {
        let entries: Vec<_> = entries
            .iter()
            .map(|(sequence, arrival_us)| FeedbackEntry {
                sequence: *sequence,
                arrival_us: *arrival_us,
            })
            .collect();
        let now = self.now();
        self.estimator.on_feedback(&entries, now);
    }

    /// Ten packets in 50 ms, heard of 30 ms later; `arrives` says when.
    fn round(&mut self, arrives: impl Fn(u64) -> Option<i64>) {
        let mut entries = Vec::new();
        for _ in 0..10 {
            let sequence = self.send(None);
            entries.push((sequence, arrives(self.now_us)));
            self.now_us += 5_000;
        }
        self.now_us += 30_000;
        self.hear(&entries);
        self.now_us -= 30_000;
    }

    fn bps(&self) -> u64 {
        self.estimator.estimate().bps
    }
}

/// A quiet line of 20 ms.
#[expect(clippy::unnecessary_wraps, reason = "what a report says")]
fn in_time(sent_us: u64) -> Option<i64> {
    Some(sent_us as i64 + 20_000 + 5_000_000)
}

#[test]
fn what_was_never_sent_or_said_twice_is_counted_and_changes_nothing() {
    let mut peer = Peer::new(GccConfig::default());
    peer.hear(&[(1, Some(0)), (2, Some(0)), (40_000, None)]);
    assert_eq!(peer.estimator.counters().bogus, 3);
    assert!(
        !peer.estimator.estimate().confirmed,
        "nothing true was said"
    );
    let sequence = peer.send(None);
    peer.now_us += 50_000;
    peer.hear(&[(sequence, Some(9)), (sequence, Some(9)), (sequence, None)]);
    assert_eq!(peer.estimator.counters().repeated, 2);
    assert_eq!(peer.estimator.counters().bogus, 3);
    assert!(peer.estimator.estimate().confirmed);
    let before = peer.bps();
    peer.hear(&[
        (sequence.wrapping_add(1), Some(9)),
        (sequence.wrapping_sub(1), Some(9)),
    ]);
    assert_eq!(peer.estimator.counters().bogus, 5);
    assert_eq!(peer.bps(), before);
}

#[test]
fn a_packet_reported_lost_that_comes_late_was_not_lost() {
    let mut peer = Peer::new(GccConfig::default());
    let first = peer.send(None);
    let second = peer.send(None);
    peer.now_us += 50_000;
    peer.hear(&[(first, None), (second, Some(7))]);
    assert_eq!(peer.estimator.counters().lost, 1);
    peer.hear(&[(first, Some(8))]);
    assert_eq!(peer.estimator.counters().lost, 0);
    assert_eq!(peer.estimator.counters().repeated, 0);
}

#[test]
fn arrival_times_that_run_wild_are_counted_and_claim_no_more_than_the_maximum() {
    let config = GccConfig {
        max_bps: 4_000_000,
        ..GccConfig::default()
    };
    let mut peer = Peer::new(config);
    for round in 0..400_i64 {
        peer.round(|sent| match round % 4 {
            0 => in_time(sent),
            // All at once: terabits.
            1 => Some(0),
            2 => Some(i64::MAX - sent as i64),
            _ => Some(i64::MIN + sent as i64),
        });
        let estimate = peer.estimator.estimate();
        assert!((config.min_bps..=config.max_bps).contains(&estimate.bps));
    }
    let jumps = peer.estimator.counters().clock_jumps;
    assert!(jumps > 50, "{jumps}");
    assert!(peer.estimator.details().memory < 64 * 1024);
}

#[test]
fn memory_follows_what_is_on_the_way_and_is_bounded() {
    let mut peer = Peer::new(GccConfig::default());
    for _ in 0..100 {
        peer.round(in_time);
    }
    let idle = peer.estimator.details().memory;
    assert!(idle <= 2048, "{idle} bytes");
    for _ in 0..100_000 {
        peer.send(None);
        peer.now_us += 10;
    }
    let counters = peer.estimator.counters();
    assert!(counters.unreported > 80_000, "{counters:?}");
    let memory = peer.estimator.details().memory;
    assert!(memory <= 16_384 * 8 + 2048, "{memory} bytes");
}

#[test]
fn the_estimate_stays_where_the_peer_was_always_heard_and_falls_while_it_is_silent() {
    let mut peer = Peer::new(GccConfig::default());
    for _ in 0..100 {
        peer.round(in_time);
    }
    let before = peer.bps();
    for _ in 0..60 {
        peer.send(None);
        peer.now_us += 50_000;
        let now = peer.now();
        if peer.estimator.next_timeout().is_some_and(|at| at <= now) {
            peer.estimator.handle_timeout(now);
        }
    }
    assert!(peer.bps() < before / 2, "{} of {before}", peer.bps());
    assert!(peer.estimator.counters().timeouts >= 3);
    // A peer that was sent nothing owes nothing.
    let mut idle = Peer::new(GccConfig::default());
    idle.round(in_time);
    let before = idle.bps();
    for _ in 0..60 {
        idle.now_us += 500_000;
        let now = idle.now();
        idle.estimator.handle_timeout(now);
    }
    assert_eq!(idle.bps(), before);
}

#[test]
fn a_peers_own_limit_holds_and_media_leave_faster_than_the_estimate() {
    let mut peer = Peer::new(GccConfig::default());
    let now = peer.now();
    peer.estimator.on_remb(200_000, now);
    assert_eq!(peer.bps(), 200_000);
    assert_eq!(peer.estimator.estimate().pacing_bps, Some(220_000));
    peer.estimator.on_remb(1, now);
    assert_eq!(peer.bps(), GccConfig::default().min_bps);
}

#[test]
fn the_first_probes_are_three_and_six_times_the_start_but_not_far_above_what_is_wanted() {
    let mut peer = Peer::new(GccConfig::default());
    let now = peer.now();
    assert_eq!(peer.estimator.poll_probe(now), None, "nothing is wanted");
    peer.estimator.set_wanted(5_000_000, now);
    let rates: Vec<_> = std::iter::from_fn(|| peer.estimator.poll_probe(now))
        .map(|probe| (probe.bps, probe.min_packets))
        .collect();
    assert_eq!(rates, [(900_000, 5), (1_800_000, 5)]);
    let mut peer = Peer::new(GccConfig::default());
    let now = peer.now();
    peer.estimator.set_wanted(500_000, now);
    let rates: Vec<_> = std::iter::from_fn(|| peer.estimator.poll_probe(now))
        .map(|probe| probe.bps)
        .collect();
    assert_eq!(rates, [900_000, 1_000_000]);
}

#[test]
fn a_probe_that_arrives_as_it_was_sent_raises_the_estimate_and_is_followed_by_a_further_one() {
    let mut peer = Peer::new(GccConfig::default());
    let now = peer.now();
    peer.estimator.set_wanted(5_000_000, now);
    let probe = peer.estimator.poll_probe(now).unwrap();
    let rounds: Vec<_> = (0..8)
        .map(|_| {
            let entry = (peer.send(Some(probe.id)), in_time(peer.now_us));
            peer.now_us += 1200 * 8 * 1_000_000 / probe.bps;
            entry
        })
        .collect();
    peer.now_us += 50_000;
    peer.hear(&rounds);
    let bps = peer.bps();
    assert!(
        bps.abs_diff(probe.bps) < probe.bps / 50,
        "{bps} of {}",
        probe.bps
    );
    assert_eq!(peer.estimator.counters().probes_measured, 1);
    assert_eq!(peer.estimator.estimate().state, LineState::Normal);
}

#[test]
fn a_source_that_has_little_to_send_is_probed_for_at_least_every_five_seconds() {
    let mut peer = Peer::new(GccConfig::default());
    let now = peer.now();
    peer.estimator.set_wanted(5_000_000, now);
    let mut probed = Vec::new();
    // A tenth of the estimate is sent, and no probe finds more: those are the longest intervals.
    while peer.now_us < 60_000_000 {
        let sequence = peer.send(None);
        let sent_us = peer.now_us;
        peer.now_us += 320_000;
        peer.hear(&[(sequence, in_time(sent_us))]);
        let now = peer.now();
        if peer.estimator.next_timeout().is_some_and(|at| at <= now) {
            peer.estimator.handle_timeout(now);
        }
        while peer.estimator.poll_probe(now).is_some() {
            probed.push(peer.now_us);
        }
    }
    assert!(peer.estimator.details().is_application_limited);
    let late: Vec<_> = probed.into_iter().filter(|at| *at > 20_000_000).collect();
    let pauses: Vec<_> = late.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // A tick is missed by the time between two packets.
    assert!(pauses.len() >= 6, "{pauses:?}");
    assert!(
        pauses.iter().all(|us| (1_900_000..6_400_000).contains(us)),
        "{pauses:?}"
    );
}
