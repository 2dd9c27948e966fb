//! Rows about peers that report little, nothing, or lies.

use std::time::{Duration, Instant};

use roomtone_rtp::rtcp::{
    Entries, FeedbackTarget, Nack, NackPair, Pli, Remb, write_transport_feedback,
};
use roomtone_sfu::TransportStats;

use super::World;
use super::closed_loop::line::{Line, Script};
use super::closed_loop::table::{Figure, at_least, at_most, noted};
use super::viewer::{Feedback, wire};

/// Peers that report little or nothing, and what their rows are called.
pub const QUIET: [(&str, Feedback); 2] = [
    ("REMB only", Feedback::Remb),
    ("no feedback at all", Feedback::Nothing),
];

/// A narrow line of a delay and a queue: the lowest layer fits, nothing else does.
pub fn narrow((one_way_ms, queue_ms): (u64, u64)) -> Line {
    Line {
        bps: 300_000,
        one_way_ms,
        queue_ms,
        ..Line::default()
    }
}

/// What a peer with little or no feedback is shown on a narrow line.
pub fn on_a_narrow_line(line: &Line, feedback: Feedback, seed: u64) -> Vec<Figure> {
    const SECONDS: f64 = 30.0;
    let mut world = World::new(line.clone(), Script::new(), seed);
    world.watch(feedback);
    world.run(SECONDS);
    let viewer = &world.viewers[0];
    let first = viewer
        .record
        .shown
        .first()
        .map_or(999.0, Duration::as_secs_f64);
    vec![
        at_most("first picture s", first, 2.0),
        at_least("least fps of 2 s", least_fps(&world, first, SECONDS), 10.0),
        at_most(
            "longest freeze s",
            viewer.record.longest_freeze(first, SECONDS),
            1.0,
        ),
        noted("loss %", 100.0 * viewer.record.loss(5.0, SECONDS - 1.0)),
        noted("broken", viewer.decoder.broken as f64),
    ]
}

fn least_fps(world: &World, from: f64, to: f64) -> f64 {
    let mut least = f64::INFINITY;
    let mut at = from;
    while at + 2.0 <= to {
        least = least.min(world.viewers[0].record.fps(at, at + 2.0));
        at += 0.5;
    }
    least.min(999.0)
}

/// What a liar sends each time it may.
pub type Lie = fn(&World, u32) -> Vec<Vec<u8>>;

/// NACKs for everything that was ever sent.
pub fn nack_storm(world: &World, _turn: u32) -> Vec<Vec<u8>> {
    let ssrc = world.viewers[0].ssrc();
    let pairs = |from: u16| -> Vec<NackPair> {
        (0..250)
            .map(|at| NackPair {
                packet_id: from.wrapping_add(at * 17),
                lost_after: u16::MAX,
            })
            .collect()
    };
    (0..16_u16)
        .map(|part| {
            let pairs = pairs(part.wrapping_mul(4_250));
            wire(&Nack {
                sender_ssrc: 1,
                media_ssrc: ssrc,
                pairs: Entries::new(&pairs),
            })
        })
        .collect()
}

/// A thousand requests for keyframes.
pub fn pli_storm(world: &World, _turn: u32) -> Vec<Vec<u8>> {
    let pli = Pli {
        sender_ssrc: 1,
        media_ssrc: world.viewers[0].ssrc(),
    };
    vec![wire(&pli); 1_000]
}

/// Reports about packets that were never sent, in the future and the past, all at once.
pub fn false_feedback(world: &World, turn: u32) -> Vec<Vec<u8>> {
    (0..50_u16)
        .map(|part| {
            let base_sequence = (turn as u16).wrapping_mul(3_001).wrapping_add(part * 1_300);
            let arrivals: Vec<(u16, u64)> = (0..300)
                .map(|at| (base_sequence.wrapping_add(at * 3), u64::from(turn) * 20_000))
                .collect();
            let target = FeedbackTarget {
                sender_ssrc: 1,
                media_ssrc: world.viewers[0].ssrc(),
                feedback_count: part as u8,
                base_sequence,
            };
            let mut out = vec![0; 1_200];
            let written = write_transport_feedback(&mut out, &target, &arrivals).unwrap();
            out.truncate(written.len);
            out
        })
        .collect()
}

/// Bytes that look like feedback.
pub fn noise(_world: &World, turn: u32) -> Vec<Vec<u8>> {
    (0..50_u32)
        .map(|part| {
            let mut random = roomtone_netem::Random::new(u64::from(turn * 64 + part));
            let mut out = vec![0; 40 + (random.next_u64() % 200) as usize * 4];
            random.fill(&mut out);
            let words = (out.len() / 4 - 1) as u16;
            out[..4].copy_from_slice(&[0x8f, 205, (words >> 8) as u8, words as u8]);
            out
        })
        .collect()
}

/// A line of a terabit.
pub fn terabits(world: &World, _turn: u32) -> Vec<Vec<u8>> {
    let ssrc = world.viewers[0].ssrc();
    let remb = Remb {
        sender_ssrc: 1,
        bitrate_bps: 1_000_000_000_000,
        ssrcs: Entries::new(std::slice::from_ref(&ssrc)),
    };
    vec![wire(&remb)]
}

/// What came of a peer that lies beside an honest one.
pub struct Siege {
    /// The statistics of the liar's transport.
    pub liar: TransportStats,
    /// What left for the liar a second, in bits.
    pub liar_bps: f64,
    pub keyframes: u32,
    /// The honest peer's pictures a second.
    pub honest_fps: f64,
    pub honest_freeze: f64,
    pub nack_suppressed: u64,
    pub retransmitted: u64,
}

/// Twenty seconds of lies, every 20 ms, by one of two peers on a line with room.
pub fn besiege(lie: Lie, seed: u64) -> Siege {
    let line = Line {
        bps: 20_000_000,
        ..Line::default()
    };
    let mut world = World::new(line, Script::new(), seed);
    world.watch(Feedback::TransportWide);
    world.watch(Feedback::TransportWide);
    world.run(5.0);
    let keyframes = world.publisher.keyframes;
    for turn in 0..1_000 {
        let packets = lie(&world, turn);
        world.tell(0, &packets);
        world.run(5.0 + f64::from(turn) * 0.02);
    }
    let liar = &world.viewers[0];
    let stats = world.router.transport_stats(liar.transport).unwrap();
    let consumer = world.router.consumer_stats(liar.consumer).unwrap().outbound;
    let honest = &world.viewers[1].record;
    Siege {
        liar: stats,
        liar_bps: liar.record.sent_bps(6.0, 24.0),
        keyframes: world.publisher.keyframes - keyframes,
        honest_fps: honest.fps(6.0, 24.0),
        honest_freeze: honest.longest_freeze(6.0, 24.0),
        nack_suppressed: consumer.nack_suppressed,
        retransmitted: consumer.retransmitted_packets_sent,
    }
}

impl World {
    /// Gives the router RTCP of a peer at once.
    pub fn tell(&mut self, viewer: usize, packets: &[Vec<u8>]) {
        let (transport, now): (_, Instant) = (self.viewers[viewer].transport, self.now);
        for packet in packets {
            // What is wrong with it is counted by the router.
            let _ = self.router.handle_rtcp(transport, packet, now);
        }
    }
}
