//! What a datagram carries of its own story, in the bytes that stand for the outer headers.

use std::time::{Duration, Instant};

/// Bytes of the headers of UDP and IPv4 and of the cipher's tag, which a packet has on the wire.
pub const WIRE_OVERHEAD: usize = 44;

/// Whose datagram it is, which one, and when it left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    pub flow: u8,
    pub number: u64,
    pub sent_us: u64,
}

impl Tag {
    const LEN: usize = 17;

    pub fn write(self, out: &mut [u8]) {
        out[0] = self.flow;
        out[1..9].copy_from_slice(&self.number.to_be_bytes());
        out[9..Self::LEN].copy_from_slice(&self.sent_us.to_be_bytes());
    }

    /// A datagram of `len` bytes with nothing but the tag.
    pub fn datagram(self, len: usize) -> Vec<u8> {
        let mut out = vec![0; len.max(Self::LEN)];
        self.write(&mut out);
        out
    }

    pub fn read(data: &[u8]) -> Self {
        let number = |at: usize| {
            let bytes = data[at..at + 8].try_into().expect("eight bytes");
            u64::from_be_bytes(bytes)
        };
        Self {
            flow: data[0],
            number: number(1),
            sent_us: number(9),
        }
    }
}

/// Microseconds since the beginning.
pub fn micros(base: Instant, now: Instant) -> u64 {
    now.saturating_duration_since(base).as_micros() as u64
}

/// The earliest of some times.
pub fn earliest<const N: usize>(times: [Option<Instant>; N]) -> Option<Instant> {
    times.into_iter().flatten().min()
}

/// Time to send so many bytes at a rate.
pub fn sending_time(bytes: usize, bps: u64) -> Duration {
    Duration::from_secs_f64(bytes as f64 * 8.0 / bps.max(1) as f64)
}
