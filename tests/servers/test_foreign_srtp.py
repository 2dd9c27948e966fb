"""baresip with SRTP: by SDES each hears the other's tone; its DTLS has an RSA certificate, which is refused."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import pytest
from foreign_phones import baresip, has_baresip, heard_by
from phone_peers import exchange
from sip_peers import PATIENCE_S

from roomtone.protocols.sdp.telephony import MediaSecurity
from roomtone.protocols.sip.digest import Algorithm

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.skipif(not has_baresip, reason="baresip is not installed"),
    pytest.mark.timeout(120),
]
MD5 = (Algorithm.MD5,)
"""baresip answers no challenge when the first is of another algorithm."""
SECURE = "regint=60;audio_codecs=PCMU;mediaenc=srtp-mand"


async def hears(folder: Path, hertz: float) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(heard_by, folder, hertz):  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(0.1)


async def test_foreign_phones_hear_each_other_under_srtp(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada", order=MD5) as here:
        await here.book.accounts.create("bob", "bobbob", security=MediaSecurity.SDES)
        ada, bob = tmp_path / "ada", tmp_path / "bob"
        async with (
            baresip(bob, "bob", "bobbob", here.port, 880, modules=("srtp",), account=SECURE, records=True),
            baresip(ada, "ada", "adaada", here.port, 440, modules=("srtp",), account=SECURE, records=True) as phone,
        ):
            phone.do("dial", f"sip:bob@127.0.0.1:{here.port}")
            await phone.says("Call established")
            await hears(ada, 880)
            await hears(bob, 440)
            phone.do("hangup")
            await here.becomes_empty()


async def test_a_phone_whose_dtls_certificate_is_rsa_has_its_call_ended_and_not_a_silent_one(tmp_path: Path) -> None:
    account = "regint=60;audio_codecs=PCMU;mediaenc=dtls_srtp"
    async with (
        exchange(tmp_path, "ada", "bob", order=MD5) as here,
        baresip(tmp_path / "bob", "bob", "bobbob", here.port, 880),
        baresip(tmp_path / "ada", "ada", "adaada", here.port, 440, modules=("dtls_srtp",), account=account) as phone,
    ):
        phone.do("dial", f"sip:bob@127.0.0.1:{here.port}")
        await phone.says("alert handshake failure")
        await here.becomes_empty()
