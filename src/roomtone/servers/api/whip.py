"""WHIP and WHEP over HTTP: POST makes a participant or a viewer, PATCH and DELETE act on it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response

from roomtone.control.live import CARRIED, Ingress, IngressInput
from roomtone.control.policy import Grant, JoinTicket, ice_servers
from roomtone.control.rooms import (
    Connection,
    JoinRequest,
    Participant,
    ParticipantKind,
    Protocol,
    SubscriptionOffer,
    TrackOffer,
    UnawareMover,
    Viewer,
    usual_source,
)
from roomtone.protocols import sdp, whip
from roomtone.protocols.whip import fragment
from roomtone.servers.api.requests import (
    authorize,
    bearer,
    client_address,
    context_of,
    join_request,
    read_body,
    require_media_type,
)
from roomtone.servers.api.resources import Resource, ResourceKind, digest, new_id
from roomtone.servers.api.status import HttpProblem

SDP = "application/sdp"
router = APIRouter(tags=["WHIP and WHEP"])
_SDP_BODY = {"requestBody": {"required": True, "content": {SDP: {"schema": {"type": "string"}}}}}
_FRAGMENT_BODY = {"requestBody": {"required": True, "content": {fragment.MEDIA_TYPE: {"schema": {"type": "string"}}}}}
_POST_ANSWERS: dict[int | str, dict[str, str]] = {
    201: {"description": "The SDP answer; Location names the resource"},
    400: {"description": "Not SDP; `line` says where"},
    401: {"description": "No valid token"},
    403: {"description": "The token does not cover this"},
    406: {"description": "No codec both sides know"},
    409: {"description": "Nobody publishes yet (WHEP)"},
    413: {"description": "Body over its limit"},
    415: {"description": "Not application/sdp"},
    422: {"description": "The offer cannot be served"},
    503: {"description": "A limit is reached; Retry-After says when to try again"},
}
_GRANTS = {ResourceKind.WHIP: Grant.PUBLISH, ResourceKind.WHEP: Grant.SUBSCRIBE}


@router.post("/whip/{room}", status_code=201, responses=_POST_ANSWERS, openapi_extra=_SDP_BODY, summary="Publish")
async def publish(
    request: Request,
    room: str,
    live: Annotated[str | None, Query(description="The room goes live with it: only H.264 and Opus are taken")] = None,
) -> Response:
    """Publish to a room (RFC 9725): the token's `sub` is the participant; an older one of that identity goes.

    With `?live` the room goes live as soon as it has joined; where that cannot be, nothing is published. Where `room`
    is the id of an ingress, its stream key is the token, and the ingress says who joins which room.
    """
    context = context_of(request)
    publisher = _publisher(request, room)
    room = publisher.room
    goes_live = live is not None and live not in {"0", "false"}
    support = context.support.only(context.rooms.codecs_of(room))
    if goes_live:
        carried = frozenset().union(*CARRIED.values())
        support = replace(support.only(carried), redundant_audio=False)
    offer = await _read_offer(request, sdp.AnswerRole.RECEIVE, support)
    ticket = context.limiter.take(client_address(request), context.clock())
    try:
        participant, connection = await context.rooms.join_with_tracks(
            room,
            publisher.request,
            offer.peer,
            [publisher.offer(media) for media in offer.media],
        )
    except BaseException:
        ticket.release()
        raise
    participant.mover = UnawareMover()
    if goes_live:
        try:
            await context.live.ensure_live(participant.room)
        except BaseException:
            ticket.release()
            await context.rooms.end(participant)
            raise
    made = _Made(
        kind=ResourceKind.WHIP,
        room=room,
        member=participant,
        connection=connection,
        ticket=ticket,
        identity=participant.identity,
    )
    if publisher.ingress is not None and context.ingresses is not None:
        context.ingresses.take_in(publisher.ingress, participant)
    return _created(request, made, offer)


@router.post("/whep/{room}", status_code=201, responses=_POST_ANSWERS, openapi_extra=_SDP_BODY, summary="Watch")
async def watch(request: Request, room: str, participant: str | None = None) -> Response:
    """Watch a room: one `participant`, or else always the newest publisher."""
    context = context_of(request)
    token = authorize(request, room, Grant.SUBSCRIBE)
    offer = await _read_offer(request, sdp.AnswerRole.SEND, context.support)
    ticket = context.limiter.take(client_address(request), context.clock())
    try:
        viewer, connection = await context.rooms.watch(
            room,
            offer.peer,
            [_subscription_offer(media) for media in offer.media],
            participant,
            moderator=token.grants.room_admin,
        )
    except BaseException:
        ticket.release()
        raise
    made = _Made(
        kind=ResourceKind.WHEP, room=room, member=viewer, connection=connection, ticket=ticket, identity=token.identity
    )
    return _created(request, made, offer)


@router.head("/whip/{room}", include_in_schema=False)
@router.get("/whip/{room}", status_code=204, summary="Nothing to read")
async def read_whip_endpoint(request: Request, room: str) -> Response:
    """Answer without content (RFC 9725 section 4.1)."""
    del request, room
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.head("/whep/{room}", include_in_schema=False)
@router.get("/whep/{room}", summary="Say that this is a WHEP endpoint")
async def read_whep_endpoint(request: Request, room: str) -> Response:
    """Answer without content; the type tells a player what this URL is, as the WHEP draft asks."""
    del request, room
    return Response(status_code=HTTPStatus.OK, media_type=None, headers={"Content-Type": SDP})


@router.head("/whip/{room}/{resource_id}", include_in_schema=False)
@router.get("/whip/{room}/{resource_id}", status_code=204, summary="Whether it is there")
@router.head("/whep/{room}/{resource_id}", include_in_schema=False)
@router.get("/whep/{room}/{resource_id}", status_code=204, summary="Whether it is there")
async def read_resource(request: Request, room: str, resource_id: str) -> Response:
    """Answer without content, or 404."""
    resource = context_of(request).resources.get(kind_of(request), room, resource_id)
    if resource is None:
        raise _gone()
    return Response(status_code=HTTPStatus.NO_CONTENT, headers={"ETag": resource.generation.etag})


@router.delete("/whip/{room}/{resource_id}", summary="Stop publishing")
@router.delete("/whep/{room}/{resource_id}", summary="Stop watching")
async def delete(request: Request, room: str, resource_id: str) -> Response:
    """End the participant or viewer; a second time answers 404."""
    context = context_of(request)
    resource = authorize_resource(request, room, resource_id)
    await context.rooms.end(resource.member)
    return Response(status_code=HTTPStatus.OK)


@router.patch("/whip/{room}/{resource_id}", status_code=204, openapi_extra=_FRAGMENT_BODY, summary="Trickle, restart")
@router.patch("/whep/{room}/{resource_id}", status_code=204, openapi_extra=_FRAGMENT_BODY, summary="Trickle, restart")
async def patch(request: Request, room: str, resource_id: str) -> Response:
    """Take more candidates (204), or restart ICE (200 with our side and a new ETag)."""
    context = context_of(request)
    resource = authorize_resource(request, room, resource_id)
    require_media_type(request, fragment.MEDIA_TYPE, "Accept-Patch")
    if_match = request.headers.get("if-match")
    whip.check_precondition(resource.generation, if_match)
    body = await read_body(request, context.settings.limits.max_trickle_bytes)
    async with resource.patching:
        plan = whip.plan_patch(resource.generation, if_match, body)
        if resource.member.closed is not None:
            raise _gone()
        if isinstance(plan, whip.Trickle):
            await context.rooms.trickle(resource.connection, plan.candidates, complete=plan.end_of_candidates)
            return Response(status_code=HTTPStatus.NO_CONTENT)
        complete = plan.fragment.end_of_candidates
        await context.rooms.restart_ice(
            resource.connection, plan.ice_ufrag, plan.ice_pwd, plan.candidates, complete=complete
        )
        resource.generation = whip.IceGeneration(new_id(), plan.ice_ufrag, plan.ice_pwd)
        transport = resource.connection.transport
        local = whip.LocalIce(transport.ice_ufrag, transport.ice_pwd, sdp.order_candidates(transport.candidates))
        text = whip.write_fragment(local, plan.fragment)
    headers = {"ETag": resource.generation.etag}
    return Response(text, HTTPStatus.OK, headers, media_type=fragment.MEDIA_TYPE)


@dataclass(frozen=True, slots=True)
class _Publisher:
    """Who publishes, and where."""

    room: str
    request: JoinRequest
    ingress: Ingress | None = None

    def offer(self, media: sdp.NegotiatedMedia) -> TrackOffer:
        """Say what a track is in the room."""
        offer = _track_offer(media)
        return offer if self.ingress is None else self.ingress.offer(offer)


def _publisher(request: Request, name: str) -> _Publisher:
    """Give who publishes, of a token or the key of an ingress; raise `AccessError`."""
    book = context_of(request).ingress_book
    ingress = None if book is None else book.find(name)
    if book is None or ingress is None:
        token = authorize(request, name, Grant.PUBLISH)
        return _Publisher(name, join_request(token, ParticipantKind.INGEST, Protocol.WHIP))
    book.require(ingress, bearer(request), IngressInput.WHIP)
    return _Publisher(ingress.room, ingress.join_request(Protocol.WHIP), ingress)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What a POST made, on its way to a resource."""

    kind: ResourceKind
    room: str
    member: Participant | Viewer
    connection: Connection
    ticket: JoinTicket
    identity: str


def kind_of(request: Request) -> ResourceKind:
    """Tell the protocol from the path."""
    return ResourceKind(request.url.path.split("/")[1])


def authorize_resource(request: Request, room: str, id_: str) -> Resource:
    """Give a resource its token may act on; the very token it was made with does so even past its expiry."""
    kind = kind_of(request)
    resource = context_of(request).resources.get(kind, room, id_)
    if resource is not None and secrets.compare_digest(digest(bearer(request)), resource.token_digest):
        return resource
    token = authorize(request, room, _GRANTS[kind])
    if resource is None:
        raise _gone()
    if isinstance(resource.member, Participant) and resource.member.identity != token.identity:
        raise HttpProblem(HTTPStatus.FORBIDDEN, "other_participant", "the token is another participant's")
    return resource


def _gone() -> HttpProblem:
    return HttpProblem(HTTPStatus.NOT_FOUND, "no_such_resource", "there is no such resource, or no longer")


async def _read_offer(request: Request, role: sdp.AnswerRole, support: sdp.Support) -> sdp.Negotiated:
    context = context_of(request)
    require_media_type(request, SDP, "Accept-Post")
    body = await read_body(request, context.settings.limits.max_sdp_bytes)
    return sdp.negotiate(sdp.parse_session(body), role, support)


def _track_offer(media: sdp.NegotiatedMedia) -> TrackOffer:
    return TrackOffer(
        kind=media.kind,
        codecs=media.codecs,
        mid=media.mid,
        encodings=media.encodings,
        extensions=media.extensions,
        source=usual_source(media.kind),
        name=media.track or "",
    )


def _subscription_offer(media: sdp.NegotiatedMedia) -> SubscriptionOffer:
    return SubscriptionOffer(kind=media.kind, codecs=media.codecs, mid=media.mid, extensions=media.extensions)


def _created(request: Request, made: _Made, offer: sdp.Negotiated) -> Response:
    context = context_of(request)
    transport = made.connection.transport
    subscriptions = dict(zip((media.index for media in offer.media), made.member.subscriptions.values(), strict=False))
    local = sdp.LocalPeer(transport.ice_ufrag, transport.ice_pwd, transport.fingerprints, transport.candidates)
    sending = {
        index: sdp.Sending(
            subscription.consumer.ssrc,
            subscription.consumer.rtx_ssrc,
            subscription.consumer.cname,
            stream=made.room,
            track=subscription.id,
        )
        for index, subscription in subscriptions.items()
    }
    answer = sdp.write_answer(offer, sdp.AnswerDetails(local, secrets.randbits(62), sending))
    resource = Resource(
        kind=made.kind,
        id=new_id(),
        room=made.room,
        member=made.member,
        connection=made.connection,
        generation=whip.IceGeneration(new_id(), offer.peer.ice_ufrag, offer.peer.ice_pwd),
        token_digest=digest(bearer(request)),
        subscriptions=subscriptions,
        mids={media.mid: media.index for media in offer.media if media.mid is not None},
    )
    context.resources.add(resource, made.ticket)
    servers = ice_servers(context.ice_rules, made.identity, context.wall_clock())
    links = [whip.ice_server_link(server) for server in servers]
    if made.kind is ResourceKind.WHEP:
        links += whip.extension_links(resource.path)
    else:
        links += whip.publisher_links(resource.path)
    response = Response(answer.serialize(), HTTPStatus.CREATED, media_type=SDP)
    response.headers["Location"] = resource.path
    response.headers["ETag"] = resource.generation.etag
    response.headers["Accept-Patch"] = fragment.MEDIA_TYPE
    for link in links:
        response.headers.append("Link", link)
    return response
