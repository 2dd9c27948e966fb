//! An engine that takes one stream, and a process that codes it anew and can be told to take little.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use roomtone_engine::Engine;
use roomtone_engine::values::{
    Answer, Command, CommandResult, Denial, EngineConfig, Event, IngestPace, IngestPort,
    IngestProtocol, IngestPull, Listing, MediaKind, Outbound, PressureLevel, Report, Request,
    StatValue, StreamQueues, StreamTranscoding,
};

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

const LISTING: Listing = Listing {
    window_ms: 20_000,
    part_ms: None,
    encryption: None,
};

pub(crate) struct Stage {
    engine: Engine,
    /// Where the engine listens.
    pub(crate) port: u16,
    events: Vec<Event>,
    results: Vec<CommandResult>,
    process: Option<Process>,
    until: Instant,
}

impl Stage {
    fn new() -> Self {
        let config = EngineConfig {
            shards: 1,
            listen_ips: vec!["127.0.0.1".into()],
            webrtc_ports: (0, 0),
            plain_ports: (0, 0),
            ..EngineConfig::default()
        };
        Self {
            engine: Engine::start(config).unwrap(),
            port: 0,
            events: Vec::new(),
            results: Vec::new(),
            process: None,
            until: Instant::now() + PATIENCE,
        }
    }

    /// With a port for one encoder.
    pub(crate) fn listening(protocol: IngestProtocol) -> Self {
        let mut stage = Self::new();
        let opened = stage.call(Command::OpenIngestListener {
            port: IngestPort {
                protocol,
                address: "127.0.0.1:0".into(),
                passphrase: None,
                latency_ms: 120,
                certificate: None,
            },
            listing: LISTING,
        });
        let CommandResult::IngestListenerOpened { port, .. } = opened else {
            panic!("{opened:?}");
        };
        stage.port = port;
        stage
    }

    /// Which fetches a stream.
    pub(crate) fn pulling(origin: IngestPull) -> Self {
        let mut stage = Self::new();
        let opened = stage.call(Command::OpenIngestPull {
            name: "cam".into(),
            origin,
            listing: LISTING,
        });
        let is_open = matches!(opened, CommandResult::IngestPullOpened { .. });
        assert!(is_open, "{opened:?}");
        stage
    }

    fn call(&mut self, command: Command) -> CommandResult {
        self.engine.submit(Request { id: 1, command }).unwrap();
        while self.results.is_empty() {
            self.turn();
        }
        self.results.remove(0)
    }

    /// Hear what the engine says, for a millisecond at most. Everybody may publish.
    pub(crate) fn turn(&mut self) {
        assert!(Instant::now() < self.until, "{:?}", self.events);
        self.engine.wait(Duration::from_millis(1));
        for value in self.engine.drain(1_000) {
            match value {
                Outbound::Reply { result, .. } => self.results.push(result),
                Outbound::Event { event, .. } => self.events.push(event),
                Outbound::Question { id, .. } => self.engine.answer(Answer {
                    id,
                    allowed: true,
                    detail: String::new(),
                    denial: Denial::default(),
                    listing: None,
                }),
            }
        }
    }

    /// The stream, once somebody publishes it.
    pub(crate) fn packager(&self) -> Option<u64> {
        self.events.iter().find_map(|event| match event {
            Event::IngestStarted { packager, .. } => Some(*packager),
            _ => None,
        })
    }

    /// A process comes that codes sound or pictures anew, which are in no list as they are.
    pub(crate) fn begin_coding(&mut self, kind: MediaKind, name: &str) {
        let path = std::env::temp_dir().join(format!("roomtone-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let packager = self.packager().unwrap();
        let opened = self.call(Command::OpenTranscoder(StreamTranscoding {
            packager,
            kind,
            path: path.to_str().unwrap().to_owned(),
            keep: false,
            paces: false,
        }));
        assert!(
            matches!(opened, CommandResult::TranscoderOpened { .. }),
            "{opened:?}"
        );
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_nonblocking(true).unwrap();
        self.process = Some(Process::new(stream));
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    /// What the queue of the process has dropped: units, and groups of pictures.
    pub(crate) fn dropped(&mut self) -> (u64, u64) {
        let packager = self.packager().unwrap();
        let told = self.call(Command::GetStreamPressure(StreamQueues {
            packager,
            tracks: Vec::new(),
        }));
        let CommandResult::Stats { reports } = told else {
            panic!("{told:?}");
        };
        let is_of_it = |report: &&Report| report["kind"] == StatValue::from("transcoder");
        let queue = reports.iter().find(is_of_it).unwrap();
        (
            number(queue, "unitsDropped"),
            number(queue, "groupsDropped"),
        )
    }

    pub(crate) fn paces(&self) -> Vec<IngestPace> {
        let paces = self.events.iter().filter_map(|event| match event {
            Event::IngestPaced { pace, .. } => Some(*pace),
            _ => None,
        });
        paces.collect()
    }

    pub(crate) fn levels(&self) -> Vec<PressureLevel> {
        let levels = self.events.iter().filter_map(|event| match event {
            Event::PackagerPressed { level, .. } => Some(*level),
            _ => None,
        });
        levels.collect()
    }
}

fn number(report: &Report, name: &str) -> u64 {
    match report[name] {
        StatValue::Unsigned(number) => number,
        ref other => panic!("{name} is {other:?}"),
    }
}

/// One that codes anew, as far as it takes what it is given.
pub(crate) struct Process {
    stream: UnixStream,
    held: Vec<u8>,
    /// What it was given, and how many times it was told that something was left out.
    pub(crate) units: u64,
    pub(crate) skips: u64,
}

impl Process {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            held: Vec::new(),
            units: 0,
            skips: 0,
        }
    }

    /// Take so much of what is there.
    pub(crate) fn take(&mut self, bytes: usize) {
        let mut space = vec![0; bytes];
        if let Ok(len) = self.stream.read(&mut space) {
            assert!(len > 0, "the engine has left");
            self.held.extend_from_slice(&space[..len]);
        }
        // A message is its length, and one byte of kind.
        let mut at = 0;
        while let Some(head) = self.held[at..].first_chunk::<5>() {
            let [a, b, c, d, kind] = *head;
            let end = at + 4 + u32::from_be_bytes([a, b, c, d]) as usize;
            if self.held.len() < end {
                break;
            }
            self.units += u64::from(kind == 2);
            self.skips += u64::from(kind == 4);
            at = end;
        }
        self.held.drain(..at);
    }
}
