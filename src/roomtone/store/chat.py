"""Chat messages in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from sqlalchemy import delete, insert, select, update

from roomtone.store.rows import columns_of, record_of
from roomtone.store.tables import chat_messages

if TYPE_CHECKING:
    from roomtone.store.sql import Database


class _Message(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def room(self) -> str: ...


_M = TypeVar("_M", bound=_Message)
_COLUMNS = [column for column in chat_messages.c if column.name != "seq"]


class SqlChat(Generic[_M]):
    """The table of chat messages, read as ``type_``: a dataclass with the fields of `roomtone.store.ChatRecord`."""

    def __init__(self, database: Database, type_: type[_M]) -> None:
        self._database = database
        self._type = type_

    async def add(self, message: _M) -> None:
        """Keep a new message."""
        async with self._database.transaction() as sql:
            await sql.execute(insert(chat_messages).values(columns_of(message)))

    async def get(self, room: str, id_: str) -> _M | None:
        """Give a message of a room."""
        async with self._database.transaction() as sql:
            row = (await sql.execute(select(*_COLUMNS).where(*_is(room, id_)))).first()
        return None if row is None else record_of(self._type, row)

    async def replace(self, message: _M) -> None:
        """Put another version in the place of a message that is kept; nothing when it is kept no longer."""
        values = columns_of(message)
        del values["room"], values["id"]
        async with self._database.transaction() as sql:
            await sql.execute(update(chat_messages).where(*_is(message.room, message.id)).values(values))

    async def history(self, room: str, *, before: str | None = None, limit: int = 50) -> list[_M]:
        """Give the last messages, oldest first; with ``before`` those that came before that one."""
        wanted = select(*_COLUMNS).where(chat_messages.c.room == room)
        if before is not None:
            place = select(chat_messages.c.seq).where(*_is(room, before)).scalar_subquery()
            wanted = wanted.where(chat_messages.c.seq < place)
        async with self._database.transaction() as sql:
            rows = await sql.execute(wanted.order_by(chat_messages.c.seq.desc()).limit(limit))
            return [record_of(self._type, row) for row in rows][::-1]

    async def forget(self, room: str) -> None:
        """Drop all messages of a room."""
        async with self._database.transaction() as sql:
            await sql.execute(delete(chat_messages).where(chat_messages.c.room == room))

    async def purge(self, before: float) -> int:
        """Forget messages older than that, in all rooms; how many."""
        async with self._database.transaction() as sql:
            done = await sql.execute(delete(chat_messages).where(chat_messages.c.at < before))
        return int(done.rowcount)


def _is(room: str, id_: str) -> tuple[Any, Any]:
    return chat_messages.c.room == room, chat_messages.c.id == id_
