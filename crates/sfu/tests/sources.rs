//! Sources that pause, change, restart, and come in several encodings, in virtual time.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use roomtone_rtp::rtcp::{CompoundWriter, SenderReport};
use roomtone_rtp::{Codec, ExtensionKind, MediaKind, NtpTime};
use roomtone_sfu::*;
use support::*;

fn sequences(media: &[Out]) -> Vec<u16> {
    let first = media.first().map_or(0, |out| out.rtp().sequence());
    media
        .iter()
        .map(|out| out.rtp().sequence().wrapping_sub(first))
        .collect()
}

#[test]
fn an_ssrc_change_in_mid_stream_goes_on_without_a_break() {
    let mut rig = Rig::new();
    rig.produce_video(VIDEO, &[None]);
    rig.consume_video(VIDEO_OUT, Some(VIDEO));
    rig.rtp(&key(100, 1_000).bytes()).unwrap();
    rig.rtp(&delta(101, 4_000).bytes()).unwrap();
    rig.pass_ms(40);
    let mut other = key(50_000, 77);
    other.ssrc = 9_999;
    rig.rtp(&other.bytes()).unwrap();
    let media = rig.media();
    assert_eq!(sequences(&media), [0, 1, 2]);
    assert_eq!(media[2].rtp().timestamp(), 4_000 + 3_600);
    assert_eq!(
        rig.router.producer_stats(VIDEO).unwrap().streams[0].ssrc,
        Some(9_999)
    );
    // Two senders that take turns are not followed.
    assert_eq!(
        rig.rtp(&delta(102, 7_000).bytes()),
        Err(RtpDrop::UnknownStream)
    );
    assert_eq!(
        rig.router.transport_stats(PUBLISHER).unwrap().rtp_unknown,
        1
    );
}

#[test]
fn a_clock_jump_is_closed_up() {
    let mut rig = Rig::video();
    rig.rtp(&key(1, 1_000).bytes()).unwrap();
    rig.pass_ms(33);
    rig.rtp(&delta(2, 3_000_000_000).bytes()).unwrap();
    rig.pass_ms(33);
    rig.rtp(&delta(3, 3_000_002_970).bytes()).unwrap();
    let stamps: Vec<_> = rig
        .media()
        .iter()
        .map(|out| out.rtp().timestamp())
        .collect();
    assert_eq!(stamps, [1_000, 1_000 + 2_970, 1_000 + 5_940]);
}

#[test]
fn a_replaced_producer_continues_numbers_and_time_from_its_first_keyframe() {
    let mut rig = Rig::video();
    rig.rtp(&key(1, 1_000).bytes()).unwrap();
    rig.rtp(&delta(2, 4_000).bytes()).unwrap();
    rig.produce_video(ProducerId(12), &[Some(3_000)]);
    rig.router
        .switch_source(
            VIDEO_OUT,
            Some(ProducerId(12)),
            vec![(VP8, OUT_VP8)],
            rig.now,
        )
        .unwrap();
    rig.rtp(&delta(3, 7_000).bytes()).unwrap();
    rig.pass_ms(100);
    for packet in [delta(40_000, 5), key(40_001, 5), delta(40_002, 3_005)] {
        rig.rtp(
            &Packet {
                ssrc: 3_000,
                ..packet
            }
            .bytes(),
        )
        .unwrap();
    }
    let media = rig.media();
    assert_eq!(sequences(&media), [0, 1, 2, 3]);
    let stamps: Vec<_> = media.iter().map(|out| out.rtp().timestamp()).collect();
    assert_eq!(stamps, [1_000, 4_000, 13_000, 16_000]);
    assert_eq!(media[2].rtp().ssrc(), media[0].rtp().ssrc());
}

#[test]
fn a_paused_consumer_gets_nothing_and_resumes_at_a_keyframe() {
    let mut rig = Rig::video();
    rig.rtp(&key(1, 0).bytes()).unwrap();
    rig.router.pause_consumer(VIDEO_OUT, rig.now).unwrap();
    rig.rtp(&delta(2, 3_000).bytes()).unwrap();
    rig.router.resume_consumer(VIDEO_OUT, rig.now).unwrap();
    rig.rtp(&delta(3, 6_000).bytes()).unwrap();
    rig.rtp(&key(4, 9_000).bytes()).unwrap();
    let media = rig.media();
    assert_eq!(sequences(&media), [0, 1]);
    assert_eq!(
        media[1].rtp().timestamp(),
        9_000,
        "the clock went on meanwhile"
    );
}

#[test]
fn a_paused_producer_closes_up() {
    let mut rig = Rig::video();
    rig.rtp(&key(1, 0).bytes()).unwrap();
    rig.router.pause_producer(VIDEO, rig.now).unwrap();
    for n in 2..10 {
        assert_eq!(rig.rtp(&delta(n, 0).bytes()), Err(RtpDrop::Paused));
    }
    rig.pass_ms(1_000);
    rig.router.resume_producer(VIDEO, rig.now).unwrap();
    rig.rtp(&delta(5_000, 90_000).bytes()).unwrap();
    rig.rtp(&key(5_001, 90_000).bytes()).unwrap();
    let media = rig.media();
    assert_eq!(sequences(&media), [0, 1]);
    assert_eq!(rig.router.producer_stats(VIDEO).unwrap().dropped_paused, 8);
    assert_eq!(
        rig.router.producer_dump(VIDEO).unwrap().streams[0].missing,
        0
    );
}

#[test]
fn streams_are_found_by_rid_and_their_retransmissions_by_repaired_rid() {
    let mut rig = Rig::new();
    let mut params = video_params(&[None, None]);
    for (encoding, rid) in params.encodings.iter_mut().zip(["q", "h"]) {
        encoding.rid = Some(rid.into());
    }
    rig.router
        .produce(PUBLISHER, VIDEO, params, rig.now)
        .unwrap();
    let labelled = |packet: Packet, ssrc, id, rid: &str| Packet {
        ssrc,
        extensions: vec![(1, b"0".to_vec()), (id, rid.as_bytes().to_vec())],
        ..packet
    };
    rig.rtp(&labelled(key(1, 0), 71, 2, "h").bytes()).unwrap();
    rig.rtp(&labelled(key(1, 0), 72, 2, "q").bytes()).unwrap();
    let repair = rtx(&delta(2, 0), 1);
    rig.rtp(&labelled(repair, 73, 3, "h").bytes()).unwrap();
    let stats = rig.router.producer_stats(VIDEO).unwrap();
    let counts = |at: usize| {
        (
            stats.streams[at].ssrc,
            stats.streams[at].retransmitted_packets_received,
        )
    };
    assert_eq!((counts(0), counts(1)), ((Some(72), 0), (Some(71), 1)));
    let unknown = labelled(key(1, 0), 74, 2, "x");
    assert_eq!(rig.rtp(&unknown.bytes()), Err(RtpDrop::UnknownStream));
    assert_eq!(rig.router.transport_dump(PUBLISHER).unwrap().routes, 3);
}

#[test]
fn closing_everything_leaves_nothing() {
    let mut rig = Rig::new();
    for round in 0..100_u64 {
        let id = TransportId(100 + round);
        rig.open(id);
        rig.router
            .produce(id, VIDEO, video_params(&[Some(1)]), rig.now)
            .unwrap();
        let params = out_params(Some(VIDEO));
        rig.router
            .consume(SUBSCRIBER, VIDEO_OUT, params, rig.now)
            .unwrap();
        let mut packet = key(1, 0);
        packet.ssrc = 1;
        rig.router.handle_rtp(id, &packet.bytes(), rig.now).unwrap();
        if round % 2 == 0 {
            rig.drain();
            rig.router.close_consumer(VIDEO_OUT, rig.now).unwrap();
            rig.router.close_transport(id, rig.now).unwrap();
        } else {
            rig.router.close_transport(id, rig.now).unwrap();
            rig.router.close_consumer(VIDEO_OUT, rig.now).unwrap();
        }
        rig.pass_ms(10);
    }
    let stats = rig.router.stats();
    assert_eq!(
        (
            stats.transports,
            stats.producers,
            stats.consumers,
            stats.history_bytes
        ),
        (2, 0, 0, 0)
    );
    rig.pass_ms(3_000);
    assert!(rig.router.stats().timers <= 2, "{:?}", rig.router.stats());
}

#[test]
fn a_fixed_encoding_is_switched_to_at_its_keyframe_without_a_break() {
    let mut rig = Rig::new();
    rig.produce_video(VIDEO, &[Some(1_000), Some(2_000)]);
    let high = |packet: Packet| {
        Packet {
            ssrc: 2_000,
            ..packet
        }
        .bytes()
    };
    rig.rtp(&key(1, 0).bytes()).unwrap();
    rig.rtp(&high(key(500, 70_000))).unwrap();
    rig.consume_video(VIDEO_OUT, Some(VIDEO));
    rig.router
        .set_preferred_layers(VIDEO_OUT, Some(0), None, rig.now)
        .unwrap();
    rig.pass_ms(33);
    rig.rtp(&key(2, 3_000).bytes()).unwrap();
    rig.rtp(&high(delta(501, 73_000))).unwrap();
    rig.pass_ms(33);
    rig.router
        .set_preferred_layers(VIDEO_OUT, Some(1), None, rig.now)
        .unwrap();
    rig.rtp(&delta(3, 6_000).bytes()).unwrap();
    rig.rtp(&high(delta(502, 76_000))).unwrap();
    rig.pass_ms(33);
    rig.rtp(&delta(4, 9_000).bytes()).unwrap();
    rig.rtp(&high(key(503, 79_000))).unwrap();
    rig.pass_ms(33);
    rig.rtp(&delta(5, 12_000).bytes()).unwrap();
    rig.rtp(&high(delta(504, 82_000))).unwrap();
    let media = rig.media();
    assert_eq!(sequences(&media), [0, 1, 2, 3, 4]);
    let stamps: Vec<_> = media
        .iter()
        .map(|out| out.rtp().timestamp() - media[0].rtp().timestamp())
        .collect();
    assert!(
        stamps.windows(2).all(|pair| pair[1] > pair[0]),
        "{stamps:?}"
    );
    assert_eq!(
        rig.router.consumer_dump(VIDEO_OUT).unwrap().current_spatial,
        Some(1)
    );
    let switched = RouterEvent::LayersChanged {
        consumer: VIDEO_OUT,
        spatial: Some(1),
        temporal: None,
    };
    assert!(rig.events.contains(&switched), "{:?}", rig.events);
}

#[test]
fn the_loudest_speaker_is_told() {
    let mut rig = Rig::new();
    rig.audio();
    for n in 0..20_u16 {
        rig.rtp(&opus(n, u32::from(n) * 960, 20).bytes()).unwrap();
        rig.pass_ms(20);
    }
    let speakers = rig.events.iter().find_map(|event| match event {
        RouterEvent::ActiveSpeakers(speakers) => Some(speakers.clone()),
        _ => None,
    });
    assert_eq!(speakers.unwrap()[0].producer, AUDIO);
}

#[test]
fn kinds_must_agree_and_ids_must_be_new() {
    let mut rig = Rig::video();
    let now = rig.now;
    let wrong = ConsumerParams {
        kind: MediaKind::Audio,
        ..out_params(Some(VIDEO))
    };
    assert_eq!(
        rig.router.consume(SUBSCRIBER, ConsumerId(9), wrong, now),
        Err(SfuError::Kind)
    );
    let again = rig
        .router
        .consume(SUBSCRIBER, VIDEO_OUT, out_params(None), now);
    assert_eq!(again, Err(SfuError::Duplicate));
    let taken = rig
        .router
        .produce(PUBLISHER, ProducerId(9), video_params(&[Some(1_001)]), now);
    assert_eq!(taken, Err(SfuError::DuplicateSsrc(1_001)));
    let mut mixed = video_params(&[None]);
    mixed.codecs[0].codec = Codec::Opus;
    let refused = rig.router.produce(PUBLISHER, ProducerId(9), mixed, now);
    assert_eq!(refused, Err(SfuError::CodecKind));
}

/// The sender report that ties a timestamp to a number of milliseconds.
fn report(ssrc: u32, ms: u64, rtp_timestamp: u32) -> Vec<u8> {
    let mut out = [0; 200];
    let mut writer = CompoundWriter::new(&mut out);
    let report = SenderReport {
        ssrc,
        ntp: ntp(ms),
        rtp_timestamp,
        ..SenderReport::default()
    };
    writer.push(&report).unwrap();
    let len = writer.finish();
    out[..len].to_vec()
}

fn ntp(ms: u64) -> NtpTime {
    NtpTime((3_900_000_000 << 32) + (ms << 32) / 1_000)
}

/// Two encodings, the second of which is on its way for a picture longer; a switch before any
/// sender report, which come with picture 60. Gives how uneven the steps between pictures were
/// after the switch, and how far off the timeline was before and long after the reports.
fn switch_without_reports(captured: bool) -> (Vec<i32>, [i32; 2]) {
    let mut rig = Rig::new();
    let mut params = video_params(&[Some(1_000), Some(2_000)]);
    params.extensions.push((7, ExtensionKind::AbsCaptureTime));
    rig.router
        .produce(PUBLISHER, VIDEO, params, rig.now)
        .unwrap();
    rig.consume_video(VIDEO_OUT, Some(VIDEO));
    let choose = |rig: &mut Rig, encoding| {
        rig.router
            .set_preferred_layers(VIDEO_OUT, Some(encoding), None, rig.now)
            .unwrap();
    };
    choose(&mut rig, 0);
    let start = |ssrc| if ssrc == 1_000 { 7_000 } else { 900_000 };
    let picture = |ssrc: u32, number: u32, key: bool| {
        let timestamp = start(ssrc) + number * 2_700;
        let mut packet = vp8(number as u16, timestamp, true, key, true, 60);
        packet.ssrc = ssrc;
        if captured {
            let time = ntp(u64::from(number) * 30).0.to_be_bytes();
            packet.extensions.push((7, time.to_vec()));
        }
        packet.bytes()
    };
    let mut times = vec![];
    for number in 0..160_u32 {
        if number == 20 {
            choose(&mut rig, 1);
        }
        if number == 60 {
            for ssrc in [1_000, 2_000] {
                let said = report(ssrc, 1_800, start(ssrc) + number * 2_700);
                rig.rtcp(PUBLISHER, &said);
            }
        }
        rig.rtp(&picture(1_000, number, number == 0)).unwrap();
        if number > 0 {
            let before = number - 1;
            rig.rtp(&picture(2_000, before, before % 24 == 0)).unwrap();
        }
        rig.pass_ms(30);
        let media = rig.media();
        times.extend(media.iter().map(|out| (number, out.rtp().timestamp())));
    }
    let after = times.windows(2).filter(|two| two[0].0 >= 21);
    let uneven = after.map(|two| {
        let step = two[1].1.wrapping_sub(two[0].1).cast_signed();
        step - 2_700 * (two[1].0 - two[0].0).cast_signed()
    });
    let uneven = uneven.collect();
    // On the first encoding's timeline, where the picture before each moment's comes with it.
    let off = [59, 159].map(|moment| {
        let (_, timestamp) = times.iter().rfind(|(number, _)| *number == moment).unwrap();
        timestamp
            .wrapping_sub(7_000 + (moment - 1) * 2_700)
            .cast_signed()
    });
    (uneven, off)
}

#[test]
fn a_timeline_by_arrival_is_corrected_in_small_steps_when_reports_come() {
    let (uneven, off) = switch_without_reports(false);
    assert_eq!(off, [2_701, 0]);
    assert!(uneven.iter().all(|step| step.abs() <= 180), "{uneven:?}");
}

#[test]
fn before_the_first_report_capture_times_put_encodings_on_one_timeline() {
    let (uneven, off) = switch_without_reports(true);
    // A tick is lost in the division.
    assert!(off.iter().all(|off| off.abs() <= 1), "{off:?}");
    assert!(uneven.iter().all(|step| step.abs() <= 180), "{uneven:?}");
}

#[test]
fn a_stream_that_ended_in_comfort_noise_has_said_that_it_is_silent() {
    const NOISE: u8 = 13;
    for (last, silent_after_ms) in [(OPUS, 2_000), (NOISE, 30_000)] {
        let mut rig = Rig::new();
        let mut params = audio_params();
        let sound = params.codecs[0].clone();
        params.codecs.push(CodecParams {
            payload_type: NOISE,
            codec: Codec::ComfortNoise,
            ..sound
        });
        let now = rig.now;
        rig.router.produce(PUBLISHER, AUDIO, params, now).unwrap();
        rig.rtp(&opus(1, 960, 30).bytes()).unwrap();
        let mut packet = opus(2, 1_920, 30);
        packet.payload_type = last;
        rig.rtp(&packet.bytes()).unwrap();
        let silent = |rig: &mut Rig, ms| {
            rig.pass_ms(ms);
            let mut told = rig.events.drain(..);
            told.any(|event| matches!(event, RouterEvent::ProducerSilent { .. }))
        };
        assert!(!silent(&mut rig, silent_after_ms - 100), "too early");
        // The next window closes within two seconds.
        assert!(silent(&mut rig, 2_100), "never told");
    }
}
