//! What publishers are told because of what arrives from them.

use std::time::Instant;

use roomtone_rtp::MediaKind;

use super::Router;
use crate::producer::Wish;
use crate::quality::policy::{LineView, Proposal, StreamView, decide};
use crate::timers::{Timer, disarm};
use crate::{FeedbackAction, RouterEvent};

impl Router {
    /// Packets were lost for good, or the line is to be watched: a look is taken soon.
    pub(super) fn arm_look(&mut self, at: u32, now_us: u64) {
        let due = now_us + self.config.quality.quick_look.as_micros() as u64;
        let armed = &mut self.transports[at as usize].line.armed;
        if armed.is_none() {
            self.timers.arm(Timer::Look(at), due, armed);
        }
    }

    pub(super) fn on_look_timer(&mut self, at: u32, at_us: u64, now: Instant) {
        let Some(transport) = self.transports.get_mut(at as usize) else {
            return;
        };
        if disarm(&mut transport.line.armed, at_us) {
            self.look(at, false, now);
        }
    }

    /// Looks at what a peer sends, and acts on it; a full look begins the count of losses anew.
    pub(super) fn look(&mut self, at: u32, full: bool, now: Instant) {
        let now_us = self.clock.micros(now);
        let transport = &mut self.transports[at as usize];
        let mut view = transport.view_line(now_us);
        if transport.line.falls && transport.writable {
            transport.report.remb_due = true;
            self.queue_transport(at);
        }
        for n in 0..self.transports[at as usize].producers.len() {
            let index = self.transports[at as usize].producers[n];
            let producer = &self.producers[index as usize];
            if producer.kind != MediaKind::Video || producer.paused {
                continue;
            }
            let views = self.view_streams(index, now_us);
            let estimate = view.estimate.filter(|_| producer.wants_remb);
            let line = LineView { estimate, ..view };
            if estimate.is_some() {
                // It speaks for the whole line: one producer of it is enough.
                view.estimate = None;
            }
            let proposals = decide(&views, &line, &self.config.quality);
            self.act(index, &proposals, now_us);
            if full {
                self.rebase(index);
            }
        }
    }

    fn view_streams(&self, index: u32, now_us: u64) -> Vec<StreamView> {
        let producer = &self.producers[index as usize];
        let (takes_pli, takes_fir) = producer.keyframe_requests();
        let streams = producer.streams.iter();
        streams
            .map(|at| &self.streams[*at as usize])
            .filter(|stream| stream.active)
            .map(|stream| {
                let (expected, lost) = stream.watch.since_base(stream.loss_counts());
                StreamView {
                    encoding: stream.encoding,
                    expected,
                    lost,
                    unanswered: stream.keyframes.is_overdue(now_us, &self.config.keyframe),
                    quality: stream.watch.gauge.quality(),
                    takes_pli,
                    takes_fir,
                }
            })
            .collect()
    }

    fn rebase(&mut self, index: u32) {
        for at in &self.producers[index as usize].streams {
            let stream = &mut self.streams[*at as usize];
            let counts = stream.loss_counts();
            stream.watch.rebase(counts, self.config.quality.min_packets);
        }
    }

    fn act(&mut self, index: u32, proposals: &[Proposal], now_us: u64) {
        for proposal in proposals {
            match (proposal.action, proposal.encoding) {
                (FeedbackAction::Remb { .. }, _) => self.tell_bitrate(index, proposal, now_us),
                (_, Some(encoding)) => self.ask_keyframe(index, encoding, proposal, now_us),
                (_, None) => {}
            }
        }
    }

    /// Tells the publisher its bitrate before the next report would, once in a while.
    fn tell_bitrate(&mut self, index: u32, proposal: &Proposal, now_us: u64) {
        let producer = &self.producers[index as usize];
        let (id, at) = (producer.id, producer.transport);
        let least = self.config.quality.min_action_interval.as_micros() as u64;
        let transport = &mut self.transports[at as usize];
        let acted = transport.line.acted_us;
        if !transport.writable || acted.is_some_and(|acted| now_us < acted + least) {
            return;
        }
        transport.line.acted_us = Some(now_us);
        transport.report.remb_due = true;
        self.queue_transport(at);
        self.emit_acted(id, proposal);
    }

    fn ask_keyframe(&mut self, index: u32, encoding: u8, proposal: &Proposal, now_us: u64) {
        let producer = &mut self.producers[index as usize];
        let Some(at) = producer.streams.get(usize::from(encoding)).copied() else {
            return;
        };
        let config = &self.config.quality;
        let stream = &mut self.streams[at as usize];
        if !stream.watch.limit.may(now_us, config) || !producer.limit.may(now_us, config) {
            stream.watch.suppressed += 1;
            return;
        }
        stream.watch.limit.count(now_us, config);
        producer.limit.count(now_us, config);
        let keyframe = &self.config.keyframe;
        let wish = stream
            .keyframes
            .wish_for(proposal.reason, proposal.priority, now_us, keyframe);
        match wish {
            Wish::Ask => self.send_keyframe_request(at),
            Wish::Merged => stream.counters_mut().keyframe_requests_merged += 1,
        }
        self.arm_repair(at);
    }

    fn emit_acted(&mut self, producer: crate::ProducerId, proposal: &Proposal) {
        self.emit(RouterEvent::FeedbackActed {
            producer,
            encoding: proposal.encoding,
            action: proposal.action,
            reason: proposal.reason,
            priority: proposal.priority,
        });
    }
}
