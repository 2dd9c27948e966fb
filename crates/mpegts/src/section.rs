//! Sections out of packets (H.222.0 section 2.4.4).

/// The longest section: three bytes of header and what twelve bits can count.
const MAX_SECTION_BYTES: usize = 3 + 0xfff;
/// What fills a packet behind its last section.
const STUFFING: u8 = 0xff;

/// Puts sections of one stream together. Limits: one section.
#[derive(Debug, Default)]
pub(crate) struct SectionBuffer {
    bytes: Vec<u8>,
    pub incomplete: u64,
}

impl SectionBuffer {
    /// Take the payload of a packet; each whole section is handed to `take`.
    pub(crate) fn push(&mut self, payload: &[u8], unit_start: bool, mut take: impl FnMut(&[u8])) {
        if !unit_start {
            if !self.bytes.is_empty() {
                self.extend(payload, &mut take);
            }
            return;
        }
        let Some((&pointer, rest)) = payload.split_first() else {
            return;
        };
        let Some((tail, fresh)) = rest.split_at_checked(pointer as usize) else {
            return self.lose();
        };
        if !self.bytes.is_empty() {
            self.extend(tail, &mut take);
        }
        self.lose();
        self.extend(fresh, &mut take);
    }

    /// Something is missing: what was begun is given up.
    pub(crate) fn lose(&mut self) {
        if !self.bytes.is_empty() {
            self.incomplete += 1;
            self.bytes.clear();
        }
    }

    fn extend(&mut self, mut bytes: &[u8], take: &mut impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            if self.bytes.is_empty() && bytes[0] == STUFFING {
                return;
            }
            // The length is known with the third byte.
            let want = whole_length(&self.bytes).unwrap_or(3);
            let more = (want - self.bytes.len()).min(bytes.len());
            self.bytes.extend_from_slice(&bytes[..more]);
            bytes = &bytes[more..];
            if whole_length(&self.bytes).is_some_and(|length| length == self.bytes.len()) {
                take(&self.bytes);
                self.bytes.clear();
            }
        }
        debug_assert!(self.bytes.len() <= MAX_SECTION_BYTES);
    }
}

fn whole_length(section: &[u8]) -> Option<usize> {
    let [_, high, low, ..] = section else {
        return None;
    };
    Some(3 + (u16::from_be_bytes([*high, *low]) & 0xfff) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(table: u8, length: u16) -> Vec<u8> {
        let mut bytes = vec![table, 0x30 | (length >> 8) as u8, length as u8];
        bytes.extend((0..length).map(|n| n as u8));
        bytes
    }

    fn read(packets: &[(&[u8], bool)]) -> (Vec<Vec<u8>>, u64) {
        let mut buffer = SectionBuffer::default();
        let mut seen = Vec::new();
        for (payload, unit_start) in packets {
            buffer.push(payload, *unit_start, |section| seen.push(section.to_vec()));
        }
        (seen, buffer.incomplete)
    }

    #[test]
    fn several_sections_of_one_packet_are_all_read() {
        let (one, two) = (section(1, 20), section(2, 0));
        let payload = [&[0][..], &one, &two, &one, &[0xff; 30]].concat();
        assert_eq!(read(&[(&payload, true)]).0, [one.clone(), two, one]);
    }

    #[test]
    fn a_section_goes_on_in_the_next_packets_and_ends_where_the_pointer_says() {
        let (long, next) = (section(7, 400), section(8, 9));
        for cut in [1, 2, 3, 183] {
            let first = [&[0][..], &long[..cut]].concat();
            let (middle, end) = long[cut..].split_at(180);
            let last = [&[end.len() as u8][..], end, &next, &[0xff; 9]].concat();
            let (seen, incomplete) = read(&[(&first, true), (middle, false), (&last, true)]);
            assert_eq!((seen, incomplete), (vec![long.clone(), next.clone()], 0));
        }
    }

    #[test]
    fn a_section_cut_short_by_the_next_is_counted() {
        let (long, next) = (section(7, 400), section(8, 9));
        let first = [&[0][..], &long[..100]].concat();
        let second = [&[0][..], &next].concat();
        assert_eq!(read(&[(&first, true), (&second, true)]), (vec![next], 1));
    }

    #[test]
    fn nothing_is_read_before_the_first_beginning() {
        assert_eq!(read(&[(&section(7, 9), false)]).0.len(), 0);
    }
}
