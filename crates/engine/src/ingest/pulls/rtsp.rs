//! A stream that is fetched by RTSP, bare or behind TLS: this side has it played, in the connection or in datagrams.
//!
//! Datagrams are taken from, and reports sent to, the address that the connection was made to, which control has judged:
//! what the server names in its answers is nobody that anything is sent to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use roomtone_rtp::RtpPacket;
use roomtone_rtsp::{Choice, Client, ClientConfig, ClientEnd, ClientEvent, Media, Placed, Target};

use super::calling::{Call, Came};
use super::rtsp_media::{Part, choose};
use crate::counters::IngestCounters;
use crate::ingest::inputs::{Reported, Reports, RtpSource, Taken, pair};
use crate::ingest::publisher::Sent;
use crate::sys::{Datagrams, datagrams_of, send};
use crate::values::{IngestEnd, IngestTrust};

/// Bytes taken before others have their turn, and rounds of datagrams of each port.
const TURN_BYTES: usize = 256 << 10;
const ROUNDS: usize = 8;
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
        let goes_on = |one: &mut Self, taken| {
            let is_over = one.ended.is_some() || one.client.ended().is_some();
            !is_over && (taken < TURN_BYTES || one.call.holds())
        };
        while goes_on(self, taken) {
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

    fn receive_datagrams(&mut self, datagrams: &mut Datagrams, now: Instant) -> u64 {
        let mut taken = 0;
        for key in 0..self.parts.len() {
            for is_rtcp in [false, true] {
                for _ in 0..ROUNDS {
                    let Some((rtp, rtcp)) = &self.parts[key].sockets else {
                        break;
                    };
                    let Ok(count) = datagrams.receive(if is_rtcp { rtcp } else { rtp }) else {
                        self.counters.ingest_sockets_failed.up();
                        break;
                    };
                    for at in 0..count {
                        let Some((from, segment, bytes)) = datagrams.message(at) else {
                            continue;
                        };
                        if from.ip() != self.remote.ip() {
                            self.counters.dropped_rtp_strangers.up();
                            continue;
                        }
                        taken += bytes.len() as u64;
                        for datagram in datagrams_of(bytes, segment) {
                            self.handle_packet(key, is_rtcp, datagram, now);
                        }
                    }
                    if count < Datagrams::capacity() {
                        break;
                    }
                }
            }
        }
        taken
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

    fn bind(&self) -> io::Result<(UdpSocket, UdpSocket)> {
        let any: IpAddr = if self.remote.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let (rtp, rtcp) = pair(SocketAddr::new(any, 0))?;
        let rtcp = rtcp.ok_or(io::ErrorKind::AddrInUse)?;
        Ok((rtp, rtcp))
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

    fn handle_packet(&mut self, key: usize, is_rtcp: bool, bytes: &[u8], now: Instant) {
        let from = place(self.remote.ip(), key, is_rtcp);
        if is_rtcp {
            match self.source.handle_rtcp(from, bytes, now) {
                Reported::Fine => {}
                Reported::Stranger => self.counters.dropped_rtp_strangers.up(),
                Reported::Over => self.end(IngestEnd::Peer, "the stream has ended"),
            }
            return;
        }
        let Ok(packet) = RtpPacket::parse(bytes) else {
            return self.counters.dropped_rtp_malformed.up();
        };
        if packet.payload_type() != self.parts[key].payload_type {
            return self.counters.dropped_rtp_unused.up();
        }
        match self.source.handle_packet_of(key, from, &packet, now) {
            Taken::Yes => (self.last, self.started) = (Some(now), true),
            Taken::Kept => {}
            Taken::Unused => self.counters.dropped_rtp_unused.up(),
            Taken::Stranger => self.counters.dropped_rtp_strangers.up(),
            Taken::Anew => self.end(IngestEnd::Replaced, "another source has begun"),
        }
        let refused = self.source.take_refused();
        self.counters.dropped_rtp_strangers.add(refused);
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

    fn report(&mut self, reports: Reports) {
        for (to, report) in reports {
            let Some(part) = self.parts.get(usize::from(to.port() / 2)) else {
                continue;
            };
            // What is lost, or finds no place, is said again.
            match (&part.sockets, part.rtcp) {
                (Some((_, rtcp)), Some(server)) => {
                    let _ = send(rtcp.as_raw_fd(), server, &report);
                }
                _ => {
                    self.client.send_report(part.media, &report);
                }
            }
        }
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

    /// Sockets that nobody waits at yet.
    pub(super) fn take_unwatched(&mut self) -> impl Iterator<Item = &UdpSocket> {
        let parts = if std::mem::replace(&mut self.watched, true) {
            &[][..]
        } else {
            &self.parts[..]
        };
        let pairs = parts.iter().filter_map(|part| part.sockets.as_ref());
        pairs.flat_map(|(rtp, rtcp)| [rtp, rtcp])
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

/// What stands for where packets of a part come from: told apart by part, whatever they come by.
fn place(ip: IpAddr, key: usize, is_rtcp: bool) -> SocketAddr {
    SocketAddr::new(ip, 2 * key as u16 + u16::from(is_rtcp))
}

impl AsRawFd for RtspPull {
    fn as_raw_fd(&self) -> RawFd {
        self.call.as_raw_fd()
    }
}
