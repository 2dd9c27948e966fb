//! What the estimator costs: nanoseconds for each packet that leaves and each feedback packet
//! that comes. `cargo run --release -p roomtone-bandwidth --example feedback_cost [SECONDS]`, of lines that last
//! so long. `benches/instructions.py` counts what the functions of [`counted`] spend; with `count` as a second
//! argument only packets and feedback packets are printed.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::time::{Duration, Instant};

use roomtone_bandwidth::{
    BandwidthEstimator, FeedbackEntry, GccConfig, GccEstimator, SentKind, SentPacket,
};

/// Packets a second: about 2.5 Mbit/s.
const PACKETS: u64 = 260;
/// Feedback every so many milliseconds.
const FEEDBACK_MS: u64 = 50;

/// Never inlined, so that they can be named to callgrind.
mod counted {
    use std::hint::black_box;
    use std::time::Instant;

    use roomtone_bandwidth::{BandwidthEstimator, FeedbackEntry, GccEstimator, SentPacket};

    #[inline(never)]
    pub(super) fn sent(estimator: &mut GccEstimator, leaving: &[(SentPacket, Instant)]) {
        for (packet, at) in leaving {
            estimator.on_sent(*packet, *at);
        }
    }

    #[inline(never)]
    pub(super) fn feedback(estimator: &mut GccEstimator, entries: &[FeedbackEntry], now: Instant) {
        estimator.on_feedback(black_box(entries), now);
        while let Some(probe) = estimator.poll_probe(now) {
            black_box(probe);
        }
        black_box((estimator.estimate(), estimator.next_timeout()));
    }
}

fn main() {
    let seconds: u64 = std::env::args()
        .nth(1)
        .and_then(|argument| argument.parse().ok())
        .unwrap_or(2_000);
    let mut estimator = GccEstimator::new(GccConfig::default());
    let base = Instant::now();
    let (mut entries, mut leaving) = (Vec::new(), Vec::new());
    let (mut sent, mut feedback) = (Duration::ZERO, Duration::ZERO);
    let rounds = seconds * 1000 / FEEDBACK_MS;
    let packets = PACKETS * FEEDBACK_MS / 1000;
    estimator.set_wanted(5_000_000, base);
    for round in 0..rounds {
        let begin = base + Duration::from_millis(round * FEEDBACK_MS);
        entries.clear();
        leaving.clear();
        leaving.extend((0..packets).map(|packet| {
            let at = begin + Duration::from_micros(packet * 1_000_000 / PACKETS);
            let packet = SentPacket {
                sequence: (round * packets + packet) as u16,
                bytes: 1200,
                kind: SentKind::Video,
                probe: None,
            };
            (packet, at)
        }));
        let clock = Instant::now();
        counted::sent(&mut estimator, &leaving);
        sent += clock.elapsed();
        for packet in 0..packets {
            let number = round * packets + packet;
            let at = round * FEEDBACK_MS * 1000 + packet * 1_000_000 / PACKETS;
            // Some jitter, and a packet lost now and then.
            let jitter = number * 2_654_435_761 % 2_000;
            entries.push(FeedbackEntry {
                sequence: number as u16,
                arrival_us: (!number.is_multiple_of(97)).then_some((at + 30_000 + jitter) as i64),
            });
        }
        let now = begin + Duration::from_millis(FEEDBACK_MS + 60);
        let clock = Instant::now();
        counted::feedback(&mut estimator, &entries, now);
        feedback += clock.elapsed();
    }
    if std::env::args().nth(2).is_some_and(|word| word == "count") {
        println!("{} {rounds}", rounds * packets);
        return;
    }
    let details = estimator.details();
    println!(
        "on_sent {:.1} ns a packet; on_feedback {:.0} ns for {packets} packets ({:.1} ns a packet); {} bytes and {} on the heap; estimate {} kbit/s",
        sent.as_nanos() as f64 / (rounds * packets) as f64,
        feedback.as_nanos() as f64 / rounds as f64,
        feedback.as_nanos() as f64 / (rounds * packets) as f64,
        size_of::<GccEstimator>(),
        details.memory,
        estimator.estimate().bps / 1000,
    );
}
