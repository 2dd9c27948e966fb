"""The commented sample file, written from the models."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from roomtone.config.models import Settings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_WIDTH = 116
_HEAD = """\
# Settings of Roomtone, each with its default.
# A file like this is given by `roomtone serve --config FILE`. Environment variables go before the file:
# ROOMTONE_HTTP__LISTEN=127.0.0.1:8080 is `listen` in [http]. Flags go before both.
# Written by `roomtone config sample`.
"""
_ICE_EXAMPLE = """\
# [[ice.servers]]
# urls = ["turn:turn.example.org:3478?transport=udp"]
# secret = "the static-auth-secret of coturn"
# ttl_s = 86400
"""
_KEYS_EXAMPLE = """\
# mykey = "a secret of 32 characters or more, such as `openssl rand -hex 32` gives"
"""


def sample() -> str:
    """Write the whole sample file."""
    return "\n".join([_HEAD, *(_section((name,), field) for name, field in Settings.model_fields.items())])


def toml_value(value: Any) -> str:
    """Write a JSON-like value as TOML."""
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _section(path: tuple[str, ...], field: FieldInfo) -> str:
    name = ".".join(path)
    model = field.annotation
    if path == ("keys",):
        return f"{_comment(field.description or '')}[keys]\n{_KEYS_EXAMPLE}"
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise TypeError(f"setting {name} is no section")
    lines = [f"{_comment(model.__doc__ or '')}[{name}]"]
    defaults = model().model_dump(mode="json")
    sections: list[str] = []
    for key, inner in model.model_fields.items():
        if path == ("ice",):
            lines += [_comment(inner.description or "") + _ICE_EXAMPLE.rstrip()]
        elif isinstance(inner.annotation, type) and issubclass(inner.annotation, BaseModel):
            sections.append(_section((*path, key), inner))
        else:
            lines.append(_comment(inner.description or "") + _pair(key, defaults[key]))
    return "\n".join(["\n".join(lines) + "\n", *sections])


def _pair(key: str, value: Any) -> str:
    return f'# {key} = ""' if value is None else f"{key} = {toml_value(value)}"


def _comment(text: str) -> str:
    flat = " ".join(text.split())
    return textwrap.fill(flat, _WIDTH, initial_indent="# ", subsequent_indent="# ") + "\n" if flat else ""
