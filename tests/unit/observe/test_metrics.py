from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from prometheus_client.parser import text_string_to_metric_families

from roomtone.observe import Family, LoopLag, Metrics

Report = Mapping[str, int | float | str | bool | None]


async def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families((await metrics.render()).decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


async def test_engine_reports_become_metrics_by_shard() -> None:
    async def source() -> Iterable[Report]:
        return [
            {"id": "shard-0", "type": "shard", "packetsReceived": 5, "routers": 2, "note": "text"},
            {"id": "shard-1", "type": "shard", "packetsReceived": 7, "routers": 0},
        ]

    metrics = Metrics("1", "release")
    metrics.read_engine(source)
    values = await samples(metrics)
    one = frozenset({("id", "shard-1"), ("type", "shard")})
    assert values["roomtone_engine_packets_received_total", one] == 7
    assert values["roomtone_engine_routers", one] == 0
    assert not any("note" in name for name, _ in values)


async def test_a_source_that_fails_is_counted_and_hides_nothing() -> None:
    async def engine() -> Iterable[Report]:
        raise RuntimeError("gone")

    def gauges() -> Mapping[str, float]:
        raise RuntimeError("gone")

    metrics = Metrics("1", "release")
    metrics.read_engine(engine)
    metrics.read_families([Family("participants", "In all rooms.")], gauges)
    metrics.read_front(gauges)
    metrics.read_families(
        [Family("rooms", "Open."), Family("refused", "By reason.", counter=True, label="reason")],
        lambda: {"rooms": 3, "refused": {"not_live": 2}},
    )
    values = await samples(metrics)
    assert values["roomtone_rooms", frozenset()] == 3
    assert values["roomtone_refused_total", frozenset({("reason", "not_live")})] == 2
    assert values["roomtone_scrape_failures_total", frozenset({("source", "participants")})] == 1
    assert values["roomtone_scrape_failures_total", frozenset({("source", "engine")})] == 1
    assert values["roomtone_scrape_failures_total", frozenset({("source", "front")})] == 1


async def test_build_and_requests_are_told() -> None:
    metrics = Metrics("1.2.3", "debug")
    metrics.requests.labels("POST", "/whip/{room}", "201").inc()
    values = await samples(metrics)
    assert values["roomtone_build_info", frozenset({("version", "1.2.3"), ("profile", "debug")})] == 1
    assert (
        values[
            "roomtone_http_requests_total",
            frozenset({("method", "POST"), ("route", "/whip/{room}"), ("status", "201")}),
        ]
        == 1
    )


async def test_a_busy_loop_shows_as_lag() -> None:
    seen: list[float] = []
    beat = asyncio.Event()

    def observe(lag: float) -> None:
        seen.append(lag)
        beat.set()

    lag = LoopLag(observe, interval_s=0.001)
    lag.start()
    await beat.wait()
    lag.stop()
    assert seen
    assert lag.worst_s >= lag.last_s >= 0
