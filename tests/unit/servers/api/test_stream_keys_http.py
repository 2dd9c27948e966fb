"""`/api/v1/streams/NAME/keys`: made, shown once, listed, revoked."""

from __future__ import annotations

import pytest
from api_world import ApiWorld
from kept_in_memory import KeptKeys

from roomtone.control.live import StreamKeys

URL = "/api/v1/streams/demo/keys"


@pytest.fixture
def keeping(api: ApiWorld) -> ApiWorld:
    api.context.stream_keys = StreamKeys(KeptKeys(), lambda: 1_000.0)
    return api


def admin(api: ApiWorld) -> dict[str, str]:
    return api.headers(None, token=api.token("ann", room_admin=True))


async def test_a_key_is_shown_once_listed_and_revoked(keeping: ApiWorld) -> None:
    made = await keeping.http.post(URL, json={"label": "camera"}, headers=admin(keeping))
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    key = made.json().pop("key")
    assert keeping.context.stream_keys is not None
    assert await keeping.context.stream_keys.opens(key, "demo")
    listed = (await keeping.http.get(URL, headers=admin(keeping))).json()
    assert listed == [{"id": made.json()["id"], "label": "camera", "created_at": 1_000.0, "created_by": "ann"}]
    assert (await keeping.http.delete(f"{URL}/{listed[0]['id']}", headers=admin(keeping))).status_code == 204
    assert not await keeping.context.stream_keys.opens(key, "demo")
    again = await keeping.http.delete(f"{URL}/{listed[0]['id']}", headers=admin(keeping))
    assert (again.status_code, again.json()["code"]) == (404, "no_such_stream_key")


async def test_keys_are_for_the_administrators_of_their_name(keeping: ApiWorld) -> None:
    assert (await keeping.http.get(URL)).status_code == 401
    assert (await keeping.http.post(URL, json={}, headers=keeping.headers(None))).status_code == 403
    other = await keeping.http.get("/api/v1/streams/other/keys", headers=admin(keeping))
    assert other.status_code == 403


async def test_without_a_database_there_are_none_and_it_says_so(api: ApiWorld) -> None:
    answer = await api.http.get(URL, headers=admin(api))
    assert (answer.status_code, answer.json()["code"]) == (404, "no_database")
