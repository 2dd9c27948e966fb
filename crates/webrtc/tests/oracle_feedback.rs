//! str0m as the peer of a transport with a router behind it: what either says of the other's packets, and what follows.
//!
//! str0m sends a picture, which is forwarded back to it: it is publisher and viewer at once, over a line that loses
//! packets both ways. It takes our feedback apart, and makes its own.

#[path = "support/oracle.rs"]
mod oracle;
mod support;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use oracle::{Peer, SHAPES, Shape, pair};
use roomtone_rtp::{Codec, ExtensionKind, MediaKind, RtpPacket};
use roomtone_sfu::{
    CodecParams, ConsumerId, ConsumerParams, EncodingParams, FeedbackKinds, ProducerId,
    ProducerParams, Router, RouterConfig, TransportId, TransportParams, WallClock,
};
use roomtone_webrtc::{FiveTuple, MAX_TRANSMIT_LEN, Received, Transport};
use str0m::Rtc;
use str0m::media::{KeyframeRequestKind, MediaKind as PeerMediaKind};
use str0m::rtp::rtcp::{Rtcp, Twcc};
use str0m::rtp::{RawPacket, RtpWrite, Ssrc};
use support::{DELAY, Endpoint, Weather, World};

const T: TransportId = TransportId(1);
const SOURCE: ProducerId = ProducerId(2);
const ECHO: ConsumerId = ConsumerId(3);
/// str0m's first payload types and extension numbers.
const VP8: u8 = 96;
const RTX: u8 = 97;
const SEQUENCE: u8 = 3;
const FROM: u32 = 0x0301;
const FROM_RTX: u32 = 0x0302;
const TO: u32 = 0x0401;
const TO_RTX: u32 = 0x0402;
const PACKETS: u64 = 600;
const EVERY: Duration = Duration::from_millis(20);

/// A transport with a router behind it, as an engine drives them.
struct Node {
    transport: Transport,
    router: Router,
    outbox: VecDeque<(FiveTuple, Vec<u8>)>,
    /// When each packet of str0m's came, by its transport-wide number.
    arrived: BTreeMap<u16, Instant>,
    /// The transport-wide numbers of what was sent.
    sent: BTreeSet<u16>,
    writable: bool,
}

impl Node {
    fn new(transport: Transport, now: Instant) -> Self {
        let clock = WallClock {
            at: now,
            ntp: 3_900_000_000 << 32,
        };
        let mut config = RouterConfig::default();
        // All that is sent is what came: no padding in between.
        config.bandwidth.probing = false;
        let mut router = Router::new(config, clock, 7);
        router
            .open_transport(T, TransportParams::default(), now)
            .expect("it opens");
        router
            .produce(T, SOURCE, source(), now)
            .expect("it produces");
        router.consume(T, ECHO, echo(), now).expect("it consumes");
        Self {
            transport,
            router,
            outbox: VecDeque::new(),
            arrived: BTreeMap::new(),
            sent: BTreeSet::new(),
            writable: false,
        }
    }

    fn drive(&mut self, now: Instant) {
        while self.transport.poll_event().is_some() {}
        if self.transport.is_writable() && !self.writable {
            self.writable = true;
            self.router.set_writable(T, true, now).expect("it is open");
        }
        let mut buffer = [0; MAX_TRANSMIT_LEN];
        while let Some(sent) = self.transport.poll_transmit(&mut buffer) {
            self.outbox
                .push_back((sent.tuple, buffer[..sent.len].to_vec()));
        }
        let Some(tuple) = self.transport.selected().filter(|_| self.writable) else {
            return;
        };
        while let Some(id) = self.router.poll_burst(now) {
            while let Some(written) = self.router.write_packet(id, now, &mut buffer) {
                let sealed = if written.rtcp {
                    self.transport.seal_rtcp(&mut buffer, written.len)
                } else {
                    self.sent.extend(transport_sequence(&buffer[..written.len]));
                    self.transport.seal_rtp(&mut buffer, written.len)
                };
                let len = sealed.expect("it is writable");
                self.outbox.push_back((tuple, buffer[..len].to_vec()));
            }
        }
        while self.router.poll_event().is_some() {}
    }
}

impl Endpoint for Node {
    fn receive(&mut self, tuple: FiveTuple, data: &mut [u8], now: Instant) {
        match self.transport.handle_datagram(tuple, data, now) {
            Ok(Received::Rtp(packet)) => {
                if let Some(number) = transport_sequence(packet) {
                    self.arrived.insert(number, now);
                }
                self.router.handle_rtp(T, packet, now).expect("it is known");
            }
            Ok(Received::Rtcp(packet)) => {
                if let Err(error) = self.router.handle_rtcp(T, packet, now) {
                    panic!("{error:?}: {packet:02x?}");
                }
            }
            Ok(Received::Handled) => {}
            Err(error) => panic!("{error}"),
        }
        self.drive(now);
    }

    fn transmit(&mut self, now: Instant) -> Option<(FiveTuple, Vec<u8>)> {
        if self.outbox.is_empty() {
            self.drive(now);
        }
        self.outbox.pop_front()
    }

    fn timeout(&mut self, now: Instant) {
        if self.transport.next_timeout().is_some_and(|at| at <= now) {
            self.transport.handle_timeout(now);
        }
        self.router.handle_timeout(now);
        self.drive(now);
    }

    fn next(&mut self) -> Option<Instant> {
        [self.transport.next_timeout(), self.router.next_timeout()]
            .into_iter()
            .flatten()
            .min()
    }
}

fn transport_sequence(packet: &[u8]) -> Option<u16> {
    let packet = RtpPacket::parse(packet).expect("RTP");
    let value = packet.extension(SEQUENCE)?;
    Some(u16::from_be_bytes(value.try_into().expect("two bytes")))
}

const ALL: FeedbackKinds = FeedbackKinds {
    nack: true,
    pli: true,
    fir: true,
    transport_cc: true,
    remb: false,
};

fn source() -> ProducerParams {
    ProducerParams {
        kind: MediaKind::Video,
        mid: None,
        codecs: vec![CodecParams {
            payload_type: VP8,
            codec: Codec::Vp8,
            clock_rate: 90_000,
            channels: 0,
            rtx_payload_type: Some(RTX),
            feedback: ALL,
        }],
        encodings: vec![EncodingParams {
            ssrc: Some(FROM),
            rid: None,
            rtx_ssrc: Some(FROM_RTX),
        }],
        extensions: vec![(SEQUENCE, ExtensionKind::TransportSequence)],
        paused: false,
    }
}

fn echo() -> ConsumerParams {
    ConsumerParams {
        producer: Some(SOURCE),
        kind: MediaKind::Video,
        mid: None,
        payload_types: vec![(VP8, VP8)],
        rtx_payload_types: vec![(VP8, RTX)],
        extensions: vec![(SEQUENCE, ExtensionKind::TransportSequence)],
        ssrc: Some(TO),
        rtx_ssrc: Some(TO_RTX),
        paused: false,
        feedback: ALL,
        redundancy: None,
        verbatim: false,
    }
}

/// A picture in one packet (RFC 7741): descriptor, frame header, and its number.
fn picture(number: u64, key: bool) -> Vec<u8> {
    let mut payload = vec![
        0x10,
        u8::from(!key),
        0,
        0,
        0x9d,
        0x01,
        0x2a,
        0x80,
        0x02,
        0xe0,
        0x01,
    ];
    payload.extend_from_slice(&number.to_be_bytes());
    payload.resize(700, number as u8);
    payload
}

/// Which picture that is.
fn number_of(payload: &[u8]) -> u64 {
    u64::from_be_bytes(payload[11..19].try_into().expect("a whole picture"))
}

/// Both sides, connected, with pictures flowing: a key picture whenever str0m is asked for one.
struct Scene {
    world: World<Node, Peer>,
    /// Pictures sent.
    pictures: u64,
    answered: usize,
}

impl Scene {
    fn new(shape: Shape, seed: u64) -> Self {
        let now = support::epoch();
        let rtc = Rtc::builder()
            .set_rtp_mode(true)
            .enable_raw_packets(true)
            .set_stats_interval(Some(Duration::from_secs(1)))
            .build(now);
        let (transport, mut peer) = pair(shape, seed, now, rtc);
        let mut api = peer.rtc.direct_api();
        let mid = "vid".into();
        api.declare_media(mid, PeerMediaKind::Video);
        api.declare_stream_tx(FROM.into(), Some(FROM_RTX.into()), mid, None);
        api.expect_stream_rx(TO.into(), Some(TO_RTX.into()), mid, None);
        api.enable_twcc_feedback();
        peer.timeout(now);
        let node = Node::new(transport, now);
        let mut world = World::new(node, peer, shape.theirs(), now, seed);
        let connected = world.run_until(Duration::from_secs(10), |world| {
            world.a.writable && world.b.connected
        });
        assert!(
            connected,
            "{shape:?} seed {seed}: {}",
            world.a.transport.ice_report()
        );
        Self {
            world,
            pictures: 0,
            answered: 0,
        }
    }

    fn send(&mut self, pictures: u64) {
        for _ in 0..pictures {
            let asked = self.world.b.keyframe_requests.len();
            let key = self.pictures == 0 || asked > self.answered;
            self.answered = asked;
            let (number, now) = (self.pictures, self.world.now);
            let payload = picture(number, key);
            let timestamp = number as u32 * 1_800;
            let write = RtpWrite::new(VP8.into(), number.into(), timestamp, now, payload);
            let write = write.marker(true).nackable(true);
            self.world.b.write_rtp(FROM, write, now);
            self.pictures += 1;
            self.world.run_for(EVERY);
        }
    }

    /// What str0m got of that kind, and sent.
    fn rtcp(&self, received: bool) -> impl Iterator<Item = &Rtcp> {
        self.world
            .b
            .raw
            .iter()
            .filter_map(move |(_, packet)| match packet {
                RawPacket::RtcpRx(rtcp) if received => Some(rtcp),
                RawPacket::RtcpTx(rtcp) if !received => Some(rtcp),
                _ => None,
            })
    }

    fn feedback(&self, received: bool) -> Vec<Twcc> {
        let feedback = self.rtcp(received).filter_map(|rtcp| match rtcp {
            Rtcp::Twcc(twcc) => Some(twcc.clone()),
            _ => None,
        });
        feedback.collect()
    }

    /// Transport-wide numbers of the RTP that str0m sent, or got.
    fn numbers(&self, received: bool) -> BTreeSet<u16> {
        let packets = self
            .world
            .b
            .raw
            .iter()
            .filter_map(|(_, packet)| match packet {
                RawPacket::RtpRx(header, _) if received => header.ext_vals.transport_cc,
                RawPacket::RtpTx(header, _) if !received => header.ext_vals.transport_cc,
                _ => None,
            });
        packets.collect()
    }

    /// The pictures that came back, by the sequence number under which they did.
    fn echoed(&self) -> BTreeMap<u16, u64> {
        let packets = self.world.b.received.iter();
        packets
            .map(|(sequence, payload)| (*sequence, number_of(payload)))
            .collect()
    }
}

fn loss(per_mille: u64) -> Weather {
    Weather {
        loss: per_mille,
        ..Weather::default()
    }
}

/// What a feedback packet says: each number, and when it came if it did, after some moment of its sender's.
fn said_by(twcc: Twcc, zero: Instant) -> Vec<(u16, Option<Instant>)> {
    let entries = twcc.into_iter(zero, 0.into());
    entries
        .map(|(number, _, at)| (*number as u16, at))
        .collect()
}

/// A lossy line, some media, and quiet at the end, so that all that is to be said is said.
fn lossy(shape: Shape, seed: u64) -> Scene {
    let mut scene = Scene::new(shape, seed);
    scene.send(50);
    scene.world.weather = loss(50);
    scene.send(PACKETS);
    scene.world.weather = Weather::default();
    scene.send(50);
    scene.world.run_for(Duration::from_secs(2));
    scene
}

#[test]
fn our_transport_wide_feedback_names_what_came_and_when() {
    for (shape, seed) in SHAPES.into_iter().zip(1..) {
        let scene = lossy(shape, seed);
        let (sent, arrived) = (scene.numbers(false), &scene.world.a.arrived);
        let lost = sent.len() - arrived.len();
        assert!(lost > 10, "{shape:?}: {lost} of {} lost", sent.len());
        assert!(arrived.keys().all(|number| sent.contains(number)));
        let zero = scene
            .world
            .now
            .checked_sub(Duration::from_secs(1_000))
            .unwrap();
        let mut told = BTreeMap::new();
        let mut counts = Vec::new();
        for twcc in scene.feedback(true) {
            let theirs = [Ssrc::from(FROM), Ssrc::from(FROM_RTX)];
            assert!(theirs.contains(&twcc.ssrc), "it is about their streams");
            counts.push(twcc.feedback_count);
            let entries = said_by(twcc, zero);
            let mut last: Option<(Instant, Instant)> = None;
            for (number, at) in entries {
                let truly = arrived.get(&number);
                assert!(sent.contains(&number), "{shape:?}: {number} was never sent");
                // A number may be named as missing and, once it has come after all, named again.
                assert!(
                    at.is_none() || truly.is_some(),
                    "{shape:?}: {number} never came"
                );
                if let (Some(at), Some(truly)) = (at, truly) {
                    if let Some((at_before, truly_before)) = last {
                        let (said, true_) = (at - at_before, *truly - truly_before);
                        let off = said.abs_diff(true_);
                        assert!(off < Duration::from_millis(1), "{number}: off by {off:?}");
                    }
                    last = Some((at, *truly));
                }
                let known = told.entry(number).or_insert(false);
                *known |= at.is_some();
            }
        }
        assert!(
            counts.len() > 50,
            "{shape:?}: {} feedback packets",
            counts.len()
        );
        let in_order = counts
            .windows(2)
            .all(|pair| (1..50).contains(&pair[1].wrapping_sub(pair[0])));
        assert!(in_order, "{shape:?}: {counts:?}");
        // Feedback is lost as all else is, one in twenty; nothing else is missing, and nothing is said falsely.
        assert!(
            told.len() * 100 >= sent.len() * 90,
            "{shape:?}: {} of {} told of",
            told.len(),
            sent.len()
        );
        let falsely: Vec<_> = told
            .iter()
            .filter(|(number, came)| **came != arrived.contains_key(number))
            .collect();
        assert_eq!(falsely, vec![], "{shape:?}");
    }
}

#[test]
fn their_transport_wide_feedback_names_what_we_sent_and_is_followed() {
    for (shape, seed) in SHAPES.into_iter().zip(11..) {
        let scene = lossy(shape, seed);
        let (sent, came) = (&scene.world.a.sent, scene.numbers(true));
        assert!(sent.len() > 500 && came.len() < sent.len(), "{shape:?}");
        let zero = scene
            .world
            .now
            .checked_sub(Duration::from_secs(1_000))
            .unwrap();
        let mut told = BTreeSet::new();
        for twcc in scene.feedback(false) {
            for (number, at) in said_by(twcc, zero) {
                assert!(
                    sent.contains(&number),
                    "{shape:?}: {number} was never sent by us"
                );
                assert!(at.is_none() || came.contains(&number));
                told.extend(at.map(|_| number));
            }
        }
        assert!(
            told.len() * 100 >= came.len() * 95,
            "{shape:?}: {} of {} told of",
            told.len(),
            came.len()
        );
        let stats = scene.world.a.router.transport_stats(T).expect("it is open");
        assert_eq!(stats.estimator, "gcc-trendline");
        assert_eq!(
            stats.feedback_bogus, 0,
            "{shape:?}: it names only what was sent"
        );
        assert_eq!(stats.feedback_truncated + stats.rtcp_malformed, 0);
        let sent_feedback = scene.feedback(false).len() as u64;
        assert!(
            stats.feedback_received * 100 >= sent_feedback * 85,
            "{shape:?}: {} of {sent_feedback}",
            stats.feedback_received
        );
    }
}

#[test]
fn nacks_of_either_side_are_answered_by_rtx_of_the_other() {
    for (shape, seed) in SHAPES.into_iter().zip(21..) {
        let scene = lossy(shape, seed);
        let node = &scene.world.a;
        let nacks = |received| {
            let is_nack = |rtcp: &&Rtcp| matches!(rtcp, Rtcp::Nack(_));
            scene.rtcp(received).filter(is_nack).count()
        };
        assert!(nacks(true) > 5 && nacks(false) > 5, "{shape:?}");
        // Ours: str0m sends again what we ask for.
        let producer = node.router.producer_stats(SOURCE).expect("it is there");
        let stream = &producer.streams[0];
        assert!(stream.nacked_packets > 10, "{shape:?}: {stream:?}");
        assert!(stream.packets_repaired > 10, "{shape:?}: {stream:?}");
        assert!(
            stream.retransmitted_packets_received >= stream.packets_repaired,
            "{stream:?}"
        );
        // Theirs: we do, on the stream and with the payload type agreed on, and str0m takes it as the picture it was.
        let consumer = node.router.consumer_stats(ECHO).expect("it is there");
        let out = &consumer.outbound;
        assert!(
            out.nacked_packets > 10 && out.retransmitted_packets_sent > 10,
            "{out:?}"
        );
        let again = scene.world.b.raw.iter().filter(|(_, packet)| {
            matches!(packet, RawPacket::RtpRx(header, _)
                if header.ssrc == Ssrc::from(TO_RTX) && *header.payload_type == RTX)
        });
        assert!(again.count() > 10, "{shape:?}");
        let echoed = scene.echoed();
        let came: BTreeSet<u64> = echoed.values().copied().collect();
        let missing = scene.pictures as usize - came.len();
        assert!(
            missing * 1000 <= scene.pictures as usize,
            "{shape:?}: {missing} of {} missing for good",
            scene.pictures
        );
        // Whatever came late stands where it belongs.
        let order: Vec<u64> = echoed.into_values().collect();
        assert!(order.is_sorted(), "{shape:?}");
    }
}

#[test]
fn a_picture_loss_is_told_to_whoever_sends_the_picture() {
    for (shape, seed) in SHAPES.into_iter().zip(31..) {
        let mut scene = Scene::new(shape, seed);
        scene.send(50);
        let before = scene.world.b.keyframe_requests.len();
        let frames_before = key_frames(&scene);
        let now = scene.world.now;
        let mut api = scene.world.b.rtc.direct_api();
        api.stream_rx(&Ssrc::from(TO))
            .expect("expected")
            .request_keyframe(KeyframeRequestKind::Pli);
        scene.world.b.timeout(now);
        scene.send(50);
        let asked = &scene.world.b.keyframe_requests[before..];
        assert_eq!(
            asked,
            [KeyframeRequestKind::Pli],
            "{shape:?}: asked once, of whom it concerns"
        );
        let ours = scene.rtcp(true).filter_map(|rtcp| match rtcp {
            Rtcp::Pli(pli) => Some(pli.ssrc),
            _ => None,
        });
        assert_eq!(
            ours.last(),
            Some(Ssrc::from(FROM)),
            "{shape:?}: about the stream it sends"
        );
        assert_eq!(key_frames(&scene), frames_before + 1, "{shape:?}");
        let out = scene.world.a.router.consumer_stats(ECHO);
        assert_eq!(out.expect("it is there").outbound.pli_count, 1);
    }
}

/// Key pictures that came back.
fn key_frames(scene: &Scene) -> usize {
    let is_key = |(_, payload): &&(u16, Vec<u8>)| payload[1] & 1 == 0;
    scene.world.b.received.iter().filter(is_key).count()
}

#[test]
fn receiver_reports_of_either_side_say_what_the_other_measures() {
    for (shape, seed) in SHAPES.into_iter().zip(41..) {
        let scene = lossy(shape, seed);
        let trip = DELAY * 2;
        // Ours, as str0m reads them.
        let stats = scene.world.b.sending.last().expect("statistics");
        let remote = stats.remote.as_ref().expect("our reports came");
        let rtt = stats.rtt.expect("a round trip");
        assert!(
            rtt.abs_diff(trip) < Duration::from_millis(5),
            "{shape:?}: {rtt:?}"
        );
        assert!(
            remote.maximum_sequence_number >= (scene.pictures - 60).into(),
            "{shape:?}: {remote:?} of {}",
            scene.pictures
        );
        // What RTX repaired is not lost to us, and we say so.
        assert!(remote.packets_lost <= 1, "{shape:?}: {remote:?}");
        // Theirs, as we read them.
        let consumer = scene.world.a.router.consumer_stats(ECHO);
        let theirs = consumer.expect("it is there").remote;
        assert!(theirs.reports_received > 3, "{shape:?}: {theirs:?}");
        let rtt = theirs.round_trip_time.expect("a round trip");
        assert!(
            rtt.abs_diff(trip) < Duration::from_millis(5),
            "{shape:?}: {rtt:?}"
        );
    }
}
