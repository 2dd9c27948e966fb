//! A stream that is fetched by RTSP, bare or behind TLS: this side has it played, in the connection or in datagrams.
//!
//! Datagrams are taken from, and reports sent to, the address that the connection was made to, which control has judged:
//! what the server names in its answers is nobody that anything is sent to.

mod media;
mod packets;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use roomtone_rtsp::{Choice, Client, ClientConfig, ClientEnd, ClientEvent, Media, Placed, Target};

use self::media::{Part, choose};
use super::calling::{Call, Came};
use crate::counters::IngestCounters;
use crate::ingest::inputs::{Reports, RtpSource};
use crate::ingest::publisher::Sent;
use crate::sys::{Datagrams, send};
use crate::values::{IngestEnd, IngestTrust};

/// Bytes taken before others have their turn.
const TURN_BYTES: usize = 256 << 10;
/// A server of which no packet came for so long sends nothing.
const SILENT: Duration = Duration::from_secs(10);
/// Between two looks at what is missing and which reports are due.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Datagrams that open the way through a network's border: a header of RTP, and an empty report.
const OPENS_RTP: [u8; 12] = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const OPENS_RTCP: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 0];

/// One connection.
pub(super) struct RtspPull {
    call: Call,
    /// Whether TLS lies around it.
    pub(super) encrypted: bool,
    remote: SocketAddr,
    client: Client,
    counters: Arc<IngestCounters>,
    datagrams: bool,
    seed: u32,
    source: RtpSource,
    parts: Vec<Part>,
    /// What it has that cannot be carried, until that is told.
    left_out: Vec<(u32, String)>,
    watched: bool,
    /// The address that it says its datagrams come from, where that is another than its own.
    elsewhere: Option<IpAddr>,
    /// Since when it plays, or when the last packet came.
    last: Option<Instant>,
    look_at: Instant,
    pub(super) redirect: Option<String>,
    pub(super) started: bool,
    pub(super) ended: Option<(IngestEnd, String)>,
}

impl RtspPull {
    /// Connect to an address for the stream of a target, whose host is only said there.
    pub(super) fn connect(
        remote: SocketAddr,
        target: Target,
        (datagrams, trusted): (bool, &IngestTrust),
        seed: [u8; 32],
        counters: Arc<IngestCounters>,
        now: Instant,
    ) -> io::Result<Self> {
        let encrypted = target.tls;
        let call = Call::begin(remote, encrypted.then_some((trusted, target.host.as_str())))?;
        let config = ClientConfig {
            target,
            agent: "roomtone".to_owned(),
        };
        let [.., a, b, c, d] = seed;
        let ssrc = u32::from_be_bytes([a, b, c, d]);
        Ok(Self {
            call,
            encrypted,
            remote,
            client: Client::new(config, seed, now),
            counters,
            datagrams,
            seed: ssrc,
            source: RtpSource::new(&[], ssrc, now),
            parts: Vec::new(),
            left_out: Vec::new(),
            watched: true,
            elsewhere: None,
            last: None,
            look_at: now,
            redirect: None,
            started: false,
            ended: None,
        })
    }

    /// Take what has come; how many bytes.
    pub(super) fn receive(
        &mut self,
        datagrams: &mut Datagrams,
        space: &mut [u8],
        now: Instant,
    ) -> u64 {
        let mut taken = 0;
        while self.reads_on(taken) {
            match self.call.read(space) {
                Ok(Came::Some(len)) => {
                    taken += len;
                    self.client.handle_bytes(&space[..len], now);
                    self.drain(now);
                }
                Ok(Came::Nothing) => break,
                Err(why) => self.end(IngestEnd::Peer, &why),
            }
        }
        taken as u64 + self.receive_datagrams(datagrams, now)
    }

    fn reads_on(&mut self, taken: usize) -> bool {
        let is_over = self.ended.is_some() || self.client.ended().is_some();
        !is_over && (taken < TURN_BYTES || self.call.holds())
    }

    fn drain(&mut self, now: Instant) {
        while let Some(event) = self.client.poll_event() {
            match event {
                ClientEvent::Described(media) => self.set_up(&media, now),
                ClientEvent::Playing(placed) => self.play(&placed, now),
                ClientEvent::Data {
                    media,
                    is_rtcp,
                    payload,
                } => {
                    let mut all = self.parts.iter();
                    if let Some(key) = all.position(|part| part.media == media) {
                        self.handle_packet(key, is_rtcp, &payload, now);
                    }
                }
            }
        }
    }

    fn set_up(&mut self, media: &[Media], now: Instant) {
        let (described, left_out) = choose(media);
        if described.is_empty() {
            let names: Vec<&str> = left_out.iter().map(|(_, name)| name.as_str()).collect();
            let detail = format!("it has nothing that can be carried: {}", names.join(", "));
            return self.end(IngestEnd::Protocol, &detail);
        }
        let tracks: Vec<_> = described.iter().map(|(_, track)| track.clone()).collect();
        self.source = RtpSource::new(&tracks, self.seed, now);
        self.left_out = left_out;
        let mut choices = Vec::new();
        for (media, track) in described {
            let sockets = if self.datagrams {
                match self.bind() {
                    Ok(sockets) => Some(sockets),
                    Err(error) => {
                        let detail = format!("no ports for its datagrams: {error}");
                        return self.end(IngestEnd::Failed, &detail);
                    }
                }
            } else {
                None
            };
            let part = Part::new(media, track.payload_type, sockets);
            choices.push(Choice {
                media,
                ports: part.ports(),
            });
            self.parts.push(part);
        }
        self.watched = !self.datagrams;
        self.client.set_up(&choices, now);
    }

    fn play(&mut self, placed: &[Placed], now: Instant) {
        self.last = Some(now);
        let own = self.remote.ip();
        for one in placed {
            self.elsewhere = self
                .elsewhere
                .or(one.source.filter(|source| *source != own));
            let mut all = self.parts.iter_mut();
            let part = all.find(|part| part.media == one.media);
            if let (Some(part), Some((rtp, rtcp))) = (part, one.server_ports) {
                part.rtcp = Some(SocketAddr::new(own, rtcp));
                if let Some((rtp_socket, rtcp_socket)) = &part.sockets {
                    let _ = send(
                        rtp_socket.as_raw_fd(),
                        SocketAddr::new(own, rtp),
                        &OPENS_RTP,
                    );
                    let _ = send(
                        rtcp_socket.as_raw_fd(),
                        SocketAddr::new(own, rtcp),
                        &OPENS_RTCP,
                    );
                }
            }
        }
    }

    /// Do what is due, give what there is, and write what waits; whether there is more than the kernel takes.
    pub(super) fn serve(&mut self, now: Instant, told: &mut Vec<Sent>) -> bool {
        if self.client.next_timeout().is_some_and(|at| at <= now) {
            self.client.handle_timeout(now);
        }
        if self.look_at <= now {
            self.look_at = now + LOOK_EVERY;
        }
        if self.started {
            let left_out = self.left_out.drain(..);
            told.extend(left_out.map(|(key, codec)| Sent::Refused(key, codec)));
            let mut reports = Reports::new();
            self.source.drain(now, told, &mut reports);
            self.report(reports);
        }
        if self.last.is_some_and(|last| last + SILENT <= now) {
            let detail = match self.elsewhere.filter(|_| !self.started) {
                Some(source) => format!(
                    "no packets come from it; it says that they come from {source}, from where none are taken"
                ),
                None => "no packets come".to_owned(),
            };
            self.end(IngestEnd::Silent, &detail);
        }
        let more = self.flush();
        if let Some(end) = self.client.ended() {
            let reason = match end {
                ClientEnd::Protocol(_) | ClientEnd::Nothing => IngestEnd::Protocol,
                ClientEnd::NotAnswered => IngestEnd::Silent,
                _ => IngestEnd::Peer,
            };
            if let ClientEnd::Redirected(location) = end {
                self.redirect = Some(location.clone());
            }
            let detail = end.to_string();
            self.end(reason, &detail);
        }
        more
    }

    fn flush(&mut self) -> bool {
        let client = &mut self.client;
        match self.call.write(|| client.poll_output()) {
            Ok(more) => more,
            Err(why) => {
                self.end(IngestEnd::Peer, &why);
                false
            }
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let look = self.last.map(|_| self.look_at);
        self.client.next_timeout().into_iter().chain(look).min()
    }

    /// Say goodbye.
    pub(super) fn close(&mut self, now: Instant) {
        self.client.close(now);
        self.flush();
    }

    fn end(&mut self, end: IngestEnd, detail: &str) {
        self.ended.get_or_insert_with(|| (end, detail.to_owned()));
    }
}

impl AsRawFd for RtspPull {
    fn as_raw_fd(&self) -> RawFd {
        self.call.as_raw_fd()
    }
}
