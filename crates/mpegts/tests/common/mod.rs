//! Streams for tests: read, and put together packet by packet.
#![allow(dead_code, reason = "each file of tests uses some of it")]

use roomtone_mpegts::{Demuxer, Event, PACKET_BYTES, Stats, TrackId};

/// All events of a stream, and the counters.
pub(crate) fn read(stream: &[u8]) -> (Vec<Event>, Stats) {
    read_split(stream, usize::MAX)
}

/// The same, in runs of some bytes.
pub(crate) fn read_split(stream: &[u8], run: usize) -> (Vec<Event>, Stats) {
    let mut demuxer = Demuxer::default();
    let mut events = Vec::new();
    for run in stream.chunks(run) {
        demuxer.handle_bytes(run);
        events.extend(std::iter::from_fn(|| demuxer.poll_event()));
    }
    demuxer.finish();
    events.extend(std::iter::from_fn(|| demuxer.poll_event()));
    assert_eq!(demuxer.held_bytes(), 0);
    (events, demuxer.stats())
}

/// The units of a track: decode time, time, keyframe, data.
pub(crate) fn units(events: &[Event], track: TrackId) -> Vec<(i64, i64, bool, Vec<u8>)> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Unit { track: its, unit } if *its == track => {
                Some((unit.dts, unit.pts, unit.keyframe, unit.data.to_vec()))
            }
            _ => None,
        })
        .collect()
}

/// Packets of one PID, their counters included.
pub(crate) struct Line {
    pub(crate) pid: u16,
    pub(crate) counter: u8,
}

impl Line {
    pub(crate) fn new(pid: u16) -> Self {
        Self { pid, counter: 0 }
    }

    /// A packet with this payload, filled up before it.
    pub(crate) fn packet(&mut self, begins: bool, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![
            0x47,
            (self.pid >> 8) as u8 | u8::from(begins) << 6,
            self.pid as u8,
        ];
        let fill = PACKET_BYTES - 4 - payload.len();
        out.push(self.counter | if fill == 0 { 0x10 } else { 0x30 });
        self.counter = (self.counter + 1) & 15;
        if fill > 0 {
            out.push((fill - 1) as u8);
            out.extend([0].iter().take(fill - 1));
            out.extend(std::iter::repeat_n(0xff, fill.saturating_sub(2)));
        }
        out.extend(payload);
        assert_eq!(out.len(), PACKET_BYTES);
        out
    }

    /// Packets with sections, the first at once.
    pub(crate) fn sections(&mut self, sections: &[u8]) -> Vec<u8> {
        let mut all = vec![0];
        all.extend(sections);
        all.resize(all.len().next_multiple_of(184), 0xff);
        let parts = all.chunks(184).enumerate();
        parts
            .flat_map(|(n, part)| self.packet(n == 0, part))
            .collect()
    }

    /// Packets with a PES packet.
    pub(crate) fn pes(&mut self, pes: &[u8]) -> Vec<u8> {
        let parts = pes.chunks(184).enumerate();
        parts
            .flat_map(|(n, part)| self.packet(n == 0, part))
            .collect()
    }
}

/// A PES packet; `bounded` ones say how long they are.
pub(crate) fn pes(stream_id: u8, pts: Option<u64>, bounded: bool, payload: &[u8]) -> Vec<u8> {
    let times = pts.map_or(vec![], |pts| {
        vec![
            0x21 | (pts >> 29) as u8 & 0x0e,
            (pts >> 22) as u8,
            (pts >> 14) as u8 | 1,
            (pts >> 7) as u8,
            (pts << 1) as u8 | 1,
        ]
    });
    let length = if bounded {
        3 + times.len() + payload.len()
    } else {
        0
    };
    let mut out = vec![0, 0, 1, stream_id, (length >> 8) as u8, length as u8, 0x80];
    out.extend([if pts.is_some() { 0x80 } else { 0 }, times.len() as u8]);
    out.extend(times);
    out.extend(payload);
    out
}

/// A section with the long header.
pub(crate) fn table(table: u8, extension: u16, version: u8, body: &[u8]) -> Vec<u8> {
    let length = body.len() + 9;
    let mut out = vec![table, 0xb0 | (length >> 8) as u8, length as u8];
    out.extend(extension.to_be_bytes());
    out.extend([0xc1 | version << 1, 0, 0]);
    out.extend(body);
    out.extend(checksum(&out).to_be_bytes());
    out
}

/// An association table of these programs and their maps.
pub(crate) fn pat(version: u8, programs: &[(u16, u16)]) -> Vec<u8> {
    let body: Vec<u8> = programs
        .iter()
        .flat_map(|(number, pid)| [number.to_be_bytes(), (0xe000 | pid).to_be_bytes()].concat())
        .collect();
    table(0, 1, version, &body)
}

/// A map of these streams: type, PID, descriptors.
pub(crate) fn pmt(program: u16, version: u8, pcr: u16, streams: &[(u8, u16, &[u8])]) -> Vec<u8> {
    let mut body = (0xe000 | pcr).to_be_bytes().to_vec();
    body.extend([0xf0, 0]);
    for (stream_type, pid, descriptors) in streams {
        body.push(*stream_type);
        body.extend((0xe000 | pid).to_be_bytes());
        body.extend((0xf000 | descriptors.len() as u16).to_be_bytes());
        body.extend(*descriptors);
    }
    table(2, program, version, &body)
}

/// CRC-32/MPEG-2, bit by bit.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte) << 24, |crc, _| {
            if crc & 1 << 31 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x04c1_1db7
            }
        })
    })
}
