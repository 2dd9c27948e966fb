//! Transport packets (ITU-T H.222.0 section 2.4.3).

/// Bytes of a packet.
pub const PACKET_BYTES: usize = 188;

/// The first byte of each packet.
pub(crate) const SYNC: u8 = 0x47;

/// Which stream of the multiplex a packet belongs to: 13 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(u16);

impl Pid {
    /// Where the program association table is.
    pub const PAT: Self = Self(0);
    /// Packets that only fill.
    pub const NULL: Self = Self(0x1fff);

    /// From a number; the upper three bits are left out.
    pub const fn new(number: u16) -> Self {
        Self(number & 0x1fff)
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// One packet, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    pub pid: Pid,
    /// Whether a PES packet or a section begins in it.
    pub unit_start: bool,
    /// Whether somebody on the way found it damaged.
    pub transport_error: bool,
    pub scrambled: bool,
    /// Continuity counter, four bits; rises with each packet that has a payload.
    pub counter: u8,
    pub has_payload: bool,
    pub discontinuity: bool,
    /// Program clock reference, in ticks of 27 MHz.
    pub pcr: Option<u64>,
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Read one; none where its adaptation field is longer than the packet or its kind is reserved.
    #[inline]
    pub(crate) fn parse(bytes: &'a [u8; PACKET_BYTES]) -> Option<Self> {
        let mut packet = Self {
            pid: Pid::new(u16::from_be_bytes([bytes[1], bytes[2]])),
            unit_start: bytes[1] & 0x40 != 0,
            transport_error: bytes[1] & 0x80 != 0,
            scrambled: bytes[3] & 0xc0 != 0,
            counter: bytes[3] & 0x0f,
            has_payload: bytes[3] & 0x10 != 0,
            discontinuity: false,
            pcr: None,
            payload: &[],
        };
        let mut begin = 4;
        if bytes[3] & 0x20 != 0 {
            let field = bytes.get(5..5 + bytes[4] as usize)?;
            packet.read_adaptation(field);
            begin = 5 + field.len();
        } else if !packet.has_payload {
            return None;
        }
        if packet.has_payload {
            packet.payload = &bytes[begin..];
        }
        Some(packet)
    }

    fn read_adaptation(&mut self, field: &[u8]) {
        let Some(&flags) = field.first() else { return };
        self.discontinuity = flags & 0x80 != 0;
        if flags & 0x10 != 0
            && let Some(pcr) = field.get(1..7)
        {
            self.pcr = Some(read_pcr(pcr));
        }
    }
}

/// 33 bits of 90 kHz, six reserved bits, nine bits of 27 MHz.
fn read_pcr(bytes: &[u8]) -> u64 {
    let all = bytes
        .iter()
        .fold(0, |all, &byte| all << 8 | u64::from(byte));
    (all >> 15) * 300 + (all & 0x1ff) % 300
}

/// The six bytes of a clock reference.
pub(crate) fn write_pcr(pcr: u64) -> [u8; 6] {
    let base = (pcr / 300) & ((1 << 33) - 1);
    let all = (base << 15 | 0x3f << 9 | (pcr % 300)).to_be_bytes();
    [all[2], all[3], all[4], all[5], all[6], all[7]]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(head: &[u8]) -> [u8; PACKET_BYTES] {
        let mut bytes = [0xff; PACKET_BYTES];
        bytes[..head.len()].copy_from_slice(head);
        bytes
    }

    #[test]
    fn a_packet_with_payload_alone_carries_184_bytes() {
        let bytes = packet(&[SYNC, 0x41, 0x00, 0x17, 1, 2]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.pid, packet.counter), (Pid::new(0x100), 7));
        assert!(packet.unit_start && packet.has_payload && !packet.scrambled);
        assert_eq!(packet.payload.len(), 184);
        assert_eq!(packet.payload[..2], [1, 2]);
    }

    #[test]
    fn a_clock_reference_is_read_as_it_was_written() {
        for pcr in [0, 299, 300, 27_000_000, (1 << 33) * 300 - 1] {
            let head = [&[SYNC, 1, 0, 0x30, 7, 0x90][..], &write_pcr(pcr), &[9]].concat();
            let bytes = packet(&head);
            let packet = Packet::parse(&bytes).unwrap();
            assert_eq!(packet.pcr, Some(pcr));
            assert!(packet.discontinuity);
            assert_eq!((packet.payload[0], packet.payload.len()), (9, 176));
        }
    }

    #[test]
    fn a_field_longer_than_its_packet_is_refused() {
        assert!(Packet::parse(&packet(&[SYNC, 0, 0, 0x30, 184])).is_none());
        assert!(
            Packet::parse(&packet(&[SYNC, 0, 0, 0x00])).is_none(),
            "reserved"
        );
        let full = packet(&[SYNC, 0, 0, 0x20, 183, 0]);
        assert!(Packet::parse(&full).unwrap().payload.is_empty());
    }
}
