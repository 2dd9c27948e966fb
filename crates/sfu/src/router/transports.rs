//! Commands about transports.

use std::time::{Duration, Instant};

use super::Router;
use crate::random::Random;
use crate::timers::Timer;
use crate::transport::{Message, Transport};
use crate::{BandwidthEstimator, ReceiverReportEstimator, SfuError, TransportId, TransportParams};

/// What the simple estimator starts with.
pub(super) const START_BPS: u64 = 1_000_000;

impl Router {
    /// Opens a transport. Nothing is written for it until it is writable.
    pub fn open_transport(
        &mut self,
        id: TransportId,
        mut params: TransportParams,
        now: Instant,
    ) -> Result<(), SfuError> {
        if self.transport_ids.contains_key(&id) {
            return Err(SfuError::Duplicate);
        }
        if self.transports.len() >= self.config.limits.transports {
            return Err(SfuError::Limit("transports"));
        }
        if params.rtcp_cname.is_empty() {
            params.rtcp_cname = format!("{:016x}", self.random.next());
        }
        if params.rtcp_cname.len() > 255 {
            return Err(SfuError::Range("CNAME"));
        }
        let local_ssrc = self.random.ssrc(|_| false);
        let estimator = Box::new(ReceiverReportEstimator::new(START_BPS));
        let max_bitrate = self.config.default_max_bitrate;
        let moments = Random::new(u64::from(local_ssrc));
        let mut transport = Transport::new(id, params, max_bitrate, local_ssrc, moments, estimator);
        // Spread over the interval, so that a thousand transports do not report at once.
        let first = transport.next_report(self.clock.micros(now), self.config.report_interval);
        let at = self.transports.insert(transport) as u32;
        self.transport_ids.insert(id, at);
        self.timers.arm(
            Timer::Report(at),
            first,
            &mut self.transports[at as usize].report_armed,
        );
        Ok(())
    }

    /// Says whether a packet may be sent again under its own number, where there is no RTX. Not so
    /// under AES-GCM: the nonce would be used twice (RFC 7714 section 8.3). It may until said otherwise.
    pub fn set_repeats(&mut self, id: TransportId, allowed: bool) -> Result<(), SfuError> {
        let at = self.transport_of(id)?;
        self.transports[at as usize].repeats = allowed;
        Ok(())
    }

    /// Closes a transport with its producers and consumers. Gives the last RTCP compound for the
    /// peer (BYE), where it was writable.
    pub fn close_transport(
        &mut self,
        id: TransportId,
        now: Instant,
    ) -> Result<Option<Vec<u8>>, SfuError> {
        let at = self.transport_of(id)?;
        let transport = &self.transports[at as usize];
        let mut ssrcs: Vec<u32> = transport.own_ssrcs.keys().copied().collect();
        ssrcs.sort_unstable();
        for consumer in transport.consumers.clone() {
            self.remove_consumer(consumer, now);
        }
        for producer in self.transports[at as usize].producers.clone() {
            self.remove_producer(producer, now);
        }
        self.leave_site(at, now);
        self.transport_ids.remove(&id);
        self.recent = (TransportId(u64::MAX), u32::MAX);
        self.queue.retain(|queued| *queued != at);
        let mut transport = self.transports.remove(at as usize);
        if !transport.writable {
            return Ok(None);
        }
        transport.messages.clear();
        ssrcs.push(transport.local_ssrc);
        let mut out = vec![0; 1_200];
        let len = super::rtcp_out::write_goodbye(&transport, &ssrcs, &mut out);
        Ok(len.map(|len| {
            out.truncate(len);
            out
        }))
    }

    /// Whether packets can be sent to the peer (its handshake is done and it answers). Consumers
    /// begin with a keyframe each time it becomes writable.
    pub fn set_writable(
        &mut self,
        id: TransportId,
        writable: bool,
        now: Instant,
    ) -> Result<(), SfuError> {
        let at = self.transport_of(id)?;
        let transport = &mut self.transports[at as usize];
        if transport.writable == writable {
            return Ok(());
        }
        transport.writable = writable;
        self.allocate_soon(at, self.clock.micros(now));
        let transport = &mut self.transports[at as usize];
        if !writable {
            self.clear_ready(at);
            return Ok(());
        }
        for consumer in transport.consumers.clone() {
            self.restart_consumer(consumer, now);
        }
        // Requests to the publisher could not leave before.
        for producer in self.transports[at as usize].producers.clone() {
            let streams = self.producers[producer as usize].streams.clone();
            for stream in streams {
                if self.streams[stream as usize].keyframes.next_due().is_some() {
                    self.send_keyframe_request(stream);
                }
            }
        }
        self.queue_transport(at);
        Ok(())
    }

    /// Tells a round trip measured elsewhere (ICE checks); it spaces repeated requests.
    pub fn set_round_trip(
        &mut self,
        id: TransportId,
        round_trip: Duration,
    ) -> Result<(), SfuError> {
        let at = self.transport_of(id)?;
        self.transports[at as usize].round_trip = Some(round_trip);
        Ok(())
    }

    /// Replaces the bandwidth estimator of a transport.
    pub fn set_estimator(
        &mut self,
        id: TransportId,
        estimator: Box<dyn BandwidthEstimator>,
        now: Instant,
    ) -> Result<(), SfuError> {
        let at = self.transport_of(id)?;
        let transport = &mut self.transports[at as usize];
        transport.tracks_packets = estimator.tracks_packets();
        transport.estimator = estimator;
        transport.estimator_given = true;
        self.follow_estimator(at, now);
        Ok(())
    }

    /// Puts a transport into the queue of those with something to send.
    #[inline]
    pub(super) fn queue_transport(&mut self, at: u32) {
        let transport = &mut self.transports[at as usize];
        if transport.writable && !transport.queued {
            transport.queued = true;
            self.queue.push_back(at);
        }
    }

    /// Queues an RTCP message and its transport.
    pub(super) fn send_message(&mut self, at: u32, message: Message) {
        let limit = self.config.limits.pending_rtcp;
        self.transports[at as usize].queue_message(message, limit);
        self.queue_transport(at);
    }

    /// Nothing of a transport is to be sent any more.
    fn clear_ready(&mut self, at: u32) {
        let transport = &mut self.transports[at as usize];
        let ready = std::mem::take(&mut transport.ready);
        transport.messages.clear();
        for listed in ready.consumers() {
            if let Some(consumer) = self.consumers.get_mut(listed as usize) {
                consumer.dirty = false;
            }
        }
    }
}
