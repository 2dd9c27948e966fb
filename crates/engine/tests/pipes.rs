//! A producer of one shard appears on another.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use roomtone_engine::values::{CloseReason, Command, CommandResult, ErrorCode, Event};
use support::{Harness, PlainOptions, config, receive_rtp, rtp, socket};

struct TwoShards {
    harness: Harness,
    source: std::net::UdpSocket,
    inbound_at: std::net::SocketAddr,
    producer: u64,
    piped: u64,
    near: u64,
    far: u64,
    sink: std::net::UdpSocket,
}

fn pipe(harness: &mut Harness, producer: u64, router: u64) -> u64 {
    match harness.call(Command::PipeProducer { producer, router }) {
        CommandResult::ProducerPiped { producer, .. } => producer,
        other => panic!("{other:?}"),
    }
}

fn two_shards() -> TwoShards {
    let mut harness = Harness::new(config(2));
    let (near, far) = (harness.router(Some(0)), harness.router(Some(1)));
    let (source, source_at) = socket();
    let (sink, sink_at) = socket();
    let (inbound, inbound_at, _) = harness.plain(PlainOptions::on(near));
    harness.connect_plain(inbound, source_at);
    let producer = harness.produce_opus(inbound, Some(0x1111));
    let piped = pipe(&mut harness, producer, far);
    let (outbound, _, _) = harness.plain(PlainOptions::on(far));
    harness.connect_plain(outbound, sink_at);
    harness.consume_opus(outbound, Some(piped), None);
    TwoShards {
        harness,
        source,
        inbound_at,
        producer,
        piped,
        near,
        far,
        sink,
    }
}

#[test]
fn packets_pass_from_one_shard_to_the_other_in_order() {
    let two = two_shards();
    for sequence in 0..200_u16 {
        let payload = sequence.to_be_bytes();
        two.source
            .send_to(
                &rtp(111, sequence, u32::from(sequence) * 960, 0x1111, &payload),
                two.inbound_at,
            )
            .unwrap();
    }
    let first = receive_rtp(&two.sink);
    assert_eq!(first.payload, [0, 0]);
    for sequence in 1..200_u16 {
        let out = receive_rtp(&two.sink);
        assert_eq!(out.payload, sequence.to_be_bytes());
        assert_eq!(out.sequence, first.sequence.wrapping_add(sequence));
        assert_eq!(
            out.timestamp,
            first.timestamp.wrapping_add(u32::from(sequence) * 960)
        );
    }
}

#[test]
fn a_keyframe_request_travels_back_to_the_source() {
    let mut harness = Harness::new(config(2));
    let (near, far) = (harness.router(Some(0)), harness.router(Some(1)));
    let (source, source_at) = socket();
    let (inbound, inbound_at, _) = harness.plain(PlainOptions::on(near));
    harness.connect_plain(inbound, source_at);
    let producer = produce_vp8(&mut harness, inbound, &[5]);
    let piped = pipe(&mut harness, producer, far);
    // An inter frame of VP8 (RFC 7741): the S bit, partition 0; in the first byte of the payload P is set.
    source
        .send_to(&rtp(96, 1, 0, 5, &[0x10, 0x01, 0, 0, 0]), inbound_at)
        .unwrap();
    harness.event(|event| match event {
        Event::ProducerStarted { producer, .. } if *producer == piped => Some(()),
        _ => None,
    });
    harness.done(Command::RequestKeyframe { producer: piped });
    let mut buffer = [0; 2048];
    loop {
        let (len, _) = source
            .recv_from(&mut buffer)
            .expect("a picture loss indication in time");
        if has_pli(&buffer[..len], 5) {
            break;
        }
    }
}

/// A VP8 producer with encodings of these SSRCs on a plain transport.
fn produce_vp8(harness: &mut Harness, transport: u64, ssrcs: &[u32]) -> u64 {
    use roomtone_engine::values::{CodecFeedback, EncodingParameters, MediaKind};
    let mut vp8 = support::codec(96, "VP8", 90_000, 1);
    vp8.feedback = CodecFeedback {
        pli: true,
        nack: true,
        ..CodecFeedback::default()
    };
    let produced = harness.call(Command::Produce {
        transport,
        kind: MediaKind::Video,
        codecs: vec![vp8],
        encodings: ssrcs
            .iter()
            .map(|ssrc| EncodingParameters {
                ssrc: Some(*ssrc),
                ..Default::default()
            })
            .collect(),
        mid: None,
        header_extensions: vec![],
        paused: false,
    });
    match produced {
        CommandResult::Produced { producer } => producer,
        other => panic!("{other:?}"),
    }
}

/// Waits until encodings of a producer are wanted, or not.
fn wanted(harness: &mut Harness, of: u64, which: &[bool]) {
    harness.event(|event| match event {
        Event::EncodingsWanted { producer, wanted }
            if *producer == of && wanted.iter().map(Option::is_some).eq(which.iter().copied()) =>
        {
            Some(())
        }
        _ => None,
    });
}

/// Packets of an encoding that arrived through the pipe.
fn arrived(harness: &mut Harness, piped: u64, encoding: usize) -> u64 {
    // A shard answers before it reads what other shards have sent: the second answer knows all.
    harness.stats(piped);
    // The first report is the sum.
    let reports = harness.stats(piped);
    support::number(&reports[1 + encoding], "packetsReceived")
}

#[test]
fn what_nobody_wants_stays_on_its_shard_and_comes_back_with_a_keyframe() {
    const KEY: [u8; 5] = [0x10, 0x00, 0, 0, 0];
    const INTER: [u8; 5] = [0x10, 0x01, 0, 0, 0];
    const SSRCS: [u32; 3] = [5, 6, 7];
    let mut harness = Harness::new(config(2));
    let (near, far) = (harness.router(Some(0)), harness.router(Some(1)));
    let (source, source_at) = socket();
    let (sink, sink_at) = socket();
    let (inbound, inbound_at, _) = harness.plain(PlainOptions::on(near));
    harness.connect_plain(inbound, source_at);
    let producer = produce_vp8(&mut harness, inbound, &SSRCS);
    let piped = pipe(&mut harness, producer, far);
    // Nobody is there.
    wanted(&mut harness, piped, &[false; 3]);
    // Whoever was told before a command was told before what follows it.
    harness.stats(producer);
    for ssrc in SSRCS {
        source
            .send_to(&rtp(96, 1, 0, ssrc, &KEY), inbound_at)
            .unwrap();
    }
    for _ in SSRCS {
        harness.event(|event| match event {
            Event::ProducerStarted {
                producer: started, ..
            } if *started == producer => Some(()),
            _ => None,
        });
    }
    for at in 0..SSRCS.len() {
        assert_eq!(arrived(&mut harness, piped, at), 0, "{at}");
    }
    // Somebody comes.
    let (outbound, _, _) = harness.plain(PlainOptions::on(far));
    harness.connect_plain(outbound, sink_at);
    let consumed = harness.call(Command::Consume {
        transport: outbound,
        kind: roomtone_engine::values::MediaKind::Video,
        producer: Some(piped),
        mid: None,
        payload_types: vec![(96, 100)],
        rtx_payload_types: vec![],
        header_extensions: vec![],
        feedback: roomtone_engine::values::CodecFeedback::default(),
        redundancy: None,
        ssrc: None,
        rtx_ssrc: None,
        paused: false,
    });
    assert!(matches!(consumed, CommandResult::Consumed { .. }));
    wanted(&mut harness, piped, &[true; 3]);
    let mut buffer = [0; 2048];
    let mut asked = [false; 3];
    let deadline = std::time::Instant::now() + support::PATIENCE;
    while asked != [true; 3] {
        let (len, _) = source
            .recv_from(&mut buffer)
            .expect("picture loss indications in time");
        assert!(std::time::Instant::now() < deadline, "{asked:?}");
        for (asked, ssrc) in asked.iter_mut().zip(SSRCS) {
            *asked |= has_pli(&buffer[..len], ssrc);
        }
    }
    let mut sequence = 1;
    let mut send = |payload: &[u8]| {
        sequence += 1;
        for ssrc in SSRCS {
            let mut packet = rtp(96, sequence, 3_000 * u32::from(sequence), ssrc, payload);
            // The picture's last packet: pictures cross whole.
            packet[1] |= 0x80;
            source.send_to(&packet, inbound_at).unwrap();
        }
    };
    send(&INTER);
    // The viewer's router chooses among what flows, and needs a keyframe after that.
    let keyframes = 4;
    for sent in 1..=keyframes {
        send(&KEY);
        while arrived(&mut harness, piped, 0) < sent {
            assert!(std::time::Instant::now() < deadline, "{sent}");
        }
    }
    assert_eq!(receive_rtp(&sink).payload, KEY);
    for at in 0..SSRCS.len() {
        assert!(arrived(&mut harness, piped, at) <= keyframes, "{at}");
    }
}

/// Whether a compound holds a PLI for `media_ssrc` (RFC 4585 section 6.3.1: PT 206, FMT 1).
fn has_pli(mut compound: &[u8], media_ssrc: u32) -> bool {
    while compound.len() >= 4 {
        let len = 4 * (usize::from(u16::from_be_bytes([compound[2], compound[3]])) + 1);
        if compound[1] == 206
            && compound[0] & 0x1f == 1
            && compound[8..12] == media_ssrc.to_be_bytes()
        {
            return true;
        }
        compound = compound.get(len..).unwrap_or_default();
    }
    false
}

#[test]
fn closing_the_source_closes_what_it_became() {
    let mut two = two_shards();
    two.harness.done(Command::CloseProducer {
        producer: two.producer,
    });
    let piped = two.piped;
    let reason = two.harness.event(|event| match event {
        Event::ProducerClosed { producer, reason } if *producer == piped => Some(*reason),
        _ => None,
    });
    assert_eq!(reason, CloseReason::ParentClosed);
    assert_eq!(
        two.harness
            .refused(Command::CloseProducer { producer: piped }),
        ErrorCode::NotFound
    );
    assert_eq!(two.harness.counter("producers"), 0);
}

#[test]
fn closing_the_far_end_leaves_the_source_alone() {
    let mut two = two_shards();
    two.harness.done(Command::CloseProducer {
        producer: two.piped,
    });
    let again = pipe(&mut two.harness, two.producer, two.far);
    assert_ne!(again, two.piped);
    two.harness.done(Command::CloseRouter {
        router: two.far,
        quietly: false,
    });
    two.source
        .send_to(&rtp(111, 1, 0, 0x1111, b"x"), two.inbound_at)
        .unwrap();
    let producer = two.producer;
    two.harness.event(|event| match event {
        Event::ProducerStarted {
            producer: started, ..
        } if *started == producer => Some(()),
        _ => None,
    });
    assert_eq!(two.harness.counter("producers"), 1);
}

#[test]
fn a_pipe_to_nowhere_or_to_itself_is_refused() {
    let mut two = two_shards();
    let to = |router| Command::PipeProducer {
        producer: two.producer,
        router,
    };
    let (near, far) = (two.near, two.far);
    assert_eq!(two.harness.refused(to(near)), ErrorCode::Invalid);
    // An id of the other shard that is no router there.
    assert_eq!(
        two.harness.refused(to(far + 256 * 1_000_000)),
        ErrorCode::NotFound
    );
    assert_eq!(two.harness.refused(to(255)), ErrorCode::NotFound);
}

#[test]
fn two_routers_of_one_shard_can_be_joined_too() {
    let mut harness = Harness::new(config(1));
    let (near, far) = (harness.router(None), harness.router(None));
    let (source, source_at) = socket();
    let (sink, sink_at) = socket();
    let (inbound, inbound_at, _) = harness.plain(PlainOptions::on(near));
    harness.connect_plain(inbound, source_at);
    let producer = harness.produce_opus(inbound, Some(0x1111));
    let (outbound, _, _) = harness.plain(PlainOptions::on(far));
    harness.connect_plain(outbound, sink_at);
    assert_eq!(
        harness.refused(support::consume_opus(outbound, Some(producer), None)),
        ErrorCode::Invalid
    );
    let piped = pipe(&mut harness, producer, far);
    harness.consume_opus(outbound, Some(piped), None);
    source
        .send_to(&rtp(111, 1, 0, 0x1111, b"joined"), inbound_at)
        .unwrap();
    assert_eq!(receive_rtp(&sink).payload, b"joined");
}
