"""What a router can take and give, and what a client can: RTP capabilities (ORTC, as mediasoup writes them)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from roomtone.media.values import HeaderExtension, MediaKind
from roomtone.protocols.mediasoup.codecs import read_codecs, write_codec
from roomtone.protocols.sdp import support as sdp_support
from roomtone.protocols.sdp.repertoire import OPUS, OTHER_AUDIO, VIDEO_CODECS, offered_extensions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.protocols.mediasoup.payload import Payload
    from roomtone.protocols.sdp import Codec, Support

MAX_EXTENSIONS = 64
MAX_URI = 256
# Numbers of what publishers send and subscribers never get, after those of `repertoire`.
_RECEIVED_ONLY = {sdp_support.RID: 9, sdp_support.REPAIRED_RID: 10, sdp_support.VIDEO_LAYERS_ALLOCATION: 11}
_ROUTER_CODECS = (OPUS, *OTHER_AUDIO, *VIDEO_CODECS)


@dataclass(frozen=True, slots=True)
class ClientCapabilities:
    """What a client can receive."""

    codecs: tuple[Codec, ...]
    extensions: frozenset[tuple[MediaKind, str]]

    def takes_extension(self, kind: MediaKind, uri: str) -> bool:
        """Whether the client can read a header extension in media of a kind."""
        return (kind, uri) in self.extensions


def router_codecs(support: Support, allowed: Iterable[str] = ()) -> tuple[Codec, ...]:
    """Give what a router forwards, with its payload types; ``allowed`` names the codecs of a room, none means all."""
    names = frozenset(allowed)
    return tuple(
        replace(codec, feedback=support.agree_feedback(codec.feedback, codec.kind, transport_sequence=True))
        for codec in _ROUTER_CODECS
        if support.knows(codec) and (not names or codec.name in names)
    )


def sent_extensions(kind: MediaKind) -> tuple[HeaderExtension, ...]:
    """Header extensions that consumers get.

    The dependency descriptor is left out: its structure needs two-byte headers, which are agreed per transport, before
    anything is known of the client.
    """
    return tuple(ext for ext in offered_extensions(kind) if ext.uri != sdp_support.DEPENDENCY_DESCRIPTOR)


def router_capabilities(support: Support, allowed: Iterable[str] = ()) -> dict[str, Any]:
    """Write the RTP capabilities of a router."""
    codecs = [
        written
        for codec in router_codecs(support, allowed)
        for written in write_codec(codec, "preferredPayloadType", capability=True)
    ]
    return {"codecs": codecs, "headerExtensions": [ext for kind in MediaKind for ext in _extensions(support, kind)]}


def _extensions(support: Support, kind: MediaKind) -> list[dict[str, Any]]:
    both = {ext.uri for ext in sent_extensions(kind)}
    numbers = {ext.uri: ext.id for ext in offered_extensions(kind)} | _RECEIVED_ONLY
    received = support.extensions(kind, sending=False)
    return [
        {
            "kind": kind.value,
            "uri": uri,
            "preferredId": number,
            "preferredEncrypt": False,
            "direction": "sendrecv" if uri in both else "recvonly",
        }
        for uri, number in numbers.items()
        if uri in received
    ]


def read_capabilities(payload: Payload) -> ClientCapabilities:
    """Read the RTP capabilities of a client."""
    extensions: set[tuple[MediaKind, str]] = set()
    for item in payload.parts("headerExtensions", MAX_EXTENSIONS):
        uri = item.text("uri", MAX_URI)
        kind = item.optional_text("kind")
        kinds = tuple(MediaKind) if not kind else (item.choice("kind", MediaKind),)
        extensions |= {(one, uri) for one in kinds}
    return ClientCapabilities(read_codecs(payload, "preferredPayloadType"), frozenset(extensions))
