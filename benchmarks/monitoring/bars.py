"""The figures of a run and what is asked of them. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.judging import Bar

OURS = "doubleloop"
DECODE = "decode"
# Against whom, at which task of ours, and how many times less processor time is wanted.
PEERS = {
    "evidently": ("exact", 50.0), "nannyml": ("exact", 20.0), "whylogs": ("profiles", 20.0), "scipy": ("exact", 8.0),
    "deepchecks": ("exact", None), "nannyml_pandas3": ("exact", None),
}  # fmt: skip
LIMITS = {"profiles": 3.0, "exact": 5.0}
GROWTH, MERGE_SECONDS, AGREEMENT = 1.1, 1.0, 1e-6


@dataclass(frozen=True)
class Sample:
    """One run of one contender on files of ``rows`` rows a side. ``cpu`` seconds of user and system time from reading
    to the last value, imports left out; ``memory`` the most its process held, MB (10^6 bytes)."""

    contender: str
    task: str
    round: int
    rows: int
    seconds: float
    cpu: float
    memory: float
    values: Mapping[str, float] = field(default_factory=dict)


def judged(samples: Sequence[Sample]) -> list[Bar]:
    """Of what was measured; a run that was cut off has fewer."""
    found = []
    for task, most in LIMITS.items():
        by = ratios(samples, (OURS, task), (OURS, DECODE), largest(samples))
        if by:
            found.append(
                _most(f"{task}: processor time by that of decoding the same files", statistics.median(by), most)
            )
    for peer, (task, least) in PEERS.items():
        by = ratios(samples, (peer, task), (OURS, task), None)
        if by and least:
            found.append(_least(f"{task}: processor time of {peer} by ours, same rows", statistics.median(by), least))
    gap = disagreement(samples)
    if gap is not None:
        found.append(_most("largest relative difference from scipy's values", gap, AGREEMENT))
    streams = sorted((each for each in samples if each.task == "stream"), key=lambda each: each.rows)
    if len(streams) > 1:
        growth = streams[-1].memory / streams[0].memory
        what = f"memory at {streams[-1].rows:,} rows by that at {streams[0].rows:,}"
        found.append(_most(what, growth, GROWTH))
    merges = [each.cpu for each in samples if each.task == "merge"]
    if merges:
        found.append(_most("merging 10,000 profiles of 30 columns, processor seconds", statistics.median(merges),
                           MERGE_SECONDS))  # fmt: skip
    return found


def ratios(samples: Sequence[Sample], above: tuple[str, str], below: tuple[str, str], rows: int | None) -> list[float]:
    """Processor time of ``above`` by that of ``below``, both (contender, task), round by round, at equal rows."""
    known = {(each.round, each.rows): each.cpu for each in samples if (each.contender, each.task) == below}
    return [
        each.cpu / known[each.round, each.rows]
        for each in samples
        if (each.contender, each.task) == above and (each.round, each.rows) in known and rows in (None, each.rows)
    ]


def largest(samples: Sequence[Sample]) -> int:
    return max((each.rows for each in samples if each.task == DECODE), default=0)


def disagreement(samples: Sequence[Sample]) -> float | None:
    """Over all values that scipy and we both have of the same files; p-values below 1e-12 are equal."""
    worst = None
    for theirs in (each for each in samples if each.contender == "scipy"):
        for ours in (
            each for each in samples if (each.contender, each.task, each.rows) == (OURS, "exact", theirs.rows)
        ):
            shared = theirs.values.keys() & ours.values.keys()
            gaps = [_gap(theirs.values[name], ours.values[name]) for name in shared]
            worst = max([*gaps, worst or 0.0])
    return worst


def _gap(one: float, two: float) -> float:
    return 0.0 if abs(one - two) < 1e-12 else abs(one - two) / max(abs(one), abs(two))


def _most(what: str, found: float, wanted: float) -> Bar:
    return Bar(what, found, f"<= {wanted:g}", found <= wanted)


def _least(what: str, found: float, wanted: float) -> Bar:
    return Bar(what, found, f">= {wanted:g}", found >= wanted)


def report(samples: Sequence[Sample], left_out: Mapping[str, str], versions: Mapping[str, str]) -> str:
    lines = [
        "# Profiles and drift of 30 columns", "",
        "| contender | task | rows a side | processor seconds | seconds | memory, MB | by ours at the same rows |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for key in dict.fromkeys((each.contender, each.task, each.rows) for each in samples):
        name, task, rows = key
        mine = [each for each in samples if (each.contender, each.task, each.rows) == key]
        by = ratios(samples, (name, task), (OURS, task), rows) if name != OURS else []
        lines.append("| " + " | ".join([
            f"{name} {versions.get(name, '')}".strip(), task, f"{rows:,}",
            f"{statistics.median(each.cpu for each in mine):.2f}",
            f"{statistics.median(each.seconds for each in mine):.2f}", f"{max(each.memory for each in mine):.0f}",
            f"{statistics.median(by):.1f} ({min(by):.1f} to {max(by):.1f})" if by else "",
        ]) + " |")  # fmt: skip
    lines += [f"\n{name} is left out: {why}" for name, why in left_out.items()]
    lines += ["", "| bar | wanted | found | |", "|---|---|---|---|"]
    lines += [
        f"| {b.what} | {b.wanted} | {b.found:.3g} | {'passed' if b.passed else 'FAILED'} |" for b in judged(samples)
    ]
    return "\n".join(lines) + "\n"
