//! One media thread: a poller, its sockets, timers, routers and transports.
//!
//! A turn of the loop waits for descriptors or the next deadline, takes commands and datagrams in, runs what is due,
//! and then looks after every object that was touched: own datagrams and events of transports, bursts and events of
//! routers. Nothing here is shared with another thread but the inbox, the outbox and counters.

mod ahead;
mod channels;
mod commands;
mod dial;
mod egress;
mod feeding;
mod gather;
mod inbox;
mod ingress;
mod lane;
mod latch;
mod lifetime;
mod line_events;
mod mail;
mod mixing;
mod objects;
mod observers;
mod packaging;
mod pipe;
mod plain;
mod plain_dtls;
mod plain_ingress;
mod reports;
mod site;
mod standing_by;
mod stats;
mod stream;
mod streams;
mod together;
mod translate;
mod webrtc;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use roomtone_sfu::{RouterEvent, TransportId};
use roomtone_webrtc::{Candidate, Certificate, MAX_TRANSMIT_LEN, Protocol};
use rustc_hash::FxHashMap;
use slab::Slab;

use crate::audio::AudioHandle;
use crate::bind::{Listener, PlainPorts};
use crate::counters::Counters;
use crate::feed::Outlets;
use crate::live::LiveHandle;
use crate::outbox::Outbox;
use crate::sys::{Datagrams, Epoll, Ready};
use crate::timers::Timers;
use crate::values::{CloseReason, EngineConfig, Event};

use gather::Gather;
pub(crate) use inbox::{Batch, BatchPool, Control, Inbox, ShardHandle, inbox};
use mail::Mail;
use objects::{Carrier, Object, Port, RouterEntry, TimerKey, Token, TransportEntry};
use stream::Connection;

/// Requests done in one turn, so that media never waits long behind them.
const REQUESTS_A_TURN: usize = 64;
/// Bytes read from a connection at once.
const STREAM_INPUT: usize = 64 * 1024;

/// What all shards share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: EngineConfig,
    pub(crate) outbox: Outbox,
    pub(crate) certificate: Arc<Certificate>,
    /// Transports open in the whole engine, pipes not counted.
    pub(crate) transports: AtomicUsize,
    /// Objects on each shard, to find the least loaded.
    pub(crate) loads: Vec<AtomicUsize>,
    pub(crate) clock: roomtone_sfu::WallClock,
    /// What routers can be fed.
    pub(crate) outlets: Outlets,
}

/// A defect was met; the thread goes on.
pub(crate) struct Panicked;

/// Runs what serves one peer; a panic costs this peer only.
pub(crate) fn guard<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    // The state of the one object that panicked is closed by the caller; nothing else was touched.
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

/// One media thread's state.
pub(crate) struct Shard {
    index: usize,
    shared: Arc<Shared>,
    handles: Vec<ShardHandle>,
    /// Audio threads.
    audio: Vec<AudioHandle>,
    /// The live thread.
    live: LiveHandle,
    inbox: Inbox,
    counters: Arc<Counters>,
    poller: Epoll,
    listeners: Vec<Listener>,
    candidates: Vec<Candidate>,
    plain_ports: PlainPorts,
    objects: FxHashMap<u64, Object>,
    routers: Slab<RouterEntry>,
    transports: Slab<TransportEntry>,
    connections: Slab<Connection>,
    /// Connections that have not shown whose they are.
    strangers: usize,
    /// Slot of the connection between two addresses, ours first.
    connection_of: FxHashMap<(std::net::SocketAddr, std::net::SocketAddr), usize>,
    /// Slot of the transport a user fragment names.
    ufrags: FxHashMap<String, usize>,
    /// Slot of the transport that an address belongs to, since a check from there was authenticated.
    addresses: FxHashMap<(Protocol, std::net::SocketAddr), usize>,
    timers: Timers<TimerKey>,
    gather: Gather,
    dirty_routers: Vec<usize>,
    dirty_transports: Vec<usize>,
    events: Vec<Event>,
    /// Absent only while datagrams are taken from it.
    datagrams: Option<Datagrams>,
    /// Absent only while a burst is gathered in it.
    mail: Option<Mail>,
    transmit: Box<[u8]>,
    stream_input: Option<Box<[u8]>>,
    now: Instant,
    seed: u64,
    running: bool,
}

/// What a shard is made of.
pub(crate) struct ShardParts {
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) handles: Vec<ShardHandle>,
    pub(crate) audio: Vec<AudioHandle>,
    pub(crate) live: LiveHandle,
    pub(crate) inbox: Inbox,
    pub(crate) counters: Arc<Counters>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) seed: u64,
}

impl Shard {
    /// To be called on the thread that runs it.
    pub(crate) fn new(parts: ShardParts) -> std::io::Result<Self> {
        let poller = Epoll::new()?;
        poller.add(parts.inbox.fd(), Token::Inbox.into())?;
        for (slot, listener) in parts.listeners.iter().enumerate() {
            if let Some((socket, _)) = &listener.udp {
                poller.add(socket, Token::Udp(slot).into())?;
            }
            if let Some((socket, _)) = &listener.tcp {
                poller.add(socket, Token::Listener(slot).into())?;
            }
        }
        let config = &parts.shared.config;
        let gather = Gather::new(
            Duration::from_micros(config.gather_delay_us),
            Instant::now(),
        );
        let plain_ports = PlainPorts::new(config.plain_ports, parts.index, config.shards);
        Ok(Self {
            index: parts.index,
            handles: parts.handles,
            audio: parts.audio,
            live: parts.live,
            inbox: parts.inbox,
            counters: parts.counters,
            poller,
            listeners: parts.listeners,
            candidates: parts.candidates,
            plain_ports,
            objects: FxHashMap::default(),
            routers: Slab::new(),
            transports: Slab::new(),
            connections: Slab::new(),
            strangers: 0,
            connection_of: FxHashMap::default(),
            ufrags: FxHashMap::default(),
            addresses: FxHashMap::default(),
            timers: Timers::new(),
            gather,
            dirty_routers: Vec::new(),
            dirty_transports: Vec::new(),
            events: Vec::new(),
            datagrams: Some(Datagrams::new()),
            mail: Some(Mail::new()),
            transmit: vec![0; MAX_TRANSMIT_LEN].into_boxed_slice(),
            stream_input: Some(vec![0; STREAM_INPUT].into_boxed_slice()),
            now: Instant::now(),
            seed: parts.seed,
            running: true,
            shared: parts.shared,
        })
    }

    /// The loop; ends after a shutdown message.
    pub(crate) fn run(&mut self) {
        let mut ready = Vec::new();
        let mut began = self.now;
        while self.running {
            let next = self.next_timer().map(|(at, _)| at);
            self.rest(began, next);
            let timeout = next.map(|at| at.saturating_duration_since(Instant::now()));
            ready.clear();
            if self.poller.wait(timeout, &mut ready).is_err() {
                // Only a wrong descriptor can cause this, and then nothing can go on here.
                break;
            }
            began = Instant::now();
            self.now = began;
            self.counters.turns.up();
            self.serve(&ready);
            self.run_timers();
            self.settle();
        }
        self.shut_down();
    }

    /// Lets datagrams gather after a turn, where many come.
    fn rest(&mut self, began: Instant, next: Option<Instant>) {
        if let Some(rest) = self.gather.rest(began, Instant::now(), next) {
            self.counters.rests.up();
            std::thread::sleep(rest);
        }
    }

    fn on_ready(&mut self, ready: Ready) {
        match Token::from_u64(ready.token) {
            Some(Token::Inbox) => self.on_inbox(),
            Some(Token::Udp(slot)) => self.read_listener(slot),
            Some(Token::Listener(slot)) => self.accept(slot),
            Some(Token::Connection(slot)) => {
                self.on_connection(slot, ready.readable, ready.writable);
            }
            Some(Token::PlainRtp(slot)) => self.read_plain(slot, Port::Rtp),
            Some(Token::PlainRtcp(slot)) => self.read_plain(slot, Port::Rtcp),
            Some(Token::PlainLane(slot)) => self.read_plain(slot, Port::Lane),
            None => {}
        }
    }

    fn on_inbox(&mut self) {
        self.inbox.rearm();
        while let Ok(message) = self.inbox.control.try_recv() {
            self.on_control(message);
        }
        let waiting = self.inbox.waiting() as u64;
        if waiting > self.counters.command_queue_peak.get() {
            self.counters.command_queue_peak.set(waiting);
        }
        for _ in 0..REQUESTS_A_TURN {
            let Some(request) = self.inbox.next_request() else {
                break;
            };
            self.on_request(request);
        }
        while let Ok(batch) = self.inbox.batches.try_recv() {
            self.on_batch(batch);
        }
        if self.inbox.waiting() > 0 {
            self.handles[self.index].wake();
        }
    }

    fn on_control(&mut self, message: Control) {
        match message {
            Control::OpenPipe(pipe) => self.on_open_pipe(*pipe),
            Control::PipeClosed { transport } => self.on_pipe_closed(transport),
            Control::EncodingsWanted { transport, wanted } => {
                self.on_encodings_wanted(transport, &wanted);
            }
            Control::Adopt { stream, bytes } => self.adopt_connection(stream, &bytes),
            Control::MixerBroken { mixer } => self.on_mixer_broken(mixer),
            Control::PackagerBroken { packager } => self.on_packager_broken(packager),
            Control::PackagerSwitched {
                packager,
                track,
                ssrc,
            } => self.on_packager_switched(packager, track, ssrc),
            Control::SourceEnded { mixer, source } => self.on_source_ended(mixer, source),
            Control::Shutdown => self.running = false,
            #[cfg(test)]
            Control::PanicAt(id) => match self.objects.get(&id) {
                Some(Object::Transport(slot)) => self.transports[*slot].panics = true,
                Some(Object::Router(slot)) => {
                    let slot = *slot;
                    self.routers[slot].panics = true;
                    self.touch_router(slot);
                }
                _ => {}
            },
        }
    }

    /// The timer that fires next.
    fn next_timer(&mut self) -> Option<(Instant, TimerKey)> {
        while let Some((at, key)) = self.timers.first() {
            let armed = match key {
                TimerKey::Router(slot) => self.routers.get_mut(slot).map(|one| &mut one.armed),
                TimerKey::Transport(slot) => {
                    self.transports.get_mut(slot).map(|one| &mut one.armed)
                }
                TimerKey::Connection(slot) => {
                    self.connections.get_mut(slot).map(|one| &mut one.armed)
                }
            };
            if self.timers.stands(armed) {
                return Some((at, key));
            }
        }
        None
    }

    fn run_timers(&mut self) {
        while let Some((_, key)) = self.next_timer().filter(|(at, _)| *at <= self.now) {
            match key {
                TimerKey::Router(slot) => self.on_router_timer(slot),
                TimerKey::Transport(slot) => self.on_transport_timer(slot),
                TimerKey::Connection(slot) => self.on_connection_timer(slot),
            }
        }
    }

    fn on_router_timer(&mut self, slot: usize) {
        let Some(entry) = self.routers.get_mut(slot) else {
            return;
        };
        self.timers.fire(Some(&mut entry.armed));
        self.counters.timers.up();
        let now = self.now;
        if guard(|| entry.router.handle_timeout(now)).is_err() {
            self.router_panicked(slot);
            return;
        }
        self.touch_router(slot);
    }

    fn on_transport_timer(&mut self, slot: usize) {
        let now = self.now;
        let Some(entry) = self.transports.get_mut(slot) else {
            return;
        };
        self.timers.fire(Some(&mut entry.armed));
        self.counters.timers.up();
        let peer = match &mut entry.carrier {
            Carrier::WebRtc(peer) => peer,
            Carrier::Plain(_) => return self.on_plain_timer(slot),
            Carrier::Pipe(_) | Carrier::Mixer(_) | Carrier::Packager(_) | Carrier::Feed(_) => {
                return;
            }
        };
        if peer.give_up.is_some_and(|deadline| deadline <= now) {
            let detail = "no remote parameters were given in time".to_owned();
            self.close_transport(slot, CloseReason::IceTimeout, detail);
            return;
        }
        if guard(|| peer.transport.handle_timeout(now)).is_err() {
            self.transport_panicked(slot);
            return;
        }
        self.touch_transport(slot);
    }

    /// Puts a router on the list of those to look after.
    fn touch_router(&mut self, slot: usize) {
        let entry = &mut self.routers[slot];
        if !entry.dirty {
            entry.dirty = true;
            self.dirty_routers.push(slot);
        }
    }

    /// Puts a transport on the list of those to look after.
    fn touch_transport(&mut self, slot: usize) {
        let entry = &mut self.transports[slot];
        if !entry.dirty {
            entry.dirty = true;
            self.dirty_transports.push(slot);
        }
    }

    /// Looks after everything that was touched until nothing is.
    fn settle(&mut self) {
        loop {
            if let Some(slot) = self.dirty_transports.pop() {
                if self.transports.contains(slot) {
                    self.settle_transport(slot);
                }
            } else if let Some(slot) = self.dirty_routers.pop() {
                if self.routers.contains(slot) {
                    self.settle_router(slot);
                }
            } else if self.events.is_empty() {
                break;
            } else {
                self.flush_events();
            }
        }
    }

    fn settle_router(&mut self, slot: usize) {
        self.routers[slot].dirty = false;
        let now = self.now;
        let mut ahead = 0_usize;
        loop {
            if ahead == 0 {
                ahead = self.fetch_ahead(slot);
            }
            ahead = ahead.saturating_sub(1);
            let entry = &mut self.routers[slot];
            let polled = guard(|| {
                #[cfg(test)]
                assert!(!entry.panics, "injected");
                entry.router.poll_burst(now)
            });
            match polled {
                Ok(Some(transport)) => self.send_burst(slot, transport),
                Ok(None) => break,
                Err(Panicked) => return self.router_panicked(slot),
            }
            if !self.routers.contains(slot) {
                return;
            }
        }
        self.send_mail();
        while let Some(event) = self.routers[slot].router.poll_event() {
            self.on_router_event(slot, event);
        }
        let entry = &mut self.routers[slot];
        self.timers.arm(
            TimerKey::Router(slot),
            &mut entry.armed,
            entry.router.next_timeout(),
        );
    }

    fn on_router_event(&mut self, slot: usize, event: RouterEvent) {
        match event {
            RouterEvent::ProducerActive {
                producer,
                encoding,
                ssrc,
            } => {
                self.events.push(Event::ProducerStarted {
                    producer: producer.0,
                    encoding: encoding.into(),
                    ssrc,
                });
            }
            // A stream that said BYE is silent from now on; it may come back.
            RouterEvent::ProducerSilent { producer, encoding }
            | RouterEvent::ProducerBye { producer, encoding } => {
                self.events.push(Event::ProducerSilent {
                    producer: producer.0,
                    encoding: encoding.into(),
                });
            }
            RouterEvent::ProducerScore { producer, scores } => {
                for (encoding, score) in scores.into_iter().enumerate() {
                    let encoding = encoding as u32;
                    self.events.push(Event::ProducerScore {
                        producer: producer.0,
                        encoding,
                        score: score.score,
                    });
                }
            }
            RouterEvent::LayersChanged {
                consumer,
                spatial,
                temporal,
            } => {
                self.events.push(Event::ConsumerLayersChanged {
                    consumer: consumer.0,
                    spatial,
                    temporal,
                });
            }
            RouterEvent::ActiveSpeakers(speakers) => self.on_speakers(slot, &speakers),
            RouterEvent::AudioForwarded { producers } => {
                let router = self.routers[slot].id;
                self.events.push(Event::AudioForwarded {
                    router,
                    producers: producers.into_iter().map(|producer| producer.0).collect(),
                });
            }
            RouterEvent::EncodingsWanted {
                producer,
                ref wanted,
            } => {
                self.tell_source(producer.0, wanted);
                self.events.extend(line_events::told(&event));
            }
            RouterEvent::KeyframeRequested { producer, .. } => self.ask_feed(producer.0),
            RouterEvent::QualityChanged { subject, .. } if self.is_within(subject) => {}
            // The rest is told by commands and by statistics; a closed producer is reported where it is closed.
            other => self.events.extend(line_events::told(&other)),
        }
    }

    /// Hands events to the outbox; a channel whose message finds no place is closed, since it is reliable no more.
    fn flush_events(&mut self) {
        for event in std::mem::take(&mut self.events) {
            let channel = if let Event::ChannelMessage { channel, .. } = &event {
                Some(*channel)
            } else {
                None
            };
            if self.shared.outbox.event(event).is_err() {
                self.counters.messages_refused.up();
                if let Some(channel) = channel {
                    self.close_channel_of(channel);
                }
            }
        }
    }

    /// The router and the id of the transport in `slot`.
    fn router_of(&mut self, slot: usize) -> (&mut RouterEntry, TransportId) {
        let entry = &self.transports[slot];
        (&mut self.routers[entry.router], TransportId(entry.id))
    }
}
