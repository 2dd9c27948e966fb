//! A stream that is fetched by RTMP, bare or behind TLS: this side plays it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Instant;

use roomtone_rtmp::{
    Client, ClientConfig, ClientEnd, ClientEvent, Purpose, TagError, Target, Tracks,
};

use super::calling::{Call, Came};
use crate::ingest::pacing::Turn;
use crate::ingest::publisher::Sent;
use crate::ingest::rtmp::outputs;
use crate::values::{IngestEnd, IngestTrust};

/// One connection.
pub(super) struct RtmpPull {
    call: Call,
    /// Whether TLS lies around it.
    pub(super) encrypted: bool,
    client: Client,
    tracks: Tracks,
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
        let trusted = target.tls.then_some((trusted, target.host.as_str()));
        Ok(Self {
            call: Call::begin(remote, trusted)?,
            encrypted: target.tls,
            client: Client::new(ClientConfig::new(target, Purpose::Play), seed, now),
            tracks: Tracks::default(),
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
        while (turn.goes_on(taken, told.len()) || self.call.holds()) && self.ended.is_none() {
            match self.call.read(space) {
                Ok(Came::Some(len)) => {
                    taken += len;
                    self.client.handle_bytes(&space[..len], now);
                    self.drain(told);
                }
                Ok(Came::Nothing) => break,
                Err(why) => self.end(IngestEnd::Peer, &why),
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
                ClientEvent::Data {
                    name,
                    timestamp,
                    values,
                } => {
                    if self.tracks.handle_data(&name, timestamp, &values).is_err() {
                        told.push(Sent::Dropped);
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
        let client = &mut self.client;
        match self.call.write(|| client.poll_output()) {
            Ok(more) => more,
            Err(why) => {
                self.end(IngestEnd::Peer, &why);
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

impl AsRawFd for RtmpPull {
    fn as_raw_fd(&self) -> RawFd {
        self.call.as_raw_fd()
    }
}
