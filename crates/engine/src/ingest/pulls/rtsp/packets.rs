//! Packets of a stream that is fetched by RTSP: from datagrams or the connection to who puts them together, and reports
//! the other way.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Instant;

use roomtone_rtp::RtpPacket;

use super::RtspPull;
use crate::ingest::inputs::{Reported, Reports, Taken, pair};
use crate::sys::{Datagrams, datagrams_of, send};
use crate::values::IngestEnd;

/// Rounds of datagrams of each port before others have their turn.
const ROUNDS: usize = 8;

impl RtspPull {
    pub(super) fn bind(&self) -> io::Result<(UdpSocket, UdpSocket)> {
        let any: IpAddr = if self.remote.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let (rtp, rtcp) = pair(SocketAddr::new(any, 0))?;
        let rtcp = rtcp.ok_or(io::ErrorKind::AddrInUse)?;
        Ok((rtp, rtcp))
    }

    pub(super) fn receive_datagrams(&mut self, datagrams: &mut Datagrams, now: Instant) -> u64 {
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

    pub(super) fn handle_packet(&mut self, key: usize, is_rtcp: bool, bytes: &[u8], now: Instant) {
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

    pub(super) fn report(&mut self, reports: Reports) {
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

    /// Sockets that nobody waits at yet.
    pub(in crate::ingest::pulls) fn take_unwatched(&mut self) -> impl Iterator<Item = &UdpSocket> {
        let parts = if std::mem::replace(&mut self.watched, true) {
            &[][..]
        } else {
            &self.parts[..]
        };
        let pairs = parts.iter().filter_map(|part| part.sockets.as_ref());
        pairs.flat_map(|(rtp, rtcp)| [rtp, rtcp])
    }
}

/// What stands for where packets of a part come from: told apart by part, whatever they come by.
fn place(ip: IpAddr, key: usize, is_rtcp: bool) -> SocketAddr {
    SocketAddr::new(ip, 2 * key as u16 + u16::from(is_rtcp))
}
