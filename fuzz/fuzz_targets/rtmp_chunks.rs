//! Invariant: any bytes give the same messages whole and byte by byte, and what was read is read again as it was once written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_rtmp::{ChunkReader, ChunkWriter, Message};

fn messages(bytes: &[u8], step: usize) -> Vec<Message> {
    let mut reader = ChunkReader::default();
    let mut messages = vec![];
    for mut piece in bytes.chunks(step) {
        loop {
            match reader.read(&mut piece) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return messages,
            }
        }
    }
    messages
}

fuzz_target!(|data: &[u8]| {
    let read = messages(data, usize::MAX);
    assert_eq!(messages(data, 1), read);
    let mut writer = ChunkWriter::default();
    let mut out = bytes::BytesMut::new();
    for message in &read {
        writer.write(3, message, &mut out);
    }
    assert_eq!(messages(&out, usize::MAX), read);
});
