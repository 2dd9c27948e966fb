"""Streams that are fetched by RTMPS from FFmpeg behind OpenSSL: whose certificates are taken, and whose are not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Server, start_server, stop_server, until
from test_encoders import AAC, REORDERED, SOURCE, ingests
from test_inputs import is_seen_and_heard, source
from test_pulls import free_port
from test_rtsp_pulls import fetch, pull
from tls_front import make_certificate, tls_front

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate, with its key, that the server's machine trusts."""
    path = tmp_path_factory.mktemp("trusted") / "localhost.pem"
    make_certificate(path, "localhost")
    return path


@pytest.fixture(scope="module")
def near(trusted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that fetches from its own machine."""
    folder = tmp_path_factory.mktemp("near")
    started = start_server(folder, ROOMTONE_PULL__ALLOW_PRIVATE="true", SSL_CERT_FILE=str(trusted))
    yield started
    stop_server(started)


def test_a_stream_behind_a_trusted_certificate_is_seen_and_heard(near: Server, trusted: Path, tmp_path: Path) -> None:
    bare = free_port(socket.SOCK_STREAM)
    url = f"rtmp://127.0.0.1:{bare}/live/checked"
    with (
        source(tmp_path / "log", *SOURCE, *AAC, *REORDERED, "-f", "flv", "-listen", "1", url),
        tls_front(trusted, bare) as port,
    ):
        fetch(near, "checked", f"rtmps://localhost:{port}/live/checked")
        found = until(lambda: (seen := ingests(near, "checked")) and seen["tracks"] and seen, "its tracks")
        assert found["protocol"] == "rtmps"
        is_seen_and_heard(near, "checked")
    pull(near, "checked", "DELETE")


def test_a_certificate_for_another_name_or_of_nobody_known_is_refused(
    near: Server, trusted: Path, tmp_path: Path
) -> None:
    unknown = tmp_path / "unknown.pem"
    make_certificate(unknown, "localhost")
    nobody = free_port(socket.SOCK_STREAM)
    with tls_front(trusted, nobody) as named, tls_front(unknown, nobody) as port:
        fetch(near, "misnamed", f"rtmps://127.0.0.1:{named}/live/a")
        fetch(near, "unknown", f"rtmps://localhost:{port}/live/a")
        fetch(near, "another", f"rtmps://localhost:{port}/live/a", certificate=f"sha256:{'0' * 64}")
        for name, why in (
            ("misnamed", "is not trusted"),
            ("unknown", "is not trusted"),
            ("another", "is not the one that is expected"),
        ):
            error = until(lambda name=name: pull(near, name)["last_error"], "an attempt that has failed")
            assert why in error
            assert ingests(near, name) is None
            pull(near, name, "DELETE")


def test_the_only_certificate_that_is_taken_is_taken_and_any_if_that_is_wished(near: Server, tmp_path: Path) -> None:
    path = tmp_path / "own.pem"
    fingerprint = make_certificate(path, "camera.invalid").hex()
    for name, certificate in (("pinned", f"sha256:{fingerprint}"), ("any", "any")):
        bare = free_port(socket.SOCK_STREAM)
        url = f"rtmp://127.0.0.1:{bare}/live/{name}"
        with (
            source(tmp_path / name, *SOURCE, *AAC, *REORDERED, "-f", "flv", "-listen", "1", url),
            tls_front(path, bare) as port,
        ):
            fetch(near, name, f"rtmps://127.0.0.1:{port}/live/{name}", certificate=certificate)
            until(lambda name=name: (seen := ingests(near, name)) and len(seen["tracks"]) == 2, "its tracks")
        pull(near, name, "DELETE")
