"""Webhooks from the settings: which key signs, and what happens without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from roomtone.app.errors import StartError
from roomtone.app.people import open_people
from roomtone.app.webhooks import make_webhooks
from roomtone.config import Settings

URL = "https://hook.example/"


def settings(tmp_path: Path, **webhooks: Any) -> Settings:
    tree = {
        "server": {"dev": True, "data_dir": str(tmp_path)},
        "accounts": {"bcrypt_cost": 4},
        "webhooks": {"urls": [URL]} | webhooks,
    }
    return Settings.model_validate(tree)


async def test_the_first_key_signs_unless_another_is_named(tmp_path: Path) -> None:
    people = await open_people(settings(tmp_path), serving=False)
    try:
        made = make_webhooks(settings(tmp_path), people)
        assert made.poster is not None
        assert made.poster._sign_as() == "devkey"
        await made.poster.close()
        key = await people.api_keys.create("hooks", "test")
        named = make_webhooks(settings(tmp_path, key=key.name), people)
        assert named.poster is not None
        assert named.poster._sign_as() == key.name
    finally:
        await people.close()


async def test_a_key_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    people = await open_people(settings(tmp_path), serving=False)
    try:
        with pytest.raises(StartError, match=r"webhooks\.key"):
            make_webhooks(settings(tmp_path, key="nobody"), people)
        assert make_webhooks(settings(tmp_path, urls=[], key="nobody"), people).poster is None
    finally:
        await people.close()
