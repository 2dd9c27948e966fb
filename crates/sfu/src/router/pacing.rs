//! What an estimate leads to: the pacing rate, and probes, whose packets are padding where there is
//! no media for them.

use std::time::Instant;

use roomtone_rtp::{MediaKind, RtpHeader};

use super::Router;
use super::bursts::wire_bytes;
use super::transports::START_BPS;
use crate::consumer::Stamps;
use crate::timers::{Timer, disarm};
use crate::{GccEstimator, ReceiverReportEstimator, SentKind, SentPacket};

/// Padding of one packet: as much as its one byte of length can say and still be a multiple of four.
const PADDING: usize = 252;

/// One picture of everything wanted, and a little more: at 25 to 30 pictures a second.
const PICTURE_MS: u64 = 40;
/// Pictures for a mute peer leave at so many times what they take, and at this at least.
const SPREAD_FACTOR: u64 = 2;
const LEAST_SPREAD_BPS: u64 = 64_000;
/// So long is a peer's line spared that never spoke.
const PACED_UNHEARD_US: u64 = 2_000_000;

impl Router {
    /// Gives a transport the estimator that fits what a new consumer has negotiated: one for
    /// transport-wide feedback, where there will be some.
    pub(super) fn choose_estimator(&mut self, at: u32, consumer: u32, now: Instant) {
        let config = &self.config.bandwidth;
        let consumer = &self.consumers[consumer as usize];
        let reports = consumer.has_transport_sequence() && consumer.feedback.transport_cc;
        let transport = &mut self.transports[at as usize];
        let settled =
            transport.estimator_given || transport.tracks_packets || transport.lacks_feedback;
        if !reports || settled || !config.transport_feedback || transport.tally.unlimited {
            // Before the first picture leaves.
            return self.pace(at, now);
        }
        let congestion = config.congestion.with_model(transport.arrival_model);
        transport.estimator = Box::new(GccEstimator::new(congestion));
        transport.tracks_packets = true;
        self.follow_estimator(at, now);
    }

    /// A peer reports as it always has, but the feedback it agreed to does not come: its reports are all
    /// there will be.
    pub(super) fn mind_missing_feedback(&mut self, at: u32, now: Instant) {
        let now_us = self.clock.micros(now);
        let transport = &mut self.transports[at as usize];
        let given = transport.estimator_given || !transport.tracks_packets;
        let late = transport
            .tally
            .sent_since_us
            .is_some_and(|since| now_us.saturating_sub(since) > PACED_UNHEARD_US);
        if !given && late && !transport.estimator.estimate().confirmed {
            transport.estimator = Box::new(ReceiverReportEstimator::new(START_BPS));
            transport.tracks_packets = false;
            transport.lacks_feedback = true;
            transport.pacer.cancel_probe();
        }
    }

    /// Feedback came after all.
    pub(super) fn welcome_feedback(&mut self, at: u32) {
        let config = self.config.bandwidth.congestion;
        let transport = &mut self.transports[at as usize];
        if std::mem::take(&mut transport.lacks_feedback) {
            let config = config.with_model(transport.arrival_model);
            transport.estimator = Box::new(GccEstimator::new(config));
            transport.tracks_packets = true;
        }
    }

    /// Takes over what the estimator of a transport believes now.
    pub(super) fn follow_estimator(&mut self, at: u32, now: Instant) {
        let now_us = self.clock.micros(now);
        self.pace(at, now);
        let transport = &mut self.transports[at as usize];
        while let Some(probe) = transport.estimator.poll_probe(now) {
            if self.config.bandwidth.probing {
                transport.stats.probes += 1;
                transport.pacer.start_probe(probe, now_us);
            }
        }
        if transport.pacer.is_probing() {
            self.queue_transport(at);
        }
        self.on_estimate(at);
        self.review_budget(at, now_us);
        self.arm_estimator(at, now_us);
    }

    /// Sets at what rate pictures leave.
    fn pace(&mut self, at: u32, now: Instant) {
        let now_us = self.clock.micros(now);
        let transport = &self.transports[at as usize];
        let estimate = transport.estimator.estimate();
        let tally = &transport.tally;
        // A peer that was sent media and never spoke of it has no line that could be spared.
        let silent = !estimate.confirmed
            && tally
                .sent_since_us
                .is_some_and(|since| now_us.saturating_sub(since) > PACED_UNHEARD_US);
        let pacing = self.config.bandwidth.pacing && !silent;
        let rate = estimate.pacing_bps.filter(|_| pacing);
        if rate.is_none() && self.is_mute(at) {
            return self.begin_spreading(at);
        }
        let roomy = estimate.bps * 2 >= tally.wanted_bps * 3;
        let picture = tally.wanted_bps * PICTURE_MS / 8_000;
        let picture = if roomy { picture as u32 } else { 0 };
        self.transports[at as usize].pacer.set_rate(rate, picture);
    }

    /// Whether nothing was heard of a peer's line, and none of its pictures can be asked for again.
    fn is_mute(&self, at: u32) -> bool {
        let transport = &self.transports[at as usize];
        let consumers = transport.consumers.iter();
        let mut pictures = consumers
            .map(|index| &self.consumers[*index as usize])
            .filter(|consumer| consumer.kind == MediaKind::Video)
            .peekable();
        self.config.bandwidth.pacing
            && !transport.tally.unlimited
            && !transport.estimator.estimate().confirmed
            && pictures.peek().is_some()
            && pictures.all(|consumer| !consumer.verbatim && !consumer.feedback.can_ask())
    }

    /// A keyframe that a short queue on the way does not take is lost for good to a mute peer. So its pictures
    /// are spread, all but ordinary ones.
    fn begin_spreading(&mut self, at: u32) {
        let least = self.least_spread(at);
        let transport = &mut self.transports[at as usize];
        let picture = transport.tally.used_bps * PICTURE_MS / 8_000;
        transport.pacer.begin_spreading(least, picture as u32);
    }

    /// Twice what the peer's layers take on average, in bits per second, as far as that is known.
    fn least_spread(&self, at: u32) -> u64 {
        let used_bps = self.transports[at as usize].tally.used_bps;
        (SPREAD_FACTOR * used_bps).max(LEAST_SPREAD_BPS)
    }

    /// Tells the pacer of a mute peer what lies ready.
    #[cold]
    pub(super) fn spread(&mut self, at: u32) {
        let video = self.transports[at as usize].ready.video.iter();
        let unread = video.map(|slot| {
            let consumer = &self.consumers[slot.consumer as usize];
            consumer.unread(&self.streams)
        });
        let packets = unread.sum();
        let least = self.least_spread(at);
        self.transports[at as usize].pacer.spread(packets, least);
    }

    /// A burst has been written: what the pacer held back comes later.
    pub(super) fn finish_burst(&mut self, at: u32) {
        let transport = &mut self.transports[at as usize];
        let pictures = !transport.ready.video.is_empty();
        let waits = pictures || transport.pacer.is_probing();
        transport.pacer.hold_back(pictures);
        if !waits || !transport.pacer.is_on() {
            return;
        }
        let next = transport.pacer.next_burst();
        self.timers
            .arm(Timer::Pace(at), next, &mut transport.pacer.armed);
    }

    /// Drops what the pacer has held back for too long, by whole frames.
    #[cold]
    pub(super) fn drop_old(&mut self, at: u32, now_us: u64) {
        let limit = self.config.bandwidth.max_held.as_micros() as u64;
        let Some(oldest) = now_us.checked_sub(limit) else {
            return;
        };
        let transport = &mut self.transports[at as usize];
        for slot in &transport.ready.video {
            let consumer = &mut self.consumers[slot.consumer as usize];
            let dropped = u64::from(consumer.drop_older_than(oldest, &self.streams));
            consumer.counters.frames_dropped_late += dropped;
        }
    }

    pub(super) fn on_pace_timer(&mut self, at: u32, at_us: u64) {
        let Some(transport) = self.transports.get_mut(at as usize) else {
            return;
        };
        if disarm(&mut transport.pacer.armed, at_us) {
            self.queue_transport(at);
        }
    }

    /// Writes a packet of padding for the probe under way. It is sent where retransmissions are
    /// (RFC 4588): numbers of their own, so that the pictures' are not torn.
    pub(super) fn write_padding(&mut self, at: u32, now: Instant, out: &mut [u8]) -> Option<usize> {
        let transport = &self.transports[at as usize];
        let index = *transport.consumers.iter().find(|index| {
            let consumer = &self.consumers[**index as usize];
            consumer.rtx.is_some() && consumer.has_transport_sequence()
        })?;
        let send_time = self.clock.abs_send_time(now);
        let transport = &mut self.transports[at as usize];
        let consumer = &mut self.consumers[index as usize];
        let stamps = Stamps {
            sequence: transport.next_sequence,
            send_time,
            frame_shift: 0,
        };
        let timestamp = consumer.rewriting.last_timestamp();
        let rtx = consumer.rtx.as_mut()?;
        let header = RtpHeader {
            marker: false,
            payload_type: rtx.payload_types.first()?.1,
            sequence: rtx.next_sequence,
            timestamp,
            ssrc: rtx.ssrc,
        };
        let start = consumer.header.write_bare(out, &header, stamps)?;
        let len = start + PADDING;
        let padding = out.get_mut(start..len)?;
        padding.fill(0);
        padding[PADDING - 1] = PADDING as u8;
        out[0] |= 0x20;
        rtx.next_sequence = rtx.next_sequence.wrapping_add(1);
        transport.next_sequence = transport.next_sequence.wrapping_add(1);
        let bytes = wire_bytes(len);
        let probe = transport.pacer.probe();
        transport.pacer.spend(bytes);
        if transport.tracks_packets {
            let packet = SentPacket {
                sequence: stamps.sequence,
                bytes,
                kind: SentKind::Padding,
                probe,
            };
            transport.estimator.on_sent(packet, now);
        }
        transport.stats.padding_packets_sent += 1;
        transport.stats.padding_bytes_sent += len as u64;
        Some(len)
    }
}
