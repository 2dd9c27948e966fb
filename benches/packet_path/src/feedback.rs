//! What subscribers say about what they were sent: transport-wide feedback, as browsers give it.

use std::time::Instant;

use roomtone_rtp::RtpPacket;
use roomtone_rtp::rtcp::{FeedbackTarget, write_transport_feedback};
use roomtone_sfu::{Router, TransportId};

use crate::{Failure, counted};

/// The way to a subscriber.
const ONE_WAY_US: u64 = 20_000;

/// What one subscriber has received and not yet told of.
#[derive(Default)]
struct Arrivals {
    pending: Vec<(u16, u64)>,
    count: u8,
}

/// The arrivals of all subscribers, by transport.
pub(crate) struct Feedback {
    base: Instant,
    extension: u8,
    subscribers: Vec<Arrivals>,
}

impl Feedback {
    /// For `subscribers` transports, which number their packets in the header extension `extension`.
    pub(crate) fn new(subscribers: usize, extension: u8, base: Instant) -> Self {
        Self {
            base,
            extension,
            subscribers: (0..subscribers).map(|_| Arrivals::default()).collect(),
        }
    }

    /// A packet was written for the transport of this index.
    pub(crate) fn note(&mut self, index: usize, packet: &mut [u8], now: Instant) {
        // Only its beginning is here, and padding is told of at the end.
        packet[0] &= !0x20;
        let Ok(packet) = RtpPacket::parse(packet) else {
            return;
        };
        let Some([high, low]) = packet.extension(self.extension) else {
            return;
        };
        let at = (now - self.base).as_micros() as u64 + ONE_WAY_US;
        let sequence = u16::from_be_bytes([*high, *low]);
        self.subscribers[index].pending.push((sequence, at));
    }

    /// Every subscriber tells what it has received since it was last asked.
    pub(crate) fn tell(
        &mut self,
        router: &mut Router,
        transport: impl Fn(usize) -> TransportId,
        now: Instant,
    ) -> Result<(), Failure> {
        let mut out = [0; 1_200];
        for (index, arrivals) in self.subscribers.iter_mut().enumerate() {
            while let Some((first, _)) = arrivals.pending.first().copied() {
                let target = FeedbackTarget {
                    sender_ssrc: 1,
                    media_ssrc: 2,
                    feedback_count: arrivals.count,
                    base_sequence: first,
                };
                let written = write_transport_feedback(&mut out, &target, &arrivals.pending)?;
                arrivals.count = arrivals.count.wrapping_add(1);
                arrivals.pending.drain(..written.taken.max(1));
                counted::rtcp(router, transport(index), &out[..written.len], now)?;
            }
        }
        Ok(())
    }
}
