"""What the fake engine holds, and the rules of holding it."""

from __future__ import annotations

from typing import TypeVar

from roomtone.media.fake_objects import (
    FakeChannel,
    FakeConsumer,
    FakeFeed,
    FakeIngest,
    FakeIngestListener,
    FakeMixer,
    FakeObject,
    FakeObserver,
    FakePackager,
    FakePipe,
    FakePlayout,
    FakeProducer,
    FakeRouter,
    FakeTrackTranscoder,
    FakeTranscoder,
    FakeTransport,
)
from roomtone.media.values import (
    AnyEvent,
    Candidate,
    ConsumerClosed,
    ConsumerId,
    EngineCloseReason,
    EngineConfig,
    ErrorCode,
    IceRestarted,
    IngestEnd,
    IngestEnded,
    IngestId,
    IngestListenerId,
    IngestPullEnded,
    MediaKind,
    MixerClosed,
    MixerId,
    PackagerEnded,
    PackagerId,
    PlayoutEnd,
    PlayoutEnded,
    PlayoutId,
    ProducerClosed,
    ProducerId,
    RouterClosed,
    RouterId,
    TransportClosed,
    TransportId,
)

_FIRST_SSRC = 0x1000_0000


class Refused(Exception):  # noqa: N818 - not an error of the program
    """A command that has no effect."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


T = TypeVar(
    "T",
    FakeRouter,
    FakeTransport,
    FakeProducer,
    FakeConsumer,
    FakeObserver,
    FakeChannel,
    FakeMixer,
    FakePackager,
    FakePipe,
    FakePlayout,
    FakeTranscoder,
    FakeTrackTranscoder,
    FakeIngestListener,
    FakeIngest,
    FakeFeed,
)

STATS_TYPE: dict[type[FakeObject], str] = {
    FakeRouter: "router",
    FakeTransport: "transport",
    FakeProducer: "inbound-rtp",
    FakeConsumer: "outbound-rtp",
    FakeObserver: "observer",
    FakeChannel: "data-channel",
    FakePipe: "transport",
    FakeMixer: "transport",
    FakePackager: "transport",
    FakeTranscoder: "transcoder",
    FakeTrackTranscoder: "transcoder",
    FakeIngestListener: "listener",
    FakeIngest: "ingest",
    FakeFeed: "transport",
}


class FakeState:
    """Objects by id, limits, ports. ``caused`` collects the events that a change brings about."""

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self.objects: dict[int, FakeObject] = {}
        self.caused: list[AnyEvent] = []
        self._next_id = 1
        self._next_ssrc = _FIRST_SSRC
        self._taken_ports: set[int] = set()

    def find(self, kind: type[T]) -> list[T]:
        """Give all living objects of a kind, oldest first."""
        return [held for held in self.objects.values() if isinstance(held, kind)]

    def shards(self) -> range:
        """Numbers of the shards."""
        return range(max(1, self.config.shards))

    def new_id(self) -> int:
        """Give the next id; one counter for all kinds."""
        self._next_id += 1
        return self._next_id - 1

    def new_ssrc(self, wanted: int | None) -> int:
        """Give the wanted SSRC, or a new one."""
        if wanted is not None:
            return wanted
        self._next_ssrc += 1
        return self._next_ssrc

    def get(self, kind: type[T], id_: int) -> T:
        """Give an object of a kind by its id."""
        held = self.objects.get(id_)
        if not isinstance(held, kind):
            raise Refused(ErrorCode.NOT_FOUND, f"no {STATS_TYPE[kind]} {id_}")
        return held

    def webrtc(self, id_: int) -> FakeTransport:
        """Give a WebRTC transport by its id."""
        transport = self.get(FakeTransport, id_)
        if transport.kind != "webrtc":
            raise Refused(ErrorCode.INVALID, "not a WebRTC transport")
        return transport

    def add_transport(self, router: int, kind: str, cname: str) -> FakeTransport:
        """Open a transport of a kind on a router."""
        self.get(FakeRouter, router)
        if len(self.find(FakeTransport)) >= self.config.max_transports:
            raise Refused(ErrorCode.LIMIT, f"{self.config.max_transports} transports are open")
        id_ = self.new_id()
        transport = FakeTransport(id_, router, kind, cname or f"cname-{id_}")
        self.objects[transport.id] = transport
        return transport

    def take_port(self, transport: FakeTransport) -> int:
        """Give a plain transport a port; without a free one the transport goes."""
        low, high = self.config.plain_ports
        port = next((port for port in range(low, high + 1) if port not in self._taken_ports), None)
        if port is None:
            del self.objects[transport.id]
            self._taken_ports.difference_update(transport.ports)
            raise Refused(ErrorCode.NO_PORT, f"no free port from {low} to {high}")
        self._taken_ports.add(port)
        transport.ports.append(port)
        return port

    def credentials(self, transport: FakeTransport) -> IceRestarted:
        """Give what the peer must know, of the present ICE generation."""
        port = self.config.webrtc_ports[0] or 40_000
        candidate = Candidate(
            foundation="1", component=1, protocol="udp", priority=2130706431, ip="127.0.0.1", port=port, kind="host"
        )
        return IceRestarted(
            ice_ufrag=f"u{transport.id:03}g{transport.ice_generation}",
            ice_pwd=f"fakepassword{transport.id:06}{transport.ice_generation:06}",
            candidates=[candidate],
        )

    def check_limit(self, kind: type[FakeProducer | FakeConsumer], transport: FakeTransport, limit: int) -> None:
        """Refuse one more of a kind on a transport."""
        held = sum(isinstance(it, kind) and it.transport == transport.id for it in self.objects.values())
        if held >= limit:
            raise Refused(ErrorCode.LIMIT, f"{limit} on this transport")

    def check_source(self, producer: int | None, router: int, kind: MediaKind) -> None:
        """Refuse a source of another router or kind."""
        if producer is None:
            return
        source = self.get(FakeProducer, producer)
        if source.router != router:
            raise Refused(ErrorCode.INVALID, "the producer lives on another router: pipe it first")
        if source.kind != kind:
            raise Refused(ErrorCode.INVALID, f"the producer is {source.kind.value}, the consumer {kind.value}")

    def drop_producer(self, producer: FakeProducer) -> None:
        """Take a producer away; its consumers wait for another source."""
        del self.objects[producer.id]
        for pipe in [held for held in self.find(FakePipe) if held.producer == producer.id]:
            del self.objects[pipe.id]
        for consumer in self.find(FakeConsumer):
            if consumer.producer == producer.id:
                consumer.producer = None
        for piped in self.find(FakeProducer):
            if piped.piped_from == producer.id:
                self.drop_producer(piped)
                closed = ProducerClosed(producer=ProducerId(piped.id), reason=EngineCloseReason.PARENT_CLOSED)
                self.caused.append(closed)

    def drop_router(self, router: FakeRouter, reason: EngineCloseReason) -> None:
        """Take a router away with all it holds; its transports have events of their own, before its own."""
        broken = reason is EngineCloseReason.ROUTER_PANICKED
        of_transports = EngineCloseReason.PEER_PANICKED if broken else EngineCloseReason.PARENT_CLOSED
        for transport in [held for held in self.find(FakeTransport) if held.router == router.id]:
            self.drop_transport(transport, of_transports)
        for mixer in [held for held in self.find(FakeMixer) if held.router == router.id]:
            self.drop_mixer(mixer, of_transports)
        for packager in [held for held in self.find(FakePackager) if held.router == router.id]:
            self.drop_packager(packager, of_transports)
        for feed in [held for held in self.find(FakeFeed) if held.router == router.id]:
            self.drop_feed(feed, of_transports)
        for producer in [held for held in self.find(FakeProducer) if held.router == router.id]:
            if producer.id in self.objects:
                self.drop_producer(producer)
        for held in [held for held in self.objects.values() if getattr(held, "router", None) == router.id]:
            del self.objects[held.id]
        del self.objects[router.id]
        self.caused.append(RouterClosed(router=RouterId(router.id), reason=reason))

    def drop_feed(self, feed: FakeFeed, reason: EngineCloseReason) -> None:
        """Take a feed away with its producers, and cause the events."""
        for producer in [held for held in self.find(FakeProducer) if held.transport == feed.id]:
            self.drop_producer(producer)
            closed = ProducerClosed(producer=ProducerId(producer.id), reason=EngineCloseReason.PARENT_CLOSED)
            self.caused.append(closed)
        del self.objects[feed.id]
        self.caused.append(TransportClosed(transport=TransportId(feed.id), reason=reason, detail=""))

    def lose_publisher(self, stream: FakeIngest, reason: IngestEnd) -> None:
        """Take the publisher of a stream away, if it has one; the stream waits for another."""
        if stream.publisher is None:
            return
        ended = IngestEnded(
            ingest=IngestId(stream.publisher),
            listener=IngestListenerId(stream.listener),
            packager=PackagerId(stream.id),
            reason=reason,
            detail="",
        )
        stream.publisher = None
        stream.tracks.clear()
        self.caused.append(ended)

    def drop_pull(self, pull: FakeIngestListener, reason: IngestEnd, detail: str, redirect: str | None = None) -> None:
        """Take a pull away, and what it publishes; the stream waits for another."""
        for stream in [held for held in self.find(FakeIngest) if held.listener == pull.id]:
            self.lose_publisher(stream, reason)
        del self.objects[pull.id]
        listener = IngestListenerId(pull.id)
        self.caused.append(IngestPullEnded(listener=listener, reason=reason, detail=detail, redirect=redirect))

    def drop_playout(self, playout: FakePlayout, reason: PlayoutEnd) -> None:
        """Play a stream out to somebody no more."""
        del self.objects[playout.id]
        ended = PlayoutEnded(
            playout=PlayoutId(playout.id),
            listener=IngestListenerId(playout.listener),
            packager=PackagerId(playout.packager),
            reason=reason,
            detail="",
            bytes=1_316,
            units_dropped=0,
        )
        self.caused.append(ended)

    def drop_ingest(self, stream: FakeIngest, reason: IngestEnd) -> None:
        """End a stream of encoders, and what is published for it."""
        self.lose_publisher(stream, reason)
        del self.objects[stream.id]
        self._drop_transcoders(stream.id)
        self._drop_playouts(stream.id)
        ended = PackagerEnded(packager=PackagerId(stream.id), reason=EngineCloseReason.PARENT_CLOSED)
        self.caused.append(ended)

    def _drop_transcoders(self, packager: int) -> None:
        for transcoder in [held for held in self.find(FakeTranscoder) if held.packager == packager]:
            del self.objects[transcoder.id]

    def _drop_playouts(self, packager: int) -> None:
        for playout in [held for held in self.find(FakePlayout) if held.packager == packager]:
            self.drop_playout(playout, PlayoutEnd.STREAM_ENDED)

    def drop_packager(self, packager: FakePackager, reason: EngineCloseReason) -> None:
        """Take a packager away, and cause the event."""
        del self.objects[packager.id]
        self._drop_transcoders(packager.id)
        self._drop_playouts(packager.id)
        self.caused.append(PackagerEnded(packager=PackagerId(packager.id), reason=reason))

    def drop_mixer(self, mixer: FakeMixer, reason: EngineCloseReason) -> None:
        """Take a mixer away with its outputs, and cause the events."""
        for output in mixer.outputs:
            if output in self.objects:
                self.drop_producer(self.get(FakeProducer, output))
                closed = ProducerClosed(producer=ProducerId(output), reason=EngineCloseReason.PARENT_CLOSED)
                self.caused.append(closed)
        del self.objects[mixer.id]
        self.caused.append(MixerClosed(mixer=MixerId(mixer.id), reason=reason))

    def drop_transport(self, transport: FakeTransport, reason: EngineCloseReason, detail: str = "") -> None:
        """Take a transport away with all it holds, and cause the events."""
        caused: list[AnyEvent] = []
        for held in [held for held in self.objects.values() if getattr(held, "transport", None) == transport.id]:
            match held:
                case FakeProducer():
                    self.drop_producer(held)
                    closed = ProducerClosed(producer=ProducerId(held.id), reason=EngineCloseReason.PARENT_CLOSED)
                    caused.append(closed)
                case FakeConsumer():
                    del self.objects[held.id]
                    caused.append(ConsumerClosed(consumer=ConsumerId(held.id), reason=EngineCloseReason.PARENT_CLOSED))
                case _:
                    del self.objects[held.id]
        del self.objects[transport.id]
        self._taken_ports.difference_update(transport.ports)
        caused.append(TransportClosed(transport=TransportId(transport.id), reason=reason, detail=detail))
        self.caused.extend(caused)
