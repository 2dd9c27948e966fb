//! Binding, before anything runs, so that an address in use is an error of the start.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::BindConfig;
use crate::error::FrontError;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// A listening socket and what it is for.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) config: BindConfig,
    pub(crate) listener: TcpListener,
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

fn bind(config: &BindConfig, v6_only: bool) -> Result<Bound, FrontError> {
    let address = config.address;
    let attempt = || -> std::io::Result<(TcpListener, SocketAddr)> {
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
    };
    match attempt() {
        Ok((listener, address)) => Ok(Bound {
            config: config.clone(),
            listener,
            address,
        }),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(FrontError::AddrInUse {
            name: config.name.clone(),
            address,
        }),
        Err(error) => Err(FrontError::io(
            format!("{}: cannot listen on {address}", config.name),
            error,
        )),
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
