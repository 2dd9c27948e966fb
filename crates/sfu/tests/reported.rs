//! Viewers that have only receiver reports to tell of their lines, in virtual time.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

#[path = "support/allotted.rs"]
mod allotted;
mod support;

use allotted::*;
use roomtone_sfu::*;
use support::*;

#[test]
fn a_viewer_without_any_estimate_of_its_own_keeps_one_track() {
    // Receiver reports only: nothing else would tell when the line is better.
    let mut scene = Scene::new();
    let estimator = Box::new(ReceiverReportEstimator::new(50_000));
    let now = scene.rig.now;
    scene
        .rig
        .router
        .set_estimator(SUBSCRIBER, estimator, now)
        .unwrap();
    scene.publish(VIDEO, &FIRST, &MODEL);
    let params = ConsumerParams {
        feedback: FeedbackKinds::default(),
        ..out_params(Some(VIDEO))
    };
    let now = scene.rig.now;
    let router = &mut scene.rig.router;
    let described = router.consume(SUBSCRIBER, VIDEO_OUT, params, now).unwrap();
    for _ in 0..3 {
        scene.seconds(1);
        scene.rig.rtcp(SUBSCRIBER, &report(described.ssrc, 0));
    }
    assert_eq!(scene.current(VIDEO_OUT), Some(0));
    assert_eq!(scene.stats(VIDEO_OUT).paused, None);
}

/// A report about one stream, with this share of 256 lost.
fn report(ssrc: u32, lost: u8) -> Vec<u8> {
    let mut report = vec![0x81, 201, 0, 7, 0, 0, 0, 9];
    report.extend(ssrc.to_be_bytes());
    report.push(lost);
    report.extend([0; 19]);
    report
}

/// A viewer that has only reports to tell of its line, of a track of 1.7 Mbit/s with sound.
fn reporting(feedback: FeedbackKinds) -> (Scene, u32) {
    let mut scene = Scene::new();
    let estimator = Box::new(ReceiverReportEstimator::new(1_000_000));
    let now = scene.rig.now;
    let router = &mut scene.rig.router;
    router.set_estimator(SUBSCRIBER, estimator, now).unwrap();
    scene.rig.audio();
    scene.audio = Some(0);
    scene.publish(VIDEO, &FIRST[..1], &MODEL[2..]);
    let params = ConsumerParams {
        feedback,
        ..out_params(Some(VIDEO))
    };
    let router = &mut scene.rig.router;
    let described = router.consume(SUBSCRIBER, VIDEO_OUT, params, now).unwrap();
    (scene, described.ssrc)
}

#[test]
fn pictures_are_not_taken_away_for_the_sake_of_a_guess() {
    let (mut scene, ssrc) = reporting(FeedbackKinds::default());
    for _ in 0..10 {
        scene.seconds(1);
        scene.rig.rtcp(SUBSCRIBER, &report(ssrc, 0));
        assert_eq!(scene.stats(VIDEO_OUT).paused, None);
    }
    let sent = scene.stats(VIDEO_OUT).outbound.packets_sent;
    assert!(sent > 1_900, "every picture: {sent}");
    for _ in 0..5 {
        scene.rig.rtcp(SUBSCRIBER, &report(ssrc, 200));
        scene.seconds(1);
    }
    let paused = scene.stats(VIDEO_OUT).paused;
    assert_eq!(paused, Some(PauseReason::Bandwidth), "now it is known");
}

#[test]
fn a_peer_whose_feedback_never_comes_is_followed_by_its_reports() {
    let mut scene = Scene {
        // Its own estimator, chosen by what was agreed.
        rig: Rig::with(RouterConfig::default()),
        ..Scene::new()
    };
    scene.publish(VIDEO, &FIRST, &MODEL);
    let described = scene.rig.consume_video(VIDEO_OUT, Some(VIDEO));
    scene.seconds(2);
    assert_eq!(scene.current(VIDEO_OUT), Some(0), "it has not spoken");
    for _ in 0..20 {
        scene.seconds(1);
        scene.rig.rtcp(SUBSCRIBER, &report(described.ssrc, 0));
    }
    assert_eq!(scene.current(VIDEO_OUT), Some(2), "all is well, it says");
    scene.rig.media();
    let bursts = bursts_of(&mut scene);
    assert!(bursts.iter().all(|packets| *packets == 7), "{bursts:?}");
}

/// How many packets leave at once, picture by picture.
fn bursts_of(scene: &mut Scene) -> Vec<usize> {
    scene.seconds(1);
    let media = scene.rig.media();
    let bursts = media.chunk_by(|one, next| one.at == next.at);
    bursts.map(<[Out]>::len).collect()
}
