"""Who may read live streams outside of playlists: tokens as for HLS, API keys, stream keys and accounts.

A stream key opens its stream both ways. What was shown wrongly is refused even where nothing is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.live.access import Holder
from roomtone.control.live.publish_rights import is_loopback, is_token
from roomtone.control.live.stream_keys import PREFIX
from roomtone.control.policy import Ability, AccessDenial, AccessError, require_ability

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.live.access import LiveAccess
    from roomtone.control.live.publish_rights import PublishRights
    from roomtone.media.values import Question


@dataclass(slots=True)
class PlayRights:
    """Decides. ``is_public`` says of which streams, by their names, everybody may see."""

    access: LiveAccess
    secrets: PublishRights
    """Which knows stream keys and accounts."""
    is_public: Callable[[str], bool]

    async def require(self, question: Question) -> Holder | None:
        """Let somebody read, and say who that is where a token says it; raise `AccessError`."""
        name, user, credential = question.subject, question.user, question.credential
        if user is None and credential is None:
            if not self._is_open(name, question.remote):
                raise AccessError(AccessDenial.MISSING, "reading here takes a token or a stream key")
            return None
        if credential is not None and credential.startswith(PREFIX):
            await self.secrets.require_stream_key(credential, name)
            return None
        if user is None or is_token(credential):
            return self.access.check_token(name, credential or "")
        role = await self.secrets.require_pair(user, credential or "", question.remote)
        if role is not None:
            require_ability(role, Ability.JOIN_ROOMS)
        return Holder(user, "", 0.0)

    def keep_away(self, name: str, holder: Holder | None) -> None:
        """Let the token that somebody showed open a stream no more; raise `LiveError`."""
        if holder is not None and holder.digest:
            self.access.keep_away(name, holder)

    def _is_open(self, name: str, remote: str | None) -> bool:
        rules = self.access.rules
        return rules.public or self.is_public(name) or (rules.open_to_loopback and is_loopback(remote))
