"""Where the outputs of a job are, and laying them down in a folder."""

from __future__ import annotations

import contextlib
from pathlib import Path

from doubleloop.base import errors
from doubleloop.sdk import blobs, jobs

ARTIFACTS = "artifacts"
"""The output that is a job's, or step's, own folder: ``./outputs`` and ``./logs``, and beside them its log."""

LOG = Path("user_logs", "std_log.txt")

Addresses = dict[str, dict[str, str]]
"""Output → content addresses by the folder that they belong in: several for the steps' own folders."""


def addresses(routes: jobs.Jobs, id_: str) -> Addresses:
    """The outputs of a job by name."""
    given = dict(routes.show(id_).get("outputs") or {})
    found = {name: {"": str(each["reference"])} for name, each in given.items()}
    if ARTIFACTS not in found:
        steps = routes.steps(id_)
        if any(step.get("status") not in ("queued", "skipped") for step in steps):
            found[ARTIFACTS] = {}
        own = {str(step["name"]): (step.get("outputs") or {}).get(ARTIFACTS) for step in steps}
        kept = {name: str(each["reference"]) for name, each in own.items() if each}
        if kept:
            found[ARTIFACTS] = kept if len(steps) > 1 else dict.fromkeys([""], next(iter(kept.values())))
    return found


def choose(found: Addresses, id_: str, name: str | None, everything: bool) -> list[str]:
    """The names that are asked for. Raises NotFound."""
    chosen = list(found) if everything else [name or ARTIFACTS]
    unknown = [each for each in chosen if each not in found]
    if unknown:
        known = ", ".join(sorted(found)) or "none yet"
        raise errors.NotFound(f"Job {id_} has no output {unknown[0]}", cure=f"It has: {known}.")
    return chosen


def fetch(
    routes: jobs.Jobs, store: blobs.Blobs, id_: str, found: Addresses, name: str, target: Path,
    progress: blobs.Progress = blobs.silent,
) -> Path:  # fmt: skip
    """Lay one output below ``target``: in ``named-outputs/NAME``, or ``artifacts``. The folder."""
    folder = target / (ARTIFACTS if name == ARTIFACTS else f"named-outputs/{name}")
    for below, reference in found[name].items():
        place = folder / below
        place.mkdir(parents=True, exist_ok=True)
        store.fetch(reference, place, progress, name)
    if name == ARTIFACTS:
        _logs(routes, id_, folder)
    return folder


def _logs(routes: jobs.Jobs, id_: str, folder: Path) -> None:
    """The log of each step that has one and that may be read; of several steps each in a folder of its own."""
    steps = routes.steps(id_)
    for step in steps:
        name = str(step["name"])
        place = folder / (name if len(steps) > 1 else "") / LOG
        with contextlib.suppress(errors.NotFound, errors.NotPermitted):
            part = routes.log(id_, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as file:
                while part.content:
                    file.write(part.content)
                    part = routes.log(id_, name, part.next_offset)
