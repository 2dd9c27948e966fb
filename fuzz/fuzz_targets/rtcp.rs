//! Invariant: any bytes end after a finite number of packets and errors, and every packet read writes to
//! bytes that read as the same packet.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roomtone_rtp::rtcp::{RtcpError, RtcpPacket, RtcpWrite, parse_compound};

fuzz_target!(|data: &[u8]| {
    for packet in parse_compound(data).flatten() {
        if let RtcpPacket::TransportFeedback(feedback) = packet {
            assert_eq!(
                feedback.statuses().count(),
                usize::from(feedback.status_count())
            );
        }
        let mut out = vec![0; packet.wire_len()];
        match packet.write(&mut out) {
            Ok(len) => {
                assert_eq!(len, out.len());
                let again: Vec<_> = parse_compound(&out).collect();
                assert_eq!(again, [Ok(packet)]);
            }
            // Padding that is no whole word leaves contents that are none either.
            Err(error) => assert_eq!(error, RtcpError::Length),
        }
    }
});
