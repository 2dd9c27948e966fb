//! Packets of applications (RFC 3550 section 6.7), and of types unknown here.

use super::frame::{APP, begin};
use super::{RtcpError, RtcpWrite};
use crate::wire::{be32, put32};

/// An application-defined packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct App<'a> {
    /// Subtype, 0-31.
    pub subtype: u8,
    /// Who sends it.
    pub ssrc: u32,
    /// The application's name, four ASCII characters.
    pub name: [u8; 4],
    /// Its data, a multiple of four bytes.
    pub data: &'a [u8],
}

impl<'a> App<'a> {
    pub(super) fn parse(subtype: u8, body: &'a [u8]) -> Result<Self, RtcpError> {
        let (fixed, data) = body.split_at_checked(8).ok_or(RtcpError::Truncated)?;
        let name = [fixed[4], fixed[5], fixed[6], fixed[7]];
        Ok(Self {
            subtype,
            ssrc: be32(fixed, 0),
            name,
            data,
        })
    }
}

impl RtcpWrite for App<'_> {
    fn wire_len(&self) -> usize {
        (12 + self.data.len()).next_multiple_of(4)
    }

    fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
        if !self.data.len().is_multiple_of(4) {
            return Err(RtcpError::Length);
        }
        if self.subtype > 31 {
            return Err(RtcpError::Value);
        }
        let len = self.wire_len();
        let body = begin(out, APP, self.subtype, len)?;
        put32(body, 0, self.ssrc);
        body[4..8].copy_from_slice(&self.name);
        body[8..].copy_from_slice(self.data);
        Ok(len)
    }
}

/// A packet type or feedback format that this crate does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown<'a> {
    /// The packet type.
    pub packet_type: u8,
    /// The five bits that count or tell the format.
    pub count: u8,
    /// All behind the common header, a multiple of four bytes where it is to be written.
    pub body: &'a [u8],
}

impl RtcpWrite for Unknown<'_> {
    fn wire_len(&self) -> usize {
        (4 + self.body.len()).next_multiple_of(4)
    }

    fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
        if !self.body.len().is_multiple_of(4) {
            return Err(RtcpError::Length);
        }
        let len = self.wire_len();
        begin(out, self.packet_type, self.count, len)?.copy_from_slice(self.body);
        Ok(len)
    }
}
