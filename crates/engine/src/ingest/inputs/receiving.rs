//! Datagrams that have come to a port: whose they are, and what becomes of them.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Instant;

use roomtone_rtp::{RtpPacket, is_rtcp};

use super::rtp_source::{self, Reported, Reports};
use super::{Input, Kind, SILENT, ts_source};
use crate::ingest::publisher::Sent;
use crate::ingest::thread::IngestThread;
use crate::sys::{Datagrams, datagrams_of, send};
use crate::values::{Event, IngestEnd};

/// Rounds of datagrams taken before others have their turn.
const ROUNDS: usize = 8;
/// The first byte of a packet of MPEG-TS, and the payload type of such behind RTP (RFC 3551).
const TS_SYNC: u8 = 0x47;
const TS_PAYLOAD_TYPE: u8 = 33;

/// What a datagram is.
enum What<'a> {
    Rtp(RtpPacket<'a>),
    Mpegts,
}

impl<'a> What<'a> {
    fn of(datagram: &'a [u8]) -> Option<Self> {
        if datagram.first() == Some(&TS_SYNC) {
            return Some(Self::Mpegts);
        }
        RtpPacket::parse(datagram).ok().map(Self::Rtp)
    }

    fn describe(&self) -> String {
        match self {
            Self::Rtp(packet) => format!(
                "RTP of payload type {} and source {:08x}",
                packet.payload_type(),
                packet.ssrc()
            ),
            Self::Mpegts => "MPEG-TS".to_owned(),
        }
    }
}

impl Input {
    /// Whether this comes for it.
    fn takes(&self, port: usize, from: SocketAddr, what: &What<'_>) -> bool {
        if self.port != port || self.remote.is_some_and(|remote| !remote.is(from)) {
            return false;
        }
        match (&self.kind, what) {
            (Kind::Rtp(source), What::Rtp(packet)) => source.knows(packet.payload_type()),
            (Kind::Mpegts(_), What::Rtp(packet)) => packet.payload_type() == TS_PAYLOAD_TYPE,
            (Kind::Mpegts(_), What::Mpegts) => true,
            (Kind::Rtp(_), What::Mpegts) => false,
        }
    }
}

impl IngestThread {
    /// Take what has come to a port.
    pub(in crate::ingest) fn receive_rtp(
        &mut self,
        index: usize,
        is_rtcp_port: bool,
        datagrams: &mut Datagrams,
        now: Instant,
    ) {
        for _ in 0..ROUNDS {
            let Some(port) = self.rtp.get(index) else {
                return;
            };
            let socket = if is_rtcp_port {
                port.rtcp.as_ref()
            } else {
                Some(&port.rtp)
            };
            let Some(count) = socket.map(|socket| datagrams.receive(socket)) else {
                return;
            };
            let Ok(count) = count else {
                self.counters.ingest_sockets_failed.up();
                return;
            };
            for at in 0..count {
                let Some((from, segment, bytes)) = datagrams.message(at) else {
                    continue;
                };
                for datagram in datagrams_of(bytes, segment) {
                    if is_rtcp_port || is_rtcp(datagram) {
                        self.handle_rtcp(index, from, datagram, now);
                    } else {
                        self.handle_datagram(index, from, datagram, now);
                    }
                }
            }
            if count < Datagrams::capacity() {
                break;
            }
        }
        self.drain_inputs(now, false);
    }

    fn handle_datagram(&mut self, port: usize, from: SocketAddr, datagram: &[u8], now: Instant) {
        let Some(what) = What::of(datagram) else {
            return self.counters.dropped_rtp_malformed.up();
        };
        let takers = self
            .inputs
            .iter()
            .filter(|(_, one)| one.takes(port, from, &what));
        // One that says where its source is goes before one that takes all.
        let taker = takers.max_by_key(|(_, one)| one.remote.is_some());
        let Some(index) = taker.map(|(index, _)| index) else {
            self.counters.dropped_rtp_strangers.up();
            let why = "no input takes it";
            return self.tell_stranger(port, from, &format!("{}: {why}", what.describe()));
        };
        if !self.begin_input(index, from, now) {
            return self.counters.dropped_rtp_strangers.up();
        }
        let input = &mut self.inputs[index];
        let taken = match (&mut input.kind, &what) {
            (Kind::Rtp(source), What::Rtp(packet)) => source.handle_packet(from, packet, now),
            (Kind::Mpegts(source), _) => match source.handle_datagram(from, datagram, now) {
                ts_source::Taken::Yes => rtp_source::Taken::Yes,
                ts_source::Taken::Stranger => rtp_source::Taken::Stranger,
                ts_source::Taken::Anew => rtp_source::Taken::Anew,
            },
            (Kind::Rtp(_), What::Mpegts) => rtp_source::Taken::Stranger,
        };
        let refused = match &mut input.kind {
            Kind::Rtp(source) => source.take_refused(),
            Kind::Mpegts(_) => 0,
        };
        let publisher = input.publisher;
        match taken {
            rtp_source::Taken::Yes | rtp_source::Taken::Unused => {
                (input.last, input.touched) = (now, true);
                if taken == rtp_source::Taken::Unused {
                    self.counters.dropped_rtp_unused.up();
                }
                if let Some(publisher) = publisher {
                    self.heard(publisher, datagram.len() as u64, now);
                }
            }
            rtp_source::Taken::Kept => {}
            rtp_source::Taken::Stranger => self.pass_by(port, from, &what, 1),
            rtp_source::Taken::Anew => {
                if let Some(publisher) = publisher {
                    let why = "another source has begun";
                    self.end_publisher(publisher, IngestEnd::Replaced, why, now);
                    self.handle_datagram(port, from, datagram, now);
                }
            }
        }
        if refused > 0 {
            self.pass_by(port, from, &what, refused);
        }
    }

    /// So many datagrams are not taken, since another sends what they bring.
    fn pass_by(&mut self, port: usize, from: SocketAddr, what: &What<'_>, count: u64) {
        self.counters.dropped_rtp_strangers.add(count);
        let why = "another source sends that at the moment";
        self.tell_stranger(port, from, &format!("{}: {why}", what.describe()));
    }

    fn tell_stranger(&mut self, port: usize, from: SocketAddr, detail: &str) {
        let Some(port) = self.rtp.get_mut(port) else {
            return;
        };
        if port.tells(from) {
            let _ = self.shared.outbox.event(Event::IngestStranger {
                listener: port.id,
                remote: from.to_string(),
                detail: detail.to_owned(),
            });
        }
    }

    fn handle_rtcp(&mut self, port: usize, from: SocketAddr, datagram: &[u8], now: Instant) {
        let (mut known, mut strange) = (false, false);
        let mut over = Vec::new();
        for (_, input) in &mut self.inputs {
            if input.port != port || input.remote.is_some_and(|remote| !remote.is(from)) {
                continue;
            }
            if let Kind::Rtp(source) = &mut input.kind {
                match source.handle_rtcp(from, datagram, now) {
                    Reported::Fine => known = true,
                    Reported::Stranger => strange = true,
                    Reported::Over => {
                        known = true;
                        over.extend(input.publisher);
                    }
                }
            }
        }
        if strange || !known {
            self.counters.dropped_rtp_strangers.up();
        }
        for publisher in over {
            self.end_publisher(publisher, IngestEnd::Peer, "it said goodbye", now);
        }
    }

    /// Pass on what inputs have put together: those that something came for, or all.
    pub(in crate::ingest) fn drain_inputs(&mut self, now: Instant, all: bool) {
        let due = self.inputs.iter().filter(|(_, one)| one.touched || all);
        let due: Vec<usize> = due.map(|(index, _)| index).collect();
        let (mut sent, mut reports): (Vec<Sent>, Reports) = (Vec::new(), Vec::new());
        for index in due {
            let Some(input) = self.inputs.get_mut(index) else {
                continue;
            };
            input.touched = false;
            let Some(publisher) = input.publisher else {
                continue;
            };
            match &mut input.kind {
                Kind::Rtp(source) => source.drain(now, &mut sent, &mut reports),
                Kind::Mpegts(source) => source.drain(now, &mut sent),
            }
            let (is_silent, port) = (input.last + SILENT <= now, input.port);
            for one in sent.drain(..) {
                self.sent(publisher, one, now);
            }
            self.send_reports(port, &mut reports);
            if is_silent {
                self.end_publisher(publisher, IngestEnd::Silent, "", now);
            }
        }
    }

    fn send_reports(&mut self, port: usize, reports: &mut Reports) {
        let socket = self.rtp.get(port).and_then(|port| port.rtcp.as_ref());
        for (to, datagram) in reports.drain(..) {
            // What is lost is said again.
            if let Some(socket) = socket {
                let _ = send(socket.as_raw_fd(), to, &datagram);
            }
        }
    }
}
