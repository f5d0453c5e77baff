"""Data that a component makes ready: it runs as a real job over raw files, and signals look at what it leaves."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from monitoring_watch import NOW, Watch
from scipy import stats
from sklearn import metrics

sys.path.insert(0, str(Path(__file__).parents[1] / "jobs"))

from jobs_workshop import Workshop

from doubleloop.base import errors
from doubleloop.components import commands as components
from doubleloop.data import commands as data
from doubleloop.durable.fake import EagerEngine
from doubleloop.jobs import queries as jobs
from doubleloop.jobs import workflows as job_workflows
from doubleloop.monitoring import workflows
from doubleloop.specs import documents
from doubleloop.storage import ports as storage

READY = """
import argparse, json, pathlib, sys
import pyarrow as pa, pyarrow.parquet as parquet
parser = argparse.ArgumentParser()
for name in ("start", "end", "data", "out"):
    parser.add_argument("--" + name)
given = parser.parse_args()
folder, out = pathlib.Path(given.data), pathlib.Path(given.out)
rows = [json.loads(line) for file in sorted(folder.rglob("*.jsonl")) for line in file.read_text().splitlines()]
rows = [row["data"] for row in rows if given.start <= row["time"] < given.end]
if not rows:
    sys.exit("the window holds nothing")
parquet.write_table(pa.Table.from_pylist(rows), out / "part.parquet")
(out / "MLTable").write_text("paths:\\n  - file: ./part.parquet\\ntransformations:\\n  - read_parquet\\n")
"""
COUNT = """
import pathlib, sys
import pyarrow.parquet as parquet
table = parquet.read_table(pathlib.Path(sys.argv[1]) / "part.parquet")
(pathlib.Path(sys.argv[2]) / "said.csv").write_text(f"metric_name,metric_value\\nrows,{table.num_rows}\\n")
"""
DOUBLE = """
import pathlib, sys
import pyarrow as pa, pyarrow.parquet as parquet
table = parquet.read_table(pathlib.Path(sys.argv[1]) / "data.parquet")
doubled = pa.table({"x": [2 * value for value in table["x"].to_pylist()]})
parquet.write_table(doubled, pathlib.Path(sys.argv[2]) / "doubled.parquet")
"""
COMPONENTS = {
    "double": """
name: double
version: 1
type: command
code: .
command: python double.py ${{inputs.input_data}} ${{outputs.preprocessed_input_data}}
environment: azureml:base@latest
inputs:
  input_data: {type: uri_folder}
outputs:
  preprocessed_input_data: {type: uri_folder}
""",
    "ready": """
name: ready
version: 1
type: command
code: .
command: >-
  python ready.py --start ${{inputs.data_window_start}} --end ${{inputs.data_window_end}}
  --data ${{inputs.input_data}} --out ${{outputs.preprocessed_data}}
environment: azureml:base@latest
inputs:
  data_window_start: {type: string}
  data_window_end: {type: string}
  input_data: {type: uri_folder}
outputs:
  preprocessed_data: {type: mltable}
""",
    "count": """
name: count
version: 1
type: command
code: .
command: python count.py ${{inputs.rows}} ${{outputs.signal_output}}
environment: azureml:base@latest
inputs:
  rows: {type: mltable}
outputs:
  signal_output: {type: mltable}
""",
}
RAW = """production_data:
        input_data: {type: uri_folder, path: "azureml:raw:1"}
        data_context: model_inputs
        pre_processing_component: azureml:ready:1
        data_column_names: {prediction: said, target_column: y}"""
REFERENCE = """reference_data:
        input_data: {type: uri_file, path: "azureml:training@latest"}
        data_context: training"""
SIGNALS = f"""
drift:
  type: data_drift
  features: [x]
  {RAW}
  {REFERENCE}
  metric_thresholds: {{numerical: {{normalized_wasserstein_distance: 0.3}}}}
right:
  type: model_performance
  {RAW}
  metric_thresholds: {{regression: {{mae: 100, rmse: 100}}}}
counted:
  type: custom
  component_id: azureml:count:1
  input_data:
    {RAW.replace("production_data", "rows")}
logged:
  type: data_drift
"""
# What the endpoint logged, without another source: the component is given the window as a table.
DOUBLED = f"""
doubled:
  type: data_drift
  production_data:
    data_context: model_inputs
    pre_processing_component: azureml:double:1
  {REFERENCE}
  metric_thresholds: {{numerical: {{normalized_wasserstein_distance: 0.3}}}}
"""


class PreparedWatch(Watch):
    def work(self) -> EagerEngine:
        engine = EagerEngine(self.house.contexts, {**workflows.WORKFLOWS, **job_workflows.WORKFLOWS})
        engine.run()
        return engine

    def raw(self, days: dict[str, list[dict[str, float]]]) -> None:
        """A folder of JSON lines, one file a day, as something else collected them."""
        blobs = self.house.contexts.port(storage.Blobs)
        entries = []
        for day, rows in sorted(days.items()):
            body = "".join(json.dumps({"time": f"{day}T12:00:00Z", "data": row}) + "\n" for row in rows).encode()
            entries.append(storage.Entry(f"{day.replace('-', '/')}/rows.jsonl", blobs.put_bytes(body), len(body)))
        reference = f"tree:sha256:{blobs.put_entries(tuple(entries)).sha256}"
        with self.house.write("ada", "registry") as ctx:
            data.add_version(ctx, "raw", reference, "uri_folder")


@pytest.fixture
def prepared(house: Any, tmp_path: Path) -> PreparedWatch:
    shop = Workshop(house)
    (tmp_path / "ready.py").write_text(READY)
    (tmp_path / "count.py").write_text(COUNT)
    (tmp_path / "double.py").write_text(DOUBLE)
    with house.write("ada", "registry") as ctx:
        for text in COMPONENTS.values():
            components.create(ctx, shop.document(text, tmp_path))
    watch = PreparedWatch(house)
    watch.training(pl.DataFrame({"x": [float(value) for value in range(50)]}))
    watch.answered({"x": [1.0, 2.0, 3.0]}, [10.0, 20.0, 30.0])
    return watch


def _rows(values: Any, wrong: float) -> list[dict[str, float]]:
    return [{"x": float(each), "y": float(each), "said": float(each) + wrong} for each in values]


def test_signals_look_at_what_a_component_makes_of_the_raw_files_of_their_window(prepared: PreparedWatch) -> None:
    now = np.arange(30, 90)
    prepared.raw({"2026-02-20": _rows(range(500), 50), "2026-02-28": _rows(now, 2)})
    prepared.put(SIGNALS.strip() + DOUBLED, by="linus")
    run = prepared.run()
    assert (run.status, run.error) == ("completed", "")
    before = np.arange(50)
    expected = stats.wasserstein_distance(before, now) / before.std(ddof=1)
    drift = prepared.value(run, "drift", "normalized_wasserstein_distance", "x")
    assert drift == pytest.approx(expected, rel=0.02), "the deviation may be that of a sample or of all"
    assert prepared.signal(run, "drift")["status"] == "alert"
    assert prepared.signal(run, "drift")["production_rows"] == len(now), "the rows outside of the window stay outside"
    assert prepared.value(run, "right", "mae") == pytest.approx(metrics.mean_absolute_error(now, now + 2))
    assert prepared.value(run, "counted", "rows") == len(now)
    assert prepared.signal(run, "logged")["production_rows"] == 3, "who names no component looks at the log"
    doubled = stats.wasserstein_distance(before, [2, 4, 6]) / before.std(ddof=1)
    found = prepared.value(run, "doubled", "normalized_wasserstein_distance", "x")
    assert found == pytest.approx(doubled, rel=0.02)
    with prepared.house.read("linus", "prod") as ctx:
        started = [each for each in jobs.within(ctx, run.started_at, ctx.now) if each.purpose.get("run") == run.id]
    assert sorted("prepare" in each.purpose for each in started) == [False, True, True], "three signals share one"
    assert {each.created_by for each in started} == {"linus"}


def test_data_that_cannot_be_prepared_fails_the_run_and_keeps_what_the_others_found(prepared: PreparedWatch) -> None:
    prepared.raw({"2026-02-20": _rows(range(5), 0)})
    lost = "lost:\n" + SIGNALS.strip().split("drift:\n")[1].split("right:")[0].replace("ready:1", "nobody:1")
    prepared.put(SIGNALS.strip() + "\n" + lost, by="linus")
    run = prepared.run(NOW)
    assert run.status == "failed"
    assert "drift: its data could not be prepared: job " in run.error and "is failed" in run.error
    assert "lost: its data could not be prepared: azureml:nobody:1 could not be started" in run.error
    for name in ("drift", "right", "counted", "lost"):
        assert prepared.signal(run, name)["status"] == "not_checked", "never a silent pass"
        assert "could not be prepared" in prepared.signal(run, name)["reason"]
    assert prepared.signal(run, "logged")["production_rows"] == 3
    (fact,) = prepared.facts("monitor.failed")
    assert fact.data["error"] == run.error


def test_a_signal_that_reads_the_log_alone_refuses_a_component_with_its_line(tmp_path: Path) -> None:
    text = f"""name: watch
trigger: {{type: recurrence, frequency: day, interval: 1}}
create_monitor:
  monitoring_target: {{endpoint_deployment_id: "azureml:bikes:blue"}}
  monitoring_signals:
    groups:
      type: fairness
      sensitive_features: [sex]
      {RAW}
"""
    with pytest.raises(errors.InvalidInput, match="fairness reads the endpoint's log") as found:
        documents.parse(text, "monitor.yml", tmp_path)
    assert found.value.where is not None and found.value.where.line == 12
