"""The sources keep to the house rules that no linter knows."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PURE = ("rtp", "srtp", "webrtc", "sfu", "bandwidth", "netem", "audio", "frames", "mpegts", "hls", "rtmp", "srt")
# Pure crate → its one file around a library in C; the workspace denies unsafe code elsewhere.
AROUND_C = {"audio": "src/codec/opus/sys.rs"}
UNFINISHED = re.compile(r"todo!\(|unimplemented!\(|NotImplementedError|\bTODO\b|\bFIXME\b|\bXXX\b|\bHACK\b")
SLEEPS = re.compile(r"time\.sleep\(|asyncio\.sleep\([1-9]|thread::sleep")
LONGEST = 600


def sources(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern) if "node_modules" not in path.parts)


CODE = sources("crates/**/*.rs", "src/**/*.py", "web/src/**/*.ts*", "tools/*", "benches/**/*.py", "benches/**/*.rs")


def test_nothing_is_left_unfinished_in_words() -> None:
    assert [str(path.relative_to(ROOT)) for path in CODE if UNFINISHED.search(path.read_text())] == []


def test_no_file_has_grown_into_a_hub() -> None:
    assert {
        str(path.relative_to(ROOT)): n for path in CODE if (n := len(path.read_text().splitlines())) > LONGEST
    } == {}


def test_no_name_says_nothing() -> None:
    vague = re.compile(r"(^|_)(manager|helpers?|utils?|misc|common)(_|$)")
    assert [str(path.relative_to(ROOT)) for path in CODE if vague.search(path.stem)] == []


def test_no_two_test_modules_have_one_name() -> None:
    # Test folders are no packages: pytest collects neither of two modules with the same name, and runs nothing at all.
    names = Counter(path.name for path in sources("tests/**/*.py") if path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []


def test_tests_do_not_sleep() -> None:
    # Under tests/sim the loop's clock is virtual: sleeping there takes no time.
    tests = [path for path in sources("tests/**/*.py", "crates/*/tests/**/*.rs") if "sim" not in path.parts]
    assert [
        str(path.relative_to(ROOT)) for path in tests if path != Path(__file__) and SLEEPS.search(path.read_text())
    ] == []


@pytest.mark.parametrize("crate", PURE)
def test_a_pure_crate_has_no_unsafe_code_and_reads_no_clock(crate: str) -> None:
    root = ROOT / "crates" / crate
    if allowed := AROUND_C.get(crate):
        unsafe = {str(path.relative_to(root)) for path in root.rglob("*.rs") if "allow(unsafe_code" in path.read_text()}
        assert unsafe == {allowed}
    else:
        assert "#![forbid(unsafe_code)]" in (root / "src/lib.rs").read_text()
    refused = (root / "clippy.toml").read_text()
    clocks = ("std::time::Instant::now", "std::time::Instant::elapsed", "std::time::SystemTime::now")
    for name in (*clocks, "std::net::UdpSocket", "std::net::TcpStream"):
        assert f'"{name}"' in refused


def test_only_the_facade_imports_the_engine() -> None:
    importing = re.compile(r"(from|import) +roomtone\._core|from +roomtone +import +_core|\"roomtone\._core\"")
    found = {path.relative_to(ROOT).parts[2] for path in sources("src/**/*.py") if importing.search(path.read_text())}
    assert found == {"media"}
