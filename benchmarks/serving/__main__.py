"""``python -m benchmarks.serving``: installs, starts, checks, measures in turns, reports. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.serving import bars, bodies, catalog, environments, memory, ours, processes, report, rounds, servers

QUICK_PEERS = ("fastapi", "litserve")


def main() -> int:
    options = _options()
    chosen = [*ours.ENTRIES, *_peers(options), catalog.ECHO]
    folder = environments.ROOT / "serving"
    shutil.rmtree(folder / "work", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, _interrupt)
    run = report.Run(chosen, _names(chosen), _conditions(options))
    _tell(f"{len(chosen)} servers: {', '.join(each.name for each in chosen)}")
    began = time.monotonic()
    served: list[servers.Served] = []
    try:
        _measure(options, run, folder, served)
    except KeyboardInterrupt:
        run.interrupted = True
    finally:
        for each in served:
            each.tree.end()
    run.conditions.append(f"took {(time.monotonic() - began) / 60:.1f} minutes")
    report.write(run, folder)
    print("\n".join(["", *report.verdicts(run), "", f"{folder / 'report.md'}, report.json, rates.svg"]))
    return 130 if run.interrupted else 0


def _measure(options: argparse.Namespace, run: report.Run, folder: Path, served: list[servers.Served]) -> None:
    """Appends to ``run`` and to ``served`` as it goes, so that an interruption loses nothing."""
    _tell("environments and the model")
    bins = _environments(run)
    if ours.ENTRIES[0].environment not in bins:
        sys.exit(f"error: {run.problems}")
    model = environments.model(bins["doubleloop"], folder)
    rows = bodies.read(model)
    sizes = {size: rows.cut(size) for size in bodies.DIFFERENT}
    _tell("memory of an idle deployment")
    run.deployment = memory.measure(bins["doubleloop"], model, folder / "work" / "idle")
    generator, cpu = _processors(options)
    _tell("starting each server, and comparing its answers with the model's")
    for entry in run.entries:
        if entry.name not in run.problems:
            try:
                served.append(_start(entry, bins[entry.environment], model, folder, sizes, run, options.starts))
                served[-1].tree.pin(cpu)
                served[-1].tree.hold()
            except servers.NotServed as error:
                run.problems[entry.name] = str(error)
                _tell(f"  {entry.name} is left out: {str(error)[:300]}")
    _tell("rounds")
    plan = rounds.Plan(options.rounds, options.seconds, generator)
    with open(folder / "samples.jsonl", "w") as file:
        for sample in rounds.run(plan, served, sizes, _tell):
            run.samples.append(sample)
            file.write(json.dumps(asdict(sample)) + "\n")
    for each in served:
        run.after[each.entry.name] = each.tree.memory()


def _start(
    entry: catalog.Entry, bin: Path, model: Path, folder: Path, sizes: dict[int, list[bodies.Rows]], run: report.Run,
    starts: int,
) -> servers.Served:  # fmt: skip
    """Once so that its files are in memory and its answers are compared, then ``starts`` times by the clock."""
    place, one = folder / "work" / entry.name, sizes[1][0]
    warm = servers.start(entry, bin, model, place, one)
    try:
        compared = servers.check(warm, sizes) if entry.kind != "echo" else 0
    finally:
        warm.tree.end()
    seconds = []
    for number in range(starts):
        served = servers.start(entry, bin, model, place, one)
        seconds.append(served.seconds)
        if number < starts - 1:
            served.tree.end()
    run.starts[entry.name] = seconds
    processes.idle(served.tree)
    run.idle[entry.name] = served.tree.memory()
    _tell(f"  {entry.name}: {compared} rows as the model, first answer after {seconds[-1]:.1f} s, "
          f"{run.idle[entry.name]:.0f} MB")  # fmt: skip
    return served


def _environments(run: report.Run) -> dict[str, Path]:
    bins: dict[str, Path] = {}
    for entry in run.entries:
        if entry.environment not in bins and entry.name not in run.problems:
            try:
                bins[entry.environment] = environments.prepare(entry.environment)
            except environments.NotInstalled as error:
                _tell(f"  {entry.environment} cannot be installed: {error}")
                for each in run.entries:
                    if each.environment == entry.environment:
                        run.problems[each.name] = f"cannot be installed: {error}"
    return bins


def _peers(options: argparse.Namespace) -> list[catalog.Entry]:
    known = {each.name: each for each in (*catalog.PEERS, *catalog.BATCHING)}
    if options.peers is None:
        return [known[name] for name in QUICK_PEERS] if options.quick else list(known.values())
    wanted = [name for name in options.peers.split(",") if name]
    for name in wanted:
        if name not in known:
            sys.exit(f"error: there is no peer '{name}'\n  cure: choose from {', '.join(known)}")
    return [known[name] for name in wanted]


def _names(entries: Sequence[catalog.Entry]) -> bars.Names:
    peers = tuple(each.name for each in entries if each.kind == "peer")
    return bars.Names(ours.PLAN, ours.NATIVE, ours.CEILING, peers)


def _processors(options: argparse.Namespace) -> tuple[int | None, int | None]:
    """For the load generator, and for the server that is asked; None when nothing is pinned."""
    known = sorted(os.sched_getaffinity(0))
    return (known[0], known[1]) if options.pin and len(known) > 1 else (None, None)


def _conditions(options: argparse.Namespace) -> list[str]:
    pinned = _processors(options)[0] is not None
    return [
        f"{time.strftime('%Y-%m-%d %H:%M')}, {platform.machine()}, {os.cpu_count()} processors, Python "
        f"{platform.python_version()}, load average at the start {os.getloadavg()[0]:.1f}",
        "the load generator on one processor, all processes of the server that is asked on another"
        if pinned else "nothing is pinned to a processor",
        f"{options.rounds} rounds of slices of {options.seconds:g} s; shown are medians over rounds [least–most]",
        *(f"{path.stem}: {_versions(path.stem)}" for path in sorted(environments.REQUIREMENTS.glob("*.txt"))),
    ]  # fmt: skip


def _versions(name: str) -> str:
    shown = (*PACKAGES.get(name, (name,)), "scikit-learn", "pandas", "numpy")
    return ", ".join(f"{package} {version}" for package, version in environments.versions(name, shown).items())


PACKAGES = {"doubleloop": ("mlflow",), "mlserver": ("mlserver", "mlserver-sklearn", "uvloop"),
            "fastapi": ("fastapi", "uvicorn", "uvloop")}  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two peers, two rounds of half a second: under 3 minutes")
    known = ", ".join(each.name for each in (*catalog.PEERS, *catalog.BATCHING))
    parser.add_argument("--peers", help=f"which ones, with commas between ('' for none): {known}")
    parser.add_argument("--rounds", type=int, help="5, or 2 with --quick")
    parser.add_argument("--seconds", type=float, help="of each slice: 1, or 0.5 with --quick")
    parser.add_argument("--starts", type=int, help="of each server by the clock: 2, or 1 with --quick")
    parser.add_argument(
        "--no-pin", dest="pin", action="store_false", help="leave it to the system which processor runs what"
    )
    options = parser.parse_args()
    for name, usual, quick in (("rounds", 5, 2), ("seconds", 1.0, 0.5), ("starts", 2, 1)):
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else usual)
    return options


def _tell(text: str) -> None:
    print(text, flush=True)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
