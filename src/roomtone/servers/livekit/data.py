"""Data packets of a session: in from its client's channels, out on those the client listens to."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from roomtone.control.rooms import CloseReason, Connection, DataKind, DataPacket, RoomError
from roomtone.media import DataChannel, EngineCommandError
from roomtone.protocols.livekit import (
    LOSSY_CHANNEL,
    RELIABLE_CHANNEL,
    BadMessageError,
    Sender,
    read_packet,
    sign,
    topic_of,
    write_user,
)
from roomtone.servers.livekit.context import Trouble

if TYPE_CHECKING:
    from roomtone.media.values import ChannelId
    from roomtone.servers.livekit.session import Session

_LABELS = {RELIABLE_CHANNEL: DataKind.RELIABLE, LOSSY_CHANNEL: DataKind.LOSSY}


class SessionData:
    """Channels of one session, and what waits to go out on them.

    Limit: ``data_queue`` packets wait. When full the oldest lossy one goes, counted; a reliable one that finds no
    place ends the session, since its loss would go unnoticed. Of a client that has no channel the oldest of all goes,
    counted: it may never have one.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._outgoing: dict[DataKind, DataChannel] = {}
        self._incoming: dict[ChannelId, DataKind] = {}
        self._queue: deque[DataPacket] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.last_sequence = 0
        """Number of the newest reliable packet that came, as its sender counts."""

    # --- control.rooms.ChannelListener ---

    def channel_opened(self, connection: Connection, channel: DataChannel) -> None:
        """Listen at a channel of the client; send on it where there is none of ours."""
        kind = _LABELS.get(channel.label)
        if kind is None:
            return
        self._incoming[channel.id] = kind
        if self._session.sends_data_on(connection):
            self._outgoing[kind] = channel
            self._wake.set()

    def channel_message(self, channel: ChannelId, data: bytes, *, text: bool) -> None:
        """Pass a packet on to whom it is for."""
        del text
        kind = self._incoming.get(channel)
        session = self._session
        participant, context = session.participant, session.context
        if kind is None or participant.closed is not None:
            return
        try:
            packet = read_packet(data, context.settings.max_data_bytes)
        except BadMessageError:
            context.troubles[Trouble.BAD_PACKET] += 1
            return
        permissions = participant.permissions
        if packet.HasField("transcription") and not permissions.agent:
            context.troubles[Trouble.PACKET_NOT_ALLOWED] += 1
            return
        if kind is DataKind.RELIABLE and packet.sequence:
            if packet.sequence <= self.last_sequence:
                return  # came already, before its sender resumed
            self.last_sequence = packet.sequence
        if context.method_calls.take(participant.id, packet):
            return  # the answer to a call of the server API, for nobody else
        sender = Sender(participant.identity, participant.id, hidden=permissions.hidden, agent=permissions.agent)
        destinations = sign(packet, sender, reliable=kind is DataKind.RELIABLE)
        if kind is DataKind.RELIABLE and not destinations and session.chat.take(packet):
            return
        sent = DataPacket(
            kind=kind,
            payload=packet.SerializeToString(),
            topic=topic_of(packet),
            sender=participant.identity,
            destinations=destinations,
            message=packet.user.payload if packet.HasField("user") else None,
        )
        try:
            context.rooms.send_data(participant.room, sent)
        except RoomError:
            context.troubles[Trouble.PACKET_NOT_ALLOWED] += 1

    def channel_closed(self, channel: ChannelId) -> None:
        """Do without a channel."""
        self._incoming.pop(channel, None)
        self._outgoing = {kind: held for kind, held in self._outgoing.items() if held.id != channel}

    # --- control.rooms.DataSink ---

    def deliver(self, packet: DataPacket) -> bool:
        """Queue a packet for the client; what a full queue does with it is said above."""
        self._queue_up(packet if packet.payload else self._written(packet))
        return True

    def _written(self, packet: DataPacket) -> DataPacket:
        """Put what came otherwise into LiveKit's words."""
        room = self._session.participant.room
        sender = None if packet.sender is None else room.participants.get(packet.sender)
        from_whom = None
        if sender is not None:
            from_whom = Sender(sender.identity, sender.id, hidden=sender.permissions.hidden)
        reliable = packet.kind is DataKind.RELIABLE
        written = write_user(packet.message or b"", packet.topic, from_whom, packet.destinations, reliable=reliable)
        return replace(packet, payload=written.SerializeToString())

    def _queue_up(self, packet: DataPacket) -> None:
        context = self._session.context
        if len(self._queue) >= context.settings.data_queue:
            lossy = next((held for held in self._queue if held.kind is DataKind.LOSSY), None)
            if lossy is not None:
                self._queue.remove(lossy)
                context.troubles[Trouble.PACKET_LOST] += 1
            elif DataKind.RELIABLE not in self._outgoing:
                self._queue.popleft()
                context.troubles[Trouble.PACKET_LOST] += 1
            elif packet.kind is DataKind.LOSSY:
                context.troubles[Trouble.PACKET_LOST] += 1
                return
            else:
                context.troubles[Trouble.SLOW] += 1
                self._queue.clear()
                self._session.end_soon(CloseReason.SLOW_CLIENT)
                return
        self._queue.append(packet)
        self._wake.set()

    def start(self) -> None:
        """Send what is queued from now on."""
        self._task = asyncio.ensure_future(self._send())

    def stop(self) -> None:
        """Send no more."""
        if self._task is not None:
            self._task.cancel()

    async def open_channels(self, connection: Connection) -> None:
        """Open the channels the client listens to, on the connection we offered."""
        with contextlib.suppress(EngineCommandError):  # the connection ended meanwhile, and says so itself
            await connection.transport.open_channel(RELIABLE_CHANNEL)
            await connection.transport.open_channel(LOSSY_CHANNEL, ordered=False, max_retransmits=0)

    async def _send(self) -> None:
        while True:
            sendable = next((held for held in self._queue if held.kind in self._outgoing), None)
            if sendable is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            self._queue.remove(sendable)
            await self._send_one(sendable)

    async def _send_one(self, packet: DataPacket) -> None:
        context = self._session.context
        try:
            await self._outgoing[packet.kind].send(packet.payload)
        except EngineCommandError as error:
            if packet.kind is DataKind.LOSSY:
                context.troubles[Trouble.PACKET_LOST] += 1
                return
            if error.retryable:
                self._queue.appendleft(packet)
                await asyncio.sleep(context.settings.data_retry_s)
                return
            context.troubles[Trouble.PACKET_LOST] += 1
