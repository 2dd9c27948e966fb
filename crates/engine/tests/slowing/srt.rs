//! SRT: acknowledgements tell of a small window, and of a large one again.

use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use roomtone_engine::values::{IngestPace, IngestProtocol, IngestPull, MediaKind};
use roomtone_frames::{AccessUnit, Format, OpusFormat};
use roomtone_mpegts::{MuxTrack, Muxer, MuxerConfig};
use roomtone_srt::{
    Acceptance, ConnectionConfig, ConnectionId, DialConfig, DialEvent, Dialer, Listener,
    ListenerConfig, MAX_DATAGRAM,
};

use crate::stage::Stage;

/// Which side of SRT sends.
enum Side {
    /// An encoder, which calls.
    Caller {
        dialer: Box<Dialer>,
        connected: bool,
    },
    /// A server, which is called.
    Called {
        listener: Box<Listener>,
        connection: Option<ConnectionId>,
    },
}

impl Side {
    fn handle(&mut self, from: SocketAddr, datagram: &mut [u8]) {
        let now = Instant::now();
        match self {
            Self::Caller { dialer, connected } => {
                dialer.handle_datagram(datagram, now);
                while let Some(event) = dialer.poll_event() {
                    *connected |= matches!(event, DialEvent::Connected { .. });
                }
            }
            Self::Called {
                listener,
                connection,
            } => {
                listener.handle_datagram(from, datagram, now);
                while let Some(request) = listener.poll_request() {
                    let acceptance = Acceptance {
                        passphrase: None,
                        config: ConnectionConfig::default(),
                    };
                    *connection = listener.accept(request.id, acceptance, now).ok();
                }
            }
        }
    }

    /// What is due, to whom.
    fn poll(&mut self, to: SocketAddr, space: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let now = Instant::now();
        match self {
            Self::Caller { dialer, .. } => {
                dialer.handle_timeout(now);
                Some((dialer.poll_transmit(now, space)?, to))
            }
            Self::Called { listener, .. } => {
                listener.handle_timeout(now);
                let transmit = listener.poll_transmit(now, space)?;
                Some((transmit.len, transmit.to))
            }
        }
    }

    fn is_connected(&self) -> bool {
        match self {
            Self::Caller { connected, .. } => *connected,
            Self::Called { connection, .. } => connection.is_some(),
        }
    }

    fn send(&mut self, payload: &[u8]) {
        let now = Instant::now();
        // What it has no place for is too old soon.
        let _ = match self {
            Self::Caller { dialer, .. } => dialer.send(payload, now),
            Self::Called {
                listener,
                connection,
            } => listener.send(connection.unwrap(), payload, now),
        };
    }

    /// Packets sent, and acknowledgements heard.
    fn figures(&self) -> (u64, u64) {
        let stats = match self {
            Self::Caller { dialer, .. } => dialer.stats(),
            Self::Called {
                listener,
                connection,
            } => listener.connection_stats(connection.unwrap()),
        };
        let stats = stats.unwrap();
        (stats.sent, stats.acks_received)
    }
}

struct Sender {
    socket: UdpSocket,
    to: SocketAddr,
    side: Side,
    muxer: Muxer,
    track: MuxTrack,
    begun: Instant,
    sent: u32,
}

impl Sender {
    /// More than two packets each 10 ms, and so few that what is on its way finds a place.
    const FRAMES_A_SECOND: u64 = 400;

    fn new(socket: UdpSocket, to: SocketAddr, side: Side) -> Self {
        socket.set_nonblocking(true).unwrap();
        let mut muxer = Muxer::new(MuxerConfig::default());
        let format = Format::Opus(OpusFormat {
            channels: 2,
            pre_skip: 0,
        });
        Self {
            socket,
            to,
            side,
            track: muxer.add_track(format, None).unwrap(),
            muxer,
            begun: Instant::now(),
            sent: 0,
        }
    }

    fn encoder(port: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = SocketAddr::from(([127, 0, 0, 1], port));
        let config = DialConfig {
            stream_id: "publish:cam".to_owned(),
            ..DialConfig::default()
        };
        let dialer = Dialer::call(to, config, &[9; 32], Instant::now()).unwrap();
        let (dialer, connected) = (Box::new(dialer), false);
        Self::new(socket, to, Side::Caller { dialer, connected })
    }

    fn server() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let own = socket.local_addr().unwrap();
        let listener = Listener::new(ListenerConfig::default(), &[9; 32], Instant::now());
        let (listener, connection) = (Box::new(listener), None);
        let side = Side::Called {
            listener,
            connection,
        };
        Self::new(socket, own, side)
    }

    fn turn(&mut self) {
        let mut datagram = [0; MAX_DATAGRAM];
        while let Ok((len, from)) = self.socket.recv_from(&mut datagram) {
            self.side.handle(from, &mut datagram[..len]);
        }
        while let Some((len, to)) = self.side.poll(self.to, &mut datagram) {
            let _ = self.socket.send_to(&datagram[..len], to);
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
            self.side.send(&rest);
        }
        self.sent += 1;
    }
}

/// It sends two packets for an acknowledgement while it is slowed, and many more when it is not.
fn a_window_is_small_and_then_large(mut stage: Stage, mut sender: Sender, name: &str) {
    while !(sender.side.is_connected() && stage.packager().is_some()) {
        stage.turn();
        sender.turn();
    }
    stage.begin_coding(MediaKind::Audio, name);
    sender.begun = Instant::now();
    let turn = |stage: &mut Stage, sender: &mut Sender| {
        stage.turn();
        sender.send_due();
        sender.turn();
    };
    while stage.paces().is_empty() {
        turn(&mut stage, &mut sender);
    }
    assert_eq!(stage.paces(), [IngestPace::Slowed], "{:?}", stage.levels());
    // What is on its way when it hears of it is no matter.
    let (_, acks) = sender.side.figures();
    while sender.side.figures().1 < acks + 3 {
        turn(&mut stage, &mut sender);
    }
    let (sent, acks) = sender.side.figures();
    while sender.side.figures().1 < acks + 8 {
        turn(&mut stage, &mut sender);
    }
    let after = sender.side.figures();
    let (sent, acks) = (after.0 - sent, after.1 - acks);
    assert!(
        sent <= 2 * (acks + 1),
        "{sent} packets for {acks} acknowledgements"
    );
    assert_eq!(stage.paces(), [IngestPace::Slowed]);
    while stage.paces().last() != Some(&IngestPace::Free) {
        stage.process().take(4 << 20);
        turn(&mut stage, &mut sender);
    }
    let (sent, acks) = sender.side.figures();
    while sender.side.figures().0 < sent + 500 {
        stage.process().take(4 << 20);
        turn(&mut stage, &mut sender);
    }
    let acks = sender.side.figures().1 - acks;
    assert!(acks < 200, "{acks} acknowledgements for 500 packets");
}

#[test]
fn an_encoder_of_srt_is_told_of_a_small_window_and_then_of_a_large_one() {
    let stage = Stage::listening(IngestProtocol::Srt);
    let sender = Sender::encoder(stage.port);
    a_window_is_small_and_then_large(stage, sender, "srt");
}

#[test]
fn a_listener_of_srt_that_is_called_for_a_stream_is_told_of_a_small_window_and_then_of_a_large_one()
{
    let sender = Sender::server();
    let stage = Stage::pulling(IngestPull::Srt {
        address: sender.to.to_string(),
        stream_id: "#!::r=cam,m=request".to_owned(),
        passphrase: None,
        latency_ms: 120,
    });
    a_window_is_small_and_then_large(stage, sender, "srt-pull");
}
