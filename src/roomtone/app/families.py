"""The metrics of control and of the boundary to the engine: what each means, and its value now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roomtone.observe import Family

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomtone.control.policy import JoinLimiter
    from roomtone.control.rooms import Rooms
    from roomtone.media import Engine

ROOM_FAMILIES = (
    Family("rooms", "Rooms open."),
    Family("participants", "Participants in all rooms."),
    Family("viewers", "Viewers in all rooms."),
    Family("publications", "Tracks published."),
    Family("subscriptions", "Tracks sent to viewers and participants."),
    Family("connections", "Transports of participants and viewers, plain ones too."),
    Family("refused", "Requests that rooms refused, by reason.", counter=True, label="reason"),
    Family("ended", "Participants and viewers that ended, by reason.", counter=True, label="reason"),
    Family("data_packets", "Data packets for participants, by what became of them.", counter=True, label="outcome"),
    Family("knocks", "Requests to enter by a lobby, by what became of them.", counter=True, label="decision"),
    Family("lobby_waiting", "Who waits in lobbies."),
    Family("chat_messages", "Chat messages said, edited and deleted.", counter=True, label="what"),
    Family("speaking", "Participants that speak now."),
    Family("source_switches", "Times a viewer was moved to another source.", counter=True),
    Family("source_switch_failures", "Such moves that the engine refused.", counter=True),
    Family("unservable_sources", "Sources a viewer could not get for want of a common codec.", counter=True),
    Family("engine_event_overflows", "Times control fell so far behind that engine events were lost.", counter=True),
)
LIMITER_FAMILIES = (
    Family("joins_refused", "Joins refused for the limits of an address, by reason.", counter=True, label="reason"),
)
LOOP_FAMILIES = (Family("loop_tasks", "Tasks of the event loop that have not ended."),)
BOUNDARY_FAMILIES = (
    Family("boundary_commands", "Commands given to the engine.", counter=True),
    Family("boundary_failures", "Commands the engine refused.", counter=True),
    Family("boundary_events", "Events taken from the engine.", counter=True),
    Family("boundary_events_missed", "Events the engine made and this side never saw.", counter=True),
    Family("boundary_questions", "Questions the engine asked.", counter=True),
    Family("boundary_pending_commands", "Commands whose reply is awaited."),
)


def room_counts(rooms: Rooms) -> dict[str, int]:
    """How much there is now."""
    all_rooms = list(rooms.by_name.values())
    participants = [participant for room in all_rooms for participant in room.participants.values()]
    return {
        "rooms": len(all_rooms),
        "participants": len(participants),
        "viewers": sum(len(room.viewers) for room in all_rooms),
        "publications": sum(len(participant.publications) for participant in participants),
        "subscriptions": len(rooms.subscriptions),
        "connections": len(rooms.connections),
    }


def room_values(rooms: Rooms) -> Mapping[str, float | Mapping[str, float]]:
    """Values of `ROOM_FAMILIES`."""
    return {
        **room_counts(rooms),
        "refused": {refusal.value: count for refusal, count in rooms.refused.items()},
        "ended": {reason.value: count for reason, count in rooms.ended.items()},
        "data_packets": {outcome.value: count for outcome, count in rooms.data_outcomes.items()},
        "knocks": {decision.value: count for decision, count in rooms.knocks_decided.items()},
        "lobby_waiting": sum(len(room.lobby) for room in rooms.by_name.values()),
        "chat_messages": {kind.value: count for kind, count in rooms.chat_counts.items()},
        "speaking": sum(len(room.speakers) for room in rooms.by_name.values()),
        "source_switches": rooms.switching.switches,
        "source_switch_failures": rooms.switching.failures,
        "unservable_sources": rooms.switching.unservable,
        "engine_event_overflows": rooms.event_overflows,
    }


def loop_values() -> Mapping[str, float]:
    """Values of `LOOP_FAMILIES`; asked in the loop's own thread."""
    return {"loop_tasks": len(asyncio.all_tasks())}


def limiter_values(limiter: JoinLimiter) -> Mapping[str, float | Mapping[str, float]]:
    """Values of `LIMITER_FAMILIES`."""
    return {"joins_refused": {reason.value: count for reason, count in limiter.refused.items()}}


def boundary_values(engine: Engine) -> Mapping[str, float]:
    """Values of `BOUNDARY_FAMILIES`."""
    counters = engine.counters
    return {
        "boundary_commands": counters.commands,
        "boundary_failures": counters.failures,
        "boundary_events": counters.events,
        "boundary_events_missed": counters.events_missed,
        "boundary_questions": counters.questions,
        "boundary_pending_commands": engine.pending_commands,
    }
