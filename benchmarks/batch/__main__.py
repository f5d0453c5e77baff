"""``make bench-batch``: one Parquet file scored in turns by pandas with scikit-learn and by a batch job's processes."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.dataset as dataset

from benchmarks.batch import bars
from benchmarks.serving import environments, processes
from doubleloop import minibatches, scorer

HERE = Path(__file__).resolve().parent
FOLDER = environments.ROOT / "batch"
# One thread each, as in a job's step: as many processes as there are processors do the work.
THREADS = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


@dataclass(frozen=True)
class Place:
    bin: Path
    model: Path
    workers: int

    def plain(self, workers: int) -> Callable[[Path, Path], list[str]]:
        def command(file: Path, out: Path) -> list[str]:
            python, model = str(self.bin / "python"), str(self.model / "model.joblib")
            return [python, str(HERE / "plain.py"), model, str(file), str(out), str(workers)]

        return command

    def ours(self, compiled: bool) -> Callable[[Path, Path], list[str]]:
        def command(file: Path, out: Path) -> list[str]:
            code = str(Path(scorer.__file__).parent) if compiled else ""
            spec = {
                "entry": {"kind": "mlflow", "model": str(self.model / "mlflow"), "scorer": code},
                "inputs": [{"name": "data", "path": str(file), "type": "uri_file"}], "model_dir": str(self.model),
                "size": 1, "workers": self.workers, "append_to": str(out / "scores.parquet"), "kept": str(out / "kept"),
            }  # fmt: skip
            (out / "spec.json").write_text(json.dumps(spec))
            return [
                str(self.bin / "python"), str(Path(minibatches.__file__).parent / "run.py"), str(out / "spec.json")
            ]  # fmt: skip

        return command


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("--rows", type=int, default=8_000_000, help="of the file; another of a quarter is scored once")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    FOLDER.mkdir(parents=True, exist_ok=True)
    bin = environments.prepare("doubleloop")
    place = Place(bin, environments.model(bin, FOLDER), options.processes)
    large, small = (_file(bin, rows) for rows in (options.rows, options.rows // 4))
    servers = {
        "pandas": place.plain(1), f"pandas x {options.processes}": place.plain(options.processes),
        "doubleloop-native": place.ours(False), "doubleloop": place.ours(True),
    }  # fmt: skip
    samples: list[bars.Sample] = []
    try:
        samples.append(run("doubleloop", servers["doubleloop"], small, -1))
        for number in range(options.rounds):
            for name in _turned(list(servers), number):
                samples.append(run(name, servers[name], large, number))
    except KeyboardInterrupt:
        print("interrupted: what was measured is reported", flush=True)
    text = bars.report(samples, options.processes)
    (FOLDER / "report.md").write_text(text)
    (FOLDER / "samples.json").write_text(json.dumps([asdict(each) for each in samples], indent=1))
    print(text)
    return 0 if all(bar.passed for bar in bars.judged(samples)) else 1


def run(name: str, command: Callable[[Path, Path], list[str]], file: Path, number: int) -> bars.Sample:
    """One scoring from start to end, with everything that it takes to begin. Raises RuntimeError when it failed."""
    out = FOLDER / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    began, cpu = time.monotonic(), os.times()
    with (FOLDER / "log.txt").open("wb") as log:
        child = subprocess.Popen(
            command(file, out), cwd=out, stdout=log, stderr=log, env={**os.environ, **THREADS, processes.MARK: name}
        )
        peak = Peak(processes.Tree(child, name))
        code = child.wait()
    seconds, after = time.monotonic() - began, os.times()
    if code:
        raise RuntimeError(f"{name} ended with {code}: {(FOLDER / 'log.txt').read_text()[-2000:]}")
    answers = dataset.dataset(sorted(out.glob("*.parquet"))).to_table(["prediction"])["prediction"].to_numpy()
    used = after.children_user + after.children_system - cpu.children_user - cpu.children_system
    sample = bars.Sample(name, number, len(answers), seconds, used, peak.ended(), float(answers.sum()))
    print(f"  {name}: {sample.rows} rows, {seconds:.1f} s, {sample.memory:.0f} MB", flush=True)
    return sample


class Peak:
    """The most memory that a tree of processes held, looked at five times a second."""

    def __init__(self, tree: processes.Tree) -> None:
        self._tree, self._most, self._done = tree, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._done.wait(0.2):
            self._most = max(self._most, self._tree.memory())

    def ended(self) -> float:
        self._done.set()
        self._thread.join()
        return self._most


def _file(bin: Path, rows: int) -> Path:
    path = FOLDER / f"rows-{rows}.parquet"
    if not path.exists():
        print(f"  writing {rows} rows", flush=True)
        subprocess.run([bin / "python", HERE / "rows.py", path, str(rows)], check=True)
    return path


def _turned(names: list[str], number: int) -> list[str]:
    """Another begins in each round."""
    at = number % len(names)
    return names[at:] + names[:at]


if __name__ == "__main__":
    raise SystemExit(main())
