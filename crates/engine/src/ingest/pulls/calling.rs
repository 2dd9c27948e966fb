//! A connection that this side makes, bare or behind TLS: what has come of it, and what waits to be written.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use bytes::Bytes;
use socket2::{Domain, Socket, Type};

use super::trust;
use crate::ingest::wire::Wire;
use crate::values::IngestTrust;

/// One connection.
pub(super) struct Call {
    wire: Wire,
    /// What the kernel did not take yet.
    rest: Bytes,
}

/// What reading has given.
pub(super) enum Came {
    /// So many bytes.
    Some(usize),
    /// Nothing is there yet, or it is being connected.
    Nothing,
}

impl Call {
    /// Begin to connect to an address; behind TLS with whom it has to be.
    pub(super) fn begin(
        remote: SocketAddr,
        trusted: Option<(&IngestTrust, &str)>,
    ) -> io::Result<Self> {
        let tls = trusted.map(|(trusted, host)| trust::client(trusted, host));
        let tls = tls.transpose()?;
        let socket = Socket::new(Domain::for_address(remote), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&remote.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
            _ => {}
        }
        Ok(Self {
            wire: Wire::calling(socket.into(), tls)?,
            rest: Bytes::new(),
        })
    }

    /// Read some of what has come; the sentence that says why it is over.
    pub(super) fn read(&mut self, space: &mut [u8]) -> Result<Came, String> {
        loop {
            match self.wire.read(space) {
                Ok(0) => return Err("the connection has ended".to_owned()),
                Ok(len) => return Ok(Came::Some(len)),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::NotConnected => return Ok(Came::Nothing),
                    ErrorKind::Interrupted => {}
                    _ => return Err(sentence(&error)),
                },
            }
        }
    }

    /// Whether there is something to be read that the socket will not tell of.
    pub(super) fn holds(&mut self) -> bool {
        self.wire.holds()
    }

    /// Write what waits, and what `next` gives; whether there is more than the kernel takes. Or the sentence that says why
    /// it is over.
    pub(super) fn write(
        &mut self,
        mut next: impl FnMut() -> Option<Bytes>,
    ) -> Result<bool, String> {
        loop {
            if self.rest.is_empty() {
                match next() {
                    Some(output) => self.rest = output,
                    None => break,
                }
            }
            match self.wire.write(&self.rest) {
                Ok(len) => drop(self.rest.split_to(len)),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::NotConnected => return Ok(true),
                    ErrorKind::Interrupted => {}
                    _ => return Err(sentence(&error)),
                },
            }
        }
        match self.wire.flush() {
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(true),
            flushed => flushed.map_err(|error| sentence(&error)),
        }
    }
}

/// Why a connection has failed: of what TLS says, what can be done about it.
fn sentence(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    inner.map_or_else(|| error.to_string(), trust::sentence)
}

impl AsRawFd for Call {
    fn as_raw_fd(&self) -> RawFd {
        self.wire.as_raw_fd()
    }
}
