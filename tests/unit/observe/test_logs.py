from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from roomtone.observe import REDACTED, configure_logs, get_logger, log_context, redact, redact_text

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJkZXZrZXkifQ.c2lnbmF0dXJl"


@pytest.fixture
def lines() -> io.StringIO:
    stream = io.StringIO()
    configure_logs("debug", "json", stream)
    return stream


def last(stream: io.StringIO) -> dict[str, object]:
    line: dict[str, object] = json.loads(stream.getvalue().splitlines()[-1])
    return line


def test_a_line_carries_event_level_logger_and_context(lines: io.StringIO) -> None:
    with log_context({"room": "demo"}):
        get_logger("roomtone.test", transport=7).info("joined", viewers=3)
    line = last(lines)
    assert line["event"] == "joined"
    assert (line["room"], line["transport"], line["viewers"]) == ("demo", 7, 3)
    assert (line["level"], line["logger"]) == ("info", "roomtone.test")
    assert str(line["timestamp"]).endswith("Z")


@pytest.mark.parametrize(
    "key",
    ["token", "access_token", "ice_pwd", "password", "Authorization", "secret", "api_key", "credential", "srtp_keys"],
)
def test_what_is_named_like_a_secret_is_never_logged(lines: io.StringIO, key: str) -> None:
    get_logger("x").info("event", **{key: "hunter2"})
    assert "hunter2" not in lines.getvalue()
    assert last(lines)[key] == REDACTED


@pytest.mark.parametrize(
    "text",
    [
        f"got {JWT} there",
        "Authorization: Bearer abc.def-ghi",
        "v=0\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0c2VjcmV0",
        "GET /whip/room?access_token=abcdef HTTP/1.1",
    ],
)
def test_secrets_inside_texts_are_taken_out(lines: io.StringIO, text: str) -> None:
    get_logger("x").info("event", text=text, nested={"deep": [text]})
    logged = lines.getvalue()
    for secret in ("c2lnbmF0dXJl", "abc.def-ghi", "abcdefghijklmnopqrstuvwx", "c2VjcmV0", "abcdef"):
        assert secret not in logged
    assert REDACTED in logged


def test_a_secret_in_an_exception_is_taken_out(lines: io.StringIO) -> None:
    try:
        raise ValueError(f"bad token {JWT}")  # noqa: TRY301 - it is what the log line is about
    except ValueError:
        get_logger("x").exception("failed")
    assert "ValueError" in lines.getvalue()
    assert "c2lnbmF0dXJl" not in lines.getvalue()


def test_the_standard_library_s_logs_go_the_same_way(lines: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").warning("token %s", JWT)
    assert last(lines)["level"] == "warning"
    assert JWT not in lines.getvalue()


def test_lines_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    configure_logs("warning", "json", stream)
    structlog.stdlib.get_logger("x").info("quiet")
    assert stream.getvalue() == ""


def test_the_console_form_is_readable_and_redacted() -> None:
    stream = io.StringIO()
    configure_logs("info", "console", stream)
    get_logger("x").info("joined", room="demo", token=JWT)
    assert "joined" in stream.getvalue()
    assert "demo" in stream.getvalue()
    assert JWT not in stream.getvalue()


def test_depth_and_bytes_are_bounded() -> None:
    deep: object = "end"
    for _ in range(50):
        deep = [deep]
    assert len(str(redact(deep))) < 300
    assert redact(b"\0" * 1000) == "<1000 bytes>"
    assert redact_text("nothing to hide") == "nothing to hide"
