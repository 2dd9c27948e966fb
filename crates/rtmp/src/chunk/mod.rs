//! The chunk stream: messages cut into pieces that take turns (RTMP section 5.3).

mod reader;
mod writer;

pub use reader::{
    ChunkReader, Dropped, MAX_CHUNK_STREAMS, MAX_MESSAGE_BYTES, MAX_UNFINISHED_BYTES,
};
pub use writer::ChunkWriter;

/// The size of chunks before anybody says another.
const FIRST_CHUNK_SIZE: usize = 128;
/// The field of a timestamp that says that 32 bits follow the header.
const EXTENDED: u32 = 0xff_ffff;

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use proptest::prelude::*;

    use super::*;
    use crate::{Kind, Message};

    fn any_message() -> impl Strategy<Value = (u32, Message)> {
        let timestamp = prop_oneof![0u32..5000, 0xff_fff0u32..0x100_0010, any::<u32>()];
        let kind = prop_oneof![Just(Kind::Audio), Just(Kind::Video), Just(Kind::Command)];
        let payload = prop::collection::vec(any::<u8>(), 0..700);
        (3u32..400, kind, 0u32..3, timestamp, payload).prop_map(
            |(channel, kind, stream, timestamp, payload)| {
                let message = Message {
                    kind,
                    stream,
                    timestamp,
                    payload: payload.into(),
                };
                // Few channels, so that headers refer to those before.
                (
                    if channel < 380 {
                        3 + channel % 4
                    } else {
                        channel
                    },
                    message,
                )
            },
        )
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_they_are_cut(
            messages in prop::collection::vec(any_message(), 1..20),
            sizes in prop::collection::vec(1usize..900, 1..20),
            step in 1usize..1500,
        ) {
            let mut writer = ChunkWriter::default();
            let mut wire = BytesMut::new();
            for (at, (channel, message)) in messages.iter().enumerate() {
                if let Some(&size) = sizes.get(at) {
                    writer.set_chunk_size(size as u32, &mut wire);
                }
                writer.write(*channel, message, &mut wire);
            }
            let mut reader = ChunkReader::default();
            let mut got = vec![];
            for mut piece in wire.chunks(step) {
                while let Some(message) = reader.read(&mut piece).unwrap() {
                    got.push(message);
                }
                prop_assert!(piece.is_empty());
            }
            let expected: Vec<Message> = messages.into_iter().map(|(_, message)| message).collect();
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn any_split_of_any_bytes_gives_the_same(
            bytes in prop::collection::vec(any::<u8>(), 0..2000),
            step in 1usize..300,
        ) {
            let read_in = |step: usize| {
                let mut reader = ChunkReader::default();
                let mut got: Vec<Result<Message, _>> = vec![];
                for mut piece in bytes.chunks(step) {
                    loop {
                        match reader.read(&mut piece) {
                            Ok(Some(message)) => got.push(Ok(message)),
                            Ok(None) => break,
                            Err(error) => {
                                got.push(Err(error));
                                return got;
                            }
                        }
                    }
                }
                got
            };
            prop_assert_eq!(read_in(step), read_in(usize::MAX));
        }
    }

    #[test]
    fn an_empty_message_is_one() {
        let message = Message {
            kind: Kind::Audio,
            stream: 1,
            timestamp: 7,
            payload: Bytes::new(),
        };
        let mut wire = BytesMut::new();
        ChunkWriter::default().write(4, &message, &mut wire);
        assert_eq!(
            ChunkReader::default().read(&mut &wire[..]),
            Ok(Some(message))
        );
    }
}
