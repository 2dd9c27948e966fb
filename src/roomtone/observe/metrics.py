"""Prometheus metrics: one registry a server, filled by what happens and by sources asked at each scrape."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from roomtone.observe.logs import LOG_COUNTS

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Report = Mapping[str, int | float | str | bool | None]
EngineSource = Callable[[], Awaitable[Iterable[Report]]]
NumberSource = Callable[[], Mapping[str, float]]
FamilySource = Callable[[], Mapping[str, float | Mapping[str, float]]]

_LAG_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
ENGINE_GAUGES = frozenset(
    {
        "channels",
        "command_queue_depth",
        "command_queue_peak",
        "consumers",
        "event_queue_depth",
        "gso_mean_run",
        "ingest_streams",
        "ingests",
        "ingests_slowed",
        "live_memory_bytes",
        "live_stored_bytes",
        "mixers",
        "packagers",
        "packagers_critical",
        "packagers_elevated",
        "packagers_high",
        "playouts",
        "producers",
        "routers",
        "shards",
        "tcp_connections",
        "transports",
    }
)
"""Of the engine's statistics those that may fall; all others count up."""
FRONT_GAUGES = frozenset({"connections_open", "live_viewers", "requests_open", "tunnels_open"})
"""Likewise of the front door's."""
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LABELS = ("id", "type", "shard", "reason", "kind")
_OF_ONE = frozenset({"ingest", "playout"})
"""Reports of single publishers and readers: there would be a sample for each that ever was."""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric whose value is asked for at each scrape: one number, or one for each value of ``label``."""

    name: str
    meaning: str
    counter: bool = False
    label: str | None = None


def metric_name(name: str) -> str:
    """Turn a statistic's name (`packetsReceived`) into a metric's (`packets_received`)."""
    return re.sub(r"[^a-z0-9_]", "_", _CAMEL.sub("_", name).lower())


class EngineCollector:
    """The engine's reports as metrics; `refresh` before each scrape."""

    def __init__(self) -> None:
        self._reports: list[Report] = []

    def refresh(self, reports: Iterable[Report]) -> None:
        """Take the newest reports."""
        self._reports = list(reports)

    def collect(self) -> Iterator[Metric]:
        """Give one family a statistic, one sample a report."""
        families: dict[str, tuple[CounterMetricFamily | GaugeMetricFamily, tuple[str, ...]]] = {}
        for report in self._reports:
            if report.get("type") in _OF_ONE:
                continue
            labels = {key: str(report[key]) for key in _LABELS if report.get(key) is not None}
            for key, value in report.items():
                if key in _LABELS or isinstance(value, str | bool) or value is None:
                    continue
                name = f"roomtone_engine_{metric_name(key)}"
                if name not in families:
                    families[name] = (_family(name, tuple(labels)), tuple(labels))
                family, names = families[name]
                family.add_metric([labels.get(label, "") for label in names], float(value))
        yield from (family for family, _ in families.values())


def _family(name: str, labels: tuple[str, ...]) -> CounterMetricFamily | GaugeMetricFamily:
    kind = GaugeMetricFamily if name.removeprefix("roomtone_engine_") in ENGINE_GAUGES else CounterMetricFamily
    return kind(name, "Of the media engine.", labels=labels)


class _FrontCollector:
    """The front door's counters as metrics; `refresh` before each scrape."""

    def __init__(self) -> None:
        self._values: Mapping[str, float] = {}

    def refresh(self, values: Mapping[str, float]) -> None:
        """Take the newest values."""
        self._values = values

    def collect(self) -> Iterator[Metric]:
        for name, value in self._values.items():
            kind = GaugeMetricFamily if name in FRONT_GAUGES else CounterMetricFamily
            yield kind(f"roomtone_front_{name}", "Of the front door.", value)


class _FamilyCollector:
    """Families and where their values come from; ``values`` are refreshed before each scrape."""

    def __init__(self, families: Sequence[Family], source: FamilySource) -> None:
        self.families = families
        self.source = source
        self.values: Mapping[str, float | Mapping[str, float]] = {}

    def collect(self) -> Iterator[Metric]:
        for family in self.families:
            kind = CounterMetricFamily if family.counter else GaugeMetricFamily
            made = kind(f"roomtone_{family.name}", family.meaning, labels=[family.label] if family.label else [])
            value = self.values.get(family.name, {})
            for label, number in value.items() if isinstance(value, Mapping) else [(None, value)]:
                made.add_metric([] if label is None else [label], number)
            yield made


class _LogCollector:
    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily("roomtone_log_lines", "Lines logged, by level.", labels=["level"])
        for level, count in LOG_COUNTS.by_level.items():
            family.add_metric([level], count)
        yield family


class Metrics:
    """All metrics of a server."""

    def __init__(self, version: str, profile: str) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.loop_lag = Histogram(
            "roomtone_loop_lag_seconds",
            "How late the event loop ran a timer.",
            buckets=_LAG_BUCKETS,
            registry=self.registry,
        )
        self.requests = Counter(
            "roomtone_http_requests",
            "HTTP requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "roomtone_http_request_seconds",
            "Time to answer an HTTP request.",
            ["route"],
            buckets=_REQUEST_BUCKETS,
            registry=self.registry,
        )
        self.worker_restarts = Counter(
            "roomtone_worker_restarts", "Worker processes started again.", ["worker"], registry=self.registry
        )
        self.scrape_failures = Counter(
            "roomtone_scrape_failures", "Sources that failed at a scrape.", ["source"], registry=self.registry
        )
        build = Gauge("roomtone_build_info", "Constant 1.", ["version", "profile"], registry=self.registry)
        build.labels(version, profile).set(1)
        ProcessCollector(registry=self.registry)
        self._engine = EngineCollector()
        self._engine_source: EngineSource | None = None
        self._families: list[_FamilyCollector] = []
        self.registry.register(self._engine)
        self._front = _FrontCollector()
        self._front_source: NumberSource | None = None
        self.registry.register(self._front)
        self.registry.register(_LogCollector())

    def read_engine(self, source: EngineSource | None) -> None:
        """Ask this for the engine's reports at each scrape."""
        self._engine_source = source

    def read_front(self, source: NumberSource | None) -> None:
        """Ask this for the front door's counters at each scrape."""
        self._front_source = source

    def read_families(self, families: Sequence[Family], source: FamilySource) -> None:
        """Ask this for the values of these families at each scrape; `roomtone_` is put before their names."""
        collector = _FamilyCollector(families, source)
        self._families.append(collector)
        self.registry.register(collector)

    async def render(self) -> bytes:
        """Ask all sources and write the exposition text; a source that fails is counted and left out."""
        await self._refresh_engine()
        self._refresh_front()
        for collector in self._families:
            try:
                collector.values = collector.source()
            except Exception:  # noqa: BLE001 - one broken source must not hide the rest
                collector.values = {}
                self.scrape_failures.labels(collector.families[0].name).inc()
        return generate_latest(self.registry)

    async def _refresh_engine(self) -> None:
        if self._engine_source is None:
            return
        try:
            self._engine.refresh(await self._engine_source())
        except Exception:  # noqa: BLE001 - likewise
            self._engine.refresh(())
            self.scrape_failures.labels("engine").inc()

    def _refresh_front(self) -> None:
        if self._front_source is None:
            return
        try:
            self._front.refresh(self._front_source())
        except Exception:  # noqa: BLE001 - likewise
            self._front.refresh({})
            self.scrape_failures.labels("front").inc()
