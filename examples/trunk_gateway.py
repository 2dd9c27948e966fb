"""A trunk gateway: registers at a trunk, and bridges its calls to a local phone that has another codec and security.

Towards the trunk sound is plain A-law or mu-law, towards the phone it is SRTP (RFC 4568) in G.722 or mu-law: what both
have passes as it is, all else is converted. Run:
python examples/trunk_gateway.py NAME PASSWORD 192.0.2.1:5060 sip:phone@10.0.0.7:5060
"""

from __future__ import annotations

import asyncio
import sys

from wire import engine

from roomtone.sip import Account, InboundCall, MediaSecurity, PeerError, Refusal, Server, SipError

TRUNK = ("pcmu", "pcma")
PHONE = ("g722", "pcma")


class Gateway(Server):
    """Bridges each call that comes in."""

    phone = ""

    async def on_invite(self, call: InboundCall) -> None:
        """Call the phone, and answer when it does; what it refuses is passed on."""
        call.ring()
        hops = (call.received.message.max_forwards or 70) - 1
        caller = call.received.from_
        local = await self.call(
            self.phone, codecs=PHONE, security=MediaSecurity.SDES, from_=caller.without_params(), max_forwards=hops
        )
        local.end_with(call)  # a caller that does not wait takes the call to the phone back
        try:
            await local.wait_answered()
        except PeerError as error:
            raise Refusal(error.status or 480) from error
        await call.answer()
        bridge = await call.bridge(local)
        print(f"{caller.uri_text}: {call.codec} to {local.codec}", flush=True)
        await bridge.wait_ended()
        print("ended", flush=True)


async def main(name: str, password: str, trunk: str, phone: str) -> int:
    """Serve until interrupted."""
    async with engine() as media, Gateway(engine=media, codecs=TRUNK, security=MediaSecurity.OFF) as gateway:
        gateway.phone = phone
        try:
            registration = await gateway.register(Account(name, password, trunk))
        except SipError as error:
            print(error)
            return 1
        print(f"registered for {registration.granted_s} s", flush=True)
        await asyncio.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:5])))
