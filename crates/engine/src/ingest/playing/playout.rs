//! One playout: who reads, by which connection, and what came of it.

use std::time::Instant;

use roomtone_frames::Pressure;
use roomtone_rtmp::MAX_MEDIA_BYTES;
use roomtone_srt::{ConnectionId, Stats};

use super::tags::TagOutput;
use super::writer::{Figures, MAX_WAITING, Writer};
use crate::ingest::asking::Wish;
use crate::values::Report;

/// By which connection, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Srt {
        port: usize,
        connection: ConnectionId,
    },
    Rtmp {
        connection: usize,
    },
}

/// As what it is written.
pub(super) enum Output {
    TransportStream(Box<Writer>),
    Tags(TagOutput),
}

/// A stream that is played out to one.
pub(in crate::ingest) struct Playout {
    pub(super) id: u64,
    pub(super) wish: Wish,
    pub(super) packager: u64,
    pub(super) way: Way,
    pub(super) output: Output,
    /// What of the line's losses has been counted.
    pub(super) given_up: u64,
}

impl Playout {
    pub(super) fn new(id: u64, wish: Wish, packager: u64, way: Way, now: Instant) -> Self {
        Self {
            id,
            wish,
            packager,
            way,
            output: match way {
                Way::Srt { .. } => Output::TransportStream(Box::new(Writer::new(now))),
                Way::Rtmp { .. } => Output::Tags(TagOutput::default()),
            },
            given_up: 0,
        }
    }

    /// What it has done so far.
    pub(super) fn figures(&self) -> Figures {
        match &self.output {
            Output::TransportStream(writer) => writer.figures,
            Output::Tags(tags) => tags.figures,
        }
    }

    /// When it is to be served; what is written as tags goes as far as its connection takes it.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match &self.output {
            Output::TransportStream(writer) => writer.next_timeout(),
            Output::Tags(_) => None,
        }
    }

    /// What it does, with what its connection has done and bytes that wait there, where that is still there.
    pub(super) fn report(&self, stats: Option<&Stats>, waiting: usize) -> Report {
        let Figures {
            bytes,
            packets,
            units,
            units_dropped,
            groups_dropped,
            unwritable,
        } = self.figures();
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
        let (waiting, limit, level) = match &self.output {
            Output::TransportStream(writer) => {
                (writer.waiting_bytes(), MAX_WAITING, writer.pressure())
            }
            Output::Tags(_) => {
                let level = Pressure::of(waiting as u64, MAX_MEDIA_BYTES as u64);
                (waiting, MAX_MEDIA_BYTES, level)
            }
        };
        report.insert("bytes_waiting".into(), (waiting as u64).into());
        report.insert("bytes_limit".into(), (limit as u64).into());
        report.insert("level".into(), level.name().into());
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
