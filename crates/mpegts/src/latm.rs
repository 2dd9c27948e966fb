//! AAC in a multiplex of its own, with a sync word (ISO/IEC 14496-3 section 1.7): one program, one layer.

use bytes::Bytes;
use roomtone_frames::AacFormat;

use crate::adts::{FRAME_SAMPLES, SAMPLE_RATES, channels};
use crate::bits::Bits;
use crate::framing::Measure;

const HEADER_BYTES: usize = 3;

/// How long the element at the front is.
pub(crate) fn measure(bytes: &[u8]) -> Measure {
    match bytes {
        [0x56, second, third, ..] if second & 0xe0 == 0xe0 => {
            Measure::Bytes(HEADER_BYTES + (usize::from(second & 0x1f) << 8 | usize::from(*third)))
        }
        [] | [0x56] => Measure::More,
        [0x56, second] if second & 0xe0 == 0xe0 => Measure::More,
        _ => Measure::Bad,
    }
}

/// Why an element gives no frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LatmError {
    /// It is cut short.
    Malformed,
    /// Several programs or layers, lengths of a fixed kind, channels that only the frame describes.
    Unsupported,
    /// It refers to a configuration that has not come.
    Unconfigured,
}

/// How elements are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layout {
    format: AacFormat,
    frame_samples: i64,
    frames: u32,
}

/// Reads elements; keeps the configuration, which some of them repeat.
#[derive(Debug, Default)]
pub(crate) struct Latm {
    layout: Option<Layout>,
}

/// The frames of an element.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub format: AacFormat,
    pub frame_samples: i64,
    pub frames: Vec<Vec<u8>>,
}

impl Latm {
    /// Read an element, its sync word included (table 1.41).
    pub(crate) fn read(&mut self, element: &[u8]) -> Result<Element, LatmError> {
        let mut bits = Bits::new(element.get(HEADER_BYTES..).ok_or(LatmError::Malformed)?);
        let same = bits.flag().ok_or(LatmError::Malformed)?;
        if !same {
            self.layout = None;
            self.layout = Some(read_layout(&mut bits)?);
        }
        let layout = self.layout.as_ref().ok_or(LatmError::Unconfigured)?;
        let mut frames = Vec::new();
        for _ in 0..layout.frames {
            frames.push(read_frame(&mut bits).ok_or(LatmError::Malformed)?);
        }
        Ok(Element {
            format: layout.format.clone(),
            frame_samples: layout.frame_samples,
            frames,
        })
    }
}

/// A length in bytes of 255, and the frame, which begins at any bit.
fn read_frame(bits: &mut Bits<'_>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let part = bits.read(8)? as usize;
        length += part;
        if part != 255 {
            return bits.copy(length * 8);
        }
    }
}

/// `StreamMuxConfig` (table 1.42).
fn read_layout(bits: &mut Bits<'_>) -> Result<Layout, LatmError> {
    let cut = LatmError::Malformed;
    let version = bits.read(1).ok_or(cut)?;
    if version == 1 && bits.flag().ok_or(cut)? {
        return Err(LatmError::Unsupported);
    }
    if version == 1 {
        read_value(bits).ok_or(cut)?;
    }
    let same_time = bits.flag().ok_or(cut)?;
    let frames = bits.read(6).ok_or(cut)? + 1;
    let (programs, layers) = (bits.read(4).ok_or(cut)?, bits.read(3).ok_or(cut)?);
    if !same_time || programs != 0 || layers != 0 {
        return Err(LatmError::Unsupported);
    }
    let (format, frame_samples) = if version == 0 {
        read_config(bits)?
    } else {
        let length = read_value(bits).ok_or(cut)? as usize;
        let begin = bits.position();
        let config = read_config(bits)?;
        let used = bits.position() - begin;
        bits.skip(length.checked_sub(used).ok_or(cut)?).ok_or(cut)?;
        config
    };
    // Frames that say how long they are, and how full the buffer is.
    if bits.read(3).ok_or(cut)? != 0 {
        return Err(LatmError::Unsupported);
    }
    bits.skip(8).ok_or(cut)?;
    if bits.flag().ok_or(cut)? {
        read_other_length(bits, version).ok_or(cut)?;
    }
    if bits.flag().ok_or(cut)? {
        bits.skip(8).ok_or(cut)?;
    }
    Ok(Layout {
        format,
        frame_samples,
        frames,
    })
}

fn read_value(bits: &mut Bits<'_>) -> Option<u32> {
    let bytes = bits.read(2)? as usize + 1;
    bits.read(bytes * 8)
}

/// How much other data comes behind the frames; they are not looked at.
fn read_other_length(bits: &mut Bits<'_>, version: u32) -> Option<()> {
    if version == 1 {
        return read_value(bits).map(|_| ());
    }
    while bits.flag()? {
        bits.skip(8)?;
    }
    bits.skip(8)
}

/// `AudioSpecificConfig` (table 1.15) of the general coders; copied as it is.
fn read_config(bits: &mut Bits<'_>) -> Result<(AacFormat, i64), LatmError> {
    let mut begin = *bits;
    let (sample_rate, channel_code, short) =
        read_config_fields(bits).ok_or(LatmError::Malformed)??;
    let length = bits.position() - begin.position();
    let config = begin.copy(length).ok_or(LatmError::Malformed)?;
    let format = AacFormat {
        config: Bytes::from(config),
        sample_rate,
        channels: channels(channel_code).ok_or(LatmError::Unsupported)?,
    };
    Ok((format, if short { 960 } else { FRAME_SAMPLES }))
}

/// Rate, code of the channels, whether frames have 960 samples.
fn read_config_fields(bits: &mut Bits<'_>) -> Option<Result<(u32, u8, bool), LatmError>> {
    let mut object_type = read_object_type(bits)?;
    let rate = read_rate(bits)?;
    let channel_code = bits.read(4)? as u8;
    if matches!(object_type, 5 | 29) {
        // What the replicated spectrum ends at; the clock is that of the core.
        let _ = read_rate(bits)?;
        object_type = read_object_type(bits)?;
    }
    // Others have configurations of their own.
    if !matches!(object_type, 1..=4) || channel_code == 0 {
        return Some(Err(LatmError::Unsupported));
    }
    let short = bits.flag()?;
    if bits.flag()? {
        bits.skip(14)?;
    }
    if bits.flag()? {
        bits.skip(1)?;
    }
    Some(rate.map(|rate| (rate, channel_code, short)))
}

fn read_object_type(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.read(5)? {
        31 => Some(32 + bits.read(6)?),
        kind => Some(kind),
    }
}

fn read_rate(bits: &mut Bits<'_>) -> Option<Result<u32, LatmError>> {
    let index = bits.read(4)?;
    if index == 15 {
        return Some(match bits.read(24)? {
            0 => Err(LatmError::Malformed),
            rate => Ok(rate),
        });
    }
    Some(
        SAMPLE_RATES
            .get(index as usize)
            .copied()
            .ok_or(LatmError::Malformed),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits from a text of zeros and ones; blanks are for the eye.
    fn bytes(text: &str) -> Vec<u8> {
        let bits: Vec<u8> = text
            .bytes()
            .filter(|b| *b != b' ')
            .map(|b| b - b'0')
            .collect();
        bits.chunks(8)
            .map(|byte| {
                byte.iter()
                    .enumerate()
                    .fold(0, |all, (n, bit)| all | bit << (7 - n))
            })
            .collect()
    }

    fn element(text: &str) -> Vec<u8> {
        let body = bytes(text);
        let mut element = vec![0x56, 0xe0 | (body.len() >> 8) as u8, body.len() as u8];
        element.extend(body);
        element
    }

    /// Version 0, one frame; AAC-LC of 48 kHz and two channels.
    const LAYOUT: &str = "0 0 1 000000 0000 000 00010 0011 0010 000 000 11111111 0 0";

    #[test]
    fn a_frame_that_begins_within_a_byte_is_read() {
        let mut latm = Latm::default();
        let first = element(&format!("{LAYOUT} 00000010 10101010 11110000"));
        assert_eq!(measure(&first), Measure::Bytes(first.len()));
        let read = latm.read(&first).unwrap();
        assert_eq!(read.format.config[..], [0x11, 0x90]);
        assert_eq!((read.format.sample_rate, read.format.channels), (48_000, 2));
        assert_eq!(read.frames, [[0xaa, 0xf0]]);
        let second = latm.read(&element("1 00000001 00010001")).unwrap();
        assert_eq!(second.frames, [[0x11]]);
    }

    #[test]
    fn nothing_is_read_before_the_configuration() {
        let read = Latm::default().read(&element("1 00000001 00010001"));
        assert_eq!(read, Err(LatmError::Unconfigured));
    }

    #[test]
    fn a_cut_never_upsets_it() {
        let whole = element(&format!("{LAYOUT} 00000010 10101010 11110000"));
        for cut in 0..whole.len() - 1 {
            assert!(Latm::default().read(&whole[..cut]).is_err());
        }
    }
}
