//! Peers behind one address: who shares a line is found out, and led by one rate.

use std::time::Instant;

use roomtone_bandwidth::Neighbours;

use super::Router;
use crate::{SfuError, TransportId};

impl Router {
    /// Says where a peer is: those with the same number may share a line, which is looked for; `None`: it is not
    /// known, or nobody else can be there.
    pub fn set_site(
        &mut self,
        id: TransportId,
        site: Option<u128>,
        now: Instant,
    ) -> Result<(), SfuError> {
        let at = self.transport_of(id)?;
        if self.transports[at as usize].site != site {
            self.leave_site(at, now);
            self.transports[at as usize].site = site;
        }
        Ok(())
    }

    /// How many transports are led by one rate with others.
    pub(super) fn led_together(&self) -> usize {
        let transports = self.transports.iter();
        transports
            .filter(|(_, transport)| transport.estimator.is_accompanied())
            .count()
    }

    /// A transport is no neighbour of others any more.
    pub(super) fn leave_site(&mut self, at: u32, now: Instant) {
        let Some(site) = self.transports[at as usize].site.take() else {
            return;
        };
        if let Some(neighbours) = self.sites.get_mut(&site) {
            neighbours.leave(at);
            if neighbours.is_empty() {
                self.sites.remove(&site);
            }
        }
        self.part(at, now);
    }

    /// It is led by its own rate again, which is what its part was.
    fn part(&mut self, at: u32, now: Instant) {
        let estimator = &mut self.transports[at as usize].estimator;
        if estimator.is_accompanied() {
            let own = estimator.estimate().bps as f64;
            estimator.set_company(None, now);
            estimator.begin_line(own, now);
        }
    }

    /// A peer has told what its line does: what it learned is true for all who share it.
    pub(super) fn tell_neighbours(&mut self, at: u32, now: Instant) {
        let transport = &self.transports[at as usize];
        let (Some(site), Some(seen)) = (transport.site, transport.estimator.sighting()) else {
            return;
        };
        let now_us = self.clock.micros(now);
        let neighbours = self.sites.entry(site).or_default();
        if !neighbours.note(at, seen, now_us) {
            self.neighbours_left_out += 1;
            return;
        }
        if neighbours.step(now_us) {
            self.regroup(site, now);
        }
        let Some(neighbours) = self.sites.get(&site) else {
            return;
        };
        let Some(belief) = self.transports[at as usize].estimator.belief() else {
            return;
        };
        let fellows: Vec<u32> = neighbours.fellows(at).collect();
        for fellow in fellows {
            let neighbours = &self.sites[&site];
            let company = neighbours.company(fellow, belief.bps(), now_us);
            let estimator = &mut self.transports[fellow as usize].estimator;
            if fellow != at {
                estimator.follow(&belief, now);
            }
            estimator.set_company(company, now);
            if fellow != at {
                self.follow_estimator(fellow, now);
            }
        }
    }

    /// Packets of a probe leave next: what was sent to others who share the line lies before them there.
    #[cold]
    pub(super) fn count_others(&mut self, at: u32) {
        let transport = &self.transports[at as usize];
        let site = transport
            .site
            .filter(|_| transport.estimator.is_accompanied());
        let Some(neighbours) = site.and_then(|site| self.sites.get(&site)) else {
            return;
        };
        let fellows = neighbours.fellows(at).filter(|fellow| *fellow != at);
        let sent = fellows.map(|fellow| self.transports[fellow as usize].estimator.sent_bytes());
        let bytes = sent.sum();
        self.transports[at as usize]
            .estimator
            .note_others_sent(bytes);
    }

    /// Others than before share lines: each line carries what those on it had.
    fn regroup(&mut self, site: u128, now: Instant) {
        let now_us = self.clock.micros(now);
        let Some(neighbours) = self.sites.get(&site) else {
            return;
        };
        let members: Vec<(u32, Vec<u32>)> = neighbours
            .members()
            .map(|id| (id, neighbours.fellows(id).collect()))
            .collect();
        let had = |at: &u32| self.transports[*at as usize].estimator.estimate().bps as f64;
        let had: Vec<f64> = members
            .iter()
            .map(|(id, fellows)| match fellows.len() {
                0 => had(id),
                _ => fellows.iter().map(had).sum(),
            })
            .collect();
        for ((id, _), line_bps) in members.iter().zip(had) {
            let company = self.sites[&site].company(*id, line_bps, now_us);
            let estimator = &mut self.transports[*id as usize].estimator;
            let was_alone = !estimator.is_accompanied();
            if was_alone && company.is_none() {
                continue;
            }
            estimator.set_company(company, now);
            estimator.begin_line(line_bps, now);
        }
    }
}

/// The places of peers that are compared, by where they are.
pub(super) type Sites = rustc_hash::FxHashMap<u128, Neighbours>;
