"""A real server tells LiveKit's webhook receiver of its rooms; what cannot be told survives a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from conftest import PATIENCE_S, Server, start_server, stop_server, token, until
from livekit import api
from livekit_peer import LiveKitPeer
from webhook_receiver import Receiver, receive

__all__ = ["receive"]
pytestmark = [pytest.mark.timeout(180), pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:.*HMAC key.*")]
ROOM_EVENTS = [
    "room_started",
    "participant_joined",
    "track_published",
    "track_unpublished",
    "participant_left",
    "room_finished",
]


def settings(*receivers: Receiver, allow_private: str = "true", **more: str) -> dict[str, str]:
    urls = ",".join(f'"{receiver.url}"' for receiver in receivers)
    return {
        "ROOMTONE_WEBHOOKS__URLS": f"[{urls}]",
        "ROOMTONE_WEBHOOKS__ALLOW_PRIVATE": allow_private,
        "ROOMTONE_WEBHOOKS__FIRST_PAUSE_S": "0.05",
        "ROOMTONE_ROOMS__DEPARTURE_TIMEOUT_S": "1",
        **more,
    }


async def create_room(server: Server, name: str) -> None:
    async with api.LiveKitAPI(server.http, "devkey", "secret") as livekit:
        await livekit.room.create_room(api.CreateRoomRequest(name=name, empty_timeout=600))


def resend(server: Server, receiver: Receiver) -> None:
    """Find the webhook that was given up and have it sent again, as an administrator does."""
    with httpx.Client(base_url=f"{server.http}/api/v1", timeout=PATIENCE_S) as http:
        log_in = http.post("/auth/login", json={"login": "admin", "password": "secret"}).json()
        http.headers["Authorization"] = f"Bearer {log_in['access_token']}"
        letters = http.get("/webhooks/dead-letters").json()
        letter = next(one for one in letters if '"given-up"' in one["body"] and one["event"] == "room_started")
        assert (letter["attempts"], letter["last_error"]) == (2, "status 503")
        assert http.post(f"/webhooks/dead-letters/{letter['id']}/retry").status_code == 202
        until(lambda: "room_started" in receiver.names("given-up"), "what was given up")
        assert letter["id"] not in [one["id"] for one in http.get("/webhooks/dead-letters").json()]


async def test_a_room_is_told_to_all_targets_from_its_first_to_its_last_event(
    receive: Callable[[], Receiver], tmp_path: Path
) -> None:
    first, second = receive(), receive()
    server = start_server(tmp_path, **settings(first, second))
    try:
        async with LiveKitPeer() as alice:
            await alice.connect(server.http, token("told", "alice"))
            published = await alice.publish_picture((210, 20, 20))
            until(lambda: "track_published" in first.names("told"), "track_published")
        until(lambda: "room_finished" in first.names("told") and "room_finished" in second.names("told"), "the end")
    finally:
        stop_server(server)
    for receiver in (first, second):
        assert receiver.failures == []
        assert receiver.names("told") == ROOM_EVENTS
        assert len({event.id for event in receiver.events}) == len(ROOM_EVENTS)
        started, joined, track, _, left, _ = receiver.events
        assert (started.room.sid[:3], joined.participant.identity) == ("RM_", "alice")
        assert (track.track.sid, left.participant.sid) == (published.sid, joined.participant.sid)


async def test_webhooks_that_wait_or_were_given_up_survive_a_restart(
    receive: Callable[[], Receiver], tmp_path: Path
) -> None:
    down = receive()
    down.status = 503
    once = settings(down, ROOMTONE_WEBHOOKS__RETRIES="1", ROOMTONE_WEBHOOKS__DRAIN_S="1")
    server = start_server(tmp_path, **once)
    await create_room(server, "given-up")
    until(lambda: server.metrics()["roomtone_webhooks_waiting"] == 0 and down.refused >= 2, "the end of attempts")
    stop_server(server)

    patient = settings(down, ROOMTONE_WEBHOOKS__FIRST_PAUSE_S="300", ROOMTONE_WEBHOOKS__DRAIN_S="0")
    server = start_server(tmp_path, **patient)
    tried = down.refused
    await create_room(server, "waiting")
    until(lambda: down.refused > tried, "an attempt")
    stop_server(server)

    down.status = 200
    server = start_server(tmp_path, **settings(down))
    try:
        until(lambda: "room_started" in down.names("waiting"), "what waited")
        assert "room_started" not in down.names("given-up")
        resend(server, down)
        assert down.failures == []
    finally:
        stop_server(server)


async def test_a_target_on_this_machine_is_refused_unless_a_setting_allows_it(
    receive: Callable[[], Receiver], tmp_path: Path
) -> None:
    receiver = receive()
    server = start_server(tmp_path, **settings(receiver, allow_private="false"))
    try:
        await create_room(server, "refused")
        until(lambda: any("allow_private" in line for line in server.log), "the refusal")
    finally:
        stop_server(server)
    assert (receiver.events, receiver.refused) == ([], 0)
