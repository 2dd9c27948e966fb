//! Who reads streams by SRT and RTMP: let in, given what is listed, counted, sent away.

mod playout;
mod tags;
mod writer;

use std::time::{Duration, Instant};

pub(super) use playout::Playout;
use playout::{Output, Way};
pub(super) use writer::LineState;

use super::asking::Wish;
use super::connection::{Asker, No};
use super::thread::IngestThread;
use crate::failure::Failure;
use crate::ids;
use crate::live::{self, PlayBar, PlayRun, PlayTold};
use crate::values::{CommandResult, Event, PlayoutEnd, Report};

/// Playouts at a time, those that wait included; one more is refused as too many.
const MAX_PLAYOUTS: usize = 1_024;
/// So long the live thread may take to say whether a playout may begin; the caller has given up then.
const PATIENCE: Duration = Duration::from_secs(3);

/// Somebody who may read, before the live thread has said what there is.
pub(super) struct Joining {
    asker: Asker,
    wish: Wish,
    packager: u64,
    until: Instant,
}

impl IngestThread {
    /// Somebody may read.
    pub(super) fn begin_playout(&mut self, asker: Asker, wish: Wish, now: Instant) {
        if self.playouts.len() + self.joining.len() >= MAX_PLAYOUTS {
            return self.refuse_playout(asker, &No::Busy, now);
        }
        let Some(packager) = self.live.packager_of(&wish.name) else {
            return self.refuse_playout(asker, &No::Absent, now);
        };
        let playout = ids::allocate(ids::INGEST);
        let joining = Joining {
            asker,
            wish,
            packager,
            until: now + PATIENCE,
        };
        self.joining.insert(playout, joining);
        self.live.tell(live::Message::Play { packager, playout });
    }

    pub(super) fn refuse_playout(&mut self, asker: Asker, no: &No, now: Instant) {
        self.counters.playouts_refused.up();
        self.tell_no(asker, no, now);
    }

    /// The live thread has said what becomes of playouts.
    pub(super) fn on_play(&mut self, told: PlayTold, now: Instant) {
        match told {
            PlayTold::Admitted(playout) => self.admit(playout, now),
            PlayTold::Refused(playout, bar) => {
                if let Some(joining) = self.joining.remove(&playout) {
                    let no = match bar {
                        PlayBar::NoStream => No::Absent,
                        PlayBar::Media => No::Media,
                    };
                    self.refuse_playout(joining.asker, &no, now);
                }
            }
            PlayTold::Ended(packager, bar) => {
                let (end, detail) = match bar {
                    PlayBar::NoStream => (PlayoutEnd::StreamEnded, ""),
                    PlayBar::Media => (PlayoutEnd::Media, "nothing of it can be carried so"),
                };
                let of = self.playouts.values();
                let of = of.filter(|one| one.packager == packager);
                for playout in of.map(|one| one.id).collect::<Vec<_>>() {
                    self.end_playout(playout, end, detail, now);
                }
            }
        }
    }

    fn admit(&mut self, id: u64, now: Instant) {
        let Some(Joining {
            asker,
            wish,
            packager,
            ..
        }) = self.joining.remove(&id)
        else {
            return; // it was told that it has left
        };
        let accepted = match asker {
            Asker::Srt { port, request } => self.srt.get_mut(port).and_then(|one| {
                // Where it is refused the caller was told why, or is gone.
                let connection = one.accept_playout(request, id, now).ok()?;
                Some(Way::Srt { port, connection })
            }),
            Asker::Rtmp { connection } => self.connections.get_mut(connection).and_then(|one| {
                let accepted = one.accept_player(id, now);
                accepted.then_some(Way::Rtmp { connection })
            }),
        };
        let Some(way) = accepted else {
            self.counters.playouts_refused.up();
            let playout = id;
            return self.live.tell(live::Message::EndPlay { packager, playout });
        };
        self.counters.playouts_accepted.up();
        let _ = self.shared.outbox.event(Event::PlayoutStarted {
            playout: id,
            listener: wish.listener,
            packager,
            name: wish.name.clone(),
            protocol: wish.protocol,
            remote: wish.remote.to_string(),
        });
        let playout = Playout::new(id, wish, packager, way, now);
        self.playouts.insert(id, playout);
        match way {
            Way::Srt { port, .. } => self.serve_srt(port, now),
            Way::Rtmp { connection } => self.finish_rtmp(connection, now),
        }
    }

    /// Give playouts what is listed next.
    pub(super) fn play(&mut self, run: &PlayRun, now: Instant) {
        let mut given = Vec::new();
        for playout in self.playouts.values_mut() {
            let is_for = run.playout.is_none_or(|one| one == playout.id);
            if playout.packager != run.packager || !is_for {
                continue;
            }
            let before = playout.figures();
            match (&mut playout.output, playout.way) {
                (Output::TransportStream(writer), Way::Srt { port, connection }) => {
                    let Some(port) = self.srt.get(port) else {
                        continue;
                    };
                    writer.handle_steps(&run.steps, port.line_state(connection, now));
                }
                (Output::Tags(tags), Way::Rtmp { connection }) => {
                    let Some(one) = self.connections.get_mut(connection) else {
                        continue;
                    };
                    tags.handle_steps(&run.steps, |media, timestamp, body| {
                        one.send_media(media, timestamp, body)
                    });
                    given.push(connection);
                    let bytes = tags.figures.bytes - before.bytes;
                    self.counters.playout_bytes.add(bytes);
                }
                _ => {}
            }
            let after = playout.figures();
            self.counters
                .playout_units_dropped
                .add(after.units_dropped - before.units_dropped);
            self.counters
                .playout_groups_dropped
                .add(after.groups_dropped - before.groups_dropped);
        }
        for connection in given {
            self.finish_rtmp(connection, now);
        }
    }

    /// Send what is due to all.
    pub(super) fn serve_playouts(&mut self, now: Instant) {
        let mut ports = Vec::new();
        for playout in self.playouts.values_mut() {
            if playout.next_timeout().is_none_or(|at| at > now) {
                continue;
            }
            let (Output::TransportStream(writer), Way::Srt { port, connection }) =
                (&mut playout.output, playout.way)
            else {
                continue;
            };
            let Some(one) = self.srt.get_mut(port) else {
                continue;
            };
            let before = writer.figures.bytes;
            writer.send(now, |datagram| one.give(connection, datagram, now));
            self.counters
                .playout_bytes
                .add(writer.figures.bytes - before);
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
        for port in ports {
            if let Some(port) = self.srt.get_mut(port) {
                port.send(now);
            }
        }
    }

    pub(super) fn end_playout(&mut self, id: u64, end: PlayoutEnd, detail: &str, now: Instant) {
        let Some(playout) = self.playouts.remove(&id) else {
            return;
        };
        let packager = playout.packager;
        self.live.tell(live::Message::EndPlay {
            packager,
            playout: id,
        });
        match playout.way {
            Way::Srt { port, connection } => {
                if let Some(port) = self.srt.get_mut(port) {
                    port.close(connection);
                    port.send(now);
                }
            }
            Way::Rtmp { connection } => self.stop_player(connection, id, end, detail, now),
        }
        let figures = playout.figures();
        let _ = self.shared.outbox.event(Event::PlayoutEnded {
            playout: id,
            listener: playout.wish.listener,
            packager,
            reason: end,
            detail: detail.to_owned(),
            bytes: figures.bytes,
            units_dropped: figures.units_dropped,
        });
    }

    /// Tell a player why it is over, where it is still there.
    fn stop_player(
        &mut self,
        connection: usize,
        playout: u64,
        end: PlayoutEnd,
        detail: &str,
        now: Instant,
    ) {
        let Some(one) = self.connections.get_mut(connection) else {
            return;
        };
        if one.playout.take_if(|of| *of == playout).is_none() {
            return;
        }
        if end == PlayoutEnd::Requested {
            one.kick(detail);
        } else {
            one.stop_playing();
        }
        self.finish_rtmp(connection, now);
    }

    /// Who asked is gone.
    pub(super) fn forget_joining(&mut self, asker: Asker) {
        let of = self.joining.iter().filter(|(_, one)| one.asker == asker);
        for playout in of.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.stop_joining(playout);
        }
    }

    /// All who read by a listener, or want to.
    pub(super) fn end_playouts_of(&mut self, listener: u64, now: Instant) {
        let through = self.playouts.values();
        let through = through.filter(|one| one.wish.listener == listener);
        for playout in through.map(|one| one.id).collect::<Vec<_>>() {
            self.end_playout(playout, PlayoutEnd::Requested, "the listener closes", now);
        }
        let joining = self.joining.iter();
        let joining = joining.filter(|(_, one)| one.wish.listener == listener);
        for playout in joining.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.stop_joining(playout);
        }
    }

    fn stop_joining(&mut self, playout: u64) {
        if let Some(joining) = self.joining.remove(&playout) {
            let packager = joining.packager;
            self.live.tell(live::Message::EndPlay { packager, playout });
        }
    }

    /// A command: one is sent away.
    pub(super) fn close_playout(
        &mut self,
        playout: u64,
        now: Instant,
    ) -> Result<CommandResult, Failure> {
        if !self.playouts.contains_key(&playout) {
            return Err(Failure::not_found("playout", playout));
        }
        let why = "an operator has ended it";
        self.end_playout(playout, PlayoutEnd::Requested, why, now);
        Ok(CommandResult::Done {})
    }

    /// Look at all once in a while.
    pub(super) fn look_at_playouts(&mut self, now: Instant) {
        let late = self.joining.iter().filter(|(_, one)| one.until <= now);
        for playout in late.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.counters.playouts_refused.up();
            self.stop_joining(playout);
        }
    }

    /// What playouts do, as of now; what their lines have given up is counted.
    pub(super) fn report_playouts(&mut self) -> Vec<Report> {
        self.counters.playouts.set(self.playouts.len() as u64);
        let mut reports = Vec::new();
        for playout in self.playouts.values_mut() {
            let (mut stats, mut waiting) = (None, 0);
            match playout.way {
                Way::Srt { port, connection } => {
                    stats = self.srt.get(port).and_then(|port| port.stats(connection));
                }
                Way::Rtmp { connection } => {
                    waiting = self
                        .connections
                        .get(connection)
                        .map_or(0, crate::ingest::rtmp::Connection::waiting_bytes);
                }
            }
            if let Some(stats) = &stats {
                let more = stats.send_dropped - playout.given_up;
                playout.given_up = stats.send_dropped;
                self.counters.playout_packets_dropped.add(more);
            }
            reports.push(playout.report(stats.as_ref(), waiting));
        }
        reports
    }

    /// When a playout is to be served.
    pub(super) fn next_playout(&self) -> Option<Instant> {
        self.playouts
            .values()
            .filter_map(Playout::next_timeout)
            .min()
    }
}
