//! Configurations of decoders, as tags carry them.

use bytes::Bytes;
use roomtone_frames::{AacFormat, OpusFormat};

use super::{TagError, Unsupported};
use crate::wire::Cursor;

/// Parameter sets and the length before each NAL unit, out of a decoder configuration record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NalConfig {
    /// Bytes of the length before each NAL unit, 1 to 4.
    pub(crate) length_size: usize,
    /// In their order.
    pub(crate) sets: Vec<Bytes>,
}

impl NalConfig {
    /// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 section 5.3.3.1).
    pub(crate) fn read_avc(record: &Bytes) -> Option<Self> {
        let mut rest = Cursor(record);
        // Version, profile, compatibility and level: the sets say the same.
        if rest.take(4)?[0] != 1 {
            return None;
        }
        let length_size = usize::from(rest.u8()? & 3) + 1;
        let mut sets = vec![];
        for mask in [0x1f, 0xff] {
            let count = u16::from(rest.u8()? & mask);
            read_sets(record, &mut rest, count, &mut sets)?;
        }
        Some(Self { length_size, sets })
    }

    /// `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 section 8.3.3.1).
    pub(crate) fn read_hevc(record: &Bytes) -> Option<Self> {
        let mut rest = Cursor(record);
        // Profile, level and depths: the sets say the same.
        let head = rest.take(22)?;
        let length_size = usize::from(head[21] & 3) + 1;
        let mut sets = vec![];
        for _ in 0..rest.u8()? {
            let _kind = rest.u8()?;
            let count = rest.u16()?;
            read_sets(record, &mut rest, count, &mut sets)?;
        }
        Some(Self { length_size, sets })
    }
}

fn read_sets(
    record: &Bytes,
    rest: &mut Cursor<'_>,
    count: u16,
    sets: &mut Vec<Bytes>,
) -> Option<()> {
    for _ in 0..count {
        let length = usize::from(rest.u16()?);
        sets.push(record.slice_ref(rest.take(length)?));
    }
    Some(())
}

/// `AudioSpecificConfig` (ISO/IEC 14496-3 section 1.6.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AacConfig {
    pub(crate) format: AacFormat,
    /// Samples of a frame: 1024, or 960.
    pub(crate) frame: u32,
}

/// Table 1.18.
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

impl AacConfig {
    pub(crate) fn read(config: &Bytes) -> Result<Self, TagError> {
        let mut bits = Bits {
            bytes: config,
            at: 0,
        };
        let mut object = bits.object_type().ok_or(TagError::Malformed)?;
        let sample_rate = bits.sample_rate().ok_or(TagError::Malformed)?;
        let channels = match bits.take(4).ok_or(TagError::Malformed)? {
            channels @ 1..=6 => channels as u8,
            7 => 8,
            _ => return Err(Unsupported::Channels.into()),
        };
        // Spectral band replication, said outright: the core's own type follows the higher rate.
        if object == 5 || object == 29 {
            bits.sample_rate().ok_or(TagError::Malformed)?;
            object = bits.object_type().ok_or(TagError::Malformed)?;
        }
        // The types that have a `GASpecificConfig` begin it with the length of a frame.
        let short = matches!(object, 1..=4 | 6 | 7 | 17) && bits.take(1) == Some(1);
        Ok(Self {
            format: AacFormat {
                config: config.clone(),
                sample_rate,
                channels,
            },
            frame: if short { 960 } else { 1024 },
        })
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut number = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            number = number << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(number)
    }

    fn object_type(&mut self) -> Option<u32> {
        match self.take(5)? {
            31 => Some(32 + self.take(6)?),
            kind => Some(kind),
        }
    }

    fn sample_rate(&mut self) -> Option<u32> {
        match self.take(4)? {
            15 => self.take(24).filter(|&rate| rate > 0),
            index => SAMPLE_RATES.get(index as usize).copied(),
        }
    }
}

/// The identification header of Opus (RFC 7845 section 5.1), of one or two channels.
pub(crate) fn opus_format(header: &Bytes) -> Result<OpusFormat, TagError> {
    let rest = header.strip_prefix(b"OpusHead").unwrap_or(header);
    let [_version, channels, low, high, rest @ ..] = rest else {
        return Err(TagError::Malformed);
    };
    // Rate of the source and gain, then the family of the mapping.
    let family = rest.get(6).copied().ok_or(TagError::Malformed)?;
    if family != 0 || !matches!(channels, 1 | 2) {
        return Err(Unsupported::Channels.into());
    }
    Ok(OpusFormat {
        channels: *channels,
        pre_skip: u16::from_le_bytes([*low, *high]),
    })
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    fn aac(config: &'static [u8]) -> Result<(u32, u8, u32), TagError> {
        let read = AacConfig::read(&Bytes::from_static(config))?;
        Ok((read.format.sample_rate, read.format.channels, read.frame))
    }

    #[test]
    fn rate_channels_and_length_of_frames_are_those_of_the_configuration() {
        assert_eq!(aac(&hex!("1190")), Ok((48_000, 2, 1024)));
        assert_eq!(aac(&hex!("1214")), Ok((44_100, 2, 960)));
        // High efficiency: a core of 24 kHz under 48.
        assert_eq!(aac(&hex!("2b118800")), Ok((24_000, 2, 1024)));
        // A rate of its own in 24 bits: 10 kHz.
        assert_eq!(aac(&hex!("1780138808")), Ok((10_000, 1, 1024)));
    }

    #[test]
    fn channels_that_are_not_numbered_are_refused() {
        assert_eq!(aac(&hex!("1180")), Err(Unsupported::Channels.into()));
        assert_eq!(aac(&hex!("11")), Err(TagError::Malformed));
    }

    #[test]
    fn the_header_of_opus_gives_channels_and_pre_skip() {
        let header = Bytes::from_static(&hex!("4f70757348656164 01 02 3801 80bb0000 0000 00"));
        let read = opus_format(&header).unwrap();
        assert_eq!((read.channels, read.pre_skip), (2, 312));
        let surround = Bytes::from_static(&hex!("4f70757348656164 01 06 3801 80bb0000 0000 01"));
        assert_eq!(opus_format(&surround), Err(Unsupported::Channels.into()));
    }

    #[test]
    fn a_record_of_avc_cut_short_is_none() {
        let record = hex!("01 4d401f ff e1 0003 674d40 01 0002 68eb");
        for end in 0..record.len() {
            assert_eq!(
                NalConfig::read_avc(&Bytes::copy_from_slice(&record[..end])),
                None
            );
        }
        let read = NalConfig::read_avc(&Bytes::copy_from_slice(&record)).unwrap();
        assert_eq!((read.length_size, read.sets.len()), (4, 2));
    }
}
