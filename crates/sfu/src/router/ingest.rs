//! A packet's way in: routed, restored if it was a retransmission, received, made known.

use roomtone_rtp::red::RedPayload;
use roomtone_rtp::{Codec, ExtensionKind, MediaKind, RtpPacket};

use super::Router;
use super::clashes::is_of_another;
use crate::RouterEvent;
use crate::RtpDrop;
use crate::producer::{Arrival, Format, Stored};
use crate::timers::Timer;
use crate::transport::Route;
use crate::twcc::ArrivalLog;

impl Router {
    pub(super) fn receive_rtp(&mut self, at: u32, data: &[u8], now_us: u64) -> Result<(), RtpDrop> {
        let stats = &mut self.transports[at as usize].stats;
        stats.rtp_packets_received += 1;
        stats.rtp_bytes_received += data.len() as u64;
        let taken = self.take(at, data, now_us);
        let stats = &mut self.transports[at as usize].stats;
        match taken {
            Ok(()) => self.packets_in += 1,
            Err(RtpDrop::Malformed) => stats.rtp_malformed += 1,
            Err(RtpDrop::UnknownStream) => stats.rtp_unknown += 1,
            Err(RtpDrop::PayloadType) => stats.rtp_payload_type += 1,
            Err(RtpDrop::TooLong) => stats.rtp_too_long += 1,
            Err(RtpDrop::SsrcInUse) => stats.ssrc_in_use += 1,
            // Counted on the stream or producer.
            Err(_) => {}
        }
        taken
    }

    #[inline]
    fn take(&mut self, at: u32, data: &[u8], now_us: u64) -> Result<(), RtpDrop> {
        if data.len() > self.config.limits.packet_bytes {
            return Err(RtpDrop::TooLong);
        }
        let packet = RtpPacket::parse(data).map_err(|_| RtpDrop::Malformed)?;
        let known = self.transports[at as usize]
            .routes
            .get(&packet.ssrc())
            .copied();
        let route = match known {
            Some(route) if is_of_another(&self.producers[route.producer as usize], &packet) => {
                self.settle_section(at, route, &packet, now_us)?
            }
            Some(route) => route,
            None => {
                self.refuse_ours(at, packet.ssrc(), now_us)?;
                if self.is_repair(at, &packet, now_us) {
                    return Ok(());
                }
                self.learn_route(at, &packet, now_us)?
            }
        };
        self.note_transport_sequence(at, route, &packet, now_us);
        let producer = &mut self.producers[route.producer as usize];
        let format = producer
            .format(packet.payload_type())
            .ok_or(RtpDrop::PayloadType)?;
        if producer.paused {
            producer.dropped_paused += 1;
            return Err(RtpDrop::Paused);
        }
        let (payload_type, sequence, payload) = match (format, route.rtx) {
            (Format::Media(_), false) => {
                (packet.payload_type(), packet.sequence(), packet.payload())
            }
            (Format::Rtx(media), true) => {
                let Some((original, payload)) = packet.payload().split_first_chunk::<2>() else {
                    // Padding to probe the line (RFC 4588 knows no empty retransmission).
                    self.transports[at as usize].stats.rtx_discarded += 1;
                    return Ok(());
                };
                (media, u16::from_be_bytes(*original), payload)
            }
            _ => return Err(RtpDrop::PayloadType),
        };
        let codec = producer.codec(payload_type).ok_or(RtpDrop::PayloadType)?;
        let red = if codec.codec == Codec::Red {
            RedPayload::parse(payload).ok()
        } else {
            None
        };
        let inner = red.and_then(|red| producer.codec(red.primary().payload_type));
        let arrival = Arrival {
            packet: &packet,
            payload,
            payload_type,
            sequence,
            codec: inner.unwrap_or(codec).codec,
            red,
            clock_rate: codec.clock_rate,
            kind: producer.kind,
            retransmitted: route.rtx,
            extensions: &producer.extensions,
            now_us,
        };
        let stream = &mut self.streams[route.stream as usize];
        if route.rtx && !stream.has_received() {
            self.transports[at as usize].stats.rtx_discarded += 1;
            return Err(RtpDrop::UnknownStream);
        }
        let stored = stream.receive(&arrival, &self.config)?;
        if let Some(id) = producer.layers_extension
            && let Some(value) = packet.extension(id)
        {
            producer.on_layers_told(stream.encoding, value);
        }
        self.on_stored(at, route, stored, now_us);
        Ok(())
    }

    /// Whether this is error correction in a stream of its own (RFC 8627): it protects packets that no
    /// consumer gets as they came, so it ends here. It has arrived all the same.
    #[cold]
    fn is_repair(&mut self, at: u32, packet: &RtpPacket<'_>, now_us: u64) -> bool {
        let mut producers = self.transports[at as usize].producers.iter().copied();
        let payload_type = packet.payload_type();
        let repairs = |producer: &u32| self.producers[*producer as usize].is_repair(payload_type);
        let Some(producer) = producers.find(repairs) else {
            return false;
        };
        let stream = self.producers[producer as usize].streams[0];
        let rtx = false;
        let route = Route {
            producer,
            stream,
            rtx,
        };
        self.note_transport_sequence(at, route, packet, now_us);
        self.transports[at as usize].stats.fec_discarded += 1;
        true
    }

    /// Notes the arrival for transport-wide feedback.
    #[inline]
    fn note_transport_sequence(
        &mut self,
        at: u32,
        route: Route,
        packet: &RtpPacket<'_>,
        now_us: u64,
    ) {
        let producer = &self.producers[route.producer as usize];
        if !producer.transport_feedback {
            if producer.wants_remb {
                self.note_send_time(at, route, packet, now_us);
            }
            return;
        }
        let Some(id) = producer.extension_id(ExtensionKind::TransportSequence) else {
            return;
        };
        let Some(Ok(value)) = packet.extension(id).map(<[u8; 2]>::try_from) else {
            return;
        };
        let transport = &mut self.transports[at as usize];
        let limit = self.config.limits.feedback_arrivals;
        let arrivals = transport
            .arrivals
            .get_or_insert_with(Box::<ArrivalLog>::default);
        let noted = arrivals.on_packet(u16::from_be_bytes(value), packet.ssrc(), now_us, limit);
        transport.stats.feedback_overflow += u64::from(!noted);
        if arrivals.armed.is_none() {
            let due = now_us + self.config.feedback_interval.as_micros() as u64;
            self.timers
                .arm(Timer::Feedback(at), due, &mut arrivals.armed);
        }
    }

    /// Notes the send time of a packet whose publisher takes nothing but REMB.
    fn note_send_time(&mut self, at: u32, route: Route, packet: &RtpPacket<'_>, now_us: u64) {
        let producer = &self.producers[route.producer as usize];
        let sent = producer
            .extension_id(ExtensionKind::AbsSendTime)
            .and_then(|id| packet.extension(id))
            .and_then(|value| <[u8; 3]>::try_from(value).ok())
            .map(|[high, middle, low]| u32::from_be_bytes([0, high, middle, low]));
        let line = &mut self.transports[at as usize].line;
        line.on_packet(sent, now_us, packet.bytes().len());
        if line.armed.is_none() {
            self.arm_look(at, now_us);
        }
    }

    /// Packets are missing. Where they are asked for, a look is taken when they are given up.
    #[cold]
    fn on_gap(&mut self, at: u32, route: Route, broken: bool, now_us: u64) {
        if broken || !self.streams[route.stream as usize].nack_enabled {
            self.arm_look(at, now_us);
        }
    }

    #[inline]
    fn on_stored(&mut self, at: u32, route: Route, stored: Stored, now_us: u64) {
        let stream = &mut self.streams[route.stream as usize];
        if stored.keyframe {
            stream.on_keyframe();
        }
        if !stream.active {
            stream.active = true;
            self.on_active(route);
        }
        if stored.gap {
            self.arm_repair(route.stream);
        }
        if stored.broken {
            self.wish_keyframe(route.stream, now_us);
        }
        if stored.gap {
            self.on_gap(at, route, stored.broken, now_us);
        }
        if !stored.forward {
            return;
        }
        let video = self.producers[route.producer as usize].kind == MediaKind::Video;
        if !video {
            let level = self.note_level(at, route, now_us);
            if self.loudest.is_limiting() && !self.lets_through(route, level, now_us) {
                return;
            }
        }
        self.await_burst(route.stream, video && stored.end_of_frame, now_us);
    }

    #[cold]
    fn on_active(&mut self, route: Route) {
        let stream = &self.streams[route.stream as usize];
        let (encoding, now_us) = (stream.encoding, stream.last_arrival_us);
        let event = RouterEvent::ProducerActive {
            producer: self.producers[route.producer as usize].id,
            encoding,
            ssrc: stream.ssrc.unwrap_or_default(),
        };
        let now = self.clock.at + std::time::Duration::from_micros(now_us);
        self.emit(event);
        self.on_encoding(route.producer, encoding, now_us);
        self.choose_all(route.producer, now);
        // Wishes from before its SSRC was known.
        let stream = &self.streams[route.stream as usize];
        if stream.keyframes.next_due().is_some() && !stream.was_asked() {
            self.send_keyframe_request(route.stream);
        }
    }

    /// Notes the level of an audio packet (RFC 6464) for the active speakers, and gives it.
    #[inline]
    fn note_level(&mut self, at: u32, route: Route, now_us: u64) -> Option<u8> {
        let named = !self.transports[at as usize].ignore_audio_levels;
        if !named && !self.loudest.is_limiting() {
            return None;
        }
        let history = &self.streams[route.stream as usize].history;
        let entry = history.get(history.head().wrapping_sub(1))?;
        let level = entry
            .extensions()
            .iter()
            .find(|at| at.kind == ExtensionKind::AudioLevel);
        let level = entry.extension_value(*level?).first()? & 0x7f;
        let producer = self.producers[route.producer as usize].id;
        self.speakers.on_level(producer, level, named);
        if self.speakers.armed.is_none() {
            let due = now_us + self.config.audio_level.interval.as_micros() as u64;
            self.timers
                .arm(Timer::Speakers, due, &mut self.speakers.armed);
        }
        Some(level)
    }
}
