"""Fuzz target: any frame is a request or a `BadMessageError`; an offer or answer in it is a plan or refused.

Likewise any query of a join is a `Join` or a `JoinError`, any data packet is signed or a `BadMessageError`; nothing
else is ever raised.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["roomtone.protocols"]):
    from roomtone.protocols.livekit import (
        AnnouncementError,
        BadMessageError,
        JoinError,
        OfferedTracks,
        PublishedTracks,
        Sender,
        read_join,
        read_packet,
        read_request,
        read_wish,
        sign,
    )
    from roomtone.protocols.sdp import NegotiationError, SdpError, Support

LIMIT = 65_536
SUPPORT = Support(max_media=64, max_tracks_per_kind=64)


def signal(frame: bytes | str) -> None:
    request = read_request(frame, LIMIT)
    tracks = PublishedTracks(SUPPORT)
    with contextlib.suppress(AnnouncementError):
        tracks.announce(request.add_track, "TR_1")
    with contextlib.suppress(SdpError, NegotiationError):
        tracks.handle_offer(request.offer.sdp)
    offered = OfferedTracks(lambda: 1, "us")
    offered.awaiting = True
    with contextlib.suppress(SdpError, NegotiationError):
        offered.handle_answer(request.answer.sdp)
    read_wish(request.track_setting, ("q", "h"))


def one_input(data: bytes) -> None:
    kind, body = data[:1], data[1:]
    with contextlib.suppress(BadMessageError, JoinError):
        match kind[0] % 4 if kind else 0:
            case 0:
                signal(body.decode("utf-8", "replace"))
            case 1:
                signal(body)
            case 2:
                read_join({"join_request": body.decode("latin-1")}, needs_request=True)
            case _:
                packet = read_packet(body, LIMIT)
                sign(packet, Sender("alice", "PA_1"), reliable=True)
                packet.SerializeToString()


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
