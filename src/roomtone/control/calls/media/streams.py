"""The media of one leg, whatever carries it: its streams, and what both sides said of them.

`roomtone.control.calls.media.plain_media` is that of phones, on ports of their own, and
`roomtone.control.calls.media.ice_media` that of browsers, over ICE and DTLS. `roomtone.control.calls.media.leg_media`
chooses, once for each leg.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from roomtone.protocols.sdp.attributes import Direction
from roomtone.protocols.sdp.codecs import media_feedback
from roomtone.protocols.sdp.telephony_codecs import shared_codecs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from roomtone.media import Consumer, Producer, Router, Together
    from roomtone.media.objects import Transport
    from roomtone.media.values import HeaderExtension, MediaKind
    from roomtone.protocols.sdp import Codec
    from roomtone.protocols.sdp.telephony import Keying, PhoneDescription, PhoneMedia


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be offered of one kind."""

    kind: MediaKind
    codecs: tuple[Codec, ...]
    ptime_ms: int | None = None
    max_ptime_ms: int | None = None
    feedback: bool = False
    """Whether the profile with feedback is wanted (RFC 4585)."""


@dataclass(eq=False, slots=True, kw_only=True)
class Stream:
    """One media section of one leg."""

    kind: MediaKind
    transport: Transport
    protocol: str
    keying: Keying
    place: int
    """Of its section in the description that was offered."""
    mid: str | None = None
    """Of its section, where several share a transport."""
    extensions: tuple[HeaderExtension, ...] = ()
    ours: tuple[Codec, ...] = ()
    """As our description has them: what the peer sends."""
    remote: PhoneMedia | None = None
    """As the peer's description has it: what the peer takes, and where."""
    ptime_ms: int | None = None
    max_ptime_ms: int | None = None
    connected: bool = False
    producer: Producer | None = None
    heard: tuple[Codec, ...] = ()
    """What the producer takes."""
    consumer: Consumer | None = None
    fed: Producer | None = None
    """What the consumer sends."""
    mapped: tuple[tuple[int, int], ...] = ()
    flowing: bool = False
    """Whether the consumer sends."""

    @property
    def takes(self) -> tuple[Codec, ...]:
        """What the peer takes."""
        return () if self.remote is None else self.remote.codecs

    @property
    def peer_sends(self) -> bool:
        """Whether the peer sends, as it said."""
        return self.remote is not None and self.remote.direction.sends

    @property
    def peer_receives(self) -> bool:
        """Whether anything may be sent to the peer."""
        return self.connected and self.remote is not None and self.remote.direction.receives

    def produce_in(self, together: Together, codecs: Sequence[Codec]) -> None:
        """Have the engine take these codecs from the peer, among other commands."""
        self.producer = together.produce(
            self.transport,
            self.kind,
            [codec.to_parameters() for codec in codecs],
            mid=self.mid,
            header_extensions=self.extensions,
        )

    def consume_in(
        self, together: Together, producer: Producer | None, mapped: Sequence[tuple[int, int]], *, paused: bool
    ) -> None:
        """Have the engine send to the peer what comes of a producer, among other commands."""
        self.consumer = together.consume(
            self.transport,
            self.kind,
            producer,
            mid=self.mid,
            payload_types=mapped,
            header_extensions=self.extensions,
            feedback=media_feedback(self.takes),
            paused=paused,
        )
        self.fed = producer

    def produce(self, codecs: Sequence[Codec]) -> Awaitable[Producer]:
        """Have the engine take these codecs from the peer; the command is given at once."""
        return self.transport.produce(
            self.kind,
            [codec.to_parameters() for codec in codecs],
            mid=self.mid,
            header_extensions=self.extensions,
        )

    def consume(
        self, producer: Producer | None, mapped: Sequence[tuple[int, int]], *, paused: bool
    ) -> Awaitable[Consumer]:
        """Have the engine send to the peer what comes of a producer; the command is given at once."""
        return self.transport.consume(
            self.kind,
            producer,
            mid=self.mid,
            payload_types=mapped,
            header_extensions=self.extensions,
            feedback=media_feedback(self.takes),
            paused=paused,
        )


class LegMedia(ABC):
    """Opens, describes and connects the streams of one leg. What it opened is the router's: it ends with it."""

    router: Router
    """Where its streams are."""

    @property
    @abstractmethod
    def streams(self) -> Mapping[MediaKind, Stream]:
        """What is open, by kind."""

    @abstractmethod
    async def take_offer(self, phone: PhoneDescription, together: Together | None = None) -> None:
        """Open what the first offer of a peer asks for and this leg may have; raise `NegotiationError`.

        Here and below, what can be done ``together`` with other commands is, and then it is done by ``together.do()``.
        """

    @abstractmethod
    async def open(self, wanted: Sequence[Wanted], together: Together) -> None:
        """Open what is to be offered; `describe` it afterwards."""

    async def offer(self, wanted: Sequence[Wanted]) -> str:
        """Open what is to be offered, and write the offer."""
        together = self.router.engine.together()
        await self.open(wanted, together)
        await together.do()
        return self.describe()

    @abstractmethod
    async def take_answer(self, phone: PhoneDescription, together: Together | None = None) -> None:
        """Take the answer to our offer and connect; may be called again with a later one. Raise `CallError`."""

    @abstractmethod
    async def take_reoffer(self, phone: PhoneDescription) -> None:
        """Take an offer in the middle of a call and connect; raise `CallError`, and then nothing has changed."""

    @abstractmethod
    def answer(self, phone: PhoneDescription) -> str:
        """Write the answer to an offer: what has codecs of ours is accepted, in the reverse direction."""

    @abstractmethod
    def describe(self, direction: Direction = Direction.SENDRECV) -> str:
        """Write what we offer."""

    @abstractmethod
    async def connect(self, kind: MediaKind, together: Together | None = None) -> None:
        """Tell the engine where the peer of a stream is."""

    @abstractmethod
    async def drop(self, kind: MediaKind) -> None:
        """Close one stream, with its producer and consumer."""

    async def close(self) -> None:
        """Close all streams."""
        for kind in tuple(self.streams):
            await self.drop(kind)

    def agree(self, kind: MediaKind, far: Sequence[Codec]) -> tuple[Codec, ...]:
        """Give our codecs for an answer: what the peer offered and the far leg takes, as the far leg describes it."""
        return _agreed(self.streams[kind].takes, tuple(far))


@lru_cache(256)  # the same few lists meet in each call
def _agreed(offered: tuple[Codec, ...], far: tuple[Codec, ...]) -> tuple[Codec, ...]:
    return tuple(replace(pair.theirs, payload_type=pair.ours.payload_type) for pair in shared_codecs(offered, far))
