//! Streams that no encoder at hand makes, put together packet by packet.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Line, checksum, pat, pes, pmt, read, read_split, table, units};
use hex_literal::hex;
use roomtone_mpegts::{
    Codec, Demuxer, DropReason, Event, ForeignSize, Limits, SpliceCommand, StreamRefusal, TrackId,
};

const MAP: u16 = 0x1000;
/// x264, 1280x720, main profile.
const SPS: [u8; 24] = hex!("674d401fd9005005ba10000003001000000303c8f1832480");
const PPS: [u8; 5] = hex!("68ebc3cb20");
const IDR: [u8; 4] = [0x65, 0x88, 0x80, 0x11];
const SLICE: [u8; 4] = [0x41, 0x9a, 0x22, 0x33];

/// Tables of one program with these streams.
fn head(streams: &[(u8, u16, &[u8])]) -> Vec<u8> {
    let map = pmt(1, 0, streams[0].1, streams);
    let association = Line::new(0).sections(&pat(0, &[(1, MAP)]));
    [association, Line::new(MAP).sections(&map)].concat()
}

fn annexb(nals: &[&[u8]]) -> Vec<u8> {
    nals.iter()
        .flat_map(|nal| [&[0, 0, 0, 1][..], nal].concat())
        .collect()
}

/// A cue at a number, with its checksum.
fn cue(event: u32) -> Vec<u8> {
    let mut section = hex!(
        "fc302f000000000000fffff014054800008f7feffe7369c02efe0052ccf500000000000a000843554549000001350000 0000"
    )
    .to_vec();
    section[14..18].copy_from_slice(&event.to_be_bytes());
    let end = section.len() - 4;
    let sum = checksum(&section[..end]);
    section[end..].copy_from_slice(&sum.to_be_bytes());
    section
}

fn cues(events: &[Event]) -> Vec<u32> {
    let id = |event: &Event| match event {
        Event::Splice { splice, .. } => match splice.command {
            SpliceCommand::Insert(insert) => Some(insert.event_id),
            _ => None,
        },
        _ => None,
    };
    events.iter().filter_map(id).collect()
}

#[test]
fn every_cue_comes_through_those_that_share_a_packet_and_repeated_ones_too() {
    let mut line = Line::new(0x1f0);
    let many: Vec<u8> = (0..40).flat_map(|n| cue(n / 2)).collect();
    let mut stream = head(&[(0x86, 0x1f0, b"\x05\x04CUEI")]);
    // Forty in one run of packets, then three that each have a packet, then one in pieces.
    stream.extend(line.sections(&many));
    for n in 100..103 {
        stream.extend(line.sections(&cue(n)));
    }
    let piecemeal = [&[0][..], &cue(200)].concat();
    for (n, part) in piecemeal.chunks(7).enumerate() {
        let last = (n + 1) * 7 >= piecemeal.len();
        let fill = if last { vec![0xff; 20] } else { vec![] };
        stream.extend(line.packet(n == 0, &[part, &fill].concat()));
    }
    let expected: Vec<u32> = (0..40).map(|n| n / 2).chain([100, 101, 102, 200]).collect();
    for run in [1, 187, 1316, usize::MAX] {
        let (events, stats) = read_split(&stream, run);
        assert_eq!(cues(&events), expected, "runs of {run}");
        assert_eq!(stats.dropped.iter().sum::<u64>(), 0);
    }
}

#[test]
fn cues_whose_counter_stands_still_are_not_taken_for_one() {
    let mut stream = head(&[(0x86, 0x1f0, b"")]);
    for n in [1, 2, 2, 3] {
        stream.extend(Line::new(0x1f0).sections(&cue(n)));
    }
    let (events, stats) = read(&stream);
    assert_eq!(cues(&events), [1, 2, 3]);
    assert_eq!(
        stats.duplicates, 1,
        "the same packet with the same counter is one sent twice"
    );
}

#[test]
fn a_damaged_cue_is_dropped_with_a_reason_and_the_next_is_read() {
    let mut line = Line::new(0x1f0);
    let mut damaged = cue(1);
    damaged[20] ^= 1;
    let mut stream = head(&[(0x86, 0x1f0, b"\x05\x04CUEI")]);
    stream.extend(line.sections(&[damaged, cue(2)].concat()));
    let (events, stats) = read(&stream);
    assert_eq!(cues(&events), [2]);
    assert_eq!(
        (stats.checksum_errors, stats.dropped(DropReason::Malformed)),
        (1, 1)
    );
}

#[test]
fn tags_come_with_their_times_several_of_a_packet_and_one_over_two_packets() {
    let tag = |n: u8| [&b"ID3\x04\x00\x00\x00\x00\x00\x05"[..], &[n; 5]].concat();
    let mut line = Line::new(0x102);
    let descriptor = b"\x26\x0d\xff\xffID3 \xffID3 \x00\x0f";
    let mut stream = head(&[(0x15, 0x102, descriptor)]);
    let two = [tag(1), tag(2)].concat();
    stream.extend(line.pes(&pes(0xbd, Some(9000), true, &two)));
    let three = tag(3);
    stream.extend(line.pes(&pes(0xbd, Some(18_000), true, &three[..6])));
    stream.extend(line.pes(&pes(
        0xbd,
        Some(27_000),
        true,
        &[&three[6..], &tag(4)].concat(),
    )));
    let (events, _) = read(&stream);
    let tags: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Id3 { pts, data, .. } => Some((pts.unwrap(), data[10])),
            _ => None,
        })
        .collect();
    assert_eq!(tags, [(9000, 1), (9000, 2), (18_000, 3), (27_000, 4)]);
}

#[test]
fn a_picture_may_come_in_several_packets_and_several_in_one() {
    let mut line = Line::new(0x100);
    let mut stream = head(&[(0x1b, 0x100, b"")]);
    let second_slice: &[u8] = &[0x41, 0x40, 5];
    let pieces = [
        (Some(3600), annexb(&[&[9, 0xf0], &SPS, &PPS, &IDR])),
        (None, annexb(&[&[0x65, 0x40, 7]])),
        (Some(7200), annexb(&[&[9, 0xf0], &SLICE, second_slice])),
        (
            Some(10_800),
            annexb(&[&[9, 0xf0], &SLICE, &[9, 0xf0], &SLICE, &[9, 0xf0], &SLICE]),
        ),
    ];
    for (pts, payload) in &pieces {
        stream.extend(line.pes(&pes(0xe0, *pts, false, payload)));
    }
    let (events, stats) = read(&stream);
    let times: Vec<_> = units(&events, TrackId(0))
        .iter()
        .map(|unit| (unit.1, unit.3.len()))
        .collect();
    let (two, one) = (4 + 4 + 4 + 3, 8);
    assert_eq!(
        times,
        [
            (3600, two),
            (7200, two),
            (10_800, one),
            (14_400, one),
            (18_000, one)
        ]
    );
    assert_eq!(stats.dropped.iter().sum::<u64>(), 0);
}

#[test]
fn a_picture_that_only_recovers_is_where_decoding_begins() {
    let mut line = Line::new(0x100);
    let mut stream = head(&[(0x1b, 0x100, b"")]);
    let recovery: &[u8] = &[0x06, 0x06, 0x01, 0xc4, 0x80];
    let pictures = [
        annexb(&[&SLICE]),
        annexb(&[&SPS, &PPS, recovery, &[0x41, 0x88, 1]]),
        annexb(&[&SLICE]),
    ];
    for (n, picture) in pictures.iter().enumerate() {
        stream.extend(line.pes(&pes(0xe0, Some(3600 * n as u64), false, picture)));
    }
    let (events, stats) = read(&stream);
    let keyframes: Vec<_> = units(&events, TrackId(0))
        .iter()
        .map(|unit| unit.2)
        .collect();
    assert_eq!(keyframes, [true, false]);
    assert_eq!(stats.dropped(DropReason::Undecodable), 1);
}

#[test]
fn streams_that_are_not_read_are_told_with_a_reason() {
    let streams: [(u8, u16, &[u8]); 3] = [
        (0x1b, 0x100, b""),
        (0x02, 0x101, b""),
        (0x06, 0x102, b"\x05\x04Opus\x7f\x02\x80\x06"),
    ];
    let (events, _) = read(&head(&streams));
    let refused: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::StreamRefused {
                stream_type,
                reason,
                ..
            } => Some((*stream_type, *reason)),
            _ => None,
        })
        .collect();
    assert_eq!(
        refused,
        [
            (2, StreamRefusal::UnknownCodec),
            (6, StreamRefusal::OpusChannels)
        ]
    );
}

#[test]
fn programs_come_and_go_and_their_maps_change() {
    let video = |pid| (0x1b_u8, pid, &b""[..]);
    let (mut association, mut tables) = (Line::new(0), Line::new(MAP));
    let stream = [
        association.sections(&pat(0, &[(1, MAP), (2, MAP + 1)])),
        tables.sections(&pmt(1, 0, 0x100, &[video(0x100), (0x0f, 0x101, b"")])),
        Line::new(MAP + 1).sections(&pmt(2, 0, 0x200, &[video(0x200)])),
        // Sound becomes another codec on the same PID; then the second program goes.
        tables.sections(&pmt(1, 1, 0x100, &[video(0x100), (0x03, 0x101, b"")])),
        association.sections(&pat(1, &[(1, MAP)])),
    ]
    .concat();
    let (events, _) = read(&stream);
    let told: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::TrackAdded { track, stream } => (track.0, Some(stream.codec)),
            Event::TrackRemoved { track } => (track.0, None),
            other => panic!("{other:?}"),
        })
        .collect();
    let h264 = Codec::Video(roomtone_frames::NalCodec::H264);
    let expected = [
        (0, Some(h264)),
        (1, Some(Codec::AacAdts)),
        (2, Some(h264)),
        (1, None),
        (3, Some(Codec::MpegAudio)),
        (2, None),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_map_that_repeats_or_is_damaged_changes_nothing() {
    let map = pmt(1, 0, 0x100, &[(0x1b, 0x100, b"")]);
    let mut damaged = map.clone();
    damaged[13] ^= 1;
    let later = {
        let mut section = pmt(1, 3, 0x100, &[(0x1b, 0x300, b"")]);
        // In force later.
        section[5] &= !1;
        let end = section.len() - 4;
        let sum = checksum(&section[..end]);
        section[end..].copy_from_slice(&sum.to_be_bytes());
        section
    };
    let mut line = Line::new(MAP);
    let mut stream = Line::new(0).sections(&pat(0, &[(1, MAP)]));
    for section in [
        &map,
        &map,
        &damaged,
        &later,
        &table(0x42, 1, 0, &[1, 2, 3]),
        &map,
    ] {
        stream.extend(line.sections(section));
    }
    let (events, stats) = read(&stream);
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(stats.checksum_errors, 1);
}

#[test]
fn packets_of_192_bytes_are_refused_by_name_and_once() {
    let packets = head(&[(0x1b, 0x100, b"")]);
    let packets = packets.repeat(8);
    let stamped: Vec<u8> = packets
        .chunks(188)
        .flat_map(|packet| [&[1, 2, 3, 4][..], packet].concat())
        .collect();
    let (events, stats) = read_split(&stamped, 100);
    assert_eq!(
        events,
        [Event::Refused {
            size: ForeignSize::Stamped
        }]
    );
    assert_eq!(stats.packets, 0);
}

#[test]
fn a_unit_without_end_is_dropped_at_its_limit_and_holds_no_more() {
    let limits = Limits {
        unit_bytes: 10_000,
        ..Limits::default()
    };
    let mut demuxer = Demuxer::new(limits);
    demuxer.handle_bytes(&head(&[(0x1b, 0x100, b"")]));
    let mut line = Line::new(0x100);
    demuxer.handle_bytes(&line.pes(&pes(0xe0, Some(0), false, &annexb(&[&IDR]))));
    for _ in 0..1000 {
        demuxer.handle_bytes(&line.packet(false, &[7; 184]));
        assert!(demuxer.held_bytes() <= 10_000);
    }
    assert_eq!(demuxer.stats().dropped(DropReason::TooLarge), 1);
}

#[test]
fn a_picture_of_endless_packets_is_dropped_too() {
    let mut line = Line::new(0x100);
    let mut stream = head(&[(0x1b, 0x100, b"")]);
    stream.extend(line.pes(&pes(0xe0, Some(0), true, &annexb(&[&SPS, &PPS, &IDR]))));
    for _ in 0..500 {
        stream.extend(line.pes(&pes(0xe0, None, true, &annexb(&[&[0x65, 0x40, 7]]))));
    }
    let (_, stats) = read(&stream);
    assert_eq!(stats.given, 0);
    assert_eq!(stats.dropped(DropReason::TooLarge), 1);
}

#[test]
fn events_that_nobody_takes_are_bounded_and_cues_outlast_units() {
    let limits = Limits {
        events: 10,
        ..Limits::default()
    };
    let mut demuxer = Demuxer::new(limits);
    let streams: [(u8, u16, &[u8]); 2] = [(0x03, 0x101, b""), (0x86, 0x1f0, b"\x05\x04CUEI")];
    demuxer.handle_bytes(&head(&streams));
    // 32 kbit/s of layer III at 48 kHz.
    let mp3 = [&[0xff, 0xfb, 0x14, 0xc0][..], &[0; 92]].concat();
    let (mut sound, mut line) = (Line::new(0x101), Line::new(0x1f0));
    for n in 0..100 {
        demuxer.handle_bytes(&sound.pes(&pes(0xc0, Some(n), true, &mp3)));
    }
    demuxer.handle_bytes(&line.sections(&cue(7)));
    demuxer.finish();
    let events: Vec<_> = std::iter::from_fn(|| demuxer.poll_event()).collect();
    assert_eq!(cues(&events), [7]);
    let stats = demuxer.stats();
    assert_eq!((events.len(), stats.given), (11, 8));
    assert_eq!(stats.dropped(DropReason::NotTaken), 93);
}

#[test]
fn scrambled_media_is_counted_and_told() {
    let mut line = Line::new(0x100);
    let mut packet = line.packet(true, &pes(0xe0, Some(0), false, &annexb(&[&IDR])));
    packet[3] |= 0x80;
    let (_, stats) = read(&[head(&[(0x1b, 0x100, b"")]), packet].concat());
    assert_eq!(
        (stats.scrambled, stats.dropped(DropReason::Scrambled)),
        (1, 1)
    );
}

/// The parameter sets of a stream that FFmpeg encoded interlaced.
fn interlaced_sets() -> (Vec<u8>, Vec<u8>) {
    let (events, _) = read(include_bytes!("vectors/h264_fields_latm.ts"));
    let sets = events.iter().find_map(|event| match event {
        Event::Format {
            format: roomtone_frames::Format::H264(h264),
            ..
        } => Some((h264.sps.to_vec(), h264.pps[0].to_vec())),
        _ => None,
    });
    sets.unwrap()
}

#[test]
fn two_fields_with_one_time_are_one_unit_and_with_a_time_each_they_are_two() {
    let (sps, pps) = interlaced_sets();
    let mut line = Line::new(0x100);
    let mut stream = head(&[(0x1b, 0x100, b"")]);
    let pieces = [
        (
            0,
            annexb(&[&[9, 0xf0], &sps, &pps, &IDR, &[9, 0xf0], &SLICE]),
        ),
        (3600, annexb(&[&[9, 0xf0], &SLICE, &[9, 0xf0], &SLICE])),
        (7200, annexb(&[&[9, 0xf0], &SLICE])),
        (9000, annexb(&[&[9, 0xf0], &SLICE])),
    ];
    for (pts, payload) in &pieces {
        stream.extend(line.pes(&pes(0xe0, Some(*pts), false, payload)));
    }
    let (events, _) = read(&stream);
    let found: Vec<_> = units(&events, TrackId(0))
        .iter()
        .map(|unit| (unit.1, unit.3.len()))
        .collect();
    assert_eq!(found, [(0, 16), (3600, 16), (7200, 8), (9000, 8)]);
}

#[test]
fn another_size_is_told_before_the_first_picture_of_it() {
    let (sps, pps) = interlaced_sets();
    let mut line = Line::new(0x100);
    let mut stream = head(&[(0x1b, 0x100, b"")]);
    let pieces = [
        annexb(&[&SPS, &PPS, &IDR]),
        annexb(&[&SLICE]),
        // The same sets again are no news.
        annexb(&[&SPS, &PPS, &IDR]),
        annexb(&[&sps, &pps, &IDR]),
    ];
    for (n, payload) in pieces.iter().enumerate() {
        stream.extend(line.pes(&pes(0xe0, Some(n as u64 * 3600), false, payload)));
    }
    let (events, _) = read(&stream);
    let told: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Format { format, .. } => format.size(),
            Event::Unit { .. } => Some((0, 0)),
            _ => None,
        })
        .collect();
    let unit = (0, 0);
    assert_eq!(told, [(1280, 720), unit, unit, unit, (160, 96), unit]);
}

#[test]
fn leading_pictures_of_hevc_are_left_out_where_decoding_begins_at_their_keyframe() {
    let (events, _) = read(include_bytes!("vectors/hevc_opus.ts"));
    let sets = events.iter().find_map(|event| match event {
        Event::Format { format, .. } if format.is_video() => Some(
            format
                .parameter_sets()
                .into_iter()
                .cloned()
                .collect::<Vec<_>>(),
        ),
        _ => None,
    });
    let sets = sets.unwrap();
    let nal = |kind: u8| vec![kind << 1, 1, 0x80, 5];
    // CRA, two skipped leading pictures, a trailing one; then the same with all before it known.
    let clean: Vec<&[u8]> = sets.iter().map(|set| &set[..]).collect();
    let (cra, skipped, trailing) = (nal(21), nal(8), nal(1));
    let keyframe = annexb(&[&clean[..], &[&cra]].concat());
    let group = [
        keyframe,
        annexb(&[&skipped]),
        annexb(&[&skipped]),
        annexb(&[&trailing]),
    ];
    let mut line = Line::new(0x100);
    let mut stream = head(&[(0x24, 0x100, b"")]);
    for (n, payload) in group.iter().chain(&group).enumerate() {
        stream.extend(line.pes(&pes(0xe0, Some(n as u64 * 3600), false, payload)));
    }
    let (events, stats) = read(&stream);
    let times: Vec<_> = units(&events, TrackId(0))
        .iter()
        .map(|unit| unit.1 / 3600)
        .collect();
    assert_eq!(times, [0, 3, 4, 5, 6, 7]);
    assert_eq!(stats.dropped(DropReason::Undecodable), 2);
}
