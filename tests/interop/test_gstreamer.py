"""GStreamer's webrtcbin publishes by WHIP and watches by WHEP, with an ECDSA certificate (its default is RSA)."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from conftest import PATIENCE_S, Server, token, until, wait_for_statistic
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from phone_page import hears
from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(90)
TONE_HZ = 550
PEER = Path(__file__).parent / "gstreamer_peer.py"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gstreamer")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=9))
    path = tmp_path_factory.mktemp("certificate") / "peer.pem"
    path.write_bytes(
        built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def start(certificate: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def start_(mode: str, url: str, bearer: str, *, makes_its_own: bool = False) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["/usr/bin/python3", str(PEER), mode, url, bearer, "-" if makes_its_own else str(certificate)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield start_
    for process in running:
        process.kill()
        process.communicate()


def wait_for_line(process: subprocess.Popen[str], wanted: Callable[[str], bool], timeout_s: float = 40) -> str:
    """The first line for which `wanted` holds; all that was printed otherwise."""
    assert process.stdout is not None
    seen: list[str] = []
    timer = threading.Timer(timeout_s, process.kill)
    timer.start()
    try:
        for line in process.stdout:
            seen.append(line)
            if wanted(line):
                return line
    finally:
        timer.cancel()
    raise AssertionError("".join(seen))


@pytest.mark.browser
def test_chromium_sees_and_hears_what_gstreamer_publishes(
    server: Server, start: Callable[..., subprocess.Popen[str]], open_page: Callable[[str], Page]
) -> None:
    publisher = start("publish", f"{server.http}/whip/gst", token("gst", "gst"))
    wait_for_line(publisher, lambda line: line.startswith("negotiated"))
    viewer = open_page("/watch/?room=gst")
    wait_for_statistic(viewer, "video frames decoded", "Number(value) >= 30")
    wait_for_statistic(viewer, "video size", "value === '320x240'")
    hears(viewer, TONE_HZ)


@pytest.mark.browser
def test_gstreamer_decodes_what_chromium_publishes(
    server: Server, start: Callable[..., subprocess.Popen[str]], open_page: Callable[[str], Page]
) -> None:
    publisher = open_page("/publish/?room=togst&source=testcard&codec=VP8&width=640&height=360&fps=15&autostart=1")
    wait_for_statistic(publisher, "video frame rate", "parseFloat(value) > 1")
    viewer = start("watch", f"{server.http}/whep/togst", token("togst", "viewer"))
    # Chromium may begin with a smaller picture until its estimate of the bandwidth allows the whole.
    wait_for_line(viewer, lambda line: line.startswith("decoded 640x360") and int(line.split()[2]) >= 20)


def test_the_rsa_certificate_that_gstreamer_makes_itself_is_refused_by_name(
    server: Server, start: Callable[..., subprocess.Popen[str]]
) -> None:
    counted = 'roomtone_ended_total{reason="certificate_unsupported"} 1.0'

    def page() -> str:
        return httpx.get(f"http://{server.ready['metrics'][0]}/metrics", timeout=PATIENCE_S).text

    assert counted not in page()
    publisher = start("publish", f"{server.http}/whip/rsa", token("rsa", "gst"), makes_its_own=True)
    wait_for_line(publisher, lambda line: line.startswith("negotiated"))
    until(lambda: counted in page(), "the refusal")
    assert server.room("rsa", "/tracks") == []
