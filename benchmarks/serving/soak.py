"""An hour's requests at a stated rate, sent as fast as they are answered: ``python -m benchmarks.serving.soak``.

Most are of one row, some of a hundred. After each slice the resident memory of the gateway and of the scorer is read;
what it gains with each request after the warm-up is the slope of a line through these readings. Memory is flat when the
whole hour would add no more than ``FLAT`` of what was held after the warm-up.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.serving import bodies, environments, ours, processes, servers

CONNECTIONS = 16
SLICE = 5.0
# Of all requests; until then caches fill, and the first files of the log are turned into Parquet.
WARM_UP = 0.25
FLAT = 0.05


@dataclass(frozen=True)
class Reading:
    """Megabytes resident after ``requests``."""

    requests: int
    gateway: float
    scorer: float


@dataclass(frozen=True)
class Growth:
    """``held`` megabytes after the warm-up, and ``gained`` over the requests of a whole hour."""

    held: float
    gained: float

    @property
    def flat(self) -> bool:
        return self.gained <= FLAT * self.held


def growth(readings: Sequence[tuple[int, float]], hour: int) -> Growth | None:
    """``readings``: (requests, megabytes), in order; ``hour``: the requests of one. None of fewer than three readings
    after the warm-up."""
    last = readings[-1][0] if readings else 0
    settled = [each for each in readings if each[0] >= WARM_UP * last]
    if len(settled) < 3:
        return None
    line = statistics.linear_regression([each[0] for each in settled], [each[1] for each in settled])
    return Growth(settled[0][1], line.slope * hour)


def main() -> int:
    options = _options()
    hour = options.rate * 3600
    folder = environments.ROOT / "serving"
    entry = ours.ENTRIES[0]
    bin = environments.prepare(entry.environment)
    model = environments.model(bin, folder)
    rows = bodies.read(model)
    asked = [*rows.cut(1), rows.cut(100)[0]]
    served = servers.start(entry, bin, model, folder / "work" / "soak", asked[0])
    readings: list[Reading] = []
    failed, began, used = 0, time.monotonic(), served.tree.cpu()
    try:
        while _answered(readings) < hour and time.monotonic() - began < options.minutes * 60:
            result = servers.send(
                served.order(asked, connections=CONNECTIONS, seconds=SLICE, most=hour - _answered(readings))
            )
            failed += result.failed + result.wrong
            readings.append(_read(served, _answered(readings) + result.total))
            print(f"  {readings[-1].requests:>9,} of {hour:,} requests, gateway {readings[-1].gateway:.0f} MB, "
                  f"scorer {readings[-1].scorer:.0f} MB, {failed} failed", flush=True)  # fmt: skip
            if not result.total:
                break
    except KeyboardInterrupt:
        print("interrupted: what was measured until then")
    finally:
        cpu = served.tree.cpu() - used
        served.tree.end()
    print(
        f"  {cpu * 1000 / max(1, _answered(readings)):.3f} ms of processor time a request, the log's Parquet included"
    )
    return _report(readings, hour, failed, time.monotonic() - began, folder)


def _report(readings: list[Reading], hour: int, failed: int, seconds: float, folder: Path) -> int:
    found = {
        "gateway": growth([(each.requests, each.gateway) for each in readings], hour),
        "scorer": growth([(each.requests, each.scorer) for each in readings], hour),
    }
    passed = not failed and all(each is not None and each.flat for each in found.values())
    lines = [f"# {_answered(readings):,} of an hour's {hour:,} requests in {seconds:.0f} s, {failed} failed", "",
             "| | after the warm-up, MB | gained in an hour's requests, MB | at most | |",
             "|---|---|---|---|---|"]  # fmt: skip
    for name, each in found.items():
        if each is None:
            lines.append(f"| {name} | – | – | – | not measured |")
        else:
            verdict = "passed" if each.flat else "**failed**"
            lines.append(f"| {name} | {each.held:.0f} | {each.gained:.1f} | {FLAT * each.held:.1f} | {verdict} |")
    lines += ["", "| requests | gateway, MB | scorer, MB |", "|---|---|---|"]
    lines += [f"| {each.requests:,} | {each.gateway:.1f} | {each.scorer:.1f} |" for each in readings]
    (folder / "soak.md").write_text("\n".join(lines) + "\n")
    document = {"hour": hour, "failed": failed, "passed": passed, "readings": [asdict(each) for each in readings]}
    (folder / "soak.json").write_text(json.dumps(document, indent=1))
    print("\n".join([*lines[: 4 + len(found)], "", f"{folder / 'soak.md'}, soak.json"]))
    return 0 if passed else 1


def _read(served: servers.Served, requests: int) -> Reading:
    scorers = [pid for pid in served.tree.pids() if "serve.py" in processes.command(pid)]
    return Reading(requests, processes.rss(served.tree.process.pid), sum(processes.rss(pid) for pid in scorers))


def _answered(readings: Sequence[Reading]) -> int:
    return readings[-1].requests if readings else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.soak", description=__doc__)
    parser.add_argument("--rate", type=int, default=200, help="requests a second of the hour (200: 720,000 requests)")
    parser.add_argument("--minutes", type=float, default=15.0, help="stop after so long at the latest")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
