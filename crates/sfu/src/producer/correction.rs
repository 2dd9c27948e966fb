//! Error correction inside a video stream (RFC 5109, wrapped after RFC 2198): kept where a consumer
//! can use it, else taken out of the numbering.
//!
//! A correction packet is the sum of whole media packets, header extensions included, and names them
//! by number. It is of use only to who gets the same packets under numbers that all moved by the
//! same step: no layer left out, nothing rewritten. So it goes to pipes, and to consumers without
//! header extensions of producers without any, whose payload types are the producer's. Browsers are
//! none of those, and are not offered it.

use super::numbering::{Order, Place};
use super::stream::{Arrival, Stream};
use crate::history::Facts;

/// Where a correction packet names the first packet it protects (RFC 5109 section 7.3).
const BASE_AT: usize = 2;
/// Its header and the header of its first level, with the short mask.
const SHORTEST: usize = 14;

/// The number of the first packet that a correction packet protects.
pub(crate) fn base(correction: &[u8]) -> Option<u16> {
    if correction.len() < SHORTEST {
        return None;
    }
    let base = correction.get(BASE_AT..BASE_AT + 2)?;
    Some(u16::from_be_bytes([base[0], base[1]]))
}

/// Names another first packet.
pub(crate) fn set_base(correction: &mut [u8], base: u16) {
    if let Some(at) = correction.get_mut(BASE_AT..BASE_AT + 2) {
        at.copy_from_slice(&base.to_be_bytes());
    }
}

impl Stream {
    /// Receives a correction packet; says whether there is something to forward.
    pub(super) fn receive_correction(
        &mut self,
        arrival: &Arrival<'_>,
        place: &Place,
        number: u64,
        timestamp: u32,
    ) -> bool {
        self.counters.fec_packets_received += 1;
        let facts = Facts {
            frame: self.newest_frame(),
            ..Facts::default()
        };
        let base = self.corrected_base(arrival, place, number);
        if let Some(base) = base.filter(|_| self.forwards_correction) {
            self.append(arrival, number, timestamp, facts);
            if let Some(entry) = self.history.find_mut(number) {
                set_base(entry.media_mut(), base);
            }
            return true;
        }
        self.counters.fec_packets_discarded += 1;
        if place.order != Order::Late {
            self.numbering.swallow(place.raw);
            return false;
        }
        // Newer numbers are out: an empty packet fills the hole, or it would be asked for in vain.
        let head = self.history.head();
        let media = head.checked_sub(1).and_then(|at| self.history.get(at));
        let filling = Arrival {
            payload: &[],
            red: None,
            payload_type: media.map_or(arrival.payload_type, crate::history::Entry::media_type),
            ..*arrival
        };
        self.append(&filling, number, timestamp, facts);
        true
    }

    /// The first number it protects, as given out; `None`: numbers were taken out between.
    fn corrected_base(&self, arrival: &Arrival<'_>, place: &Place, number: u64) -> Option<u16> {
        let base = base(arrival.red?.primary().data)?;
        let back = u64::from((place.raw as u16).wrapping_sub(base));
        let raw = place.raw.checked_sub(back)?;
        let closed = self
            .numbering
            .has_place(raw)
            .then(|| self.numbering.closed(raw))?;
        (number - closed == back).then_some(closed as u16)
    }
}
