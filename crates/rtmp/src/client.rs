//! The client's side of a connection: publishing to another server, and playing from it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};

use crate::command::amf0_of;
use crate::handshake::ClientHandshake;
use crate::message::split_aggregate;
use crate::{
    ChunkReader, ChunkWriter, Command, Kind, Media, Message, ProtocolError, Target, Value,
    read_values,
};

/// Bytes that wait to be sent, at most: what is more is not taken until the server reads.
const MAX_OUTPUT_BYTES: usize = 8 << 20;
/// Bytes of a chunk it sends.
const CHUNK_SIZE: u32 = 4096;
/// Bytes after which an acknowledgement is sent until the server names another number.
const FIRST_WINDOW: u64 = 2_500_000;

/// Chunk streams of what is sent.
mod channel {
    pub(super) const CONTROL: u32 = 2;
    pub(super) const CONNECTION: u32 = 3;
    pub(super) const DATA: u32 = 4;
    pub(super) const AUDIO: u32 = 5;
    pub(super) const VIDEO: u32 = 6;
    pub(super) const STREAM: u32 = 8;
}

/// Numbers of the commands whose answers count.
mod transaction {
    pub(super) const CONNECT: f64 = 1.0;
    pub(super) const RELEASE: f64 = 2.0;
    pub(super) const ANNOUNCE: f64 = 3.0;
    pub(super) const CREATE: f64 = 4.0;
    pub(super) const START: f64 = 5.0;
}

/// What to do there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Send a stream.
    Publish,
    /// Get one.
    Play,
}

/// Where to, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// The stream.
    pub target: Target,
    /// What to do with it.
    pub purpose: Purpose,
    /// How long the server may take until the stream begins.
    pub until_started: Duration,
    /// How long it may say nothing while it is played from.
    pub silence: Duration,
}

impl ClientConfig {
    /// With the usual patience.
    pub fn new(target: Target, purpose: Purpose) -> Self {
        Self {
            target,
            purpose,
            until_started: Duration::from_secs(10),
            silence: Duration::from_secs(30),
        }
    }
}

/// What a server does.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEvent {
    /// It takes the stream, or begins to send it.
    Started,
    /// Pictures or sound of what is played: the body of an FLV tag.
    Media {
        /// Which.
        media: Media,
        /// Milliseconds, modulo 2^32.
        timestamp: u32,
        /// From the byte that names the codec on.
        body: Bytes,
    },
    /// What the server says of the stream.
    Metadata(Value),
    /// Other timed values, by their name.
    Data {
        /// `onCuePoint`, `onTextData`, ...
        name: String,
        /// Milliseconds, modulo 2^32.
        timestamp: u32,
        /// What it holds.
        values: Vec<Value>,
    },
}

/// Why a connection is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEnd {
    /// What came is not RTMP, or broke its rules.
    Protocol(ProtocolError),
    /// The server would not, and said so.
    Refused {
        /// `NetStream.Publish.BadName`, ...
        code: String,
        /// Its sentence.
        description: String,
    },
    /// The stream did not begin in time.
    NotStarted,
    /// The server has said nothing for too long.
    Silent,
    /// The stream that was played has ended.
    Finished,
    /// This side closed it.
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Handshake,
    Connecting,
    Creating,
    Starting(u32),
    Started(u32),
}

/// One connection to a server.
///
/// Inputs: [`handle_bytes`](Self::handle_bytes), [`handle_timeout`](Self::handle_timeout), [`send_media`](Self::send_media). After each:
/// [`poll_event`](Self::poll_event) and [`poll_output`](Self::poll_output) until empty, and [`ended`](Self::ended).
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    handshake: ClientHandshake,
    reader: ChunkReader,
    writer: ChunkWriter,
    out: BytesMut,
    stage: Stage,
    events: VecDeque<ClientEvent>,
    received: u64,
    acknowledged: u64,
    window: u64,
    deadline: Instant,
    last_heard: Instant,
    ended: Option<ClientEnd>,
}

impl Client {
    /// The connection stands; its first bytes are ready. The seed is drawn anew for each.
    pub fn new(config: ClientConfig, seed: [u8; 32], now: Instant) -> Self {
        let mut out = BytesMut::new();
        Self {
            handshake: ClientHandshake::new(seed, &mut out),
            deadline: now + config.until_started,
            config,
            reader: ChunkReader::default(),
            writer: ChunkWriter::default(),
            out,
            stage: Stage::Handshake,
            events: VecDeque::new(),
            received: 0,
            acknowledged: 0,
            window: FIRST_WINDOW,
            last_heard: now,
            ended: None,
        }
    }

    /// Take what came; nothing is taken any more once it has ended.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        if self.ended.is_some() {
            return;
        }
        self.received += bytes.len() as u64;
        self.last_heard = now;
        if let Err(error) = self.take(bytes) {
            self.end(ClientEnd::Protocol(error));
        }
        if self.ended.is_none()
            && self.stage != Stage::Handshake
            && self.received >= self.acknowledged + self.window
        {
            self.acknowledged = self.received;
            self.control(Kind::Acknowledgement, &(self.received as u32).to_be_bytes());
        }
    }

    /// Time has come to [`next_timeout`](Self::next_timeout).
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_timeout().is_some_and(|at| at <= now) {
            self.end(match self.stage {
                Stage::Started(_) => ClientEnd::Silent,
                _ => ClientEnd::NotStarted,
            });
        }
    }

    /// When to call again at the latest.
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.ended.is_some() {
            return None;
        }
        match (self.stage, self.config.purpose) {
            // Servers have nothing to say to a publisher.
            (Stage::Started(_), Purpose::Publish) => None,
            (Stage::Started(_), Purpose::Play) => Some(self.last_heard + self.config.silence),
            _ => Some(self.deadline),
        }
    }

    /// What the server does.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Bytes for the server.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }

    /// Bytes of messages that have begun to come and have not ended.
    pub fn unfinished_bytes(&self) -> usize {
        self.reader.unfinished_bytes()
    }

    /// Why it is over.
    pub fn ended(&self) -> Option<&ClientEnd> {
        self.ended.as_ref()
    }

    /// Publish pictures or sound: the body of an FLV tag. False before the stream has begun, and while the server reads too slowly: the
    /// caller leaves out what follows up to the next keyframe.
    pub fn send_media(&mut self, media: Media, timestamp: u32, body: Bytes) -> bool {
        let Some(stream) = self.publishing() else {
            return false;
        };
        if self.out.len() + body.len() > MAX_OUTPUT_BYTES {
            return false;
        }
        let channel = match media {
            Media::Audio => channel::AUDIO,
            Media::Video => channel::VIDEO,
        };
        self.write(channel, media.kind(), stream, timestamp, body);
        true
    }

    /// Say what is known of the stream. False before it has begun.
    pub fn send_metadata(&mut self, metadata: &Value) -> bool {
        let Some(stream) = self.publishing() else {
            return false;
        };
        let mut payload = BytesMut::new();
        for value in [&"@setDataFrame".into(), &"onMetaData".into(), metadata] {
            value.write(&mut payload);
        }
        self.write(channel::DATA, Kind::Data, stream, 0, payload.freeze());
        true
    }

    /// End the stream and the connection.
    pub fn close(&mut self) {
        if self.ended.is_some() {
            return;
        }
        if let Stage::Started(stream) | Stage::Starting(stream) = self.stage {
            if self.config.purpose == Purpose::Publish {
                let name = self.config.target.name.as_str().into();
                self.command(0, "FCUnpublish", 0.0, Value::Null, vec![name]);
            }
            let number = f64::from(stream).into();
            self.command(0, "deleteStream", 0.0, Value::Null, vec![number]);
        }
        self.end(ClientEnd::Closed);
    }

    fn publishing(&self) -> Option<u32> {
        match self.stage {
            Stage::Started(stream)
                if self.config.purpose == Purpose::Publish && self.ended.is_none() =>
            {
                Some(stream)
            }
            _ => None,
        }
    }

    fn end(&mut self, why: ClientEnd) {
        self.ended.get_or_insert(why);
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), ProtocolError> {
        if self.stage == Stage::Handshake {
            if !self.handshake.handle_bytes(&mut bytes, &mut self.out)? {
                return Ok(());
            }
            self.stage = Stage::Connecting;
            self.connect();
        }
        while self.ended.is_none()
            && let Some(message) = self.reader.read(&mut bytes)?
        {
            self.handle_message(&message)?;
        }
        Ok(())
    }

    fn handle_message(&mut self, message: &Message) -> Result<(), ProtocolError> {
        match message.kind {
            Kind::Audio => self.handle_media(Media::Audio, message),
            Kind::Video => self.handle_media(Media::Video, message),
            Kind::Aggregate => {
                for part in split_aggregate(message) {
                    self.handle_message(&part)?;
                }
            }
            Kind::Data | Kind::DataAmf3 => self.handle_data(message)?,
            Kind::Command | Kind::CommandAmf3 => {
                let command = Command::read(message)?;
                self.handle_command(&command);
            }
            Kind::WindowSize => {
                if let Some(window) = message.payload.first_chunk::<4>() {
                    self.window = u64::from(u32::from_be_bytes(*window));
                }
            }
            Kind::UserControl => self.handle_user_control(message.payload.clone()),
            _ => {}
        }
        Ok(())
    }

    fn handle_media(&mut self, media: Media, message: &Message) {
        self.events.push_back(ClientEvent::Media {
            media,
            timestamp: message.timestamp,
            body: message.payload.clone(),
        });
    }

    fn handle_data(&mut self, message: &Message) -> Result<(), ProtocolError> {
        let mut values = read_values(amf0_of(message))?.into_iter().peekable();
        // For servers alone, but FFmpeg says it to players too.
        values.next_if_eq(&Value::from("@setDataFrame"));
        let Some(Value::String(name)) = values.next() else {
            return Ok(());
        };
        self.events.push_back(if name == "onMetaData" {
            ClientEvent::Metadata(values.next().unwrap_or(Value::Null))
        } else {
            ClientEvent::Data {
                name,
                timestamp: message.timestamp,
                values: values.collect(),
            }
        });
        Ok(())
    }

    /// Section 7.1.7: a ping is answered; the end of a stream that is played ends all.
    fn handle_user_control(&mut self, mut payload: Bytes) {
        const STREAM_EOF: u16 = 1;
        const PING: u16 = 6;
        const PONG: [u8; 2] = [0, 7];
        let Ok(event) = payload.try_get_u16() else {
            return;
        };
        match event {
            PING => {
                let answer = [&PONG[..], &payload].concat();
                self.control(Kind::UserControl, &answer[..answer.len().min(6)]);
            }
            STREAM_EOF if self.config.purpose == Purpose::Play => self.end(ClientEnd::Finished),
            _ => {}
        }
    }

    fn connect(&mut self) {
        self.writer.set_chunk_size(CHUNK_SIZE, &mut self.out);
        let target = &self.config.target;
        let mut members = vec![
            ("app", Value::from(target.app.as_str())),
            ("type", "nonprivate".into()),
            ("flashVer", "FMLE/3.0 (compatible; Roomtone)".into()),
            ("tcUrl", Value::String(target.tc_url())),
        ];
        let fourccs = [
            "avc1", "hvc1", "av01", "vp09", "mp4a", "Opus", "ac-3", "ec-3",
        ];
        members.push((
            "fourCcList",
            Value::StrictArray(fourccs.map(Value::from).to_vec()),
        ));
        let object = Value::object(members);
        self.command(0, "connect", transaction::CONNECT, object, vec![]);
    }

    fn handle_command(&mut self, command: &Command) {
        match command.name.as_str() {
            "_result" => self.handle_result(command),
            "_error" => {
                // That nobody knows these two hinders nothing.
                let asked = [transaction::RELEASE, transaction::ANNOUNCE];
                if !asked.contains(&command.transaction) {
                    self.refused(command);
                }
            }
            "onStatus" => self.handle_status(command),
            _ => {}
        }
    }

    fn handle_result(&mut self, command: &Command) {
        match self.stage {
            Stage::Connecting if command.transaction == transaction::CONNECT => {
                self.stage = Stage::Creating;
                self.create_stream();
            }
            Stage::Creating if command.transaction == transaction::CREATE => {
                let number = command.arguments.first().and_then(Value::as_number);
                let stream = number.unwrap_or(1.0) as u32;
                self.stage = Stage::Starting(stream);
                self.start(stream);
            }
            _ => {}
        }
    }

    fn create_stream(&mut self) {
        if self.config.purpose == Purpose::Publish {
            let name = Value::from(self.config.target.name.as_str());
            let arguments = vec![name];
            self.command(
                0,
                "releaseStream",
                transaction::RELEASE,
                Value::Null,
                arguments.clone(),
            );
            self.command(
                0,
                "FCPublish",
                transaction::ANNOUNCE,
                Value::Null,
                arguments,
            );
        }
        self.command(0, "createStream", transaction::CREATE, Value::Null, vec![]);
    }

    fn start(&mut self, stream: u32) {
        let name = Value::from(self.config.target.name.as_str());
        match self.config.purpose {
            Purpose::Publish => {
                let arguments = vec![name, "live".into()];
                self.command(
                    stream,
                    "publish",
                    transaction::START,
                    Value::Null,
                    arguments,
                );
            }
            Purpose::Play => {
                // -2000: live or recorded, whichever there is (section 7.2.2.1).
                let arguments = vec![name, (-2000.0).into()];
                self.command(stream, "play", transaction::START, Value::Null, arguments);
            }
        }
    }

    fn handle_status(&mut self, command: &Command) {
        let text = |name: &str| information(command, name);
        if text("level") == "error" {
            return self.refused(command);
        }
        match (text("code").as_str(), self.stage) {
            ("NetStream.Publish.Start" | "NetStream.Play.Start", Stage::Starting(stream)) => {
                self.stage = Stage::Started(stream);
                self.events.push_back(ClientEvent::Started);
            }
            (
                "NetStream.Play.UnpublishNotify"
                | "NetStream.Play.Stop"
                | "NetStream.Play.Complete",
                Stage::Started(_),
            ) => self.end(ClientEnd::Finished),
            _ => {}
        }
    }

    fn refused(&mut self, command: &Command) {
        self.end(ClientEnd::Refused {
            code: information(command, "code"),
            description: information(command, "description"),
        });
    }

    fn command(
        &mut self,
        stream: u32,
        name: &str,
        transaction: f64,
        object: Value,
        arguments: Vec<Value>,
    ) {
        let payload = Command::new(name, transaction, object, arguments).write();
        let channel = if stream == 0 {
            channel::CONNECTION
        } else {
            channel::STREAM
        };
        self.write(channel, Kind::Command, stream, 0, payload);
    }

    fn control(&mut self, kind: Kind, payload: &[u8]) {
        self.write(
            channel::CONTROL,
            kind,
            0,
            0,
            Bytes::copy_from_slice(payload),
        );
    }

    fn write(&mut self, channel: u32, kind: Kind, stream: u32, timestamp: u32, payload: Bytes) {
        let message = Message {
            kind,
            stream,
            timestamp,
            payload,
        };
        self.writer.write(channel, &message, &mut self.out);
    }
}

/// A text of the object that tells what happened.
fn information(command: &Command, name: &str) -> String {
    let object = command.arguments.first();
    object
        .and_then(|object| object.member(name))
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}
