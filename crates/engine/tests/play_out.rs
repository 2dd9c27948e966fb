//! Streams are played out by SRT, over real sockets: what is published is read, and who may not read is told why.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use bytes::Bytes;
use roomtone_engine::Engine;
use roomtone_engine::values::{
    Answer, Command, CommandResult, Denial, EngineConfig, Event as EngineEvent, IngestPort,
    IngestProtocol, Listing, Outbound, PlayoutEnd, Request,
};
use roomtone_frames::{AccessUnit, Format, OpusFormat};
use roomtone_mpegts::{Demuxer, Event, MuxTrack, Muxer, MuxerConfig};
use roomtone_srt::{DialConfig, DialEvent, Dialer, MAX_DATAGRAM, RejectReason};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(40);
/// Ticks of 48 kHz of a frame of 20 ms.
const FRAME: i64 = 960;

/// One that calls.
struct Caller {
    socket: UdpSocket,
    dialer: Dialer,
    demuxer: Demuxer,
    /// The first byte of each unit that was read.
    got: Vec<u8>,
    connected: bool,
    refused: Option<RejectReason>,
    closed: bool,
}

impl Caller {
    fn new(port: u16, stream_id: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        socket.connect(to).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        let config = DialConfig {
            stream_id: stream_id.to_owned(),
            ..DialConfig::default()
        };
        let dialer = Dialer::call(to, config, &[port as u8; 32], Instant::now()).unwrap();
        Self {
            socket,
            dialer,
            demuxer: Demuxer::default(),
            got: Vec::new(),
            connected: false,
            refused: None,
            closed: false,
        }
    }

    fn turn(&mut self) {
        let mut datagram = [0; MAX_DATAGRAM];
        while let Ok(len) = self.socket.recv(&mut datagram) {
            self.dialer
                .handle_datagram(&mut datagram[..len], Instant::now());
        }
        let now = Instant::now();
        self.dialer.handle_timeout(now);
        while let Some(message) = self.dialer.poll_message(now) {
            self.demuxer.handle_bytes(message.payload);
        }
        while let Some(event) = self.demuxer.poll_event() {
            if let Event::Unit { unit, .. } = event {
                self.got.push(unit.data[0]);
            }
        }
        while let Some(len) = self.dialer.poll_transmit(now, &mut datagram) {
            let _ = self.socket.send(&datagram[..len]);
        }
        while let Some(event) = self.dialer.poll_event() {
            match event {
                DialEvent::Connected { .. } => self.connected = true,
                DialEvent::Refused(reason) => self.refused = Some(reason),
                DialEvent::Closed(_) => self.closed = true,
            }
        }
    }
}

/// Sends sound as it is due.
struct Publisher {
    caller: Caller,
    muxer: Muxer,
    track: MuxTrack,
    begun: Instant,
    sent: i64,
}

impl Publisher {
    fn new(port: u16, name: &str) -> Self {
        let mut muxer = Muxer::new(MuxerConfig::default());
        let format = Format::Opus(OpusFormat {
            channels: 2,
            pre_skip: 0,
        });
        Self {
            caller: Caller::new(port, &format!("publish:{name}")),
            track: muxer.add_track(format, None).unwrap(),
            muxer,
            begun: Instant::now(),
            sent: 0,
        }
    }

    fn turn(&mut self) {
        self.caller.turn();
        while self.caller.connected
            && self.begun.elapsed() > Duration::from_millis(20 * self.sent as u64)
        {
            // A frame of CELT, 20 ms, stereo (RFC 6716 section 3.1); the rest is what is looked for.
            let mut data = vec![0xfc, 0xff, 0xfe];
            data.extend_from_slice(&self.sent.to_be_bytes());
            let unit = AccessUnit {
                dts: self.sent * FRAME,
                pts: self.sent * FRAME,
                keyframe: true,
                data: Bytes::from(data),
            };
            self.muxer.handle_unit(self.track, &unit).unwrap();
            while let Some(rest) = self.muxer.poll_rest() {
                let _ = self.caller.dialer.send(&rest, Instant::now());
            }
            self.sent += 1;
        }
    }
}

/// An engine with a port, and who answers its questions.
struct Stage {
    engine: Engine,
    port: u16,
    events: Vec<EngineEvent>,
    results: Vec<CommandResult>,
    asked: Vec<(String, String)>,
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
        let mut stage = Self {
            engine: Engine::start(config).unwrap(),
            port: 0,
            events: Vec::new(),
            results: Vec::new(),
            asked: Vec::new(),
        };
        let opened = stage.call(Command::OpenIngestListener {
            port: IngestPort {
                protocol: IngestProtocol::Srt,
                address: "127.0.0.1:0".into(),
                passphrase: None,
                latency_ms: 120,
                certificate: None,
            },
            listing: Listing {
                window_ms: 20_000,
                part_ms: None,
                encryption: None,
            },
        });
        let CommandResult::IngestListenerOpened { port, .. } = opened else {
            panic!("{opened:?}");
        };
        stage.port = port;
        stage
    }

    fn call(&mut self, command: Command) -> CommandResult {
        self.engine.submit(Request { id: 1, command }).unwrap();
        let until = Instant::now() + PATIENCE;
        while self.results.is_empty() {
            assert!(Instant::now() < until, "no reply");
            self.engine.wait(Duration::from_millis(100));
            self.turn();
        }
        self.results.remove(0)
    }

    /// Answers by the credential: `no` has no rights, `wrong` opens nothing, `much` is one too many.
    fn turn(&mut self) {
        for value in self.engine.drain(1_000) {
            match value {
                Outbound::Reply { result, .. } => self.results.push(result),
                Outbound::Event { event, .. } => self.events.push(event),
                Outbound::Question {
                    id,
                    topic,
                    subject,
                    credential,
                    ..
                } => {
                    let denial = match credential.as_deref() {
                        Some("no") => Some(Denial::Rights),
                        Some("wrong") => Some(Denial::Credential),
                        Some("much") => Some(Denial::Limit),
                        _ => None,
                    };
                    self.asked.push((topic, subject));
                    self.engine.answer(Answer {
                        id,
                        allowed: denial.is_none(),
                        detail: String::new(),
                        denial: denial.unwrap_or_default(),
                        listing: None,
                    });
                }
            }
        }
    }

    fn run(
        &mut self,
        publisher: &mut Publisher,
        callers: &mut [Caller],
        done: impl Fn(&Self, &[Caller]) -> bool,
    ) {
        let until = Instant::now() + PATIENCE;
        while !done(self, callers) {
            assert!(Instant::now() < until, "{:?}", self.events);
            self.turn();
            publisher.turn();
            callers.iter_mut().for_each(Caller::turn);
        }
    }

    fn ended(&self) -> Vec<PlayoutEnd> {
        let ended = self.events.iter().filter_map(|event| match event {
            EngineEvent::PlayoutEnded { reason, .. } => Some(*reason),
            _ => None,
        });
        ended.collect()
    }

    fn playouts(&self) -> Vec<u64> {
        let begun = self.events.iter().filter_map(|event| match event {
            EngineEvent::PlayoutStarted { playout, .. } => Some(*playout),
            _ => None,
        });
        begun.collect()
    }
}

#[test]
fn what_is_published_is_read_whole_until_the_stream_ends_or_the_reader_is_sent_away() {
    let mut stage = Stage::new();
    let mut publisher = Publisher::new(stage.port, "stage");
    let began = |stage: &Stage, _: &[Caller]| {
        let mut events = stage.events.iter();
        events.any(|event| matches!(event, EngineEvent::IngestStarted { .. }))
    };
    stage.run(&mut publisher, &mut [], began);
    // One comes before the lists have begun, the others by the other form and later.
    let mut callers = vec![Caller::new(stage.port, "read:stage")];
    stage.run(&mut publisher, &mut callers, |_, callers| {
        callers[0].got.len() > 20
    });
    callers.push(Caller::new(stage.port, "#!::r=stage,m=request"));
    stage.run(&mut publisher, &mut callers, |stage, callers| {
        callers.iter().all(|one| one.got.len() > 80) && stage.playouts().len() == 2
    });
    for caller in &callers {
        assert_eq!(caller.demuxer.stats().continuity_errors, 0);
        assert!(caller.got.iter().all(|byte| *byte == 0xfc));
    }
    assert!(stage.asked.contains(&("play".into(), "stage".into())));
    let report = |stage: &Stage, playout: u64| {
        let reports = stage.engine.stats();
        let id = format!("playout-{playout}");
        let mut found = reports.into_iter();
        found.find(|report| {
            report
                .get("id")
                .is_some_and(|one| *one == id.as_str().into())
        })
    };
    let playouts = stage.playouts();
    assert!(report(&stage, playouts[0]).is_some());
    let closed = stage.call(Command::ClosePlayout {
        playout: playouts[0],
    });
    assert_eq!(closed, CommandResult::Done {});
    let again = stage.call(Command::ClosePlayout {
        playout: playouts[0],
    });
    assert!(matches!(again, CommandResult::Failed { .. }));
    stage.run(&mut publisher, &mut callers, |_, callers| callers[0].closed);
    assert!(!callers[1].closed);
    let packager = stage.events.iter().find_map(|event| match event {
        EngineEvent::IngestStarted { packager, .. } => Some(*packager),
        _ => None,
    });
    let packager = packager.unwrap();
    stage.call(Command::CloseIngest { packager });
    stage.run(&mut publisher, &mut callers, |stage, callers| {
        callers[1].closed && stage.ended().len() == 2
    });
    assert_eq!(
        stage.ended(),
        [PlayoutEnd::Requested, PlayoutEnd::StreamEnded]
    );
}

#[test]
fn who_may_not_read_is_told_why() {
    let mut stage = Stage::new();
    let mut publisher = Publisher::new(stage.port, "stage");
    let refusals = [
        ("read:stage:ann:wrong", RejectReason::Unauthorized),
        ("read:stage:ann:no", RejectReason::Forbidden),
        ("#!::r=stage,m=request,s=much", RejectReason::Overload),
        ("read:nothing", RejectReason::NotFound),
        ("#!::r=stage,m=bidirectional", RejectReason::BadMode),
        ("read:not/a/name", RejectReason::BadRequest),
    ];
    let mut callers: Vec<Caller> = refusals
        .iter()
        .map(|(id, _)| Caller::new(stage.port, id))
        .collect();
    stage.run(&mut publisher, &mut callers, |_, callers| {
        callers.iter().all(|one| one.refused.is_some())
    });
    for (caller, (id, reason)) in callers.iter().zip(refusals) {
        assert_eq!(caller.refused, Some(reason), "{id}");
    }
    assert!(stage.playouts().is_empty());
}
