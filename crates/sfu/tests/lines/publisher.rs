//! A camera that publishes VP8 simulcast, or the layers of one stream: 30 pictures a second, each encoding in three temporal
//! layers, a keyframe when one was asked for, and only then.

use std::time::{Duration, Instant};

use roomtone_netem::Random;
use roomtone_rtp::NtpTime;
use roomtone_rtp::descriptors::vp8::Descriptor;
use roomtone_rtp::rtcp::{CompoundWriter, SenderReport};

use super::layered::{DESCRIPTOR_ID, Layered, Packet};

/// Payload bytes of a packet at most.
const PAYLOAD: usize = 1_150;
/// A keyframe is so many times the mean.
const KEYFRAME: f64 = 8.0;
/// What the pictures of one round of temporal layers weigh: the layers are 0, 2, 1, 2.
const WEIGHTS: [f64; 4] = [1.6, 0.6, 1.2, 0.6];
const TEMPORAL: [u8; 4] = [0, 2, 1, 2];
pub const FRAME: Duration = Duration::from_nanos(33_333_333);
pub const PAYLOAD_TYPE: u8 = 96;

/// The truth about a packet, in its payload: whatever is rewritten on the way, this is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth {
    pub encoding: u8,
    pub temporal: u8,
    pub key: bool,
    /// Which picture of its encoding, from 1.
    pub picture: u32,
    /// The pictures of its encoding that it refers to; 0: none.
    pub references: [u32; 2],
    pub index: u16,
    pub count: u16,
}

impl Truth {
    /// Behind the payload descriptor and the frame header.
    const AT: usize = 10;
    const LEN: usize = 19;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend([self.encoding, self.temporal, u8::from(self.key)]);
        out.extend(self.picture.to_be_bytes());
        out.extend(self.references[0].to_be_bytes());
        out.extend(self.references[1].to_be_bytes());
        out.extend(self.index.to_be_bytes());
        out.extend(self.count.to_be_bytes());
    }

    /// Reads it out of an RTP payload.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let at = Descriptor::parse(payload).ok()?.len + Self::AT;
        let data = payload.get(at..at + Self::LEN)?;
        let word = |at: usize| u32::from_be_bytes(data[at..at + 4].try_into().expect("four"));
        let half = |at: usize| u16::from_be_bytes(data[at..at + 2].try_into().expect("two"));
        Some(Self {
            encoding: data[0],
            temporal: data[1],
            key: data[2] == 1,
            picture: word(3),
            references: [word(7), word(11)],
            index: half(15),
            count: half(17),
        })
    }
}

#[derive(Debug)]
struct Encoding {
    index: u8,
    ssrc: u32,
    bps: u64,
    sequence: u16,
    timestamp_offset: u32,
    picture_id: u16,
    tl0: u8,
    key_index: u8,
    picture: u32,
    /// Where in the round of temporal layers the next picture is.
    turn: usize,
    /// The last pictures of temporal layers 0 and 1.
    last: [u32; 2],
    /// What keyframes have cost above the mean, to be saved by the pictures after them.
    debt: f64,
    key_due: Option<Instant>,
    packets: u32,
    octets: u32,
}

/// The camera.
#[derive(Debug)]
pub struct Publisher {
    base: Instant,
    encodings: Vec<Encoding>,
    random: Random,
    next_frame: Instant,
    next_report: Instant,
    frames: u64,
    round_trip: Duration,
    /// The only encoding is this one.
    layered: Option<Layered>,
    pub keyframes: u32,
}

impl Publisher {
    pub fn new(
        rates: &[u64],
        first_ssrc: u32,
        round_trip: Duration,
        base: Instant,
        seed: u64,
    ) -> Self {
        let mut random = Random::new(seed);
        let encodings = rates.iter().enumerate().map(|(index, bps)| Encoding {
            index: index as u8,
            ssrc: first_ssrc + index as u32 * 1_000,
            bps: *bps,
            sequence: random.next_u64() as u16,
            timestamp_offset: random.next_u64() as u32,
            picture_id: random.next_u64() as u16 & 0x7fff,
            tl0: random.next_u64() as u8,
            key_index: 0,
            picture: 0,
            turn: 0,
            last: [0; 2],
            debt: 0.0,
            key_due: Some(base),
            packets: 0,
            octets: 0,
        });
        let encodings = encodings.collect();
        Self {
            base,
            encodings,
            next_frame: base + FRAME.mul_f64(random.unit()),
            next_report: base + Duration::from_millis(100),
            random,
            frames: 0,
            round_trip,
            layered: None,
            keyframes: 0,
        }
    }

    /// A camera of one stream in layers.
    pub fn layered(first_ssrc: u32, round_trip: Duration, base: Instant, seed: u64) -> Self {
        Self {
            layered: Some(Layered::new(seed)),
            ..Self::new(&[0], first_ssrc, round_trip, base, seed)
        }
    }

    pub fn is_layered(&self) -> bool {
        self.layered.is_some()
    }

    pub fn ssrcs(&self) -> Vec<u32> {
        self.encodings
            .iter()
            .map(|encoding| encoding.ssrc)
            .collect()
    }

    pub fn next_timeout(&self) -> Instant {
        self.next_frame.min(self.next_report)
    }

    /// A keyframe is wanted; it comes with the first picture after the round trip.
    pub fn request_keyframe(&mut self, ssrc: u32, now: Instant) {
        let due = now + self.round_trip;
        for encoding in self.encodings.iter_mut().filter(|e| e.ssrc == ssrc) {
            encoding.key_due.get_or_insert(due);
        }
    }

    /// The RTP packets of the pictures that are due.
    pub fn pictures(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut out = vec![];
        while self.next_frame <= now {
            let clock = (self.frames * 3_000) as u32;
            for encoding in &mut self.encodings {
                let key = encoding.key_due.is_some_and(|due| due <= now);
                if key {
                    encoding.key_due = None;
                    self.keyframes += 1;
                }
                if let Some(layered) = &mut self.layered {
                    let packets = layered.picture(key, &mut self.random);
                    out.extend(
                        packets
                            .iter()
                            .map(|packet| encoding.describe(packet, clock)),
                    );
                } else {
                    encoding.picture(clock, key, &mut self.random, &mut out);
                }
            }
            self.frames += 1;
            self.next_frame += FRAME;
        }
        out
    }

    /// The sender reports that are due.
    pub fn reports(&mut self, now: Instant, ntp: u64) -> Vec<Vec<u8>> {
        if now < self.next_report || self.frames == 0 {
            self.next_report = self.next_report.max(now + Duration::from_millis(1));
            return vec![];
        }
        self.next_report = now + Duration::from_secs(1);
        // The media clock at this moment: pictures are stamped when they are taken.
        let left = self.next_frame.saturating_duration_since(now);
        let since = FRAME.saturating_sub(left).as_secs_f64() * 90_000.0;
        let clock = ((self.frames - 1) * 3_000) as u32 + since as u32;
        let reports = self.encodings.iter().map(|encoding| {
            let mut out = vec![0; 200];
            let mut writer = CompoundWriter::new(&mut out);
            let report = SenderReport {
                ssrc: encoding.ssrc,
                ntp: NtpTime(ntp).plus(now.saturating_duration_since(self.base)),
                rtp_timestamp: clock.wrapping_add(encoding.timestamp_offset),
                packet_count: encoding.packets,
                octet_count: encoding.octets,
                ..SenderReport::default()
            };
            writer.push(&report).expect("it fits");
            let len = writer.finish();
            out.truncate(len);
            out
        });
        reports.collect()
    }
}

impl Encoding {
    fn picture(&mut self, clock: u32, key: bool, random: &mut Random, out: &mut Vec<Vec<u8>>) {
        if key {
            self.turn = 0;
            self.key_index = (self.key_index + 1) & 0x1f;
        }
        self.picture += 1;
        let temporal = TEMPORAL[self.turn];
        let bytes = self.bytes(key, random);
        let count = bytes.div_ceil(PAYLOAD).max(1);
        let truth = Truth {
            encoding: self.index,
            temporal,
            key,
            picture: self.picture,
            references: self.references(key, temporal),
            index: 0,
            count: count as u16,
        };
        if temporal == 0 {
            self.tl0 = self.tl0.wrapping_add(1);
        }
        for index in 0..count {
            let len = (bytes / count).max(Truth::AT + Truth::LEN + 6);
            out.push(self.packet(
                Truth {
                    index: index as u16,
                    ..truth
                },
                clock,
                len,
            ));
        }
        if temporal < 2 {
            self.last[usize::from(temporal)] = self.picture;
        }
        if key {
            self.last = [self.picture; 2];
        }
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        self.turn = (self.turn + 1) % TEMPORAL.len();
    }

    fn bytes(&mut self, key: bool, random: &mut Random) -> usize {
        let mean = self.bps as f64 / 8.0 * FRAME.as_secs_f64();
        let bytes = if key {
            self.debt = (KEYFRAME - 1.0) * mean;
            mean * KEYFRAME
        } else {
            // A quarter is saved until the keyframe is paid for.
            let saved = (mean * 0.25).min(self.debt);
            self.debt -= saved;
            (mean - saved) * WEIGHTS[self.turn] * (0.85 + 0.3 * random.unit())
        };
        bytes as usize
    }

    fn references(&self, key: bool, temporal: u8) -> [u32; 2] {
        match (key, temporal) {
            (true, _) => [0, 0],
            (_, 2) if self.turn == 3 => [self.last[1], 0],
            _ => [self.last[0], 0],
        }
    }

    fn describe(&mut self, packet: &Packet, clock: u32) -> Vec<u8> {
        let mut out = vec![0x90, (u8::from(packet.marker) << 7) | PAYLOAD_TYPE];
        out.extend(self.sequence.to_be_bytes());
        out.extend(clock.wrapping_add(self.timestamp_offset).to_be_bytes());
        out.extend(self.ssrc.to_be_bytes());
        let mut block = vec![DESCRIPTOR_ID, packet.descriptor.len() as u8];
        block.extend(&packet.descriptor);
        block.resize(block.len().next_multiple_of(4), 0);
        out.extend([0x10, 0, 0, (block.len() / 4) as u8]);
        out.extend(block);
        out.extend(&packet.payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.packets += 1;
        self.octets = self.octets.wrapping_add(packet.payload.len() as u32);
        out
    }

    fn packet(&mut self, truth: Truth, clock: u32, len: usize) -> Vec<u8> {
        let marker = truth.index + 1 == truth.count;
        let mut out = vec![0x80, (u8::from(marker) << 7) | PAYLOAD_TYPE];
        out.extend(self.sequence.to_be_bytes());
        out.extend(clock.wrapping_add(self.timestamp_offset).to_be_bytes());
        out.extend(self.ssrc.to_be_bytes());
        // RFC 7741 section 4.2: X, N, S; I, L, T, K; a picture id of 15 bits; the layer and
        // whether it is a place to switch up (all of layers 1 are: they refer to layer 0 alone).
        let start = if truth.index == 0 { 0x10 } else { 0 };
        let discardable = if truth.temporal == 2 { 0x20 } else { 0 };
        out.extend([0x80 | start | discardable, 0xf0]);
        out.extend((self.picture_id | 0x8000).to_be_bytes());
        let sync = truth.temporal == 1 || (truth.temporal == 2 && self.turn == 1);
        let layer = (truth.temporal << 6) | (u8::from(sync) << 5) | self.key_index;
        out.extend([self.tl0, layer]);
        let side = 180_u16 << self.index;
        out.extend([u8::from(!truth.key), 0, 0, 0x9d, 0x01, 0x2a]);
        out.extend((side * 16 / 9).to_le_bytes());
        out.extend(side.to_le_bytes());
        truth.write(&mut out);
        out.resize(12 + len, 0x55);
        self.sequence = self.sequence.wrapping_add(1);
        self.packets += 1;
        self.octets = self.octets.wrapping_add(len as u32);
        out
    }
}
