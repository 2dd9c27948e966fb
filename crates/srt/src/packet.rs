//! The sixteen bytes before everything: headers of data and control packets (draft-sharabayko-srt section 3).

use crate::seq::{MESSAGE_MASK, Seq};
use thiserror::Error;

/// Length of every header.
pub(crate) const HEADER_LEN: usize = 16;
/// Largest datagram: an Ethernet frame without the headers of IPv4 and UDP.
pub const MAX_DATAGRAM: usize = 1472;
/// Largest payload of a data packet.
pub const MAX_PAYLOAD: usize = MAX_DATAGRAM - HEADER_LEN;

/// What is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum PacketError {
    /// Shorter than a header.
    #[error("a datagram is shorter than a header")]
    Short,
    /// Longer than any packet.
    #[error("a datagram is longer than {MAX_DATAGRAM} bytes")]
    Long,
    /// A control packet of a type nobody has defined.
    #[error("a control packet of unknown type {0}")]
    UnknownType(u16),
    /// The body of a control packet is not as its type asks.
    #[error("the body of a control packet is malformed")]
    Body,
}

/// A header of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    Data(DataHeader),
    Control(ControlHeader),
}

/// Which key a payload was encrypted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyFlag {
    Clear,
    Even,
    Odd,
}

/// The header of a data packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataHeader {
    pub(crate) seq: Seq,
    /// The packet begins a message.
    pub(crate) first: bool,
    /// The packet ends a message.
    pub(crate) last: bool,
    /// None where both bits stand, which data packets may not have.
    pub(crate) key: Option<KeyFlag>,
    pub(crate) retransmitted: bool,
    pub(crate) message: u32,
    pub(crate) timestamp: u32,
    pub(crate) destination: u32,
}

/// Types of control packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ControlType {
    Handshake,
    KeepAlive,
    Ack,
    LossReport,
    CongestionWarning,
    Shutdown,
    AckAck,
    DropRequest,
    PeerError,
    /// Keying material after the handshake; the subtype is that of the handshake's extensions.
    User,
}

/// The header of a control packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ControlHeader {
    pub(crate) kind: ControlType,
    pub(crate) subtype: u16,
    pub(crate) info: u32,
    pub(crate) timestamp: u32,
    pub(crate) destination: u32,
}

const CONTROL_BIT: u32 = 1 << 31;
const FIRST_BIT: u32 = 1 << 31;
const LAST_BIT: u32 = 1 << 30;
const ORDER_BIT: u32 = 1 << 29;
const KEY_SHIFT: u32 = 27;
/// Where the mark of a retransmission stands in its byte of the header.
const RETRANSMITTED_BIT: u32 = 1 << 26;
const RETRANSMITTED_BYTE: usize = 4;
const RETRANSMITTED_IN_BYTE: u8 = 1 << 2;

/// The word of four bytes at `at`; zero past the end.
pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..at + 4) {
        Some(&[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]),
        _ => 0,
    }
}

/// Writes a word of four bytes at `at`.
pub(crate) fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

impl Header {
    /// Reads the header that begins a datagram.
    pub(crate) fn parse(datagram: &[u8]) -> Result<Self, PacketError> {
        if datagram.len() < HEADER_LEN {
            return Err(PacketError::Short);
        }
        if datagram.len() > MAX_DATAGRAM {
            return Err(PacketError::Long);
        }
        let (begin, info) = (word(datagram, 0), word(datagram, 4));
        let (timestamp, destination) = (word(datagram, 8), word(datagram, 12));
        if begin & CONTROL_BIT == 0 {
            return Ok(Self::Data(DataHeader {
                seq: Seq::new(begin),
                first: info & FIRST_BIT != 0,
                last: info & LAST_BIT != 0,
                key: match info >> KEY_SHIFT & 3 {
                    0 => Some(KeyFlag::Clear),
                    1 => Some(KeyFlag::Even),
                    2 => Some(KeyFlag::Odd),
                    _ => None,
                },
                retransmitted: info & RETRANSMITTED_BIT != 0,
                message: info & MESSAGE_MASK,
                timestamp,
                destination,
            }));
        }
        let kind = ControlType::from_wire((begin >> 16 & 0x7fff) as u16)?;
        Ok(Self::Control(ControlHeader {
            kind,
            subtype: begin as u16,
            info,
            timestamp,
            destination,
        }))
    }
}

impl DataHeader {
    pub(crate) fn write(&self, out: &mut [u8]) {
        let key = match self.key {
            Some(KeyFlag::Clear) | None => 0,
            Some(KeyFlag::Even) => 1,
            Some(KeyFlag::Odd) => 2,
        };
        let flag = |set: bool, bit: u32| if set { bit } else { 0 };
        put(out, 0, self.seq.value());
        put(
            out,
            4,
            flag(self.first, FIRST_BIT)
                | flag(self.last, LAST_BIT)
                | ORDER_BIT
                | key << KEY_SHIFT
                | flag(self.retransmitted, RETRANSMITTED_BIT)
                | self.message & MESSAGE_MASK,
        );
        put(out, 8, self.timestamp);
        put(out, 12, self.destination);
    }
}

/// Marks a packet that has been written as a retransmission.
pub(crate) fn mark_retransmitted(packet: &mut [u8]) {
    packet[RETRANSMITTED_BYTE] |= RETRANSMITTED_IN_BYTE;
}

/// Takes the mark of a retransmission off: it is not part of what the sender authenticated.
pub(crate) fn unmark_retransmitted(packet: &mut [u8]) {
    packet[RETRANSMITTED_BYTE] &= !RETRANSMITTED_IN_BYTE;
}

impl ControlType {
    fn from_wire(value: u16) -> Result<Self, PacketError> {
        Ok(match value {
            0 => Self::Handshake,
            1 => Self::KeepAlive,
            2 => Self::Ack,
            3 => Self::LossReport,
            4 => Self::CongestionWarning,
            5 => Self::Shutdown,
            6 => Self::AckAck,
            7 => Self::DropRequest,
            8 => Self::PeerError,
            0x7fff => Self::User,
            other => return Err(PacketError::UnknownType(other)),
        })
    }

    const fn to_wire(self) -> u32 {
        match self {
            Self::Handshake => 0,
            Self::KeepAlive => 1,
            Self::Ack => 2,
            Self::LossReport => 3,
            Self::CongestionWarning => 4,
            Self::Shutdown => 5,
            Self::AckAck => 6,
            Self::DropRequest => 7,
            Self::PeerError => 8,
            Self::User => 0x7fff,
        }
    }
}

impl ControlHeader {
    /// Writes the header and `body` behind it; gives the length. An empty body becomes four zero bytes, since libsrt
    /// takes no control packet without one.
    pub(crate) fn write(&self, body: &[u8], out: &mut [u8]) -> usize {
        if body.is_empty() {
            return self.write(&[0; 4], out);
        }
        out[HEADER_LEN..HEADER_LEN + body.len()].copy_from_slice(body);
        self.write_before(out);
        HEADER_LEN + body.len()
    }

    /// Writes the header before a body that stands in `out` already.
    pub(crate) fn write_before(&self, out: &mut [u8]) {
        let begin = CONTROL_BIT | self.kind.to_wire() << 16 | u32::from(self.subtype);
        put(out, 0, begin);
        put(out, 4, self.info);
        put(out, 8, self.timestamp);
        put(out, 12, self.destination);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_header_is_read_as_it_was_written() {
        let header = DataHeader {
            seq: Seq::new(0x1234_5678),
            first: true,
            last: true,
            key: Some(KeyFlag::Odd),
            retransmitted: false,
            message: 77,
            timestamp: 0xdead_beef,
            destination: 9,
        };
        let mut bytes = [0; 20];
        header.write(&mut bytes);
        assert_eq!(Header::parse(&bytes), Ok(Header::Data(header)));
        mark_retransmitted(&mut bytes);
        let Ok(Header::Data(read)) = Header::parse(&bytes) else {
            panic!("data")
        };
        assert!(read.retransmitted && read.message == 77);
        unmark_retransmitted(&mut bytes);
        assert_eq!(Header::parse(&bytes), Ok(Header::Data(header)));
    }

    #[test]
    fn a_control_packet_never_goes_out_without_a_body() {
        let header = ControlHeader {
            kind: ControlType::KeepAlive,
            subtype: 0,
            info: 0,
            timestamp: 5,
            destination: 6,
        };
        let mut bytes = [0xff; 32];
        assert_eq!(header.write(&[], &mut bytes), 20);
        assert_eq!(bytes[..4], [0x80, 1, 0, 0]);
        assert_eq!(bytes[16..20], [0; 4]);
        assert_eq!(Header::parse(&bytes[..20]), Ok(Header::Control(header)));
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        assert_eq!(Header::parse(&[0; 15]), Err(PacketError::Short));
        assert_eq!(Header::parse(&[0; 1473]), Err(PacketError::Long));
        let mut unknown = [0; 16];
        unknown[..2].copy_from_slice(&[0x80, 9]);
        assert_eq!(Header::parse(&unknown), Err(PacketError::UnknownType(9)));
    }
}
