"""Kamailio as the carrier, by UDP, TCP and TLS: it challenges us and calls us; and as the edge for WebSockets."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from foreign_phones import free_ports
from phone_peers import exchange, phone, pick_up
from sip_peers import HERE, PATIENCE_S, Authority, until
from sip_programs import engine, hears
from test_sip_sound import Greeter

from roomtone.control.calls import RuleTarget, TargetKind, Trunk, TrunkState
from roomtone.protocols.sip.agent import Answered, Ended, Invited
from roomtone.protocols.sip.flow import Transport
from roomtone.servers.sip import TransportOptions
from roomtone.servers.sip.options import TlsOptions
from roomtone.sip import Account

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
enable_tls=yes
auto_aliases=no
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
listen=tls:127.0.0.1:{tls}
mpath="{modules}/"
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{certificate}")
modparam("tls", "private_key", "{key}")
modparam("tls", "ca_list", "{authority}")
modparam("tls", "verify_certificate", 1)
modparam("tls", "require_certificate", 0)
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


EDGE = """#!KAMAILIO
debug=1
log_stderror=yes
fork=yes
children=2
tcp_children=2
tcp_accept_no_cl=yes
auto_aliases=no
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
mpath="{modules}/"
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "path.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "nathelper.so"
loadmodule "xhttp.so"
loadmodule "websocket.so"
modparam("path", "use_received", 1)
request_route {{
  if (has_totag()) {{
    if (!loose_route()) {{ if (is_method("ACK") && !t_check_trans()) exit; }}
    handle_ruri_alias();
    t_on_reply("ALIAS");
    t_relay(); exit;
  }}
  if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
  if (is_method("ACK")) {{ t_check_trans(); exit; }}
  if (is_method("REGISTER")) {{ add_path_received(); $du = "sip:127.0.0.1:{server}"; t_relay(); exit; }}
  record_route();
  t_on_reply("ALIAS");
  if ($proto == "ws") {{ add_contact_alias(); $du = "sip:127.0.0.1:{server}"; }}
  else {{ loose_route(); }}
  t_relay();
}}
onreply_route[ALIAS] {{ if ($proto == "ws") add_contact_alias(); }}
event_route[xhttp:request] {{
  set_reply_close();
  if ($hdr(Upgrade) =~ "websocket" && ws_handle_handshake()) exit;
  xhttp_reply("404", "Not Found", "", "");
}}
"""
"""An edge for browsers: WebSocket before it, UDP behind it, and its Path in what they register."""


@asynccontextmanager
async def kamailio(folder: Path, port: int, config: str, **values: object) -> AsyncIterator[None]:
    """Kamailio with a configuration of ours."""
    file = folder / "kamailio.cfg"
    file.write_text(config.format(port=port, modules=MODULES, **values))
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


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_kamailio_is_registered_with_called_and_calls(tmp_path: Path, transport: str) -> None:
    port, tls = free_ports(2)
    authority = Authority(tmp_path)
    ours, theirs = authority.issue("server", "127.0.0.1"), authority.issue("carrier", "127.0.0.1")
    options = TransportOptions(udp=HERE, tcp=HERE, tls=HERE, security=TlsOptions((ours,), authorities=authority.file))
    secured = {"tls": tls, "certificate": theirs.chain, "key": theirs.key, "authority": authority.file}
    async with (
        exchange(tmp_path, "ada", options=options) as here,
        phone(here, "ada") as ada,
        phone(here, "there") as there,
        kamailio(tmp_path, port, CONFIG, callee=there.server.local_port, **secured),
    ):
        wanted = Trunk(
            "carrier",
            f"sip:127.0.0.1:{tls if transport == 'tls' else port};transport={transport}",
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


async def test_a_browser_behind_kamailio_by_websocket_is_called_over_ice_and_calls(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with (
        exchange(tmp_path, "ada", "bob") as here,
        kamailio(tmp_path, port, EDGE, server=here.port),
        engine() as media,
        Greeter(media) as program,
        phone(here, "bob") as bob,
    ):
        await bob.register()
        bob.answers = pick_up
        account = Account("ada", "adaada", f"127.0.0.1:{here.port}", proxy=f"ws://127.0.0.1:{port}/sip")
        await program.register(account)
        (binding,) = here.book.registrar.bindings("ada", time.time())
        assert binding.path
        assert binding.flow.transport is Transport.UDP
        bob.call("ada", bob.sdp("0 101"))
        leg = (await bob.wait_for(Answered)).leg
        inbound = await program.taken.get()
        assert "a=ice-ufrag" in inbound.local_sdp
        await inbound.play_tone(440)
        await hears(bob.rtp, 440)
        bob.hang_up(leg)
        await inbound.wait_ended()
        await here.becomes_empty()
        call = await program.call(f"sip:bob@127.0.0.1:{here.port}", account=account)
        await call.wait_answered()
        await bob.wait_for(Invited)
        await call.play_tone(880)
        await hears(bob.rtp, 880)
        await call.hang_up()
        await bob.wait_for(Ended, 2)
        await here.becomes_empty()
