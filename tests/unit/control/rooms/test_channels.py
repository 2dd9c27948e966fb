"""Data channels of a connection are told to who listens there, and forgotten with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from rooms_world import PEER, World

from roomtone.control.rooms import Connection, JoinRequest
from roomtone.media import DataChannel
from roomtone.media.values import ChannelClosed, ChannelId, ChannelMessage


@dataclass
class Heard:
    news: list[tuple[str, object]] = field(default_factory=list)

    def channel_opened(self, connection: Connection, channel: DataChannel) -> None:
        del connection
        self.news.append(("opened", channel.label))

    def channel_message(self, channel: ChannelId, data: bytes, *, text: bool) -> None:
        del channel, text
        self.news.append(("message", data))

    def channel_closed(self, channel: ChannelId) -> None:
        del channel
        self.news.append(("closed", None))


async def test_a_listener_hears_of_channels_in_order_and_nothing_stays_behind(world: World) -> None:
    participant = await world.rooms.join("demo", JoinRequest("alice"))
    heard = Heard()
    connection = await world.rooms.open_connection(participant, listener=heard)
    await world.rooms.connect(connection, PEER)
    world.link.connect_peer(connection.transport.id)
    first = await connection.transport.open_channel("_reliable")
    second = await connection.transport.open_channel("_lossy", ordered=False, max_retransmits=0)
    await world.settle()
    world.link.emit(ChannelMessage(channel=first.id, data=b"hello", text=False))
    world.link.emit(ChannelClosed(channel=second.id))
    await world.settle()
    assert heard.news == [("opened", "_reliable"), ("opened", "_lossy"), ("message", b"hello"), ("closed", None)]
    assert set(world.rooms.channels) == {first.id}
    await world.rooms.end(participant)
    assert world.rooms.channels == {}
