//! Chunks in, messages out.

use std::collections::BTreeMap;

use bytes::{BufMut, BytesMut};

use super::{EXTENDED, FIRST_CHUNK_SIZE};
use crate::wire::Cursor;
use crate::{Kind, Message, Violation};

/// The longest message taken, in bytes: a unit of the largest size, and its headers.
pub const MAX_MESSAGE_BYTES: usize = (8 << 20) + 1024;
/// Chunk streams followed at most.
pub const MAX_CHUNK_STREAMS: usize = 64;
/// Bytes of messages begun and not finished, kept at most over all chunk streams.
pub const MAX_UNFINISHED_BYTES: usize = 16 << 20;

/// The longest header: three bytes, eleven, and four of an extended timestamp.
const MAX_HEADER: usize = 18;
/// What is reserved for a message before its bytes have come.
const FIRST_RESERVE: usize = 64 << 10;

/// Messages that were begun and never finished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The sender took them back.
    pub aborted: u64,
    /// Another began on their chunk stream.
    pub interrupted: u64,
}

/// Makes messages of the bytes of one connection. What sets the size of chunks or takes messages back is obeyed here and not given.
#[derive(Debug)]
pub struct ChunkReader {
    chunk_size: usize,
    streams: BTreeMap<u32, ChunkStream>,
    /// A header of which the rest has not come, or the few bytes that had to be looked at behind one.
    held: Vec<u8>,
    /// The chunk under way: its stream, and how much of it is to come.
    body: Option<(u32, usize)>,
    unfinished: usize,
    repeats_extended: Option<bool>,
    dropped: Dropped,
}

impl Default for ChunkReader {
    fn default() -> Self {
        Self {
            chunk_size: FIRST_CHUNK_SIZE,
            streams: BTreeMap::new(),
            held: vec![],
            body: None,
            unfinished: 0,
            repeats_extended: None,
            dropped: Dropped::default(),
        }
    }
}

/// What later headers of a chunk stream refer to, and its message so far.
#[derive(Debug, Clone, Default)]
struct ChunkStream {
    timestamp: u32,
    /// What the last header said of time: the timestamp itself, or the step from the one before.
    field: u32,
    extended: bool,
    length: usize,
    kind: u8,
    stream: u32,
    begun: bool,
    body: BytesMut,
}

/// One chunk header, taken apart.
#[derive(Debug, Clone, Copy)]
struct Header {
    format: u8,
    id: u32,
    field: u32,
    extended: bool,
    /// Length, kind.
    shape: Option<(usize, u8)>,
    stream: Option<u32>,
    bytes: usize,
    /// Whether the 32 bits were repeated, where only looking could tell.
    repeats: Option<bool>,
}

impl ChunkReader {
    /// Take from the input up to the end of a message; none once the input is used up.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Violation> {
        loop {
            if self.body.is_none() && !self.read_header(input)? {
                return Ok(None);
            }
            let message = if self.held.is_empty() {
                self.read_body(input)?
            } else {
                self.read_held_body()?
            };
            if let Some(message) = message {
                if !self.obey(&message)? {
                    return Ok(Some(message));
                }
            } else if input.is_empty() && self.held.is_empty() {
                return Ok(None);
            }
        }
    }

    fn read_held_body(&mut self) -> Result<Option<Message>, Violation> {
        let held = std::mem::take(&mut self.held);
        let mut rest = &held[..];
        let message = self.read_body(&mut rest)?;
        self.held.extend_from_slice(rest);
        Ok(message)
    }

    /// Bytes of messages that have begun to come and have not ended.
    pub fn unfinished_bytes(&self) -> usize {
        self.unfinished
    }

    /// Messages that were never finished.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// True once a header is complete.
    fn read_header(&mut self, input: &mut &[u8]) -> Result<bool, Violation> {
        let before = self.held.len();
        let more = input.len().min(MAX_HEADER - before);
        self.held.extend_from_slice(&input[..more]);
        let Some(header) = self.parse(&self.held)? else {
            // Fewer than MAX_HEADER bytes: the input is used up.
            *input = &input[more..];
            return Ok(false);
        };
        if let Some(of_input) = header.bytes.checked_sub(before) {
            self.held.clear();
            *input = &input[of_input..];
        } else {
            // More was held than turned out to be header.
            self.held.truncate(before);
            self.held.drain(..header.bytes);
        }
        if header.repeats.is_some() {
            self.repeats_extended = header.repeats;
        }
        self.begin_chunk(header)?;
        Ok(true)
    }

    /// None where more bytes are needed.
    fn parse(&self, bytes: &[u8]) -> Result<Option<Header>, Violation> {
        let mut rest = Cursor(bytes);
        let Some((format, id)) = basic_header(&mut rest) else {
            return Ok(None);
        };
        let known = self.streams.get(&id);
        if format != 0 && known.is_none() {
            return Err(Violation::NoHeader(id));
        }
        let header = match (format, known) {
            (3, Some(known)) => self.continuation(known, &mut rest),
            _ => full_header(format, &mut rest),
        };
        Ok(header.map(|header| Header {
            format,
            id,
            bytes: bytes.len() - rest.0.len(),
            ..header
        }))
    }

    /// A chunk without a header of its own. Most senders repeat the 32 bits of an extended timestamp in each, some do not;
    /// the first such chunk within a message shows which kind this one is.
    fn continuation(&self, known: &ChunkStream, rest: &mut Cursor<'_>) -> Option<Header> {
        let mut header = Header {
            format: 3,
            id: 0,
            field: known.field,
            extended: known.extended,
            shape: None,
            stream: None,
            bytes: 0,
            repeats: None,
        };
        if !known.extended || self.repeats_extended == Some(false) {
            return Some(header);
        }
        if !known.begun || self.repeats_extended == Some(true) {
            header.field = rest.u32()?;
            return Some(header);
        }
        let mut ahead = *rest;
        let seen = ahead.u32()?;
        let repeats = seen == known.field || seen == known.timestamp;
        if repeats {
            *rest = ahead;
        }
        header.repeats = Some(repeats);
        Some(header)
    }

    fn begin_chunk(&mut self, header: Header) -> Result<(), Violation> {
        if self.streams.len() >= MAX_CHUNK_STREAMS && !self.streams.contains_key(&header.id) {
            return Err(Violation::TooManyChunkStreams);
        }
        let stream = self.streams.entry(header.id).or_default();
        if stream.begun && header.format != 3 {
            self.unfinished -= stream.body.len();
            stream.body.clear();
            stream.begun = false;
            self.dropped.interrupted += 1;
        }
        if !stream.begun {
            stream.begin_message(header)?;
        }
        let left = stream.length - stream.body.len();
        self.body = Some((header.id, left.min(self.chunk_size)));
        Ok(())
    }

    fn read_body(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Violation> {
        let Some((id, left)) = self.body else {
            return Ok(None);
        };
        let Some(stream) = self.streams.get_mut(&id) else {
            return Ok(None);
        };
        let (taken, rest) = input.split_at(left.min(input.len()));
        stream.body.put_slice(taken);
        *input = rest;
        self.unfinished += taken.len();
        if self.unfinished > MAX_UNFINISHED_BYTES {
            return Err(Violation::TooMuchUnfinished);
        }
        let left = left - taken.len();
        self.body = (left > 0).then_some((id, left));
        if stream.body.len() < stream.length {
            return Ok(None);
        }
        stream.begun = false;
        self.unfinished -= stream.length;
        Ok(Some(Message {
            kind: Kind::of(stream.kind),
            stream: stream.stream,
            timestamp: stream.timestamp,
            payload: stream.body.split().freeze(),
        }))
    }

    /// True where the message was for this reader (section 5.4.1 and 5.4.2).
    fn obey(&mut self, message: &Message) -> Result<bool, Violation> {
        let number = || {
            Cursor(&message.payload)
                .u32()
                .ok_or(Violation::ShortControl(message.kind.number()))
        };
        match message.kind {
            Kind::SetChunkSize => {
                let size = number()?;
                // The first bit is zero, and no chunk is larger than a message.
                if size == 0 || size > i32::MAX as u32 {
                    return Err(Violation::ChunkSize(size));
                }
                self.chunk_size = size as usize;
            }
            Kind::Abort => {
                let id = number()?;
                if let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.begun) {
                    self.unfinished -= stream.body.len();
                    stream.body.clear();
                    stream.begun = false;
                    self.dropped.aborted += 1;
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl ChunkStream {
    fn begin_message(&mut self, header: Header) -> Result<(), Violation> {
        if let Some((length, kind)) = header.shape {
            (self.length, self.kind) = (length, kind);
        }
        if let Some(stream) = header.stream {
            self.stream = stream;
        }
        if self.length > MAX_MESSAGE_BYTES {
            return Err(Violation::MessageTooLarge(self.length as u32));
        }
        (self.field, self.extended) = (header.field, header.extended);
        self.timestamp = match header.format {
            0 => header.field,
            _ => self.timestamp.wrapping_add(header.field),
        };
        self.begun = true;
        self.body.reserve(self.length.min(FIRST_RESERVE));
        Ok(())
    }
}

/// The format and the chunk stream (section 5.3.1.1).
fn basic_header(rest: &mut Cursor<'_>) -> Option<(u8, u32)> {
    let first = rest.u8()?;
    let id = match first & 0x3f {
        0 => 64 + u32::from(rest.u8()?),
        1 => {
            let (low, high) = (rest.u8()?, rest.u8()?);
            64 + u32::from(low) + (u32::from(high) << 8)
        }
        id => u32::from(id),
    };
    Some((first >> 6, id))
}

/// A header that says at least when (section 5.3.1.2).
fn full_header(format: u8, rest: &mut Cursor<'_>) -> Option<Header> {
    let field = rest.u24()?;
    let shape = match format {
        0 | 1 => Some((rest.u24()? as usize, rest.u8()?)),
        _ => None,
    };
    let stream = match format {
        0 => Some(u32::from_le_bytes(rest.four()?)),
        _ => None,
    };
    let extended = field == EXTENDED;
    Some(Header {
        format,
        id: 0,
        field: if extended { rest.u32()? } else { field },
        extended,
        shape,
        stream,
        bytes: 0,
        repeats: None,
    })
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    fn all(reader: &mut ChunkReader, mut bytes: &[u8]) -> Vec<Message> {
        let mut messages = vec![];
        while let Some(message) = reader.read(&mut bytes).unwrap() {
            messages.push(message);
        }
        messages
    }

    fn failure(bytes: &[u8]) -> Violation {
        ChunkReader::default().read(&mut &bytes[..]).unwrap_err()
    }

    #[test]
    fn each_format_of_header_refers_to_the_one_before() {
        // Section 5.3.2.1: audio of 32 bytes (here 2) at 1000, then 20 ms apart in ever shorter headers.
        let wire = hex!(
            "03 0003e8 000002 08 01000000 aa01"
            "43 000014 000002 08 aa02"
            "83 000014 aa03"
            "c3 aa04"
        );
        let times: Vec<u32> = all(&mut ChunkReader::default(), &wire)
            .iter()
            .map(|message| message.timestamp)
            .collect();
        assert_eq!(times, [1000, 1020, 1040, 1060]);
    }

    #[test]
    fn a_message_without_a_header_behind_a_full_one_steps_by_its_timestamp() {
        // Section 5.3.1.2.4.
        let wire = hex!("03 000014 000001 08 01000000 aa  c3 bb");
        let messages = all(&mut ChunkReader::default(), &wire);
        assert_eq!(messages[1].timestamp, 40);
    }

    #[test]
    fn chunk_streams_beyond_six_bits_are_named_by_one_or_two_more() {
        let wire = hex!("00 05 000000 000001 08 01000000 aa  01 0501 000000 000001 09 01000000 bb");
        let messages = all(&mut ChunkReader::default(), &wire);
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[1].kind, Kind::Video);
    }

    fn extended(repeated: bool) -> Vec<u8> {
        let mut wire = hex!("03 ffffff 000085 09 01000000 01020304").to_vec();
        wire.extend([0x55; 128]);
        wire.push(0xc3);
        if repeated {
            wire.extend(hex!("01020304"));
        }
        wire.extend([0x66; 5]);
        wire
    }

    #[test]
    fn an_extended_timestamp_may_be_repeated_in_each_chunk_or_not() {
        for repeated in [true, false] {
            let mut reader = ChunkReader::default();
            let wire = [extended(repeated), extended(repeated)].concat();
            let messages = all(&mut reader, &wire);
            assert_eq!(messages.len(), 2, "repeated: {repeated}");
            for message in messages {
                assert_eq!(message.timestamp, 0x0102_0304);
                assert_eq!(message.payload[128..], [0x66; 5]);
            }
        }
    }

    #[test]
    fn what_was_looked_at_behind_a_header_is_not_lost_where_the_bytes_come_one_by_one() {
        for repeated in [true, false] {
            let wire = [extended(repeated), extended(repeated)].concat();
            let whole = all(&mut ChunkReader::default(), &wire);
            for step in 1..8 {
                let mut reader = ChunkReader::default();
                let pieces = wire.chunks(step);
                let got: Vec<Message> = pieces.flat_map(|piece| all(&mut reader, piece)).collect();
                assert_eq!(got, whole, "repeated: {repeated}, {step} bytes at once");
            }
        }
    }

    #[test]
    fn a_message_taken_back_is_counted_and_the_next_is_whole() {
        let mut wire = hex!("03 000000 0000c8 09 01000000").to_vec();
        wire.extend([0x55; 128]);
        wire.extend(hex!("02 000000 000004 02 00000000 00000003"));
        wire.extend(hex!("03 000000 000001 08 01000000 aa"));
        let mut reader = ChunkReader::default();
        let messages = all(&mut reader, &wire);
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].payload[..], [0xaa]);
        assert_eq!(reader.dropped().aborted, 1);
    }

    #[test]
    fn a_message_that_another_interrupts_is_counted() {
        let mut wire = hex!("03 000000 0000c8 09 01000000").to_vec();
        wire.extend([0x55; 128]);
        wire.extend(hex!("03 000000 000001 08 01000000 aa"));
        let mut reader = ChunkReader::default();
        assert_eq!(all(&mut reader, &wire).len(), 1);
        assert_eq!(reader.dropped().interrupted, 1);
    }

    #[test]
    fn what_breaks_the_rules_is_named() {
        assert_eq!(failure(&hex!("c5")), Violation::NoHeader(5));
        assert_eq!(
            failure(&hex!("03 000000 ffffff 08 01000000")),
            Violation::MessageTooLarge(0xff_ffff)
        );
        assert_eq!(
            failure(&hex!("02 000000 000004 01 00000000 00000000")),
            Violation::ChunkSize(0)
        );
        assert_eq!(
            failure(&hex!("02 000000 000002 01 00000000 0000")),
            Violation::ShortControl(1)
        );
        let many: Vec<u8> = (0..=MAX_CHUNK_STREAMS as u8)
            .flat_map(|id| [0, id, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0])
            .collect();
        let mut reader = ChunkReader::default();
        let mut rest = &many[..];
        let last = loop {
            match reader.read(&mut rest) {
                Ok(Some(_)) => {}
                other => break other,
            }
        };
        assert_eq!(last, Err(Violation::TooManyChunkStreams));
    }

    #[test]
    fn messages_begun_on_many_streams_are_bounded_together() {
        let mut reader = ChunkReader::default();
        let size = hex!("02 000000 000004 01 00000000 00800000");
        assert_eq!(reader.read(&mut &size[..]), Ok(None));
        let piece = vec![0; (8 << 20) - 1];
        let mut outcome = Ok(None);
        for id in 3..6 {
            let header = [id, 0, 0, 0, 0x80, 0, 0, 9, 1, 0, 0, 0];
            outcome = reader
                .read(&mut &header[..])
                .and_then(|_| reader.read(&mut &piece[..]));
            // The rest of a chunk keeps others from beginning: take it back by the header alone.
            if outcome.is_err() {
                break;
            }
            reader.body = None;
        }
        assert_eq!(outcome, Err(Violation::TooMuchUnfinished));
    }
}
