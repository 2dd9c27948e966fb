//! Transport streams in datagrams: behind an RTP header (RFC 2250 section 2), or bare.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use roomtone_rtp::{RtpHeader, RtpPacket, SequenceUnwrapper, write_header};

use crate::packet::{PACKET_BYTES, SYNC};

/// Payload type of transport streams (RFC 3551 table 5).
const PAYLOAD_TYPE: u8 = 33;
const RTP_HEADER_BYTES: usize = 12;
/// Datagrams that wait for one that is missing; one more, and it is lost.
pub const MAX_WAITING_DATAGRAMS: usize = 32;
/// How long they wait at most.
pub const PATIENCE: Duration = Duration::from_millis(100);
/// Numbers that go further than this at once, or back, are of a source that has begun anew (RFC 3550 appendix A.1).
const MAX_DROPOUT: u64 = 3000;
const MAX_MISORDER: u64 = 100;

/// Counters of what came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DatagramStats {
    /// Bare datagrams given.
    pub bare: u64,
    /// Datagrams with an RTP header given.
    pub rtp: u64,
    /// Datagrams that never came, by their numbers.
    pub lost: u64,
    /// Datagrams that came after a later one, in time.
    pub reordered: u64,
    /// Datagrams that came twice, or too late.
    pub late: u64,
    /// Datagrams that were neither.
    pub malformed: u64,
    /// RTP of another payload type.
    pub other_payload: u64,
    /// RTP of another source than the one that is read, or far from its numbers.
    pub other_source: u64,
    /// Times that another source, or other numbers of the same, took over.
    pub restarts: u64,
}

/// Takes transport streams out of the datagrams of one sender.
///
/// Inputs: [`handle_datagram`](Self::handle_datagram), [`handle_timeout`](Self::handle_timeout) when [`next_timeout`](Self::next_timeout) has
/// come, [`finish`](Self::finish). Outputs: the bytes for a [`Demuxer`](crate::Demuxer), in the order of their numbers where they have some. Another source of RTP takes over with its second datagram
/// in a row. Limits: [`MAX_WAITING_DATAGRAMS`], [`PATIENCE`].
#[derive(Debug, Default)]
pub struct DatagramReader {
    source: Option<Source>,
    /// Source and number of a datagram that did not belong.
    stranger: Option<(u32, u16)>,
    waiting: BTreeMap<u64, Waiting>,
    /// What came.
    pub stats: DatagramStats,
}

/// A datagram that came before one that is missing.
#[derive(Debug)]
struct Waiting {
    payload: Vec<u8>,
    since: Instant,
}

#[derive(Debug)]
struct Source {
    ssrc: u32,
    numbers: SequenceUnwrapper,
    next: u64,
}

impl DatagramReader {
    /// Take a datagram; what can be given now is handed to `take`.
    pub fn handle_datagram(&mut self, datagram: &[u8], now: Instant, mut take: impl FnMut(&[u8])) {
        match datagram.first() {
            Some(&SYNC) => {
                self.stats.bare += 1;
                take(datagram);
            }
            // Version 2.
            Some(first) if first >> 6 == 2 => self.handle_rtp(datagram, now, &mut take),
            // The demultiplexer finds packets in it where there are some, and counts what is none.
            Some(_) if datagram.len() >= PACKET_BYTES => {
                self.stats.malformed += 1;
                take(datagram);
            }
            _ => self.stats.malformed += 1,
        }
    }

    /// What has waited long enough is given without what is missing.
    pub fn handle_timeout(&mut self, now: Instant, mut take: impl FnMut(&[u8])) {
        while self.next_timeout().is_some_and(|due| due <= now) {
            self.give_waiting(&mut take);
        }
    }

    /// When something will have waited long enough.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.waiting.values().map(|one| one.since + PATIENCE).min()
    }

    /// The source has ended: what waits is given.
    pub fn finish(&mut self, mut take: impl FnMut(&[u8])) {
        while self.give_waiting(&mut take) {}
        self.source = None;
    }

    fn handle_rtp(&mut self, datagram: &[u8], now: Instant, take: &mut impl FnMut(&[u8])) {
        let Ok(packet) = RtpPacket::parse(datagram) else {
            self.stats.malformed += 1;
            return;
        };
        if packet.payload_type() != PAYLOAD_TYPE {
            self.stats.other_payload += 1;
            return;
        }
        let Some(number) = self.place(&packet, take) else {
            self.stats.other_source += 1;
            return;
        };
        let Some(source) = &mut self.source else {
            return;
        };
        if number < source.next || self.waiting.contains_key(&number) {
            self.stats.late += 1;
            return;
        }
        if number == source.next {
            source.next += 1;
            self.stats.rtp += 1;
            self.stats.reordered += u64::from(!self.waiting.is_empty());
            take(packet.payload());
            self.give_following(take);
            return;
        }
        let waiting = Waiting {
            payload: packet.payload().to_vec(),
            since: now,
        };
        self.waiting.insert(number, waiting);
        if self.waiting.len() > MAX_WAITING_DATAGRAMS {
            self.give_waiting(take);
        }
    }

    /// The number of a packet; none where it is not of the source that is read.
    fn place(&mut self, packet: &RtpPacket<'_>, take: &mut impl FnMut(&[u8])) -> Option<u64> {
        let (ssrc, sequence) = (packet.ssrc(), packet.sequence());
        if let Some(source) = &mut self.source {
            let number = source.numbers.peek(sequence);
            let is_near =
                number + MAX_MISORDER >= source.next && number < source.next + MAX_DROPOUT;
            if source.ssrc == ssrc && is_near {
                self.stranger = None;
                return Some(source.numbers.unwrap(sequence));
            }
            let before = self.stranger.replace((ssrc, sequence));
            if before != Some((ssrc, sequence.wrapping_sub(1))) {
                return None;
            }
            while self.give_waiting(take) {}
            self.stats.restarts += 1;
        }
        self.stranger = None;
        let mut numbers = SequenceUnwrapper::new();
        let number = numbers.unwrap(sequence);
        self.source = Some(Source {
            ssrc,
            numbers,
            next: number,
        });
        Some(number)
    }

    /// What waited only for what has just come.
    fn give_following(&mut self, take: &mut impl FnMut(&[u8])) {
        let Some(source) = &mut self.source else {
            return;
        };
        while let Some(one) = self.waiting.remove(&source.next) {
            source.next += 1;
            self.stats.rtp += 1;
            take(&one.payload);
        }
    }

    /// The missing one is lost; false where nothing waits.
    fn give_waiting(&mut self, take: &mut impl FnMut(&[u8])) -> bool {
        let (Some(source), Some((&first, _))) = (&mut self.source, self.waiting.first_key_value())
        else {
            return false;
        };
        self.stats.lost += first - source.next;
        source.next = first;
        self.give_following(take);
        true
    }
}

/// Puts an RTP header before the packets of a transport stream.
#[derive(Debug, Clone, Copy)]
pub struct RtpWriter {
    ssrc: u32,
    next: u16,
}

impl RtpWriter {
    /// One for this source; both numbers are to be random (RFC 3550 section 5.1).
    pub fn new(ssrc: u32, first_sequence: u16) -> Self {
        Self {
            ssrc,
            next: first_sequence,
        }
    }

    /// A datagram with these packets. `timestamp` is when the first byte is to be sent, in ticks of 90 kHz; `jumps` says
    /// that it does not follow on the last.
    pub fn write(&mut self, packets: &[u8], timestamp: u32, jumps: bool) -> Vec<u8> {
        let mut out = vec![0; RTP_HEADER_BYTES];
        let header = RtpHeader {
            marker: jumps,
            payload_type: PAYLOAD_TYPE,
            sequence: self.next,
            timestamp,
            ssrc: self.ssrc,
        };
        write_header(&mut out, &header);
        self.next = self.next.wrapping_add(1);
        out.extend_from_slice(packets);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(n: u16) -> Vec<u8> {
        let mut packet = vec![n as u8; PACKET_BYTES];
        packet[0] = SYNC;
        packet
    }

    fn datagram(ssrc: u32, n: u16) -> Vec<u8> {
        RtpWriter::new(ssrc, n).write(&payload(n), 0, false)
    }

    /// Any moment: only differences count.
    #[allow(clippy::disallowed_methods, reason = "virtual time begins somewhere")]
    fn moment() -> Instant {
        Instant::now()
    }

    fn read(datagrams: &[Vec<u8>]) -> (Vec<u8>, DatagramStats) {
        let now = moment();
        let mut reader = DatagramReader::default();
        let mut seen = Vec::new();
        for datagram in datagrams {
            reader.handle_datagram(datagram, now, |bytes| seen.push(bytes[1]));
        }
        reader.finish(|bytes| seen.push(bytes[1]));
        (seen, reader.stats)
    }

    fn numbered(numbers: &[u16]) -> (Vec<u8>, DatagramStats) {
        read(&numbers.iter().map(|&n| datagram(7, n)).collect::<Vec<_>>())
    }

    #[test]
    fn bare_datagrams_and_those_behind_rtp_are_told_apart() {
        let (seen, stats) = read(&[payload(1), datagram(7, 9), vec![1, 2], vec![]]);
        assert_eq!(seen, [1, 9]);
        assert_eq!((stats.bare, stats.rtp, stats.malformed), (1, 1, 2));
    }

    #[test]
    fn order_is_restored_over_the_wrap_and_what_comes_twice_is_left_out() {
        let (seen, stats) = numbered(&[65_534, 0, 65_535, 0, 2, 2, 1]);
        assert_eq!(seen, [254, 255, 0, 1, 2]);
        assert_eq!(
            (stats.rtp, stats.late, stats.reordered, stats.lost),
            (5, 2, 2, 0)
        );
    }

    #[test]
    fn what_does_not_come_is_waited_for_so_long_and_then_lost() {
        let numbers: Vec<u16> = [1, 2].into_iter().chain(5..5 + 33).collect();
        let mut reader = DatagramReader::default();
        let (mut given, now) = (0, moment());
        for (n, &number) in numbers.iter().enumerate() {
            reader.handle_datagram(&datagram(7, number), now, |_| given += 1);
            assert!(n + 1 == numbers.len() || given <= 2);
        }
        assert_eq!((given, reader.stats.lost), (numbers.len(), 2));
    }

    #[test]
    fn nothing_waits_longer_than_it_may() {
        let begin = moment();
        let mut reader = DatagramReader::default();
        let mut seen = Vec::new();
        for (n, after_ms) in [(1, 0), (3, 10), (4, 50), (6, 60)] {
            let now = begin + Duration::from_millis(after_ms);
            reader.handle_datagram(&datagram(7, n), now, |bytes| seen.push(bytes[1]));
        }
        let due = reader.next_timeout().unwrap();
        assert_eq!(due, begin + Duration::from_millis(10) + PATIENCE);
        reader.handle_timeout(begin + Duration::from_millis(109), |bytes| {
            seen.push(bytes[1]);
        });
        assert_eq!(seen, [1]);
        reader.handle_timeout(due, |bytes| seen.push(bytes[1]));
        assert_eq!(seen, [1, 3, 4]);
        let due = reader.next_timeout().unwrap();
        assert_eq!(due, begin + Duration::from_millis(60) + PATIENCE);
        reader.handle_timeout(due, |bytes| seen.push(bytes[1]));
        assert_eq!(
            (&seen[..], reader.next_timeout()),
            (&[1, 3, 4, 6][..], None)
        );
        assert_eq!(reader.stats.lost, 2);
    }

    #[test]
    fn another_source_takes_over_with_its_second_datagram_only() {
        let mut datagrams: Vec<_> = (1..4).map(|n| datagram(7, n)).collect();
        datagrams.push(datagram(8, 100));
        datagrams.extend((4..6).map(|n| datagram(7, n)));
        let (seen, stats) = read(&datagrams);
        assert_eq!(seen, [1, 2, 3, 4, 5]);
        assert_eq!((stats.other_source, stats.restarts), (1, 0));
        datagrams.extend((200..203).map(|n| datagram(8, n)));
        // The same source begins anew elsewhere.
        datagrams.extend((30_000..30_003).map(|n| datagram(8, n)));
        let (seen, stats) = read(&datagrams);
        assert_eq!(seen[5..], [201, 202, 0x31, 0x32]);
        assert_eq!((stats.other_source, stats.restarts), (3, 2));
    }

    #[test]
    fn other_payloads_are_counted() {
        let mut other = datagram(7, 1);
        other[1] = 96;
        let (seen, stats) = read(&[other, datagram(7, 1)]);
        assert_eq!((seen.len(), stats.other_payload), (1, 1));
    }
}
