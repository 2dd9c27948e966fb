//! Commands: listeners opened and closed, publishers sent away.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use roomtone_srt::Passphrase;
use rustls::ServerConfig;

use super::srt::SrtPort;
use super::thread::{IngestThread, Packaging, RTMP_PORT, RtmpPort, SRT_PORT, token};
use super::wire;
use crate::failure::Failure;
use crate::ids;
use crate::live;
use crate::values::{
    Command, CommandResult, ErrorCode, IngestCertificate, IngestEnd, IngestPort, IngestProtocol,
    Listing,
};

/// Listeners at a time.
const MAX_LISTENERS: usize = 64;
/// How long SRT may hold back what it has, in milliseconds.
const LATENCY_MS: std::ops::RangeInclusive<u32> = 20..=8_000;

/// How streams are packaged that are to be listed so.
pub(super) fn packaging(listing: Listing) -> Result<Packaging, Failure> {
    let Listing {
        window_ms,
        part_ms,
        encryption,
    } = listing;
    Ok(Packaging {
        window_us: window_ms * 1000,
        part_us: part_ms.map(|part_ms| u64::from(part_ms) * 1000),
        encryption: live::encryption(encryption)?,
    })
}

/// What callers are shown who have to encrypt.
fn tls_of(
    protocol: IngestProtocol,
    certificate: Option<IngestCertificate>,
) -> Result<Option<Arc<ServerConfig>>, Failure> {
    match (protocol, certificate) {
        (IngestProtocol::Rtmps, Some(certificate)) => wire::server_config(&certificate).map(Some),
        (IngestProtocol::Rtmps, None) => Err(Failure::invalid("RTMPS takes a certificate")),
        (_, Some(_)) => Err(Failure::invalid("only RTMPS has a certificate")),
        (_, None) => Ok(None),
    }
}

impl IngestThread {
    pub(super) fn handle_command(&mut self, command: Command, now: Instant) -> CommandResult {
        let done = match command {
            Command::OpenIngestListener { port, listing } => {
                packaging(listing).and_then(|packaging| {
                    self.open_listener(port, now)
                        .inspect(|(listener, _)| {
                            self.packaging.insert(*listener, packaging);
                        })
                        .map(|(listener, port)| CommandResult::IngestListenerOpened {
                            listener,
                            port,
                        })
                })
            }
            Command::OpenIngestInput {
                name,
                source,
                listing,
            } => packaging(listing).and_then(|packaging| {
                self.open_input(name, source, packaging, now)
                    .map(|(listener, port)| CommandResult::IngestListenerOpened { listener, port })
            }),
            Command::OpenIngestPull {
                name,
                origin,
                listing,
            } => packaging(listing).and_then(|packaging| {
                self.open_pull(name, origin, packaging, now)
                    .map(|listener| CommandResult::IngestPullOpened { listener })
            }),
            Command::SetIngestCertificate {
                listener,
                certificate,
            } => self.set_certificate(listener, &certificate),
            Command::CloseIngestListener { listener } => self.close_listener(listener, now),
            Command::CloseIngest { packager } => self.close_ingest(packager, now),
            Command::PointIngest(wish) => self.point_ingest(wish.packager, wish.source),
            Command::ClosePlayout { playout } => self.close_playout(playout, now),
            _ => Err(Failure::invalid("no command of ingests")),
        };
        done.unwrap_or_else(CommandResult::from)
    }

    fn open_listener(&mut self, port: IngestPort, now: Instant) -> Result<(u64, u16), Failure> {
        let IngestPort {
            protocol,
            address,
            passphrase,
            latency_ms,
            certificate,
        } = port;
        let tls = tls_of(protocol, certificate)?;
        let address: SocketAddr = address
            .parse()
            .map_err(|_| Failure::invalid("address is not IP:PORT"))?;
        if self.srt.len() + self.rtmp.len() + self.rtp.len() >= MAX_LISTENERS {
            let message = format!("{MAX_LISTENERS} listeners are open");
            return Err(Failure::new(ErrorCode::Limit, message));
        }
        if !LATENCY_MS.contains(&latency_ms) {
            return Err(Failure::invalid("latency_ms is 20 to 8000"));
        }
        let id = ids::allocate(ids::INGEST);
        let port = match protocol {
            IngestProtocol::Srt => {
                let passphrase = passphrase
                    .as_deref()
                    .map(Passphrase::new)
                    .transpose()
                    .map_err(|_| Failure::invalid("a passphrase has 10 to 80 characters"))?;
                self.open_srt(
                    id,
                    address,
                    passphrase,
                    Duration::from_millis(latency_ms.into()),
                    now,
                )
            }
            IngestProtocol::Rtmp | IngestProtocol::Rtmps | IngestProtocol::Rtp
                if passphrase.is_some() =>
            {
                return Err(Failure::invalid("only SRT has a passphrase"));
            }
            IngestProtocol::Rtmp | IngestProtocol::Rtmps => self.open_rtmp(id, address, tls),
            IngestProtocol::Rtp => self.open_rtp_port(id, address),
            IngestProtocol::Rtsp | IngestProtocol::Rtsps => {
                return Err(Failure::invalid("RTSP is only fetched"));
            }
            IngestProtocol::Mpegts => {
                return Err(Failure::invalid("MPEG-TS in datagrams comes by an input"));
            }
        };
        let port = port.map_err(|error| {
            Failure::new(
                ErrorCode::NoPort,
                format!("cannot listen on {address}: {error}"),
            )
        })?;
        Ok((id, port))
    }

    fn open_srt(
        &mut self,
        id: u64,
        address: SocketAddr,
        passphrase: Option<Passphrase>,
        latency: Duration,
        now: Instant,
    ) -> std::io::Result<u16> {
        let secret = self.secret();
        let port = SrtPort::open(id, address, passphrase, latency, &secret, now)?;
        let number = port.address()?.port();
        let entry = self.srt.vacant_entry();
        self.poller.add(&port, token(SRT_PORT, entry.key()))?;
        entry.insert(port);
        Ok(number)
    }

    fn open_rtmp(
        &mut self,
        id: u64,
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
    ) -> std::io::Result<u16> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let number = listener.local_addr()?.port();
        let entry = self.rtmp.vacant_entry();
        self.poller.add(&listener, token(RTMP_PORT, entry.key()))?;
        entry.insert(RtmpPort { id, tls, listener });
        Ok(number)
    }

    /// Callers that come from now on are shown another certificate.
    fn set_certificate(
        &mut self,
        listener: u64,
        certificate: &IngestCertificate,
    ) -> Result<CommandResult, Failure> {
        let mut ports = self.rtmp.iter_mut().map(|(_, port)| port);
        let port = ports
            .find(|port| port.id == listener && port.tls.is_some())
            .ok_or_else(|| Failure::not_found("listener with a certificate", listener))?;
        port.tls = Some(wire::server_config(certificate)?);
        Ok(CommandResult::Done {})
    }

    /// Who publishes through it is sent away too.
    fn close_listener(&mut self, listener: u64, now: Instant) -> Result<CommandResult, Failure> {
        let was_input = self.close_input(listener, now) || self.close_pull(listener, now);
        if self.packaging.remove(&listener).is_none() && !was_input {
            return Err(Failure::not_found("listener", listener));
        }
        let through = self
            .publishers
            .values()
            .filter(|one| one.wish.listener == listener);
        let through: Vec<u64> = through.map(|one| one.id).collect();
        for publisher in through {
            self.end_publisher(publisher, IngestEnd::Requested, "the listener closes", now);
        }
        self.end_playouts_of(listener, now);
        // Their places are given to others, whom an answer must not reach.
        self.questions.forget_listener(listener);
        self.srt.retain(|_, port| port.id != listener);
        self.rtmp.retain(|_, port| port.id != listener);
        self.connections.retain(|_, one| one.listener != listener);
        Ok(CommandResult::Done {})
    }

    fn point_ingest(
        &mut self,
        packager: u64,
        source: Option<u64>,
    ) -> Result<CommandResult, Failure> {
        let Some(name) = self.streams.name_of(packager) else {
            return Err(Failure::not_found("stream of packager", packager));
        };
        self.streams.point(&name, source)?;
        Ok(CommandResult::Done {})
    }

    /// One that waits for its publisher ends too.
    fn close_ingest(&mut self, packager: u64, now: Instant) -> Result<CommandResult, Failure> {
        let Some(name) = self.streams.name_of(packager) else {
            return Err(Failure::not_found("stream of packager", packager));
        };
        let why = "an operator has ended it";
        self.end_stream(&name, IngestEnd::Requested, why, now);
        Ok(CommandResult::Done {})
    }
}
