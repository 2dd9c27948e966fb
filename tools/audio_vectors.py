"""Makes tests/vectors/audio with FFmpeg's codecs, as a second opinion on the engine's: see the README there."""

from __future__ import annotations

import hashlib
import io
import math
import struct
from pathlib import Path
from typing import cast

import av

OUT = Path(__file__).resolve().parents[1] / "tests/vectors/audio"
FRAME_MS = 20


def samples(values: list[int]) -> bytes:
    """Pack values as 16-bit samples, least byte first."""
    return struct.pack(f"<{len(values)}h", *values)


def sweep(rate_hz: int, seconds: float, top_hz: float) -> list[int]:
    """Make a tone rising from 100 Hz to ``top_hz``, swelling and fading like syllables."""
    total = int(rate_hz * seconds)
    values = []
    phase = 0.0
    for n in range(total):
        phase += 2 * math.pi * (100 + (top_hz - 100) * n / total) / rate_hz
        values.append(round(20_000 * math.sin(phase) * abs(math.sin(2 * math.pi * 4 * n / rate_hz))))
    return values


def decode(codec: str, rate_hz: int, payloads: list[bytes]) -> bytes:
    """Decode payloads with FFmpeg's decoder to 16-bit samples."""
    context = cast("av.AudioCodecContext", av.CodecContext.create(codec, "r"))
    context.sample_rate = rate_hz
    context.layout = "mono"
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
    out = b""
    for payload in payloads:
        for frame in context.decode(av.Packet(payload)):
            for plain in resampler.resample(frame):
                out += bytes(plain.planes[0])[: 2 * plain.samples]
    return out


def encode(codec: str, rate_hz: int, pcm: bytes, options: dict[str, str]) -> list[bytes]:
    """Encode 20 ms frames of 16-bit samples with FFmpeg's encoder to payloads."""
    context = cast("av.AudioCodecContext", av.CodecContext.create(codec, "w"))
    context.sample_rate = rate_hz
    context.layout = "mono"
    context.format = "s16"
    context.options = options
    size = rate_hz * FRAME_MS // 1000
    payloads = []
    for at in range(0, len(pcm) // 2, size):
        frame = av.AudioFrame(format="s16", layout="mono", samples=size)
        frame.sample_rate = rate_hz
        frame.pts = at
        frame.planes[0].update(pcm[2 * at : 2 * (at + size)].ljust(frame.planes[0].buffer_size, b"\0"))
        payloads += [bytes(packet) for packet in context.encode(frame)]
    return payloads + [bytes(packet) for packet in context.encode(None)]


def framed(payloads: list[bytes]) -> bytes:
    """Put payloads behind their lengths, two bytes each, most significant first."""
    out = io.BytesIO()
    for payload in payloads:
        out.write(len(payload).to_bytes(2, "big") + payload)
    return out.getvalue()


def main() -> None:
    """Write every file."""
    every_code = [bytes(range(256))]
    (OUT / "pcmu-decoded.s16").write_bytes(decode("pcm_mulaw", 8_000, every_code))
    (OUT / "pcma-decoded.s16").write_bytes(decode("pcm_alaw", 8_000, every_code))

    wide = samples(sweep(16_000, 1, 7_200))
    coded = b"".join(encode("g722", 16_000, wide, {"trellis": "0"}))
    (OUT / "sweep-16k.s16").write_bytes(wide)
    (OUT / "sweep.g722").write_bytes(coded)
    (OUT / "sweep-g722-decoded.s16").write_bytes(decode("g722", 16_000, [coded]))
    noise = hashlib.shake_128(b"722").digest(3_200)
    (OUT / "noise.g722").write_bytes(noise)
    (OUT / "noise-g722-decoded.s16").write_bytes(decode("g722", 16_000, [noise]))

    # SILK's decoders differ in how they resample, which shows at high frequencies.
    for name, top_hz, options in (
        ("silk", 800, {"application": "voip", "b": "12000"}),
        ("celt", 20_000, {"application": "audio", "b": "64000"}),
    ):
        full = samples(sweep(48_000, 0.6, top_hz))
        payloads = encode("libopus", 48_000, full, options)
        (OUT / f"{name}.opus-frames").write_bytes(framed(payloads))
        # FFmpeg's own decoder, not libopus.
        (OUT / f"{name}-decoded.s16").write_bytes(decode("opus", 48_000, payloads))


if __name__ == "__main__":
    main()
