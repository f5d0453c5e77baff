"""From inputs to mini-batches: which files, in which order, how many at a time."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Sequence

from .spec import MLFLOW, Refused, Spec

# A Parquet file with more rows than this is scored in several parts where we read it ourselves, so that several
# processes share it and a restart does not begin it anew.
PART_ROWS = 250000
NOTES = ("_SUCCESS", "_committed_", "_started_", "_metadata", "_common_metadata")
NOTE_FOLDERS = ("_delta_log", "_spark_metadata", "_temporary")
PARQUET = (".parquet", ".pqt", ".parq")

Item = Dict[str, Any]


def items(spec: Spec) -> List[Item]:
    """Every file once, in the order of inputs and names: ``{"input", "path": below it, "groups": [first, end) of a
    Parquet file's row groups or None, "row": number of its first row}``. Raises Refused."""
    found = []  # type: List[Item]
    for each in spec.inputs:
        for path in _files(each):
            item = {"input": each["name"], "path": path, "groups": None, "row": 0}
            if spec.entry["kind"] != MLFLOW:
                found.append(item)
            elif not _notes(path):
                found.extend(_parts(each, item))
    return found


def _notes(path: str) -> bool:
    """Whether it is what Spark and Delta Lake note beside the files of a table, or in a folder of their own."""
    *folders, name = path.split(os.sep)
    return name.startswith(NOTES) or any(folder in NOTE_FOLDERS for folder in folders)


def batches(found: Sequence[Item], size: int) -> List[List[Item]]:
    """At most ``size`` items each, the last one what is left."""
    return [list(found[start : start + size]) for start in range(0, len(found), size)]


def place(spec: Spec, item: Item) -> str:
    """The absolute path of an item's file."""
    root = next(each["path"] for each in spec.inputs if each["name"] == item["input"])
    return os.path.join(root, item["path"]) if item["path"] else root


def label(spec: Spec, item: Item) -> str:
    """What the item's file is called in rows and failures: its path below the input, of several inputs with the input's
    name before it, so that no two files are called the same."""
    name = str(item["path"]).replace(os.sep, "/") or os.path.basename(place(spec, item))
    return "%s/%s" % (item["input"], name) if len(spec.inputs) > 1 else name


def _files(given: Dict[str, str]) -> List[str]:
    """Paths below the input; an input that is a file is the empty path below itself."""
    root = given["path"]
    if os.path.isfile(root):
        return [""]
    if not os.path.isdir(root):
        raise Refused("input '%s' is neither a file nor a folder: %s" % (given["name"], root))
    if given.get("type") == "mltable" and os.path.isfile(os.path.join(root, "MLTable")):
        return _of_table(root)
    return sorted(_below(root))


def _below(root: str) -> Iterator[str]:
    for folder, names, files in os.walk(root):
        names[:] = [name for name in names if not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                yield os.path.relpath(os.path.join(folder, name), root)


def _of_table(root: str) -> List[str]:
    """The files that an MLTable names, in its order. Its transformations are for readers of tables, not of files."""
    import glob

    try:
        import yaml
    except ImportError:
        raise Refused("the environment needs PyYAML to read the input's MLTable file") from None
    with open(os.path.join(root, "MLTable"), encoding="utf-8") as file:
        written = yaml.safe_load(file) or {}
    found = []  # type: List[str]
    for entry in written.get("paths") or []:
        kind, path = next(iter(entry.items())) if isinstance(entry, dict) and entry else ("", "")
        path = os.path.normpath(str(path))
        if kind not in ("file", "folder", "pattern") or "://" in str(path) or path.startswith(("/", "..")):
            raise Refused("the MLTable names '%s', which does not lie beside it" % path)
        if kind == "folder":
            found.extend(os.path.join(path, name) for name in sorted(_below(os.path.join(root, path))))
        else:
            matched = glob.glob(os.path.join(root, path), recursive=True) if kind == "pattern" else [path]
            found.extend(os.path.relpath(os.path.join(root, each), root) for each in sorted(matched))
    missing = [each for each in found if not os.path.isfile(os.path.join(root, each))]
    if missing:
        raise Refused("the MLTable names %s, which is not there" % missing[0])
    return found


def _parts(given: Dict[str, str], item: Item) -> Iterator[Item]:
    """A large Parquet file cut at its row groups; every other file as it is."""
    path = os.path.join(given["path"], item["path"]) if item["path"] else given["path"]
    if not path.lower().endswith(PARQUET):
        yield item
        return
    try:
        import pyarrow.parquet as parquet

        meta = parquet.ParquetFile(path).metadata
    except Exception:  # it will be told as this file's own failure when its turn comes
        yield item
        return
    first, rows, begun = 0, 0, 0
    for group in range(meta.num_row_groups):
        rows += meta.row_group(group).num_rows
        if rows >= PART_ROWS and group + 1 < meta.num_row_groups:
            yield dict(item, groups=[first, group + 1], row=begun)
            first, begun, rows = group + 1, begun + rows, 0
    yield dict(item, groups=[first, meta.num_row_groups], row=begun) if first else item
