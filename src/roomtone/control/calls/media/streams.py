"""The media of one leg, whatever carries it: its streams, and what both sides said of them.

`roomtone.control.calls.media.plain_media` is that of phones, on ports of their own, and
`roomtone.control.calls.media.ice_media` that of browsers, over ICE and DTLS. `roomtone.control.calls.media.leg_media`
chooses, once for each leg.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roomtone.media.values import MediaKind
from roomtone.protocols.sdp.attributes import Direction
from roomtone.protocols.sdp.codecs import media_feedback
from roomtone.protocols.sdp.remembered import by_identity
from roomtone.protocols.sdp.telephony_codecs import shared_codecs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping, Sequence

    from roomtone.media import Consumer, Producer, Router, Together
    from roomtone.media.objects import Transport
    from roomtone.media.values import CodecParameters, HeaderExtension
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
    describes_silence: bool = False
    """Whether a mix's silence is described to the peer, where it has agreed to comfort noise."""

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

    def produce_in(self, together: Together, codecs: tuple[Codec, ...]) -> None:
        """Have the engine take these codecs from the peer, among other commands."""
        self.producer = together.produce(
            self.transport,
            self.kind,
            _parameters(codecs),
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

    def produce(self, codecs: tuple[Codec, ...]) -> Awaitable[Producer]:
        """Have the engine take these codecs from the peer; the command is given at once."""
        return self.transport.produce(
            self.kind,
            _parameters(codecs),
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


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a peer is to be offered in the middle of a call; what is not named stays as it is."""

    sound: tuple[Codec, ...] = ()
    """Codecs of its sound."""
    pictures: Wanted | None = None
    """Pictures, where there are none."""
    ends_pictures: bool = False


@dataclass(slots=True)
class Proposed:
    """A proposal that waits for its answer; until that comes all goes on as it was agreed on before."""

    proposal: Proposal
    pictures: Stream | None = None
    """Opened for it."""

    def described(self, streams: Iterable[Stream]) -> dict[int, Stream]:
        """Give the streams as the proposal has them, by their place."""
        found = {}
        for stream in streams:
            if stream.kind is MediaKind.VIDEO and self.proposal.ends_pictures:
                continue
            is_changed = stream.kind is MediaKind.AUDIO and self.proposal.sound
            found[stream.place] = replace(stream, ours=self.proposal.sound) if is_changed else stream
        if self.pictures is not None:
            found[self.pictures.place] = self.pictures
        return found


class LegMedia(ABC):
    """Opens, describes and connects the streams of one leg. What it opened is the router's: it ends with it."""

    router: Router
    """Where its streams are."""
    refuses_pictures: bool = False
    """Whether its peer was offered pictures and took none; so it is until it offers some itself."""
    _proposed: Proposed | None = None

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
    async def take_reoffer(self, phone: PhoneDescription, *, pictures: bool = False) -> None:
        """Take an offer in the middle of a call and connect; raise `CallError`, and then nothing has changed.

        ``pictures``: where it adds some, they are wanted.
        """

    @abstractmethod
    def pictures_in(self, phone: PhoneDescription) -> PhoneMedia | None:
        """Find pictures in an offer that this leg may have."""

    # --- offers of ours in the middle of a call ---

    @property
    def is_proposing(self) -> bool:
        """Whether an offer of ours waits for its answer."""
        return self._proposed is not None

    @property
    def proposes_pictures(self) -> bool:
        """Whether pictures wait for the answer to an offer of ours."""
        return self._proposed is not None and self._proposed.pictures is not None

    async def propose(self, proposal: Proposal) -> str:
        """Write an offer of something else; nothing changes until `take_answer` has its answer, or `withdraw`."""
        self._proposed = Proposed(proposal)
        if proposal.pictures is not None:
            try:
                self._proposed.pictures = await self._open_pictures(proposal.pictures)
            except BaseException:
                self._proposed = None
                raise
        return self.describe()

    async def withdraw(self) -> None:
        """Forget a proposal that was refused, and close what was opened for it."""
        proposed, self._proposed = self._proposed, None
        if proposed is not None and proposed.pictures is not None:
            await self._close(proposed.pictures)

    @abstractmethod
    async def _open_pictures(self, wanted: Wanted) -> Stream:
        """Open what a proposal needs, beside what there is."""

    @abstractmethod
    async def _close(self, stream: Stream) -> None:
        """Close what was opened of a stream."""

    def _described(self) -> dict[int, Stream]:
        """Give the streams that an offer of ours describes, by their place."""
        streams = self.streams.values()
        if self._proposed is None:
            return {stream.place: stream for stream in streams}
        return self._proposed.described(streams)

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
        await self.withdraw()
        for kind in tuple(self.streams):
            await self.drop(kind)

    def agree(self, kind: MediaKind, far: Sequence[Codec]) -> tuple[Codec, ...]:
        """Give our codecs for an answer: what the peer offered and the far leg takes, as the far leg describes it."""
        return _agreed(self.streams[kind].takes, tuple(far))


@by_identity
def _parameters(codecs: tuple[Codec, ...], /) -> list[CodecParameters]:
    return [codec.to_parameters() for codec in codecs]


@by_identity
def _agreed(offered: tuple[Codec, ...], far: tuple[Codec, ...], /) -> tuple[Codec, ...]:
    return tuple(replace(pair.theirs, payload_type=pair.ours.payload_type) for pair in shared_codecs(offered, far))
