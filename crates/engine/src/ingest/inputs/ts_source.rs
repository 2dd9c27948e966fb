//! MPEG-TS in datagrams: bare, or behind RTP.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use roomtone_mpegts::{DatagramReader, Demuxer, Limits};

use crate::ingest::publisher::Sent;
use crate::ingest::transport_stream::sent;

/// A sender of whom nothing came for so long is given up for another.
const SILENT: Duration = Duration::from_secs(2);

/// A transport stream of one sender.
pub(super) struct TsSource {
    reader: DatagramReader,
    demuxer: Demuxer,
    sender: Option<(SocketAddr, Instant)>,
}

impl Default for TsSource {
    fn default() -> Self {
        Self {
            reader: DatagramReader::default(),
            demuxer: Demuxer::new(Limits::default()),
            sender: None,
        }
    }
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    /// Another sends at the moment.
    Stranger,
    /// The one before is silent, and this is another: begin anew.
    Anew,
}

impl TsSource {
    pub(super) fn handle_datagram(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Instant,
    ) -> Taken {
        match &mut self.sender {
            Some((sender, last)) if *sender == from => *last = now,
            Some((_, last)) if *last + SILENT <= now => return Taken::Anew,
            Some(_) => return Taken::Stranger,
            None => self.sender = Some((from, now)),
        }
        let demuxer = &mut self.demuxer;
        self.reader
            .handle_datagram(datagram, now, |bytes| demuxer.handle_bytes(bytes));
        Taken::Yes
    }

    /// What has come.
    pub(super) fn drain(&mut self, now: Instant, told: &mut Vec<Sent>) {
        let demuxer = &mut self.demuxer;
        self.reader
            .handle_timeout(now, |bytes| demuxer.handle_bytes(bytes));
        while let Some(event) = self.demuxer.poll_event() {
            told.extend(sent(event));
        }
    }
}
