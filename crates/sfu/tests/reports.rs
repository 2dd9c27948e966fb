//! RTCP reports, estimates and farewells, both ways, in virtual time.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use std::time::Duration;

use roomtone_rtp::NtpTime;
use roomtone_rtp::rtcp::{
    CompoundWriter, Entries, Goodbye, ReceiverReport, Remb, ReportBlock, RtcpPacket, RtcpWrite,
    SenderReport, parse_compound,
};
use roomtone_sfu::*;
use support::*;

fn wire(packet: &impl RtcpWrite) -> Vec<u8> {
    let mut out = [0; 1_500];
    let mut writer = CompoundWriter::new(&mut out);
    writer.push(packet).unwrap();
    let len = writer.finish();
    out[..len].to_vec()
}

fn out_ssrc(rig: &Rig) -> u32 {
    rig.router.consumer_dump(VIDEO_OUT).unwrap().ssrc
}

#[test]
fn publishers_without_transport_feedback_are_told_a_bitrate() {
    let mut rig = Rig::new();
    let mut params = video_params(&[Some(1_000)]);
    params.codecs[0].feedback.transport_cc = false;
    rig.router
        .produce(PUBLISHER, VIDEO, params, rig.now)
        .unwrap();
    rig.rtp(&key(1, 0).bytes()).unwrap();
    rig.pass_ms(3_000);
    let told = rig.control(PUBLISHER).iter().any(|data| {
        parse_compound(data).any(|packet| {
            matches!(packet, Ok(RtcpPacket::Remb(remb)) if (9_900_000..=10_000_000).contains(&remb.bitrate_bps))
        })
    });
    assert!(told);
}

#[test]
fn the_publisher_gets_reports_about_its_stream() {
    let mut rig = Rig::video();
    for n in [1_u16, 2, 4, 5] {
        let packet = if n == 1 {
            key(n, 0)
        } else {
            delta(n, u32::from(n) * 3_000)
        };
        rig.rtp(&packet.bytes()).unwrap();
    }
    let report = SenderReport {
        ssrc: 1_000,
        ntp: NtpTime(0x1234_5678_9abc_def0),
        rtp_timestamp: 15_000,
        packet_count: 5,
        octet_count: 500,
        reports: Entries::empty(),
        extension: &[],
    };
    rig.rtcp(PUBLISHER, &wire(&report));
    let at = rig.now;
    rig.pass_ms(2_000);
    let control = rig.control(PUBLISHER);
    let blocks: Vec<ReportBlock> = control
        .iter()
        .flat_map(|data| parse_compound(data))
        .filter_map(|packet| match packet.unwrap() {
            RtcpPacket::ReceiverReport(report) => Some(report.reports.iter().collect::<Vec<_>>()),
            _ => None,
        })
        .flatten()
        .collect();
    let block = blocks.first().expect("a report within two intervals");
    assert_eq!(
        (block.ssrc, block.cumulative_lost, block.last_sr),
        (1_000, 1, 0x5678_9abc)
    );
    assert_eq!(block.fraction_lost, (256_u32 / 5) as u8);
    assert_eq!(block.highest_sequence as u16, 5);
    let delay = NtpTime::compact_to_duration(block.delay_since_last_sr);
    assert!(
        delay > Duration::from_millis(400) && delay < rig.now - at,
        "{delay:?}"
    );
}

/// The sender reports a subscriber got.
fn sender_reports(rig: &mut Rig) -> Vec<(u32, NtpTime, u32)> {
    let control = rig.control(SUBSCRIBER);
    let packets = control.iter().flat_map(|data| parse_compound(data));
    packets
        .filter_map(|packet| match packet.unwrap() {
            RtcpPacket::SenderReport(report) => {
                Some((report.ssrc, report.ntp, report.rtp_timestamp))
            }
            _ => None,
        })
        .collect()
}

#[test]
fn subscribers_get_sender_reports_on_the_publishers_timeline() {
    let mut rig = Rig::video();
    rig.audio();
    // The publisher's wall clock is hours off; its video and audio share it.
    let theirs = |seconds: u64| NtpTime((1_000 + seconds) << 32);
    rig.rtp(&key(1, 90_000).bytes()).unwrap();
    rig.rtp(&opus(1, 480_000, 30).bytes()).unwrap();
    for (ssrc, rtp_timestamp) in [(1_000, 90_000), (5_000, 480_000)] {
        rig.rtcp(
            PUBLISHER,
            &wire(&SenderReport {
                ssrc,
                ntp: theirs(0),
                rtp_timestamp,
                packet_count: 1,
                octet_count: 1,
                reports: Entries::empty(),
                extension: &[],
            }),
        );
    }
    rig.pass_ms(5);
    sender_reports(&mut rig);
    rig.pass_ms(2_000);
    let reports = sender_reports(&mut rig);
    let audio = rig.router.consumer_dump(AUDIO_OUT).unwrap().ssrc;
    let video = out_ssrc(&rig);
    let media_time = |ssrc, rate: f64, start: f64| {
        let (_, ntp, rtp) = *reports
            .iter()
            .find(|(from, ..)| *from == ssrc)
            .expect("a report");
        (ntp.0 as f64 / 2_f64.powi(32)) - (f64::from(rtp) - start) / rate
    };
    // Both map the publisher's instant to one and the same instant of ours.
    let difference = media_time(video, 90_000.0, 90_000.0) - media_time(audio, 48_000.0, 480_000.0);
    assert!(difference.abs() < 0.001, "{difference}");
    // And that instant is when the report came: the start of the run.
    assert!((media_time(video, 90_000.0, 90_000.0) - 3_900_000_000.0).abs() < 0.001);
}

#[test]
fn the_first_sender_report_comes_with_the_first_packet() {
    let mut rig = Rig::video();
    rig.rtp(&key(1, 90_000).bytes()).unwrap();
    let reports = sender_reports(&mut rig);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].2, 90_000);
}

#[test]
fn reports_of_a_subscriber_give_round_trip_loss_and_score() {
    let mut rig = Rig::video();
    rig.rtp(&key(1, 90_000).bytes()).unwrap();
    let (ssrc, ntp, _) = sender_reports(&mut rig)[0];
    rig.pass_ms(80);
    let block = ReportBlock {
        ssrc,
        fraction_lost: 64,
        cumulative_lost: 3,
        highest_sequence: 1,
        jitter: 900,
        last_sr: ntp.compact(),
        delay_since_last_sr: NtpTime::duration_to_compact(Duration::from_millis(30)),
    };
    rig.rtcp(
        SUBSCRIBER,
        &wire(&ReceiverReport {
            ssrc: 5,
            reports: Entries::new(&[block]),
            extension: &[],
        }),
    );
    let stats = rig.router.consumer_stats(VIDEO_OUT).unwrap();
    let trip = stats.remote.round_trip_time.unwrap();
    assert!(
        trip.abs_diff(Duration::from_millis(50)) < Duration::from_millis(1),
        "{trip:?}"
    );
    assert!(
        (stats.remote.fraction_lost - 0.25).abs() < 1e-9
            && (stats.remote.jitter - 0.01).abs() < 1e-9
    );
    assert_eq!((stats.remote.packets_lost, stats.score), (3, 7));
    assert!(rig.events.contains(&RouterEvent::ConsumerScore {
        consumer: VIDEO_OUT,
        score: 7
    }));
}

#[test]
fn remb_of_a_subscriber_moves_the_estimate() {
    let mut rig = Rig::video();
    let ssrc = [out_ssrc(&rig)];
    let remb = |bitrate_bps| {
        wire(&Remb {
            sender_ssrc: 1,
            bitrate_bps,
            ssrcs: Entries::new(&ssrc),
        })
    };
    let estimate = |rig: &Rig| {
        let stats = rig.router.transport_stats(SUBSCRIBER).unwrap();
        stats.available_outgoing_bitrate
    };
    let before = estimate(&rig);
    rig.rtcp(SUBSCRIBER, &remb(16_384));
    assert_eq!(estimate(&rig), before, "nothing was sent yet");
    for n in 0..100 {
        rig.rtp(&key(n, u32::from(n) * 1_350).bytes()).unwrap();
        rig.pass_ms(15);
    }
    rig.rtcp(SUBSCRIBER, &remb(65_536));
    assert_eq!(estimate(&rig), 65_536);
    assert!(rig.events.contains(&RouterEvent::EstimateChanged {
        transport: SUBSCRIBER,
        bps: 65_536
    }));
}

#[test]
fn goodbyes_are_said_and_heard() {
    let mut rig = Rig::video();
    rig.rtp(&key(1, 0).bytes()).unwrap();
    rig.rtcp(
        PUBLISHER,
        &wire(&Goodbye {
            ssrcs: Entries::new(&[1_000]),
            reason: b"",
        }),
    );
    assert!(rig.events.contains(&RouterEvent::ProducerBye {
        producer: VIDEO,
        encoding: 0
    }));
    rig.control(SUBSCRIBER);
    let ssrc = out_ssrc(&rig);
    rig.router.close_consumer(VIDEO_OUT, rig.now).unwrap();
    rig.drain();
    let goodbyes = |compounds: &[Vec<u8>]| -> Vec<u32> {
        compounds
            .iter()
            .flat_map(|data| parse_compound(data))
            .filter_map(|packet| match packet.unwrap() {
                RtcpPacket::Goodbye(goodbye) => Some(goodbye.ssrcs.iter().collect::<Vec<_>>()),
                _ => None,
            })
            .flatten()
            .collect()
    };
    assert!(goodbyes(&rig.control(SUBSCRIBER)).contains(&ssrc));
    let last = rig
        .router
        .close_transport(SUBSCRIBER, rig.now)
        .unwrap()
        .unwrap();
    assert_eq!(goodbyes(&[last]).len(), 1);
}

#[test]
fn many_consumers_report_in_several_datagrams_each_below_the_limit() {
    let mut rig = Rig::new();
    rig.produce_video(VIDEO, &[Some(1_000)]);
    for n in 0..40 {
        rig.consume_video(ConsumerId(100 + n), Some(VIDEO));
    }
    rig.rtp(&key(1, 0).bytes()).unwrap();
    rig.sent.clear();
    rig.pass_ms(1_600);
    let control = rig.control(SUBSCRIBER);
    assert!(control.iter().all(|data| data.len() <= 1_200));
    let reported: std::collections::BTreeSet<_> = control
        .iter()
        .flat_map(|data| parse_compound(data))
        .filter_map(|packet| match packet.unwrap() {
            RtcpPacket::SenderReport(report) => Some(report.ssrc),
            _ => None,
        })
        .collect();
    assert_eq!(reported.len(), 40);
}

#[test]
fn reports_to_a_viewer_leave_with_packets_and_soon_without_where_there_are_none() {
    let mut rig = Rig::new();
    rig.audio();
    let times = |rig: &Rig, rtcp: bool| -> Vec<_> {
        let to_viewer = rig.sent.iter().filter(|out| out.transport == SUBSCRIBER);
        let kind = to_viewer.filter(|out| out.rtcp == rtcp);
        kind.map(|out| out.at).collect()
    };
    for n in 0..500 {
        rig.rtp(&opus(n, u32::from(n) * 960, 127).bytes()).unwrap();
        rig.pass_ms(20);
    }
    let (reports, media) = (times(&rig, true), times(&rig, false));
    assert!(reports.len() >= 6, "{} in 10 s", reports.len());
    let alone = reports.iter().filter(|at| !media.contains(at)).count();
    assert!(
        alone <= 1,
        "all but one from before anything was sent: {alone}"
    );
    rig.sent.clear();
    rig.pass_ms(10_000);
    let silent = times(&rig, true).len();
    assert!(silent >= 6, "{silent} in 10 s of silence");
}
