"""Bodies of event packages: what is written is read again, examples of the RFCs are read, and nothing else is."""

from __future__ import annotations

import random
from typing import Any

import pytest

from roomtone.protocols.sip.packages import (
    BodyError,
    DialogEntry,
    DialogInfo,
    EventPackage,
    MessageCounts,
    MessageSummary,
    Presence,
    PresenceTuple,
    Progress,
    RegisteredContact,
    Registration,
    RegistrationInfo,
)

VALUES: list[Any] = [
    DialogInfo("sip:a&b@example.org", 3),
    DialogInfo(
        "sip:a@example.org",
        0,
        (
            DialogEntry("1", "early", "recipient", "c", "l", "r", "sip:a@example.org", "sip:<b>@example.org"),
            DialogEntry("2", "terminated"),
        ),
        full=False,
    ),
    Presence("pres:a@example.org"),
    Presence(
        "pres:a", (PresenceTuple("t", is_open=True, contact="sip:a@h", note="Grüße"), PresenceTuple("u", None)), "x"
    ),
    RegistrationInfo(7),
    RegistrationInfo(
        1,
        (
            Registration(
                "sip:a@example.org",
                "r1",
                "active",
                (
                    RegisteredContact("c1", "sip:a@192.0.2.4", expires_s=60),
                    RegisteredContact("c2", "sip:b", False, "expired"),
                ),
            ),
        ),
        full=False,
    ),
    MessageSummary(waiting=False),
    MessageSummary(True, "sip:box@example.org", (("voice-message", MessageCounts(2, 8, 0, 2)),)),
    Progress(180, "Ringing"),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert type(value).parse(value.serialize()) == value


def test_the_example_of_rfc_3842_is_read() -> None:
    # RFC 3842 section 5
    body = b"Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\nVoice-Message: 2/8 (0/2)\r\n"
    assert MessageSummary.parse(body) == MessageSummary(
        waiting=True,
        account="sip:alice@vmail.example.com",
        counts=(("voice-message", MessageCounts(2, 8, 0, 2)),),
    )


def test_a_document_like_those_of_rfc_4235_is_read() -> None:
    body = b"""<?xml version="1.0"?>
     <dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="sip:alice@example.com">
       <dialog id="as7d900as8" call-id="a84b4c76e66710" local-tag="1928301774" direction="initiator">
         <state event="rejected" code="486"> terminated </state><duration>274</duration>
         <remote><identity display="Bob">sip:bob@example.org</identity><target uri="sip:bobster@phone21"/></remote>
       </dialog></dialog-info>"""
    info = DialogInfo.parse(body)
    assert info.dialogs == (
        DialogEntry(
            "as7d900as8", "terminated", "initiator", "a84b4c76e66710", "1928301774", remote="sip:bob@example.org"
        ),
    )


@pytest.mark.parametrize("kind", [DialogInfo, Presence, RegistrationInfo, MessageSummary, Progress])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<",
        b"<a/>",
        b"hello",
        b'<!DOCTYPE x [<!ENTITY a "b">]><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="x">&a;</presence>',
        '<?xml version="1.0" encoding="UTF-16"?><presence/>'.encode("utf-16"),
        b'<?xml version="1.0" encoding="nonsense"?><presence/>',
        b"x" * 70_000,
    ],
)
def test_other_bodies_are_refused(kind: Any, body: bytes) -> None:
    with pytest.raises(BodyError):
        kind.parse(body)


def test_anything_else_is_a_body_error() -> None:
    chance = random.Random(8)  # noqa: S311
    for _ in range(2_000):
        value = chance.choice(VALUES)
        body = bytearray(value.serialize())
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(body))
            match chance.randrange(3):
                case 0:
                    body[at] = chance.randrange(256)
                case 1:
                    del body[at : at + chance.randint(1, 20)]
                case _:
                    body[at:at] = bytes(chance.randrange(256) for _ in range(3))
            if not body:
                break
        try:
            type(value).parse(bytes(body))
        except BodyError:
            continue


def test_each_package_has_its_type() -> None:
    assert {package.content_type.partition(";")[0] for package in EventPackage} == {
        "application/dialog-info+xml",
        "application/pidf+xml",
        "application/simple-message-summary",
        "application/reginfo+xml",
        "message/sipfrag",
    }
