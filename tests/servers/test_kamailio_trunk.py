"""Kamailio as the carrier: it challenges registration, calls and their BYE, and calls us at what we registered."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from foreign_phones import free_ports
from phone_peers import exchange, phone, pick_up
from sip_peers import PATIENCE_S, until

from roomtone.control.calls import RuleTarget, TargetKind, Trunk, TrunkState
from roomtone.protocols.sip.agent import Answered, Ended, Invited

MODULES = next(Path("/usr/lib").glob("*/kamailio/modules"), None)
pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.skipif(shutil.which("kamailio") is None or MODULES is None, reason="kamailio is not installed"),
]
CONFIG = """#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
children=2
tcp_children=1
enable_tls=no
auto_aliases=no
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
mpath="{modules}/"
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
request_route {{
  if (is_method("OPTIONS") && $rU == $null) {{ sl_send_reply("200", "OK"); exit; }}
  if (has_totag()) {{
    if (is_method("BYE") && $fU == "+4930") {{
      if (!pv_proxy_authenticate("carrier", "geheim", "0")) {{ proxy_challenge("carrier", "1"); exit; }}
      consume_credentials();
    }}
    if (!loose_route()) {{ if (is_method("ACK") && !t_check_trans()) exit; }}
    t_relay(); exit;
  }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
  if (is_method("ACK")) {{ t_check_trans(); exit; }}
  if (is_method("REGISTER")) {{
    if (!pv_www_authenticate("carrier", "geheim", "0")) {{ www_challenge("carrier", "1"); exit; }}
    save("location"); exit;
  }}
  if (is_method("INVITE") && $rU == "4930") {{
    record_route();
    if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
    t_relay(); exit;
  }}
  if (is_method("INVITE")) {{
    if (!pv_proxy_authenticate("carrier", "geheim", "0")) {{ proxy_challenge("carrier", "1"); exit; }}
    consume_credentials();
    record_route();
    $du = "sip:127.0.0.1:{callee}";
    t_relay(); exit;
  }}
  sl_send_reply("405", "Not Allowed");
}}
"""


@asynccontextmanager
async def kamailio(folder: Path, port: int, callee: int) -> AsyncIterator[None]:
    """Kamailio that sends calls to all but our number to a port."""
    file = folder / "kamailio.cfg"
    file.write_text(CONFIG.format(port=port, callee=callee, modules=MODULES))
    with (folder / "kamailio.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "kamailio", "-DD", "-E", "-f", str(file), "-Y", str(folder), "-m", "16", "-M", "4", "-w", str(folder),
            stdout=asyncio.subprocess.DEVNULL, stderr=log,
        )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                assert process.returncode is None, (folder / "kamailio.log").read_text()
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_kamailio_is_registered_with_called_and_calls(tmp_path: Path, transport: str) -> None:
    (port,) = free_ports(1)
    async with (
        exchange(tmp_path, "ada") as here,
        phone(here, "ada") as ada,
        phone(here, "there") as there,
        kamailio(tmp_path, port, there.server.local_port),
    ):
        wanted = Trunk(
            "carrier",
            f"sip:127.0.0.1:{port};transport={transport}",
            "4930",
            "geheim",
            registers=True,
            addresses=("127.0.0.1",),
        )
        await here.book.trunks.create(wanted)
        await until(lambda: here.book.trunks.life("carrier").state is TrunkState.REGISTERED)
        await here.book.dispatch.create("out", ["0*"], RuleTarget(TargetKind.TRUNK, trunk="carrier", strip=1))
        await here.book.dispatch.create("in", ["4930"], RuleTarget(TargetKind.ACCOUNT, ("ada",)))
        await ada.register()
        ada.answers = there.answers = pick_up
        there.server = there.server._replace(remote_port=port)
        there.call("4930")
        leg = (await there.wait_for(Answered)).leg
        there.rtp.send(b"from outside")
        assert (await ada.rtp.next())[1] == b"from outside"
        there.hang_up(leg)
        await ada.wait_for(Ended)
        await here.becomes_empty()
        await here.book.trunks.delete("carrier")
        await here.book.trunks.create(Trunk("carrier", wanted.uri, "4930", "geheim", caller_id="+4930"))
        ada.call("0112")
        leg = (await ada.wait_for(Answered)).leg
        request = (await there.wait_for(Invited)).request
        assert request.headers.text("p-asserted-identity") == '"Ada" <sip:+4930@127.0.0.1>'
        ada.hang_up(leg)
        await there.wait_for(Ended, 2)
        await here.becomes_empty()
