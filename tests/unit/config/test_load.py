from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from pydantic import ValidationError

from roomtone.config import Address, ConfigError, PortRange, Settings, load_settings, sample
from roomtone.config.sip import SrtpSuite
from roomtone.protocols.sdp.crypto import OFFERED, SUITES


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "roomtone.toml"
    path.write_text(text)
    return path


def problem(file: Path | None = None, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environment)
    return str(caught.value)


def test_without_any_source_the_defaults_hold() -> None:
    settings = load_settings()
    assert settings == Settings()
    assert settings.webrtc.ports == PortRange(40_000, 40_099)
    assert settings.metrics.listen == Address("127.0.0.1", 9091)


def test_data_is_kept_where_the_desktop_says_and_below_the_home_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("XDG_DATA_HOME", "/srv/data")
    assert Settings().server.data_path == Path("/srv/data/roomtone")
    monkeypatch.setenv("XDG_DATA_HOME", "")
    assert Settings().server.data_path == Path("/home/ada/.local/share/roomtone")


def test_flags_go_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, '[http]\nlisten = ["127.0.0.1:1"]\n[webrtc]\nports = "1000-1001"\n[log]\nlevel = "debug"\n')
    settings = load_settings(
        file,
        {"ROOMTONE_HTTP__LISTEN": "127.0.0.1:2,[::1]:2", "ROOMTONE_WEBRTC__PORTS": "2000-2001"},
        {"webrtc": {"ports": "3000-3001"}},
    )
    assert settings.http.listen == (Address("127.0.0.1", 2), Address("::1", 2))
    assert settings.webrtc.ports == PortRange(3000, 3001)
    assert settings.log.level == "debug"


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    file = write(tmp_path, "[rooms]\nmax_rooms = 3\n")
    assert load_settings(environment={"ROOMTONE_CONFIG": str(file)}).rooms.max_rooms == 3


def test_an_unknown_key_names_file_line_and_what_was_meant(tmp_path: Path) -> None:
    file = write(tmp_path, "[server]\ndev = false\n\n[http]\n# a comment\nlisen = []\n")
    assert problem(file) == f"{file}:6: unknown key http.lisen (did you mean listen?)"


def test_an_unknown_section_names_its_line(tmp_path: Path) -> None:
    file = write(tmp_path, "[log]\n\n[htp]\nlisten = []\n")
    assert problem(file) == f"{file}:3: unknown key htp (did you mean http?)"


def test_a_dotted_key_in_a_nested_table_is_found(tmp_path: Path) -> None:
    file = write(tmp_path, "[http]\nlimits.max_body_bytes = 5\nlimits.max_bodies = 6\n")
    assert problem(file).startswith(f"{file}:3: unknown key http.limits.max_bodies")


def test_a_wrong_value_names_its_line(tmp_path: Path) -> None:
    file = write(tmp_path, '[webrtc]\n\nports = "9-1"\n')
    assert problem(file).startswith(f"{file}:3: webrtc.ports:")


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    file = write(tmp_path, "[rooms]\nmax_rooms = 0\nmax_moons = 1\n")
    assert len(problem(file).splitlines()) == 2


def test_an_unknown_environment_variable_is_named() -> None:
    text = problem(environment={"ROOMTONE_HTTP__LISEN": "x"})
    assert text == "environment variable ROOMTONE_HTTP__LISEN: unknown key http.lisen (did you mean listen?)"


def test_a_single_underscore_in_the_environment_is_an_error_with_the_right_name() -> None:
    assert "ROOMTONE_HTTP__LISTEN" in problem(environment={"ROOMTONE_HTTP_LISTEN": "127.0.0.1:1"})


def test_variables_of_others_are_left_alone() -> None:
    assert load_settings(environment={"ROOMTONE": "x", "PATH": "y", "ROOMTONE_TEST": "1"}) == Settings()


def test_a_file_that_is_missing_or_no_toml_says_so(tmp_path: Path) -> None:
    assert "cannot be read" in problem(tmp_path / "none.toml")
    assert "is not TOML" in problem(write(tmp_path, "[http"))


@pytest.mark.parametrize("address", ["8080", "localhost", "::1:80", "host:70000", "host:x", ":80"])
def test_what_is_no_address_is_refused(address: str) -> None:
    assert "no address" in problem(environment={"ROOMTONE_METRICS__LISTEN": address})


def test_metrics_are_switched_off_by_an_empty_address() -> None:
    assert load_settings(environment={"ROOMTONE_METRICS__LISTEN": ""}).metrics.listen is None


def test_certificate_and_key_belong_together() -> None:
    assert "cert and key belong together" in problem(environment={"ROOMTONE_HTTP__CERT": "/c.pem"})


def test_the_suites_of_srtp_are_those_there_are_and_the_default_is_what_is_offered(tmp_path: Path) -> None:
    assert {suite.value for suite in SrtpSuite} == set(SUITES)
    assert tuple(suite.value for suite in Settings().sip.srtp_suites) == OFFERED
    chosen = load_settings(write(tmp_path, '[sip]\nsrtp_suites = ["F8_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"]\n'))
    assert chosen.sip.srtp_suites == (SrtpSuite.F8_128_HMAC_SHA1_80, SrtpSuite.AEAD_AES_128_GCM)


@pytest.mark.parametrize(
    ("suites", "why"), [([], "each once"), (["AEAD_AES_128_GCM"] * 2, "each once"), (["X"], "be 'AEAD")]
)
def test_suites_of_srtp_that_cannot_be_offered_are_refused(suites: list[str], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Settings.model_validate({"sip": {"srtp_suites": suites}})


def test_short_secrets_are_refused_and_never_printed(tmp_path: Path) -> None:
    text = problem(write(tmp_path, '[keys]\nmine = "hunter2"\n'))
    assert "shorter than 32" in text
    assert "hunter2" not in text


def test_secrets_do_not_show_in_a_dump() -> None:
    secret = "correct horse battery staple of forty"
    settings = Settings.model_validate({"keys": {"mine": secret}, "database": {"url": f"mysql://u:{secret}@h/d"}})
    assert secret not in str(settings)
    assert secret not in settings.model_dump_json()


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        ("secret", "shorter than 32"),
        ("0123456789abcdef" * 4, "published"),
        ("a secret of 32 characters or more, such as `openssl rand -hex 32` gives", "published"),
        ("changeme-changeme-changeme-changeme!", "placeholder"),
        ("x" * 40, "repeats itself"),
        ("password" * 5, "repeats itself"),
    ],
)
def test_secrets_that_everybody_knows_are_refused_without_dev(tmp_path: Path, secret: str, why: str) -> None:
    file = write(tmp_path, f'[keys]\nmine = "{secret}"\n')
    text = problem(file)
    assert why in text
    assert load_settings(file, {"ROOMTONE_SERVER__DEV": "true"}).api_keys["mine"] == secret


@pytest.mark.parametrize("name", ["devkey", "@account"])
def test_names_of_keys_that_have_a_meaning_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Settings.model_validate({"keys": {name: "correct horse battery staple of forty"}})


def test_mail_without_an_address_for_its_links_is_refused() -> None:
    assert "public_url" in problem(environment={"ROOMTONE_MAIL__HOST": "mx.example.org"})


def test_the_published_key_is_in_force_only_with_dev() -> None:
    assert Settings().api_keys == {}
    assert Settings.model_validate({"server": {"dev": True}}).api_keys == {"devkey": "secret"}


def test_turn_servers_take_either_way_of_credentials_but_not_both() -> None:
    server = {"urls": ["turn:t"], "secret": "x"}
    assert Settings.model_validate({"ice": {"servers": [server]}}).ice.servers[0].ttl_s == 86_400
    both = {"ROOMTONE_ICE__SERVERS": '[{"urls": ["turn:t"], "secret": "x", "username": "u", "credential": "c"}]'}
    assert "either" in problem(environment=both)


def test_the_sample_loads_and_equals_the_defaults(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, sample())) == Settings()


def test_every_setting_has_a_comment_in_the_sample() -> None:
    lines = sample().splitlines()
    for before, line in itertools.pairwise(lines):
        if line and not line.startswith("#"):
            assert before.startswith("#"), line


def test_bounds_of_a_line_in_the_wrong_order_are_refused() -> None:
    assert "must not go down" in problem(environment={"ROOMTONE_BANDWIDTH__START_BPS": "10000"})
    kalman = load_settings(environment={"ROOMTONE_BANDWIDTH__ARRIVAL_MODEL": "kalman"}).bandwidth
    assert kalman.arrival_model == "kalman"
