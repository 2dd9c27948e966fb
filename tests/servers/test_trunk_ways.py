"""Trunks that call with a login or a certificate, and trunks behind a proxy."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from phone_peers import exchange
from sip_peers import HERE, Authority, until
from sip_programs import Peer

from roomtone.control.calls import PhoneError, RuleTarget, TargetKind, Trunk, TrunkState
from roomtone.protocols.sip.flow import Transport
from roomtone.servers.sip import PeerCertificates, TlsOptions, TransportOptions
from roomtone.sip import Account, Endpoint, InboundRequest, PeerError, SipCode

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)
SHOWN = [("P-Asserted-Identity", "<sip:+4930555@carrier.test>")]


async def test_a_trunk_calls_with_its_login_and_may_do_nothing_else(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada") as here, Peer() as desk, Peer() as carrier:
        await here.book.trunks.create(Trunk("carrier", username="them", password="secret", accepts_login=True))
        await here.book.trunks.create(Trunk("silent", uri="sip:192.0.2.1", username="mute", password="m", probes=False))
        await desk.register(Account("ada", "adaada", f"127.0.0.1:{here.port}"))
        them = Account("them", "secret", "carrier.test")
        uri = f"sip:ada@127.0.0.1:{here.port}"
        call = await carrier.call(uri, account=them, sdp=carrier.sdp, headers=SHOWN)
        await call.wait_answered()
        inbound = await desk.calls_in.get()
        assert inbound.received.from_.uri.username == "+4930555"
        (going,) = here.calls.all()
        assert going.invitation.caller.trunk == "carrier"
        await call.hang_up()
        for account, status in ((Account("them", "wrong", "x.test"), 401), (Account("mute", "m", "x.test"), 401)):
            refused = await carrier.call(uri, account=account, sdp=carrier.sdp)
            with pytest.raises(PeerError) as error:
                await refused.wait_answered()
            assert error.value.status == status
        with pytest.raises(PeerError) as forbidden:
            await carrier.message(uri, "hello", account=them)
        assert forbidden.value.status == 403
        assert (await carrier.options(uri, account=them)).status == 200
        await here.becomes_empty()


@pytest.mark.parametrize(
    ("addresses", "password", "status"),
    [("127.0.0.0/8", "secret", 0), ("127.0.0.0/8", "wrong", 401), ("192.0.2.0/24", "secret", 401)],
)
async def test_a_trunk_that_wants_both_takes_its_login_from_its_addresses_only(
    tmp_path: Path, addresses: str, password: str, status: int
) -> None:
    async with exchange(tmp_path, "ada") as here, Peer() as desk, Peer() as carrier:
        both = Trunk("carrier", "", "them", "secret", addresses=(addresses,), accepts_login=True, wants_both=True)
        await here.book.trunks.create(both)
        await here.book.trunks.load()  # as it was written
        await desk.register(Account("ada", "adaada", f"127.0.0.1:{here.port}"))
        uri = f"sip:ada@127.0.0.1:{here.port}"
        bare = await carrier.call(uri, sdp=carrier.sdp)
        with pytest.raises(PeerError) as error:
            await bare.wait_answered()
        assert error.value.status == 401, "an address alone is not enough"
        call = await carrier.call(uri, account=Account("them", password, "carrier.test"), sdp=carrier.sdp)
        if status:
            with pytest.raises(PeerError) as error:
                await call.wait_answered()
            assert error.value.status == status
        else:
            await call.wait_answered()
            assert here.calls.all()[0].invitation.caller.trunk == "carrier"
            await call.hang_up()
        await here.becomes_empty()


async def test_a_trunk_is_known_by_the_name_in_its_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours, theirs = authority.issue("server", "127.0.0.1"), authority.issue("sbc", "sbc.carrier.test")
    other = authority.issue("other", "other.test")
    secured = TransportOptions(
        udp=HERE, tls=HERE, security=TlsOptions((ours,), PeerCertificates.OPTIONAL, authority.file)
    )

    def client(certificate: object) -> Endpoint:
        security = TlsOptions((certificate,), authorities=authority.file)  # type: ignore[arg-type]
        return Endpoint(options=TransportOptions(security=security))

    async with (
        exchange(tmp_path, "ada", options=secured) as here,
        Peer() as desk,
        client(theirs) as carrier,
        client(other) as stranger,
    ):
        await here.book.trunks.create(Trunk("carrier", tls_names=("SBC.carrier.test",)))
        await desk.register(Account("ada", "adaada", f"127.0.0.1:{here.port}"))
        port = here.endpoint.listeners.addresses()[Transport.TLS][0][1]
        uri = f"sip:ada@127.0.0.1:{port};transport=tls"
        call = await carrier.call(uri, sdp=desk.sdp, headers=SHOWN)
        await call.wait_answered()
        (going,) = here.calls.all()
        assert (going.invitation.caller.trunk, going.invitation.caller.account) == ("carrier", "+4930555")
        await call.hang_up()
        refused = await stranger.call(uri, sdp=desk.sdp)
        with pytest.raises(PeerError) as error:
            await refused.wait_answered()
        assert error.value.code is SipCode.NO_CREDENTIALS
        await here.becomes_empty()


class Proxy(Peer):
    """Takes what goes by it, registrations among it."""

    def __init__(self) -> None:
        super().__init__()
        self.registered: list[InboundRequest] = []

    async def on_register(self, request: InboundRequest) -> None:
        self.registered.append(request)
        request.respond(200, headers=[("Contact", f"{request.header('Contact')};expires=300")])


async def test_all_that_goes_to_a_trunk_goes_by_its_proxy(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada") as here, Proxy() as proxy, Peer() as phone:
        route = f"sip:127.0.0.1:{proxy.port(Transport.TCP)};transport=tcp"
        await here.book.trunks.create(
            Trunk("carrier", uri="sip:carrier.test", username="us", password="x", registers=True, proxy=route)
        )
        await until(lambda: here.book.trunks.life("carrier").state is TrunkState.REGISTERED)
        assert proxy.registered[0].uri_text == "sip:carrier.test"
        assert proxy.registered[0].header("Route") == f"<{route};lr>"
        await here.book.dispatch.create("out", ["0*"], RuleTarget(TargetKind.TRUNK, trunk="carrier"))
        call = await phone.call(
            f"sip:0555@127.0.0.1:{here.port}",
            account=Account("ada", "adaada", f"127.0.0.1:{here.port}"),
            sdp=phone.sdp,
        )
        await call.wait_answered()
        inbound = await proxy.calls_in.get()
        assert inbound.received.uri_text == "sip:0555@carrier.test"
        assert inbound.received.header("Route") == f"<{route};lr>"
        assert inbound.received.flow.transport is Transport.TCP
        await call.hang_up()


@pytest.mark.parametrize(
    "wrong",
    [
        {"accepts_login": True, "username": "us"},
        {"tls_names": ("*.carrier.test",)},
        {"uri": "sip:carrier.test", "proxy": "tel:1"},
        {},
    ],
)
async def test_ways_that_cannot_be_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    async with exchange(tmp_path) as here:
        with pytest.raises(PhoneError):
            await here.book.trunks.create(Trunk("carrier", **wrong))  # type: ignore[arg-type]
