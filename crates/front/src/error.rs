//! Why the front door did not start, or did not take a new certificate.

use std::net::SocketAddr;
use std::path::PathBuf;

/// What went wrong, in one line that says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// Another process listens there, by TCP or, for HTTP/3, by UDP.
    #[error("{name}: {address} is in use; stop what listens there, or configure another port")]
    AddrInUse {
        /// The bind's name.
        name: String,
        /// The configured address.
        address: SocketAddr,
    },
    /// The certificate or its key cannot be used.
    #[error("certificate {}: {reason}", path.display())]
    BadCertificate {
        /// The file at fault.
        path: PathBuf,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// A setting makes no sense.
    #[error("{0}")]
    BadConfig(String),
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl FrontError {
    /// A stable code: `addr_in_use`, `bad_certificate`, `bad_config` or `io`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AddrInUse { .. } => "addr_in_use",
            Self::BadCertificate { .. } => "bad_certificate",
            Self::BadConfig(_) => "bad_config",
            Self::Io { .. } => "io",
        }
    }

    pub(crate) fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io {
            what: what.into(),
            source,
        }
    }
}
