//! RTMP: what is not read, TCP holds back, and gives all at once when it is read again.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};
use roomtone_engine::values::{IngestPace, IngestProtocol, IngestPull, IngestTrust, MediaKind};
use roomtone_frames::{AccessUnit, Format, H264Format};
use roomtone_rtmp::{
    Client, ClientConfig, ClientEvent, Media, Purpose, Server, ServerConfig, TagWriter, Target,
};

use crate::stage::Stage;

/// 1280x720.
const SPS: &[u8] = &[
    0x67, 0x4d, 0x40, 0x1f, 0xd9, 0x00, 0x50, 0x05, 0xba, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00,
    0x00, 0x03, 0x03, 0xc8, 0xf1, 0x83, 0x24, 0x80,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xc3, 0xcb, 0x20];
/// 40 Mbit/s at 30 pictures a second, each thirtieth a keyframe of six times the size.
const PICTURE: usize = 142 << 10;
const KEYFRAME: usize = 6 * PICTURE;
const GROUP: u32 = 30;
/// Four times what a queue takes.
const PICTURES: u32 = 200;
/// What the process takes at a time, and the sender gives to the kernel.
const TAKES: usize = 64 << 10;
const GIVES: usize = 1 << 20;

/// Which side of RTMP sends.
enum Side {
    /// An encoder, which publishes.
    Encoder(Box<Client>),
    /// A server, which is played from.
    Origin(Box<Server>),
}

impl Side {
    /// True once media may be sent.
    fn handle(&mut self, bytes: &[u8]) -> bool {
        let now = Instant::now();
        match self {
            Self::Encoder(client) => {
                client.handle_bytes(bytes, now);
                client.poll_event() == Some(ClientEvent::Started)
            }
            Self::Origin(server) => {
                server.handle_bytes(bytes, now);
                server.poll_request().is_some() && server.accept(now)
            }
        }
    }

    fn poll_output(&mut self) -> Option<Bytes> {
        match self {
            Self::Encoder(client) => client.poll_output(),
            Self::Origin(server) => server.poll_output(),
        }
    }

    fn send(&mut self, timestamp: u32, body: Bytes) {
        let taken = match self {
            Self::Encoder(client) => client.send_media(Media::Video, timestamp, body),
            Self::Origin(server) => server.send_media(Media::Video, timestamp, body),
        };
        assert!(taken, "it is sent only what the kernel takes");
    }
}

/// Sends pictures as fast as the connection takes them: no encoder is worse.
struct Sender {
    stream: TcpStream,
    side: Side,
    writer: TagWriter,
    may_send: bool,
    begun: bool,
    sent: u32,
    rest: Bytes,
}

impl Sender {
    fn new(stream: TcpStream, side: Side) -> Self {
        stream.set_nonblocking(true).unwrap();
        let format = Format::H264(H264Format {
            sps: Bytes::from_static(SPS),
            pps: vec![Bytes::from_static(PPS)],
            width: 1280,
            height: 720,
            chroma_format: 1,
            luma_bits: 8,
            chroma_bits: 8,
        });
        Self {
            stream,
            side,
            writer: TagWriter::new(format),
            may_send: false,
            begun: false,
            sent: 0,
            rest: Bytes::new(),
        }
    }

    fn encoder(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let target = Target::parse("rtmp://127.0.0.1/live/cam").unwrap();
        let config = ClientConfig::new(target, Purpose::Publish);
        let client = Client::new(config, [9; 32], Instant::now());
        Self::new(stream, Side::Encoder(Box::new(client)))
    }

    fn origin(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().unwrap();
        let server = Server::new(ServerConfig::default(), [9; 32], Instant::now());
        Self::new(stream, Side::Origin(Box::new(server)))
    }

    fn is_done(&self) -> bool {
        self.sent == PICTURES
    }

    fn turn(&mut self) {
        let mut space = [0; 4096];
        while let Ok(len) = self.stream.read(&mut space) {
            assert!(len > 0, "the engine has hung up");
            self.may_send |= self.side.handle(&space[..len]);
        }
        let mut given = 0;
        while given < GIVES {
            if self.rest.is_empty() {
                self.make();
            }
            match self.stream.write(&self.rest) {
                Ok(0) | Err(_) => break,
                Ok(len) => {
                    given += len;
                    drop(self.rest.split_to(len));
                }
            }
        }
    }

    /// Have something to give, if there is.
    fn make(&mut self) {
        if self.begun && !self.is_done() {
            if self.sent == 0 {
                self.side.send(0, self.writer.header().unwrap());
            }
            let unit = picture(self.sent);
            let (timestamp, body) = (self.writer.timestamp(&unit), self.writer.unit(&unit));
            self.side.send(timestamp, body);
            self.sent += 1;
        }
        self.rest = self.side.poll_output().unwrap_or_default();
    }
}

fn picture(number: u32) -> AccessUnit {
    let keyframe = number.is_multiple_of(GROUP);
    let len = if keyframe { KEYFRAME } else { PICTURE };
    let mut data = BytesMut::new();
    data.put_u32(len as u32);
    data.put_u8(if keyframe { 0x65 } else { 0x41 });
    data.put_bytes(0x5a, len - 1);
    AccessUnit {
        dts: i64::from(number) * 3_000,
        pts: i64::from(number) * 3_000,
        keyframe,
        data: data.freeze(),
    }
}

/// A process takes less than comes: who sends is held back, again and again, and nothing is lost.
fn nothing_is_lost(mut stage: Stage, mut sender: Sender, name: &str) {
    while !(sender.may_send && stage.packager().is_some()) {
        stage.turn();
        sender.turn();
    }
    stage.begin_coding(MediaKind::Video, name);
    sender.begun = true;
    while !(sender.is_done() && stage.process().units == u64::from(PICTURES)) {
        stage.turn();
        sender.turn();
        let process = stage.process();
        process.take(TAKES);
        assert_eq!(process.skips, 0, "after {} units", process.units);
    }
    assert_eq!(stage.dropped(), (0, 0));
    let paces = stage.paces();
    let times = |wanted| paces.iter().filter(|pace| **pace == wanted).count();
    assert!(times(IngestPace::Slowed) > 2, "{paces:?}");
    assert_eq!(times(IngestPace::GivenUp), 0, "{paces:?}");
}

#[test]
fn an_encoder_of_rtmp_is_held_back_and_let_go_without_a_loss() {
    let stage = Stage::listening(IngestProtocol::Rtmp);
    let sender = Sender::encoder(stage.port);
    nothing_is_lost(stage, sender, "rtmp");
}

#[test]
fn a_server_of_rtmp_that_is_fetched_from_is_held_back_and_let_go_without_a_loss() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stage = Stage::pulling(IngestPull::Rtmp {
        address: address.to_string(),
        url: format!("rtmp://{address}/live/cam"),
        trust: IngestTrust::default(),
    });
    let sender = Sender::origin(&listener);
    nothing_is_lost(stage, sender, "rtmp-pull");
}
