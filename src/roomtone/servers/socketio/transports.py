"""Transports of peers: created, connected, restarted, closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomtone.control.policy import ice_servers
from roomtone.protocols.mediasoup import write_candidates, write_dtls, write_ice, write_ice_servers, write_sctp
from roomtone.servers.socketio.data import PeerChannels
from roomtone.servers.socketio.peers import MAX_TRANSPORTS, SfuPeer, SfuTransport, new_id
from roomtone.servers.socketio.problems import wrong_state

if TYPE_CHECKING:
    from roomtone.control.rooms import CloseReason
    from roomtone.protocols.mediasoup import Direction
    from roomtone.protocols.mediasoup.requests import ConnectTransport, CreateTransport, OnTransport
    from roomtone.servers.socketio.sfu import Sfu


async def create_transport(sfu: Sfu, peer: SfuPeer, request: CreateTransport) -> dict[str, Any]:
    """Open a transport; data channels may go over any of them."""
    if len(peer.transports) >= MAX_TRANSPORTS:
        raise wrong_state("too_many_transports", f"a peer has at most {MAX_TRANSPORTS} transports")
    connection = await sfu.rooms.open_connection(peer.participant, listener=PeerChannels(sfu, peer))
    connection.ends_owner = False
    transport = SfuTransport(new_id("TP"), request.direction, connection)
    peer.transports[transport.id] = transport
    connection.on_closed = lambda reason: _on_closed(sfu, peer, transport, reason)
    named = ice_servers(sfu.context.ice_rules, peer.participant.identity, sfu.context.wall_clock())
    return {
        "id": transport.id,
        **_ice(transport),
        "iceServers": write_ice_servers(named),
        "dtlsParameters": write_dtls(connection.transport.fingerprints),
        "sctpParameters": write_sctp(),
    }


async def connect_transport(sfu: Sfu, peer: SfuPeer, request: ConnectTransport) -> dict[str, Any]:
    """Take the client's DTLS parameters, once."""
    transport = peer.transport(request.transport)
    if transport.named:
        raise wrong_state("already_connected", "the transport is connected already")
    transport.named = True
    try:
        await sfu.rooms.connect(transport.connection, request.remote)
    except BaseException:
        transport.named = False
        raise
    return {"transportId": transport.id, "connected": True}


async def restart_ice(sfu: Sfu, peer: SfuPeer, request: OnTransport) -> dict[str, Any]:
    """Take new ICE credentials; the client restarts with them."""
    transport = peer.transport(request.transport)
    await sfu.rooms.restart_ice(transport.connection)
    return {"transportId": transport.id, **_ice(transport)}


async def close_transport(sfu: Sfu, peer: SfuPeer, request: OnTransport) -> dict[str, Any]:
    """Close a transport with what goes over it."""
    transport = peer.transport(request.transport)
    peer.transports.pop(transport.id)
    _forget_consumers(peer, transport)
    await sfu.rooms.close_connection(transport.connection)
    return {"transportId": transport.id, "closed": True}


def need_direction(transport: SfuTransport, direction: Direction) -> None:
    """Refuse a transport that was made for the other direction."""
    if transport.direction is not direction:
        raise wrong_state("wrong_direction", f"the transport is of direction {transport.direction.value}")


def _ice(transport: SfuTransport) -> dict[str, Any]:
    ours = transport.connection.transport
    return {
        "iceParameters": write_ice(ours.ice_ufrag, ours.ice_pwd),
        "iceCandidates": write_candidates(ours.candidates),
    }


def _forget_consumers(peer: SfuPeer, transport: SfuTransport) -> None:
    for consumer in [consumer for consumer in peer.consumers.values() if consumer.transport is transport]:
        del peer.consumers[consumer.id]


def _on_closed(sfu: Sfu, peer: SfuPeer, transport: SfuTransport, reason: CloseReason) -> None:
    """Tell a client of a transport that ended without its asking."""
    if peer.transports.pop(transport.id, None) is None:
        return
    _forget_consumers(peer, transport)
    if peer.tell is None and not peer.transports:
        sfu.rooms.spawn(sfu.leave(peer, reason))  # it came by HTTP: nobody else would notice that its client is gone
        return
    room = peer.participant.room.name
    peer.send("transport-closed", {"roomId": room, "transportId": transport.id, "closed": True, "reason": reason.value})
