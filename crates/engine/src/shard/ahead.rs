//! Sockets that have something are served a few at a time, and what their packets need is fetched for all of these first.

use roomtone_sfu::{Fetch, Router, TransportId};

use super::Shard;
use super::objects::{Carrier, RouterEntry, Token, TransportEntry};
use crate::sys::{Ready, fetch};

/// Sockets whose packets are looked after together: what they need fits the caches of a core.
const TOGETHER: usize = 4;
/// Transports of a router that are fetched: those of a call.
const OF_A_CALL: usize = 2;

/// Fetches by the processor's instruction for it.
struct Prefetch;

impl Fetch for Prefetch {
    #[inline]
    fn fetch<T>(&self, value: &T) {
        fetch(value);
    }
}

impl Shard {
    /// Serves all that the poller reported.
    pub(super) fn serve(&mut self, ready: &[Ready]) {
        for some in ready.chunks(TOGETHER) {
            if some.len() > 1 {
                self.fetch_for(some);
            }
            for one in some {
                self.on_ready(*one);
            }
        }
    }

    /// Fetches what packets on plain transports need, one step further for all of them before the next.
    fn fetch_for(&self, ready: &[Ready]) {
        let slots = || {
            ready
                .iter()
                .filter_map(|one| match Token::from_u64(one.token) {
                    Some(Token::PlainRtp(slot) | Token::PlainLane(slot)) => Some(slot),
                    _ => None,
                })
        };
        let entries = || slots().filter_map(|slot| self.transports.get(slot));
        let routed =
            || entries().filter_map(|entry| Some((entry, self.routers.get(entry.router)?)));
        for entry in entries() {
            fetch(entry);
        }
        for (entry, router) in routed() {
            fetch_carrier(entry);
            fetch::<RouterEntry>(router);
        }
        for (_, router) in routed() {
            self.of_a_call(router).for_each(fetch);
        }
        for (_, router) in routed() {
            self.of_a_call(router).for_each(fetch_carrier);
        }
        for step in 0..Router::FETCH_STEPS {
            for (entry, router) in routed() {
                let id = TransportId(entry.id);
                router.router.fetch_for(id, step, &Prefetch);
            }
        }
    }

    fn of_a_call<'a>(
        &'a self,
        router: &'a RouterEntry,
    ) -> impl Iterator<Item = &'a TransportEntry> + 'a {
        let slots = router.transports.iter().take(OF_A_CALL);
        slots.filter_map(|slot| self.transports.get(*slot))
    }
}

fn fetch_carrier(entry: &TransportEntry) {
    if let Carrier::Plain(plain) = &entry.carrier {
        fetch(&**plain);
    }
}
