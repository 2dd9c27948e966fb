//! Goodbyes (RFC 3550 section 6.6).

use super::frame::{GOODBYE, begin, count};
use super::{Entries, RtcpError, RtcpWrite};

/// Sources that end.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Goodbye<'a> {
    /// Which; at most 31.
    pub ssrcs: Entries<'a, u32>,
    /// Why, in words; at most 255 bytes. Empty where no reason is given.
    pub reason: &'a [u8],
}

impl<'a> Goodbye<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Result<Self, RtcpError> {
        let (ssrcs, rest) = Entries::split(body, count)?;
        let reason = match rest {
            [] => &[][..],
            [len, text @ ..] => text.get(..usize::from(*len)).ok_or(RtcpError::Truncated)?,
        };
        Ok(Self { ssrcs, reason })
    }

    fn reason_len(&self) -> usize {
        if self.reason.is_empty() {
            0
        } else {
            1 + self.reason.len()
        }
    }
}

impl RtcpWrite for Goodbye<'_> {
    fn wire_len(&self) -> usize {
        4 + (self.ssrcs.wire_len() + self.reason_len()).next_multiple_of(4)
    }

    fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
        let len = self.wire_len();
        let reason = u8::try_from(self.reason.len()).map_err(|_| RtcpError::Length)?;
        let body = begin(out, GOODBYE, count(self.ssrcs.len())?, len)?;
        let (list, tail) = body.split_at_mut(self.ssrcs.wire_len());
        self.ssrcs.write(list);
        if reason > 0 {
            tail[0] = reason;
            tail[1..=self.reason.len()].copy_from_slice(self.reason);
        }
        Ok(len)
    }
}
