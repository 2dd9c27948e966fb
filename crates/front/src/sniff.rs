//! Telling TLS from media on a shared port by the first byte.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use crate::stats::Stats;

/// Takes connections on a TLS port whose first byte is not TLS: framed media (RFC 4571).
///
/// A TLS record that opens a connection begins with 0x16 (RFC 8446 section 5.1); an RFC 4571 frame that begins
/// so would be 5,632 bytes or longer, which no first frame (a STUN request) is.
pub trait MediaTcpSink: Send + Sync + 'static {
    /// Takes the connection, none of whose bytes has been read; the socket is in non-blocking mode. Must not
    /// block. False when it is not wanted: then it is closed and counted.
    fn accept(&self, stream: std::net::TcpStream, remote: SocketAddr) -> bool;
}

impl<F> MediaTcpSink for F
where
    F: Fn(std::net::TcpStream, SocketAddr) -> bool + Send + Sync + 'static,
{
    fn accept(&self, stream: std::net::TcpStream, remote: SocketAddr) -> bool {
        self(stream, remote)
    }
}

const TLS_HANDSHAKE: u8 = 0x16;

/// Gives the connection back when it speaks TLS; otherwise hands it to the sink, or closes it.
pub(crate) async fn tls_only(
    stream: TcpStream,
    remote: SocketAddr,
    sink: Option<&dyn MediaTcpSink>,
    stats: &Stats,
) -> Option<TcpStream> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1) if first[0] == TLS_HANDSHAKE => return Some(stream),
        Ok(1) => {}
        // Closed or reset before its first byte: a probe, nothing to tell.
        _ => return None,
    }
    let taken = sink.is_some_and(|sink| match stream.into_std() {
        Ok(stream) => sink.accept(stream, remote),
        Err(_) => false,
    });
    if taken {
        stats.media_tcp_connections.increment();
    } else {
        stats.not_tls_connections.increment();
    }
    None
}
