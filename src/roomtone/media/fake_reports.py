"""Statistics and dumps of the fake engine: named as the real one's, with what can be known where no media passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomtone.media.fake_objects import (
    FakeChannel,
    FakeConsumer,
    FakeFeed,
    FakeMixer,
    FakeObject,
    FakeObserver,
    FakePackager,
    FakePipe,
    FakeProducer,
    FakeRouter,
    FakeTransport,
)
from roomtone.media.fake_state import STATS_TYPE

if TYPE_CHECKING:
    from roomtone.media.fake_state import FakeState
    from roomtone.media.values import ArrivalModel

    Report = dict[str, int | float | str | bool | None]

_CARRIED = FakeTransport | FakePipe | FakeMixer | FakePackager | FakeFeed
_NO_PACKETS = (
    "packetsReceived",
    "packetsSent",
    "rtpPacketsReceived",
    "rtpBytesReceived",
    "rtpPacketsSent",
    "rtpBytesSent",
)
_NO_FAULTS = ("packetsLost", "nackCount", "pliCount", "firCount")


def reports_of(state: FakeState, held: FakeObject) -> list[Report]:
    """Give the reports of an object, its own first."""
    own: Report = {"id": str(held.id), "type": STATS_TYPE[type(held)]}
    match held:
        case FakeRouter():
            own |= _router(state, held)
        case FakeTransport() | FakePipe() | FakeMixer() | FakePackager() | FakeFeed():
            own |= _transport(state, held)
        case FakeProducer():
            own |= _producer(state, held)
        case FakeConsumer():
            return [own | _consumer(held), _remote(held)]
        case FakeObserver():
            own |= _observer(held)
        case FakeChannel():
            own |= _channel(held)
        case _:
            pass
    return [own]


def dump_of(state: FakeState, held: FakeObject) -> dict[str, Any]:
    """Give the inner state of an object."""
    dump: dict[str, Any] = {"id": held.id, "type": _DUMP_TYPE.get(type(held), STATS_TYPE[type(held)])}
    match held:
        case FakeRouter():
            on = [other for other in state.objects.values() if getattr(other, "router", None) == held.id]
            dump |= {"shard": held.shard, "transports": [other.id for other in on if isinstance(other, _CARRIED)]}
            dump |= {"producers": [other.id for other in on if isinstance(other, FakeProducer)]}
            dump |= {"consumers": [other.id for other in on if isinstance(other, FakeConsumer)]}
            dump |= {"observers": [other.id for other in on if isinstance(other, FakeObserver)]}
        case FakeTransport() | FakePipe() | FakeMixer() | FakePackager() | FakeFeed():
            streams = [held_ for held_ in state.objects.values() if getattr(held_, "transport", None) == held.id]
            dump |= {"router": held.router, "carrier": {"kind": _carrier(held)}}
            dump |= {"producers": [one.id for one in streams if isinstance(one, FakeProducer)]}
            dump |= {"consumers": [one.id for one in streams if isinstance(one, FakeConsumer)]}
        case FakeProducer():
            consumers = [one.id for one in state.find(FakeConsumer) if one.producer == held.id]
            dump |= {
                "transport": held.transport,
                "kind": held.kind.value,
                "paused": held.paused,
                "consumers": consumers,
            }
        case FakeConsumer():
            dump |= {"transport": held.transport, "kind": held.kind.value, "paused": held.paused}
            dump |= {"producer": held.producer, "ssrc": held.ssrc, "rtx_ssrc": held.rtx_ssrc}
        case FakeObserver():
            dump |= {"router": held.router, "max_entries": held.max_entries, "dominant": held.dominant}
        case FakeChannel():
            dump |= {"transport": held.transport, "open": held.open, "label": held.label, "protocol": held.protocol}
        case _:
            dump["state"] = repr(held)
    return dump


_DUMP_TYPE: dict[type[FakeObject], str] = {FakeProducer: "producer", FakeConsumer: "consumer"}


def _carrier(held: FakeTransport | FakePipe | FakeMixer | FakePackager | FakeFeed) -> str:
    if isinstance(held, FakeTransport):
        return held.kind
    return type(held).__name__.removeprefix("Fake").lower()


def _router(state: FakeState, router: FakeRouter) -> Report:
    on = [held for held in state.objects.values() if getattr(held, "router", None) == router.id]
    return {
        "shard": router.shard,
        "transports": sum(isinstance(held, _CARRIED) for held in on),
        "producers": sum(isinstance(held, FakeProducer) for held in on),
        "consumers": sum(isinstance(held, FakeConsumer) for held in on),
        "packetsReceived": 0,
        "packetsSent": 0,
    }


def _transport(state: FakeState, held: FakeTransport | FakePipe | FakeMixer | FakePackager | FakeFeed) -> Report:
    report: Report = {
        "carrier": _carrier(held),
        **dict.fromkeys(_NO_PACKETS, 0),
        "writable": held.writable if isinstance(held, FakeTransport) else True,
        "availableOutgoingBitrate": state.config.bandwidth.start_bps,
        "currentRoundTripTime": None,
        "estimator": "receiver-reports",
    }
    if isinstance(held, FakeTransport):
        local = f"{held.listen_ip}:{held.ports[0]}" if held.ports else None
        remote = None if held.remote is None else f"{held.remote[0]}:{held.remote[1]}"
        report |= {"selectedLocal": local, "selectedRemote": remote, "srtpCipher": None, "dtlsState": None}
        if held.kind == "webrtc":
            report |= {"estimator": _estimator(state, held), "iceReport": "", "selectedProtocol": None}
            report |= {"iceState": "connected" if held.writable else "new", "selectedCandidatePairChanges": 0}
            report["dtlsState"] = "connected" if held.writable else "new"
            channels = [one for one in state.find(FakeChannel) if one.transport == held.id and one.open]
            report |= {"dataChannels": len(channels), "messagesReceived": 0}
            report["messagesSent"] = sum(len(one.sent) for one in channels)
        else:
            report["secure"] = held.secure
    elif isinstance(held, FakePipe):
        far = state.get(FakePipe, held.far)
        report |= {"farShard": state.get(FakeRouter, far.router).shard, "farTransportId": str(held.far)}
        report |= {"sourceId": None if held.source is None else str(held.source)}
        report |= {"pipePacketsSent": 0, "pipePacketsDropped": 0}
    return report


def _estimator(state: FakeState, held: FakeTransport) -> str:
    told = any(one.transport == held.id and one.reports_all for one in state.find(FakeConsumer))
    if not told or not state.config.bandwidth.transport_feedback:
        return "receiver-reports"
    model: ArrivalModel = held.arrival_model or state.config.bandwidth.arrival_model
    return f"gcc-{model.value}"


def _producer(state: FakeState, held: FakeProducer) -> Report:
    wanted = sum(one.producer == held.id and not one.paused for one in state.find(FakeConsumer))
    transport = None if held.transport is None else str(held.transport)
    report: Report = {"kind": held.kind.value, "transportId": transport, "packetsReceived": 0, "bytesReceived": 0}
    return report | dict.fromkeys(_NO_FAULTS, 0) | {"wantedBy": wanted, "droppedPaused": 0}


def _consumer(held: FakeConsumer) -> Report:
    report: Report = {"kind": held.kind.value, "transportId": str(held.transport), "ssrc": held.ssrc}
    report |= {"rtxSsrc": held.rtx_ssrc, "packetsSent": 0, "bytesSent": 0, "score": 10}
    return report | dict.fromkeys(_NO_FAULTS[1:], 0)


def _remote(held: FakeConsumer) -> Report:
    report: Report = {"id": f"{held.id}-remote", "type": "remote-inbound-rtp", "localId": str(held.id)}
    return report | {"kind": held.kind.value, "packetsLost": 0, "roundTripTime": None}


def _observer(held: FakeObserver) -> Report:
    interval_ms, threshold_dbov, percentile, smoothing, hold_ms = held.way
    return {
        "router": held.router,
        "intervalMs": interval_ms,
        "thresholdDbov": threshold_dbov,
        "percentile": percentile,
        "smoothing": smoothing,
        "holdMs": hold_ms,
        "maxEntries": held.max_entries,
        "reports": held.reports,
        "speakers": held.speakers,
        "dominant": held.dominant,
    }


def _channel(held: FakeChannel) -> Report:
    return {
        "transportId": str(held.transport),
        "label": held.label,
        "protocol": held.protocol,
        "dataChannelIdentifier": held.stream or 0,
        "ordered": held.ordered,
        "maxRetransmits": held.max_retransmits,
        "maxPacketLifeTime": held.max_lifetime_ms,
        "state": "open" if held.open else "connecting",
        "bufferedAmount": 0,
        "messagesSent": len(held.sent),
        "bytesSent": sum(map(len, held.sent)),
        "messagesReceived": 0,
        "bytesReceived": 0,
        "messagesRefused": 0,
        "messagesExpired": 0,
    }
