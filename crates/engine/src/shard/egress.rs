//! Packets out: all that waits for one transport is written into one buffer, sealed in place, and sent with as few
//! system calls as its lengths allow.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use roomtone_sfu::{Router, TransportId};
use roomtone_webrtc::{FiveTuple, Protocol};

use super::objects::{Carrier, Object};
use super::{Panicked, Shard, guard};
use crate::counters::Counters;
use crate::sys::{MAX_SEGMENTS, send, send_segmented};

/// The longest packet a router writes, with room for what sealing adds.
const PACKET_SPACE: usize = 4096;
/// What sealing adds at most: a tag of 16 bytes, an SRTCP index of 4, and room to spare.
const SEAL_SPACE: usize = 64;

/// One datagram socket and one destination: gathers equal packets into one segmented send.
pub(super) struct Run<'a> {
    socket: RawFd,
    to: SocketAddr,
    counters: &'a Counters,
    start: usize,
    end: usize,
    segment: usize,
    count: usize,
}

impl<'a> Run<'a> {
    pub(super) fn new(socket: RawFd, to: SocketAddr, counters: &'a Counters) -> Self {
        Self {
            socket,
            to,
            counters,
            start: 0,
            end: 0,
            segment: 0,
            count: 0,
        }
    }

    /// The packet `at..at + len` of `buffer` joins the run; earlier ones are sent when it cannot.
    fn push(&mut self, buffer: &[u8], at: usize, len: usize) {
        if self.count > 0 && (len > self.segment || self.count == MAX_SEGMENTS || at != self.end) {
            self.flush(buffer);
        }
        if self.count == 0 {
            (self.start, self.segment) = (at, len);
        }
        self.end = at + len;
        self.count += 1;
        // Only the last segment may be shorter than the others.
        if len < self.segment {
            self.flush(buffer);
        }
    }

    /// Sends what waits.
    fn flush(&mut self, buffer: &[u8]) {
        let (count, data) = (
            std::mem::take(&mut self.count),
            &buffer[self.start..self.end],
        );
        match count {
            0 => {}
            1 => self.send_one(data),
            _ => self.send_run(data, count),
        }
    }

    fn send_one(&self, data: &[u8]) {
        self.counters.send_calls.up();
        match send(self.socket, self.to, data) {
            Ok(()) => self.sent(1, data.len()),
            Err(error) => self.failed(&error, 1),
        }
    }

    fn send_run(&self, data: &[u8], count: usize) {
        self.counters.send_calls.up();
        match send_segmented(self.socket, self.to, data, self.segment as u16) {
            Ok(()) => {
                self.counters.gso_runs.up();
                self.counters.gso_segments.add(count as u64);
                self.sent(count, data.len());
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                self.failed(&error, count);
            }
            // Longer than the link's packets, or a device that cannot: the datagrams go one by one.
            Err(_) => {
                self.counters.gso_refused.up();
                data.chunks(self.segment).for_each(|one| self.send_one(one));
            }
        }
    }

    fn sent(&self, count: usize, bytes: usize) {
        self.counters.datagrams_sent.add(count as u64);
        self.counters.bytes_sent.add(bytes as u64);
    }

    fn failed(&self, error: &std::io::Error, count: usize) {
        // A full buffer means that the link is slower than we are; the peer asks again for what it misses.
        let counter = match error.kind() {
            std::io::ErrorKind::WouldBlock => &self.counters.send_dropped_full,
            _ => &self.counters.send_errors,
        };
        counter.add(count as u64);
    }
}

/// What sealing or handing over one burst needs, apart from the router.
struct Writer<'a> {
    router: &'a mut Router,
    id: TransportId,
    now: std::time::Instant,
    counters: &'a Counters,
}

impl Writer<'_> {
    /// Writes packet after packet into `buffer`; `take` seals the packet at an offset and says how long it is now,
    /// `flush` is called when the buffer is full and at the end.
    fn write_all(
        &mut self,
        buffer: &mut [u8],
        mut seal: impl FnMut(&mut [u8], usize, bool) -> Option<usize>,
        mut take: impl FnMut(&[u8], Packet),
    ) {
        let mut at = 0;
        loop {
            if buffer.len() - at < PACKET_SPACE {
                take(buffer, Packet::End);
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
    }
}

/// What `write_all` tells.
#[derive(Clone, Copy)]
enum Packet {
    /// A packet is ready.
    At { at: usize, len: usize, rtcp: bool },
    /// The buffer is used again, or the burst is over.
    End,
}

impl Shard {
    /// Sends all that waits for one transport.
    pub(super) fn send_burst(&mut self, router: usize, id: TransportId) {
        let Some(Object::Transport(slot)) = self.objects.get(&id.0) else {
            return;
        };
        let slot = *slot;
        let Some(mut scratch) = self.scratch.take() else {
            return;
        };
        let sent = guard(|| match &self.transports[slot].carrier {
            Carrier::WebRtc(_) => self.burst_to_peer(router, slot, &mut scratch),
            Carrier::Plain(_) => self.burst_to_plain(router, slot, &mut scratch),
            Carrier::Pipe(_) => self.burst_to_pipe(router, slot, &mut scratch),
        });
        self.scratch = Some(scratch);
        if let Err(Panicked) = sent {
            self.transport_panicked(slot);
        }
    }

    fn burst_to_peer(&mut self, router: usize, slot: usize, scratch: &mut [u8]) {
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
                let Some(socket) = socket_of(&self.listeners, tuple.local) else {
                    return;
                };
                let mut run = Run::new(socket, tuple.remote, &self.counters);
                writer.write_all(scratch, seal, |buffer, packet| match packet {
                    Packet::At { at, len, .. } => run.push(buffer, at, len),
                    Packet::End => run.flush(buffer),
                });
            }
            Protocol::Tcp => {
                let connection = self
                    .connection_of
                    .get(&(tuple.local, tuple.remote))
                    .copied();
                let Some(connection) = connection.and_then(|slot| self.connections.get_mut(slot))
                else {
                    // The peer's connection is gone and ICE has not noticed yet: the packets are spent all the same.
                    let counters = &self.counters;
                    writer.write_all(scratch, seal, |_, packet| {
                        if let Packet::At { .. } = packet {
                            counters.send_dropped_no_connection.up();
                        }
                    });
                    return;
                };
                writer.write_all(scratch, seal, |buffer, packet| match packet {
                    Packet::At { at, len, .. } => {
                        connection.queue(&buffer[at..at + len], &self.counters);
                    }
                    Packet::End => connection.flush(&self.poller, &self.counters),
                });
            }
        }
    }

    fn burst_to_plain(&mut self, router: usize, slot: usize, scratch: &mut [u8]) {
        let entry = &mut self.transports[slot];
        let id = TransportId(entry.id);
        let Carrier::Plain(plain) = &mut entry.carrier else {
            return;
        };
        let Some(remote) = plain.remote else { return };
        let rtcp_remote = plain.rtcp_remote.unwrap_or(remote);
        let rtp_socket = plain.rtp.as_raw_fd();
        let rtcp_socket = plain
            .rtcp
            .as_ref()
            .map_or(rtp_socket, |(socket, _)| socket.as_raw_fd());
        let shared = rtcp_socket == rtp_socket;
        let writer = &mut Writer {
            router: &mut self.routers[router].router,
            id,
            now: self.now,
            counters: &self.counters,
        };
        let (secure, sealer) = (plain.secure, &mut plain.sealer);
        let seal = |buffer: &mut [u8], len, rtcp| match sealer {
            Some(sealer) if rtcp => sealer.seal_rtcp(buffer, len).ok(),
            Some(sealer) => sealer.seal_rtp(buffer, len).ok(),
            None => (!secure).then_some(len),
        };
        let mut rtp_run = Run::new(rtp_socket, remote, &self.counters);
        let mut rtcp_run = Run::new(rtcp_socket, rtcp_remote, &self.counters);
        writer.write_all(scratch, seal, |buffer, packet| match packet {
            Packet::At {
                at,
                len,
                rtcp: true,
            } if !shared => rtcp_run.push(buffer, at, len),
            Packet::At { at, len, .. } => rtp_run.push(buffer, at, len),
            Packet::End => {
                rtp_run.flush(buffer);
                rtcp_run.flush(buffer);
            }
        });
    }

    fn burst_to_pipe(&mut self, router: usize, slot: usize, scratch: &mut [u8]) {
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
        let mut batch = end.empty_batch();
        writer.write_all(
            scratch,
            |_, len, _| Some(len),
            |buffer, packet| match packet {
                Packet::At { at, len, rtcp } => {
                    batch.bytes.extend_from_slice(&buffer[at..at + len]);
                    batch.packets.push((len as u32, rtcp));
                }
                Packet::End => {
                    if !batch.packets.is_empty() {
                        end.hand_over(std::mem::take(&mut batch), handle, counters);
                        batch = end.empty_batch();
                    }
                }
            },
        );
    }

    /// Sends what transports have to say themselves: STUN, DTLS, SCTP.
    pub(super) fn send_own(&mut self, tuple: FiveTuple, data: &[u8]) {
        match tuple.protocol {
            Protocol::Udp => {
                if let Some(socket) = socket_of(&self.listeners, tuple.local) {
                    Run::new(socket, tuple.remote, &self.counters).send_one(data);
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
        let Some(mut scratch) = self.scratch.take() else {
            return;
        };
        scratch[..rtcp.len()].copy_from_slice(rtcp);
        let sealed = match &mut self.transports[slot].carrier {
            Carrier::WebRtc(peer) => {
                let sealed = peer.transport.seal_rtcp(&mut scratch, rtcp.len()).ok();
                sealed.and_then(|len| Some((len, peer.selected?)))
            }
            Carrier::Plain(plain) => {
                plain.send_goodbye(&mut scratch, rtcp.len(), &self.counters);
                None
            }
            Carrier::Pipe(_) => None,
        };
        if let Some((len, tuple)) = sealed {
            self.send_own(tuple, &scratch[..len]);
        }
        self.scratch = Some(scratch);
    }
}

impl super::objects::Plain {
    fn send_goodbye(&mut self, buffer: &mut [u8], len: usize, counters: &Counters) {
        let Some(remote) = self.rtcp_remote.or(self.remote) else {
            return;
        };
        let len = match &mut self.sealer {
            Some(sealer) => sealer.seal_rtcp(buffer, len).ok(),
            None => (!self.secure).then_some(len),
        };
        let socket = self
            .rtcp
            .as_ref()
            .map_or(&self.rtp, |(socket, _)| socket)
            .as_raw_fd();
        if let Some(len) = len {
            Run::new(socket, remote, counters).send_one(&buffer[..len]);
        }
    }
}

/// The UDP socket bound to an address.
fn socket_of(listeners: &[crate::bind::Listener], local: SocketAddr) -> Option<RawFd> {
    listeners
        .iter()
        .filter_map(|listener| listener.udp.as_ref())
        .find(|(_, address)| *address == local)
        .map(|(socket, _)| socket.as_raw_fd())
}
