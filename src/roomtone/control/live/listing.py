"""How streams are listed and given to their audience: as the settings say, of all or of a name, or a request."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict

from roomtone.control.live.values import LiveTerms, StreamEncryption
from roomtone.media.values import EncryptionMethod, LiveEncryption

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET_BYTES = 32
"""Of a secret that keys are derived from."""
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


class Listings:
    """How each stream is listed: as is asked for when it is made, else as the settings say of its name, or of all."""

    def __init__(self, default: Listing | None = None, by_name: Mapping[str, TermsWish] | None = None) -> None:
        self.default = default or Listing()
        self._by_name = dict(by_name or {})
        self._given: dict[str, LiveTerms] = {}
        """Of inputs and pulls that are open."""

    def terms_of(self, name: str, wish: TermsWish | None = None) -> LiveTerms:
        """Give the terms of a stream that is to be made."""
        settings, wish = self._by_name.get(name) or TermsWish(), wish or TermsWish()
        encryption = wish.encryption or settings.encryption or self.default.encryption
        rotation = settings.segments_per_key if wish.segments_per_key is None else wish.segments_per_key
        public = settings.public if wish.public is None else wish.public
        return LiveTerms(
            public=bool(public),
            encryption=encryption,
            segments_per_key=self.default.segments_per_key if rotation is None else rotation,
        )

    def of(self, terms: LiveTerms) -> Listing:
        """Give how a stream of these terms is listed."""
        return replace(self.default, encryption=terms.encryption, segments_per_key=terms.segments_per_key)

    def give(self, name: str, terms: LiveTerms) -> None:
        """Note the terms of an input or a pull."""
        self._given[name] = terms

    def forget(self, name: str) -> None:
        """Forget them."""
        self._given.pop(name, None)

    def current(self, name: str) -> LiveTerms:
        """Give the terms of what an encoder publishes under a name."""
        return self._given.get(name) or self.terms_of(name)

    def why_not_pushed(self, name: str) -> str:
        """Say why an encoder cannot push a stream of this name; empty where it can.

        What is pushed is encrypted as its port is, since the port has one listing for all.
        """
        terms = self.terms_of(name)
        if self.of(terms) == self.default:
            return ""
        return (
            f"live.streams says how {name} is encrypted, which can be had for inputs, pulls and rooms; what is pushed "
            "is encrypted as live.encryption says"
        )
