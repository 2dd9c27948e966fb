//! Which stream a packet with an unknown SSRC belongs to (RFC 8843 section 9.2, RFC 8852), down to
//! peers that signal nothing but payload types.

use roomtone_rtp::{ExtensionKind, RtpPacket};

use super::Router;
use crate::RtpDrop;
use crate::producer::{Format, Producer};
use crate::transport::Route;

/// A stream whose SSRC was replaced is not given another one sooner than this: two senders with
/// one payload type would else take turns.
const REBIND_INTERVAL_US: u64 = 1_000_000;

/// What a packet says about its stream.
struct Labels<'a> {
    mid: Option<&'a [u8]>,
    rid: Option<&'a [u8]>,
    repaired_rid: Option<&'a [u8]>,
    format: Format,
}

impl Router {
    /// Finds the stream of an unknown SSRC and remembers it.
    #[cold]
    pub(super) fn learn_route(
        &mut self,
        at: u32,
        packet: &RtpPacket<'_>,
        now_us: u64,
    ) -> Result<Route, RtpDrop> {
        let route = self.find_route(at, packet, now_us)?;
        Ok(self.bind_route(at, packet.ssrc(), route, now_us))
    }

    /// The stream that a packet says it belongs to.
    pub(super) fn find_route(
        &self,
        at: u32,
        packet: &RtpPacket<'_>,
        now_us: u64,
    ) -> Result<Route, RtpDrop> {
        let mut candidates = Vec::new();
        for producer in &self.transports[at as usize].producers {
            let index = *producer;
            let producer = &self.producers[index as usize];
            let Some(labels) = labels(producer, packet) else {
                continue;
            };
            if let (Some(said), Some(own)) = (labels.mid, producer.mid.as_deref())
                && said != own.as_bytes()
            {
                continue;
            }
            let certain = labels.mid.is_some() && producer.mid.is_some();
            if let Some(stream) = self.stream_in(producer, &labels, packet, now_us) {
                candidates.push((
                    certain,
                    index,
                    stream,
                    matches!(labels.format, Format::Rtx(_)),
                ));
            }
        }
        // A MID decides; without one the payload type must leave no doubt.
        let chosen = match candidates.iter().find(|(certain, ..)| *certain) {
            Some(found) => found,
            None if candidates.len() == 1 => &candidates[0],
            None => return Err(RtpDrop::UnknownStream),
        };
        let (_, producer, stream, rtx) = *chosen;
        Ok(Route {
            producer,
            stream,
            rtx,
        })
    }

    /// The stream of a producer that a packet belongs to.
    fn stream_in(
        &self,
        producer: &Producer,
        labels: &Labels<'_>,
        packet: &RtpPacket<'_>,
        now_us: u64,
    ) -> Option<u32> {
        let by_rid = |rid: &[u8]| {
            producer.streams.iter().copied().find(|at| {
                self.streams[*at as usize]
                    .rid()
                    .is_some_and(|own| own.as_bytes() == rid)
            })
        };
        let rtx = matches!(labels.format, Format::Rtx(_));
        let label = if rtx {
            labels.repaired_rid.or(labels.rid)
        } else {
            labels.rid
        };
        if let Some(stream) = label.and_then(by_rid) {
            return Some(stream);
        }
        // A label that fits none, or several encodings and no label: no guess.
        if producer.streams.len() != 1 || (label.is_some() && self.has_rids(producer)) {
            return None;
        }
        let only = producer.streams[0];
        let stream = &self.streams[only as usize];
        if rtx {
            // Retransmissions follow their medium.
            return stream.ssrc.is_some().then_some(only);
        }
        let fresh = stream
            .rebound_us
            .is_some_and(|rebound| now_us < rebound + REBIND_INTERVAL_US);
        let other = stream.ssrc.is_some_and(|bound| bound != packet.ssrc());
        (!other || !fresh).then_some(only)
    }

    fn has_rids(&self, producer: &Producer) -> bool {
        producer
            .streams
            .iter()
            .any(|at| self.streams[*at as usize].rid().is_some())
    }

    pub(super) fn bind_route(&mut self, at: u32, ssrc: u32, route: Route, now_us: u64) -> Route {
        let stream = &mut self.streams[route.stream as usize];
        let routes = &mut self.transports[at as usize].routes;
        // One SSRC of each kind a stream: the map cannot be grown by inventing SSRCs.
        routes.retain(|_, other| other.stream != route.stream || other.rtx != route.rtx);
        if route.rtx {
            stream.rtx_ssrc = Some(ssrc);
        } else {
            stream.bind(ssrc, now_us);
        }
        routes.insert(ssrc, route);
        route
    }
}

/// What the packet says in the terms of one producer; `None`: it does not take the payload type.
fn labels<'a>(producer: &Producer, packet: &RtpPacket<'a>) -> Option<Labels<'a>> {
    let format = producer.format(packet.payload_type())?;
    let value = |kind| {
        producer
            .extension_id(kind)
            .and_then(|id| packet.extension(id))
    };
    Some(Labels {
        mid: value(ExtensionKind::Mid),
        rid: value(ExtensionKind::Rid),
        repaired_rid: value(ExtensionKind::RepairedRid),
        format,
    })
}
