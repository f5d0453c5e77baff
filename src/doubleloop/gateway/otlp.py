"""Families of points as OpenTelemetry's metrics, sent by its own exporter.

The SDK's instruments would count a second time, and none of them takes a histogram that is counted already: so points
are built from what the gateway counts anyway, and the exporter encodes and sends them. It reads its settings by itself
from the environment (``OTEL_EXPORTER_OTLP_ENDPOINT``, ``..._HEADERS``, ``..._TIMEOUT``, ``..._CERTIFICATE``, ...).
"""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import export
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from doubleloop.gateway.metrics import Buckets, Family, Point

_CUMULATIVE = export.AggregationTemporality.CUMULATIVE


class Exporter:
    """Blocks while it sends: use it in a thread."""

    def __init__(self, version: str) -> None:
        # What the environment says of the resource wins.
        ours = Resource({SERVICE_NAME: "doubleloop-gateway", SERVICE_VERSION: version})
        self._resource = ours.merge(OTELResourceDetector().detect())
        self._scope = InstrumentationScope("doubleloop.gateway", version)
        self._exporter = OTLPMetricExporter()

    def send(self, families: Iterable[Family], now: float) -> bool:
        """Whether the collector took it. Tries again for as long as ``OTEL_EXPORTER_OTLP_TIMEOUT`` says (10 s)."""
        found = [_metric(family, now) for family in families if family.points]
        scope = export.ScopeMetrics(self._scope, found, "")
        data = export.MetricsData([export.ResourceMetrics(self._resource, [scope], "")])
        return self._exporter.export(data) is export.MetricExportResult.SUCCESS

    def close(self) -> None:
        """Ends also what is being tried again."""
        self._exporter.shutdown()


def _metric(family: Family, now: float) -> export.Metric:
    data: export.DataT
    if family.kind == "histogram":
        data = export.Histogram([_buckets(point, now) for point in family.points], _CUMULATIVE)
    elif family.kind == "counter":
        data = export.Sum([_number(point, now) for point in family.points], _CUMULATIVE, is_monotonic=True)
    else:
        data = export.Gauge([_number(point, now) for point in family.points])
    return export.Metric(family.name, family.text, family.unit, data)


def _number(point: Point, now: float) -> export.NumberDataPoint:
    assert not isinstance(point.value, Buckets)
    return export.NumberDataPoint(dict(point.labels), _nanoseconds(point.since), _nanoseconds(now), point.value)


def _buckets(point: Point, now: float) -> export.HistogramDataPoint:
    """Smallest and largest value are not known, and so left out."""
    buckets = point.value
    assert isinstance(buckets, Buckets)
    return export.HistogramDataPoint(
        attributes=dict(point.labels), start_time_unix_nano=_nanoseconds(point.since), time_unix_nano=_nanoseconds(now),
        count=sum(buckets.counts), sum=buckets.total, bucket_counts=list(buckets.counts),
        explicit_bounds=list(buckets.bounds), min=None, max=None,  # type: ignore[arg-type]
    )  # fmt: skip


def _nanoseconds(moment: float) -> int:
    return int(moment * 1_000_000_000)
