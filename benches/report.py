"""The figures as a page of markdown."""

from __future__ import annotations

from statistics import linear_regression, median
from typing import Any

# What the peers took on this kind of machine, 1 to 100 at 1.2 Mbit/s with Opus, while a bare `sendto` of
# 1,100 B took 2.9 us: only for peers that are not here.
KNOWN_US = {"mediasoup": 7.2, "SRS": 9.3, "MediaMTX": 13.0, "LiveKit": 14.5, "Janus": 26.5}
KNOWN_SENDTO_US = 2.9
ORDER = {"filled": 0, "split": 1, "audio": 2, "clip": 3}
STEPS_MS = {"join-room": 100, "create-transport": 50, "produce": 50, "consume": 50}
"""What steps of a mediasoup client may take."""
PAYLOAD = {"filled": "1,100 B filled", "split": "1,100 B split", "audio": "120 B audio", "clip": "clip (Go driver)"}

Key = tuple[str, str, int, str, bool]


def report(result: dict[str, Any]) -> str:
    """Write the page."""
    figures = Figures(result)
    parts = [
        figures.heading(),
        figures.table(),
        "Bare sends of the same runs (us a packet; `paced` is the rhythm of one speaker, `hot` one after another):",
        figures.sends(),
        figures.scaled(),
        figures.others(),
        "Goals:\n\n" + "\n".join(figures.goals()),
    ]
    if result["failures"]:
        parts.append("Not measured:\n\n" + "\n".join(f"- {failure}" for failure in result["failures"]))
    return "\n\n".join(part for part in parts if part)


class Figures:
    """Medians over the runs."""

    def __init__(self, result: dict[str, Any]) -> None:
        self.result = result
        self.rows: dict[Key, list[dict[str, Any]]] = {}
        for row in clean(result["rows"]):
            self.rows.setdefault(key_of(row), []).append(row)
        self.bare: dict[tuple[int, int, str, bool], float] = {}
        cases: dict[tuple[int, int, str, bool], list[float]] = {}
        for case in result["sendto"]:
            key = (case["bytes"], case["segments"], case["rhythm"], case["gro"])
            cases.setdefault(key, []).append(case["us_per_packet"])
        self.bare = {case: median(values) for case, values in cases.items()}

    def value(self, key: Key, name: str = "cpu_us_per_packet") -> float | None:
        """Median of a figure; None when it was not measured."""
        values = [row[name] for row in self.rows.get(key, []) if row.get(name) is not None]
        return median(values) if values else None

    def us(
        self, server: str, shape: str, viewers: int = 100, srtp: str = "gcm", *, gro: bool | None = None
    ) -> float | None:
        """CPU time a packet; the clip has its own driver, whose sockets are plain."""
        return self.value((server, shape, viewers, srtp, shape != "clip" if gro is None else gro))

    def heading(self) -> str:
        """How it was measured."""
        before, after = self.result["load_before"][0], self.result["load_after"][0]
        return (
            f"Server CPU time per forwarded packet; median of {self.result['runs']} interleaved runs of "
            f"{self.result['seconds']} s; machine load {before:.1f} before, {after:.1f} after."
        )

    def table(self) -> str:
        """One row a cell."""
        head = (
            "| server | traffic | viewers | SRTP | UDP_GRO | us a packet (range) | ours to it | lost "
            "| packets a message | mean GSO run | kernel alone, hot-paced | join ms a viewer | resident KB a viewer |\n"
            "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
        )
        lines = [head]
        for key in sorted(self.rows, key=order):
            server, shape, viewers, srtp, gro = key
            values = [row["cpu_us_per_packet"] for row in self.rows[key]]
            lost = sum(row.get("lost_packets", 0) for row in self.rows[key])
            cells = [
                server,
                PAYLOAD[shape],
                str(viewers),
                srtp.upper(),
                "yes" if gro else "no",
                f"**{median(values):.2f}** ({min(values):.2f}-{max(values):.2f})",
                ratio(self.us("roomtone", shape, viewers, srtp, gro=gro), median(values))
                if server != "roomtone"
                else "",
                str(lost),
                number(self.value(key, "packets_per_message")),
                number(self.value(key, "mean_gso_run")),
                self.floor(key),
                number(self.value(key, "join_cpu_ms_per_viewer")),
                number(self.value(key, "memory_kb_per_viewer"), 0),
            ]
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def floor(self, key: Key) -> str:
        """What bare sends of the same number and length would take: no server that sends so can be cheaper."""
        sends = self.value(key, "messages_per_rtp")
        size = 120 if key[1] == "audio" else 1100
        texts = []
        for rhythm in ("hot", "paced"):
            cases = [(n, (size, n, rhythm, key[4] and n > 1)) for n in (1, 4, 10)]
            points = [(n, n * self.bare[case]) for n, case in cases if case in self.bare]
            if sends is None or len(points) < 3:
                return ""
            fit = linear_regression([n for n, _ in points], [us for _, us in points])
            texts.append(f"{fit.intercept * sends + fit.slope:.2f}")
        return "-".join(texts)

    def sends(self) -> str:
        """Bare sends."""
        sizes = [(1, False), (4, False), (4, True), (10, False), (10, True)]
        lines = [
            "| bytes | rhythm | one | GSO x4 | x4 to UDP_GRO | GSO x10 | x10 to UDP_GRO |",
            "|---|---|---|---|---|---|---|",
        ]
        for size in (120, 1100):
            for rhythm in ("hot", "paced"):
                values = [number(self.bare.get((size, segments, rhythm, gro))) for segments, gro in sizes]
                lines.append(f"| {size:,} | {rhythm} | {' | '.join(values)} |")
        return "\n".join(lines)

    def scaled(self) -> str:
        """Peers that are not here."""
        here = {key[0].lower() for key in self.rows}
        absent = {name: us for name, us in KNOWN_US.items() if name.lower() not in here}
        bare, ours = self.bare.get((1100, 1, "hot", False)), self.us("roomtone", "filled")
        if not absent or bare is None:
            return ""
        lines = [f"Not on this machine; earlier figures scaled by the bare send (x {bare / KNOWN_SENDTO_US:.2f}):", ""]
        lines += ["| server | us a packet (scaled) | ours to it |", "|---|---|---|"]
        for name, us in absent.items():
            now = us * bare / KNOWN_SENDTO_US
            lines.append(f"| {name} | {now:.1f} (scaled) | {ratio(ours, now)} |")
        return "\n".join(lines)

    def others(self) -> str:
        """Memory, start, boundary, instructions."""
        lines = []
        if held := self.result.get("memory"):
            lines.append(
                f"- memory of each of {held['viewers']:.0f} viewers: process {held['process_kb_per_viewer']:.0f} KB; "
                f"C allocator (engine, and Python's objects over 512 B) {held['malloc_kb_per_viewer']:.0f} KB"
            )
        ready = [row["ready_s"] for rows in self.rows.values() for row in rows if row["server"] == "roomtone"]
        if ready:
            lines.append(f"- start to ready: {median(ready):.2f} s ({min(ready):.2f}-{max(ready):.2f})")
        if room := self.result.get("grid"):
            lines.append(
                f"- {room['peers']} who publish three encodings and watch nine others each: "
                f"{room['cpu_us_per_packet']:.2f} us a packet, {room['packets_per_message']:.2f} packets a message, "
                f"mean GSO run {room['mean_gso_run']:.2f}; {room['lost_packets']} of {room['out_packets']:,} lost; "
                f"{room['switches']} changes of layer: p50 {room['switch_p50_ms']:.0f} ms, "
                f"p95 {room['switch_p95_ms']:.0f} ms, {room['switches_unseen']} not seen"
            )
        if crossing := self.result.get("boundary"):
            lines.append(
                f"- command Python -> engine -> Python: p50 {crossing['round_trip_p50_us']:.0f} us, p99 "
                f"{crossing['round_trip_p99_us']:.0f} us; {crossing['commands_per_s']:,.0f}/s with "
                f"{crossing['in_flight']} in flight; events {crossing['events_per_s']:,.0f}/s"
            )
        lines += signalling(self.result.get("signalling"))
        if path := self.result.get("path_ns"):
            lines.append(
                "- router and cipher alone, 1 -> 100, GCM, ns a packet: "
                + ", ".join(f"{case} caches {ns:.0f}" for case, ns in path.items())
            )
        if counted := self.result.get("instructions"):
            lines.append("- instructions a forwarded packet (router and cipher, no socket; against the baseline):")
            lines += [f"  - {line}" for line in counted["lines"]]
            lines += [f"  - **WORSE**: {line}" for line in counted["worse"]]
        return "\n".join(lines)

    def goals(self) -> list[str]:
        """What issue and design ask for, met or not."""
        ours, audio = self.us("roomtone", "filled"), self.us("roomtone", "audio")
        mediasoup, janus = self.us("mediasoup", "filled"), self.us("janus", "clip")
        split_on_our_time = divided(self.us("roomtone", "filled", gro=False), self.us("mediasoup", "filled", gro=False))
        lines = [
            goal("1,100 B, 1 -> 100, us a packet", ours, 1.8),
            goal("... to mediasoup", divided(ours, mediasoup), 0.25),
            goal("... to mediasoup, viewers without UDP_GRO", split_on_our_time, 0.25),
            goal("... to Janus (clip, same driver)", divided(self.us("roomtone", "clip"), janus), 1 / 12),
            goal("120 B to a bare sendto, paced", divided(audio, self.bare.get((120, 1, "paced", False))), 1.25),
            goal("120 B to a bare sendto, hot", divided(audio, self.bare.get((120, 1, "hot", False))), 1.25),
        ]
        for shape in ("filled", "split", "audio"):
            growth = divided(self.us("roomtone", shape, 200), self.us("roomtone", shape, 50))
            lines.append(goal(f"CPU time 50 -> 200 viewers, {PAYLOAD[shape]}", growth, 1.10))
        room = self.result.get("grid") or {}
        lines.append(goal("a grid of 30 to plain fan-out", divided(room.get("cpu_us_per_packet"), ours), 2.5))
        held = self.result.get("memory") or {}
        lines.append(goal("KB a viewer, engine (upper bound)", held.get("malloc_kb_per_viewer"), 60))
        lines.append(goal("KB a viewer, whole process", held.get("process_kb_per_viewer"), 150))
        ready = [row["ready_s"] for rows in self.rows.values() for row in rows if row["server"] == "roomtone"]
        lines.append(goal("start to ready, s", median(ready) if ready else None, 2.0))
        steps = (self.result.get("signalling") or {}).get("steps") or {}
        for event, limit in STEPS_MS.items():
            lines.append(goal(f"{event}, p95 ms", steps.get(event, {}).get("p95_ms"), limit))
        return lines


def signalling(found: dict[str, Any] | None) -> list[str]:
    """Joining and staying."""
    if not found:
        return []
    steps = ", ".join(
        f"{event} {times['p50_ms']:.1f} and {times['p95_ms']:.1f}" for event, times in found["steps"].items()
    )
    picture, storm, idle = found["join_to_first_picture"], found["storm"], found["idle"]
    return [
        f"- mediasoup clients, ms at p50 and p95: {steps}",
        f"- LiveKit clients, join to first picture: p50 {picture['p50_ms']:.0f}, p95 {picture['p95_ms']:.0f} ms",
        (
            f"- {storm['joins']} joins in {storm['seconds']:.1f} s into rooms of ten: {storm['errors']} errors; "
            f"p50 {storm['p50_ms']:.0f}, p95 {storm['p95_ms']:.0f} ms; CPU {storm['server_cpu_ms_per_join']:.1f} ms"
        ),
        (
            f"- {idle['clients']:.0f} idle signalling connections: {idle['kb_per_connection']:.0f} KB each, "
            f"{idle['cpu_ms_a_second']:.1f} ms CPU a second for all"
        ),
    ]


def clean(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out runs that lost packets where others of the same cell did not: who forwards less spends less."""

    whole = {key_of(row) for row in rows if not lossy(row)}
    return [row for row in rows if not lossy(row) or key_of(row) not in whole]


def key_of(row: dict[str, Any]) -> Key:
    """Name the cell of a row."""
    return (row["server"], row["shape"], row["viewers"], row["srtp"], row["gro"])


def order(key: Key) -> tuple[int, bool, bool, int, bool]:
    """Give the place of a cell in the table."""
    server, shape, viewers, srtp, gro = key
    return (ORDER[shape], srtp != "gcm", not gro, viewers, server != "roomtone")


def lossy(row: dict[str, Any]) -> bool:
    """More than one packet in a thousand is missing."""
    got: int = row.get("out_packets") or row.get("got_packets") or 1
    return bool(row.get("lost_packets", 0) > got / 1000)


def divided(value: float | None, by: float | None) -> float | None:
    """Quotient of figures that may be missing."""
    return value / by if value is not None and by else None


def ratio(ours: float | None, theirs: float) -> str:
    """Ours as a part of theirs."""
    return f"{ours / theirs:.2f}" if ours is not None else ""


def number(value: float | None, digits: int = 2) -> str:
    """Text of a figure that may be missing."""
    return "" if value is None else f"{value:.{digits}f}"


def goal(what: str, value: float | None, limit: float) -> str:
    """One line."""
    if value is None:
        return f"- {what}: not measured (goal {limit:.3g})"
    return f"- {what}: {value:.3g}, goal {limit:.3g}: {'met' if value <= limit else '**not met**'}"
