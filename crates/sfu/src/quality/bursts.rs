//! Bursts and gaps of loss, as RFC 3611 section 4.7.2 tells them apart.
//!
//! A burst begins and ends with a loss and has no run of [`GMIN`] good packets in it; all else is gap, a loss with so many
//! good packets on either side of it included.

/// Good packets that end a burst: what the RFC recommends.
pub(crate) const GMIN: u8 = 16;

/// What is known of the losses of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct BurstFigures {
    /// Share of the packets in bursts that were lost, in 256ths.
    pub(crate) burst_density: u8,
    /// Share of the packets in gaps that were lost, in 256ths.
    pub(crate) gap_density: u8,
    /// Mean length of bursts, in packets.
    pub(crate) burst_packets: u64,
    /// Mean length of gaps, in packets.
    pub(crate) gap_packets: u64,
}

/// Packets that may still belong to a burst.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    lost: u64,
    /// From the first loss to the last.
    length: u64,
}

/// Follows the losses of one stream in the order of its numbers. A packet that comes late was lost.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bursts {
    open: Open,
    /// Good packets since the last loss, or since the beginning.
    good: u64,
    /// Bursts that are over.
    ended: u64,
    dense: Open,
    sparse: Open,
    /// The shortest step of the timestamp between two packets; zero before there were two.
    shortest_step: u32,
}

impl Bursts {
    /// The timestamp moved on between two packets: at least by what is in one.
    #[inline]
    pub(crate) fn note_step(&mut self, step: u32) {
        if step > 0 && (step < self.shortest_step || self.shortest_step == 0) {
            self.shortest_step = step;
        }
    }

    /// Time in one packet, in units of the timestamp; zero where it is not known.
    pub(crate) fn packet_units(&self) -> u32 {
        self.shortest_step
    }

    /// So many packets in a row were missed.
    pub(crate) fn lose(&mut self, count: u64) {
        for _ in 0..count.min(u64::from(GMIN)) {
            self.lose_one();
        }
        // More of the same burst.
        let rest = count.saturating_sub(u64::from(GMIN));
        self.open.lost += rest;
        self.open.length += rest;
    }

    fn lose_one(&mut self) {
        let good = std::mem::take(&mut self.good);
        if self.open.lost > 0 && good < u64::from(GMIN) {
            self.open.lost += 1;
            self.open.length += good + 1;
            return;
        }
        self.close();
        self.sparse.length += good;
        self.open = Open { lost: 1, length: 1 };
    }

    /// A packet came.
    #[inline]
    pub(crate) fn receive(&mut self) {
        self.good += 1;
    }

    fn close(&mut self) {
        let open = std::mem::take(&mut self.open);
        let into = if open.lost > 1 {
            self.ended += 1;
            &mut self.dense
        } else {
            &mut self.sparse
        };
        into.lost += open.lost;
        into.length += open.length;
    }

    /// The figures up to now.
    pub(crate) fn figures(&self) -> BurstFigures {
        let mut now = self.clone();
        now.close();
        now.sparse.length += now.good;
        let density = |of: Open| (of.lost * 256).checked_div(of.length).unwrap_or(0).min(255) as u8;
        BurstFigures {
            burst_density: density(now.dense),
            gap_density: density(now.sparse),
            burst_packets: now.dense.length.checked_div(now.ended).unwrap_or(0),
            gap_packets: now.sparse.length / (now.ended + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `.` came, `x` did not.
    fn figures(packets: &str) -> BurstFigures {
        let mut bursts = Bursts::default();
        for packet in packets.chars() {
            match packet {
                'x' => bursts.lose(1),
                _ => bursts.receive(),
            }
        }
        bursts.figures()
    }

    #[test]
    fn without_loss_all_is_one_gap() {
        let wanted = BurstFigures {
            gap_packets: 100,
            ..BurstFigures::default()
        };
        assert_eq!(figures(&".".repeat(100)), wanted);
        assert_eq!(figures(""), BurstFigures::default());
    }

    #[test]
    fn single_losses_far_apart_are_no_bursts() {
        let packets = format!("{}x", ".".repeat(31)).repeat(4);
        let wanted = BurstFigures {
            burst_density: 0,
            gap_density: 8,
            burst_packets: 0,
            gap_packets: 128,
        };
        assert_eq!(figures(&packets), wanted);
    }

    #[test]
    fn losses_near_each_other_are_a_burst_with_what_lies_between() {
        // 40 good, a burst of 10 with 5 lost, 40 good.
        let packets = format!("{0}x.x.xx...x{0}", ".".repeat(40));
        let found = figures(&packets);
        assert_eq!((found.burst_packets, found.gap_packets), (10, 40));
        assert_eq!(found.burst_density, 128);
        assert_eq!(found.gap_density, 0);
    }

    #[test]
    fn fifteen_good_packets_do_not_end_a_burst_and_sixteen_do() {
        let with = |good: usize| figures(&format!("xx{}xx", ".".repeat(good)));
        assert_eq!(with(15).burst_packets, 19);
        assert_eq!(with(16).burst_packets, 2);
        assert_eq!(with(16).gap_packets, 16 / 3);
    }

    #[test]
    fn many_packets_missed_at_once_are_counted_each() {
        let mut bursts = Bursts::default();
        bursts.receive();
        bursts.lose(1_000);
        let found = bursts.figures();
        assert_eq!((found.burst_packets, found.burst_density), (1_000, 255));
    }
}
