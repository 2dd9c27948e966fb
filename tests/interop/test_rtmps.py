"""Encoders publish by RTMP behind TLS, and are told where they do not encrypt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PATIENCE_S, Server, start_server, stop_server, until
from test_encoders import REORDERED, encoder, ingests, is_seen_and_heard

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encrypted")


@pytest.fixture(scope="module")
def encrypted(folder: Path) -> Iterator[Server]:
    """A server whose certificate an encoder can read."""
    running = start_server(folder)
    yield running
    stop_server(running)


def test_what_is_published_behind_tls_is_seen_and_heard(encrypted: Server, folder: Path, tmp_path: Path) -> None:
    (certificate,) = folder.rglob("self-signed.crt")
    url = f"rtmps://{encrypted.ready['rtmps'][0]}/live/secret"
    trust = ("-tls_verify", "1", "-ca_file", str(certificate))
    with encoder(tmp_path / "log", url, *REORDERED, *trust):
        found = until(lambda: (seen := ingests(encrypted, "secret")) and seen["tracks"] and seen, "a playlist")
        assert found["protocol"] == "rtmps"
        is_seen_and_heard(encrypted, "secret")


def test_who_does_not_encrypt_is_told_so_in_its_own_protocol(encrypted: Server, tmp_path: Path) -> None:
    url = f"rtmp://{encrypted.ready['rtmps'][0]}/live/open"
    with encoder(tmp_path / "log", url, *REORDERED) as process:
        assert process.wait(PATIENCE_S) != 0
    assert "RTMP behind TLS only" in (tmp_path / "log").read_text()
    assert ingests(encrypted, "open") is None
    assert encrypted.metrics()["roomtone_engine_ingest_connections_bare_total"] == 1
