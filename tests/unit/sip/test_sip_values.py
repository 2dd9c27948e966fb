"""Values of the public library: accounts, codecs, stocks, errors."""

from __future__ import annotations

import asyncio

import pytest

from roomtone.protocols.sip.agent import EndReason
from roomtone.protocols.sip.message import Response, parse_message
from roomtone.sip import Account, PeerError, Refusal, SipCode, UseError
from roomtone.sip.codecs import audio_codecs
from roomtone.sip.errors import ended_error, peer_error
from roomtone.sip.requests import header_block
from roomtone.sip.stock import Stock, StockOver
from roomtone.sip.wiring import EndpointCounters


@pytest.mark.parametrize(
    ("account", "uri", "routes"),
    [
        (Account("ada", domain="example.org"), "sip:ada@example.org", ()),
        (Account("ada", domain="example.org:5070"), "sip:ada@example.org:5070", ()),
        (Account("ada", domain="2001:db8::1"), "sip:ada@[2001:db8::1]", ()),
        (Account("a b", domain="x.test"), "sip:a%20b@x.test", ()),
        (
            Account("ada", domain="x.test", proxy="sip:192.0.2.1;transport=tcp"),
            "sip:ada@x.test",
            ("<sip:192.0.2.1;transport=tcp;lr>",),
        ),
        (Account("ada", domain="x.test", proxy="sip:p.test;lr"), "sip:ada@x.test", ("<sip:p.test;lr>",)),
        (Account("ada", domain="x.test", proxy="wss://x.test/sip"), "sip:ada@x.test", ()),
    ],
)
def test_an_account_knows_its_address_and_its_way(account: Account, uri: str, routes: tuple[str, ...]) -> None:
    assert account.uri.serialize() == uri
    assert account.routes == routes
    assert "password" not in repr(account)


def test_codecs_are_chosen_by_name_in_order_with_events_of_their_clocks() -> None:
    names = [(codec.name, codec.clock_rate) for codec in audio_codecs(["pcma", "opus"])]
    assert names[:2] == [("PCMA", 8_000), ("OPUS", 48_000)]
    assert ("TELEPHONE-EVENT", 8_000) in names
    assert ("TELEPHONE-EVENT", 48_000) in names
    assert all(rate == 8_000 for _, rate in ((one.name, one.clock_rate) for one in audio_codecs(["pcmu"])))
    assert len(audio_codecs([])) > 4
    with pytest.raises(UseError, match="G729"):
        audio_codecs(["g729"])


async def test_a_stock_gives_in_order_loses_the_oldest_and_tells_its_end() -> None:
    counters = EndpointCounters()
    stock: Stock[int] = Stock(2, counters)
    for number in range(4):
        stock.put(number)
    assert (len(stock), counters.events_lost) == (2, 2)
    assert await stock.get() == 2
    waiting = asyncio.create_task(anext(aiter(stock)))
    assert await waiting == 3
    late = asyncio.create_task(stock.get())
    await asyncio.sleep(0)
    stock.close()
    with pytest.raises(StockOver):
        await late
    assert [one async for one in stock] == []


def test_errors_say_whose_doing_it_was_and_whether_to_try_again() -> None:
    def response(status: int) -> Response:
        found = parse_message(f"SIP/2.0 {status} X\r\nCall-ID: 1\r\n\r\n".encode())
        assert isinstance(found, Response)
        return found

    assert peer_error(None, "call").code is SipCode.NO_ANSWER
    assert (peer_error(response(486), "call").status, peer_error(response(486), "call").retryable) == (486, True)
    assert not peer_error(response(404), "call").retryable
    assert peer_error(response(407), "call").code is SipCode.NO_CREDENTIALS
    assert ended_error(EndReason.REFUSED, response(489), "subscribe").status == 489
    assert ended_error(EndReason.TIMEOUT, None, "subscribe").code is SipCode.NO_ANSWER
    assert isinstance(peer_error(response(500), "x"), PeerError)


def test_a_refusal_refuses_and_header_lines_are_lines() -> None:
    with pytest.raises(ValueError, match="200"):
        Refusal(200)
    assert header_block([("X-One", "1")], "text/plain") == b"X-One: 1\r\nContent-Type: text/plain\r\n"
    for name, value in (("X One", "1"), ("X-One", "1\r\nX-Two: 2")):
        with pytest.raises(UseError):
            header_block([(name, value)])
