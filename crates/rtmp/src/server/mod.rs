//! The server's side of a connection.

mod commands;
mod output;
mod request;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

pub use request::{Refusal, Request, Wish};

use crate::command::amf0_of;
use crate::handshake::ServerHandshake;
use crate::message::split_aggregate;
use crate::{
    ChunkReader, Command, Dropped, Kind, Media, Message, ProtocolError, Value, read_values,
};
pub use output::MAX_MEDIA_BYTES;
use output::Output;

/// Bytes of answers that wait to be sent, at most: a peer that asks and does not read is left.
pub const MAX_OUTPUT_BYTES: usize = 256 << 10;
/// Message streams that one connection may open.
pub const MAX_STREAMS: usize = 8;

/// How a server behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Bytes of a chunk it sends.
    pub chunk_size: u32,
    /// Bytes after which it wants an acknowledgement, and sends one until the peer names another number.
    pub window: u32,
    /// How long a peer may take until it asks to publish or play.
    pub until_request: Duration,
    /// How long a publisher may say nothing.
    pub silence: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            chunk_size: 4096,
            window: 2_500_000,
            until_request: Duration::from_secs(10),
            silence: Duration::from_secs(30),
        }
    }
}

/// What a peer sends.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerEvent {
    /// Pictures or sound of an accepted publisher: the body of an FLV tag.
    Media {
        /// Which.
        media: Media,
        /// Milliseconds, modulo 2^32.
        timestamp: u32,
        /// From the byte that names the codec on.
        body: Bytes,
    },
    /// What the encoder says of its stream.
    Metadata(Value),
    /// Other timed values, by their name: cue points, captions.
    Data {
        /// `onCuePoint`, `onTextData`, ...
        name: String,
        /// Milliseconds, modulo 2^32.
        timestamp: u32,
        /// What it holds.
        values: Vec<Value>,
    },
    /// The publisher or player has ended its stream and may ask again.
    Stopped,
}

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// What came is not RTMP, or broke its rules.
    Protocol(ProtocolError),
    /// Nothing was asked for in time.
    NoRequest,
    /// The publisher has said nothing for too long.
    Silent,
    /// What was asked for was refused, and said so.
    Refused,
    /// The peer asks and does not read the answers.
    NotReading,
    /// This side closed it.
    Closed,
}

/// What was not taken, and what was done, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes that came.
    pub bytes: u64,
    /// Messages with pictures or sound that were given.
    pub media: u64,
    /// Messages with pictures or sound of somebody that does not publish.
    pub unasked: u64,
    /// Commands that nobody knows; each was answered so.
    pub unknown_commands: u64,
    /// Messages that nobody reads: shared objects and such.
    pub ignored: u64,
    /// Values that could not be read.
    pub malformed_data: u64,
    /// Messages that were never finished.
    pub dropped: Dropped,
}

/// One connection of an encoder or a player.
///
/// Inputs: [`handle_bytes`](Self::handle_bytes), [`handle_timeout`](Self::handle_timeout), the answers [`accept`](Self::accept) and
/// [`refuse`](Self::refuse), [`send_media`](Self::send_media). After each: [`poll_request`](Self::poll_request), [`poll_event`](Self::poll_event),
/// [`poll_output`](Self::poll_output) until empty, and [`ended`](Self::ended). Events are at most what the bytes of one call hold: a driver that
/// cannot take more stops reading. Once it has ended, what [`poll_output`](Self::poll_output) still gives is to be sent, the
/// sending half of the socket shut down, and what comes thrown away until the peer leaves or some seconds are over: an encoder in the midst of
/// its stream would find the connection reset before it read why.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    handshake: Option<ServerHandshake>,
    reader: ChunkReader,
    output: Output,
    peer: Peer,
    requests: VecDeque<Request>,
    events: VecDeque<ServerEvent>,
    counters: Counters,
    acknowledged: u64,
    ack_window: u64,
    deadline: Instant,
    last_heard: Instant,
    ended: Option<Ended>,
}

/// What the peer has said and opened.
#[derive(Debug, Default)]
struct Peer {
    connected: bool,
    app: String,
    encoder: String,
    fourccs: Vec<String>,
    streams: Vec<u32>,
    last_stream: u32,
    activity: Activity,
}

/// What goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Activity {
    #[default]
    Idle,
    /// Somebody is asked whether it may, on this message stream.
    Asked(Wish, u32),
    Publishing(u32),
    Playing(u32),
}

impl Server {
    /// A peer has connected. The seed is drawn anew for each.
    pub fn new(config: ServerConfig, seed: [u8; 32], now: Instant) -> Self {
        let deadline = now + config.until_request;
        Self {
            ack_window: u64::from(config.window),
            config,
            handshake: Some(ServerHandshake::new(seed)),
            reader: ChunkReader::default(),
            output: Output::default(),
            peer: Peer::default(),
            requests: VecDeque::new(),
            events: VecDeque::new(),
            counters: Counters::default(),
            acknowledged: 0,
            deadline,
            last_heard: now,
            ended: None,
        }
    }

    /// Take what came; nothing is taken any more once it has ended.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        if self.ended.is_some() {
            return;
        }
        self.counters.bytes += bytes.len() as u64;
        self.last_heard = now;
        if let Err(error) = self.take(bytes, now) {
            self.end(Ended::Protocol(error));
        }
        self.counters.dropped = self.reader.dropped();
        self.acknowledge();
        if self.output.len() > MAX_OUTPUT_BYTES && !self.plays() {
            self.end(Ended::NotReading);
        }
    }

    /// Time has come to [`next_timeout`](Self::next_timeout).
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_timeout().is_some_and(|at| at <= now) {
            self.end(match self.peer.activity {
                Activity::Publishing(_) => Ended::Silent,
                _ => Ended::NoRequest,
            });
        }
    }

    /// When to call again at the latest. None while somebody else decides, or watches.
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.ended.is_some() {
            return None;
        }
        match self.peer.activity {
            Activity::Idle => Some(self.deadline),
            Activity::Asked(..) | Activity::Playing(_) => None,
            Activity::Publishing(_) => Some(self.last_heard + self.config.silence),
        }
    }

    /// What somebody has to decide: answer with [`accept`](Self::accept) or [`refuse`](Self::refuse).
    pub fn poll_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    /// What the peer has sent.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// Bytes for the peer.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.output.take()
    }

    /// Bytes that [`poll_output`](Self::poll_output) would give.
    pub fn waiting_bytes(&self) -> usize {
        self.output.len()
    }

    /// Bytes of messages that have begun to come and have not ended.
    pub fn unfinished_bytes(&self) -> usize {
        self.reader.unfinished_bytes()
    }

    /// Why it is over.
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// When the peer was last heard.
    pub fn last_heard(&self) -> Instant {
        self.last_heard
    }

    /// What happened, in numbers.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// It may. False where nothing is asked any more.
    pub fn accept(&mut self, now: Instant) -> bool {
        let Activity::Asked(wish, stream) = self.peer.activity else {
            return false;
        };
        if self.ended.is_some() {
            return false;
        }
        self.last_heard = now;
        self.output.start(wish, stream);
        self.peer.activity = match wish {
            Wish::Publish => Activity::Publishing(stream),
            Wish::Play => Activity::Playing(stream),
        };
        true
    }

    /// It may not, or not any longer, and this sentence tells why: FFmpeg prints it, OBS writes it to its log. The connection ends.
    pub fn refuse(&mut self, refusal: Refusal, description: &str) {
        if self.ended.is_some() {
            return;
        }
        let (wish, stream) = match self.peer.activity {
            Activity::Asked(wish, stream) => (wish, stream),
            Activity::Publishing(stream) => (Wish::Publish, stream),
            Activity::Playing(stream) => (Wish::Play, stream),
            Activity::Idle => (Wish::Publish, 0),
        };
        self.output
            .status(stream, "error", refusal.code(wish), description);
        self.end(Ended::Refused);
    }

    /// Close it from this side; a player is told that the stream has ended.
    pub fn close(&mut self) {
        if self.ended.is_some() {
            return;
        }
        if let Activity::Playing(stream) = self.peer.activity {
            self.output.stop_playing(stream);
        }
        self.end(Ended::Closed);
    }

    /// Send pictures or sound to a player: the body of an FLV tag. False where it does not play or reads too slowly: the caller
    /// leaves out what follows up to the next keyframe.
    pub fn send_media(&mut self, media: Media, timestamp: u32, body: Bytes) -> bool {
        let Activity::Playing(stream) = self.peer.activity else {
            return false;
        };
        self.ended.is_none() && self.output.media(stream, media, timestamp, body)
    }

    /// Send what is known of the stream to a player.
    pub fn send_metadata(&mut self, metadata: &Value) -> bool {
        let Activity::Playing(stream) = self.peer.activity else {
            return false;
        };
        self.ended.is_none() && self.output.metadata(stream, metadata)
    }

    /// One stream a connection: media are of it whatever message stream they name, which some encoders get wrong.
    fn publishes(&self) -> bool {
        matches!(self.peer.activity, Activity::Publishing(_))
    }

    fn plays(&self) -> bool {
        matches!(self.peer.activity, Activity::Playing(_))
    }

    fn end(&mut self, why: Ended) {
        if self.ended.is_none() {
            self.ended = Some(why);
            self.requests.clear();
        }
    }

    fn take(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), ProtocolError> {
        if let Some(handshake) = &mut self.handshake {
            if !handshake.handle_bytes(&mut bytes, self.output.bytes())? {
                return Ok(());
            }
            self.handshake = None;
        }
        while self.ended.is_none()
            && let Some(message) = self.reader.read(&mut bytes)?
        {
            self.handle_message(&message, now)?;
        }
        Ok(())
    }

    fn handle_message(&mut self, message: &Message, now: Instant) -> Result<(), ProtocolError> {
        match message.kind {
            Kind::Audio => self.handle_media(Media::Audio, message),
            Kind::Video => self.handle_media(Media::Video, message),
            Kind::Aggregate => {
                for part in split_aggregate(message) {
                    self.handle_message(&part, now)?;
                }
            }
            Kind::Data | Kind::DataAmf3 => self.handle_data(message),
            Kind::Command | Kind::CommandAmf3 => {
                let command = Command::read(message)?;
                self.handle_command(&command, message.stream, now);
            }
            Kind::WindowSize => {
                if let Some(window) = message.payload.first_chunk::<4>() {
                    self.ack_window = u64::from(u32::from_be_bytes(*window));
                }
            }
            Kind::UserControl => self.output.answer_ping(&message.payload),
            Kind::Acknowledgement | Kind::PeerBandwidth => {}
            Kind::SetChunkSize | Kind::Abort | Kind::Other(_) => self.counters.ignored += 1,
        }
        Ok(())
    }

    fn handle_media(&mut self, media: Media, message: &Message) {
        if !self.publishes() {
            self.counters.unasked += 1;
            return;
        }
        self.counters.media += 1;
        self.events.push_back(ServerEvent::Media {
            media,
            timestamp: message.timestamp,
            body: message.payload.clone(),
        });
    }

    /// Values beside the media: their first is a name, or says that a name follows and is to be kept.
    fn handle_data(&mut self, message: &Message) {
        if !self.publishes() {
            self.counters.unasked += 1;
            return;
        }
        let Ok(values) = read_values(amf0_of(message)) else {
            self.counters.malformed_data += 1;
            return;
        };
        let mut values = values.into_iter().peekable();
        values.next_if_eq(&Value::from("@setDataFrame"));
        let Some(Value::String(name)) = values.next() else {
            self.counters.malformed_data += 1;
            return;
        };
        self.events.push_back(if name == "onMetaData" {
            ServerEvent::Metadata(values.next().unwrap_or(Value::Null))
        } else {
            ServerEvent::Data {
                name,
                timestamp: message.timestamp,
                values: values.collect(),
            }
        });
    }

    /// Say how much has come, at most once for what one call brought.
    fn acknowledge(&mut self) {
        let due = self.acknowledged + self.ack_window;
        if self.handshake.is_none() && self.ended.is_none() && self.counters.bytes >= due {
            self.acknowledged = self.counters.bytes;
            self.output.acknowledge(self.counters.bytes as u32);
        }
    }

    /// A buffer of its own for tests that look at what was written.
    #[cfg(test)]
    fn written(&mut self) -> bytes::BytesMut {
        let mut all = bytes::BytesMut::new();
        while let Some(bytes) = self.poll_output() {
            all.extend_from_slice(&bytes);
        }
        all
    }
}

#[cfg(test)]
mod tests;
