"""``make bench-tasks``: trains each component of the catalog on real data and writes the table of docs/tasks.md.

Each component runs as a job runs it: its command, in its environment, in a process of its own with one thread. Rows
that were measured are kept, here or on the page; ``--again`` measures all anew, ``--only NAME`` some.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.serving import environments as benches
from benchmarks.tasks import report, rows, serving
from doubleloop.base import errors
from doubleloop.components import shipped
from doubleloop.environments import builder, curated, locks
from doubleloop.environments import rules as environment_rules

ROOT = benches.ROOT / "tasks"
TABLES = "azureml://registries/doubleloop/environments/recipes-classical/labels/latest"
TABLE = Path(__file__).resolve().parent.parent.parent / "docs" / "tasks.md"
HERE = Path(__file__).resolve().parent
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tasks", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="COMPONENT")
    parser.add_argument("--again", action="store_true", help="measure what was measured before, too")
    given = parser.parse_args(arguments)
    failed = []
    for row in rows.ROWS:
        kept = ROOT / f"{row.key}.json"
        if (given.only and row.component not in given.only) or (kept.exists() and not given.again and not given.only):
            continue
        print(f"{row.component}: {row.title}", flush=True)
        try:
            found = _measure(row)
        except (subprocess.CalledProcessError, OSError, errors.DoubleloopError) as error:
            failed.append(row.component)
            print(f"  failed: {error}", flush=True)
            continue
        kept.write_text(json.dumps(asdict(found)))
        print(f"  {found.metric} {found.ours:.3f}, naive {found.naive:.3f}, {found.seconds:.0f} s", flush=True)
    before = {(each.component, each.title): each for each in report.read(TABLE.read_text())}
    told = ((row, ROOT / f"{row.key}.json") for row in rows.ROWS)
    made = [
        report.Measured(**json.loads(path.read_text())) if path.exists() else before[row.component, row.title]
        for row, path in told
        if path.exists() or (row.component, row.title) in before
    ]
    TABLE.write_text(report.page(made))
    print(f"{len(made)} of {len(rows.ROWS)} rows in {TABLE}", flush=True)
    return 1 if failed else 0


def _measure(row: rows.Row) -> report.Measured:
    found = shipped.read(row.component)
    folder = ROOT / row.key
    python = _python(str(found.document.model.environment))
    folder.mkdir(parents=True, exist_ok=True)
    if row.shipped:  # the packages that bring it are in this environment
        subprocess.run([_python(TABLES), HERE / "shipped.py", folder, row.shipped], check=True)
    given = {**row.read(folder), **row.inputs}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        ["bash", "-c", _command(found, given, folder, python)],
        cwd=shipped.FOLDER,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            **ONE_THREAD,
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/runs.db",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise OSError((done.stderr or done.stdout).strip()[-1500:])
    told = json.loads((folder / "evaluation" / "metrics.json").read_text())
    metric = told["primary"]
    try:
        latency: float | str = serving.latency(python, folder / "model", ROOT / "served")
    except serving.NotServed as error:
        latency = str(error)
    return report.Measured(
        row.component, row.title, row.licence, metric, told["metrics"][metric], told["baseline"]["metrics"][metric],
        told["baseline"]["name"], sum(told["rows"].values()),
        after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, latency,
    )  # fmt: skip


def _python(reference: str) -> Path:
    """Of the component's environment, built once."""
    name = reference.split("/environments/")[1].split("/")[0]
    wanted = environment_rules.prepare(curated.CATALOGUE[name].spec, ())
    lock = locks.resolve(wanted, ROOT / "locks")
    return builder.build(lock, ROOT, lambda line: None).python


def _command(component: shipped.Shipped, given: dict[str, object], folder: Path, python: Path) -> str:
    """The component's own, with what it is given; an input that is left out takes its default or its brackets away."""
    spec = component.document.spec()
    values = {f"inputs.{name}": told.get("default") for name, told in spec["inputs"].items()}
    values |= {f"inputs.{name}": value for name, value in given.items()}
    values |= {f"outputs.{name}": folder / name for name in spec["outputs"]}

    def said(match: re.Match[str]) -> str:
        value = values[match[1]]
        return str(value).lower() if isinstance(value, bool) else str(value)

    def kept(match: re.Match[str]) -> str:
        names = re.findall(r"\$\{\{([\w.]+)\}\}", match[1])
        return match[1] if all(values.get(name) is not None for name in names) else ""

    command = re.sub(r"\$\[\[(.*?)\]\]", kept, str(spec["command"]), flags=re.S)
    return re.sub(r"\$\{\{([\w.]+)\}\}", said, command).replace("python ", f"{python} ", 1)


if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(code)
