//! Commands about feeds: transports whose far end is a thread that has units, of an encoder for one.
//!
//! A feed only has producers; each is a line of an outlet, which packs units and hands them over as batches of packets.
//! Encoders make no keyframes when asked, so nothing is asked of them; who codes a track of theirs anew does.

use std::sync::Weak;

use roomtone_rtp::{Codec, MediaKind};
use roomtone_sfu::{CodecParams, EncodingParams, FeedbackKinds, ProducerParams, TransportParams};

use super::Shard;
use super::commands::{Answered, DONE};
use super::objects::{Carrier, Object};
use crate::failure::Failure;
use crate::feed::{Line, Outlet};
use crate::ids;
use crate::values::{CloseReason, CodecParameters, CommandResult};

/// The shard's end of a feed.
#[derive(Default)]
pub(crate) struct FeedEnd {
    /// By producer, what feeds it.
    lines: Vec<(u64, Weak<Outlet>)>,
}

impl FeedEnd {
    /// A producer is gone.
    pub(super) fn let_go(&mut self, producer: u64) {
        self.lines.retain(|(id, outlet)| {
            if *id == producer
                && let Some(outlet) = outlet.upgrade()
            {
                outlet.detach(producer);
            }
            *id != producer
        });
    }

    /// All producers are.
    pub(super) fn let_all_go(&self) {
        for (producer, outlet) in &self.lines {
            if let Some(outlet) = outlet.upgrade() {
                outlet.detach(*producer);
            }
        }
    }
}

impl Shard {
    pub(super) fn open_feed(&mut self, router: u64) -> Answered {
        let router = self.router(router)?;
        self.admit_transport()?;
        let id = ids::allocate(self.index);
        let carrier = Carrier::Feed(Box::default());
        let params = TransportParams {
            unlimited: true,
            ..TransportParams::default()
        };
        self.insert_transport(id, router, carrier, params)
            .inspect_err(|_| self.retract_transport())?;
        Ok(Some(CommandResult::FeedOpened { feed: id }))
    }

    pub(super) fn add_feed_track(
        &mut self,
        feed: u64,
        track: u64,
        codec: &CodecParameters,
    ) -> Answered {
        let slot = self.feed_slot(feed)?;
        let outlet = self.shared.outlets.find(track);
        let outlet = outlet.ok_or_else(|| Failure::not_found("track", track))?;
        if codec.payload_type > 127 {
            return Err(Failure::invalid("the payload type is above 127"));
        }
        let ssrc = self.draw_ssrc();
        let producer = self.add_producer(slot, fed(codec, &outlet, ssrc))?;
        let shard = self.handles[self.index].clone();
        let line = Line::new(producer, feed, ssrc, codec.payload_type, shard);
        if let Err(failure) = outlet.attach(line, self.now) {
            self.close_producer(producer)?;
            return Err(failure);
        }
        if let Carrier::Feed(end) = &mut self.transports[slot].carrier {
            end.lines
                .push((producer, std::sync::Arc::downgrade(&outlet)));
        }
        Ok(Some(CommandResult::Produced { producer }))
    }

    /// A keyframe was asked for; of a producer that is none of a feed that has gone another way.
    pub(super) fn ask_feed(&self, producer: u64) {
        let Ok(entry) = self.producer(producer) else {
            return;
        };
        if let Carrier::Feed(end) = &self.transports[entry.transport].carrier
            && let Some((_, outlet)) = end.lines.iter().find(|(id, _)| *id == producer)
            && let Some(outlet) = outlet.upgrade()
        {
            outlet.ask_keyframe();
        }
    }

    pub(super) fn close_feed(&mut self, feed: u64) -> Answered {
        let slot = self.feed_slot(feed)?;
        self.close_transport(slot, CloseReason::Requested, String::new());
        DONE
    }

    fn feed_slot(&self, id: u64) -> Result<usize, Failure> {
        match self.objects.get(&id) {
            Some(Object::Transport(slot))
                if matches!(self.transports[*slot].carrier, Carrier::Feed(_)) =>
            {
                Ok(*slot)
            }
            _ => Err(Failure::not_found("feed", id)),
        }
    }
}

/// The producer that a track becomes.
fn fed(codec: &CodecParameters, outlet: &Outlet, ssrc: u32) -> ProducerParams {
    ProducerParams {
        kind: if outlet.is_video {
            MediaKind::Video
        } else {
            MediaKind::Audio
        },
        mid: None,
        codecs: vec![CodecParams {
            payload_type: codec.payload_type,
            codec: Codec::from_name(&codec.name),
            clock_rate: codec.clock_rate,
            channels: if outlet.is_video { 0 } else { codec.channels },
            rtx_payload_type: None,
            feedback: FeedbackKinds {
                pli: outlet.is_video && outlet.promised,
                ..FeedbackKinds::default()
            },
        }],
        encodings: vec![EncodingParams {
            ssrc: Some(ssrc),
            rid: None,
            rtx_ssrc: None,
        }],
        extensions: Vec::new(),
        paused: false,
    }
}
