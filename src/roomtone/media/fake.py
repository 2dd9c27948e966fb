"""An engine in memory with the real one's interface: same ids, states, limits and errors, no sockets, no media.

Tests drive control and servers with it and play the network's part through `FakeLink.emit`,
`FakeLink.connect_peer`, `FakeLink.lose_peer`, `FakeLink.let_speak`, `FakeLink.begin_packager` and `FakeLink.pose`.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING

from roomtone.media.errors import QueueFull
from roomtone.media.fake_commands import FakeCommands
from roomtone.media.fake_objects import (
    FakeIngest,
    FakeIngestListener,
    FakeObject,
    FakeObserver,
    FakePackager,
    FakePlayout,
    FakeProducer,
    FakeRouter,
    FakeTransport,
)
from roomtone.media.link import decode_answer, decode_request, encode
from roomtone.media.values import (
    ActiveSpeakers,
    Answer,
    AnyCommand,
    AnyEvent,
    AnyOutbound,
    AudioLevel,
    DtlsState,
    DtlsStateChanged,
    EngineCloseReason,
    EngineConfig,
    EventOut,
    IceState,
    IceStateChanged,
    IngestEnd,
    IngestId,
    IngestListenerId,
    IngestProtocol,
    IngestStarted,
    IngestTrack,
    IngestTrackEnded,
    IngestTrackId,
    MediaKind,
    ObserverId,
    PackagerId,
    PackagerStarted,
    PackagerTrack,
    PackagerTrackId,
    PlayoutEnd,
    PlayoutId,
    PlayoutStarted,
    ProducerId,
    Question,
    Reply,
    RouterId,
    TrackBar,
    TransportId,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomtone.media.fake_state import T


class FakeLink:
    """A `Link` to an engine that exists only in memory; safe to use from two threads."""

    def __init__(self, config: EngineConfig | None = None) -> None:
        self.config = config or EngineConfig()
        self._state = FakeCommands(self.config)
        self.commands: list[AnyCommand] = []
        self.answers: dict[int, Answer] = {}
        self.closed = False
        self.stalled = False
        """While set, commands pile up unanswered, as in an engine whose shard is busy."""
        self._lock = threading.RLock()
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._outbound: deque[AnyOutbound] = deque()
        self._held: deque[bytes] = deque()
        self._next_seq = 1

    @property
    def objects(self) -> dict[int, FakeObject]:
        """All living objects by id."""
        return self._state.objects

    # --- Link ---

    def submit(self, command: bytes) -> None:
        """Take a command; its reply is there at once unless the fake is stalled."""
        with self._lock:
            if self.closed:
                raise QueueFull("the engine is closed")
            if len(self._held) >= self.config.command_queue:
                raise QueueFull(f"{self.config.command_queue} commands wait")
            self._held.append(command)
            if not self.stalled:
                self._work()

    def event_fd(self) -> int:
        """Give the descriptor that is readable while values wait."""
        return self._fd

    def drain(self, limit: int) -> list[bytes]:
        """Take at most ``limit`` outbound values."""
        with self._lock:
            if self.closed:
                return []
            taken = [encode(self._outbound.popleft()) for _ in range(min(limit, len(self._outbound)))]
            if not self._outbound:
                self._clear_fd()
            return taken

    def answer(self, answer: bytes) -> None:
        """Note the answer to a question."""
        decoded = decode_answer(answer)
        with self._lock:
            self.answers.setdefault(decoded.id, decoded)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            if not self.closed:
                self.closed = True
                self._state.objects.clear()
                os.close(self._fd)

    # --- the network's part, played by a test ---

    def emit(self, event: AnyEvent) -> None:
        """Send an event out."""
        with self._lock:
            self._send(EventOut(seq=self._next_seq, event=event))
            self._next_seq += 1

    def connect_peer(self, transport: int) -> None:
        """Let the peer of a transport arrive: ICE, then DTLS connects."""
        with self._lock:
            held = self._state.get(FakeTransport, transport)
            held.connected = held.writable = True
            id_ = TransportId(transport)
            self.emit(
                IceStateChanged(
                    transport=id_,
                    state=IceState.CONNECTED,
                    protocol="udp",
                    local="127.0.0.1:40000",
                    remote="127.0.0.1:50000",
                )
            )
            self.emit(DtlsStateChanged(transport=id_, state=DtlsState.CONNECTED, srtp_profile="SRTP_AEAD_AES_128_GCM"))
            for event in self._state.open_waiting(held):
                self.emit(event)

    def lose_peer(self, transport: int, reason: EngineCloseReason, detail: str = "") -> None:
        """Let the engine give up a transport by itself."""
        with self._lock:
            self._state.drop_transport(self._state.get(FakeTransport, transport), reason, detail)
            for event in self._state.take_caused():
                self.emit(event)

    def begin_packager(self, packager: int) -> None:
        """Let the media of a packager's tracks come: its first playlist can be read."""
        with self._lock:
            held = self._state.get(FakePackager, packager)
            held.begun = True
            tracks = [
                PackagerTrack(track=PackagerTrackId(id_), name=track.name, codec="avc1.42c01f", width=1280, height=720)
                if track.kind is MediaKind.VIDEO
                else PackagerTrack(track=PackagerTrackId(id_), name=track.name, codec="opus", channels=2)
                for id_, track in held.tracks.items()
            ]
            self.emit(PackagerStarted(packager=PackagerId(packager), tracks=tracks))

    def begin_ingest(self, listener: int, name: str, remote: str = "192.0.2.1:5000") -> PackagerId:
        """Let an encoder publish that may; the packager of its stream, which goes on where it waits for a publisher."""
        with self._lock:
            held = self._state.get(FakeIngestListener, listener)
            waiting = [stream for stream in self._state.find(FakeIngest) if stream.name == name]
            stream = waiting[0] if waiting else FakeIngest(self._state.new_id(), held.id, name, None)
            self._state.objects[stream.id] = stream
            stream.publisher = self._state.new_id()
            self.emit(
                IngestStarted(
                    ingest=IngestId(stream.publisher),
                    listener=IngestListenerId(held.id),
                    packager=PackagerId(stream.id),
                    name=name,
                    protocol=held.protocol,
                    remote=remote,
                    encoder="",
                )
            )
            return PackagerId(stream.id)

    def tell_track(
        self, packager: int, kind: MediaKind, codec: str, bar: TrackBar | None = None, track: int | None = None
    ) -> IngestTrackId:
        """Let it be known how a track of an encoder is coded; a new one, or ``track`` anew."""
        with self._lock:
            stream = self._state.get(FakeIngest, packager)
            id_ = IngestTrackId(self._state.new_id() if track is None else track)
            stream.tracks[id_] = IngestTrack(
                ingest=IngestId(stream.publisher or 0),
                listener=IngestListenerId(stream.listener),
                packager=PackagerId(stream.id),
                track=id_,
                kind=kind,
                codec=codec,
                bar=bar,
            )
            self.emit(stream.tracks[id_])
            return id_

    def end_track(self, packager: int, track: int) -> None:
        """Let an encoder send a track no more."""
        with self._lock:
            told = self._state.get(FakeIngest, packager).tracks.pop(track)
            self.emit(
                IngestTrackEnded(ingest=told.ingest, listener=told.listener, packager=told.packager, track=told.track)
            )

    def lose_encoder(self, packager: int, reason: IngestEnd = IngestEnd.PEER) -> None:
        """Let an encoder end; its stream waits for another."""
        with self._lock:
            self._state.lose_publisher(self._state.get(FakeIngest, packager), reason)
            for event in self._state.take_caused():
                self.emit(event)

    def begin_playout(self, listener: int, packager: int, name: str, remote: str = "192.0.2.9:5000") -> PlayoutId:
        """Let a stream be played out to somebody who may read it."""
        with self._lock:
            held = self._state.get(FakeIngestListener, listener)
            playout = FakePlayout(self._state.new_id(), held.id, packager)
            self._state.objects[playout.id] = playout
            self.emit(
                PlayoutStarted(
                    playout=PlayoutId(playout.id),
                    listener=IngestListenerId(held.id),
                    packager=PackagerId(packager),
                    name=name,
                    protocol=held.protocol,
                    remote=remote,
                )
            )
            return PlayoutId(playout.id)

    def lose_reader(self, playout: int, reason: PlayoutEnd = PlayoutEnd.PEER) -> None:
        """Let who reads a stream be gone."""
        with self._lock:
            self._state.drop_playout(self._state.get(FakePlayout, playout), reason)
            for event in self._state.take_caused():
                self.emit(event)

    def end_pull(self, listener: int, detail: str, redirect: str | None = None) -> None:
        """Let a pull be over, and with it what it publishes."""
        with self._lock:
            pull = self._state.get(FakeIngestListener, listener)
            self._state.drop_pull(pull, IngestEnd.PEER, detail, redirect)
            for event in self._state.take_caused():
                self.emit(event)

    def give_up_ingest(self, packager: int) -> None:
        """Let the time be over in which a stream waits for its encoder."""
        with self._lock:
            self._state.drop_ingest(self._state.get(FakeIngest, packager), IngestEnd.PEER)
            for event in self._state.take_caused():
                self.emit(event)

    def lose_router(self, router: int) -> None:
        """Let a router meet a defect: it ends with all it holds."""
        with self._lock:
            self._state.drop_router(self._state.get(FakeRouter, router), EngineCloseReason.ROUTER_PANICKED)
            for event in self._state.take_caused():
                self.emit(event)

    def let_speak(self, levels: Mapping[int, int]) -> None:
        """Let the observers of a router hear these producers, at levels in dBov; nobody where there are none."""
        with self._lock:
            for observer in self._state.find(FakeObserver):
                mine = {id_: dbov for id_, dbov in levels.items() if self._is_on(id_, observer.router)}
                if not mine and levels:
                    continue
                loudest = sorted(mine, key=lambda id_: (-mine[id_], id_))[: observer.max_entries]
                speakers = [AudioLevel(producer=ProducerId(id_), level_dbov=mine[id_]) for id_ in loudest]
                observer.reports += 1
                observer.speakers, observer.dominant = len(loudest), next(iter(loudest), None)
                self.emit(
                    ActiveSpeakers(
                        router=RouterId(observer.router),
                        observer=ObserverId(observer.id),
                        speakers=speakers,
                        dominant=speakers[0].producer if speakers else None,
                    )
                )

    def pose(
        self,
        topic: str,
        subject: str,
        *,
        credential: str | None = None,
        user: str | None = None,
        protocol: IngestProtocol | None = None,
        remote: str | None = None,
        deadline_ms: int = 1000,
    ) -> int:
        """Ask a question; the answer shows up in ``answers`` by the id given back."""
        with self._lock:
            question = Question(
                id=self._state.new_id(),
                deadline_ms=deadline_ms,
                topic=topic,
                subject=subject,
                credential=credential,
                user=user,
                protocol=protocol,
                remote=remote,
            )
            self._send(question)
            return question.id

    def resume(self) -> None:
        """End a stall: do what has piled up."""
        with self._lock:
            self.stalled = False
            self._work()

    def find(self, kind: type[T]) -> list[T]:
        """Give all living objects of a kind, oldest first."""
        with self._lock:
            return self._state.find(kind)

    # --- parts ---

    def _is_on(self, producer: int, router: int) -> bool:
        held = self._state.objects.get(producer)
        return isinstance(held, FakeProducer) and held.router == router and not held.paused

    def _work(self) -> None:
        while self._held:
            request = decode_request(self._held.popleft())
            self.commands.append(request.command)
            result, events = self._state.run(request.command)
            self._send(Reply(id=request.id, result=result))
            for event in events:
                self.emit(event)

    def _send(self, outbound: AnyOutbound) -> None:
        if self.closed:
            return
        self._outbound.append(outbound)
        os.eventfd_write(self._fd, 1)

    def _clear_fd(self) -> None:
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return
