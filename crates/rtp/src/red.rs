//! Redundant payloads (RFC 2198): several blocks of one stream in one packet, the newest last.
//!
//! Audio carries copies of earlier packets this way, so that a lost one comes again with the next.
//! Video carries a single block, which is a media packet or one of FEC (RFC 5109 section 14).

/// Redundant blocks of one packet that are read; more are a mistake or an attack.
pub const MAX_REDUNDANT: usize = 31;
/// The largest timestamp offset of a block: 14 bits.
pub const MAX_OFFSET: u16 = 0x3fff;
/// The longest redundant block: 10 bits. The primary one is as long as the packet has room.
pub const MAX_BLOCK_LEN: usize = 0x3ff;

/// Header of a redundant block.
const REDUNDANT_HEADER: usize = 4;
/// Header of the primary block.
const PRIMARY_HEADER: usize = 1;

/// What is wrong with a redundant payload, or why it cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RedError {
    /// The payload ends inside its headers, or its blocks are longer than it is.
    #[error("the redundant payload ends inside its blocks")]
    Truncated,
    /// More than [`MAX_REDUNDANT`] redundant blocks.
    #[error("the redundant payload has too many blocks")]
    TooManyBlocks,
    /// A block that is too old for 14 bits or too long for 10.
    #[error("a redundant block is too old or too long to be carried")]
    Range,
    /// The caller's buffer is too small.
    #[error("the output buffer is too small")]
    NoSpace,
}

/// One block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedBlock<'a> {
    /// The payload type of its data.
    pub payload_type: u8,
    /// How much older than the packet's timestamp it is; 0 for the primary block.
    pub offset: u16,
    /// Its data; senders leave a block empty where they have nothing to repeat.
    pub data: &'a [u8],
}

impl RedBlock<'_> {
    /// Whether it can be a redundant block.
    pub fn is_in_range(&self) -> bool {
        self.offset <= MAX_OFFSET && self.data.len() <= MAX_BLOCK_LEN
    }
}

/// A redundant payload whose blocks all lie inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedPayload<'a> {
    bytes: &'a [u8],
    redundant: usize,
    primary_at: usize,
}

impl<'a> RedPayload<'a> {
    /// Reads the block headers of an RTP payload.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RedError> {
        let (mut at, mut redundant, mut data_len) = (0, 0, 0);
        while bytes.get(at).ok_or(RedError::Truncated)? & 0x80 != 0 {
            let header = bytes
                .get(at..at + REDUNDANT_HEADER)
                .ok_or(RedError::Truncated)?;
            if redundant == MAX_REDUNDANT {
                return Err(RedError::TooManyBlocks);
            }
            data_len += block_len(header);
            redundant += 1;
            at += REDUNDANT_HEADER;
        }
        let primary_at = at + PRIMARY_HEADER + data_len;
        if primary_at > bytes.len() {
            return Err(RedError::Truncated);
        }
        Ok(Self {
            bytes,
            redundant,
            primary_at,
        })
    }

    /// The newest block: the one the packet's own timestamp belongs to.
    #[inline]
    pub fn primary(&self) -> RedBlock<'a> {
        RedBlock {
            payload_type: self.bytes[self.redundant * REDUNDANT_HEADER] & 0x7f,
            offset: 0,
            data: &self.bytes[self.primary_at..],
        }
    }

    /// Where the primary block's data begins in the payload; it ends with it.
    #[inline]
    pub fn primary_at(&self) -> usize {
        self.primary_at
    }

    /// The other blocks in the order of the payload, which is the oldest first by custom.
    #[inline]
    pub fn redundant(&self) -> RedundantBlocks<'a> {
        RedundantBlocks {
            bytes: self.bytes,
            header_at: 0,
            data_at: self.redundant * REDUNDANT_HEADER + PRIMARY_HEADER,
            left: self.redundant,
        }
    }

    /// Whether all blocks are of one payload type.
    pub fn is_uniform(&self) -> bool {
        let primary = self.primary().payload_type;
        self.redundant().all(|block| block.payload_type == primary)
    }
}

/// The redundant blocks of a payload. See [`RedPayload::redundant`].
#[derive(Debug, Clone)]
pub struct RedundantBlocks<'a> {
    bytes: &'a [u8],
    header_at: usize,
    data_at: usize,
    left: usize,
}

impl<'a> Iterator for RedundantBlocks<'a> {
    type Item = RedBlock<'a>;

    #[inline]
    fn next(&mut self) -> Option<RedBlock<'a>> {
        self.left = self.left.checked_sub(1)?;
        let header = &self.bytes[self.header_at..self.header_at + REDUNDANT_HEADER];
        let end = self.data_at + block_len(header);
        let block = RedBlock {
            payload_type: header[0] & 0x7f,
            offset: (u16::from(header[1]) << 6) | u16::from(header[2] >> 2),
            data: &self.bytes[self.data_at..end],
        };
        self.header_at += REDUNDANT_HEADER;
        self.data_at = end;
        Some(block)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for RedundantBlocks<'_> {}

#[inline]
fn block_len(header: &[u8]) -> usize {
    (usize::from(header[2] & 0x03) << 8) | usize::from(header[3])
}

/// The length of what [`write_red`] writes.
pub fn red_len(redundant: &[RedBlock<'_>], primary: &[u8]) -> usize {
    let blocks: usize = redundant
        .iter()
        .map(|block| REDUNDANT_HEADER + block.data.len())
        .sum();
    blocks + PRIMARY_HEADER + primary.len()
}

/// Writes a redundant payload to the front of `out`; gives its length. `redundant` is the oldest
/// block first; the primary block is `primary` of `payload_type`.
pub fn write_red(
    out: &mut [u8],
    redundant: &[RedBlock<'_>],
    payload_type: u8,
    primary: &[u8],
) -> Result<usize, RedError> {
    if redundant.len() > MAX_REDUNDANT {
        return Err(RedError::TooManyBlocks);
    }
    if !redundant.iter().all(RedBlock::is_in_range) {
        return Err(RedError::Range);
    }
    let len = red_len(redundant, primary);
    let out = out.get_mut(..len).ok_or(RedError::NoSpace)?;
    let mut at = 0;
    for block in redundant {
        let len = block.data.len() as u16;
        out[at] = 0x80 | (block.payload_type & 0x7f);
        out[at + 1] = (block.offset >> 6) as u8;
        out[at + 2] = ((block.offset << 2) as u8) | (len >> 8) as u8;
        out[at + 3] = len as u8;
        at += REDUNDANT_HEADER;
    }
    out[at] = payload_type & 0x7f;
    at += PRIMARY_HEADER;
    for data in redundant
        .iter()
        .map(|block| block.data)
        .chain(std::iter::once(primary))
    {
        out[at..at + data.len()].copy_from_slice(data);
        at += data.len();
    }
    Ok(len)
}

/// Gives all blocks of a redundant payload another payload type. What is no such payload is
/// changed up to where it stops being one.
pub fn set_block_types(payload: &mut [u8], payload_type: u8) {
    let mut at = 0;
    for _ in 0..=MAX_REDUNDANT {
        let Some(first) = payload.get_mut(at) else {
            return;
        };
        let more = *first & 0x80;
        *first = more | (payload_type & 0x7f);
        if more == 0 {
            return;
        }
        at += REDUNDANT_HEADER;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Made by hand after the figure in RFC 2198 section 4: DVI4 (5) as primary, LPC (7) as the one
    /// redundant block, here 20 ms of an 8 kHz clock (160) older and four bytes long.
    const TWO_BLOCKS: [u8; 12] = [
        0x87, 0x02, 0x80, 0x04, // F, 7, 160 << 2 | 4 >> 8, 4
        0x05, // the primary's header
        0xa1, 0xa2, 0xa3, 0xa4, // LPC
        0xb1, 0xb2, 0xb3, // DVI4
    ];

    fn blocks<'a>(payload: &RedPayload<'a>) -> Vec<RedBlock<'a>> {
        payload.redundant().collect()
    }

    #[test]
    fn the_blocks_of_a_payload_made_by_hand_are_found() {
        let payload = RedPayload::parse(&TWO_BLOCKS).unwrap();
        let redundant = RedBlock {
            payload_type: 7,
            offset: 160,
            data: &[0xa1, 0xa2, 0xa3, 0xa4],
        };
        assert_eq!(blocks(&payload), [redundant]);
        let primary = payload.primary();
        assert_eq!((primary.payload_type, primary.offset), (5, 0));
        assert_eq!(primary.data, [0xb1, 0xb2, 0xb3]);
        assert_eq!(payload.primary_at(), 9);
        assert!(!payload.is_uniform());
    }

    #[test]
    fn fourteen_bits_of_offset_and_ten_of_length_are_told_apart() {
        let mut bytes = vec![0xef, 0xff, 0xff, 0xff, 111];
        bytes.extend([1; MAX_BLOCK_LEN]);
        bytes.push(2);
        let payload = RedPayload::parse(&bytes).unwrap();
        let first = blocks(&payload)[0];
        assert_eq!(
            (first.offset, first.data.len()),
            (MAX_OFFSET, MAX_BLOCK_LEN)
        );
        assert_eq!(payload.primary().data, [2]);
        let mut bytes = vec![0xef, 0x00, 0x05, 0x00, 111];
        bytes.extend([1; 256]);
        let payload = RedPayload::parse(&bytes).unwrap();
        let first = blocks(&payload)[0];
        assert_eq!((first.offset, first.data.len()), (1, 256));
        assert_eq!(payload.primary().data, []);
    }

    #[test]
    fn a_single_block_is_a_header_of_one_byte() {
        let payload = RedPayload::parse(&[96, 1, 2, 3]).unwrap();
        assert_eq!(payload.primary().payload_type, 96);
        assert_eq!(payload.primary().data, [1, 2, 3]);
        assert_eq!((payload.redundant().len(), payload.primary_at()), (0, 1));
        assert!(payload.is_uniform());
        assert!(RedPayload::parse(&[96]).unwrap().primary().data.is_empty());
    }

    #[test]
    fn what_ends_early_is_refused() {
        for len in 0..9 {
            assert_eq!(
                RedPayload::parse(&TWO_BLOCKS[..len]),
                Err(RedError::Truncated),
                "{len}"
            );
        }
        assert!(RedPayload::parse(&TWO_BLOCKS[..9]).is_ok(), "empty primary");
    }

    #[test]
    fn the_number_of_blocks_is_bounded() {
        let mut bytes = [0xef, 0, 0, 0].repeat(MAX_REDUNDANT);
        bytes.push(111);
        assert_eq!(
            RedPayload::parse(&bytes).unwrap().redundant().len(),
            MAX_REDUNDANT
        );
        let mut bytes = [0xef, 0, 0, 0].repeat(MAX_REDUNDANT + 1);
        bytes.push(111);
        assert_eq!(RedPayload::parse(&bytes), Err(RedError::TooManyBlocks));
        let empty = RedBlock {
            payload_type: 1,
            offset: 0,
            data: &[],
        };
        let many = [empty; MAX_REDUNDANT + 1];
        let written = write_red(&mut [0; 1_000], &many, 1, &[]);
        assert_eq!(written, Err(RedError::TooManyBlocks));
    }

    #[test]
    fn what_is_written_is_what_was_made_by_hand() {
        let payload = RedPayload::parse(&TWO_BLOCKS).unwrap();
        let redundant = blocks(&payload);
        let mut out = [0xff; 20];
        let len = write_red(&mut out, &redundant, 5, payload.primary().data).unwrap();
        assert_eq!(len, red_len(&redundant, payload.primary().data));
        assert_eq!(out[..len], TWO_BLOCKS);
        assert_eq!(out[len..], [0xff; 8], "nothing behind it is touched");
        let short = write_red(&mut out[..11], &redundant, 5, payload.primary().data);
        assert_eq!(short, Err(RedError::NoSpace));
    }

    #[test]
    fn a_block_too_old_or_too_long_is_not_written() {
        let data = [0; MAX_BLOCK_LEN + 1];
        let mut out = [0; 3_000];
        let block = |offset, len| RedBlock {
            payload_type: 111,
            offset,
            data: &data[..len],
        };
        for wrong in [block(MAX_OFFSET + 1, 1), block(1, MAX_BLOCK_LEN + 1)] {
            let written = write_red(&mut out, &[wrong], 111, &[]);
            assert_eq!(written, Err(RedError::Range));
        }
        let most = block(MAX_OFFSET, MAX_BLOCK_LEN);
        let len = write_red(&mut out, &[most], 111, &[9]).unwrap();
        let read = RedPayload::parse(&out[..len]).unwrap();
        assert_eq!(blocks(&read), [most]);
    }

    #[test]
    fn block_types_change_and_nothing_else() {
        let mut bytes = TWO_BLOCKS;
        set_block_types(&mut bytes, 120);
        let payload = RedPayload::parse(&bytes).unwrap();
        assert!(payload.is_uniform());
        assert_eq!(payload.primary().payload_type, 120);
        let mut expected = TWO_BLOCKS;
        (expected[0], expected[4]) = (0xf8, 120);
        assert_eq!(bytes, expected);
        set_block_types(&mut [], 1);
        let mut broken = [0xff; 6];
        set_block_types(&mut broken, 1);
        assert_eq!(broken, [0x81, 0xff, 0xff, 0xff, 0x81, 0xff]);
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_again_as_it_was(bytes in vec(any::<u8>(), 0..80)) {
            if let Ok(payload) = RedPayload::parse(&bytes) {
                let primary = payload.primary();
                let redundant = blocks(&payload);
                let mut out = vec![0; bytes.len()];
                let len = write_red(&mut out, &redundant, primary.payload_type, primary.data);
                prop_assert_eq!(len, Ok(bytes.len()));
                prop_assert_eq!(out, bytes);
            }
        }
    }
}
