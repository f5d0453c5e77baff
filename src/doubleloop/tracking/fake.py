"""A tracking server in memory, for tests of rooms that only need the port."""

from __future__ import annotations

import copy
import itertools
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doubleloop.base import errors
from doubleloop.tracking import ports, rules


class MemoryTracking:
    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.versions: dict[tuple[str, str], tuple[ports.Registered, Path, str]] = {}
        self._clock = itertools.count(1)
        self._files = tempfile.TemporaryDirectory(prefix="doubleloop-tracking-")
        self._place = rules.place(None)

    def of(self, workspace: str | None) -> MemoryTracking:
        other = copy.copy(self)  # what is kept is the same
        other._place = rules.place(workspace)
        return other

    def prepare(self) -> str:
        return self._place

    def experiment_id(self, experiment: str) -> str:
        return f"experiment-{experiment}"

    def create_run(self, experiment: str, name: str, tags: Mapping[str, str], user: str) -> str:
        run_id = f"run{len(self.runs) + 1:04d}"
        self.runs[run_id] = {
            "place": self._place, "experiment": experiment, "name": name, "tags": dict(tags), "user": user,
            "status": "RUNNING", "metrics": {}, "params": {},
        }  # fmt: skip
        return run_id

    def find_run(self, experiment: str, tag: str, value: str) -> str | None:
        for run_id, run in self.runs.items():
            if (run["place"], run["experiment"]) == (self._place, experiment) and run["tags"].get(tag) == value:
                return run_id
        return None

    def _run(self, run_id: str) -> dict[str, Any]:
        if run_id not in self.runs or self.runs[run_id]["place"] != self._place:
            raise errors.NotFound(f"Run {run_id} is not known")
        return self.runs[run_id]

    def end_run(self, run_id: str, status: str) -> None:
        self._run(run_id)["status"] = status

    def metrics(self, run_id: str) -> dict[str, float]:
        return dict(self._run(run_id)["metrics"])

    def metric_history(self, run_id: str, key: str) -> list[tuple[int, float]]:
        return list(self._run(run_id).get("history", {}).get(key, []))

    def log_metric(self, run_id: str, key: str, value: float) -> None:
        run = self._run(run_id)
        run["metrics"][key] = value
        values = run.setdefault("history", {}).setdefault(key, [])
        values.append((len(values), value))

    def params(self, run_id: str) -> dict[str, str]:
        return dict(self._run(run_id)["params"])

    def tags(self, run_id: str) -> dict[str, str]:
        return dict(self._run(run_id)["tags"])

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self._run(run_id)["tags"][key] = value

    def registered(self, since_ms: int = 0) -> list[ports.Registered]:
        return [each for each, _, _ in self.versions.values() if each.created_ms >= since_ms]

    def registered_version(self, name: str, version: str) -> ports.Registered | None:
        found = self.versions.get((name, version))
        return found[0] if found else None

    def files_of(self, name: str, version: str) -> Path:
        if (name, version) not in self.versions:
            raise errors.NotFound(f"Model {name}:{version} is not known")
        return self.versions[(name, version)][1]

    def register(
        self, name: str, folder: Path, run_id: str | None, key: str, about: ports.About = ports.NOTHING
    ) -> str:  # fmt: skip
        for (known, version), (_, _, other) in self.versions.items():
            if known == name and other == key:
                return version
        taken = {each for (known, _), (entry, _, _) in self.versions.items() if known == name
                 for each in (entry.number, entry.version)}  # fmt: skip
        wanted = ports.number_of(about.version)
        highest = max((int(each) for each in taken if ports.number_of(each)), default=0)
        version = str(wanted if wanted and str(wanted) not in taken else highest + 1)
        # A server keeps its own copy: who registers may clear the folder away.
        place = Path(self._files.name) / name / version / folder.name
        place.parent.mkdir(parents=True)
        if folder.is_dir():
            shutil.copytree(folder, place)
        else:
            shutil.copyfile(folder, place)
        entry = ports.Registered(
            name, about.version or version, run_id, str(place), next(self._clock), "READY", version, about.description,
            about.tags, about.properties,
        )  # fmt: skip
        self.versions[(name, version)] = (entry, place, key)
        return version

    def set_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        if (name, version) not in self.versions:
            raise errors.NotFound(f"Model {name}:{version} is not known")
