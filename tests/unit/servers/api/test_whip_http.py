"""WHIP and WHEP over HTTP: every status of RFC 9725 and the WHEP draft."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import pytest
from api_world import FFMPEG, FRAGMENT, PUBLISH, SDP, SIMULCAST, VECTORS, WATCH, ApiWorld
from pydantic import SecretStr

from roomtone.config import IceServer, IceSettings, LimitSettings, RoomSettings, ServerSettings, Settings
from roomtone.control.policy import KeyTable, RateError, VideoGrants
from roomtone.control.policy.rates import RateReason
from roomtone.control.rooms import Refusal
from roomtone.media.fake_objects import FakeConsumer, FakeProducer, FakeTransport
from roomtone.media.values import ConnectWebRtcTransport, DtlsRole, EngineCloseReason, EngineConfig, RestartIce
from roomtone.protocols.sdp import parse_session

MakeApi = Callable[..., Awaitable[ApiWorld]]
TRICKLE = "a=mid:0\r\na=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\na=end-of-candidates\r\n"
RESTART = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:newu\r\na=ice-pwd:aaaabbbbccccddddeeeeffff\r\n"
    + TRICKLE[9:]
)


def problem(response: object) -> str:
    body = response.json()  # type: ignore[attr-defined]
    assert response.headers["content-type"] == "application/problem+json"  # type: ignore[attr-defined]
    assert body["status"] == response.status_code  # type: ignore[attr-defined]
    return str(body["code"])


@pytest.mark.parametrize("name", sorted(path.stem for path in VECTORS.glob("*.sdp")))
async def test_every_client_publishes_or_watches(api: ApiWorld, name: str) -> None:
    body = (VECTORS / f"{name}.sdp").read_bytes()
    if name.endswith("watch"):
        await api.publish(PUBLISH if not name.startswith("gstreamer") else SIMULCAST)
        response = await api.watch(body)
    else:
        response = await api.publish(body)
    assert response.status_code == 201, response.text
    assert response.headers["content-type"] == SDP
    assert parse_session(response.content).media[0].port == 9


async def test_a_created_resource_has_its_headers(api: ApiWorld) -> None:
    response = await api.publish()
    assert response.status_code == 201
    assert response.headers["location"].startswith("/whip/demo/")
    assert response.headers["etag"].startswith('"')
    assert response.headers["accept-patch"] == FRAGMENT
    viewer = await api.watch()
    links = viewer.headers.get_list("link")
    assert any("urn:ietf:params:whep:ext:core:server-sent-events" in link for link in links)
    assert any("urn:ietf:params:whep:ext:core:layer" in link for link in links)


async def test_ice_servers_are_linked_with_credentials_of_the_client(make_api: MakeApi) -> None:
    servers = (
        IceServer(urls=("stun:stun.example.org",)),
        IceServer(urls=("turn:turn.example.org",), secret=SecretStr("north")),
    )
    api = await make_api(settings=Settings(server=ServerSettings(dev=True), ice=IceSettings(servers=servers)))
    links = (await api.publish()).headers.get_list("link")
    assert links[0] == '<stun:stun.example.org>; rel="ice-server"'
    assert links[1].startswith('<turn:turn.example.org>; rel="ice-server"; username="')
    assert ':alice"' in links[1]


async def test_ffmpeg_gets_an_active_answer(api: ApiWorld) -> None:
    response = await api.publish(FFMPEG)
    assert "a=setup:active" in response.text
    (connect,) = [c for c in api.link.commands if isinstance(c, ConnectWebRtcTransport)]
    assert connect.dtls_role is DtlsRole.ACTIVE


async def test_simulcast_is_accepted_with_all_its_encodings(api: ApiWorld) -> None:
    response = await api.publish(SIMULCAST)
    assert "a=simulcast:recv q;h;f" in response.text
    assert [e.rid for e in api.link.find(FakeProducer)[1].encodings] == ["q", "h", "f"]


async def test_a_viewers_answer_names_what_is_sent(api: ApiWorld) -> None:
    await api.publish()
    response = await api.watch()
    ssrcs = {line.ssrc for section in parse_session(response.content).media for line in section.ssrcs}
    assert {consumer.ssrc for consumer in api.link.find(FakeConsumer)} <= ssrcs


@pytest.mark.parametrize("path", ["/whip/demo", "/whep/demo"])
@pytest.mark.parametrize(
    ("body", "line"),
    [(b"", 1), (b"hello", 1), (PUBLISH.replace(b"a=setup:actpass", b"a=setup:maybe"), None), (b"\xff", 1)],
)
async def test_what_is_not_sdp_gets_400_with_the_line(api: ApiWorld, path: str, body: bytes, line: int | None) -> None:
    response = await api.http.post(path, content=body, headers=api.headers())
    assert response.status_code == 400
    assert problem(response) == "malformed_sdp"
    expected = line or PUBLISH[: PUBLISH.index(b"a=setup")].count(b"\n") + 1
    assert response.json()["line"] == expected
    assert f"line {expected}" in response.json()["detail"]


@pytest.mark.parametrize("path", ["/whip/demo", "/whep/demo"])
async def test_no_wrong_or_expired_token_is_401(api: ApiWorld, path: str) -> None:
    for header in ({}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer nonsense"}):
        response = await api.http.post(path, content=PUBLISH, headers={"Content-Type": SDP} | header)
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer")
    response = await api.http.post(path, content=PUBLISH, headers=api.headers(token=api.token(age=7200)))
    assert (response.status_code, problem(response)) == (401, "token_expired")


@pytest.mark.parametrize("path", ["/whip/demo", "/whep/demo"])
@pytest.mark.parametrize(
    ("keys", "code"), [({"stranger": "s" * 32}, "token_unknown_key"), ({"devkey": "terces"}, "token_bad_signature")]
)
async def test_a_token_of_an_unknown_key_or_with_a_wrong_signature_is_401(
    api: ApiWorld, path: str, keys: dict[str, str], code: str
) -> None:
    (key,) = keys
    forged = KeyTable(keys).sign(key, "alice", VideoGrants(room="demo", room_join=True), time.time())
    response = await api.http.post(path, content=PUBLISH, headers=api.headers(token=forged))
    assert (response.status_code, problem(response)) == (401, code)
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert not api.link.find(FakeTransport)


async def test_a_publisher_without_identity_is_401_and_a_viewer_is_welcome(api: ApiWorld) -> None:
    response = await api.publish(identity="")
    assert (response.status_code, problem(response)) == (401, "token_no_identity")
    await api.publish()
    assert (await api.watch(identity="")).status_code == 201


@pytest.mark.parametrize(
    "token",
    [{"room": "other"}, {"room_join": False}, {"can_publish": False, "can_subscribe": False}],
)
async def test_a_token_that_does_not_cover_the_request_is_403(api: ApiWorld, token: dict[str, object]) -> None:
    assert (await api.publish(**token)).status_code == 403
    assert (await api.watch(**token)).status_code == 403


@pytest.mark.parametrize("type_", [None, "text/plain", "application/json", FRAGMENT])
async def test_another_media_type_is_415(api: ApiWorld, type_: str | None) -> None:
    for path in ("/whip/demo", "/whep/demo"):
        response = await api.http.post(path, content=PUBLISH, headers=api.headers(type_))
        assert (response.status_code, problem(response)) == (415, "unsupported_media_type")
        assert response.headers["accept-post"] == SDP


async def test_a_media_type_may_have_parameters(api: ApiWorld) -> None:
    response = await api.http.post("/whip/demo", content=PUBLISH, headers=api.headers("Application/SDP; charset=utf-8"))
    assert response.status_code == 201


async def test_a_body_over_its_limit_is_413(make_api: MakeApi) -> None:
    api = await make_api(LimitSettings(max_sdp_bytes=1000))
    assert (await api.publish()).status_code == 413

    async def unannounced():  # noqa: ANN202
        yield PUBLISH

    response = await api.http.post("/whip/demo", content=unannounced(), headers=api.headers())
    assert response.status_code == 413


async def test_an_offer_without_a_known_codec_is_406(api: ApiWorld) -> None:
    response = await api.publish(FFMPEG.replace(b"H264/90000", b"DIRAC/90000"))
    assert (response.status_code, problem(response)) == (406, "no_common_codec")
    await api.publish(FFMPEG)
    response = await api.watch((VECTORS / "gstreamer-watch.sdp").read_bytes())
    assert (response.status_code, problem(response)) == (406, "no_common_codec")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"a=sendonly", b"a=inactive", "direction_unsupported"),
        (b"a=group:BUNDLE 0 1\r\n", b"", "not_bundled"),
        (b"a=rtcp-mux\r\n", b"", "no_rtcp_mux"),
        (b"m=video", b"m=audio", "too_many_streams"),
    ],
)
async def test_an_offer_that_cannot_be_served_is_422(api: ApiWorld, old: bytes, new: bytes, code: str) -> None:
    response = await api.publish(FFMPEG.replace(old, new))
    assert (response.status_code, problem(response)) == (422, code)
    await api.settle()
    assert not api.link.objects


async def test_watching_what_is_not_live_is_409_with_retry_after(api: ApiWorld) -> None:
    response = await api.watch()
    assert (response.status_code, problem(response)) == (409, "not_live")
    assert int(response.headers["retry-after"]) > 0
    await api.publish()
    assert (await api.watch(query="?participant=bob")).status_code == 409
    assert (await api.watch(query="?participant=alice")).status_code == 201


@pytest.mark.parametrize("path", ["/whip/not a room", "/whep/not a room", "/whip/" + "x" * 65])
async def test_a_name_no_room_can_have_is_404(api: ApiWorld, path: str) -> None:
    token = api.token(room=path[6:])
    response = await api.http.post(path, content=PUBLISH if "whip" in path else WATCH, headers=api.headers(token=token))
    assert response.status_code == 404


async def test_a_room_that_may_not_be_made_is_404(make_api: MakeApi) -> None:
    api = await make_api(rooms=RoomSettings(create_on_join=False))
    assert (await api.publish()).status_code == 404
    assert (await api.watch()).status_code == 404


async def test_a_full_server_is_503_with_retry_after(make_api: MakeApi) -> None:
    api = await make_api(config=EngineConfig(max_transports=1))
    assert (await api.publish()).status_code == 201
    for response in (await api.publish(identity="bob"), await api.watch()):
        assert (response.status_code, problem(response)) == (503, "engine_busy")
        assert int(response.headers["retry-after"]) > 0
    assert api.rooms.refused[Refusal.ENGINE_BUSY] == 2
    api = await make_api(rooms=RoomSettings(max_viewers=1))
    await api.publish()
    await api.watch()
    assert (await api.watch()).status_code == 503


async def test_more_tracks_than_one_may_publish_are_422_since_trying_again_would_not_help(make_api: MakeApi) -> None:
    api = await make_api(rooms=RoomSettings(max_tracks_per_participant=1))
    response = await api.publish()
    assert (response.status_code, problem(response)) == (422, "too_many_tracks")
    assert "retry-after" not in response.headers


async def test_a_room_whose_router_broke_is_503_once_and_then_made_anew(api: ApiWorld) -> None:
    await api.rooms.open("demo")
    api.link.lose_router(api.rooms.find("demo").router.id)
    response = await api.publish()
    assert (response.status_code, problem(response)) == (503, "router_lost")
    assert int(response.headers["retry-after"]) > 0
    assert (await api.publish()).status_code == 201


async def test_an_address_over_its_rate_is_503_until_time_passes(make_api: MakeApi) -> None:
    api = await make_api(LimitSettings(joins_per_second=2))
    now = 100.0
    api.context.clock = lambda: now
    assert [(await api.publish()).status_code for _ in range(3)] == [201, 201, 503]
    now = 101.0
    assert (await api.publish()).status_code == 201


async def test_an_address_has_100_joins_a_second_and_1000_places_unless_the_settings_say_otherwise(
    api: ApiWorld,
) -> None:
    limiter, now = api.context.limiter, 100.0
    tickets = [limiter.take("192.0.2.7", now) for _ in range(100)]
    with pytest.raises(RateError) as refused:
        limiter.take("192.0.2.7", now)
    assert refused.value.reason is RateReason.JOINS
    tickets += [limiter.take("192.0.2.7", now + second) for second in range(1, 10) for _ in range(100)]
    assert limiter.held("192.0.2.7") == len(tickets) == 1000
    with pytest.raises(RateError) as refused:
        limiter.take("192.0.2.7", now + 60)
    assert refused.value.reason is RateReason.HELD


async def test_an_address_holds_so_many_and_gets_places_back_however_they_end(make_api: MakeApi) -> None:
    api = await make_api(LimitSettings(sessions_per_address=2))
    first = await api.publish()
    await api.watch()
    response = await api.watch()
    assert (response.status_code, problem(response)) == (503, "held_by_address")
    assert api.context.limiter.refused == {RateReason.HELD: 1, RateReason.JOINS: 0}
    assert response.headers["retry-after"]
    await api.http.delete(first.headers["location"], headers=api.headers(None))
    assert (await api.publish()).status_code == 201
    api.link.lose_peer(api.link.find(FakeTransport)[0].id, EngineCloseReason.ICE_TIMEOUT)
    await api.settle()
    assert (await api.watch()).status_code == 201
    assert (await api.watch()).status_code == 503


async def test_a_refused_join_gives_its_place_back(make_api: MakeApi) -> None:
    api = await make_api(LimitSettings(sessions_per_address=1))
    for _ in range(3):
        assert (await api.watch()).status_code == 409
    assert (await api.publish()).status_code == 201


@pytest.mark.parametrize("kind", ["whip", "whep"])
async def test_delete_ends_it_and_a_second_one_is_404(api: ApiWorld, kind: str) -> None:
    published = await api.publish()
    response = published if kind == "whip" else await api.watch()
    headers = api.headers(None)
    assert (await api.http.delete(response.headers["location"], headers=headers)).status_code == 200
    again = await api.http.delete(response.headers["location"], headers=headers)
    assert (again.status_code, problem(again)) == (404, "no_such_resource")
    assert len(api.link.find(FakeTransport)) == (0 if kind == "whip" else 1)


@pytest.mark.parametrize("reason", [EngineCloseReason.ICE_TIMEOUT, EngineCloseReason.DTLS_CLOSED])
async def test_a_resource_is_gone_when_its_transport_is(api: ApiWorld, reason: EngineCloseReason) -> None:
    response = await api.publish()
    api.link.lose_peer(api.link.find(FakeTransport)[0].id, reason)
    await api.settle()
    assert (await api.http.delete(response.headers["location"], headers=api.headers(None))).status_code == 404
    assert len(api.context.resources) == 0


async def test_a_resource_needs_a_token_of_its_participant(api: ApiWorld) -> None:
    location = (await api.publish()).headers["location"]
    for method in ("DELETE", "PATCH"):
        assert (await api.http.request(method, location)).status_code == 401
        headers = api.headers(FRAGMENT, token=api.token(room="other"), If_Match="*")
        assert (await api.http.request(method, location, headers=headers)).status_code == 403
        headers = api.headers(FRAGMENT, token=api.token("bob"), If_Match="*")
        response = await api.http.request(method, location, headers=headers)
        assert (response.status_code, problem(response)) == (403, "other_participant")


async def test_the_very_token_of_a_resource_ends_it_even_when_it_has_expired(api: ApiWorld) -> None:
    token = api.token()
    response = await api.http.post("/whip/demo", content=PUBLISH, headers=api.headers(token=token))
    later = api.context.wall_clock() + 86_400
    api.context.wall_clock = lambda: later
    other = await api.http.delete(response.headers["location"], headers=api.headers(None, token=api.token(age=1)))
    assert other.status_code == 401
    assert (
        await api.http.delete(response.headers["location"], headers=api.headers(None, token=token))
    ).status_code == 200


async def test_trickled_candidates_are_204_and_reach_the_engine(api: ApiWorld) -> None:
    response = await api.publish(FFMPEG)
    headers = api.headers(FRAGMENT, If_Match=response.headers["etag"])
    patched = await api.http.patch(response.headers["location"], content=TRICKLE, headers=headers)
    assert (patched.status_code, patched.content) == (204, b"")
    assert "etag" not in patched.headers
    (transport,) = api.link.find(FakeTransport)
    assert ([c.ip for c in transport.remote_candidates], transport.remote_complete) == (["192.0.2.1"], True)


async def test_a_patch_without_if_match_is_428_and_a_stale_one_412(api: ApiWorld) -> None:
    location = (await api.publish()).headers["location"]
    response = await api.http.patch(location, content=TRICKLE, headers=api.headers(FRAGMENT))
    assert (response.status_code, problem(response)) == (428, "precondition_required")
    response = await api.http.patch(location, content=TRICKLE, headers=api.headers(FRAGMENT, If_Match='"old"'))
    assert (response.status_code, problem(response)) == (412, "precondition_failed")


async def test_an_ice_restart_is_200_with_a_new_tag_and_all_candidates(api: ApiWorld) -> None:
    response = await api.publish()
    location, etag = response.headers["location"], response.headers["etag"]
    restarted = await api.http.patch(location, content=RESTART, headers=api.headers(FRAGMENT, If_Match="*"))
    assert restarted.status_code == 200
    assert restarted.headers["content-type"] == FRAGMENT
    assert restarted.headers["etag"] != etag
    for wanted in ("a=ice-ufrag:", "a=ice-pwd:", "a=candidate:", "a=ice-lite"):
        assert wanted in restarted.text
    assert f"a=ice-ufrag:{parse_session(response.content).media[0].ice_ufrag}\r\n" not in restarted.text
    (command,) = [c for c in api.link.commands if isinstance(c, RestartIce)]
    assert (command.ice_ufrag, command.ice_pwd) == ("newu", "aaaabbbbccccddddeeeeffff")
    assert api.link.find(FakeTransport)[0].remote_complete
    stale = await api.http.patch(location, content=TRICKLE, headers=api.headers(FRAGMENT, If_Match=etag))
    assert stale.status_code == 412
    fresh = api.headers(FRAGMENT, If_Match=restarted.headers["etag"])
    assert (await api.http.patch(location, content=TRICKLE, headers=fresh)).status_code == 204


async def test_restarts_at_once_each_get_a_tag_and_only_the_last_one_is_good(api: ApiWorld) -> None:
    location = (await api.publish()).headers["location"]
    bodies = [RESTART.replace("newu", f"new{n}") for n in range(5)]
    headers = api.headers(FRAGMENT, If_Match="*")
    answers = await asyncio.gather(*(api.http.patch(location, content=body, headers=headers) for body in bodies))
    tags = [answer.headers["etag"] for answer in answers]
    assert len(set(tags)) == 5
    outcomes = [
        (await api.http.patch(location, content=TRICKLE, headers=api.headers(FRAGMENT, If_Match=tag))).status_code
        for tag in tags
    ]
    assert sorted(outcomes) == [204, 412, 412, 412, 412]


async def test_patch_refuses_what_is_no_fragment(make_api: MakeApi) -> None:
    api = await make_api(LimitSettings(max_trickle_bytes=500))
    response = await api.publish()
    location, etag = response.headers["location"], response.headers["etag"]
    for type_ in (SDP, None):
        refused = await api.http.patch(location, content=TRICKLE, headers=api.headers(type_, If_Match=etag))
        assert refused.status_code == 415
        assert refused.headers["accept-patch"] == FRAGMENT
    refused = await api.http.patch(location, content="nonsense", headers=api.headers(FRAGMENT, If_Match=etag))
    assert (refused.status_code, refused.json()["line"]) == (400, 1)
    refused = await api.http.patch(location, content="a=x\n" * 200, headers=api.headers(FRAGMENT, If_Match=etag))
    assert refused.status_code == 413
    refused = await api.http.patch("/whip/demo/nothing", content=TRICKLE, headers=api.headers(FRAGMENT, If_Match=etag))
    assert refused.status_code == 404


async def test_get_is_without_content(api: ApiWorld) -> None:
    location = (await api.publish()).headers["location"]
    for path, status in (("/whip/demo", 204), ("/whep/demo", 200), (location, 204), ("/whip/demo/nothing", 404)):
        response = await api.http.get(path)
        assert response.status_code == status
        if status != 404:
            assert response.content == b""
    head = await api.http.head("/whep/demo")
    assert (head.status_code, head.headers["content-type"]) == (200, SDP)


@pytest.mark.parametrize("path", ["/whip/demo", "/whep/demo"])
async def test_options_tells_what_is_taken_and_lets_pages_ask(api: ApiWorld, path: str) -> None:
    response = await api.http.options(path, headers={"Origin": "https://x", "Access-Control-Request-Method": "POST"})
    assert response.status_code == 200
    assert response.headers["accept-post"] == SDP
    assert response.headers["access-control-allow-origin"] == "*"
    assert "POST" in response.headers["access-control-allow-methods"]
    for name in ("authorization", "content-type", "if-match"):
        assert name in response.headers["access-control-allow-headers"].lower()
    assert (await api.http.options(f"{path}/id")).headers["accept-patch"] == FRAGMENT


async def test_pages_of_other_origins_can_read_the_headers(api: ApiWorld) -> None:
    for response in (await api.publish(), await api.watch(identity="x"), await api.http.post("/whip/demo")):
        exposed = response.headers["access-control-expose-headers"].lower()
        assert response.headers["access-control-allow-origin"] == "*"
        for name in ("location", "etag", "link", "retry-after"):
            assert name in exposed


async def test_another_method_is_405(api: ApiWorld) -> None:
    response = await api.http.put("/whip/demo", headers=api.headers())
    assert response.status_code == 405
    assert "allow" in response.headers


async def test_a_newer_publisher_of_an_identity_replaces_the_older_and_viewers_may_share_its_token(
    api: ApiWorld,
) -> None:
    older = await api.publish()
    viewers = [await api.watch() for _ in range(3)]
    await api.publish()
    assert (await api.http.get(older.headers["location"])).status_code == 404
    for viewer in viewers:
        assert (await api.http.get(viewer.headers["location"])).status_code == 204
    assert len(api.rooms.find("demo").viewers) == 3


async def test_bodies_of_chance_get_an_answer_and_never_500(api: ApiWorld) -> None:
    source = random.Random(7)  # noqa: S311 - a seeded source is the point
    seen = set()
    for _ in range(150):
        body = bytearray(source.choice([PUBLISH, FFMPEG, SIMULCAST]))
        for _ in range(source.randint(1, 5)):
            where = source.randrange(len(body))
            body[where : where + source.randint(0, 40)] = bytes(source.choices(range(256), k=source.randint(0, 10)))
        seen.add((await api.publish(bytes(body))).status_code)
    assert seen <= {201, 400, 406, 422, 503}
    assert 400 in seen
