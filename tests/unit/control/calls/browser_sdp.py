"""Descriptions as Chromium writes them, cut to what matters here."""

from __future__ import annotations

PRINT = ":".join(["0A"] * 32)
OTHER_PRINT = ":".join(["0B"] * 32)
AUDIO = "111 63 9 0 8 110 126"
_MAPS = {
    111: ("opus/48000/2", "minptime=10;useinbandfec=1"),
    63: ("red/48000/2", "111/111"),
    110: ("telephone-event/48000", ""),
    126: ("telephone-event/8000", ""),
    96: ("VP8/90000", ""),
    97: ("rtx/90000", "apt=96"),
}


def section(kind: str, mid: str, formats: str, *lines: str, setup: str, ufrag: str, print_: str) -> list[str]:
    head = [
        f"m={kind} 9 UDP/TLS/RTP/SAVPF {formats}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=ice-ufrag:{ufrag}",
        "a=ice-pwd:passwordpasswordpassword",
        "a=ice-options:trickle",
        f"a=fingerprint:sha-256 {print_}",
        f"a=setup:{setup}",
        f"a=mid:{mid}",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        "a=rtcp-mux",
    ]
    for number in formats.split():
        name, parameters = _MAPS.get(int(number), ("", ""))
        if name:
            head.append(f"a=rtpmap:{number} {name}")
        if parameters:
            head.append(f"a=fmtp:{number} {parameters}")
        if name.startswith(("opus", "VP8")):
            head.append(f"a=rtcp-fb:{number} transport-cc")
        if name.startswith("VP8"):
            head += [f"a=rtcp-fb:{number} goog-remb", f"a=rtcp-fb:{number} nack", f"a=rtcp-fb:{number} nack pli"]
    return [*head, *lines]


def browser_sdp(
    formats: str = AUDIO,
    *lines: str,
    setup: str = "actpass",
    ufrag: str = "abcd",
    print_: str = PRINT,
    video: str = "",
    version: int = 1,
) -> str:
    """An offer, or with another ``setup`` an answer; the lines are those of its audio section."""
    same = {"setup": setup, "ufrag": ufrag, "print_": print_}
    mids = "0 1" if video else "0"
    head = ["v=0", f"o=- 4711 {version} IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {mids}"]
    audio = section("audio", "0", formats, *lines, "a=candidate:1 1 udp 2113937151 127.0.0.1 50000 typ host", **same)
    pictures = section("video", "1", video, "a=sendrecv", **same) if video else []
    return "\r\n".join([*head, *audio, *pictures, ""])
