//! Error correction of video: of use to who gets what it protects as it was, taken out for others.
#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use roomtone_rtp::red::{RedPayload, write_red};
use roomtone_rtp::{Codec, ExtensionKind, RtpPacket};
use roomtone_sfu::*;
use support::*;

const RED: u8 = 116;
const FEC: u8 = 117;
const FLEX: u8 = 118;

/// A publisher of VP8 with correction; bare: without header extensions.
fn publish(rig: &mut Rig, bare: bool) {
    let mut params = video_params(&[Some(1_000)]);
    for (payload_type, codec) in [
        (RED, Codec::Red),
        (FEC, Codec::Ulpfec),
        (FLEX, Codec::Flexfec03),
    ] {
        params.codecs.push(CodecParams {
            payload_type,
            codec,
            rtx_payload_type: None,
            ..params.codecs[0].clone()
        });
    }
    if bare {
        params.extensions.clear();
    }
    rig.router
        .produce(PUBLISHER, VIDEO, params, rig.now)
        .unwrap();
}

/// A subscriber under the publisher's payload types.
fn subscribe(rig: &mut Rig, id: ConsumerId, bare: bool) {
    let mut params = ConsumerParams {
        mid: None,
        payload_types: vec![(VP8, VP8), (RED, RED), (FEC, FEC)],
        rtx_payload_types: vec![],
        ..out_params(Some(VIDEO))
    };
    params.extensions = if bare {
        vec![]
    } else {
        vec![(12, ExtensionKind::TransportSequence)]
    };
    rig.router.consume(SUBSCRIBER, id, params, rig.now).unwrap();
}

fn wrapped(media: &Packet) -> Packet {
    let mut out = [0; 1_500];
    let len = write_red(&mut out, &[], media.payload_type, &media.payload).unwrap();
    Packet {
        payload_type: RED,
        payload: out[..len].to_vec(),
        ..media.clone()
    }
}

/// The sum that RFC 5109 section 8 makes of packets: the first eight bytes of their headers, the
/// length of what follows their headers, and that.
#[derive(Default, Clone, PartialEq, Debug)]
struct Sum {
    head: [u8; 8],
    len: u16,
    body: Vec<u8>,
}

impl Sum {
    fn add(&mut self, media: &Packet) {
        let bytes = media.bytes();
        for (sum, byte) in self.head.iter_mut().zip(&bytes) {
            *sum ^= byte;
        }
        let body = &bytes[12..];
        self.len ^= body.len() as u16;
        self.body.resize(self.body.len().max(body.len()), 0);
        for (sum, byte) in self.body.iter_mut().zip(body) {
            *sum ^= byte;
        }
    }
}

/// The correction packet for these, under the number after them.
fn correction(media: &[Packet]) -> Packet {
    let mut sum = Sum::default();
    for packet in media {
        sum.add(packet);
    }
    let mask = (0..media.len()).fold(0_u16, |mask, n| mask | (0x8000 >> n));
    let mut payload = vec![sum.head[0] & 0x3f, sum.head[1]];
    payload.extend(media[0].sequence.to_be_bytes());
    payload.extend(&sum.head[4..8]);
    payload.extend(sum.len.to_be_bytes());
    payload.extend((sum.body.len() as u16).to_be_bytes());
    payload.extend(mask.to_be_bytes());
    payload.extend(&sum.body);
    let last = media.last().unwrap();
    wrapped(&Packet {
        payload_type: FEC,
        sequence: last.sequence + 1,
        marker: false,
        payload,
        ..last.clone()
    })
}

/// What a receiver recovers of the one packet it misses among those that the correction protects.
fn recovered(correction: &RtpPacket<'_>, others: &[Packet], missing: u16) -> Option<Packet> {
    let red = RedPayload::parse(correction.payload()).unwrap();
    assert_eq!(red.primary().payload_type, FEC);
    let data = red.primary().data;
    let base = u16::from_be_bytes([data[2], data[3]]);
    let mask = u16::from_be_bytes([data[12], data[13]]);
    let protected: Vec<u16> = (0..16_u16)
        .filter(|n| mask & (0x8000 >> n) != 0)
        .map(|n| base.wrapping_add(n))
        .collect();
    let mut sum = Sum {
        head: [
            data[0] | 0x80,
            data[1],
            0,
            0,
            data[4],
            data[5],
            data[6],
            data[7],
        ],
        len: u16::from_be_bytes([data[8], data[9]]),
        body: data[14..].to_vec(),
    };
    let mut left = protected.clone();
    for packet in others.iter().filter(|p| protected.contains(&p.sequence)) {
        sum.add(packet);
        left.retain(|sequence| *sequence != packet.sequence);
    }
    if left != [missing] {
        return None;
    }
    Some(Packet {
        payload_type: sum.head[1] & 0x7f,
        sequence: missing,
        timestamp: u32::from_be_bytes([sum.head[4], sum.head[5], sum.head[6], sum.head[7]]),
        ssrc: correction.ssrc(),
        marker: sum.head[1] & 0x80 != 0,
        extensions: vec![],
        payload: sum.body[..usize::from(sum.len)].to_vec(),
        padding: 0,
    })
}

/// A media packet as the subscriber has unwrapped it.
fn unwrapped(out: &Out) -> Option<Packet> {
    let packet = out.rtp();
    let red = RedPayload::parse(packet.payload()).unwrap();
    (red.primary().payload_type == VP8).then(|| Packet {
        payload_type: VP8,
        sequence: packet.sequence(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
        marker: packet.marker(),
        extensions: vec![],
        payload: red.primary().data.to_vec(),
        padding: 0,
    })
}

/// Three frames of three packets, each group followed by its correction.
fn stream() -> (Vec<Packet>, Vec<Packet>) {
    let (mut media, mut sent) = (vec![], vec![]);
    let mut sequence = 65_530_u16;
    for frame in 0..3_u32 {
        let first = media.len();
        for n in 0..3 {
            let packet = vp8(
                sequence,
                frame * 3_000,
                n == 0,
                frame == 0,
                n == 2,
                50 + 30 * n,
            );
            sent.push(wrapped(&packet));
            media.push(packet);
            sequence = sequence.wrapping_add(1);
        }
        sent.push(correction(&media[first..]));
        sequence = sequence.wrapping_add(1);
    }
    (media, sent)
}

fn send(rig: &mut Rig, packets: &[Packet]) {
    for packet in packets {
        rig.rtp(&packet.bytes()).unwrap();
        rig.pass_ms(6);
    }
}

fn inbound(rig: &Rig) -> InboundStreamStats {
    rig.router.producer_stats(VIDEO).unwrap().streams[0].clone()
}

#[test]
fn a_browser_gets_plain_video_with_the_numbering_closed_up() {
    let mut rig = Rig::new();
    publish(&mut rig, false);
    subscribe(&mut rig, VIDEO_OUT, false);
    let (media, sent) = stream();
    send(&mut rig, &sent);
    let out = rig.media();
    assert_eq!(out.len(), media.len());
    let first = out[0].rtp().sequence();
    for (n, (out, media)) in out.iter().zip(&media).enumerate() {
        let packet = out.rtp();
        assert_eq!(packet.payload_type(), VP8);
        assert_eq!(packet.payload(), media.payload);
        assert_eq!(packet.marker(), media.marker);
        assert_eq!(packet.sequence(), first.wrapping_add(n as u16));
    }
    let stats = inbound(&rig);
    assert_eq!(
        (stats.fec_packets_received, stats.fec_packets_discarded),
        (3, 3)
    );
    assert_eq!((stats.packets_lost, stats.descriptor_errors), (0, 0));
}

#[test]
fn who_gets_everything_as_it_was_can_repair_with_it() {
    let mut rig = Rig::new();
    publish(&mut rig, true);
    subscribe(&mut rig, VIDEO_OUT, true);
    let (media, sent) = stream();
    send(&mut rig, &sent);
    let out = rig.media();
    assert_eq!(out.len(), sent.len());
    let arrived: Vec<Packet> = out.iter().filter_map(unwrapped).collect();
    assert_eq!(arrived.len(), media.len());
    let corrections: Vec<&Out> = out.iter().filter(|out| unwrapped(out).is_none()).collect();
    for (n, lost) in arrived.iter().enumerate() {
        let mut others = arrived.clone();
        others.remove(n);
        let repaired = recovered(&corrections[n / 3].rtp(), &others, lost.sequence).unwrap();
        assert_eq!(repaired.bytes(), lost.bytes(), "packet {n}");
        assert_eq!(repaired.payload, media[n].payload);
    }
    assert_eq!(inbound(&rig).fec_packets_discarded, 0);
}

#[test]
fn one_stream_serves_both_kinds_of_subscribers() {
    let mut rig = Rig::new();
    publish(&mut rig, true);
    subscribe(&mut rig, VIDEO_OUT, true);
    subscribe(&mut rig, ConsumerId(30), false);
    let (media, sent) = stream();
    send(&mut rig, &sent);
    let (whole, plain): (Vec<Out>, Vec<Out>) = rig
        .media()
        .into_iter()
        .partition(|out| out.rtp().payload_type() == RED);
    assert_eq!(whole.len(), sent.len());
    let first = plain[0].rtp().sequence();
    for (n, (out, media)) in plain.iter().zip(&media).enumerate() {
        assert_eq!(out.rtp().payload(), media.payload);
        assert_eq!(out.rtp().sequence(), first.wrapping_add(n as u16));
    }
    assert_eq!(plain.len(), media.len());
    // The last one that can use it goes: it is taken out at the door again.
    rig.router.close_consumer(VIDEO_OUT, rig.now).unwrap();
    let before = inbound(&rig).fec_packets_discarded;
    assert_eq!(before, 0);
    let again = correction(&[delta(6, 9_000)]);
    send(&mut rig, &[wrapped(&delta(6, 9_000)), again]);
    assert_eq!(inbound(&rig).fec_packets_discarded, 1);
}

#[test]
fn correction_whose_protected_packets_were_left_out_is_left_out_too() {
    let mut rig = Rig::new();
    publish(&mut rig, true);
    subscribe(&mut rig, VIDEO_OUT, true);
    let (_, sent) = stream();
    send(&mut rig, &sent[..4]);
    assert_eq!(rig.media().len(), 4);
    // The pause falls into the second frame: its correction protects what was not sent.
    rig.router.pause_consumer(VIDEO_OUT, rig.now).unwrap();
    send(&mut rig, &sent[4..5]);
    rig.router.resume_consumer(VIDEO_OUT, rig.now).unwrap();
    let entry = Packet {
        payload: key(0, 0).payload,
        ..delta(sent[5].sequence, 3_000)
    };
    send(
        &mut rig,
        &[wrapped(&entry), sent[6].clone(), sent[7].clone()],
    );
    let out = rig.media();
    assert!(
        out.iter().all(|out| unwrapped(out).is_some()),
        "no correction"
    );
    assert!(!out.is_empty());
}

#[test]
fn late_correction_that_nobody_takes_fills_its_number_with_nothing() {
    let mut rig = Rig::new();
    publish(&mut rig, false);
    subscribe(&mut rig, VIDEO_OUT, false);
    let first = [key(10, 0)];
    let fec = correction(&first);
    let (key, next) = (wrapped(&first[0]), wrapped(&delta(12, 3_000)));
    send(&mut rig, &[key, next, fec.clone()]);
    let mut numbers: Vec<(u16, usize)> = rig
        .media()
        .iter()
        .map(|out| (out.rtp().sequence(), out.rtp().payload().len()))
        .collect();
    numbers.sort_unstable();
    let first = numbers[0].0;
    let lens: Vec<_> = numbers.iter().map(|(n, len)| (n - first, *len)).collect();
    assert_eq!(lens, [(0, 200), (1, 0), (2, 100)]);
    assert_eq!(rig.rtp(&fec.bytes()), Err(RtpDrop::Duplicate));
}

#[test]
fn broken_correction_disturbs_nothing() {
    let mut rig = Rig::new();
    publish(&mut rig, true);
    subscribe(&mut rig, VIDEO_OUT, true);
    let mut short = correction(&[key(10, 0)]);
    short.payload.truncate(9);
    let mut empty = short.clone();
    (empty.sequence, empty.payload) = (12, vec![FEC]);
    let far = {
        let mut far = correction(&[key(10, 0)]);
        far.sequence = 13;
        (far.payload[3], far.payload[4]) = (0x80, 0);
        far
    };
    send(&mut rig, &[wrapped(&key(10, 0)), short, empty, far]);
    send(&mut rig, &[wrapped(&delta(14, 3_000))]);
    let out = rig.media();
    assert_eq!(out.len(), 2);
    let step = out[1]
        .rtp()
        .sequence()
        .wrapping_sub(out[0].rtp().sequence());
    assert_eq!(step, 1);
    assert_eq!(inbound(&rig).fec_packets_discarded, 3);
}

#[test]
fn correction_in_a_stream_of_its_own_ends_here_and_has_arrived() {
    let mut rig = Rig::new();
    publish(&mut rig, false);
    subscribe(&mut rig, VIDEO_OUT, false);
    send(&mut rig, &[key(10, 0)]);
    let repair = Packet {
        payload_type: FLEX,
        ssrc: 4_321,
        extensions: vec![(4, vec![0, 7])],
        ..delta(500, 0)
    };
    send(&mut rig, &[repair, delta(11, 3_000)]);
    let out = rig.media();
    assert_eq!(out.len(), 2);
    assert_eq!(
        out[1].rtp().sequence(),
        out[0].rtp().sequence().wrapping_add(1)
    );
    let stats = rig.router.transport_stats(PUBLISHER).unwrap();
    assert_eq!((stats.fec_discarded, stats.rtp_unknown), (1, 0));
    assert_eq!(
        inbound(&rig).ssrc,
        Some(1_000),
        "its SSRC is not taken for the stream's"
    );
    rig.pass_ms(200);
    let stats = rig.router.transport_stats(PUBLISHER).unwrap();
    assert!(
        stats.feedback_sent > 0,
        "the publisher is told that it came"
    );
}
