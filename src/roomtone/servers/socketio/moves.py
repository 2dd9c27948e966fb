"""Peers that were sent to another room: mediasoup's protocol has no word for that, so their clients join there anew.

Who came by Socket.IO is told by ``moved``, who came by HTTP by the answer to its next request. Either gets a token for
the other room. Limits: ``MAX_MOVED`` are remembered; of one forgotten is said that there is no such peer.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from roomtone.control.policy import VideoGrants, renewed_token
from roomtone.servers.socketio.problems import SfuError

if TYPE_CHECKING:
    from roomtone.servers.socketio.context import SfuContext
    from roomtone.servers.socketio.peers import SfuPeer

MAX_MOVED = 4_096


@dataclass(frozen=True, slots=True)
class Moved:
    """Where a peer was sent, and what it may join there with; no token where its key is gone by now."""

    room: str
    token: str | None = field(repr=False)

    def describe(self) -> dict[str, Any]:
        """Give what its client is told."""
        return {"toRoomId": self.room} | ({} if self.token is None else {"token": self.token})


class PeerMovedError(SfuError):
    """A request for a peer that is in the room no longer, since it was sent to another one."""

    def __init__(self, id_: str, moved: Moved) -> None:
        text = f"the peer {id_!r} was sent to the room {moved.room!r}: it may join there"
        super().__init__(HTTPStatus.CONFLICT, "peer_moved", text)
        self.moved = moved

    def body(self) -> dict[str, object]:
        """Give what clients are answered: the error, the other room and a token for it."""
        return {"error": {"code": self.code, "message": self.message, **self.moved.describe()}}


class MovedPeers:
    """The peers that were moved, by the room they were in."""

    def __init__(self, context: SfuContext) -> None:
        self._context = context
        self._moved: OrderedDict[tuple[str, str], Moved] = OrderedDict()

    def add(self, peer: SfuPeer, to_room: str) -> Moved:
        """Remember where a peer was sent."""
        token = renewed_token(
            self._context.keys,
            peer.caller.token,
            peer.participant,
            VideoGrants(),
            to_room,
            lifetime_s=self._context.settings.livekit.token_lifetime_s,
            now=self._context.wall_clock(),
        )
        moved = Moved(to_room, token)
        key = (peer.participant.room.name, peer.id)
        self._moved.pop(key, None)
        self._moved[key] = moved
        while len(self._moved) > MAX_MOVED:
            self._moved.popitem(last=False)
        return moved

    def forget(self, room: str, id_: str) -> None:
        """Forget that a peer was moved: it is in the room again."""
        self._moved.pop((room, id_), None)

    def check(self, room: str, id_: str) -> None:
        """Raise `PeerMovedError` for a peer that was moved."""
        moved = self._moved.get((room, id_))
        if moved is not None:
            raise PeerMovedError(id_, moved)
