//! Statistics and dumps.

use super::Router;
use crate::{
    ConsumerDump, ConsumerId, ConsumerStats, ProducerDump, ProducerId, ProducerStats, RouterDump,
    RouterStats, SfuError, TransportDump, TransportId, TransportStats,
};

impl Router {
    /// Figures of the router.
    pub fn stats(&self) -> RouterStats {
        RouterStats {
            transports: self.transports.len(),
            producers: self.producers.len(),
            consumers: self.consumers.len(),
            packets_in: self.packets_in,
            packets_out: self.packets_out,
            history_bytes: self
                .streams
                .iter()
                .map(|(_, stream)| stream.history.bytes() as u64)
                .sum(),
            events_dropped: self.events_dropped,
            led_together: self.led_together(),
            neighbours_left_out: self.neighbours_left_out,
            audio_packets_withheld: self.audio_packets_withheld,
            audio_admissions: self.loudest.admissions,
            audio_evictions: self.loudest.evictions,
            audio_refusals: self.loudest.refusals,
            timers: self.timers.len(),
        }
    }

    /// Entries of transport-wide feedback about packets that were never sent, or were forgotten long ago, since the
    /// last call; of all transports, those closed since too.
    pub fn take_feedback_bogus(&mut self) -> u64 {
        std::mem::take(&mut self.feedback_bogus)
    }

    /// Figures of a transport.
    pub fn transport_stats(&self, id: TransportId) -> Result<TransportStats, SfuError> {
        let transport = &self.transports[self.transport_of(id)? as usize];
        let extended = transport.extended.as_deref();
        Ok(TransportStats {
            available_outgoing_bitrate: transport.estimator.estimate().bps,
            estimator: transport.estimator.name(),
            feedback_bogus: transport.estimator.counters().bogus,
            allocated_bitrate: transport.tally.used_bps,
            wanted_bitrate: transport.tally.wanted_bps,
            allocations: transport.tally.runs,
            current_round_trip_us: transport.round_trip.map(|trip| trip.as_micros() as u64),
            quality: transport.line.gauge.quality(),
            congestion_up: transport.line.up.state(),
            congestion_down: transport.line.down.state(),
            queue_delay_up_us: transport.line.queue_up_us.unwrap_or(0),
            extended_sent: extended.map_or(0, |extended| extended.sent),
            extended_received: extended.map_or(0, |extended| extended.received),
            extended_round_trip_us: extended
                .and_then(|extended| extended.round_trip)
                .map(|trip| trip.as_micros() as u64),
            told_bitrate: transport.line.told.map(|(bps, _)| bps),
            told_confidence: transport.line.told.map_or(0, |(_, confidence)| confidence),
            ..transport.stats.clone()
        })
    }

    /// Figures of a producer.
    pub fn producer_stats(&self, id: ProducerId) -> Result<ProducerStats, SfuError> {
        let producer = &self.producers[self.producer_of(id)? as usize];
        let wants = |index: &&u32| self.want(**index).is_some();
        let wanted_by = producer.consumers.iter().filter(wants).count();
        Ok(producer.stats(&self.streams, wanted_by))
    }

    /// Figures of a consumer.
    pub fn consumer_stats(&self, id: ConsumerId) -> Result<ConsumerStats, SfuError> {
        let consumer = &self.consumers[self.consumer_of(id)? as usize];
        let tap = consumer.current.filter(|_| !consumer.waiting);
        Ok(consumer.stats(tap.map(|tap| self.streams[tap.stream as usize].encoding)))
    }

    /// What there is.
    pub fn dump(&self) -> RouterDump {
        let mut dump = RouterDump {
            transports: self.transport_ids.keys().copied().collect(),
            producers: self.producer_ids.keys().copied().collect(),
            consumers: self.consumer_ids.keys().copied().collect(),
        };
        dump.transports.sort_unstable();
        dump.producers.sort_unstable();
        dump.consumers.sort_unstable();
        dump
    }

    /// A transport, inside.
    pub fn transport_dump(&self, id: TransportId) -> Result<TransportDump, SfuError> {
        let transport = &self.transports[self.transport_of(id)? as usize];
        Ok(TransportDump {
            id,
            writable: transport.writable,
            producers: transport
                .producers
                .iter()
                .map(|at| self.producers[*at as usize].id)
                .collect(),
            consumers: transport
                .consumers
                .iter()
                .map(|at| self.consumers[*at as usize].id)
                .collect(),
            routes: transport.routes.len(),
            cname: transport.cname.clone(),
        })
    }

    /// A producer, inside.
    pub fn producer_dump(&self, id: ProducerId) -> Result<ProducerDump, SfuError> {
        let producer = &self.producers[self.producer_of(id)? as usize];
        Ok(ProducerDump {
            id,
            transport: self.transports[producer.transport as usize].id,
            kind: producer.kind,
            mid: producer.mid.clone(),
            paused: producer.paused,
            streams: producer
                .streams
                .iter()
                .map(|at| self.streams[*at as usize].dump())
                .collect(),
            consumers: producer
                .consumers
                .iter()
                .map(|at| self.consumers[*at as usize].id)
                .collect(),
        })
    }

    /// A consumer, inside.
    pub fn consumer_dump(&self, id: ConsumerId) -> Result<ConsumerDump, SfuError> {
        let consumer = &self.consumers[self.consumer_of(id)? as usize];
        let encoding = |tap: crate::consumer::Tap| self.streams[tap.stream as usize].encoding;
        Ok(ConsumerDump {
            id,
            transport: self.transports[consumer.transport as usize].id,
            producer: consumer.producer.map(|at| self.producers[at as usize].id),
            kind: consumer.kind,
            ssrc: consumer.ssrc,
            rtx_ssrc: consumer.rtx.as_ref().map(|rtx| rtx.ssrc),
            mid: consumer.mid.clone(),
            paused: consumer.allotment.paused_by_command,
            waiting_for_keyframe: consumer.waiting && !consumer.verbatim,
            preferred_spatial: consumer.preferred_spatial,
            preferred_temporal: consumer.preferred_temporal,
            current_spatial: consumer.current.map(encoding),
            target_spatial: consumer.target.map(encoding),
            segments: consumer.rewriting.segments(),
            last_sequence: consumer.rewriting.last_sequence(),
            verbatim: consumer.verbatim,
        })
    }
}
