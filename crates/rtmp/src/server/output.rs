//! What a server says.

use bytes::{BufMut, Bytes, BytesMut};

use super::Wish;
use crate::{ChunkWriter, Command, Kind, Media, Message, Value};

/// Chunk streams of what is sent.
mod channel {
    pub(super) const CONTROL: u32 = 2;
    pub(super) const COMMANDS: u32 = 3;
    pub(super) const DATA: u32 = 5;
    pub(super) const VIDEO: u32 = 6;
    pub(super) const AUDIO: u32 = 7;
}

/// Events of user control (section 7.1.7).
mod event {
    pub(super) const STREAM_BEGIN: u16 = 0;
    pub(super) const STREAM_EOF: u16 = 1;
    pub(super) const PING: u16 = 6;
    pub(super) const PONG: u16 = 7;
}

/// Media that wait for a player, in bytes, at most.
pub const MAX_MEDIA_BYTES: usize = 8 << 20;

/// Bytes for the peer, and what their chunks refer to.
#[derive(Debug, Default)]
pub(super) struct Output {
    writer: ChunkWriter,
    bytes: BytesMut,
}

impl Output {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn take(&mut self) -> Option<Bytes> {
        (!self.bytes.is_empty()).then(|| self.bytes.split().freeze())
    }

    /// For the handshake, which is not in chunks.
    pub(super) fn bytes(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// What belongs before the answer to `connect`.
    pub(super) fn introduce(&mut self, window: u32, chunk_size: u32) {
        self.control(Kind::WindowSize, &window.to_be_bytes());
        // The last byte says that the peer may take the smaller of both (section 5.4.5).
        let [a, b, c, d] = window.to_be_bytes();
        self.control(Kind::PeerBandwidth, &[a, b, c, d, 2]);
        self.writer.set_chunk_size(chunk_size, &mut self.bytes);
    }

    pub(super) fn acknowledge(&mut self, count: u32) {
        self.control(Kind::Acknowledgement, &count.to_be_bytes());
    }

    pub(super) fn answer_ping(&mut self, payload: &[u8]) {
        if let Some((kind, stamp)) = payload.split_first_chunk::<2>()
            && u16::from_be_bytes(*kind) == event::PING
            && let Some(stamp) = stamp.first_chunk::<4>()
        {
            self.user_control(event::PONG, u32::from_be_bytes(*stamp));
        }
    }

    pub(super) fn result(&mut self, transaction: f64, object: Value, answer: Value) {
        self.command(
            0,
            &Command::new("_result", transaction, object, vec![answer]),
        );
    }

    pub(super) fn error(&mut self, transaction: f64, code: &str, description: &str) {
        let answer = information("error", code, description);
        self.command(
            0,
            &Command::new("_error", transaction, Value::Null, vec![answer]),
        );
    }

    pub(super) fn status(&mut self, stream: u32, level: &str, code: &str, description: &str) {
        let answer = information(level, code, description);
        self.command(
            stream,
            &Command::new("onStatus", 0.0, Value::Null, vec![answer]),
        );
    }

    /// What older encoders wait for behind `FCPublish` and `FCUnpublish`.
    pub(super) fn announce(&mut self, name: &str, code: &str, description: &str) {
        let answer = information("status", code, description);
        self.command(0, &Command::new(name, 0.0, Value::Null, vec![answer]));
    }

    pub(super) fn start(&mut self, wish: Wish, stream: u32) {
        self.user_control(event::STREAM_BEGIN, stream);
        match wish {
            Wish::Publish => self.status(
                stream,
                "status",
                "NetStream.Publish.Start",
                "the stream is being published",
            ),
            Wish::Play => {
                self.status(
                    stream,
                    "status",
                    "NetStream.Play.Reset",
                    "the stream begins anew",
                );
                self.status(
                    stream,
                    "status",
                    "NetStream.Play.Start",
                    "the stream is being played",
                );
                self.data(
                    stream,
                    &[
                        "|RtmpSampleAccess".into(),
                        Value::Boolean(true),
                        Value::Boolean(true),
                    ],
                );
            }
        }
    }

    pub(super) fn stop_playing(&mut self, stream: u32) {
        self.status(
            stream,
            "status",
            "NetStream.Play.UnpublishNotify",
            "the stream has ended",
        );
        self.user_control(event::STREAM_EOF, stream);
    }

    pub(super) fn media(&mut self, stream: u32, media: Media, timestamp: u32, body: Bytes) -> bool {
        if self.bytes.len() + body.len() > MAX_MEDIA_BYTES {
            return false;
        }
        let channel = match media {
            Media::Audio => channel::AUDIO,
            Media::Video => channel::VIDEO,
        };
        let message = Message {
            kind: media.kind(),
            stream,
            timestamp,
            payload: body,
        };
        self.writer.write(channel, &message, &mut self.bytes);
        true
    }

    pub(super) fn metadata(&mut self, stream: u32, metadata: &Value) -> bool {
        if self.bytes.len() > MAX_MEDIA_BYTES {
            return false;
        }
        self.data(stream, &["onMetaData".into(), metadata.clone()]);
        true
    }

    fn data(&mut self, stream: u32, values: &[Value]) {
        let mut payload = BytesMut::new();
        for value in values {
            value.write(&mut payload);
        }
        let message = Message {
            kind: Kind::Data,
            stream,
            timestamp: 0,
            payload: payload.freeze(),
        };
        self.writer.write(channel::DATA, &message, &mut self.bytes);
    }

    fn command(&mut self, stream: u32, command: &Command) {
        let message = Message {
            kind: Kind::Command,
            stream,
            timestamp: 0,
            payload: command.write(),
        };
        self.writer
            .write(channel::COMMANDS, &message, &mut self.bytes);
    }

    fn user_control(&mut self, event: u16, number: u32) {
        let mut payload = [0; 6];
        (&mut payload[..2]).put_u16(event);
        (&mut payload[2..]).put_u32(number);
        self.control(Kind::UserControl, &payload);
    }

    fn control(&mut self, kind: Kind, payload: &[u8]) {
        let message = Message {
            kind,
            stream: 0,
            timestamp: 0,
            payload: Bytes::copy_from_slice(payload),
        };
        self.writer
            .write(channel::CONTROL, &message, &mut self.bytes);
    }
}

pub(super) fn information(level: &str, code: &str, description: &str) -> Value {
    Value::object([
        ("level", level.into()),
        ("code", code.into()),
        ("description", description.into()),
    ])
}
