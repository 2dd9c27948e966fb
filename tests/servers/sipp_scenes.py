"""Scenarios of SIPp, written out of steps: an account that authenticates, calls, refers, and is called."""

from __future__ import annotations

import asyncio
from pathlib import Path

from foreign_phones import free_ports

SDP = """v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0
"""


def scenario(name: str, *steps: str) -> str:
    """Put steps into a file's text."""
    head = f'<?xml version="1.0"?><!DOCTYPE scenario SYSTEM "sipp.dtd"><scenario name="{name}">'
    body = "\n".join(steps)
    known = [number for number in ("1", "2", "3") if f'assign_to="{number}"' in body]
    used = f'<Reference variables="{",".join(known)}"/>' if known else ""  # SIPp takes no variable that is used once
    return head + body + used + "</scenario>\n"


def request(
    method: str, uri: str, cseq: int, *lines: str, body: str = "", to: str = "[last_To:]", kind: str = "application/sdp"
) -> str:
    """Send a request of the dialog that the account ``bob`` began."""
    head = [
        f"{method} {uri} SIP/2.0",
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
        "From: <sip:bob@[remote_ip]>;tag=s[call_number]",
        to,
        "Call-ID: [call_id]",
        f"CSeq: {cseq} {method}",
        "Contact: <sip:bob@[local_ip]:[local_port]>",
        "Max-Forwards: 70",
        *lines,
        *([f"Content-Type: {kind}"] if body else []),
        "Content-Length: [len]",
        "",
        body,
    ]
    retrans = "" if method == "ACK" else ' retrans="500"'
    return f"<send{retrans}><![CDATA[\n" + "\n".join(head) + "\n]]></send>"


def answer(status: str, *lines: str) -> str:
    """Answer the last request."""
    head = [f"SIP/2.0 {status}", "[last_Via:]", "[last_From:]", "[last_To:];tag=u[call_number]", "[last_Call-ID:]"]
    return (
        "<send><![CDATA[\n" + "\n".join([*head, "[last_CSeq:]", *lines, "Content-Length: 0", "", ""]) + "\n]]></send>"
    )


def answer_in_dialog() -> str:
    """Answer the last request with 200, as it is."""
    head = ["SIP/2.0 200 OK", "[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]", "[last_CSeq:]"]
    return "<send><![CDATA[\n" + "\n".join([*head, "Content-Length: 0", "", ""]) + "\n]]></send>"


def expect(status: int, *, more: str = "", pattern: str = "") -> str:
    """Wait for a response; with a pattern that it has to fit."""
    if not pattern:
        return f'<recv response="{status}" {more}/>'
    return f'<recv response="{status}" {more}>{_fits(pattern)}</recv>'


def expect_request(method: str, *, pattern: str = "") -> str:
    """Wait for a request; with a pattern for its body or headers that it has to fit."""
    if not pattern:
        return f'<recv request="{method}"/>'
    return f'<recv request="{method}">{_fits(pattern)}</recv>'


def _fits(pattern: str) -> str:
    return f'<action><ereg regexp="{pattern}" search_in="msg" check_it="true" assign_to="1"/></action>'


def hung_up_on_and_told(pattern: str) -> list[str]:
    """Wait for a last NOTIFY and a BYE: a NOTIFY waits for the answer to the one before, which a BYE does not."""
    return [
        '<recv request="BYE" optional="true" next="1"/>',
        expect_request("NOTIFY", pattern=pattern),
        answer_in_dialog(),
        expect_request("BYE"),
        answer_in_dialog(),
        '<nop next="2"/>',
        '<label id="1"/>',
        answer_in_dialog(),
        expect_request("NOTIFY", pattern=pattern),
        answer_in_dialog(),
        '<label id="2"/>',
    ]


OPTIONAL, LOGIN = 'optional="true"', "[authentication username=bob password=bobbob]"


def invite(number: str, *lines: str, body: str = SDP) -> list[str]:
    """Call as the account ``bob``, authenticated with its password, until that is being done."""
    uri, to = f"sip:{number}@[remote_ip]:[remote_port]", f"To: <sip:{number}@[remote_ip]>"
    return [
        request("INVITE", uri, 1, *lines, body=body, to=to),
        expect(100, more=OPTIONAL),
        expect(401, more='auth="true"'),
        request("ACK", uri, 1),
        request("INVITE", uri, 2, LOGIN, *lines, body=body, to=to),
        expect(100, more=OPTIONAL),
    ]


def call(number: str, *lines: str, pattern: str = "") -> list[str]:
    """Call as `invite` does, until it is up."""
    return [
        *invite(number, *lines),
        expect(180, more=OPTIONAL),
        expect(200, more='rrs="true"', pattern=pattern),
        request("ACK", "[next_url]", 2),
    ]


def bye(cseq: int) -> list[str]:
    """Hang up."""
    return [request("BYE", "[next_url]", cseq), expect(200)]


def ask(
    method: str, user: str, *lines: str, status: int = 200, body: str = "", kind: str = "", pattern: str = ""
) -> list[str]:
    """Ask outside of calls, challenged first; ``user`` is of our server, empty: the server itself."""
    uri = f"sip:{user}@[remote_ip]:[remote_port]" if user else "sip:[remote_ip]:[remote_port]"
    to = f"To: <sip:{user or 'bob'}@[remote_ip]>"
    return [
        request(method, uri, 1, *lines, body=body, to=to, kind=kind),
        expect(401, more='auth="true"'),
        request(method, uri, 2, LOGIN, *lines, body=body, to=to, kind=kind),
        expect(status, more='rrs="true"', pattern=pattern),
    ]


async def run_sipp(folder: Path, text: str, server_port: int, *words: str) -> tuple[int | None, str]:
    """Run a scenario once; its exit status and what it said."""
    (folder / "scenario.xml").write_text(text)
    sip, media = free_ports(2)
    process = await asyncio.create_subprocess_exec(
        *("sipp", f"127.0.0.1:{server_port}", "-sf", str(folder / "scenario.xml"), "-i", "127.0.0.1"),
        *("-p", str(sip), "-mp", str(media), "-m", "1", "-nostdin", "-timeout", "40s", *words),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode("utf-8", "replace")[-3_000:]
