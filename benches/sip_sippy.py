"""The bench of `sip.py` with Sippy's simple back-to-back user agent in the place of ours (PyPI: sippy).

`python benches/sip_sippy.py` in an environment that has sippy; PYTHONPATH names the tree of `roomtone`. The same
messages, the same clock, and ours measured in turn with it. Its sockets are replaced by lists and its event loop does
not run, so that none of its timers ever fires: what it would spend on them is not in its figure.
"""

from __future__ import annotations

import argparse
import gc
import statistics
from typing import TYPE_CHECKING, Any

from sip import CALLED, CALLER, Bridge, Run, measure
from sippy.b2bua_simple import CallMap
from sippy.SipConf import SipConf
from sippy.SipTransactionManager import SipTransactionManager
from sippy.Time.MonoTime import MonoTime
from sippy.Udp_server import Remote_address, Udp_server_opts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.protocols.sip.flow import Flow


class Lists:
    """What Sippy takes for a socket."""

    transport = "udp"
    sent: list[tuple[Any, Any]]

    def __init__(self, _config: object, options: Any) -> None:
        self.uopts = options
        Lists.sent = []

    def send_to(self, data: Any, address: Any, delayed: bool = False) -> None:  # noqa: ARG002 - as its servers
        Lists.sent.append((data, address))

    def getSIPaddr(self) -> Any:  # noqa: N802 - its name
        return (("192.0.2.1", 5060), self.transport)

    def addr2str(self, address: Any) -> str:
        return f"{address[0]}:{address[1]}"

    def shutdown(self) -> None:
        pass


class Silence:
    """Its log, switched off."""

    level = 100

    def write(self, *_: object, **__: object) -> None:
        pass


class SippyBridge:
    """Sippy's own example of a bridge of two legs."""

    def __init__(self) -> None:
        SipConf.my_uaname = "Sippy"
        config: dict[str, Any] = {
            "nh_addr": (CALLED.remote_host, CALLED.remote_port),
            "_sip_address": "192.0.2.1",
            "_sip_port": 5060,
            "_sip_logger": Silence(),
        }
        calls = CallMap(config)
        SipTransactionManager.model_udp_server = (Lists, Udp_server_opts)
        self.manager = config["_sip_tm"] = SipTransactionManager(config, calls.recvRequest)
        self.server = self.manager.l4r.getServer(("192.0.2.1", 5060), is_local=True)
        self.calls = 0

    def work(self, messages: Iterable[bytes], flow: Flow, now: int) -> list[tuple[Flow, bytes]]:  # noqa: ARG002
        """Take a batch of messages; what leaves."""
        address = Remote_address((flow.remote_host, flow.remote_port), "udp")
        time = MonoTime()
        for data in messages:
            self.manager.handleIncoming(data, address, self.server, time)
        sent, Lists.sent = Lists.sent, []
        return [
            (CALLER if str(to[0]) == CALLER.remote_host else CALLED, data if isinstance(data, bytes) else data.encode())
            for data, to in sent
        ]

    def expire(self, now: int) -> None:
        """Nothing: its timers are left out."""


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--size", type=int, default=20)
    arguments = parser.parse_args()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    ours, theirs = Run(Bridge()), Run(SippyBridge())
    for run in (ours, theirs):
        measure(run, 10 * arguments.size, arguments.size, 40)
    found: list[list[float]] = [[], []]
    for _ in range(3):
        for rates, run in zip(found, (ours, theirs), strict=True):
            rates.extend(measure(run, arguments.calls, arguments.size, 40)[0])
    one, other = (statistics.median(rates) for rates in found)
    each = f"{1e6 / one:,.0f} us a call, Sippy {1e6 / other:,.0f}"
    print(f"{one:,.0f} calls per CPU second, Sippy {other:,.0f} ({each}): {one / other:.1f} times")


if __name__ == "__main__":
    main()
