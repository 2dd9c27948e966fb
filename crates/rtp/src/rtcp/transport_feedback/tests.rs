//! Tests of transport-wide feedback: exact chunks and deltas, splitting, bad input.

use hex_literal::hex;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::rtcp::{RtcpPacket, parse_compound};

const TARGET: FeedbackTarget = FeedbackTarget {
    sender_ssrc: 1,
    media_ssrc: 2,
    feedback_count: 3,
    base_sequence: 100,
};

fn write(base_sequence: u16, arrivals: &[(u16, u64)]) -> Vec<u8> {
    let mut out = vec![0xa5; 0x2_0000];
    let target = FeedbackTarget {
        base_sequence,
        ..TARGET
    };
    let written = write_transport_feedback(&mut out, &target, arrivals).unwrap();
    assert_eq!(written.taken, arrivals.len());
    let last = arrivals.last().unwrap().0;
    assert_eq!(written.next_sequence, last.wrapping_add(1));
    out.truncate(written.len);
    out
}

fn parse(data: &[u8]) -> Result<TransportFeedback<'_>, RtcpError> {
    match parse_compound(data).next().expect("one packet")? {
        RtcpPacket::TransportFeedback(feedback) => Ok(feedback),
        other => panic!("{other:?}"),
    }
}

/// The chunks and deltas that an otherwise fixed packet has.
fn body(base_sequence: u16, arrivals: &[(u16, u64)]) -> Vec<u8> {
    write(base_sequence, arrivals)[20..].to_vec()
}

/// Wraps chunks and deltas into a packet with reference time 0.
fn packet(status_count: u16, body: &[u8]) -> Vec<u8> {
    let mut data = hex!("8f cd 0000 00000001 00000002 0064 0000 000000 03").to_vec();
    data[14..16].copy_from_slice(&status_count.to_be_bytes());
    data.extend_from_slice(body);
    data.resize(data.len().next_multiple_of(4), 0);
    let words = (data.len() / 4 - 1) as u16;
    data[2..4].copy_from_slice(&words.to_be_bytes());
    data
}

fn received(data: &[u8]) -> Vec<(u16, i64)> {
    let statuses = parse(data).unwrap().statuses();
    statuses
        .filter_map(|(sequence, status)| match status {
            PacketStatus::Received { arrival_us } => Some((sequence, arrival_us)),
            PacketStatus::NotReceived => None,
        })
        .collect()
}

#[test]
fn one_packet_is_a_run_of_one_and_a_small_delta() {
    // 64 ms + 1 ms: reference time 1, delta 4 ticks.
    let data = write(100, &[(100, 65_000)]);
    assert_eq!(
        data,
        hex!("8f cd 0005 00000001 00000002 0064 0001 000001 03 2001 04 00")
    );
    let feedback = parse(&data).unwrap();
    assert_eq!(
        (feedback.base_sequence(), feedback.status_count()),
        (100, 1)
    );
    assert_eq!(
        (feedback.reference_time(), feedback.feedback_count()),
        (1, 3)
    );
    assert_eq!(received(&data), [(100, 65_000)]);
}

#[test]
fn equal_statuses_are_one_run_however_long() {
    let arrivals: Vec<_> = (0..9_000_u16)
        .map(|index| (index, u64::from(index) * 250))
        .collect();
    let body = body(0, &arrivals);
    assert_eq!(
        body[..4],
        hex!("3fff 2329"),
        "8191 and 809 received with small deltas"
    );
    assert_eq!(body.len(), (4 + 9_000_usize).next_multiple_of(4));
    assert_eq!(body[4], 0);
    assert!(body[5..4 + 9_000].iter().all(|delta| *delta == 1));
}

#[test]
fn mixed_statuses_without_large_deltas_take_one_bit_each() {
    let arrivals: Vec<_> = (0..14_u16)
        .filter(|index| index % 2 == 0 || *index == 13)
        .map(|index| (index, 0))
        .collect();
    assert_eq!(
        body(0, &arrivals)[..2],
        (0x8000_u16 | 0b10_1010_1010_1011).to_be_bytes()
    );
}

#[test]
fn mixed_statuses_with_large_deltas_take_two_bits_each() {
    // Received, lost, received 100 ms later, received 1 ms before that.
    let body = body(0, &[(0, 0), (2, 100_000), (3, 99_000)]);
    let chunk = 0xc000_u16 | 0b01_00_10_10_00_00_00;
    let expected = [&chunk.to_be_bytes()[..], &hex!("00 0190 fffc"), &[0]].concat();
    assert_eq!(body, expected);
}

#[test]
fn a_large_delta_ends_a_vector_of_single_bits_after_seven() {
    // Eight alternating statuses, then a large delta: seven fit two bits each, two remain.
    let mut arrivals: Vec<_> = (0..8).step_by(2).map(|sequence| (sequence, 0)).collect();
    arrivals.push((8, 1_000_000));
    let first = 0xc000_u16 | 0b01_00_01_00_01_00_01;
    let second = 0xc000_u16 | 0b00_10_00_00_00_00_00;
    let chunks = [first.to_be_bytes(), second.to_be_bytes()].concat();
    assert_eq!(body(0, &arrivals)[..4], chunks);
}

#[test]
fn losses_before_the_first_arrival_are_reported() {
    let data = write(65_530, &[(4, 0)]);
    let statuses: Vec<_> = parse(&data).unwrap().statuses().collect();
    assert_eq!(statuses.len(), 11);
    assert_eq!(statuses[0], (65_530, PacketStatus::NotReceived));
    assert_eq!(statuses[10], (4, PacketStatus::Received { arrival_us: 0 }));
}

#[test]
fn the_reference_time_has_24_bits() {
    let wrap_us = (1_u64 << 24) * 64_000;
    assert_eq!(
        parse(&write(1, &[(1, wrap_us + 64_000)]))
            .unwrap()
            .reference_time(),
        1
    );
    assert_eq!(
        parse(&write(1, &[(1, wrap_us - 64_000)]))
            .unwrap()
            .reference_time(),
        -1
    );
}

#[test]
fn arrivals_too_far_apart_go_into_the_next_packet() {
    let mut out = [0; 1_200];
    let second = 8_191_750;
    let arrivals = [(100, 0), (101, second), (102, 2 * second + 250)];
    let written = write_transport_feedback(&mut out, &TARGET, &arrivals).unwrap();
    assert_eq!((written.taken, written.next_sequence), (2, 102));
    assert_eq!(
        received(&out[..written.len]),
        [(100, 0), (101, second as i64)]
    );
    let backwards = [(100, 10_000_000), (101, 0)];
    assert_eq!(
        write_transport_feedback(&mut out, &TARGET, &backwards)
            .unwrap()
            .taken,
        1
    );
}

#[test]
fn a_packet_is_filled_and_never_overrun() {
    let arrivals: Vec<_> = (0..500)
        .map(|index| (100 + index, u64::from(index) * 100_000))
        .collect();
    for space in 0..200 {
        let mut out = vec![0; space];
        match write_transport_feedback(&mut out, &TARGET, &arrivals) {
            Ok(written) => {
                assert!(written.len <= space);
                // The first delta is small and alone, all others are large runs of two bytes.
                let space = space / 4 * 4 - 20;
                assert!(space - (written.len - 20) < 4, "{space} {written:?}");
                assert_eq!(received(&out[..written.len]).len(), written.taken);
            }
            Err(error) => {
                assert_eq!(error, RtcpError::NoSpace);
                assert!(space < 24);
            }
        }
    }
}

#[test]
fn an_empty_or_unordered_list_is_refused_or_cut() {
    let mut out = [0; 100];
    let result = write_transport_feedback(&mut out, &TARGET, &[]);
    assert_eq!(result, Err(RtcpError::Value));
    let result = write_transport_feedback(&mut out, &TARGET, &[(99, 0)]);
    assert_eq!(result, Err(RtcpError::Value));
    let result = write_transport_feedback(&mut out, &TARGET, &[(101, 0), (100, 0)]);
    assert_eq!(result.unwrap().taken, 1);
    let result = write_transport_feedback(&mut out, &TARGET, &[(101, 0), (101, 0)]);
    assert_eq!(result.unwrap().taken, 1);
}

#[test]
fn a_count_of_65535_is_the_most_a_packet_reports() {
    let mut out = vec![0; 1_200];
    let target = FeedbackTarget {
        base_sequence: 0,
        ..TARGET
    };
    let arrivals = [(0x7fff, 0), (0xfffe, 0), (0xffff, 0)];
    let written = write_transport_feedback(&mut out, &target, &arrivals).unwrap();
    assert_eq!((written.taken, written.next_sequence), (2, 0xffff));
    assert_eq!(parse(&out[..written.len]).unwrap().status_count(), 0xffff);
    assert_eq!(received(&out[..written.len]), [(0x7fff, 0), (0xfffe, 0)]);
}

#[test]
fn every_kind_of_chunk_is_read() {
    // A run of three lost, one bit each (1 then 13 lost), two bits each (large, small, 5 lost).
    let data = packet(24, &hex!("0003 a000 e400 04 ff38 08"));
    assert_eq!(
        received(&data),
        [(103, 1_000), (117, 1_000 - 50_000), (118, 1_000 - 48_000)]
    );
    assert_eq!(parse(&data).unwrap().statuses().count(), 24);
}

#[test]
fn symbols_beyond_the_count_mean_nothing() {
    let data = packet(2, &hex!("bfff 01 02"));
    assert_eq!(received(&data), [(100, 250), (101, 750)]);
    assert_eq!(received(&packet(1, &hex!("3fff 01"))), [(100, 250)]);
}

#[test]
fn padding_may_be_marked_or_not() {
    let mut data = packet(1, &hex!("2001 04"));
    assert_eq!(received(&data), [(100, 1_000)]);
    data[0] |= 0x20;
    *data.last_mut().unwrap() = 1;
    assert_eq!(received(&data), [(100, 1_000)]);
}

#[test]
fn bad_feedback_is_an_error() {
    for (data, error) in [
        (packet(0, &hex!("2001 04")), RtcpError::Value),
        (packet(1, &hex!("6001 04")), RtcpError::Value),
        (packet(7, &hex!("c003 04")), RtcpError::Value),
        (packet(1, &[]), RtcpError::Truncated),
        (packet(8, &hex!("2008 04")), RtcpError::Truncated),
        (packet(9, &hex!("2001 04")), RtcpError::Truncated),
        (packet(1, &hex!("0000 0000")), RtcpError::Truncated),
    ] {
        assert_eq!(parse(&data), Err(error), "{data:x?}");
    }
    let short = hex!("8f cd 0003 00000001 00000002 00640001");
    assert_eq!(parse(&short), Err(RtcpError::Truncated));
}

proptest! {
    #[test]
    fn what_is_reported_is_what_arrived(
        base: u16, start_us in 0_u64..1 << 40, space in 28_usize..400,
        steps in vec((0_u16..40, -70_000_i64..70_000), 1..200),
    ) {
        let (mut sequence, mut at) = (base, start_us as i64 + 100_000_000);
        let mut arrivals = Vec::new();
        for (gap, delta_us) in steps {
            sequence = sequence.wrapping_add(gap);
            at += delta_us;
            arrivals.push((sequence, at as u64));
            sequence = sequence.wrapping_add(1);
        }
        let mut target = FeedbackTarget { base_sequence: base, ..TARGET };
        let mut left = &arrivals[..];
        while !left.is_empty() {
            let mut out = vec![0xa5; space];
            let written = write_transport_feedback(&mut out, &target, left).expect("in order");
            prop_assert!(written.taken > 0);
            let (taken, rest) = left.split_at(written.taken);
            let read = received(&out[..written.len]);
            let shift = taken[0].1 as i64 / 250 * 250 - read[0].1;
            prop_assert_eq!(shift % (64_000 << 24), 0, "only the reference time's wrap is lost");
            let expected: Vec<_> =
                taken.iter().map(|(sequence, at)| (*sequence, *at as i64 / 250 * 250 - shift)).collect();
            prop_assert_eq!(read, expected);
            let feedback = parse(&out[..written.len]).expect("just read");
            let mut again = vec![0; written.len];
            prop_assert_eq!(feedback.write(&mut again), Ok(written.len));
            prop_assert_eq!(&again, &out[..written.len]);
            target.base_sequence = written.next_sequence;
            left = rest;
        }
    }
}
