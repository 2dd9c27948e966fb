//! Tables that say what is in a multiplex (H.222.0 section 2.4.4), read and written.

use crate::crc::crc32;
use crate::packet::Pid;

const PAT_TABLE: u8 = 0x00;
const PMT_TABLE: u8 = 0x02;
/// Table, length, extension, version, section numbers.
const HEADER_BYTES: usize = 8;
const CRC_BYTES: usize = 4;

/// Why a section was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SectionError {
    Checksum,
    Malformed,
    /// Another table, or one that is to be in force later.
    NotForUs,
}

/// A section with the long header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Table<'a> {
    /// Transport stream id, or program number.
    pub extension: u16,
    pub version: u8,
    pub section: u8,
    pub last_section: u8,
    pub checksum: u32,
    body: &'a [u8],
}

impl<'a> Table<'a> {
    pub(crate) fn pat(section: &'a [u8]) -> Result<Self, SectionError> {
        Self::parse(section, PAT_TABLE)
    }

    pub(crate) fn pmt(section: &'a [u8]) -> Result<Self, SectionError> {
        Self::parse(section, PMT_TABLE)
    }

    fn parse(section: &'a [u8], table: u8) -> Result<Self, SectionError> {
        let Some((body, checksum)) = section.split_last_chunk::<CRC_BYTES>() else {
            return Err(SectionError::Malformed);
        };
        let Some((head, body)) = body.split_first_chunk::<HEADER_BYTES>() else {
            return Err(SectionError::Malformed);
        };
        if head[0] != table {
            return Err(SectionError::NotForUs);
        }
        if head[1] & 0x80 == 0 {
            return Err(SectionError::Malformed);
        }
        if crc32(section) != 0 {
            return Err(SectionError::Checksum);
        }
        if head[5] & 1 == 0 {
            return Err(SectionError::NotForUs);
        }
        Ok(Self {
            extension: u16::from_be_bytes([head[3], head[4]]),
            version: head[5] >> 1 & 0x1f,
            section: head[6],
            last_section: head[7],
            checksum: u32::from_be_bytes(*checksum),
            body,
        })
    }

    /// Of an association table: number and map of each program.
    pub(crate) fn programs(&self) -> impl Iterator<Item = (u16, Pid)> + use<'a> {
        self.body.as_chunks::<4>().0.iter().map(|entry| {
            let number = u16::from_be_bytes([entry[0], entry[1]]);
            (number, Pid::new(u16::from_be_bytes([entry[2], entry[3]])))
        })
    }

    /// Of a program map: what is in it; none where its lengths do not add up.
    pub(crate) fn map(&self) -> Option<ProgramMap<'a>> {
        let (head, rest) = self.body.split_first_chunk::<4>()?;
        let length = (u16::from_be_bytes([head[2], head[3]]) & 0xfff) as usize;
        let (descriptors, mut rest) = rest.split_at_checked(length)?;
        let mut streams = Vec::new();
        while !rest.is_empty() {
            let (head, behind) = rest.split_first_chunk::<5>()?;
            let length = (u16::from_be_bytes([head[3], head[4]]) & 0xfff) as usize;
            let (descriptors, behind) = behind.split_at_checked(length)?;
            streams.push(MapEntry {
                stream_type: head[0],
                pid: Pid::new(u16::from_be_bytes([head[1], head[2]])),
                descriptors: Descriptors(descriptors),
            });
            rest = behind;
        }
        Some(ProgramMap {
            pcr_pid: Pid::new(u16::from_be_bytes([head[0], head[1]])),
            descriptors: Descriptors(descriptors),
            streams,
        })
    }
}

/// A program map, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProgramMap<'a> {
    pub pcr_pid: Pid,
    pub descriptors: Descriptors<'a>,
    pub streams: Vec<MapEntry<'a>>,
}

/// One stream of a program map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MapEntry<'a> {
    pub stream_type: u8,
    pub pid: Pid,
    pub descriptors: Descriptors<'a>,
}

/// A run of descriptors: tag, length, body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Descriptors<'a>(pub &'a [u8]);

impl<'a> Descriptors<'a> {
    pub(crate) const REGISTRATION: u8 = 0x05;
    pub(crate) const LANGUAGE: u8 = 0x0a;
    pub(crate) const METADATA: u8 = 0x26;
    pub(crate) const DVB_AC3: u8 = 0x6a;
    pub(crate) const DVB_EAC3: u8 = 0x7a;
    pub(crate) const EXTENSION: u8 = 0x7f;

    /// The bodies of those with this tag; ends at one that is cut short.
    pub(crate) fn all(self, tag: u8) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (&[tag, length], behind) = rest.split_first_chunk::<2>()?;
            let (body, behind) = behind.split_at_checked(length as usize)?;
            rest = behind;
            Some((tag, body))
        })
        .filter_map(move |(found, body)| (found == tag).then_some(body))
    }

    /// Whether somebody registered this name for what is described.
    pub(crate) fn registers(self, name: [u8; 4]) -> bool {
        self.all(Self::REGISTRATION)
            .any(|body| body.starts_with(&name))
    }

    /// The language of it (ISO 639-2).
    pub(crate) fn language(self) -> Option<[u8; 3]> {
        self.all(Self::LANGUAGE)
            .find_map(|body| body.first_chunk().copied())
    }
}

/// A section of an association table with one program.
pub(crate) fn write_pat(stream: u16, version: u8, program: u16, map: Pid) -> Vec<u8> {
    let mut body = program.to_be_bytes().to_vec();
    body.extend((0xe000 | map.number()).to_be_bytes());
    write_table(PAT_TABLE, stream, version, &body)
}

/// A stream for a program map that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrittenEntry {
    pub stream_type: u8,
    pub pid: Pid,
    pub descriptors: Vec<u8>,
}

/// A section of a program map; none where it would be longer than a table may be.
pub(crate) fn write_pmt(
    program: u16,
    version: u8,
    pcr_pid: Pid,
    streams: &[WrittenEntry],
) -> Option<Vec<u8>> {
    let mut body = (0xe000 | pcr_pid.number()).to_be_bytes().to_vec();
    body.extend(0xf000_u16.to_be_bytes());
    for stream in streams {
        body.push(stream.stream_type);
        body.extend((0xe000 | stream.pid.number()).to_be_bytes());
        body.extend((0xf000 | stream.descriptors.len() as u16).to_be_bytes());
        body.extend(&stream.descriptors);
    }
    // The length of a table is at most 1021 (section 2.4.4.9).
    (body.len() + HEADER_BYTES - 3 + CRC_BYTES <= 1021)
        .then(|| write_table(PMT_TABLE, program, version, &body))
}

fn write_table(table: u8, extension: u16, version: u8, body: &[u8]) -> Vec<u8> {
    let length = (HEADER_BYTES - 3 + body.len() + CRC_BYTES) as u16;
    let mut section = vec![table];
    section.extend((0xb000 | length).to_be_bytes());
    section.extend(extension.to_be_bytes());
    section.extend([0xc1 | version << 1, 0, 0]);
    section.extend(body);
    section.extend(crc32(&section).to_be_bytes());
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_association_is_read_again() {
        let section = write_pat(7, 3, 1, Pid::new(0x1000));
        let table = Table::pat(&section).unwrap();
        assert_eq!((table.extension, table.version), (7, 3));
        assert_eq!(
            table.programs().collect::<Vec<_>>(),
            [(1, Pid::new(0x1000))]
        );
        assert_eq!(Table::pmt(&section), Err(SectionError::NotForUs));
    }

    #[test]
    fn a_written_map_is_read_again() {
        let streams = [
            WrittenEntry {
                stream_type: 0x1b,
                pid: Pid::new(256),
                descriptors: vec![],
            },
            WrittenEntry {
                stream_type: 6,
                pid: Pid::new(257),
                descriptors: b"\x05\x04Opus\x0a\x04deu\x00".to_vec(),
            },
        ];
        let section = write_pmt(9, 31, Pid::new(256), &streams).unwrap();
        let table = Table::pmt(&section).unwrap();
        let map = table.map().unwrap();
        assert_eq!((table.extension, map.pcr_pid), (9, Pid::new(256)));
        let entry = map.streams[1];
        assert_eq!((entry.stream_type, entry.pid), (6, Pid::new(257)));
        assert!(entry.descriptors.registers(*b"Opus"));
        assert_eq!(entry.descriptors.language(), Some(*b"deu"));
    }

    #[test]
    fn one_wrong_bit_is_seen() {
        let mut section = write_pat(7, 3, 1, Pid::new(0x1000));
        for at in 3..section.len() {
            section[at] ^= 0x10;
            assert_eq!(Table::pat(&section), Err(SectionError::Checksum));
            section[at] ^= 0x10;
        }
    }

    #[test]
    fn a_map_too_long_for_a_table_is_not_written() {
        let entry = WrittenEntry {
            stream_type: 6,
            pid: Pid::new(257),
            descriptors: vec![0; 200],
        };
        assert_eq!(write_pmt(1, 0, Pid::new(257), &vec![entry; 6]), None);
    }
}
