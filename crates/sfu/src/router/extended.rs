//! Extended reports (RFC 3611) both ways: the quality of what is heard, and round trips of those who only listen.

use std::time::{Duration, Instant};

use roomtone_rtp::rtcp::{
    CompoundWriter, DlrrEntry, Entries, ExtendedReport, VoipMetrics, XrBlock,
};
use roomtone_rtp::{MediaKind, NtpTime};

use super::Router;
use super::feedback::round_trip;
use crate::quality::bursts::GMIN;

/// Receivers whose reference times are answered; more are not.
const REFERENCES: usize = 8;
/// VoIP metrics in one datagram, 36 bytes each.
const MAX_METRICS: usize = 8;
/// What cannot be known by who forwards sound without hearing it (RFC 3611 section 4.7).
const UNAVAILABLE: u8 = 127;

/// What extended reports need of one transport.
#[derive(Debug, Default)]
pub(crate) struct Extended {
    /// Receivers' reference times: whose, the middle of it, and when it came.
    references: Vec<(u32, u32, Instant)>,
    /// By the peer's answers to our reference times.
    pub(crate) round_trip: Option<Duration>,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

impl Extended {
    fn note_reference(&mut self, ssrc: u32, time: NtpTime, now: Instant) {
        let entry = (ssrc, time.compact(), now);
        let known = self.references.iter().position(|known| known.0 == ssrc);
        match known {
            Some(known) => self.references[known] = entry,
            None if self.references.len() < REFERENCES => self.references.push(entry),
            None => {}
        }
    }

    fn answers(&self, now: Instant) -> Vec<DlrrEntry> {
        self.references
            .iter()
            .map(|(ssrc, last_rr, at)| DlrrEntry {
                ssrc: *ssrc,
                last_rr: *last_rr,
                delay_since_last_rr: NtpTime::duration_to_compact(
                    now.saturating_duration_since(*at),
                ),
            })
            .collect()
    }
}

impl Router {
    /// Adds an extended report to a compound that has its reports, where the transport sends them.
    pub(super) fn write_extended(
        &mut self,
        at: u32,
        streams: &[u32],
        now: Instant,
        writer: &mut CompoundWriter<'_>,
    ) {
        let transport = &self.transports[at as usize];
        let Some(extended) = &transport.extended else {
            return;
        };
        let answers = extended.answers(now);
        for stream in streams {
            // Bursts are followed from the first report on.
            let reception = self.streams[*stream as usize].reception_mut();
            reception.bursts.get_or_insert_default();
        }
        let transport = &self.transports[at as usize];
        let mut blocks = vec![XrBlock::ReceiverReferenceTime(self.clock.ntp(now))];
        if !answers.is_empty() {
            blocks.push(XrBlock::Dlrr(Entries::new(&answers)));
        }
        let metrics = streams
            .iter()
            .filter_map(|stream| self.voip_metrics(at, *stream));
        blocks.extend(metrics.take(MAX_METRICS).map(XrBlock::VoipMetrics));
        let report = ExtendedReport::new(transport.local_ssrc, &blocks);
        let written = writer.push(&report).is_ok();
        if let Some(extended) = &mut self.transports[at as usize].extended {
            // Where it does not fit the next compound has one.
            extended.sent += u64::from(written);
        }
    }

    /// The quality of an audio stream as it arrives here.
    fn voip_metrics(&self, at: u32, index: u32) -> Option<VoipMetrics> {
        let stream = &self.streams[index as usize];
        let producer = &self.producers[stream.producer as usize];
        if producer.kind != MediaKind::Audio {
            return None;
        }
        let reception = stream.reception();
        let (expected, lost) = (
            reception.expected(),
            reception.lost().max(0).cast_unsigned(),
        );
        let (bursts, units) = reception
            .bursts
            .as_ref()
            .map_or_else(Default::default, |bursts| {
                (bursts.figures(), bursts.packet_units())
            });
        let packet_us = u64::from(units) * 1_000_000 / u64::from(stream.clock_rate.max(1));
        let trip = self.transports[at as usize].round_trip;
        let quality = producer.gauge.quality();
        let opinion = quality.and_then(|quality| quality.mos);
        let mos = opinion.map_or(UNAVAILABLE, |mos| (mos.get() * 10.0).round() as u8);
        let milliseconds =
            |packets: u64| (packets * packet_us / 1_000).min(u64::from(u16::MAX)) as u16;
        Some(VoipMetrics {
            ssrc: stream.ssrc?,
            loss_rate: (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8,
            // Nothing that comes is thrown away for coming late: it is forwarded as it comes.
            discard_rate: 0,
            burst_density: bursts.burst_density,
            gap_density: bursts.gap_density,
            burst_duration_ms: milliseconds(bursts.burst_packets),
            gap_duration_ms: milliseconds(bursts.gap_packets),
            round_trip_delay_ms: trip.map_or(0, |trip| trip.as_millis().min(0xffff) as u16),
            end_system_delay_ms: 0,
            signal_level: UNAVAILABLE.cast_signed(),
            noise_level: UNAVAILABLE.cast_signed(),
            echo_return_loss: UNAVAILABLE,
            gmin: GMIN,
            r_factor: opinion.map_or(UNAVAILABLE, |mos| rating_of(mos.get())),
            external_r_factor: UNAVAILABLE,
            mos_listening: mos,
            mos_conversational: mos,
            receiver_config: 0,
            jitter_buffer_nominal_ms: 0,
            jitter_buffer_maximum_ms: 0,
            jitter_buffer_absolute_ms: 0,
        })
    }

    /// Reads an extended report; whether anything in it was of use.
    pub(super) fn on_extended(
        &mut self,
        at: u32,
        report: &ExtendedReport<'_>,
        now: Instant,
    ) -> bool {
        let mut used = false;
        for block in report.blocks.iter() {
            used |= match block {
                XrBlock::VoipMetrics(metrics) => self.on_voip_metrics(at, &metrics),
                XrBlock::ReceiverReferenceTime(time) => {
                    self.on_reference(at, report.ssrc, time, now)
                }
                XrBlock::Dlrr(entries) => self.on_answers(at, entries, now),
                XrBlock::Other { .. } => false,
            };
        }
        if let Some(extended) = &mut self.transports[at as usize].extended {
            extended.received += u64::from(used);
        }
        used
    }

    fn on_reference(&mut self, at: u32, ssrc: u32, time: NtpTime, now: Instant) -> bool {
        let extended = &mut self.transports[at as usize].extended;
        if let Some(extended) = extended {
            extended.note_reference(ssrc, time, now);
        }
        extended.is_some()
    }

    fn on_answers(&mut self, at: u32, entries: Entries<'_, DlrrEntry>, now: Instant) -> bool {
        let ntp = self.clock.ntp(now);
        let transport = &mut self.transports[at as usize];
        let ours = transport.local_ssrc;
        let Some(extended) = &mut transport.extended else {
            return false;
        };
        let Some(answer) = entries.into_iter().find(|entry| entry.ssrc == ours) else {
            return false;
        };
        let trip = round_trip(ntp, answer.last_rr, answer.delay_since_last_rr);
        if trip.is_some() {
            extended.round_trip = trip;
            // Who sends nothing learns it in no other way.
            transport.round_trip = transport.round_trip.or(trip);
        }
        trip.is_some()
    }
}

/// The rating (R factor) that an opinion stands for, the inverse of ITU-T G.107 annex B.
fn rating_of(opinion: f64) -> u8 {
    let (mut low, mut high) = (0.0_f64, 100.0_f64);
    // The opinion grows with the rating from 6.5 on: halving the interval finds it.
    for _ in 0..10 {
        let middle = f64::midpoint(low, high);
        if crate::quality::emodel::opinion(middle) < opinion {
            low = middle;
        } else {
            high = middle;
        }
    }
    high.round() as u8
}

#[cfg(test)]
mod tests {
    use super::rating_of;

    #[test]
    fn ratings_are_those_of_the_opinions_in_g_107() {
        for (opinion, rating) in [(4.41, 93), (4.03, 80), (3.60, 70), (3.10, 60), (2.58, 50)] {
            assert!(rating_of(opinion).abs_diff(rating) <= 1, "{opinion}");
        }
        assert_eq!(rating_of(1.0), 0);
    }
}
