"""Foreign phones with SRTP: by SDES and DTLS each hears the other's tone.

Both have RSA certificates for DTLS. linphone shows its own, and is verified; baresip shows none to who asks for ECDSA,
and is refused.
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from foreign_phones import baresip, has_baresip, heard_by, linphone, write_tone
from phone_peers import exchange, phone
from sip_peers import PATIENCE_S, until
from test_changed_media import takes
from test_phone_conversion import PCMU, Voice
from test_phone_conversion import hears as phone_hears

from roomtone.protocols.sdp.telephony import MediaSecurity
from roomtone.protocols.sip.agent import Answered, Invited
from roomtone.protocols.sip.digest import Algorithm

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]
needs_baresip = pytest.mark.skipif(not has_baresip, reason="baresip is not installed")
needs_linphone = pytest.mark.skipif(shutil.which("linphonec") is None, reason="linphonec is not installed")
MD5 = (Algorithm.MD5,)
"""baresip answers no challenge when the first is of another algorithm."""
SECURE = "regint=60;audio_codecs=PCMU;mediaenc=srtp-mand"


async def hears(folder: Path, hertz: float) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(heard_by, folder, hertz):  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(0.1)


@needs_baresip
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


@needs_baresip
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


@needs_linphone
@pytest.mark.parametrize("it_calls", [True, False], ids=["calls", "is called"])
async def test_a_phone_that_shows_its_rsa_certificate_unasked_is_heard_under_dtls(
    tmp_path: Path, it_calls: bool
) -> None:
    async with exchange(tmp_path, "bob", order=MD5) as here:
        await here.book.accounts.create("ada", "adaada", security=MediaSecurity.DTLS)
        write_tone(tmp_path / "tone.wav", 440)
        async with linphone(tmp_path, here.port, "media_encryption=dtls") as linphonec, phone(here, "bob") as bob:
            await bob.register()
            await until(lambda: here.book.registrar.bindings("ada", here.book.clock()))
            linphonec.write(f"soundcard use files\nplay {tmp_path / 'tone.wav'}\n".encode())
            if it_calls:
                bob.answers = takes("0")
                linphonec.write(f"call sip:bob@127.0.0.1:{here.port}\n".encode())
                await bob.wait_for(Invited)
            else:
                bob.call("ada", bob.sdp("0"))
                await bob.wait_for(Answered)
            # Only what was sealed with keys of a handshake that has ended well is opened, and comes through.
            await until(lambda: bob.rtp.remote)
            (file,) = (tmp_path / ".linphone-usr-crt").glob("*.pem")
            shown = x509.load_pem_x509_certificate(file.read_bytes())
            assert isinstance(shown.public_key(), RSAPublicKey), "or this shows nothing"
            await phone_hears(bob, PCMU, 440, [Voice(bob.rtp, PCMU, 880)])
