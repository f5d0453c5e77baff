"""Files and folders of tables as pandas frames. Imports polars and pandas, which take their time."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from doubleloop.base import errors
from doubleloop.frames import reading

if TYPE_CHECKING:
    import pandas


def read(path: Path) -> pandas.DataFrame:
    """A file (csv, tsv, parquet, jsonl, json records), a folder of them, or a folder with an ``MLTable``, as one frame.

    Raises InvalidInput for what is no table, Unavailable without pandas.
    """
    try:
        importlib.import_module("pandas")
    except ImportError as error:
        raise errors.Unavailable(
            "A data frame needs pandas, which is not installed here", cure="`pip install pandas`, or read .path()."
        ) from error
    found: pandas.DataFrame = reading.read(path).to_pandas()
    return found
