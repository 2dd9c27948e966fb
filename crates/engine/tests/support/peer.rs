//! A WebRTC peer on a real socket: the same transport crate in the full role, driven by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use roomtone_engine::values::{self, Command, CommandResult};
use roomtone_webrtc::{
    Candidate, Certificate, DtlsRole, Fingerprint, FiveTuple, IceCredentials, Protocol, Received,
    RemoteParameters, SystemRandom, Transport, TransportConfig, TransportEvent,
};

use super::{Harness, PATIENCE};

enum Wire {
    Udp(UdpSocket),
    /// RFC 4571 frames, and what is read of the next one.
    Tcp(TcpStream, Vec<u8>),
}

pub(crate) struct Peer {
    id: u64,
    pub(crate) transport: Transport,
    wire: Wire,
    local: SocketAddr,
    remote: SocketAddr,
    /// Plain RTP packets that came.
    pub(crate) received: Vec<Vec<u8>>,
    pub(crate) events: Vec<TransportEvent>,
}

/// What the engine told of a transport.
pub(crate) struct Offered {
    pub(crate) id: u64,
    pub(crate) ice: IceCredentials,
    pub(crate) candidates: Vec<values::Candidate>,
    fingerprints: Vec<Fingerprint>,
}

pub(crate) fn open(harness: &mut Harness, router: u64, sctp: bool) -> Offered {
    open_for(harness, router, sctp, None)
}

/// Opens a transport whose peer may take so long to be named.
pub(crate) fn open_for(
    harness: &mut Harness,
    router: u64,
    sctp: bool,
    answer_timeout_ms: Option<u64>,
) -> Offered {
    let mut command = open_command(router);
    if let Command::OpenWebRtcTransport {
        sctp: with_channels,
        answer_timeout_ms: patience,
        ..
    } = &mut command
    {
        (*with_channels, *patience) = (sctp, answer_timeout_ms);
    }
    opened(harness, command)
}

/// Opens a transport whose line is estimated in that way.
pub(crate) fn open_estimated(
    harness: &mut Harness,
    router: u64,
    model: Option<values::ArrivalModel>,
) -> Offered {
    let mut command = open_command(router);
    if let Command::OpenWebRtcTransport { arrival_model, .. } = &mut command {
        *arrival_model = model;
    }
    opened(harness, command)
}

fn open_command(router: u64) -> Command {
    Command::OpenWebRtcTransport {
        router,
        ice_mode: values::IceMode::Lite,
        sctp: false,
        max_message_size: 65_536,
        cname: "server".into(),
        mixed_extensions: false,
        answer_timeout_ms: None,
        arrival_model: None,
    }
}

fn opened(harness: &mut Harness, command: Command) -> Offered {
    let opened = harness.call(command);
    let CommandResult::WebRtcTransportOpened {
        transport,
        ice_ufrag,
        ice_pwd,
        candidates,
        fingerprints,
    } = opened
    else {
        panic!("{opened:?}")
    };
    let parsed = fingerprints
        .iter()
        .map(|f| Fingerprint::parse(&f.algorithm, &f.value).unwrap())
        .collect();
    Offered {
        id: transport,
        ice: IceCredentials {
            ufrag: ice_ufrag,
            pwd: ice_pwd,
        },
        candidates,
        fingerprints: parsed,
    }
}

impl Peer {
    /// A peer that reaches the engine over UDP or TCP; it is the DTLS client when `active`.
    pub(crate) fn connect(
        harness: &mut Harness,
        offered: &Offered,
        protocol: Protocol,
        active: bool,
        sctp: bool,
    ) -> Self {
        let name = protocol.to_string();
        let candidate = offered
            .candidates
            .iter()
            .find(|c| c.protocol == name)
            .expect("a candidate of this protocol");
        let remote = SocketAddr::new(candidate.ip.parse().unwrap(), candidate.port);
        Self::connect_to(harness, offered, (protocol, remote), active, sctp)
    }

    /// As `connect`, to an address of the test's choice.
    pub(crate) fn connect_to(
        harness: &mut Harness,
        offered: &Offered,
        (protocol, remote): (Protocol, SocketAddr),
        active: bool,
        sctp: bool,
    ) -> Self {
        let any = SocketAddr::new(remote.ip(), 0);
        let (wire, local) = match protocol {
            Protocol::Udp => {
                let socket = UdpSocket::bind(any).unwrap();
                let local = socket.local_addr().unwrap();
                (Wire::Udp(socket), local)
            }
            Protocol::Tcp => {
                let stream = TcpStream::connect(remote).unwrap();
                stream.set_nodelay(true).unwrap();
                let local = stream.local_addr().unwrap();
                (Wire::Tcp(stream, Vec::new()), local)
            }
        };
        let certificate = Arc::new(Certificate::generate().unwrap());
        let ours = IceCredentials::generate(&mut SystemRandom);
        let now = Instant::now();
        let config = TransportConfig {
            sctp,
            ..TransportConfig::full(
                ours.clone(),
                vec![Candidate::host(Protocol::Udp, local, 65_535)],
                certificate.clone(),
                true,
            )
        };
        let mut transport = Transport::new(config, now, Box::new(SystemRandom));
        let remote_parameters = RemoteParameters {
            ice: Some(offered.ice.clone()),
            ice_lite: true,
            candidates: vec![Candidate::host(Protocol::Udp, remote, 65_535)],
            dtls_role: if active {
                DtlsRole::Active
            } else {
                DtlsRole::Passive
            },
            fingerprints: offered.fingerprints.clone(),
        };
        harness.done(Command::ConnectWebRtcTransport {
            transport: offered.id,
            dtls_role: if active {
                values::DtlsRole::Passive
            } else {
                values::DtlsRole::Active
            },
            fingerprints: vec![values::Fingerprint {
                algorithm: certificate.fingerprint().hash().name().into(),
                value: certificate.fingerprint().hex(),
            }],
            ice_ufrag: Some(ours.ufrag),
            ice_pwd: Some(ours.pwd),
            ice_lite: false,
            candidates: vec![],
        });
        transport.connect(remote_parameters, now).unwrap();
        Self {
            id: offered.id,
            transport,
            wire,
            local,
            remote,
            received: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Runs until `enough`.
    pub(crate) fn run_until(&mut self, what: &str, mut enough: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.flush();
            if enough(self) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{what} did not happen; {}",
                self.transport.ice_report()
            );
            self.step();
        }
    }

    /// Runs until both sides can send: the engine too, which the peer nominates a pair for.
    pub(crate) fn establish(&mut self, harness: &mut Harness) {
        let id = self.id;
        self.run_until("the connection", |peer| {
            peer.transport.is_writable()
                && harness.stats(id)[0]["writable"] == values::StatValue::Bool(true)
        });
    }

    /// Seals and sends an RTP packet.
    pub(crate) fn send_rtp(&mut self, packet: &[u8]) {
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + 64, 0);
        let len = self.transport.seal_rtp(&mut buffer, packet.len()).unwrap();
        self.write(&buffer[..len]);
    }

    /// The next RTP packet.
    pub(crate) fn receive_rtp(&mut self) -> super::Parts {
        self.run_until("a packet", |peer| !peer.received.is_empty());
        super::parts(&self.received.remove(0))
    }

    /// Sends bytes as they are.
    pub(crate) fn write(&mut self, datagram: &[u8]) {
        match &mut self.wire {
            Wire::Udp(socket) => {
                socket.send_to(datagram, self.remote).unwrap();
            }
            Wire::Tcp(stream, _) => {
                stream
                    .write_all(&(datagram.len() as u16).to_be_bytes())
                    .unwrap();
                stream.write_all(datagram).unwrap();
            }
        }
    }

    fn flush(&mut self) {
        let mut buffer = [0; 1500];
        while let Some(transmit) = self.transport.poll_transmit(&mut buffer) {
            self.write(&buffer[..transmit.len]);
        }
        while let Some(event) = self.transport.poll_event() {
            self.events.push(event);
        }
    }

    fn step(&mut self) {
        let now = Instant::now();
        let due = self
            .transport
            .next_timeout()
            .map_or(Duration::from_millis(50), |at| {
                at.saturating_duration_since(now)
            });
        let wait = due.clamp(Duration::from_millis(1), Duration::from_millis(50));
        if let Some(mut datagram) = self.read(wait) {
            // The agent knows no TCP: its pair looks like UDP to it, only the wire differs.
            let tuple = FiveTuple {
                protocol: Protocol::Udp,
                local: self.local,
                remote: self.remote,
            };
            let now = Instant::now();
            if let Ok(Received::Rtp(packet)) =
                self.transport.handle_datagram(tuple, &mut datagram, now)
            {
                let packet = packet.to_vec();
                self.received.push(packet);
            }
        }
        let now = Instant::now();
        if self.transport.next_timeout().is_some_and(|at| at <= now) {
            self.transport.handle_timeout(now);
        }
    }

    fn read(&mut self, wait: Duration) -> Option<Vec<u8>> {
        let mut buffer = [0; 4096];
        match &mut self.wire {
            Wire::Udp(socket) => {
                socket.set_read_timeout(Some(wait)).unwrap();
                let (len, _) = socket.recv_from(&mut buffer).ok()?;
                Some(buffer[..len].to_vec())
            }
            Wire::Tcp(stream, partial) => {
                stream.set_read_timeout(Some(wait)).unwrap();
                if let Some(frame) = take_frame(partial) {
                    return Some(frame);
                }
                let len = stream.read(&mut buffer).ok()?;
                partial.extend_from_slice(&buffer[..len]);
                take_frame(partial)
            }
        }
    }
}

fn take_frame(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let len = usize::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]));
    if bytes.len() < 2 + len {
        return None;
    }
    let frame = bytes[2..2 + len].to_vec();
    bytes.drain(..2 + len);
    Some(frame)
}
