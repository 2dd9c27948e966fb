"""Draw the transport streams that the tests of `crates/mpegts` read: `python tools/ts_vectors.py`.

FFmpeg encodes its own test picture and tone (imageio-ffmpeg has the binary), a second of it. `*.packets` is how FFmpeg
itself takes each apart: stream, decode time and time in ticks of 90 kHz, bytes.
"""

import subprocess
from pathlib import Path

import imageio_ffmpeg

FOLDER = Path(__file__).parent.parent / "crates/mpegts/tests/vectors"
PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25")
#: Interlaced pictures are a multiple of four lines high.
TALLER = ("-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25")
TONE = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100")
TONE_48 = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000")
X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "40", "-g", "12")
X265 = ("-c:v", "libx265", "-pix_fmt", "yuv420p", "-x265-params", "log-level=error:info=0:crf=40:keyint=12:bframes=3")
AAC = ("-c:a", "aac", "-b:a", "32k", "-ac", "2")
#: file: inputs and encoders
STREAMS = {
    "h264_aac.ts": (*PICTURE, *TONE, *X264, "-bf", "2", *AAC),
    "h264_fields_latm.ts": (*TALLER, *TONE_48, *X264, "-x264-params", "tff=1", *AAC, "-mpegts_flags", "latm"),
    "h264_open_gop.ts": (*PICTURE, *X264, "-x264-params", "open-gop=1:bframes=2:scenecut=0"),
    "hevc_opus.ts": (*PICTURE, *TONE_48, *X265, "-c:a", "libopus", "-b:a", "32k", "-ac", "2"),
    "mp3_ac3.ts": (*TONE, *TONE_48, "-map", "0", "-map", "1", "-c:a:0", "libmp3lame", "-b:a:0", "32k", "-c:a:1", "ac3"),
}


def main() -> None:
    """Draw all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, arguments in STREAMS.items():
        file = FOLDER / name
        ffmpeg(
            "-threads", "1", *arguments, "-t", "1", "-threads", "1", "-flags", "+bitexact", "-f", "mpegts", str(file)
        )
        (FOLDER / f"{name}.packets").write_text(packets(file))


def packets(file: Path) -> str:
    """How FFmpeg takes a stream apart, a line a packet."""
    lines = ffmpeg("-copyts", "-i", str(file), "-map", "0", "-c", "copy", "-f", "framecrc", "-").splitlines()
    fields = [line.split(",") for line in lines if not line.startswith("#")]
    return "".join(f"{int(n)} {int(dts)} {int(pts)} {int(size)}\n" for n, dts, pts, _, size, *_ in fields)


def ffmpeg(*arguments: str) -> str:
    """Run FFmpeg; it says why where it fails."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
