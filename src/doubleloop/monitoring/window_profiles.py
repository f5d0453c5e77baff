"""Windows as profiles: each file of the inference log is profiled once, so that a window of any length is a merge.

A file of the log never changes. Its profile against one reference is kept beside it, as ``<file>.<digest>.profile``;
the digest is that of the reference's bins and labels, so another reference is another file. Files that lie in the
window only in part are read. A data version never changes either: its profile is kept by its content. The worker makes
both when data has arrived (``ahead``), so that a run finds them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from doubleloop.base import canonical, errors, ids
from doubleloop.endpoints import queries as endpoints
from doubleloop.monitoring import model, rules, windows
from doubleloop.statistics import folding, packing, profiles

_DIGITS = 16
Part = Callable[[pl.DataFrame], pl.DataFrame]
_PREFIX: Mapping[Part, str] = {windows.inputs: "in.", windows.outputs: "out."}


def reference(
    task: windows.Task, signal_data: Any, overrides: Mapping[str, str], answers: str = ""
) -> profiles.TableProfile:
    """Profile of a data asset, made once for its content and these overrides; of its column ``answers`` alone, as
    ``prediction``, when that is given and it holds no predictions. Raises InvalidInput when there is no such column.
    """
    content = windows.content(task, signal_data)
    said = [content, dict(overrides), profiles.FORMAT, *([answers] if answers else [])]
    key = hashlib.sha256(canonical.dumps(said).encode()).hexdigest()
    kept = endpoints.profile_folder(task.contexts) / f"{key}.json"
    try:
        return profiles.from_dict(json.loads(kept.read_text()))
    except (OSError, ValueError, errors.InvalidInput):  # not there, cut off, or of another version
        table = windows.read(task, content)
        if answers and windows.PREDICTION not in table.columns:
            table = windows.predicted(table, answers)
        found = profiles.reference(table, overrides)
        _write(kept, canonical.dumps(found.to_dict()).encode())
        return found


def of_log(
    task: windows.Task, window: model.Window, known: profiles.TableProfile, part: Part = windows.inputs
) -> tuple[profiles.TableProfile, list[str]]:
    """Profile, against ``known``, of the inputs (or outputs) in the log's rows that were answered in the window; and
    those columns of ``known`` that the log has."""
    layout = packing.Layout(known)
    watched = _files(task, window)
    nothing = packing.pack(profiles.window({name: [] for name in known.columns}, known), layout)
    logged = {name for file in watched for name in file.columns()}
    found = folding.merge([nothing, *(_packed(file, layout, part) for file in watched)], layout)
    return found, [name for name in known.columns if _PREFIX[part] + name in logged]


def rows(task: windows.Task, window: model.Window, newest: bool = True) -> int:
    """How many rows the files hold that the window lies in."""
    return sum(file.rows() for file in _files(task, window, newest))


def ahead(task: windows.Task, window: model.Window, known: profiles.TableProfile, part: Part = windows.inputs) -> int:
    """Profile the closed files that a run will ask for and that have no profile yet; how many had none."""
    layout, made = packing.Layout(known), 0
    for file in _files(task, window, newest=False):
        if file.whole and not _kept(file, layout, part).exists():
            _packed(file, layout, part)
            made += 1
    return made


def _files(task: windows.Task, window: model.Window, newest: bool = True) -> list[Any]:
    files = endpoints.log_files(
        task.contexts, task.monitor.workspace, task.monitor.endpoint, since=window.start, until=window.end,
        newest=newest,
    )  # fmt: skip
    return [file for file in files if rules.watches(task.monitor.deployment, file.deployment)]


def _kept(file: Any, layout: packing.Layout, part: Part) -> Path:
    said = "" if part is windows.inputs else "outputs."
    found: Path = file.path.with_name(f"{file.path.name}.{layout.digest[:_DIGITS]}.{said}profile")
    return found


def _packed(file: Any, layout: packing.Layout, part: Part) -> bytes:
    if not file.whole:
        return _profile(file, layout, part)
    kept = _kept(file, layout, part)
    try:
        found = kept.read_bytes()
        folding.merge([found], layout)  # one that is cut off, or of another version, is made again
        return bytes(found)
    except (OSError, errors.InvalidInput):
        found = _profile(file, layout, part)
        _write(kept, found)
        return found


def _profile(file: Any, layout: packing.Layout, part: Part) -> bytes:
    answered = file.read().filter(pl.col("status") == 200)
    return packing.pack(profiles.window(part(answered), layout.reference), layout)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all. A full disk costs the next run some time, and this one nothing."""
    beside = path.with_name(f".{path.name}.{ids.new_id()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
