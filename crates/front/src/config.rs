//! What the front door is told at start. Every field has a default, and an unknown field is an error.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::network::Network;

/// All settings of a [`Front`](crate::Front).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FrontConfig {
    /// The sockets to listen on.
    pub binds: Vec<BindConfig>,
    /// The Unix domain socket of the application. It need not exist yet: requests get 503 until it does.
    pub application: PathBuf,
    /// The certificate, used by the binds with `tls`.
    pub tls: TlsConfig,
    /// Whose forwarding headers are believed: addresses or networks such as `10.0.0.0/8`. `Forwarded` is read only
    /// without `X-Forwarded-For` and `-Proto`, so a proxy that writes `Forwarded` must drop those of strangers.
    pub trusted_proxies: Vec<Network>,
    /// Directories served from disk; the longest matching prefix wins. What is not there goes to the application.
    pub static_dirs: Vec<StaticDir>,
    /// Who may read live streams.
    pub live: LiveConfig,
    /// Limits and time-outs.
    pub limits: Limits,
    /// Threads of the server's runtime; 1 keeps everything on one thread.
    pub threads: usize,
}

impl Default for FrontConfig {
    fn default() -> Self {
        Self {
            binds: Vec::new(),
            application: PathBuf::new(),
            tls: TlsConfig::default(),
            trusted_proxies: Vec::new(),
            static_dirs: Vec::new(),
            live: LiveConfig::default(),
            limits: Limits::default(),
            threads: 1,
        }
    }
}

/// One listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BindConfig {
    /// The name by which [`Front::addresses`](crate::Front::addresses) and the application know it.
    pub name: String,
    /// Address and port, such as `0.0.0.0:8080` or `[::]:8080`; port 0 takes any free one.
    #[serde(with = "text")]
    pub address: SocketAddr,
    /// Whether connections speak TLS.
    pub tls: bool,
    /// Whether the UDP port of the same number speaks HTTP/3; needs `tls`.
    pub http3: bool,
    /// When not empty, only these path prefixes are served here, and nowhere else (a metrics port, say).
    pub only: Vec<String>,
    /// When set, an address in use leaves this bind out instead of failing the start.
    pub optional: bool,
}

impl Default for BindConfig {
    fn default() -> Self {
        Self {
            name: String::from("http"),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: false,
            http3: false,
            only: Vec::new(),
            optional: false,
        }
    }
}

/// Where the certificate comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the certificate chain, leaf first. `None` makes a self-signed certificate at first start.
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key; needed with `certificate`.
    pub key: Option<PathBuf>,
    /// Where a self-signed certificate and its key (mode 0600) are kept.
    pub directory: PathBuf,
    /// Further DNS names and addresses of a self-signed certificate, beside `localhost`, 127.0.0.1 and ::1.
    pub names: Vec<String>,
}

/// Who may read live streams. Whoever may not by this alone needs a grant, which the application gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LiveConfig {
    /// Everybody may, without a grant.
    pub public: bool,
    /// Clients on this machine may, without a grant.
    pub open_to_loopback: bool,
    /// The key that grants are signed with, 64 hexadecimal digits; empty: no grant is good.
    pub grant_key: String,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            public: true,
            open_to_loopback: false,
            grant_key: String::new(),
        }
    }
}

/// One directory of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticDir {
    /// Path prefix, such as `/` or `/assets`.
    pub prefix: String,
    /// The directory on disk.
    pub directory: PathBuf,
}

/// Limits and time-outs; a `_ms` of 0 is no time-out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest request body; above it 413.
    pub max_body_bytes: u64,
    /// Largest sum of header names and values of a request; above it 431.
    pub max_header_bytes: usize,
    /// Most headers of a request; above it 431.
    pub max_headers: usize,
    /// Open connections; one more is closed at once and counted.
    pub max_connections: usize,
    /// Open connections of one address (IPv6: of one /64); trusted proxies are exempt.
    pub max_connections_per_address: usize,
    /// Requests a second of one address (IPv6: of one /64); above it 429. 0 is no limit.
    pub requests_per_second: u32,
    /// Requests one address may make at once before `requests_per_second` is enforced.
    pub request_burst: u32,
    /// Viewers of live streams that are told apart; further ones watch without being counted.
    pub max_viewers: usize,
    /// Addresses whose rate is remembered; when full, further addresses share one bucket.
    pub max_rate_addresses: usize,
    /// Concurrent HTTP/2 or HTTP/3 streams of one connection.
    pub max_streams: u32,
    /// Requests and WebSockets open towards the application at once; one more gets 503.
    pub max_application_requests: usize,
    /// Idle connections kept towards the application.
    pub max_application_idle: usize,
    /// How long the first byte, a TLS handshake or a request's head may take.
    pub header_timeout_ms: u64,
    /// How long a connection may stay open without a request.
    pub idle_timeout_ms: u64,
    /// How long a request's body may stall; then 408.
    pub body_timeout_ms: u64,
    /// How long a peer may refuse to take bytes we have for it.
    pub write_timeout_ms: u64,
    /// How long a WebSocket may be silent in both directions.
    pub tunnel_idle_timeout_ms: u64,
    /// How long connecting to the application may take; then 503.
    pub application_connect_timeout_ms: u64,
    /// How long the application may take to begin its response; then 504.
    pub application_response_timeout_ms: u64,
    /// How long an idle connection to the application is used again; keep it below the application's own.
    pub application_keep_alive_ms: u64,
    /// How long closing waits for requests under way.
    pub drain_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 1 << 20,
            max_header_bytes: 32 << 10,
            max_headers: 100,
            max_connections: 16_384,
            max_connections_per_address: 4_096,
            requests_per_second: 1_000,
            request_burst: 4_000,
            max_viewers: 65_536,
            max_rate_addresses: 65_536,
            max_streams: 128,
            max_application_requests: 8_192,
            max_application_idle: 64,
            header_timeout_ms: 10_000,
            idle_timeout_ms: 75_000,
            body_timeout_ms: 30_000,
            write_timeout_ms: 30_000,
            tunnel_idle_timeout_ms: 300_000,
            application_connect_timeout_ms: 2_000,
            application_response_timeout_ms: 60_000,
            application_keep_alive_ms: 4_000,
            drain_timeout_ms: 5_000,
        }
    }
}

/// Addresses travel as text in every format.
mod text {
    use std::net::SocketAddr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        address: &SocketAddr,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(address)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SocketAddr, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            D::Error::custom(format!(
                "{text:?} is no address such as 127.0.0.1:8080 or [::]:8080"
            ))
        })
    }
}

/// A `_ms` setting as a duration; 0 is "for ever", which a century stands for.
pub(crate) fn timeout(ms: u64) -> Duration {
    const CENTURY_MS: u64 = 100 * 365 * 86_400 * 1_000;
    Duration::from_millis(if ms == 0 {
        CENTURY_MS
    } else {
        ms.min(CENTURY_MS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_with_one_field_takes_the_defaults_for_the_rest() {
        let bytes =
            rmp_serde::to_vec_named(&std::collections::BTreeMap::from([("threads", 2)])).unwrap();
        let config: FrontConfig = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(
            config,
            FrontConfig {
                threads: 2,
                ..FrontConfig::default()
            }
        );
    }

    #[test]
    fn every_field_survives_the_wire() {
        let config = FrontConfig {
            binds: vec![BindConfig {
                only: vec!["/metrics".into()],
                ..BindConfig::default()
            }],
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            static_dirs: vec![StaticDir {
                prefix: "/".into(),
                directory: "/srv/web".into(),
            }],
            ..FrontConfig::default()
        };
        let bytes = rmp_serde::to_vec_named(&config).unwrap();
        assert_eq!(
            rmp_serde::from_slice::<FrontConfig>(&bytes).unwrap(),
            config
        );
    }

    #[test]
    fn addresses_are_text_and_bad_ones_are_named() {
        let decode = |address: &str| {
            let map = std::collections::BTreeMap::from([("address", address)]);
            rmp_serde::from_slice::<BindConfig>(&rmp_serde::to_vec_named(&map).unwrap())
        };
        assert_eq!(decode("[::1]:8080").unwrap().address.port(), 8080);
        assert!(
            decode("localhost")
                .unwrap_err()
                .to_string()
                .contains("localhost")
        );
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let bytes =
            rmp_serde::to_vec_named(&std::collections::BTreeMap::from([("thread", 2)])).unwrap();
        assert!(rmp_serde::from_slice::<FrontConfig>(&bytes).is_err());
    }

    #[test]
    fn static_directories_are_also_read_from_pairs() {
        let bytes = rmp_serde::to_vec(&("/", "/srv/web")).unwrap();
        let dir: StaticDir = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(dir.directory, PathBuf::from("/srv/web"));
    }
}
