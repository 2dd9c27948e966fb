"""Calls to names: by SRV, on to the next server when one is away or has enough, and by TCP where a request is long."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

import pytest
from phone_peers import Exchange, Phone, exchange, phone, pick_up

from roomtone.app.sip_names import ResolvedNames
from roomtone.clients.resolver import Naptr, Srv
from roomtone.control.calls import RuleTarget, TargetKind
from roomtone.protocols.sip.agent import Answered, Ended, Invited, Refused
from roomtone.protocols.sip.flow import Transport

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)
PHONE = "sip:door@gate.test"


class Zone:
    """Records of one name."""

    def __init__(self) -> None:
        self.ports: list[int] = []

    async def naptr(self, name: str) -> list[Naptr]:
        assert name == "gate.test"
        return []

    async def srv(self, name: str) -> list[Srv]:
        ports = self.ports if name == "_sip._udp.gate.test" else []
        return [Srv(priority, 0, port, "host.gate.test") for priority, port in enumerate(ports)]

    async def addresses(self, name: str) -> list[str]:
        return ["127.0.0.1"] if name == "host.gate.test" else []


async def rule(here: Exchange, uri: str = PHONE) -> None:
    await here.book.dispatch.create("door", ["9"], RuleTarget(TargetKind.URI, uri=uri))


def has_enough(made: Phone, event: Invited) -> None:
    made.agent.refuse(event.leg, 503, made.now())


def invitations(made: Phone) -> int:
    return len([one for one in made.events if isinstance(one, Invited)])


async def test_a_server_that_has_enough_is_passed_over_and_not_asked_again_soon(tmp_path: Path) -> None:
    zone = Zone()
    async with (
        exchange(tmp_path, "ada", names=ResolvedNames(zone)) as here,
        phone(here, "ada") as ada,
        phone(here, "one") as first,
        phone(here, "two") as second,
    ):
        zone.ports = [first.server.local_port, second.server.local_port]
        first.answers, second.answers = has_enough, pick_up
        await rule(here)
        for count in (1, 2):
            ada.call("9")
            ada.hang_up((await ada.wait_for(Answered, count)).leg)
            await here.becomes_empty()
        assert (invitations(first), invitations(second)) == (1, 2)
        assert (await second.wait_for(Invited)).request.uri.serialize() == PHONE


async def test_a_name_that_does_not_exist_is_told_to_the_caller(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada", names=ResolvedNames(Zone())) as here, phone(here, "ada") as ada:
        await rule(here)
        ada.call("9")
        response = (await ada.wait_for(Refused)).response
        assert response is not None
        assert response.status == 480
        await here.becomes_empty()


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("long", "takes_tcp", "uri", "came_by"),
    [
        (False, True, PHONE, Transport.UDP),
        (True, True, PHONE, Transport.TCP),
        (True, False, PHONE, Transport.UDP),  # nobody takes TCP there
        (True, True, f"{PHONE};transport=udp", Transport.UDP),
    ],
)
async def test_long_requests_go_by_tcp_where_that_is_taken(
    tmp_path: Path, long: bool, takes_tcp: bool, uri: str, came_by: Transport
) -> None:
    zone = Zone()
    async with (
        exchange(tmp_path, "ada", names=ResolvedNames(zone)) as here,
        phone(here, "ada") as ada,
        phone(here, "one", both_at=free_port() if takes_tcp else 0) as other,
    ):
        zone.ports = [other.server.local_port]
        other.answers = pick_up
        await rule(here, uri)
        more = (f"a=fmtp:97 octet-align=1;x={'0' * 900}",) if long else ()
        ada.call("9", ada.sdp("0 97 101", "a=rtpmap:97 AMR/8000", *more))
        leg = (await ada.wait_for(Answered)).leg
        invited = await other.wait_for(Invited)
        assert (len(invited.request.body) > 900) is long
        assert invited.leg.dialog.flow.transport is came_by
        assert (invited.request.headers.text("via") or "").startswith(f"SIP/2.0/{came_by.name} ")
        ada.hang_up(leg)
        await other.wait_for(Ended)
        await here.becomes_empty()
