"""How streams are listed and given to their audience: as the settings say, of all or of a name, or a request."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict

from roomtone.control.live.values import LiveError, LiveRefusal, LiveTerms, StreamEncryption
from roomtone.media.values import EncryptionMethod, LiveEncryption, LiveListing

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET_BYTES = 32
"""Of a secret that keys are derived from."""
MAX_SAID = 1_000
"""Names of which something is said while the server runs; one more is refused."""
_METHODS = {
    StreamEncryption.AES_128: EncryptionMethod.AES_128,
    StreamEncryption.SAMPLE_AES: EncryptionMethod.SAMPLE_AES,
}


class EngineListing(TypedDict):
    """What commands of the engine are told of it."""

    window_ms: int
    part_ms: int | None
    encryption: LiveEncryption | None


@dataclass(frozen=True, slots=True)
class Listing:
    """How a stream is listed; parts are wished to be so long, and a key is for so many segments, 0 for all."""

    window_ms: int = 120_000
    part_ms: int | None = None
    encryption: StreamEncryption = StreamEncryption.NONE
    segments_per_key: int = 0

    def for_engine(self) -> EngineListing:
        """Say it to the engine, with a secret that no other has."""
        return {"window_ms": self.window_ms, "part_ms": self.part_ms, "encryption": self._encryption()}

    def _encryption(self) -> LiveEncryption | None:
        if self.encryption is StreamEncryption.NONE:
            return None
        return LiveEncryption(
            method=_METHODS[self.encryption],
            secret=secrets.token_bytes(SECRET_BYTES),
            segments_per_key=self.segments_per_key,
        )


@dataclass(frozen=True, slots=True)
class TermsWish:
    """What is said of a stream; None: as it is otherwise."""

    public: bool | None = None
    encryption: StreamEncryption | None = None
    segments_per_key: int | None = None


SAYS_NOTHING = TermsWish()


class Listings:
    """How each stream is listed.

    As is asked for when it is made, else as was said of its name, as the settings say of it, and as they say of all.
    """

    def __init__(self, default: Listing | None = None, by_name: Mapping[str, TermsWish] | None = None) -> None:
        self.default = default or Listing()
        self._by_name = dict(by_name or {})
        self._said: dict[str, TermsWish] = {}
        self._given: dict[str, LiveTerms] = {}
        """Of inputs and pulls that are open."""

    def terms_of(self, name: str, wish: TermsWish | None = None) -> LiveTerms:
        """Give the terms of a stream that is to be made."""
        wishes = [wish or SAYS_NOTHING, self.said_of(name), self._by_name.get(name) or SAYS_NOTHING]
        encryptions = (one.encryption for one in wishes if one.encryption is not None)
        rotations = (one.segments_per_key for one in wishes if one.segments_per_key is not None)
        return LiveTerms(
            public=next((one.public for one in wishes if one.public is not None), False),
            encryption=next(encryptions, self.default.encryption),
            segments_per_key=next(rotations, self.default.segments_per_key),
        )

    def said_of(self, name: str) -> TermsWish:
        """Give what was said of a name while the server ran."""
        return self._said.get(name, SAYS_NOTHING)

    def say(self, name: str, wish: TermsWish) -> None:
        """Have streams of a name be so from now on; what says nothing is forgotten. Raise `LiveError`."""
        if wish == SAYS_NOTHING:
            self._said.pop(name, None)
            return
        if name not in self._said and len(self._said) >= MAX_SAID:
            raise LiveError(LiveRefusal.TOO_MANY_NAMES, f"something is said of {MAX_SAID} names already")
        self._said[name] = wish

    def of(self, terms: LiveTerms) -> Listing:
        """Give how a stream of these terms is listed."""
        return replace(self.default, encryption=terms.encryption, segments_per_key=terms.segments_per_key)

    def give(self, name: str, terms: LiveTerms) -> None:
        """Note the terms of an input or a pull."""
        self._given[name] = terms

    def renew(self, name: str, terms: LiveTerms) -> None:
        """Note other terms of a pull that is open; those of what is not need no note."""
        if name in self._given:
            self._given[name] = terms

    def forget(self, name: str) -> None:
        """Forget them."""
        self._given.pop(name, None)

    def current(self, name: str) -> LiveTerms:
        """Give the terms of what an encoder publishes under a name."""
        return self._given.get(name) or self.terms_of(name)

    def pushed(self, name: str) -> LiveListing | None:
        """Give how what is pushed under a name is listed; None: as its port is, since that is the same."""
        listing = self.of(self.current(name))
        return None if listing == self.default else LiveListing(**listing.for_engine())
