//! Arrivals of packets with a transport-wide sequence number, to be fed back to the publisher
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).

use roomtone_rtp::SequenceUnwrapper;

/// A feedback packet starts at most this far before its first arrival, whatever was lost.
const MAX_LEADING_GAP: u64 = 1_000;
/// A feedback packet spans at most this many numbers; the rest goes into the next.
const MAX_SPAN: u64 = 4_000;

/// What arrived since the last feedback packet.
#[derive(Debug, Default)]
pub(crate) struct ArrivalLog {
    unwrapper: SequenceUnwrapper,
    pending: Vec<(u64, u64)>,
    /// The number after the last one reported.
    next: Option<u64>,
    feedback_count: u8,
    /// An SSRC of the peer, for the media source field.
    pub(crate) media_ssrc: u32,
    pub(crate) armed: Option<u64>,
}

/// The contents of one feedback packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FeedbackContents {
    pub(crate) count: u8,
    pub(crate) base: u16,
    /// Sequence numbers and arrival times in microseconds, in the order of the numbers.
    pub(crate) arrivals: Vec<(u16, u64)>,
}

impl ArrivalLog {
    /// A packet arrived; says whether there was room to note it.
    pub(crate) fn on_packet(
        &mut self,
        sequence: u16,
        ssrc: u32,
        now_us: u64,
        limit: usize,
    ) -> bool {
        self.media_ssrc = ssrc;
        let full = self.pending.len() >= limit;
        if full {
            self.pending.remove(0);
        }
        self.pending.push((self.unwrapper.unwrap(sequence), now_us));
        !full
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// What is to be fed back now; it stays until [`Self::commit`] says how much of it was.
    pub(crate) fn prepare(&mut self) -> Option<FeedbackContents> {
        self.pending.sort_unstable();
        self.pending.dedup_by_key(|(seq, _)| *seq);
        let first = self.pending.first()?.0;
        let base = match self.next {
            Some(next) if next < first && first - next <= MAX_LEADING_GAP => next,
            _ => first,
        };
        let within = self
            .pending
            .partition_point(|(seq, _)| seq - base < MAX_SPAN)
            .max(1);
        let arrivals = self.pending[..within]
            .iter()
            .map(|(seq, at)| (*seq as u16, *at))
            .collect();
        Some(FeedbackContents {
            count: self.feedback_count,
            base: base as u16,
            arrivals,
        })
    }

    /// The first `taken` of the prepared arrivals were fed back.
    pub(crate) fn commit(&mut self, taken: usize) {
        let taken = taken.min(self.pending.len());
        if let Some((last, _)) = self.pending.drain(..taken).next_back() {
            self.next = Some(self.next.map_or(last + 1, |next| next.max(last + 1)));
            self.feedback_count = self.feedback_count.wrapping_add(1);
        }
    }

    /// Forgets what waits: it cannot be fed back.
    pub(crate) fn clear(&mut self) {
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(log: &mut ArrivalLog) -> Option<FeedbackContents> {
        let contents = log.prepare()?;
        log.commit(contents.arrivals.len());
        Some(contents)
    }

    #[test]
    fn feedback_goes_on_where_the_last_ended_so_that_losses_show() {
        let mut log = ArrivalLog::default();
        for (sequence, at) in [(65_534, 10), (65_535, 20), (1, 30)] {
            assert!(log.on_packet(sequence, 7, at, 100));
        }
        let first = take(&mut log).unwrap();
        assert_eq!((first.count, first.base), (0, 65_534));
        assert_eq!(first.arrivals, [(65_534, 10), (65_535, 20), (1, 30)]);
        assert_eq!(take(&mut log), None);
        log.on_packet(4, 7, 40, 100);
        let second = take(&mut log).unwrap();
        assert_eq!(
            (second.count, second.base),
            (1, 2),
            "2 and 3 are reported as lost"
        );
        log.on_packet(3, 7, 50, 100);
        let late = take(&mut log).unwrap();
        assert_eq!((late.base, late.arrivals.as_slice()), (3, &[(3, 50)][..]));
        log.on_packet(5, 7, 60, 100);
        assert_eq!(
            take(&mut log).unwrap().base,
            5,
            "a late one does not set it back"
        );
    }

    #[test]
    fn arrivals_are_bounded() {
        let mut log = ArrivalLog::default();
        let noted = (0..20).filter(|seq| log.on_packet(*seq, 7, 0, 10)).count();
        assert_eq!(noted, 10);
        assert_eq!(take(&mut log).unwrap().arrivals.len(), 10);
    }

    #[test]
    fn what_did_not_fit_goes_into_the_next() {
        let mut log = ArrivalLog::default();
        for sequence in 0..4 {
            log.on_packet(sequence, 7, u64::from(sequence), 100);
        }
        assert_eq!(log.prepare().unwrap().arrivals.len(), 4);
        log.commit(3);
        let rest = log.prepare().unwrap();
        assert_eq!(
            (rest.count, rest.base, rest.arrivals.as_slice()),
            (1, 3, &[(3, 3)][..])
        );
    }

    #[test]
    fn wild_jumps_are_split() {
        let mut log = ArrivalLog::default();
        log.on_packet(0, 7, 0, 10);
        log.on_packet(20_000, 7, 1, 10);
        assert_eq!(take(&mut log).unwrap().arrivals, [(0, 0)]);
        let rest = take(&mut log).unwrap();
        assert_eq!(
            (rest.base, rest.arrivals.as_slice()),
            (20_000, &[(20_000, 1)][..])
        );
    }
}
