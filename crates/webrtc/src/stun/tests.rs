use super::*;

/// RFC 5769 section 2.1: request, software "STUN test client", password "VOkJxbRl1RmTxUk/WvJxBt".
const RFC5769_REQUEST: [u8; 108] = [
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73,
    0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff,
    0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09,
    0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14,
    0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49,
    0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf,
];

/// RFC 5769 section 2.2: the IPv4 response to it, mapped address 192.0.2.1:32853.
const RFC5769_RESPONSE: [u8; 80] = [
    0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
    0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
    0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9,
    0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96,
];

fn key() -> IntegrityKey {
    IntegrityKey::new("VOkJxbRl1RmTxUk/WvJxBt")
}

#[test]
fn reads_the_sample_request_of_rfc_5769() {
    let message = StunMessage::parse(&RFC5769_REQUEST).unwrap();
    assert_eq!(message.class, StunClass::Request);
    assert_eq!(message.method, BINDING);
    assert_eq!(message.split_username(), Some(("evtj", "h6vY")));
    assert_eq!(message.priority, Some(0x6e00_01ff));
    assert_eq!(message.controlled, Some(0x932f_f9b1_5126_3b36));
    assert!(message.has_fingerprint);
    assert!(message.verify_integrity(&key()));
    assert!(!message.verify_integrity(&IntegrityKey::new("wrong")));
    assert_eq!(stun_username(&RFC5769_REQUEST), Some(("evtj", "h6vY")));
}

#[test]
fn reads_the_sample_response_of_rfc_5769() {
    let message = StunMessage::parse(&RFC5769_RESPONSE).unwrap();
    assert_eq!(message.class, StunClass::Success);
    assert_eq!(
        message.mapped_address,
        Some("192.0.2.1:32853".parse().unwrap())
    );
    assert!(message.verify_integrity(&key()));
    assert_eq!(stun_username(&RFC5769_RESPONSE), None);
}

#[test]
fn what_is_written_is_read_back() {
    let transaction = *b"abcdefghijkl";
    for address in ["203.0.113.9:4711", "[2001:db8::1:2]:65535"] {
        let address: SocketAddr = address.parse().unwrap();
        let bytes = StunWriter::binding(StunClass::Request, &transaction)
            .username("left:right")
            .priority(7)
            .use_candidate()
            .controlling(9)
            .mapped_address(address)
            .integrity(&key())
            .finish();
        let message = StunMessage::parse(&bytes).unwrap();
        assert_eq!(message.transaction, transaction);
        assert_eq!(message.split_username(), Some(("left", "right")));
        assert_eq!(message.priority, Some(7));
        assert!(message.use_candidate && message.has_fingerprint);
        assert_eq!(message.controlling, Some(9));
        assert_eq!(message.mapped_address, Some(address));
        assert!(message.verify_integrity(&key()));
    }
}

#[test]
fn error_responses_carry_code_and_unknown_attributes() {
    let bytes = StunWriter::binding(StunClass::Error, &[1; 12])
        .error_code(420)
        .unknown_attributes(&[0x7777])
        .finish();
    let message = StunMessage::parse(&bytes).unwrap();
    assert_eq!(
        (message.class, message.error_code),
        (StunClass::Error, Some(420))
    );
    let bytes = StunWriter::binding(StunClass::Request, &[1; 12])
        .attribute(0x7777, &[1])
        .attribute(0x8888, &[])
        .finish();
    assert_eq!(
        StunMessage::parse(&bytes).unwrap().unknown_attributes(),
        &[0x7777]
    );
}

#[test]
fn any_changed_bit_is_noticed() {
    // A changed type of the fingerprint attribute itself makes it an unknown optional one; integrity covers the rest.
    let fingerprint_type = 800..816;
    for bit in (0..RFC5769_REQUEST.len() * 8).filter(|bit| !fingerprint_type.contains(bit)) {
        let mut bytes = RFC5769_REQUEST;
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(
            StunMessage::parse(&bytes).is_err(),
            "bit {bit} went unnoticed"
        );
    }
}

#[test]
fn any_truncation_is_an_error() {
    for length in 0..RFC5769_REQUEST.len() {
        assert!(
            StunMessage::parse(&RFC5769_REQUEST[..length]).is_err(),
            "{length} bytes"
        );
        let _ = stun_username(&RFC5769_REQUEST[..length]);
    }
}

#[test]
fn attributes_behind_integrity_are_ignored() {
    let bytes = StunWriter::binding(StunClass::Request, &[1; 12])
        .username("a:b")
        .integrity(&key())
        .use_candidate()
        .priority(1)
        .finish();
    let message = StunMessage::parse(&bytes).unwrap();
    assert!(!message.use_candidate && message.priority.is_none());
    assert!(message.verify_integrity(&key()));
}

#[test]
fn nothing_may_follow_the_fingerprint() {
    let mut bytes = StunWriter::binding(StunClass::Request, &[1; 12]).finish();
    bytes.extend_from_slice(&[0x80, 0x88, 0, 0]);
    let length = (bytes.len() - HEADER_LEN) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    assert!(matches!(
        StunMessage::parse(&bytes),
        Err(StunError::Fingerprint)
    ));
}
