"""Commands given together: one message each way for what would be many, and one turn of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomtone.media.errors import EngineCommandError
from roomtone.media.objects import Consumer, PlainTransport, Producer, Router
from roomtone.media.values import (
    OPENED,
    CodecFeedback,
    ConnectPlainTransport,
    Consume,
    Consumed,
    ConsumerId,
    Done,
    DoneTogether,
    DoTogether,
    ErrorCode,
    Failed,
    OpeningCommand,
    OpenPlainTransport,
    OpenRouter,
    PlainTransportOpened,
    Produce,
    Produced,
    ProducerId,
    Result,
    RouterId,
    RouterOpened,
    TransportId,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.media.engine import Engine
    from roomtone.media.objects import Transport
    from roomtone.media.values import CodecParameters, HeaderExtension, MediaKind

MAX_TOGETHER = 64
"""Commands that the engine does in one turn."""


class Together:
    """Commands for one shard, gathered until `do` has them done one after another.

    What they open is given at once and may be used by those that follow; it is real once `do` is back. The first that
    fails is the last: `do` raises, what was opened before it stays open, and what follows was never opened.
    """

    __slots__ = ("_commands", "_engine", "_takers")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._commands: list[OpeningCommand] = []
        self._takers: list[tuple[type[Result], Callable[[Any], None] | None]] = []

    def __len__(self) -> int:
        return len(self._commands)

    @property
    def is_full(self) -> bool:
        """Whether `do` has to come before more is gathered."""
        return len(self._commands) >= MAX_TOGETHER // 2

    def open_router(self) -> Router:
        """Open a router; only as the first."""
        router = Router(self._engine, RouterId(self._next_id()), 0)
        self._add(OpenRouter(), RouterOpened, router.take)
        return router

    def open_plain_transport(self, command: OpenPlainTransport) -> PlainTransport:
        """Open a plain transport on the router that the command names."""
        transport = PlainTransport(self._engine, _unopened(self._next_id(), command))
        self._add(command, PlainTransportOpened, transport.take)
        return transport

    def connect(self, command: ConnectPlainTransport) -> None:
        """Say where the peer of a plain transport is."""
        self._add(command, Done)

    def produce(
        self,
        transport: Transport,
        kind: MediaKind,
        codecs: Sequence[CodecParameters],
        *,
        mid: str | None = None,
        header_extensions: Sequence[HeaderExtension] = (),
    ) -> Producer:
        """Take media in on a transport."""
        command = Produce(
            transport=transport.id,
            kind=kind,
            codecs=list(codecs),
            mid=mid,
            header_extensions=list(header_extensions),
        )
        producer = Producer(self._engine, ProducerId(self._next_id()), kind)
        self._add(command, Produced, producer.take)
        return producer

    def consume(
        self,
        transport: Transport,
        kind: MediaKind,
        producer: Producer | None,
        *,
        mid: str | None = None,
        payload_types: Sequence[tuple[int, int]] = (),
        header_extensions: Sequence[HeaderExtension] = (),
        feedback: CodecFeedback | None = None,
        paused: bool = False,
    ) -> Consumer:
        """Send media out on a transport."""
        command = Consume(
            transport=transport.id,
            kind=kind,
            producer=None if producer is None else producer.id,
            mid=mid,
            payload_types=list(payload_types),
            header_extensions=list(header_extensions),
            feedback=feedback or CodecFeedback(),
            paused=paused,
        )
        id_ = ConsumerId(self._next_id())
        consumer = Consumer(self._engine, kind, Consumed(consumer=id_, ssrc=0, rtx_ssrc=None, cname=""))
        self._add(command, Consumed, consumer.take)
        return consumer

    async def do(self) -> None:
        """Have done what was gathered, if anything was; raise `EngineCommandError`. More may be gathered afterwards."""
        if not self._commands:
            return
        commands, self._commands = self._commands, []
        takers, self._takers = self._takers, []
        done = await self._engine.ask(DoTogether(commands=commands), DoneTogether)
        for (expected, take), result in zip(takers, done.results, strict=False):
            if isinstance(result, Failed):
                self._engine.counters.failures += 1
                raise EngineCommandError(result.code, result.message)
            if type(result) is not expected:
                message = f"{expected.__name__} was expected, and {type(result).__name__} came"
                raise EngineCommandError(ErrorCode.INTERNAL, message)
            if take is not None:
                take(result)
        if len(done.results) != len(commands):
            raise EngineCommandError(ErrorCode.INTERNAL, "not all was done, and nothing failed")

    def _next_id(self) -> int:
        return OPENED | len(self._commands)

    def _add(self, command: OpeningCommand, expected: type[Result], take: Callable[[Any], None] | None = None) -> None:
        self._commands.append(command)
        self._takers.append((expected, take))


def _unopened(id_: int, command: OpenPlainTransport) -> PlainTransportOpened:
    return PlainTransportOpened(transport=TransportId(id_), ip=command.listen_ip, port=0, rtcp_port=0, fingerprints=[])
