//! Inputs: streams of sources that do not ask, taken because a command says so.
//!
//! RTP comes to a port that all inputs share, told apart by address and payload type, or to one of its own; MPEG-TS
//! likewise. A stream begins with the first datagram that fits and waits, silent, for the next. What fits no input is
//! counted, and told once.

mod port;
mod receiving;
mod rtp_source;
mod ts_source;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::port::{ANYWHERE, Port, Remote};
pub(super) use self::port::{Port as RtpPort, pair};
pub(super) use self::rtp_source::{Reported, Reports, RtpSource, Taken};
use self::ts_source::TsSource;
use super::asking::{Wish, is_name};
use super::connection::Line;
use super::publisher::Publisher;
use super::thread::{IngestThread, Packaging, RTCP_PORT, RTP_PORT, token};
use crate::failure::Failure;
use crate::ids;
use crate::values::{ErrorCode, Event, IngestEnd, IngestProtocol, IngestRtpTrack, IngestSource};

/// Inputs at a time.
const MAX_INPUTS: usize = 256;
/// Streams of one description.
const MAX_DESCRIBED: usize = 16;
/// A source of which nothing came for so long publishes no more.
const SILENT: Duration = Duration::from_secs(5);
/// How long an input that may not begin waits before it tries again.
const TRY_AGAIN: Duration = Duration::from_secs(2);

enum Kind {
    Rtp(Box<RtpSource>),
    Mpegts(Box<TsSource>),
}

/// One input.
pub(super) struct Input {
    /// As of a listener.
    pub(super) id: u64,
    name: String,
    /// Which port it reads.
    port: usize,
    remote: Option<Remote>,
    kind: Kind,
    publisher: Option<u64>,
    last: Instant,
    /// It may not begin before.
    blocked: Option<Instant>,
    told_blocked: bool,
    touched: bool,
}

impl Input {
    /// Whether what another takes may be its own.
    fn meets(&self, other: &Self) -> bool {
        let same_place = match (self.remote, other.remote) {
            (Some(one), Some(other)) => one.meets(other),
            (None, None) => true,
            // Who says where it comes from goes before those that do not.
            (Some(_), None) | (None, Some(_)) => false,
        };
        let same_kind = match (&self.kind, &other.kind) {
            (Kind::Rtp(one), Kind::Rtp(other)) => {
                (0..128).any(|pt| one.knows(pt) && other.knows(pt))
            }
            (Kind::Mpegts(_), Kind::Mpegts(_)) => true,
            _ => false,
        };
        self.port == other.port && same_place && same_kind
    }

    fn protocol(&self) -> IngestProtocol {
        match self.kind {
            Kind::Rtp(_) => IngestProtocol::Rtp,
            Kind::Mpegts(_) => IngestProtocol::Mpegts,
        }
    }

    /// Forget who sent.
    fn renew(&mut self, now: Instant) {
        match &mut self.kind {
            Kind::Rtp(source) => source.renew(now),
            Kind::Mpegts(source) => **source = TsSource::default(),
        }
    }
}

impl IngestThread {
    /// Open a port that inputs share.
    pub(super) fn open_rtp_port(&mut self, id: u64, address: SocketAddr) -> std::io::Result<u16> {
        self.watch_port(Port::open(id, address, true)?)
            .map(|(_, number)| number)
    }

    fn watch_port(&mut self, port: Port) -> std::io::Result<(usize, u16)> {
        let number = port.number()?;
        let entry = self.rtp.vacant_entry();
        let index = entry.key();
        self.poller.add(&port.rtp, token(RTP_PORT, index))?;
        if let Some(rtcp) = &port.rtcp {
            self.poller.add(rtcp, token(RTCP_PORT, index))?;
        }
        entry.insert(port);
        Ok((index, number))
    }

    /// Take a stream from a source; the input's id, and the port it comes to.
    pub(super) fn open_input(
        &mut self,
        name: String,
        source: IngestSource,
        packaging: Packaging,
        now: Instant,
    ) -> Result<(u64, u16), Failure> {
        if self.inputs.len() >= MAX_INPUTS {
            let message = format!("{MAX_INPUTS} inputs are open");
            return Err(Failure::new(ErrorCode::Limit, message));
        }
        if !is_name(&name) {
            return Err(Failure::invalid("the name cannot stand in a URL"));
        }
        let (kind, listener, address, remote, with_rtcp) = match source {
            IngestSource::Rtp {
                listener,
                address,
                remote,
                tracks,
            } => {
                check(&tracks)?;
                let [a, b, c, d, ..] = self.secret();
                let ssrc = u32::from_be_bytes([a, b, c, d]);
                let source = RtpSource::new(&tracks, ssrc, now);
                let kind = Kind::Rtp(Box::new(source));
                (kind, listener, address, remote, true)
            }
            IngestSource::Mpegts {
                listener,
                address,
                remote,
            } => (
                Kind::Mpegts(Box::default()),
                listener,
                address,
                remote,
                false,
            ),
        };
        let remote = remote.map(|text| {
            Remote::parse(&text).ok_or_else(|| Failure::invalid("remote is not IP or IP:PORT"))
        });
        let id = ids::allocate(ids::INGEST);
        let mut input = Input {
            id,
            name,
            port: 0,
            remote: remote.transpose()?,
            kind,
            publisher: None,
            last: now,
            blocked: None,
            told_blocked: false,
            touched: false,
        };
        let number = self.find_port(&mut input, listener, address.as_deref(), with_rtcp)?;
        self.inputs.insert(input);
        self.packaging.insert(id, packaging);
        Ok((id, number))
    }

    fn find_port(
        &mut self,
        input: &mut Input,
        listener: Option<u64>,
        address: Option<&str>,
        with_rtcp: bool,
    ) -> Result<u16, Failure> {
        if let Some(listener) = listener {
            let mut ports = self.rtp.iter_mut();
            let (index, port) = ports
                .find(|(_, port)| port.id == listener)
                .ok_or_else(|| Failure::not_found("listener of RTP", listener))?;
            input.port = index;
            if let Some((_, other)) = self.inputs.iter().find(|(_, one)| one.meets(input)) {
                let message = format!(
                    "the input of {} takes what comes from there with these payload types",
                    other.name
                );
                return Err(Failure::invalid(message));
            }
            port.forget_told();
            return port.number().map_err(|error| no_port(ANYWHERE, &error));
        }
        let address = address.map_or(Ok(ANYWHERE), str::parse);
        let address = address.map_err(|_| Failure::invalid("address is not IP:PORT"))?;
        let port = Port::open(input.id, address, with_rtcp).and_then(|port| self.watch_port(port));
        let (index, number) = port.map_err(|error| no_port(address, &error))?;
        input.port = index;
        Ok(number)
    }

    /// Close an input, or a port with all inputs that share it; false where there is neither.
    pub(super) fn close_input(&mut self, id: u64, now: Instant) -> bool {
        let port = self.rtp.iter().find(|(_, port)| port.id == id);
        let port = port.map(|(index, _)| index);
        let of_it = |input: &Input| input.id == id || Some(input.port) == port;
        let inputs = self.inputs.iter().filter(|(_, input)| of_it(input));
        let inputs: Vec<usize> = inputs.map(|(index, _)| index).collect();
        for index in &inputs {
            let input = self.inputs.remove(*index);
            self.packaging.remove(&input.id);
            if let Some(publisher) = input.publisher {
                self.end_publisher(publisher, IngestEnd::Requested, "the input closes", now);
            }
        }
        if let Some(port) = port {
            self.rtp.remove(port);
        }
        port.is_some() || !inputs.is_empty()
    }

    /// The publisher of an input is no more.
    pub(super) fn input_ended(&mut self, id: u64, now: Instant) {
        let mut all = self.inputs.iter_mut();
        if let Some((_, input)) = all.find(|(_, input)| input.id == id) {
            input.publisher = None;
            input.renew(now);
        }
    }

    /// Have an input publish; false where it may not.
    fn begin_input(&mut self, index: usize, from: SocketAddr, now: Instant) -> bool {
        let input = &mut self.inputs[index];
        if input.publisher.is_some() {
            return true;
        }
        if input.blocked.is_some_and(|until| until > now) {
            return false;
        }
        let wish = Wish {
            plays: false,
            protocol: input.protocol(),
            listener: input.id,
            remote: from,
            name: input.name.clone(),
            user: None,
            credential: None,
            encoder: String::new(),
        };
        let id = ids::allocate(ids::INGEST);
        if self.publish_input(id, wish, now) {
            let input = &mut self.inputs[index];
            (input.publisher, input.blocked, input.told_blocked) = (Some(id), None, false);
            return true;
        }
        let is_full = self.lacks_memory_for(&self.inputs[index].name);
        let input = &mut self.inputs[index];
        input.blocked = Some(now + TRY_AGAIN);
        if !std::mem::replace(&mut input.told_blocked, true) {
            let _ = self.shared.outbox.event(Event::IngestStranger {
                listener: input.id,
                remote: from.to_string(),
                detail: if is_full {
                    crate::live::FULL.to_owned()
                } else {
                    format!("somebody else publishes as {}", input.name)
                },
            });
        }
        false
    }

    /// Whether a stream of this name would be a further one, and none may begin.
    pub(super) fn lacks_memory_for(&self, name: &str) -> bool {
        self.streams.get(name).is_none() && self.live.is_full()
    }

    pub(super) fn publish_input(&mut self, id: u64, wish: Wish, now: Instant) -> bool {
        if self.lacks_memory_for(&wish.name) {
            return false;
        }
        if let Some(publisher) = self.streams.get(&wish.name).and_then(|one| one.publisher) {
            let is_silent = |one: &Publisher| one.last_heard + TRY_AGAIN <= now;
            if !self.publishers.get(&publisher).is_none_or(is_silent) {
                return false;
            }
            let why = "another publishes in its place";
            self.end_publisher(publisher, IngestEnd::Replaced, why, now);
        }
        let fresh = ids::allocate(ids::INGEST);
        let program = self.program(None, wish.listener, fresh);
        let Some(packager) = self.streams.begin(&wish.name, id, fresh, program, now) else {
            return false;
        };
        let line = Line::Input {
            input: wish.listener,
        };
        self.announce(id, line, wish, packager, now);
        true
    }
}

fn no_port(address: SocketAddr, error: &std::io::Error) -> Failure {
    Failure::new(
        ErrorCode::NoPort,
        format!("cannot listen on {address}: {error}"),
    )
}

/// A description must tell its streams apart.
fn check(tracks: &[IngestRtpTrack]) -> Result<(), Failure> {
    if tracks.is_empty() || tracks.len() > MAX_DESCRIBED {
        let message = format!("a description has 1 to {MAX_DESCRIBED} streams");
        return Err(Failure::invalid(message));
    }
    for (at, track) in tracks.iter().enumerate() {
        let is_twice = |other: &IngestRtpTrack| other.payload_type == track.payload_type;
        if track.payload_type > 127 || track.clock_rate == 0 {
            return Err(Failure::invalid(
                "a payload type is 0 to 127, a clock rate above 0",
            ));
        }
        if tracks[..at].iter().any(is_twice) {
            let message = format!("payload type {} is described twice", track.payload_type);
            return Err(Failure::invalid(message));
        }
    }
    Ok(())
}
