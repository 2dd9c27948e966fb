"""`/api/v1` and the tokens of development."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from api_world import WATCH, ApiWorld

from roomtone.config import Settings
from roomtone.media.fake_objects import FakeConsumer, FakeProducer
from roomtone.protocols.sdp import parse_session
from roomtone.servers.api import rooms_api

MakeApi = Callable[..., Awaitable[ApiWorld]]
GOOD_KEY = {"suite": "AES_CM_128_HMAC_SHA1_80", "key": "A" * 40}
VP8 = {"name": "VP8", "payload_type": 96, "clock_rate": 90000}
OPUS = {"name": "opus", "payload_type": 97, "clock_rate": 48000, "channels": 2}


def admin(api: ApiWorld, **grants: bool) -> dict[str, str]:
    return api.headers(None, token=api.token(room_admin=True, **grants))


async def test_rooms_are_listed_to_who_may(api: ApiWorld) -> None:
    await api.publish()
    assert (await api.http.get("/api/v1/rooms")).status_code == 401
    assert (await api.http.get("/api/v1/rooms", headers=api.headers(None))).status_code == 403
    (room,) = (await api.http.get("/api/v1/rooms", headers=api.headers(None, token=api.token(room_list=True)))).json()
    assert (room["name"], room["participants"], room["publishers"], room["viewers"]) == ("demo", 1, 1, 0)


@pytest.mark.parametrize(
    "path", ["", "/participants", "/participants/alice", "/viewers", "/tracks", "/statistics", "/events"]
)
async def test_a_room_is_shown_only_to_its_administrators(api: ApiWorld, path: str) -> None:
    await api.publish()
    url = f"/api/v1/rooms/demo{path}"
    assert (await api.http.get(url)).status_code == 401
    assert (await api.http.get(url, headers=api.headers(None))).status_code == 403
    other = api.headers(None, token=api.token(room="other", room_admin=True))
    assert (await api.http.get(url, headers=other)).status_code == 403


async def test_a_room_s_members_and_tracks_are_described(api: ApiWorld) -> None:
    await api.publish()
    await api.watch()
    headers = admin(api)
    (participant,) = (await api.http.get("/api/v1/rooms/demo/participants", headers=headers)).json()
    assert (participant["identity"], participant["kind"], participant["connected"]) == ("alice", "ingest", False)
    one = (await api.http.get("/api/v1/rooms/demo/participants/alice", headers=headers)).json()
    assert one == participant
    tracks = (await api.http.get("/api/v1/rooms/demo/tracks", headers=headers)).json()
    assert tracks == participant["tracks"]
    assert {track["kind"] for track in tracks} == {"audio", "video"}
    (viewer,) = (await api.http.get("/api/v1/rooms/demo/viewers", headers=headers)).json()
    assert (viewer["follows"], viewer["source"]) == (None, "alice")
    room = (await api.http.get("/api/v1/rooms/demo", headers=headers)).json()
    assert (room["participants"], room["viewers"]) == (1, 1)


async def test_what_is_not_there_is_404(api: ApiWorld) -> None:
    headers = admin(api)
    assert (await api.http.get("/api/v1/rooms/demo", headers=headers)).status_code == 404
    await api.publish()
    for path in ("participants/bob", "nothing"):
        assert (await api.http.get(f"/api/v1/rooms/demo/{path}", headers=headers)).status_code == 404
    assert (await api.http.delete("/api/v1/rooms/demo/viewers/x", headers=headers)).status_code == 404
    body = {"muted": True}
    assert (await api.http.put("/api/v1/rooms/demo/tracks/x/muted", json=body, headers=headers)).status_code == 404


async def test_statistics_are_of_every_transport_and_stream(api: ApiWorld) -> None:
    await api.publish()
    await api.watch()
    body = (await api.http.get("/api/v1/rooms/demo/statistics", headers=admin(api))).json()
    (publisher,), (viewer,) = body["participants"], body["viewers"]
    assert {reports[0]["type"] for reports in publisher["tracks"].values()} == {"inbound-rtp"}
    assert {reports[0]["type"] for reports in viewer["subscriptions"].values()} == {"outbound-rtp"}
    assert publisher["transports"][0][0]["type"] == "transport"


async def test_kicked_means_gone(api: ApiWorld) -> None:
    published = await api.publish()
    watched = await api.watch()
    headers = admin(api)
    (viewer,) = (await api.http.get("/api/v1/rooms/demo/viewers", headers=headers)).json()
    assert (await api.http.delete(f"/api/v1/rooms/demo/viewers/{viewer['id']}", headers=headers)).status_code == 204
    assert (await api.http.delete("/api/v1/rooms/demo/participants/alice", headers=headers)).status_code == 204
    assert (await api.http.delete("/api/v1/rooms/demo/participants/alice", headers=headers)).status_code == 404
    for response in (published, watched):
        assert (await api.http.get(response.headers["location"])).status_code == 404


async def test_a_track_is_muted(api: ApiWorld) -> None:
    await api.publish()
    headers = admin(api)
    tracks = (await api.http.get("/api/v1/rooms/demo/tracks", headers=headers)).json()
    url = f"/api/v1/rooms/demo/tracks/{tracks[0]['id']}/muted"
    assert (await api.http.put(url, json={"muted": True}, headers=headers)).json()["muted"] is True
    assert [p.paused for p in api.link.find(FakeProducer)].count(True) == 1
    assert (await api.http.put(url, json={"muted": "perhaps"}, headers=headers)).status_code == 422


async def test_a_track_that_its_publisher_mutes_is_not_said_to_be_unmuted(api: ApiWorld) -> None:
    await api.publish()
    (participant,) = api.rooms.by_name["demo"].participants.values()
    tracks = list(participant.publications.values())
    await api.rooms.mute(tracks[0], muted=True, by_server=False)
    url, headers = f"/api/v1/rooms/demo/tracks/{tracks[0].id}/muted", admin(api)
    refused = await api.http.put(url, json={"muted": False}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "muted_by_publisher")
    everything = f"/api/v1/rooms/demo/participants/{participant.identity}/muted"
    some = await api.http.put(everything, json={"muted": False}, headers=headers)
    assert sorted(track["muted"] for track in some.json()["tracks"]) == [False, True]
    for track in tracks:
        await api.rooms.mute(track, muted=True, by_server=False)
    refused = await api.http.put(everything, json={"muted": False}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "muted_by_publisher")
    for track in tracks:
        await api.rooms.mute(track, muted=False, by_server=False)
    assert (await api.http.put(url, json={"muted": False}, headers=headers)).json()["muted"] is False


async def test_a_closed_room_takes_everybody_along(api: ApiWorld) -> None:
    await api.publish()
    await api.watch()
    assert (await api.http.delete("/api/v1/rooms/demo", headers=admin(api))).status_code == 204
    assert not api.link.objects
    assert len(api.context.resources) == 0


async def test_events_are_sent_with_their_numbers(api: ApiWorld) -> None:
    await api.publish()
    room = api.rooms.find("demo")
    mailbox = room.events.open()
    reading = rooms_api._events(mailbox)
    await api.watch()
    text = await anext(reading)
    assert text.startswith(f"id: {room.events.last_seq}\nevent: viewer_joined\ndata: {{")
    await reading.aclose()


async def test_a_plain_source_and_sink_join(api: ApiWorld) -> None:
    body = {"identity": "camera", "publish": [{"kind": "video", "codec": VP8}, {"kind": "audio", "codec": OPUS}]}
    response = await api.http.post("/api/v1/rooms/demo/plain", json=body, headers=admin(api))
    assert response.status_code == 201, response.text
    assert [s["port"] > 0 for s in response.json()["streams"]] == [True, True]
    assert (await api.watch(WATCH)).status_code == 201
    sink = {"kind": "video", "codec": VP8 | {"payload_type": 100}, "ip": "127.0.0.1", "port": 6000}
    response = await api.http.post("/api/v1/rooms/demo/plain", json={"subscribe": [sink]}, headers=admin(api))
    assert response.status_code == 201, response.text
    described = parse_session(response.json()["sdp"])
    assert (described.media[0].port, described.media[0].rtp_maps[0].payload_type) == (6000, 100)
    assert [(96, 100)] in [consumer.payload_types for consumer in api.link.find(FakeConsumer)]
    viewer = response.json()["viewer"]
    assert (await api.http.delete(f"/api/v1/rooms/demo/viewers/{viewer}", headers=admin(api))).status_code == 204


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"identity": "x", "publish": []}, 422),
        ({"publish": [{"kind": "video", "codec": VP8}]}, 422),
        ({"identity": "x", "publish": [{"kind": "video", "codec": VP8 | {"name": "THEORA"}}]}, 406),
        ({"identity": "x", "publish": [{"kind": "video", "codec": VP8, "ip": "nowhere", "port": 5}]}, 422),
        ({"identity": "x", "publish": [{"kind": "video", "codec": VP8, "ip": "127.0.0.1"}]}, 422),
        ({"identity": "x", "publish": [{"kind": "video", "codec": VP8, "srtp": {"suite": "x", "key": "!"}}]}, 422),
        ({"identity": "x", "publish": [{"kind": "video", "codec": VP8, "local_srtp": GOOD_KEY}]}, 422),
        ({"subscribe": [{"kind": "video", "codec": VP8}]}, 422),
        ({"subscribe": [{"kind": "video", "codec": VP8, "ip": "127.0.0.1", "port": 6000}]}, 409),
    ],
)
async def test_a_plain_request_that_cannot_be_served_says_so(api: ApiWorld, body: object, status: int) -> None:
    response = await api.http.post("/api/v1/rooms/demo/plain", json=body, headers=admin(api))
    assert response.status_code == status, response.text
    await api.settle()
    assert not api.link.objects
    assert (await api.http.post("/api/v1/rooms/demo/plain", json=body, headers=api.headers(None))).status_code == 403


async def test_pages_of_a_development_server_get_tokens(api: ApiWorld) -> None:
    for method in ("GET", "POST"):
        response = await api.http.request(method, "/dev/token?room=demo&identity=page")
        assert response.status_code == 200
        token = response.json()["token"]
        assert (await api.http.post("/whip/demo", headers=api.headers(token=token), content=b"x")).status_code == 400
    assert (await api.http.post("/dev/token?room=a%20b&identity=x")).status_code == 404
    assert (await api.http.post("/dev/token?room=demo")).status_code == 422


async def test_a_guest_of_a_development_server_has_a_name_and_may_raise_a_hand(api: ApiWorld) -> None:
    response = await api.http.post("/dev/token?room=demo&identity=guest&name=Ada%20L.")
    token = api.context.keys.verify(response.json()["token"], api.context.wall_clock())
    assert token.name == "Ada L."
    assert token.grants.can_update_own_metadata
    assert not token.grants.room_admin


async def test_pages_are_told_what_the_server_offers(make_api: MakeApi) -> None:
    here = (await (await make_api()).http.get("/api/v1/server")).json()
    assert here | {"guests": True, "accounts": False, "registration": False} == here
    far = await make_api(client=("192.0.2.7", 1))
    assert (await far.http.get("/api/v1/server")).json()["guests"] is False
    production = await make_api(settings=Settings())
    assert (await production.http.get("/api/v1/server")).json()["guests"] is False


async def test_tokens_are_given_to_this_machine_only_and_by_development_servers_only(make_api: MakeApi) -> None:
    far = await make_api(client=("192.0.2.7", 1))
    assert (await far.http.post("/dev/token?room=demo&identity=x")).status_code == 403
    production = await make_api(settings=Settings())
    assert (await production.http.post("/dev/token?room=demo&identity=x")).status_code == 404
    assert (await production.publish()).status_code == 401


async def test_openapi_describes_everything(api: ApiWorld) -> None:
    described = (await api.http.get("/api/v1/openapi.json")).json()
    for path in ("/whip/{room}", "/whep/{room}", "/api/v1/rooms", "/api/v1/rooms/{room}/participants/{identity}"):
        assert path in described["paths"]
    assert "HTTPBearer" in described["components"]["securitySchemes"]


async def test_errors_of_routing_are_problems_too(api: ApiWorld) -> None:
    response = await api.http.get("/api/v1/nothing")
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


async def test_what_a_viewer_gets_at_most_is_said_in_one_place(api: ApiWorld) -> None:
    await api.publish()
    await api.watch()
    (viewer,) = (await api.http.get("/api/v1/rooms/demo/viewers", headers=admin(api))).json()
    url = f"/api/v1/rooms/demo/viewers/{viewer['id']}/layers"
    wanted = {"spatial": 1, "temporal": 0, "max_width": 640, "max_height": 360, "max_fps": 15, "max_bitrate": 300_000}
    put = await api.http.put(url, json={**wanted, "paused": True}, headers=admin(api))
    assert put.status_code == 200, put.text
    (video,) = [subscription for subscription in put.json()["subscriptions"] if subscription["kind"] == "video"]
    assert video["wanted"] == {**wanted, "rid": None, "paused": True}
    consumer = next(held for held in api.link.find(FakeConsumer) if held.kind == "video")
    assert (consumer.spatial, consumer.temporal, consumer.paused) == (1, 0, True)
    assert consumer.limits is not None
    assert consumer.limits.max_bitrate == 300_000
    assert (await api.http.put(url, json={"spatial": 8}, headers=admin(api))).status_code == 422
    assert (await api.http.put(url, json={"rid": "none"}, headers=admin(api))).status_code == 422
    assert (await api.http.put(url, json={}, headers=api.headers(None))).status_code == 403
    assert (await api.http.put(url.replace(viewer["id"], "x"), json={}, headers=admin(api))).status_code == 404


async def test_what_ended_in_all_rooms_is_shown_to_who_administers_all(api: ApiWorld) -> None:
    await api.publish()
    assert (await api.http.delete("/api/v1/rooms/demo", headers=admin(api))).status_code == 204
    url, everywhere = "/api/v1/ended", api.headers(None, token=api.token(room="", room_admin=True))
    room, alice = (await api.http.get(url, headers=everywhere)).json()
    assert (room["kind"], room["room"], room["participant"], room["reason"]) == ("room", "demo", None, "room_closed")
    assert (alice["kind"], alice["participant"], alice["reason"]) == ("participant", "alice", "room_closed")
    older = (await api.http.get(f"{url}?before={room['number']}&limit=5", headers=everywhere)).json()
    assert older == [alice]
    assert (await api.http.get(url)).status_code == 401
    assert (await api.http.get(url, headers=admin(api))).status_code == 403
    assert len((await api.http.get(f"{url}?room=demo", headers=admin(api))).json()) == 2
    assert (await api.http.get(f"{url}?room=other", headers=admin(api))).status_code == 403
