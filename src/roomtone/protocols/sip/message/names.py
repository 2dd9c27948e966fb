"""Names of header fields: one key for each (lower case, long form), compact forms, and how we spell them.

A key is an interned ``str``; `KEY_OF` finds it for the spellings seen in the field without lower-casing.
"""

from __future__ import annotations

from sys import intern

from roomtone.protocols.sip.errors import Fault, SipSyntaxError
from roomtone.protocols.sip.grammar import is_token
from roomtone.protocols.sip.headers.cseq import METHODS

COMPACT_FORMS = {
    "a": "accept-contact",  # RFC 3841
    "b": "referred-by",  # RFC 3892
    "c": "content-type",
    "d": "request-disposition",  # RFC 3841
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",  # RFC 3841
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",  # RFC 4474
    "o": "event",  # RFC 6665
    "r": "refer-to",  # RFC 3515
    "s": "subject",
    "t": "to",
    "u": "allow-events",  # RFC 6665
    "v": "via",
    "x": "session-expires",  # RFC 4028
    "y": "identity",  # RFC 4474
}
"""Compact form to key (IANA's SIP parameters registry)."""

_SPELLINGS = """
    Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Authentication-Info
    Authorization Call-ID Call-Info Contact Content-Disposition Content-Encoding Content-ID Content-Language
    Content-Length Content-Type CSeq Date Diversion Error-Info Event Expires Flow-Timer From Geolocation History-Info
    Identity Identity-Info In-Reply-To Join Max-Breadth Max-Forwards MIME-Version Min-Expires Min-SE Organization
    P-Access-Network-Info P-Asserted-Identity P-Associated-URI P-Called-Party-ID P-Charging-Vector P-Early-Media
    P-Preferred-Identity Path Priority Privacy Proxy-Authenticate Proxy-Authentication-Info Proxy-Authorization
    Proxy-Require RAck Reason Record-Route Recv-Info Refer-Sub Refer-To Referred-By Reject-Contact
    Remote-Party-ID Replaces Reply-To Request-Disposition Require Retry-After Route RSeq Server Service-Route
    Session-Expires Session-ID SIP-ETag SIP-If-Match Subject Subscription-State Supported Target-Dialog Timestamp To
    Unsupported User-Agent User-to-User Via Warning WWW-Authenticate
""".split()  # noqa: SIM905 - one word a header

SPELLING = {intern(name.lower()): name for name in _SPELLINGS}
"""Key to the spelling we write; names not here are written as they were given."""

_KEYS = {key: key for key in SPELLING}
_KEYS.update({short: _KEYS[key] for short, key in COMPACT_FORMS.items()})


def _spelled(key: str, name: str) -> set[bytes]:
    variants = {name, name.lower(), name.upper(), name.title(), key}
    variants |= {short for short, long in COMPACT_FORMS.items() if long == key}
    variants |= {short.upper() for short, long in COMPACT_FORMS.items() if long == key}
    return {variant.encode() for variant in variants}


class _KeyOf(dict[bytes, str]):
    """Written name to key. Unknown spellings are worked out each time and not kept: a peer cannot make it grow."""

    def __missing__(self, written: bytes) -> str:
        name = written.rstrip(b" \t").decode("latin-1")
        if not is_token(name):
            raise SipSyntaxError(Fault.HEADER_NAME, 0, f"no header name: {name[:40]!r}")
        lower = name.lower()
        return _KEYS.get(lower, lower)


KEY_OF = _KeyOf({variant: _KEYS[key] for key, name in SPELLING.items() for variant in _spelled(key, name)})
"""Written name (``bytes``, in front of the colon) to key. Raises `SipSyntaxError` for what is no token."""

_KEY_OF_TEXT = {**{name: _KEYS[key] for key, name in SPELLING.items()}, **_KEYS}


def key_of(name: str) -> str:
    """Key of a header's name in any spelling: lower case, long form."""
    key = _KEY_OF_TEXT.get(name)
    if key is None:
        lower = name.lower()
        key = _KEYS.get(lower, lower)
    return key


METHOD_OF = {name.encode(): intern(name) for name in METHODS}
"""Methods as they are written to their interned name."""
