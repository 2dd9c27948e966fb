//! A publisher whose live thread stands still.

use std::time::Duration;

use bytes::Bytes;
use roomtone_frames::H264Format;
use roomtone_sfu::WallClock;

use super::*;
use crate::feed::Outlets;
use crate::live;
use crate::values::IngestProtocol;

const FRAME: usize = 64 << 10;

fn publisher(protocol: IngestProtocol, now: Instant) -> Publisher {
    let wish = Wish {
        plays: false,
        protocol,
        listener: 1,
        remote: ([127, 0, 0, 1], 5_000).into(),
        name: "cam".to_owned(),
        user: None,
        credential: None,
        encoder: String::new(),
    };
    let clock = SourceClock::new(WallClock { at: now, ntp: 0 });
    let outlet = Outlets::default().open(4, true, clock.clone(), Arc::default());
    let board = (3, Arc::default());
    let line = Line::Input { input: 1 };
    let mut publisher = Publisher::new(2, wish, line, board, clock, now);
    publisher.carry(0, 9, outlet);
    publisher.handle_format(
        0,
        Format::H264(H264Format {
            sps: Bytes::new(),
            pps: Vec::new(),
            width: 640,
            height: 360,
            chroma_format: 1,
            luma_bits: 8,
            chroma_bits: 8,
        }),
    );
    publisher
}

/// A picture; each tenth is a keyframe. What of it found no place, and what became of the pace.
fn send(
    publisher: &mut Publisher,
    live: &LiveHandle,
    number: i64,
    now: Instant,
) -> (Dropped, Option<IngestPace>) {
    let unit = AccessUnit {
        dts: number * 3_000,
        pts: number * 3_000,
        keyframe: number % 10 == 0,
        data: vec![0; FRAME].into(),
    };
    publisher.handle_unit(0, unit, now);
    let dropped = publisher.flush(live);
    (dropped, publisher.pace(live, now))
}

#[test]
fn a_live_thread_that_stands_still_slows_the_source_and_what_comes_all_the_same_is_lost_by_groups()
{
    let now = Instant::now();
    // Nobody takes what is handed over.
    let (live, _ends) = live::handle();
    let mut publisher = publisher(IngestProtocol::Rtmp, now);
    let (mut slowed, mut lost) = (None, Vec::new());
    for number in 0..160 {
        let (dropped, pace) = send(&mut publisher, &live, number, now);
        if pace == Some(IngestPace::Slowed) {
            slowed = Some(number);
        }
        if dropped.units > 0 {
            lost.push((number, dropped));
        }
    }
    // Nine tenths of 8 MiB are 116 pictures, and all of it 128; two groups begin behind that.
    assert_eq!(slowed, Some(115));
    let (units, groups) = (1, 1);
    let one = Dropped { units, groups };
    assert_eq!(lost, [(128, one), (130, one), (140, one), (150, one)]);
    let figures = publisher.figures;
    assert_eq!((figures.dropped, figures.groups_dropped), (32, 4));
    let late = now + Duration::from_secs(2);
    assert_eq!(publisher.pace(&live, late), Some(IngestPace::GivenUp));
}

#[test]
fn who_cannot_be_slowed_is_not_and_loses_groups_all_the_same() {
    let now = Instant::now();
    let (live, _ends) = live::handle();
    let mut publisher = publisher(IngestProtocol::Rtp, now);
    let sent = (0..160).map(|number| send(&mut publisher, &live, number, now));
    assert!(sent.into_iter().all(|(_, pace)| pace.is_none()));
    assert_eq!(publisher.figures.groups_dropped, 4);
}
