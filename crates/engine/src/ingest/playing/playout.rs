//! One playout: who reads, by which connection, and what came of it.

use std::time::Instant;

use roomtone_srt::{ConnectionId, Stats};

use super::writer::{Figures, MAX_WAITING, Writer};
use crate::ingest::asking::Wish;
use crate::values::Report;

/// A stream that is played out to one.
pub(in crate::ingest) struct Playout {
    pub(super) id: u64,
    pub(super) wish: Wish,
    pub(super) packager: u64,
    /// Of SRT, by its place.
    pub(super) port: usize,
    pub(super) connection: ConnectionId,
    pub(super) writer: Writer,
    /// What of the line's losses has been counted.
    pub(super) given_up: u64,
}

impl Playout {
    pub(super) fn new(
        id: u64,
        wish: Wish,
        packager: u64,
        (port, connection): (usize, ConnectionId),
        now: Instant,
    ) -> Self {
        Self {
            id,
            wish,
            packager,
            port,
            connection,
            writer: Writer::new(now),
            given_up: 0,
        }
    }

    /// What it does, with what its connection has done, where that is still there.
    pub(super) fn report(&self, stats: Option<&Stats>) -> Report {
        let Figures {
            bytes,
            packets,
            units,
            units_dropped,
            groups_dropped,
            unwritable,
        } = self.writer.figures;
        let mut report = Report::new();
        report.insert("id".into(), format!("playout-{}", self.id).into());
        report.insert("type".into(), "playout".into());
        report.insert("playout".into(), self.id.to_string().into());
        report.insert("packager".into(), self.packager.to_string().into());
        report.insert("name".into(), self.wish.name.clone().into());
        report.insert("protocol".into(), self.wish.protocol.name().into());
        report.insert("remote".into(), self.wish.remote.to_string().into());
        report.insert("bytes".into(), bytes.into());
        report.insert("packets".into(), packets.into());
        report.insert("units".into(), units.into());
        report.insert("units_dropped".into(), units_dropped.into());
        report.insert("groups_dropped".into(), groups_dropped.into());
        report.insert("units_unwritable".into(), unwritable.into());
        let waiting = self.writer.waiting_bytes() as u64;
        report.insert("bytes_waiting".into(), waiting.into());
        report.insert("bytes_limit".into(), (MAX_WAITING as u64).into());
        report.insert("level".into(), self.writer.pressure().name().into());
        if let Some(stats) = stats {
            report.insert("packets_repeated".into(), stats.retransmitted.into());
            report.insert("packets_dropped".into(), stats.send_dropped.into());
            let unacknowledged = stats.unacknowledged as u64;
            report.insert("packets_unacknowledged".into(), unacknowledged.into());
            let rtt_us = stats.rtt.as_micros() as u64;
            report.insert("rtt_us".into(), rtt_us.into());
        }
        report
    }
}
