//! A stream that is fetched by RTMP, bare or behind TLS: this side plays it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Instant;

use bytes::Bytes;
use roomtone_rtmp::{
    Client, ClientConfig, ClientEnd, ClientEvent, Purpose, TagError, Target, Tracks,
};
use socket2::{Domain, Socket, Type};

use super::trust;
use crate::ingest::pacing::Turn;
use crate::ingest::publisher::Sent;
use crate::ingest::rtmp::outputs;
use crate::ingest::wire::Wire;
use crate::values::{IngestEnd, IngestTrust};

/// One connection.
pub(super) struct RtmpPull {
    wire: Wire,
    /// Whether TLS lies around it.
    pub(super) encrypted: bool,
    client: Client,
    tracks: Tracks,
    /// What the kernel did not take yet.
    rest: Bytes,
    pub(super) started: bool,
    /// Nothing is read of it for now.
    pub(super) slowed: bool,
    pub(super) ended: Option<(IngestEnd, String)>,
}

impl RtmpPull {
    /// Connect to an address for the stream of a target, whose host is only said there.
    pub(super) fn connect(
        remote: SocketAddr,
        target: Target,
        trusted: &IngestTrust,
        seed: [u8; 32],
        now: Instant,
    ) -> io::Result<Self> {
        let tls = if target.tls {
            Some(trust::client(trusted, &target.host)?)
        } else {
            None
        };
        let socket = Socket::new(Domain::for_address(remote), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&remote.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        Ok(Self {
            wire: Wire::calling(socket.into(), tls)?,
            encrypted: target.tls,
            client: Client::new(ClientConfig::new(target, Purpose::Play), seed, now),
            tracks: Tracks::default(),
            rest: Bytes::new(),
            started: false,
            slowed: false,
            ended: None,
        })
    }

    /// Take what has come, for one turn, and give what there is; how many bytes.
    pub(super) fn receive(
        &mut self,
        space: &mut [u8],
        turn: Turn,
        now: Instant,
        told: &mut Vec<Sent>,
    ) -> u64 {
        let (mut taken, space) = (0, turn.space(space));
        while (turn.goes_on(taken, told.len()) || self.wire.holds()) && self.ended.is_none() {
            match self.wire.read(space) {
                Ok(0) => self.end(IngestEnd::Peer, "the connection has ended"),
                Ok(len) => {
                    taken += len;
                    self.client.handle_bytes(&space[..len], now);
                    self.drain(told);
                }
                Err(error) => match error.kind() {
                    // Nothing is there yet, or it is being connected.
                    io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected => break,
                    io::ErrorKind::Interrupted => {}
                    _ => self.end(IngestEnd::Peer, &sentence(&error)),
                },
            }
        }
        taken as u64
    }

    /// Bytes of a unit that has begun to come.
    pub(super) fn begun_bytes(&self) -> u64 {
        self.client.unfinished_bytes() as u64
    }

    fn drain(&mut self, told: &mut Vec<Sent>) {
        while let Some(event) = self.client.poll_event() {
            match event {
                ClientEvent::Started => self.started = true,
                ClientEvent::Media {
                    media,
                    timestamp,
                    body,
                } => {
                    match self.tracks.handle_tag(media, timestamp, &body) {
                        Ok(()) => {}
                        Err(TagError::Malformed) => told.push(Sent::Dropped),
                        Err(TagError::Unsupported(what)) => {
                            self.end(IngestEnd::Protocol, &what.to_string());
                        }
                    }
                    told.extend(outputs(&mut self.tracks));
                }
                ClientEvent::Metadata(_) => {}
            }
        }
    }

    /// Do what is due, and write what waits; whether there is more than the kernel takes.
    pub(super) fn serve(&mut self, now: Instant) -> bool {
        if self.client.next_timeout().is_some_and(|at| at <= now) {
            self.client.handle_timeout(now);
        }
        let more = self.flush();
        if let Some(end) = self.client.ended() {
            let (end, detail) = match end {
                ClientEnd::Protocol(error) => (IngestEnd::Protocol, error.to_string()),
                ClientEnd::Refused { description, code } => {
                    (IngestEnd::Peer, format!("refused: {code} {description}"))
                }
                ClientEnd::NotStarted => (IngestEnd::Silent, "the stream did not begin".to_owned()),
                ClientEnd::Silent => (IngestEnd::Silent, "silent".to_owned()),
                ClientEnd::Finished | ClientEnd::Closed => {
                    (IngestEnd::Peer, "the stream has ended".to_owned())
                }
            };
            self.end(end, &detail);
        }
        more
    }

    fn flush(&mut self) -> bool {
        loop {
            if self.rest.is_empty() {
                match self.client.poll_output() {
                    Some(output) => self.rest = output,
                    None => break,
                }
            }
            match self.wire.write(&self.rest) {
                Ok(len) => drop(self.rest.split_to(len)),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected => return true,
                    io::ErrorKind::Interrupted => {}
                    _ => {
                        self.end(IngestEnd::Peer, &sentence(&error));
                        return false;
                    }
                },
            }
        }
        match self.wire.flush() {
            Ok(more) => more,
            Err(error) if error.kind() == io::ErrorKind::NotConnected => true,
            Err(error) => {
                self.end(IngestEnd::Peer, &sentence(&error));
                false
            }
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.client.next_timeout()
    }

    fn end(&mut self, end: IngestEnd, detail: &str) {
        self.ended.get_or_insert_with(|| (end, detail.to_owned()));
    }
}

/// Why a connection has failed: of what TLS says, what can be done about it.
fn sentence(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    inner.map_or_else(|| error.to_string(), trust::sentence)
}

impl AsRawFd for RtmpPull {
    fn as_raw_fd(&self) -> RawFd {
        self.wire.as_raw_fd()
    }
}
