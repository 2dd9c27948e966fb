//! What a demultiplexer gives.

use bytes::Bytes;
use roomtone_frames::{AccessUnit, Format};

use crate::alignment::ForeignSize;
use crate::codec::{Stream, StreamRefusal};
use crate::packet::Pid;
use crate::splice::Splice;

/// A stream of a program, as long as its program's map names it the same; numbers are not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u32);

/// What a demultiplexer gives, in the order of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A program's map names a stream that is read.
    TrackAdded {
        /// Its number from now on.
        track: TrackId,
        /// What it is.
        stream: Stream,
    },
    /// The map names it no more, or otherwise.
    TrackRemoved {
        /// Which.
        track: TrackId,
    },
    /// A program's map names a stream that is not read.
    StreamRefused {
        /// Number of its program.
        program: u16,
        /// Where it is in the multiplex.
        pid: Pid,
        /// Its type; [`stream_type_name`](crate::stream_type_name) says what it is.
        stream_type: u8,
        /// Why.
        reason: StreamRefusal,
    },
    /// What a decoder must be told before the units that follow.
    Format {
        /// Whose.
        track: TrackId,
        /// How its units are coded.
        format: Format,
    },
    /// A picture, or a frame of sound. Its times are unwrapped and in the clock of the format; all tracks of a program have
    /// the same zero.
    Unit {
        /// Whose.
        track: TrackId,
        /// The unit.
        unit: AccessUnit,
    },
    /// A cue for splicing; every section that came whole, repeated ones too.
    Splice {
        /// Whose.
        track: TrackId,
        /// The cue.
        splice: Splice,
    },
    /// A tag of timed metadata.
    Id3 {
        /// Whose.
        track: TrackId,
        /// When it applies, in ticks of 90 kHz, unwrapped; none where its packet did not say.
        pts: Option<i64>,
        /// The whole tag, its header included.
        data: Bytes,
    },
    /// The clock of a program as it came.
    Clock {
        /// Number of the program.
        program: u16,
        /// In ticks of 27 MHz, unwrapped with the times of its units.
        pcr: i64,
    },
    /// The source says that the clock of a program goes on elsewhere.
    Discontinuity {
        /// Number of the program.
        program: u16,
    },
    /// Something of a track is not given.
    Dropped {
        /// Whose.
        track: TrackId,
        /// Why.
        reason: DropReason,
    },
    /// Nothing of this source is read: its packets have another size.
    Refused {
        /// Which.
        size: ForeignSize,
    },
}

/// Why something of a track is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// A packet of it is missing.
    Continuity,
    /// It ended before its length, or the source did.
    Incomplete,
    /// It could not be read.
    Malformed,
    /// It refers to a picture that was dropped, or came before the first keyframe or its parameter sets.
    Undecodable,
    /// It was larger than a unit may be, or all together than they may be.
    TooLarge,
    /// It is scrambled.
    Scrambled,
    /// A kind of its codec that is not supported.
    Unsupported,
    /// Nothing said when it is to be shown.
    Untimed,
    /// Events were not taken in time.
    NotTaken,
}

impl DropReason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Continuity,
        Self::Incomplete,
        Self::Malformed,
        Self::Undecodable,
        Self::TooLarge,
        Self::Scrambled,
        Self::Unsupported,
        Self::Untimed,
        Self::NotTaken,
    ];

    /// Its name in counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Continuity => "continuity",
            Self::Incomplete => "incomplete",
            Self::Malformed => "malformed",
            Self::Undecodable => "undecodable",
            Self::TooLarge => "too_large",
            Self::Scrambled => "scrambled",
            Self::Unsupported => "unsupported",
            Self::Untimed => "untimed",
            Self::NotTaken => "not_taken",
        }
    }
}

/// Counters of a source since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets found, those that only fill included.
    pub packets: u64,
    /// Packets that only fill.
    pub null_packets: u64,
    /// Bytes between packets.
    pub skipped_bytes: u64,
    /// Times that something else was where a packet had to begin.
    pub sync_losses: u64,
    /// Packets marked as damaged by somebody on the way.
    pub transport_errors: u64,
    /// Packets whose header could not be read.
    pub malformed_packets: u64,
    /// Packets that are scrambled.
    pub scrambled: u64,
    /// Packets sent twice.
    pub duplicates: u64,
    /// Times that the counter of a stream jumped.
    pub continuity_errors: u64,
    /// Packets of streams that nothing names.
    pub unnamed: u64,
    /// Sections whose checksum was wrong.
    pub checksum_errors: u64,
    /// Sections that could not be read, were cut short, or named more than is read.
    pub refused_sections: u64,
    /// Units, tags and cues that were given.
    pub given: u64,
    /// What was not given, by [`DropReason`] in the order of [`DropReason::ALL`].
    pub dropped: [u64; DropReason::ALL.len()],
}

impl Stats {
    /// What was not given for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }
}
