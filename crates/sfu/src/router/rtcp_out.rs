//! RTCP to the peers: reports at their interval, requests and feedback as they come due, put
//! together into as few datagrams as they fit.

use std::time::{Duration, Instant};

use roomtone_rtp::rtcp::{
    CompoundWriter, Entries, FeedbackTarget, Fir, FirEntry, Goodbye, MAX_COUNT, Nack, NackPair,
    NackPairs, Pli, ReceiverReport, Remb, ReportBlock, RtcpError, SdesChunk, SdesItem, SdesKind,
    SenderReport, SourceDescription, write_transport_feedback,
};
use roomtone_rtp::{MediaKind, NtpTime};

use super::Router;
use crate::producer::Stream;
use crate::quality::policy::{EstimatorState, confidence};
use crate::transport::{Message, Transport};

/// A datagram of RTCP stays below what any network carries whole.
const MAX_DATAGRAM: usize = 1_200;
/// Sender reports in one datagram: 28 bytes each and a chunk of the description.
const MAX_SENDER_REPORTS: usize = 12;
/// Report blocks in one datagram, 24 bytes each.
const MAX_REPORT_BLOCKS: usize = 16;

/// The last datagram of a transport that closes.
pub(super) fn write_goodbye(transport: &Transport, ssrcs: &[u32], out: &mut [u8]) -> Option<usize> {
    let mut writer = CompoundWriter::new(out);
    write_empty_report(&mut writer, transport).ok()?;
    for part in ssrcs.chunks(MAX_COUNT) {
        // What does not fit is not said: the peer times those sources out.
        let _ = writer.push(&Goodbye {
            ssrcs: Entries::new(part),
            reason: b"",
        });
    }
    Some(writer.finish())
}

/// What a compound without reports begins with (RFC 3550 section 6.1).
fn write_empty_report(
    writer: &mut CompoundWriter<'_>,
    transport: &Transport,
) -> Result<(), RtcpError> {
    let ssrc = transport.local_ssrc;
    writer.push(&ReceiverReport {
        ssrc,
        reports: Entries::empty(),
        extension: &[],
    })?;
    write_names(writer, &[ssrc], &transport.cname)
}

fn write_names(
    writer: &mut CompoundWriter<'_>,
    ssrcs: &[u32],
    cname: &str,
) -> Result<(), RtcpError> {
    let items = [SdesItem {
        kind: SdesKind::Cname,
        value: cname.as_bytes(),
    }];
    let chunks: Vec<_> = ssrcs
        .iter()
        .map(|ssrc| SdesChunk::new(*ssrc, &items))
        .collect();
    writer.push(&SourceDescription::new(&chunks))
}

impl Router {
    /// Writes one datagram of RTCP; the caller asks again while there is more.
    pub(super) fn write_rtcp(&mut self, at: u32, now: Instant, out: &mut [u8]) -> Option<usize> {
        let space = out.len().min(MAX_DATAGRAM);
        let mut writer = CompoundWriter::new(&mut out[..space]);
        let written = self.write_reports(at, now, &mut writer);
        if written.is_err() {
            // A buffer this small holds no RTCP at all: nothing may wait for a larger one.
            self.drop_rtcp(at);
            return None;
        }
        self.write_messages(at, &mut writer);
        self.write_feedback(at, &mut writer);
        self.write_remb(at, &mut writer);
        if writer.is_empty() {
            // Nothing fits, or nothing was left to say.
            self.drop_rtcp(at);
            return None;
        }
        self.transports[at as usize].stats.rtcp_packets_sent += 1;
        Some(writer.finish())
    }

    fn drop_rtcp(&mut self, at: u32) {
        let transport = &mut self.transports[at as usize];
        transport.stats.rtcp_overflow += transport.messages.len() as u64;
        transport.messages.clear();
        transport.report = crate::transport::Report::default();
        if let Some(arrivals) = &mut transport.arrivals {
            arrivals.clear();
        }
    }

    /// Reports that are due, or what a compound begins with in their place.
    fn write_reports(
        &mut self,
        at: u32,
        now: Instant,
        writer: &mut CompoundWriter<'_>,
    ) -> Result<(), RtcpError> {
        let report = &mut self.transports[at as usize].report;
        let due = std::mem::take(&mut report.due);
        let blocks_left = report.streams.len().saturating_sub(MAX_REPORT_BLOCKS);
        let streams = report.streams.split_off(blocks_left);
        let left = report.consumers.len().saturating_sub(MAX_SENDER_REPORTS);
        let consumers = report.consumers.split_off(left);
        let senders = self.sender_reports(&consumers, now);
        if !due && streams.is_empty() && senders.is_empty() {
            let transport = &self.transports[at as usize];
            return if transport.reduced_size {
                Ok(())
            } else {
                write_empty_report(writer, transport)
            };
        }
        let blocks: Vec<_> = streams
            .iter()
            .map(|stream| self.report_block(*stream, now))
            .collect();
        for sender in &senders {
            writer.push(sender)?;
        }
        let transport = &self.transports[at as usize];
        let mut ssrcs: Vec<_> = senders.iter().map(|sender| sender.ssrc).collect();
        if !blocks.is_empty() || senders.is_empty() {
            let ssrc = transport.local_ssrc;
            writer.push(&ReceiverReport {
                ssrc,
                reports: Entries::new(&blocks),
                extension: &[],
            })?;
            ssrcs.push(ssrc);
        }
        // Long names leave room for fewer of them.
        let mut named = ssrcs.len();
        while named > 0 && write_names(writer, &ssrcs[..named], &transport.cname).is_err() {
            named /= 2;
        }
        if due {
            self.write_extended(at, &streams, now, writer);
        }
        Ok(())
    }

    /// What we saw of a publisher's stream.
    fn report_block(&mut self, stream: u32, now: Instant) -> ReportBlock {
        let now_us = self.clock.micros(now);
        let stream = &mut self.streams[stream as usize];
        let figures = stream.reception_mut().report();
        let last = stream.report;
        let delay = last.map_or(Duration::ZERO, |last| {
            Duration::from_micros(now_us.saturating_sub(last.arrival_us))
        });
        ReportBlock {
            ssrc: stream.ssrc.unwrap_or_default(),
            fraction_lost: figures.fraction_lost,
            cumulative_lost: figures.cumulative_lost,
            highest_sequence: figures.highest,
            jitter: figures.jitter,
            last_sr: last.map_or(0, |last| last.ntp.compact()),
            delay_since_last_sr: NtpTime::duration_to_compact(delay),
        }
    }

    /// Sender reports of those consumers that have sent something.
    fn sender_reports(&self, consumers: &[u32], now: Instant) -> Vec<SenderReport<'static>> {
        let mut reports = Vec::new();
        for consumer in consumers {
            let Some(consumer) = self.consumers.get(*consumer as usize) else {
                continue;
            };
            let mut add = |ssrc, stream: u32, offset: u32| {
                let Some(stream) = self.streams.get(stream as usize) else {
                    return;
                };
                let Some(timestamp) = self.timestamp_at(stream, now) else {
                    return;
                };
                reports.push(SenderReport {
                    ssrc,
                    ntp: self.clock.ntp(now),
                    rtp_timestamp: timestamp.wrapping_add(offset),
                    // Of a verbatim consumer these count all its encodings together.
                    packet_count: consumer.report_packets,
                    octet_count: consumer.report_bytes,
                    reports: Entries::empty(),
                    extension: &[],
                });
            };
            if consumer.verbatim {
                consumer
                    .taps
                    .iter()
                    .for_each(|tap| add(tap.ssrc, tap.stream, 0));
            } else if let (Some(tap), Some(offset), true) = (
                consumer.current,
                consumer.rewriting.timestamp_offset(),
                consumer.rewriting.has_sent(),
            ) && !consumer.waiting
            {
                add(consumer.ssrc, tap.stream, offset);
            }
        }
        reports
    }

    /// The timestamp a stream would carry now: by its publisher's sender report, on a clock
    /// common to all streams of that publisher, else by its newest packet.
    fn timestamp_at(&self, stream: &Stream, now: Instant) -> Option<u32> {
        let rate = i128::from(stream.clock_rate);
        let publisher = self.producers[stream.producer as usize].transport;
        let offset = self.transports[publisher as usize].clock_offset;
        if let (Some(report), Some(offset)) = (stream.report, offset) {
            let theirs = self.clock.ntp(now).0.wrapping_sub(offset.cast_unsigned());
            let since = i128::from(theirs.wrapping_sub(report.ntp.0).cast_signed());
            return Some(report.timestamp.wrapping_add(((since * rate) >> 32) as u32));
        }
        let (timestamp, at_us) = stream.last_timestamp()?;
        let elapsed = i128::from(self.clock.micros(now).saturating_sub(at_us));
        Some(timestamp.wrapping_add((elapsed * rate / 1_000_000) as u32))
    }

    fn write_messages(&mut self, at: u32, writer: &mut CompoundWriter<'_>) {
        let transport = &mut self.transports[at as usize];
        let sender_ssrc = transport.local_ssrc;
        while let Some(message) = transport.messages.front() {
            if write_message(writer, sender_ssrc, message).is_err() {
                return;
            }
            transport.messages.pop_front();
        }
    }

    fn write_feedback(&mut self, at: u32, writer: &mut CompoundWriter<'_>) {
        let transport = &mut self.transports[at as usize];
        if !transport.report.feedback_due {
            return;
        }
        let Some(arrivals) = &mut transport.arrivals else {
            return;
        };
        let Some(contents) = arrivals.prepare() else {
            transport.report.feedback_due = false;
            return;
        };
        let target = FeedbackTarget {
            sender_ssrc: transport.local_ssrc,
            media_ssrc: arrivals.media_ssrc,
            feedback_count: contents.count,
            base_sequence: contents.base,
        };
        let written = writer.push_with(|space| {
            let written = write_transport_feedback(space, &target, &contents.arrivals)?;
            Ok((written.len, written.taken))
        });
        match written {
            Ok(taken) => {
                arrivals.commit(taken);
                transport.stats.feedback_sent += 1;
                transport.report.feedback_due = !arrivals.is_empty();
            }
            Err(RtcpError::NoSpace) => {}
            Err(_) => {
                arrivals.clear();
                transport.report.feedback_due = false;
            }
        }
    }

    /// The bitrate a publisher without transport-wide feedback is told.
    fn write_remb(&mut self, at: u32, writer: &mut CompoundWriter<'_>) {
        let transport = &self.transports[at as usize];
        if !transport.report.remb_due {
            return;
        }
        let mut ssrcs = Vec::new();
        for producer in &transport.producers {
            let producer = &self.producers[*producer as usize];
            if producer.kind == MediaKind::Video {
                let streams = producer.streams.iter();
                ssrcs.extend(streams.filter_map(|stream| self.streams[*stream as usize].ssrc));
            }
        }
        ssrcs.truncate(MAX_COUNT);
        let limit = transport.max_bitrate;
        let rate = transport.line.rate.as_ref();
        let (bitrate_bps, state) = rate.map_or((limit, EstimatorState::Starting), |rate| {
            rate.estimate(limit)
        });
        let remb = Remb {
            sender_ssrc: transport.local_ssrc,
            bitrate_bps,
            ssrcs: Entries::new(&ssrcs),
        };
        let written = !ssrcs.is_empty() && writer.push(&remb).is_ok();
        if written || ssrcs.is_empty() {
            self.transports[at as usize].report.remb_due = false;
        }
        if written {
            self.transports[at as usize].line.told = Some((bitrate_bps, confidence(state)));
        }
    }
}

fn write_message(
    writer: &mut CompoundWriter<'_>,
    sender_ssrc: u32,
    message: &Message,
) -> Result<(), RtcpError> {
    match message {
        Message::Nack { ssrc, sequences } => {
            let pairs: Vec<NackPair> = NackPairs::from_sorted(sequences.iter().copied()).collect();
            writer.push(&Nack {
                sender_ssrc,
                media_ssrc: *ssrc,
                pairs: Entries::new(&pairs),
            })
        }
        Message::Pli { ssrc } => writer.push(&Pli {
            sender_ssrc,
            media_ssrc: *ssrc,
        }),
        Message::Fir { ssrc, number } => {
            let entries = [FirEntry {
                ssrc: *ssrc,
                sequence: *number,
            }];
            writer.push(&Fir {
                sender_ssrc,
                entries: Entries::new(&entries),
            })
        }
        Message::Goodbye { ssrcs } => writer.push(&Goodbye {
            ssrcs: Entries::new(&ssrcs[..ssrcs.len().min(MAX_COUNT)]),
            reason: b"",
        }),
    }
}
