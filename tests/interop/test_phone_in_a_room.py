"""A desk phone dials into a room where a LiveKit client is: each hears the other's tone."""

from __future__ import annotations

import asyncio
import math
import shutil
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from aiortc_peer import TONE_HZ as ENCODER_HZ
from conftest import PATIENCE_S, Server, token, until
from livekit import rtc
from livekit_peer import TONE_HZ, LiveKitPeer, hear_tone
from test_desk_phone import MODULES, api, baresip
from test_encoders import H264, OPUS, encoder, srt

pytestmark = pytest.mark.skipif(
    shutil.which("baresip") is None or not MODULES.is_dir(), reason="baresip is not installed"
)
PHONE_HZ = 700
SECONDS = 60
SIP = 3
"""`ParticipantInfo.Kind.SIP` of LiveKit's protocol."""


def write_tone(path: Path, hertz: int) -> None:
    """Write what the phone plays."""
    samples = [round(9_000 * math.sin(2 * math.pi * hertz * at / 8_000)) for at in range(8_000)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(struct.pack("<8000h", *samples) * SECONDS)


def strongest(path: Path) -> float | None:
    """The frequency that is strongest in the last second of a recording; None: there is no such second of sound yet."""
    data = path.read_bytes()[44:]
    samples = np.frombuffer(data[: len(data) // 2 * 2], np.int16).astype(float)[-8_000:]
    if len(samples) < 8_000 or np.abs(samples).reshape(8, -1).max(axis=1).min() < 1_000:
        return None
    return float(np.abs(np.fft.rfft(samples)).argmax())


async def test_a_phone_and_a_livekit_client_hear_each_other(server: Server, tmp_path: Path) -> None:
    sip = server.ready["sip_udp"][0]
    await asyncio.to_thread(
        api, server, "sip-accounts", "POST", {"username": "1001", "password": "secret of 1001", "algorithm": "MD5"}
    )
    target = {"kind": "room", "room": "standup"}
    await asyncio.to_thread(
        api, server, "dispatch-rules", "POST", {"name": "standup", "numbers": ["7000"], "target": target}
    )
    account = f'<sip:1001@{sip}>;auth_pass="secret of 1001"'
    async with LiveKitPeer() as alice:
        await alice.connect(server.http, token("standup", "alice"))
        await alice.publish_tone()
        with baresip(tmp_path / "phone", account, "-e", f"/dial sip:7000@{sip}", tone=write_tone, hertz=PHONE_HZ):
            seen = await alice.next_track(rtc.TrackKind.KIND_AUDIO)
            assert seen.participant.identity == "sip_1001"
            assert seen.participant.kind == SIP
            assert seen.participant.attributes["sip.phoneNumber"] == "1001"
            assert abs(await hear_tone(seen.track) - PHONE_HZ) < 5

            def heard() -> bool:
                recorded = sorted((tmp_path / "phone").glob("dump-*-dec.wav"))
                return any(abs((strongest(path) or 0) - TONE_HZ) < 5 for path in recorded)

            await asyncio.wait_for(asyncio.to_thread(until, heard, "alice's tone at the phone"), PATIENCE_S)
            (call,) = await asyncio.to_thread(api, server, "calls")
            await asyncio.to_thread(api, server, f"calls/{call['id']}", "DELETE")
            (left,) = await alice.next_event("participant_disconnected")
            assert isinstance(left, rtc.RemoteParticipant)
            assert left.identity == "sip_1001"


def test_a_phone_hears_what_an_encoder_sends_to_its_room(server: Server, tmp_path: Path) -> None:
    sip = server.ready["sip_udp"][0]
    api(server, "sip-accounts", "POST", {"username": "1002", "password": "secret of 1002", "algorithm": "MD5"})
    target = {"kind": "room", "room": "broadcast"}
    api(server, "dispatch-rules", "POST", {"name": "broadcast", "numbers": ["7001"], "target": target})
    account = f'<sip:1002@{sip}>;auth_pass="secret of 1002"'
    sending = encoder(tmp_path / "log", srt(server, "publish:broadcast"), *H264, sound=OPUS)
    phone = baresip(tmp_path / "phone", account, "-e", f"/dial sip:7001@{sip}", tone=write_tone, hertz=PHONE_HZ)
    with sending, phone:

        def heard() -> bool:
            recorded = sorted((tmp_path / "phone").glob("dump-*-dec.wav"))
            return any(abs((strongest(path) or 0) - ENCODER_HZ) < 5 for path in recorded)

        until(heard, "the encoder's tone at the phone")
        assert sorted(server.identities("broadcast")) == ["encoder", "sip_1002"]
