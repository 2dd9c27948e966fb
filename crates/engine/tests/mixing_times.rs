//! When mixers give out what: times in packets, ticks, and what reports say of both.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::UdpSocket;

use roomtone_engine::values::{Command, CommandResult, ErrorCode};
use support::receive_rtp;
use support::stage::*;

#[test]
fn packets_are_as_long_as_asked_for_whatever_the_mixer_ticks() {
    for (tick_ms, ptimes) in [(10, &[10, 20, 40, 60][..]), (20, &[20, 40, 60])] {
        let mut stage = Stage::with_ticks(tick_ms);
        let (producer, at) = stage.source(vec![named(PCMU)], 77);
        let input = stage.hear(producer, false);
        stage.speakers.push(Speaker::new(at, PCMU, 77, 440.0));
        // Paces the speaker, who says 20 ms at a time.
        let ear = stage.output(G722, None);
        for ptime_ms in ptimes {
            for without in [None, Some(input)] {
                let (_, timed) = stage.output_of(PCMA, *ptime_ms, without, None);
                let mut last = None;
                for _ in 0..6 {
                    let packet = receive_rtp(&timed);
                    assert_eq!(packet.payload.len(), 8 * *ptime_ms as usize);
                    if let Some((sequence, timestamp)) =
                        last.replace((packet.sequence, packet.timestamp))
                    {
                        assert_eq!(packet.sequence.wrapping_sub(sequence), 1);
                        assert_eq!(packet.timestamp.wrapping_sub(timestamp), 8 * ptime_ms);
                    }
                }
            }
        }
        stage.wait_heard(&ear, audio(G722), &[440.0], &[880.0]);
        let short = Command::AddMixerOutput {
            mixer: stage.mixer,
            codec: named(PCMU),
            ptime_ms: tick_ms / 2,
            events_payload_type: None,
            noise_payload_type: None,
            without: None,
            only: None,
        };
        assert_eq!(stage.harness.refused(short), ErrorCode::Invalid);
    }
}

#[test]
fn mixers_of_both_ticks_share_a_thread() {
    let mut stage = Stage::new();
    let slow = stage.output(PCMU, None);
    receive_rtp(&slow);
    let router = stage.router;
    let opened = stage.harness.call(Command::OpenMixer {
        router,
        tick_ms: 10,
    });
    let CommandResult::MixerOpened { mixer } = opened else {
        panic!("{opened:?}")
    };
    let first = std::mem::replace(&mut stage.mixer, mixer);
    let (_, quick) = stage.output_of(PCMU, 10, None, None);
    // In the time of five packets of one there are ten of the other, give or take those under way.
    let began = receive_rtp(&slow).timestamp;
    let (mut packets, mut ended) = (0_u32, began);
    let start = receive_rtp(&quick).timestamp;
    while packets < 100 {
        packets = receive_rtp(&quick).timestamp.wrapping_sub(start) / 80;
    }
    while ended.wrapping_sub(began) < 8 * 900 {
        ended = receive_rtp(&slow).timestamp;
    }
    stage.harness.done(Command::CloseMixer { mixer });
    let goes_on = receive_rtp(&slow);
    assert_eq!(goes_on.payload.len(), 160);
    stage.mixer = first;
}

/// NTP time in 2^-32 s and RTP timestamp of the next sender report at an ear.
fn next_sender_report(ear: &UdpSocket) -> (u64, u32) {
    let mut buffer = [0; 2048];
    loop {
        let (len, _) = ear.recv_from(&mut buffer).expect("a report in time");
        // RFC 3550 section 6.4.1: type 200, then SSRC, NTP, RTP.
        if support::is_rtcp(&buffer[..len]) && buffer[1] == 200 {
            let ntp = u64::from_be_bytes(buffer[8..16].try_into().unwrap());
            let rtp = u32::from_be_bytes(buffer[16..20].try_into().unwrap());
            return (ntp, rtp);
        }
    }
}

#[test]
fn sender_reports_of_a_mix_pair_its_timestamps_with_the_time_of_day() {
    let mut stage = Stage::new();
    let ear = stage.output(PCMU, None);
    let opus = stage.output(OPUS, None);
    for (ear, clock_hz) in [(&ear, 8_000.0), (&opus, 48_000.0)] {
        let (first_ntp, first_rtp) = next_sender_report(ear);
        let newest = receive_rtp(ear).timestamp;
        let (ntp, rtp) = next_sender_report(ear);
        let seconds = ntp.wrapping_sub(first_ntp) as f64 / f64::from(1 << 16) / f64::from(1 << 16);
        let samples = f64::from(rtp.wrapping_sub(first_rtp));
        assert!(seconds > 0.0);
        // The clock of the mixer and that of the day are one; a late thread makes a report late, not wrong for long.
        let off = samples / clock_hz - seconds;
        assert!(
            off.abs() < 0.25,
            "{samples} in {seconds} s at {clock_hz} Hz"
        );
        let since = f64::from(newest.wrapping_sub(first_rtp) as i32) / clock_hz;
        assert!(
            since.abs() < 2.0,
            "the pair is {since} s away from what is sent"
        );
        let day = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        assert!((ntp >> 32).abs_diff(day + 2_208_988_800) < 60);
    }
}
