//! Reports, descriptions, goodbyes as RFC 3550 and RFC 3611 draw them.

use hex_literal::hex;

use super::{assert_wire, parse_one};
use crate::NtpTime;
use crate::rtcp::*;

pub(super) const BLOCK: ReportBlock = ReportBlock {
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
