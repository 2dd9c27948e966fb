//! How a consumer writes a packet.

use roomtone_rtp::red::set_block_types;
use roomtone_rtp::{RtpHeader, set_sequence, set_ssrc};

use super::{Chosen, Consumer, Stamps};
use crate::audio::{Shape, write_redundant};
use crate::history::{Entry, History};
use crate::producer::{base, set_base};

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) len: usize,
    pub(crate) payload: usize,
}

impl Consumer {
    /// The length of the packet as [`Self::write`] would write it, in the usual case.
    pub(crate) fn predict(&self, entry: &Entry) -> usize {
        if self.verbatim {
            return entry.data().len();
        }
        // Video that wraps something is unpacked.
        self.header.predict(entry) + entry.media().len()
    }

    /// Writes a chosen packet; `None`: it does not fit.
    #[inline]
    pub(crate) fn write(
        &mut self,
        history: &History,
        entry: &Entry,
        chosen: &Chosen,
        stamps: Stamps,
        out: &mut [u8],
    ) -> Option<Sent> {
        if self.verbatim {
            return self.write_verbatim(entry, chosen, out);
        }
        let stamps = Stamps {
            frame_shift: chosen.numbers.pictures.frame,
            ..stamps
        };
        if chosen.resend && self.rtx.is_some() {
            return self.write_rtx(entry, chosen, stamps, out);
        }
        let header = RtpHeader {
            marker: chosen.marker,
            payload_type: chosen.payload_type,
            sequence: chosen.numbers.seq as u16,
            timestamp: chosen.numbers.timestamp,
            ssrc: chosen.ssrc,
        };
        let at = self.header.write(out, &header, entry, stamps)?;
        let sent = if chosen.shape == Shape::Whole {
            finish(entry, chosen, out, at)?
        } else {
            self.finish_shaped(history, entry, chosen, out, at)?
        };
        if chosen.resend {
            self.count_resend(sent);
        } else {
            self.report_packets = self.report_packets.wrapping_add(1);
            self.report_bytes = self.report_bytes.wrapping_add(sent.payload as u32);
        }
        self.count(sent);
        Some(sent)
    }

    /// Pads a packet that is shorter than `even` by `most` bytes at most; gives its length. One that is padded
    /// already, or whose payload is empty, stays as it is.
    #[inline]
    pub(crate) fn even_out(&mut self, out: &mut [u8], len: usize, even: usize, most: u8) -> usize {
        const PADDED: u8 = 0x20;
        let missing = even.saturating_sub(len);
        if missing == 0 || missing > usize::from(most) || even > out.len() {
            return len;
        }
        if self.verbatim || out[0] & PADDED != 0 {
            return len;
        }
        out[0] |= PADDED;
        out[len..even].fill(0);
        out[even - 1] = missing as u8;
        self.counters.header_bytes_sent += missing as u64;
        even
    }

    fn write_verbatim(&mut self, entry: &Entry, chosen: &Chosen, out: &mut [u8]) -> Option<Sent> {
        let data = entry.data();
        out.get_mut(..data.len())?.copy_from_slice(data);
        set_ssrc(out, chosen.ssrc);
        set_sequence(out, chosen.numbers.seq as u16);
        let sent = Sent {
            len: data.len(),
            payload: entry.payload().len(),
        };
        if chosen.resend {
            self.count_resend(sent);
        }
        self.report_packets = self.report_packets.wrapping_add(1);
        self.report_bytes = self.report_bytes.wrapping_add(sent.payload as u32);
        self.count(sent);
        Some(sent)
    }

    /// RFC 4588 section 4: own SSRC and numbering, the original number in front of the payload.
    fn write_rtx(
        &mut self,
        entry: &Entry,
        chosen: &Chosen,
        stamps: Stamps,
        out: &mut [u8],
    ) -> Option<Sent> {
        let rtx = self.rtx.as_mut()?;
        let pair = rtx
            .payload_types
            .iter()
            .find(|(media, _)| *media == chosen.payload_type);
        let Some((_, payload_type)) = pair else {
            return self.write_plain_resend(entry, chosen, stamps, out);
        };
        let header = RtpHeader {
            marker: chosen.marker,
            payload_type: *payload_type,
            sequence: rtx.next_sequence,
            timestamp: chosen.numbers.timestamp,
            ssrc: rtx.ssrc,
        };
        let at = self.header.write(out, &header, entry, stamps)?;
        let original = (chosen.numbers.seq as u16).to_be_bytes();
        out.get_mut(at..at + 2)?.copy_from_slice(&original);
        let sent = finish(entry, chosen, out, at + 2)?;
        rtx.next_sequence = rtx.next_sequence.wrapping_add(1);
        self.count_resend(sent);
        self.count(sent);
        Some(sent)
    }

    /// A payload type without retransmission format is sent again as it was.
    fn write_plain_resend(
        &mut self,
        entry: &Entry,
        chosen: &Chosen,
        stamps: Stamps,
        out: &mut [u8],
    ) -> Option<Sent> {
        let header = RtpHeader {
            marker: chosen.marker,
            payload_type: chosen.payload_type,
            sequence: chosen.numbers.seq as u16,
            timestamp: chosen.numbers.timestamp,
            ssrc: chosen.ssrc,
        };
        let at = self.header.write(out, &header, entry, stamps)?;
        let sent = finish(entry, chosen, out, at)?;
        self.count_resend(sent);
        self.count(sent);
        Some(sent)
    }

    /// Writes the payload of a packet that is not sent as it came.
    fn finish_shaped(
        &mut self,
        history: &History,
        entry: &Entry,
        chosen: &Chosen,
        out: &mut [u8],
        at: usize,
    ) -> Option<Sent> {
        match chosen.shape {
            Shape::Whole | Shape::Renamed(_) | Shape::Correction | Shape::Nothing => {}
            Shape::Primary => self.counters.packets_unpacked += 1,
            Shape::Redundant(asked) => {
                let first = self.rewriting.first_of(entry);
                let space = out.get_mut(at..)?;
                let payload = write_redundant(space, history, entry, first, asked)?;
                self.counters.packets_made_redundant += 1;
                let len = at + payload;
                return Some(Sent { len, payload });
            }
        }
        finish(entry, chosen, out, at)
    }

    #[inline]
    fn count(&mut self, sent: Sent) {
        self.counters.packets_sent += 1;
        self.counters.bytes_sent += sent.payload as u64;
        self.counters.header_bytes_sent += (sent.len - sent.payload) as u64;
    }

    fn count_resend(&mut self, sent: Sent) {
        self.counters.retransmitted_packets_sent += 1;
        self.counters.retransmitted_bytes_sent += sent.payload as u64;
    }
}

/// Copies the payload behind the header and corrects the running numbers inside it.
#[inline]
fn finish(entry: &Entry, chosen: &Chosen, out: &mut [u8], at: usize) -> Option<Sent> {
    let payload = match chosen.shape {
        Shape::Primary => entry.media(),
        Shape::Nothing => &[],
        _ => entry.payload(),
    };
    let len = at + payload.len();
    let written = out.get_mut(at..len)?;
    written.copy_from_slice(payload);
    match chosen.shape {
        Shape::Renamed(payload_type) => set_block_types(written, payload_type),
        Shape::Correction => move_base(entry, chosen, written),
        _ => {}
    }
    let shift = chosen.numbers.pictures;
    if (shift.picture_id != 0 || shift.tl0 != 0) && !written.is_empty() {
        shift_pictures(entry, chosen, written);
    }
    Some(Sent {
        len,
        payload: payload.len(),
    })
}

/// What correction protects is named by the numbers it went out with.
fn move_base(entry: &Entry, chosen: &Chosen, written: &mut [u8]) {
    let media = written.len() - entry.media().len();
    if let Some(first) = base(&written[media..]) {
        let moved = (chosen.numbers.seq as u16).wrapping_sub(entry.seq as u16);
        set_base(&mut written[media..], first.wrapping_add(moved));
    }
}

#[cold]
fn shift_pictures(entry: &Entry, chosen: &Chosen, payload: &mut [u8]) {
    let picture = &entry.facts.picture;
    let shift = chosen.numbers.pictures;
    let at = usize::from(picture.picture_id_at);
    if at != 0 {
        let id = picture.picture_id.wrapping_add(shift.picture_id);
        if picture.long {
            payload[at..at + 2].copy_from_slice(&(id | 0x8000).to_be_bytes());
        } else {
            payload[at] = (id & 0x7f) as u8;
        }
    }
    let at = usize::from(picture.tl0_at);
    if at != 0 {
        payload[at] = picture.tl0.wrapping_add(shift.tl0);
    }
}
