//! One RTP stream out of a mixer.

use roomtone_rtp::{RtpHeader, write_header};

use super::NewOutput;
use crate::shard::Batch;

/// Bytes of a fixed RTP header.
const HEADER: usize = 12;

/// Numbers what is sent, and packs it.
pub(super) struct Stream {
    /// The producer it becomes.
    pub(super) id: u64,
    ssrc: u32,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    /// The next packet is the first after silence (RFC 3551 section 4.1).
    marker: bool,
}

impl Stream {
    pub(super) fn new(output: &NewOutput) -> Self {
        Self {
            id: output.output,
            ssrc: output.ssrc,
            payload_type: output.payload_type,
            sequence: 0,
            timestamp: 0,
            marker: true,
        }
    }

    /// Packs a payload; an empty one is silence that is not sent. `step` is how far the timestamp moves on behind it.
    pub(super) fn write(&mut self, payload: &[u8], step: u32, batch: &mut Batch) {
        if payload.is_empty() {
            self.marker = true;
        } else {
            let at = batch.bytes.len();
            batch.bytes.resize(at + HEADER, 0);
            let header = RtpHeader {
                marker: self.marker,
                payload_type: self.payload_type,
                sequence: self.sequence,
                timestamp: self.timestamp,
                ssrc: self.ssrc,
            };
            write_header(&mut batch.bytes[at..], &header);
            batch.bytes.extend_from_slice(payload);
            batch.packets.push(((HEADER + payload.len()) as u32, false));
            self.sequence = self.sequence.wrapping_add(1);
            self.marker = false;
        }
        self.timestamp = self.timestamp.wrapping_add(step);
    }
}
