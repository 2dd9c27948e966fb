//! What a link promises, in virtual time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use roomtone_netem::{ConfigError, Link, LinkConfig, MAX_IN_FLIGHT};
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

#[allow(
    clippy::disallowed_methods,
    reason = "any instant will do as the origin of virtual time"
)]
fn origin() -> Instant {
    Instant::now()
}

fn link(config: LinkConfig, seed: u64) -> Link {
    Link::new(config, seed).unwrap()
}

/// Sends `count` numbered datagrams of `len` bytes, one each `every`, and gives what arrives and
/// when, running from timeout to timeout.
fn run(link: &mut Link, count: u32, len: usize, every: Duration) -> Vec<(u32, Duration)> {
    let start = origin();
    let mut arrived = Vec::new();
    for number in 0..count {
        let now = start + every * number;
        collect(link, start, now, &mut arrived);
        let mut data = vec![0; len.max(4)];
        data[..4].copy_from_slice(&number.to_be_bytes());
        link.send(now, data);
    }
    collect(link, start, start + Duration::from_secs(1000), &mut arrived);
    arrived
}

fn collect(link: &mut Link, start: Instant, until: Instant, arrived: &mut Vec<(u32, Duration)>) {
    while let Some(at) = link.next_timeout().filter(|&at| at <= until) {
        while let Some(data) = link.poll(at) {
            let number = u32::from_be_bytes(data[..4].try_into().unwrap());
            arrived.push((number, at - start));
        }
    }
}

#[test]
fn a_perfect_link_gives_everything_at_once_and_in_order() {
    let mut link = link(LinkConfig::default(), 1);
    let arrived = run(&mut link, 100, 100, MS);
    let expected: Vec<_> = (0..100).map(|number| (number, MS * number)).collect();
    assert_eq!(arrived, expected);
    let counters = link.counters();
    assert_eq!(
        (counters.sent, counters.delivered, counters.delivered_bytes),
        (100, 100, 10_000)
    );
}

#[test]
fn delay_and_rate_add_up() {
    let config = LinkConfig {
        rate_bps: Some(1_000_000),
        delay: 30 * MS,
        ..LinkConfig::default()
    };
    let mut link = link(config, 1);
    // 1,250 bytes take 10 ms; three at once follow each other.
    let arrived = run(&mut link, 3, 1250, Duration::ZERO);
    assert_eq!(arrived, [(0, 40 * MS), (1, 50 * MS), (2, 60 * MS)]);
}

#[test]
fn a_full_queue_drops_what_comes() {
    let config = LinkConfig {
        rate_bps: Some(1_000_000),
        queue_bytes: 5000,
        ..LinkConfig::default()
    };
    let mut by_bytes = link(config.clone(), 1);
    assert_eq!(run(&mut by_bytes, 10, 1250, Duration::ZERO).len(), 4);
    assert_eq!(by_bytes.counters().queue_dropped, 6);
    let config = LinkConfig {
        queue_bytes: usize::MAX,
        queue_delay: Some(25 * MS),
        ..config
    };
    let mut by_delay = link(config, 1);
    let arrived = run(&mut by_delay, 10, 1250, Duration::ZERO);
    assert_eq!(arrived.len(), 3, "the fourth would wait 30 ms");
}

#[test]
fn the_rate_can_change_and_stop() {
    let start = origin();
    let config = LinkConfig {
        rate_bps: Some(0),
        ..LinkConfig::default()
    };
    let mut link = link(config.clone(), 1);
    link.send(start, vec![1; 125]);
    assert_eq!(link.next_timeout(), None);
    assert_eq!(link.poll(start + 1000 * MS), None);
    let config = LinkConfig {
        rate_bps: Some(1_000_000),
        ..config
    };
    link.set_config(start + 1000 * MS, config).unwrap();
    assert_eq!(link.next_timeout(), Some(start + 1001 * MS));
    assert!(link.poll(start + 1001 * MS).is_some());
    assert_eq!(link.queued_bytes(), 0);
}

#[test]
fn the_share_of_loss_is_kept_with_and_without_bursts() {
    for loss_burst in [1.0, 4.0] {
        let config = LinkConfig {
            loss: 0.05,
            loss_burst,
            ..LinkConfig::default()
        };
        let mut link = link(config, 3);
        let arrived = run(&mut link, 100_000, 10, MS);
        let lost = 100_000 - arrived.len();
        assert!(
            (4500..5500).contains(&lost),
            "{lost} lost in bursts of {loss_burst}"
        );
        assert_eq!(link.counters().lost, lost as u64);
        let bursts = arrived
            .windows(2)
            .filter(|pair| pair[1].0 != pair[0].0 + 1)
            .count();
        let mean = lost as f64 / bursts as f64;
        assert!((mean / loss_burst - 1.0).abs() < 0.15, "mean burst {mean}");
    }
}

#[test]
fn all_can_be_lost_and_nearly_all() {
    for loss_burst in [1.0, 3.0] {
        let all = LinkConfig {
            loss: 1.0,
            loss_burst,
            ..LinkConfig::default()
        };
        assert!(run(&mut link(all, 5), 1000, 10, MS).is_empty());
        let most = LinkConfig {
            loss: 0.9,
            loss_burst,
            ..LinkConfig::default()
        };
        let arrived = run(&mut link(most, 5), 20_000, 10, MS).len();
        assert!((1600..2400).contains(&arrived), "{arrived} arrived");
    }
}

#[test]
fn jitter_keeps_the_order_and_reordering_does_not() {
    let jittery = LinkConfig {
        delay: 20 * MS,
        jitter: 30 * MS,
        ..LinkConfig::default()
    };
    let arrived = run(&mut link(jittery.clone(), 9), 1000, 10, MS);
    assert!(arrived.is_sorted_by_key(|(number, _)| *number));
    let late = arrived
        .iter()
        .map(|&(number, at)| at.saturating_sub(MS * number));
    assert!(late.clone().min().unwrap() >= 20 * MS && late.max().unwrap() <= 50 * MS);
    let reordering = LinkConfig {
        reorder: 0.1,
        ..jittery
    };
    let mut link = link(reordering, 9);
    let arrived = run(&mut link, 1000, 10, MS);
    assert!(!arrived.is_sorted_by_key(|(number, _)| *number));
    assert_eq!(arrived.len(), 1000);
    assert!((60..140).contains(&link.counters().reordered));
}

#[test]
fn duplicates_arrive_beside_their_originals() {
    let config = LinkConfig {
        duplicate: 0.5,
        ..LinkConfig::default()
    };
    let mut link = link(config, 2);
    let arrived = run(&mut link, 1000, 10, MS);
    assert_eq!(arrived.len() as u64, 1000 + link.counters().duplicated);
    assert!((400..600).contains(&link.counters().duplicated));
}

#[test]
fn what_is_on_its_way_is_bounded() {
    let start = origin();
    let mut link = link(
        LinkConfig {
            delay: 1000 * MS,
            ..LinkConfig::default()
        },
        1,
    );
    for _ in 0..MAX_IN_FLIGHT + 10 {
        link.send(start, Vec::new());
    }
    assert_eq!(link.counters().flight_dropped, 10);
}

#[test]
fn senseless_settings_are_refused() {
    let refused = |config: LinkConfig| Link::new(config, 0).unwrap_err();
    let default = LinkConfig::default;
    assert_eq!(
        refused(LinkConfig {
            loss: 1.5,
            ..default()
        }),
        ConfigError::Share("loss")
    );
    assert_eq!(
        refused(LinkConfig {
            reorder: f64::NAN,
            ..default()
        }),
        ConfigError::Share("reorder")
    );
    assert_eq!(
        refused(LinkConfig {
            loss_burst: 0.5,
            ..default()
        }),
        ConfigError::Burst
    );
}

proptest! {
    #[test]
    fn every_datagram_is_accounted_for_and_the_seed_decides(
        seed: u64,
        loss in 0.0..0.5,
        loss_burst in 1.0..5.0,
        duplicate in 0.0..0.5,
        reorder in 0.0..0.5,
        rate in prop::option::of(100_000_u64..10_000_000),
        jitter in 0_u32..50,
    ) {
        let config = LinkConfig {
            rate_bps: rate,
            delay: 10 * MS,
            jitter: MS * jitter,
            loss,
            loss_burst,
            duplicate,
            reorder,
            queue_bytes: 20_000,
            ..LinkConfig::default()
        };
        let mut first = link(config.clone(), seed);
        let mut second = link(config, seed);
        let arrived = run(&mut first, 300, 500, MS);
        let again = run(&mut second, 300, 500, MS);
        prop_assert_eq!(&arrived, &again);
        let counters = first.counters();
        prop_assert_eq!(counters, second.counters());
        prop_assert_eq!(counters.delivered, arrived.len() as u64);
        prop_assert_eq!(
            counters.sent + counters.duplicated,
            counters.delivered + counters.lost + counters.queue_dropped + counters.flight_dropped
        );
        prop_assert_eq!(first.next_timeout(), None);
        prop_assert_eq!(first.queued_bytes(), 0);
    }
}
