//! Whatever a peer sends, the router goes on, and what it holds stays bounded.
#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use proptest::prelude::*;
use roomtone_rtp::ExtensionKind;
use roomtone_sfu::*;
use support::*;

/// One step of a peer that keeps to no rule.
#[derive(Debug, Clone)]
enum Step {
    Garbage(Vec<u8>),
    Rtp {
        ssrc: u32,
        payload_type: u8,
        sequence: u16,
        timestamp: u32,
        payload: Vec<u8>,
        padding: u8,
        marker: bool,
    },
    Rtcp {
        from_subscriber: bool,
        data: Vec<u8>,
    },
    /// A well-formed feedback message with any contents.
    Feedback {
        packet_type: u8,
        format: u8,
        media: bool,
        words: Vec<u32>,
    },
    Pass(u16),
    Command(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..60);
    let ssrc = prop::sample::select(vec![1_000_u32, 1_001, 2_000, 2_001, 5_000, 7, 8]);
    let payload_type = prop::sample::select(vec![VP8, VP8_RTX, OPUS, 0]);
    let sequence = prop_oneof![0..20_u16, 65_520..=65_535_u16, any::<u16>()];
    prop_oneof![
        1 => bytes().prop_map(Step::Garbage),
        8 => (ssrc, payload_type, sequence, any::<u32>(), bytes(), 0..4_u8, any::<bool>()).prop_map(
            |(ssrc, payload_type, sequence, timestamp, payload, padding, marker)| Step::Rtp {
                ssrc, payload_type, sequence, timestamp, payload, padding, marker,
            }
        ),
        1 => (any::<bool>(), bytes()).prop_map(|(from_subscriber, data)| Step::Rtcp { from_subscriber, data }),
        3 => (200..=207_u8, 0..32_u8, any::<bool>(), prop::collection::vec(any::<u32>(), 0..12))
            .prop_map(|(packet_type, format, media, words)| Step::Feedback { packet_type, format, media, words }),
        2 => (0..2_000_u16).prop_map(Step::Pass),
        2 => any::<u8>().prop_map(Step::Command),
    ]
}

fn command(rig: &mut Rig, which: u8) {
    let now = rig.now;
    let router = &mut rig.router;
    let spatial = (which >> 4) % 3;
    // Refusals are part of the game.
    let _ = match which & 0x0f {
        0 => router.pause_consumer(VIDEO_OUT, now),
        1 => router.resume_consumer(VIDEO_OUT, now),
        2 => router.pause_producer(VIDEO, now),
        3 => router.resume_producer(VIDEO, now),
        4 => router.set_preferred_layers(VIDEO_OUT, Some(spatial), None, now),
        5 => router.set_preferred_layers(VIDEO_OUT, None, Some(spatial), now),
        6 => router.switch_source(VIDEO_OUT, None, vec![], now),
        7 => router.switch_source(VIDEO_OUT, Some(VIDEO), vec![(VP8, OUT_VP8)], now),
        8 => router.close_producer(VIDEO, now),
        9 => router.produce(
            PUBLISHER,
            VIDEO,
            video_params(&[Some(1_000), Some(2_000)]),
            now,
        ),
        10 => router.close_consumer(VIDEO_OUT, now),
        11 => router
            .consume(SUBSCRIBER, VIDEO_OUT, out_params(Some(VIDEO)), now)
            .map(drop),
        12 => router.set_writable(SUBSCRIBER, spatial == 0, now),
        13 => router.set_writable(PUBLISHER, spatial == 0, now),
        14 => {
            let params = ConsumerParams {
                verbatim: true,
                ..out_params(Some(VIDEO))
            };
            router.consume(SUBSCRIBER, VIDEO_OUT, params, now).map(drop)
        }
        _ => router.request_consumer_keyframe(VIDEO_OUT, now),
    };
    rig.drain();
}

fn run(rig: &mut Rig, step: Step) {
    match step {
        Step::Garbage(data) => {
            let _ = rig.rtp(&data);
        }
        Step::Rtp {
            ssrc,
            payload_type,
            sequence,
            timestamp,
            payload,
            padding,
            marker,
        } => {
            let extensions = vec![(1, b"0".to_vec()), (4, sequence.to_be_bytes().to_vec())];
            let packet = Packet {
                payload_type,
                sequence,
                timestamp,
                ssrc,
                marker,
                extensions,
                payload,
                padding,
            };
            let _ = rig.rtp(&packet.bytes());
        }
        Step::Rtcp {
            from_subscriber,
            data,
        } => {
            let from = if from_subscriber {
                SUBSCRIBER
            } else {
                PUBLISHER
            };
            let _ = rig.router.handle_rtcp(from, &data, rig.now);
            rig.drain();
        }
        Step::Feedback {
            packet_type,
            format,
            media,
            words,
        } => {
            let ssrc = rig
                .router
                .consumer_dump(VIDEO_OUT)
                .map_or(1_000, |dump| dump.ssrc);
            let mut data = vec![0x80 | format, packet_type];
            data.extend((words.len() as u16 + 2).to_be_bytes());
            data.extend(1_u32.to_be_bytes());
            data.extend(if media { ssrc } else { 1_000 }.to_be_bytes());
            for word in words {
                data.extend(word.to_be_bytes());
            }
            for from in [SUBSCRIBER, PUBLISHER] {
                let _ = rig.router.handle_rtcp(from, &data, rig.now);
                rig.drain();
            }
        }
        Step::Pass(ms) => rig.pass_ms(u64::from(ms)),
        Step::Command(which) => command(rig, which),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_input_and_commands_breaks_the_router(steps in prop::collection::vec(step(), 1..300)) {
        let mut rig = Rig::new();
        rig.produce_video(VIDEO, &[Some(1_000), Some(2_000)]);
        rig.consume_video(VIDEO_OUT, Some(VIDEO));
        rig.audio();
        for step in steps {
            run(&mut rig, step);
            rig.sent.clear();
        }
        let limits = Limits::default();
        let dump = rig.router.transport_dump(PUBLISHER).unwrap();
        prop_assert!(dump.routes <= 6, "{dump:?}");
        if let Ok(dump) = rig.router.producer_dump(VIDEO) {
            for stream in dump.streams {
                prop_assert!(stream.missing <= limits.missing_per_stream);
                prop_assert!(stream.listeners <= 1);
            }
        }
        for id in [PUBLISHER, SUBSCRIBER] {
            rig.router.close_transport(id, rig.now).unwrap();
        }
        let stats = rig.router.stats();
        prop_assert_eq!((stats.producers, stats.consumers, stats.history_bytes), (0, 0, 0));
    }
}

const DESCRIBED: u8 = 8;

/// A camera whose frames are told by the dependency descriptor.
fn described(rig: &mut Rig) {
    let mut params = video_params(&[Some(1_000)]);
    params
        .extensions
        .push((DESCRIBED, ExtensionKind::DependencyDescriptor));
    rig.router
        .produce(PUBLISHER, VIDEO, params, rig.now)
        .unwrap();
    rig.consume_video(VIDEO_OUT, Some(VIDEO));
}

/// A keyframe with a structure of one decode target and one template, which is a switch point.
const STRUCTURE: [u8; 6] = [0xc0, 0, 9, 0x80, 0x00, 0xe0];

/// Bytes that are a descriptor, nearly one, or none.
fn descriptor() -> impl Strategy<Value = Vec<u8>> {
    let bytes = |most| prop::collection::vec(any::<u8>(), 1..=most);
    prop_oneof![
        3 => bytes(16),
        // Of the template that is there, or of none: three bytes.
        2 => (any::<u8>(), any::<u16>()).prop_map(|(first, number)| {
            let [high, low] = number.to_be_bytes();
            vec![first, high, low]
        }),
        // A structure with holes.
        2 => (bytes(1), 0..STRUCTURE.len()).prop_map(|(noise, at)| {
            let mut out = STRUCTURE.to_vec();
            out[at] ^= noise[0];
            out
        }),
        1 => Just(STRUCTURE.to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_dependency_descriptors_break_the_router_and_what_is_none_is_counted(
        packets in prop::collection::vec((descriptor(), any::<bool>(), 0..400_u16), 1..120)
    ) {
        let mut rig = Rig::new();
        described(&mut rig);
        let garbage = packets.len() as u64;
        for (n, (bytes, marker, wait)) in packets.into_iter().enumerate() {
            let packet = Packet {
                extensions: vec![(DESCRIBED, bytes)],
                ..vp8(n as u16, n as u32 / 2 * 3_000, true, true, marker, 60)
            };
            let _ = rig.rtp(&packet.bytes());
            if wait < 40 {
                rig.pass_ms(u64::from(wait));
            }
            rig.sent.clear();
        }
        let stats = rig.router.producer_stats(VIDEO).unwrap().streams[0].clone();
        prop_assert!(stats.descriptor_errors <= garbage);
        prop_assert_eq!(stats.packets_received, garbage);
        // What is no descriptor never is again: each is counted, and starts nothing.
        for n in 0..10_u16 {
            let packet = Packet {
                extensions: vec![(DESCRIBED, vec![0xff])],
                ..key(1_000 + n, 900_000 + u32::from(n) * 3_000)
            };
            rig.rtp(&packet.bytes()).unwrap();
        }
        let after = rig.router.producer_stats(VIDEO).unwrap().streams[0].clone();
        prop_assert_eq!(after.descriptor_errors, stats.descriptor_errors + 10);
        prop_assert_eq!(after.key_frames_received, stats.key_frames_received);
    }
}

#[test]
fn frames_of_a_structure_that_never_came_are_counted_and_not_forwarded() {
    let mut rig = Rig::new();
    described(&mut rig);
    for n in 0..5_u16 {
        let packet = Packet {
            extensions: vec![(DESCRIBED, vec![0xc0, 0, n as u8])],
            ..key(n, u32::from(n) * 3_000)
        };
        rig.rtp(&packet.bytes()).unwrap();
    }
    rig.pass_ms(100);
    assert!(rig.media().is_empty(), "nobody could read them");
    let stats = rig.router.producer_stats(VIDEO).unwrap().streams[0].clone();
    assert_eq!((stats.descriptor_errors, stats.key_frames_received), (5, 0));
    let packet = Packet {
        extensions: vec![(DESCRIBED, STRUCTURE.to_vec())],
        ..key(5, 15_000)
    };
    rig.rtp(&packet.bytes()).unwrap();
    assert_eq!(rig.media().len(), 1, "it has come");
    let stats = rig.router.producer_stats(VIDEO).unwrap().streams[0].clone();
    assert_eq!((stats.descriptor_errors, stats.key_frames_received), (5, 1));
}

#[test]
fn nack_lists_histories_and_events_stay_within_their_limits() {
    let config = RouterConfig {
        limits: Limits {
            missing_per_stream: 50,
            events: 8,
            video_history: 64,
            ..Limits::default()
        },
        ..RouterConfig::default()
    };
    let mut rig = Rig::with(config);
    rig.produce_video(VIDEO, &[Some(1_000)]);
    for n in 0..2_000_u16 {
        let packet = key(n.wrapping_mul(20), u32::from(n) * 3_000);
        let _ = rig.router.handle_rtp(PUBLISHER, &packet.bytes(), rig.now);
    }
    let stream = rig.router.producer_dump(VIDEO).unwrap().streams[0].clone();
    assert!(
        stream.missing <= 50 && stream.history_packets == 64,
        "{stream:?}"
    );
    assert!(rig.router.producer_stats(VIDEO).unwrap().streams[0].packets_given_up > 30_000);
    let params = out_params(Some(VIDEO));
    for n in 0..20 {
        rig.router
            .consume(SUBSCRIBER, ConsumerId(n), params.clone(), rig.now)
            .unwrap();
        rig.router
            .set_preferred_layers(ConsumerId(n), None, Some(1), rig.now)
            .unwrap();
    }
    assert!(rig.router.stats().events_dropped > 0);
}

#[test]
fn commands_above_a_limit_are_refused_by_name() {
    let limits = Limits {
        transports: 2,
        producers_per_transport: 1,
        consumers_per_transport: 1,
        encodings_per_producer: 2,
        ..Limits::default()
    };
    let mut rig = Rig::with(RouterConfig {
        limits,
        ..RouterConfig::default()
    });
    let now = rig.now;
    let open = rig
        .router
        .open_transport(TransportId(3), TransportParams::default(), now);
    assert_eq!(open, Err(SfuError::Limit("transports")));
    let three = rig
        .router
        .produce(PUBLISHER, VIDEO, video_params(&[None, None, None]), now);
    assert_eq!(three, Err(SfuError::Limit("encodings of a producer")));
    rig.produce_video(VIDEO, &[None]);
    let second = rig.router.produce(PUBLISHER, AUDIO, audio_params(), now);
    assert_eq!(second, Err(SfuError::Limit("producers on a transport")));
    rig.consume_video(VIDEO_OUT, Some(VIDEO));
    let second = rig
        .router
        .consume(SUBSCRIBER, ConsumerId(1), out_params(None), now);
    assert_eq!(
        second.unwrap_err(),
        SfuError::Limit("consumers on a transport")
    );
}

/// Counts what it is told of in one feedback packet.
#[derive(Debug, Clone, Default)]
struct Largest(std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl BandwidthEstimator for Largest {
    fn tracks_packets(&self) -> bool {
        true
    }
    fn on_feedback(&mut self, entries: &[FeedbackEntry], _now: std::time::Instant) {
        self.0
            .fetch_max(entries.len(), std::sync::atomic::Ordering::Relaxed);
    }
    fn estimate(&self) -> Estimate {
        Estimate {
            bps: 1_000_000,
            pacing_bps: None,
            confirmed: true,
            at_least: false,
            state: LineState::Normal,
        }
    }
}

#[test]
fn a_few_bytes_of_feedback_that_speak_of_65_535_packets_are_read_to_the_limit_and_counted() {
    let mut rig = Rig::video();
    let largest = Largest::default();
    rig.router
        .set_estimator(SUBSCRIBER, Box::new(largest.clone()), rig.now)
        .unwrap();
    let mut packet = vec![0x8f, 205, 0, 9];
    packet.extend([0, 0, 0, 1, 0, 0, 0, 2]);
    packet.extend([0, 0, 0xff, 0xff, 0, 0, 0, 1]);
    // Eight runs of 8,191 packets that did not come, and one of seven.
    for _ in 0..8 {
        packet.extend([0x1f, 0xff]);
    }
    packet.extend([0x00, 0x07, 0, 0]);
    packet.resize(40, 0);
    rig.rtcp(SUBSCRIBER, &packet);
    let stats = rig.router.transport_stats(SUBSCRIBER).unwrap();
    assert_eq!((stats.feedback_received, stats.feedback_truncated), (1, 1));
    assert_eq!(
        largest.0.load(std::sync::atomic::Ordering::Relaxed),
        Limits::default().feedback_statuses
    );
}
