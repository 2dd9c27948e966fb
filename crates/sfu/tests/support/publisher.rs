//! A publisher that loses packets, answers NACKs and keyframe requests or does not.
#![allow(dead_code, unreachable_pub)] // Each suite uses its part.
#![allow(clippy::unwrap_used)] // What fails here fails the test.

use roomtone_rtp::rtcp::{RtcpPacket, parse_compound};
use roomtone_sfu::*;

use crate::support::{PUBLISHER, Packet, Rig, VIDEO, VIDEO_OUT, rtx, unestimated, vp8};

/// A request the publisher got, and when in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Pli(u64),
    Fir(u64),
}

/// How a publisher and its line behave.
#[derive(Clone, Copy)]
pub struct Behaviour {
    /// Of each so many packets the first is lost; 0: none.
    pub lost_each: u32,
    /// Whether it answers NACKs.
    pub repairs: bool,
    /// Whether it answers keyframe requests.
    pub refreshes: bool,
}

pub const FINE: Behaviour = Behaviour {
    lost_each: 0,
    repairs: true,
    refreshes: true,
};

/// A publisher of 500 packets a second in frames of ten, 50 a second.
pub struct Publisher {
    pub rig: Rig,
    pub sent: u32,
    pub refresh: bool,
    pub asked: Vec<Asked>,
    pub resent: u16,
}

impl Publisher {
    pub fn new(config: RouterConfig) -> Self {
        // Its viewer says nothing of its line, and is given everything all the same.
        let mut rig = Rig::with(RouterConfig {
            bandwidth: unestimated(),
            ..config
        });
        rig.produce_video(VIDEO, &[Some(1_000)]);
        rig.consume_video(VIDEO_OUT, Some(VIDEO));
        let mut publisher = Self {
            rig,
            sent: 0,
            refresh: true,
            asked: vec![],
            resent: 0,
        };
        publisher.run(FINE, 2_000);
        publisher.asked.clear();
        publisher.rig.events.clear();
        publisher
    }

    pub fn packet(&mut self) -> Packet {
        let frame = self.sent / 10;
        let (first, last) = (self.sent.is_multiple_of(10), self.sent % 10 == 9);
        let refresh = first && std::mem::take(&mut self.refresh);
        let sequence = self.sent as u16;
        self.sent += 1;
        vp8(sequence, frame * 1_800, first, refresh, last, 300)
    }

    pub fn run(&mut self, behaviour: Behaviour, ms: u64) {
        let mut kept: Vec<Packet> = vec![];
        for _ in 0..ms / 2 {
            let packet = self.packet();
            let lost = behaviour.lost_each != 0 && self.sent.is_multiple_of(behaviour.lost_each);
            if lost {
                kept.push(packet);
            } else {
                self.rig.rtp(&packet.bytes()).unwrap();
            }
            self.rig.pass_ms(2);
            self.listen(behaviour, &kept);
        }
    }

    /// Until a report window is over, whose lengths chance decides: the bitrate is measured anew.
    pub fn run_to_a_window(&mut self, behaviour: Behaviour) {
        let before = self.stream().bitrate;
        while self.stream().bitrate == before {
            self.run(behaviour, 2);
        }
    }

    pub fn listen(&mut self, behaviour: Behaviour, kept: &[Packet]) {
        let now = (self.rig.now - self.rig.base).as_millis() as u64;
        self.rig.media();
        for data in self.rig.control(PUBLISHER) {
            for packet in parse_compound(&data) {
                match packet.unwrap() {
                    RtcpPacket::Pli(_) => self.asked.push(Asked::Pli(now)),
                    RtcpPacket::Fir(_) => self.asked.push(Asked::Fir(now)),
                    RtcpPacket::Nack(nack) if behaviour.repairs => {
                        self.repair(nack.sequences().collect(), kept);
                        continue;
                    }
                    _ => continue,
                }
                self.refresh |= behaviour.refreshes;
            }
        }
    }

    pub fn repair(&mut self, sequences: Vec<u16>, kept: &[Packet]) {
        for sequence in sequences {
            let lost = kept.iter().find(|packet| packet.sequence == sequence);
            if let Some(lost) = lost {
                self.resent += 1;
                self.rig.rtp(&rtx(lost, self.resent).bytes()).unwrap();
            }
        }
    }

    pub fn acted(&self) -> Vec<(FeedbackAction, Degradation, FeedbackPriority)> {
        let events = self.rig.events.iter();
        events
            .filter_map(|event| match event {
                RouterEvent::FeedbackActed {
                    producer: VIDEO,
                    encoding: Some(0),
                    action,
                    reason,
                    priority,
                } => Some((*action, *reason, *priority)),
                _ => None,
            })
            .collect()
    }

    pub fn stream(&self) -> InboundStreamStats {
        self.rig.router.producer_stats(VIDEO).unwrap().streams[0].clone()
    }
}

pub fn losing(lost_each: u32, repairs: bool) -> Behaviour {
    Behaviour {
        lost_each,
        repairs,
        refreshes: true,
    }
}
