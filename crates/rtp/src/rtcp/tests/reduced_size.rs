//! Feedback without reports around it (RFC 5506), and what a compound must be (RFC 3550 section 6.1).

use hex_literal::hex;

use super::parse_one;
use crate::rtcp::*;

/// Gives one packet of every feedback format to `check`.
fn each_feedback(mut check: impl FnMut(RtcpPacket<'_>)) {
    let (sender_ssrc, media_ssrc) = (1, 2);
    check(
        Pli {
            sender_ssrc,
            media_ssrc,
        }
        .into(),
    );
    let pairs = [NackPair {
        packet_id: 7,
        lost_after: 5,
    }];
    check(
        Nack {
            sender_ssrc,
            media_ssrc,
            pairs: Entries::new(&pairs),
        }
        .into(),
    );
    let entries = [SliEntry {
        first: 3,
        number: 4,
        picture_id: 5,
    }];
    check(
        Sli {
            sender_ssrc,
            media_ssrc,
            entries: Entries::new(&entries),
        }
        .into(),
    );
    let entries = [FirEntry {
        ssrc: 2,
        sequence: 9,
    }];
    check(
        Fir {
            sender_ssrc,
            entries: Entries::new(&entries),
        }
        .into(),
    );
    let limits = [Tmmb {
        ssrc: 2,
        bitrate_bps: 64_000,
        overhead: 40,
    }];
    check(
        Tmmbr {
            sender_ssrc,
            entries: Entries::new(&limits),
        }
        .into(),
    );
    check(
        Tmmbn {
            sender_ssrc,
            entries: Entries::new(&limits),
        }
        .into(),
    );
    let trades = [TemporalTradeOff {
        ssrc: 2,
        sequence: 1,
        index: 30,
    }];
    check(
        Tstr {
            sender_ssrc,
            entries: Entries::new(&trades),
        }
        .into(),
    );
    check(
        Tstn {
            sender_ssrc,
            entries: Entries::new(&trades),
        }
        .into(),
    );
    let ssrcs = Entries::new(&[2]);
    check(
        Remb {
            sender_ssrc,
            bitrate_bps: 64_000,
            ssrcs,
        }
        .into(),
    );
    let mut space = [0; 64];
    let target = FeedbackTarget {
        sender_ssrc,
        media_ssrc,
        feedback_count: 3,
        base_sequence: 4,
    };
    let len = write_transport_feedback(&mut space, &target, &[(4, 0), (6, 1_000)])
        .unwrap()
        .len;
    check(parse_one(&space[..len]).unwrap());
}

fn datagram(packets: &[&dyn Fn(&mut CompoundWriter<'_>)]) -> Vec<u8> {
    let mut out = [0; 256];
    let mut writer = CompoundWriter::new(&mut out);
    for push in packets {
        push(&mut writer);
    }
    let len = writer.finish();
    out[..len].to_vec()
}

fn report(writer: &mut CompoundWriter<'_>) {
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
}

#[test]
fn each_feedback_is_written_and_read_alone_in_pairs_and_behind_a_report() {
    let mut kinds = 0;
    each_feedback(|packet| {
        kinds += 1;
        let push = |writer: &mut CompoundWriter<'_>| writer.push(&packet).unwrap();
        let alone = datagram(&[&push]);
        assert!(is_reduced_size(&alone), "{packet:?}");
        assert_eq!(alone.len(), packet.wire_len());
        assert_eq!(parse_one(&alone), Ok(packet));
        let two = datagram(&[&push, &push]);
        assert!(is_reduced_size(&two));
        assert_eq!(parse_compound(&two).collect::<Vec<_>>(), [Ok(packet); 2]);
        let compound = datagram(&[&report, &push]);
        assert!(!is_reduced_size(&compound));
        let read: Vec<_> = parse_compound(&compound).collect();
        assert_eq!((read.len(), read[2]), (3, Ok(packet)));
    });
    assert_eq!(kinds, 10);
}

/// Only the last packet is to be padded (RFC 3550 section 6.4.1), but str0m pads its feedback wherever it stands.
#[test]
fn a_packet_may_be_padded_wherever_it_stands() {
    let pli = hex!("81 ce 0002 00000001 00000002");
    let padded = hex!("a1 ce 0003 00000001 00000002 00000004");
    let wanted = parse_compound(&pli).next();
    for datagram in [[&pli[..], &padded].concat(), [&padded[..], &pli].concat()] {
        let read: Vec<_> = parse_compound(&datagram).collect();
        assert_eq!(read.len(), 2);
        assert!(read.into_iter().all(|packet| Some(packet) == wanted));
    }
    let more_than_there_is = hex!("a1 ce 0003 00000001 00000002 00000040");
    let broken = [&more_than_there_is[..], &pli].concat();
    let read: Vec<_> = parse_compound(&broken).collect();
    assert_eq!(read[0], Err(RtcpError::Padding));
}
