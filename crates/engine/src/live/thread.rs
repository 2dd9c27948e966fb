//! The loop of the live thread: messages at once, packets and time at each tick.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use roomtone_hls::{Channel, Shelf};
use rustc_hash::FxHashMap;

use super::asking::requests;
use super::following;
use super::keeping::{Keeping, Kept};
use super::program::{Program, Told, Unpackable};
use super::report;
use super::saying;
use super::transcoding::{Link, Making};
use super::{Board, LiveEnds, Load, Message, Outside, PlayBar, PlayTold, Run};
use crate::counters::LiveCounters;
use crate::failure::Failure;
use crate::ids;
use crate::shard::{Batch, Control, ShardHandle, Shared};
use crate::values::{Command, CommandResult, Event, StreamSync, StreamText};

/// Packets wait so long at most: a part is many of them.
const TICK: Duration = Duration::from_millis(20);
/// Between two reports of what packagers do.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// How long a list that has ended can be read.
const LINGER: Duration = Duration::from_mins(1);
/// How much sound may be shifted: what is placed earlier must not come too late.
const AUDIO_OFFSET_MS: std::ops::RangeInclusive<i32> = -500..=1_000;

/// The number of no packager.
const ENDED: u64 = 0;

/// A packager and where it is found.
pub(super) struct Running {
    name: String,
    pub(super) program: Program,
    pub(super) board: Arc<Board>,
    /// Taken in this tick, and not accounted for in the queues that it has come to.
    pub(super) taken: Load,
    /// Sockets of who codes its tracks anew.
    pub(super) links: Vec<Link>,
}

/// The live thread's state.
pub(super) struct LiveThread {
    messages: Receiver<Message>,
    batches: Receiver<Batch>,
    arrived: Receiver<Run>,
    /// How many of them wait.
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) shared: Arc<Shared>,
    pub(super) shards: Vec<ShardHandle>,
    pub(super) counters: Arc<LiveCounters>,
    shelf: Arc<Shelf>,
    pub(super) running: FxHashMap<u64, Running>,
    /// Whether any has ever listed what another's source sends.
    pub(super) followed: bool,
    /// What codes tracks anew for routers.
    pub(super) makings: Vec<Making>,
    /// Lists that have ended, until when they can be read.
    lingering: Vec<(Instant, String, Arc<Channel>)>,
    report_at: Instant,
    pub(super) keeping: Keeping,
    outside: Box<dyn Outside>,
    runs: bool,
}

impl LiveThread {
    pub(super) fn new(
        ends: LiveEnds,
        shared: Arc<Shared>,
        shards: Vec<ShardHandle>,
        counters: Arc<LiveCounters>,
        shelf: Arc<Shelf>,
        outside: impl Outside + 'static,
    ) -> io::Result<Self> {
        let limits = shared.config.live.clone();
        Ok(Self {
            keeping: Keeping::new(limits, ends.full, counters.clone())?,
            messages: ends.messages,
            batches: ends.batches,
            arrived: ends.runs,
            waiting: ends.waiting,
            outside: Box::new(outside),
            shared,
            shards,
            counters,
            shelf,
            running: FxHashMap::default(),
            followed: false,
            makings: Vec::new(),
            lingering: Vec::new(),
            report_at: Instant::now(),
            runs: true,
        })
    }

    pub(super) fn run(&mut self) {
        let mut next = Instant::now();
        while self.runs {
            if self.running.is_empty() && self.lingering.is_empty() && self.makings.is_empty() {
                // Nothing ticks; batches that are left are for nobody, and the next tick drops them.
                let Ok(message) = self.messages.recv() else {
                    return;
                };
                self.on_message(message);
                next = Instant::now() + TICK;
                continue;
            }
            let wait = next.saturating_duration_since(Instant::now());
            match self.messages.recv_timeout(wait) {
                Ok(message) => self.on_message(message),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = Instant::now();
            if now >= next {
                self.tick(now);
                // What took longer than a tick is not made up for: nothing is due at each.
                next = Instant::now().max(next + TICK);
            }
        }
        self.shut_down();
    }

    fn on_message(&mut self, message: Message) {
        let now = Instant::now();
        match message {
            Message::Open {
                packager,
                name,
                config,
                board,
            } => {
                let program = Program::new(*config, now);
                let running = Running {
                    name,
                    program,
                    board,
                    taken: Load::default(),
                    links: Vec::new(),
                };
                self.running.insert(packager, running);
            }
            Message::AddTrack(new) => {
                let packager = new.packager;
                let added = self.with(packager, |one| one.program.add_track(*new, now));
                if added == Some(false) {
                    self.counters.packager_tracks_refused.up();
                }
                self.renew_followers_of(packager);
            }
            Message::StandBy(new) => {
                let packager = new.packager;
                self.with(packager, |one| one.program.stand_by(*new));
            }
            Message::Follow { packager, source } => self.follow(packager, source),
            Message::RemoveTrack { packager, track } => {
                self.with(packager, |one| one.program.remove_track(track));
            }
            Message::Close { packager } => self.close(packager, now),
            Message::Play { packager, playout } => self.begin_play(packager, playout),
            Message::EndPlay { packager, playout } => {
                self.with(packager, |one| one.program.playing.leave(playout));
            }
            Message::Request(request) => {
                let result = self.handle_command(request.command, now);
                self.shared.outbox.reply(request.id, result);
            }
            Message::Shutdown => self.runs = false,
            #[cfg(test)]
            Message::PanicAt(packager) => {
                self.with(packager, |_| panic!("injected"));
            }
        }
    }

    /// Does something with a packager, if it is still there; a panic costs this packager only.
    pub(super) fn with<T>(&mut self, id: u64, act: impl FnOnce(&mut Running) -> T) -> Option<T> {
        let running = self.running.get_mut(&id)?;
        if let Ok(done) = catch_unwind(AssertUnwindSafe(|| act(running))) {
            return Some(done);
        }
        self.counters.packagers_panicked.up();
        self.broken(id);
        None
    }

    fn broken(&mut self, id: u64) {
        if let Some(mut running) = self.running.remove(&id) {
            if running.program.playing.leave_all() {
                let told = PlayTold::Ended(id, PlayBar::NoStream);
                self.outside.tell_play(told);
            }
            if let Some(channel) = running.program.channel {
                self.withdraw(&running.name, &channel);
            }
        }
        match self.shards.get(ids::shard_of(id)) {
            Some(shard) => shard.control(Control::PackagerBroken { packager: id }),
            None => self.outside.tell_broken(id),
        }
    }

    /// Takes a list off the shelf, unless another of its name lies there by now.
    fn withdraw(&self, name: &str, channel: &Arc<Channel>) {
        if let Some(found) = self.shelf.get(name)
            && Arc::ptr_eq(&found, channel)
        {
            self.shelf.take(name);
        }
    }

    fn handle_command(&mut self, command: Command, now: Instant) -> CommandResult {
        let done = match command {
            Command::OpenTranscoder(wish) => self.open_transcoder(&wish, now),
            Command::CloseTranscoder(which) => {
                self.close_transcoder(which.packager, which.transcoder)
            }
            Command::SetStreamSync(wish) => self.set_sync(&wish),
            Command::ShowStreamText(wish) => self.show_text(wish),
            Command::SetStreamEncryption(wish) => self.set_encryption(wish),
            Command::GetStreamSync(wish) => self.sync_of(wish.packager),
            Command::GetStreamPressure(wish) => self.pressure_of(&wish),
            Command::OpenTrackTranscoder(wish) => {
                self.open_track_transcoder(wish.track, &wish.path, now)
            }
            Command::CloseTrackTranscoder { transcoder } => self.close_track_transcoder(transcoder),
            _ => Err(Failure::invalid("no command of transcoders")),
        };
        done.unwrap_or_else(CommandResult::from)
    }

    fn set_sync(&mut self, wish: &StreamSync) -> Result<CommandResult, Failure> {
        if !AUDIO_OFFSET_MS.contains(&wish.audio_offset_ms) {
            return Err(Failure::invalid("audio_offset_ms is -500 to 1000"));
        }
        let running = self.running.get_mut(&wish.packager);
        let running = running.ok_or_else(|| Failure::not_found("packager", wish.packager))?;
        let offset_ns = i64::from(wish.audio_offset_ms) * 1_000_000;
        running.program.shift_sound(offset_ns);
        // One that is gone meanwhile is heard by nobody.
        for outlet in wish
            .tracks
            .iter()
            .filter_map(|track| self.shared.outlets.find(*track))
        {
            if !outlet.is_video {
                outlet.shift(offset_ns);
            }
        }
        Ok(CommandResult::Done {})
    }

    fn show_text(&mut self, wish: StreamText) -> Result<CommandResult, Failure> {
        let running = self.running.get(&wish.packager);
        let running = running.ok_or_else(|| Failure::not_found("packager", wish.packager))?;
        saying::show(&running.program, wish)?;
        Ok(CommandResult::Done {})
    }

    fn sync_of(&self, packager: u64) -> Result<CommandResult, Failure> {
        let running = self.running.get(&packager);
        let running = running.ok_or_else(|| Failure::not_found("packager", packager))?;
        Ok(CommandResult::Stats {
            reports: report::sync(&running.program),
        })
    }

    /// Moves what is made for routers; a panic costs the one that met it.
    fn serve_makings(&mut self, now: Instant) {
        let counters = &self.counters;
        self.makings.retain_mut(|making| {
            let served = catch_unwind(AssertUnwindSafe(|| making.serve(counters, now)));
            if served.is_err() {
                counters.packagers_panicked.up();
            }
            served.is_ok()
        });
    }

    fn close(&mut self, id: u64, now: Instant) {
        self.take_batches(now);
        let ended = self.with(id, |one| one.program.end(now));
        self.tell(id);
        self.play(id);
        if ended == Some(Err(Unpackable)) {
            self.counters.packagers_failed.up();
        }
        let Some(mut running) = self.running.remove(&id) else {
            return;
        };
        if running.program.playing.leave_all() {
            let told = PlayTold::Ended(id, PlayBar::NoStream);
            self.outside.tell_play(told);
        }
        if let Some(channel) = running.program.channel {
            self.lingering.push((now + LINGER, running.name, channel));
        }
    }

    fn take_batches(&mut self, now: Instant) {
        let batches: Vec<Batch> = self.batches.try_iter().collect();
        for batch in batches {
            self.counters
                .packager_packets
                .add(batch.packets.len() as u64);
            self.with(batch.to, |one| {
                let mut rest = &batch.bytes[..];
                for (len, rtcp) in &batch.packets {
                    let (packet, behind) = rest.split_at(*len as usize);
                    rest = behind;
                    one.program.handle_packet(packet, *rtcp, now);
                }
            });
            batch.send_home();
        }
        let runs: Vec<Run> = self.arrived.try_iter().collect();
        for run in runs {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counters.packager_units.add(run.units.len() as u64);
            self.give_to_followers(&run);
            self.with(run.packager, |one| {
                let load = run.load();
                one.taken.bytes += load.bytes;
                one.taken.units += load.units;
                for track in run.breaks {
                    one.program.break_track(track);
                }
                let shows_own = one.program.shows_own();
                for (track, found) in run.units {
                    one.program.handle_unit(track, found);
                }
                for what in run.beside.into_iter().filter(|_| shows_own) {
                    one.program.handle_beside(what);
                }
            });
        }
    }

    fn tick(&mut self, now: Instant) {
        // A shard tells of a track before it sends what that brings, but by another channel.
        while let Ok(message) = self.messages.try_recv() {
            self.on_message(message);
        }
        self.take_batches(now);
        let ids: Vec<u64> = self.running.keys().copied().collect();
        let counters = Arc::clone(&self.counters);
        for id in ids {
            let counters = &counters;
            let done = self.with(id, |one| {
                for link in &mut one.links {
                    link.serve_program(&mut one.program, counters, now);
                }
                let board = &one.board;
                one.program
                    .handle_timeout(now, |tracks| board.begin(tracks))
            });
            self.tell(id);
            self.play(id);
            if done == Some(Err(Unpackable)) {
                self.counters.packagers_failed.up();
                self.broken(id);
            }
        }
        self.serve_makings(now);
        self.forget_old(now);
        self.keep(now);
        self.press();
        if self.report_at <= now {
            self.report_at = now + REPORT_EVERY;
            for running in self.running.values_mut() {
                running.board.write(report::reports(&running.program, now));
            }
        }
        self.counters.live_ticks.up();
        let spent = now.elapsed();
        self.counters.live_busy_us.add(spent.as_micros() as u64);
        if spent > TICK {
            self.counters.live_ticks_busy.up();
        }
    }

    /// Keeps all that can be read within the limits.
    fn keep(&mut self, now: Instant) {
        let running = self.running.iter().filter_map(|(id, one)| {
            let channel = Arc::clone(one.program.channel.as_ref()?);
            Some(Kept {
                packager: *id,
                channel,
            })
        });
        let ended = self.lingering.iter().map(|(.., channel)| Kept {
            packager: ENDED,
            channel: Arc::clone(channel),
        });
        let all: Vec<Kept> = running.chain(ended).collect();
        for (id, warning) in self.keeping.tend(&all, now) {
            if let Some(one) = self.running.get_mut(&id) {
                one.program.warn(warning, now);
            }
        }
    }

    /// Lets a playout in, or says why not.
    fn begin_play(&mut self, packager: u64, playout: u64) {
        let joined = self.with(packager, |one| {
            let playing = &mut one.program.playing;
            if playing.is_barred() {
                return Err(PlayBar::Media);
            }
            playing.join(playout);
            Ok(())
        });
        self.outside
            .tell_play(match joined.unwrap_or(Err(PlayBar::NoStream)) {
                Ok(()) => PlayTold::Admitted(playout),
                Err(bar) => PlayTold::Refused(playout, bar),
            });
    }

    /// Passes on what playouts are to be given.
    fn play(&mut self, id: u64) {
        let Some(running) = self.running.get_mut(&id) else {
            return;
        };
        let playing = &mut running.program.playing;
        self.counters
            .play_groups_too_large
            .add(std::mem::take(&mut playing.overflows));
        if playing.is_barred() && playing.leave_all() {
            let told = PlayTold::Ended(id, PlayBar::Media);
            self.outside.tell_play(told);
        }
        for run in playing.take_runs(id) {
            if let Err(run) = self.outside.play(run) {
                self.counters.play_units_dropped_full.add(run.units());
                playing.lose();
            }
        }
    }

    /// Passes on what a packager says.
    fn tell(&mut self, id: u64) {
        let Some(running) = self.running.get_mut(&id) else {
            return;
        };
        for told in running.program.drain_told().collect::<Vec<_>>() {
            let event = match told {
                Told::Begun => {
                    if let Some(channel) = &running.program.channel {
                        self.shelf.put(running.name.clone(), Arc::clone(channel));
                    }
                    continue;
                }
                Told::Switched(track, ssrc) => {
                    following::tell_switched(&self.shards, id, track, ssrc);
                    continue;
                }
                Told::Pointed(source) => Event::PackagerPointed {
                    packager: id,
                    source,
                },
                Told::Started(tracks) => Event::PackagerStarted {
                    packager: id,
                    tracks,
                },
                Told::Warned(track, warning) => Event::PackagerWarned {
                    packager: id,
                    track,
                    warning,
                },
            };
            // Only messages of channels are ever refused.
            let _ = self.shared.outbox.event(event);
        }
        let asked: Vec<u32> = running.program.drain_asked().collect();
        if !asked.is_empty() {
            self.counters.keyframes_asked.add(asked.len() as u64);
            let shard = self.shards.get(ids::shard_of(id));
            if shard.is_some_and(|shard| shard.batch(requests(id, &asked)).is_err()) {
                // They are asked for again soon.
                self.counters.keyframe_requests_dropped_full.up();
            }
        }
    }

    fn forget_old(&mut self, now: Instant) {
        let lingering = std::mem::take(&mut self.lingering);
        for (until, name, channel) in lingering {
            if until > now {
                self.lingering.push((until, name, channel));
            } else {
                self.withdraw(&name, &channel);
            }
        }
    }

    /// Whoever reads is told that nothing follows.
    fn shut_down(&mut self) {
        let now = Instant::now();
        let ids: Vec<u64> = self.running.keys().copied().collect();
        for id in ids {
            self.close(id, now);
        }
    }
}
