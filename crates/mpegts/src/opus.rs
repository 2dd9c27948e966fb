//! Opus behind control headers (draft "Opus in MPEG-TS", `opus_control_header`).

use crate::framing::Measure;

/// The longest unit that is believed: 120 ms at a rate nobody uses.
const MAX_UNIT_BYTES: usize = 16 << 10;

/// A control header, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Control {
    pub header_bytes: usize,
    pub unit_bytes: usize,
    /// Samples at 48 kHz to be thrown away at the start.
    pub start_trim: u16,
}

/// How long the unit at the front is, its header included.
pub(crate) fn measure(bytes: &[u8]) -> Measure {
    match bytes {
        [] | [0x7f] => Measure::More,
        [0x7f, flags, ..] if flags & 0xe0 == 0xe0 => match read(bytes) {
            None => Measure::More,
            Some(control) if control.unit_bytes > MAX_UNIT_BYTES => Measure::Bad,
            Some(control) => Measure::Bytes(control.header_bytes + control.unit_bytes),
        },
        _ => Measure::Bad,
    }
}

/// Read the header at the front; none where it is not whole.
pub(crate) fn read(bytes: &[u8]) -> Option<Control> {
    let flags = *bytes.get(1)?;
    let mut at = 2;
    let mut unit_bytes = 0;
    loop {
        let part = *bytes.get(at)?;
        at += 1;
        unit_bytes += part as usize;
        if part != 255 || unit_bytes > MAX_UNIT_BYTES {
            break;
        }
    }
    let mut start_trim = 0;
    if flags & 0x10 != 0 {
        start_trim = u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]) & 0x1fff;
        at += 2;
    }
    if flags & 0x08 != 0 {
        at += 2;
    }
    if flags & 0x04 != 0 {
        at += 1 + *bytes.get(at)? as usize;
    }
    Some(Control {
        header_bytes: at,
        unit_bytes,
        start_trim,
    })
}

/// The header of a unit of this many bytes.
pub(crate) fn write_header(start_trim: u16, unit_bytes: usize) -> Vec<u8> {
    let mut out = vec![0x7f, 0xe0 | if start_trim == 0 { 0 } else { 0x10 }];
    out.extend(std::iter::repeat_n(255, unit_bytes / 255));
    out.push((unit_bytes % 255) as u8);
    if start_trim != 0 {
        out.extend((start_trim & 0x1fff).to_be_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_were_written() {
        for (trim, unit_bytes) in [(0, 0), (312, 254), (0, 255), (1, 1275)] {
            let mut bytes = write_header(trim, unit_bytes);
            let header_bytes = bytes.len();
            bytes.extend(vec![1; unit_bytes]);
            assert_eq!(measure(&bytes), Measure::Bytes(header_bytes + unit_bytes));
            let expected = Control {
                header_bytes,
                unit_bytes,
                start_trim: trim,
            };
            assert_eq!(read(&bytes), Some(expected));
            for cut in 0..header_bytes {
                assert_eq!(measure(&bytes[..cut]), Measure::More);
            }
        }
    }

    #[test]
    fn a_length_without_end_is_refused() {
        let mut bytes = vec![0x7f, 0xe0];
        bytes.extend([255; 100]);
        assert_eq!(measure(&bytes), Measure::Bad);
    }
}
