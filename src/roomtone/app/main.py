"""The command line."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from roomtone.app.build import engine_profile, version
from roomtone.app.errors import EXIT_USAGE, StartError
from roomtone.config import ConfigError, Settings, load_settings, toml_value
from roomtone.config import sample as write_sample
from roomtone.control.policy import KeyTable, VideoGrants

app = typer.Typer(
    name="roomtone",
    help="One media server for phone calls, browser rooms and live streams.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Look at the settings.", no_args_is_help=True)
token_app = typer.Typer(help="Make access tokens.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(token_app, name="token")

ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file with settings.", show_default=False)]
Dev = Annotated[bool, typer.Option("--dev", help="Development: loopback only, key devkey/secret.")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Directory for data.", show_default=False)]


def main() -> None:
    """Run the program; problems of the user are one line and exit code 2."""
    try:
        app()
    except (ConfigError, StartError) as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"roomtone: {line}\n")
        sys.exit(EXIT_USAGE)


@app.command()
def serve(
    config: ConfigFile = None,
    dev: Dev = False,
    data_dir: DataDir = None,
    demo: Annotated[bool, typer.Option("--demo", help="Keep a room `demo` with a test picture and a tone.")] = False,
) -> None:
    """Run the server until SIGTERM or SIGINT; a second one ends it at once. SIGHUP reads the certificate again."""
    from roomtone.app.run import run  # noqa: PLC0415 - other commands need not load the server

    settings = _load(config, dev=dev, data_dir=data_dir, demo=demo)
    run(settings)


@app.command("version")
def show_version() -> None:
    """Print the version and how the media engine is built."""
    typer.echo(f"roomtone {version()} (engine: {engine_profile()}, Python {sys.version.split()[0]})")


@config_app.command("check")
def check(config: ConfigFile = None, dev: Dev = False) -> None:
    """Check a file and the environment; exit code 2 names each problem with its place."""
    _load(config, dev=dev)
    typer.echo("the settings are good")


@config_app.command("show")
def show(config: ConfigFile = None, dev: Dev = False, data_dir: DataDir = None) -> None:
    """Print the settings in force; secrets are masked."""
    settings = _load(config, dev=dev, data_dir=data_dir)
    for line in _toml_lines(settings.model_dump(mode="json")):
        typer.echo(line)


@config_app.command("sample")
def sample() -> None:
    """Print a commented file with every setting and its default."""
    typer.echo(write_sample(), nl=False)


@token_app.command("create")
def create_token(  # noqa: PLR0917 - typer calls it by keyword
    room: Annotated[str, typer.Option("--room", help="Room the token is for.")],
    identity: Annotated[str, typer.Option("--identity", help="Who the bearer is in the room.")],
    publish: Annotated[bool, typer.Option("--publish/--no-publish", help="May publish.")] = True,
    subscribe: Annotated[bool, typer.Option("--subscribe/--no-subscribe", help="May watch.")] = True,
    admin: Annotated[bool, typer.Option("--admin", help="May administer the room by the API.")] = False,
    ttl: Annotated[str, typer.Option("--ttl", help="Life of the token: 90s, 30m, 6h, 7d.")] = "6h",
    key: Annotated[str | None, typer.Option("--key", help="Name of the key; default: the first one.")] = None,
    config: ConfigFile = None,
    dev: Dev = False,
) -> None:
    """Print a signed token for one room."""
    settings = _load(config, dev=dev)
    grants = VideoGrants(room=room, room_join=True, can_publish=publish, can_subscribe=subscribe, room_admin=admin)
    typer.echo(make_token(settings, identity, grants, ttl=ttl, key=key))


def make_token(settings: Settings, identity: str, grants: VideoGrants, *, ttl: str, key: str | None) -> str:
    """Sign a token with a key of the settings; raise `StartError` with the way out when it cannot be done."""
    from roomtone.control.rooms import is_room_name  # noqa: PLC0415 - as in `serve`

    keys = settings.api_keys
    if not keys:
        raise StartError("there is no key to sign with: add one to [keys] and give --config, or use --dev")
    chosen = key or next(iter(keys))
    if chosen not in keys:
        raise StartError(f"there is no key {chosen!r} in [keys]")
    if not is_room_name(grants.room):
        raise StartError(f"{grants.room!r} cannot name a room: use 1 to 64 letters, digits, '.', '_' or '-'")
    if not identity:
        raise StartError("the identity is empty: say who the bearer is")
    lifetime = parse_duration(ttl)
    longest = settings.limits.max_token_ttl_s
    if lifetime > longest:
        raise StartError(f"--ttl {ttl} is longer than limits.max_token_ttl_s ({longest} s)")
    return KeyTable(keys).sign(chosen, identity, grants, time.time(), lifetime)


def parse_duration(text: str) -> int:
    """Read ``90``, ``90s``, ``30m``, ``6h`` or ``7d`` as seconds; raise `StartError`."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    number, unit = (text[:-1], text[-1]) if text and text[-1] in units else (text, "s")
    if not (number.isascii() and number.isdecimal()) or int(number) == 0:
        raise StartError(f"{text!r} is no duration: write 90s, 30m, 6h or 7d")
    return int(number) * units[unit]


def _load(config: Path | None, *, dev: bool = False, data_dir: Path | None = None, demo: bool = False) -> Settings:
    server: dict[str, Any] = {}
    if dev:
        server["dev"] = True
    if demo:
        server["demo"] = True
    if data_dir is not None:
        server["data_dir"] = str(data_dir)
    return load_settings(config, os.environ, {"server": server} if server else {})


def _toml_lines(tree: dict[str, Any], path: str = "") -> list[str]:
    pairs = {key: value for key, value in tree.items() if not isinstance(value, dict)}
    lines = [f"\n[{path}]"] if path else []
    for key, value in pairs.items():
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for item in value:
                lines += [f"\n[[{path}.{key}]]", *_toml_lines(item)]
        elif value is not None:
            lines.append(f"{key if key.isidentifier() else json.dumps(key)} = {toml_value(value)}")
    for key, value in tree.items():
        if isinstance(value, dict):
            lines += _toml_lines(value, f"{path}.{key}" if path else key)
    return lines


if __name__ == "__main__":
    main()
