//! Spans of time that playlists tell of (section 4.4.5.1), as cues for splicing make them.

use std::collections::VecDeque;
use std::fmt::Write as _;

use bytes::Bytes;

use crate::playlist::date_time;

/// Spans kept of one program; one more and the oldest goes, which is counted.
const MAX_RANGES: usize = 256;

/// What a cue says of a span (section 4.4.5.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cue {
    /// `SCTE35-OUT`: something else begins.
    Out,
    /// `SCTE35-IN`: it is over.
    In,
    /// `SCTE35-CMD`: whatever the section says.
    Command,
}

/// What is told of a span of time. One that ends is told of twice, by the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateRange {
    /// Of all that is told of one span; without quotation marks and line ends.
    pub id: String,
    /// When it begins, in microseconds of the program.
    pub start_us: i64,
    /// When it ended, in the same.
    pub end_us: Option<i64>,
    /// How long it was said to become.
    pub planned_us: Option<u64>,
    /// What `data` is.
    pub cue: Cue,
    /// The section that said it.
    pub data: Bytes,
}

/// What is told of a program, in the order in which it came.
#[derive(Default)]
pub(crate) struct DateRanges {
    told: VecDeque<DateRange>,
    /// What was dropped as there was too much of it.
    pub dropped: u64,
}

impl DateRanges {
    /// Tell of it; what was told of before `listed_us` is needed no more.
    pub(crate) fn push(&mut self, range: DateRange, listed_us: i64) {
        while self
            .told
            .front()
            .is_some_and(|one| !one.is_within(listed_us))
        {
            self.told.pop_front();
        }
        if self.told.len() == MAX_RANGES {
            self.told.pop_front();
            self.dropped += 1;
        }
        self.told.push_back(range);
    }

    /// Write about what is not before `listed_us`; `zero_us` is the wall clock at the zero of the program.
    pub(crate) fn write(&self, out: &mut String, listed_us: i64, zero_us: i64) {
        for range in self.told.iter().filter(|one| one.is_within(listed_us)) {
            range.write(out, zero_us);
        }
    }
}

impl DateRange {
    /// Whether something of it may be behind this.
    fn is_within(&self, listed_us: i64) -> bool {
        let planned = self.start_us + self.planned_us.unwrap_or(0) as i64;
        self.end_us.unwrap_or(planned) >= listed_us
    }

    // Writing to a string does not fail.
    fn write(&self, out: &mut String, zero_us: i64) {
        let start = date_time(zero_us + self.start_us);
        let _ = write!(
            out,
            "#EXT-X-DATERANGE:ID=\"{}\",START-DATE=\"{start}\"",
            self.id
        );
        if let Some(end_us) = self.end_us {
            let _ = write!(out, ",END-DATE=\"{}\"", date_time(zero_us + end_us));
        }
        if let Some(planned_us) = self.planned_us {
            let _ = write!(out, ",PLANNED-DURATION={:.3}", planned_us as f64 / 1e6);
        }
        let name = match self.cue {
            Cue::Out => "OUT",
            Cue::In => "IN",
            Cue::Command => "CMD",
        };
        let _ = write!(out, ",SCTE35-{name}=0x");
        for byte in &self.data {
            let _ = write!(out, "{byte:02X}");
        }
        out.push('\n');
    }
}
