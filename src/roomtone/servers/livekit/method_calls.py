"""Method calls of the server API to participants: sent as data packets, answered likewise.

The texts and numbers of errors are LiveKit's, as its clients' RPC errors have them.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from livekit.protocol import models

from roomtone.control.rooms import DataKind, DataPacket
from roomtone.protocols.livekit import TwirpCode, TwirpError

if TYPE_CHECKING:
    from livekit.protocol import room

    from roomtone.control.rooms import CloseReason, Participant, Rooms

ACK_S = 7.0
"""How long a participant may take to say that a call has come: it may be far away, and busy."""
DEFAULT_TIMEOUT_MS = 10_000
MAX_PAYLOAD_BYTES = 15_360
APPLICATION_ERROR = 1500
_CONNECTION_TIMEOUT = (TwirpCode.CANCELED, 1501, "Connection timeout")
_RESPONSE_TIMEOUT = (TwirpCode.CANCELED, 1502, "Response timeout")
_DISCONNECTED = (TwirpCode.UNAVAILABLE, 1503, "Recipient disconnected")
_TOO_LARGE = (TwirpCode.MALFORMED, 1402, "Request payload too large")
_NO_DATA = (TwirpCode.FAILED_PRECONDITION, 1401, "Recipient takes no method calls")
_CODES = {
    1400: TwirpCode.INVALID_ARGUMENT,
    1401: TwirpCode.NOT_FOUND,
    1402: TwirpCode.MALFORMED,
    1403: TwirpCode.UNIMPLEMENTED,
    1404: TwirpCode.UNIMPLEMENTED,
    1503: TwirpCode.UNAVAILABLE,
}


class _Call:
    """A call that waits for its participant."""

    def __init__(self, participant: Participant) -> None:
        self.participant_sid = participant.id
        loop = asyncio.get_running_loop()
        self.acknowledged: asyncio.Future[None] = loop.create_future()
        """Done when the participant has heard of it, or is gone."""
        self.answer: asyncio.Future[models.RpcResponse] = loop.create_future()

    def acknowledge(self) -> None:
        """Note that the participant has heard of it."""
        if not self.acknowledged.done():
            self.acknowledged.set_result(None)


class MethodCalls:
    """Calls under way. Limit: given with each call; a further one is refused."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}

    def __len__(self) -> int:
        return len(self._calls)

    async def perform(self, rooms: Rooms, participant: Participant, request: room.PerformRpcRequest, limit: int) -> str:
        """Call a method of a participant and give what it answers; raise `TwirpError`."""
        if len(request.payload.encode()) > MAX_PAYLOAD_BYTES:
            raise _error(*_TOO_LARGE)
        if participant.data_sink is None:
            raise _error(*_NO_DATA)
        if len(self._calls) >= limit:
            raise TwirpError(TwirpCode.RESOURCE_EXHAUSTED, f"{limit} method calls wait for participants already")
        id_ = secrets.token_hex(16)
        call = self._calls[id_] = _Call(participant)

        def gone(_reason: CloseReason) -> None:
            call.acknowledge()
            if not call.answer.done():
                call.answer.set_exception(_error(*_DISCONNECTED))

        participant.when_closed(gone)
        try:
            timeout_ms = request.response_timeout_ms or DEFAULT_TIMEOUT_MS
            packet = _packet(id_, participant, request, timeout_ms)
            if not rooms.send_data(participant.room, packet):
                raise _error(*_NO_DATA)
            return await _wait(call, timeout_ms / 1000)
        finally:
            del self._calls[id_]
            call.acknowledged.cancel()
            call.answer.cancel()

    def take(self, participant_sid: str, packet: models.DataPacket) -> bool:
        """Take a packet if it answers one of these calls; false when it is for others."""
        if packet.HasField("rpc_ack"):
            id_ = packet.rpc_ack.request_id
        elif packet.HasField("rpc_response"):
            id_ = packet.rpc_response.request_id
        else:
            return False
        call = self._calls.get(id_)
        if call is None or call.participant_sid != participant_sid:
            return False
        call.acknowledge()
        if packet.HasField("rpc_response") and not call.answer.done():
            call.answer.set_result(packet.rpc_response)
        return True


async def _wait(call: _Call, timeout_s: float) -> str:
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.wait([call.acknowledged], timeout=ACK_S)
            if not call.acknowledged.done():
                raise _error(*_CONNECTION_TIMEOUT)
            response = await call.answer
    except TimeoutError as error:
        raise _error(*_RESPONSE_TIMEOUT) from error
    if response.HasField("error"):
        told = response.error
        code = _CODES.get(told.code, TwirpCode.INTERNAL)
        raise TwirpError(code, told.message, {"rpc_code": str(told.code), "data": told.data})
    if response.compressed_payload:
        raise TwirpError(TwirpCode.UNIMPLEMENTED, "the answer is compressed, which is not read here")
    return response.payload


def _packet(id_: str, participant: Participant, request: room.PerformRpcRequest, timeout_ms: int) -> DataPacket:
    # The call's id stands for its caller, which is nobody in the room: clients want to know whom to answer.
    packet = models.DataPacket(
        kind=models.DataPacket.RELIABLE,
        participant_identity=id_,
        destination_identities=[participant.identity],
        rpc_request=models.RpcRequest(
            id=id_, method=request.method, payload=request.payload, response_timeout_ms=timeout_ms, version=1
        ),
    )
    return DataPacket(kind=DataKind.RELIABLE, payload=packet.SerializeToString(), destinations=(participant.identity,))


def _error(code: TwirpCode, number: int, message: str) -> TwirpError:
    return TwirpError(code, message, {"rpc_code": str(number)})
