//! One stream of a program: packets in, PES packets or sections out of them.

use crate::codec::Stream;
use crate::crc::crc32;
use crate::demux::Limits;
use crate::elementary::Elementary;
use crate::event::{DropReason, Event, TrackId};
use crate::packet::Packet;
use crate::pes::{self, HeaderState, PesHeader};
use crate::program::Program;
use crate::queue::Queue;
use crate::section::SectionBuffer;
use crate::splice::{Splice, SpliceError};
use crate::video::Times;

/// One stream of a program that is read.
#[derive(Debug)]
pub(crate) struct Track {
    pub id: TrackId,
    pub stream: Stream,
    elementary: Elementary,
    state: State,
    /// The PES packet so far, its header included.
    bytes: Vec<u8>,
    /// How long it will be; none: until the next begins.
    whole: Option<usize>,
    sections: SectionBuffer,
    /// Checksum of the last packet with sections.
    last_sections: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is looked at before the next beginning.
    Waiting,
    /// The header is not whole yet.
    Header,
    Payload {
        from: usize,
        times: Option<Times>,
    },
}

/// What a buffer that is empty keeps: a keyframe of most streams.
const KEPT_BYTES: usize = 256 << 10;

/// Empty a buffer; a large one is given back, as what is held is counted by what is in it.
pub(crate) fn empty(bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.shrink_to(KEPT_BYTES);
}

/// What is held in all tracks together, against its limit.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub bytes: usize,
}

impl Track {
    pub(crate) fn new(id: TrackId, stream: Stream) -> Self {
        Self {
            id,
            stream,
            elementary: Elementary::new(stream.codec),
            state: State::Waiting,
            bytes: Vec::new(),
            whole: None,
            sections: SectionBuffer::default(),
            last_sections: 0,
        }
    }

    /// Bytes held.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.elementary.len()
    }

    /// Whether it comes in sections.
    pub(crate) fn is_sections(&self) -> bool {
        self.stream.codec.is_sections()
    }

    /// Whether a packet with the counter of the one before is that packet once more.
    pub(crate) fn is_repetition(&self, packet: &Packet<'_>) -> bool {
        !self.is_sections() || crc32(packet.payload) == self.last_sections
    }

    /// A packet is missing.
    pub(crate) fn handle_gap(&mut self, queue: &mut Queue) {
        if self.is_sections() {
            let before = self.sections.incomplete;
            self.sections.lose();
            self.count_incomplete(before, DropReason::Continuity, queue);
            return;
        }
        // Where nothing was begun, a whole one is missing.
        self.give_up(DropReason::Continuity, queue);
    }

    /// What was begun is not given, and nothing is looked at before the next beginning.
    pub(crate) fn give_up(&mut self, reason: DropReason, queue: &mut Queue) {
        empty(&mut self.bytes);
        self.state = State::Waiting;
        // What is held was whole: the next had begun already.
        if let Elementary::Video(video) = &mut self.elementary {
            video.finish(self.id, queue);
        }
        self.elementary.drop_unit(reason, self.id, queue);
    }

    /// The next packet begins something: what came before is whole, or will never be.
    pub(crate) fn end_packet(&mut self, limits: &Limits, queue: &mut Queue) {
        match self.state {
            State::Waiting => {}
            State::Payload { from, times } if self.whole.is_none() => {
                self.complete(from, times, limits, queue);
            }
            State::Header | State::Payload { .. } => self.give_up(DropReason::Incomplete, queue),
        }
    }

    /// The source has ended, or goes on elsewhere: all that is whole is given.
    pub(crate) fn finish(&mut self, limits: &Limits, queue: &mut Queue) {
        self.end_packet(limits, queue);
        self.elementary.finish(self.id, queue);
        let before = self.sections.incomplete;
        self.sections.lose();
        self.count_incomplete(before, DropReason::Incomplete, queue);
    }

    /// A PES packet begins.
    pub(crate) fn begin_packet(&mut self) {
        empty(&mut self.bytes);
        self.whole = None;
        self.state = State::Header;
    }

    /// Take payload of a PES packet.
    #[inline]
    pub(crate) fn handle_payload(
        &mut self,
        payload: &[u8],
        program: &mut [Program],
        limits: &Limits,
        held: &Held,
        queue: &mut Queue,
    ) {
        if self.state == State::Waiting {
            return;
        }
        let all = held.bytes + payload.len();
        if self.bytes.len() + payload.len() > limits.unit_bytes || all > limits.held_bytes {
            return self.give_up(DropReason::TooLarge, queue);
        }
        self.bytes.extend_from_slice(payload);
        if self.state == State::Header {
            self.read_header(program, queue);
        }
        if let State::Payload { from, times } = self.state
            && self.whole.is_some_and(|whole| self.bytes.len() >= whole)
        {
            self.complete(from, times, limits, queue);
        }
    }

    /// Take payload with sections.
    pub(crate) fn handle_sections(
        &mut self,
        packet: &Packet<'_>,
        programs: &[Program],
        queue: &mut Queue,
    ) {
        let clock = programs
            .iter()
            .find(|program| program.number == self.stream.program)
            .map_or_else(Default::default, |program| program.clock);
        self.last_sections = crc32(packet.payload);
        let (track, before) = (self.id, self.sections.incomplete);
        self.sections.push(
            packet.payload,
            packet.unit_start,
            |section| match Splice::parse(section, clock) {
                Ok(splice) => queue.give_timed(Event::Splice { track, splice }),
                Err(why) => {
                    queue.stats.checksum_errors += u64::from(why == SpliceError::Checksum);
                    queue.drop_unit(track, DropReason::Malformed);
                }
            },
        );
        self.count_incomplete(before, DropReason::Incomplete, queue);
    }

    fn count_incomplete(&mut self, before: u64, reason: DropReason, queue: &mut Queue) {
        for _ in before..self.sections.incomplete {
            queue.drop_unit(self.id, reason);
        }
    }

    fn read_header(&mut self, programs: &mut [Program], queue: &mut Queue) {
        match pes::read_header(&self.bytes) {
            HeaderState::Partial => {}
            HeaderState::Malformed => self.give_up(DropReason::Malformed, queue),
            HeaderState::Read(header) if header.scrambled => {
                self.give_up(DropReason::Scrambled, queue);
            }
            HeaderState::Read(header) => {
                let from = header.payload_at;
                self.whole = pes::whole_length(&self.bytes);
                if self.whole.is_some_and(|whole| whole < from) {
                    return self.give_up(DropReason::Malformed, queue);
                }
                let times = self.place(&header, programs);
                self.state = State::Payload { from, times };
                self.elementary
                    .handle_begin(&self.bytes[from..], self.id, queue);
            }
        }
    }

    fn place(&self, header: &PesHeader, programs: &mut [Program]) -> Option<Times> {
        let program = programs
            .iter_mut()
            .find(|program| program.number == self.stream.program)?;
        let pts = header.pts?;
        let dts = program.clock.advance(header.dts.unwrap_or(pts));
        Some(Times {
            pts: program.clock.place(pts),
            dts,
        })
    }

    fn complete(&mut self, from: usize, times: Option<Times>, limits: &Limits, queue: &mut Queue) {
        if let Some(whole) = self.whole {
            // What is behind it in its last packet is filling.
            self.bytes.truncate(whole);
        }
        self.state = State::Waiting;
        let give = (self.id, queue);
        self.elementary
            .handle_packet(&mut self.bytes, from, times, limits.unit_bytes, give);
        empty(&mut self.bytes);
    }
}
