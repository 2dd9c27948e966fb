//! Which programs there are, and the table that says so.

use std::collections::BTreeMap;

use crate::clock::ProgramClock;
use crate::packet::Pid;
use crate::psi::Table;
use crate::section::SectionBuffer;

/// One program.
#[derive(Debug)]
pub(crate) struct Program {
    pub number: u16,
    pub map_pid: Pid,
    pub clock: ProgramClock,
    pub pcr_pid: Pid,
    pub sections: SectionBuffer,
    /// Checksum of the map in force.
    pub applied: Option<u32>,
}

impl Program {
    pub(crate) fn new(number: u16, map_pid: Pid) -> Self {
        Self {
            number,
            map_pid,
            clock: ProgramClock::default(),
            pcr_pid: Pid::NULL,
            sections: SectionBuffer::default(),
            applied: None,
        }
    }
}

/// The program association table, which may come in several sections.
#[derive(Debug, Default)]
pub(crate) struct Association {
    pub sections: SectionBuffer,
    edition: Option<(u16, u8, u8)>,
    /// By the numbers of the sections; the checksum tells whether one has changed.
    parts: BTreeMap<u8, (u32, Vec<(u16, Pid)>)>,
}

impl Association {
    /// Take a section: all programs, where the table is whole and something has changed.
    pub(crate) fn take(&mut self, table: &Table<'_>) -> Option<Vec<(u16, Pid)>> {
        let edition = (table.extension, table.version, table.last_section);
        if self.edition != Some(edition) {
            self.edition = Some(edition);
            self.parts.clear();
        }
        let known = self
            .parts
            .get(&table.section)
            .is_some_and(|part| part.0 == table.checksum);
        if known || table.section > table.last_section {
            return None;
        }
        // Number 0 is not a program but where the network is described.
        let programs = table
            .programs()
            .filter(|(number, _)| *number != 0)
            .collect();
        self.parts.insert(table.section, (table.checksum, programs));
        (self.parts.len() == table.last_section as usize + 1).then(|| {
            self.parts
                .values()
                .flat_map(|part| part.1.iter().copied())
                .collect()
        })
    }
}
