//! Connections of RTMP: taken in, heeded, written to, let go of.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use rustls::ServerConfig;

use super::connection::Asker;
use super::rtmp::{self, Connection};
use super::thread::{IngestThread, MAX_CONNECTIONS, RTMP_CONNECTION, token};
use crate::values::{IngestEnd, PlayoutEnd};

impl IngestThread {
    /// Take in whoever waits at a port.
    pub(super) fn accept_connections(&mut self, index: usize, now: Instant) {
        loop {
            let Some(port) = self.rtmp.get(index) else {
                return;
            };
            let (listener, tls) = (port.id, port.tls.clone());
            match port.listener.accept() {
                Ok((stream, remote)) => self.begin_connection(listener, tls, stream, remote, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    // One that was gone before it was taken, or no descriptors: the others wait.
                    self.counters.ingest_sockets_failed.up();
                    return;
                }
            }
        }
    }

    fn begin_connection(
        &mut self,
        listener: u64,
        tls: Option<Arc<ServerConfig>>,
        stream: TcpStream,
        remote: SocketAddr,
        now: Instant,
    ) {
        if self.connections.len() >= MAX_CONNECTIONS {
            self.counters.ingest_connections_refused.up();
            return;
        }
        let seed = self.secret();
        let Ok(connection) = Connection::new(listener, stream, remote, tls, seed, now) else {
            self.counters.ingest_sockets_failed.up();
            return;
        };
        let entry = self.connections.vacant_entry();
        let watched = self
            .poller
            .add(&connection, token(RTMP_CONNECTION, entry.key()));
        if watched.is_err() {
            self.counters.ingest_sockets_failed.up();
            return;
        }
        entry.insert(connection);
    }

    /// Heed what a connection has told, and write what waits for it.
    pub(super) fn serve_rtmp(&mut self, index: usize, told: Vec<rtmp::Told>, now: Instant) {
        for one in told {
            let Some(connection) = self.connections.get(index) else {
                return;
            };
            let (publisher, playout) = (connection.publisher, connection.playout);
            match (one, publisher) {
                (rtmp::Told::Asks(request), _) => {
                    let asker = Asker::Rtmp { connection: index };
                    if connection.is_wrong() {
                        self.counters.ingest_connections_bare.up();
                    }
                    let wish = rtmp::wish(request, connection);
                    self.ask(asker, wish, now);
                }
                (rtmp::Told::Sent(sent), Some(publisher)) => self.sent(publisher, sent, now),
                (rtmp::Told::Bytes(bytes), Some(publisher)) => self.heard(publisher, bytes, now),
                (rtmp::Told::Stopped, Some(publisher)) => {
                    self.end_publisher(publisher, IngestEnd::Peer, "", now);
                }
                (rtmp::Told::Stopped, None) => {
                    if let Some(playout) = playout {
                        self.end_playout(playout, PlayoutEnd::Peer, "", now);
                    }
                }
                (_, None) => {}
            }
        }
        self.finish_rtmp(index, now);
    }

    /// Write what waits, and let go of a connection that is over.
    pub(super) fn finish_rtmp(&mut self, index: usize, now: Instant) {
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        let more = connection.flush();
        let ended = connection.ended();
        // Of one that is over all is read, for it to hear why.
        connection.slowed &= ended.is_none();
        let watched = self.watch_rtmp(index, more);
        let Some((end, detail)) = ended else {
            if watched.is_err() {
                self.counters.ingest_sockets_failed.up();
            }
            return;
        };
        let connection = self.connections.get_mut(index);
        let (publisher, playout) = connection.map_or((None, None), |one| {
            (one.publisher.take(), one.playout.take())
        });
        if let Some(publisher) = publisher {
            self.end_publisher(publisher, end, &detail, now);
        }
        if let Some(playout) = playout {
            self.end_playout(playout, PlayoutEnd::Peer, &detail, now);
        }
        if self
            .connections
            .get_mut(index)
            .is_some_and(|one| one.is_done(now))
        {
            // Its place is given to others, whom an answer must not reach.
            let asker = Asker::Rtmp { connection: index };
            self.questions.forget(asker);
            self.forget_joining(asker);
            self.connections.remove(index);
        }
    }
}
