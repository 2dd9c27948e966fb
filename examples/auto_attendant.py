"""An auto attendant: answers, plays a prompt, and transfers the caller to whom the key it presses stands for.

Run: python examples/auto_attendant.py PORT prompt.wav 1=sip:sales@192.0.2.1 2=sip:support@192.0.2.1
A dash in place of the WAV file plays a tone instead. A key that stands for nobody is answered with a low tone.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from wire import engine

from roomtone.sip import InboundCall, PeerError, Server, UseError

if TYPE_CHECKING:
    from roomtone.media import Engine

PATIENCE_S = 20.0
TRIES = 3


class Attendant(Server):
    """Takes calls, each in a task of its own."""

    def __init__(self, engine: Engine, port: int, prompt: str, menu: dict[str, str]) -> None:
        super().__init__(port=port, engine=engine)
        self.prompt = prompt
        self.menu = menu

    async def on_invite(self, call: InboundCall) -> None:
        """Ask for a key and send the caller on; who presses nothing is let go."""
        await call.answer()
        print(f"{call.received.from_.uri_text} calls", flush=True)
        try:
            for _ in range(TRIES):
                if await self.ask(call):
                    return
        except TimeoutError:
            print("nothing was pressed")
        except UseError:
            print("hung up", flush=True)
        await call.hang_up()

    async def ask(self, call: InboundCall) -> bool:
        """Play the prompt until a key is pressed; whether the caller was sent on."""
        if self.prompt == "-":
            playing = await call.play_tone(620)
        else:
            playing = await call.play(self.prompt, repeat=True)
        key = await call.next_key(PATIENCE_S)
        await playing.stop()
        target = self.menu.get(key)
        if target is None:
            print(f"key {key} stands for nobody", flush=True)
            await (await call.play_tone(300, 0.5)).wait()
            return False
        try:
            status = await call.transfer(target)
        except PeerError as error:
            print(error, flush=True)
            return False
        print(f"key {key}: transferred to {target}, {status}", flush=True)
        return True


async def main(port: str, prompt: str, *menu: str) -> int:
    """Serve until interrupted."""
    entries = dict(entry.split("=", 1) for entry in menu)
    async with engine() as media, Attendant(media, int(port), prompt, entries) as attendant:
        print(f"listening on port {attendant.port()}", flush=True)
        await asyncio.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
