//! Which stream a packet is of (RFC 8843 section 9.2), and SSRCs used twice (RFC 3550 section 8.2).
#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use roomtone_rtp::rtcp::{CompoundWriter, Entries, ReceiverReport, RtcpPacket, parse_compound};
use roomtone_sfu::*;
use support::*;

const OTHER: ProducerId = ProducerId(12);
const OTHER_OUT: ConsumerId = ConsumerId(22);
const SECOND_MS: u64 = 1_000;

/// Two video sections with the same payload types, neither of which names its SSRCs.
fn bundle() -> Rig {
    let mut rig = Rig::new();
    for (id, out, mid) in [(VIDEO, VIDEO_OUT, "a"), (OTHER, OTHER_OUT, "b")] {
        let mut params = video_params(&[None]);
        params.mid = Some(mid.into());
        rig.router.produce(PUBLISHER, id, params, rig.now).unwrap();
        rig.consume_video(out, Some(id));
    }
    rig
}

/// A packet that names its section.
fn of(mid: &str, ssrc: u32, packet: Packet) -> Vec<u8> {
    let extensions = vec![(1, mid.as_bytes().to_vec())];
    Packet {
        ssrc,
        extensions,
        ..packet
    }
    .bytes()
}

/// A packet that names nothing.
fn plain(ssrc: u32, packet: Packet) -> Vec<u8> {
    Packet { ssrc, ..packet }.bytes()
}

/// The SSRCs that packets of a producer came with, in the order of its encodings.
fn ssrcs(rig: &Rig, id: ProducerId) -> Vec<Option<u32>> {
    let streams = rig.router.producer_stats(id).unwrap().streams;
    streams.iter().map(|stream| stream.ssrc).collect()
}

fn received(rig: &Rig, id: ProducerId) -> u64 {
    rig.router.producer_stats(id).unwrap().streams[0].packets_received
}

fn stats(rig: &Rig) -> TransportStats {
    rig.router.transport_stats(PUBLISHER).unwrap()
}

/// The SSRCs our reports come with, and those said goodbye to.
fn reported(rig: &mut Rig) -> (Vec<u32>, Vec<u32>) {
    let (mut senders, mut goodbyes) = (vec![], vec![]);
    for data in rig.control(PUBLISHER) {
        for packet in parse_compound(&data) {
            match packet.unwrap() {
                RtcpPacket::ReceiverReport(report) => senders.push(report.ssrc),
                RtcpPacket::Goodbye(goodbye) => goodbyes.extend(goodbye.ssrcs),
                _ => {}
            }
        }
    }
    (senders, goodbyes)
}

/// The SSRC of our feedback.
fn feedback_ssrc(rig: &mut Rig) -> u32 {
    rig.pass_ms(2 * SECOND_MS);
    *reported(rig).0.last().unwrap()
}

fn receiver_report(ssrc: u32) -> Vec<u8> {
    let mut out = [0; 64];
    let mut writer = CompoundWriter::new(&mut out);
    let (reports, extension) = (Entries::empty(), &[][..]);
    let report = ReceiverReport {
        ssrc,
        reports,
        extension,
    };
    writer.push(&report).unwrap();
    let len = writer.finish();
    out[..len].to_vec()
}

#[test]
fn the_mid_decides_and_is_learnt_for_packets_without_it() {
    let mut rig = bundle();
    let ambiguous = rig.rtp(&plain(7, key(1, 0)));
    assert_eq!(ambiguous, Err(RtpDrop::UnknownStream), "96 is in both");
    rig.rtp(&of("b", 7, key(1, 0))).unwrap();
    rig.rtp(&plain(7, delta(2, 3_000))).unwrap();
    assert_eq!((received(&rig, VIDEO), received(&rig, OTHER)), (0, 2));
    assert_eq!(rig.media().len(), 2);
    let unknown = rig.rtp(&of("x", 7, delta(3, 6_000)));
    assert_eq!(unknown, Err(RtpDrop::UnknownStream), "though 7 is known");
    assert_eq!(stats(&rig).rtp_unknown, 2);
}

#[test]
fn a_payload_type_of_one_section_only_routes_who_names_nothing_else() {
    let mut rig = Rig::video();
    let mut silent = audio_params();
    silent.encodings = vec![EncodingParams::default()];
    let now = rig.now;
    rig.router.produce(PUBLISHER, AUDIO, silent, now).unwrap();
    let mut sound = opus(1, 0, 30);
    sound.extensions.clear();
    rig.rtp(&plain(8, sound)).unwrap();
    assert_eq!(ssrcs(&rig, AUDIO), [Some(8)]);
    // A known SSRC is no way around what was negotiated.
    let foreign = rig.rtp(&plain(8, key(2, 0)));
    assert_eq!(foreign, Err(RtpDrop::PayloadType));
    assert_eq!(stats(&rig).rtp_payload_type, 1);
}

#[test]
fn declared_ssrcs_tell_encodings_apart_without_rids() {
    let mut rig = Rig::new();
    rig.produce_video(VIDEO, &[Some(1_000), Some(2_000)]);
    for ssrc in [2_000, 1_000] {
        let packet = Packet { ssrc, ..key(1, 0) };
        rig.rtp(&packet.bytes()).unwrap();
    }
    let lost = Packet {
        ssrc: 2_000,
        ..delta(2, 0)
    };
    rig.rtp(&rtx(&lost, 1).bytes()).unwrap();
    let streams = rig.router.producer_stats(VIDEO).unwrap().streams;
    let counts: Vec<_> = streams
        .iter()
        .map(|stream| {
            let repaired = stream.retransmitted_packets_received;
            (stream.packets_received - repaired, repaired)
        })
        .collect();
    assert_eq!(counts, [(1, 0), (1, 1)]);
}

#[test]
fn a_closed_producer_takes_its_ssrcs_along_and_frees_its_payload_types() {
    let mut rig = bundle();
    rig.rtp(&of("a", 7, key(1, 0))).unwrap();
    rig.router.close_producer(VIDEO, rig.now).unwrap();
    assert_eq!(rig.router.transport_dump(PUBLISHER).unwrap().routes, 0);
    rig.rtp(&plain(7, key(1, 0))).unwrap();
    assert_eq!(received(&rig, OTHER), 1, "96 is in one section now");
}

#[test]
fn invented_ssrcs_do_not_grow_the_table() {
    let mut rig = bundle();
    for ssrc in 1..200 {
        let _ = rig.rtp(&of("a", ssrc, key(ssrc as u16, 0)));
        let _ = rig.rtp(&plain(ssrc << 16, key(ssrc as u16, 0)));
        rig.pass_ms(700);
        assert!(rig.router.transport_dump(PUBLISHER).unwrap().routes <= 2);
    }
    assert!(received(&rig, VIDEO) > 50, "some were followed");
}

#[test]
fn the_first_of_two_streams_keeps_an_ssrc_that_both_send_with() {
    let mut rig = bundle();
    rig.rtp(&of("a", 7, key(1, 0))).unwrap();
    for n in 0..30_u16 {
        rig.pass_ms(20);
        let second = rig.rtp(&of("b", 7, key(40_000 + n, 9)));
        assert_eq!(second, Err(RtpDrop::SsrcInUse));
        let timestamp = u32::from(n + 1) * 1_800;
        rig.rtp(&of("a", 7, delta(2 + n, timestamp))).unwrap();
    }
    assert_eq!((received(&rig, VIDEO), received(&rig, OTHER)), (31, 0));
    assert_eq!(stats(&rig).ssrc_in_use, 30);
    let media = rig.media();
    let first = media[0].rtp().sequence();
    let numbers: Vec<_> = media
        .iter()
        .map(|out| out.rtp().sequence().wrapping_sub(first))
        .collect();
    assert_eq!(numbers, (0..31).collect::<Vec<_>>());
}

#[test]
fn a_stream_that_has_moved_to_another_section_is_followed() {
    let mut rig = bundle();
    rig.rtp(&of("a", 7, key(1, 0))).unwrap();
    rig.pass_ms(SECOND_MS);
    rig.rtp(&of("b", 7, key(2, 0))).unwrap();
    rig.rtp(&plain(7, delta(3, 3_000))).unwrap();
    assert_eq!((received(&rig, VIDEO), received(&rig, OTHER)), (1, 2));
    assert_eq!(
        rig.rtp(&of("a", 7, delta(1, 0))),
        Err(RtpDrop::SsrcInUse),
        "a late packet does not move it back"
    );
    assert_eq!(
        (ssrcs(&rig, VIDEO), ssrcs(&rig, OTHER)),
        (vec![None], vec![Some(7)])
    );
    assert_eq!(stats(&rig).ssrc_in_use, 1);
}

/// A rig whose publisher also listens, and what it is sent.
fn both_ways() -> (Rig, ConsumerDescription) {
    let mut rig = Rig::video();
    let params = out_params(Some(VIDEO));
    let described = rig
        .router
        .consume(PUBLISHER, OTHER_OUT, params, rig.now)
        .unwrap();
    rig.rtp(&key(1, 0).bytes()).unwrap();
    rig.media();
    (rig, described)
}

#[test]
fn packets_with_an_ssrc_of_ours_are_refused_and_counted() {
    let (mut rig, ours) = both_ways();
    for ssrc in [ours.ssrc, ours.rtx_ssrc.unwrap()] {
        let back = rig.rtp(&of("0", ssrc, key(2, 0)));
        assert_eq!(back, Err(RtpDrop::SsrcInUse));
    }
    assert_eq!((stats(&rig).ssrc_in_use, received(&rig, VIDEO)), (2, 1));
    // RTCP that comes back is no word of the peer's either.
    let now = rig.now;
    let report = receiver_report(ours.ssrc);
    let back = rig.router.handle_rtcp(PUBLISHER, &report, now);
    assert_eq!(back, Err(RtcpDrop::SsrcInUse));
    assert_eq!(stats(&rig).ssrc_in_use, 3);
    rig.rtp(&delta(2, 3_000).bytes()).unwrap();
    let media = rig.media();
    let to_the_peer = media.iter().find(|out| out.transport == PUBLISHER);
    assert_eq!(to_the_peer.unwrap().rtp().ssrc(), ours.ssrc);
}

#[test]
fn ssrcs_of_ours_are_none_that_the_peer_has_named() {
    let (_, drawn) = both_ways();
    let mut rig = Rig::new();
    rig.produce_video(VIDEO, &[Some(drawn.ssrc)]);
    let params = out_params(Some(VIDEO));
    let described = rig
        .router
        .consume(PUBLISHER, OTHER_OUT, params.clone(), rig.now)
        .unwrap();
    let theirs = [drawn.ssrc, drawn.ssrc + 1];
    assert!(!theirs.contains(&described.ssrc), "{described:?}");
    let wished = ConsumerParams {
        ssrc: Some(drawn.ssrc),
        ..params
    };
    let refused = rig
        .router
        .consume(PUBLISHER, ConsumerId(23), wished, rig.now);
    assert_eq!(refused, Err(SfuError::DuplicateSsrc(drawn.ssrc)));
    assert_eq!(stats(&rig).ssrc_collisions, 1);
}

#[test]
fn a_stream_announced_with_an_ssrc_of_ours_is_refused_and_counted() {
    let (mut rig, ours) = both_ways();
    for ssrc in [ours.ssrc, ours.rtx_ssrc.unwrap()] {
        let params = video_params(&[Some(ssrc)]);
        let refused = rig.router.produce(PUBLISHER, OTHER, params, rig.now);
        assert_eq!(refused, Err(SfuError::DuplicateSsrc(ssrc)));
    }
    assert_eq!(stats(&rig).ssrc_collisions, 2);
    rig.produce_video(OTHER, &[Some(9_000)]);
}

#[test]
fn our_feedback_moves_away_from_an_ssrc_that_the_peer_sends_with() {
    let mut rig = bundle();
    let old = feedback_ssrc(&mut rig);
    rig.rtp(&of("a", old, key(1, 0))).unwrap();
    assert_eq!(
        (ssrcs(&rig, VIDEO), stats(&rig).ssrc_collisions),
        (vec![Some(old)], 1)
    );
    rig.pass_ms(2 * SECOND_MS);
    let (senders, goodbyes) = reported(&mut rig);
    let new = *senders.last().unwrap();
    assert!(
        goodbyes.contains(&old) && new != old,
        "{goodbyes:?} {senders:?}"
    );
    // What has the new one so soon has only seen ours: it is our own, come back.
    assert_eq!(rig.rtp(&of("b", new, key(1, 0))), Err(RtpDrop::SsrcInUse));
    assert_eq!(
        (stats(&rig).ssrc_in_use, stats(&rig).ssrc_collisions),
        (1, 1)
    );
    rig.pass_ms(11 * SECOND_MS);
    rig.rtp(&of("b", new, key(1, 0))).unwrap();
    assert_eq!(
        (ssrcs(&rig, OTHER), stats(&rig).ssrc_collisions),
        (vec![Some(new)], 2)
    );
}

#[test]
fn our_feedback_moves_away_from_what_is_announced_and_from_the_peers_reports() {
    let mut rig = bundle();
    let old = feedback_ssrc(&mut rig);
    rig.produce_video(ProducerId(13), &[Some(old)]);
    rig.drain();
    assert!(reported(&mut rig).1.contains(&old));
    let second = feedback_ssrc(&mut rig);
    rig.rtcp(PUBLISHER, &receiver_report(second));
    assert!(reported(&mut rig).1.contains(&second));
    let third = feedback_ssrc(&mut rig);
    let now = rig.now;
    let back = rig
        .router
        .handle_rtcp(PUBLISHER, &receiver_report(third), now);
    assert_eq!(back, Err(RtcpDrop::SsrcInUse));
    assert_eq!(
        (stats(&rig).ssrc_in_use, stats(&rig).ssrc_collisions),
        (1, 2)
    );
    assert!(old != second && second != third);
}

#[test]
fn a_peer_that_is_known_to_reflect_is_heard_but_its_reports_are_not() {
    let mut rig = Rig::new();
    let (echo, now) = (TransportId(3), rig.now);
    let params = TransportParams {
        reflections: true,
        ..TransportParams::default()
    };
    rig.router.open_transport(echo, params, now).unwrap();
    rig.router.set_writable(echo, true, now).unwrap();
    rig.produce_video(VIDEO, &[Some(1_000)]);
    let params = out_params(Some(VIDEO));
    rig.router.consume(echo, VIDEO_OUT, params, now).unwrap();
    let mut params = video_params(&[None]);
    params.codecs[0].payload_type = OUT_VP8;
    rig.router.produce(echo, OTHER, params, now).unwrap();
    for n in 1..4 {
        rig.rtp(&key(n, 0).bytes()).unwrap();
    }
    rig.pass_ms(2 * SECOND_MS);
    let sent = std::mem::take(&mut rig.sent);
    let mut reports = 0;
    for out in sent.iter().filter(|out| out.transport == echo) {
        if out.rtcp {
            reports += 1;
            let back = rig.router.handle_rtcp(echo, &out.bytes, rig.now);
            assert_eq!(back, Err(RtcpDrop::SsrcInUse));
        } else {
            rig.router.handle_rtp(echo, &out.bytes, rig.now).unwrap();
        }
    }
    let stats = rig.router.transport_stats(echo).unwrap();
    assert_eq!((received(&rig, OTHER), stats.ssrc_collisions), (3, 1));
    assert!(reports > 0 && stats.ssrc_in_use == reports);
}
