//! A camera, a router and viewers with decoders that know the truth.

pub mod structure;
pub mod viewer;
pub mod wire;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use roomtone_netem::Random;
use roomtone_rtp::rtcp::{CompoundWriter, RtcpPacket, SenderReport, parse_compound};
use roomtone_rtp::{Codec, ExtensionKind, MediaKind, NtpTime};
use roomtone_sfu::*;

use structure::{Encoder, Mode};
use viewer::Viewer;
use wire::{Format, Truth, Writer};

const CAMERA: TransportId = TransportId(1);
const PRODUCER: ProducerId = ProducerId(10);
const PAYLOAD_TYPE: u8 = 96;
const DESCRIPTOR_ID: u8 = 5;
const FIRST_SSRC: u32 = 1_000;
const FRAME: Duration = Duration::from_nanos(33_333_333);
const NTP: u64 = 3_900_000_000 << 32;
/// From a keyframe request to its answer, and from a packet to its repetition.
const ROUND_TRIP: Duration = Duration::from_millis(40);
/// Packets kept for repetition.
const KEPT: usize = 2_000;

/// What is published.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    pub codec: Codec,
    pub format: Format,
    pub mode: Mode,
    pub encodings: usize,
    /// Whether sender reports tell the clocks of the encodings.
    pub reports: bool,
}

struct Encoding {
    encoder: Encoder,
    writer: Writer,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// When a keyframe is due, for each time it was asked for.
    key_due: Option<Instant>,
    /// Until then nothing is sent.
    silent_until: Option<Instant>,
    sent: VecDeque<(u16, Vec<u8>)>,
}

/// One room in virtual time.
pub struct World {
    pub router: Router,
    pub now: Instant,
    pub base: Instant,
    pub random: Random,
    pub viewers: Vec<Viewer>,
    source: Source,
    encodings: Vec<Encoding>,
    next_picture: Instant,
    next_report: Instant,
    pictures: u64,
    /// Share of packets lost, to the router and from it.
    pub loss: f64,
    /// Packets on their way again to the router.
    again: VecDeque<(Instant, Vec<u8>)>,
}

fn feedback() -> FeedbackKinds {
    FeedbackKinds {
        nack: true,
        pli: true,
        ..FeedbackKinds::default()
    }
}

impl World {
    pub fn new(source: Source, seed: u64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "any instant to count from")]
        let base = Instant::now();
        let clock = WallClock { at: base, ntp: NTP };
        let mut random = Random::new(seed);
        let mut router = Router::new(RouterConfig::default(), clock, seed);
        let open = TransportParams {
            reduced_size: true,
            mixed_extensions: true,
            unlimited: true,
            ..TransportParams::default()
        };
        router.open_transport(CAMERA, open, base).unwrap();
        router.set_writable(CAMERA, true, base).unwrap();
        let encodings: Vec<_> = (0..source.encodings)
            .map(|index| Encoding {
                encoder: Encoder::new(source.mode),
                writer: Writer::new(source.format, source.mode, random.next_u64()),
                ssrc: FIRST_SSRC + index as u32,
                sequence: random.next_u64() as u16,
                timestamp: random.next_u64() as u32,
                key_due: None,
                silent_until: None,
                sent: VecDeque::new(),
            })
            .collect();
        let params = producer(source, &encodings);
        router.produce(CAMERA, PRODUCER, params, base).unwrap();
        Self {
            router,
            now: base,
            base,
            random,
            viewers: vec![],
            source,
            encodings,
            next_picture: base,
            next_report: base,
            pictures: 0,
            loss: 0.0,
            again: VecDeque::new(),
        }
    }

    /// A viewer joins.
    pub fn join(&mut self) -> usize {
        let index = self.viewers.len();
        let (transport, consumer) = (TransportId(100 + index as u64), ConsumerId(index as u64));
        let open = TransportParams {
            reduced_size: true,
            mixed_extensions: true,
            unlimited: true,
            ..TransportParams::default()
        };
        self.router
            .open_transport(transport, open, self.now)
            .unwrap();
        self.router.set_writable(transport, true, self.now).unwrap();
        let params = ConsumerParams {
            producer: Some(PRODUCER),
            kind: MediaKind::Video,
            mid: None,
            payload_types: vec![(PAYLOAD_TYPE, PAYLOAD_TYPE)],
            rtx_payload_types: vec![],
            extensions: vec![(DESCRIPTOR_ID, ExtensionKind::DependencyDescriptor)],
            ssrc: None,
            rtx_ssrc: None,
            paused: false,
            feedback: feedback(),
            redundancy: None,
            verbatim: false,
        };
        let described = self
            .router
            .consume(transport, consumer, params, self.now)
            .unwrap();
        let viewer = Viewer::new(transport, consumer, described.ssrc, self.source.format);
        self.viewers.push(viewer);
        index
    }

    /// Another wish of a viewer.
    pub fn choose(&mut self, viewer: usize, spatial: Option<u8>, temporal: Option<u8>) {
        let consumer = self.viewers[viewer].consumer;
        self.router
            .set_preferred_layers(consumer, spatial, temporal, self.now)
            .unwrap();
        let slowest = temporal.unwrap_or(2).min(self.source.mode.temporal - 1);
        self.viewers[viewer].wished(slowest, self.now);
    }

    /// An encoding pauses.
    pub fn silence(&mut self, encoding: usize, duration: Duration) {
        self.encodings[encoding].silent_until = Some(self.now + duration);
    }

    /// Whether an encoding pauses.
    pub fn is_silent(&self) -> bool {
        let mut encodings = self.encodings.iter();
        encodings.any(|encoding| encoding.silent_until.is_some())
    }

    /// Lets time pass.
    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let timer = self.router.next_timeout();
            let again = self.again.front().map(|(at, _)| *at);
            let viewers = self.viewers.iter().filter_map(Viewer::next_timeout);
            let next = [Some(self.next_picture), timer, again];
            let next = next.into_iter().flatten().chain(viewers).min();
            let next = next.unwrap_or(end).max(self.now);
            if next > end {
                break;
            }
            self.now = next;
            self.step();
        }
        self.now = end;
    }

    fn step(&mut self) {
        while let Some((_, packet)) = self.again.pop_front_if(|(at, _)| *at <= self.now) {
            let _ = self.router.handle_rtp(CAMERA, &packet, self.now);
        }
        if self.next_picture <= self.now {
            self.next_picture += FRAME;
            for encoding in 0..self.encodings.len() {
                self.picture(encoding);
            }
            self.pictures += 1;
        }
        if self.source.reports && self.next_report <= self.now {
            self.next_report = self.now + Duration::from_secs(1);
            self.report();
        }
        self.router.handle_timeout(self.now);
        for viewer in 0..self.viewers.len() {
            let transport = self.viewers[viewer].transport;
            if let Some(request) = self.viewers[viewer].poll(self.now) {
                self.router
                    .handle_rtcp(transport, &request, self.now)
                    .unwrap();
            }
        }
        self.drain();
    }

    fn picture(&mut self, index: usize) {
        let taken_ms = (self.pictures * 100 / 3) as u32;
        let encoding = &mut self.encodings[index];
        if encoding.silent_until.is_some_and(|until| until > self.now) {
            return;
        }
        let restored = encoding.silent_until.take().is_some();
        let due = encoding.key_due.is_some_and(|due| due <= self.now);
        if due || restored {
            encoding.key_due = None;
        }
        let turn = encoding.encoder.turn();
        let layers = encoding.encoder.picture(due || restored);
        let turn = if layers[0].key { 0 } else { turn };
        encoding.writer.next_picture(&layers);
        let timestamp = encoding
            .timestamp
            .wrapping_add((self.pictures * 3_000) as u32);
        let mut packets = vec![];
        for (at, layer) in layers.iter().enumerate() {
            let mut references = [0; 2];
            for (slot, number) in references.iter_mut().zip(layer.references()) {
                *slot = number;
            }
            let most = if layer.key { 8 } else { 3 };
            let count = 1 + (self.random.next_u64() % most) as u8;
            for n in 0..count {
                let truth = Truth {
                    encoding: index as u8,
                    spatial: layer.spatial,
                    temporal: layer.temporal,
                    key: layer.key,
                    frame: layer.number,
                    references,
                    index: n,
                    count,
                    taken_ms,
                };
                let len = 60 + (self.random.next_u64() % 300) as usize;
                let written = encoding
                    .writer
                    .packet(&encoding.encoder, layer, turn, &truth, len);
                let marker = n + 1 == count && at + 1 == layers.len();
                let packet = rtp(encoding, timestamp, marker, &written);
                packets.push(packet);
            }
        }
        for packet in packets {
            if !self.random.chance(self.loss) {
                let _ = self.router.handle_rtp(CAMERA, &packet, self.now);
            }
        }
    }

    fn report(&mut self) {
        for encoding in &self.encodings {
            let clock = self.now.saturating_duration_since(self.base).as_secs_f64() * 90_000.0;
            let report = SenderReport {
                ssrc: encoding.ssrc,
                ntp: NtpTime(NTP).plus(self.now.saturating_duration_since(self.base)),
                rtp_timestamp: encoding.timestamp.wrapping_add(clock as u32),
                ..SenderReport::default()
            };
            let mut out = [0; 200];
            let mut writer = CompoundWriter::new(&mut out);
            writer.push(&report).unwrap();
            let len = writer.finish();
            self.router
                .handle_rtcp(CAMERA, &out[..len], self.now)
                .unwrap();
        }
    }

    fn drain(&mut self) {
        let mut out = [0; 1_600];
        while let Some(transport) = self.router.poll_burst(self.now) {
            while let Some(written) = self.router.write_packet(transport, self.now, &mut out) {
                let bytes = &out[..written.len];
                if transport == CAMERA {
                    self.listen(bytes);
                } else if !written.rtcp {
                    let lost = self.random.chance(self.loss);
                    let viewer = self.viewers.iter_mut().find(|v| v.transport == transport);
                    if let Some(viewer) = viewer.filter(|_| !lost) {
                        viewer.packet(bytes, self.now);
                    }
                }
            }
        }
        while self.router.poll_event().is_some() {}
    }

    /// What the router says to the camera.
    fn listen(&mut self, bytes: &[u8]) {
        for packet in parse_compound(bytes) {
            match packet.unwrap() {
                RtcpPacket::Pli(pli) => {
                    let due = self.now + ROUND_TRIP;
                    for encoding in &mut self.encodings {
                        if encoding.ssrc == pli.media_ssrc {
                            encoding.key_due.get_or_insert(due);
                        }
                    }
                }
                RtcpPacket::Nack(nack) => {
                    let at = self.now + ROUND_TRIP;
                    let ssrc = nack.media_ssrc;
                    let encoding = self.encodings.iter().find(|e| e.ssrc == ssrc).unwrap();
                    for sequence in nack.sequences() {
                        let kept = encoding.sent.iter().find(|(s, _)| *s == sequence);
                        if let Some((_, packet)) = kept {
                            self.again.push_back((at, packet.clone()));
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

fn producer(source: Source, encodings: &[Encoding]) -> ProducerParams {
    ProducerParams {
        kind: MediaKind::Video,
        mid: None,
        codecs: vec![CodecParams {
            payload_type: PAYLOAD_TYPE,
            codec: source.codec,
            clock_rate: 90_000,
            channels: 0,
            rtx_payload_type: None,
            feedback: feedback(),
        }],
        encodings: encodings
            .iter()
            .map(|encoding| EncodingParams {
                ssrc: Some(encoding.ssrc),
                ..EncodingParams::default()
            })
            .collect(),
        extensions: vec![(DESCRIPTOR_ID, ExtensionKind::DependencyDescriptor)],
        paused: false,
    }
}

fn rtp(encoding: &mut Encoding, timestamp: u32, marker: bool, written: &wire::Written) -> Vec<u8> {
    let mut out = vec![0x80, u8::from(marker) << 7 | PAYLOAD_TYPE];
    out.extend(encoding.sequence.to_be_bytes());
    out.extend(timestamp.to_be_bytes());
    out.extend(encoding.ssrc.to_be_bytes());
    if let Some(descriptor) = &written.descriptor {
        out[0] |= 0x10;
        let mut block = vec![DESCRIPTOR_ID, descriptor.len() as u8];
        block.extend(descriptor);
        block.resize(block.len().next_multiple_of(4), 0);
        out.extend([0x10, 0, 0, (block.len() / 4) as u8]);
        out.extend(block);
    }
    out.extend(&written.payload);
    encoding.sent.push_back((encoding.sequence, out.clone()));
    if encoding.sent.len() > KEPT {
        encoding.sent.pop_front();
    }
    encoding.sequence = encoding.sequence.wrapping_add(1);
    out
}
