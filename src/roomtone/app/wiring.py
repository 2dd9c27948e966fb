"""Control and the API over an engine: the one place that knows their constructors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roomtone.app.errors import StartError
from roomtone.app.webhooks import PublishAsking, Webhooks, make_publish_hook, make_webhooks
from roomtone.control.live import RoomMaking
from roomtone.control.policy import Pace
from roomtone.control.rooms import RoomLimits, Rooms, SpeakerRules
from roomtone.protocols.sdp import Support
from roomtone.servers.api import ApiContext, create_app
from roomtone.servers.livekit import (
    SUPPORT,
    LiveKitContext,
    livekit_routes,
    report_ingresses,
    report_rooms,
    twirp_routes,
)
from roomtone.servers.socketio import Sfu, SfuContext, SocketServer, add_rest

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from roomtone.app.people import People
    from roomtone.config import Settings
    from roomtone.control.live import LiveStreams
    from roomtone.control.policy import JoinLimiter
    from roomtone.media import Engine


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs on top of the engine."""

    rooms: Rooms
    live: LiveStreams
    api: ASGIApp
    limiter: JoinLimiter
    livekit: LiveKitContext
    sfu: Sfu
    sockets: SocketServer
    webhooks: Webhooks
    context: ApiContext
    """Of the API; phones join it when they are open."""
    hook: PublishAsking | None

    async def start(self) -> None:
        """Begin what runs by itself."""
        self.rooms.start()
        await self.webhooks.delivery.start()

    async def close(self) -> None:
        """End everything that runs on top of the engine."""
        await self.sockets.close()
        await self.context.ingests.close()
        await self.live.close()
        await self.context.transcodings.close()
        await self.rooms.close()
        await self.sfu.close()
        if self.hook is not None:
            await self.hook.close()
        await self.webhooks.close()  # last: it tells of all that has ended


def wire(settings: Settings, engine: Engine, version: str, people: People) -> Parts:
    """Put control and the API together."""
    # What goes with its room is not written down: a server that ends at once would leave it behind.
    rooms = Rooms(engine, room_limits(settings), chat_store=people.chat if settings.chat.keep else None)
    webrtc = settings.webrtc
    support = Support(redundant_audio=webrtc.redundant_audio, audio_nack=webrtc.audio_nack)
    context = ApiContext(
        settings=settings,
        rooms=rooms,
        engine=engine,
        version=version,
        support=support,
        accounts=people.accounts,
        api_keys=people.api_keys,
        audit=people.audit_table,
        stream_keys=people.stream_keys,
        ingress_book=people.ingresses,
    )
    hook = make_publish_hook(settings, people)
    context.rights.hook = None if hook is None else hook.ask
    webhooks = make_webhooks(settings, people)
    context.webhooks = webhooks.delivery
    context.phone_book = people.phones
    api = create_app(context)
    livekit = livekit_context(context)
    livekit.phone_book = people.phones
    if settings.webhooks.urls:
        report_rooms(livekit, webhooks.delivery)
        if context.ingresses is not None:
            report_ingresses(livekit, webhooks.delivery, context.ingresses)
    api.router.routes.extend([*livekit_routes(livekit), *twirp_routes(livekit)])
    shared = SfuContext(settings, rooms, context.keys, context.limiter, people.accounts, context.ice_rules, support)
    sfu = Sfu(shared)
    add_rest(api, sfu)
    return Parts(rooms, context.live, api, context.limiter, livekit, sfu, SocketServer(sfu), webhooks, context, hook)


def livekit_context(api: ApiContext) -> LiveKitContext:
    """Give LiveKit's endpoints what they share with the API."""
    return LiveKitContext(
        settings=api.settings.livekit,
        rooms=api.rooms,
        keys=api.keys,
        limiter=api.limiter,
        pace=Pace(api.settings.limits.signals_per_second, api.settings.limits.signal_burst),
        ice_rules=api.ice_rules,
        support=replace(SUPPORT, redundant_audio=api.support.redundant_audio, audio_nack=api.support.audio_nack),
        version=api.version,
        dev=api.settings.server.dev,
        ingresses=api.ingresses,
        makes_for_rooms=api.transcodings.rules.making is not RoomMaking.OFF,
    )


def room_limits(settings: Settings) -> RoomLimits:
    """Limits of rooms, from the settings."""
    chat = settings.chat
    limits = RoomLimits(
        **settings.rooms.model_dump(),
        plain_listen_ip=settings.plain.listen_ip,
        speakers=SpeakerRules(**settings.speakers.model_dump()),
        chat_max_length=chat.max_length,
        chat_burst=chat.burst,
        chat_per_minute=chat.per_minute,
        chat_history=chat.history,
        chat_keep=chat.keep,
    )
    if unknown := limits.defaults().unknown_codecs():
        raise StartError(f"rooms.codecs: no codec is called {' or '.join(unknown)}")
    return limits
