//! Keyframes for a mute peer, of which nothing is heard and which can ask for nothing again, leave over some time.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use std::time::Duration;

use roomtone_rtp::rtcp::{CompoundWriter, Entries, Pli, ReceiverReport, ReportBlock, RtcpWrite};
use roomtone_rtp::{ExtensionKind, MediaKind};
use roomtone_sfu::*;
use support::*;

const MUTE: FeedbackKinds = FeedbackKinds {
    nack: false,
    pli: false,
    fir: false,
    transport_cc: false,
    remb: false,
};
/// Packets of a keyframe.
const KEYFRAME: u16 = 50;

/// A viewer that agreed to this and has said nothing yet, and its SSRC of pictures.
fn viewer(feedback: FeedbackKinds) -> (Rig, u32) {
    let mut rig = Rig::with(RouterConfig::default());
    rig.produce_video(VIDEO, &[Some(1_000)]);
    let params = ConsumerParams {
        extensions: vec![(11, ExtensionKind::Mid)],
        feedback,
        ..out_params(Some(VIDEO))
    };
    let described = rig
        .router
        .consume(SUBSCRIBER, VIDEO_OUT, params, rig.now)
        .unwrap();
    rig.pass_ms(100);
    (rig, described.ssrc)
}

/// How long a keyframe takes to leave, whole; it is the publisher's `turn`th.
fn keyframe(rig: &mut Rig, turn: u16) -> Duration {
    rig.media();
    for n in 0..KEYFRAME {
        let (sequence, last) = (turn * KEYFRAME + n, n + 1 == KEYFRAME);
        let timestamp = u32::from(turn) * 90_000;
        let packet = vp8(sequence, timestamp, n == 0, true, last, 1_100);
        rig.router
            .handle_rtp(PUBLISHER, &packet.bytes(), rig.now)
            .unwrap();
    }
    rig.drain();
    rig.pass_ms(1_000);
    let media = rig.media();
    assert_eq!(media.len(), usize::from(KEYFRAME), "nothing is left out");
    media.last().unwrap().at - media[0].at
}

fn tell(rig: &mut Rig, packet: &impl RtcpWrite) {
    let mut out = [0; 500];
    let mut writer = CompoundWriter::new(&mut out);
    writer.push(packet).unwrap();
    let len = writer.finish();
    rig.rtcp(SUBSCRIBER, &out[..len]);
}

/// 50 packets of 1,164 bytes on the line, over which 200 ms were planned for 1,200.
fn is_spread(took: Duration) -> bool {
    (150..=200).contains(&took.as_millis())
}

#[test]
fn each_keyframe_is_spread_for_whom_nothing_can_be_sent_again() {
    let (mut rig, _) = viewer(MUTE);
    // Later ones too: it is not spared for two seconds only, as others are.
    for turn in 0..4 {
        let took = keyframe(&mut rig, turn);
        assert!(is_spread(took), "{turn}: {took:?}");
    }
}

#[test]
fn who_can_ask_again_is_not_kept_waiting() {
    let asks: [fn(&mut FeedbackKinds); 3] = [
        |agreed| agreed.nack = true,
        |agreed| agreed.pli = true,
        |agreed| agreed.fir = true,
    ];
    for agree in asks {
        let mut agreed = MUTE;
        agree(&mut agreed);
        let (mut rig, _) = viewer(agreed);
        assert_eq!(keyframe(&mut rig, 0), Duration::ZERO, "{agreed:?}");
    }
}

#[test]
fn the_first_report_ends_it() {
    let (mut rig, ssrc) = viewer(MUTE);
    assert!(is_spread(keyframe(&mut rig, 0)));
    let block = ReportBlock {
        ssrc,
        ..ReportBlock::default()
    };
    let report = ReceiverReport {
        ssrc: 1,
        reports: Entries::new(std::slice::from_ref(&block)),
        extension: &[],
    };
    tell(&mut rig, &report);
    assert_eq!(keyframe(&mut rig, 1), Duration::ZERO);
}

#[test]
fn the_first_request_ends_it_though_none_was_agreed_on() {
    let (mut rig, media_ssrc) = viewer(MUTE);
    assert!(is_spread(keyframe(&mut rig, 0)));
    let pli = Pli {
        sender_ssrc: 1,
        media_ssrc,
    };
    tell(&mut rig, &pli);
    assert_eq!(keyframe(&mut rig, 1), Duration::ZERO);
}

#[test]
fn a_peer_on_a_line_of_its_own_is_not_kept_waiting() {
    let mut rig = Rig::with(RouterConfig::default());
    rig.produce_video(VIDEO, &[Some(1_000)]);
    let own = TransportId(3);
    let params = TransportParams {
        unlimited: true,
        ..TransportParams::default()
    };
    rig.router.open_transport(own, params, rig.now).unwrap();
    rig.router.set_writable(own, true, rig.now).unwrap();
    let params = ConsumerParams {
        extensions: vec![],
        feedback: MUTE,
        ..out_params(Some(VIDEO))
    };
    rig.router.consume(own, VIDEO_OUT, params, rig.now).unwrap();
    rig.pass_ms(100);
    assert_eq!(keyframe(&mut rig, 0), Duration::ZERO);
}

#[test]
fn ordinary_pictures_leave_whole_once_their_rate_is_known_and_sound_waits_for_none() {
    let (mut rig, _) = viewer(MUTE);
    rig.router
        .produce(PUBLISHER, AUDIO, audio_params(), rig.now)
        .unwrap();
    let params = ConsumerParams {
        kind: MediaKind::Audio,
        mid: Some("1".into()),
        payload_types: vec![(OPUS, OUT_OPUS)],
        rtx_payload_types: vec![],
        extensions: vec![],
        feedback: MUTE,
        ..out_params(Some(AUDIO))
    };
    rig.router
        .consume(SUBSCRIBER, AUDIO_OUT, params, rig.now)
        .unwrap();
    keyframe(&mut rig, 0);
    let mut sequence = KEYFRAME;
    // 3 packets a picture, 30 pictures a second: 0.8 Mbit/s, for three seconds.
    for picture in 0..90_u16 {
        let came = rig.now;
        let sound = opus(picture, u32::from(picture) * 960, 20);
        rig.rtp(&sound.bytes()).unwrap();
        for n in 0..3 {
            let timestamp = 90_000 + u32::from(picture) * 3_000;
            let packet = vp8(sequence, timestamp, n == 0, false, n == 2, 1_100);
            rig.rtp(&packet.bytes()).unwrap();
            sequence += 1;
        }
        rig.pass_ms(33);
        let media = rig.media();
        let sounds = |out: &&Out| out.rtp().payload_type() == OUT_OPUS;
        let heard = media.iter().find(sounds).expect("it is heard").at - came;
        assert!(heard <= Duration::from_millis(6), "{heard:?}");
        if picture >= 60 {
            let pictures: Vec<_> = media.iter().filter(|out| !sounds(out)).collect();
            assert_eq!(pictures.len(), 3, "{picture}");
            let took = pictures[2].at - came;
            assert!(took <= Duration::from_millis(10), "{picture}: {took:?}");
        }
    }
}
