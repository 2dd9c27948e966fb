"""One participant that came by LiveKit's protocol: from its join to its end, over any number of sockets.

A session outlives its socket for ``resume_window_s``: media goes on meanwhile, and a client that comes back takes it
over. Everything about one session happens in turn: requests, what happens in the room, a socket that comes or goes.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from livekit.protocol import models, rtc

from roomtone.control.policy import Allowance
from roomtone.control.rooms import CloseReason, Connection, EventsLostError, Participant, Publication, RoomError
from roomtone.protocols.sdp import NegotiationError, SdpError
from roomtone.servers.livekit.chat import SessionChat
from roomtone.servers.livekit.context import Trouble
from roomtone.servers.livekit.data import SessionData
from roomtone.servers.livekit.infos import codec_infos, ice_server_infos, participant_info, room_info, server_info
from roomtone.servers.livekit.messages import leave_of
from roomtone.servers.livekit.news import News
from roomtone.servers.livekit.outbox import Outbox
from roomtone.servers.livekit.publisher import Publisher
from roomtone.servers.livekit.requests import REQUESTS
from roomtone.servers.livekit.subscriber import OfferingSubscriber, ReceivingSubscriber, Subscriber

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from roomtone.control.policy import AccessToken
    from roomtone.control.rooms import EventMailbox
    from roomtone.protocols.livekit import Join
    from roomtone.servers.livekit.context import LiveKitContext

_log = logging.getLogger(__name__)
_LIMIT_EXCEEDED = rtc.RequestResponse.Reason.LIMIT_EXCEEDED
_TOLD = frozenset(field.name for field in rtc.RequestResponse.DESCRIPTOR.oneofs_by_name["request"].fields)
"""Requests that their refusal can quote."""
MOVES_SINCE = 16
"""The version of the protocol since which clients can be moved on the connections they have."""


class Session:
    """A client and its participant."""

    def __init__(self, context: LiveKitContext, participant: Participant, join: Join, token: AccessToken) -> None:
        self.context = context
        self.participant = participant
        self.join = join
        self.token = token
        self.client: models.ClientInfo = join.client
        self.data = SessionData(self)
        self.chat = SessionChat(self)
        self.publisher = Publisher(self)
        self.subscriber: Subscriber = ReceivingSubscriber(self) if join.single else OfferingSubscriber(self)
        self.news = News(self)
        self.turn = asyncio.Lock()
        self._allowance = Allowance(context.pace, context.clock())
        self._outbox: Outbox | None = None
        """What goes to its socket, while there is one."""
        self._reading: asyncio.Task[None] | None = None
        self._window: asyncio.TimerHandle | None = None
        self._refresh: asyncio.TimerHandle | None = None
        self._subscribed: set[str] = set()

    # --- what others ask of it ---

    @property
    def attached(self) -> bool:
        """Whether a socket is there."""
        return self._outbox is not None

    @property
    def reuses_sections(self) -> bool:
        """Whether the client notices another track in a section that was idle; Safari does not."""
        return "safari" not in self.client.browser.lower()

    def sends_data_on(self, connection: Connection) -> bool:
        """Whether data goes to the client on this connection's channels."""
        return connection is self.subscriber.connection or self.join.single

    def send(self, message: rtc.SignalResponse) -> None:
        """Tell the client something."""
        if self._outbox is not None:
            self._outbox.put(message)

    def refuse(self, reason: rtc.RequestResponse.Reason, message: str, request_id: int = 0, **request: Any) -> None:
        """Tell the client that a request was not done, and which."""
        self.context.troubles[Trouble.REFUSED] += 1
        response = rtc.RequestResponse(request_id=request_id, reason=reason, message=message, **request)
        self.send(rtc.SignalResponse(request_response=response))

    def tell_subscribed(self, publication: Publication) -> None:
        """Tell a publisher that somebody has its track, the first time."""
        other = self.context.sessions.of(publication.participant)
        if other is not None:
            other.on_subscribed(publication.id)

    def on_subscribed(self, sid: str) -> None:
        """Tell the client that somebody has one of its tracks, the first time."""
        if sid not in self._subscribed:
            self._subscribed.add(sid)
            self.send(rtc.SignalResponse(track_subscribed=rtc.TrackSubscribed(track_sid=sid)))

    def on_sent_to(self, room: str) -> None:
        """Give the client a token for the room it is sent to; the farewell tells it to connect anew."""
        self.refresh_token(room)

    # --- control.rooms.Mover ---

    @property
    def ready(self) -> bool:
        """Whether the client can be told that it is in another room, and goes on there as it is."""
        return self.attached and self.client.protocol >= MOVES_SINCE

    @asynccontextmanager
    async def moving(self) -> AsyncIterator[None]:
        """Let no request of the client be handled meanwhile."""
        async with self.turn:
            yield

    def moved(self, successor: Participant) -> None:
        """Go on for the participant that the client is in another room."""
        context = self.context
        self.participant = successor
        self.token = replace(self.token, grants=replace(self.token.grants, room=successor.room.name))
        self._subscribed.clear()
        context.sessions.add(self)
        self._stand_for(successor)
        self.publisher.on_moved(successor)
        self.subscriber.on_moved()
        events = successor.room.events.open()
        if self._reading is not None:
            self._reading.cancel()
        response = rtc.RoomMovedResponse(
            room=room_info(successor.room),
            token=context.fresh_token(self) or "",
            participant=participant_info(context, successor),
            other_participants=self.news.begin(),
        )
        self.send(rtc.SignalResponse(room_moved=response))
        self._reading = asyncio.ensure_future(self._read_anew(events))

    def end_soon(self, reason: CloseReason) -> None:
        """End the participant, from where nothing can be awaited."""
        self.context.rooms.spawn(self.context.rooms.end(self.participant, reason))

    def refresh_token(self, room: str | None = None) -> None:
        """Give the client a fresh token, so that it can come back however long it stays."""
        text = self.context.fresh_token(self, room)
        if text is not None:
            self.send(rtc.SignalResponse(refresh_token=text))

    # --- life ---

    async def open(self) -> Outbox:
        """Begin; gives what the client is told, where it is being first. Raise `RoomError` when that is impossible."""
        events = self.participant.room.events.open()
        self.context.sessions.add(self)
        self._stand_for(self.participant)
        self.data.start()
        outbox = self._attach()
        self.send(rtc.SignalResponse(join=self._join_response()))
        self._reading = asyncio.ensure_future(self._read(events))
        async with self.turn:
            for request in self.join.tracks:
                await self.publisher.announce(request)
            if isinstance(self.subscriber, OfferingSubscriber):
                await self.subscriber.open()
            if self.join.offer is not None:
                await self._guarded("offer", self.join.offer)
        self._arm_refresh()
        return outbox

    async def resume(self, join: Join, token: AccessToken) -> Outbox:
        """Go on over another socket; gives what the client is told there."""
        async with self.turn:
            self.context.resumed += 1
            self.token = token
            self.client = join.client if join.client.version else self.client
            outbox = self._attach()
            response = rtc.ReconnectResponse(
                ice_servers=ice_server_infos(self.context, self.participant.identity),
                server_info=server_info(self.context),
                last_message_seq=self.data.last_sequence,
            )
            self.send(rtc.SignalResponse(reconnect=response))
            self.news.present()
            self.publisher.tell_wanted()
            if isinstance(self.subscriber, OfferingSubscriber):
                await self.subscriber.resume()
            await self.subscriber.reconcile()
        self._arm_refresh()
        return outbox

    async def handle(self, request: rtc.SignalRequest) -> None:
        """Do what the client asks."""
        kind = request.WhichOneof("message")
        if kind is None or self.participant.closed is not None:
            return
        async with self.turn:
            await self._guarded(kind, getattr(request, kind))

    async def take_turn(self, request: rtc.SignalRequest | None = None) -> bool:
        """Whether the client's next request may be done; of one that asks too fast it is refused, and read no further.

        So what a flooder sends waits at its own socket, and costs others nothing.
        """
        wait_s = self._allowance.take(self.context.clock())
        kind = None if request is None else request.WhichOneof("message")
        if not wait_s or kind == "leave":
            return True
        self.context.troubles[Trouble.TOO_FAST] += 1
        if request is not None and kind in _TOLD:
            about = getattr(request, kind)
            request_id = getattr(about, "request_id", 0)
            self.refuse(_LIMIT_EXCEEDED, "too many requests", request_id, **{kind: about})
        else:
            self.refuse(_LIMIT_EXCEEDED, f"too many requests: {kind or 'unknown'}")
        await asyncio.sleep(wait_s)
        return False

    async def choose(self, track_sids: Sequence[str], *, subscribe: bool) -> None:
        """Subscribe to tracks for the client, or unsubscribe from them."""
        async with self.turn:
            request = rtc.UpdateSubscription(track_sids=track_sids, subscribe=subscribe)
            await self.subscriber.choose(request)

    def detach(self, outbox: Outbox) -> None:
        """Note that a socket went away without a farewell: the client may come back for a while."""
        outbox.end()
        if outbox is not self._outbox:
            return  # it has come back already
        self._outbox = None
        if self.participant.closed is not None:
            return
        self.context.signals_lost += 1
        if self._refresh is not None:
            self._refresh.cancel()
        delay = self.context.settings.resume_window_s
        loop = asyncio.get_running_loop()
        self._window = loop.call_later(delay, self.end_soon, CloseReason.SIGNAL_TIMEOUT)

    async def leave(self, reason: CloseReason = CloseReason.LEFT) -> None:
        """End the participant."""
        await self.context.rooms.end(self.participant, reason)

    # --- steps ---

    def _stand_for(self, participant: Participant) -> None:
        participant.data_sink = self.data
        participant.mover = self
        participant.when_closed(self._on_closed)

    def _attach(self) -> Outbox:
        if self._window is not None:
            self._window.cancel()
            self._window = None
        if self._outbox is not None:
            self._outbox.end()
        self._outbox = Outbox(self.context.settings.signal_queue, self._on_slow)
        return self._outbox

    def _on_slow(self) -> None:
        self.context.troubles[Trouble.SLOW] += 1
        self.end_soon(CloseReason.SLOW_CLIENT)

    async def _guarded(self, kind: str, content: Any) -> None:
        """Handle one request; what the client cannot be answered on ends its session, with a reason."""
        try:
            await REQUESTS[kind](self, content)
        except (SdpError, NegotiationError) as error:
            self.context.troubles[Trouble.BAD_SDP] += 1
            _log.info("a client of room %s sent SDP that cannot be used: %s", self.participant.room.name, error)
            await self.leave(CloseReason.BAD_SIGNAL)
        except RoomError as error:
            self.context.troubles[Trouble.REFUSED] += 1
            if self.participant.closed is None:
                _log.warning("a request (%s) of a client failed: %s", kind, error.message)
                self.refuse(rtc.RequestResponse.Reason.UNCLASSIFIED_ERROR, error.message)

    async def _read_anew(self, events: EventMailbox) -> None:
        """Follow the room that the client is in now, from what is there."""
        async with self.turn:
            await self.subscriber.reconcile()
        await self._read(events)

    async def _read(self, events: EventMailbox) -> None:
        """Follow the room."""
        while self.participant.closed is None:
            try:
                event = await events.get()
            except EventsLostError:
                events = self.participant.room.events.open()
                async with self.turn:
                    self.news.present()
                    await self.subscriber.reconcile()
                continue
            if event is None:
                return
            async with self.turn:
                try:
                    await self.news.handle(event)
                except RoomError as error:
                    self.context.troubles[Trouble.REFUSED] += 1
                    _log.warning("an event (%s) could not be acted on: %s", event.kind.value, error.message)
                except Exception:  # noqa: BLE001 - what the client was told may be half of it: it is to begin anew
                    _log.exception("an event (%s) was not acted on for a client", event.kind.value)
                    self.end_soon(CloseReason.MEDIA_FAILED)
                    return

    def _on_closed(self, reason: CloseReason) -> None:
        if self.participant.successor is not None:
            return  # it goes on in another room, see `moved`
        for timer in (self._window, self._refresh):
            if timer is not None:
                timer.cancel()
        if reason is CloseReason.MOVED and self.participant.moved_to is not None:
            self.on_sent_to(self.participant.moved_to)
        if self._outbox is not None:
            self._outbox.end(leave_of(reason))
        self.data.stop()
        if self._reading is not None:
            self._reading.cancel()

    def _arm_refresh(self) -> None:
        if self._refresh is not None:
            self._refresh.cancel()
        delay = self.context.settings.refresh_token_s

        def refresh() -> None:
            self.refresh_token()
            self._arm_refresh()

        self._refresh = asyncio.get_running_loop().call_later(delay, refresh)

    def _join_response(self) -> rtc.JoinResponse:
        context, participant, settings = self.context, self.participant, self.context.settings
        info = server_info(context)
        return rtc.JoinResponse(
            room=room_info(participant.room),
            participant=participant_info(context, participant),
            other_participants=self.news.others(),
            server_version=info.version,
            server_info=info,
            ice_servers=ice_server_infos(context, participant.identity),
            subscriber_primary=not self.join.single and participant.permissions.can_subscribe,
            ping_interval=settings.ping_interval_s,
            ping_timeout=settings.ping_timeout_s,
            enabled_publish_codecs=codec_infos(context.support.formats, participant.room),
        )
