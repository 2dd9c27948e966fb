//! A viewer that knows the truth: it refuses what a decoder could not decode.
//!
//! On a line without loss everything must come in order and whole. On one with loss pictures are
//! decoded as soon as they are whole and what they refer to was; what is missing is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use roomtone_rtp::descriptors::dependency_descriptor::Reader;
use roomtone_rtp::descriptors::{vp8, vp9};
use roomtone_rtp::rtcp::{CompoundWriter, Entries, Nack, NackPair, NackPairs, Pli};
use roomtone_rtp::{RtpPacket, SequenceUnwrapper};
use roomtone_sfu::{ConsumerId, TransportId};

use super::wire::{Format, Truth};

/// Pictures decoded that are remembered.
const REMEMBERED: usize = 2_000;
/// A wish for another temporal layer is met within this time.
const SETTLING: Duration = Duration::from_millis(300);
/// Pictures looked at for one that can be decoded.
const CANDIDATES: usize = 300;
/// A packet is asked for so often.
const ASKED: u8 = 8;
/// So long without a picture: a keyframe is asked for.
const FROZEN: Duration = Duration::from_millis(600);

/// A packet as it came.
#[derive(Debug, Clone)]
struct Packet {
    truth: Truth,
    timestamp: u32,
    marker: bool,
    picture_id: Option<u16>,
    tl0: Option<u8>,
    /// Frame number and what it refers to, by the dependency descriptor.
    described: Option<(u16, Vec<u16>)>,
}

/// The viewer and its decoder.
#[derive(Debug)]
pub struct Viewer {
    pub transport: TransportId,
    pub consumer: ConsumerId,
    ssrc: u32,
    format: Format,
    /// Whether anything may be missing.
    pub lossy: bool,
    sequences: SequenceUnwrapper,
    packets: BTreeMap<u64, Packet>,
    /// Numbers that stand for nothing.
    fillers: BTreeSet<u64>,
    first: Option<u64>,
    highest: u64,
    asked: BTreeMap<u64, (u8, Instant)>,
    reader: Reader,
    decoded: BTreeSet<(u8, u32)>,
    described: BTreeSet<u16>,
    last: Option<Packet>,
    last_decoded: u64,
    shown: Option<Instant>,
    /// The longest pause that is due to the temporal layer wished.
    pause: Duration,
    pause_before: Duration,
    wished: Instant,
    next: Option<Instant>,
    asked_key: Option<Instant>,
    excused: Option<Instant>,
    origin: Option<(u32, u32)>,
    pub pictures: u64,
    pub by_layer: BTreeMap<(u8, u8, u8), u32>,
    pub longest_freeze: Duration,
    pub frozen: u32,
    pub drift_ms: i64,
    pub plis: u32,
}

impl Viewer {
    pub fn new(transport: TransportId, consumer: ConsumerId, ssrc: u32, format: Format) -> Self {
        #[expect(clippy::disallowed_methods, reason = "any instant to count from")]
        let wished = Instant::now();
        Self {
            transport,
            consumer,
            ssrc,
            format,
            lossy: false,
            sequences: SequenceUnwrapper::default(),
            packets: BTreeMap::new(),
            fillers: BTreeSet::new(),
            first: None,
            highest: 0,
            asked: BTreeMap::new(),
            reader: Reader::new(),
            decoded: BTreeSet::new(),
            described: BTreeSet::new(),
            last: None,
            last_decoded: 0,
            shown: None,
            pause: Duration::from_millis(34),
            pause_before: Duration::from_millis(34),
            wished,
            next: None,
            asked_key: None,
            excused: None,
            origin: None,
            pictures: 0,
            by_layer: BTreeMap::new(),
            longest_freeze: Duration::ZERO,
            frozen: 0,
            drift_ms: 0,
            plis: 0,
        }
    }

    /// Another layer was wished for: pictures of `temporal` at least will come.
    pub fn wished(&mut self, temporal: u8, now: Instant) {
        self.pause_before = self.pause;
        self.pause = Duration::from_millis([134, 67, 34][usize::from(temporal.min(2))]);
        self.wished = now;
    }

    /// The pause between pictures that is due to the layers wished for.
    fn due(&self, now: Instant) -> Duration {
        if now < self.wished + SETTLING {
            self.pause.max(self.pause_before)
        } else {
            self.pause
        }
    }

    /// Until then pauses are nobody's fault.
    pub fn excuse(&mut self, until: Instant) {
        self.excused = Some(until);
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.next
    }

    pub fn packet(&mut self, bytes: &[u8], now: Instant) {
        let packet = RtpPacket::parse(bytes).expect("the router writes RTP");
        let sequence = self.sequences.unwrap(packet.sequence());
        let first = *self.first.get_or_insert(sequence);
        if sequence < first || self.packets.contains_key(&sequence) {
            assert!(self.lossy || sequence >= first, "twice: {sequence}");
            return;
        }
        let payload = packet.payload();
        if payload.is_empty() {
            assert!(self.lossy, "nothing is to be filled");
            self.fillers.insert(sequence);
            self.asked.remove(&sequence);
            return self.decode(now);
        }
        let (picture_id, tl0) = match self.format {
            Format::Vp8 | Format::Vp8Sealed => {
                let read = vp8::Descriptor::parse(payload).expect("VP8");
                (
                    read.picture_id.map(|id| id.value),
                    read.tl0_pic_idx.map(|f| f.value),
                )
            }
            Format::Vp9Flexible | Format::Vp9Group | Format::Vp9Sealed => {
                let read = vp9::Descriptor::parse(payload).expect("VP9");
                (
                    read.picture_id.map(|id| id.value),
                    read.tl0_pic_idx.map(|f| f.value),
                )
            }
            _ => (None, None),
        };
        let descriptor = packet
            .extension(5)
            .and_then(|bytes| self.reader.read(bytes).ok());
        let described = descriptor.map(|descriptor| {
            let number = descriptor.frame_number;
            let references = descriptor.dependencies.references.as_slice().iter();
            (
                number,
                references.map(|d| number.wrapping_sub(*d)).collect(),
            )
        });
        if self.format.is_described() && !self.lossy {
            assert!(described.is_some(), "a descriptor that can be read");
        }
        let packet = Packet {
            truth: Truth::read(payload),
            timestamp: packet.timestamp(),
            marker: packet.marker(),
            picture_id,
            tl0,
            described,
        };
        if self.lossy {
            self.packets.insert(sequence, packet);
            self.asked.remove(&sequence);
            for missing in self.highest + 1..sequence {
                self.asked.insert(missing, (0, now));
            }
            self.highest = self.highest.max(sequence);
            if self.pictures == 0 && self.highest == 0 {
                self.asked.clear();
            }
            self.decode(now);
            self.next = Some(now + Duration::from_millis(20));
        } else {
            if let Some(last) = self.packets.last_key_value() {
                assert_eq!(*last.0 + 1, sequence, "sequence numbers go on");
            }
            self.check(&packet);
            let marker = packet.marker;
            self.packets.insert(sequence, packet);
            if marker {
                self.close(now);
                let rest = self.packets.split_off(&sequence);
                self.packets = rest;
            }
        }
    }

    /// In order and without loss: where a packet may stand.
    fn check(&mut self, packet: &Packet) {
        let last = self.last.replace(packet.clone());
        let Some(last) = last else {
            assert!(
                packet.truth.key && packet.truth.index == 0,
                "it begins with a keyframe"
            );
            return;
        };
        let (truth, before) = (packet.truth, last.truth);
        if packet.timestamp == last.timestamp {
            assert!(
                !last.marker,
                "nothing comes after the marker: {before:?} {truth:?}"
            );
            assert_eq!(truth.encoding, before.encoding);
            if truth.frame == before.frame {
                assert_eq!(truth.index, before.index + 1, "frames are whole");
            } else {
                assert!(
                    before.index + 1 == before.count && truth.index == 0,
                    "frames are whole"
                );
                assert!(truth.spatial > before.spatial);
            }
            assert_eq!(packet.picture_id, last.picture_id);
            return;
        }
        assert!(
            last.marker,
            "every picture ends with the marker: {before:?} {truth:?}"
        );
        assert_eq!(
            (before.index + 1, truth.index),
            (before.count, 0),
            "frames are whole"
        );
        let step = packet.timestamp.wrapping_sub(last.timestamp).cast_signed();
        assert!(step > 0, "timestamps rise: {before:?} {truth:?} {step}");
        if let (Some(id), Some(before)) = (packet.picture_id, last.picture_id) {
            let step = id.wrapping_sub(before) & 0x7fff;
            match self.format {
                Format::Vp8 | Format::Vp8Sealed => assert_eq!(step, 1, "picture ids go on"),
                _ => assert!((1..64).contains(&step), "picture ids rise: {step}"),
            }
        }
        if let (Some(tl0), Some(before)) = (packet.tl0, last.tl0) {
            let step = u8::from(truth.temporal == 0);
            assert_eq!(tl0, before.wrapping_add(step), "TL0PICIDX goes on");
        }
        if let (Some((number, _)), Some((before, _))) = (&packet.described, &last.described) {
            assert!(
                number.wrapping_sub(*before).cast_signed() > 0,
                "frame numbers rise"
            );
        }
    }

    /// A picture is over: what it refers to must be there.
    fn close(&mut self, now: Instant) {
        let timestamp = self.last.as_ref().expect("a packet").timestamp;
        let picture: Vec<_> = self
            .packets
            .values()
            .filter(|packet| packet.timestamp == timestamp)
            .cloned()
            .collect();
        for packet in &picture {
            assert!(
                self.is_decodable(packet),
                "missing a reference: {:?}",
                packet.truth
            );
            self.remember(packet);
        }
        self.show(picture.last().expect("a packet"), now);
    }

    fn is_decodable(&self, packet: &Packet) -> bool {
        let truth = packet.truth;
        let known = |frame: u32| self.decoded.contains(&(truth.encoding, frame));
        let told = packet
            .described
            .iter()
            .flat_map(|(_, references)| references);
        let mut references = truth.references.into_iter().filter(|frame| *frame != 0);
        references.all(known)
            && told
                .into_iter()
                .all(|number| self.described.contains(number))
    }

    fn remember(&mut self, packet: &Packet) {
        let (own, newest) = (packet.truth.encoding, packet.truth.frame);
        self.decoded.insert((own, newest));
        if self.decoded.len() > REMEMBERED {
            self.decoded
                .retain(|(encoding, frame)| *encoding != own || frame + 200 > newest);
        }
        if let Some((number, _)) = &packet.described {
            self.described.insert(*number);
            // Half of the numbers away: it may come again.
            self.described.remove(&number.wrapping_add(0x8000));
        }
    }

    fn show(&mut self, packet: &Packet, now: Instant) {
        let truth = packet.truth;
        let excused = self.excused.is_some_and(|until| now < until);
        if let Some(shown) = self.shown.filter(|_| !excused) {
            let pause = now.saturating_duration_since(shown);
            let freeze = pause.saturating_sub(self.due(now));
            self.longest_freeze = self.longest_freeze.max(freeze);
            self.frozen += u32::from(freeze > Duration::from_millis(100));
        }
        let (timestamp, taken) = *self
            .origin
            .get_or_insert((packet.timestamp, truth.taken_ms));
        // Modulo the wrap of timestamps, of half a day.
        let elapsed = i64::from(packet.timestamp.wrapping_sub(timestamp) / 90);
        let drift = elapsed - i64::from(truth.taken_ms - taken);
        self.drift_ms = self.drift_ms.abs().max(drift.abs());
        self.shown = Some(now);
        self.pictures += 1;
        let layer = (truth.encoding, truth.spatial, truth.temporal);
        *self.by_layer.entry(layer).or_default() += 1;
    }

    /// Decodes what can be decoded of what has come.
    fn decode(&mut self, now: Instant) {
        loop {
            let candidates: Vec<u64> = self
                .packets
                .range(self.last_decoded + 1..)
                .filter(|(_, packet)| packet.marker)
                .map(|(sequence, _)| *sequence)
                .take(CANDIDATES)
                .collect();
            let found = candidates.into_iter().find_map(|end| self.whole(end));
            let Some((picture, end)) = found else { break };
            for packet in &picture {
                self.remember(packet);
            }
            self.last_decoded = end;
            self.show(picture.last().expect("a packet"), now);
        }
        // What lies long behind is only asked for by `broken`.
        let old = self.last_decoded.saturating_sub(1_000);
        if self
            .packets
            .first_key_value()
            .is_some_and(|(first, _)| first + 500 < old)
        {
            self.packets = self.packets.split_off(&old);
            self.fillers = self.fillers.split_off(&old);
            self.asked = self.asked.split_off(&old);
        }
    }

    /// The picture that ends with a packet, if it is whole and can be decoded.
    fn whole(&self, end: u64) -> Option<(Vec<Packet>, u64)> {
        let timestamp = self.packets[&end].timestamp;
        let mut picture = vec![];
        let mut at = end;
        let mut began = false;
        loop {
            let packet = self.packets.get(&at);
            if let Some(packet) = packet.filter(|p| p.timestamp == timestamp) {
                began = packet.truth.index == 0;
                picture.push(packet.clone());
            } else if !self.fillers.contains(&at) {
                break;
            }
            at -= 1;
        }
        // What lies before is another picture that ended, or it cannot be told where this began.
        let before = self.packets.get(&at).is_some_and(|packet| packet.marker);
        let key = picture.last()?.truth;
        if !began || !(before || (key.key && key.spatial == 0)) {
            return None;
        }
        picture.reverse();
        let own: Vec<u32> = picture.iter().map(|packet| packet.truth.frame).collect();
        let numbers: Vec<u16> = picture
            .iter()
            .filter_map(|packet| packet.described.as_ref().map(|(number, _)| *number))
            .collect();
        let decodable = picture.iter().all(|packet| {
            let truth = packet.truth;
            let known = |frame: &u32| {
                own.contains(frame) || self.decoded.contains(&(truth.encoding, *frame))
            };
            let told = packet
                .described
                .iter()
                .flat_map(|(_, references)| references);
            let mut references = truth.references.into_iter().filter(|frame| *frame != 0);
            references.all(|frame| known(&frame))
                && told
                    .into_iter()
                    .all(|number| numbers.contains(number) || self.described.contains(number))
        });
        decodable.then_some((picture, end))
    }

    /// Whether a picture is whole, everything before it has come, and it cannot be decoded.
    pub fn broken(&self) -> Vec<Truth> {
        let whole = |end: &u64| {
            let from = end.saturating_sub(600).max(self.first.unwrap_or(0));
            (from..=*end).all(|at| self.packets.contains_key(&at) || self.fillers.contains(&at))
        };
        self.packets
            .range(self.last_decoded + 1..)
            .filter(|(end, packet)| packet.marker && whole(end))
            .map(|(_, packet)| packet.truth)
            .collect()
    }

    /// What it asks for: packets, or a keyframe where nothing has been shown for long.
    pub fn poll(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.next.filter(|next| *next <= now)?;
        self.next = Some(now + Duration::from_millis(20));
        let frozen = self.shown.is_none_or(|shown| now > shown + FROZEN);
        let asked = self.asked_key.is_some_and(|asked| now < asked + FROZEN);
        let mut out = [0; 1_000];
        let mut writer = CompoundWriter::new(&mut out);
        let mut any = false;
        let due: Vec<u16> = self
            .asked
            .iter_mut()
            .filter(|(sequence, (count, at))| {
                **sequence > self.last_decoded && *count < ASKED && *at <= now
            })
            .take(100)
            .map(|(sequence, (count, at))| {
                *count += 1;
                *at = now + Duration::from_millis(60);
                *sequence as u16
            })
            .collect();
        if !due.is_empty() {
            any = true;
            let pairs: Vec<NackPair> = NackPairs::from_sorted(due.iter().copied()).collect();
            let request = Nack {
                sender_ssrc: 1,
                media_ssrc: self.ssrc,
                pairs: Entries::new(&pairs),
            };
            writer.push(&request).expect("it fits");
        }
        if frozen && !asked {
            any = true;
            self.plis += 1;
            self.asked_key = Some(now);
            let pli = Pli {
                sender_ssrc: 1,
                media_ssrc: self.ssrc,
            };
            writer.push(&pli).expect("it fits");
        }
        let len = writer.finish();
        any.then(|| out[..len].to_vec())
    }
}
