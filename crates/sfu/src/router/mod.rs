//! The public face: commands, packets in, packets out, timers, events.

use std::time::{Duration, Instant};

use crate::{
    BandwidthEstimator, ConsumerDescription, ConsumerDump, ConsumerId, ConsumerParams,
    ConsumerStats, ProducerDump, ProducerId, ProducerParams, ProducerStats, RouterConfig,
    RouterDump, RouterEvent, RouterStats, RtcpDrop, RtpDrop, SfuError, TransportDump, TransportId,
    TransportParams, TransportStats, WallClock,
};

/// A plain packet written for a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes at the front of the buffer.
    pub len: usize,
    /// Whether they are RTCP; else RTP.
    pub rtcp: bool,
}

/// The forwarding domain.
#[derive(Debug)]
pub struct Router {}

#[allow(clippy::all, clippy::pedantic, unused_variables, missing_docs)]
impl Router {
    pub fn new(config: RouterConfig, clock: WallClock, seed: u64) -> Self { todo!() }
    pub fn open_transport(&mut self, id: TransportId, params: TransportParams, now: Instant) -> Result<(), SfuError> { todo!() }
    /// BYEs are returned as plain RTCP compounds, since the transport is gone afterwards.
    pub fn close_transport(&mut self, id: TransportId, now: Instant) -> Result<Option<Vec<u8>>, SfuError> { todo!() }
    pub fn set_writable(&mut self, id: TransportId, writable: bool, now: Instant) -> Result<(), SfuError> { todo!() }
    /// The round trip as ICE or another layer measured it.
    pub fn set_round_trip(&mut self, id: TransportId, round_trip: Duration) -> Result<(), SfuError> { todo!() }
    pub fn set_estimator(&mut self, id: TransportId, estimator: Box<dyn BandwidthEstimator>) -> Result<(), SfuError> { todo!() }
    pub fn produce(&mut self, transport: TransportId, id: ProducerId, params: ProducerParams, now: Instant) -> Result<(), SfuError> { todo!() }
    pub fn consume(&mut self, transport: TransportId, id: ConsumerId, params: ConsumerParams, now: Instant) -> Result<ConsumerDescription, SfuError> { todo!() }
    pub fn switch_source(&mut self, id: ConsumerId, producer: Option<ProducerId>, payload_types: Vec<(u8, u8)>, now: Instant) -> Result<(), SfuError> { todo!() }
    pub fn pause_producer(&mut self, id: ProducerId, now: Instant) -> Result<(), SfuError> { todo!() }
    pub fn resume_producer(&mut self, id: ProducerId, now: Instant) -> Result<(), SfuError> { todo!() }
    pub fn close_producer(&mut self, id: ProducerId, now: Instant) -> Result<(), SfuError> { todo!() }
    pub fn pause_consumer(&mut self, id: ConsumerId, now: Instant) -> Result<(), SfuError> { todo!() }
    pub fn resume_consumer(&mut self, id: ConsumerId, now: Instant) -> Result<(), SfuError> { todo!() }
    pub fn close_consumer(&mut self, id: ConsumerId, now: Instant) -> Result<(), SfuError> { todo!() }
    pub fn set_preferred_layers(&mut self, id: ConsumerId, spatial: Option<u8>, temporal: Option<u8>, now: Instant) -> Result<(), SfuError> { todo!() }
    pub fn request_producer_keyframe(&mut self, id: ProducerId, now: Instant) -> Result<(), SfuError> { todo!() }
    pub fn request_consumer_keyframe(&mut self, id: ConsumerId, now: Instant) -> Result<(), SfuError> { todo!() }
    pub fn handle_rtp(&mut self, transport: TransportId, packet: &[u8], now: Instant) -> Result<(), RtpDrop> { todo!() }
    pub fn handle_rtcp(&mut self, transport: TransportId, packet: &[u8], now: Instant) -> Result<(), RtcpDrop> { todo!() }
    pub fn next_timeout(&self) -> Option<Instant> { todo!() }
    pub fn handle_timeout(&mut self, now: Instant) { todo!() }
    pub fn poll_burst(&mut self, now: Instant) -> Option<TransportId> { todo!() }
    pub fn write_packet(&mut self, id: TransportId, now: Instant, out: &mut [u8]) -> Option<Written> { todo!() }
    pub fn poll_event(&mut self) -> Option<RouterEvent> { todo!() }
    pub fn stats(&self) -> RouterStats { todo!() }
    pub fn transport_stats(&self, id: TransportId) -> Result<TransportStats, SfuError> { todo!() }
    pub fn producer_stats(&self, id: ProducerId) -> Result<ProducerStats, SfuError> { todo!() }
    pub fn consumer_stats(&self, id: ConsumerId) -> Result<ConsumerStats, SfuError> { todo!() }
    pub fn dump(&self) -> RouterDump { todo!() }
    pub fn transport_dump(&self, id: TransportId) -> Result<TransportDump, SfuError> { todo!() }
    pub fn producer_dump(&self, id: ProducerId) -> Result<ProducerDump, SfuError> { todo!() }
    pub fn consumer_dump(&self, id: ConsumerId) -> Result<ConsumerDump, SfuError> { todo!() }
}
