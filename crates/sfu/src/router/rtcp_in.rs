//! RTCP from the peers, read packet by packet. Until the wire types are there, all of it is
//! refused as malformed.

use std::time::Instant;

use super::Router;
use crate::RtcpDrop;

/// A report block about one of our streams.
#[derive(Debug)]
pub(super) struct ReportBlock {
    pub(super) ssrc: u32,
    pub(super) fraction_lost: u8,
    pub(super) cumulative_lost: i32,
    pub(super) jitter: u32,
    pub(super) last_report: u32,
    pub(super) delay: u32,
}

impl Router {
    pub(super) fn read_compound(
        &mut self,
        _at: u32,
        _data: &[u8],
        _now: Instant,
    ) -> Result<(), RtcpDrop> {
        Err(RtcpDrop::Malformed)
    }
}
