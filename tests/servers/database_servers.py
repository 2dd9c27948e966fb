"""Database servers of the machine's own packages, on private sockets in a temporary folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE_S = 40.0


def find(name: str, *folders: str) -> str | None:
    """A program on the path, or in folders that Debian keeps off it."""
    places = [Path(folder) for pattern in folders for folder in sorted(map(str, Path("/").glob(pattern)), reverse=True)]
    return shutil.which(name) or next((str(place / name) for place in places if (place / name).exists()), None)


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server; the URL of an empty database of it."""
    initdb, server = (find(name, "usr/lib/postgresql/*/bin") for name in ("initdb", "postgres"))
    if initdb is None or server is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    with folder() as (path, user):
        data = path / "data"
        locale = ["--locale=C.UTF-8", "--encoding=UTF8"]
        done = subprocess.run(
            [initdb, "--auth=trust", "--username=roomtone", "--no-sync", *locale, "--pgdata", str(data)],
            capture_output=True, text=True, check=False, cwd=path, **user,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        line = [server, "-D", str(data), "-k", str(path), "-c", "listen_addresses=", "-c", "fsync=off"]
        with running([*line, "-c", "max_connections=40"], path, user, lambda: _says_ready(data / "postmaster.pid")):
            yield f"postgresql://roomtone@/postgres?host={path}"


def _says_ready(pid_file: Path) -> bool:
    """The socket is there before the server takes connections; its last line of this file says when it does."""
    return pid_file.exists() and pid_file.read_text().rstrip().endswith("ready")


_MARIADB_TABLES = (
    "mysql_system_tables.sql",
    "mysql_performance_tables.sql",
    "mysql_system_tables_data.sql",
)


@contextmanager
def mariadb() -> Iterator[str]:
    """A MariaDB server; the URL of an empty database of it."""
    server, scripts = find("mariadbd", "usr/sbin"), Path("/usr/share/mysql")
    if server is None or not all((scripts / name).exists() for name in _MARIADB_TABLES):
        pytest.skip("MariaDB is not installed (Debian: mariadb-server-core)")
    with folder() as (path, user):
        data, socket = path / "data", path / "sql.sock"
        data.mkdir()
        if user:
            shutil.chown(data, "nobody", "nogroup")
        # What mariadb-install-db does, which itself needs programs of further packages.
        begin = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n"
        statements = begin + "".join((scripts / name).read_text() for name in _MARIADB_TABLES)
        line = [server, "--no-defaults", f"--datadir={data}", "--innodb-flush-log-at-trx-commit=0"]
        made = subprocess.run(
            [*line, "--bootstrap"],
            input=statements, capture_output=True, text=True, check=False, cwd=path, **user,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        init = path / "init.sql"
        init.write_text("CREATE DATABASE roomtone CHARACTER SET utf8mb4;\n")
        init.chmod(0o644)
        more = [f"--socket={socket}", "--skip-networking", f"--init-file={init}", f"--pid-file={path / 'pid'}"]
        with running([*line, *more], path, user, socket.exists):
            yield f"mysql://root@localhost/roomtone?unix_socket={socket}"


@contextmanager
def redis() -> Iterator[str]:
    """A Redis server; its URL."""
    server = find("redis-server")
    if server is None:
        pytest.skip("Redis is not installed (Debian: redis-server)")
    with folder() as (path, user):
        socket = path / "redis.sock"
        line = [server, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(path)]
        with running(line, path, user, socket.exists):
            yield f"unix://{socket}"


@contextmanager
def folder() -> Iterator[tuple[Path, dict[str, object]]]:
    """A short path (sockets have 107 characters), and whom to run as: these servers refuse root."""
    path = Path(tempfile.mkdtemp(prefix="rt-sql-"))
    user: dict[str, object] = {}
    if os.geteuid() == 0:
        user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(path, "nobody", "nogroup")
    try:
        yield path, user
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def running(line: list[str], path: Path, user: dict[str, object], ready: Callable[[], bool]) -> Iterator[None]:
    """A server process until the block ends."""
    log = path / "server.log"
    pause = threading.Event()
    with log.open("w") as out, subprocess.Popen(line, stdout=out, stderr=out, cwd=path, **user) as process:  # type: ignore[call-overload]
        try:
            end = time.monotonic() + PATIENCE_S
            while not ready():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                pause.wait(0.05)
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
