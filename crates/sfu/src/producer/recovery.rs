//! Lost packets of a stream are put in from the redundancy of those that came.

use roomtone_rtp::{RtpHeader, write_header};

use super::facts::whole_frame;
use super::stream::{Arrival, Stream};
use crate::audio::{Before, Recovered, missing_blocks};

/// The packet that carries the redundancy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carrier {
    /// Its received number without wraps.
    pub(super) raw: u64,
    /// Its timestamp as it is given out.
    pub(super) timestamp: u32,
}

impl Stream {
    /// Puts what is missing and repeated in this packet into the history, in front of the packet:
    /// consumers find it in its order where nothing newer has come, else as a late packet.
    pub(super) fn recover(&mut self, arrival: &Arrival<'_>, carrier: Carrier) {
        let Some(red) = &arrival.red else { return };
        let found = missing_blocks(red, arrival.codec, carrier.timestamp, |back| {
            self.before(carrier.raw, back)
        });
        for recovered in found.into_iter().flatten() {
            self.put_in(arrival, carrier.raw - recovered.back, &recovered);
        }
    }

    /// What is known of the packet so many places before a received number.
    fn before(&self, raw: u64, back: u64) -> Before {
        let Some(raw) = raw
            .checked_sub(back)
            .filter(|raw| self.numbering.has_place(*raw))
        else {
            return Before::Nowhere;
        };
        let number = self.numbering.closed(raw);
        if let Some(entry) = self
            .history
            .find(number)
            .and_then(|at| self.history.get(at))
        {
            return Before::Known(entry.timestamp);
        }
        let highest = self.numbering.highest().unwrap_or_default();
        if highest - raw >= self.history.capacity() || !self.reception.covers(raw) {
            return Before::Nowhere;
        }
        Before::Missing
    }

    fn put_in(&mut self, arrival: &Arrival<'_>, raw: u64, recovered: &Recovered<'_>) {
        let number = self.numbering.closed(raw);
        let payload_type = arrival
            .red
            .map_or(arrival.payload_type, |red| red.primary().payload_type);
        let header = RtpHeader {
            marker: false,
            payload_type,
            sequence: number as u16,
            timestamp: recovered.timestamp,
            ssrc: self.ssrc.unwrap_or_default(),
        };
        let mut bytes = [0; roomtone_rtp::FIXED_HEADER_LEN];
        write_header(&mut bytes, &header);
        self.history.append(number, |entry| {
            entry.timestamp = recovered.timestamp;
            entry.arrival_us = arrival.now_us;
            entry.payload_type = payload_type;
            entry.marker = false;
            entry.facts = whole_frame();
            entry.recovered = true;
            entry.set_data(&bytes, recovered.data);
        });
        self.nacks.on_late(raw);
        self.counters.packets_recovered += 1;
    }
}
