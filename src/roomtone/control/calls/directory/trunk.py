"""A peer that carries calls, and its row."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from roomtone.protocols.sdp.telephony import MediaSecurity
from roomtone.protocols.sip.uri import SipUri, parse_uri
from roomtone.store import SipTrunkRecord


@dataclass(frozen=True, slots=True)
class Trunk:
    """A peer, and how it is spoken to; the password in the clear is in memory only."""

    name: str
    uri: str = ""
    """Where requests go: host, port and transport; a name is looked up."""
    username: str = ""
    password: str = field(default="", repr=False)
    registers: bool = False
    """Whether we register there."""
    probes: bool = True
    """Whether it is asked by OPTIONS if it is there."""
    addresses: tuple[str, ...] = ()
    """Addresses and networks whose calls are taken for the trunk's."""
    accepts_login: bool = False
    """Whether calls that prove its username and password are taken for the trunk's."""
    wants_both: bool = False
    """Whether its calls come from its addresses and prove its login; else either is enough."""
    tls_names: tuple[str, ...] = ()
    """Names in client certificates (RFC 5922) whose calls are taken for the trunk's."""
    proxy: str = ""
    """Server that all requests to it go by, as their first Route; empty: they go to the uri."""
    domain: str = ""
    """Domain of From, To and the asserted identity; empty: the URI's host."""
    caller_id: str = ""
    """Number that calls show there; empty: the caller's account."""
    security: MediaSecurity = MediaSecurity.OPTIONAL
    large_by_tcp: bool = True
    """Whether INVITEs that may not fit a datagram are tried by TCP first."""
    numbers: tuple[str, ...] = ()
    """Numbers that calls by it may be for; empty: all."""
    callers: tuple[str, ...] = ()
    """Numbers that calls by it may come from; empty: all."""
    note: str = ""
    """What another protocol keeps with the trunk."""
    created_at: float = 0.0

    def takes(self, caller: str, called: str) -> bool:
        """Whether a call that comes by it is taken."""
        return (not self.numbers or called in self.numbers) and (not self.callers or caller in self.callers)

    @property
    def server(self) -> SipUri:
        """The URI, read."""
        uri = parse_uri(self.uri)
        assert isinstance(uri, SipUri)  # noqa: S101 - checked when it was made
        return uri

    @property
    def its_domain(self) -> str:
        """The domain that calls there are of."""
        return self.domain or self.server.host


_LISTS = ("numbers", "callers", "tls_names")
_KEPT = ("uri", "username", "registers", "probes", "domain", "caller_id", "large_by_tcp")


def trunk_record(trunk: Trunk, sealed: str, now: float) -> SipTrunkRecord:
    """Write a trunk as a row of its table."""
    kept = {name: getattr(trunk, name) for name in _KEPT}
    profile = {**kept, "addresses": list(trunk.addresses), "media_security": trunk.security.value}
    profile |= {name: list(value) for name in _LISTS if (value := getattr(trunk, name))}
    for name in ("note", "proxy", "accepts_login", "wants_both"):
        if value := getattr(trunk, name):
            profile[name] = value
    return SipTrunkRecord(trunk.name, json.dumps(profile), sealed, now)


def read_trunk(record: SipTrunkRecord, password: str) -> Trunk:
    """Read a row."""
    profile = json.loads(record.profile)
    return Trunk(
        record.name,
        password=password,
        addresses=tuple(profile["addresses"]),
        security=MediaSecurity(profile["media_security"]),
        created_at=record.created_at,
        note=profile.get("note", ""),
        proxy=profile.get("proxy", ""),
        accepts_login=profile.get("accepts_login", False),
        wants_both=profile.get("wants_both", False),
        tls_names=tuple(profile.get("tls_names", ())),
        numbers=tuple(profile.get("numbers", ())),
        callers=tuple(profile.get("callers", ())),
        **{name: profile[name] for name in _KEPT},
    )
