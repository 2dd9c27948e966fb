"""LiveKit's trunks and dispatch rules in our words, and ours in LiveKit's.

What LiveKit says of one and we keep nowhere else stands in its note, so that it is listed as it was made. Who makes
one with something that cannot be done here is told so: nothing is left out in silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.json_format import MessageToJson, Parse
from google.protobuf.timestamp_pb2 import Timestamp
from livekit.protocol import sip

from roomtone.control.calls import ANY_TRUNK, ROOM_KINDS, DispatchRule, RuleTarget, TargetKind, Trunk
from roomtone.protocols.livekit import TwirpCode, TwirpError
from roomtone.protocols.sdp.telephony import MediaSecurity

if TYPE_CHECKING:
    from google.protobuf.message import Message

INBOUND, OUTBOUND = "inbound:", "outbound:"
_Info = TypeVar("_Info", sip.SIPInboundTrunkInfo, sip.SIPOutboundTrunkInfo)
SECURITY = {
    sip.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_DISABLE: MediaSecurity.OFF,
    sip.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW: MediaSecurity.OPTIONAL,
    sip.SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE: MediaSecurity.SDES,
}
_TRANSPORTS = {
    sip.SIPTransport.SIP_TRANSPORT_AUTO: "",
    sip.SIPTransport.SIP_TRANSPORT_UDP: ";transport=udp",
    sip.SIPTransport.SIP_TRANSPORT_TCP: ";transport=tcp",
    sip.SIPTransport.SIP_TRANSPORT_TLS: ";transport=tls",
}
_OF_HEADERS = "headers of phones and attributes of participants are not made of each other"
_UNSUPPORTED = {
    "headers_to_attributes": _OF_HEADERS,
    "attributes_to_headers": _OF_HEADERS,
    "include_headers": _OF_HEADERS,
    "krisp_enabled": "there is no such noise cancellation",
    "media": "codecs and time-outs of a trunk's media cannot be chosen",
    "destination_country": "calls leave from here, whatever country they are for",
    "ringing_timeout": "calls to rooms do not ring",
    "ringing_timeout_status": "calls to rooms do not ring",
    "max_call_duration": "calls that come in last as long as they like",
    "room_preset": "there are no room presets",
    "room_config": "a room's configuration is not a dispatch rule's",
    "auth_realm": "the realm is that of the server",
}


def refuse_unsupported(message: Message) -> None:
    """Refuse what is said and cannot be done; raise `TwirpError`."""
    for field, value in message.ListFields():
        why = _UNSUPPORTED.get(field.name)
        empty = hasattr(value, "ByteSize") and not value.ByteSize()
        if why is not None and not empty:
            raise TwirpError(TwirpCode.UNIMPLEMENTED, f"{field.name}: {why}")


def bad(message: str) -> TwirpError:
    """Say that something is wrong with a request."""
    return TwirpError(TwirpCode.INVALID_ARGUMENT, message)


# --- trunks ---


def inbound_trunk(name: str, info: sip.SIPInboundTrunkInfo, created_at: float = 0.0) -> Trunk:
    """Make the trunk of what LiveKit says of one; raise `TwirpError`."""
    refuse_unsupported(info)
    if info.headers:
        raise TwirpError(TwirpCode.UNIMPLEMENTED, f"headers: {_OF_HEADERS}")
    login = bool(info.auth_username or info.auth_password)
    if not login and not info.allowed_addresses:
        raise bad("calls by a trunk are known by allowed_addresses, or by auth_username and auth_password")
    return Trunk(
        name,
        probes=False,
        username=info.auth_username,
        password=info.auth_password,
        accepts_login=login,
        wants_both=login and bool(info.allowed_addresses),
        addresses=tuple(info.allowed_addresses),
        security=SECURITY[info.media_encryption],
        numbers=tuple(info.numbers),
        callers=tuple(info.allowed_numbers),
        note=INBOUND + _text(info),
        created_at=created_at,
    )


def outbound_trunk(name: str, info: sip.SIPOutboundTrunkInfo, created_at: float = 0.0) -> Trunk:
    """Make the trunk of what LiveKit says of one; raise `TwirpError`."""
    refuse_unsupported(info)
    if not info.address or any(sign in info.address for sign in "@;") or info.address.startswith(("sip:", "sips:")):
        raise bad("address: the name or address of a host, and its port")
    if not info.numbers:
        raise bad("numbers: a trunk has a number that calls come from")
    return Trunk(
        name,
        uri=f"sip:{info.address}{_TRANSPORTS[info.transport]}",
        username=info.auth_username,
        password=info.auth_password,
        probes=False,
        domain=info.from_host,
        caller_id="" if info.numbers[0] == "*" else info.numbers[0],
        security=SECURITY[info.media_encryption],
        note=OUTBOUND + _text(info),
        created_at=created_at,
    )


def inbound_info(trunk: Trunk) -> sip.SIPInboundTrunkInfo | None:
    """Describe a trunk by which calls come in; None for another."""
    if trunk.note.startswith(INBOUND):
        return _told(trunk, Parse(trunk.note.removeprefix(INBOUND), sip.SIPInboundTrunkInfo()))
    if trunk.note or not (trunk.addresses or trunk.accepts_login):
        return None
    info = sip.SIPInboundTrunkInfo(name=trunk.name, allowed_addresses=trunk.addresses, numbers=trunk.numbers)
    return _told(trunk, info)


def outbound_info(trunk: Trunk) -> sip.SIPOutboundTrunkInfo | None:
    """Describe a trunk by which calls go out; None for another."""
    if trunk.note.startswith(OUTBOUND):
        info = Parse(trunk.note.removeprefix(OUTBOUND), sip.SIPOutboundTrunkInfo())
        return _told(trunk, info)
    if trunk.note or not trunk.uri:
        return None
    address = trunk.server.host if trunk.server.port is None else f"{trunk.server.host}:{trunk.server.port}"
    numbers = [trunk.caller_id] if trunk.caller_id else []
    return _told(trunk, sip.SIPOutboundTrunkInfo(name=trunk.name, address=address, numbers=numbers))


def _told(trunk: Trunk, info: _Info) -> _Info:
    info.sip_trunk_id = trunk.name
    if isinstance(info, sip.SIPOutboundTrunkInfo) or trunk.accepts_login:
        info.auth_username, info.auth_password = trunk.username, trunk.password
    info.created_at.CopyFrom(_time(trunk.created_at))
    return info


# --- dispatch rules ---


def dispatch_rule(name: str, info: sip.SIPDispatchRuleInfo, created_at: float = 0.0) -> DispatchRule:
    """Make the rule of what LiveKit says of one; raise `TwirpError`."""
    refuse_unsupported(info)
    if info.media_encryption:
        raise TwirpError(TwirpCode.UNIMPLEMENTED, "media_encryption: the trunk says how its media is secured")
    target, pin = _target(info.rule)
    return DispatchRule(
        name,
        tuple(info.numbers) or ("*",),
        target,
        created_at,
        pin=pin,
        trunks=tuple(info.trunk_ids) or (ANY_TRUNK,),
        callers=tuple(info.inbound_numbers),
        hides_number=info.hide_phone_number,
        metadata=info.metadata,
        attributes=tuple(info.attributes.items()),
        note=_text(info),
    )


def _target(rule: sip.SIPDispatchRule) -> tuple[RuleTarget, str]:
    match rule.WhichOneof("rule"):
        case "dispatch_rule_direct":
            direct = rule.dispatch_rule_direct
            return RuleTarget(TargetKind.ROOM, room=direct.room_name), direct.pin
        case "dispatch_rule_individual":
            own = rule.dispatch_rule_individual
            target = RuleTarget(TargetKind.ROOM_OF_CALLER, room=own.room_prefix, is_random=not own.no_randomness)
            return target, own.pin
        case "dispatch_rule_callee":
            callee = rule.dispatch_rule_callee
            target = RuleTarget(TargetKind.ROOM_OF_NUMBER, room=callee.room_prefix, is_random=callee.randomize)
            return target, callee.pin
        case _:
            raise bad("rule: it leads nowhere")


def rule_info(rule: DispatchRule) -> sip.SIPDispatchRuleInfo | None:
    """Describe a rule that leads to rooms; None for another."""
    if rule.target.kind not in ROOM_KINDS:
        return None
    info = Parse(rule.note, sip.SIPDispatchRuleInfo()) if rule.note else _of_ours(rule)
    info.sip_dispatch_rule_id = rule.name
    which = info.rule.WhichOneof("rule")
    if which is not None:
        getattr(info.rule, which).pin = rule.pin
    info.created_at.CopyFrom(_time(rule.created_at))
    return info


def _of_ours(rule: DispatchRule) -> sip.SIPDispatchRuleInfo:
    said: Any
    target = rule.target
    if target.kind is TargetKind.ROOM:
        said = sip.SIPDispatchRule(dispatch_rule_direct=sip.SIPDispatchRuleDirect(room_name=target.room))
    elif target.kind is TargetKind.ROOM_OF_CALLER:
        own = sip.SIPDispatchRuleIndividual(room_prefix=target.room, no_randomness=not target.is_random)
        said = sip.SIPDispatchRule(dispatch_rule_individual=own)
    else:
        callee = sip.SIPDispatchRuleCallee(room_prefix=target.room, randomize=target.is_random)
        said = sip.SIPDispatchRule(dispatch_rule_callee=callee)
    trunks = [name for name in rule.trunks if name != ANY_TRUNK]
    return sip.SIPDispatchRuleInfo(
        name=rule.name, rule=said, numbers=rule.numbers, trunk_ids=trunks, hide_phone_number=rule.hides_number
    )


def _text(info: Message) -> str:
    """Write what is kept in a note: no secret, and nothing that is kept elsewhere."""
    kept = type(info)()
    kept.CopyFrom(info)
    for name in ("auth_password", "sip_trunk_id", "sip_dispatch_rule_id", "created_at", "updated_at"):
        if name in kept.DESCRIPTOR.fields_by_name:
            kept.ClearField(name)
    if isinstance(kept, sip.SIPDispatchRuleInfo) and (which := kept.rule.WhichOneof("rule")) is not None:
        getattr(kept.rule, which).ClearField("pin")
    return MessageToJson(kept, indent=None)


def _time(seconds: float) -> Timestamp:
    made = Timestamp()
    made.FromMilliseconds(round(seconds * 1000))
    return made
