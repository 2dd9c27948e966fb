//! A publisher whose SSRC changes, and one whose clocks jump, over a line that loses packets: its viewer sees none of it.
#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use roomtone_netem::{Link, LinkConfig};
use roomtone_rtp::rtcp::{
    Entries, Nack, NackPair, NackPairs, RtcpPacket, RtcpWrite, SenderReport, parse_compound,
};
use roomtone_rtp::{NtpTime, RtpPacket, SequenceUnwrapper, is_rtcp};
use support::*;

const FRAME_MS: u32 = 40;
const FRAME_TICKS: u32 = FRAME_MS * 90;
const FRAMES: u32 = 200;
/// The frame before which it happens.
const JUMP_AT: u32 = 100;
const PER_FRAME: u16 = 3;

/// What happens to the publisher before frame [`JUMP_AT`].
#[derive(Debug, Clone, Copy, Default)]
struct Jump {
    /// Its encoder begins anew: another SSRC, other numbers, a keyframe.
    restarts: bool,
    /// Of the RTP clock, in milliseconds.
    rtp_ms: i64,
    /// Of the wall clock that its reports tell.
    wall_ms: i64,
    /// Nothing is sent for so long before.
    silent_ms: u32,
}

/// A publisher of one keyframe and what follows, which answers NACKs.
struct Publisher {
    ssrc: u32,
    sequence: u16,
    rtp_offset: u32,
    wall_ms: i64,
    rtx: u16,
    sent: HashMap<(u32, u16), Packet>,
    key: bool,
    payloads: Vec<Vec<u8>>,
}

impl Publisher {
    fn new() -> Self {
        Self {
            ssrc: 1_000,
            sequence: 65_500,
            rtp_offset: 0xffff_0000,
            wall_ms: 0,
            rtx: 0,
            sent: HashMap::new(),
            key: true,
            payloads: vec![],
        }
    }

    fn jump(&mut self, jump: Jump) {
        if jump.restarts {
            self.ssrc = 77_000;
            self.sequence = 31_000;
            self.key = true;
        }
        let ticks = jump.rtp_ms * 90;
        self.rtp_offset = self.rtp_offset.wrapping_add(ticks as u32);
        self.wall_ms += jump.wall_ms;
    }

    fn frame(&mut self, ms: u32) -> Vec<Vec<u8>> {
        let (key, timestamp) = (std::mem::take(&mut self.key), self.timestamp(ms));
        (0..PER_FRAME)
            .map(|n| {
                let last = n + 1 == PER_FRAME;
                let mut packet = vp8(self.sequence, timestamp, n == 0, key, last, 500);
                packet.ssrc = self.ssrc;
                packet.payload.extend(self.payloads.len().to_be_bytes());
                self.payloads.push(packet.payload.clone());
                self.sequence = self.sequence.wrapping_add(1);
                let bytes = packet.bytes();
                self.sent.insert((packet.ssrc, packet.sequence), packet);
                bytes
            })
            .collect()
    }

    fn timestamp(&self, ms: u32) -> u32 {
        self.rtp_offset.wrapping_add(ms.wrapping_mul(90))
    }

    fn report(&self, ms: u32) -> Vec<u8> {
        let told_ms = (i64::from(ms) + self.wall_ms + (3_800_000_000 * 1_000)).cast_unsigned();
        wire(&SenderReport {
            ssrc: self.ssrc,
            ntp: NtpTime(((told_ms / 1_000) << 32) + ((told_ms % 1_000) << 32) / 1_000),
            rtp_timestamp: self.timestamp(ms),
            ..SenderReport::default()
        })
    }

    /// Answers NACKs.
    fn on_rtcp(&mut self, data: &[u8]) -> Vec<Vec<u8>> {
        let mut again = vec![];
        for packet in parse_compound(data) {
            if let RtcpPacket::Nack(nack) = packet.unwrap() {
                for sequence in nack.sequences() {
                    if let Some(lost) = self.sent.get(&(nack.media_ssrc, sequence)) {
                        self.rtx = self.rtx.wrapping_add(1);
                        again.push(rtx(lost, self.rtx).bytes());
                    }
                }
            }
        }
        again
    }
}

fn wire(packet: &impl RtcpWrite) -> Vec<u8> {
    let mut out = vec![0; packet.wire_len()];
    packet.write(&mut out).unwrap();
    out
}

/// What a viewer was sent of a number: timestamp, marker, payload.
type Seen = (u32, bool, Vec<u8>);

/// A viewer that asks for what it misses, and the sender reports it got.
#[derive(Default)]
struct Viewer {
    unwrapper: SequenceUnwrapper,
    packets: BTreeMap<u64, Seen>,
    /// When a number is asked for next.
    asked: HashMap<u64, Instant>,
    ssrcs: Vec<u32>,
    /// When, with what wall clock in milliseconds, with what timestamp.
    reports: Vec<(u32, u64, u32)>,
}

impl Viewer {
    fn on_rtp(&mut self, data: &[u8]) {
        let packet = RtpPacket::parse(data).unwrap();
        let (sequence, payload) = if packet.payload_type() == OUT_RTX {
            let (original, payload) = packet.payload().split_first_chunk::<2>().unwrap();
            (u16::from_be_bytes(*original), payload)
        } else {
            self.ssrcs.push(packet.ssrc());
            (packet.sequence(), packet.payload())
        };
        let seen = (packet.timestamp(), packet.marker(), payload.to_vec());
        let before = self
            .packets
            .insert(self.unwrapper.unwrap(sequence), seen.clone());
        assert!(
            before.is_none_or(|before| before == seen),
            "one number, one packet"
        );
    }

    fn on_rtcp(&mut self, data: &[u8], ms: u32) {
        for packet in parse_compound(data) {
            if let RtcpPacket::SenderReport(report) = packet.unwrap() {
                let ntp = report.ntp.0;
                let wall_ms = (ntp >> 32) * 1_000 + (((ntp & 0xffff_ffff) * 1_000) >> 32);
                self.reports.push((ms, wall_ms, report.rtp_timestamp));
            }
        }
    }

    fn missing(&mut self, now: Instant) -> Vec<u16> {
        let ends = (self.packets.keys().next(), self.packets.keys().next_back());
        let (Some(first), Some(last)) = ends else {
            return vec![];
        };
        let holes = ((*first).max(last.saturating_sub(200))..*last)
            .filter(|seq| !self.packets.contains_key(seq));
        let again = Duration::from_millis(80);
        let mut wanted = vec![];
        for seq in holes {
            let at = self.asked.entry(seq).or_insert(now);
            if now >= *at {
                *at = now + again;
                wanted.push(seq as u16);
            }
        }
        wanted
    }

    /// The frames, in order: number of packets and timestamp. Fails on a hole, or on a frame without its end.
    fn frames(&self) -> Vec<(u16, u32)> {
        let numbers: Vec<_> = self.packets.keys().copied().collect();
        let holes: Vec<_> = numbers
            .windows(2)
            .filter(|two| two[1] != two[0] + 1)
            .collect();
        assert!(holes.is_empty(), "{holes:?}");
        let mut frames = vec![];
        let mut ended = true;
        for (timestamp, marker, payload) in self.packets.values() {
            let begins = payload[0] & 0x10 != 0;
            assert_eq!(begins, ended, "a frame follows a whole one");
            if begins {
                frames.push((0, *timestamp));
            }
            let (count, of) = frames.last_mut().unwrap();
            assert_eq!(of, timestamp, "one frame, one time");
            *count += 1;
            ended = *marker;
        }
        assert!(ended);
        frames
    }
}

fn nack(media_ssrc: u32, sequences: &[u16]) -> Vec<u8> {
    let pairs: Vec<NackPair> = NackPairs::from_sorted(sequences.iter().copied()).collect();
    wire(&Nack {
        sender_ssrc: 1,
        media_ssrc,
        pairs: Entries::new(&pairs),
    })
}

/// Eight seconds over four lines that lose each fiftieth packet; gives what was published, and who saw it.
fn run(jump: Jump, seed: u64) -> (Publisher, Viewer) {
    println!("seed {seed}, {jump:?}");
    let mut rig = Rig::new();
    rig.produce_video(VIDEO, &[None]);
    let ssrc = rig.consume_video(VIDEO_OUT, Some(VIDEO)).ssrc;
    let round_trip = Duration::from_millis(40);
    rig.router.set_round_trip(PUBLISHER, round_trip).unwrap();
    let config = LinkConfig {
        delay: round_trip / 2,
        loss: 0.02,
        ..LinkConfig::default()
    };
    let mut links = [0, 1, 2, 3].map(|n| Link::new(config.clone(), seed * 10 + n).unwrap());
    let (mut publisher, mut viewer) = (Publisher::new(), Viewer::default());
    let (mut next_ms, mut frames) = (0, 0);
    for ms in 0..FRAMES * FRAME_MS + jump.silent_ms + 2_000 {
        let now = rig.now;
        if ms == next_ms && frames < FRAMES {
            for packet in publisher.frame(ms) {
                // An SSRC's first and last frame come whole: a packet before or behind all others is missed by nobody.
                let edge = jump.restarts && (frames + 1 == JUMP_AT || frames == JUMP_AT);
                if frames == 0 || edge {
                    let _ = rig.router.handle_rtp(PUBLISHER, &packet, now);
                } else {
                    links[0].send(now, packet);
                }
            }
            frames += 1;
            next_ms += FRAME_MS;
            if frames == JUMP_AT {
                next_ms += jump.silent_ms;
            }
        }
        if frames == JUMP_AT && ms + 1 == next_ms {
            publisher.jump(jump);
        }
        if ms % 1_000 == 500 {
            links[0].send(now, publisher.report(ms));
        }
        while let Some(data) = links[1].poll(now) {
            for packet in publisher.on_rtcp(&data) {
                links[0].send(now, packet);
            }
        }
        while let Some(data) = links[0].poll(now) {
            if is_rtcp(&data) {
                rig.router.handle_rtcp(PUBLISHER, &data, now).unwrap();
            } else {
                let _ = rig.router.handle_rtp(PUBLISHER, &data, now);
            }
        }
        while let Some(data) = links[2].poll(now) {
            if is_rtcp(&data) {
                viewer.on_rtcp(&data, ms);
            } else {
                viewer.on_rtp(&data);
            }
        }
        let missing = viewer.missing(now);
        if !missing.is_empty() {
            links[3].send(now, nack(ssrc, &missing));
        }
        while let Some(data) = links[3].poll(now) {
            rig.router.handle_rtcp(SUBSCRIBER, &data, now).unwrap();
        }
        rig.pass_ms(1);
        for out in std::mem::take(&mut rig.sent) {
            let link = if out.transport == PUBLISHER { 1 } else { 2 };
            links[link].send(rig.now, out.bytes);
        }
    }
    assert!(links[0].counters().lost > 5 && links[2].counters().lost > 5);
    (publisher, viewer)
}

/// All that was published arrives, in frames, at the times it was taken.
fn unnoticed(jump: Jump) {
    for seed in 1..=3 {
        let (publisher, viewer) = run(jump, seed);
        let frames = viewer.frames();
        assert_eq!(frames.len(), FRAMES as usize);
        assert!(frames.iter().all(|(count, _)| *count == PER_FRAME));
        let seen: Vec<_> = viewer.packets.values().map(|seen| &seen.2).collect();
        assert!(
            seen.iter().copied().eq(&publisher.payloads),
            "in the order sent"
        );
        assert!(viewer.ssrcs.windows(2).all(|two| two[0] == two[1]));
        for (at, two) in (1..).zip(frames.windows(2)) {
            let step = two[1].1.wrapping_sub(two[0].1);
            let silent = if at == JUMP_AT {
                jump.silent_ms * 90
            } else {
                0
            };
            // Where it happened time goes on by arrival, which a lost packet delays; reports mend it bit by bit.
            let most = if at == JUMP_AT { 9_000 } else { 180 };
            let off = step.abs_diff(FRAME_TICKS + silent);
            assert!(off <= most, "frame {at} after {step} ticks");
        }
        in_time(&viewer);
    }
}

/// Its sender reports put the viewer's timestamps on a clock that did not jump.
fn in_time(viewer: &Viewer) {
    assert!(viewer.reports.len() > 5, "{}", viewer.reports.len());
    for two in viewer.reports.windows(2) {
        let ((_, wall, ticks), (_, next_wall, next_ticks)) = (two[0], two[1]);
        let by_wall = (next_wall - wall) * 90;
        let by_clock = u64::from(next_ticks.wrapping_sub(ticks));
        assert!(by_clock.abs_diff(by_wall) <= 9_000, "{by_wall} {by_clock}");
    }
}

const HOUR_MS: i64 = 3_600_000;

#[test]
fn an_ssrc_that_changes_with_all_numbers_is_not_seen() {
    let restarts = true;
    // Shorter than the time in which nothing is believed of another SSRC, and longer.
    for silent_ms in [200, 3_000] {
        // Far away, and too near to be taken for a jump of the clock.
        for rtp_ms in [12_345_678, 3_000] {
            unnoticed(Jump {
                restarts,
                rtp_ms,
                silent_ms,
                ..Jump::default()
            });
        }
    }
}

#[test]
fn an_rtp_clock_that_jumps_either_way_is_not_seen() {
    for rtp_ms in [HOUR_MS, -HOUR_MS, 20_000, -20_000, -2_000] {
        unnoticed(Jump {
            rtp_ms,
            ..Jump::default()
        });
    }
}

#[test]
fn a_wall_clock_that_jumps_either_way_is_not_seen() {
    for wall_ms in [24 * HOUR_MS, -24 * HOUR_MS, 700, -700] {
        unnoticed(Jump {
            wall_ms,
            ..Jump::default()
        });
    }
}

#[test]
fn both_clocks_may_jump_at_once() {
    for (rtp_ms, wall_ms) in [(HOUR_MS, -HOUR_MS), (-HOUR_MS, -HOUR_MS)] {
        unnoticed(Jump {
            rtp_ms,
            wall_ms,
            ..Jump::default()
        });
    }
}
