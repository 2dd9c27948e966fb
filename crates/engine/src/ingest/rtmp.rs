//! Connections of RTMP.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use roomtone_frames::Format;
use roomtone_rtmp::{
    Credential, Ended, Media, Output, Refusal, Request, Server, ServerConfig, ServerEvent,
    TagError, Tracks, Wish as Asks,
};
use rustls::ServerConfig as TlsConfig;
use socket2::SockRef;

use super::asking::Wish;
use super::connection::No;
use super::pacing::Turn;
use super::publisher::Sent;
use super::wire::Wire;
use crate::live::{Beside, Line};
use crate::values::{IngestEnd, IngestProtocol};

/// A player that has acknowledged nothing for so long is gone.
const GONE: Duration = Duration::from_secs(15);
/// How long a peer may take to read why it is over.
const LINGER: Duration = Duration::from_secs(2);

/// What a connection tells its thread.
pub(super) enum Told {
    Asks(Request),
    Sent(Sent),
    Bytes(u64),
    /// The publisher has ended its stream; the connection stays.
    Stopped,
}

/// One connection.
pub(super) struct Connection {
    pub(super) listener: u64,
    pub(super) remote: SocketAddr,
    pub(super) publisher: Option<u64>,
    /// Nothing is read of it for now: its window fills, and then its encoder waits.
    pub(super) slowed: bool,
    pub(super) playout: Option<u64>,
    wire: Wire,
    encrypted: bool,
    server: Server,
    tracks: Tracks,
    /// What the kernel did not take yet.
    rest: Bytes,
    /// The peer sends no more, or an error was met.
    broken: bool,
    /// It has been told why it is over, and has so long to read it: a socket closed with unread bytes in it takes back
    /// what it has sent.
    lingers: Option<Instant>,
}

impl Connection {
    pub(super) fn new(
        listener: u64,
        stream: TcpStream,
        remote: SocketAddr,
        tls: Option<Arc<TlsConfig>>,
        seed: [u8; 32],
        now: Instant,
    ) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            listener,
            remote,
            publisher: None,
            slowed: false,
            playout: None,
            encrypted: tls.is_some(),
            wire: Wire::new(stream, tls),
            server: Server::new(ServerConfig::default(), seed, now),
            tracks: Tracks::default(),
            rest: Bytes::new(),
            broken: false,
            lingers: None,
        })
    }

    /// What it speaks.
    pub(super) fn protocol(&self) -> IngestProtocol {
        if self.encrypted {
            IngestProtocol::Rtmps
        } else {
            IngestProtocol::Rtmp
        }
    }

    /// Whether it does not encrypt where it had to.
    pub(super) fn is_wrong(&self) -> bool {
        self.wire.is_wrong()
    }

    /// Take what has come, for one turn.
    pub(super) fn receive(
        &mut self,
        space: &mut [u8],
        turn: Turn,
        now: Instant,
        told: &mut Vec<Told>,
    ) {
        let (mut taken, space) = (0, turn.space(space));
        while !self.broken && (turn.goes_on(taken, told.len()) || self.wire.holds()) {
            match self.wire.read(space) {
                Ok(0) => self.broken = true,
                Ok(len) => {
                    taken += len;
                    if self.server.ended().is_some() {
                        continue; // nobody reads it any more
                    }
                    told.push(Told::Bytes(len as u64));
                    self.server.handle_bytes(&space[..len], now);
                    self.drain(told);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.broken = true,
            }
        }
    }

    /// Bytes of a unit that has begun to come.
    pub(super) fn begun_bytes(&self) -> u64 {
        self.server.unfinished_bytes() as u64
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.server.handle_timeout(now);
    }

    fn drain(&mut self, told: &mut Vec<Told>) {
        while let Some(request) = self.server.poll_request() {
            told.push(Told::Asks(request));
        }
        while let Some(event) = self.server.poll_event() {
            match event {
                ServerEvent::Media {
                    media,
                    timestamp,
                    body,
                } => self.take(media, timestamp, &body, told),
                ServerEvent::Stopped => {
                    self.tracks = Tracks::default();
                    told.push(Told::Stopped);
                }
                ServerEvent::Data {
                    name,
                    timestamp,
                    values,
                } => {
                    if self.tracks.handle_data(&name, timestamp, &values).is_err() {
                        told.push(Told::Sent(Sent::Dropped));
                    }
                    told.extend(outputs(&mut self.tracks).into_iter().map(Told::Sent));
                }
                // Nobody reads what the encoder says of its stream yet.
                ServerEvent::Metadata(_) => {}
            }
        }
    }

    fn take(&mut self, media: Media, timestamp: u32, body: &Bytes, told: &mut Vec<Told>) {
        match self.tracks.handle_tag(media, timestamp, body) {
            Ok(()) => {}
            Err(TagError::Malformed) => told.push(Told::Sent(Sent::Dropped)),
            Err(TagError::Unsupported(what)) => {
                self.server.refuse(Refusal::Unsupported, &what.to_string());
            }
        }
        told.extend(outputs(&mut self.tracks).into_iter().map(Told::Sent));
    }

    /// Write what waits; whether there is more than the kernel takes.
    pub(super) fn flush(&mut self) -> bool {
        loop {
            if self.rest.is_empty() {
                let Some(output) = self.server.poll_output() else {
                    let more = self.wire.flush();
                    self.broken |= more.is_err();
                    return more.unwrap_or(false);
                };
                self.rest = output;
            }
            match self.wire.write(&self.rest) {
                Ok(0) => self.broken = true,
                Ok(len) => drop(self.rest.split_to(len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.broken = true,
            }
            if self.broken {
                return false;
            }
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.lingers.or_else(|| self.server.next_timeout())
    }

    /// Whether it is over, and why in both words; none where it is not.
    pub(super) fn ended(&self) -> Option<(IngestEnd, String)> {
        let (end, detail) = match self.server.ended() {
            None if self.broken => (IngestEnd::Peer, String::new()),
            None => return None,
            Some(Ended::Protocol(error)) => (IngestEnd::Protocol, error.to_string()),
            Some(Ended::Silent) => (IngestEnd::Silent, String::new()),
            Some(Ended::NotReading) => (IngestEnd::Protocol, "it does not read".to_owned()),
            Some(Ended::Refused) => (IngestEnd::Protocol, "its media are not taken".to_owned()),
            Some(Ended::NoRequest | Ended::Closed) => (IngestEnd::Peer, String::new()),
        };
        Some((end, detail))
    }

    /// Whether one that has ended can be let go of: all is written, and read.
    pub(super) fn is_done(&mut self, now: Instant) -> bool {
        if self.broken {
            return true;
        }
        if self.lingers.is_none() && self.rest.is_empty() {
            self.broken = self.wire.shut_down().is_err();
        }
        let until = *self.lingers.get_or_insert(now + LINGER);
        self.broken || until <= now
    }

    /// Give pictures or sound to a player, as the body of a tag; false where too much waits for it already.
    pub(super) fn send_media(&mut self, media: Media, timestamp: u32, body: Bytes) -> bool {
        !self.broken && self.server.send_media(media, timestamp, body)
    }

    /// Bytes that a player has not taken yet.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.rest.len() + self.server.waiting_bytes()
    }

    /// What is played to it is over.
    pub(super) fn stop_playing(&mut self) {
        self.server.close();
    }

    /// The player may; false where it is gone. One whose network is gone is not written to for ever.
    pub(super) fn accept_player(&mut self, playout: u64, now: Instant) -> bool {
        if self.playout.is_some() || self.ended().is_some() || !self.server.accept(now) {
            return false;
        }
        let _ = SockRef::from(&self.wire).set_tcp_user_timeout(Some(GONE));
        self.playout = Some(playout);
        true
    }

    /// The publisher may; false where it is gone.
    pub(super) fn accept(&mut self, now: Instant) -> bool {
        !self.broken && self.server.accept(now)
    }

    pub(super) fn refuse(&mut self, no: &No) {
        let refusal = match no {
            No::Denied(..) | No::Name => Refusal::Denied,
            No::InUse => Refusal::InUse,
            No::Busy | No::Full => Refusal::Busy,
            No::Unsupported(_) | No::Absent | No::Media => Refusal::NotFound,
        };
        self.server.refuse(refusal, &no.sentence());
    }

    /// Somebody who may has ended it.
    pub(super) fn kick(&mut self, sentence: &str) {
        self.server.refuse(Refusal::Kicked, sentence);
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.wire.as_raw_fd()
    }
}

/// What tags have been put together to.
pub(super) fn outputs(tracks: &mut Tracks) -> Vec<Sent> {
    let mut sent = Vec::new();
    while let Some(output) = tracks.poll_output() {
        match output {
            Output::Format(media, Format::Carried(carried)) => {
                sent.push(Sent::Refused(key(media), carried.codec.name().to_owned()));
            }
            Output::Format(media, format) => {
                sent.push(Sent::Track(key(media), format.is_video()));
                sent.push(Sent::Format(key(media), format));
            }
            Output::Unit(media, unit) => sent.push(Sent::Unit(key(media), unit)),
            Output::End(media) => sent.push(Sent::TrackGone(key(media))),
            Output::Text(line) => sent.push(Sent::Beside(Beside::Line(Line {
                at_us: line.milliseconds * 1000,
                language: line.language,
                text: line.text,
            }))),
        }
    }
    sent
}

fn key(media: Media) -> u32 {
    match media {
        Media::Video => 0,
        Media::Audio => 1,
    }
}

/// What a connection asks for.
pub(super) fn wish(request: Request, connection: &Connection) -> Result<Wish, No> {
    if connection.is_wrong() {
        return Err(No::Unsupported(
            "this port takes RTMP behind TLS only: rtmps://",
        ));
    }
    let (user, credential) = match request.credential() {
        Credential::None => (None, None),
        Credential::Token(token) => (None, Some(token)),
        Credential::Login { user, pass } => (Some(user), Some(pass)),
    };
    Ok(Wish {
        plays: request.wish == Asks::Play,
        protocol: connection.protocol(),
        listener: connection.listener,
        remote: connection.remote,
        name: request.address.name,
        user,
        credential,
        encoder: request.encoder,
    })
}
