"""The hook that is asked who may publish: one signed POST, answered in time or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomtone.clients.webhooks.values import Poster
    from roomtone.media.values import Question


class PublishAsker:
    """Asks one URL; any answer but 2xx refuses. ``asked`` and ``refused`` count.

    The body is JSON and signed as webhooks are: ``event`` "publish", ``stream``, ``protocol``, ``remote``, ``user``,
    ``credential``. How long an answer may take is up to the poster, and shorter than the engine waits.
    """

    def __init__(self, url: str, poster: Poster) -> None:
        self.asked = 0
        self.refused = 0
        self._url = url
        self._poster = poster

    async def __call__(self, question: Question) -> str:
        """Ask; empty where the encoder may publish."""
        self.asked += 1
        body = {
            "event": "publish",
            "stream": question.subject,
            "protocol": None if question.protocol is None else question.protocol.value,
            "remote": question.remote,
            "user": question.user,
            "credential": question.credential,
        }
        attempt = await self._poster.post(self._url, json.dumps(body).encode())
        if not attempt.error:
            return ""
        self.refused += 1
        return f"the hook does not let this be published: {attempt.error}"
