"""Draw the small streams that the tests of `crates/frames` and `crates/hls` read: `python tools/frame_vectors.py`.

FFmpeg encodes its own test picture and tone (imageio-ffmpeg has the binary), twelve pictures of 160x90 each; what it
writes depends on the versions of its encoders, so tests compare with what was asked for and never with the bytes.
`*.mp4box` is the sample description FFmpeg itself writes for the same stream, `*.rtp` the packets it sends of it, each
behind its length in two bytes, `*.times` when its pictures are decoded and shown, in pictures.
"""

import socket
import subprocess
import tempfile
from pathlib import Path

import imageio_ffmpeg

FOLDER = Path(__file__).parent.parent / "crates/frames/tests/vectors"
PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25", "-frames:v", "12", "-pix_fmt", "yuv420p")
NTSC = ("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=30000/1001", "-frames:v", "4", "-pix_fmt", "yuv420p10le")
TONE = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=0.3", "-b:a", "32k")
X265 = "log-level=error:info=0:crf=45"
#: file: input, encoder
STREAMS = {
    "h264.h264": (*PICTURE, "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-crf", "45", "-g", "6"),
    "h264_reordered.h264": (*PICTURE, "-c:v", "libx264", "-bf", "2", "-crf", "45", "-g", "12"),
    "h264_open.h264": (*PICTURE, "-c:v", "libx264", "-crf", "45", "-x264-params", "open-gop=1:bframes=2:keyint=6"),
    "hevc.hevc": (*PICTURE, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", f"{X265}:keyint=6:bframes=0"),
    "hevc_reordered.hevc": (*PICTURE, "-c:v", "libx265", "-x265-params", f"{X265}:keyint=12:bframes=3"),
    "hevc_10bit.hevc": (*NTSC, "-c:v", "libx265", "-x265-params", X265),
    "av1.obu": (*PICTURE, "-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-crf", "60", "-g", "6"),
    "aac.adts": (*TONE, "-c:a", "aac"),
}
#: Boxes that FFmpeg writes for a stream, by the stream's file: sample entry and box.
BOXES = {"h264.h264": ("avc1", b"avcC"), "hevc.hevc": ("hvc1", b"hvcC"), "av1.obu": ("av01", b"av1C")}
#: Streams that must be told when their pictures are shown.
REORDERED = ("h264_reordered.h264", "hevc_reordered.hevc")
#: Packets that FFmpeg sends of a stream, small ones, so that there are fragments.
PACKETS = {"h264.h264": (), "hevc.hevc": (), "av1.obu": ("-strict", "experimental"), "aac.adts": ()}


def main() -> None:
    """Draw all of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, arguments in STREAMS.items():
        ffmpeg("-threads", "1", *arguments, "-threads", "1", "-flags", "+bitexact", str(FOLDER / name))
    for name in REORDERED:
        (FOLDER / f"{name}.times").write_text(times(STREAMS[name]))
    for name, (entry, box) in BOXES.items():
        (FOLDER / f"{name}.mp4box").write_bytes(copied_box(FOLDER / name, entry, box))
    for name, options in PACKETS.items():
        packets = sent_packets(FOLDER / name, options)
        framed = b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets)
        (FOLDER / f"{name}.rtp").write_bytes(framed)


def times(arguments: tuple[str, ...]) -> str:
    """Give a line for each picture: decode and presentation time, of the encoder's choosing."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "times"
        ffmpeg("-threads", "1", *arguments, "-threads", "1", "-flags", "+bitexact", "-f", "framecrc", str(file))
        rows = [line.split(",") for line in file.read_text().splitlines() if not line.startswith("#")]
    return "".join(f"{int(row[1])} {int(row[2])}\n" for row in rows)


def sent_packets(stream: Path, options: tuple[str, ...]) -> list[bytes]:
    """Give the RTP packets of a stream, without the reports between them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        port = receiver.getsockname()[1]
        target = f"rtp://127.0.0.1:{port}?rtcpport={port}&pkt_size=300"
        fixed = ("-ssrc", "1", "-seq", "65530", "-flags", "+bitexact")
        with tempfile.TemporaryDirectory() as folder:
            # MP4 has what a decoder must know beside the frames, which the packets of AAC need to be told.
            file = Path(folder) / "copy.mp4"
            ffmpeg("-i", str(stream), "-c", "copy", str(file))
            ffmpeg("-i", str(file), "-c", "copy", *options, *fixed, "-f", "rtp", target)
        packets = []
        while True:
            try:
                packets.append(receiver.recv(2048))
            except BlockingIOError:
                break
    reports = range(192, 224)
    return [packet for packet in packets if packet[1] not in reports]


def copied_box(stream: Path, entry: str, name: bytes) -> bytes:
    """Give the body of a box that FFmpeg writes when it copies a stream into MP4."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "copy.mp4"
        ffmpeg("-i", str(stream), "-c", "copy", "-tag:v", entry, str(file))
        data = file.read_bytes()
    at = data.index(name)
    size = int.from_bytes(data[at - 4 : at], "big")
    return data[at + 4 : at - 4 + size]


def ffmpeg(*arguments: str) -> None:
    """Run FFmpeg; it says why where it fails."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y", *arguments]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
