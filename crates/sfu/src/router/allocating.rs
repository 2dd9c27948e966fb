//! Which layers the consumers of a transport are given: when that is decided, and what it leads to.
//!
//! A transport is allocated anew by a timer: shortly after a command or an event, so that what
//! comes together is taken together; once a second where only the costs of layers have changed;
//! and when the estimate passes the point at which something would change. Never by a packet.

use std::time::Instant;

use roomtone_rtp::MediaKind;

use super::Router;
use crate::allocation::{
    ALL_TEMPORAL, Allocation, Budget, Decision, Gate, Keep, Rank, Terms, Track, allocate,
};
use crate::timers::{Timer, disarm};
use crate::{ConsumerLimits, LayerTarget, RouterEvent};

/// An estimate under this share of what was given: an over-use is noticed after some 300 ms, and by then
/// a queue of 100 ms has overflowed.
const COLLAPSED_PER_CENT: u64 = 75;
/// So much of the first estimate after a collapse is divided: with Chromium in AV1 on a line of 300 kbit/s it was 376
/// to 470, and with three layers in virtual time up to 673.
const TRUSTED_PER_CENT: u64 = 50;

impl Router {
    /// Allocates a transport anew before long.
    pub(super) fn allocate_soon(&mut self, at: u32, now_us: u64) {
        let due = now_us + self.config.allocation.gather.as_micros() as u64;
        self.allocate_at(at, due);
    }

    pub(super) fn allocate_at(&mut self, at: u32, due: u64) {
        if let Some(transport) = self.transports.get_mut(at as usize) {
            self.timers
                .arm(Timer::Allocation(at), due, &mut transport.tally.armed);
        }
    }

    /// Allocates the transports of a producer's consumers anew before long.
    pub(super) fn allocate_consumers_of(&mut self, producer: u32, now_us: u64) {
        for at in 0..self.producers[producer as usize].consumers.len() {
            let index = self.producers[producer as usize].consumers[at];
            let transport = self.consumers[index as usize].transport;
            self.allocate_soon(transport, now_us);
        }
    }

    /// The estimate may have changed: looks whether that would lead to something else.
    #[inline]
    pub(super) fn review_budget(&mut self, at: u32, now_us: u64) {
        let transport = &self.transports[at as usize];
        let estimate = transport.estimator.estimate();
        let tally = &transport.tally;
        // What is not believed yet must not be looked at again and again.
        if estimate.confirmed
            && !tally.unlimited
            && tally.is_moved_by(&estimate)
            && self.is_believed(at, now_us)
        {
            self.allocate_soon(at, now_us);
        }
    }

    /// Until when nothing but a good estimate counts, as pictures have only begun to leave.
    fn early_until(&self, at: u32) -> Option<u64> {
        let unheard = self.config.allocation.unheard.as_micros() as u64;
        let since = self.transports[at as usize].tally.sent_since_us;
        since.map(|since| since + unheard)
    }

    /// Whether the estimate of a transport counts. A rough one is worth something once the peer had
    /// time to speak against it.
    fn is_believed(&self, at: u32, now_us: u64) -> bool {
        let transport = &self.transports[at as usize];
        let late = self.early_until(at).is_some_and(|until| now_us >= until);
        transport.estimator.estimate().confirmed && (transport.tracks_packets || late)
    }

    pub(super) fn on_allocation_timer(&mut self, at: u32, at_us: u64, now: Instant) {
        let Some(transport) = self.transports.get_mut(at as usize) else {
            return;
        };
        if disarm(&mut transport.tally.armed, at_us) {
            self.allocate_transport(at, now);
        }
    }

    /// What a transport's line carries, as far as it is known.
    fn budget(&mut self, at: u32, now_us: u64) -> Budget {
        let transport = &self.transports[at as usize];
        if transport.tally.unlimited {
            return Budget::Unlimited;
        }
        if self.is_believed(at, now_us) {
            let estimate = transport.estimator.estimate();
            return if estimate.at_least {
                Budget::AtLeast(estimate.bps)
            } else {
                Budget::Bps(estimate.bps)
            };
        }
        let known_us = self.early_until(at);
        let early = known_us.is_none_or(|known| now_us < known);
        if let Some(known_us) = known_us.filter(|_| early) {
            self.allocate_at(at, known_us);
        }
        if early && self.may_be_heard(at) {
            return Budget::Unlimited;
        }
        Budget::Cheapest
    }

    /// Whether the peer has agreed to tell within a round trip what its line carries; reports and
    /// REMB take half a second or more, and some never come.
    fn may_be_heard(&self, at: u32) -> bool {
        let transport = &self.transports[at as usize];
        let mut pictures = transport
            .consumers
            .iter()
            .map(|index| &self.consumers[*index as usize])
            .filter(|consumer| consumer.kind == MediaKind::Video && !consumer.verbatim)
            .peekable();
        pictures.peek().is_none() || pictures.any(|consumer| consumer.feedback.transport_cc)
    }

    fn allocate_transport(&mut self, at: u32, now: Instant) {
        let now_us = self.clock.micros(now);
        self.note_sending(at, now_us);
        let budget = self.budget(at, now_us);
        let consumers = self.transports[at as usize].consumers.clone();
        let trusted = self.mind_collapse(at, budget);
        let careful = trusted.map(|trusted| self.divide(at, &consumers, trusted, now_us));
        let collapsed = careful.is_some();
        let given = careful
            .filter(|given| !given.starves())
            .unwrap_or_else(|| self.divide(at, &consumers, budget, now_us));
        let transport = &mut self.transports[at as usize];
        transport.tally.settle(budget, &given, now_us);
        transport.estimator.set_wanted(given.wanted_bps, now);
        transport.estimator.set_given(given.used_bps);
        if let Some(wake) = given.wake_us {
            self.allocate_at(at, wake);
        }
        for (index, memory) in consumers.iter().zip(&given.memories) {
            let allotment = &mut self.consumers[*index as usize].allotment;
            // What was given while nothing was known is no measure of what is lost or won later.
            if matches!(budget, Budget::Bps(_) | Budget::AtLeast(_)) {
                allotment.memory = *memory;
            } else {
                allotment.memory = crate::allocation::Memory::default();
            }
            self.apply(*index, budget, memory.decision, now);
            if collapsed {
                self.renew_layers(*index, now_us);
            }
        }
        self.follow_estimator(at, now);
    }

    /// What is divided where the line carries so much less than what was given that some of what is on its way is lost.
    /// The first estimate after such a fall is too high, for what arrived before it is in it: half of it is divided
    /// among layers of one stream, since a wrong guess costs another keyframe, and nobody is paused for that. Several
    /// encodings have what fits the estimate.
    fn mind_collapse(&self, at: u32, budget: Budget) -> Option<Budget> {
        let transport = &self.transports[at as usize];
        let Budget::Bps(bps) = budget else {
            return None;
        };
        let mut consumers = transport.consumers.iter();
        let collapsed = bps * 100 < transport.tally.used_bps * COLLAPSED_PER_CENT
            && consumers.any(|index| self.layered(*index).is_some());
        collapsed.then_some(Budget::Bps(bps / 100 * TRUSTED_PER_CENT))
    }

    /// The stream that a consumer forwards, where pictures of it have several spatial layers.
    fn layered(&self, index: u32) -> Option<u32> {
        let consumer = &self.consumers[index as usize];
        let tap = consumer.current.filter(|_| consumer.target.is_none())?;
        let stream = self.streams.get(tap.stream as usize)?;
        let is_sent = !consumer.verbatim && !consumer.paused;
        (is_sent && stream.frames.is_layered()).then_some(tap.stream)
    }

    /// A consumer that has to step down between the spatial layers of one stream, on a line that has
    /// collapsed, goes on with a keyframe, as one of several encodings does: it is through before
    /// what was lost is.
    fn renew_layers(&mut self, index: u32, now_us: u64) {
        let Some(stream) = self.layered(index) else {
            return;
        };
        let consumer = &mut self.consumers[index as usize];
        let most = consumer.most(false).spatial.unwrap_or(u8::MAX);
        if consumer.selector.current().spatial > most {
            consumer.hush_for_keyframe(now_us);
            self.wish_keyframe(stream, now_us);
        }
    }

    /// Notes when pictures begin to leave for a peer.
    fn note_sending(&mut self, at: u32, now_us: u64) {
        let transport = &self.transports[at as usize];
        let flows = |index: &u32| {
            let consumer = &self.consumers[*index as usize];
            let producer = consumer.producer.map(|at| &self.producers[at as usize]);
            let active = |stream: &u32| self.streams[*stream as usize].active;
            consumer.kind == MediaKind::Video
                && !consumer.paused
                && producer.is_some_and(|producer| producer.streams.iter().any(active))
        };
        let sends = transport.writable && transport.consumers.iter().any(flows);
        let tally = &mut self.transports[at as usize].tally;
        if sends && tally.sent_since_us.is_none() {
            tally.sent_since_us = Some(now_us);
        }
    }

    fn divide(&self, at: u32, consumers: &[u32], budget: Budget, now_us: u64) -> Allocation {
        let tracks: Vec<_> = consumers
            .iter()
            .map(|index| self.track(*index, now_us))
            .collect();
        let sounds = tracks
            .iter()
            .any(|track| track.audio && !track.absent && !track.layers.is_empty());
        let terms = Terms {
            budget,
            keep: match (sounds, self.transports[at as usize].tracks_packets) {
                (true, _) => Keep::Nobody,
                (false, true) => Keep::Cheapest,
                (false, false) => Keep::Moving,
            },
            now_us,
            is_contended: self.transports[at as usize]
                .estimator
                .details()
                .is_competing,
            salt: self.transports[at as usize].id.0.wrapping_add(1),
            is_led: self.transports[at as usize].estimator.is_accompanied(),
        };
        allocate(&tracks, terms, &self.config.allocation)
    }

    /// One consumer as allocation sees it.
    fn track(&self, index: u32, now_us: u64) -> Track<'_> {
        let consumer = &self.consumers[index as usize];
        let allotment = &consumer.allotment;
        let producer = consumer.producer.map(|at| &self.producers[at as usize]);
        let absent = consumer.verbatim
            || allotment.paused_by_command
            || producer.is_none_or(|producer| producer.paused);
        let hold_us = self.config.allocation.speaker_hold.as_micros() as u64;
        let speaker = producer.is_some_and(|producer| {
            let spoke = self.transports[producer.transport as usize].tally.spoke_us;
            spoke.is_some_and(|spoke| now_us.saturating_sub(spoke) <= hold_us)
        });
        Track {
            audio: consumer.kind != MediaKind::Video,
            absent,
            rank: Rank::new(allotment.priority, speaker, &allotment.limits),
            limits: allotment.track_limits(consumer.preferred_spatial, consumer.preferred_temporal),
            layers: producer.map_or(&[], |producer| producer.offer.layers()),
            memory: allotment.memory,
        }
    }

    /// Carries out what was decided about a consumer.
    fn apply(&mut self, index: u32, budget: Budget, decision: Decision, now: Instant) {
        let consumer = &self.consumers[index as usize];
        if consumer.verbatim || consumer.kind != MediaKind::Video {
            return;
        }
        let free =
            budget == Budget::Unlimited && consumer.allotment.limits == ConsumerLimits::default();
        match decision {
            Decision::Starved => self.starve(index),
            Decision::Layer(target) if !free => {
                let (target, told) = self.rounded(index, target);
                self.feed(index, Some(target), told, now);
            }
            Decision::Layer(_) => self.feed(index, None, (None, None), now),
            // Nothing comes of it. It begins with what comes first.
            Decision::Absent if consumer.allotment.gate == Gate::Undecided => {
                let lowest = LayerTarget {
                    encoding: 0,
                    spatial: u8::MAX,
                    temporal: ALL_TEMPORAL,
                };
                self.feed(index, Some(lowest), (Some(0), None), now);
            }
            Decision::Absent => {}
        }
    }

    /// A target as selection takes it, and as the driver is told it. The highest layer there is
    /// stands for all that may come.
    fn rounded(&self, index: u32, target: LayerTarget) -> (LayerTarget, (Option<u8>, Option<u8>)) {
        let consumer = &self.consumers[index as usize];
        let producer = consumer.producer.map(|at| &self.producers[at as usize]);
        let (temporal, spatial) = producer.map_or((0, 0), |p| p.offer.tops(target));
        let simulcast = producer.is_some_and(|producer| producer.streams.len() > 1);
        let all = target.temporal >= temporal;
        let public = if simulcast {
            target.encoding
        } else {
            target.spatial
        };
        let rounded = LayerTarget {
            encoding: target.encoding,
            spatial: if target.spatial >= spatial {
                u8::MAX
            } else {
                target.spatial
            },
            temporal: if all { ALL_TEMPORAL } else { target.temporal },
        };
        (rounded, (Some(public), (!all).then_some(target.temporal)))
    }

    /// Pauses a consumer that the line does not carry.
    fn starve(&mut self, index: u32) {
        if self.consumers[index as usize].allotment.gate != Gate::Starved {
            self.set_gate(index, Gate::Starved);
        }
    }

    /// Gives a consumer its layers.
    fn feed(
        &mut self,
        index: u32,
        target: Option<LayerTarget>,
        told: (Option<u8>, Option<u8>),
        now: Instant,
    ) {
        let allotment = &mut self.consumers[index as usize].allotment;
        let gate = allotment.gate;
        let moved = allotment.target != target;
        let retold = allotment.told != told;
        allotment.target = target;
        allotment.told = told;
        let consumer = self.consumers[index as usize].id;
        if gate != Gate::Open {
            self.set_gate(index, Gate::Open);
        }
        if retold {
            self.emit(RouterEvent::LayersTargeted {
                consumer,
                spatial: told.0,
                temporal: told.1,
            });
        }
        if gate != Gate::Open {
            self.forget_taps(index);
            self.restart_consumer(index, now);
        } else if moved {
            self.choose_layers(index, now);
        }
        if moved || gate != Gate::Open {
            self.note_want(index, self.clock.micros(now));
        }
    }

    /// Opens or closes the way of a consumer's packets to its line.
    pub(super) fn set_gate(&mut self, index: u32, gate: Gate) {
        let consumer = &mut self.consumers[index as usize];
        let was = std::mem::replace(&mut consumer.allotment.gate, gate);
        consumer.paused = consumer.allotment.paused_by_command || gate != Gate::Open;
        if consumer.paused && consumer.dirty {
            consumer.dirty = false;
            self.transports[consumer.transport as usize]
                .ready
                .remove(index);
        }
        let consumer = consumer.id;
        match (was == Gate::Starved, gate == Gate::Starved) {
            (false, true) => self.emit(RouterEvent::ConsumerStarved { consumer }),
            (true, false) => self.emit(RouterEvent::ConsumerFed { consumer }),
            _ => {}
        }
    }

    /// A consumer that sent nothing begins where it is told now, not where it was.
    fn forget_taps(&mut self, index: u32) {
        let consumer = &mut self.consumers[index as usize];
        let taps = [consumer.current.take(), consumer.target.take()];
        for tap in taps.into_iter().flatten() {
            self.unlisten(tap.stream, index);
        }
    }

    /// A consumer begins. Where the line is known, it waits for its share; this is decided shortly.
    pub(super) fn await_allocation(&mut self, index: u32, now: Instant) {
        let consumer = &self.consumers[index as usize];
        let at = consumer.transport;
        let now_us = self.clock.micros(now);
        let apart = consumer.verbatim || consumer.kind != MediaKind::Video || consumer.paused;
        self.allocate_soon(at, now_us);
        if apart {
            return self.note_want(index, now_us);
        }
        let known = !matches!(self.budget(at, now_us), Budget::Unlimited);
        if known {
            self.set_gate(index, Gate::Undecided);
        } else {
            self.note_want(index, now_us);
        }
    }

    /// Who speaks comes first: their pictures are ranked anew.
    pub(super) fn rank_speakers(&mut self, now_us: u64) {
        let hold_us = self.config.allocation.speaker_hold.as_micros() as u64;
        for speaker in 0..self.speakers.current().len() {
            let id = self.speakers.current()[speaker].producer;
            let Some(producer) = self.producer_ids.get(&id).copied() else {
                continue;
            };
            let at = self.producers[producer as usize].transport;
            let tally = &mut self.transports[at as usize].tally;
            let new = tally
                .spoke_us
                .is_none_or(|spoke| now_us.saturating_sub(spoke) > hold_us);
            tally.spoke_us = Some(now_us);
            if new {
                self.rank_pictures_of(at, now_us);
            }
        }
    }

    fn rank_pictures_of(&mut self, at: u32, now_us: u64) {
        for producer in self.transports[at as usize].producers.clone() {
            if self.producers[producer as usize].kind != MediaKind::Video {
                continue;
            }
            for index in self.producers[producer as usize].consumers.clone() {
                let transport = self.consumers[index as usize].transport;
                // Where everybody has the best there is, rank is nothing.
                if self.transports[transport as usize].tally.is_short() {
                    self.allocate_soon(transport, now_us);
                }
            }
        }
    }
}
