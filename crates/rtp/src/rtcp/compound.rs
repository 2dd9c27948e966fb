//! Several packets in one datagram: compound (RFC 3550 section 6.1) and reduced size (RFC 5506).

use super::frame::{Frame, RECEIVER_REPORT, SENDER_REPORT};
use super::{RtcpError, RtcpPacket, RtcpWrite};

/// Iterates over the packets of a datagram.
///
/// A packet whose contents are wrong is an error and the iteration goes on behind it; after an
/// error in the framing nothing follows.
#[derive(Debug, Clone)]
pub struct Compound<'a> {
    rest: &'a [u8],
}

/// The packets of a datagram, compound or reduced size.
pub fn parse_compound(data: &[u8]) -> Compound<'_> {
    Compound { rest: data }
}

/// Whether a datagram is reduced-size RTCP: its first packet is no sender or receiver report.
pub fn is_reduced_size(data: &[u8]) -> bool {
    data.get(1)
        .is_some_and(|first| ![SENDER_REPORT, RECEIVER_REPORT].contains(first))
}

impl<'a> Iterator for Compound<'a> {
    type Item = Result<RtcpPacket<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match Frame::cut(self.rest) {
            Ok((frame, rest)) => {
                self.rest = rest;
                Some(frame.read())
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

/// Writes packets one behind the other into a caller's buffer.
#[derive(Debug)]
pub struct CompoundWriter<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> CompoundWriter<'a> {
    /// A writer to the start of `out`.
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Appends a packet. On an error the datagram is as it was before.
    pub fn push(&mut self, packet: &impl RtcpWrite) -> Result<(), RtcpError> {
        self.len += packet.write(&mut self.out[self.len..])?;
        Ok(())
    }

    /// Appends a packet that writes itself into the space that is left and gives its length, as
    /// [`write_transport_feedback`](super::write_transport_feedback) does.
    pub fn push_with<T>(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Result<(usize, T), RtcpError>,
    ) -> Result<T, RtcpError> {
        let space = &mut self.out[self.len..];
        let (len, value) = write(space)?;
        assert!(
            len <= space.len(),
            "a packet cannot be longer than the space it was given"
        );
        self.len += len;
        Ok(value)
    }

    /// The bytes written so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes still free.
    pub fn space(&self) -> usize {
        self.out.len() - self.len
    }

    /// The length of the datagram.
    pub fn finish(self) -> usize {
        self.len
    }
}
