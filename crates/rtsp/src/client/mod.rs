//! The client: what it asks for, in which order, and what becomes of it.

mod end;
mod requests;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

pub use self::end::ClientEnd;
use self::requests::{Login, Method, Pending};
use crate::sdp::{Description, Media};
use crate::target::Target;
use crate::transport::Answered;
use crate::wire::{Incoming, Reader, ServerRequest, ServerResponse};

/// Bytes that may wait to be written; reports that find no place are left out.
pub const MAX_OUTPUT_BYTES: usize = 64 << 10;
/// How long a server may take to answer; the first answer has the connecting in it.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a session lasts unless a server says otherwise (RFC 2326 section 12.37).
const SESSION: Duration = Duration::from_mins(1);
/// What is longer is asked to be kept alive as often as this.
const MOST_SESSION: Duration = Duration::from_mins(2);

/// What a client is to play.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Where it is.
    pub target: Target,
    /// What it calls itself.
    pub agent: String,
}

/// Ports of RTP and RTCP on this side.
pub type Ports = (u16, u16);

/// How a media is to come that was described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Its place in the description.
    pub media: usize,
    /// Where its datagrams are taken; none: in the connection.
    pub ports: Option<Ports>,
}

/// How a media comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its place in the description.
    pub media: usize,
    /// Ports that its datagrams are sent from; none where it comes in the connection.
    pub server_ports: Option<Ports>,
    /// The address that the server says they are sent from. It may be anybody's: it is told, and used nowhere here.
    pub source: Option<IpAddr>,
}

/// What a client tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// What the server has; [`Client::set_up`] is waited for.
    Described(Vec<Media>),
    /// It plays, what was chosen.
    Playing(Vec<Placed>),
    /// A packet that came in the connection.
    Data {
        /// Of which media.
        media: usize,
        /// Whether it is RTCP.
        is_rtcp: bool,
        /// The packet.
        payload: Bytes,
    },
}

/// What is done at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Asking,
    Choosing,
    SettingUp(usize),
    Starting,
    Playing,
}

/// One media that was chosen.
#[derive(Debug)]
struct Taken {
    choice: Choice,
    uri: String,
    channels: Option<(u8, u8)>,
    placed: Placed,
}

/// A client that plays one stream.
///
/// Inputs: [`handle_bytes`](Self::handle_bytes) of its connection, [`set_up`](Self::set_up) once it was described,
/// [`handle_timeout`](Self::handle_timeout). Outputs: [`poll_event`](Self::poll_event) and
/// [`poll_output`](Self::poll_output) until they are none, then [`ended`](Self::ended). Order: one request at a time.
/// Limits: those of [`Reader`], and [`MAX_OUTPUT_BYTES`].
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    reader: Reader,
    login: Login,
    step: Step,
    number: u32,
    pending: Option<Pending>,
    base: String,
    aggregate: String,
    taken: Vec<Taken>,
    session: Option<String>,
    lasts: Duration,
    keeps_by: Method,
    keep_at: Option<Instant>,
    events: VecDeque<ClientEvent>,
    outputs: VecDeque<Bytes>,
    waiting: usize,
    ended: Option<ClientEnd>,
}

impl Client {
    /// Begin to ask; `seed` is what nobody guesses.
    pub fn new(config: ClientConfig, seed: [u8; 32], now: Instant) -> Self {
        let uri = config.target.uri.clone();
        let mut client = Self {
            login: Login::new(config.target.credentials.clone(), &seed),
            config,
            reader: Reader::default(),
            step: Step::Asking,
            number: 0,
            pending: None,
            base: uri.clone(),
            aggregate: uri.clone(),
            taken: Vec::new(),
            session: None,
            lasts: SESSION,
            keeps_by: Method::Options,
            keep_at: None,
            events: VecDeque::new(),
            outputs: VecDeque::new(),
            waiting: 0,
            ended: None,
        };
        client.ask(Method::Options, uri, Vec::new(), now);
        client
    }

    /// Take what has come.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        self.reader.handle_bytes(bytes);
        while self.ended.is_none() {
            match self.reader.poll_incoming() {
                Ok(None) => break,
                Ok(Some(Incoming::Data { channel, payload })) => self.on_data(channel, payload),
                Ok(Some(Incoming::Response(response))) => self.on_response(&response, now),
                Ok(Some(Incoming::Request(request))) => self.on_request(&request),
                Err(error) => self.end(ClientEnd::Protocol(error)),
            }
        }
    }

    fn on_data(&mut self, channel: u8, payload: Bytes) {
        let found = self.taken.iter().find_map(|taken| {
            let (rtp, rtcp) = taken.channels?;
            (rtp == channel || rtcp == channel).then_some((taken.choice.media, rtcp == channel))
        });
        if let Some((media, is_rtcp)) = found {
            self.events.push_back(ClientEvent::Data {
                media,
                is_rtcp,
                payload,
            });
        }
    }

    fn on_request(&mut self, request: &ServerRequest) {
        let number = request.headers.get("CSeq").unwrap_or("0").to_owned();
        if request.method == "REDIRECT"
            && let Some(location) = request.headers.get("Location")
        {
            return self.end(ClientEnd::Redirected(location.to_owned()));
        }
        let known = matches!(request.method.as_str(), "OPTIONS" | "GET_PARAMETER");
        let status = if known {
            "200 OK"
        } else {
            "501 Not Implemented"
        };
        self.write(format!("RTSP/1.0 {status}\r\nCSeq: {number}\r\n\r\n").into());
    }

    fn on_response(&mut self, response: &ServerResponse, now: Instant) {
        let number = response
            .headers
            .get("CSeq")
            .and_then(|one| one.trim().parse().ok());
        // Some servers leave the number out; one that is another's belongs to what is not waited for any more.
        let is_answer =
            |pending: &mut Pending| number.is_none_or(|number: u32| number == pending.number);
        let Some(pending) = self.pending.take_if(is_answer) else {
            return;
        };
        match response.status {
            100..=199 => self.pending = Some(pending),
            200..=299 => self.on_success(pending.method, response, now),
            300..=399 => match response.headers.get("Location") {
                Some(location) => self.end(ClientEnd::Redirected(location.to_owned())),
                None => self.refused(response),
            },
            401 => self.on_challenge(pending, response, now),
            // It may be asked for what it has, and kept alive, all the same.
            _ if pending.method == Method::Options => {
                self.on_success(pending.method, response, now);
            }
            _ if self.step == Step::Playing && response.status != 454 => self.keep(now),
            _ => self.refused(response),
        }
    }

    fn refused(&mut self, response: &ServerResponse) {
        let (status, reason) = (response.status, response.reason.chars().take(100).collect());
        self.end(ClientEnd::Refused { status, reason });
    }

    fn on_challenge(&mut self, pending: Pending, response: &ServerResponse, now: Instant) {
        let offered = response.headers.all("WWW-Authenticate");
        match self.login.handle_challenge(offered, pending.shown) {
            Ok(()) => self.ask(pending.method, pending.uri, pending.headers, now),
            Err(end) => self.end(end),
        }
    }

    fn on_success(&mut self, method: Method, response: &ServerResponse, now: Instant) {
        match (method, self.step) {
            (Method::Options, Step::Asking) => {
                let public = response.headers.all("Public");
                if public
                    .flat_map(|one| one.split(','))
                    .any(|one| one.trim() == "GET_PARAMETER")
                {
                    self.keeps_by = Method::GetParameter;
                }
                let headers = vec![("Accept", "application/sdp".to_owned())];
                self.ask(
                    Method::Describe,
                    self.config.target.uri.clone(),
                    headers,
                    now,
                );
            }
            (Method::Describe, _) => self.on_described(response),
            (Method::Setup, Step::SettingUp(at)) => self.on_set_up(at, response, now),
            (Method::Play, _) => {
                self.step = Step::Playing;
                let placed = self.taken.iter().map(|taken| taken.placed).collect();
                self.events.push_back(ClientEvent::Playing(placed));
                self.keep(now);
            }
            _ => self.keep(now),
        }
    }

    fn on_described(&mut self, response: &ServerResponse) {
        let base = ["Content-Base", "Content-Location"]
            .iter()
            .find_map(|name| response.headers.get(name))
            .filter(|base| base.contains("://") && is_uri(base));
        if let Some(base) = base {
            base.clone_into(&mut self.base);
        }
        let description = Description::parse(&String::from_utf8_lossy(&response.body));
        self.aggregate = resolved(&self.base, description.control.as_deref());
        let uris = description
            .media
            .iter()
            .map(|media| resolved(&self.base, media.control.as_deref()));
        self.taken = uris
            .enumerate()
            .map(|(media, uri)| Taken {
                choice: Choice { media, ports: None },
                uri,
                channels: None,
                placed: Placed {
                    media,
                    server_ports: None,
                    source: None,
                },
            })
            .collect();
        self.step = Step::Choosing;
        self.events
            .push_back(ClientEvent::Described(description.media));
    }

    /// Have media set up that were described, and played. Without one it is over.
    pub fn set_up(&mut self, choices: &[Choice], now: Instant) {
        if self.step != Step::Choosing || self.ended.is_some() {
            return;
        }
        let mut chosen = Vec::new();
        for choice in choices {
            if let Some(at) = self
                .taken
                .iter()
                .position(|one| one.choice.media == choice.media)
            {
                let mut taken = self.taken.swap_remove(at);
                taken.choice = *choice;
                chosen.push(taken);
            }
        }
        self.taken = chosen;
        self.ask_for(0, now);
    }

    fn ask_for(&mut self, at: usize, now: Instant) {
        if let Some(taken) = self.taken.get(at) {
            let transport = match taken.choice.ports {
                Some((rtp, rtcp)) => format!("RTP/AVP;unicast;client_port={rtp}-{rtcp}"),
                None => format!("RTP/AVP/TCP;unicast;interleaved={}-{}", 2 * at, 2 * at + 1),
            };
            self.step = Step::SettingUp(at);
            let uri = taken.uri.clone();
            self.ask(Method::Setup, uri, vec![("Transport", transport)], now);
        } else if at == 0 {
            self.end(ClientEnd::Nothing);
        } else {
            self.step = Step::Starting;
            let headers = vec![("Range", "npt=0.000-".to_owned())];
            self.ask(Method::Play, self.aggregate.clone(), headers, now);
        }
    }

    fn on_set_up(&mut self, at: usize, response: &ServerResponse, now: Instant) {
        if let Some(session) = response.headers.get("Session") {
            let (id, rest) = session.split_once(';').unwrap_or((session, ""));
            self.session = Some(id.trim().to_owned());
            let given = rest
                .split(';')
                .find_map(|one| one.trim().strip_prefix("timeout="));
            if let Some(seconds) = given.and_then(|one| one.trim().parse().ok()) {
                self.lasts =
                    Duration::from_secs(seconds).clamp(Duration::from_secs(2), MOST_SESSION);
            }
        }
        let answered = Answered::parse(response.headers.get("Transport").unwrap_or_default());
        let taken = &mut self.taken[at];
        if taken.choice.ports.is_some() {
            if answered.server_ports.is_none() {
                return self.end(ClientEnd::NoPorts);
            }
            taken.placed.server_ports = answered.server_ports;
            taken.placed.source = answered.source;
        } else {
            let asked = (2 * at as u8, 2 * at as u8 + 1);
            taken.channels = Some(answered.channels.unwrap_or(asked));
        }
        self.ask_for(at + 1, now);
    }

    /// Send a report about a media in the connection; false where it comes in datagrams, or too much waits.
    pub fn send_report(&mut self, media: usize, report: &[u8]) -> bool {
        let mut all = self
            .taken
            .iter()
            .filter(|taken| taken.choice.media == media);
        let Some((_, channel)) = all.find_map(|taken| taken.channels) else {
            return false;
        };
        let Ok(len) = u16::try_from(report.len()) else {
            return false;
        };
        if self.waiting + report.len() > MAX_OUTPUT_BYTES {
            return false;
        }
        let mut frame = vec![b'$', channel];
        frame.extend(len.to_be_bytes());
        frame.extend(report);
        self.write(frame.into());
        true
    }

    /// Say goodbye.
    pub fn close(&mut self, now: Instant) {
        if self.session.is_some() && self.ended.is_none() {
            self.ask(Method::Teardown, self.aggregate.clone(), Vec::new(), now);
            self.end(ClientEnd::Closed);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.ended.is_some() {
            return None;
        }
        let pending = self.pending.as_ref().map(|pending| pending.until);
        pending.or(self.keep_at)
    }

    /// Do what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &self.pending {
            Some(pending) if pending.until <= now => self.end(ClientEnd::NotAnswered),
            None if self.keep_at.is_some_and(|at| at <= now) => {
                self.keep_at = None;
                self.ask(self.keeps_by, self.aggregate.clone(), Vec::new(), now);
            }
            _ => {}
        }
    }

    fn keep(&mut self, now: Instant) {
        self.keep_at = Some(now + self.lasts / 2);
    }

    fn ask(
        &mut self,
        method: Method,
        uri: String,
        headers: Vec<(&'static str, String)>,
        now: Instant,
    ) {
        self.number += 1;
        let session = self.session.as_deref();
        let authorization = self.login.answer(method, &uri);
        let request = requests::write(
            &requests::Request {
                method,
                uri: &uri,
                number: self.number,
                agent: &self.config.agent,
                session,
                authorization: authorization.as_deref(),
            },
            &headers,
        );
        self.write(request.into());
        self.pending = Some(Pending {
            method,
            uri,
            headers,
            number: self.number,
            shown: authorization.is_some(),
            until: now + ANSWER,
        });
    }

    fn write(&mut self, bytes: Bytes) {
        if self.waiting + bytes.len() > 2 * MAX_OUTPUT_BYTES {
            return self.end(ClientEnd::NotReading);
        }
        self.waiting += bytes.len();
        self.outputs.push_back(bytes);
    }

    /// What is to be written next.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        let bytes = self.outputs.pop_front()?;
        self.waiting -= bytes.len();
        Some(bytes)
    }

    /// What has happened next.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Whether it is over, and why.
    pub fn ended(&self) -> Option<&ClientEnd> {
        self.ended.as_ref()
    }

    fn end(&mut self, end: ClientEnd) {
        self.ended.get_or_insert(end);
    }
}

/// Whether it can stand in a request.
fn is_uri(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Where something is controlled (RFC 2326 section C.1.1), put together as cameras expect, which have queries in theirs.
fn resolved(base: &str, control: Option<&str>) -> String {
    match control.filter(|control| is_uri(control)) {
        None | Some("*" | "") => base.to_owned(),
        Some(control) if control.contains("://") => control.to_owned(),
        Some(control) => {
            let (base, control) = (base.trim_end_matches('/'), control.trim_start_matches('/'));
            format!("{base}/{control}")
        }
    }
}
