"""Chat messages in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from roomtone.store.records import ChatRecord
from roomtone.store.rows import columns_of, record_of
from roomtone.store.tables import chat_messages

if TYPE_CHECKING:
    from roomtone.store.sql import Database


class SqlChat:
    """The table of chat messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, message: ChatRecord) -> None:
        """Add a message."""
        async with self._database.transaction() as sql:
            await sql.execute(insert(chat_messages).values(columns_of(message)))

    async def get(self, room: str, message_id: str) -> ChatRecord | None:
        """Find a message of a room."""
        mine = (chat_messages.c.room == room, chat_messages.c.id == message_id)
        async with self._database.transaction() as sql:
            row = (await sql.execute(select(chat_messages).where(*mine))).first()
        return None if row is None else record_of(ChatRecord, row)

    async def update(self, room: str, message_id: str, **values: Any) -> ChatRecord | None:
        """Change a message that is not deleted; none where there is no such one."""
        mine = (chat_messages.c.room == room, chat_messages.c.id == message_id)
        async with self._database.transaction() as sql:
            done = await sql.execute(
                update(chat_messages).where(*mine, chat_messages.c.deleted.is_(False)).values(values)
            )
            if done.rowcount != 1:
                return None
            row = (await sql.execute(select(chat_messages).where(*mine))).one()
        return record_of(ChatRecord, row)

    async def history(self, room: str, limit: int, before: tuple[float, str] | None = None) -> list[ChatRecord]:
        """Give the newest messages of a room before a place (time, id), in the order they were sent."""
        at, id_ = chat_messages.c.sent_at, chat_messages.c.id
        wanted = select(chat_messages).where(chat_messages.c.room == room, chat_messages.c.deleted.is_(False))
        if before is not None:
            wanted = wanted.where((at < before[0]) | ((at == before[0]) & (id_ < before[1])))
        async with self._database.transaction() as sql:
            rows = await sql.execute(wanted.order_by(at.desc(), id_.desc()).limit(limit))
            return [record_of(ChatRecord, row) for row in rows][::-1]
