"""FFmpeg reads what crates/mpegts writes without complaint, and finds the packets that went in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "crates/mpegts/tests/vectors"
BUILD_WITHIN_S = 900
READ_WITHIN_S = 60
pytestmark = pytest.mark.timeout(BUILD_WITHIN_S + READ_WITHIN_S)
# stream, decode time, time, bytes
Packet = tuple[int, int, int, int]


@pytest.fixture(scope="module")
def remux() -> Path:
    target = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/roomtone/target"))
    subprocess.run(
        ["cargo", "build", "--quiet", "-p", "roomtone-mpegts", "--example", "ts_remux"],
        cwd=ROOT,
        env={**os.environ, "CARGO_TARGET_DIR": str(target)},
        check=True,
        timeout=BUILD_WITHIN_S,
    )
    return target / "debug/examples/ts_remux"


def ffmpeg(file: Path, *arguments: str) -> str:
    """What FFmpeg prints of a file; it has nothing to complain of."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-v", "warning", "-copyts", "-i", str(file)]
    done = subprocess.run(
        [*command, "-map", "0", *arguments, "-"], capture_output=True, text=True, check=True, timeout=READ_WITHIN_S
    )
    assert done.stderr == ""
    return done.stdout


def packets(file: Path) -> list[Packet]:
    """The packets of a file as FFmpeg takes them out, times from the first of each stream."""
    rows = [line.split(",") for line in ffmpeg(file, "-c", "copy", "-f", "framecrc").splitlines() if line[0] != "#"]
    found = [(int(n), int(dts), int(pts), int(size)) for n, dts, pts, _, size, *_ in rows]
    begins = min(dts for _, dts, _, _ in found)
    return sorted((n, dts - begins, pts - begins, size) for n, dts, pts, size in found)


def pictures(file: Path) -> list[str]:
    """Checksums of the pictures of a file, decoded."""
    lines = ffmpeg(file, "-an", "-f", "framemd5").splitlines()
    return [line.split(",")[-1] for line in lines if line[0] != "#"]


def sound(file: Path) -> str:
    """A checksum of the sound of a file, decoded."""
    return ffmpeg(file, "-vn", "-f", "md5")


def written_again(remux: Path, original: Path, folder: Path) -> Path:
    """Take a file apart and write it again."""
    written = folder / "written.ts"
    done = subprocess.run(
        [remux], input=original.read_bytes(), stdout=subprocess.PIPE, check=True, timeout=READ_WITHIN_S
    )
    written.write_bytes(done.stdout)
    return written


@pytest.mark.parametrize("name", ["h264_aac", "h264_open_gop", "hevc_opus"])
def test_ffmpeg_reads_a_stream_written_again_as_it_reads_the_first(remux: Path, tmp_path: Path, name: str) -> None:
    original = VECTORS / f"{name}.ts"
    written = written_again(remux, original, tmp_path)
    before, after = packets(original), packets(written)
    assert len(before) == len(after) >= 25
    for old, new in zip(before, after, strict=True):
        # Times of sound are rounded to samples and back.
        assert old[0] == new[0]
        assert max(abs(old[1] - new[1]), abs(old[2] - new[2])) <= 1
        assert old[0] == 0 or old[3] == new[3]
    assert pictures(written) == pictures(original)


@pytest.mark.parametrize("name", ["h264_aac", "h264_fields_latm", "hevc_opus"])
def test_ffmpeg_hears_what_it_heard_in_the_first(remux: Path, tmp_path: Path, name: str) -> None:
    original = VECTORS / f"{name}.ts"
    assert sound(written_again(remux, original, tmp_path)) == sound(original)


@pytest.mark.parametrize("name", ["h264_aac", "hevc_opus"])
def test_of_a_stream_with_holes_only_whole_pictures_are_left(remux: Path, tmp_path: Path, name: str) -> None:
    original = (VECTORS / f"{name}.ts").read_bytes()
    # Behind the tables and the first keyframe every eleventh packet is missing.
    packets = [original[at : at + 188] for at in range(0, len(original), 188)]
    kept = [packet for n, packet in enumerate(packets) if n < len(packets) // 3 or n % 11]
    lossy = tmp_path / "lossy.ts"
    lossy.write_bytes(b"".join(kept))
    # FFmpeg complains of nothing, and all it shows was in the first.
    left = pictures(written_again(remux, lossy, tmp_path))
    whole = set(pictures(VECTORS / f"{name}.ts"))
    assert 0 < len(left) < len(whole)
    assert set(left) <= whole


PICTURES_OF_GSTREAMER = 30
CAMERA = f"videotestsrc num-buffers={PICTURES_OF_GSTREAMER} ! video/x-raw,width=160,height=96,framerate=25/1"
MICROPHONE = "audiotestsrc num-buffers=50 ! audio/x-raw,rate=48000"


@pytest.mark.parametrize(
    ("video", "audio"),
    [("openh264enc gop-size=10 ! h264parse", "opusenc"), ("x265enc key-int-max=10 ! h265parse", "voaacenc ! aacparse")],
)
def test_what_gstreamer_multiplexes_is_taken_apart(remux: Path, tmp_path: Path, video: str, audio: str) -> None:
    made = tmp_path / "made.ts"
    pipeline = f"mpegtsmux name=m ! filesink location={made} {CAMERA} ! {video} ! m. {MICROPHONE} ! {audio} ! m."
    subprocess.run(["gst-launch-1.0", "-q", *pipeline.split()], check=True, capture_output=True, timeout=READ_WITHIN_S)
    written = written_again(remux, made, tmp_path)
    assert len(pictures(written)) == PICTURES_OF_GSTREAMER
    assert pictures(written) == pictures(made)
    assert sound(written) == sound(made)
