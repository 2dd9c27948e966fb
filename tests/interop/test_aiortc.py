"""aiortc publishes by WHIP and watches by WHEP: pictures and tones are compared with what was sent."""

from __future__ import annotations

import httpx
import pytest
from aiortc import RTCRtpReceiver
from aiortc_peer import assert_sees_and_hears, live, publish, watch
from conftest import Server

pytestmark = pytest.mark.timeout(120)


async def test_a_picture_and_a_tone_arrive_as_they_were_sent(server: Server) -> None:
    publisher = await publish(server, "aiortc")
    await live(server, "aiortc")
    viewer = await watch(server, "aiortc")
    try:
        await assert_sees_and_hears(viewer)
    finally:
        await viewer.close()
        await publisher.close()


async def test_a_viewer_whose_candidates_follow_by_patch_sees_and_hears(server: Server) -> None:
    publisher = await publish(server, "trickle")
    await live(server, "trickle")
    held: list[str] = []

    def hold_back(offer: str) -> str:
        lines = offer.split("\r\n")
        held.extend(line for line in lines if line.startswith(("a=candidate:", "a=ice-ufrag:", "a=ice-pwd:")))
        return "\r\n".join(line for line in lines if not line.startswith(("a=candidate:", "a=end-of-candidates")))

    viewer = await watch(server, "trickle", hold_back)
    try:
        ufrag, pwd = (next(line for line in held if line.startswith(f"a=ice-{name}:")) for name in ("ufrag", "pwd"))
        candidates = [line for line in dict.fromkeys(held) if line.startswith("a=candidate:")]
        assert candidates
        fragment = [ufrag, pwd, "m=video 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0", *candidates, "a=end-of-candidates", ""]
        patched = await viewer.request(
            "PATCH",
            "\r\n".join(fragment),
            **{"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": viewer.etag},
        )
        assert patched.status_code == httpx.codes.NO_CONTENT, patched.text
        await assert_sees_and_hears(viewer)
    finally:
        await viewer.close()
        await publisher.close()


async def test_a_viewer_that_agreed_to_no_feedback_and_gives_none_sees_and_hears(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def say_nothing(_receiver: RTCRtpReceiver, _packet: object) -> None:
        pass

    def agree_to_nothing(offer: str) -> str:
        return "\r\n".join(line for line in offer.split("\r\n") if not line.startswith("a=rtcp-fb"))

    publisher = await publish(server, "mute")
    await live(server, "mute")
    # Its name is aiortc's own business, but there is no other way to have its reports left out.
    monkeypatch.setattr(RTCRtpReceiver, "_send_rtcp", say_nothing)
    viewer = await watch(server, "mute", agree_to_nothing)
    try:
        assert "a=rtcp-fb" not in viewer.answer
        await assert_sees_and_hears(viewer)
    finally:
        await viewer.close()
        await publisher.close()
