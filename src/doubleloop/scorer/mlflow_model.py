"""An MLflow model folder, loaded with the user's own mlflow (2.9 and newer)."""

from __future__ import annotations

import inspect
import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

from . import frames, joining, kit, pickled
from .script_model import BadRequest

# Wrappers of these flavours do nothing but hand the frame to the library, so calling them without MLflow's own
# schema enforcement (which the gateway has done already, strictly) gives the same numbers.
# What comes out of a row does not depend on the rows beside it, so requests may be scored together.
GRAPHS = {"mlflow.onnx": "onnx", "mlflow.pytorch": "torch"}
TOLD = ("task", "classes", "image")
PORTABLE = "plan.npz"
DIRECT = ("mlflow.sklearn", "mlflow.lightgbm", "mlflow.xgboost", "mlflow.catboost")


class MlflowModel:
    """``predict`` answers one request that the gateway has checked against the signature."""

    def __init__(self, spec: Dict[str, Any]) -> None:
        self._folder, self._quiet = spec["model_dir"], bool(spec.get("quiet"))
        if not os.path.isfile(os.path.join(self._folder, "MLmodel")):
            raise FileNotFoundError("%s has no MLmodel file, so it is not an MLflow model folder" % self._folder)
        self._pyfunc = None  # type: Any
        kit.offer(spec.get("kits"))
        known = pickled.load(self._folder, spec.get("signature"))
        own = known.signature if known is not None else _signature(self._model)
        self.signature = spec.get("signature") or own
        self._inputs = (self.signature or {}).get("inputs") or []  # type: List[Dict[str, Any]]
        self._tensor = frames.is_tensor(self._inputs)
        self._builder = frames.FrameBuilder(self._inputs) if self._inputs and not self._tensor else None
        loader = "mlflow.sklearn" if known is not None else self._loader()
        # Only what was checked against the model's own signature may skip the model's own check.
        same = own is not None and pickled.same(own, {"inputs": self._inputs})
        self._metadata = known.metadata if known is not None else getattr(self._model.metadata, "metadata", None)
        self._raw = known.model if known is not None else _raw_model(self._model)
        self._direct = None
        if known is not None:
            self._method, self._direct = known.method, getattr(known.model, known.method)
        else:
            self._method = self._model.metadata.flavors.get("python_function", {}).get("predict_fn", "predict")
            if loader in DIRECT and same and not self._tensor and frames.is_flat(self._inputs):
                self._direct = getattr(self._model, "_predict_fn", None)
        self._texts = self._direct is not None and self._takes_texts()
        self._planned = self._plan(loader, same, spec) if spec.get("compile", True) else None
        self._shared = self._share(str(spec.get("cache") or ""))
        self._unplanned = "" if spec.get("compile", True) else str(spec.get("why_not_compiled") or "compile: off")
        self._last = None  # type: Optional[Tuple[List[Any], int, Any]]
        self.flavor = str(loader).split(".")[-1]

    @property
    def _model(self) -> Any:
        """MLflow's own wrapper; imported and loaded when it is first needed."""
        if self._pyfunc is None:
            import mlflow.pyfunc

            self._pyfunc = mlflow.pyfunc.load_model(self._folder, suppress_warnings=self._quiet)
        return self._pyfunc

    def _loader(self) -> str:
        found = getattr(self._model, "loader_module", None)
        return str(found or self._model.metadata.flavors.get("python_function", {}).get("loader_module", "pyfunc"))

    def _plan(self, loader: str, same: bool, spec: Dict[str, Any]) -> Any:
        """The model with a plan beside it; None where there can be none."""
        if loader in GRAPHS and same and (self._tensor or frames.is_flat(self._inputs)):
            from .plans import exported

            cache = str(spec.get("cache") or "")
            return exported.guard(GRAPHS[loader], self._model, spec["model_dir"], self._inputs, self._native, cache)
        if self._direct is None:
            return self._shown(self._builder, str(spec.get("cache") or "")) if same and self._builder else None
        from .plans import guarded

        return guarded.Guarded(self._raw, self._inputs, self._method, self._native)

    def _share(self, folder: str) -> Dict[str, Any]:
        """``file``: where the plan is written for others to run; or ``why`` it is not."""
        if self._planned is None or not folder:
            return {}
        file = os.path.join(folder, PORTABLE)
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            return {"why": str(error)}
        why = self._planned.write(file)
        return {"why": why} if why else {"file": file}

    def _shown(self, builder: frames.FrameBuilder, cache: str) -> Any:
        """Of a model of a class of its own that shows its network."""
        raw = getattr(self._model, "_model_impl", None)
        if not (hasattr(raw, "torch_module") or hasattr(getattr(raw, "python_model", None), "torch_module")):
            return None
        from .plans import exported, shown

        model = shown.shows(raw)
        if model is None:
            return None
        return shown.GuardedNetwork(
            model, builder, self._inputs, self._native, exported.example(self._model), cache
        )  # fmt: skip

    def _takes_texts(self) -> bool:
        """Whether it wants the texts of its one column, which a frame would hide from it."""
        if len(self._inputs) != 1 or self._inputs[0]["type"] != "string":
            return False
        from .plans import texts

        return texts.starts(self._raw)

    def _native(self, columns: Any, rows: int) -> Any:
        if self._texts:
            return self._direct(columns[0])  # type: ignore[misc]
        if self._tensor:
            return self._model.predict(frames.tensors(columns, self._inputs))
        if self._direct is None:
            return self._model.predict(self._builder.build(columns, rows, fill=False))  # type: ignore[union-attr]
        return self._direct(self._builder.build(columns, rows, fill=True))  # type: ignore[union-attr]

    @property
    def together(self) -> bool:
        """Whether several requests may be scored as one table: what comes out of a row is that row's alone.

        A model that knows better says so: forecasts of AutoML build on the rows beside them (``rows_stand_alone``).
        """
        if self._direct is None:
            return self._planned is not None and self._planned.used and self._planned.together
        return bool(getattr(self._raw, "rows_stand_alone", True))

    @property
    def plan(self) -> Dict[str, Any]:
        """Whether a plan answers, and how it compared with the model; else why not."""
        if self._planned is not None:
            return {**self._planned.describe(), "portable": self._shared}
        return {"used": False, "why": self._unplanned or "no plan is made for models of this kind"}

    def describe(self) -> Dict[str, Any]:
        raw = self._raw
        names = getattr(raw, "feature_names_in_", None)
        count = getattr(raw, "n_features_in_", None)
        return {
            "flavor": self.flavor,
            "metadata": self._told(),
            "feature_names": [str(name) for name in names] if names is not None else None,
            "n_features": int(count) if count is not None else None,
            "signature": self.signature,
            "direct": self._direct is not None,
            "plan": self.plan,
            "together": self.together,
            "streams": self.streams,
        }

    def _told(self) -> Dict[str, Any]:
        """What the model's author says of it in the metadata: the task, its classes, the column that takes images."""
        found = self._metadata
        return {name: found[name] for name in TOLD if name in found} if isinstance(found, dict) else {}

    def predict(self, header: Dict[str, Any], body: bytes = b"", native: bool = False) -> Any:
        """``header``: rows, names (unsigned models only), params, input (columns, or a tensor).

        ``native``: asked of the model itself, though there is a plan.
        """
        value = header["input"]
        params = header.get("params")
        if (self._direct is not None or self._planned is not None) and params is None:
            return self._native(value, header["rows"]) if native else self._answer(value, header["rows"])
        data = self._data(header)
        if params is not None and "params" in inspect.signature(self._model.predict).parameters:
            return self._model.predict(data, params=params)
        return self._model.predict(data)

    def _data(self, header: Dict[str, Any]) -> Any:
        """What MLflow's wrapper is given: a frame, or tensors."""
        if self._tensor:
            return frames.tensors(header["input"], self._inputs)
        if self._builder is not None:
            return self._builder.build(header["input"], header["rows"], fill=self._direct is not None)
        return frames.unsigned(header["input"], header.get("names"))

    @property
    def streams(self) -> bool:
        """Whether MLflow has a ``predict_stream`` to call: models that were logged as ``streamable``."""
        return self._pyfunc is not None and getattr(self._pyfunc, "_predict_stream_fn", None) is not None

    def predict_stream(self, header: Dict[str, Any]) -> Any:
        """The pieces of the answer to one row, as an iterator: MLflow hands the row over as its ``predict_stream``
        expects it (a mapping by column, or a bare value). Raises BadRequest for several rows."""
        if header["rows"] != 1:
            raise BadRequest("a streamed answer is of one row, and %d were sent" % header["rows"])
        data, params = self._data(header), header.get("params")
        if params is not None and "params" in inspect.signature(self._model.predict_stream).parameters:
            return self._model.predict_stream(data, params=params)
        return self._model.predict_stream(data)

    def _answer(self, columns: List[Any], rows: int) -> Any:
        if self._planned is None:
            return self._native(columns, rows)
        found = self._planned.predict(columns, rows)
        self._last = (columns, rows, found)
        return found

    def predict_together(self, requests: Sequence[Tuple[Dict[str, Any], bytes]]) -> Optional[List[Any]]:
        """What ``predict`` gives for each of several requests without params or missing values, scored as one table;
        None when the answer is no array with one entry a row."""
        rows = [header["rows"] for header, _ in requests]
        found = self._answer(joining.joined([header["input"] for header, _ in requests], self._inputs), sum(rows))
        return joining.parted(found, rows)

    def review(self) -> Optional[Dict[str, Any]]:
        """Compare the last answer of the plan with the model's own when that is due: what was wrong, or None."""
        if self._planned is None or self._last is None:
            return None
        (columns, rows, found), self._last = self._last, None
        wrong = self._planned.review(columns, rows, found)  # type: Optional[Dict[str, Any]]
        return wrong

    def review_of(self, columns: List[Any], rows: int, answer: Any) -> Optional[Dict[str, Any]]:
        """The same for an answer that another process gave by the plan."""
        if self._planned is None:  # it was given up, which that process has not heard
            return {"why": self._unplanned, "difference": None}
        wrong = self._planned.review(columns, rows, answer)  # type: Optional[Dict[str, Any]]
        return wrong

    def of_frame(self, frame: Any) -> Any:
        """The model's own answer for a frame with the columns of its signature."""
        if self._texts:
            return self._direct(frame.iloc[:, 0].tolist())  # type: ignore[misc]
        return self._model.predict(frame)

    @property
    def pyfunc(self) -> Any:
        """MLflow's own wrapper of the model."""
        return self._model

    def bulk(self) -> Any:
        """The way for whole files, through the plan; None when there is no plan, or rows do not stand alone."""
        if self._planned is None or self._direct is None or not self._planned.used or not self.together:
            return None
        from .bulk import Bulk

        return Bulk(self._planned, self._inputs)

    def give_up_plan(self, why: str) -> None:
        if self._planned is not None:
            self._planned, self._unplanned = None, why

    def compared(self, columns: List[Any], rows: int) -> Dict[str, Any]:
        """The plan and the model on these rows, as ``plan`` with ``rows`` and ``agrees``."""
        if self._planned is None or not self._planned.used:
            return {**self.plan, "agrees": None, "rows": 0}
        wrong = self._planned.compare(columns, rows)
        return {**self.plan, "agrees": wrong is None, "rows": rows, "why": wrong or ""}


def _raw_model(model: Any) -> Any:
    implementation = getattr(model, "_model_impl", None)  # type: Any
    if hasattr(implementation, "get_raw_model"):
        return implementation.get_raw_model()
    for name in ("sklearn_model", "lgb_model", "xgb_model", "cb_model"):
        if hasattr(implementation, name):
            return getattr(implementation, name)
    return implementation


def _signature(model: Any) -> Optional[Dict[str, Any]]:
    """The MLmodel's signature as {"inputs": [...], "outputs": [...], "params": [...]}, or None."""
    found = model.metadata.signature
    if found is None:
        return None
    result = {}  # type: Dict[str, Any]
    for part in ("inputs", "outputs", "params"):
        schema = getattr(found, part, None)
        result[part] = schema.to_dict() if schema is not None else None
    return result if result["inputs"] else None
