"""LiveKit's `Ingress` service: places for sources, which are rooms' participants when they come."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from livekit.protocol import ingress

from roomtone.control.live import Ingress, IngressInput, IngressRefusal, PullRefusal, new_id, new_key
from roomtone.media.values import IngestProtocol
from roomtone.protocols.livekit import TwirpCode, TwirpError
from roomtone.servers.livekit.ingress_infos import INPUTS, ingress_info, refuse_transcoding, track_rule

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf.message import Message

    from roomtone.control.live import Ingresses
    from roomtone.servers.livekit.context import LiveKitContext
    from roomtone.servers.livekit.twirp_access import Caller

CODES = {
    IngressRefusal.NO_SUCH_INGRESS: TwirpCode.NOT_FOUND,
    IngressRefusal.TOO_MANY: TwirpCode.RESOURCE_EXHAUSTED,
    IngressRefusal.INVALID: TwirpCode.INVALID_ARGUMENT,
    IngressRefusal.ACTIVE: TwirpCode.FAILED_PRECONDITION,
    IngressRefusal.NOT_REUSABLE: TwirpCode.INVALID_ARGUMENT,
}
"""What a refusal is to the caller."""
PULL_CODES = {
    PullRefusal.EXISTS: TwirpCode.ALREADY_EXISTS,
    PullRefusal.TOO_MANY: TwirpCode.RESOURCE_EXHAUSTED,
    PullRefusal.UNSUPPORTED: TwirpCode.UNIMPLEMENTED,
    PullRefusal.BAD_URL: TwirpCode.INVALID_ARGUMENT,
    PullRefusal.PRIVATE: TwirpCode.PERMISSION_DENIED,
}
"""What it is where a URL is not fetched."""
_CHANGES = {
    "name": "label",
    "room_name": "room",
    "participant_identity": "identity",
    "participant_name": "participant_name",
    "participant_metadata": "metadata",
}
"""Fields of a request, empty where they are not to change, and what they are here."""


class IngressService:
    """The methods; each takes who calls and the request, and gives the answer."""

    def __init__(self, context: LiveKitContext) -> None:
        self.context = context

    @property
    def ingresses(self) -> Ingresses:
        """All ingresses; raise `TwirpError` where none are served."""
        if self.context.ingresses is None:
            raise TwirpError(TwirpCode.UNIMPLEMENTED, "this server keeps no ingresses")
        return self.context.ingresses

    async def create(self, caller: Caller, request: ingress.CreateIngressRequest) -> ingress.IngressInfo:
        """Make an ingress; one of a URL is fetched at once."""
        caller.must_administer_ingress()
        refuse_transcoding(request, makes=self.context.makes_for_rooms)
        input_ = INPUTS.get(request.input_type)
        if input_ is None:
            raise _bad(f"input_type: there is no {request.input_type}")
        if (input_ is IngressInput.URL) != bool(request.url):
            raise _bad("url: given where input_type is URL_INPUT, and nowhere else")
        if input_ is IngressInput.URL and request.HasField("enabled") and not request.enabled:
            raise _bad("enabled: what is fetched is fetched at once, and cannot be made disabled")
        id_ = new_id()
        made = Ingress(
            id_,
            input_,
            request.room_name,
            request.participant_identity,
            self._url(caller, id_, input_) or request.url,
            key="" if input_ is IngressInput.URL else new_key(),
            participant_name=request.participant_name,
            metadata=request.participant_metadata,
            label=request.name,
            enabled=request.enabled if request.HasField("enabled") else True,
            video=track_rule(request.video),
            audio=track_rule(request.audio),
        )
        return self._info(await self.ingresses.create(made))

    async def update(self, caller: Caller, request: ingress.UpdateIngressRequest) -> ingress.IngressInfo:
        """Change an ingress whose source is not there; one whose source is there can be disabled, which ends it."""
        caller.must_administer_ingress()
        refuse_transcoding(request, makes=self.context.makes_for_rooms)
        changes: dict[str, Any] = {
            ours: value for theirs, ours in _CHANGES.items() if (value := getattr(request, theirs))
        }
        if request.HasField("enabled"):
            changes["enabled"] = request.enabled
        if request.HasField("video"):
            changes["video"] = track_rule(request.video)
        if request.HasField("audio"):
            changes["audio"] = track_rule(request.audio)
        old = self.ingresses.book.get(request.ingress_id)
        return self._info(await self.ingresses.change(replace(old, **changes)))

    async def list(self, caller: Caller, request: ingress.ListIngressRequest) -> ingress.ListIngressResponse:
        """List ingresses, all or those of a room or an id; there is one page."""
        caller.must_administer_ingress()
        if request.page_token.token:
            raise _bad("page_token: none was given out, since all are on the first page")
        found = [
            one
            for one in self.ingresses.book.list()
            if request.room_name in {"", one.room} and request.ingress_id in {"", one.id}
        ]
        return ingress.ListIngressResponse(items=[self._info(one) for one in found])

    async def delete(self, caller: Caller, request: ingress.DeleteIngressRequest) -> ingress.IngressInfo:
        """Delete an ingress and send its source away."""
        caller.must_administer_ingress()
        return self._info(await self.ingresses.delete(request.ingress_id))

    def _info(self, one: Ingress) -> ingress.IngressInfo:
        return ingress_info(self.context, one, self.ingresses.life(one.id))

    def _url(self, caller: Caller, id_: str, input_: IngressInput) -> str:
        """Give where sources are to be pushed; raise `TwirpError` where nobody listens for them."""
        settings = self.context.settings
        match input_:
            case IngressInput.RTMP:
                if settings.ingress_rtmp_url:
                    return settings.ingress_rtmp_url.rstrip("/")
                port = self.ingresses.port_of(IngestProtocol.RTMP)
                if port is None:
                    text = "RTMP_INPUT: nobody listens for RTMP (rtmp.enabled, live.enabled)"
                    raise TwirpError(TwirpCode.FAILED_PRECONDITION, text)
                host = urlsplit(caller.base_url).hostname or "localhost"
                return f"rtmp://{f'[{host}]' if ':' in host else host}:{port}/live"
            case IngressInput.WHIP:
                base = (settings.ingress_whip_url or f"{caller.base_url.rstrip('/')}/whip").rstrip("/")
                return f"{base}/{id_}"
            case IngressInput.URL:
                return ""


def _bad(text: str) -> TwirpError:
    return TwirpError(TwirpCode.INVALID_ARGUMENT, text)


INGRESS_SERVICE: dict[str, Callable[[IngressService, Caller, Any], Awaitable[Message]]] = {
    "CreateIngress": IngressService.create,
    "UpdateIngress": IngressService.update,
    "ListIngress": IngressService.list,
    "DeleteIngress": IngressService.delete,
}
"""The methods by their names in LiveKit's protocol."""
