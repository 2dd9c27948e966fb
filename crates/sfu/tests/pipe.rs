//! Two routers joined by a pipe, as two shards are.
#![allow(clippy::unwrap_used)] // What fails here fails the test.

#[path = "support/allotted.rs"]
mod allotted;
mod support;

use allotted::{FIRST, MODEL, Scene};
use roomtone_rtp::rtcp::{RtcpPacket, parse_compound};
use roomtone_sfu::*;
use support::*;

/// A publisher's router and a subscriber's router; the pipe is `SUBSCRIBER` on the one side and
/// `PUBLISHER` on the other.
struct Pair {
    near: Rig,
    far: Rig,
}

impl Pair {
    fn new() -> Self {
        let mut near = Rig::new();
        let mut far = Rig::new();
        near.produce_video(VIDEO, &[Some(1_000)]);
        let params = ConsumerParams {
            verbatim: true,
            ..out_params(Some(VIDEO))
        };
        let described = near
            .router
            .consume(SUBSCRIBER, VIDEO_OUT, params, near.now)
            .unwrap();
        near.drain();
        let mut params = video_params(&[Some(described.encodings[0].ssrc)]);
        params.encodings[0].rtx_ssrc = None;
        params.codecs[0].rtx_payload_type = None;
        params.codecs[0].feedback.transport_cc = false;
        far.router
            .produce(PUBLISHER, VIDEO, params, far.now)
            .unwrap();
        far.consume_video(VIDEO_OUT, Some(VIDEO));
        Self { near, far }
    }

    /// Carries what waits over the pipe, both ways; `lose` names media packets that do not make it.
    fn carry(&mut self, lose: &[usize]) {
        let mut count = 0;
        for out in std::mem::take(&mut self.near.sent) {
            if out.transport != SUBSCRIBER {
                self.near_publisher_rtcp(out);
            } else if out.rtcp {
                self.far.rtcp(PUBLISHER, &out.bytes);
            } else {
                if !lose.contains(&count) {
                    self.far.rtp(&out.bytes).unwrap();
                }
                count += 1;
            }
        }
        for data in self.far.control(PUBLISHER) {
            self.near.rtcp(SUBSCRIBER, &data);
        }
    }

    fn near_publisher_rtcp(&mut self, out: Out) {
        self.near.sent.push(out);
    }

    fn pass_ms(&mut self, ms: u64) {
        for _ in 0..ms {
            self.near.pass_ms(1);
            self.far.pass_ms(1);
            self.carry(&[]);
        }
    }
}

#[test]
fn media_crosses_unchanged_and_losses_on_the_pipe_are_repaired_from_its_near_end() {
    let mut pair = Pair::new();
    let packets = [key(1, 0), delta(2, 3_000), delta(3, 6_000), delta(4, 9_000)];
    for packet in &packets {
        pair.near.rtp(&packet.bytes()).unwrap();
    }
    pair.carry(&[1]);
    pair.pass_ms(60);
    let mut media = pair.far.media();
    media.sort_by_key(|out| out.rtp().sequence());
    assert_eq!(media.len(), 4);
    for (out, packet) in media.iter().zip(&packets) {
        assert_eq!(
            (out.rtp().payload(), out.rtp().timestamp()),
            (&packet.payload[..], packet.timestamp)
        );
    }
    let near = pair.near.router.producer_stats(VIDEO).unwrap().streams[0].clone();
    assert_eq!(
        near.nack_count, 0,
        "the publisher has nothing to do with it"
    );
    let pipe = pair.near.router.consumer_stats(VIDEO_OUT).unwrap().outbound;
    assert_eq!(pipe.retransmitted_packets_sent, 1);
}

#[test]
fn a_far_keyframe_request_reaches_the_publisher() {
    let mut pair = Pair::new();
    pair.near.rtp(&key(1, 0).bytes()).unwrap();
    pair.pass_ms(1_000);
    // What was asked for in the beginning is answered.
    pair.near.rtp(&key(2, 90_000).bytes()).unwrap();
    pair.pass_ms(1_000);
    pair.near.control(PUBLISHER);
    pair.far
        .router
        .request_consumer_keyframe(VIDEO_OUT, pair.far.now)
        .unwrap();
    pair.far.drain();
    pair.carry(&[]);
    let asked = pair.near.control(PUBLISHER);
    let asked = asked.iter().flat_map(|data| parse_compound(data));
    assert_eq!(
        asked
            .filter(|packet| matches!(packet, Ok(RtcpPacket::Pli(pli)) if pli.media_ssrc == 1_000))
            .count(),
        1
    );
}

/// A publisher of three encodings, the pipe that carries them, and a viewer behind it; what is wanted
/// travels back as shards carry it.
struct Line {
    near: Scene,
    far: Rig,
    /// SSRCs on the pipe.
    piped: Vec<u32>,
    /// What crossed: SSRC, sequence number, whether it begins a keyframe.
    crossed: Vec<(u32, u16, bool)>,
    /// What the publisher was told to be wanted.
    told: Vec<Vec<Option<u8>>>,
}

impl Line {
    fn new() -> Self {
        let mut near = Scene::new();
        near.publish(VIDEO, &FIRST, &MODEL);
        let params = ConsumerParams {
            verbatim: true,
            ..out_params(Some(VIDEO))
        };
        let now = near.rig.now;
        let described = near
            .rig
            .router
            .consume(SUBSCRIBER, VIDEO_OUT, params, now)
            .unwrap();
        let piped: Vec<u32> = described.encodings.iter().map(|one| one.ssrc).collect();
        let mut far = Scene::new();
        far.line(20_000);
        let mut far = far.rig;
        let mut params = video_params(&piped.iter().copied().map(Some).collect::<Vec<_>>());
        for encoding in &mut params.encodings {
            encoding.rtx_ssrc = None;
        }
        params.codecs[0].rtx_payload_type = None;
        params.codecs[0].feedback.transport_cc = false;
        far.router
            .produce(PUBLISHER, VIDEO, params, far.now)
            .unwrap();
        far.consume_video(VIDEO_OUT, Some(VIDEO));
        Self {
            near,
            far,
            piped,
            crossed: vec![],
            told: vec![],
        }
    }

    fn pictures(&mut self, count: usize) {
        for _ in 0..count {
            self.near.picture();
            for out in self.near.rig.media() {
                let packet = out.rtp();
                let payload = packet.payload();
                let key = payload[0] & 0x10 != 0 && payload[1] & 1 == 0;
                self.crossed.push((packet.ssrc(), packet.sequence(), key));
                self.far.rtp(&out.bytes).unwrap();
            }
            let gone = self.near.rig.now.duration_since(self.near.rig.base);
            let behind = gone.saturating_sub(self.far.now.duration_since(self.far.base));
            self.far.pass(behind);
            for data in self.far.control(PUBLISHER) {
                self.near.rig.rtcp(SUBSCRIBER, &data);
            }
            for event in std::mem::take(&mut self.far.events) {
                if let RouterEvent::EncodingsWanted { wanted, .. } = event {
                    let (router, now) = (&mut self.near.rig.router, self.near.rig.now);
                    router
                        .set_wanted_encodings(VIDEO_OUT, &wanted, now)
                        .unwrap();
                    self.near.rig.drain();
                }
            }
            for event in std::mem::take(&mut self.near.rig.events) {
                if let RouterEvent::EncodingsWanted { wanted, .. } = event {
                    self.told.push(wanted);
                }
            }
        }
    }

    fn prefer(&mut self, encoding: u8) {
        let (router, now) = (&mut self.far.router, self.far.now);
        router
            .set_preferred_layers(VIDEO_OUT, Some(encoding), None, now)
            .unwrap();
        self.far.drain();
    }

    fn shown(&self) -> Option<u8> {
        let stats = self.far.router.consumer_stats(VIDEO_OUT).unwrap();
        stats.layers.current_spatial
    }
}

#[test]
fn a_pipe_carries_only_what_is_wanted_behind_it_and_takes_it_up_again_with_a_keyframe() {
    let mut line = Line::new();
    line.pictures(60);
    assert_eq!(line.shown(), Some(2));
    line.prefer(0);
    // Unwanted after five seconds there, and after five more here.
    line.pictures(8 * 30);
    line.crossed.clear();
    line.pictures(8 * 30);
    let lowest = line.piped[0];
    assert!(line.crossed.iter().all(|(ssrc, ..)| *ssrc == lowest));
    assert!(line.crossed.len() >= 8 * 30);
    assert_eq!(line.told, [vec![Some(7), None, None]]);

    line.crossed.clear();
    line.near.requests.clear();
    line.prefer(2);
    line.pictures(60);
    assert_eq!(line.told.last(), Some(&vec![Some(7); 3]), "told at once");
    assert!(line.near.requests.contains(&FIRST[2]));
    assert_eq!(line.shown(), Some(2));
    let best = line.piped[2];
    let mut best = line.crossed.iter().filter(|(ssrc, ..)| *ssrc == best);
    assert!(best.next().unwrap().2, "the first packet is of a keyframe");
    let stats = line.far.router.producer_stats(VIDEO).unwrap();
    for stream in &stats.streams {
        assert_eq!(
            (stream.nack_count, stream.packets_lost),
            (0, 0),
            "nothing was lost on the pipe: {stream:?}"
        );
    }
}

#[test]
fn a_pipe_behind_which_nobody_is_carries_nothing_until_somebody_comes() {
    let mut line = Line::new();
    line.pictures(30);
    line.far
        .router
        .close_consumer(VIDEO_OUT, line.far.now)
        .unwrap();
    line.pictures(8 * 30);
    line.crossed.clear();
    line.pictures(8 * 30);
    assert_eq!(line.crossed, []);
    assert_eq!(line.told.last(), Some(&vec![None; 3]));
    line.far.consume_video(VIDEO_OUT, Some(VIDEO));
    line.pictures(30);
    assert_eq!(line.told.last(), Some(&vec![Some(7); 3]));
    assert_eq!(line.shown(), Some(2));
    assert!(line.far.media().len() > 30);
}

#[test]
fn what_is_lost_on_a_pipe_after_it_was_taken_up_again_is_repaired() {
    let mut line = Line::new();
    line.pictures(30);
    line.prefer(0);
    line.pictures(8 * 30);
    line.prefer(2);
    line.pictures(20);
    // One packet of the best encoding does not make it.
    line.near.picture();
    let best = line.piped[2];
    let mut lost = None;
    for out in line.near.rig.media() {
        if lost.is_none() && out.rtp().ssrc() == best {
            lost = Some(out.rtp().payload().to_vec());
        } else {
            line.far.rtp(&out.bytes).unwrap();
        }
    }
    line.far.media();
    line.pictures(4);
    let lost = lost.unwrap();
    let media = line.far.media();
    assert!(media.iter().any(|out| out.rtp().payload() == lost));
    let pipe = line.near.stats(VIDEO_OUT).outbound;
    assert_eq!(pipe.retransmitted_packets_sent, 1);
}
