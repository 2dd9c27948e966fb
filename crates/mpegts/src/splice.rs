//! Cues for splicing (ANSI/SCTE 35 section 9).

use bytes::Bytes;

use crate::clock::ProgramClock;
use crate::crc::crc32;

const SPLICE_TABLE: u8 = 0xfc;
/// Up to and with the type of the command.
const HEADER_BYTES: usize = 14;
const CRC_BYTES: usize = 4;
/// Tag of a segmentation descriptor.
const SEGMENTATION: u8 = 0x02;

/// A cue, with what a playlist needs of it; all else is in `data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    /// The whole section, as it came.
    pub data: Bytes,
    /// The newest time of its program when it came, in ticks of 90 kHz; none before the first.
    pub came_at: Option<i64>,
    /// When it takes effect, in ticks of 90 kHz, unwrapped with the times of its program; none: at once, or it says no time.
    pub time: Option<i64>,
    /// What it says.
    pub command: SpliceCommand,
    /// The first of its segmentation descriptors, if it has any.
    pub segmentation: Option<Segmentation>,
}

/// A segmentation descriptor (section 10.3.3), with what a playlist needs of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segmentation {
    /// Names the segment; its end has the same.
    pub event_id: u32,
    /// Whether it takes an earlier one back; all below is then 0 or none.
    pub cancelled: bool,
    /// How long the segment is, in ticks of 90 kHz.
    pub duration: Option<i64>,
    /// What begins or ends (section 10.3.3.1); 0: nothing is said.
    pub kind: u8,
}

impl Segmentation {
    /// Whether something else than the program begins: a break, an advertisement, or a place for some.
    pub fn is_out(&self) -> bool {
        matches!(self.kind, 0x22 | 0x30 | 0x32 | 0x34 | 0x36 | 0x44 | 0x46)
    }

    /// Whether one of these is over.
    pub fn is_in(&self) -> bool {
        matches!(self.kind, 0x23 | 0x31 | 0x33 | 0x35 | 0x37 | 0x45 | 0x47)
    }
}

/// What a cue says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpliceCommand {
    /// Only shows that the line of cues is alive.
    Null,
    /// Leave for something else, or come back.
    Insert(SpliceInsert),
    /// A moment that the descriptors in the section say more about.
    TimeSignal,
    /// Another command, by its type; also where the command is encrypted or is not as the standard has it.
    Other(u8),
}

/// Leave for something else, or come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpliceInsert {
    /// Names the splice, so that it can be cancelled.
    pub event_id: u32,
    /// Whether it takes an earlier one back; all below is then false.
    pub cancelled: bool,
    /// Whether it leaves the network feed.
    pub out_of_network: bool,
    /// Whether it takes effect at once.
    pub immediate: bool,
    /// How long until it is to come back, in ticks of 90 kHz.
    pub duration: Option<i64>,
    /// Whether it comes back by itself.
    pub auto_return: bool,
}

/// Why a section is no cue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpliceError {
    Checksum,
    Malformed,
}

impl Splice {
    pub(crate) fn parse(section: &[u8], clock: ProgramClock) -> Result<Self, SpliceError> {
        let head = section
            .first_chunk::<HEADER_BYTES>()
            .ok_or(SpliceError::Malformed)?;
        if head[0] != SPLICE_TABLE || section.len() < HEADER_BYTES + CRC_BYTES {
            return Err(SpliceError::Malformed);
        }
        if crc32(section) != 0 {
            return Err(SpliceError::Checksum);
        }
        let encrypted = head[4] & 0x80 != 0;
        let adjustment = u64::from(head[4] & 1) << 32
            | u64::from(u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
        let body = &section[HEADER_BYTES..section.len() - CRC_BYTES];
        let (command, time) = match head[13] {
            _ if encrypted => (SpliceCommand::Other(head[13]), None),
            0x00 => (SpliceCommand::Null, None),
            0x05 => read_insert(body).unwrap_or((SpliceCommand::Other(5), None)),
            0x06 => (
                SpliceCommand::TimeSignal,
                read_time(body).and_then(|(time, _)| time),
            ),
            other => (SpliceCommand::Other(other), None),
        };
        Ok(Self {
            data: Bytes::copy_from_slice(section),
            came_at: clock.newest(),
            time: time.map(|time| clock.place(time.wrapping_add(adjustment))),
            command,
            segmentation: if encrypted {
                None
            } else {
                read_segmentation(
                    body,
                    usize::from(head[11] & 0x0f) << 8 | usize::from(head[12]),
                )
            },
        })
    }
}

/// Section 9.7.3; of splices by component the first is read.
fn read_insert(body: &[u8]) -> Option<(SpliceCommand, Option<u64>)> {
    let (id, rest) = body.split_first_chunk::<4>()?;
    let mut insert = SpliceInsert {
        event_id: u32::from_be_bytes(*id),
        cancelled: rest.first()? & 0x80 != 0,
        out_of_network: false,
        immediate: false,
        duration: None,
        auto_return: false,
    };
    if insert.cancelled {
        return Some((SpliceCommand::Insert(insert), None));
    }
    let flags = *rest.get(1)?;
    let mut rest = &rest[2..];
    let (program, has_duration) = (flags & 0x40 != 0, flags & 0x20 != 0);
    insert.out_of_network = flags & 0x80 != 0;
    insert.immediate = flags & 0x10 != 0;
    let mut time = None;
    let components = if program {
        1
    } else {
        let count = *rest.first()?;
        rest = &rest[1..];
        count
    };
    for n in 0..components {
        if !program {
            rest = rest.get(1..)?;
        }
        if !insert.immediate {
            let (read, behind) = read_time(rest)?;
            if n == 0 {
                time = read;
            }
            rest = behind;
        }
    }
    if has_duration {
        let bytes = rest.first_chunk::<5>()?;
        insert.auto_return = bytes[0] & 0x80 != 0;
        insert.duration = Some(read_33(*bytes) as i64);
    }
    Some((SpliceCommand::Insert(insert), time))
}

/// Behind a command of this length; none where it says no length (section 9.6).
fn read_segmentation(body: &[u8], command_len: usize) -> Option<Segmentation> {
    let (len, rest) = body.get(command_len..)?.split_first_chunk::<2>()?;
    let mut rest = rest.get(..usize::from(u16::from_be_bytes(*len)))?;
    while let [tag, len, behind @ ..] = rest {
        let (of, next) = behind.split_at_checked(usize::from(*len))?;
        if *tag == SEGMENTATION
            && let Some(of) = of.strip_prefix(b"CUEI")
        {
            return read_segment(of);
        }
        rest = next;
    }
    None
}

fn read_segment(of: &[u8]) -> Option<Segmentation> {
    let (id, rest) = of.split_first_chunk::<4>()?;
    let mut segment = Segmentation {
        event_id: u32::from_be_bytes(*id),
        cancelled: rest.first()? & 0x80 != 0,
        duration: None,
        kind: 0,
    };
    if segment.cancelled {
        return Some(segment);
    }
    let flags = *rest.get(1)?;
    let mut rest = &rest[2..];
    if flags & 0x80 == 0 {
        let components = usize::from(*rest.first()?);
        rest = rest.get(1 + 6 * components..)?;
    }
    if flags & 0x40 != 0 {
        let (duration, behind) = rest.split_first_chunk::<5>()?;
        // 40 bits, all in use.
        let ticks = duration
            .iter()
            .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        segment.duration = Some(ticks as i64);
        rest = behind;
    }
    let upid = usize::from(*rest.get(1)?);
    segment.kind = *rest.get(2 + upid)?;
    Some(segment)
}

/// Section 9.8.1.
fn read_time(bytes: &[u8]) -> Option<(Option<u64>, &[u8])> {
    if bytes.first()? & 0x80 == 0 {
        return Some((None, &bytes[1..]));
    }
    let (time, rest) = bytes.split_first_chunk::<5>()?;
    Some((Some(read_33(*time)), rest))
}

fn read_33(bytes: [u8; 5]) -> u64 {
    let [high, low @ ..] = bytes;
    u64::from(high & 1) << 32 | u64::from(u32::from_be_bytes(low))
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    fn clock(newest: u64) -> ProgramClock {
        let mut clock = ProgramClock::default();
        clock.advance(newest);
        clock
    }

    #[test]
    fn the_sample_of_an_insert_in_the_standard_is_read() {
        // ANSI/SCTE 35 2022 section 14.2.
        let section = hex!(
            "fc302f000000000000fffff014054800008f7feffe7369c02efe0052ccf500000000000a0008435545490000013562dba30a"
        );
        let splice = Splice::parse(&section, clock(0x7369_0000)).unwrap();
        assert_eq!(splice.time, Some(0x0_7369_c02e));
        let SpliceCommand::Insert(insert) = splice.command else {
            panic!()
        };
        assert_eq!(insert.event_id, 0x4800_008f);
        assert!(insert.out_of_network && insert.auto_return && !insert.immediate);
        assert_eq!(insert.duration, Some(0x52_ccf5));
        assert_eq!(splice.segmentation, None);
        assert_eq!(splice.data[..], section);
    }

    #[test]
    fn the_sample_of_a_time_signal_in_the_standard_is_read() {
        // ANSI/SCTE 35 2022 section 14.1.
        let section = hex!(
            "fc3034000000000000fffff00506fe72bd0050001e021c435545494800008e7fcf0001a599b00808000000002ca0a18a3402009ac9d17e"
        );
        let splice = Splice::parse(&section, clock(0x72bd_0000)).unwrap();
        assert_eq!(splice.command, SpliceCommand::TimeSignal);
        assert_eq!(splice.time, Some(0x72bd_0050));
        // A placement opportunity of the provider begins.
        let segment = splice.segmentation.unwrap();
        assert_eq!((segment.event_id, segment.kind), (0x4800_008e, 0x34));
        assert_eq!(segment.duration, Some(0x01a5_99b0));
        assert!(segment.is_out() && !segment.is_in() && !segment.cancelled);
    }

    #[test]
    fn a_wrong_bit_is_seen_and_a_cut_never_upsets_it() {
        let mut section = hex!(
            "fc302f000000000000fffff014054800008f7feffe7369c02efe0052ccf500000000000a0008435545490000013562dba30a"
        );
        for cut in 0..section.len() {
            assert!(Splice::parse(&section[..cut], clock(0)).is_err());
        }
        section[20] ^= 1;
        assert_eq!(
            Splice::parse(&section, clock(0)),
            Err(SpliceError::Checksum)
        );
    }
}
