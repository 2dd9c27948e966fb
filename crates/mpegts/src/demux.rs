//! Bytes of a transport stream in, units of its programs out.

use crate::alignment::Alignment;
use crate::codec::{Stream, StreamRefusal, codec_of};
use crate::event::{DropReason, Event, Stats, TrackId};
use crate::packet::{PACKET_BYTES, Packet, Pid};
use crate::program::{Association, Program};
use crate::psi::{ProgramMap, SectionError, Table};
use crate::queue::Queue;
use crate::track::{Held, Track};

/// What a source may have of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Programs that are read; further ones are counted as refused sections.
    pub programs: usize,
    /// Streams that are read, of all programs; further ones are refused by an event.
    pub tracks: usize,
    /// Bytes of one PES packet or picture; a longer one is dropped.
    pub unit_bytes: usize,
    /// Bytes of all that is not whole yet; what goes beyond is dropped.
    pub held_bytes: usize,
    /// Events not taken yet; beyond it units are dropped.
    pub events: usize,
}

impl Default for Limits {
    /// 16 programs, 32 tracks, 8 MiB a unit and 32 MiB of all, 16,384 events.
    fn default() -> Self {
        Self {
            programs: 16,
            tracks: 32,
            unit_bytes: 8 << 20,
            held_bytes: 32 << 20,
            events: 16_384,
        }
    }
}

/// Places of the table of PIDs are bytes.
const MAX_SLOTS: usize = 255;
const UNNAMED: u8 = 0;

/// Takes a transport stream apart.
///
/// Inputs: [`handle_bytes`](Self::handle_bytes) with any runs of bytes, [`finish`](Self::finish) at the end. Outputs:
/// [`poll_event`](Self::poll_event) until it is empty after each input, [`stats`](Self::stats). Order: events are in the order of the stream,
/// and the same however the bytes are split. Limits: [`Limits`].
#[derive(Debug)]
pub struct Demuxer {
    alignment: Alignment,
    core: Core,
    told_refusal: bool,
}

#[derive(Debug)]
struct Core {
    limits: Limits,
    /// By PID: which slot, or [`UNNAMED`].
    pids: Box<[u8; 1 << 13]>,
    slots: Vec<Slot>,
    association: Association,
    programs: Vec<Program>,
    next_track: u32,
    held: Held,
    queue: Queue,
}

/// What is known of one PID.
#[derive(Debug)]
struct Slot {
    pid: Pid,
    role: Role,
    counter: Option<u8>,
    repeated: bool,
}

#[derive(Debug)]
enum Role {
    /// Not in use.
    Free,
    Association,
    /// The map of the program with this number.
    Map(u16),
    /// Nothing but the clock of a program.
    Clock,
    Track(Box<Track>),
}

/// What the counter of a packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Continuity {
    Follows,
    Repeats,
    Jumps,
}

impl Demuxer {
    /// One for a source that has not begun.
    pub fn new(limits: Limits) -> Self {
        Self {
            alignment: Alignment::default(),
            core: Core::new(limits),
            told_refusal: false,
        }
    }

    /// Take bytes of the stream.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        let core = &mut self.core;
        self.alignment
            .feed(bytes, |packet| core.handle_packet(packet));
        if let Some(size) = self.alignment.foreign
            && !std::mem::replace(&mut self.told_refusal, true)
        {
            core.queue.tell(Event::Refused { size });
        }
    }

    /// The source has ended: what is whole is given.
    pub fn finish(&mut self) {
        let core = &mut self.core;
        self.alignment.finish(|packet| core.handle_packet(packet));
        for slot in &mut core.slots {
            if let Role::Track(track) = &mut slot.role {
                track.finish(&core.limits, &mut core.queue);
            }
        }
        core.held.bytes = 0;
    }

    /// Give the next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.core.queue.poll()
    }

    /// Counters since the beginning.
    pub fn stats(&self) -> Stats {
        Stats {
            skipped_bytes: self.alignment.skipped_bytes,
            sync_losses: self.alignment.losses,
            ..self.core.queue.stats
        }
    }

    /// Bytes of units that are not whole yet.
    pub fn held_bytes(&self) -> usize {
        self.core.held.bytes
    }
}

impl Default for Demuxer {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Core {
    fn new(limits: Limits) -> Self {
        let mut core = Self {
            limits,
            pids: Box::new([UNNAMED; 1 << 13]),
            slots: vec![Slot::new(Pid::NULL, Role::Free)],
            association: Association::default(),
            programs: Vec::new(),
            next_track: 0,
            held: Held::default(),
            queue: Queue::new(limits.events),
        };
        core.assign(Pid::PAT, Role::Association);
        core
    }

    #[inline]
    fn handle_packet(&mut self, bytes: &[u8; PACKET_BYTES]) {
        self.queue.stats.packets += 1;
        let Some(packet) = Packet::parse(bytes) else {
            self.queue.stats.malformed_packets += 1;
            return;
        };
        if packet.transport_error {
            // Its PID may be wrong too.
            self.queue.stats.transport_errors += 1;
            return;
        }
        let at = self.pids[packet.pid.number() as usize];
        if at == UNNAMED {
            if packet.pid == Pid::NULL {
                self.queue.stats.null_packets += 1;
            } else {
                self.queue.stats.unnamed += 1;
            }
            return;
        }
        let slot = &mut self.slots[at as usize];
        let continuity = slot.follow(&packet);
        match continuity {
            Continuity::Repeats if slot.role.is_repetition(&packet) => {
                self.queue.stats.duplicates += 1;
                return;
            }
            Continuity::Follows | Continuity::Repeats => {}
            Continuity::Jumps => self.queue.stats.continuity_errors += 1,
        }
        if let Role::Track(track) = &mut slot.role {
            let before = track.len();
            // A packet that is announced as one that does not follow is no fault, but what was begun is lost all the same.
            if continuity == Continuity::Jumps {
                track.handle_gap(&mut self.queue);
            }
            if packet.unit_start && packet.has_payload && !track.is_sections() {
                track.end_packet(&self.limits, &mut self.queue);
            }
            if packet.unit_start && packet.discontinuity {
                track.finish(&self.limits, &mut self.queue);
            }
            self.held.bytes = self.held.bytes + track.len() - before;
        }
        if packet.pcr.is_some() || packet.discontinuity {
            self.handle_clock(&packet);
        }
        if packet.has_payload {
            self.handle_payload(at, continuity, &packet);
        }
    }

    fn handle_payload(&mut self, at: u8, continuity: Continuity, packet: &Packet<'_>) {
        let slot = &mut self.slots[at as usize];
        if packet.scrambled {
            self.queue.stats.scrambled += 1;
            if let Role::Track(track) = &mut slot.role
                && packet.unit_start
            {
                track.give_up(DropReason::Scrambled, &mut self.queue);
            }
            return;
        }
        match &mut slot.role {
            Role::Track(track) if track.is_sections() => {
                track.handle_sections(packet, &self.programs, &mut self.queue);
            }
            Role::Track(track) => {
                let before = track.len();
                if packet.unit_start {
                    track.begin_packet();
                }
                track.handle_payload(
                    packet.payload,
                    &mut self.programs,
                    &self.limits,
                    &self.held,
                    &mut self.queue,
                );
                self.held.bytes = self.held.bytes + track.len() - before;
            }
            Role::Association => self.handle_association(continuity, packet),
            Role::Map(number) => {
                let number = *number;
                self.handle_map(number, continuity, packet);
            }
            Role::Clock | Role::Free => {}
        }
    }

    fn handle_clock(&mut self, packet: &Packet<'_>) {
        let Some(pcr) = packet.pcr else { return };
        for program in self
            .programs
            .iter_mut()
            .filter(|program| program.pcr_pid == packet.pid)
        {
            let number = program.number;
            if packet.discontinuity {
                self.queue.tell(Event::Discontinuity { program: number });
            }
            let pcr = program.clock.place_pcr(pcr);
            self.queue.tell(Event::Clock {
                program: number,
                pcr,
            });
        }
    }

    fn handle_association(&mut self, continuity: Continuity, packet: &Packet<'_>) {
        if continuity == Continuity::Jumps {
            self.association.sections.lose();
        }
        let mut sections = std::mem::take(&mut self.association.sections);
        let before = sections.incomplete;
        sections.push(
            packet.payload,
            packet.unit_start,
            |section| match Table::pat(section) {
                Ok(table) => {
                    if let Some(programs) = self.association.take(&table) {
                        self.apply_association(&programs);
                    }
                }
                Err(why) => self.count(why),
            },
        );
        self.queue.stats.refused_sections += sections.incomplete - before;
        self.association.sections = sections;
    }

    fn apply_association(&mut self, programs: &[(u16, Pid)]) {
        let gone: Vec<u16> = self
            .programs
            .iter()
            .filter(|is| !programs.contains(&(is.number, is.map_pid)))
            .map(|is| is.number)
            .collect();
        for number in gone {
            self.remove_program(number);
        }
        for &(number, pid) in programs {
            if self.programs.iter().any(|is| is.number == number) {
                continue;
            }
            let fits = self.programs.len() < self.limits.programs;
            if fits && self.assign(pid, Role::Map(number)) {
                self.programs.push(Program::new(number, pid));
            } else {
                self.queue.stats.refused_sections += 1;
            }
        }
    }

    fn remove_program(&mut self, number: u16) {
        self.retain_tracks(number, |_| false);
        self.programs.retain(|program| program.number != number);
        for at in 1..self.slots.len() {
            if matches!(self.slots[at].role, Role::Map(is) if is == number) {
                self.free(at);
            }
        }
        self.free_clocks();
    }

    fn handle_map(&mut self, number: u16, continuity: Continuity, packet: &Packet<'_>) {
        let Some(at) = self
            .programs
            .iter()
            .position(|program| program.number == number)
        else {
            return;
        };
        let mut sections = std::mem::take(&mut self.programs[at].sections);
        if continuity == Continuity::Jumps {
            sections.lose();
        }
        let before = sections.incomplete;
        sections.push(packet.payload, packet.unit_start, |section| {
            let table = match Table::pmt(section) {
                Ok(table) => table,
                Err(why) => return self.count(why),
            };
            let program = &mut self.programs[at];
            // Maps of several programs may come on one PID.
            if table.extension != number || program.applied == Some(table.checksum) {
                return;
            }
            let Some(map) = table.map() else {
                self.queue.stats.refused_sections += 1;
                return;
            };
            program.applied = Some(table.checksum);
            program.pcr_pid = map.pcr_pid;
            self.apply_map(number, &map);
        });
        self.queue.stats.refused_sections += sections.incomplete - before;
        self.programs[at].sections = sections;
    }

    fn apply_map(&mut self, number: u16, map: &ProgramMap<'_>) {
        let mut wanted = Vec::new();
        for entry in &map.streams {
            let stream = codec_of(map, entry).map(|codec| Stream {
                program: number,
                pid: entry.pid,
                codec,
                language: entry.descriptors.language(),
            });
            wanted.push((entry, stream));
        }
        self.retain_tracks(number, |stream| {
            wanted.iter().any(|(_, is)| *is == Ok(*stream))
        });
        self.free_clocks();
        for (entry, stream) in wanted {
            let added = stream.and_then(|stream| self.add_track(stream));
            if let Err(reason) = added {
                self.queue.tell(Event::StreamRefused {
                    program: number,
                    pid: entry.pid,
                    stream_type: entry.stream_type,
                    reason,
                });
            }
        }
        // The clock may come on a PID of its own, or on one that is not read otherwise.
        if map.pcr_pid != Pid::NULL && self.pids[map.pcr_pid.number() as usize] == UNNAMED {
            self.assign(map.pcr_pid, Role::Clock);
        }
    }

    fn add_track(&mut self, stream: Stream) -> Result<(), StreamRefusal> {
        let at = self.pids[stream.pid.number() as usize] as usize;
        match &self.slots[at].role {
            Role::Track(track) if track.stream == stream => return Ok(()),
            Role::Clock => self.free(at),
            Role::Free => {}
            _ => return Err(StreamRefusal::PidInUse),
        }
        let tracks = self
            .slots
            .iter()
            .filter(|slot| matches!(slot.role, Role::Track(_)))
            .count();
        let track = TrackId(self.next_track);
        if tracks >= self.limits.tracks
            || !self.assign(stream.pid, Role::Track(Box::new(Track::new(track, stream))))
        {
            return Err(StreamRefusal::TooMany);
        }
        self.next_track += 1;
        self.queue.tell(Event::TrackAdded { track, stream });
        Ok(())
    }

    /// Tracks of a program that are wanted no more are given to their end.
    fn retain_tracks(&mut self, program: u16, wanted: impl Fn(&Stream) -> bool) {
        for at in 1..self.slots.len() {
            let Role::Track(track) = &mut self.slots[at].role else {
                continue;
            };
            if track.stream.program != program || wanted(&track.stream) {
                continue;
            }
            self.held.bytes -= track.len();
            track.finish(&self.limits, &mut self.queue);
            self.queue.tell(Event::TrackRemoved { track: track.id });
            self.free(at);
        }
    }

    /// PIDs that only carried the clock of a program that has another now.
    fn free_clocks(&mut self) {
        for at in 1..self.slots.len() {
            let slot = &self.slots[at];
            let is_read = self
                .programs
                .iter()
                .any(|program| program.pcr_pid == slot.pid);
            if matches!(slot.role, Role::Clock) && !is_read {
                self.free(at);
            }
        }
    }

    /// Give a PID a role; false where it has one, or there is no room.
    fn assign(&mut self, pid: Pid, role: Role) -> bool {
        if self.pids[pid.number() as usize] != UNNAMED || pid == Pid::NULL {
            return false;
        }
        let slot = Slot::new(pid, role);
        let free = self
            .slots
            .iter()
            .skip(1)
            .position(|slot| matches!(slot.role, Role::Free));
        let at = match free {
            Some(at) => at + 1,
            None if self.slots.len() > MAX_SLOTS => return false,
            None => {
                self.slots.push(Slot::new(Pid::NULL, Role::Free));
                self.slots.len() - 1
            }
        };
        self.slots[at] = slot;
        self.pids[pid.number() as usize] = at as u8;
        true
    }

    fn free(&mut self, at: usize) {
        let slot = std::mem::replace(&mut self.slots[at], Slot::new(Pid::NULL, Role::Free));
        self.pids[slot.pid.number() as usize] = UNNAMED;
    }

    fn count(&mut self, why: SectionError) {
        match why {
            SectionError::Checksum => self.queue.stats.checksum_errors += 1,
            SectionError::Malformed => self.queue.stats.refused_sections += 1,
            SectionError::NotForUs => {}
        }
    }
}

impl Role {
    /// Whether a packet with the counter of the one before is that packet once more. Sections have checksums and are not worth
    /// losing: some write them with a counter that stands still, or begin to count anew.
    fn is_repetition(&self, packet: &Packet<'_>) -> bool {
        match self {
            Self::Association | Self::Map(_) => !packet.unit_start,
            Self::Track(track) => track.is_repetition(packet),
            Self::Clock | Self::Free => true,
        }
    }
}

impl Slot {
    fn new(pid: Pid, role: Role) -> Self {
        Self {
            pid,
            role,
            counter: None,
            repeated: false,
        }
    }

    /// The counter rises with each packet that has a payload; one packet may be sent twice (H.222.0 section 2.4.3.3).
    #[inline]
    fn follow(&mut self, packet: &Packet<'_>) -> Continuity {
        if !packet.has_payload {
            return Continuity::Follows;
        }
        let last = self.counter.replace(packet.counter);
        let repeats = last == Some(packet.counter) && !packet.discontinuity;
        let repeated = std::mem::replace(&mut self.repeated, repeats);
        match last {
            None => Continuity::Follows,
            Some(_) if repeats && !repeated => Continuity::Repeats,
            Some(last) if (last + 1) & 0x0f == packet.counter => Continuity::Follows,
            // Announced: no fault, but nothing goes on over it.
            Some(_) if packet.discontinuity && packet.unit_start => Continuity::Follows,
            Some(_) => Continuity::Jumps,
        }
    }
}
