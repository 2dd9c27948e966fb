//! Invariant: any payloads of streams that the tables name, in packets that follow on each other, give the same events
//! however the bytes are split, every unit has a format before it, and nothing is held at the end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_mpegts::{Demuxer, Event, Limits, PACKET_BYTES, Stats};

const MAP: u16 = 0x20;
const FIRST: u16 = 0x30;
/// Type and descriptors of each stream.
const STREAMS: [(u8, &[u8]); 9] = [
    (0x1b, b""),
    (0x24, b""),
    (0x0f, b""),
    (0x11, b""),
    (0x03, b""),
    (0x81, b""),
    (0x06, b"\x05\x04Opus\x7f\x02\x80\x02"),
    (0x15, b"\x26\x0d\xff\xffID3 \xffID3 \x00\x0f"),
    (0x86, b"\x05\x04CUEI"),
];
const LIMITS: Limits = Limits {
    programs: 4,
    tracks: 16,
    unit_bytes: 4096,
    held_bytes: 65_536,
    events: 1 << 20,
};

/// Packets with their counters, by stream; the first two are of the tables.
struct Writer {
    counters: [u8; 11],
    out: Vec<u8>,
}

impl Writer {
    fn packet(&mut self, line: usize, begins: bool, payload: &[u8]) {
        let pid = [0, MAP]
            .get(line)
            .copied()
            .unwrap_or(FIRST + line as u16 - 2);
        let counter = self.counters[line];
        self.counters[line] = (counter + 1) & 15;
        let payload = &payload[..payload.len().min(PACKET_BYTES - 4)];
        let fill = PACKET_BYTES - 4 - payload.len();
        self.out
            .extend([0x47, (pid >> 8) as u8 | u8::from(begins) << 6, pid as u8]);
        self.out.push(counter | if fill == 0 { 0x10 } else { 0x30 });
        if fill > 0 {
            self.out.push(fill as u8 - 1);
            self.out.extend([0].iter().take(fill - 1));
            self.out
                .extend(std::iter::repeat_n(0xff, fill.saturating_sub(2)));
        }
        self.out.extend(payload);
    }

    /// A section whose checksum is right.
    fn section(&mut self, line: usize, section: &[u8]) {
        let payload = [&[0], section, &checksum(section).to_be_bytes()[..]].concat();
        self.packet(line, true, &payload);
    }

    fn tables(&mut self) {
        self.section(0, &table(0, &[0, 1, 0xe0, MAP as u8]));
        let mut body = vec![0xe0, FIRST as u8, 0xf0, 0];
        for (n, (stream_type, descriptors)) in STREAMS.iter().enumerate() {
            body.extend([
                *stream_type,
                0xe0,
                FIRST as u8 + n as u8,
                0xf0,
                descriptors.len() as u8,
            ]);
            body.extend(*descriptors);
        }
        self.section(1, &table(2, &body));
    }
}

fn table(id: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![id, 0xb0, body.len() as u8 + 9, 0, 1, 0xc1, 0, 0];
    out.extend(body);
    out
}

fn checksum(bytes: &[u8]) -> u32 {
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

/// Pieces of input: which stream and whether something begins, how long, bytes.
fn stream(mut input: &[u8]) -> Vec<u8> {
    let mut writer = Writer {
        counters: [0; 11],
        out: Vec::new(),
    };
    writer.tables();
    while let [what, length, rest @ ..] = input {
        let (piece, behind) = rest.split_at(usize::from(*length).min(rest.len()));
        input = behind;
        let line = usize::from(what & 15) % 11;
        match what >> 4 {
            // A section, of the tables or a cue.
            0..4 if line < 2 || line == 10 => writer.section(line, piece),
            // A PES packet begins, unbounded, with its time.
            0..4 => {
                let head = [
                    0,
                    0,
                    1,
                    0xe0,
                    0,
                    0,
                    0x80,
                    0x80,
                    5,
                    0x21,
                    0,
                    *length,
                    1,
                    *length & 0xfe | 1,
                ];
                writer.packet(line, true, &[&head, piece].concat());
            }
            4..6 => writer.packet(line, true, piece),
            // Something is lost.
            6 => writer.counters[line] = (writer.counters[line] + 1) & 15,
            _ => writer.packet(line, false, piece),
        }
    }
    writer.out
}

fn read(bytes: &[u8], run: usize) -> (Vec<Event>, Stats) {
    let mut demuxer = Demuxer::new(LIMITS);
    let mut events = Vec::new();
    for run in bytes.chunks(run) {
        demuxer.handle_bytes(run);
        assert!(demuxer.held_bytes() <= LIMITS.held_bytes + LIMITS.unit_bytes);
        events.extend(std::iter::from_fn(|| demuxer.poll_event()));
    }
    demuxer.finish();
    assert_eq!(demuxer.held_bytes(), 0);
    events.extend(std::iter::from_fn(|| demuxer.poll_event()));
    (events, demuxer.stats())
}

fuzz_target!(|input: &[u8]| {
    let Some((&run, pieces)) = input.split_first() else {
        return;
    };
    let bytes = stream(pieces);
    let whole = read(&bytes, usize::MAX);
    assert_eq!(read(&bytes, usize::from(run) + 1), whole);
    let mut formats = std::collections::BTreeSet::new();
    for event in &whole.0 {
        match event {
            Event::Format { track, .. } => {
                formats.insert(*track);
            }
            Event::Unit { track, .. } => assert!(formats.contains(track)),
            _ => {}
        }
    }
});
