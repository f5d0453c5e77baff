"""An MLflow model over files of rows: read piece by piece, typed by the signature, scored, nothing held in memory.

Where the model has a plan (``scorer.plans``), the plan scores; now and then the model is asked about rows of a piece as
well, and ``Disagreed`` is raised when the two differ.
"""

from __future__ import annotations

import base64
import os
import time
from typing import Any, Dict, Iterator, List, Optional

from . import arrow, cutting, guests

PIECE_ROWS = 50000
DELIMITED = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson")
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tiff", ".tif", ".webp")


class Unreadable(Exception):
    """The file is not one that the model can be given."""


class Disagreed(Exception):
    """The plan gave another answer than the model; the text says which."""


class Model:
    """``score`` answers with data frames of ``row`` (counted from 0 in its file), the predictions, and ``file``.

    ``scorer``: folder of the code that loads models behind endpoints and makes their plans; empty for none.
    ``kits``: folder of serving kits (``scorer.kit``).
    """

    def __init__(self, folder: str, scorer: str = "", kits: str = "") -> None:
        self._bulk = None  # type: Any
        self._model = None  # type: Any
        self.plan = {"used": False, "why": "compile: off"}  # type: Dict[str, Any]
        if scorer:
            loaded = guests.module(scorer, "mlflow_model").MlflowModel(
                {"model_dir": folder, "kits": kits, "quiet": True}
            )
            self._bulk, self.plan, self._model = loaded.bulk(), loaded.plan, loaded.pyfunc
            if self._bulk is not None and not _has_arrow():
                self._bulk, self.plan = None, {**self.plan, "used": False, "why": "pyarrow is not installed"}
            self._coded = guests.module(scorer, "plans.coded")
            self._of_frame = loaded.of_frame
        else:
            import mlflow.pyfunc

            self._model = mlflow.pyfunc.load_model(folder, suppress_warnings=True)
            self._of_frame = self._model.predict
        signature = self._model.metadata.signature
        inputs = signature.inputs if signature is not None else None
        self._tensor = bool(inputs is not None and inputs.is_tensor_spec())
        self._inputs = inputs.to_dict() if inputs is not None and not self._tensor else []
        self._grid = _grid(inputs.to_dict()) if inputs is not None and self._tensor else None
        outputs = signature.outputs if signature is not None else None
        named = outputs.input_names() if outputs is not None and not outputs.is_tensor_spec() else []
        self._outputs = [str(name) for name in named]

    def begin(self) -> None:
        """A new mini-batch begins."""
        if self._bulk is not None:
            self._bulk.begin()

    def score(self, path: str, item: cutting.Item, planned: bool, as_arrow: bool = False) -> Iterator[Any]:
        """``planned``: by the plan if there is one. ``as_arrow``: what is nothing but numbers may come as a
        ``pyarrow.Table``. Raises Unreadable and Disagreed."""
        row, name = item["row"], item["path"] or os.path.basename(path)
        for piece in self._read(path, item):
            size = piece.num_rows if hasattr(piece, "num_rows") else len(piece)
            if not size:  # names of columns and no row: models do not like to be asked about nothing
                continue
            found = self._planned(piece, size) if planned and self._bulk is not None else None
            if found is None:
                found = self._of_frame(self._typed(_frame(piece)))
            if as_arrow and getattr(found, "ndim", 0) == 1 and found.dtype.kind in "biuf":
                yield _table(found, self._names(1)[0], row, name)
            else:
                found = self._framed(found, size)
                found.insert(0, "row", range(row, row + size))
                found["file"] = _repeated(name, size)
                yield found
            row += size

    # -- reading -----------------------------------------------------------------------------------------------------

    def _read(self, path: str, item: cutting.Item) -> Iterator[Any]:
        """``_pieces``; what is wrong with the whole file is told in its own words."""
        import pandas

        try:
            yield from self._pieces(path, item)
        except UnicodeDecodeError as error:
            odd = error.object[error.start : error.start + 1].hex()
            raise Unreadable("it is not text in UTF-8: the byte 0x%s cannot stand where it does" % odd) from error
        except pandas.errors.EmptyDataError as error:
            raise Unreadable("it is empty: it does not even name its columns") from error

    def _pieces(self, path: str, item: cutting.Item) -> Iterator[Any]:
        import pandas

        name = path[:-3] if path.lower().endswith(".gz") else path
        end = os.path.splitext(name)[1].lower()
        if end in IMAGES:
            yield self._image(path)
        elif self._tensor and self._grid is None:
            raise Unreadable("the model takes tensors, so it reads images (%s), not %s" % (", ".join(IMAGES), end))
        elif end in DELIMITED:
            with pandas.read_csv(path, sep=DELIMITED[end], dtype=self._texts(), chunksize=PIECE_ROWS) as reader:
                yield from reader
        elif end in LINES:
            exactly = {"dtype": False, "precise_float": True}
            if _major(pandas) < 3:  # they took columns for times by their names: date, timestamp, ..._at
                exactly["convert_dates"] = False
            with pandas.read_json(path, lines=True, chunksize=PIECE_ROWS, **exactly) as reader:
                yield from reader
        elif end in cutting.PARQUET:
            yield from self._parquet(path, item["groups"])
        else:
            known = ", ".join([*DELIMITED, *LINES, *cutting.PARQUET, *IMAGES])
            raise Unreadable("files of type '%s' cannot be read without a scoring script; those can: %s" % (end, known))

    def _texts(self) -> Optional[Dict[str, str]]:
        """Columns that must stay text, whatever their values look like (``01234``)."""
        named = {each.get("name"): "str" for each in self._inputs if each["type"] == "string"}
        return {name: kind for name, kind in named.items() if name is not None} or None

    def _parquet(self, path: str, groups: Optional[List[int]]) -> Iterator[Any]:
        """Arrow record batches; texts are left as they lie in the file, each distinct one once."""
        import pyarrow.parquet as parquet

        about = parquet.read_metadata(path)
        held = about.schema.to_arrow_schema().names
        texts = [name for name in self._texts() or () if name in held]
        # Column chunks are read through a small buffer, or a row group of any size would be in memory at once.
        reading = {"metadata": about, "buffer_size": 1 << 20, "pre_buffer": False, "read_dictionary": texts}
        with parquet.ParquetFile(path, **reading) as file:
            wanted = [each["name"] for each in self._inputs if each.get("name") is not None]
            columns = [name for name in wanted if name in held] if wanted else None
            chosen = list(range(*groups)) if groups else None
            yield from file.iter_batches(PIECE_ROWS, row_groups=chosen, columns=columns)

    def _image(self, path: str) -> Any:
        """One image: a row with the file's bytes for a model with one binary column; for one of tensors a batch of one:
        height, width, channels."""
        if not self._tensor:
            needed = [each for each in self._inputs if each.get("required", True)]
            if len(needed) == 1 and needed[0]["type"] == "binary" and needed[0].get("name") is not None:
                import pandas

                with open(path, "rb") as file:
                    return pandas.DataFrame({needed[0]["name"]: [file.read()]})
            raise Unreadable("the model takes columns, and an image has none; deploy it with a scoring script")
        import numpy
        from PIL import Image

        with Image.open(path) as image:
            array = numpy.asarray(image)
        dtype = self._model.metadata.signature.inputs.to_dict()[0]["tensor-spec"]["dtype"]
        return array[numpy.newaxis].astype(dtype)

    # -- the plan ----------------------------------------------------------------------------------------------------

    def _planned(self, piece: Any, size: int) -> Any:
        """What the plan answers; None when it has no answer for such a piece. Raises Disagreed."""
        import pyarrow

        batch = piece
        if not hasattr(batch, "num_rows"):
            try:
                batch = pyarrow.RecordBatch.from_pandas(piece, preserve_index=False)
            except pyarrow.ArrowException:  # a column of mixed types: the model's own way says what is wrong with it
                return None
        columns = arrow.columns(batch, self._bulk.names, self._bulk.types, self._coded)
        found = None if columns is None else self._bulk.predict(columns, size)
        if found is None:
            return None
        chosen = self._bulk.chosen(size)
        if chosen:
            began = time.perf_counter()
            asked = self._typed(_frame(batch.take(pyarrow.array(chosen))))
            try:
                expected = self._of_frame(asked)
            except Exception as error:
                raise Disagreed("the model refuses what the plan answered: %s" % error) from error
            wrong = self._bulk.compare(found[chosen], expected, began)
            if wrong is not None:
                raise Disagreed(wrong)
        return found

    # -- types -------------------------------------------------------------------------------------------------------

    def _typed(self, piece: Any) -> Any:
        """The columns of the signature, in its types. Raises Unreadable, naming the column."""
        if self._tensor:
            return self._numbers(piece) if hasattr(piece, "columns") else piece
        if not self._inputs:
            return piece.reset_index(drop=True)
        if all(each.get("name") is None for each in self._inputs):
            if piece.shape[1] < len(self._inputs):
                raise Unreadable("it has %d columns, the model takes %d" % (piece.shape[1], len(self._inputs)))
            return piece.iloc[:, : len(self._inputs)].reset_index(drop=True)
        missing = [
            each["name"] for each in self._inputs if each.get("required", True) and each["name"] not in piece.columns
        ]
        if missing:
            raise Unreadable("the column%s %s %s missing" % (
                "s" if len(missing) > 1 else "", ", ".join("'%s'" % name for name in missing),
                "are" if len(missing) > 1 else "is"))  # fmt: skip
        there = [each for each in self._inputs if each["name"] in piece.columns]
        if not there:
            names = ", ".join("'%s'" % each["name"] for each in self._inputs)
            raise Unreadable("it has none of the columns that the model takes: %s" % names)
        columns = {each["name"]: self._column(piece[each["name"]], each) for each in there}
        return type(piece)(columns).reset_index(drop=True)

    def _numbers(self, piece: Any) -> Any:
        """The rows of a table as the model's one tensor, whose columns have no names. Raises Unreadable."""
        grid = self._grid or {}
        width, dtype = grid["tensor-spec"]["shape"][1], grid["tensor-spec"]["dtype"]
        if width not in (-1, piece.shape[1]):
            raise Unreadable("it has %d columns, the model takes %d" % (piece.shape[1], width))
        kind = "long" if dtype.startswith(("int", "uint")) else "double"
        columns = {name: self._column(piece[name], {"name": name, "type": kind}) for name in piece.columns}
        array = type(piece)(columns).to_numpy().astype(dtype)
        return array if grid.get("name") is None else {grid["name"]: array}

    def _column(self, values: Any, spec: Dict[str, Any]) -> Any:
        import pandas

        kind = spec["type"]
        try:
            if kind == "datetime":
                return _times(values)
            if kind in ("long", "integer"):
                if values.isna().any():
                    raise ValueError("a value is missing, and whole numbers have none")
                whole = pandas.to_numeric(values)
                if (whole % 1 != 0).any():
                    raise ValueError("a number has a fraction")
                return whole.astype({"long": "int64", "integer": "int32"}[kind])
            if kind in ("double", "float"):
                return pandas.to_numeric(values).astype({"double": "float64", "float": "float32"}[kind])
            if kind == "boolean" and values.dtype != bool:
                return _truths(values, spec.get("required", True))
            if kind == "binary":  # text holds bytes as base64
                return values.map(_bytes).astype(object)
            if kind == "string":
                return values.where(values.isna(), values.astype(str)).astype(object)
        except (TypeError, ValueError) as error:
            raise Unreadable("column '%s' takes %s: %s" % (spec["name"], kind, error)) from error
        return values

    # -- answers -----------------------------------------------------------------------------------------------------

    def _framed(self, found: Any, size: int) -> Any:
        import numpy
        import pandas

        if hasattr(found, "toarray"):
            found = found.toarray()
        if isinstance(found, dict):
            found = pandas.DataFrame({name: list(values) for name, values in found.items()})
        if not isinstance(found, pandas.DataFrame):
            if hasattr(found, "to_numpy"):
                found = found.to_numpy()
            array = found if isinstance(found, numpy.ndarray) else _objects(numpy, list(found))
            if array.ndim > 2:
                array = _objects(numpy, array.tolist())
            found = pandas.DataFrame(array if array.ndim == 2 else array.reshape(-1, 1))
            found.columns = self._names(found.shape[1])
        if len(found) != size:
            raise Unreadable("the model gave %d predictions for %d rows" % (len(found), size))
        return found.rename(columns=str).reset_index(drop=True)

    def _names(self, count: int) -> List[str]:
        if len(self._outputs) == count and all(not name.isdigit() for name in self._outputs):
            return list(self._outputs)
        return ["prediction"] if count == 1 else ["prediction_%d" % index for index in range(count)]


def _grid(specs: List[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    """The one tensor of numbers with an axis of rows and one of columns, if that is what a model takes."""
    spec = specs[0]
    inner = spec["tensor-spec"]
    numbers = str(inner["dtype"]).startswith(("int", "uint", "float"))
    return spec if len(specs) == 1 and len(inner["shape"]) == 2 and numbers else None


def _table(found: Any, name: str, row: int, file: str) -> Any:
    """Rows that count from ``row``, and one prediction for each."""
    import numpy
    import pyarrow

    files = pyarrow.DictionaryArray.from_arrays(numpy.zeros(len(found), dtype="int8"), [file])
    rows = pyarrow.array(numpy.arange(row, row + len(found)))
    return pyarrow.table([rows, pyarrow.array(found), files], names=["row", name, "file"])


def _repeated(text: str, size: int) -> Any:
    """One text for all rows, held once."""
    import numpy
    import pandas

    return pandas.Categorical.from_codes(numpy.zeros(size, dtype="int8"), [text])


def _frame(piece: Any) -> Any:
    """A piece as a data frame, its texts as Python's."""
    if not hasattr(piece, "num_rows"):
        return piece
    import pyarrow

    columns = [
        column.dictionary_decode() if pyarrow.types.is_dictionary(column.type) else column for column in piece.columns
    ]
    return pyarrow.RecordBatch.from_arrays(columns, names=piece.schema.names).to_pandas()


def _objects(numpy: Any, values: List[Any]) -> Any:
    """One object a row, whatever they are."""
    if values and not isinstance(values[0], (list, tuple, dict)):
        return numpy.asarray(values)
    array = numpy.empty(len(values), dtype=object)
    array[:] = values
    return array


def _bytes(value: Any) -> Any:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


def _major(package: Any) -> int:
    return int(package.__version__.split(".")[0])


def _times(values: Any) -> Any:
    """UTC without an offset, to the nanosecond, as requests to an endpoint are read. Raises ValueError."""
    import pandas

    if values.dtype.kind in "biufc" and not values.isna().all():
        raise ValueError("a number does not say what it counts from; write times as in ISO 8601 (2024-02-29T12:00:00Z)")
    if values.dtype.kind == "M" or values.isna().all() or _major(pandas) < 2:
        found = pandas.to_datetime(values, utc=True)
    else:
        found = pandas.to_datetime(values, utc=True, format="ISO8601", errors="coerce")
        odd = values[found.isna() & values.notna()]
        if len(odd):
            raise ValueError("%r is no time as ISO 8601 has it (2024-02-29T12:00:00Z)" % (odd.iloc[0],))
    return found.dt.tz_localize(None).astype("datetime64[ns]")


def _truths(values: Any, required: bool) -> Any:
    missing = values.isna()
    if not missing.any():
        return values.map(_truth).astype(bool)
    if required:
        raise ValueError("a value is missing, and the model must be given one")
    return values.astype(object).where(missing, values.map(_truth, na_action="ignore")).where(~missing, None)


def _truth(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in ("true", "1", "1.0"):
        return True
    if text in ("false", "0", "0.0"):
        return False
    raise ValueError("%r is neither true nor false" % (value,))


def _has_arrow() -> bool:
    """A plan is given Arrow's columns, and MLflow's small package does not bring pyarrow along."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True
