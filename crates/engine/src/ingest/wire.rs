//! The bytes of a connection of RTMP: bare, or behind TLS.
//!
//! A port for TLS looks at the first byte of a caller: a caller that speaks RTMP bare is let through to be told in its own
//! protocol that it may not.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use crate::failure::Failure;
use crate::values::IngestCertificate;

/// What a record of TLS begins with whose sender wants to begin (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// What callers are shown whose bytes are encrypted.
pub(super) fn server_config(certificate: &IngestCertificate) -> Result<Arc<ServerConfig>, Failure> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = certified(certificate, &provider).map_err(Failure::invalid)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::invalid(format!("TLS: {error}")))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)));
    Ok(Arc::new(config))
}

fn certified(
    certificate: &IngestCertificate,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, String> {
    let chain = CertificateDer::pem_slice_iter(&certificate.chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("the certificate is no PEM: {error}"))?;
    if chain.is_empty() {
        return Err("there is no CERTIFICATE in the certificate".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(&certificate.key)
        .map_err(|error| format!("the key of the certificate is no PEM: {error}"))?;
    CertifiedKey::from_der(chain, key, provider)
        .map_err(|error| format!("the certificate cannot be used: {error}"))
}

enum Layer {
    Bare,
    /// The first byte decides.
    Undecided(Arc<ServerConfig>),
    Tls(Box<Connection>),
    /// Bare where it had to be TLS.
    Wrong,
}

/// The bytes of a connection.
pub(super) struct Wire {
    stream: TcpStream,
    layer: Layer,
}

impl Wire {
    /// With a configuration they have to be encrypted.
    pub(super) fn new(stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> Self {
        let layer = tls.map_or(Layer::Bare, Layer::Undecided);
        Self { stream, layer }
    }

    /// Of this side, which calls: encrypted for a server of this name, with a configuration.
    pub(super) fn calling(
        stream: TcpStream,
        tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    ) -> io::Result<Self> {
        let layer = match tls {
            None => Layer::Bare,
            Some((config, name)) => {
                let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
                Layer::Tls(Box::new(connection.into()))
            }
        };
        Ok(Self { stream, layer })
    }

    /// Whether the caller does not encrypt where it had to.
    pub(super) fn is_wrong(&self) -> bool {
        matches!(self.layer, Layer::Wrong)
    }

    /// Read some of what has come; 0 is the end.
    pub(super) fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if let Layer::Undecided(config) = &self.layer {
            let mut first = [0];
            if self.stream.peek(&mut first)? == 0 {
                return Ok(0);
            }
            self.layer = if first[0] == HANDSHAKE {
                let connection = ServerConnection::new(Arc::clone(config));
                Layer::Tls(Box::new(connection.map_err(io::Error::other)?.into()))
            } else {
                Layer::Wrong
            };
        }
        match &mut self.layer {
            Layer::Tls(tls) => read_tls(tls, &mut self.stream, space),
            Layer::Bare | Layer::Wrong | Layer::Undecided(_) => self.stream.read(space),
        }
    }

    /// Whether there is something to be read that the socket will not tell of.
    pub(super) fn holds(&mut self) -> bool {
        let Layer::Tls(tls) = &mut self.layer else {
            return false;
        };
        tls.process_new_packets()
            .is_ok_and(|state| state.plaintext_bytes_to_read() > 0)
    }

    /// Write some; what is taken may wait for [`flush`](Self::flush).
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Layer::Tls(tls) = &mut self.layer else {
            return self.stream.write(bytes);
        };
        if flush_tls(tls, &mut self.stream)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = tls.writer().write(bytes)?;
        flush_tls(tls, &mut self.stream)?;
        Ok(taken)
    }

    /// Write what waits; whether there is more than the kernel takes.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        match &mut self.layer {
            Layer::Tls(tls) => flush_tls(tls, &mut self.stream),
            Layer::Bare | Layer::Wrong | Layer::Undecided(_) => Ok(false),
        }
    }

    /// Nothing more is written.
    pub(super) fn shut_down(&mut self) -> io::Result<()> {
        if let Layer::Tls(tls) = &mut self.layer {
            tls.send_close_notify();
            flush_tls(tls, &mut self.stream)?;
        }
        self.stream.shutdown(Shutdown::Write)
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl AsRawFd for Wire {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }
}

fn read_tls(tls: &mut Connection, stream: &mut TcpStream, space: &mut [u8]) -> io::Result<usize> {
    loop {
        match tls.reader().read(space) {
            // Without a farewell the stream may have been cut by anybody; what came is whole all the same.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
        if tls.read_tls(stream)? == 0 {
            return Ok(0);
        }
        let processed = tls.process_new_packets();
        // Answers of a handshake, and why one has failed.
        let flushed = flush_tls(tls, stream);
        processed.map_err(io::Error::other)?;
        flushed?;
    }
}

fn flush_tls(tls: &mut Connection, stream: &mut TcpStream) -> io::Result<bool> {
    while tls.wants_write() {
        match tls.write_tls(stream) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
