"""The tables of a job: an MLTable, a file or a folder of rows, as one pandas frame.

They are read by the reader of parallel steps, which lies beside this file in a job's copy of the trainer.
"""

from __future__ import annotations

import importlib.util
import os
from types import ModuleType
from typing import Any

import pandas

from .orders import BadData


def load(path: str) -> pandas.DataFrame:
    """All rows of the table at ``path``. Raises BadData."""
    table: dict[str, Any] = {}
    described = os.path.join(path, "MLTable")
    if os.path.isfile(described):
        import yaml

        with open(described, encoding="utf-8") as file:
            table = yaml.safe_load(file) or {}
    try:
        frame = _reader().load(path, table)
    except (ValueError, KeyError, OSError) as error:
        raise BadData("the table at %s cannot be read: %s" % (os.path.basename(path), error)) from error
    if not len(frame):
        raise BadData("the table at %s has no rows" % os.path.basename(path))
    frame.columns = [str(name) for name in frame.columns]
    return frame


def column(frame: pandas.DataFrame, name: str, what: str) -> pandas.Series:
    """Raises BadData naming the columns that there are."""
    if name not in frame.columns:
        there = ", ".join(list(frame.columns)[:30])
        raise BadData("the table has no column '%s' (%s); its columns: %s" % (name, what, there))
    return frame[name]


def _reader() -> ModuleType:
    place = os.path.join(os.path.dirname(os.path.abspath(__file__)), "parallel_tables.py")
    spec = importlib.util.spec_from_file_location("doubleloop_tables", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
