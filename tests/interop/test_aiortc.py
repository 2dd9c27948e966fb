"""aiortc publishes by WHIP and watches by WHEP: pictures and tones are compared with what was sent."""

from __future__ import annotations

import pytest
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
