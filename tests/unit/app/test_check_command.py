"""`roomtone check-hls`: exit codes and what it prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from roomtone.app import check_command
from roomtone.app.errors import StartError
from roomtone.checks.hls import RULES, Outcome, Verdict
from roomtone.checks.hls.seen import Rendition, Seen

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    async def observe(_client: object, url: str, _seconds: float, *, slack_s: float) -> Seen:
        return Seen(url, slack_s, renditions=[Rendition("http://test/a/index.m3u8")])

    def run(outcome: Outcome, *, as_json: bool = False) -> int:
        monkeypatch.setattr(check_command, "observe", observe)
        monkeypatch.setattr(check_command, "judge", lambda _seen: [(rule, Verdict(outcome, "seen")) for rule in RULES])
        url = "http://test/index.m3u8"
        return check_command.check_hls(url, 1, as_json_=as_json, slack_ms=150, insecure=False, http1=True)

    return run


def test_the_exit_code_tells_whether_a_rule_failed(
    check: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(Outcome.PASS) == 0
    assert "51 pass, 0 fail, 0 not applicable" in capsys.readouterr().out
    assert check(Outcome.NOT_APPLICABLE) == 0
    assert check(Outcome.FAIL) == 1


def test_json_has_each_rule_with_its_evidence(check: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert check(Outcome.FAIL, as_json=True) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["counts"] == {"pass": 0, "fail": 51, "not applicable": 0}
    assert [rule["rule"] for rule in report["rules"]] == list(range(1, 52))
    assert {rule["evidence"] for rule in report["rules"]} == {"seen"}


def test_without_a_playlist_nothing_is_judged() -> None:
    with pytest.raises(StartError, match="ConnectError"):
        check_command.check_hls(
            "http://127.0.0.1:1/index.m3u8", 1, as_json_=False, slack_ms=150, insecure=False, http1=True
        )
