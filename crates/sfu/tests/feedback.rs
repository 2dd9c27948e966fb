//! RTCP both ways: requests, reports, feedback, repair, in virtual time.

#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use roomtone_rtp::rtcp::{
    CompoundWriter, Entries, Nack, NackPair, NackPairs, PacketStatus, Pli, RtcpPacket, RtcpWrite,
    parse_compound,
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

fn nack(ssrc: u32, sequences: &[u16]) -> Vec<u8> {
    let pairs: Vec<NackPair> = NackPairs::from_sorted(sequences.iter().copied()).collect();
    wire(&Nack {
        sender_ssrc: 1,
        media_ssrc: ssrc,
        pairs: Entries::new(&pairs),
    })
}

/// Sequence numbers asked for in the compounds.
fn nacked(compounds: &[Vec<u8>]) -> Vec<u16> {
    let mut asked = vec![];
    for packet in compounds.iter().flat_map(|data| parse_compound(data)) {
        if let RtcpPacket::Nack(nack) = packet.unwrap() {
            asked.extend(nack.sequences());
        }
    }
    asked
}

fn plis(compounds: &[Vec<u8>]) -> usize {
    let packets = compounds.iter().flat_map(|data| parse_compound(data));
    packets
        .filter(|packet| matches!(packet, Ok(RtcpPacket::Pli(_))))
        .count()
}

fn firs(compounds: &[Vec<u8>]) -> usize {
    let packets = compounds.iter().flat_map(|data| parse_compound(data));
    packets
        .filter(|packet| matches!(packet, Ok(RtcpPacket::Fir(_))))
        .count()
}

fn out_ssrc(rig: &Rig) -> u32 {
    rig.router.consumer_dump(VIDEO_OUT).unwrap().ssrc
}

#[test]
fn a_missing_packet_is_asked_for_and_its_retransmission_restored() {
    let mut rig = Rig::video();
    rig.control(PUBLISHER);
    rig.rtp(&key(1, 0).bytes()).unwrap();
    rig.rtp(&delta(3, 6_000).bytes()).unwrap();
    rig.pass_ms(10);
    assert_eq!(nacked(&rig.control(PUBLISHER)), [2]);
    let missing = delta(2, 3_000);
    rig.rtp(&rtx(&missing, 900).bytes()).unwrap();
    rig.pass_ms(100);
    assert_eq!(nacked(&rig.control(PUBLISHER)), Vec::<u16>::new());
    let media = rig.media();
    assert_eq!(media[2].rtp().payload(), missing.payload);
    assert_eq!(
        media[2].rtp().sequence(),
        media[0].rtp().sequence().wrapping_add(1)
    );
    assert_eq!(media[2].rtp().timestamp(), 3_000);
    let stats = &rig.router.producer_stats(VIDEO).unwrap().streams[0];
    assert_eq!(
        (stats.packets_repaired, stats.packets_lost, stats.nack_count),
        (1, 0, 1)
    );
}

#[test]
fn a_packet_that_never_comes_is_given_up() {
    let mut rig = Rig::video();
    rig.rtp(&key(1, 0).bytes()).unwrap();
    rig.rtp(&delta(3, 6_000).bytes()).unwrap();
    rig.control(PUBLISHER);
    rig.pass_ms(2_000);
    assert_eq!(nacked(&rig.control(PUBLISHER)), [2; 10]);
    let stats = &rig.router.producer_stats(VIDEO).unwrap().streams[0];
    assert_eq!((stats.packets_given_up, stats.packets_lost), (1, 1));
    rig.pass_ms(5_000);
    assert_eq!(nacked(&rig.control(PUBLISHER)), Vec::<u16>::new());
}

#[test]
fn a_subscribers_nack_is_answered_by_rtx_with_its_own_numbering() {
    let mut rig = Rig::video();
    let packets = [key(1, 0), delta(2, 3_000), delta(3, 6_000)];
    for packet in &packets {
        rig.rtp(&packet.bytes()).unwrap();
    }
    let sent = rig.media();
    let lost = [sent[1].rtp().sequence(), sent[2].rtp().sequence()];
    let ssrc = out_ssrc(&rig);
    rig.rtcp(SUBSCRIBER, &nack(ssrc, &lost));
    let again = rig.media();
    let dump = rig.router.consumer_dump(VIDEO_OUT).unwrap();
    for (n, out) in again.iter().enumerate() {
        let rtp = out.rtp();
        assert_eq!(
            (rtp.payload_type(), Some(rtp.ssrc())),
            (OUT_RTX, dump.rtx_ssrc)
        );
        assert_eq!(rtp.payload()[..2], lost[n].to_be_bytes());
        assert_eq!(rtp.payload()[2..], packets[n + 1].payload);
        assert_eq!(rtp.timestamp(), packets[n + 1].timestamp);
    }
    assert_eq!(
        again[1].rtp().sequence(),
        again[0].rtp().sequence().wrapping_add(1)
    );
    let stats = rig.router.consumer_stats(VIDEO_OUT).unwrap().outbound;
    assert_eq!(
        (stats.retransmitted_packets_sent, stats.nacked_packets),
        (2, 2)
    );
}

#[test]
fn without_rtx_a_packet_is_sent_again_as_it_was() {
    let mut rig = Rig::new();
    rig.produce_video(VIDEO, &[Some(1_000)]);
    let params = ConsumerParams {
        rtx_payload_types: vec![],
        ..out_params(Some(VIDEO))
    };
    rig.router
        .consume(SUBSCRIBER, VIDEO_OUT, params, rig.now)
        .unwrap();
    rig.rtp(&key(1, 0).bytes()).unwrap();
    let first = rig.media();
    let ssrc = out_ssrc(&rig);
    rig.rtcp(SUBSCRIBER, &nack(ssrc, &[first[0].rtp().sequence()]));
    let again = rig.media();
    assert_eq!(
        (again[0].rtp().header(), again[0].rtp().payload()),
        (first[0].rtp().header(), first[0].rtp().payload())
    );
}

#[test]
fn nacks_from_before_a_source_change_still_find_their_packets() {
    let mut rig = Rig::video();
    let old = key(1, 0);
    rig.rtp(&old.bytes()).unwrap();
    rig.produce_video(ProducerId(12), &[Some(3_000)]);
    rig.router
        .switch_source(
            VIDEO_OUT,
            Some(ProducerId(12)),
            vec![(VP8, OUT_VP8)],
            rig.now,
        )
        .unwrap();
    rig.rtp(
        &Packet {
            ssrc: 3_000,
            ..key(77, 9)
        }
        .bytes(),
    )
    .unwrap();
    let sent = rig.media();
    let ssrc = out_ssrc(&rig);
    rig.rtcp(SUBSCRIBER, &nack(ssrc, &[sent[0].rtp().sequence()]));
    assert_eq!(rig.media()[0].rtp().payload()[2..], old.payload);
    rig.router.close_producer(VIDEO, rig.now).unwrap();
    rig.pass_ms(1_000);
    rig.media();
    rig.rtcp(SUBSCRIBER, &nack(ssrc, &[sent[0].rtp().sequence()]));
    assert!(rig.media().is_empty());
    assert_eq!(
        rig.router
            .consumer_stats(VIDEO_OUT)
            .unwrap()
            .outbound
            .nack_misses,
        1
    );
}

#[test]
fn a_nack_storm_is_bounded_and_counted() {
    let mut rig = Rig::video();
    for n in 0..1_000_u16 {
        let packet = if n == 0 {
            key(0, 0)
        } else {
            delta(n, u32::from(n) * 3_000)
        };
        rig.rtp(&packet.bytes()).unwrap();
    }
    let first = rig.media()[0].rtp().sequence();
    let ssrc = out_ssrc(&rig);
    for _ in 0..100 {
        for part in 0..10_u16 {
            let sequences: Vec<_> = (0..100)
                .map(|n| first.wrapping_add(part * 100 + n))
                .collect();
            rig.rtcp(SUBSCRIBER, &nack(ssrc, &sequences));
        }
    }
    let limit = Limits::default().resends_per_second as usize;
    assert_eq!(rig.media().len(), limit);
    let stats = rig.router.consumer_stats(VIDEO_OUT).unwrap().outbound;
    assert_eq!(stats.nacked_packets, 100_000);
    assert_eq!(stats.nack_suppressed, 100_000 - limit as u64);
}

#[test]
fn keyframe_requests_are_merged_limited_and_repeated_until_answered() {
    let mut rig = Rig::video();
    assert_eq!(
        plis(&rig.control(PUBLISHER)),
        1,
        "the consumer waits for a keyframe"
    );
    for n in 0..50 {
        rig.consume_video(ConsumerId(100 + n), Some(VIDEO));
    }
    assert_eq!(
        plis(&rig.control(PUBLISHER)),
        0,
        "they wait for the same one"
    );
    rig.pass_ms(2_500);
    let again = rig.control(PUBLISHER);
    assert_eq!(
        (plis(&again), firs(&again)),
        (0, 2),
        "unanswered, once a second, and not to be overlooked"
    );
    rig.rtp(&key(1, 0).bytes()).unwrap();
    rig.pass_ms(3_000);
    assert_eq!(plis(&rig.control(PUBLISHER)), 0);
    let ssrc = out_ssrc(&rig);
    for _ in 0..100 {
        rig.rtcp(
            SUBSCRIBER,
            &wire(&Pli {
                sender_ssrc: 1,
                media_ssrc: ssrc,
            }),
        );
        rig.pass_ms(9);
    }
    assert_eq!(plis(&rig.control(PUBLISHER)), 1);
    let stats = &rig.router.producer_stats(VIDEO).unwrap().streams[0];
    assert_eq!((stats.pli_count, stats.fir_count), (2, 2));
    assert!(stats.keyframe_requests_merged >= 149, "{stats:?}");
}

#[test]
fn transport_wide_feedback_tells_arrivals_and_losses() {
    let mut rig = Rig::video();
    rig.control(PUBLISHER);
    for n in [10_u16, 11, 13, 14] {
        let mut packet = if n == 10 { key(n, 0) } else { delta(n, 3_000) };
        packet.extensions = vec![(4, n.to_be_bytes().to_vec())];
        rig.rtp(&packet.bytes()).unwrap();
        rig.pass_ms(5);
    }
    rig.pass_ms(100);
    let mut statuses = vec![];
    for data in rig.control(PUBLISHER) {
        for packet in parse_compound(&data) {
            if let RtcpPacket::TransportFeedback(feedback) = packet.unwrap() {
                statuses.extend(feedback.statuses());
            }
        }
    }
    let came: Vec<_> = statuses
        .iter()
        .map(|(n, status)| (*n, *status != PacketStatus::NotReceived))
        .collect();
    assert_eq!(
        came,
        [(10, true), (11, true), (12, false), (13, true), (14, true)]
    );
    rig.pass_ms(1_000);
    assert_eq!(
        rig.router.transport_stats(PUBLISHER).unwrap().feedback_sent,
        1,
        "no packets, no feedback"
    );
}

#[test]
fn requests_of_a_pipe_travel_back_by_its_own_ssrcs() {
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
    for ssrc in [1_000, 2_000] {
        rig.rtp(
            &Packet {
                ssrc,
                ..key(65_535, 0)
            }
            .bytes(),
        )
        .unwrap();
        rig.rtp(
            &Packet {
                ssrc,
                ..delta(0, 3_000)
            }
            .bytes(),
        )
        .unwrap();
    }
    rig.pass_ms(1_000);
    rig.control(PUBLISHER);
    rig.media();
    let high = described.encodings[1].ssrc;
    rig.rtcp(SUBSCRIBER, &nack(high, &[65_535]));
    let again = rig.media();
    assert_eq!(
        (again[0].rtp().ssrc(), again[0].rtp().sequence()),
        (high, 65_535)
    );
    rig.rtcp(
        SUBSCRIBER,
        &wire(&Pli {
            sender_ssrc: 1,
            media_ssrc: high,
        }),
    );
    let asked = rig.control(PUBLISHER);
    let of: Vec<_> = asked
        .iter()
        .flat_map(|data| parse_compound(data))
        .filter_map(|packet| match packet.unwrap() {
            RtcpPacket::Pli(pli) => Some(pli.media_ssrc),
            _ => None,
        })
        .collect();
    assert_eq!(of, [2_000]);
}

#[test]
fn broken_and_foreign_rtcp_is_counted() {
    let mut rig = Rig::video();
    let now = rig.now;
    assert_eq!(
        rig.router.handle_rtcp(SUBSCRIBER, &[0x80, 200, 0, 9], now),
        Err(RtcpDrop::Malformed)
    );
    assert_eq!(
        rig.router.handle_rtcp(SUBSCRIBER, &[], now),
        Err(RtcpDrop::Malformed)
    );
    rig.rtcp(
        SUBSCRIBER,
        &wire(&Pli {
            sender_ssrc: 1,
            media_ssrc: 424_242,
        }),
    );
    let stats = rig.router.transport_stats(SUBSCRIBER).unwrap();
    assert_eq!((stats.rtcp_malformed, stats.rtcp_ignored), (2, 1));
}

#[test]
fn where_no_number_may_be_used_twice_a_nack_without_rtx_asks_for_a_keyframe() {
    let mut rig = Rig::new();
    rig.produce_video(VIDEO, &[Some(1_000)]);
    let params = ConsumerParams {
        rtx_payload_types: vec![],
        ..out_params(Some(VIDEO))
    };
    let described = rig
        .router
        .consume(SUBSCRIBER, VIDEO_OUT, params, rig.now)
        .unwrap();
    rig.drain();
    rig.rtp(&vp8(1, 0, true, true, true, 500).bytes()).unwrap();
    let sent = rig.media()[0].rtp().sequence();
    rig.rtcp(SUBSCRIBER, &nack(described.ssrc, &[sent]));
    assert_eq!(rig.media().len(), 1, "counter mode allows the same packet");
    rig.router.set_repeats(SUBSCRIBER, false).unwrap();
    rig.pass_ms(700);
    rig.control(PUBLISHER);
    rig.rtcp(SUBSCRIBER, &nack(described.ssrc, &[sent]));
    assert!(rig.media().is_empty());
    let outbound = rig.router.consumer_stats(VIDEO_OUT).unwrap().outbound;
    assert_eq!(outbound.nack_unanswerable, 1);
    assert_eq!(plis(&rig.control(PUBLISHER)), 1);
}
