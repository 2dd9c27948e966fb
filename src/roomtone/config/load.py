"""Settings from defaults, a TOML file, the environment and flags, in rising order; errors name their place."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from roomtone.config.models import Settings

ENV_PREFIX = "ROOMTONE_"
ENV_CONFIG = "ROOMTONE_CONFIG"

Tree = dict[str, Any]
Path_ = tuple[str | int, ...]


class ConfigError(Exception):
    """Settings that cannot be used; the message is for the user, one line a problem."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    text: str
    tree: Tree


def load_settings(
    file: Path | None = None, environment: Mapping[str, str] | None = None, flags: Tree | None = None
) -> Settings:
    """Merge all sources and check the whole; raise `ConfigError` with every problem and where it stands."""
    environment = environment or {}
    chosen = file or (Path(environment[ENV_CONFIG]) if environment.get(ENV_CONFIG) else None)
    source = _read_file(chosen) if chosen else None
    variables = _environment_tree(environment)
    tree: Tree = {}
    for layer in (source.tree if source else {}, variables, flags or {}):
        _merge(tree, layer)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        problems = [_describe(dict(problem), source, variables, environment) for problem in error.errors()]
        raise ConfigError("\n".join(problems)) from error


def find_line(text: str, path: Path_) -> int | None:
    """Line on which a key of a TOML document is set, or its table begins, where either can be told."""
    wanted = tuple(part for part in path if isinstance(part, str))
    table: tuple[str, ...] = ()
    nearest: tuple[int, int] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _split_key(header["name"])
            here = table
        elif pair := _PAIR.match(line):
            here = (*table, *_split_key(pair["name"]))
        else:
            continue
        shared = len(here) if here == wanted[: len(here)] else 0
        if shared and (nearest is None or shared > nearest[0]):
            nearest = (shared, number)
    return nearest[1] if nearest else None


_HEADER = re.compile(r"^\s*\[\[?(?P<name>[^\]]+)\]\]?")
_PAIR = re.compile(r"""^\s*(?P<name>(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"))*)\s*=""")
_KEY_PART = re.compile(r""""[^"]*"|'[^']*'|[^.\s]+""")


def _split_key(name: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _KEY_PART.findall(name))


def _read_file(path: Path) -> _File:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give --config a file that exists") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 ({error.reason} at byte {error.start})") from error
    try:
        return _File(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error


def _environment_tree(environment: Mapping[str, str]) -> Tree:
    tree: Tree = {}
    for name, value in sorted(environment.items()):
        if not name.startswith(ENV_PREFIX):
            continue
        first, *rest = name.removeprefix(ENV_PREFIX).lower().split("__")
        if rest:
            _merge(tree, _nest((first, *rest), _parse_variable(name, value)))
        elif (section := first.split("_")[0]) in Settings.model_fields and "_" in first:
            hint = f"{ENV_PREFIX}{section.upper()}__{first.removeprefix(section + '_').upper()}"
            raise ConfigError(f"environment variable {name}: sections and keys are joined by two underscores: {hint}")
    return tree


def _parse_variable(name: str, value: str) -> Any:
    if not value.startswith(("[", "{")) or re.match(r"^\[[0-9a-fA-F:.]+\]:\d+", value):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise ConfigError(f"environment variable {name}: is not JSON: {error}") from error


def _nest(path: tuple[str, ...], value: Any) -> Tree:
    for part in reversed(path):
        value = {part: value}
    nested: Tree = value
    return nested


def _merge(into: Tree, layer: Tree) -> None:
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], dict(value))
        else:
            into[key] = dict(value) if isinstance(value, Mapping) else value


def _has(tree: Tree, path: Path_) -> bool:
    held: Any = tree
    for part in path:
        if not isinstance(held, dict | list) or (isinstance(held, dict) and part not in held):
            return False
        try:
            held = held[part]  # type: ignore[index]
        except (IndexError, TypeError):
            return False
    return True


def _describe(problem: Tree, file: _File | None, variables: Tree, environment: Mapping[str, str]) -> str:
    path: Path_ = problem["loc"]
    name = ".".join(str(part) for part in path) or "settings"
    if problem["type"] == "extra_forbidden":
        text = f"unknown key {name}{_suggest(path)}"
    else:
        text = f"{name}: {str(problem['msg']).removeprefix('Value error, ')}"
    return f"{_place(path, file, variables, environment)}{text}"


def _place(path: Path_, file: _File | None, variables: Tree, environment: Mapping[str, str]) -> str:
    keys = [part for part in path if isinstance(part, str)]
    for length in range(len(keys), 0, -1):
        variable = ENV_PREFIX + "__".join(keys[:length]).upper()
        if _has(variables, tuple(keys[:length])) and variable in environment:
            return f"environment variable {variable}: "
    if file is not None:
        line = find_line(file.text, path)
        return f"{file.path}:{line}: " if line else f"{file.path}: "
    return ""


def _suggest(path: Path_) -> str:
    import difflib  # noqa: PLC0415 - only on the way to an error

    model: Any = Settings
    for part in path[:-1]:
        if isinstance(part, str) and hasattr(model, "model_fields") and part in model.model_fields:
            model = model.model_fields[part].annotation
    fields = list(getattr(model, "model_fields", {}))
    close = difflib.get_close_matches(str(path[-1]), fields, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
