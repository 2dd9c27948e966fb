//! Pictures out of PES packets that may hold a part of one, one, or several.

use roomtone_frames::annexb;
use roomtone_frames::nal::split_lengths;
use roomtone_frames::{AccessUnit, Format, NalCodec, NalKind, h264, hevc};

use crate::event::{DropReason, Event, TrackId};
use crate::queue::Queue;
use crate::track::empty;

/// PES packets of which one picture may be made; with a slice in each, those of level 5.2 at 1080p fit.
const MAX_PACKETS: u32 = 128;

/// Times of a picture, unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub pts: i64,
    pub dts: i64,
}

/// Pictures of one stream.
///
/// The last picture of a packet is held until the next packet shows whether it goes on. Limits: the track bounds each
/// packet; here at most one picture is held, of `limit` bytes.
#[derive(Debug)]
pub(crate) struct Video {
    codec: NalCodec,
    sets: Sets,
    held: Held,
    format: Option<Format>,
    /// Nothing can be decoded before the next keyframe.
    waits: bool,
    /// Pictures that precede the keyframe at which decoding began refer to what was not given.
    skips_leading: bool,
    last: Option<Times>,
    /// Ticks from picture to picture.
    interval: Option<i64>,
    /// Two fields may be two pictures that are one unit.
    fields: bool,
}

/// A byte stream that begins with a picture and is held.
#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    from: usize,
    times: Option<Times>,
    packets: u32,
}

#[derive(Debug)]
enum Sets {
    H264(h264::ParameterSets),
    Hevc(hevc::ParameterSets),
}

impl Sets {
    fn take(&mut self, nal: &[u8]) -> bool {
        match self {
            Self::H264(sets) => sets.take(nal),
            Self::Hevc(sets) => sets.take(nal),
        }
    }

    fn format(&self) -> Option<Format> {
        match self {
            Self::H264(sets) => sets.format().map(Format::H264),
            Self::Hevc(sets) => sets.format().map(Format::Hevc),
        }
    }
}

impl Video {
    pub(crate) fn new(codec: NalCodec) -> Self {
        Self {
            codec,
            sets: match codec {
                NalCodec::H264 => Sets::H264(h264::ParameterSets::default()),
                NalCodec::Hevc => Sets::Hevc(hevc::ParameterSets::default()),
            },
            held: Held::default(),
            format: None,
            waits: true,
            skips_leading: false,
            last: None,
            interval: None,
            fields: false,
        }
    }

    /// A packet has begun with these bytes; true where they show that what is held is whole, and it was given.
    pub(crate) fn handle_begin(&mut self, bytes: &[u8], track: TrackId, queue: &mut Queue) -> bool {
        let begins = self.begins_unit(bytes);
        if begins {
            self.finish(track, queue);
        }
        begins
    }

    /// A packet is whole: its payload is `bytes` from `from` on. The buffer is taken and another given back.
    pub(crate) fn handle_packet(
        &mut self,
        bytes: &mut Vec<u8>,
        from: usize,
        times: Option<Times>,
        limit: usize,
        (track, queue): (TrackId, &mut Queue),
    ) {
        let goes_on = !self.held.is_empty() && !self.handle_begin(&bytes[from..], track, queue);
        if goes_on {
            let begins = self.held.bytes.len();
            self.held.packets += 1;
            let size = begins - self.held.from + bytes.len() - from;
            if size > limit || self.held.packets > MAX_PACKETS {
                self.held.clear();
                return self.drop_unit(DropReason::TooLarge, track, queue);
            }
            self.held.bytes.extend_from_slice(&bytes[from..]);
            return self.split(begins, times, track, queue);
        }
        self.held.clear();
        let Some(begins) = self.first_begin(&bytes[from..]) else {
            // The rest of a picture whose beginning is not known.
            return self.drop_unit(DropReason::Undecodable, track, queue);
        };
        std::mem::swap(&mut self.held.bytes, bytes);
        let from = from + begins;
        self.held.from = from;
        self.held.times = times;
        self.split(from, None, track, queue);
    }

    /// Give what is held.
    pub(crate) fn finish(&mut self, track: TrackId, queue: &mut Queue) {
        if self.held.is_empty() {
            return;
        }
        let held = std::mem::take(&mut self.held);
        self.give(&held.bytes[held.from..], held.times, track, queue);
        self.held = held;
        self.held.clear();
    }

    /// Something is not given: what follows refers to it.
    pub(crate) fn drop_unit(&mut self, reason: DropReason, track: TrackId, queue: &mut Queue) {
        self.waits = true;
        queue.drop_unit(track, reason);
    }

    /// Bytes held.
    pub(crate) fn len(&self) -> usize {
        self.held.bytes.len()
    }

    /// Give all pictures of what is held but the last; of those that begin at `begins` or behind it the first has these
    /// times, and the others have none.
    fn split(
        &mut self,
        begins: usize,
        mut times: Option<Times>,
        track: TrackId,
        queue: &mut Queue,
    ) {
        let mut held = std::mem::take(&mut self.held);
        let stream = &held.bytes[held.from..];
        let mut ends = annexb::split_pictures(self.codec, stream)
            .map(|piece| piece.as_ptr() as usize - stream.as_ptr() as usize + piece.len())
            .collect::<Vec<_>>();
        ends.pop();
        if !ends.is_empty() && self.codec == NalCodec::H264 {
            // The set that says whether there are fields may be in this very stream.
            let mut sets =
                annexb::split(stream).filter(|nal| NalCodec::H264.kind(nal) == Some(NalKind::Sps));
            self.fields = sets.next().map_or(self.fields, codes_fields);
        }
        let mut joined = 0;
        let mut from = 0;
        for end in ends {
            // A second field without a time of its own belongs to the first.
            let untimed = times.is_none() || held.from + end < begins;
            if self.fields && untimed && joined == 0 {
                joined = 1;
                continue;
            }
            joined = 0;
            self.give(&stream[from..end], held.times, track, queue);
            held.times = if held.from + end >= begins {
                times.take()
            } else {
                None
            };
            held.packets = 0;
            from = end;
        }
        held.from += from;
        self.held = held;
    }

    fn give(&mut self, stream: &[u8], times: Option<Times>, track: TrackId, queue: &mut Queue) {
        let mut changed = false;
        let sets = &mut self.sets;
        let picture = annexb::read(self.codec, stream, |set| changed |= sets.take(set));
        if changed {
            self.update_format(track, queue);
        }
        if picture.malformed > 0 {
            return self.drop_unit(DropReason::Malformed, track, queue);
        }
        if !picture.has_slice {
            return;
        }
        let keyframe = picture.keyframe || self.recovers(&picture.data);
        if self.format.is_none()
            || self.waits && !keyframe
            || self.is_skipped(&picture.data, keyframe)
        {
            return queue.drop_unit(track, DropReason::Undecodable);
        }
        let Some(times) = times.or_else(|| self.extrapolate()) else {
            return self.drop_unit(DropReason::Untimed, track, queue);
        };
        self.note(times);
        let unit = AccessUnit {
            dts: times.dts,
            pts: times.pts,
            keyframe,
            data: picture.data,
        };
        self.waits = !queue.give(Event::Unit { track, unit });
    }

    fn update_format(&mut self, track: TrackId, queue: &mut Queue) {
        let Some(format) = self
            .sets
            .format()
            .filter(|new| self.format.as_ref() != Some(new))
        else {
            return;
        };
        self.fields = matches!(&format, Format::H264(h264) if codes_fields(&h264.sps));
        self.format = Some(format.clone());
        queue.tell(Event::Format { track, format });
    }

    fn note(&mut self, times: Times) {
        if let Some(last) = self.last {
            self.interval = Some(times.dts - last.dts).filter(|&interval| interval > 0);
        }
        self.last = Some(times);
    }

    /// Where pictures are not reordered, one without a time follows the last.
    fn extrapolate(&self) -> Option<Times> {
        let last = self.last.filter(|last| last.pts == last.dts)?;
        let time = last.dts + self.interval?;
        Some(Times {
            pts: time,
            dts: time,
        })
    }

    /// Whether decoding may begin at an H.264 picture that is no IDR: its supplemental information says that it recovers
    /// (section D.2.8). Streams of broadcasters have no other.
    fn recovers(&self, data: &[u8]) -> bool {
        self.codec == NalCodec::H264
            && split_lengths(data)
                .take_while(|nal| !NalCodec::H264.kind(nal).is_some_and(NalKind::is_slice))
                .filter(|nal| NalCodec::H264.kind(nal) == Some(NalKind::Sei))
                .any(has_recovery_point)
    }

    /// Whether a picture of HEVC is shown before the keyframe at which decoding began, and refers to others (RASL; H.265
    /// section 3.120).
    fn is_skipped(&mut self, data: &[u8], keyframe: bool) -> bool {
        if self.codec != NalCodec::Hevc {
            return false;
        }
        let kind = split_lengths(data)
            .find(|nal| NalCodec::Hevc.kind(nal).is_some_and(NalKind::is_slice))
            .map_or(0, |nal| nal[0] >> 1 & 0x3f);
        if keyframe {
            // After an IDR picture there are none.
            self.skips_leading = self.waits && !matches!(kind, 19 | 20);
        }
        self.skips_leading && matches!(kind, 8 | 9)
    }

    /// Where the first picture begins in a packet that need not begin with one.
    fn first_begin(&self, stream: &[u8]) -> Option<usize> {
        if self.begins_unit(stream) {
            return Some(0);
        }
        let nal = annexb::split(stream).find(|nal| annexb::begins_unit(self.codec, nal))?;
        Some(nal.as_ptr() as usize - stream.as_ptr() as usize - 3)
    }

    fn begins_unit(&self, stream: &[u8]) -> bool {
        let zeros = stream.iter().take_while(|&&byte| byte == 0).count();
        zeros >= 2
            && stream.get(zeros) == Some(&1)
            && annexb::begins_unit(self.codec, &stream[zeros + 1..])
    }
}

impl Held {
    fn is_empty(&self) -> bool {
        self.bytes.len() == self.from
    }

    fn clear(&mut self) {
        empty(&mut self.bytes);
        self.from = 0;
        self.times = None;
        self.packets = 0;
    }
}

/// Walk over the messages of a NAL unit of supplemental information (section 7.3.2.3.1).
fn has_recovery_point(nal: &[u8]) -> bool {
    const RECOVERY_POINT: usize = 6;
    let mut rest = &nal[1..];
    // The last byte is the stop bit.
    while rest.len() > 2 {
        let Some((kind, behind)) = read_sum(rest) else {
            return false;
        };
        let Some((length, behind)) = read_sum(behind) else {
            return false;
        };
        if kind == RECOVERY_POINT {
            return true;
        }
        // Emulation prevention lengthens what is skipped; a type found too early is the worst of it.
        rest = behind.get(length..).unwrap_or(&[]);
    }
    false
}

/// Bytes of 255 and one that is less.
fn read_sum(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let full = bytes.iter().take_while(|&&byte| byte == 255).count();
    Some((full * 255 + *bytes.get(full)? as usize, &bytes[full + 1..]))
}

/// Whether pictures may be single fields.
fn codes_fields(sps: &[u8]) -> bool {
    use h264_reader::nal::sps::{FrameMbsFlags, SeqParameterSet};
    use h264_reader::rbsp::{BitReader, ByteReader};

    let bytes = ByteReader::skipping_bytes(sps, std::num::NonZeroUsize::MIN);
    SeqParameterSet::from_bits(BitReader::new(bytes))
        .is_ok_and(|sps| matches!(sps.frame_mbs_flags, FrameMbsFlags::Fields { .. }))
}
