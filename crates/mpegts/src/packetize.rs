//! Packets of a transport stream, written.

use bytes::{BufMut, BytesMut};

use crate::packet::{PACKET_BYTES, Pid, SYNC, write_pcr};

/// Bytes behind the header of a packet.
const CAPACITY: usize = PACKET_BYTES - 4;

/// What the first packet of a unit says beside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Program clock reference, in ticks of 27 MHz.
    pub pcr: Option<u64>,
    /// Decoding may begin here.
    pub random_access: bool,
    /// The clock goes on elsewhere.
    pub discontinuity: bool,
}

/// Writes packets of one PID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub pid: Pid,
    next: u8,
}

impl Line {
    pub(crate) fn new(pid: Pid) -> Self {
        Self { pid, next: 0 }
    }

    /// Write a PES packet, or a part of it, into as many packets as it takes.
    pub(crate) fn write_unit(&mut self, unit: &[u8], marks: Marks, out: &mut BytesMut) {
        let (mut rest, mut marks, mut begins) = (unit, marks, true);
        while !rest.is_empty() {
            let field = adaptation(marks, rest.len());
            let (now, later) = rest.split_at(CAPACITY - field.len());
            self.write_header(begins, !field.is_empty(), true, out);
            out.put_slice(&field);
            out.put_slice(now);
            (rest, marks, begins) = (later, Marks::default(), false);
        }
    }

    /// Write a section that fits one packet, or several.
    pub(crate) fn write_section(&mut self, section: &[u8], out: &mut BytesMut) {
        let mut rest = section;
        let mut begins = true;
        while !rest.is_empty() {
            self.write_header(begins, false, true, out);
            if begins {
                // The section begins at once.
                out.put_u8(0);
            }
            let capacity = CAPACITY - usize::from(begins);
            let (now, later) = rest.split_at(capacity.min(rest.len()));
            out.put_slice(now);
            out.put_bytes(0xff, capacity - now.len());
            (rest, begins) = (later, false);
        }
    }

    /// Write a packet that has nothing but marks.
    pub(crate) fn write_marks(&mut self, marks: Marks, out: &mut BytesMut) {
        self.write_header(false, true, false, out);
        out.put_slice(&adaptation(marks, 0));
    }

    fn write_header(&mut self, begins: bool, adapts: bool, carries: bool, out: &mut BytesMut) {
        // The counter stands still where there is no payload.
        let counter = if carries {
            self.next
        } else {
            self.next.wrapping_sub(1) & 0x0f
        };
        if carries {
            self.next = (self.next + 1) & 0x0f;
        }
        out.put_u8(SYNC);
        out.put_u16(self.pid.number() | if begins { 0x4000 } else { 0 });
        out.put_u8(counter | if adapts { 0x20 } else { 0 } | if carries { 0x10 } else { 0 });
    }
}

/// The adaptation field before a payload of which this much is left: with the marks, and as long as what does not fill the
/// packet.
fn adaptation(marks: Marks, left: usize) -> Vec<u8> {
    let mut field = Vec::new();
    if marks != Marks::default() {
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        field.extend([
            0,
            flag(marks.discontinuity, 0x80)
                | flag(marks.random_access, 0x40)
                | flag(marks.pcr.is_some(), 0x10),
        ]);
        if let Some(pcr) = marks.pcr {
            field.extend(write_pcr(pcr));
        }
    }
    let length = field.len().max(CAPACITY.saturating_sub(left));
    if field.len() < length {
        // A length of 0 is a whole field; a longer one begins with flags.
        if field.is_empty() {
            field.push(0);
        }
        if field.len() == 1 && length > 1 {
            field.push(0);
        }
        field.resize(length, 0xff);
    }
    if let Some(first) = field.first_mut() {
        *first = (length - 1) as u8;
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Packet;

    #[test]
    fn units_of_all_lengths_come_out_as_they_went_in() {
        let marks = Marks {
            pcr: Some(27_000_001),
            random_access: true,
            discontinuity: false,
        };
        for length in 1..600 {
            for marks in [Marks::default(), marks] {
                let unit: Vec<u8> = (0..length).map(|n| n as u8).collect();
                let mut out = BytesMut::new();
                let mut line = Line::new(Pid::new(256));
                line.write_unit(&unit, marks, &mut out);
                let (packets, rest) = out.as_chunks::<PACKET_BYTES>();
                assert!(rest.is_empty());
                let read: Vec<_> = packets
                    .iter()
                    .map(|bytes| Packet::parse(bytes).unwrap())
                    .collect();
                let payload: Vec<u8> = read
                    .iter()
                    .flat_map(|packet| packet.payload)
                    .copied()
                    .collect();
                assert_eq!(payload, unit, "{length}");
                assert_eq!(read[0].pcr, marks.pcr);
                assert!(
                    read.iter()
                        .enumerate()
                        .all(|(n, packet)| packet.counter == n as u8 & 15)
                );
                assert!(
                    read.iter()
                        .enumerate()
                        .all(|(n, packet)| packet.unit_start == (n == 0))
                );
            }
        }
    }

    #[test]
    fn marks_alone_do_not_count() {
        let mut line = Line::new(Pid::new(256));
        let mut out = BytesMut::new();
        line.write_unit(&[1], Marks::default(), &mut out);
        let marks = Marks {
            pcr: Some(300),
            ..Marks::default()
        };
        line.write_marks(marks, &mut out);
        line.write_unit(&[2], Marks::default(), &mut out);
        let counters: Vec<_> = out
            .as_chunks::<PACKET_BYTES>()
            .0
            .iter()
            .map(|bytes| Packet::parse(bytes).unwrap().counter)
            .collect();
        assert_eq!(counters, [0, 0, 1]);
    }
}
