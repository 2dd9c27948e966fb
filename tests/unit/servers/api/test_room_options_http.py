"""Operators make rooms with options, change them, and read who speaks, asks, left and wrote."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from api_world import ApiWorld

from roomtone.control.rooms import (
    CloseReason,
    JoinRequest,
    KnockDecision,
    ParticipantState,
    Permissions,
    Protocol,
    Refusal,
    RoomError,
    RoomEventKind,
    RoomOptions,
    TrackSource,
)
from roomtone.media.fake_objects import FakeProducer
from roomtone.media.values import MediaKind

ROOMS = "/api/v1/rooms"
ROOM = f"{ROOMS}/demo"


def admin(api: ApiWorld, **grants: bool) -> dict[str, str]:
    return api.headers(None, token=api.token(room_admin=True, room_create=True, **grants))


async def test_a_room_is_made_once_with_its_options(api: ApiWorld) -> None:
    body = {"name": "demo", "metadata": "m", "max_participants": 3, "codecs": ["vp8", "opus"], "lobby": True}
    assert (await api.http.post(ROOMS, json=body, headers=api.headers(None))).status_code == 403
    made = await api.http.post(ROOMS, json=body, headers=admin(api))
    assert made.status_code == 201
    assert made.json()["options"] == {
        "metadata": "m",
        "empty_timeout_s": None,
        "departure_timeout_s": None,
        "max_participants": 3,
        "max_publications": 0,
        "codecs": ["OPUS", "VP8"],
        "locked": False,
        "lobby": True,
        "e2ee": False,
    }
    again = await api.http.post(ROOMS, json={"name": "demo", "metadata": "other"}, headers=admin(api))
    assert (again.status_code, again.json()) == (200, made.json())


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "no/room"}, 404, "bad_name"),
        ({"name": "demo", "codecs": ["DIVX"]}, 422, "unknown_codec"),
        ({"name": "demo", "max_participants": -1}, 422, "invalid_request"),
        ({"name": "demo", "colour": "red"}, 422, "invalid_request"),
    ],
)
async def test_a_room_that_cannot_be_is_not_made(
    api: ApiWorld, body: dict[str, object], status: int, code: str
) -> None:
    answer = await api.http.post(ROOMS, json=body, headers=admin(api))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not api.rooms.by_name


async def test_a_room_is_changed_and_what_is_not_named_stays(api: ApiWorld) -> None:
    await api.publish()
    changed = await api.http.patch(ROOM, json={"locked": True, "metadata": "m", "codecs": ["vp9"]}, headers=admin(api))
    assert changed.status_code == 200
    changed = await api.http.patch(ROOM, json={"max_publications": 9}, headers=admin(api))
    options = changed.json()["options"]
    assert (options["locked"], options["metadata"], options["codecs"], options["max_publications"]) == (
        True,
        "m",
        ["VP9"],
        9,
    )
    assert (await api.http.patch(ROOM, json={"e2ee": True}, headers=admin(api))).status_code == 422
    assert (await api.http.patch(ROOM, json={}, headers=api.headers(None))).status_code == 403


async def test_what_is_said_of_rooms_and_participants_has_its_limit(api: ApiWorld) -> None:
    await api.publish()
    grown = "x" * 70_000
    for method, url, body in (
        ("POST", ROOMS, {"name": "another", "metadata": grown}),
        ("PATCH", ROOM, {"metadata": grown}),
        ("PATCH", f"{ROOM}/participants/alice", {"metadata": grown}),
        ("PATCH", f"{ROOM}/participants/alice", {"name": grown}),
        ("PATCH", f"{ROOM}/participants/alice", {"attributes": {"a": grown}}),
    ):
        refused = await api.http.request(method, url, json=body, headers=admin(api))
        assert refused.status_code == 422
        assert refused.json()["code"] in {"too_large", "invalid_request"}
    kept = (await api.http.get(f"{ROOM}/participants/alice", headers=admin(api))).json()
    assert (kept["name"], kept["metadata"], kept["attributes"]) == ("", "", {})
    assert api.rooms.by_name.keys() == {"demo"}


async def test_a_participant_is_changed_and_media_follows(api: ApiWorld) -> None:
    await api.publish()
    url = f"{ROOM}/participants/alice"
    body = {
        "name": "Alice",
        "metadata": "m",
        "attributes": {"hand": "up"},
        "permissions": {"publish_sources": ["microphone"], "can_publish_data": False},
    }
    changed = (await api.http.patch(url, json=body, headers=admin(api))).json()
    assert (changed["name"], changed["metadata"], changed["attributes"]) == ("Alice", "m", {"hand": "up"})
    assert [track["source"] for track in changed["tracks"]] == ["microphone"]
    assert (changed["tracks"][0]["mime"], changed["protocol"], changed["movable"]) == ("audio/opus", "whip", True)
    assert [producer.kind for producer in api.link.find(FakeProducer)] == [MediaKind.AUDIO]
    alice = api.rooms.find("demo").participants["alice"]
    expected = Permissions(publish_sources=frozenset({TrackSource.MICROPHONE}), can_publish_data=False)
    assert alice.permissions == expected
    await api.http.patch(url, json={"permissions": {"can_subscribe": False}}, headers=admin(api))
    assert alice.permissions == replace(expected, can_subscribe=False)
    too_long = await api.http.patch(url, json={"attributes": {"a": "x" * 65_536}}, headers=admin(api))
    assert too_long.status_code == 422
    assert (await api.http.patch(f"{ROOM}/participants/bob", json={}, headers=admin(api))).status_code == 404


async def test_a_participant_is_muted_with_all_its_tracks(api: ApiWorld) -> None:
    await api.publish()
    url = f"{ROOM}/participants/alice/muted"
    muted = (await api.http.put(url, json={"muted": True}, headers=admin(api))).json()
    assert [(track["muted"], track["muted_by_server"]) for track in muted["tracks"]] == [(True, True)] * 2
    assert {producer.paused for producer in api.link.find(FakeProducer)} == {True}
    await api.http.put(url, json={"muted": False}, headers=admin(api))
    assert {producer.paused for producer in api.link.find(FakeProducer)} == {False}


async def test_who_can_be_moved_is_and_who_cannot_is_said_to_stay(api: ApiWorld) -> None:
    await api.rooms.join("demo", JoinRequest("carol", protocol=Protocol.MEDIASOUP))
    movable = await api.rooms.join("demo", JoinRequest("bob", movable=True))
    token = api.token(room="demo", room_admin=True)
    headers = api.headers(None, token=token)
    url = f"{ROOM}/participants/bob/move"
    assert (await api.http.post(url, json={"room": "other"}, headers=headers)).status_code == 403
    both = await api.http.post(url, json={"room": "demo"}, headers=headers)
    assert (both.status_code, both.json()["code"]) == (409, "same_room")
    stays = await api.http.post(f"{ROOM}/participants/carol/move", json={"room": "demo"}, headers=headers)
    assert (stays.status_code, stays.json()["code"]) == (409, "not_movable")
    other = await api.rooms.move(movable, "other")
    assert (movable.closed, movable.state) == (CloseReason.MOVED, ParticipantState.DISCONNECTED)
    assert other.name == "other"
    (ended,) = (await api.http.get(f"{ROOM}/ended", headers=headers)).json()
    assert (ended["participant"], ended["viewer"], ended["reason"]) == ("bob", None, "moved")


async def test_who_publishes_by_whip_is_moved_and_its_resource_keeps_its_path(api: ApiWorld) -> None:
    made = await api.publish()
    path, tracks = made.headers["location"], list(api.rooms.find("demo").participants["alice"].publications)
    other = await api.rooms.move(api.rooms.find("demo").participants["alice"], "other")
    moved = other.participants["alice"]
    assert list(moved.publications) == tracks
    assert (await api.http.get(path)).status_code == 204
    await api.rooms.close_room(api.rooms.find("demo"))
    assert (moved.closed, len(api.link.find(FakeProducer)) >= 2) == (None, True)
    back = await api.rooms.move(moved, "third")
    headers = {"Authorization": made.request.headers["authorization"]}
    assert (await api.http.delete(path, headers=headers)).status_code == 200
    assert back.participants == {}
    assert (await api.http.delete(path, headers=headers)).status_code == 404


async def test_who_sends_plain_rtp_is_moved(api: ApiWorld) -> None:
    codec = {"name": "opus", "payload_type": 111, "clock_rate": 48_000, "channels": 2}
    body = {"identity": "line", "publish": [{"kind": "audio", "codec": codec, "ip": "127.0.0.1", "port": 4_000}]}
    opened = await api.http.post(f"{ROOM}/plain", json=body, headers=admin(api))
    assert opened.status_code == 201, opened.text
    other = await api.rooms.move(api.rooms.find("demo").participants["line"], "other")
    moved = other.participants["line"]
    assert (len(moved.publications), [one.owner for one in moved.connections.values()]) == (1, [moved])
    await api.rooms.remove(moved)
    assert api.link.find(FakeProducer) == []


async def test_who_cannot_be_told_stays_where_the_other_room_is_encrypted(api: ApiWorld) -> None:
    await api.publish()
    await api.rooms.create("secret", RoomOptions(e2ee=True))
    alice = api.rooms.find("demo").participants["alice"]
    with pytest.raises(RoomError) as caught:
        await api.rooms.move(alice, "secret")
    assert caught.value.refusal is Refusal.ROOM_IS_ENCRYPTED
    assert alice.closed is None


async def test_a_participant_is_forwarded_by_who_governs_its_room_and_may_send_it_there(api: ApiWorld) -> None:
    await api.publish()
    url = f"{ROOM}/participants/alice/forward"
    one = api.headers(None, token=api.token(room="demo", room_admin=True))
    assert (await api.http.post(url, json={"to": "other"}, headers=one)).status_code == 403
    both = api.headers(None, token=api.token(room_admin=True, destination_room="other"))
    there = (await api.http.post(url, json={"to": "other"}, headers=both)).json()
    assert (there["identity"], there["forwarded_from"], len(there["tracks"])) == ("alice", "demo", 2)
    here = (await api.http.get(f"{ROOM}/participants/alice", headers=admin(api))).json()
    assert (here["forwarded_from"], here["forwarded_to"]) == (None, ["other"])
    again = await api.http.post(url, json={"to": "other"}, headers=both)
    assert (again.status_code, again.json()["code"]) == (409, "identity_taken")
    other = api.headers(None, token=api.token(room="other", room_admin=True))
    mirror = "/api/v1/rooms/other/participants/alice"
    changed = await api.http.patch(mirror, json={"name": "x"}, headers=other)
    assert (changed.status_code, changed.json()["code"]) == (409, "is_forwarded")
    assert (await api.http.delete(mirror, headers=other)).status_code == 204
    assert [one.identity for one in api.rooms.by_name["demo"].participants.values()] == ["alice"]


async def test_who_left_is_listed_with_the_reason(api: ApiWorld) -> None:
    await api.publish()
    watched = await api.watch()
    await api.http.delete(watched.headers["location"], headers=api.headers(None, token=api.token("viewer")))
    await api.http.delete(f"{ROOM}/participants/alice", headers=admin(api))
    await api.publish()
    ended = (await api.http.get(f"{ROOM}/ended", headers=admin(api))).json()
    assert [(one["participant"], one["reason"]) for one in ended][-1] == ("alice", "removed")
    for _ in range(300):
        await api.rooms.join("demo", JoinRequest("bob"))
    assert len((await api.http.get(f"{ROOM}/ended", headers=admin(api))).json()) == 200


async def test_who_asks_is_admitted_or_denied(api: ApiWorld) -> None:
    await api.http.post(ROOMS, json={"name": "demo", "lobby": True}, headers=admin(api))
    knocks = [await api.rooms.knock("demo", JoinRequest(name, name=name.title())) for name in ("alice", "bob")]
    waiting = (await api.http.get(f"{ROOM}/lobby", headers=admin(api))).json()
    assert [(knock["identity"], knock["name"]) for knock in waiting] == [("alice", "Alice"), ("bob", "Bob")]
    assert (await api.http.get(ROOM, headers=admin(api))).json()["waiting"] == 2
    first, second = (f"{ROOM}/lobby/{knock['id']}" for knock in waiting)
    assert (await api.http.post(f"{first}/admit", headers=admin(api))).status_code == 200
    assert (await api.http.post(f"{second}/deny", headers=admin(api))).status_code == 200
    assert (await api.http.post(f"{second}/admit", headers=admin(api))).json()["code"] == "no_such_knock"
    assert [await knock.decided() for knock in knocks] == [KnockDecision.ADMITTED, KnockDecision.DENIED]
    await api.rooms.join("demo", JoinRequest("alice"))


async def knock(api: ApiWorld, identity: str) -> str:
    answer = await api.http.post(f"{ROOM}/knock", headers=api.headers(None, token=api.token(identity)))
    return answer.text if answer.status_code == 200 else answer.json()["code"]


async def test_a_client_asks_to_enter_waits_and_joins_as_it_likes(api: ApiWorld) -> None:
    await api.http.post(ROOMS, json={"name": "demo", "lobby": True}, headers=admin(api))
    assert (await api.http.post(f"{ROOM}/knock")).status_code == 401
    assert (await api.publish()).json()["code"] == "must_ask"
    with api.rooms.find("demo").events.open() as mailbox:
        asking = [asyncio.ensure_future(knock(api, identity)) for identity in ("alice", "bob")]
        async with asyncio.timeout(40):
            first, second = [event.knock for event in (await mailbox.get(), await mailbox.get()) if event]
    await api.http.post(f"{ROOM}/lobby/{first}/admit", headers=admin(api))
    await api.http.post(f"{ROOM}/lobby/{second}/deny", headers=admin(api))
    assert await asking[0] == (
        f'event: waiting\ndata: {{"id": "{first}"}}\n\n'
        f'event: decided\ndata: {{"id": "{first}", "decision": "admitted"}}\n\n'
    )
    assert '"denied"' in await asking[1]
    assert (await api.publish()).status_code == 201
    await api.http.patch(ROOM, json={"locked": True}, headers=admin(api))
    assert await knock(api, "carol") == "room_locked"


async def test_who_hangs_up_asks_no_longer(api: ApiWorld) -> None:
    await api.http.post(ROOMS, json={"name": "demo", "lobby": True}, headers=admin(api))
    with api.rooms.find("demo").events.open() as mailbox:
        asking = asyncio.ensure_future(knock(api, "alice"))
        async with asyncio.timeout(40):
            await mailbox.get()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert not api.rooms.find("demo").lobby
    assert api.rooms.knocks_decided == {KnockDecision.WITHDRAWN: 1}


async def test_who_speaks_is_listed_and_told(api: ApiWorld) -> None:
    await api.publish()
    room = api.rooms.find("demo")
    voice = next(p.producer.id for p in api.rooms.publications.values() if p.offer.kind is MediaKind.AUDIO)
    with room.events.open() as mailbox:
        api.link.let_speak({voice: -20})
        async with asyncio.timeout(40):
            event = await mailbox.get()
    assert event is not None
    assert event.kind is RoomEventKind.SPEAKERS_CHANGED
    speakers = (await api.http.get(f"{ROOM}/speakers", headers=admin(api))).json()
    assert speakers == [{"identity": "alice", "level": 0.1, "active": True}]


async def test_chat_is_read_and_moderated(api: ApiWorld) -> None:
    alice = await api.rooms.join("demo", JoinRequest("alice"))
    said = [await api.rooms.post_message(alice, text) for text in ("one", "two", "three")]
    read = (await api.http.get(f"{ROOM}/chat?limit=2", headers=admin(api))).json()
    assert [message["text"] for message in read] == ["two", "three"]
    older = (await api.http.get(f"{ROOM}/chat?before={said[1].id}", headers=admin(api))).json()
    assert [message["text"] for message in older] == ["one"]
    url = f"{ROOM}/chat/{said[0].id}"
    assert (await api.http.patch(url, json={"text": ""}, headers=admin(api))).json()["code"] == "empty_message"
    assert (await api.http.patch(url, json={"text": "1"}, headers=admin(api))).json()["text"] == "1"
    assert (await api.http.delete(url, headers=admin(api))).json()["deleted_at"] is not None
    assert (await api.http.delete(url, headers=admin(api))).status_code == 404
    assert (await api.http.get(f"{ROOM}/chat?limit=1000", headers=admin(api))).status_code == 422


async def test_participants_write_and_change_what_they_wrote(api: ApiWorld) -> None:
    await api.publish()
    await api.rooms.join("demo", JoinRequest("bob"))
    alice, bob = (api.headers(None, token=api.token(identity)) for identity in ("alice", "bob"))
    said = await api.http.post(f"{ROOM}/chat", json={"text": "hello"}, headers=alice)
    assert (said.status_code, said.json()["sender"]) == (201, "alice")
    answer = await api.http.post(f"{ROOM}/chat", json={"text": "hi", "reply_to": said.json()["id"]}, headers=bob)
    read = (await api.http.get(f"{ROOM}/chat", headers=bob)).json()
    assert read == [said.json(), answer.json()]
    url = f"{ROOM}/chat/{said.json()['id']}"
    assert (await api.http.patch(url, json={"text": "x"}, headers=bob)).json()["code"] == "not_permitted"
    assert (await api.http.patch(url, json={"text": "hello!"}, headers=alice)).json()["text"] == "hello!"
    assert (await api.http.delete(url, headers=alice)).json()["deleted_by"] == "alice"
    stranger = api.headers(None, token=api.token("eve"))
    assert (await api.http.get(f"{ROOM}/chat", headers=stranger)).json()["code"] == "no_such_participant"
    assert (await api.http.get(f"{ROOM}/chat")).status_code == 401
    outside = await api.http.post(
        f"{ROOM}/chat", json={"text": "hello"}, headers=api.headers(None, token=api.token("boss", room_admin=True))
    )
    assert (outside.status_code, outside.json()["code"]) == (409, "not_in_room")
    url = f"{ROOM}/chat/{answer.json()['id']}"
    operator = api.headers(None, token=api.token("alice", room_admin=True))
    assert (await api.http.delete(url, headers=operator)).json()["deleted_by"] is None
    await api.rooms.update(api.rooms.find("demo").participants["bob"], permissions=Permissions(can_publish_data=False))
    assert (await api.http.post(f"{ROOM}/chat", json={"text": "more"}, headers=bob)).json()["code"] == "not_permitted"
