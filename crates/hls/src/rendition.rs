//! One media playlist's worth of media: samples gathered into parts, parts into segments, in a window.

use std::collections::BTreeMap;

use bytes::Bytes;
use roomtone_frames::{AccessUnit, Format};

use crate::boxes::{BoxError, Sample, chunk, init_segment};
use crate::cadence::Cadence;
use crate::ciphers::Ciphers;
use crate::encryption::Encryption;
use crate::protection::{Protection, Runs, protect};
use crate::segment::{Part, Segment};
use crate::window::Window;

/// A longer hole is a jump of the source's clock and becomes a discontinuity; a shorter one is listed as lost.
pub(crate) const MAX_HOLE_US: i64 = 60_000_000;

/// What a rendition is made of.
pub(crate) struct Rendition {
    /// Its folder below the presentation.
    pub name: String,
    pub format: Format,
    /// Ticks a second of all times, for good: those of the format it began with.
    rate: u32,
    pub cadence: Cadence,
    /// By what its segments are encrypted, if by anything.
    pub ciphers: Ciphers,
    /// Complete segments.
    pub window: Window,
    /// The one being made.
    pub open: Segment,
    pub ended: bool,
    /// Units that came too late to have a place.
    pub late: u64,
    /// The most bits a second of any complete segment.
    pub peak_bps: u64,
    /// The last unit that decoding may begin with, before it is encrypted.
    keyframe: Option<Bytes>,
    /// Headers that a segment may still need, by number.
    maps: BTreeMap<u32, Bytes>,
    /// How much is listed, in ticks.
    listed: u64,
    samples: Vec<Sample>,
    /// Where the samples begin, and how long they are; in ticks.
    part_start: i64,
    part_duration: u64,
    /// The unit whose duration is not known before the next.
    pending: Option<AccessUnit>,
    /// The last duration seen.
    nominal: u64,
    next_part: u64,
    chunks: u32,
    total: (u64, u64),
}

impl Rendition {
    /// An empty one, whose first sample is at `start` ticks; `window_us` is how much is listed.
    pub(crate) fn new(
        name: String,
        format: Format,
        cadence: Cadence,
        window_us: u64,
        start: i64,
        encryption: Option<Encryption>,
    ) -> Result<Self, BoxError> {
        let rate = format.clock_rate();
        let maps = BTreeMap::from([(0, header(&format, rate, encryption.as_ref(), 0)?)]);
        let listed = window_us * u64::from(rate) / 1_000_000;
        Ok(Self {
            name,
            format,
            rate,
            cadence,
            ciphers: Ciphers::new(encryption),
            maps,
            listed,
            window: Window::default(),
            open: Segment::new(0, start, 0, false),
            ended: false,
            late: 0,
            peak_bps: 0,
            keyframe: None,
            samples: Vec::new(),
            part_start: start,
            part_duration: 0,
            pending: None,
            nominal: 0,
            next_part: 0,
            chunks: 0,
            total: (0, 0),
        })
    }

    /// Where the media ends so far, the unit whose duration is not known included as if it had none.
    pub(crate) fn end(&self) -> i64 {
        self.pending
            .as_ref()
            .map_or(self.part_start + self.part_duration as i64, |unit| unit.dts)
    }

    /// The duration of its last unit is not known yet.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// How long the open segment would be if it ended at `at`.
    pub(crate) fn open_until(&self, at: i64) -> u64 {
        (at - self.open.start).max(0) as u64
    }

    /// Ticks from microseconds.
    pub(crate) fn ticks(&self, us: u64) -> u64 {
        us * u64::from(self.rate) / 1_000_000
    }

    /// A time in ticks of a format's clock in those of all its times.
    pub(crate) fn own_ticks(&self, ticks: i64, format: &Format) -> i64 {
        let (from, to) = (i128::from(format.clock_rate().max(1)), self.rate);
        ((i128::from(ticks) * i128::from(to) + from / 2) / from) as i64
    }

    /// Seconds from ticks.
    pub(crate) fn seconds(&self, ticks: u64) -> f64 {
        ticks as f64 / f64::from(self.rate)
    }

    /// Microseconds from ticks.
    pub(crate) fn us(&self, ticks: i64) -> i64 {
        ticks * 1_000_000 / i64::from(self.rate)
    }

    /// Take a unit; with `cut` a new segment begins with it. True when a part was finished.
    pub(crate) fn push(&mut self, unit: AccessUnit, cut: bool) -> Result<bool, BoxError> {
        let before = self.next_part;
        if unit.dts < self.end()
            || self
                .pending
                .as_ref()
                .is_some_and(|pending| unit.dts == pending.dts)
        {
            self.late += 1;
            return Ok(false);
        }
        self.settle(unit.dts)?;
        if cut {
            self.cut()?;
        }
        self.pending = Some(unit);
        Ok(self.next_part != before)
    }

    /// The pending unit lasts until `until`, as long as that can be; a longer hole is a gap.
    fn settle(&mut self, until: i64) -> Result<(), BoxError> {
        let limit = self.ticks(self.cadence.part_target_us);
        if let Some(pending) = self.pending.take() {
            let lasts = (until - pending.dts) as u64;
            let duration = if lasts <= limit {
                lasts
            } else {
                self.nominal.clamp(1, limit)
            };
            self.add(pending, duration)?;
        }
        let hole = until - self.end();
        if self.us(hole) > MAX_HOLE_US {
            self.jump(until)
        } else if hole > 0 {
            self.gap(hole as u64)
        } else {
            Ok(())
        }
    }

    /// Go on at another time, as nobody wants to hear of each part that is missing.
    fn jump(&mut self, to: i64) -> Result<(), BoxError> {
        self.cut()?;
        self.open.start = to;
        self.open.discontinuity = true;
        self.part_start = to;
        Ok(())
    }

    fn add(&mut self, unit: AccessUnit, duration: u64) -> Result<(), BoxError> {
        let target = self.ticks(self.cadence.part_target_us);
        if self.part_duration + duration > target {
            self.close_part()?;
        }
        if self.open.parts.is_empty() && self.samples.is_empty() {
            self.open.shown_after = unit.pts - unit.dts;
        }
        if unit.keyframe {
            self.keyframe = Some(unit.data.clone());
        }
        self.nominal = duration;
        self.part_duration += duration;
        self.samples.push(Sample {
            duration: duration as u32,
            composition_offset: unit.pts - unit.dts,
            keyframe: unit.keyframe,
            data: unit.data,
            runs: Runs::new(),
        });
        if self.part_duration + duration > target {
            self.close_part()?;
        }
        Ok(())
    }

    fn close_part(&mut self) -> Result<(), BoxError> {
        if self.samples.is_empty() {
            return Ok(());
        }
        let by_samples = self.ciphers.open().filter(|one| one.is_by_samples());
        let protected = by_samples.is_some();
        if let Some(encryption) = by_samples {
            for sample in &mut self.samples {
                (sample.data, sample.runs) =
                    protect(&self.format, encryption, self.open.number, &sample.data)?;
            }
        }
        let start = self.part_start.max(0) as u64;
        let body = chunk(self.chunks, start, &self.samples, protected)?;
        self.chunks = self.chunks.wrapping_add(1);
        let independent = self.samples[0].keyframe;
        self.samples.clear();
        let sealed = match self.ciphers.open() {
            Some(encryption) if !protected => {
                Some(encryption.seal(self.open.number, &[&body[..]])?)
            }
            _ => None,
        };
        match sealed {
            Some(sealed) => self.list(independent, Some(sealed), Some(body)),
            None => self.list(independent, Some(body), None),
        }
        Ok(())
    }

    fn list(&mut self, independent: bool, body: Option<Bytes>, clear: Option<Bytes>) {
        let duration = std::mem::take(&mut self.part_duration);
        self.open.push(Part {
            number: self.next_part,
            duration,
            independent,
            body,
            clear,
        });
        self.next_part += 1;
        self.part_start += duration as i64;
    }

    /// List what is lost as parts that cannot be had.
    pub(crate) fn gap(&mut self, ticks: u64) -> Result<(), BoxError> {
        self.close_part()?;
        let target = self.ticks(self.cadence.part_target_us);
        let mut left = ticks;
        while left > 0 {
            self.part_duration = left.min(target);
            left -= self.part_duration;
            self.list(false, None, None);
        }
        Ok(())
    }

    /// Give the pending unit the usual duration, so that all there is can be listed.
    pub(crate) fn flush(&mut self) -> Result<(), BoxError> {
        if let Some(pending) = self.pending.take() {
            let limit = self.ticks(self.cadence.part_target_us);
            self.add(pending, self.nominal.clamp(1, limit))?;
        }
        self.close_part()
    }

    /// Close the open segment and begin the next; does nothing where it is empty.
    pub(crate) fn cut(&mut self) -> Result<(), BoxError> {
        self.close_part()?;
        if self.open.parts.is_empty() {
            return Ok(());
        }
        let mut next = Segment::new(self.open.number + 1, self.part_start, self.open.map, false);
        // One that begins with a gap goes on as the one before.
        next.shown_after = self.open.shown_after;
        next.listed_before = self.open.listed_to();
        let mut done = std::mem::replace(&mut self.open, next);
        if let Some(encryption) = self.ciphers.open() {
            done.seal(encryption)?;
        }
        self.ciphers.begin(self.open.number)?;
        self.turn_key()?;
        self.measure(&done);
        self.window.push(done);
        self.slide();
        Ok(())
    }

    /// Where samples are encrypted headers name the key: another key needs another header, and so do samples that are not.
    fn turn_key(&mut self) -> Result<(), BoxError> {
        let number = self.open.number;
        let named = |segment: u64| {
            let encryption = self.ciphers.of(segment).filter(|one| one.is_by_samples());
            encryption.map(|one| one.key_of(segment))
        };
        let (before, now) = (named(number - 1), named(number));
        if before == now {
            return Ok(());
        }
        let header = header(&self.format, self.rate, self.ciphers.of(number), number)?;
        self.open.map = self.add_map(header);
        // Samples are of another sort than those before.
        self.open.discontinuity |= before.is_none() || now.is_none();
        Ok(())
    }

    /// Whether all that follows could be encrypted so.
    pub(crate) fn allows(&self, encryption: Option<&Encryption>) -> Result<(), BoxError> {
        header(&self.format, self.rate, encryption, self.open.number).map(drop)
    }

    fn add_map(&mut self, header: Bytes) -> u32 {
        let number = self.maps.last_key_value().map_or(0, |(last, _)| last + 1);
        self.maps.insert(number, header);
        number
    }

    /// From the next sample on the format is another.
    pub(crate) fn change_format(&mut self, format: Format) -> Result<(), BoxError> {
        self.flush()?;
        self.cut()?;
        let number = self.open.number;
        let header = header(&format, self.rate, self.ciphers.of(number), number)?;
        self.open.map = self.add_map(header);
        self.open.discontinuity = true;
        (self.format, self.keyframe) = (format, None);
        Ok(())
    }

    /// No more comes.
    pub(crate) fn finish(&mut self) -> Result<(), BoxError> {
        self.flush()?;
        self.cut()?;
        self.ended = true;
        Ok(())
    }

    /// A header by its number.
    pub(crate) fn map(&self, number: u32) -> Option<&Bytes> {
        self.maps.get(&number)
    }

    /// All segments that can be fetched, the open one last.
    pub(crate) fn fetchable(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.window.fetchable().chain(std::iter::once(&self.open))
    }

    /// The last unit that decoding may begin with, alone in a file of its own; none before there was one.
    pub(crate) fn keyframe(&self) -> Result<Option<Bytes>, BoxError> {
        let Some(data) = self.keyframe.clone() else {
            return Ok(None);
        };
        let sample = Sample {
            duration: self.nominal.max(1) as u32,
            composition_offset: 0,
            keyframe: true,
            data,
            runs: Runs::new(),
        };
        let file = [
            init_segment(&self.format, self.rate, None)?,
            chunk(0, 0, &[sample], false)?,
        ];
        Ok(Some(file.concat().into()))
    }

    /// A key that something that can be fetched is encrypted by.
    pub(crate) fn key(&self, number: u64) -> Option<Bytes> {
        let oldest = self.fetchable().next()?.number;
        self.ciphers.key(number, oldest, self.open.number)
    }

    /// The first segment that is listed.
    pub(crate) fn first_listed(&self) -> &Segment {
        self.window.segments.front().unwrap_or(&self.open)
    }

    /// The number that the next part will have.
    pub(crate) fn next_part(&self) -> u64 {
        self.next_part
    }

    /// Mean bits a second of all complete segments.
    pub(crate) fn mean_bps(&self) -> u64 {
        let (bytes, ticks) = self.total;
        bytes * 8 * u64::from(self.rate) / ticks.max(1)
    }

    /// What a player needs to keep up: the dearest segment and a tenth more, or what there is of the first.
    pub(crate) fn bandwidth(&self) -> u64 {
        let open = bits_a_second(&self.open, self.rate);
        (if self.peak_bps == 0 {
            open
        } else {
            self.peak_bps
        })
        .max(1)
            * 11
            / 10
    }

    /// Pictures a second, by the last of them.
    pub(crate) fn frame_rate(&self) -> Option<f64> {
        (self.nominal > 0).then(|| f64::from(self.rate) / self.nominal as f64)
    }

    /// How much is listed, in microseconds.
    pub(crate) fn window_us(&self) -> u64 {
        self.us(self.listed as i64) as u64
    }

    /// The same in ticks.
    pub(crate) fn window_ticks(&self) -> u64 {
        self.listed
    }

    /// Headers of segments that are gone are needed no more, nor what these were encrypted by.
    pub(crate) fn forget_maps(&mut self) {
        let first = self.fetchable().next();
        let (oldest, number) = first.map_or((0, 0), |first| (first.map, first.number));
        self.ciphers.forget_before(number);
        if self
            .maps
            .first_key_value()
            .is_some_and(|(first, _)| *first < oldest)
        {
            self.maps = self.maps.split_off(&oldest);
        }
    }

    fn measure(&mut self, done: &Segment) {
        let (bytes, ticks) = (done.bytes(), done.duration());
        self.total = (self.total.0 + bytes, self.total.1 + ticks);
        self.peak_bps = self.peak_bps.max(bits_a_second(done, self.rate));
    }
}

fn header(
    format: &Format,
    rate: u32,
    encryption: Option<&Encryption>,
    segment: u64,
) -> Result<Bytes, BoxError> {
    let Some(encryption) = encryption.filter(|one| one.is_by_samples()) else {
        return init_segment(format, rate, None);
    };
    let protection = Protection::of(format, encryption, segment).ok_or_else(|| {
        BoxError::Unprotectable(match format {
            Format::Carried(carried) => carried.codec.name(),
            _ => "AV1",
        })
    })?;
    init_segment(format, rate, Some(&protection))
}

fn bits_a_second(segment: &Segment, clock_rate: u32) -> u64 {
    segment.bytes() * 8 * u64::from(clock_rate) / segment.duration().max(1)
}
