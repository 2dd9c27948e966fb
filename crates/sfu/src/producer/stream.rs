//! One received stream: an encoding of a producer.

use roomtone_rtp::extensions::{AbsCaptureTime, ExtensionValue, FrameMarking};
use roomtone_rtp::{Codec, MediaKind, NtpTime, RtpPacket};

use super::facts::{Reading, has_frames, read_described, read_marked, read_payload, whole_frame};
use super::frames::{Frames, Place as FramePlace};
use super::keyframe::KeyframeRequests;
use super::nack::{NackList, Repair};
use super::numbering::{Numbering, Order, Place};
use super::rates::LayerRates;
use super::reception::Reception;
use super::recovery::Carrier;
use crate::history::{ExtensionAt, Facts, History, Inside};
use crate::quality::watch::StreamWatch;
use crate::{InboundStreamStats, RouterConfig, RtpDrop};

use roomtone_rtp::red::RedPayload;
use roomtone_rtp::{ExtensionKind, ExtensionMap};

/// What a publisher's sender report ties together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublisherReport {
    /// The publisher's wall time.
    pub(crate) ntp: NtpTime,
    /// The timestamp given out for that instant.
    pub(crate) timestamp: u32,
    pub(crate) arrival_us: u64,
}

/// A packet to be received, with what the caller knows of it.
#[derive(Debug)]
pub(crate) struct Arrival<'a> {
    /// The packet; of a retransmission the packet it came in, with its payload after the OSN.
    pub(crate) packet: &'a RtpPacket<'a>,
    pub(crate) payload: &'a [u8],
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    /// The codec of the payload, or of the newest packet in a redundant one.
    pub(crate) codec: Codec,
    /// The blocks of the payload, where it is a redundant one.
    pub(crate) red: Option<RedPayload<'a>>,
    pub(crate) clock_rate: u32,
    pub(crate) kind: MediaKind,
    pub(crate) retransmitted: bool,
    pub(crate) extensions: &'a ExtensionMap,
    pub(crate) now_us: u64,
}

impl Arrival<'_> {
    /// The medium: the payload, or what is newest in a redundant one.
    #[inline]
    fn media(&self) -> &[u8] {
        match &self.red {
            Some(red) => red.primary().data,
            None => self.payload,
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    /// It is in the history now (else it was padding, and is gone).
    pub(crate) forward: bool,
    pub(crate) end_of_frame: bool,
    pub(crate) keyframe: bool,
    /// Packets were missing before it.
    pub(crate) gap: bool,
    /// Too many were missing: only a keyframe helps.
    pub(crate) broken: bool,
}

/// One received stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) producer: u32,
    pub(crate) encoding: u8,
    /// Unique among the router's streams, also after it is gone.
    pub(crate) serial: u32,
    pub(crate) ssrc: Option<u32>,
    pub(crate) rtx_ssrc: Option<u32>,
    pub(crate) clock_rate: u32,
    pub(crate) history: History,
    /// What the packets of video belong to.
    pub(crate) frames: Frames,
    /// Consumers may read up to here.
    pub(crate) released: u64,
    /// Until when packets wait for the rest of their burst.
    pub(crate) pending_until: Option<u64>,
    /// A whole frame waits for audio that is about to come.
    pub(crate) held: bool,
    /// Consumers that read it.
    pub(crate) listeners: Vec<u32>,
    /// Audio that is not forwarded now: from this position on, but for the exempt consumers.
    pub(crate) withheld_from: Option<u64>,
    /// Those listeners that get it all the same.
    pub(crate) exempt: Vec<u32>,
    /// Whether any of them can use correction packets.
    pub(crate) forwards_correction: bool,
    pub(crate) keyframes: KeyframeRequests,
    pub(crate) report: Option<PublisherReport>,
    /// The same by the newest capture time that a packet told.
    pub(crate) capture: Option<PublisherReport>,
    pub(crate) repair_armed: Option<u64>,
    pub(crate) active: bool,
    pub(crate) last_arrival_us: u64,
    /// When its SSRC was last learnt anew.
    pub(crate) rebound_us: Option<u64>,
    pub(crate) nack_enabled: bool,
    /// Whether what comes late is soon of no use: it is audio.
    pub(crate) audio: bool,
    pub(crate) watch: StreamWatch,
    rid: Option<Box<str>>,
    pub(super) numbering: Numbering,
    pub(super) reception: Reception,
    pub(super) nacks: NackList,
    pub(super) rates: LayerRates,
    pub(super) score: u8,
    last_timestamp: Option<(u32, u64)>,
    pub(super) counters: InboundStreamStats,
    restart: bool,
}

impl Stream {
    pub(crate) fn new(
        producer: u32,
        encoding: u8,
        serial: u32,
        params: &crate::EncodingParams,
        clock_rate: u32,
        capacity: usize,
    ) -> Self {
        Self {
            producer,
            encoding,
            serial,
            ssrc: params.ssrc,
            rtx_ssrc: params.rtx_ssrc,
            clock_rate,
            history: History::new(capacity),
            frames: Frames::default(),
            released: 0,
            pending_until: None,
            held: false,
            listeners: Vec::new(),
            withheld_from: None,
            exempt: Vec::new(),
            forwards_correction: false,
            keyframes: KeyframeRequests::default(),
            report: None,
            capture: None,
            repair_armed: None,
            active: false,
            last_arrival_us: 0,
            rebound_us: None,
            nack_enabled: false,
            audio: false,
            watch: StreamWatch::default(),
            rid: params.rid.as_deref().map(Into::into),
            numbering: Numbering::default(),
            reception: Reception::default(),
            nacks: NackList::default(),
            rates: LayerRates::default(),
            score: 0,
            last_timestamp: None,
            counters: InboundStreamStats::default(),
            restart: false,
        }
    }

    pub(crate) fn rid(&self) -> Option<&str> {
        self.rid.as_deref()
    }

    /// Packets come from another SSRC from now on.
    pub(crate) fn bind(&mut self, ssrc: u32, now_us: u64) {
        if self.ssrc.is_some_and(|bound| bound != ssrc) && self.numbering.highest().is_some() {
            self.restart = true;
            self.rebound_us = Some(now_us);
        }
        self.ssrc = Some(ssrc);
    }

    /// Packets were dropped for a while: the numbering closes up over them.
    pub(crate) fn resume(&mut self) {
        self.restart = self.numbering.highest().is_some();
    }

    /// Receives a packet; on success it is in the history or swallowed.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        arrival: &Arrival<'_>,
        config: &RouterConfig,
    ) -> Result<Stored, RtpDrop> {
        let place = self.place(arrival)?;
        let number = self.numbering.closed(place.raw);
        if place.order == Order::Late {
            self.check_late(place.raw, number)?;
        }
        let mut stored = self.count(arrival, &place, config);
        let timestamp = self.time(arrival, &place);
        let newest = place.order != Order::Late;
        if arrival.payload.is_empty() && newest && arrival.packet.padding_len() > 0 {
            self.numbering.swallow(place.raw);
            self.counters.padding_packets += 1;
            return Ok(stored);
        }
        if arrival.codec == Codec::Ulpfec {
            stored.forward = self.receive_correction(arrival, &place, number, timestamp);
            return Ok(stored);
        }
        let at = FramePlace {
            seq: number,
            timestamp,
            arrival_us: arrival.now_us,
            newest,
            gap: stored.gap,
            marker: arrival.packet.marker(),
        };
        let facts = self.facts(arrival, &at);
        if arrival.red.is_some() && self.audio && !place.jumped {
            let raw = place.raw;
            self.recover(arrival, Carrier { raw, timestamp });
        }
        self.append(arrival, number, timestamp, facts);
        stored.forward = true;
        stored.end_of_frame = facts.end_of_frame;
        stored.keyframe =
            arrival.kind == MediaKind::Video && facts.entry_point && facts.start_of_frame;
        if facts.start_of_frame {
            // Pictures are counted when they are whole.
            self.counters.frames_received += u64::from(!has_frames(arrival.kind));
            if newest && !arrival.retransmitted {
                let transit = self.reception.transit();
                match arrival.kind {
                    MediaKind::Video => self.watch.on_picture(arrival.now_us, transit),
                    _ => self.watch.on_sound(transit),
                }
            }
        }
        if stored.keyframe {
            self.counters.key_frames_received += 1;
        }
        Ok(stored)
    }

    fn place(&mut self, arrival: &Arrival<'_>) -> Result<Place, RtpDrop> {
        let place = if self.restart && !arrival.retransmitted {
            self.restart = false;
            self.numbering.restart(arrival.sequence)
        } else {
            self.numbering.place(arrival.sequence).inspect_err(|drop| {
                self.counters.packets_discarded += u64::from(*drop == RtpDrop::TooOld);
            })?
        };
        if place.jumped {
            self.counters.discontinuities += 1;
            self.counters.packets_given_up += self.nacks.clear();
            self.reception.restart(place.raw);
            self.report = None;
            self.capture = None;
        }
        Ok(place)
    }

    /// A late packet must be new, and not older than the history.
    fn check_late(&mut self, raw: u64, number: u64) -> Result<(), RtpDrop> {
        let duplicate = self.history.find(number).is_some() || self.numbering.was_swallowed(raw);
        let too_old = self.history.len() > 0
            && self
                .numbering
                .highest()
                .is_some_and(|highest| highest - raw >= self.history.capacity());
        if !duplicate && !too_old {
            return Ok(());
        }
        if let Some(entry) = self.history.find_mut(number).filter(|_| duplicate)
            && std::mem::take(&mut entry.recovered)
        {
            // It was not lost after all: reports shall not say so.
            self.reception.on_packet(raw, false, 0);
            self.watch.on_recovered_in_vain();
        }
        self.counters.packets_discarded += 1;
        if duplicate {
            self.counters.duplicates += 1;
            return Err(RtpDrop::Duplicate);
        }
        Err(RtpDrop::TooOld)
    }

    fn count(&mut self, arrival: &Arrival<'_>, place: &Place, config: &RouterConfig) -> Stored {
        let mut stored = Stored {
            forward: false,
            end_of_frame: false,
            keyframe: false,
            gap: false,
            broken: false,
        };
        let bytes = arrival.packet.bytes().len();
        let newest = place.order != Order::Late;
        self.reception.on_packet(place.raw, newest, bytes);
        self.counters.bytes_received += arrival.payload.len() as u64;
        self.counters.header_bytes_received += (bytes - arrival.payload.len()) as u64;
        self.counters.payload_type = arrival.payload_type;
        if arrival.retransmitted {
            self.counters.retransmitted_packets_received += 1;
            self.counters.retransmitted_bytes_received += arrival.payload.len() as u64;
        }
        self.last_arrival_us = arrival.now_us;
        match place.order {
            Order::Newest { missing: 0 } => {}
            Order::Newest { missing } => {
                stored.gap = true;
                self.watch.on_gap(missing);
                let nack_config = self.nack_config(config);
                if self.nack_enabled {
                    let limit = config.limits.missing_per_stream;
                    let given_up =
                        self.nacks
                            .on_gap(place.raw, missing, arrival.now_us, limit, nack_config);
                    self.counters.packets_given_up += given_up.unwrap_or_default();
                    stored.broken = given_up.is_some();
                }
            }
            Order::Late => match self.nacks.on_late(place.raw) {
                Repair::Repaired => self.counters.packets_repaired += 1,
                Repair::Reordered => self.watch.on_reordered(),
                Repair::None if !self.nack_enabled => self.watch.on_reordered(),
                Repair::None => {}
            },
        }
        stored
    }

    #[inline]
    fn time(&mut self, arrival: &Arrival<'_>, place: &Place) -> u32 {
        let received = arrival.packet.timestamp();
        self.clock_rate = arrival.clock_rate;
        let (timestamp, jumped) =
            self.numbering
                .timestamp(place, received, arrival.now_us, arrival.clock_rate);
        if jumped {
            self.counters.discontinuities += u64::from(!place.jumped);
            // What the publisher said about the old clock is void.
            self.report = None;
            self.capture = None;
        }
        if place.order != Order::Late {
            if !arrival.retransmitted {
                self.reception
                    .on_arrival(timestamp, arrival.now_us, arrival.clock_rate);
            }
            if let (Some(bursts), Some((before, _))) =
                (&mut self.reception.bursts, self.last_timestamp)
            {
                bursts.note_step(timestamp.wrapping_sub(before));
            }
            self.last_timestamp = Some((timestamp, arrival.now_us));
        }
        timestamp
    }

    #[inline]
    fn facts(&mut self, arrival: &Arrival<'_>, at: &FramePlace) -> Facts {
        // A redundant payload that is none goes to those who take it as it is.
        self.counters.descriptor_errors +=
            u64::from(arrival.codec == Codec::Red && arrival.red.is_none());
        if !has_frames(arrival.kind) {
            let fills = arrival.payload.is_empty();
            return Facts {
                entry_point: !fills,
                start_of_frame: !fills,
                ..whole_frame()
            };
        }
        if arrival.payload.is_empty() {
            // Fills its place in the numbering, and can start nothing.
            return Facts {
                end_of_frame: true,
                frame: self.frames.newest(),
                ..Facts::default()
            };
        }
        let Some(reading) = self.read(arrival, at.marker) else {
            self.counters.descriptor_errors += 1;
            return Facts {
                end_of_frame: at.marker,
                frame: self.frames.newest(),
                ..Facts::default()
            };
        };
        if let Some(structure) = reading.structure.filter(|_| at.newest) {
            self.frames.set_group(&structure, arrival.media());
        }
        self.note_capture(arrival, at);
        let stride = match arrival.codec {
            Codec::Vp9 | Codec::Av1 => super::MAX_SPATIAL as u32,
            _ => 1,
        };
        let (frame, first) = self.frames.place(&reading, stride, at);
        let bytes = arrival.packet.bytes().len();
        let (spatial, temporal) = (reading.spatial, reading.temporal);
        self.rates
            .on_packet(spatial, temporal, reading.leaf, first, bytes);
        reading.facts(frame, at.marker)
    }

    /// Notes when a packet's picture was taken, where it says so.
    #[inline]
    fn note_capture(&mut self, arrival: &Arrival<'_>, at: &FramePlace) {
        let id = arrival
            .extensions
            .negotiated_id(ExtensionKind::AbsCaptureTime);
        let Some(value) = id.and_then(|id| arrival.packet.extension(id)) else {
            return;
        };
        if let Ok(time) = AbsCaptureTime::decode(value)
            && at.newest
        {
            self.capture = Some(PublisherReport {
                ntp: time.captured,
                timestamp: at.timestamp,
                arrival_us: at.arrival_us,
            });
        }
    }

    /// Reads what a video packet says of its frame: by its descriptor extension where it has one.
    #[inline]
    fn read(&mut self, arrival: &Arrival<'_>, marker: bool) -> Option<Reading> {
        let extension = |kind| {
            let id = arrival.extensions.negotiated_id(kind)?;
            arrival.packet.extension(id)
        };
        if let Some(bytes) = extension(ExtensionKind::DependencyDescriptor) {
            let descriptor = self.frames.describe(bytes).ok()?;
            let structure = self.frames.structure()?;
            let (codec, payload) = (arrival.codec, arrival.media());
            return Some(read_described(
                &descriptor,
                structure,
                codec,
                payload,
                marker,
            ));
        }
        if let Some(marking) = extension(ExtensionKind::FrameMarking)
            && matches!(arrival.codec, Codec::H264 | Codec::H265 | Codec::Other)
            && let Ok(marking) = FrameMarking::decode(marking)
        {
            return Some(read_marked(&marking, marker));
        }
        let reading = read_payload(arrival.codec, arrival.media(), marker)?;
        // A stream that is described, and may be encrypted, is read by its payload again only from
        // a keyframe on.
        (reading.entry_point || !self.frames.is_described()).then_some(reading)
    }

    /// The frame that is under way.
    pub(super) fn newest_frame(&self) -> u32 {
        self.frames.newest()
    }

    #[inline]
    pub(super) fn append(
        &mut self,
        arrival: &Arrival<'_>,
        number: u64,
        timestamp: u32,
        facts: Facts,
    ) {
        let packet = arrival.packet;
        let header = &packet.bytes()[..packet.header_len()];
        let ssrc = self.ssrc.unwrap_or_else(|| packet.ssrc());
        self.history.append(number, |entry| {
            entry.timestamp = timestamp;
            entry.arrival_us = arrival.now_us;
            entry.payload_type = arrival.payload_type;
            entry.marker = packet.marker();
            entry.facts = facts;
            entry.inside = arrival.red.as_ref().map(|red| Inside {
                payload_type: red.primary().payload_type,
                uniform: red.is_uniform(),
                correction: arrival.codec == Codec::Ulpfec,
                offset: red.primary_at() as u16,
            });
            entry.set_data(header, arrival.payload);
            entry.clear_padding_bit();
            let stored = entry.header_mut();
            roomtone_rtp::set_sequence(stored, number as u16);
            roomtone_rtp::set_timestamp(stored, timestamp);
            roomtone_rtp::set_payload_type(stored, arrival.payload_type);
            roomtone_rtp::set_ssrc(stored, ssrc);
            let base = packet.bytes().as_ptr() as usize;
            for (id, value) in packet.extensions() {
                let Some(kind) = arrival.extensions.get(id) else {
                    continue;
                };
                let offset = (value.as_ptr() as usize - base) as u16;
                if is_carried(kind)
                    && let Ok(len) = u8::try_from(value.len())
                    && !entry.add_extension(ExtensionAt { kind, len, offset })
                {
                    break;
                }
            }
        });
    }

    /// A sender report of the publisher came.
    pub(crate) fn on_sender_report(&mut self, ntp: NtpTime, timestamp: u32, now_us: u64) {
        if self.restart || self.numbering.is_realigning() {
            return;
        }
        let timestamp = timestamp.wrapping_add(self.numbering.timestamp_shift());
        self.report = Some(PublisherReport {
            ntp,
            timestamp,
            arrival_us: now_us,
        });
    }

    /// The newest timestamp given out, and when it came.
    pub(crate) fn last_timestamp(&self) -> Option<(u32, u64)> {
        self.last_timestamp
    }
}

/// Whether consumers are given the publisher's value of an extension. The others are ours to
/// write, or concern only the publisher's own transport.
fn is_carried(kind: ExtensionKind) -> bool {
    !matches!(
        kind,
        ExtensionKind::Mid
            | ExtensionKind::Rid
            | ExtensionKind::RepairedRid
            | ExtensionKind::TransportSequence
            | ExtensionKind::AbsSendTime
    )
}
