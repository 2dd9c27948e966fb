//! Which extensions were negotiated, under which ids, and how each is to be treated.

use super::{ExtensionError, ExtensionKind, ExtensionValue};
use crate::{ExtensionForm, RtpPacket};

/// Who may send an extension, as an `extmap` line says it (RFC 8285 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExtensionDirection {
    /// Both sides.
    #[default]
    SendRecv,
    /// Only we.
    SendOnly,
    /// Only the peer.
    RecvOnly,
    /// Nobody for now.
    Inactive,
}

impl ExtensionDirection {
    /// Whether we may send the extension.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the peer may send the extension.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// What was negotiated for one extension besides its id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExtensionSettings {
    /// Who may send it.
    pub direction: ExtensionDirection,
    /// Whether elements are encrypted (RFC 6904). This crate reads no encrypted elements: such an
    /// extension is carried in the map but neither read nor written.
    pub encrypted: bool,
    /// The extension attributes of the `extmap` line as they stood (`vad=on`, for example).
    pub attributes: Option<Box<str>>,
}

/// Why an extension cannot be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum MapError {
    /// Ids 0 and 15 carry no element in every form.
    #[error("extension id {0} cannot be used")]
    Id(u8),
    /// Another kind has this id.
    #[error("extension id {id} already belongs to {kind:?}")]
    Taken {
        /// The id asked for.
        id: u8,
        /// Who has it.
        kind: ExtensionKind,
    },
}

#[derive(Debug, Clone)]
struct Entry {
    id: u8,
    kind: ExtensionKind,
    enabled: bool,
    priority: u8,
    settings: ExtensionSettings,
}

impl Entry {
    fn reads(&self) -> bool {
        self.enabled && !self.settings.encrypted && self.settings.direction.receives()
    }

    fn writes(&self) -> bool {
        self.enabled && !self.settings.encrypted && self.settings.direction.sends()
    }
}

const NONE: u8 = u8::MAX;

/// The negotiated extensions of one stream or transport. Lookups are by table and allocate
/// nothing; each kind is there at most once, so the map cannot grow.
#[derive(Debug, Clone)]
pub struct ExtensionMap {
    /// In order of priority, highest first.
    entries: Vec<Entry>,
    /// Kind index of the extensions to read, by id.
    kinds: [u8; 256],
    /// Ids of the extensions to write, by kind index; 0 where there is none.
    ids: [u8; ExtensionKind::COUNT],
}

impl Default for ExtensionMap {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            kinds: [NONE; 256],
            ids: [0; ExtensionKind::COUNT],
        }
    }
}

impl ExtensionMap {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// A map of the given (id, kind) pairs, all on.
    pub fn from_pairs(
        pairs: impl IntoIterator<Item = (u8, ExtensionKind)>,
    ) -> Result<Self, MapError> {
        let mut map = Self::new();
        for (id, kind) in pairs {
            map.insert(id, kind, ExtensionSettings::default())?;
        }
        Ok(map)
    }

    /// Enters an extension, on, with its default priority. A kind that is there already gets
    /// the new id and settings and keeps its switch and priority.
    pub fn insert(
        &mut self,
        id: u8,
        kind: ExtensionKind,
        settings: ExtensionSettings,
    ) -> Result<(), MapError> {
        if id == 0 || id == 15 {
            return Err(MapError::Id(id));
        }
        if let Some(owner) = self
            .entries
            .iter()
            .find(|entry| entry.id == id && entry.kind != kind)
        {
            return Err(MapError::Taken {
                id,
                kind: owner.kind,
            });
        }
        if let Some(entry) = self.entry_mut(kind) {
            entry.id = id;
            entry.settings = settings;
        } else {
            let priority = kind.default_priority();
            self.entries.push(Entry {
                id,
                kind,
                enabled: true,
                priority,
                settings,
            });
        }
        self.index();
        Ok(())
    }

    /// Takes an extension out; says whether it was there.
    pub fn remove(&mut self, kind: ExtensionKind) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.kind != kind);
        self.index();
        before != self.entries.len()
    }

    /// Switches a negotiated extension on or off; says whether it is in the map.
    pub fn set_enabled(&mut self, kind: ExtensionKind, enabled: bool) -> bool {
        let Some(entry) = self.entry_mut(kind) else {
            return false;
        };
        entry.enabled = enabled;
        self.index();
        true
    }

    /// Switches an extension on; see [`ExtensionMap::set_enabled`].
    pub fn enable(&mut self, kind: ExtensionKind) -> bool {
        self.set_enabled(kind, true)
    }

    /// Switches an extension off; see [`ExtensionMap::set_enabled`].
    pub fn disable(&mut self, kind: ExtensionKind) -> bool {
        self.set_enabled(kind, false)
    }

    /// Sets who comes first when a packet has no place for all; says whether it is in the map.
    pub fn set_priority(&mut self, kind: ExtensionKind, priority: u8) -> bool {
        let Some(entry) = self.entry_mut(kind) else {
            return false;
        };
        entry.priority = priority;
        self.index();
        true
    }

    /// The kind to read under this id: negotiated, on, and the peer may send it.
    #[inline]
    pub fn get(&self, id: u8) -> Option<ExtensionKind> {
        ExtensionKind::ALL
            .get(usize::from(self.kinds[usize::from(id)]))
            .copied()
    }

    /// The id to write this kind under: negotiated, on, and we may send it.
    #[inline]
    pub fn id_of(&self, kind: ExtensionKind) -> Option<u8> {
        Some(self.ids[kind.index()]).filter(|id| *id != 0)
    }

    /// The negotiated id of a kind, on or off, whoever may send it.
    pub fn negotiated_id(&self, kind: ExtensionKind) -> Option<u8> {
        self.entry(kind).map(|entry| entry.id)
    }

    /// Whether the kind was negotiated and is on.
    pub fn is_enabled(&self, kind: ExtensionKind) -> bool {
        self.entry(kind).is_some_and(|entry| entry.enabled)
    }

    /// The priority of a negotiated kind.
    pub fn priority(&self, kind: ExtensionKind) -> Option<u8> {
        self.entry(kind).map(|entry| entry.priority)
    }

    /// The settings of a negotiated kind.
    pub fn settings(&self, kind: ExtensionKind) -> Option<&ExtensionSettings> {
        self.entry(kind).map(|entry| &entry.settings)
    }

    /// The (id, kind) pairs to write, highest priority first.
    pub fn writable(&self) -> impl Iterator<Item = (u8, ExtensionKind)> + '_ {
        self.entries
            .iter()
            .filter(|entry| entry.writes())
            .map(|entry| (entry.id, entry.kind))
    }

    /// All negotiated (id, kind) pairs, highest priority first.
    pub fn negotiated(&self) -> impl Iterator<Item = (u8, ExtensionKind)> + '_ {
        self.entries.iter().map(|entry| (entry.id, entry.kind))
    }

    /// The form that ids alone ask for: two-byte where an id to write is above 14. Long values
    /// (a dependency descriptor with its templates) need [`ExtensionForm::Mixed`] as well, which
    /// only a peer that negotiated `extmap-allow-mixed` may be sent.
    pub fn form(&self, allow_mixed: bool) -> ExtensionForm {
        if self.ids.iter().any(|id| *id > 14) {
            ExtensionForm::TwoByte
        } else if allow_mixed {
            ExtensionForm::Mixed
        } else {
            ExtensionForm::OneByte
        }
    }

    /// Collects the known extensions of a packet in one pass. The first of a kind counts.
    #[inline]
    pub fn collect<'a>(&self, packet: &RtpPacket<'a>) -> ExtensionValues<'a> {
        let mut values = ExtensionValues::default();
        for (id, value) in packet.extensions() {
            if let Some(slot) = values
                .by_kind
                .get_mut(usize::from(self.kinds[usize::from(id)]))
                && slot.is_none()
            {
                *slot = Some(value);
            }
        }
        values
    }

    fn entry(&self, kind: ExtensionKind) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.kind == kind)
    }

    fn entry_mut(&mut self, kind: ExtensionKind) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.kind == kind)
    }

    fn index(&mut self) {
        self.entries
            .sort_by_key(|entry| (std::cmp::Reverse(entry.priority), entry.kind));
        self.kinds = [NONE; 256];
        self.ids = [0; ExtensionKind::COUNT];
        for entry in &self.entries {
            if entry.reads() {
                self.kinds[usize::from(entry.id)] = entry.kind.index() as u8;
            }
            if entry.writes() {
                self.ids[entry.kind.index()] = entry.id;
            }
        }
    }
}

/// The extension values of one packet by kind, collected by [`ExtensionMap::collect`].
#[derive(Debug, Clone, Copy, Default)]
pub struct ExtensionValues<'a> {
    by_kind: [Option<&'a [u8]>; ExtensionKind::COUNT],
}

impl<'a> ExtensionValues<'a> {
    /// The bytes of a kind's value, where the packet has it.
    #[inline]
    pub fn raw(&self, kind: ExtensionKind) -> Option<&'a [u8]> {
        self.by_kind[kind.index()]
    }

    /// The typed value, where the packet has it; an error where its bytes are wrong.
    #[inline]
    pub fn get<T: ExtensionValue<'a>>(&self) -> Result<Option<T>, ExtensionError> {
        self.raw(T::KIND).map(T::decode).transpose()
    }
}
