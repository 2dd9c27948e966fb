"""People with accounts meet in a room: log in, take a room token, join with LiveKit's SDK, be locked out."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from conftest import PATIENCE_S, Server
from livekit import rtc
from livekit_peer import LiveKitPeer, see_colour

pytestmark = [pytest.mark.timeout(180), pytest.mark.filterwarnings("ignore::ResourceWarning")]
RED = (210, 20, 20)
PASSWORD = "correct horse battery"


async def ask(http: httpx.AsyncClient, method: str, path: str, body: Any = None, token: str = "") -> Any:
    answer = await http.request(
        method, f"/api/v1{path}", json=body, headers={"Authorization": f"Bearer {token}"} if token else {}
    )
    assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


async def test_an_account_joins_with_its_room_token_and_leaves_when_it_is_locked(server: Server) -> None:
    async with (
        httpx.AsyncClient(base_url=server.http, timeout=PATIENCE_S) as http,
        LiveKitPeer() as ada,
        LiveKitPeer() as admin,
    ):
        made = await ask(http, "POST", "/auth/register", {"username": "ada", "password": PASSWORD, "name": "Ada L."})
        login = await ask(http, "POST", "/auth/login", {"login": "admin", "password": "secret"})
        tokens = [await ask(http, "POST", "/rooms/accounts/token", token=one["access_token"]) for one in (made, login)]
        await ada.connect(server.http, tokens[0]["token"])
        await ada.publish_picture(RED)
        await admin.connect(server.http, tokens[1]["token"])
        seen = await admin.next_track(rtc.TrackKind.KIND_VIDEO)
        assert (seen.participant.identity, seen.participant.name) == ("ada", "Ada L.")
        assert await see_colour(seen.track, RED) == (320, 180)

        rooms = await ask(http, "GET", "/rooms", token=login["access_token"])
        assert [(room["name"], room["participants"]) for room in rooms] == [("accounts", 2)]
        path = f"/accounts/{made['account']['id']}"
        await ask(http, "PATCH", path, {"disabled": True}, login["access_token"])
        assert (await admin.next_event("participant_disconnected"))[0].identity == "ada"
        await ada.next_event("disconnected")
        with pytest.raises(rtc.ConnectError):
            await LiveKitPeer().connect(server.http, tokens[0]["token"])
