"""How streams are listed: what the settings say of all, of a name, and what a request says."""

from __future__ import annotations

import pytest

from roomtone.control.live import Listing, Listings, LiveTerms, StreamEncryption, TermsWish
from roomtone.media.values import EncryptionMethod

AES, SAMPLES, NONE = StreamEncryption.AES_128, StreamEncryption.SAMPLE_AES, StreamEncryption.NONE
ALL = Listing(window_ms=60_000, part_ms=500, encryption=AES, segments_per_key=3)
NAMED = {"open": TermsWish(public=True, encryption=NONE), "often": TermsWish(segments_per_key=1)}


@pytest.mark.parametrize(
    ("name", "wish", "terms"),
    [
        ("any", None, LiveTerms(public=False, encryption=AES, segments_per_key=3)),
        ("open", None, LiveTerms(public=True, encryption=NONE, segments_per_key=3)),
        ("often", TermsWish(public=True), LiveTerms(public=True, encryption=AES, segments_per_key=1)),
        ("open", TermsWish(False, SAMPLES, 0), LiveTerms(public=False, encryption=SAMPLES, segments_per_key=0)),
    ],
)
def test_a_request_comes_before_the_name_and_that_before_all(name: str, wish: TermsWish, terms: LiveTerms) -> None:
    listings = Listings(ALL, NAMED)
    assert listings.terms_of(name, wish) == terms
    listing = listings.of(terms)
    assert (listing.window_ms, listing.part_ms) == (60_000, 500)
    assert (listing.encryption, listing.segments_per_key) == (terms.encryption, terms.segments_per_key)


def test_no_two_streams_have_the_same_secret() -> None:
    told = [ALL.for_engine()["encryption"] for _ in range(2)]
    assert [one and (one.method, one.segments_per_key) for one in told] == [(EncryptionMethod.AES_128, 3)] * 2
    assert len({one.secret for one in told if one is not None}) == 2
    assert Listing().for_engine() == {"window_ms": 120_000, "part_ms": None, "encryption": None}


def test_what_is_asked_for_is_remembered_while_it_is_open() -> None:
    listings = Listings(ALL, NAMED)
    terms = LiveTerms(public=True, encryption=SAMPLES)
    listings.give("any", terms)
    assert listings.current("any") == terms
    listings.forget("any")
    assert listings.current("any") == listings.terms_of("any")


def test_what_is_pushed_is_refused_where_its_name_is_encrypted_otherwise_than_its_port() -> None:
    listings = Listings(ALL, NAMED | {"same": TermsWish(public=True, encryption=AES)})
    assert listings.why_not_pushed("any") == listings.why_not_pushed("same") == ""
    for name in ("open", "often"):
        assert name in listings.why_not_pushed(name)
