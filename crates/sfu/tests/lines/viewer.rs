//! A peer that receives: what it reports, asks for, and shows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use roomtone_netem::{Link, Random};
use roomtone_rtp::descriptors::vp8::Descriptor;
use roomtone_rtp::rtcp::{
    CompoundWriter, Entries, FeedbackTarget, Nack, NackPair, NackPairs, Pli, ReceiverReport, Remb,
    ReportBlock, RtcpPacket, RtcpWrite, parse_compound, write_transport_feedback,
};
use roomtone_rtp::{NtpTime, RtpPacket, SequenceUnwrapper};
use roomtone_sfu::{ConsumerDescription, ConsumerId, TransportId};

use super::closed_loop::figures::{Journey, Record, percentile};
use super::closed_loop::line::Line;
use super::closed_loop::tag::{Tag, WIRE_OVERHEAD, earliest, micros};
use super::decoder::Decoder;
use super::layered::Screen;
use super::publisher::Truth;

pub const OUT_VP8: u8 = 100;
pub const OUT_RTX: u8 = 101;
pub const TRANSPORT_SEQUENCE: u8 = 12;
/// The number of datagrams that are no RTP.
const NOT_MEDIA: u64 = u64::MAX;
const OWN_SSRC: u32 = 77;
/// Arrivals remembered for packets that come late.
const REMEMBERED: u64 = 1_000;
/// Missing packets that are asked for at most; then all are given up.
const MISSING: usize = 1_000;

/// What the peer gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// Transport-wide feedback, reports, NACK, PLI.
    TransportWide,
    /// REMB, reports, NACK, PLI.
    Remb,
    /// Nothing at all.
    Nothing,
}

#[derive(Debug)]
struct Missing {
    since: Instant,
    asked: Option<Instant>,
    times: u8,
}

/// A peer that receives one track of video.
pub struct Viewer {
    pub transport: TransportId,
    pub consumer: ConsumerId,
    feedback: Feedback,
    ssrc: u32,
    rtx_ssrc: Option<u32>,
    base: Instant,
    one_way: Duration,
    pub up: Link,
    random: Random,
    // Transport-wide feedback.
    transport_sequence: SequenceUnwrapper,
    arrivals: BTreeMap<u64, u64>,
    window_start: Option<u64>,
    feedback_due: Option<Instant>,
    feedback_count: u8,
    // Reports.
    report_due: Instant,
    last_report: Option<(u32, Instant)>,
    sequence: SequenceUnwrapper,
    highest: u64,
    first: Option<u64>,
    received: u64,
    reported: (u64, u64),
    // REMB.
    remb: f64,
    remb_due: Option<Instant>,
    recent: Vec<(Instant, usize, Duration)>,
    // Repair.
    missing: BTreeMap<u64, Missing>,
    ahead: BTreeSet<u64>,
    contiguous: u64,
    tick: Instant,
    last_pli: Option<Instant>,
    last_packet: Option<Instant>,
    first_packet: Option<Instant>,
    pub decoder: Decoder,
    /// Shows layers of one stream, where the camera sends these.
    pub screen: Option<Screen>,
    pub record: Record,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub padding_bytes: u64,
    pub repairs: u64,
    pub nacks: u64,
    pub plis: u64,
    pub extra: Vec<Vec<u8>>,
}

impl Viewer {
    pub fn new(
        (transport, consumer): (TransportId, ConsumerId),
        description: &ConsumerDescription,
        feedback: Feedback,
        line: &Line,
        base: Instant,
        seed: u64,
    ) -> Self {
        let mut random = Random::new(seed);
        Self {
            transport,
            consumer,
            feedback,
            ssrc: description.ssrc,
            rtx_ssrc: description.rtx_ssrc,
            base,
            one_way: line.one_way(),
            up: Link::new(line.up(true), random.next_u64()).expect("the line's shares are shares"),
            transport_sequence: SequenceUnwrapper::new(),
            arrivals: BTreeMap::new(),
            window_start: None,
            feedback_due: None,
            feedback_count: 0,
            report_due: base + Duration::from_secs(1).mul_f64(random.unit()),
            last_report: None,
            sequence: SequenceUnwrapper::new(),
            highest: 0,
            first: None,
            received: 0,
            reported: (0, 0),
            remb: 300_000.0,
            remb_due: None,
            recent: vec![],
            missing: BTreeMap::new(),
            ahead: BTreeSet::new(),
            contiguous: 0,
            tick: base,
            last_pli: None,
            last_packet: None,
            first_packet: None,
            random,
            decoder: Decoder::default(),
            screen: None,
            record: Record::default(),
            sent_bytes: 0,
            received_bytes: 0,
            padding_bytes: 0,
            repairs: 0,
            nacks: 0,
            plis: 0,
            extra: vec![],
        }
    }

    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        let speaks = self.feedback != Feedback::Nothing;
        earliest([
            self.feedback_due,
            speaks.then_some(self.report_due),
            speaks.then_some(self.tick),
            self.remb_due,
            self.up.next_timeout(),
        ])
    }

    /// The datagram of a packet that leaves toward this peer.
    pub fn envelop(&mut self, flow: u8, packet: &[u8], rtcp: bool, now: Instant) -> Vec<u8> {
        let sent_us = micros(self.base, now);
        let number = if rtcp {
            NOT_MEDIA
        } else {
            self.record.journeys.push(Journey {
                sent: Duration::from_micros(sent_us),
                queued: None,
            });
            self.record.journeys.len() as u64 - 1
        };
        let tag = Tag {
            flow,
            number,
            sent_us,
        };
        let mut data = tag.datagram(WIRE_OVERHEAD);
        data.extend(packet);
        self.sent_bytes += data.len() as u64;
        data
    }

    /// A datagram arrives.
    pub fn arrive(&mut self, data: &[u8], now: Instant) {
        let tag = Tag::read(data);
        let packet = &data[WIRE_OVERHEAD..];
        self.received_bytes += data.len() as u64;
        if tag.number == NOT_MEDIA {
            return self.on_rtcp(packet, now);
        }
        let way = &mut self.record.journeys[tag.number as usize];
        let taken = Duration::from_micros(micros(self.base, now)).saturating_sub(way.sent);
        let queued = taken.saturating_sub(self.one_way);
        way.queued = Some(queued);
        if self.feedback == Feedback::Remb {
            self.recent.push((now, data.len(), queued));
            self.remb_due
                .get_or_insert(now + Duration::from_millis(500));
        }
        let packet = RtpPacket::parse(packet).expect("the router writes RTP");
        if let Some(sequence) = packet.extension(TRANSPORT_SEQUENCE) {
            let sequence = u16::from_be_bytes([sequence[0], sequence[1]]);
            self.note_arrival(sequence, now);
        }
        self.on_rtp(&packet, now);
    }

    fn note_arrival(&mut self, sequence: u16, now: Instant) {
        if self.feedback != Feedback::TransportWide {
            return;
        }
        let number = self.transport_sequence.unwrap(sequence);
        self.arrivals.insert(number, micros(self.base, now));
        let start = self.window_start.get_or_insert(number);
        *start = number.min(*start);
        self.feedback_due
            .get_or_insert(now + Duration::from_millis(20));
    }

    fn on_rtp(&mut self, packet: &RtpPacket<'_>, now: Instant) {
        self.last_packet = Some(now);
        self.first_packet.get_or_insert(now);
        if Some(packet.ssrc()) == self.rtx_ssrc {
            let Some((original, payload)) = packet.payload().split_at_checked(2) else {
                self.padding_bytes += packet.bytes().len() as u64;
                return;
            };
            let original = u16::from_be_bytes([original[0], original[1]]);
            let number = self.sequence.peek(original);
            let wanted = self.missing.contains_key(&number);
            if !wanted {
                self.padding_bytes += packet.bytes().len() as u64;
                return;
            }
            self.repairs += 1;
            return self.on_media(number, packet, payload, now);
        }
        if packet.ssrc() != self.ssrc {
            return;
        }
        let number = self.sequence.peek(packet.sequence());
        if self.sequence.last().is_none_or(|last| number > last) {
            self.sequence.unwrap(packet.sequence());
        }
        if self.first.is_none() {
            self.first = Some(number);
            self.highest = number;
            self.contiguous = number - 1;
        }
        for missing in self.highest + 1..number {
            let missed = Missing {
                since: now,
                asked: None,
                times: 0,
            };
            self.missing.insert(missing, missed);
        }
        self.highest = self.highest.max(number);
        self.received += 1;
        if packet.payload().is_empty() {
            self.padding_bytes += packet.bytes().len() as u64;
            self.missing.remove(&number);
            self.proceed(number);
            return;
        }
        self.on_media(number, packet, packet.payload(), now);
    }

    fn proceed(&mut self, number: u64) {
        self.ahead.insert(number);
        while self.ahead.remove(&(self.contiguous + 1)) {
            self.contiguous += 1;
        }
    }

    fn on_media(&mut self, number: u64, packet: &RtpPacket<'_>, payload: &[u8], now: Instant) {
        let timestamp = packet.timestamp();
        self.missing.remove(&number);
        if number > self.contiguous {
            self.proceed(number);
        }
        if let Some(screen) = &mut self.screen {
            let (shown, key) = screen.packet(timestamp, packet.marker(), payload, now);
            let at = now.saturating_duration_since(self.base);
            self.record.shown.extend((0..shown).map(|_| at));
            if key {
                self.missing = self.missing.split_off(&number);
            }
            return;
        }
        let Some(truth) = Truth::read(payload) else {
            return;
        };
        let id = Descriptor::parse(payload).ok().and_then(|d| d.picture_id);
        let (shown, keyframes) = (self.decoder.pictures, self.decoder.keyframes);
        self.decoder
            .packet((number, timestamp), truth, id.map(|id| id.value), now);
        for _ in shown..self.decoder.pictures {
            self.record
                .shown
                .push(now.saturating_duration_since(self.base));
        }
        if self.decoder.keyframes > keyframes {
            let began = self.decoder.keyframe_began;
            self.missing = self.missing.split_off(&began);
            self.ahead = self.ahead.split_off(&began);
            self.contiguous = self.contiguous.max(began - 1);
            while self.ahead.remove(&(self.contiguous + 1)) {
                self.contiguous += 1;
            }
        }
        self.decoder.look_for_broken(self.contiguous);
    }

    fn on_rtcp(&mut self, data: &[u8], now: Instant) {
        for packet in parse_compound(data).flatten() {
            if let RtcpPacket::SenderReport(report) = packet
                && report.ssrc == self.ssrc
            {
                self.last_report = Some((report.ntp.compact(), now));
            }
        }
    }

    /// Does what is due; gives what arrives at the far end of the way up.
    pub fn handle(&mut self, now: Instant) -> Vec<Vec<u8>> {
        if self.feedback != Feedback::Nothing {
            if self.feedback_due.is_some_and(|due| due <= now) {
                self.send_feedback(now);
            }
            if self.remb_due.is_some_and(|due| due <= now) {
                self.send_remb(now);
            }
            if self.report_due <= now {
                self.send_report(now);
            }
            if self.tick <= now {
                self.tick = now + Duration::from_millis(20);
                self.ask(now);
            }
        }
        for data in std::mem::take(&mut self.extra) {
            self.up.send(now, data);
        }
        std::iter::from_fn(|| self.up.poll(now)).collect()
    }

    fn send(&mut self, packet: &impl RtcpWrite, now: Instant) {
        self.up.send(now, wire(packet));
    }

    fn send_feedback(&mut self, now: Instant) {
        let wait = Duration::from_millis(50).mul_f64(1.0 + self.random.unit());
        self.feedback_due = Some(now + wait);
        let Some(start) = self.window_start else {
            return;
        };
        let arrivals: Vec<(u16, u64)> = self
            .arrivals
            .range(start..)
            .map(|(number, at)| (*number as u16, *at))
            .collect();
        let (mut rest, mut base_sequence) = (&arrivals[..], start as u16);
        while !rest.is_empty() {
            let target = FeedbackTarget {
                sender_ssrc: OWN_SSRC,
                media_ssrc: self.ssrc,
                feedback_count: self.feedback_count,
                base_sequence,
            };
            let mut out = vec![0; 1_200];
            let written =
                write_transport_feedback(&mut out, &target, rest).expect("arrivals in order");
            out.truncate(written.len);
            self.up.send(now, out);
            self.feedback_count = self.feedback_count.wrapping_add(1);
            rest = &rest[written.taken..];
            base_sequence = written.next_sequence;
        }
        if let Some((newest, _)) = self.arrivals.last_key_value() {
            let newest = *newest;
            self.window_start = Some(newest + 1);
            self.arrivals = self.arrivals.split_off(&newest.saturating_sub(REMEMBERED));
        }
    }

    /// The rule of a simple receiver: down to 85 % of what arrives when it queues, else up by
    /// 8 % a second as far as half more than what arrives.
    fn send_remb(&mut self, now: Instant) {
        self.remb_due = Some(now + Duration::from_millis(500));
        let second = Duration::from_secs(1);
        self.recent.retain(|(at, _, _)| *at + second > now);
        let bytes: usize = self.recent.iter().map(|(_, len, _)| len).sum();
        let waits = self.recent.iter().map(|(_, _, wait)| wait.as_secs_f64());
        let queued = percentile(waits, 0.5);
        let rate = bytes as f64 * 8.0;
        if queued > 0.06 {
            self.remb = 0.85 * rate;
        } else {
            self.remb = (self.remb * 1.04)
                .min(1.5 * rate + 10_000.0)
                .max(self.remb * 0.99);
        }
        let remb = Remb {
            sender_ssrc: OWN_SSRC,
            bitrate_bps: self.remb as u64,
            ssrcs: Entries::new(std::slice::from_ref(&self.ssrc)),
        };
        self.up.send(now, wire(&remb));
    }

    fn send_report(&mut self, now: Instant) {
        self.report_due = now + Duration::from_secs(1).mul_f64(0.5 + self.random.unit());
        let Some(first) = self.first else {
            return;
        };
        let expected = self.highest + 1 - first;
        let (expected_now, received_now) = (
            expected - self.reported.0,
            self.received.saturating_sub(self.reported.1),
        );
        self.reported = (expected, self.received);
        let lost = expected_now.saturating_sub(received_now);
        let block = ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: (lost * 256 / expected_now.max(1)).min(255) as u8,
            cumulative_lost: (expected as i64 - self.received as i64) as i32,
            highest_sequence: self.highest as u32,
            jitter: 0,
            last_sr: self.last_report.map_or(0, |(compact, _)| compact),
            delay_since_last_sr: self.last_report.map_or(0, |(_, at)| {
                NtpTime::duration_to_compact(now.saturating_duration_since(at))
            }),
        };
        let report = ReceiverReport {
            ssrc: OWN_SSRC,
            reports: Entries::new(std::slice::from_ref(&block)),
            extension: &[],
        };
        self.up.send(now, wire(&report));
    }

    /// Asks for what is missing, and for a keyframe where nothing can be shown.
    fn ask(&mut self, now: Instant) {
        let patience = Duration::from_millis(10);
        let retry = self.one_way * 2 + Duration::from_millis(30);
        let mut wanted = vec![];
        self.missing.retain(|number, missing| {
            let due = match missing.asked {
                None => now >= missing.since + patience,
                Some(asked) => now >= asked + retry,
            };
            if due {
                missing.asked = Some(now);
                missing.times += 1;
                if missing.times <= 10 {
                    wanted.push(*number as u16);
                }
            }
            missing.times <= 10
        });
        let flooded = self.missing.len() > MISSING;
        if flooded {
            self.missing.clear();
        }
        let pairs: Vec<NackPair> = NackPairs::from_sorted(wanted.iter().copied()).collect();
        for part in pairs.chunks(250) {
            self.nacks += 1;
            let nack = Nack {
                sender_ssrc: OWN_SSRC,
                media_ssrc: self.ssrc,
                pairs: Entries::new(part),
            };
            self.send(&nack, now);
        }
        let past =
            |at: Option<Instant>, ms| at.is_none_or(|at| now >= at + Duration::from_millis(ms));
        let arrives = !past(self.last_packet, 500);
        let (pictures, last_shown, waits) = match &self.screen {
            Some(screen) => (screen.pictures, screen.last_shown, screen.is_waiting()),
            None => (
                self.decoder.pictures,
                self.decoder.last_shown,
                self.decoder.is_waiting(),
            ),
        };
        let limit = if pictures > 0 { 1_000 } else { 300 };
        let since = last_shown.or(self.first_packet);
        let stuck = past(since, limit) && arrives && waits;
        if (stuck || flooded) && past(self.last_pli, 500) {
            self.last_pli = Some(now);
            self.plis += 1;
            let pli = Pli {
                sender_ssrc: OWN_SSRC,
                media_ssrc: self.ssrc,
            };
            self.send(&pli, now);
        }
    }
}

/// An RTCP packet as a datagram.
pub fn wire(packet: &impl RtcpWrite) -> Vec<u8> {
    let mut out = vec![0; 1_400];
    let mut writer = CompoundWriter::new(&mut out);
    writer.push(packet).expect("it fits");
    let len = writer.finish();
    out.truncate(len);
    out
}
