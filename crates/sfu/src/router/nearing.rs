//! What a packet that comes next will need, told before it is taken in.
//!
//! Where many calls are on one thread, what a call was last served with left the caches long ago, and taking in its
//! packet is mostly waiting for memory, object after object. A driver that knows of several packets fetches for all
//! of them first: then the waits overlap.

use std::hint::black_box;

use super::Router;
use crate::TransportId;

/// Starts to bring values into the caches, without waiting for them.
pub trait Fetch {
    /// Fetches a value.
    fn fetch<T>(&self, value: &T);
}

/// Objects of each kind that are looked at for one transport; of more, the further ones are not fetched.
const FEW: usize = 2;
/// The part of a stored packet that one of sound fills.
const SOUND: usize = 192;

impl Router {
    /// Steps of [`Self::fetch_for`].
    pub const FETCH_STEPS: usize = 5;

    /// Fetches what a packet from the peer of a transport needs on its way through. Objects lead to each other, so
    /// this goes in steps: each should have been taken for all transports in question before the next one is.
    #[inline]
    pub fn fetch_for(&self, id: TransportId, step: usize, with: &impl Fetch) {
        let at = self.transport_ids.get(&id);
        let Some(transport) = at.and_then(|at| self.transports.get(*at as usize)) else {
            return;
        };
        if step == 0 {
            return with.fetch(transport);
        }
        for producer in transport.producers.iter().take(FEW) {
            let Some(producer) = self.producers.get(*producer as usize) else {
                continue;
            };
            if step == 1 {
                with.fetch(producer);
                continue;
            }
            for stream in producer.streams.iter().take(FEW) {
                let Some(stream) = self.streams.get(*stream as usize) else {
                    continue;
                };
                match step {
                    2 => {
                        black_box(producer.codecs.first());
                        with.fetch(stream);
                    }
                    3 => stream.history.fetch_next(with),
                    _ => {
                        black_box(transport.routes.get(&stream.ssrc.unwrap_or_default()));
                        if let Some(data) = stream.history.next_data::<SOUND>() {
                            with.fetch(data);
                        }
                    }
                }
                for listener in stream.listeners.iter().take(FEW).filter(|_| step > 2) {
                    let Some(consumer) = self.consumers.get(*listener as usize) else {
                        continue;
                    };
                    if step == 3 {
                        with.fetch(consumer);
                        continue;
                    }
                    black_box(consumer.payload_types.first());
                    if let Some(to) = self.transports.get(consumer.transport as usize) {
                        with.fetch(to);
                    }
                }
            }
        }
    }
}
