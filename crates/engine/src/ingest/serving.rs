//! Who may publish, who does, and how that ends.

use std::time::{Duration, Instant};

use super::asking::{Wish, is_name};
use super::commands::packaging;
use super::connection::{Asker, Line, No};
use super::publisher::{Publisher, Sent};
use super::srt;
use super::thread::{IngestThread, Packaging};
use crate::feed::{Found, Outlet, SourceClock};
use crate::ids;
use crate::values::{Answer, CloseReason, Denial, Event, IngestEnd, MediaKind, PlayoutEnd};

/// A publisher of whom nothing came for so long gives way to another.
const SILENT: Duration = Duration::from_secs(2);

impl IngestThread {
    pub(super) fn serve_srt(&mut self, index: usize, now: Instant) {
        let mut told = Vec::new();
        let Some(port) = self.srt.get_mut(index) else {
            return;
        };
        let listener = port.id;
        port.serve(now, &mut told);
        let asked = told.iter().any(|one| matches!(one, srt::Told::Asks(_)));
        for one in told {
            match one {
                srt::Told::Asks(request) => {
                    let asker = Asker::Srt {
                        port: index,
                        request: request.id,
                    };
                    self.ask(asker, srt::wish(&request, listener), now);
                }
                srt::Told::Bytes(publisher, bytes) => self.heard(publisher, bytes, now),
                srt::Told::Sent(publisher, sent) => self.sent(publisher, sent, now),
                srt::Told::Gone(publisher, reason) => {
                    let end = match reason {
                        roomtone_srt::CloseReason::Idle => IngestEnd::Silent,
                        _ => IngestEnd::Peer,
                    };
                    self.end_publisher(publisher, end, "", now);
                }
                srt::Told::PlayoutGone(playout, reason) => {
                    let end = match reason {
                        roomtone_srt::CloseReason::Idle => PlayoutEnd::Silent,
                        _ => PlayoutEnd::Peer,
                    };
                    self.end_playout(playout, end, "", now);
                }
            }
        }
        if let Some(port) = self.srt.get_mut(index) {
            port.count(&self.counters);
        }
        // What was refused at once is told at once.
        if asked && let Some(port) = self.srt.get_mut(index) {
            port.send(now);
        }
    }

    pub(super) fn ask(&mut self, asker: Asker, wish: Result<Wish, No>, now: Instant) {
        let plays = wish.as_ref().is_ok_and(|wish| wish.plays);
        if plays {
            self.counters.playouts_asked.up();
        } else {
            self.counters.publishers_asked.up();
        }
        let wish = wish.and_then(|wish| {
            if is_name(&wish.name) {
                Ok(wish)
            } else {
                Err(No::Name)
            }
        });
        let question = match wish {
            Ok(wish) => self.questions.ask(asker, wish, now).ok_or(No::Busy),
            Err(no) => Err(no),
        };
        match question {
            Ok(question) => self.shared.outbox.question(question),
            Err(no) if plays => self.refuse_playout(asker, &no, now),
            Err(no) => self.refuse(asker, &no, now),
        }
    }

    pub(super) fn refuse(&mut self, asker: Asker, no: &No, now: Instant) {
        self.counters.publishers_refused.up();
        self.tell_no(asker, no, now);
    }

    /// Say no to whoever asked.
    pub(super) fn tell_no(&mut self, asker: Asker, no: &No, now: Instant) {
        match asker {
            Asker::Srt { port, request } => {
                if let Some(port) = self.srt.get_mut(port) {
                    port.reject(request, no);
                    port.send(now);
                }
            }
            Asker::Rtmp { connection } => {
                if let Some(one) = self.connections.get_mut(connection) {
                    one.refuse(no);
                    self.finish_rtmp(connection, now);
                }
            }
        }
    }

    /// Control has answered.
    pub(super) fn decided(&mut self, asker: Asker, wish: Wish, answer: &Answer, now: Instant) {
        if !answer.allowed {
            let no = No::Denied(answer.detail.clone(), answer.denial);
            if wish.plays {
                self.refuse_playout(asker, &no, now);
            } else {
                self.refuse(asker, &no, now);
            }
            return;
        }
        if wish.plays {
            return self.begin_playout(asker, wish, now);
        }
        let Ok(own) = answer.listing.clone().map(packaging).transpose() else {
            let no = No::Denied("it cannot be listed so".to_owned(), Denial::Limit);
            return self.refuse(asker, &no, now);
        };
        if let Some(publisher) = self.streams.get(&wish.name).and_then(|one| one.publisher) {
            let gives_way = self
                .publishers
                .get(&publisher)
                .is_none_or(|one| one.last_heard + SILENT <= now || one.wish.is_of(&wish));
            if !gives_way {
                return self.refuse(asker, &No::InUse, now);
            }
        }
        if self.streams.get(&wish.name).is_none() && self.live.is_full() {
            return self.refuse(asker, &No::Full, now);
        }
        let id = ids::allocate(ids::INGEST);
        let line = match asker {
            Asker::Srt { port, request } => {
                let accepted = self
                    .srt
                    .get_mut(port)
                    .map(|one| one.accept(request, id, now));
                match accepted {
                    Some(Ok(connection)) => Line::Srt { port, connection },
                    // The caller was told why, or is gone.
                    Some(Err(_)) | None => return self.counters.publishers_refused.up(),
                }
            }
            Asker::Rtmp { connection } => Line::Rtmp { connection },
        };
        if let Some(publisher) = self.streams.get(&wish.name).and_then(|one| one.publisher) {
            self.end_publisher(
                publisher,
                IngestEnd::Replaced,
                "another publishes in its place",
                now,
            );
        }
        self.begin(id, asker, line, wish, own, now);
    }

    fn begin(
        &mut self,
        id: u64,
        asker: Asker,
        line: Line,
        wish: Wish,
        own: Option<Packaging>,
        now: Instant,
    ) {
        let fresh = ids::allocate(ids::INGEST);
        let program = self.program(own, wish.listener, fresh);
        let Some(packager) = self.streams.begin(&wish.name, id, fresh, program, now) else {
            match line {
                Line::Srt { port, connection } => {
                    self.counters.publishers_refused.up();
                    if let Some(port) = self.srt.get_mut(port) {
                        port.close(connection);
                        port.send(now);
                    }
                }
                Line::Rtmp { .. } => self.refuse(asker, &No::InUse, now),
                Line::Input { .. } => {}
            }
            return;
        };
        if let Line::Rtmp { connection } = line {
            let Some(one) = self
                .connections
                .get_mut(connection)
                .filter(|one| one.ended().is_none())
            else {
                return self.streams.lose(&wish.name, now);
            };
            if !one.accept(now) {
                return self.streams.lose(&wish.name, now);
            }
            one.publisher = Some(id);
        }
        self.announce(id, line, wish, packager, now);
        match line {
            Line::Srt { port, .. } => self.serve_srt(port, now),
            Line::Rtmp { connection } => self.finish_rtmp(connection, now),
            Line::Input { .. } => {}
        }
    }

    /// Somebody publishes from now on.
    pub(super) fn announce(
        &mut self,
        id: u64,
        line: Line,
        wish: Wish,
        packager: u64,
        now: Instant,
    ) {
        let event = Event::IngestStarted {
            ingest: id,
            listener: wish.listener,
            packager,
            name: wish.name.clone(),
            protocol: wish.protocol,
            remote: wish.remote.to_string(),
            encoder: wish.encoder.clone(),
        };
        self.counters.publishers_accepted.up();
        let clock = SourceClock::new(self.shared.clock);
        let board = self.streams.board(&wish.name);
        let publisher = Publisher::new(id, wish, line, (packager, board), clock, now);
        self.publishers.insert(id, publisher);
        // Only messages of channels are ever refused.
        let _ = self.shared.outbox.event(event);
    }

    pub(super) fn heard(&mut self, publisher: u64, bytes: u64, now: Instant) {
        if let Some(publisher) = self.publishers.get_mut(&publisher) {
            publisher.last_heard = now;
            publisher.figures.bytes += bytes;
            self.counters.ingest_bytes.add(bytes);
        }
    }

    pub(super) fn sent(&mut self, id: u64, sent: Sent, now: Instant) {
        let Some(publisher) = self.publishers.get_mut(&id) else {
            return;
        };
        match sent {
            Sent::Track(key, is_video) => {
                if publisher.knows(key) {
                    return;
                }
                let fresh = ids::allocate(ids::INGEST);
                let name = &publisher.wish.name;
                if let Some(track) = self.streams.add_track(name, fresh, is_video) {
                    let outlet = self.shared.outlets.open(
                        ids::allocate(ids::INGEST),
                        is_video,
                        publisher.clock.clone(),
                        self.counters.clone(),
                    );
                    publisher.carry(key, track, outlet);
                } else {
                    let kind = if is_video { "video" } else { "audio" };
                    let what = format!("a {kind} track that came too late, or beside another,");
                    self.leave_out(id, key, &what);
                }
            }
            Sent::TrackGone(key) => {
                let dropped = publisher.flush(&self.live);
                self.counters.units_dropped_full.add(dropped.units);
                self.counters.groups_dropped_full.add(dropped.groups);
                if let Some((track, outlet)) = publisher.remove(key) {
                    self.streams.remove_track(&publisher.wish.name, track);
                    let _ = self.shared.outbox.event(Event::IngestTrackEnded {
                        ingest: id,
                        listener: publisher.wish.listener,
                        packager: publisher.packager,
                        track: outlet.id,
                    });
                }
            }
            Sent::Format(key, format) => publisher.handle_format(key, format),
            Sent::Unit(key, unit) => {
                publisher.handle_unit(key, unit, now);
                for (outlet, found) in publisher.take_found_out() {
                    let event = tell_track(publisher, &outlet, &found);
                    let _ = self.shared.outbox.event(event);
                }
            }
            Sent::Break(key) => {
                let dropped = publisher.flush(&self.live);
                self.counters.units_dropped_full.add(dropped.units);
                self.counters.groups_dropped_full.add(dropped.groups);
                publisher.handle_break(key);
            }
            Sent::Beside(what) => publisher.handle_beside(what),
            Sent::Refused(key, what) => self.leave_out(id, key, &what),
            Sent::Dropped => publisher.figures.dropped += 1,
            Sent::Unreadable(why) => self.end_publisher(id, IngestEnd::Protocol, why, now),
        }
    }

    /// A track is not carried, which is told once.
    fn leave_out(&mut self, id: u64, key: u32, what: &str) {
        let Some(publisher) = self.publishers.get_mut(&id) else {
            return;
        };
        if publisher.knows(key) {
            return;
        }
        self.counters.ingest_tracks_refused.up();
        publisher.refuse(key);
        let _ = self.shared.outbox.event(Event::IngestWarned {
            ingest: id,
            listener: publisher.wish.listener,
            packager: publisher.packager,
            detail: format!("{what} is not carried"),
        });
    }

    /// A publisher is no more; its stream waits for another.
    pub(super) fn end_publisher(&mut self, id: u64, end: IngestEnd, detail: &str, now: Instant) {
        let Some(mut publisher) = self.publishers.remove(&id) else {
            return;
        };
        let dropped = publisher.flush(&self.live);
        self.counters.units_dropped_full.add(dropped.units);
        self.counters.groups_dropped_full.add(dropped.groups);
        let is_current = self
            .streams
            .get(&publisher.wish.name)
            .is_some_and(|one| one.publisher == Some(id));
        if is_current {
            self.streams.lose(&publisher.wish.name, now);
        }
        let _ = self.shared.outbox.event(Event::IngestEnded {
            ingest: id,
            listener: publisher.wish.listener,
            packager: publisher.packager,
            reason: end,
            detail: detail.to_owned(),
        });
        match publisher.line {
            Line::Srt { port, connection } => {
                if let Some(port) = self.srt.get_mut(port) {
                    port.close(connection);
                    // What others have sent meanwhile waits for their turn.
                    port.send(now);
                }
            }
            Line::Input { input } => {
                self.input_ended(input, now);
                self.pull_ended(input, detail);
            }
            Line::Rtmp { connection } => {
                if let Some(one) = self.connections.get_mut(connection) {
                    one.publisher = None;
                    if one.ended().is_none() && end != IngestEnd::Peer {
                        one.kick(if detail.is_empty() {
                            "it was ended"
                        } else {
                            detail
                        });
                        self.finish_rtmp(connection, now);
                    }
                }
            }
        }
    }

    /// A stream is over, and so is who publishes it.
    pub(super) fn end_stream(&mut self, name: &str, end: IngestEnd, detail: &str, now: Instant) {
        if let Some(publisher) = self.streams.get(name).and_then(|one| one.publisher) {
            self.end_publisher(publisher, end, detail, now);
        }
        self.close_stream(name);
    }

    pub(super) fn close_stream(&mut self, name: &str) {
        if let Some(packager) = self.streams.end(name) {
            let _ = self.shared.outbox.event(Event::PackagerEnded {
                packager,
                reason: CloseReason::ParentClosed,
            });
        }
    }
}

/// What is to be told of a track, once it is known.
fn tell_track(publisher: &Publisher, outlet: &Outlet, found: &Found) -> Event {
    let (format, bar) = match found {
        Found::Ready(format) => (format, None),
        Found::Barred(format, bar) => (format, Some(*bar)),
    };
    Event::IngestTrack {
        ingest: publisher.id,
        listener: publisher.wish.listener,
        packager: publisher.packager,
        track: outlet.id,
        kind: if outlet.is_video {
            MediaKind::Video
        } else {
            MediaKind::Audio
        },
        codec: format.codec_string(),
        width: format.size().map(|(width, _)| width),
        height: format.size().map(|(_, height)| height),
        channels: format.channels(),
        bar,
    }
}
