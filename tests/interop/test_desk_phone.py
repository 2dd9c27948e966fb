"""Two desk phones at a server that was started like any other: registered, in a call, hung up by the operator."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import warnings
import wave
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from conftest import PATIENCE_S, Server, until

MODULES = Path("/usr/lib/baresip/modules")
pytestmark = pytest.mark.skipif(
    shutil.which("baresip") is None or not MODULES.is_dir(), reason="baresip is not installed"
)
CONFIG = """poll_method epoll
sip_listen 127.0.0.1:{port}
audio_source aufile,{folder}/tone.wav
audio_player aubridge,nil
snd_path {folder}
module_path {modules}
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module_tmp account.so
module_app menu.so
"""


def api(server: Server, path: str, method: str = "GET", body: Any = None) -> Any:
    """JSON of the API of phones, asked with a token that administers SIP."""
    claims = {"iss": "devkey", "sub": "test", "exp": int(time.time()) + 600, "sip": {"admin": True}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        token = jwt.encode(claims, "secret", algorithm="HS256")
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.request(method, f"{server.http}/api/v1/{path}", headers=headers, json=body, timeout=PATIENCE_S)
    assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


def free_port() -> int:
    """A port that is free, and the next one too, which baresip takes for TLS."""
    while True:
        with socket.socket() as one, socket.socket() as next_one, suppress(OSError):
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            next_one.bind(("127.0.0.1", port + 1))
            return port


def write_noise(path: Path, _hertz: int) -> None:
    """Write a minute of noise."""
    with wave.open(str(path), "wb") as noise:
        noise.setnchannels(1)
        noise.setsampwidth(2)
        noise.setframerate(8_000)
        noise.writeframes(bytes(range(250)) * 64 * 60)


@contextmanager
def baresip(
    folder: Path, account: str, *arguments: str, tone: Callable[[Path, int], None] = write_noise, hertz: int = 0
) -> Iterator[Path]:
    """A phone that plays a minute of something and picks up, and records what it hears; the file of what it says."""
    folder.mkdir()
    tone(folder / "tone.wav", hertz)
    (folder / "config").write_text(CONFIG.format(port=free_port(), folder=folder, modules=MODULES))
    (folder / "accounts").write_text(f"{account};answermode=auto;regint=60;audio_codecs=PCMA\n")
    (folder / "contacts").write_text("")
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["baresip", "-4", "-f", str(folder), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield log
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def test_two_phones_of_a_running_server_call_each_other(server: Server, tmp_path: Path) -> None:
    sip = server.ready["sip_udp"][0]
    for name in ("1001", "1002"):
        body = {"username": name, "password": f"secret of {name}", "algorithm": "MD5"}
        api(server, "sip-accounts", "POST", body)
    accounts = {name: f'<sip:{name}@{sip}>;auth_pass="secret of {name}"' for name in ("1001", "1002")}
    rule = {"name": "hotline", "numbers": ["0*"], "target": {"kind": "account", "account": "1002"}}
    api(server, "dispatch-rules", "POST", rule)
    with ExitStack() as phones:
        callee = phones.enter_context(baresip(tmp_path / "1002", accounts["1002"]))
        until(lambda: api(server, "registrations"), "the registration of the callee")
        caller = phones.enter_context(baresip(tmp_path / "1001", accounts["1001"], "-e", f"/dial sip:0800@{sip}"))
        up = until(
            lambda: [call for call in api(server, "calls") if call["state"] == "answered"], "a call that is answered"
        )
        assert [(call["caller"], call["called"], call["codec"]) for call in up] == [("1001", "0800", "PCMA/8000")]
        until(lambda: server.metrics()["roomtone_engine_rtp_sent_total"] > 0, "sound on its way")
        api(server, f"calls/{up[0]['id']}", "DELETE")
        for log in (caller, callee):
            until(lambda log=log: "session closed" in log.read_text("utf-8", "replace"), "the end of the call")
        assert api(server, "calls") == []
    (record,) = until(lambda: api(server, "call-records"), "the record of the call")
    assert (record["caller_account"], record["callee_account"], record["reason"]) == ("1001", "1002", "removed")
    metrics = server.metrics()
    assert (metrics["roomtone_calls"], metrics["roomtone_sip_legs"]) == (0, 0)
