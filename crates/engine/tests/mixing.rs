//! Mixers over real sockets: tones go in as RTP, and what comes out is decoded and listened to.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::UdpSocket;
use std::time::Instant;

use roomtone_audio::dtmf::{Digit, Generator};
use roomtone_engine::values::{Command, CommandResult, ErrorCode, Event, MixerSource, ToneKind};
use support::stage::*;
use support::{PATIENCE, Parts, codec, config, receive_rtp, rtp, socket};

#[test]
fn each_codec_becomes_each_other() {
    for (from, to) in [
        (PCMU, OPUS),
        (OPUS, PCMU),
        (G722, PCMA),
        (PCMA, G722),
        (L16, OPUS),
        (OPUS, L16),
    ] {
        let mut stage = Stage::new();
        let (producer, at) = stage.source(vec![named(from)], 77);
        stage.hear(producer, false);
        let ear = stage.output(to, None);
        stage.speakers.push(Speaker::new(at, from, 77, 440.0));
        stage.wait_heard(&ear, audio(to), &[440.0], &[880.0, 1_320.0]);
    }
}

#[test]
fn who_hears_a_telephone_hears_all_of_a_wide_voice_that_joins() {
    let mut stage = Stage::new();
    let phone = stage.party(PCMU, 1, 440.0);
    let wide = stage.party(OPUS, 2, 880.0);
    stage.wait_heard(&wide.ear, wide.codec, &[440.0], &[880.0]);
    stage.wait_heard(&phone.ear, phone.codec, &[880.0], &[440.0]);
    // Far above what the mix for one telephone had room for.
    let third = stage.party(OPUS, 3, 6_000.0);
    stage.wait_heard(&wide.ear, wide.codec, &[440.0, 6_000.0], &[880.0]);
    stage.wait_heard(&third.ear, third.codec, &[440.0, 880.0], &[]);
}

#[test]
fn each_of_three_hears_the_other_two_and_not_itself() {
    let mut stage = Stage::new();
    let tones = [440.0, 880.0, 1_320.0];
    let parties: Vec<Party> = [PCMU, OPUS, G722]
        .into_iter()
        .zip(tones)
        .enumerate()
        .map(|(at, (of, hz))| stage.party(of, 100 + at as u32, hz))
        .collect();
    for (at, party) in parties.iter().enumerate() {
        let mut others = tones.to_vec();
        others.remove(at);
        stage.wait_heard(&party.ear, party.codec, &others, &[tones[at]]);
    }
    // Reports are of the last second.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reports = stage.harness.stats(stage.mixer);
        let of = |sort: &str| reports.iter().filter(|r| r["type"] == sort.into()).count();
        if (of("mixer-input"), of("mixer-core")) == (3, 1) {
            break;
        }
        assert!(Instant::now() < deadline, "{reports:?}");
        stage.next(&parties[0].ear);
    }
    // Who leaves is heard no more.
    let removed = Command::RemoveMixerInput {
        mixer: stage.mixer,
        input: parties[0].input,
    };
    stage.harness.done(removed.clone());
    stage.wait_heard(
        &parties[1].ear,
        parties[1].codec,
        &[1_320.0],
        &[440.0, 880.0],
    );
    assert_eq!(stage.harness.refused(removed), ErrorCode::NotFound);
}

#[test]
fn tones_and_clips_are_played_and_a_clip_tells_its_end() {
    let mut stage = Stage::new();
    let ear = stage.output(PCMU, None);
    let clip: Vec<u8> = (0..16_000)
        .map(|n| (f64::from(n) / 16_000.0 * 700.0 * std::f64::consts::TAU).sin() * LOUD)
        .flat_map(|sample| (sample as i16).to_le_bytes())
        .collect();
    let source = MixerSource::Clip {
        rate_hz: 16_000,
        samples: clip,
        repeat: false,
    };
    let added = stage.harness.call(Command::AddMixerSource {
        mixer: stage.mixer,
        source,
    });
    let CommandResult::MixerInputAdded { input: clip } = added else {
        panic!("{added:?}");
    };
    stage.wait_heard(&ear, audio(PCMU), &[700.0], &[425.0]);
    let ended = stage.harness.event(|event| match event {
        Event::MixerSourceEnded { input, .. } => Some(*input),
        _ => None,
    });
    assert_eq!(ended, clip);
    let busy = |country: &str| Command::AddMixerSource {
        mixer: stage.mixer,
        source: MixerSource::Tone {
            country: country.into(),
            tone: ToneKind::Busy,
        },
    };
    let (known, unknown) = (busy("DE"), busy("XX"));
    assert_eq!(stage.harness.refused(unknown), ErrorCode::Invalid);
    let CommandResult::MixerInputAdded { input } = stage.harness.call(known) else {
        panic!("not added");
    };
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < PATIENCE, "the tone was never heard");
        let packet = receive_rtp(&ear);
        if packet.payload.iter().any(|byte| byte & 0x7f < 0x40) {
            break;
        }
    }
    stage.harness.done(Command::RemoveMixerInput {
        mixer: stage.mixer,
        input,
    });
}

#[test]
fn keys_are_told_by_events_and_found_in_what_sounds() {
    let mut stage = Stage::new();
    let events = codec(101, "telephone-event", 8_000, 1);
    let (producer, at) = stage.source(vec![named(PCMU), events], 5);
    stage.hear(producer, true);
    let ear = stage.output(PCMA, None);
    let (mouth, _) = socket();
    let mut sequence = 0;
    let mut send = |payload_type, timestamp, payload: &[u8]| {
        sequence += 1;
        let packet = rtp(payload_type, sequence, timestamp, 5, payload);
        mouth.send_to(&packet, at).unwrap();
    };
    // Event 5 for 100 ms, its end three times (RFC 4733 section 2.5.1.4).
    for duration in [160_u16, 480, 800] {
        let [high, low] = duration.to_be_bytes();
        send(101, 1_000, &[5, 10, high, low]);
    }
    for _ in 0..3 {
        send(101, 1_000, &[5, 0x8a, 3, 32]);
    }
    let pressed = |event: &Event| match event {
        Event::DtmfReceived {
            digit,
            duration_ms,
            inband,
            ..
        } => Some((digit.clone(), *duration_ms, *inband)),
        _ => None,
    };
    assert_eq!(stage.harness.event(pressed), ("5".to_owned(), 100, false));
    let mut tone = Generator::new(Digit::from_char('8').unwrap(), 8_000, 120);
    // The same by sound, with silence behind it: often enough that a thread which had to wait may miss some.
    let mut encoder = audio(PCMU).encoder(8_000).unwrap();
    for packet in 0..200 {
        let mut pcm = [0; 160];
        if packet % 20 == 0 {
            tone = Generator::new(Digit::from_char('8').unwrap(), 8_000, 120);
        }
        tone.fill(&mut pcm);
        let mut payload = Vec::new();
        encoder.encode(&pcm, &mut payload).unwrap();
        send(0, 10_000 + packet * 160, &payload);
        receive_rtp(&ear);
    }
    let (digit, _, inband) = stage.harness.event(pressed);
    assert_eq!((digit.as_str(), inband), ("8", true));
}

#[test]
fn a_key_sent_on_an_output_is_an_event_in_place_of_sound() {
    let mut stage = Stage::new();
    let (output, ear) = stage.output_with_events(PCMU, None, Some(101));
    assert_eq!(receive_rtp(&ear).payload_type, 0);
    let press = |output, digit: &str| Command::SendMixerDtmf {
        output,
        digit: digit.into(),
        duration_ms: 100,
    };
    stage.harness.done(press(output, "#"));
    let deadline = Instant::now() + PATIENCE;
    let mut events = Vec::new();
    while events.is_empty() || receive_into(&ear, &mut events) {
        assert!(Instant::now() < deadline, "no events, or no end of them");
        if events.is_empty() {
            receive_into(&ear, &mut events);
        }
    }
    // Five reports of 20 ms and the last one twice more (RFC 4733 section 2.5.1.4), all with the time of the start.
    let told: Vec<[u8; 4]> = events
        .iter()
        .map(|e| e.payload[..].try_into().unwrap())
        .collect();
    let durations: Vec<u16> = told
        .iter()
        .map(|e| u16::from_be_bytes([e[2], e[3]]))
        .collect();
    assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
    assert!(told.iter().all(|e| e[0] == 11));
    assert_eq!(told.iter().filter(|e| e[1] & 0x80 != 0).count(), 3);
    assert!(events[0].marker);
    assert!(events.iter().all(|e| e.timestamp == events[0].timestamp));
    let (silent, _ear) = stage.output_with_events(PCMA, None, None);
    assert_eq!(
        stage.harness.refused(press(silent, "1")),
        ErrorCode::WrongState
    );
    assert_eq!(
        stage.harness.refused(press(output, "12")),
        ErrorCode::Invalid
    );
    assert_eq!(stage.harness.refused(press(9, "1")), ErrorCode::NotFound);
}

/// Takes the next packet; whether it was an event.
fn receive_into(ear: &UdpSocket, events: &mut Vec<Parts>) -> bool {
    let packet = receive_rtp(ear);
    let is_event = packet.payload_type == 101;
    if is_event {
        events.push(packet);
    }
    is_event
}

#[test]
fn a_mixer_has_more_outputs_than_a_transport_may_have_producers() {
    let mut stage = Stage::new();
    let most = config(1).max_producers_per_transport;
    for _ in 0..=most {
        let command = Command::AddMixerOutput {
            mixer: stage.mixer,
            codec: named(PCMU),
            ptime_ms: 20,
            events_payload_type: None,
            noise_payload_type: None,
            without: None,
            only: None,
        };
        let added = stage.harness.call(command);
        assert!(matches!(added, CommandResult::Produced { .. }), "{added:?}");
    }
}

#[test]
fn what_a_mixer_cannot_do_it_refuses_and_what_ends_ends_it() {
    let mut stage = Stage::new();
    let (g729, _) = stage.source(vec![codec(18, "G729", 8_000, 1)], 9);
    let (mixer, router) = (stage.mixer, stage.router);
    let input = Command::AddMixerInput {
        mixer,
        producer: g729,
        inband_dtmf: false,
    };
    assert_eq!(stage.harness.refused(input), ErrorCode::Unsupported);
    let output = |codec, ptime_ms| Command::AddMixerOutput {
        mixer,
        codec,
        ptime_ms,
        events_payload_type: None,
        noise_payload_type: None,
        without: None,
        only: None,
    };
    let vorbis = output(codec(98, "vorbis", 48_000, 2), 20);
    assert_eq!(stage.harness.refused(vorbis), ErrorCode::Unsupported);
    let odd = output(named(PCMU), 25);
    assert_eq!(stage.harness.refused(odd), ErrorCode::Invalid);
    let not_a_mixer = Command::CloseMixer { mixer: router };
    assert_eq!(stage.harness.refused(not_a_mixer), ErrorCode::NotFound);
    let as_transport = Command::CloseTransport { transport: mixer };
    assert_eq!(stage.harness.refused(as_transport), ErrorCode::NotFound);
    stage.harness.done(Command::CloseRouter {
        router,
        quietly: false,
    });
    stage.harness.event(|event| match event {
        Event::MixerClosed { mixer: gone, .. } => (*gone == mixer).then_some(()),
        _ => None,
    });
    assert_eq!(
        stage.harness.refused(output(named(PCMU), 20)),
        ErrorCode::NotFound
    );
}
