"""The metrics of control and of the boundary to the engine: what each means, and its value now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from roomtone.control.calls import TrunkState
from roomtone.control.live import LiveState, PullState
from roomtone.observe import Family
from roomtone.protocols.sip.transaction import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomtone.app.people import People
    from roomtone.app.phones import Phones
    from roomtone.app.previews import Previews
    from roomtone.clients.webhooks import WebhookDelivery
    from roomtone.control.calls import Calls, PhoneBook
    from roomtone.control.live import Ingests, LiveAccess, LiveStreams, Pulls, Transcodings
    from roomtone.control.policy import JoinLimiter
    from roomtone.control.rooms import Rooms
    from roomtone.media import Engine
    from roomtone.servers.livekit import LiveKitContext
    from roomtone.servers.socketio import Sfu, SocketServer

ROOM_FAMILIES = (
    Family("rooms", "Rooms open."),
    Family("participants", "Participants in all rooms."),
    Family("viewers", "Viewers in all rooms."),
    Family("publications", "Tracks published."),
    Family("subscriptions", "Tracks sent to viewers and participants."),
    Family("connections", "Transports of participants and viewers, plain ones too."),
    Family("refused", "Requests that rooms refused, by reason.", counter=True, label="reason"),
    Family("ended", "Participants and viewers that ended, by reason.", counter=True, label="reason"),
    Family("ended_forgotten", "Ends that the log of ends no longer has: newer ones took their place.", counter=True),
    Family("data_packets", "Data packets for participants, by what became of them.", counter=True, label="outcome"),
    Family("knocks", "Requests to enter by a lobby, by what became of them.", counter=True, label="decision"),
    Family("lobby_waiting", "Who waits in lobbies."),
    Family("chat_messages", "Chat messages said, edited and deleted.", counter=True, label="what"),
    Family("forwardings", "Participants present in a further room, once for each."),
    Family("mixes", "Rooms in which somebody hears a mix."),
    Family("mix_outcomes", "What became of phones in rooms, and of tracks to be mixed.", counter=True, label="outcome"),
    Family("forwarding_outcomes", "What became of forwardings and of their tracks.", counter=True, label="outcome"),
    Family("speaking", "Participants that speak now."),
    Family("source_switches", "Times a viewer was moved to another source.", counter=True),
    Family("source_switch_failures", "Such moves that the engine refused.", counter=True),
    Family("unservable_sources", "Sources a viewer could not get for want of a common codec.", counter=True),
    Family("engine_event_overflows", "Times control fell so far behind that engine events were lost.", counter=True),
)
LIVE_FAMILIES = (
    Family("live_streams", "Live streams, by state.", label="state"),
    Family("live_streams_started", "Live streams begun.", counter=True),
    Family("live_streams_ended", "Live streams that ended, by reason.", counter=True, label="reason"),
    Family("live_refused", "Requests about live streams that were refused, by reason.", counter=True, label="reason"),
    Family("live_warnings", "What was wrong with what live streams were given.", counter=True, label="warning"),
    Family("live_grants", "Grants to watch live streams that were given.", counter=True),
    Family("live_grants_refused", "Times none was given, by reason.", counter=True, label="reason"),
    Family("live_viewers_kicked", "Viewers of live streams that were sent away.", counter=True),
    Family("transcodings", "Live streams of which something is made anew."),
    Family("transcoding_events", "What happened to the processes that do so.", counter=True, label="event"),
    Family("ingests", "Streams that encoders publish, or did until a moment ago."),
    Family("ingests_accepted", "Times an encoder was let in.", counter=True),
    Family("ingests_refused", "Times an encoder was not let in, by reason.", counter=True, label="reason"),
    Family("ingests_ended", "Times an encoder ended, by reason.", counter=True, label="reason"),
    Family("ingest_strangers", "Sources of datagrams that no input takes, each told once.", counter=True),
    Family("stream_names_contested", "Live streams of which another server had one of the same name.", counter=True),
    Family("stream_names_unasked", "Times Redis did not say whose the name of a live stream is.", counter=True),
    Family("slates", "Streams of encoders that show a slate now."),
    Family("slates_shown", "Times a slate was shown.", counter=True),
    Family("slates_failed", "Times a slate ended by itself.", counter=True),
    Family("readers", "Programs that read live streams by SRT."),
    Family("readers_accepted", "Times one was let in.", counter=True),
    Family("readers_refused", "Times one was not let in, by reason.", counter=True, label="reason"),
    Family("readers_ended", "Times one ended, by reason.", counter=True, label="reason"),
    Family("readers_kicked", "Readers that were sent away.", counter=True),
    Family("pulls", "Streams that are fetched from other servers, by state.", label="state"),
    Family("ingest_warnings", "What was wrong with what encoders sent.", counter=True, label="warning"),
    Family("previews", "Pictures of live streams, by what became of them.", counter=True, label="outcome"),
    Family("ingest_attendance", "What became of encoders and their tracks in rooms.", counter=True, label="outcome"),
    Family("live_switches", "Times a live stream showed another source than before.", counter=True),
    Family("live_tracks_left_out", "Tracks that came and a live stream could not carry.", counter=True),
)
LIVEKIT_FAMILIES = (
    Family("livekit_sessions", "Participants that came by LiveKit's protocol."),
    Family("livekit_sessions_resumed", "Sessions taken over by another socket.", counter=True),
    Family("livekit_signals_lost", "Sockets that went away without a farewell.", counter=True),
    Family("livekit_troubles", "What went wrong in sessions by the peer's doing.", counter=True, label="trouble"),
    Family("livekit_api_calls", "Calls of LiveKit's server API, by how they ended.", counter=True, label="code"),
    Family("livekit_api_waiting", "Method calls of that API that wait for a participant."),
    Family("ingresses", "Places for sources that are made beforehand, by what their sources do.", label="status"),
)
WEBHOOK_FAMILIES = (
    Family("webhooks", "Webhooks and attempts to deliver them, by outcome.", counter=True, label="outcome"),
    Family("webhooks_waiting", "Webhooks that have neither arrived nor been given up."),
)
LIMITER_FAMILIES = (
    Family("joins_refused", "Joins refused for the limits of an address, by reason.", counter=True, label="reason"),
)
PEOPLE_FAMILIES = (
    Family("database_transactions", "Transactions begun with the database.", counter=True),
    Family("database_failures", "Transactions the database did not carry out.", counter=True),
    Family("audited", "Events of the audit trail, by kind.", counter=True, label="kind"),
    Family("audit_unkept", "Audited events that are in the log only.", counter=True),
    Family("attempts_refused", "Attempts refused for their number, by kind.", counter=True, label="kind"),
    Family("attempts_forgotten", "Subjects of such limits forgotten before they had recovered.", counter=True),
    Family("attempts_without_redis", "Attempts counted in memory since Redis did not answer.", counter=True),
    Family("passwords_hashed", "Passwords hashed, of nobody too.", counter=True),
    Family("passwords_refused", "Password checks refused since too many were under way.", counter=True),
    Family("tokens_withdrawn", "Accounts and log-ins whose older tokens are refused."),
    Family(
        "tokens_withdrawn_evicted", "Of these forgotten for their number: all older tokens are refused.", counter=True
    ),
    Family("api_keys", "Keys that sign tokens."),
    Family("mails", "Mails sent, failed, dropped.", counter=True, label="outcome"),
    Family("dead_letters_dropped", "Webhooks given up that made way for newer ones.", counter=True),
)
SFU_FAMILIES = (
    Family("sfu_peers", "Peers of mediasoup clients, by Socket.IO and by HTTP."),
    Family("sfu_clients", "Connections of Socket.IO."),
    Family("sfu_events", "Events of Socket.IO clients, by name.", counter=True, label="event"),
    Family("sfu_errors", "Requests of mediasoup clients that were refused, by code.", counter=True, label="code"),
    Family("sfu_clients_dropped", "Clients of Socket.IO that were dropped, by reason.", counter=True, label="reason"),
    Family("sfu_messages", "Messages taken from data producers.", counter=True),
    Family(
        "sfu_messages_dropped",
        "Messages that a consumer's full channel lost, or its backlog while it was not there yet.",
        counter=True,
    ),
    Family("sfu_messages_unknown", "Messages on data channels that no producer was made for.", counter=True),
    Family("sfu_messages_refused", "Messages of those who may not send data, or too large for others.", counter=True),
    Family("sfu_news_lost", "Times events of a room were not told to its peers: too many at once.", counter=True),
)
SIP_FAMILIES = (
    Family("sip_messages_received", "SIP messages received, by transport.", counter=True, label="transport"),
    Family("sip_messages_sent", "SIP messages sent, by transport.", counter=True, label="transport"),
    Family("sip_messages_unsent", "SIP messages that could not be sent, by reason.", counter=True, label="reason"),
    Family("sip_dropped", "SIP messages neither answered nor handed on, by reason.", counter=True, label="reason"),
    Family("sip_faults", "SIP messages against the grammar, by rule.", counter=True, label="fault"),
    Family("sip_refused", "SIP requests refused for their grammar.", counter=True),
    Family("sip_bans", "Addresses not listened to any more for failed authentications.", counter=True),
    Family("sip_keep_alives", "Keep-alives of peers on SIP flows, by CRLF and STUN.", counter=True),
    Family("sip_pings", "Keep-alives of ours on SIP flows.", counter=True),
    Family("sip_defects", "SIP messages and timers that failed by a defect of this server.", counter=True),
    Family("sip_overloaded", "Whether new SIP requests are refused: the event loop is late, or too many calls wait."),
    Family("sip_overload_refused", "New SIP requests refused with 503, by cause.", counter=True, label="cause"),
    Family("sip_noise", "Datagrams on SIP's port that are nothing of SIP.", counter=True),
    Family("sip_connections", "Connections of SIP that are open."),
    Family("sip_connections_ended", "Connections of SIP that ended, by reason.", counter=True, label="reason"),
    Family("sip_transactions", "SIP transactions, by state.", label="state"),
    Family("sip_legs", "Legs of SIP calls that are there."),
    Family("sip_authentications", "SIP requests by what their credentials were worth.", counter=True, label="verdict"),
    Family("sip_accounts", "Accounts that phones register with."),
    Family("sip_registrations", "Phones registered."),
    Family("sip_trunks", "Trunks, by state.", label="state"),
    Family("sip_registrations_evicted", "Registrations that made way for others of their account.", counter=True),
    Family("calls", "Calls of phones that ring or go on."),
    Family("calls_waiting", "Calls of phones that wait to be set up."),
    Family("calls_started", "Calls of phones begun.", counter=True),
    Family("calls_ended", "Calls of phones that ended, by reason.", counter=True, label="reason"),
    Family("calls_silences", "Times a peer of a call fell silent without having said so.", counter=True),
    Family("calls_pins", "PINs asked for by calls to rooms, by what became of them.", counter=True, label="outcome"),
    Family("call_records", "Records of calls, by what became of them.", counter=True, label="outcome"),
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
        "ended_forgotten": rooms.ended_log.forgotten,
        "data_packets": {outcome.value: count for outcome, count in rooms.data_outcomes.items()},
        "knocks": {decision.value: count for decision, count in rooms.knocks_decided.items()},
        "lobby_waiting": sum(len(room.lobby) for room in rooms.by_name.values()),
        "chat_messages": {kind.value: count for kind, count in rooms.chat_counts.items()},
        "forwardings": rooms.forwardings,
        "mixes": len(rooms.mixes),
        "mix_outcomes": {count.value: number for count, number in rooms.mix_counts.items()},
        "forwarding_outcomes": {count.value: number for count, number in rooms.forwarding_counts.items()},
        "speaking": sum(len(room.speakers) for room in rooms.by_name.values()),
        "source_switches": rooms.switching.switches,
        "source_switch_failures": rooms.switching.failures,
        "unservable_sources": rooms.switching.unservable,
        "engine_event_overflows": rooms.event_overflows,
    }


def live_values(  # noqa: PLR0917 - one a sort of stream
    live: LiveStreams,
    ingests: Ingests,
    access: LiveAccess,
    previews: Previews,
    transcodings: Transcodings,
    pulls: Pulls | None,
) -> Mapping[str, float | Mapping[str, float]]:
    """Values of `LIVE_FAMILIES`."""
    playouts, slates = ingests.playouts, ingests.slates
    states = [stream.state for stream in live.by_name.values()]
    fetched = [pull.state for pull in pulls.by_name.values()] if pulls is not None else []
    return {
        "pulls": {state.value: fetched.count(state) for state in PullState},
        "live_streams": {state.value: states.count(state) for state in LiveState if state is not LiveState.ENDED},
        "live_streams_started": live.started,
        "live_streams_ended": _by_name(live.ended),
        "live_refused": _by_name(live.refused),
        "live_warnings": _by_name(live.warned),
        "live_tracks_left_out": live.left_out,
        "live_switches": live.feeding.switches,
        "previews": {"made": previews.made, "failed": previews.failed},
        "live_grants": access.granted,
        "live_grants_refused": _by_name(access.refused),
        "live_viewers_kicked": access.kicked,
        "transcodings": transcodings.open,
        "transcoding_events": _by_name(transcodings.events),
        "ingests": len(ingests.by_name),
        "ingests_accepted": ingests.accepted,
        "ingests_refused": dict(ingests.refused),
        "ingests_ended": _by_name(ingests.ended),
        "readers": 0 if playouts is None else len(playouts.by_id),
        "readers_accepted": 0 if playouts is None else playouts.accepted,
        "readers_refused": {} if playouts is None else _by_name(playouts.refused),
        "readers_ended": {} if playouts is None else _by_name(playouts.ended),
        "readers_kicked": 0 if playouts is None else playouts.kicked,
        "ingest_strangers": ingests.strangers,
        "stream_names_contested": 0 if ingests.names is None else ingests.names.conflicts,
        "stream_names_unasked": ingests.registry.failures,
        "slates": 0 if slates is None else slates.shown,
        "slates_shown": 0 if slates is None else slates.begun,
        "slates_failed": 0 if slates is None else slates.failed,
        "ingest_warnings": _by_name(ingests.warned),
        "ingest_attendance": {} if ingests.attendances is None else _by_name(ingests.attendances.counts),
    }


def livekit_values(context: LiveKitContext) -> Mapping[str, float | Mapping[str, float]]:
    """Values of `LIVEKIT_FAMILIES`."""
    return {
        "livekit_sessions": len(context.sessions),
        "livekit_sessions_resumed": context.resumed,
        "livekit_signals_lost": context.signals_lost,
        "livekit_troubles": {trouble.value: count for trouble, count in sorted(context.troubles.items())},
        "livekit_api_calls": dict(context.twirp_answers),
        "livekit_api_waiting": len(context.method_calls),
        "ingresses": {} if context.ingresses is None else context.ingresses.count(),
    }


def webhook_values(webhooks: WebhookDelivery) -> Mapping[str, float | Mapping[str, float]]:
    """Values of `WEBHOOK_FAMILIES`."""
    return {
        "webhooks": {outcome.value: count for outcome, count in webhooks.counts.items()},
        "webhooks_waiting": webhooks.waiting,
    }


def loop_values() -> Mapping[str, float]:
    """Values of `LOOP_FAMILIES`; asked in the loop's own thread."""
    return {"loop_tasks": len(asyncio.all_tasks())}


def limiter_values(limiter: JoinLimiter) -> Mapping[str, float | Mapping[str, float]]:
    """Values of `LIMITER_FAMILIES`."""
    return {"joins_refused": {reason.value: count for reason, count in limiter.refused.items()}}


def people_values(people: People) -> Mapping[str, float | Mapping[str, float]]:
    """Values of `PEOPLE_FAMILIES`."""
    parts, mailer, redis = people.accounts.parts, people.mailer, people.redis_buckets
    mails = {} if mailer is None else {"sent": mailer.sent, "failed": mailer.failed, "dropped": mailer.dropped}
    return {
        "database_transactions": people.database.transactions,
        "database_failures": people.database.failures,
        "audited": {kind.value: count for kind, count in people.audit.recorded.items()},
        "audit_unkept": people.audit.unkept,
        "attempts_refused": {kind.value: count for kind, count in parts.limiter.refused.items()},
        "attempts_forgotten": people.memory_buckets.forgotten,
        "attempts_without_redis": 0 if redis is None else redis.failures,
        "passwords_hashed": parts.hasher.hashed,
        "passwords_refused": parts.hasher.refused,
        "tokens_withdrawn": len(parts.gate),
        "tokens_withdrawn_evicted": parts.gate.evicted,
        "api_keys": len(people.api_keys.ring),
        "mails": mails,
        "dead_letters_dropped": people.webhooks.dropped,
    }


def sfu_values(sfu: Sfu, sockets: SocketServer) -> Mapping[str, float | Mapping[str, float]]:
    """Values of `SFU_FAMILIES`."""
    counters = sfu.context.counters
    return {
        "sfu_peers": len(sfu),
        "sfu_clients": len(sockets),
        "sfu_events": counters.events,
        "sfu_errors": counters.errors,
        "sfu_clients_dropped": counters.dropped,
        "sfu_messages": counters.messages,
        "sfu_messages_dropped": counters.messages_dropped,
        "sfu_messages_unknown": counters.messages_unknown,
        "sfu_messages_refused": counters.messages_refused,
        "sfu_news_lost": sfu.news.lost,
    }


def sip_values(phones: Phones) -> Mapping[str, float | Mapping[str, float]]:
    """Values of `SIP_FAMILIES`."""
    transports, edge = phones.endpoint.counters, phones.edge.counters
    return {
        "sip_messages_received": transports.received,
        "sip_messages_sent": transports.sent,
        "sip_messages_unsent": _by_name(transports.unsent),
        "sip_dropped": _by_name(edge.dropped),
        "sip_faults": _by_name(edge.faults),
        "sip_refused": edge.refused,
        "sip_bans": edge.bans,
        "sip_keep_alives": transports.keep_alives,
        "sip_pings": transports.pings,
        "sip_overloaded": phones.overload.cause is not None,
        "sip_overload_refused": _by_name(phones.overload.refused),
        "sip_defects": transports.defects,
        "sip_noise": transports.noise,
        "sip_connections": len(phones.endpoint.pool),
        "sip_connections_ended": _by_name(transports.ended),
        "sip_transactions": {state.name.lower(): phones.layer.gauges[state] for state in State},
        "sip_legs": phones.core.agent.legs,
        "sip_authentications": _by_name(phones.guard.verdicts),
        **_call_values(phones.book, phones.calls),
    }


def _call_values(book: PhoneBook, calls: Calls) -> dict[str, float | Mapping[str, float]]:
    return {
        "sip_accounts": len(book.accounts),
        "sip_registrations": len(book.registrar),
        "sip_registrations_evicted": book.registrar.evicted,
        "sip_trunks": _trunk_states(book),
        "calls": len(calls),
        "calls_waiting": calls.waiting,
        "calls_started": calls.started,
        "calls_ended": _by_name(calls.ended),
        "calls_silences": calls.silences,
        "calls_pins": _by_name(calls.parts.pins.counts),
        "call_records": {
            "kept": book.records.kept,
            "dropped": book.records.dropped,
            "write_failed": book.records.write_failures + book.registrar.write_failures,
        },
    }


def _trunk_states(book: PhoneBook) -> dict[str, float]:
    states = [book.trunks.life(trunk.name).state for trunk in book.trunks.list()]
    return {state.value: states.count(state) for state in TrunkState}


def _by_name(counts: Mapping[Any, int]) -> dict[str, float]:
    """Give counts by the words of their enumeration."""
    return {str(word): count for word, count in counts.items()}


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
