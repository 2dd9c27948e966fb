"""Bodies of ``application/trickle-ice-sdpfrag`` (RFC 8840 section 9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.protocols.sdp.attributes_ice import IceCandidate
from roomtone.protocols.sdp.errors import SdpError
from roomtone.protocols.sdp.lines import Line, attribute, parse_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.media.values import Candidate

MEDIA_TYPE = "application/trickle-ice-sdpfrag"
MAX_CANDIDATES = 128


@dataclass(frozen=True, slots=True)
class Fragment:
    """What a fragment says; credentials are None when it repeats none."""

    ice_ufrag: str | None
    ice_pwd: str | None
    candidates: tuple[IceCandidate, ...]
    mid: str | None = None
    media: str | None = None
    end_of_candidates: bool = False

    def reachable(self) -> tuple[Candidate, ...]:
        """Candidates the engine can use; others are left out in silence, as RFC 9725 section 4.3.2 asks."""
        found = (line.to_candidate() for line in self.candidates if line.component == 1)
        return tuple(dict.fromkeys(candidate for candidate in found if candidate is not None))


def parse_fragment(body: str | bytes) -> Fragment:
    """Parse a fragment; raise `SdpError` with the line. Attributes of all its sections are taken together."""
    candidates: list[IceCandidate] = []
    single: dict[str, str] = {}
    media = None
    ended = False
    for number, line in parse_lines(body):
        if line.kind == "m" and media is None:
            media = line.value
        if line.kind not in "ma":
            raise SdpError(number, "is neither a media nor an attribute line")
        if isinstance(line.typed, IceCandidate):
            candidates.append(line.typed)
            if len(candidates) > MAX_CANDIDATES:
                raise SdpError(number, f"is beyond the limit of {MAX_CANDIDATES} candidates")
        name = line.attribute or ""
        if name in {"ice-ufrag", "ice-pwd"}:
            value = line.attribute_value or ""
            if single.setdefault(name, value) != value:
                raise SdpError(number, f"gives a second {name}")
        elif name == "mid":
            single.setdefault("mid", line.attribute_value or "")
        ended = ended or name == "end-of-candidates"
    if ("ice-ufrag" in single) != ("ice-pwd" in single):
        raise SdpError(1, "begins a fragment with only one of ice-ufrag and ice-pwd")
    return Fragment(
        ice_ufrag=single.get("ice-ufrag"),
        ice_pwd=single.get("ice-pwd"),
        candidates=tuple(candidates),
        mid=single.get("mid"),
        media=media,
        end_of_candidates=ended,
    )


@dataclass(frozen=True, slots=True)
class LocalIce:
    """Our side after a restart."""

    ice_ufrag: str
    ice_pwd: str
    candidates: Sequence[Candidate]
    ice_lite: bool = True


def write_fragment(local: LocalIce, asked: Fragment) -> str:
    """Write the body that answers an ICE restart: our credentials and all candidates."""
    lines = [attribute("ice-lite")] if local.ice_lite else []
    lines.append(attribute("ice-options", "trickle ice2"))
    lines += [attribute("ice-ufrag", local.ice_ufrag), attribute("ice-pwd", local.ice_pwd)]
    lines.append(Line("m", asked.media or "audio 9 UDP/TLS/RTP/SAVPF 0"))
    if asked.mid is not None:
        lines.append(attribute("mid", asked.mid))
    lines += [attribute("candidate", IceCandidate.of(candidate).serialize()) for candidate in local.candidates]
    lines.append(attribute("end-of-candidates"))
    return "".join(f"{line.serialize()}\r\n" for line in lines)
