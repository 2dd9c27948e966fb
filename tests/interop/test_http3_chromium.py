"""Chromium loads the page of a live stream by HTTP/3, and plays it so."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import PATIENCE_S, Server, start_server, stop_server, until
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from glass import glass
from playwright.sync_api import Page, sync_playwright

pytestmark = [pytest.mark.alone, pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quic")


@pytest.fixture(scope="module")
def origin(data_dir: Path) -> Iterator[Server]:
    running = start_server(data_dir)
    with glass(running.ready["rtmp"][0], "glass"):
        until(lambda: httpx.get(f"{running.http}/live/glass/index.m3u8", timeout=PATIENCE_S).is_success, "a stream")
        yield running
    stop_server(running)


def key_hash(certificate: Path) -> str:
    """What Chromium calls a certificate's key: SHA-256 of its SubjectPublicKeyInfo."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    told = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(told).digest()).decode()


@pytest.fixture
def page(origin: Server, data_dir: Path) -> Iterator[Page]:
    """A page of a browser that speaks nothing but QUIC with the server."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--autoplay-policy=no-user-gesture-required",
                "--enable-quic",
                f"--origin-to-force-quic-on={origin.ready['https'][0]}",
                f"--ignore-certificate-errors-spki-list={key_hash(data_dir / 'tls' / 'self-signed.crt')}",
            ],
        )
        yield chromium.new_page()
        chromium.close()


@pytest.mark.parametrize("seconds", [8, pytest.param(120, marks=pytest.mark.long)])
def test_a_live_stream_is_played_by_http3(origin: Server, page: Page, seconds: int) -> None:
    page.goto(f"https://{origin.ready['https'][0]}/play/?room=glass")
    page.wait_for_function(
        "document.querySelector('[data-status]')?.textContent === 'Live.'", timeout=PATIENCE_S * 1000
    )
    began = page.evaluate("document.querySelector('video').currentTime")
    page.wait_for_function(
        "until => document.querySelector('video').currentTime >= until",
        arg=began + seconds,
        timeout=(seconds + PATIENCE_S) * 1000,
    )
    stalls = page.evaluate("document.querySelector('[data-live=\"buffer-note\"]').textContent")
    # A busy machine may hold up a page at its start.
    assert seconds < 60 or stalls == "never stood still"
    fetched = "[one.name, one.responseStatus, one.nextHopProtocol]"
    loaded = page.evaluate(f"performance.getEntriesByType('resource').map(one => {fetched})")
    ours = [(status, by) for name, status, by in loaded if "/live/glass/" in name or "/assets/" in name]
    # What the player gave up before it was answered has no status and no protocol.
    assert {by for status, by in ours if status != 0} == {"h3"}, loaded
    assert sum(status == 0 for status, _ in ours) <= len(ours) // 100, loaded
    assert page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h3"
    counted = origin.metrics()
    assert counted["roomtone_front_requests_http3_total"] >= seconds
    assert counted["roomtone_front_quic_connections_total"] >= 1
