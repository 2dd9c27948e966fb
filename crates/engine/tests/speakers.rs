//! Who speaks, from the audio levels of RFC 6464.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use roomtone_engine::values::{
    Command, CommandResult, ErrorCode, Event, HeaderExtension, MediaKind,
};
use support::{Harness, PlainOptions, codec, config, socket};

/// RTP with one element of the one-byte form (RFC 8285 section 4.2): the level under id 1.
fn spoken(sequence: u16, ssrc: u32, level: u8) -> Vec<u8> {
    let mut packet = support::rtp(111, sequence, u32::from(sequence) * 960, ssrc, &[]);
    packet[0] |= 0x10;
    packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0x80 | level, 0, 0]);
    packet.extend_from_slice(b"voice");
    packet
}

#[test]
fn the_loudest_is_told_first_and_dominates() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let opened = harness.call(Command::ObserveAudioLevels {
        router,
        interval_ms: 400,
        threshold_dbov: -50,
        percentile: 40,
        smoothing: 0.3,
        hold_ms: 1000,
        max_entries: 2,
    });
    let CommandResult::ObserverOpened { observer } = opened else {
        panic!("{opened:?}")
    };
    let mut voices = Vec::new();
    for (ssrc, level) in [(1, 40), (2, 10), (3, 90)] {
        let (source, source_at) = socket();
        let (transport, at, _) = harness.plain(PlainOptions::on(router));
        harness.connect_plain(transport, source_at);
        let produced = harness.call(Command::Produce {
            transport,
            kind: MediaKind::Audio,
            codecs: vec![codec(111, "OPUS", 48_000, 2)],
            encodings: vec![],
            mid: None,
            header_extensions: vec![HeaderExtension {
                id: 1,
                uri: "urn:ietf:params:rtp-hdrext:ssrc-audio-level".into(),
            }],
            paused: false,
        });
        let CommandResult::Produced { producer } = produced else {
            panic!("{produced:?}")
        };
        voices.push((source, at, producer, ssrc, level));
    }
    for sequence in 0..20 {
        for (source, at, _, ssrc, level) in &voices {
            source
                .send_to(&spoken(sequence, *ssrc, *level), at)
                .unwrap();
        }
    }
    let (speakers, dominant) = harness.event(|event| match event {
        Event::ActiveSpeakers {
            observer: from,
            speakers,
            dominant,
            ..
        } if *from == observer => Some((speakers.clone(), *dominant)),
        _ => None,
    });
    let named: Vec<u64> = speakers.iter().map(|speaker| speaker.producer).collect();
    assert_eq!(
        named,
        [voices[1].2, voices[0].2],
        "the third is below the threshold"
    );
    assert_eq!(dominant, Some(voices[1].2));
    assert!(speakers[0].level_dbov > speakers[1].level_dbov && speakers[0].level_dbov <= 0);
    harness.done(Command::CloseObserver { observer });
    assert_eq!(
        harness.refused(Command::CloseObserver { observer }),
        ErrorCode::NotFound
    );
}

#[test]
fn observers_of_one_router_share_its_settings_and_take_their_share_of_speakers() {
    let mut harness = Harness::new(config(1));
    let router = harness.router(None);
    let observe = |interval_ms, max_entries| Command::ObserveAudioLevels {
        router,
        interval_ms,
        threshold_dbov: -40,
        percentile: 50,
        smoothing: 0.5,
        hold_ms: 600,
        max_entries,
    };
    let open = |harness: &mut Harness, interval_ms, max_entries| match harness
        .call(observe(interval_ms, max_entries))
    {
        CommandResult::ObserverOpened { observer } => observer,
        other => panic!("{other:?}"),
    };
    let first = open(&mut harness, 200, 2);
    let second = open(&mut harness, 200, 5);
    assert_eq!(harness.refused(observe(300, 2)), ErrorCode::Invalid);
    let told = &harness.stats(first)[0];
    assert_eq!(support::number(told, "intervalMs"), 200);
    assert_eq!(support::number(told, "maxEntries"), 2);
    for observer in [first, second] {
        harness.done(Command::CloseObserver { observer });
    }
    open(&mut harness, 300, 2);
    assert_eq!(harness.refused(observe(300, 0)), ErrorCode::Invalid);
    assert_eq!(harness.refused(observe(1, 2)), ErrorCode::Invalid);
}
