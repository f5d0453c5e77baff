"""Signals of endpoints, this machine, jobs, data and use: differences of counters between runs, kept over restarts."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest
from monitoring_watch import Watch

from doubleloop.base import clock, errors
from doubleloop.cost import store as _costs  # noqa: F401  (declares its table before the house is built)
from doubleloop.endpoints import model as serving
from doubleloop.endpoints import ports
from doubleloop.endpoints import store as deployments
from doubleloop.environments import commands as environments
from doubleloop.gateway import histogram, metrics, paths, prometheus, protocol
from doubleloop.jobs import commands as jobs
from doubleloop.jobs import model as job_model
from doubleloop.jobs import store as job_store
from doubleloop.monitoring import commands, model, queries, sampling, workflows
from doubleloop.specs import documents
from doubleloop.workspaces import declared

MONITOR = """
name: watch
trigger: {{type: recurrence, frequency: hour, interval: 1}}
create_monitor:
  {target}
  monitoring_signals:
    it: {signal}
"""
TARGET = 'monitoring_target: {endpoint_deployment_id: "azureml:bikes:blue"}'


def latency(**counts: int) -> tuple[int, ...]:
    """Answers by upper bound in milliseconds: ``ms_10=3``."""
    found = histogram.empty()
    for name, count in counts.items():
        found[histogram.BOUNDS_MS.index(float(name.removeprefix("ms_")))] += count
    return tuple(found)


class Gateway:
    """The serving port, saying what the test says."""

    def __init__(self, serving: Any) -> None:
        self._serving = serving
        self.deployments: dict[str, protocol.DeploymentStatus] = {}
        self.objectives: tuple[protocol.Objective, ...] = ()
        self.away, self.address = False, ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._serving, name)

    def status(self) -> protocol.Status:
        if self.away:
            raise errors.Unavailable("The gateway does not answer")
        here = protocol.EndpointStatus({}, self.deployments, self.objectives)
        return protocol.Status(1, True, address=self.address, endpoints={"prod/bikes": here})

    def says(self, name: str = "blue", id_: str = "blue-1", **counters: Any) -> None:
        state = {key: counters.pop(key) for key in ("instances", "ready_instances", "restarts") if key in counters}
        self.deployments[name] = protocol.DeploymentStatus(
            id_, "ready", id_, **{"instances": 2, "ready_instances": 2, **state}, counters=protocol.Counters(**counters)
        )


class Site:
    def __init__(self, watch: Watch) -> None:
        self.watch, self.house, self.hour = watch, watch.house, 0
        self.moment = self.begin = clock.now()
        self.gateway = self.house.ports[ports.Serving] = Gateway(watch.serving)

    def put(self, signal: str, target: str = TARGET) -> None:
        text = MONITOR.format(signal=signal, target=target)
        with self.house.write("linus", "prod") as ctx:
            commands.put(ctx, documents.parse(text, "m.yml", "/", kind="schedule"))

    def run(self, minutes: float = 60, as_of: Any = None) -> dict[str, Any]:
        """A run so long after the one before; its one signal."""
        self.hour += 1
        moment = self.moment = self.moment + timedelta(minutes=minutes)
        contexts = replace(self.house.contexts, now=lambda: moment)
        with contexts.write(self.house.actor("linus"), "prod") as ctx:
            run = commands.run_now(ctx, "watch", as_of)
        found = workflows._measure(contexts, run.id)
        workflows.record(contexts, run.id, found)
        with self.house.read("linus", "prod") as ctx:
            (result,) = queries.run(ctx, run.id).signals
        return dict(result)

    def values(self, result: dict[str, Any]) -> dict[str, Any]:
        return {each["metric"]: each["value"] for each in result["metrics"]}


@pytest.fixture
def site(watch: Watch) -> Site:
    return Site(watch)


ALL = """{type: endpoint_health, metric_thresholds: {requests_per_minute_at_least: 1, latency_p50_ms: 20,
      latency_p99_ms: 500, throttled_rate: 0.1, client_error_rate: 0.5, server_error_rate: 0.01, restarts: 1,
      ready_share: 1, cpu_utilization: 0.9}}"""


def test_rates_and_latencies_are_those_of_the_time_between_two_runs(site: Site) -> None:
    site.put(ALL)
    site.gateway.says(requests=1000, server_errors=900, latency=latency(ms_1000=1000))
    first = site.run()
    assert first["status"] == "ok" and site.values(first)["server_error_rate"] is None
    assert "sampled before" in first["metrics"][0]["reason"]
    site.gateway.says(
        requests=1600, server_errors=912, client_errors=60, throttled=30, restarts=1,
        latency=latency(ms_1000=1003, ms_10=297),
    )  # fmt: skip
    found = site.run(minutes=30)
    values = site.values(found)
    assert values["requests_per_minute_at_least"] == pytest.approx(600 / 30)
    assert values["server_error_rate"] == pytest.approx(12 / 600)
    assert values["client_error_rate"] == pytest.approx(60 / 600)
    assert values["throttled_rate"] == pytest.approx(30 / 600)
    assert 7.9 < values["latency_p50_ms"] <= 10 and 7.9 < values["latency_p99_ms"] <= 10  # 297 of 300 within 10 ms
    assert (values["restarts"], values["ready_share"], values["cpu_utilization"]) == (1.0, 1.0, 0.0)
    assert found["status"] == "alert"
    (alert,) = site.watch.alerts()
    assert (alert.metric, alert.columns, alert.kind) == ("server_error_rate", ["blue"], "infrastructure")
    assert alert.details["tell"] == ["platform_support"]


class Metrics(http.server.BaseHTTPRequestHandler):
    """A gateway's ``/metrics``, written by its own writer."""

    waited: ClassVar[tuple[int, ...]] = ()

    def do_GET(self) -> None:
        labels = {"endpoint": "prod/bikes", "deployment": "blue", "deployment_id": "blue-1"}
        bounds = tuple(each / 1000 for each in histogram.BOUNDS_MS)
        family = metrics.Family("doubleloop_queue_seconds", "histogram", "s", "From the queue to a scorer.")
        family.points.append(metrics.Point(labels, metrics.Buckets(bounds, self.waited, 1.0)))
        other = metrics.Family("doubleloop_queued", "gauge", "{request}", "")
        other.points.append(metrics.Point(labels, 3))
        self.send_response(200 if self.path == "/metrics" else 404)
        self.end_headers()
        self.wfile.write(prometheus.render([other, family]).encode())

    def log_message(self, *_: Any) -> None: ...


def test_the_time_in_the_queue_comes_from_the_gateways_metrics(site: Site) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        site.put("{type: endpoint_health, metric_thresholds: {queue_time_p99_ms: 500}}")
        site.gateway.address = f"http://127.0.0.1:{server.server_port}"
        site.gateway.says()
        Metrics.waited = latency(ms_10000=50)
        site.run()
        Metrics.waited = latency(ms_10000=50, ms_10=990, ms_1000=10)
        calm = site.run()
        assert calm["status"] == "ok" and 7.9 < site.values(calm)["queue_time_p99_ms"] <= 10  # 990 of 1000
        Metrics.waited = latency(ms_10000=50, ms_10=990, ms_1000=110)
        long = site.run()
        assert long["status"] == "alert" and 794 < site.values(long)["queue_time_p99_ms"] <= 1000
    finally:
        server.shutdown()
        server.server_close()
    assert "tells no time in the queue" in site.run()["metrics"][0]["reason"]


def test_counters_that_began_again_count_from_there(site: Site) -> None:
    site.put("{type: endpoint_health, metric_thresholds: {server_error_rate: 0.2, latency_p99_ms: 5}}")
    site.gateway.says(requests=1000, server_errors=0, latency=latency(ms_1=1000))
    site.run()
    site.gateway.says(requests=10, server_errors=1, latency=latency(ms_100=10))  # the gateway was started again
    assert site.values(site.run())["server_error_rate"] == pytest.approx(0.1)
    site.gateway.says(id_="blue-2", requests=2000, server_errors=1000, latency=latency(ms_1=2000))  # it was replaced
    values = site.values(site.run())
    assert values["server_error_rate"] == pytest.approx(0.5) and values["latency_p99_ms"] <= 1


def test_instances_that_are_not_ready_and_a_gateway_that_is_away_are_alerts(site: Site) -> None:
    site.put("{type: endpoint_health}")
    site.gateway.says(ready_instances=1)
    found = site.run()
    assert site.values(found)["ready_share"] == 0.5 and found["status"] == "alert"
    site.gateway.away = True
    found = site.run()
    assert site.values(found)["ready_share"] == 0.0 and "does not answer" in found["metrics"][0]["reason"]
    site.gateway.away = False
    site.gateway.deployments = {"green": site.gateway.deployments["blue"]}
    assert "serves no such deployment of bikes" in site.run()["metrics"][0]["reason"]


def test_a_burn_rate_counts_when_both_of_its_windows_burn(site: Site) -> None:
    site.put("{type: endpoint_health, metric_thresholds: {burn_rate_1h: 14.4, burn_rate_6h: 6}}")
    site.gateway.says()

    def burning(**rates: float | None) -> dict[str, Any]:
        rates = {"5m": rates["m5"], "30m": rates["m30"], "1h": rates["h1"], "6h": rates["h6"], "3d": 1.0}
        site.gateway.objectives = (
            protocol.Objective("availability", 99.9, None, 9, 99.0, False, 0.01, 9, -9, 1.0, rates),
        )
        return site.run()

    assert burning(m5=20.0, m30=0.0, h1=15.0, h6=2.0)["status"] == "alert"
    over = burning(m5=0.0, m30=9.0, h1=15.0, h6=2.0)
    assert over["status"] == "ok" and site.values(over) == {"burn_rate_1h": 0.0, "burn_rate_6h": 2.0}
    assert site.values(burning(m5=None, m30=6.5, h1=1.0, h6=7.0)) == {"burn_rate_1h": None, "burn_rate_6h": 6.5}


def test_a_model_that_nobody_asks_any_more_is_told(site: Site) -> None:
    site.put("{type: model_usage}")
    site.gateway.says(requests=500)
    assert site.run()["status"] == "not_checked"
    site.gateway.says(requests=501)
    assert site.run()["status"] == "ok"
    assert site.run()["status"] == "alert"


def test_this_machine_is_measured_and_needs_no_endpoint(site: Site) -> None:
    site.put("{type: compute_health}", target="")
    site.run()
    sum(range(300_000))  # some ticks pass
    values = site.values(site.run())
    stat = os.statvfs(site.house.home)
    assert values["disk_utilization"] == pytest.approx(
        1 - stat.f_bavail / (stat.f_blocks - stat.f_bfree + stat.f_bavail), abs=0.01
    )
    free = subprocess.run(["free", "-k"], capture_output=True, text=True, check=False).stdout.split("\n")
    if len(free) > 1:
        row = free[1].split()
        assert values["memory_utilization"] == pytest.approx(1 - int(row[6]) / int(row[1]), abs=0.1)
    assert values["cpu_utilization"] is None or 0 <= values["cpu_utilization"] <= 1


def test_what_scorers_use_is_found_by_the_deployment_they_belong_to(site: Site, tmp_path: Path) -> None:
    spec = paths.scorer_folder(site.house.home, "blue-1") / "spec-x.json"
    code = "x = bytearray(50_000_000); print('ready', flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--spec", str(spec)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None and process.stdout.readline()
        found = sampling.scorers(site.house.home)
        status = Path(f"/proc/{process.pid}/status").read_text()
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        assert set(found) == {"blue-1"}
        assert found["blue-1"][0].memory == pytest.approx(resident * 1024, rel=0.02)
        site.put("{type: endpoint_health, metric_thresholds: {memory_mb: 40}}")
        site.gateway.says()
        assert site.run()["status"] == "alert"
    finally:
        process.communicate(b"\n")


def test_failed_jobs_of_the_window_and_how_long_jobs_wait(site: Site) -> None:
    with site.house.write("ada", "registry") as ctx:
        body = {"name": "base", "conda_file": {"$file": "c.yml", "text": "dependencies: [python=3.11]"}}
        environments.create(ctx, "base", "1", body)
    site.put("{type: jobs_health, metric_thresholds: {failed_jobs: 1, failure_rate: 0.9, queue_time_p95_s: 100}}", "")
    job = "$schema: x/commandJob.schema.json\ncommand: echo hi\nenvironment: azureml:base@latest\n"
    begun = site.begin + timedelta(minutes=30)
    for number, (status, waited, ended) in enumerate(
        [("failed", 10, 1), ("failed", 20, 2), ("completed", 30, 3), ("failed", 40, -1800)]
    ):
        contexts = replace(site.house.contexts, now=lambda waited=waited: begun - timedelta(seconds=waited))
        with contexts.write(site.house.actor("service:setup"), "prod") as ctx:
            made = jobs.submit(ctx, documents.parse(job, "j.yml", "/"), id=f"job-{number}")
            ends = begun + timedelta(minutes=ended)
            started = min(begun, ends)
            job_store.set_job(ctx, made, job_model.Status(status), started_at=started, ended_at=ends)
    found = site.run()  # its window: the hour's default, a day; the last one ended before
    values = site.values(found)
    assert (values["failed_jobs"], found["status"]) == (2.0, "alert")
    assert values["failure_rate"] == pytest.approx(2 / 3)
    assert values["queue_time_p95_s"] == pytest.approx(29)  # of 10, 20 and 30 s, interpolated


def test_data_that_nobody_renewed_is_stale(site: Site) -> None:
    site.watch.training(pl.DataFrame({"x": [1]}), "rides")
    site.put('{type: data_freshness, data: ["azureml:rides", other], metric_thresholds: {age_hours: 24}}', "")
    fresh = site.run()
    assert fresh["status"] == "ok" and fresh["metrics"][0]["value"] == pytest.approx(1.0, abs=0.05)
    assert "There is no data other" in fresh["metrics"][1]["reason"]
    stale = site.run(minutes=24 * 60)
    assert stale["status"] == "alert" and stale["metrics"][0]["value"] == pytest.approx(25.0, abs=0.05)


def test_files_of_a_datastore_have_an_age_too(site: Site) -> None:
    folder = site.house.home / "datastores" / "prod" / "workspaceblobstore" / "rides"
    folder.mkdir(parents=True)
    for name, hours in (("a.csv", 90), ("b.csv", 30)):
        (folder / name).write_text("x\n")
        at = (site.begin - timedelta(hours=hours)).timestamp()
        os.utime(folder / name, (at, at))
    site.put('{type: data_freshness, data: "azureml://datastores/workspaceblobstore/paths/rides"}', "")
    found = site.run()
    assert found["metrics"][0]["value"] == pytest.approx(31.0, abs=0.01) and found["status"] == "alert"


def test_money_that_is_spent_is_an_alert_for_who_owns_it(site: Site) -> None:
    middle = (site.begin.replace(day=1) + timedelta(days=40)).replace(day=15, hour=0, minute=0, second=0, microsecond=0)
    month_ends = (middle + timedelta(days=20)).replace(day=1)
    site.moment = middle
    said = {"currency": "EUR", "period": "month", "alert_at": [100], "notify": [], "amount": 10}
    with site.house.write("service:setup") as ctx:
        declared.put(ctx, "compute", "local", {"price_per_hour": 2, "currency": "EUR"})
        declared.put(ctx, "budget", "answers", {**said, "workspace": "prod"})
        declared.put(ctx, "budget", "others", {**said, "workspace": "dev"})
    served = serving.Deployment(
        "blue-1", "prod", "bikes", "blue", serving.Status.READY, "", "m", "1", "", {"spec": {}}, None, "", "", {}, None,
        False, None, "ada", middle, middle,
    )  # fmt: skip
    with site.house.write("service:setup", "prod") as ctx:
        deployments.insert_deployment(ctx, served)
    site.put("{type: budgets}", "")
    four = site.run(minutes=240)
    assert (four["status"], [each["column"] for each in four["metrics"]]) == ("ok", ["answers", "answers"])
    assert site.values(four) == {"spent_share": 0.8, "forecast_share": None}
    assert "too little is recorded" in four["metrics"][1]["reason"]
    assert site.run(minutes=60)["status"] == "alert"  # 5 hours at 2 of 10: all of it, and no more
    day = site.values(site.run(minutes=19 * 60))
    hours = (month_ends - middle) / timedelta(hours=1)
    assert day == {"spent_share": pytest.approx(4.8), "forecast_share": pytest.approx(hours * 2 / 10)}
    with site.house.read("linus", "prod") as ctx:
        found = queries.alerts(ctx)
    assert {each.metric: (each.kind, each.columns, each.details["tell"]) for each in found} == {
        name: (model.AlertKind.COST, ["answers"], ["product_owner"]) for name in ("spent_share", "forecast_share")
    }
    site.put("{type: budgets, budgets: [others], metric_thresholds: {spent_share: 0.5}}", "")
    other = site.run()
    assert (other["status"], other["metrics"][0]["reason"]) == ("not_checked", "the workspace has no such budget")


def test_the_past_cannot_be_asked_for_counters(site: Site) -> None:
    site.put("{type: compute_health}", "")
    found = site.run(as_of=site.begin - timedelta(days=3))
    assert found["status"] == "not_checked" and "is not known" in found["reason"]


@pytest.mark.parametrize(
    ("signal", "said"),
    [
        ("{type: endpoint_health, metric_thresholds: {latency: 5}}", "latency"),
        ("{type: compute_health, metric_thresholds: {cpu_utilization: 90}}", "cpu_utilization"),
        ("{type: data_freshness}", "data"), ("{type: endpoint_helth}", "endpoint_helth"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_line(site: Site, signal: str, said: str) -> None:
    with pytest.raises(errors.InvalidInput, match=said) as refused:
        site.put(signal)
    assert refused.value.where is not None and refused.value.where.line == 7
    with pytest.raises(errors.InvalidInput, match="names no endpoint"):
        site.put("{type: model_usage}", target="")
