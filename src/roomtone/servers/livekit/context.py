"""What the application hands to LiveKit's endpoints: rooms, keys, limits, clocks; and who is connected by them."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from roomtone.control.policy import Pace, renewed_token
from roomtone.protocols.sdp import Support
from roomtone.servers.livekit.chat_origins import ChatOrigins
from roomtone.servers.livekit.method_calls import MethodCalls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from livekit.protocol import models

    from roomtone.config.models import LiveKitSettings
    from roomtone.control.calls import Calls, PhoneBook
    from roomtone.control.live import Ingresses
    from roomtone.control.policy import IceServerRule, JoinLimiter, KeyTable
    from roomtone.control.rooms import CloseReason, Participant, Rooms
    from roomtone.servers.livekit.session import Session

SUPPORT = Support(max_media=512, max_tracks_per_kind=512)


class Trouble(StrEnum):
    """What goes wrong in sessions by the peer's doing, for the metric."""

    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    EMPTY = "empty"
    BAD_SDP = "bad_sdp"
    UNEXPECTED = "unexpected"
    REFUSED = "refused"
    SLOW = "slow"
    TOO_FAST = "too_fast"
    """Requests refused since too many came."""
    BAD_PACKET = "bad_packet"
    PACKET_NOT_ALLOWED = "packet_not_allowed"
    CHAT_REFUSED = "chat_refused"
    """A message to everybody that was no whole one, or that the room did not take."""
    PACKET_LOST = "packet_lost"
    """A data packet found the receiver's queue full, and no channel of it or a lossy one."""


class SessionTable:
    """Sessions by participant. Limit: that of participants; a session leaves with its participant."""

    def __init__(self) -> None:
        self._by_sid: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._by_sid)

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._by_sid.values()))

    def add(self, session: Session) -> None:
        """Add a session until its participant ends."""
        sid = session.participant.id
        self._by_sid[sid] = session

        def remove(_reason: CloseReason) -> None:
            self._by_sid.pop(sid, None)

        session.participant.when_closed(remove)

    def of(self, participant: Participant) -> Session | None:
        """Find the session of a participant; None for one that came otherwise."""
        return self._by_sid.get(participant.id)

    def find(self, room: str, identity: str, sid: str) -> Session | None:
        """Find whom a client means that comes back: by participant id, or by identity when it names none."""
        session = self._by_sid.get(sid)
        if session is None and not sid:
            session = next(
                (s for s in self if s.participant.identity == identity and s.participant.room.name == room), None
            )
        if session is None or session.participant.identity != identity or session.participant.room.name != room:
            return None
        return session


@dataclass(eq=False, slots=True)
class LiveKitContext:
    """Everything an endpoint needs."""

    settings: LiveKitSettings
    rooms: Rooms
    keys: KeyTable
    limiter: JoinLimiter
    pace: Pace = field(default_factory=Pace)
    """How fast one client may ask."""
    ice_rules: Sequence[IceServerRule] = ()
    support: Support = SUPPORT
    version: str = "0.1.0"
    wall_clock: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    dev: bool = False
    sessions: SessionTable = field(default_factory=SessionTable)
    described: WeakKeyDictionary[Participant, tuple[int, models.ParticipantInfo]] = field(
        default_factory=WeakKeyDictionary
    )
    """Participants in LiveKit's words, by version."""
    troubles: Counter[Trouble] = field(default_factory=Counter)
    resumed: int = 0
    signals_lost: int = 0
    """Sockets that went away without a farewell."""
    method_calls: MethodCalls = field(default_factory=MethodCalls)
    """Calls of the server API that wait for a participant."""
    chat_origins: ChatOrigins = field(default_factory=ChatOrigins)
    """Messages that came by LiveKit."""
    twirp_answers: Counter[str] = field(default_factory=Counter)
    """Calls of the server API, by how they ended: `ok` or Twirp's code."""
    nonces: OrderedDict[tuple[str, bytes], None] = field(default_factory=OrderedDict)
    """Of data sent by the server API lately, by room id: what comes again is not sent again."""

    phone_book: PhoneBook | None = None
    calls: Calls | None = None
    """Of phones, once SIP is open."""
    ingresses: Ingresses | None = None
    """Places for sources, where they are kept."""
    makes_for_rooms: bool = False
    """What encoders send and WebRTC does not carry is made anew."""

    def now_ms(self) -> int:
        """Tell the time as clients are told it."""
        return int(self.wall_clock() * 1000)

    def fresh_token(self, session: Session, room: str | None = None) -> str | None:
        """Sign a token anew for a session, with what its participant may do now; None when its key is gone."""
        token = session.token
        return renewed_token(
            self.keys,
            token,
            session.participant,
            token.grants,
            room or token.grants.room,
            lifetime_s=self.settings.token_lifetime_s,
            now=self.wall_clock(),
        )
