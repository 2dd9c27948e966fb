"""The SFU over HTTP: the eleven calls of the typed client, who may make them, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sfu_world import SfuWorld, vector

from roomtone.client import SfuClient, SfuRequestError
from roomtone.media.fake_objects import FakeConsumer, FakeProducer, FakeTransport
from roomtone.media.values import EngineCloseReason, EngineConfig
from roomtone.servers.socketio import rest

MakeSfu = Callable[..., Awaitable[SfuWorld]]


async def code_of(call: Awaitable[Any]) -> tuple[int | None, str]:
    """Status and code of a call that must be refused."""
    with pytest.raises(SfuRequestError) as raised:
        await call
    return raised.value.status, raised.value.code


async def sending(client: SfuClient, peer: str) -> tuple[str, str]:
    """Let a peer in and make it send video; gives its transport and producer."""
    await client.add_peer("demo", peer)
    over = (await client.create_transport("demo", peer, "send")).id
    await client.connect_transport("demo", peer, over, vector("connect-transport")["dtlsParameters"])
    made = await client.produce(
        "demo", peer, over, "video", vector("produce-video-simulcast")["rtpParameters"], app_data={"source": "screen"}
    )
    return over, made.id


async def test_the_eleven_calls_publish_and_consume(sfu: SfuWorld) -> None:
    async with sfu.client() as client:
        assert (await client.health()).status == "ok"
        joined = await client.add_peer("demo", "alice", full_name="Alice")
        assert joined.peers == ()
        assert joined.rtp_capabilities["codecs"]
        over = await client.create_transport("demo", "alice", "send")
        assert over.ice_parameters["iceLite"]
        await client.connect_transport("demo", "alice", over.id, vector("connect-transport")["dtlsParameters"])
        made = await client.produce("demo", "alice", over.id, "audio", vector("produce-audio")["rtpParameters"])
        assert made.kind == "audio"
        joined = await client.add_peer("demo", "bob")
        assert [peer["producers"][0]["producerId"] for peer in joined.peers] == [made.id]
        into = await client.create_transport("demo", "bob", "recv")
        capabilities = vector("consume")["rtpCapabilities"]
        consumer = await client.consume("demo", "bob", into.id, made.id, capabilities, paused=False)
        assert (consumer.producer_id, consumer.kind, consumer.type) == (made.id, "audio", "simple")
        assert not sfu.link.find(FakeConsumer)[0].paused
        (room,) = await client.rooms()
        assert (room.id, room.peers, room.producers) == ("demo", 2, 1)
        assert [peer["fullName"] for peer in (await client.room("demo")).peer_list] == ["Alice", "bob"]
        await client.close_consumer("demo", "bob", consumer.id)
        await client.close_producer("demo", "alice", made.id)
        assert sfu.link.find(FakeProducer) == sfu.link.find(FakeConsumer) == []
        await client.leave("demo", "alice")
        await client.leave("demo", "bob")
        assert sfu.link.find(FakeTransport) == []


async def test_both_sides_see_each_other(sfu: SfuWorld) -> None:
    socket = await sfu.join("bob")
    async with sfu.client() as client:
        _, video = await sending(client, "alice")
        await sfu.settle()
        (told,) = socket.heard("newProducer")
        assert (told["producerId"], told["peerId"], told["appData"]) == (video, "alice", {"source": "screen"})
        assert [peer["peerId"] for peer in (await client.room("demo")).peer_list] == ["bob", "alice"]
        made = await socket.do("create-transport", roomId="demo", direction="recv")
        await socket.do("consume", **vector("consume", transportId=made["id"], producerId=video))
        await client.leave("demo", "alice")
        await sfu.settle()
        assert [one["peerId"] for one in socket.heard("participant-left")] == ["alice"]


async def test_a_peer_whose_client_is_gone_does_not_stay(sfu: SfuWorld) -> None:
    async with sfu.client() as client:
        await sending(client, "alice")
        (held,) = sfu.sfu.peer("demo", "alice").transports.values()
        sfu.link.lose_peer(held.connection.transport.id, EngineCloseReason.CONSENT_EXPIRED)
        await sfu.settle()
        assert await code_of(client.leave("demo", "alice")) == (404, "no_such_peer")


async def test_a_peer_without_a_transport_does_not_stay(sfu: SfuWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    async with sfu.client() as client:
        await sending(client, "used")
        monkeypatch.setattr(rest, "UNUSED_S", 0)
        await client.add_peer("demo", "unused")
        await sfu.settle()
        assert [peer["peerId"] for peer in (await client.room("demo")).peer_list] == ["used"]


async def test_what_is_missing_or_wrong_is_400_and_named(sfu: SfuWorld) -> None:
    for path, body, code in (
        ("/rooms/demo/peers", {}, "missing_field"),
        ("/rooms/demo/peers", [], "malformed_payload"),
        ("/rooms/demo/transports", {"peerId": "alice", "direction": "up"}, "bad_field"),
        ("/rooms/demo/transports", {"direction": "send"}, "missing_field"),
        ("/rooms/demo/producers", {"peerId": "alice", "kind": "video"}, "missing_field"),
        ("/rooms/bad%20name/peers", {"peerId": "x"}, "bad_name"),
    ):
        await sfu.post("/rooms/demo/peers", {"peerId": "alice"})
        answer = await sfu.post(path, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code), path
    again = await sfu.post("/rooms/demo/peers", {"peerId": "alice"})
    assert (again.status_code, again.json()["error"]["code"]) == (400, "duplicate_peer")
    broken = await sfu.http.post("/rooms/demo/peers", content=b"{", headers={"Authorization": f"Bearer {sfu.token()}"})
    assert broken.json()["error"]["code"] == "malformed_payload"


async def test_what_is_not_there_is_404_and_what_the_state_forbids_409(sfu: SfuWorld) -> None:
    async with sfu.client() as client:
        assert await code_of(client.room("none")) == (404, "no_such_room")
        assert await code_of(client.create_transport("none", "alice", "send")) == (404, "no_such_room")
        over, video = await sending(client, "alice")
        assert await code_of(client.create_transport("demo", "bob", "send")) == (404, "no_such_peer")
        assert await code_of(client.close_producer("demo", "alice", "TR_x")) == (404, "no_such_producer")
        assert await code_of(client.close_consumer("demo", "alice", "CO_x")) == (404, "no_such_consumer")
        prints = vector("connect-transport")["dtlsParameters"]
        assert await code_of(client.connect_transport("demo", "alice", "TP_x", prints)) == (404, "no_such_transport")
        assert await code_of(client.connect_transport("demo", "alice", over, prints)) == (409, "already_connected")
        capabilities = vector("consume")["rtpCapabilities"]
        assert await code_of(client.consume("demo", "alice", over, video, capabilities)) == (409, "wrong_direction")
        into = (await client.create_transport("demo", "alice", "recv")).id
        assert await code_of(client.consume("demo", "alice", into, video, {})) == (409, "no_common_codec")


async def test_a_room_token_acts_for_its_own_room_and_peer_only(sfu: SfuWorld) -> None:
    async with sfu.client(sfu.token("alice")) as own, sfu.client("nonsense") as nobody:
        await own.add_peer("demo", "alice")
        await own.create_transport("demo", "alice", "send")
        assert await code_of(own.add_peer("demo", "bob")) == (403, "not_granted")
        assert await code_of(own.add_peer("other", "alice")) == (403, "other_room")
        assert await code_of(own.rooms()) == (403, "not_granted")
        assert (await own.room("demo")).peers == 1
        assert await code_of(nobody.rooms()) == (401, "token_malformed")
        assert await code_of(nobody.add_peer("demo", "x")) == (401, "token_malformed")
        assert (await nobody.health()).peers == 1
    unnamed = await sfu.http.get("/rooms")
    assert unnamed.status_code == 401
    assert unnamed.headers["www-authenticate"].startswith("Bearer")
    elsewhere = sfu.token("backend", "other", room_join=False, room_admin=True)
    assert (await sfu.post("/rooms/demo/peers", {"peerId": "x"}, elsewhere)).status_code == 403


async def test_an_overloaded_engine_is_503_with_a_time_to_try_again(make_sfu: MakeSfu) -> None:
    sfu = await make_sfu(EngineConfig(max_transports=1))
    async with sfu.client() as client:
        await sending(client, "alice")
    answer = await sfu.post("/rooms/demo/transports", {"peerId": "alice", "direction": "recv"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_busy")
    assert answer.headers["retry-after"] == "5"


async def test_a_body_over_its_limit_is_413(sfu: SfuWorld) -> None:
    answer = await sfu.post("/rooms/demo/peers", {"peerId": "alice", "x": "y" * 70_000})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


async def test_health_says_when_there_is_no_engine(sfu: SfuWorld) -> None:
    await sfu.rooms.engine.close()
    assert (await sfu.http.get("/health")).status_code == 503


class Flaky(httpx.AsyncBaseTransport):
    """Fails so many times before it answers."""

    def __init__(self, failures: int, status: int | None = None) -> None:
        self.failures = failures
        self.status = status
        self.tried = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.tried += 1
        if self.tried <= self.failures:
            if self.status is None:
                raise httpx.ConnectError("no", request=request)
            return httpx.Response(self.status, json={"error": {"code": "engine_busy", "message": "later"}})
        return httpx.Response(200, json={"rooms": []})


@pytest.mark.parametrize("status", [None, 503])
async def test_only_calls_that_change_nothing_are_tried_again(status: int | None) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await asyncio.sleep(0)

    flaky = Flaky(2, status)
    async with SfuClient("http://sfu", lambda: "t", transport=flaky, sleep=sleep) as client:
        assert await client.rooms() == []
        assert waited == [0.4, 0.8]
        flaky.tried = 0
        code = "unreachable" if status is None else "engine_busy"
        assert await code_of(client.add_peer("demo", "alice")) == (status, code)
        assert flaky.tried == 1


async def test_a_client_gives_up_after_its_attempts_and_not_on_a_refusal() -> None:
    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    flaky = Flaky(9)
    async with SfuClient("http://sfu", "t", transport=flaky, sleep=sleep) as client:
        assert await code_of(client.rooms()) == (None, "unreachable")
        assert flaky.tried == 3
    refusing = Flaky(9, 403)
    async with SfuClient("http://sfu", "t", transport=refusing, sleep=sleep) as client:
        assert await code_of(client.rooms()) == (403, "engine_busy")
        assert refusing.tried == 1
