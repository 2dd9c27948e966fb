//! RTCP to the peers. Until the wire types are there, nothing is written.

use std::time::Instant;

use super::Router;
use crate::transport::{Report, Transport};

/// The last compound of a transport that closes.
pub(super) fn write_goodbye(
    _transport: &Transport,
    _ssrcs: &[u32],
    _out: &mut [u8],
) -> Option<usize> {
    None
}

impl Router {
    pub(super) fn write_rtcp(&mut self, at: u32, _now: Instant, _out: &mut [u8]) -> Option<usize> {
        let transport = &mut self.transports[at as usize];
        transport.report = Report::default();
        transport.messages.clear();
        None
    }
}
