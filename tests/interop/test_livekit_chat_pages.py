"""`livekit-client` in Chromium chats in the room's own chat, in each form it sends messages in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import Server, until
from livekit_page import LiveKitPage
from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
OpenPage = Callable[..., Page]
ROOM = "lk-chat"
LISTEN = """
() => {
  window.said = [];
  room.registerTextStreamHandler("lk.chat", async (reader, { identity }) => {
    window.said.push([identity, reader.info.id, await reader.readAll()]);
  });
}
"""
SEND = "async text => (await room.localParticipant.sendText(text, { topic: 'lk.chat' })).id"


def wait_said(page: LiveKitPage, *wanted: Any) -> None:
    until(lambda: list(wanted) in page.run("() => said"), f"{wanted} in {page.run('() => said')}")


def kept(server: Server) -> list[tuple[str, str]]:
    return [(message["sender"], message["text"]) for message in server.room(ROOM, "/chat")]


def test_every_form_of_a_message_is_in_the_rooms_chat_and_comes_to_others(server: Server, open_page: OpenPage) -> None:
    alice, bob = (LiveKitPage(open_page("/"), server, ROOM, identity) for identity in ("alice", "bob"))
    for page in (alice, bob):
        page.run(LISTEN)
    short = alice.run(SEND, "hello")
    wait_said(bob, "alice", short, "hello")
    long = "".join(chr(0x3B1 + number % 24) for number in range(4_000))
    wait_said(bob, "alice", alice.run(SEND, long), long)

    old = bob.run("async () => (window.old = await room.localParticipant.sendChatMessage('old')).id")
    wait_said(alice, "bob", old, "old")
    bob.run("() => room.localParticipant.editChatMessage('edited', old)")
    wait_said(alice, "bob", old, "edited")
    assert kept(server) == [("alice", "hello"), ("alice", long), ("bob", "edited")]

    server.room(ROOM, f"/chat/{short}", "DELETE")
    for page in (alice, bob):
        wait_said(page, "alice", short, "")
    assert kept(server)[0] == ("alice", "")
    texts = [text for identity, _, text in bob.run("() => said") if identity == "alice"]
    assert texts == ["hello", long, ""]
