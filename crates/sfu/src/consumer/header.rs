//! The header a consumer writes: precomputed where it never changes, copied where the publisher's
//! values are carried.

use roomtone_rtp::{
    ExtensionForm, ExtensionKind, ExtensionMap, ExtensionWriter, RtpHeader, write_header,
};

use crate::SfuError;
use crate::history::Entry;

const TEMPLATE_LEN: usize = 32;
const FIXED: usize = roomtone_rtp::FIXED_HEADER_LEN;
const ONE_BYTE_MAX: usize = 16;

/// What changes from packet to packet of the values we write ourselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamps {
    /// The transport-wide sequence number.
    pub(crate) sequence: u16,
    /// The 24 bits of abs-send-time.
    pub(crate) send_time: u32,
    /// What is added to the frame number of the dependency descriptor.
    pub(crate) frame_shift: u16,
}

/// The negotiated extensions of one consumer, ready to be written. What is rarely read comes last.
#[derive(Debug, Clone)]
#[repr(C)]
pub(crate) struct HeaderTemplate {
    /// Block header and our own elements in one-byte form.
    bytes: [u8; TEMPLATE_LEN],
    len: u8,
    sequence_at: u8,
    send_time_at: u8,
    /// Our own ids by kind; 0: not negotiated.
    ids: [u8; ExtensionKind::COUNT],
    /// Ids or a MID that only the two-byte form carries.
    two_byte: bool,
    /// The peer takes both forms in one stream (`extmap-allow-mixed`).
    mixed: bool,
    mid: Box<[u8]>,
}

impl HeaderTemplate {
    /// Where lies what each packet reads.
    #[cfg(test)]
    pub(super) const HOT: (usize, usize) = (0, std::mem::offset_of!(Self, mid));

    pub(crate) fn new(
        extensions: &[(u8, ExtensionKind)],
        mid: Option<&str>,
        mixed: bool,
    ) -> Result<Self, SfuError> {
        let map = ExtensionMap::from_pairs(extensions.iter().copied())
            .map_err(|_| SfuError::Range("extension id"))?;
        let mut ids = [0; ExtensionKind::COUNT];
        for kind in ExtensionKind::ALL {
            ids[kind as usize] = map.id_of(kind).unwrap_or(0);
        }
        let mid = mid.unwrap_or_default().as_bytes();
        if mid.len() > 255 {
            return Err(SfuError::Range("MID"));
        }
        if mid.is_empty() {
            ids[ExtensionKind::Mid as usize] = 0;
        }
        let has_mid = ids[ExtensionKind::Mid as usize] != 0;
        let two_byte = ids.iter().any(|id| *id > 14) || (has_mid && mid.len() > ONE_BYTE_MAX);
        let mut template = Self {
            bytes: [0; TEMPLATE_LEN],
            len: 4,
            sequence_at: 0,
            send_time_at: 0,
            ids,
            mid: mid.into(),
            two_byte,
            mixed,
        };
        if !two_byte {
            template.sequence_at = template.reserve(ExtensionKind::TransportSequence, 2);
            template.send_time_at = template.reserve(ExtensionKind::AbsSendTime, 3);
            let at = usize::from(template.reserve(ExtensionKind::Mid, mid.len()));
            if at > 0 {
                template.bytes[at..at + mid.len()].copy_from_slice(mid);
            }
        }
        Ok(template)
    }

    /// Places one of our own elements; gives where its value goes, 0 where it was not negotiated.
    fn reserve(&mut self, kind: ExtensionKind, len: usize) -> u8 {
        let id = self.ids[kind as usize];
        if id == 0 {
            return 0;
        }
        let at = usize::from(self.len);
        self.bytes[at] = (id << 4) | (len - 1) as u8;
        self.len += 1 + len as u8;
        at as u8 + 1
    }

    /// See [`super::Consumer::touch`].
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        u64::from(self.len)
    }

    fn id(&self, kind: ExtensionKind) -> u8 {
        self.ids[kind as usize]
    }

    /// Whether packets carry no extensions at all.
    pub(crate) fn is_bare(&self) -> bool {
        self.ids.iter().all(|id| *id == 0)
    }

    /// Whether packets carry the transport-wide sequence number.
    pub(crate) fn has_sequence(&self) -> bool {
        self.id(ExtensionKind::TransportSequence) != 0
    }

    /// Whether packets carry their send time.
    pub(crate) fn has_send_time(&self) -> bool {
        self.id(ExtensionKind::AbsSendTime) != 0
    }

    /// The length of what [`Self::write`] writes for this packet, in the usual case.
    pub(crate) fn predict(&self, entry: &Entry) -> usize {
        let own = usize::from(self.len) - 4;
        let carried: usize = entry
            .extensions()
            .iter()
            .filter(|at| self.id(at.kind) != 0)
            .map(|at| 1 + usize::from(at.len))
            .sum();
        if own + carried == 0 {
            FIXED
        } else {
            FIXED + 4 + (own + carried).next_multiple_of(4)
        }
    }

    /// Writes the whole header; gives its length, `None` where `out` is too short.
    #[inline]
    pub(crate) fn write(
        &self,
        out: &mut [u8],
        header: &RtpHeader,
        entry: &Entry,
        stamps: Stamps,
    ) -> Option<usize> {
        // Room for the largest one-byte block, so that what follows needs no check of its own.
        if out.len() < FIXED + TEMPLATE_LEN + 8 * (1 + ONE_BYTE_MAX) + 4 {
            return self.write_slowly(out, header, entry, stamps, ExtensionForm::OneByte);
        }
        if self.two_byte {
            return self.write_slowly(out, header, entry, stamps, ExtensionForm::TwoByte);
        }
        write_header(out, header);
        let len = usize::from(self.len);
        out[FIXED..FIXED + TEMPLATE_LEN].copy_from_slice(&self.bytes);
        let mut at = FIXED + len;
        if self.sequence_at != 0 {
            let value = FIXED + usize::from(self.sequence_at);
            out[value..value + 2].copy_from_slice(&stamps.sequence.to_be_bytes());
        }
        if self.send_time_at != 0 {
            let value = FIXED + usize::from(self.send_time_at);
            out[value..value + 3].copy_from_slice(&stamps.send_time.to_be_bytes()[1..]);
        }
        for carried in entry.extensions() {
            let id = self.id(carried.kind);
            if id == 0 {
                continue;
            }
            let value = entry.extension_value(*carried);
            if value.is_empty() || value.len() > ONE_BYTE_MAX {
                if self.mixed {
                    return self.write_slowly(out, header, entry, stamps, ExtensionForm::TwoByte);
                }
                continue;
            }
            out[at] = (id << 4) | (value.len() - 1) as u8;
            let copied = &mut out[at + 1..at + 1 + value.len()];
            copied.copy_from_slice(value);
            if stamps.frame_shift != 0 && carried.kind == ExtensionKind::DependencyDescriptor {
                shift_frame(copied, stamps.frame_shift);
            }
            at += 1 + value.len();
        }
        if at == FIXED + 4 {
            return Some(FIXED);
        }
        let end = FIXED + (at - FIXED).next_multiple_of(4);
        out[at..end].fill(0);
        out[0] |= 0x10;
        out[FIXED..FIXED + 2].copy_from_slice(&[0xbe, 0xde]);
        out[FIXED + 2..FIXED + 4].copy_from_slice(&(((end - FIXED) / 4 - 1) as u16).to_be_bytes());
        Some(end)
    }

    /// Writes a header with our own elements only, for a packet that nobody sent us.
    pub(crate) fn write_bare(
        &self,
        out: &mut [u8],
        header: &RtpHeader,
        stamps: Stamps,
    ) -> Option<usize> {
        self.write_elements(out, header, None, stamps, ExtensionForm::OneByte)
    }

    /// The same for any form and any room.
    fn write_slowly(
        &self,
        out: &mut [u8],
        header: &RtpHeader,
        entry: &Entry,
        stamps: Stamps,
        form: ExtensionForm,
    ) -> Option<usize> {
        self.write_elements(out, header, Some(entry), stamps, form)
    }

    fn write_elements(
        &self,
        out: &mut [u8],
        header: &RtpHeader,
        entry: Option<&Entry>,
        stamps: Stamps,
        form: ExtensionForm,
    ) -> Option<usize> {
        if out.len() < FIXED {
            return None;
        }
        write_header(out, header);
        let form = if self.two_byte {
            ExtensionForm::TwoByte
        } else {
            form
        };
        let mut writer = ExtensionWriter::new(out, FIXED, form);
        let sequence = stamps.sequence.to_be_bytes();
        let send_time = stamps.send_time.to_be_bytes();
        let own: [(ExtensionKind, &[u8]); 3] = [
            (ExtensionKind::TransportSequence, &sequence),
            (ExtensionKind::AbsSendTime, &send_time[1..]),
            (ExtensionKind::Mid, &self.mid),
        ];
        for (kind, value) in own {
            let id = self.id(kind);
            if id != 0 {
                writer.push(id, value).ok()?;
            }
        }
        let carried = entry.map(|entry| entry.extensions().iter().map(move |at| (entry, at)));
        for (entry, carried) in carried.into_iter().flatten() {
            let id = self.id(carried.kind);
            if id == 0 {
                continue;
            }
            // A value this form cannot carry stays out; the packet is worth more.
            let value = entry.extension_value(*carried);
            let mut shifted = [0; 255];
            let pushed = match shifted.get_mut(..value.len()) {
                Some(copy)
                    if stamps.frame_shift != 0
                        && carried.kind == ExtensionKind::DependencyDescriptor =>
                {
                    copy.copy_from_slice(value);
                    shift_frame(copy, stamps.frame_shift);
                    writer.push(id, copy)
                }
                _ => writer.push(id, value),
            };
            if pushed == Err(roomtone_rtp::RtpError::NoSpace) {
                return None;
            }
        }
        writer.finish().ok()
    }
}

/// Corrects the frame number in a dependency descriptor: the 16 bits behind the first byte.
fn shift_frame(descriptor: &mut [u8], shift: u16) {
    if let Some([_, high, low, ..]) = descriptor.first_chunk_mut::<3>() {
        let number = u16::from_be_bytes([*high, *low]).wrapping_add(shift);
        [*high, *low] = number.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{ExtensionAt, History};
    use roomtone_rtp::RtpPacket;

    const STAMPS: Stamps = Stamps {
        sequence: 0x0102,
        send_time: 0x0a_0b0c,
        frame_shift: 0,
    };

    fn header() -> RtpHeader {
        RtpHeader {
            marker: true,
            payload_type: 96,
            sequence: 7,
            timestamp: 9,
            ssrc: 11,
        }
    }

    /// A stored packet with one value a kind, each as long as said.
    fn entry(values: &[(ExtensionKind, u8)]) -> History {
        let mut history = History::new(16);
        let total: usize = values.iter().map(|(_, len)| usize::from(*len)).sum();
        let stored: Vec<u8> = (0..12 + total as u8).collect();
        history.append(1, |entry| {
            entry.set_data(&stored, b"payload");
            let mut offset = 12;
            for (kind, len) in values {
                assert!(entry.add_extension(ExtensionAt {
                    kind: *kind,
                    len: *len,
                    offset
                }));
                offset += u16::from(*len);
            }
        });
        history
    }

    fn written(template: &HeaderTemplate, history: &History, space: usize) -> Option<Vec<u8>> {
        let entry = history.get(0).unwrap();
        let mut out = vec![0xff; space];
        let len = template.write(&mut out, &header(), entry, STAMPS)?;
        out.truncate(len);
        Some(out)
    }

    #[test]
    fn own_values_are_written_and_carried_ones_get_our_ids() {
        let template = HeaderTemplate::new(
            &[
                (4, ExtensionKind::Mid),
                (3, ExtensionKind::TransportSequence),
                (2, ExtensionKind::AbsSendTime),
                (9, ExtensionKind::AudioLevel),
                (10, ExtensionKind::Rid),
            ],
            Some("a1"),
            false,
        )
        .unwrap();
        let history = entry(&[
            (ExtensionKind::AudioLevel, 1),
            (ExtensionKind::PlayoutDelay, 3),
        ]);
        let bytes = written(&template, &history, 1_500).unwrap();
        assert_eq!(bytes.len(), template.predict(history.get(0).unwrap()));
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert_eq!(packet.header(), header());
        let values: Vec<_> = packet.extensions().collect();
        let expected: [(u8, &[u8]); 4] = [
            (3, &[1, 2]),
            (2, &[0x0a, 0x0b, 0x0c]),
            (4, b"a1"),
            (9, &[12]),
        ];
        assert_eq!(values, expected);
        let exact = bytes.clone();
        assert_eq!(
            written(&template, &history, bytes.len()),
            Some(exact),
            "no room to spare"
        );
        assert_eq!(written(&template, &history, bytes.len() - 1), None);
    }

    #[test]
    fn without_extensions_there_is_no_block() {
        let template = HeaderTemplate::new(&[], Some("a"), true).unwrap();
        let history = entry(&[(ExtensionKind::AudioLevel, 1)]);
        assert_eq!(written(&template, &history, 1_500).unwrap().len(), 12);
        assert_eq!(template.predict(history.get(0).unwrap()), 12);
    }

    #[test]
    fn a_long_value_turns_the_block_to_two_bytes_only_where_the_peer_takes_it() {
        let extensions = [
            (1, ExtensionKind::Mid),
            (5, ExtensionKind::DependencyDescriptor),
        ];
        let history = entry(&[(ExtensionKind::DependencyDescriptor, 40)]);
        let mixed = HeaderTemplate::new(&extensions, Some("0"), true).unwrap();
        let bytes = written(&mixed, &history, 1_500).unwrap();
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert_eq!(packet.extension_profile(), Some(0x1000));
        assert_eq!(packet.extension(1), Some(&b"0"[..]));
        assert_eq!(packet.extension(5).map(<[u8]>::len), Some(40));
        let plain = HeaderTemplate::new(&extensions, Some("0"), false).unwrap();
        let bytes = written(&plain, &history, 1_500).unwrap();
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert_eq!(packet.extensions().count(), 1);
    }

    #[test]
    fn ids_above_14_use_the_two_byte_form() {
        let template = HeaderTemplate::new(&[(200, ExtensionKind::Mid)], Some("x"), false).unwrap();
        let bytes = written(&template, &entry(&[]), 1_500).unwrap();
        assert_eq!(
            RtpPacket::parse(&bytes).unwrap().extension(200),
            Some(&b"x"[..])
        );
    }
}
