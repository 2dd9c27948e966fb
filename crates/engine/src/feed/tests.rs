use std::time::Duration;

use bytes::Bytes;
use roomtone_frames::{AacFormat, Av1Colour, Av1Format, H264Format, OpusFormat};
use roomtone_rtp::RtpPacket;
use roomtone_rtp::rtcp::{RtcpPacket, parse_compound};
use roomtone_sfu::WallClock;

use super::*;
use crate::live::INGEST_RATE;
use crate::shard::{Inbox, ShardHandle, inbox};

const RATE: i64 = INGEST_RATE as i64;
const NTP: u64 = 3_900_000_000 << 32;

fn clock(now: Instant) -> SourceClock {
    SourceClock::new(WallClock { at: now, ntp: NTP })
}

fn outlet(is_video: bool, now: Instant) -> Arc<Outlet> {
    Outlets::default().open(7, is_video, clock(now), Arc::default())
}

fn shard() -> (ShardHandle, Inbox) {
    inbox(4).unwrap()
}

/// Pictures come in order by its own word.
fn av1() -> Format {
    Format::Av1(Av1Format {
        sequence_header: Bytes::from_static(&[0x0a, 1, 0]),
        profile: 0,
        level: 4,
        high_tier: false,
        width: 64,
        height: 48,
        bits: 8,
        colour: Av1Colour {
            monochrome: false,
            subsampling: (true, true),
            sample_position: 0,
            primaries: 1,
            transfer: 1,
            matrix: 1,
            full_range: false,
        },
        frame_rate: None,
    })
}

/// Nothing is said of the order of its pictures.
fn h264() -> Format {
    Format::H264(H264Format {
        sps: Bytes::from_static(&[0x67, 0x64, 0, 31]),
        pps: vec![Bytes::from_static(&[0x68, 1])],
        width: 64,
        height: 48,
        chroma_format: 1,
        luma_bits: 8,
        chroma_bits: 8,
    })
}

fn unit(ms: i64, keyframe: bool, data: &'static [u8]) -> AccessUnit {
    let at = ms * RATE / 1000;
    AccessUnit {
        dts: at,
        pts: at,
        keyframe,
        data: Bytes::from_static(data),
    }
}

const PICTURE: &[u8] = &[0, 0, 0, 2, 0x65, 9];
const OBU: &[u8] = &[0x32, 2, 7, 7];

/// A packet: its number, timestamp, marker.
type Sent = (u16, u32, bool);

/// What came: packets, and reports with their times.
fn taken(inbox: &Inbox) -> (Vec<Sent>, Vec<(u64, u32)>) {
    let (mut media, mut reports) = (Vec::new(), Vec::new());
    while let Ok(batch) = inbox.batches.try_recv() {
        assert_eq!(batch.to, 300);
        let mut rest = &batch.bytes[..];
        for (len, rtcp) in &batch.packets {
            let (packet, behind) = rest.split_at(*len as usize);
            rest = behind;
            if *rtcp {
                let RtcpPacket::SenderReport(report) =
                    parse_compound(packet).next().unwrap().unwrap()
                else {
                    panic!("no sender report");
                };
                reports.push((report.ntp.0, report.rtp_timestamp));
            } else {
                let packet = RtpPacket::parse(packet).unwrap();
                assert_eq!((packet.ssrc(), packet.payload_type()), (11, 96));
                media.push((packet.sequence(), packet.timestamp(), packet.marker()));
            }
        }
    }
    (media, reports)
}

fn line(producer: u64, handle: ShardHandle) -> Line {
    Line::new(producer, 300, 11, 96, handle)
}

#[test]
fn a_track_is_ready_when_its_order_is_known() {
    let now = Instant::now();
    let said = outlet(true, now);
    said.set_format(&av1());
    assert_eq!(
        said.send(&unit(0, true, OBU), now),
        Some(Found::Ready(av1()))
    );
    assert_eq!(
        said.send(&unit(40, false, OBU), now),
        None,
        "it is told once"
    );

    let silent = outlet(true, now);
    silent.set_format(&h264());
    let found: Vec<_> = (0..i64::from(LOOKED_AT))
        .map(|at| silent.send(&unit(at * 40, at == 0, PICTURE), now))
        .collect();
    assert_eq!(found.last(), Some(&Some(Found::Ready(h264()))));
    assert_eq!(found.iter().flatten().count(), 1);
}

#[test]
fn what_webrtc_cannot_carry_is_barred_and_said_to_be() {
    let now = Instant::now();
    let (handle, _inbox) = shard();
    let aac = Format::Aac(AacFormat {
        config: Bytes::from_static(&[0x11, 0x90]),
        sample_rate: 48_000,
        channels: 2,
    });
    let sound = outlet(false, now);
    sound.set_format(&aac);
    let found = sound.send(&unit(0, true, &[1]), now);
    assert_eq!(found, Some(Found::Barred(aac, TrackBar::Codec)));
    let refused = sound.attach(line(1, handle.clone()), now).unwrap_err();
    assert_eq!(refused.message, "AAC: WebRTC does not carry the codec");

    let pictures = outlet(true, now);
    pictures.set_format(&h264());
    let refused = pictures.attach(line(1, handle.clone()), now).unwrap_err();
    assert_eq!(refused.code, crate::values::ErrorCode::WrongState);
    pictures.send(&unit(0, true, PICTURE), now);
    pictures.send(&unit(120, false, PICTURE), now);
    let found = pictures.send(&unit(40, false, PICTURE), now);
    assert_eq!(found, Some(Found::Barred(h264(), TrackBar::Reordered)));
    assert!(pictures.attach(line(1, handle), now).is_err());
}

#[test]
fn pictures_out_of_order_end_what_was_fed() {
    let now = Instant::now();
    let (handle, inbox) = shard();
    let pictures = outlet(true, now);
    pictures.set_format(&av1());
    pictures.send(&unit(0, true, OBU), now);
    pictures.attach(line(1, handle), now).unwrap();
    pictures.send(&unit(80, false, OBU), now);
    let found = pictures.send(&unit(40, false, OBU), now);
    assert_eq!(found, Some(Found::Barred(av1(), TrackBar::Reordered)));
    assert!(!pictures.is_attached());
    assert_eq!(taken(&inbox).0.len(), 2);
}

#[test]
fn a_line_begins_with_the_last_keyframe_and_goes_on() {
    let now = Instant::now();
    let (handle, inbox) = shard();
    let pictures = outlet(true, now);
    pictures.set_format(&av1());
    for (ms, keyframe) in [(0, true), (40, false), (80, true), (120, false)] {
        pictures.send(&unit(ms, keyframe, OBU), now);
    }
    pictures.attach(line(1, handle), now).unwrap();
    pictures.send(&unit(160, false, OBU), now);
    let (media, reports) = taken(&inbox);
    let expected = [(0, 7_200, true), (1, 10_800, true), (2, 14_400, true)];
    assert_eq!(media, expected);
    let stamps: Vec<u32> = reports.iter().map(|(_, timestamp)| *timestamp).collect();
    assert_eq!(
        stamps,
        [7_200, 14_400],
        "of the first, and of what is sent now"
    );
    assert_eq!(reports[1].0.wrapping_sub(NTP) >> 16, (160 << 16) / 1000);

    pictures.detach(1);
    pictures.send(&unit(200, true, OBU), now);
    assert!(taken(&inbox).0.is_empty());
}

#[test]
fn what_finds_no_place_is_missed_up_to_the_next_keyframe() {
    let now = Instant::now();
    let (handle, inbox) = shard();
    let counters = Arc::<IngestCounters>::default();
    let pictures = Outlets::default().open(7, true, clock(now), counters.clone());
    pictures.set_format(&av1());
    pictures.send(&unit(0, true, OBU), now);
    pictures.attach(line(1, handle), now).unwrap();
    let mut ms = 0;
    while counters.fed_dropped_full.get() == 0 {
        ms += 1;
        pictures.send(&unit(ms, false, OBU), now);
    }
    let queued = taken(&inbox).0.len();
    pictures.send(&unit(ms + 1, false, OBU), now);
    assert!(
        taken(&inbox).0.is_empty(),
        "it would refer to what was dropped"
    );
    pictures.send(&unit(ms + 2, true, OBU), now);
    let sequence = taken(&inbox).0[0].0;
    assert_eq!(usize::from(sequence), queued + 1, "the gap can be seen");
}

#[test]
fn sound_and_pictures_of_a_source_are_on_one_time() {
    let now = Instant::now();
    let clock = clock(now);
    let hour = 3_600 * RATE;
    let first = clock.place(hour, now);
    let late = now + Duration::from_millis(300);
    let sound = clock.place(hour - RATE / 10, late);
    assert_eq!(first.timestamp(90_000), 0);
    assert_eq!(sound.timestamp(48_000), 0_u32.wrapping_sub(4_800));
}

#[test]
fn a_source_that_jumps_goes_on_by_arrival() {
    let now = Instant::now();
    let clock = clock(now);
    let at = |ms: u64| now + Duration::from_millis(ms);
    clock.place(0, now);
    clock.place(RATE, at(1000));
    // Back by an hour, a tenth of a second later; the other track follows, once with what it still had.
    let hour = 3_600 * RATE;
    let jumped = clock.place(-hour, at(1100));
    assert_eq!(jumped.timestamp(1000), 1100);
    assert_eq!(clock.place(RATE, at(1100)).timestamp(1000), 1000);
    let other = clock.place(-hour + RATE / 50, at(1120));
    assert_eq!(other.timestamp(1000), 1120);
    // A silence is no jump.
    let after = clock.place(-hour + 60 * RATE, at(61_100));
    assert_eq!(after.timestamp(1000), 61_100);
}

#[test]
fn what_is_shifted_is_reported_at_another_time_with_what_is_made_of_it() {
    let now = Instant::now();
    let (handle, inbox) = shard();
    let outlets = Outlets::default();
    let source = outlets.open(7, false, clock(now), Arc::default());
    let made = outlets.promise(8, &source);
    source.shift(250_000_000);
    let opus = Format::Opus(OpusFormat {
        channels: 2,
        pre_skip: 0,
    });
    made.set_format(&opus);
    made.attach(line(1, handle), now).unwrap();
    made.send(&unit(0, true, &[0xfc]), now);
    let (media, reports) = taken(&inbox);
    assert_eq!((media[0].1, reports[0].1), (0, 0), "its own time stays");
    assert_eq!(
        reports[0].0.wrapping_sub(NTP),
        1 << 30,
        "a quarter of a second"
    );
}

#[test]
fn sound_needs_no_keyframe() {
    let now = Instant::now();
    let (handle, inbox) = shard();
    let sound = outlet(false, now);
    let opus = Format::Opus(OpusFormat {
        channels: 2,
        pre_skip: 0,
    });
    sound.set_format(&opus);
    sound.send(&unit(0, true, &[0xfc]), now);
    sound.attach(line(1, handle), now).unwrap();
    sound.send(&unit(20, true, &[0xfc]), now);
    assert_eq!(taken(&inbox).0, [(0, 960, false)]);
}
