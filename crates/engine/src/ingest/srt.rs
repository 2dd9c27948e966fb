//! A port of SRT: one socket, many callers, a demultiplexer for each that publishes, a playout for each that reads.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use roomtone_mpegts::{Demuxer, Limits};
use roomtone_srt::{
    Acceptance, ConnectionConfig, ConnectionId, Listener, ListenerConfig, ListenerEvent,
    ListenerStats, MAX_DATAGRAM, Passphrase, RejectReason, Request, RequestId, SendError, Stats,
    StreamId, StreamMode,
};
use rustc_hash::FxHashMap;

use super::asking::Wish;
use super::connection::No;
use super::playing::LineState;
use super::publisher::Sent;
use super::slowing::SLOW_WINDOW;
use super::transport_stream::sent;
use crate::counters::IngestCounters;
use crate::sys::{Datagrams, datagrams_of, enable_gro, send};
use crate::values::{Denial, IngestProtocol};

/// Rounds of datagrams taken before others have their turn.
const ROUNDS: usize = 8;

/// A caller that publishes. Keys of its tracks are those of its demultiplexer.
struct Feed {
    publisher: u64,
    demuxer: Demuxer,
}

/// What a port tells its thread.
pub(super) enum Told {
    /// Somebody asks.
    Asks(Request),
    /// A publisher sent something, so many bytes with it.
    Sent(u64, Sent),
    Bytes(u64, u64),
    /// A publisher is gone.
    Gone(u64, roomtone_srt::CloseReason),
    /// Who reads is.
    PlayoutGone(u64, roomtone_srt::CloseReason),
}

/// One port.
pub(super) struct SrtPort {
    pub(super) id: u64,
    socket: UdpSocket,
    listener: Listener,
    passphrase: Option<Passphrase>,
    latency: Duration,
    feeds: FxHashMap<ConnectionId, Feed>,
    /// Callers that read.
    playouts: FxHashMap<ConnectionId, u64>,
    /// What has been counted already.
    counted: ListenerStats,
}

impl SrtPort {
    pub(super) fn open(
        id: u64,
        address: SocketAddr,
        passphrase: Option<Passphrase>,
        latency: Duration,
        secret: &[u8; 32],
        now: Instant,
    ) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        // A burst of a picture of each of some dozens of publishers. What cannot be had is done without.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20);
        let _ = enable_gro(&socket);
        Ok(Self {
            id,
            socket,
            listener: Listener::new(ListenerConfig::default(), secret, now),
            passphrase,
            latency,
            feeds: FxHashMap::default(),
            playouts: FxHashMap::default(),
            counted: ListenerStats::default(),
        })
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Take what has come.
    pub(super) fn receive(&mut self, datagrams: &mut Datagrams, now: Instant) -> io::Result<()> {
        for _ in 0..ROUNDS {
            let count = datagrams.receive(&self.socket)?;
            for index in 0..count {
                let Some((from, segment, bytes)) = datagrams.message(index) else {
                    continue;
                };
                for datagram in datagrams_of(bytes, segment) {
                    self.listener.handle_datagram(from, datagram, now);
                }
            }
            if count < Datagrams::capacity() {
                break;
            }
        }
        Ok(())
    }

    /// Count what the listener did not take.
    pub(super) fn count(&mut self, counters: &IngestCounters) {
        let now = self.listener.stats();
        let before = std::mem::replace(&mut self.counted, now);
        let more = [
            (
                &counters.dropped_srt_malformed,
                now.malformed - before.malformed,
            ),
            (&counters.dropped_srt_unknown, now.unknown - before.unknown),
            (
                &counters.dropped_srt_strangers,
                now.strangers - before.strangers,
            ),
            (
                &counters.dropped_srt_cookies,
                now.bad_cookies - before.bad_cookies,
            ),
            (&counters.srt_rejected, now.rejected - before.rejected),
        ];
        for (counter, more) in more {
            counter.add(more);
        }
    }

    /// Do what is due, give what there is to tell, and send.
    pub(super) fn serve(&mut self, now: Instant, told: &mut Vec<Told>) {
        if self.listener.next_timeout().is_some_and(|at| at <= now) {
            self.listener.handle_timeout(now);
        }
        while let Some(request) = self.listener.poll_request() {
            told.push(Told::Asks(request));
        }
        while let Some((connection, message)) = self.listener.poll_message(now) {
            let Some(feed) = self.feeds.get_mut(&connection) else {
                continue;
            };
            told.push(Told::Bytes(feed.publisher, message.payload.len() as u64));
            feed.demuxer.handle_bytes(message.payload);
            drain(feed, told);
        }
        // A connection has ended once its farewell is written.
        self.send(now);
        while let Some(ListenerEvent::Closed {
            connection, reason, ..
        }) = self.listener.poll_event()
        {
            if let Some(mut feed) = self.feeds.remove(&connection) {
                feed.demuxer.finish();
                drain(&mut feed, told);
                told.push(Told::Gone(feed.publisher, reason));
            }
            if let Some(playout) = self.playouts.remove(&connection) {
                told.push(Told::PlayoutGone(playout, reason));
            }
        }
    }

    /// Send what waits.
    pub(super) fn send(&mut self, now: Instant) {
        let mut datagram = [0; MAX_DATAGRAM];
        while let Some(transmit) = self.listener.poll_transmit(now, &mut datagram) {
            // What the kernel does not take is repeated by the protocol.
            let _ = send(
                self.socket.as_raw_fd(),
                transmit.to,
                &datagram[..transmit.len],
            );
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.listener.next_timeout()
    }

    /// Let a caller in who may publish. Refused where the passphrase is another.
    pub(super) fn accept(
        &mut self,
        request: RequestId,
        publisher: u64,
        now: Instant,
    ) -> Result<ConnectionId, RejectReason> {
        let config = ConnectionConfig {
            latency: self.latency,
            ..ConnectionConfig::default()
        };
        let connection = self.take_in(request, config, now)?;
        let feed = Feed {
            publisher,
            demuxer: Demuxer::new(Limits::default()),
        };
        self.feeds.insert(connection, feed);
        Ok(connection)
    }

    /// Let a caller in who may read. Refused where the passphrase is another.
    pub(super) fn accept_playout(
        &mut self,
        request: RequestId,
        playout: u64,
        now: Instant,
    ) -> Result<ConnectionId, RejectReason> {
        let config = ConnectionConfig {
            peer_latency: self.latency,
            ..ConnectionConfig::default()
        };
        let connection = self.take_in(request, config, now)?;
        self.playouts.insert(connection, playout);
        Ok(connection)
    }

    fn take_in(
        &mut self,
        request: RequestId,
        config: ConnectionConfig,
        now: Instant,
    ) -> Result<ConnectionId, RejectReason> {
        let acceptance = Acceptance {
            passphrase: self.passphrase.clone(),
            config,
        };
        self.listener.accept(request, acceptance, now)
    }

    /// Give a caller that reads a datagram; it leaves with [`send`](Self::send).
    pub(super) fn give(
        &mut self,
        connection: ConnectionId,
        datagram: &[u8],
        now: Instant,
    ) -> Result<(), SendError> {
        self.listener.send(connection, datagram, now)
    }

    pub(super) fn stats(&self, connection: ConnectionId) -> Option<Stats> {
        self.listener.connection_stats(connection)
    }

    /// How far a caller is behind that reads.
    pub(super) fn line_state(&self, connection: ConnectionId, now: Instant) -> LineState {
        LineState {
            backlog: self.listener.backlog(connection, now).unwrap_or_default(),
            latency: self
                .stats(connection)
                .map(|stats| stats.peer_latency)
                .unwrap_or_default(),
        }
    }

    /// Have a caller that publishes send less, or as it likes again; its window goes with [`send`](Self::send).
    pub(super) fn slow(&mut self, connection: ConnectionId, slowed: bool) {
        let window = slowed.then_some(SLOW_WINDOW);
        self.listener.limit_window(connection, window);
    }

    pub(super) fn reject(&mut self, request: RequestId, no: &No) {
        self.listener.reject(request, reason(no));
    }

    /// End a connection; nothing more of it is told.
    pub(super) fn close(&mut self, connection: ConnectionId) {
        self.feeds.remove(&connection);
        self.playouts.remove(&connection);
        self.listener.close(connection);
    }
}

impl AsRawFd for SrtPort {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// What a caller wants, by its stream id.
pub(super) fn wish(request: &Request, listener: u64) -> Result<Wish, No> {
    let Ok(stream) = StreamId::parse(&request.stream_id) else {
        return Err(No::Unsupported(
            "the stream id is neither #!::r=NAME,m=publish nor publish:NAME, nor the same with request",
        ));
    };
    let plays = match stream.mode {
        StreamMode::Publish => false,
        StreamMode::Request => true,
        StreamMode::Bidirectional => {
            return Err(No::Unsupported("a stream is published or read, not both"));
        }
    };
    Ok(Wish {
        plays,
        protocol: IngestProtocol::Srt,
        listener,
        remote: request.remote,
        name: stream.name,
        user: stream.user,
        credential: stream.session.or(stream.password),
        encoder: String::new(),
    })
}

fn reason(no: &No) -> RejectReason {
    match no {
        No::Denied(_, Denial::Credential) => RejectReason::Unauthorized,
        No::Denied(_, Denial::Rights) => RejectReason::Forbidden,
        No::Denied(_, Denial::Limit) | No::Busy => RejectReason::Overload,
        No::Absent => RejectReason::NotFound,
        No::Media => RejectReason::Media,
        No::InUse => RejectReason::Conflict,
        No::Full => RejectReason::Resource,
        No::Unsupported(_) => RejectReason::BadMode,
        No::Name => RejectReason::BadRequest,
    }
}

fn drain(feed: &mut Feed, told: &mut Vec<Told>) {
    while let Some(event) = feed.demuxer.poll_event() {
        told.extend(sent(event).map(|sent| Told::Sent(feed.publisher, sent)));
    }
}
