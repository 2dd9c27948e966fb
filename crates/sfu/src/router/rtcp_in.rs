//! RTCP from the peers, read packet by packet; what it means is in [`super::feedback`].

use std::time::Instant;

use roomtone_rtp::rtcp::{
    Entries, PacketStatus, ReportBlock, RtcpPacket, TransportFeedback, parse_compound,
};

use super::Router;
use crate::{FeedbackEntry, RtcpDrop};

impl Router {
    /// Reads a compound up to the first packet that is broken.
    pub(super) fn read_compound(
        &mut self,
        at: u32,
        data: &[u8],
        now: Instant,
    ) -> Result<(), RtcpDrop> {
        if data.is_empty() {
            return Err(RtcpDrop::Malformed);
        }
        let limit = self.config.limits.rtcp_packets_per_compound;
        for packet in parse_compound(data).take(limit) {
            let packet = packet.map_err(|_| RtcpDrop::Malformed)?;
            self.read_packet(at, &packet, now);
        }
        Ok(())
    }

    fn read_packet(&mut self, at: u32, packet: &RtcpPacket<'_>, now: Instant) {
        match packet {
            RtcpPacket::SenderReport(report) => {
                self.on_sender_report(at, report.ssrc, report.ntp, report.rtp_timestamp, now);
                self.read_blocks(at, report.reports, now);
            }
            RtcpPacket::ReceiverReport(report) => self.read_blocks(at, report.reports, now),
            RtcpPacket::Nack(nack) => self.on_nack(at, nack.media_ssrc, nack.sequences(), now),
            RtcpPacket::Pli(pli) => self.on_keyframe_request(at, pli.media_ssrc, false, now),
            RtcpPacket::Fir(fir) => {
                for entry in fir.entries {
                    self.on_keyframe_request(at, entry.ssrc, true, now);
                }
            }
            RtcpPacket::Goodbye(goodbye) => {
                for ssrc in goodbye.ssrcs {
                    self.on_goodbye(at, ssrc);
                }
            }
            RtcpPacket::Remb(remb) => self.on_remb(at, remb.bitrate_bps, now),
            RtcpPacket::TransportFeedback(feedback) => self.read_feedback(at, feedback, now),
            RtcpPacket::ExtendedReport(report) => {
                if !self.on_extended(at, report, now) {
                    self.ignore_rtcp(at);
                }
            }
            // Names are the signalling's; the others are asked for by nobody here.
            RtcpPacket::SourceDescription(_) => {}
            _ => self.ignore_rtcp(at),
        }
    }

    fn read_blocks(&mut self, at: u32, blocks: Entries<'_, ReportBlock>, now: Instant) {
        for block in blocks {
            self.on_report_block(at, &block, now);
        }
    }

    fn read_feedback(&mut self, at: u32, feedback: &TransportFeedback<'_>, now: Instant) {
        // An estimator that does not track packets has no use for their fate.
        if !self.transports[at as usize].tracks_packets {
            return self.on_transport_feedback(at, &[], now);
        }
        // Twenty bytes can speak of 65,535 packets: nobody sends that many between two of them.
        let limit = self.config.limits.feedback_statuses;
        let mut statuses = feedback.statuses();
        let mut entries = std::mem::take(&mut self.statuses);
        entries.clear();
        entries.extend(
            statuses
                .by_ref()
                .take(limit)
                .map(|(sequence, status)| FeedbackEntry {
                    sequence,
                    arrival_us: match status {
                        PacketStatus::Received { arrival_us } => Some(arrival_us),
                        PacketStatus::NotReceived => None,
                    },
                }),
        );
        if statuses.next().is_some() {
            self.transports[at as usize].stats.feedback_truncated += 1;
        }
        self.on_transport_feedback(at, &entries, now);
        self.statuses = entries;
    }
}
