//! Connections we open: a full agent tries the passive TCP candidates it was told of (RFC 6544 section 7.1).
//!
//! The agent knows one local TCP address, the listener's, so a connection of ours goes by that name in every tuple,
//! whatever port the kernel gave it. Limits: as many connections a transport as it may have, and the agent's own pace:
//! nothing but a check opens one.

use std::net::{SocketAddr, TcpStream};

use roomtone_webrtc::{FiveTuple, Protocol, stun_username};
use socket2::{Domain, Socket, Type};

use super::Shard;
use super::objects::Carrier;
use super::stream::MAX_CONNECTIONS_OF_PEER;

impl Shard {
    /// Opens a connection if a check is to go where there is none yet. It waits in line until the far end accepts.
    pub(super) fn dial_for_check(&mut self, transport: usize, tuple: FiveTuple, data: &[u8]) {
        let pair = (tuple.local, tuple.remote);
        if tuple.protocol != Protocol::Tcp
            || self.connection_of.contains_key(&pair)
            || stun_username(data).is_none()
        {
            return;
        }
        let Carrier::WebRtc(peer) = &self.transports[transport].carrier else {
            return;
        };
        if peer.connections.len() >= MAX_CONNECTIONS_OF_PEER {
            return;
        }
        let slot = connect(tuple.remote)
            .ok()
            .and_then(|stream| self.enter_connection(stream, pair, Some(transport)));
        let Some(slot) = slot else {
            self.counters.tcp_refused.up();
            return;
        };
        self.counters.tcp_opened.up();
        if let Carrier::WebRtc(peer) = &mut self.transports[transport].carrier {
            peer.connections.push(slot);
        }
    }
}

/// A stream that connects on its own time: writing to it waits until it has, reading from it says why it could not.
fn connect(remote: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(remote), Type::STREAM.cloexec(), None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&remote.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}
