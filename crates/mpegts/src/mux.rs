//! Units in, a transport stream of one program out.

use bytes::{BufMut, Bytes, BytesMut};
use roomtone_frames::{AccessUnit, Format, annexb};

use crate::clock::{CLOCK_RATE, PCR_TICKS, from_rate};
use crate::packet::{PACKET_BYTES, Pid};
use crate::packetize::{Line, Marks};
use crate::psi::{WrittenEntry, write_pat, write_pmt};
use crate::{adts, opus, pes};

/// Packets of a datagram: as many as an Ethernet frame has room for beside IP, UDP and SRT.
pub const DATAGRAM_PACKETS: usize = 7;
const DATAGRAM_BYTES: usize = DATAGRAM_PACKETS * PACKET_BYTES;

/// Between two clock references are at most 40 ms (DVB; H.222.0 allows 100).
const PCR_INTERVAL: i64 = PCR_TICKS * CLOCK_RATE as i64 / 25;
/// A clock that goes further than this at once, or back, goes on elsewhere.
const PCR_JUMP: i64 = PCR_TICKS * CLOCK_RATE as i64;
/// Tables are repeated this often, in ticks of 90 kHz.
const TABLE_INTERVAL: i64 = CLOCK_RATE as i64 / 10;
/// Bytes that may wait to be taken; units beyond it are refused.
const MAX_WAITING_BYTES: usize = 32 << 20;

/// How a program is written; fixed for its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MuxerConfig {
    /// Number of the transport stream.
    pub transport_stream: u16,
    /// Number of the program; not 0.
    pub program: u16,
    /// Where its map is.
    pub map_pid: Pid,
    /// Where its first stream is; the others follow.
    pub first_pid: Pid,
    /// How long before its decoding a unit is sent, in ticks of 90 kHz. All times are later by this, so that the clock need not
    /// begin before zero.
    pub delay: i64,
}

impl Default for MuxerConfig {
    /// The numbers that FFmpeg uses too, and 300 ms.
    fn default() -> Self {
        Self {
            transport_stream: 1,
            program: 1,
            map_pid: Pid::new(0x1000),
            first_pid: Pid::new(0x100),
            delay: 3 * CLOCK_RATE as i64 / 10,
        }
    }
}

/// A stream of the program that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MuxTrack(u16);

/// Why something is not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MuxError {
    /// The codec has no place in a transport stream, or none that this crate writes.
    #[error("{0} is not written to a transport stream")]
    Unsupported(String),
    /// There is no such track.
    #[error("no such track")]
    UnknownTrack,
    /// The map of the program has no more room.
    #[error("too many tracks for one program")]
    TooManyTracks,
    /// The unit is longer than its header can say.
    #[error("a unit of {0} bytes is too long")]
    TooLong(usize),
    /// What was written is not taken.
    #[error("what was written is not taken; the unit is left out")]
    Full,
}

/// Writes the transport stream of one program.
///
/// Inputs: [`add_track`](Self::add_track), [`handle_format`](Self::handle_format), [`handle_unit`](Self::handle_unit). Outputs:
/// [`poll_datagram`](Self::poll_datagram) until it is empty after each input, and [`poll_rest`](Self::poll_rest) where nothing is to wait for
/// company. Order: units of a track by decode time, tracks among each other as near as they can be; a track that is
/// further behind than [`MuxerConfig::delay`] comes too late for a strict receiver. Limits: 32 MiB that are not taken.
#[derive(Debug)]
pub struct Muxer {
    config: MuxerConfig,
    tracks: Vec<Track>,
    next_pid: u16,
    version: u8,
    association: Line,
    map: Line,
    /// When the tables were written last, in ticks of 90 kHz; none: they are due.
    tables_at: Option<i64>,
    /// In ticks of 27 MHz, not wrapped.
    pcr: Option<i64>,
    out: BytesMut,
    scratch: BytesMut,
}

#[derive(Debug)]
struct Track {
    line: Line,
    format: Format,
    language: Option<[u8; 3]>,
    /// Samples that a decoder of Opus is still to be told to throw away.
    start_trim: u16,
}

impl Muxer {
    /// One without tracks.
    pub fn new(config: MuxerConfig) -> Self {
        Self {
            config,
            tracks: Vec::new(),
            next_pid: config.first_pid.number(),
            version: 0,
            association: Line::new(Pid::PAT),
            map: Line::new(config.map_pid),
            tables_at: None,
            pcr: None,
            out: BytesMut::new(),
            scratch: BytesMut::new(),
        }
    }

    /// Whether units of a format can be written at all.
    pub fn takes(format: &Format) -> bool {
        check(format).is_ok()
    }

    /// Add a stream; tables say so from the next unit on.
    pub fn add_track(
        &mut self,
        format: Format,
        language: Option<[u8; 3]>,
    ) -> Result<MuxTrack, MuxError> {
        check(&format)?;
        if self.next_pid >= Pid::NULL.number() || Pid::new(self.next_pid) == self.config.map_pid {
            return Err(MuxError::TooManyTracks);
        }
        let pid = Pid::new(self.next_pid);
        self.tracks.push(Track {
            line: Line::new(pid),
            start_trim: start_trim(&format),
            format,
            language,
        });
        if self.write_map().is_none() {
            self.tracks.pop();
            return Err(MuxError::TooManyTracks);
        }
        self.next_pid += 1;
        self.change_tables();
        Ok(MuxTrack(pid.number()))
    }

    /// Take a stream away; tables say so from the next unit on.
    pub fn remove_track(&mut self, track: MuxTrack) -> Result<(), MuxError> {
        let at = self.find(track)?;
        self.tracks.remove(at);
        self.change_tables();
        Ok(())
    }

    /// The units of a track that follow are coded otherwise.
    pub fn handle_format(&mut self, track: MuxTrack, format: Format) -> Result<(), MuxError> {
        check(&format)?;
        let at = self.find(track)?;
        let track = &mut self.tracks[at];
        let entry = track.entry();
        track.start_trim = start_trim(&format);
        track.format = format;
        if track.entry() != entry {
            self.change_tables();
        }
        Ok(())
    }

    /// Write a unit.
    pub fn handle_unit(&mut self, track: MuxTrack, unit: &AccessUnit) -> Result<(), MuxError> {
        let at = self.find(track)?;
        if self.out.len() > MAX_WAITING_BYTES {
            return Err(MuxError::Full);
        }
        let format = &self.tracks[at].format;
        let (is_video, rate) = (format.is_video(), format.clock_rate());
        let time = |ticks| from_rate(ticks, rate) + self.config.delay;
        let (pts, dts) = (time(unit.pts), time(unit.dts));
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let written = self.tracks[at].write_payload(unit, &mut scratch);
        let header = self.tracks[at].write_header(pts, dts, scratch.len());
        if let (Ok(()), Ok(header)) = (&written, &header) {
            self.repeat_tables(dts, is_video && unit.keyframe);
            let marks = Marks {
                pcr: self.advance_clock(dts, at == self.clock_track()),
                random_access: is_video && unit.keyframe,
                discontinuity: false,
            };
            let whole = [header, &scratch[..]].concat();
            self.tracks[at]
                .line
                .write_unit(&whole, marks, &mut self.out);
        }
        self.scratch = scratch;
        written.and(header.map(|_| ()))
    }

    /// Give seven packets; none where there are fewer.
    pub fn poll_datagram(&mut self) -> Option<Bytes> {
        (self.out.len() >= DATAGRAM_BYTES).then(|| self.out.split_to(DATAGRAM_BYTES).freeze())
    }

    /// Give the packets that are fewer than seven, or seven; none where there is nothing.
    pub fn poll_rest(&mut self) -> Option<Bytes> {
        let bytes = self.out.len().min(DATAGRAM_BYTES);
        (bytes > 0).then(|| self.out.split_to(bytes).freeze())
    }

    fn find(&self, track: MuxTrack) -> Result<usize, MuxError> {
        self.tracks
            .iter()
            .position(|is| is.line.pid.number() == track.0)
            .ok_or(MuxError::UnknownTrack)
    }

    /// The clock comes with the pictures, or with the first sound where there are none.
    fn clock_track(&self) -> usize {
        self.tracks
            .iter()
            .position(|track| track.format.is_video())
            .unwrap_or(0)
    }

    fn change_tables(&mut self) {
        // Tables that nobody has seen need no new number.
        if self.tables_at.take().is_some() {
            self.version = (self.version + 1) & 0x1f;
        }
    }

    fn repeat_tables(&mut self, dts: i64, keyframe: bool) {
        let due = self
            .tables_at
            .is_none_or(|at| (dts - at).abs() >= TABLE_INTERVAL);
        if !due && !keyframe {
            return;
        }
        let Some(map) = self.write_map() else { return };
        let config = &self.config;
        let pat = write_pat(config.transport_stream, 0, config.program, config.map_pid);
        self.association.write_section(&pat, &mut self.out);
        self.map.write_section(&map, &mut self.out);
        self.tables_at = Some(dts);
    }

    fn write_map(&self) -> Option<Vec<u8>> {
        let clock = self
            .tracks
            .get(self.clock_track())
            .map_or(Pid::NULL, |track| track.line.pid);
        let entries: Vec<_> = self.tracks.iter().map(Track::entry).collect();
        write_pmt(self.config.program, self.version, clock, &entries)
    }

    /// Bring the clock to a unit that is about to be sent: what its first packet is to say, where it is on the line of the
    /// clock.
    fn advance_clock(&mut self, dts: i64, on_clock_track: bool) -> Option<u64> {
        let now = (dts - self.config.delay) * PCR_TICKS;
        let clock = self.clock_track();
        let before = *self.pcr.get_or_insert(now - PCR_INTERVAL);
        if now - before > PCR_JUMP || before - now > PCR_JUMP {
            self.write_clock(clock, now, true);
            return on_clock_track.then(|| wrap(now));
        }
        let mut last = before;
        while now - last > PCR_INTERVAL {
            last += PCR_INTERVAL;
            self.write_clock(clock, last, false);
        }
        // Sound may be behind the picture: the clock is not.
        if now <= last {
            return None;
        }
        if on_clock_track {
            self.pcr = Some(now);
            return Some(wrap(now));
        }
        if now - last >= PCR_INTERVAL / 2 {
            self.write_clock(clock, now, false);
        }
        None
    }

    fn write_clock(&mut self, track: usize, pcr: i64, discontinuity: bool) {
        let marks = Marks {
            pcr: Some(wrap(pcr)),
            random_access: false,
            discontinuity,
        };
        self.tracks[track].line.write_marks(marks, &mut self.out);
        self.pcr = Some(pcr);
    }
}

impl Track {
    /// What the map says of it.
    fn entry(&self) -> WrittenEntry {
        let mut descriptors = Vec::new();
        if let Some(language) = self.language {
            descriptors.extend([0x0a, 4]);
            descriptors.extend(language);
            descriptors.push(0);
        }
        let stream_type = match &self.format {
            Format::H264(_) => 0x1b,
            Format::Hevc(_) => {
                descriptors.extend(b"\x05\x04HEVC");
                0x24
            }
            Format::Opus(opus) => {
                descriptors.extend(b"\x05\x04Opus\x7f\x02\x80");
                descriptors.push(opus.channels);
                0x06
            }
            _ => 0x0f,
        };
        WrittenEntry {
            stream_type,
            pid: self.line.pid,
            descriptors,
        }
    }

    fn write_payload(&mut self, unit: &AccessUnit, out: &mut BytesMut) -> Result<(), MuxError> {
        if let Some(codec) = self.format.nal_codec() {
            let sets = self.format.parameter_sets().into_iter();
            let sets = sets.filter(|_| unit.keyframe).map(|set| &set[..]);
            annexb::write(codec, sets, &unit.data, out);
            return Ok(());
        }
        match &self.format {
            Format::Opus(_) => {
                let trim = std::mem::take(&mut self.start_trim);
                out.put_slice(&opus::write_header(trim, unit.data.len()));
                out.put_slice(&unit.data);
            }
            Format::Aac(aac) => {
                let header = adts::write_header(aac, unit.data.len())
                    .ok_or(MuxError::TooLong(unit.data.len()))?;
                out.put_slice(&header);
                out.put_slice(&unit.data);
            }
            other => return Err(MuxError::Unsupported(other.codec_string())),
        }
        Ok(())
    }

    fn write_header(&self, pts: i64, dts: i64, payload: usize) -> Result<Vec<u8>, MuxError> {
        let stream_id = match &self.format {
            format if format.is_video() => pes::VIDEO_STREAM,
            Format::Opus(_) => pes::PRIVATE_STREAM_1,
            _ => pes::AUDIO_STREAM,
        };
        // Only the length of pictures may be left open.
        if !self.format.is_video() && payload > usize::from(u16::MAX) - 32 {
            return Err(MuxError::TooLong(payload));
        }
        Ok(pes::write_header(stream_id, pts, dts, payload))
    }
}

/// Whether units of this format can be written.
fn check(format: &Format) -> Result<(), MuxError> {
    let can = match format {
        Format::H264(_) | Format::Hevc(_) => true,
        Format::Opus(opus) => matches!(opus.channels, 1 | 2),
        Format::Aac(aac) => adts::write_header(aac, 0).is_some(),
        _ => false,
    };
    if can {
        Ok(())
    } else {
        Err(MuxError::Unsupported(format.codec_string()))
    }
}

fn start_trim(format: &Format) -> u16 {
    match format {
        Format::Opus(opus) => opus.pre_skip,
        _ => 0,
    }
}

/// A clock of 33 bits of 90 kHz.
fn wrap(pcr: i64) -> u64 {
    pcr.rem_euclid(PCR_TICKS << 33) as u64
}
