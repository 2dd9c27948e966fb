//! What the peers say by RTCP.

use std::time::{Duration, Instant};

use roomtone_rtp::rtcp::{ReportBlock, VoipMetrics, is_reduced_size};
use roomtone_rtp::{MediaKind, NtpTime};

use super::Router;
use crate::consumer::Resend;
use crate::{FeedbackEntry, ReportedLoss, RouterEvent, RtcpDrop};

impl Router {
    pub(super) fn receive_rtcp(
        &mut self,
        at: u32,
        data: &[u8],
        now: Instant,
    ) -> Result<(), RtcpDrop> {
        self.transports[at as usize].stats.rtcp_packets_received += 1;
        let now_us = self.clock.micros(now);
        let read = if self.is_our_rtcp(at, data, now_us) {
            Err(RtcpDrop::SsrcInUse)
        } else {
            self.read_compound(at, data, now)
        };
        let transport = &mut self.transports[at as usize];
        let stats = &mut transport.stats;
        stats.rtcp_not_compound += u64::from(!transport.reduced_size && is_reduced_size(data));
        match read {
            Err(RtcpDrop::Malformed) => stats.rtcp_malformed += 1,
            Err(RtcpDrop::SsrcInUse) => stats.ssrc_in_use += 1,
            Ok(()) | Err(RtcpDrop::NoTransport) => {}
        }
        read
    }

    pub(super) fn ignore_rtcp(&mut self, at: u32) {
        self.transports[at as usize].stats.rtcp_ignored += 1;
    }

    /// A publisher's sender report: what its timestamps mean.
    pub(super) fn on_sender_report(
        &mut self,
        at: u32,
        ssrc: u32,
        ntp: NtpTime,
        timestamp: u32,
        now: Instant,
    ) {
        let transport = &mut self.transports[at as usize];
        let Some(route) = transport.routes.get(&ssrc).filter(|route| !route.rtx) else {
            return self.ignore_rtcp(at);
        };
        let stream = &mut self.streams[route.stream as usize];
        let at = route.stream;
        stream.on_sender_report(ntp, timestamp, self.clock.micros(now));
        transport.note_clock(self.clock.ntp(now).0, ntp.0);
        self.realign(at);
    }

    /// Viewers whose timestamps went on by arrival are put on the publisher's timeline.
    fn realign(&mut self, at: u32) {
        let producer = &self.producers[self.streams[at as usize].producer as usize];
        for index in &producer.consumers {
            let consumer = &mut self.consumers[*index as usize];
            let Some(tap) = consumer.current.filter(|_| consumer.reference.is_some()) else {
                continue;
            };
            if let Some(stream) = self.streams.get(tap.stream as usize) {
                consumer.realign(stream, &self.streams);
            }
        }
    }

    /// A subscriber's report about what we sent it.
    pub(super) fn on_report_block(&mut self, at: u32, block: &ReportBlock, now: Instant) {
        let transport = &mut self.transports[at as usize];
        let Some(index) = transport.own_ssrcs.get(&block.ssrc).copied() else {
            return self.ignore_rtcp(at);
        };
        let round_trip = round_trip(
            self.clock.ntp(now),
            block.last_sr,
            block.delay_since_last_sr,
        );
        if let Some(round_trip) = round_trip {
            transport.round_trip = Some(round_trip);
        }
        let loss = ReportedLoss {
            fraction: block.fraction_lost,
            round_trip,
        };
        self.mind_missing_feedback(at, now);
        let transport = &mut self.transports[at as usize];
        transport.estimator.on_report(loss, now);
        let consumer = &mut self.consumers[index as usize];
        if consumer
            .rtx
            .as_ref()
            .is_some_and(|rtx| rtx.ssrc == block.ssrc)
        {
            self.follow_estimator(at, now);
            return;
        }
        let clock_rate = consumer
            .current
            .and_then(|tap| self.streams.get(tap.stream as usize))
            .map_or(90_000, |stream| stream.clock_rate.max(1));
        let remote = &mut consumer.remote;
        remote.packets_lost = i64::from(block.cumulative_lost);
        remote.fraction_lost = f64::from(block.fraction_lost) / 256.0;
        remote.jitter = f64::from(block.jitter) / f64::from(clock_rate);
        remote.reports_received += 1;
        remote.round_trip_time = round_trip.or(remote.round_trip_time);
        let score = 10 - (u16::from(block.fraction_lost) * 10).div_ceil(256).min(10) as u8;
        let changed = score != consumer.score;
        consumer.score = score;
        let consumer = consumer.id;
        if changed {
            self.emit(RouterEvent::ConsumerScore { consumer, score });
        }
        self.follow_estimator(at, now);
    }

    /// A subscriber has measured what it hears (RFC 3611 section 4.7); says whether it is ours.
    pub(super) fn on_voip_metrics(&mut self, at: u32, metrics: &VoipMetrics) -> bool {
        let own = &self.transports[at as usize].own_ssrcs;
        let Some(index) = own.get(&metrics.ssrc).copied() else {
            return false;
        };
        let consumer = &mut self.consumers[index as usize];
        consumer.remote.voip = Some(Box::new(*metrics));
        let watch = &mut consumer.watch;
        watch.get_or_insert_default().on_voip_metrics(metrics);
        true
    }

    /// A subscriber misses packets.
    pub(super) fn on_nack(
        &mut self,
        at: u32,
        ssrc: u32,
        sequences: impl Iterator<Item = u16>,
        now: Instant,
    ) {
        let transport = &self.transports[at as usize];
        let Some(index) = transport.own_ssrcs.get(&ssrc).copied() else {
            return self.ignore_rtcp(at);
        };
        let round_trip_ms = transport
            .round_trip
            .map_or(0, |trip| trip.as_millis() as u64);
        let (now_ms, now_us) = (self.clock.millis(now), self.clock.micros(now));
        let consumer = &mut self.consumers[index as usize];
        consumer.counters.nack_count += 1;
        if !consumer.feedback.nack || consumer.paused {
            return self.ignore_rtcp(at);
        }
        if consumer.rtx.is_none() && !self.transports[at as usize].repeats {
            consumer.counters.nack_unanswerable += sequences.count() as u64;
            return self.wish_keyframes_of(index, now);
        }
        let mut resends = consumer.resends.take().unwrap_or_default();
        for sequence in sequences {
            let consumer = &mut self.consumers[index as usize];
            consumer.counters.nacked_packets += 1;
            if !resends.admits(ssrc, sequence, now_ms, round_trip_ms, &self.config.limits) {
                consumer.counters.nack_suppressed += 1;
                continue;
            }
            match self.find_sent(index, ssrc, sequence, now_us) {
                // A keyframe has followed it, on a line that has no room for what is not needed.
                Some(resend) if Some(resend.serial) == self.consumers[index as usize].abandoned => {
                    self.consumers[index as usize].counters.nack_suppressed += 1;
                }
                Some(resend) if self.consumers[index as usize].is_renewed_since(&resend) => {
                    self.consumers[index as usize].counters.nack_suppressed += 1;
                }
                Some(resend) => resends.push(resend, now_ms),
                None => self.consumers[index as usize].counters.nack_misses += 1,
            }
        }
        let wake = !resends.is_empty();
        self.consumers[index as usize].resends = Some(resends);
        if wake {
            self.wake_consumer(index);
        }
    }

    /// The packet that a consumer's sequence number stands for, while the history has it and, where
    /// it is audio, while it is young enough to be played.
    fn find_sent(&self, index: u32, ssrc: u32, sequence: u16, now_us: u64) -> Option<Resend> {
        let consumer = &self.consumers[index as usize];
        if consumer.verbatim {
            let (tap, origin) = consumer.origin_verbatim(ssrc, sequence)?;
            let stream = &self.streams[tap.stream as usize];
            let position = stream.history.find(origin)?;
            return Some(Resend {
                stream: tap.stream,
                serial: stream.serial,
                position,
                sequence,
                timestamp_offset: 0,
                pictures: crate::consumer::PictureShift::default(),
                ssrc,
                asked_us: now_us,
            });
        }
        let origin = consumer.rewriting.origin(sequence)?;
        let stream = self.streams.get(origin.stream as usize)?;
        if stream.serial != origin.serial {
            return None;
        }
        let position = stream.history.find(origin.source)?;
        let entry = stream.history.get(position)?;
        let max_age = self.config.audio_nack.max_age.as_micros() as u64;
        if stream.audio && now_us.saturating_sub(entry.arrival_us) > max_age {
            return None;
        }
        Some(Resend {
            stream: origin.stream,
            serial: origin.serial,
            position,
            sequence,
            timestamp_offset: origin.timestamp_offset,
            pictures: origin.pictures,
            ssrc: consumer.ssrc,
            asked_us: now_us,
        })
    }

    /// A subscriber needs a keyframe.
    pub(super) fn on_keyframe_request(&mut self, at: u32, ssrc: u32, fir: bool, now: Instant) {
        let Some(index) = self.transports[at as usize].own_ssrcs.get(&ssrc).copied() else {
            return self.ignore_rtcp(at);
        };
        let consumer = &mut self.consumers[index as usize];
        // Whoever asks can ask, whatever was agreed on.
        let could = consumer.feedback.can_ask();
        if fir {
            consumer.counters.fir_count += 1;
            consumer.feedback.fir = true;
        } else {
            consumer.counters.pli_count += 1;
            consumer.feedback.pli = true;
        }
        if !could {
            self.follow_estimator(at, now);
        }
        let consumer = &mut self.consumers[index as usize];
        if consumer.verbatim {
            let tap = consumer.taps.iter().find(|tap| tap.ssrc == ssrc).copied();
            if let Some(tap) = tap {
                let now_us = self.clock.micros(now);
                self.wish_keyframe(tap.stream, now_us);
            }
            return;
        }
        self.wish_keyframes_of(index, now);
    }

    /// The peer has ended streams.
    pub(super) fn on_goodbye(&mut self, at: u32, ssrc: u32) {
        let Some(route) = self.transports[at as usize].routes.get(&ssrc).copied() else {
            return self.ignore_rtcp(at);
        };
        if route.rtx {
            return;
        }
        let encoding = self.streams[route.stream as usize].encoding;
        let producer = self.producers[route.producer as usize].id;
        self.emit(RouterEvent::ProducerBye { producer, encoding });
    }

    pub(super) fn on_remb(&mut self, at: u32, bps: u64, now: Instant) {
        let transport = &mut self.transports[at as usize];
        let pictures = transport
            .consumers
            .iter()
            .map(|index| &self.consumers[*index as usize])
            .filter(|consumer| consumer.kind == MediaKind::Video)
            .map(|consumer| consumer.counters.bytes_sent + consumer.counters.header_bytes_sent)
            .sum();
        transport.estimator.on_pictures_sent(pictures, now);
        transport.estimator.on_remb(bps, now);
        self.follow_estimator(at, now);
    }

    pub(super) fn on_transport_feedback(
        &mut self,
        at: u32,
        entries: &[FeedbackEntry],
        now: Instant,
    ) {
        self.welcome_feedback(at);
        let transport = &mut self.transports[at as usize];
        transport.stats.feedback_received += 1;
        let (missing, runs) = missing_runs(entries);
        transport.line.on_missing(missing, runs);
        let bogus = transport.estimator.counters().bogus;
        transport.estimator.on_feedback(entries, now);
        self.feedback_bogus += transport.estimator.counters().bogus - bogus;
        self.tell_neighbours(at, now);
        self.follow_estimator(at, now);
    }
}

/// Packets that did not come, and the runs they make.
fn missing_runs(entries: &[FeedbackEntry]) -> (u64, u64) {
    let (mut missing, mut runs, mut before) = (0, 0, false);
    for entry in entries {
        let now = entry.arrival_us.is_none();
        missing += u64::from(now);
        runs += u64::from(now && !before);
        before = now;
    }
    (missing, runs)
}

/// RFC 3550 section 6.4.1: now less the time of our report less the peer's delay.
pub(super) fn round_trip(now: NtpTime, last_report: u32, delay: u32) -> Option<Duration> {
    /// A round trip beyond this is a lie or a report from another life.
    const MAX: u32 = 60 << 16;
    if last_report == 0 {
        return None;
    }
    let trip = now.compact().wrapping_sub(last_report).wrapping_sub(delay);
    (trip < MAX).then(|| NtpTime::compact_to_duration(trip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_round_trip_of_rfc_3550_figure_2() {
        // Section 6.4.1: A = 0xb710:8000, LSR = 0xb705:2000, DLSR = 0x0005:4000; 6.125 s.
        let now = NtpTime(0xb44d_b710_8000_0000);
        assert_eq!(
            round_trip(now, 0xb705_2000, 0x0005_4000),
            Some(Duration::from_millis(6_125))
        );
        assert_eq!(round_trip(now, 0, 5), None, "no report seen yet");
        assert_eq!(round_trip(now, 0xb710_9000, 0), None, "from the future");
    }
}
