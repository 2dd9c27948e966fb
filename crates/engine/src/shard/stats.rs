//! Statistics and dumps of objects. Names are those of W3C webrtc-stats where it has them.

use roomtone_rtp::MediaKind;
use roomtone_rtp::rtcp::VoipMetrics;
use roomtone_sfu::{
    ConsumerId, ConsumerStats, InboundStreamStats, Mos, OutboundStreamStats, PauseReason,
    ProducerId, Quality, RemoteInboundStats, TransportId,
};
use serde_json::{Value, json};

use super::Shard;
use super::commands::Answered;
use super::line_events;
use super::objects::{Carrier, Object, Peer, Plain};
use crate::failure::Failure;
use crate::values::{CommandResult, Report, StatValue};

/// A report of pairs.
macro_rules! report {
    ($($name:literal: $value:expr),* $(,)?) => {
        Report::from([$(($name.to_owned(), StatValue::from($value))),*])
    };
}

pub(super) use report;

impl Shard {
    pub(super) fn object_stats(&self, id: u64) -> Answered {
        let object = self
            .objects
            .get(&id)
            .ok_or_else(|| Failure::not_found("object", id))?;
        let reports = match object {
            Object::Router(slot) => vec![self.router_report(id, *slot)],
            Object::Transport(slot) => {
                let mut reports = vec![self.transport_report(id, *slot)?];
                if let Carrier::Mixer(end) = &self.transports[*slot].carrier {
                    reports.extend(end.board.read());
                }
                if let Carrier::Packager(end) = &self.transports[*slot].carrier {
                    reports.extend(end.board.read());
                }
                reports
            }
            Object::Producer(entry) => self.producer_reports(id, entry.transport)?,
            Object::Consumer(entry) => self.consumer_reports(id, entry.transport)?,
            Object::Observer(slot, entry) => vec![self.observer_report(id, *slot, entry)],
            Object::Channel(slot, stream, _) => vec![self.channel_report(id, *slot, *stream)],
        };
        Ok(Some(CommandResult::Stats { reports }))
    }

    fn router_report(&self, id: u64, slot: usize) -> Report {
        let stats = self.routers[slot].router.stats();
        report! {
            "id": id.to_string(), "type": "router", "shard": self.index,
            "transports": stats.transports, "producers": stats.producers, "consumers": stats.consumers,
            "packetsReceived": stats.packets_in, "packetsSent": stats.packets_out,
            "historyBytes": stats.history_bytes, "eventsDropped": stats.events_dropped, "timers": stats.timers,
            "ledTogether": stats.led_together, "neighboursLeftOut": stats.neighbours_left_out,
            "audioPacketsWithheld": stats.audio_packets_withheld, "audioAdmissions": stats.audio_admissions,
            "audioEvictions": stats.audio_evictions, "audioRefusals": stats.audio_refusals,
        }
    }

    fn transport_report(&self, id: u64, slot: usize) -> Result<Report, Failure> {
        let entry = &self.transports[slot];
        let stats = self.routers[entry.router]
            .router
            .transport_stats(TransportId(id))?;
        let mut report = report! {
            "id": id.to_string(), "type": "transport", "writable": entry.writable,
            "packetsReceived": stats.rtp_packets_received + stats.rtcp_packets_received,
            "packetsSent": stats.rtp_packets_sent + stats.rtcp_packets_sent,
            "rtpPacketsReceived": stats.rtp_packets_received, "rtpBytesReceived": stats.rtp_bytes_received,
            "rtpPacketsSent": stats.rtp_packets_sent, "rtpBytesSent": stats.rtp_bytes_sent,
            "rtcpPacketsReceived": stats.rtcp_packets_received, "rtcpPacketsSent": stats.rtcp_packets_sent,
            "rtpMalformed": stats.rtp_malformed, "rtcpMalformed": stats.rtcp_malformed,
            "rtpUnknown": stats.rtp_unknown, "rtpPayloadType": stats.rtp_payload_type,
            "ssrcInUse": stats.ssrc_in_use, "ssrcCollisions": stats.ssrc_collisions,
            "rtpTooLong": stats.rtp_too_long, "rtxDiscarded": stats.rtx_discarded,
            "rtcpIgnored": stats.rtcp_ignored, "rtcpNotCompound": stats.rtcp_not_compound, "rtcpOverflow": stats.rtcp_overflow,
            "feedbackSent": stats.feedback_sent, "feedbackReceived": stats.feedback_received,
            "feedbackOverflow": stats.feedback_overflow,
            "feedbackTruncated": stats.feedback_truncated, "feedbackBogus": stats.feedback_bogus,
            "availableOutgoingBitrate": stats.available_outgoing_bitrate,
            "estimator": stats.estimator,
            "allocatedBitrate": stats.allocated_bitrate, "wantedBitrate": stats.wanted_bitrate,
            "allocations": stats.allocations, "probes": stats.probes,
            "paddingPacketsSent": stats.padding_packets_sent, "paddingBytesSent": stats.padding_bytes_sent,
            "currentRoundTripTime": stats.current_round_trip_us.map(|us| us as f64 / 1e6),
            "extendedReportsSent": stats.extended_sent, "extendedReportsReceived": stats.extended_received,
            "extendedRoundTripTime": stats.extended_round_trip_us.map(|us| us as f64 / 1e6),
            "bursts": stats.bursts, "toldBitrate": stats.told_bitrate,
            "toldConfidence": f64::from(stats.told_confidence) / 100.0,
            "queueDelayUp": stats.queue_delay_up_us as f64 / 1e6,
            "congestionUp": line_events::congestion_name(stats.congestion_up),
            "congestionDown": line_events::congestion_name(stats.congestion_down),
        };
        report.extend(quality_report(stats.quality));
        report.extend(match &entry.carrier {
            Carrier::WebRtc(peer) => peer_report(peer),
            Carrier::Plain(plain) => plain_report(plain),
            Carrier::Pipe(end) => report! {
                "carrier": "pipe", "farShard": end.far_shard, "farTransportId": end.far_transport.to_string(),
                "sourceId": end.source.map(|id| id.to_string()),
                "pipePacketsSent": end.packets_handed, "pipePacketsDropped": end.packets_dropped,
            },
            Carrier::Mixer(end) => report! {
                "carrier": "mixer", "audioThread": end.thread, "sources": end.sources.len(),
                "inputs": entry.consumers.len(), "outputs": entry.producers.len(),
            },
            Carrier::Packager(end) => report! {
                "carrier": "packager", "name": end.name.as_str(), "tracks": end.tracks.len(),
            },
            Carrier::Feed(_) => report! { "carrier": "feed", "tracks": entry.producers.len() },
        });
        Ok(report)
    }

    fn producer_reports(&self, id: u64, slot: usize) -> Result<Vec<Report>, Failure> {
        let entry = &self.transports[slot];
        let stats = self.routers[entry.router]
            .router
            .producer_stats(ProducerId(id))?;
        let sum = |of: fn(&InboundStreamStats) -> u64| stats.streams.iter().map(of).sum::<u64>();
        let mut reports = vec![report! {
            "id": id.to_string(), "type": "inbound-rtp", "kind": kind_name(stats.kind), "transportId": entry.id.to_string(),
            "packetsReceived": sum(|s| s.packets_received), "bytesReceived": sum(|s| s.bytes_received),
            "packetsLost": stats.streams.iter().map(|s| s.packets_lost).sum::<i64>(),
            "framesReceived": sum(|s| s.frames_received), "keyFramesReceived": sum(|s| s.key_frames_received),
            "nackCount": sum(|s| s.nack_count), "pliCount": sum(|s| s.pli_count), "firCount": sum(|s| s.fir_count),
            "bitrate": sum(|s| s.bitrate), "encodings": stats.streams.len(), "droppedPaused": stats.dropped_paused,
            "wantedBy": stats.wanted_by,
        }];
        reports[0].extend(quality_report(stats.quality));
        for (index, stream) in stats.streams.iter().enumerate() {
            let mut report = inbound_report(stream);
            report.insert("id".into(), format!("{id}-{index}").into());
            report.insert("kind".into(), kind_name(stats.kind).into());
            report.insert("encoding".into(), index.into());
            reports.push(report);
        }
        Ok(reports)
    }

    fn consumer_reports(&self, id: u64, slot: usize) -> Result<Vec<Report>, Failure> {
        let entry = &self.transports[slot];
        let stats = self.routers[entry.router]
            .router
            .consumer_stats(ConsumerId(id))?;
        let mut own = outbound_report(&stats.outbound);
        own.insert("id".into(), id.to_string().into());
        own.insert("kind".into(), kind_name(stats.kind).into());
        own.insert("transportId".into(), entry.id.to_string().into());
        own.insert("score".into(), u64::from(stats.score).into());
        own.insert("fractionMissing".into(), stats.fraction_missing.into());
        own.extend(layer_report(&stats));
        own.extend(quality_report(stats.quality));
        let mut remote = remote_report(&stats.remote);
        remote.insert("id".into(), format!("{id}-remote").into());
        remote.insert("localId".into(), id.to_string().into());
        remote.insert("kind".into(), kind_name(stats.kind).into());
        if let Some(metrics) = &stats.remote.voip {
            remote.extend(voip_report(metrics));
        }
        Ok(vec![own, remote])
    }

    pub(super) fn dump(&self, id: u64) -> Answered {
        let object = self
            .objects
            .get(&id)
            .ok_or_else(|| Failure::not_found("object", id))?;
        let dumped = match object {
            Object::Router(slot) => self.dump_router(id, *slot),
            Object::Transport(slot) => self.dump_transport(id, *slot)?,
            Object::Producer(entry) => {
                let router = &self.routers[self.transports[entry.transport].router].router;
                let dump = router.producer_dump(ProducerId(id))?;
                json!({
                    "id": id, "type": "producer", "transport": dump.transport.0, "kind": kind_name(dump.kind),
                    "mid": dump.mid, "paused": dump.paused, "pipes": entry.pipes,
                    "consumers": dump.consumers.iter().map(|c| c.0).collect::<Vec<_>>(),
                    "streams": dump.streams.iter().map(dump_stream).collect::<Vec<_>>(),
                })
            }
            Object::Consumer(entry) => {
                let router = &self.routers[self.transports[entry.transport].router].router;
                let dump = router.consumer_dump(ConsumerId(id))?;
                json!({
                    "id": id, "type": "consumer", "transport": dump.transport.0, "kind": kind_name(dump.kind),
                    "producer": dump.producer.map(|p| p.0), "ssrc": dump.ssrc, "rtx_ssrc": dump.rtx_ssrc,
                    "mid": dump.mid, "paused": dump.paused, "waiting_for_keyframe": dump.waiting_for_keyframe,
                    "preferred_spatial": dump.preferred_spatial, "preferred_temporal": dump.preferred_temporal,
                    "current_spatial": dump.current_spatial, "target_spatial": dump.target_spatial,
                    "segments": dump.segments, "last_sequence": dump.last_sequence, "verbatim": dump.verbatim,
                })
            }
            Object::Observer(slot, entry) => self.dump_observer(id, *slot, entry),
            Object::Channel(slot, stream, open) => self.dump_channel(id, *slot, *stream, *open),
        };
        Ok(Some(CommandResult::Dumped {
            json: dumped.to_string(),
        }))
    }

    fn dump_router(&self, id: u64, slot: usize) -> Value {
        let entry = &self.routers[slot];
        let dump = entry.router.dump();
        json!({
            "id": id, "type": "router", "shard": self.index,
            "transports": dump.transports.iter().map(|t| t.0).collect::<Vec<_>>(),
            "producers": dump.producers.iter().map(|p| p.0).collect::<Vec<_>>(),
            "consumers": dump.consumers.iter().map(|c| c.0).collect::<Vec<_>>(),
            "observers": entry.observers,
        })
    }

    fn dump_transport(&self, id: u64, slot: usize) -> Result<Value, Failure> {
        let entry = &self.transports[slot];
        let dump = self.routers[entry.router]
            .router
            .transport_dump(TransportId(id))?;
        let carrier = match &entry.carrier {
            Carrier::WebRtc(peer) => json!({
                "kind": "webrtc", "ufrags": peer.ufrags, "sctp": peer.sctp,
                "addresses": peer.addresses.iter().map(|(p, a)| format!("{p} {a}")).collect::<Vec<_>>(),
                "tcp_connections": peer.connections.len(), "channels": peer.channels.len(),
                "selected": peer.selected.map(|tuple| tuple.to_string()), "ice": peer.transport.ice_report(),
            }),
            Carrier::Plain(plain) => json!({
                "kind": "plain", "local": plain.rtp_local.to_string(),
                "rtcp_local": plain.rtcp.as_ref().map(|(_, at)| at.to_string()),
                "remote": plain.latch.remote().map(|at| at.to_string()),
                "rtcp_remote": plain.latch.rtcp_remote().map(|at| at.to_string()),
                "latching": plain.latch.policy(), "secure": plain.secure,
            }),
            Carrier::Pipe(end) => json!({
                "kind": "pipe", "far_shard": end.far_shard, "far_transport": end.far_transport,
                "source": end.source,
            }),
            Carrier::Mixer(end) => json!({
                "kind": "mixer", "audio_thread": end.thread, "sources": end.sources,
            }),
            Carrier::Packager(end) => json!({
                "kind": "packager", "name": end.name,
                "tracks": end.tracks.iter().map(|one| one.track).collect::<Vec<_>>(),
            }),
            Carrier::Feed(_) => json!({ "kind": "feed" }),
        };
        Ok(json!({
            "id": id, "type": "transport", "router": self.routers[entry.router].id, "writable": dump.writable,
            "cname": dump.cname, "routes": dump.routes, "carrier": carrier,
            "producers": dump.producers.iter().map(|p| p.0).collect::<Vec<_>>(),
            "consumers": dump.consumers.iter().map(|c| c.0).collect::<Vec<_>>(),
        }))
    }
}

fn kind_name(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
        MediaKind::Data => "data",
    }
}

fn peer_report(peer: &Peer) -> Report {
    let mut report = report! {
        "carrier": "webrtc", "iceReport": peer.transport.ice_report(),
        "selectedProtocol": peer.selected.map(|t| t.protocol.to_string()),
        "selectedLocal": peer.selected.map(|t| t.local.to_string()),
        "selectedRemote": peer.selected.map(|t| t.remote.to_string()),
        "srtpCipher": peer.transport.srtp_profile().map(|p| p.sdes_name().to_owned()),
    };
    let stats = peer.transport.stats();
    let counters = stats.counters;
    report.extend(report! {
        "iceState": format!("{:?}", stats.ice_state).to_lowercase(),
        "dtlsState": format!("{:?}", stats.dtls_state).to_lowercase(),
        "dataChannels": stats.channels,
        "selectedCandidatePairChanges": counters.pair_changes,
        "stunRequests": counters.stun_requests, "stunRequestsSent": counters.stun_requests_sent,
        "stunResponses": counters.stun_responses, "stunDropped": counters.stun_dropped,
        "stunErrorsSent": counters.stun_errors_sent, "pairsEvicted": counters.pairs_evicted,
        "candidatesRefused": counters.candidates_refused,
        "dtlsReceived": counters.dtls_received, "dtlsDropped": counters.dtls_dropped,
        "earlyMediaDropped": counters.early_media_dropped, "srtpDropped": counters.srtp_dropped,
        "unknownDropped": counters.unknown_dropped, "transmitDropped": counters.transmit_dropped,
        "messagesReceived": counters.messages_received, "messagesSent": counters.messages_sent,
        "channelsRefused": counters.channels_refused,
        "messagesRefused": counters.messages_refused, "messagesExpired": counters.messages_expired,
    });
    report
}

fn plain_report(plain: &Plain) -> Report {
    report! {
        "carrier": "plain", "selectedLocal": plain.rtp_local.to_string(),
        "selectedRemote": plain.latch.remote().map(|at| at.to_string()), "secure": plain.secure,
        "srtpCipher": plain.sealer.as_ref().map(|sealer| sealer.profile().sdes_name().to_owned()),
        "dtlsState": plain.dtls.as_ref().map(|dtls| format!("{:?}", dtls.state()).to_lowercase()),
        "packetsFromStrays": plain.latch.strays, "rebinds": plain.latch.rebinds,
    }
}

fn inbound_report(stream: &InboundStreamStats) -> Report {
    let mut report = report! {
        "type": "inbound-rtp", "ssrc": stream.ssrc, "rid": stream.rid.clone(),
        "payloadType": u64::from(stream.payload_type),
        "packetsReceived": stream.packets_received, "bytesReceived": stream.bytes_received,
        "headerBytesReceived": stream.header_bytes_received, "packetsLost": stream.packets_lost,
        "fractionLost": f64::from(stream.fraction_lost) / 256.0, "jitter": stream.jitter,
        "packetsDiscarded": stream.packets_discarded, "duplicates": stream.duplicates,
        "paddingPackets": stream.padding_packets,
        "retransmittedPacketsReceived": stream.retransmitted_packets_received,
        "retransmittedBytesReceived": stream.retransmitted_bytes_received,
        "packetsRepaired": stream.packets_repaired, "packetsGivenUp": stream.packets_given_up,
        "nackCount": stream.nack_count, "nackedPackets": stream.nacked_packets,
        "pliCount": stream.pli_count, "firCount": stream.fir_count,
        "keyframeRequestsMerged": stream.keyframe_requests_merged,
        "framesReceived": stream.frames_received, "keyFramesReceived": stream.key_frames_received,
        "discontinuities": stream.discontinuities, "descriptorErrors": stream.descriptor_errors,
        "bitrate": stream.bitrate, "score": u64::from(stream.score),
        "packetsRecovered": stream.packets_recovered, "fecPacketsReceived": stream.fec_packets_received,
        "fecPacketsDiscarded": stream.fec_packets_discarded, "fractionMissing": stream.fraction_missing,
        "framesPerSecond": stream.frames_per_second, "freezeCount": stream.freeze_count,
        "feedbackSuppressed": stream.feedback_suppressed,
    };
    report.extend(quality_report(stream.quality));
    report
}

fn outbound_report(stream: &OutboundStreamStats) -> Report {
    report! {
        "type": "outbound-rtp", "ssrc": stream.ssrc, "rtxSsrc": stream.rtx_ssrc,
        "packetsSent": stream.packets_sent, "bytesSent": stream.bytes_sent,
        "headerBytesSent": stream.header_bytes_sent,
        "retransmittedPacketsSent": stream.retransmitted_packets_sent,
        "retransmittedBytesSent": stream.retransmitted_bytes_sent,
        "nackCount": stream.nack_count, "nackedPackets": stream.nacked_packets,
        "nackMisses": stream.nack_misses, "nackSuppressed": stream.nack_suppressed,
        "nackUnanswerable": stream.nack_unanswerable,
        "pliCount": stream.pli_count, "firCount": stream.fir_count, "overruns": stream.overruns,
        "packetsUnpacked": stream.packets_unpacked, "packetsMadeRedundant": stream.packets_made_redundant,
        "packetsSkipped": stream.packets_skipped, "packetsOversized": stream.packets_oversized,
    }
}

/// How good something is; all `None` while it is not known.
fn quality_report(quality: Option<Quality>) -> Report {
    report! {
        "quality": quality.map(|q| q.score.get()),
        "qualityLevel": quality.map(|q| line_events::level_name(q.level)),
        "qualityTrend": quality.map(|q| line_events::trend_name(q.trend)),
        "degradation": quality.and_then(|q| q.degradation).map(line_events::degradation_name),
        "mos": quality.and_then(|q| q.mos).map(Mos::get),
    }
}

/// The layers it is to be given and is given, and why it sends nothing.
fn layer_report(stats: &ConsumerStats) -> Report {
    let layers = &stats.layers;
    report! {
        "targetSpatialLayer": layers.target_spatial.map(u64::from),
        "targetTemporalLayer": layers.target_temporal.map(u64::from),
        "currentSpatialLayer": layers.current_spatial.map(u64::from),
        "currentTemporalLayer": layers.current_temporal.map(u64::from),
        "pauseReason": stats.paused.map(|reason| match reason {
            PauseReason::Command => "command".to_owned(),
            PauseReason::Bandwidth => "bandwidth".to_owned(),
        }),
    }
}

fn remote_report(remote: &RemoteInboundStats) -> Report {
    report! {
        "type": "remote-inbound-rtp", "packetsLost": remote.packets_lost, "fractionLost": remote.fraction_lost,
        "jitter": remote.jitter, "roundTripTime": remote.round_trip_time.map(|d| d.as_secs_f64()),
        "reportsReceived": remote.reports_received,
    }
}

/// What the far end measured of what it hears (RFC 3611 section 4.7); `None` where it cannot know.
fn voip_report(metrics: &VoipMetrics) -> Report {
    const UNAVAILABLE: u8 = 127;
    let known = |value: u8| (value != UNAVAILABLE).then_some(value);
    report! {
        "voipLossRate": f64::from(metrics.loss_rate) / 256.0,
        "voipDiscardRate": f64::from(metrics.discard_rate) / 256.0,
        "voipBurstDensity": f64::from(metrics.burst_density) / 256.0,
        "voipGapDensity": f64::from(metrics.gap_density) / 256.0,
        "voipBurstDuration": f64::from(metrics.burst_duration_ms) / 1e3,
        "voipGapDuration": f64::from(metrics.gap_duration_ms) / 1e3,
        "voipRoundTripTime": f64::from(metrics.round_trip_delay_ms) / 1e3,
        "voipRFactor": known(metrics.r_factor).map(u64::from),
        "voipMosListening": known(metrics.mos_listening).map(|mos| f64::from(mos) / 10.0),
        "voipMosConversational": known(metrics.mos_conversational).map(|mos| f64::from(mos) / 10.0),
        "voipJitterBufferDelay": f64::from(metrics.jitter_buffer_nominal_ms) / 1e3,
    }
}

fn dump_stream(stream: &roomtone_sfu::StreamDump) -> Value {
    json!({
        "ssrc": stream.ssrc, "rid": stream.rid, "rtx_ssrc": stream.rtx_ssrc, "active": stream.active,
        "history_packets": stream.history_packets, "history_bytes": stream.history_bytes,
        "missing": stream.missing, "keyframe_pending": stream.keyframe_pending, "listeners": stream.listeners,
    })
}
