//! Commands about producers and consumers.

use roomtone_rtp::{Codec, ExtensionKind, MediaKind};
use roomtone_sfu::{
    CodecParams, ConsumerId, ConsumerParams, EncodingParams, FeedbackKinds, ProducerId,
    ProducerParams, Redundancy, Router,
};

use super::Shard;
use super::commands::{Answered, DONE};
use super::objects::{Carrier, ConsumerEntry, Object, ProducerEntry};
use crate::failure::Failure;
use crate::ids;
use crate::values::{self, Command, CommandResult, ErrorCode};

/// Encodings of one producer.
const MAX_ENCODINGS: usize = 8;

impl Shard {
    pub(super) fn produce(&mut self, command: Command) -> Answered {
        let Command::Produce {
            transport,
            kind,
            codecs,
            encodings,
            mid,
            header_extensions,
            paused,
        } = command
        else {
            return Err(Failure::invalid("not a produce command"));
        };
        let slot = self.transport(transport)?;
        check_producer(&codecs, &encodings)?;
        let encodings = if encodings.is_empty() {
            vec![values::EncodingParameters::default()]
        } else {
            encodings
        };
        let params = ProducerParams {
            kind: media_kind(kind),
            mid,
            codecs: codecs
                .iter()
                .map(|codec| codec_params(codec, kind))
                .collect(),
            encodings: encodings
                .into_iter()
                .map(|e| EncodingParams {
                    ssrc: e.ssrc,
                    rid: e.rid,
                    rtx_ssrc: e.rtx_ssrc,
                })
                .collect(),
            extensions: extensions(&header_extensions),
            paused,
        };
        let id = self.add_producer(slot, params)?;
        Ok(Some(CommandResult::Produced { producer: id }))
    }

    /// Enters a producer into the router and the tables.
    pub(super) fn add_producer(
        &mut self,
        slot: usize,
        params: ProducerParams,
    ) -> Result<u64, Failure> {
        let limit = match self.transports[slot].carrier {
            Carrier::Mixer(_) => crate::audio::MAX_OUTPUTS,
            _ => self.shared.config.max_producers_per_transport,
        };
        if self.transports[slot].producers.len() >= limit {
            return Err(Failure::new(
                ErrorCode::Limit,
                format!("{limit} producers are on this transport"),
            ));
        }
        let id = ids::allocate(self.index);
        let now = self.now;
        let (entry, transport) = self.router_of(slot);
        entry
            .router
            .produce(transport, ProducerId(id), params.clone(), now)?;
        let router = self.transports[slot].router;
        self.touch_router(router);
        self.transports[slot].producers.push(id);
        let entry = ProducerEntry {
            transport: slot,
            kind: params.kind,
            params,
            pipes: Vec::new(),
        };
        self.insert_object(id, Object::Producer(Box::new(entry)));
        Ok(id)
    }

    pub(super) fn consume(&mut self, command: Command) -> Answered {
        let Command::Consume {
            transport,
            kind,
            producer,
            mid,
            payload_types,
            rtx_payload_types,
            header_extensions,
            feedback,
            redundancy,
            ssrc,
            rtx_ssrc,
            paused,
        } = command
        else {
            return Err(Failure::invalid("not a consume command"));
        };
        let slot = self.transport(transport)?;
        let kind = media_kind(kind);
        self.check_source(producer, slot, kind)?;
        let params = ConsumerParams {
            producer: producer.map(ProducerId),
            kind,
            mid,
            payload_types,
            rtx_payload_types,
            extensions: extensions(&header_extensions),
            ssrc,
            rtx_ssrc,
            paused,
            feedback: feedback_kinds(feedback),
            redundancy: redundancy.map(|asked| Redundancy {
                payload_type: asked.payload_type,
                protects: asked.protects,
                blocks: asked.blocks,
            }),
            verbatim: false,
        };
        let (id, description) = self.add_consumer(slot, params)?;
        Ok(Some(CommandResult::Consumed {
            consumer: id,
            ssrc: description.ssrc,
            rtx_ssrc: description.rtx_ssrc,
            cname: description.cname,
        }))
    }

    /// Enters a consumer into the router and the tables.
    pub(super) fn add_consumer(
        &mut self,
        slot: usize,
        params: ConsumerParams,
    ) -> Result<(u64, roomtone_sfu::ConsumerDescription), Failure> {
        let limit = self.shared.config.max_consumers_per_transport;
        if self.transports[slot].consumers.len() >= limit {
            return Err(Failure::new(
                ErrorCode::Limit,
                format!("{limit} consumers are on this transport"),
            ));
        }
        let id = ids::allocate(self.index);
        let (now, kind) = (self.now, params.kind);
        let chosen = params.ssrc.is_some() || params.rtx_ssrc.is_some();
        let (entry, transport) = self.router_of(slot);
        let description = entry
            .router
            .consume(transport, ConsumerId(id), params, now)?;
        let router = self.transports[slot].router;
        self.touch_router(router);
        self.transports[slot].consumers.push(id);
        let drawn = (!chosen).then_some([Some(description.ssrc), description.rtx_ssrc]);
        self.insert_object(
            id,
            Object::Consumer(Box::new(ConsumerEntry {
                transport: slot,
                kind,
                drawn_ssrcs: drawn.into_iter().flatten().flatten().collect(),
            })),
        );
        Ok((id, description))
    }

    pub(super) fn switch_source(
        &mut self,
        consumer: u64,
        producer: Option<u64>,
        payload_types: Vec<(u8, u8)>,
    ) -> Answered {
        let Some(Object::Consumer(entry)) = self.objects.get(&consumer) else {
            return Err(Failure::not_found("consumer", consumer));
        };
        self.check_source(producer, entry.transport, entry.kind)?;
        let producer = producer.map(ProducerId);
        self.on_consumer(consumer, |router, id, now| {
            router.switch_source(id, producer, payload_types, now)
        })
    }

    /// The source must live in the router of the transport in `slot`.
    pub(super) fn check_source(
        &self,
        producer: Option<u64>,
        slot: usize,
        kind: MediaKind,
    ) -> Result<(), Failure> {
        let Some(producer) = producer else {
            return Ok(());
        };
        if ids::shard_of(producer) != self.index {
            return Err(Failure::invalid(
                "the producer lives on another router: pipe it first",
            ));
        }
        let entry = self.producer(producer)?;
        if self.transports[entry.transport].router != self.transports[slot].router {
            return Err(Failure::invalid(
                "the producer lives on another router: pipe it first",
            ));
        }
        if entry.kind != kind {
            return Err(Failure::invalid(
                "consumer and producer are not of the same kind",
            ));
        }
        Ok(())
    }

    pub(super) fn on_producer(
        &mut self,
        id: u64,
        act: impl FnOnce(
            &mut Router,
            ProducerId,
            std::time::Instant,
        ) -> Result<(), roomtone_sfu::SfuError>,
    ) -> Answered {
        let slot = self.producer(id)?.transport;
        let (router, now) = (self.transports[slot].router, self.now);
        act(&mut self.routers[router].router, ProducerId(id), now)?;
        self.touch_router(router);
        DONE
    }

    pub(super) fn on_consumer(
        &mut self,
        id: u64,
        act: impl FnOnce(
            &mut Router,
            ConsumerId,
            std::time::Instant,
        ) -> Result<(), roomtone_sfu::SfuError>,
    ) -> Answered {
        let slot = self.consumer(id)?;
        let (router, now) = (self.transports[slot].router, self.now);
        act(&mut self.routers[router].router, ConsumerId(id), now)?;
        self.touch_router(router);
        DONE
    }
}

fn check_producer(
    codecs: &[values::CodecParameters],
    encodings: &[values::EncodingParameters],
) -> Result<(), Failure> {
    if codecs.is_empty() {
        return Err(Failure::invalid("a producer needs at least one codec"));
    }
    if encodings.len() > MAX_ENCODINGS {
        return Err(Failure::new(
            ErrorCode::Limit,
            format!("more than {MAX_ENCODINGS} encodings"),
        ));
    }
    let mut types: Vec<u8> = codecs
        .iter()
        .flat_map(|c| std::iter::once(c.payload_type).chain(c.rtx_payload_type))
        .collect();
    if types.iter().any(|payload_type| *payload_type > 127) {
        return Err(Failure::invalid("a payload type is above 127"));
    }
    if has_duplicates(&mut types) {
        return Err(Failure::invalid("a payload type is listed twice"));
    }
    let mut ssrcs: Vec<u32> = encodings
        .iter()
        .flat_map(|e| e.ssrc.into_iter().chain(e.rtx_ssrc))
        .collect();
    if has_duplicates(&mut ssrcs) {
        return Err(Failure::invalid("an SSRC is listed twice"));
    }
    Ok(())
}

fn has_duplicates<T: Ord>(values: &mut [T]) -> bool {
    values.sort_unstable();
    values.windows(2).any(|pair| pair[0] == pair[1])
}

fn media_kind(kind: values::MediaKind) -> MediaKind {
    match kind {
        values::MediaKind::Audio => MediaKind::Audio,
        values::MediaKind::Video => MediaKind::Video,
    }
}

fn codec_params(codec: &values::CodecParameters, kind: values::MediaKind) -> CodecParams {
    CodecParams {
        payload_type: codec.payload_type,
        codec: Codec::from_name(&codec.name),
        clock_rate: codec.clock_rate,
        channels: if kind == values::MediaKind::Video {
            0
        } else {
            codec.channels
        },
        rtx_payload_type: codec.rtx_payload_type,
        feedback: feedback_kinds(codec.feedback),
    }
}

fn feedback_kinds(feedback: values::CodecFeedback) -> FeedbackKinds {
    FeedbackKinds {
        nack: feedback.nack,
        pli: feedback.pli,
        fir: feedback.fir,
        transport_cc: feedback.transport_cc,
        remb: feedback.remb,
    }
}

/// Extensions nobody here understands are left out: they are not forwarded.
fn extensions(negotiated: &[values::HeaderExtension]) -> Vec<(u8, ExtensionKind)> {
    negotiated
        .iter()
        .filter_map(|one| Some((one.id, ExtensionKind::from_uri(&one.uri)?)))
        .collect()
}
