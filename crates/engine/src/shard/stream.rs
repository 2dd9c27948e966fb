//! TCP connections of WebRTC peers: RFC 4571 frames, told apart by the check in the first one.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use roomtone_webrtc::{FiveTuple, Protocol, stun_username};

use super::objects::{Carrier, TimerKey, Token};
use super::{Control, Shard};
use crate::counters::Counters;
use crate::framing::{Deframer, prefix};
use crate::ids;
use crate::sys::Epoll;
use crate::timers::Armed;

/// Connections of a shard; more are refused.
const MAX_CONNECTIONS: usize = 16_384;
/// Connections of one shard that have not shown whose they are; more are refused.
const MAX_STRANGERS: usize = 512;
/// Connections of one transport; the oldest goes, and no more are opened to it.
pub(super) const MAX_CONNECTIONS_OF_PEER: usize = 4;
/// A connection shows whose it is, and one of ours says something, within this time.
const STRANGER_TIME: Duration = Duration::from_secs(10);
/// Bytes that wait for a slow reader; packets beyond are dropped and counted.
const MAX_QUEUED: usize = 256 * 1024;
/// Connections taken in one turn.
const ACCEPTS_A_TURN: usize = 64;
/// Reads of one connection in one turn.
const READS_A_TURN: usize = 4;

/// What becomes of a connection after a frame.
enum Fate {
    Stays,
    Ends,
    /// It belongs to a transport of another shard.
    Moves(usize),
}

/// One TCP connection.
pub(crate) struct Connection {
    stream: TcpStream,
    slot: usize,
    local: SocketAddr,
    remote: SocketAddr,
    /// Slot of the transport, once a check named it; known from the start where we connected.
    transport: Option<usize>,
    /// Whether the far end has sent a frame.
    heard: bool,
    deframer: Deframer,
    queued: Vec<u8>,
    /// Bytes of `queued` that are sent already.
    sent: usize,
    waits_to_write: bool,
    pub(super) armed: Armed,
    silent_until: Instant,
}

impl Connection {
    /// Puts a datagram in line.
    pub(crate) fn queue(&mut self, datagram: &[u8], counters: &Counters) {
        let Some(prefix) = prefix(datagram.len()) else {
            return;
        };
        if self.queued.len() - self.sent + datagram.len() + prefix.len() > MAX_QUEUED {
            counters.send_dropped_tcp_full.up();
            return;
        }
        self.queued.extend_from_slice(&prefix);
        self.queued.extend_from_slice(datagram);
        counters.datagrams_sent.up();
        counters.bytes_sent.add(datagram.len() as u64);
    }

    /// Writes as much as the peer takes; the rest waits for the poller.
    pub(crate) fn flush(&mut self, poller: &Epoll, counters: &Counters) {
        while self.sent < self.queued.len() {
            counters.send_calls.up();
            match self.stream.write(&self.queued[self.sent..]) {
                Ok(0) => break,
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    // The end shows when the connection is read.
                    counters.send_errors.up();
                    self.sent = self.queued.len();
                }
            }
        }
        self.queued.drain(..self.sent);
        self.sent = 0;
        let waits = !self.queued.is_empty();
        if waits != self.waits_to_write {
            self.waits_to_write = waits;
            // Failing to watch means the descriptor is gone; reading it will show that.
            let _ = poller.watch_writable(&self.stream, Token::Connection(self.slot).into(), waits);
        }
    }
}

impl Shard {
    /// Takes connections that wait.
    pub(super) fn accept(&mut self, slot: usize) {
        for _ in 0..ACCEPTS_A_TURN {
            let Some((listener, _)) = &self.listeners[slot].tcp else {
                return;
            };
            match listener.accept() {
                Ok((stream, remote)) => {
                    self.take_connection(stream, remote);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Out of descriptors, or an aborted connection: the rest waits for the next turn.
                Err(_) => return,
            }
        }
    }

    /// Takes over a connection that came in elsewhere.
    pub(super) fn adopt_connection(&mut self, stream: TcpStream, bytes: &[u8]) {
        let Ok(remote) = stream.peer_addr() else {
            return;
        };
        let Some(slot) = self.take_connection(stream, remote) else {
            return;
        };
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.deframer.push(bytes);
        }
        self.take_frames(slot);
    }

    /// Slot of the connection, unless it is refused.
    fn take_connection(&mut self, stream: TcpStream, remote: SocketAddr) -> Option<usize> {
        let ready = stream
            .set_nonblocking(true)
            .and_then(|()| stream.set_nodelay(true));
        let space = self.strangers < MAX_STRANGERS;
        let slot = match (stream.local_addr(), ready, space) {
            (Ok(local), Ok(()), true) => self.enter_connection(stream, (local, remote), None),
            _ => None,
        };
        if slot.is_some() {
            self.strangers += 1;
            self.counters.tcp_accepted.up();
        } else {
            self.counters.tcp_refused.up();
        }
        slot
    }

    /// Watches a connection from now on; none when there are too many.
    pub(super) fn enter_connection(
        &mut self,
        stream: TcpStream,
        (local, remote): (SocketAddr, SocketAddr),
        transport: Option<usize>,
    ) -> Option<usize> {
        if self.connections.len() >= MAX_CONNECTIONS {
            return None;
        }
        let entry = self.connections.vacant_entry();
        let slot = entry.key();
        self.poller
            .add(&stream, Token::Connection(slot).into())
            .ok()?;
        let silent_until = self.now + STRANGER_TIME;
        let connection = entry.insert(Connection {
            stream,
            slot,
            local,
            remote,
            transport,
            heard: false,
            deframer: Deframer::default(),
            queued: Vec::new(),
            sent: 0,
            waits_to_write: false,
            armed: Armed::default(),
            silent_until,
        });
        self.timers.arm(
            TimerKey::Connection(slot),
            &mut connection.armed,
            Some(silent_until),
        );
        self.connection_of.insert((local, remote), slot);
        self.counters.tcp_connections.up();
        Some(slot)
    }

    pub(super) fn on_connection_timer(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        self.timers.fire(Some(&mut connection.armed));
        if !connection.heard && connection.silent_until <= self.now {
            self.counters.tcp_dropped.up();
            self.close_connection(slot);
        }
    }

    pub(super) fn on_connection(&mut self, slot: usize, readable: bool, writable: bool) {
        if writable && let Some(connection) = self.connections.get_mut(slot) {
            connection.flush(&self.poller, &self.counters);
        }
        if !readable {
            return;
        }
        let Some(mut input) = self.stream_input.take() else {
            return;
        };
        for _ in 0..READS_A_TURN {
            let Some(connection) = self.connections.get_mut(slot) else {
                break;
            };
            match connection.stream.read(&mut input) {
                Ok(0) => {
                    self.close_connection(slot);
                    break;
                }
                Ok(count) => {
                    connection.deframer.push(&input[..count]);
                    self.take_frames(slot);
                    self.settle();
                    if count < input.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.close_connection(slot);
                    break;
                }
            }
        }
        self.stream_input = Some(input);
    }

    fn take_frames(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        let tuple = FiveTuple {
            protocol: Protocol::Tcp,
            local: connection.local,
            remote: connection.remote,
        };
        let mut deframer = std::mem::take(&mut connection.deframer);
        loop {
            let frame = match deframer.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(_) => return self.drop_connection(slot),
            };
            match self.on_frame(slot, tuple, frame) {
                Fate::Stays => {}
                Fate::Ends => return self.drop_connection(slot),
                Fate::Moves(shard) => {
                    let mut bytes = prefix(frame.len()).unwrap_or_default().to_vec();
                    bytes.extend_from_slice(frame);
                    bytes.extend_from_slice(deframer.rest());
                    return self.move_connection(slot, shard, bytes);
                }
            }
        }
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.deframer = deframer;
        }
    }

    fn drop_connection(&mut self, slot: usize) {
        if self.connections.contains(slot) {
            self.counters.tcp_dropped.up();
            self.close_connection(slot);
        }
    }

    fn on_frame(&mut self, slot: usize, tuple: FiveTuple, frame: &mut [u8]) -> Fate {
        self.counters.datagrams_received.up();
        self.counters.bytes_received.add(frame.len() as u64);
        let Some(connection) = self.connections.get_mut(slot) else {
            return Fate::Ends;
        };
        connection.heard |= connection.transport.is_some();
        let transport = match connection.transport {
            Some(transport) => transport,
            None => match self.whose(&tuple, frame) {
                Some(transport) => self.adopt(slot, transport),
                // The first frame has to be a check for somebody here, or on another shard.
                None => return self.other_shard(frame).map_or(Fate::Ends, Fate::Moves),
            },
        };
        self.feed(transport, tuple, frame);
        Fate::Stays
    }

    fn other_shard(&self, frame: &[u8]) -> Option<usize> {
        let (ours, _) = stun_username(frame)?;
        let shard = ids::shard_of_ufrag(ours)?;
        (shard != self.index && shard < self.handles.len()).then_some(shard)
    }

    /// Hands a connection to the shard its first check names.
    fn move_connection(&mut self, slot: usize, shard: usize, bytes: Vec<u8>) {
        let Some(connection) = self.connections.try_remove(slot) else {
            return;
        };
        self.counters.tcp_connections.down();
        self.counters.tcp_moved.up();
        self.strangers -= 1;
        self.connection_of
            .remove(&(connection.local, connection.remote));
        if self.poller.remove(&connection.stream).is_ok() {
            self.handles[shard].control(Control::Adopt {
                stream: connection.stream,
                bytes,
            });
        }
    }

    fn adopt(&mut self, slot: usize, transport: usize) -> usize {
        if let Some(connection) = self.connections.get_mut(slot) {
            connection.transport = Some(transport);
            connection.heard = true;
            self.strangers -= 1;
        }
        let Carrier::WebRtc(peer) = &mut self.transports[transport].carrier else {
            return transport;
        };
        peer.connections.push(slot);
        if peer.connections.len() > MAX_CONNECTIONS_OF_PEER {
            let selected = peer.selected;
            let spare = peer.connections.iter().position(|other| {
                self.connections
                    .get(*other)
                    .is_none_or(|c| selected.is_none_or(|s| s.remote != c.remote))
            });
            if let Some(oldest) = spare.map(|at| peer.connections[at]) {
                self.close_connection(oldest);
            }
        }
        transport
    }

    /// Ends a connection; its transport learns it from ICE.
    pub(super) fn close_connection(&mut self, slot: usize) {
        let Some(connection) = self.connections.try_remove(slot) else {
            return;
        };
        self.counters.tcp_connections.down();
        self.connection_of
            .remove(&(connection.local, connection.remote));
        match connection.transport {
            None => self.strangers -= 1,
            Some(transport) => {
                let entry = self
                    .transports
                    .get_mut(transport)
                    .map(|entry| &mut entry.carrier);
                if let Some(Carrier::WebRtc(peer)) = entry {
                    peer.connections.retain(|other| *other != slot);
                    peer.addresses
                        .retain(|address| *address != (Protocol::Tcp, connection.remote));
                }
                self.addresses.remove(&(Protocol::Tcp, connection.remote));
            }
        }
    }
}
