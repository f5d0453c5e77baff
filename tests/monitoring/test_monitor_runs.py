"""A monitor over a written log: values as scipy and scikit-learn have them, alerts that open once and close again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn import metrics as sklearn

from doubleloop.base import actors
from doubleloop.data import commands as data
from doubleloop.data import queries as datasets
from doubleloop.durable import fake as durable
from doubleloop.endpoints import ports as endpoints
from doubleloop.events import queries as facts
from doubleloop.frames import reading as frames
from doubleloop.monitoring import commands, queries, rules, workflows
from doubleloop.specs import documents
from doubleloop.storage import ports as storage

START = datetime(2026, 1, 1, tzinfo=UTC)
MONITOR = """
$schema: https://azuremlschemas.azureedge.net/latest/monitorSchedule.schema.json
name: rides-monitor
trigger: {type: recurrence, frequency: day, interval: 1}
create_monitor:
  monitoring_target: {ml_task: regression, endpoint_deployment_id: "azureml:rides:blue"}
  monitoring_signals:
    inputs:
      type: data_drift
      reference_data: {input_data: {type: uri_file, path: "azureml:rides:1"}, data_context: training}
      metric_thresholds: {numerical: {normalized_wasserstein_distance: 0.5}}
    performance:
      type: model_performance
      metric_thresholds: {regression: {mae: 2.0, rmse: 50}}
"""


class Log:
    """The serving port over frames that the test writes."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.truth: list[dict[str, Any]] = []

    def flush(self) -> None:
        return

    def answer(self, hour: int, x: float, prediction: float, status: int = 200, deployment: str = "blue-r1") -> str:
        name = f"r{len(self.rows)}"
        self.rows.append(
            {"request_id": name, "row": 0, "time": START + timedelta(hours=hour), "deployment": deployment,
             "status": status, "in.x": x, "out.prediction": prediction}
        )  # fmt: skip
        return name

    def log_files(self, workspace: str, endpoint: str, **window: Any) -> list[Any]:
        return []  # frames, no files: never too many to read

    def inferences(self, workspace: str, endpoint: str, **window: Any) -> pl.DataFrame:
        schema = {"request_id": pl.String, "row": pl.Int64, "time": pl.Datetime("us", "UTC"), "deployment": pl.String,
                  "status": pl.Int64, "in.x": pl.Float64, "out.prediction": pl.Float64}  # fmt: skip
        frame = pl.DataFrame(self.rows, schema=schema)
        return frame.filter(pl.col("time") >= window["since"], pl.col("time") < window["until"])

    def labels(self, workspace: str, endpoint: str, **window: Any) -> pl.DataFrame:
        return pl.DataFrame(self.truth, schema={"request_id": pl.String, "row": pl.Int64, "value": pl.Float64})


class Site:
    def __init__(self, house: Any, log: Log) -> None:
        self.house, self.log = house, log
        house.ports[endpoints.Serving] = log
        self.engine = durable.EagerEngine(house.contexts, workflows.WORKFLOWS)
        rng = np.random.default_rng(7)
        self.reference = rng.normal(0, 1, 500)
        content = pl.DataFrame({"x": self.reference, "rides": self.reference * 2}).write_csv().encode()
        with house.write("ada", "registry") as ctx:
            kept = data.store_bytes(house.ports[storage.Blobs], "rides.csv", content)
            data.add_version(ctx, "rides", kept, "uri_file", label="production")
        with house.write("service:setup", "staging") as ctx:
            commands.put(ctx, documents.parse(MONITOR, "monitor.yml", "/", kind="schedule"))

    def day(self, number: int, shift: float, error: float, labelled: bool = True) -> np.ndarray[Any, Any]:
        """Twenty-four answers of a day; each prediction misses the truth by ``error``."""
        x = np.random.default_rng(number).normal(shift, 1, 24)
        for hour, value in enumerate(x):
            name = self.log.answer(24 * number + hour, float(value), float(value * 2 + error))
            if labelled:
                self.log.truth.append({"request_id": name, "row": 0, "value": float(value * 2)})
        return x

    def run(self, number: int) -> dict[str, dict[str, Any]]:
        as_of = START + timedelta(days=number + 1)
        with self.house.write("service:monitor", "staging") as ctx:
            run = commands.run_now(ctx, "rides-monitor", as_of, f"run-{number}")
        self.engine.run()
        with self.house.read("ada", "staging") as ctx:
            found = queries.run(ctx, run.id)
        assert found.error == ""
        return {each["signal"]: each for each in found.signals}

    def facts(self, kind: str) -> list[Any]:
        with self.house.read("service:setup", None) as ctx:
            return facts.facts(ctx, types=[kind])


@pytest.fixture
def site(house: Any) -> Site:
    return Site(house, Log())


def value(signal: dict[str, Any], metric: str) -> float:
    return next(float(each["value"]) for each in signal["metrics"] if each["metric"] == metric)


def test_values_are_those_of_scipy_and_scikit_learn(site: Site) -> None:
    x = site.day(0, 0.3, 1.5)
    found = site.run(0)
    distance = stats.wasserstein_distance(site.reference, x) / site.reference.std(ddof=1)
    assert value(found["inputs"], "normalized_wasserstein_distance") == pytest.approx(distance)
    assert value(found["performance"], "mae") == pytest.approx(sklearn.mean_absolute_error(x * 2, x * 2 + 1.5))
    assert value(found["performance"], "rmse") == pytest.approx(sklearn.root_mean_squared_error(x * 2, x * 2 + 1.5))


def test_an_alert_opens_once_stays_while_it_is_bad_and_closes_when_it_is_good(site: Site) -> None:
    for number, error in enumerate([1.0, 9.0, 9.0, 1.0, 9.0]):
        site.day(number, 0.0, error)
        site.run(number)
    raised, resolved = site.facts("monitor.alert"), site.facts("monitor.resolved")
    assert [fact.data["run"] for fact in raised] == ["run-1", "run-4"]
    assert [fact.data["run"] for fact in resolved] == ["run-3"]
    assert raised[0].data["metric"] == "mae" and raised[0].data["value"] == pytest.approx(9.0)
    with site.house.read("ada", "staging") as ctx:
        assert len(queries.alerts(ctx, "rides-monitor", only_open=True)) == 1
        line = queries.series(ctx, "rides-monitor", "performance", "mae")[0]
    assert [alert for _, _, alert in line["points"]] == [False, True, True, False, True]


def test_without_labels_nothing_is_said_and_late_ones_count_for_their_own_window(site: Site) -> None:
    site.day(0, 0.0, 9.0, labelled=False)
    first = site.run(0)
    assert first["performance"]["status"] == "not_checked" and "true value" in first["performance"]["reason"]
    assert site.facts("monitor.alert") == []
    for row in site.log.rows:
        site.log.truth.append({"request_id": row["request_id"], "row": 0, "value": row["in.x"] * 2})
    with site.house.write("service:monitor", "staging") as ctx:
        commands.run_now(ctx, "rides-monitor", START + timedelta(days=1), "again")
    site.engine.run()
    assert [fact.data["run"] for fact in site.facts("monitor.alert")] == ["again"]


def test_a_window_without_rows_is_not_checked_and_closes_no_alert(site: Site) -> None:
    site.day(0, 0.0, 9.0)
    site.run(0)
    empty = site.run(5)
    assert {each["status"] for each in empty.values()} == {"not_checked"}
    assert site.facts("monitor.resolved") == []


def test_failed_requests_and_other_deployments_are_not_looked_at(site: Site) -> None:
    site.day(0, 0.0, 1.0)
    for deployment, status in [("green-r9", 200), ("blue-r1", 500), ("blueish", 200)]:
        name = site.log.answer(3, 0.0, 500.0, status, deployment)
        site.log.truth.append({"request_id": name, "row": 0, "value": 0.0})
    assert value(site.run(0)["performance"], "mae") == pytest.approx(1.0)


def test_drift_tells_which_column_moved_and_how(site: Site) -> None:
    site.day(0, 4.0, 0.0)
    found = site.run(0)["inputs"]
    assert found["status"] == "alert"
    assert found["moved"][0]["column"] == "x"
    assert found["moved"][0]["after"]["mean"] > 3 > abs(found["moved"][0]["before"]["mean"])


def test_one_id_is_one_run(site: Site) -> None:
    site.day(0, 0.0, 9.0)
    site.run(0)
    site.run(0)
    assert len(site.facts("monitor.completed")) == 1


def test_production_becomes_a_data_version_of_the_same_shape_and_twice_is_once(site: Site, tmp_path: Path) -> None:
    x = site.day(0, 0.0, 1.0)
    span = {"since": START, "until": START + timedelta(days=1)}
    actor = actors.service("automation")
    for expected in (24, 0):
        collected = commands.collect(
            site.house.contexts, actor, "staging", "rides", "azureml:rides@production", target="rides",
            label="production", **span,
        )  # fmt: skip
        assert collected.rows == expected
    with site.house.read("ada", "staging") as ctx:
        newest = datasets.resolve(ctx, "rides@production")
    assert newest.asset.version == "2"
    table = frames.read(site.house.ports[storage.Blobs].materialise(newest.reference, tmp_path / "rides.csv"))
    assert table.columns == ["x", "rides"] and table.height == 524
    assert table["rides"].tail(24).to_list() == pytest.approx((x * 2).tolist())


@pytest.mark.parametrize(
    ("deployment", "name", "meant"),
    [("", "anything", True), ("blue", "blue", True), ("blue", "blue-r7", True), ("blue", "bluebell", False)],
)
def test_a_monitor_means_its_deployment_and_those_a_release_named_after_it(
    deployment: str, name: str, meant: bool
) -> None:
    assert rules.watches(deployment, name) is meant
