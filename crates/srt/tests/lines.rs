//! Streams over lines that lose, delay and reorder, in virtual time.

mod sim;

use roomtone_netem::LinkConfig;
use roomtone_srt::{
    Acceptance, Bandwidth, CipherMode, ConnectionConfig, DialConfig, Dialer, KeyLength, KeyRefresh,
    Listener, ListenerConfig, MAX_DATAGRAM, Passphrase, SendError,
};
use sim::{World, address, assert_whole, origin, payload};
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);

fn latency(ms: u64) -> ConnectionConfig {
    ConnectionConfig {
        latency: MILLISECOND * ms as u32,
        ..ConnectionConfig::default()
    }
}

fn line(loss: f64) -> LinkConfig {
    LinkConfig {
        delay: 20 * MILLISECOND,
        loss,
        ..LinkConfig::default()
    }
}

fn world(config: ConnectionConfig, line: &LinkConfig, seed: u64) -> World {
    let dial = DialConfig {
        connection: config,
        ..DialConfig::default()
    };
    let acceptance = Acceptance {
        config,
        ..Acceptance::default()
    };
    World::new(dial, acceptance, line, seed)
}

#[test]
fn a_clean_line_delivers_at_the_latency_agreed_on() {
    let mut world = world(latency(120), &line(0.0), 1);
    world.connect();
    world.publish(2000, 5 * MILLISECOND);
    assert_whole(&world.came_up, 2000);
    for message in &world.came_up {
        // The line's 20 ms, and messages within a millisecond of each other come together.
        let late = message.after.as_secs_f64() * 1000.0 - 140.0;
        assert!((0.0..2.0).contains(&late), "{late} ms late");
    }
    let stats = world.received_stats();
    assert_eq!(
        (stats.lost, stats.duplicates, stats.reports_sent),
        (0, 0, 0)
    );
    assert!(stats.rtt.as_millis().abs_diff(40) <= 1, "{:?}", stats.rtt);
}

#[test]
fn a_sender_that_is_told_of_a_small_window_waits_and_goes_on_whole_in_a_large_one() {
    let mut world = world(latency(120), &line(0.0), 21);
    let connection = world.connect();
    let send = |world: &mut World, numbers: std::ops::Range<u32>| {
        for number in numbers {
            let payload = payload(number, world.elapsed());
            world
                .dialer
                .send(&payload, world.now)
                .expect("room to send");
            world.run_for(5 * MILLISECOND);
        }
    };
    send(&mut world, 0..100);
    assert!(world.listener.limit_window(connection, Some(2)));
    // It has heard of it, and what was on its way has come.
    send(&mut world, 100..120);
    let before = world.received_stats();
    send(&mut world, 120..200);
    let after = world.received_stats();
    let came = after.received - before.received;
    assert!(came > 0 && came <= 2 * (after.acks_sent - before.acks_sent + 1));
    assert!(came < 40, "{came} packets of 80 in 400 ms");
    assert!(world.listener.limit_window(connection, None));
    send(&mut world, 200..300);
    world.run_for(2_000 * MILLISECOND);
    assert_whole(&world.came_up, 300);
    world.listener.close(connection);
    world.run_for(1_000 * MILLISECOND);
    assert!(!world.listener.limit_window(connection, Some(2)));
}

#[test]
fn lines_that_lose_up_to_five_percent_deliver_everything_at_200_ms() {
    for (seed, loss) in [(2, 0.02), (3, 0.02), (4, 0.05), (5, 0.05)] {
        let mut world = world(latency(200), &line(loss), seed);
        world.connect();
        world.publish(12_000, 5 * MILLISECOND);
        assert_whole(&world.came_up, 12_000);
        let stats = world.received_stats();
        let expected = (12_000.0 * loss) as u64;
        assert!(stats.lost > expected / 2, "{stats:?}");
        assert_eq!(stats.lost, stats.recovered);
        assert_eq!(stats.dropped, 0);
        // What is missing is asked for, and little is sent that is not.
        let sent = world.dialer.stats().expect("open").retransmitted;
        assert!(sent < expected * 2, "{sent} retransmissions of {expected}");
    }
}

#[test]
fn what_a_worse_line_loses_for_good_is_counted_and_nothing_else_is_missing() {
    for (seed, loss, ms) in [(6, 0.10, 200), (7, 0.10, 60), (8, 0.30, 60)] {
        let mut world = world(latency(ms), &line(loss), seed);
        world.connect();
        world.publish(6000, 5 * MILLISECOND);
        let stats = world.received_stats();
        let came = &world.came_up;
        let lost_before: u32 = came.iter().map(|message| message.lost_before).sum();
        assert!(came.is_sorted_by(|a, b| a.number < b.number));
        assert_eq!(u64::from(lost_before), stats.dropped);
        let last = came.last().expect("something came").number;
        assert_eq!(came.len() as u32 + lost_before, last + 1);
        assert_eq!(stats.lost, stats.recovered + stats.dropped);
        if ms == 60 {
            assert!(stats.dropped > 0);
        }
        println!("{loss} at {ms} ms: {} dropped of 6000", stats.dropped);
    }
}

#[test]
fn packets_that_overtake_each_other_are_put_in_order() {
    let line = LinkConfig {
        reorder: 0.05,
        duplicate: 0.02,
        jitter: 5 * MILLISECOND,
        ..line(0.01)
    };
    let mut world = world(latency(200), &line, 9);
    world.connect();
    world.publish(5000, 4 * MILLISECOND);
    assert_whole(&world.came_up, 5000);
    let stats = world.received_stats();
    assert!(stats.duplicates + stats.late > 50, "{stats:?}");
}

#[test]
fn bursts_of_loss_and_a_lost_tail_are_mended() {
    let line = LinkConfig {
        loss_burst: 8.0,
        ..line(0.03)
    };
    let mut world = world(latency(400), &line, 10);
    world.connect();
    for _ in 0..20 {
        world.came_up.clear();
        // Every pause has a last packet, which nothing follows that would tell of its loss.
        world.publish(50, 2 * MILLISECOND);
        assert_whole(&world.came_up, 50);
    }
    assert_eq!(world.received_stats().dropped, 0);
}

#[test]
fn a_listener_sends_as_well_as_it_receives() {
    let mut world = world(latency(200), &line(0.05), 11);
    let connection = world.connect();
    world.play(connection, 3000, 3 * MILLISECOND);
    assert_whole(&world.came_down, 3000);
    let stats = world.received_stats();
    assert!(stats.retransmitted > 100 && stats.sent == 3000, "{stats:?}");
    assert_eq!(stats.unacknowledged, 0);
}

#[test]
fn the_greater_latency_counts_on_both_sides() {
    let dial = DialConfig {
        connection: ConnectionConfig {
            latency: 50 * MILLISECOND,
            peer_latency: 300 * MILLISECOND,
            ..ConnectionConfig::default()
        },
        ..DialConfig::default()
    };
    let acceptance = Acceptance {
        config: ConnectionConfig {
            latency: 80 * MILLISECOND,
            peer_latency: 90 * MILLISECOND,
            ..ConnectionConfig::default()
        },
        ..Acceptance::default()
    };
    let mut world = World::new(dial, acceptance, &line(0.0), 12);
    world.connect();
    let (here, there) = (world.received_stats(), world.dialer.stats().expect("open"));
    assert_eq!(here.latency, 300 * MILLISECOND);
    assert_eq!(here.peer_latency, 90 * MILLISECOND);
    assert_eq!(
        (there.latency, there.peer_latency),
        (here.peer_latency, here.latency)
    );
}

#[test]
fn encrypted_streams_survive_loss_and_new_keys_in_both_directions() {
    let phrase = Passphrase::new("a phrase of some length").expect("long enough");
    for (seed, mode, length) in [
        (13, CipherMode::Ctr, KeyLength::Aes128),
        (14, CipherMode::Ctr, KeyLength::Aes192),
        (15, CipherMode::Gcm, KeyLength::Aes256),
    ] {
        let config = ConnectionConfig {
            key_refresh: KeyRefresh {
                after: 500,
                announce_before: 200,
            },
            ..latency(250)
        };
        let dial = DialConfig {
            connection: config,
            passphrase: Some(phrase.clone()),
            key_length: Some(length),
            mode,
            ..DialConfig::default()
        };
        let acceptance = Acceptance {
            passphrase: Some(phrase.clone()),
            config,
        };
        let mut world = World::new(dial, acceptance, &line(0.03), seed);
        let connection = world.connect();
        let encryption = world.listener.encryption(connection).expect("encrypted");
        assert_eq!((encryption.mode, encryption.length), (mode, length));
        world.publish(3000, 3 * MILLISECOND);
        world.play(connection, 3000, 3 * MILLISECOND);
        assert_whole(&world.came_up, 3000);
        assert_whole(&world.came_down, 3000);
        let stats = world.received_stats();
        assert!(
            stats.keys_received >= 5 && stats.keys_sent >= 5,
            "{stats:?}"
        );
        assert_eq!(stats.undecryptable, 0);
    }
}

#[test]
fn a_bandwidth_limit_spaces_packets_out() {
    let config = ConnectionConfig {
        bandwidth: Bandwidth::Fixed(2_000_000),
        ..latency(2000)
    };
    let mut world = world(config, &line(0.0), 16);
    world.connect();
    let began = world.elapsed();
    for number in 0..200 {
        let made = world.elapsed();
        world
            .dialer
            .send(&payload(number, made), world.now)
            .expect("room");
    }
    // 200 packets of 1,332 bytes take 1.07 s at this rate.
    world.run_for(1000 * MILLISECOND);
    let stats = world.dialer.stats().expect("open");
    assert!((180..195).contains(&stats.sent), "{} sent", stats.sent);
    world.run_for(Duration::from_secs(3));
    assert_whole(&world.came_up, 200);
    assert!(world.elapsed() > began);
}

#[test]
fn a_sender_gives_up_what_is_too_old_and_refuses_what_does_not_fit() {
    let config = ConnectionConfig {
        send_window: 100,
        ..latency(120)
    };
    let mut world = world(config, &line(0.0), 17);
    world.connect();
    // Nothing arrives any more.
    let dead = LinkConfig {
        loss: 1.0,
        ..LinkConfig::default()
    };
    world.up.set_config(world.now, dead).expect("a link");
    for number in 0..100 {
        let made = world.elapsed();
        world
            .dialer
            .send(&payload(number, made), world.now)
            .expect("room");
    }
    let made = world.elapsed();
    assert_eq!(
        world.dialer.send(&payload(100, made), world.now),
        Err(SendError::Full)
    );
    world.run_for(1100 * MILLISECOND);
    let stats = world.dialer.stats().expect("open");
    assert_eq!((stats.send_dropped, stats.send_refused), (100, 1));
    assert_eq!(stats.unacknowledged, 0);
    // The line comes back, and so does the stream: what was given up is passed over.
    world.up.set_config(world.now, line(0.0)).expect("a link");
    world.publish(50, 5 * MILLISECOND);
    assert_eq!(world.came_up.len(), 50);
    assert_eq!(world.came_up[0].lost_before, 100);
    assert_eq!(world.received_stats().dropped, 100);
}

#[test]
fn time_stamps_wrap_after_seventy_minutes() {
    let mut world = world(latency(120), &line(0.01), 18);
    world.connect();
    let count = 75 * 60 * 2;
    world.publish(count, 500 * MILLISECOND);
    assert_whole(&world.came_up, count);
    let last = world.came_up.last().expect("something came").after;
    assert!(last < 145 * MILLISECOND, "{last:?}");
}

#[test]
fn a_sender_whose_clock_runs_fast_or_slow_or_jumps_is_followed() {
    for skew in [1.0 + 200e-6, 1.0 - 200e-6] {
        let began = origin();
        let dial = DialConfig {
            connection: ConnectionConfig {
                // By its own clock a minute passes in silence when it jumps.
                idle_timeout: Duration::from_mins(30),
                ..ConnectionConfig::default()
            },
            ..DialConfig::default()
        };
        let mut dialer = Dialer::call(address(8890), dial, &[1; 32], began).expect("a dialer");
        let mut listener = Listener::new(ListenerConfig::default(), &[2; 32], began);
        let mut out = [0; MAX_DATAGRAM];
        let (mut sent, mut delivered) = (0_u32, 0_u32);
        let (mut earliest, mut latest) = (i128::MAX, i128::MIN);
        // Twenty minutes, a packet every ten milliseconds; the jump, of a minute, after fifteen: a second
        // later it is followed.
        for step in 0..120_000_u64 {
            let elapsed = 10 * MILLISECOND * step as u32;
            let jump = Duration::from_mins(u64::from(step > 90_000));
            let (now, theirs) = (began + elapsed, began + elapsed.mul_f64(skew) + jump);
            dialer.handle_timeout(theirs);
            if dialer.send(&payload(sent, elapsed), theirs).is_ok() {
                sent += 1;
            }
            while let Some(len) = dialer.poll_transmit(theirs, &mut out) {
                listener.handle_datagram(address(5000), &mut out[..len], now);
            }
            listener.handle_timeout(now);
            if let Some(request) = listener.poll_request() {
                let accepted = listener.accept(request.id, Acceptance::default(), now);
                accepted.expect("agreed");
            }
            while let Some((_, message)) = listener.poll_message(now) {
                let message = sim::delivered(message.payload, message.lost_before, elapsed);
                assert_eq!((message.number, message.lost_before), (delivered, 0));
                delivered += 1;
                let after = message.after.as_micros() as i128;
                if !(90_000..90_300).contains(&step) {
                    (earliest, latest) = (earliest.min(after), latest.max(after));
                }
                // Half a second more than the latency, whatever the clock says.
                assert!(after <= 630_000, "{after} us");
            }
            while let Some(transmit) = listener.poll_transmit(now, &mut out) {
                dialer.handle_datagram(&mut out[..transmit.len], theirs);
            }
        }
        println!("{skew}: {earliest} to {latest} us");
        // 200 ppm are 240 ms in twenty minutes; a step of this loop is 10 ms.
        assert!(
            earliest >= 100_000 && latest <= 145_000,
            "{earliest} to {latest}"
        );
        assert!(sent > 119_900);
        assert!(sent - delivered < 70, "{} wait", sent - delivered);
    }
}
