"""An LL-HLS origin in memory, good but for its defects. What it serves is a function of the loop's clock."""

from __future__ import annotations

import asyncio
import gzip
import struct
from dataclasses import dataclass

import httpx

BASE = "https://origin.example/live/card/"
FRAMES, FRAME_S, PARTS = 8, 0.04, 12
PART_S = FRAMES * FRAME_S
SEGMENT_S = PARTS * PART_S
TARGET_S = 4
WINDOW = 10
KEPT = 30
TAIL_S = 3 * TARGET_S
SKIP_S = 6 * TARGET_S
BEGUN_BEFORE_S = 200.0
EPOCH_S = 1_700_000_000.0
TICKS = 90_000
HOLD_S = 3 * TARGET_S
ADVANCE = 10
"""Ceiling of three seconds of parts."""
LOST_PART = 5


def box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I", 8 + len(body)) + kind + body


def header(*, video: bool, entry: bytes | None = None) -> bytes:
    config = box(b"avcC", b"\x01\x64\x00\x1f") if video else box(b"dOps", bytes(11))
    kind = (b"avc1" if video else b"Opus") if entry is None else entry
    sample = box(kind, bytes(78 if video else 28), config if entry is None else b"")
    table = box(b"stbl", box(b"stsd", bytes(4), struct.pack(">I", 1), sample), box(b"stts", bytes(8)))
    media = box(b"mdia", box(b"mdhd", bytes(12), struct.pack(">II", TICKS, 0), bytes(4)), box(b"minf", table))
    track = box(b"trak", box(b"tkhd", bytes(12), struct.pack(">I", 1), bytes(68)), media)
    return box(b"ftyp", b"cmfc") + box(
        b"moov", track, box(b"mvex", box(b"trex", bytes(4), struct.pack(">5I", 1, 1, 0, 0, 0)))
    )


@dataclass(frozen=True)
class Wanted:
    msn: int
    part: int | None


class Origin:
    """Serves two renditions of video and one of sound; ``ends_at`` and ``stalls_at`` are seconds of the loop."""

    def __init__(self, *defects: str, ends_at: float = 1e9, stalls_at: float = 1e9) -> None:
        self.defects = frozenset(defects)
        self.ends_at = ends_at
        self.stalls_at = stalls_at
        self.answers = 0

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self.handle))

    # --- time ---

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def ended(self) -> bool:
        return self.now() >= self.ends_at

    def count(self) -> int:
        """How many parts there are."""
        now = min(self.now(), self.ends_at, self.stalls_at)
        count = int((BEGUN_BEFORE_S + now) / PART_S + 1e-6)
        return count // 4 * 4 if "late_parts" in self.defects else count

    async def wait_for(self, number: int) -> bool:
        """Wait until there is a part; False where it takes too long."""
        give_up = self.now() + (25 if "no_503" in self.defects else HOLD_S)
        while self.count() <= number:
            if self.ended:
                if "no_release" in self.defects:
                    await asyncio.sleep(60)
                    raise httpx.ReadTimeout("nothing came")
                return True
            if self.now() >= give_up:
                return False
            due = (number + 1) * PART_S - BEGUN_BEFORE_S
            until = max(min(due, self.ends_at, give_up), self.now() + 0.01)
            await asyncio.sleep(until - self.now() + 1e-6)
        return True

    # --- requests ---

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.answers += 1
        if "slow_line" in self.defects:
            await asyncio.sleep(0.5)
        response = await self.answer(request)
        headers = response.headers
        if "no_cors" not in self.defects:
            headers["access-control-allow-origin"] = "*"
            headers["access-control-expose-headers"] = "Age, Date, ETag"
        if "no_cache_control" in self.defects:
            headers.pop("cache-control", None)
        version = b"HTTP/1.1" if "http1" in self.defects else b"HTTP/2"
        response.extensions["http_version"] = version
        return response

    async def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/live/card/")
        if request.method == "OPTIONS":
            return httpx.Response(204, headers={"access-control-allow-headers": "Range"})
        if path == "index.m3u8":
            return self.text(request, self.master(), 1)
        rendition, _, file = path.partition("/")
        if file == "index.m3u8":
            return await self.playlist(request, rendition)
        return await self.media(request, rendition, file)

    async def playlist(self, request: httpx.Request, rendition: str) -> httpx.Response:
        params = request.url.params
        wanted, status = self.read(dict(params))
        if status != 200:
            return httpx.Response(status, headers={"cache-control": "max-age=1"})
        waited = wanted is not None
        if wanted is not None and not self.ended and "no_waiting" not in self.defects:
            last = wanted.msn * PARTS + (PARTS - 1 if wanted.part is None else wanted.part)
            if self.count() > last and "slow_when_there" in self.defects:
                await asyncio.sleep(1)
            if not await self.wait_for(last):
                return httpx.Response(503 if "no_503" not in self.defects else 200, text="#EXTM3U\n")
        skip = "_HLS_skip" in params or "skips_unasked" in self.defects
        return self.text(request, self.media_playlist(rendition, skip=skip), 24 if waited else 1)

    def read(self, params: dict[str, str]) -> tuple[Wanted | None, int]:  # noqa: PLR0911 - an answer a rule
        if "_HLS_part" in params and "_HLS_msn" not in params:
            return None, 200 if "part_alone_ok" in self.defects else 400
        if "_HLS_msn" not in params:
            return None, 200
        msn, part = params["_HLS_msn"], params.get("_HLS_part")
        if not msn.isdigit() or (part is not None and not part.isdigit()):
            return None, 200 if "nonsense_ok" in self.defects else 400
        wanted = Wanted(int(msn), None if part is None else int(part))
        if self.ended:
            return wanted, 200
        open_, there = divmod(self.count(), PARTS)
        if wanted.msn > open_ + 2 or (wanted.msn == open_ and (wanted.part or 0) >= there + ADVANCE):
            return None, 200 if "far_ok" in self.defects else 400
        if wanted.part is not None and wanted.part >= PARTS:
            if "past_last_refused" in self.defects:
                return None, 400
            wanted = Wanted(wanted.msn + 1, 0)
        return wanted, 200

    async def media(self, request: httpx.Request, rendition: str, file: str) -> httpx.Response:
        stem = file.partition(".")[0]
        kind, digits = stem[:1], stem[1:]
        if kind == "i":
            entry = b"hev1" if "hev1" in self.defects else None
            return self.bytes(request, header(video=rendition != "audio", entry=entry))
        if not digits.isdigit() or kind not in "sp":
            return httpx.Response(404, headers={"cache-control": "max-age=1"})
        number = int(digits)
        if kind == "p":
            return await self.part_response(request, rendition, number)
        oldest = self.count() // PARTS - WINDOW
        if number >= self.count() // PARTS or number < oldest - (0 if "removed_gone" in self.defects else KEPT):
            return httpx.Response(404, headers={"cache-control": "max-age=1"})
        body = b"".join(self.part_bytes(rendition, number * PARTS + at) for at in range(PARTS))
        return self.bytes(request, body[:-1] + b"\xff" if "parts_differ" in self.defects else body)

    async def part_response(self, request: httpx.Request, rendition: str, number: int) -> httpx.Response:
        missing = number > self.count() or (number % PARTS == LOST_PART and "lost_part" in self.defects)
        if number == self.count() and not missing:
            missing = "hint_404" in self.defects or not await self.wait_for(number) or self.count() <= number
            if "hint_late" in self.defects:
                await asyncio.sleep(0.5)
        if missing:
            return httpx.Response(404, headers={"cache-control": "max-age=1"})
        return self.bytes(request, self.part_bytes(rendition, number))

    # --- bodies ---

    def bytes(self, request: httpx.Request, body: bytes) -> httpx.Response:
        headers = {
            "cache-control": "max-age=3600, immutable",
            "etag": f'"{request.url.path}"',
            "accept-ranges": "bytes",
        }
        if request.headers.get("if-none-match") == headers["etag"]:
            return httpx.Response(304, headers=headers)
        asked = request.headers.get("range")
        if asked is not None:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            if int(first) >= len(body):
                return httpx.Response(416, headers=headers | {"content-range": f"bytes */{len(body)}"})
            end = min(int(last or len(body) - 1), len(body) - 1)
            told = {"content-range": f"bytes {first}-{end}/{len(body)}"}
            return httpx.Response(206, headers=headers | told, content=body[int(first) : end + 1])
        if request.method == "HEAD":
            return httpx.Response(200, headers=headers | {"content-length": str(len(body))})
        return httpx.Response(200, headers=headers, content=body)

    def text(self, request: httpx.Request, text: str, max_age: int) -> httpx.Response:
        if "answers_differ" in self.defects:
            text += f"# {self.answers}\n"
        headers = {"cache-control": f"max-age={max_age}", "vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", "") and "no_gzip" not in self.defects:
            return httpx.Response(
                200, headers=headers | {"content-encoding": "gzip"}, content=gzip.compress(text.encode())
            )
        return httpx.Response(200, headers=headers, content=text.encode())

    def part_bytes(self, rendition: str, number: int) -> bytes:
        at = int(number * PART_S * TICKS + 0.5)
        if "time_runs_back" in self.defects and number % PARTS == LOST_PART:
            at -= TICKS
        flags = 0 if "no_base_is_moof" in self.defects else 0x02_0000
        samples = b""
        for frame in range(FRAMES):
            sync = rendition == "audio" or (number % PARTS == 0 and frame == 0)
            samples += struct.pack(">III", int(FRAME_S * TICKS), 4, 0x0200_0000 if sync else 0x0101_0000)
        run = box(b"trun", struct.pack(">III", 0x01 | 0x100 | 0x200 | 0x400, FRAMES, 0), samples)
        fragment = box(
            b"traf",
            box(b"tfhd", struct.pack(">II", flags, 1)),
            box(b"tfdt", struct.pack(">IQ", 0x0100_0000, at)),
            run,
        )
        payload = b"".join(struct.pack(">I", number * FRAMES + frame) for frame in range(FRAMES))
        if "bad_padding" in self.defects:
            payload += b"?"
        return box(b"moof", box(b"mfhd", struct.pack(">II", 0, number)), fragment) + box(b"mdat", payload)

    # --- playlists ---

    def master(self) -> str:
        codecs = "" if "no_codecs" in self.defects else ',CODECS="avc1.64001f,opus"'
        rest = 'RESOLUTION=1280x720,FRAME-RATE=25.000,AUDIO="a"'
        said = f"BANDWIDTH=14000,AVERAGE-BANDWIDTH=10000{codecs},{rest}"
        return (
            "#EXTM3U\n#EXT-X-VERSION:9\n"
            '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",DEFAULT=YES,URI="audio/index.m3u8"\n'
            f"#EXT-X-STREAM-INF:{said}\nhigh/index.m3u8\n#EXT-X-STREAM-INF:{said}\nlow/index.m3u8\n"
        )

    def media_playlist(self, rendition: str, *, skip: bool) -> str:
        count = self.count()
        open_, there = divmod(count, PARTS)
        window = 2 if "short_window" in self.defects else WINDOW
        first = open_ - window
        lines = self.head(first)
        skipped = self.skippable(first, open_, there) if skip else 0
        if skipped:
            lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped + ('delta_differs' in self.defects)}")
        for number in range(first + skipped, open_):
            behind = (open_ - 1 - number) * SEGMENT_S + there * PART_S
            tail = SEGMENT_S if "parts_leave" in self.defects else TAIL_S
            new_map = number == first + skipped and not (skipped and "delta_without_map" in self.defects)
            lines += self.segment_head(rendition, number, new_map=new_map)
            if behind <= tail:
                lines += self.parts(number, PARTS)
            lines += [f"#EXTINF:{SEGMENT_S:.5f},", f"s{number}.m4s"]
        if self.ended:
            lines.append("#EXT-X-ENDLIST")
        elif there:
            lines += [*self.segment_head(rendition, open_, new_map=False), *self.parts(open_, there)]
        if not self.ended or "hint_after_end" in self.defects:
            hint = count + 2 if "wrong_hint" in self.defects else count
            lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p{hint}.m4s"')
        if "no_reports" not in self.defects:
            last = count - 1 - (6 if "old_reports" in self.defects else 0)
            for other in {"high", "low", "audio"} - {rendition}:
                msn, part = divmod(last, PARTS)
                lines.append(f'#EXT-X-RENDITION-REPORT:URI="../{other}/index.m3u8",LAST-MSN={msn},LAST-PART={part}')
        return "\n".join(lines) + "\n"

    def head(self, first: int) -> list[str]:
        has = self.defects.__contains__
        control = [] if has("no_blocking") else ["CAN-BLOCK-RELOAD=YES"]
        control.append(f"PART-HOLD-BACK={2.5 * PART_S if has('short_part_hold_back') else 3 * PART_S:.3f}")
        control.append(f"CAN-SKIP-UNTIL={12.0 if has('early_skip') else SKIP_S:.1f}")
        if has("short_hold_back"):
            control.append("HOLD-BACK=4")
        return [
            "#EXTM3U",
            f"#EXT-X-VERSION:{6 if has('old_version') else 9}",
            f"#EXT-X-TARGETDURATION:{'3.84' if has('fractional_target') else TARGET_S}",
            "#EXT-X-SERVER-CONTROL:" + ",".join(control),
            *([] if has("no_part_inf") else [f"#EXT-X-PART-INF:PART-TARGET={PART_S:.3f}"]),
            f"#EXT-X-MEDIA-SEQUENCE:{7 if has('renumbered') else first}",
            *self.date_ranges(),
        ]

    def date_ranges(self) -> list[str]:
        """A break of four seconds that is announced, and told of again when it is over."""
        has = self.defects.__contains__
        begins = f"00:03:{'21' if has('range_moves') and self.now() > SEGMENT_S else '20'}.000Z"
        name = "" if has("range_unnamed") else 'ID="break-1",'
        start = "" if has("range_without_beginning") else f',START-DATE="2026-01-01T{begins}"'
        over = "00:03:19.000Z" if has("range_ends_before") else "00:03:24.000Z"
        planned = "5" if has("range_says_two_things") else "4"
        lasts = ",DURATION=3.5" if has("range_lasts_otherwise") else ",DURATION=4"
        if has("range_ends_before") or has("range_moves"):
            lasts = ""  # a duration that does not fit would tell of it, too
        more = ",END-ON-NEXT=YES" if has("range_of_no_class") else ""
        out = "soon" if has("range_of_words") else "0xFC30"
        return [
            f"#EXT-X-DATERANGE:{name}PLANNED-DURATION=4,SCTE35-OUT={out}{more}{start}",
            f'#EXT-X-DATERANGE:{name}PLANNED-DURATION={planned},END-DATE="2026-01-01T{over}"{lasts},SCTE35-IN=0xFC31{start}',
        ]

    def skippable(self, first: int, open_: int, there: int) -> int:
        until = 12 if "skips_too_much" in self.defects else SKIP_S
        behind = [(open_ - 1 - number) * SEGMENT_S + there * PART_S for number in range(first, open_)]
        return sum(one > until for one in behind)

    def segment_head(self, rendition: str, number: int, *, new_map: bool) -> list[str]:
        lines = []
        if new_map and "no_map" not in self.defects:
            lines.append('#EXT-X-MAP:URI="i0.mp4"')
        if new_map and "bad_padding" in self.defects:
            lines.append('#EXT-X-KEY:METHOD=AES-128,URI="key"')
        at = number * SEGMENT_S
        if rendition == "audio" and "dates_apart" in self.defects:
            at += 0.05
        if rendition == "low" and "misaligned" in self.defects:
            at += 0.5
        if "no_dates" not in self.defects:
            second, milli = divmod(round(at * 1000), 1000)
            minute, second = divmod(second, 60)
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:{minute % 60:02}:{second:02}.{milli:03}Z")
        return lines

    def parts(self, segment: int, count: int) -> list[str]:
        lines = []
        for at in range(count):
            number, duration = segment * PARTS + at, PART_S
            if at == LOST_PART and "long_part" in self.defects:
                duration = 0.5
            if at == LOST_PART and "short_part" in self.defects:
                duration = 0.1
            marks = ",INDEPENDENT=YES" if at == 0 and "no_independent" not in self.defects else ""
            if "pieces_unhinted" in self.defects:
                marks += f',BYTERANGE="{len(self.part_bytes("high", number))}@0"'
            lines.append(f'#EXT-X-PART:DURATION={duration:.5f},URI="p{number}.m4s"{marks}')
        return lines
