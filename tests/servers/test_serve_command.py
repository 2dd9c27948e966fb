"""`roomtone serve` as a process of its own, with the real engine and front door."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.sync.client import connect

from roomtone.control.policy import KeyTable, VideoGrants

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)

SOURCE = Path(__file__).parents[2] / "src"
READY = re.compile(r"Roomtone is ready after [\d.]+ s: (http://\S+)/")


def command(tmp_path: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ROOMTONE_")}
    environment = clean | {
        "PYTHONPATH": str(SOURCE),
        "ROOMTONE_HTTP__LISTEN": "127.0.0.1:0",
        "ROOMTONE_HTTP__TLS_LISTEN": "127.0.0.1:0",
        "ROOMTONE_METRICS__LISTEN": "127.0.0.1:0",
        "ROOMTONE_SIP__UDP_LISTEN": "127.0.0.1:0",
        "ROOMTONE_SRT__LISTEN": "127.0.0.1:0",
        "ROOMTONE_RTP_INGEST__LISTEN": "127.0.0.1:0",
        "ROOMTONE_RTMP__LISTEN": "127.0.0.1:0",
        "ROOMTONE_RTMPS__LISTEN": "127.0.0.1:0",
        "ROOMTONE_SIP__TCP_LISTEN": "127.0.0.1:0",
        "ROOMTONE_SIP__TLS_LISTEN": "127.0.0.1:0",
        "ROOMTONE_WEBRTC__PORTS": "0-0",
        "ROOMTONE_LOG__FORMAT": "json",
        "ROOMTONE_ENGINE__SHARDS": "1",
    }
    line = [sys.executable, "-m", "roomtone.app.main", "serve", "--dev", "--data-dir", str(tmp_path / "data")]
    return [*line, *arguments], environment


@contextmanager
def running(tmp_path: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    line, environment = command(tmp_path, *arguments)
    tmp_path.mkdir(exist_ok=True)
    log = (tmp_path / "log").open("w")
    with log, subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            ready = READY.match(first)
            assert ready, first + (tmp_path / "log").read_text()
            yield process, ready[1]
        finally:
            if process.poll() is None:
                process.kill()


def refused(tmp_path: Path, **more: str) -> str:
    """Run a server that cannot start; its one line of complaint."""
    line, environment = command(tmp_path)
    done = subprocess.run(line, env=environment | more, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 2, done.stderr
    complaints = [text for text in done.stderr.splitlines() if text.startswith("roomtone: ")]
    assert len(complaints) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return complaints[0]


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - loopback
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_server_serves_and_ends_well_on_sigterm(tmp_path: Path) -> None:
    with running(tmp_path) as (process, url):
        assert get(f"{url}/readyz") == (200, "ready\n")
        assert get(f"{url}/metrics")[0] == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    log = (tmp_path / "log").read_text()
    assert '"event": "stopped"' in log
    assert "Traceback" not in log


def test_who_holds_a_websocket_is_told_of_the_restart_and_does_not_hold_it_up(tmp_path: Path) -> None:
    with running(tmp_path) as (process, url):
        address = url.replace("http://", "ws://") + "/socket.io/?EIO=4&transport=websocket"
        with connect(address) as held:
            assert str(held.recv(timeout=20)).startswith("0{")
            process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as ended:
                held.recv(timeout=20)
            assert ended.value.rcvd is not None
            assert ended.value.rcvd.code == CloseCode.SERVICE_RESTART
        assert process.wait(timeout=20) == 0


def test_sigint_ends_it_too(tmp_path: Path) -> None:
    with running(tmp_path) as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0


def test_a_self_signed_certificate_is_made_and_kept(tmp_path: Path) -> None:
    with running(tmp_path) as (process, _):
        made = {path.name: path.read_bytes() for path in (tmp_path / "data" / "tls").iterdir()}
        process.terminate()
        process.wait(timeout=20)
    assert made
    with running(tmp_path) as (process, _):
        again = {path.name: path.read_bytes() for path in (tmp_path / "data" / "tls").iterdir()}
    assert again == made


def test_a_configured_port_in_use_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert address in refused(tmp_path, ROOMTONE_HTTP__LISTEN=address)
        assert address in refused(tmp_path, ROOMTONE_METRICS__LISTEN=address)


def test_a_file_that_is_no_certificate_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    rubbish = tmp_path / "cert.pem"
    rubbish.write_text("this is no certificate")
    complaint = refused(tmp_path, ROOMTONE_HTTP__CERT=str(rubbish), ROOMTONE_HTTP__KEY=str(rubbish))
    assert str(rubbish) in complaint


def test_a_data_directory_in_the_way_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    assert "--data-dir" in refused(tmp_path)


def test_a_database_that_cannot_be_reached_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    complaint = refused(tmp_path, ROOMTONE_DATABASE__URL="postgresql://me:hush@127.0.0.1:1/rooms")
    assert "postgresql://127.0.0.1:1/rooms" in complaint
    assert "hush" not in complaint


def test_a_key_file_that_others_may_read_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("x")
    file.chmod(0o644)
    assert "chmod 600" in refused(tmp_path, ROOMTONE_ACCOUNTS__KEY_FILE=str(file))


@pytest.mark.timeout(180)  # two starts and a real bcrypt, whatever else the machine does
def test_the_first_start_shows_a_key_and_a_password_once_which_work(tmp_path: Path) -> None:
    line, environment = command(tmp_path)
    line.remove("--dev")
    shown = []
    for _ in range(2):
        with subprocess.Popen(
            line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            ready = READY.match(process.stdout.readline())
            assert ready
            if not shown:
                shown = [process.stdout.readline().split()[-1] for _ in range(4)]
                key, secret, username, password = shown
                assert process.stdout.readline() == "This is shown once: keep it now.\n"
            body = json.dumps({"login": username, "password": password}).encode()
            headers = {"Content-Type": "application/json"}
            login = urllib.request.Request(f"{ready[1]}/api/v1/auth/login", body, headers)  # noqa: S310 - loopback
            with urllib.request.urlopen(login, timeout=40) as answer:  # noqa: S310 - likewise
                assert json.load(answer)["account"]["role"] == "admin"
            token = KeyTable({key: secret}).sign(key, "", VideoGrants(room_list=True), time.time())
            rooms = urllib.request.Request(f"{ready[1]}/api/v1/rooms", headers={"Authorization": f"Bearer {token}"})  # noqa: S310
            with urllib.request.urlopen(rooms, timeout=40) as answer:  # noqa: S310 - likewise
                assert json.load(answer) == []
            process.terminate()
            rest = process.stdout.read()
            assert process.wait(timeout=40) == 0
        assert rest == "", "the second start shows neither again"
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
    assert secret.encode() not in kept
    assert password.encode() not in kept


def test_the_demo_prints_the_address_of_its_page_and_its_worker_ends_with_a_server_that_is_killed(
    tmp_path: Path,
) -> None:
    with running(tmp_path, "--demo") as (process, address):
        assert process.stdout is not None
        assert process.stdout.readline() == f"Watch the test picture: {address}/watch/?room=demo\n"
        assert get(f"{address}/watch/?room=demo")[0] == 200
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        commands = sorted(Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[2] for child in children)
        assert commands == [b"roomtone.workers.livecard"], "one source for the room and for the live stream"
        descriptors = [os.pidfd_open(int(child)) for child in children]
        process.kill()
        process.wait(timeout=20)
        for descriptor in descriptors:
            ready, _, _ = select.select([descriptor], [], [], 20)
            os.close(descriptor)
            assert ready, "a worker outlived its server"


def test_https_answers_with_the_certificate_of_the_data_directory(tmp_path: Path) -> None:
    with running(tmp_path):
        log = (tmp_path / "log").read_text()
        found = re.search(r'"https": \["(127\.0\.0\.1:\d+)"', log)
        assert found, log
        host, _, port = found[1].rpartition(":")
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with socket.create_connection((host, int(port)), 10) as raw, context.wrap_socket(raw) as secure:
            secure.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert secure.recv(4096).startswith(b"HTTP/1.1 200")


def served_certificate(log: str) -> bytes:
    """The certificate that HTTPS shows now, and RTMPS too."""
    shown = set()
    for name in ("https", "rtmps"):
        found = re.search(rf'"{name}": \["(127\.0\.0\.1):(\d+)"', log)
        assert found, log
        shown.add(ssl.get_server_certificate((found[1], int(found[2])), timeout=10).encode())
    (one,) = shown
    return one


def lines_until(stream: IO[str], wanted: str) -> str:
    """What comes out up to a line with this text; the test's time limit ends a wait in vain."""
    seen = []
    for line in stream:
        seen.append(line)
        if wanted in line:
            return "".join(seen)
    raise AssertionError("".join(seen))


@contextmanager
def watched(tmp_path: Path, **more: str) -> Iterator[tuple[subprocess.Popen[str], IO[str], str]]:
    """A ready server whose log is read as it comes; and the log until it was ready."""
    line, environment = command(tmp_path)
    with subprocess.Popen(
        line, env=environment | more, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            yield process, process.stderr, lines_until(process.stderr, '"event": "ready"')
        finally:
            if process.poll() is None:
                process.kill()


def test_sighup_reads_the_certificate_again_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "first"), running(tmp_path / "second"):
        pass  # two self-signed pairs
    pairs = [tmp_path / name / "data" / "tls" for name in ("first", "second")]
    used = {"cert": tmp_path / "cert.pem", "key": tmp_path / "key.pem"}

    def use(pair: Path) -> bytes:
        made = {"cert" if "BEGIN CERTIFICATE" in path.read_text() else "key": path for path in pair.iterdir()}
        for name, path in used.items():
            path.write_bytes(made[name].read_bytes())
        return ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(made["cert"].read_text())).encode()

    first = use(pairs[0])
    settings = {"ROOMTONE_HTTP__CERT": str(used["cert"]), "ROOMTONE_HTTP__KEY": str(used["key"])}
    with watched(tmp_path, **settings) as (process, log, begun):
        assert served_certificate(begun) == first
        second = use(pairs[1])
        process.send_signal(signal.SIGHUP)
        lines_until(log, '"event": "the certificate was read again"')
        assert served_certificate(begun) == second
        used["cert"].write_text("rubbish")
        process.send_signal(signal.SIGHUP)
        complaint = lines_until(log, '"event": "the certificate is not changed: the new one is bad"')
        assert str(used["cert"]) in complaint
        assert served_certificate(begun) == second
        process.terminate()
        assert process.wait(timeout=20) == 0


def test_a_second_sigterm_ends_it_at_once(tmp_path: Path) -> None:
    with watched(tmp_path) as (process, log, begun):
        found = re.search(r'"http": \["(127\.0\.0\.1):(\d+)"', begun)
        assert found, begun
        with socket.create_connection((found[1], int(found[2])), 10) as stuck:
            # A request whose body never comes holds the orderly stop up.
            token = KeyTable({"devkey": "secret"}).sign(
                "devkey", "a", VideoGrants(room="r", room_join=True), time.time()
            )
            head = [
                "POST /whip/r HTTP/1.1",
                "Host: x",
                f"Authorization: Bearer {token}",
                "Content-Type: application/sdp",
                "Content-Length: 9",
                "Expect: 100-continue",
            ]
            stuck.sendall("\r\n".join([*head, "", ""]).encode())
            assert stuck.recv(100).startswith(b"HTTP/1.1 100 ")
            process.send_signal(signal.SIGTERM)
            lines_until(log, '"event": "stopping"')
            process.send_signal(signal.SIGTERM)
            rest = log.read()
            assert process.wait(timeout=20) == 130
    assert "second signal, ending at once" in rest
    assert '"event": "stopped"' not in rest
