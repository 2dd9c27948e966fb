"""Phones that rooms call, as LiveKit asks for them; what cannot be done is refused by name."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from livekit.protocol import sip

from roomtone.control.calls import CallEnd, CallError, DialRequest, PhoneError, PhoneRefusal, sip_status
from roomtone.protocols.livekit import TwirpCode, TwirpError
from roomtone.servers.livekit.sip_infos import SECURITY, bad, outbound_info

if TYPE_CHECKING:
    from roomtone.control.calls import Calls, PhoneBook, Trunk
    from roomtone.control.rooms import Rooms

_UNSUPPORTED = {
    "trunk": "a trunk is made first, and then named",
    "sip_request_uri": "the trunk says where a call goes",
    "sip_to_header": "the trunk says whom a call is to",
    "sip_from_header": "sip_number and display_name say who calls",
    "to_user_override": "sip_call_to says who is called",
    "include_headers": "headers of phones are not made attributes of participants",
    "krisp_enabled": "there is no such noise cancellation",
    "media": "codecs and time-outs of a call's media cannot be chosen",
    "destination": "calls leave from here, wherever they are for",
}
RINGING_S = 30.0
"""How long a transfer may take where nobody says."""
_TRANSFERS_TO = re.compile(r"(sips?|tel):[^\s<>,\"]{1,256}")
_COUNTRY = "US"
"""Whose tone a room hears: LiveKit has no other."""
CODES = {
    CallEnd.BAD_REQUEST: TwirpCode.INVALID_ARGUMENT,
    CallEnd.NOT_FOUND: TwirpCode.NOT_FOUND,
    CallEnd.FORBIDDEN: TwirpCode.PERMISSION_DENIED,
    CallEnd.DECLINED: TwirpCode.PERMISSION_DENIED,
    CallEnd.BUSY: TwirpCode.RESOURCE_EXHAUSTED,
    CallEnd.NO_ANSWER: TwirpCode.RESOURCE_EXHAUSTED,
    CallEnd.NOT_REGISTERED: TwirpCode.RESOURCE_EXHAUSTED,
    CallEnd.UNREACHABLE: TwirpCode.DEADLINE_EXCEEDED,
    CallEnd.MEDIA_INCOMPATIBLE: TwirpCode.INVALID_ARGUMENT,
    CallEnd.OVERLOADED: TwirpCode.RESOURCE_EXHAUSTED,
    CallEnd.SERVER_SHUTDOWN: TwirpCode.UNAVAILABLE,
    CallEnd.REMOVED: TwirpCode.ABORTED,
    CallEnd.CANCELLED: TwirpCode.ABORTED,
}
"""What the end of a call is to who asked for it; any other is a failed precondition."""
_OF_PEER = frozenset(
    {
        CallEnd.NOT_FOUND,
        CallEnd.FORBIDDEN,
        CallEnd.DECLINED,
        CallEnd.BUSY,
        CallEnd.NO_ANSWER,
        CallEnd.NOT_REGISTERED,
        CallEnd.UNREACHABLE,
        CallEnd.MEDIA_INCOMPATIBLE,
        CallEnd.REFUSED,
        CallEnd.UNSUPPORTED,
    }
)
"""Ends that have a status of SIP for who asked."""


async def create_participant(
    book: PhoneBook, calls: Calls, request: sip.CreateSIPParticipantRequest
) -> sip.SIPParticipantInfo:
    """Have a room call a phone; the participant is there at once. Raise `TwirpError`."""
    for field, value in request.ListFields():
        empty = hasattr(value, "ByteSize") and not value.ByteSize()
        if not empty and (why := _UNSUPPORTED.get(field.name)) is not None:
            raise TwirpError(TwirpCode.UNIMPLEMENTED, f"{field.name}: {why}")
    if not request.sip_call_to or not request.room_name:
        raise bad("sip_call_to and room_name say who is called, and from which room")
    dial = _dial(_trunk(book, request), request)
    try:
        call = calls.dial(dial)
        who = await call.joined()
        if request.wait_until_answered:
            await call.answered()
    except CallError as error:
        raise call_error(error) from error
    return sip.SIPParticipantInfo(
        participant_id=who.id, participant_identity=who.identity, room_name=call.room, sip_call_id=call.id
    )


async def transfer_participant(
    rooms: Rooms, calls: Calls, request: sip.TransferSIPParticipantRequest
) -> sip.TransferSIPParticipantResponse:
    """Have a phone's side call somebody else instead, and wait for that. Raise `TwirpError`."""
    for name in ("headers", "play_dialtone"):
        if getattr(request, name):
            raise TwirpError(TwirpCode.UNIMPLEMENTED, f"{name}: a transfer asks the phone's side, and says no more")
    participant = rooms.find_participant(rooms.find(request.room_name), request.participant_identity)
    call = calls.of_participant(participant)
    if call is None:
        raise TwirpError(TwirpCode.FAILED_PRECONDITION, "the participant is no phone")
    if not _TRANSFERS_TO.fullmatch(request.transfer_to):
        raise bad("transfer_to: a URI of sip, sips or tel")
    timeout_s = request.ringing_timeout.ToNanoseconds() / 1e9 if request.HasField("ringing_timeout") else 0.0
    id_ = f"STR_{secrets.token_hex(8)}"
    try:
        status = await call.transfer(request.transfer_to, timeout_s or RINGING_S)
    except CallError as error:
        told = call_error(error)
        timed_out = error.end is CallEnd.NO_ANSWER
        reason = sip.SIPTransferReason.STR_RINGING_TIMEOUT if timed_out else sip.SIPTransferReason.STR_REJECTED
        told.meta |= {"sip_transfer_id": id_, "sip_transfer_reason": sip.SIPTransferReason.Name(reason)}
        raise told from error
    return sip.TransferSIPParticipantResponse(
        transfer_id=id_,
        status=sip.SIPTransferStatus.STS_TRANSFER_SUCCESSFUL,
        reason=sip.SIPTransferReason.STR_COMPLETED,
        sip_status=sip.SIPStatus(code=status, status="OK"),  # type: ignore[arg-type]
    )


def call_error(error: CallError) -> TwirpError:
    """Say why a call came to nothing, with SIP's status where a phone or its side gave one."""
    code = CODES.get(error.end, TwirpCode.FAILED_PRECONDITION)
    meta = {"reason": error.end.value}
    if error.end in _OF_PEER:
        status, phrase = sip_status(error.end)
        meta |= {"sip_status_code": str(status), "sip_status": phrase}
    return TwirpError(code, error.message or error.end.value.replace("_", " "), meta)


def _trunk(book: PhoneBook, request: sip.CreateSIPParticipantRequest) -> Trunk:
    if not request.sip_trunk_id:
        raise bad("sip_trunk_id: a call goes out by a trunk")
    trunk = book.trunks.find(request.sip_trunk_id)
    if trunk is None or outbound_info(trunk) is None:
        raise PhoneError(PhoneRefusal.NO_SUCH_TRUNK, f"there is no outbound trunk {request.sip_trunk_id!r}")
    return trunk


def _dial(trunk: Trunk, request: sip.CreateSIPParticipantRequest) -> DialRequest:
    info = outbound_info(trunk)
    numbers = [] if info is None else list(info.numbers)
    if request.sip_number and "*" not in numbers and numbers and request.sip_number not in numbers:
        raise bad(f"sip_number: the trunk has no number {request.sip_number!r}")
    headers = ({} if info is None else dict(info.headers)) | dict(request.headers)
    rings_s = request.ringing_timeout.ToNanoseconds() / 1e9 if request.HasField("ringing_timeout") else None
    most_s = request.max_call_duration.ToNanoseconds() / 1e9 if request.HasField("max_call_duration") else None
    return DialRequest(
        request.room_name,
        request.sip_call_to,
        trunk=trunk.name,
        identity=request.participant_identity,
        name=request.participant_name,
        metadata=request.participant_metadata,
        attributes=tuple(request.participant_attributes.items()),
        shown_number=request.sip_number or trunk.caller_id,
        shown_name=request.display_name if request.HasField("display_name") else "",
        ringing_timeout_s=rings_s or None,
        most_s=most_s or None,
        keys=request.dtmf,
        joins_early=True,
        rings_in=_COUNTRY if request.play_dialtone or request.play_ringtone else "",
        hides_number=request.hide_phone_number,
        headers=tuple(headers.items()),
        security=SECURITY[request.media_encryption] if request.media_encryption else None,
    )
