"""An MLflow model folder, loaded with the user's own mlflow (2.9 and newer)."""

from __future__ import annotations

import inspect
import json
import os
from typing import Any, Dict, List, Optional

from . import frames

# Wrappers of these flavours do nothing but hand the frame to the library, so calling them without MLflow's own
# schema enforcement (which the gateway has done already, strictly) gives the same numbers.
DIRECT = ("mlflow.sklearn", "mlflow.lightgbm", "mlflow.xgboost", "mlflow.catboost")


class MlflowModel:
    """``predict`` answers one request that the gateway has checked against the signature."""

    def __init__(self, spec: Dict[str, Any]) -> None:
        import mlflow.pyfunc

        folder = spec["model_dir"]
        if not os.path.isfile(os.path.join(folder, "MLmodel")):
            raise FileNotFoundError("%s has no MLmodel file, so it is not an MLflow model folder" % folder)
        self._model = mlflow.pyfunc.load_model(folder)
        own = _signature(self._model)
        self.signature = spec.get("signature") or own
        self._inputs = (self.signature or {}).get("inputs") or []  # type: List[Dict[str, Any]]
        self._tensor = frames.is_tensor(self._inputs)
        self._builder = frames.FrameBuilder(self._inputs) if self._inputs and not self._tensor else None
        loader = getattr(self._model, "loader_module", None) or self._loader()
        # Only what was checked against the model's own signature may skip the model's own check.
        same = own is not None and _essence(own["inputs"]) == _essence(self._inputs)
        self._direct = None
        if loader in DIRECT and same and not self._tensor and frames.is_flat(self._inputs):
            self._direct = getattr(self._model, "_predict_fn", None)
        self._takes_params = "params" in inspect.signature(self._model.predict).parameters
        self.flavor = str(loader).split(".")[-1]

    def _loader(self) -> str:
        return str(self._model.metadata.flavors.get("python_function", {}).get("loader_module", "pyfunc"))

    def describe(self) -> Dict[str, Any]:
        raw = _raw_model(self._model)
        names = getattr(raw, "feature_names_in_", None)
        count = getattr(raw, "n_features_in_", None)
        return {
            "flavor": self.flavor,
            "feature_names": [str(name) for name in names] if names is not None else None,
            "n_features": int(count) if count is not None else None,
            "signature": self.signature,
            "direct": self._direct is not None,
        }

    def predict(self, header: Dict[str, Any], body: bytes) -> Any:
        """``header``: rows, names (unsigned models only), params. ``body``: JSON columns, or a JSON tensor."""
        value = json.loads(body.decode("utf-8"))
        params = header.get("params")
        if self._tensor:
            data = frames.tensors(value, self._inputs)
        elif self._builder is not None:
            data = self._builder.build(value, header["rows"], fill=self._direct is not None)
        else:
            data = frames.unsigned(value, header.get("names"))
        if self._direct is not None and params is None:
            return self._direct(data)
        if params is not None and self._takes_params:
            return self._model.predict(data, params=params)
        return self._model.predict(data)


def _essence(specs: List[Dict[str, Any]]) -> List[Any]:
    return [(spec.get("name"), spec.get("type"), spec.get("required", True)) for spec in specs]


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
