"""An MLflow model over files of rows: read piece by piece, typed by the signature, scored, nothing held in memory.

Where the model has a plan (``scorer.plans``), the plan scores; now and then the model is asked about rows of a piece as
well, and ``Disagreed`` is raised when the two differ.
"""

from __future__ import annotations

import time
from typing import Any, Iterator, List

from . import arrow, cutting, guests, reading, trained, typed

# What every row of the output says beside the model's answer.
OWN = ("row", "file")


class Disagreed(Exception):
    """The plan gave another answer than the model; the text says which."""


class Model:
    """``score`` answers with data frames of ``row`` (counted from 0 in its file), the predictions, and ``file``.

    ``scorer``: folder of the code that loads models behind endpoints and makes their plans; empty for MLflow's own way.
    ``kits``: folder of serving kits (``scorer.kit``). ``compiled``: whether a plan may score.
    """

    def __init__(self, folder: str, scorer: str = "", kits: str = "", compiled: bool = True) -> None:
        self._bulk = None  # type: Any
        self._model = None  # type: Any
        self.plan = {"used": False, "why": "compile: off"}  # type: dict
        if scorer:
            loaded = guests.module(scorer, "mlflow_model").MlflowModel(
                {"model_dir": folder, "kits": kits, "quiet": True, "compile": compiled}
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
        tensors = inputs.to_dict() if inputs is not None and self._tensor else []
        self._grid = typed.grid(tensors)
        tensor = tensors[0]["tensor-spec"] if tensors else None
        self._reader = reading.Reader(self._inputs, tensor, self._grid is not None)
        self._trained = trained.names(self._model) if inputs is None else []
        outputs = signature.outputs if signature is not None else None
        named = outputs.input_names() if outputs is not None and not outputs.is_tensor_spec() else []
        self._outputs = [str(name) for name in named]

    def begin(self) -> None:
        """A new mini-batch begins."""
        if self._bulk is not None:
            self._bulk.begin()

    def score(
        self, path: str, item: cutting.Item, planned: bool, as_arrow: bool = False, label: str = ""
    ) -> Iterator[Any]:
        """``planned``: by the plan if there is one. ``as_arrow``: what is nothing but numbers may come as a
        ``pyarrow.Table``. ``label``: what the file is called in its rows. Raises Unreadable and Disagreed."""
        row = item["row"]
        for piece in self._reader.pieces(path, item):
            size = piece.num_rows if hasattr(piece, "num_rows") else len(piece)
            if not size:  # names of columns and no row: models do not like to be asked about nothing
                continue
            found = self._planned(piece, size) if planned and self._bulk is not None else None
            if found is None:
                found = self._of_frame(self._typed(piece, row))
            if as_arrow and getattr(found, "ndim", 0) == 1 and found.dtype.kind in "biuf":
                yield _table(found, self._names(1)[0], row, label)
            else:
                found = self._framed(found, size)
                found.insert(0, "row", range(row, row + size))
                found["file"] = _repeated(label, size)
                yield found
            row += size

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
            asked = self._typed(batch.take(pyarrow.array(chosen)))
            try:
                expected = self._of_frame(asked)
            except Exception as error:
                raise Disagreed("the model refuses what the plan answered: %s" % error) from error
            wrong = self._bulk.compare(found[chosen], expected, began)
            if wrong is not None:
                raise Disagreed(wrong)
        return found

    def _typed(self, piece: Any, row: int = 0) -> Any:
        """What the model is given for a piece. Raises Unreadable, naming the column."""
        found = reading.frame(piece, self._reader.texts)
        if not self._tensor:
            return typed.table(trained.chosen(found, self._trained), self._inputs, row)
        return found if self._grid is None or not hasattr(found, "columns") else typed.array(found, self._grid, row)

    # -- answers -----------------------------------------------------------------------------------------------------

    def _framed(self, found: Any, size: int) -> Any:
        """Columns with one row for each of ``size``. Raises Unreadable."""
        import numpy
        import pandas

        if hasattr(found, "toarray"):
            found = found.toarray()
        if isinstance(found, (str, bytes)) or not hasattr(found, "__iter__"):
            raise reading.Unreadable(
                "the model answered %s; it must answer with one prediction for each row" % type(found).__name__
            )
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
            raise reading.Unreadable("the model gave %d predictions for %d rows" % (len(found), size))
        names = [str(name) for name in found.columns]
        found = found.set_axis(["prediction_" + name if name in OWN else name for name in names], axis=1)
        return found.reset_index(drop=True)

    def _names(self, count: int) -> List[str]:
        if len(self._outputs) == count and all(not name.isdigit() for name in self._outputs):
            return list(self._outputs)
        return ["prediction"] if count == 1 else ["prediction_%d" % index for index in range(count)]


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


def _objects(numpy: Any, values: List[Any]) -> Any:
    """One object a row, whatever they are."""
    if values and not isinstance(values[0], (list, tuple, dict)):
        return numpy.asarray(values)
    array = numpy.empty(len(values), dtype=object)
    array[:] = values
    return array


def _has_arrow() -> bool:
    """A plan is given Arrow's columns, and MLflow's small package does not bring pyarrow along."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True
