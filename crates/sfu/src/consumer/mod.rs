//! Media out: one track to one subscriber.

mod alignment;
mod header;
mod piping;
mod reading;
mod renewing;
mod resend;
mod rewriting;
mod sending;

use roomtone_rtp::MediaKind;
use slab::Slab;
use smallvec::SmallVec;

use crate::allocation::{ALL_TEMPORAL, Allotment, Gate};
use crate::audio::MOST_BLOCKS;
use crate::producer::Stream;
use crate::quality::viewer::ViewerWatch;
use crate::selection::Selector;
use crate::{
    ConsumerId, ConsumerLayerStats, ConsumerParams, ConsumerStats, FeedbackKinds, Limits,
    OutboundStreamStats, PauseReason, Redundancy, RemoteInboundStats, SfuError,
};

pub(crate) use alignment::Reference;
pub(crate) use header::{HeaderTemplate, Stamps};
pub(crate) use reading::{Chosen, Tap};
pub(crate) use resend::{Resend, Resends};
pub(crate) use rewriting::{PictureShift, Rewriting};

/// How retransmissions are sent (RFC 4588).
#[derive(Debug)]
pub(crate) struct Rtx {
    pub(crate) ssrc: u32,
    pub(crate) next_sequence: u16,
    /// Our media payload types and those of their retransmissions.
    pub(crate) payload_types: Vec<(u8, u8)>,
}

/// What a consumer tells the router.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// The stream it has left for another.
    pub(crate) left: Option<u32>,
    /// Its spatial layer has changed.
    pub(crate) moved: bool,
    /// It needs a keyframe of its stream.
    pub(crate) wish: bool,
}

/// One consumer.
///
/// A burst comes to it a frame after the last one, when nothing of it is in the caches any more. So what a packet reads
/// and writes comes first, in few lines of 64 bytes, and with no list beside it.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Consumer {
    pub(crate) transport: u32,
    pub(crate) ssrc: u32,
    /// The stream it forwards.
    pub(crate) current: Option<Tap>,
    pub(crate) resends: Option<Box<Resends>>,
    /// Until then it sends nothing.
    hushed_until_us: u64,
    pub(crate) kind: MediaKind,
    /// Whether it sends nothing: by command, or because the line does not carry it.
    pub(crate) paused: bool,
    pub(crate) verbatim: bool,
    /// Whether it gets its producer's audio also while that is withheld.
    pub(crate) pinned: bool,
    /// Whether it is in its transport's list of those with something to send.
    pub(crate) dirty: bool,
    /// Whether it waits for an entry point of its current stream.
    pub(crate) waiting: bool,
    /// Whether a sender report went out since the last start.
    pub(crate) reported: bool,
    pub(crate) score: u8,

    /// Where it looks next for the keyframe that it is to go on with.
    longing: Option<u64>,
    /// What happened while it was read, until the router has taken notice.
    pub(crate) news: Option<News>,
    /// Redundancy that is made for it.
    pub(crate) redundancy: Option<Redundancy>,
    /// The stream it switches to at the next entry point.
    pub(crate) target: Option<Tap>,

    pub(crate) id: ConsumerId,
    pub(crate) producer: Option<u32>,
    pub(crate) rewriting: Rewriting,
    /// Packets and payload bytes for sender reports: media only, without retransmissions.
    pub(crate) report_packets: u32,
    pub(crate) report_bytes: u32,
    pub(crate) counters: OutboundStreamStats,

    pub(crate) header: HeaderTemplate,
    /// The producer's payload types and ours.
    pub(crate) payload_types: SmallVec<[(u8, u8); 8]>,
    /// Which frames of its current stream it forwards.
    pub(crate) selector: Selector,

    pub(crate) allotment: Allotment,
    pub(crate) mid: Option<String>,
    pub(crate) feedback: FeedbackKinds,
    pub(crate) rtx: Option<Rtx>,
    /// All streams of its producer, where it is verbatim.
    pub(crate) taps: Vec<Tap>,
    /// The numbers that it sends each of them with.
    piped: Vec<piping::Piped>,
    /// The last timeline that was right, where the present one is not.
    pub(crate) reference: Option<Reference>,
    pub(crate) preferred_spatial: Option<u8>,
    pub(crate) preferred_temporal: Option<u8>,
    /// The serial of a stream it has left because the line did not carry it: its packets are not
    /// sent again.
    pub(crate) abandoned: Option<u32>,
    /// Where it went on with one.
    renewed: Option<renewing::Renewed>,
    /// The newest entry point of its stream that it forwarded.
    entered: u64,
    pub(crate) remote: RemoteInboundStats,
    pub(crate) watch: Option<Box<ViewerWatch>>,
}

/// The most a consumer may be given; `None`: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Most {
    pub(crate) encoding: Option<u8>,
    /// The spatial layer in the encoding.
    pub(crate) spatial: Option<u8>,
    pub(crate) temporal: Option<u8>,
}

/// The numbers a new consumer needs from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draws {
    pub(crate) ssrc: u32,
    pub(crate) rtx_ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) rtx_sequence: u16,
}

impl Consumer {
    pub(crate) fn new(
        id: ConsumerId,
        transport: u32,
        params: &ConsumerParams,
        mixed: bool,
        draws: Draws,
        limits: &Limits,
    ) -> Result<Self, SfuError> {
        check_payload_types(&params.payload_types)?;
        check_payload_types(&params.rtx_payload_types)?;
        check_redundancy(params)?;
        let rtx = (!params.rtx_payload_types.is_empty() && !params.verbatim).then(|| Rtx {
            ssrc: draws.rtx_ssrc,
            next_sequence: draws.rtx_sequence,
            payload_types: params.rtx_payload_types.clone(),
        });
        Ok(Self {
            id,
            transport,
            producer: None,
            kind: params.kind,
            mid: params.mid.clone(),
            paused: params.paused,
            allotment: Allotment {
                paused_by_command: params.paused,
                ..Allotment::default()
            },
            verbatim: params.verbatim,
            pinned: params.verbatim,
            dirty: false,
            waiting: true,
            feedback: params.feedback,
            ssrc: draws.ssrc,
            header: HeaderTemplate::new(&params.extensions, params.mid.as_deref(), mixed)?,
            payload_types: SmallVec::from_slice(&params.payload_types),
            redundancy: params.redundancy,
            rtx,
            current: None,
            target: None,
            taps: Vec::new(),
            piped: vec![],
            news: None,
            selector: Selector::default(),
            // Numbers start in the lower half, as RFC 3711 section 3.3.1 advises.
            reference: None,
            rewriting: Rewriting::new(draws.sequence & 0x7fff, limits.numbering_segments),
            preferred_spatial: None,
            preferred_temporal: None,
            resends: None,
            abandoned: None,
            longing: None,
            hushed_until_us: 0,
            renewed: None,
            entered: 0,
            counters: OutboundStreamStats::default(),
            remote: RemoteInboundStats::default(),
            watch: None,
            score: 10,
            report_packets: 0,
            report_bytes: 0,
            reported: false,
        })
    }

    /// All its SSRCs.
    pub(crate) fn ssrcs(&self) -> impl Iterator<Item = u32> + '_ {
        let own = (!self.verbatim).then_some(self.ssrc);
        let taps = self.taps.iter().map(|tap| tap.ssrc);
        own.into_iter()
            .chain(self.rtx.as_ref().map(|rtx| rtx.ssrc))
            .chain(taps)
    }

    /// Whether its packets carry the transport-wide sequence number.
    pub(crate) fn has_transport_sequence(&self) -> bool {
        !self.verbatim && self.header.has_sequence()
    }

    /// Forgets its source; the numbering stays.
    pub(crate) fn detach(&mut self) {
        self.producer = None;
        self.allotment.forget();
        self.current = None;
        self.target = None;
        self.waiting = true;
        self.taps.clear();
        self.piped.clear();
        self.longing = None;
        if let Some(resends) = &mut self.resends {
            resends.clear();
        }
    }

    /// Begins anew at the live end of its streams.
    pub(crate) fn restart(&mut self, streams: &Slab<Stream>) {
        self.waiting = true;
        self.longing = None;
        for tap in self
            .current
            .iter_mut()
            .chain(&mut self.target)
            .chain(&mut self.taps)
        {
            if let Some(stream) = streams.get(tap.stream as usize)
                && tap.cursor != Tap::OFF
            {
                tap.cursor = stream.history.head();
            }
        }
        if let Some(resends) = &mut self.resends {
            resends.clear();
        }
    }

    /// The most it may be given, by command and by what its line carries; `simulcast`: its source
    /// has several encodings.
    pub(crate) fn most(&self, simulcast: bool) -> Most {
        let lower = |preferred: Option<u8>, allotted: Option<u8>| match (preferred, allotted) {
            (Some(preferred), Some(allotted)) => Some(preferred.min(allotted)),
            (preferred, allotted) => preferred.or(allotted),
        };
        let target = self.allotment.target;
        let preferred = self.preferred_spatial;
        Most {
            encoding: lower(
                preferred.filter(|_| simulcast),
                target.map(|target| target.encoding),
            ),
            spatial: lower(
                preferred.filter(|_| !simulcast),
                target.map(|target| target.spatial),
            ),
            temporal: lower(
                self.preferred_temporal,
                target.map(|target| target.temporal),
            ),
        }
    }

    /// Goes on at a position of a stream, if that lies ahead.
    pub(crate) fn skip_to(&mut self, at: u32, position: u64) {
        for tap in self.current.iter_mut().chain(&mut self.target) {
            if tap.stream == at && tap.cursor < position {
                tap.cursor = position;
                self.waiting = true;
            }
        }
    }

    /// Reads a word of each line that sending a packet reads, so that they are in the caches then.
    #[inline]
    pub(crate) fn touch(&self) -> u64 {
        u64::from(self.paused)
            ^ u64::from(self.longing.is_some())
            ^ self.rewriting.touch()
            ^ self.counters.packets_sent
            ^ self.header.touch()
            ^ u64::from(self.selector.frame())
    }

    /// Its figures; `current` is the encoding it forwards.
    pub(crate) fn stats(&self, current: Option<u8>) -> ConsumerStats {
        ConsumerStats {
            id: self.id,
            kind: self.kind,
            outbound: OutboundStreamStats {
                ssrc: self.ssrc,
                rtx_ssrc: self.rtx.as_ref().map(|rtx| rtx.ssrc),
                ..self.counters.clone()
            },
            remote: self.remote.clone(),
            score: self.score,
            layers: ConsumerLayerStats {
                target_spatial: self.allotment.told.0,
                target_temporal: self.allotment.told.1,
                current_spatial: current,
                current_temporal: self.most(true).temporal.filter(|most| *most < ALL_TEMPORAL),
            },
            paused: match self.allotment.gate {
                _ if self.allotment.paused_by_command => Some(PauseReason::Command),
                Gate::Starved => Some(PauseReason::Bandwidth),
                Gate::Open | Gate::Undecided => None,
            },
            fraction_missing: self.watch.as_ref().map_or(0.0, |watch| watch.loss),
            quality: self.watch.as_ref().and_then(|watch| watch.gauge.quality()),
        }
    }
}

/// Only audio has a past that is small enough to go along.
fn check_redundancy(params: &ConsumerParams) -> Result<(), SfuError> {
    let Some(asked) = params.redundancy else {
        return Ok(());
    };
    if params.kind != MediaKind::Audio || params.verbatim {
        return Err(SfuError::Kind);
    }
    check_payload_types(&[(asked.payload_type, asked.protects)])?;
    if asked.blocks == 0 || usize::from(asked.blocks) > MOST_BLOCKS {
        return Err(SfuError::Range("redundant blocks"));
    }
    Ok(())
}

fn check_payload_types(pairs: &[(u8, u8)]) -> Result<(), SfuError> {
    if pairs.iter().any(|(from, to)| *from > 127 || *to > 127) {
        return Err(SfuError::Range("payload type"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::mem::offset_of;

    use super::{Consumer, HeaderTemplate, Rewriting, Selector};

    /// Cache lines of the fields between these offsets.
    fn lines(fields: &[(usize, usize)]) -> BTreeSet<usize> {
        let lines = fields
            .iter()
            .map(|(start, end)| start / 64..=(end - 1) / 64);
        lines.flatten().collect()
    }

    #[test]
    fn what_a_packet_reads_and_writes_lies_in_six_lines() {
        let within = |start: usize, (from, to): (usize, usize)| (start + from, start + to);
        let audio = [
            (0, offset_of!(Consumer, id)),
            within(offset_of!(Consumer, rewriting), Rewriting::HOT),
            (
                offset_of!(Consumer, report_packets),
                offset_of!(Consumer, counters) + 32,
            ),
            within(offset_of!(Consumer, header), HeaderTemplate::HOT),
            (
                offset_of!(Consumer, payload_types),
                offset_of!(Consumer, selector),
            ),
        ];
        assert_eq!(lines(&audio).len(), 6, "{:?}", lines(&audio));
        let selector = within(offset_of!(Consumer, selector), Selector::HOT);
        let video = [&audio[..], &[selector]].concat();
        assert_eq!(lines(&video).len(), 6, "{:?}", lines(&video));
    }
}
