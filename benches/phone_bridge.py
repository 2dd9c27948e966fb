"""The SIP stack alone as a server: a bridge of two legs on a real socket, without accounts, records and media.

`python benches/phone_bridge.py PORT CALLED_PORT` takes calls on loopback and makes each one to the other port, as
`b2bua_simple` of Sippy does, on the event loop that the server runs on.
"""

from __future__ import annotations

import asyncio
import gc
import sys

import uvloop
from sip import Bridge

from roomtone.protocols.sip.edge import Edge, EdgeLimits
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.tokens import Tokens
from roomtone.servers.sip import Endpoint, Listen, TransportOptions


async def serve(port: int, called: int) -> None:
    """Serve until it is killed."""
    flow = Flow(Transport.UDP, "127.0.0.1", called, "127.0.0.1", port)
    bridge = Bridge(flow)
    edge = Edge(Tokens(b"e" * 32), EdgeLimits(exempt=frozenset({"127.0.0.1"})))
    options = TransportOptions(udp=(Listen("127.0.0.1", port),))
    endpoint = Endpoint(bridge.agent, edge, options, bridge.take_events)
    await endpoint.open()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1]), int(sys.argv[2])))
