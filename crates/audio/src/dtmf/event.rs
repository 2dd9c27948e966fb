//! The payload of a telephone event (RFC 4733 section 2.3).

/// Bytes of one event.
pub const EVENT_LEN: usize = 4;

/// One report of an event. Durations count the RTP clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPayload {
    /// The event's code; digits are 0 to 15.
    pub event: u8,
    /// Whether the event has ended.
    pub end: bool,
    /// The tone's power below full scale, 0 to 63 dBm0.
    pub volume: u8,
    /// How long it has lasted, from the packet's timestamp on.
    pub duration: u16,
}

impl EventPayload {
    /// Reads the first event of a payload; `None` where it is too short. (More than one event in a
    /// payload was RFC 2198's way of redundancy, which nobody sends.)
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &[event, flags, high, low] = payload.first_chunk::<EVENT_LEN>()?;
        Some(Self {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// The payload's bytes. The reserved bit is 0.
    pub const fn to_bytes(self) -> [u8; EVENT_LEN] {
        let [high, low] = self.duration.to_be_bytes();
        let end = if self.end { 0x80 } else { 0 };
        [self.event, end | (self.volume & 0x3f), high, low]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_rfc_4733() {
        // Section 5.1's example: the digit 9, volume 7, 1,600 units so far and at its end.
        let payload = EventPayload {
            event: 9,
            end: true,
            volume: 7,
            duration: 1_600,
        };
        assert_eq!(payload.to_bytes(), [9, 0x87, 0x06, 0x40]);
        assert_eq!(EventPayload::parse(&payload.to_bytes()), Some(payload));
    }

    #[test]
    fn the_reserved_bit_is_ignored_and_short_payloads_are_none() {
        let parsed = EventPayload::parse(&[1, 0xff, 0, 160, 9, 9]).unwrap();
        assert_eq!((parsed.volume, parsed.end), (63, true));
        assert_eq!(EventPayload::parse(&[1, 2, 3]), None);
    }
}
