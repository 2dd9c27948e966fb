//! Which encoding of a producer a consumer forwards: the one asked for, or the nearest that flows.

use std::time::Instant;

use super::Router;
use crate::allocation::Gate;
use crate::consumer::{News, Tap};
use crate::{ConsumerId, ConsumerLimits, RouterEvent, SfuError};

impl Router {
    /// Fixes the encoding (spatial layer) and the highest temporal layer a consumer is given.
    /// `None` is the best there is. A change of encoding happens at the next keyframe, which is
    /// asked for.
    pub fn set_preferred_layers(
        &mut self,
        id: ConsumerId,
        spatial: Option<u8>,
        temporal: Option<u8>,
        now: Instant,
    ) -> Result<(), SfuError> {
        let index = self.consumer_of(id)?;
        let consumer = &mut self.consumers[index as usize];
        if consumer.verbatim {
            return Err(SfuError::Verbatim);
        }
        let changed = consumer.preferred_temporal != temporal;
        consumer.preferred_spatial = spatial;
        consumer.preferred_temporal = temporal;
        let transport = consumer.transport;
        self.choose_layers(index, now);
        self.allocate_soon(transport, self.clock.micros(now));
        if changed {
            self.emit_layers(index);
        }
        Ok(())
    }

    /// Fixes the most a consumer is to be given, by what its viewer can show.
    pub fn set_limits(
        &mut self,
        id: ConsumerId,
        limits: ConsumerLimits,
        now: Instant,
    ) -> Result<(), SfuError> {
        let index = self.allotted(id)?;
        let consumer = &mut self.consumers[index as usize];
        consumer.allotment.limits = limits;
        let transport = consumer.transport;
        self.allocate_soon(transport, self.clock.micros(now));
        Ok(())
    }

    /// Fixes who comes first where the line does not carry everything: the higher one.
    pub fn set_priority(
        &mut self,
        id: ConsumerId,
        priority: u8,
        now: Instant,
    ) -> Result<(), SfuError> {
        let index = self.allotted(id)?;
        let consumer = &mut self.consumers[index as usize];
        consumer.allotment.priority = priority;
        let transport = consumer.transport;
        self.allocate_soon(transport, self.clock.micros(now));
        Ok(())
    }

    /// A consumer that takes part in allocation.
    fn allotted(&self, id: ConsumerId) -> Result<u32, SfuError> {
        let index = self.consumer_of(id)?;
        if self.consumers[index as usize].verbatim {
            return Err(SfuError::Verbatim);
        }
        Ok(index)
    }

    /// Chooses the encoding for one consumer and starts the way there.
    pub(super) fn choose_layers(&mut self, index: u32, now: Instant) {
        let consumer = &self.consumers[index as usize];
        let Some(producer) = consumer.producer else {
            return;
        };
        if consumer.allotment.gate == Gate::Undecided {
            return;
        }
        let streams = &self.producers[producer as usize].streams;
        let active = |at: usize| self.streams[streams[at] as usize].active;
        let most = consumer.most(streams.len() > 1);
        self.consumers[index as usize]
            .selector
            .want(most.spatial, most.temporal);
        let consumer = &self.consumers[index as usize];
        let Some(wanted) = choose(streams.len(), active, most.encoding) else {
            return;
        };
        let wanted = streams[wanted];
        let current = consumer.current.map(|tap| tap.stream);
        let target = consumer.target.map(|tap| tap.stream);
        if current == Some(wanted) {
            if let Some(target) = target {
                self.consumers[index as usize].target = None;
                self.unlisten(target, index);
            }
        } else if target != Some(wanted) {
            if let Some(target) = target {
                self.unlisten(target, index);
            }
            let ssrc = self.consumers[index as usize].ssrc;
            let tap = Tap::live(wanted, &self.streams[wanted as usize], ssrc);
            self.streams[wanted as usize].listeners.push(index);
            self.note_exempt(wanted);
            let consumer = &mut self.consumers[index as usize];
            if current.is_none() {
                consumer.current = Some(tap);
                consumer.waiting = true;
            } else {
                consumer.target = Some(tap);
            }
        }
        let consumer = &self.consumers[index as usize];
        if consumer.waiting || consumer.target.is_some() {
            self.wish_waiting(index, now);
        }
    }

    /// Asks for the keyframe a consumer waits for.
    fn wish_waiting(&mut self, index: u32, now: Instant) {
        let consumer = &self.consumers[index as usize];
        if consumer.paused || !self.transports[consumer.transport as usize].writable {
            return;
        }
        let waits_for = consumer
            .target
            .or(consumer.current.filter(|_| consumer.waiting));
        if let Some(tap) = waits_for {
            let now_us = self.clock.micros(now);
            self.wish_keyframe(tap.stream, now_us);
        }
    }

    /// An encoding began or ceased to flow: its producer's consumers choose again.
    pub(super) fn choose_all(&mut self, producer: u32, now: Instant) {
        if self.producers[producer as usize].streams.len() < 2 {
            return;
        }
        for consumer in self.producers[producer as usize].consumers.clone() {
            if !self.consumers[consumer as usize].verbatim {
                self.choose_layers(consumer, now);
            }
        }
    }

    /// A consumer has changed what it forwards, or needs a keyframe.
    pub(super) fn on_news(&mut self, index: u32, news: News) {
        if let Some(left) = news.left {
            self.unlisten(left, index);
        }
        if news.left.is_some() || news.moved {
            self.emit_layers(index);
        }
        let current = self.consumers[index as usize].current;
        if let Some(tap) = current.filter(|_| news.wish) {
            // What it wishes for was found wanting at the newest packet.
            let now_us = self.streams[tap.stream as usize].last_arrival_us;
            self.wish_keyframe(tap.stream, now_us);
        }
    }

    pub(super) fn unlisten(&mut self, stream: u32, index: u32) {
        if let Some(stream) = self.streams.get_mut(stream as usize) {
            stream.listeners.retain(|other| *other != index);
            stream.exempt.retain(|other| *other != index);
        }
    }

    fn emit_layers(&mut self, index: u32) {
        let consumer = &self.consumers[index as usize];
        let spatial = consumer.current.map(|tap| {
            let stream = &self.streams[tap.stream as usize];
            stream.encoding.max(consumer.selector.current().spatial)
        });
        let event = RouterEvent::LayersChanged {
            consumer: consumer.id,
            spatial,
            temporal: consumer.preferred_temporal,
        };
        self.emit(event);
    }
}

/// The encoding to forward: the highest that flows up to the one wanted, else the lowest that
/// flows above, else (nothing flows yet) the one wanted itself.
fn choose(count: usize, active: impl Fn(usize) -> bool, wanted: Option<u8>) -> Option<usize> {
    let top = count.checked_sub(1)?;
    let wanted = wanted.map_or(top, |wanted| usize::from(wanted).min(top));
    (0..=wanted)
        .rev()
        .find(|at| active(*at))
        .or_else(|| (wanted + 1..count).find(|at| active(*at)))
        .or(Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn the_nearest_flowing_encoding_is_chosen() {
        let table: [(&[bool], Option<u8>, Option<usize>); 9] = [
            (&[], None, None),
            (&[false], None, Some(0)),
            (&[true, true, true], None, Some(2)),
            (&[true, true, true], Some(1), Some(1)),
            (&[true, true, true], Some(9), Some(2)),
            (&[true, false, false], Some(2), Some(0)),
            (&[true, true, false], None, Some(1)),
            (&[false, false, true], Some(0), Some(2)),
            (&[false, false, false], Some(1), Some(1)),
        ];
        for (active, wanted, expected) in table {
            assert_eq!(
                choose(active.len(), |at| active[at], wanted),
                expected,
                "{active:?} {wanted:?}"
            );
        }
    }
}
