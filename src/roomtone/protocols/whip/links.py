"""Link header fields of a 201 answer: ICE servers (RFC 9725 section 4.6) and WHEP's extensions.

The WHEP draft keeps its extension mechanism and defines none; events and layer selection live in the companion
document "WebRTC-HTTP Egress Protocol Events", whose names are used here.
"""

from __future__ import annotations

from dataclasses import dataclass

EVENTS_RELATION = "urn:ietf:params:whep:ext:core:server-sent-events"
LAYER_RELATION = "urn:ietf:params:whep:ext:core:layer"
PUBLISHER_EVENTS_RELATION = "urn:x-roomtone:whip:ext:server-sent-events"
EVENT_TYPES = ("active", "bandwidth", "inactive", "layers", "reconnect", "viewercount")
"""Of a viewer's event streams; ``bandwidth`` is this server's own, once a second to who asks for it by name."""
PUBLISHER_EVENT_TYPES = ("encodings", "quality")
"""Of a publisher's event streams, which are this server's own: what anybody wants of it, how it arrives."""


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server with the credentials a client shall use."""

    url: str
    username: str | None = None
    credential: str | None = None


def quote(text: str) -> str:
    """Write a quoted-string (RFC 9110 section 5.6.4); control characters are left out."""
    kept = "".join(character for character in text if character >= " " and character != "\x7f")
    return '"' + kept.replace("\\", "\\\\").replace('"', '\\"') + '"'


def ice_server_link(server: IceServer) -> str:
    """Write one ICE server."""
    link = f'<{server.url}>; rel="ice-server"'
    if server.username is not None and server.credential is not None:
        link += f"; username={quote(server.username)}; credential={quote(server.credential)}"
        link += '; credential-type="password"'
    return link


def extension_links(resource: str) -> list[str]:
    """Write the links of WHEP's extensions below a resource's path."""
    events = ",".join(EVENT_TYPES)
    return [
        f'<{resource}/sse>; rel="{EVENTS_RELATION}"; events="{events}"',
        f'<{resource}/layer>; rel="{LAYER_RELATION}"',
    ]


def publisher_links(resource: str) -> list[str]:
    """Write the link of a publisher's event stream below a resource's path."""
    return [f'<{resource}/sse>; rel="{PUBLISHER_EVENTS_RELATION}"; events="{",".join(PUBLISHER_EVENT_TYPES)}"']
