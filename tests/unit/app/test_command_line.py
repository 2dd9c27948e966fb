from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roomtone.app.errors import StartError
from roomtone.app.main import app, make_token, parse_duration
from roomtone.config import Settings, load_settings
from roomtone.control.policy import KeyTable, VideoGrants

SECRET = "0123456789abcdef0123456789abcdef"
SOURCE = Path(__file__).parents[3] / "src"


def roomtone(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ROOMTONE_")}
    return subprocess.run(
        [sys.executable, "-m", "roomtone.app.main", *arguments],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env=clean | {"PYTHONPATH": str(SOURCE)} | environment,
    )


def command(*arguments: str) -> str:
    """Run a command in this process; what it prints."""
    done = CliRunner().invoke(app, arguments)
    if done.exception is not None:
        raise done.exception
    return done.output


def test_version_names_version_and_engine() -> None:
    done = roomtone("version")
    assert done.returncode == 0
    assert done.stdout.startswith("roomtone ")
    assert "engine:" in done.stdout


def test_the_sample_is_printed_and_checks_out(tmp_path: Path) -> None:
    file = tmp_path / "roomtone.toml"
    file.write_text(roomtone("config", "sample").stdout)
    assert load_settings(file) == Settings()
    done = roomtone("config", "check", "--config", str(file))
    assert (done.returncode, done.stdout) == (0, "the settings are good\n")


def test_a_bad_setting_is_one_line_with_its_place_and_exit_code_2(tmp_path: Path) -> None:
    file = tmp_path / "roomtone.toml"
    file.write_text("[rooms]\nmax_romes = 3\n")
    done = roomtone("serve", "--config", str(file))
    assert done.returncode == 2
    assert done.stderr == f"roomtone: {file}:2: unknown key rooms.max_romes (did you mean max_rooms?)\n"


def test_the_settings_in_force_are_shown_without_secrets_and_can_be_read_back(tmp_path: Path) -> None:
    file = tmp_path / "roomtone.toml"
    file.write_text(f'[keys]\nmine = "{SECRET}"\n[[ice.servers]]\nurls = ["turn:t"]\nsecret = "{SECRET}"\n')
    shown = roomtone("config", "show", "--config", str(file), ROOMTONE_ROOMS__MAX_ROOMS="7").stdout
    assert SECRET not in shown
    assert "max_rooms = 7" in shown
    again = tmp_path / "again.toml"
    again.write_text(shown.replace("**********", SECRET))
    assert load_settings(again) == load_settings(file, {"ROOMTONE_ROOMS__MAX_ROOMS": "7"})


def test_a_token_opens_its_room_with_the_grants_asked_for() -> None:
    done = roomtone("token", "create", "--dev", "--room", "demo", "--identity", "ada", "--no-publish", "--ttl", "90s")
    assert done.returncode == 0, done.stderr
    token = KeyTable({"devkey": "secret"}).verify(done.stdout.strip(), time.time())
    assert (token.identity, token.grants.room, token.grants.room_join) == ("ada", "demo", True)
    assert (token.grants.can_publish, token.grants.can_subscribe) == (False, True)
    assert token.expires_at is not None
    assert 0 < token.expires_at - time.time() <= 90


def test_an_administrators_token_says_so_and_others_do_not() -> None:
    for more, administers in (["--admin"], True), ([], False):
        done = roomtone("token", "create", "--dev", "--room", "demo", "--identity", "ada", *more)
        assert KeyTable({"devkey": "secret"}).verify(done.stdout.strip(), time.time()).grants.room_admin is administers


def token(settings: Settings, *, room: str = "r", identity: str = "i", ttl: str = "6h", key: str | None = None) -> str:
    return make_token(settings, identity, VideoGrants(room=room, room_join=True), ttl=ttl, key=key)


def test_a_token_is_signed_with_the_key_that_is_named() -> None:
    settings = Settings.model_validate({"keys": {"one": "1" + SECRET, "two": "2" + SECRET}})
    assert KeyTable(settings.api_keys).verify(token(settings, key="two"), time.time()).key == "two"
    assert KeyTable(settings.api_keys).verify(token(settings), time.time()).key == "one"


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"room": "a room"}, "cannot name a room"),
        ({"identity": ""}, "identity is empty"),
        ({"ttl": "tomorrow"}, "no duration"),
        ({"ttl": "9999d"}, "max_token_ttl_s"),
        ({"key": "three"}, "no key 'three'"),
        ({"room": ""}, "would open nothing"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused_with_the_reason(wrong: dict[str, str], hint: str) -> None:
    settings = Settings.model_validate({"keys": {"one": "1" + SECRET}})
    with pytest.raises(StartError, match=hint):
        token(settings, **wrong)


def test_without_keys_the_way_out_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    done = roomtone("token", "create", "--room", "r", "--identity", "i", "--data-dir", str(tmp_path))
    assert done.returncode == 2
    for way_out in ("[keys]", "keys create", "--dev"):
        assert way_out in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_grant_can_be_asked_for() -> None:
    arguments = ["--room", "demo", "--identity", "ada", "--no-publish", "--no-subscribe", "--data", "--admin"]
    arguments += ["--sources", "camera, Microphone", "--update-metadata", "--hidden", "--recorder", "--agent"]
    arguments += ["--list", "--create", "--record", "--ingress", "--name", "Ada", "--metadata", "m"]
    token = KeyTable({"devkey": "secret"}).verify(command("token", "create", "--dev", *arguments).strip(), time.time())
    assert (token.identity, token.name, token.metadata) == ("ada", "Ada", "m")
    assert token.grants == VideoGrants(
        room="demo",
        room_join=True,
        can_publish=False,
        can_subscribe=False,
        can_publish_data=True,
        can_publish_sources=("camera", "microphone"),
        can_update_own_metadata=True,
        room_create=True,
        room_list=True,
        room_record=True,
        room_admin=True,
        ingress_admin=True,
        hidden=True,
        recorder=True,
        agent=True,
    )
    assert not token.administers_sip


def test_a_token_for_phones_needs_no_room() -> None:
    made = command("token", "create", "--dev", "--sip-admin", "--sip-call").strip()
    token = KeyTable({"devkey": "secret"}).verify(made, time.time())
    assert (token.administers_sip, token.calls_by_sip, token.identity) == (True, True, "")


def test_a_source_nobody_knows_is_refused() -> None:
    with pytest.raises(StartError, match="no source is called kamera"):
        command("token", "create", "--dev", "--room", "r", "--identity", "i", "--sources", "kamera")


def test_a_key_of_the_database_is_made_listed_signs_and_is_revoked(tmp_path: Path) -> None:
    at = ("--data-dir", str(tmp_path))
    made = roomtone("keys", "create", "--name", "bot-key", "--label", "a bot", *at)
    assert made.returncode == 0, made.stderr
    secret = made.stdout.split()[-1]
    assert made.stdout == f"key    bot-key\nsecret {secret}\n"
    token = command("token", "create", "--list", *at).splitlines()[-1]
    assert KeyTable({"bot-key": secret}).verify(token, time.time()).grants == VideoGrants(room_list=True)
    listed = command("keys", "list", *at)
    assert "bot-key" in listed
    assert "by command line, in force  a bot" in listed
    assert secret not in listed
    assert secret.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert "bot-key is revoked\n" in command("keys", "revoke", "bot-key", *at)
    assert "revoked" in command("keys", "list", *at)
    with pytest.raises(StartError, match="cannot be revoked"):
        command("keys", "revoke", "bot-key", *at)
    with pytest.raises(StartError, match="no key to sign with"):
        command("token", "create", "--list", *at)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("6h", 21_600), ("7d", 604_800)])
def test_durations_have_units(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-1h", "1w", "h", "\u0661s", "1.5h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(StartError):
        parse_duration(text)


def test_a_phone_account_is_made_listed_and_deleted_by_command(tmp_path: Path) -> None:
    at = ("--data-dir", str(tmp_path))
    command("sip", "account", "create", "1001", "--password", "quite-secret", "--media-security", "sdes", *at)
    listed = command("sip", "account", "list", *at)
    assert listed.startswith("1001  registered: 0, media security sdes")
    assert "quite-secret" not in listed
    assert b"quite-secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    again = roomtone("sip", "account", "create", "1001", "--password", "other", *at)
    assert again.returncode == 2
    assert "1001" in again.stderr
    command("sip", "account", "delete", "1001", *at)
    assert "1001" not in command("sip", "account", "list", *at)
