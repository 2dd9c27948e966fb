"""Fuzz target: any JSON is a request or a `PayloadError`; a producer or consumer it asks for is agreed to or refused.

The first line names the event, the rest is its payload. Nothing else is ever raised.
"""

from __future__ import annotations

import json
import sys

import atheris

with atheris.instrument_imports(include=["roomtone.protocols"]):
    from roomtone.protocols.mediasoup import (
        Event,
        PayloadError,
        choose_received_media,
        read_request,
        read_sent_media,
        write_sent_media,
    )
    from roomtone.protocols.mediasoup.requests import Consume, Produce
    from roomtone.protocols.sdp import Support
    from roomtone.protocols.sdp.repertoire import VIDEO_CODECS

SUPPORT = Support()
EVENTS = {event.value.encode(): event for event in Event}


def one_input(data: bytes) -> None:
    name, _, body = data.partition(b"\n")
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return
    for event in (EVENTS[name],) if name in EVENTS else Event:
        try:
            request = read_request(event, payload)
            if isinstance(request, Produce):
                json.dumps(write_sent_media(read_sent_media(request.parameters, request.kind, SUPPORT)))
            elif isinstance(request, Consume):
                choose_received_media(VIDEO_CODECS, VIDEO_CODECS[0].kind, request.capabilities, SUPPORT)
        except PayloadError:
            continue


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
