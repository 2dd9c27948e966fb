//! Audio on bad lines: redundancy kept, unpacked, made and used, and requests for lost packets.
#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use roomtone_netem::{Link, LinkConfig};
use roomtone_rtp::red::{RedBlock, RedPayload, write_red};
use roomtone_rtp::rtcp::{
    CompoundWriter, Entries, Nack, NackPair, NackPairs, RtcpPacket, parse_compound,
};
use roomtone_rtp::{Codec, MediaKind};
use roomtone_sfu::*;
use support::*;

/// The publisher's payload type of redundant audio, and the subscriber's.
const RED: u8 = 63;
const OUT_RED: u8 = 64;
const FRAME: u32 = 960;
/// 20 ms of Opus: CELT, full band, one frame.
const TOC: u8 = 0b1111_1000;

fn codec(payload_type: u8, codec: Codec, nack: bool) -> CodecParams {
    CodecParams {
        payload_type,
        codec,
        clock_rate: 48_000,
        channels: 2,
        rtx_payload_type: None,
        feedback: FeedbackKinds {
            nack,
            ..FeedbackKinds::default()
        },
    }
}

/// A publisher of Opus with redundancy, and a subscriber that takes so much of it.
fn rig(payload_types: &[(u8, u8)], redundancy: Option<Redundancy>) -> Rig {
    let mut rig = Rig::new();
    publish(&mut rig, false);
    subscribe(&mut rig, AUDIO_OUT, payload_types, redundancy);
    rig
}

fn publish(rig: &mut Rig, nack: bool) {
    let params = ProducerParams {
        codecs: vec![codec(OPUS, Codec::Opus, nack), codec(RED, Codec::Red, nack)],
        ..audio_params()
    };
    rig.router
        .produce(PUBLISHER, AUDIO, params, rig.now)
        .unwrap();
}

fn subscribe(
    rig: &mut Rig,
    id: ConsumerId,
    payload_types: &[(u8, u8)],
    redundancy: Option<Redundancy>,
) -> ConsumerDescription {
    let params = ConsumerParams {
        kind: MediaKind::Audio,
        mid: None,
        payload_types: payload_types.to_vec(),
        rtx_payload_types: vec![],
        extensions: vec![],
        redundancy,
        ..out_params(Some(AUDIO))
    };
    rig.router.consume(SUBSCRIBER, id, params, rig.now).unwrap()
}

const ASKED: Option<Redundancy> = Some(Redundancy {
    payload_type: OUT_RED,
    protects: OUT_OPUS,
    blocks: 2,
});

/// The Opus packet of a number; lengths differ, so that a wrong one is seen.
fn audio_of(n: u32) -> Vec<u8> {
    let mut data = vec![TOC];
    data.extend(n.to_be_bytes());
    data.resize(20 + (n as usize * 7) % 60, n as u8);
    data
}

fn plain(n: u32) -> Packet {
    Packet {
        payload: audio_of(n),
        ..opus(n as u16, n.wrapping_mul(FRAME), 127)
    }
}

/// The packet with copies of the ones before.
fn with_past(n: u32, blocks: u32) -> Packet {
    let past: Vec<(u16, Vec<u8>)> = (1..=blocks.min(n))
        .rev()
        .map(|back| ((back * FRAME) as u16, audio_of(n - back)))
        .collect();
    let blocks: Vec<RedBlock<'_>> = past
        .iter()
        .map(|(offset, data)| RedBlock {
            payload_type: OPUS,
            offset: *offset,
            data,
        })
        .collect();
    let mut out = [0; 1_500];
    let len = write_red(&mut out, &blocks, OPUS, &audio_of(n)).unwrap();
    Packet {
        payload_type: RED,
        payload: out[..len].to_vec(),
        ..plain(n)
    }
}

fn send(rig: &mut Rig, packet: &Packet) {
    rig.rtp(&packet.bytes()).unwrap();
    rig.pass_ms(20);
}

fn inbound(rig: &Rig) -> InboundStreamStats {
    rig.router.producer_stats(AUDIO).unwrap().streams[0].clone()
}

fn outbound(rig: &Rig) -> OutboundStreamStats {
    rig.router.consumer_stats(AUDIO_OUT).unwrap().outbound
}

/// What was sent: how far each is from the first, in numbers and in time, and its payload.
fn received(out: &[Out]) -> Vec<(u16, u32, u8, Vec<u8>)> {
    let first = out[0].rtp();
    out.iter()
        .map(|out| {
            let packet = out.rtp();
            (
                packet.sequence().wrapping_sub(first.sequence()),
                packet.timestamp().wrapping_sub(first.timestamp()),
                packet.payload_type(),
                packet.payload().to_vec(),
            )
        })
        .collect()
}

#[test]
fn who_takes_no_redundancy_gets_the_original_packets_byte_by_byte() {
    let mut rig = rig(&[(OPUS, OUT_OPUS)], None);
    for n in 0..20 {
        send(&mut rig, &with_past(n, n % 3));
    }
    let expected: Vec<_> = (0..20)
        .map(|n| (n as u16, n * FRAME, OUT_OPUS, audio_of(n)))
        .collect();
    assert_eq!(received(&rig.media()), expected);
    assert_eq!(outbound(&rig).packets_unpacked, 20);
    assert_eq!(inbound(&rig).packets_recovered, 0);
}

#[test]
fn who_takes_redundancy_gets_it_as_it_was_under_its_own_names() {
    let mut rig = rig(&[(OPUS, OUT_OPUS), (RED, OUT_RED)], ASKED);
    for n in 0..5 {
        send(&mut rig, &with_past(n, 2));
    }
    for (n, (_, _, payload_type, payload)) in (0..).zip(received(&rig.media())) {
        assert_eq!(payload_type, OUT_RED);
        let (sent, got) = (with_past(n, 2), RedPayload::parse(&payload).unwrap());
        let sent = RedPayload::parse(&sent.payload).unwrap();
        assert_eq!(got.primary().payload_type, OUT_OPUS);
        assert!(got.is_uniform());
        assert_eq!(got.primary().data, sent.primary().data);
        let blocks = |payload: &RedPayload<'_>| -> Vec<_> {
            let blocks = payload.redundant();
            blocks.map(|b| (b.offset, b.data.to_vec())).collect()
        };
        assert_eq!(blocks(&got), blocks(&sent));
    }
    assert_eq!(outbound(&rig).packets_made_redundant, 0);
}

#[test]
fn a_lost_packet_comes_to_every_subscriber_in_its_place() {
    let mut rig = rig(&[(OPUS, OUT_OPUS)], None);
    for n in (0..10).filter(|n| ![3, 6, 7].contains(n)) {
        send(&mut rig, &with_past(n, 2));
    }
    let expected: Vec<_> = (0..10)
        .map(|n| (n as u16, n * FRAME, OUT_OPUS, audio_of(n)))
        .collect();
    assert_eq!(received(&rig.media()), expected);
    let stats = inbound(&rig);
    assert_eq!((stats.packets_recovered, stats.packets_lost), (3, 3));
}

#[test]
fn a_packet_that_was_only_late_counts_neither_twice_nor_as_lost() {
    let mut rig = rig(&[(OPUS, OUT_OPUS)], None);
    for n in [0, 1, 3] {
        send(&mut rig, &with_past(n, 1));
    }
    assert_eq!(inbound(&rig).packets_lost, 1);
    assert_eq!(
        rig.rtp(&with_past(2, 1).bytes()),
        Err(RtpDrop::Duplicate),
        "it was put in before"
    );
    let stats = inbound(&rig);
    assert_eq!(
        (stats.packets_lost, stats.packets_received, stats.duplicates),
        (0, 4, 1)
    );
    assert_eq!(rig.rtp(&with_past(2, 1).bytes()), Err(RtpDrop::Duplicate));
    assert_eq!(inbound(&rig).packets_received, 4, "once only");
    assert_eq!(rig.media().len(), 4);
}

#[test]
fn what_is_recovered_is_asked_for_no_more() {
    let mut rig = Rig::new();
    publish(&mut rig, true);
    for n in [0, 1, 3, 4] {
        send(&mut rig, &with_past(n, 1));
    }
    rig.pass_ms(300);
    assert_eq!(inbound(&rig).nack_count, 0);
    for n in [5, 8] {
        send(&mut rig, &with_past(n, 1));
    }
    rig.pass_ms(300);
    let stats = inbound(&rig);
    assert_eq!((stats.packets_recovered, stats.packets_given_up), (2, 1));
    assert!(stats.nacked_packets > 0, "the one that was not repeated");
}

#[test]
fn who_asks_for_redundancy_gets_it_made_from_plain_packets() {
    let mut rig = rig(&[(OPUS, OUT_OPUS)], ASKED);
    for n in 0..6 {
        send(&mut rig, &plain(n));
    }
    // Silence: too long ago for the fourteen bits, and then near again.
    rig.pass_ms(400);
    let mut later = [plain(6), plain(7)];
    for packet in &mut later {
        packet.timestamp += 20 * FRAME;
        send(&mut rig, packet);
    }
    let out = rig.media();
    for (n, (_, _, payload_type, payload)) in (0_u32..).zip(received(&out)) {
        assert_eq!(payload_type, OUT_RED);
        let red = RedPayload::parse(&payload).unwrap();
        assert!(red.is_uniform());
        assert_eq!(red.primary().payload_type, OUT_OPUS);
        assert_eq!(red.primary().data, audio_of(n));
        let back = match n {
            0 | 6 => 0,
            1 | 7 => 1,
            _ => 2,
        };
        let expected: Vec<_> = (1..=back)
            .rev()
            .map(|back| ((back * FRAME) as u16, audio_of(n - back)))
            .collect();
        let got: Vec<_> = red
            .redundant()
            .map(|block| (block.offset, block.data.to_vec()))
            .collect();
        assert_eq!(got, expected, "packet {n}");
    }
    assert_eq!(outbound(&rig).packets_made_redundant, 8);
}

#[test]
fn made_redundancy_holds_nothing_from_a_pause() {
    let mut rig = rig(&[(OPUS, OUT_OPUS)], ASKED);
    send(&mut rig, &plain(0));
    rig.router.pause_consumer(AUDIO_OUT, rig.now).unwrap();
    for n in 1..4 {
        send(&mut rig, &plain(n));
    }
    rig.router.resume_consumer(AUDIO_OUT, rig.now).unwrap();
    send(&mut rig, &plain(4));
    send(&mut rig, &plain(5));
    let blocks: Vec<_> = received(&rig.media())
        .iter()
        .map(|(_, _, _, payload)| RedPayload::parse(payload).unwrap().redundant().len())
        .collect();
    assert_eq!(blocks, [0, 0, 1]);
}

#[test]
fn what_redundancy_asks_too_much_is_refused() {
    let mut rig = Rig::new();
    publish(&mut rig, false);
    let consume = |rig: &mut Rig, blocks, kind, payload_type| {
        let params = ConsumerParams {
            kind,
            redundancy: Some(Redundancy {
                payload_type,
                protects: OUT_OPUS,
                blocks,
            }),
            ..out_params(None)
        };
        rig.router.consume(SUBSCRIBER, AUDIO_OUT, params, rig.now)
    };
    let wrong = [
        (0, MediaKind::Audio, OUT_RED),
        (5, MediaKind::Audio, OUT_RED),
        (1, MediaKind::Audio, 128),
        (1, MediaKind::Video, OUT_RED),
    ];
    for (blocks, kind, payload_type) in wrong {
        assert!(consume(&mut rig, blocks, kind, payload_type).is_err());
    }
    assert!(consume(&mut rig, 4, MediaKind::Audio, OUT_RED).is_ok());
}

#[test]
fn a_broken_redundant_packet_goes_only_to_those_who_take_it_whole() {
    let mut rig = rig(&[(OPUS, OUT_OPUS)], None);
    subscribe(&mut rig, ConsumerId(30), &[(OPUS, 111), (RED, 63)], None);
    send(&mut rig, &with_past(0, 0));
    let mut broken = with_past(1, 1);
    broken.payload.truncate(6);
    send(&mut rig, &broken);
    send(&mut rig, &with_past(2, 0));
    let out = rig.media();
    assert_eq!(out.len(), 5);
    let unpacked: Vec<_> = out
        .iter()
        .filter(|out| out.rtp().payload_type() == OUT_OPUS)
        .cloned()
        .collect();
    assert_eq!(
        received(&unpacked),
        [
            (0, 0, OUT_OPUS, audio_of(0)),
            (1, 2 * FRAME, OUT_OPUS, audio_of(2))
        ],
        "closed up"
    );
    assert_eq!(inbound(&rig).descriptor_errors, 1);
}

fn nack(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut out = [0; 100];
    let mut writer = CompoundWriter::new(&mut out);
    let pairs: Vec<NackPair> = NackPairs::from_sorted([sequence]).collect();
    let nack = Nack {
        sender_ssrc: 1,
        media_ssrc: ssrc,
        pairs: Entries::new(&pairs),
    };
    writer.push(&nack).unwrap();
    let len = writer.finish();
    out[..len].to_vec()
}

#[test]
fn audio_is_asked_for_early_and_given_up_soon() {
    let mut rig = Rig::new();
    publish(&mut rig, true);
    for n in [0, 2] {
        rig.rtp(&plain(n).bytes()).unwrap();
    }
    let start = rig.now;
    rig.pass_ms(1_000);
    let asked: Vec<u128> = rig
        .sent
        .iter()
        .filter(|out| {
            out.rtcp
                && parse_compound(&out.bytes)
                    .any(|packet| matches!(packet, Ok(RtcpPacket::Nack(_))))
        })
        .map(|out| (out.at - start).as_millis())
        .collect();
    assert_eq!(asked, [10, 50, 90, 130]);
    assert_eq!(inbound(&rig).packets_given_up, 1);
}

#[test]
fn a_subscriber_is_sent_again_what_can_still_be_played() {
    let mut rig = rig(&[(OPUS, OUT_OPUS)], None);
    let ssrc = rig.router.consumer_dump(AUDIO_OUT).unwrap().ssrc;
    for n in 0..20 {
        send(&mut rig, &with_past(n, 1));
    }
    let sent = rig.media();
    rig.rtcp(SUBSCRIBER, &nack(ssrc, sent[15].rtp().sequence()));
    let again = rig.media();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].bytes, sent[15].bytes, "the same bytes");
    rig.rtcp(SUBSCRIBER, &nack(ssrc, sent[5].rtp().sequence()));
    assert_eq!(rig.media().len(), 0, "300 ms ago");
    assert_eq!(outbound(&rig).nack_misses, 1);
}

#[test]
fn what_was_made_for_a_subscriber_is_never_sent_again_as_something_else() {
    let mut rig = rig(&[(OPUS, OUT_OPUS)], ASKED);
    let ssrc = rig.router.consumer_dump(AUDIO_OUT).unwrap().ssrc;
    for n in 0..5 {
        send(&mut rig, &plain(n));
    }
    let sent = rig.media();
    rig.rtcp(SUBSCRIBER, &nack(ssrc, sent[4].rtp().sequence()));
    assert_eq!(rig.media().len(), 0);
    assert_eq!(outbound(&rig).nack_unanswerable, 1);
    // Nor under the payload types of another source.
    rig.router
        .switch_source(AUDIO_OUT, Some(AUDIO), vec![(OPUS, 96)], rig.now)
        .unwrap();
    rig.rtcp(SUBSCRIBER, &nack(ssrc, sent[4].rtp().sequence()));
    assert_eq!(rig.media().len(), 0);
}

/// Packets that never came, of those sent over a line that loses so much: with so many redundant
/// blocks, to a subscriber with and one without redundancy.
fn residual(loss: f64, blocks: u32, seed: u64) -> (f64, u64) {
    const PACKETS: u32 = 10_000;
    let mut rig = rig(&[(OPUS, OUT_OPUS)], None);
    let config = LinkConfig {
        delay: Duration::from_millis(25),
        loss,
        ..LinkConfig::default()
    };
    let mut link = Link::new(config, seed).unwrap();
    let mut got: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    for n in 0..PACKETS + 10 {
        link.send(rig.now, with_past(n, blocks).bytes());
        rig.pass_ms(20);
        while let Some(data) = link.poll(rig.now) {
            let _ = rig.rtp(&data);
        }
        for out in rig.media() {
            let payload = out.rtp().payload().to_vec();
            let n = u32::from_be_bytes(payload[1..5].try_into().unwrap());
            assert_eq!(payload, audio_of(n), "nothing but the originals");
            got.insert(n, payload);
        }
    }
    let missing = (0..PACKETS).filter(|n| !got.contains_key(n)).count();
    (
        missing as f64 / f64::from(PACKETS),
        inbound(&rig).packets_recovered,
    )
}

#[test]
fn of_twenty_per_cent_lost_redundancy_leaves_no_more_than_chance_does() {
    // A packet is gone if it and the packets that repeat it are lost: the power of independent
    // losses. The margin is four standard deviations of so many packets.
    for (blocks, chance) in [(0, 0.2), (1, 0.04), (2, 0.008)] {
        let margin = 4.0 * f64::sqrt(chance * (1.0 - chance) / 10_000.0);
        let (left, recovered) = residual(0.2, blocks, 7 + u64::from(blocks));
        println!("{blocks} redundant: {left:.4} left, {chance} by chance, {recovered} recovered");
        assert!(left <= chance + margin, "{blocks}: {left}");
        assert!(left >= chance - margin, "{blocks}: {left} is too good");
    }
}
