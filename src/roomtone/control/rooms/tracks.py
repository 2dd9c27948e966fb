"""Tracks offered to a room, and who gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.rooms.values import Layers, LayerWish

if TYPE_CHECKING:
    import asyncio

    from roomtone.control.rooms.model import Member, Participant
    from roomtone.control.rooms.values import SubscriptionId, SubscriptionOffer, TrackId, TrackOffer
    from roomtone.media import Consumer, Producer, Router
    from roomtone.media.values import QualityLevel, RouterId


class Publication:
    """A track offered to a room."""

    __slots__ = (
        "id",
        "muted",
        "offer",
        "participant",
        "pipes",
        "producer",
        "quality",
        "started_encodings",
        "wanted",
    )

    def __init__(self, id_: TrackId, participant: Participant, offer: TrackOffer, producer: Producer) -> None:
        self.id = id_
        self.participant = participant
        self.offer = offer
        self.producer = producer
        self.pipes: dict[RouterId, asyncio.Future[Producer]] = {}
        """Itself on branches of the room, or on its way there."""
        self.muted = offer.muted
        self.started_encodings: set[int] = set()
        self.wanted: tuple[int | None, ...] | None = None
        """Of each encoding the highest temporal layer anybody wants, once that is known."""
        self.quality: QualityLevel | None = None
        """How good what arrives is, once that is known."""

    @property
    def rids(self) -> tuple[str, ...]:
        """RIDs of its simulcast encodings, as offered."""
        return tuple(encoding.rid for encoding in self.offer.encodings if encoding.rid is not None)


class Subscription:
    """Somebody's wish for a track; what feeds it may change."""

    __slots__ = (
        "consumer",
        "current",
        "id",
        "layer",
        "member",
        "offer",
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
