"""Tokens decide what a WHIP publisher may do, rooms which codecs it may send, locks who gets in."""

from __future__ import annotations

import pytest
from api_world import PUBLISH, SDP, WATCH, ApiWorld

from roomtone.control.rooms import Permissions, Protocol, RoomOptions, TrackSource


async def whip(api: ApiWorld, **grants: object) -> tuple[int, dict[str, str], str]:
    headers = {"Content-Type": SDP, "Authorization": f"Bearer {api.token(**grants)}"}
    response = await api.http.post("/whip/demo", content=PUBLISH, headers=headers)
    return response.status_code, response.json() if response.status_code >= 400 else {}, response.text


async def whep(api: ApiWorld, **grants: object) -> tuple[int, str | None]:
    headers = {"Content-Type": SDP, "Authorization": f"Bearer {api.token('eve', **grants)}"}
    response = await api.http.post("/whep/demo", content=WATCH, headers=headers)
    return response.status_code, response.json()["code"] if response.status_code >= 400 else None


async def test_a_publisher_has_the_permissions_of_its_token(api: ApiWorld) -> None:
    status, _, _ = await whip(api, hidden=True, can_update_own_metadata=True, can_publish_data=False)
    assert status == 201
    alice = api.rooms.find("demo").participants["alice"]
    assert alice.permissions == Permissions(hidden=True, can_update_own_metadata=True, can_publish_data=False)
    assert alice.protocol is Protocol.WHIP
    assert [track.source for track in alice.publications.values()] == [TrackSource.MICROPHONE, TrackSource.CAMERA]


async def test_a_token_for_the_microphone_lets_no_camera_in(api: ApiWorld) -> None:
    status, problem, _ = await whip(api, can_publish_sources=("microphone",))
    assert (status, problem["code"]) == (403, "not_permitted")
    assert not api.rooms.by_name


async def test_the_answer_names_only_codecs_of_the_room(api: ApiWorld) -> None:
    await api.rooms.create("demo", RoomOptions(codecs=frozenset({"OPUS", "VP8"})))
    status, _, answer = await whip(api)
    assert status == 201
    assert {line.split()[1].split("/")[0] for line in answer.splitlines() if line.startswith("a=rtpmap")} <= {
        "opus",
        "red",
        "VP8",
        "rtx",
    }
    assert "VP8" in answer


async def test_a_publisher_without_a_codec_of_the_room_is_refused(api: ApiWorld) -> None:
    await api.rooms.create("demo", RoomOptions(codecs=frozenset({"G722", "H265"})))
    status, problem, _ = await whip(api)
    assert (status, problem["code"]) == (406, "no_common_codec")


@pytest.mark.parametrize(
    ("options", "code"), [(RoomOptions(locked=True), "room_locked"), (RoomOptions(lobby=True), "must_ask")]
)
async def test_lock_and_lobby_keep_out_who_is_no_moderator(api: ApiWorld, options: RoomOptions, code: str) -> None:
    await api.rooms.create("demo", options)
    status, problem, _ = await whip(api)
    assert (status, problem["code"]) == (403, code)
    assert (await whip(api, room_admin=True))[0] == 201
    assert await whep(api) == (403, code)
    assert await whep(api, room_admin=True) == (201, None)
    assert not (await whip(api))[1], "who is in comes again, and replaces itself"
