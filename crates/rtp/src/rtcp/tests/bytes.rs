//! Packets as the RFCs draw them, byte by byte, and what is wrong with others.

use hex_literal::hex;

use crate::NtpTime;
use crate::rtcp::*;

fn write(packet: &impl RtcpWrite) -> Vec<u8> {
    let mut out = vec![0xa5; packet.wire_len()];
    assert_eq!(packet.write(&mut out), Ok(out.len()));
    out
}

fn parse_one(data: &[u8]) -> Result<RtcpPacket<'_>, RtcpError> {
    let mut packets = parse_compound(data);
    let first = packets.next().expect("one packet");
    assert!(packets.next().is_none());
    first
}

#[track_caller]
fn assert_wire<'a>(packet: impl Into<RtcpPacket<'a>>, wire: &[u8]) {
    let packet = packet.into();
    assert_eq!(write(&packet), wire);
    assert_eq!(parse_one(wire), Ok(packet));
}

const BLOCK: ReportBlock = ReportBlock {
    ssrc: 0x0102_0304,
    fraction_lost: 0x40,
    cumulative_lost: -2,
    highest_sequence: 0x0001_fffe,
    jitter: 0x55,
    last_sr: 0xaabb_ccdd,
    delay_since_last_sr: 0x0001_8000,
};

const BLOCK_WIRE: [u8; 24] = hex!("01020304 40 fffffe 0001fffe 00000055 aabbccdd 00018000");

#[test]
fn a_pli_is_12_bytes() {
    assert_wire(
        Pli {
            sender_ssrc: 1,
            media_ssrc: 0x0a0b_0c0d,
        },
        &hex!("81 ce 0002 00000001 0a0b0c0d"),
    );
}

#[test]
fn a_fir_with_one_entry_is_20_bytes() {
    let entries = [FirEntry {
        ssrc: 0x0a0b_0c0d,
        sequence: 7,
    }];
    assert_wire(
        Fir {
            sender_ssrc: 1,
            entries: Entries::new(&entries),
        },
        &hex!("84 ce 0004 00000001 00000000 0a0b0c0d 07 000000"),
    );
}

#[test]
fn a_remb_with_one_ssrc_is_24_bytes() {
    // 2,500,000 = 156,250 << 4.
    assert_wire(
        Remb {
            sender_ssrc: 1,
            bitrate_bps: 2_500_000,
            ssrcs: Entries::new(&[0x0a0b_0c0d]),
        },
        &hex!("8f ce 0005 00000001 00000000 52454d42 01 12625a 0a0b0c0d"),
    );
}

#[test]
fn a_nack_names_a_packet_and_sixteen_after_it() {
    let pairs = [NackPair {
        packet_id: 0xfffe,
        lost_after: 0x8003,
    }];
    let nack = Nack {
        sender_ssrc: 1,
        media_ssrc: 2,
        pairs: Entries::new(&pairs),
    };
    assert_wire(nack, &hex!("81 cd 0003 00000001 00000002 fffe 8003"));
    assert_eq!(
        nack.sequences().collect::<Vec<_>>(),
        [0xfffe, 0xffff, 0x0000, 0x000e]
    );
}

#[test]
fn sorted_sequences_pack_into_the_fewest_pairs() {
    let pairs: Vec<_> = NackPairs::from_sorted([65_530, 65_531, 65_531, 10, 11, 28, 100]).collect();
    let expected = [(65_530, 0x8001), (11, 0), (28, 0), (100, 0)];
    let expected = expected.map(|(packet_id, lost_after)| NackPair {
        packet_id,
        lost_after,
    });
    assert_eq!(pairs, expected);
    assert_eq!(NackPairs::from_sorted([]).count(), 0);
}

#[test]
fn an_sli_packs_13_13_and_6_bits() {
    let entries = [SliEntry {
        first: 0x1001,
        number: 0x0802,
        picture_id: 0x21,
    }];
    assert_wire(
        Sli {
            sender_ssrc: 1,
            media_ssrc: 2,
            entries: Entries::new(&entries),
        },
        &hex!("82 ce 0003 00000001 00000002 800a 00a1"),
    );
}

#[test]
fn rate_limits_have_17_significant_bits_and_never_grow() {
    let limit = |bitrate_bps| Tmmb {
        ssrc: 2,
        bitrate_bps,
        overhead: 40,
    };
    let entries = [limit(1_000_000)];
    let wire = hex!("83 cd 0004 00000001 00000000 00000002 00000000");
    // 1,000,000 = 125,000 << 3: exponent 3 in six bits, mantissa 0x1e848 in 17, overhead in 9.
    let word = (3_u32 << 26) + (125_000 << 9) + 40;
    let mut expected = wire;
    expected[16..].copy_from_slice(&word.to_be_bytes());
    assert_wire(
        Tmmbr {
            sender_ssrc: 1,
            entries: Entries::new(&entries),
        },
        &expected,
    );
    expected[0] = 0x84;
    assert_wire(
        Tmmbn {
            sender_ssrc: 1,
            entries: Entries::new(&entries),
        },
        &expected,
    );
    assert_wire(
        Tmmbn {
            sender_ssrc: 1,
            entries: Entries::empty(),
        },
        &hex!("84 cd 0002 00000001 00000000"),
    );
    for bitrate in [0, 1, 131_071, 131_072, 131_073, 12_345_678_901, u64::MAX] {
        let mut bytes = [0; 8];
        limit(bitrate).write(&mut bytes);
        let read = Tmmb::read(&bytes).bitrate_bps;
        assert!(
            read <= bitrate && bitrate - read <= bitrate >> 16,
            "{bitrate} {read}"
        );
    }
}

#[test]
fn rates_too_large_for_64_bits_are_the_largest() {
    let word = (63_u32 << 26) | (0x1_ffff << 9);
    let mut bytes = [0; 8];
    bytes[4..].copy_from_slice(&word.to_be_bytes());
    assert_eq!(Tmmb::read(&bytes).bitrate_bps, 0x1_ffff << 47);
}

#[test]
fn trade_offs_have_a_number_and_an_index() {
    let entries = [TemporalTradeOff {
        ssrc: 2,
        sequence: 9,
        index: 31,
    }];
    assert_wire(
        Tstr {
            sender_ssrc: 1,
            entries: Entries::new(&entries),
        },
        &hex!("85 ce 0004 00000001 00000000 00000002 09 00001f"),
    );
    assert_wire(
        Tstn {
            sender_ssrc: 1,
            entries: Entries::new(&entries),
        },
        &hex!("86 ce 0004 00000001 00000000 00000002 09 00001f"),
    );
}

#[test]
fn a_sender_report_carries_blocks_and_a_profile_extension() {
    let report = SenderReport {
        ssrc: 1,
        ntp: NtpTime(0x1122_3344_5566_7788),
        rtp_timestamp: 2,
        packet_count: 3,
        octet_count: 4,
        reports: Entries::new(&[BLOCK]),
        extension: &hex!("deadbeef"),
    };
    let head = hex!("81 c8 000d 00000001 1122334455667788 00000002 00000003 00000004");
    assert_wire(
        report,
        &[&head[..], &BLOCK_WIRE, &hex!("deadbeef")].concat(),
    );
}

#[test]
fn a_receiver_report_may_be_empty() {
    assert_wire(
        ReceiverReport {
            ssrc: 9,
            ..ReceiverReport::default()
        },
        &hex!("80 c9 0001 00000009"),
    );
    let full = ReceiverReport {
        ssrc: 9,
        reports: Entries::new(&[BLOCK]),
        extension: &[],
    };
    assert_wire(
        full,
        &[&hex!("81 c9 0007 00000009")[..], &BLOCK_WIRE].concat(),
    );
}

#[test]
fn losses_are_clamped_to_24_bits() {
    for (lost, shown) in [
        (i32::MAX, 0x7f_ffff),
        (i32::MIN, -0x80_0000),
        (-1, -1),
        (5, 5),
    ] {
        let mut bytes = [0; 24];
        ReportBlock {
            cumulative_lost: lost,
            ..BLOCK
        }
        .write(&mut bytes);
        assert_eq!(ReportBlock::read(&bytes).cumulative_lost, shown);
    }
}

#[test]
fn descriptions_end_each_chunk_with_zeros() {
    let items = [
        SdesItem {
            kind: SdesKind::Cname,
            value: b"abcd",
        },
        SdesItem {
            kind: SdesKind::Mid,
            value: b"0",
        },
    ];
    let whole = [SdesItem {
        kind: SdesKind::Other(200),
        value: b"x",
    }];
    let chunks = [
        SdesChunk::new(1, &items),
        SdesChunk::new(2, &whole),
        SdesChunk::new(3, &[]),
    ];
    let description = SourceDescription::new(&chunks);
    assert_wire(
        description,
        &hex!(
            "83 ca 0008 00000001 01 04 61626364 0f 01 30 000000"
            "00000002 c8 01 78 00 00000003 00000000"
        ),
    );
    assert_eq!(chunks[0].cname(), Some(&b"abcd"[..]));
    assert_eq!(chunks[1].cname(), None);
}

#[test]
fn descriptions_that_do_not_end_are_errors() {
    for wire in [
        &hex!("81 ca 0001 00000001")[..],
        &hex!("81 ca 0002 00000001 01 02 61 62"),
        &hex!("81 ca 0002 00000001 01 03 61 62"),
        &hex!("82 ca 0002 00000001 01 01 61 00"),
        &hex!("81 ca 0000"),
    ] {
        assert_eq!(parse_one(wire), Err(RtcpError::Truncated), "{wire:x?}");
    }
    let zero = [SdesItem {
        kind: SdesKind::Other(0),
        value: b"",
    }];
    let packet = SourceDescription::new(&[SdesChunk::new(1, &zero)]).write(&mut [0; 64]);
    assert_eq!(packet, Err(RtcpError::Value));
}

#[test]
fn a_goodbye_may_give_a_reason() {
    let ssrcs = [1, 2];
    assert_wire(
        Goodbye {
            ssrcs: Entries::new(&ssrcs),
            reason: b"",
        },
        &hex!("82 cb 0002 00000001 00000002"),
    );
    assert_wire(
        Goodbye {
            ssrcs: Entries::new(&ssrcs),
            reason: b"over",
        },
        &hex!("82 cb 0004 00000001 00000002 04 6f766572 000000"),
    );
    assert_wire(Goodbye::default(), &hex!("80 cb 0000"));
    assert_eq!(
        parse_one(&hex!("80 cb 0001 04 616263")),
        Err(RtcpError::Truncated)
    );
    assert_eq!(
        parse_one(&hex!("82 cb 0001 00000001")),
        Err(RtcpError::Truncated)
    );
    let long = Goodbye {
        ssrcs: Entries::empty(),
        reason: &[b'x'; 256],
    };
    assert_eq!(long.write(&mut [0; 512]), Err(RtcpError::Length));
}

#[test]
fn applications_have_a_name_and_whole_words() {
    let packet = App {
        subtype: 5,
        ssrc: 1,
        name: *b"test",
        data: &hex!("01020304"),
    };
    assert_wire(packet, &hex!("85 cc 0003 00000001 74657374 01020304"));
    assert_eq!(
        App {
            data: &[1],
            ..packet
        }
        .write(&mut [0; 64]),
        Err(RtcpError::Length)
    );
    assert_eq!(
        App {
            subtype: 32,
            ..packet
        }
        .write(&mut [0; 64]),
        Err(RtcpError::Value)
    );
    assert_eq!(
        parse_one(&hex!("85 cc 0001 00000001")),
        Err(RtcpError::Truncated)
    );
}

#[test]
fn extended_reports_carry_reference_times_their_answers_and_voip_metrics() {
    let metrics = VoipMetrics {
        ssrc: 2,
        loss_rate: 1,
        discard_rate: 2,
        burst_density: 3,
        gap_density: 4,
        burst_duration_ms: 0x0506,
        gap_duration_ms: 0x0708,
        round_trip_delay_ms: 0x090a,
        end_system_delay_ms: 0x0b0c,
        signal_level: -20,
        noise_level: -60,
        echo_return_loss: 127,
        gmin: 16,
        r_factor: 93,
        external_r_factor: 127,
        mos_listening: 43,
        mos_conversational: 42,
        receiver_config: 0xb0,
        jitter_buffer_nominal_ms: 40,
        jitter_buffer_maximum_ms: 80,
        jitter_buffer_absolute_ms: 200,
    };
    let answers = [DlrrEntry {
        ssrc: 3,
        last_rr: 0x1122_3344,
        delay_since_last_rr: 0x0001_0000,
    }];
    let blocks = [
        XrBlock::ReceiverReferenceTime(NtpTime(0x0102_0304_0506_0708)),
        XrBlock::Dlrr(Entries::new(&answers)),
        XrBlock::VoipMetrics(metrics),
        XrBlock::Other {
            block_type: 42,
            type_specific: 9,
            body: &hex!("cafebabe"),
        },
    ];
    assert_wire(
        ExtendedReport::new(1, &blocks),
        &hex!(
            "80 cf 0013 00000001"
            "04 00 0002 0102030405060708"
            "05 00 0003 00000003 11223344 00010000"
            "07 00 0008 00000002 01020304 0506 0708 090a 0b0c ec c4 7f 10 5d 7f 2b 2a b0 00 0028 0050 00c8"
            "2a 09 0001 cafebabe"
        ),
    );
}

#[test]
fn extended_report_blocks_of_a_wrong_length_are_errors() {
    for (wire, error) in [
        (
            &hex!("80 cf 0002 00000001 04 00 0000")[..],
            RtcpError::Length,
        ),
        (
            &hex!("80 cf 0003 00000001 05 00 0001 00000000"),
            RtcpError::Length,
        ),
        (
            &hex!("80 cf 0003 00000001 07 00 0001 00000000"),
            RtcpError::Length,
        ),
        (
            &hex!("80 cf 0002 00000001 2a 00 0001"),
            RtcpError::Truncated,
        ),
        (&hex!("80 cf 0000"), RtcpError::Truncated),
    ] {
        assert_eq!(parse_one(wire), Err(error), "{wire:x?}");
    }
    let disguised = [XrBlock::Other {
        block_type: 4,
        type_specific: 0,
        body: &[],
    }];
    let result = ExtendedReport::new(1, &disguised).write(&mut [0; 64]);
    assert_eq!(result, Err(RtcpError::Value));
}

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
