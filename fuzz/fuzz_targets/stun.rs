//! Invariant: any datagram parses as STUN or is refused, and what was read of a message is read
//! again from a message written with it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_webrtc::stun::{IntegrityKey, StunMessage, StunWriter};
use roomtone_webrtc::{classify, stun_username};

fuzz_target!(|data: &[u8]| {
    let _ = classify(data);
    let _ = stun_username(data);
    let Ok(message) = StunMessage::parse(data) else {
        return;
    };
    let key = IntegrityKey::new("password");
    let _ = message.verify_integrity(&key);
    let mut writer = StunWriter::binding(message.class, &message.transaction);
    if let Some(username) = message.username {
        writer = writer.username(username);
    }
    if let Some(priority) = message.priority {
        writer = writer.priority(priority);
    }
    if let Some(address) = message.mapped_address {
        writer = writer.mapped_address(address);
    }
    let bytes = writer.integrity(&key).finish();
    if bytes.len() > roomtone_webrtc::stun::MAX_MESSAGE_LEN {
        return;
    }
    let again = StunMessage::parse(&bytes).expect("what we write parses");
    assert!(again.verify_integrity(&key));
    assert_eq!(again.class, message.class);
    assert_eq!(again.transaction, message.transaction);
    assert_eq!(again.username, message.username);
    assert_eq!(again.priority, message.priority);
    assert_eq!(again.mapped_address, message.mapped_address);
});
