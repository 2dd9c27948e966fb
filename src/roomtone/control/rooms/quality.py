"""How good a member's line is: as good as the worst of its connections, whichever of them spoke last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.rooms.events import RoomEventKind
from roomtone.media.values import QualityLevel

if TYPE_CHECKING:
    from roomtone.control.rooms.model import AnyConnection, Member
    from roomtone.media.values import QualityChanged

_RANKS = {level: rank for rank, level in enumerate(QualityLevel)}
"""From the worst to the best."""


def judge_connection(connection: AnyConnection, said: QualityChanged) -> None:
    """Note what the engine says of a connection; its member is told of, where that changes the worst of all."""
    before = _worst(connection.owner)
    connection.quality = said
    _tell(connection.owner, before)


def drop_connection(member: Member, connection: AnyConnection) -> None:
    """Take a connection from a member that goes on; with the worst one the member's quality is another."""
    before = _worst(member)
    del member.connections[connection.transport.id]
    _tell(member, before)


def _worst(member: Member) -> QualityChanged | None:
    known = [connection.quality for connection in member.connections.values() if connection.quality is not None]
    return min(known, key=lambda said: (_RANKS[said.level], said.score), default=None)


def _tell(member: Member, before: QualityChanged | None) -> None:
    worst = _worst(member)
    if worst is before:
        return
    member.quality = None if worst is None else worst.level
    if worst is not None:
        member.emit(RoomEventKind.QUALITY_CHANGED, quality=worst.level, score=worst.score, degradation=worst.reason)
