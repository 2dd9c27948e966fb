"""OBS Studio as Debian has it, on a display of its own, with one scene: a file that is played over and over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAMS = ("obs", "xvfb-run")
INSTALLED = all(shutil.which(program) for program in PROGRAMS)

GLOBAL = """[General]
FirstRun=true
InfoIncrement=9
EnableAutoUpdates=false
[Basic]
Profile=Test
ProfileDir=Test
SceneCollection=Test
SceneCollectionFile=Test
"""

PROFILE = """[General]
Name=Test
[Video]
BaseCX=320
BaseCY=240
OutputCX=320
OutputCY=240
FPSType=0
FPSCommon=25 PAL
[Output]
Mode=Simple
Reconnect=false
[SimpleOutput]
VBitrate=600
StreamEncoder=x264
ABitrate=96
UseAdvanced=true
Preset=ultrafast
x264Settings=keyint=50
[Audio]
SampleRate=48000
ChannelSetup=Stereo
"""


def source(name: str, kind: str, settings: dict[str, Any], mixers: int) -> dict[str, Any]:
    return {"id": kind, "versioned_id": kind, "name": name, "enabled": True, "mixers": mixers, "settings": settings}


def scenes(film: Path) -> dict[str, Any]:
    """Describe one scene with the film in it, as OBS keeps collections of scenes."""
    settings = {"local_file": str(film), "is_local_file": True, "looping": True, "hw_decode": False}
    item = {"name": "film", "id": 1, "visible": True, "pos": {"x": 0, "y": 0}, "scale": {"x": 1, "y": 1}, "align": 5}
    return {
        "name": "Test",
        "current_scene": "Scene",
        "current_program_scene": "Scene",
        "scene_order": [{"name": "Scene"}],
        "sources": [
            source("film", "ffmpeg_source", settings, 255),
            source("Scene", "scene", {"id_counter": 1, "custom_size": False, "items": [item]}, 0),
        ],
    }


def configure(home: Path, film: Path, url: str, key: str) -> None:
    """Write what the dialogues of OBS would: a custom service, a profile, a collection of scenes."""
    base = home / "obs-studio"
    profile = base / "basic" / "profiles" / "Test"
    collections = base / "basic" / "scenes"
    profile.mkdir(parents=True)
    collections.mkdir()
    (base / "global.ini").write_text(GLOBAL)
    (profile / "basic.ini").write_text(PROFILE)
    service = {"type": "rtmp_custom", "settings": {"server": url, "key": key, "use_auth": False}}
    (profile / "service.json").write_text(json.dumps(service))
    (collections / "Test.json").write_text(json.dumps(scenes(film)))


@contextmanager
def streaming(folder: Path, film: Path, url: str, key: str = "") -> Iterator[Path]:
    """Have OBS start streaming to the server `url` with the stream key `key`; gives its log."""
    folder.mkdir()
    configure(folder / "config", film, url, key)
    log = folder / "log"
    command = ["xvfb-run", "-a", "obs", "--startstreaming", "--multi", "--profile", "Test", "--collection", "Test"]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_RUNTIME_DIR": str(folder),
        "QT_QPA_PLATFORM": "xcb",
        "LIBGL_ALWAYS_SOFTWARE": "1",
    }
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True)
        try:
            yield log
        finally:
            # xvfb-run leaves its display behind when it is killed alone.
            os.killpg(process.pid, 9)
            process.wait()
