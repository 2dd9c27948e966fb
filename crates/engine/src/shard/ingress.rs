//! Datagrams in: whose they are, what they are, and to the router with them.

use std::net::SocketAddr;
use std::time::Instant;

use roomtone_sfu::{Router, TransportId};
use roomtone_webrtc::{FiveTuple, Protocol, Received, is_stun, stun_username};

use super::objects::Carrier;
use super::{Panicked, Shard, guard};
use crate::counters::Counters;
use crate::sys::{Datagrams, datagrams_of};

/// Receive calls on one socket in one turn; more waits for the next turn, after bursts and timers.
pub(super) const ROUNDS: usize = 8;
/// Packets after which bursts that are ready leave, so that no history is overrun by a flood of input.
pub(super) const PACKETS_A_BURST: usize = 128;
/// Addresses remembered for one peer; the oldest goes.
const MAX_ADDRESSES: usize = 16;

impl Shard {
    /// Takes in what waits on the shared UDP port.
    pub(super) fn read_listener(&mut self, slot: usize) {
        let Some(mut datagrams) = self.datagrams.take() else {
            return;
        };
        for _ in 0..ROUNDS {
            let Some((socket, local)) = &self.listeners[slot].udp else {
                break;
            };
            let local = *local;
            self.counters.receive_calls.up();
            // An error of the socket concerns one earlier datagram; the socket itself goes on.
            let count = datagrams.receive(socket).unwrap_or(0);
            self.now = std::time::Instant::now();
            let mut pending = 0;
            for index in 0..count {
                let Some((remote, segment, bytes)) = datagrams.message(index) else {
                    continue;
                };
                for datagram in datagrams_of(bytes, segment) {
                    self.on_datagram(
                        FiveTuple {
                            protocol: Protocol::Udp,
                            local,
                            remote,
                        },
                        datagram,
                    );
                    pending += 1;
                }
                if pending >= PACKETS_A_BURST {
                    self.settle();
                    pending = 0;
                }
            }
            self.settle();
            if count < Datagrams::capacity() {
                break;
            }
        }
        self.datagrams = Some(datagrams);
    }

    fn on_datagram(&mut self, tuple: FiveTuple, data: &mut [u8]) {
        self.counters.datagrams_received.up();
        self.counters.bytes_received.add(data.len() as u64);
        if let Some(slot) = self.whose(&tuple, data) {
            self.feed(slot, tuple, data);
        }
    }

    /// The transport a datagram is for. Checks are looked up by their user fragment, since an address may have gone
    /// over to another peer; all else by the address.
    pub(super) fn whose(&self, tuple: &FiveTuple, data: &[u8]) -> Option<usize> {
        let known = self.addresses.get(&(tuple.protocol, tuple.remote)).copied();
        if is_stun(data)
            && let Some((ours, _)) = stun_username(data)
        {
            let named = self.ufrags.get(ours).copied();
            if named.is_none() {
                self.counters.dropped_unknown_ufrag.up();
            }
            return named;
        }
        if known.is_none() {
            self.counters.dropped_unknown_source.up();
        }
        known
    }

    /// Gives a datagram to a transport, and the media in it to the router.
    pub(super) fn feed(&mut self, slot: usize, tuple: FiveTuple, data: &mut [u8]) {
        let entry = &mut self.transports[slot];
        let (id, router) = (TransportId(entry.id), entry.router);
        let Carrier::WebRtc(peer) = &mut entry.carrier else {
            return;
        };
        let (now, counters, router_entry) = (self.now, &self.counters, &mut self.routers[router]);
        #[cfg(test)]
        let panics = std::mem::take(&mut entry.panics);
        let fed = guard(|| {
            #[cfg(test)]
            assert!(!panics, "injected");
            match peer.transport.handle_datagram(tuple, data, now) {
                Ok(Received::Handled) => false,
                Ok(Received::Rtp(packet)) => {
                    counters.rtp_received.up();
                    if router_entry.router.handle_rtp(id, packet, now).is_err() {
                        counters.dropped_rtp.up();
                    }
                    true
                }
                Ok(Received::Rtcp(packet)) => {
                    feed_rtcp(&mut router_entry.router, id, packet, now, counters);
                    true
                }
                Err(_) => {
                    counters.dropped_transport.up();
                    false
                }
            }
        });
        match fed {
            Ok(true) => self.touch_router(router),
            // What a transport makes of its own protocols shows in its events.
            Ok(false) => self.touch_transport(slot),
            Err(Panicked) => self.transport_panicked(slot),
        }
    }

    /// Remembers that an address belongs to a transport.
    pub(super) fn learn_address(&mut self, slot: usize, protocol: Protocol, remote: SocketAddr) {
        let key = (protocol, remote);
        let before = self.addresses.insert(key, slot);
        if before == Some(slot) {
            return;
        }
        if let Some(Carrier::WebRtc(other)) = before
            .and_then(|before| self.transports.get_mut(before))
            .map(|entry| &mut entry.carrier)
        {
            other.addresses.retain(|address| *address != key);
        }
        let Carrier::WebRtc(peer) = &mut self.transports[slot].carrier else {
            return;
        };
        peer.addresses.push(key);
        if peer.addresses.len() > MAX_ADDRESSES {
            let selected = peer.selected.map(|tuple| (tuple.protocol, tuple.remote));
            let oldest = peer
                .addresses
                .iter()
                .position(|address| Some(*address) != selected);
            if let Some(oldest) = oldest {
                let gone = peer.addresses.remove(oldest);
                self.addresses.remove(&gone);
            }
        }
    }
}

/// Gives a router RTCP that came for a transport, and counts what the router makes of it.
pub(super) fn feed_rtcp(
    router: &mut Router,
    id: TransportId,
    packet: &[u8],
    now: Instant,
    counters: &Counters,
) {
    counters.rtcp_received.up();
    if router.handle_rtcp(id, packet, now).is_err() {
        counters.dropped_rtcp.up();
    }
    counters.feedback_bogus.add(router.take_feedback_bogus());
}
