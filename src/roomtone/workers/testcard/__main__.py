"""Run the test publisher: ``python -m roomtone.workers.testcard --video-to 127.0.0.1:40100 ...``.

It ends when its standard input closes, so it never outlives the server that started it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import secrets
import signal
import sys
import time

from roomtone.workers.testcard.publisher import Publisher, StreamNumbers

MAX_DATAGRAM = 2048


class _Socket(asyncio.DatagramProtocol):
    """Hands RTCP from the receiver to the publisher."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def datagram_received(self, data: bytes, _addr: object) -> None:
        """Take one datagram."""
        self._publisher.handle_rtcp(data[:MAX_DATAGRAM])


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="roomtone.workers.testcard", description=__doc__)
    parser.add_argument("--video-to", required=True, help="host:port that takes RTP and RTCP of the picture")
    parser.add_argument("--audio-to", required=True, help="host:port that takes RTP and RTCP of the tone")
    parser.add_argument("--video-ssrc", type=int, required=True)
    parser.add_argument("--video-payload-type", type=int, default=96)
    parser.add_argument("--audio-ssrc", type=int, required=True)
    parser.add_argument("--audio-payload-type", type=int, default=111)
    parser.add_argument("--cname", default="testcard")
    parser.add_argument("--seconds", type=float, default=None, help="stop after this time")
    return parser.parse_args(argv)


async def publish(arguments: argparse.Namespace) -> None:
    """Send until standard input closes, a signal comes or the time is over."""
    loop = asyncio.get_running_loop()
    numbers = StreamNumbers(
        video_ssrc=arguments.video_ssrc,
        video_payload_type=arguments.video_payload_type,
        audio_ssrc=arguments.audio_ssrc,
        audio_payload_type=arguments.audio_payload_type,
        cname=arguments.cname,
    )
    publisher = Publisher(numbers, loop.time(), random.Random(secrets.randbits(64)))  # noqa: S311 - start numbers only
    sockets = {
        numbers.video_ssrc: await _open(arguments.video_to, publisher),
        numbers.audio_ssrc: await _open(arguments.audio_to, publisher),
    }
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watcher = asyncio.create_task(_wait_for_end_of_input(stop))
    try:
        async with asyncio.timeout(arguments.seconds):
            await _send(publisher, sockets, stop)
    except TimeoutError:
        pass
    finally:
        for datagram in publisher.close():
            sockets[datagram.ssrc].sendto(datagram.data)
        for transport in sockets.values():
            transport.close()
        watcher.cancel()


async def _open(address: str, publisher: Publisher) -> asyncio.DatagramTransport:
    host, _, port = address.rpartition(":")
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Socket(publisher), remote_addr=(host.strip("[]"), int(port))
    )
    return transport


async def _send(publisher: Publisher, sockets: dict[int, asyncio.DatagramTransport], stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        for datagram in publisher.poll(loop.time(), time.time()):
            sockets[datagram.ssrc].sendto(datagram.data)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, publisher.next_timeout() - loop.time())):
                await stop.wait()


async def _wait_for_end_of_input(stop: asyncio.Event) -> None:
    reader = asyncio.StreamReader()
    try:
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    except ValueError:
        return  # standard input is a file: nobody holds it
    while await reader.read(1024):
        pass
    stop.set()


if __name__ == "__main__":
    asyncio.run(publish(_arguments(sys.argv[1:])))
