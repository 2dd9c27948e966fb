//! One media playlist's worth of media: samples gathered into parts, parts into segments, in a window.

use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use roomtone_frames::{AccessUnit, Format};

use crate::boxes::{BoxError, Sample, chunk, init_segment};
use crate::cadence::Cadence;
use crate::encryption::Encryption;
use crate::list::{List, Medium};
use crate::protection::{Protection, Runs, protect};
use crate::tags::Tags;

/// A longer hole is a jump of the source's clock and becomes a discontinuity; a shorter one is listed as lost.
pub(crate) const MAX_HOLE_US: i64 = 60_000_000;

/// A list of samples of one track, and what of it is not listed yet.
pub(crate) struct Rendition {
    pub list: List,
    pub format: Format,
    /// Units that came too late to have a place.
    pub late: u64,
    /// Timed metadata that goes with it.
    pub tags: Tags,
    /// The last unit that decoding may begin with, before it is encrypted.
    keyframe: Option<Bytes>,
    samples: Vec<Sample>,
    /// How long the samples are, in ticks.
    part_duration: u64,
    /// The unit whose duration is not known before the next.
    pending: Option<AccessUnit>,
    /// The last duration seen.
    nominal: u64,
    chunks: u32,
}

impl Deref for Rendition {
    type Target = List;

    fn deref(&self) -> &List {
        &self.list
    }
}

impl DerefMut for Rendition {
    fn deref_mut(&mut self) -> &mut List {
        &mut self.list
    }
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
        let first = header(&format, rate, encryption.as_ref(), 0)?;
        let mut list = List::new(
            name,
            Medium::Samples,
            (rate, start),
            cadence,
            window_us,
            encryption,
        );
        list.add_map(first);
        Ok(Self {
            list,
            format,
            late: 0,
            tags: Tags::default(),
            keyframe: None,
            samples: Vec::new(),
            part_duration: 0,
            pending: None,
            nominal: 0,
            chunks: 0,
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

    /// A time in ticks of a format's clock in those of all its times.
    pub(crate) fn own_ticks(&self, ticks: i64, format: &Format) -> i64 {
        let (from, to) = (i128::from(format.clock_rate().max(1)), self.rate);
        ((i128::from(ticks) * i128::from(to) + from / 2) / from) as i64
    }

    /// Take a unit; with `cut` a new segment begins with it. True when a part was finished.
    pub(crate) fn push(&mut self, unit: AccessUnit, cut: bool) -> Result<bool, BoxError> {
        let before = self.next_part();
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
        Ok(self.next_part() != before)
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
        let number = self.open.number;
        let by_samples = self.list.ciphers.open().filter(|one| one.is_by_samples());
        let protected = by_samples.is_some();
        if let Some(encryption) = by_samples {
            for sample in &mut self.samples {
                (sample.data, sample.runs) =
                    protect(&self.format, encryption, number, &sample.data)?;
            }
        }
        let start = self.part_start.max(0) as u64;
        let mut body = chunk(self.chunks, start, &self.samples, protected)?;
        let ends = self.part_start + self.part_duration as i64 + self.open.shown_after;
        let mut tags = self.tags.take_before(self.list.us(ends), self.list.rate);
        if !tags.is_empty() {
            tags.extend_from_slice(&body);
            body = tags.freeze();
        }
        self.chunks = self.chunks.wrapping_add(1);
        let independent = self.samples[0].keyframe;
        self.samples.clear();
        let sealed = match self.list.ciphers.open() {
            Some(encryption) if !protected => Some(encryption.seal(number, &[&body[..]])?),
            _ => None,
        };
        match sealed {
            Some(sealed) => self.list_part(independent, Some(sealed), Some(body)),
            None => self.list_part(independent, Some(body), None),
        }
        Ok(())
    }

    fn list_part(&mut self, independent: bool, body: Option<Bytes>, clear: Option<Bytes>) {
        let duration = std::mem::take(&mut self.part_duration);
        self.list.push(duration, independent, body, clear);
    }

    /// List what is lost as parts that cannot be had.
    pub(crate) fn gap(&mut self, ticks: u64) -> Result<(), BoxError> {
        self.close_part()?;
        let target = self.ticks(self.cadence.part_target_us);
        let mut left = ticks;
        while left > 0 {
            self.part_duration = left.min(target);
            left -= self.part_duration;
            self.list_part(false, None, None);
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
        let mut done = self.list.turn_over();
        if let Some(encryption) = self.list.ciphers.open() {
            done.seal(encryption)?;
        }
        let number = self.open.number;
        self.ciphers.begin(number)?;
        self.turn_key()?;
        self.list.complete(done);
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

    /// Pictures a second, by the last of them.
    pub(crate) fn frame_rate(&self) -> Option<f64> {
        (self.nominal > 0).then(|| f64::from(self.rate) / self.nominal as f64)
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
