"""The command line."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from roomtone.app import keys_command, sip_command
from roomtone.app.build import engine_profile, version
from roomtone.app.errors import EXIT_USAGE, StartError
from roomtone.app.lean import without_unused
from roomtone.config import ConfigError, Settings, load_settings, toml_value
from roomtone.config import sample as write_sample
from roomtone.control.policy import KeyTable, VideoGrants
from roomtone.observe import configure_logs
from roomtone.protocols.sdp.telephony import MediaSecurity

app = typer.Typer(
    name="roomtone",
    help="One media server for phone calls, browser rooms and live streams.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Look at the settings.", no_args_is_help=True)
token_app = typer.Typer(help="Make access tokens.", no_args_is_help=True)
sip_app = typer.Typer(help="Phones.", no_args_is_help=True)
sip_account_app = typer.Typer(help="Accounts that phones register with.", no_args_is_help=True)
keys_app = typer.Typer(help="API keys of the database, which sign tokens.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(token_app, name="token")
app.add_typer(keys_app, name="keys")
app.add_typer(sip_app, name="sip")
sip_app.add_typer(sip_account_app, name="account")

ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file with settings.", show_default=False)]
Dev = Annotated[bool, typer.Option("--dev", help="Development: loopback only, key devkey/secret.")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Directory for data.", show_default=False)]


def main() -> None:
    """Run the program; problems of the user are one line and exit code 2."""
    gc.enable()  # off until everything was loaded
    # Standard output is for what a command prints; `serve` sets logs up by the settings.
    configure_logs("warning", "console")
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
    settings = _load(config, dev=dev, data_dir=data_dir, demo=demo)
    gc.disable()  # once the server is ready it settles how often cycles are looked for
    with without_unused():
        from roomtone.app.run import run  # noqa: PLC0415 - other commands need not load the server

    run(settings)


@app.command("version")
def show_version() -> None:
    """Print the version and how the media engine is built."""
    typer.echo(f"roomtone {version()} (engine: {engine_profile()}, Python {sys.version.split()[0]})")


@app.command("check-hls")
def check_hls(  # noqa: PLR0917 - typer calls it by keyword
    url: Annotated[str, typer.Argument(help="A playlist: http(s)://HOST/live/NAME/index.m3u8.")],
    seconds: Annotated[float, typer.Option("--seconds", help="How long to watch.", min=1)] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    slack_ms: Annotated[float, typer.Option("--slack-ms", help="What network and machine may add to times.")] = 150.0,
    insecure: Annotated[bool, typer.Option("--insecure", help="Believe any certificate.")] = False,
    http1: Annotated[bool, typer.Option("--http1", help="Speak HTTP/1.1 only.")] = False,
) -> None:
    """Judge any LL-HLS origin by fifty-one rules; exit code 1 where one failed."""
    from roomtone.app.check_command import check_hls as check_  # noqa: PLC0415 - as in `serve`

    code = check_(url, seconds, as_json_=as_json, slack_ms=slack_ms, insecure=insecure, http1=http1)
    if code:
        raise typer.Exit(code)


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


@keys_app.command("create")
def create_key(
    label: Annotated[str, typer.Option("--label", help="What the key is for.")] = "",
    name: Annotated[str | None, typer.Option("--name", help="Name of the key; default: one is made up.")] = None,
    config: ConfigFile = None,
    dev: Dev = False,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print its secret, this once."""
    for line in keys_command.create(_load(config, dev=dev, data_dir=data_dir), label, name):
        typer.echo(line)


@keys_app.command("list")
def list_keys(config: ConfigFile = None, dev: Dev = False, data_dir: DataDir = None) -> None:
    """Print all keys, without their secrets."""
    for line in keys_command.listing(_load(config, dev=dev, data_dir=data_dir)):
        typer.echo(line)


@keys_app.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(help="Name of the key.")],
    config: ConfigFile = None,
    dev: Dev = False,
    data_dir: DataDir = None,
) -> None:
    """Let a key and all tokens signed with it open nothing any more."""
    keys_command.revoke(_load(config, dev=dev, data_dir=data_dir), key)
    typer.echo(f"{key} is revoked")


@sip_account_app.command("create")
def create_sip_account(  # noqa: PLR0917 - typer calls it by keyword
    username: Annotated[str, typer.Argument(help="Name of the account, as in sip:NAME@HOST.")],
    password: Annotated[
        str, typer.Option("--password", help="What its phone authenticates with.", prompt=True, hide_input=True)
    ],
    name: Annotated[str, typer.Option("--name", help="Name that those see who are called.")] = "",
    security: Annotated[
        MediaSecurity, typer.Option("--media-security", help="off, optional, sdes or dtls.")
    ] = MediaSecurity.OPTIONAL,
    algorithm: Annotated[
        str, typer.Option("--algorithm", help="The only digest algorithm: MD5 for phones that others confuse.")
    ] = "",
    config: ConfigFile = None,
    dev: Dev = False,
    data_dir: DataDir = None,
) -> None:
    """Make an account; a server that runs takes it within two seconds."""
    settings = _load(config, dev=dev, data_dir=data_dir)
    sip_command.create_account(settings, username, password, name=name, security=security, algorithm=algorithm)
    typer.echo(f"account {username} is made")


@sip_account_app.command("list")
def list_sip_accounts(config: ConfigFile = None, dev: Dev = False, data_dir: DataDir = None) -> None:
    """Print all accounts, without their passwords."""
    for line in sip_command.list_accounts(_load(config, dev=dev, data_dir=data_dir)):
        typer.echo(line)


@sip_account_app.command("delete")
def delete_sip_account(
    username: Annotated[str, typer.Argument(help="Name of the account.")],
    config: ConfigFile = None,
    dev: Dev = False,
    data_dir: DataDir = None,
) -> None:
    """Delete an account and forget where it is registered."""
    sip_command.delete_account(_load(config, dev=dev, data_dir=data_dir), username)
    typer.echo(f"account {username} is deleted")


@token_app.command("create")
def create_token(  # noqa: PLR0917 - typer calls it by keyword
    room: Annotated[str, typer.Option("--room", help="Room the token is for; none for a token of a server.")] = "",
    identity: Annotated[str, typer.Option("--identity", help="Who the bearer is in the room.")] = "",
    publish: Annotated[bool, typer.Option("--publish/--no-publish", help="May publish.")] = True,
    subscribe: Annotated[bool, typer.Option("--subscribe/--no-subscribe", help="May watch.")] = True,
    data: Annotated[bool | None, typer.Option("--data/--no-data", help="May send data; default: as --publish.")] = None,
    sources: Annotated[str, typer.Option("--sources", help="Sources it may publish: camera,microphone,...")] = "",
    update_metadata: Annotated[bool, typer.Option("--update-metadata", help="May change its own name.")] = False,
    hidden: Annotated[bool, typer.Option("--hidden", help="Others are not told of it.")] = False,
    recorder: Annotated[bool, typer.Option("--recorder", help="It records the room.")] = False,
    agent: Annotated[bool, typer.Option("--agent", help="It is a program at work in the room.")] = False,
    admin: Annotated[bool, typer.Option("--admin", help="May administer the room.")] = False,
    destination: Annotated[
        str, typer.Option("--destination", help="With --admin: a room that participants may be moved or forwarded to.")
    ] = "",
    list_rooms: Annotated[bool, typer.Option("--list", help="May list rooms.")] = False,
    create_rooms: Annotated[bool, typer.Option("--create", help="May make and close rooms.")] = False,
    record: Annotated[bool, typer.Option("--record", help="May record rooms.")] = False,
    ingress: Annotated[
        bool, typer.Option("--ingress", help="May administer what comes in by other protocols.")
    ] = False,
    sip_admin: Annotated[
        bool, typer.Option("--sip-admin", help="May administer phones: accounts, rules, trunks, calls.")
    ] = False,
    sip_call: Annotated[bool, typer.Option("--sip-call", help="May have rooms call phones.")] = False,
    name: Annotated[str, typer.Option("--name", help="Name that others see.")] = "",
    metadata: Annotated[str, typer.Option("--metadata", help="Any text.")] = "",
    ttl: Annotated[str, typer.Option("--ttl", help="Life of the token: 90s, 30m, 6h, 7d.")] = "6h",
    key: Annotated[str | None, typer.Option("--key", help="Name of the key; default: the first one.")] = None,
    config: ConfigFile = None,
    dev: Dev = False,
    data_dir: DataDir = None,
) -> None:
    """Print a signed token, for one room or for a server that uses the API."""
    settings = _load(config, dev=dev, data_dir=data_dir)
    grants = VideoGrants(
        room=room,
        room_join=bool(room),
        can_publish=publish,
        can_subscribe=subscribe,
        can_publish_data=data,
        can_publish_sources=tuple(part.strip().lower() for part in sources.split(",") if part.strip()),
        can_update_own_metadata=update_metadata,
        hidden=hidden,
        recorder=recorder,
        agent=agent,
        room_admin=admin,
        destination_room=destination,
        room_list=list_rooms,
        room_create=create_rooms,
        room_record=record,
        ingress_admin=ingress,
    )
    more: dict[str, Any] = {key: value for key, value in (("name", name), ("metadata", metadata)) if value}
    if sip := {grant: True for grant, given in (("admin", sip_admin), ("call", sip_call)) if given}:
        more["sip"] = sip
    typer.echo(make_token(settings, identity, grants, ttl=ttl, key=key, **more))


def make_token(
    settings: Settings, identity: str, grants: VideoGrants, *, ttl: str, key: str | None, **more: Any
) -> str:
    """Sign a token with a key of the settings or the database; raise `StartError` with the way out if it cannot be."""
    from roomtone.control.rooms import TrackSource, is_room_name  # noqa: PLC0415 - as in `serve`

    keys = keys_command.signing_keys(settings, key)
    if not keys:
        way_out = "add one to [keys] and give --config, run `roomtone keys create`, or use --dev"
        raise StartError(f"there is no key to sign with: {way_out}")
    chosen = key or next(iter(keys))
    if chosen not in keys:
        raise StartError(f"there is no key {chosen!r} in [keys] or in the database")
    known = {source.value for source in TrackSource}
    if unknown := sorted(set(grants.can_publish_sources) - known):
        raise StartError(f"--sources: no source is called {' or '.join(unknown)}: there are {', '.join(sorted(known))}")
    of_server = grants.room_list or grants.room_create or grants.room_record or grants.ingress_admin or "sip" in more
    if not grants.room and not of_server:
        ways = "--room, or --list, --create, --record, --ingress, --sip-admin or --sip-call"
        raise StartError(f"the token would open nothing: give {ways}")
    if grants.room and not is_room_name(grants.room):
        raise StartError(f"{grants.room!r} cannot name a room: use 1 to 64 letters, digits, '.', '_' or '-'")
    if grants.room and not identity:
        raise StartError("the identity is empty: say who the bearer is")
    lifetime = parse_duration(ttl)
    longest = settings.limits.max_token_ttl_s
    if lifetime > longest:
        raise StartError(f"--ttl {ttl} is longer than limits.max_token_ttl_s ({longest} s)")
    return KeyTable(keys).sign(chosen, identity, grants, time.time(), lifetime, **more)


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
