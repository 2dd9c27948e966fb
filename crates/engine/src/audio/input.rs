//! What a mixer hears of one stream: packets into sound at the tick, and keys pressed at the far end.

use std::time::Duration;

use roomtone_audio::codec::Codec;
use roomtone_audio::dtmf::{Detector, EventReceiver, Heard, ReceivedEvent};
use roomtone_audio::jitter::{JitterBuffer, JitterConfig, Packet, PacketKind};
use roomtone_rtp::RtpPacket;

use super::{NewInput, Payload};
use crate::values::Report;

/// A key was pressed and let go.
pub(super) struct Pressed {
    pub(super) digit: char,
    pub(super) duration_ms: u32,
    pub(super) inband: bool,
}

/// One stream that is heard.
pub(super) struct Input {
    pub(super) id: u64,
    pub(super) ssrc: u32,
    payloads: Vec<(u8, Payload)>,
    /// Of the codec that came last; none before the first packet.
    jitter: Option<JitterBuffer>,
    codec: Option<Codec>,
    events: Option<EventReceiver>,
    inband: bool,
    detector: Option<Detector>,
    received: Vec<ReceivedEvent>,
    heard: Vec<Heard>,
    pub(super) undecodable: u64,
}

impl Input {
    pub(super) fn new(input: NewInput) -> Self {
        let events = input
            .payloads
            .iter()
            .find_map(|(_, payload)| match payload {
                Payload::Events(clock_hz) => Some(EventReceiver::new(*clock_hz)),
                _ => None,
            });
        Self {
            id: input.input,
            ssrc: input.ssrc,
            payloads: input.payloads,
            jitter: None,
            codec: None,
            events,
            inband: input.inband_dtmf,
            detector: None,
            received: Vec::new(),
            heard: Vec::new(),
            undecodable: 0,
        }
    }

    pub(super) fn handle_packet(&mut self, packet: &RtpPacket<'_>, highest_hz: u32, now: Duration) {
        let payload_type = packet.payload_type();
        let known = self.payloads.iter().find(|(pt, _)| *pt == payload_type);
        let Some((_, payload)) = known.copied() else {
            self.undecodable += 1;
            return;
        };
        let kind = match payload {
            Payload::Audio(codec) => {
                self.use_codec(codec, highest_hz);
                PacketKind::Sound
            }
            Payload::Events(_) => {
                if let Some(events) = &mut self.events {
                    events.handle(
                        packet.payload(),
                        packet.timestamp(),
                        now,
                        &mut self.received,
                    );
                }
                PacketKind::Event
            }
            Payload::ComfortNoise => {
                self.begin_with_noise(highest_hz);
                PacketKind::ComfortNoise
            }
        };
        if let Some(jitter) = &mut self.jitter {
            let packet = Packet {
                sequence: packet.sequence(),
                timestamp: packet.timestamp(),
                kind,
                payload: packet.payload(),
            };
            jitter.handle_packet(packet, now);
        }
    }

    /// Who begins in silence describes that before anything tells its codec: it is the first it may have.
    fn begin_with_noise(&mut self, highest_hz: u32) {
        let mut may_have = self.payloads.iter();
        let first = may_have.find_map(|(_, payload)| match payload {
            Payload::Audio(codec) => Some(*codec),
            _ => None,
        });
        if let (None, Some(codec)) = (self.codec, first) {
            self.use_codec(codec, highest_hz);
        }
    }

    /// A stream may change its codec at any packet; what waits of the old one is not played. Nor is it when somebody
    /// begins to listen who can hear more than is decoded.
    fn use_codec(&mut self, codec: Codec, highest_hz: u32) {
        let rate_hz = codec.rate_towards(highest_hz);
        if self.codec == Some(codec) && self.rate_hz().is_some_and(|now_hz| rate_hz <= now_hz) {
            return;
        }
        let Ok(jitter) = JitterBuffer::new(codec, rate_hz, JitterConfig::default()) else {
            self.undecodable += 1;
            return;
        };
        self.codec = Some(codec);
        self.jitter = Some(jitter);
        self.detector = if self.inband {
            Detector::new(rate_hz).ok()
        } else {
            None
        };
    }

    /// The highest rate of its codec; before anything came, of any that it may have.
    pub(super) fn full_rate_hz(&self) -> u32 {
        let may_have = self
            .payloads
            .iter()
            .filter_map(|(_, payload)| match payload {
                Payload::Audio(codec) => Some(codec.full_rate_hz()),
                _ => None,
            });
        self.codec
            .map_or_else(|| may_have.max().unwrap_or(0), Codec::full_rate_hz)
    }

    /// The sampling rate of what it gives; none before anything came.
    pub(super) fn rate_hz(&self) -> Option<u32> {
        self.jitter.as_ref().map(JitterBuffer::rate_hz)
    }

    /// Fills `out` with the sound of this tick.
    pub(super) fn pull(&mut self, out: &mut [i16], now: Duration) {
        if let Some(jitter) = &mut self.jitter {
            jitter.pull(out, now);
        }
        if let Some(detector) = &mut self.detector {
            detector.handle(out, &mut self.heard);
        }
    }

    /// Keys let go since last asked.
    pub(super) fn drain_pressed(&mut self, now: Duration) -> impl Iterator<Item = Pressed> {
        if let Some(events) = &mut self.events {
            events.handle_timeout(now, &mut self.received);
        }
        let told = self.received.drain(..).filter_map(|event| match event {
            ReceivedEvent::Ended { digit, duration_ms } => Some(Pressed {
                digit: digit.to_char(),
                duration_ms,
                inband: false,
            }),
            ReceivedEvent::Started(_) => None,
        });
        let heard = self.heard.drain(..).filter_map(|event| match event {
            Heard::Ended { digit, duration_ms } => Some(Pressed {
                digit: digit.to_char(),
                duration_ms,
                inband: true,
            }),
            Heard::Started(_) => None,
        });
        told.chain(heard)
    }

    pub(super) fn report(&self, now: Duration) -> Report {
        let mut report = Report::from([
            ("id".to_owned(), self.id.to_string().into()),
            ("type".to_owned(), "mixer-input".into()),
            ("packetsUndecodable".to_owned(), self.undecodable.into()),
        ]);
        let (Some(jitter), Some(codec)) = (&self.jitter, self.codec) else {
            return report;
        };
        let did = jitter.counters();
        let milliseconds = |samples: u64| samples * 1000 / u64::from(jitter.rate_hz());
        report.insert("codec".to_owned(), codec.name().into());
        for (name, value) in [
            ("packetsReceived", did.received),
            ("packetsDecoded", did.decoded),
            ("packetsLate", did.late),
            ("packetsDuplicate", did.duplicate),
            ("packetsOverflow", did.overflow),
            ("packetsRecovered", did.recovered),
            ("restarts", did.restarts),
            ("concealedMs", milliseconds(did.concealed)),
            ("shortenedMs", milliseconds(did.shortened)),
            ("lengthenedMs", milliseconds(did.lengthened)),
        ] {
            report.insert(name.to_owned(), value.into());
        }
        for (name, us) in [
            ("jitterBufferTargetMs", Some(jitter.target_us())),
            ("jitterBufferDelayMs", jitter.delay_us(now)),
        ] {
            report.insert(name.to_owned(), us.map(|us| us / 1000).into());
        }
        report
    }
}
