//! Streams that are fetched: this side calls by SRT, or plays by RTMP and RTSP, behind TLS too.
//!
//! One attempt each: when it is over, an event says so and why, and the pull is no more. Control, which looks names up and
//! judges addresses, decides whether and when to try again.

mod calling;
mod opening;
mod rtmp;
mod rtsp;
mod srt;
mod trust;

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Instant;

use self::rtmp::RtmpPull;
use self::rtsp::RtspPull;
use self::srt::SrtPull;
use super::asking::Wish;
use super::publisher::{Publisher, Sent};
use super::thread::{IngestThread, PULL, token};
use crate::ids;
use crate::sys::Datagrams;
use crate::values::{Event, IngestEnd, IngestProtocol};

/// Pulls at a time.
const MAX_PULLS: usize = 256;

enum Kind {
    Srt(Box<SrtPull>),
    Rtmp(Box<RtmpPull>),
    Rtsp(Box<RtspPull>),
}

/// One of them.
pub(super) struct Pull {
    /// As of a listener.
    pub(super) id: u64,
    name: String,
    remote: SocketAddr,
    kind: Kind,
    publisher: Option<u64>,
    /// Nothing was done for it yet: what comes of it is told behind the answer to the command.
    fresh: bool,
    /// It is over, by what happened to its publisher.
    over: Option<String>,
}

impl Pull {
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match &self.kind {
            Kind::Srt(pull) => pull.next_timeout(),
            Kind::Rtmp(pull) => pull.next_timeout(),
            Kind::Rtsp(pull) => pull.next_timeout(),
        }
    }

    fn started(&self) -> bool {
        match &self.kind {
            Kind::Srt(pull) => pull.started,
            Kind::Rtmp(pull) => pull.started,
            Kind::Rtsp(pull) => pull.started,
        }
    }

    fn ended(&self) -> Option<(IngestEnd, String)> {
        let ended = match &self.kind {
            Kind::Srt(pull) => pull.ended.clone(),
            Kind::Rtmp(pull) => pull.ended.clone(),
            Kind::Rtsp(pull) => pull.ended.clone(),
        };
        ended.or_else(|| Some((IngestEnd::Replaced, self.over.clone()?)))
    }

    fn protocol(&self) -> IngestProtocol {
        match self.kind {
            Kind::Srt(_) => IngestProtocol::Srt,
            Kind::Rtmp(ref pull) if pull.encrypted => IngestProtocol::Rtmps,
            Kind::Rtmp(_) => IngestProtocol::Rtmp,
            Kind::Rtsp(ref pull) if pull.encrypted => IngestProtocol::Rtsps,
            Kind::Rtsp(_) => IngestProtocol::Rtsp,
        }
    }
}

impl AsRawFd for Pull {
    fn as_raw_fd(&self) -> RawFd {
        match &self.kind {
            Kind::Srt(pull) => pull.as_raw_fd(),
            Kind::Rtmp(pull) => pull.as_raw_fd(),
            Kind::Rtsp(pull) => pull.as_raw_fd(),
        }
    }
}

impl IngestThread {
    /// Close a pull; false where it is gone.
    pub(super) fn close_pull(&mut self, id: u64, now: Instant) -> bool {
        let found = self.pulls.iter().find(|(_, pull)| pull.id == id);
        let Some(index) = found.map(|(index, _)| index) else {
            return false;
        };
        self.drop_pull(index, IngestEnd::Requested, "the pull closes", now);
        true
    }

    /// The publisher of a pull is no more.
    pub(super) fn pull_ended(&mut self, id: u64, detail: &str) {
        let mut all = self.pulls.iter_mut();
        if let Some((_, pull)) = all.find(|(_, pull)| pull.id == id) {
            pull.publisher = None;
            pull.over.get_or_insert_with(|| detail.to_owned());
        }
    }

    /// Take what has come for a pull.
    pub(super) fn receive_pull(
        &mut self,
        index: usize,
        datagrams: &mut Datagrams,
        space: &mut [u8],
        now: Instant,
    ) {
        let (mut sent, mut bytes) = (Vec::new(), 0);
        let Some(pull) = self.pulls.get_mut(index) else {
            return;
        };
        match &mut pull.kind {
            Kind::Srt(pull) => pull.receive(datagrams, now),
            Kind::Rtmp(rtmp) => {
                let publisher = pull.publisher.and_then(|id| self.publishers.get_mut(&id));
                let turn = publisher.as_deref().map(Publisher::turn);
                bytes = rtmp.receive(space, turn.unwrap_or_default(), now, &mut sent);
                if let Some(publisher) = publisher {
                    publisher.begun_bytes = rtmp.begun_bytes();
                }
            }
            Kind::Rtsp(pull) => bytes = pull.receive(datagrams, space, now),
        }
        self.serve_pull(index, sent, bytes, now);
    }

    /// Do what is due at a pull.
    pub(super) fn serve_pull(
        &mut self,
        index: usize,
        mut sent: Vec<Sent>,
        mut bytes: u64,
        now: Instant,
    ) {
        let Some(pull) = self.pulls.get_mut(index) else {
            return;
        };
        pull.fresh = false;
        let mut failed = false;
        match &mut pull.kind {
            Kind::Srt(pull) => bytes += pull.serve(now, &mut sent),
            Kind::Rtmp(rtmp) => {
                let more = rtmp.serve(now);
                let token = token(PULL, index);
                let watched = if rtmp.slowed {
                    self.poller.watch_no_input(&**rtmp, token, more)
                } else {
                    self.poller.watch_writable(&**rtmp, token, more)
                };
                failed = watched.is_err();
            }
            Kind::Rtsp(rtsp) => {
                let more = rtsp.serve(now, &mut sent);
                let watched = self
                    .poller
                    .watch_writable(&**rtsp, token(PULL, index), more);
                failed = watched.is_err();
                for socket in rtsp.take_unwatched() {
                    failed |= self.poller.add(socket, token(PULL, index)).is_err();
                }
            }
        }
        if failed {
            self.counters.ingest_sockets_failed.up();
        }
        if pull.started() && pull.publisher.is_none() && pull.over.is_none() {
            self.begin_pull(index, now);
        }
        if let Some(publisher) = self.pulls.get(index).and_then(|pull| pull.publisher) {
            self.heard(publisher, bytes, now);
            for one in sent {
                self.sent(publisher, one, now);
            }
        }
        if let Some((end, detail)) = self.pulls.get(index).and_then(Pull::ended) {
            self.drop_pull(index, end, &detail, now);
        }
    }

    fn begin_pull(&mut self, index: usize, now: Instant) {
        let pull = &self.pulls[index];
        let wish = Wish {
            plays: false,
            protocol: pull.protocol(),
            listener: pull.id,
            remote: pull.remote,
            name: pull.name.clone(),
            user: None,
            credential: None,
            encoder: String::new(),
        };
        let id = ids::allocate(ids::INGEST);
        let is_full = self.lacks_memory_for(&wish.name);
        let may = self.publish_input(id, wish, now);
        let pull = &mut self.pulls[index];
        if may {
            pull.publisher = Some(id);
        } else {
            pull.over = Some(if is_full {
                crate::live::FULL.to_owned()
            } else {
                format!("somebody else publishes as {}", pull.name)
            });
        }
    }

    fn drop_pull(&mut self, index: usize, end: IngestEnd, detail: &str, now: Instant) {
        let mut pull = self.pulls.remove(index);
        self.packaging.remove(&pull.id);
        if let Some(publisher) = pull.publisher.take() {
            self.end_publisher(publisher, end, detail, now);
        }
        let redirect = match &mut pull.kind {
            Kind::Srt(srt) => {
                srt.close(now);
                None
            }
            Kind::Rtmp(_) => None,
            Kind::Rtsp(rtsp) => {
                rtsp.close(now);
                rtsp.redirect.take()
            }
        };
        let _ = self.shared.outbox.event(Event::IngestPullEnded {
            listener: pull.id,
            reason: end,
            detail: detail.to_owned(),
            redirect,
        });
    }

    /// Have the other side of a pull send less, or as it likes again; an input that is none cannot be slowed.
    pub(in crate::ingest) fn slow_pull(&mut self, id: u64, slowed: bool, now: Instant) {
        let found = self.pulls.iter_mut().find(|(_, pull)| pull.id == id);
        let Some((index, pull)) = found else {
            return;
        };
        match &mut pull.kind {
            Kind::Srt(pull) => pull.slow(slowed, now),
            Kind::Rtmp(pull) => {
                pull.slowed = slowed;
                self.serve_pull(index, Vec::new(), 0, now);
            }
            // A camera sends as it likes.
            Kind::Rtsp(_) => {}
        }
    }

    /// Do what is due at all pulls.
    pub(super) fn serve_pulls(&mut self, now: Instant) {
        let is_due = |pull: &Pull| {
            pull.fresh || pull.ended().is_some() || pull.next_timeout().is_some_and(|at| at <= now)
        };
        let due = self.pulls.iter().filter(|(_, pull)| is_due(pull));
        let due: Vec<usize> = due.map(|(index, _)| index).collect();
        for index in due {
            self.serve_pull(index, Vec::new(), 0, now);
        }
    }
}
