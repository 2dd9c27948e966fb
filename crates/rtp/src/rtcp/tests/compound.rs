//! Framing: padding, several packets in one datagram, limits.

use hex_literal::hex;

use super::reports::BLOCK;
use super::{parse_one, write};
use crate::rtcp::*;

#[test]
fn what_is_not_known_is_carried_as_it_stands() {
    for wire in [
        &hex!("9f d0 0001 01020304")[..],
        &hex!("8f ce 0003 00000001 00000000 41424344"),
        &hex!("9e cd 0002 00000001 00000002"),
        &hex!("87 ce 0002 00000001 00000002"),
    ] {
        let packet = parse_one(wire).unwrap();
        assert!(matches!(packet, RtcpPacket::Unknown(_)), "{packet:?}");
        assert_eq!(write(&packet), wire);
    }
}

#[test]
fn padding_is_taken_off() {
    let wire = hex!("a0 c9 0002 00000009 00000004");
    let expected = ReceiverReport {
        ssrc: 9,
        ..ReceiverReport::default()
    };
    assert_eq!(parse_one(&wire), Ok(expected.into()));
    for bad in [
        hex!("a0 c9 0002 00000009 00000000"),
        hex!("a0 c9 0002 00000009 00000009"),
    ] {
        assert_eq!(parse_one(&bad), Err(RtcpError::Padding));
    }
    assert_eq!(parse_one(&hex!("a0 cb 0000")), Err(RtcpError::Padding));
}

#[test]
fn a_bad_packet_does_not_hide_those_behind_it_but_bad_framing_does() {
    let good = hex!("81 ce 0002 00000001 00000002");
    let bad_inside = [&hex!("81 c8 0001 00000001")[..], &good].concat();
    let results: Vec<_> = parse_compound(&bad_inside).collect();
    assert_eq!(results.len(), 2);
    assert_eq!(results[0], Err(RtcpError::Truncated));
    assert!(matches!(results[1], Ok(RtcpPacket::Pli(_))));
    for (framing, error) in [
        (&hex!("41 ce 0000")[..], RtcpError::Version),
        (&hex!("81 ce 00"), RtcpError::Truncated),
        (&hex!("81 ce 0100"), RtcpError::Truncated),
    ] {
        let results: Vec<_> = parse_compound(framing).collect();
        assert_eq!(results, [Err(error)]);
    }
    assert_eq!(parse_compound(&[]).count(), 0);
}

#[test]
fn a_compound_is_written_packet_by_packet() {
    let mut out = [0; 64];
    let mut writer = CompoundWriter::new(&mut out);
    assert!(writer.is_empty());
    writer
        .push(&ReceiverReport {
            ssrc: 1,
            ..ReceiverReport::default()
        })
        .unwrap();
    let items = [SdesItem {
        kind: SdesKind::Cname,
        value: b"c",
    }];
    writer
        .push(&SourceDescription::new(&[SdesChunk::new(1, &items)]))
        .unwrap();
    writer
        .push(&Pli {
            sender_ssrc: 1,
            media_ssrc: 2,
        })
        .unwrap();
    assert_eq!((writer.len(), writer.space()), (32, 32));
    let too_long = [0; 40];
    let app = App {
        subtype: 0,
        ssrc: 1,
        name: *b"long",
        data: &too_long,
    };
    assert_eq!(writer.push(&app), Err(RtcpError::NoSpace));
    let len = writer.finish();
    assert_eq!(parse_compound(&out[..len]).flatten().count(), 3);
    assert!(!is_reduced_size(&out[..len]));
    assert!(is_reduced_size(&out[20..len]));
}

#[test]
fn a_compound_takes_packets_that_fill_the_space_left() {
    let mut out = [0; 64];
    let mut writer = CompoundWriter::new(&mut out);
    writer.push(&Pli::default()).unwrap();
    let target = FeedbackTarget {
        sender_ssrc: 1,
        media_ssrc: 2,
        feedback_count: 3,
        base_sequence: 4,
    };
    let written = writer
        .push_with(|space| {
            let written = write_transport_feedback(space, &target, &[(4, 0)])?;
            Ok((written.len, written))
        })
        .unwrap();
    assert_eq!(writer.finish(), 12 + written.len);
}

#[test]
fn more_entries_than_a_packet_can_count_are_refused() {
    let blocks = [BLOCK; 32];
    let mut out = vec![0; 4096];
    let report = |count| ReceiverReport {
        reports: Entries::new(&blocks[..count]),
        ..Default::default()
    };
    assert!(report(31).write(&mut out).is_ok());
    assert_eq!(report(32).write(&mut out), Err(RtcpError::TooMany));
    let ssrcs = [0; 256];
    let bye = Goodbye {
        ssrcs: Entries::new(&ssrcs[..32]),
        reason: b"",
    };
    assert_eq!(bye.write(&mut out), Err(RtcpError::TooMany));
    let remb = |count| Remb {
        ssrcs: Entries::new(&ssrcs[..count]),
        ..Remb::default()
    };
    assert!(remb(255).write(&mut out).is_ok());
    assert_eq!(remb(256).write(&mut out), Err(RtcpError::TooMany));
    let body = vec![0; 4 * 0x1_0000];
    let huge = Unknown {
        packet_type: 210,
        count: 0,
        body: &body,
    };
    assert_eq!(
        huge.write(&mut vec![0; body.len() + 4]),
        Err(RtcpError::Length)
    );
}
