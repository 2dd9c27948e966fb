#!/usr/bin/env python3
"""Write docs/reference from the code: settings, metrics, the HTTP API. `--check` only says what is out of date."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import types
import typing
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, SecretStr

from roomtone.app import families
from roomtone.config import Settings, toml_value
from roomtone.config.models import IceServer
from roomtone.config.types import Address, PortRange
from roomtone.control.rooms import Rooms
from roomtone.media import Engine, FakeLink
from roomtone.observe import Metrics
from roomtone.observe.metrics import ENGINE_GAUGES, FRONT_GAUGES
from roomtone.servers.api import ApiContext, create_app
from roomtone.servers.socketio import add_rest

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
WRITTEN = "<!-- Written by tools/reference.py from the code: change it there. -->\n"

SETTINGS_INTRODUCTION = (
    "Settings come from defaults, a TOML file (`--config`), the environment and flags; the later goes before. An "
    "environment variable is `ROOMTONE_`, the section, two underscores, the setting: `listen` of `[http]` is "
    "`ROOMTONE_HTTP__LISTEN`, `max_headers` of `[http.limits]` is `ROOMTONE_HTTP__LIMITS__MAX_HEADERS`. An unknown "
    "key is an error that names file and line. `roomtone config check` checks, `roomtone config show` prints what "
    "is in force, `roomtone config sample` writes [this file](../../deploy/roomtone.example.toml)."
)
METRICS_INTRODUCTION = (
    "`/metrics` on `metrics.listen` (127.0.0.1:9091 by default) speaks the Prometheus text format. Names of rooms, "
    "participants and tracks are never labels. A counter's samples end in `_total`."
)

# What the engine reports besides the counters of `crates/engine/src/counters.rs`.
ENGINE_MORE = {
    "command_queue_depth": "Commands that wait for a shard.",
    "event_queue_depth": "Events and replies that wait to be taken.",
    "events_dropped": "Statistics events dropped since the queue was full.",
    "events_merged": "State events merged into newer ones since the queue was full.",
    "mixers": "Mixers on an audio thread.",
    "packagers": "Packagers on the live thread.",
    "gso_mean_run": "Datagrams a segmented send, on average.",
    "shards": "Media threads.",
}


def settings() -> str:
    """Write every setting, from the models."""
    lines = [
        "# Settings",
        "",
        WRITTEN,
        SETTINGS_INTRODUCTION,
        "",
    ]
    for name, field in Settings.model_fields.items():
        lines += section(name, field)
    return "\n".join(lines)


def section(path: str, field: FieldInfo) -> list[str]:
    """Write one section and those inside it."""
    model = field.annotation
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return [f"## [{path}]", "", flat(field.description or ""), ""]
    lines = [f"## [{path}]", "", flat(model.__doc__ or ""), ""]
    inner = {key: one for key, one in model.model_fields.items() if is_section(one)}
    plain = {key: one for key, one in model.model_fields.items() if key not in inner}
    if path == "ice":
        plain = {}
        lines += [f"One `[[ice.servers]]` table a server. {flat(IceServer.__doc__ or '')}", "", *table(IceServer)]
    elif plain:
        lines += table(model, plain)
    for key, one in inner.items():
        lines += section(f"{path}.{key}", one)
    return lines


def table(model: type[BaseModel], fields: dict[str, FieldInfo] | None = None) -> list[str]:
    """Give the settings of one model."""
    rows = ["| setting | values | default | meaning |", "|---|---|---|---|"]
    for key, field in (fields or model.model_fields).items():
        default = "required" if field.is_required() else default_of(model, key)
        rows.append(f"| `{key}` | {values_of(field)} | {default} | {cell(field.description or '')} |")
    return [*rows, ""]


def default_of(model: type[BaseModel], key: str) -> str:
    """Write a default as TOML does."""
    if model is IceServer:
        value = IceServer(urls=("stun:x",)).model_dump(mode="json")[key]
    else:
        value = model().model_dump(mode="json")[key]
    return "unset" if value is None or value == "" else f"`{toml_value(value)}`"


def values_of(field: FieldInfo) -> str:
    """Say what a setting takes."""
    kinds = [kind for kind in flatten(field.annotation) if kind is not type(None)]
    kind = kinds[0] if kinds else str
    bounds = [
        f"{sign} {getattr(rule, name):g}"
        for rule in field.metadata
        for name, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
        if getattr(rule, name, None) is not None
    ]
    return " ".join([words_for(kind), *([", ".join(bounds)] if bounds else [])])


def words_for(kind: Any) -> str:
    """Say a type in words."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{member.value}`" for member in kind)
    if typing.get_origin(kind) is tuple:
        inner = words_for(flatten(typing.get_args(kind)[0])[0])
        return {"text": "list of texts", "address": "list of addresses"}.get(inner, f"list of {inner}")
    named = {
        bool: "`true`, `false`",
        int: "integer",
        float: "number",
        str: "text",
        Path: "path",
        SecretStr: "text, secret",
        Address: "address",
        PortRange: "`low-high`",
    }
    return named.get(kind, "text")


def flatten(annotation: Any) -> list[Any]:
    """Give the parts of a union, without `Annotated`."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return flatten(typing.get_args(annotation)[0])
    if origin in {typing.Union, types.UnionType}:
        return [part for one in typing.get_args(annotation) for part in flatten(one)]
    return [annotation]


def is_section(field: FieldInfo) -> bool:
    """Whether a field is a section of its own."""
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def metrics() -> str:
    """Write every metric, from the code of both languages."""
    groups = (group for name, group in vars(families).items() if name.endswith("_FAMILIES"))
    server = [(f"roomtone_{one.name}", one.counter, one.label or "", one.meaning) for group in groups for one in group]
    engine = rust_counters("crates/engine/src/counters.rs") | ENGINE_MORE
    front = rust_counters("crates/front/src/stats.rs")
    lines = [
        "# Metrics",
        "",
        WRITTEN,
        METRICS_INTRODUCTION,
        "",
        "## Process and requests",
        "",
        *rows(own_families()),
        "## Rooms, limits, boundary",
        "",
        *rows(server),
        "## Media engine",
        "",
        "One sample a shard, by `id` and `type`; some are of the engine as a whole.",
        "",
        *rows((f"roomtone_engine_{name}", name not in ENGINE_GAUGES, "id, type", engine[name]) for name in engine),
        "## Front door",
        "",
        *rows((f"roomtone_front_{name}", name not in FRONT_GAUGES, "", front[name]) for name in front),
    ]
    return "\n".join(lines)


def own_families() -> list[tuple[str, bool | str, str, str]]:
    """Give what `Metrics` itself counts."""
    held = Metrics("", "")
    text = asyncio.run(held.render()).decode()
    labels = {
        name: ", ".join(labels_of(held.registry, name)) for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    }
    found = []
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if name.endswith("_created") or not family.name.startswith("roomtone_"):
            continue
        kind: bool | str = "histogram" if family.type == "histogram" else family.type == "counter"
        found.append((family.name, kind, labels.get(name, ""), family.documentation))
    return found


def labels_of(registry: CollectorRegistry, name: str) -> tuple[str, ...]:
    """Give the names of a metric's labels, also of one that has no sample yet."""
    owner = registry._names_to_collectors.get(name)  # noqa: SLF001 - the library tells them nowhere else
    return tuple(getattr(owner, "_labelnames", ())) or {"roomtone_log_lines_total": ("level",)}.get(name, ())


def rust_counters(path: str) -> dict[str, str]:
    """Names and meanings of the counters in all `counters!` blocks."""
    blocks = (ROOT / path).read_text().split("\ncounters! {\n")[1:]
    described = "".join(block.partition("\n}\n")[0] for block in blocks)
    found = re.findall(r"((?:    +/// .+\n)+)    +(\w+),", described)
    return {name: " ".join(re.findall(r"/// (.+)", comment)) for comment, name in found}


def rows(described: typing.Iterable[tuple[str, bool | str, str, str]]) -> list[str]:
    """Make a table of metrics."""
    made = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for name, kind, labels, meaning in described:
        word = kind if isinstance(kind, str) else "counter" if kind else "gauge"
        made.append(f"| `{name}` | {word} | {labels} | {cell(meaning)} |")
    return [*made, ""]


def openapi() -> str:
    """Give the HTTP API as an OpenAPI document, with what `--dev` adds left out."""
    engine = Engine(FakeLink())
    context = ApiContext(settings=Settings(), rooms=Rooms(engine), engine=engine, version="0")
    app = create_app(context)
    add_rest(app, None)
    return json.dumps(app.openapi(), indent=1, ensure_ascii=False) + "\n"


def flat(text: str) -> str:
    """Put a text on one line."""
    return " ".join(text.split())


def cell(text: str) -> str:
    """Make a text fit into a cell of a table."""
    return flat(text).replace("|", "\\|")


DOCUMENTS = {"settings.md": settings, "metrics.md": metrics, "openapi.json": openapi}


def main() -> int:
    """Write all documents; with `--check` write none, and fail when one is out of date."""
    check = "--check" in sys.argv[1:]
    stale = []
    for name, write in DOCUMENTS.items():
        path, text = REFERENCE / name, write()
        if check and (not path.exists() or path.read_text() != text):
            stale.append(name)
        elif not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    for name in stale:
        print(f"docs/reference/{name} is out of date: run tools/reference.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
