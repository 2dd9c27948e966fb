//! Datagrams in: whose they are, what they are, and to the router with them.

use std::net::SocketAddr;

use roomtone_rtp::{is_rtcp, is_rtp};
use roomtone_sfu::TransportId;
use roomtone_webrtc::{FiveTuple, Protocol, Received, is_stun, stun_username};

use super::objects::{Carrier, Plain};
use super::{Panicked, Shard, guard};
use crate::counters::Counters;
use crate::sys::Datagrams;

/// Receive calls on one socket in one turn; more waits for the next turn, after bursts and timers.
const ROUNDS: usize = 8;
/// Packets after which bursts that are ready leave, so that no history is overrun by a flood of input.
const PACKETS_A_BURST: usize = 128;
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
                for datagram in bytes.chunks_mut(segment) {
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
                    counters.rtcp_received.up();
                    if router_entry.router.handle_rtcp(id, packet, now).is_err() {
                        counters.dropped_rtcp.up();
                    }
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

    /// Takes in what waits on a port of a plain transport.
    pub(super) fn read_plain(&mut self, slot: usize, on_rtcp_port: bool) {
        let Some(mut datagrams) = self.datagrams.take() else {
            return;
        };
        for _ in 0..ROUNDS {
            let Some(Carrier::Plain(plain)) = self.transports.get(slot).map(|entry| &entry.carrier)
            else {
                break;
            };
            let socket = match (&plain.rtcp, on_rtcp_port) {
                (Some((socket, _)), true) => socket,
                _ => &plain.rtp,
            };
            self.counters.receive_calls.up();
            let count = datagrams.receive(socket).unwrap_or(0);
            self.now = std::time::Instant::now();
            let mut pending = 0;
            for index in 0..count {
                let Some((remote, segment, bytes)) = datagrams.message(index) else {
                    continue;
                };
                for datagram in bytes.chunks_mut(segment) {
                    self.on_plain_datagram(slot, remote, on_rtcp_port, datagram);
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

    fn on_plain_datagram(
        &mut self,
        slot: usize,
        remote: SocketAddr,
        on_rtcp_port: bool,
        data: &mut [u8],
    ) {
        self.counters.datagrams_received.up();
        self.counters.bytes_received.add(data.len() as u64);
        let Some(entry) = self.transports.get_mut(slot) else {
            return;
        };
        let (id, router) = (TransportId(entry.id), entry.router);
        let Carrier::Plain(plain) = &mut entry.carrier else {
            return;
        };
        let (now, counters, router_entry) = (self.now, &self.counters, &mut self.routers[router]);
        #[cfg(test)]
        let panics = std::mem::take(&mut entry.panics);
        let fed = guard(|| {
            #[cfg(test)]
            assert!(!panics, "injected");
            let (len, rtcp) = plain.open(remote, on_rtcp_port, data, counters)?;
            let learnt = plain.learn_from(remote, rtcp, on_rtcp_port);
            if rtcp {
                counters.rtcp_received.up();
                if router_entry
                    .router
                    .handle_rtcp(id, &data[..len], now)
                    .is_err()
                {
                    counters.dropped_rtcp.up();
                }
            } else {
                counters.rtp_received.up();
                if router_entry
                    .router
                    .handle_rtp(id, &data[..len], now)
                    .is_err()
                {
                    counters.dropped_rtp.up();
                }
            }
            Some(learnt)
        });
        match fed {
            Ok(Some(learnt)) => {
                if learnt {
                    self.tell_learnt(slot, remote);
                }
                self.touch_router(router);
            }
            Ok(None) => {}
            Err(Panicked) => self.transport_panicked(slot),
        }
    }
}

impl Plain {
    /// Checks source and form, takes SRTP off; the length of the plain packet and whether it is RTCP.
    fn open(
        &mut self,
        remote: SocketAddr,
        on_rtcp_port: bool,
        data: &mut [u8],
        counters: &Counters,
    ) -> Option<(usize, bool)> {
        let rtcp = is_rtcp(data);
        if !rtcp && (on_rtcp_port || !is_rtp(data)) {
            counters.dropped_not_media.up();
            return None;
        }
        if !self.is_from_peer(remote, rtcp, on_rtcp_port) {
            counters.dropped_wrong_source.up();
            return None;
        }
        let opened = match &mut self.opener {
            Some(opener) if rtcp => opener.open_rtcp(data).ok(),
            Some(opener) => opener.open_rtp(data).ok(),
            None => (!self.secure).then_some(data.len()),
        };
        if opened.is_none() {
            counters.dropped_srtp.up();
        }
        Some((opened?, rtcp))
    }

    /// The address must be the peer's; the RTCP port of the peer may be another than derived until it is seen.
    fn is_from_peer(&self, remote: SocketAddr, rtcp: bool, on_rtcp_port: bool) -> bool {
        let Some(peer) = self.remote else {
            return self.learn && !on_rtcp_port;
        };
        if rtcp && (on_rtcp_port || Some(remote) == self.rtcp_remote) {
            return match self.rtcp_remote {
                Some(expected) if self.rtcp_certain => expected == remote,
                _ => peer.ip() == remote.ip(),
            };
        }
        peer == remote
    }

    /// Whether the address of the peer is news.
    fn learn_from(&mut self, remote: SocketAddr, rtcp: bool, on_rtcp_port: bool) -> bool {
        if rtcp && on_rtcp_port && !self.rtcp_certain {
            (self.rtcp_remote, self.rtcp_certain) = (Some(remote), true);
        }
        // RTP decides: with rtcp-mux, RTCP comes from the same port, but a stray report shall not settle it.
        if self.remote.is_some() || rtcp {
            return false;
        }
        self.set_remote(remote, None);
        true
    }

    /// Sets where the peer is; without a port for RTCP it is the next one, or the same with rtcp-mux.
    pub(super) fn set_remote(&mut self, remote: SocketAddr, rtcp_port: Option<u16>) {
        self.remote = Some(remote);
        let derived = if self.rtcp.is_some() {
            remote.port().saturating_add(1)
        } else {
            remote.port()
        };
        self.rtcp_certain = rtcp_port.is_some() || self.rtcp.is_none();
        self.rtcp_remote = Some(SocketAddr::new(remote.ip(), rtcp_port.unwrap_or(derived)));
    }
}
