//! Invariant: any bytes are refused or read as a packet whose parts lie side by side and fill it, and a
//! header written from what was read reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_rtp::{RtpPacket, header_len, strip_padding, write_header};

fuzz_target!(|data: &[u8]| {
    let Ok(packet) = RtpPacket::parse(data) else {
        return;
    };
    assert_eq!(header_len(data), Ok(packet.header_len()));
    let parts = packet.header_len() + packet.payload().len() + packet.padding_len();
    assert_eq!(parts, data.len());
    assert_eq!(packet.csrcs().count(), usize::from(data[0] & 0x0f));
    for (_, value) in packet.extensions() {
        assert!(
            packet
                .extension_block()
                .as_ptr_range()
                .contains(&value.as_ptr())
                || value.is_empty()
        );
    }
    let mut header = [0; 12];
    write_header(&mut header, &packet.header());
    let again = RtpPacket::parse(&header).expect("a written header is a packet");
    assert_eq!(again.header(), packet.header());
    let mut copy = data.to_vec();
    let len = strip_padding(&mut copy).expect("the packet was read before");
    let stripped = RtpPacket::parse(&copy[..len]).expect("a stripped packet is a packet");
    assert_eq!(
        (stripped.payload(), stripped.padding_len()),
        (packet.payload(), 0)
    );
});
