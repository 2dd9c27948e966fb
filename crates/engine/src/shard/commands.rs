//! What each command does. Commands about packets carriers are in the files of those carriers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use roomtone_sfu::{ConsumerLimits, Limits, Router, RouterConfig, TransportId, TransportParams};

use super::objects::{Carrier, Object, ProducerEntry, RouterEntry, TransportEntry};
use super::{Panicked, Shard, guard, translate};
use crate::audio::MAX_OUTPUTS;
use crate::failure::Failure;
use crate::ids;
use crate::timers::Armed;
use crate::values::{self, Command, CommandResult, ErrorCode, FeedTrack, Request};

/// The result of a command; `None` when another shard answers.
pub(super) type Answered = Result<Option<CommandResult>, Failure>;

/// The common answer.
pub(super) const DONE: Answered = Ok(Some(CommandResult::Done {}));

impl Shard {
    /// Runs a request and answers it; events it caused follow the answer.
    pub(super) fn on_request(&mut self, request: Request) {
        self.counters.commands.up();
        let Request { id, command } = request;
        let answered = match guard(|| self.execute(id, command)) {
            Ok(answered) => answered,
            Err(Panicked) => Err(Failure::new(
                ErrorCode::Internal,
                "a defect was met while doing this",
            )),
        };
        match answered {
            Ok(Some(result)) => self.shared.outbox.reply(id, result),
            Ok(None) => {}
            Err(failure) => self.shared.outbox.reply(id, failure.into()),
        }
    }

    /// Answers a request that came while the engine stops.
    pub(super) fn refuse_closed(&self, id: u64) {
        let failure = Failure::new(ErrorCode::EngineClosed, "the engine stops");
        self.shared.outbox.reply(id, failure.into());
    }

    pub(super) fn execute(&mut self, request: u64, command: Command) -> Answered {
        match command {
            Command::DoTogether { commands } => self.do_together(request, commands),
            Command::OpenRouter { .. } => Ok(Some(self.open_router())),
            Command::CloseRouter { router, quietly } => {
                let slot = self.router(router)?;
                self.routers[slot].quiet = quietly;
                self.close_router(slot, values::CloseReason::Requested);
                DONE
            }
            command @ Command::OpenWebRtcTransport { .. } => self.open_webrtc(command),
            command @ Command::ConnectWebRtcTransport { .. } => self.connect_webrtc(command),
            Command::AddRemoteCandidates {
                transport,
                candidates,
                complete,
            } => self.add_candidates(transport, &candidates, complete),
            Command::RestartIce {
                transport,
                ice_ufrag,
                ice_pwd,
            } => self.restart_ice(transport, ice_ufrag, ice_pwd),
            command @ Command::OpenPlainTransport { .. } => self.open_plain(command),
            command @ Command::ConnectPlainTransport { .. } => self.connect_plain(command),
            Command::CloseTransport { transport } => {
                let slot = self.line(transport)?;
                self.close_transport(slot, values::CloseReason::Requested, String::new());
                DONE
            }
            command @ Command::Produce { .. } => self.produce(command),
            Command::CloseProducer { producer } => self.close_producer(producer).and(DONE),
            Command::PauseProducer { producer } => {
                self.on_producer(producer, Router::pause_producer)
            }
            Command::ResumeProducer { producer } => {
                self.on_producer(producer, Router::resume_producer)
            }
            Command::RequestKeyframe { producer } => {
                self.on_producer(producer, Router::request_producer_keyframe)
            }
            command @ Command::Consume { .. } => self.consume(command),
            Command::SwitchSource {
                consumer,
                producer,
                payload_types,
            } => self.switch_source(consumer, producer, payload_types),
            Command::CloseConsumer { consumer } => self.close_consumer(consumer).and(DONE),
            Command::PauseConsumer { consumer } => {
                self.on_consumer(consumer, Router::pause_consumer)
            }
            Command::ResumeConsumer { consumer } => {
                self.on_consumer(consumer, Router::resume_consumer)
            }
            Command::SetPreferredLayers {
                consumer,
                spatial,
                temporal,
            } => self.on_consumer(consumer, |router, id, now| {
                router.set_preferred_layers(id, spatial, temporal, now)
            }),
            Command::SetConsumerLimits {
                consumer,
                max_width,
                max_height,
                max_fps,
                max_bitrate,
            } => self.on_consumer(consumer, |router, id, now| {
                let limits = ConsumerLimits {
                    max_width,
                    max_height,
                    max_fps,
                    max_bitrate,
                };
                router.set_limits(id, limits, now)
            }),
            Command::SetConsumerPriority { consumer, priority } => self
                .on_consumer(consumer, |router, id, now| {
                    router.set_priority(id, priority, now)
                }),
            Command::SetAudioPinned { consumer, pinned } => self
                .on_consumer(consumer, |router, id, _| {
                    router.set_audio_pinned(id, pinned)
                }),
            Command::SetAudioTopN { router, places } => self.set_audio_top_n(router, places),
            Command::PipeProducer { producer, router } => {
                self.pipe_producer(request, producer, router)
            }
            Command::OpenMixer { router, tick_ms } => self.open_mixer(router, tick_ms),
            Command::AddMixerInput {
                mixer,
                producer,
                inband_dtmf,
            } => self.add_mixer_input(mixer, producer, inband_dtmf),
            Command::AddMixerSource { mixer, source } => self.add_mixer_source(mixer, &source),
            Command::RemoveMixerInput { mixer, input } => self.remove_mixer_input(mixer, input),
            command @ Command::AddMixerOutput { .. } => self.add_mixer_output(command),
            Command::SendMixerDtmf {
                output,
                digit,
                duration_ms,
            } => self.send_mixer_dtmf(output, &digit, duration_ms),
            Command::CloseMixer { mixer } => self.close_mixer(mixer),
            Command::OpenPackager {
                router,
                name,
                listing,
            } => self.open_packager(router, name, listing),
            Command::SwitchPackagerTrack(wish) => {
                self.switch_packager_track(wish.packager, wish.track, wish.producer)
            }
            Command::AddPackagerTrack { packager, producer } => {
                self.add_packager_track(packager, producer)
            }
            Command::RemovePackagerTrack { packager, track } => {
                self.remove_packager_track(packager, track)
            }
            Command::ClosePackager { packager } => self.close_packager(packager),
            Command::OpenFeed { router } => self.open_feed(router),
            Command::AddFeedTrack(FeedTrack { feed, track, codec }) => {
                self.add_feed_track(feed, track, &codec)
            }
            Command::CloseFeed { feed } => self.close_feed(feed),
            command @ Command::ObserveAudioLevels { .. } => self.observe(&command),
            Command::CloseObserver { observer } => self.close_observer(observer),
            command @ Command::OpenChannel { .. } => self.open_channel(command),
            Command::SendMessage {
                channel,
                data,
                text,
            } => self.send_message(channel, &data, text),
            Command::CloseChannel { channel } => self.close_channel(channel),
            Command::GetStats { id } => self.object_stats(id),
            Command::Dump { id } => self.dump(id),
            Command::GetEngineStats {}
            | Command::OpenIngestListener { .. }
            | Command::OpenIngestInput { .. }
            | Command::OpenIngestPull { .. }
            | Command::SetIngestCertificate { .. }
            | Command::CloseIngestListener { .. }
            | Command::CloseIngest { .. }
            | Command::PointIngest(_)
            | Command::ClosePlayout { .. }
            | Command::OpenTranscoder(_)
            | Command::CloseTranscoder(_)
            | Command::SetStreamSync(_)
            | Command::ShowStreamText(_)
            | Command::SetStreamEncryption(_)
            | Command::GetStreamSync(_)
            | Command::GetStreamPressure(_)
            | Command::OpenTrackTranscoder(_)
            | Command::CloseTrackTranscoder { .. } => Err(Failure::new(
                ErrorCode::Internal,
                "the engine answers this itself",
            )),
        }
    }

    fn set_audio_top_n(&mut self, router: u64, places: Option<u8>) -> Answered {
        let slot = self.router(router)?;
        let now = self.now;
        self.routers[slot].router.set_audio_top_n(places, now);
        self.touch_router(slot);
        DONE
    }

    fn open_router(&mut self) -> CommandResult {
        let config = &self.shared.config;
        let history = config.history_packets;
        let router_config = RouterConfig {
            burst_delay: Duration::from_micros(config.burst_delay_us),
            even_out: config.even_out_bytes,
            limits: Limits {
                transports: config.max_transports,
                // Each kind of transport has its own limit, which is looked at before.
                producers_per_transport: config.max_producers_per_transport.max(MAX_OUTPUTS),
                consumers_per_transport: config.max_consumers_per_transport,
                video_history: history,
                audio_history: (history / 4).max(16),
                ..Limits::default()
            },
            bandwidth: translate::bandwidth(&config.bandwidth),
            ..RouterConfig::default()
        };
        let id = ids::allocate(self.index);
        self.seed = self
            .seed
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(id);
        let slot = self.routers.insert(RouterEntry {
            id,
            router: Router::new(router_config, self.shared.clock, self.seed),
            transports: Vec::new(),
            observers: Vec::new(),
            armed: Armed::default(),
            dirty: false,
            quiet: false,
            #[cfg(test)]
            panics: false,
        });
        self.insert_object(id, Object::Router(slot));
        self.shared.loads[self.index].fetch_add(1, Ordering::Relaxed);
        CommandResult::RouterOpened {
            router: id,
            shard: self.index,
        }
    }

    /// Room for one more transport that somebody opened, or a refusal.
    pub(super) fn admit_transport(&self) -> Result<(), Failure> {
        let limit = self.shared.config.max_transports;
        let more = |count: usize| (count < limit).then_some(count + 1);
        self.shared
            .transports
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .map_err(|_| Failure::new(ErrorCode::Limit, format!("{limit} transports are open")))?;
        Ok(())
    }

    /// Takes back what `admit_transport` counted.
    pub(super) fn retract_transport(&self) {
        self.shared.transports.fetch_sub(1, Ordering::Relaxed);
    }

    /// Enters a transport into its router and the tables.
    pub(super) fn insert_transport(
        &mut self,
        id: u64,
        router: usize,
        carrier: Carrier,
        params: TransportParams,
    ) -> Result<usize, Failure> {
        let now = self.now;
        self.routers[router]
            .router
            .open_transport(TransportId(id), params, now)?;
        let piped = matches!(carrier, Carrier::Pipe(_));
        let slot = self.transports.insert(TransportEntry {
            id,
            router,
            carrier,
            writable: false,
            producers: Vec::new(),
            consumers: Vec::new(),
            armed: Armed::default(),
            dirty: false,
            #[cfg(test)]
            panics: false,
        });
        self.routers[router].transports.push(slot);
        self.insert_object(id, Object::Transport(slot));
        if !piped {
            self.counters.transports.up();
            self.shared.loads[self.index].fetch_add(1, Ordering::Relaxed);
        }
        self.update_writable(slot);
        self.touch_router(router);
        Ok(slot)
    }

    pub(super) fn router(&self, id: u64) -> Result<usize, Failure> {
        match self.objects.get(&id) {
            Some(Object::Router(slot)) => Ok(*slot),
            _ => Err(Failure::not_found("router", id)),
        }
    }

    /// A transport that somebody opened: ends of pipes are not for commands, mixers and packagers have their own.
    pub(super) fn transport(&self, id: u64) -> Result<usize, Failure> {
        match self.objects.get(&id) {
            Some(Object::Transport(slot))
                if !matches!(
                    self.transports[*slot].carrier,
                    Carrier::Pipe(_) | Carrier::Mixer(_) | Carrier::Packager(_) | Carrier::Feed(_)
                ) =>
            {
                Ok(*slot)
            }
            _ => Err(Failure::not_found("transport", id)),
        }
    }

    /// A transport that somebody opened, or an end of a pipe: that can be closed, and be told nothing else.
    fn line(&self, id: u64) -> Result<usize, Failure> {
        match self.objects.get(&id) {
            Some(Object::Transport(slot))
                if matches!(self.transports[*slot].carrier, Carrier::Pipe(_)) =>
            {
                Ok(*slot)
            }
            _ => self.transport(id),
        }
    }

    pub(super) fn producer(&self, id: u64) -> Result<&ProducerEntry, Failure> {
        match self.objects.get(&id) {
            Some(Object::Producer(entry)) => Ok(entry),
            _ => Err(Failure::not_found("producer", id)),
        }
    }

    pub(super) fn consumer(&self, id: u64) -> Result<usize, Failure> {
        match self.objects.get(&id) {
            Some(Object::Consumer(entry)) => Ok(entry.transport),
            _ => Err(Failure::not_found("consumer", id)),
        }
    }
}
