//! Source descriptions (RFC 3550 section 6.5).

use super::frame::{SOURCE_DESCRIPTION, begin, count};
use super::{RtcpError, RtcpWrite};
use crate::wire::{be32, put32};

/// What an item says of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SdesKind {
    /// Canonical name: the same for all sources of one endpoint.
    Cname,
    /// Name of the user.
    Name,
    /// Electronic mail address.
    Email,
    /// Telephone number.
    Phone,
    /// Geographic location.
    Location,
    /// Name of the application.
    Tool,
    /// Notice about the state of the source.
    Note,
    /// Private extension.
    Private,
    /// RTP stream id (RFC 8852).
    RtpStreamId,
    /// Repaired RTP stream id (RFC 8852).
    RepairedRtpStreamId,
    /// Media identification (RFC 8843).
    Mid,
    /// Any other type; never 0, which ends a chunk.
    Other(u8),
}

impl SdesKind {
    const TABLE: [(u8, Self); 11] = [
        (1, Self::Cname),
        (2, Self::Name),
        (3, Self::Email),
        (4, Self::Phone),
        (5, Self::Location),
        (6, Self::Tool),
        (7, Self::Note),
        (8, Self::Private),
        (12, Self::RtpStreamId),
        (13, Self::RepairedRtpStreamId),
        (15, Self::Mid),
    ];

    fn from_type(item_type: u8) -> Self {
        let found = Self::TABLE.iter().find(|(known, _)| *known == item_type);
        found.map_or(Self::Other(item_type), |(_, kind)| *kind)
    }

    fn item_type(self) -> u8 {
        if let Self::Other(item_type) = self {
            return item_type;
        }
        let found = Self::TABLE.iter().find(|(_, kind)| *kind == self);
        found.map_or(0, |(item_type, _)| *item_type)
    }
}

/// One item of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SdesItem<'a> {
    /// What it says.
    pub kind: SdesKind,
    /// Its text, UTF-8 where the peer keeps to the RFC; at most 255 bytes.
    pub value: &'a [u8],
}

/// The items of a chunk, received or to be written.
#[derive(Debug, Clone, Copy)]
pub enum SdesItems<'a> {
    /// Received: items without the terminating zero, checked.
    Wire(#[doc(hidden)] WireItems<'a>),
    /// A caller's.
    Values(&'a [SdesItem<'a>]),
}

/// Items whose lengths were checked when the packet was parsed.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct WireItems<'a>(&'a [u8]);

impl<'a> SdesItems<'a> {
    /// The items in their order.
    pub fn iter(&self) -> impl Iterator<Item = SdesItem<'a>> + use<'a> {
        let (mut bytes, mut values) = match *self {
            Self::Wire(WireItems(bytes)) => (bytes, [].iter()),
            Self::Values(values) => (&[][..], values.iter()),
        };
        std::iter::from_fn(move || {
            if let [item_type, len, rest @ ..] = bytes {
                let (value, rest) = rest.split_at_checked(usize::from(*len))?;
                bytes = rest;
                return Some(SdesItem {
                    kind: SdesKind::from_type(*item_type),
                    value,
                });
            }
            values.next().copied()
        })
    }

    fn wire_len(&self) -> usize {
        self.iter().map(|item| 2 + item.value.len()).sum()
    }
}

impl PartialEq for SdesItems<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// What is said of one source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SdesChunk<'a> {
    /// The source.
    pub ssrc: u32,
    /// What is said.
    pub items: SdesItems<'a>,
}

impl<'a> SdesChunk<'a> {
    /// A chunk of a caller's items.
    pub const fn new(ssrc: u32, items: &'a [SdesItem<'a>]) -> Self {
        Self {
            ssrc,
            items: SdesItems::Values(items),
        }
    }

    /// The canonical name, where the chunk has one.
    pub fn cname(&self) -> Option<&'a [u8]> {
        self.items
            .iter()
            .find(|item| item.kind == SdesKind::Cname)
            .map(|item| item.value)
    }

    /// Cuts a chunk off the front of `bytes`; an error where it does not end in them.
    fn cut(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), RtcpError> {
        let (ssrc, items) = bytes.split_at_checked(4).ok_or(RtcpError::Truncated)?;
        let mut at = 0;
        while *items.get(at).ok_or(RtcpError::Truncated)? != 0 {
            let len = *items.get(at + 1).ok_or(RtcpError::Truncated)?;
            at += 2 + usize::from(len);
        }
        // One zero ends the list; more follow up to the next multiple of four.
        let end = (at + 1).next_multiple_of(4);
        let rest = items.get(end..).ok_or(RtcpError::Truncated)?;
        let items = SdesItems::Wire(WireItems(&items[..at]));
        Ok((
            Self {
                ssrc: be32(ssrc, 0),
                items,
            },
            rest,
        ))
    }

    fn wire_len(&self) -> usize {
        4 + (self.items.wire_len() + 1).next_multiple_of(4)
    }

    /// Writes the chunk to zeroed bytes.
    fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
        put32(out, 0, self.ssrc);
        let mut at = 4;
        for item in self.items.iter() {
            let len = u8::try_from(item.value.len()).map_err(|_| RtcpError::Length)?;
            if item.kind.item_type() == 0 {
                return Err(RtcpError::Value);
            }
            out[at] = item.kind.item_type();
            out[at + 1] = len;
            let end = at + 2 + item.value.len();
            out[at + 2..end].copy_from_slice(item.value);
            at = end;
        }
        Ok(self.wire_len())
    }
}

/// The chunks of a packet, received or to be written.
#[derive(Debug, Clone, Copy)]
pub enum SdesChunks<'a> {
    /// Received, checked.
    Wire(#[doc(hidden)] WireChunks<'a>),
    /// A caller's.
    Values(&'a [SdesChunk<'a>]),
}

/// Chunks whose lengths were checked when the packet was parsed.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct WireChunks<'a> {
    bytes: &'a [u8],
    count: u8,
}

impl<'a> SdesChunks<'a> {
    /// The chunks in their order.
    pub fn iter(&self) -> impl Iterator<Item = SdesChunk<'a>> + use<'a> {
        let (mut bytes, mut left, mut values) = match *self {
            Self::Wire(wire) => (wire.bytes, wire.count, [].iter()),
            Self::Values(values) => (&[][..], 0, values.iter()),
        };
        std::iter::from_fn(move || {
            if left == 0 {
                return values.next().copied();
            }
            left -= 1;
            let (chunk, rest) = SdesChunk::cut(bytes).ok()?;
            bytes = rest;
            Some(chunk)
        })
    }
}

impl PartialEq for SdesChunks<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// A source description packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SourceDescription<'a> {
    /// What is said, by source; at most 31.
    pub chunks: SdesChunks<'a>,
}

impl<'a> SourceDescription<'a> {
    /// A description of a caller's chunks.
    pub const fn new(chunks: &'a [SdesChunk<'a>]) -> Self {
        Self {
            chunks: SdesChunks::Values(chunks),
        }
    }

    pub(super) fn parse(count: u8, body: &'a [u8]) -> Result<Self, RtcpError> {
        let mut rest = body;
        for _ in 0..count {
            (_, rest) = SdesChunk::cut(rest)?;
        }
        Ok(Self {
            chunks: SdesChunks::Wire(WireChunks { bytes: body, count }),
        })
    }
}

impl RtcpWrite for SourceDescription<'_> {
    fn wire_len(&self) -> usize {
        4 + self
            .chunks
            .iter()
            .map(|chunk| chunk.wire_len())
            .sum::<usize>()
    }

    fn write(&self, out: &mut [u8]) -> Result<usize, RtcpError> {
        let len = self.wire_len();
        let chunks = count(self.chunks.iter().count())?;
        let body = begin(out, SOURCE_DESCRIPTION, chunks, len)?;
        let mut at = 0;
        for chunk in self.chunks.iter() {
            at += chunk.write(&mut body[at..])?;
        }
        Ok(len)
    }
}
