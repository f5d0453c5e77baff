"""Windows as profiles: each file of the inference log is profiled once, so that a window of any length is a merge.

A file of the log never changes. Its profile against one reference is kept beside it, as ``<file>.<digest>.profile``;
the digest is that of the reference's bins and labels, so another reference is another file. Files that lie in the
window only in part are read. A data version never changes either: its profile is kept by its content.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from doubleloop.base import canonical, errors, ids
from doubleloop.endpoints import queries as endpoints
from doubleloop.monitoring import model, rules, windows
from doubleloop.statistics import folding, packing, profiles

_DIGITS = 16


def reference(task: windows.Task, signal_data: Any, overrides: Mapping[str, str]) -> profiles.TableProfile:
    """Profile of a data asset, made once for its content and these overrides."""
    content = windows.content(task, signal_data)
    key = hashlib.sha256(canonical.dumps([content, dict(overrides), profiles.FORMAT]).encode()).hexdigest()
    kept = endpoints.profile_folder(task.contexts) / f"{key}.json"
    try:
        return profiles.from_dict(json.loads(kept.read_text()))
    except (OSError, ValueError, errors.InvalidInput):  # not there, cut off, or of another version
        found = profiles.reference(windows.read(task, content), overrides)
        _write(kept, canonical.dumps(found.to_dict()).encode())
        return found


def of_log(
    task: windows.Task, window: model.Window, known: profiles.TableProfile
) -> tuple[profiles.TableProfile, list[str]]:
    """Profile, against ``known``, of the inputs in the log's rows that were answered in the window; and those columns
    of ``known`` that the log has."""
    layout = packing.Layout(known)
    files = endpoints.log_files(
        task.contexts, task.monitor.workspace, task.monitor.endpoint, since=window.start, until=window.end
    )
    watched = [file for file in files if rules.watches(task.monitor.deployment, file.deployment)]
    nothing = packing.pack(profiles.window({name: [] for name in known.columns}, known), layout)
    logged = {name for file in watched for name in file.columns()}
    found = folding.merge([nothing, *(_packed(file, layout) for file in watched)], layout)
    return found, [name for name in known.columns if f"in.{name}" in logged]


def _packed(file: Any, layout: packing.Layout) -> bytes:
    if not file.whole:
        return _profile(file, layout)
    kept = file.path.with_name(f"{file.path.name}.{layout.digest[:_DIGITS]}.profile")
    try:
        found = kept.read_bytes()
        folding.merge([found], layout)  # one that is cut off, or of another version, is made again
        return bytes(found)
    except (OSError, errors.InvalidInput):
        found = _profile(file, layout)
        _write(kept, found)
        return found


def _profile(file: Any, layout: packing.Layout) -> bytes:
    rows = file.read().filter(pl.col("status") == 200)
    return packing.pack(profiles.window(windows.inputs(rows), layout.reference), layout)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all. A full disk costs the next run some time, and this one nothing."""
    beside = path.with_name(f".{path.name}.{ids.new_id()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
