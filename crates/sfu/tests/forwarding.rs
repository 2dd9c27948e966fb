//! Media through the router, packet by packet, in virtual time.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use std::time::Duration;

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
fn what_is_forwarded_is_what_came_in() {
    let mut rig = Rig::video();
    let mut came = vec![];
    for n in 0..50_u16 {
        let packet = vp8(
            n,
            u32::from(n / 5) * 3_000,
            n % 5 == 0,
            n == 0,
            n % 5 == 4,
            900 + usize::from(n),
        );
        rig.rtp(&packet.bytes()).unwrap();
        came.push(packet);
        rig.pass_ms(6);
    }
    let media = rig.media();
    assert_eq!(media.len(), 50);
    let ssrc = rig.router.consumer_dump(VIDEO_OUT).unwrap().ssrc;
    for (out, packet) in media.iter().zip(&came) {
        let rtp = out.rtp();
        assert_eq!(rtp.payload(), packet.payload);
        assert_eq!(
            (rtp.marker(), rtp.payload_type(), rtp.ssrc()),
            (packet.marker, OUT_VP8, ssrc)
        );
        assert_eq!(rtp.timestamp(), packet.timestamp);
        assert_eq!(rtp.extension(11), Some(&b"0"[..]));
    }
    assert_eq!(sequences(&media), (0..50).collect::<Vec<_>>());
}

#[test]
fn a_frame_leaves_whole_and_at_once_and_an_unfinished_one_after_the_delay() {
    let mut rig = Rig::video();
    rig.rtp(&vp8(1, 0, true, true, false, 900).bytes()).unwrap();
    rig.rtp(&vp8(2, 0, false, true, false, 900).bytes())
        .unwrap();
    assert!(rig.media().is_empty());
    rig.rtp(&vp8(3, 0, false, true, true, 300).bytes()).unwrap();
    let burst = rig.media();
    assert_eq!(burst.len(), 3);
    assert!(burst.iter().all(|out| out.at == rig.now));
    rig.rtp(&vp8(4, 3_000, true, false, false, 900).bytes())
        .unwrap();
    let began = rig.now;
    rig.pass_ms(10);
    let late = rig.media();
    assert_eq!(
        (late.len(), late[0].at - began),
        (1, Duration::from_millis(5))
    );
}

#[test]
fn audio_rides_with_video_and_comes_last() {
    let mut rig = Rig::video();
    rig.audio();
    rig.rtp(&vp8(1, 0, true, true, true, 900).bytes()).unwrap();
    assert_eq!(rig.media().len(), 1);
    rig.rtp(&opus(1, 0, 30).bytes()).unwrap();
    assert!(rig.media().is_empty());
    rig.pass_ms(1);
    for (n, marker) in [(2, false), (3, false), (4, true)] {
        let bytes = if marker { 300 } else { 900 };
        rig.rtp(&vp8(n, 3_000, n == 2, false, marker, bytes).bytes())
            .unwrap();
    }
    let burst = rig.media();
    let kinds: Vec<_> = burst.iter().map(|out| out.rtp().payload_type()).collect();
    assert_eq!(kinds, [OUT_VP8, OUT_VP8, OUT_VP8, OUT_OPUS]);
    rig.rtp(&opus(2, 960, 30).bytes()).unwrap();
    let began = rig.now;
    rig.pass_ms(20);
    let alone = rig.media();
    assert_eq!(alone.len(), 1);
    assert!(alone[0].at - began <= Duration::from_millis(5));
}

#[test]
fn audio_that_can_have_no_company_leaves_at_once() {
    let mut rig = Rig::video();
    rig.audio();
    rig.rtp(&vp8(1, 0, true, true, true, 900).bytes()).unwrap();
    rig.media();
    rig.pass_ms(150);
    for n in 0..3 {
        rig.rtp(&opus(n, u32::from(n) * 960, 30).bytes()).unwrap();
        assert_eq!(rig.media().len(), 1, "packet {n}");
        rig.pass_ms(20);
    }
}

/// Two who talk, each in the ear of the other alone; gives how long the packets of the first waited.
fn waits_in_a_call(also_hears_video: bool) -> Vec<Duration> {
    let mut rig = Rig::new();
    rig.audio();
    if also_hears_video {
        rig.produce_video(VIDEO, &[Some(1_000)]);
        rig.consume_video(VIDEO_OUT, Some(VIDEO));
    }
    let mut back = audio_params();
    back.encodings[0].ssrc = Some(6_000);
    rig.router
        .produce(SUBSCRIBER, ProducerId(12), back, rig.now)
        .unwrap();
    let ear = ConsumerParams {
        kind: audio_params().kind,
        payload_types: vec![(OPUS, OUT_OPUS)],
        rtx_payload_types: vec![],
        mid: Some("1".into()),
        ..out_params(Some(ProducerId(12)))
    };
    rig.router
        .consume(PUBLISHER, ConsumerId(22), ear, rig.now)
        .unwrap();
    let mut waited = vec![];
    for n in 0..4_u16 {
        let mut answer = opus(n, u32::from(n) * 960, 30);
        answer.ssrc = 6_000;
        rig.router
            .handle_rtp(SUBSCRIBER, &answer.bytes(), rig.now)
            .unwrap();
        rig.pass_ms(8);
        rig.media();
        let came = rig.now;
        rig.rtp(&opus(n, u32::from(n) * 960, 30).bytes()).unwrap();
        rig.pass_ms(12);
        waited.extend(rig.media().iter().map(|out| out.at - came));
    }
    waited
}

#[test]
fn in_a_call_of_two_sound_waits_for_nothing_since_nothing_could_go_along() {
    assert_eq!(waits_in_a_call(false), [Duration::ZERO; 4]);
    let waited = waits_in_a_call(true);
    assert_eq!(waited.len(), 4);
    assert!(waited[1..].iter().all(|waited| *waited > Duration::ZERO));
}

/// Audio on a beat of 20 ms, then a frame `before_ms` before the next audio packet, which comes
/// where `comes` says so. Gives when each packet left after the frame, and what it is.
fn frame_before_audio(before_ms: u64, comes: bool) -> Vec<(u64, u8)> {
    let mut rig = Rig::video();
    rig.audio();
    for n in 0..8 {
        rig.rtp(&opus(n, u32::from(n) * 960, 30).bytes()).unwrap();
        rig.pass_ms(20);
    }
    rig.now -= Duration::from_millis(before_ms);
    rig.media();
    let whole = rig.now;
    rig.rtp(&vp8(1, 0, true, true, true, 900).bytes()).unwrap();
    rig.pass_ms(before_ms);
    if comes {
        rig.rtp(&opus(8, 8 * 960, 30).bytes()).unwrap();
    }
    rig.pass_ms(10);
    let left = |out: &Out| {
        let after = (out.at - whole).as_millis() as u64;
        (after, out.rtp().payload_type())
    };
    rig.media().iter().map(left).collect()
}

#[test]
fn a_frame_waits_a_little_for_audio_that_is_about_to_come() {
    assert_eq!(
        frame_before_audio(3, true),
        [(3, OUT_VP8), (3, OUT_OPUS)],
        "one burst"
    );
    assert_eq!(
        frame_before_audio(3, false),
        [(5, OUT_VP8)],
        "no longer than the burst delay"
    );
    let far = frame_before_audio(8, true);
    assert_eq!(far[0], (0, OUT_VP8), "too far to wait");
}

#[test]
fn two_tracks_are_gathered_into_runs_of_equal_length() {
    let mut rig = Rig::video();
    let mut second = video_params(&[Some(2_000)]);
    second.mid = Some("2".into());
    rig.router
        .produce(PUBLISHER, ProducerId(12), second, rig.now)
        .unwrap();
    rig.consume_video(ConsumerId(22), Some(ProducerId(12)));
    for ssrc in [1_000, 2_000] {
        for n in 1..=3 {
            let len = if n == 3 {
                300 + ssrc as usize / 10
            } else {
                900
            };
            let mut packet = vp8(n, 0, n == 1, true, n == 3, len);
            packet.ssrc = ssrc;
            // No drain between: both frames wait when the transport is served.
            rig.router
                .handle_rtp(PUBLISHER, &packet.bytes(), rig.now)
                .unwrap();
        }
    }
    rig.drain();
    let lengths: Vec<_> = rig
        .media()
        .iter()
        .map(|out| out.rtp().payload().len())
        .collect();
    assert_eq!(lengths, [900, 900, 900, 900, 500, 400]);
}

#[test]
fn nothing_is_sent_before_a_keyframe() {
    let mut rig = Rig::video();
    for n in 0..5 {
        rig.rtp(&delta(n, 0).bytes()).unwrap();
    }
    assert!(rig.media().is_empty());
    assert!(
        rig.router
            .consumer_dump(VIDEO_OUT)
            .unwrap()
            .waiting_for_keyframe
    );
    rig.rtp(&key(5, 3_000).bytes()).unwrap();
    rig.rtp(&delta(6, 6_000).bytes()).unwrap();
    assert_eq!(sequences(&rig.media()), [0, 1]);
    assert_eq!(
        rig.router
            .consumer_stats(VIDEO_OUT)
            .unwrap()
            .outbound
            .packets_skipped,
        5
    );
}

#[test]
fn a_keyframe_whose_first_packet_comes_late_is_forwarded_whole() {
    let mut rig = Rig::video();
    rig.rtp(&delta(1, 0).bytes()).unwrap();
    rig.rtp(&vp8(3, 3_000, false, true, false, 500).bytes())
        .unwrap();
    rig.rtp(&vp8(4, 3_000, false, true, true, 500).bytes())
        .unwrap();
    assert!(rig.media().is_empty());
    rig.rtp(&vp8(2, 3_000, true, true, false, 500).bytes())
        .unwrap();
    rig.pass_ms(5);
    let media = rig.media();
    assert_eq!(sequences(&media), [0, 1, 2]);
    rig.rtp(&delta(5, 6_000).bytes()).unwrap();
    assert_eq!(rig.media().len(), 1);
}

#[test]
fn padding_is_stripped_and_padding_only_packets_close_up() {
    let mut rig = Rig::video();
    let padded = Packet {
        padding: 9,
        ..key(1, 0)
    };
    rig.rtp(&padded.bytes()).unwrap();
    for n in 2..5 {
        let only = Packet {
            payload: vec![],
            padding: 200,
            ..delta(n, 0)
        };
        rig.rtp(&only.bytes()).unwrap();
    }
    rig.rtp(&delta(5, 3_000).bytes()).unwrap();
    let media = rig.media();
    assert_eq!(sequences(&media), [0, 1]);
    assert!(media.iter().all(|out| out.bytes[0] & 0x20 == 0));
    assert_eq!(media[0].rtp().payload(), padded.payload);
    let stats = rig.router.producer_stats(VIDEO).unwrap();
    assert_eq!(
        (
            stats.streams[0].padding_packets,
            stats.streams[0].packets_lost
        ),
        (3, 0)
    );
}

#[test]
fn duplicates_are_dropped_and_counted() {
    let mut rig = Rig::video();
    rig.rtp(&key(1, 0).bytes()).unwrap();
    assert_eq!(rig.rtp(&key(1, 0).bytes()), Err(RtpDrop::Duplicate));
    assert_eq!(rig.media().len(), 1);
    assert_eq!(
        rig.router.producer_stats(VIDEO).unwrap().streams[0].duplicates,
        1
    );
}

#[test]
fn reordered_packets_keep_their_numbers() {
    let mut rig = Rig::video();
    for n in [1, 3, 2, 5, 4] {
        let packet = if n == 1 {
            key(n, 0)
        } else {
            delta(n, u32::from(n) * 3_000)
        };
        rig.rtp(&packet.bytes()).unwrap();
    }
    rig.pass_ms(5);
    assert_eq!(sequences(&rig.media()), [0, 2, 1, 4, 3]);
}

#[test]
fn the_sequence_number_wraps_on_both_sides() {
    let mut rig = Rig::video();
    rig.rtp(&key(65_500, 0).bytes()).unwrap();
    for n in 1..70_000_u32 {
        rig.router
            .handle_rtp(
                PUBLISHER,
                &delta(65_500_u16.wrapping_add(n as u16), n).bytes(),
                rig.now,
            )
            .unwrap();
        if n % 8 == 0 {
            rig.drain();
        }
    }
    rig.drain();
    let media = rig.media();
    assert_eq!(media.len(), 70_000);
    assert!(
        media
            .windows(2)
            .all(|pair| { pair[1].rtp().sequence() == pair[0].rtp().sequence().wrapping_add(1) })
    );
}

#[test]
fn dtx_passes_with_its_gap_in_time() {
    let mut rig = Rig::new();
    rig.audio();
    rig.rtp(&opus(1, 0, 30).bytes()).unwrap();
    rig.pass_ms(400);
    rig.rtp(&opus(2, 19_200, 127).bytes()).unwrap();
    rig.pass_ms(5);
    let media = rig.media();
    assert_eq!(sequences(&media), [0, 1]);
    assert_eq!(
        media[1].rtp().timestamp() - media[0].rtp().timestamp(),
        19_200
    );
    assert_eq!(media[1].rtp().extension(14), Some(&[127][..]));
}

#[test]
fn extensions_are_remapped_by_kind_and_ours_are_our_own() {
    let mut rig = Rig::new();
    let mut params = video_params(&[Some(1_000)]);
    params.mid = Some("9".into());
    let now = rig.now;
    rig.router.produce(PUBLISHER, VIDEO, params, now).unwrap();
    rig.consume_video(VIDEO_OUT, Some(VIDEO));
    let mut packet = key(1, 0);
    packet.extensions = vec![
        (1, b"9".to_vec()),
        (2, b"hi".to_vec()),
        (4, vec![0x77, 0x77]),
        (5, vec![3]),
        (6, vec![1, 2, 3]),
        (9, vec![9]),
    ];
    rig.rtp(&packet.bytes()).unwrap();
    packet.sequence = 2;
    rig.rtp(&packet.bytes()).unwrap();
    let media = rig.media();
    for (n, out) in media.iter().enumerate() {
        let rtp = out.rtp();
        let sequence = [0, n as u8];
        let expected: [(u8, &[u8]); 3] = [(12, &sequence), (11, b"0"), (13, &[3])];
        assert_eq!(rtp.extensions().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_verbatim_consumer_carries_everything_but_the_ssrc() {
    let mut rig = Rig::new();
    rig.produce_video(VIDEO, &[Some(1_000), Some(2_000)]);
    let params = ConsumerParams {
        verbatim: true,
        ..out_params(Some(VIDEO))
    };
    let described = rig
        .router
        .consume(SUBSCRIBER, VIDEO_OUT, params, rig.now)
        .unwrap();
    assert_eq!(described.encodings.len(), 2);
    let mut packet = delta(7, 5);
    packet.extensions = vec![(1, b"0".to_vec()), (5, vec![3])];
    rig.rtp(&packet.bytes()).unwrap();
    packet.ssrc = 2_000;
    rig.rtp(&packet.bytes()).unwrap();
    let media = rig.media();
    for (out, encoding) in media.iter().zip(&described.encodings) {
        packet.ssrc = encoding.ssrc;
        assert_eq!(out.bytes, packet.bytes());
    }
    assert_eq!(media.len(), 2);
}

#[test]
fn unknown_streams_payload_types_and_garbage_are_counted() {
    let mut rig = Rig::video();
    assert_eq!(rig.rtp(&[0x80; 5]), Err(RtpDrop::Malformed));
    assert_eq!(rig.rtp(&vec![0x80; 5_000]), Err(RtpDrop::TooLong));
    let mut stranger = key(1, 0);
    stranger.payload_type = 35;
    assert_eq!(rig.rtp(&stranger.bytes()), Err(RtpDrop::PayloadType));
    stranger.ssrc = 4;
    assert_eq!(rig.rtp(&stranger.bytes()), Err(RtpDrop::UnknownStream));
    let stats = rig.router.transport_stats(PUBLISHER).unwrap();
    let counted = (
        stats.rtp_malformed,
        stats.rtp_too_long,
        stats.rtp_payload_type,
        stats.rtp_unknown,
    );
    assert_eq!(counted, (1, 1, 1, 1));
}

#[test]
fn a_frame_is_counted_when_the_last_of_its_packets_has_come_and_once() {
    let mut rig = Rig::video();
    let received = |rig: &Rig| {
        let stats = rig.router.producer_stats(VIDEO).unwrap();
        stats.streams[0].frames_received
    };
    let packets: Vec<_> = (0..3)
        .map(|n| vp8(n, 0, n == 0, true, n == 2, 900))
        .collect();
    rig.rtp(&packets[0].bytes()).unwrap();
    rig.rtp(&packets[2].bytes()).unwrap();
    assert_eq!(received(&rig), 0, "its middle is missing");
    rig.rtp(&delta(3, 3_000).bytes()).unwrap();
    assert_eq!(received(&rig), 1, "the next is whole");
    rig.rtp(&rtx(&packets[1], 1).bytes()).unwrap();
    assert_eq!(received(&rig), 2, "repaired");
    let _ = rig.rtp(&packets[1].bytes());
    assert_eq!(received(&rig), 2, "twice is once");
    // Without its beginning, and without its end, it is none.
    rig.rtp(&vp8(5, 6_000, false, false, true, 900).bytes())
        .unwrap();
    rig.rtp(&vp8(6, 9_000, true, false, false, 900).bytes())
        .unwrap();
    rig.rtp(&delta(8, 12_000).bytes()).unwrap();
    assert_eq!(received(&rig), 3);
}
