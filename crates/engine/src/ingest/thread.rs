//! The loop of the ingest thread: sockets, answers, time.

use std::io;
use std::net::TcpListener;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use roomtone_hls::EncryptionConfig;
use roomtone_webrtc::{Random, SystemRandom};
use rustc_hash::FxHashMap;
use rustls::ServerConfig;
use slab::Slab;

use super::asking::Questions;
use super::connection::No;
use super::inputs::{Input, RtpPort};
use super::playing::{Joining, Playout};
use super::publisher::Publisher;
use super::pulls::Pull;
use super::rtmp::Connection;
use super::srt::SrtPort;
use super::streams::Streams;
use super::{IngestEnds, Message};
use crate::counters::IngestCounters;
use crate::live::{LiveHandle, PlayRun, ProgramConfig};
use crate::shard::Shared;
use crate::sys::{Datagrams, Epoll, EventFd, Ready};
use crate::values::{IngestEnd, PlayoutEnd, Report};

/// Connections of RTMP at a time; one more is closed at once, counted.
pub(super) const MAX_CONNECTIONS: usize = 1024;
/// Between two looks at what has no deadline of its own.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Between two reports.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Bytes read from a connection at a time.
const READ_BYTES: usize = 64 << 10;

/// What a descriptor of the poller is.
pub(super) const WAKE: u64 = 0;
const SORT: u32 = 32;
pub(super) const SRT_PORT: u64 = 1;
pub(super) const RTMP_PORT: u64 = 2;
pub(super) const RTMP_CONNECTION: u64 = 3;
pub(super) const RTP_PORT: u64 = 4;
pub(super) const RTCP_PORT: u64 = 5;
pub(super) const PULL: u64 = 6;

pub(super) fn token(sort: u64, index: usize) -> u64 {
    sort << SORT | index as u64
}

/// A port that takes connections of RTMP.
pub(super) struct RtmpPort {
    pub(super) id: u64,
    /// What is shown to callers where they have to encrypt.
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) listener: TcpListener,
}

/// How streams of a listener are packaged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packaging {
    pub(super) window_us: u64,
    pub(super) part_us: Option<u64>,
    pub(super) encryption: Option<EncryptionConfig>,
}

/// The ingest thread's state.
pub(super) struct IngestThread {
    messages: Receiver<Message>,
    plays: Receiver<PlayRun>,
    wake: Arc<EventFd>,
    reports: Arc<Mutex<Vec<Report>>>,
    pub(super) shared: Arc<Shared>,
    pub(super) live: LiveHandle,
    pub(super) counters: Arc<IngestCounters>,
    pub(super) poller: Epoll,
    pub(super) random: SystemRandom,
    pub(super) srt: Slab<SrtPort>,
    pub(super) rtmp: Slab<RtmpPort>,
    pub(super) connections: Slab<Connection>,
    pub(super) rtp: Slab<RtpPort>,
    pub(super) inputs: Slab<Input>,
    pub(super) pulls: Slab<Pull>,
    /// By the id of the listener or the input.
    pub(super) packaging: FxHashMap<u64, Packaging>,
    pub(super) publishers: FxHashMap<u64, Publisher>,
    pub(super) playouts: FxHashMap<u64, Playout>,
    pub(super) joining: FxHashMap<u64, Joining>,
    pub(super) streams: Streams,
    pub(super) questions: Questions,
    look_at: Instant,
    report_at: Instant,
    runs: bool,
}

impl IngestThread {
    pub(super) fn new(
        ends: IngestEnds,
        shared: Arc<Shared>,
        live: LiveHandle,
        counters: Arc<IngestCounters>,
    ) -> io::Result<Self> {
        let poller = Epoll::new()?;
        poller.add(ends.wake.as_ref(), WAKE)?;
        let now = Instant::now();
        Ok(Self {
            messages: ends.messages,
            plays: ends.plays,
            wake: ends.wake,
            reports: ends.reports,
            shared,
            streams: Streams::new(live.clone()),
            live,
            counters,
            poller,
            random: SystemRandom,
            srt: Slab::new(),
            rtmp: Slab::new(),
            connections: Slab::new(),
            rtp: Slab::new(),
            inputs: Slab::new(),
            pulls: Slab::new(),
            packaging: FxHashMap::default(),
            publishers: FxHashMap::default(),
            playouts: FxHashMap::default(),
            joining: FxHashMap::default(),
            questions: Questions::default(),
            look_at: now,
            report_at: now,
            runs: true,
        })
    }

    pub(super) fn run(&mut self) {
        let mut ready = Vec::new();
        let mut space = vec![0; READ_BYTES];
        let mut datagrams = Datagrams::new();
        while self.runs {
            ready.clear();
            let wait = self
                .next_timeout()
                .map(|at| at.saturating_duration_since(Instant::now()));
            if self.poller.wait(wait, &mut ready).is_err() {
                self.counters.ingest_polls_failed.up();
                std::thread::sleep(Duration::from_millis(10));
            }
            let now = Instant::now();
            for one in &ready {
                self.on_ready(*one, &mut datagrams, &mut space, now);
            }
            self.on_time(now);
            self.flush();
            self.pace(now);
        }
        self.shut_down();
    }

    /// Nothing is looked for while there is nothing.
    fn next_timeout(&self) -> Option<Instant> {
        let idle = self.srt.is_empty()
            && self.connections.is_empty()
            && self.streams.is_empty()
            && self.inputs.is_empty()
            && self.pulls.is_empty();
        let look = (!idle).then_some(self.look_at);
        let ports = self.srt.iter().filter_map(|(_, port)| port.next_timeout());
        let pulls = self
            .pulls
            .iter()
            .filter_map(|(_, pull)| pull.next_timeout());
        let playouts = self.next_playout();
        let pacing = self.next_pacing(Instant::now());
        ports
            .chain(pulls)
            .chain(look)
            .chain(playouts)
            .chain(pacing)
            .min()
    }

    fn on_ready(
        &mut self,
        ready: Ready,
        datagrams: &mut Datagrams,
        space: &mut [u8],
        now: Instant,
    ) {
        let index = (ready.token & u64::from(u32::MAX)) as usize;
        match ready.token >> SORT {
            SRT_PORT => {
                if let Some(port) = self.srt.get_mut(index)
                    && port.receive(datagrams, now).is_err()
                {
                    self.counters.ingest_sockets_failed.up();
                }
                self.serve_srt(index, now);
            }
            RTP_PORT => self.receive_rtp(index, false, datagrams, now),
            RTCP_PORT => self.receive_rtp(index, true, datagrams, now),
            PULL => self.receive_pull(index, datagrams, space, now),
            RTMP_PORT => self.accept_connections(index, now),
            RTMP_CONNECTION => {
                let mut told = Vec::new();
                if let Some(connection) = self.connections.get_mut(index) {
                    let publisher = connection.publisher;
                    let publisher = publisher.and_then(|id| self.publishers.get_mut(&id));
                    let turn = publisher.as_deref().map(Publisher::turn);
                    connection.receive(space, turn.unwrap_or_default(), now, &mut told);
                    if let Some(publisher) = publisher {
                        publisher.begun_bytes = connection.begun_bytes();
                    }
                }
                self.serve_rtmp(index, told, now);
            }
            _ => {
                self.wake.clear();
                // Of playouts that are given something it was told that they may begin.
                let runs: Vec<PlayRun> = self.plays.try_iter().collect();
                while let Ok(message) = self.messages.try_recv() {
                    self.on_message(message, now);
                }
                for run in runs {
                    self.play(&run, now);
                }
            }
        }
    }

    fn on_message(&mut self, message: Message, now: Instant) {
        match message {
            Message::Request(request) => {
                let result = self.handle_command(request.command, now);
                self.shared.outbox.reply(request.id, result);
            }
            Message::Answer(answer) => match self.questions.answered(answer.id) {
                Some((asker, wish)) => self.decided(asker, wish, &answer, now),
                None => self.counters.answers_ignored.up(),
            },
            Message::Broken(packager) => {
                if let Some(name) = self.streams.name_of(packager) {
                    self.end_stream(
                        &name,
                        IngestEnd::Failed,
                        "its media cannot be packaged",
                        now,
                    );
                }
            }
            Message::Play(told) => self.on_play(told, now),
            Message::Shutdown => self.runs = false,
        }
    }

    fn on_time(&mut self, now: Instant) {
        let due: Vec<usize> = self
            .srt
            .iter()
            .filter(|(_, port)| port.next_timeout().is_some_and(|at| at <= now))
            .map(|(index, _)| index)
            .collect();
        for index in due {
            self.serve_srt(index, now);
        }
        self.serve_pulls(now);
        self.serve_playouts(now);
        if self.look_at > now {
            return;
        }
        self.look_at = now + LOOK_EVERY;
        for (asker, wish) in self.questions.expired(now) {
            self.counters.publishers_unanswered.up();
            if wish.plays {
                self.refuse_playout(asker, &No::Busy, now);
            } else {
                self.refuse(asker, &No::Busy, now);
            }
        }
        self.look_at_playouts(now);
        let late = |connection: &Connection| connection.next_timeout().is_some_and(|at| at <= now);
        let late: Vec<usize> = self
            .connections
            .iter()
            .filter(|(_, connection)| late(connection))
            .map(|(index, _)| index)
            .collect();
        for index in late {
            self.connections[index].handle_timeout(now);
            self.serve_rtmp(index, Vec::new(), now);
        }
        self.drain_inputs(now, true);
        for name in self.streams.overdue(now) {
            self.close_stream(&name);
        }
        if self.report_at <= now {
            self.report_at = now + REPORT_EVERY;
            let mut reports = self.report_playouts();
            reports.extend(self.publishers.values().map(Publisher::report));
            *self.reports.lock().unwrap_or_else(PoisonError::into_inner) = reports;
            self.counters.ingests.set(self.publishers.len() as u64);
            self.counters.ingest_streams.set(self.streams.len() as u64);
        }
    }

    /// Hand what has come to the live thread.
    fn flush(&mut self) {
        for publisher in self.publishers.values_mut() {
            let dropped = publisher.flush(&self.live);
            self.counters.units_dropped_full.add(dropped.units);
            self.counters.groups_dropped_full.add(dropped.groups);
        }
    }

    /// How a program is packaged: in its own way, or as its listener says.
    pub(super) fn program(
        &self,
        own: Option<Packaging>,
        listener: u64,
        packager: u64,
    ) -> ProgramConfig {
        let clock = self.shared.clock;
        let packaging = own.as_ref().or_else(|| self.packaging.get(&listener));
        ProgramConfig {
            run: format!("{:x}{packager:x}", clock.ntp >> 32),
            window_us: packaging.map_or(0, |one| one.window_us),
            part_us: packaging.and_then(|one| one.part_us),
            encryption: packaging.and_then(|one| one.encryption),
            clock,
        }
    }

    /// Bytes that nobody guesses.
    pub(super) fn secret(&mut self) -> [u8; 32] {
        let mut secret = [0; 32];
        self.random.fill(&mut secret);
        secret
    }

    fn shut_down(&mut self) {
        let now = Instant::now();
        for name in self.streams.names() {
            self.end_stream(&name, IngestEnd::EngineClosed, "the server stops", now);
        }
        self.flush();
        for playout in self.playouts.keys().copied().collect::<Vec<_>>() {
            self.end_playout(playout, PlayoutEnd::EngineClosed, "the server stops", now);
        }
    }
}
