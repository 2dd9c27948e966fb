"""What tokens let participants do."""

from __future__ import annotations

from roomtone.control.policy import AccessToken, VideoGrants, permissions_of
from roomtone.control.rooms import Permissions, TrackSource


def allowed(**grants: object) -> Permissions:
    return permissions_of(AccessToken("key", "alice", VideoGrants(room="demo", room_join=True, **grants)))


def test_a_plain_token_lets_its_participant_do_what_participants_do() -> None:
    assert allowed() == Permissions()


def test_each_grant_has_its_permission() -> None:
    assert allowed(
        can_publish_sources=("camera", "screen_share_audio"),
        can_subscribe=False,
        can_publish_data=False,
        can_update_own_metadata=True,
        hidden=True,
        recorder=True,
        agent=True,
        room_admin=True,
    ) == Permissions(
        publish_sources=frozenset({TrackSource.CAMERA, TrackSource.SCREEN_SHARE_AUDIO}),
        can_subscribe=False,
        can_publish_data=False,
        can_update_own_metadata=True,
        hidden=True,
        recorder=True,
        agent=True,
        moderator=True,
    )


def test_who_may_not_publish_sends_no_data_unless_the_token_says_so() -> None:
    assert not allowed(can_publish=False).can_publish_data
    assert allowed(can_publish=False, can_publish_data=True).can_publish_data


def test_a_list_of_unknown_sources_is_no_permission_for_all() -> None:
    assert not allowed(can_publish_sources=("hologram",)).can_publish
    assert allowed(can_publish_sources=("hologram", "camera")).publish_sources == {TrackSource.CAMERA}
