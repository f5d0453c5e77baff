"""Metrics as others read them: Prometheus' own parser, and a collector that is sent OpenTelemetry's protocol."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from gateway_harness import Gateway, Load, endpoint, wait_for
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2
from prometheus_client import parser

from doubleloop.gateway import histogram, protocol, pushing
from doubleloop.gateway import metrics as families
from doubleloop.gateway.prometheus import render

Script = Callable[..., Any]
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Collector:
    """A collector's OTLP/HTTP door on a free port. ``received``: (path, headers, message) in order."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, str], ExportMetricsServiceRequest]] = []
        self.status = 200
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                self.send_response(collector.status)
                self.end_headers()
                if collector.status == 200:
                    found = {name.lower(): value for name, value in self.headers.items()}
                    collector.received.append((self.path, found, ExportMetricsServiceRequest.FromString(body)))

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def last(self) -> ExportMetricsServiceRequest:
        """The next message from now on."""
        seen = len(self.received)
        wait_for(lambda: len(self.received) > seen + 1, "another export")
        return self.received[-1][2]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def labels(point: Any) -> frozenset[tuple[str, str]]:
    return frozenset((each.key, each.value.string_value) for each in point.attributes)


def sent(message: ExportMetricsServiceRequest) -> dict[str, metrics_pb2.Metric]:
    (resource,) = message.resource_metrics
    (scope,) = resource.scope_metrics
    return {metric.name: metric for metric in scope.metrics}


def values(message: ExportMetricsServiceRequest) -> Values:
    """As samples of Prometheus, which counts what is up to a bound."""
    found: Values = {}
    for name, metric in sent(message).items():
        for point in (*metric.sum.data_points, *metric.gauge.data_points):
            found[name, labels(point)] = point.as_int if point.HasField("as_int") else point.as_double
        for point in metric.histogram.data_points:
            total = 0
            for bound, count in zip([*point.explicit_bounds, float("inf")], point.bucket_counts, strict=True):
                total += count
                found[f"{name}_bucket", labels(point) | {("le", f"{bound:g}")}] = total
            assert total == point.count
            found[f"{name}_count", labels(point)] = point.count
            found[f"{name}_sum", labels(point)] = point.sum
    return found


def scraped(text: str) -> Values:
    found: Values = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            named = (
                {**sample.labels, "le": f"{float(sample.labels['le']):g}"} if "le" in sample.labels else sample.labels
            )
            found[sample.name, frozenset(named.items())] = sample.value
    return found


def test_a_collector_is_sent_what_prometheus_reads(gateway: Gateway, script: Script, collector: Collector) -> None:
    gateway.environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_METRIC_EXPORT_INTERVAL": "100",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=bikes%20ltd", "OTEL_SERVICE_NAME": "rides",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test,team=a", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    }  # fmt: skip
    slo = protocol.Slo(availability=99)
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1", instances=2)}, slo=slo)})
    client = gateway.client()
    for body, status in (({"data": [[1, 2]]}, 200), ({"data": [[1]], "raise": "x"}, 500), ([], 500)):
        assert client.score("shop/bikes", body).status == status
    client.score("shop/bikes", {}, key="wrong")
    message = collector.last()
    path, headers, _ = collector.received[-1]
    assert (path, headers["content-type"], headers["x-tenant"]) == (
        "/v1/metrics",
        "application/x-protobuf",
        "bikes ltd",
    )
    resource = {each.key: each.value.string_value for each in message.resource_metrics[0].resource.attributes}
    assert resource["service.name"] == "rides" and resource["service.version"]
    assert (resource["deployment.environment"], resource["team"]) == ("test", "a")

    theirs, ours = values(message), scraped(client.send("GET", "/metrics").body.decode())
    moving = ("doubleloop_scorer_cpu_seconds_total", "doubleloop_scorer_memory_bytes")
    assert theirs.keys() == ours.keys()
    assert [key for key in ours if theirs[key] != pytest.approx(ours[key]) and key[0] not in moving] == []
    blue = frozenset({("endpoint", "shop/bikes"), ("deployment", "blue"), ("deployment_id", "dep-1")})
    assert theirs["doubleloop_requests_total", blue | {("code", "500")}] == 2
    assert theirs["doubleloop_request_seconds_count", blue] == theirs["doubleloop_batch_size_count", blue] == 3
    assert theirs["doubleloop_batch_size_sum", blue] == 3
    assert theirs[
        "doubleloop_slo_compliance_ratio", frozenset({("endpoint", "shop/bikes"), ("slo", "availability")})
    ] == (pytest.approx(1 / 3))
    assert {dict(key[1])["worker"] for key in theirs if key[0] in moving} == {"0", "1"}

    metric = sent(message)["doubleloop_request_seconds"]
    (point,) = metric.histogram.data_points
    assert list(point.explicit_bounds) == [bound / 1000 for bound in histogram.BOUNDS_MS]
    assert not point.HasField("min") and not point.HasField("max")
    assert metric.unit == "s" and 0 < point.start_time_unix_nano < point.time_unix_nano
    assert metric.histogram.aggregation_temporality == metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
    total = sent(message)["doubleloop_requests_total"].sum
    assert total.is_monotonic and total.aggregation_temporality == metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE

    client.score("shop/bikes", {"data": [[1, 2]]})
    assert gateway.stop() == 0
    assert values(collector.received[-1][2])["doubleloop_requests_total", blue | {("code", "200")}] == 2, "the last one"


def test_a_collector_that_is_away_costs_no_request(gateway: Gateway, script: Script, collector: Collector) -> None:
    collector.status = 503
    gateway.environment |= {
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{collector.url}/own/path", "OTEL_METRIC_EXPORT_INTERVAL": "50",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }  # fmt: skip
    gateway.start().want({"shop/bikes": endpoint({"blue": script("dep-1")})})
    with Load(gateway, "shop/bikes", {"data": [[1, 2]]}, threads=2) as load:
        wait_for(lambda: "metrics are not taken by the collector" in gateway.log(), "the refusal to be told")
        load.more(50)
        collector.status = 200
        wait_for(lambda: collector.received, "an export")
        wait_for(lambda: "metrics are sent again" in gateway.log(), "that to be told")
        assert collector.received[0][0] == "/own/path"
        collector.close()
        load.more(50)
    assert load.broken == [] and {answer.status for answer in load.answers} == {200}
    assert gateway.stop() == 0


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x", "OTEL_EXPORTER_OTLP_HEADERS": "a=b"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c/m"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/m"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_METRICS_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
          "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf"}, True),
    ],
)  # fmt: skip
def test_metrics_are_sent_only_where_the_environment_says_where(environment: dict[str, str], expected: bool) -> None:
    assert pushing.wanted(environment) is expected


@pytest.mark.parametrize(("said", "seconds"), [("", 60), ("1500", 1.5), ("soon", 60), ("0", 60), ("-5", 60)])
def test_the_interval_is_in_milliseconds(said: str, seconds: float) -> None:
    assert pushing.interval({"OTEL_METRIC_EXPORT_INTERVAL": said}) == seconds


def test_prometheus_reads_any_label_and_any_number() -> None:
    odd = 'a "quoted"\\back\nslash'
    points = [families.Point({"endpoint": odd}, value) for value in (0, 1.5, 1e-9, 10**15)]
    singles = [
        families.Family(f"doubleloop_b{number}", "gauge", "1", "S.", [each]) for number, each in enumerate(points)
    ]
    buckets = families.Buckets((0.1, 1, 2.5e6), (1, 0, 2, 3), 12.5)
    text = render([
        families.Family("doubleloop_a", "gauge", "1", "Some.", points[:1]),
        *singles,
        families.Family("doubleloop_c", "histogram", "s", "Some.", [families.Point({"endpoint": odd}, buckets)]),
        families.Family("doubleloop_d_total", "counter", "s", "None yet."),
    ])  # fmt: skip
    found = scraped(text)
    label = frozenset({("endpoint", odd)})
    assert [found[f"doubleloop_b{number}", label] for number in range(4)] == [0, 1.5, 1e-9, 1e15]
    counted = [found["doubleloop_c_bucket", label | {("le", bound)}] for bound in ("0.1", "1", "2.5e+06", "inf")]
    assert (counted, found["doubleloop_c_sum", label], found["doubleloop_c_count", label]) == ([1, 1, 3, 6], 12.5, 6)
    kinds = {family.name: family.type for family in parser.text_string_to_metric_families(text)}
    assert kinds["doubleloop_c"] == "histogram" and kinds["doubleloop_d"] == "counter"
