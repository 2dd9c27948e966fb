"""What a token lets its participant do in a room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.rooms import Permissions, TrackSource

if TYPE_CHECKING:
    from roomtone.control.policy.tokens import AccessToken

_SOURCES = {source.value: source for source in TrackSource}


def permissions_of(token: AccessToken) -> Permissions:
    """Give the permissions a token grants in its room; who may administer the room moderates it.

    Names of sources that are not known here allow nothing: a list of only such names lets nothing be published.
    """
    grants = token.grants
    sources = frozenset(_SOURCES[name] for name in grants.can_publish_sources if name in _SOURCES)
    return Permissions(
        can_publish=grants.can_publish and (bool(sources) or not grants.can_publish_sources),
        publish_sources=sources,
        can_subscribe=grants.can_subscribe,
        can_publish_data=grants.may_publish_data,
        can_update_own_metadata=grants.can_update_own_metadata,
        hidden=grants.hidden,
        recorder=grants.recorder,
        agent=grants.agent,
        moderator=grants.room_admin,
    )
