//! Two routers joined by a pipe, as two shards are.
#![allow(clippy::unwrap_used)] // What fails here fails the test.

mod support;

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
