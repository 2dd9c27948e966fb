//! What all scenes have in common: traffic comes in, egress goes out.

use std::fmt;
use std::time::{Duration, Instant};

use roomtone_sfu::{Router, TransportId};
use roomtone_srtp::Sealer;

use crate::{Failure, counted};

/// Enough of a packet to see its header.
const SHOWN: usize = 80;

/// A router with its peers, and what they send.
pub(crate) trait Traffic {
    fn router(&mut self) -> &mut Router;
    /// Transports, numbered from zero.
    fn transports(&self) -> u64;
    /// From one frame to the next.
    fn every(&self) -> Duration;
    /// One frame of every publisher arrives.
    fn publish(&mut self, frame: u32, now: Instant) -> Result<(), Failure>;
    /// The subscribers report, where it is time.
    fn report(&mut self, frame: u32, now: Instant) -> Result<(), Failure>;
    /// A packet was written for a transport; `header` is its beginning.
    fn note(&mut self, _to: TransportId, _header: &mut [u8], _now: Instant) {}
}

/// What was sent, and in what runs.
pub(crate) struct Egress {
    sealers: Vec<Sealer>,
    out: Vec<u8>,
    pub(crate) packets: u64,
    bursts: u64,
    /// Messages that the kernel would be given: packets of one length, and one shorter one behind them.
    messages: u64,
}

impl fmt::Display for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.packets, self.bursts, self.messages)
    }
}

impl Egress {
    /// One sealer a transport.
    pub(crate) fn new(sealers: Vec<Sealer>) -> Self {
        Self {
            sealers,
            out: vec![0; 1_600],
            packets: 0,
            bursts: 0,
            messages: 0,
        }
    }

    /// Everything that is to leave by now.
    pub(crate) fn drain(&mut self, traffic: &mut dyn Traffic, now: Instant) -> Result<(), Failure> {
        counted::timeout(traffic.router(), now);
        while let Some(transport) = counted::next_burst(traffic.router(), now) {
            self.burst(traffic, transport, now)?;
        }
        Ok(())
    }

    fn burst(
        &mut self,
        traffic: &mut dyn Traffic,
        to: TransportId,
        now: Instant,
    ) -> Result<(), Failure> {
        let sealer = &mut self.sealers[to.0 as usize];
        let mut header = [0; SHOWN];
        let (mut run, mut sent) = (None, 0_u32);
        while let Some((len, rtcp)) = counted::next_packet(
            traffic.router(),
            sealer,
            to,
            now,
            &mut header,
            &mut self.out,
        )? {
            match run {
                Some(size) if len == size => {}
                Some(size) if len < size => run = None,
                _ => {
                    run = Some(len);
                    self.messages += 1;
                }
            }
            sent += 1;
            if !rtcp {
                self.packets += 1;
                traffic.note(to, &mut header, now);
            }
        }
        self.bursts += u64::from(sent > 0);
        Ok(())
    }
}
