//! How objects end: closing by command, with their parent, or after a panic.

use std::sync::atomic::Ordering;

use roomtone_sfu::{ConsumerId, ProducerId, TransportId};
use roomtone_srtp::Sealer;

use super::objects::{Carrier, Object};
use super::{Control, Panicked, Shard, guard};
use crate::audio::Message;
use crate::counters::{Counter, Counters};
use crate::live;
use crate::values::{CloseReason, Event};

impl Shard {
    /// Ends a transport with its producers and consumers, and tells.
    pub(super) fn close_transport(&mut self, slot: usize, reason: CloseReason, detail: String) {
        self.end_transport(slot, reason, detail, true);
    }

    /// As `close_transport`; nothing is sent and nothing of the broken state is used.
    pub(super) fn transport_panicked(&mut self, slot: usize) {
        self.counters.peers_panicked.up();
        let detail = "a defect was met while serving this peer".to_owned();
        self.end_transport(slot, CloseReason::PeerPanicked, detail, false);
    }

    fn end_transport(&mut self, slot: usize, reason: CloseReason, detail: String, farewell: bool) {
        let Some(entry) = self.transports.get(slot) else {
            return;
        };
        let (id, router) = (entry.id, entry.router);
        // Nothing may wait for a socket that is closed with its transport.
        self.send_mail();
        self.end_streams(slot);
        self.leave_router(slot, farewell);
        let entry = self.transports.remove(slot);
        self.remove_object(id);
        if let Some(entry) = self.routers.get_mut(router) {
            entry.transports.retain(|other| *other != slot);
        }
        match entry.carrier {
            Carrier::WebRtc(mut peer) => {
                if farewell {
                    self.say_goodbye(&mut peer);
                }
                self.forget_peer(slot, &peer);
            }
            Carrier::Plain(mut plain) => {
                if farewell {
                    let (now, counters) = (self.now, &self.counters);
                    let _ = guard(|| plain.close_dtls(now, counters));
                }
            }
            Carrier::Pipe(end) => {
                self.unlink_pipe(id, &end);
                return;
            }
            Carrier::Mixer(end) => {
                self.audio[end.thread].tell(Message::Close { mixer: id });
                self.end_opened(router, Event::MixerClosed { mixer: id, reason });
                return;
            }
            Carrier::Feed(end) => end.let_all_go(),
            Carrier::Packager(end) => {
                self.live.tell(live::Message::Close { packager: id });
                self.live.release(&end.name);
                self.end_opened(
                    router,
                    Event::PackagerEnded {
                        packager: id,
                        reason,
                    },
                );
                return;
            }
        }
        let told = Event::TransportClosed {
            transport: id,
            reason,
            detail,
        };
        self.end_opened(router, told);
    }

    /// Something that a command opened on the router in `router` is gone.
    fn end_opened(&mut self, router: usize, told: Event) {
        self.shared.transports.fetch_sub(1, Ordering::Relaxed);
        self.counters.transports.down();
        self.shared.loads[self.index].fetch_sub(1, Ordering::Relaxed);
        if !self.is_quiet(router) {
            self.events.push(told);
        }
    }

    /// Whether nothing of what goes with the router in this slot is told.
    fn is_quiet(&self, router: usize) -> bool {
        self.routers.get(router).is_some_and(|entry| entry.quiet)
    }

    /// Removes producers and consumers from the tables; the router forgets them with the transport.
    fn end_streams(&mut self, slot: usize) {
        let entry = &mut self.transports[slot];
        let consumers = std::mem::take(&mut entry.consumers);
        let producers = std::mem::take(&mut entry.producers);
        let piped = matches!(entry.carrier, Carrier::Pipe(_));
        let router = entry.router;
        let quiet = self.is_quiet(router);
        for producer in producers {
            self.forget_producer(producer);
            if !quiet {
                self.events.push(Event::ProducerClosed {
                    producer,
                    reason: CloseReason::ParentClosed,
                });
            }
        }
        for consumer in consumers {
            if self.remove_object(consumer).is_some() && !piped && !quiet {
                self.events.push(Event::ConsumerClosed {
                    consumer,
                    reason: CloseReason::ParentClosed,
                });
            }
        }
    }

    fn leave_router(&mut self, slot: usize, farewell: bool) {
        let now = self.now;
        let (entry, id) = self.router_of(slot);
        let goodbye = guard(|| entry.router.close_transport(id, now));
        let router = self.transports[slot].router;
        match goodbye {
            Ok(Ok(Some(rtcp))) if farewell => self.send_goodbye(slot, &rtcp),
            Ok(_) => {}
            Err(Panicked) => {
                // The router itself is broken: it goes, with all it holds, once this transport is out of the way.
                self.routers[router]
                    .transports
                    .retain(|other| *other != slot);
                self.router_panicked(router);
                return;
            }
        }
        self.touch_router(router);
    }

    /// A router met a defect: everything in it ends.
    pub(super) fn router_panicked(&mut self, slot: usize) {
        let Some(entry) = self.routers.get_mut(slot) else {
            return;
        };
        let fresh =
            roomtone_sfu::Router::new(roomtone_sfu::RouterConfig::default(), self.shared.clock, 0);
        // Its state cannot be trusted: an empty router takes its place while the transports are taken out.
        entry.router = fresh;
        for transport in std::mem::take(&mut entry.transports) {
            self.transport_panicked(transport);
        }
        self.close_router(slot, CloseReason::RouterPanicked);
    }

    /// Ends a router with all it holds, and tells.
    pub(super) fn close_router(&mut self, slot: usize, reason: CloseReason) {
        let Some(entry) = self.routers.get_mut(slot) else {
            return;
        };
        for transport in std::mem::take(&mut entry.transports) {
            self.close_transport(transport, CloseReason::ParentClosed, String::new());
        }
        let entry = self.routers.remove(slot);
        self.remove_object(entry.id);
        for observer in entry.observers {
            self.remove_object(observer);
        }
        self.shared.loads[self.index].fetch_sub(1, Ordering::Relaxed);
        if !entry.quiet {
            self.events.push(Event::RouterClosed {
                router: entry.id,
                reason,
            });
        }
    }

    /// Ends a producer by command.
    pub(super) fn close_producer(&mut self, id: u64) -> Result<(), crate::failure::Failure> {
        let slot = self.producer(id)?.transport;
        let now = self.now;
        let (entry, _) = self.router_of(slot);
        let streams = entry.router.producer_dump(ProducerId(id))?.streams;
        entry.router.close_producer(ProducerId(id), now)?;
        let ssrcs = streams
            .iter()
            .flat_map(|stream| stream.ssrc.into_iter().chain(stream.rtx_ssrc));
        for ssrc in ssrcs {
            match &mut self.transports[slot].carrier {
                Carrier::WebRtc(peer) => peer.transport.forget_inbound(ssrc),
                Carrier::Plain(plain) => {
                    plain
                        .opener
                        .iter_mut()
                        .for_each(|opener| opener.forget(ssrc));
                }
                Carrier::Pipe(_) | Carrier::Mixer(_) | Carrier::Packager(_) | Carrier::Feed(_) => {}
            }
        }
        let router = self.transports[slot].router;
        self.touch_router(router);
        self.tell_mixer(slot, |mixer| Message::RemoveOutput { mixer, output: id });
        if let Carrier::Feed(end) = &mut self.transports[slot].carrier {
            end.let_go(id);
        }
        self.transports[slot].producers.retain(|other| *other != id);
        self.forget_producer(id);
        if matches!(self.transports[slot].carrier, Carrier::Pipe(_)) {
            self.end_transport(slot, CloseReason::Requested, String::new(), false);
        }
        Ok(())
    }

    /// Takes a producer out of the table and ends the pipes that carry it.
    fn forget_producer(&mut self, id: u64) {
        let Some(Object::Producer(entry)) = self.remove_object(id) else {
            return;
        };
        for pipe in entry.pipes {
            if let Some(Object::Transport(slot)) = self.objects.get(&pipe) {
                self.end_transport(*slot, CloseReason::ParentClosed, String::new(), false);
            }
        }
    }

    /// Ends a consumer by command.
    pub(super) fn close_consumer(&mut self, id: u64) -> Result<(), crate::failure::Failure> {
        let slot = self.consumer(id)?;
        let now = self.now;
        let (entry, _) = self.router_of(slot);
        entry.router.close_consumer(ConsumerId(id), now)?;
        let router = self.transports[slot].router;
        self.touch_router(router);
        self.transports[slot].consumers.retain(|other| *other != id);
        self.tell_mixer(slot, |mixer| Message::RemoveInput { mixer, input: id });
        let Some(Object::Consumer(entry)) = self.remove_object(id) else {
            return Ok(());
        };
        for ssrc in entry.drawn_ssrcs {
            match &mut self.transports[slot].carrier {
                Carrier::WebRtc(peer) => peer.transport.forget_outbound(ssrc),
                Carrier::Plain(plain) => {
                    plain
                        .sealer
                        .iter_mut()
                        .for_each(|sealer| sealer.forget(ssrc));
                }
                Carrier::Pipe(_) | Carrier::Mixer(_) | Carrier::Packager(_) | Carrier::Feed(_) => {}
            }
        }
        Ok(())
    }

    /// Tells the router whether packets for a transport can go out.
    pub(super) fn update_writable(&mut self, slot: usize) {
        let now = self.now;
        let entry = &mut self.transports[slot];
        let writable = match &entry.carrier {
            Carrier::WebRtc(peer) => peer.transport.is_writable(),
            Carrier::Plain(plain) => plain.can_send(),
            Carrier::Pipe(_) | Carrier::Mixer(_) | Carrier::Packager(_) | Carrier::Feed(_) => true,
        };
        if entry.writable != writable {
            entry.writable = writable;
            let (id, router) = (TransportId(entry.id), entry.router);
            self.update_repeats(slot);
            let _ = self.routers[router].router.set_writable(id, writable, now);
            self.touch_router(router);
        }
    }

    /// Tells the router whether a packet may leave again as it was: the cipher in use says so.
    pub(super) fn update_repeats(&mut self, slot: usize) {
        let entry = &self.transports[slot];
        let profile = match &entry.carrier {
            Carrier::WebRtc(peer) => peer.transport.srtp_profile(),
            Carrier::Plain(plain) => plain.sealer.as_ref().map(Sealer::profile),
            Carrier::Pipe(_) | Carrier::Mixer(_) | Carrier::Packager(_) | Carrier::Feed(_) => None,
        };
        let (id, router) = (TransportId(entry.id), entry.router);
        let repeats = profile.is_none_or(|profile| !profile.is_aead());
        let _ = self.routers[router].router.set_repeats(id, repeats);
    }

    /// Enters an object into the table.
    pub(super) fn insert_object(&mut self, id: u64, object: Object) {
        if let Some(counter) = live_counter(&self.counters, &object) {
            counter.up();
        }
        self.objects.insert(id, object);
    }

    /// Takes an object out of the table.
    pub(super) fn remove_object(&mut self, id: u64) -> Option<Object> {
        let object = self.objects.remove(&id)?;
        if let Some(counter) = live_counter(&self.counters, &object) {
            counter.down();
        }
        Some(object)
    }

    /// Ends everything; the thread ends after it.
    pub(super) fn shut_down(&mut self) {
        // Requests that came too late are answered, so that nobody waits for them.
        while let Some(request) = self.inbox.next_request() {
            self.refuse_closed(request.id);
        }
        let slots: Vec<usize> = self.routers.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let Some(entry) = self.routers.get_mut(slot) else {
                continue;
            };
            for transport in std::mem::take(&mut entry.transports) {
                self.close_transport(transport, CloseReason::EngineClosed, String::new());
            }
            self.close_router(slot, CloseReason::EngineClosed);
        }
        self.flush_events();
    }

    /// Tells the far end of a pipe that this end is gone.
    pub(super) fn tell_far_end(&self, shard: usize, transport: u64) {
        if let Some(handle) = self.handles.get(shard) {
            handle.control(Control::PipeClosed { transport });
        }
    }
}

fn live_counter<'a>(counters: &'a Counters, object: &Object) -> Option<&'a Counter> {
    match object {
        Object::Router(_) => Some(&counters.routers),
        Object::Producer(_) => Some(&counters.producers),
        Object::Consumer(..) => Some(&counters.consumers),
        Object::Channel(..) => Some(&counters.channels),
        // Pipes are transports too, but nobody opened them.
        Object::Transport(_) | Object::Observer(..) => None,
    }
}
