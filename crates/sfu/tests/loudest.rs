//! Forwarding only the audio of those who speak.
#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

use roomtone_rtp::{ExtensionKind, MediaKind};
use roomtone_sfu::*;
use support::*;

const SILENT: u8 = 100;
const LOUD: u8 = 20;

/// Publishers of audio, each on a transport of its own, and one subscriber to all of them.
struct Talk {
    rig: Rig,
    sequences: Vec<u16>,
    ticks: u32,
}

impl Talk {
    fn new(count: usize, places: Option<u8>) -> Self {
        let mut rig = Rig::with(RouterConfig {
            audio_top_n: places,
            ..RouterConfig::default()
        });
        for n in 0..count {
            rig.open(transport(n));
            let params = ProducerParams {
                encodings: vec![EncodingParams {
                    ssrc: Some(5_000 + n as u32),
                    ..EncodingParams::default()
                }],
                ..audio_params()
            };
            rig.router
                .produce(transport(n), producer(n), params, rig.now)
                .unwrap();
            consume(&mut rig, SUBSCRIBER, consumer(n), producer(n));
        }
        Self {
            rig,
            sequences: vec![0; count],
            ticks: 0,
        }
    }

    /// One packet of everybody, 20 ms long; gives the packets forwarded, by publisher.
    fn tick(&mut self, levels: &[u8]) -> Vec<usize> {
        for (n, level) in levels.iter().enumerate() {
            let sequence = &mut self.sequences[n];
            *sequence = sequence.wrapping_add(1);
            let packet = Packet {
                ssrc: 5_000 + n as u32,
                payload: vec![n as u8, (*sequence >> 8) as u8, *sequence as u8],
                ..opus(*sequence, self.ticks * 960, *level)
            };
            self.rig
                .router
                .handle_rtp(transport(n), &packet.bytes(), self.rig.now)
                .unwrap();
            self.rig.drain();
        }
        self.ticks += 1;
        self.rig.pass_ms(20);
        let mut counts = vec![0; levels.len()];
        for out in self.rig.sent.iter().filter(|out| !out.rtcp) {
            counts[usize::from(out.rtp().payload()[0])] += 1;
        }
        self.rig.sent.clear();
        counts
    }

    fn ticks(&mut self, count: usize, levels: &[u8]) -> Vec<usize> {
        let mut sum = vec![0; levels.len()];
        for _ in 0..count {
            for (sum, more) in sum.iter_mut().zip(self.tick(levels)) {
                *sum += more;
            }
        }
        sum
    }

    fn forwarded(&mut self) -> Vec<Vec<ProducerId>> {
        std::mem::take(&mut self.rig.events)
            .into_iter()
            .filter_map(|event| match event {
                RouterEvent::AudioForwarded { producers } => Some(producers),
                _ => None,
            })
            .collect()
    }
}

fn transport(n: usize) -> TransportId {
    TransportId(100 + n as u64)
}

fn producer(n: usize) -> ProducerId {
    ProducerId(200 + n as u64)
}

fn consumer(n: usize) -> ConsumerId {
    ConsumerId(300 + n as u64)
}

fn consume(rig: &mut Rig, on: TransportId, id: ConsumerId, from: ProducerId) {
    let params = ConsumerParams {
        kind: MediaKind::Audio,
        mid: None,
        payload_types: vec![(OPUS, OUT_OPUS)],
        rtx_payload_types: vec![],
        extensions: vec![],
        ..out_params(Some(from))
    };
    rig.router.consume(on, id, params, rig.now).unwrap();
}

#[test]
fn only_those_with_places_are_forwarded_and_a_speaker_gets_one_with_its_first_packet() {
    let mut talk = Talk::new(5, Some(2));
    let counts = talk.ticks(50, &[SILENT; 5]);
    assert_eq!(counts, [50, 50, 0, 0, 0]);
    assert_eq!(
        talk.forwarded().last().unwrap(),
        &[producer(0), producer(1)]
    );
    // The fourth begins to speak: its packet and the 40 ms before it.
    let counts = talk.tick(&[SILENT, SILENT, SILENT, LOUD, SILENT]);
    assert_eq!(counts, [1, 1, 0, 3, 0]);
    // A window later one of the silent ones has given way.
    talk.ticks(40, &[SILENT, SILENT, SILENT, LOUD, SILENT]);
    let counts = talk.ticks(10, &[SILENT, SILENT, SILENT, LOUD, SILENT]);
    assert_eq!(counts, [10, 0, 0, 10, 0]);
    assert_eq!(
        talk.forwarded().last().unwrap(),
        &[producer(0), producer(3)]
    );
    // It keeps its place in pauses, as long as nobody else needs it.
    let counts = talk.ticks(200, &[SILENT; 5]);
    assert_eq!(counts, [200, 0, 0, 200, 0]);
    let stats = talk.rig.router.stats();
    assert_eq!((stats.audio_admissions, stats.audio_evictions), (3, 1));
    assert!(stats.audio_packets_withheld > 700);
}

#[test]
fn the_numbering_has_no_hole_over_the_silence_and_time_goes_on() {
    let mut talk = Talk::new(3, Some(1));
    let levels = |who: usize| {
        let mut levels = [SILENT; 3];
        levels[who] = LOUD;
        levels
    };
    let mut got: Vec<(u16, u32, u16)> = vec![];
    for tick in 0..600 {
        let who = [0, 1, 2, 1][tick / 150];
        for (n, level) in levels(who).into_iter().enumerate() {
            let sequence = &mut talk.sequences[n];
            *sequence += 1;
            let packet = Packet {
                ssrc: 5_000 + n as u32,
                payload: vec![n as u8, (*sequence >> 8) as u8, *sequence as u8],
                ..opus(*sequence, talk.ticks * 960, level)
            };
            let now = talk.rig.now;
            let router = &mut talk.rig.router;
            router
                .handle_rtp(transport(n), &packet.bytes(), now)
                .unwrap();
            talk.rig.drain();
        }
        talk.ticks += 1;
        talk.rig.pass_ms(20);
        for out in talk.rig.media() {
            let packet = out.rtp();
            if packet.payload()[0] == 1 {
                let source = u16::from_be_bytes([packet.payload()[1], packet.payload()[2]]);
                got.push((packet.sequence(), packet.timestamp(), source));
            }
        }
    }
    assert!(got.len() > 300 && got.len() < 420, "{}", got.len());
    let mut gaps = 0;
    for pair in got.windows(2) {
        let ((sequence, timestamp, source), (next, later, behind)) = (pair[0], pair[1]);
        assert_eq!(next, sequence.wrapping_add(1));
        assert_eq!(
            later.wrapping_sub(timestamp),
            u32::from(behind - source) * 960
        );
        gaps += u32::from(behind != source + 1);
    }
    assert_eq!(gaps, 1, "withheld once between its two turns");
}

#[test]
fn a_pinned_consumer_and_a_pipe_get_everything() {
    let mut talk = Talk::new(3, Some(1));
    let other = TransportId(3);
    talk.rig.open(other);
    consume(&mut talk.rig, other, ConsumerId(400), producer(2));
    let pipe = TransportId(4);
    talk.rig.open(pipe);
    let params = ConsumerParams {
        kind: MediaKind::Audio,
        verbatim: true,
        ..out_params(Some(producer(2)))
    };
    talk.rig
        .router
        .consume(pipe, ConsumerId(401), params, talk.rig.now)
        .unwrap();
    talk.ticks(20, &[LOUD, SILENT, SILENT]);
    let router = &mut talk.rig.router;
    router.set_audio_pinned(ConsumerId(400), true).unwrap();
    let sent = |talk: &Talk, id| {
        let stats = talk.rig.router.consumer_stats(ConsumerId(id)).unwrap();
        stats.outbound.packets_sent
    };
    assert_eq!((sent(&talk, 400), sent(&talk, 401)), (0, 20));
    talk.ticks(20, &[LOUD, SILENT, SILENT]);
    assert_eq!(
        (sent(&talk, 400), sent(&talk, 401), sent(&talk, 302)),
        (20, 40, 0)
    );
    let router = &mut talk.rig.router;
    router.set_audio_pinned(ConsumerId(400), false).unwrap();
    talk.ticks(20, &[LOUD, SILENT, SILENT]);
    assert_eq!((sent(&talk, 400), sent(&talk, 401)), (20, 60));
    let refused = talk.rig.router.set_audio_pinned(ConsumerId(999), true);
    assert!(refused.is_err());
}

#[test]
fn a_producer_without_levels_is_always_forwarded() {
    let mut rig = Rig::with(RouterConfig {
        audio_top_n: Some(0),
        ..RouterConfig::default()
    });
    let params = ProducerParams {
        extensions: vec![(1, ExtensionKind::Mid)],
        ..audio_params()
    };
    rig.router
        .produce(PUBLISHER, AUDIO, params, rig.now)
        .unwrap();
    consume(&mut rig, SUBSCRIBER, AUDIO_OUT, AUDIO);
    rig.rtp(&opus(1, 0, SILENT).bytes()).unwrap();
    rig.pass_ms(10);
    assert_eq!(rig.media().len(), 1);
}

#[test]
fn the_limit_comes_and_goes_while_people_speak() {
    let mut talk = Talk::new(4, None);
    let levels = [30, 25, LOUD, SILENT];
    assert_eq!(talk.ticks(20, &levels), [20; 4]);
    let now = talk.rig.now;
    talk.rig.router.set_audio_top_n(Some(2), now);
    assert_eq!(talk.ticks(20, &levels), [0, 20, 20, 0], "the loudest two");
    assert_eq!(talk.forwarded()[0], [producer(1), producer(2)]);
    let now = talk.rig.now;
    talk.rig.router.set_audio_top_n(Some(1), now);
    talk.ticks(60, &levels);
    assert_eq!(talk.ticks(20, &levels)[2], 20);
    let now = talk.rig.now;
    talk.rig.router.set_audio_top_n(None, now);
    let counts = talk.ticks(20, &levels);
    assert!(counts.iter().all(|count| *count >= 20), "{counts:?}");
}

#[test]
fn who_leaves_or_is_paused_frees_a_place() {
    let mut talk = Talk::new(3, Some(1));
    assert_eq!(talk.ticks(10, &[SILENT; 3]), [10, 0, 0]);
    let now = talk.rig.now;
    talk.rig.router.pause_producer(producer(0), now).unwrap();
    talk.sequences[0] += 1; // dropped at the door
    let two = |talk: &mut Talk| {
        for n in [1, 2] {
            talk.sequences[n] += 1;
            let packet = Packet {
                ssrc: 5_000 + n as u32,
                ..opus(talk.sequences[n], talk.ticks * 960, SILENT)
            };
            let now = talk.rig.now;
            let router = &mut talk.rig.router;
            router
                .handle_rtp(transport(n), &packet.bytes(), now)
                .unwrap();
        }
        talk.rig.pass_ms(20);
        talk.ticks += 1;
    };
    two(&mut talk);
    assert_eq!(talk.forwarded().last().unwrap(), &[producer(1)]);
    let now = talk.rig.now;
    talk.rig.router.resume_producer(producer(0), now).unwrap();
    talk.rig.router.close_producer(producer(1), now).unwrap();
    talk.rig.media();
    let packet = Packet {
        ssrc: 5_002,
        ..opus(talk.sequences[2] + 1, talk.ticks * 960, SILENT)
    };
    talk.rig
        .router
        .handle_rtp(transport(2), &packet.bytes(), now)
        .unwrap();
    talk.rig.drain();
    assert_eq!(talk.forwarded().last().unwrap(), &[producer(2)]);
}
