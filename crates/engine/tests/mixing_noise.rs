//! Comfort noise (RFC 3389): described noise is heard, and silence is described where that was agreed on.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::UdpSocket;

use roomtone_audio::codec::MAX_FRAME_SAMPLES;
use roomtone_audio::level_dbov;
use roomtone_engine::values::{Command, ErrorCode};
use support::stage::*;
use support::{Parts, codec, receive_rtp};

const NOISE: u8 = 13;
/// Decibels below overload: quieter than what is ever taken for speech.
const LEVEL: u8 = 66;

/// Packets up to the first sound behind the noise that is behind the first sound.
fn heard_over_a_silence(ear: &UdpSocket) -> Vec<Parts> {
    let (mut packets, mut changes): (Vec<Parts>, usize) = (Vec::new(), 0);
    while changes < 3 {
        let packet = receive_rtp(ear);
        let wanted = if changes == 1 { NOISE } else { 0 };
        changes += usize::from(packet.payload_type == wanted);
        packets.push(packet);
    }
    packets
}

/// The level of what these packets sound like.
fn level_of(packets: &[Parts], of: Named) -> f64 {
    let mut decoder = audio(of).decoder(8_000).unwrap();
    let mut pcm = Vec::new();
    for packet in packets {
        let mut frame = vec![0; MAX_FRAME_SAMPLES];
        let count = decoder.decode(&packet.payload, &mut frame).unwrap();
        pcm.extend_from_slice(&frame[..count]);
    }
    -level_dbov(&pcm)
}

#[test]
fn silence_is_described_where_that_was_agreed_on_and_heard_where_it_was_not() {
    let mut stage = Stage::new();
    let codecs = vec![named(PCMU), codec(NOISE, "CN", 8_000, 1)];
    let (producer, at) = stage.source(codecs, 7);
    stage.hear(producer, false);
    let mut speaker = Speaker::new(at, PCMU, 7, 440.0);
    let plain = stage.output(PCMU, None);
    stage.noise = Some(NOISE);
    let (_, ear) = stage.output_of(PCMU, 20, None, None);
    for _ in 0..25 {
        receive_rtp(&plain);
        speaker.say();
    }
    speaker.describe(NOISE, LEVEL);
    let mut silent = Vec::new();
    for _ in 0..150 {
        silent.push(receive_rtp(&plain));
        speaker.pause();
    }
    for _ in 0..25 {
        receive_rtp(&plain);
        speaker.say();
    }

    // Who has not agreed to noise is sent each frame of it.
    for pair in silent.windows(2) {
        assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), 160);
    }
    let level = level_of(&silent[50..140], PCMU);
    assert!((level - f64::from(LEVEL)).abs() < 3.0, "{level}");

    let packets = heard_over_a_silence(&ear);
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence.wrapping_sub(pair[0].sequence), 1);
    }
    let spoken = |packet: &Parts| packet.payload_type == 0;
    let first = packets.iter().position(spoken).unwrap();
    let last = packets.len() - 1;
    let before = packets[first..last].iter().rposition(spoken).unwrap() + first;
    let noises = &packets[before + 1..last];
    assert!(
        (3..=8).contains(&noises.len()),
        "{} in three seconds",
        noises.len()
    );
    let length = packets[last]
        .timestamp
        .wrapping_sub(packets[before].timestamp);
    assert!(length > 2 * 8_000, "{length} samples of silence");
    assert!(packets[last].marker, "a word begins (RFC 3551 section 4.1)");
    for pair in noises.windows(2) {
        let between = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!((1_600..=8_000).contains(&between), "{between} samples");
    }
    let described = noises.last().unwrap();
    assert!(!described.marker);
    assert!(
        described.payload[0].abs_diff(LEVEL) <= 2,
        "{:?}",
        described.payload
    );
    assert!(described.payload.len() > 1, "the spectrum is told too");
}

#[test]
fn who_begins_with_noise_is_heard() {
    let mut stage = Stage::new();
    let codecs = vec![named(PCMU), codec(NOISE, "CN", 8_000, 1)];
    let (producer, at) = stage.source(codecs, 7);
    stage.hear(producer, false);
    let ear = stage.output(PCMU, None);
    let mut speaker = Speaker::new(at, PCMU, 7, 440.0);
    let mut level = 127.0;
    for _ in 0..500 {
        speaker.describe(NOISE, 40);
        level = level_of(&[receive_rtp(&ear)], PCMU);
        if level < 45.0 {
            break;
        }
    }
    assert!((level - 40.0).abs() < 5.0, "{level}");
}

#[test]
fn noise_stands_beside_codecs_of_its_clock_under_a_number_of_its_own() {
    let mut stage = Stage::new();
    let output = |of: Named, events, noise| Command::AddMixerOutput {
        mixer: stage.mixer,
        codec: named(of),
        ptime_ms: 20,
        events_payload_type: events,
        noise_payload_type: noise,
        without: None,
        only: None,
    };
    for bad in [
        output(OPUS, None, Some(13)),
        output(PCMU, None, Some(0)),
        output(PCMU, Some(13), Some(13)),
        output(PCMU, None, Some(128)),
    ] {
        assert_eq!(stage.harness.refused(bad), ErrorCode::Invalid);
    }
}
