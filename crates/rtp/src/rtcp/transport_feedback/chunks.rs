//! Packet status chunks (sections 3.1.1 to 3.1.4): run lengths and vectors of symbols.

use crate::rtcp::RtcpError;
use crate::wire::be16;

const ONE_BIT_SYMBOLS: usize = 14;
const TWO_BIT_SYMBOLS: usize = 7;
const MAX_RUN: u16 = 0x1fff;

/// What a chunk says of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    /// Not received.
    NotReceived = 0,
    /// Received, with a delta of one byte.
    Small = 1,
    /// Received, with a delta of two bytes, which may be negative.
    Large = 2,
}

impl Symbol {
    fn from_bits(bits: u16) -> Result<Self, RtcpError> {
        match bits & 3 {
            0 => Ok(Self::NotReceived),
            1 => Ok(Self::Small),
            2 => Ok(Self::Large),
            // Reserved.
            _ => Err(RtcpError::Value),
        }
    }

    /// The bytes of its delta.
    pub(super) fn delta_len(self) -> usize {
        self as usize
    }
}

/// Reads the symbols of a list of chunks.
#[derive(Debug, Clone)]
pub(super) struct Symbols<'a> {
    body: &'a [u8],
    at: usize,
    chunk: u16,
    /// Symbols of the chunk not yet given.
    in_chunk: u16,
    left: u16,
}

impl<'a> Symbols<'a> {
    pub(super) fn new(body: &'a [u8], count: u16) -> Self {
        Self {
            body,
            at: 0,
            chunk: 0,
            in_chunk: 0,
            left: count,
        }
    }

    /// The bytes of the chunks read so far.
    pub(super) fn chunk_bytes(&self) -> usize {
        self.at
    }

    fn next_chunk(&mut self) -> Result<(), RtcpError> {
        if self.at + 2 > self.body.len() {
            return Err(RtcpError::Truncated);
        }
        self.chunk = be16(self.body, self.at);
        self.at += 2;
        self.in_chunk = match self.chunk >> 14 {
            0 | 1 => self.chunk & MAX_RUN,
            2 => ONE_BIT_SYMBOLS as u16,
            _ => TWO_BIT_SYMBOLS as u16,
        };
        Ok(())
    }

    fn symbol(&mut self) -> Result<Symbol, RtcpError> {
        while self.in_chunk == 0 {
            self.next_chunk()?;
        }
        self.in_chunk -= 1;
        match self.chunk >> 14 {
            0 | 1 => Symbol::from_bits(self.chunk >> 13),
            2 => Symbol::from_bits((self.chunk >> self.in_chunk) & 1),
            _ => Symbol::from_bits(self.chunk >> (2 * self.in_chunk)),
        }
    }
}

impl Iterator for Symbols<'_> {
    type Item = Result<Symbol, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let symbol = self.symbol();
        if symbol.is_err() {
            self.left = 0;
        }
        Some(symbol)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(usize::from(self.left)))
    }
}

/// Packs symbols into chunks: a run where all are the same, else one bit each where no delta is
/// large, else two.
#[derive(Debug, Clone)]
pub(super) struct ChunkPacker {
    pending: [Symbol; ONE_BIT_SYMBOLS],
    /// Symbols pending; above 14 only where all are the same.
    len: u16,
    same: bool,
    large: bool,
}

impl ChunkPacker {
    pub(super) fn new() -> Self {
        let pending = [Symbol::NotReceived; ONE_BIT_SYMBOLS];
        Self {
            pending,
            len: 0,
            same: true,
            large: false,
        }
    }

    fn takes(&self, symbol: Symbol) -> bool {
        let len = usize::from(self.len);
        if self.same && (len == 0 || self.pending[0] == symbol) && self.len < MAX_RUN {
            return true;
        }
        let one_bit = !self.large && symbol != Symbol::Large;
        len < TWO_BIT_SYMBOLS || (one_bit && len < ONE_BIT_SYMBOLS)
    }

    fn append(&mut self, symbol: Symbol) {
        if let Some(slot) = self.pending.get_mut(usize::from(self.len)) {
            *slot = symbol;
        }
        self.same &= self.len == 0 || symbol == self.pending[0];
        self.large |= symbol == Symbol::Large;
        self.len += 1;
    }

    /// Adds a symbol; gives a chunk where one became full.
    pub(super) fn push(&mut self, symbol: Symbol) -> Option<u16> {
        let full = if self.takes(symbol) {
            None
        } else {
            Some(self.emit())
        };
        self.append(symbol);
        full
    }

    /// The last chunk; `None` where nothing is pending.
    pub(super) fn finish(&mut self) -> Option<u16> {
        if self.len == 0 {
            return None;
        }
        // At most 14 are pending here where they differ, and at most 7 where one is large: one
        // chunk says them all.
        let fits_two_bit = usize::from(self.len) <= TWO_BIT_SYMBOLS;
        let chunk = match (self.same, fits_two_bit) {
            (true, _) => self.run(),
            (false, true) => self.two_bit(),
            (false, false) => self.one_bit(),
        };
        *self = Self::new();
        Some(chunk)
    }

    /// Gives a chunk for the longest front part of what is pending that one can say.
    fn emit(&mut self) -> u16 {
        if self.same || usize::from(self.len) == ONE_BIT_SYMBOLS {
            let chunk = if self.same {
                self.run()
            } else {
                self.one_bit()
            };
            *self = Self::new();
            return chunk;
        }
        let chunk = self.two_bit();
        let rest = self.clone();
        *self = Self::new();
        for symbol in &rest.pending[TWO_BIT_SYMBOLS..usize::from(rest.len)] {
            self.append(*symbol);
        }
        chunk
    }

    fn run(&self) -> u16 {
        ((self.pending[0] as u16) << 13) | self.len
    }

    fn one_bit(&self) -> u16 {
        let shown = &self.pending[..usize::from(self.len)];
        let bits = shown.iter().enumerate().fold(0, |bits, (index, symbol)| {
            bits | ((*symbol as u16) << (ONE_BIT_SYMBOLS - 1 - index))
        });
        0x8000 | bits
    }

    fn two_bit(&self) -> u16 {
        let shown = self
            .pending
            .iter()
            .take(usize::from(self.len))
            .take(TWO_BIT_SYMBOLS);
        let bits = shown.enumerate().fold(0, |bits, (index, symbol)| {
            bits | ((*symbol as u16) << (2 * (TWO_BIT_SYMBOLS - 1 - index)))
        });
        0xc000 | bits
    }
}
