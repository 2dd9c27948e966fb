//! Which media section, and which encoding of it, a packet belongs to (RFC 8843 section 9.2,
//! RFC 8852): by MID and RID where the packet carries them, by SSRC where that is declared or was
//! learnt, and at last by a payload type that only one section has.

mod sources;

use self::sources::{Place, Source, Sources};
use crate::unwrap::seq_newer;

/// How many SSRCs a router keeps, unless it is told otherwise.
pub const DEFAULT_MAX_SSRCS: usize = 256;
/// How many sections a router takes.
pub const MAX_SECTIONS: usize = 1_024;
/// How many encodings a section may have.
pub const MAX_ENCODINGS: usize = 16;

/// One RTP stream of a section, with the stream that repairs it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encoding {
    /// Its RTP stream id, where it has one.
    pub rid: Option<Box<str>>,
    /// Its SSRC, where it was declared.
    pub ssrc: Option<u32>,
    /// The SSRC of its retransmissions, where it was declared.
    pub repair_ssrc: Option<u32>,
}

/// A payload type of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SectionPayloadType {
    /// The payload type, 0-127.
    pub payload_type: u8,
    /// Whether it is a retransmission format.
    pub repair: bool,
}

/// A media section as it was negotiated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<K> {
    /// What the caller knows the section by.
    pub key: K,
    /// Its identification, where it has one.
    pub mid: Option<Box<str>>,
    /// Its payload types.
    pub payload_types: Vec<SectionPayloadType>,
    /// Its encodings; a section without any counts as having one.
    pub encodings: Vec<Encoding>,
}

/// What a packet says of where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PacketIdentity<'a> {
    /// Its SSRC.
    pub ssrc: u32,
    /// Its payload type.
    pub payload_type: u8,
    /// Its sequence number: an old packet does not undo what a newer one said.
    pub sequence: u16,
    /// The value of its MID extension.
    pub mid: Option<&'a [u8]>,
    /// The value of its RID extension.
    pub rid: Option<&'a [u8]>,
    /// The value of its repaired RID extension.
    pub repaired_rid: Option<&'a [u8]>,
}

/// Where a packet belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route<K> {
    /// The section.
    pub section: K,
    /// Index of the encoding in the section.
    pub encoding: u8,
    /// Whether the packet repairs the encoding instead of being of it.
    pub repair: bool,
}

/// Why a packet belongs nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RouteError {
    /// No section has its MID.
    #[error("no section has this MID")]
    UnknownMid,
    /// No encoding of its section has its RID.
    #[error("no encoding has this RID")]
    UnknownRid,
    /// Its section does not have its payload type.
    #[error("the section does not have this payload type")]
    PayloadType,
    /// Nothing in it says which section or encoding it is of.
    #[error("nothing says which stream the packet is of")]
    Unroutable,
}

/// Why a section cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SectionError {
    /// Another section has its MID or its key.
    #[error("the section is there already")]
    Duplicate,
    /// One of its SSRCs belongs to another stream.
    #[error("SSRC {0} belongs to another stream")]
    SsrcTaken(u32),
    /// Two of its encodings have one RID.
    #[error("two encodings have the same RID")]
    RidTaken,
    /// A payload type above 127.
    #[error("{0} is not a payload type")]
    PayloadType(u8),
    /// More sections, encodings or SSRCs than the limits allow.
    #[error("too many sections, encodings or SSRCs")]
    TooMany,
}

/// What a router did with packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoutingCounters {
    /// SSRCs learnt from packets.
    pub learnt: u64,
    /// SSRCs that moved to another section or encoding.
    pub moved: u64,
    /// Learnt SSRCs forgotten to make room for others.
    pub evicted: u64,
    /// Packets that belonged nowhere.
    pub dropped: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Absent,
    Media,
    Repair,
}

#[derive(Debug, Clone)]
struct Entry<K> {
    key: K,
    mid: Option<Box<str>>,
    encodings: Vec<Encoding>,
    formats: [Format; 128],
}

impl<K> Entry<K> {
    fn new(section: Section<K>) -> Result<Self, SectionError> {
        let mut formats = [Format::Absent; 128];
        for SectionPayloadType {
            payload_type,
            repair,
        } in section.payload_types
        {
            let slot = formats.get_mut(usize::from(payload_type));
            *slot.ok_or(SectionError::PayloadType(payload_type))? = if repair {
                Format::Repair
            } else {
                Format::Media
            };
        }
        let mut encodings = section.encodings;
        if encodings.is_empty() {
            encodings.push(Encoding::default());
        }
        if encodings.len() > MAX_ENCODINGS {
            return Err(SectionError::TooMany);
        }
        for (index, encoding) in encodings.iter().enumerate() {
            let taken = |other: &Encoding| other.rid.is_some() && other.rid == encoding.rid;
            if encodings[..index].iter().any(taken) {
                return Err(SectionError::RidTaken);
            }
        }
        Ok(Self {
            key: section.key,
            mid: section.mid,
            encodings,
            formats,
        })
    }

    fn by_rid(&self, rid: &[u8]) -> Option<u8> {
        let matches = |encoding: &Encoding| {
            encoding
                .rid
                .as_deref()
                .is_some_and(|known| known.as_bytes() == rid)
        };
        self.encodings
            .iter()
            .position(matches)
            .map(|index| index as u8)
    }
}

/// Routes the packets of one transport. Its tables are bounded: when the SSRCs are full, the one
/// learnt longest ago goes, and declared ones stay.
#[derive(Debug, Clone)]
pub struct StreamRouter<K> {
    sections: Vec<Option<Entry<K>>>,
    /// By payload type: the one section that has it, where it is only one.
    only: [Option<u16>; 128],
    sources: Sources,
    counters: RoutingCounters,
}

impl<K: Copy + PartialEq> Default for StreamRouter<K> {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_SSRCS)
    }
}

impl<K: Copy + PartialEq> StreamRouter<K> {
    /// A router that keeps at most `max_ssrcs` SSRCs.
    pub fn new(max_ssrcs: usize) -> Self {
        Self {
            sections: Vec::new(),
            only: [None; 128],
            sources: Sources::new(max_ssrcs),
            counters: RoutingCounters::default(),
        }
    }

    /// Adds a section, with all SSRCs it declares. On an error nothing was changed.
    pub fn add(&mut self, section: Section<K>) -> Result<(), SectionError> {
        let entry = Entry::new(section)?;
        let duplicate = |other: &Entry<K>| {
            other.key == entry.key || (other.mid.is_some() && other.mid == entry.mid)
        };
        if self.sections.iter().flatten().any(duplicate) {
            return Err(SectionError::Duplicate);
        }
        let free = self.sections.iter().position(Option::is_none);
        let index = free.unwrap_or(self.sections.len());
        if index >= MAX_SECTIONS {
            return Err(SectionError::TooMany);
        }
        self.declare(&entry, index as u16)?;
        if index == self.sections.len() {
            self.sections.push(None);
        }
        self.sections[index] = Some(entry);
        self.index();
        Ok(())
    }

    /// Takes a section out with all its SSRCs; says whether it was there.
    pub fn remove(&mut self, key: K) -> bool {
        let is_it = |slot: &Option<Entry<K>>| slot.as_ref().is_some_and(|entry| entry.key == key);
        let Some(index) = self.sections.iter().position(is_it) else {
            return false;
        };
        self.sections[index] = None;
        self.sources.forget_section(index as u16);
        self.index();
        true
    }

    /// Finds where a packet belongs, and learns its SSRC.
    #[inline]
    pub fn route(&mut self, packet: &PacketIdentity<'_>) -> Result<Route<K>, RouteError> {
        let known = self.sources.get(packet.ssrc);
        let place = match known {
            Some(source) if is_plain(packet) => Ok(source.place),
            _ => self.place(packet, known),
        };
        let route = place.and_then(|place| Ok((place, self.check(packet, place)?)));
        match route {
            Ok((place, route)) => {
                if known.is_none_or(|source| source.place != place) || packet.mid.is_some() {
                    self.learn(packet, place, known);
                }
                Ok(route)
            }
            Err(error) => {
                self.counters.dropped += 1;
                Err(error)
            }
        }
    }

    /// Where the stream of an SSRC belongs, for RTCP. Whether it repairs is known only of
    /// declared ones and of those whose last packet told.
    pub fn route_ssrc(&self, ssrc: u32) -> Option<Route<K>> {
        let source = self.sources.get(ssrc)?;
        let entry = self.section(source.place.section)?;
        let Place {
            encoding, repair, ..
        } = source.place;
        Some(Route {
            section: entry.key,
            encoding,
            repair,
        })
    }

    /// Forgets a learnt SSRC (after a goodbye); a declared one stays. Says whether it went.
    pub fn forget(&mut self, ssrc: u32) -> bool {
        self.sources.forget(ssrc)
    }

    /// What the router did with packets.
    pub fn counters(&self) -> RoutingCounters {
        self.counters
    }

    /// How many SSRCs are known.
    pub fn known_ssrcs(&self) -> usize {
        self.sources.len()
    }

    fn section(&self, index: u16) -> Option<&Entry<K>> {
        self.sections.get(usize::from(index))?.as_ref()
    }

    fn declare(&mut self, entry: &Entry<K>, section: u16) -> Result<(), SectionError> {
        let mut declared: Vec<(u32, Place)> = Vec::new();
        for (index, encoding) in entry.encodings.iter().enumerate() {
            let place = |repair| Place {
                section,
                encoding: index as u8,
                repair,
            };
            declared.extend(encoding.ssrc.map(|ssrc| (ssrc, place(false))));
            declared.extend(encoding.repair_ssrc.map(|ssrc| (ssrc, place(true))));
        }
        for (index, (ssrc, _)) in declared.iter().enumerate() {
            let twice = declared[..index].iter().any(|(earlier, _)| earlier == ssrc);
            if twice
                || self
                    .sources
                    .get(*ssrc)
                    .is_some_and(|source| source.declared)
            {
                return Err(SectionError::SsrcTaken(*ssrc));
            }
        }
        if !self.sources.has_space_for(declared.len()) {
            return Err(SectionError::TooMany);
        }
        for (ssrc, place) in declared {
            self.sources.declare(ssrc, place);
        }
        Ok(())
    }

    fn index(&mut self) {
        for (payload_type, slot) in self.only.iter_mut().enumerate() {
            let has = |entry: &Entry<K>| entry.formats[payload_type] != Format::Absent;
            let mut having = (0_u16..)
                .zip(&self.sections)
                .filter(|(_, entry)| entry.as_ref().is_some_and(has))
                .map(|(index, _)| index);
            *slot = having.next();
            if having.next().is_some() {
                *slot = None;
            }
        }
    }

    /// The section and encoding that the packet names, else those of its SSRC, else those of its
    /// payload type.
    fn place(
        &self,
        packet: &PacketIdentity<'_>,
        known: Option<Source>,
    ) -> Result<Place, RouteError> {
        let section = self.section_of(packet, known)?;
        let entry = self.section(section).ok_or(RouteError::Unroutable)?;
        if let Some(rid) = packet.repaired_rid {
            let encoding = entry.by_rid(rid).ok_or(RouteError::UnknownRid)?;
            return Ok(Place {
                section,
                encoding,
                repair: true,
            });
        }
        let repair = self.is_repair(section, packet.payload_type);
        if let Some(rid) = packet.rid {
            let encoding = entry.by_rid(rid).ok_or(RouteError::UnknownRid)?;
            return Ok(Place {
                section,
                encoding,
                repair,
            });
        }
        match known {
            Some(source) if source.place.section == section => Ok(source.place),
            // One encoding leaves no choice.
            _ if entry.encodings.len() == 1 => Ok(Place {
                section,
                encoding: 0,
                repair,
            }),
            _ => Err(RouteError::Unroutable),
        }
    }

    fn section_of(
        &self,
        packet: &PacketIdentity<'_>,
        known: Option<Source>,
    ) -> Result<u16, RouteError> {
        if let Some(mid) = packet.mid {
            let named = self.by_mid(mid).ok_or(RouteError::UnknownMid)?;
            return Ok(match known {
                // A late packet does not take the stream back to where it was.
                Some(Source {
                    place,
                    mid_sequence: Some(newest),
                    ..
                }) if place.section != named && !seq_newer(packet.sequence, newest) => {
                    place.section
                }
                _ => named,
            });
        }
        if let Some(source) = known {
            return Ok(source.place.section);
        }
        let only = self
            .only
            .get(usize::from(packet.payload_type))
            .copied()
            .flatten();
        only.ok_or(RouteError::Unroutable)
    }

    fn by_mid(&self, mid: &[u8]) -> Option<u16> {
        let has = |entry: &Entry<K>| {
            entry
                .mid
                .as_deref()
                .is_some_and(|known| known.as_bytes() == mid)
        };
        let found = self
            .sections
            .iter()
            .position(|entry| entry.as_ref().is_some_and(has));
        found.map(|index| index as u16)
    }

    fn is_repair(&self, section: u16, payload_type: u8) -> bool {
        self.section(section).is_some_and(|entry| {
            entry.formats.get(usize::from(payload_type)) == Some(&Format::Repair)
        })
    }

    fn check(&self, packet: &PacketIdentity<'_>, place: Place) -> Result<Route<K>, RouteError> {
        let entry = self.section(place.section).ok_or(RouteError::Unroutable)?;
        match entry.formats.get(usize::from(packet.payload_type)) {
            None | Some(Format::Absent) => Err(RouteError::PayloadType),
            Some(format) => Ok(Route {
                section: entry.key,
                encoding: place.encoding,
                repair: packet.repaired_rid.is_some() || *format == Format::Repair,
            }),
        }
    }

    fn learn(&mut self, packet: &PacketIdentity<'_>, place: Place, known: Option<Source>) {
        let before = known.and_then(|source| source.mid_sequence);
        let newer = before.is_none_or(|before| seq_newer(packet.sequence, before));
        let said = packet.mid.is_some() && newer;
        let mid_sequence = if said { Some(packet.sequence) } else { before };
        match known {
            None => self.counters.learnt += 1,
            Some(source) if source.place != place => self.counters.moved += 1,
            Some(_) => {}
        }
        if self.sources.learn(packet.ssrc, place, mid_sequence) {
            self.counters.evicted += 1;
        }
    }
}

/// Whether a packet names neither section nor encoding.
fn is_plain(packet: &PacketIdentity<'_>) -> bool {
    packet.mid.is_none() && packet.rid.is_none() && packet.repaired_rid.is_none()
}

#[cfg(test)]
mod tests;
