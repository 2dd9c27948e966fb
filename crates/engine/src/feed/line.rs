//! One producer that is fed: its numbers, its reports, its way to the shard.

use std::time::{Duration, Instant};

use roomtone_frames::Format;
use roomtone_frames::packetize::Packet;
use roomtone_rtp::RtpHeader;
use roomtone_rtp::rtcp::{CompoundWriter, Entries, SenderReport};

use super::clock::Placed;
use crate::counters::IngestCounters;
use crate::shard::{Batch, BatchPool, ShardHandle};

/// Empty batches kept.
const KEPT_BATCHES: usize = 16;
/// Between two sender reports.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Bytes of a sender report without blocks (RFC 3550 section 6.4.1).
const REPORT_BYTES: usize = 28;

/// The way of an outlet's units to one producer.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) producer: u64,
    transport: u64,
    ssrc: u32,
    payload_type: u8,
    shard: ShardHandle,
    pool: BatchPool,
    batch: Batch,
    sequence: u16,
    packets: u32,
    octets: u32,
    report_at: Option<Instant>,
    /// Of pictures: what was dropped, or never sent, is missing until a keyframe comes.
    waits_for_keyframe: bool,
}

impl Line {
    pub(crate) fn new(
        producer: u64,
        transport: u64,
        ssrc: u32,
        payload_type: u8,
        shard: ShardHandle,
    ) -> Self {
        let pool = BatchPool::new(KEPT_BATCHES);
        Self {
            producer,
            transport,
            ssrc,
            payload_type,
            shard,
            batch: pool.empty(transport),
            pool,
            sequence: 0,
            packets: 0,
            octets: 0,
            report_at: None,
            waits_for_keyframe: true,
        }
    }

    /// Add the packets of a unit to what is to be sent.
    pub(super) fn write(
        &mut self,
        is_keyframe: bool,
        format: &Format,
        packets: &[Packet],
        placed: Placed,
        now: Instant,
    ) {
        if format.is_video() && self.waits_for_keyframe && !is_keyframe {
            return;
        }
        self.waits_for_keyframe = false;
        let timestamp = placed.timestamp(format.clock_rate());
        // A report that comes first tells of the first picture already.
        if self.report_at.is_none_or(|at| at <= now) {
            self.report_at = Some(now + REPORT_EVERY);
            self.report(placed, timestamp);
        }
        for packet in packets {
            let header = RtpHeader {
                marker: packet.marker,
                payload_type: self.payload_type,
                sequence: self.sequence,
                timestamp,
                ssrc: self.ssrc,
            };
            self.batch.push_rtp(&header, &packet.bytes);
            self.sequence = self.sequence.wrapping_add(1);
            self.packets = self.packets.wrapping_add(1);
            self.octets = self.octets.wrapping_add(packet.bytes.len() as u32);
        }
    }

    /// The next unit comes with a report: those before it are from some time ago.
    pub(super) fn report_anew(&mut self) {
        self.report_at = None;
    }

    fn report(&mut self, placed: Placed, timestamp: u32) {
        let mut space = [0; REPORT_BYTES];
        let mut writer = CompoundWriter::new(&mut space);
        let report = SenderReport {
            ssrc: self.ssrc,
            ntp: placed.ntp,
            rtp_timestamp: timestamp,
            packet_count: self.packets,
            octet_count: self.octets,
            reports: Entries::empty(),
            extension: &[],
        };
        if writer.push(&report).is_ok() {
            let len = writer.finish();
            self.batch.push(&space[..len], true);
        }
    }

    /// Hand over what was written; what finds no place is dropped up to the next keyframe, counted.
    pub(super) fn flush(&mut self, counters: &IngestCounters) {
        if self.batch.packets.is_empty() {
            return;
        }
        let fresh = self.pool.empty(self.transport);
        let full = std::mem::replace(&mut self.batch, fresh);
        let count = full.packets.len() as u64;
        match self.shard.batch(full) {
            Ok(()) => counters.fed_packets.add(count),
            Err(batch) => {
                counters.fed_dropped_full.add(count);
                self.waits_for_keyframe = true;
                batch.send_home();
            }
        }
    }
}
