"""Plain RTP sources and sinks: `POST /api/v1/rooms/{room}/plain`."""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from roomtone.control.policy import Grant
from roomtone.control.rooms import (
    JoinRequest,
    ParticipantKind,
    PlainAddress,
    Protocol,
    SubscriptionOffer,
    TrackOffer,
    UnawareMover,
    usual_source,
)
from roomtone.media.values import CodecFeedback, EncodingParameters, MediaKind, SrtpKeys
from roomtone.protocols.sdp import Codec
from roomtone.protocols.sdp.plain import PlainStream, describe_plain
from roomtone.servers.api.plain_schemas import (
    PlainOpened,
    PlainPublishBody,
    PlainStreamBody,
    PlainStreamOpened,
    PlainSubscribeBody,
    SrtpBody,
)
from roomtone.servers.api.requests import authorize, context_of
from roomtone.servers.api.status import HttpProblem

if TYPE_CHECKING:
    from roomtone.control.rooms import PlainConnection

router = APIRouter(prefix="/api/v1", tags=["Plain RTP"], dependencies=[Depends(HTTPBearer(auto_error=False))])


async def may_administer(request: Request, room: str) -> None:
    """Refuse who may not administer the room, before the body is looked at."""
    authorize(request, room, Grant.ADMINISTER)


@router.post(
    "/rooms/{room}/plain",
    status_code=201,
    summary="Let a plain RTP source or sink join",
    dependencies=[Depends(may_administer)],
)
async def open_plain(request: Request, room: str, body: PlainPublishBody | PlainSubscribeBody) -> PlainOpened:
    """Open one port (or pair) a stream; needs roomAdmin, since a sink may be any address."""
    if isinstance(body, PlainPublishBody):
        return await _publish(request, room, body)
    return await _subscribe(request, room, body)


async def _publish(request: Request, room: str, body: PlainPublishBody) -> PlainOpened:
    sources = [
        (
            TrackOffer(
                kind=stream.kind,
                codecs=(_codec(request, stream),),
                encodings=() if stream.ssrc is None else (EncodingParameters(ssrc=stream.ssrc),),
                source=stream.source or usual_source(stream.kind),
            ),
            _address(stream),
        )
        for stream in body.publish
    ]
    join = JoinRequest(identity=body.identity, name=body.name, kind=ParticipantKind.INGEST, protocol=Protocol.PLAIN)
    participant, connections = await context_of(request).rooms.publish_plain(room, join, sources)
    participant.mover = UnawareMover()
    streams = [_opened(stream, connection) for stream, connection in zip(body.publish, connections, strict=True)]
    return PlainOpened(participant=participant.identity, streams=streams)


async def _subscribe(request: Request, room: str, body: PlainSubscribeBody) -> PlainOpened:
    if any(stream.ip is None or not stream.port for stream in body.subscribe):
        raise HttpProblem(HTTPStatus.UNPROCESSABLE_ENTITY, "no_address", "a sink needs ip and port")
    sinks = [
        (SubscriptionOffer(kind=stream.kind, codecs=(_codec(request, stream),)), _address(stream))
        for stream in body.subscribe
    ]
    viewer, connections = await context_of(request).rooms.watch_plain(room, sinks, body.participant)
    consumers = [subscription.consumer for subscription in viewer.subscriptions.values()]
    streams = [
        _opened(stream, connection, consumer.ssrc)
        for stream, connection, consumer in zip(body.subscribe, connections, consumers, strict=True)
    ]
    described = describe_plain(
        room,
        [
            PlainStream(
                offer.kind, offer.codecs[0], address.ip or "", address.port, address.rtcp_port, address.rtcp_mux
            )
            for offer, address in sinks
        ],
    )
    return PlainOpened(viewer=viewer.id, streams=streams, sdp=described.serialize())


def _codec(request: Request, stream: PlainStreamBody) -> Codec:
    given = stream.codec
    codec = Codec(
        kind=stream.kind,
        payload_type=given.payload_type,
        name=given.name.upper(),
        clock_rate=given.clock_rate,
        channels=given.channels,
        parameters=tuple((name.lower(), value) for name, value in given.parameters.items()),
        feedback=CodecFeedback(nack=True, pli=True, fir=True) if stream.kind is MediaKind.VIDEO else CodecFeedback(),
        rtx_payload_type=given.rtx_payload_type,
    )
    if not context_of(request).support.knows(codec):
        detail = f"{given.name}/{given.clock_rate}/{given.channels} is no {stream.kind.value} codec known here"
        raise HttpProblem(HTTPStatus.NOT_ACCEPTABLE, "no_common_codec", detail)
    return codec


def _address(stream: PlainStreamBody) -> PlainAddress:
    if stream.ip is not None:
        try:
            ip_address(stream.ip)
        except ValueError as error:
            raise HttpProblem(HTTPStatus.UNPROCESSABLE_ENTITY, "bad_address", "ip is no IP address") from error
        if not stream.port:
            raise HttpProblem(HTTPStatus.UNPROCESSABLE_ENTITY, "bad_address", "ip needs a port beside it")
    return PlainAddress(
        ip=stream.ip,
        port=stream.port,
        rtcp_port=stream.rtcp_port,
        rtcp_mux=stream.rtcp_mux,
        srtp=_keys(stream.srtp),
        local_srtp=_keys(stream.local_srtp),
    )


def _keys(given: SrtpBody | None) -> SrtpKeys | None:
    if given is None:
        return None
    try:
        key = base64.b64decode(given.key, validate=True)
    except binascii.Error as error:
        raise HttpProblem(HTTPStatus.UNPROCESSABLE_ENTITY, "bad_key", "the SRTP key is no base64") from error
    return SrtpKeys(suite=given.suite, key=key)


def _opened(stream: PlainStreamBody, connection: PlainConnection, ssrc: int | None = None) -> PlainStreamOpened:
    transport = connection.transport
    return PlainStreamOpened(
        kind=stream.kind, ip=transport.ip, port=transport.port, rtcp_port=transport.rtcp_port, ssrc=ssrc
    )
