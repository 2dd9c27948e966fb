"""Both sides of the language boundary mean the same: every value goes through Rust and comes back as it was."""

from __future__ import annotations

import importlib
import importlib.util
import types
import typing
from enum import StrEnum
from typing import Any

import msgspec
import pytest

from roomtone.media import values

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)

COMMANDS = typing.get_args(values.AnyCommand)
RESULTS = typing.get_args(values.AnyResult)
EVENTS = typing.get_args(values.AnyEvent)


def mirror(kind: str, value: msgspec.Struct) -> Any:
    core = importlib.import_module("roomtone._core")
    returned = core.mirror(kind, msgspec.msgpack.encode(value))
    accepted = values.AnyOutbound if kind == "outbound" else type(value)
    return msgspec.msgpack.decode(returned, type=accepted)


def sample(wanted: Any, *, full: bool) -> Any:  # noqa: PLR0911 - one branch a sort of type
    """A value of a type: with every optional part (``full``) or with none."""
    origin, parts = typing.get_origin(wanted), typing.get_args(wanted)
    if hasattr(wanted, "__supertype__"):
        return sample(wanted.__supertype__, full=full)
    if origin in {typing.Union, types.UnionType}:
        chosen = [part for part in parts if part is not type(None)]
        return sample(chosen[0], full=full) if full or type(None) not in parts else None
    if origin is list:
        return [sample(parts[0], full=full), sample(parts[0], full=False)] if full else []
    if origin is tuple:
        return tuple(sample(part, full=full) for part in parts)
    if origin is dict:
        return {"some": 1, "less": -1, "half": 0.5, "text": "x", "yes": True, "none": None} if full else {}
    if issubclass(wanted, msgspec.Struct):
        hints = typing.get_type_hints(wanted)
        return wanted(**{name: sample(hints[name], full=full) for name in wanted.__struct_fields__})
    if issubclass(wanted, StrEnum):
        return list(wanted)[-1 if full else 0]
    simple: dict[type, tuple[Any, Any]] = {
        bool: (True, False),
        int: (3, 0),
        float: (0.25, 0.0),
        str: ("text", ""),
        bytes: (b"\x00\xff\x80", b""),
    }
    return simple[wanted][0 if full else 1]


def least_of(wanted: Any) -> Any:
    """A value of a type whose parts have what they must have and nothing else."""
    if typing.get_origin(wanted) is list:
        return [least_of(typing.get_args(wanted)[0])]
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        hints = typing.get_type_hints(wanted)
        return wanted(**{one.name: least_of(hints[one.name]) for one in msgspec.structs.fields(wanted) if one.required})
    return sample(wanted, full=True)


@pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])
@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
def test_every_command_comes_back_as_it_was(kind: type[values.Command], full: bool) -> None:
    request = values.Request(id=2**40, command=sample(kind, full=full))
    assert mirror("request", request) == request


@pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])
@pytest.mark.parametrize("kind", RESULTS, ids=lambda kind: kind.__name__)
def test_every_result_comes_back_as_it_was(kind: type[values.Result], full: bool) -> None:
    reply = values.Reply(id=7, result=sample(kind, full=full))
    assert mirror("outbound", reply) == reply


@pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])
@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_comes_back_as_it_was(kind: type[values.Event], full: bool) -> None:
    event = values.EventOut(seq=9, event=sample(kind, full=full))
    assert mirror("outbound", event) == event


@pytest.mark.parametrize("full", [True, False], ids=["full", "bare"])
def test_questions_answers_and_the_configuration_come_back_as_they_were(full: bool) -> None:
    for kind, wanted in (("outbound", values.Question), ("answer", values.Answer), ("config", values.EngineConfig)):
        value = sample(wanted, full=full)
        assert mirror(kind, value) == value


QUALITIES: dict[type[StrEnum], tuple[type[values.Event], str]] = {
    values.QualityLevel: (values.QualityChanged, "level"),
    values.QualityTrend: (values.QualityChanged, "trend"),
    values.QualitySubject: (values.QualityChanged, "subject"),
    values.DegradationReason: (values.QualityChanged, "reason"),
    values.CongestionState: (values.CongestionChanged, "state"),
    values.LineDirection: (values.CongestionChanged, "direction"),
    values.FeedbackKind: (values.FeedbackActed, "action"),
    values.FeedbackPriority: (values.FeedbackActed, "priority"),
}


def closed_sets() -> list[StrEnum]:
    kinds = (
        values.MediaKind,
        values.IceMode,
        values.DtlsRole,
        values.IceState,
        values.DtlsState,
        values.EngineCloseReason,
        values.ErrorCode,
        values.ArrivalModel,
        *QUALITIES,
    )
    return [member for kind in kinds for member in kind]


@pytest.mark.parametrize("member", closed_sets(), ids=lambda member: f"{type(member).__name__}-{member}")
def test_every_member_of_a_closed_set_is_known_on_both_sides(member: StrEnum) -> None:
    carriers: dict[type[StrEnum], tuple[str, Any]] = {
        values.MediaKind: ("request", lambda m: values.Consume(transport=values.TransportId(1), kind=m)),
        values.IceMode: ("request", lambda m: values.OpenWebRtcTransport(router=values.RouterId(1), ice_mode=m)),
        values.DtlsRole: (
            "request",
            lambda m: values.ConnectWebRtcTransport(transport=values.TransportId(1), dtls_role=m, fingerprints=[]),
        ),
        values.IceState: ("event", lambda m: values.IceStateChanged(transport=values.TransportId(1), state=m)),
        values.DtlsState: ("event", lambda m: values.DtlsStateChanged(transport=values.TransportId(1), state=m)),
        values.EngineCloseReason: (
            "event",
            lambda m: values.TransportClosed(transport=values.TransportId(1), reason=m),
        ),
        values.ArrivalModel: (
            "config",
            lambda m: values.EngineConfig(bandwidth=values.BandwidthConfig(arrival_model=m)),
        ),
        values.ErrorCode: ("reply", lambda m: values.Failed(code=m, message="")),
    }
    if type(member) in QUALITIES:
        event, place = QUALITIES[type(member)]
        kind, value = "event", msgspec.structs.replace(sample(event, full=True), **{place: member})
    else:
        kind, carry = carriers[type(member)]
        value = carry(member)
    if kind == "request":
        request = values.Request(id=1, command=value)
        assert mirror("request", request) == request
    elif kind == "config":
        assert mirror("config", value) == value
    elif kind == "event":
        event = values.EventOut(seq=1, event=value)
        assert mirror("outbound", event) == event
    else:
        reply = values.Reply(id=1, result=value)
        assert mirror("outbound", reply) == reply


def test_the_defaults_are_the_same_on_both_sides() -> None:
    core = importlib.import_module("roomtone._core")
    bare = msgspec.msgpack.encode({})
    assert msgspec.msgpack.decode(core.mirror("config", bare), type=values.EngineConfig) == values.EngineConfig()
    for kind in COMMANDS:
        info = msgspec.structs.fields(kind)
        hints = typing.get_type_hints(kind)
        given = {one.name: sample(hints[one.name], full=True) for one in info if one.required}
        tag = kind.__struct_config__.tag
        raw = msgspec.msgpack.encode(
            {"id": 1, "command": {"op": tag, **msgspec.to_builtins(given, builtin_types=(bytes,))}}
        )
        returned = msgspec.msgpack.decode(core.mirror("request", raw), type=values.Request)
        assert returned.command == kind(**given)


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
def test_what_is_left_out_of_a_command_is_as_it_was(kind: type[values.Command]) -> None:
    hints = typing.get_type_hints(kind)
    required = {one.name for one in msgspec.structs.fields(kind) if one.required}
    least = kind(**{name: least_of(hints[name]) for name in required})
    request = values.Request(id=1, command=least)
    assert mirror("request", request) == request
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(request))["command"]
    assert set(sent) == {"op", *required}


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"\x81\xa2id\x01", b"\xff" * 40])
def test_what_is_no_value_is_refused(garbage: bytes) -> None:
    core = importlib.import_module("roomtone._core")
    for kind in ("request", "outbound", "answer"):
        with pytest.raises(ValueError, match="boundary value"):
            core.mirror(kind, garbage)
