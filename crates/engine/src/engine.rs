//! The engine as its owner sees it: start, commands in, values out, stop.

use std::net::{IpAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use roomtone_hls::Shelf;
use roomtone_sfu::WallClock;
use roomtone_webrtc::{Certificate, Random, SystemRandom};

use crate::audio::{self, AudioHandle};
use crate::bind::{self, BindError};
use crate::counters::{AudioCounters, Counters, IngestCounters, LiveCounters};
use crate::feed::Outlets;
use crate::ids::{self, MAX_SHARDS};
use crate::ingest::{self, IngestEnds, IngestHandle};
use crate::live::{self, LiveEnds, LiveHandle};
use crate::outbox::Outbox;
use crate::shard::{Control, Shard, ShardHandle, ShardParts, Shared, inbox};
use crate::sys::wait_readable;
use crate::values::{
    self, Command, CommandResult, EngineConfig, ErrorCode, FeedTrack, Outbound, Report, Request,
};

/// Seconds from the NTP epoch (1900) to the Unix epoch.
const NTP_TO_UNIX: u64 = 2_208_988_800;

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A setting is wrong.
    #[error("{0}")]
    Config(String),
    /// A port could not be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system refused something.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
    /// No certificate could be made.
    #[error("no certificate: {0}")]
    Certificate(String),
}

/// Why a command was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Too many commands wait, or their replies do.
    #[error("the command queue is full")]
    QueueFull,
    /// The engine is closed.
    #[error("the engine is closed")]
    Closed,
}

/// Threads that move media. Closed when dropped.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    handles: Vec<ShardHandle>,
    audio: Vec<AudioHandle>,
    audio_counters: Vec<Arc<AudioCounters>>,
    live: LiveHandle,
    live_counters: Arc<LiveCounters>,
    ingest: IngestHandle,
    ingest_counters: Arc<IngestCounters>,
    counters: Vec<Arc<Counters>>,
    listening: Vec<Vec<String>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    closed: AtomicBool,
}

impl Engine {
    /// Binds sockets and starts threads.
    pub fn start(config: EngineConfig) -> Result<Self, EngineError> {
        Self::start_with(config, Arc::default())
    }

    /// As [`Engine::start`]; live streams are put on `shelf`.
    pub fn start_with(config: EngineConfig, shelf: Arc<Shelf>) -> Result<Self, EngineError> {
        let (ips, announced) = check(&config)?;
        let system = |what| move |error| EngineError::System { what, error };
        let certificate =
            Certificate::generate().map_err(|error| EngineError::Certificate(error.to_string()))?;
        let shared = Arc::new(Shared {
            outbox: Outbox::new(config.event_queue).map_err(system("no event descriptor"))?,
            certificate: Arc::new(certificate),
            transports: AtomicUsize::new(0),
            loads: (0..config.shards).map(|_| AtomicUsize::new(0)).collect(),
            clock: wall_clock(),
            outlets: Outlets::default(),
            config,
        });
        let config = &shared.config;
        let mut seeds = SystemRandom;
        let mut handles = Vec::new();
        let mut parts = Vec::new();
        let (live, live_ends) = live::handle();
        let (ingest, ingest_ends) = ingest::handle().map_err(system("no event descriptor"))?;
        let ips = bind::expand(&ips)?;
        for index in 0..config.shards {
            let listeners = if config.udp || config.tcp {
                bind::bind_shard(&ips, config.webrtc_ports, config.udp, config.tcp)?
            } else {
                Vec::new()
            };
            let (handle, inbox) =
                inbox(config.command_queue).map_err(system("no command descriptor"))?;
            handles.push(handle);
            parts.push(ShardParts {
                index,
                shared: shared.clone(),
                handles: Vec::new(),
                audio: Vec::new(),
                live: live.clone(),
                inbox,
                counters: Arc::default(),
                candidates: bind::candidates(&listeners, &announced),
                listeners,
                seed: config
                    .seed
                    .map_or_else(|| seeds.next_u64(), |seed| seed.wrapping_add(index as u64)),
            });
        }
        let mut engine = Self {
            shared: shared.clone(),
            handles,
            audio: Vec::new(),
            audio_counters: Vec::new(),
            live,
            live_counters: Arc::default(),
            ingest,
            ingest_counters: Arc::default(),
            counters: Vec::new(),
            listening: Vec::new(),
            threads: Mutex::default(),
            closed: AtomicBool::new(false),
        };
        engine.start_audio()?;
        engine.start_live(live_ends, shelf)?;
        engine.start_ingest(ingest_ends)?;
        for part in parts {
            engine.spawn(part)?;
        }
        Ok(engine)
    }

    fn start_audio(&mut self) -> Result<(), EngineError> {
        for index in 0..self.shared.config.audio_threads {
            let counters = Arc::<AudioCounters>::default();
            let (shared, shards) = (self.shared.clone(), self.handles.clone());
            let (handle, thread) =
                audio::start(index, shared, shards, counters.clone()).map_err(|error| {
                    EngineError::System {
                        what: "no audio thread",
                        error,
                    }
                })?;
            self.audio.push(handle);
            self.audio_counters.push(counters);
            self.threads
                .get_mut()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push(thread);
        }
        Ok(())
    }

    fn start_live(&mut self, ends: LiveEnds, shelf: Arc<Shelf>) -> Result<(), EngineError> {
        let (shared, shards) = (self.shared.clone(), self.handles.clone());
        let thread = live::start(
            ends,
            shared,
            shards,
            self.live_counters.clone(),
            shelf,
            self.ingest.clone(),
        );
        let thread = thread.map_err(|error| EngineError::System {
            what: "no live thread",
            error,
        })?;
        self.threads
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(thread);
        Ok(())
    }

    fn start_ingest(&mut self, ends: IngestEnds) -> Result<(), EngineError> {
        let (shared, live) = (self.shared.clone(), self.live.clone());
        let thread = ingest::start(ends, shared, live, self.ingest_counters.clone());
        let thread = thread.map_err(|error| EngineError::System {
            what: "no ingest thread",
            error,
        })?;
        self.threads
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(thread);
        Ok(())
    }

    fn spawn(&mut self, mut parts: ShardParts) -> Result<(), EngineError> {
        parts.handles.clone_from(&self.handles);
        parts.audio.clone_from(&self.audio);
        self.counters.push(parts.counters.clone());
        let candidates = parts.candidates.iter();
        self.listening.push(
            candidates
                .map(|c| format!("{} {}", c.protocol, c.socket_address()))
                .collect(),
        );
        let name = format!("shard-{}", parts.index);
        let (started, wait) = std::sync::mpsc::sync_channel(1);
        let run = move || match Shard::new(parts) {
            Ok(mut shard) => {
                let _ = started.send(Ok(()));
                shard.run();
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        };
        let thread = std::thread::Builder::new().name(name).spawn(run);
        let thread = thread.map_err(|error| EngineError::System {
            what: "no thread",
            error,
        })?;
        self.threads
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(thread);
        let begun = wait
            .recv()
            .unwrap_or_else(|_| Err(std::io::Error::other("the thread ended at once")));
        begun.map_err(|error| EngineError::System {
            what: "no poller",
            error,
        })
    }

    /// Takes a command; its reply comes out of [`Engine::drain`].
    pub fn submit(&self, request: Request) -> Result<(), SubmitError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(SubmitError::Closed);
        }
        if !self.shared.outbox.admit(self.shared.config.command_queue) {
            return Err(SubmitError::QueueFull);
        }
        let id = request.id;
        if matches!(subject(&request.command), Subject::Live) {
            if self.live.request(request) {
                return Ok(());
            }
            self.shared.outbox.retract();
            return Err(SubmitError::Closed);
        }
        if matches!(subject(&request.command), Subject::Ingest) {
            if self.ingest.tell(ingest::Message::Request(request)) {
                return Ok(());
            }
            self.shared.outbox.retract();
            return Err(SubmitError::Closed);
        }
        match self.shard_for(&request.command) {
            Ok(shard) if self.handles[shard].request(request) => Ok(()),
            Ok(_) => {
                self.shared.outbox.retract();
                Err(SubmitError::QueueFull)
            }
            Err(result) => {
                self.shared.outbox.reply(id, result);
                Ok(())
            }
        }
    }

    /// Where a command goes, or its answer when it needs no shard.
    fn shard_for(&self, command: &Command) -> Result<usize, CommandResult> {
        let failed = |code, message| Err(CommandResult::Failed { code, message });
        let shards = self.handles.len();
        match subject(command) {
            Subject::Object(id) => {
                let shard = ids::shard_of(id);
                if shard < shards {
                    Ok(shard)
                } else {
                    failed(ErrorCode::NotFound, format!("there is no object {id}"))
                }
            }
            Subject::NewRouter(Some(shard)) if shard >= shards => {
                failed(ErrorCode::Invalid, format!("there is no shard {shard}"))
            }
            Subject::NewRouter(Some(shard)) => Ok(shard),
            Subject::NewRouter(None) => Ok(self.least_loaded()),
            Subject::Nothing => failed(ErrorCode::Invalid, "there is nothing to do".to_owned()),
            Subject::Ingest | Subject::Live | Subject::Engine => Err(CommandResult::Stats {
                reports: self.stats(),
            }),
        }
    }

    fn least_loaded(&self) -> usize {
        let loads = self
            .shared
            .loads
            .iter()
            .map(|load| load.load(Ordering::Relaxed));
        loads
            .enumerate()
            .min_by_key(|(_, load)| *load)
            .map_or(0, |(shard, _)| shard)
    }

    /// A descriptor that is readable while values wait.
    pub fn event_fd(&self) -> RawFd {
        self.shared.outbox.wake().as_raw_fd()
    }

    /// Waits until values can be drained, or the time is over; whether they can.
    pub fn wait(&self, timeout: Duration) -> bool {
        wait_readable(self.event_fd(), timeout)
    }

    /// Takes at most `limit` values.
    pub fn drain(&self, limit: usize) -> Vec<Outbound> {
        self.shared.outbox.drain(limit)
    }

    /// Takes a TCP connection of a WebRTC peer that came in on a port shared with something else, none of whose bytes
    /// has been read; whether it was taken. It goes to the shard its first check names.
    pub fn adopt(&self, stream: TcpStream) -> bool {
        let open = !self.closed.load(Ordering::Acquire);
        if open {
            self.handles[0].control(Control::Adopt {
                stream,
                bytes: Vec::new(),
            });
        }
        open
    }

    /// Takes the answer to a question; one that nobody waits for is counted and ignored.
    pub fn answer(&self, answer: values::Answer) {
        self.ingest.tell(ingest::Message::Answer(answer));
    }

    /// Counters: one report for the engine, one for each shard.
    pub fn stats(&self) -> Vec<Report> {
        let (depth, dropped, merged) = self.shared.outbox.depth();
        let mut engine = Report::new();
        engine.insert("id".into(), "engine".into());
        engine.insert("type".into(), "engine".into());
        engine.insert("shards".into(), self.handles.len().into());
        engine.insert("event_queue_depth".into(), depth.into());
        engine.insert("events_dropped".into(), dropped.into());
        engine.insert("events_merged".into(), merged.into());
        let mut reports = vec![engine];
        for (index, counters) in self.counters.iter().enumerate() {
            let mut report = counters.report();
            let runs = counters.gso_runs.get();
            let mean = if runs == 0 {
                0.0
            } else {
                counters.gso_segments.get() as f64 / runs as f64
            };
            report.insert("id".into(), format!("shard-{index}").into());
            report.insert("type".into(), "shard".into());
            report.insert("shard".into(), index.into());
            report.insert("gso_mean_run".into(), mean.into());
            report.insert(
                "command_queue_depth".into(),
                self.handles[index].waiting().into(),
            );
            report.insert("listening".into(), self.listening[index].join(", ").into());
            reports.push(report);
        }
        for (index, counters) in self.audio_counters.iter().enumerate() {
            let mut report = counters.report();
            report.insert("id".into(), format!("audio-{index}").into());
            report.insert("type".into(), "audio".into());
            report.insert("mixers".into(), self.audio[index].load().into());
            reports.push(report);
        }
        let mut report = self.live_counters.report();
        report.insert("id".into(), "live".into());
        report.insert("type".into(), "live".into());
        report.insert("packagers".into(), self.live.load().into());
        reports.push(report);
        let mut report = self.ingest_counters.report();
        report.insert("id".into(), "ingest".into());
        report.insert("type".into(), "ingests".into());
        reports.push(report);
        reports.extend(self.ingest.reports());
        reports
    }

    /// Tells the peers, ends the threads and waits for them. What they said last can still be drained.
    pub fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        for handle in &self.handles {
            handle.control(Control::Shutdown);
        }
        for handle in &self.audio {
            handle.tell(audio::Message::Shutdown);
        }
        // Before the live thread, which ends what it leaves.
        self.ingest.tell(ingest::Message::Shutdown);
        self.live.tell(live::Message::Shutdown);
        let mut threads = self
            .threads
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for thread in threads.drain(..) {
            // A thread that panicked is gone all the same.
            let _ = thread.join();
        }
    }

    /// Makes the live thread panic while it serves a packager.
    #[cfg(test)]
    pub(crate) fn inject_live_panic(&self, packager: u64) {
        self.live.tell(live::Message::PanicAt(packager));
    }

    /// Makes the shard panic when it next serves a transport, or at once in a router.
    #[cfg(test)]
    pub(crate) fn inject_panic(&self, id: u64) {
        self.handles[ids::shard_of(id)].control(Control::PanicAt(id));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

enum Subject {
    Object(u64),
    NewRouter(Option<usize>),
    Ingest,
    Live,
    Engine,
    Nothing,
}

/// The object whose shard does a command.
fn subject(command: &Command) -> Subject {
    match *command {
        Command::OpenRouter { shard } => Subject::NewRouter(shard),
        Command::GetEngineStats {} => Subject::Engine,
        Command::DoTogether { ref commands } => commands.first().map_or(Subject::Nothing, subject),
        Command::SwitchPackagerTrack(ref wish) => Subject::Object(wish.packager),
        Command::OpenTranscoder(_)
        | Command::CloseTranscoder(_)
        | Command::SetStreamSync(_)
        | Command::ShowStreamText(_)
        | Command::SetStreamEncryption(_)
        | Command::GetStreamSync(_)
        | Command::GetStreamPressure(_)
        | Command::OpenTrackTranscoder(_)
        | Command::CloseTrackTranscoder { .. } => Subject::Live,
        Command::OpenIngestListener { .. }
        | Command::OpenIngestInput { .. }
        | Command::OpenIngestPull { .. }
        | Command::SetIngestCertificate { .. }
        | Command::CloseIngestListener { .. }
        | Command::CloseIngest { .. }
        | Command::PointIngest(_)
        | Command::ClosePlayout { .. } => Subject::Ingest,
        Command::CloseRouter { router: id, .. }
        | Command::OpenWebRtcTransport { router: id, .. }
        | Command::OpenPlainTransport { router: id, .. }
        | Command::ObserveAudioLevels { router: id, .. }
        | Command::SetAudioTopN { router: id, .. }
        | Command::OpenMixer { router: id, .. }
        | Command::AddMixerInput { mixer: id, .. }
        | Command::AddMixerSource { mixer: id, .. }
        | Command::RemoveMixerInput { mixer: id, .. }
        | Command::AddMixerOutput { mixer: id, .. }
        | Command::CloseMixer { mixer: id }
        | Command::OpenPackager { router: id, .. }
        | Command::AddPackagerTrack { packager: id, .. }
        | Command::RemovePackagerTrack { packager: id, .. }
        | Command::ClosePackager { packager: id }
        | Command::OpenFeed { router: id }
        | Command::AddFeedTrack(FeedTrack { feed: id, .. })
        | Command::CloseFeed { feed: id }
        | Command::SendMixerDtmf { output: id, .. }
        | Command::ConnectWebRtcTransport { transport: id, .. }
        | Command::AddRemoteCandidates { transport: id, .. }
        | Command::RestartIce { transport: id, .. }
        | Command::ConnectPlainTransport { transport: id, .. }
        | Command::CloseTransport { transport: id }
        | Command::Produce { transport: id, .. }
        | Command::Consume { transport: id, .. }
        | Command::OpenChannel { transport: id, .. }
        | Command::CloseProducer { producer: id }
        | Command::PauseProducer { producer: id }
        | Command::ResumeProducer { producer: id }
        | Command::RequestKeyframe { producer: id }
        | Command::PipeProducer { producer: id, .. }
        | Command::SwitchSource { consumer: id, .. }
        | Command::CloseConsumer { consumer: id }
        | Command::PauseConsumer { consumer: id }
        | Command::ResumeConsumer { consumer: id }
        | Command::SetPreferredLayers { consumer: id, .. }
        | Command::SetConsumerLimits { consumer: id, .. }
        | Command::SetConsumerPriority { consumer: id, .. }
        | Command::SetAudioPinned { consumer: id, .. }
        | Command::CloseObserver { observer: id }
        | Command::SendMessage { channel: id, .. }
        | Command::CloseChannel { channel: id }
        | Command::GetStats { id }
        | Command::Dump { id } => Subject::Object(id),
    }
}

/// Listen addresses, and pairs of listen and announced address.
type Addresses = (Vec<IpAddr>, Vec<(IpAddr, IpAddr)>);

fn check(config: &EngineConfig) -> Result<Addresses, EngineError> {
    let wrong = |message: String| Err(EngineError::Config(message));
    if config.shards == 0 || config.shards > MAX_SHARDS {
        return wrong(format!(
            "shards is {}, it must be from 1 to {MAX_SHARDS}",
            config.shards
        ));
    }
    for (name, (first, last)) in [
        ("webrtc_ports", config.webrtc_ports),
        ("plain_ports", config.plain_ports),
    ] {
        if first > last || (first == 0 && last != 0) {
            return wrong(format!(
                "{name} is {first} to {last}, which is no range of ports"
            ));
        }
    }
    let line = &config.bandwidth;
    if line.min_bps == 0 || line.min_bps > line.start_bps || line.start_bps > line.max_bps {
        return wrong(format!(
            "bandwidth is {} to {} bit/s and starts at {}, which is no order",
            line.min_bps, line.max_bps, line.start_bps
        ));
    }
    let queues = [
        ("event_queue", config.event_queue),
        ("command_queue", config.command_queue),
    ];
    if let Some((name, _)) = queues.into_iter().find(|(_, size)| *size == 0) {
        return wrong(format!("{name} must not be 0"));
    }
    let address = |name: &str, text: &str| {
        text.parse::<IpAddr>()
            .map_err(|_| EngineError::Config(format!("{name}: {text:?} is no IP address")))
    };
    let ips = config
        .listen_ips
        .iter()
        .map(|ip| address("listen_ips", ip))
        .collect::<Result<_, _>>()?;
    let announced = config
        .announced_ips
        .iter()
        .map(|(from, to)| {
            Ok((
                address("announced_ips", from)?,
                address("announced_ips", to)?,
            ))
        })
        .collect::<Result<_, EngineError>>()?;
    Ok((ips, announced))
}

fn wall_clock() -> WallClock {
    let wall = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let fraction = (u64::from(wall.subsec_nanos()) << 32) / 1_000_000_000;
    WallClock {
        at: Instant::now(),
        ntp: ((wall.as_secs() + NTP_TO_UNIX) << 32) | fraction,
    }
}
