//! RTP and RTCP on one port (RFC 5761 section 4).

use std::ops::RangeInclusive;

/// The second byte of an RTCP packet that shares a port with RTP (RFC 5761 section 4): RTP payload
/// types 64-95 with the marker set would read the same and are not to be used.
const RTCP_TYPES: RangeInclusive<u8> = 192..=223;

/// Whether the datagram is RTP when RTP and RTCP share a port. Looks at no more than its first
/// two bytes and its length.
#[inline]
pub fn is_rtp(data: &[u8]) -> bool {
    data.len() >= crate::FIXED_HEADER_LEN && data[0] >> 6 == 2 && !RTCP_TYPES.contains(&data[1])
}

/// Whether the datagram is RTCP when RTP and RTCP share a port.
#[inline]
pub fn is_rtcp(data: &[u8]) -> bool {
    data.len() >= 4 && data[0] >> 6 == 2 && RTCP_TYPES.contains(&data[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(second: u8) -> [u8; 12] {
        let mut data = [0; 12];
        data[0] = 0x80;
        data[1] = second;
        data
    }

    #[test]
    fn every_second_byte_is_exactly_one_of_the_two() {
        for second in 0..=255 {
            let data = datagram(second);
            assert_ne!(is_rtp(&data), is_rtcp(&data), "{second}");
            assert_eq!(is_rtcp(&data), (192..=223).contains(&second), "{second}");
        }
    }

    #[test]
    fn dtls_stun_and_short_datagrams_are_neither() {
        for first in (0..=127).chain(192..=255) {
            let mut data = datagram(96);
            data[0] = first;
            assert!(!is_rtp(&data) && !is_rtcp(&data), "{first}");
        }
        assert!(!is_rtp(&datagram(96)[..11]));
        assert!(!is_rtcp(&datagram(200)[..3]));
        assert!(!is_rtp(&[]) && !is_rtcp(&[]));
    }
}
