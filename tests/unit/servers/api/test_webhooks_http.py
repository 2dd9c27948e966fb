"""Webhooks that were given up, for administrators only."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from accounts_world import AccountsWorld

from roomtone.app.webhooks import make_webhooks
from roomtone.clients.webhooks import Attempt, SendRules, WebhookDelivery
from roomtone.config import Settings
from roomtone.control.webhooks import Webhook

PATH = "/webhooks/dead-letters"
URL = "https://hook.example/"


class Posts:
    """Refuses what it is told to."""

    def __init__(self, answers: Sequence[Attempt]) -> None:
        self.answers = list(answers)
        self.sent: list[bytes] = []

    async def post(self, url: str, body: bytes) -> Attempt:
        assert url == URL
        self.sent.append(body)
        return self.answers.pop(0) if self.answers else Attempt()


async def test_they_are_listed_sent_again_and_forgotten(world: AccountsWorld) -> None:
    posts = Posts([Attempt("status 500", final=True)] * 2)
    store = world.people.webhooks
    delivery = WebhookDelivery(SendRules(urls=(URL,)), posts, store, clock=lambda: world.now)
    world.context.webhooks = delivery
    await delivery.start()
    for number in range(2):
        delivery.send(Webhook(f"EV_{number}", "room_started", "demo", b'{"n":%d}' % number, world.now))
    await delivery.drained()
    admin = await world.admin()
    listed = (await world.ask("GET", PATH, token=admin)).json()
    assert [(one["event_id"], one["body"], one["last_error"]) for one in listed] == [
        ("EV_0", '{"n":0}', "status 500"),
        ("EV_1", '{"n":1}', "status 500"),
    ]
    first, second = (one["id"] for one in listed)
    assert [one["id"] for one in (await world.ask("GET", f"{PATH}?after={first}", token=admin)).json()] == [second]
    assert (await world.post(f"{PATH}/{first}/retry", token=admin)).status_code == 202
    await delivery.drained()
    assert posts.sent[-1] == b'{"n":0}'
    assert (await world.ask("DELETE", f"{PATH}/{second}", token=admin)).status_code == 204
    again = await world.post(f"{PATH}/{first}/retry", token=admin)
    assert (again.status_code, again.json()["code"]) == (404, "no_such_dead_letter")
    assert (await world.ask("GET", PATH, token=admin)).json() == []
    await delivery.close()


async def test_they_are_for_administrators_only(world: AccountsWorld) -> None:
    world.context.webhooks = make_webhooks(Settings(), world.people).delivery
    member = (await world.register("ada"))["access_token"]
    assert (await world.ask("GET", PATH)).status_code == 401
    for method, path in (("GET", PATH), ("POST", f"{PATH}/1/retry"), ("DELETE", f"{PATH}/1")):
        assert (await world.ask(method, path, token=member)).status_code == 403


async def test_a_server_that_keeps_none_says_so(world: AccountsWorld) -> None:
    answer = await world.ask("GET", PATH, token=await world.admin())
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_dead_letter")


@pytest.mark.parametrize("url", ["ftp://x/", "nonsense", "https://user:secret@x/", "http://x/#part", "http:///path"])
def test_targets_are_http_urls_without_secrets(url: str) -> None:
    with pytest.raises(ValueError, match=r"webhooks|URL"):
        Settings.model_validate({"webhooks": {"urls": [url]}})
