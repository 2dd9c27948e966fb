//! The data channel establishment protocol (RFC 8832).

use super::{ChannelParameters, Reliability};

const MESSAGE_ACK: u8 = 0x02;
const MESSAGE_OPEN: u8 = 0x03;
const OPEN_HEADER_LEN: usize = 12;
const UNORDERED: u8 = 0x80;

/// What DATA_CHANNEL_ACK looks like on the wire.
pub(super) const ACK: [u8; 1] = [MESSAGE_ACK];

/// A control message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ControlMessage {
    Open(ChannelParameters),
    Ack,
}

/// Reads a control message; nothing when it is malformed.
pub(super) fn parse(bytes: &[u8]) -> Option<ControlMessage> {
    match *bytes.first()? {
        MESSAGE_ACK => Some(ControlMessage::Ack),
        MESSAGE_OPEN => parse_open(bytes).map(ControlMessage::Open),
        _ => None,
    }
}

/// RFC 8832 section 5.1.
fn parse_open(bytes: &[u8]) -> Option<ChannelParameters> {
    let header: &[u8; OPEN_HEADER_LEN] = bytes.first_chunk()?;
    let kind = header[1];
    let parameter = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    let label_len = usize::from(u16::from_be_bytes([header[8], header[9]]));
    let protocol_len = usize::from(u16::from_be_bytes([header[10], header[11]]));
    let label = bytes.get(OPEN_HEADER_LEN..OPEN_HEADER_LEN + label_len)?;
    let protocol =
        bytes.get(OPEN_HEADER_LEN + label_len..OPEN_HEADER_LEN + label_len + protocol_len)?;
    let reliability = match kind & !UNORDERED {
        0 => Reliability::Reliable,
        1 => Reliability::MaxRetransmits(u16::try_from(parameter).unwrap_or(u16::MAX)),
        2 => Reliability::MaxLifetimeMs(parameter),
        _ => return None,
    };
    Some(ChannelParameters {
        label: String::from_utf8(label.to_vec()).ok()?,
        protocol: String::from_utf8(protocol.to_vec()).ok()?,
        ordered: kind & UNORDERED == 0,
        reliability,
        negotiated: None,
    })
}

/// Writes DATA_CHANNEL_OPEN with normal priority (RFC 8831 section 6.4).
pub(super) fn write_open(parameters: &ChannelParameters) -> Vec<u8> {
    let (kind, parameter) = match parameters.reliability {
        Reliability::Reliable => (0, 0),
        Reliability::MaxRetransmits(count) => (1, u32::from(count)),
        Reliability::MaxLifetimeMs(lifetime) => (2, lifetime),
    };
    let kind = if parameters.ordered {
        kind
    } else {
        kind | UNORDERED
    };
    let mut bytes =
        Vec::with_capacity(OPEN_HEADER_LEN + parameters.label.len() + parameters.protocol.len());
    bytes.extend_from_slice(&[MESSAGE_OPEN, kind, 1, 0]);
    bytes.extend_from_slice(&parameter.to_be_bytes());
    bytes.extend_from_slice(&(parameters.label.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&(parameters.protocol.len() as u16).to_be_bytes());
    bytes.extend_from_slice(parameters.label.as_bytes());
    bytes.extend_from_slice(parameters.protocol.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_message_is_read_back() {
        for (ordered, reliability) in [
            (true, Reliability::Reliable),
            (false, Reliability::Reliable),
            (false, Reliability::MaxRetransmits(0)),
            (true, Reliability::MaxLifetimeMs(250)),
        ] {
            let parameters = ChannelParameters {
                label: "größe".to_owned(),
                protocol: "p".to_owned(),
                ordered,
                reliability,
                negotiated: None,
            };
            assert_eq!(
                parse(&write_open(&parameters)),
                Some(ControlMessage::Open(parameters))
            );
        }
        assert_eq!(parse(&ACK), Some(ControlMessage::Ack));
    }

    #[test]
    fn truncated_and_unknown_messages_are_refused() {
        let whole = write_open(&ChannelParameters::reliable("label"));
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), None);
        }
        let mut unknown_kind = whole.clone();
        unknown_kind[1] = 7;
        assert_eq!(parse(&unknown_kind), None);
        let mut not_text = whole;
        not_text[OPEN_HEADER_LEN] = 0xff;
        assert_eq!(parse(&not_text), None);
        assert_eq!(parse(&[9]), None);
    }
}
