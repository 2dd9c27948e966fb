//! Packets out: all that waits for one transport is written into one buffer, sealed in place, and sent with as few
//! system calls as its lengths allow.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use roomtone_sfu::{Router, TransportId};
use roomtone_webrtc::{FiveTuple, Protocol};

use super::inbox::{Batch, BatchPool};
use super::mail::{Mail, Run, send_alone};
use super::objects::{Carrier, Object, PipeEnd};
use super::{Panicked, Shard, guard};
use crate::counters::Counters;
use crate::sys::fetch;

/// The longest packet a router writes, with room for what sealing adds.
const PACKET_SPACE: usize = 4096;
/// What sealing adds at most: a tag of 16 bytes, an SRTCP index of 4, and room to spare.
const SEAL_SPACE: usize = 64;

/// What sealing or handing over one burst needs, apart from the router.
pub(super) struct Writer<'a> {
    pub(super) router: &'a mut Router,
    pub(super) id: TransportId,
    pub(super) now: std::time::Instant,
    pub(super) counters: &'a Counters,
}

impl Writer<'_> {
    /// Writes packet after packet into `buffer`, from `at` on; `seal` protects a packet and says how long it is now,
    /// `take` gets it. Returns where the buffer is free behind the last packet.
    pub(super) fn write_all(
        &mut self,
        buffer: &mut [u8],
        mut at: usize,
        mut seal: impl FnMut(&mut [u8], usize, bool) -> Option<usize>,
        mut take: impl FnMut(&[u8], Packet),
    ) -> usize {
        loop {
            if buffer.len() - at < PACKET_SPACE {
                take(buffer, Packet::Full);
                at = 0;
            }
            let limit = buffer.len() - SEAL_SPACE;
            let Some(written) = self
                .router
                .write_packet(self.id, self.now, &mut buffer[at..limit])
            else {
                break;
            };
            let Some(len) = seal(&mut buffer[at..], written.len, written.rtcp) else {
                self.counters.send_dropped_seal.up();
                continue;
            };
            if written.rtcp {
                self.counters.rtcp_sent.up();
            } else {
                self.counters.rtp_sent.up();
            }
            take(
                buffer,
                Packet::At {
                    at,
                    len,
                    rtcp: written.rtcp,
                },
            );
            at += len;
        }
        take(buffer, Packet::End);
        at
    }

    /// Writes packets into batches for the transport `to` of another thread; `hand_over` gets each that is not empty.
    pub(super) fn write_batches(
        &mut self,
        buffer: &mut [u8],
        pool: &BatchPool,
        to: u64,
        with_rtcp: bool,
        mut hand_over: impl FnMut(Batch),
    ) {
        let mut batch = pool.empty(to);
        self.write_all(
            buffer,
            0,
            |_, len, _| Some(len),
            |buffer, packet| match packet {
                Packet::At { at, len, rtcp } => {
                    if with_rtcp || !rtcp {
                        batch.push(&buffer[at..at + len], rtcp);
                    }
                }
                Packet::Full | Packet::End => {
                    if !batch.packets.is_empty() {
                        hand_over(std::mem::replace(&mut batch, pool.empty(to)));
                    }
                }
            },
        );
        batch.send_home();
    }
}

/// What `write_all` tells.
#[derive(Clone, Copy)]
pub(super) enum Packet {
    /// A packet is ready.
    At { at: usize, len: usize, rtcp: bool },
    /// The buffer is used again from its start.
    Full,
    /// The burst is over.
    End,
}

impl Shard {
    /// Sends all that waits for one transport.
    pub(super) fn send_burst(&mut self, router: usize, id: TransportId) {
        let Some(Object::Transport(slot)) = self.objects.get(&id.0) else {
            return;
        };
        let slot = *slot;
        let Some(mut mail) = self.mail.take() else {
            return;
        };
        let sent = guard(|| match &self.transports[slot].carrier {
            Carrier::WebRtc(_) => self.burst_to_peer(router, slot, &mut mail),
            Carrier::Plain(_) => self.burst_to_plain(router, slot, &mut mail),
            Carrier::Pipe(_) => self.burst_to_pipe(router, slot, &mut mail),
            Carrier::Mixer(_) => self.burst_to_mixer(router, slot, &mut mail),
            Carrier::Packager(_) => self.burst_to_packager(router, slot, &mut mail),
            Carrier::Feed(_) => self.burst_to_nobody(router, id, &mut mail),
        });
        self.mail = Some(mail);
        if let Err(Panicked) = sent {
            self.transport_panicked(slot);
        }
    }

    /// Fetches what the next bursts of a router need of their transports: all at once, since each was last used a
    /// frame ago and is in no cache. Says for how many bursts that is.
    pub(super) fn fetch_ahead(&self, router: usize) -> usize {
        let entries = self.routers[router].router.upcoming().filter_map(|id| {
            let Some(Object::Transport(slot)) = self.objects.get(&id.0) else {
                return None;
            };
            self.transports.get(*slot)
        });
        let (mut read, mut count) = (0, 0);
        for entry in entries {
            count += 1;
            let sealer = match &entry.carrier {
                Carrier::WebRtc(peer) => {
                    fetch(&peer.selected);
                    peer.transport.sealer()
                }
                Carrier::Plain(plain) => plain.sealer.as_ref(),
                Carrier::Pipe(_) | Carrier::Mixer(_) | Carrier::Packager(_) | Carrier::Feed(_) => {
                    None
                }
            };
            if let Some(sealer) = sealer {
                fetch(sealer);
                read ^= sealer.touch();
            }
        }
        std::hint::black_box(read);
        count
    }

    /// Sends what waits for its system call.
    pub(super) fn send_mail(&mut self) {
        if let Some(mail) = &mut self.mail {
            mail.send(&self.counters);
        }
    }

    fn burst_to_peer(&mut self, router: usize, slot: usize, mail: &mut Mail) {
        let entry = &mut self.transports[slot];
        let id = TransportId(entry.id);
        let Carrier::WebRtc(peer) = &mut entry.carrier else {
            return;
        };
        let Some(tuple) = peer.selected else { return };
        let writer = &mut Writer {
            router: &mut self.routers[router].router,
            id,
            now: self.now,
            counters: &self.counters,
        };
        let transport = &mut peer.transport;
        let seal = |buffer: &mut [u8], len, rtcp| {
            if rtcp {
                transport.seal_rtcp(buffer, len).ok()
            } else {
                transport.seal_rtp(buffer, len).ok()
            }
        };
        match tuple.protocol {
            Protocol::Udp => {
                let Some(socket) = sender_of(&self.listeners, tuple.local) else {
                    return;
                };
                let mut run = Run::new(socket, tuple.remote);
                let (mut post, buffer, free) = mail.open(&self.counters);
                *free = writer.write_all(buffer, *free, seal, |buffer, packet| match packet {
                    Packet::At { at, len, .. } => run.push(&mut post, buffer, at, len),
                    Packet::Full => {
                        run.finish(&mut post, buffer);
                        post.send(buffer);
                    }
                    Packet::End => run.finish(&mut post, buffer),
                });
            }
            Protocol::Tcp => {
                let scratch = mail.emptied(&self.counters);
                let connection = self
                    .connection_of
                    .get(&(tuple.local, tuple.remote))
                    .copied();
                let Some(connection) = connection.and_then(|slot| self.connections.get_mut(slot))
                else {
                    // The peer's connection is gone and ICE has not noticed yet: the packets are spent all the same.
                    let counters = &self.counters;
                    writer.write_all(scratch, 0, seal, |_, packet| {
                        if let Packet::At { .. } = packet {
                            counters.send_dropped_no_connection.up();
                        }
                    });
                    return;
                };
                writer.write_all(scratch, 0, seal, |buffer, packet| match packet {
                    Packet::At { at, len, .. } => {
                        connection.queue(&buffer[at..at + len], &self.counters);
                    }
                    Packet::Full | Packet::End => connection.flush(&self.poller, &self.counters),
                });
            }
        }
    }

    fn burst_to_plain(&mut self, router: usize, slot: usize, mail: &mut Mail) {
        let entry = &mut self.transports[slot];
        let id = TransportId(entry.id);
        let Carrier::Plain(plain) = &mut entry.carrier else {
            return;
        };
        let Some(remote) = plain.latch.remote() else {
            return;
        };
        let rtcp_remote = plain.latch.rtcp_remote().unwrap_or(remote);
        let rtp_socket = plain.rtp.as_raw_fd();
        let rtcp_socket = plain
            .rtcp
            .as_ref()
            .map_or(rtp_socket, |(socket, _)| socket.as_raw_fd());
        let shared = rtcp_socket == rtp_socket;
        let lane = plain.lane_to(remote).map(AsRawFd::as_raw_fd);
        let writer = &mut Writer {
            router: &mut self.routers[router].router,
            id,
            now: self.now,
            counters: &self.counters,
        };
        let seal = |buffer: &mut [u8], len, rtcp| plain.seal(buffer, len, rtcp);
        let mut rtp_run = match lane {
            Some(lane) => Run::by_connected(lane, remote),
            None => Run::new(rtp_socket, remote),
        };
        let mut rtcp_run = Run::new(rtcp_socket, rtcp_remote);
        let (mut post, buffer, free) = mail.open(&self.counters);
        *free = writer.write_all(buffer, *free, seal, |buffer, packet| match packet {
            Packet::At {
                at,
                len,
                rtcp: true,
            } if !shared => rtcp_run.push(&mut post, buffer, at, len),
            Packet::At { at, len, .. } => rtp_run.push(&mut post, buffer, at, len),
            Packet::Full => {
                rtp_run.finish(&mut post, buffer);
                rtcp_run.finish(&mut post, buffer);
                post.send(buffer);
            }
            Packet::End => {
                rtp_run.finish(&mut post, buffer);
                rtcp_run.finish(&mut post, buffer);
            }
        });
    }

    fn burst_to_pipe(&mut self, router: usize, slot: usize, mail: &mut Mail) {
        let entry = &mut self.transports[slot];
        let id = TransportId(entry.id);
        let Carrier::Pipe(end) = &mut entry.carrier else {
            return;
        };
        let writer = &mut Writer {
            router: &mut self.routers[router].router,
            id,
            now: self.now,
            counters: &self.counters,
        };
        let (handle, counters) = (&self.handles[end.far_shard], &self.counters);
        let (buffer, to) = (mail.emptied(counters), end.far_transport);
        let (mut handed, mut dropped) = (0, 0);
        writer.write_batches(buffer, &end.pool, to, true, |batch| {
            let count = batch.packets.len() as u64;
            if PipeEnd::hand_over(batch, handle, counters) {
                handed += count;
            } else {
                dropped += count;
            }
        });
        end.packets_handed += handed;
        end.packets_dropped += dropped;
    }

    /// Who feeds a router has no use for its reports.
    fn burst_to_nobody(&mut self, router: usize, id: TransportId, mail: &mut Mail) {
        let writer = &mut Writer {
            router: &mut self.routers[router].router,
            id,
            now: self.now,
            counters: &self.counters,
        };
        let buffer = mail.emptied(&self.counters);
        writer.write_all(buffer, 0, |_, len, _| Some(len), |_, _| {});
    }

    /// Sends what transports have to say themselves: STUN, DTLS, SCTP.
    pub(super) fn send_own(&mut self, tuple: FiveTuple, data: &[u8]) {
        match tuple.protocol {
            Protocol::Udp => {
                if let Some(socket) = socket_of(&self.listeners, tuple.local) {
                    send_alone(socket, tuple.remote, data, &self.counters);
                }
            }
            Protocol::Tcp => {
                let connection = self
                    .connection_of
                    .get(&(tuple.local, tuple.remote))
                    .copied();
                match connection.and_then(|slot| self.connections.get_mut(slot)) {
                    Some(connection) => {
                        connection.queue(data, &self.counters);
                        connection.flush(&self.poller, &self.counters);
                    }
                    None => self.counters.send_dropped_no_connection.up(),
                }
            }
        }
    }

    /// The last RTCP of a transport that leaves its router.
    pub(super) fn send_goodbye(&mut self, slot: usize, rtcp: &[u8]) {
        let Some(mut mail) = self.mail.take() else {
            return;
        };
        let scratch = mail.emptied(&self.counters);
        scratch[..rtcp.len()].copy_from_slice(rtcp);
        let sealed = match &mut self.transports[slot].carrier {
            Carrier::WebRtc(peer) => {
                let sealed = peer.transport.seal_rtcp(scratch, rtcp.len()).ok();
                sealed.and_then(|len| Some((len, peer.selected?)))
            }
            Carrier::Plain(plain) => {
                plain.send_goodbye(scratch, rtcp.len(), &self.counters);
                None
            }
            Carrier::Pipe(_) | Carrier::Mixer(_) | Carrier::Packager(_) | Carrier::Feed(_) => None,
        };
        if let Some((len, tuple)) = sealed {
            self.send_own(tuple, &scratch[..len]);
        }
        self.mail = Some(mail);
    }
}

impl super::objects::Plain {
    fn send_goodbye(&mut self, buffer: &mut [u8], len: usize, counters: &Counters) {
        let Some(remote) = self.latch.rtcp_remote() else {
            return;
        };
        let len = self.seal(buffer, len, true);
        let socket = self
            .rtcp
            .as_ref()
            .map_or(&self.rtp, |(socket, _)| socket)
            .as_raw_fd();
        if let Some(len) = len {
            send_alone(socket, remote, &buffer[..len], counters);
        }
    }
}

/// What media leaves by from an address.
fn sender_of(listeners: &[crate::bind::Listener], local: SocketAddr) -> Option<RawFd> {
    let bound = |listener: &&crate::bind::Listener| {
        listener
            .udp
            .as_ref()
            .is_some_and(|(_, address)| *address == local)
    };
    let sender = listeners.iter().find(bound)?.sender()?;
    Some(sender.as_raw_fd())
}

/// The UDP socket bound to an address.
fn socket_of(listeners: &[crate::bind::Listener], local: SocketAddr) -> Option<RawFd> {
    listeners
        .iter()
        .filter_map(|listener| listener.udp.as_ref())
        .find(|(_, address)| *address == local)
        .map(|(socket, _)| socket.as_raw_fd())
}
