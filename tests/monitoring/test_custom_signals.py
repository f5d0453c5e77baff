"""Custom signals: a registered component runs as a real job over the window, and what it writes is judged."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from monitoring_watch import NOW, Watch

sys.path.insert(0, str(Path(__file__).parents[1] / "jobs"))

from jobs_workshop import Workshop

from doubleloop.components import commands as components
from doubleloop.durable.fake import EagerEngine
from doubleloop.jobs import model as job_model
from doubleloop.jobs import queries as jobs
from doubleloop.jobs import workflows as job_workflows
from doubleloop.monitoring import workflows

SCRIPT = """
import argparse, csv, pathlib
import pyarrow.parquet as parquet
parser = argparse.ArgumentParser()
for name in ("data", "start", "limit", "scale", "out"):
    parser.add_argument("--" + name)
given = parser.parse_args()
table = parquet.read_table(pathlib.Path(given.data) / "data.parquet")
mean = sum(table["x"].to_pylist()) / table.num_rows * float(given.scale)
with open(pathlib.Path(given.out) / "signal.csv", "w") as file:
    write = csv.writer(file).writerow
    write(["metric_name", "metric_value", "group", "threshold_value"])
    write(["mean", mean, "x", ""])
    write(["answers", sum(table["prediction"].to_pylist()), "", 1000])
    write([given.start, given.limit, "", ""])
"""
COMPONENT = """
name: mean_of_x
version: 1
type: command
code: .
command: >-
  python means.py --data ${{inputs.rows}} --start ${{inputs.data_window_start}} --limit ${{inputs.mean_threshold}}
  --scale ${{inputs.scale}} --out ${{outputs.signal_output}}
environment: azureml:base@latest
inputs:
  rows: {type: mltable}
  data_window_start: {type: string}
  mean_threshold: {type: number}
  scale: {type: number, default: 1}
outputs:
  signal_output: {type: mltable}
"""
SIGNAL = """mine:
  type: custom
  component_id: azureml:mean_of_x:1
  inputs: {scale: 10}
  input_data:
    rows:
      input_data: {path: "azureml:bikes-blue-model_inputs:1", type: mltable}
      data_context: model_inputs_outputs
      data_window: {lookback_window_size: P1D, lookback_window_offset: P0D}
  metric_thresholds:
    - {metric_name: mean, threshold: 15}
    - {metric_name: answers}
"""


class CustomWatch(Watch):
    def work(self) -> EagerEngine:
        engine = EagerEngine(self.house.contexts, {**workflows.WORKFLOWS, **job_workflows.WORKFLOWS})
        engine.run()
        return engine


@pytest.fixture
def custom(house: Any, tmp_path: Path) -> CustomWatch:
    shop = Workshop(house)
    folder = tmp_path / "component"
    folder.mkdir()
    (folder / "means.py").write_text(SCRIPT)
    with house.write("ada", "registry") as ctx:
        components.create(ctx, shop.document(COMPONENT, folder))
    return CustomWatch(house)


def test_a_component_is_run_over_the_window_and_its_metrics_are_judged(custom: CustomWatch) -> None:
    custom.answered({"x": [1.0, 2.0, 3.0]}, [10.0, 20.0, 30.0])
    custom.put(SIGNAL + "inputs:\n  type: data_drift", by="linus")
    run = custom.run()
    assert run.status == "completed", run.error
    assert custom.signal(run, "mine")["reason"] == ""
    assert custom.value(run, "mine", "mean", "x") == pytest.approx(20.0)
    found = {each["metric"]: each for each in custom.signal(run, "mine")["metrics"]}
    assert set(found) == {"mean", "answers"}, "the file names two of three"
    assert (found["mean"]["threshold"], found["mean"]["alert"]) == (15, True)
    assert (found["answers"]["value"], found["answers"]["threshold"], found["answers"]["alert"]) == (60, 1000, False)
    assert custom.signal(run, "mine")["status"] == "alert"
    assert [alert.metric for alert in custom.alerts()] == ["mean"]
    assert {each["signal"] for each in run.signals} == {"mine", "inputs"}
    with custom.house.read("linus", "prod") as ctx:
        (job,) = [each for each in jobs.within(ctx, run.started_at, ctx.now) if each.purpose.get("monitor")]
    assert (job.status, job.created_by) == (job_model.Status.COMPLETED, "linus")
    assert job.purpose == {"monitor": "watch", "run": run.id, "signal": "mine"}


def test_a_window_and_thresholds_are_given_to_a_component_that_asks_for_them(custom: CustomWatch) -> None:
    custom.answered({"x": [1.0]}, [1.0])
    text = SIGNAL.split("  metric_thresholds")[0]
    custom.put(text + "  metric_thresholds: [{metric_name: mean, threshold: 15}]", by="linus")
    run = custom.run(NOW)
    assert custom.value(run, "mine", "mean", "x") == pytest.approx(10.0)
    custom.put(text.replace("scale: 10", "scale: 1, mean_threshold: 7"), by="linus")
    run = custom.run(NOW, "every")
    names = {each["metric"]: each["value"] for each in custom.signal(run, "mine")["metrics"]}
    (window,) = [name for name in names if name.startswith("2026-02-28T00:00:00")]
    assert names == {"mean": 1.0, "answers": 1.0, window: 7.0}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("mean_of_x:1", "nobody:1", "could not be started"),
        ("scale: 10", "scales: 10", "no input 'scales'"),
        ("{metric_name: answers}", "{metric_name: ghost}", "said nothing of ghost"),
        ("scale: 10", "scale: word", "could not be started"),
    ],
)
def test_what_cannot_be_told_says_why_and_the_others_go_on(
    custom: CustomWatch, before: str, after: str, words: str
) -> None:
    custom.answered({"x": [1.0]}, [1.0])
    custom.put(SIGNAL.replace(before, after) + "inputs:\n  type: data_drift", by="linus")
    run = custom.run()
    assert run.status == "completed", run.error
    found = custom.signal(run, "mine")
    assert found["status"] == "not_checked"
    assert words in found["reason"]
