"""``make bench-monitoring``: two Parquet files of 30 columns compared and profiled, in turns, by all contenders."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.monitoring import bars, plot
from benchmarks.serving import environments

HERE = Path(__file__).resolve().parent
FOLDER = environments.ROOT / "monitoring"
REQUIREMENTS = HERE / "requirements"
# A package with other releases of what it stands on has another environment, and the same script.
PACKAGES = {name: name.partition("_")[0] for name in bars.PEERS}
SCRIPTS = {name: HERE / "peers" / f"with_{package}.py" for name, package in PACKAGES.items()} | {
    "scipy": HERE / "peers" / "by_hand.py"
}
# One thread each: what is compared is processor time.
THREADS = {
    name: "1"
    for name in (
        "POLARS_MAX_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "ARROW_NUM_THREADS",
    )
}
# Nothing is told to anybody, and nothing waits for an answer from outside.
QUIET = {"NML_DISABLE_USAGE_LOGGING": "1", "WHYLOGS_NO_ANALYTICS": "True", "DO_NOT_TRACK": "1"}
SMALLER = 4


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitoring", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of each of the two files")
    parser.add_argument("--peer-rows", type=int, default=100_000, help="for the peers that are too slow for all rows")
    parser.add_argument(
        "--full-peers", default="scipy,whylogs,nannyml,nannyml_pandas3", help="peers that take all rows"
    )
    parser.add_argument("--peers", default=",".join(bars.PEERS), help='which to measure; "" for none')
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stream-rows", type=int, default=100_000_000, help="read in files of --rows; 0 for none")
    parser.add_argument("--no-merge", action="store_true", help="leave out the 10,000 profiles")
    options = parser.parse_args(arguments)
    FOLDER.mkdir(parents=True, exist_ok=True)
    peers, left_out = _installed([name for name in options.peers.split(",") if name])
    full = set(options.full_peers.split(","))
    small = min(options.peer_rows, options.rows)
    orders = [(bars.OURS, task, rows) for rows in dict.fromkeys((options.rows, small)) for task in
              (bars.DECODE, "decode-pieces", "profiles", "exact")]  # fmt: skip
    orders += [(name, bars.PEERS[name][0], options.rows if name in full else small) for name in peers]
    samples: list[bars.Sample] = []
    try:
        for number in range(options.rounds):
            for name, task, rows in _turned(orders, number):
                if name not in left_out:
                    _one(samples, left_out, name, task, rows, number)
        _stream(samples, options.rows, options.stream_rows)
        if not options.no_merge:
            _merge(samples, small, options.rounds)
    except KeyboardInterrupt:
        print("interrupted: what was measured is reported", flush=True)
    text = bars.report(samples, left_out, {name: _version(name) for name in peers})
    (FOLDER / "report.md").write_text(text)
    (FOLDER / "costs.svg").write_text(plot.costs(samples))
    (FOLDER / "samples.json").write_text(json.dumps([asdict(each) for each in samples], indent=1))
    print(text)
    return 0 if all(bar.passed for bar in bars.judged(samples)) else 1


def _installed(names: list[str]) -> tuple[list[str], dict[str, str]]:
    there, missing = [], {}
    for name in names:
        try:
            environments.prepare(name, REQUIREMENTS)
            there.append(name)
        except environments.NotInstalled as error:
            missing[name] = str(error).strip().rpartition("\n")[2]
    return there, missing


def _one(samples: list[bars.Sample], left_out: dict[str, str], name: str, task: str, rows: int, number: int) -> None:
    try:
        samples.append(run(name, task, rows, number, *map(str, files(rows))))
    except RuntimeError as error:
        left_out[name] = str(error)


def _stream(samples: list[bars.Sample], rows: int, wanted: int) -> None:
    """The same file over and over, as so many files: once a quarter of them, once all."""
    for times in dict.fromkeys((wanted // rows // SMALLER, wanted // rows)):
        if times:
            sample = run(bars.OURS, "stream", times * rows, 0, *map(str, files(rows)), str(times))
            if sample.values["rows"] != times * rows:
                raise RuntimeError(f"{sample.values['rows']} rows were profiled, {times * rows} are in the files")
            samples.append(sample)


def _merge(samples: list[bars.Sample], rows: int, rounds: int) -> None:
    packed = str(FOLDER / "profiles.packed")
    run(bars.OURS, "write", rows, 0, *map(str, files(rows)), packed)
    samples += [run(bars.OURS, "merge", 5_000_000, number, packed) for number in range(rounds)]


def run(name: str, task: str, rows: int, number: int, *arguments: str) -> bars.Sample:
    """A process of its own. Raises RuntimeError with the last of what it said when it failed."""
    ours = name == bars.OURS
    python = sys.executable if ours else str(environments.ROOT / "envs" / name / "bin" / "python")
    script = HERE / "ours.py" if ours else SCRIPTS[name]
    done = subprocess.run(
        [python, "-W", "ignore", str(script), task, *arguments], capture_output=True, text=True,
        env={**os.environ, **THREADS, **QUIET},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    found = json.loads(done.stdout.strip().rpartition("\n")[2])
    sample = bars.Sample(name, task, number, rows, found["seconds"], found["cpu"], found["memory"], found["values"])
    print(f"  {name} {task}: {rows:,} rows, {sample.cpu:.2f} processor s, {sample.memory:.0f} MB", flush=True)
    return sample


def files(rows: int) -> tuple[Path, Path]:
    """Reference and current, written when they are not there."""
    found = FOLDER / f"reference-{rows}.parquet", FOLDER / f"current-{rows}.parquet"
    if not all(path.exists() for path in found):
        print(f"  writing {rows:,} rows a side", flush=True)
        subprocess.run([sys.executable, HERE / "rows.py", FOLDER, str(rows)], check=True)
    return found


def _version(name: str) -> str:
    return environments.versions(name, (PACKAGES[name],), REQUIREMENTS).get(PACKAGES[name], "")


def _turned(orders: list[tuple[str, str, int]], number: int) -> list[tuple[str, str, int]]:
    """Another begins in each round."""
    at = number * len(orders) // 3 % len(orders)
    return orders[at:] + orders[:at]


if __name__ == "__main__":
    raise SystemExit(main())
