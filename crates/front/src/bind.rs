//! Binding, before anything runs, so that an address in use is an error of the start.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::BindConfig;
use crate::error::FrontError;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// Bytes of a UDP socket's buffers, as wished.
const UDP_BUFFER: usize = 2 << 20;

/// A listening socket and what it is for.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) config: BindConfig,
    pub(crate) listener: TcpListener,
    /// For HTTP/3, where that is spoken.
    pub(crate) quic: Option<UdpSocket>,
    pub(crate) address: SocketAddr,
}

/// Binds all; an optional bind whose address is in use is left out.
pub(crate) fn bind_all(configs: &[BindConfig]) -> Result<Vec<Bound>, FrontError> {
    let mut bound = Vec::with_capacity(configs.len());
    for config in configs {
        match bind(config, has_ipv4_twin(config, configs)) {
            Ok(one) => bound.push(one),
            Err(FrontError::AddrInUse { .. }) if config.optional => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bound)
}

/// Whether the same port is also bound on IPv4; then `[::]` must leave IPv4 to it.
fn has_ipv4_twin(config: &BindConfig, all: &[BindConfig]) -> bool {
    let port = config.address.port();
    all.iter()
        .any(|other| other.address.is_ipv4() && other.address.port() == port)
}

/// How often another port is tried where any will do and its number is taken for UDP.
const ATTEMPTS: usize = 16;

fn bind(config: &BindConfig, v6_only: bool) -> Result<Bound, FrontError> {
    if config.http3 && !config.tls {
        return Err(FrontError::BadConfig(format!(
            "{}: HTTP/3 needs TLS",
            config.name
        )));
    }
    let takes_any = config.address.port() == 0;
    let mut attempts = if takes_any { ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match bind_both(config, v6_only) {
            Err(error) if attempts > 0 && error.kind() == ErrorKind::AddrInUse => {}
            tried => return tried.map_err(|error| failure(config, error)),
        }
    }
}

fn bind_both(config: &BindConfig, v6_only: bool) -> std::io::Result<Bound> {
    let (listener, address) = listen(config.address, v6_only)?;
    let quic = config
        .http3
        .then(|| receive(address, v6_only))
        .transpose()?;
    Ok(Bound {
        config: config.clone(),
        listener,
        quic,
        address,
    })
}

fn listen(address: SocketAddr, v6_only: bool) -> std::io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A port whose old connections are in TIME_WAIT is free; one that is listened on is not.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(v6_only)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from(socket);
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn receive(address: SocketAddr, v6_only: bool) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(v6_only)?;
    }
    // The system may allow less; that costs packets under load, and nothing else.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER);
    let _ = socket.set_send_buffer_size(UDP_BUFFER);
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn failure(config: &BindConfig, error: std::io::Error) -> FrontError {
    let address = config.address;
    let name = config.name.clone();
    if error.kind() == ErrorKind::AddrInUse {
        FrontError::AddrInUse { name, address }
    } else {
        FrontError::io(format!("{name}: cannot listen on {address}"), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(address: &str) -> BindConfig {
        BindConfig {
            address: address.parse().unwrap(),
            ..BindConfig::default()
        }
    }

    #[test]
    fn an_address_in_use_is_named() {
        let first = bind_all(&[config("127.0.0.1:0")]).unwrap();
        let taken = first[0].address.to_string();
        let error = bind_all(&[config(&taken)]).unwrap_err();
        assert_eq!(error.code(), "addr_in_use");
        assert!(error.to_string().contains(&taken), "{error}");
    }

    #[test]
    fn http3_has_the_udp_port_of_the_same_number() {
        let secure = BindConfig {
            tls: true,
            http3: true,
            ..config("127.0.0.1:0")
        };
        let bound = bind_all(std::slice::from_ref(&secure)).unwrap();
        let quic = bound[0].quic.as_ref().unwrap().local_addr().unwrap();
        assert_eq!(quic, bound[0].address);

        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind_all(&[BindConfig { address, ..secure }]).unwrap_err();
        assert_eq!(error.code(), "addr_in_use");
    }

    #[test]
    fn http3_without_tls_is_refused() {
        let plain = BindConfig {
            http3: true,
            ..config("127.0.0.1:0")
        };
        assert_eq!(bind_all(&[plain]).unwrap_err().code(), "bad_config");
    }

    #[test]
    fn an_optional_bind_in_use_is_left_out() {
        let first = bind_all(&[config("127.0.0.1:0")]).unwrap();
        let taken = BindConfig {
            optional: true,
            ..config(&first[0].address.to_string())
        };
        let bound = bind_all(&[taken, config("127.0.0.1:0")]).unwrap();
        assert_eq!(bound.len(), 1);
    }

    #[test]
    fn an_address_of_another_machine_is_an_io_error() {
        let error = bind_all(&[config("192.0.2.1:0")]).unwrap_err();
        assert_eq!(error.code(), "io");
        assert!(error.to_string().contains("192.0.2.1"), "{error}");
    }
}
