//! Data channels: commands about them, and what peers open.

use roomtone_webrtc::{ChannelId, ChannelParameters, Reliability};

use super::Shard;
use super::commands::{Answered, DONE};
use super::objects::{Carrier, Object, Peer};
use crate::failure::Failure;
use crate::ids;
use crate::values::{Command, CommandResult, Event};

impl Shard {
    pub(super) fn open_channel(&mut self, command: Command) -> Answered {
        let Command::OpenChannel {
            transport,
            label,
            protocol,
            ordered,
            max_retransmits,
            max_lifetime_ms,
            stream,
        } = command
        else {
            return Err(Failure::invalid("not an open channel command"));
        };
        let reliability = match (max_retransmits, max_lifetime_ms) {
            (None, None) => Reliability::Reliable,
            (Some(count), None) => Reliability::MaxRetransmits(count),
            (None, Some(ms)) => Reliability::MaxLifetimeMs(ms),
            (Some(_), Some(_)) => {
                return Err(Failure::invalid("max_retransmits excludes max_lifetime_ms"));
            }
        };
        let (now, id) = (self.now, ids::allocate(self.index));
        let (slot, peer) = self.peer(transport)?;
        if !peer.sctp {
            return Err(Failure::wrong_state(
                "the transport was opened without data channels",
            ));
        }
        let parameters = ChannelParameters {
            label,
            protocol,
            ordered,
            reliability,
            negotiated: stream,
        };
        let stream = peer.transport.open_channel(parameters, now)?;
        peer.channels.insert(stream, id);
        self.insert_object(id, Object::Channel(slot, stream, false));
        self.touch_transport(slot);
        Ok(Some(CommandResult::ChannelOpening { channel: id }))
    }

    fn channel(&mut self, id: u64) -> Result<(usize, ChannelId, bool, &mut Peer), Failure> {
        let Some(Object::Channel(slot, stream, open)) = self.objects.get(&id) else {
            return Err(Failure::not_found("data channel", id));
        };
        let (slot, stream, open) = (*slot, *stream, *open);
        match &mut self.transports[slot].carrier {
            Carrier::WebRtc(peer) => Ok((slot, stream, open, peer)),
            _ => Err(Failure::not_found("data channel", id)),
        }
    }

    pub(super) fn send_message(&mut self, id: u64, data: &[u8], text: bool) -> Answered {
        let now = self.now;
        let (slot, stream, open, peer) = self.channel(id)?;
        if !open {
            return Err(Failure::wrong_state("the channel is not open"));
        }
        peer.transport.send_message(stream, !text, data, now)?;
        self.touch_transport(slot);
        DONE
    }

    pub(super) fn close_channel(&mut self, id: u64) -> Answered {
        self.channel(id)?;
        self.close_channel_of(id);
        DONE
    }

    /// Closes a channel and tells; nothing happens when it is gone.
    pub(super) fn close_channel_of(&mut self, id: u64) {
        let now = self.now;
        let Ok((slot, stream, _, peer)) = self.channel(id) else {
            return;
        };
        // A channel of an association that is gone is closed already.
        let _ = peer.transport.close_channel(stream, now);
        peer.channels.remove(&stream);
        self.remove_object(id);
        self.events.push(Event::ChannelClosed { channel: id });
        self.touch_transport(slot);
    }

    pub(super) fn on_channel_opened(
        &mut self,
        slot: usize,
        stream: ChannelId,
        parameters: ChannelParameters,
    ) {
        let transport = self.transports[slot].id;
        let Carrier::WebRtc(peer) = &mut self.transports[slot].carrier else {
            return;
        };
        let channel = *peer
            .channels
            .entry(stream)
            .or_insert_with(|| ids::allocate(self.index));
        if self.objects.contains_key(&channel) {
            self.remove_object(channel);
        }
        self.insert_object(channel, Object::Channel(slot, stream, true));
        let (label, protocol) = (parameters.label, parameters.protocol);
        self.events.push(Event::ChannelOpened {
            transport,
            channel,
            label,
            protocol,
        });
    }
}
