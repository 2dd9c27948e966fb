//! An engine on loopback and what a test says to it. Every wait is for an event, with a bound that only catches hangs.
#![allow(
    dead_code,
    clippy::wildcard_imports,
    reason = "each test file uses its own part"
)]

pub(crate) mod peer;
pub(crate) mod stage;

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use roomtone_engine::Engine;
use roomtone_engine::values::{
    CodecParameters, Command, CommandResult, EncodingParameters, EngineConfig, ErrorCode, Event,
    Latching, MediaKind, Outbound, Report, Request, StatValue,
};
use roomtone_hls::Shelf;

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A configuration for loopback with ports the kernel chooses.
pub(crate) fn config(shards: usize) -> EngineConfig {
    EngineConfig {
        shards,
        listen_ips: vec!["127.0.0.1".into()],
        webrtc_ports: (0, 0),
        plain_ports: (0, 0),
        seed: Some(7),
        ..EngineConfig::default()
    }
}

pub(crate) struct Harness {
    pub(crate) engine: Engine,
    next: u64,
    events: VecDeque<Event>,
}

impl Harness {
    pub(crate) fn new(config: EngineConfig) -> Self {
        Self::with_shelf(config, Arc::default())
    }

    /// Live streams are put on `shelf`.
    pub(crate) fn with_shelf(config: EngineConfig, shelf: Arc<Shelf>) -> Self {
        Self {
            engine: Engine::start_with(config, shelf).unwrap(),
            next: 1,
            events: VecDeque::new(),
        }
    }

    /// Sends a command and waits for its reply; events that come before are kept.
    pub(crate) fn call(&mut self, command: Command) -> CommandResult {
        let wanted = self.next;
        self.next += 1;
        self.engine
            .submit(Request {
                id: wanted,
                command,
            })
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        let mut answer = None;
        while answer.is_none() {
            for value in self.take(deadline) {
                match value {
                    Outbound::Reply { id, result } if id == wanted => answer = Some(result),
                    Outbound::Event { event, .. } => self.events.push_back(event),
                    other => panic!("unexpected {other:?}"),
                }
            }
        }
        answer.unwrap()
    }

    fn take(&self, deadline: Instant) -> Vec<Outbound> {
        let left = deadline
            .checked_duration_since(Instant::now())
            .expect("nothing came in time");
        assert!(
            self.engine.wait(left),
            "nothing came in time; events so far {:?}",
            self.events
        );
        self.engine.drain(1000)
    }

    /// Waits for the first event for which `wanted` gives a value, and takes it; others are kept.
    pub(crate) fn event<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let hit = self
                .events
                .iter()
                .enumerate()
                .find_map(|(at, event)| Some((at, wanted(event)?)));
            if let Some((at, found)) = hit {
                self.events.remove(at);
                return found;
            }
            for value in self.take(deadline) {
                if let Outbound::Event { event, .. } = value {
                    self.events.push_back(event);
                }
            }
        }
    }

    pub(crate) fn done(&mut self, command: Command) {
        assert_eq!(self.call(command), CommandResult::Done {});
    }

    pub(crate) fn refused(&mut self, command: Command) -> ErrorCode {
        match self.call(command) {
            CommandResult::Failed { code, .. } => code,
            other => panic!("not refused: {other:?}"),
        }
    }

    pub(crate) fn router(&mut self, shard: Option<usize>) -> u64 {
        match self.call(Command::OpenRouter { shard }) {
            CommandResult::RouterOpened { router, .. } => router,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn plain(&mut self, options: PlainOptions) -> (u64, SocketAddr, SocketAddr) {
        let command = Command::OpenPlainTransport {
            router: options.router,
            listen_ip: options.ip.clone(),
            rtcp_mux: options.rtcp_mux,
            latching: options.latching,
            rebind_silence_ms: 1000,
            srtp: options.srtp,
            secure: options.secure,
            dtls: options.dtls,
            dscp: options.dscp,
            extended_reports: options.extended_reports,
            cname: "test".into(),
        };
        match self.call(command) {
            CommandResult::PlainTransportOpened {
                transport,
                ip,
                port,
                rtcp_port,
                ..
            } => {
                let at = |port| SocketAddr::new(ip.parse().unwrap(), port);
                (transport, at(port), at(rtcp_port))
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn connect_plain(&mut self, transport: u64, to: SocketAddr) {
        self.done(Command::ConnectPlainTransport {
            transport,
            ip: to.ip().to_string(),
            port: to.port(),
            rtcp_port: None,
            srtp: None,
            local_srtp: None,
            dtls: None,
        });
    }

    pub(crate) fn produce_opus(&mut self, transport: u64, ssrc: Option<u32>) -> u64 {
        let encodings = ssrc.map(|ssrc| EncodingParameters {
            ssrc: Some(ssrc),
            ..EncodingParameters::default()
        });
        let command = Command::Produce {
            transport,
            kind: MediaKind::Audio,
            codecs: vec![codec(111, "OPUS", 48_000, 2)],
            encodings: encodings.into_iter().collect(),
            mid: None,
            header_extensions: vec![],
            paused: false,
        };
        match self.call(command) {
            CommandResult::Produced { producer } => producer,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn consume_opus(
        &mut self,
        transport: u64,
        producer: Option<u64>,
        ssrc: Option<u32>,
    ) -> (u64, u32) {
        match self.call(consume_opus(transport, producer, ssrc)) {
            CommandResult::Consumed { consumer, ssrc, .. } => (consumer, ssrc),
            other => panic!("{other:?}"),
        }
    }

    /// The reports of one object.
    pub(crate) fn stats(&mut self, id: u64) -> Vec<Report> {
        match self.call(Command::GetStats { id }) {
            CommandResult::Stats { reports } => reports,
            other => panic!("{other:?}"),
        }
    }

    /// A counter summed over all shards.
    pub(crate) fn counter(&mut self, name: &str) -> u64 {
        let CommandResult::Stats { reports } = self.call(Command::GetEngineStats {}) else {
            panic!("no statistics")
        };
        reports
            .iter()
            .filter(|r| r["type"] == StatValue::from("shard"))
            .map(|r| number(r, name))
            .sum()
    }
}

pub(crate) struct PlainOptions {
    pub(crate) router: u64,
    pub(crate) ip: String,
    pub(crate) rtcp_mux: bool,
    pub(crate) latching: Latching,
    pub(crate) srtp: Option<roomtone_engine::values::SrtpKeys>,
    pub(crate) secure: bool,
    pub(crate) dtls: bool,
    pub(crate) dscp: Option<u8>,
    pub(crate) extended_reports: bool,
}

impl PlainOptions {
    pub(crate) fn on(router: u64) -> Self {
        Self {
            router,
            ip: "127.0.0.1".into(),
            rtcp_mux: true,
            latching: Latching::Fixed,
            srtp: None,
            secure: false,
            dtls: false,
            dscp: None,
            extended_reports: false,
        }
    }
}

pub(crate) fn number(report: &Report, name: &str) -> u64 {
    match report.get(name) {
        Some(StatValue::Unsigned(value)) => *value,
        other => panic!("{name} is {other:?}"),
    }
}

pub(crate) fn codec(
    payload_type: u8,
    name: &str,
    clock_rate: u32,
    channels: u8,
) -> CodecParameters {
    CodecParameters {
        payload_type,
        name: name.into(),
        clock_rate,
        channels,
        rtx_payload_type: None,
        feedback: roomtone_engine::values::CodecFeedback::default(),
    }
}

pub(crate) fn consume_opus(transport: u64, producer: Option<u64>, ssrc: Option<u32>) -> Command {
    Command::Consume {
        transport,
        kind: MediaKind::Audio,
        producer,
        mid: None,
        payload_types: vec![(111, 100)],
        rtx_payload_types: vec![],
        header_extensions: vec![],
        feedback: roomtone_engine::values::CodecFeedback::default(),
        redundancy: None,
        ssrc,
        rtx_ssrc: None,
        paused: false,
    }
}

/// A socket of the other side.
pub(crate) fn socket() -> (UdpSocket, SocketAddr) {
    socket_on("127.0.0.1:0")
}

pub(crate) fn socket_on(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// An RTP packet without extensions (RFC 3550 section 5.1), written by hand.
pub(crate) fn rtp(
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload: &[u8],
) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// The parts of an RTP packet without extensions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn parts(packet: &[u8]) -> Parts {
    assert!(packet.len() >= 12, "{packet:x?} is too short");
    assert_eq!(
        packet[0], 0x80,
        "extensions, padding or contributing sources in {packet:x?}"
    );
    Parts {
        payload_type: packet[1] & 0x7f,
        marker: packet[1] & 0x80 != 0,
        sequence: u16::from_be_bytes([packet[2], packet[3]]),
        timestamp: u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]),
        ssrc: u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]),
        payload: packet[12..].to_vec(),
    }
}

pub(crate) fn is_rtcp(packet: &[u8]) -> bool {
    packet.len() >= 4 && (192..=223).contains(&packet[1])
}

/// The next RTP packet at a socket; RTCP in between is skipped.
pub(crate) fn receive_rtp(socket: &UdpSocket) -> Parts {
    let mut buffer = [0; 2048];
    loop {
        let (len, _) = socket.recv_from(&mut buffer).expect("a packet in time");
        if !is_rtcp(&buffer[..len]) {
            return parts(&buffer[..len]);
        }
    }
}
