//! Encoders are slowed down by who takes their stream too slowly, over real sockets: nothing is lost on the way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use roomtone_engine::Engine;
use roomtone_engine::values::{
    Answer, Command, CommandResult, EngineConfig, Event, IngestPace, IngestPort, IngestProtocol,
    Listing, MediaKind, Outbound, PressureLevel, Request, StreamTranscoding,
};
use roomtone_frames::{AccessUnit, Format, OpusFormat};
use roomtone_mpegts::{MuxTrack, Muxer, MuxerConfig};
use roomtone_rtmp::{Client, ClientConfig, ClientEvent, Media, Purpose, Target};
use roomtone_srt::{DialConfig, DialEvent, Dialer, MAX_DATAGRAM};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);
/// Turns for which who codes anew takes nothing after the encoder was slowed: what it could send in that time would
/// overflow what waits.
const STILL: u32 = 200;
/// Kinds of messages to who codes anew.
const UNIT: u8 = 2;
const SKIPPED: u8 = 4;

/// An engine with a port for one encoder, and a process that codes its sound anew and can be told to take nothing.
struct Stage {
    engine: Engine,
    port: u16,
    events: Vec<Event>,
    results: Vec<CommandResult>,
    process: Option<UnixStream>,
    got: Vec<u8>,
    /// First bytes of units it was given, as a number, and units that it was told are left out.
    units: Vec<u32>,
    skipped: u32,
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
            got: Vec::new(),
            units: Vec::new(),
            skipped: 0,
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
            self.got.extend_from_slice(&space[..len]);
        }
        let mut at = 0;
        while let Some(length) = self.got.get(at..at + 4) {
            let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
            let Some(body) = self.got.get(at + 4..at + 4 + length) else {
                break;
            };
            let number = |from: usize| u32::from_be_bytes(body[from..from + 4].try_into().unwrap());
            match body[0] {
                UNIT => self.units.push(number(18)),
                SKIPPED => self.skipped += number(1),
                _ => {}
            }
            at += 4 + length;
        }
        self.got.drain(..at);
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

/// An encoder of RTMP that sends as fast as it is taken: one frame a turn.
struct RtmpEncoder {
    stream: TcpStream,
    client: Client,
    rest: Bytes,
    started: bool,
    sent: u32,
}

impl RtmpEncoder {
    const FRAME_BYTES: usize = 8 << 10;

    fn new(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nonblocking(true).unwrap();
        let target = Target::parse(&format!("rtmp://127.0.0.1:{port}/live/cam")).unwrap();
        let config = ClientConfig::new(target, Purpose::Publish);
        Self {
            stream,
            client: Client::new(config, [7; 32], Instant::now()),
            rest: Bytes::new(),
            started: false,
            sent: 0,
        }
    }

    /// Whether all it has said is in the hands of the kernel.
    fn turn(&mut self) -> bool {
        let mut space = [0; 16 << 10];
        while let Ok(len) = self.stream.read(&mut space) {
            assert!(len > 0, "the engine has left: {:?}", self.client.ended());
            self.client.handle_bytes(&space[..len], Instant::now());
        }
        while let Some(event) = self.client.poll_event() {
            self.started |= event == ClientEvent::Started;
        }
        loop {
            if self.rest.is_empty() {
                match self.client.poll_output() {
                    Some(output) => self.rest = output,
                    None => return true,
                }
            }
            match self.stream.write(&self.rest) {
                Ok(len) => drop(self.rest.split_to(len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn send_config(&mut self) {
        let config = Bytes::from_static(&[0xaf, 0, 0x11, 0x90]);
        assert!(self.client.send_media(Media::Audio, 0, config));
    }

    fn send_frame(&mut self) {
        let mut frame = vec![0xaf, 1];
        frame.extend_from_slice(&self.sent.to_be_bytes());
        frame.resize(Self::FRAME_BYTES, 0x5a);
        // Two frames of 1024 samples are 43 ms; times are not what this is about.
        let at = self.sent * 21;
        assert!(self.client.send_media(Media::Audio, at, frame.into()));
        self.sent += 1;
    }
}

#[test]
fn an_encoder_of_rtmp_waits_for_who_codes_its_stream_anew_and_nothing_is_lost() {
    use PressureLevel::{Critical, Elevated, High};
    const FRAMES: u32 = 1_800;
    let mut stage = Stage::new(IngestProtocol::Rtmp);
    let mut encoder = RtmpEncoder::new(stage.port);
    let until = Instant::now() + PATIENCE;
    while !(encoder.started && stage.packager().is_some()) {
        assert!(Instant::now() < until);
        stage.turn();
        encoder.turn();
    }
    encoder.send_config();
    encoder.send_frame();
    stage.begin_coding("rtmp");
    // Nothing is taken before the encoder is slowed, nor for a while after.
    let (mut slowed, mut still) = (0, 0);
    while stage.units.len() < FRAMES as usize {
        let paces = stage.paces();
        assert!(
            Instant::now() < until,
            "{} of {} units, {paces:?}",
            stage.units.len(),
            encoder.sent
        );
        stage.turn();
        if encoder.turn() && encoder.sent < FRAMES {
            encoder.send_frame();
        }
        let slowdowns = paces.iter().filter(|pace| **pace == IngestPace::Slowed);
        let slowdowns = slowdowns.count();
        if slowdowns > slowed {
            (slowed, still) = (slowdowns, STILL);
        }
        let takes = paces.last() == Some(&IngestPace::Slowed) || encoder.sent == FRAMES;
        if takes && still == 0 {
            stage.take();
        }
        still = still.saturating_sub(1);
    }
    assert_eq!(stage.units, (0..FRAMES).collect::<Vec<_>>());
    assert_eq!(stage.skipped, 0);
    let paces = stage.paces();
    assert_eq!(paces[..2], [IngestPace::Slowed, IngestPace::Free]);
    assert!(!paces.contains(&IngestPace::GivenUp), "{paces:?}");
    assert_eq!(stage.levels()[..3], [Elevated, High, Critical]);
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
