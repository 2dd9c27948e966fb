//! The packets of one stream in the order of their arrival, for forwarding and for NACKs.
//!
//! One log serves all consumers of a stream: a consumer is a position in it. The log is a ring of
//! packet buffers that are used again; it grows packet by packet up to its capacity. A second
//! small table finds packets by sequence number.

use roomtone_rtp::ExtensionKind;

use crate::router::Fetch;

/// Extension values remembered for one packet; a packet with more loses the last ones.
const MAX_EXTENSIONS: usize = 8;
/// Buffers grow in steps, so that packets of slightly different sizes do not regrow them.
const BUFFER_STEP: usize = 128;

/// Where one extension value lies in the stored packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExtensionAt {
    pub(crate) kind: ExtensionKind,
    pub(crate) len: u8,
    pub(crate) offset: u16,
}

/// What the payload descriptor said, as far as forwarding needs it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// A consumer may start here: first packet of a keyframe, or a codec without keyframes.
    pub(crate) entry_point: bool,
    pub(crate) start_of_frame: bool,
    /// The last packet of a picture with all its spatial layers.
    pub(crate) end_of_frame: bool,
    /// The last packet of a frame, which is one spatial layer of a picture.
    pub(crate) end_of_layer: bool,
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    /// The frame it belongs to, by its number in the stream's frames.
    pub(crate) frame: u32,
    /// Where the payload carries numbers that must stay continuous.
    pub(crate) picture: PictureAt,
}

/// Where a VP8 or VP9 payload descriptor carries its running numbers (RFC 7741 section 4.2, RFC 9628
/// section 4.2), as offsets into the payload; 0: it does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PictureAt {
    pub(crate) picture_id_at: u8,
    /// Whether the picture id has 15 bits.
    pub(crate) long: bool,
    pub(crate) tl0_at: u8,
    pub(crate) picture_id: u16,
    pub(crate) tl0: u8,
    /// Whether the low half of the frame's number is told by a dependency descriptor.
    pub(crate) described: bool,
    /// Whether picture ids close up over pictures left out. Those of VP9 must not: references are
    /// told as distances between them.
    pub(crate) closes: bool,
}

/// The newest packet inside a redundant payload (RFC 2198).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inside {
    pub(crate) payload_type: u8,
    /// Whether all blocks are of its payload type.
    pub(crate) uniform: bool,
    /// Whether it is error correction, which protects media packets.
    pub(crate) correction: bool,
    /// Where its data begins in the payload, to the end of which it goes.
    pub(crate) offset: u16,
}

/// One packet, parsed once.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The sequence number after padding and jumps were closed up; does not wrap.
    pub(crate) seq: u64,
    /// The timestamp after jumps were closed up.
    pub(crate) timestamp: u32,
    pub(crate) arrival_us: u64,
    pub(crate) payload_offset: u16,
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) facts: Facts,
    /// What it wraps, where it is a redundant payload.
    pub(crate) inside: Option<Inside>,
    /// Found again in the redundancy of another packet; its own has not come.
    pub(crate) recovered: bool,
    extension_count: u8,
    extensions: [ExtensionAt; MAX_EXTENSIONS],
    data: Vec<u8>,
}

impl Entry {
    pub(crate) fn empty() -> Self {
        let none = ExtensionAt {
            kind: ExtensionKind::Mid,
            len: 0,
            offset: 0,
        };
        Self {
            seq: 0,
            timestamp: 0,
            arrival_us: 0,
            payload_offset: 0,
            payload_type: 0,
            marker: false,
            facts: Facts::default(),
            inside: None,
            recovered: false,
            extension_count: 0,
            extensions: [none; MAX_EXTENSIONS],
            data: Vec::new(),
        }
    }

    /// The whole packet without padding.
    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    /// The payload.
    #[inline]
    pub(crate) fn payload(&self) -> &[u8] {
        &self.data[usize::from(self.payload_offset)..]
    }

    /// The medium itself: the payload, or what is newest in a redundant one.
    #[inline]
    pub(crate) fn media(&self) -> &[u8] {
        let at = self.inside.map_or(0, |inside| inside.offset);
        &self.payload()[usize::from(at)..]
    }

    /// The same, to be corrected while the entry is being filled.
    pub(crate) fn media_mut(&mut self) -> &mut [u8] {
        let at = self.payload_offset + self.inside.map_or(0, |inside| inside.offset);
        &mut self.data[usize::from(at)..]
    }

    /// The payload type of that.
    pub(crate) fn media_type(&self) -> u8 {
        self.inside
            .map_or(self.payload_type, |inside| inside.payload_type)
    }

    /// The extension values that a consumer may want.
    #[inline]
    pub(crate) fn extensions(&self) -> &[ExtensionAt] {
        &self.extensions[..usize::from(self.extension_count)]
    }

    /// The bytes of one of them.
    #[inline]
    pub(crate) fn extension_value(&self, at: ExtensionAt) -> &[u8] {
        let start = usize::from(at.offset);
        &self.data[start..start + usize::from(at.len)]
    }

    /// Remembers an extension value; says whether there was room.
    pub(crate) fn add_extension(&mut self, at: ExtensionAt) -> bool {
        let Some(slot) = self.extensions.get_mut(usize::from(self.extension_count)) else {
            return false;
        };
        *slot = at;
        self.extension_count += 1;
        true
    }

    /// Takes over the bytes of a packet whose payload starts at `payload_offset`.
    pub(crate) fn set_data(&mut self, header: &[u8], payload: &[u8]) {
        let len = header.len() + payload.len();
        self.data.clear();
        if self.data.capacity() < len {
            self.data.reserve_exact(len.next_multiple_of(BUFFER_STEP));
        }
        self.data.extend_from_slice(header);
        self.data.extend_from_slice(payload);
        self.payload_offset = header.len() as u16;
    }

    /// Clears the padding bit of the stored header.
    pub(crate) fn clear_padding_bit(&mut self) {
        self.data[0] &= !0x20;
    }

    /// The stored header, to be corrected while the entry is being filled.
    pub(crate) fn header_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }
}

/// The log of one stream.
#[derive(Debug)]
pub(crate) struct History {
    entries: Vec<Entry>,
    /// Low half of the position of a sequence number, by its low bits. Checked against the entry.
    index: Vec<u32>,
    mask: u64,
    head: u64,
    bytes: usize,
}

impl History {
    /// An empty log of at most `capacity` packets, rounded up to a power of two.
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(16, 1 << 16).next_power_of_two();
        Self {
            entries: Vec::new(),
            index: vec![0; capacity],
            mask: capacity as u64 - 1,
            head: 0,
            bytes: 0,
        }
    }

    /// The position that the next packet gets.
    #[inline]
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// The position of the oldest packet still there.
    #[inline]
    pub(crate) fn tail(&self) -> u64 {
        self.head - self.entries.len() as u64
    }

    /// Packets it can hold.
    pub(crate) fn capacity(&self) -> u64 {
        self.mask + 1
    }

    /// Packets held.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes held by buffers.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The packet at a position, while it is there.
    #[inline]
    pub(crate) fn get(&self, position: u64) -> Option<&Entry> {
        if position >= self.head || position < self.tail() {
            return None;
        }
        self.entries.get((position & self.mask) as usize)
    }

    /// The position of a sequence number, while its packet is there.
    #[inline]
    pub(crate) fn find(&self, seq: u64) -> Option<u64> {
        let low = self.index[(seq & self.mask) as usize];
        let back = u64::from((self.head as u32).wrapping_sub(low));
        let position = self.head.checked_sub(back)?;
        self.get(position)
            .filter(|entry| entry.seq == seq)
            .map(|_| position)
    }

    /// The packet of a sequence number, to be corrected.
    pub(crate) fn find_mut(&mut self, seq: u64) -> Option<&mut Entry> {
        let position = self.find(seq)?;
        self.entries.get_mut((position & self.mask) as usize)
    }

    /// Fetches where the next packet is kept.
    #[inline]
    pub(crate) fn fetch_next(&self, with: &impl Fetch) {
        if let Some(entry) = self.entries.get((self.head & self.mask) as usize) {
            with.fetch(entry);
        }
    }

    /// The first bytes of the buffer that the next packet is kept in, where there are so many.
    #[inline]
    pub(crate) fn next_data<const N: usize>(&self) -> Option<&[u8; N]> {
        let entry = self.entries.get((self.head & self.mask) as usize)?;
        entry.data.first_chunk()
    }

    /// Appends a packet; `fill` writes it into a buffer that is used again.
    pub(crate) fn append(&mut self, seq: u64, fill: impl FnOnce(&mut Entry)) -> u64 {
        let position = self.head;
        let slot = (position & self.mask) as usize;
        if slot == self.entries.len() {
            self.entries.push(Entry::empty());
        }
        let entry = &mut self.entries[slot];
        let before = entry.data.capacity();
        entry.seq = seq;
        entry.extension_count = 0;
        entry.facts = Facts::default();
        entry.inside = None;
        entry.recovered = false;
        fill(entry);
        self.bytes = self.bytes + entry.data.capacity() - before;
        self.index[(seq & self.mask) as usize] = position as u32;
        self.head += 1;
        position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(history: &mut History, seq: u64) -> u64 {
        history.append(seq, |entry| entry.set_data(&[0x80; 12], &seq.to_be_bytes()))
    }

    #[test]
    fn packets_are_found_by_position_and_by_number_until_they_are_overwritten() {
        let mut history = History::new(16);
        for seq in 100..120 {
            fill(&mut history, seq);
        }
        assert_eq!((history.head(), history.tail(), history.len()), (20, 4, 16));
        assert!(history.get(3).is_none() && history.get(20).is_none());
        assert_eq!(history.get(4).map(|entry| entry.seq), Some(104));
        assert_eq!(history.find(103), None);
        assert_eq!(history.find(104), Some(4));
        assert_eq!(history.find(119), Some(19));
        assert_eq!(history.find(120), None);
        assert_eq!(
            history.get(19).map(Entry::payload),
            Some(&119_u64.to_be_bytes()[..])
        );
    }

    #[test]
    fn arrival_order_and_number_order_are_independent() {
        let mut history = History::new(16);
        for seq in [5, 7, 6, 9] {
            fill(&mut history, seq);
        }
        assert_eq!(
            [5, 6, 7, 8, 9].map(|seq| history.find(seq)),
            [Some(0), Some(2), Some(1), None, Some(3)]
        );
    }

    #[test]
    fn an_empty_log_finds_nothing() {
        let history = History::new(16);
        assert_eq!(history.find(0), None);
        assert!(history.get(0).is_none());
    }

    #[test]
    fn buffers_are_used_again() {
        let mut history = History::new(16);
        for seq in 0..16 {
            fill(&mut history, seq);
        }
        let bytes = history.bytes();
        for seq in 16..200 {
            fill(&mut history, seq);
        }
        assert_eq!(history.bytes(), bytes);
        assert_eq!(bytes, 16 * BUFFER_STEP);
    }
}
