//! A stream that is fetched by SRT: this side calls.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Instant;

use roomtone_mpegts::{Demuxer, Limits};
use roomtone_srt::{CloseReason, DialConfig, DialEvent, Dialer, MAX_DATAGRAM};

use crate::ingest::publisher::Sent;
use crate::ingest::slowing::SLOW_WINDOW;
use crate::ingest::transport_stream::sent;
use crate::sys::{Datagrams, datagrams_of, enable_gro, send};
use crate::values::IngestEnd;

/// Rounds of datagrams taken before others have their turn.
const ROUNDS: usize = 8;

/// One call.
pub(super) struct SrtPull {
    socket: UdpSocket,
    remote: SocketAddr,
    dialer: Dialer,
    demuxer: Demuxer,
    pub(super) started: bool,
    pub(super) ended: Option<(IngestEnd, String)>,
}

impl SrtPull {
    pub(super) fn call(
        remote: SocketAddr,
        config: DialConfig,
        secret: &[u8; 32],
        now: Instant,
    ) -> io::Result<Self> {
        let socket = if remote.is_ipv4() {
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?
        } else {
            UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?
        };
        socket.set_nonblocking(true)?;
        // A burst of a picture. What cannot be had is done without.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20);
        let _ = enable_gro(&socket);
        let dialer = Dialer::call(remote, config, secret, now).map_err(io::Error::other)?;
        Ok(Self {
            socket,
            remote,
            dialer,
            demuxer: Demuxer::new(Limits::default()),
            started: false,
            ended: None,
        })
    }

    /// Take what has come.
    pub(super) fn receive(&mut self, datagrams: &mut Datagrams, now: Instant) {
        for _ in 0..ROUNDS {
            let Ok(count) = datagrams.receive(&self.socket) else {
                return self.end(IngestEnd::Peer, "its socket has failed");
            };
            for index in 0..count {
                let Some((from, segment, bytes)) = datagrams.message(index) else {
                    continue;
                };
                if from != self.remote {
                    continue;
                }
                for datagram in datagrams_of(bytes, segment) {
                    self.dialer.handle_datagram(datagram, now);
                }
            }
            if count < Datagrams::capacity() {
                break;
            }
        }
    }

    /// Do what is due, give what there is, and send; how many bytes came.
    pub(super) fn serve(&mut self, now: Instant, told: &mut Vec<Sent>) -> u64 {
        if self.next_timeout().is_some_and(|at| at <= now) {
            self.dialer.handle_timeout(now);
        }
        let mut bytes = 0;
        while let Some(message) = self.dialer.poll_message(now) {
            bytes += message.payload.len() as u64;
            self.demuxer.handle_bytes(message.payload);
        }
        // What is sent may end it.
        self.send(now);
        while let Some(event) = self.dialer.poll_event() {
            match event {
                DialEvent::Connected { .. } => self.started = true,
                DialEvent::Refused(reason) => {
                    self.end(IngestEnd::Peer, &format!("refused: {reason:?}"));
                }
                DialEvent::Closed(CloseReason::Idle) => self.end(IngestEnd::Silent, "silent"),
                DialEvent::Closed(reason) => {
                    self.end(IngestEnd::Peer, &format!("closed: {reason:?}"));
                }
            }
        }
        if self.ended.is_some() {
            self.demuxer.finish();
        }
        while let Some(event) = self.demuxer.poll_event() {
            told.extend(sent(event));
        }
        bytes
    }

    fn send(&mut self, now: Instant) {
        let mut datagram = [0; MAX_DATAGRAM];
        while let Some(len) = self.dialer.poll_transmit(now, &mut datagram) {
            // What the kernel does not take is repeated by the protocol.
            let _ = send(self.socket.as_raw_fd(), self.remote, &datagram[..len]);
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.dialer.next_timeout()
    }

    /// Have the other side send less, or as it likes again.
    pub(super) fn slow(&mut self, slowed: bool, now: Instant) {
        self.dialer.limit_window(slowed.then_some(SLOW_WINDOW));
        self.send(now);
    }

    /// Say goodbye.
    pub(super) fn close(&mut self, now: Instant) {
        self.dialer.close();
        self.send(now);
    }

    fn end(&mut self, end: IngestEnd, detail: &str) {
        self.ended.get_or_insert_with(|| (end, detail.to_owned()));
    }
}

impl AsRawFd for SrtPull {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
