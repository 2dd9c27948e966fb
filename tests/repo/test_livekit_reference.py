"""The page about LiveKit's protocol has a word on each of its signal messages."""

from __future__ import annotations

from pathlib import Path

import pytest
from livekit.protocol import rtc

from roomtone.protocols.livekit import PROTOCOL_VERSION, SERVER_VERSION

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/livekit.md").read_text()


@pytest.mark.parametrize("message", [rtc.SignalRequest, rtc.SignalResponse], ids=["request", "response"])
def test_each_message_is_on_the_page(message: type[rtc.SignalRequest | rtc.SignalResponse]) -> None:
    (oneof,) = message.DESCRIPTOR.oneofs
    assert [field.name for field in oneof.fields if f"`{field.name}`" not in PAGE] == []


def test_the_announced_versions_are_on_the_page() -> None:
    assert f"| Version announced | {PROTOCOL_VERSION}; as release `{SERVER_VERSION}`" in PAGE
