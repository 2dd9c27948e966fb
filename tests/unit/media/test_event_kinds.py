"""Every event is known to the mailboxes: what it is about, and what it is a newer value of."""

from __future__ import annotations

import typing

from roomtone.media.event_kinds import MERGED, STATISTICS, SUBJECTS
from roomtone.media.values import AnyEvent

EVENTS = set(typing.get_args(AnyEvent))


def test_every_event_names_the_objects_it_is_about() -> None:
    assert set(SUBJECTS) == EVENTS
    for event, names in SUBJECTS.items():
        assert set(names) <= set(event.__struct_fields__)


def test_what_is_merged_or_dropped_is_an_event_and_its_keys_are_its_fields() -> None:
    assert set(MERGED) <= EVENTS
    assert set(STATISTICS) <= EVENTS
    for event, (_, names) in MERGED.items():
        assert set(names) <= set(event.__struct_fields__)
