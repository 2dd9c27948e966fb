//! Which layers viewers are given by what their line carries, in virtual time.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

#[path = "support/allotted.rs"]
mod allotted;
mod support;

use std::sync::atomic::Ordering;

use allotted::*;
use roomtone_sfu::*;
use support::*;

#[test]
fn a_viewer_is_given_the_best_encoding_that_fits_its_line() {
    let mut scene = Scene::simulcast();
    scene.line(2_500);
    scene.seconds(3);
    assert_eq!(scene.current(VIDEO_OUT), Some(2));
    assert_eq!(scene.events(), [targeted(VIDEO_OUT, 2)]);
    scene.line(700);
    scene.pictures(5);
    assert_eq!(
        scene.current(VIDEO_OUT),
        Some(1),
        "down at the next keyframe"
    );
    assert_eq!(scene.events(), [targeted(VIDEO_OUT, 1)]);
    scene.line(300);
    scene.pictures(5);
    assert_eq!(scene.current(VIDEO_OUT), Some(0));
    scene.line(2_500);
    scene.seconds(1);
    assert_eq!(scene.current(VIDEO_OUT), Some(0), "not so soon");
    scene.seconds(3);
    assert_eq!(scene.current(VIDEO_OUT), Some(2));
    assert_eq!(
        scene.events(),
        [
            targeted(VIDEO_OUT, 0),
            targeted(VIDEO_OUT, 1),
            targeted(VIDEO_OUT, 2)
        ],
        "up by one size at a time"
    );
    let wanted = scene.wanted.load(Ordering::Relaxed);
    assert!((1_700_000..1_850_000).contains(&wanted), "{wanted}");
    let stats = scene.rig.router.transport_stats(SUBSCRIBER).unwrap();
    assert_eq!(stats.allocated_bitrate, wanted);
}

#[test]
fn a_line_too_small_for_all_pauses_the_last_and_feeds_it_again_from_a_keyframe() {
    let mut scene = Scene::simulcast();
    scene.publish(OTHER, &SECOND, &MODEL);
    scene.rig.consume_video(OTHER_OUT, Some(OTHER));
    scene.line(2_500);
    scene.seconds(3);
    scene
        .rig
        .router
        .set_priority(OTHER_OUT, 1, scene.rig.now)
        .unwrap();
    scene.line(250);
    scene.pictures(5);
    let starved = RouterEvent::ConsumerStarved {
        consumer: VIDEO_OUT,
    };
    assert!(scene.events().contains(&starved));
    assert_eq!(scene.stats(VIDEO_OUT).paused, Some(PauseReason::Bandwidth));
    assert_eq!(scene.stats(OTHER_OUT).paused, None);
    let before = scene.stats(VIDEO_OUT).outbound.packets_sent;
    scene.seconds(3);
    assert_eq!(scene.stats(VIDEO_OUT).outbound.packets_sent, before);
    scene.rig.media();
    scene.line(420);
    scene.pictures(10);
    let (told, events): (Vec<_>, Vec<_>) = scene
        .events()
        .into_iter()
        .partition(|event| matches!(event, RouterEvent::EncodingsWanted { .. }));
    assert_eq!(
        events,
        [
            RouterEvent::ConsumerFed {
                consumer: VIDEO_OUT
            },
            targeted(VIDEO_OUT, 0),
        ]
    );
    // The other track's best encoding has been wanted by nobody for five seconds; its second one, which was
    // left when the line fell, for less.
    let unwanted = RouterEvent::EncodingsWanted {
        producer: OTHER,
        wanted: vec![Some(7), Some(7), None],
    };
    assert_eq!(told, [unwanted]);
    let ssrc = scene.rig.router.consumer_dump(VIDEO_OUT).unwrap().ssrc;
    let media = scene.rig.media();
    let first = media.iter().find(|out| out.rtp().ssrc() == ssrc).unwrap();
    assert_eq!(first.rtp().payload()[1] & 1, 0, "a VP8 keyframe");
    assert_eq!(scene.stats(VIDEO_OUT).paused, None);
}

#[test]
fn a_pause_by_command_ends_a_pause_by_bandwidth() {
    let mut scene = Scene::simulcast();
    scene.rig.audio();
    scene.audio = Some(0);
    scene.line(50);
    scene.seconds(2);
    assert!(scene.events().contains(&RouterEvent::ConsumerStarved {
        consumer: VIDEO_OUT
    }));
    scene
        .rig
        .router
        .pause_consumer(VIDEO_OUT, scene.rig.now)
        .unwrap();
    scene.pictures(1);
    assert_eq!(
        scene.events(),
        [RouterEvent::ConsumerFed {
            consumer: VIDEO_OUT
        }]
    );
    assert_eq!(scene.stats(VIDEO_OUT).paused, Some(PauseReason::Command));
    scene.line(2_500);
    scene
        .rig
        .router
        .resume_consumer(VIDEO_OUT, scene.rig.now)
        .unwrap();
    scene.pictures(3);
    assert_eq!(scene.current(VIDEO_OUT), Some(2));
}

#[test]
fn a_track_that_is_all_there_is_is_never_paused() {
    let mut scene = Scene::simulcast();
    scene.line(50);
    scene.seconds(2);
    assert_eq!(
        scene.stats(VIDEO_OUT).paused,
        None,
        "nothing else would tell of a better line"
    );
    assert_eq!(scene.current(VIDEO_OUT), Some(0));
}

#[test]
fn what_a_line_did_not_carry_is_left_for_the_layer_that_it_does() {
    let mut scene = Scene::with(RouterConfig::default(), true);
    scene.publish(VIDEO, &FIRST, &MODEL);
    let described = scene.rig.consume_video(VIDEO_OUT, Some(VIDEO));
    scene.line(2_500);
    scene.seconds(2);
    assert_eq!(scene.current(VIDEO_OUT), Some(2));
    scene.rig.media();
    // The top goes on at a third of its rate until the keyframe below is there.
    scene.line(600);
    scene.pictures(2);
    let sent = scene.rig.media();
    let last = sent.iter().rfind(|out| out.rtp().ssrc() == described.ssrc);
    let last = last.unwrap().rtp().sequence();
    scene.pictures(10);
    assert_eq!(scene.current(VIDEO_OUT), Some(1));
    let mut stamps: Vec<_> = scene
        .rig
        .media()
        .iter()
        .map(|out| out.rtp().timestamp())
        .collect();
    stamps.dedup();
    let gaps = stamps.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
    assert!(
        gaps.max().unwrap() <= 4 * 3_000,
        "no more than a few pictures are missed: {stamps:?}"
    );
    // Nor is any of it sent again.
    let before = scene.stats(VIDEO_OUT).outbound;
    let mut nack = vec![0x81, 205, 0, 3, 0, 0, 0, 9];
    nack.extend(described.ssrc.to_be_bytes());
    nack.extend(last.to_be_bytes());
    nack.extend([0, 0]);
    scene.rig.rtcp(SUBSCRIBER, &nack);
    let after = scene.stats(VIDEO_OUT).outbound;
    assert_eq!(after.nack_suppressed, before.nack_suppressed + 1);
    assert_eq!(
        after.retransmitted_packets_sent,
        before.retransmitted_packets_sent
    );
}

#[test]
fn audio_is_reserved_and_never_paused() {
    let mut scene = Scene::simulcast();
    scene.rig.audio();
    scene.audio = Some(0);
    scene.line(20);
    scene.seconds(3);
    assert_eq!(scene.stats(VIDEO_OUT).paused, Some(PauseReason::Bandwidth));
    let sent = scene.stats(AUDIO_OUT).outbound.packets_sent;
    assert!(sent > 80, "{sent}");
}

#[test]
fn until_something_is_heard_the_preferred_layers_flow_but_not_for_long() {
    let mut scene = Scene::simulcast();
    scene.pictures(20);
    assert_eq!(scene.current(VIDEO_OUT), Some(2));
    assert_eq!(scene.events(), []);
    scene.seconds(1);
    assert_eq!(
        scene.current(VIDEO_OUT),
        Some(0),
        "a peer that says nothing"
    );
    scene.line(2_500);
    scene.pictures(5);
    assert_eq!(scene.current(VIDEO_OUT), Some(2), "it has spoken");
}

#[test]
fn a_peer_that_agreed_to_no_feedback_begins_with_the_cheapest() {
    let mut scene = Scene::new();
    scene.publish(VIDEO, &FIRST, &MODEL);
    let params = ConsumerParams {
        feedback: FeedbackKinds::default(),
        ..out_params(Some(VIDEO))
    };
    let now = scene.rig.now;
    let router = &mut scene.rig.router;
    router.consume(SUBSCRIBER, VIDEO_OUT, params, now).unwrap();
    scene.pictures(3);
    assert_eq!(scene.current(VIDEO_OUT), Some(0));
    assert_eq!(scene.requests, [FIRST[0]], "nothing else is asked for");
}

#[test]
fn an_unlimited_transport_is_given_everything() {
    let mut scene = Scene::new();
    let far = TransportId(3);
    let params = TransportParams {
        unlimited: true,
        ..TransportParams::default()
    };
    scene
        .rig
        .router
        .open_transport(far, params, scene.rig.now)
        .unwrap();
    scene
        .rig
        .router
        .set_writable(far, true, scene.rig.now)
        .unwrap();
    scene.publish(VIDEO, &FIRST, &MODEL);
    let params = out_params(Some(VIDEO));
    scene
        .rig
        .router
        .consume(far, VIDEO_OUT, params, scene.rig.now)
        .unwrap();
    scene.seconds(4);
    assert_eq!(scene.current(VIDEO_OUT), Some(2));
    assert_eq!(scene.events(), []);
    // But no more than is asked for.
    let limits = ConsumerLimits {
        max_width: Some(640),
        max_height: Some(360),
        ..ConsumerLimits::default()
    };
    scene
        .rig
        .router
        .set_limits(VIDEO_OUT, limits, scene.rig.now)
        .unwrap();
    scene.pictures(5);
    assert_eq!(scene.current(VIDEO_OUT), Some(1));
    assert_eq!(scene.events(), [targeted(VIDEO_OUT, 1)]);
    let none = ConsumerLimits::default();
    scene
        .rig
        .router
        .set_limits(VIDEO_OUT, none, scene.rig.now)
        .unwrap();
    scene.pictures(20);
    assert_eq!(scene.current(VIDEO_OUT), Some(2));
}

#[test]
fn a_viewer_who_comes_to_a_known_line_begins_with_what_fits_it() {
    let mut scene = Scene::simulcast();
    scene.publish(OTHER, &SECOND, &MODEL);
    scene.line(900);
    scene.seconds(3);
    scene.requests.clear();
    scene.rig.consume_video(OTHER_OUT, Some(OTHER));
    scene.pictures(6);
    assert_eq!(scene.current(OTHER_OUT), Some(0));
    assert_eq!(scene.requests, [SECOND[0]], "of nothing else");
}

#[test]
fn the_speaker_comes_first() {
    let mut scene = Scene::simulcast();
    // Another peer, with a track of its own and a voice.
    let speaker = TransportId(4);
    scene.rig.open(speaker);
    let mut params = video_params(&SECOND.map(Some));
    params.mid = Some("5".into());
    let now = scene.rig.now;
    let router = &mut scene.rig.router;
    router.produce(speaker, OTHER, params, now).unwrap();
    router.produce(speaker, AUDIO, audio_params(), now).unwrap();
    scene.rig.consume_video(OTHER_OUT, Some(OTHER));
    let mut sequences = [1_u16; 3];
    scene.line(2_300);
    let mut speak = |scene: &mut Scene, pictures: usize, level: u8| {
        for picture in 0..pictures {
            for at in 0..3 {
                let count = (MODEL[at] as usize * 1_000 / 8 / 30).div_ceil(1_100);
                for part in 0..count {
                    let len = MODEL[at] as usize * 1_000 / 8 / 30 / count;
                    let key = picture % 30 == 0;
                    let (first, last) = (part == 0, part + 1 == count);
                    let timestamp = scene.frames * 3_000;
                    let mut packet = vp8(sequences[at], timestamp, first, key, last, len);
                    packet.ssrc = SECOND[at];
                    sequences[at] += 1;
                    let now = scene.rig.now;
                    let router = &mut scene.rig.router;
                    router.handle_rtp(speaker, &packet.bytes(), now).unwrap();
                }
            }
            let packet = opus(scene.frames as u16, scene.frames * 1_600, level);
            let now = scene.rig.now;
            scene
                .rig
                .router
                .handle_rtp(speaker, &packet.bytes(), now)
                .unwrap();
            scene.picture();
        }
    };
    speak(&mut scene, 120, 127);
    let shares = [scene.current(VIDEO_OUT), scene.current(OTHER_OUT)];
    assert_eq!(shares, [Some(1), Some(1)], "equals");
    speak(&mut scene, 120, 20);
    let shares = [scene.current(VIDEO_OUT), scene.current(OTHER_OUT)];
    assert_eq!(shares, [Some(0), Some(2)], "the speaker before the other");
}

#[test]
fn a_swinging_estimate_changes_layers_at_most_once() {
    let mut scene = Scene::simulcast();
    scene.line(1_800);
    scene.seconds(3);
    scene.events();
    for turn in 0..60 {
        // The top costs about 1,780.
        scene.line(if turn % 2 == 0 { 1_870 } else { 1_690 });
        scene.pictures(10);
    }
    let targeted = |event: &&RouterEvent| matches!(event, RouterEvent::LayersTargeted { .. });
    let changes = scene.events().iter().filter(targeted).count();
    assert!(changes <= 1, "{changes}");
}

#[test]
fn it_is_not_done_by_the_packet() {
    let mut scene = Scene::simulcast();
    scene.line(900);
    scene.seconds(3);
    let count = |scene: &Scene| {
        let stats = scene.rig.router.transport_stats(SUBSCRIBER).unwrap();
        stats.allocations
    };
    let before = count(&scene);
    for turn in 0..100 {
        scene.line(900 + turn % 7);
        scene.pictures(3);
    }
    let runs = count(&scene) - before;
    assert!(runs <= 12, "{runs} in ten seconds");
}

#[test]
fn the_publisher_hears_what_nobody_wants_after_a_while_and_what_somebody_wants_at_once() {
    let mut scene = Scene::simulcast();
    scene.line(5_000);
    scene.seconds(3);
    scene.events();
    let wanted = |scene: &mut Scene| -> Vec<Vec<Option<u8>>> {
        let wanted = |event| match event {
            RouterEvent::EncodingsWanted { wanted, .. } => Some(wanted),
            _ => None,
        };
        scene.events().into_iter().filter_map(wanted).collect()
    };
    let now = scene.rig.now;
    scene
        .rig
        .router
        .set_preferred_layers(VIDEO_OUT, Some(1), None, now)
        .unwrap();
    scene.seconds(4);
    assert!(wanted(&mut scene).is_empty(), "somebody may want it again");
    scene.seconds(3);
    assert_eq!(wanted(&mut scene), [vec![Some(7), Some(7), None]]);
    // The publisher stops it.
    scene.encodings[2].on = false;
    scene.seconds(10);
    assert_eq!(scene.current(VIDEO_OUT), Some(1));
    let now = scene.rig.now;
    scene
        .rig
        .router
        .set_preferred_layers(VIDEO_OUT, None, None, now)
        .unwrap();
    scene.picture();
    assert_eq!(wanted(&mut scene), [vec![Some(7), Some(7), Some(7)]]);
    scene.encodings[2].on = true;
    scene.encodings[2].key = true;
    scene.pictures(5);
    assert_eq!(scene.current(VIDEO_OUT), Some(2));
    let now = scene.rig.now;
    scene.rig.router.close_consumer(VIDEO_OUT, now).unwrap();
    scene.seconds(8);
    assert_eq!(
        wanted(&mut scene),
        [vec![None, None, None]],
        "nobody is there"
    );
}

#[test]
fn an_encoding_that_does_not_come_is_not_counted_on() {
    let mut scene = Scene::simulcast();
    scene.encodings[2].on = false;
    scene.line(5_000);
    scene.seconds(8);
    assert_eq!(scene.current(VIDEO_OUT), Some(1));
    let stats = scene.rig.router.transport_stats(SUBSCRIBER).unwrap();
    assert!(stats.allocated_bitrate < 600_000, "{stats:?}");
    assert_eq!(stats.allocated_bitrate, stats.wanted_bitrate);
}

#[test]
fn limits_and_priorities_are_refused_for_pipes() {
    let mut scene = Scene::new();
    scene.publish(VIDEO, &FIRST, &MODEL);
    let params = ConsumerParams {
        verbatim: true,
        ..out_params(Some(VIDEO))
    };
    let now = scene.rig.now;
    let router = &mut scene.rig.router;
    router.consume(SUBSCRIBER, VIDEO_OUT, params, now).unwrap();
    let limits = ConsumerLimits::default();
    assert_eq!(
        router.set_limits(VIDEO_OUT, limits, now),
        Err(SfuError::Verbatim)
    );
    assert_eq!(
        router.set_priority(VIDEO_OUT, 1, now),
        Err(SfuError::Verbatim)
    );
    scene.line(100);
    scene.seconds(2);
    let sent = scene.stats(VIDEO_OUT).outbound.packets_sent;
    assert!(sent > 300, "all layers, whatever the line: {sent}");
}

#[test]
fn a_pipe_carries_what_somebody_wants_at_its_far_end() {
    let mut scene = Scene::new();
    scene.publish(VIDEO, &FIRST, &MODEL);
    let params = ConsumerParams {
        verbatim: true,
        ..out_params(Some(VIDEO))
    };
    let now = scene.rig.now;
    let router = &mut scene.rig.router;
    let described = router.consume(SUBSCRIBER, VIDEO_OUT, params, now).unwrap();
    scene.seconds(1);
    let lowest = [Some(7), None, None];
    let now = scene.rig.now;
    scene
        .rig
        .router
        .set_wanted_encodings(VIDEO_OUT, &lowest, now)
        .unwrap();
    scene.rig.media();
    scene.seconds(7);
    let media = scene.rig.media();
    assert!(
        media
            .iter()
            .all(|out| out.rtp().ssrc() == described.encodings[0].ssrc)
    );
    assert!(media.len() > 200);
    let told = RouterEvent::EncodingsWanted {
        producer: VIDEO,
        wanted: lowest.to_vec(),
    };
    assert_eq!(scene.events(), [told]);
    scene.requests.clear();
    let now = scene.rig.now;
    let all = [Some(7); 3];
    scene
        .rig
        .router
        .set_wanted_encodings(VIDEO_OUT, &all, now)
        .unwrap();
    scene.pictures(3);
    assert_eq!(scene.requests, [FIRST[1], FIRST[2]]);
    let media = scene.rig.media();
    assert!(
        media
            .iter()
            .any(|out| out.rtp().ssrc() == described.encodings[2].ssrc)
    );
    assert_eq!(scene.events().len(), 1, "told at once");
}

#[test]
fn a_peer_that_only_listens_is_left_alone_by_the_clock() {
    let mut rig = support::Rig::new();
    let ssrc = rig.audio().ssrc;
    for second in 0..10_u16 {
        for n in 0..50 {
            let at = second * 50 + n;
            rig.rtp(&opus(at, u32::from(at) * 960, 20).bytes()).unwrap();
            rig.pass_ms(20);
        }
        // A receiver report that all is well makes the simple estimator speak.
        let mut report = vec![0x81, 201, 0, 7, 0, 0, 0, 9];
        report.extend(ssrc.to_be_bytes());
        report.extend([0; 20]);
        rig.rtcp(SUBSCRIBER, &report);
    }
    let stats = rig.router.transport_stats(SUBSCRIBER).unwrap();
    assert!(stats.allocations < 30, "{}", stats.allocations);
}
