//! An encoder of SRT is slowed down by who takes its stream too slowly, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use roomtone_engine::Engine;
use roomtone_engine::values::{
    Answer, Command, CommandResult, EngineConfig, Event, IngestPace, IngestPort, IngestProtocol,
    Listing, MediaKind, Outbound, PressureLevel, Request, StreamTranscoding,
};
use roomtone_frames::{AccessUnit, Format, OpusFormat};
use roomtone_mpegts::{MuxTrack, Muxer, MuxerConfig};
use roomtone_srt::{DialConfig, DialEvent, Dialer, MAX_DATAGRAM};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);
/// An engine with a port for one encoder, and a process that codes its sound anew and can be told to take nothing.
struct Stage {
    engine: Engine,
    port: u16,
    events: Vec<Event>,
    results: Vec<CommandResult>,
    process: Option<UnixStream>,
}

impl Stage {
    fn new(protocol: IngestProtocol) -> Self {
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
            process: None,
        };
        let opened = stage.call(Command::OpenIngestListener {
            port: IngestPort {
                protocol,
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
            self.turn();
        }
        self.results.remove(0)
    }

    /// Everybody may publish.
    fn turn(&mut self) {
        self.engine.wait(Duration::from_millis(1));
        for value in self.engine.drain(1_000) {
            match value {
                Outbound::Reply { result, .. } => self.results.push(result),
                Outbound::Event { event, .. } => self.events.push(event),
                Outbound::Question { id, .. } => self.engine.answer(Answer {
                    id,
                    allowed: true,
                    detail: String::new(),
                    denial: roomtone_engine::values::Denial::default(),
                }),
            }
        }
    }

    fn packager(&self) -> Option<u64> {
        self.events.iter().find_map(|event| match event {
            Event::IngestStarted { packager, .. } => Some(*packager),
            _ => None,
        })
    }

    /// A process comes that codes the sound anew, which is in no list as it is.
    fn begin_coding(&mut self, name: &str) {
        let path = std::env::temp_dir().join(format!("roomtone-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let packager = self.packager().unwrap();
        let opened = self.call(Command::OpenTranscoder(StreamTranscoding {
            packager,
            kind: MediaKind::Audio,
            path: path.to_str().unwrap().to_owned(),
            keep: false,
        }));
        assert!(
            matches!(opened, CommandResult::TranscoderOpened { .. }),
            "{opened:?}"
        );
        let process = UnixStream::connect(&path).unwrap();
        process.set_nonblocking(true).unwrap();
        self.process = Some(process);
    }

    /// The process takes all that is there.
    fn take(&mut self) {
        let mut space = [0; 16 << 10];
        while let Ok(len) = self.process.as_mut().unwrap().read(&mut space) {
            assert!(len > 0, "the engine has left");
        }
    }

    fn paces(&self) -> Vec<IngestPace> {
        let paces = self.events.iter().filter_map(|event| match event {
            Event::IngestPaced { pace, .. } => Some(*pace),
            _ => None,
        });
        paces.collect()
    }

    fn levels(&self) -> Vec<PressureLevel> {
        let levels = self.events.iter().filter_map(|event| match event {
            Event::PackagerPressed { level, .. } => Some(*level),
            _ => None,
        });
        levels.collect()
    }
}

/// An encoder of SRT.
struct SrtEncoder {
    socket: UdpSocket,
    dialer: Dialer,
    muxer: Muxer,
    track: MuxTrack,
    connected: bool,
    begun: Instant,
    sent: u32,
}

impl SrtEncoder {
    /// More than two packets each 10 ms, and so few that what is on its way finds a place.
    const FRAMES_A_SECOND: u64 = 400;

    fn new(port: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        socket.connect(to).unwrap();
        socket.set_nonblocking(true).unwrap();
        let config = DialConfig {
            stream_id: "publish:cam".to_owned(),
            ..DialConfig::default()
        };
        let mut muxer = Muxer::new(MuxerConfig::default());
        let format = Format::Opus(OpusFormat {
            channels: 2,
            pre_skip: 0,
        });
        Self {
            socket,
            dialer: Dialer::call(to, config, &[9; 32], Instant::now()).unwrap(),
            track: muxer.add_track(format, None).unwrap(),
            muxer,
            connected: false,
            begun: Instant::now(),
            sent: 0,
        }
    }

    fn turn(&mut self) {
        let mut datagram = [0; MAX_DATAGRAM];
        while let Ok(len) = self.socket.recv(&mut datagram) {
            let datagram = &mut datagram[..len];
            self.dialer.handle_datagram(datagram, Instant::now());
        }
        let now = Instant::now();
        self.dialer.handle_timeout(now);
        while let Some(event) = self.dialer.poll_event() {
            self.connected |= matches!(event, DialEvent::Connected { .. });
        }
        while let Some(len) = self.dialer.poll_transmit(now, &mut datagram) {
            let _ = self.socket.send(&datagram[..len]);
        }
    }

    fn send_due(&mut self) {
        let due = self.begun.elapsed().as_millis() as u64 * Self::FRAMES_A_SECOND / 1_000;
        while u64::from(self.sent) < due {
            self.send_frame();
        }
    }

    /// A frame of CELT, 20 ms, stereo (RFC 6716 section 3.1), and what a packet has at most.
    fn send_frame(&mut self) {
        let mut data = vec![0xfc];
        data.resize(1_200, 0x5a);
        let at = i64::from(self.sent) * 960;
        let unit = AccessUnit {
            dts: at,
            pts: at,
            keyframe: true,
            data: data.into(),
        };
        self.muxer.handle_unit(self.track, &unit).unwrap();
        while let Some(rest) = self.muxer.poll_rest() {
            // What it has no place for is too old soon.
            let _ = self.dialer.send(&rest, Instant::now());
        }
        self.sent += 1;
    }

    /// Packets sent, and acknowledgements heard.
    fn figures(&self) -> (u64, u64) {
        let stats = self.dialer.stats().unwrap();
        (stats.sent, stats.acks_received)
    }
}

#[test]
fn an_encoder_of_srt_is_told_of_a_small_window_and_then_of_a_large_one() {
    let mut stage = Stage::new(IngestProtocol::Srt);
    let mut encoder = SrtEncoder::new(stage.port);
    let until = Instant::now() + PATIENCE;
    while !(encoder.connected && stage.packager().is_some()) {
        assert!(Instant::now() < until);
        stage.turn();
        encoder.turn();
    }
    stage.begin_coding("srt");
    encoder.begun = Instant::now();
    let turn = |stage: &mut Stage, encoder: &mut SrtEncoder| {
        assert!(Instant::now() < until, "{:?}", stage.levels());
        stage.turn();
        encoder.send_due();
        encoder.turn();
    };
    while stage.paces().is_empty() {
        turn(&mut stage, &mut encoder);
    }
    assert_eq!(stage.paces(), [IngestPace::Slowed]);
    // What is on its way when it hears of it is no matter.
    let (_, acks) = encoder.figures();
    while encoder.figures().1 < acks + 3 {
        turn(&mut stage, &mut encoder);
    }
    let (sent, acks) = encoder.figures();
    while encoder.figures().1 < acks + 8 {
        turn(&mut stage, &mut encoder);
    }
    let (sent, acks) = (encoder.figures().0 - sent, encoder.figures().1 - acks);
    assert!(
        sent <= 2 * (acks + 1),
        "{sent} packets for {acks} acknowledgements"
    );
    assert_eq!(stage.paces(), [IngestPace::Slowed]);
    while stage.paces().last() != Some(&IngestPace::Free) {
        stage.take();
        turn(&mut stage, &mut encoder);
    }
    let (sent, acks) = encoder.figures();
    while encoder.figures().0 < sent + 500 {
        stage.take();
        turn(&mut stage, &mut encoder);
    }
    let acks = encoder.figures().1 - acks;
    assert!(acks < 200, "{acks} acknowledgements for 500 packets");
}
