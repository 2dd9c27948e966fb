"""A server that is killed: who was registered is reached by the next one, and nobody who was not."""

from __future__ import annotations

import importlib.util
import sqlite3
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import jwt
import pytest
from foreign_phones import free_ports
from sip_peers import until
from sip_programs import Peer
from test_serve_command import READY, command

from roomtone.config import DEV_KEY, DEV_SECRET
from roomtone.sip import Account, PeerError

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]


@contextmanager
def killed_at_the_end(folder: Path, sip_port: int) -> Iterator[str]:
    """A server that is given no time to write anything; its URL."""
    line, environment = command(folder)
    environment["ROOMTONE_SIP__UDP_LISTEN"] = f"127.0.0.1:{sip_port}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            ready = READY.match(process.stdout.readline())
            assert ready, (folder / "log").read_text()
            yield ready[1]
        finally:
            process.kill()
            process.communicate()


def bindings(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "data" / "dev.db")) as database:
        found: int = database.execute("select count(*) from sip_bindings").fetchone()[0]
        return found


async def make_account(url: str, name: str) -> None:
    claims = {"iss": DEV_KEY, "sub": "tests", "exp": int(time.time()) + 600, "sip": {"admin": True}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the published secret is short
        token = jwt.encode(claims, DEV_SECRET, algorithm="HS256")
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}) as client:
        made = await client.post("/sip-accounts", json={"username": name, "password": f"secret of {name}"})
        assert made.status_code == 201, made.text


async def test_who_was_registered_is_called_after_a_crash_without_registering_again(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    domain = f"127.0.0.1:{port}"
    async with Peer() as desk, Peer() as caller:
        cyd = Account("cyd", "secret of cyd", domain)
        with killed_at_the_end(tmp_path, port) as url:
            for name in ("ada", "bob", "cyd"):
                await make_account(url, name)
            registration = await desk.register(Account("ada", "secret of ada", domain))
            await until(lambda: bindings(tmp_path) == 1)
        with killed_at_the_end(tmp_path, port):
            call = await caller.call(f"sip:ada@{domain}", account=cyd, sdp=caller.sdp)
            await call.wait_answered()
            await desk.calls_in.get()
            await call.hang_up()
            nobody = await caller.call(f"sip:bob@{domain}", account=cyd, sdp=caller.sdp)
            with pytest.raises(PeerError) as refused:
                await nobody.wait_answered()
            assert refused.value.status == 480
            await registration.close()
