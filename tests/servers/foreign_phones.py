"""Foreign phones as processes: baresip driven by its control port, and a tone to know them by."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import shutil
import socket
import struct
import wave
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sip_peers import PATIENCE_S

MODULES = Path("/usr/lib/baresip/modules")
RATE = 8_000
has_baresip = shutil.which("baresip") is not None and MODULES.is_dir()


def free_ports(count: int) -> list[int]:
    """Ports nobody has for UDP, TCP and the port after each: baresip takes that for TLS."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as one, socket.socket() as next_one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            with contextlib.suppress(OSError):
                next_one.bind(("127.0.0.1", port + 1))
                found.append(port)
    return found


def write_tone(path: Path, hertz: float, seconds: int = 60) -> None:
    """Write a tone that a phone plays."""
    period = [round(8_000 * math.sin(2 * math.pi * hertz * at / RATE)) for at in range(RATE)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{RATE}h", *period) * seconds)


def linear(payload: bytes) -> list[int]:
    """Decode G.711 mu-law (ITU-T G.711, table 2b)."""
    samples = []
    for byte in payload:
        code = ~byte & 0xFF
        step = (((code & 0x0F) << 3) + 0x84) << ((code >> 4) & 7)
        samples.append(0x84 - step if code & 0x80 else step - 0x84)
    return samples


def share_of(samples: Sequence[int], hertz: float) -> float:
    """The part of all power that is at one frequency, by Goertzel's algorithm: 1 is a pure tone."""
    turn = 2 * math.cos(2 * math.pi * hertz / RATE)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + turn * last - before
    power = before * before + last * last - turn * before * last
    total = sum(sample * sample for sample in samples)
    return 2 * power / (len(samples) * total) if total else 0.0


CONFIG = """poll_method epoll
sip_listen 127.0.0.1:{port}
audio_source aufile,{folder}/tone.wav
audio_channels 1
module_path {modules}
module g711.so
{modules_too}module aufile.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
"""


def heard_by(folder: Path, hertz: float) -> bool:
    """Whether a baresip that records has heard one tone and nothing else for a fifth of a second, in the last three.

    A stretch is short since a machine that is busy has phones stumble.
    """
    for path in folder.glob("dump-*-dec.wav"):
        data = path.read_bytes()[44:]
        samples = struct.unpack(f"<{len(data) // 2}h", data[: len(data) // 2 * 2])[-3 * RATE :]
        stretches = (samples[at : at + RATE // 5] for at in range(0, len(samples) - RATE // 5 + 1, RATE // 5))
        if any(share_of(stretch, hertz) > 0.95 for stretch in stretches):
            return True
    return False


@dataclass
class Baresip:
    """A running baresip."""

    name: str
    writer: asyncio.StreamWriter
    lines: list[str]
    changed: asyncio.Event
    port: int

    def do(self, command: str, params: str = "") -> None:
        """Give a command, as its menu knows it."""
        text = json.dumps({"command": command, "params": params})
        self.writer.write(f"{len(text)}:{text},".encode())

    async def says(self, *words: str) -> str:
        """Wait until it says something."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = next((line for line in self.lines if all(word in line for word in words)), None)
                if found is not None:
                    return found
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def baresip(
    folder: Path,
    name: str,
    password: str,
    server_port: int,
    hertz: float,
    *,
    modules: Sequence[str] = (),
    apps: Sequence[str] = (),
    contacts: str = "",
    account: str = "regint=60;audio_codecs=PCMU",
    records: bool = False,
) -> AsyncIterator[Baresip]:
    """A baresip that registers, plays a tone and picks up; without a server it waits at its own port.

    One that ``records`` writes what it hears, for `heard_by`.
    """
    folder.mkdir()  # noqa: ASYNC240 - a folder of a test
    port, control = free_ports(2)
    write_tone(folder / "tone.wav", hertz)
    if records:
        modules = (*modules, "sndfile", "aubridge")
    more = "".join(f"module {one}.so\n" for one in modules) + "".join(f"module_app {one}.so\n" for one in apps)
    text = CONFIG.format(port=port, folder=folder, modules=MODULES, control=control, modules_too=more)
    if records:
        text += f"snd_path {folder}\naudio_player aubridge,nil\n"
    (folder / "config").write_text(text)
    who = f"<sip:{name}@127.0.0.1:{server_port or port}>;auth_pass={password};answermode=auto;{account}"
    (folder / "accounts").write_text(f"{who}\n")
    (folder / "contacts").write_text(contacts)
    process = await asyncio.create_subprocess_exec(
        *("baresip", "-4", "-f", str(folder)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    lines: list[str] = []
    changed = asyncio.Event()

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            lines.append(line.decode("utf-8", "replace").strip())
            changed.set()

    reading = asyncio.create_task(read())
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while writer is None:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", control)
                await asyncio.sleep(0.05)
        running = Baresip(name, writer, lines, changed, port)
        if server_port:
            await running.says("200 OK", "binding")
        yield running
    except TimeoutError:
        raise AssertionError("\n".join(lines)) from None
    finally:
        if writer is not None:
            writer.close()
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
        await reading


@asynccontextmanager
async def linphone(folder: Path, server_port: int, *more: str) -> AsyncIterator[asyncio.StreamWriter]:
    """A linphonec that registers as ada, with more settings of SIP; what is written is what would be typed."""
    (sip,) = free_ports(1)
    settings = [
        *("[sip]", f"sip_port={sip}", "sip_tcp_port=0", "sip_tls_port=0", "default_proxy=0", *more),
        *("[auth_info_0]", "username=ada", "passwd=adaada", "realm=roomtone"),
        *("[proxy_0]", f"reg_proxy=sip:127.0.0.1:{server_port}", "reg_identity=sip:ada@127.0.0.1"),
        *("reg_expires=600", "reg_sendregister=1"),
    ]
    (folder / "linphonerc").write_text("\n".join([*settings, ""]))
    for name in (".local/share/linphone", ".config/linphone"):  # without them it does nothing at all
        (folder / name).mkdir(parents=True)
    process = await asyncio.create_subprocess_exec(
        *("linphonec", "-c", str(folder / "linphonerc"), "-a"),
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None
    try:
        yield process.stdin
    finally:
        process.kill()
        await process.wait()
