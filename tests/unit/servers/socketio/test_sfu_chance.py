"""Requests of chance by Socket.IO and by HTTP: each is answered, none by a failure of ours, and others go on."""

from __future__ import annotations

import copy
import json
import logging
import random
from typing import Any

import pytest
from sfu_world import SfuWorld, SocketClient, vector

from roomtone.config.models import LimitSettings
from roomtone.protocols.mediasoup import Event

FIELDS = (
    "roomId",
    "peerId",
    "fullName",
    "token",
    "direction",
    "transportId",
    "dtlsParameters",
    "kind",
    "rtpParameters",
    "appData",
    "paused",
    "producerId",
    "rtpCapabilities",
    "consumerId",
    "spatialLayer",
    "temporalLayer",
    "sctpStreamParameters",
    "label",
    "protocol",
    "dataProducerId",
    "destinationIdentities",
    "message",
    "knockId",
    "to",
    "offer",
    "answer",
    "candidate",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    3,
    2**63,
    1.5,
    "",
    "demo",
    "other",
    "send",
    "recv",
    "audio",
    "video",
    "bob",
    "x" * 5_000,
    [],
    [[]],
    {},
    {"a": {"b": None}},
    {"id": 1, "codecs": "VP8"},
)
NAMED = {
    "create-transport": "transportId",
    "transports": "transportId",
    "produce": "producerId",
    "producers": "producerId",
    "consume": "consumerId",
    "consumers": "consumerId",
    "produce-data": "dataProducerId",
}
PATHS = (
    "peers",
    "transports",
    "producers",
    "consumers",
    "peers/{id}/leave",
    "transports/{id}/connect",
    "producers/{id}/close",
    "producers/{id}/pause",
    "producers/{id}/resume",
    "consumers/{id}/close",
    "consumers/{id}/pause",
    "consumers/{id}/resume",
)


class Chance:
    """Payloads of chance from a seed: those of mediasoup-client, with fields left out, swapped and garbled."""

    def __init__(self, seed: int) -> None:
        self.source = random.Random(seed)  # noqa: S311 - a seeded source is the point
        self.known: dict[str, list[str]] = {}
        """Ids by the field that names them."""
        names = (
            "produce-audio",
            "produce-video-simulcast",
            "produce-video-h264",
            "produce-data",
            "connect-transport",
            "create-transport",
            "consume",
        )
        self.real = [vector(name) for name in names]

    def value(self) -> Any:
        """Make a value that may be garbled further."""
        return copy.deepcopy(self.source.choice(VALUES))

    def payload(self) -> dict[str, Any]:
        """Make a payload; a third of them are good but for their order."""
        source = self.source
        made = copy.deepcopy(source.choice(self.real))
        for field, ids in self.known.items():
            if source.random() < 0.8:
                made[field] = source.choice(ids[-3:])
        if source.random() < 0.3:
            return made
        for _ in range(source.randrange(4)):
            made[source.choice(FIELDS)] = self.value()
        for _ in range(source.randrange(3)):
            self._garble(made)
        return made

    def note(self, what: str, answer: dict[str, Any]) -> str:
        """Keep what was made, so that later requests mean something; gives the answer's code."""
        if what in NAMED and isinstance(answer.get("id"), str):
            self.known.setdefault(NAMED[what], []).append(answer["id"])
        return answer["error"]["code"] if "error" in answer else "ok"

    def _garble(self, value: Any) -> None:
        """Change something somewhere inside."""
        while isinstance(value, dict | list) and value:
            key = self.source.choice(list(value)) if isinstance(value, dict) else self.source.randrange(len(value))
            if not isinstance(value[key], dict | list) or self.source.random() < 0.2:
                value[key] = self.value()
                return
            value = value[key]


async def bystander(sfu: SfuWorld) -> tuple[SocketClient, str]:
    """Somebody who is in the room and sends."""
    bob = await sfu.join("bob")
    over = (await bob.do("create-transport", roomId="demo", direction="send"))["id"]
    return bob, (await bob.do("produce", **vector("produce-audio", transportId=over)))["id"]


async def carried_on(sfu: SfuWorld, bob: SocketClient, producer: str) -> None:
    """See that somebody else is answered and has its track."""
    assert (await bob.do("get-room-info", roomId="demo"))["roomId"] == "demo"
    assert sfu.rooms.by_name["demo"].publication(producer) is not None


@pytest.mark.parametrize("seed", range(4))
async def test_events_of_chance_are_answered(make_sfu: Any, caplog: pytest.LogCaptureFixture, seed: int) -> None:
    sfu: SfuWorld = await make_sfu(addresses=LimitSettings(signals_per_second=1e9, signal_burst=10**9))
    chance, codes = Chance(seed), set()
    bob, producer = await bystander(sfu)
    before = set(sfu.link.objects)
    mallory = await sfu.join("mallory")
    with caplog.at_level(logging.ERROR):
        for turn in range(250):
            event = chance.source.choice(list(Event)).value
            if event in {"leave-room", "close-transport"} and chance.source.random() < 0.8:
                continue
            given: Any = chance.payload() if chance.source.random() < 0.95 else chance.value()
            answer = await sfu.sockets._io.handlers["/"][event](mallory.sid, given)
            codes.add(chance.note(event, answer))
            if turn % 50 == 0:
                await carried_on(sfu, bob, producer)
            if "mallory" not in sfu.rooms.by_name["demo"].participants:
                await mallory.ask("join-room", roomId="demo")
                chance.known = {"producerId": [producer]}
    assert {"ok", "missing_field", "bad_field"} <= codes
    assert "internal" not in codes
    assert caplog.records == []
    await mallory.disconnect()
    await sfu.settle()
    await carried_on(sfu, bob, producer)
    assert set(sfu.link.objects) == before


@pytest.mark.parametrize("seed", range(4))
async def test_bodies_of_chance_are_answered_and_never_by_500(sfu: SfuWorld, seed: int) -> None:
    chance, statuses = Chance(seed), set()
    bob, producer = await bystander(sfu)
    before = set(sfu.link.objects)
    for turn in range(250):
        if "mallory" not in sfu.rooms.by_name["demo"].participants:
            assert (await sfu.post("/rooms/demo/peers", {"peerId": "mallory"})).status_code == 201
            chance.known = {"producerId": [producer]}
        kind, *rest = chance.source.choice(PATHS).split("/")
        known = chance.known.get(NAMED.get(kind, ""), ["mallory"])
        id_ = chance.source.choice([*known[-3:], "none", "%00", "x" * 300])
        path = "/".join(["/rooms/demo", kind, *rest]).replace("{id}", id_)
        body = chance.payload() | ({"peerId": "mallory", "direction": "send"} if chance.source.random() < 0.9 else {})
        if chance.source.random() < 0.05:
            text = json.dumps(body)[: chance.source.randrange(200)]
            bearer = sfu.token("backend", "", room_join=False, room_admin=True)
            answer = await sfu.http.post(path, content=text, headers={"Authorization": f"Bearer {bearer}"})
        else:
            answer = await sfu.post(path, body)
        statuses.add(answer.status_code)
        if not rest:
            chance.note(kind, answer.json())
        if turn % 50 == 0:
            await carried_on(sfu, bob, producer)
    assert {200, 201, 400, 404} <= statuses <= {200, 201, 400, 403, 404, 409, 503}
    for peer in set(sfu.rooms.by_name["demo"].participants) - {"bob"}:
        await sfu.rooms.remove(sfu.rooms.by_name["demo"].participants[peer])
    await sfu.settle()
    await carried_on(sfu, bob, producer)
    assert set(sfu.link.objects) == before
