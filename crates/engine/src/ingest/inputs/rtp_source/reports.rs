//! What is told to those who send: what came of it, and that a keyframe is wanted.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use roomtone_rtp::rtcp::{
    CompoundWriter, Pli, ReceiverReport, SdesChunk, SdesItem, SdesKind, SourceDescription,
};

use super::Stream;
use super::reception::Reception;
use crate::live::Track;

/// Between two reports to a sender.
const REPORT_EVERY: Duration = Duration::from_secs(2);
/// Between two requests for a keyframe.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Datagrams to send, each to where.
pub(in crate::ingest) type Reports = Vec<(SocketAddr, Vec<u8>)>;

/// When reports are due, and as whom they are sent.
#[derive(Debug)]
pub(super) struct Reporter {
    pub(super) ssrc: u32,
    due: Instant,
}

impl Reporter {
    pub(super) fn new(ssrc: u32, now: Instant) -> Self {
        Self {
            ssrc,
            due: now + REPORT_EVERY,
        }
    }

    /// Write what is due about these streams.
    pub(super) fn report(&mut self, streams: &mut [Stream], now: Instant, reports: &mut Reports) {
        let is_due = self.due <= now;
        if is_due {
            self.due = now + REPORT_EVERY;
        }
        for stream in streams {
            let Some(sender) = &mut stream.sender else {
                continue;
            };
            let Some(to) = sender.reports_go_to() else {
                continue;
            };
            let wants = stream.track.as_ref().is_some_and(Track::wants_keyframe)
                && stream.asked.is_none_or(|asked| asked + ASK_EVERY <= now);
            if wants {
                stream.asked = Some(now);
            }
            if !wants && !is_due {
                continue;
            }
            let ask = wants.then_some(sender.ssrc);
            let written = compound(self.ssrc, &mut sender.reception, ask, now);
            reports.extend(written.map(|one| (to, one)));
        }
    }
}

/// A report, and a request for a keyframe of a source.
fn compound(
    ssrc: u32,
    reception: &mut Reception,
    ask: Option<u32>,
    now: Instant,
) -> Option<Vec<u8>> {
    let blocks = [reception.block(now)];
    let items = [SdesItem {
        kind: SdesKind::Cname,
        value: b"roomtone",
    }];
    let chunks = [SdesChunk::new(ssrc, &items)];
    let mut space = [0; 128];
    let mut writer = CompoundWriter::new(&mut space);
    let report = ReceiverReport {
        ssrc,
        reports: blocks[..].into(),
        extension: &[],
    };
    writer.push(&report).ok()?;
    writer.push(&SourceDescription::new(&chunks)).ok()?;
    if let Some(media_ssrc) = ask {
        let request = Pli {
            sender_ssrc: ssrc,
            media_ssrc,
        };
        writer.push(&request).ok()?;
    }
    let len = writer.finish();
    Some(space[..len].to_vec())
}
