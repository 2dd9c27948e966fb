//! Pulls are opened: each begins to connect, and is told about once it has an id.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use roomtone_rtmp::Target;
use roomtone_srt::{ConnectionConfig, DialConfig, Passphrase};

use super::rtmp::RtmpPull;
use super::rtsp::RtspPull;
use super::srt::SrtPull;
use super::{Kind, MAX_PULLS, Pull};
use crate::failure::Failure;
use crate::ids;
use crate::ingest::asking::is_name;
use crate::ingest::thread::{IngestThread, PULL, Packaging, token};
use crate::values::{ErrorCode, IngestPull};

impl IngestThread {
    /// Fetch a stream; the pull's id, which is that of a listener.
    pub(in crate::ingest) fn open_pull(
        &mut self,
        name: String,
        from: IngestPull,
        packaging: Packaging,
        now: Instant,
    ) -> Result<u64, Failure> {
        if self.pulls.len() >= MAX_PULLS {
            let message = format!("{MAX_PULLS} pulls are open");
            return Err(Failure::new(ErrorCode::Limit, message));
        }
        if !is_name(&name) {
            return Err(Failure::invalid("the name cannot stand in a URL"));
        }
        let secret = self.secret();
        let unreachable = |error: std::io::Error| {
            Failure::new(ErrorCode::NoPort, format!("cannot be reached: {error}"))
        };
        let (remote, kind) = match from {
            IngestPull::Srt {
                address,
                stream_id,
                passphrase,
                latency_ms,
            } => {
                let remote = parse(&address)?;
                let passphrase = passphrase.as_deref().map(Passphrase::new).transpose();
                let passphrase = passphrase
                    .map_err(|_| Failure::invalid("a passphrase has 10 to 80 characters"))?;
                let config = DialConfig {
                    connection: ConnectionConfig {
                        latency: Duration::from_millis(latency_ms.clamp(20, 8_000).into()),
                        ..ConnectionConfig::default()
                    },
                    stream_id,
                    passphrase,
                    ..DialConfig::default()
                };
                let pull = SrtPull::call(remote, config, &secret, now).map_err(unreachable)?;
                (remote, Kind::Srt(Box::new(pull)))
            }
            IngestPull::Rtmp {
                address,
                url,
                trust,
            } => {
                let remote = parse(&address)?;
                let target = Target::parse(&url).map_err(|_| {
                    Failure::invalid("the URL is neither rtmp://HOST/APP/NAME nor rtmps://")
                })?;
                let pull =
                    RtmpPull::connect(remote, target, &trust, secret, now).map_err(unreachable)?;
                (remote, Kind::Rtmp(Box::new(pull)))
            }
            IngestPull::Rtsp {
                address,
                url,
                datagrams,
                trust,
            } => {
                let remote = parse(&address)?;
                let target = roomtone_rtsp::Target::parse(&url);
                let target = target.map_err(|error| Failure::invalid(error.to_string()))?;
                if target.tls && datagrams {
                    let message = "behind TLS packets come in the connection";
                    return Err(Failure::invalid(message));
                }
                let way = (datagrams, &trust);
                let pull =
                    RtspPull::connect(remote, target, way, secret, self.counters.clone(), now)
                        .map_err(unreachable)?;
                (remote, Kind::Rtsp(Box::new(pull)))
            }
        };
        let pull = Pull {
            id: ids::allocate(ids::INGEST),
            name,
            remote,
            kind,
            publisher: None,
            fresh: true,
            over: None,
        };
        let id = pull.id;
        let entry = self.pulls.vacant_entry();
        let index = entry.key();
        self.poller
            .add(&pull, token(PULL, index))
            .map_err(unreachable)?;
        entry.insert(pull);
        self.packaging.insert(id, packaging);
        Ok(id)
    }
}

fn parse(address: &str) -> Result<SocketAddr, Failure> {
    address
        .parse()
        .map_err(|_| Failure::invalid("address is not IP:PORT"))
}
