//! Messages: what chunks carry (RTMP section 5.4, 6 and 7).

use bytes::Bytes;

/// Types of messages by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// How large the sender's chunks are from here on.
    SetChunkSize,
    /// A message under way is not finished.
    Abort,
    /// How many bytes have come.
    Acknowledgement,
    /// Events of streams, pings.
    UserControl,
    /// After how many bytes the sender wants an acknowledgement.
    WindowSize,
    /// How much may be under way to the sender.
    PeerBandwidth,
    /// An audio tag.
    Audio,
    /// A video tag.
    Video,
    /// Values in AMF3.
    DataAmf3,
    /// A command in AMF3.
    CommandAmf3,
    /// Values: metadata, cue points.
    Data,
    /// A command.
    Command,
    /// Several tags in one message.
    Aggregate,
    /// Shared objects and what nobody knows.
    Other(u8),
}

impl Kind {
    /// By its number.
    pub fn of(number: u8) -> Self {
        match number {
            1 => Self::SetChunkSize,
            2 => Self::Abort,
            3 => Self::Acknowledgement,
            4 => Self::UserControl,
            5 => Self::WindowSize,
            6 => Self::PeerBandwidth,
            8 => Self::Audio,
            9 => Self::Video,
            15 => Self::DataAmf3,
            17 => Self::CommandAmf3,
            18 => Self::Data,
            20 => Self::Command,
            22 => Self::Aggregate,
            other => Self::Other(other),
        }
    }

    /// Its number.
    pub fn number(self) -> u8 {
        match self {
            Self::SetChunkSize => 1,
            Self::Abort => 2,
            Self::Acknowledgement => 3,
            Self::UserControl => 4,
            Self::WindowSize => 5,
            Self::PeerBandwidth => 6,
            Self::Audio => 8,
            Self::Video => 9,
            Self::DataAmf3 => 15,
            Self::CommandAmf3 => 17,
            Self::Data => 18,
            Self::Command => 20,
            Self::Aggregate => 22,
            Self::Other(number) => number,
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// The message stream it belongs to; 0 is the connection.
    pub stream: u32,
    /// Milliseconds since an epoch of the sender, modulo 2^32.
    pub timestamp: u32,
    /// Its contents.
    pub payload: Bytes,
}

/// Pictures or sound: the body of an FLV tag, without its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Media {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

impl Media {
    /// The type of message that carries it.
    pub fn kind(self) -> Kind {
        match self {
            Self::Audio => Kind::Audio,
            Self::Video => Kind::Video,
        }
    }
}

/// Take an aggregate apart (section 7.1.6): tags, each with its own header of eleven bytes and its size behind it.
/// The time of the first is that of the message. Ends where a tag is cut short.
pub(crate) fn split_aggregate(message: &Message) -> impl Iterator<Item = Message> {
    const TAG_HEADER: usize = 11;
    let payload = message.payload.clone();
    let (stream, base) = (message.stream, message.timestamp);
    let mut at = 0;
    let mut first = None;
    std::iter::from_fn(move || {
        let header = payload.get(at..at + TAG_HEADER)?;
        let length = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
        let timestamp = u32::from_be_bytes([header[7], header[4], header[5], header[6]]);
        let body = at + TAG_HEADER;
        payload.get(body..body + length)?;
        at = body + length + 4;
        let first = *first.get_or_insert(timestamp);
        Some(Message {
            kind: Kind::of(header[0]),
            stream,
            timestamp: base.wrapping_add(timestamp.wrapping_sub(first)),
            payload: payload.slice(body..body + length),
        })
    })
    // An aggregate in an aggregate is nobody's, and would nest without end.
    .filter(|message| message.kind != Kind::Aggregate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_numbers_are_each_others() {
        for number in 0..=255 {
            assert_eq!(Kind::of(number).number(), number);
        }
    }

    #[test]
    fn an_aggregate_gives_its_tags_on_the_clock_of_the_message() {
        let mut payload = vec![];
        for (kind, timestamp, body) in [(8u8, 1000u32, 0xaau8), (9, 1040, 0xbb)] {
            payload.extend([kind, 0, 0, 1]);
            payload.extend(&timestamp.to_be_bytes()[1..]);
            payload.extend([0, 0, 0, 0, body, 0, 0, 0, 12]);
        }
        payload.extend([9, 0, 0, 200]);
        let message = Message {
            kind: Kind::Aggregate,
            stream: 1,
            timestamp: 70,
            payload: payload.into(),
        };
        let tags: Vec<_> = split_aggregate(&message)
            .map(|tag| (tag.kind, tag.timestamp, tag.payload[0]))
            .collect();
        assert_eq!(tags, [(Kind::Audio, 70, 0xaa), (Kind::Video, 110, 0xbb)]);
    }
}
