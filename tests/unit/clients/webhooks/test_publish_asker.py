"""The hook that is asked who may publish."""

from __future__ import annotations

import json

from roomtone.clients.webhooks import Attempt
from roomtone.clients.webhooks.asking import PublishAsker
from roomtone.media.values import IngestProtocol, Question


class Told:
    """Keeps what is posted and answers as it is told to."""

    def __init__(self, answer: Attempt) -> None:
        self.answer = answer
        self.posted: list[tuple[str, bytes]] = []

    async def post(self, url: str, body: bytes) -> Attempt:
        self.posted.append((url, body))
        return self.answer


async def test_it_is_told_all_that_the_encoder_said_and_2xx_lets_it_in() -> None:
    poster = Told(Attempt())
    asker = PublishAsker("https://example.org/may", poster)
    asked = Question(
        id=1,
        deadline_ms=3_000,
        topic="publish",
        subject="stage",
        credential="secret",
        user="ann",
        protocol=IngestProtocol.SRT,
        remote="192.0.2.7:9000",
    )
    assert await asker(asked) == ""
    ((url, body),) = poster.posted
    assert url == "https://example.org/may"
    assert json.loads(body) == {
        "event": "publish",
        "stream": "stage",
        "protocol": "srt",
        "remote": "192.0.2.7:9000",
        "user": "ann",
        "credential": "secret",
    }
    poster.answer = Attempt("status 403")
    assert "status 403" in await asker(asked)
    assert (asker.asked, asker.refused) == (2, 1)
