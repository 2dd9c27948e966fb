//! What a server does at each command (RTMP section 7.2, and what encoders send besides).

use std::time::Instant;

use super::{Activity, MAX_STREAMS, Request, Server, ServerEvent, Wish};
use crate::{Address, Command, Ended, MAX_NAME_BYTES, Value};

/// Codecs of Enhanced RTMP that are passed on.
const VIDEO_FOURCCS: [&str; 5] = ["avc1", "hvc1", "av01", "vp09", "vp08"];
const AUDIO_FOURCCS: [&str; 5] = ["mp4a", "Opus", "ac-3", "ec-3", ".mp3"];
/// `FourCcInfoMask`: what is named is passed on, not decoded.
const CAN_FORWARD: f64 = 4.0;
/// `CapsExMask`: extra headers of packets, and nanoseconds in them. Neither reconnecting nor several tracks.
const CAPABILITIES: f64 = 12.0;
/// Names of codecs of a peer that are kept.
const MAX_FOURCCS: usize = 32;
/// Bytes of a text of a peer that are kept.
const MAX_TEXT: usize = 256;

impl Server {
    pub(super) fn handle_command(&mut self, command: &Command, stream: u32, now: Instant) {
        match command.name.as_str() {
            "connect" => self.connect(command),
            _ if !self.peer.connected => {
                self.output.error(
                    command.transaction,
                    "NetConnection.Call.Failed",
                    "connect comes first",
                );
                self.end(Ended::Refused);
            }
            "createStream" => self.create_stream(command),
            "publish" => self.publish(command, stream),
            "play" => self.play(command, stream),
            "deleteStream" => {
                let named = command.arguments.first().and_then(Value::as_number);
                self.delete_stream(named.map_or(stream, |number| number as u32), now);
            }
            "closeStream" => self.stop(stream, now),
            "FCUnpublish" => {
                self.output.announce(
                    "onFCUnpublish",
                    "NetStream.Unpublish.Success",
                    "the stream is not published any more",
                );
            }
            "FCPublish" => {
                self.output
                    .result(command.transaction, Value::Null, Value::Undefined);
                self.output.announce(
                    "onFCPublish",
                    "NetStream.Publish.Start",
                    "the stream may be published",
                );
            }
            "releaseStream" | "_checkbw" | "FCSubscribe" | "getStreamLength" => {
                self.output
                    .result(command.transaction, Value::Null, Value::Undefined);
            }
            // Answers, and what a player may say at any time.
            "_result" | "_error" | "onStatus" | "receiveAudio" | "receiveVideo" => {}
            _ => self.refuse_unknown(command),
        }
    }

    fn connect(&mut self, command: &Command) {
        let app = command.object.member("app").and_then(Value::as_str);
        let Some(app) = app.filter(|app| app.len() <= MAX_NAME_BYTES) else {
            self.output.error(
                command.transaction,
                "NetConnection.Connect.Rejected",
                "connect names no application: rtmp://HOST/live/NAME",
            );
            return self.end(Ended::Refused);
        };
        if self.peer.connected {
            return self.output.error(
                command.transaction,
                "NetConnection.Connect.Failed",
                "this connection is made already",
            );
        }
        self.peer.connected = true;
        app.clone_into(&mut self.peer.app);
        self.peer.encoder = text_of(&command.object, "flashVer");
        self.peer.fourccs = fourccs_of(&command.object);
        self.output
            .introduce(self.config.window, self.config.chunk_size);
        let answer = welcome(&command.object);
        let server = Value::object([
            // Encoders look for this form, and for a number that is not too small.
            ("fmsVer", "FMS/3,0,1,123".into()),
            ("capabilities", 31.0.into()),
        ]);
        self.output.result(command.transaction, server, answer);
    }

    fn create_stream(&mut self, command: &Command) {
        if self.peer.streams.len() >= MAX_STREAMS {
            return self.output.error(
                command.transaction,
                "NetConnection.Call.Failed",
                "too many streams on one connection",
            );
        }
        self.peer.last_stream += 1;
        let stream = self.peer.last_stream;
        self.peer.streams.push(stream);
        self.output
            .result(command.transaction, Value::Null, f64::from(stream).into());
    }

    fn publish(&mut self, command: &Command, stream: u32) {
        // `record` and `append` would have the server keep a file.
        if let Some(kind) = command.text(1)
            && kind != "live"
        {
            return self.deny(
                Wish::Publish,
                stream,
                "only live streams are taken: publish as \"live\"",
            );
        }
        self.ask(Wish::Publish, command, stream);
    }

    fn play(&mut self, command: &Command, stream: u32) {
        self.ask(Wish::Play, command, stream);
    }

    fn ask(&mut self, wish: Wish, command: &Command, stream: u32) {
        if !self.peer.streams.contains(&stream) {
            return self.deny(wish, stream, "createStream comes first");
        }
        if self.peer.activity != Activity::Idle {
            return self.deny(wish, stream, "one stream a connection");
        }
        let name = command.text(0).unwrap_or_default();
        if name.len() > MAX_NAME_BYTES {
            return self.deny(wish, stream, "the name of the stream is too long");
        }
        let address = Address::of(&self.peer.app, name);
        if address.name.is_empty() {
            return self.deny(
                wish,
                stream,
                "the stream has no name: rtmp://HOST/live/NAME",
            );
        }
        self.peer.activity = Activity::Asked(wish, stream);
        self.requests.push_back(Request {
            wish,
            address,
            encoder: self.peer.encoder.clone(),
            fourccs: self.peer.fourccs.clone(),
        });
    }

    /// What was asked for cannot be, whoever asks.
    fn deny(&mut self, wish: Wish, stream: u32, description: &str) {
        let code = match wish {
            Wish::Publish => "NetStream.Publish.BadName",
            Wish::Play => "NetStream.Play.Failed",
        };
        self.output.status(stream, "error", code, description);
        if matches!(self.peer.activity, Activity::Idle) {
            self.end(Ended::Refused);
        }
    }

    fn delete_stream(&mut self, stream: u32, now: Instant) {
        self.stop(stream, now);
        self.peer.streams.retain(|&open| open != stream);
    }

    fn stop(&mut self, stream: u32, now: Instant) {
        match self.peer.activity {
            Activity::Publishing(active) if active == stream => {
                self.output.status(
                    stream,
                    "status",
                    "NetStream.Unpublish.Success",
                    "the stream is not published any more",
                );
                self.events.push_back(ServerEvent::Stopped);
            }
            Activity::Playing(active) if active == stream => {
                self.events.push_back(ServerEvent::Stopped);
            }
            Activity::Asked(_, active) if active == stream => self.requests.clear(),
            _ => return,
        }
        self.peer.activity = Activity::Idle;
        self.deadline = now + self.config.until_request;
    }

    fn refuse_unknown(&mut self, command: &Command) {
        self.counters.unknown_commands += 1;
        if command.transaction != 0.0 {
            self.output.error(
                command.transaction,
                "NetConnection.Call.Failed",
                "there is no such command here",
            );
        }
    }
}

/// The answer to `connect`, in the terms of Enhanced RTMP where the peer knows them.
fn welcome(asked: &Value) -> Value {
    let mut members = vec![
        ("level", Value::from("status")),
        ("code", "NetConnection.Connect.Success".into()),
        ("description", "the connection is made".into()),
        ("objectEncoding", 0.0.into()),
    ];
    let enhanced = [
        "fourCcList",
        "videoFourCcInfoMap",
        "audioFourCcInfoMap",
        "capsEx",
    ];
    if enhanced.iter().any(|name| asked.member(name).is_some()) {
        let all = VIDEO_FOURCCS.iter().chain(&AUDIO_FOURCCS);
        let map = |names: &[&'static str]| {
            Value::object(names.iter().map(|&name| (name, CAN_FORWARD.into())))
        };
        members.extend([
            (
                "fourCcList",
                Value::StrictArray(all.map(|&name| name.into()).collect()),
            ),
            ("videoFourCcInfoMap", map(&VIDEO_FOURCCS)),
            ("audioFourCcInfoMap", map(&AUDIO_FOURCCS)),
            ("capsEx", CAPABILITIES.into()),
        ]);
    }
    Value::object(members)
}

fn text_of(object: &Value, name: &str) -> String {
    let text = object.member(name).and_then(Value::as_str).unwrap_or("");
    text[..text.floor_char_boundary(MAX_TEXT)].to_owned()
}

/// The codecs an encoder names, in the list of the first version or the maps of the second.
fn fourccs_of(object: &Value) -> Vec<String> {
    let listed = match object.member("fourCcList") {
        Some(Value::StrictArray(values)) => values.as_slice(),
        _ => &[],
    };
    let mapped = ["videoFourCcInfoMap", "audioFourCcInfoMap"]
        .into_iter()
        .filter_map(|name| match object.member(name) {
            Some(Value::Object(members) | Value::EcmaArray(members)) => Some(members),
            _ => None,
        })
        .flatten()
        .map(|(name, _)| name.as_str());
    let mut names: Vec<String> = vec![];
    for name in listed.iter().filter_map(Value::as_str).chain(mapped) {
        let fits = name.len() <= 4 && names.len() < MAX_FOURCCS;
        if fits && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}
