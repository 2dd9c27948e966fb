"""Data between LiveKit's Python SDK and mediasoup-client in Chromium: topics, addressees, permissions."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Run, Server, token, until
from livekit_peer import LiveKitPeer
from mediasoup_pages import MediasoupPage, OpenPage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
ROOM = "data-across"
TROUBLES = "roomtone_livekit_troubles_total"


def messages(peer: MediasoupPage, count: int) -> list[Any]:
    """Wait for so many messages of data consumers."""
    return until(lambda: len(seen := peer.run("() => peer.messages")) >= count and seen, f"{count} messages")


def told_of(peer: MediasoupPage, label: str) -> dict[str, Any]:
    """Wait until the server has told of a data producer with a label."""
    found = until(
        lambda: [one for one in peer.heard("newDataProducer") if one["label"] == label], f"a data producer {label}"
    )
    (producer,) = found
    return producer


async def join(server: Server, identity: str) -> LiveKitPeer:
    return await LiveKitPeer().connect(server.http, token(ROOM, identity))


def test_livekit_and_mediasoup_clients_send_each_other_data(server: Server, open_page: OpenPage, run: Run[Any]) -> None:
    bob, carol = (MediasoupPage(open_page("/"), server, ROOM, name) for name in ("bob", "carol"))
    bob.join(), carol.join()
    alice: LiveKitPeer = run(join(server, "alice"))
    try:
        send = alice.room.local_participant.publish_data
        run(send(b"first", topic="game"))
        game = told_of(bob, "game")
        assert (game["peerId"], game["appData"]) == ("alice", {"topic": "game", "kind": "reliable"})
        bob.run("id => peer.consumeData(id)", game["dataProducerId"])
        assert messages(bob, 1) == [[*b"first"]]  # it was said before anybody consumed
        run(send("grüß".encode(), topic="game"))
        assert messages(bob, 2)[1] == [*"grüß".encode()]

        run(send(b"for Carol", topic="aside", destination_identities=["carol"]))
        carol.run("id => peer.consumeData(id)", told_of(carol, "aside")["dataProducerId"])
        assert messages(carol, 1) == [[*b"for Carol"]]
        assert "aside" not in [one["label"] for one in bob.heard("newDataProducer")]

        run(send(b"maybe", reliable=False, topic="pointer"))
        assert told_of(bob, "pointer")["appData"]["kind"] == "lossy"

        bob.run("() => peer.produceData('moves')")
        bob.run("() => { peer.sendMessage('hello'); peer.sendMessage([1, 2, 255]); }")
        got = [run(alice.next_data()) for _ in range(2)]
        assert [(one.data, one.topic) for one in got] == [(b"hello", "moves"), (b"\x01\x02\xff", "moves")]
        assert got[0].participant is not None
        assert got[0].participant.identity == "bob"
        carol.run("() => peer.produceData('aside', { appData: { destinationIdentities: ['bob'] } })")
        carol.run("() => peer.sendMessage('not for Alice')")
        told_of(bob, "aside")
        carol.run("() => peer.produceData('loose', { ordered: false, maxRetransmits: 0 })")
        carol.run("() => peer.sendMessage('for all')")
        assert run(alice.next_data()).data == b"for all"
        assert alice.data.empty()

        run(send(b"too late?", topic="game"))
        messages(bob, 3)
        forbidden = {"permissions": {"can_publish_data": False}}
        for identity in ("alice", "bob"):
            server.room(ROOM, f"/participants/{identity}", "PATCH", forbidden)
        bob.wait_heard("data-producer-closed")
        before = server.metrics().get(TROUBLES, 0)
        run(send(b"forbidden", topic="game"))
        until(lambda: server.metrics().get(TROUBLES, 0) > before, "a refused packet")
        assert len(messages(bob, 3)) == 3
    finally:
        run(alice.room.disconnect())
    assert game["dataProducerId"] in [one["dataProducerId"] for one in bob.wait_heard("data-producer-closed", 3)]
