//! As much of RTP and RTCP as protection needs: where the clear header ends.
//!
//! The full parser of `roomtone_rtp` would read the padding count, which is still encrypted here.

use crate::SrtpError;

/// Fixed part of an RTP header.
const RTP_FIXED: usize = 12;
/// Clear part of an RTCP compound: the first packet's header and sender SSRC.
pub(crate) const RTCP_CLEAR: usize = 8;

/// The clear header of an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RtpClear {
    /// Fixed header, CSRCs and header extension.
    pub(crate) header_len: usize,
    pub(crate) sequence: u16,
    pub(crate) ssrc: u32,
}

fn check_version(packet: &[u8], need: usize) -> Result<(), SrtpError> {
    if packet.len() < need {
        return Err(SrtpError::TooShort {
            len: packet.len(),
            need,
        });
    }
    if packet[0] >> 6 == 2 {
        Ok(())
    } else {
        Err(SrtpError::NotRtp)
    }
}

/// Reads the clear header of an RTP packet (RFC 3550 section 5.1).
pub(crate) fn rtp_clear(packet: &[u8]) -> Result<RtpClear, SrtpError> {
    check_version(packet, RTP_FIXED)?;
    let mut header_len = RTP_FIXED + 4 * usize::from(packet[0] & 0x0f);
    if packet[0] & 0x10 != 0 {
        let need = header_len + 4;
        let Some(length) = packet.get(header_len + 2..need) else {
            return Err(SrtpError::TooShort {
                len: packet.len(),
                need,
            });
        };
        header_len = need + 4 * usize::from(u16::from_be_bytes([length[0], length[1]]));
    }
    if packet.len() < header_len {
        return Err(SrtpError::TooShort {
            len: packet.len(),
            need: header_len,
        });
    }
    Ok(RtpClear {
        header_len,
        sequence: u16::from_be_bytes([packet[2], packet[3]]),
        ssrc: u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]),
    })
}

/// Reads the sender's SSRC of an RTCP compound.
pub(crate) fn rtcp_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    check_version(packet, RTCP_CLEAR)?;
    Ok(u32::from_be_bytes([
        packet[4], packet[5], packet[6], packet[7],
    ]))
}

#[cfg(test)]
mod tests {
    use super::{RtpClear, rtcp_ssrc, rtp_clear};
    use crate::SrtpError;

    fn packet(first: u8, len: usize) -> Vec<u8> {
        let mut packet = vec![0; len];
        packet[0] = first;
        packet[2..4].copy_from_slice(&[0x12, 0x34]);
        packet[8..12].copy_from_slice(&[1, 2, 3, 4]);
        packet
    }

    #[test]
    fn header_spans_csrcs_and_extension() {
        let mut bytes = packet(0x92, 12 + 8 + 4 + 8 + 5);
        bytes[23] = 2;
        let expected = RtpClear {
            header_len: 32,
            sequence: 0x1234,
            ssrc: 0x0102_0304,
        };
        assert_eq!(rtp_clear(&bytes), Ok(expected));
    }

    #[test]
    fn lengths_beyond_the_packet_are_refused() {
        assert!(matches!(
            rtp_clear(&[0x80; 11]),
            Err(SrtpError::TooShort { need: 12, .. })
        ));
        assert!(matches!(
            rtp_clear(&packet(0x8f, 71)),
            Err(SrtpError::TooShort { need: 72, .. })
        ));
        assert!(matches!(
            rtp_clear(&packet(0x90, 15)),
            Err(SrtpError::TooShort { need: 16, .. })
        ));
        let mut long_extension = packet(0x90, 19);
        long_extension[15] = 1;
        assert!(matches!(
            rtp_clear(&long_extension),
            Err(SrtpError::TooShort { need: 20, .. })
        ));
        assert!(matches!(
            rtcp_ssrc(&[0x80; 7]),
            Err(SrtpError::TooShort { .. })
        ));
        assert_eq!(rtcp_ssrc(&[0x40; 8]), Err(SrtpError::NotRtp));
        assert_eq!(rtp_clear(&[0; 12]), Err(SrtpError::NotRtp));
    }
}
