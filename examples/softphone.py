"""A softphone: registers an account at a server, calls somebody, plays a tone, and says which keys are pressed there.

Run: python examples/softphone.py ada PASSWORD 192.0.2.1:5060 sip:bob@192.0.2.1:5060
"""

from __future__ import annotations

import asyncio
import sys

from wire import engine

from roomtone.sip import Account, Endpoint, SipError


async def main(name: str, password: str, server: str, target: str) -> int:
    """Call until the other side hangs up."""
    account = Account(name, password, server)
    async with engine() as media, Endpoint(engine=media) as phone:
        try:
            registration = await phone.register(account)
            print(f"registered for {registration.granted_s} s", flush=True)
            call = await phone.call(target, account=account)
            await call.wait_answered()
        except SipError as error:
            print(error)
            return 1
        print(f"answered, {call.codec}", flush=True)
        await call.play_tone(440)
        async for key in call.keys():
            print(f"key {key}", flush=True)
        print(f"ended: {(await call.wait_ended()).reason}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:5])))
