//! Pipes: a producer of one router appears in a router of another shard (or of this one).
//!
//! Each piped producer has a pair of transports of its own. The near one holds a consumer that forwards every layer as
//! it came; what it sends travels in batches through the other shard's inbox into the far one, which holds the piped
//! producer. RTCP of the far one (NACK, PLI) travels back the same way. Empty batches return to be used again.
//! Which encodings anyone wants at the far end is told to the near one, which leaves the others out, and wants no more
//! of its own source.

use roomtone_sfu::{
    ConsumerId, ConsumerParams, EncodingParams, FeedbackKinds, ProducerId, ProducerParams,
    TransportId, TransportParams,
};

use super::commands::Answered;
use super::inbox::{Batch, BatchPool, Control, OpenPipe, ShardHandle};
use super::ingress::feed_rtcp;
use super::objects::{Carrier, Object, PipeEnd};
use super::{Panicked, Shard, guard};
use crate::counters::Counters;
use crate::failure::Failure;
use crate::ids;
use crate::values::{CloseReason, CommandResult};

/// Empty batches kept for one direction.
const KEPT_BATCHES: usize = 8;

impl PipeEnd {
    fn new(far_shard: usize, far_transport: u64, source: Option<u64>) -> Self {
        Self {
            far_shard,
            far_transport,
            source,
            pool: BatchPool::new(KEPT_BATCHES),
            packets_handed: 0,
            packets_dropped: 0,
        }
    }

    /// Gives a batch to the other end's shard; whether that had room for it.
    pub(super) fn hand_over(batch: Batch, handle: &ShardHandle, counters: &Counters) -> bool {
        let count = batch.packets.len() as u64;
        match handle.batch(batch) {
            Ok(()) => {
                counters.pipe_packets.add(count);
                true
            }
            Err(batch) => {
                counters.pipe_dropped_full.add(count);
                batch.send_home();
                false
            }
        }
    }
}

impl Shard {
    pub(super) fn pipe_producer(&mut self, request: u64, producer: u64, router: u64) -> Answered {
        let entry = self.producer(producer)?;
        let (kind, mut params) = (entry.kind, entry.params.clone());
        let near_router = self.transports[entry.transport].router;
        if self.routers[near_router].id == router {
            return Err(Failure::invalid(
                "the producer lives on this router already",
            ));
        }
        let far_shard = ids::shard_of(router);
        if far_shard >= self.handles.len() {
            return Err(Failure::not_found("router", router));
        }
        let (near, far) = (ids::allocate(self.index), ids::allocate(far_shard));
        let carrier = Carrier::Pipe(Box::new(PipeEnd::new(far_shard, far, Some(producer))));
        let slot = self.insert_transport(near, near_router, carrier, pipe_params())?;
        let consumer = ConsumerParams {
            producer: Some(ProducerId(producer)),
            kind,
            mid: None,
            payload_types: params
                .codecs
                .iter()
                .map(|c| (c.payload_type, c.payload_type))
                .collect(),
            rtx_payload_types: Vec::new(),
            extensions: params.extensions.clone(),
            ssrc: None,
            rtx_ssrc: None,
            paused: false,
            feedback: FeedbackKinds {
                nack: true,
                pli: true,
                ..FeedbackKinds::default()
            },
            redundancy: None,
            verbatim: true,
        };
        let description = match self.add_consumer(slot, consumer) {
            Ok((_, description)) => description,
            Err(failure) => {
                self.close_transport(slot, CloseReason::Requested, String::new());
                return Err(failure);
            }
        };
        adapt(&mut params, description.encodings.iter().map(|e| e.ssrc));
        if let Some(Object::Producer(entry)) = self.objects.get_mut(&producer) {
            entry.pipes.push(near);
        }
        let open = OpenPipe {
            request,
            transport: far,
            source: near,
            router,
            params,
        };
        self.handles[far_shard].control(Control::OpenPipe(Box::new(open)));
        Ok(None)
    }

    /// Makes the far end and answers the request.
    pub(super) fn on_open_pipe(&mut self, pipe: OpenPipe) {
        let (request, near, far) = (pipe.request, pipe.source, pipe.transport);
        let opened = guard(|| self.open_far_end(pipe)).unwrap_or_else(|Panicked| {
            Err(Failure::new(
                crate::values::ErrorCode::Internal,
                "a defect was met",
            ))
        });
        let result = match opened {
            Ok(producer) => CommandResult::ProducerPiped {
                producer,
                near,
                far,
            },
            Err(failure) => {
                self.tell_far_end(ids::shard_of(near), near);
                failure.into()
            }
        };
        self.shared.outbox.reply(request, result);
    }

    fn open_far_end(&mut self, pipe: OpenPipe) -> Result<u64, Failure> {
        let router = self.router(pipe.router)?;
        let carrier = Carrier::Pipe(Box::new(PipeEnd::new(
            ids::shard_of(pipe.source),
            pipe.source,
            None,
        )));
        let slot = self.insert_transport(pipe.transport, router, carrier, pipe_params())?;
        self.add_producer(slot, pipe.params).inspect_err(|_| {
            self.close_transport(slot, CloseReason::Requested, String::new());
        })
    }

    /// The other end of a pipe is gone.
    pub(super) fn on_pipe_closed(&mut self, id: u64) {
        if let Some(Object::Transport(slot)) = self.objects.get(&id) {
            self.close_transport(*slot, CloseReason::ParentClosed, String::new());
        }
    }

    /// What is left to do when this end goes.
    pub(super) fn unlink_pipe(&mut self, id: u64, end: &PipeEnd) {
        if let Some(source) = end.source
            && let Some(Object::Producer(entry)) = self.objects.get_mut(&source)
        {
            entry.pipes.retain(|pipe| *pipe != id);
        }
        self.tell_far_end(end.far_shard, end.far_transport);
    }

    /// What is wanted of a producer that came through a pipe is told to the other end.
    pub(super) fn tell_source(&self, producer: u64, wanted: &[Option<u8>]) {
        let Ok(entry) = self.producer(producer) else {
            return;
        };
        let Carrier::Pipe(end) = &self.transports[entry.transport].carrier else {
            return;
        };
        self.handles[end.far_shard].control(Control::EncodingsWanted {
            transport: end.far_transport,
            wanted: wanted.to_vec(),
        });
    }

    /// The far end of a pipe tells what is wanted there.
    pub(super) fn on_encodings_wanted(&mut self, id: u64, wanted: &[Option<u8>]) {
        let Some(Object::Transport(slot)) = self.objects.get(&id) else {
            // It was closed meanwhile.
            return;
        };
        let slot = *slot;
        // A pipe's sending end has one consumer.
        let Some(consumer) = self.transports[slot].consumers.first().copied() else {
            return;
        };
        let (now, consumer) = (self.now, ConsumerId(consumer));
        let (entry, _) = self.router_of(slot);
        match guard(|| entry.router.set_wanted_encodings(consumer, wanted, now)) {
            Ok(Ok(())) => {
                let router = self.transports[slot].router;
                self.touch_router(router);
            }
            // Only of a consumer that is not verbatim, which a pipe's is, or not there.
            Ok(Err(_)) => {}
            Err(Panicked) => self.transport_panicked(slot),
        }
    }

    /// Packets from the far end.
    pub(super) fn on_batch(&mut self, batch: Batch) {
        let Some(Object::Transport(slot)) = self.objects.get(&batch.to) else {
            self.counters
                .pipe_dropped_unknown
                .add(batch.packets.len() as u64);
            return batch.send_home();
        };
        let slot = *slot;
        let (now, counters) = (self.now, self.counters.clone());
        let (entry, id) = self.router_of(slot);
        let fed = guard(|| feed_batch(&mut entry.router, id, &batch, now, &counters));
        match fed {
            Ok(()) => {
                let router = self.transports[slot].router;
                self.touch_router(router);
                self.settle();
            }
            Err(Panicked) => self.transport_panicked(slot),
        }
        batch.send_home();
    }
}

fn feed_batch(
    router: &mut roomtone_sfu::Router,
    id: TransportId,
    batch: &Batch,
    now: std::time::Instant,
    counters: &Counters,
) {
    let mut rest = &batch.bytes[..];
    for (len, rtcp) in &batch.packets {
        let (packet, behind) = rest.split_at(*len as usize);
        rest = behind;
        if *rtcp {
            feed_rtcp(router, id, packet, now, counters);
        } else {
            counters.rtp_received.up();
            if router.handle_rtp(id, packet, now).is_err() {
                counters.dropped_rtp.up();
            }
        }
    }
}

fn pipe_params() -> TransportParams {
    TransportParams {
        mixed_extensions: true,
        unlimited: true,
        ..TransportParams::default()
    }
}

/// The far producer's parameters: streams by the SSRCs of the pipe, feedback that repairs and asks for keyframes.
fn adapt(params: &mut ProducerParams, ssrcs: impl Iterator<Item = u32>) {
    params.mid = None;
    params.paused = false;
    params.encodings = ssrcs
        .map(|ssrc| EncodingParams {
            ssrc: Some(ssrc),
            rid: None,
            rtx_ssrc: None,
        })
        .collect();
    for codec in &mut params.codecs {
        codec.rtx_payload_type = None;
        codec.feedback = FeedbackKinds {
            nack: true,
            pli: true,
            ..FeedbackKinds::default()
        };
    }
}
