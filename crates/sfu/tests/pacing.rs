//! What leaves when: pictures at the pacing rate, audio at once, padding for probes.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use roomtone_rtp::RtpPacket;
use roomtone_rtp::rtcp::{CompoundWriter, Entries, Nack, NackPairs};
use roomtone_sfu::*;
use support::*;

/// An estimator that believes what the test says.
#[derive(Debug, Clone, Default)]
struct Told(Arc<Mutex<Belief>>);

#[derive(Debug, Default)]
struct Belief {
    pacing_bps: Option<u64>,
    probe: Option<Probe>,
    sent: Vec<(SentPacket, Instant)>,
}

impl BandwidthEstimator for Told {
    fn tracks_packets(&self) -> bool {
        true
    }
    fn on_sent(&mut self, packet: SentPacket, now: Instant) {
        self.0.lock().unwrap().sent.push((packet, now));
    }
    fn poll_probe(&mut self, _now: Instant) -> Option<Probe> {
        self.0.lock().unwrap().probe.take()
    }
    fn estimate(&self) -> Estimate {
        Estimate {
            bps: 2_000_000,
            pacing_bps: self.0.lock().unwrap().pacing_bps,
            confirmed: true,
            at_least: false,
            state: LineState::Normal,
        }
    }
}

fn paced(pacing_bps: Option<u64>, probe: Option<Probe>) -> (Rig, Told) {
    let mut rig = Rig::video();
    let told = Told::default();
    told.0.lock().unwrap().pacing_bps = pacing_bps;
    told.0.lock().unwrap().probe = probe;
    rig.router
        .set_estimator(SUBSCRIBER, Box::new(told.clone()), rig.now)
        .unwrap();
    (rig, told)
}

fn push_keyframe(rig: &mut Rig, packets: u16) {
    for n in 0..packets {
        let packet = vp8(n, 0, n == 0, true, n + 1 == packets, 1_100);
        rig.router
            .handle_rtp(PUBLISHER, &packet.bytes(), rig.now)
            .unwrap();
    }
    rig.drain();
}

#[test]
fn a_keyframe_is_spread_at_the_pacing_rate_and_nothing_of_it_is_lost() {
    let (mut rig, _) = paced(Some(4_800_000), None);
    push_keyframe(&mut rig, 50);
    rig.pass_ms(400);
    let media = rig.media();
    assert_eq!(media.len(), 50);
    let numbers: Vec<u16> = media.iter().map(|out| out.rtp().sequence()).collect();
    assert!(
        numbers
            .windows(2)
            .all(|pair| pair[1] == pair[0].wrapping_add(1))
    );
    // 50 packets of 1,100 bytes and their headers at 4.8 Mbit/s: 96 ms, less the burst at once.
    let took = media[49].at - media[0].at;
    assert!((80..=110).contains(&took.as_millis()), "{took:?}");
    for burst in media.chunk_by(|a, b| a.at == b.at) {
        assert!(burst.len() <= 3, "{} at once", burst.len());
    }
}

#[test]
fn audio_does_not_wait_behind_a_keyframe() {
    let (mut rig, _) = paced(Some(1_000_000), None);
    rig.audio();
    push_keyframe(&mut rig, 50);
    for n in 0..10_u16 {
        rig.pass_ms(20);
        let came = rig.now;
        rig.rtp(&opus(n, u32::from(n) * 960, 20).bytes()).unwrap();
        rig.pass_ms(6);
        let left = rig.sent.iter().rev().find(|out| {
            !out.rtcp && out.rtp().payload_type() == OUT_OPUS && out.rtp().payload()[0] == n as u8
        });
        let waited = left.expect("it left").at - came;
        assert!(waited <= Duration::from_millis(5), "{waited:?}");
    }
    let video = rig
        .media()
        .into_iter()
        .filter(|out| out.rtp().payload_type() == OUT_VP8);
    assert!(video.count() < 40, "pictures keep to the rate meanwhile");
}

#[test]
fn a_probe_is_filled_up_with_padding_where_retransmissions_go() {
    let probe = Probe {
        id: 3,
        bps: 4_000_000,
        min_bytes: 7_500,
        min_packets: 5,
    };
    let (mut rig, told) = paced(Some(1_000_000), Some(probe));
    rig.rtp(&key(1, 0).bytes()).unwrap();
    rig.pass_ms(100);
    let padding: Vec<_> = rig
        .media()
        .into_iter()
        .filter(|out| out.rtp().payload_type() == OUT_RTX)
        .collect();
    assert!(padding.len() >= 20, "{}", padding.len());
    for out in &padding {
        let packet: RtpPacket<'_> = out.rtp();
        assert!(packet.payload().is_empty() && packet.padding_len() > 200);
    }
    let sent = &told.0.lock().unwrap().sent;
    let probing: Vec<_> = sent
        .iter()
        .filter(|(packet, _)| packet.probe == Some(3))
        .collect();
    let bytes: u32 = probing
        .iter()
        .map(|(packet, _)| u32::from(packet.bytes))
        .sum();
    assert!((7_500..9_000).contains(&bytes), "{bytes}");
    let took = probing.last().unwrap().1 - probing[0].1;
    // 15 ms at 4 Mbit/s, the first burst at once.
    assert!((11..=16).contains(&took.as_millis()), "{took:?}");
    assert!(
        sent.windows(2)
            .all(|pair| pair[1].0.sequence == pair[0].0.sequence + 1)
    );
}

#[test]
fn the_packet_that_completes_a_probe_belongs_to_it() {
    let probe = Probe {
        id: 3,
        bps: 2_400_000,
        min_bytes: 2_000,
        min_packets: 1,
    };
    let (mut rig, told) = paced(Some(1_200_000), Some(probe));
    push_keyframe(&mut rig, 10);
    rig.pass_ms(400);
    let sent = &told.0.lock().unwrap().sent;
    let bytes = sent.iter().filter(|(packet, _)| packet.probe == Some(3));
    let bytes: u32 = bytes.map(|(packet, _)| u32::from(packet.bytes)).sum();
    assert!(bytes >= probe.min_bytes, "{bytes}");
}

/// What a packet that left is: a repair, media or padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Repair,
    Media,
    Padding,
}

fn kinds(media: &[Out]) -> Vec<Kind> {
    let kind = |out: &Out| match out.rtp() {
        rtp if rtp.payload_type() != OUT_RTX => Kind::Media,
        rtp if rtp.payload().is_empty() => Kind::Padding,
        _ => Kind::Repair,
    };
    media.iter().map(kind).collect()
}

/// Asks for so many packets again, hands in a picture of so many, and begins a probe, all at once;
/// gives what leaves.
fn repairs_picture_and_probe(repairs: u16, packets: u16, probe: Option<Probe>) -> Vec<Kind> {
    let (mut rig, told) = paced(Some(2_400_000), None);
    push_keyframe(&mut rig, 40);
    rig.pass_ms(600);
    let sent = rig.media();
    let first = sent[0].rtp().sequence();
    let asked = NackPairs::from_sorted(first..first + repairs).collect::<Vec<_>>();
    let nack = Nack {
        sender_ssrc: 1,
        media_ssrc: sent[0].rtp().ssrc(),
        pairs: Entries::new(&asked),
    };
    let mut out = [0; 500];
    let mut writer = CompoundWriter::new(&mut out);
    writer.push(&nack).unwrap();
    let len = writer.finish();
    rig.router
        .handle_rtcp(SUBSCRIBER, &out[..len], rig.now)
        .unwrap();
    for n in 0..packets {
        let packet = vp8(40 + n, 54_000, n == 0, false, n + 1 == packets, 1_100);
        rig.router
            .handle_rtp(PUBLISHER, &packet.bytes(), rig.now)
            .unwrap();
    }
    told.0.lock().unwrap().probe = probe;
    rig.router
        .set_estimator(SUBSCRIBER, Box::new(told.clone()), rig.now)
        .unwrap();
    rig.drain();
    rig.pass_ms(400);
    kinds(&rig.media())
}

#[test]
fn repairs_leave_before_a_new_picture_and_padding_after_all_media() {
    let probe = Probe {
        id: 3,
        bps: 4_800_000,
        min_bytes: 30_000,
        min_packets: 5,
    };
    let left = repairs_picture_and_probe(3, 10, Some(probe));
    assert_eq!(left[..3], [Kind::Repair; 3], "{left:?}");
    assert_eq!(left[3..13], [Kind::Media; 10], "{left:?}");
    assert!(left.len() >= 40, "a probe is to be filled up: {left:?}");
    assert!(left[13..].iter().all(|kind| *kind == Kind::Padding));
}

#[test]
fn repairs_take_half_of_the_rate_while_a_picture_waits() {
    let left = repairs_picture_and_probe(20, 40, None);
    let repairs = |part: &[Kind]| part.iter().filter(|kind| **kind == Kind::Repair).count();
    assert_eq!((left.len(), repairs(&left)), (60, 20), "{left:?}");
    // What they have saved up goes first, of the rest every second packet is theirs.
    assert_eq!(left[..3], [Kind::Repair; 3], "{left:?}");
    let last = left.iter().rposition(|kind| *kind == Kind::Repair).unwrap();
    let between = &left[3..=last];
    let share = repairs(between) as f64 / between.len() as f64;
    assert!((0.4..0.6).contains(&share), "{share}: {left:?}");
}

#[test]
fn without_a_pacing_rate_a_frame_leaves_at_once() {
    let (mut rig, _) = paced(None, None);
    push_keyframe(&mut rig, 50);
    let media = rig.media();
    assert_eq!(media.len(), 50);
    assert!(media.iter().all(|out| out.at == media[0].at));
}

#[test]
fn what_the_line_did_not_carry_in_time_is_dropped_by_whole_frames() {
    let (mut rig, _) = paced(Some(300_000), None);
    let mut sequence = 0;
    for frame in 0..60_u32 {
        for n in 0..3 {
            let packet = vp8(sequence, frame * 3_000, n == 0, frame == 0, n == 2, 1_000);
            rig.router
                .handle_rtp(PUBLISHER, &packet.bytes(), rig.now)
                .unwrap();
            sequence += 1;
        }
        rig.pass_ms(33);
    }
    rig.pass_ms(1_000);
    let stats = rig.router.consumer_stats(VIDEO_OUT).unwrap();
    // One frame too late, and all that refer to it.
    assert!(stats.outbound.frames_dropped_late >= 1, "{stats:?}");
    assert!(stats.outbound.packets_skipped > 100, "{stats:?}");
    let asked = |event: &RouterEvent| matches!(event, RouterEvent::KeyframeRequested { .. });
    assert!(rig.events.iter().filter(|event| asked(event)).count() >= 2);
    let media = rig.media();
    let mut frames: std::collections::BTreeMap<u32, usize> = std::collections::BTreeMap::new();
    for out in &media {
        *frames.entry(out.rtp().timestamp()).or_default() += 1;
    }
    assert!(frames.len() > 3, "some were forwarded: {frames:?}");
    assert!(
        frames.values().all(|packets| *packets == 3),
        "whole or not at all: {frames:?}"
    );
    let numbers: Vec<u16> = media.iter().map(|out| out.rtp().sequence()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
}
