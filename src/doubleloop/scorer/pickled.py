"""A model of scikit-learn's out of its MLflow folder, without MLflow: to import that takes longer than all the rest.

Only what MLflow itself would load by one ``pickle.load`` and call by one method is taken; whatever else a folder asks
for (code beside the model, ``skops``, settings, params) is MLflow's.
"""

from __future__ import annotations

import json
import os
import pickle
from typing import Any, Dict, List, NamedTuple, Optional

from . import frames

METHODS = ("predict", "predict_proba", "predict_log_proba")
FORMATS = ("pickle", "cloudpickle")
# In the metadata of a model whose files are somewhere else.
EXTERNAL = "mlflow.model.isExternal"
# MLflow's own switch against unpickling.
SWITCH = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"


class Pickled(NamedTuple):
    """``signature``: inputs, outputs and params, as MLflow's ``to_dict`` has them. ``metadata``: what the model was
    logged with."""

    model: Any
    method: str
    signature: Dict[str, Any]
    metadata: Dict[str, Any]


def load(folder: str, asked: Optional[Dict[str, Any]]) -> Optional[Pickled]:
    """``asked``: another signature than the model's that requests are checked against. None for a folder that is
    MLflow's to load; raises what unpickling raises."""
    told = _read(os.path.join(folder, "MLmodel"))
    flavors = told.get("flavors") or {}
    main, own = flavors.get("python_function") or {}, flavors.get("sklearn") or {}
    method, path = str(main.get("predict_fn", "predict")), str(main.get("model_path", ""))
    plain = main.get("loader_module") == "mlflow.sklearn" and method in METHODS and path
    metadata = told.get("metadata") or {}
    if not plain or own.get("serialization_format") not in FORMATS or EXTERNAL in metadata:
        return None
    if any(main.get(key) or own.get(key) for key in ("code", "config", "data")):
        return None
    if os.environ.get(SWITCH, "true").lower() not in ("true", "1"):
        return None
    signature = _signature(told.get("signature"))
    if signature is None or (asked is not None and not same(asked, signature)):
        return None
    with open(os.path.join(folder, path), "rb") as file:
        return Pickled(pickle.load(file), method, signature, metadata)


def same(one: Dict[str, Any], other: Dict[str, Any]) -> bool:
    """Whether two signatures take the same inputs."""
    return _essence(one["inputs"]) == _essence(other["inputs"])


def _essence(specs: List[Dict[str, Any]]) -> List[Any]:
    return [(spec.get("name"), spec.get("type"), spec.get("required", True)) for spec in specs]


def _read(path: str) -> Dict[str, Any]:
    """Empty where it cannot be read: MLflow says what is wrong with it."""
    try:
        import yaml  # MLflow has it

        with open(path, encoding="utf-8") as file:
            found = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except Exception:
        return {}
    return found if isinstance(found, dict) else {}


def _signature(told: Any) -> Optional[Dict[str, Any]]:
    """None unless all inputs are columns of plain values and there are no params."""
    try:
        parts = {part: _specs((told or {}).get(part)) for part in ("inputs", "outputs", "params")}
    except (ValueError, AttributeError):
        return None
    inputs = parts["inputs"]
    if parts["params"] or not inputs or frames.is_tensor(inputs) or not frames.is_flat(inputs):
        return None
    # Files of MLflow before 2.7 say "optional".
    return None if any("optional" in spec for spec in inputs) else parts


def _specs(text: Any) -> Optional[List[Dict[str, Any]]]:
    if text is None:
        return None
    found = json.loads(text)
    if not isinstance(found, list) or not all(isinstance(spec, dict) for spec in found):
        raise ValueError("not a list of specs")
    return found
