"""Tracks offered to a room, and who gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.rooms.values import Layers, LayerWish

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from roomtone.control.rooms.model import Member, Participant
    from roomtone.control.rooms.reasons import CloseReason
    from roomtone.control.rooms.values import SubscriptionId, SubscriptionOffer, TrackId, TrackOffer, TrackSource
    from roomtone.media import Consumer, Producer, Router
    from roomtone.media.values import QualityLevel, RouterId
    from roomtone.protocols.sdp import Codec

_MIXED_CASE = {"OPUS": "opus", "RED": "red", "TELEPHONE-EVENT": "telephone-event"}


def mime_of(codec: Codec) -> str:
    """Media type of a codec, as browsers write it."""
    return f"{codec.kind.value}/{_MIXED_CASE.get(codec.name, codec.name)}"


class Publication:
    """A track offered to a room."""

    __slots__ = (
        "id",
        "layers",
        "offer",
        "origin",
        "participant",
        "pipes",
        "producer",
        "publisher_muted",
        "quality",
        "router",
        "server_muted",
        "started_encodings",
        "subscriptions",
        "wanted",
    )

    def __init__(
        self, id_: TrackId, participant: Participant, offer: TrackOffer, producer: Producer, router: Router
    ) -> None:
        self.id = id_
        self.participant = participant
        self.offer = offer
        self.producer = producer
        self.router = router
        """The router that has its producer: its room's home, or one that its participant has brought along."""
        self.origin: Publication | None = None
        """What it mirrors, when its participant is forwarded from another room."""
        self.pipes: dict[RouterId, asyncio.Future[Producer]] = {}
        """Itself on branches of the room, or on its way there."""
        self.subscriptions: dict[SubscriptionId, Subscription] = {}
        """Those of participants, which end with it; viewers' subscriptions go on with another source."""
        self.publisher_muted = offer.muted
        self.server_muted = False
        self.layers = offer.layers
        """What its publisher says of its layers."""
        self.started_encodings: set[int] = set()
        self.wanted: tuple[int | None, ...] | None = None
        """Of each encoding the highest temporal layer anybody wants, once that is known."""
        self.quality: QualityLevel | None = None
        """How good what arrives is, once that is known."""

    @property
    def source(self) -> TrackSource:
        """What it shows."""
        return self.offer.source

    @property
    def name(self) -> str:
        """Its name, as its publisher gave it."""
        return self.offer.name

    @property
    def muted(self) -> bool:
        """Whether nothing of it is forwarded: either side can see to that, and only undoes its own."""
        return self.publisher_muted or self.server_muted

    @property
    def mime(self) -> str:
        """Media type of its first codec, such as "video/VP8"."""
        return "" if not self.offer.codecs else mime_of(self.offer.codecs[0])

    @property
    def rids(self) -> tuple[str, ...]:
        """RIDs of its simulcast encodings, as offered."""
        return tuple(encoding.rid for encoding in self.offer.encodings if encoding.rid is not None)


class Subscription:
    """Somebody's wish for a track; what feeds it may change."""

    __slots__ = (
        "closed",
        "consumer",
        "current",
        "id",
        "layer",
        "member",
        "offer",
        "on_close",
        "router",
        "source",
        "starved",
        "target",
        "unservable",
    )

    def __init__(
        self,
        id_: SubscriptionId,
        member: Member,
        offer: SubscriptionOffer,
        consumer: Consumer,
        *,
        router: Router,
        source: Publication | None,
    ) -> None:
        self.id = id_
        self.member = member
        self.offer = offer
        self.consumer = consumer
        self.router = router
        self.source = source
        self.layer: LayerWish = LayerWish()
        self.current: Layers = Layers()
        """What is sent."""
        self.target: Layers = Layers()
        """What the line is believed to carry of it."""
        self.starved = False
        """The line does not carry even the cheapest layer."""
        self.unservable = False
        self.closed: CloseReason | None = None
        self.on_close: Callable[[CloseReason], None] | None = None
        """Called once when it ends otherwise than by its member's own wish or end."""
