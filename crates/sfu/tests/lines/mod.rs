//! Whole routers behind bad lines, in virtual time: a camera, the router, a shared bottleneck, and
//! peers that watch.
#![allow(dead_code, unreachable_pub)] // Each suite uses its part.
#![allow(clippy::unwrap_used)] // What fails here fails the test.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use roomtone_netem::Link;
use roomtone_rtp::rtcp::{RtcpPacket, parse_compound};
use roomtone_rtp::{Codec, ExtensionKind, MediaKind};
use roomtone_sfu::{
    CodecParams, ConsumerId, ConsumerParams, EncodingParams, FeedbackKinds, ProducerId,
    ProducerParams, Router, RouterConfig, RouterEvent, TransportId, TransportParams, WallClock,
};

#[path = "../../../bandwidth/tests/closed_loop/mod.rs"]
pub mod closed_loop;
pub mod decoder;
pub mod layered;
pub mod peers;
pub mod publisher;
pub mod traced;
pub mod viewer;

use closed_loop::TRANSFER;
use closed_loop::cubic::{Cubic, SEGMENT};
use closed_loop::figures::{self, Record, Sample};
use closed_loop::line::{Change, Line, Script, rate_at};
use closed_loop::table::{Outcome, Scenario};
use closed_loop::tag::{Tag, earliest, micros};
use layered::{DESCRIPTOR_ID, Screen};
use publisher::{PAYLOAD_TYPE, Publisher};
use traced::{Thoughts, Traced};
use viewer::{Feedback, OUT_RTX, OUT_VP8, TRANSPORT_SEQUENCE, Viewer};

/// What the model camera sends, in bits per second.
pub const LAYERS: [u64; 3] = [150_000, 500_000, 1_700_000];
const FIRST_SSRC: u32 = 1_000;
const PUBLISHER: TransportId = TransportId(1);
const VIDEO: ProducerId = ProducerId(10);
const NTP: u64 = 3_900_000_000 << 32;

/// A camera, a router, a line, and peers behind it.
pub struct World {
    pub router: Router,
    pub base: Instant,
    pub now: Instant,
    line: Line,
    script: Script,
    due: VecDeque<(Duration, Change)>,
    down: Link,
    /// A line of its own for the last who watches, of so many bits per second.
    aside: Option<Link>,
    pub publisher: Publisher,
    pub viewers: Vec<Viewer>,
    transfer: Option<(Cubic, Link)>,
    /// Bytes of the transfer since the last sample.
    transferred: u64,
    transfer_record: Record,
    pub events: Vec<(Duration, RouterEvent)>,
    next_sample: Duration,
    counted: Vec<(u64, u64)>,
    seed: u64,
    /// Packets the router wrote.
    pub written: u64,
}

impl World {
    pub fn new(line: Line, script: Script, seed: u64) -> Self {
        Self::with_layers(&LAYERS, line, script, seed)
    }

    pub fn with_layers(layers: &[u64], line: Line, script: Script, seed: u64) -> Self {
        let round_trip = line.one_way() * 2;
        let publisher = |base| Publisher::new(layers, FIRST_SSRC, round_trip, base, seed);
        Self::of(publisher, line, script, seed)
    }

    /// A camera of one stream in spatial and temporal layers, each predicted from those below; right beside the router.
    pub fn layered(line: Line, script: Script, seed: u64) -> Self {
        let beside = Duration::from_millis(10);
        let publisher = |base| Publisher::layered(FIRST_SSRC, beside, base, seed);
        Self::of(publisher, line, script, seed)
    }

    fn of(
        publisher: impl FnOnce(Instant) -> Publisher,
        line: Line,
        script: Script,
        seed: u64,
    ) -> Self {
        #[allow(clippy::disallowed_methods, reason = "any instant to count from")]
        let base = Instant::now();
        let clock = WallClock { at: base, ntp: NTP };
        let publisher = publisher(base);
        let mut world = Self {
            router: Router::new(RouterConfig::default(), clock, seed),
            base,
            now: base,
            down: Link::new(line.down(true), seed).expect("the line's shares are shares"),
            aside: None,
            line,
            due: script.iter().copied().collect(),
            script,
            publisher,
            viewers: vec![],
            transfer: None,
            transferred: 0,
            transfer_record: Record::default(),
            events: vec![],
            next_sample: Sample::EVERY,
            counted: vec![],
            seed,
            written: 0,
        };
        world.open(PUBLISHER);
        let params = producer(&world.publisher);
        world
            .router
            .produce(PUBLISHER, VIDEO, params, base)
            .unwrap();
        world
    }

    fn open(&mut self, id: TransportId) {
        let params = TransportParams {
            rtcp_cname: "cname".into(),
            reduced_size: true,
            ..TransportParams::default()
        };
        self.router.open_transport(id, params, self.now).unwrap();
        self.router.set_writable(id, true, self.now).unwrap();
    }

    /// Adds a peer that watches.
    pub fn watch(&mut self, feedback: Feedback) {
        let index = self.viewers.len() as u64;
        let (transport, consumer) = (TransportId(100 + index), ConsumerId(200 + index));
        self.open(transport);
        let layered = self.publisher.is_layered();
        let params = consumer_params(feedback, layered);
        let described = self
            .router
            .consume(transport, consumer, params, self.now)
            .unwrap();
        let seed = self.seed ^ ((index + 1) << 40);
        let mut viewer = Viewer::new(
            (transport, consumer),
            &described,
            feedback,
            &self.line,
            self.base,
            seed,
        );
        viewer.screen = layered.then(Screen::default);
        self.viewers.push(viewer);
        self.counted.push((0, 0));
    }

    /// Says that all who watch are at one address.
    fn settle(&mut self) {
        for viewer in &self.viewers {
            let site = self.router.set_site(viewer.transport, Some(1), self.now);
            site.unwrap();
        }
    }

    /// Gives the last who watches a line of its own.
    pub fn set_aside(&mut self, bps: u64) {
        let mut line = self.line.clone();
        line.bps = bps;
        let link = Link::new(line.down(true), self.seed ^ 0xa51d);
        self.aside = Some(link.expect("the line's shares are shares"));
    }

    /// Adds a bulk transfer over the same line.
    pub fn add_transfer(&mut self) {
        let up = Link::new(self.line.up(true), self.seed).expect("the line's shares are shares");
        self.transfer = Some((Cubic::new(self.now), up));
    }

    /// A row with peers of one kind, played to its end.
    pub fn play(row: &Scenario, feedback: Feedback, seed: u64) -> Self {
        let mut world = Self::begin(row, feedback, seed);
        world.run(row.seconds);
        world
    }

    /// The same before it begins.
    pub fn begin(row: &Scenario, feedback: Feedback, seed: u64) -> Self {
        let mut world = Self::new(row.line.clone(), row.script.clone(), seed);
        for _ in 0..row.flows {
            world.watch(feedback);
        }
        if !row.strangers {
            world.settle();
        }
        if row.transfer {
            world.add_transfer();
        }
        world
    }

    /// Makes the first peer's estimator tell what it thinks.
    pub fn trace(&mut self) -> Arc<Mutex<Thoughts>> {
        let config = RouterConfig::default().bandwidth.congestion;
        let (traced, thoughts) = Traced::new(config, self.base);
        self.router
            .set_estimator(self.viewers[0].transport, Box::new(traced), self.now)
            .unwrap();
        thoughts
    }

    /// What was noted.
    pub fn outcome(&mut self) -> Outcome {
        let records = self.viewers.iter_mut();
        Outcome {
            records: records
                .map(|viewer| std::mem::take(&mut viewer.record))
                .collect(),
            transfer: std::mem::take(&mut self.transfer_record),
        }
    }

    /// Lets time pass until `until` seconds after the beginning.
    pub fn run(&mut self, until: f64) {
        let end = self.base + figures::seconds(until);
        loop {
            self.step();
            let next = self.next();
            if next > end {
                break;
            }
            // Whoever asks for the past is called again a little later, not forever now.
            self.now = next.max(self.now + Duration::from_micros(1));
        }
        self.now = end;
    }

    fn next(&self) -> Instant {
        let viewers = self.viewers.iter().filter_map(Viewer::next_timeout).min();
        let transfer = self
            .transfer
            .as_ref()
            .and_then(|(cubic, up)| earliest([cubic.next_timeout(), up.next_timeout()]));
        let first = earliest([
            viewers,
            transfer,
            self.down.next_timeout(),
            self.aside.as_ref().and_then(Link::next_timeout),
            self.router.next_timeout(),
            self.due.front().map(|(at, _)| self.base + *at),
            Some(self.publisher.next_timeout()),
            Some(self.base + self.next_sample),
        ]);
        first.expect("a sample is always due")
    }

    fn step(&mut self) {
        let now = self.now;
        while self
            .due
            .front()
            .is_some_and(|(at, _)| self.base + *at <= now)
        {
            let (_, change) = self.due.pop_front().expect("it was looked at");
            self.change(change);
        }
        for report in self.publisher.reports(now, NTP) {
            self.router.handle_rtcp(PUBLISHER, &report, now).unwrap();
        }
        for packet in self.publisher.pictures(now) {
            self.router.handle_rtp(PUBLISHER, &packet, now).unwrap();
        }
        while let Some(data) = self.down.poll(now) {
            self.deliver(&data);
        }
        while let Some(data) = self.aside.as_mut().and_then(|line| line.poll(now)) {
            self.deliver(&data);
        }
        for viewer in &mut self.viewers {
            for data in viewer.handle(now) {
                // What is wrong with it is counted by the router.
                let _ = self.router.handle_rtcp(viewer.transport, &data, now);
            }
        }
        if self.router.next_timeout().is_some_and(|at| at <= now) {
            self.router.handle_timeout(now);
        }
        self.drain();
        self.pump_transfer();
        while self.base + self.next_sample <= now {
            self.sample();
        }
    }

    fn change(&mut self, change: Change) {
        if let Change::Rate(bps) = change {
            self.line.bps = bps;
        }
        let flowing = change != Change::Still;
        let fits = "the line's shares are shares";
        let (down, up) = (self.line.down(flowing), self.line.up(flowing));
        self.down.set_config(self.now, down).expect(fits);
        for viewer in &mut self.viewers {
            viewer.up.set_config(self.now, up.clone()).expect(fits);
        }
        if let Some((_, link)) = &mut self.transfer {
            link.set_config(self.now, up).expect(fits);
        }
    }

    fn deliver(&mut self, data: &[u8]) {
        let tag = Tag::read(data);
        if let Some(viewer) = self.viewers.get_mut(tag.flow as usize) {
            viewer.arrive(data, self.now);
        } else if let Some((_, up)) = &mut self.transfer {
            self.transferred += data.len() as u64;
            up.send(self.now, tag.datagram(60));
        }
    }

    fn drain(&mut self) {
        let mut out = [0; 1_600];
        while let Some(transport) = self.router.poll_burst(self.now) {
            while let Some(written) = self.router.write_packet(transport, self.now, &mut out) {
                self.written += 1;
                self.leave(transport, &out[..written.len], written.rtcp);
            }
        }
        let at = self.now.saturating_duration_since(self.base);
        while let Some(event) = self.router.poll_event() {
            self.events.push((at, event));
        }
    }

    fn leave(&mut self, transport: TransportId, packet: &[u8], rtcp: bool) {
        if transport == PUBLISHER {
            return self.ask_publisher(packet);
        }
        let flow = (transport.0 - 100) as u8;
        let viewer = &mut self.viewers[flow as usize];
        let data = viewer.envelop(flow, packet, rtcp, self.now);
        let is_last = usize::from(flow) + 1 == self.viewers.len();
        match self.aside.as_mut().filter(|_| is_last) {
            Some(line) => line.send(self.now, data),
            None => self.down.send(self.now, data),
        }
    }

    fn ask_publisher(&mut self, rtcp: &[u8]) {
        for packet in parse_compound(rtcp).flatten() {
            match packet {
                RtcpPacket::Pli(pli) => self.publisher.request_keyframe(pli.media_ssrc, self.now),
                RtcpPacket::Fir(fir) => {
                    for entry in fir.entries {
                        self.publisher.request_keyframe(entry.ssrc, self.now);
                    }
                }
                _ => {}
            }
        }
    }

    fn pump_transfer(&mut self) {
        let Some((cubic, up)) = &mut self.transfer else {
            return;
        };
        while let Some(data) = up.poll(self.now) {
            cubic.acknowledge(Tag::read(&data).number, self.now);
        }
        cubic.handle_timeout(self.now);
        while let Some(number) = cubic.poll(self.now) {
            let tag = Tag {
                flow: TRANSFER,
                number,
                sent_us: micros(self.base, self.now),
            };
            self.down.send(self.now, tag.datagram(SEGMENT));
        }
    }

    fn sample(&mut self) {
        let at = self.next_sample;
        self.next_sample += Sample::EVERY;
        let line_bps = rate_at(&self.line, &self.script, at);
        let per_second = |bytes: u64| (bytes as f64 * 8.0 / Sample::EVERY.as_secs_f64()) as u64;
        self.transfer_record.samples.push(Sample {
            at,
            line_bps,
            received_bps: per_second(std::mem::take(&mut self.transferred)),
            ..Sample::default()
        });
        for (viewer, counted) in self.viewers.iter_mut().zip(&mut self.counted) {
            let stats = self.router.transport_stats(viewer.transport).unwrap();
            viewer.record.samples.push(Sample {
                at,
                line_bps,
                estimate_bps: stats.available_outgoing_bitrate,
                sent_bps: per_second(viewer.sent_bytes - counted.0),
                received_bps: per_second(viewer.received_bytes - counted.1),
                layer: viewer.decoder.layer.map_or(0, |(encoding, _)| encoding + 1),
            });
            *counted = (viewer.sent_bytes, viewer.received_bytes);
        }
    }
}

fn producer(publisher: &Publisher) -> ProducerParams {
    let mut extensions = vec![(1, ExtensionKind::Mid)];
    let codec = if publisher.is_layered() {
        extensions.push((DESCRIPTOR_ID, ExtensionKind::DependencyDescriptor));
        Codec::Av1
    } else {
        Codec::Vp8
    };
    ProducerParams {
        kind: MediaKind::Video,
        mid: Some("0".into()),
        codecs: vec![CodecParams {
            payload_type: PAYLOAD_TYPE,
            codec,
            clock_rate: 90_000,
            channels: 0,
            rtx_payload_type: None,
            feedback: FeedbackKinds {
                nack: true,
                pli: true,
                fir: true,
                transport_cc: true,
                remb: true,
            },
        }],
        encodings: publisher
            .ssrcs()
            .into_iter()
            .map(|ssrc| EncodingParams {
                ssrc: Some(ssrc),
                rid: None,
                rtx_ssrc: None,
            })
            .collect(),
        extensions,
        paused: false,
    }
}

fn consumer_params(feedback: Feedback, layered: bool) -> ConsumerParams {
    let wide = feedback == Feedback::TransportWide;
    let speaks = feedback != Feedback::Nothing;
    let mut extensions = vec![(11, ExtensionKind::Mid)];
    if wide {
        extensions.push((TRANSPORT_SEQUENCE, ExtensionKind::TransportSequence));
    }
    if layered {
        extensions.push((DESCRIPTOR_ID, ExtensionKind::DependencyDescriptor));
    }
    ConsumerParams {
        producer: Some(VIDEO),
        kind: MediaKind::Video,
        mid: Some("0".into()),
        payload_types: vec![(PAYLOAD_TYPE, OUT_VP8)],
        rtx_payload_types: vec![(OUT_VP8, OUT_RTX)],
        extensions,
        ssrc: None,
        rtx_ssrc: None,
        paused: false,
        feedback: FeedbackKinds {
            nack: speaks,
            pli: speaks,
            fir: speaks,
            transport_cc: wide,
            remb: feedback == Feedback::Remb,
        },
        redundancy: None,
        verbatim: false,
    }
}
