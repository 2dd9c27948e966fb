"""How streams are listed: what the settings say of all, of a name, and what a request says."""

from __future__ import annotations

import pytest

from roomtone.control.live import Listing, Listings, LiveError, LiveTerms, StreamEncryption, TermsWish, listing
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
    listed = listings.of(terms)
    assert (listed.window_ms, listed.part_ms) == (60_000, 500)
    assert (listed.encryption, listed.segments_per_key) == (terms.encryption, terms.segments_per_key)


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


def test_what_is_pushed_is_listed_as_its_port_or_as_is_said_of_its_name() -> None:
    listings = Listings(ALL, NAMED | {"same": TermsWish(public=True, encryption=AES)})
    assert listings.pushed("any") is listings.pushed("same") is None
    clear, often = listings.pushed("open"), listings.pushed("often")
    assert clear is not None
    assert (clear.window_ms, clear.part_ms, clear.encryption) == (60_000, 500, None)
    assert often is not None
    assert often.encryption is not None
    assert (often.encryption.method, often.encryption.segments_per_key) == (EncryptionMethod.AES_128, 1)


def test_what_is_said_comes_before_the_settings_and_behind_a_request_until_it_is_forgotten() -> None:
    listings = Listings(ALL, NAMED)
    listings.say("open", TermsWish(encryption=SAMPLES))
    assert listings.terms_of("open") == LiveTerms(public=True, encryption=SAMPLES, segments_per_key=3)
    assert listings.terms_of("open", TermsWish(encryption=AES)).encryption is AES
    listings.say("open", TermsWish())
    assert listings.terms_of("open").encryption is NONE


def test_so_many_names_are_spoken_of_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_SAID", 2)
    listings = Listings(ALL)
    for name in ("one", "two"):
        listings.say(name, TermsWish(encryption=NONE))
    with pytest.raises(LiveError, match="of 2 names already"):
        listings.say("three", TermsWish(encryption=NONE))
    assert listings.terms_of("three").encryption is AES
    listings.say("one", TermsWish(encryption=SAMPLES))
    listings.say("two", TermsWish())
    listings.say("three", TermsWish(encryption=NONE))
    assert listings.terms_of("three").encryption is NONE
