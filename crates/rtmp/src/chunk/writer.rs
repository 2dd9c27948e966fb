//! Messages in, chunks out.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use super::{EXTENDED, FIRST_CHUNK_SIZE};
use crate::{Kind, Message};

/// The chunk stream of what concerns the connection (section 5.4).
const CONTROL: u32 = 2;

/// Cuts messages into chunks. The caller names few chunk streams: each one used is remembered.
#[derive(Debug)]
pub struct ChunkWriter {
    chunk_size: usize,
    /// The message stream and time of the last message of each.
    last: BTreeMap<u32, (u32, u32)>,
}

impl Default for ChunkWriter {
    fn default() -> Self {
        Self {
            chunk_size: FIRST_CHUNK_SIZE,
            last: BTreeMap::new(),
        }
    }
}

impl ChunkWriter {
    /// Cut larger from here on, and say so; a size of 0 is taken as 1.
    pub fn set_chunk_size(&mut self, size: u32, out: &mut BytesMut) {
        let size = size.clamp(1, i32::MAX as u32);
        let message = Message {
            kind: Kind::SetChunkSize,
            stream: 0,
            timestamp: 0,
            payload: Bytes::copy_from_slice(&size.to_be_bytes()),
        };
        self.write(CONTROL, &message, out);
        self.chunk_size = size as usize;
    }

    /// Write a message of this chunk stream (2 to 65599).
    pub fn write(&mut self, id: u32, message: &Message, out: &mut BytesMut) {
        let last = self.last.insert(id, (message.stream, message.timestamp));
        // A step says less than a time, where time does not run back.
        let step = last
            .filter(|&(stream, _)| stream == message.stream)
            .map(|(_, timestamp)| message.timestamp.wrapping_sub(timestamp))
            .filter(|&step| step < 1 << 31);
        let format = u8::from(step.is_some());
        let time = step.unwrap_or(message.timestamp);
        let extended = time >= EXTENDED;
        put_basic_header(format, id, out);
        out.put_uint(u64::from(time.min(EXTENDED)), 3);
        out.put_uint(message.payload.len() as u64, 3);
        out.put_u8(message.kind.number());
        if format == 0 {
            out.put_u32_le(message.stream);
        }
        if extended {
            out.put_u32(time);
        }
        for (at, piece) in message.payload.chunks(self.chunk_size).enumerate() {
            if at > 0 {
                put_basic_header(3, id, out);
                if extended {
                    out.put_u32(time);
                }
            }
            out.put_slice(piece);
        }
    }
}

fn put_basic_header(format: u8, id: u32, out: &mut BytesMut) {
    let format = format << 6;
    match id {
        0..=63 => out.put_u8(format | id as u8),
        64..=319 => out.put_slice(&[format, (id - 64) as u8]),
        _ => {
            let id = id - 64;
            out.put_slice(&[format | 1, id as u8, (id >> 8) as u8]);
        }
    }
}
